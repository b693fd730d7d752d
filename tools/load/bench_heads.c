/* Heads: requests signed beforehand, and the reading of answers' heads. */
#include "bench_internal.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/codec.h"

/* Signatures are renewed at this age; servers take 15 minutes of skew. */
#define HEADS_AGE_MS UINT64_C(300000)

/* The trailer that stands behind an aws-chunked body, and bytes of each of its chunks: what SDKs use. */
#define TRAILER_NAME  "x-amz-checksum-crc32c"
#define TRAILER_CHUNK ((size_t)64 << 10)
#define TRAILER_HASH  "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

bool bench_sends_body(const struct bench_config *config) {
  return config->op == BENCH_PUT || config->op == BENCH_PART;
}

static void append_name(const struct bench_config *config, size_t number, bool slashes, struct buf *out) {
  assert(config->prefix != NULL);
  percent_encode(out, slice_str(config->prefix), slashes);
  if (!config->exact) buf_printf(out, "%06zu", number);
}

static void append_path(const struct bench_config *config, size_t number, struct buf *out) {
  assert(config->op != BENCH_LIST || config->bucket != NULL);
  if (config->bucket != NULL) buf_printf(out, "/%s", config->bucket);
  if (config->op == BENCH_LIST) return;
  buf_append_byte(out, '/');
  append_name(config, number, true, out);
}

/* Percent-encoded and in byte order, as it is signed. */
static void append_query(const struct bench_config *config, size_t number, struct buf *out) {
  if (config->op == BENCH_PART) buf_printf(out, "partNumber=%zu&uploadId=%s", number + 1, config->upload_id);
  if (config->op != BENCH_LIST) return;
  assert(!config->exact);
  buf_printf(out, "list-type=2&max-keys=%d&prefix=", BENCH_PAGE_KEYS);
  percent_encode(out, slice_str(config->prefix), false);
  if (number == 0) return;
  buf_append_str(out, "&start-after=");
  append_name(config, number * BENCH_PAGE_KEYS - 1, false, out);
}

static const char *method_of(enum bench_op op) {
  assert(op <= BENCH_PART);
  return op == BENCH_PUT || op == BENCH_PART ? "PUT" : op == BENCH_DELETE ? "DELETE" : "GET";
}

static size_t trailer_headers(const struct bench_config *config, char length[24], struct sigv4_header *out) {
  assert(config->payload_mode == BENCH_TRAILER);
  snprintf(length, 24, "%llu", (unsigned long long)config->decoded_bytes);
  out[0] = (struct sigv4_header){"content-encoding", "aws-chunked"};
  out[1] = (struct sigv4_header){"x-amz-decoded-content-length", length};
  out[2] = (struct sigv4_header){"x-amz-trailer", TRAILER_NAME};
  return 3;
}

static void append_signature(const struct bench_config *config, struct sigv4_input in, struct buf *out) {
  assert(config->key != NULL);
  char length[24];
  struct sigv4_header headers[6] = {
      {"host", config->endpoint->host}, {"x-amz-content-sha256", in.payload_hash}, {"x-amz-date", in.stamp}};
  in.headers = headers;
  in.header_count = 3;
  if (bench_sends_body(config) && config->payload_mode == BENCH_TRAILER)
    in.header_count += trailer_headers(config, length, headers + 3);
  for (size_t i = 1; i < in.header_count; i++)
    buf_printf(out, "%s: %s\r\n", headers[i].name, headers[i].value);
  buf_append_str(out, "Authorization: ");
  sigv4_authorize(config->key, &in, out);
  buf_append_str(out, "\r\n");
}

static void make_head(const struct bench_config *config, size_t number, const char *payload_hash,
                      const char *stamp, struct buf *out) {
  BUF_AUTO path = BUF_INIT;
  BUF_AUTO query = BUF_INIT;
  append_path(config, number, &path);
  append_query(config, number, &query);
  assert(path.failed || path.data[0] == '/');
  struct sigv4_input in = {.method = method_of(config->op),
                           .path = buf_str(&path),
                           .query = query.len > 0 ? buf_str(&query) : "",
                           .payload_hash = payload_hash,
                           .stamp = stamp};
  buf_printf(out, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", in.method, in.path, query.len > 0 ? "?" : "",
             in.query, config->endpoint->host);
  if (bench_sends_body(config)) buf_printf(out, "Content-Length: %zu\r\n", config->payload.len);
  if (config->key != NULL) append_signature(config, in, out);
  buf_append_str(out, "\r\n");
  out->failed |= path.failed || query.failed;
}

/* What the head says about the body: its SHA-256 or a word. */
static void payload_hash_of(const struct bench_config *config, char out[DIGEST_HEX]) {
  bool body = bench_sends_body(config);
  assert(!body || config->payload.data != NULL);
  if (body && config->payload_mode != BENCH_SIGNED) {
    snprintf(out, DIGEST_HEX, "%s", config->payload_mode == BENCH_TRAILER ? TRAILER_HASH : SIGV4_UNSIGNED);
    return;
  }
  uint8_t raw[DIGEST_SIZE];
  digest_of(body ? config->payload.data : NULL, body ? config->payload.len : 0, raw);
  digest_hex(raw, out);
}

void bench_trailer_encode(struct slice plain, struct buf *out) {
  assert(out != NULL);
  uint32_t crc = crc32c(0, plain.data, plain.len);
  uint8_t raw[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
  for (size_t done = 0; done < plain.len;) {
    size_t len = plain.len - done < TRAILER_CHUNK ? plain.len - done : TRAILER_CHUNK;
    buf_printf(out, "%zx\r\n", len);
    buf_append_slice(out, slice_cut(plain, done, done + len));
    buf_append_str(out, "\r\n");
    done += len;
  }
  buf_append_str(out, "0\r\n" TRAILER_NAME ":");
  base64_encode(out, slice_of(raw, sizeof raw));
  buf_append_str(out, "\r\n\r\n");
}

bool bench_heads_make(struct bench_heads *heads, const struct bench_config *config) {
  assert(heads != NULL && config->objects >= 1 && config->objects <= BENCH_OBJECTS_MAX);
  if (heads->starts == NULL) heads->starts = dom_calloc(config->objects + 1, sizeof *heads->starts);
  if (heads->starts == NULL) return false;
  char hash[DIGEST_HEX], stamp[SIGV4_STAMP_SIZE];
  payload_hash_of(config, hash);
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
    struct slice coding = header_value(line, "transfer-encoding");
    if (coding.data != NULL) found.chunked = slice_equal_nocase(coding, SLICE_LIT("chunked"));
    struct slice etag = header_value(line, "etag");
    if (etag.len > 2 && etag.len < sizeof found.etag && etag.data[0] == '"')
      memcpy(found.etag, etag.data + 1, etag.len - 2);
    struct slice connection = header_value(line, "connection");
    if (connection.data != NULL && slice_equal_nocase(connection, SLICE_LIT("close"))) found.close = true;
    rest = slice_cut(rest, end == rest.len ? end : end + 1, rest.len);
  }
  if (has_length == found.chunked) return false;
  *out = found;
  return true;
}
