#include <assert.h>

#include "store/local/engine.h"

enum dom_code object_valid(const struct store_object *o, struct dom_err *err) {
  static const char where[] = "store/tx: object";
  uint64_t size = o->inline_body.len;
  if (o->meta.len > STORE_META_MAX || o->classes.len > STORE_CLASSES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where, "metadata");
  if (o->body_count > STORE_PART_MAX) return dom_fail(err, DOM_TOO_LARGE, where, "%u bodies", o->body_count);
  if (o->inline_body.len > STORE_INLINE_MAX) return dom_fail(err, DOM_TOO_LARGE, where, "inline body");
  if (o->body_count > 0) {
    size = 0;
    assert(o->inline_body.len == 0 && o->bodies != NULL);
    for (uint32_t i = 0; i < o->body_count; i++) size += o->bodies[i].size;
  }
  if (o->is_marker && (size > 0 || o->body_count > 0 || o->meta.len > 0))
    return dom_fail(err, DOM_INVALID, where, "a delete marker with content");
  if (size != o->size) return dom_fail(err, DOM_INVALID, where, "size is not that of its bodies");
  return DOM_OK;
}

struct change object_change(const struct store_place *place, const struct store_object *o) {
  struct change c = {.kind = CHANGE_PUT,
                     .epoch = place->epoch,
                     .order = {.epoch = place->epoch},
                     .versioned = o->is_version,
                     .marker = o->is_marker,
                     .size = o->size,
                     .inlined = o->body_count == 0 && !o->is_marker,
                     .bodies = o->bodies,
                     .body_count = o->body_count,
                     .key = o->key,
                     .prefix_len = (uint32_t)place->prefix.len,
                     .mtime_ms = o->mtime_ms,
                     .etag_parts = o->etag_parts,
                     .meta = o->meta,
                     .classes = o->classes};
  assert(place_holds(place, o->key));
  memcpy(c.token, place->token, TOKEN_SIZE);
  memcpy(c.bucket, place->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(c.md5, o->etag_md5, MD5_SIZE);
  memcpy(c.sha256, o->sha256, SHA256_SIZE);
  return c;
}

enum dom_code store_tx_put(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                           const struct store_object *o, struct dom_err *err) {
  assert((o->bodies != NULL || o->body_count == 0) && !o->is_marker);
  enum dom_code code = tx_place_check(tx, PERMIT_STORE, permit, place, o->key, err);
  if (code == DOM_OK) code = object_valid(o, err);
  if (code != DOM_OK) return code;
  struct change c = object_change(place, o);
  tx->grows = true;
  return tx_add(tx, &c, o->inline_body, err);
}

/* The body of a version whose record holds it, as plaintext. */
static enum dom_code inline_read(struct store_found *f, struct buf *out, struct dom_err *err) {
  const struct store_object *o = store_found_object(f);
  size_t got = 0;
  assert(o->body_count == 0 && o->size <= STORE_INLINE_MAX);
  if (!buf_reserve(out, (size_t)o->size + 1)) return buf_check(out, err);
  enum dom_code code = store_found_read(f, 0, out->data, (size_t)o->size, &got, err);
  if (code == DOM_OK && got != o->size)
    code = dom_fail(err, DOM_CORRUPT, "store/tx: amend", "the body is shorter than its record says");
  out->len = got;
  return code;
}

/* A put of the same order: whatever ends the version, or moves or copies it, knows it already. */
static enum dom_code amend_add(struct store_tx *tx, const struct permit *permit,
                               const struct store_place *place, struct store_found *f, struct slice meta,
                               struct dom_err *err) {
  __attribute__((cleanup(buf_wipe_done))) struct buf body = BUF_INIT;
  struct store_object o = *store_found_object(f);
  o.meta = meta;
  enum dom_code code = tx_place_check(tx, PERMIT_STORE, permit, place, o.key, err);
  if (code == DOM_OK && o.body_count == 0) code = inline_read(f, &body, err);
  if (code != DOM_OK) return code;
  o.inline_body = buf_slice(&body);
  code = object_valid(&o, err);
  if (code != DOM_OK) return code;
  struct change c = object_change(place, &o);
  c.order = o.order;
  tx->grows = true;
  return tx_add(tx, &c, o.inline_body, err);
}

enum dom_code store_tx_amend(struct store_tx *tx, const struct permit *permit,
                             const struct store_place *place, struct store_found *f, struct slice meta,
                             struct dom_err *err) {
  assert(!store_found_object(f)->is_marker && store_found_object(f)->order.lsn > 0);
  enum dom_code code = amend_add(tx, permit, place, f, meta, err);
  if (code != DOM_OK) tx->failed = true; /* what goes with it must not be committed alone */
  return code;
}

/* What is read of a key, and what is current of it, is guarded by its cell, whichever version changes. */
static enum dom_code key_guard(struct store_tx *tx, const struct store_place *place, struct slice key,
                               bool *out_again, uint64_t *out_hash, struct dom_err *err) {
  BUF_AUTO cell = BUF_INIT;
  row_cell(&cell, ROW_OBJECT, place->bucket, key, place->epoch);
  if (cell.failed) return buf_check(&cell, err);
  *out_hash = writer_hash(buf_slice(&cell), 0);
  *out_again = tx_changes(tx, *out_hash);
  return DOM_OK;
}

static struct change delete_change(const struct store_place *place, struct slice key,
                                   const struct store_version *which) {
  struct change c = {.kind = CHANGE_DELETE,
                     .epoch = place->epoch,
                     .item = STORE_ITEM_OBJECT,
                     .versioned = !which->is_null,
                     .key = key,
                     .prefix_len = (uint32_t)place->prefix.len};
  if (c.versioned) c.order = which->order;
  memcpy(c.token, place->token, TOKEN_SIZE);
  memcpy(c.bucket, place->bucket, STORE_BUCKET_ID_SIZE);
  return c;
}

enum dom_code store_tx_delete_version(struct store_tx *tx, const struct permit *permit,
                                      const struct store_place *place, struct slice key,
                                      const struct store_version *which, bool *out_marker,
                                      struct dom_err *err) {
  struct object_at at = {0};
  uint64_t hash = 0;
  bool again = false;
  assert(which->is_null || which->order.lsn > 0);
  enum dom_code code = tx_place_check(tx, PERMIT_DELETE, permit, place, key, err);
  if (code == DOM_OK) code = key_guard(tx, place, key, &again, &hash, err);
  if (code != DOM_OK) return code;
  if (again && which->is_null && tx_deletes(tx, hash)) return DOM_OK; /* named twice in one request */
  code = object_row_get(tx->view, place, key, which, &at, NULL);
  buf_done(&at.key);
  if (code == DOM_OK || code == DOM_NOT_FOUND) *out_marker = code == DOM_OK && at.row.marker;
  if (code == DOM_NOT_FOUND) return tx_read(tx, hash, err);
  if (code != DOM_OK) return dom_fail(err, code, "store/tx: delete", "the object's row cannot be read");
  if (!which->is_null) {
    if (again) return dom_fail(err, DOM_INVALID, "store/tx: delete", "the same thing twice");
    code = tx_read(tx, hash, err);
    if (code == DOM_OK) code = tx_write(tx, hash, err);
    if (code != DOM_OK) return code;
  }
  struct change c = delete_change(place, key, which);
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_delete(struct store_tx *tx, const struct permit *permit,
                              const struct store_place *place, struct slice key, struct dom_err *err) {
  static const struct store_version null_version = {.is_null = true};
  bool marker = false;
  assert(tx != NULL);
  return store_tx_delete_version(tx, permit, place, key, &null_version, &marker, err);
}

enum dom_code store_tx_mark(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                            struct slice key, bool is_version, uint64_t mtime_ms, struct dom_err *err) {
  struct store_object o = {.key = key, .is_version = is_version, .is_marker = true, .mtime_ms = mtime_ms};
  assert(tx != NULL);
  enum dom_code code = tx_place_check(tx, PERMIT_DELETE, permit, place, key, err);
  if (code != DOM_OK) return code;
  struct change c = object_change(place, &o);
  return tx_add(tx, &c, (struct slice){0}, err);
}
