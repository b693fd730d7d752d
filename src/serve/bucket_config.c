/* A bucket's configuration: GET, PUT and DELETE of every subresource. A document is read strictly, kept in
 * canonical form, and in force in every region of the charter before the answer says so. What is not
 * enforced by anything is refused by name, never kept and ignored. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* ---- documents into canonical form ----------------------------------------------------------------- */

typedef enum s3_error (*canonical_fn)(struct slice body, struct arena *arena, struct buf *out);

static enum s3_error canonical_cors(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_cors cors;
  enum s3_error error = s3_cors_parse(body, arena, &cors);
  if (!error) s3_cors_print(&cors, out);
  return error;
}

static enum s3_error canonical_tagging(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_tags tags;
  enum s3_error error = s3_tags_parse(body, S3_BUCKET_TAGS_MAX, arena, &tags);
  if (!error) s3_tags_print(&tags, out);
  return error;
}

static enum s3_error canonical_encryption(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_encryption encryption;
  enum s3_error error = s3_encryption_parse(body, arena, &encryption);
  if (!error) s3_encryption_print(&encryption, out);
  return error;
}

static enum s3_error canonical_public_access(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_public_access block;
  enum s3_error error = s3_public_access_parse(body, arena, &block);
  if (!error) s3_public_access_print(&block, out);
  return error;
}

static enum s3_error canonical_ownership(struct slice body, struct arena *arena, struct buf *out) {
  const char *name;
  enum s3_error error = s3_ownership_parse(body, arena, &name);
  if (!error) s3_ownership_print(name, out);
  return error;
}

static enum s3_error canonical_lifecycle(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_lifecycle rules;
  enum s3_error error = s3_lifecycle_parse(body, arena, &rules);
  if (!error) s3_lifecycle_print(&rules, out);
  return error;
}

static enum s3_error canonical_object_lock(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_object_lock lock;
  enum s3_error error = s3_object_lock_parse(body, arena, &lock);
  if (!error) s3_object_lock_print(&lock, out);
  return error;
}

/* ---- the subresources -------------------------------------------------------------------------------- */

static const struct subresource {
  const char *name;
  enum subject_part part;
  enum s3_op get, put, remove; /* S3_OP_NOT_IMPLEMENTED: S3 has none */
  enum s3_error missing;
  size_t bytes_max;
  unsigned put_status;
  canonical_fn canonical;
} SUBRESOURCES[] = {
    {"cors", SUBJECT_PART_CORS, S3_OP_GET_BUCKET_CORS, S3_OP_PUT_BUCKET_CORS, S3_OP_DELETE_BUCKET_CORS,
     S3_ERR_NO_SUCH_CORS, S3_CORS_BYTES_MAX, 200, canonical_cors},
    {"tagging", SUBJECT_PART_TAGGING, S3_OP_GET_BUCKET_TAGGING, S3_OP_PUT_BUCKET_TAGGING,
     S3_OP_DELETE_BUCKET_TAGGING, S3_ERR_NO_SUCH_TAG_SET, S3_TAGGING_BYTES_MAX, 204, canonical_tagging},
    {"encryption", SUBJECT_PART_ENCRYPTION, S3_OP_GET_BUCKET_ENCRYPTION, S3_OP_PUT_BUCKET_ENCRYPTION,
     S3_OP_DELETE_BUCKET_ENCRYPTION, S3_ERR_NO_SUCH_ENCRYPTION, S3_CONFIG_BYTES_MAX, 200,
     canonical_encryption},
    {"publicAccessBlock", SUBJECT_PART_PUBLIC_ACCESS, S3_OP_GET_PUBLIC_ACCESS_BLOCK,
     S3_OP_PUT_PUBLIC_ACCESS_BLOCK, S3_OP_DELETE_PUBLIC_ACCESS_BLOCK, S3_ERR_NO_SUCH_PUBLIC_ACCESS,
     S3_CONFIG_BYTES_MAX, 200, canonical_public_access},
    {"ownershipControls", SUBJECT_PART_OWNERSHIP, S3_OP_GET_BUCKET_OWNERSHIP, S3_OP_PUT_BUCKET_OWNERSHIP,
     S3_OP_DELETE_BUCKET_OWNERSHIP, S3_ERR_NO_SUCH_OWNERSHIP, S3_CONFIG_BYTES_MAX, 200, canonical_ownership},
    {"lifecycle", SUBJECT_PART_LIFECYCLE, S3_OP_GET_BUCKET_LIFECYCLE, S3_OP_PUT_BUCKET_LIFECYCLE,
     S3_OP_DELETE_BUCKET_LIFECYCLE, S3_ERR_NO_SUCH_LIFECYCLE, S3_LIFECYCLE_BYTES_MAX, 200,
     canonical_lifecycle},
    {"object-lock", SUBJECT_PART_OBJECT_LOCK, S3_OP_GET_OBJECT_LOCK_CONFIG, S3_OP_PUT_OBJECT_LOCK_CONFIG,
     S3_OP_NOT_IMPLEMENTED, S3_ERR_NO_SUCH_OBJECT_LOCK, S3_CONFIG_BYTES_MAX, 200, canonical_object_lock},
};

static const struct subresource *subresource_of(enum s3_op op) {
  for (size_t i = 0; i < sizeof SUBRESOURCES / sizeof SUBRESOURCES[0]; i++) {
    const struct subresource *s = &SUBRESOURCES[i];
    if (op != S3_OP_NOT_IMPLEMENTED && (op == s->get || op == s->put || op == s->remove)) return s;
  }
  return NULL;
}

bool bucket_config_has_body(enum s3_op op) {
  const struct subresource *s = subresource_of(op);
  return op == S3_OP_PUT_BUCKET_VERSIONING || (s && op == s->put);
}

static enum s3_error not_enforced(struct call *c, const char *name) {
  snprintf(c->detail, sizeof c->detail, "%s", name);
  return S3_ERR_NOT_IMPLEMENTED;
}

/* ---- changes ------------------------------------------------------------------------------------------- */

/* Never 200 while a region has not acknowledged: 503 says which, and what to do. */
static enum s3_error change_error(struct call *c, enum dom_code code, const struct dom_err *err) {
  if (code && err->text[0]) snprintf(c->detail, sizeof c->detail, "%s", err->text);
  switch (code) {
  case DOM_UNAVAILABLE:
  case DOM_TIMEOUT:
    return S3_ERR_SLOW_DOWN;
  case DOM_BUSY:
    return S3_ERR_OPERATION_ABORTED;
  case DOM_INVALID:
    return S3_ERR_INVALID_BUCKET_STATE;
  case DOM_TOO_LARGE:
    return S3_ERR_MAX_MESSAGE_LENGTH;
  case DOM_NOT_FOUND:
    return S3_ERR_NO_SUCH_BUCKET;
  default:
    return call_error_of(c, code, err);
  }
}

enum s3_error bucket_config_change(struct call *c, const struct subject_config_change *change,
                                   unsigned status) {
  struct dom_err err = {0};
  enum dom_code code = subject_configure(c->r->subjects, &c->bucket, change, &err);
  return code ? change_error(c, code, &err) : call_reply_empty(c, status);
}

static enum s3_error put(struct call *c, const struct subresource *s) {
  BUF_AUTO xml = BUF_INIT;
  BUF_AUTO canonical = BUF_INIT;
  assert(s->canonical);
  enum s3_error error = intake_all(c, s->bytes_max, &xml);
  if (!error) error = call_bucket(c, c->q.bucket);
  if (!error) error = s->canonical(buf_slice(&xml), wire_exchange_arena(c->x), &canonical);
  if (!error && canonical.failed) error = S3_ERR_SLOW_DOWN;
  if (error == S3_ERR_NOT_IMPLEMENTED) return not_enforced(c, s->name);
  if (!error && s->part == SUBJECT_PART_OWNERSHIP) error = access_may_own(c, buf_slice(&canonical));
  if (error) return error;
  /* Ownership was judged beside the ACL that is there: both or neither. */
  return bucket_config_change(c,
                              &(struct subject_config_change){.part = s->part,
                                                              .value = buf_slice(&canonical),
                                                              .only_if = s->part == SUBJECT_PART_OWNERSHIP,
                                                              .if_version = c->bucket.config_version},
                              s->put_status);
}

static enum s3_error get(struct call *c, const struct subresource *s) {
  struct subject_config *config = NULL;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (!error) error = call_config(c, &config);
  if (error) return error;
  struct slice value = subject_config_part(config, s->part);
  BUF_AUTO xml = BUF_INIT;
  if (value.data) buf_append_slice(&xml, value);
  error = value.data ? call_reply_xml(c, 200, &xml) : s->missing;
  subject_config_release(config);
  return error;
}

static enum s3_error take_away(struct call *c, const struct subresource *s) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  return bucket_config_change(c, &(struct subject_config_change){.part = s->part, .remove = true}, 204);
}

/* ---- those that are not parts ----------------------------------------------------------------------------
 */

static enum s3_error get_versioning(struct call *c) {
  static const char *const NAME[] = {
      [VERSIONING_NEVER] = NULL, [VERSIONING_ENABLED] = "Enabled", [VERSIONING_SUSPENDED] = "Suspended"};
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  BUF_AUTO xml = BUF_INIT;
  s3_result_versioning(NAME[c->bucket.versioning], &xml);
  return call_reply_xml(c, 200, &xml);
}

/* In force in every region before it is answered: until then each one guards its commits by the older one. */
static enum s3_error put_versioning(struct call *c) {
  BUF_AUTO xml = BUF_INIT;
  bool enabled = false;
  enum s3_error error = intake_all(c, S3_CONFIG_BYTES_MAX, &xml);
  if (!error) error = call_bucket(c, c->q.bucket);
  if (!error) error = s3_versioning_parse(buf_slice(&xml), wire_exchange_arena(c->x), &enabled);
  if (error == S3_ERR_NOT_IMPLEMENTED) return not_enforced(c, "MfaDelete");
  if (error) return error;
  return bucket_config_change(
      c, &(struct subject_config_change){.versioning = enabled ? VERSIONING_ENABLED : VERSIONING_SUSPENDED},
      200);
}

/* What no bucket here has is told as S3 tells it. */
static enum s3_error get_plain(struct call *c) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  BUF_AUTO xml = BUF_INIT;
  switch (c->q.op) {
  case S3_OP_GET_BUCKET_REQUEST_PAYMENT:
    s3_result_request_payment(&xml);
    break;
  case S3_OP_GET_BUCKET_LOGGING:
    s3_result_nothing("BucketLoggingStatus", &xml);
    break;
  case S3_OP_GET_BUCKET_NOTIFICATION:
    s3_result_nothing("NotificationConfiguration", &xml);
    break;
  case S3_OP_GET_BUCKET_ACCELERATE:
    s3_result_nothing("AccelerateConfiguration", &xml);
    break;
  case S3_OP_GET_BUCKET_WEBSITE:
    return S3_ERR_NO_SUCH_WEBSITE;
  default:
    assert(c->q.op == S3_OP_GET_BUCKET_REPLICATION);
    return S3_ERR_NO_SUCH_REPLICATION;
  }
  return call_reply_xml(c, 200, &xml);
}

enum s3_error bucket_config(struct call *c) {
  const struct subresource *s = subresource_of(c->q.op);
  if (s && c->q.op == s->get) return get(c, s);
  if (s && c->q.op == s->remove) return take_away(c, s);
  if (s) return put(c, s);
  switch (c->q.op) {
  case S3_OP_GET_BUCKET_VERSIONING:
    return get_versioning(c);
  case S3_OP_PUT_BUCKET_VERSIONING:
    return put_versioning(c);
  default:
    return get_plain(c);
  }
}
