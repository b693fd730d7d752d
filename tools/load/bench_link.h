/* Bench link: one connection of the bench engine, plain or TLS. Internal to the bench. */
#ifndef DOMICILE_LOAD_BENCH_LINK_H
#define DOMICILE_LOAD_BENCH_LINK_H

#include <sys/socket.h>

#include "client.h"

/* Where links lead, and how. */
struct bench_target {
  const struct endpoint *endpoint;
  struct sockaddr_storage address;
  socklen_t address_len;
  /* SSL_CTX *; NULL: plain */
  void *tls;
};
/* Resolves the endpoint; https: reads its authority's certificate (endpoint->ca_file, or the system's). The
 * endpoint is borrowed. Returns: false after a complaint. Release with bench_target_done either way. */
bool bench_target_init(struct bench_target *t, const struct endpoint *endpoint);
void bench_target_done(struct bench_target *t);

struct bench_link {
  int fd;
  /* SSL *; NULL: plain */
  void *tls;
};
/* Connects and shakes hands, waiting for both; after it no call waits. What it held before is closed; a link
 * that was never open has fd -1. Certificates are checked, names too. Returns: false after a complaint. */
bool bench_link_open(struct bench_link *l, const struct bench_target *t);
void bench_link_close(struct bench_link *l);

/* Sends the first bytes of what follows each other. Returns: how many; -1 with errno, EAGAIN: later. */
ssize_t bench_link_send(struct bench_link *l, struct slice first, struct slice second);
/* Reads some bytes. Returns: how many; 0 at the end; -1 with errno, EAGAIN: later. */
ssize_t bench_link_receive(struct bench_link *l, void *out, size_t len);
/* As receive, but throws the bytes away; a plain link's are not even copied. */
ssize_t bench_link_discard(struct bench_link *l, size_t len);

#endif
