/* What a power cut of the simulated disk may and may not take. "May" is tested too: over many
 * seeds each allowed outcome is seen, else the simulation would be too kind to find bugs. */
#include "unit.h"

#include "base/disk.h"

enum { SEEDS = 200, SECTOR = 512 };

static struct disk_file *open_file(struct disk *d, const char *path, unsigned flags) {
  struct disk_file *f = NULL;
  assert_ok(disk_open(d, path, flags, &f, NULL));
  return f;
}

/* A file with a durable name and durable content of `len` bytes `fill`; left open. */
static struct disk_file *durable_file(struct disk *d, const char *path, uint8_t fill, size_t len,
                                      unsigned flags) {
  uint8_t data[8 * SECTOR];
  assert_true(len <= sizeof data);
  memset(data, fill, len);
  struct disk_file *f = open_file(d, path, DISK_READ | DISK_WRITE | DISK_CREATE | flags);
  assert_ok(disk_write(f, 0, data, len, NULL));
  assert_ok(disk_sync(f, NULL));
  assert_ok(disk_dir_sync(d, "", NULL));
  return f;
}

static void fill_write(struct disk_file *f, uint64_t offset, uint8_t fill, size_t len) {
  uint8_t data[8 * SECTOR];
  assert_true(len <= sizeof data);
  memset(data, fill, len);
  assert_ok(disk_write(f, offset, data, len, NULL));
}

static struct buf read_all(struct disk *d, const char *path) {
  struct buf got = BUF_INIT;
  assert_ok(disk_read_file(d, path, 1 << 20, &got, NULL));
  return got;
}

static bool exists(struct disk *d, const char *path) {
  struct disk_info info;
  enum dom_code code = disk_stat(d, path, &info, NULL);
  assert_true(code == DOM_OK || code == DOM_NOT_FOUND);
  return code == DOM_OK;
}

static void test_synced_survives(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *f = durable_file(d, "a", 'A', 3 * SECTOR, 0);
    fill_write(f, SECTOR, 'B', SECTOR);
    assert_ok(disk_sync(f, NULL));
    disk_sim_power_cut(d);
    disk_close(f);
    BUF_AUTO got = read_all(d, "a");
    assert_int_equal(got.len, 3 * SECTOR);
    assert_int_equal(got.data[SECTOR - 1], 'A');
    assert_int_equal(got.data[SECTOR], 'B');
    assert_int_equal(got.data[2 * SECTOR], 'A');
    disk_sim_free(d);
  }
}

static void test_dsync_survives_without_sync(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *plain = durable_file(d, "a", 'A', 2 * SECTOR, 0);
    struct disk_file *f = open_file(d, "a", DISK_WRITE | DISK_DSYNC);
    fill_write(plain, 0, 'x', 2 * SECTOR); /* unsynced, older: must not come back over the durable one */
    fill_write(f, SECTOR, 'D', 4 * SECTOR);
    disk_sim_power_cut(d);
    disk_close(f);
    disk_close(plain);
    BUF_AUTO got = read_all(d, "a");
    assert_int_equal(got.len, 5 * SECTOR);
    for (size_t i = SECTOR; i < got.len; i++) assert_int_equal(got.data[i], 'D');
    assert_true(got.data[0] == 'A' || got.data[0] == 'x');
    disk_sim_free(d);
  }
}

/* Two unsynced writes of four sectors each: all of kept, dropped, torn and reordered happens,
 * tears lie on sector borders only. */
static void test_unsynced_is_kept_dropped_torn_reordered(void **state) {
  (void)state;
  unsigned kept = 0, dropped = 0, torn = 0, second_without_first = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *f = durable_file(d, "a", '-', 8 * SECTOR, 0);
    fill_write(f, 0, '1', 4 * SECTOR);
    fill_write(f, 4 * SECTOR, '2', 4 * SECTOR);
    disk_sim_power_cut(d);
    disk_close(f);
    BUF_AUTO got = read_all(d, "a");
    assert_int_equal(got.len, 8 * SECTOR);
    unsigned changed[2] = {0};
    for (unsigned s = 0; s < 8; s++) {
      uint8_t first = got.data[s * SECTOR];
      assert_true(first == '-' || first == (s < 4 ? '1' : '2'));
      for (unsigned i = 1; i < SECTOR; i++) assert_int_equal(got.data[s * SECTOR + i], first);
      changed[s / 4] += first != '-';
    }
    kept += changed[0] == 4;
    dropped += changed[0] == 0;
    torn += changed[0] > 0 && changed[0] < 4;
    second_without_first += changed[1] == 4 && changed[0] == 0;
    disk_sim_free(d);
  }
  assert_true(kept > 0 && dropped > 0 && torn > 0 && second_without_first > 0);
}

/* A grown file comes back with any size up to the written one; what it shows is old, new or zero. */
static void test_unsynced_growth(void **state) {
  (void)state;
  unsigned shorter = 0, zeros = 0, whole = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    struct disk_file *f = durable_file(d, "a", 'A', 100, 0);
    fill_write(f, 100, 'B', 3 * SECTOR);
    disk_sim_power_cut(d);
    disk_close(f);
    BUF_AUTO got = read_all(d, "a");
    assert_true(got.len >= 100 && got.len <= 100 + 3 * SECTOR);
    unsigned new_bytes = 0;
    for (size_t i = 0; i < got.len; i++) {
      if (i < 100) assert_int_equal(got.data[i], 'A');
      if (i >= 100) assert_true(got.data[i] == 'B' || got.data[i] == 0);
      new_bytes += got.data[i] == 'B';
    }
    shorter += got.len < 100 + 3 * SECTOR;
    zeros += got.len - 100 > new_bytes;
    whole += new_bytes == 3 * SECTOR;
    disk_sim_free(d);
  }
  assert_true(shorter > 0 && zeros > 0 && whole > 0);
}

static void test_names_need_dir_sync(void **state) {
  (void)state;
  unsigned created = 0, removed = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    disk_close(durable_file(d, "old", 'o', 10, 0));
    struct disk_file *f = open_file(d, "new", DISK_WRITE | DISK_CREATE);
    fill_write(f, 0, 'n', 10);
    assert_ok(disk_sync(f, NULL)); /* content only: the name is not durable by that */
    assert_ok(disk_unlink(d, "old", NULL));
    disk_sim_power_cut(d);
    disk_close(f);
    created += exists(d, "new");
    removed += !exists(d, "old");
    if (exists(d, "new")) {
      BUF_AUTO got = read_all(d, "new");
      assert_int_equal(got.len, 10);
    }
    if (exists(d, "old")) {
      BUF_AUTO got = read_all(d, "old");
      assert_int_equal(got.len, 10); /* back whole */
    }
    disk_sim_free(d);
  }
  assert_in_range(created, 1, SEEDS - 1);
  assert_in_range(removed, 1, SEEDS - 1);
}

static void test_dir_sync_is_per_folder(void **state) {
  (void)state;
  unsigned kept = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    assert_ok(disk_mkdir(d, "in", NULL));
    assert_ok(disk_mkdir(d, "out", NULL));
    assert_ok(disk_dir_sync(d, "", NULL));
    disk_close(open_file(d, "in/f", DISK_WRITE | DISK_CREATE));
    disk_close(open_file(d, "out/f", DISK_WRITE | DISK_CREATE));
    assert_ok(disk_dir_sync(d, "in", NULL));
    disk_sim_power_cut(d);
    assert_true(exists(d, "in/f"));
    kept += exists(d, "out/f");
    disk_sim_free(d);
  }
  assert_in_range(kept, 1, SEEDS - 1);
}

/* Syncing a folder does not make its own name durable. */
static void test_a_folder_needs_its_parent_synced(void **state) {
  (void)state;
  unsigned kept = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    assert_ok(disk_mkdir(d, "dir", NULL));
    disk_close(open_file(d, "dir/f", DISK_WRITE | DISK_CREATE));
    assert_ok(disk_dir_sync(d, "dir", NULL));
    disk_sim_power_cut(d);
    kept += exists(d, "dir");
    assert_int_equal(exists(d, "dir"), exists(d, "dir/f"));
    disk_sim_free(d);
  }
  assert_in_range(kept, 1, SEEDS - 1);
}

static void test_rename_is_atomic(void **state) {
  (void)state;
  unsigned moved = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    disk_close(durable_file(d, "current", 'o', 10, 0));
    disk_close(durable_file(d, "next", 'n', 20, 0));
    assert_ok(disk_rename(d, "next", "current", NULL));
    disk_sim_power_cut(d);
    BUF_AUTO got = read_all(d, "current");
    if (got.len == 20) {
      moved++;
      assert_false(exists(d, "next"));
    } else {
      assert_int_equal(got.len, 10);
      BUF_AUTO next = read_all(d, "next");
      assert_int_equal(next.len, 20);
    }
    disk_sim_free(d);
  }
  assert_in_range(moved, 1, SEEDS - 1);
}

/* Moves alone never lose a durable file, whatever of them survives. */
static void test_moves_lose_nothing(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    disk_close(durable_file(d, "a", 'a', 10, 0));
    assert_ok(disk_rename(d, "a", "b", NULL));
    disk_close(open_file(d, "a", DISK_WRITE | DISK_CREATE));
    assert_ok(disk_mkdir(d, "dir", NULL));
    assert_ok(disk_rename(d, "b", "dir/b", NULL));
    if (seed % 2) assert_ok(disk_dir_sync(d, "dir", NULL));
    disk_sim_power_cut(d);
    static const char *const places[] = {"a", "b", "dir/b"};
    unsigned found = 0;
    for (unsigned i = 0; i < 3; i++) {
      struct disk_info info;
      if (disk_stat(d, places[i], &info, NULL) == DOM_OK) found += info.size == 10;
    }
    assert_int_equal(found, 1);
    if (seed % 2) assert_true(exists(d, "dir/b"));
    disk_sim_free(d);
  }
}

static void test_replace_file_is_old_or_new(void **state) {
  (void)state;
  for (uint64_t cut = 1;; cut++) {
    bool finished = false;
    for (uint64_t seed = 0; seed < 20; seed++) {
      struct disk *d = disk_sim_new(seed);
      assert_ok(disk_replace_file(d, "f", SLICE_LIT("the old content"), NULL));
      disk_sim_cut_after(d, cut);
      enum dom_code code = disk_replace_file(d, "f", SLICE_LIT("new"), NULL);
      finished = code == DOM_OK;
      assert_int_equal(disk_sim_is_off(d), !finished);
      disk_sim_power_on(d);
      disk_sim_cut_after(d, 0);
      disk_sim_power_cut(d);
      BUF_AUTO got = read_all(d, "f");
      bool is_new = strcmp(buf_str(&got), "new") == 0;
      assert_true(is_new || strcmp(buf_str(&got), "the old content") == 0);
      if (finished) assert_true(is_new);
      disk_sim_free(d);
    }
    if (finished) {
      assert_true(cut > 4); /* it has more than four operations to cut */
      return;
    }
  }
}

static void test_everything_fails_until_power_on(void **state) {
  (void)state;
  struct disk *d = disk_sim_new(1);
  struct disk_file *f = durable_file(d, "a", 'A', 10, 0), *g = NULL;
  disk_sim_cut_after(d, 2);
  fill_write(f, 0, 'B', 5);
  assert_false(disk_sim_is_off(d));
  struct dom_err err = {0};
  assert_int_equal(disk_sync(f, &err), DOM_IO);
  assert_true(disk_sim_is_off(d));
  uint8_t byte;
  uint64_t number;
  size_t len;
  struct disk_info info;
  assert_int_equal(disk_read(f, 0, &byte, 1, &len, NULL), DOM_IO);
  assert_int_equal(disk_size(f, &number, NULL), DOM_IO);
  assert_int_equal(disk_open(d, "a", DISK_READ, &g, NULL), DOM_IO);
  assert_int_equal(disk_stat(d, "a", &info, NULL), DOM_IO);
  assert_int_equal(disk_rename(d, "a", "b", NULL), DOM_IO);
  assert_int_equal(disk_unlink(d, "a", NULL), DOM_IO);
  assert_int_equal(disk_mkdir(d, "d", NULL), DOM_IO);
  assert_int_equal(disk_dir_sync(d, "", NULL), DOM_IO);
  assert_int_equal(disk_free_bytes(d, &number, NULL), DOM_IO);
  disk_sim_power_on(d);
  assert_int_equal(disk_write(f, 0, "x", 1, NULL), DOM_IO); /* opened before the cut */
  assert_int_equal(disk_lock(f, NULL), DOM_IO);
  g = open_file(d, "a", DISK_READ);
  assert_ok(disk_read(g, 0, &byte, 1, &len, NULL));
  disk_close(g);
  disk_close(f);
  assert_int_equal(disk_sim_open_files(d), 0);
  disk_sim_free(d);
}

/* The planted bug must be found by tests like these: what was "synced" gets lost. */
static void test_ignore_sync_loses_data(void **state) {
  (void)state;
  unsigned lost_content = 0, lost_name = 0, lost_dsync = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    disk_close(durable_file(d, "log", '-', 2 * SECTOR, 0));
    disk_sim_ignore_sync(d, true);
    struct disk_file *f = open_file(d, "log", DISK_WRITE | DISK_DSYNC);
    fill_write(f, 0, 'D', 2 * SECTOR);
    struct disk_file *g = durable_file(d, "new", 'n', 2 * SECTOR, 0);
    disk_sim_power_cut(d);
    disk_close(f);
    disk_close(g);
    BUF_AUTO got = read_all(d, "log");
    lost_dsync += got.data[0] != 'D' || got.data[SECTOR] != 'D';
    lost_name += !exists(d, "new");
    if (exists(d, "new")) {
      BUF_AUTO content = read_all(d, "new");
      lost_content += content.len < 2 * SECTOR || content.data[0] != 'n';
    }
    disk_sim_free(d);
  }
  assert_true(lost_content > 0 && lost_name > 0 && lost_dsync > 0);
}

static void test_same_seed_same_outcome(void **state) {
  (void)state;
  BUF_AUTO first = BUF_INIT;
  for (unsigned run = 0; run < 2; run++) {
    struct disk *d = disk_sim_new(4711);
    struct disk_file *f = durable_file(d, "a", '-', 8 * SECTOR, 0);
    for (unsigned i = 0; i < 8; i++) fill_write(f, i * 300, (uint8_t)('0' + i), 1000);
    disk_sim_power_cut(d);
    disk_close(f);
    BUF_AUTO got = read_all(d, "a");
    if (run == 0) buf_append_slice(&first, buf_slice(&got));
    assert_true(slice_equal(buf_slice(&first), buf_slice(&got)));
    disk_sim_free(d);
  }
}

static void test_space_follows_what_survived(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct disk *d = disk_sim_new(seed);
    disk_sim_set_free(d, 100000);
    disk_close(durable_file(d, "kept", 'k', 1000, 0));
    disk_close(durable_file(d, "unlinked", 'u', 500, 0));
    struct disk_file *f = open_file(d, "fresh", DISK_WRITE | DISK_CREATE);
    fill_write(f, 0, 'f', 300);
    assert_ok(disk_unlink(d, "unlinked", NULL));
    disk_sim_power_cut(d);
    disk_close(f);
    uint64_t left = 0, used = 0;
    static const char *const names[] = {"kept", "unlinked", "fresh"};
    for (unsigned i = 0; i < 3; i++) {
      struct disk_info info;
      if (disk_stat(d, names[i], &info, NULL) == DOM_OK) used += info.size;
    }
    assert_ok(disk_free_bytes(d, &left, NULL));
    assert_int_equal(left, 100000 - used);
    disk_sim_free(d);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_synced_survives),
      cmocka_unit_test(test_dsync_survives_without_sync),
      cmocka_unit_test(test_unsynced_is_kept_dropped_torn_reordered),
      cmocka_unit_test(test_unsynced_growth),
      cmocka_unit_test(test_names_need_dir_sync),
      cmocka_unit_test(test_dir_sync_is_per_folder),
      cmocka_unit_test(test_a_folder_needs_its_parent_synced),
      cmocka_unit_test(test_rename_is_atomic),
      cmocka_unit_test(test_moves_lose_nothing),
      cmocka_unit_test(test_replace_file_is_old_or_new),
      cmocka_unit_test(test_everything_fails_until_power_on),
      cmocka_unit_test(test_ignore_sync_loses_data),
      cmocka_unit_test(test_same_seed_same_outcome),
      cmocka_unit_test(test_space_follows_what_survived),
  };
  return cmocka_run_group_tests_name("base-disk-power", tests, NULL, NULL);
}
