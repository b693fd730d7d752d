/* Items on the wire; big-endian, described byte by byte in docs/formats/handoff.md. */
#include <assert.h>

#include "move/move_internal.h"

static void put_ref(struct buf *b, const struct store_body_ref *ref) {
  buf_append(b, ref->id, STORE_BODY_ID_SIZE);
  put_u64be(b, ref->size);
  buf_append(b, ref->sha256, SHA256_SIZE);
}

static void get_ref(struct reader *r, struct store_body_ref *ref) {
  get_copy(r, ref->id, STORE_BODY_ID_SIZE);
  ref->size = get_u64be(r);
  get_copy(r, ref->sha256, SHA256_SIZE);
}

static void put_object(struct buf *b, const struct store_object *o) {
  put_u64be(b, o->size);
  put_u64be(b, o->mtime_ms);
  buf_append(b, o->etag_md5, MD5_SIZE);
  put_u32be(b, o->etag_parts);
  buf_append(b, o->sha256, SHA256_SIZE);
  put_bytes32be(b, o->meta);
  put_bytes16be(b, o->classes);
  put_u32be(b, o->body_count);
  for (uint32_t i = 0; i < o->body_count; i++) put_ref(b, &o->bodies[i]);
}

static void put_upload(struct buf *b, const struct store_upload *u) {
  buf_append(b, u->id, STORE_UPLOAD_ID_SIZE);
  put_u64be(b, u->mtime_ms);
  put_bytes32be(b, u->meta);
  put_bytes16be(b, u->classes);
}

static void put_part(struct buf *b, const struct store_item *item) {
  assert(item->part.number >= 1 && item->part.number <= STORE_PART_MAX);
  buf_append(b, item->upload.id, STORE_UPLOAD_ID_SIZE);
  put_u32be(b, item->part.number);
  put_u64be(b, item->part.mtime_ms);
  buf_append(b, item->part.md5, MD5_SIZE);
  put_ref(b, &item->part.body);
  if (item->part.meta_len) put_bytes16be(b, slice_of(item->part.meta, item->part.meta_len));
}

/* Bits of an item's second byte. */
enum { ITEM_ABSENT = 1, ITEM_VERSION = 2, ITEM_MARKER = 4, ITEM_META = 8, ITEM_FLAGS = 15 };

static uint8_t item_flags(const struct store_item *item) {
  bool object = item->kind == STORE_ITEM_OBJECT;
  assert(object || (!item->object.is_version && !item->object.is_marker));
  bool meta = item->kind == STORE_ITEM_PART && !item->absent && item->part.meta_len > 0;
  return (uint8_t)((meta ? ITEM_META : 0) | (item->absent ? ITEM_ABSENT : 0) |
                   (object && item->object.is_version ? ITEM_VERSION : 0) |
                   (object && !item->absent && item->object.is_marker ? ITEM_MARKER : 0));
}

static bool flags_get(struct reader *r, struct store_item *out) {
  uint8_t flags = get_u8(r);
  out->absent = (flags & ITEM_ABSENT) != 0;
  out->object.is_version = (flags & ITEM_VERSION) != 0;
  out->object.is_marker = (flags & ITEM_MARKER) != 0;
  bool of_part = (flags & ITEM_META) == 0 || (out->kind == STORE_ITEM_PART && !out->absent);
  out->part.meta_len = (flags & ITEM_META) != 0; /* its length comes with it */
  bool of_object = out->kind == STORE_ITEM_OBJECT || (flags & (ITEM_VERSION | ITEM_MARKER)) == 0;
  return !r->bad && flags <= ITEM_FLAGS && of_part && of_object && !(out->absent && out->object.is_marker);
}

bool item_has_inline(const struct store_item *item) {
  return item->kind == STORE_ITEM_OBJECT && !item->absent && !item->object.is_marker &&
         item->object.body_count == 0;
}

void bulk_begin(struct buf *b, const struct handoff *h) {
  assert(b->len == 0);
  put_u32be(b, 0); /* known when it is sealed */
  handoff_head_put(b, h);
}

void bulk_seal(struct buf *b) {
  if (b->failed) return;
  assert(b->len > NET_BULK_LENGTH_SIZE &&
         b->len <= UINT32_MAX); /* more than a message may have: net_call says so */
  store_u32be(b->data, (uint32_t)(b->len - NET_BULK_LENGTH_SIZE));
}

void item_put(struct buf *b, const struct store_item *item) {
  put_u8(b, (uint8_t)item->kind);
  put_u8(b, item_flags(item));
  buf_append(b, item->bucket, STORE_BUCKET_ID_SIZE);
  put_bytes16be(b, item->prefix);
  put_bytes16be(b, item->key);
  put_u64be(b, item->order.epoch);
  put_u64be(b, item->order.lsn);
  if (item->absent) { /* what it was is named, nothing more */
    buf_append(b, item->upload.id, STORE_UPLOAD_ID_SIZE);
    put_u32be(b, item->part.number);
    return;
  }
  switch (item->kind) {
  case STORE_ITEM_OBJECT:
    put_object(b, &item->object);
    break;
  case STORE_ITEM_UPLOAD:
    put_upload(b, &item->upload);
    break;
  case STORE_ITEM_PART:
    put_part(b, item);
    break;
  }
}

static bool get_object(struct reader *r, struct store_item *out, struct store_body_ref *refs,
                       uint32_t refs_max) {
  struct store_object *o = &out->object;
  o->key = out->key;
  o->order = out->order;
  o->size = get_u64be(r);
  o->mtime_ms = get_u64be(r);
  get_copy(r, o->etag_md5, MD5_SIZE);
  o->etag_parts = get_u32be(r);
  get_copy(r, o->sha256, SHA256_SIZE);
  o->meta = get_bytes32be(r);
  o->classes = get_bytes16be(r);
  o->body_count = get_u32be(r);
  if (r->bad || o->body_count > refs_max) return false;
  for (uint32_t i = 0; i < o->body_count; i++) get_ref(r, &refs[i]);
  o->bodies = o->body_count ? refs : NULL;
  bool fits = o->body_count > 0 || o->size <= STORE_INLINE_MAX;
  return !r->bad && fits && !(o->is_marker && (o->body_count > 0 || o->size > 0));
}

static bool get_part_meta(struct reader *r, struct store_part *part) {
  struct slice meta = get_bytes16be(r);
  if (r->bad || meta.len == 0 || meta.len > sizeof part->meta) return false;
  memcpy(part->meta, meta.data, meta.len);
  part->meta_len = (uint8_t)meta.len;
  return true;
}

bool item_get(struct reader *r, struct store_item *out, struct store_body_ref *refs, uint32_t refs_max) {
  *out = (struct store_item){.kind = (enum store_item_kind)get_u8(r)};
  bool flags_ok = flags_get(r, out);
  get_copy(r, out->bucket, STORE_BUCKET_ID_SIZE);
  out->prefix = get_bytes16be(r);
  out->key = get_bytes16be(r);
  out->order.epoch = get_u64be(r);
  out->order.lsn = get_u64be(r);
  out->object.key = out->upload.key = out->key;
  if (!flags_ok || r->bad || out->key.len == 0 || out->key.len > STORE_KEY_MAX) return false;
  /* The store takes these for granted. */
  bool has_order = !out->absent || out->object.is_version;
  if (!slice_starts_with(out->key, out->prefix) || (has_order && out->order.lsn == 0)) return false;
  if (out->absent || out->kind == STORE_ITEM_PART || out->kind == STORE_ITEM_UPLOAD)
    get_copy(r, out->upload.id, STORE_UPLOAD_ID_SIZE);
  if (out->absent) {
    out->part.number = get_u32be(r);
    bool named =
        out->kind != STORE_ITEM_PART || (out->part.number >= 1 && out->part.number <= STORE_PART_MAX);
    return !r->bad && named && out->kind >= STORE_ITEM_OBJECT && out->kind <= STORE_ITEM_PART;
  }
  switch (out->kind) {
  case STORE_ITEM_OBJECT:
    return get_object(r, out, refs, refs_max);
  case STORE_ITEM_UPLOAD:
    out->upload.mtime_ms = get_u64be(r);
    out->upload.meta = get_bytes32be(r);
    out->upload.classes = get_bytes16be(r);
    return !r->bad;
  case STORE_ITEM_PART:
    out->part.number = get_u32be(r);
    out->part.mtime_ms = get_u64be(r);
    get_copy(r, out->part.md5, MD5_SIZE);
    get_ref(r, &out->part.body);
    if (out->part.meta_len && !get_part_meta(r, &out->part)) return false;
    return !r->bad && out->part.number >= 1 && out->part.number <= STORE_PART_MAX;
  }
  return false;
}
