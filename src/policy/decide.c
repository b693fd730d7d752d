/* The decision: policy, ownership, grants and the public access block, folded into one answer. */
#include <assert.h>

#include "policy/model.h"

/* ---- one statement --------------------------------------------------------------------------- */

static bool principal_matches(const struct principal *p, const struct policy_request *q) {
  assert(p->is_anybody || p->account.len > 0);
  if (p->is_anybody) return true;
  if (q->who == POLICY_ANONYMOUS || !slice_equal(p->account, q->account)) return false;
  return p->user.len == 0 || slice_equal(p->user, q->user);
}

static bool principals_hold(const struct statement *s, const struct policy_request *q) {
  bool any = false;
  assert(s->principal_count > 0);
  for (uint32_t i = 0; i < s->principal_count && !any; i++) any = principal_matches(&s->principals[i], q);
  return any != s->not_principal;
}

static bool resources_hold(struct eval *e, const struct statement *s) {
  bool any = false;
  assert(s->resource_count > 0);
  for (uint32_t i = 0; i < s->resource_count && !any; i++)
    any = pattern_match(e, &s->resources[i], slice_of(e->resource, e->resource_len));
  return any != s->not_resource;
}

static enum truth statement_holds(struct eval *e, const struct statement *s) {
  enum truth all = TRUTH_YES;
  e->unresolved = false;
  assert(e->request != NULL);
  if (!actions_have(s->actions, e->request->action)) return TRUTH_NO;
  if (!principals_hold(s, e->request) || !resources_hold(e, s)) return TRUTH_NO;
  for (uint32_t i = 0; i < s->condition_count; i++) {
    enum truth one = condition_holds(e, &s->conditions[i]);
    if (one == TRUTH_NO) return TRUTH_NO;
    if (one == TRUTH_UNKNOWN) all = TRUTH_UNKNOWN;
  }
  /* A negation over a variable without value must not open anything. */
  return e->unresolved && !s->is_deny ? TRUTH_NO : all;
}

/* All statements of one effect: YES with the first that holds, else UNKNOWN if any may. */
static enum truth statements_hold(struct eval *e, const struct policy *p, bool is_deny, uint32_t *out_which) {
  enum truth found = TRUTH_NO;
  assert(out_which != NULL);
  for (uint32_t i = 0; p != NULL && i < p->count; i++) {
    if (p->statements[i].is_deny != is_deny) continue;
    enum truth one = statement_holds(e, &p->statements[i]);
    if (one == TRUTH_NO) continue;
    found = one;
    *out_which = i;
    if (one == TRUTH_YES) return TRUTH_YES;
  }
  return found;
}

/* ---- grants ------------------------------------------------------------------------------------ */

/* What a grant must hold for the action, and whether it is the object's ACL that is asked; 0: no grant lets
 * anybody do that. Source: S3 user guide, "Mapping of ACL permissions and access policy permissions". */
static unsigned right_needed(enum policy_action action, bool *out_of_object) {
  assert((unsigned)action < POLICY_ACTION_COUNT);
  *out_of_object = false;
  switch (action) {
  case POLICY_LIST_BUCKET:
  case POLICY_LIST_BUCKET_VERSIONS:
  case POLICY_LIST_BUCKET_MULTIPART_UPLOADS:
    return POLICY_READ;
  case POLICY_PUT_OBJECT:
  case POLICY_DELETE_OBJECT:
    return POLICY_WRITE;
  case POLICY_GET_BUCKET_ACL:
    return POLICY_READ_ACP;
  case POLICY_PUT_BUCKET_ACL:
    return POLICY_WRITE_ACP;
  default:
    break;
  }
  *out_of_object = true;
  switch (action) {
  case POLICY_GET_OBJECT:
  case POLICY_GET_OBJECT_VERSION:
    return POLICY_READ;
  case POLICY_GET_OBJECT_ACL:
  case POLICY_GET_OBJECT_VERSION_ACL:
    return POLICY_READ_ACP;
  case POLICY_PUT_OBJECT_ACL:
  case POLICY_PUT_OBJECT_VERSION_ACL:
    return POLICY_WRITE_ACP;
  default:
    return 0;
  }
}

static bool grant_reaches(const struct policy_grant *g, const struct policy_request *q, bool ignore_public) {
  assert(g->rights != 0);
  switch (g->to) {
  case POLICY_TO_ACCOUNT:
    return q->who != POLICY_ANONYMOUS && slice_equal(g->account, q->account);
  case POLICY_TO_EVERYBODY:
    return !ignore_public;
  case POLICY_TO_ACCOUNTS:
    return !ignore_public && q->who != POLICY_ANONYMOUS;
  case POLICY_TO_LOG_DELIVERY:
    break; /* nobody here delivers logs into buckets */
  }
  return false;
}

static enum truth grants_hold(const struct policy_bucket *b, const struct policy_request *q) {
  bool of_object = false;
  unsigned needed = right_needed(q->action, &of_object);
  assert(b != NULL);
  if (b->ownership == POLICY_OWNER_ENFORCED || needed == 0) return TRUTH_NO;
  if (of_object && !q->object_is_known) return TRUTH_UNKNOWN;
  const struct policy_acl *acl = of_object ? q->object_acl : b->acl;
  for (size_t i = 0; acl != NULL && i < acl->count; i++)
    if ((acl->grant[i].rights & needed) != 0 && grant_reaches(&acl->grant[i], q, b->block.ignore_public_acls))
      return TRUTH_YES;
  return TRUTH_NO;
}

/* ---- everything ----------------------------------------------------------------------------------- */

/* What a person does with objects: no configuration, no grants, no retention. */
static bool token_may(enum policy_action action) {
  switch (action) {
  case POLICY_GET_OBJECT:
  case POLICY_GET_OBJECT_VERSION:
  case POLICY_GET_OBJECT_ATTRIBUTES:
  case POLICY_GET_OBJECT_VERSION_ATTRIBUTES:
  case POLICY_GET_OBJECT_TAGGING:
  case POLICY_GET_OBJECT_VERSION_TAGGING:
  case POLICY_PUT_OBJECT:
  case POLICY_PUT_OBJECT_TAGGING:
  case POLICY_DELETE_OBJECT:
  case POLICY_ABORT_MULTIPART_UPLOAD:
  case POLICY_LIST_MULTIPART_UPLOAD_PARTS:
  case POLICY_LIST_BUCKET:
  case POLICY_LIST_BUCKET_VERSIONS:
  case POLICY_LIST_BUCKET_MULTIPART_UPLOADS:
  case POLICY_GET_BUCKET_LOCATION:
    return true;
  default:
    return false;
  }
}

/* Who holds the bucket's own keys must be able to undo a policy that shuts out everybody. */
static bool owner_always_may(enum policy_action action) {
  return action == POLICY_GET_BUCKET_POLICY || action == POLICY_PUT_BUCKET_POLICY ||
         action == POLICY_DELETE_BUCKET_POLICY;
}

static struct policy_verdict verdict(enum policy_answer answer, enum policy_reason reason) {
  return (struct policy_verdict){.answer = answer, .reason = reason};
}

static struct policy_verdict verdict_by(const struct policy *p, uint32_t which, enum policy_answer answer) {
  assert(p != NULL && which < p->count);
  return (struct policy_verdict){
      .answer = answer, .reason = POLICY_BY_STATEMENT, .sid = p->statements[which].sid, .statement = which};
}

/* What is granted, Deny statements aside. */
static struct policy_verdict granted(struct eval *e, bool is_owner) {
  const struct policy_bucket *b = e->bucket;
  const struct policy_request *q = e->request;
  uint32_t which = 0;
  assert(b != NULL && q != NULL);
  if (is_owner) return verdict(POLICY_ALLOW, POLICY_BY_OWNER);
  enum truth by_policy = statements_hold(e, b->policy, false, &which);
  bool closed = by_policy != TRUTH_NO && b->block.restrict_public_buckets && policy_is_public(b->policy);
  if (by_policy == TRUTH_YES && !closed) return verdict_by(b->policy, which, POLICY_ALLOW);
  enum truth by_acl = grants_hold(b, q);
  if (by_acl == TRUTH_YES) return verdict(POLICY_ALLOW, POLICY_BY_ACL);
  if (by_acl == TRUTH_UNKNOWN) return verdict(POLICY_ASK_OBJECT, POLICY_BY_ACL);
  if (closed) return verdict(POLICY_DENY, POLICY_BY_BLOCK);
  if (by_policy == TRUTH_UNKNOWN) return verdict_by(b->policy, which, POLICY_ASK_OBJECT);
  return verdict(POLICY_DENY, POLICY_BY_DEFAULT);
}

static void resource_set(struct eval *e) {
  struct slice name = e->bucket->name, key = e->request->key;
  assert(name.len < 64 && key.len <= POLICY_KEY_BYTES_MAX);
  memcpy(e->resource, name.data, name.len);
  e->resource_len = name.len;
  if (key.len == 0) return;
  e->resource[name.len] = '/';
  memcpy(e->resource + name.len + 1, key.data, key.len);
  e->resource_len += 1 + key.len;
}

struct policy_verdict policy_decide(const struct policy_bucket *bucket,
                                    const struct policy_request *request) {
  assert(bucket != NULL && request != NULL && (unsigned)request->action < POLICY_ACTION_COUNT);
  bool same = request->who != POLICY_ANONYMOUS && slice_equal(request->account, bucket->owner);
  if (request->who == POLICY_TOKEN && (!same || !token_may(request->action)))
    return verdict(POLICY_DENY, POLICY_BY_SCOPE);
  bool is_key_of_owner = same && request->who == POLICY_ACCESS_KEY;
  if (is_key_of_owner && (bucket->policy == NULL || owner_always_may(request->action)))
    return verdict(POLICY_ALLOW, POLICY_BY_OWNER);
  struct eval e = {.bucket = bucket, .request = request, .steps_left = POLICY_STEPS_MAX};
  resource_set(&e);
  uint32_t which = 0;
  enum truth denied = statements_hold(&e, bucket->policy, true, &which);
  if (e.steps_left == 0) return verdict(POLICY_DENY, POLICY_BY_WORK);
  if (denied == TRUTH_YES) return verdict_by(bucket->policy, which, POLICY_DENY);
  struct policy_verdict v = granted(&e, same);
  if (e.steps_left == 0) return verdict(POLICY_DENY, POLICY_BY_WORK);
  if (v.answer == POLICY_ALLOW && denied == TRUTH_UNKNOWN)
    return verdict_by(bucket->policy, which, POLICY_ASK_OBJECT);
  return v;
}

const char *policy_reason_name(enum policy_reason reason) {
  static const char *const names[] = {"default", "owner", "statement", "acl", "block", "scope", "work"};
  assert((unsigned)reason < sizeof names / sizeof names[0]);
  return names[reason];
}
