#include "s3/error.h"

#include <assert.h>

#include "s3/xml.h"

static const struct {
  const char *code;
  unsigned status;
  const char *message;
} rows[S3_ERROR_COUNT] = {
#define S3_ERROR(name, code_, status_, message_)                                                             \
  [S3_ERR_##name] = {.code = (code_), .status = (status_), .message = (message_)},
#include "s3/errors.def"
#undef S3_ERROR
};

const char *s3_error_code(enum s3_error error) {
  assert(error > S3_OK && error < S3_ERROR_COUNT);
  return rows[error].code;
}

unsigned s3_error_status(enum s3_error error) {
  assert(error > S3_OK && error < S3_ERROR_COUNT);
  return rows[error].status;
}

const char *s3_error_message(enum s3_error error) {
  assert(error > S3_OK && error < S3_ERROR_COUNT);
  return rows[error].message;
}

enum s3_error s3_error_of_auth(enum auth_error error) {
  static const enum s3_error map[AUTH_ERROR_COUNT] = {
      [AUTH_OK] = S3_OK,
      [AUTH_ACCESS_DENIED] = S3_ERR_ACCESS_DENIED,
      [AUTH_UNSIGNED_HEADERS] = S3_ERR_ACCESS_DENIED_UNSIGNED,
      [AUTH_EXPIRED] = S3_ERR_ACCESS_DENIED_EXPIRED,
      [AUTH_NOT_YET_VALID] = S3_ERR_ACCESS_DENIED_NOT_YET,
      [AUTH_UNKNOWN_ACCESS_KEY] = S3_ERR_INVALID_ACCESS_KEY_ID,
      [AUTH_SIGNATURE_MISMATCH] = S3_ERR_SIGNATURE_DOES_NOT_MATCH,
      [AUTH_TIME_SKEWED] = S3_ERR_REQUEST_TIME_TOO_SKEWED,
      [AUTH_HEADER_MALFORMED] = S3_ERR_AUTH_HEADER_MALFORMED,
      [AUTH_QUERY_MALFORMED] = S3_ERR_AUTH_QUERY_PARAMETERS,
      [AUTH_UNSUPPORTED_TYPE] = S3_ERR_INVALID_AUTH_TYPE,
      [AUTH_TWO_MECHANISMS] = S3_ERR_INVALID_TWO_MECHANISMS,
      [AUTH_FORM_MALFORMED] = S3_ERR_FORM_CREDENTIAL,
      [AUTH_SIGV2] = S3_ERR_INVALID_SIGV2,
      [AUTH_INVALID_TOKEN] = S3_ERR_INVALID_TOKEN,
      [AUTH_EXPIRED_TOKEN] = S3_ERR_EXPIRED_TOKEN,
      [AUTH_INVALID_PAYLOAD_HASH] = S3_ERR_INVALID_ARGUMENT,
      [AUTH_INVALID_URI] = S3_ERR_INVALID_URI,
      [AUTH_MISSING_LENGTH] = S3_ERR_MISSING_CONTENT_LENGTH,
      [AUTH_INVALID_LENGTH] = S3_ERR_INVALID_ARGUMENT,
      [AUTH_INVALID_TRAILER] = S3_ERR_INVALID_REQUEST,
      [AUTH_PAYLOAD_MISMATCH] = S3_ERR_CONTENT_SHA256_MISMATCH,
      [AUTH_INCOMPLETE_BODY] = S3_ERR_INCOMPLETE_BODY,
      [AUTH_MALFORMED_CHUNK] = S3_ERR_INVALID_REQUEST,
      [AUTH_MALFORMED_TRAILER] = S3_ERR_MALFORMED_TRAILER,
      [AUTH_INVALID_CHECKSUM] = S3_ERR_INVALID_REQUEST,
      [AUTH_CHECKSUM_MISMATCH] = S3_ERR_BAD_DIGEST,
      [AUTH_TOO_MANY_PARTS] = S3_ERR_INVALID_REQUEST,
      [AUTH_NO_MEMORY] = S3_ERR_INTERNAL_ERROR,
  };
  assert((unsigned)error < AUTH_ERROR_COUNT);
  assert(error == AUTH_OK || map[error] != S3_OK);
  return map[error];
}

void s3_error_message_text(enum s3_error error, const char *detail, struct buf *out) {
  assert(error > S3_OK && error < S3_ERROR_COUNT && out != NULL);
  xml_escape(out, slice_str(rows[error].message));
  if (detail == NULL) return;
  buf_append_str(out, ": ");
  xml_escape(out, slice_str(detail));
}

void s3_error_xml(enum s3_error error, const struct s3_error_context *context, struct buf *out) {
  assert(error > S3_OK && error < S3_ERROR_COUNT);
  assert(context != NULL && out != NULL);
  if (error == S3_ERR_NOT_MODIFIED) return;
  xml_begin(out);
  xml_open(out, "Error");
  xml_text(out, "Code", slice_str(rows[error].code));
  xml_open(out, "Message");
  s3_error_message_text(error, context->detail, out);
  xml_close(out, "Message");
  xml_text(out, "Resource", context->resource);
  xml_text(out, "RequestId", context->request_id);
  xml_text(out, "HostId", context->host_id);
  xml_close(out, "Error");
}
