/* Tls: what a server shows to clients, and what it asks of them. Certificates, their keys, and the
 * authorities that client certificates must come from, made once from PEM texts and never changed: a reload
 * makes another one and puts it in its place (wire_server_tls_put); connections keep what they began with.
 *
 * TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only; no compression, no renegotiation,
 * no early data; ALPN "http/1.1". Sessions resume by tickets whose keys live in memory, change every
 * WIRE_TLS_TICKET_MS and are gone after twice that, or with the process, or with a reload. */
#ifndef DOMICILE_WIRE_TLS_H
#define DOMICILE_WIRE_TLS_H

#include "base/bytes.h"
#include "base/clock.h"

enum {
  WIRE_TLS_PAIRS_MAX = 16,      /* names one server is known by, two key types of each */
  WIRE_TLS_AUTHORITIES_MAX = 2, /* those of clients, those of other regions */
  /* A stolen key opens the TLS 1.2 sessions of at most two such spans; resuming later costs a full handshake.
   */
  WIRE_TLS_TICKET_MS = 3600 * 1000,
  /* Hex of a SHA-256 with its NUL. */
  WIRE_TLS_NAME_SIZE = 65
};

/* One certificate and its key. */
struct wire_tls_pair {
  const char *name;   /* of the file, for errors */
  struct slice chain; /* PEM: the server's own certificate first, then those between it and the root */
  struct slice key;   /* PEM, without passphrase */
};

struct wire_tls_options {
  const struct wire_tls_pair *pairs;
  size_t pair_count; /* 1 to WIRE_TLS_PAIRS_MAX; the first answers names that none has */
  /* PEM: authorities for client certificates; all empty: clients are asked for none. */
  struct slice authorities[WIRE_TLS_AUTHORITIES_MAX];
  bool client_required; /* without a certificate there is no handshake */
  struct clock *clock;  /* of the tickets; NULL: clock_posix() */
};

struct wire_tls;

/* All texts are borrowed for the call. *out_tls belongs to the caller, who releases it.
 * Returns: DOM_INVALID a text is no PEM, the key is not the certificate's, or OpenSSL holds it for too weak
 * (the error says which file); DOM_NO_MEMORY. Threads: any. */
enum dom_code wire_tls_new(const struct wire_tls_options *o, struct wire_tls **out_tls, struct dom_err *err);
/* One more user of it, and one fewer; the last frees. NULL is allowed in release. Threads: any. */
struct wire_tls *wire_tls_hold(struct wire_tls *t);
void wire_tls_release(struct wire_tls *t);
/* Seconds since 1970 at which the first of the pairs' own certificates ends: for warnings. */
int64_t wire_tls_ends_s(const struct wire_tls *t);

#endif
