/* Requests and replies over real connections: bodies, pipelining, keep-alive, 100-continue. */
#include "wire_testing.h"

/* Echoes the body in the way that the path asks for. */
static void echo_reply(struct wire_exchange *x, struct slice path, struct slice body) {
  struct dom_err err = {0};
  if (slice_equal(path, SLICE_LIT("/chunked")) || slice_equal(path, SLICE_LIT("/short")) ||
      slice_equal(path, SLICE_LIT("/known"))) {
    bool known = !slice_equal(path, SLICE_LIT("/chunked"));
    size_t extra = slice_equal(path, SLICE_LIT("/short")) ? 1 : 0;
    wire_reply_begin(x, 200, known ? body.len + extra : WIRE_LENGTH_UNKNOWN);
    for (size_t at = 0; at < body.len; at += 3) {
      size_t n = body.len - at < 3 ? body.len - at : 3;
      assert_int_equal(wire_reply_write(x, body.data + at, n, &err), DOM_OK);
    }
    assert_int_equal(wire_reply_end(x, &err), extra > 0 ? DOM_INVALID : DOM_OK);
    return;
  }
  assert_int_equal(wire_reply(x, 200, body, &err), DOM_OK);
}

static void handle(struct wire_exchange *x, void *arg) {
  const struct wire_head *h = wire_exchange_head(x);
  struct dom_err err = {0};
  (void)arg;
  if (slice_equal(h->path, SLICE_LIT("/forget"))) return;
  if (slice_equal(h->path, SLICE_LIT("/abort"))) {
    wire_reply_abort(x);
    return;
  }
  if (slice_equal(h->path, SLICE_LIT("/half"))) {
    wire_reply_begin(x, 200, 100);
    (void)wire_reply_write(x, "some", 4, &err);
    return;
  }
  if (slice_equal(h->path, SLICE_LIT("/refuse"))) {
    (void)wire_reply(x, 403, SLICE_LIT("no"), &err);
    return;
  }
  if (slice_equal(h->path, SLICE_LIT("/nothing"))) {
    (void)wire_reply(x, 204, (struct slice){0}, &err);
    return;
  }
  if (slice_equal(h->path, SLICE_LIT("/fields"))) {
    assert_int_equal(wire_reply_field_str(x, "X-Good", "yes"), DOM_OK);
    assert_int_equal(wire_reply_field_str(x, "X-Bad", "a\r\nSet-Cookie: b"), DOM_INVALID);
    assert_int_equal(wire_reply_field_str(x, "X-Bad\n", "a"), DOM_INVALID);
    (void)wire_reply(x, 200, SLICE_LIT("ok"), &err);
    return;
  }
  if (slice_equal(h->path, SLICE_LIT("/restart"))) {
    assert_int_equal(wire_reply_field_str(x, "ETag", "old"), DOM_OK);
    wire_reply_begin(x, 200, 5);
    assert_true(wire_reply_is_open(x));
    wire_reply_restart(x);
    (void)wire_reply(x, 404, SLICE_LIT("gone"), &err);
    return;
  }
  BUF_AUTO body = BUF_INIT;
  enum dom_code c = wire_body_read_all(x, 1 << 20, &body, &err);
  if (c != DOM_OK) {
    (void)wire_reply(x, 400, slice_str(dom_code_name(c)), NULL);
    return;
  }
  assert_int_equal(wire_body_taken(x), body.len);
  echo_reply(x, h->path, buf_slice(&body));
}

static struct rig rig;

static int open_rig(void **state) {
  (void)state;
  rig_open(&rig, &(struct wire_server_options){.workers = 4}, handle, NULL);
  return 0;
}

static int close_rig(void **state) {
  (void)state;
  rig_close(&rig);
  return 0;
}

#define HEAD(line, fields) line " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define LAST               "Connection: close\r\n"

static void check(const char *request, const char *const *parts, size_t replies) {
  struct heard h;
  talk(&rig, request, &h);
  for (; *parts != NULL; parts++) expect_part(&h, *parts);
  assert_int_equal(count_parts(&h, "HTTP/1.1 "), replies);
  heard_done(&h);
}
#define CHECK(request, replies, ...) check(request, (const char *const[]){__VA_ARGS__, NULL}, replies)

static void test_bodies(void **state) {
  (void)state;
  CHECK(HEAD("PUT /", LAST "Content-Length: 5\r\n") "hello", 1, "200 OK", "Content-Length: 5\r\n",
        "Connection: close\r\n", "\r\n\r\nhello");
  CHECK(
      HEAD("PUT /", LAST "Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n4;x=y\r\n you\r\n0\r\nT: x\r\n\r\n",
      1, "200 OK", "\r\n\r\nhello you");
  CHECK(HEAD("PUT /chunked", LAST "Content-Length: 5\r\n") "hello", 1, "Transfer-Encoding: chunked\r\n",
        "\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  CHECK(HEAD("PUT /known", LAST "Content-Length: 5\r\n") "hello", 1, "Content-Length: 5\r\n",
        "\r\n\r\nhello");
  CHECK(HEAD("PUT /", LAST "Transfer-Encoding: chunked\r\n") "x\r\n", 1, "400", "\r\n\r\ninvalid");
  CHECK(HEAD("GET /chunked", LAST), 1, "\r\n\r\n0\r\n\r\n");
}

static void test_bodiless(void **state) {
  (void)state;
  struct heard h;
  talk(&rig, HEAD("HEAD /refuse", LAST), &h);
  expect_part(&h, "403 Forbidden");
  expect_part(&h, "Content-Length: 2\r\n");
  assert_string_equal(strstr(h.text, "\r\n\r\n"), "\r\n\r\n");
  heard_done(&h);
  talk(&rig, HEAD("DELETE /nothing", LAST), &h);
  expect_part(&h, "204 No Content");
  assert_null(strstr(h.text, "Content-Length"));
  heard_done(&h);
}

static void test_fields(void **state) {
  (void)state;
  struct heard h;
  talk(&rig, HEAD("GET /fields", LAST), &h);
  expect_part(&h, "X-Good: yes\r\n");
  expect_part(&h, "\r\nServer: Domicile\r\n");
  expect_part(&h, " GMT\r\n");
  assert_null(strstr(h.text, "Set-Cookie"));
  heard_done(&h);
  talk(&rig, HEAD("GET /restart", LAST), &h);
  expect_part(&h, "404 Not Found");
  assert_null(strstr(h.text, "ETag"));
  heard_done(&h);
}

static void test_pipeline(void **state) {
  (void)state;
  CHECK(HEAD("PUT /", "Content-Length: 3\r\n") "one" HEAD("GET /refuse", "")
            HEAD("PUT /", "Transfer-Encoding: chunked\r\n") "3\r\ntwo\r\n0\r\n\r\n" HEAD(
                "PUT /refuse",
                "Content-Length: 4\r\n") "skip"
                                         "\r\n" HEAD("PUT /", LAST "Content-Length: 5\r\n") "three" HEAD(
                                             "GET /after-close", ""),
        5, "\r\n\r\none", "\r\n\r\nno", "\r\n\r\ntwo", "\r\n\r\nthree");
}

/* A body that the handler left alone must never be read as a request. */
static void test_unread_bodies(void **state) {
  (void)state;
  CHECK(HEAD("PUT /refuse", "Content-Length: 24\r\n") "GET /x HTTP/1.1\r\nHost: a" HEAD("GET /", LAST), 2,
        "403 Forbidden", "200 OK");
  CHECK(HEAD("PUT /refuse", "Transfer-Encoding: chunked\r\n") "0\r\n\r\n" HEAD("GET /", ""), 1, "403",
        "Connection: close\r\n");
  CHECK(HEAD("PUT /refuse", "Content-Length: 999999\r\n") "begin", 1, "403", "Connection: close\r\n");
}

static void test_large_unread_body(void **state) {
  (void)state;
  struct heard h;
  size_t size = 4 << 20;
  char *body = calloc(1, size), head[128];
  int fd = dial(rig.port);
  heard_init(&h);
  snprintf(head, sizeof head, HEAD("PUT /refuse", "Content-Length: %zu\r\n"), size);
  say(fd, head);
  say_bytes(fd, body, size);
  hear_all(fd, &h);
  expect_part(&h, "403 Forbidden"); /* the reply arrives although we were still sending */
  close(fd);
  free(body);
  heard_done(&h);
}

static void test_http_1_0(void **state) {
  (void)state;
  CHECK("GET /chunked HTTP/1.0\r\n\r\n", 1, "Connection: close\r\n");
  CHECK("PUT /chunked HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 1, "\r\n\r\nhello");
  CHECK("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", 2,
        "Connection: keep-alive\r\n", "Connection: close\r\n");
}

static void test_expect(void **state) {
  (void)state;
  struct heard h;
  int fd = dial(rig.port);
  heard_init(&h);
  say(fd, HEAD("PUT /", LAST "Expect: 100-continue\r\nContent-Length: 5\r\n"));
  hear_until(fd, &h, "HTTP/1.1 100 Continue\r\n\r\n");
  assert_int_equal(h.len, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
  say(fd, "hello");
  hear_all(fd, &h);
  expect_part(&h, "\r\n\r\nhello");
  close(fd);
  heard_done(&h);
  /* Refused from the head alone: no 100, and the connection ends, for the body may or may not come. */
  CHECK(HEAD("PUT /refuse", "Expect: 100-continue\r\nContent-Length: 5\r\n"), 1, "HTTP/1.1 403",
        "Connection: close");
  /* Real clients wait for it before an empty body, too. */
  CHECK(HEAD("PUT /", LAST "Expect: 100-continue\r\nContent-Length: 0\r\n"), 2,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200");
  CHECK(HEAD("PUT /refuse", "Expect: 100-continue\r\nContent-Length: 0\r\n"), 1, "HTTP/1.1 403",
        "Connection: close");
  /* Never to those who did not ask. */
  CHECK(HEAD("PUT /", LAST "Content-Length: 2\r\n") "hi", 1, "HTTP/1.1 200");
  CHECK("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", 1, "HTTP/1.1 200");
}

static void test_forgotten_reply(void **state) {
  (void)state;
  CHECK(HEAD("GET /forget", "") HEAD("GET /", LAST), 2, "500 Internal Server Error",
        "<Code>InternalError</Code>", "200 OK");
}

static void expect_failure(const char *request) {
  struct heard h;
  talk(&rig, request, &h);
  assert_true(h.reset); /* an orderly end could be taken for a whole reply */
  heard_done(&h);
}

static void test_broken_replies(void **state) {
  (void)state;
  expect_failure(HEAD("PUT /short", "Content-Length: 5\r\n") "hello");
  expect_failure(HEAD("GET /half", ""));
  expect_failure(HEAD("GET /abort", ""));
}

static void test_refused_head(void **state) {
  (void)state;
  CHECK("GET / HTTP/1.1\r\n\r\n" HEAD("GET /", ""), 1, "400 Bad Request", "Connection: close\r\n",
        "<Message>");
  CHECK("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 1, "501 Not Implemented");
  CHECK("GET / HTTP/1.1\nHost: a\n\n", 1, "400 Bad Request");
}

/* Every split of a request into two writes gives the same replies. */
static void test_splits(void **state) {
  (void)state;
  static const char text[] =
      HEAD("PUT /", "Transfer-Encoding: chunked\r\n") "3\r\ntwo\r\n0\r\n\r\n" HEAD("GET /", LAST);
  for (size_t at = 1; at < sizeof text - 1; at++) {
    struct heard h;
    int fd = dial(rig.port);
    heard_init(&h);
    say_bytes(fd, text, at);
    say_bytes(fd, text + at, sizeof text - 1 - at);
    hear_all(fd, &h);
    assert_int_equal(count_parts(&h, "HTTP/1.1 200 OK"), 2);
    expect_part(&h, "\r\n\r\ntwo");
    close(fd);
    heard_done(&h);
  }
}

struct caller {
  pthread_t thread;
  int failures;
};

static void *call_many(void *arg) {
  struct caller *c = arg;
  int fd = dial(rig.port);
  for (int i = 0; i < 200; i++) {
    char text[128], want[64];
    struct heard h;
    heard_init(&h);
    int n = snprintf(want, sizeof want, "value %d of %p", i, arg);
    snprintf(text, sizeof text, HEAD("PUT /", "Content-Length: %d\r\n") "%s", n, want);
    say(fd, text);
    while (strstr(h.text, want) == NULL && hear_some(fd, &h)) {
    }
    if (strstr(h.text, want) == NULL) c->failures++;
    heard_done(&h);
  }
  close(fd);
  return NULL;
}

/* More kept connections than workers: each gets its own answers. */
static void test_many_connections(void **state) {
  (void)state;
  struct caller callers[16] = {0};
  for (size_t i = 0; i < 16; i++)
    assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
  for (size_t i = 0; i < 16; i++) {
    pthread_join(callers[i].thread, NULL);
    assert_int_equal(callers[i].failures, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bodies),          cmocka_unit_test(test_bodiless),
      cmocka_unit_test(test_fields),          cmocka_unit_test(test_pipeline),
      cmocka_unit_test(test_unread_bodies),   cmocka_unit_test(test_large_unread_body),
      cmocka_unit_test(test_http_1_0),        cmocka_unit_test(test_expect),
      cmocka_unit_test(test_forgotten_reply), cmocka_unit_test(test_broken_replies),
      cmocka_unit_test(test_refused_head),    cmocka_unit_test(test_splits),
      cmocka_unit_test(test_many_connections)};
  return cmocka_run_group_tests(tests, open_rig, close_rig);
}
