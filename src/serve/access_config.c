/* Policies and ACLs: set, shown, taken away. What is set is in force in every region when it is answered. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* ---- setting ----------------------------------------------------------------------------------- */

/* A part's new value, or none. It was judged beside the others that are there (a public policy beside the
 * public access block): both or neither. */
static enum s3_error part_set(struct call *c, enum subject_part part, struct slice value, unsigned status) {
  assert(part > 0);
  return bucket_config_change(c,
                              &(struct subject_config_change){.part = part,
                                                              .remove = value.len == 0,
                                                              .value = value,
                                                              .only_if = value.len > 0,
                                                              .if_version = c->bucket.config_version},
                              status);
}

/* Judged, then read: nobody else sends a byte. */
static enum s3_error body_take(struct call *c, size_t bytes_max, struct buf *out) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  assert(out);
  return error ? error : intake_all(c, bytes_max, out);
}

/* ---- policy ---------------------------------------------------------------------------------------- */

/* AWS: even somebody whom the policy lets do that belongs to the bucket's account. */
static enum s3_error only_own_account(struct call *c) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  assert(c->q.key.len == 0);
  return error || access_is_owner(c) ? error : S3_ERR_METHOD_NOT_ALLOWED;
}

enum s3_error bucket_policy_put(struct call *c) {
  BUF_AUTO body = BUF_INIT;
  struct policy *policy = NULL;
  struct dom_err err = {0};
  enum s3_error error = only_own_account(c);
  if (!error) error = intake_all(c, POLICY_BYTES_MAX, &body);
  if (error) return error;
  enum dom_code code = policy_parse(buf_slice(&body), slice_str(c->bucket.name), &policy, &err);
  if (code == DOM_INVALID || code == DOM_TOO_LARGE) {
    snprintf(c->detail, sizeof c->detail, "%s", err.text);
    return S3_ERR_MALFORMED_POLICY;
  }
  if (code) return call_error_of(c, code, &err);
  bool is_public = policy_is_public(policy);
  policy_release(policy);
  if (is_public && access_block(c->rules).block_public_policy) {
    snprintf(c->detail, sizeof c->detail, "the bucket's public access block forbids public policies");
    return S3_ERR_ACCESS_DENIED;
  }
  return part_set(c, SUBJECT_PART_POLICY, buf_slice(&body), 204);
}

enum s3_error bucket_policy_get(struct call *c) {
  enum s3_error error = only_own_account(c);
  if (error) return error;
  struct slice text = access_policy_text(c->rules);
  if (!text.data) return S3_ERR_NO_SUCH_BUCKET_POLICY;
  assert(text.len <= POLICY_BYTES_MAX);
  call_fields(c);
  wire_reply_field_str(c->x, "Content-Type", "application/json");
  wire_reply(c->x, 200, text, NULL);
  return S3_OK;
}

enum s3_error bucket_policy_delete(struct call *c) {
  enum s3_error error = only_own_account(c);
  assert(c->q.key.len == 0);
  return error ? error : part_set(c, SUBJECT_PART_POLICY, SLICE_LIT(""), 204);
}

enum s3_error bucket_policy_status(struct call *c) {
  BUF_AUTO xml = BUF_INIT;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  assert(c->q.key.len == 0);
  if (!access_policy(c->rules)) return S3_ERR_NO_SUCH_BUCKET_POLICY;
  s3_policy_status_result(access_policy_is_public(c->rules), &xml);
  return call_reply_xml(c, 200, &xml);
}

/* ---- ACLs ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *header;
  const char *permission;
  unsigned rights;
} RIGHTS[] = {
    {"x-amz-grant-full-control", "FULL_CONTROL", POLICY_FULL_CONTROL},
    {"x-amz-grant-read", "READ", POLICY_READ},
    {"x-amz-grant-write", "WRITE", POLICY_WRITE},
    {"x-amz-grant-read-acp", "READ_ACP", POLICY_READ_ACP},
    {"x-amz-grant-write-acp", "WRITE_ACP", POLICY_WRITE_ACP},
};
enum { RIGHTS_COUNT = sizeof RIGHTS / sizeof RIGHTS[0] };

enum s3_error access_head_acl(struct call *c, struct slice owner, struct policy_acl *out, bool *out_has) {
  struct slice value;
  struct dom_err err = {0};
  assert(out && out_has);
  *out_has = c->q.acl.data || c->q.has_grants;
  if (c->q.acl.data && c->q.has_grants) {
    snprintf(c->detail, sizeof c->detail, "specifying both canned ACLs and header grants is not allowed");
    return S3_ERR_INVALID_REQUEST;
  }
  if (c->q.acl.data && !policy_acl_canned(c->q.acl, owner, slice_str(c->bucket.owner), out)) {
    snprintf(c->detail, sizeof c->detail, "x-amz-acl");
    return S3_ERR_INVALID_ARGUMENT;
  }
  if (!c->q.has_grants) return S3_OK;
  out->owner = owner;
  out->count = 0;
  for (size_t i = 0; i < RIGHTS_COUNT; i++) {
    if (!auth_header_find(&c->head, slice_str(RIGHTS[i].header), &value)) continue;
    if (!policy_acl_header(value, RIGHTS[i].rights, out, &err)) continue;
    snprintf(c->detail, sizeof c->detail, "%s", err.text);
    return S3_ERR_INVALID_ARGUMENT;
  }
  return S3_OK;
}

enum s3_error access_document_acl(struct call *c, const struct s3_acl *from, struct policy_acl *out) {
  struct slice owner = slice_str(c->bucket.owner);
  if (from->owner.len && !slice_equal(from->owner, owner)) return S3_ERR_ACCESS_DENIED;
  out->owner = owner;
  out->count = 0;
  for (size_t i = 0; i < from->count; i++) {
    struct policy_grant g = {.to = POLICY_TO_ACCOUNT, .account = from->grant[i].id};
    for (size_t k = 0; k < RIGHTS_COUNT; k++)
      if (slice_equal(from->grant[i].permission, slice_str(RIGHTS[k].permission)))
        g.rights = RIGHTS[k].rights;
    assert(g.rights); /* s3_acl_parse */
    if (from->grant[i].uri.len && !policy_group_of_uri(from->grant[i].uri, &g.to))
      return S3_ERR_INVALID_ARGUMENT;
    if (g.account.len > POLICY_ACCOUNT_BYTES_MAX) return S3_ERR_INVALID_ARGUMENT;
    if (!policy_acl_add(out, &g)) return S3_ERR_MALFORMED_ACL;
  }
  return S3_OK;
}

/* From the head, or else from the body. */
static enum s3_error acl_take(struct call *c, struct policy_acl *out) {
  BUF_AUTO body = BUF_INIT;
  bool has = false;
  struct arena *arena = wire_exchange_arena(c->x);
  struct s3_acl *document = arena_alloc(arena, sizeof *document);
  if (!document) return S3_ERR_SLOW_DOWN;
  enum s3_error error = body_take(c, subject_part_max(SUBJECT_PART_ACL), &body);
  if (!error) error = access_head_acl(c, slice_str(c->bucket.owner), out, &has);
  if (error || has) return error;
  error = s3_acl_parse(buf_slice(&body), arena, document);
  assert(out);
  return error ? error : access_document_acl(c, document, out);
}

enum s3_error access_acl_may_set(struct call *c, const struct policy_acl *acl) {
  struct policy_block block = access_block(c->rules);
  assert(acl);
  switch (policy_acl_may_set(acl, slice_str(c->bucket.owner), access_ownership(c->rules), &block)) {
  case POLICY_SET_UNSUPPORTED:
    return S3_ERR_ACL_NOT_SUPPORTED;
  case POLICY_SET_BLOCKED:
    snprintf(c->detail, sizeof c->detail, "the bucket's public access block forbids public ACLs");
    return S3_ERR_ACCESS_DENIED;
  case POLICY_SET_OK:
    break;
  }
  return S3_OK;
}

static enum s3_error acl_print(const struct policy_acl *acl, struct buf *out) {
  policy_acl_print(acl, out);
  assert(out->failed || out->len <= subject_part_max(SUBJECT_PART_ACL));
  return out->failed ? S3_ERR_SLOW_DOWN : S3_OK;
}

enum s3_error bucket_acl_put(struct call *c) {
  BUF_AUTO text = BUF_INIT;
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  if (!acl) return S3_ERR_SLOW_DOWN;
  enum s3_error error = acl_take(c, acl);
  if (!error) error = access_acl_may_set(c, acl);
  if (!error) error = acl_print(acl, &text);
  assert(error || text.len > 0);
  return error ? error : part_set(c, SUBJECT_PART_ACL, buf_slice(&text), 200);
}

/* S3's words for a grant; rights that no single word says are several grants. */
static void grant_show(const struct policy_grant *g, struct s3_acl *out) {
  unsigned left = g->rights;
  assert(left != 0);
  for (size_t i = 0; i < RIGHTS_COUNT && out->count < S3_GRANTS_MAX; i++) {
    if ((left & RIGHTS[i].rights) != RIGHTS[i].rights) continue;
    left &= ~RIGHTS[i].rights;
    out->grant[out->count++] = (struct s3_grant){.id = g->account,
                                                 .uri = slice_str(policy_group_uri(g->to)),
                                                 .permission = slice_str(RIGHTS[i].permission)};
  }
}

void access_acl_show(const struct call *c, const struct policy_acl *acl, struct s3_acl *out) {
  struct policy_grant own = {.rights = POLICY_FULL_CONTROL, .account = slice_str(c->bucket.owner)};
  assert(own.account.len > 0);
  out->owner = own.account;
  out->count = 0;
  if (!acl) grant_show(&own, out);
  for (size_t i = 0; acl && i < acl->count; i++) grant_show(&acl->grant[i], out);
}

enum s3_error bucket_acl(struct call *c) {
  BUF_AUTO xml = BUF_INIT;
  struct s3_acl *shown = arena_alloc(wire_exchange_arena(c->x), sizeof *shown);
  if (!shown) return S3_ERR_SLOW_DOWN;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (error) return error;
  bool counts = access_ownership(c->rules) != POLICY_OWNER_ENFORCED;
  access_acl_show(c, counts ? access_acl(c->rules) : NULL, shown);
  s3_acl_result(shown, &xml);
  return call_reply_xml(c, 200, &xml);
}

/* ---- ownership -------------------------------------------------------------------------------------- */

enum s3_error access_may_own(struct call *c, struct slice document) {
  const char *name = NULL;
  const struct policy_acl *acl = access_acl(c->rules);
  enum s3_error error = s3_ownership_parse(document, wire_exchange_arena(c->x), &name);
  assert(c->q.key.len == 0);
  if (error) return error;
  bool enforced = strcmp(name, policy_ownership_name(POLICY_OWNER_ENFORCED)) == 0;
  bool says = acl && !policy_acl_is_plain(acl, slice_str(c->bucket.owner));
  return enforced && says ? S3_ERR_INVALID_BUCKET_ACL : S3_OK;
}

/* ---- with a new bucket
 * -------------------------------------------------------------------------------------------- */

/* What the head of a CreateBucket says; the bucket's owner will be the caller's account. */
static enum s3_error new_bucket_take(struct call *c, enum policy_ownership *out_ownership,
                                     bool *out_has_ownership, struct policy_acl *acl, bool *out_has_acl) {
  struct slice name = wire_exchange_field(c->x, "x-amz-object-ownership");
  *out_ownership = POLICY_OWNER_ENFORCED;
  *out_has_ownership = name.data != NULL;
  if (name.data && !policy_ownership_of_name(auth_value_trim(name), out_ownership)) {
    snprintf(c->detail, sizeof c->detail, "x-amz-object-ownership");
    return S3_ERR_INVALID_ARGUMENT;
  }
  assert(c->auth.account.len > 0 && c->auth.account.len < sizeof c->bucket.owner);
  memcpy(c->bucket.owner, c->auth.account.data, c->auth.account.len);
  c->bucket.owner[c->auth.account.len] = 0;
  return access_head_acl(c, c->auth.account, acl, out_has_acl);
}

enum s3_error access_check_new_bucket(struct call *c) {
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  enum policy_ownership ownership;
  bool has_ownership = false, has_acl = false;
  if (!acl) return S3_ERR_SLOW_DOWN;
  enum s3_error error = new_bucket_take(c, &ownership, &has_ownership, acl, &has_acl);
  assert(error || c->bucket.owner[0]);
  if (error || !has_acl) return error;
  bool plain = policy_acl_is_plain(acl, c->auth.account);
  return ownership == POLICY_OWNER_ENFORCED && !plain ? S3_ERR_INVALID_BUCKET_ACL : S3_OK;
}

enum s3_error access_set_new_bucket(struct call *c, const struct subject_bucket *b) {
  BUF_AUTO text = BUF_INIT;
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  enum policy_ownership ownership;
  bool has_ownership = false, has_acl = false;
  struct dom_err err = {0};
  if (!acl) return S3_ERR_SLOW_DOWN;
  enum s3_error error = new_bucket_take(c, &ownership, &has_ownership, acl, &has_acl);
  if (error) return error;
  BUF_AUTO document = BUF_INIT;
  s3_ownership_print(policy_ownership_name(ownership), &document);
  if (document.failed) return S3_ERR_SLOW_DOWN;
  struct subject_config_change change = {.part = SUBJECT_PART_OWNERSHIP, .value = buf_slice(&document)};
  enum dom_code code = has_ownership ? subject_configure(c->r->subjects, b, &change, &err) : DOM_OK;
  bool says = has_acl && !policy_acl_is_plain(acl, c->auth.account);
  if (!code && says) {
    error = acl_print(acl, &text);
    if (error) return error;
    change.part = SUBJECT_PART_ACL;
    change.value = buf_slice(&text);
    code = subject_configure(c->r->subjects, b, &change, &err);
  }
  assert(change.part > 0);
  return call_error_of(c, code, &err);
}
