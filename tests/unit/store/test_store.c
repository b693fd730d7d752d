/* The engine through its facade, on a simulated disk: put, get, list, delete, reopen, guards. */
#include "harness.h"

static void put_get_delete(void **state) {
  struct region r;
  struct dom_err err = {0};
  BUF_AUTO got = BUF_INIT;
  (void)state;
  region_init(&r, 1, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "photos/a/");
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("photos/a/x"), SLICE_LIT("hello"), &err), err);
  assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("photos/a/x"), &got, &err), err);
  assert_true(slice_equal(buf_slice(&got), SLICE_LIT("hello")));
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("photos/a/x"), SLICE_LIT("world"), &err), err);
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("photos/a/y"), SLICE_LIT(""), &err), err);
  for (int round = 0; round < 2; round++) {
    buf_reset(&got);
    assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("photos/a/x"), &got, &err), err);
    assert_true(slice_equal(buf_slice(&got), SLICE_LIT("world")));
    buf_reset(&got);
    list_all(&r, 9, (struct slice){0}, (struct slice){0}, 1, &got);
    assert_true(slice_equal(buf_slice(&got), SLICE_LIT("photos/a/x\nphotos/a/y\n")));
    assert_dom_ok(region_reopen(&r, &err), err);
  }
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("photos/a/x"), &err), err);
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("photos/a/x"), &err), err);
  err = (struct dom_err){0};
  assert_int_equal(get_bytes(&r, &p, SLICE_LIT("photos/a/x"), &got, &err), DOM_NOT_FOUND);
  assert_dom_ok(region_reopen(&r, &err), err);
  err = (struct dom_err){0};
  assert_int_equal(get_bytes(&r, &p, SLICE_LIT("photos/a/x"), &got, &err), DOM_NOT_FOUND);
  region_done(&r);
}

/* A small object's record and body are opened with one key of the vault; what is read later asks again, and
 * finds nothing once the subject's key is gone. */
static void one_key_a_read(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_found *f = NULL;
  struct vault_key key = {.epoch = 1};
  struct vault_stats before, after;
  char text[8];
  size_t len = 0;
  (void)state;
  region_init(&r, 2, true);
  subject_home(&r, 1, 1);
  token_of(key.token, 1);
  struct store_place p = place_of(9, 1, 1, "photos/a/");
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("photos/a/x"), SLICE_LIT("hello"), &err), err);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  vault_stats(store_vault(r.store), &before);
  assert_dom_ok(store_object_get(v, PERMIT_READ, &permit_any, &p, SLICE_LIT("photos/a/x"), &f, &err), err);
  assert_dom_ok(store_found_read(f, 0, text, sizeof text, &len, &err), err);
  vault_stats(store_vault(r.store), &after);
  assert_int_equal(after.derives, before.derives + 1);
  assert_true(slice_equal(slice_of(text, len), SLICE_LIT("hello")));
  assert_dom_ok(store_found_read(f, 1, text, 2, &len, &err), err);
  assert_true(slice_equal(slice_of(text, len), SLICE_LIT("el")));
  assert_dom_ok(vault_key_drop(store_vault(r.store), &key, 1, NULL, &err), err);
  assert_int_equal(store_found_read(f, 0, text, sizeof text, &len, &err), DOM_NOT_FOUND);
  store_found_free(f);
  store_view_close(v);
  region_done(&r);
}

/* The index is a view: without it the log alone gives the same listing and bodies. */
static void index_lost(void **state) {
  struct region r;
  struct dom_err err = {0};
  BUF_AUTO before = BUF_INIT;
  BUF_AUTO after = BUF_INIT;
  (void)state;
  region_init(&r, 2, true);
  for (uint8_t t = 1; t <= 4; t++) {
    char prefix[16], key[32];
    subject_home(&r, t, t);
    snprintf(prefix, sizeof prefix, "p/%u/", t);
    struct store_place p = place_of(9, t, t, prefix);
    for (int i = 0; i < 40; i++) {
      snprintf(key, sizeof key, "p/%u/%02d", t, i % 25);
      assert_dom_ok(put_bytes(&r, &p, slice_str(key), slice_str(key), &err), err);
      if (i % 7 == 0) assert_dom_ok(delete_key(&r, &p, slice_str(key), &err), err);
    }
  }
  list_all(&r, 9, SLICE_LIT(""), SLICE_LIT(""), 7, &before);
  store_close(r.store);
  r.store = NULL;
  index_wipe(&r);
  assert_dom_ok(region_reopen(&r, &err), err);
  list_all(&r, 9, SLICE_LIT(""), SLICE_LIT(""), 1000, &after);
  assert_true(before.len > 0);
  assert_int_equal(before.len, after.len);
  assert_memory_equal(before.data, after.data, before.len);
  struct store_place p = place_of(9, 2, 2, "p/2/");
  buf_reset(&after);
  assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("p/2/24"), &after, &err), err);
  region_done(&r);
}

static void guards(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v1 = NULL, *v2 = NULL;
  struct store_tx *t1 = NULL, *t2 = NULL;
  uint64_t lsn = 0;
  (void)state;
  region_init(&r, 3, true);
  assert_dom_ok(store_view_open(r.store, &v1, &err), err);
  assert_dom_ok(store_view_open(r.store, &v2, &err), err);
  assert_dom_ok(store_tx_begin(r.store, v1, &t1, &err), err);
  assert_dom_ok(store_tx_begin(r.store, v2, &t2, &err), err);
  assert_dom_ok(store_tx_row_put(t1, STORE_TABLE_META, SLICE_LIT("k"), SLICE_LIT("1"), &err), err);
  assert_dom_ok(store_tx_row_put(t2, STORE_TABLE_META, SLICE_LIT("k"), SLICE_LIT("2"), &err), err);
  assert_dom_ok(store_tx_commit_take(t1, &lsn, &err), err);
  assert_true(lsn > 0);
  assert_int_equal(store_tx_commit_take(t2, &lsn, &err), DOM_RETRY);
  err = (struct dom_err){0};
  /* Another row of the same view goes through, unless it guards the changed one. */
  assert_dom_ok(store_tx_begin(r.store, v2, &t2, &err), err);
  assert_dom_ok(store_tx_row_put(t2, STORE_TABLE_META, SLICE_LIT("other"), SLICE_LIT("2"), &err), err);
  assert_dom_ok(store_tx_commit_take(t2, &lsn, &err), err);
  assert_dom_ok(store_tx_begin(r.store, v2, &t2, &err), err);
  store_tx_guard_row(t2, STORE_TABLE_META, SLICE_LIT("k"));
  assert_dom_ok(store_tx_row_put(t2, STORE_TABLE_META, SLICE_LIT("third"), SLICE_LIT("2"), &err), err);
  assert_int_equal(store_tx_commit_take(t2, &lsn, &err), DOM_RETRY);
  store_view_close(v1);
  store_view_close(v2);
  region_done(&r);
}

static struct store_view *view_of(struct region *r) {
  struct store_view *v = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  return v;
}

static void assert_row(struct store_view *v, const char *want) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_META, SLICE_LIT("k"), &value, NULL);
  assert_int_equal(code, want ? DOM_OK : DOM_NOT_FOUND);
  if (want) assert_true(slice_equal(buf_slice(&value), slice_str(want)));
}

static void row_put(struct region *r, const char *value) {
  struct store_view *v = view_of(r);
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("k"), slice_str(value), &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
}

/* Views of the same moment share a snapshot: closing one takes nothing from the others, in any order, and
 * who opens one after a commit sees it. */
static void views_of_one_moment(void **state) {
  struct region r;
  (void)state;
  region_init(&r, 7, true);
  struct store_view *before[3], *after[3];
  for (size_t i = 0; i < 3; i++) before[i] = view_of(&r);
  row_put(&r, "1");
  for (size_t i = 0; i < 3; i++) after[i] = view_of(&r);
  row_put(&r, "2");
  store_view_close(before[0]);
  store_view_close(after[2]);
  assert_row(before[1], NULL);
  assert_row(after[1], "1");
  store_view_close(before[1]);
  store_view_close(after[1]);
  struct store_view *now = view_of(&r);
  assert_row(before[2], NULL);
  assert_row(after[0], "1");
  assert_row(now, "2");
  store_view_close(now);
  store_view_close(after[0]);
  store_view_close(before[2]);
  now = view_of(&r);
  assert_row(now, "2");
  store_view_close(now);
  region_done(&r);
}

static void subject_states(void **state) {
  struct region r;
  struct dom_err err = {0};
  (void)state;
  region_init(&r, 4, true);
  struct store_place p = place_of(9, 1, 3, "a/");
  assert_int_equal(put_bytes(&r, &p, SLICE_LIT("a/k"), SLICE_LIT("v"), &err), DOM_NOT_FOUND);
  subject_home(&r, 1, 3);
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("a/k"), SLICE_LIT("v"), &err), err);
  struct store_place stale = place_of(9, 1, 2, "a/");
  assert_int_equal(put_bytes(&r, &stale, SLICE_LIT("a/k"), SLICE_LIT("v"), &err), DOM_STALE_EPOCH);
  struct store_subject s = {.state = SUBJECT_FENCED,
                            .epoch = 3,
                            .epoch_allotted = 4,
                            .home = 7,
                            .handoff_epoch = 4,
                            .handoff_to = 8};
  token_of(s.token, 1);
  assert_int_equal(subject_state(&r, &s), DOM_OK);
  assert_int_equal(put_bytes(&r, &p, SLICE_LIT("a/k"), SLICE_LIT("v"), &err), DOM_FENCED);
  BUF_AUTO got = BUF_INIT;
  err = (struct dom_err){0};
  assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("a/k"), &got, &err), err);
  s.state = SUBJECT_MOVED;
  s.epoch = 4;
  s.home = 8;
  assert_int_equal(subject_state(&r, &s), DOM_OK);
  assert_int_equal(put_bytes(&r, &p, SLICE_LIT("a/k"), SLICE_LIT("v"), &err), DOM_ELSEWHERE);
  assert_int_equal(get_bytes(&r, &p, SLICE_LIT("a/k"), &got, &err), DOM_ELSEWHERE);
  buf_reset(&got);
  list_all(&r, 9, SLICE_LIT(""), SLICE_LIT(""), 10, &got);
  assert_int_equal(got.len, 0);
  region_done(&r);
}

static void no_permit(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_found *f = NULL;
  struct store_body *b = NULL;
  (void)state;
  region_init(&r, 5, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  struct store_object o = {.key = SLICE_LIT("a/k")};
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r.store, v, &tx, &err), err);
  assert_int_equal(store_tx_put(tx, NULL, &p, &o, NULL), DOM_REFUSED);
  assert_int_equal(store_tx_delete(tx, NULL, &p, o.key, NULL), DOM_REFUSED);
  assert_int_equal(store_object_get(v, PERMIT_READ, NULL, &p, o.key, &f, NULL), DOM_REFUSED);
  assert_int_equal(store_body_create(r.store, PERMIT_STORE, NULL, p.token, 1, &b, NULL), DOM_REFUSED);
  store_tx_abort_take(tx);
  store_view_close(v);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(put_get_delete),      cmocka_unit_test(one_key_a_read),
      cmocka_unit_test(index_lost),          cmocka_unit_test(guards),
      cmocka_unit_test(views_of_one_moment), cmocka_unit_test(subject_states),
      cmocka_unit_test(no_permit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
