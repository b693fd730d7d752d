/* Who is lost with a region's disk while they were between two homes: the last copy of them is what they go
 * on with, wherever it is. */
#include "lost_world.h"

/* ---- faults ---------------------------------------------------------------------------------------- */

/* The way to us is cut once CN has committed, so that nobody hears of it. */
static void cut_at_commit(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+committed") == 0) net_sim_cut(t->net, CN, US, true);
}

/* The power of CN goes once the target has prepared. */
static void die_at_prepared(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+peer-prepared") == 0) disk_sim_power_cut(t->region[CN].disk);
}

/* ---- what is seen ---------------------------------------------------------------------------------- */

static bool take_lost(void *arg, const struct mover_lost *lost) {
  *(struct mover_lost *)arg = *lost;
  return true;
}

static struct mover_lost only_lost(struct test_regions *t, uint16_t at) {
  struct mover_lost lost = {.epoch = 0};
  struct mover_quarantine_status s;
  assert_int_equal(state(t, at), MOVER_LOSS);
  assert_int_equal(mover_quarantine_status(t->region[at].mover, &s, NULL), DOM_OK);
  assert_int_equal(s.lost, 1);
  assert_int_equal(mover_quarantine_lost(t->region[at].mover, take_lost, &lost, NULL), DOM_OK);
  return lost;
}

static void leave(struct test_regions *t, uint16_t at) {
  struct dom_err err = {0};
  enum dom_code code = mover_quarantine_leave(t->region[at].mover, false, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(state(t, at), MOVER_OPEN);
}

static void assert_lives(struct test_regions *t, const uint8_t *token, uint16_t at, uint64_t epoch) {
  struct subject_record record;
  assert_int_equal(row_of(t, at, token).state, SUBJECT_HOME);
  assert_int_equal(row_of(t, at, token).epoch, epoch);
  assert_int_equal(subject_record_find(t->region[SG].subjects, token, &record, NULL), DOM_OK);
  assert_int_equal(record.home, at);
  assert_int_equal(record.epoch, epoch);
  for (uint16_t i = 1; i <= t->count; i++)
    if (i != at) assert_true(row_of(t, i, token).state != SUBJECT_HOME || row_of(t, i, token).epoch == 0);
}

/* All kinds of things, beside object "a". */
static void add_all_kinds(struct test_regions *t, const char *id) {
  assert_int_equal(region_put_large(t, CN, id, "film", 3 << 20, 9), DOM_OK);
  assert_int_equal(region_upload(t, CN, id, "begun", 7), DOM_OK);
  assert_int_equal(region_part(t, CN, id, "begun", 7, 1, "first"), DOM_OK);
  assert_int_equal(region_upload(t, CN, id, "whole", 8), DOM_OK);
  assert_int_equal(region_part(t, CN, id, "whole", 8, 1, "part"), DOM_OK);
  assert_int_equal(region_complete(t, CN, id, "whole", 8), DOM_OK);
}

/* ---- a copy that the former home kept ------------------------------------------------------------------ */

/* US comes back from before the move, which CN has committed: asha is at home nowhere. */
static struct test_regions *committed_and_lost(uint64_t seed, uint8_t asha[TOKEN_SIZE], bool empty) {
  struct test_regions *t = world_new(seed);
  add(t, "asha", asha);
  add_all_kinds(t, "asha");
  settle(t);
  struct disk *backup = empty ? disk_sim_new(seed + 50) : back_up(t, US);
  restart_with(t, CN, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  clock_sim_advance(t->clock, 60000);
  assert_int_equal(mover_watch(t->region[US].mover, NULL), DOM_OK); /* SG hears how far it is */
  t->fault_point = NULL;
  t->region[US].start_confirmed = true;
  restore_take(t, US, backup);
  if (empty) assert_int_equal(regions_force(t, 1, false), DOM_OK);
  net_sim_cut(t->net, CN, US, false);
  return t;
}

static void kept(uint64_t seed, bool empty) {
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct test_regions *t = committed_and_lost(seed, asha, empty);
  settle(t);
  struct mover_lost lost = only_lost(t, US);
  assert_memory_equal(lost.token, asha, TOKEN_SIZE);
  assert_int_equal(lost.copy, MOVER_COPY_KEPT);
  assert_int_equal(lost.from, CN);
  leave(t, US);
  assert_int_not_equal(region_get(t, US, "asha", "a", &out), DOM_OK); /* not yet, and nobody is told 404 */
  assert_int_not_equal(region_get(t, US, "asha", "a", &out), DOM_NOT_FOUND);
  region_stop(t, US); /* nothing of that is in memory only */
  assert_int_equal(region_start(t, US, NULL), DOM_OK);
  settle(t);
  assert_lives(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  buf_reset(&out);
  assert_int_equal(region_get(t, US, "asha", "film", &out), DOM_OK);
  assert_int_equal(out.len, 3 << 20);
  assert_int_equal(region_complete(t, US, "asha", "begun", 7), DOM_OK);
  assert_gone(t, CN, asha, 1);
  move(t, asha, US, SG);
  assert_reads(t, SG, "asha", "asha");
  world_free(t);
}

static void test_kept(void **unused) {
  (void)unused;
  kept(1, false);
}

/* No backup at all: an empty disk under the region's number and key. */
static void test_kept_by_an_empty_disk(void **unused) {
  (void)unused;
  kept(2, true);
}

struct at_snapshot {
  struct test_regions *t;
  struct disk *backup;
};

/* Once a first copy is staged: a backup of the target; and then something of it is deleted. */
static void back_up_at_snapshot(void *arg, const char *step) {
  struct at_snapshot *a = arg;
  cut_at_commit(a->t, step);
  if (strcmp(step, "+snapshot") != 0 || a->backup) return;
  a->backup = disk_sim_new(79);
  disk_copy(a->t->region[US].disk, a->backup);
  assert_int_equal(region_delete(a->t, CN, "asha", "b"), DOM_OK);
  assert_int_equal(region_complete(a->t, CN, "asha", "begun", 7), DOM_OK);
  assert_int_equal(region_put(a->t, CN, "asha", "a", "later"), DOM_OK);
}

/* The backup has part of an older copy: what was deleted behind it does not come back, nor hold the move up.
 */
static void test_kept_beside_an_older_copy(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct test_regions *t = world_new(10);
  struct at_snapshot a = {.t = t};
  add(t, "asha", asha);
  add_all_kinds(t, "asha");
  assert_int_equal(region_put(t, CN, "asha", "b", "deleted"), DOM_OK);
  settle(t);
  restart_with(t, CN, back_up_at_snapshot, &a);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  assert_non_null(a.backup);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  clock_sim_advance(t->clock, 60000);
  assert_int_equal(mover_watch(t->region[US].mover, NULL), DOM_OK);
  t->fault_point = NULL;
  t->region[US].start_confirmed = true;
  restore_take(t, US, a.backup);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(only_lost(t, US).copy, MOVER_COPY_KEPT);
  leave(t, US);
  settle(t);
  assert_lives(t, asha, US, 2);
  assert_reads(t, US, "asha", "later");
  assert_int_equal(region_get(t, US, "asha", "b", &out), DOM_NOT_FOUND);
  assert_int_equal(region_get(t, US, "asha", "begun", &out), DOM_OK);
  assert_gone(t, CN, asha, 1);
  world_free(t);
}

/* It was served already when the disk went, and the registrar had not heard: what was written there is lost.
 */
static void test_kept_though_served(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world_new(3);
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, US);
  net_sim_cut(t->net, SG, US, true);
  assert_int_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_UNAVAILABLE);
  assert_int_equal(row_of(t, US, asha).state, SUBJECT_HOME);
  assert_int_equal(region_put(t, US, "asha", "b", "lost"), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  mover_watch(t->region[US].mover, NULL);
  restore_take(t, US, backup);
  net_sim_cut(t->net, SG, US, false);
  settle(t);
  assert_int_equal(only_lost(t, US).copy, MOVER_COPY_KEPT);
  leave(t, US);
  settle(t);
  assert_lives(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(t, US, "asha", "b", &out), DOM_NOT_FOUND);
  assert_gone(t, CN, asha, 1);
  world_free(t);
}

/* A charter came between that lets nobody come to live there any more: nothing goes there, nothing is erased,
 * and the region that keeps the copy says by which clause; until another charter lets it. */
static void test_kept_and_refused(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct dom_err err = {0};
  bool did;
  struct test_regions *t = world_new(4);
  add(t, "asha", asha);
  move(t, asha, CN, US);
  settle(t);
  struct disk *backup = back_up(t, CN);
  restart_with(t, US, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[US].mover, asha, CN, NULL), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  assert_int_equal(mover_watch(t->region[CN].mover, NULL), DOM_OK);
  t->fault_point = NULL;
  t->region[CN].start_confirmed = true;
  restore_take(t, CN, backup);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(regions_force(t, 2, true), DOM_OK);
  leave(t, CN);
  clock_sim_advance(t->clock, 60000);
  assert_int_equal(mover_upkeep(t->region[US].mover, &did, &err), DOM_REFUSED);
  assert_non_null(strstr(err.text, "rules.IN.leave.cn"));
  struct vault_key key = {.epoch = 2};
  memcpy(key.token, asha, TOKEN_SIZE);
  assert_int_equal(vault_key_exists(store_vault(t->region[US].store), &key, NULL), DOM_OK);
  assert_int_equal(regions_force(t, 4, true), DOM_OK);
  settle(t);
  assert_lives(t, asha, CN, 3);
  assert_reads(t, CN, "asha", "asha");
  assert_gone(t, US, asha, 2);
  world_free(t);
}

/* The copy that was kept has rotted: it is not handed over as if it were what was promised, and stays. */
static void test_kept_and_changed(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = committed_and_lost(5, asha, false);
  settle(t);
  leave(t, US);
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  struct handoff h;
  assert_int_equal(store_view_open(t->region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(handoff_get(v, asha, 2, HANDOFF_SOURCE, &h, NULL), DOM_OK);
  assert_int_equal(h.state, HANDOFF_COMMITTED);
  h.manifest[0] ^= 1; /* as good as another copy */
  assert_int_equal(store_tx_begin(t->region[CN].store, v, &tx, NULL), DOM_OK);
  assert_int_equal(handoff_put(tx, &h, NULL), DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
  store_view_close(v);
  v = NULL;
  bool did;
  struct dom_err err = {0};
  for (int i = 0; i < 3; i++) {
    clock_sim_advance(t->clock, 60000);
    assert_int_equal(mover_upkeep(t->region[CN].mover, &did, &err), DOM_CORRUPT);
  }
  assert_non_null(strstr(err.text, "fsck"));
  assert_int_not_equal(row_of(t, US, asha).state, SUBJECT_HOME);
  struct vault_key key = {.epoch = 1};
  memcpy(key.token, asha, TOKEN_SIZE);
  assert_int_equal(vault_key_exists(store_vault(t->region[CN].store), &key, NULL), DOM_OK);
  world_free(t);
}

/* ---- a copy that the next home has prepared ---------------------------------------------------------------
 */

/* CN lost its disk between the fence and the commit, and has nothing of asha. */
static struct test_regions *prepared_and_lost(uint64_t seed, uint8_t asha[TOKEN_SIZE], bool empty) {
  struct test_regions *t = world_new(seed);
  settle(t);
  struct disk *backup = empty ? disk_sim_new(seed + 50) : back_up(t, CN);
  add(t, "asha", asha);
  add_all_kinds(t, "asha");
  settle(t);
  restart_with(t, CN, die_at_prepared, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  t->fault_point = NULL;
  t->region[CN].start_confirmed = true;
  restore_take(t, CN, backup);
  if (empty) assert_int_equal(regions_force(t, 1, false), DOM_OK);
  settle(t);
  return t;
}

static void prepared(uint64_t seed, bool empty) {
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = prepared_and_lost(seed, asha, empty);
  struct mover_lost lost = only_lost(t, CN);
  assert_memory_equal(lost.token, asha, TOKEN_SIZE);
  assert_int_equal(lost.copy, MOVER_COPY_PREPARED);
  assert_int_equal(lost.from, US);
  leave(t, CN);
  settle(t);
  assert_lives(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  assert_int_equal(region_complete(t, US, "asha", "begun", 7), DOM_OK);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  assert_int_equal(row_of(t, CN, asha).home, US);
  move(t, asha, US, CN); /* under an epoch that nobody had */
  assert_lives(t, asha, CN, 3);
  world_free(t);
}

static void test_prepared(void **unused) {
  (void)unused;
  prepared(6, false);
}

static void test_prepared_beside_an_empty_disk(void **unused) {
  (void)unused;
  prepared(7, true);
}

/* Who stayed by the backup goes on from there: a region that says it has prepared them takes nobody away. */
static void test_prepared_of_who_stayed(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world_new(8);
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, CN);
  assert_int_equal(region_put(t, CN, "asha", "b", "since"), DOM_OK);
  settle(t);
  restart_with(t, CN, die_at_prepared, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  t->fault_point = NULL;
  t->region[CN].start_confirmed = true;
  restore_take(t, CN, backup);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_lives(t, asha, CN, 1);
  assert_reads(t, CN, "asha", "asha");
  assert_gone(t, US, asha, 2);
  world_free(t);
}

/* ---- power cuts ------------------------------------------------------------------------------------------
 */

/* The power of region `who` goes at each durable operation, from the operator's word until the copy is where
 * it belongs. Nothing is lost, and nothing is left twice. */
static int cut_everywhere(struct test_regions *(*make)(uint64_t, uint8_t *, bool), uint16_t restored,
                          uint16_t who, uint64_t stride) {
  int cuts = 0;
  for (uint64_t at = 1;; at += stride) {
    uint8_t asha[TOKEN_SIZE];
    struct test_regions *t = make(9, asha, false);
    if (state(t, restored) != MOVER_LOSS) settle(t);
    disk_sim_cut_after(t->region[who].disk, at);
    (void)mover_quarantine_leave(t->region[restored].mover, false, NULL);
    for (int i = 0; i < 4; i++) {
      bool did;
      clock_sim_advance(t->clock, 60000);
      for (uint16_t r = 1; r <= t->count; r++) (void)mover_upkeep(t->region[r].mover, &did, NULL);
    }
    bool cut = disk_sim_is_off(t->region[who].disk);
    cuts += cut;
    disk_sim_cut_after(t->region[who].disk, 0);
    region_stop(t, who);
    if (cut) disk_sim_power_cut(t->region[who].disk); /* it comes back */
    assert_int_equal(region_start(t, who, NULL), DOM_OK);
    settle(t);
    if (state(t, restored) != MOVER_OPEN) leave(t, restored);
    settle(t);
    assert_lives(t, asha, US, 2);
    assert_reads(t, US, "asha", "asha");
    assert_int_equal(region_complete(t, US, "asha", "begun", 7), DOM_OK);
    assert_gone(t, CN, asha, 1);
    world_free(t);
    if (!cut) return cuts;
  }
}

static void test_cut_while_sent_again(void **unused) {
  (void)unused;
  assert_true(cut_everywhere(committed_and_lost, US, US, 3) > 5);
  assert_true(cut_everywhere(committed_and_lost, US, CN, 2) > 2);
}

static void test_cut_while_handed_on(void **unused) {
  (void)unused;
  assert_true(cut_everywhere(prepared_and_lost, CN, CN, 1) > 5);
  assert_true(cut_everywhere(prepared_and_lost, CN, US, 1) > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept),
                                     cmocka_unit_test(test_kept_by_an_empty_disk),
                                     cmocka_unit_test(test_kept_though_served),
                                     cmocka_unit_test(test_kept_beside_an_older_copy),
                                     cmocka_unit_test(test_kept_and_refused),
                                     cmocka_unit_test(test_kept_and_changed),
                                     cmocka_unit_test(test_prepared),
                                     cmocka_unit_test(test_prepared_beside_an_empty_disk),
                                     cmocka_unit_test(test_prepared_of_who_stayed),
                                     cmocka_unit_test(test_cut_while_sent_again),
                                     cmocka_unit_test(test_cut_while_handed_on)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
