/* One table of cases, run against the real file system and the simulated disk alike: the
 * simulation is worth what it shares with the real one. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/disk.h"

enum kind { POSIX, SIM };

struct fixture {
  enum kind kind;
  struct disk *disk;
  char root[256];
  int64_t live_before;
};

static bool remove_one(void *arg, const char *name, bool is_dir);

/* Removes what the folder holds, all the way down. */
static void empty_folder(struct disk *d, const char *path) {
  struct {
    struct disk *disk;
    const char *path;
  } at = {d, path};
  assert_ok(disk_list(d, path, remove_one, &at, NULL));
}

static bool remove_one(void *arg, const char *name, bool is_dir) {
  struct {
    struct disk *disk;
    const char *path;
  } *at = arg;
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s%s%s", at->path, at->path[0] ? "/" : "", name);
  if (is_dir) {
    empty_folder(at->disk, buf_str(&path));
    assert_ok(disk_rmdir(at->disk, buf_str(&path), NULL));
  } else {
    assert_ok(disk_unlink(at->disk, buf_str(&path), NULL));
  }
  return true;
}

static int setup(void **state, enum kind kind) {
  struct fixture *f = calloc(1, sizeof *f);
  f->kind = kind;
  f->live_before = dom_alloc_live();
  if (kind == SIM) {
    f->disk = disk_sim_new(7);
  } else {
    const char *folder = getenv("TMPDIR");
    (void)snprintf(f->root, sizeof f->root, "%s/domicile-disk-XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(f->root) || disk_posix_open(f->root, &f->disk, NULL) != DOM_OK) return -1;
  }
  *state = f;
  return f->disk ? 0 : -1;
}

static int setup_posix(void **state) {
  return setup(state, POSIX);
}
static int setup_sim(void **state) {
  return setup(state, SIM);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  empty_folder(f->disk, "");
  if (f->kind == SIM) {
    disk_sim_free(f->disk);
  } else {
    disk_posix_close(f->disk);
    if (rmdir(f->root) != 0) return -1;
  }
  int leaked = dom_alloc_live() != f->live_before;
  free(f);
  return leaked;
}

static struct disk *disk_of(void **state) {
  return ((struct fixture *)*state)->disk;
}

static struct disk_file *open_file(struct disk *d, const char *path, unsigned flags) {
  struct disk_file *f = NULL;
  assert_ok(disk_open(d, path, flags, &f, NULL));
  assert_non_null(f);
  return f;
}

static void put_file(struct disk *d, const char *path, const char *content) {
  struct disk_file *f = open_file(d, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE);
  assert_ok(disk_write(f, 0, content, strlen(content), NULL));
  disk_close(f);
}

static void assert_content(struct disk *d, const char *path, const char *content) {
  BUF_AUTO got = BUF_INIT;
  assert_ok(disk_read_file(d, path, 1 << 20, &got, NULL));
  assert_string_equal(buf_str(&got), content);
}

static void case_write_then_read(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *f = open_file(d, "a", DISK_READ | DISK_WRITE | DISK_CREATE);
  assert_ok(disk_write(f, 0, "hello", 5, NULL));
  assert_ok(disk_write(f, 3, "p!", 2, NULL));
  char got[8] = {0};
  size_t len = 0;
  assert_ok(disk_read(f, 0, got, sizeof got, &len, NULL));
  assert_int_equal(len, 5);
  assert_string_equal(got, "help!");
  assert_ok(disk_read(f, 5, got, sizeof got, &len, NULL));
  assert_int_equal(len, 0);
  assert_ok(disk_read(f, 500, got, sizeof got, &len, NULL));
  assert_int_equal(len, 0);
  assert_ok(disk_sync(f, NULL));
  disk_close(f);
  assert_content(d, "a", "help!");
}

static void case_read_full_is_corrupt_when_short(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "12345");
  struct disk_file *f = open_file(d, "a", DISK_READ);
  char got[6];
  struct dom_err err = {0};
  assert_ok(disk_read_full(f, 0, got, 5, NULL));
  assert_int_equal(disk_read_full(f, 0, got, 6, &err), DOM_CORRUPT);
  assert_int_equal(err.code, DOM_CORRUPT);
  disk_close(f);
}

static void case_holes_read_as_zeros(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *f = open_file(d, "a", DISK_READ | DISK_WRITE | DISK_CREATE);
  assert_ok(disk_write(f, 100000, "x", 1, NULL));
  uint64_t size = 0;
  assert_ok(disk_size(f, &size, NULL));
  assert_int_equal(size, 100001);
  uint8_t got[300], zeros[300] = {0};
  assert_ok(disk_read_full(f, 50000, got, sizeof got, NULL));
  assert_memory_equal(got, zeros, sizeof got);
  disk_close(f);
}

static void case_truncate_and_allocate(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *f = open_file(d, "a", DISK_READ | DISK_WRITE | DISK_CREATE);
  uint64_t size = 0;
  assert_ok(disk_write(f, 0, "abcdef", 6, NULL));
  assert_ok(disk_truncate(f, 3, NULL));
  assert_ok(disk_truncate(f, 6, NULL));
  uint8_t got[6];
  assert_ok(disk_read_full(f, 0, got, 6, NULL));
  assert_memory_equal(got, "abc\0\0\0", 6);
  assert_ok(disk_allocate(f, 70000, NULL));
  assert_ok(disk_size(f, &size, NULL));
  assert_int_equal(size, 70000);
  assert_ok(disk_allocate(f, 10, NULL)); /* never shrinks */
  assert_ok(disk_size(f, &size, NULL));
  assert_int_equal(size, 70000);
  assert_ok(disk_read_full(f, 0, got, 3, NULL));
  assert_memory_equal(got, "abc", 3);
  disk_close(f);
}

static void case_open_flags(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *f = NULL;
  struct dom_err err = {0};
  assert_int_equal(disk_open(d, "none", DISK_READ, &f, &err), DOM_NOT_FOUND);
  assert_int_equal(err.code, DOM_NOT_FOUND);
  assert_int_equal(disk_open(d, "no/such", DISK_WRITE | DISK_CREATE, &f, NULL), DOM_NOT_FOUND);
  put_file(d, "a", "123");
  assert_int_equal(disk_open(d, "a", DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &f, NULL), DOM_EXISTS);
  assert_null(f);
  disk_close(open_file(d, "a", DISK_WRITE | DISK_CREATE));
  assert_content(d, "a", "123");
  disk_close(open_file(d, "a", DISK_WRITE | DISK_CREATE | DISK_TRUNCATE));
  assert_content(d, "a", "");
  f = open_file(d, "a", DISK_READ);
  assert_int_equal(disk_write(f, 0, "x", 1, NULL), DOM_IO);
  disk_close(f);
  f = open_file(d, "a", DISK_WRITE);
  size_t len = 99;
  char got[1];
  assert_int_equal(disk_read(f, 0, got, 1, &len, NULL), DOM_IO);
  assert_int_equal(len, 99); /* outputs are touched only on success */
  disk_close(f);
}

static void case_direct_dsync(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *f = open_file(d, "seg", DISK_READ | DISK_WRITE | DISK_CREATE | DISK_DSYNC | DISK_DIRECT);
  uint8_t *block = aligned_alloc(DISK_ALIGN, (size_t)4 * DISK_ALIGN);
  memset(block, 0xab, (size_t)2 * DISK_ALIGN);
  assert_ok(disk_allocate(f, (uint64_t)8 * DISK_ALIGN, NULL));
  assert_ok(disk_write(f, DISK_ALIGN, block, (size_t)2 * DISK_ALIGN, NULL));
  memset(block, 0, (size_t)4 * DISK_ALIGN);
  size_t len = 0;
  assert_ok(disk_read(f, 0, block, (size_t)4 * DISK_ALIGN, &len, NULL));
  assert_int_equal(len, 4 * DISK_ALIGN);
  assert_int_equal(block[DISK_ALIGN - 1], 0);
  assert_int_equal(block[DISK_ALIGN], 0xab);
  assert_int_equal(block[3 * DISK_ALIGN - 1], 0xab);
  assert_int_equal(block[3 * DISK_ALIGN], 0);
  assert_ok(disk_truncate(f, 100, NULL)); /* a short file still reads to its end */
  assert_ok(disk_read(f, 0, block, DISK_ALIGN, &len, NULL));
  assert_int_equal(len, 100);
  free(block);
  disk_close(f);
}

static void case_lock_excludes(void **state) {
  struct disk *d = disk_of(state);
  struct disk_file *a = open_file(d, "lock", DISK_WRITE | DISK_CREATE);
  struct disk_file *b = open_file(d, "lock", DISK_WRITE);
  assert_ok(disk_lock(a, NULL));
  assert_ok(disk_lock(a, NULL));
  assert_int_equal(disk_lock(b, NULL), DOM_BUSY);
  disk_close(a);
  assert_ok(disk_lock(b, NULL));
  disk_close(b);
}

static void case_rename(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "A");
  put_file(d, "b", "B");
  assert_int_equal(disk_rename(d, "none", "c", NULL), DOM_NOT_FOUND);
  assert_int_equal(disk_rename(d, "a", "no/c", NULL), DOM_NOT_FOUND);
  assert_ok(disk_rename(d, "a", "a", NULL));
  assert_ok(disk_rename(d, "a", "b", NULL));
  assert_content(d, "b", "A");
  struct disk_info info;
  assert_int_equal(disk_stat(d, "a", &info, NULL), DOM_NOT_FOUND);
  assert_ok(disk_mkdir(d, "dir", NULL));
  assert_ok(disk_rename(d, "b", "dir/b", NULL));
  assert_content(d, "dir/b", "A");
  put_file(d, "file", "F");
  assert_int_equal(disk_rename(d, "file", "dir", NULL), DOM_IO);
  assert_int_equal(disk_rename(d, "dir", "dir/sub", NULL), DOM_IO);
  assert_ok(disk_rename(d, "dir", "moved", NULL));
  assert_content(d, "moved/b", "A");
  assert_ok(disk_dir_sync(d, "moved", NULL));
  assert_ok(disk_dir_sync(d, "", NULL));
  assert_ok(disk_dir_sync(d, ".", NULL));
}

static void case_unlinked_stays_readable(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "still here");
  struct disk_file *f = open_file(d, "a", DISK_READ);
  assert_ok(disk_unlink(d, "a", NULL));
  assert_int_equal(disk_unlink(d, "a", NULL), DOM_NOT_FOUND);
  char got[10];
  assert_ok(disk_read_full(f, 0, got, sizeof got, NULL));
  assert_memory_equal(got, "still here", sizeof got);
  disk_close(f);
}

static void case_folders(void **state) {
  struct disk *d = disk_of(state);
  assert_int_equal(disk_mkdir(d, "a/b", NULL), DOM_NOT_FOUND);
  assert_ok(disk_mkdir(d, "a", NULL));
  assert_ok(disk_mkdir(d, "a", NULL));
  assert_ok(disk_mkdir(d, "a/b", NULL));
  put_file(d, "a/b/f", "x");
  assert_int_equal(disk_mkdir(d, "a/b/f", NULL), DOM_EXISTS);
  assert_int_equal(disk_rmdir(d, "a/b", NULL), DOM_IO); /* not empty */
  assert_int_equal(disk_rmdir(d, "a/b/f", NULL), DOM_IO);
  assert_int_equal(disk_unlink(d, "a/b", NULL), DOM_IO);
  assert_ok(disk_unlink(d, "a/b/f", NULL));
  assert_ok(disk_rmdir(d, "a/b", NULL));
  assert_int_equal(disk_rmdir(d, "a/b", NULL), DOM_NOT_FOUND);
  assert_int_equal(disk_dir_sync(d, "a/b", NULL), DOM_NOT_FOUND);
}

static bool note_name(void *arg, const char *name, bool is_dir) {
  struct buf *names = arg;
  buf_printf(names, "%s%s ", name, is_dir ? "/" : "");
  return strcmp(name, "stop") != 0;
}

static void case_list_in_byte_order(void **state) {
  struct disk *d = disk_of(state);
  BUF_AUTO names = BUF_INIT;
  assert_int_equal(disk_list(d, "none", note_name, &names, NULL), DOM_NOT_FOUND);
  assert_ok(disk_list(d, "", note_name, &names, NULL));
  assert_string_equal(buf_str(&names), "");
  put_file(d, "b", "");
  put_file(d, "B", "");
  put_file(d, "ab", "");
  assert_ok(disk_mkdir(d, "a", NULL));
  put_file(d, "a/inner", "");
  assert_ok(disk_list(d, "", note_name, &names, NULL));
  assert_string_equal(buf_str(&names), "B a/ ab b ");
  put_file(d, "stop", "");
  put_file(d, "z", "");
  buf_reset(&names);
  assert_ok(disk_list(d, ".", note_name, &names, NULL));
  assert_string_equal(buf_str(&names), "B a/ ab b stop ");
}

static void case_stat(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "12345");
  assert_ok(disk_mkdir(d, "dir", NULL));
  struct disk_info info;
  assert_ok(disk_stat(d, "a", &info, NULL));
  assert_int_equal(info.size, 5);
  assert_false(info.is_dir);
  assert_true(info.mtime_s > 0);
  assert_ok(disk_stat(d, "dir", &info, NULL));
  assert_true(info.is_dir);
  uint64_t bytes = 0;
  assert_ok(disk_free_bytes(d, &bytes, NULL));
  assert_true(bytes > 0);
}

static void case_replace_file(void **state) {
  struct disk *d = disk_of(state);
  assert_ok(disk_mkdir(d, "dir", NULL));
  assert_ok(disk_replace_file(d, "dir/f", SLICE_LIT("one"), NULL));
  assert_content(d, "dir/f", "one");
  assert_ok(disk_replace_file(d, "dir/f", SLICE_LIT("2"), NULL));
  assert_content(d, "dir/f", "2");
  BUF_AUTO names = BUF_INIT;
  assert_ok(disk_list(d, "dir", note_name, &names, NULL));
  assert_string_equal(buf_str(&names), "f ");
  assert_int_equal(disk_replace_file(d, "no/f", SLICE_LIT("x"), NULL), DOM_NOT_FOUND);
}

static void case_read_file_limits(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "12345");
  BUF_AUTO got = BUF_INIT;
  assert_int_equal(disk_read_file(d, "a", 4, &got, NULL), DOM_TOO_LARGE);
  assert_int_equal(got.len, 0);
  assert_ok(disk_read_file(d, "a", 5, &got, NULL));
  assert_ok(disk_read_file(d, "a", 5, &got, NULL)); /* appends */
  assert_string_equal(buf_str(&got), "1234512345");
  assert_int_equal(disk_read_file(d, "b", 5, &got, NULL), DOM_NOT_FOUND);
}

/* Every allocation on the way fails once; nothing leaks (teardown compares) or is half done. */
static void case_each_allocation_fails(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "content");
  enum dom_code code = DOM_NO_MEMORY;
  for (uint64_t n = 0; code != DOM_OK; n++) {
    assert_true(n < 100);
    BUF_AUTO got = BUF_INIT, names = BUF_INIT;
    dom_alloc_fail_after(n, 1);
    code = disk_read_file(d, "a", 100, &got, NULL);
    if (code == DOM_OK) code = disk_list(d, "", note_name, &names, NULL);
    if (code == DOM_OK) code = buf_check(&names, NULL);
    if (code == DOM_OK) code = disk_replace_file(d, "b", SLICE_LIT("x"), NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    assert_true(code == DOM_OK || code == DOM_NO_MEMORY);
  }
  assert_content(d, "b", "x");
}

static void test_posix_root_is_created_with_parents(void **state) {
  struct fixture *f = *state;
  struct disk *deep = NULL;
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s/x//y/", f->root);
  assert_ok(disk_posix_open(buf_str(&path), &deep, NULL));
  put_file(deep, "file", "deep");
  disk_posix_close(deep);
  assert_content(f->disk, "x/y/file", "deep");
  put_file(f->disk, "plain", "");
  BUF_AUTO blocked = BUF_INIT;
  buf_printf(&blocked, "%s/plain/z", f->root);
  assert_int_equal(disk_posix_open(buf_str(&blocked), &deep, NULL), DOM_IO);
}

static void test_posix_does_not_follow_links(void **state) {
  struct fixture *f = *state;
  BUF_AUTO link = BUF_INIT;
  buf_printf(&link, "%s/link", f->root);
  assert_int_equal(symlink("/etc/passwd", buf_str(&link)), 0);
  struct disk_file *file = NULL;
  assert_int_equal(disk_open(f->disk, "link", DISK_READ, &file, NULL), DOM_IO);
}

/* tmpfs refuses O_DIRECT on kernels before 6.6: the same calls must work there. */
static void test_posix_direct_on_shared_memory(void **state) {
  char root[] = "/dev/shm/domicile-disk-XXXXXX";
  if (!mkdtemp(root)) skip();
  struct fixture *f = *state;
  struct disk *own = f->disk;
  assert_ok(disk_posix_open(root, &f->disk, NULL));
  case_direct_dsync(state);
  empty_folder(f->disk, "");
  disk_posix_close(f->disk);
  f->disk = own;
  assert_int_equal(rmdir(root), 0);
}

/* A limit on file sizes cuts a write short: the rest is tried, and its failure is told. */
static void test_posix_short_write(void **state) {
  struct disk *d = disk_of(state);
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = before;
  limit.rlim_cur = 10000;
  static uint8_t data[20000];
  struct disk_file *f = open_file(d, "a", DISK_WRITE | DISK_CREATE);
  struct dom_err err = {0};
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  enum dom_code code = disk_write(f, 0, data, sizeof data, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)signal(SIGXFSZ, handler);
  assert_int_equal(code, DOM_IO);
  assert_int_equal(err.sys_errno, EFBIG);
  uint64_t size = 0;
  assert_ok(disk_size(f, &size, NULL));
  assert_int_equal(size, 10000);
  assert_ok(disk_write(f, 0, data, sizeof data, NULL));
  disk_close(f);
}

static void test_sim_space(void **state) {
  struct disk *d = disk_of(state);
  disk_sim_set_free(d, 1000);
  struct disk_file *f = open_file(d, "a", DISK_WRITE | DISK_CREATE);
  uint8_t data[600] = {1};
  uint64_t bytes = 0;
  assert_ok(disk_write(f, 0, data, sizeof data, NULL));
  assert_ok(disk_write(f, 0, data, sizeof data, NULL)); /* overwriting takes none */
  assert_ok(disk_free_bytes(d, &bytes, NULL));
  assert_int_equal(bytes, 400);
  struct dom_err err = {0};
  assert_int_equal(disk_write(f, 600, data, 401, &err), DOM_NO_SPACE);
  assert_int_equal(disk_allocate(f, 1001, NULL), DOM_NO_SPACE);
  assert_ok(disk_unlink(d, "a", NULL));
  assert_ok(disk_free_bytes(d, &bytes, NULL));
  assert_int_equal(bytes, 400); /* still open */
  disk_close(f);
  assert_ok(disk_free_bytes(d, &bytes, NULL));
  assert_int_equal(bytes, 1000);
}

static void test_sim_counts(void **state) {
  struct disk *d = disk_of(state);
  assert_int_equal(disk_sim_operations(d), 0);
  struct disk_file *f = open_file(d, "a", DISK_WRITE | DISK_CREATE);
  assert_int_equal(disk_sim_open_files(d), 1);
  assert_ok(disk_write(f, 0, "x", 1, NULL));
  assert_ok(disk_sync(f, NULL));
  disk_close(f);
  assert_int_equal(disk_sim_operations(d), 3);
  assert_int_equal(disk_sim_open_files(d), 0);
  assert_content(d, "a", "x"); /* reading counts nothing */
  assert_ok(disk_dir_sync(d, "", NULL));
  assert_ok(disk_rename(d, "a", "b", NULL));
  assert_ok(disk_unlink(d, "b", NULL));
  assert_int_equal(disk_sim_operations(d), 6);
}

static void test_sim_flip(void **state) {
  struct disk *d = disk_of(state);
  put_file(d, "a", "abc");
  assert_ok(disk_sim_flip(d, "a", 8));
  assert_content(d, "a", "acc");
  assert_int_equal(disk_sim_flip(d, "a", 24), DOM_INVALID);
  assert_int_equal(disk_sim_flip(d, "b", 0), DOM_NOT_FOUND);
}

#define BOTH(name)                                                                                           \
  {"posix: " #name, name, setup_posix, teardown, NULL}, {                                                    \
    "sim: " #name, name, setup_sim, teardown, NULL                                                           \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(case_write_then_read),
      BOTH(case_read_full_is_corrupt_when_short),
      BOTH(case_holes_read_as_zeros),
      BOTH(case_truncate_and_allocate),
      BOTH(case_open_flags),
      BOTH(case_direct_dsync),
      BOTH(case_lock_excludes),
      BOTH(case_rename),
      BOTH(case_unlinked_stays_readable),
      BOTH(case_folders),
      BOTH(case_list_in_byte_order),
      BOTH(case_stat),
      BOTH(case_replace_file),
      BOTH(case_read_file_limits),
      BOTH(case_each_allocation_fails),
      cmocka_unit_test_setup_teardown(test_posix_root_is_created_with_parents, setup_posix, teardown),
      cmocka_unit_test_setup_teardown(test_posix_does_not_follow_links, setup_posix, teardown),
      cmocka_unit_test_setup_teardown(test_posix_direct_on_shared_memory, setup_posix, teardown),
      cmocka_unit_test_setup_teardown(test_posix_short_write, setup_posix, teardown),
      cmocka_unit_test_setup_teardown(test_sim_space, setup_sim, teardown),
      cmocka_unit_test_setup_teardown(test_sim_counts, setup_sim, teardown),
      cmocka_unit_test_setup_teardown(test_sim_flip, setup_sim, teardown),
  };
  return cmocka_run_group_tests_name("base-disk", tests, NULL, NULL);
}
