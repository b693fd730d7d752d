#include "s3/listing.h"

#include <assert.h>

#include "s3/xml.h"

/* First byte of a decoded token: how the rest is meant. */
enum { TOKEN_AFTER_KEY = 1 };

static const char *root_name(enum s3_op op) {
  switch (op) {
  case S3_OP_LIST_OBJECTS:
  case S3_OP_LIST_OBJECTS_V2:
    return "ListBucketResult";
  case S3_OP_LIST_OBJECT_VERSIONS:
    return "ListVersionsResult";
  case S3_OP_LIST_MULTIPART_UPLOADS:
    return "ListMultipartUploadsResult";
  case S3_OP_LIST_PARTS:
    return "ListPartsResult";
  default:
    break;
  }
  assert(op == S3_OP_LIST_PARTS); /* not a listing */
  return "";
}

static void text_if_any(struct buf *out, const char *name, struct slice text, bool url) {
  assert(out != NULL);
  if (text.len > 0) xml_key(out, name, text, url);
}

static void person(struct buf *out, const char *role, struct slice account) {
  assert(role != NULL);
  xml_open(out, role);
  xml_text(out, "ID", account);
  xml_text(out, "DisplayName", account);
  xml_close(out, role);
}

static void etag(struct buf *out, const uint8_t *md5, uint32_t part_count) {
  char text[S3_ETAG_SIZE];
  assert(md5 != NULL);
  s3_etag_print(md5, part_count, text);
  xml_open(out, "ETag");
  buf_append_str(out, "&quot;");
  buf_append_str(out, text);
  buf_append_str(out, "&quot;");
  xml_close(out, "ETag");
}

/* ---- the head of a page: what was asked, echoed ---- */

static void begin_v1(const struct s3_list_params *p, struct buf *out) {
  assert(p != NULL);
  xml_key(out, "Marker", p->marker, p->encoding_url);
  xml_u64(out, "MaxKeys", p->page_max);
}

static void begin_v2(const struct s3_list_params *p, struct buf *out) {
  assert(p != NULL);
  if (p->has_continuation_token) xml_text(out, "ContinuationToken", p->continuation_token);
  if (p->has_start_after) xml_key(out, "StartAfter", p->start_after, p->encoding_url);
  xml_u64(out, "MaxKeys", p->page_max);
}

static void begin_versions(const struct s3_list_params *p, struct buf *out) {
  assert(p != NULL);
  xml_key(out, "KeyMarker", p->key_marker, p->encoding_url);
  xml_text(out, "VersionIdMarker", p->version_id_marker);
  xml_u64(out, "MaxKeys", p->page_max);
}

static void begin_uploads(const struct s3_list_params *p, struct buf *out) {
  assert(p != NULL);
  xml_key(out, "KeyMarker", p->key_marker, p->encoding_url);
  xml_text(out, "UploadIdMarker", p->upload_id_marker);
  xml_u64(out, "MaxUploads", p->page_max);
}

static void begin_parts(const struct s3_request *request, struct slice owner, struct buf *out) {
  assert(request != NULL);
  xml_key(out, "Key", request->key, request->list.encoding_url);
  xml_text(out, "UploadId", request->upload_id);
  person(out, "Initiator", owner);
  person(out, "Owner", owner);
  xml_text(out, "StorageClass", SLICE_LIT("STANDARD"));
  xml_u64(out, "PartNumberMarker", request->list.part_number_marker);
  xml_u64(out, "MaxParts", request->list.page_max);
}

void s3_listing_begin(struct s3_listing *l, const struct s3_request *request, struct slice owner,
                      struct buf *out) {
  assert(l != NULL && request != NULL && out != NULL);
  const struct s3_list_params *p = &request->list;
  bool is_uploads = request->op == S3_OP_LIST_MULTIPART_UPLOADS;
  bool is_parts = request->op == S3_OP_LIST_PARTS;
  *l = (struct s3_listing){.request = request, .owner = owner, .out = out};
  xml_begin(out);
  xml_open_root(out, root_name(request->op));
  xml_text(out, is_uploads || is_parts ? "Bucket" : "Name", request->bucket);
  if (!is_parts) xml_key(out, "Prefix", p->prefix, p->encoding_url);
  if (!is_parts) text_if_any(out, "Delimiter", p->delimiter, p->encoding_url);
  if (p->encoding_url) xml_text(out, "EncodingType", SLICE_LIT("url"));
  if (request->op == S3_OP_LIST_OBJECTS)
    begin_v1(p, out);
  else if (request->op == S3_OP_LIST_OBJECTS_V2)
    begin_v2(p, out);
  else if (request->op == S3_OP_LIST_OBJECT_VERSIONS)
    begin_versions(p, out);
  else if (is_uploads)
    begin_uploads(p, out);
  else
    begin_parts(request, owner, out);
}

/* ---- entries ---- */

static void remember(struct s3_listing *l, struct slice key) {
  assert(l->count < S3_PAGE_MAX);
  buf_reset(&l->last_key);
  buf_append_slice(&l->last_key, key);
  l->count++;
}

void s3_listing_object(struct s3_listing *l, const struct s3_listed_object *object) {
  assert(l != NULL && object != NULL);
  const struct s3_request *request = l->request;
  bool is_version = request->op == S3_OP_LIST_OBJECT_VERSIONS;
  assert(is_version || request->op == S3_OP_LIST_OBJECTS || request->op == S3_OP_LIST_OBJECTS_V2);
  assert(is_version == (object->version_id.len > 0) && (is_version || !object->is_marker));
  const char *name = !is_version ? "Contents" : object->is_marker ? "DeleteMarker" : "Version";
  xml_open(l->out, name);
  xml_key(l->out, "Key", object->key, request->list.encoding_url);
  if (is_version) {
    xml_text(l->out, "VersionId", object->version_id);
    xml_bool(l->out, "IsLatest", object->is_latest);
  }
  xml_time(l->out, "LastModified", object->modified_ms);
  if (!object->is_marker) {
    etag(l->out, object->md5, object->part_count);
    xml_u64(l->out, "Size", object->size);
  }
  if (request->op != S3_OP_LIST_OBJECTS_V2 || request->list.fetch_owner) person(l->out, "Owner", l->owner);
  if (!object->is_marker) xml_text(l->out, "StorageClass", SLICE_LIT("STANDARD"));
  xml_close(l->out, name);
  remember(l, object->key);
  buf_reset(&l->last_upload);
  buf_append_slice(&l->last_upload, object->version_id);
}

void s3_listing_prefix(struct s3_listing *l, struct slice prefix) {
  assert(l != NULL && prefix.len > 0);
  assert(l->request->op != S3_OP_LIST_PARTS);
  xml_open(&l->prefixes, "CommonPrefixes");
  xml_key(&l->prefixes, "Prefix", prefix, l->request->list.encoding_url);
  xml_close(&l->prefixes, "CommonPrefixes");
  remember(l, prefix);
  buf_reset(&l->last_upload);
}

void s3_listing_upload(struct s3_listing *l, const struct s3_listed_upload *upload) {
  assert(l != NULL && upload != NULL);
  assert(l->request->op == S3_OP_LIST_MULTIPART_UPLOADS);
  xml_open(l->out, "Upload");
  xml_key(l->out, "Key", upload->key, l->request->list.encoding_url);
  xml_text(l->out, "UploadId", upload->upload_id);
  person(l->out, "Initiator", l->owner);
  person(l->out, "Owner", l->owner);
  xml_text(l->out, "StorageClass", SLICE_LIT("STANDARD"));
  xml_time(l->out, "Initiated", upload->initiated_ms);
  xml_close(l->out, "Upload");
  remember(l, upload->key);
  buf_reset(&l->last_upload);
  buf_append_slice(&l->last_upload, upload->upload_id);
}

void s3_listing_plan(struct s3_listing *l, const struct s3_checksum_plan *plan) {
  assert(l != NULL && l->request->op == S3_OP_LIST_PARTS && l->last_part == 0);
  xml_text(l->out, "ChecksumAlgorithm", slice_str(auth_checksum_algorithm(plan->kind)));
  xml_checksum_type(l->out, !plan->full_object);
}

void s3_listing_part(struct s3_listing *l, const struct s3_listed_part *part) {
  assert(l != NULL && part != NULL);
  assert(l->request->op == S3_OP_LIST_PARTS && part->number > l->last_part);
  xml_open(l->out, "Part");
  xml_u64(l->out, "PartNumber", part->number);
  xml_time(l->out, "LastModified", part->modified_ms);
  etag(l->out, part->md5, 0);
  xml_u64(l->out, "Size", part->size);
  if (part->checksum != NULL) xml_checksum(l->out, part->checksum, 0);
  xml_close(l->out, "Part");
  l->last_part = part->number;
  l->count++;
}

/* ---- the end: where the next page begins ---- */

static void next_v1(struct s3_listing *l) {
  assert(l->request->op == S3_OP_LIST_OBJECTS);
  /* S3 gives NextMarker only with a delimiter; else the last key serves. */
  if (l->request->list.delimiter.len > 0)
    xml_key(l->out, "NextMarker", buf_slice(&l->last_key), l->request->list.encoding_url);
}

static void next_v2(struct s3_listing *l) {
  BUF_AUTO token = BUF_INIT;
  assert(l->request->op == S3_OP_LIST_OBJECTS_V2);
  s3_token_encode(buf_slice(&l->last_key), &token);
  if (token.failed) l->prefixes.failed = true;
  xml_text(l->out, "NextContinuationToken", buf_slice(&token));
}

static void next_marker(struct s3_listing *l) {
  assert(l->request->op != S3_OP_LIST_PARTS);
  bool is_versions = l->request->op == S3_OP_LIST_OBJECT_VERSIONS;
  xml_key(l->out, "NextKeyMarker", buf_slice(&l->last_key), l->request->list.encoding_url);
  if (is_versions)
    text_if_any(l->out, "NextVersionIdMarker", buf_slice(&l->last_upload), false);
  else
    xml_text(l->out, "NextUploadIdMarker", buf_slice(&l->last_upload));
}

enum dom_code s3_listing_end(struct s3_listing *l, bool truncated, struct dom_err *err) {
  assert(l != NULL && l->out != NULL);
  enum s3_op op = l->request->op;
  /* A page of no entries has no place to go on from, and S3 calls it whole. */
  if (l->count == 0) truncated = false;
  if (op == S3_OP_LIST_OBJECTS_V2) xml_u64(l->out, "KeyCount", l->count);
  xml_bool(l->out, "IsTruncated", truncated);
  if (truncated && op == S3_OP_LIST_PARTS) /* else npm's paginator would begin again */
    xml_u64(l->out, "NextPartNumberMarker", l->last_part);
  else if (truncated && op == S3_OP_LIST_OBJECTS)
    next_v1(l);
  else if (truncated && op == S3_OP_LIST_OBJECTS_V2)
    next_v2(l);
  else if (truncated)
    next_marker(l);
  buf_append_slice(l->out, buf_slice(&l->prefixes));
  xml_close(l->out, root_name(op));
  if (l->prefixes.failed || l->last_key.failed || l->last_upload.failed) l->out->failed = true;
  return buf_check(l->out, err);
}

void s3_listing_done(struct s3_listing *l) {
  assert(l != NULL);
  buf_done(&l->prefixes);
  buf_done(&l->last_key);
  buf_done(&l->last_upload);
}

/* ---- tokens: base64 with the URL alphabet (RFC 4648 §5) over a kind byte and the key ---- */

static void alphabet_swap(uint8_t *bytes, size_t len, const char from[2], const char to[2]) {
  assert(bytes != NULL || len == 0);
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] == (uint8_t)from[0])
      bytes[i] = (uint8_t)to[0];
    else if (bytes[i] == (uint8_t)from[1])
      bytes[i] = (uint8_t)to[1];
  }
}

void s3_token_encode(struct slice after, struct buf *out) {
  assert(out != NULL);
  BUF_AUTO plain = BUF_INIT;
  size_t at = out->len;
  buf_append_byte(&plain, TOKEN_AFTER_KEY);
  buf_append_slice(&plain, after);
  if (plain.failed) out->failed = true;
  base64_encode(out, buf_slice(&plain));
  if (!out->failed) alphabet_swap(out->data + at, out->len - at, "+/", "-_");
}

enum s3_error s3_token_decode(struct slice token, struct arena *arena, struct slice *out_after) {
  assert(arena != NULL && out_after != NULL);
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO plain = BUF_INIT;
  buf_append_slice(&text, token);
  if (text.failed) return S3_ERR_INTERNAL_ERROR;
  alphabet_swap(text.data, text.len, "-_", "+/");
  enum dom_code code = base64_decode(buf_slice(&text), &plain);
  if (plain.failed) return S3_ERR_INTERNAL_ERROR;
  if (code != DOM_OK || plain.len < 1 || plain.data[0] != TOKEN_AFTER_KEY) return S3_ERR_INVALID_ARGUMENT;
  struct slice after = arena_copy(arena, slice_cut(buf_slice(&plain), 1, plain.len));
  if (after.data == NULL && plain.len > 1) return S3_ERR_INTERNAL_ERROR;
  *out_after = after;
  return S3_OK;
}

enum s3_error s3_listing_after(const struct s3_request *request, struct arena *arena,
                               struct slice *out_after) {
  const struct s3_list_params *p = &request->list;
  assert(out_after != NULL);
  switch (request->op) {
  case S3_OP_LIST_OBJECTS:
    *out_after = p->marker;
    return S3_OK;
  case S3_OP_LIST_OBJECT_VERSIONS:
    *out_after = p->key_marker;
    return S3_OK;
  case S3_OP_LIST_OBJECTS_V2:
    if (p->continuation_token.len > 0) return s3_token_decode(p->continuation_token, arena, out_after);
    *out_after = p->start_after;
    return S3_OK;
  default:
    break;
  }
  assert(request->op == S3_OP_LIST_OBJECTS); /* the others do not begin after a key */
  return S3_ERR_INTERNAL_ERROR;
}
