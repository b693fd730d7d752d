#include "auth/body.h"

#include <assert.h>

#include "auth/canon.h"
#include "auth/chunked.h"
#include "base/alloc.h"

struct auth_body {
  struct auth_result head;
  struct hash *hash; /* of the whole body, or of the chunk; NULL when no mode needs it */
  struct auth_checksum *checksum;
  bool has_expected;
  bool has_digest;
  bool ended;
  struct auth_digest expected;
  struct auth_digest digest;
  uint8_t sha256[SHA256_SIZE]; /* of all bytes, at the end, where the head promises it */
  uint64_t decoded_count;
  enum auth_error failed; /* first failure, repeated ever after */

  struct chunked chunked;
  uint64_t chunk_size;
  char previous[AUTH_SIGNATURE_HEX + 1]; /* last link of the signature chain */
  char claimed[AUTH_SIGNATURE_HEX];      /* by the chunk now open */

  uint8_t trailer_text[AUTH_TRAILER_BYTES_MAX];
  size_t trailer_len;
  struct auth_header trailers[AUTH_TRAILERS_MAX];
  size_t trailer_count;
  bool has_trailer_signature;
  char trailer_signature[AUTH_SIGNATURE_HEX];
};

static bool is_signed_chunked(const struct auth_body *body) {
  assert(body != NULL);
  return body->head.payload == AUTH_PAYLOAD_CHUNKED || body->head.payload == AUTH_PAYLOAD_CHUNKED_TRAILER;
}

static bool may_trail(const struct auth_body *body) {
  assert(body != NULL);
  return body->head.payload == AUTH_PAYLOAD_CHUNKED_TRAILER ||
         body->head.payload == AUTH_PAYLOAD_UNSIGNED_TRAILER;
}

static bool is_chunked(const struct auth_body *body) {
  assert(body != NULL);
  return is_signed_chunked(body) || may_trail(body);
}

enum auth_error auth_body_new(const struct auth_result *result, struct auth_body **out) {
  assert(result != NULL && out != NULL);
  struct auth_body *body = dom_calloc(1, sizeof *body);
  if (body == NULL) return AUTH_NO_MEMORY;
  body->head = *result;
  chunked_init(&body->chunked);
  memcpy(body->previous, result->signature, sizeof body->previous);
  bool needs_hash = result->payload == AUTH_PAYLOAD_SIGNED || result->payload == AUTH_PAYLOAD_DEFERRED ||
                    is_signed_chunked(body);
  if (needs_hash) body->hash = hash_new(HASH_SHA256);
  if (result->has_trailer) body->checksum = auth_checksum_new(result->trailer);
  if ((needs_hash && body->hash == NULL) || (result->has_trailer && body->checksum == NULL)) {
    auth_body_free(body);
    return AUTH_NO_MEMORY;
  }
  *out = body;
  return AUTH_OK;
}

void auth_body_free(struct auth_body *body) {
  if (body == NULL) return;
  assert(body->trailer_count <= AUTH_TRAILERS_MAX);
  if (body->hash != NULL) hash_free(body->hash);
  auth_checksum_free(body->checksum);
  wipe(body->head.signing_key, sizeof body->head.signing_key);
  dom_free(body);
}

enum auth_error auth_body_compute(struct auth_body *body, enum auth_checksum_kind kind) {
  assert(body != NULL && body->decoded_count == 0);
  if (body->checksum != NULL) return AUTH_OK; /* the announced one stands */
  body->checksum = auth_checksum_new(kind);
  return body->checksum == NULL ? AUTH_NO_MEMORY : AUTH_OK;
}

enum auth_error auth_body_expect(struct auth_body *body, const struct auth_digest *digest) {
  assert(body != NULL && digest != NULL && body->decoded_count == 0);
  if (body->checksum != NULL) return AUTH_INVALID_TRAILER;
  enum auth_error error = auth_body_compute(body, digest->kind);
  if (error != AUTH_OK) return error;
  body->expected = *digest;
  body->has_expected = true;
  return AUTH_OK;
}

static void bytes_count(struct auth_body *body, struct slice data) {
  assert(body != NULL);
  if (data.len == 0) return;
  if (body->hash != NULL) hash_update(body->hash, data.data, data.len);
  if (body->checksum != NULL) auth_checksum_update(body->checksum, data);
  body->decoded_count += data.len;
}

/* ---- aws-chunked ---- */

static enum auth_error chunk_begin(struct auth_body *body, const struct chunked_event *event) {
  assert(event->kind == CHUNKED_BEGIN);
  if (event->size > body->head.decoded_length - body->decoded_count) return AUTH_INCOMPLETE_BODY;
  if ((event->signature.len > 0) != is_signed_chunked(body)) return AUTH_MALFORMED_CHUNK;
  if (event->signature.len > 0) memcpy(body->claimed, event->signature.data, AUTH_SIGNATURE_HEX);
  return AUTH_OK;
}

/* Source: AWS "Signature calculations for the authorization header: chunked upload", task 3. */
static enum auth_error chunk_end(struct auth_body *body) {
  assert(is_chunked(body));
  if (!is_signed_chunked(body)) return AUTH_OK;
  uint8_t digest[SHA256_SIZE];
  char digest_hex[AUTH_SIGNATURE_HEX + 1];
  char expected[AUTH_SIGNATURE_HEX + 1];
  hash_final(body->hash, digest);
  canon_hex(digest, digest_hex);
  const struct slice lines[] = {SLICE_LIT(CANON_CHUNK_ALGORITHM),
                                slice_of(body->head.date, AUTH_DATE_SIZE),
                                body->head.scope,
                                slice_of(body->previous, AUTH_SIGNATURE_HEX),
                                SLICE_LIT(CANON_EMPTY_SHA256),
                                slice_of(digest_hex, AUTH_SIGNATURE_HEX)};
  canon_sign_lines(body->head.signing_key, lines, sizeof lines / sizeof lines[0], expected);
  if (!slice_equal_secret(slice_of(expected, AUTH_SIGNATURE_HEX),
                          slice_of(body->claimed, AUTH_SIGNATURE_HEX)))
    return AUTH_SIGNATURE_MISMATCH;
  memcpy(body->previous, expected, sizeof body->previous);
  return AUTH_OK;
}

/* AWS's own description ends a trailer's value with a line feed before the CRLF. */
static struct slice trailer_value(struct slice value) {
  assert(value.data != NULL || value.len == 0);
  if (value.len > 0 && value.data[value.len - 1] == '\n') value = slice_cut(value, 0, value.len - 1);
  return auth_value_trim(value);
}

static struct slice trailer_keep(struct auth_body *body, struct slice text, bool lower) {
  assert(body->trailer_len + text.len <= sizeof body->trailer_text);
  uint8_t *to = body->trailer_text + body->trailer_len;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    to[i] = lower && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
  }
  body->trailer_len += text.len;
  return slice_of(to, text.len);
}

static enum auth_error trailer_line(struct auth_body *body, struct slice line) {
  size_t colon = slice_find(line, ':');
  assert(is_chunked(body));
  if (!may_trail(body)) return AUTH_MALFORMED_CHUNK;
  if (colon == 0 || colon == line.len) return AUTH_MALFORMED_TRAILER;
  struct slice name = slice_cut(line, 0, colon);
  struct slice value = trailer_value(slice_cut(line, colon + 1, line.len));
  if (body->has_trailer_signature) return AUTH_MALFORMED_TRAILER; /* it comes last */
  if (slice_equal_nocase(name, SLICE_LIT("x-amz-trailer-signature"))) {
    if (value.len != AUTH_SIGNATURE_HEX) return AUTH_MALFORMED_TRAILER;
    memcpy(body->trailer_signature, value.data, AUTH_SIGNATURE_HEX);
    body->has_trailer_signature = true;
    return AUTH_OK;
  }
  if (body->trailer_count == AUTH_TRAILERS_MAX) return AUTH_MALFORMED_TRAILER;
  struct auth_header trailer = {trailer_keep(body, name, true), trailer_keep(body, value, false)};
  body->trailers[body->trailer_count++] = trailer;
  return AUTH_OK;
}

static enum auth_error trailer_signature_check(struct auth_body *body) {
  assert(body->head.payload == AUTH_PAYLOAD_CHUNKED_TRAILER);
  if (!body->has_trailer_signature) return AUTH_MALFORMED_TRAILER;
  uint8_t digest[SHA256_SIZE];
  char digest_hex[AUTH_SIGNATURE_HEX + 1];
  char expected[AUTH_SIGNATURE_HEX + 1];
  for (size_t i = 0; i < body->trailer_count; i++) {
    hash_update(body->hash, body->trailers[i].name.data, body->trailers[i].name.len);
    hash_update(body->hash, ":", 1);
    if (body->trailers[i].value.len > 0)
      hash_update(body->hash, body->trailers[i].value.data, body->trailers[i].value.len);
    hash_update(body->hash, "\n", 1);
  }
  hash_final(body->hash, digest);
  canon_hex(digest, digest_hex);
  const struct slice lines[] = {SLICE_LIT(CANON_TRAILER_ALGORITHM), slice_of(body->head.date, AUTH_DATE_SIZE),
                                body->head.scope, slice_of(body->previous, AUTH_SIGNATURE_HEX),
                                slice_of(digest_hex, AUTH_SIGNATURE_HEX)};
  canon_sign_lines(body->head.signing_key, lines, sizeof lines / sizeof lines[0], expected);
  return slice_equal_secret(slice_of(expected, AUTH_SIGNATURE_HEX),
                            slice_of(body->trailer_signature, AUTH_SIGNATURE_HEX))
             ? AUTH_OK
             : AUTH_SIGNATURE_MISMATCH;
}

/* The announced checksum must have come, once; a checksum that was not announced is refused, since
 * it would not be checked. */
static enum auth_error trailer_checksum_take(struct auth_body *body) {
  enum auth_checksum_kind kind;
  assert(!body->has_expected || !body->head.has_trailer);
  for (size_t i = 0; i < body->trailer_count; i++) {
    if (!auth_checksum_by_header(body->trailers[i].name, &kind)) continue;
    if (!body->head.has_trailer || kind != body->head.trailer || body->has_expected)
      return AUTH_MALFORMED_TRAILER;
    enum auth_error error = auth_digest_parse(kind, body->trailers[i].value, &body->expected);
    if (error != AUTH_OK) return error;
    body->has_expected = true;
  }
  return body->head.has_trailer && !body->has_expected ? AUTH_MALFORMED_TRAILER : AUTH_OK;
}

static enum auth_error complete(struct auth_body *body) {
  assert(is_chunked(body));
  if (body->decoded_count != body->head.decoded_length) return AUTH_INCOMPLETE_BODY;
  if (!may_trail(body)) return AUTH_OK;
  enum auth_error error = AUTH_OK;
  if (is_signed_chunked(body))
    error = trailer_signature_check(body);
  else if (body->has_trailer_signature)
    error = AUTH_MALFORMED_TRAILER;
  if (error != AUTH_OK) return error;
  return trailer_checksum_take(body);
}

static enum auth_error event_take(struct auth_body *body, const struct chunked_event *event) {
  assert(body != NULL && event != NULL);
  switch (event->kind) {
  case CHUNKED_NOTHING:
    return AUTH_OK;
  case CHUNKED_BEGIN:
    return chunk_begin(body, event);
  case CHUNKED_BYTES:
    bytes_count(body, event->bytes);
    return AUTH_OK;
  case CHUNKED_END:
    return chunk_end(body);
  case CHUNKED_LINE:
    return trailer_line(body, event->bytes);
  case CHUNKED_COMPLETE:
    return complete(body);
  }
  return AUTH_MALFORMED_CHUNK;
}

/* Runs events until data came out or the input is used up and nothing more is due. */
static enum auth_error chunked_feed(struct auth_body *body, struct slice in, size_t *out_used,
                                    struct slice *out_data) {
  size_t used = 0;
  struct slice data = {0};
  assert(is_chunked(body));
  for (;;) {
    size_t step;
    struct chunked_event event;
    enum auth_error error = chunked_next(&body->chunked, slice_cut(in, used, in.len), &step, &event);
    if (error == AUTH_OK) error = event_take(body, &event);
    if (error != AUTH_OK) return error;
    used += step;
    if (event.kind == CHUNKED_BYTES) data = event.bytes;
    if (event.kind == CHUNKED_BYTES && !body->chunked.end_is_due) break;
    if (event.kind == CHUNKED_END && data.len > 0) break;
    if (used == in.len && !body->chunked.end_is_due) break;
  }
  *out_used = used;
  *out_data = data;
  return AUTH_OK;
}

/* ---- the whole ---- */

enum auth_error auth_body_feed(struct auth_body *body, struct slice in, size_t *out_used,
                               struct slice *out_data) {
  assert(body != NULL && out_used != NULL && out_data != NULL && !body->ended);
  if (body->failed != AUTH_OK) return body->failed;
  if (is_chunked(body)) {
    body->failed = chunked_feed(body, in, out_used, out_data);
    return body->failed;
  }
  bytes_count(body, in);
  *out_used = in.len;
  *out_data = in;
  return AUTH_OK;
}

static enum auth_error deferred_check(const struct auth_body *body, const uint8_t digest[SHA256_SIZE]) {
  char digest_hex[AUTH_SIGNATURE_HEX + 1];
  char expected[AUTH_SIGNATURE_HEX + 1];
  assert(body->head.payload == AUTH_PAYLOAD_DEFERRED);
  canon_hex(digest, digest_hex);
  canon_sign_request(body->head.signing_key, slice_of(body->head.date, AUTH_DATE_SIZE), body->head.scope,
                     body->head.canonical_head, slice_of(digest_hex, AUTH_SIGNATURE_HEX), expected);
  return slice_equal_secret(slice_of(expected, AUTH_SIGNATURE_HEX),
                            slice_of(body->head.signature, AUTH_SIGNATURE_HEX))
             ? AUTH_OK
             : AUTH_SIGNATURE_MISMATCH;
}

static enum auth_error whole_check(struct auth_body *body) {
  uint8_t *digest = body->sha256;
  assert(body->ended);
  if (is_chunked(body)) return body->chunked.state == CHUNKED_DONE ? AUTH_OK : AUTH_INCOMPLETE_BODY;
  if (body->hash == NULL) return AUTH_OK;
  hash_final(body->hash, digest);
  if (body->head.payload == AUTH_PAYLOAD_DEFERRED) return deferred_check(body, digest);
  return slice_equal(slice_of(digest, SHA256_SIZE),
                     slice_of(body->head.payload_sha256, sizeof body->head.payload_sha256))
             ? AUTH_OK
             : AUTH_PAYLOAD_MISMATCH;
}

enum auth_error auth_body_end(struct auth_body *body) {
  assert(body != NULL && !body->ended);
  body->ended = true;
  if (body->failed == AUTH_OK) body->failed = whole_check(body);
  if (body->failed != AUTH_OK || body->checksum == NULL) return body->failed;
  auth_checksum_final(body->checksum, &body->digest);
  body->has_digest = true;
  if (body->has_expected && !auth_digest_equal(&body->digest, &body->expected))
    body->failed = AUTH_CHECKSUM_MISMATCH;
  return body->failed;
}

bool auth_body_hashes(const struct auth_body *body) {
  assert(body != NULL);
  return body->hash != NULL && !is_chunked(body);
}

void auth_body_sha256(const struct auth_body *body, uint8_t out[SHA256_SIZE]) {
  assert(auth_body_hashes(body) && body->ended && body->failed == AUTH_OK);
  memcpy(out, body->sha256, SHA256_SIZE);
}

bool auth_body_digest(const struct auth_body *body, struct auth_digest *out) {
  assert(body != NULL && out != NULL);
  if (!body->has_digest) return false;
  *out = body->digest;
  return true;
}

const struct auth_header *auth_body_trailers(const struct auth_body *body, size_t *out_count) {
  assert(body != NULL && out_count != NULL);
  *out_count = body->trailer_count;
  return body->trailers;
}
