/* What tls.c and tls_io.c share. Inside wire only. */
#ifndef DOMICILE_WIRE_TLS_INSIDE_H
#define DOMICILE_WIRE_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/tls.h"

enum { TICKET_NAME_SIZE = 16, TICKET_KEY_SIZE = 32 };

/* Keys that sealed tickets; [0] seals, both open. */
struct ticket_key {
  uint8_t name[TICKET_NAME_SIZE], cipher[TICKET_KEY_SIZE], mac[TICKET_KEY_SIZE];
  uint64_t born_ns;
  bool usable;
};

struct wire_tls {
  _Atomic unsigned users;
  SSL_CTX *contexts[WIRE_TLS_PAIRS_MAX]; /* one per pair; all alike but for the certificate */
  size_t count;
  int64_t ends_s;
  struct clock *clock;
  pthread_mutex_t lock; /* guards the tickets */
  struct ticket_key tickets[2];
};

/* The first reason in OpenSSL's queue, in words; empties the queue. Lives until the next call of OpenSSL. */
const char *tls_reason(void);

#endif
