/* What tests of TLS share: authorities and certificates made on the spot, and a client that speaks TLS over a
 * blocking socket, so that a test decides record by record what is on the wire. */
#ifndef DOMICILE_TESTS_TLS_TESTING_H
#define DOMICILE_TESTS_TLS_TESTING_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/time.h>

#include "wire_testing.h"

enum { DAY_S = 24 * 3600 };

/* A certificate with its key. Serial numbers need not be unique here. */
struct issued {
  EVP_PKEY *key;
  X509 *cert;
  struct buf cert_pem, key_pem;
};

static inline void issued_done(struct issued *i) {
  X509_free(i->cert);
  EVP_PKEY_free(i->key);
  buf_done(&i->cert_pem);
  buf_done(&i->key_pem);
}
#define ISSUED_AUTO __attribute__((cleanup(issued_done))) struct issued

static inline void add_extension(X509 *x, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  assert_non_null(e);
  assert_int_equal(X509_add_ext(x, e, -1), 1);
  X509_EXTENSION_free(e);
}

static inline void to_pem(struct issued *i) {
  char *data;
  BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_X509(cert, i->cert), 1);
  assert_int_equal(PEM_write_bio_PrivateKey(key, i->key, NULL, NULL, 0, NULL, NULL), 1);
  long n = BIO_get_mem_data(cert, &data);
  buf_append(&i->cert_pem, data, (size_t)n);
  n = BIO_get_mem_data(key, &data);
  buf_append(&i->key_pem, data, (size_t)n);
  BIO_free(cert);
  BIO_free(key);
}

/* `by` NULL: an authority of its own. `names`: as in a config of openssl, "DNS:a.test,IP:127.0.0.1". */
static inline struct issued issue(const struct issued *by, const char *subject, const char *names,
                                  long from_s, long to_s) {
  struct issued i = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
  assert_non_null(i.key);
  X509_set_version(i.cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(i.cert), 1 + rand());
  X509_gmtime_adj(X509_getm_notBefore(i.cert), from_s);
  X509_gmtime_adj(X509_getm_notAfter(i.cert), to_s);
  X509_set_pubkey(i.cert, i.key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(i.cert), "CN", MBSTRING_ASC,
                             (const unsigned char *)subject, -1, -1, 0);
  X509_set_issuer_name(i.cert, X509_get_subject_name(by != NULL ? by->cert : i.cert));
  add_extension(i.cert, by != NULL ? by->cert : i.cert, NID_basic_constraints,
                by != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
  if (names != NULL) add_extension(i.cert, i.cert, NID_subject_alt_name, names);
  assert_true(X509_sign(i.cert, by != NULL ? by->key : i.key, EVP_sha256()) > 0);
  to_pem(&i);
  return i;
}

static inline struct issued authority(const char *subject) {
  return issue(NULL, subject, NULL, -DAY_S, DAY_S);
}

static inline struct wire_tls_pair pair_of(const struct issued *i) {
  return (struct wire_tls_pair){"test.pem", buf_slice(&i->cert_pem), buf_slice(&i->key_pem)};
}

/* ---- a client ---- */

/* What a test wants of its client. */
struct caller {
  const struct issued *trusts; /* NULL: anybody */
  const struct issued *shows;  /* NULL: no certificate */
  const char *name;            /* SNI and the name that is checked; NULL: neither */
  int version;                 /* the only one; 0: any */
  const char *protocols;       /* ALPN, as on the wire; NULL: none */
  SSL_SESSION *session;        /* resumed; NULL: none */
};

struct talk {
  int fd;
  SSL_CTX *context;
  SSL *ssl;
  bool up; /* the handshake succeeded on this side */
};

static inline void bound_waits(int fd) {
  struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
}

static inline struct talk call_on(int fd, const struct caller *c) {
  struct talk t = {.fd = fd, .context = SSL_CTX_new(TLS_client_method())};
  bound_waits(fd);
  if (c->version != 0) {
    SSL_CTX_set_security_level(t.context, 0);
    SSL_CTX_set_min_proto_version(t.context, c->version);
    SSL_CTX_set_max_proto_version(t.context, c->version);
  }
  if (c->trusts != NULL) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(t.context), c->trusts->cert);
    SSL_CTX_set_verify(t.context, SSL_VERIFY_PEER, NULL);
  }
  if (c->shows != NULL) {
    assert_int_equal(SSL_CTX_use_certificate(t.context, c->shows->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(t.context, c->shows->key), 1);
  }
  t.ssl = SSL_new(t.context);
  SSL_set_fd(t.ssl, fd);
  if (c->name != NULL) {
    SSL_set_tlsext_host_name(t.ssl, c->name);
    SSL_set1_host(t.ssl, c->name);
  }
  if (c->protocols != NULL)
    SSL_set_alpn_protos(t.ssl, (const unsigned char *)c->protocols, (unsigned)strlen(c->protocols));
  if (c->session != NULL) SSL_set_session(t.ssl, c->session);
  ERR_clear_error();
  t.up = SSL_connect(t.ssl) == 1;
  return t;
}

static inline struct talk call(const struct rig *r, const struct caller *c) {
  return call_on(dial(r->port), c);
}

static inline void talk_done(struct talk *t) {
  SSL_free(t->ssl);
  SSL_CTX_free(t->context);
  if (t->fd >= 0) close(t->fd);
}
#define TALK_AUTO __attribute__((cleanup(talk_done))) struct talk

/* One record. */
static inline void tell(struct talk *t, const char *text) {
  assert_int_equal(SSL_write(t->ssl, text, (int)strlen(text)), (int)strlen(text));
}

/* Hears until `needle` has come `times` times. False: the connection ended before. */
static inline bool listen_for(struct talk *t, struct heard *h, const char *needle, size_t times) {
  while (count_parts(h, needle) < times) {
    int n = SSL_read(t->ssl, h->text + h->len, (int)(HEARD_MAX - h->len));
    if (n <= 0) {
      int why = SSL_get_error(t->ssl, n);
      assert_int_not_equal(why, SSL_ERROR_WANT_READ); /* the server hangs */
      h->ended = why == SSL_ERROR_ZERO_RETURN;        /* close_notify, nothing less */
      h->reset = !h->ended;
      return false;
    }
    h->len += (size_t)n;
    h->text[h->len] = '\0';
  }
  return true;
}

#endif
