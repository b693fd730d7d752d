/* What a handoff needs: walk, journal, staging, erasure, the outbox. */
#include "harness.h"

static struct store_view *view_of(struct region *r) {
  struct store_view *v = NULL;
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  return v;
}

static void key_make(struct region *r, uint8_t fill, uint64_t epoch) {
  struct dom_err err = {0};
  struct vault_key key = {.epoch = epoch};
  token_of(key.token, fill);
  assert_dom_ok(vault_key_create(store_vault(r->store), &key, &err), err);
}

static void key_drop(struct region *r, uint8_t fill, uint64_t epoch) {
  struct dom_err err = {0};
  struct vault_key key = {.epoch = epoch};
  token_of(key.token, fill);
  assert_dom_ok(vault_key_drop(store_vault(r->store), &key, 1, NULL, &err), err);
}

static void upload_make(struct region *r, const struct store_place *p, const char *key, char id) {
  struct dom_err err = {0};
  struct store_tx *tx = NULL;
  struct store_body *b = NULL;
  struct store_upload u = {.key = slice_str(key), .meta = SLICE_LIT("um")};
  struct store_part part = {.number = 3};
  memset(u.id, id, sizeof u.id);
  struct store_view *v = view_of(r);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_upload_create(tx, &permit_any, p, &u, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
  assert_dom_ok(store_body_create(r->store, PERMIT_STORE, &permit_any, p->token, p->epoch, &b, &err), err);
  assert_dom_ok(store_body_append(b, SLICE_LIT("part body"), &err), err);
  assert_dom_ok(store_body_seal_take(b, &part.body, &err), err);
  v = view_of(r);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_part(tx, &permit_any, p, u.key, u.id, &part, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
}

/* An object that is there is given out open: its body is at hand. */
static void body_print(const struct store_item *item, struct buf *out) {
  uint8_t body[16];
  size_t got = 0;
  struct dom_err err = {0};
  bool is_there = item->kind == STORE_ITEM_OBJECT && !item->absent;
  assert_true((item->found != NULL) == is_there);
  if (!is_there) return;
  assert_dom_ok(store_found_read(item->found, 0, body, sizeof body, &got, &err), err);
  buf_printf(out, "=%.*s", (int)got, (const char *)body);
}

static void item_print(const struct store_item *item, struct buf *out) {
  static const char kinds[] = "?oup";
  buf_printf(out, "%s%c:%02x:%.*s", item->absent ? "-" : "", kinds[item->kind], item->bucket[0],
             (int)item->key.len, (const char *)item->key.data);
  if (item->kind != STORE_ITEM_OBJECT) buf_printf(out, ":%c", item->upload.id[0]);
  if (item->kind == STORE_ITEM_PART) buf_printf(out, ":%u", item->part.number);
  body_print(item, out);
  buf_append_byte(out, ' ');
}

/* Walks all; with `resume`, opens the walk anew from its cursor before each step. */
static void walk_print(struct region *r, uint8_t fill, uint64_t epoch, bool resume, struct buf *out) {
  struct store_view *v = view_of(r);
  struct store_walk *w = NULL;
  const struct store_item *item = NULL;
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE];
  enum dom_code code;
  token_of(token, fill);
  assert_dom_ok(store_walk_open(v, PERMIT_MOVE, &permit_any, token, epoch, (struct slice){0}, &w, &err), err);
  while ((code = store_walk_next(w, &item, &err)) == DOM_OK) {
    item_print(item, out);
    if (!resume) continue;
    BUF_AUTO cursor = BUF_INIT;
    store_walk_cursor(w, &cursor);
    store_walk_close(w);
    w = NULL;
    assert_dom_ok(store_walk_open(v, PERMIT_MOVE, &permit_any, token, epoch, buf_slice(&cursor), &w, &err),
                  err);
  }
  assert_int_equal(code, DOM_NOT_FOUND);
  store_walk_close(w);
  store_view_close(v);
}

static const char everything[] =
    "o:08:a/k=ak u:08:a/k:1 u:08:a/k:2 p:08:a/k:1:3 p:08:a/k:2:3 o:08:a/l=al u:08:a/m:1 p:08:a/m:1:3 "
    "o:09:b/x=bx o:09:b/y=by ";

static void fill_subject(struct region *r) {
  struct dom_err err = {0};
  subject_home(r, 1, 1);
  subject_home(r, 2, 1);
  struct store_place a = place_of(8, 1, 1, "a/"), b = place_of(9, 1, 1, "b/"),
                     other = place_of(8, 2, 1, "c/");
  assert_dom_ok(put_bytes(r, &a, SLICE_LIT("a/l"), SLICE_LIT("al"), &err), err);
  assert_dom_ok(put_bytes(r, &b, SLICE_LIT("b/y"), SLICE_LIT("by"), &err), err);
  assert_dom_ok(put_bytes(r, &b, SLICE_LIT("b/x"), SLICE_LIT("bx"), &err), err);
  assert_dom_ok(put_bytes(r, &a, SLICE_LIT("a/k"), SLICE_LIT("ak"), &err), err);
  assert_dom_ok(put_bytes(r, &other, SLICE_LIT("c/k"), SLICE_LIT("ck"), &err), err);
  upload_make(r, &a, "a/k", '2');
  upload_make(r, &a, "a/k", '1');
  upload_make(r, &a, "a/m", '1');
}

static void walks(void **state) {
  struct region r;
  struct dom_err err = {0};
  uint64_t objects = 0, bytes = 0;
  uint8_t token[TOKEN_SIZE];
  (void)state;
  region_init(&r, 31, true);
  fill_subject(&r);
  for (int resume = 0; resume < 2; resume++) {
    BUF_AUTO got = BUF_INIT;
    walk_print(&r, 1, 1, resume, &got);
    assert_string_equal(buf_str(&got), everything);
  }
  struct store_view *v = view_of(&r);
  token_of(token, 1);
  assert_dom_ok(store_subject_usage(v, token, 1, &objects, &bytes, &err), err);
  assert_int_equal(objects, 4);
  assert_int_equal(bytes, 8);
  store_view_close(v);
  region_done(&r);
}

struct journal {
  struct buf out;
  uint64_t last;
};
static bool journal_seen(void *arg, uint64_t lsn, const struct store_item *present) {
  struct journal *j = arg;
  assert_true(lsn > j->last);
  j->last = lsn;
  item_print(present, &j->out);
  return true;
}

static void copying(struct region *r, enum store_subject_state state) {
  struct store_subject s = {.state = state, .epoch = 1, .epoch_allotted = 2, .home = 7};
  bool moving = state != SUBJECT_HOME;
  s.handoff_epoch = moving ? 2 : 0;
  s.handoff_to = moving ? 8 : 0;
  token_of(s.token, 1);
  assert_int_equal(subject_state(r, &s), DOM_OK);
}

static void journals(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct journal j = {.last = 0};
  uint8_t token[TOKEN_SIZE];
  (void)state;
  region_init(&r, 32, true);
  fill_subject(&r);
  token_of(token, 1);
  copying(&r, SUBJECT_COPYING);
  struct store_place a = place_of(8, 1, 1, "a/"), other = place_of(8, 2, 1, "c/");
  assert_dom_ok(put_bytes(&r, &a, SLICE_LIT("a/new"), SLICE_LIT("1"), &err), err);
  assert_dom_ok(put_bytes(&r, &other, SLICE_LIT("c/new"), SLICE_LIT("1"), &err), err);
  assert_dom_ok(region_reopen(&r, &err), err); /* the set of journaled subjects is durable */
  assert_dom_ok(put_bytes(&r, &a, SLICE_LIT("a/new"), SLICE_LIT("2"), &err), err);
  assert_dom_ok(delete_key(&r, &a, SLICE_LIT("a/l"), &err), err);
  copying(&r, SUBJECT_FENCED);
  struct store_view *v = view_of(&r);
  assert_dom_ok(store_journal_scan(v, &permit_any, token, 0, 2, journal_seen, &j, &err), err);
  assert_dom_ok(store_journal_scan(v, &permit_any, token, j.last, 100, journal_seen, &j, &err), err);
  assert_string_equal(buf_str(&j.out), "o:08:a/new=2 o:08:a/new=2 -o:08:a/l ");
  store_view_close(v);
  copying(&r, SUBJECT_HOME); /* aborted: the journal goes */
  buf_reset(&j.out);
  v = view_of(&r);
  assert_dom_ok(store_journal_scan(v, &permit_any, token, 0, 100, journal_seen, &j, &err), err);
  assert_int_equal(j.out.len, 0);
  store_view_close(v);
  buf_done(&j.out);
  region_done(&r);
}

/* Copies one item from one region to another, as a handoff does. */
static void item_copy(struct region *from, struct store_view *v, struct region *to, const uint8_t *token,
                      const struct store_item *item) {
  struct dom_err err = {0};
  struct store_found *f = NULL;
  struct store_tx *tx = NULL;
  struct store_item staged = *item;
  char body[64] = "";
  size_t len = 0;
  assert_non_null(from);
  if (!item->absent && item->kind != STORE_ITEM_UPLOAD) {
    assert_dom_ok(store_item_open(v, PERMIT_MOVE, &permit_any, token, 1, item, &f, &err), err);
    assert_dom_ok(store_found_read(f, 0, body, sizeof body, &len, &err), err);
    store_found_free(f);
  }
  if (item->kind == STORE_ITEM_OBJECT) staged.object.inline_body = slice_of(body, len);
  if (item->kind == STORE_ITEM_PART && !item->absent) {
    struct store_body *b = NULL;
    assert_dom_ok(store_body_create(to->store, PERMIT_MOVE, &permit_any, token, 2, &b, &err), err);
    assert_dom_ok(store_body_append(b, slice_of(body, len), &err), err);
    assert_dom_ok(store_body_seal_take(b, &staged.part.body, &err), err);
  }
  struct store_view *w = view_of(to);
  assert_dom_ok(store_tx_begin(to->store, w, &tx, &err), err);
  assert_dom_ok(store_tx_stage(tx, &permit_any, token, 2, &staged, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(w);
}

static void stages(void **state) {
  struct region a, b;
  struct dom_err err = {0};
  struct store_walk *w = NULL;
  const struct store_item *item = NULL;
  uint8_t token[TOKEN_SIZE];
  (void)state;
  region_init(&a, 33, true);
  region_init(&b, 34, true);
  fill_subject(&a);
  token_of(token, 1);
  key_make(&b, 1, 2);
  struct store_view *v = view_of(&a);
  for (int twice = 0; twice < 2; twice++) { /* idempotent */
    assert_dom_ok(store_walk_open(v, PERMIT_MOVE, &permit_any, token, 1, (struct slice){0}, &w, &err), err);
    while (store_walk_next(w, &item, &err) == DOM_OK) item_copy(&a, v, &b, token, item);
    store_walk_close(w);
  }
  struct store_item gone = {
      .kind = STORE_ITEM_OBJECT, .absent = true, .prefix = SLICE_LIT("b/"), .key = SLICE_LIT("b/x")};
  memset(gone.bucket, 9, sizeof gone.bucket);
  item_copy(&a, v, &b, token, &gone);
  store_view_close(v);
  BUF_AUTO got = BUF_INIT;
  list_all(&b, 9, SLICE_LIT(""), SLICE_LIT(""), 10, &got);
  assert_int_equal(got.len, 0); /* staged is invisible */
  for (int round = 0; round < 3; round++) {
    buf_reset(&got);
    walk_print(&b, 1, 2, false, &got);
    assert_string_equal(buf_str(&got),
                        "o:08:a/k=ak u:08:a/k:1 u:08:a/k:2 p:08:a/k:1:3 p:08:a/k:2:3 o:08:a/l=al "
                        "u:08:a/m:1 p:08:a/m:1:3 o:09:b/y=by ");
    store_close(b.store);
    b.store = NULL;
    if (round == 1) index_wipe(&b);
    assert_dom_ok(region_reopen(&b, &err), err);
  }
  struct store_subject s = {.state = SUBJECT_HOME, .epoch = 2, .epoch_allotted = 2, .home = 7};
  memcpy(s.token, token, TOKEN_SIZE);
  assert_int_equal(subject_state(&b, &s), DOM_OK); /* activation is one row */
  struct store_place p = place_of(8, 1, 2, "a/");
  buf_reset(&got);
  assert_dom_ok(get_bytes(&b, &p, SLICE_LIT("a/k"), &got, &err), err);
  assert_true(slice_equal(buf_slice(&got), SLICE_LIT("ak")));
  /* The order is the source's. */
  struct store_found *fa = NULL, *fb = NULL;
  struct store_place pa = place_of(8, 1, 1, "a/");
  struct store_view *va = view_of(&a), *vb = view_of(&b);
  assert_dom_ok(store_object_get(va, PERMIT_READ, &permit_any, &pa, SLICE_LIT("a/k"), &fa, &err), err);
  assert_dom_ok(store_object_get(vb, PERMIT_READ, &permit_any, &p, SLICE_LIT("a/k"), &fb, &err), err);
  assert_int_equal(store_found_object(fa)->order.lsn, store_found_object(fb)->order.lsn);
  assert_int_equal(store_found_object(fb)->order.epoch, 1);
  store_found_free(fa);
  store_found_free(fb);
  store_view_close(va);
  store_view_close(vb);
  region_done(&a);
  region_done(&b);
}

/* Of a subject that left: nothing under its epoch is left, and dead records stay dead. */
static void erases(void **state) {
  struct region a;
  struct dom_err err = {0};
  struct store_subject s = {.state = SUBJECT_MOVED, .epoch = 2, .epoch_allotted = 2, .home = 8};
  struct store_place pa = place_of(8, 1, 1, "a/"), pb = place_of(9, 1, 1, "b/");
  (void)state;
  region_init(&a, 36, true);
  fill_subject(&a);
  token_of(s.token, 1);
  assert_int_equal(subject_state(&a, &s), DOM_OK);
  assert_int_equal(store_epoch_erase(a.store, &permit_any, s.token, 1, NULL), DOM_INVALID);
  assert_int_equal(store_epoch_erase(a.store, NULL, s.token, 1, NULL), DOM_REFUSED);
  key_drop(&a, 1, 1);
  for (int again = 0; again < 3; again++) {
    bool used = true, present = true;
    assert_dom_ok(store_epoch_erase(a.store, &permit_any, s.token, 1, &err), err);
    struct store_view *v = view_of(&a);
    assert_dom_ok(store_epoch_present(v, s.token, 1, &present, &err), err);
    assert_false(present);
    assert_dom_ok(store_bucket_used(v, pa.bucket, &used, &err), err);
    assert_true(used); /* the other subject's */
    assert_dom_ok(store_bucket_used(v, pb.bucket, &used, &err), err);
    assert_false(used);
    store_view_close(v);
    store_close(a.store);
    a.store = NULL;
    index_wipe(&a);
    assert_dom_ok(region_reopen(&a, &err), err);
  }
  region_done(&a);
}

/* The index loses what it had not flushed of an erasure, as a kill does: the rows must not come back for
 * good. */
static void erased_stays_erased(void **state) {
  struct region a;
  struct dom_err err = {0};
  struct store_subject s = {.state = SUBJECT_MOVED, .epoch = 2, .epoch_allotted = 2, .home = 8};
  (void)state;
  region_init(&a, 37, true);
  fill_subject(&a);
  token_of(s.token, 1);
  assert_dom_ok(region_reopen(&a, &err), err); /* the rows are in the flushed index */
  assert_int_equal(subject_state(&a, &s), DOM_OK);
  key_drop(&a, 1, 1);
  assert_dom_ok(store_epoch_erase(a.store, &permit_any, s.token, 1, &err), err);
  disk_sim_power_cut(a.disk);
  assert_dom_ok(region_reopen(&a, &err), err);
  bool present = true;
  struct store_view *v = view_of(&a);
  assert_dom_ok(store_epoch_present(v, s.token, 1, &present, &err), err);
  assert_false(present);
  store_view_close(v);
  region_done(&a);
}

static bool entry_seen(void *arg, const struct store_entry *e) {
  struct buf *out = arg;
  buf_printf(out, "%.*s.%u:%c ", (int)e->entry.len, (const char *)e->entry.data, e->position, e->opening[0]);
  return true;
}

static void entries(void **state) {
  struct region r;
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE], opening[16] = "Opening";
  uint64_t first = 0;
  BUF_AUTO got = BUF_INIT;
  (void)state;
  region_init(&r, 35, true);
  token_of(token, 1);
  for (char c = 'a'; c <= 'c'; c++) {
    struct store_tx *tx = NULL;
    uint64_t lsn = 0;
    struct store_view *v = view_of(&r);
    assert_dom_ok(store_tx_begin(r.store, v, &tx, &err), err);
    assert_dom_ok(store_tx_entry(tx, token, slice_of(&c, 1), opening, SLICE_LIT("pay"), &err), err);
    assert_dom_ok(store_tx_entry(tx, NULL, SLICE_LIT("z"), opening, SLICE_LIT(""), &err), err);
    assert_dom_ok(store_tx_commit_take(tx, &lsn, &err), err);
    assert_true(store_outbox_wait(r.store, lsn - 1, 0));
    assert_false(store_outbox_wait(r.store, lsn, 0));
    if (!first) first = lsn;
    store_view_close(v);
  }
  for (int round = 0; round < 2; round++) {
    buf_reset(&got);
    assert_dom_ok(store_outbox_scan(r.store, 0, entry_seen, &got, &err), err);
    assert_string_equal(buf_str(&got), "a.0:O z.1:O b.0:O z.1:O c.0:O z.1:O ");
    buf_reset(&got);
    assert_dom_ok(store_outbox_scan(r.store, first, entry_seen, &got, &err), err);
    assert_string_equal(buf_str(&got), "b.0:O z.1:O c.0:O z.1:O ");
    buf_reset(&got);
    struct store_view *v = view_of(&r);
    assert_dom_ok(store_entries_of(v, token, entry_seen, &got, &err), err);
    assert_string_equal(buf_str(&got), "c.0:O b.0:O a.0:O ");
    store_view_close(v);
    store_close(r.store);
    r.store = NULL;
    index_wipe(&r);
    assert_dom_ok(region_reopen(&r, &err), err);
    assert_true(store_outbox_wait(r.store, 0, 0));
  }
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(walks),
                                     cmocka_unit_test(journals),
                                     cmocka_unit_test(stages),
                                     cmocka_unit_test(erases),
                                     cmocka_unit_test(erased_stays_erased),
                                     cmocka_unit_test(entries)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
