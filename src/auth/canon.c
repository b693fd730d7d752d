#include "auth/canon.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

bool canon_names_hold(struct slice signed_headers, struct slice name) {
  assert(name.len > 0);
  while (signed_headers.len > 0) {
    size_t end = slice_find(signed_headers, ';');
    if (slice_equal_nocase(slice_cut(signed_headers, 0, end), name)) return true;
    signed_headers = slice_cut(signed_headers, end < signed_headers.len ? end + 1 : end, signed_headers.len);
  }
  return false;
}

/* S3 signs the decoded path encoded once: no dot segments are removed, slashes are not merged. */
static enum auth_error append_path(struct slice raw_path, struct buf *out) {
  assert(out != NULL);
  BUF_AUTO decoded = BUF_INIT;
  if (percent_decode(raw_path, false, &decoded) != DOM_OK)
    return decoded.failed ? AUTH_NO_MEMORY : AUTH_INVALID_URI;
  if (decoded.failed) return AUTH_NO_MEMORY;
  if (decoded.len == 0) buf_append_byte(out, '/');
  percent_encode(out, buf_slice(&decoded), true);
  return AUTH_OK;
}

struct encoded_param {
  struct slice name;
  struct slice value;
};

static int param_compare(const void *left, const void *right) {
  const struct encoded_param *a = left;
  const struct encoded_param *b = right;
  assert(a->name.data != NULL && b->name.data != NULL);
  int order = slice_compare(a->name, b->name);
  return order != 0 ? order : slice_compare(a->value, b->value);
}

/* Writes "name" and "value" encoded one after the other into `text` and notes the lengths; the
 * pointers are set once `text` has stopped growing. */
static size_t params_encode(const struct auth_query *query, struct slice skip, struct buf *text,
                            struct encoded_param *out) {
  assert(query->count <= AUTH_QUERY_PARAMS_MAX);
  size_t count = 0;
  for (size_t i = 0; i < query->count; i++) {
    if (skip.len > 0 && slice_equal(query->params[i].name, skip)) continue;
    size_t at = text->len;
    percent_encode(text, query->params[i].name, false);
    out[count].name.len = text->len - at;
    at = text->len;
    percent_encode(text, query->params[i].value, false);
    out[count].value.len = text->len - at;
    count++;
  }
  const uint8_t *next = text->data;
  for (size_t i = 0; i < count && !text->failed && next != NULL; i++) {
    out[i].name.data = next;
    out[i].value.data = next + out[i].name.len;
    next = out[i].value.data + out[i].value.len;
  }
  return count;
}

static enum auth_error append_query(const struct auth_query *query, struct slice skip, struct buf *out) {
  assert(query != NULL && out != NULL);
  if (query->count == 0) return AUTH_OK;
  if (query->count > AUTH_QUERY_PARAMS_MAX) return AUTH_TOO_MANY_PARTS;
  struct encoded_param params[AUTH_QUERY_PARAMS_MAX];
  BUF_AUTO text = BUF_INIT;
  if (!buf_reserve(&text, 1)) return AUTH_NO_MEMORY; /* so that empty slices have an address */
  size_t count = params_encode(query, skip, &text, params);
  if (text.failed) return AUTH_NO_MEMORY;
  qsort(params, count, sizeof params[0], param_compare);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) buf_append_byte(out, '&');
    buf_append_slice(out, params[i].name);
    buf_append_byte(out, '=');
    buf_append_slice(out, params[i].value);
  }
  return AUTH_OK;
}

/* Cuts blanks at the ends and makes every run of blanks inside one blank. */
static void append_value(struct slice value, struct buf *out) {
  assert(out != NULL);
  bool gap = false;
  bool begun = false;
  for (size_t i = 0; i < value.len; i++) {
    if (value.data[i] == ' ' || value.data[i] == '\t') {
      gap = true;
      continue;
    }
    if (gap && begun) buf_append_byte(out, ' ');
    buf_append_byte(out, value.data[i]);
    begun = true;
    gap = false;
  }
}

/* Several lines of one name are joined by commas. */
static enum auth_error append_header(const struct auth_request *request, struct slice name, struct buf *out) {
  assert(name.len > 0);
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    buf_append_byte(out, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
  }
  buf_append_byte(out, ':');
  bool found = false;
  for (size_t i = 0; i < request->header_count; i++) {
    if (!slice_equal_nocase(request->headers[i].name, name)) continue;
    if (found) buf_append_byte(out, ',');
    append_value(request->headers[i].value, out);
    found = true;
  }
  buf_append_byte(out, '\n');
  return found ? AUTH_OK : AUTH_SIGNATURE_MISMATCH;
}

static enum auth_error append_headers(const struct auth_request *request, struct slice signed_headers,
                                      struct buf *out) {
  assert(signed_headers.len > 0);
  size_t count = 0;
  struct slice rest = signed_headers;
  while (rest.len > 0) {
    size_t end = slice_find(rest, ';');
    if (end == 0) return AUTH_SIGNATURE_MISMATCH;
    if (++count > AUTH_SIGNED_HEADERS_MAX) return AUTH_TOO_MANY_PARTS;
    enum auth_error error = append_header(request, slice_cut(rest, 0, end), out);
    if (error != AUTH_OK) return error;
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  buf_append_byte(out, '\n');
  buf_append_slice(out, signed_headers);
  buf_append_byte(out, '\n');
  return AUTH_OK;
}

enum auth_error canon_head(const struct auth_request *request, const struct auth_query *query,
                           struct slice query_skip, struct slice signed_headers, struct buf *out) {
  assert(request != NULL && query != NULL && out != NULL);
  buf_append_slice(out, request->method);
  buf_append_byte(out, '\n');
  enum auth_error error = append_path(request->raw_path, out);
  buf_append_byte(out, '\n');
  if (error == AUTH_OK) error = append_query(query, query_skip, out);
  buf_append_byte(out, '\n');
  if (error == AUTH_OK) error = append_headers(request, signed_headers, out);
  if (error != AUTH_OK) return error;
  return out->failed ? AUTH_NO_MEMORY : AUTH_OK;
}

void canon_hex(const uint8_t digest[SHA256_SIZE], char out_hex[AUTH_SIGNATURE_HEX + 1]) {
  static const char digits[] = "0123456789abcdef";
  assert(digest != NULL && out_hex != NULL);
  for (size_t i = 0; i < SHA256_SIZE; i++) {
    out_hex[2 * i] = digits[digest[i] >> 4];
    out_hex[2 * i + 1] = digits[digest[i] & 15];
  }
  out_hex[AUTH_SIGNATURE_HEX] = '\0';
}

void canon_signing_key(struct slice secret, struct slice date, struct slice region,
                       uint8_t out_key[KEY_SIZE]) {
  uint8_t first[4 + AUTH_SECRET_BYTES_MAX] = "AWS4";
  assert(secret.len <= AUTH_SECRET_BYTES_MAX);
  assert(date.len == 8);
  if (secret.len > 0) memcpy(first + 4, secret.data, secret.len);
  uint8_t day_key[SHA256_SIZE];
  uint8_t region_key[SHA256_SIZE];
  uint8_t service_key[SHA256_SIZE];
  hmac_sha256(slice_of(first, 4 + secret.len), date, day_key);
  hmac_sha256(slice_of(day_key, sizeof day_key), region, region_key);
  hmac_sha256(slice_of(region_key, sizeof region_key), SLICE_LIT(CANON_SERVICE), service_key);
  hmac_sha256(slice_of(service_key, sizeof service_key), SLICE_LIT(CANON_TERMINATOR), out_key);
  wipe(first, sizeof first);
  wipe(day_key, sizeof day_key);
  wipe(region_key, sizeof region_key);
  wipe(service_key, sizeof service_key);
}

void canon_sign_lines(const uint8_t key[KEY_SIZE], const struct slice *lines, size_t count,
                      char out_hex[AUTH_SIGNATURE_HEX + 1]) {
  /* The longest: algorithm, date, scope (the two keys' bounds and fixed words), three hashes. */
  uint8_t text[512];
  size_t len = 0;
  assert(count > 0);
  for (size_t i = 0; i < count; i++) {
    assert(len + lines[i].len + 1 <= sizeof text);
    if (i > 0) text[len++] = '\n';
    if (lines[i].len > 0) memcpy(text + len, lines[i].data, lines[i].len);
    len += lines[i].len;
  }
  uint8_t mac[SHA256_SIZE];
  hmac_sha256(slice_of(key, KEY_SIZE), slice_of(text, len), mac);
  canon_hex(mac, out_hex);
}

void canon_sign_request(const uint8_t key[KEY_SIZE], struct slice date, struct slice scope, struct slice head,
                        struct slice payload_hash, char out_hex[AUTH_SIGNATURE_HEX + 1]) {
  assert(date.len == AUTH_DATE_SIZE && head.len > 0);
  const struct slice canonical[2] = {head, payload_hash};
  uint8_t digest[SHA256_SIZE];
  char digest_hex[AUTH_SIGNATURE_HEX + 1];
  sha256_slices(canonical, 2, digest);
  canon_hex(digest, digest_hex);
  const struct slice lines[] = {SLICE_LIT(CANON_ALGORITHM), date, scope,
                                slice_of(digest_hex, AUTH_SIGNATURE_HEX)};
  canon_sign_lines(key, lines, sizeof lines / sizeof lines[0], out_hex);
}

void canon_date(uint64_t wall_ms, char out_date[AUTH_DATE_SIZE + 1]) {
  char text[25];
  assert(out_date != NULL);
  time_rfc3339(wall_ms, text); /* 2013-05-24T00:00:00.000Z */
  assert(text[10] == 'T');
  memcpy(out_date, text, 4);
  memcpy(out_date + 4, text + 5, 2);
  memcpy(out_date + 6, text + 8, 3);
  memcpy(out_date + 9, text + 11, 2);
  memcpy(out_date + 11, text + 14, 2);
  memcpy(out_date + 13, text + 17, 2);
  memcpy(out_date + 15, "Z", 2);
}
