#include "s3/params.h"

#include <assert.h>

#include "s3/route.h"

static struct slice text_param(const struct auth_query *query, const char *name) {
  struct slice value = {0};
  assert(name != NULL);
  (void)auth_query_find(query, slice_str(name), &value);
  return value;
}

static bool has_param(const struct auth_query *query, const char *name) {
  struct slice unused;
  assert(name != NULL);
  return auth_query_find(query, slice_str(name), &unused) > 0;
}

/* A page size: absent or empty is the default, more than a page is a page. */
static enum s3_error page_param(const struct auth_query *query, const char *name, uint32_t *out,
                                struct s3_fault *fault) {
  uint64_t value = S3_PAGE_MAX;
  struct slice text = text_param(query, name);
  assert(out != NULL);
  if (text.len > 0 && (slice_to_u64(text, &value) != DOM_OK || value > INT32_MAX))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  *out = value < S3_PAGE_MAX ? (uint32_t)value : S3_PAGE_MAX;
  return S3_OK;
}

static enum s3_error encoding_param(const struct auth_query *query, bool *out, struct s3_fault *fault) {
  struct slice text = text_param(query, "encoding-type");
  assert(out != NULL);
  if (text.len > 0 && !slice_equal_nocase(text, SLICE_LIT("url")))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "encoding-type");
  *out = text.len > 0;
  return S3_OK;
}

static enum s3_error flag_param(const struct auth_query *query, const char *name, bool *out,
                                struct s3_fault *fault) {
  struct slice text = text_param(query, name);
  assert(out != NULL);
  bool is_true = slice_equal_nocase(text, SLICE_LIT("true"));
  if (text.len > 0 && !is_true && !slice_equal_nocase(text, SLICE_LIT("false")))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  *out = is_true;
  return S3_OK;
}

/* What all listings of keys share. */
static enum s3_error names_params(const struct auth_query *query, struct s3_list_params *list,
                                  struct s3_fault *fault) {
  assert(list != NULL);
  list->prefix = text_param(query, "prefix");
  list->delimiter = text_param(query, "delimiter");
  list->has_delimiter = has_param(query, "delimiter");
  return encoding_param(query, &list->encoding_url, fault);
}

static enum s3_error list_v1_params(const struct auth_query *query, struct s3_list_params *list,
                                    struct s3_fault *fault) {
  enum s3_error error = names_params(query, list, fault);
  assert(list != NULL);
  list->marker = text_param(query, "marker");
  list->has_marker = has_param(query, "marker");
  return error != S3_OK ? error : page_param(query, "max-keys", &list->page_max, fault);
}

static enum s3_error list_v2_params(const struct auth_query *query, struct s3_list_params *list,
                                    struct s3_fault *fault) {
  assert(list != NULL);
  if (!slice_equal(text_param(query, "list-type"), SLICE_LIT("2")))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "list-type");
  enum s3_error error = names_params(query, list, fault);
  if (error == S3_OK) error = flag_param(query, "fetch-owner", &list->fetch_owner, fault);
  list->start_after = text_param(query, "start-after");
  list->has_start_after = has_param(query, "start-after");
  list->continuation_token = text_param(query, "continuation-token");
  list->has_continuation_token = has_param(query, "continuation-token");
  return error != S3_OK ? error : page_param(query, "max-keys", &list->page_max, fault);
}

static enum s3_error list_versions_params(const struct auth_query *query, struct s3_list_params *list,
                                          struct s3_fault *fault) {
  enum s3_error error = names_params(query, list, fault);
  assert(list != NULL);
  list->key_marker = text_param(query, "key-marker");
  list->version_id_marker = text_param(query, "version-id-marker");
  if (error == S3_OK && list->version_id_marker.len > 0 && list->key_marker.len == 0)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT,
                     "a version-id marker cannot be specified without a key marker");
  return error != S3_OK ? error : page_param(query, "max-keys", &list->page_max, fault);
}

static enum s3_error list_uploads_params(const struct auth_query *query, struct s3_list_params *list,
                                         struct s3_fault *fault) {
  enum s3_error error = names_params(query, list, fault);
  assert(list != NULL);
  list->key_marker = text_param(query, "key-marker");
  /* S3 ignores an upload-id marker without a key marker. */
  if (list->key_marker.len > 0) list->upload_id_marker = text_param(query, "upload-id-marker");
  return error != S3_OK ? error : page_param(query, "max-uploads", &list->page_max, fault);
}

static enum s3_error list_parts_params(const struct auth_query *query, struct s3_list_params *list,
                                       struct s3_fault *fault) {
  uint64_t marker = 0;
  struct slice text = text_param(query, "part-number-marker");
  assert(list != NULL);
  if (text.len > 0 && (slice_to_u64(text, &marker) != DOM_OK || marker > INT32_MAX))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "part-number-marker");
  list->part_number_marker = (uint32_t)marker;
  enum s3_error error = encoding_param(query, &list->encoding_url, fault);
  return error != S3_OK ? error : page_param(query, "max-parts", &list->page_max, fault);
}

static enum s3_error upload_id_param(const struct auth_query *query, struct s3_request *request,
                                     struct s3_fault *fault) {
  struct slice id = text_param(query, "uploadId");
  assert(request != NULL);
  if (id.len == 0 || id.len > S3_UPLOAD_ID_BYTES_MAX) return fault_set(fault, S3_ERR_NO_SUCH_UPLOAD, NULL);
  request->upload_id = id;
  return S3_OK;
}

static enum s3_error number_param(const struct auth_query *query, struct s3_request *request,
                                  struct s3_fault *fault) {
  uint64_t number = 0;
  struct slice text = text_param(query, "partNumber");
  assert(request != NULL);
  if (slice_to_u64(text, &number) != DOM_OK || number < 1 || number > S3_PART_NUMBER_MAX)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "partNumber must be an integer between 1 and 10000");
  request->part_number = (uint32_t)number;
  return S3_OK;
}

static enum s3_error part_number_param(const struct auth_query *query, struct s3_request *request,
                                       struct s3_fault *fault) {
  enum s3_error error = number_param(query, request, fault);
  return error != S3_OK ? error : upload_id_param(query, request, fault);
}

/* A read may ask for one part, whole. */
static enum s3_error read_part_param(const struct auth_query *query, struct s3_request *request,
                                     struct s3_fault *fault) {
  assert(request != NULL);
  return has_param(query, "partNumber") ? number_param(query, request, fault) : S3_OK;
}

/* An override becomes a header of the answer: it may not hold what ends one. */
static enum s3_error override_param(const struct auth_query *query, const char *name, struct slice *out,
                                    struct s3_fault *fault) {
  struct slice text = text_param(query, name);
  assert(out != NULL);
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] < ' ' || text.data[i] == 0x7F) return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  *out = text;
  return S3_OK;
}

static enum s3_error overrides_params(const struct auth_query *query, struct s3_overrides *overrides,
                                      struct s3_fault *fault) {
  const struct {
    const char *name;
    struct slice *out;
  } rows[] = {
      {"response-content-type", &overrides->content_type},
      {"response-content-encoding", &overrides->content_encoding},
      {"response-cache-control", &overrides->cache_control},
      {"response-content-disposition", &overrides->content_disposition},
      {"response-content-language", &overrides->content_language},
      {"response-expires", &overrides->expires},
  };
  assert(overrides != NULL);
  enum s3_error error = S3_OK;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0] && error == S3_OK; i++)
    error = override_param(query, rows[i].name, rows[i].out, fault);
  return error;
}

/* An empty one is refused by S3: the client meant some version, and must not get another. */
static enum s3_error version_param(const struct auth_query *query, struct s3_request *request,
                                   struct s3_fault *fault) {
  assert(request != NULL);
  if (!has_param(query, "versionId")) return S3_OK;
  request->version_id = text_param(query, "versionId");
  bool good = request->version_id.len > 0 && request->version_id.len <= S3_VERSION_ID_BYTES_MAX;
  return good ? S3_OK : fault_set(fault, S3_ERR_INVALID_ARGUMENT, "versionId");
}

enum s3_error params_parse(const struct auth_query *query, struct s3_request *request,
                           struct s3_fault *fault) {
  assert(query != NULL && request != NULL && fault != NULL);
  enum s3_error error;
  switch (request->op) {
  case S3_OP_LIST_OBJECTS:
    return list_v1_params(query, &request->list, fault);
  case S3_OP_LIST_OBJECTS_V2:
    return list_v2_params(query, &request->list, fault);
  case S3_OP_LIST_OBJECT_VERSIONS:
    return list_versions_params(query, &request->list, fault);
  case S3_OP_LIST_MULTIPART_UPLOADS:
    return list_uploads_params(query, &request->list, fault);
  case S3_OP_LIST_PARTS:
    error = upload_id_param(query, request, fault);
    return error != S3_OK ? error : list_parts_params(query, &request->list, fault);
  case S3_OP_UPLOAD_PART:
  case S3_OP_UPLOAD_PART_COPY:
    return part_number_param(query, request, fault);
  case S3_OP_COMPLETE_MULTIPART_UPLOAD:
  case S3_OP_ABORT_MULTIPART_UPLOAD:
    return upload_id_param(query, request, fault);
  case S3_OP_GET_OBJECT:
  case S3_OP_HEAD_OBJECT:
    error = version_param(query, request, fault);
    if (error == S3_OK) error = read_part_param(query, request, fault);
    return error != S3_OK ? error : overrides_params(query, &request->overrides, fault);
  default:
    return s3_op_takes_version(request->op) ? version_param(query, request, fault) : S3_OK;
  }
}
