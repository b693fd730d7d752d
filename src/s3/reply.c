#include "s3/reply.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "s3/lock.h"

static bool has_line_end(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  return slice_find(s, '\r') < s.len || slice_find(s, '\n') < s.len || slice_find(s, 0) < s.len;
}

void s3_headers_add(struct s3_headers *h, struct slice name, struct slice value) {
  assert(h != NULL && h->arena != NULL && name.len > 0);
  assert(!has_line_end(name) && !has_line_end(value));
  if (h->count == h->capacity) {
    size_t capacity = h->capacity == 0 ? 16 : 2 * h->capacity;
    struct auth_header *items = arena_alloc(h->arena, capacity * sizeof *items);
    if (items == NULL) {
      h->failed = true;
      return;
    }
    if (h->count > 0) memcpy(items, h->items, h->count * sizeof *items);
    h->items = items;
    h->capacity = capacity;
  }
  h->items[h->count++] = (struct auth_header){name, value};
}

void s3_headers_add_copy(struct s3_headers *h, struct slice name, struct slice value) {
  assert(h != NULL);
  struct slice copy = arena_copy(h->arena, value);
  if (copy.data == NULL && value.len > 0)
    h->failed = true;
  else
    s3_headers_add(h, name, copy);
}

void s3_headers_etag(struct s3_headers *h, const uint8_t md5[MD5_SIZE], uint32_t part_count) {
  char text[S3_ETAG_SIZE + 2];
  assert(h != NULL && md5 != NULL);
  text[0] = '"';
  s3_etag_print(md5, part_count, text + 1);
  size_t len = strlen(text);
  text[len] = '"';
  s3_headers_add_copy(h, SLICE_LIT("ETag"), slice_of(text, len + 1));
}

static void stored(struct s3_headers *h, const char *name, struct slice value, struct slice override) {
  assert(name != NULL);
  if (override.len > 0)
    s3_headers_add(h, slice_str(name), override);
  else if (value.len > 0)
    s3_headers_add(h, slice_str(name), value);
}

static void user_metadata(struct s3_headers *h, const struct s3_meta *meta) {
  assert(meta->user != NULL || meta->user_count == 0);
  for (size_t i = 0; i < meta->user_count; i++) {
    BUF_AUTO name = BUF_INIT;
    buf_append_str(&name, "x-amz-meta-");
    buf_append_slice(&name, meta->user[i].name);
    struct slice copy = name.failed ? (struct slice){0} : arena_copy(h->arena, buf_slice(&name));
    if (copy.data == NULL)
      h->failed = true;
    else
      s3_headers_add(h, copy, meta->user[i].value);
  }
}

static void tagging_count(struct s3_headers *h, size_t count) {
  char text[12];
  assert(count <= S3_OBJECT_TAGS_MAX);
  (void)snprintf(text, sizeof text, "%u", (unsigned)count);
  s3_headers_add_copy(h, SLICE_LIT("x-amz-tagging-count"), slice_str(text));
}

static void lock(struct s3_headers *h, const struct s3_meta *meta) {
  char until[25];
  assert(h != NULL);
  if (meta->lock_mode != S3_LOCK_NONE) {
    time_rfc3339(meta->retain_until_ms, until);
    s3_headers_add(h, SLICE_LIT("x-amz-object-lock-mode"), slice_str(s3_lock_mode_name(meta->lock_mode)));
    s3_headers_add_copy(h, SLICE_LIT("x-amz-object-lock-retain-until-date"), slice_str(until));
  }
  if (meta->legal_hold != S3_HOLD_NEVER)
    s3_headers_add(h, SLICE_LIT("x-amz-object-lock-legal-hold"),
                   slice_str(s3_legal_hold_name(meta->legal_hold)));
}

void s3_headers_object(struct s3_headers *h, const struct s3_object_view *object,
                       const struct s3_overrides *overrides, bool checksum_mode) {
  static const struct s3_overrides none = {0};
  char modified[30];
  assert(h != NULL && object != NULL && object->meta != NULL);
  const struct s3_meta *meta = object->meta;
  if (overrides == NULL) overrides = &none;
  s3_headers_etag(h, object->md5, object->part_count);
  time_http(object->modified_ms, modified);
  s3_headers_add_copy(h, SLICE_LIT("Last-Modified"), slice_str(modified));
  s3_headers_add(h, SLICE_LIT("Accept-Ranges"), SLICE_LIT("bytes"));
  struct slice type = meta->content_type.len > 0 ? meta->content_type : SLICE_LIT("binary/octet-stream");
  stored(h, "Content-Type", type, overrides->content_type);
  stored(h, "Content-Encoding", meta->content_encoding, overrides->content_encoding);
  stored(h, "Cache-Control", meta->cache_control, overrides->cache_control);
  stored(h, "Content-Disposition", meta->content_disposition, overrides->content_disposition);
  stored(h, "Content-Language", meta->content_language, overrides->content_language);
  stored(h, "Expires", meta->expires, overrides->expires);
  user_metadata(h, meta);
  if (meta->tag_count > 0) tagging_count(h, meta->tag_count);
  lock(h, meta);
  if (checksum_mode) s3_headers_object_checksum(h, meta, object->part_count);
}

void s3_headers_range(struct s3_headers *h, uint64_t first, uint64_t count, uint64_t size) {
  assert(h != NULL && count > 0 && count <= size && first <= size - count);
  BUF_AUTO text = BUF_INIT;
  buf_printf(&text, "bytes %llu-%llu/%llu", (unsigned long long)first,
             (unsigned long long)(first + count - 1), (unsigned long long)size);
  if (text.failed)
    h->failed = true;
  else
    s3_headers_add_copy(h, SLICE_LIT("Content-Range"), buf_slice(&text));
}

void s3_headers_parts_count(struct s3_headers *h, uint32_t count) {
  char text[12];
  assert(h != NULL && count > 0 && count <= S3_PART_NUMBER_MAX);
  (void)snprintf(text, sizeof text, "%u", (unsigned)count);
  s3_headers_add_copy(h, SLICE_LIT("x-amz-mp-parts-count"), slice_str(text));
}

static void checksum_add(struct s3_headers *h, const struct auth_digest *digest, uint32_t parts) {
  BUF_AUTO text = BUF_INIT;
  auth_digest_print(digest, &text);
  if (parts > 0) buf_printf(&text, "-%u", (unsigned)parts);
  if (text.failed)
    h->failed = true;
  else
    s3_headers_add_copy(h, slice_str(auth_checksum_header(digest->kind)), buf_slice(&text));
}

static void type_add(struct s3_headers *h, bool is_composite) {
  s3_headers_add(h, SLICE_LIT("x-amz-checksum-type"), slice_str(is_composite ? "COMPOSITE" : "FULL_OBJECT"));
}

void s3_headers_checksum(struct s3_headers *h, const struct auth_digest *digest) {
  assert(h != NULL && digest != NULL);
  checksum_add(h, digest, 0);
}

void s3_headers_object_checksum(struct s3_headers *h, const struct s3_meta *meta, uint32_t part_count) {
  assert(h != NULL && meta != NULL);
  if (!meta->has_checksum) return;
  checksum_add(h, &meta->checksum, meta->is_composite ? part_count : 0);
  type_add(h, meta->is_composite);
}

void s3_headers_plan(struct s3_headers *h, const struct s3_checksum_plan *plan) {
  assert(h != NULL && plan != NULL);
  s3_headers_add(h, SLICE_LIT("x-amz-checksum-algorithm"), slice_str(auth_checksum_algorithm(plan->kind)));
  type_add(h, !plan->full_object);
}
