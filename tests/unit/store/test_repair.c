/* A damaged batch with good ones behind it: what the index knows is saved, the rest is deleted and said, the
 * region goes on; and so it does when the power goes at any step of the repair. */
#include "base/codec.h"
#include "harness.h"

static struct store_options options_of(struct region *r) {
  return (struct store_options){.disk = r->disk,
                                .clock = r->clock,
                                .kek = r->kek,
                                .deployment = "test-deployment",
                                .region = 7,
                                .segment_bytes = r->segment_bytes,
                                .reserve_bytes = 1};
}

struct told {
  struct store_repair_lost sum;
  uint32_t steps, tokens;
};
static void step(void *arg, const char *text) {
  struct told *t = arg;
  assert_non_null(text);
  t->steps++;
}
static void lost(void *arg, const struct store_repair_lost *one) {
  struct told *t = arg;
  t->tokens++;
  t->sum.objects += one->objects;
  t->sum.uploads += one->uploads;
}

static enum dom_code repair(struct region *r, bool apply, struct told *t, struct store_repair_report *report,
                            struct dom_err *err) {
  struct store_options o = options_of(r);
  struct store_repair how = {.apply = apply, .step = step, .lost = lost, .arg = t};
  store_close(r->store);
  r->store = NULL;
  *t = (struct told){0};
  *report = (struct store_repair_report){0};
  *err = (struct dom_err){0};
  return store_repair(&o, &how, report, err);
}

static void finding(void *arg, const char *text) {
  print_message("%s\n", text);
  ++*(uint32_t *)arg;
}

static void expect_whole(struct region *r, bool rebuild) {
  struct store_options o = options_of(r);
  struct store_fsck_report report;
  struct dom_err err = {0};
  uint32_t findings = 0;
  store_close(r->store);
  r->store = NULL;
  assert_dom_ok(store_fsck(&o, rebuild, finding, NULL, &findings, &report, &err), err);
  assert_int_equal(findings, 0);
  assert_int_equal(report.bad_records + report.dangling_rows + report.missing_bodies + report.orphan_bodies,
                   0);
}

static struct store_place place(void) {
  return place_of(8, 1, 1, "p/");
}

static void put(struct region *r, const char *key, const char *body) {
  struct dom_err err = {0};
  struct store_place p = place();
  assert_dom_ok(put_bytes(r, &p, slice_str(key), slice_str(body), &err), err);
}

static void drop(struct region *r, const char *key) {
  struct dom_err err = {0};
  struct store_place p = place();
  assert_dom_ok(delete_key(r, &p, slice_str(key), &err), err);
}

static void row(struct region *r, const char *key, const char *value) {
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  if (value)
    assert_dom_ok(store_tx_row_put(tx, STORE_TABLE_META, slice_str(key), slice_str(value), &err), err);
  else
    assert_dom_ok(store_tx_row_delete(tx, STORE_TABLE_META, slice_str(key), &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
}

static void expect_row(struct region *r, const char *key, const char *value) {
  struct store_view *v = NULL;
  BUF_AUTO got = BUF_INIT;
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, slice_str(key), &got, NULL);
  store_view_close(v);
  assert_int_equal(code, value ? DOM_OK : DOM_NOT_FOUND);
  if (value) assert_true(slice_equal(buf_slice(&got), slice_str(value)));
}

static void expect(struct region *r, const char *key, const char *body) {
  BUF_AUTO got = BUF_INIT;
  struct dom_err err = {0};
  struct store_place p = place();
  enum dom_code code = get_bytes(r, &p, slice_str(key), &got, &err);
  if (code != (body ? DOM_OK : DOM_NOT_FOUND)) fail_msg("%s: %s %s", key, dom_code_name(code), err.text);
  if (body) assert_true(slice_equal(buf_slice(&got), slice_str(body)));
}

/* Where the log's end is: the offset at which the next batch will stand. One batch a commit, one block each.
 */
enum { FIRST_LOST = 9 };

/* Batches from 1: subject, then one a commit. Those from FIRST_LOST on are damaged by `flip`. */
static void fill(struct region *r, uint64_t seed) {
  region_init(r, seed, true);
  subject_home(r, 1, 1); /* 1 */
  put(r, "p/old", "old");
  put(r, "p/over", "before");
  put(r, "p/gone", "to be deleted");
  row(r, "stays", "1");
  row(r, "changes", "before");
  row(r, "goes", "x");
  put(r, "p/twice", "before"); /* 8 */
  put(r, "p/over", "lost");    /* 9: from here on the disk is bad */
  drop(r, "p/gone");
  row(r, "changes", "after");
  row(r, "goes", NULL);
  struct store_subject s = {
      .state = SUBJECT_HOME, .epoch = 1, .epoch_allotted = 5, .home = 7, .country = "IN"};
  token_of(s.token, 1);
  struct dom_err err = {0};
  assert_int_equal(subject_state(r, &s), DOM_OK);
  put(r, "p/twice", "lost, and written since");
  put(r, "p/lost", "lost");   /* 15 */
  put(r, "p/twice", "after"); /* 16: good again */
  put(r, "p/new", "new");
  (void)err;
  store_close(r->store);
  r->store = NULL;
}

static void flip(struct region *r) {
  for (uint64_t batch = FIRST_LOST; batch <= 15; batch++)
    assert_int_equal(disk_sim_flip(r->disk, "log/00000001.seg", (4096 * batch + 200) * 8), DOM_OK);
}

static void expect_saved(struct region *r) {
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_subject s;
  uint8_t token[TOKEN_SIZE];
  token_of(token, 1);
  assert_dom_ok(region_reopen(r, &err), err);
  expect(r, "p/old", "old");
  expect(r, "p/new", "new");
  expect(r, "p/twice", "after");
  expect(r, "p/over", NULL); /* not the one before: that would be a lie */
  expect(r, "p/lost", NULL);
  expect(r, "p/gone", NULL); /* a lost delete does not bring it back */
  expect_row(r, "stays", "1");
  expect_row(r, "changes", "after");
  expect_row(r, "goes", NULL);
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_subject_get(v, token, &s, &err), err);
  assert_int_equal(s.epoch_allotted, 5);
  uint8_t key[STORE_REPAIR_KEY_SIZE] = {STORE_REPAIR_KEY};
  BUF_AUTO note = BUF_INIT;
  memcpy(key + 1, token, TOKEN_SIZE);
  assert_dom_ok(store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &note, &err), err);
  assert_int_equal(note.len, STORE_REPAIR_VALUE_SIZE);
  assert_int_equal(load_u64le(note.data), 2);
  store_view_close(v);
}

/* Commits that leave LSNs out: nothing is missing there, for replay, fsck, rebuild and repair alike. */
static void leaps(void **state) {
  struct region r;
  struct told t;
  struct store_repair_report report;
  struct dom_err err = {0};
  uint64_t lsn = 0;
  (void)state;
  region_init(&r, 79, true);
  subject_home(&r, 1, 1);
  for (int i = 0; i < 3; i++) {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    put(&r, "p/before", "x");
    assert_dom_ok(store_view_open(r.store, &v, &err), err);
    assert_dom_ok(store_tx_begin(r.store, v, &tx, &err), err);
    assert_dom_ok(store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("k"), SLICE_LIT("v"), &err), err);
    store_tx_lsn_min(tx, UINT64_C(1000) << (20 * i));
    assert_dom_ok(store_tx_commit_take(tx, &lsn, &err), err);
    store_view_close(v);
    assert_int_equal(lsn, UINT64_C(1000) << (20 * i));
    put(&r, "p/behind", "y");
    if (i == 1) assert_dom_ok(region_reopen(&r, &err), err);
  }
  expect_whole(&r, false);
  expect_whole(&r, true);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_int_equal(report.changes, 0);
  assert_dom_ok(region_reopen(&r, &err), err);
  expect(&r, "p/before", "x");
  expect(&r, "p/behind", "y");
  expect_row(&r, "k", "v");
  region_done(&r);
}

static void middle(void **state) {
  struct region r;
  struct told t;
  struct store_repair_report report;
  struct dom_err err = {0};
  struct disk_info info;
  (void)state;
  fill(&r, 71);
  assert_dom_ok(repair(&r, false, &t, &report, &err), err);
  assert_int_equal(t.steps, 0); /* a whole region: nothing to do */
  flip(&r);
  uint64_t before = disk_sim_operations(r.disk);
  assert_dom_ok(repair(&r, false, &t, &report, &err), err);
  assert_true(disk_sim_operations(r.disk) - before < 40); /* of opening the index; nothing of the log */
  assert_int_equal(disk_stat(r.disk, "damaged", &info, NULL), DOM_NOT_FOUND);
  assert_int_equal(report.holes, 1);
  assert_int_equal(report.changes, 7);
  assert_int_equal(report.objects, 2);
  assert_int_equal(report.saved, 4);
  assert_int_equal(t.sum.objects, 2);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_int_equal(disk_stat(r.disk, "damaged/00000001.1.seg", &info, NULL), DOM_OK);
  expect_saved(&r);
  put(&r, "p/over", "again");
  expect(&r, "p/over", "again");
  drop(&r, "p/over");
  expect_whole(&r, false);
  expect_whole(&r, true); /* an index made of the log alone says the same */
  expect_saved(&r);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_int_equal(report.holes, 0);
  region_done(&r);
}

/* Compaction carries what was saved on, and gives the damaged segment up. */
static void compacted(void **state) {
  struct region r;
  struct told t;
  struct store_repair_report report;
  struct dom_err err = {0};
  (void)state;
  fill(&r, 72);
  flip(&r);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_dom_ok(region_reopen(&r, &err), err);
  char body[3001] = {0};
  memset(body, 'x', sizeof body - 1);
  for (int i = 0; i < 60; i++) put(&r, "p/filler", body);
  bool did = true;
  for (int i = 0; i < 100 && did; i++) assert_dom_ok(store_upkeep(r.store, &did, &err), err);
  expect_saved(&r);
  expect_whole(&r, true);
  expect_saved(&r);
  region_done(&r);
}

/* The power goes at each operation of the repair; the next one finishes it. */
static void cuts(void **state) {
  (void)state;
  bool whole = false;
  for (uint64_t at = 1; !whole; at++) {
    struct region r;
    struct told t;
    struct store_repair_report report;
    struct dom_err err = {0};
    fill(&r, 1000 + at);
    flip(&r);
    disk_sim_cut_after(r.disk, at);
    whole = repair(&r, true, &t, &report, &err) == DOM_OK && !disk_sim_is_off(r.disk);
    disk_sim_cut_after(r.disk, 0);
    if (disk_sim_is_off(r.disk)) disk_sim_power_on(r.disk);
    disk_sim_power_cut(r.disk);
    assert_dom_ok(repair(&r, true, &t, &report, &err), err);
    expect_saved(&r);
    expect_whole(&r, at % 8 == 0);
    expect_saved(&r);
    region_done(&r);
    assert_true(at < 1000);
  }
}

/* Where nothing says what the damage held, it is not repaired, and nothing is changed. */
static void refused(void **state) {
  struct region r;
  struct told t;
  struct store_repair_report report;
  struct dom_err err = {0};
  struct disk_info info;
  (void)state;
  fill(&r, 73);
  flip(&r);
  index_wipe(&r);
  assert_int_equal(repair(&r, true, &t, &report, &err), DOM_CORRUPT);
  assert_int_equal(disk_stat(r.disk, "damaged", &info, NULL), DOM_NOT_FOUND);
  assert_int_equal(disk_stat(r.disk, "repair.pending", &info, NULL), DOM_NOT_FOUND);
  region_done(&r);
  fill(&r, 74); /* a lost index of a whole log is made again */
  index_wipe(&r);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_true(report.index_lost);
  assert_dom_ok(region_reopen(&r, &err), err);
  expect(&r, "p/lost", "lost");
  region_done(&r);
}

/* A large object whose record is lost: 404, and its body is kept where nothing removes it. */
static void body_aside(void **state) {
  struct region r;
  struct told t;
  struct store_repair_report report;
  struct dom_err err = {0};
  struct store_body *b = NULL;
  struct store_body_ref ref;
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_place p = place();
  struct disk_info info;
  BUF_AUTO path = BUF_INIT;
  BUF_AUTO plain = BUF_INIT;
  (void)state;
  region_init(&r, 75, true);
  subject_home(&r, 1, 1); /* batch 1 */
  put(&r, "p/a", "a");
  buf_append_zero(&plain, 200000);
  assert_dom_ok(store_body_create(r.store, PERMIT_STORE, &permit_any, p.token, 1, &b, &err), err); /* 3 */
  assert_dom_ok(store_body_append(b, buf_slice(&plain), &err), err);
  assert_dom_ok(store_body_seal_take(b, &ref, &err), err);
  struct store_object o = {.key = SLICE_LIT("p/body"), .size = plain.len, .bodies = &ref, .body_count = 1};
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r.store, v, &tx, &err), err);
  assert_dom_ok(store_tx_put(tx, &permit_any, &p, &o, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err); /* 4 */
  store_view_close(v);
  put(&r, "p/b", "b");
  store_close(r.store);
  r.store = NULL;
  assert_int_equal(disk_sim_flip(r.disk, "log/00000001.seg", (4096 * 4 + 200) * 8), DOM_OK);
  assert_dom_ok(repair(&r, true, &t, &report, &err), err);
  assert_int_equal(report.objects, 1);
  assert_dom_ok(region_reopen(&r, &err), err);
  expect(&r, "p/body", NULL);
  expect(&r, "p/b", "b");
  bool did = true;
  for (int i = 0; i < 20 && did; i++) assert_dom_ok(store_upkeep(r.store, &did, &err), err);
  buf_append_str(&path, "damaged/");
  hex_encode(&path, slice_of(ref.id, sizeof ref.id));
  assert_int_equal(disk_stat(r.disk, buf_str(&path), &info, NULL), DOM_OK);
  expect_whole(&r, false);
  expect_whole(&r, true);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(leaps),     cmocka_unit_test(middle),
                                     cmocka_unit_test(compacted), cmocka_unit_test(cuts),
                                     cmocka_unit_test(refused),   cmocka_unit_test(body_aside)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
