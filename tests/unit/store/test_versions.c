/* Versions: what a key holds after puts, marks and deletes; what each of them guards; a folder from before.
 */
#include "harness.h"

#include "store/local/record.h"
#include "store/local/rows.h"
#include "store/local/superblock.h"

struct fixture {
  struct region r;
  struct store_place p;
};

static void fixture_init(struct fixture *f, uint64_t seed) {
  region_init(&f->r, seed, true);
  subject_home(&f->r, 1, 1);
  f->p = place_of(8, 1, 1, "p/");
}

/* One change in a transaction of its own; its order. */
enum what { PUT_NULL, PUT_VERSION, MARK_NULL, MARK_VERSION };
static struct store_version change(struct fixture *f, const char *key, enum what what, const char *body) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  uint64_t lsn = 0;
  struct store_object o = {.key = slice_str(key),
                           .is_version = what == PUT_VERSION,
                           .size = strlen(body),
                           .inline_body = slice_str(body)};
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  assert_dom_ok(store_tx_begin(f->r.store, v, &tx, &err), err);
  if (what == PUT_NULL || what == PUT_VERSION)
    assert_dom_ok(store_tx_put(tx, &permit_any, &f->p, &o, &err), err);
  else
    assert_dom_ok(store_tx_mark(tx, &permit_any, &f->p, o.key, what == MARK_VERSION, 5, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, &lsn, &err), err);
  store_view_close(v);
  return (struct store_version){what == PUT_NULL || what == MARK_NULL, {1, lsn}};
}

static bool delete_version(struct fixture *f, const char *key, const struct store_version *which) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  bool marker = false;
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  assert_dom_ok(store_tx_begin(f->r.store, v, &tx, &err), err);
  assert_dom_ok(store_tx_delete_version(tx, &permit_any, &f->p, slice_str(key), which, &marker, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
  return marker;
}

/* "body", "marker" or "none". */
static void reads(struct fixture *f, const char *key, const struct store_version *which, const char *want) {
  struct store_view *v = NULL;
  struct store_found *found = NULL;
  struct dom_err err = {0};
  char got[64] = "none";
  size_t len = 0;
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  enum dom_code code =
      store_version_get(v, PERMIT_READ, &permit_any, &f->p, slice_str(key), which, &found, &err);
  if (code == DOM_OK && store_found_object(found)->is_marker) {
    snprintf(got, sizeof got, "marker");
    assert_int_equal(store_found_read(found, 0, got + 10, 10, &len, &err), DOM_OK);
    assert_int_equal(len, 0);
  } else if (code == DOM_OK) {
    assert_dom_ok(store_found_read(found, 0, got, sizeof got - 1, &len, &err), err);
    got[len] = 0;
  } else {
    assert_int_equal(code, DOM_NOT_FOUND);
  }
  store_found_free(found);
  store_view_close(v);
  assert_string_equal(got, want);
}

/* "key:lsn" with N for the null version, M for a marker, * for the latest; '+' common prefixes. */
static void show(void *arg, const struct store_object *o, struct slice common) {
  if (!o)
    buf_printf(arg, "+%.*s ", (int)common.len, (const char *)common.data);
  else
    buf_printf(arg, "%.*s%s%s%s ", (int)o->key.len, (const char *)o->key.data, o->is_version ? "" : "N",
               o->is_marker ? "M" : "", o->is_latest ? "*" : "");
}

static void lists(struct fixture *f, struct store_listing l, const char *want, bool want_more) {
  struct store_view *v = NULL;
  struct dom_err err = {0};
  BUF_AUTO out = BUF_INIT;
  bool more = false;
  memcpy(l.bucket, f->p.bucket, sizeof l.bucket);
  l.show = show;
  l.arg = &out;
  if (!l.max) l.max = 1000;
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  assert_dom_ok(store_list(v, &l, &more, &err), err);
  store_view_close(v);
  assert_string_equal(buf_str(&out), want);
  assert_int_equal(more, want_more);
}

static const struct store_version null_version = {.is_null = true};

static void amend(struct fixture *f, const char *key, const struct store_version *which, const char *meta) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_found *found = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  assert_dom_ok(store_version_get(v, PERMIT_READ, &permit_any, &f->p, slice_str(key), which, &found, &err),
                err);
  assert_dom_ok(store_tx_begin(f->r.store, v, &tx, &err), err);
  assert_dom_ok(store_tx_amend(tx, &permit_any, &f->p, found, slice_str(meta), &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_found_free(found);
  store_view_close(v);
}

/* The version's metadata and time. */
static void meta_is(struct fixture *f, const char *key, const struct store_version *which, const char *want) {
  struct store_view *v = NULL;
  struct store_found *found = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(f->r.store, &v, &err), err);
  assert_dom_ok(store_version_get(v, PERMIT_READ, &permit_any, &f->p, slice_str(key), which, &found, &err),
                err);
  struct slice meta = store_found_object(found)->meta;
  assert_int_equal(meta.len, strlen(want));
  assert_memory_equal(meta.data, want, meta.len);
  store_found_free(found);
  store_view_close(v);
}

/* Other metadata, nothing else: each version by itself, wherever it stands, also after a rebuild. */
static void amended(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  (void)state;
  fixture_init(&f, 907);
  change(&f, "p/k", PUT_NULL, "null");
  struct store_version a = change(&f, "p/k", PUT_VERSION, "a"), b = change(&f, "p/k", PUT_VERSION, "");
  amend(&f, "p/k", &null_version, "of null");
  amend(&f, "p/k", &a, "of a, first");
  amend(&f, "p/k", &a, "of a");
  amend(&f, "p/k", NULL, "of b");
  for (int i = 0; i < 2; i++) {
    lists(&f, (struct store_listing){.versions = true}, "p/k* p/k p/kN ", false);
    reads(&f, "p/k", NULL, "");
    reads(&f, "p/k", &a, "a");
    reads(&f, "p/k", &null_version, "null");
    meta_is(&f, "p/k", &null_version, "of null");
    meta_is(&f, "p/k", &a, "of a");
    meta_is(&f, "p/k", &b, "of b");
    store_close(f.r.store);
    f.r.store = NULL;
    index_wipe(&f.r);
    assert_dom_ok(region_reopen(&f.r, &err), err);
  }
  change(&f, "p/k", PUT_NULL, "null again"); /* takes the other's metadata away */
  meta_is(&f, "p/k", &null_version, "");
  delete_version(&f, "p/k", &a);
  reads(&f, "p/k", &a, "none");
  region_done(&f.r);
}

/* A body in a file stays where it is; it goes with the version, not before. */
static void amended_file(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  struct store_body *body = NULL;
  struct store_body_ref ref;
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  (void)state;
  fixture_init(&f, 908);
  assert_dom_ok(store_body_create(f.r.store, PERMIT_STORE, &permit_any, f.p.token, 1, &body, &err), err);
  assert_dom_ok(store_body_append(body, SLICE_LIT("in a file"), &err), err);
  assert_dom_ok(store_body_seal_take(body, &ref, &err), err);
  struct store_object o = {.key = SLICE_LIT("p/f"), .size = 9, .bodies = &ref, .body_count = 1};
  assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
  assert_dom_ok(store_tx_begin(f.r.store, v, &tx, &err), err);
  assert_dom_ok(store_tx_put(tx, &permit_any, &f.p, &o, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
  for (int i = 0; i < 3; i++) {
    bool did = true;
    amend(&f, "p/f", NULL, i ? "again" : "once");
    while (did) assert_dom_ok(store_upkeep(f.r.store, &did, &err), err);
    reads(&f, "p/f", NULL, "in a file");
    meta_is(&f, "p/f", NULL, i ? "again" : "once");
  }
  delete_version(&f, "p/f", &null_version);
  bool did = true;
  while (did) assert_dom_ok(store_upkeep(f.r.store, &did, &err), err);
  struct store_options options = {.disk = f.r.disk,
                                  .clock = f.r.clock,
                                  .kek = f.r.kek,
                                  .deployment = "test-deployment",
                                  .region = 7,
                                  .reserve_bytes = 1};
  struct store_fsck_report report;
  store_close(f.r.store);
  f.r.store = NULL;
  assert_dom_ok(store_fsck(&options, false, NULL, NULL, NULL, &report, &err), err);
  assert_true(report.bodies + report.missing_bodies + report.orphan_bodies + report.dangling_rows == 0);
  assert_dom_ok(region_reopen(&f.r, &err), err);
  region_done(&f.r);
}

static void a_key_holds(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, 901);
  change(&f, "p/k", PUT_NULL, "null 1");
  struct store_version a = change(&f, "p/k", PUT_VERSION, "a");
  struct store_version b = change(&f, "p/k", PUT_VERSION, "b");
  reads(&f, "p/k", NULL, "b");
  reads(&f, "p/k", &null_version, "null 1");
  change(&f, "p/k", PUT_NULL, "null 2"); /* replaces the one at the bottom and is the newest now */
  reads(&f, "p/k", NULL, "null 2");
  reads(&f, "p/k", &null_version, "null 2");
  lists(&f, (struct store_listing){.versions = true}, "p/kN* p/k p/k ", false);
  struct store_version m = change(&f, "p/k", MARK_VERSION, "");
  reads(&f, "p/k", NULL, "marker");
  reads(&f, "p/k", &m, "marker");
  lists(&f, (struct store_listing){0}, "", false);
  assert_true(delete_version(&f, "p/k", &m));
  assert_false(delete_version(&f, "p/k", &m)); /* not there any more */
  reads(&f, "p/k", NULL, "null 2");
  change(&f, "p/k", MARK_NULL, "");
  reads(&f, "p/k", &null_version, "marker");
  assert_true(delete_version(&f, "p/k", &null_version));
  reads(&f, "p/k", NULL, "b");
  assert_false(delete_version(&f, "p/k", &b));
  reads(&f, "p/k", &b, "none");
  reads(&f, "p/k", NULL, "a");
  /* The null version is not named by its order. */
  struct store_version n = change(&f, "p/k", PUT_NULL, "null 3");
  n.is_null = false;
  reads(&f, "p/k", &n, "none");
  store_close(f.r.store);
  f.r.store = NULL;
  index_wipe(&f.r);
  struct dom_err err = {0};
  assert_dom_ok(region_reopen(&f.r, &err), err);
  reads(&f, "p/k", NULL, "null 3");
  reads(&f, "p/k", &a, "a");
  reads(&f, "p/k", &b, "none");
  region_done(&f.r);
}

static void listings(void **state) {
  struct fixture f;
  (void)state;
  fixture_init(&f, 902);
  change(&f, "p/a/1", MARK_VERSION, "");
  change(&f, "p/a/2", PUT_VERSION, "x");
  change(&f, "p/b", PUT_NULL, "x");
  struct store_version b1 = change(&f, "p/b", PUT_VERSION, "x"), b2 = change(&f, "p/b", MARK_VERSION, "");
  for (int i = 0; i < 40; i++) change(&f, "p/c", PUT_VERSION, "many");
  change(&f, "p/c0", PUT_VERSION, "x");
  change(&f, "p/d/1", MARK_NULL, "");
  lists(&f, (struct store_listing){0}, "p/a/2* p/c* p/c0* ", false);
  lists(&f, (struct store_listing){.prefix = SLICE_LIT("p/"), .delimiter = SLICE_LIT("/")},
        "+p/a/ p/c* p/c0* ", false);
  struct store_listing all = {.prefix = SLICE_LIT("p/b"), .versions = true};
  lists(&f, all, "p/bM* p/b p/bN ", false);
  all.max = 2;
  lists(&f, all, "p/bM* p/b ", true);
  all.max = 0;
  all.after = SLICE_LIT("p/b");
  lists(&f, all, "", false);
  all.after_version = &b2;
  lists(&f, all, "p/b p/bN ", false);
  all.after_version = &b1;
  lists(&f, all, "p/bN ", false);
  all.after_version = &null_version;
  lists(&f, all, "", false);
  all.prefix = SLICE_LIT("p/c0"); /* the marker's key lies before the prefix */
  lists(&f, all, "p/c0* ", false);
  delete_version(&f, "p/b", &null_version);
  all.prefix = SLICE_LIT("p/b"); /* gone: nothing may be passed over */
  lists(&f, all, "p/bM* p/b ", false);
  lists(&f,
        (struct store_listing){
            .prefix = SLICE_LIT("p/"), .delimiter = SLICE_LIT("/"), .max = 3, .versions = true},
        "+p/a/ p/bM* p/b ", true);
  lists(&f, (struct store_listing){.prefix = SLICE_LIT("p/d"), .delimiter = SLICE_LIT("/"), .versions = true},
        "+p/d/ ", false);
  struct store_view *v = NULL;
  struct dom_err err = {0};
  uint64_t objects = 0, bytes = 0;
  assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
  assert_dom_ok(store_subject_usage(v, f.p.token, 1, &objects, &bytes, &err), err);
  store_view_close(v);
  assert_int_equal(objects, 43); /* markers are not counted */
  assert_int_equal(bytes, 40 * 4 + 3);
  region_done(&f.r);
}

/* Whatever changes the current version of a key makes another's commit look again. */
static void guards(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  (void)state;
  fixture_init(&f, 903);
  struct store_version a = change(&f, "p/k", PUT_VERSION, "a");
  for (int i = 0; i < 5; i++) {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    bool marker = false;
    struct store_object o = {.key = SLICE_LIT("p/k"), .is_version = true};
    struct store_version b = change(&f, "p/k", PUT_VERSION, "b");
    assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
    assert_dom_ok(store_tx_begin(f.r.store, v, &tx, &err), err);
    if (i == 4)
      assert_dom_ok(store_tx_delete_version(tx, &permit_any, &f.p, o.key, &a, &marker, &err), err);
    else
      assert_dom_ok(store_tx_put(tx, &permit_any, &f.p, &o, &err), err);
    if (i == 0) change(&f, "p/k", PUT_VERSION, "c");
    if (i == 1) change(&f, "p/k", MARK_NULL, "");
    if (i == 2) delete_version(&f, "p/k", &b);
    if (i == 3) change(&f, "p/k", PUT_NULL, "c");
    if (i == 4) delete_version(&f, "p/k", &a);
    assert_int_equal(store_tx_commit_take(tx, NULL, &err), DOM_RETRY);
    store_view_close(v);
    err = (struct dom_err){0};
  }
  region_done(&f.r);
}

/* Without memory at any place: an error, and the version as it was, until one succeeds whole. */
static void amend_without_memory(void **state) {
  struct fixture f;
  bool done = false;
  (void)state;
  fixture_init(&f, 910);
  struct store_version a = change(&f, "p/k", PUT_VERSION, "body");
  for (uint64_t n = 0; !done; n++) {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    struct store_found *found = NULL;
    struct dom_err err = {0};
    assert_true(n < 200);
    assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
    assert_dom_ok(store_version_get(v, PERMIT_READ, &permit_any, &f.p, SLICE_LIT("p/k"), &a, &found, &err),
                  err);
    assert_dom_ok(store_tx_begin(f.r.store, v, &tx, &err), err);
    dom_alloc_fail_after(n, 1);
    enum dom_code code = store_tx_amend(tx, &permit_any, &f.p, found, SLICE_LIT("new"), &err);
    dom_alloc_fail_after(UINT64_MAX, 0);
    done = code == DOM_OK;
    assert_true(done || code == DOM_NO_MEMORY || code == DOM_TOO_LARGE);
    assert_int_equal(store_tx_commit_take(tx, NULL, NULL), done ? DOM_OK : DOM_INVALID);
    store_found_free(found);
    store_view_close(v);
    reads(&f, "p/k", &a, "body");
    meta_is(&f, "p/k", &a, done ? "new" : "");
  }
  region_done(&f.r);
}

/* An amendment meets what else becomes of its version. */
static void amend_guards(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  (void)state;
  fixture_init(&f, 909);
  for (int i = 0; i < 6; i++) {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    struct store_found *found = NULL;
    bool marker = false, null = i >= 3;
    struct store_version a = change(&f, "p/k", null ? PUT_NULL : PUT_VERSION, "a");
    if (null) a = null_version;
    assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
    assert_dom_ok(store_version_get(v, PERMIT_READ, &permit_any, &f.p, SLICE_LIT("p/k"), &a, &found, &err),
                  err);
    assert_dom_ok(store_tx_begin(f.r.store, v, &tx, &err), err);
    if (i % 3 == 0)
      assert_dom_ok(store_tx_delete_version(tx, &permit_any, &f.p, SLICE_LIT("p/k"), &a, &marker, &err), err);
    else
      assert_dom_ok(store_tx_amend(tx, &permit_any, &f.p, found, SLICE_LIT("mine"), &err), err);
    store_found_free(found);
    if (i % 3 == 2)
      delete_version(&f, "p/k", &a);
    else
      amend(&f, "p/k", &a, "theirs");
    assert_int_equal(store_tx_commit_take(tx, NULL, &err), DOM_RETRY);
    store_view_close(v);
    err = (struct dom_err){0};
  }
  region_done(&f.r);
}

/* The same order cannot be a null version and another. */
static void staged_apart(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE];
  struct vault_key key = {.epoch = 9};
  (void)state;
  fixture_init(&f, 904);
  token_of(token, 2);
  memcpy(key.token, token, TOKEN_SIZE);
  assert_dom_ok(vault_key_create(store_vault(f.r.store), &key, &err), err);
  for (int i = 0; i < 3; i++) {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    struct store_item item = {.kind = STORE_ITEM_OBJECT,
                              .prefix = SLICE_LIT("q/"),
                              .key = SLICE_LIT("q/k"),
                              .order = {3, 7},
                              .object = {.is_version = i == 1}};
    assert_dom_ok(store_view_open(f.r.store, &v, &err), err);
    assert_dom_ok(store_tx_begin(f.r.store, v, &tx, &err), err);
    enum dom_code code = store_tx_stage(tx, &permit_any, token, 9, &item, &err);
    assert_int_equal(code, i == 1 ? DOM_INVALID : DOM_OK);
    if (code == DOM_OK)
      assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
    else
      store_tx_abort_take(tx);
    store_view_close(v);
    err = (struct dom_err){0};
  }
  region_done(&f.r);
}

/* Records say what they are; flags of other kinds, and unknown ones, are refused. */
static void records(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  RECORD_PLAIN_AUTO plain = {0};
  (void)state;
  fixture_init(&f, 905);
  struct change marker = {.kind = CHANGE_PUT,
                          .epoch = 1,
                          .order = {.epoch = 1},
                          .versioned = true,
                          .marker = true,
                          .key = SLICE_LIT("p/k"),
                          .prefix_len = 2};
  memcpy(marker.token, f.p.token, TOKEN_SIZE);
  struct change gone = marker, back;
  gone.kind = CHANGE_DELETE;
  gone.marker = false;
  gone.item = STORE_ITEM_OBJECT;
  gone.order = (struct store_order){3, 33};
  BUF_AUTO b = BUF_INIT;
  uint32_t head = 0;
  assert_dom_ok(record_encode(store_vault(f.r.store), &marker, (struct slice){0}, &b, &head, &err), err);
  assert_int_equal(b.data[1], 6);
  assert_dom_ok(record_decode(store_vault(f.r.store), CHANGE_PUT, buf_slice(&b), &plain, &back, &err), err);
  assert_true(back.versioned && back.marker && !back.inlined && back.order.lsn == 0);
  static const uint8_t wrong[] = {8, 7, 128 | 6};
  for (size_t i = 0; i < sizeof wrong; i++) {
    b.data[1] = wrong[i];
    assert_int_not_equal(record_peek(CHANGE_PUT, buf_slice(&b), &back, &head, NULL), DOM_OK);
  }
  b.data[1] = 6;
  assert_int_not_equal(record_peek(CHANGE_DELETE, buf_slice(&b), &back, &head, NULL), DOM_OK);
  b.data[1] = 2;
  assert_int_not_equal(record_peek(CHANGE_PART, buf_slice(&b), &back, &head, NULL), DOM_OK);
  buf_reset(&b);
  assert_dom_ok(record_encode(store_vault(f.r.store), &gone, (struct slice){0}, &b, &head, &err), err);
  memset(b.data + 52, 0xEE, 16); /* which version goes is read from what is sealed */
  store_u64le(b.data + 52, 3);
  assert_dom_ok(record_decode(store_vault(f.r.store), CHANGE_DELETE, buf_slice(&b), &plain, &back, &err),
                err);
  assert_true(back.versioned && back.order.epoch == 3 && back.order.lsn == 33);
  region_done(&f.r);
}

static void rows(void **state) {
  struct row_object o = {.size = 1}, back;
  struct row_journal j = {.item = STORE_ITEM_OBJECT, .key = SLICE_LIT("k")}, journal;
  BUF_AUTO b = BUF_INIT;
  (void)state;
  row_object_put(&b, &o);
  size_t plain = b.len;
  assert_true(row_object_parse(buf_slice(&b), &back) && !back.versioned && !back.marker);
  for (uint8_t flags = 0; flags < 9; flags++) {
    b.len = plain;
    buf_append_byte(&b, flags);
    bool good = row_object_parse(buf_slice(&b), &back);
    assert_int_equal(good, flags >= 1 && flags <= 3);
    if (good) assert_true(back.versioned == (flags & 1) && back.marker == (flags >> 1 & 1));
  }
  for (size_t len = 0; len < plain; len++) assert_false(row_object_parse(slice_of(b.data, len), &back));
  buf_reset(&b);
  row_journal_put(&b, &j);
  assert_true(row_journal_parse(buf_slice(&b), &journal) && !journal.versioned);
  plain = b.len;
  buf_reset(&b);
  j.versioned = true;
  j.order = (struct store_order){3, 33};
  row_journal_put(&b, &j);
  assert_int_equal(b.len, plain + 16);
  assert_true(row_journal_parse(buf_slice(&b), &journal) && journal.versioned && journal.order.lsn == 33);
  for (size_t len = plain + 1; len < b.len; len++)
    assert_false(row_journal_parse(slice_of(b.data, len), &journal));
}

/* A folder that an earlier build made: its objects are null versions, and from now on it is marked. */
static void from_before(void **state) {
  struct fixture f;
  struct dom_err err = {0};
  struct superblock s;
  (void)state;
  fixture_init(&f, 906);
  change(&f, "p/k", PUT_NULL, "old");
  store_close(f.r.store);
  f.r.store = NULL;
  for (int i = 1; i <= 2; i++) {
    char path[32];
    BUF_AUTO block = BUF_INIT;
    snprintf(path, sizeof path, "superblock.%d", i);
    assert_dom_ok(disk_read_file(f.r.disk, path, SUPERBLOCK_SIZE, &block, &err), err);
    assert_dom_ok(superblock_decode(buf_slice(&block), &s, &err), err);
    assert_int_equal(s.incompatible, SUPERBLOCK_FEATURES);
    s.incompatible = 0;
    buf_reset(&block);
    superblock_encode(&s, &block);
    assert_dom_ok(disk_replace_file(f.r.disk, path, buf_slice(&block), &err), err);
  }
  assert_dom_ok(region_reopen(&f.r, &err), err);
  reads(&f, "p/k", &null_version, "old");
  for (int i = 1; i <= 2; i++) {
    char path[32];
    BUF_AUTO block = BUF_INIT;
    snprintf(path, sizeof path, "superblock.%d", i);
    assert_dom_ok(disk_read_file(f.r.disk, path, SUPERBLOCK_SIZE, &block, &err), err);
    assert_dom_ok(superblock_decode(buf_slice(&block), &s, &err), err);
    assert_int_equal(s.incompatible, SUPERBLOCK_FEATURES);
    assert_int_equal(s.sequence, 2);
  }
  region_done(&f.r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_holds),
      cmocka_unit_test(listings),
      cmocka_unit_test(guards),
      cmocka_unit_test(staged_apart),
      cmocka_unit_test(records),
      cmocka_unit_test(rows),
      cmocka_unit_test(from_before),
      cmocka_unit_test(amended),
      cmocka_unit_test(amended_file),
      cmocka_unit_test(amend_guards),
      cmocka_unit_test(amend_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
