#include "sigv4.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "digest.h"

bool sigv4_key_parse(const char *text, struct sigv4_key *out) {
  assert(text != NULL && out != NULL);
  size_t access = strcspn(text, ":");
  if (access == 0 || access >= SIGV4_NAME_MAX || text[access] != ':') return false;
  size_t secret = strlen(text + access + 1);
  if (secret == 0 || secret >= SIGV4_NAME_MAX) return false;
  memset(out, 0, sizeof *out);
  memcpy(out->access, text, access);
  memcpy(out->secret, text + access + 1, secret);
  memcpy(out->region, "us-east-1", sizeof "us-east-1");
  return true;
}

void sigv4_stamp(uint64_t wall_ms, char out[SIGV4_STAMP_SIZE]) {
  assert(out != NULL);
  time_t seconds = (time_t)(wall_ms / 1000);
  struct tm utc;
  struct tm *ok = gmtime_r(&seconds, &utc);
  assert(ok != NULL);
  size_t len = strftime(out, SIGV4_STAMP_SIZE, "%Y%m%dT%H%M%SZ", &utc);
  assert(len == SIGV4_STAMP_SIZE - 1);
}

static int header_order(const void *a, const void *b) {
  const struct sigv4_header *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static int slice_order(const void *a, const void *b) {
  return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* The query's parameters in byte order; one without '=' gets it. */
static void append_query(const char *query, struct buf *out) {
  assert(query != NULL && out != NULL);
  struct slice parts[SIGV4_QUERY_MAX];
  size_t count = 0;
  while (*query != '\0') {
    size_t len = strcspn(query, "&");
    assert(count < SIGV4_QUERY_MAX);
    parts[count++] = slice_of(query, len);
    query += len + (query[len] == '&');
  }
  qsort(parts, count, sizeof *parts, slice_order);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) buf_append_byte(out, '&');
    buf_append_slice(out, parts[i]);
    if (slice_find(parts[i], '=') == parts[i].len) buf_append_byte(out, '=');
  }
}

static void append_names(const struct sigv4_header *headers, size_t count, struct buf *out) {
  assert(count > 0);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) buf_append_byte(out, ';');
    buf_append_str(out, headers[i].name);
  }
}

/* `headers` are sorted. */
static void canonical_request(const struct sigv4_input *in, const struct sigv4_header *headers,
                              struct buf *out) {
  assert(in->path[0] == '/');
  buf_printf(out, "%s\n%s\n", in->method, in->path);
  append_query(in->query, out);
  buf_append_byte(out, '\n');
  for (size_t i = 0; i < in->header_count; i++) {
    buf_printf(out, "%s:%s\n", headers[i].name, headers[i].value);
  }
  buf_append_byte(out, '\n');
  append_names(headers, in->header_count, out);
  buf_printf(out, "\n%s", in->payload_hash);
}

/* HMAC chain over date, region, service, terminator. */
static void signing_key(const struct sigv4_key *key, const char *stamp, uint8_t out[DIGEST_SIZE]) {
  assert(strlen(stamp) == SIGV4_STAMP_SIZE - 1);
  char first[SIGV4_NAME_MAX + 4];
  int len = snprintf(first, sizeof first, "AWS4%s", key->secret);
  assert(len > 4 && (size_t)len < sizeof first);
  digest_hmac(first, (size_t)len, stamp, 8, out);
  digest_hmac(out, DIGEST_SIZE, key->region, strlen(key->region), out);
  digest_hmac(out, DIGEST_SIZE, "s3", 2, out);
  digest_hmac(out, DIGEST_SIZE, "aws4_request", 12, out);
}

void sigv4_authorize(const struct sigv4_key *key, const struct sigv4_input *in, struct buf *out) {
  assert(in->header_count > 0 && in->header_count <= SIGV4_HEADERS_MAX);
  struct sigv4_header headers[SIGV4_HEADERS_MAX];
  memcpy(headers, in->headers, in->header_count * sizeof *headers);
  qsort(headers, in->header_count, sizeof *headers, header_order);
  BUF_AUTO text = BUF_INIT;
  canonical_request(in, headers, &text);
  if (text.failed) {
    out->failed = true;
    return;
  }
  uint8_t hash[DIGEST_SIZE], secret[DIGEST_SIZE];
  char hex[DIGEST_HEX];
  digest_of(text.data, text.len, hash);
  digest_hex(hash, hex);
  char scope[128];
  snprintf(scope, sizeof scope, "%.8s/%s/s3/aws4_request", in->stamp, key->region);
  buf_reset(&text);
  buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", in->stamp, scope, hex);
  signing_key(key, in->stamp, secret);
  digest_hmac(secret, sizeof secret, buf_str(&text), text.len, hash);
  digest_hex(hash, hex);
  out->failed |= text.failed;
  buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=", key->access, scope);
  append_names(headers, in->header_count, out);
  buf_printf(out, ",Signature=%s", hex);
}
