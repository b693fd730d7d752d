/* Server-side copies. A copy takes two permits: COPY for the source's subject, STORE for the target's with
 * the source's classes, which the new object inherits. A source that lives elsewhere comes from there
 * (copy_far.c, copy_source.c). */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* Resolves the source with its own bucket and subject, and finds it if it lives here; c's are put back. */
static enum s3_error locate_source(struct call *c, struct copy_source *s, struct store_view **v) {
  struct subject_bucket target;
  struct subject_who target_who = c->who;
  struct access_rules *target_rules = c->rules;
  c->rules = NULL;
  subject_bucket_copy(&target, &c->bucket);
  enum s3_error error = call_bucket_of_source(c);
  if (!error) error = call_resolve(c, &c->bucket, c->q.copy.key, v, &c->who);
  if (!error && c->who.where == SUBJECT_UNREGISTERED) error = S3_ERR_NO_SUCH_KEY;
  if (!error) error = call_permit(c, PERMIT_COPY, c->q.copy.key, SLICE_LIT(""), 0, &s->permit);
  s->place = call_place(c);
  s->who = c->who;
  if (!error && s->who.where == SUBJECT_HERE) error = copy_source_find(c, *v, s);
  subject_bucket_copy(&c->bucket, &target);
  access_rules_release(c->rules);
  c->rules = target_rules;
  c->who = target_who;
  return error;
}

static bool has_class(struct slice names, struct slice name) {
  while (names.len) {
    size_t end = slice_find(names, ',');
    if (slice_equal(slice_cut(names, 0, end), name)) return true;
    names = slice_cut(names, end < names.len ? end + 1 : end, names.len);
  }
  return false;
}

bool copy_classes_add(struct buf *to, struct slice names) {
  bool added = false;
  while (names.len) {
    size_t end = slice_find(names, ',');
    struct slice name = slice_cut(names, 0, end);
    if (name.len && !has_class(buf_slice(to), name)) {
      if (to->len) buf_append_byte(to, ',');
      buf_append_slice(to, name);
      added = true;
    }
    names = slice_cut(names, end < names.len ? end + 1 : end, names.len);
  }
  return added;
}

enum s3_error copy_inherit(struct call *c, struct slice inherited, struct buf *out) {
  struct charter *charter = subject_charter(c->r->subjects);
  if (!charter) return S3_ERR_SERVICE_UNAVAILABLE;
  unsigned from = charter_class_of(charter, c->q.copy.key), to = charter_class_of(charter, c->q.key);
  if (from != to) copy_classes_add(out, slice_str(charter_class_name(charter, from)));
  charter_release(charter);
  copy_classes_add(out, inherited);
  return out->failed ? S3_ERR_SLOW_DOWN : S3_OK;
}

/* What a copy may take over. Its parts are the source's own matter, and many; so are its grants. */
static enum s3_error source_meta(struct copy_source *s) {
  struct s3_meta meta;
  struct dom_err err = {0};
  struct call *c = s->c;
  enum s3_error error = object_meta(c, store_found_object(s->found), &meta);
  if (!error) error = customer_reader_open(c, s->found, &meta, c->q.copy.customer, &s->reader);
  if (error) return error;
  meta.parts = meta.acl = meta.customer = (struct slice){0};
  return call_error_of(c, s3_meta_encode(&meta, &s->meta, &err), &err);
}

enum s3_error copy_source_find(struct call *c, struct store_view *v, struct copy_source *s) {
  struct dom_err err = {0};
  struct store_version version;
  const struct store_version *which = c->q.copy.version_id.len ? &version : NULL;
  if (which && !version_parse(s->place.bucket, c->q.copy.version_id, &version)) {
    snprintf(c->detail, sizeof c->detail, "the source's version id is none");
    return S3_ERR_INVALID_ARGUMENT;
  }
  enum dom_code code =
      store_version_get(v, PERMIT_COPY, s->permit.permit, &s->place, c->q.copy.key, which, &s->found, &err);
  if (code == DOM_NOT_FOUND && c->asks_source) return S3_ERR_ACCESS_DENIED; /* nothing says yes */
  if (code == DOM_NOT_FOUND) return which ? S3_ERR_NO_SUCH_VERSION : S3_ERR_NO_SUCH_KEY;
  if (code) return call_error_of(c, code, &err);
  const struct store_object *o = store_found_object(s->found);
  enum s3_error error = access_source_object(c, o);
  if (error) return error;
  if (o->is_marker) return which ? S3_ERR_INVALID_REQUEST : S3_ERR_NO_SUCH_KEY;
  char etag[S3_ETAG_SIZE];
  object_etag(o, etag);
  error = s3_condition_copy(&c->q.copy.condition, slice_str(etag), o->mtime_ms);
  if (!error) error = copy_inherit(c, o->classes, &s->classes);
  return error ? error : source_meta(s);
}

void copy_source_field(struct copy_source *s) {
  struct call *c = s->c;
  const struct store_object *o = s->found ? store_found_object(s->found) : NULL;
  char text[S3_VERSION_ID_SIZE];
  if (c->q.copy.version_id.len) {
    wire_reply_field(c->x, SLICE_LIT("x-amz-copy-source-version-id"), c->q.copy.version_id);
  } else if (o && o->is_version) {
    struct store_version version = {.order = o->order};
    version_text(s->place.bucket, &version, text);
    wire_reply_field_str(c->x, "x-amz-copy-source-version-id", text);
  }
}

void copy_source_done(struct copy_source *s) {
  customer_reader_done(&s->reader);
  store_found_free(s->found);
  buf_done(&s->meta);
  buf_done(&s->classes);
}

enum s3_error copy_source_range(const struct copy_source *s, uint64_t *out_first, uint64_t *out_count) {
  const struct s3_range *range = &s->c->q.copy.range;
  uint64_t size = store_found_object(s->found)->size;
  bool whole = range->kind == S3_RANGE_NONE || s->c->q.op == S3_OP_COPY_OBJECT;
  /* A read's range is cut at the end; a part of fewer bytes than asked for would be a wrong part. */
  if (!whole && range->kind == S3_RANGE_BOUNDS && range->last >= size) return S3_ERR_INVALID_RANGE;
  *out_first = 0;
  *out_count = size;
  return whole ? S3_OK : s3_range_resolve(range, size, out_first, out_count);
}

enum s3_error copy_source_read(struct copy_source *s, uint64_t at, void *out, size_t want, size_t *out_len) {
  struct dom_err err = {0};
  enum dom_code code = customer_read(&s->reader, at, out, want, out_len, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_SLOW_DOWN; /* the subject left meanwhile: come again */
  if (!code && *out_len == 0) code = DOM_CORRUPT;
  return call_error_of(s->c, code, &err);
}

/* Reads a source that lives here into the spool and seals it. */
static enum s3_error take_here(struct copy_source *s, const struct copy_target *t) {
  uint64_t at = 0, left = 0;
  enum s3_error error = copy_source_range(s, &at, &left);
  if (!error) error = t->ready(t->arg, s);
  if (error) return error;
  struct hash *md5 = hash_new(HASH_MD5);
  AUTO_FREE void *chunk = dom_alloc(SERVE_CHUNK);
  if (!md5 || !chunk) error = S3_ERR_SLOW_DOWN;
  while (!error && left > 0) {
    size_t got = 0;
    error = copy_source_read(s, at, chunk, left < SERVE_CHUNK ? (size_t)left : SERVE_CHUNK, &got);
    if (error) break;
    hash_update(md5, chunk, got);
    error = spool_append(t->spool, slice_of(chunk, got));
    at += got;
    left -= got;
  }
  if (!error) error = spool_seal(t->spool, t->object);
  if (!error) hash_final(md5, t->object->etag_md5);
  hash_free(md5);
  return error;
}

enum s3_error copy_source_take(struct copy_source *s, const struct copy_target *t, bool *out_done) {
  struct call *c = s->c;
  enum s3_error error = S3_ERR_SUBJECT_ELSEWHERE;
  *out_done = false;
  assert(c->in_gate && !s->found);
  for (int tries = 0; tries < 2 && error == S3_ERR_SUBJECT_ELSEWHERE; tries++) {
    STORE_VIEW_AUTO *v = NULL;
    error = locate_source(c, s, &v);
    if (error) return error;
    if (s->who.where == SUBJECT_HERE) {
      store_view_close(v); /* the source is pinned by itself */
      v = NULL;
      return take_here(s, t);
    }
    store_view_close(v); /* do not pin old files while another region answers */
    v = NULL;
    error = copy_far_take(s, t, out_done);
  }
  /* It came home meanwhile, and was gone again when looked for here: somebody is behind. */
  return error == S3_ERR_SUBJECT_ELSEWHERE ? S3_ERR_SERVICE_UNAVAILABLE : error;
}

/* ---- CopyObject ------------------------------------------------------------------------------ */

struct copying {
  struct call *c;
  struct call_permit permit;
  struct spool spool;
  struct s3_meta fields;
  struct buf meta; /* their stored form */
  uint8_t customer[CUSTOMER_SEALED_SIZE];
  struct store_object object;
};

/* REPLACE takes the head's metadata, COPY the source's; tags likewise, by a directive of their own. The
 * source's checksum is true of the copy's bytes, too; grants are the head's alone. *out_kind: the checksum to
 * count afresh, another than the source has of all its bytes; whether there is one. */
static enum s3_error target_meta(struct call *c, const struct copy_source *s, struct s3_meta *out,
                                 enum auth_checksum_kind *out_kind, bool *out_counts) {
  struct dom_err err = {0};
  struct s3_meta source, meta = c->q.meta;
  enum dom_code code = s3_meta_decode(buf_slice(&s->meta), wire_exchange_arena(c->x), &source, &err);
  if (code) return call_error_of(c, code, &err);
  *out_kind = c->q.has_checksum_algorithm ? c->q.checksum_algorithm : source.checksum.kind;
  *out_counts = c->q.has_checksum_algorithm || source.is_composite;
  s3_meta_unpart(&source);
  if (*out_counts && source.has_checksum && source.checksum.kind == *out_kind) *out_counts = false;
  if (!c->q.replace_metadata) meta = source;
  meta.has_checksum = source.has_checksum && !*out_counts;
  meta.checksum = source.checksum;
  meta.tags = c->q.replace_tags ? c->q.meta.tags : source.tags;
  meta.tag_count = c->q.replace_tags ? c->q.meta.tag_count : source.tag_count;
  meta.lock_mode = c->q.meta.lock_mode; /* never the source's */
  meta.retain_until_ms = c->q.meta.retain_until_ms;
  meta.legal_hold = c->q.meta.legal_hold;
  c->q.meta.tags = meta.tags; /* what is asked for, now that it is known */
  c->q.meta.tag_count = meta.tag_count;
  enum s3_error error = access_new_acl(c, &meta.acl);
  *out = meta;
  return error || c->q.replace_tags ? error : access_new_tags(c);
}

/* After the last byte. */
static enum s3_error seal_meta(struct copying *k) {
  struct dom_err err = {0};
  if (k->spool.sum) {
    auth_checksum_final(k->spool.sum, &k->fields.checksum);
    k->fields.has_checksum = true;
  }
  enum s3_error error = call_error_of(k->c, s3_meta_encode(&k->fields, &k->meta, &err), &err);
  k->object.meta = buf_slice(&k->meta);
  return error;
}

/* Before the first byte: the permit for what it is. */
static enum s3_error object_ready(void *arg, const struct copy_source *s) {
  struct copying *k = arg;
  enum s3_error error = object_permit(k->c, PERMIT_STORE, buf_slice(&s->classes), &k->permit);
  enum auth_checksum_kind kind = AUTH_CHECKSUM_CRC32;
  bool counts = false;
  if (!error) error = target_meta(k->c, s, &k->fields, &kind, &counts);
  if (error) return error;
  spool_begin(&k->spool, k->c, PERMIT_STORE, k->permit.permit, false);
  k->object.key = k->c->q.key;
  k->object.mtime_ms = clock_wall_ms(k->c->r->clock);
  k->object.classes = buf_slice(&s->classes);
  if (counts) error = spool_sum(&k->spool, kind);
  if (!error && k->c->q.customer) error = spool_customer_new(&k->spool, &k->fields, k->customer);
  return error;
}

static enum s3_error copy_and_answer(struct copying *k, struct copy_source *s) {
  struct copy_target t = {.ready = object_ready, .arg = k, .spool = &k->spool, .object = &k->object};
  bool done = false;
  enum s3_error error = copy_source_take(s, &t, &done);
  if (error || done) return error;
  if (k->c->q.customer) random_bytes(k->object.etag_md5, MD5_SIZE);
  error = seal_meta(k);
  if (!error) error = object_commit(k->c, &k->object);
  if (error) return error;
  spool_keep(&k->spool);
  call_leave(k->c);
  BUF_AUTO xml = BUF_INIT;
  copy_source_field(s);
  s3_result_copy(false, k->object.etag_md5, k->object.mtime_ms,
                 k->fields.has_checksum ? &k->fields.checksum : NULL, &xml);
  expiration_field(k->c, &k->object, &k->fields);
  return call_reply_xml(k->c, 200, &xml);
}

enum s3_error object_copy(struct call *c) {
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  bool onto_itself = slice_equal(c->q.copy.bucket, c->q.bucket) && slice_equal(c->q.copy.key, c->q.key);
  bool rekeys = c->q.customer || c->q.copy.customer;
  if (onto_itself && !rekeys && !c->q.replace_metadata && !c->q.copy.version_id.len)
    return S3_ERR_INVALID_COPY_TO_SELF;
  struct copy_source source = {.c = c};
  struct copying k = {.c = c};
  error = copy_and_answer(&k, &source);
  spool_done(&k.spool);
  buf_done(&k.meta);
  copy_source_done(&source);
  return error;
}
