#include "bench_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"

/* Bytes of body thrown away by one call. */
#define DISCARD_BYTES ((size_t)4 << 20)
/* The same of a TLS link, whose bytes must be opened: one record. */
#define RECORD_BYTES ((size_t)16 << 10)

static bool is_https(const struct endpoint *e) {
  return strncmp(e->url, "https://", 8) == 0;
}

/* HOST:PORT of the URL in two. */
static void split(const struct endpoint *e, char host[sizeof e->host], const char **port) {
  const char *from = strstr(e->url, "://") + 3;
  size_t len = strcspn(from, ":");
  assert(len < sizeof e->host);
  memcpy(host, from, len);
  host[len] = '\0';
  *port = from[len] == ':' ? from + len + 1 : is_https(e) ? "443" : "80";
}

static bool make_tls(struct bench_target *t) {
  SSL_CTX *c = t->tls = SSL_CTX_new(TLS_client_method());
  if (c == NULL) return load_complain("out of memory") == LOAD_OK;
  const char *ca = t->endpoint->ca_file;
  int ok = ca != NULL ? SSL_CTX_load_verify_locations(c, ca, NULL) : SSL_CTX_set_default_verify_paths(c);
  if (ok != 1) return load_complain("%s: no certificates in PEM", ca != NULL ? ca : "the system") == LOAD_OK;
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return true;
}

bool bench_target_init(struct bench_target *t, const struct endpoint *endpoint) {
  assert(t != NULL && endpoint != NULL);
  *t = (struct bench_target){.endpoint = endpoint};
  char host[sizeof endpoint->host];
  const char *port;
  split(endpoint, host, &port);
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
  int code = getaddrinfo(host, port, &hints, &found);
  if (code != 0) return load_complain("%s: %s", endpoint->url, gai_strerror(code)) == LOAD_OK;
  memcpy(&t->address, found->ai_addr, found->ai_addrlen);
  t->address_len = found->ai_addrlen;
  freeaddrinfo(found);
  return !is_https(endpoint) || make_tls(t);
}

void bench_target_done(struct bench_target *t) {
  assert(t != NULL);
  SSL_CTX_free(t->tls);
  t->tls = NULL;
}

/* Returns: NULL, or why not. */
static const char *shake(struct bench_link *l, const struct bench_target *t) {
  char host[sizeof t->endpoint->host];
  const char *port;
  split(t->endpoint, host, &port);
  SSL *s = l->tls = SSL_new(t->tls);
  if (s == NULL || SSL_set_fd(s, l->fd) != 1) return "out of memory";
  bool named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), host) == 1 ||
               (SSL_set1_host(s, host) == 1 && SSL_set_tlsext_host_name(s, host) == 1);
  ERR_clear_error();
  if (named && SSL_connect(s) == 1) return NULL;
  long verdict = SSL_get_verify_result(s);
  return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "no TLS handshake";
}

bool bench_link_open(struct bench_link *l, const struct bench_target *t) {
  assert(l != NULL && t->address_len > 0);
  bench_link_close(l);
  l->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int one = 1;
  const char *why = NULL;
  bool ok = l->fd >= 0 && connect(l->fd, (const struct sockaddr *)&t->address, t->address_len) == 0 &&
            setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
  if (!ok) why = strerror(errno);
  if (ok && t->tls != NULL) why = shake(l, t);
  if (why == NULL && fcntl(l->fd, F_SETFL, O_NONBLOCK) != 0) why = strerror(errno);
  return why == NULL || load_complain("%s: %s", t->endpoint->url, why) == LOAD_OK;
}

void bench_link_close(struct bench_link *l) {
  assert(l != NULL);
  SSL_free(l->tls);
  if (l->fd >= 0) close(l->fd);
  *l = (struct bench_link){.fd = -1};
}

/* What an SSL call's failure means in the words of recv and send. */
static ssize_t tls_result(struct bench_link *l, int got) {
  if (got > 0) return got;
  int error = SSL_get_error(l->tls, got);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
  return -1;
}

static ssize_t tls_send(struct bench_link *l, struct slice bytes) {
  assert(bytes.len > 0);
  ERR_clear_error();
  return tls_result(l, SSL_write(l->tls, bytes.data, bytes.len < INT_MAX ? (int)bytes.len : INT_MAX));
}

ssize_t bench_link_send(struct bench_link *l, struct slice first, struct slice second) {
  assert(l->fd >= 0 && first.len + second.len > 0);
  if (l->tls != NULL) return tls_send(l, first.len > 0 ? first : second);
  /* sendmsg only reads; iovec has no const. */
  union {
    const uint8_t *in;
    uint8_t *out;
  } a = {.in = first.data}, b = {.in = second.data};
  struct iovec parts[2] = {{a.out, first.len}, {b.out, second.len}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(l->fd, &message, MSG_NOSIGNAL);
}

ssize_t bench_link_receive(struct bench_link *l, void *out, size_t len) {
  assert(l->fd >= 0 && len > 0);
  if (l->tls == NULL) return recv(l->fd, out, len, 0);
  ERR_clear_error();
  return tls_result(l, SSL_read(l->tls, out, len < INT_MAX ? (int)len : INT_MAX));
}

ssize_t bench_link_discard(struct bench_link *l, size_t len) {
  assert(len > 0);
  static uint8_t record[RECORD_BYTES]; /* the engine has one thread */
  if (l->tls != NULL) return bench_link_receive(l, record, len < sizeof record ? len : sizeof record);
  /* With MSG_TRUNC TCP throws bytes away without copying them (tcp(7)). */
  return recv(l->fd, NULL, len < DISCARD_BYTES ? len : DISCARD_BYTES, MSG_TRUNC);
}
