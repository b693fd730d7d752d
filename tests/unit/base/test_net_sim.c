#include "unit.h"

#include "base/alloc.h"
#include "base/net.h"

enum { A = 1, B = 2, ROUNDS = 2000 };

/* A region that notes what reaches it. */
struct region {
  struct net *net;
  unsigned calls;
  unsigned numbers_seen[ROUNDS]; /* how often each message arrived */
  unsigned late;                 /* arrived after a younger one */
  uint32_t newest;
  uint16_t from;
  struct net_sim *leave; /* leave this net while handling */
};

static enum dom_code handle(void *arg, uint16_t from, const char *path, struct slice body, struct buf *reply,
                            struct dom_err *err) {
  struct region *r = arg;
  r->calls++;
  r->from = from;
  if (strcmp(path, "plain") == 0) {
    buf_append_slice(reply, body);
    return DOM_OK;
  }
  buf_append_str(reply, "partial");
  if (strcmp(path, "refuse") == 0) return dom_fail(err, DOM_FENCED, "test: handle", "fenced");
  if (strcmp(path, "nested") == 0) return net_call(r->net, from, "echo", body, 10, reply, err);
  if (strcmp(path, "count") == 0) {
    uint32_t number = 0;
    memcpy(&number, body.data, sizeof number);
    r->numbers_seen[number]++;
    r->late += number < r->newest;
    if (number > r->newest) r->newest = number;
  }
  if (r->leave) net_sim_leave(r->leave, B);
  buf_reset(reply);
  buf_append_slice(reply, body);
  return DOM_OK;
}

struct world {
  struct net_sim *sim;
  struct region a, b;
};

static int setup(void **state) {
  static struct world w;
  w = (struct world){.sim = net_sim_new(5)};
  w.a.net = net_sim_join(w.sim, A, handle, &w.a);
  w.b.net = net_sim_join(w.sim, B, handle, &w.b);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  net_sim_free(((struct world *)*state)->sim);
  return 0;
}

static void test_answer_and_error(void **state) {
  struct world *w = *state;
  BUF_AUTO reply = BUF_INIT;
  buf_append_str(&reply, "before ");
  assert_ok(net_call(w->a.net, B, "echo", SLICE_LIT("hi"), 10, &reply, NULL));
  assert_string_equal(buf_str(&reply), "before hi");
  assert_int_equal(w->b.from, A);
  struct dom_err err = {0};
  assert_int_equal(net_call(w->a.net, B, "refuse", SLICE_LIT(""), 10, &reply, &err), DOM_FENCED);
  assert_string_equal(err.text, "fenced");
  assert_string_equal(buf_str(&reply), "before hi");
  buf_reset(&reply);
  assert_ok(net_call(w->a.net, B, "nested", SLICE_LIT("deep"), 10, &reply, NULL));
  assert_string_equal(buf_str(&reply), "partialdeep");
  assert_int_equal(w->a.calls, 1);
}

static void test_unreachable(void **state) {
  struct world *w = *state;
  BUF_AUTO reply = BUF_INIT;
  assert_int_equal(net_call(w->a.net, 9, "echo", SLICE_LIT(""), 10, &reply, NULL), DOM_UNAVAILABLE);
  net_sim_cut(w->sim, B, A, true);
  assert_int_equal(net_call(w->a.net, B, "echo", SLICE_LIT(""), 10, &reply, NULL), DOM_UNAVAILABLE);
  assert_int_equal(net_call(w->b.net, A, "echo", SLICE_LIT(""), 10, &reply, NULL), DOM_UNAVAILABLE);
  net_sim_cut(w->sim, A, B, false);
  assert_ok(net_call(w->a.net, B, "echo", SLICE_LIT(""), 10, &reply, NULL));
  net_sim_leave(w->sim, B);
  assert_int_equal(net_call(w->a.net, B, "echo", SLICE_LIT(""), 10, &reply, NULL), DOM_UNAVAILABLE);
  assert_int_equal(net_call(w->b.net, A, "echo", SLICE_LIT(""), 10, &reply, NULL), DOM_UNAVAILABLE);
  w->b.net = net_sim_join(w->sim, B, handle, &w->b);
  assert_ok(net_call(w->a.net, B, "echo", SLICE_LIT(""), 10, &reply, NULL));
}

static void test_message_limit(void **state) {
  struct world *w = *state;
  BUF_AUTO body = BUF_INIT, reply = BUF_INIT;
  buf_append_zero(&body, NET_MESSAGE_MAX);
  assert_ok(net_call(w->a.net, B, "echo", buf_slice(&body), 10, &reply, NULL));
  assert_int_equal(reply.len, NET_MESSAGE_MAX);
  buf_append_byte(&body, 0);
  assert_int_equal(net_call(w->a.net, B, "echo", buf_slice(&body), 10, &reply, NULL), DOM_TOO_LARGE);
}

/* Loss, lost answers, doubles, late arrivals: all are seen, and what the caller is told is true. */
static void test_chances(void **state) {
  struct world *w = *state;
  net_sim_chances(w->sim, 100, 100, 100);
  unsigned ok = 0, silent_but_done = 0, never = 0, twice = 0;
  bool answered[ROUNDS] = {0};
  for (uint32_t i = 0; i < ROUNDS; i++) {
    BUF_AUTO reply = BUF_INIT;
    enum dom_code code = net_call(w->a.net, B, "count", slice_of(&i, sizeof i), 10, &reply, NULL);
    answered[i] = code == DOM_OK;
    assert_int_equal(reply.len, answered[i] ? sizeof i : 0);
    if (!answered[i]) assert_true(code == DOM_UNAVAILABLE || code == DOM_TIMEOUT);
  }
  net_sim_deliver_late(w->sim);
  for (unsigned i = 0; i < ROUNDS; i++) {
    unsigned seen = w->b.numbers_seen[i];
    if (answered[i]) assert_true(seen >= 1);
    assert_true(seen <= 2);
    ok += answered[i];
    silent_but_done += !answered[i] && seen > 0;
    never += seen == 0;
    twice += seen == 2;
  }
  assert_true(ok > ROUNDS / 2 && silent_but_done > 0 && never > 0 && twice > 0);
  assert_true(w->b.late > 0);
}

static void test_certain_loss(void **state) {
  struct world *w = *state;
  BUF_AUTO reply = BUF_INIT;
  net_sim_chances(w->sim, 0, 1000, 0);
  assert_int_not_equal(net_call(w->a.net, B, "echo", SLICE_LIT("x"), 10, &reply, NULL), DOM_OK);
  assert_int_equal(w->b.calls, 1);
  assert_int_equal(reply.len, 0);
}

/* The first copy of a doubled message brings the region down: the second finds nobody. */
static void test_leaving_inside_a_handler(void **state) {
  struct world *w = *state;
  BUF_AUTO reply = BUF_INIT;
  net_sim_chances(w->sim, 0, 0, 1000);
  w->b.leave = w->sim;
  for (unsigned i = 0; i < 20; i++) {
    w->b.net = net_sim_join(w->sim, B, handle, &w->b);
    unsigned before = w->b.calls;
    (void)net_call(w->a.net, B, "echo", SLICE_LIT("x"), 10, &reply, NULL);
    assert_in_range(w->b.calls - before, 1, 1);
  }
}

static void test_same_seed_same_run(void **state) {
  (void)state;
  unsigned outcome[2] = {0};
  for (unsigned run = 0; run < 2; run++) {
    void *world = NULL;
    assert_int_equal(setup(&world), 0);
    struct world *w = world;
    net_sim_chances(w->sim, 300, 300, 300);
    for (uint32_t i = 0; i < 100; i++) {
      BUF_AUTO reply = BUF_INIT;
      enum dom_code code = net_call(w->a.net, B, "count", slice_of(&i, sizeof i), 10, &reply, NULL);
      outcome[run] = outcome[run] * 31 + (unsigned)code + w->b.calls;
    }
    assert_int_equal(teardown(&world), 0);
  }
  assert_int_equal(outcome[0], outcome[1]);
}

static void test_no_memory(void **state) {
  struct world *w = *state;
  dom_alloc_fail_after(0, 1);
  assert_null(net_sim_new(1));
  for (uint64_t n = 0; n < 3; n++) {
    BUF_AUTO reply = BUF_INIT;
    dom_alloc_fail_after(n, 1);
    enum dom_code code = net_call(w->a.net, B, "plain", SLICE_LIT("x"), 10, &reply, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    assert_true(code == DOM_NO_MEMORY || (code == DOM_OK && reply.len == 1));
    assert_int_equal(code == DOM_OK, n == 2);
  }
}

#define IN_WORLD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_WORLD(test_answer_and_error),
      IN_WORLD(test_unreachable),
      IN_WORLD(test_message_limit),
      IN_WORLD(test_chances),
      IN_WORLD(test_certain_loss),
      IN_WORLD(test_leaving_inside_a_handler),
      cmocka_unit_test(test_same_seed_same_run),
      IN_WORLD(test_no_memory),
  };
  return cmocka_run_group_tests_name("base-net-sim", tests, NULL, NULL);
}
