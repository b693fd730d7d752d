/* Places: who waits holds no worker, in whose turn it goes, and what ends the waiting. The tests wait for
 * what the server does, never for time to pass. */
#include "wire_testing.h"

#include <netinet/in.h>

/* Handlers of /far hold a place until the test lets one more go. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  unsigned inside, runs;
  int permits;
  char order[64]; /* first letters of the paths that had a place, in turn */
  size_t order_len;
} far = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void far_reset(void) {
  far.inside = far.runs = 0;
  far.permits = 0;
  memset(far.order, 0, sizeof far.order);
  far.order_len = 0;
}

static void far_let(int count) {
  pthread_mutex_lock(&far.lock);
  far.permits += count;
  pthread_cond_broadcast(&far.moved);
  pthread_mutex_unlock(&far.lock);
}

static void far_wait_inside(unsigned count) {
  pthread_mutex_lock(&far.lock);
  while (far.inside < count) pthread_cond_wait(&far.moved, &far.lock);
  pthread_mutex_unlock(&far.lock);
}

static void far_stay(char name) {
  pthread_mutex_lock(&far.lock);
  far.inside++;
  far.order[far.order_len++ % sizeof far.order] = name;
  pthread_cond_broadcast(&far.moved);
  while (far.permits == 0) pthread_cond_wait(&far.moved, &far.lock);
  far.permits--;
  pthread_mutex_unlock(&far.lock);
}

static const struct wire_errand ANY = {.lane = WIRE_LANE_ALL};

struct arg {
  struct wire_server *server;
};

static char letter_of(struct slice path) {
  return (char)path.data[path.len - 1];
}

/* /far/e reads its body first. */
/* /far/x, /few/x and /any/x take a place, /skip/x gives up when it has waited, anything else is local. */
static void handle(struct wire_exchange *x, void *arg) {
  struct wire_server *server = ((struct arg *)arg)->server;
  struct slice path = wire_exchange_head(x)->path;
  bool few = slice_starts_with(path, SLICE_LIT("/few/")), any = slice_starts_with(path, SLICE_LIT("/any/"));
  bool skip = slice_starts_with(path, SLICE_LIT("/skip/")) && wire_exchange_waited_us(x) > 0;
  BUF_AUTO body = BUF_INIT;
  bool far_away = few || any || slice_starts_with(path, SLICE_LIT("/far/")) ||
                  slice_starts_with(path, SLICE_LIT("/skip/"));
  if (skip || !far_away) {
    assert_int_equal(wire_body_read_all(x, 1 << 20, &body, NULL), DOM_OK);
    (void)wire_reply(x, 200, SLICE_LIT("local"), NULL);
    return;
  }
  if (letter_of(path) == 'e') assert_int_equal(wire_body_read_all(x, 1, &body, NULL), DOM_OK);
  /* What it is for: the letter at the end, where it is a capital. */
  uint8_t letter = path.data[path.len - 1];
  struct wire_errand errand = {.lane = few   ? WIRE_LANE_FEW
                                       : any ? WIRE_LANE_ALL
                                             : WIRE_LANE_MOST,
                               .group = letter < 'a' ? letter : 0};
  switch (wire_place_take(x, &errand)) {
  case WIRE_PLACE_WAIT:
    assert_true(wire_exchange_is_put_aside(x));
    (void)wire_reply_field_str(x, "x-of-another-run", "1"); /* must not be seen */
    if (path.data[path.len - 1] == 'm') dom_alloc_fail_after(0, 1);
    return;
  case WIRE_PLACE_NONE:
    (void)wire_reply(x, 503, SLICE_LIT("none"), NULL);
    return;
  case WIRE_PLACE_TAKEN:
    break;
  }
  far_stay((char)path.data[path.len - 1]);
  assert_int_equal(wire_body_read_all(x, 1 << 20, &body, NULL), DOM_OK);
  (void)wire_reply(x, 200, body.len ? buf_slice(&body) : SLICE_LIT("far"), NULL);
  wire_place_give(server, &errand);
}

static struct arg arg;

static void open_rig(struct rig *rig, const struct wire_server_options *o) {
  far_reset();
  rig_open(rig, o, handle, &arg);
  arg.server = rig->server;
}

static int ask(const struct rig *rig, const char *path) {
  char text[200];
  int fd = dial(rig->port);
  snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
  say(fd, text);
  return fd;
}

static void wait_waiting(const struct rig *rig, uint64_t count) {
  struct wire_server_stats stats;
  do {
    wire_server_stats(rig->server, &stats);
    (void)poll(NULL, 0, 1);
  } while (stats.waiting != count);
}

static void expect_end(int fd, const char *part) {
  struct heard h;
  heard_init(&h);
  hear_all(fd, &h);
  expect_part(&h, part);
  assert_null(strstr(h.text, "x-of-another-run"));
  assert_int_equal(count_parts(&h, "HTTP/1.1"), 1);
  heard_done(&h);
  close(fd);
}

static void test_waiting_holds_no_worker(void **state) {
  struct rig rig;
  int far_fd[12];
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  for (int i = 0; i < 12; i++) far_fd[i] = ask(&rig, "/far/a");
  far_wait_inside(1);
  wait_waiting(&rig, 11);
  for (int i = 0; i < 5; i++) expect_end(ask(&rig, "/local"), "local"); /* by the only other worker */
  far_let(12);
  for (int i = 0; i < 12; i++) expect_end(far_fd[i], "far");
  assert_int_equal(far.inside, 12);
  struct wire_server_stats stats;
  wire_server_stats(rig.server, &stats);
  assert_int_equal(stats.requests, 17); /* each counts once */
  assert_int_equal(stats.waiting, 0);
  assert_true(wire_place_try(rig.server, &ANY)); /* the place came back */
  assert_false(wire_place_try(rig.server, &ANY));
  wire_place_give(rig.server, &ANY);
  rig_close(&rig);
}

/* The body comes whole: what had arrived with the head, and what came while it waited; and the connection
 * goes on. */
static void test_body_and_next_request(void **state) {
  struct rig rig;
  struct heard h;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  int first = ask(&rig, "/far/a");
  far_wait_inside(1);
  int fd = dial(rig.port);
  say(fd, "PUT /far/b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nsome ");
  wait_waiting(&rig, 1);
  say(fd, "bytes");
  say(fd,
      "GET /local HTTP/1.1\r\nHost: a\r\n\r\nGET /far/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  far_let(3);
  heard_init(&h);
  hear_all(fd, &h);
  expect_part(&h, "some bytes");
  assert_true(strstr(h.text, "some bytes") < strstr(h.text, "local"));
  assert_true(strstr(h.text, "local") < strstr(h.text, "far"));
  assert_int_equal(count_parts(&h, "200 OK"), 3);
  heard_done(&h);
  close(fd);
  expect_end(first, "far");
  rig_close(&rig);
}

/* 100 Continue is said when there is a place, not before. */
static void test_expect_continue(void **state) {
  struct rig rig;
  struct heard h;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  int first = ask(&rig, "/far/a");
  far_wait_inside(1);
  int fd = dial(rig.port);
  say(fd, "PUT /far/b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: "
          "close\r\n\r\n");
  wait_waiting(&rig, 1);
  struct pollfd p = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&p, 1, 0), 0);
  far_let(2);
  heard_init(&h);
  hear_until(fd, &h, "100 Continue");
  say(fd, "body");
  hear_all(fd, &h);
  expect_part(&h, "200 OK");
  heard_done(&h);
  close(fd);
  expect_end(first, "far");
  rig_close(&rig);
}

static void test_too_many(void **state) {
  struct rig rig;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 3, .places_max = 1, .waiting_max = 4});
  int one = ask(&rig, "/far/a");
  far_wait_inside(1);
  int second = ask(&rig, "/far/b");
  wait_waiting(&rig, 1);
  int third = ask(&rig, "/far/c");
  wait_waiting(&rig, 2);
  expect_end(ask(&rig, "/far/d"), "none"); /* half of the room is the most that one address has */
  far_let(3);
  expect_end(one, "far");
  expect_end(second, "far");
  expect_end(third, "far");
  assert_string_equal(far.order, "abc");
  rig_close(&rig);
}

static void test_time_is_up(void **state) {
  struct rig rig;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1, .wait_ms = 20});
  int first = ask(&rig, "/far/a");
  far_wait_inside(1);
  expect_end(ask(&rig, "/far/b"), "none");
  expect_end(ask(&rig, "/local"), "local");
  far_let(1);
  expect_end(first, "far");
  assert_int_equal(far.inside, 1);
  rig_close(&rig);
}

/* A place that came to a request which does not want it any more goes on to the next. */
static void test_place_not_wanted(void **state) {
  struct rig rig;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 3, .places_max = 1});
  int first = ask(&rig, "/far/a");
  far_wait_inside(1);
  int skips = ask(&rig, "/skip/b");
  wait_waiting(&rig, 1);
  int gone = ask(&rig, "/far/c");
  wait_waiting(&rig, 2);
  int last = ask(&rig, "/far/d");
  wait_waiting(&rig, 3);
  close(gone);
  far_let(3);
  expect_end(first, "far");
  expect_end(skips, "local");
  expect_end(last, "far");
  rig_close(&rig);
}

/* What is trusted less has few places, and does not stand in the way of others. */
static void test_lane_of_few(void **state) {
  struct rig rig;
  (void)state;
  open_rig(
      &rig,
      &(struct wire_server_options){
          .workers = 4, .places_max = 3, .most_places_max = 3, .few_places_max = 1, .group_places_max = 3});
  int few[3];
  for (int i = 0; i < 3; i++) few[i] = ask(&rig, "/few/f");
  far_wait_inside(1);
  wait_waiting(&rig, 2);
  int a = ask(&rig, "/far/a"), b = ask(&rig, "/far/b");
  far_wait_inside(3); /* past those that wait */
  far_let(5);
  for (int i = 0; i < 3; i++) expect_end(few[i], "far");
  expect_end(a, "far");
  expect_end(b, "far");
  rig_close(&rig);
}

/* What hangs takes three places of four, those that wait for it do not stand in the way of others, and there
 * is a place for what cannot wait. */
static void test_groups_leave_places(void **state) {
  struct rig rig;
  int stuck[8];
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 16});
  for (int i = 0; i < 8; i++) stuck[i] = ask(&rig, "/far/A");
  far_wait_inside(6);
  wait_waiting(&rig, 2);
  int other = ask(&rig, "/far/B");
  far_wait_inside(7);
  int third = ask(&rig, "/far/C"); /* seven of eight are taken */
  wait_waiting(&rig, 3);
  struct wire_errand errand = {.lane = WIRE_LANE_ALL, .group = 'A'};
  assert_true(wire_place_try(rig.server, &errand));
  assert_false(wire_place_try(rig.server, &errand));
  wire_place_give(rig.server, &errand);
  far_let(10);
  for (int i = 0; i < 8; i++) expect_end(stuck[i], "far");
  expect_end(other, "far");
  expect_end(third, "far");
  assert_int_equal(far.order[6], 'B');
  rig_close(&rig);
}

/* What cannot wait does not take all places for one group either. */
static void test_what_cannot_wait(void **state) {
  struct rig rig;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 16});
  struct wire_errand one = {.lane = WIRE_LANE_ALL, .group = 1}, two = {.lane = WIRE_LANE_ALL, .group = 2};
  for (int i = 0; i < 7; i++) assert_true(wire_place_try(rig.server, &one));
  assert_false(wire_place_try(rig.server, &one));
  int any = ask(&rig, "/any/D");
  far_wait_inside(1);
  assert_false(wire_place_try(rig.server, &two));
  far_let(1);
  expect_end(any, "far");
  for (int i = 0; i < 7; i++) wire_place_give(rig.server, &one);
  assert_true(wire_place_try(rig.server, &two));
  wire_place_give(rig.server, &two);
  rig_close(&rig);
}

/* A front's clients take turns, however many of one came first. */
static void test_addresses_take_turns(void **state) {
  struct rig rig;
  struct wire_server_options o = {.workers = 2, .places_max = 1, .front_count = 1};
  int fd[8];
  char text[200];
  (void)state;
  assert_int_equal(wire_front_parse("127.0.0.1", &o.fronts[0], NULL), DOM_OK);
  open_rig(&rig, &o);
  static const char *const WHO[] = {"192.0.2.1", "192.0.2.1", "192.0.2.1",
                                    "192.0.2.1", "192.0.2.2", "192.0.2.3"};
  for (unsigned i = 0; i < 6; i++) {
    fd[i] = dial(rig.port);
    snprintf(text, sizeof text,
             "GET /far/%c HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\nConnection: close\r\n\r\n",
             'a' + (int)i, WHO[i]);
    say(fd[i], text);
    if (i == 0) far_wait_inside(1);
    wait_waiting(&rig, i);
  }
  far_let(6);
  for (int i = 0; i < 6; i++) expect_end(fd[i], "far");
  assert_string_equal(far.order, "abecfd"); /* the first waited for nothing: it had no turn */
  rig_close(&rig);
}

/* A drain lets those that wait have their turn, and takes no more in; a close forgets them. */
static void test_drain_and_close(void **state) {
  struct rig rig;
  struct heard h;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  int first = ask(&rig, "/far/a"), second;
  far_wait_inside(1);
  second = ask(&rig, "/far/b");
  wait_waiting(&rig, 1);
  far_let(2);
  assert_int_equal(wire_server_drain(rig.server, PATIENCE_MS, NULL), DOM_OK);
  expect_end(first, "far");
  expect_end(second, "far");
  rig_close(&rig);

  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  first = ask(&rig, "/far/a");
  far_wait_inside(1);
  second = ask(&rig, "/far/b");
  wait_waiting(&rig, 1);
  assert_int_equal(wire_server_drain(rig.server, 1, NULL), DOM_TIMEOUT);
  assert_true(wire_place_try(rig.server, &ANY) == false);
  far_let(2);
  rig_close(&rig); /* the second may or may not have had its turn */
  heard_init(&h);
  hear_all(first, &h);
  heard_done(&h);
  close(first);
  close(second);
}

/* Whose body was read, though nothing was in it, cannot be run again: it does not wait. */
static void test_body_was_read(void **state) {
  static const char *const requests[] = {
      "PUT /far/e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
      "PUT /far/e HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
      ("PUT /far/e HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\nConnection: "
       "close\r\n\r\n")};
  struct rig rig;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 2, .places_max = 1});
  assert_true(wire_place_try(rig.server, &ANY));
  for (int i = 0; i < 3; i++) {
    struct heard h;
    talk(&rig, requests[i], &h);
    expect_part(&h, "none");
    heard_done(&h);
  }
  wait_waiting(&rig, 0);
  wire_place_give(rig.server, &ANY);
  rig_close(&rig);
}

/* Without memory for what came, only that connection suffers. */
static void test_no_memory(void **state) {
  struct rig rig;
  struct heard h;
  (void)state;
  open_rig(&rig, &(struct wire_server_options){.workers = 1, .places_max = 1});
  assert_true(wire_place_try(rig.server, &ANY));
  int fd = dial(rig.port);
  say(fd, "GET /local HTTP/1.1\r\nHost: a\r\n\r\n");
  heard_init(&h);
  hear_until(fd, &h, "local");
  say(fd, "GET /far/m HTTP/1.1\r\nHost: a\r\n\r\n");
  hear_all(fd, &h);
  assert_true(h.reset);
  heard_done(&h);
  close(fd);
  wait_waiting(&rig, 0);
  wire_place_give(rig.server, &ANY);
  far_let(1);
  expect_end(ask(&rig, "/far/b"), "far");
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_waiting_holds_no_worker),
      cmocka_unit_test(test_body_and_next_request),
      cmocka_unit_test(test_expect_continue),
      cmocka_unit_test(test_too_many),
      cmocka_unit_test(test_time_is_up),
      cmocka_unit_test(test_place_not_wanted),
      cmocka_unit_test(test_lane_of_few),
      cmocka_unit_test(test_groups_leave_places),
      cmocka_unit_test(test_what_cannot_wait),
      cmocka_unit_test(test_addresses_take_turns),
      cmocka_unit_test(test_drain_and_close),
      cmocka_unit_test(test_body_was_read),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
