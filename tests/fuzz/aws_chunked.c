/* aws-chunked bodies, signed and not, with trailers and without. Cut anywhere, a body gives the same
 * bytes, trailers and verdict. A body that is coded and signed here is accepted; one changed byte and
 * it is not, or it still says the same. */
#include "fuzz.h"

#include "auth/auth.h"
#include "auth/canon.h"

struct outcome {
  enum auth_error fed, ended; /* verdict of the feeding, then of the end */
  struct buf data, trailers;
};

static void outcome_done(struct outcome *o) {
  buf_done(&o->data);
  buf_done(&o->trailers);
}
#define OUTCOME_AUTO __attribute__((cleanup(outcome_done))) struct outcome

static enum auth_error feed_piece(struct auth_body *body, struct slice piece, struct buf *data) {
  while (piece.len > 0) {
    size_t used = SIZE_MAX;
    struct slice run;
    fuzz_mark(&run, sizeof run);
    enum auth_error error = auth_body_feed(body, piece, &used, &run);
    if (error != AUTH_OK) {
      assert(used == SIZE_MAX && fuzz_is_marked(&run, sizeof run));
      assert(auth_body_feed(body, piece, &used, &run) == error); /* the first failure stays */
      return error;
    }
    assert(used > 0 && used <= piece.len && fuzz_inside(piece, run));
    buf_append_slice(data, run);
    piece = slice_cut(piece, used, piece.len);
  }
  return AUTH_OK;
}

/* `r` NULL: at once. */
static void decode(const struct auth_result *head, struct slice in, struct fuzz_random *r,
                   struct outcome *o) {
  struct auth_body *body = NULL;
  size_t count = 0;
  *o = (struct outcome){0};
  assert(auth_body_new(head, &body) == AUTH_OK);
  for (size_t at = 0; at < in.len && o->fed == AUTH_OK;) {
    size_t n = r == NULL ? in.len : 1 + fuzz_random_below(r, fuzz_random_below(r, 3) == 0 ? in.len - at : 5);
    if (n > in.len - at) n = in.len - at;
    FUZZ_COPY_AUTO piece = fuzz_copy(slice_cut(in, at, at + n));
    o->fed = feed_piece(body, slice_of(piece, n), &o->data);
    at += n;
  }
  o->ended = auth_body_end(body);
  assert(o->fed == AUTH_OK || o->ended == o->fed);
  const struct auth_header *trailers = auth_body_trailers(body, &count);
  for (size_t i = 0; i < count; i++) {
    assert(trailers[i].name.len > 0);
    buf_append_slice(&o->trailers, trailers[i].name);
    buf_append_byte(&o->trailers, ':');
    buf_append_slice(&o->trailers, trailers[i].value);
    buf_append_byte(&o->trailers, '\n');
  }
  assert(count <= AUTH_TRAILERS_MAX && o->data.len <= in.len);
  auth_body_free(body);
}

static struct auth_result head_of(enum auth_payload payload, uint64_t decoded_length) {
  struct auth_result head = {.scheme = AUTH_HEADER, .payload = payload, .has_decoded_length = true};
  head.decoded_length = decoded_length;
  head.scope = SLICE_LIT("20261122/in/s3/aws4_request");
  memcpy(head.date, "20261122T120000Z", AUTH_DATE_SIZE);
  memset(head.signature, 'a', AUTH_SIGNATURE_HEX);
  memset(head.signing_key, 7, KEY_SIZE);
  return head;
}

static void check_same(const struct outcome *a, const struct outcome *b) {
  assert(a->fed == b->fed && a->ended == b->ended);
  if (a->fed != AUTH_OK) return; /* pieces before the failure were given out, at once none was */
  assert(slice_equal(buf_slice(&a->data), buf_slice(&b->data)));
  assert(slice_equal(buf_slice(&a->trailers), buf_slice(&b->trailers)));
}

/* The bytes as they are, under each way a head can announce them. */
static void check_raw(struct slice in, struct fuzz_random *r) {
  static const enum auth_payload kinds[] = {AUTH_PAYLOAD_CHUNKED, AUTH_PAYLOAD_CHUNKED_TRAILER,
                                            AUTH_PAYLOAD_UNSIGNED_TRAILER, AUTH_PAYLOAD_UNSIGNED};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    OUTCOME_AUTO probe;
    OUTCOME_AUTO whole;
    OUTCOME_AUTO pieces;
    struct auth_result head = head_of(kinds[i], in.len);
    decode(&head, in, r, &probe);
    /* What came out is what the head might have announced: then the end is reached, too. */
    head.decoded_length = probe.data.len;
    head.has_trailer = fuzz_random_below(r, 2) == 1 && kinds[i] != AUTH_PAYLOAD_CHUNKED;
    head.trailer = (enum auth_checksum_kind)fuzz_random_below(r, AUTH_CHECKSUM_KIND_COUNT);
    decode(&head, in, NULL, &whole);
    decode(&head, in, r, &pieces);
    check_same(&whole, &pieces);
    assert(whole.ended != AUTH_OK || kinds[i] == AUTH_PAYLOAD_UNSIGNED ||
           whole.data.len == head.decoded_length);
  }
}

static void sign_lines(const struct auth_result *head, const char *algorithm,
                       char previous[AUTH_SIGNATURE_HEX + 1], bool chunk, const char *digest_hex) {
  struct slice lines[6] = {slice_str(algorithm), slice_of(head->date, AUTH_DATE_SIZE), head->scope,
                           slice_of(previous, AUTH_SIGNATURE_HEX), SLICE_LIT(CANON_EMPTY_SHA256)};
  char next[AUTH_SIGNATURE_HEX + 1];
  lines[chunk ? 5 : 4] = slice_of(digest_hex, AUTH_SIGNATURE_HEX);
  canon_sign_lines(head->signing_key, lines, chunk ? 6 : 5, next);
  memcpy(previous, next, sizeof next);
}

static void code_chunk(const struct auth_result *head, struct slice data,
                       char previous[AUTH_SIGNATURE_HEX + 1], struct buf *out) {
  uint8_t digest[SHA256_SIZE];
  char hex[AUTH_SIGNATURE_HEX + 1];
  buf_printf(out, "%zx", data.len);
  if (head->payload != AUTH_PAYLOAD_UNSIGNED_TRAILER) {
    sha256(data.data, data.len, digest);
    canon_hex(digest, hex);
    sign_lines(head, CANON_CHUNK_ALGORITHM, previous, true, hex);
    buf_printf(out, ";chunk-signature=%s", previous);
  }
  buf_append_str(out, "\r\n");
  buf_append_slice(out, data);
  if (data.len > 0) buf_append_str(out, "\r\n");
}

/* Source: AWS S3 API reference, "Signature calculations … including trailing headers". */
static void code_trailer(const struct auth_result *head, struct slice data,
                         char previous[AUTH_SIGNATURE_HEX + 1], struct buf *out) {
  struct auth_checksum *sum = auth_checksum_new(head->trailer);
  struct auth_digest value;
  uint8_t digest[SHA256_SIZE];
  char hex[AUTH_SIGNATURE_HEX + 1];
  BUF_AUTO line = BUF_INIT;
  assert(sum != NULL);
  auth_checksum_update(sum, data);
  auth_checksum_final(sum, &value);
  auth_checksum_free(sum);
  buf_append_str(&line, auth_checksum_header(head->trailer));
  buf_append_byte(&line, ':');
  auth_digest_print(&value, &line);
  buf_append_slice(out, buf_slice(&line));
  buf_append_str(out, "\r\n");
  if (head->payload != AUTH_PAYLOAD_CHUNKED_TRAILER) return;
  buf_append_byte(&line, '\n');
  sha256(line.data, line.len, digest);
  canon_hex(digest, hex);
  sign_lines(head, CANON_TRAILER_ALGORITHM, previous, false, hex);
  buf_printf(out, "x-amz-trailer-signature:%s\r\n", previous);
}

static void code(const struct auth_result *head, struct slice data, struct fuzz_random *r, struct buf *out) {
  char previous[AUTH_SIGNATURE_HEX + 1];
  memcpy(previous, head->signature, sizeof previous);
  for (size_t at = 0; at < data.len;) {
    size_t n = 1 + fuzz_random_below(r, data.len - at);
    code_chunk(head, slice_cut(data, at, at + n), previous, out);
    at += n;
  }
  code_chunk(head, (struct slice){0}, previous, out);
  if (head->has_trailer) code_trailer(head, data, previous, out);
  buf_append_str(out, "\r\n");
  assert(!out->failed);
}

static void check_coded(struct slice data, struct fuzz_random *r) {
  static const enum auth_payload kinds[] = {AUTH_PAYLOAD_CHUNKED, AUTH_PAYLOAD_CHUNKED_TRAILER,
                                            AUTH_PAYLOAD_UNSIGNED_TRAILER};
  struct auth_result head = head_of(kinds[fuzz_random_below(r, 3)], data.len);
  BUF_AUTO coded = BUF_INIT;
  OUTCOME_AUTO good;
  OUTCOME_AUTO bad;
  head.has_trailer = head.payload != AUTH_PAYLOAD_CHUNKED;
  head.trailer = (enum auth_checksum_kind)fuzz_random_below(r, AUTH_CHECKSUM_KIND_COUNT);
  code(&head, data, r, &coded);
  decode(&head, buf_slice(&coded), r, &good);
  assert(good.ended == AUTH_OK && slice_equal(buf_slice(&good.data), data));
  coded.data[fuzz_random_below(r, coded.len)] ^= (uint8_t)(1 << fuzz_random_below(r, 8));
  decode(&head, buf_slice(&coded), r, &bad);
  /* A size in the other case is the same size; nothing else may pass. */
  assert(bad.ended != AUTH_OK || (slice_equal(buf_slice(&bad.data), data) &&
                                  slice_equal(buf_slice(&bad.trailers), buf_slice(&good.trailers))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  check_raw(in, &r);
  check_coded(in, &r);
  return 0;
}
