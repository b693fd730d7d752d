/* What the tests of this room share: a server on a free port, and a client of bare sockets that
 * says exactly the bytes it is told. Every wait has a bound that only a failure reaches. */
#ifndef DOMICILE_TESTS_WIRE_TESTING_H
#define DOMICILE_TESTS_WIRE_TESTING_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "wire/wire.h"

enum { PATIENCE_MS = 20000, HEARD_MAX = 1 << 20 };

struct rig {
  struct wire_server *server;
  unsigned listener, port;
};

static inline void rig_open(struct rig *r, const struct wire_server_options *options, wire_handler handler,
                            void *arg) {
  struct dom_err err = {0};
  assert_int_equal(wire_server_new(options, handler, arg, &r->server, &err), DOM_OK);
  assert_int_equal(wire_server_listen_tcp(r->server, "127.0.0.1:0", &r->listener, &err), DOM_OK);
  assert_int_equal(wire_server_start(r->server, &err), DOM_OK);
  r->port = wire_server_port(r->server, r->listener);
  assert_true(r->port > 0);
}

static inline void rig_close(struct rig *r) {
  wire_server_close(r->server);
}

static inline int dial(unsigned port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static inline void say_bytes(int fd, const void *data, size_t len) {
  const uint8_t *at = data;
  while (len > 0) {
    ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
    if (n <= 0) return; /* the server may have hung up: what it said is checked */
    at += n;
    len -= (size_t)n;
  }
}

static inline void say(int fd, const char *text) {
  say_bytes(fd, text, strlen(text));
}

/* What was heard on a connection. */
struct heard {
  char *text; /* NUL-terminated */
  size_t len;
  bool ended, reset;
};

static inline void heard_init(struct heard *h) {
  *h = (struct heard){.text = calloc(1, HEARD_MAX + 1)};
}
static inline void heard_done(struct heard *h) {
  free(h->text);
}

/* Reads once. False: nothing more can come. */
static inline bool hear_some(int fd, struct heard *h) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* 0: the server hangs */
  ssize_t n = recv(fd, h->text + h->len, HEARD_MAX - h->len, 0);
  if (n <= 0) {
    h->ended = n == 0;
    h->reset = n < 0;
    return false;
  }
  h->len += (size_t)n;
  h->text[h->len] = '\0';
  return true;
}

static inline void hear_all(int fd, struct heard *h) {
  while (hear_some(fd, h)) {
  }
}

static inline void hear_until(int fd, struct heard *h, const char *needle) {
  while (strstr(h->text, needle) == NULL) assert_true(hear_some(fd, h));
}

static inline void expect_part(const struct heard *h, const char *part) {
  if (strstr(h->text, part) == NULL) fail_msg("no \"%s\" in \"%s\"", part, h->text);
}

static inline size_t count_parts(const struct heard *h, const char *part) {
  size_t n = 0;
  for (const char *p = h->text; (p = strstr(p, part)) != NULL; p += strlen(part)) n++;
  return n;
}

/* Says `text` on a new connection and hears until the server closes it. */
static inline void talk(const struct rig *r, const char *text, struct heard *h) {
  int fd = dial(r->port);
  heard_init(h);
  say(fd, text);
  hear_all(fd, h);
  close(fd);
}

#endif
