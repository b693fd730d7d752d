/* The manifest: SHA-256 over every item in walk order, as both sides see it in their own store. */
#include <assert.h>

#include "move/move_internal.h"

/* What of an item both sides must agree on. Body ids and LSNs of records differ by side and stay out. */
static void item_digest(const struct store_item *item, struct buf *b) {
  put_u8(b, (uint8_t)item->kind);
  buf_append(b, item->bucket, STORE_BUCKET_ID_SIZE);
  put_bytes16be(b, item->key);
  put_u64be(b, item->order.epoch);
  put_u64be(b, item->order.lsn);
  struct slice meta = item->kind == STORE_ITEM_OBJECT ? item->object.meta
                      : item->kind == STORE_ITEM_PART ? slice_of(item->part.meta, item->part.meta_len)
                                                      : item->upload.meta;
  struct slice classes = item->kind == STORE_ITEM_OBJECT ? item->object.classes : item->upload.classes;
  uint8_t hash[SHA256_SIZE];
  sha256_slices((const struct slice[]){meta, SLICE_LIT("\0"), classes}, 3, hash);
  buf_append(b, hash, sizeof hash);
  if (item->kind == STORE_ITEM_OBJECT) {
    put_u8(b, (uint8_t)(item->object.is_version + 2 * item->object.is_marker));
    put_u64be(b, item->object.size);
    put_u64be(b, item->object.mtime_ms);
    buf_append(b, item->object.etag_md5, MD5_SIZE);
    put_u32be(b, item->object.etag_parts);
    buf_append(b, item->object.sha256, SHA256_SIZE);
    return;
  }
  buf_append(b, item->upload.id, STORE_UPLOAD_ID_SIZE);
  put_u64be(b, item->kind == STORE_ITEM_PART ? item->part.mtime_ms : item->upload.mtime_ms);
  if (item->kind == STORE_ITEM_PART) {
    put_u32be(b, item->part.number);
    put_u64be(b, item->part.body.size);
    buf_append(b, item->part.md5, MD5_SIZE);
    buf_append(b, item->part.body.sha256, SHA256_SIZE);
  }
}

static enum dom_code walk_all(struct store_walk *w, struct hash *hash, uint64_t *objects, uint64_t *bytes,
                              struct dom_err *err) {
  BUF_AUTO b = BUF_INIT;
  for (;;) {
    const struct store_item *item;
    enum dom_code code = store_walk_next(w, &item, err);
    if (code == DOM_NOT_FOUND) return DOM_OK;
    if (code) return code;
    assert(!item->absent);
    buf_reset(&b);
    item_digest(item, &b);
    if ((code = buf_check(&b, err))) return code;
    hash_update(hash, b.data, b.len);
    if (item->kind == STORE_ITEM_OBJECT) {
      ++*objects;
      *bytes += item->object.size;
    }
  }
}

enum dom_code manifest_compute(struct mover *m, enum permit_action action, const struct permit *permit,
                               const uint8_t token[TOKEN_SIZE], uint64_t epoch, uint8_t out[SHA256_SIZE],
                               uint64_t *out_objects, uint64_t *out_bytes, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_walk *w = NULL;
  uint64_t objects = 0, bytes = 0;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_walk_open(v, action, permit, token, epoch, SLICE_LIT(""), &w, err);
  if (code) return code;
  struct hash *hash = hash_new(HASH_SHA256);
  code = hash ? walk_all(w, hash, &objects, &bytes, err)
              : dom_fail(err, DOM_NO_MEMORY, "move/manifest", "no memory");
  store_walk_close(w);
  if (!code) {
    hash_final(hash, out);
    *out_objects = objects;
    *out_bytes = bytes;
  }
  hash_free(hash);
  return code;
}
