/* Versions: which one a request names, and what its answer says of them. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

bool version_parse(const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice text, struct store_version *out) {
  struct store_version v = {.is_null = slice_equal(text, SLICE_LIT("null"))};
  assert(out);
  if (!v.is_null && (!s3_version_id_parse(bucket, text, &v.order.epoch, &v.order.lsn) || v.order.lsn == 0))
    return false;
  *out = v;
  return true;
}

void version_text(const uint8_t bucket[STORE_BUCKET_ID_SIZE], const struct store_version *v,
                  char out[S3_VERSION_ID_SIZE]) {
  assert(v->is_null || v->order.lsn > 0);
  if (v->is_null)
    snprintf(out, S3_VERSION_ID_SIZE, "null");
  else
    s3_version_id_print(bucket, v->order.epoch, v->order.lsn, out);
}

enum s3_error version_asked(struct call *c, struct store_version *out, const struct store_version **which) {
  *which = NULL;
  if (!c->q.version_id.len) return S3_OK;
  if (!version_parse(c->bucket.id, c->q.version_id, out)) {
    snprintf(c->detail, sizeof c->detail, "this is no version id");
    return S3_ERR_INVALID_ARGUMENT;
  }
  *which = out;
  return S3_OK;
}

bool version_is_new(const struct call *c) {
  return c->bucket.versioning == VERSIONING_ENABLED;
}

struct store_version version_written(const struct call *c, bool is_version, uint64_t lsn) {
  assert(!is_version || lsn > 0);
  return (struct store_version){.is_null = !is_version, .order = {.epoch = c->who.epoch, .lsn = lsn}};
}

void version_tell(struct call *c, const struct store_version *v, bool is_marker) {
  version_untell(c);
  c->told_marker = is_marker;
  if (c->bucket.versioning != VERSIONING_NEVER) version_text(c->bucket.id, v, c->told_version);
}

void version_tell_object(struct call *c, const struct store_object *o) {
  struct store_version v = {.is_null = !o->is_version, .order = o->order};
  assert(o->order.lsn > 0);
  version_tell(c, &v, o->is_marker);
}

void version_untell(struct call *c) {
  c->told_version[0] = 0;
  c->told_marker = false;
}

void version_fields(struct call *c) {
  if (c->told_version[0]) wire_reply_field_str(c->x, "x-amz-version-id", c->told_version);
  if (c->told_marker) wire_reply_field_str(c->x, "x-amz-delete-marker", "true");
}
