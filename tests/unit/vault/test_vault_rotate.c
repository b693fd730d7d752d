/* Rotation of the KEK, and where KEKs come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "vault_testing.h"

enum { PATH_MAX_TEST = 128 };

struct progress {
  int calls, stop_after;
  uint64_t last;
};

static bool on_progress(void *arg, const struct vault_rotation *at) {
  struct progress *p = arg;
  assert_true(at->slots_done >= p->last && at->slots_done <= at->slots_total);
  p->last = at->slots_done;
  return ++p->calls != p->stop_after;
}

static void kek_path(uint64_t id, char out[PATH_MAX_TEST]) {
  char name[VAULT_KEK_NAME_SIZE];
  vault_kek_name(id, name);
  snprintf(out, PATH_MAX_TEST, "kek-%s", name);
}

static void test_rotate(void **state) {
  (void)state;
  struct bench b;
  enum { MANY = 700 };
  static uint8_t before[MANY][KEY_SIZE], after[KEY_SIZE];
  bench_start(&b, 1);
  for (uint64_t i = 0; i < MANY; i++) {
    struct vault_key key = test_key(i, 1);
    OK(vault_key_create(b.vault, &key, NULL));
    OK(test_derive(b.vault, &key, before[i]));
  }
  uint64_t old = vault_kek_current(b.vault);
  char path[PATH_MAX_TEST];
  kek_path(old, path);
  struct disk_info info;
  OK(disk_stat(b.keys, path, &info, NULL));
  struct progress p = {0};
  OK(vault_rotate(b.vault, on_progress, &p, NULL));
  assert_true(p.calls >= 3);
  assert_int_not_equal(vault_kek_current(b.vault), old);
  assert_true(vault_kek_gone(b.vault, old));
  assert_false(vault_kek_gone(b.vault, vault_kek_current(b.vault)));
  assert_int_equal(disk_stat(b.keys, path, &info, NULL), DOM_NOT_FOUND);
  for (int again = 0; again < 2; again++) {
    for (uint64_t i = 0; i < MANY; i++) {
      struct vault_key key = test_key(i, 1);
      OK(test_derive(b.vault, &key, after));
      assert_memory_equal(before[i], after, KEY_SIZE);
    }
    bench_reopen(&b);
  }
  bench_end(&b);
}

/* New keys take the new KEK at once; a drop meanwhile; a stop and a restart in the middle; the
 * resumed rotation is told apart from a fresh one. */
static void test_interrupted(void **state) {
  (void)state;
  struct bench b;
  bool resumed = true, finished = false, pending = true;
  bench_start(&b, 2);
  for (uint64_t i = 0; i < 50; i++) {
    struct vault_key key = test_key(i, 1);
    OK(vault_key_create(b.vault, &key, NULL));
  }
  uint64_t old = vault_kek_current(b.vault);
  OK(vault_rotate_pending(b.vault, &pending, NULL));
  assert_false(pending);
  OK(vault_rotate_begin(b.vault, &resumed, NULL));
  assert_false(resumed);
  OK(vault_rotate_step(b.vault, 10, NULL, &finished, NULL));
  assert_false(finished);
  struct vault_key fresh = test_key(500, 1), gone = test_key(40, 1);
  OK(vault_key_create(b.vault, &fresh, NULL));
  OK(vault_key_drop(b.vault, &gone, 1, NULL, NULL));
  assert_int_equal(test_stats(b.vault).slots_old_kek, 39);
  assert_int_equal(vault_rotate_finish(b.vault, NULL), DOM_BUSY);
  bench_reopen(&b);
  assert_int_equal(test_stats(b.vault).slots_old_kek, 39);
  OK(vault_rotate_pending(b.vault, &pending, NULL));
  assert_true(pending);
  OK(vault_rotate_begin(b.vault, &resumed, NULL));
  assert_true(resumed);
  while (!finished) OK(vault_rotate_step(b.vault, 7, NULL, &finished, NULL));
  OK(vault_rotate_finish(b.vault, NULL));
  assert_true(vault_kek_gone(b.vault, old));
  OK(vault_rotate_pending(b.vault, &pending, NULL));
  assert_false(pending);
  uint64_t second = vault_kek_current(b.vault);
  OK(vault_rotate_begin(b.vault, &resumed, NULL)); /* left pending: vault_rotate does both */
  struct progress p = {.stop_after = 1};
  assert_int_equal(vault_rotate(b.vault, on_progress, &p, NULL), DOM_CANCELLED);
  uint64_t third = vault_kek_current(b.vault);
  OK(vault_rotate(b.vault, NULL, NULL, NULL));
  assert_true(vault_kek_gone(b.vault, second));
  assert_true(vault_kek_gone(b.vault, third));
  for (uint64_t i = 0; i < 50; i++) {
    struct vault_key key = test_key(i, 1);
    assert_int_equal(vault_key_exists(b.vault, &key, NULL), i == 40 ? DOM_NOT_FOUND : DOM_OK);
  }
  bench_end(&b);
}

/* A begin that made its KEK and then failed leaves the provider ahead; the next one follows. */
static void test_begin_without_memory(void **state) {
  (void)state;
  for (uint64_t n = 0; n < 12; n++) {
    struct bench b;
    bool resumed = false;
    bench_start(&b, n);
    struct vault_key key = test_key(1, 1);
    OK(vault_key_create(b.vault, &key, NULL));
    dom_alloc_fail_after(n, 1);
    (void)vault_rotate_begin(b.vault, &resumed, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    OK(vault_rotate(b.vault, NULL, NULL, NULL));
    bench_reopen(&b);
    OK(vault_key_exists(b.vault, &key, NULL));
    OK(test_derive(b.vault, &key, (uint8_t[KEY_SIZE]){0}));
    bench_end(&b);
  }
}

static void test_wrong_kek(void **state) {
  (void)state;
  struct bench b;
  struct dom_err err = {0};
  bench_start(&b, 3);
  struct vault_key key = test_key(1, 1);
  OK(vault_key_create(b.vault, &key, NULL));
  char needed[VAULT_KEK_NAME_SIZE];
  vault_kek_name(vault_kek_current(b.vault), needed);
  bench_shut(&b);
  struct disk *right = b.keys;
  b.keys = disk_sim_new(77);
  OK(vault_kek_folder_open(b.keys, "", NULL, true, &b.kek, NULL));
  struct vault_options o = bench_options(&b, false);
  assert_int_equal(vault_open(&o, &b.vault, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, needed));
  bench_shut(&b);
  disk_sim_free(b.keys);
  b.keys = right;
  OK(bench_try_open(&b, false, NULL));
  OK(vault_key_exists(b.vault, &key, NULL));
  bench_end(&b);
}

/* A key file whose content is not the key its name says; a `current` that is no name. */
static void test_bad_folder(void **state) {
  (void)state;
  struct bench b;
  struct dom_err err = {0};
  bench_start(&b, 4);
  char path[PATH_MAX_TEST];
  kek_path(vault_kek_current(b.vault), path);
  bench_shut(&b);
  struct vault_kek *kek = NULL;
  assert_int_equal(vault_kek_folder_open(b.data, "none", NULL, false, &kek, NULL), DOM_NOT_FOUND);
  BUF_AUTO other = BUF_INIT;
  for (int i = 0; i < 32; i++) buf_append_str(&other, "ab");
  OK(disk_replace_file(b.keys, path, buf_slice(&other), NULL));
  assert_int_equal(vault_kek_folder_open(b.keys, "", NULL, false, &kek, &err), DOM_CORRUPT);
  OK(disk_replace_file(b.keys, path, SLICE_LIT("short"), NULL));
  assert_int_equal(vault_kek_folder_open(b.keys, "", NULL, false, &kek, NULL), DOM_INVALID);
  OK(disk_replace_file(b.keys, "current", SLICE_LIT("kek-zz\n"), NULL));
  assert_int_equal(vault_kek_folder_open(b.keys, "", NULL, false, &kek, NULL), DOM_INVALID);
  bench_end(&b);
}

struct temp {
  char root[PATH_MAX_TEST];
};

static void temp_make(struct temp *t) {
  const char *tmp = getenv("TMPDIR");
  snprintf(t->root, sizeof t->root, "%s/vault-kek-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(t->root));
}

static void temp_remove(struct temp *t) {
  char command[PATH_MAX_TEST + 16];
  snprintf(command, sizeof command, "rm -r '%s'", t->root);
  assert_int_equal(system(command), 0);
}

static void temp_write(const struct temp *t, const char *text, size_t len, mode_t mode,
                       char path[2 * PATH_MAX_TEST]) {
  snprintf(path, 2 * PATH_MAX_TEST, "%s/key", t->root);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, len, f), len);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path, mode), 0);
}

static void test_key_file(void **state) {
  (void)state;
  struct temp t;
  temp_make(&t);
  static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
  uint8_t raw[KEY_SIZE];
  char path[2 * PATH_MAX_TEST];
  struct vault_kek *kek = NULL;
  struct dom_err err = {0};
  uint64_t from_hex = 0, from_raw = 0;
  for (int i = 0; i < KEY_SIZE; i++) raw[i] = (uint8_t)i;
  temp_write(&t, hex, strlen(hex), 0600, path);
  OK(vault_kek_file_open(path, &kek, NULL));
  OK(kek->ops->current(kek, &from_hex, NULL));
  assert_int_equal(kek->ops->create(kek, &from_raw, NULL), DOM_INCOMPATIBLE);
  vault_kek_close(kek);
  temp_write(&t, (const char *)raw, sizeof raw, 0400, path);
  OK(vault_kek_file_open(path, &kek, NULL));
  OK(kek->ops->current(kek, &from_raw, NULL));
  vault_kek_close(kek);
  assert_int_equal(from_hex, from_raw);
  assert_int_equal(from_hex, vault_kek_id_of(raw));
  assert_int_equal(chmod(path, 0640), 0);
  assert_int_equal(vault_kek_file_open(path, &kek, &err), DOM_DENIED);
  assert_non_null(strstr(err.text, "chmod 0600"));
  temp_write(&t, hex, 63, 0600, path);
  assert_int_equal(vault_kek_file_open(path, &kek, NULL), DOM_INVALID);
  temp_write(&t, "", 0, 0600, path);
  assert_int_equal(vault_kek_file_open(path, &kek, NULL), DOM_INVALID);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(vault_kek_file_open(path, &kek, NULL), DOM_NOT_FOUND);
  temp_remove(&t);
}

static void test_folder_permissions(void **state) {
  (void)state;
  struct temp t;
  temp_make(&t);
  struct disk *disk = NULL;
  struct vault_kek *kek = NULL;
  uint64_t id = 0;
  char folder[2 * PATH_MAX_TEST], name[PATH_MAX_TEST], path[4 * PATH_MAX_TEST];
  OK(disk_posix_open(t.root, &disk, NULL));
  snprintf(folder, sizeof folder, "%s/keys", t.root);
  OK(vault_kek_folder_open(disk, "keys", folder, true, &kek, NULL));
  OK(kek->ops->current(kek, &id, NULL));
  vault_kek_close(kek);
  OK(vault_kek_folder_open(disk, "keys", folder, false, &kek, NULL));
  vault_kek_close(kek);
  kek_path(id, name);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(chmod(path, 0604), 0);
  assert_int_equal(vault_kek_folder_open(disk, "keys", folder, false, &kek, NULL), DOM_DENIED);
  assert_int_equal(chmod(path, 0600), 0);
  assert_int_equal(chmod(folder, 0710), 0);
  assert_int_equal(vault_kek_folder_open(disk, "keys", folder, false, &kek, NULL), DOM_DENIED);
  disk_posix_close(disk);
  temp_remove(&t);
}

/* The old KEK's digits are nowhere in its file before it is unlinked: a link kept to it shows
 * zeros. */
static void test_destroy_overwrites(void **state) {
  (void)state;
  struct temp t;
  temp_make(&t);
  struct disk *disk = NULL;
  struct vault_kek *kek = NULL;
  uint64_t old = 0, id = 0;
  char name[PATH_MAX_TEST], path[2 * PATH_MAX_TEST + 32], kept[2 * PATH_MAX_TEST];
  OK(disk_posix_open(t.root, &disk, NULL));
  OK(vault_kek_folder_open(disk, "keys", NULL, true, &kek, NULL));
  OK(kek->ops->current(kek, &old, NULL));
  kek_path(old, name);
  snprintf(path, sizeof path, "%s/keys/%s", t.root, name);
  snprintf(kept, sizeof kept, "%s/kept", t.root);
  assert_int_equal(link(path, kept), 0);
  assert_int_equal(kek->ops->destroy(kek, old, NULL), DOM_BUSY); /* never the current one */
  OK(kek->ops->create(kek, &id, NULL));
  OK(kek->ops->destroy(kek, old, NULL));
  OK(kek->ops->destroy(kek, old, NULL)); /* again: gone already */
  BUF_AUTO content = BUF_INIT;
  OK(disk_read_file(disk, "kept", 100, &content, NULL));
  assert_int_equal(content.len, 65);
  for (size_t i = 0; i < content.len; i++) assert_int_equal(content.data[i], 0);
  vault_kek_close(kek);
  disk_posix_close(disk);
  temp_remove(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rotate),
      cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_begin_without_memory),
      cmocka_unit_test(test_wrong_kek),
      cmocka_unit_test(test_bad_folder),
      cmocka_unit_test(test_key_file),
      cmocka_unit_test(test_folder_permissions),
      cmocka_unit_test(test_destroy_overwrites),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
