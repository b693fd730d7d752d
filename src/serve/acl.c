/* Grants of one object. They are kept in its metadata, and only where they say more than that the bucket's
 * owner has full control; while ACLs are off they count for nothing. */
#include <assert.h>

#include "serve/region.h"

static enum s3_error answer(struct call *c, const struct store_object *o) {
  struct arena *arena = wire_exchange_arena(c->x);
  struct policy_acl *acl = arena_alloc(arena, sizeof *acl);
  struct s3_acl *shown = arena_alloc(arena, sizeof *shown);
  struct s3_meta meta;
  struct dom_err err = {0};
  BUF_AUTO xml = BUF_INIT;
  if (!acl || !shown) return S3_ERR_SLOW_DOWN;
  enum dom_code code = s3_meta_decode(o->meta, arena, &meta, &err);
  bool counts = !code && meta.acl.len && access_ownership(c->rules) != POLICY_OWNER_ENFORCED;
  if (counts && policy_acl_parse(meta.acl, acl, &err)) code = DOM_CORRUPT;
  if (code) return call_error_of(c, code, &err);
  access_acl_show(c, counts ? acl : NULL, shown);
  s3_acl_result(shown, &xml);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error object_acl(struct call *c) {
  return object_tell(c, answer);
}

/* What is asked for, from the head or else the body. */
struct setting {
  bool in_head;
  struct s3_acl document;
  struct policy_acl acl;
};

/* Under the rules that the commit is guarded by: where ACLs are off, what says nothing changes nothing. */
static enum s3_error set(struct call *c, void *arg, struct s3_meta *meta) {
  struct setting *s = arg;
  bool has = false;
  struct slice owner = slice_str(c->bucket.owner);
  enum s3_error error =
      s->in_head ? access_head_acl(c, owner, &s->acl, &has) : access_document_acl(c, &s->document, &s->acl);
  if (!error) error = access_acl_may_set(c, &s->acl);
  if (error || access_ownership(c->rules) == POLICY_OWNER_ENFORCED) return error;
  assert(slice_equal(s->acl.owner, owner));
  meta->acl = (struct slice){0};
  return policy_acl_is_plain(&s->acl, owner) ? S3_OK : access_acl_text(c, &s->acl, &meta->acl);
}

static enum s3_error take(struct call *c, struct setting *s) {
  BUF_AUTO body = BUF_INIT;
  s->in_head = c->q.acl.data || c->q.has_grants;
  enum s3_error error = intake_all(c, subject_part_max(SUBJECT_PART_ACL), &body);
  if (error || s->in_head) return error;
  return s3_acl_parse(buf_slice(&body), wire_exchange_arena(c->x), &s->document);
}

enum s3_error object_acl_put(struct call *c) {
  struct setting *s = arena_alloc(wire_exchange_arena(c->x), sizeof *s);
  bool done = false;
  if (!s) return S3_ERR_SLOW_DOWN;
  version_untell(c);
  enum s3_error error = call_enter(c, &done);
  if (error == S3_ERR_SUBJECT_NOT_REGISTERED) error = S3_ERR_NO_SUCH_KEY; /* nobody's objects have none */
  if (error || done) return error;
  error = take(c, s);
  if (!error) error = object_amend(c, set, s);
  if (error) return error;
  call_leave(c);
  return call_reply_empty(c, 200);
}
