/* The vault's facade: create, derive, drop, enumerate, system keys, pins, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_testing.h"

static void test_create_derive_drop(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 1);
  struct vault_key key = test_key(1, 1), later = test_key(1, 2), other = test_key(2, 1);
  uint8_t first[KEY_SIZE], again[KEY_SIZE], different[KEY_SIZE], id[VAULT_ID_SIZE] = {8};
  struct dom_err err = {0};
  assert_int_equal(vault_key_derive(b.vault, &key, "body", id, first, &err), DOM_NOT_FOUND);
  assert_int_equal(err.code, DOM_NOT_FOUND);
  OK(vault_key_create(b.vault, &key, NULL));
  assert_int_equal(vault_key_create(b.vault, &key, NULL), DOM_EXISTS);
  OK(vault_key_exists(b.vault, &key, NULL));
  assert_int_equal(vault_key_exists(b.vault, &later, NULL), DOM_NOT_FOUND);
  assert_int_equal(vault_key_exists(b.vault, &other, NULL), DOM_NOT_FOUND);
  OK(test_derive(b.vault, &key, first));
  OK(test_derive(b.vault, &key, again));
  assert_memory_equal(first, again, KEY_SIZE);
  OK(vault_key_derive(b.vault, &key, "body", id, different, NULL));
  assert_memory_not_equal(first, different, KEY_SIZE); /* another id */
  OK(vault_key_derive(b.vault, &key, "record", id, again, NULL));
  assert_memory_not_equal(again, different, KEY_SIZE); /* another kind */
  OK(vault_key_create(b.vault, &later, NULL));
  OK(test_derive(b.vault, &later, again));
  assert_memory_not_equal(first, again, KEY_SIZE); /* another epoch */
  bench_reopen(&b);
  OK(test_derive(b.vault, &key, again));
  assert_memory_equal(first, again, KEY_SIZE);
  struct vault_key drops[] = {key, other, key};
  size_t dropped = 9;
  OK(vault_key_drop(b.vault, drops, 3, &dropped, NULL));
  assert_int_equal(dropped, 1);
  memset(again, 0xee, KEY_SIZE);
  assert_int_equal(test_derive(b.vault, &key, again), DOM_NOT_FOUND);
  assert_int_equal(again[0], 0xee); /* outputs only on success */
  OK(test_derive(b.vault, &later, again));
  bench_reopen(&b);
  assert_int_equal(vault_key_exists(b.vault, &key, NULL), DOM_NOT_FOUND);
  assert_int_equal(test_stats(b.vault).slots_used, 1);
  bench_end(&b);
}

struct seen {
  int count, system;
};

static bool count_key(void *arg, const struct vault_key *key) {
  struct seen *seen = arg;
  struct vault_key system = vault_system_key();
  seen->count++;
  if (memcmp(key->token, system.token, VAULT_TOKEN_SIZE) == 0 && key->epoch == system.epoch) seen->system++;
  return true;
}

static void test_system_keys(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 2);
  uint32_t newest = 0;
  uint8_t one[KEY_SIZE], two[KEY_SIZE];
  assert_int_equal(vault_index_newest(b.vault, &newest, NULL), DOM_NOT_FOUND);
  struct vault_key keys[] = {vault_system_key(), vault_index_slot(1), vault_index_slot(2), test_key(5, 3)};
  for (size_t i = 0; i < 4; i++) OK(vault_key_create(b.vault, &keys[i], NULL));
  OK(vault_index_newest(b.vault, &newest, NULL));
  assert_int_equal(newest, 2);
  OK(vault_index_key(b.vault, 1, one, NULL));
  OK(vault_index_key(b.vault, 2, two, NULL));
  assert_memory_not_equal(one, two, KEY_SIZE);
  struct seen seen = {0};
  OK(vault_key_each(b.vault, count_key, &seen, NULL));
  assert_int_equal(seen.count, 4);
  assert_int_equal(seen.system, 1);
  OK(vault_key_drop(b.vault, &keys[1], 1, NULL, NULL));
  assert_int_equal(vault_index_key(b.vault, 1, one, NULL), DOM_NOT_FOUND);
  bench_end(&b);
}

/* Past the first chunk of slots, with drops that free slots for others, and back. */
static void test_many(void **state) {
  (void)state;
  enum { MANY = 2500 };
  struct bench b;
  bench_start(&b, 3);
  struct vault_key *keys = calloc(MANY, sizeof *keys);
  assert_non_null(keys);
  for (int i = 0; i < MANY; i++) {
    keys[i] = test_key((uint64_t)i, 1);
    OK(vault_key_create(b.vault, &keys[i], NULL));
  }
  size_t dropped = 0;
  OK(vault_key_drop(b.vault, keys, 1000, &dropped, NULL)); /* several batches */
  assert_int_equal(dropped, 1000);
  uint64_t total = test_stats(b.vault).slots_total;
  for (int i = 0; i < 900; i++) {
    struct vault_key next = test_key((uint64_t)i, 2);
    OK(vault_key_create(b.vault, &next, NULL));
  }
  assert_int_equal(test_stats(b.vault).slots_total, total); /* freed slots are used again */
  bench_reopen(&b);
  struct vault_stats s = test_stats(b.vault);
  assert_int_equal(s.slots_used, MANY - 1000 + 900);
  assert_int_equal(s.slots_used + s.slots_free, s.slots_total);
  assert_int_equal(s.slots_repaired, 0);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(vault_key_exists(b.vault, &keys[i], NULL), i < 1000 ? DOM_NOT_FOUND : DOM_OK);
  }
  free(keys);
  bench_end(&b);
}

static void test_pins(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 4);
  struct vault_key key = test_key(1, 1), other = test_key(2, 1);
  struct vault_pin pins[3], none;
  OK(vault_key_create(b.vault, &key, NULL));
  OK(vault_key_create(b.vault, &other, NULL));
  OK(vault_key_pin(b.vault, &key, &pins[0], NULL));
  OK(vault_key_pin(b.vault, &key, &pins[1], NULL));
  OK(vault_key_pin(b.vault, &other, &pins[2], NULL));
  assert_false(vault_key_dropped(&pins[0]));
  vault_key_unpin(b.vault, &pins[0]);
  OK(vault_key_drop(b.vault, &key, 1, NULL, NULL));
  assert_true(vault_key_dropped(&pins[1]));
  assert_false(vault_key_dropped(&pins[2]));
  assert_int_equal(test_stats(b.vault).pins_cancelled, 1);
  assert_int_equal(vault_key_pin(b.vault, &key, &none, NULL), DOM_NOT_FOUND);
  vault_key_unpin(b.vault, &pins[1]);
  vault_key_unpin(b.vault, &pins[2]);
  bench_end(&b);
}

/* The wrapped bytes of a dropped key are in neither file; the control: before, they were. */
static void test_drop_leaves_nothing(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 5);
  struct vault_key key = test_key(1, 1), kept = test_key(2, 1);
  OK(vault_key_create(b.vault, &key, NULL));
  OK(vault_key_create(b.vault, &kept, NULL));
  uint8_t slot[TEST_SLOT_SIZE];
  struct disk_file *file = NULL;
  OK(disk_open(b.data, test_file(0), DISK_READ, &file, NULL));
  OK(disk_read_full(file, TEST_HEADER_SIZE, slot, sizeof slot, NULL));
  disk_close(file);
  struct slice wrapped = slice_of(slot + 96, KEY_SIZE), token = slice_of(key.token, VAULT_TOKEN_SIZE);
  assert_true(test_scan(&b, wrapped));
  assert_true(test_scan(&b, token));
  OK(vault_key_drop(b.vault, &key, 1, NULL, NULL));
  assert_false(test_scan(&b, wrapped));
  assert_false(test_scan(&b, token));
  assert_false(test_scan(&b, slice_of(slot + 32, GCM_NONCE_SIZE)));
  assert_true(test_scan(&b, slice_of(kept.token, VAULT_TOKEN_SIZE)));
  bench_end(&b);
}

/* Any byte of one copy bad: repaired from the other, whichever it is. */
static void test_single_damage(void **state) {
  (void)state;
  for (uint32_t byte = 0; byte < TEST_SLOT_SIZE; byte += 5) {
    for (int copy = 0; copy < 2; copy++) {
      struct bench b;
      uint8_t before[KEY_SIZE], after[KEY_SIZE];
      bench_start(&b, byte);
      struct vault_key key = test_key(1, 1);
      OK(vault_key_create(b.vault, &key, NULL));
      OK(test_derive(b.vault, &key, before));
      test_flip(&b, copy, 0, byte);
      OK(test_derive(b.vault, &key, after)); /* at once, from the other copy */
      assert_memory_equal(before, after, KEY_SIZE);
      assert_int_equal(test_stats(b.vault).second_copy_reads, copy == 0 ? 1 : 0);
      bench_reopen(&b);
      assert_int_equal(test_stats(b.vault).slots_repaired, 1);
      test_flip(&b, 1 - copy, 0, byte); /* the repaired copy holds now */
      bench_reopen(&b);
      OK(test_derive(b.vault, &key, after));
      assert_memory_equal(before, after, KEY_SIZE);
      bench_end(&b);
    }
  }
}

static bool note_slot(void *arg, uint32_t slot) {
  *(int64_t *)arg = slot;
  return true;
}

static void test_double_damage(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 6);
  struct vault_key keys[3] = {test_key(1, 1), test_key(2, 1), test_key(3, 1)};
  for (int i = 0; i < 3; i++) OK(vault_key_create(b.vault, &keys[i], NULL));
  test_flip(&b, 0, 1, 100);
  test_flip(&b, 1, 1, 20);
  assert_int_equal(test_derive(b.vault, &keys[1], (uint8_t[KEY_SIZE]){0}), DOM_CORRUPT);
  bench_reopen(&b);
  struct vault_stats s = test_stats(b.vault);
  assert_int_equal(s.slots_damaged, 1);
  assert_int_equal(s.slots_used, 2);
  assert_int_equal(s.slots_used + s.slots_free + s.slots_damaged, s.slots_total);
  int64_t slot = -1;
  vault_damage_each(b.vault, note_slot, &slot);
  assert_int_equal(slot, 1);
  struct seen seen = {0};
  OK(vault_key_each(b.vault, count_key, &seen, NULL));
  assert_int_equal(seen.count, 2);
  for (int i = 10; i < 1100; i++) { /* the damaged slot is never handed out */
    struct vault_key key = test_key((uint64_t)i, 1);
    OK(vault_key_create(b.vault, &key, NULL));
  }
  bench_reopen(&b);
  assert_int_equal(test_stats(b.vault).slots_damaged, 1);
  assert_int_equal(vault_rotate(b.vault, NULL, NULL, NULL), DOM_CORRUPT); /* it may yet be restored */
  assert_int_equal(vault_damage_forget(b.vault, 0, NULL), DOM_NOT_FOUND);
  OK(vault_damage_forget(b.vault, 1, NULL));
  bench_reopen(&b);
  assert_int_equal(test_stats(b.vault).slots_damaged, 0);
  OK(vault_rotate(b.vault, NULL, NULL, NULL));
  bench_end(&b);
}

/* Headers: one bad is repaired, two bad are refused; a lost file is made again from the other. */
static void test_files(void **state) {
  (void)state;
  struct bench b;
  struct dom_err err = {0};
  uint8_t before[KEY_SIZE], after[KEY_SIZE];
  bench_start(&b, 7);
  struct vault_key key = test_key(1, 1);
  OK(vault_key_create(b.vault, &key, NULL));
  OK(test_derive(b.vault, &key, before));
  for (int copy = 0; copy < 2; copy++) {
    OK(disk_sim_flip(b.data, test_file(copy), 40 * 8));
    bench_reopen(&b);
    bench_shut(&b);
    OK(disk_unlink(b.data, test_file(copy), NULL));
    OK(bench_try_open(&b, false, &err));
    assert_true(test_stats(b.vault).slots_repaired >= 1024);
    OK(test_derive(b.vault, &key, after));
    assert_memory_equal(before, after, KEY_SIZE);
  }
  struct vault_options second = bench_options(&b, false);
  struct vault *other = NULL;
  assert_int_equal(vault_open(&second, &other, NULL), DOM_BUSY);
  bench_shut(&b);
  OK(vault_kek_folder_open(b.keys, "", NULL, false, &b.kek, NULL));
  struct vault_options wrong = bench_options(&b, false);
  wrong.region = 9;
  assert_int_equal(vault_open(&wrong, &other, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "region number 4, not 9"));
  wrong = bench_options(&b, false);
  wrong.folder = "elsewhere";
  assert_int_equal(vault_open(&wrong, &other, NULL), DOM_NOT_FOUND);
  OK(disk_sim_flip(b.data, test_file(0), 40 * 8));
  OK(disk_sim_flip(b.data, test_file(1), 40 * 8));
  struct vault_options bad = bench_options(&b, true); /* create never goes over what is there */
  assert_int_equal(vault_open(&bad, &other, NULL), DOM_CORRUPT);
  bench_end(&b);
}

/* The second file cut short: its keys come back from the first. */
static void test_cut_file(void **state) {
  (void)state;
  for (int copy = 0; copy < 2; copy++) {
    struct bench b;
    bench_start(&b, 8);
    for (uint64_t i = 0; i < 1500; i++) {
      struct vault_key key = test_key(i, 1);
      OK(vault_key_create(b.vault, &key, NULL));
    }
    bench_shut(&b);
    struct disk_file *file = NULL;
    OK(disk_open(b.data, test_file(copy), DISK_READ | DISK_WRITE, &file, NULL));
    OK(disk_truncate(file, TEST_HEADER_SIZE + 1300 * TEST_SLOT_SIZE + 50, NULL));
    disk_close(file);
    OK(bench_try_open(&b, false, NULL));
    assert_int_equal(test_stats(b.vault).slots_used, 1500);
    assert_int_equal(test_stats(b.vault).slots_damaged, 0);
    bench_end(&b);
  }
}

static void test_full_disk(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 9);
  struct vault_key keys[1024];
  for (uint64_t i = 0; i < 1024; i++) {
    keys[i] = test_key(i, 1);
    OK(vault_key_create(b.vault, &keys[i], NULL));
  }
  disk_sim_set_free(b.data, 0);
  struct vault_key more = test_key(5000, 1);
  assert_int_equal(vault_key_create(b.vault, &more, NULL), DOM_NO_SPACE);
  assert_false(test_stats(b.vault).read_only);
  bench_reopen(&b); /* opens on a full disk, too */
  assert_int_equal(test_stats(b.vault).slots_total, 1024);
  OK(vault_key_drop(b.vault, keys, 2, NULL, NULL));
  OK(vault_key_create(b.vault, &more, NULL)); /* in a freed slot */
  bench_end(&b);
}

/* The n-th disk operation fails: the vault goes read-only or nothing happened; reads go on;
 * what was acknowledged holds after a restart. */
static void test_failing_disk(void **state) {
  (void)state;
  int read_only = 0;
  for (uint64_t n = 1; n < 14; n++) {
    struct bench b;
    bench_start(&b, n);
    struct vault_key kept = test_key(1, 1), gone = test_key(2, 1), made = test_key(3, 1);
    OK(vault_key_create(b.vault, &kept, NULL));
    OK(vault_key_create(b.vault, &gone, NULL));
    disk_sim_fail_after(b.data, n, DOM_IO);
    enum dom_code drop = vault_key_drop(b.vault, &gone, 1, NULL, NULL);
    enum dom_code create = vault_key_create(b.vault, &made, NULL);
    if (test_stats(b.vault).read_only) {
      read_only++;
      assert_true(drop == DOM_IO || create == DOM_IO);
      assert_int_equal(vault_key_create(b.vault, &made, NULL), DOM_READ_ONLY);
      assert_int_equal(vault_key_drop(b.vault, &kept, 1, NULL, NULL), DOM_READ_ONLY);
      assert_int_equal(vault_rotate(b.vault, NULL, NULL, NULL), DOM_READ_ONLY);
    }
    OK(vault_key_exists(b.vault, &kept, NULL));
    disk_sim_fail_after(b.data, 0, DOM_IO);
    bench_reopen(&b);
    OK(vault_key_exists(b.vault, &kept, NULL));
    if (drop == DOM_OK) assert_int_equal(vault_key_exists(b.vault, &gone, NULL), DOM_NOT_FOUND);
    if (create == DOM_OK) OK(vault_key_exists(b.vault, &made, NULL));
    bench_end(&b);
  }
  assert_true(read_only >= 4);
}

/* Every allocation of open, create, derive and drop fails once; nothing leaks, and the vault
 * goes on. */
static void test_failing_allocations(void **state) {
  (void)state;
  struct bench b;
  bench_start(&b, 10);
  struct vault_key key = test_key(1, 1);
  uint8_t out[KEY_SIZE];
  OK(vault_key_create(b.vault, &key, NULL));
  int failures = 0;
  for (uint64_t n = 0;; n++) {
    bench_shut(&b);
    OK(vault_kek_folder_open(b.keys, "", NULL, false, &b.kek, NULL));
    int64_t live = dom_alloc_live();
    struct vault_options o = bench_options(&b, false);
    struct vault_key fresh = test_key(100 + n, 1);
    dom_alloc_fail_after(n, 1);
    enum dom_code code = vault_open(&o, &b.vault, NULL);
    if (code != DOM_OK) {
      dom_alloc_fail_after(UINT64_MAX, 0);
      assert_int_equal(code, DOM_NO_MEMORY);
      assert_int_equal(dom_alloc_live(), live);
      OK(vault_open(&o, &b.vault, NULL));
      failures++;
      continue;
    }
    code = vault_key_create(b.vault, &fresh, NULL);
    if (code == DOM_OK) code = test_derive(b.vault, &fresh, out);
    if (code == DOM_OK) code = vault_key_drop(b.vault, &fresh, 1, NULL, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    OK(test_derive(b.vault, &key, out));
    if (code == DOM_OK) break;
    failures++;
    assert_int_equal(code, DOM_NO_MEMORY);
  }
  assert_true(failures >= 5);
  bench_end(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_derive_drop),
      cmocka_unit_test(test_system_keys),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_pins),
      cmocka_unit_test(test_drop_leaves_nothing),
      cmocka_unit_test(test_single_damage),
      cmocka_unit_test(test_double_damage),
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_cut_file),
      cmocka_unit_test(test_full_disk),
      cmocka_unit_test(test_failing_disk),
      cmocka_unit_test(test_failing_allocations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
