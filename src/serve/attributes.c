/* GetObjectAttributes, and reads of one part: what is known of an object's parts. */
#include <assert.h>

#include "serve/region.h"

/* Bodies of an object that was put in parts are its parts, in order. */
static uint32_t parts_of(const struct store_object *o) {
  assert(o->body_count <= STORE_PART_MAX);
  return o->etag_parts == o->body_count ? o->etag_parts : 0;
}

enum s3_error object_part_bounds(const struct store_object *o, uint32_t number, uint64_t *out_first,
                                 uint64_t *out_count) {
  uint32_t parts = parts_of(o);
  assert(number > 0);
  if (parts == 0) { /* put in one piece: its one part is all of it */
    if (number > 1) return S3_ERR_INVALID_PART_NUMBER;
    *out_first = 0;
    *out_count = o->size;
    return S3_OK;
  }
  if (number > parts) return S3_ERR_INVALID_PART_NUMBER;
  uint64_t first = 0;
  for (uint32_t i = 0; i + 1 < number; i++) first += o->bodies[i].size;
  *out_first = first;
  *out_count = o->bodies[number - 1].size;
  return S3_OK;
}

/* S3 wants both said yes to: to read the object, too. */
static enum s3_error may_read(struct call *c, const struct store_object *o) {
  enum policy_action asked = c->access;
  c->access = c->q.version_id.len ? POLICY_GET_OBJECT_VERSION : POLICY_GET_OBJECT;
  enum s3_error error = access_action(c, c->access, c->q.key);
  if (!error) error = access_object(c, o);
  c->access = asked; /* the operation may be run again */
  return error;
}

static enum s3_error answer(struct call *c, const struct store_object *o) {
  struct arena *arena = wire_exchange_arena(c->x);
  struct s3_meta meta;
  struct dom_err err = {0};
  enum dom_code code = s3_meta_decode(o->meta, arena, &meta, &err);
  if (code) return call_error_of(c, code, &err);
  uint32_t count = parts_of(o);
  struct s3_attributes_part *parts = arena_alloc(arena, (count + 1) * sizeof *parts);
  if (!parts) return S3_ERR_SLOW_DOWN;
  for (uint32_t i = 0; i < count; i++)
    parts[i] = (struct s3_attributes_part){.number = i + 1, .size = o->bodies[i].size};
  struct s3_attributes told = {.md5 = o->etag_md5,
                               .part_count = count,
                               .size = o->size,
                               .checksum = meta.has_checksum ? &meta.checksum : NULL,
                               .parts = parts};
  BUF_AUTO xml = BUF_INIT;
  char modified[30];
  s3_result_attributes(&c->q.attributes, &told, &xml);
  time_http(o->mtime_ms, modified);
  wire_reply_field_str(c->x, "Last-Modified", modified);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error object_attributes(struct call *c) {
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
  error = may_read(c, o);
  if (!error && o->classes.len) error = call_permit(c, PERMIT_READ, c->q.key, o->classes, 0, &permit);
  if (!error) error = answer(c, o);
  store_found_free(found);
  return error;
}
