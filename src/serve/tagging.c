/* Tags of one object. */
#include <assert.h>

#include "serve/region.h"

static enum s3_error answer(struct call *c, const struct store_object *o) {
  struct s3_meta meta;
  struct s3_tags tags = {.count = 0};
  BUF_AUTO xml = BUF_INIT;
  enum s3_error error = object_meta(c, o, &meta);
  if (error) return error;
  for (; tags.count < meta.tag_count; tags.count++) tags.tag[tags.count] = meta.tags[tags.count];
  s3_tags_print(&tags, &xml);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error object_tagging_get(struct call *c) {
  return object_tell(c, answer);
}

/* c->q.meta has what the request asks for; a policy is judged by it, too. */
static enum s3_error take_tags(struct call *c, void *arg, struct s3_meta *meta) {
  (void)arg;
  assert(c->q.meta.tag_count <= S3_OBJECT_TAGS_MAX);
  meta->tags = c->q.meta.tags;
  meta->tag_count = c->q.meta.tag_count;
  return S3_OK;
}

static enum s3_error set(struct call *c, unsigned status) {
  enum s3_error error = object_amend(c, take_tags, NULL);
  if (error) return error;
  call_leave(c);
  return call_reply_empty(c, status);
}

/* Nobody's objects have no tags. */
static enum s3_error enter(struct call *c, bool *out_done) {
  version_untell(c);
  enum s3_error error = call_enter(c, out_done);
  return error == S3_ERR_SUBJECT_NOT_REGISTERED ? S3_ERR_NO_SUCH_KEY : error;
}

enum s3_error object_tagging_put(struct call *c) {
  struct arena *arena = wire_exchange_arena(c->x);
  struct s3_tags tags;
  BUF_AUTO xml = BUF_INIT;
  bool done = false;
  enum s3_error error = enter(c, &done);
  if (error || done) return error;
  error = intake_all(c, S3_TAGGING_BYTES_MAX, &xml);
  if (!error) error = s3_object_tags_parse(buf_slice(&xml), arena, &tags);
  if (!error && !s3_meta_set_tags(&c->q.meta, &tags, arena)) error = S3_ERR_SLOW_DOWN;
  return error ? error : set(c, 200);
}

enum s3_error object_tagging_delete(struct call *c) {
  bool done = false;
  enum s3_error error = enter(c, &done);
  if (error || done) return error;
  c->q.meta.tag_count = 0;
  return set(c, 204);
}
