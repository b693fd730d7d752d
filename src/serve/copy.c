/* Server-side copies. A copy takes two permits: COPY for the source's subject, STORE for the target's with
 * the source's classes, which the new object inherits. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* Resolves the source with its own bucket and subject; c's are put back. */
static enum s3_error locate_source(struct call *c, struct copy_source *s, struct store_view **v) {
  struct subject_bucket target;
  struct subject_who target_who = c->who;
  subject_bucket_copy(&target, &c->bucket);
  enum s3_error error = call_bucket(c, c->q.copy.bucket);
  if (!error) error = call_resolve(c, &c->bucket, c->q.copy.key, v, &c->who);
  if (!error && c->who.where == SUBJECT_UNREGISTERED) error = S3_ERR_NO_SUCH_KEY;
  if (!error && c->who.where == SUBJECT_ELSEWHERE) error = S3_ERR_SUBJECT_ELSEWHERE;
  if (!error) error = call_permit(c, PERMIT_COPY, c->q.copy.key, SLICE_LIT(""), 0, &s->permit);
  s->place = call_place(c);
  subject_bucket_copy(&c->bucket, &target);
  c->who = target_who;
  return error;
}

/* The source's own class and those it inherited, by name. */
static enum s3_error inherit(struct call *c, struct copy_source *s) {
  struct charter *charter = subject_charter(c->r->subjects);
  if (!charter) return S3_ERR_SERVICE_UNAVAILABLE;
  unsigned from = charter_class_of(charter, c->q.copy.key), to = charter_class_of(charter, c->q.key);
  if (from != to) buf_append_str(&s->classes, charter_class_name(charter, from));
  charter_release(charter);
  struct slice more = store_found_object(s->found)->classes;
  if (s->classes.len && more.len) buf_append_byte(&s->classes, ',');
  buf_append_slice(&s->classes, more);
  return s->classes.failed ? S3_ERR_SLOW_DOWN : S3_OK;
}

enum s3_error copy_source_open(struct call *c, struct copy_source *s) {
  STORE_VIEW_AUTO *v = NULL;
  struct dom_err err = {0};
  *s = (struct copy_source){.c = c};
  enum s3_error error = locate_source(c, s, &v);
  if (error) return error;
  enum dom_code code =
      store_object_get(v, PERMIT_COPY, s->permit.permit, &s->place, c->q.copy.key, &s->found, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_KEY;
  if (code) return call_error_of(c, code, &err);
  const struct store_object *o = store_found_object(s->found);
  char etag[S3_ETAG_SIZE];
  object_etag(o, etag);
  error = s3_condition_copy(&c->q.copy.condition, slice_str(etag), o->mtime_ms);
  return error ? error : inherit(c, s);
}

void copy_source_done(struct copy_source *s) {
  store_found_free(s->found);
  buf_done(&s->classes);
}

enum s3_error copy_source_spool(struct copy_source *s, const struct s3_range *range, struct spool *to,
                                struct store_object *o) {
  const struct store_object *from = store_found_object(s->found);
  uint64_t first = 0, left = from->size;
  enum s3_error error = S3_OK;
  /* A read's range is cut at the end; a part of fewer bytes than asked for would be a wrong part. */
  if (range->kind == S3_RANGE_BOUNDS && range->last >= from->size) return S3_ERR_INVALID_RANGE;
  if (range->kind != S3_RANGE_NONE) error = s3_range_resolve(range, from->size, &first, &left);
  struct hash *md5 = hash_new(HASH_MD5);
  AUTO_FREE void *chunk = dom_alloc(SERVE_CHUNK);
  if (!md5 || !chunk) error = S3_ERR_SLOW_DOWN;
  while (!error && left > 0) {
    struct dom_err err = {0};
    size_t want = left < SERVE_CHUNK ? (size_t)left : SERVE_CHUNK, got = 0;
    enum dom_code code = store_found_read(s->found, first, chunk, want, &got, &err);
    if (!code && got == 0) code = DOM_CORRUPT;
    if (code)
      error = call_error_of(s->c, code, &err);
    else {
      hash_update(md5, chunk, got);
      error = spool_append(to, slice_of(chunk, got));
      first += got;
      left -= got;
    }
  }
  if (!error) error = spool_seal(to, o);
  if (!error) hash_final(md5, o->etag_md5);
  hash_free(md5);
  return error;
}

/* REPLACE takes the head's metadata; COPY keeps the source's bytes as they are. */
static enum s3_error target_meta(struct call *c, const struct copy_source *s, struct buf *out) {
  struct dom_err err = {0};
  if (c->q.replace_metadata) return call_error_of(c, s3_meta_encode(&c->q.meta, out, &err), &err);
  buf_append_slice(out, store_found_object(s->found)->meta);
  return out->failed ? S3_ERR_SLOW_DOWN : S3_OK;
}

static enum s3_error copy_here(struct call *c, struct copy_source *s, struct store_object *o) {
  struct call_permit permit;
  BUF_AUTO meta = BUF_INIT;
  enum s3_error error = object_permit(c, PERMIT_STORE, buf_slice(&s->classes), &permit);
  if (!error) error = target_meta(c, s, &meta);
  if (error) return error;
  SPOOL_AUTO spool;
  spool_begin(&spool, c, PERMIT_STORE, permit.permit, false);
  o->key = c->q.key;
  o->mtime_ms = clock_wall_ms(c->r->clock);
  o->meta = buf_slice(&meta);
  o->classes = buf_slice(&s->classes);
  error = copy_source_spool(s, &(struct s3_range){.kind = S3_RANGE_NONE}, &spool, o);
  if (!error) error = object_commit(c, o);
  if (!error) spool_keep(&spool);
  return error;
}

enum s3_error object_copy(struct call *c) {
  struct copy_source source = {0};
  struct store_object o = {0};
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  bool onto_itself = slice_equal(c->q.copy.bucket, c->q.bucket) && slice_equal(c->q.copy.key, c->q.key);
  if (onto_itself && !c->q.replace_metadata) return S3_ERR_INVALID_COPY_TO_SELF;
  error = copy_source_open(c, &source);
  if (!error) error = copy_here(c, &source, &o);
  copy_source_done(&source);
  if (error) return error;
  call_leave(c);
  BUF_AUTO xml = BUF_INIT;
  s3_result_copy(false, o.etag_md5, o.etag_parts, o.mtime_ms, &xml);
  return call_reply_xml(c, 200, &xml);
}
