#include "s3/parts.h"

#include <assert.h>

#include "base/codec.h"
#include "s3/limits.h"

enum { PART_META_VERSION = 1, FLAG_CHECKSUM = 1, FLAG_SALT = 2, FLAGS_KNOWN = 3 };
enum { PARTS_HEAD_SIZE = 4 }; /* flags, kind, count */

static void put(uint8_t out[S3_PART_META_MAX], uint8_t *len, const void *data, size_t size) {
  assert(*len + size <= S3_PART_META_MAX);
  memcpy(out + *len, data, size);
  *len = (uint8_t)(*len + size);
}

void s3_part_meta_encode(const struct s3_part_meta *meta, uint8_t out[S3_PART_META_MAX], uint8_t *out_len) {
  assert(meta != NULL && out != NULL && out_len != NULL);
  *out_len = 0;
  if (!meta->has_checksum && !meta->has_salt) return;
  const uint8_t head[2] = {PART_META_VERSION, (uint8_t)((meta->has_checksum ? FLAG_CHECKSUM : 0) |
                                                        (meta->has_salt ? FLAG_SALT : 0))};
  put(out, out_len, head, sizeof head);
  if (meta->has_checksum) {
    const uint8_t kind = (uint8_t)meta->checksum.kind;
    assert(meta->checksum.size == auth_checksum_size(meta->checksum.kind));
    put(out, out_len, &kind, 1);
    put(out, out_len, meta->checksum.data, meta->checksum.size);
  }
  if (meta->has_salt) put(out, out_len, meta->salt, sizeof meta->salt);
}

static bool digest_get(struct reader *r, enum auth_checksum_kind kind, struct auth_digest *out) {
  *out = (struct auth_digest){.kind = kind, .size = auth_checksum_size(kind)};
  get_copy(r, out->data, out->size);
  return !r->bad;
}

enum dom_code s3_part_meta_decode(struct slice bytes, struct s3_part_meta *out, struct dom_err *err) {
  static const char where[] = "s3/parts: decode";
  struct reader r = reader_of(bytes);
  struct s3_part_meta meta = {0};
  assert(out != NULL);
  if (bytes.len > 0) {
    uint8_t version = get_u8(&r), flags = get_u8(&r);
    if (!r.bad && (version != PART_META_VERSION || (flags & ~FLAGS_KNOWN) != 0))
      return dom_fail(err, DOM_INCOMPATIBLE, where, "a part's metadata of version %u", version);
    meta.has_checksum = (flags & FLAG_CHECKSUM) != 0;
    meta.has_salt = (flags & FLAG_SALT) != 0;
    uint8_t kind = meta.has_checksum ? get_u8(&r) : 0;
    if (kind >= AUTH_CHECKSUM_KIND_COUNT)
      return dom_fail(err, DOM_INCOMPATIBLE, where, "a checksum of kind %u", kind);
    if (meta.has_checksum) digest_get(&r, (enum auth_checksum_kind)kind, &meta.checksum);
    if (meta.has_salt) get_copy(&r, meta.salt, sizeof meta.salt);
    if (!reader_end(&r) || flags == 0)
      return dom_fail(err, DOM_CORRUPT, where, "a part's metadata cannot be read");
  }
  *out = meta;
  return DOM_OK;
}

/* ---- of an object ---- */

static bool all_have_checksum(const struct s3_part_entry *entries, uint32_t count) {
  assert(count > 0);
  for (uint32_t i = 0; i < count; i++)
    if (!entries[i].meta.has_checksum || entries[i].meta.checksum.kind != entries[0].meta.checksum.kind)
      return false;
  return true;
}

static bool is_plain(const struct s3_part_entry *entries, uint32_t count) {
  assert(entries != NULL);
  for (uint32_t i = 0; i < count; i++)
    if (entries[i].number != i + 1) return false;
  return true;
}

void s3_parts_encode(const struct s3_part_entry *entries, uint32_t count, struct buf *out) {
  assert(entries != NULL && count > 0 && count <= S3_PART_NUMBER_MAX && out != NULL);
  bool checksum = all_have_checksum(entries, count), salt = entries[0].meta.has_salt;
  if (!checksum && !salt && is_plain(entries, count)) return;
  put_u8(out, (uint8_t)((checksum ? FLAG_CHECKSUM : 0) | (salt ? FLAG_SALT : 0)));
  put_u8(out, checksum ? (uint8_t)entries[0].meta.checksum.kind : 0);
  put_u16le(out, (uint16_t)count);
  for (uint32_t i = 0; i < count; i++) {
    assert(entries[i].meta.has_salt == salt && (i == 0 || entries[i].number > entries[i - 1].number));
    put_u16le(out, (uint16_t)entries[i].number);
    if (checksum) buf_append(out, entries[i].meta.checksum.data, entries[i].meta.checksum.size);
    if (salt) buf_append(out, entries[i].meta.salt, sizeof entries[i].meta.salt);
  }
}

static bool numbers_ascend(const struct s3_parts *parts) {
  uint32_t last = 0;
  for (uint32_t i = 0; i < parts->count; i++) {
    struct reader r = reader_of(slice_cut(parts->entries, i * parts->entry_size, parts->entries.len));
    uint32_t number = get_u16le(&r);
    if (number <= last || number > S3_PART_NUMBER_MAX) return false;
    last = number;
  }
  return true;
}

enum dom_code s3_parts_decode(struct slice bytes, uint32_t count, struct s3_parts *out, struct dom_err *err) {
  static const char where[] = "s3/parts: decode";
  struct s3_parts parts = {.count = count};
  assert(out != NULL);
  if (bytes.len > 0) {
    struct reader r = reader_of(bytes);
    uint8_t flags = get_u8(&r), kind = get_u8(&r);
    uint16_t stored = get_u16le(&r);
    if (r.bad) return dom_fail(err, DOM_CORRUPT, where, "no head");
    if ((flags & ~FLAGS_KNOWN) != 0 || kind >= AUTH_CHECKSUM_KIND_COUNT)
      return dom_fail(err, DOM_INCOMPATIBLE, where, "parts with flags %u, kind %u", flags, kind);
    parts.has_checksum = (flags & FLAG_CHECKSUM) != 0;
    parts.has_salt = (flags & FLAG_SALT) != 0;
    parts.kind = (enum auth_checksum_kind)kind;
    parts.entry_size = 2 + (parts.has_checksum ? auth_checksum_size(parts.kind) : 0) +
                       (parts.has_salt ? S3_PART_SALT_SIZE : 0);
    if (stored != count || r.left != count * parts.entry_size)
      return dom_fail(err, DOM_CORRUPT, where, "%u parts of %u", stored, (unsigned)count);
    parts.entries = slice_cut(bytes, PARTS_HEAD_SIZE, bytes.len);
    if (!numbers_ascend(&parts)) return dom_fail(err, DOM_CORRUPT, where, "numbers of parts");
  }
  *out = parts;
  return DOM_OK;
}

void s3_parts_get(const struct s3_parts *parts, uint32_t index, struct s3_part_entry *out) {
  assert(parts != NULL && index < parts->count && out != NULL);
  *out = (struct s3_part_entry){.number = index + 1};
  if (parts->entries.len == 0) return;
  struct reader r = reader_of(slice_cut(parts->entries, index * parts->entry_size, parts->entries.len));
  out->number = get_u16le(&r);
  out->meta.has_checksum = parts->has_checksum && digest_get(&r, parts->kind, &out->meta.checksum);
  out->meta.has_salt = parts->has_salt;
  if (parts->has_salt) get_copy(&r, out->meta.salt, sizeof out->meta.salt);
  assert(!r.bad);
}

bool s3_parts_find(const struct s3_parts *parts, uint32_t number, uint32_t *out_index) {
  struct s3_part_entry entry;
  uint32_t low = 0, high = parts->count;
  assert(out_index != NULL);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    s3_parts_get(parts, middle, &entry);
    if (entry.number == number) {
      *out_index = middle;
      return true;
    }
    if (entry.number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

bool s3_parts_composite(const struct s3_part_entry *entries, uint32_t count, enum auth_checksum_kind kind,
                        struct auth_digest *out) {
  struct auth_checksum *sum = auth_checksum_new(kind);
  assert(entries != NULL && out != NULL);
  if (sum == NULL) return false;
  for (uint32_t i = 0; i < count; i++) {
    const struct auth_digest *digest = &entries[i].meta.checksum;
    assert(entries[i].meta.has_checksum && digest->kind == kind);
    auth_checksum_update(sum, slice_of(digest->data, digest->size));
  }
  auth_checksum_final(sum, out);
  auth_checksum_free(sum);
  return true;
}
