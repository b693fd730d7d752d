/* The folder of an export: what came whole counts, and nothing else, whatever happened to it since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "cli/export_folder.h"

enum { BODIES = 12 };
static const uint8_t ASHA[TOKEN_SIZE] = {1}, BEN[TOKEN_SIZE] = {2};

static struct export_folder *open_for(struct disk *d, const uint8_t token[TOKEN_SIZE]) {
  struct export_folder *f = NULL;
  struct dom_err err = {0};
  if (export_folder_open(d, token, &f, &err)) fail_msg("%s", err.text);
  return f;
}

/* Body `i`: its id, and its bytes, i * 50,000 of them. */
static struct slice body_of(unsigned i, uint8_t id[SHA256_SIZE]) {
  static uint8_t bytes[BODIES * 50000];
  memset(id, (int)(i + 1), SHA256_SIZE);
  for (size_t n = 0; n < i * 50000; n++) bytes[n] = (uint8_t)(n * (i + 3));
  return slice_of(bytes, i * 50000);
}

static enum dom_code bring(struct export_folder *f, unsigned i) {
  uint8_t id[SHA256_SIZE], sha[SHA256_SIZE];
  struct slice body = body_of(i, id);
  sha256(body.data, body.len, sha);
  enum dom_code code = export_folder_begin(f, id, body.len, NULL);
  for (size_t at = 0; !code && at < body.len; at += 25000)
    code = export_folder_add(f, slice_cut(body, at, at + 25000), NULL);
  return code ? code : export_folder_end(f, i % 2 ? sha : NULL, NULL);
}

static enum dom_code find(struct export_folder *f, unsigned i, struct export_file *out) {
  uint8_t id[SHA256_SIZE];
  struct slice body = body_of(i, id);
  return export_folder_find(f, id, body.len, out, NULL);
}

static uint64_t size_of(struct disk *d, const char *path) {
  struct disk_info info = {0};
  return disk_stat(d, path, &info, NULL) ? UINT64_MAX : info.size;
}

static void a_second_run_finds_what_the_first_brought(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(1);
  struct export_file first, again;
  struct export_folder *f = open_for(d, ASHA);
  for (unsigned i = 0; i < BODIES; i++) {
    assert_int_equal(find(f, i, &first), DOM_NOT_FOUND);
    assert_int_equal(bring(f, i), DOM_OK);
  }
  assert_int_equal(find(f, 3, &first), DOM_OK);
  assert_string_equal(first.name, "files/0000/00000004");
  assert_int_equal(export_folder_line(f, SLICE_LIT("{}"), NULL), DOM_OK);
  export_folder_close(f); /* not finished */
  assert_int_equal(size_of(d, "manifest.jsonl"), UINT64_MAX);
  f = open_for(d, ASHA);
  assert_int_equal(find(f, 3, &again), DOM_OK);
  assert_string_equal(first.name, again.name);
  assert_memory_equal(first.sha256, again.sha256, SHA256_SIZE);
  assert_int_equal(disk_sim_flip(d, "files/0000/00000006", 77), DOM_OK);
  assert_int_equal(find(f, 5, &again), DOM_NOT_FOUND);
  assert_int_equal(disk_unlink(d, "files/0000/00000007", NULL), DOM_OK);
  assert_int_equal(find(f, 6, &again), DOM_NOT_FOUND);
  assert_int_equal(bring(f, 5), DOM_OK); /* keeps its number */
  assert_int_equal(find(f, 5, &again), DOM_OK);
  assert_string_equal(again.name, "files/0000/00000006");
  assert_int_equal(export_folder_line(f, SLICE_LIT("{\"a\":1}"), NULL), DOM_OK);
  assert_int_equal(export_folder_finish(f, NULL), DOM_OK);
  export_folder_close(f);
  assert_int_equal(size_of(d, "manifest.jsonl"), 8);
  assert_int_equal(size_of(d, "manifest.jsonl.partial"), UINT64_MAX);
  assert_int_equal(size_of(d, "files/0000/00000004"), 150000);
  assert_int_equal(size_of(d, "files/0000/00000006"), 250000);
  assert_int_equal(size_of(d, "files/0000/00000002"), UINT64_MAX); /* none of this export */
  disk_sim_free(d);
}

static void wrong_bytes_are_not_taken(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(2);
  struct export_folder *f = open_for(d, ASHA);
  struct export_file file;
  uint8_t id[SHA256_SIZE], wrong[SHA256_SIZE] = {9};
  struct slice body = body_of(1, id);
  assert_int_equal(export_folder_begin(f, id, body.len, NULL), DOM_OK);
  assert_int_equal(export_folder_add(f, slice_cut(body, 0, 9), NULL), DOM_OK);
  assert_int_equal(export_folder_end(f, NULL, NULL), DOM_CORRUPT); /* too short */
  assert_int_equal(export_folder_begin(f, id, 10, NULL), DOM_OK);
  assert_int_equal(export_folder_add(f, slice_cut(body, 0, 11), NULL), DOM_CORRUPT); /* too long */
  assert_int_equal(export_folder_begin(f, id, body.len, NULL), DOM_OK);
  assert_int_equal(export_folder_add(f, body, NULL), DOM_OK);
  assert_int_equal(export_folder_end(f, wrong, NULL), DOM_CORRUPT);
  assert_int_equal(find(f, 1, &file), DOM_NOT_FOUND);
  export_folder_close(f);
  disk_sim_free(d);
}

static void folders_of_others_are_left_alone(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(3);
  struct export_folder *f = open_for(d, ASHA), *other = NULL;
  assert_int_equal(export_folder_open(d, ASHA, &other, NULL), DOM_BUSY);
  export_folder_close(f);
  assert_int_equal(export_folder_open(d, BEN, &other, NULL), DOM_EXISTS);
  disk_sim_free(d);
  d = disk_sim_new(4);
  assert_int_equal(disk_replace_file(d, "letter", SLICE_LIT("dear"), NULL), DOM_OK);
  assert_int_equal(export_folder_open(d, ASHA, &other, NULL), DOM_EXISTS);
  assert_int_equal(size_of(d, "progress"), UINT64_MAX);
  assert_int_equal(
      disk_replace_file(d, "progress", SLICE_LIT("forty bytes or more of something else altogether"), NULL),
      DOM_OK);
  assert_int_equal(export_folder_open(d, ASHA, &other, NULL), DOM_CORRUPT);
  assert_null(other);
  disk_sim_free(d);
}

/* Bytes that hash to something else than was noted never count. */
static void check_kept(struct disk *d, struct export_folder *f, unsigned i) {
  struct export_file file;
  uint8_t id[SHA256_SIZE], sha[SHA256_SIZE];
  struct slice body = body_of(i, id);
  BUF_AUTO there = BUF_INIT;
  enum dom_code code = find(f, i, &file);
  assert_true(code == DOM_OK || code == DOM_NOT_FOUND);
  if (code) return;
  sha256(body.data, body.len, sha);
  assert_memory_equal(file.sha256, sha, sizeof sha);
  assert_int_equal(disk_read_file(d, file.name, BODIES * 50000, &there, NULL), DOM_OK);
  assert_true(slice_equal(buf_slice(&there), body));
}

/* Power goes at each operation of a run; the next one goes on, and ends with the whole. */
static void any_operation_may_be_the_last(void **state) {
  (void)state;
  for (uint64_t cut = 1;; cut++) {
    struct disk *d = disk_sim_new(cut);
    struct export_folder *f = NULL;
    struct export_file file;
    disk_sim_cut_after(d, cut);
    enum dom_code code = export_folder_open(d, ASHA, &f, NULL);
    for (unsigned i = 0; i < 4 && !code; i++) code = bring(f, i);
    if (!code) code = export_folder_line(f, SLICE_LIT("x"), NULL);
    if (!code) code = export_folder_finish(f, NULL);
    export_folder_close(f);
    bool over = !disk_sim_is_off(d);
    disk_sim_power_on(d);
    disk_sim_cut_after(d, 0);
    f = open_for(d, ASHA);
    for (unsigned i = 0; i < 4; i++) {
      check_kept(d, f, i);
      if (find(f, i, &file)) assert_int_equal(bring(f, i), DOM_OK);
      check_kept(d, f, i);
      assert_int_equal(find(f, i, &file), DOM_OK);
    }
    assert_int_equal(export_folder_finish(f, NULL), DOM_OK);
    export_folder_close(f);
    assert_int_equal(size_of(d, "manifest.jsonl"), 0);
    disk_sim_free(d);
    if (over) return;
  }
}

static void memory_runs_out(void **state) {
  (void)state;
  int64_t before = dom_alloc_live();
  enum dom_code code = DOM_NO_MEMORY;
  for (uint64_t n = 0; code; n++) {
    struct disk *d = disk_sim_new(5);
    struct export_folder *f = NULL;
    struct export_file file;
    dom_alloc_fail_after(n, 1);
    code = export_folder_open(d, ASHA, &f, NULL);
    if (!code) code = bring(f, 2);
    if (!code) code = find(f, 2, &file);
    if (!code) code = export_folder_finish(f, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    export_folder_close(f);
    disk_sim_free(d);
    assert_int_equal(dom_alloc_live(), before);
    assert_true(n < 10000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_second_run_finds_what_the_first_brought),
      cmocka_unit_test(wrong_bytes_are_not_taken), cmocka_unit_test(folders_of_others_are_left_alone),
      cmocka_unit_test(any_operation_may_be_the_last), cmocka_unit_test(memory_runs_out)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
