/* Heads: requests signed beforehand, and the reading of answers' heads. */
#include "bench_internal.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"

/* Signatures are renewed at this age; servers take 15 minutes of skew. */
#define HEADS_AGE_MS UINT64_C(300000)

static void object_path(const struct bench_config *config, size_t number, struct buf *out) {
  assert(config->prefix != NULL);
  if (config->bucket != NULL) buf_printf(out, "/%s", config->bucket);
  buf_append_byte(out, '/');
  percent_encode(out, slice_str(config->prefix), true);
  if (!config->exact) buf_printf(out, "%zu", number);
}

static void append_signature(const struct bench_config *config, const char *method, const char *path,
                             const char *payload_hash, const char *stamp, struct buf *out) {
  assert(config->key != NULL);
  const struct sigv4_header headers[] = {
      {"host", config->endpoint->host}, {"x-amz-content-sha256", payload_hash}, {"x-amz-date", stamp}};
  buf_printf(out, "x-amz-content-sha256: %s\r\nx-amz-date: %s\r\nAuthorization: ", payload_hash, stamp);
  sigv4_authorize(config->key, &(struct sigv4_input){method, path, "", headers, 3, payload_hash, stamp}, out);
  buf_append_str(out, "\r\n");
}

static void make_head(const struct bench_config *config, size_t number, const char *payload_hash,
                      const char *stamp, struct buf *out) {
  const char *method = config->put ? "PUT" : "GET";
  BUF_AUTO path = BUF_INIT;
  object_path(config, number, &path);
  assert(path.failed || path.data[0] == '/');
  buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, buf_str(&path), config->endpoint->host);
  if (config->put) buf_printf(out, "Content-Length: %zu\r\n", config->payload.len);
  if (config->key != NULL) append_signature(config, method, buf_str(&path), payload_hash, stamp, out);
  buf_append_str(out, "\r\n");
  out->failed |= path.failed;
}

bool bench_heads_make(struct bench_heads *heads, const struct bench_config *config) {
  assert(heads != NULL && config->objects >= 1 && config->objects <= BENCH_OBJECTS_MAX);
  if (heads->starts == NULL) heads->starts = dom_calloc(config->objects + 1, sizeof *heads->starts);
  if (heads->starts == NULL) return false;
  char hash[DIGEST_HEX] = SIGV4_UNSIGNED, stamp[SIGV4_STAMP_SIZE];
  if (config->sign_payload || !config->put) {
    uint8_t raw[DIGEST_SIZE];
    digest_of(config->put ? config->payload.data : NULL, config->put ? config->payload.len : 0, raw);
    digest_hex(raw, hash);
  }
  heads->made_ms = clock_mono_ns(clock_posix()) / 1000000;
  sigv4_stamp(clock_wall_ms(clock_posix()), stamp);
  buf_reset(&heads->text);
  for (size_t i = 0; i < config->objects; i++) {
    heads->starts[i] = heads->text.len;
    make_head(config, i, hash, stamp, &heads->text);
  }
  heads->starts[config->objects] = heads->text.len;
  return !heads->text.failed;
}

bool bench_heads_renew(struct bench_heads *heads, const struct bench_config *config, uint64_t now_ns) {
  assert(heads->starts != NULL);
  if (config->key == NULL || now_ns / 1000000 - heads->made_ms < HEADS_AGE_MS) return true;
  return bench_heads_make(heads, config);
}

void bench_heads_done(struct bench_heads *heads) {
  assert(heads != NULL);
  dom_free(heads->starts);
  buf_done(&heads->text);
  *heads = (struct bench_heads){0};
}

/* Value of a header line "name: value" when it is `name`; NULL data otherwise. */
static struct slice header_value(struct slice line, const char *name) {
  size_t len = strlen(name);
  assert(len > 0);
  if (line.len <= len || line.data[len] != ':') return slice_of(NULL, 0);
  if (!slice_equal_nocase(slice_cut(line, 0, len), slice_str(name))) return slice_of(NULL, 0);
  struct slice value = slice_cut(line, len + 1, line.len);
  while (value.len > 0 && value.data[0] == ' ') value = slice_cut(value, 1, value.len);
  return value;
}

bool bench_head_parse(struct slice head, struct bench_head *out) {
  assert(out != NULL);
  static const char version[] = "HTTP/1.1 ";
  struct bench_head found = {0};
  uint64_t status;
  if (!slice_starts_with(head, slice_str(version)) || head.len < 13) return false;
  if (slice_to_u64(slice_cut(head, 9, 12), &status) != DOM_OK) return false;
  found.status = (unsigned)status;
  bool has_length = status == 204 || status == 304;
  for (struct slice rest = head; rest.len > 0;) {
    size_t end = slice_find(rest, '\n');
    struct slice line = slice_cut(rest, 0, end);
    if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
    struct slice length = header_value(line, "content-length");
    if (length.data != NULL) {
      if (slice_to_u64(length, &found.body_bytes) != DOM_OK) return false;
      has_length = true;
    }
    struct slice connection = header_value(line, "connection");
    if (connection.data != NULL && slice_equal_nocase(connection, SLICE_LIT("close"))) found.close = true;
    rest = slice_cut(rest, end == rest.len ? end : end + 1, rest.len);
  }
  if (!has_length) return false;
  *out = found;
  return true;
}
