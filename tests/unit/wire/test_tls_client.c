/* Outbound requests over TLS: whom the client believes, what it shows, and that a kept connection whose
 * server has gone costs no request. */
#include "tls_testing.h"

static struct issued ca, other_ca, own;
static _Atomic unsigned handled;

static void handle(struct wire_exchange *x, void *arg) {
  char name[WIRE_TLS_NAME_SIZE];
  (void)arg;
  BUF_AUTO body = BUF_INIT;
  atomic_fetch_add(&handled, 1);
  assert_int_equal(wire_body_read_all(x, 1 << 20, &body, NULL), DOM_OK);
  wire_exchange_certified_name(x, name);
  (void)wire_reply(x, name[0] != '\0' ? 200 : 203, SLICE_LIT("answer"), NULL);
}

/* A server at `port` (0: any) that shows `shown`; NULL: without TLS. Asks for certificates by `ca`. */
static struct rig serve_at(unsigned port, const struct issued *shown, bool required) {
  struct rig r;
  struct dom_err err = {0};
  char address[32];
  snprintf(address, sizeof address, "127.0.0.1:%u", port);
  assert_int_equal(
      wire_server_new(&(struct wire_server_options){.workers = 2}, handle, NULL, &r.server, &err), DOM_OK);
  if (wire_server_listen_tcp(r.server, address, &r.listener, &err) != DOM_OK) fail_msg("%s", err.text);
  if (shown != NULL) {
    struct wire_tls_pair pair = pair_of(shown);
    struct wire_tls_options o = {.pairs = &pair,
                                 .pair_count = 1,
                                 .authorities = {buf_slice(&ca.cert_pem)},
                                 .client_required = required};
    struct wire_tls *tls = NULL;
    assert_int_equal(wire_tls_new(&o, &tls, &err), DOM_OK);
    wire_server_listener_tls(r.server, r.listener);
    wire_server_tls_put(r.server, tls);
  }
  assert_int_equal(wire_server_start(r.server, &err), DOM_OK);
  r.port = wire_server_port(r.server, r.listener);
  return r;
}

static struct wire_client *client_of(const struct issued *believed, const struct issued *shows) {
  struct wire_client *c = wire_client_new(1);
  struct wire_client_tls tls = {.authorities = buf_slice(&believed->cert_pem)};
  if (shows != NULL) {
    tls.chain = buf_slice(&shows->cert_pem);
    tls.key = buf_slice(&shows->key_pem);
  }
  assert_int_equal(wire_client_tls_put(c, &tls, NULL), DOM_OK);
  return c;
}

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  (void)arg, (void)err;
  memset(out, 'b', cap);
  *out_len = cap;
  return DOM_OK;
}

static enum dom_code ask(struct wire_client *c, const char *scheme, unsigned port, unsigned *out_status,
                         struct dom_err *err) {
  char origin[64];
  struct wire_outcome outcome;
  snprintf(origin, sizeof origin, "%s://127.0.0.1:%u", scheme, port);
  struct wire_request r = {.origin = origin,
                           .method = SLICE_LIT("PUT"),
                           .target = SLICE_LIT("/"),
                           .body_length = 1000,
                           .pull = pull,
                           .once = true,
                           .total_ms = PATIENCE_MS};
  enum dom_code code = wire_client_send(c, &r, &outcome, err);
  *out_status = outcome.status;
  return code;
}

static void expect_refusal(const struct issued *shown, const struct issued *believed, const char *why) {
  unsigned status = 0;
  struct dom_err err = {0};
  struct rig r = serve_at(0, shown, false);
  struct wire_client *c = client_of(believed, NULL);
  atomic_store(&handled, 0);
  assert_int_equal(ask(c, "https", r.port, &status, &err), DOM_UNAVAILABLE);
  if (strstr(err.text, why) == NULL) fail_msg("no \"%s\" in \"%s\"", why, err.text);
  assert_int_equal(atomic_load(&handled), 0);
  wire_client_free(c);
  rig_close(&r);
}

static void test_whom_it_believes(void **state) {
  (void)state;
  ISSUED_AUTO elsewhere = issue(&ca, "elsewhere", "DNS:elsewhere.test", -DAY_S, DAY_S);
  ISSUED_AUTO late = issue(&ca, "late", "IP:127.0.0.1", -2 * DAY_S, -DAY_S);
  ISSUED_AUTO early = issue(&ca, "early", "IP:127.0.0.1", DAY_S, 2 * DAY_S);
  expect_refusal(&own, &other_ca, "certificate");
  expect_refusal(&elsewhere, &ca, "subject name");
  expect_refusal(&late, &ca, "expired");
  expect_refusal(&early, &ca, "not yet valid");
}

static void test_what_it_shows(void **state) {
  (void)state;
  unsigned status = 0;
  struct dom_err err = {0};
  struct rig r = serve_at(0, &own, true);
  ISSUED_AUTO stranger = issue(&other_ca, "stranger", NULL, -DAY_S, DAY_S);
  struct wire_client *c = client_of(&ca, &own), *bare = client_of(&ca, NULL),
                     *wrong = client_of(&ca, &stranger);
  assert_int_equal(ask(c, "https", r.port, &status, &err), DOM_OK);
  assert_int_equal(status, 200);
  atomic_store(&handled, 0);
  assert_int_equal(ask(bare, "https", r.port, &status, &err), DOM_UNAVAILABLE);
  assert_int_equal(ask(wrong, "https", r.port, &status, &err), DOM_UNAVAILABLE);
  assert_int_equal(atomic_load(&handled), 0);
  wire_client_free(c);
  wire_client_free(bare);
  wire_client_free(wrong);
  rig_close(&r);
}

/* One connection for all; another one as soon as something else is believed or shown. */
static void test_kept_and_changed(void **state) {
  (void)state;
  unsigned status = 0;
  struct dom_err err = {0};
  struct wire_server_stats stats;
  struct rig r = serve_at(0, &own, false);
  struct wire_client *c = client_of(&ca, NULL);
  for (int i = 0; i < 10; i++) assert_int_equal(ask(c, "https", r.port, &status, &err), DOM_OK);
  assert_int_equal(status, 203);
  wire_server_stats(r.server, &stats);
  assert_int_equal(stats.accepted, 1);
  struct wire_client_tls tls = {.authorities = buf_slice(&ca.cert_pem),
                                .chain = buf_slice(&own.cert_pem),
                                .key = buf_slice(&own.key_pem)};
  assert_int_equal(wire_client_tls_put(c, &tls, &err), DOM_OK);
  assert_int_equal(ask(c, "https", r.port, &status, &err), DOM_OK);
  assert_int_equal(status, 200);
  tls.authorities = buf_slice(&other_ca.cert_pem);
  assert_int_equal(wire_client_tls_put(c, &tls, &err), DOM_OK);
  assert_int_equal(ask(c, "https", r.port, &status, &err), DOM_UNAVAILABLE);
  wire_client_free(c);
  rig_close(&r);
}

/* The server ends and comes back: the kept connection is dead, and the next request, which may leave only
 * once, still arrives, once. Also when somebody asked in vain in between. */
static void test_server_restarts(void **state) {
  (void)state;
  const char *const schemes[] = {"https", "http"};
  for (int i = 0; i < 4; i++) {
    bool tls = i % 2 == 0, in_vain = i >= 2;
    const char *scheme = schemes[!tls];
    unsigned status = 0;
    struct dom_err err = {0};
    struct rig r = serve_at(0, tls ? &own : NULL, false);
    struct wire_client *c = client_of(&ca, NULL);
    assert_int_equal(ask(c, scheme, r.port, &status, &err), DOM_OK);
    assert_int_equal(wire_server_drain(r.server, PATIENCE_MS, &err), DOM_OK);
    rig_close(&r);
    if (in_vain) assert_int_equal(ask(c, scheme, r.port, &status, NULL), DOM_UNAVAILABLE);
    r = serve_at(r.port, tls ? &own : NULL, false);
    atomic_store(&handled, 0);
    if (ask(c, scheme, r.port, &status, &err) != DOM_OK) fail_msg("%s: %s", scheme, err.text);
    assert_int_equal(atomic_load(&handled), 1);
    wire_client_free(c);
    rig_close(&r);
  }
}

static void test_without_memory(void **state) {
  (void)state;
  struct wire_client *c = wire_client_new(1);
  struct wire_client_tls tls = {.authorities = buf_slice(&ca.cert_pem),
                                .chain = buf_slice(&own.cert_pem),
                                .key = buf_slice(&own.key_pem)};
  enum dom_code code = DOM_NO_MEMORY;
  for (uint64_t n = 0; code != DOM_OK; n++) {
    int64_t live = dom_alloc_live();
    dom_alloc_fail_after(n, 1);
    code = wire_client_tls_put(c, &tls, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    assert_true(code == DOM_OK || (code == DOM_NO_MEMORY && dom_alloc_live() == live));
  }
  wire_client_free(c);
}

static int make_issued(void **state) {
  (void)state;
  ca = authority("test authority");
  other_ca = authority("another authority");
  own = issue(&ca, "own", "IP:127.0.0.1", -DAY_S, DAY_S);
  return 0;
}

static int drop_issued(void **state) {
  (void)state;
  issued_done(&ca);
  issued_done(&other_ca);
  issued_done(&own);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whom_it_believes), cmocka_unit_test(test_what_it_shows),
      cmocka_unit_test(test_kept_and_changed), cmocka_unit_test(test_server_restarts),
      cmocka_unit_test(test_without_memory)};
  return cmocka_run_group_tests(tests, make_issued, drop_issued);
}
