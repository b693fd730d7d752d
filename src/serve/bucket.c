/* Buckets: created and deleted in agreement with every region, listed by the registrar. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

enum { BUCKETS_MAX = 1000 }; /* of one account, as S3's default quota allows after a request */

/* ---- ListBuckets ---------------------------------------------------------------------- */

struct gathered {
  struct arena *arena;
  struct s3_listed_bucket bucket[BUCKETS_MAX];
  size_t count;
};

static bool gather(void *arg, const struct subject_bucket *b) {
  struct gathered *g = arg;
  struct slice name = arena_copy(g->arena, slice_str(b->name));
  if (!name.data) return false;
  g->bucket[g->count++] = (struct s3_listed_bucket){.name = name, .created_ms = b->created_ms};
  return g->count < BUCKETS_MAX;
}

enum s3_error bucket_list_all(struct call *c) {
  struct arena *arena = wire_exchange_arena(c->x);
  struct gathered *g = arena_alloc(arena, sizeof *g);
  if (!g) return S3_ERR_SLOW_DOWN;
  g->arena = arena;
  g->count = 0;
  struct dom_err err = {0};
  enum dom_code code = subject_bucket_each(c->r->subjects, c->auth.account, gather, g, &err);
  if (code) return call_error_of(c, code, &err);
  BUF_AUTO xml = BUF_INIT;
  s3_result_buckets(c->auth.account, g->bucket, g->count, &xml);
  return call_reply_xml(c, 200, &xml);
}

/* ---- CreateBucket ------------------------------------------------------------------------ */

/* The region a bucket's own keys live in: named by header, or by a LocationConstraint that is a
 * region of the charter; else this one. Other constraints are AWS's names and mean "here". */
static enum s3_error choose_region(struct call *c, struct slice constraint, uint16_t *out) {
  struct slice wanted = c->q.domicile_region;
  struct charter *charter = subject_charter(c->r->subjects);
  if (!charter) return S3_ERR_SERVICE_UNAVAILABLE;
  const struct charter_region *named = NULL;
  if (wanted.len)
    named = charter_region_by_name(charter, wanted);
  else if (constraint.len)
    named = charter_region_by_name(charter, constraint);
  *out = named ? named->number : c->r->number;
  charter_release(charter);
  return wanted.len && !named ? S3_ERR_ILLEGAL_LOCATION : S3_OK;
}

static bool fill(char *to, size_t cap, struct slice from) {
  if (from.len >= cap) return false;
  memcpy(to, from.data, from.len);
  to[from.len] = 0;
  return true;
}

static enum s3_error read_constraint(struct call *c, struct slice *out) {
  uint64_t length = 0;
  *out = slice_of(NULL, 0);
  bool empty = wire_body_length(c->x, &length) && length == 0;
  if (empty && auth_result_is_proven(&c->auth)) return S3_OK;
  BUF_AUTO xml = BUF_INIT;
  enum s3_error error = intake_all(c, S3_XML_BUCKET_BYTES_MAX, &xml);
  if (error || empty) return error;
  return s3_location_parse(buf_slice(&xml), wire_exchange_arena(c->x), out);
}

enum s3_error bucket_create(struct call *c) {
  struct slice constraint;
  struct subject_bucket want = {0}, have;
  enum s3_error error = read_constraint(c, &constraint);
  if (!error) error = choose_region(c, constraint, &want.region);
  if (error) return error;
  struct slice layout =
      wire_exchange_field(c->x, "x-domicile-layout").data ? c->q.domicile_layout : c->r->default_layout;
  if (!fill(want.name, sizeof want.name, c->q.bucket) ||
      !fill(want.owner, sizeof want.owner, c->auth.account) ||
      !fill(want.layout_text, sizeof want.layout_text, layout))
    return S3_ERR_INVALID_ARGUMENT;
  want.keep_unmatched = layout.len == 0;
  error = access_check_new_bucket(c);
  if (error) return error;
  struct dom_err err = {0};
  enum dom_code code = subject_bucket_create(c->r->subjects, &want, &have, &err);
  if (code == DOM_EXISTS)
    return slice_equal(slice_str(have.owner), c->auth.account) ? S3_ERR_BUCKET_ALREADY_OWNED
                                                               : S3_ERR_BUCKET_ALREADY_EXISTS;
  if (code) return call_error_of(c, code, &err);
  error = access_set_new_bucket(c, &have);
  if (!error) error = lock_new_bucket(c, &have);
  if (error) return error;
  char location[SUBJECT_BUCKET_NAME_MAX + 2];
  snprintf(location, sizeof location, "/%s", have.name);
  wire_reply_field_str(c->x, "Location", location);
  return call_reply_empty(c, 200);
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* The region's name in the charter, as location and x-amz-bucket-region say it. */
static void region_name(struct call *c, uint16_t number, char out[CHARTER_NAME_BYTES_MAX + 1]) {
  struct charter *charter = subject_charter(c->r->subjects);
  const struct charter_region *region = charter ? charter_region_by_number(charter, number) : NULL;
  snprintf(out, CHARTER_NAME_BYTES_MAX + 1, "%s", region ? region->name : "");
  charter_release(charter);
}

enum s3_error bucket_head(struct call *c) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  char name[CHARTER_NAME_BYTES_MAX + 1];
  region_name(c, c->bucket.region, name);
  wire_reply_field_str(c->x, "x-amz-bucket-region", name);
  return call_reply_empty(c, 200);
}

enum s3_error bucket_delete(struct call *c) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  struct dom_err err = {0};
  enum dom_code code = subject_bucket_delete(c->r->subjects, c->q.bucket, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_BUCKET;
  if (code == DOM_BUSY) return S3_ERR_BUCKET_NOT_EMPTY;
  if (code) return call_error_of(c, code, &err);
  return call_reply_empty(c, 204);
}

enum s3_error bucket_location(struct call *c) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  char name[CHARTER_NAME_BYTES_MAX + 1];
  region_name(c, c->bucket.region, name);
  BUF_AUTO xml = BUF_INIT;
  s3_result_location(slice_str(name), &xml);
  return call_reply_xml(c, 200, &xml);
}
