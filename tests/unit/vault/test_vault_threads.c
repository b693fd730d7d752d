/* Creators, derivers, droppers, readers with pins and a rotation at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "vault_testing.h"

enum { CREATORS = 4, PER_CREATOR = 150 };

struct worker {
  struct vault *vault;
  uint64_t from;
  int failures;
};

static struct vault_key worker_key(const struct worker *w, uint64_t i) {
  return test_key(w->from + i, 1);
}

/* Creates keys, checks that each derives the same twice, drops every third. */
static void *create_and_drop(void *arg) {
  struct worker *w = arg;
  for (uint64_t i = 0; i < PER_CREATOR; i++) {
    struct vault_key key = worker_key(w, i);
    uint8_t one[KEY_SIZE], two[KEY_SIZE];
    w->failures += vault_key_create(w->vault, &key, NULL) != DOM_OK;
    w->failures += test_derive(w->vault, &key, one) != DOM_OK;
    w->failures += test_derive(w->vault, &key, two) != DOM_OK;
    w->failures += memcmp(one, two, KEY_SIZE) != 0;
    if (i % 3 != 0) continue;
    struct vault_pin pin;
    w->failures += vault_key_pin(w->vault, &key, &pin, NULL) != DOM_OK;
    w->failures += vault_key_drop(w->vault, &key, 1, NULL, NULL) != DOM_OK;
    w->failures += !vault_key_dropped(&pin);
    vault_key_unpin(w->vault, &pin);
    w->failures += test_derive(w->vault, &key, one) != DOM_NOT_FOUND;
  }
  return NULL;
}

/* Reads others' keys: there or not, never anything else. */
static void *read_any(void *arg) {
  struct worker *w = arg;
  for (uint64_t i = 0; i < CREATORS * PER_CREATOR; i++) {
    struct vault_key key = test_key(i, 1);
    uint8_t out[KEY_SIZE];
    enum dom_code code = test_derive(w->vault, &key, out);
    w->failures += code != DOM_OK && code != DOM_NOT_FOUND;
    if (i % 100 == 0) {
      struct vault_stats s = test_stats(w->vault);
      w->failures += s.slots_used + s.slots_free != s.slots_total;
    }
  }
  return NULL;
}

static void *rotate(void *arg) {
  struct worker *w = arg;
  for (int i = 0; i < 3; i++) w->failures += vault_rotate(w->vault, NULL, NULL, NULL) != DOM_OK;
  return NULL;
}

static void test_together(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 1);
  pthread_t threads[CREATORS + 2];
  struct worker workers[CREATORS + 2];
  for (size_t i = 0; i < CREATORS + 2; i++) {
    workers[i] = (struct worker){.vault = b.vault, .from = i * PER_CREATOR};
    void *(*fn)(void *) = i < CREATORS ? create_and_drop : i == CREATORS ? read_any : rotate;
    assert_int_equal(pthread_create(&threads[i], NULL, fn, &workers[i]), 0);
  }
  for (size_t i = 0; i < CREATORS + 2; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(workers[i].failures, 0);
  }
  struct vault_stats s = test_stats(b.vault);
  assert_int_equal(s.slots_used, CREATORS * PER_CREATOR * 2 / 3);
  assert_int_equal(s.slots_old_kek, 0);
  bench_reopen(&b);
  assert_int_equal(test_stats(b.vault).slots_repaired, 0);
  for (uint64_t i = 0; i < CREATORS * PER_CREATOR; i++) {
    struct vault_key key = test_key(i, 1);
    assert_int_equal(vault_key_exists(b.vault, &key, NULL), i % PER_CREATOR % 3 ? DOM_OK : DOM_NOT_FOUND);
  }
  bench_end(&b);
}

/* Of many who create the same key, one does; a sync is shared where they meet. */
static void *create_same(void *arg) {
  struct worker *w = arg;
  for (uint64_t i = 0; i < PER_CREATOR; i++) {
    struct vault_key key = test_key(i, 9);
    enum dom_code code = vault_key_create(w->vault, &key, NULL);
    if (code == DOM_OK) w->from++;
    w->failures += code != DOM_OK && code != DOM_EXISTS;
  }
  return NULL;
}

static void test_same_key(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 2);
  pthread_t threads[CREATORS];
  struct worker workers[CREATORS];
  uint64_t created = 0;
  for (size_t i = 0; i < CREATORS; i++) {
    workers[i] = (struct worker){.vault = b.vault};
    assert_int_equal(pthread_create(&threads[i], NULL, create_same, &workers[i]), 0);
  }
  for (size_t i = 0; i < CREATORS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(workers[i].failures, 0);
    created += workers[i].from;
  }
  assert_int_equal(created, PER_CREATOR);
  struct vault_stats s = test_stats(b.vault);
  assert_int_equal(s.slots_used, PER_CREATOR);
  assert_true(s.syncs <= 2 * s.creates);
  bench_end(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_together), cmocka_unit_test(test_same_key)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
