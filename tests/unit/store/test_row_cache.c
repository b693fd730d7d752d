/* Rows kept in memory are the rows: against a model with many views, and while another thread writes. */
#include "store/local/row_cache.h"

#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"
#include "store/local/index.h"

enum { CELLS = 6, ORDERS = 3, ROWS = CELLS * ORDERS, VIEWS = 5, STEPS = 6000 };

/* ---- a small index and what must be in it ---- */

struct model {
  uint32_t value[ROWS]; /* 0: no row */
};

struct rig {
  struct disk *disk;
  struct index *index;
  struct index_batch batch;
  struct model now, seen[VIEWS];
  struct index_view view[VIEWS];
  bool open[VIEWS];
  uint64_t dice;
  uint32_t last;
  uint8_t key[KEY_SIZE];
};

static uint32_t roll(struct rig *r, uint32_t below) {
  r->dice = r->dice * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(r->dice >> 33) % below;
}

static void cell_name(struct buf *out, int cell) {
  buf_reset(out);
  buf_printf(out, "Ocell-%d.", cell);
}

/* The newest order comes first, and is row 0 of its cell. */
static void row_name(struct buf *out, int row) {
  cell_name(out, row / ORDERS);
  buf_printf(out, "%016d", row % ORDERS);
  assert_false(out->failed);
}

static void rig_init(struct rig *r, uint64_t seed) {
  struct dom_err err = {0};
  *r = (struct rig){.disk = disk_sim_new(seed), .dice = seed};
  memset(r->key, 7, sizeof r->key);
  struct index_options o = {.disk = r->disk, .folder = "index", .key = r->key, .inline_threads = true};
  assert_dom_ok(disk_mkdir(r->disk, "index", &err), err);
  assert_dom_ok(index_open(&o, &r->index, &err), err);
  assert_dom_ok(index_batch_init(&r->batch, r->index, &err), err);
}

static void view_close(struct rig *r, int i) {
  if (r->open[i]) index_view_done(&r->view[i]);
  r->open[i] = false;
}

static void rig_done(struct rig *r) {
  for (int i = 0; i < VIEWS; i++) view_close(r, i);
  index_batch_done(&r->batch);
  index_close(r->index);
  disk_sim_free(r->disk);
}

static void view_open(struct rig *r, int i) {
  struct dom_err err = {0};
  view_close(r, i);
  assert_dom_ok(index_view_init(&r->view[i], r->index, true, &err), err);
  r->seen[i] = r->now;
  r->open[i] = true;
}

static void row_change(struct rig *r) {
  BUF_AUTO key = BUF_INIT;
  int row = (int)roll(r, ROWS);
  row_name(&key, row);
  r->now.value[row] = roll(r, 3) == 0 ? 0 : ++r->last;
  struct slice value = slice_of(&r->now.value[row], sizeof r->now.value[row]);
  if (r->now.value[row])
    index_put(&r->batch, buf_slice(&key), value);
  else
    index_delete(&r->batch, buf_slice(&key));
}

static void cell_clear(struct rig *r) {
  BUF_AUTO from = BUF_INIT;
  BUF_AUTO to = BUF_INIT;
  int cell = (int)roll(r, CELLS);
  cell_name(&from, cell);
  cell_name(&to, cell + 1);
  index_delete_range(&r->batch, buf_slice(&from), buf_slice(&to));
  for (int i = 0; i < ORDERS; i++) r->now.value[cell * ORDERS + i] = 0;
}

static void write_some(struct rig *r) {
  struct dom_err err = {0};
  if (roll(r, 20) == 0)
    cell_clear(r);
  else
    for (uint32_t i = roll(r, 3); i < 3; i++) row_change(r);
  assert_dom_ok(index_write(r->index, &r->batch, &err), err);
}

/* ---- what views see ---- */

static void expect_row(struct rig *r, int view, int row) {
  struct dom_err err = {0};
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO got = BUF_INIT;
  uint32_t want = r->seen[view].value[row];
  row_name(&key, row);
  enum dom_code code = index_get(&r->view[view], buf_slice(&key), &got, &err);
  assert_int_equal(code, want ? DOM_OK : DOM_NOT_FOUND);
  if (want) assert_memory_equal(got.data, &want, sizeof want);
}

static void expect_newest(struct rig *r, int view, int cell) {
  struct dom_err err = {0};
  BUF_AUTO name = BUF_INIT;
  BUF_AUTO want_key = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  int row = cell * ORDERS;
  while (row < (cell + 1) * ORDERS && !r->seen[view].value[row]) row++;
  cell_name(&name, cell);
  enum dom_code code = index_newest(&r->view[view], buf_slice(&name), &key, &value, &err);
  assert_int_equal(code, row < (cell + 1) * ORDERS ? DOM_OK : DOM_NOT_FOUND);
  if (code != DOM_OK) return;
  row_name(&want_key, row);
  assert_true(slice_equal(buf_slice(&key), buf_slice(&want_key)));
  assert_memory_equal(value.data, &r->seen[view].value[row], sizeof(uint32_t));
}

static void look(struct rig *r) {
  int view = (int)roll(r, VIEWS);
  if (!r->open[view]) return;
  expect_row(r, view, (int)roll(r, ROWS));
  expect_newest(r, view, (int)roll(r, CELLS));
}

static void look_at_all(struct rig *r, int view) {
  for (int i = 0; i < ROWS; i++) expect_row(r, view, i);
  for (int i = 0; i < CELLS; i++) expect_newest(r, view, i);
}

static void random_steps(struct rig *r, int steps) {
  for (int i = 0; i < steps; i++) {
    switch (roll(r, 6)) {
    case 0:
      write_some(r);
      break;
    case 1:
      view_open(r, (int)roll(r, VIEWS));
      break;
    default:
      look(r);
      break;
    }
  }
}

/* Old views look again after newer ones did, and the other way round. */
static void views_see_their_own_time(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    struct rig r;
    rig_init(&r, seed);
    random_steps(&r, STEPS);
    rig_done(&r);
  }
}

/* ---- an index replaced by another that then loses a row ---- */

static void replace(struct rig *r) {
  struct dom_err err = {0};
  struct index_options o = {.disk = r->disk, .folder = "index.2", .key = r->key, .inline_threads = true};
  bool done = false;
  assert_dom_ok(disk_mkdir(r->disk, "index.2", &err), err);
  assert_dom_ok(index_replace_begin(r->index, &o, &err), err);
  index_replace_mirror(r->index, &r->batch);
  while (!done) assert_dom_ok(index_replace_step(r->index, &done, &err), err);
  assert_dom_ok(index_replace_flush(r->index, &err), err);
  assert_dom_ok(index_replace_swap(r->index, &r->batch, &err), err);
}

static void old_views_bring_nothing_back(void **state) {
  struct rig r;
  struct dom_err err = {0};
  BUF_AUTO key = BUF_INIT;
  (void)state;
  rig_init(&r, 77);
  row_name(&key, 0);
  r.now.value[0] = ++r.last;
  index_put(&r.batch, buf_slice(&key), slice_of(&r.last, sizeof r.last));
  assert_dom_ok(index_write(r.index, &r.batch, &err), err);
  view_open(&r, 0);
  replace(&r);
  index_delete(&r.batch, buf_slice(&key));
  assert_dom_ok(index_write(r.index, &r.batch, &err), err);
  look_at_all(&r, 0); /* sees it still, and may have kept it */
  for (int i = 0; i < ORDERS; i++) r.now.value[i] = 0;
  view_open(&r, 1);
  look_at_all(&r, 1);
  look_at_all(&r, 0);
  view_close(&r, 0);
  assert_true(index_replace_finish(r.index, 1000));
  random_steps(&r, STEPS / 4);
  rig_done(&r);
}

/* ---- the cache alone ---- */

static void answers_only_what_holds(void **state) {
  struct row_cache *c = NULL;
  struct dom_err err = {0};
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  struct slice cell = SLICE_LIT("Oname."), row = SLICE_LIT("Oname.0123456789abcdef"), v = SLICE_LIT("v");
  (void)state;
  assert_dom_ok(row_cache_new(&c, &err), err);
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 5, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_put(c, ROW_CACHE_NEWEST, cell, 5, true, row, v);
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 5, &key, &value), ROW_CACHE_FOUND);
  assert_true(slice_equal(buf_slice(&key), row) && slice_equal(buf_slice(&value), v));
  /* Another question about the same bytes. */
  assert_int_equal(row_cache_get(c, ROW_CACHE_EXACT, cell, 5, NULL, &value), ROW_CACHE_UNKNOWN);
  row_cache_mark(c, row, 6);
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 5, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_put(c, ROW_CACHE_NEWEST, cell, 5, true, row, v); /* read before the write */
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 6, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_put(c, ROW_CACHE_NEWEST, cell, 6, false, (struct slice){0}, (struct slice){0});
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 9, &key, &value), ROW_CACHE_ABSENT);
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 5, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_mark_all(c, 7);
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, cell, 9, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_free(c);
}

/* Longer than a place, or with another tail than a cell's rows have: not kept, and nothing is overwritten. */
static void what_does_not_fit_is_not_kept(void **state) {
  struct row_cache *c = NULL;
  struct dom_err err = {0};
  BUF_AUTO value = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  char large[ROW_CACHE_BYTES + 1];
  (void)state;
  memset(large, 'x', sizeof large);
  assert_dom_ok(row_cache_new(&c, &err), err);
  for (size_t len = ROW_CACHE_BYTES - 2; len <= ROW_CACHE_BYTES + 1; len++) {
    struct slice asked = slice_of(large, len);
    row_cache_put(c, ROW_CACHE_EXACT, asked, 1, true, asked, SLICE_LIT("v"));
    assert_int_equal(row_cache_get(c, ROW_CACHE_EXACT, asked, 1, NULL, &value),
                     len < ROW_CACHE_BYTES ? ROW_CACHE_FOUND : ROW_CACHE_UNKNOWN);
  }
  row_cache_put(c, ROW_CACHE_NEWEST, SLICE_LIT("Oc."), 1, true, SLICE_LIT("Oc.short"), SLICE_LIT("v"));
  assert_int_equal(row_cache_get(c, ROW_CACHE_NEWEST, SLICE_LIT("Oc."), 1, &key, &value), ROW_CACHE_UNKNOWN);
  row_cache_put(c, ROW_CACHE_EXACT, SLICE_LIT("kept"), 1, true, SLICE_LIT("kept"), SLICE_LIT("v"));
  row_cache_wipe(c);
  assert_int_equal(row_cache_get(c, ROW_CACHE_EXACT, SLICE_LIT("kept"), 1, NULL, &value), ROW_CACHE_UNKNOWN);
  row_cache_free(c);
}

/* ---- threads ---- */

enum { READERS = 3, WRITES = 3000 };

struct shared {
  struct index *index;
  atomic_bool done;
  atomic_int wrong;
};

/* Two rows are always written together, so each view sees them equal, and never older than the last view did.
 */
static void *read_pairs(void *arg) {
  struct shared *s = arg;
  uint32_t last = 0;
  BUF_AUTO a = BUF_INIT;
  BUF_AUTO b = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  while (!atomic_load(&s->done)) {
    INDEX_VIEW_AUTO v = {0};
    if (index_view_init(&v, s->index, true, NULL) != DOM_OK) atomic_fetch_add(&s->wrong, 1);
    enum dom_code first = index_get(&v, SLICE_LIT("Rfirst"), &a, NULL);
    enum dom_code second = index_newest(&v, SLICE_LIT("Opair."), &key, &b, NULL);
    if (first != second || (first == DOM_OK && !slice_equal(buf_slice(&a), buf_slice(&b))))
      atomic_fetch_add(&s->wrong, 1);
    if (first != DOM_OK) continue;
    uint32_t got = 0;
    memcpy(&got, a.data, sizeof got);
    if (got < last) atomic_fetch_add(&s->wrong, 1);
    last = got;
  }
  return NULL;
}

static void readers_beside_a_writer(void **state) {
  struct rig r;
  struct dom_err err = {0};
  pthread_t thread[READERS];
  (void)state;
  rig_init(&r, 5);
  struct shared s = {.index = r.index};
  for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&thread[i], NULL, read_pairs, &s), 0);
  for (uint32_t i = 1; i <= WRITES; i++) {
    index_put(&r.batch, SLICE_LIT("Rfirst"), slice_of(&i, sizeof i));
    index_put(&r.batch, SLICE_LIT("Opair.0123456789abcdef"), slice_of(&i, sizeof i));
    assert_dom_ok(index_write(r.index, &r.batch, &err), err);
  }
  atomic_store(&s.done, true);
  for (int i = 0; i < READERS; i++) pthread_join(thread[i], NULL);
  assert_int_equal(s.wrong, 0);
  rig_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(views_see_their_own_time), cmocka_unit_test(old_views_bring_nothing_back),
      cmocka_unit_test(answers_only_what_holds),  cmocka_unit_test(what_does_not_fit_is_not_kept),
      cmocka_unit_test(readers_beside_a_writer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
