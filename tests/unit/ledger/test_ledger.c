/* The writer and its readers on a simulated disk. */
#include "ledger/merkle.h"
#include "ledger/tile.h"
#include "support.h"

struct world {
  struct disk *disk;
  struct ledger *ledger;
};

static int set_up(void **state) {
  struct world *w = test_calloc(1, sizeof *w);
  w->disk = disk_sim_new(1);
  assert_non_null(w->disk);
  OK(ledger_open(w->disk, "ledger", ORIGIN, SEED, &w->ledger, NULL));
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  struct world *w = *state;
  ledger_close(w->ledger);
  assert_int_equal(disk_sim_open_files(w->disk), 0);
  disk_sim_free(w->disk);
  test_free(w);
  return 0;
}

static void reopen(struct world *w) {
  struct dom_err err = {.code = DOM_OK};
  ledger_close(w->ledger);
  w->ledger = NULL;
  if (ledger_open(w->disk, "ledger", ORIGIN, SEED, &w->ledger, &err) != DOM_OK) fail_msg("%s", err.text);
}

static void assert_verified(struct world *w) {
  struct memory_folder *m = test_calloc(1, sizeof *m);
  BUF_AUTO vkey = BUF_INIT;
  vkey_of(SEED, &vkey);
  memory_load(m, w->disk, "ledger");
  assert_int_equal(memory_verify(m, buf_str(&vkey), (struct slice){0}), DOMICILE_VERIFIED);
  memory_done(m);
  test_free(m);
}

static void test_empty(void **state) {
  struct world *w = *state;
  BUF_AUTO text = BUF_INIT;
  assert_int_equal(ledger_size(w->ledger), 0);
  assert_int_equal(ledger_cursor(w->ledger), 0);
  ledger_checkpoint(w->ledger, &text);
  /* the empty tree's root in base64 */
  assert_non_null(strstr(buf_str(&text), ORIGIN "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"));
  assert_int_equal(ledger_entry_at(w->ledger, 0, NULL, NULL, NULL), DOM_NOT_FOUND);
  assert_verified(w);
  reopen(w);
  assert_int_equal(ledger_size(w->ledger), 0);
}

static void test_append_reopen(void **state) {
  static const size_t batches[] = {1, 4, 7, 243, 1, 1, 255, 256, 300, 1024, 3};
  struct world *w = *state;
  uint64_t size = 0;
  for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
    OK(append_range(w->ledger, size, batches[i], NULL));
    size += batches[i];
    assert_int_equal(ledger_size(w->ledger), size);
    assert_int_equal(ledger_cursor(w->ledger), cursor_of(size - 1));
    assert_verified(w);
    reopen(w);
    assert_int_equal(ledger_size(w->ledger), size);
    assert_int_equal(ledger_cursor(w->ledger), cursor_of(size - 1));
  }
}

static void test_entries_and_cursors(void **state) {
  struct world *w = *state;
  struct ledger_item items[5];
  static const uint64_t cursors[5] = {7, 7, 9, 12, 12};
  uint64_t first = 0, count = 0;
  for (size_t i = 0; i < 5; i++) {
    BUF_AUTO payload = BUF_INIT;
    uint8_t opening[LEDGER_OPENING_SIZE];
    make_entry(i, items[i].entry, opening, &payload);
    items[i].cursor = cursors[i];
  }
  OK(ledger_append(w->ledger, items, 5, NULL));
  for (size_t i = 0; i < 5; i++) {
    uint8_t entry[LEDGER_ENTRY_SIZE];
    uint64_t cursor = 0;
    OK(ledger_entry_at(w->ledger, i, entry, &cursor, NULL));
    assert_memory_equal(entry, items[i].entry, sizeof entry);
    assert_int_equal(cursor, cursors[i]);
  }
  OK(ledger_find_cursor(w->ledger, 7, &first, &count, NULL));
  assert_int_equal(first, 0);
  assert_int_equal(count, 2);
  OK(ledger_find_cursor(w->ledger, 9, &first, &count, NULL));
  assert_int_equal(first, 2);
  assert_int_equal(count, 1);
  OK(ledger_find_cursor(w->ledger, 12, &first, &count, NULL));
  assert_int_equal(first, 3);
  assert_int_equal(count, 2);
  assert_int_equal(ledger_find_cursor(w->ledger, 8, &first, &count, NULL), DOM_NOT_FOUND);
  assert_int_equal(ledger_find_cursor(w->ledger, UINT64_MAX, &first, &count, NULL), DOM_NOT_FOUND);
}

/* What is taken up has its index at once, and readers see it when it is published, or after a start. */
static void test_take_up(void **state) {
  enum { FIRST = 3, MORE = 300 };
  struct world *w = *state;
  uint64_t index = 0;
  OK(append_range(w->ledger, 0, FIRST, NULL));
  OK(take_up_range(w->ledger, FIRST, 1, NULL));
  OK(take_up_range(w->ledger, FIRST + 1, MORE, NULL));
  assert_int_equal(ledger_size(w->ledger), FIRST);
  assert_int_equal(ledger_cursor(w->ledger), cursor_of(FIRST - 1));
  assert_int_equal(ledger_taken(w->ledger), cursor_of(FIRST + MORE));
  for (uint64_t n = 0; n <= FIRST + MORE; n++) {
    OK(ledger_index(w->ledger, cursor_of(n), &index, NULL));
    assert_int_equal(index, n);
  }
  assert_int_equal(ledger_index(w->ledger, cursor_of(FIRST) + 1, &index, NULL), DOM_NOT_FOUND);
  assert_int_equal(ledger_index(w->ledger, cursor_of(FIRST + MORE + 1), &index, NULL), DOM_NOT_FOUND);
  assert_int_equal(ledger_entry_at(w->ledger, FIRST, NULL, NULL, NULL), DOM_NOT_FOUND);
  assert_int_equal(take_up_range(w->ledger, FIRST, 1, NULL), DOM_INVALID); /* twice */
  assert_verified(w);
  OK(ledger_publish(w->ledger, NULL));
  assert_int_equal(ledger_size(w->ledger), FIRST + 1 + MORE);
  OK(ledger_index(w->ledger, cursor_of(FIRST), &index, NULL));
  assert_int_equal(index, FIRST);
  OK(ledger_publish(w->ledger, NULL)); /* nothing to do */
  assert_verified(w);
  OK(take_up_range(w->ledger, FIRST + 1 + MORE, 2, NULL));
  reopen(w);
  assert_int_equal(ledger_size(w->ledger), FIRST + 1 + MORE + 2);
  assert_verified(w);
}

/* A batch that cannot be written fails the ledger; what was taken up before it is published. */
static void test_take_up_fails(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(3);
  struct ledger *ledger = NULL;
  uint64_t index = 0;
  OK(ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL));
  OK(take_up_range(ledger, 0, 5, NULL));
  disk_sim_fail_after(disk, 1, DOM_NO_SPACE);
  assert_int_equal(take_up_range(ledger, 5, 2, NULL), DOM_NO_SPACE);
  assert_true(ledger_failed(ledger));
  assert_int_equal(ledger_size(ledger), 5);
  assert_int_equal(ledger_index(ledger, cursor_of(5), &index, NULL), DOM_NOT_FOUND);
  assert_int_equal(take_up_range(ledger, 5, 2, NULL), DOM_READ_ONLY);
  assert_int_equal(ledger_publish(ledger, NULL), DOM_READ_ONLY);
  ledger_close(ledger);
  disk_sim_free(disk);
}

/* What does not verify behind the checkpoint is cut off, and comes again from the region's log. */
static void test_damage_behind_checkpoint(void **state) {
  (void)state;
  for (uint64_t bad = 3; bad < 12; bad++) {
    struct disk *disk = disk_sim_new(bad);
    struct ledger *ledger = NULL;
    struct disk_file *f = NULL;
    uint8_t byte = 0;
    OK(ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL));
    OK(append_range(ledger, 0, 3, NULL));
    OK(take_up_range(ledger, 3, 4, NULL));
    OK(take_up_range(ledger, 7, 1, NULL));
    OK(take_up_range(ledger, 8, 4, NULL));
    ledger_close(ledger);
    OK(disk_open(disk, "ledger/journal", DISK_READ | DISK_WRITE, &f, NULL));
    OK(disk_read_full(f, (bad + 1) * 112 + 50, &byte, 1, NULL));
    byte ^= 1;
    OK(disk_write(f, (bad + 1) * 112 + 50, &byte, 1, NULL));
    disk_close(f);
    OK(ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL));
    uint64_t size = ledger_size(ledger);
    assert_int_equal(size, bad < 7 ? 3 : bad < 8 ? 7 : 8);
    OK(append_range(ledger, size, (size_t)(12 - size), NULL));
    assert_int_equal(ledger_size(ledger), 12);
    ledger_close(ledger);
    disk_sim_free(disk);
  }
}

/* A start publishes one batch at most, so no more than that ever waits. */
static void test_take_up_bounded(void **state) {
  struct world *w = *state;
  OK(take_up_range(w->ledger, 0, LEDGER_BATCH_MAX - 1, NULL));
  assert_int_equal(ledger_size(w->ledger), 0);
  OK(take_up_range(w->ledger, LEDGER_BATCH_MAX - 1, 1, NULL));
  assert_int_equal(ledger_size(w->ledger), 0);
  OK(take_up_range(w->ledger, LEDGER_BATCH_MAX, 2, NULL));
  assert_int_equal(ledger_size(w->ledger), LEDGER_BATCH_MAX);
  reopen(w);
  assert_int_equal(ledger_size(w->ledger), LEDGER_BATCH_MAX + 2);
  assert_verified(w);
}

/* What is refused is refused before anything is written, and does not fail the ledger. */
static void test_refused(void **state) {
  struct world *w = *state;
  struct ledger_item items[2];
  uint8_t opening[LEDGER_OPENING_SIZE];
  BUF_AUTO payload = BUF_INIT;
  OK(append_range(w->ledger, 0, 3, NULL));
  assert_int_equal(append_range(w->ledger, 2, 1, NULL), DOM_INVALID); /* the cursor is taken up */
  assert_int_equal(append_range(w->ledger, 0, 9, NULL), DOM_INVALID);
  make_entry(0, items[0].entry, opening, &payload);
  items[1] = items[0];
  items[0].cursor = 1001;
  items[1].cursor = 1000;
  assert_int_equal(ledger_append(w->ledger, items, 2, NULL), DOM_INVALID);
  items[1].cursor = 1001;
  items[1].entry[4] = 0;
  assert_int_equal(ledger_append(w->ledger, items, 2, NULL), DOM_INVALID);
  assert_false(ledger_failed(w->ledger));
  assert_int_equal(ledger_size(w->ledger), 3);
  OK(append_range(w->ledger, 3, 1, NULL));
  assert_verified(w);
}

static void check_inclusion(struct world *w, uint64_t index, uint64_t size, const struct merkle_hash *root) {
  BUF_AUTO hashes = BUF_INIT;
  struct merkle_proof proof;
  struct merkle_hash leaf;
  uint8_t entry[LEDGER_ENTRY_SIZE];
  OK(ledger_prove_inclusion(w->ledger, index, size, &hashes, NULL));
  OK(ledger_entry_at(w->ledger, index, entry, NULL, NULL));
  proof.count = hashes.len / MERKLE_HASH;
  if (hashes.len > 0) memcpy(proof.hashes, hashes.data, hashes.len);
  merkle_leaf(slice_of(entry, sizeof entry), &leaf);
  assert_true(merkle_check_inclusion(&leaf, index, size, &proof, root));
}

enum { PROOF_SIZE = 700 };

static void test_proofs(void **state) {
  struct world *w = *state;
  struct tile_edge *edge = test_calloc(1, sizeof *edge);
  struct merkle_hash *roots = test_calloc(PROOF_SIZE + 1, sizeof *roots);
  merkle_empty(&roots[0]);
  for (uint64_t n = 0; n < PROOF_SIZE; n += 100) OK(append_range(w->ledger, n, 100, NULL));
  for (uint64_t n = 0; n < PROOF_SIZE; n++) {
    uint8_t entry[LEDGER_ENTRY_SIZE];
    struct merkle_hash leaf;
    OK(ledger_entry_at(w->ledger, n, entry, NULL, NULL));
    merkle_leaf(slice_of(entry, sizeof entry), &leaf);
    OK(tile_edge_push(edge, &leaf, NULL, NULL, NULL));
    tile_edge_root(edge, &roots[n + 1]);
  }
  for (uint64_t size = 1; size <= PROOF_SIZE; size += 23)
    for (uint64_t index = size % 7; index < size; index += 13) check_inclusion(w, index, size, &roots[size]);
  for (uint64_t to = 0; to <= PROOF_SIZE; to += 35)
    for (uint64_t from = 0; from <= to; from += 11) {
      BUF_AUTO hashes = BUF_INIT;
      struct merkle_proof proof;
      OK(ledger_prove_consistency(w->ledger, from, to, &hashes, NULL));
      proof.count = hashes.len / MERKLE_HASH;
      if (hashes.len > 0) memcpy(proof.hashes, hashes.data, hashes.len);
      assert_true(merkle_check_consistency(from, &roots[from], to, &roots[to], &proof));
    }
  BUF_AUTO none = BUF_INIT;
  assert_int_equal(ledger_prove_inclusion(w->ledger, 5, 5, &none, NULL), DOM_NOT_FOUND);
  assert_int_equal(ledger_prove_inclusion(w->ledger, 5, PROOF_SIZE + 1, &none, NULL), DOM_NOT_FOUND);
  assert_int_equal(ledger_prove_consistency(w->ledger, 3, 2, &none, NULL), DOM_NOT_FOUND);
  test_free(roots);
  test_free(edge);
}

static enum dom_code resource(struct world *w, const char *path, size_t *out_len, bool *out_immutable) {
  BUF_AUTO bytes = BUF_INIT;
  const char *type = NULL;
  enum dom_code code = ledger_resource(w->ledger, path, &bytes, &type, out_immutable, NULL);
  if (code == DOM_OK)
    assert_non_null(type);
  else
    assert_int_equal(bytes.len, 0);
  *out_len = bytes.len;
  return code;
}

static void test_resources(void **state) {
  static const struct {
    const char *path;
    size_t len;
  } cases[] = {{"tile/0/000", 8192},
               {"tile/entries/000", 256 * 98},
               {"tile/0/001.p/44", 44 * 32},
               {"tile/1/000.p/1", 32},
               {"tile/entries/001.p/44", 44 * 98},
               {"tile/0/000.p/100", 100 * 32}, /* pruned, and cut from the full one */
               {"tile/entries/000.p/100", 100 * 98}};
  static const char *const absent[] = {
      "tile/0/001", "tile/0/001.p/45",   "tile/2/000.p/1", "tile/0/002.p/1", "journal", "tmp/0",
      "",           "tile/0/../journal", "/checkpoint"};
  struct world *w = *state;
  size_t len = 0;
  bool immutable = true;
  for (uint64_t n = 0; n < 300; n += 100) OK(append_range(w->ledger, n, 100, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    OK(resource(w, cases[i].path, &len, &immutable));
    assert_int_equal(len, cases[i].len);
    assert_true(immutable);
  }
  OK(resource(w, "checkpoint", &len, &immutable));
  assert_false(immutable);
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
    assert_int_equal(resource(w, absent[i], &len, &immutable), DOM_NOT_FOUND);
}

static void test_partials_pruned(void **state) {
  struct world *w = *state;
  struct disk_info info;
  for (uint64_t n = 0; n < 250; n += 50) OK(append_range(w->ledger, n, 50, NULL));
  OK(disk_stat(w->disk, "ledger/tile/0/000.p/100", &info, NULL)); /* a checkpoint named it */
  OK(append_range(w->ledger, 250, 50, NULL));
  assert_int_equal(disk_stat(w->disk, "ledger/tile/0/000.p", &info, NULL), DOM_NOT_FOUND);
  assert_int_equal(disk_stat(w->disk, "ledger/tile/entries/000.p", &info, NULL), DOM_NOT_FOUND);
  OK(disk_stat(w->disk, "ledger/tile/0/000", &info, NULL));
  OK(disk_stat(w->disk, "ledger/tile/0/001.p/44", &info, NULL));
}

static void test_receipts(void **state) {
  struct world *w = *state;
  BUF_AUTO vkey = BUF_INIT;
  OK(append_range(w->ledger, 0, 300, NULL));
  vkey_of(SEED, &vkey);
  for (uint64_t n = 0; n < 300; n += 37) {
    uint8_t entry[LEDGER_ENTRY_SIZE], opening[LEDGER_OPENING_SIZE];
    BUF_AUTO payload = BUF_INIT, text = BUF_INIT;
    struct domicile_verifier *v = domicile_verifier_new();
    make_entry(n, entry, opening, &payload);
    OK(ledger_receipt(w->ledger, n, opening, buf_slice(&payload), &text, NULL));
    assert_int_equal(domicile_verifier_add_key(v, buf_str(&vkey)), DOMICILE_VERIFIED);
    struct domicile_result *r = domicile_verify_receipt(v, text.data, text.len);
    assert_int_equal(domicile_result_code(r), DOMICILE_VERIFIED);
    assert_int_equal(domicile_result_index(r), n);
    assert_int_equal(domicile_result_size(r), 300);
    assert_string_equal(domicile_result_origin(r), ORIGIN);
    assert_non_null(strstr(domicile_result_event(r), "under charter version 2"));
    domicile_result_free(r);
    domicile_verifier_free(v);
    opening[0] ^= 1; /* a receipt that would not verify is never given out */
    assert_int_equal(ledger_receipt(w->ledger, n, opening, buf_slice(&payload), &text, NULL), DOM_CORRUPT);
    opening[0] ^= 1;
    assert_int_equal(ledger_receipt(w->ledger, 300, opening, buf_slice(&payload), &text, NULL),
                     DOM_NOT_FOUND);
  }
}

static void test_other_owner(void **state) {
  struct world *w = *state;
  struct ledger *other = NULL;
  OK(append_range(w->ledger, 0, 3, NULL));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, OTHER_SEED, &other, NULL), DOM_INCOMPATIBLE);
  assert_int_equal(ledger_open(w->disk, "ledger", "example.org/test/us", SEED, &other, NULL),
                   DOM_INCOMPATIBLE);
  assert_int_equal(ledger_open(w->disk, "ledger", "a b", SEED, &other, NULL), DOM_INVALID);
  assert_int_equal(ledger_open(w->disk, "ledger", "", SEED, &other, NULL), DOM_INVALID);
  assert_null(other);
}

/* A restored backup: the checkpoint is newer than the entries. */
static void test_checkpoint_ahead(void **state) {
  struct world *w = *state;
  struct ledger *again = NULL;
  struct dom_err err = {.code = DOM_OK};
  BUF_AUTO old = BUF_INIT;
  OK(append_range(w->ledger, 0, 10, NULL));
  OK(disk_read_file(w->disk, "ledger/journal", 1 << 20, &old, NULL));
  OK(append_range(w->ledger, 10, 5, NULL));
  ledger_close(w->ledger);
  w->ledger = NULL;
  OK(disk_replace_file(w->disk, "ledger/journal", buf_slice(&old), NULL));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, SEED, &again, &err), DOM_CORRUPT);
  assert_non_null(strstr(err.text, "signs 15 entries, the journal holds 10"));
}

static void test_checkpoint_gone(void **state) {
  struct world *w = *state;
  struct ledger *again = NULL;
  OK(append_range(w->ledger, 0, 10, NULL));
  ledger_close(w->ledger);
  w->ledger = NULL;
  OK(disk_unlink(w->disk, "ledger/checkpoint", NULL));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, SEED, &again, NULL), DOM_CORRUPT);
}

/* Tiles are a view: lost or damaged ones at the right edge are written again. */
static void test_tiles_rebuilt(void **state) {
  static const char *const lost[] = {"ledger/tile/0/001.p/44", "ledger/tile/1/000.p/1",
                                     "ledger/tile/entries/000"};
  struct world *w = *state;
  OK(append_range(w->ledger, 0, 300, NULL));
  for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) OK(disk_unlink(w->disk, lost[i], NULL));
  reopen(w);
  assert_verified(w);
  OK(disk_sim_flip(w->disk, "ledger/tile/0/001.p/44", 77));
  reopen(w);
  assert_verified(w);
  OK(append_range(w->ledger, 300, 2, NULL));
  assert_verified(w);
}

/* Entries that no longer give the signed root are never signed again. */
static void test_journal_damaged(void **state) {
  struct world *w = *state;
  struct ledger *again = NULL;
  OK(append_range(w->ledger, 0, 20, NULL));
  ledger_close(w->ledger);
  w->ledger = NULL;
  OK(disk_sim_flip(w->disk, "ledger/journal", 8 * (112 * 6 + 50)));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, SEED, &again, NULL), DOM_CORRUPT);
  OK(disk_sim_flip(w->disk, "ledger/journal", 8 * (112 * 6 + 50)));
  OK(disk_sim_flip(w->disk, "ledger/journal", 8 * 30));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, SEED, &again, NULL), DOM_CORRUPT);
  OK(disk_sim_flip(w->disk, "ledger/journal", 8 * 30));
  OK(disk_sim_flip(w->disk, "ledger/checkpoint", 200));
  assert_int_equal(ledger_open(w->disk, "ledger", ORIGIN, SEED, &again, NULL), DOM_CORRUPT);
  OK(disk_sim_flip(w->disk, "ledger/checkpoint", 200));
  OK(ledger_open(w->disk, "ledger", ORIGIN, SEED, &w->ledger, NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_empty),
                                     CASE(test_append_reopen),
                                     CASE(test_entries_and_cursors),
                                     CASE(test_take_up),
                                     CASE(test_take_up_bounded),
                                     CASE(test_take_up_fails),
                                     CASE(test_damage_behind_checkpoint),
                                     CASE(test_refused),
                                     CASE(test_proofs),
                                     CASE(test_resources),
                                     CASE(test_partials_pruned),
                                     CASE(test_receipts),
                                     CASE(test_other_owner),
                                     CASE(test_checkpoint_ahead),
                                     CASE(test_checkpoint_gone),
                                     CASE(test_tiles_rebuilt),
                                     CASE(test_journal_damaged)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
