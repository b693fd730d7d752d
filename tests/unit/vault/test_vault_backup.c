/* Backups: whole or not there, replaced at each rotation, and a vault made again from one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/age.h"
#include "vault_testing.h"

enum { PERSONS = 600 }; /* more than two batches of an import */

struct drill {
  struct bench b;
  struct disk *elsewhere;
  struct vault_backup_options backup;
  struct vault_restore_options restore;
  uint8_t derived[PERSONS][KEY_SIZE];
};
static struct drill d; /* its bodies are large */

static void start(uint64_t seed, uint64_t persons) {
  memset(&d, 0, sizeof d);
  bench_start(&d.b, seed);
  d.elsewhere = disk_sim_new(seed + 2000);
  OK(disk_mkdir(d.elsewhere, "backups", NULL));
  OK(disk_dir_sync(d.elsewhere, "", NULL));
  age_identity_make(d.restore.identity);
  d.backup = (struct vault_backup_options){
      .disk = d.elsewhere, .path = "backups/vault", .deployment = "test-deployment"};
  age_recipient_of(d.restore.identity, d.backup.recipient);
  d.restore.from = d.elsewhere;
  d.restore.path = d.backup.path;
  memcpy(d.restore.deployment, d.backup.deployment, 16);
  for (uint64_t i = 0; i < persons; i++) {
    struct vault_key key = test_key(i, 1);
    OK(vault_key_create(d.b.vault, &key, NULL));
    OK(test_derive(d.b.vault, &key, d.derived[i]));
  }
}

static void end(void) {
  bench_end(&d.b);
  assert_int_equal(disk_sim_open_files(d.elsewhere), 0);
  disk_sim_free(d.elsewhere);
}

/* The vault made again on a fresh disk with fresh KEKs. */
static enum dom_code restored(uint16_t region, struct bench *out, struct vault_backup_info *info,
                              struct dom_err *err) {
  *out = (struct bench){.data = disk_sim_new(77), .keys = disk_sim_new(78)};
  OK(vault_kek_folder_open(out->keys, "", NULL, true, &out->kek, NULL));
  struct vault_options o = bench_options(out, true);
  o.region = region;
  OK(vault_open(&o, &out->vault, NULL));
  return vault_restore(out->vault, &d.restore, info, err);
}

/* What a restore from the backup now there holds; a person's key is the one it was. */
static uint64_t count_restored(void) {
  struct bench b;
  struct vault_backup_info info = {0};
  struct dom_err err = {0};
  uint64_t count = 0;
  if (restored(TEST_REGION, &b, &info, &err) != DOM_OK) fail_msg("%s", err.text);
  bench_shut(&b);
  OK(bench_try_open(&b, false, NULL));
  for (uint64_t i = 0; i < PERSONS; i++) {
    struct vault_key key = test_key(i, 1);
    uint8_t derived[KEY_SIZE];
    if (test_derive(b.vault, &key, derived) != DOM_OK) continue;
    assert_memory_equal(derived, d.derived[i], KEY_SIZE);
    count++;
  }
  assert_int_equal(info.keys, count);
  bench_end(&b);
  return count;
}

static void test_drill(void **state) {
  (void)state;
  uint64_t keys = 0;
  start(1, PERSONS);
  OK(vault_backup(d.b.vault, &d.backup, &keys, NULL));
  assert_int_equal(keys, PERSONS);
  assert_int_equal(count_restored(), PERSONS);
  struct vault_key gone = test_key(3, 1);
  OK(vault_key_drop(d.b.vault, &gone, 1, NULL, NULL));
  OK(vault_backup(d.b.vault, &d.backup, NULL, NULL));
  assert_int_equal(count_restored(), PERSONS - 1);
  end();
}

/* A rotation replaces the backup before the old KEK goes; where it cannot, the KEK stays. */
static void test_each_rotation(void **state) {
  (void)state;
  struct dom_err err = {0};
  start(2, 20);
  OK(vault_backup(d.b.vault, &d.backup, NULL, NULL));
  vault_backup_each_rotation(d.b.vault, &d.backup);
  struct vault_key gone = test_key(3, 1);
  OK(vault_key_drop(d.b.vault, &gone, 1, NULL, NULL));
  uint64_t old = vault_kek_current(d.b.vault);
  disk_sim_fail_after(d.elsewhere, 2, DOM_NO_SPACE);
  assert_int_equal(vault_rotate(d.b.vault, NULL, NULL, &err), DOM_NO_SPACE);
  assert_false(vault_kek_gone(d.b.vault, old));
  assert_int_equal(count_restored(), 20); /* the old backup stands */
  OK(vault_rotate(d.b.vault, NULL, NULL, NULL));
  assert_true(vault_kek_gone(d.b.vault, old));
  assert_int_equal(count_restored(), 19);
  end();
}

/* Wherever the power goes while it is replaced: the old one or the new one is there, and opens. */
static void test_power(void **state) {
  (void)state;
  for (uint64_t cut = 1, done = 0; !done; cut++) {
    start(100 + cut, 8);
    OK(vault_backup(d.b.vault, &d.backup, NULL, NULL));
    struct vault_key gone = test_key(3, 1);
    OK(vault_key_drop(d.b.vault, &gone, 1, NULL, NULL));
    disk_sim_cut_after(d.elsewhere, cut);
    enum dom_code code = vault_backup(d.b.vault, &d.backup, NULL, NULL);
    done = code == DOM_OK && !disk_sim_is_off(d.elsewhere);
    disk_sim_cut_after(d.elsewhere, 0);
    disk_sim_power_on(d.elsewhere);
    uint64_t count = count_restored();
    assert_true(count == 7 || (count == 8 && code != DOM_OK));
    OK(vault_backup(d.b.vault, &d.backup, NULL, NULL));
    assert_int_equal(count_restored(), 7);
    end();
    assert_true(cut < 30);
  }
}

static void test_refusals(void **state) {
  (void)state;
  struct bench b;
  struct vault_backup_info info = {0};
  struct dom_err err = {0};
  start(3, 5);
  OK(vault_backup(d.b.vault, &d.backup, NULL, NULL));
  assert_int_equal(restored(TEST_REGION + 1, &b, &info, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "of region number 4, not 5"));
  bench_end(&b);
  err = (struct dom_err){0};
  d.restore.deployment[0] ^= 1;
  assert_int_equal(restored(TEST_REGION, &b, &info, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "another deployment"));
  bench_end(&b);
  d.restore.deployment[0] ^= 1;
  age_identity_make(d.restore.identity);
  assert_int_equal(restored(TEST_REGION, &b, &info, NULL), DOM_DENIED);
  bench_end(&b);
  d.restore.path = "backups/none";
  assert_int_equal(restored(TEST_REGION, &b, &info, NULL), DOM_NOT_FOUND);
  bench_end(&b);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_drill),
      cmocka_unit_test(test_each_rotation),
      cmocka_unit_test(test_power),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests_name("vault: backup", tests, NULL, NULL);
}
