/* Deadlines, caps, drain. Deadlines are small options of the server; the tests wait for what the
 * server does, never for time to pass. */
#include "wire_testing.h"

#include <poll.h>

#include "wire/io.h"

/* A gate that holds handlers until the test opens it. */
struct gate {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  unsigned inside;
  bool open;
};

static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void gate_close(void) {
  pthread_mutex_lock(&gate.lock);
  gate.inside = 0;
  gate.open = false;
  pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void) {
  pthread_mutex_lock(&gate.lock);
  gate.inside++;
  pthread_cond_broadcast(&gate.moved);
  while (!gate.open) pthread_cond_wait(&gate.moved, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void) {
  pthread_mutex_lock(&gate.lock);
  gate.open = true;
  pthread_cond_broadcast(&gate.moved);
  pthread_mutex_unlock(&gate.lock);
}

static void gate_wait_inside(unsigned count) {
  pthread_mutex_lock(&gate.lock);
  while (gate.inside < count) pthread_cond_wait(&gate.moved, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
}

static _Atomic int body_result, reply_result;
static _Atomic bool seen_gone;

static void handle(struct wire_exchange *x, void *arg) {
  struct slice path = wire_exchange_head(x)->path;
  struct dom_err err = {0};
  (void)arg;
  if (slice_equal(path, SLICE_LIT("/gate"))) gate_pass();
  if (slice_equal(path, SLICE_LIT("/gone"))) {
    gate_pass();
    assert_false(atomic_load(&seen_gone));
    while (!wire_exchange_gone(x)) (void)poll(NULL, 0, 1);
    atomic_store(&seen_gone, true);
    return;
  }
  if (slice_equal(path, SLICE_LIT("/flood"))) {
    static const char block[65536];
    wire_reply_begin(x, 200, WIRE_LENGTH_UNKNOWN);
    enum dom_code c;
    do c = wire_reply_write(x, block, sizeof block, &err);
    while (c == DOM_OK);
    atomic_store(&reply_result, c);
    return;
  }
  if (slice_equal(path, SLICE_LIT("/refused"))) {
    (void)wire_reply(x, 403, SLICE_LIT("done"), NULL);
    return;
  }
  BUF_AUTO body = BUF_INIT;
  enum dom_code c = wire_body_read_all(x, 1 << 20, &body, &err);
  atomic_store(&body_result, c);
  (void)wire_reply(x, c == DOM_OK ? 200 : c == DOM_TIMEOUT ? 408 : 400, SLICE_LIT("done"), NULL);
}

#define HEAD(line, fields) line " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static void test_slow_head(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .head_timeout_ms = 60}, handle, NULL);
  int slow[3];
  for (int i = 0; i < 3; i++) {
    slow[i] = dial(rig.port);
    say(slow[i], "GET / HTTP/1.1\r\nHost");
  }
  /* The only worker is not held by three half heads. */
  talk(&rig, HEAD("GET /", "Connection: close\r\n"), &h);
  expect_part(&h, "200 OK");
  heard_done(&h);
  for (int i = 0; i < 3; i++) {
    heard_init(&h);
    hear_all(slow[i], &h);
    expect_part(&h, "408 Request Timeout");
    heard_done(&h);
    close(slow[i]);
  }
  struct wire_server_stats stats;
  wire_server_stats(rig.server, &stats);
  assert_int_equal(stats.refused_heads, 3);
  rig_close(&rig);
}

static void test_dripped_head(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  struct pollfd p = {.events = POLLIN};
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .head_timeout_ms = 100}, handle, NULL);
  p.fd = dial(rig.port);
  heard_init(&h);
  /* A byte now and then does not move the deadline: the answer comes although we never stop. */
  say(p.fd, "GET / HTTP/1.1\r\nx: ");
  while (poll(&p, 1, 5) == 0) say(p.fd, "x");
  hear_all(p.fd, &h);
  expect_part(&h, "408 Request Timeout");
  close(p.fd);
  heard_done(&h);
  rig_close(&rig);
}

static void test_idle(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .idle_timeout_ms = 40}, handle, NULL);
  int fd = dial(rig.port);
  heard_init(&h);
  say(fd, HEAD("GET /", ""));
  hear_all(fd, &h);
  expect_part(&h, "200 OK");
  assert_true(h.ended); /* closed without a word */
  assert_int_equal(count_parts(&h, "HTTP/1.1"), 1);
  close(fd);
  heard_done(&h);
  rig_close(&rig);
}

static void test_slow_body(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .grace_ms = 50, .rate_min = 1000}, handle, NULL);
  talk(&rig, HEAD("PUT /", "Content-Length: 100\r\n") "begin", &h);
  expect_part(&h, "408 Request Timeout");
  heard_done(&h);
  assert_int_equal(atomic_load(&body_result), DOM_TIMEOUT);
  struct wire_server_stats stats;
  wire_server_stats(rig.server, &stats);
  assert_int_equal(stats.slow_aborts, 1);
  rig_close(&rig);
}

/* The client never reads: the handler comes back with a timeout, the worker is free again. */
static void test_slow_reader(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  atomic_store(&reply_result, DOM_OK);
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .grace_ms = 50}, handle, NULL);
  int fd = dial(rig.port);
  say(fd, HEAD("GET /flood", ""));
  talk(&rig, HEAD("GET /", "Connection: close\r\n"), &h); /* served by the same worker afterwards */
  expect_part(&h, "200 OK");
  heard_done(&h);
  assert_int_equal(atomic_load(&reply_result), DOM_TIMEOUT);
  close(fd);
  rig_close(&rig);
}

/* Four bodies that never come hold all four workers: some are cut long before their own patience
 * ends, the others stay. */
static void test_slow_quota(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  struct wire_server_stats stats;
  int slow[4];
  rig_open(&rig, &(struct wire_server_options){.workers = 4, .slow_workers_max = 2, .slow_after_ms = 20},
           handle, NULL);
  for (int i = 0; i < 4; i++) {
    slow[i] = dial(rig.port);
    say(slow[i], HEAD("PUT /", "Content-Length: 100\r\n") "begin");
  }
  talk(&rig, HEAD("GET /", "Connection: close\r\n"), &h); /* hangs without the quota */
  expect_part(&h, "200 OK");
  heard_done(&h);
  wire_server_stats(rig.server, &stats);
  assert_in_range(stats.slow_aborts, 1, 2);
  for (int i = 0; i < 4; i++) close(slow[i]);
  rig_close(&rig);
}

/* Nobody waits for a body that a handler refused to read: one worker, patient for an hour. */
/* Past the quota it is the oldest that goes: a newcomer is waited for, however many came before. */
static void test_oldest_goes(void **state) {
  struct wire_slow slow;
  _Atomic unsigned idle = 0;
  struct wire_pace old, new;
  struct wire_io io = {0};
  int ends[2];
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_true(wire_io_init_socket(&io, ends[0], false));
  wire_slow_init(&slow, 1, 20, &idle);
  wire_pace_init(&old, 1000, 50, &slow);
  wire_pace_init(&new, 1000, 50, &slow);
  assert_int_equal(wire_pace_wait(&old, &io, POLLIN), DOM_TIMEOUT); /* alone: as long as its patience lasts */
  assert_int_equal(slow.held, 1);
  assert_int_equal(wire_pace_wait(&new, &io, POLLIN), DOM_TIMEOUT);
  assert_int_equal(slow.held, 1);
  assert_true(new.listed && !old.listed);
  wire_pace_earn(&old, 10);
  assert_int_equal(wire_pace_wait(&old, &io, POLLIN), DOM_BUSY);
  wire_pace_earn(&new, 10);
  assert_int_equal(wire_pace_wait(&new, &io, POLLIN), DOM_TIMEOUT);
  /* With a worker idle nobody has to go. */
  atomic_store(&idle, 1);
  wire_pace_init(&old, 1000, 50, &slow);
  assert_int_equal(wire_pace_wait(&old, &io, POLLIN), DOM_TIMEOUT);
  assert_int_equal(slow.held, 2);
  /* Whoever makes up for it is no longer slow. */
  wire_pace_earn(&new, 1 << 20);
  assert_int_equal(slow.held, 1);
  wire_pace_done(&new);
  wire_pace_done(&old);
  wire_slow_done(&slow);
  close(ends[0]);
  close(ends[1]);
}

static void test_slow_after_refusal(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  heard_init(&h);
  rig_open(&rig, &(struct wire_server_options){.workers = 1, .grace_ms = 3600 * 1000}, handle, NULL);
  int fd = dial(rig.port);
  say(fd, HEAD("PUT /refused", "Content-Length: 100\r\n") "begin");
  hear_until(fd, &h, "done");
  heard_done(&h);
  talk(&rig, HEAD("GET /", "Connection: close\r\n"), &h); /* hangs while the rest is waited for */
  expect_part(&h, "200 OK");
  heard_done(&h);
  close(fd);
  rig_close(&rig);
}

static void test_client_gone_inside_body(void **state) {
  (void)state;
  struct rig rig;
  struct heard h;
  rig_open(&rig, &(struct wire_server_options){.workers = 1}, handle, NULL);
  int fd = dial(rig.port);
  say(fd, HEAD("PUT /", "Content-Length: 100\r\n") "begin");
  shutdown(fd, SHUT_WR);
  heard_init(&h);
  hear_all(fd, &h);
  expect_part(&h, "400 Bad Request");
  assert_int_equal(atomic_load(&body_result), DOM_IO);
  close(fd);
  heard_done(&h);
  rig_close(&rig);
}

static void expect_slow_down(const struct rig *rig) {
  struct heard h;
  talk(rig, HEAD("GET /", ""), &h);
  expect_part(&h, "503 Service Unavailable");
  expect_part(&h, "Retry-After: 1\r\n");
  expect_part(&h, "<Code>SlowDown</Code>");
  heard_done(&h);
}

/* Fills the server with `count` connections that were served once, and returns them. */
static void fill(const struct rig *rig, int *fds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct heard h;
    heard_init(&h);
    fds[i] = dial(rig->port);
    say(fds[i], HEAD("GET /", ""));
    hear_until(fds[i], &h, "done");
    heard_done(&h);
  }
}

static void test_cap(const struct wire_server_options *options) {
  struct rig rig;
  struct heard h;
  int fds[2];
  rig_open(&rig, options, handle, NULL);
  fill(&rig, fds, 2);
  expect_slow_down(&rig);
  /* The admitted ones go on, and a freed place can be taken. */
  heard_init(&h);
  say(fds[0], HEAD("GET /", "Connection: close\r\n"));
  hear_all(fds[0], &h);
  expect_part(&h, "200 OK");
  heard_done(&h);
  close(fds[0]);
  for (bool served = false; !served;) {
    talk(&rig, HEAD("GET /", "Connection: close\r\n"), &h);
    served = strstr(h.text, "200 OK") != NULL;
    heard_done(&h);
  }
  close(fds[1]);
  rig_close(&rig);
}

static void test_global_cap(void **state) {
  (void)state;
  test_cap(&(struct wire_server_options){.workers = 2, .connections_max = 2});
}

static void test_address_cap(void **state) {
  (void)state;
  test_cap(&(struct wire_server_options){.workers = 2, .connections_per_address_max = 2});
}

/* Handlers that block, with a method of which nobody expects it: all workers come to serve. */
static void test_all_workers_serve(void **state) {
  (void)state;
  enum { WORKERS = 24 };
  struct rig rig;
  int fds[WORKERS];
  rig_open(&rig, &(struct wire_server_options){.workers = WORKERS}, handle, NULL);
  for (int round = 0; round < 3; round++) {
    gate_close();
    for (int i = 0; i < WORKERS; i++) {
      fds[i] = dial(rig.port);
      say(fds[i], round == 1 ? HEAD("PUT /gate", "Connection: close\r\nContent-Length: 0\r\n")
                             : HEAD("GET /gate", "Connection: close\r\n"));
    }
    gate_wait_inside(WORKERS); /* hangs when a worker stays asleep */
    gate_open();
    for (int i = 0; i < WORKERS; i++) {
      struct heard h;
      heard_init(&h);
      hear_all(fds[i], &h);
      expect_part(&h, "200 OK");
      heard_done(&h);
      close(fds[i]);
    }
  }
  rig_close(&rig);
}

/* A handler that waits for something else learns that its client left. */
static void test_gone(void **state) {
  (void)state;
  struct rig rig;
  struct dom_err err = {0};
  gate_close();
  rig_open(&rig, &(struct wire_server_options){.workers = 1}, handle, NULL);
  int fd = dial(rig.port);
  say(fd, HEAD("GET /gone", ""));
  gate_wait_inside(1);
  close(fd);
  gate_open();
  assert_int_equal(wire_server_drain(rig.server, PATIENCE_MS, &err), DOM_OK);
  assert_true(atomic_load(&seen_gone));
  rig_close(&rig);
}

static void *drain_main(void *arg) {
  static struct dom_err err;
  err = (struct dom_err){0};
  return (void *)(uintptr_t)wire_server_drain(arg, PATIENCE_MS, &err);
}

static void test_drain(void **state) {
  (void)state;
  struct rig rig;
  struct heard busy, idle;
  int idle_fd;
  pthread_t drainer;
  void *result;
  gate_close();
  rig_open(&rig, &(struct wire_server_options){.workers = 2}, handle, NULL);
  fill(&rig, &idle_fd, 1);
  int busy_fd = dial(rig.port);
  heard_init(&busy);
  heard_init(&idle);
  say(busy_fd, HEAD("GET /gate", ""));
  gate_wait_inside(1);
  assert_int_equal(pthread_create(&drainer, NULL, drain_main, rig.server), 0);
  hear_all(idle_fd, &idle); /* closed although its client said nothing */
  assert_true(idle.ended);
  assert_int_equal(idle.len, 0);
  gate_open();
  hear_all(busy_fd, &busy); /* in flight: finished, then closed */
  expect_part(&busy, "200 OK");
  expect_part(&busy, "Connection: close\r\n");
  assert_true(busy.ended);
  close(busy_fd);
  close(idle_fd);
  pthread_join(drainer, &result);
  assert_int_equal((uintptr_t)result, DOM_OK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rig.port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_not_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0); /* nobody listens any more */
  close(fd);
  heard_done(&busy);
  heard_done(&idle);
  rig_close(&rig);
}

static void test_drain_deadline(void **state) {
  (void)state;
  struct rig rig;
  struct dom_err err = {0};
  gate_close();
  rig_open(&rig, &(struct wire_server_options){.workers = 2}, handle, NULL);
  int fd = dial(rig.port);
  say(fd, HEAD("GET /gate", ""));
  gate_wait_inside(1);
  assert_int_equal(wire_server_drain(rig.server, 20, &err), DOM_TIMEOUT);
  gate_open();
  rig_close(&rig); /* cuts the connection and waits for the handler */
  close(fd);
}

/* Close without drain: parked, half-headed and fresh connections are all cut, nothing leaks. */
static void test_close_at_once(void **state) {
  (void)state;
  int64_t before = dom_alloc_live();
  struct rig rig;
  int fds[3];
  rig_open(&rig, &(struct wire_server_options){.workers = 3}, handle, NULL);
  fill(&rig, fds, 2);
  fds[2] = dial(rig.port);
  say(fds[2], "GET / HT");
  rig_close(&rig);
  for (int i = 0; i < 3; i++) close(fds[i]);
  assert_int_equal(dom_alloc_live(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow_head),
                                     cmocka_unit_test(test_dripped_head),
                                     cmocka_unit_test(test_idle),
                                     cmocka_unit_test(test_slow_body),
                                     cmocka_unit_test(test_slow_reader),
                                     cmocka_unit_test(test_slow_quota),
                                     cmocka_unit_test(test_oldest_goes),
                                     cmocka_unit_test(test_slow_after_refusal),
                                     cmocka_unit_test(test_client_gone_inside_body),
                                     cmocka_unit_test(test_global_cap),
                                     cmocka_unit_test(test_address_cap),
                                     cmocka_unit_test(test_drain),
                                     cmocka_unit_test(test_drain_deadline),
                                     cmocka_unit_test(test_all_workers_serve),
                                     cmocka_unit_test(test_gone),
                                     cmocka_unit_test(test_close_at_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
