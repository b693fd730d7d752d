/* GetObjectAttributes, and reads of one part: what is known of an object's parts. */
#include <assert.h>

#include "serve/region.h"

/* Bodies of an object that was put in parts are its parts, in order. */
static uint32_t parts_of(const struct store_object *o) {
  assert(o->body_count <= STORE_PART_MAX);
  return o->etag_parts == o->body_count ? o->etag_parts : 0;
}

enum s3_error object_parts(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                           struct s3_parts *out) {
  struct dom_err err = {0};
  return call_error_of(c, s3_parts_decode(meta->parts, parts_of(o), out, &err), &err);
}

enum s3_error object_part_bounds(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                                 uint64_t *out_first, uint64_t *out_count) {
  struct s3_parts parts;
  uint32_t index = 0;
  uint64_t first = 0;
  assert(c->q.part_number > 0);
  enum s3_error error = object_parts(c, o, meta, &parts);
  if (error) return error;
  if (parts.count == 0 && c->q.part_number > 1) return S3_ERR_INVALID_PART_NUMBER;
  if (parts.count > 0 && !s3_parts_find(&parts, c->q.part_number, &index)) return S3_ERR_INVALID_PART_NUMBER;
  for (uint32_t i = 0; i < index; i++) first += o->bodies[i].size;
  *out_first = first;
  *out_count = parts.count > 0 ? o->bodies[index].size : o->size;
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

/* A list for the answer. Digests lie in the arena. */
static struct s3_attributes_part *list_parts(struct arena *arena, const struct store_object *o,
                                             const struct s3_parts *parts) {
  struct s3_attributes_part *list = arena_alloc(arena, (parts->count + 1) * sizeof *list);
  struct auth_digest *digests = arena_alloc(arena, (parts->count + 1) * sizeof *digests);
  if (!list || !digests) return NULL;
  for (uint32_t i = 0; i < parts->count; i++) {
    struct s3_part_entry entry;
    s3_parts_get(parts, i, &entry);
    digests[i] = entry.meta.checksum;
    list[i] = (struct s3_attributes_part){.number = entry.number,
                                          .size = o->bodies[i].size,
                                          .checksum = entry.meta.has_checksum ? &digests[i] : NULL};
  }
  return list;
}

static enum s3_error answer(struct call *c, const struct store_object *o) {
  struct s3_meta meta;
  struct s3_parts parts;
  struct customer customer;
  enum s3_error error = may_read(c, o);
  if (!error) error = object_meta(c, o, &meta);
  if (!error) error = customer_match(meta.customer, c->q.customer, &customer);
  wipe(&customer, sizeof customer);
  if (!error) error = object_parts(c, o, &meta, &parts);
  if (error) return error;
  struct s3_attributes told = {.md5 = o->etag_md5,
                               .part_count = parts.count,
                               .size = o->size,
                               .checksum = meta.has_checksum ? &meta.checksum : NULL,
                               .is_composite = meta.is_composite,
                               .parts = list_parts(wire_exchange_arena(c->x), o, &parts)};
  if (!told.parts) return S3_ERR_SLOW_DOWN;
  BUF_AUTO xml = BUF_INIT;
  char modified[30];
  s3_result_attributes(&c->q.attributes, &told, &xml);
  time_http(o->mtime_ms, modified);
  wire_reply_field_str(c->x, "Last-Modified", modified);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error object_attributes(struct call *c) {
  return object_tell(c, answer);
}
