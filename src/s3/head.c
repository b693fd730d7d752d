#include "s3/head.h"

#include <assert.h>

#include "base/clock.h"
#include "s3/checksum.h"
#include "s3/lock.h"
#include "s3/route.h"
#include "s3/tagging.h"

/* Headers that ask for something this program does not do. To ignore them would be to lie: an
 * object would be less protected, or described, than its sender was told. */
static const char *const refused[] = {
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
};

static bool header(const struct auth_request *head, const char *name, struct slice *out) {
  assert(name != NULL);
  return auth_header_find(head, slice_str(name), out) > 0;
}

static bool is_one_of(struct slice value, const char *const *names, size_t count) {
  assert(names != NULL);
  for (size_t i = 0; i < count; i++)
    if (slice_equal_nocase(value, slice_str(names[i]))) return true;
  return false;
}

static enum s3_error refused_check(const struct auth_request *head, struct s3_fault *fault) {
  static const char *const classes[] = {"STANDARD", "REDUCED_REDUNDANCY"};
  struct slice value;
  assert(head != NULL);
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (header(head, refused[i], &value)) return fault_set(fault, S3_ERR_NOT_IMPLEMENTED, refused[i]);
  /* Everything is encrypted anyway; a key of somebody else's service is another matter. */
  if (header(head, "x-amz-server-side-encryption", &value) && !slice_equal(value, SLICE_LIT("AES256")))
    return fault_set(fault, S3_ERR_NOT_IMPLEMENTED, "x-amz-server-side-encryption other than AES256");
  if (header(head, "x-amz-storage-class", &value) && !is_one_of(value, classes, 2))
    return fault_set(fault, S3_ERR_INVALID_STORAGE_CLASS, "x-amz-storage-class");
  return S3_OK;
}

/* The length of the object's bytes, and whether one PUT may carry it. */
static enum s3_error length_parse(const struct auth_request *head, struct s3_request *request,
                                  struct s3_fault *fault) {
  struct slice value;
  assert(request != NULL);
  bool found = header(head, "x-amz-decoded-content-length", &value) || header(head, "content-length", &value);
  if (!found) return S3_OK;
  if (slice_to_u64(value, &request->content_length) != DOM_OK)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "Content-Length");
  request->has_content_length = true;
  bool is_object = request->op == S3_OP_PUT_OBJECT || request->op == S3_OP_UPLOAD_PART;
  if (is_object && request->content_length > S3_PUT_BYTES_MAX)
    return fault_set(fault, S3_ERR_ENTITY_TOO_LARGE, NULL);
  return S3_OK;
}

static enum s3_error md5_parse(const struct auth_request *head, struct s3_request *request,
                               struct s3_fault *fault) {
  struct slice value;
  assert(request != NULL);
  if (!header(head, "content-md5", &value)) return S3_OK;
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = base64_decode(value, &bytes);
  if (bytes.failed) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  if (code != DOM_OK || bytes.len != MD5_SIZE) return fault_set(fault, S3_ERR_INVALID_DIGEST, "Content-MD5");
  memcpy(request->content_md5, bytes.data, MD5_SIZE);
  request->has_content_md5 = true;
  return S3_OK;
}

/* A date that does not parse is no condition (RFC 9110 §13.1.3). */
static void date_parse(const struct auth_request *head, const char *name, bool *out_has, uint64_t *out_ms) {
  struct slice value;
  assert(out_has != NULL && out_ms != NULL);
  if (header(head, name, &value) && time_parse_http(value, out_ms) == DOM_OK) *out_has = true;
}

static void condition_parse(const struct auth_request *head, bool is_copy, struct s3_condition *out) {
  assert(out != NULL);
  (void)header(head, is_copy ? "x-amz-copy-source-if-match" : "if-match", &out->if_match);
  (void)header(head, is_copy ? "x-amz-copy-source-if-none-match" : "if-none-match", &out->if_none_match);
  date_parse(head, is_copy ? "x-amz-copy-source-if-modified-since" : "if-modified-since",
             &out->has_modified_since, &out->modified_since_ms);
  date_parse(head, is_copy ? "x-amz-copy-source-if-unmodified-since" : "if-unmodified-since",
             &out->has_unmodified_since, &out->unmodified_since_ms);
}

/* "?versionId=" at the end. */
static enum s3_error source_version_cut(struct slice *source, struct slice *out_version,
                                        struct s3_fault *fault) {
  static const char mark[] = "?versionId=";
  const size_t mark_len = sizeof mark - 1;
  assert(source != NULL);
  size_t at = slice_find(*source, '?');
  if (source->len - at < mark_len || memcmp(source->data + at, mark, mark_len) != 0) return S3_OK;
  struct slice version = slice_cut(*source, at + mark_len, source->len);
  if (version.len == 0 || version.len > S3_VERSION_ID_BYTES_MAX)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "versionId");
  *out_version = version;
  *source = slice_cut(*source, 0, at);
  return S3_OK;
}

/* "/bucket/key" or "bucket/key", percent-encoded as a path is: '+' is itself. */
static enum s3_error copy_source_parse(struct slice source, struct arena *arena, struct s3_copy_source *out,
                                       struct s3_fault *fault) {
  static const char name[] = "x-amz-copy-source";
  assert(arena != NULL && out != NULL);
  enum s3_error error = source_version_cut(&source, &out->version_id, fault);
  if (error != S3_OK) return error;
  BUF_AUTO text = BUF_INIT;
  enum dom_code code = percent_decode(source, false, &text);
  if (text.failed) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  if (code != DOM_OK) return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  struct slice path = arena_copy(arena, buf_slice(&text));
  if (path.data == NULL && text.len > 0) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  if (path.len > 0 && path.data[0] == '/') path = slice_cut(path, 1, path.len);
  size_t slash = slice_find(path, '/');
  if (slash + 1 >= path.len) return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  out->bucket = slice_cut(path, 0, slash);
  out->key = slice_cut(path, slash + 1, path.len);
  if (!s3_bucket_name_valid(out->bucket)) return fault_set(fault, S3_ERR_INVALID_BUCKET_NAME, name);
  error = s3_key_check(out->key);
  return error == S3_OK ? S3_OK : fault_set(fault, error, name);
}

/* COPY or REPLACE; without the header COPY. */
static enum s3_error directive_parse(const struct auth_request *head, const char *name, bool *out_replace,
                                     struct s3_fault *fault) {
  struct slice value;
  assert(out_replace != NULL);
  if (!header(head, name, &value)) return S3_OK;
  *out_replace = slice_equal(value, SLICE_LIT("REPLACE"));
  bool known = *out_replace || slice_equal(value, SLICE_LIT("COPY"));
  return known ? S3_OK : fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
}

static enum s3_error copy_parse(const struct auth_request *head, struct arena *arena,
                                struct s3_request *request, struct s3_fault *fault) {
  struct slice value = {0};
  assert(request->op == S3_OP_COPY_OBJECT || request->op == S3_OP_UPLOAD_PART_COPY);
  (void)header(head, "x-amz-copy-source", &value);
  enum s3_error error = copy_source_parse(value, arena, &request->copy, fault);
  if (error != S3_OK) return error;
  condition_parse(head, true, &request->copy.condition);
  if (header(head, "x-amz-copy-source-range", &value) && !s3_copy_range_parse(value, &request->copy.range))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "x-amz-copy-source-range");
  error = directive_parse(head, "x-amz-metadata-directive", &request->replace_metadata, fault);
  return error != S3_OK ? error
                        : directive_parse(head, "x-amz-tagging-directive", &request->replace_tags, fault);
}

static bool says_true(const struct auth_request *head, const char *name) {
  struct slice value;
  assert(name != NULL);
  return header(head, name, &value) && slice_equal_nocase(value, SLICE_LIT("true"));
}

/* What a new version is to be protected by; a copy never takes that from its source. */
static enum s3_error lock_parse(const struct auth_request *head, struct s3_request *request,
                                struct s3_fault *fault) {
  bool takes = request->op == S3_OP_PUT_OBJECT || request->op == S3_OP_POST_OBJECT ||
               request->op == S3_OP_CREATE_MULTIPART_UPLOAD || request->op == S3_OP_COPY_OBJECT;
  const char *detail = NULL;
  request->bypass_governance = says_true(head, "x-amz-bypass-governance-retention");
  request->object_lock =
      request->op == S3_OP_CREATE_BUCKET && says_true(head, "x-amz-bucket-object-lock-enabled");
  if (!takes) return S3_OK;
  enum s3_error error = s3_lock_from_head(head, &request->meta, &detail);
  return error == S3_OK ? S3_OK : fault_set(fault, error, detail);
}

/* Tags of a new object. Of a copy they are the source's, unless they are to be replaced: then S3 does not
 * look at the header. */
static enum s3_error tags_parse(const struct auth_request *head, struct arena *arena,
                                struct s3_request *request, struct s3_fault *fault) {
  struct s3_tags tags;
  struct slice value;
  bool takes = request->op == S3_OP_PUT_OBJECT || request->op == S3_OP_POST_OBJECT ||
               request->op == S3_OP_CREATE_MULTIPART_UPLOAD ||
               (request->op == S3_OP_COPY_OBJECT && request->replace_tags);
  if (!takes || !header(head, "x-amz-tagging", &value)) return S3_OK;
  enum s3_error error = s3_object_tags_header(value, arena, &tags);
  if (error == S3_OK && !s3_meta_set_tags(&request->meta, &tags, arena)) error = S3_ERR_INTERNAL_ERROR;
  return error == S3_OK ? S3_OK : fault_set(fault, error, "x-amz-tagging");
}

/* If-None-Match of a write may only be "*": S3 refuses the rest, and so never half-obeys it. */
static enum s3_error write_condition_check(const struct s3_condition *condition, struct s3_fault *fault) {
  assert(condition != NULL);
  bool is_star = slice_equal(condition->if_none_match, SLICE_LIT("*"));
  if (condition->if_none_match.len > 0 && !is_star)
    return fault_set(fault, S3_ERR_NOT_IMPLEMENTED, "If-None-Match other than *");
  return S3_OK;
}

/* Who may set which is the access of the bucket's matter. */
static void acl_parse(const struct auth_request *head, struct s3_request *request) {
  static const char *const names[] = {"x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp",
                                      "x-amz-grant-write-acp", "x-amz-grant-full-control"};
  struct slice unused;
  assert(request != NULL);
  (void)header(head, "x-amz-acl", &request->acl);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    request->has_grants = request->has_grants || header(head, names[i], &unused);
}

static enum s3_error write_parse(const struct auth_request *head, struct arena *arena,
                                 struct s3_request *request, struct s3_fault *fault) {
  assert(s3_op_is_write(request->op));
  enum s3_error error = refused_check(head, fault);
  if (error == S3_OK) error = length_parse(head, request, fault);
  if (error == S3_OK) error = md5_parse(head, request, fault);
  if (error == S3_OK) error = write_condition_check(&request->condition, fault);
  if (error != S3_OK) return error;
  error = s3_meta_from_head(head, arena, &request->meta);
  if (error != S3_OK) return fault_set(fault, error, NULL);
  error = checksum_plan_take(request, fault);
  if (error != S3_OK) return error;
  acl_parse(head, request);
  (void)header(head, "x-domicile-layout", &request->domicile_layout);
  (void)header(head, "x-domicile-region", &request->domicile_region);
  bool is_copy = request->op == S3_OP_COPY_OBJECT || request->op == S3_OP_UPLOAD_PART_COPY;
  if (is_copy) error = copy_parse(head, arena, request, fault);
  if (error == S3_OK) error = lock_parse(head, request, fault);
  return error != S3_OK ? error : tags_parse(head, arena, request, fault);
}

/* Where S3 takes a key of the client's. */
static enum s3_error customer_parse(const struct auth_request *head, struct arena *arena,
                                    struct s3_request *request, struct s3_fault *fault) {
  enum s3_error error;
  struct slice unused;
  switch (request->op) {
  case S3_OP_COPY_OBJECT:
  case S3_OP_UPLOAD_PART_COPY:
    error = s3_customer_from_head(head, S3_CUSTOMER_SOURCE, arena, &request->copy.customer, fault);
    if (error != S3_OK) return error;
    break;
  case S3_OP_PUT_OBJECT:
  case S3_OP_POST_OBJECT:
  case S3_OP_GET_OBJECT:
  case S3_OP_HEAD_OBJECT:
  case S3_OP_GET_OBJECT_ATTRIBUTES:
  case S3_OP_CREATE_MULTIPART_UPLOAD:
  case S3_OP_UPLOAD_PART:
  case S3_OP_COMPLETE_MULTIPART_UPLOAD:
    break;
  default:
    return S3_OK;
  }
  error = s3_customer_from_head(head, S3_CUSTOMER_OWN, arena, &request->customer, fault);
  if (error != S3_OK || request->customer == NULL) return error;
  /* Two ways at once would be neither. */
  return header(head, "x-amz-server-side-encryption", &unused)
             ? fault_set(fault, S3_ERR_CUSTOMER_TWO_WAYS, NULL)
             : S3_OK;
}

enum s3_error head_parse(const struct auth_request *head, struct arena *arena, struct s3_request *request,
                         struct s3_fault *fault) {
  struct slice value;
  assert(head != NULL && arena != NULL && request != NULL && fault != NULL);
  (void)header(head, "x-amz-expected-bucket-owner", &request->expected_owner);
  condition_parse(head, false, &request->condition);
  if (request->op == S3_OP_GET_OBJECT || request->op == S3_OP_HEAD_OBJECT) {
    if (header(head, "range", &value)) request->range = s3_range_parse(value);
    if (request->part_number != 0 && request->range.kind != S3_RANGE_NONE)
      return fault_set(fault, S3_ERR_INVALID_REQUEST,
                       "cannot specify both Range header and partNumber query parameter");
  }
  if (request->op == S3_OP_GET_OBJECT_ATTRIBUTES) {
    enum s3_error asked = s3_attributes_from_head(head, &request->attributes, fault);
    if (asked != S3_OK) return asked;
  }
  enum s3_error error = checksum_head_parse(head, request, fault);
  if (error == S3_OK) error = customer_parse(head, arena, request, fault);
  if (error == S3_OK && s3_op_is_write(request->op)) error = write_parse(head, arena, request, fault);
  return error;
}
