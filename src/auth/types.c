#include "auth/types.h"

#include <assert.h>

static const char *const names[AUTH_ERROR_COUNT] = {
    [AUTH_OK] = "ok",
    [AUTH_ACCESS_DENIED] = "access-denied",
    [AUTH_UNSIGNED_HEADERS] = "unsigned-headers",
    [AUTH_EXPIRED] = "expired",
    [AUTH_NOT_YET_VALID] = "not-yet-valid",
    [AUTH_UNKNOWN_ACCESS_KEY] = "unknown-access-key",
    [AUTH_SIGNATURE_MISMATCH] = "signature-mismatch",
    [AUTH_TIME_SKEWED] = "time-skewed",
    [AUTH_HEADER_MALFORMED] = "header-malformed",
    [AUTH_QUERY_MALFORMED] = "query-malformed",
    [AUTH_UNSUPPORTED_TYPE] = "unsupported-type",
    [AUTH_TWO_MECHANISMS] = "two-mechanisms",
    [AUTH_FORM_MALFORMED] = "form-malformed",
    [AUTH_SIGV2] = "sigv2",
    [AUTH_INVALID_TOKEN] = "invalid-token",
    [AUTH_EXPIRED_TOKEN] = "expired-token",
    [AUTH_INVALID_PAYLOAD_HASH] = "invalid-payload-hash",
    [AUTH_INVALID_URI] = "invalid-uri",
    [AUTH_MISSING_LENGTH] = "missing-length",
    [AUTH_INVALID_LENGTH] = "invalid-length",
    [AUTH_INVALID_TRAILER] = "invalid-trailer",
    [AUTH_PAYLOAD_MISMATCH] = "payload-mismatch",
    [AUTH_INCOMPLETE_BODY] = "incomplete-body",
    [AUTH_MALFORMED_CHUNK] = "malformed-chunk",
    [AUTH_MALFORMED_TRAILER] = "malformed-trailer",
    [AUTH_INVALID_CHECKSUM] = "invalid-checksum",
    [AUTH_CHECKSUM_MISMATCH] = "checksum-mismatch",
    [AUTH_TOO_MANY_PARTS] = "too-many-parts",
    [AUTH_NO_MEMORY] = "no-memory",
};

const char *auth_error_name(enum auth_error error) {
  assert((unsigned)error < AUTH_ERROR_COUNT);
  assert(names[error] != NULL);
  return names[error];
}

struct slice auth_value_trim(struct slice value) {
  assert(value.data != NULL || value.len == 0);
  size_t from = 0;
  size_t to = value.len;
  while (from < to && (value.data[from] == ' ' || value.data[from] == '\t')) from++;
  while (to > from && (value.data[to - 1] == ' ' || value.data[to - 1] == '\t')) to--;
  return slice_cut(value, from, to);
}

size_t auth_header_find(const struct auth_request *request, struct slice name, struct slice *out_value) {
  assert(request != NULL && out_value != NULL);
  assert(request->headers != NULL || request->header_count == 0);
  size_t count = 0;
  for (size_t i = 0; i < request->header_count; i++) {
    if (!slice_equal_nocase(request->headers[i].name, name)) continue;
    if (count == 0) *out_value = auth_value_trim(request->headers[i].value);
    count++;
  }
  return count;
}
