#include "s3/document.h"

#include <assert.h>

#include "s3/etag.h"
#include "s3/limits.h"
#include "s3/xmlread.h"

/* Blanks and line ends that a writer put around a number or a tag. Keys are taken as they are. */
static struct slice bare(struct slice text) {
  assert(text.data != NULL || text.len == 0);
  while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL) text = slice_cut(text, 1, text.len);
  while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4) != NULL)
    text = slice_cut(text, 0, text.len - 1);
  return text;
}

static bool path_is(struct slice path, const char *wanted) {
  assert(wanted != NULL);
  return slice_equal(path, slice_str(wanted));
}

/* A list in an arena that doubles when it is full. Returns: the list with room for one more, or
 * NULL without memory. */
static void *list_grow(struct arena *arena, void *list, size_t count, size_t *capacity, size_t size) {
  assert(count <= *capacity && size > 0);
  if (count < *capacity) return list;
  size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;
  void *grown = arena_alloc(arena, wanted * size);
  if (grown == NULL) return NULL;
  if (count > 0) memcpy(grown, list, count * size);
  *capacity = wanted;
  return grown;
}

/* ---- DeleteObjects ---- */

struct delete_context {
  struct arena *arena;
  struct s3_delete_list list;
  size_t capacity;
  struct s3_delete_key current;
  bool has_key;
};

static enum s3_error text_keep(struct arena *arena, struct slice text, struct slice *out) {
  assert(out != NULL);
  *out = arena_copy(arena, text);
  return out->data == NULL && text.len > 0 ? S3_ERR_INTERNAL_ERROR : S3_OK;
}

static enum s3_error delete_object(struct delete_context *c) {
  assert(c != NULL);
  if (!c->has_key || c->list.count == S3_DELETE_KEYS_MAX) return S3_ERR_MALFORMED_XML;
  struct s3_delete_key *keys =
      list_grow(c->arena, c->list.keys, c->list.count, &c->capacity, sizeof c->list.keys[0]);
  if (keys == NULL) return S3_ERR_INTERNAL_ERROR;
  c->list.keys = keys;
  keys[c->list.count++] = c->current;
  c->current = (struct s3_delete_key){0};
  c->has_key = false;
  return S3_OK;
}

static enum s3_error delete_element(void *context, struct slice path, struct slice text) {
  struct delete_context *c = context;
  assert(c != NULL);
  if (path_is(path, "Delete/Object/Key")) {
    if (c->has_key) return S3_ERR_MALFORMED_XML;
    c->has_key = true;
    return text_keep(c->arena, text, &c->current.key);
  }
  if (path_is(path, "Delete/Object/VersionId"))
    return text_keep(c->arena, bare(text), &c->current.version_id);
  if (path_is(path, "Delete/Object")) return delete_object(c);
  if (path_is(path, "Delete/Quiet")) c->list.quiet = slice_equal_nocase(bare(text), SLICE_LIT("true"));
  return S3_OK;
}

enum s3_error s3_delete_parse(struct slice body, struct arena *arena, struct s3_delete_list *out) {
  assert(arena != NULL && out != NULL);
  struct delete_context c = {.arena = arena};
  enum s3_error error = xmlread_document(body, S3_XML_DELETE_BYTES_MAX, "Delete", delete_element, &c);
  if (error == S3_OK && c.list.count == 0) error = S3_ERR_MALFORMED_XML;
  if (error == S3_OK) *out = c.list;
  return error;
}

/* ---- CompleteMultipartUpload ---- */

struct complete_context {
  struct arena *arena;
  struct s3_part_list list;
  size_t capacity;
  struct s3_part_ref current;
  bool has_number;
  bool has_etag;
};

static enum s3_error complete_part(struct complete_context *c) {
  assert(c != NULL);
  if (!c->has_number || !c->has_etag) return S3_ERR_MALFORMED_XML;
  if (c->list.count > 0 && c->list.parts[c->list.count - 1].number >= c->current.number)
    return S3_ERR_INVALID_PART_ORDER;
  struct s3_part_ref *parts =
      list_grow(c->arena, c->list.parts, c->list.count, &c->capacity, sizeof c->list.parts[0]);
  if (parts == NULL) return S3_ERR_INTERNAL_ERROR;
  c->list.parts = parts;
  parts[c->list.count++] = c->current;
  c->has_number = c->has_etag = c->current.has_checksum = false;
  return S3_OK;
}

/* <ChecksumCRC32> and its siblings. */
static enum s3_error complete_checksum(struct complete_context *c, struct slice path, struct slice text) {
  static const char stem[] = "CompleteMultipartUpload/Part/Checksum";
  enum auth_checksum_kind kind;
  assert(c != NULL);
  if (!slice_starts_with(path, SLICE_LIT("CompleteMultipartUpload/Part/Checksum"))) return S3_OK;
  if (!auth_checksum_by_algorithm(slice_cut(path, sizeof stem - 1, path.len), &kind)) return S3_OK;
  if (c->current.has_checksum) return S3_ERR_MALFORMED_XML;
  enum auth_error error = auth_digest_parse(kind, bare(text), &c->current.checksum);
  if (error == AUTH_NO_MEMORY) return S3_ERR_INTERNAL_ERROR;
  c->current.has_checksum = error == AUTH_OK;
  return error == AUTH_OK ? S3_OK : S3_ERR_INVALID_PART;
}

static enum s3_error complete_element(void *context, struct slice path, struct slice text) {
  struct complete_context *c = context;
  uint64_t number;
  assert(c != NULL);
  if (path_is(path, "CompleteMultipartUpload/Part/PartNumber")) {
    if (slice_to_u64(bare(text), &number) != DOM_OK) return S3_ERR_MALFORMED_XML;
    if (number < 1 || number > S3_PART_NUMBER_MAX) return S3_ERR_INVALID_ARGUMENT;
    c->current.number = (uint32_t)number;
    c->has_number = true;
    return S3_OK;
  }
  if (path_is(path, "CompleteMultipartUpload/Part/ETag")) {
    c->has_etag = true;
    return s3_etag_parse_part(bare(text), c->current.md5) ? S3_OK : S3_ERR_INVALID_PART;
  }
  if (path_is(path, "CompleteMultipartUpload/Part")) return complete_part(c);
  return complete_checksum(c, path, text);
}

enum s3_error s3_complete_parse(struct slice body, struct arena *arena, struct s3_part_list *out) {
  assert(arena != NULL && out != NULL);
  struct complete_context c = {.arena = arena};
  enum s3_error error =
      xmlread_document(body, S3_XML_COMPLETE_BYTES_MAX, "CompleteMultipartUpload", complete_element, &c);
  if (error == S3_OK && c.list.count == 0) error = S3_ERR_MALFORMED_XML;
  if (error == S3_OK) *out = c.list;
  return error;
}

/* ---- CreateBucket ---- */

struct location_context {
  struct arena *arena;
  struct slice location;
};

static enum s3_error location_element(void *context, struct slice path, struct slice text) {
  struct location_context *c = context;
  assert(c != NULL);
  if (!path_is(path, "CreateBucketConfiguration/LocationConstraint")) return S3_OK;
  return text_keep(c->arena, bare(text), &c->location);
}

enum s3_error s3_location_parse(struct slice body, struct arena *arena, struct slice *out) {
  assert(arena != NULL && out != NULL);
  struct location_context c = {.arena = arena};
  if (body.len > 0) {
    enum s3_error error =
        xmlread_document(body, S3_XML_BUCKET_BYTES_MAX, "CreateBucketConfiguration", location_element, &c);
    if (error != S3_OK) return error;
  }
  *out = c.location;
  return S3_OK;
}
