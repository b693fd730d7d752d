#include "auth/claim.h"

#include <assert.h>

#include "auth/canon.h"
#include "base/clock.h"

static bool all_digits(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++)
    if (s.data[i] < '0' || s.data[i] > '9') return false;
  return s.len > 0;
}

/* Lower case only, as AWS makes them: one signature has one spelling. */
static bool all_hex(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++) {
    uint8_t c = s.data[i];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

/* ACCESS/20130524/us-east-1/s3/aws4_request. False: another shape. */
static bool credential_parse(struct slice text, struct slice region_pinned, struct claim *claim) {
  struct slice parts[5];
  struct slice rest = text;
  assert(claim != NULL);
  for (size_t i = 0; i < 5; i++) {
    size_t end = slice_find(rest, '/');
    bool is_last = i == 4;
    if (end == 0 || (end == rest.len) != is_last) return false;
    parts[i] = slice_cut(rest, 0, end);
    rest = slice_cut(rest, is_last ? end : end + 1, rest.len);
  }
  if (parts[0].len > AUTH_ACCESS_KEY_BYTES_MAX || parts[2].len > AUTH_REGION_BYTES_MAX) return false;
  if (parts[1].len != 8 || !all_digits(parts[1])) return false;
  if (region_pinned.len > 0 && !slice_equal(parts[2], region_pinned)) return false;
  if (!slice_equal(parts[3], SLICE_LIT(CANON_SERVICE))) return false;
  if (!slice_equal(parts[4], SLICE_LIT(CANON_TERMINATOR))) return false;
  claim->access = parts[0];
  claim->scope_date = parts[1];
  claim->region = parts[2];
  claim->scope = slice_cut(text, parts[0].len + 1, text.len);
  return true;
}

static bool signature_fits(struct slice s) {
  return s.len == AUTH_SIGNATURE_HEX && all_hex(s);
}

/* One "Name=value" of the Authorization header into its place; false on a repeat or a stranger. */
static bool field_take(struct slice field, struct slice values[3]) {
  static const char *const names[3] = {"Credential", "SignedHeaders", "Signature"};
  size_t equals = slice_find(field, '=');
  assert(values != NULL);
  if (equals == field.len) return false;
  for (size_t i = 0; i < 3; i++) {
    if (!slice_equal(slice_cut(field, 0, equals), slice_str(names[i]))) continue;
    if (values[i].len > 0) return false;
    values[i] = slice_cut(field, equals + 1, field.len);
    return values[i].len > 0;
  }
  return false;
}

static bool fields_parse(struct slice rest, struct slice values[3]) {
  assert(values != NULL);
  while (rest.len > 0) {
    size_t end = slice_find(rest, ',');
    if (!field_take(auth_value_trim(slice_cut(rest, 0, end)), values)) return false;
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  return values[0].len > 0 && values[1].len > 0 && values[2].len > 0;
}

static bool date_set(struct claim *claim, struct slice text) {
  uint64_t ms;
  assert(claim != NULL);
  if (text.len != AUTH_DATE_SIZE || time_parse_amz(text, &ms) != DOM_OK) return false;
  claim->date_ms = ms;
  memcpy(claim->date_text, text.data, AUTH_DATE_SIZE);
  claim->date_text[AUTH_DATE_SIZE] = '\0';
  return true;
}

/* x-amz-date wins over Date; Date may be an HTTP date. */
static enum auth_error header_date(const struct auth_request *request, struct claim *claim) {
  struct slice text;
  assert(request != NULL && claim != NULL);
  size_t count = auth_header_find(request, SLICE_LIT("x-amz-date"), &text);
  if (count > 1) return AUTH_ACCESS_DENIED;
  if (count == 1) return date_set(claim, text) ? AUTH_OK : AUTH_ACCESS_DENIED;
  if (auth_header_find(request, SLICE_LIT("date"), &text) != 1) return AUTH_ACCESS_DENIED;
  if (date_set(claim, text)) return AUTH_OK;
  if (time_parse_http(text, &claim->date_ms) != DOM_OK) return AUTH_ACCESS_DENIED;
  canon_date(claim->date_ms, claim->date_text);
  return AUTH_OK;
}

static bool scope_date_fits(const struct claim *claim) {
  assert(claim->scope_date.len == 8);
  return slice_equal(claim->scope_date, slice_of(claim->date_text, 8));
}

static enum auth_error header_parse(const struct auth_request *request, struct slice value,
                                    struct slice region_pinned, struct claim *claim) {
  struct slice values[3] = {0};
  assert(slice_starts_with(value, SLICE_LIT(CANON_ALGORITHM)));
  claim->scheme = AUTH_HEADER;
  struct slice rest = slice_cut(value, sizeof CANON_ALGORITHM - 1, value.len);
  if (!fields_parse(rest, values)) return AUTH_HEADER_MALFORMED;
  if (!credential_parse(values[0], region_pinned, claim)) return AUTH_HEADER_MALFORMED;
  if (!signature_fits(values[2])) return AUTH_HEADER_MALFORMED;
  claim->signed_headers = values[1];
  claim->signature = values[2];
  enum auth_error error = header_date(request, claim);
  if (error != AUTH_OK) return error;
  return scope_date_fits(claim) ? AUTH_OK : AUTH_HEADER_MALFORMED;
}

/* The lifetime. Zero seconds is a URL that expired at once; what no URL can carry is malformed. */
static enum auth_error expires_parse(struct slice text, uint64_t *out_s) {
  uint64_t value;
  assert(out_s != NULL);
  if (slice_to_u64(text, &value) != DOM_OK || value > AUTH_EXPIRES_S_MAX) return AUTH_QUERY_MALFORMED;
  if (value < AUTH_EXPIRES_S_MIN) return AUTH_EXPIRED;
  *out_s = value;
  return AUTH_OK;
}

static enum auth_error query_parse(const struct auth_query *query, struct slice region_pinned,
                                   struct claim *claim) {
  struct slice algorithm = {0}, credential = {0}, date = {0}, expires = {0}, names = {0}, signature = {0};
  const struct {
    struct slice name;
    struct slice *value;
  } fields[] = {
      {SLICE_LIT("X-Amz-Algorithm"), &algorithm}, {SLICE_LIT("X-Amz-Credential"), &credential},
      {SLICE_LIT("X-Amz-Date"), &date},           {SLICE_LIT("X-Amz-Expires"), &expires},
      {SLICE_LIT("X-Amz-SignedHeaders"), &names}, {SLICE_LIT("X-Amz-Signature"), &signature},
  };
  assert(query != NULL && claim != NULL);
  claim->scheme = AUTH_QUERY;
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (auth_query_find(query, fields[i].name, fields[i].value) != 1) return AUTH_QUERY_MALFORMED;
  if (!slice_equal(algorithm, SLICE_LIT(CANON_ALGORITHM))) return AUTH_QUERY_MALFORMED;
  if (!credential_parse(credential, region_pinned, claim)) return AUTH_QUERY_MALFORMED;
  if (!date_set(claim, date) || !scope_date_fits(claim)) return AUTH_QUERY_MALFORMED;
  if (names.len == 0 || !signature_fits(signature)) return AUTH_QUERY_MALFORMED;
  claim->signed_headers = names;
  claim->signature = signature;
  return expires_parse(expires, &claim->expires_s);
}

static bool query_holds(const struct auth_query *query, const char *name) {
  struct slice unused;
  assert(name != NULL);
  return auth_query_find(query, slice_str(name), &unused) > 0;
}

enum auth_error claim_parse(const struct auth_request *request, const struct auth_query *query,
                            struct slice region_pinned, struct claim *out) {
  assert(request != NULL && query != NULL && out != NULL);
  struct slice value = {0};
  size_t lines = auth_header_find(request, SLICE_LIT("authorization"), &value);
  bool in_query = query_holds(query, "X-Amz-Algorithm") || query_holds(query, "X-Amz-Signature");
  bool in_query_v2 = query_holds(query, "AWSAccessKeyId") && query_holds(query, "Signature");
  if (lines > 1) return AUTH_HEADER_MALFORMED;
  if (lines > 0 && (in_query || in_query_v2)) return AUTH_TWO_MECHANISMS;

  struct claim claim = {.scheme = AUTH_ANONYMOUS};
  enum auth_error error = AUTH_OK;
  if (in_query)
    error = query_parse(query, region_pinned, &claim);
  else if (in_query_v2)
    error = AUTH_SIGV2;
  else if (lines == 0)
    error = AUTH_OK;
  else if (slice_starts_with(value, SLICE_LIT(CANON_ALGORITHM " ")))
    error = header_parse(request, value, region_pinned, &claim);
  else if (slice_starts_with(value, SLICE_LIT("AWS ")))
    error = AUTH_SIGV2;
  else
    error = AUTH_UNSUPPORTED_TYPE;
  if (error == AUTH_OK) *out = claim;
  return error;
}

enum auth_error claim_parse_form(const struct auth_form *form, struct slice region_pinned,
                                 struct claim *out) {
  struct claim claim = {.scheme = AUTH_FORM, .expires_s = AUTH_EXPIRES_S_MAX, .signature = form->signature};
  assert(out != NULL);
  if (!slice_equal(form->algorithm, SLICE_LIT(CANON_ALGORITHM))) return AUTH_FORM_MALFORMED;
  if (!credential_parse(form->credential, region_pinned, &claim)) return AUTH_FORM_MALFORMED;
  if (!date_set(&claim, form->date) || !scope_date_fits(&claim)) return AUTH_FORM_MALFORMED;
  if (form->policy.len == 0 || !signature_fits(form->signature)) return AUTH_FORM_MALFORMED;
  *out = claim;
  return AUTH_OK;
}
