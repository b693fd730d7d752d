/* A real RocksDB over base/disk: what it stores is encrypted, survives power cuts as a prefix,
 * and every failure of the disk comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/disk.h"
#include "store/local/index_file.h"
#include "store/local/index_format.h"
#include "store/local/rocksdb_fs.h"

enum { KEYS_PER_ROUND = 40, TORN_SEEDS = 100, TEXT_MAX = 96 };

static const uint8_t INDEX_KEY[32] = {1, 2, 3, 4, 5};

struct db {
  struct rocksdb_fs *fs;
  rocksdb_options_t *options;
  rocksdb_t *raw;
  char *error; /* of the last failed call, RocksDB's memory */
};

static void db_forget_error(struct db *db) {
  if (db->error) rocksdb_free(db->error);
  db->error = NULL;
}

static void db_done(struct db *db) {
  if (db->raw) rocksdb_close(db->raw);
  if (db->options) rocksdb_options_destroy(db->options);
  rocksdb_fs_free(db->fs);
  db_forget_error(db);
  *db = (struct db){0};
}

/* False, with db->error, when it does not open. */
static bool db_open(struct db *db, struct disk *disk, const uint8_t key[32], bool inline_background) {
  *db = (struct db){.options = rocksdb_options_create()};
  rocksdb_options_set_create_if_missing(db->options, 1);
  rocksdb_options_set_write_buffer_size(db->options, 64 << 10);
  rocksdb_options_set_compression(db->options, rocksdb_no_compression);
  struct dom_err err = {0};
  assert_int_equal(rocksdb_fs_attach(db->options, disk, "index", key, inline_background, &db->fs, &err),
                   DOM_OK);
  db->raw = rocksdb_open(db->options, rocksdb_fs_path(db->fs), &db->error);
  return db->raw != NULL;
}

static bool db_put(struct db *db, const char *key, const char *value) {
  rocksdb_writeoptions_t *wo = rocksdb_writeoptions_create();
  rocksdb_writeoptions_disable_WAL(wo, 1);
  rocksdb_put(db->raw, wo, key, strlen(key), value, strlen(value), &db->error);
  rocksdb_writeoptions_destroy(wo);
  rocksdb_fs_run_background(db->fs);
  return db->error == NULL;
}

static void call_flush(void *arg) {
  struct db *db = arg;
  rocksdb_flushoptions_t *fo = rocksdb_flushoptions_create();
  rocksdb_flushoptions_set_wait(fo, 1);
  rocksdb_flush(db->raw, fo, &db->error);
  rocksdb_flushoptions_destroy(fo);
}

static bool db_flush(struct db *db) {
  assert_int_equal(rocksdb_fs_call(db->fs, call_flush, db, NULL), DOM_OK);
  return db->error == NULL;
}

static void call_compact(void *arg) {
  struct db *db = arg;
  rocksdb_compact_range(db->raw, NULL, 0, NULL, 0);
}

static void db_compact(struct db *db) {
  assert_int_equal(rocksdb_fs_call(db->fs, call_compact, db, NULL), DOM_OK);
}

/* Round r writes key-<i> = value-<r>-<i> for every i, and the row `round` = r last. */
static bool write_round(struct db *db, int round) {
  char key[TEXT_MAX], value[TEXT_MAX];
  for (int i = 0; i < KEYS_PER_ROUND; i++) {
    snprintf(key, sizeof key, "needle-key-%03d", i);
    snprintf(value, sizeof value, "needle-value-%d-%d-abcdefghijklmnopqrstuvwxyz", round, i);
    if (!db_put(db, key, value)) return false;
  }
  snprintf(value, sizeof value, "%d", round);
  return db_put(db, "round", value);
}

enum { ROUND_NONE = -1, ROUND_UNREAD = -2 };

/* Rows of which round are there; ROUND_UNREAD when the disk fails. Fails the test on a row of
 * another round. */
static int read_round(struct db *db) {
  rocksdb_readoptions_t *ro = rocksdb_readoptions_create();
  rocksdb_iterator_t *it = rocksdb_create_iterator(db->raw, ro);
  int round = ROUND_NONE, rows = 0;
  for (rocksdb_iter_seek_to_last(it); rocksdb_iter_valid(it); rocksdb_iter_prev(it), rows++) {
    size_t key_len, value_len;
    const char *value = rocksdb_iter_value(it, &value_len);
    char text[TEXT_MAX], expected[TEXT_MAX];
    assert_true(value_len < sizeof text);
    memcpy(text, value, value_len);
    text[value_len] = 0;
    rocksdb_iter_key(it, &key_len);
    if (key_len == strlen("round")) { /* "round" sorts after "needle" */
      round = (int)strtol(text, NULL, 10);
      continue;
    }
    int i = KEYS_PER_ROUND - rows;
    snprintf(expected, sizeof expected, "needle-value-%d-%d-abcdefghijklmnopqrstuvwxyz", round, i);
    assert_string_equal(text, expected);
  }
  rocksdb_iter_get_error(it, &db->error);
  if (!db->error && rows != 0 && rows != KEYS_PER_ROUND + 1) fail_msg("%d rows", rows);
  rocksdb_iter_destroy(it);
  rocksdb_readoptions_destroy(ro);
  return db->error ? ROUND_UNREAD : round;
}

struct scan {
  struct disk *disk;
  int hits, files;
};

static bool scan_file(void *arg, const char *name, bool is_dir) {
  struct scan *scan = arg;
  char path[TEXT_MAX];
  BUF_AUTO content = BUF_INIT;
  snprintf(path, sizeof path, "index/%s", name);
  assert_false(is_dir);
  assert_int_equal(disk_read_file(scan->disk, path, 1 << 24, &content, NULL), DOM_OK);
  static const char *const needles[] = {"needle", "bcdefghijklmnop", "round", "leveldb", "rocksdb"};
  for (size_t n = 0; n < sizeof needles / sizeof needles[0]; n++) {
    if (content.len > 0 && memmem(content.data, content.len, needles[n], strlen(needles[n]))) scan->hits++;
  }
  scan->files++;
  return true;
}

static void check_life(struct disk *disk, bool inline_background) {
  struct db db;
  assert_true(db_open(&db, disk, INDEX_KEY, inline_background));
  for (int round = 0; round < 6; round++) {
    assert_true(write_round(&db, round));
    assert_true(db_flush(&db));
  }
  db_compact(&db);
  assert_int_equal(read_round(&db), 5);
  db_done(&db);
  assert_true(db_open(&db, disk, INDEX_KEY, inline_background));
  assert_int_equal(read_round(&db), 5);
  db_done(&db);
  struct scan scan = {.disk = disk};
  assert_int_equal(disk_list(disk, "index", scan_file, &scan, NULL), DOM_OK);
  assert_int_equal(scan.hits, 0);
  assert_true(scan.files >= 4); /* CURRENT, MANIFEST, IDENTITY, LOCK, an SST */
}

static void test_life_sim(void **state) {
  (void)state;
  for (int inline_background = 0; inline_background < 2; inline_background++) {
    struct disk *disk = disk_sim_new(7);
    check_life(disk, inline_background);
    assert_int_equal(disk_sim_open_files(disk), 0);
    disk_sim_free(disk);
  }
}

static void test_life_posix(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  char root[TEXT_MAX], remove[2 * TEXT_MAX];
  snprintf(root, sizeof root, "%s/rocksdb-fs-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(root));
  struct disk *disk = NULL;
  assert_int_equal(disk_posix_open(root, &disk, NULL), DOM_OK);
  check_life(disk, false);
  disk_posix_close(disk);
  snprintf(remove, sizeof remove, "rm -r '%s'", root);
  assert_int_equal(system(remove), 0);
}

/* The control: what the scan looks for is found where nothing is encrypted. */
static void test_scan_finds_plaintext(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(1);
  assert_int_equal(disk_mkdir(disk, "index", NULL), DOM_OK);
  assert_int_equal(disk_replace_file(disk, "index/a", slice_str("xxneedle-key-001yy"), NULL), DOM_OK);
  struct scan scan = {.disk = disk};
  assert_int_equal(disk_list(disk, "index", scan_file, &scan, NULL), DOM_OK);
  assert_int_equal(scan.hits, 1);
  disk_sim_free(disk);
}

static void test_wrong_key(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(3);
  struct db db;
  assert_true(db_open(&db, disk, INDEX_KEY, true));
  assert_true(write_round(&db, 0));
  assert_true(db_flush(&db));
  db_done(&db);
  uint8_t other[32] = {9};
  assert_false(db_open(&db, disk, other, true));
  assert_non_null(strstr(db.error, "index key does not open"));
  db_done(&db);
  assert_true(db_open(&db, disk, INDEX_KEY, true));
  assert_int_equal(read_round(&db), 0);
  db_done(&db);
  disk_sim_free(disk);
}

static bool find_sst(void *arg, const char *name, bool is_dir) {
  size_t len = strlen(name);
  if (is_dir || len < 4 || strcmp(name + len - 4, ".sst") != 0) return true;
  snprintf(arg, TEXT_MAX, "index/%s", name);
  return false;
}

static void test_bit_flips(void **state) {
  (void)state;
  for (uint64_t at = 0; at < 1200; at += 37) { /* bytes of the first data block */
    struct disk *disk = disk_sim_new(at);
    struct db db;
    char path[TEXT_MAX] = "";
    assert_true(db_open(&db, disk, INDEX_KEY, true));
    assert_true(write_round(&db, 0));
    assert_true(db_flush(&db));
    db_done(&db);
    assert_int_equal(disk_list(disk, "index", find_sst, path, NULL), DOM_OK);
    assert_int_equal(disk_sim_flip(disk, path, (INDEX_HEADER_SIZE + at) * 8 + at % 8), DOM_OK);
    if (db_open(&db, disk, INDEX_KEY, true)) {
      rocksdb_readoptions_t *ro = rocksdb_readoptions_create();
      rocksdb_iterator_t *it = rocksdb_create_iterator(db.raw, ro);
      for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
      }
      rocksdb_iter_get_error(it, &db.error);
      rocksdb_iter_destroy(it);
      rocksdb_readoptions_destroy(ro);
    }
    assert_non_null(db.error);
    assert_non_null(strstr(db.error, "Corruption"));
    db_done(&db);
    disk_sim_free(disk);
  }
}

/* Opens, writes rounds with a flush after each, compacts now and then, until something fails.
 * Returns the last round whose flush was acknowledged; *tried is the last one begun. */
static int run_until_failure(struct disk *disk, int rounds, int *tried) {
  struct db db;
  int acknowledged = -1;
  *tried = -1;
  if (db_open(&db, disk, INDEX_KEY, true)) {
    int first = read_round(&db) + 1;
    acknowledged = first - 1;
    for (int round = first; first > ROUND_UNREAD + 1 && round < first + rounds; round++) {
      *tried = round;
      if (!write_round(&db, round) || !db_flush(&db)) break;
      acknowledged = round;
      if (round % 3 == 2) db_compact(&db);
    }
  }
  db_done(&db);
  return acknowledged;
}

static void check_cut(uint64_t seed, uint64_t after) {
  struct disk *disk = disk_sim_new(seed);
  int tried = -1, at_least = -1;
  at_least = run_until_failure(disk, 2, &tried);
  disk_sim_cut_after(disk, after);
  int more = run_until_failure(disk, 4, &tried);
  if (more > at_least) at_least = more;
  if (!disk_sim_is_off(disk)) disk_sim_power_cut(disk);
  disk_sim_power_on(disk);
  struct db db;
  if (!db_open(&db, disk, INDEX_KEY, true)) fail_msg("seed %llu: %s", (unsigned long long)seed, db.error);
  int found = read_round(&db);
  /* A flush that was not acknowledged may have made its round durable. */
  if (found < at_least || found > at_least + 1) {
    fail_msg("seed %llu: round %d acknowledged, %d found", (unsigned long long)seed, at_least, found);
  }
  assert_true(write_round(&db, found + 1));
  assert_true(db_flush(&db));
  db_done(&db);
  assert_int_equal(disk_sim_open_files(disk), 0);
  disk_sim_free(disk);
}

static void test_power_cuts(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < TORN_SEEDS; seed++) check_cut(seed, 1 + seed % 83);
}

/* The n-th operation fails, for every n: an error comes out, or the run does not notice; what
 * was acknowledged is there after a restart. */
static void test_failing_operations(void **state) {
  (void)state;
  int surfaced = 0;
  for (uint64_t n = 1; n < 120; n += 3) {
    struct disk *disk = disk_sim_new(n);
    int tried = -1;
    disk_sim_fail_after(disk, n, n % 2 ? DOM_IO : DOM_NO_SPACE);
    int acknowledged = run_until_failure(disk, 3, &tried);
    surfaced += acknowledged < 2;
    disk_sim_fail_after(disk, 0, DOM_IO);
    struct db db;
    if (!db_open(&db, disk, INDEX_KEY, true)) fail_msg("operation %llu: %s", (unsigned long long)n, db.error);
    int found = read_round(&db);
    assert_true(found >= acknowledged && found <= acknowledged + 1);
    db_done(&db);
    assert_int_equal(disk_sim_open_files(disk), 0);
    disk_sim_free(disk);
  }
  assert_true(surfaced >= 10);
}

/* The same run twice: the same number of disk operations, so seeds can be repeated. */
static void test_deterministic(void **state) {
  (void)state;
  uint64_t operations[2];
  for (int i = 0; i < 2; i++) {
    struct disk *disk = disk_sim_new(5);
    int tried = -1;
    assert_int_equal(run_until_failure(disk, 8, &tried), 7);
    operations[i] = disk_sim_operations(disk);
    disk_sim_free(disk);
  }
  assert_int_equal(operations[0], operations[1]);
}

static void test_paths(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(1);
  struct index_volume *vol = NULL;
  char path[INDEX_PATH_MAX];
  assert_int_equal(index_volume_open(disk, "a/index", INDEX_KEY, &vol, NULL), DOM_OK);
  assert_int_equal(index_volume_path(vol, "/a/index//000001.sst", path, NULL), DOM_OK);
  assert_string_equal(path, "a/index/000001.sst");
  assert_int_equal(index_volume_path(vol, "/a/index/", path, NULL), DOM_OK);
  assert_string_equal(path, "a/index");
  assert_int_equal(index_volume_path(vol, "/a/index2/x", path, NULL), DOM_INVALID);
  assert_int_equal(index_volume_path(vol, "/etc/passwd", path, NULL), DOM_INVALID);
  index_volume_close(vol);
  disk_sim_free(disk);
}

/* What was appended after the last sync does not exist for a reader, after a cut or not. */
static void test_unsynced_tail(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(11);
  struct index_volume *vol = NULL;
  struct index_writer *w = NULL;
  struct index_reader *r = NULL;
  char out[16];
  size_t len = 0;
  assert_int_equal(index_volume_open(disk, "index", INDEX_KEY, &vol, NULL), DOM_OK);
  assert_int_equal(index_dir_make(vol, "index", NULL), DOM_OK);
  assert_int_equal(index_writer_open(vol, "index/f", &w, NULL), DOM_OK);
  assert_int_equal(index_writer_append(w, "synced", 6, NULL), DOM_OK);
  assert_int_equal(index_writer_sync(w, NULL), DOM_OK);
  assert_int_equal(index_writer_append(w, "-lost", 5, NULL), DOM_OK);
  index_writer_free(w);
  assert_int_equal(index_reader_open(vol, "index/f", &r, NULL), DOM_OK);
  assert_int_equal(index_reader_size(r), 6);
  assert_int_equal(index_reader_read(r, 2, out, sizeof out, &len, NULL), DOM_OK);
  assert_int_equal(len, 4);
  assert_memory_equal(out, "nced", 4);
  index_reader_free(r);
  /* Shorter than its header says: damage, not an end. */
  struct disk_file *file = NULL;
  assert_int_equal(disk_open(disk, "index/f", DISK_READ | DISK_WRITE, &file, NULL), DOM_OK);
  assert_int_equal(disk_truncate(file, INDEX_HEADER_SIZE + 3, NULL), DOM_OK);
  disk_close(file);
  assert_int_equal(index_reader_open(vol, "index/f", &r, NULL), DOM_CORRUPT);
  assert_int_equal(disk_sim_flip(disk, "index/f", 40 * 8), DOM_OK); /* the salt */
  assert_int_equal(index_reader_open(vol, "index/f", &r, NULL), DOM_CORRUPT);
  index_volume_close(vol);
  disk_sim_free(disk);
}

/* A cut file takes no more bytes, and reads as cut. */
static void test_truncate(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(12);
  struct index_volume *vol = NULL;
  struct index_writer *w = NULL;
  struct index_reader *r = NULL;
  assert_int_equal(index_volume_open(disk, "index", INDEX_KEY, &vol, NULL), DOM_OK);
  assert_int_equal(index_dir_make(vol, "index", NULL), DOM_OK);
  assert_int_equal(index_writer_open(vol, "index/f", &w, NULL), DOM_OK);
  assert_int_equal(index_writer_append(w, "0123456789", 10, NULL), DOM_OK);
  assert_int_equal(index_writer_sync(w, NULL), DOM_OK);
  assert_int_equal(index_writer_truncate(w, 4, NULL), DOM_OK);
  assert_int_equal(index_writer_sync(w, NULL), DOM_OK);
  index_writer_free(w);
  assert_int_equal(index_reader_open(vol, "index/f", &r, NULL), DOM_OK);
  assert_int_equal(index_reader_size(r), 4);
  index_reader_free(r);
  index_volume_close(vol);
  disk_sim_free(disk);
}

enum { GOLDEN_SECTORS = 2 * INDEX_SECTOR_SIZE, GOLDEN_CONTENT = 32 };
static const char GOLDEN_TEXT[] = "an index file: thirty-two bytes.";

/* Hex digits of a golden vector, lines that begin with # left out. */
static size_t read_golden(const char *name, uint8_t *out, size_t cap) {
  char path[512], line[256];
  snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  size_t len = 0;
  while (fgets(line, sizeof line, f)) {
    size_t more = 0;
    if (line[0] == '#') continue;
    assert_int_equal(hex_decode(slice_of(line, strcspn(line, "\n")), out + len, cap - len, &more), DOM_OK);
    len += more;
  }
  fclose(f);
  return len;
}

/* A file made by another implementation is read, and its header is written alike. */
static void test_golden(void **state) {
  (void)state;
  uint8_t golden[GOLDEN_SECTORS + GOLDEN_CONTENT], header[INDEX_HEADER_SIZE], length[INDEX_SECTOR_SIZE];
  uint8_t index_key[KEY_SIZE], salt[INDEX_SALT_SIZE], key[KEY_SIZE], check[INDEX_CHECK_SIZE];
  uint8_t out[GOLDEN_CONTENT];
  for (size_t i = 0; i < KEY_SIZE; i++) index_key[i] = (uint8_t)(i + 1);
  for (size_t i = 0; i < INDEX_SALT_SIZE; i++) salt[i] = (uint8_t)(0x60 + i);
  assert_int_equal(read_golden("index-file.hex", golden, sizeof golden), sizeof golden);
  index_format_keys(index_key, salt, key, check);
  index_format_header(salt, check, header);
  index_format_length(GOLDEN_CONTENT, length);
  assert_memory_equal(header, golden, INDEX_SECTOR_SIZE);
  assert_memory_equal(length, golden + INDEX_AT_LENGTH, INDEX_SECTOR_SIZE);
  assert_int_equal(ctr_xor(key, 0, slice_of(GOLDEN_TEXT, GOLDEN_CONTENT), out), DOM_OK);
  assert_memory_equal(out, golden + GOLDEN_SECTORS, GOLDEN_CONTENT);
  memcpy(header + INDEX_AT_LENGTH, length, sizeof length);
  struct disk *disk = disk_sim_new(1);
  struct disk_file *file = NULL;
  struct index_volume *vol = NULL;
  struct index_reader *r = NULL;
  size_t len = 0;
  assert_int_equal(disk_open(disk, "golden", DISK_WRITE | DISK_CREATE, &file, NULL), DOM_OK);
  assert_int_equal(disk_write(file, 0, header, sizeof header, NULL), DOM_OK);
  assert_int_equal(disk_write(file, INDEX_HEADER_SIZE, golden + GOLDEN_SECTORS, GOLDEN_CONTENT, NULL),
                   DOM_OK);
  disk_close(file);
  assert_int_equal(index_volume_open(disk, "index", index_key, &vol, NULL), DOM_OK);
  assert_int_equal(index_reader_open(vol, "golden", &r, NULL), DOM_OK);
  assert_int_equal(index_reader_read(r, 0, out, sizeof out, &len, NULL), DOM_OK);
  assert_int_equal(len, GOLDEN_CONTENT);
  assert_memory_equal(out, GOLDEN_TEXT, GOLDEN_CONTENT);
  index_reader_free(r);
  index_volume_close(vol);
  uint64_t size = 0;
  header[24] = 1; /* an incompatible feature, with a CRC that is right */
  store_u32le(header + INDEX_SECTOR_SIZE - 4, crc32c(0, header, INDEX_SECTOR_SIZE - 4));
  assert_int_equal(index_format_open(index_key, header, key, &size, NULL), DOM_INCOMPATIBLE);
  disk_sim_free(disk);
}

/* Planted bug: syncs do nothing. The power cuts must then find something. */
static void test_power_cuts_can_fail(void **state) {
  (void)state;
  int wrong = 0;
  for (uint64_t seed = 0; seed < 10; seed++) {
    struct disk *disk = disk_sim_new(seed);
    int tried = -1;
    assert_int_equal(run_until_failure(disk, 1, &tried), 0);
    disk_sim_ignore_sync(disk, true);
    assert_int_equal(run_until_failure(disk, 3, &tried), 3);
    disk_sim_power_cut(disk);
    disk_sim_power_on(disk);
    disk_sim_ignore_sync(disk, false);
    struct db db;
    wrong += !db_open(&db, disk, INDEX_KEY, true) || read_round(&db) != 3;
    db_done(&db);
    disk_sim_free(disk);
  }
  assert_true(wrong > 0);
}

/* Allocations that fail while a database is attached or opened: an error, and nothing leaks. */
static void test_failing_allocations(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(1);
  struct db db;
  assert_true(db_open(&db, disk, INDEX_KEY, true));
  assert_true(write_round(&db, 0));
  assert_true(db_flush(&db));
  db_done(&db);
  int failures = 0;
  int64_t live = dom_alloc_live();
  for (uint64_t n = 0; n < 300; n += 3) {
    rocksdb_options_t *options = rocksdb_options_create();
    struct rocksdb_fs *fs = NULL;
    char *error = NULL;
    dom_alloc_fail_after(n, n % 2 == 0);
    enum dom_code code = rocksdb_fs_attach(options, disk, "index", INDEX_KEY, true, &fs, NULL);
    rocksdb_t *raw = code == DOM_OK ? rocksdb_open(options, rocksdb_fs_path(fs), &error) : NULL;
    dom_alloc_fail_after(UINT64_MAX, 0);
    failures += raw == NULL;
    if (code != DOM_OK) assert_int_equal(code, DOM_NO_MEMORY);
    if (raw) rocksdb_close(raw);
    if (error) rocksdb_free(error);
    rocksdb_options_destroy(options);
    rocksdb_fs_free(fs);
    assert_int_equal(dom_alloc_live(), live);
  }
  assert_true(failures >= 20);
  assert_true(db_open(&db, disk, INDEX_KEY, true));
  assert_int_equal(read_round(&db), 0);
  db_done(&db);
  disk_sim_free(disk);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_unsynced_tail),
      cmocka_unit_test(test_truncate),
      cmocka_unit_test(test_life_sim),
      cmocka_unit_test(test_life_posix),
      cmocka_unit_test(test_scan_finds_plaintext),
      cmocka_unit_test(test_wrong_key),
      cmocka_unit_test(test_bit_flips),
      cmocka_unit_test(test_deterministic),
      cmocka_unit_test(test_power_cuts),
      cmocka_unit_test(test_failing_operations),
      cmocka_unit_test(test_power_cuts_can_fail),
      cmocka_unit_test(test_failing_allocations),
      cmocka_unit_test(test_golden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
