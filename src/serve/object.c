/* One object: PUT, GET, HEAD, DELETE. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

void object_etag(const struct store_object *o, char out[S3_ETAG_SIZE]) {
  s3_etag_print(o->etag_md5, o->etag_parts, out);
}

void call_headers(struct call *c, const struct s3_headers *headers) {
  call_encryption_field(c);
  customer_fields(c);
  for (size_t i = 0; i < headers->count; i++)
    wire_reply_field(c->x, headers->items[i].name, headers->items[i].value);
  call_fields(c);
}

/* ---- PUT ----------------------------------------------------------------------------- */

/* A version in the view, the current one for `which` NULL; NULL when there is none, or a delete marker. The
 * home reads for itself, and only yes or no leaves it: so the gateway of the permit is the home. */
static enum s3_error look(struct call *c, struct store_view *v, const struct store_version *which,
                          struct store_found **out) {
  struct call_permit permit;
  struct dom_err err = {0};
  struct store_place place = call_place(c);
  uint16_t gateway = c->gateway;
  *out = NULL;
  c->gateway = c->r->number;
  enum s3_error error = call_permit(c, PERMIT_READ, c->q.key, SLICE_LIT(""), 0, &permit);
  c->gateway = gateway;
  if (error) return error;
  struct store_found *found = NULL;
  enum dom_code code =
      store_version_get(v, PERMIT_READ, permit.permit, &place, c->q.key, which, &found, &err);
  if (code) return code == DOM_NOT_FOUND ? S3_OK : call_error_of(c, code, &err);
  if (store_found_object(found)->is_marker)
    store_found_free(found);
  else
    *out = found;
  return S3_OK;
}

/* What a change would end for good: the version it names, else the null one where it takes that one's place.
 * *which NULL: nothing. */
static enum s3_error destroyed(struct call *c, enum permit_action action, struct store_version *out,
                               const struct store_version **which) {
  enum s3_error error = action == PERMIT_DELETE ? version_asked(c, out, which) : S3_OK;
  assert(action == PERMIT_STORE || action == PERMIT_DELETE);
  if (action == PERMIT_STORE) *which = NULL;
  if (error || *which || version_is_new(c)) return error;
  *out = (struct store_version){.is_null = true};
  *which = out;
  return S3_OK;
}

/* A charter that protects what would be destroyed: asked again with the age of what is there. */
static enum s3_error permit_by_age(struct call *c, struct store_view *v, enum permit_action action,
                                   struct slice classes, struct call_permit *out) {
  struct store_found *found = NULL;
  struct store_version version;
  const struct store_version *which = NULL;
  char detail[sizeof c->detail];
  memcpy(detail, c->detail, sizeof detail);
  enum s3_error error = destroyed(c, action, &version, &which);
  if (error) return error;
  if (which && look(c, v, which, &found)) {
    memcpy(c->detail, detail, sizeof detail);
    return S3_ERR_RESIDENCY_VIOLATION;
  }
  uint64_t destroys_ms = found ? store_found_object(found)->mtime_ms : CHARTER_DESTROYS_NOTHING;
  store_found_free(found);
  c->detail[0] = 0;
  return call_permit(c, action, c->q.key, classes, destroys_ms, out);
}

enum s3_error object_permit_in(struct call *c, struct store_view *v, enum permit_action action,
                               struct slice classes, struct call_permit *out) {
  assert(action == PERMIT_STORE || action == PERMIT_DELETE);
  enum s3_error error = call_permit(c, action, c->q.key, classes, 0, out);
  return error == S3_ERR_RESIDENCY_VIOLATION ? permit_by_age(c, v, action, classes, out) : error;
}

enum s3_error object_permit(struct call *c, enum permit_action action, struct slice classes,
                            struct call_permit *out) {
  assert(action == PERMIT_STORE || action == PERMIT_DELETE);
  enum s3_error error = call_permit(c, action, c->q.key, classes, 0, out);
  if (error != S3_ERR_RESIDENCY_VIOLATION) return error;
  STORE_VIEW_AUTO *v = NULL;
  struct dom_err err = {0};
  enum dom_code code = store_view_open(c->r->store, &v, &err);
  return code ? call_error_of(c, code, &err) : permit_by_age(c, v, action, classes, out);
}

enum s3_error object_condition(struct call *c, struct store_view *v) {
  struct store_found *found = NULL;
  char etag[S3_ETAG_SIZE] = "";
  if (s3_condition_is_empty(&c->q.condition)) return S3_OK;
  struct store_version version;
  const struct store_version *which = NULL;
  enum s3_error error = version_asked(c, &version, &which);
  if (!error) error = look(c, v, which, &found);
  if (error) return error;
  if (found) object_etag(store_found_object(found), etag);
  error = s3_condition_write(&c->q.condition, found != NULL, slice_str(etag));
  store_found_free(found);
  return error;
}

/* Conditions and the permit are asked on the view that guards the commit: what they were told still holds
 * when it succeeds, however long the body took. */
static enum s3_error commit_once(struct call *c, const struct store_object *o, bool *out_retry) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  struct dom_err err = {0};
  struct call_permit permit;
  struct store_place place = call_place(c);
  *out_retry = false;
  enum s3_error error = call_view_to_write(c, &v);
  if (!error) error = object_condition(c, v);
  if (!error) error = object_permit_in(c, v, PERMIT_STORE, o->classes, &permit);
  struct store_object now = *o;
  BUF_AUTO meta = BUF_INIT;
  if (!error) error = lock_new_version(c, v, &now, &meta);
  if (error) return error;
  enum dom_code code = call_tx_begin(c, v, &tx, &err);
  uint64_t lsn = 0;
  now.is_version = version_is_new(c);
  if (!code) code = store_tx_put(tx, permit.permit, &place, &now, &err);
  if (code) return call_error_of(c, code, &err);
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, &lsn, &err);
  *out_retry = code == DOM_RETRY;
  if (!code) {
    struct store_version written = version_written(c, now.is_version, lsn);
    version_tell(c, &written, false);
  }
  return *out_retry ? S3_OK : call_error_of(c, code, &err);
}

enum s3_error object_commit(struct call *c, const struct store_object *o) {
  assert(c->in_gate);
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    bool retry = false;
    enum s3_error error = commit_once(c, o, &retry);
    if (error || !retry) return error;
  }
  return S3_ERR_SLOW_DOWN;
}

/* In body.c's order: permit before the first byte, commit after the last promise was kept. */
enum s3_error object_store(struct call *c, struct store_object *o, struct s3_meta *meta) {
  struct call_permit permit;
  assert(c->in_gate);
  enum s3_error error = object_permit(c, PERMIT_STORE, SLICE_LIT(""), &permit);
  if (error) return error;
  SPOOL_AUTO s;
  spool_begin(&s, c, PERMIT_STORE, permit.permit, false);
  *o = (struct store_object){.key = c->q.key, .mtime_ms = clock_wall_ms(c->r->clock)};
  *meta = c->q.meta;
  uint8_t customer[CUSTOMER_SEALED_SIZE];
  if (c->q.customer) error = spool_customer_new(&s, meta, customer);
  if (error) return error;
  BUF_AUTO encoded = BUF_INIT;
  struct dom_err err = {0};
  error = spool_request(&s, S3_PUT_BYTES_MAX, o, &meta->has_checksum, &meta->checksum);
  if (c->q.customer) random_bytes(o->etag_md5, MD5_SIZE); /* no hash of what nobody else may know */
  if (!error) error = access_new_acl(c, &meta->acl);
  if (!error) error = call_error_of(c, s3_meta_encode(meta, &encoded, &err), &err);
  meta->customer = slice_of(NULL, 0); /* it ends with this call */
  o->meta = buf_slice(&encoded);
  if (!error) error = object_commit(c, o);
  if (error) return error;
  spool_keep(&s);
  call_leave(c);
  return S3_OK;
}

enum s3_error object_put(struct call *c) {
  bool done = false;
  struct store_object o;
  struct s3_meta meta;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  error = object_store(c, &o, &meta);
  if (error) return error;
  struct s3_headers headers = {.arena = wire_exchange_arena(c->x)};
  s3_headers_etag(&headers, o.etag_md5, 0);
  s3_headers_object_checksum(&headers, &meta, 0);
  expiration_field(c, &o, &meta);
  call_headers(c, &headers);
  wire_reply(c->x, 200, SLICE_LIT(""), NULL);
  return S3_OK;
}

/* ---- GET and HEAD ------------------------------------------------------------------------ */

enum s3_error object_send(struct call *c, struct customer_reader *f, uint64_t first, uint64_t count) {
  struct dom_err err = {0};
  AUTO_FREE void *chunk = dom_alloc(count < SERVE_CHUNK ? (size_t)count + 1 : SERVE_CHUNK);
  if (!chunk) return S3_ERR_SLOW_DOWN;
  while (count > 0) {
    size_t want = count < SERVE_CHUNK ? (size_t)count : SERVE_CHUNK, got = 0;
    enum dom_code code = customer_read(f, first, chunk, want, &got, &err);
    if (code == DOM_OK && got == 0) code = DOM_CORRUPT;
    if (code) return call_error_of(c, code, &err);
    if (wire_reply_write(c->x, chunk, got, NULL)) return S3_OK; /* the client went away: nobody to tell */
    first += got;
    count -= got;
  }
  wire_reply_end(c->x, NULL);
  return S3_OK;
}

enum s3_error object_meta(struct call *c, const struct store_object *o, struct s3_meta *out) {
  struct dom_err err = {0};
  enum dom_code code = s3_meta_decode(o->meta, wire_exchange_arena(c->x), out, &err);
  return call_error_of(c, code, &err);
}

/* The object's headers; a 304 has them too (RFC 9110 §15.4.5), so that caches can renew theirs.
 * Clients check the bytes that they get against the checksum: a range goes without the whole's. */
static enum s3_error describe(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                              bool whole, struct s3_headers *headers) {
  struct s3_object_view view = {
      .md5 = o->etag_md5, .part_count = o->etag_parts, .modified_ms = o->mtime_ms, .meta = meta};
  bool of_part = c->q.part_number && o->etag_parts;
  s3_headers_object(headers, &view, &c->q.overrides, c->q.checksum_mode && whole && !of_part);
  if (!of_part) return S3_OK;
  struct s3_parts parts;
  struct s3_part_entry entry;
  uint32_t index = 0;
  enum s3_error error = object_parts(c, o, meta, &parts);
  if (error) return error;
  s3_headers_parts_count(headers, o->etag_parts);
  if (!c->q.checksum_mode || !s3_parts_find(&parts, c->q.part_number, &index)) return S3_OK;
  s3_parts_get(&parts, index, &entry);
  if (entry.meta.has_checksum) s3_headers_checksum(headers, &entry.meta.checksum);
  return S3_OK;
}

/* The bytes that are asked for: of a range, of a part, or all. */
static enum s3_error bounds(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                            uint64_t *first, uint64_t *count) {
  if (c->q.part_number) return object_part_bounds(c, o, meta, first, count);
  bool ranged = c->q.range.kind != S3_RANGE_NONE;
  return ranged ? s3_range_resolve(&c->q.range, o->size, first, count) : S3_OK;
}

static enum s3_error answer(struct call *c, struct s3_meta *meta, struct customer_reader *f) {
  const struct store_object *o = store_found_object(f->found);
  struct s3_headers headers = {.arena = wire_exchange_arena(c->x)};
  char etag[S3_ETAG_SIZE];
  object_etag(o, etag);
  enum s3_error verdict = s3_condition_read(&c->q.condition, slice_str(etag), o->mtime_ms);
  if (verdict && verdict != S3_ERR_NOT_MODIFIED) return verdict;
  uint64_t first = 0, count = o->size;
  enum s3_error error = S3_OK;
  access_hide(c, meta);
  if (!error && !verdict) error = bounds(c, o, meta, &first, &count);
  if (!error) error = describe(c, o, meta, count == o->size, &headers);
  if (!error && headers.failed) error = S3_ERR_SLOW_DOWN;
  if (error) return error;
  expiration_field(c, o, meta);
  if (verdict) {
    call_headers(c, &headers);
    wire_reply(c->x, 304, SLICE_LIT(""), NULL);
    return S3_OK;
  }
  bool ranged = c->q.range.kind != S3_RANGE_NONE || (c->q.part_number && count > 0);
  if (ranged) s3_headers_range(&headers, first, count, o->size);
  if (headers.failed) return S3_ERR_SLOW_DOWN;
  call_headers(c, &headers);
  wire_reply_begin(c->x, ranged ? 206 : 200, count);
  if (c->q.op == S3_OP_HEAD_OBJECT) {
    wire_reply_end(c->x, NULL);
    return S3_OK;
  }
  return object_send(c, f, first, count);
}

enum s3_error object_find(struct call *c, struct store_view *v, struct store_found **out) {
  struct call_permit permit;
  struct store_version version;
  const struct store_version *which = NULL;
  struct store_found *found = NULL;
  struct dom_err err = {0};
  struct store_place place = call_place(c);
  enum s3_error error = version_asked(c, &version, &which);
  if (!error) error = call_permit(c, PERMIT_READ, c->q.key, SLICE_LIT(""), 0, &permit);
  if (error) return error;
  enum dom_code code =
      store_version_get(v, PERMIT_READ, permit.permit, &place, c->q.key, which, &found, &err);
  if (code == DOM_NOT_FOUND) return which ? S3_ERR_NO_SUCH_VERSION : S3_ERR_NO_SUCH_KEY;
  if (code) return call_error_of(c, code, &err);
  error = access_object(c, store_found_object(found));
  if (!error) version_tell_object(c, store_found_object(found));
  if (!error && store_found_object(found)->is_marker)
    error = which ? S3_ERR_METHOD_NOT_ALLOWED : S3_ERR_NO_SUCH_KEY;
  if (!error) *out = found;
  if (error) store_found_free(found);
  return error;
}

enum s3_error object_tell(struct call *c, object_tell_fn tell) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *found = NULL;
  struct call_permit permit;
  bool done = false;
  version_untell(c);
  enum s3_error error = call_look(c, &v, &done);
  if (error || done) return error;
  error = object_find(c, v, &found);
  if (error) return error;
  const struct store_object *o = store_found_object(found);
  if (o->classes.len) error = call_permit(c, PERMIT_READ, c->q.key, o->classes, 0, &permit);
  if (!error) error = tell(c, o);
  store_found_free(found);
  return error;
}

enum s3_error object_get(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  bool done = false;
  struct store_found *found = NULL;
  version_untell(c);
  enum s3_error error = call_look(c, &v, &done);
  if (error || done) return error;
  error = object_find(c, v, &found);
  if (error) return error;
  store_view_close(v); /* the object is pinned by itself; a slow client must not hold a snapshot */
  v = NULL;
  struct call_permit permit;
  struct slice classes = store_found_object(found)->classes;
  if (classes.len) error = call_permit(c, PERMIT_READ, c->q.key, classes, 0, &permit);
  struct s3_meta meta;
  struct customer_reader reader = {.is_sealed = false};
  if (!error) error = object_meta(c, store_found_object(found), &meta);
  if (!error) error = customer_reader_open(c, found, &meta, c->q.customer, &reader);
  if (!error) error = answer(c, &meta, &reader);
  customer_reader_done(&reader);
  store_found_free(found);
  return error;
}

/* ---- DELETE --------------------------------------------------------------------------------- */

/* Adds what a DELETE means here. *out_marker: a delete marker is made, or removed for good. */
static enum dom_code delete_add(struct call *c, struct store_tx *tx, const struct permit *permit,
                                const struct store_version *which, bool *out_marker, struct dom_err *err) {
  struct store_place place = call_place(c);
  if (which) return store_tx_delete_version(tx, permit, &place, c->q.key, which, out_marker, err);
  *out_marker = c->bucket.versioning != VERSIONING_NEVER;
  if (!*out_marker) return store_tx_delete(tx, permit, &place, c->q.key, err);
  return store_tx_mark(tx, permit, &place, c->q.key, version_is_new(c), clock_wall_ms(c->r->clock), err);
}

/* Only where versions can be locked is the one that goes looked at. */
static enum s3_error may_delete(struct call *c, struct store_view *v, const struct store_version *which) {
  struct store_found *found = NULL;
  if (!subject_bucket_has(&c->bucket, SUBJECT_PART_OBJECT_LOCK)) return S3_OK;
  enum s3_error error = look(c, v, which, &found);
  if (!error) error = lock_may_delete(c, found ? store_found_object(found) : NULL);
  store_found_free(found);
  return error;
}

static enum s3_error delete_once(struct call *c, bool *out_retry) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  struct dom_err err = {0};
  struct call_permit permit;
  struct store_version version;
  const struct store_version *which = NULL;
  bool marker = false;
  uint64_t lsn = 0;
  *out_retry = false;
  enum s3_error error = call_view_to_write(c, &v);
  if (!error) error = version_asked(c, &version, &which);
  if (!error) error = object_condition(c, v);
  if (!error && which) error = may_delete(c, v, which);
  if (!error) error = object_permit_in(c, v, PERMIT_DELETE, SLICE_LIT(""), &permit);
  if (error) return error;
  enum dom_code code = call_tx_begin(c, v, &tx, &err);
  if (!code) code = delete_add(c, tx, permit.permit, which, &marker, &err);
  if (code) return call_error_of(c, code, &err);
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, &lsn, &err);
  *out_retry = code == DOM_RETRY;
  if (code) return *out_retry ? S3_OK : call_error_of(c, code, &err);
  if (!which) version = version_written(c, version_is_new(c), lsn);
  if (which || marker) version_tell(c, &version, marker);
  return S3_OK;
}

enum s3_error object_delete_here(struct call *c) {
  assert(c->in_gate);
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    bool retry = false;
    enum s3_error error = delete_once(c, &retry);
    if (error || !retry) return error;
  }
  return S3_ERR_SLOW_DOWN;
}

enum s3_error object_delete(struct call *c) {
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error == S3_ERR_SUBJECT_NOT_REGISTERED) return call_reply_empty(c, 204); /* nothing of nobody */
  if (error || done) return error;
  error = object_delete_here(c);
  if (error) return error;
  call_leave(c);
  return call_reply_empty(c, 204);
}
