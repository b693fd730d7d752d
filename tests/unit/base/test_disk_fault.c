/* Planned failures of the simulated disk, and many threads on it at once. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/disk.h"

static struct disk_file *open_file(struct disk *d, const char *path, unsigned flags) {
  struct disk_file *f = NULL;
  assert_ok(disk_open(d, path, flags, &f, NULL));
  return f;
}

/* Each operation of a replace fails in turn; the file is old or new, nothing stays open. */
static void fail_each_operation(enum dom_code planned) {
  enum dom_code code = planned;
  uint64_t n = 0;
  while (code != DOM_OK) {
    struct disk *d = disk_sim_new(3);
    assert_ok(disk_replace_file(d, "f", SLICE_LIT("old"), NULL));
    int64_t live = dom_alloc_live();
    disk_sim_fail_after(d, ++n, planned);
    struct dom_err err = {0};
    code = disk_replace_file(d, "f", SLICE_LIT("new"), &err);
    assert_true(code == DOM_OK || code == planned);
    assert_int_equal(err.code, code);
    assert_int_equal(disk_sim_open_files(d), 0);
    assert_int_equal(dom_alloc_live(), live);
    BUF_AUTO got = BUF_INIT;
    assert_ok(disk_read_file(d, "f", 100, &got, NULL));
    assert_true(strcmp(buf_str(&got), "old") == 0 || strcmp(buf_str(&got), "new") == 0);
    disk_sim_fail_after(d, 0, DOM_IO);
    disk_sim_free(d);
  }
  assert_int_equal(n, 6); /* open, write, sync, rename, dir_sync, and the run without a failure */
}

static void test_each_operation_fails_with_io(void **state) {
  (void)state;
  fail_each_operation(DOM_IO);
}

static void test_each_operation_fails_without_space(void **state) {
  (void)state;
  fail_each_operation(DOM_NO_SPACE);
}

/* The bug that made databases stop retrying fsync: the second sync says yes, the data is gone. */
static void test_sync_after_a_failed_sync_brings_nothing_back(void **state) {
  (void)state;
  unsigned lost = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *f = open_file(d, "a", DISK_READ | DISK_WRITE | DISK_CREATE);
    assert_ok(disk_dir_sync(d, "", NULL));
    assert_ok(disk_write(f, 0, "data", 4, NULL));
    disk_sim_fail_after(d, 1, DOM_IO);
    assert_int_equal(disk_sync(f, NULL), DOM_IO);
    assert_ok(disk_sync(f, NULL));
    char got[4];
    assert_ok(disk_read_full(f, 0, got, 4, NULL)); /* still shown from memory */
    disk_sim_power_cut(d);
    disk_close(f);
    struct disk_info info;
    assert_ok(disk_stat(d, "a", &info, NULL));
    lost += info.size == 0;
    disk_sim_free(d);
  }
  assert_in_range(lost, 1, 99);
}

static void test_failed_write_leaves_a_part(void **state) {
  (void)state;
  unsigned parts = 0, nothing = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *f = open_file(d, "a", DISK_WRITE | DISK_CREATE);
    uint8_t data[2048] = {1};
    disk_sim_fail_after(d, 1, DOM_IO);
    assert_int_equal(disk_write(f, 0, data, sizeof data, NULL), DOM_IO);
    uint64_t size = 0;
    assert_ok(disk_size(f, &size, NULL));
    assert_true(size <= sizeof data && size % 512 == 0);
    parts += size > 0;
    nothing += size == 0;
    disk_close(f);
    disk_sim_free(d);
  }
  assert_true(parts > 0 && nothing > 0);
}

static void test_a_read_fails(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(1);
  assert_ok(disk_replace_file(d, "a", SLICE_LIT("data"), NULL));
  struct disk_file *f = open_file(d, "a", DISK_READ);
  char got[4] = "none";
  struct dom_err err = {0};
  disk_sim_fail_read_after(d, 2);
  assert_ok(disk_read_full(f, 0, got, 1, NULL));
  assert_int_equal(disk_read_full(f, 0, got, 4, &err), DOM_IO);
  assert_int_equal(err.sys_errno, EIO);
  assert_memory_equal(got, "done", 4);
  assert_ok(disk_read_full(f, 0, got, 4, NULL));
  assert_memory_equal(got, "data", 4);
  disk_close(f);
  disk_sim_free(d);
}

enum { THREADS = 4, ROUNDS = 500 };

struct worker {
  struct disk *disk;
  unsigned number;
  bool failed;
};

static void *work(void *arg) {
  struct worker *w = arg;
  char path[16], other[16];
  (void)snprintf(path, sizeof path, "f%u", w->number);
  (void)snprintf(other, sizeof other, "g%u", w->number);
  for (unsigned i = 0; i < ROUNDS && !w->failed; i++) {
    struct disk_file *f = NULL;
    uint64_t got = 0, want = (uint64_t)w->number << 32 | i;
    w->failed = disk_open(w->disk, path, DISK_READ | DISK_WRITE | DISK_CREATE, &f, NULL) != DOM_OK ||
                disk_write(f, 8, &want, sizeof want, NULL) != DOM_OK || disk_sync(f, NULL) != DOM_OK ||
                disk_read_full(f, 8, &got, sizeof got, NULL) != DOM_OK || got != want ||
                disk_rename(w->disk, path, other, NULL) != DOM_OK ||
                disk_dir_sync(w->disk, "", NULL) != DOM_OK || disk_unlink(w->disk, other, NULL) != DOM_OK;
    disk_close(f);
  }
  return NULL;
}

static void test_many_threads(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(1);
  struct worker workers[THREADS];
  pthread_t threads[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){d, i, false};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(workers[i].failed);
  }
  assert_int_equal(disk_sim_operations(d), THREADS * ROUNDS * 6);
  disk_sim_free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_operation_fails_with_io),
      cmocka_unit_test(test_each_operation_fails_without_space),
      cmocka_unit_test(test_sync_after_a_failed_sync_brings_nothing_back),
      cmocka_unit_test(test_failed_write_leaves_a_part),
      cmocka_unit_test(test_a_read_fails),
      cmocka_unit_test(test_many_threads),
  };
  return cmocka_run_group_tests_name("base-disk-fault", tests, NULL, NULL);
}
