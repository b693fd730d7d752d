#include "wire/tls_io.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "wire/tls_inside.h"

enum {
  RECORD_BYTES =
      16 * 1024, /* the most one record carries (RFC 8446 §5.1): head and body of a small reply fit */
  RECORD_HANDSHAKE = 22,
  CLIENT_HELLO = 1
};

struct tls_link {
  SSL *ssl; /* NULL until a ClientHello has begun */
  struct wire_tls *tls;
  int fd;
  uint8_t hello[TLS_HELLO_PREFIX];
  size_t hello_len, hello_given; /* read by us; passed on to OpenSSL */
  bool came;                     /* bytes have that no read has returned yet */
  bool eof;                      /* the socket's input has ended */
  bool broken;                   /* OpenSSL must not be asked any more (SSL_get_error(3)) */
  bool finishing, finished;      /* our end is to be said; it is */
};

/* ---- the socket as OpenSSL sees it: its own would raise SIGPIPE ---- */

static int fail_bio(BIO *b) {
  assert(b != NULL);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) BIO_set_retry_read(b);
  return -1;
}

static int bio_read(BIO *b, char *out, int cap) {
  struct tls_link *l = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  assert(cap > 0 && l->hello_given <= l->hello_len);
  size_t held = l->hello_len - l->hello_given;
  if (held > 0) {
    size_t n = held < (size_t)cap ? held : (size_t)cap;
    memcpy(out, l->hello + l->hello_given, n);
    l->hello_given += n;
    return (int)n;
  }
  ssize_t n = recv(l->fd, out, (size_t)cap, MSG_DONTWAIT);
  if (n < 0) return fail_bio(b);
  if (n == 0) l->eof = true;
  if (n > 0) l->came = true;
  return (int)n;
}

static int bio_write(BIO *b, const char *data, int len) {
  const struct tls_link *l = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  assert(len > 0);
  ssize_t n = send(l->fd, data, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) return (int)n;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) BIO_set_retry_write(b);
  return -1;
}

static long bio_ctrl(BIO *b, int command, long number, void *arg) {
  const struct tls_link *l = BIO_get_data(b);
  (void)number, (void)arg;
  if (command == BIO_CTRL_EOF) return l != NULL && l->eof;
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method; /* for the life of the process */

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "domicile socket");
  if (method == NULL) return;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
}

/* ---- the beginning ---- */

static ssize_t fail_with(struct tls_link *l, int number) {
  assert(number != 0);
  l->broken = true;
  ERR_clear_error();
  errno = number;
  return -1;
}

/* A handshake message that is a ClientHello, announced with a sane length. */
static bool is_hello(const uint8_t p[TLS_HELLO_PREFIX]) {
  size_t length = (size_t)p[6] << 16 | (size_t)p[7] << 8 | p[8];
  assert(p != NULL);
  return p[0] == RECORD_HANDSHAKE && p[1] == 3 && p[5] == CLIENT_HELLO && length <= TLS_HELLO_BYTES_MAX;
}

static bool make_ssl(struct tls_link *l) {
  SSL *ssl = SSL_new(l->tls->contexts[0]);
  BIO *bio = method != NULL ? BIO_new(method) : NULL;
  assert(l->ssl == NULL);
  if (ssl == NULL || bio == NULL) {
    SSL_free(ssl);
    BIO_free(bio);
    return false;
  }
  BIO_set_data(bio, l);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_accept_state(ssl);
  l->ssl = ssl;
  return true;
}

/* Reads until a ClientHello has begun. Returns: 1; else what the read returns. */
static ssize_t begin(struct wire_io *io, struct tls_link *l) {
  if (l->ssl != NULL) return 1;
  ssize_t n = recv(l->fd, l->hello + l->hello_len, TLS_HELLO_PREFIX - l->hello_len, MSG_DONTWAIT);
  if (n <= 0) return n;
  io->begun = l->came = true;
  l->hello_len += (size_t)n;
  assert(l->hello_len <= TLS_HELLO_PREFIX);
  if (l->hello_len < TLS_HELLO_PREFIX) {
    errno = EAGAIN;
    return -1;
  }
  if (!is_hello(l->hello)) return fail_with(l, EPROTO);
  return make_ssl(l) ? 1 : fail_with(l, ENOMEM);
}

/* ---- the four calls ---- */

/* What a call of OpenSSL that did not succeed means to the caller. */
static ssize_t outcome(struct wire_io *io, struct tls_link *l) {
  switch (SSL_get_error(l->ssl, 0)) {
  case SSL_ERROR_WANT_READ:
    io->wants = POLLIN;
    break;
  case SSL_ERROR_WANT_WRITE:
    io->wants = POLLOUT;
    break;
  case SSL_ERROR_ZERO_RETURN:
    return 0;
  default:
    if (!l->eof) return fail_with(l, EPROTO);
    l->broken = true; /* the end of a handshake that was none */
    ERR_clear_error();
    return 0;
  }
  io->begun = l->came;
  errno = EAGAIN;
  return -1;
}

/* Says our end as far as the socket takes it now. */
static void step_finish(struct wire_io *io, struct tls_link *l) {
  assert(l->finishing && !l->finished);
  io->wants = 0;
  ERR_clear_error();
  if (l->ssl != NULL && !l->broken && SSL_is_init_finished(l->ssl)) {
    int rc = SSL_shutdown(l->ssl);
    if (rc < 0 && SSL_get_error(l->ssl, rc) == SSL_ERROR_WANT_WRITE) {
      io->wants = POLLOUT;
      return;
    }
    ERR_clear_error();
  }
  l->finished = true;
  (void)shutdown(l->fd, SHUT_WR); /* fails only when the peer is gone already */
}

/* What comes after our last reply is thrown away unread: there is no need to decrypt it. */
static ssize_t read_rest(struct wire_io *io, struct tls_link *l, void *out, size_t cap) {
  if (!l->finished) step_finish(io, l);
  ssize_t n;
  do n = recv(l->fd, out, cap, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  assert(n <= (ssize_t)cap);
  return n;
}

static ssize_t tls_read(struct wire_io *io, void *out, size_t cap) {
  struct tls_link *l = io->state;
  size_t n = 0;
  assert(cap > 0);
  io->wants = 0;
  if (l->finishing) return read_rest(io, l, out, cap);
  if (l->broken) return l->eof ? 0 : fail_with(l, EPROTO);
  ssize_t begun = begin(io, l);
  if (begun <= 0) return begun;
  ERR_clear_error();
  if (SSL_read_ex(l->ssl, out, cap, &n) == 1) {
    io->begun = l->came = SSL_has_pending(l->ssl) == 1; /* part of the next record came with this one */
    return (ssize_t)n;
  }
  return outcome(io, l);
}

/* The bytes of the next record: of the first part, or of several small ones put together in `room`. */
static struct slice gather(const struct iovec *parts, size_t count, uint8_t room[RECORD_BYTES]) {
  assert(count > 0);
  if (count == 1 || parts[0].iov_len >= RECORD_BYTES) return slice_of(parts[0].iov_base, parts[0].iov_len);
  size_t len = 0;
  for (size_t i = 0; i < count && len < RECORD_BYTES; i++) {
    size_t n = parts[i].iov_len < RECORD_BYTES - len ? parts[i].iov_len : RECORD_BYTES - len;
    if (n > 0) memcpy(room + len, parts[i].iov_base, n);
    len += n;
  }
  return slice_of(room, len);
}

/* After EAGAIN OpenSSL wants the same bytes again; wire_io_write comes back with the same parts. */
static ssize_t tls_write(struct wire_io *io, const struct iovec *parts, size_t count) {
  struct tls_link *l = io->state;
  uint8_t room[RECORD_BYTES];
  size_t n = 0;
  io->wants = 0;
  assert(!l->finishing);
  if (l->ssl == NULL || l->broken) return fail_with(l, EPIPE);
  struct slice bytes = gather(parts, count, room);
  ERR_clear_error();
  if (SSL_write_ex(l->ssl, bytes.data, bytes.len, &n) == 1) return (ssize_t)n;
  ssize_t rc = outcome(io, l);
  return rc == 0 ? fail_with(l, EPIPE) : rc;
}

static void tls_finish(struct wire_io *io) {
  struct tls_link *l = io->state;
  assert(!l->finishing);
  l->finishing = true;
  step_finish(io, l);
}

static void tls_close(struct wire_io *io, bool reset) {
  struct tls_link *l = io->state;
  assert(io->fd >= 0 && l->fd == io->fd);
  if (reset) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  } else if (!l->finishing) {
    l->finishing = true;
    step_finish(io, l);
  }
  SSL_free(l->ssl);
  ERR_clear_error();
  wire_tls_release(l->tls);
  dom_free(l);
  (void)close(io->fd);
  io->fd = -1;
  io->state = NULL;
}

static const struct wire_io_ops tls_ops = {
    .read = tls_read, .write = tls_write, .finish = tls_finish, .close = tls_close};

bool wire_io_init_tls(struct wire_io *io, struct wire_tls *tls_take) {
  assert(io->fd >= 0 && tls_take != NULL);
  pthread_once(&method_once, make_method);
  struct tls_link *l = dom_calloc(1, sizeof *l);
  if (l == NULL || method == NULL) {
    dom_free(l);
    return false;
  }
  l->fd = io->fd;
  l->tls = tls_take;
  *io = (struct wire_io){.ops = &tls_ops, .fd = l->fd, .state = l};
  return true;
}

/* ---- who the client is ---- */

/* Borrowed from the session; NULL: none, or none that holds. */
static X509 *verified(const struct wire_io *io) {
  assert(io != NULL);
  if (io->ops != &tls_ops) return NULL;
  const struct tls_link *l = io->state;
  if (l->ssl == NULL || !SSL_is_init_finished(l->ssl)) return NULL;
  return SSL_get_verify_result(l->ssl) == X509_V_OK ? SSL_get0_peer_certificate(l->ssl) : NULL;
}

unsigned wire_io_tls_version(const struct wire_io *io) {
  assert(io != NULL);
  if (io->ops != &tls_ops) return 0;
  const struct tls_link *l = io->state;
  return l->ssl != NULL && SSL_version(l->ssl) >= TLS1_3_VERSION ? 13 : 12;
}

bool wire_io_certified(const struct wire_io *io, const char *host) {
  X509 *x = verified(io);
  assert(host == NULL || host[0] != '\0');
  if (x == NULL || host == NULL) return x != NULL;
  return X509_check_host(x, host, 0, 0, NULL) == 1 || X509_check_ip_asc(x, host, 0) == 1;
}

void wire_io_certified_name(const struct wire_io *io, char out[WIRE_TLS_NAME_SIZE]) {
  const X509 *x = verified(io);
  unsigned char *der = NULL;
  out[0] = '\0';
  int len = x != NULL ? i2d_X509_NAME(X509_get_subject_name(x), &der) : -1;
  if (len <= 0) return;
  uint8_t digest[SHA256_SIZE];
  sha256(der, (size_t)len, digest);
  OPENSSL_free(der);
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, slice_of(digest, sizeof digest));
  if (hex.failed) return;
  assert(hex.len == WIRE_TLS_NAME_SIZE - 1);
  memcpy(out, hex.data, hex.len);
  out[hex.len] = '\0';
}
