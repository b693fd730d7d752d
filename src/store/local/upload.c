/* Multipart uploads: rows of their own until completed. */
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/local/engine.h"

static const char where[] = "store/upload";

/* ---- reading ---- */

enum dom_code upload_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                             const uint8_t id[STORE_UPLOAD_ID_SIZE], struct row_upload *out,
                             struct dom_err *err) {
  assert(key.len <= STORE_KEY_MAX);
  buf_reset(&v->key);
  row_upload_cell(&v->key, ROW_UPLOAD, place->bucket, key, place->epoch, id);
  if (v->key.failed) return buf_check(&v->key, err);
  enum dom_code code = index_get(&v->index, buf_slice(&v->key), &v->value, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, where, "no such upload");
  if (code != DOM_OK) return code;
  if (!row_upload_parse(buf_slice(&v->value), out)) return dom_fail(err, DOM_CORRUPT, where, "bad row");
  if (memcmp(out->token, place->token, TOKEN_SIZE) != 0)
    return dom_fail(err, DOM_NOT_FOUND, where, "no such upload");
  return DOM_OK;
}

enum dom_code part_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                           const uint8_t id[STORE_UPLOAD_ID_SIZE], uint32_t part, struct row_part *out,
                           struct dom_err *err) {
  assert(part >= 1 && part <= STORE_PART_MAX);
  buf_reset(&v->key);
  row_part_cell(&v->key, place->bucket, key, place->epoch, id, part);
  if (v->key.failed) return buf_check(&v->key, err);
  enum dom_code code = index_get(&v->index, buf_slice(&v->key), &v->value, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, where, "no such part");
  if (code != DOM_OK) return code;
  if (!row_part_parse(buf_slice(&v->value), out)) return dom_fail(err, DOM_CORRUPT, where, "bad row");
  if (memcmp(out->token, place->token, TOKEN_SIZE) != 0)
    return dom_fail(err, DOM_NOT_FOUND, where, "no such part");
  return DOM_OK;
}

enum dom_code store_upload_get(struct store_view *v, const struct store_place *place, struct slice key,
                               const uint8_t id[STORE_UPLOAD_ID_SIZE], struct store_upload *out,
                               struct dom_err *err) {
  struct row_upload row;
  struct change c = {0};
  BUF_AUTO row_key = BUF_INIT;
  BUF_AUTO payload = BUF_INIT;
  RECORD_PLAIN_AUTO plain = {0};
  enum dom_code code = subject_check(v, place->token, place->epoch, false, err);
  if (code == DOM_OK) code = upload_row_get(v, place, key, id, &row, err);
  if (code != DOM_OK) return code;
  buf_append_slice(&row_key, buf_slice(&v->key));
  if (row_key.failed) return buf_check(&row_key, err);
  code = record_fetch(v->store, CHANGE_UPLOAD, buf_slice(&row_key), 0, &row.at, &payload, &plain, &c, err);
  if (code != DOM_OK) return code;
  if (!slice_equal(c.key, key) || memcmp(c.upload, id, STORE_UPLOAD_ID_SIZE) != 0) {
    return dom_fail(err, DOM_CORRUPT, where, "record of another upload");
  }
  struct store_upload u = {.mtime_ms = row.mtime_ms};
  memcpy(u.id, id, sizeof u.id);
  code = view_keep(v, c.key, &u.key, err);
  if (code == DOM_OK) code = view_keep(v, c.meta, &u.meta, err);
  if (code == DOM_OK) code = view_keep(v, c.classes, &u.classes, err);
  if (code == DOM_OK) *out = u;
  return code;
}

enum dom_code store_part_scan(struct store_view *v, const struct store_place *place, struct slice key,
                              const uint8_t id[STORE_UPLOAD_ID_SIZE], uint32_t after, store_part_fn fn,
                              void *arg, struct dom_err *err) {
  assert(fn != NULL);
  struct row_upload upload;
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO from = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = upload_row_get(v, place, key, id, &upload, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  row_upload_cell(&stem, ROW_PART, place->bucket, key, place->epoch, id);
  buf_append_slice(&from, buf_slice(&stem));
  put_u32be(&from, after + 1);
  if (from.failed || stem.failed) return dom_fail(err, DOM_NO_MEMORY, where, "keys");
  for (index_seek(&it, buf_slice(&from)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    struct row_part row;
    if (!row_part_parse(it.value, &row) || it.key.len != stem.len + 4)
      return dom_fail(err, DOM_CORRUPT, where, "bad row");
    struct store_part part = {
        .number = load_u32be(it.key.data + stem.len), .mtime_ms = row.mtime_ms, .body = row.body};
    memcpy(part.md5, row.md5, MD5_SIZE);
    memcpy(part.meta, row.meta, part.meta_len = row.meta_len);
    if (!fn(arg, &part)) return DOM_OK;
  }
  return index_iter_check(&it, err);
}

/* ---- listing a bucket's uploads ---- */

struct upload_seen {
  struct row_upload row;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
};

/* The uploads of one key, to be shown oldest first. */
struct upload_group {
  struct store_view *view;
  struct slice after_key;
  const uint8_t *after_id;
  store_upload_fn fn;
  void *arg;
  struct buf name;
  struct upload_seen *seen;
  uint32_t count, cap;
  bool stopped;
};

static int by_order(const void *a, const void *b) {
  const struct upload_seen *x = a, *y = b;
  if (x->row.order.epoch != y->row.order.epoch) return x->row.order.epoch < y->row.order.epoch ? -1 : 1;
  if (x->row.order.lsn != y->row.order.lsn) return x->row.order.lsn < y->row.order.lsn ? -1 : 1;
  return memcmp(x->id, y->id, STORE_UPLOAD_ID_SIZE);
}

static enum dom_code group_show(struct upload_group *g, struct dom_err *err) {
  uint32_t first = 0;
  assert(g->count <= g->cap);
  if (g->count == 0) return DOM_OK;
  qsort(g->seen, g->count, sizeof *g->seen, by_order);
  if (g->after_id && slice_equal(buf_slice(&g->name), g->after_key)) {
    for (uint32_t i = 0; i < g->count; i++) {
      if (memcmp(g->seen[i].id, g->after_id, STORE_UPLOAD_ID_SIZE) == 0) first = i + 1;
    }
  }
  for (uint32_t i = first; i < g->count && !g->stopped; i++) {
    struct store_subject subject;
    struct store_upload u = {.key = buf_slice(&g->name), .mtime_ms = g->seen[i].row.mtime_ms};
    memcpy(u.id, g->seen[i].id, sizeof u.id);
    enum dom_code code = store_subject_get(g->view, g->seen[i].row.token, &subject, err);
    if (code != DOM_OK) return code;
    g->stopped = !g->fn(g->arg, &subject, &u);
  }
  g->count = 0;
  return DOM_OK;
}

static enum dom_code group_add(struct upload_group *g, const struct row_upload *row, struct slice id,
                               struct dom_err *err) {
  assert(id.len == STORE_UPLOAD_ID_SIZE);
  if (g->count == g->cap) {
    uint32_t cap = g->cap * 2 + 8;
    struct upload_seen *grown = dom_realloc(g->seen, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, where, "%u uploads", cap);
    g->seen = grown;
    g->cap = cap;
  }
  g->seen[g->count].row = *row;
  memcpy(g->seen[g->count++].id, id.data, id.len);
  return DOM_OK;
}

static enum dom_code group_row(struct upload_group *g, const struct index_iter *it, struct buf *scratch,
                               struct slice prefix, bool *done, struct dom_err *err) {
  struct row_name n;
  struct row_upload row;
  struct dom_err why = {0};
  if (!row_name_parse(it->key, scratch, &n) || n.rest.len != STORE_UPLOAD_ID_SIZE ||
      !row_upload_parse(it->value, &row)) {
    return dom_fail(err, DOM_CORRUPT, where, "bad row");
  }
  if (!slice_starts_with(n.name, prefix)) {
    *done = true;
    return DOM_OK;
  }
  if (!slice_equal(n.name, buf_slice(&g->name))) {
    enum dom_code code = group_show(g, err);
    if (code != DOM_OK || g->stopped) return code;
    buf_reset(&g->name);
    buf_append_slice(&g->name, n.name);
    if (g->name.failed) return buf_check(&g->name, err);
  }
  enum dom_code code = subject_check(g->view, row.token, n.epoch, false, &why);
  if (code == DOM_OK) return group_add(g, &row, n.rest, err);
  bool elsewhere = code == DOM_NOT_FOUND || code == DOM_STALE_EPOCH || code == DOM_ELSEWHERE;
  return elsewhere ? DOM_OK : dom_fail(err, code, why.where, "%s", why.text);
}

static void upload_scan_start(const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice prefix,
                              struct slice after_key, bool skip_key, struct buf *from) {
  bool after = after_key.len > 0 && slice_compare(after_key, prefix) >= 0;
  put_u8(from, ROW_UPLOAD);
  buf_append(from, bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(from, after ? after_key : prefix, false);
  if (after && skip_key) buf_append(from, "\x00\x02", 2); /* behind the key's own rows */
  assert(from->failed || from->len > STORE_BUCKET_ID_SIZE);
}

enum dom_code store_upload_scan(struct store_view *v, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
                                struct slice prefix, struct slice after_key, const uint8_t *after_id,
                                store_upload_fn fn, void *arg, struct dom_err *err) {
  assert(fn != NULL);
  struct upload_group g = {.view = v, .after_key = after_key, .after_id = after_id, .fn = fn, .arg = arg};
  BUF_AUTO from = BUF_INIT;
  BUF_AUTO scratch = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  bool done = false;
  upload_scan_start(bucket, prefix, after_key, after_id == NULL, &from);
  enum dom_code code = from.failed ? buf_check(&from, err) : index_iter_init(&it, &v->index, err);
  if (code == DOM_OK) index_seek(&it, buf_slice(&from));
  while (code == DOM_OK && !done && !g.stopped && it.valid && it.key.data[0] == ROW_UPLOAD &&
         memcmp(it.key.data + 1, bucket, STORE_BUCKET_ID_SIZE) == 0) {
    code = group_row(&g, &it, &scratch, prefix, &done, err);
    if (code == DOM_OK && !done && !g.stopped) index_next(&it);
  }
  if (code == DOM_OK) code = index_iter_check(&it, err);
  if (code == DOM_OK && !g.stopped) code = group_show(&g, err);
  buf_done(&g.name);
  dom_free(g.seen);
  return code;
}

/* ---- changing ---- */

struct change upload_change(enum change_kind kind, const struct store_place *place, struct slice key,
                            const uint8_t id[STORE_UPLOAD_ID_SIZE]) {
  struct change c = {.kind = kind,
                     .epoch = place->epoch,
                     .order = {.epoch = place->epoch},
                     .item = STORE_ITEM_UPLOAD,
                     .key = key,
                     .prefix_len = (uint32_t)place->prefix.len};
  assert(kind == CHANGE_UPLOAD || kind == CHANGE_PART || kind == CHANGE_DELETE);
  if (kind == CHANGE_DELETE) c.order.epoch = 0;
  memcpy(c.token, place->token, TOKEN_SIZE);
  memcpy(c.bucket, place->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(c.upload, id, STORE_UPLOAD_ID_SIZE);
  return c;
}

static uint64_t upload_hash(const struct store_place *place, struct slice key,
                            const uint8_t id[STORE_UPLOAD_ID_SIZE], uint64_t salt) {
  BUF_AUTO cell = BUF_INIT;
  row_upload_cell(&cell, ROW_UPLOAD, place->bucket, key, place->epoch, id);
  return cell.failed ? 0 : writer_hash(buf_slice(&cell), salt);
}

bool tx_stages_upload(const struct store_tx *tx, const struct store_place *place, struct slice key,
                      const uint8_t id[STORE_UPLOAD_ID_SIZE]) {
  return tx_changes(tx, upload_hash(place, key, id, 0));
}

enum dom_code store_tx_upload_create(struct store_tx *tx, const struct permit *permit,
                                     const struct store_place *place, const struct store_upload *u,
                                     struct dom_err *err) {
  enum dom_code code = tx_place_check(tx, PERMIT_STORE, permit, place, u->key, err);
  if (code != DOM_OK) return code;
  struct change c = upload_change(CHANGE_UPLOAD, place, u->key, u->id);
  c.mtime_ms = u->mtime_ms;
  c.meta = u->meta;
  c.classes = u->classes;
  tx->grows = true;
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_part(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                            struct slice key, const uint8_t id[STORE_UPLOAD_ID_SIZE],
                            const struct store_part *part, struct dom_err *err) {
  assert(part != NULL && place_holds(place, key));
  struct row_upload row;
  if (part->number < 1 || part->number > STORE_PART_MAX)
    return dom_fail(err, DOM_INVALID, where, "part number");
  enum dom_code code = tx_place_check(tx, PERMIT_STORE, permit, place, key, err);
  if (code == DOM_OK) code = upload_row_get(tx->view, place, key, id, &row, err);
  if (code == DOM_OK) code = tx_read(tx, upload_hash(place, key, id, 0), err);
  if (code == DOM_OK) code = tx_write(tx, upload_hash(place, key, id, TX_SALT_PARTS), err);
  if (code != DOM_OK) return code;
  struct change c = part_change(place, key, id, part);
  tx->grows = true;
  return tx_add(tx, &c, (struct slice){0}, err);
}

struct change part_change(const struct store_place *place, struct slice key,
                          const uint8_t id[STORE_UPLOAD_ID_SIZE], const struct store_part *part) {
  struct change c = upload_change(CHANGE_PART, place, key, id);
  assert(part->number >= 1 && part->number <= STORE_PART_MAX);
  c.part = part->number;
  c.mtime_ms = part->mtime_ms;
  c.size = part->body.size;
  c.bodies = &part->body;
  c.body_count = 1;
  c.meta = slice_of(part->meta, part->meta_len);
  memcpy(c.md5, part->md5, MD5_SIZE);
  return c;
}

/* The upload goes, with all parts as the view shows them. */
static enum dom_code upload_end(struct store_tx *tx, const struct store_place *place, struct slice key,
                                const uint8_t id[STORE_UPLOAD_ID_SIZE], struct dom_err *err) {
  assert(place_holds(place, key));
  struct row_upload row;
  enum dom_code code = upload_row_get(tx->view, place, key, id, &row, err);
  if (code == DOM_OK) code = tx_read(tx, upload_hash(place, key, id, TX_SALT_PARTS), err);
  if (code != DOM_OK) return code;
  struct change c = upload_change(CHANGE_DELETE, place, key, id);
  return tx_add(tx, &c, (struct slice){0}, err);
}

/* Parts stand in order of number in both lists, so one walk tells whether one is in the other. */
static bool bodies_among(const struct store_object *o, const struct buf *parts) {
  size_t at = 0;
  for (uint32_t i = 0; i < o->body_count; i++) {
    while (at < parts->len && memcmp(parts->data + at, o->bodies[i].id, STORE_BODY_ID_SIZE) != 0)
      at += STORE_BODY_ID_SIZE;
    if (at >= parts->len) return false;
    at += STORE_BODY_ID_SIZE;
  }
  return true;
}

enum dom_code store_tx_complete(struct store_tx *tx, const struct permit *permit,
                                const struct store_place *place, const uint8_t id[STORE_UPLOAD_ID_SIZE],
                                const struct store_object *o, struct dom_err *err) {
  enum dom_code code = tx_place_check(tx, PERMIT_STORE, permit, place, o->key, err);
  if (code == DOM_OK) code = object_valid(o, err);
  if (code == DOM_OK) code = upload_end(tx, place, o->key, id, err); /* before the put: it adopts */
  if (code != DOM_OK) return code;
  if (o->body_count == 0 || !bodies_among(o, &tx->items[tx->count - 1].prev.lost)) {
    tx->failed = true;
    return dom_fail(err, DOM_INVALID, where, "bodies are not those of its parts in order");
  }
  struct change c = object_change(place, o);
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_upload_abort(struct store_tx *tx, const struct permit *permit,
                                    const struct store_place *place, struct slice key,
                                    const uint8_t id[STORE_UPLOAD_ID_SIZE], struct dom_err *err) {
  enum dom_code code = tx_place_check(tx, PERMIT_DELETE, permit, place, key, err);
  return code == DOM_OK ? upload_end(tx, place, key, id, err) : code;
}
