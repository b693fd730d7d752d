/* Pool of curl handles. Inside wire only. Each handle drives its own connection, to one origin, so two
 * threads never share one. */
#ifndef DOMICILE_WIRE_CLIENT_POOL_H
#define DOMICILE_WIRE_CLIENT_POOL_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "wire/client.h"

enum { CLIENT_ORIGIN_MAX = 256 };

struct client_handle {
  struct client_handle *next;
  CURL *easy;
  CURLM *multi; /* keeps the connection of `easy` */
  int last_fd;  /* of the connection used last, curl's; -1: none */
  char origin[CLIENT_ORIGIN_MAX];
};

/* Copies of the texts of wire_client_tls_put, shared by the requests that began with them. */
struct client_tls {
  _Atomic unsigned users;
  struct buf authorities, chain, key;
};
/* What is in force now, held; NULL: nothing was put. */
struct client_tls *client_tls_hold(struct wire_client *c);
void client_tls_release(struct client_tls *t); /* NULL is allowed */

/* A handle for one request to `origin`: a kept one whose connection stands, else a new one; NULL without
 * memory. */
struct client_handle *client_pool_take(struct wire_client *c, const char *origin);
/* Gives it back; `broken` handles are freed, and the one kept longest when there are too many. */
void client_pool_give(struct wire_client *c, struct client_handle *h, bool broken);

#endif
