/* Client: outbound HTTP/1.1 over libcurl, streaming both ways, for region-to-region traffic, for
 * forwarded client requests and for the command line.
 *
 * The request goes out as given: method, raw target, fields in order, the caller's Host. Proxies
 * are ignored, redirects are not followed, nothing is decompressed, signals are left alone.
 *
 * A request marked `once` leaves this process at most once: when a kept connection turns out to be
 * dead after the head was written, the call fails instead of sending again behind the caller's
 * back. Others may be sent again by libcurl on a fresh connection before any answer came. */
#ifndef DOMICILE_WIRE_CLIENT_H
#define DOMICILE_WIRE_CLIENT_H

#include "wire/head.h"

enum {
  /* Kept handles, each with its connections: as many as workers forward at a time. */
  WIRE_CLIENT_HANDLES_DEFAULT = 64,
  /* A kept connection is not used again after this long idle: well below the 75 s after which our
   * servers close, so that a request never meets a connection that is just being closed. */
  WIRE_CLIENT_IDLE_S = 20,
  WIRE_CLIENT_CONNECT_MS_DEFAULT = 5000, /* a far region answers a SYN within one second */
  WIRE_CLIENT_STALL_MS_DEFAULT = 60000,  /* no byte moved for so long: the peer hangs */
  /* How soon a cancelled call or a passed deadline is noticed. */
  WIRE_CLIENT_POLL_MS = 100
};

/* Body length for a body of unknown length: sent chunked. */
#define WIRE_CLIENT_CHUNKED UINT64_MAX

/* Gives the next bytes of the request body: at most cap, *out_len 0 at its end. A failure ends the
 * call with that code; the connection is closed, so that the peer sees a broken body. */
typedef enum dom_code (*wire_pull_fn)(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err);
/* Takes the final status and fields (not those of 100 Continue), once, before any body. The fields
 * are borrowed for the call. A failure ends the call with that code. */
typedef enum dom_code (*wire_answer_fn)(void *arg, unsigned status, const struct wire_field *fields,
                                        size_t count, struct dom_err *err);
/* Takes the next bytes of the answer's body, as they come. */
typedef enum dom_code (*wire_sink_fn)(void *arg, struct slice bytes, struct dom_err *err);
/* True: give up. Asked every WIRE_CLIENT_POLL_MS, on the calling thread. */
typedef bool (*wire_cancel_fn)(void *arg);

struct wire_request {
  const char *origin;    /* "http://127.0.0.1:9101", no slash at the end */
  const char *unix_path; /* NULL, or the unix socket to connect to instead */
  struct slice method;
  struct slice target; /* raw, from '/' on */
  /* Sent in this order, except hop-by-hop fields (wire_field_is_hop), which are made here. Without
   * a Host among them the origin's host is sent. */
  const struct wire_field *fields;
  size_t field_count;
  uint64_t body_length;          /* 0: no body; WIRE_CLIENT_CHUNKED: until pull says 0 */
  bool length_header;            /* send Content-Length: 0 where there is no body, as PUT and POST need */
  bool expect_continue;          /* pull nothing before the peer said 100 Continue */
  bool once;                     /* a mutation: see above */
  wire_pull_fn pull;             /* NULL only without a body */
  wire_answer_fn answer;         /* may be NULL */
  wire_sink_fn sink;             /* may be NULL: the answer's body is dropped */
  wire_cancel_fn cancel;         /* may be NULL */
  void *arg;                     /* of all four */
  uint32_t connect_ms, stall_ms; /* 0: the defaults */
  uint32_t total_ms;             /* 0: no limit but the stall */
};

/* What became of a request. Filled on success and on failure. */
struct wire_outcome {
  unsigned status;   /* of the final answer; 0: none came */
  bool connected;    /* a connection stood: the peer may have seen the head */
  uint64_t pulled;   /* bytes of body taken from pull; 0: the peer cannot have acted on a body */
  uint64_t received; /* bytes of body of the answer */
};

struct wire_client;

/* What https:// origins must show, and what we show them. PEM texts. */
struct wire_client_tls {
  struct slice authorities; /* only these are believed; empty: those of the system */
  struct slice chain, key;  /* our own certificate; both empty: none */
};

/* Returns: NULL without memory. Threads: call from the main thread before others start requests. */
struct wire_client *wire_client_new(unsigned handles_max);
/* Closes all kept connections. No request may be under way. NULL is allowed. */
void wire_client_free(struct wire_client *c);

/* Of connections made from now on; those that stand are not used again. The texts are copied, the key into
 * memory that is wiped. Certificate and name of an https:// origin are always checked; this says by whose
 * word. Returns: DOM_NO_MEMORY, and nothing changed. Threads: any. */
enum dom_code wire_client_tls_put(struct wire_client *c, const struct wire_client_tls *tls,
                                  struct dom_err *err);

/* Sends a request and waits for the whole answer. Any status is a success here: DOM_OK means that
 * one complete answer was received.
 * Returns: DOM_UNAVAILABLE not connected, or the connection broke; DOM_TIMEOUT stalled, or past
 * total_ms; DOM_CANCELLED; DOM_NO_MEMORY; or what a callback returned. out_outcome tells how far
 * it went. Threads: any; blocks the calling thread. */
enum dom_code wire_client_send(struct wire_client *c, const struct wire_request *r,
                               struct wire_outcome *out_outcome, struct dom_err *err);

#endif
