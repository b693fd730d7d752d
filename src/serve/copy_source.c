/* The source's side of a copy between two homes. The region where the copy will lie sends the client's head
 * as it was signed; here it is verified once more, the source is judged, pinned and streamed out. Waits for
 * no other region but, for a bucket or subject not known here, the registrar. */
#include <assert.h>

#include "serve/copy_stream.h"
#include "serve/region.h"

/* The reply, hashed as it goes. */
struct outlet {
  struct call *c;
  struct hash *hash;
  bool client_gone;
};

static void put(struct outlet *o, const void *data, size_t len) {
  hash_update(o->hash, data, len);
  if (!o->client_gone && wire_reply_write(o->c->x, data, len, NULL)) o->client_gone = true;
}

static enum s3_error put_signature(struct outlet *o) {
  uint8_t sha[SHA256_SIZE], signature[ED25519_SIG_SIZE];
  hash_final(o->hash, sha);
  if (wire_envelope_sign_stream(o->c->r->envelope, &o->c->peer, 200, sha, signature)) return S3_ERR_SLOW_DOWN;
  put(o, signature, sizeof signature);
  wire_reply_end(o->c->x, NULL);
  return S3_OK;
}

/* Begins with what the source is, once the first bytes are at hand: until then another answer is possible. */
static enum s3_error put_head(struct outlet *o, const struct copy_source *s, uint64_t count) {
  BUF_AUTO head = BUF_INIT;
  struct copy_head h = {.count = count, .meta = buf_slice(&s->meta), .classes = buf_slice(&s->classes)};
  if (h.meta.len > COPY_STREAM_META_MAX || h.classes.len > COPY_STREAM_CLASSES_MAX)
    return S3_ERR_METADATA_TOO_LARGE;
  copy_head_put(&h, &head);
  if (head.failed) return S3_ERR_SLOW_DOWN;
  call_fields(o->c);
  wire_reply_begin(o->c->x, 200, head.len + count + ED25519_SIG_SIZE);
  put(o, head.data, head.len);
  return S3_OK;
}

static enum s3_error send(struct copy_source *s, uint64_t at, uint64_t count) {
  struct outlet o = {.c = s->c, .hash = hash_new(HASH_SHA256)};
  AUTO_FREE void *chunk = dom_alloc(SERVE_CHUNK);
  enum s3_error error = o.hash && chunk ? S3_OK : S3_ERR_SLOW_DOWN;
  uint64_t left = count;
  bool begun = false;
  while (!error && !o.client_gone && (left > 0 || !begun)) {
    size_t got = 0;
    if (left > 0)
      error = copy_source_read(s, at, chunk, left < SERVE_CHUNK ? (size_t)left : SERVE_CHUNK, &got);
    if (!error && !begun) error = put_head(&o, s, count);
    begun = true;
    if (!error) put(&o, chunk, got);
    at += got;
    left -= got;
  }
  if (!error && !o.client_gone) error = put_signature(&o);
  hash_free(o.hash);
  return error;
}

/* Where the copy will lie is a matter of all classes that it inherits. */
static enum s3_error permit_all(struct call *c, const struct copy_source *s) {
  struct call_permit permit;
  return call_permit(c, PERMIT_COPY, c->q.copy.key, buf_slice(&s->classes), 0, &permit);
}

static enum s3_error answer_once(struct call *c) {
  struct copy_source s = {.c = c};
  STORE_VIEW_AUTO *v = NULL;
  uint64_t first = 0, count = 0;
  enum s3_error error = call_bucket_of_source(c);
  if (!error) error = call_resolve(c, &c->bucket, c->q.copy.key, &v, &c->who);
  if (!error && c->who.where == SUBJECT_ELSEWHERE) return call_misdirected(c);
  if (!error && c->who.where == SUBJECT_UNREGISTERED) error = S3_ERR_NO_SUCH_KEY;
  if (!error) error = call_permit(c, PERMIT_COPY, c->q.copy.key, SLICE_LIT(""), 0, &s.permit);
  s.place = call_place(c);
  if (!error) error = copy_source_find(c, v, &s);
  if (!error) error = permit_all(c, &s);
  if (!error) error = copy_source_range(&s, &first, &count);
  store_view_close(v); /* the source is pinned by itself */
  v = NULL;
  if (!error) error = send(&s, first, count);
  copy_source_done(&s);
  return error;
}

/* As for a read: what was looked for while the subject left was looked for in vain. */
static enum s3_error answer(struct call *c) {
  enum s3_error error = answer_once(c);
  for (int hop = 0; error && hop < SERVE_HOPS_MAX; hop++) {
    if (!wire_reply_is_open(c->x) || !call_left_meanwhile(c)) break;
    wire_reply_restart(c->x);
    c->detail[0] = 0;
    error = answer_once(c);
  }
  return error;
}

enum s3_error copy_source_answer(struct call *c) {
  struct region *r = c->r;
  assert(c->is_forwarded && c->copy_to != 0);
  if (c->q.op != S3_OP_COPY_OBJECT && c->q.op != S3_OP_UPLOAD_PART_COPY) return S3_ERR_INVALID_REQUEST;
  enum s3_error error = S3_ERR_SLOW_DOWN;
  if (atomic_fetch_add(&r->copying_out, 1) < r->copy_out_max) error = answer(c);
  atomic_fetch_sub(&r->copying_out, 1);
  return error;
}
