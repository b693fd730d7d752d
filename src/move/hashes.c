/* SHA-256 of bodies: read back at the target, and computed at the source where no row has it. */
#include <assert.h>
#include <string.h>

#include "move/move_internal.h"

static enum dom_code hash_chunks(struct store_found *found, uint64_t at, uint64_t size, struct hash *hash,
                                 uint8_t *chunk, struct dom_err *err) {
  while (size > 0) {
    size_t want = size < MOVE_READ_CHUNK ? (size_t)size : MOVE_READ_CHUNK, got = 0;
    enum dom_code code = store_found_read(found, at, chunk, want, &got, err);
    if (code) return code;
    if (got != want)
      return dom_fail(err, DOM_CORRUPT, "move/hashes", "a body is shorter than its record says");
    hash_update(hash, chunk, got);
    at += got;
    size -= got;
  }
  return DOM_OK;
}

enum dom_code hashes_add(struct store_found *found, uint64_t at, uint64_t size, struct hash *hash,
                         struct dom_err *err) {
  size_t most = size < MOVE_READ_CHUNK ? (size_t)size + 1 : MOVE_READ_CHUNK;
  uint8_t *chunk = dom_alloc(most);
  if (!chunk) return dom_fail(err, DOM_NO_MEMORY, "move/hashes", "no memory");
  enum dom_code code = hash_chunks(found, at, size, hash, chunk, err);
  wipe(chunk, most);
  dom_free(chunk);
  return code;
}

enum dom_code hashes_read(struct store_found *found, uint64_t at, uint64_t size, uint8_t out[SHA256_SIZE],
                          struct dom_err *err) {
  struct hash *hash = hash_new(HASH_SHA256);
  if (!hash) return dom_fail(err, DOM_NO_MEMORY, "move/hashes", "no memory");
  enum dom_code code = hashes_add(found, at, size, hash, err);
  if (!code) hash_final(hash, out);
  hash_free(hash);
  return code;
}

bool hashes_known(const struct store_item *item) {
  if (item->absent || item->kind == STORE_ITEM_UPLOAD) return true;
  if (item->kind == STORE_ITEM_PART) return store_sha256_known(item->part.body.sha256);
  if (item->object.is_marker) return true;
  bool known = store_sha256_known(item->object.sha256);
  for (uint32_t i = 0; known && i < item->object.body_count; i++)
    known = store_sha256_known(item->object.bodies[i].sha256);
  return known;
}

enum dom_code hashes_of_bodies(struct store_object *o, struct dom_err *err) {
  assert(o->body_count > 0);
  if (store_sha256_known(o->sha256)) return DOM_OK;
  if (o->body_count == 1 && o->etag_parts == 0) { /* one body, not an upload of one part */
    memcpy(o->sha256, o->bodies[0].sha256, SHA256_SIZE);
    return DOM_OK;
  }
  struct hash *hash = hash_new(HASH_SHA256);
  if (!hash) return dom_fail(err, DOM_NO_MEMORY, "move/hashes", "no memory");
  for (uint32_t i = 0; i < o->body_count; i++) hash_update(hash, o->bodies[i].sha256, SHA256_SIZE);
  hash_final(hash, o->sha256);
  hash_free(hash);
  return DOM_OK;
}

enum dom_code hashes_own(struct store_item *item, struct store_body_ref **out_refs, struct dom_err *err) {
  if (item->kind != STORE_ITEM_OBJECT || item->object.body_count == 0) return DOM_OK;
  size_t size = item->object.body_count * sizeof **out_refs;
  struct store_body_ref *refs = dom_alloc(size);
  if (!refs) return dom_fail(err, DOM_NO_MEMORY, "move/hashes", "no memory");
  memcpy(refs, item->object.bodies, size);
  item->object.bodies = refs;
  *out_refs = refs;
  return DOM_OK;
}

static enum dom_code fill_bodies(struct store_found *found, struct store_object *o,
                                 struct store_body_ref *refs, struct dom_err *err) {
  uint64_t at = 0;
  for (uint32_t i = 0; i < o->body_count; i++) {
    enum dom_code code = store_sha256_known(refs[i].sha256)
                             ? DOM_OK
                             : hashes_read(found, at, refs[i].size, refs[i].sha256, err);
    if (code) return code;
    at += refs[i].size;
  }
  return hashes_of_bodies(o, err);
}

enum dom_code hashes_fill(struct store_found *found, struct store_item *item, struct store_body_ref *refs,
                          struct dom_err *err) {
  assert(!item->absent && item->kind != STORE_ITEM_UPLOAD && !item->object.is_marker);
  if (item->kind == STORE_ITEM_PART)
    return hashes_read(found, 0, item->part.body.size, item->part.body.sha256, err);
  if (item->object.body_count == 0) return hashes_read(found, 0, item->object.size, item->object.sha256, err);
  assert(refs && refs == item->object.bodies);
  return fill_bodies(found, &item->object, refs, err);
}
