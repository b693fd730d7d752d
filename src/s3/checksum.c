#include "s3/checksum.h"

#include <assert.h>

#include "s3/route.h"

static bool header(const struct auth_request *head, const char *name, struct slice *out) {
  assert(name != NULL);
  return auth_header_find(head, slice_str(name), out) > 0;
}

/* "-N" behind a composite checksum: of so many parts. */
static bool count_cut(struct slice *value, uint32_t *out_count) {
  uint64_t count = 0;
  size_t at = slice_find(*value, '-');
  assert(out_count != NULL);
  if (at == value->len) return true;
  if (slice_to_u64(slice_cut(*value, at + 1, value->len), &count) != DOM_OK || count == 0 ||
      count > S3_PART_NUMBER_MAX)
    return false;
  *out_count = (uint32_t)count;
  *value = slice_cut(*value, 0, at);
  return true;
}

/* In a completion it is of the object to come, elsewhere of the body that follows. */
static enum s3_error values_parse(const struct auth_request *head, struct s3_request *request,
                                  struct s3_fault *fault) {
  bool completes = request->op == S3_OP_COMPLETE_MULTIPART_UPLOAD, found = false;
  struct auth_digest digest;
  for (unsigned kind = 0; kind < AUTH_CHECKSUM_KIND_COUNT; kind++) {
    struct slice value;
    const char *name = auth_checksum_header((enum auth_checksum_kind)kind);
    if (!header(head, name, &value)) continue;
    if (found) return fault_set(fault, S3_ERR_INVALID_REQUEST, "expecting a single x-amz-checksum- header");
    if (completes && !count_cut(&value, &request->whole_parts))
      return fault_set(fault, S3_ERR_INVALID_REQUEST, name);
    enum auth_error error = auth_digest_parse((enum auth_checksum_kind)kind, value, &digest);
    if (error == AUTH_NO_MEMORY) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
    if (error != AUTH_OK) return fault_set(fault, S3_ERR_INVALID_REQUEST, name);
    found = true;
  }
  if (found && completes) {
    request->has_whole_checksum = true;
    request->whole_checksum = digest;
  } else if (found) {
    request->has_checksum = true;
    request->checksum = digest;
  }
  return S3_OK;
}

static enum s3_error type_parse(const struct auth_request *head, struct s3_request *request,
                                struct s3_fault *fault) {
  static const char name[] = "x-amz-checksum-type";
  struct slice value;
  if (!header(head, name, &value)) return S3_OK;
  request->has_checksum_type = true;
  request->checksum_full_object = slice_equal(value, SLICE_LIT("FULL_OBJECT"));
  if (!request->checksum_full_object && !slice_equal(value, SLICE_LIT("COMPOSITE")))
    return fault_set(fault, S3_ERR_INVALID_REQUEST, name);
  return S3_OK;
}

static enum s3_error size_parse(const struct auth_request *head, struct s3_request *request,
                                struct s3_fault *fault) {
  static const char name[] = "x-amz-mp-object-size";
  struct slice value;
  if (!header(head, name, &value)) return S3_OK;
  if (slice_to_u64(value, &request->whole_size) != DOM_OK)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, name);
  request->has_whole_size = true;
  return S3_OK;
}

/* Which checksum the object of a new upload will have. */
static enum s3_error plan_make(struct s3_request *request, struct s3_fault *fault) {
  struct s3_meta *meta = &request->meta;
  assert(request->op == S3_OP_CREATE_MULTIPART_UPLOAD);
  if (!request->has_checksum_algorithm) {
    if (!request->has_checksum_type) return S3_OK;
    return fault_set(fault, S3_ERR_INVALID_REQUEST,
                     "x-amz-checksum-type can only be used with x-amz-checksum-algorithm");
  }
  bool whole = request->has_checksum_type ? request->checksum_full_object
                                          : request->checksum_algorithm == AUTH_CHECKSUM_CRC64NVME;
  meta->has_plan = true;
  meta->plan = (struct s3_checksum_plan){.kind = request->checksum_algorithm, .full_object = whole};
  if (s3_checksum_plan_valid(&meta->plan)) return S3_OK;
  return fault_set(fault, S3_ERR_INVALID_REQUEST,
                   whole ? "this algorithm has no FULL_OBJECT checksum of parts"
                         : "this algorithm has no COMPOSITE checksum");
}

enum s3_error checksum_head_parse(const struct auth_request *head, struct s3_request *request,
                                  struct s3_fault *fault) {
  static const char *const names[] = {"x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"};
  struct slice value;
  assert(head != NULL && request != NULL && fault != NULL);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (!header(head, names[i], &value)) continue;
    if (!auth_checksum_by_algorithm(value, &request->checksum_algorithm))
      return fault_set(fault, S3_ERR_INVALID_REQUEST, names[i]);
    request->has_checksum_algorithm = true;
  }
  request->checksum_mode =
      header(head, "x-amz-checksum-mode", &value) && slice_equal_nocase(value, SLICE_LIT("ENABLED"));
  enum s3_error error = S3_OK;
  bool completes = request->op == S3_OP_COMPLETE_MULTIPART_UPLOAD;
  if (completes) error = size_parse(head, request, fault);
  if (error == S3_OK && (completes || request->op == S3_OP_CREATE_MULTIPART_UPLOAD))
    error = type_parse(head, request, fault);
  return error == S3_OK ? values_parse(head, request, fault) : error;
}

enum s3_error checksum_plan_take(struct s3_request *request, struct s3_fault *fault) {
  assert(request != NULL && fault != NULL);
  return request->op == S3_OP_CREATE_MULTIPART_UPLOAD ? plan_make(request, fault) : S3_OK;
}
