/* Exchange: one request and its reply, as a handler sees them.
 *
 * A handler is straight-line code on a worker thread: it reads the head, reads the body if it
 * wants it, replies once and returns. Reading and writing block; a client that is slower than
 * the server's least rate makes them fail, so that no handler is held for ever.
 *
 * Order that a handler keeps: decide from the head (who, permit) → first wire_body_read (this
 * is what sends `100 Continue`, so nobody who may not write sends a byte) → reply.
 *
 * Threads: an exchange belongs to the worker that runs its handler and ends with it; it is not
 * handed to another thread, except where a function says so. */
#ifndef DOMICILE_WIRE_EXCHANGE_H
#define DOMICILE_WIRE_EXCHANGE_H

#include "base/arena.h"
#include "wire/head.h"
#include "wire/tls.h"

enum {
  /* Room for "[ipv6%scope]:port" with its NUL. */
  WIRE_PEER_TEXT_MAX = 80,
  /* The first write of a chunked reply and each later one become one chunk each: small ones are
   * wasteful but correct. */
  WIRE_REPLY_FIELDS_BYTES_MAX = 32 * 1024 /* fields of one reply; as much as a request may carry */
};

/* Length for wire_reply_begin where it is not known: chunked, or until close in HTTP/1.0. */
#define WIRE_LENGTH_UNKNOWN UINT64_MAX

struct wire_exchange;

/* The head. Lives as long as the exchange. */
const struct wire_head *wire_exchange_head(const struct wire_exchange *x);
/* As wire_head_get over the exchange's head: the first field called `name`; data NULL: absent. */
struct slice wire_exchange_field(const struct wire_exchange *x, const char *name);
/* Removes every field for which `drop` says true: what later readers of the head must not trust. */
void wire_exchange_drop(struct wire_exchange *x, bool (*drop)(struct slice name));
/* Which listener the request came by: the index that wire_server_listen_* returned. */
unsigned wire_exchange_listener(const struct wire_exchange *x);
/* The client's address without port, as a front says it where one brought the request ("192.0.2.7",
 * "2001:db8::1", "unix"). Lives as the exchange. */
const char *wire_exchange_peer(struct wire_exchange *x);
/* 12 or 13 where the connection is TLS 1.2 or 1.3, else 0. Where a front brought the request and says that
 * its client spoke TLS (X-Forwarded-Proto): at least 12, which is the least that deploy/nginx speaks. */
unsigned wire_exchange_tls(const struct wire_exchange *x);
/* The client showed a TLS certificate that an authority of ours signed and that names `host`, a DNS name or
 * an address without brackets; NULL: any name. */
bool wire_exchange_certified(const struct wire_exchange *x, const char *host);
/* What may be logged of that certificate: hex of the SHA-256 of its subject name (DER); "" without one. */
void wire_exchange_certified_name(const struct wire_exchange *x, char out[WIRE_TLS_NAME_SIZE]);
/* Request memory, freed at once after the reply; capped by the server's option. */
struct arena *wire_exchange_arena(struct wire_exchange *x);
/* What of the client's address counts as one client: an IPv4 address (mapped), the /64 of an IPv6 one; zeros
 * on a unix socket. */
void wire_exchange_client_counted(const struct wire_exchange *x, uint8_t out[16]);
/* The exchange waits for a place (wire_place_take in server.h): it is not over, the handler runs again. */
bool wire_exchange_is_put_aside(const struct wire_exchange *x);
/* Since it was put aside first, 0 if it never was: by now, part of which may have been spent in this run. */
uint64_t wire_exchange_waited_us(const struct wire_exchange *x);
/* The client has closed its side. A client that half-closes after its request looks the same.
 * For handlers that wait for something else than the client. Threads: any, while the handler runs. */
bool wire_exchange_gone(const struct wire_exchange *x);

/* --- request body --- */

/* True when the length of the body is known before it is read: 0 without a body. False: chunked. */
bool wire_body_length(const struct wire_exchange *x, uint64_t *out_length);
/* Reads the next bytes of the body: at least 1, at most cap; *out_len 0 is its regular end.
 * Sends `100 Continue` first, where the client asked for it.
 *   cap  at least 1 byte; 64 KiB and more read large bodies best
 * Returns: DOM_IO the client went away before the end; DOM_TIMEOUT it was slower than the least
 * rate (408); DOM_BUSY slow clients hold too many workers (503 SlowDown); DOM_INVALID malformed
 * chunks (400). After a failure every later read fails alike, and the
 * connection closes after the reply. Source: RFC 9112 §6, §7.1. */
enum dom_code wire_body_read(struct wire_exchange *x, void *out, size_t cap, size_t *out_len,
                             struct dom_err *err);
/* Reads all of a small body and appends it to *out. Returns: as wire_body_read, and
 * DOM_TOO_LARGE past size_max (nothing more is read then), DOM_NO_MEMORY. */
enum dom_code wire_body_read_all(struct wire_exchange *x, size_t size_max, struct buf *out,
                                 struct dom_err *err);
/* Bytes of the body that wire_body_read has handed out so far. */
uint64_t wire_body_taken(const struct wire_exchange *x);

/* --- reply: exactly one per exchange; without any the client gets 500 --- */

/* Adds a field to the reply, before wire_reply or before the first wire_reply_write. Date,
 * Server, Connection and the framing are made here: asking for them is a programmer's mistake.
 * Both slices are copied.
 * Returns: DOM_INVALID a byte that would end the line (nothing is added), DOM_TOO_LARGE past
 * WIRE_REPLY_FIELDS_BYTES_MAX, DOM_NO_MEMORY. */
enum dom_code wire_reply_field(struct wire_exchange *x, struct slice name, struct slice value);
/* wire_reply_field for text of our own. */
enum dom_code wire_reply_field_str(struct wire_exchange *x, const char *name, const char *value);
/* True for fields that wire_reply_field must not be given: hop-by-hop, Date and Server. Whoever
 * passes on another server's reply skips them. */
bool wire_reply_field_is_own(struct slice name);

/* The whole reply at once, with the fields added before; one system call. With HEAD, 204 and 304
 * the body is not sent; HEAD and 304 still tell its length.
 * Returns: DOM_IO, DOM_TIMEOUT, DOM_BUSY when the client did not take it, or not fast enough; the
 * connection is then reset, and there is nobody left to tell. */
enum dom_code wire_reply(struct wire_exchange *x, unsigned status, struct slice body, struct dom_err *err);

/* Begins a streamed reply of `length` bytes, or WIRE_LENGTH_UNKNOWN. Sends nothing yet. */
void wire_reply_begin(struct wire_exchange *x, unsigned status, uint64_t length);
/* Sends the next bytes, all of them, the head before the first ones. Asserts that no more than
 * `length` come. Returns: as wire_reply. */
enum dom_code wire_reply_write(struct wire_exchange *x, const void *data, size_t len, struct dom_err *err);
/* Ends a streamed reply. Fewer bytes than declared (HEAD, 204, 304 aside): the connection is
 * reset, so that the client sees a failure and never a short success. Returns: as wire_reply, and
 * DOM_INVALID when it was short. */
enum dom_code wire_reply_end(struct wire_exchange *x, struct dom_err *err);
/* Gives up a reply that has begun: resets the connection. A reply that has not begun may be
 * aborted as well: the client then sees no answer at all. */
void wire_reply_abort(struct wire_exchange *x);
/* Nothing of a final reply has been sent: an error reply of another status is still possible.
 * wire_reply_restart makes room for it. */
bool wire_reply_is_open(const struct wire_exchange *x);
/* Forgets the fields and a begun reply, for a handler that meets an error half-way. Asserts that
 * the reply is open. */
void wire_reply_restart(struct wire_exchange *x);
/* Closes the connection after this reply, whatever the client asked for. */
void wire_reply_close(struct wire_exchange *x);
/* Status of the reply, 0 before there is one; bytes of its body written. For logs and metrics. */
unsigned wire_reply_status(const struct wire_exchange *x);
uint64_t wire_reply_written(const struct wire_exchange *x);

/* Reason phrase of a status ("Not Found"); "Unknown" for others. Never NULL. */
const char *wire_status_text(unsigned status);

#endif
