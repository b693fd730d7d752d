/* Bucket policies (JSON), ACLs in headers and as stored. The same text is the same policy; a decision is the
 * same twice; without a policy or grants nobody but the owner gets in, and a policy that is not public lets
 * nobody in who is nobody unless one of its statements says so. What is stored of an ACL comes back. */
#include "fuzz.h"

#include "policy/policy.h"

static const struct slice BUCKET = {(const uint8_t *)"fuzz-bucket", 11};

static struct policy_request request_of(struct fuzz_random *r, struct slice in) {
  static const char *const accounts[] = {"owner", "other", "main"};
  struct policy_request q = {.who = (enum policy_who)fuzz_random_below(r, 3),
                             .now_ms = fuzz_random_next(r) >> 20};
  q.action = (enum policy_action)fuzz_random_below(r, POLICY_ACTION_COUNT);
  if (q.who != POLICY_ANONYMOUS) {
    q.account = slice_str(accounts[fuzz_random_below(r, 3)]);
    q.user = SLICE_LIT("FUZZKEY");
  }
  size_t from = fuzz_random_below(r, in.len), len = fuzz_random_below(r, in.len - from);
  q.key = slice_cut(in, from, from + (len > POLICY_KEY_BYTES_MAX ? POLICY_KEY_BYTES_MAX : len));
  for (size_t i = 0; i < POLICY_KEY_COUNT; i++) {
    size_t at = fuzz_random_below(r, in.len);
    if (fuzz_random_below(r, 3) == 0) q.value[i] = slice_cut(in, at, at + fuzz_random_below(r, in.len - at));
  }
  q.object_is_known = fuzz_random_below(r, 2) == 1;
  return q;
}

static void check_decisions(const struct policy_bucket *bucket, struct slice in, struct fuzz_random *r) {
  for (int i = 0; i < 8; i++) {
    struct policy_request q = request_of(r, in);
    struct policy_verdict a = policy_decide(bucket, &q), b = policy_decide(bucket, &q);
    assert(a.answer == b.answer && a.reason == b.reason && a.statement == b.statement);
    assert(a.answer != POLICY_ASK_OBJECT || !q.object_is_known);
    assert(policy_reason_name(a.reason) != NULL);
    struct policy_bucket bare = {.name = bucket->name, .owner = bucket->owner};
    if (policy_decide(&bare, &q).answer == POLICY_ALLOW) assert(slice_equal(q.account, bucket->owner));
    struct policy_bucket closed = *bucket;
    closed.block = (struct policy_block){true, true, true, true};
    if (policy_decide(&closed, &q).answer == POLICY_ALLOW && policy_is_public(bucket->policy))
      assert(slice_equal(q.account, bucket->owner));
  }
}

static void check_policy(struct slice in, struct fuzz_random *r) {
  struct policy *policy = NULL, *again = NULL;
  struct dom_err err = {0};
  if (policy_parse(in, BUCKET, &policy, &err) != DOM_OK) {
    assert(policy == NULL && err.code != DOM_OK && memchr(err.text, 0, sizeof err.text) != NULL);
    return;
  }
  assert(in.len <= POLICY_BYTES_MAX && policy_parse(in, BUCKET, &again, NULL) == DOM_OK);
  assert(policy_is_public(policy) == policy_is_public(again));
  struct policy_bucket bucket = {.name = BUCKET, .owner = SLICE_LIT("owner"), .policy = policy};
  check_decisions(&bucket, in, r);
  policy_release(policy);
  policy_release(again);
}

static void check_acl(struct slice in) {
  static struct policy_acl acl, again;
  BUF_AUTO once = BUF_INIT;
  BUF_AUTO twice = BUF_INIT;
  acl = (struct policy_acl){.owner = SLICE_LIT("owner")};
  if (policy_acl_header(in, POLICY_READ, &acl, NULL) == DOM_OK) {
    policy_acl_print(&acl, &once);
    assert(policy_acl_parse(buf_slice(&once), &again, NULL) == DOM_OK && again.count == acl.count);
    assert(policy_acl_is_public(&acl) == policy_acl_is_public(&again));
  }
  buf_reset(&once);
  fuzz_mark(&again, sizeof again);
  if (policy_acl_parse(in, &again, NULL) != DOM_OK) {
    assert(fuzz_is_marked(&again, sizeof again));
    return;
  }
  assert(again.count <= POLICY_GRANTS_MAX);
  policy_acl_print(&again, &once);
  assert(policy_acl_parse(buf_slice(&once), &acl, NULL) == DOM_OK && acl.count == again.count);
  policy_acl_print(&acl, &twice);
  assert(slice_equal(buf_slice(&once), buf_slice(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  check_policy(in, &r);
  check_acl(in);
  return 0;
}
