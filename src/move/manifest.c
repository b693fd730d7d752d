/* The manifest: SHA-256 over the digests of all items in walk order, as each side sees them in its own store.
 */
#include <assert.h>
#include <string.h>

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

void manifest_line(const struct store_item *item, struct memo_line *out) {
  BUF_AUTO b = BUF_INIT;
  assert(!item->absent && hashes_known(item));
  *out = (struct memo_line){.kind = item->kind};
  item_digest(item, &b);
  assert(!b.failed);
  sha256(b.data, b.len, out->digest);
  memcpy(out->stamp, item->stamp, SHA256_SIZE);
  if (item->kind == STORE_ITEM_OBJECT) out->bytes = item->object.size;
}

/* Its row has no hash, and nobody has it in mind. */
static enum dom_code hash_now(const struct manifest_of *of, struct store_view *v, struct store_item *item,
                              struct store_body_ref **refs, struct dom_err *err) {
  struct store_found *found = NULL;
  enum dom_code code = store_item_open(v, of->action, of->permit, of->token, of->epoch, item, &found, err);
  if (!code) code = hashes_own(item, refs, err);
  if (!code) code = hashes_fill(found, item, *refs, err);
  store_found_free(found);
  return code;
}

/* Reads the item that the walk stands on. */
static enum dom_code line_read(const struct manifest_of *of, struct store_view *v, struct store_walk *w,
                               struct memo_line *out, struct dom_err *err) {
  const struct store_item *item;
  enum dom_code code = store_walk_item(w, &item, err);
  if (code) return code;
  struct store_item full = *item;
  struct store_body_ref *refs = NULL;
  if (!hashes_known(item)) code = hash_now(of, v, &full, &refs, err);
  if (!code) manifest_line(&full, out);
  if (!code && of->memo) memo_put(of->memo, out);
  dom_free(refs);
  return code;
}

struct sum {
  struct hash *hash;
  uint64_t objects, bytes;
};

static enum dom_code walk_all(const struct manifest_of *of, struct store_view *v, struct store_walk *w,
                              struct sum *sum, struct dom_err *err) {
  for (;;) {
    uint8_t stamp[SHA256_SIZE];
    struct memo_line line;
    enum dom_code code = store_walk_step(w, stamp, err);
    if (code == DOM_NOT_FOUND) return DOM_OK;
    if (!code && !(of->memo && memo_get(of->memo, stamp, &line))) code = line_read(of, v, w, &line, err);
    if (code) return code;
    hash_update(sum->hash, line.digest, SHA256_SIZE);
    sum->objects += line.kind == STORE_ITEM_OBJECT;
    sum->bytes += line.bytes;
  }
}

enum dom_code manifest_compute(const struct manifest_of *of, uint8_t out[SHA256_SIZE], uint64_t *out_objects,
                               uint64_t *out_bytes, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_walk *w = NULL;
  enum dom_code code = store_view_open(of->m->o.store, &v, err);
  if (!code) code = store_walk_open(v, of->action, of->permit, of->token, of->epoch, SLICE_LIT(""), &w, err);
  if (code) return code;
  struct sum sum = {.hash = hash_new(HASH_SHA256)};
  code =
      sum.hash ? walk_all(of, v, w, &sum, err) : dom_fail(err, DOM_NO_MEMORY, "move/manifest", "no memory");
  store_walk_close(w);
  if (!code) {
    hash_final(sum.hash, out);
    *out_objects = sum.objects;
    *out_bytes = sum.bytes;
  }
  hash_free(sum.hash);
  return code;
}
