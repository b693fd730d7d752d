/* Power cuts at every disk operation: what was acknowledged holds, whatever else may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/alone.h"
#include "vault_testing.h"

enum { SEEDS = ROUNDS_ALONE(24), PERSONS = 24, STEPS = 30 };

enum fate { ABSENT, THERE, EITHER };

struct world {
  enum fate fate[PERSONS];
  bool derived[PERSONS];
  uint8_t key[PERSONS][KEY_SIZE]; /* as derived when acknowledged */
  uint64_t erased_kek;            /* gone, acknowledged; 0: none */
};

/* One create, drop or rotation step chosen by the seed; false when the disk failed. */
static bool step(struct bench *b, struct world *w, uint64_t choice) {
  size_t person = choice % PERSONS;
  struct vault_key key = test_key(person, 1);
  if (choice / PERSONS % 9 == 8) {
    uint64_t old = vault_kek_current(b->vault);
    if (vault_rotate(b->vault, NULL, NULL, NULL) != DOM_OK) return false;
    assert_true(vault_kek_gone(b->vault, old));
    w->erased_kek = old;
    return true;
  }
  if (w->fate[person] == ABSENT) {
    w->fate[person] = EITHER;
    if (vault_key_create(b->vault, &key, NULL) != DOM_OK) return false;
    w->fate[person] = THERE;
    w->derived[person] = test_derive(b->vault, &key, w->key[person]) == DOM_OK;
    return true;
  }
  w->fate[person] = EITHER;
  if (vault_key_drop(b->vault, &key, 1, NULL, NULL) != DOM_OK) return false;
  w->fate[person] = ABSENT;
  return true;
}

static void check(struct bench *b, struct world *w, uint64_t seed) {
  for (size_t person = 0; person < PERSONS; person++) {
    struct vault_key key = test_key(person, 1);
    uint8_t now[KEY_SIZE];
    enum dom_code code = test_derive(b->vault, &key, now);
    if (code != DOM_OK && code != DOM_NOT_FOUND)
      fail_msg("seed %llu: %s", (unsigned long long)seed, dom_code_name(code));
    if (w->fate[person] == THERE && code != DOM_OK)
      fail_msg("seed %llu: a created key is lost", (unsigned long long)seed);
    if (w->fate[person] == ABSENT && code == DOM_OK)
      fail_msg("seed %llu: a shredded key is back", (unsigned long long)seed);
    if (w->fate[person] == THERE && w->derived[person]) assert_memory_equal(now, w->key[person], KEY_SIZE);
    w->fate[person] = code == DOM_OK ? THERE : ABSENT;
    w->derived[person] = code == DOM_OK;
    if (code == DOM_OK) memcpy(w->key[person], now, KEY_SIZE);
  }
  if (w->erased_kek) assert_true(vault_kek_gone(b->vault, w->erased_kek));
  struct vault_stats s = test_stats(b->vault);
  assert_int_equal(s.slots_damaged, 0);
}

/* Both disks lose power at the same instant. */
static void power_cycle(struct bench *b) {
  disk_sim_cut_after(b->data, 0);
  disk_sim_cut_after(b->keys, 0);
  if (!disk_sim_is_off(b->data)) disk_sim_power_cut(b->data);
  if (!disk_sim_is_off(b->keys)) disk_sim_power_cut(b->keys);
  bench_shut(b);
  disk_sim_power_on(b->data);
  disk_sim_power_on(b->keys);
}

static uint64_t run_seed(uint64_t seed, uint64_t after_data, uint64_t after_keys) {
  struct bench b;
  struct world w = {0};
  struct dom_err err = {0};
  bench_start(&b, seed);
  uint64_t choice = seed * 7919 + 1;
  for (int life = 0; life < 3; life++) {
    disk_sim_cut_after(b.data, after_data ? after_data + (uint64_t)life : 0);
    disk_sim_cut_after(b.keys, after_keys);
    for (int i = 0; i < STEPS; i++) {
      choice = choice * 6364136223846793005U + 1442695040888963407U;
      if (!step(&b, &w, choice >> 33)) break;
    }
    power_cycle(&b);
    if (bench_try_open(&b, false, &err) != DOM_OK)
      fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
    check(&b, &w, seed);
  }
  bench_reopen(&b);
  check(&b, &w, seed);
  assert_int_equal(test_stats(b.vault).slots_repaired, 0); /* nothing is left to repair */
  uint64_t operations = disk_sim_operations(b.data);
  bench_end(&b);
  return operations;
}

static void test_every_operation(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    for (uint64_t after = 1; after < 60; after += 1 + seed % 3) run_seed(seed, after, 0);
  }
}

static void test_every_key_operation(void **state) {
  (void)state;
  for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
    for (uint64_t after = 1; after < 14; after++) run_seed(seed, 0, after);
  }
}

/* Growing past the first chunk, cut at every operation of it. */
static void test_growth(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    for (uint64_t after = 1; after < 9; after++) {
      struct bench b;
      struct dom_err err = {0};
      bench_start(&b, seed * 100 + after);
      for (uint64_t i = 0; i < 1024; i++) {
        struct vault_key key = test_key(i, 1);
        OK(vault_key_create(b.vault, &key, NULL));
      }
      disk_sim_cut_after(b.data, after);
      struct vault_key more = test_key(5000, 1);
      enum dom_code code = vault_key_create(b.vault, &more, NULL);
      power_cycle(&b);
      if (bench_try_open(&b, false, &err) != DOM_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
      struct vault_stats s = test_stats(b.vault);
      assert_int_equal(s.slots_damaged, 0);
      assert_true(s.slots_used >= 1024);
      if (code == DOM_OK) OK(vault_key_exists(b.vault, &more, NULL));
      code = vault_key_create(b.vault, &more, NULL);
      assert_true(code == DOM_OK || code == DOM_EXISTS);
      bench_end(&b);
    }
  }
}

/* The very first creation, cut anywhere: it can be begun again, and is never half there. */
static void test_first_creation(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    for (uint64_t after = 1; after < 16; after++) {
      struct bench b = {.data = disk_sim_new(seed), .keys = disk_sim_new(seed + 1)};
      struct dom_err err = {0};
      disk_sim_cut_after(seed % 2 ? b.keys : b.data, after);
      (void)bench_try_open(&b, true, NULL);
      power_cycle(&b);
      if (bench_try_open(&b, true, &err) != DOM_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
      struct vault_key key = test_key(1, 1);
      OK(vault_key_create(b.vault, &key, NULL));
      bench_reopen(&b);
      OK(vault_key_exists(b.vault, &key, NULL));
      bench_end(&b);
    }
  }
}

/* What was acknowledged is durable in both files, not in one: a cut with nothing in flight
 * leaves nothing to repair. */
static void test_both_copies(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct bench b;
    bench_start(&b, seed);
    for (uint64_t i = 0; i < 3; i++) {
      struct vault_key key = test_key(i, 1), gone = test_key(0, 1);
      OK(vault_key_create(b.vault, &key, NULL));
      if (i == 1) OK(vault_key_drop(b.vault, &gone, 1, NULL, NULL));
      if (i == 2) OK(vault_rotate(b.vault, NULL, NULL, NULL));
      power_cycle(&b);
      OK(bench_try_open(&b, false, NULL));
      assert_int_equal(test_stats(b.vault).slots_repaired, 0);
    }
    assert_int_equal(test_stats(b.vault).slots_used, 2);
    bench_end(&b);
  }
}

/* Planted bug: syncs do nothing. The harness must see keys lost or back again. */
static void test_can_fail(void **state) {
  (void)state;
  int wrong = 0;
  for (uint64_t seed = 0; seed < 20; seed++) {
    struct bench b;
    bench_start(&b, seed);
    struct vault_key kept = test_key(1, 1), gone = test_key(2, 1);
    OK(vault_key_create(b.vault, &gone, NULL));
    disk_sim_ignore_sync(b.data, true);
    OK(vault_key_create(b.vault, &kept, NULL));
    OK(vault_key_drop(b.vault, &gone, 1, NULL, NULL));
    power_cycle(&b);
    disk_sim_ignore_sync(b.data, false);
    OK(bench_try_open(&b, false, NULL));
    wrong += vault_key_exists(b.vault, &kept, NULL) != DOM_OK;
    wrong += vault_key_exists(b.vault, &gone, NULL) == DOM_OK;
    bench_end(&b);
  }
  assert_true(wrong > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_operation), cmocka_unit_test(test_every_key_operation),
      cmocka_unit_test(test_growth),          cmocka_unit_test(test_first_creation),
      cmocka_unit_test(test_both_copies),     cmocka_unit_test(test_can_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
