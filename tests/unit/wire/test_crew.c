/* The watch: who may wait for events at once, and who is called. */
#include "wire_testing.h"

#include <pthread.h>
#include <sched.h>

#include "wire/crew.h"

enum { WORKERS = 8 };

static void test_quick_workers_keep_the_watch_small(void **state) {
  (void)state;
  struct crew c;
  crew_init(&c, WORKERS);
  assert_true(c.watch_max >= 2 && c.watch_max <= WORKERS);
  for (unsigned i = 0; i < c.watch_max; i++) assert_true(crew_join(&c, false));
  assert_int_equal(c.on_watch, c.watch_max);
  for (unsigned i = 0; i < c.watch_max; i++) crew_leave(&c);
  crew_done(&c);
}

static void test_who_blocked_finds_a_place(void **state) {
  (void)state;
  struct crew c;
  crew_init(&c, WORKERS);
  for (unsigned i = 0; i < WORKERS; i++) assert_true(crew_join(&c, true)); /* or this test would hang */
  assert_int_equal(c.on_watch, WORKERS);
  for (unsigned i = 0; i < WORKERS; i++) crew_leave(&c);
  assert_int_equal(c.on_watch, 0);
  crew_done(&c);
}

struct sleeper {
  struct crew *crew;
  bool joined;
};

static void *join_quick(void *arg) {
  struct sleeper *s = arg;
  s->joined = crew_join(s->crew, false);
  return NULL;
}

static void wait_asleep(struct crew *c, unsigned count) {
  while (atomic_load(&c->asleep) < count) sched_yield();
}

/* Whoever served a quick request sleeps while others watch, and is called when the last of them blocks. */
static void test_stand_in_is_called(void **state) {
  (void)state;
  struct crew c;
  pthread_t thread;
  crew_init(&c, WORKERS);
  struct sleeper s = {.crew = &c};
  for (unsigned i = 0; i < WORKERS; i++) assert_true(crew_join(&c, true));
  assert_int_equal(pthread_create(&thread, NULL, join_quick, &s), 0);
  wait_asleep(&c, 1);
  for (unsigned i = 0; i < WORKERS; i++) {
    assert_int_equal(atomic_load(&c.asleep), 1);
    crew_leave(&c);
  }
  crew_expect_block(&c);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(s.joined);
  assert_int_equal(c.on_watch, 1);
  crew_leave(&c);
  crew_done(&c);
}

static void test_dismissed(void **state) {
  (void)state;
  struct crew c;
  pthread_t thread;
  crew_init(&c, WORKERS);
  struct sleeper s = {.crew = &c, .joined = true};
  for (unsigned i = 0; i < c.watch_max; i++) assert_true(crew_join(&c, false));
  assert_int_equal(pthread_create(&thread, NULL, join_quick, &s), 0);
  wait_asleep(&c, 1);
  crew_dismiss(&c);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_false(s.joined);
  assert_false(crew_join(&c, true));
  crew_done(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quick_workers_keep_the_watch_small),
      cmocka_unit_test(test_who_blocked_finds_a_place),
      cmocka_unit_test(test_stand_in_is_called),
      cmocka_unit_test(test_dismissed),
  };
  return cmocka_run_group_tests_name("wire-crew", tests, NULL, NULL);
}
