/* Purging names: a new index key, and nothing left of the old index. */
#include "harness.h"

static void put_text(struct region *r, const char *key, const char *text) {
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  assert_dom_ok(put_bytes(r, &p, slice_str(key), slice_str(text), &err), err);
}

static void expect_names(struct region *r, const char *want) {
  BUF_AUTO got = BUF_INIT;
  list_all(r, 8, (struct slice){0}, (struct slice){0}, 100, &got);
  assert_string_equal(buf_str(&got), want);
}

static bool name_count(void *arg, const char *name, bool is_dir) {
  (void)is_dir;
  *(unsigned *)arg += name != NULL;
  return true;
}

static bool there(struct region *r, const char *path) {
  struct disk_info info;
  return disk_stat(r->disk, path, &info, NULL) == DOM_OK;
}

static void moves_on(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct vault_key first = vault_index_slot(1), second = vault_index_slot(2);
  struct store_place p = place_of(8, 1, 1, "p/");
  unsigned files = 0;
  (void)state;
  region_init(&r, 51, true);
  subject_home(&r, 1, 1);
  put_text(&r, "p/stays", "a");
  put_text(&r, "p/goes", "b");
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("p/goes"), &err), err);
  assert_dom_ok(store_names_purge(r.store, &err), err);
  expect_names(&r, "p/stays\n");
  assert_int_equal(vault_key_exists(store_vault(r.store), &first, NULL), DOM_NOT_FOUND);
  assert_int_equal(vault_key_exists(store_vault(r.store), &second, NULL), DOM_OK);
  assert_false(there(&r, "index"));
  assert_true(there(&r, "index.2"));
  put_text(&r, "p/later", "c");
  assert_dom_ok(region_reopen(&r, &err), err);
  expect_names(&r, "p/later\np/stays\n");
  assert_dom_ok(store_names_purge(r.store, &err), err);
  put_text(&r, "p/last", "d");
  disk_sim_power_cut(r.disk);
  assert_dom_ok(region_reopen(&r, &err), err);
  expect_names(&r, "p/last\np/later\np/stays\n");
  assert_dom_ok(disk_list(r.disk, "index.3", name_count, &files, &err), err);
  assert_true(files > 0);
  region_done(&r);
}

static struct store_body_ref body_put(struct region *r, const char *name) {
  static const uint8_t bytes[70000];
  struct store_place p = place_of(8, 1, 1, "p/");
  struct store_body_ref ref = {0};
  struct store_object o = {.key = slice_str(name), .size = sizeof bytes, .bodies = &ref, .body_count = 1};
  struct store_body *b = NULL;
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_body_create(r->store, PERMIT_STORE, &permit_any, p.token, 1, &b, &err), err);
  assert_dom_ok(store_body_append(b, slice_of(bytes, sizeof bytes), &err), err);
  assert_dom_ok(store_body_seal_take(b, &ref, &err), err);
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_put(tx, &permit_any, &p, &o, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
  return ref;
}

static bool is_present(struct region *r, const uint8_t token[TOKEN_SIZE]) {
  struct store_view *v = NULL;
  struct dom_err err = {0};
  bool present = false;
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_epoch_present(v, token, 1, &present, &err), err);
  store_view_close(v);
  return present;
}

/* Drops a key, purges or not, erases; all of it is gone. Returns: the bytes of the log that rows name then.
 */
static uint64_t erased_live(bool purged) {
  struct region r;
  struct dom_err err = {0};
  struct vault_key key = {.epoch = 1};
  struct store_stats stats;
  region_init(&r, 52, true);
  subject_home(&r, 1, 1);
  put_text(&r, "p/name", "a");
  struct store_body_ref ref = body_put(&r, "p/large");
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "bodies/%02x/", ref.id[0]);
  hex_encode(&path, slice_of(ref.id, sizeof ref.id));
  assert_true(there(&r, buf_str(&path)));
  token_of(key.token, 1);
  assert_dom_ok(vault_key_drop(store_vault(r.store), &key, 1, NULL, &err), err);
  if (purged) assert_dom_ok(store_names_purge(r.store, &err), err);
  assert_dom_ok(store_epoch_erase(r.store, &permit_any, key.token, 1, &err), err);
  assert_false(is_present(&r, key.token));
  assert_false(there(&r, buf_str(&path)));
  store_stats(r.store, &stats);
  region_done(&r);
  return stats.log_live_bytes;
}

/* A purge between the drop of a key and the erasure of its rows, which alone say what files go and what
 * records nothing needs any more. */
static void erasure_goes_on(void **state) {
  (void)state;
  assert_int_equal(erased_live(true), erased_live(false));
}

/* A view of before keeps reading; the purge ends at the call after it. */
static void views_are_waited_for(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_subject subject;
  uint8_t token[TOKEN_SIZE];
  (void)state;
  region_init(&r, 53, true);
  subject_home(&r, 1, 1);
  token_of(token, 1);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  assert_int_equal(store_names_purge(r.store, &err), DOM_BUSY);
  assert_dom_ok(store_subject_get(v, token, &subject, &err), err);
  assert_true(there(&r, "index"));
  store_view_close(v);
  err = (struct dom_err){0};
  assert_dom_ok(store_names_purge(r.store, &err), err);
  assert_false(there(&r, "index"));
  assert_false(there(&r, "index.2"));
  region_done(&r);
}

/* Power goes at each of its disk operations; all is there afterwards, and one index alone. */
static void survives_cuts(void **state) {
  enum { CUTS_MAX = 400 };
  bool whole = false;
  (void)state;
  for (uint64_t n = 1; n <= CUTS_MAX && !whole; n++) {
    struct region r;
    struct dom_err err = {0};
    unsigned keys = 0;
    region_init(&r, 54 + n, true);
    subject_home(&r, 1, 1);
    put_text(&r, "p/one", "1");
    put_text(&r, "p/two", "2");
    disk_sim_cut_after(r.disk, n);
    whole = store_names_purge(r.store, NULL) == DOM_OK;
    store_close(r.store);
    r.store = NULL;
    disk_sim_power_on(r.disk);
    disk_sim_cut_after(r.disk, 0);
    assert_dom_ok(region_reopen(&r, &err), err);
    expect_names(&r, "p/one\np/two\n");
    for (uint32_t g = 1; g < 5; g++) {
      struct vault_key slot = vault_index_slot(g);
      keys += vault_key_exists(store_vault(r.store), &slot, NULL) == DOM_OK;
    }
    assert_int_equal(keys, 1);
    assert_int_equal(there(&r, "index") + there(&r, "index.2"), 1);
    put_text(&r, "p/three", "3");
    assert_dom_ok(store_names_purge(r.store, &err), err);
    expect_names(&r, "p/one\np/three\np/two\n");
    region_done(&r);
  }
  assert_true(whole); /* the last run was not cut: all operations were tried */
}

/* Commits go on while it runs. */
static void commits_go_on(void **state) {
  struct region r;
  struct dom_err err = {0};
  (void)state;
  region_init(&r, 55, false);
  subject_home(&r, 1, 1);
  for (int i = 0; i < 300; i++) {
    char name[32];
    snprintf(name, sizeof name, "p/%03d", i);
    put_text(&r, name, name);
    if (i % 100 == 50) assert_dom_ok(store_names_purge(r.store, &err), err);
  }
  assert_dom_ok(region_reopen(&r, &err), err);
  BUF_AUTO got = BUF_INIT;
  list_all(&r, 8, (struct slice){0}, (struct slice){0}, 1000, &got);
  assert_int_equal(got.len, 300 * 6);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(moves_on),
      cmocka_unit_test(erasure_goes_on),
      cmocka_unit_test(views_are_waited_for),
      cmocka_unit_test(survives_cuts),
      cmocka_unit_test(commits_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
