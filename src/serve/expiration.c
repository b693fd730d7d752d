/* x-amz-expiration: when a lifecycle rule will end the object that an answer is about. */
#include <assert.h>

#include "serve/region.h"

static enum s3_error rules_of(struct call *c, struct s3_lifecycle *out) {
  struct subject_config *config = NULL;
  enum s3_error error = call_config(c, &config);
  if (error) return error;
  struct slice text = subject_config_part(config, SUBJECT_PART_LIFECYCLE);
  *out = (struct s3_lifecycle){.count = 0};
  if (text.data) error = s3_lifecycle_parse(text, wire_exchange_arena(c->x), out);
  subject_config_release(config);
  return error;
}

void expiration_field(struct call *c, const struct store_object *o, const struct s3_meta *meta) {
  struct s3_lifecycle rules;
  const struct s3_lifecycle_rule *rule = NULL;
  assert(o && meta);
  if (!subject_bucket_has(&c->bucket, SUBJECT_PART_LIFECYCLE) || c->q.version_id.len) return;
  if (rules_of(c, &rules)) return; /* a note beside the answer, no part of it */
  struct s3_lifecycle_object object = {.key = c->q.key,
                                       .size = o->size,
                                       .modified_ms = o->mtime_ms,
                                       .tag = meta->tags,
                                       .tag_count = meta->tag_count};
  uint64_t at_ms = s3_lifecycle_expires(&rules, &object, c->r->lifecycle_day_ms, &rule);
  BUF_AUTO text = BUF_INIT;
  if (!rule) return;
  s3_lifecycle_expiration(rule, at_ms, &text);
  if (!text.failed) wire_reply_field(c->x, SLICE_LIT("x-amz-expiration"), buf_slice(&text));
}
