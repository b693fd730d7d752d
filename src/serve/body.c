/* The request's body, checked against the head's promises, and its way into the store. */
#include <assert.h>

#include "serve/region.h"

enum s3_error intake_begin(struct intake *b, struct call *c, uint64_t length_max) {
  *b = (struct intake){.c = c, .length_max = length_max};
  uint64_t wire_length = 0;
  if (c->auth.is_unverified)
    return S3_ERR_INVALID_TOKEN; /* it cannot be checked here, so it is not read here */
  if (c->post) b->length_max = post_bytes_max(c->post);
  bool known = wire_body_length(c->x, &wire_length);
  if (!known && !c->auth.has_decoded_length) return S3_ERR_MISSING_CONTENT_LENGTH;
  uint64_t announced = c->auth.has_decoded_length ? c->auth.decoded_length : wire_length;
  if (announced > length_max && !c->post) return S3_ERR_ENTITY_TOO_LARGE;
  bool is_long = announced > SERVE_CHUNK && !c->post; /* a form's bytes are not in these chunks */
  md5_stream_init(&b->md5, is_long ? c->r->md5_lanes : NULL);
  b->chunk_count = b->md5.lanes ? SERVE_CHUNKS_AHEAD : 1;
  b->chunks = dom_alloc((size_t)b->chunk_count * SERVE_CHUNK);
  if (!b->chunks) return S3_ERR_SLOW_DOWN;
  enum auth_error denied = auth_body_new(&c->auth, &b->auth);
  if (!denied && c->q.has_checksum)
    denied = auth_body_expect(b->auth, &c->q.checksum);
  else if (!denied && c->q.has_checksum_algorithm && !c->auth.has_trailer)
    denied = auth_body_compute(b->auth, c->q.checksum_algorithm);
  return s3_error_of_auth(denied);
}

enum s3_error intake_failed(struct call *c, enum dom_code code, const struct dom_err *err) {
  if (code == DOM_TIMEOUT) return S3_ERR_REQUEST_TIMEOUT;
  if (code == DOM_IO || code == DOM_INVALID) return S3_ERR_INCOMPLETE_BODY;
  return call_error_of(c, code, err);
}

static enum s3_error at_end(struct intake *b) {
  enum auth_error denied = auth_body_end(b->auth);
  if (denied) return s3_error_of_auth(denied);
  md5_stream_final(&b->md5, b->digest);
  if (b->c->post && b->length < post_bytes_min(b->c->post)) return S3_ERR_ENTITY_TOO_SMALL;
  if (!b->c->q.has_content_md5) return S3_OK;
  return memcmp(b->digest, b->c->q.content_md5, MD5_SIZE) == 0 ? S3_OK : S3_ERR_BAD_DIGEST;
}

/* The next chunk's memory, once nobody reads it any more. */
static uint8_t *chunk_next(struct intake *b) {
  assert(b->pending.len == 0 && b->chunk < b->chunk_count);
  b->chunk = (b->chunk + 1) % b->chunk_count;
  md5_stream_wait(&b->md5, b->tickets[b->chunk]);
  return b->chunks + (size_t)b->chunk * SERVE_CHUNK;
}

static enum s3_error read_wire(struct intake *b) {
  struct dom_err err = {0};
  size_t got = 0;
  uint8_t *chunk = chunk_next(b);
  enum dom_code code = wire_body_read(b->c->x, chunk, SERVE_CHUNK, &got, &err);
  if (code) return intake_failed(b->c, code, &err);
  b->pending = slice_of(chunk, got);
  return S3_OK;
}

enum s3_error intake_next(struct intake *b, struct slice *out) {
  for (;;) {
    if (b->pending.len == 0) {
      enum s3_error error = b->c->post ? post_read(b->c->post, &b->pending) : read_wire(b);
      if (error) return error;
      *out = slice_of(NULL, 0);
      if (b->pending.len == 0) return at_end(b);
    }
    size_t used = 0;
    struct slice data = {0};
    enum auth_error denied = auth_body_feed(b->auth, b->pending, &used, &data);
    if (denied) return s3_error_of_auth(denied);
    assert(used > 0);
    b->pending = slice_cut(b->pending, used, b->pending.len);
    if (data.len == 0) continue;
    b->length += data.len;
    if (b->length > b->length_max) return S3_ERR_ENTITY_TOO_LARGE;
    b->tickets[b->chunk] = md5_stream_feed(&b->md5, data);
    *out = data;
    return S3_OK;
  }
}

enum s3_error intake_all(struct call *c, uint64_t length_max, struct buf *out) {
  INTAKE_AUTO b;
  enum s3_error error = intake_begin(&b, c, length_max);
  if (error == S3_ERR_ENTITY_TOO_LARGE) return S3_ERR_MAX_MESSAGE_LENGTH;
  struct slice data = {0};
  do {
    if (!error) error = intake_next(&b, &data);
    if (!error) buf_append_slice(out, data);
  } while (!error && data.len > 0);
  return !error && out->failed ? S3_ERR_SLOW_DOWN : error;
}

void intake_md5(struct intake *b, uint8_t out[MD5_SIZE]) {
  memcpy(out, b->digest, MD5_SIZE);
}

bool intake_digest(struct intake *b, struct auth_digest *out) {
  return auth_body_digest(b->auth, out);
}

void intake_done(struct intake *b) {
  auth_body_free(b->auth);
  md5_stream_done(&b->md5); /* before its chunks */
  dom_free(b->chunks);
}

/* ---- spool -------------------------------------------------------------------------- */

void spool_begin(struct spool *s, struct call *c, enum permit_action action, const struct permit *permit,
                 bool force_file) {
  *s = (struct spool){.c = c, .action = action, .permit = permit, .force_file = force_file};
}

static enum s3_error to_file(struct spool *s, struct slice bytes) {
  struct dom_err err = {0};
  enum dom_code code = DOM_OK;
  bool fresh = !s->body;
  if (fresh)
    code = store_body_create(s->c->r->store, s->action, s->permit, s->c->who.token, s->c->who.epoch, &s->body,
                             &err);
  if (!code && fresh) store_body_leave_hash(s->body);
  if (!code && s->memory.len) {
    code = store_body_append(s->body, buf_slice(&s->memory), &err);
    buf_wipe_done(&s->memory);
  }
  if (!code && bytes.len) code = store_body_append(s->body, bytes, &err);
  return call_error_of(s->c, code, &err);
}

enum s3_error spool_sum(struct spool *s, enum auth_checksum_kind kind) {
  assert(!s->sum && s->size == 0);
  s->sum = auth_checksum_new(kind);
  return s->sum ? S3_OK : S3_ERR_SLOW_DOWN;
}

void spool_customer(struct spool *s, const struct customer *customer,
                    const uint8_t salt[CUSTOMER_SALT_SIZE]) {
  assert(!s->has_customer && s->size == 0);
  customer_body_key(customer, salt, s->customer_key);
  s->has_customer = true;
}

enum s3_error spool_customer_new(struct spool *s, struct s3_meta *meta,
                                 uint8_t sealed[CUSTOMER_SEALED_SIZE]) {
  struct customer customer;
  assert(s->c->q.customer != NULL);
  enum s3_error error = customer_new(s->c->q.customer, &customer, sealed);
  if (!error) spool_customer(s, &customer, CUSTOMER_WHOLE);
  wipe(&customer, sizeof customer);
  meta->customer = slice_of(sealed, CUSTOMER_SEALED_SIZE);
  return error;
}

/* Beside the bytes, not in their place: somebody may still be hashing those. */
static enum s3_error seal_piece(struct spool *s, struct slice *bytes) {
  buf_reset(&s->piece);
  if (!buf_reserve(&s->piece, bytes->len + 1)) return S3_ERR_SLOW_DOWN;
  if (bytes->len && ctr_xor(s->customer_key, s->size, *bytes, s->piece.data)) return S3_ERR_SLOW_DOWN;
  *bytes = slice_of(s->piece.data, bytes->len);
  return S3_OK;
}

enum s3_error spool_append(struct spool *s, struct slice bytes) {
  assert(!s->sealed);
  if (s->sum) auth_checksum_update(s->sum, bytes);
  if (s->has_customer && seal_piece(s, &bytes)) return S3_ERR_SLOW_DOWN;
  s->size += bytes.len;
  if (s->force_file || s->size > STORE_INLINE_MAX) return to_file(s, bytes);
  buf_append_slice(&s->memory, bytes);
  return s->memory.failed ? S3_ERR_SLOW_DOWN : S3_OK;
}

enum s3_error spool_seal(struct spool *s, struct store_object *o) {
  struct dom_err err = {0};
  o->size = s->size;
  if (!s->body && !s->force_file) {
    if (s->auth) auth_body_sha256(s->auth, o->sha256); /* else the move will, decision 0035 */
    o->inline_body = buf_slice(&s->memory);
    return S3_OK;
  }
  enum s3_error error = to_file(s, SLICE_LIT("")); /* an empty part still has its file */
  if (error) return error;
  struct store_body *body = s->body;
  s->body = NULL;
  enum dom_code code = store_body_seal_take(body, &s->ref, &err);
  if (code) return call_error_of(s->c, code, &err);
  s->sealed = true;
  if (s->auth) auth_body_sha256(s->auth, s->ref.sha256);
  memcpy(o->sha256, s->ref.sha256, SHA256_SIZE);
  o->bodies = &s->ref;
  o->body_count = 1;
  return S3_OK;
}

enum s3_error spool_request(struct spool *s, uint64_t length_max, struct store_object *o,
                            bool *out_has_digest, struct auth_digest *out_digest) {
  INTAKE_AUTO b;
  enum s3_error error = intake_begin(&b, s->c, length_max);
  struct slice data = {0};
  bool as_sent = !s->c->post && !s->has_customer; /* else other bytes are stored than those that are signed */
  if (!error && as_sent && auth_body_hashes(b.auth)) s->auth = b.auth; /* until b ends, below */
  do {
    if (!error) error = intake_next(&b, &data);
    if (!error && data.len) error = spool_append(s, data);
  } while (!error && data.len > 0);
  if (!error) error = spool_seal(s, o);
  s->auth = NULL;
  if (error) return error;
  intake_md5(&b, o->etag_md5);
  *out_has_digest = intake_digest(&b, out_digest);
  return S3_OK;
}

void spool_keep(struct spool *s) {
  s->sealed = false;
}

void spool_done(struct spool *s) {
  if (s->sealed) store_body_discard(s->c->r->store, &s->ref);
  store_body_abort_take(s->body);
  buf_wipe_done(&s->memory);
  auth_checksum_free(s->sum);
  wipe(s->customer_key, sizeof s->customer_key);
  buf_done(&s->piece);
}
