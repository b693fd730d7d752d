/* CompleteMultipartUpload: the named parts become one object, in one commit. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

struct complete {
  struct call *c;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  struct s3_part_list want;
  size_t next; /* of `want`, not yet found */
  struct store_body_ref *bodies;
  uint8_t (*md5)[MD5_SIZE];
  struct s3_part_entry *entries;
  struct store_object object;
  struct buf meta, classes, locked;
  enum s3_error error;
};

/* Whether the part is the one that the client names. */
static bool is_wanted(const struct store_part *part, const struct s3_part_meta *kept,
                      const struct s3_part_ref *want) {
  if (part->number != want->number || memcmp(part->md5, want->md5, MD5_SIZE) != 0) return false;
  return !want->has_checksum || (kept->has_checksum && auth_digest_equal(&kept->checksum, &want->checksum));
}

static bool match_part(void *arg, const struct store_part *part) {
  struct complete *u = arg;
  if (u->next == u->want.count) return false;
  const struct s3_part_ref *want = &u->want.parts[u->next];
  if (part->number < want->number) return true; /* uploaded and not named: goes with the upload */
  struct s3_part_entry *entry = &u->entries[u->next];
  struct dom_err err = {0};
  *entry = (struct s3_part_entry){.number = part->number};
  u->error = call_error_of(
      u->c, s3_part_meta_decode(slice_of(part->meta, part->meta_len), &entry->meta, &err), &err);
  if (u->error) return false;
  if (!is_wanted(part, &entry->meta, want))
    u->error = S3_ERR_INVALID_PART;
  else if (u->next + 1 < u->want.count && part->body.size < S3_PART_BYTES_MIN)
    u->error = S3_ERR_ENTITY_TOO_SMALL;
  if (u->error) return false;
  u->bodies[u->next] = part->body;
  memcpy(u->md5[u->next], part->md5, MD5_SIZE);
  u->object.size += part->body.size;
  u->next++;
  return true;
}

static enum s3_error say_invalid(struct call *c, const char *why) {
  snprintf(c->detail, sizeof c->detail, "%s", why);
  return S3_ERR_INVALID_REQUEST;
}

/* Which checksum the object gets: as the upload was begun; else as the completion asks for it. */
static enum s3_error plan_find(struct complete *u, struct s3_meta *meta) {
  const struct s3_request *q = &u->c->q;
  if (!meta->has_plan && !q->has_whole_checksum && !q->has_checksum_type) return S3_OK;
  if (!meta->has_plan) {
    if (!q->has_whole_checksum) return say_invalid(u->c, "the upload was begun without a checksum");
    meta->has_plan = true;
    meta->plan.kind = q->whole_checksum.kind;
    meta->plan.full_object = q->whole_parts == 0 && auth_checksum_joins(q->whole_checksum.kind);
  }
  if (q->has_checksum_type && q->checksum_full_object != meta->plan.full_object)
    return say_invalid(u->c, "x-amz-checksum-type is not the one that the upload was begun with");
  if (q->has_whole_checksum && q->whole_checksum.kind != meta->plan.kind)
    return say_invalid(u->c, "the checksum is not of the algorithm that the upload was begun with");
  for (size_t i = 0; i < u->want.count; i++) {
    const struct s3_part_meta *part = &u->entries[i].meta;
    if (!part->has_checksum || part->checksum.kind != meta->plan.kind)
      return say_invalid(u->c, "a part has no checksum of that algorithm");
  }
  return S3_OK;
}

static enum s3_error checksum_make(struct complete *u, struct s3_meta *meta) {
  uint32_t count = (uint32_t)u->want.count;
  assert(meta->has_plan && !meta->has_checksum);
  if (meta->plan.full_object) {
    struct auth_join join = {0};
    for (uint32_t i = 0; i < count; i++)
      auth_join_add(&join, &u->entries[i].meta.checksum, u->bodies[i].size);
    meta->checksum = join.digest;
  } else if (!s3_parts_composite(u->entries, count, meta->plan.kind, &meta->checksum)) {
    return S3_ERR_SLOW_DOWN;
  }
  meta->has_checksum = true;
  meta->is_composite = !meta->plan.full_object;
  const struct s3_request *q = &u->c->q;
  if (!q->has_whole_checksum) return S3_OK;
  bool same = auth_digest_equal(&meta->checksum, &q->whole_checksum) &&
              (q->whole_parts == 0 || (meta->is_composite && q->whole_parts == count));
  return same ? S3_OK : S3_ERR_BAD_DIGEST;
}

/* The upload's metadata becomes the object's: with its parts and their checksum. */
static enum s3_error meta_make(struct complete *u, const struct store_upload *upload) {
  struct s3_meta meta;
  struct dom_err err = {0};
  BUF_AUTO parts = BUF_INIT;
  enum dom_code code = s3_meta_decode(upload->meta, wire_exchange_arena(u->c->x), &meta, &err);
  enum s3_error error = code ? call_error_of(u->c, code, &err) : plan_find(u, &meta);
  if (!error && meta.has_plan) error = checksum_make(u, &meta);
  struct customer customer;
  if (!error && u->c->q.customer) error = customer_match(meta.customer, u->c->q.customer, &customer);
  wipe(&customer, sizeof customer);
  for (size_t i = 0; !error && i < u->want.count; i++)
    if (u->entries[i].meta.has_salt != (meta.customer.len > 0)) error = S3_ERR_INVALID_PART;
  if (error) return error;
  meta.has_plan = false;
  s3_parts_encode(u->entries, (uint32_t)u->want.count, &parts);
  if (parts.failed) return S3_ERR_SLOW_DOWN;
  meta.parts = buf_slice(&parts);
  return call_error_of(u->c, s3_meta_encode(&meta, &u->meta, &err), &err);
}

/* The object as its parts make it. */
static enum s3_error assemble(struct complete *u, const struct store_upload *upload) {
  struct store_object *o = &u->object;
  if (u->error) return u->error;
  if (u->next < u->want.count) return S3_ERR_INVALID_PART;
  if (o->size > S3_OBJECT_BYTES_MAX) return S3_ERR_ENTITY_TOO_LARGE;
  if (u->c->q.has_whole_size && u->c->q.whole_size != o->size)
    return say_invalid(u->c, "x-amz-mp-object-size is not the size of all parts");
  enum s3_error error = meta_make(u, upload);
  if (error) return error;
  /* Its SHA-256 is left to the move that needs it: parts may have none either. */
  if (!s3_etag_combine((const uint8_t(*)[MD5_SIZE])u->md5, u->want.count, o->etag_md5))
    return S3_ERR_SLOW_DOWN;
  buf_append_slice(&u->classes, upload->classes);
  if (u->meta.failed || u->classes.failed) return S3_ERR_SLOW_DOWN;
  o->key = u->c->q.key;
  o->mtime_ms = clock_wall_ms(u->c->r->clock);
  o->etag_parts = (uint32_t)u->want.count;
  o->bodies = u->bodies;
  o->body_count = (uint32_t)u->want.count;
  o->meta = buf_slice(&u->meta);
  o->classes = buf_slice(&u->classes);
  return S3_OK;
}

/* Reads upload and parts afresh and publishes. *out_retry: a guard changed. */
static enum s3_error publish_once(struct complete *u, bool *out_retry) {
  struct call *c = u->c;
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  struct dom_err err = {0};
  struct call_permit permit;
  struct store_upload upload;
  struct store_place place = call_place(c);
  *out_retry = false;
  u->next = 0;
  u->error = S3_OK;
  u->object = (struct store_object){0};
  buf_reset(&u->meta);
  buf_reset(&u->classes);
  buf_reset(&u->locked);
  enum s3_error error = call_view_to_write(c, &v);
  if (error) return error;
  enum dom_code code = store_upload_get(v, &place, c->q.key, u->id, &upload, &err);
  if (!code) code = store_part_scan(v, &place, c->q.key, u->id, 0, match_part, u, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_UPLOAD;
  error = code ? call_error_of(c, code, &err) : assemble(u, &upload);
  if (!error) error = object_condition(c, v);
  if (!error) error = object_permit_in(c, v, PERMIT_STORE, u->object.classes, &permit);
  if (!error) error = lock_new_version(c, v, &u->object, &u->locked);
  if (error) return error;
  uint64_t lsn = 0;
  u->object.is_version = version_is_new(c);
  code = call_tx_begin(c, v, &tx, &err);
  if (!code) code = store_tx_complete(tx, permit.permit, &place, u->id, &u->object, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_UPLOAD;
  if (code) return call_error_of(c, code, &err);
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, &lsn, &err);
  *out_retry = code == DOM_RETRY;
  if (!code) {
    struct store_version written = version_written(c, u->object.is_version, lsn);
    version_tell(c, &written, false);
  }
  return *out_retry ? S3_OK : call_error_of(c, code, &err);
}

static enum s3_error publish(struct complete *u) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    bool retry = false;
    enum s3_error error = publish_once(u, &retry);
    if (error || !retry) return error;
  }
  return S3_ERR_SLOW_DOWN;
}

/* The same complete sent again after it succeeded: the object made of exactly these parts is the answer. */
static bool is_completed(struct complete *u) {
  struct call *c = u->c;
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *found = NULL;
  struct call_permit permit;
  struct store_place place = call_place(c);
  uint8_t md5[MD5_SIZE];
  for (size_t i = 0; i < u->want.count; i++) memcpy(u->md5[i], u->want.parts[i].md5, MD5_SIZE);
  if (!s3_etag_combine((const uint8_t(*)[MD5_SIZE])u->md5, u->want.count, md5) ||
      call_permit(c, PERMIT_READ, c->q.key, SLICE_LIT(""), 0, &permit) ||
      store_view_open(c->r->store, &v, NULL) ||
      store_object_get(v, PERMIT_READ, permit.permit, &place, c->q.key, &found, NULL))
    return false;
  const struct store_object *o = store_found_object(found);
  bool same = o->etag_parts == u->want.count && memcmp(o->etag_md5, md5, MD5_SIZE) == 0;
  if (same)
    u->object = (struct store_object){.etag_parts = o->etag_parts, .size = o->size, .mtime_ms = o->mtime_ms};
  if (same) memcpy(u->object.etag_md5, md5, MD5_SIZE);
  if (same) version_tell_object(c, o);
  buf_reset(&u->meta);
  if (same) buf_append_slice(&u->meta, o->meta);
  same = same && !u->meta.failed;
  store_found_free(found);
  return same;
}

static enum s3_error answer(struct complete *u) {
  struct call *c = u->c;
  struct s3_meta meta = {0};
  struct dom_err err = {0};
  enum dom_code code = s3_meta_decode(buf_slice(&u->meta), wire_exchange_arena(c->x), &meta, &err);
  if (code) return call_error_of(c, code, &err);
  BUF_AUTO location = BUF_INIT;
  BUF_AUTO xml = BUF_INIT;
  buf_append_str(&location, "http://");
  buf_append_slice(&location, wire_exchange_head(c->x)->host);
  buf_append_slice(&location, wire_exchange_head(c->x)->path);
  s3_result_complete(buf_slice(&location), c->q.bucket, c->q.key, u->object.etag_md5, u->object.etag_parts,
                     &meta, &xml);
  expiration_field(c, &u->object, &meta);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error upload_complete(struct call *c) {
  struct complete u = {.c = c};
  struct arena *arena = wire_exchange_arena(c->x);
  struct call_permit permit;
  BUF_AUTO body = BUF_INIT;
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  if (!upload_id_parse(c->q.upload_id, u.id)) return S3_ERR_NO_SUCH_UPLOAD;
  error = object_permit(c, PERMIT_STORE, SLICE_LIT(""), &permit);
  if (!error) error = intake_all(c, S3_XML_COMPLETE_BYTES_MAX, &body);
  if (!error) error = s3_complete_parse(buf_slice(&body), arena, &u.want);
  if (error) return error;
  u.bodies = arena_alloc(arena, u.want.count * sizeof *u.bodies);
  u.md5 = arena_alloc(arena, u.want.count * sizeof *u.md5);
  u.entries = arena_alloc(arena, u.want.count * sizeof *u.entries);
  if (!u.bodies || !u.md5 || !u.entries) return S3_ERR_SLOW_DOWN;
  error = publish(&u);
  if (error == S3_ERR_NO_SUCH_UPLOAD && is_completed(&u)) error = S3_OK;
  call_leave(c);
  if (!error) error = answer(&u);
  buf_done(&u.meta);
  buf_done(&u.classes);
  buf_done(&u.locked);
  return error;
}
