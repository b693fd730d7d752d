/* Proxies in front: whose word about a client's address is taken, and how their clients are counted. */
#include "wire_testing.h"

static _Atomic bool inside, open_gate;

static void handle(struct wire_exchange *x, void *arg) {
  (void)arg;
  if (slice_equal(wire_exchange_head(x)->path, SLICE_LIT("/gate"))) {
    atomic_store(&inside, true);
    while (!atomic_load(&open_gate)) (void)poll(NULL, 0, 1);
  }
  if (slice_equal(wire_exchange_head(x)->path, SLICE_LIT("/tls"))) {
    (void)wire_reply(x, 200, wire_exchange_tls(x) ? SLICE_LIT("secure") : SLICE_LIT("open"), NULL);
    return;
  }
  (void)wire_reply(x, 200, slice_str(wire_exchange_peer(x)), NULL);
}

static struct wire_server_options options_with(const char *const *fronts, size_t count,
                                               unsigned per_address) {
  struct wire_server_options o = {
      .workers = 4, .connections_per_address_max = per_address, .front_count = count};
  for (size_t i = 0; i < count; i++)
    assert_int_equal(wire_front_parse(fronts[i], &o.fronts[i], NULL), DOM_OK);
  return o;
}

static void expect_peer(const struct rig *r, const char *fields, const char *peer) {
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO want = BUF_INIT;
  struct heard h;
  buf_printf(&text, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", fields);
  buf_printf(&want, "\r\n\r\n%s", peer);
  talk(r, buf_str(&text), &h);
  assert_true(h.len >= want.len);
  assert_string_equal(h.text + h.len - want.len, buf_str(&want));
  heard_done(&h);
}

static void test_who_is_believed(void **state) {
  (void)state;
  const char *const fronts[] = {"127.0.0.0/8", "10.1.0.0/16", "2001:db8::/33"};
  struct wire_server_options o = options_with(fronts, 3, 0);
  struct rig r;
  rig_open(&r, &o, handle, NULL);
  const struct {
    const char *fields, *peer;
  } cases[] = {
      {"", "127.0.0.1"},
      {"X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"},
      {"x-forwarded-for:2001:db8:8000::1 \r\n", "2001:db8:8000::1"},
      {"X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", "203.0.113.9"}, /* the first is anybody's word */
      {"X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n", "203.0.113.9"},     /* through two fronts */
      {"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9,10.1.2.3\r\n", "203.0.113.9"},
      {"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 2001:db8::7\r\n", "203.0.113.9"},
      {"X-Forwarded-For: 10.1.0.1, 10.1.0.2\r\n", "10.1.0.1"},
      {"X-Forwarded-For: 203.0.113.9, unknown, 10.1.2.3\r\n", "10.1.2.3"},
      {"X-Forwarded-For: 203.0.113.9,\r\n", "127.0.0.1"},
      {"X-Forwarded-For: nobody\r\n", "127.0.0.1"},
      {"X-Forwarded-For:\r\n", "127.0.0.1"},
      {"X-Forwarded-For: 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22\r\n", "127.0.0.1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_peer(&r, cases[i].fields, cases[i].peer);
  rig_close(&r);
}

static void test_nobody_else_is(void **state) {
  (void)state;
  const char *const fronts[] = {"127.0.0.2"};
  struct wire_server_options none = options_with(NULL, 0, 0), other = options_with(fronts, 1, 0);
  struct rig r;
  rig_open(&r, &none, handle, NULL);
  expect_peer(&r, "X-Forwarded-For: 203.0.113.9\r\n", "127.0.0.1");
  rig_close(&r);
  rig_open(&r, &other, handle, NULL);
  expect_peer(&r, "X-Forwarded-For: 203.0.113.9\r\n", "127.0.0.1");
  rig_close(&r);
}

static void test_who_says_that_it_was_tls(void **state) {
  (void)state;
  const char *const fronts[] = {"127.0.0.1"};
  for (size_t count = 0; count < 2; count++) {
    struct wire_server_options o = options_with(fronts, count, 0);
    struct rig r;
    struct heard h;
    rig_open(&r, &o, handle, NULL);
    talk(&r, "GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n\r\n", &h);
    expect_part(&h, count == 1 ? "secure" : "open");
    heard_done(&h);
    talk(&r, "GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-Proto: http\r\n\r\n", &h);
    expect_part(&h, "open");
    heard_done(&h);
    rig_close(&r);
  }
}

#define ASK(path, client, more)                                                                              \
  "GET " path " HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " client "\r\n" more "\r\n"

/* One request at a time each: a client behind the front is refused its second, another one is not. */
static void test_clients_are_counted(void **state) {
  (void)state;
  const char *const fronts[] = {"127.0.0.1"};
  struct wire_server_options o = options_with(fronts, 1, 1);
  struct rig r;
  struct heard h;
  rig_open(&r, &o, handle, NULL);
  atomic_store(&inside, false);
  atomic_store(&open_gate, false);
  int first = dial(r.port);
  say(first, ASK("/gate", "203.0.113.9", "Connection: close\r\n"));
  while (!atomic_load(&inside)) (void)poll(NULL, 0, 1);
  talk(&r, ASK("/", "203.0.113.9", ""), &h);
  expect_part(&h, "HTTP/1.1 503 ");
  expect_part(&h, "SlowDown");
  heard_done(&h);
  talk(&r, ASK("/", "203.0.113.10", "") ASK("/", "203.0.113.10", "Connection: close\r\n"), &h);
  assert_int_equal(count_parts(&h, "HTTP/1.1 200 "), 2); /* its place was given back between the two */
  heard_done(&h);
  atomic_store(&open_gate, true);
  heard_init(&h);
  hear_all(first, &h);
  expect_part(&h, "203.0.113.9");
  heard_done(&h);
  close(first);
  talk(&r, ASK("/", "203.0.113.9", "Connection: close\r\n"), &h);
  expect_part(&h, "HTTP/1.1 200 ");
  heard_done(&h);
  rig_close(&r);
}

static void test_texts(void **state) {
  (void)state;
  const char *const good[] = {"0.0.0.0/0",    "::/0",           "192.0.2.7",
                              "192.0.2.0/24", "192.0.2.128/25", "2001:db8::1/128"};
  const char *const bad[] = {"",
                             "/8",
                             "192.0.2.0/",
                             "192.0.2.0/33",
                             "192.0.2.1/24",
                             "192.0.2/24",
                             "::/129",
                             "2001:db8::/16",
                             "192.0.2.7 ",
                             "proxy.test",
                             "192.0.2.0/-1",
                             "[::1]"};
  struct wire_front f;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    if (wire_front_parse(good[i], &f, NULL) != DOM_OK) fail_msg("%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (wire_front_parse(bad[i], &f, NULL) != DOM_INVALID) fail_msg("%s", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_who_is_believed), cmocka_unit_test(test_nobody_else_is),
      cmocka_unit_test(test_who_says_that_it_was_tls), cmocka_unit_test(test_clients_are_counted),
      cmocka_unit_test(test_texts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
