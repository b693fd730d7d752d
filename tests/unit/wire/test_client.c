/* Outbound requests: what goes out, how it streams, how it fails, and that a mutation goes once. */
#include "wire_testing.h"

static struct {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  bool inside, open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void gate_pass(void) {
  pthread_mutex_lock(&gate.lock);
  gate.inside = true;
  pthread_cond_broadcast(&gate.moved);
  while (!gate.open) pthread_cond_wait(&gate.moved, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
}

static void gate_set(bool open) {
  pthread_mutex_lock(&gate.lock);
  gate.open = open;
  gate.inside = false;
  pthread_cond_broadcast(&gate.moved);
  pthread_mutex_unlock(&gate.lock);
}

static bool gate_is_inside(void) {
  pthread_mutex_lock(&gate.lock);
  bool inside = gate.inside;
  pthread_mutex_unlock(&gate.lock);
  return inside;
}

static _Atomic int body_result;

/* Tells the head as it was received, then the body's length and sum. */
static void dump(struct wire_exchange *x) {
  const struct wire_head *h = wire_exchange_head(x);
  struct dom_err err = {0};
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  uint64_t sum = 0;
  atomic_store(&body_result, wire_body_read_all(x, 16 << 20, &body, &err));
  for (size_t i = 0; i < body.len; i++) sum += body.data[i];
  buf_printf(&text, "%.*s %.*s\n", (int)h->method_text.len, (const char *)h->method_text.data,
             (int)h->target.len, (const char *)h->target.data);
  for (size_t i = 0; i < h->field_count; i++)
    buf_printf(&text, "%.*s=%.*s\n", (int)h->fields[i].name.len, (const char *)h->fields[i].name.data,
               (int)h->fields[i].value.len, (const char *)h->fields[i].value.data);
  buf_printf(&text, "body %zu %llu\n", body.len, (unsigned long long)sum);
  assert_int_equal(wire_reply_field_str(x, "X-Answer", "first"), DOM_OK);
  assert_int_equal(wire_reply_field_str(x, "X-Answer", "second"), DOM_OK);
  (void)wire_reply(x, 200, buf_slice(&text), &err);
}

static void handle(struct wire_exchange *x, void *arg) {
  struct slice path = wire_exchange_head(x)->path;
  (void)arg;
  if (slice_equal(path, SLICE_LIT("/refuse"))) {
    (void)wire_reply(x, 403, SLICE_LIT("refused"), NULL);
  } else if (slice_equal(path, SLICE_LIT("/ignore"))) {
    (void)wire_reply(x, 200, SLICE_LIT("ignored"), NULL);
  } else if (slice_equal(path, SLICE_LIT("/redirect"))) {
    (void)wire_reply_field_str(x, "Location", "/elsewhere");
    (void)wire_reply(x, 307, (struct slice){0}, NULL);
  } else if (slice_equal(path, SLICE_LIT("/truncate"))) {
    wire_reply_begin(x, 200, 100);
    (void)wire_reply_write(x, "part", 4, NULL);
    wire_reply_abort(x);
  } else if (slice_equal(path, SLICE_LIT("/gate"))) {
    gate_pass();
    (void)wire_reply(x, 200, (struct slice){0}, NULL);
  } else {
    dump(x);
  }
}

static struct rig rig;
static struct wire_client *client;
static char origin[64], unix_folder[64], unix_path[80];

static int open_rig(void **state) {
  (void)state;
  struct dom_err err = {0};
  struct wire_server_options options = {.workers = 4};
  unsigned listener;
  snprintf(unix_folder, sizeof unix_folder, "/tmp/wire-XXXXXX");
  if (mkdtemp(unix_folder) == NULL) return -1;
  snprintf(unix_path, sizeof unix_path, "%s/s", unix_folder);
  assert_int_equal(wire_server_new(&options, handle, NULL, &rig.server, &err), DOM_OK);
  assert_int_equal(wire_server_listen_tcp(rig.server, "127.0.0.1:0", &rig.listener, &err), DOM_OK);
  assert_int_equal(wire_server_listen_unix(rig.server, unix_path, &listener, &err), DOM_OK);
  assert_int_equal(wire_server_start(rig.server, &err), DOM_OK);
  snprintf(origin, sizeof origin, "http://127.0.0.1:%u", wire_server_port(rig.server, rig.listener));
  /* Proxies of the environment must not matter. */
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  client = wire_client_new(4);
  return client != NULL ? 0 : -1;
}

static int close_rig(void **state) {
  (void)state;
  wire_client_free(client);
  rig_close(&rig);
  return rmdir(unix_folder);
}

/* One request's two ends. */
struct traffic {
  uint64_t to_give, given;
  enum dom_code pull_fails, answer_fails;
  unsigned answers, status;
  struct buf fields, body;
};

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct traffic *t = arg;
  if (t->pull_fails != DOM_OK && t->given > 0) return dom_fail(err, t->pull_fails, "test", "planted");
  size_t n = t->to_give - t->given < cap ? (size_t)(t->to_give - t->given) : cap;
  memset(out, 1, n);
  t->given += n;
  *out_len = n;
  return DOM_OK;
}

static enum dom_code answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                            struct dom_err *err) {
  struct traffic *t = arg;
  t->answers++;
  t->status = status;
  for (size_t i = 0; i < count; i++)
    buf_printf(&t->fields, "%.*s=%.*s\n", (int)fields[i].name.len, (const char *)fields[i].name.data,
               (int)fields[i].value.len, (const char *)fields[i].value.data);
  return t->answer_fails == DOM_OK ? DOM_OK : dom_fail(err, t->answer_fails, "test", "planted");
}

static enum dom_code sink(void *arg, struct slice bytes, struct dom_err *err) {
  struct traffic *t = arg;
  (void)err;
  buf_append_slice(&t->body, bytes);
  return DOM_OK;
}

static void traffic_done(struct traffic *t) {
  buf_done(&t->fields);
  buf_done(&t->body);
}
#define TRAFFIC_AUTO __attribute__((cleanup(traffic_done))) struct traffic

static struct wire_request request_to(const char *where, const char *method, const char *target,
                                      struct traffic *t) {
  return (struct wire_request){.origin = where,
                               .method = slice_str(method),
                               .target = slice_str(target),
                               .pull = pull,
                               .answer = answer,
                               .sink = sink,
                               .arg = t};
}

static void test_as_given(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  const struct wire_field fields[] = {{SLICE_LIT("Host"), SLICE_LIT("bucket.example")},
                                      {SLICE_LIT("x-amz-b"), SLICE_LIT("2")},
                                      {SLICE_LIT("X-Amz-A"), SLICE_LIT("1")},
                                      {SLICE_LIT("x-amz-b"), SLICE_LIT("3")},
                                      {SLICE_LIT("x-empty"), SLICE_LIT("")},
                                      {SLICE_LIT("Connection"), SLICE_LIT("close")},
                                      {SLICE_LIT("Content-Length"), SLICE_LIT("999")},
                                      {SLICE_LIT("User-Agent"), SLICE_LIT("phone/1")},
                                      {SLICE_LIT("Transfer-Encoding"), SLICE_LIT("chunked")}};
  struct wire_request r = request_to(origin, "GET", "/a/../b%2f/./c?x=%20&&y", &t);
  r.fields = fields;
  r.field_count = sizeof fields / sizeof fields[0];
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_string_equal(buf_str(&t.body),
                      "GET /a/../b%2f/./c?x=%20&&y\nHost=bucket.example\nx-amz-b=2\nX-Amz-A=1\n"
                      "x-amz-b=3\nx-empty=\nUser-Agent=phone/1\nbody 0 0\n");
  assert_int_equal(o.status, 200);
  assert_int_equal(t.answers, 1);
  assert_non_null(strstr(buf_str(&t.fields), "X-Answer=first\nX-Answer=second\n"));
}

static void upload(struct wire_client *by, struct wire_request r, struct traffic *t, uint64_t size,
                   bool chunked, const char *head) {
  struct dom_err err = {0};
  struct wire_outcome o;
  char want[64];
  t->to_give = size;
  r.body_length = chunked ? WIRE_CLIENT_CHUNKED : size;
  if (wire_client_send(by, &r, &o, &err) != DOM_OK) fail_msg("%s", err.text);
  snprintf(want, sizeof want, "body %llu %llu\n", (unsigned long long)size, (unsigned long long)size);
  assert_non_null(strstr(buf_str(&t->body), want));
  if (head != NULL) assert_non_null(strstr(buf_str(&t->body), head));
  assert_int_equal(o.pulled, size);
  assert_int_equal(o.received, t->body.len);
}

static void test_uploads(void **state) {
  (void)state;
  static const uint64_t sizes[] = {1, 4096, 3u << 20};
  for (size_t i = 0; i < 3; i++)
    for (int mode = 0; mode < 4; mode++) {
      TRAFFIC_AUTO t = {0};
      char head[64];
      bool chunked = mode & 1;
      struct wire_request r = request_to(origin, "PUT", "/k", &t);
      r.expect_continue = mode & 2;
      if (chunked)
        snprintf(head, sizeof head, "Transfer-Encoding=chunked\n");
      else
        snprintf(head, sizeof head, "Content-Length=%llu\n", (unsigned long long)sizes[i]);
      upload(client, r, &t, sizes[i], chunked, head);
      assert_int_equal(strstr(buf_str(&t.body), "Expect=") != NULL, r.expect_continue);
    }
}

static void test_empty_put(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "PUT", "/k", &t);
  r.length_header = true;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_non_null(strstr(buf_str(&t.body), "PUT /k\n"));
  assert_non_null(strstr(buf_str(&t.body), "Content-Length=0\n"));
}

static void test_early_refusal(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    TRAFFIC_AUTO t = {.to_give = 5 << 20};
    struct dom_err err = {0};
    struct wire_outcome o;
    struct wire_request r = request_to(origin, "PUT", round == 1 ? "/redirect" : "/refuse", &t);
    r.body_length = t.to_give;
    r.expect_continue = true;
    r.once = true;
    assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
    assert_int_equal(o.status, round == 1 ? 307 : 403);
    assert_int_equal(o.pulled, 0); /* not a byte left before the peer wanted it */
    assert_int_equal(t.given, 0);
    assert_int_equal(t.answers, 1);
  }
}

/* A success that did not want the body: it is final all the same. */
static void test_early_success(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {.to_give = 5 << 20};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "PUT", "/ignore", &t);
  r.body_length = t.to_give;
  r.expect_continue = r.once = true;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_int_equal(o.pulled, 0);
  assert_int_equal(o.status, 200);
}

static void test_head(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "HEAD", "/refuse", &t);
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_int_equal(o.status, 403);
  assert_int_equal(o.received, 0);
  assert_non_null(strstr(buf_str(&t.fields), "Content-Length=7\n"));
}

static void test_no_redirect(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "GET", "/redirect", &t);
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_int_equal(o.status, 307);
}

static void test_unix(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to("http://localhost", "GET", "/u", &t);
  r.unix_path = unix_path;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_OK);
  assert_non_null(strstr(buf_str(&t.body), "GET /u\n"));
}

static void test_truncated_answer(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "GET", "/truncate", &t);
  r.once = true;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_UNAVAILABLE);
}

static void test_nobody_there(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {.to_give = 10};
  struct dom_err err = {0};
  struct wire_outcome o;
  char where[64];
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: nobody else gets this port */
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  snprintf(where, sizeof where, "http://127.0.0.1:%u", ntohs(a.sin_port));
  struct wire_request r = request_to(where, "PUT", "/", &t);
  r.body_length = 10;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_UNAVAILABLE);
  assert_false(o.connected);
  assert_int_equal(o.pulled, 0);
  close(fd);
}

static void test_failing_callbacks(void **state) {
  (void)state;
  struct wire_outcome o;
  {
    TRAFFIC_AUTO t = {.to_give = 2 << 20, .pull_fails = DOM_CORRUPT};
    struct dom_err err = {0};
    struct wire_request r = request_to(origin, "PUT", "/k", &t);
    r.body_length = t.to_give;
    atomic_store(&body_result, DOM_OK);
    assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_CORRUPT);
    assert_string_equal(err.text, "planted");
  }
  TRAFFIC_AUTO t = {.answer_fails = DOM_NO_SPACE};
  struct dom_err err = {0};
  struct wire_request r = request_to(origin, "GET", "/k", &t);
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_NO_SPACE);
  assert_int_equal(t.body.len, 0);
}

static void test_short_body(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {.to_give = 5};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "PUT", "/k", &t);
  r.body_length = 10;
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_INVALID);
}

static bool cancel_when_inside(void *arg) {
  (void)arg;
  return gate_is_inside();
}

static void test_cancel(void **state) {
  (void)state;
  TRAFFIC_AUTO t = {0};
  struct dom_err err = {0};
  struct wire_outcome o;
  struct wire_request r = request_to(origin, "GET", "/gate", &t);
  r.cancel = cancel_when_inside;
  gate_set(false);
  assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_CANCELLED);
  gate_set(true);
}

static void test_timeouts(void **state) {
  (void)state;
  for (int stall = 0; stall < 2; stall++) {
    TRAFFIC_AUTO t = {0};
    struct dom_err err = {0};
    struct wire_outcome o;
    struct wire_request r = request_to(origin, "GET", "/gate", &t);
    if (stall)
      r.stall_ms = 30;
    else
      r.total_ms = 30;
    gate_set(false);
    assert_int_equal(wire_client_send(client, &r, &o, &err), DOM_TIMEOUT);
    assert_true(o.connected);
    gate_set(true);
  }
}

/* --- a server that answers once on a connection and hangs up on the second request --- */

struct fickle {
  int listener;
  unsigned requests, connections;
  bool stop;
  pthread_t thread;
};

/* Reads one head; false at the end of the connection. */
static bool read_head(int fd, char *text, size_t cap) {
  size_t len = 0;
  while (len + 1 < cap) {
    ssize_t n = recv(fd, text + len, 1, 0);
    if (n <= 0) return false;
    text[++len] = '\0';
    if (len >= 4 && strcmp(text + len - 4, "\r\n\r\n") == 0) return true;
  }
  return false;
}

static void *fickle_main(void *arg) {
  struct fickle *f = arg;
  char text[4096];
  for (;;) {
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0) return NULL;
    f->connections++;
    while (read_head(fd, text, sizeof text)) {
      f->requests++;
      if (f->requests == 2) break; /* taken, perhaps acted upon, never answered */
      say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    close(fd);
  }
}

static void fickle_open(struct fickle *f, char *where, size_t cap) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t len = sizeof a;
  *f = (struct fickle){.listener = socket(AF_INET, SOCK_STREAM, 0)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(f->listener, 8), 0);
  assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &len), 0);
  snprintf(where, cap, "http://127.0.0.1:%u", ntohs(a.sin_port));
  assert_int_equal(pthread_create(&f->thread, NULL, fickle_main, f), 0);
}

static void fickle_close(struct fickle *f) {
  shutdown(f->listener, SHUT_RDWR); /* accept returns */
  pthread_join(f->thread, NULL);
  close(f->listener);
}

static void on_dead_connection(bool once, const char *method, enum dom_code want, unsigned requests) {
  struct fickle f;
  struct wire_outcome o;
  char where[64];
  struct wire_client *own = wire_client_new(1);
  fickle_open(&f, where, sizeof where);
  for (int i = 0; i < 2; i++) {
    TRAFFIC_AUTO t = {0};
    struct dom_err err = {0};
    struct wire_request r = request_to(where, method, "/", &t);
    r.once = once;
    assert_int_equal(wire_client_send(own, &r, &o, &err), i == 0 ? DOM_OK : want);
  }
  wire_client_free(own);
  fickle_close(&f);
  assert_int_equal(f.requests, requests);
}

/* The connection dies after the second request was written on it. libcurl sends anew by itself,
 * which is what reads want and what a mutation must not suffer. */
static void test_once(void **state) {
  (void)state;
  on_dead_connection(true, "DELETE", DOM_UNAVAILABLE, 2);
  on_dead_connection(true, "GET", DOM_UNAVAILABLE, 2);
  on_dead_connection(false, "GET", DOM_OK, 3); /* shows that the test can fail */
}

/* The same with a body: announced, wanted never. */
static void test_once_with_body(void **state) {
  (void)state;
  struct fickle f;
  struct wire_outcome o;
  char where[64];
  struct wire_client *own = wire_client_new(1);
  fickle_open(&f, where, sizeof where);
  TRAFFIC_AUTO t = {.to_give = 1000};
  struct dom_err err = {0};
  struct wire_request r = request_to(where, "GET", "/", &t);
  assert_int_equal(wire_client_send(own, &r, &o, &err), DOM_OK);
  r = request_to(where, "PUT", "/", &t);
  r.body_length = 1000;
  r.once = r.expect_continue = true;
  assert_int_equal(wire_client_send(own, &r, &o, &err), DOM_UNAVAILABLE);
  assert_int_equal(o.pulled, 0); /* so the caller may try again elsewhere */
  wire_client_free(own);
  fickle_close(&f);
  assert_int_equal(f.requests, 2);
}

static void test_connection_is_kept(void **state) {
  (void)state;
  struct wire_server_stats before, after;
  struct wire_client *own = wire_client_new(2);
  wire_server_stats(rig.server, &before);
  for (int i = 0; i < 10; i++) {
    TRAFFIC_AUTO t = {0};
    struct wire_request r = request_to(origin, "PUT", "/k", &t);
    r.once = true;
    upload(own, r, &t, 100, false, NULL);
  }
  wire_server_stats(rig.server, &after);
  assert_int_equal(after.accepted - before.accepted, 1);
  wire_client_free(own);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_given),
                                     cmocka_unit_test(test_uploads),
                                     cmocka_unit_test(test_empty_put),
                                     cmocka_unit_test(test_early_refusal),
                                     cmocka_unit_test(test_head),
                                     cmocka_unit_test(test_early_success),
                                     cmocka_unit_test(test_no_redirect),
                                     cmocka_unit_test(test_unix),
                                     cmocka_unit_test(test_truncated_answer),
                                     cmocka_unit_test(test_nobody_there),
                                     cmocka_unit_test(test_failing_callbacks),
                                     cmocka_unit_test(test_short_body),
                                     cmocka_unit_test(test_cancel),
                                     cmocka_unit_test(test_timeouts),
                                     cmocka_unit_test(test_once),
                                     cmocka_unit_test(test_once_with_body),
                                     cmocka_unit_test(test_connection_is_kept)};
  return cmocka_run_group_tests(tests, open_rig, close_rig);
}
