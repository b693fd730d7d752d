/* Rebuild: random histories with compaction in between; then the index is deleted, built from the
 * log again, and everything that can be asked for must be as it was. Few keys, so that they collide. */
#include "../../lib/alone.h"
#include "harness.h"

enum { SEEDS = ROUNDS_ALONE(40), STEPS = 400, KEYS = 6, UPLOADS = 3, PARTS = 3, ROWS = 5, SMALL = 64 << 10 };

struct history {
  struct region r;
  uint64_t rng;
  uint64_t epoch;        /* live, of subject 1 */
  uint64_t staged;       /* a foreign subject's (2) epoch, not live here */
  uint64_t copying_from; /* 0, or that subject 1 is being copied */
};

static uint64_t roll(struct history *h, uint64_t below) {
  h->rng = h->rng * 6364136223846793005u + 1442695040888963407u;
  return (h->rng >> 33) % below;
}

static struct store_place home_place(struct history *h) {
  return place_of(8, 1, h->epoch, "p/");
}

static void key_roll(struct history *h, char out[16]) {
  snprintf(out, 16, "p/%u", (unsigned)roll(h, KEYS));
}

/* ---- one transaction a step ---- */

struct step {
  struct store_view *v;
  struct store_tx *tx;
};

static void step_begin(struct history *h, struct step *s) {
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(h->r.store, &s->v, &err), err);
  assert_dom_ok(store_tx_begin(h->r.store, s->v, &s->tx, &err), err);
}

static void step_end(struct history *h, struct step *s, enum dom_code code) {
  struct dom_err err = {0};
  uint8_t opening[16] = {1}, token[TOKEN_SIZE];
  token_of(token, 1);
  if (code == DOM_OK && roll(h, 6) == 0)
    assert_dom_ok(store_tx_entry(s->tx, token, SLICE_LIT("leaf"), opening, SLICE_LIT("why"), &err), err);
  if (code == DOM_OK)
    assert_dom_ok(store_tx_commit_take(s->tx, NULL, &err), err);
  else
    store_tx_abort_take(s->tx);
  store_view_close(s->v);
}

static void body_make(struct history *h, const uint8_t *token, uint64_t epoch, struct store_body_ref *out) {
  struct dom_err err = {0};
  struct store_body *b = NULL;
  char text[32];
  snprintf(text, sizeof text, "body %llu", (unsigned long long)roll(h, 1000000));
  assert_dom_ok(store_body_create(h->r.store, PERMIT_MOVE, &permit_any, token, epoch, &b, &err), err);
  assert_dom_ok(store_body_append(b, slice_str(text), &err), err);
  assert_dom_ok(store_body_seal_take(b, out, &err), err);
}

static void do_put(struct history *h) {
  struct step s;
  struct store_place p = home_place(h);
  struct store_body_ref body;
  char key[16], text[600];
  key_roll(h, key);
  memset(text, 'a' + (int)roll(h, 26), sizeof text);
  struct store_object o = {
      .key = slice_str(key), .is_version = roll(h, 2), .mtime_ms = roll(h, 1000), .meta = SLICE_LIT("m")};
  if (roll(h, 5) == 0) {
    body_make(h, p.token, h->epoch, &body);
    o.bodies = &body;
    o.body_count = 1;
    o.size = body.size;
  } else {
    o.inline_body = slice_of(text, roll(h, sizeof text));
    o.size = o.inline_body.len;
  }
  step_begin(h, &s);
  step_end(h, &s, store_tx_put(s.tx, &permit_any, &p, &o, NULL));
}

/* The n-th version of the subject, from the first key's newest on. */
struct version_pick {
  uint64_t left;
  bool found;
  char key[16];
  struct store_version which;
};

static void version_pick(void *arg, const struct store_object *o, struct slice common) {
  struct version_pick *p = arg;
  (void)common;
  if (p->found || p->left-- > 0) return;
  p->found = true;
  snprintf(p->key, sizeof p->key, "%.*s", (int)o->key.len, (const char *)o->key.data);
  p->which = (struct store_version){.is_null = !o->is_version, .order = o->order};
}

static void do_delete_version(struct history *h) {
  struct step s;
  struct store_place p = home_place(h);
  struct version_pick pick = {.left = roll(h, 20)};
  struct store_listing l = {
      .prefix = SLICE_LIT("p/"), .max = 1000, .versions = true, .show = version_pick, .arg = &pick};
  bool more = false, marker = false;
  memcpy(l.bucket, p.bucket, sizeof l.bucket);
  step_begin(h, &s);
  enum dom_code code = store_list(s.v, &l, &more, NULL);
  if (code == DOM_OK && pick.found)
    code = store_tx_delete_version(s.tx, &permit_any, &p, slice_str(pick.key), &pick.which, &marker, NULL);
  step_end(h, &s, code);
}

/* Other metadata on a version that is there, wherever its record and its body stand by now. */
static void do_amend(struct history *h) {
  struct step s;
  struct store_place p = home_place(h);
  struct version_pick pick = {.left = roll(h, 20)};
  struct store_listing l = {
      .prefix = SLICE_LIT("p/"), .max = 1000, .versions = true, .show = version_pick, .arg = &pick};
  struct store_found *f = NULL;
  char meta[16];
  bool more = false;
  memcpy(l.bucket, p.bucket, sizeof l.bucket);
  snprintf(meta, sizeof meta, "m%u", (unsigned)roll(h, 1000));
  step_begin(h, &s);
  enum dom_code code = store_list(s.v, &l, &more, NULL);
  if (code == DOM_OK && pick.found)
    code = store_version_get(s.v, PERMIT_READ, &permit_any, &p, slice_str(pick.key), &pick.which, &f, NULL);
  if (code == DOM_OK && f && !store_found_object(f)->is_marker)
    code = store_tx_amend(s.tx, &permit_any, &p, f, slice_str(meta), NULL);
  assert_int_equal(code, DOM_OK);
  step_end(h, &s, code);
  store_found_free(f);
}

static void do_delete(struct history *h) {
  struct step s;
  struct store_place p = home_place(h);
  char key[16];
  key_roll(h, key);
  if (roll(h, 2)) {
    do_delete_version(h);
    return;
  }
  step_begin(h, &s);
  if (roll(h, 3) == 0)
    step_end(h, &s, store_tx_mark(s.tx, &permit_any, &p, slice_str(key), roll(h, 2), roll(h, 1000), NULL));
  else
    step_end(h, &s, store_tx_delete(s.tx, &permit_any, &p, slice_str(key), NULL));
}

static void upload_roll(struct history *h, struct store_upload *u, char key[16]) {
  unsigned n = (unsigned)roll(h, UPLOADS);
  snprintf(key, 16, "p/u%u", n % 2);
  *u = (struct store_upload){.key = slice_str(key), .mtime_ms = 5, .meta = SLICE_LIT("um")};
  memset(u->id, 'A' + (int)n, sizeof u->id);
}

static bool upload_there(struct step *s, const struct store_place *p, const struct store_upload *u) {
  struct store_upload got;
  return store_upload_get(s->v, p, u->key, u->id, &got, NULL) == DOM_OK;
}

struct parts {
  struct store_body_ref bodies[PARTS];
  uint32_t count;
  uint64_t size;
};
static bool part_note(void *arg, const struct store_part *part) {
  struct parts *p = arg;
  p->size += part->body.size;
  p->bodies[p->count++] = part->body;
  return true;
}

/* Some parts have metadata, short and long. */
static void meta_roll(struct history *h, struct store_part *part) {
  part->meta_len = (uint8_t)(roll(h, 2) ? roll(h, STORE_PART_META_MAX + 1) : 0);
  memset(part->meta, (int)('a' + roll(h, 20)), part->meta_len);
}

/* The same upload id is used again and again, which no client can do but a rebuild must bear. */
static void do_upload(struct history *h) {
  struct step s;
  struct store_place p = home_place(h);
  struct store_upload u;
  struct store_part part = {.number = 1 + (uint32_t)roll(h, PARTS), .mtime_ms = 3};
  struct parts parts = {.count = 0};
  char key[16];
  enum dom_code code = DOM_NOT_FOUND;
  upload_roll(h, &u, key);
  meta_roll(h, &part);
  body_make(h, p.token, h->epoch, &part.body);
  step_begin(h, &s);
  bool there = upload_there(&s, &p, &u);
  switch (roll(h, 6)) {
  case 0:
    code = there ? store_tx_upload_abort(s.tx, &permit_any, &p, u.key, u.id, NULL) : DOM_NOT_FOUND;
    break;
  case 1:
    if (there) store_part_scan(s.v, &p, u.key, u.id, 0, part_note, &parts, NULL);
    if (parts.count > 0) {
      struct store_object o = {.key = u.key,
                               .size = parts.size,
                               .is_version = roll(h, 2),
                               .bodies = parts.bodies,
                               .body_count = parts.count,
                               .etag_parts = parts.count};
      code = store_tx_complete(s.tx, &permit_any, &p, u.id, &o, NULL);
    }
    break;
  default:
    code = there ? store_tx_part(s.tx, &permit_any, &p, u.key, u.id, &part, NULL)
                 : store_tx_upload_create(s.tx, &permit_any, &p, &u, NULL);
    if (there) { /* named by the commit */
      step_end(h, &s, code);
      return;
    }
  }
  step_end(h, &s, code);
  store_body_discard(h->r.store, &part.body);
}

static void do_row(struct history *h) {
  struct step s;
  char key[16], value[32];
  snprintf(key, sizeof key, "row%u", (unsigned)roll(h, ROWS));
  snprintf(value, sizeof value, "value %u", (unsigned)roll(h, 10000));
  step_begin(h, &s);
  if (roll(h, 3))
    step_end(h, &s, store_tx_row_put(s.tx, STORE_TABLE_META, slice_str(key), slice_str(value), NULL));
  else
    step_end(h, &s, store_tx_row_delete(s.tx, STORE_TABLE_META, slice_str(key), NULL));
}

/* Items of a foreign subject, staged, removed and staged again. */
static void do_stage(struct history *h) {
  struct step s;
  struct store_item item = {.kind = STORE_ITEM_OBJECT, .prefix = SLICE_LIT("q/"), .absent = roll(h, 3) == 0};
  struct store_body_ref body = {0};
  char key[16];
  uint8_t token[TOKEN_SIZE];
  token_of(token, 2);
  snprintf(key, sizeof key, "q/%u", (unsigned)roll(h, KEYS));
  memset(item.bucket, 9, sizeof item.bucket);
  item.key = slice_str(key);
  item.order = (struct store_order){1, 1 + roll(h, 50)};
  unsigned kind = (unsigned)roll(h, 4);
  if (kind >= 2) {
    item.kind = kind == 2 ? STORE_ITEM_UPLOAD : STORE_ITEM_PART;
    item.upload = (struct store_upload){.key = item.key, .mtime_ms = 4};
    memset(item.upload.id, 'Z', sizeof item.upload.id);
    item.part = (struct store_part){.number = 1 + (uint32_t)roll(h, PARTS)};
    if (!item.absent) meta_roll(h, &item.part);
  }
  bool has_body = !item.absent && item.kind == STORE_ITEM_PART;
  if (has_body) body_make(h, token, h->staged, &body);
  item.part.body = body;
  item.object = (struct store_object){.key = item.key, .size = 3, .inline_body = SLICE_LIT("abc")};
  if (item.kind == STORE_ITEM_OBJECT) item.object.is_version = roll(h, 2);
  if (item.kind == STORE_ITEM_OBJECT && !item.absent && roll(h, 4) == 0)
    item.object =
        (struct store_object){.key = item.key, .is_version = item.object.is_version, .is_marker = true};
  step_begin(h, &s);
  enum dom_code code = store_tx_stage(s.tx, &permit_any, token, h->staged, &item, NULL);
  step_end(h, &s, code);
  if (has_body && code != DOM_OK) store_body_discard(h->r.store, &body);
}

/* The staged epoch is given up: key dropped, erased; the next one begins. */
static void do_erase(struct history *h) {
  struct dom_err err = {0};
  struct vault_key key = {.epoch = h->staged};
  token_of(key.token, 2);
  assert_dom_ok(vault_key_drop(store_vault(h->r.store), &key, 1, NULL, &err), err);
  assert_dom_ok(store_epoch_erase(h->r.store, &permit_any, key.token, h->staged, &err), err);
  key.epoch = ++h->staged;
  assert_dom_ok(vault_key_create(store_vault(h->r.store), &key, &err), err);
}

/* The live subject moves on to another epoch; what lay under the old one is dead. */
static void do_epoch(struct history *h) {
  struct dom_err err = {0};
  struct vault_key key = {.epoch = h->epoch};
  token_of(key.token, 1);
  subject_home(&h->r, 1, h->epoch + 1);
  h->epoch++;
  assert_dom_ok(vault_key_drop(store_vault(h->r.store), &key, 1, NULL, &err), err);
  assert_dom_ok(store_epoch_erase(h->r.store, &permit_any, key.token, h->epoch - 1, &err), err);
}

static void do_upkeep(struct history *h) {
  struct dom_err err = {0};
  struct store_stats stats;
  bool did = true;
  store_stats(h->r.store, &stats);
  store_ledger_reached(h->r.store, stats.applied_lsn);
  for (uint64_t n = 1 + roll(h, 6); n > 0 && did; n--)
    assert_dom_ok(store_upkeep(h->r.store, &did, &err), err);
}

static void do_step(struct history *h) {
  switch (roll(h, 27)) {
  case 24:
  case 25:
  case 26:
    do_amend(h);
    return;
  case 0:
  case 1:
    do_upkeep(h);
    return;
  case 2:
    if (roll(h, 6) == 0) do_erase(h);
    return;
  case 3:
    if (roll(h, 10) == 0) do_epoch(h);
    return;
  case 4:
  case 5:
  case 6:
  case 7:
    do_delete(h);
    return;
  case 8:
  case 9:
  case 10:
  case 11:
    do_upload(h);
    return;
  case 12:
  case 13:
    do_row(h);
    return;
  case 14:
  case 15:
  case 16:
    do_stage(h);
    return;
  default:
    do_put(h);
  }
}

/* ---- everything that can be asked for, as text ---- */

static void hex_put(struct buf *out, const void *data, size_t len) {
  hex_encode(out, slice_of(data, len));
  buf_append_byte(out, ' ');
}

static bool subject_show(void *arg, const struct store_subject *s) {
  buf_printf(arg, "subject %02x state %d epoch %llu allotted %llu home %u\n", s->token[0], (int)s->state,
             (unsigned long long)s->epoch, (unsigned long long)s->epoch_allotted, s->home);
  return true;
}

static bool row_show(void *arg, struct slice key, struct slice value) {
  buf_printf(arg, "row %.*s = %.*s\n", (int)key.len, (const char *)key.data, (int)value.len,
             (const char *)value.data);
  return true;
}

static bool entry_show(void *arg, const struct store_entry *e) {
  buf_printf(arg, "entry %llu.%u %.*s %.*s\n", (unsigned long long)e->lsn, e->position, (int)e->entry.len,
             (const char *)e->entry.data, (int)e->payload.len, (const char *)e->payload.data);
  return true;
}

static void body_show(struct store_view *v, const uint8_t *token, uint64_t epoch,
                      const struct store_item *item, struct buf *out) {
  struct dom_err err = {0};
  struct store_found *f = NULL;
  uint8_t plain[4096];
  size_t len = 0;
  assert_dom_ok(store_item_open(v, PERMIT_MOVE, &permit_any, token, epoch, item, &f, &err), err);
  assert_dom_ok(store_found_read(f, 0, plain, sizeof plain, &len, &err), err);
  hex_put(out, plain, len);
  store_found_free(f);
}

static void walk_show(struct history *h, struct store_view *v, uint8_t fill, uint64_t epoch,
                      struct buf *out) {
  struct store_walk *w = NULL;
  const struct store_item *item = NULL;
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE];
  enum dom_code code;
  (void)h;
  token_of(token, fill);
  assert_dom_ok(store_walk_open(v, PERMIT_MOVE, &permit_any, token, epoch, (struct slice){0}, &w, &err), err);
  while ((code = store_walk_next(w, &item, &err)) == DOM_OK) {
    buf_printf(out, "item %d %02x %.*s order %llu.%llu part %u ", (int)item->kind, item->bucket[0],
               (int)item->key.len, (const char *)item->key.data, (unsigned long long)item->order.epoch,
               (unsigned long long)item->order.lsn, item->kind == STORE_ITEM_PART ? item->part.number : 0);
    if (item->kind != STORE_ITEM_OBJECT) hex_put(out, item->upload.id, 4);
    if (item->kind == STORE_ITEM_OBJECT)
      buf_printf(out, "%d%d %.*s ", item->object.is_version, item->object.is_marker,
                 (int)item->object.meta.len, (const char *)item->object.meta.data);
    if (item->kind != STORE_ITEM_UPLOAD && !item->object.is_marker) body_show(v, token, epoch, item, out);
    buf_append_byte(out, '\n');
  }
  assert_int_equal(code, DOM_NOT_FOUND);
  store_walk_close(w);
}

static void state_show(struct history *h, struct buf *out) {
  struct dom_err err = {0};
  struct store_view *v = NULL;
  uint8_t token[TOKEN_SIZE];
  buf_reset(out);
  list_all(&h->r, 8, (struct slice){0}, (struct slice){0}, 3, out);
  list_all(&h->r, 8, (struct slice){0}, SLICE_LIT("/"), 3, out);
  assert_dom_ok(store_view_open(h->r.store, &v, &err), err);
  assert_dom_ok(store_subject_scan(v, NULL, subject_show, out, &err), err);
  assert_dom_ok(
      store_row_scan(v, STORE_TABLE_META, (struct slice){0}, (struct slice){0}, row_show, out, &err), err);
  for (uint64_t e = 1; e <= h->epoch; e++) walk_show(h, v, 1, e, out);
  for (uint64_t e = 1; e <= h->staged; e++) walk_show(h, v, 2, e, out);
  token_of(token, 1);
  assert_dom_ok(store_entries_of(v, token, entry_show, out, &err), err);
  store_view_close(v);
  assert_dom_ok(store_outbox_scan(h->r.store, 0, entry_show, out, &err), err);
}

static bool files_count(void *arg, const char *name, bool is_dir);
struct files {
  struct disk *disk;
  const char *folder;
  unsigned count;
};
static bool files_count(void *arg, const char *name, bool is_dir) {
  struct files *f = arg;
  char path[32];
  if (!is_dir) {
    f->count++;
    return true;
  }
  struct files sub = {.disk = f->disk};
  snprintf(path, sizeof path, "%s/%.4s", f->folder, name);
  sub.folder = path;
  disk_list(f->disk, path, files_count, &sub, NULL);
  f->count += sub.count;
  return true;
}

static unsigned bodies_left(struct history *h) {
  struct files f = {.disk = h->r.disk, .folder = "bodies"};
  disk_list(h->r.disk, "bodies", files_count, &f, NULL);
  return f.count;
}

static void upkeep_all(struct history *h) {
  struct dom_err err = {0};
  bool did = true;
  for (int i = 0; did; i++) {
    assert_true(i < 1000);
    assert_dom_ok(store_upkeep(h->r.store, &did, &err), err);
  }
}

static void quiet(void *arg, const char *text) {
  fail_msg("seed %llu: %s", *(unsigned long long *)arg, text);
}

static void fsck_clean(struct history *h, unsigned long long seed) {
  struct store_options o = {.disk = h->r.disk,
                            .clock = h->r.clock,
                            .kek = h->r.kek,
                            .deployment = "test-deployment",
                            .region = 7,
                            .segment_bytes = SMALL,
                            .reserve_bytes = 1};
  struct store_fsck_report report;
  struct dom_err err = {0};
  store_close(h->r.store);
  h->r.store = NULL;
  assert_dom_ok(store_fsck(&o, false, quiet, NULL, &seed, &report, &err), err);
  assert_dom_ok(region_reopen(&h->r, &err), err);
}

static void history_run(uint64_t seed) {
  struct history h = {.rng = seed * 77 + 5, .epoch = 1, .staged = 1};
  struct dom_err err = {0};
  struct vault_key key = {.epoch = 1};
  BUF_AUTO was = BUF_INIT;
  BUF_AUTO is = BUF_INIT;
  region_init(&h.r, seed, true);
  h.r.segment_bytes = SMALL;
  assert_dom_ok(region_reopen(&h.r, &err), err);
  subject_home(&h.r, 1, 1);
  token_of(key.token, 2);
  assert_dom_ok(vault_key_create(store_vault(h.r.store), &key, &err), err);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < STEPS; i++) do_step(&h);
    assert_dom_ok(region_reopen(&h.r, &err), err); /* bodies begun and not named go */
    upkeep_all(&h);
    state_show(&h, &was);
    unsigned bodies = bodies_left(&h);
    uint64_t birth = store_index_birth(h.r.store);
    store_close(h.r.store);
    h.r.store = NULL;
    index_wipe(&h.r);
    assert_dom_ok(region_reopen(&h.r, &err), err);
    assert_true(store_index_birth(h.r.store) != birth);
    state_show(&h, &is);
    if (strcmp(buf_str(&is), buf_str(&was)) != 0)
      fail_msg("seed %llu round %d:\n%s\nbecame\n%s", (unsigned long long)seed, round, buf_str(&was),
               buf_str(&is));
    upkeep_all(&h);
    state_show(&h, &is);
    assert_string_equal(buf_str(&is), buf_str(&was));
    assert_int_equal(bodies_left(&h), bodies);
    fsck_clean(&h, seed);
  }
  region_done(&h.r);
}

static void rebuilds(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) history_run(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rebuilds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
