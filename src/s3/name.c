#include "s3/name.h"

#include <assert.h>

static bool is_alnum(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool ends_with(struct slice s, struct slice suffix) {
  assert(suffix.len > 0);
  return s.len >= suffix.len && slice_equal(slice_cut(s, s.len - suffix.len, s.len), suffix);
}

/* Four groups of digits: no such name, a Host of that shape is an address. */
static bool looks_like_ipv4(struct slice name) {
  size_t dots = 0;
  assert(name.len > 0);
  for (size_t i = 0; i < name.len; i++) {
    if (name.data[i] == '.')
      dots++;
    else if (name.data[i] < '0' || name.data[i] > '9')
      return false;
  }
  return dots == 3;
}

static bool has_reserved_affix(struct slice name) {
  static const char *const prefixes[] = {"xn--", "sthree-", "amzn-s3-demo-"};
  static const char *const suffixes[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};
  assert(name.len > 0);
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (slice_starts_with(name, slice_str(prefixes[i]))) return true;
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
    if (ends_with(name, slice_str(suffixes[i]))) return true;
  return false;
}

bool s3_bucket_name_valid(struct slice name) {
  assert(name.data != NULL || name.len == 0);
  if (name.len < S3_BUCKET_NAME_MIN || name.len > S3_BUCKET_NAME_MAX) return false;
  if (!is_alnum(name.data[0]) || !is_alnum(name.data[name.len - 1])) return false;
  for (size_t i = 1; i < name.len; i++) {
    uint8_t before = name.data[i - 1];
    uint8_t c = name.data[i];
    if (!is_alnum(c) && c != '.' && c != '-') return false;
    if (c == '.' && !is_alnum(before)) return false;
    if (c == '-' && before == '.') return false;
  }
  return !looks_like_ipv4(name) && !has_reserved_affix(name);
}

enum s3_error s3_key_check(struct slice key) {
  assert(key.data != NULL || key.len == 0);
  if (key.len > S3_KEY_BYTES_MAX) return S3_ERR_KEY_TOO_LONG;
  if (key.len == 0 || !utf8_valid(key) || slice_find(key, 0) < key.len) return S3_ERR_INVALID_URI;
  return S3_OK;
}

/* Without ":port"; an IPv6 literal keeps its brackets and so never ends in a domain. */
static struct slice host_name(struct slice host) {
  assert(host.data != NULL || host.len == 0);
  if (host.len > 0 && host.data[0] == '[') return host;
  return slice_cut(host, 0, slice_find(host, ':'));
}

bool s3_host_bucket(struct slice host, const struct s3_domains *domains, struct slice *out_label) {
  assert(domains != NULL && out_label != NULL);
  struct slice name = host_name(host);
  for (size_t i = 0; i < domains->count; i++) {
    struct slice domain = domains->names[i];
    if (domain.len == 0 || name.len <= domain.len + 1) continue;
    size_t label_len = name.len - domain.len - 1;
    if (name.data[label_len] != '.') continue;
    if (!slice_equal_nocase(slice_cut(name, label_len + 1, name.len), domain)) continue;
    *out_label = slice_cut(name, 0, label_len);
    return true;
  }
  return false;
}

/* Percent-decoded; borrowed when there is nothing to decode. */
static enum s3_error path_decode(struct slice raw, struct arena *arena, struct slice *out) {
  assert(arena != NULL && out != NULL);
  if (slice_find(raw, '%') == raw.len) {
    *out = raw;
    return S3_OK;
  }
  BUF_AUTO text = BUF_INIT;
  enum dom_code code = percent_decode(raw, false, &text);
  if (text.failed) return S3_ERR_INTERNAL_ERROR;
  if (code != DOM_OK) return S3_ERR_INVALID_URI;
  struct slice copy = arena_copy(arena, buf_slice(&text));
  if (copy.data == NULL) return S3_ERR_INTERNAL_ERROR;
  *out = copy;
  return S3_OK;
}

static enum s3_error label_lower(struct slice label, struct arena *arena, struct slice *out) {
  assert(label.len > 0);
  uint8_t *bytes = arena_alloc(arena, label.len);
  if (bytes == NULL) return S3_ERR_INTERNAL_ERROR;
  for (size_t i = 0; i < label.len; i++) {
    uint8_t c = label.data[i];
    bytes[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
  }
  *out = slice_of(bytes, label.len);
  return S3_OK;
}

enum s3_error s3_target_parse(struct slice host, struct slice raw_path, const struct s3_domains *domains,
                              struct arena *arena, struct s3_target *out) {
  assert(domains != NULL && arena != NULL && out != NULL);
  struct s3_target target = {0};
  struct slice label = {0};
  enum s3_error error = S3_OK;
  if (raw_path.len == 0 || raw_path.data[0] != '/') return S3_ERR_INVALID_URI;
  struct slice rest = slice_cut(raw_path, 1, raw_path.len);
  target.is_host_style = s3_host_bucket(host, domains, &label);
  if (target.is_host_style) {
    error = label_lower(label, arena, &target.bucket);
  } else {
    size_t slash = slice_find(rest, '/');
    if (rest.len > 0 && slash == 0) return S3_ERR_INVALID_BUCKET_NAME;
    error = path_decode(slice_cut(rest, 0, slash), arena, &target.bucket);
    rest = slice_cut(rest, slash < rest.len ? slash + 1 : slash, rest.len);
  }
  if (error == S3_OK) error = path_decode(rest, arena, &target.key);
  if (error != S3_OK) return error;
  if (target.bucket.len > 0 && !s3_bucket_name_valid(target.bucket)) return S3_ERR_INVALID_BUCKET_NAME;
  if (target.key.len > 0) error = s3_key_check(target.key);
  if (error == S3_OK) *out = target;
  return error;
}
