/* The bench engine over TLS, against a server of its own with a certificate of its own. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "bench.h"
#include "load.h"

/* More than a record, and than any buffer of the engine. */
#define BODY_BYTES  100000
#define CONNECTIONS 3

struct server {
  SSL_CTX *tls;
  int listener;
  pthread_t threads[CONNECTIONS];
  struct endpoint endpoint;
  char ca[64];
};

static void certify(struct server *s, const char *address) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  assert_true(key != NULL && x != NULL);
  X509_set_version(x, 2);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, key);
  X509_NAME *name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, address);
  X509_add_ext(x, names, -1);
  X509_EXTENSION_free(names);
  assert_true(X509_sign(x, key, EVP_sha256()) > 0);
  snprintf(s->ca, sizeof s->ca, "/tmp/domicile-load-tls-XXXXXX");
  FILE *f = fdopen(mkstemp(s->ca), "w");
  assert_non_null(f);
  assert_int_equal(PEM_write_X509(f, x), 1);
  fclose(f);
  s->tls = SSL_CTX_new(TLS_server_method());
  assert_int_equal(SSL_CTX_use_certificate(s->tls, x), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(s->tls, key), 1);
  X509_free(x);
  EVP_PKEY_free(key);
}

/* Reads one head and as many bytes behind it as it announces. False: the connection ended. */
static bool take_request(SSL *tls) {
  static const char END[] = "\r\n\r\n", LENGTH[] = "Content-Length: ";
  char head[8192], body[4096];
  size_t len = 0;
  while (len < 4 || memcmp(head + len - 4, END, 4) != 0) {
    if (len == sizeof head - 1 || SSL_read(tls, head + len, 1) != 1) return false;
    head[++len] = '\0';
  }
  const char *length = strstr(head, LENGTH);
  long left = length != NULL ? strtol(length + sizeof LENGTH - 1, NULL, 10) : 0;
  while (left > 0) {
    int got = SSL_read(tls, body, left < (long)sizeof body ? (int)left : (int)sizeof body);
    if (got <= 0) return false;
    left -= got;
  }
  return true;
}

/* One connection: every request is answered with BODY_BYTES. */
static void *serve(void *arg) {
  struct server *s = arg;
  static uint8_t answer[64 + BODY_BYTES];
  char head[64];
  int fd = accept(s->listener, NULL, NULL);
  if (fd < 0) return NULL;
  SSL *tls = SSL_new(s->tls);
  SSL_set_fd(tls, fd);
  int len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_BYTES);
  if (SSL_accept(tls) == 1) {
    while (take_request(tls)) {
      if (SSL_write(tls, head, len) <= 0 || SSL_write(tls, answer, BODY_BYTES) <= 0) break;
    }
  }
  SSL_free(tls);
  close(fd);
  return NULL;
}

static void start(struct server *s, const char *address) {
  *s = (struct server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  certify(s, address);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  assert_int_equal(bind(s->listener, (struct sockaddr *)&at, len), 0);
  assert_int_equal(listen(s->listener, CONNECTIONS), 0);
  assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
  char url[64];
  snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(at.sin_port));
  assert_true(endpoint_parse(url, &s->endpoint));
  for (size_t i = 0; i < CONNECTIONS; i++) {
    assert_int_equal(pthread_create(&s->threads[i], NULL, serve, s), 0);
  }
}

static void stop(struct server *s) {
  shutdown(s->listener, SHUT_RDWR);
  for (size_t i = 0; i < CONNECTIONS; i++) assert_int_equal(pthread_join(s->threads[i], NULL), 0);
  close(s->listener);
  SSL_CTX_free(s->tls);
  unlink(s->ca);
}

static struct bench_config config_of(const struct server *s, enum bench_op op) {
  static const uint8_t payload[BODY_BYTES] = {1};
  return (struct bench_config){.endpoint = &s->endpoint,
                               .prefix = "x/",
                               .op = op,
                               .payload = slice_of(payload, sizeof payload),
                               .objects = 50,
                               .connections = CONNECTIONS,
                               .requests_max = 50};
}

static void check_all_answered(enum bench_op op) {
  struct server s;
  static struct bench_result r;
  start(&s, "IP:127.0.0.1");
  s.endpoint.ca_file = s.ca;
  struct bench_config config = config_of(&s, op);
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.requests, 50);
  assert_int_equal(r.errors, 0);
  assert_int_equal(r.body_bytes, 50 * BODY_BYTES);
  assert_int_equal(r.reconnects, 0);
  stop(&s);
}

static void test_reads(void **state) {
  (void)state;
  check_all_answered(BENCH_GET);
}

static void test_writes(void **state) {
  (void)state;
  check_all_answered(BENCH_PUT);
}

/* A certificate of nobody we know, and one of another address. */
static void test_strangers_are_refused(void **state) {
  (void)state;
  static struct bench_result r;
  struct server s;
  start(&s, "IP:127.0.0.1");
  struct bench_config config = config_of(&s, BENCH_GET);
  assert_false(bench_run(&config, &r));
  stop(&s);
  start(&s, "IP:127.0.0.2");
  s.endpoint.ca_file = s.ca;
  config = config_of(&s, BENCH_GET);
  assert_false(bench_run(&config, &r));
  assert_int_equal(r.requests, 0);
  stop(&s);
}

int main(void) {
  load_signals_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads),
      cmocka_unit_test(test_writes),
      cmocka_unit_test(test_strangers_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
