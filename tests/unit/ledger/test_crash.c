/* Power cuts and faults at every disk operation, and failing allocations: what was
 * acknowledged is there, a failed batch is whole or absent, and the ledger verifies. */
#include "base/alloc.h"
#include "support.h"

enum { SEEDS = 3 };
static const size_t BATCHES[] = {3, 250, 10, 300, 1};
enum { BATCH_COUNT = sizeof BATCHES / sizeof BATCHES[0] };

/* Takes up batches from `*io_batch` on and publishes now and then, and at the end; *io_size counts the
 * acknowledged entries. */
static enum dom_code append_all(struct ledger *ledger, size_t *io_batch, uint64_t *io_size) {
  while (*io_batch < BATCH_COUNT) {
    enum dom_code code = take_up_range(ledger, *io_size, BATCHES[*io_batch], NULL);
    if (code != DOM_OK) return code;
    *io_size += BATCHES[(*io_batch)++];
    if (*io_batch % 2 == 1 && (code = ledger_publish(ledger, NULL)) != DOM_OK) return code;
  }
  return ledger_publish(ledger, NULL);
}

static enum domicile_code verify_disk(struct disk *disk) {
  static struct memory_folder m;
  BUF_AUTO vkey = BUF_INIT;
  vkey_of(SEED, &vkey);
  memory_load(&m, disk, "ledger");
  enum domicile_code code = memory_verify(&m, buf_str(&vkey), (struct slice){0});
  memory_done(&m);
  return code;
}

/* Opens after a crash; false (with a control run's leave) when it cannot or lost something. */
static bool recovered(struct disk *disk, size_t *io_batch, uint64_t *io_size) {
  struct ledger *ledger = NULL;
  if (ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL) != DOM_OK) return false;
  uint64_t size = ledger_size(ledger), cursor = ledger_cursor(ledger);
  bool in_flight = *io_batch < BATCH_COUNT && size == *io_size + BATCHES[*io_batch];
  bool good = size == *io_size || in_flight;
  good = good && cursor == (size == 0 ? 0 : cursor_of(size - 1));
  good = good && verify_disk(disk) == DOMICILE_VERIFIED;
  if (good && in_flight) {
    *io_size = size;
    (*io_batch)++;
  }
  good = good && append_all(ledger, io_batch, io_size) == DOM_OK;
  ledger_close(ledger);
  return good && verify_disk(disk) == DOMICILE_VERIFIED;
}

/* One life: cut at operation `cut`, then again `recut` operations into the recovery. True
 * when nothing was lost. *out_done tells that the cut lay beyond the end. */
static bool live(uint64_t seed, uint64_t cut, uint64_t recut, bool ignore_sync, bool *out_done) {
  struct disk *disk = disk_sim_new(seed);
  struct ledger *ledger = NULL;
  size_t batch = 0;
  uint64_t size = 0;
  assert_non_null(disk);
  disk_sim_ignore_sync(disk, ignore_sync);
  disk_sim_cut_after(disk, cut);
  if (ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL) == DOM_OK) {
    (void)append_all(ledger, &batch, &size);
    ledger_close(ledger);
  }
  *out_done = !disk_sim_is_off(disk);
  disk_sim_cut_after(disk, 0);
  if (*out_done) disk_sim_power_cut(disk);
  disk_sim_power_on(disk);
  if (recut > 0) {
    disk_sim_cut_after(disk, recut);
    ledger = NULL;
    (void)ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL);
    ledger_close(ledger);
    disk_sim_cut_after(disk, 0);
    if (!disk_sim_is_off(disk)) disk_sim_power_cut(disk);
    disk_sim_power_on(disk);
  }
  bool good = recovered(disk, &batch, &size);
  disk_sim_free(disk);
  return good;
}

static void test_power_cuts(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    bool done = false;
    for (uint64_t cut = 1; !done; cut++)
      if (!live(seed, cut, 0, false, &done)) fail_msg("seed %d, cut at operation %d", (int)seed, (int)cut);
  }
}

static void test_power_cuts_during_recovery(void **state) {
  (void)state;
  bool done = false;
  for (uint64_t cut = 1; !done; cut++)
    for (uint64_t recut = 1; recut < 40; recut += 9) {
      if (!live(cut, cut, recut, false, &done))
        fail_msg("cut at operation %d, again at %d", (int)cut, (int)recut);
    }
}

/* The harness can fail: with syncs left out, something acknowledged is lost. */
static void test_control_without_sync(void **state) {
  (void)state;
  unsigned lost = 0;
  bool done = false;
  for (uint64_t cut = 1; !done; cut++)
    if (!live(cut, cut, 0, true, &done)) lost++;
  assert_true(lost > 0);
}

/* One failing operation: the append says so, later ones are refused, readers go on. */
static void fail_at(uint64_t operation, enum dom_code with, bool *out_done) {
  struct disk *disk = disk_sim_new(operation);
  struct ledger *ledger = NULL;
  size_t batch = 0;
  uint64_t size = 0;
  OK(ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL));
  disk_sim_fail_after(disk, operation, with);
  enum dom_code code = append_all(ledger, &batch, &size);
  *out_done = code == DOM_OK;
  if (code != DOM_OK) {
    BUF_AUTO text = BUF_INIT;
    assert_int_equal(code, with);
    assert_true(ledger_failed(ledger));
    assert_int_equal(append_range(ledger, size, 1, NULL), DOM_READ_ONLY);
    uint64_t shown = ledger_size(ledger);
    assert_true(ledger_taken(ledger) >= (size ? cursor_of(size - 1) : 0));
    ledger_checkpoint(ledger, &text);
    assert_true(text.len > 0);
    if (shown > 0) {
      BUF_AUTO proof = BUF_INIT;
      OK(ledger_prove_inclusion(ledger, 0, shown, &proof, NULL));
    }
  }
  ledger_close(ledger);
  disk_sim_fail_after(disk, 0, DOM_IO);
  assert_true(recovered(disk, &batch, &size));
  assert_int_equal(disk_sim_open_files(disk), 0);
  disk_sim_free(disk);
}

static void test_disk_faults(void **state) {
  static const enum dom_code codes[] = {DOM_IO, DOM_NO_SPACE};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    bool done = false;
    for (uint64_t operation = 1; !done; operation++) fail_at(operation, codes[i], &done);
  }
}

static void test_open_faults(void **state) {
  (void)state;
  for (uint64_t operation = 1;; operation++) {
    struct disk *disk = disk_sim_new(operation);
    struct ledger *ledger = NULL;
    size_t batch = 0;
    uint64_t size = 0;
    disk_sim_fail_after(disk, operation, DOM_IO);
    enum dom_code code = ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL);
    disk_sim_fail_after(disk, 0, DOM_IO);
    ledger_close(ledger);
    assert_true(recovered(disk, &batch, &size));
    assert_int_equal(disk_sim_open_files(disk), 0);
    disk_sim_free(disk);
    if (code == DOM_OK) break;
    assert_int_equal(code, DOM_IO);
  }
}

/* Fails the n-th allocation of `one round`, until a round needs no more. */
static void test_memory_faults(void **state) {
  (void)state;
  for (uint64_t n = 0;; n++) {
    struct disk *disk = disk_sim_new(n + 1);
    struct ledger *ledger = NULL;
    uint8_t entry[LEDGER_ENTRY_SIZE], opening[LEDGER_OPENING_SIZE];
    BUF_AUTO payload = BUF_INIT, text = BUF_INIT;
    int64_t live_before = dom_alloc_live();
    struct ledger_item item = {.cursor = 1};
    make_entry(0, entry, opening, &payload);
    int64_t own = dom_alloc_live() - live_before;
    memcpy(item.entry, entry, sizeof entry);
    dom_alloc_fail_after(n, 1);
    enum dom_code code = ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL);
    if (code == DOM_OK) code = ledger_append(ledger, &item, 1, NULL);
    if (code == DOM_OK) code = ledger_receipt(ledger, 0, opening, buf_slice(&payload), &text, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    ledger_close(ledger);
    buf_done(&text);
    assert_int_equal(dom_alloc_live() - live_before, own);
    assert_int_equal(disk_sim_open_files(disk), 0);
    ledger = NULL;
    OK(ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, NULL));
    ledger_close(ledger);
    assert_int_equal(verify_disk(disk), DOMICILE_VERIFIED);
    disk_sim_free(disk);
    if (code == DOM_OK) break;
    assert_int_equal(code, DOM_NO_MEMORY);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_power_cuts),           cmocka_unit_test(test_power_cuts_during_recovery),
      cmocka_unit_test(test_control_without_sync), cmocka_unit_test(test_disk_faults),
      cmocka_unit_test(test_open_faults),          cmocka_unit_test(test_memory_faults)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
