/* How policy, ownership, grants and the public access block come together. */
#include "policy_testing.h"

#define ALLOW_ALL          "{'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*'}"
#define DENY_ALL           "{'Sid':'shut','Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'*'}"
#define POLICY(statements) "{'Version':'2012-10-17','Statement':[" statements "]}"

static struct policy_verdict decide(const struct policy_bucket *b, const struct policy_request *q) {
  return policy_decide(b, q);
}

static void test_default(void **state) {
  (void)state;
  struct policy_bucket b = bucket_of(NULL);
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_DEFAULT);
  q.account = SLICE_LIT("owner");
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_OWNER);
  q.who = POLICY_ANONYMOUS; /* an account in an anonymous request says nothing */
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
}

static void test_deny_wins(void **state) {
  (void)state;
  struct policy *p = policy_of(POLICY(ALLOW_ALL "," DENY_ALL "," ALLOW_ALL));
  struct policy_bucket b = bucket_of(p);
  for (unsigned a = 0; a < POLICY_LIST_ALL_MY_BUCKETS; a++)
    for (int owner = 0; owner < 2; owner++) {
      struct policy_request q = request_of((enum policy_action)a, "");
      if (owner) q.account = SLICE_LIT("owner");
      bool own_policy =
          a == POLICY_GET_BUCKET_POLICY || a == POLICY_PUT_BUCKET_POLICY || a == POLICY_DELETE_BUCKET_POLICY;
      struct policy_verdict v = decide(&b, &q);
      assert_int_equal(v.answer, owner && own_policy ? POLICY_ALLOW : POLICY_DENY);
      if (v.answer != POLICY_DENY) continue;
      assert_int_equal(v.reason, POLICY_BY_STATEMENT);
      assert_true(slice_equal(v.sid, SLICE_LIT("shut")));
      assert_int_equal(v.statement, 1);
    }
  policy_release(p);
}

static void test_principals(void **state) {
  (void)state;
  struct policy *p =
      policy_of(POLICY("{'Effect':'Allow','Principal':{'AWS':['arn:aws:iam::guest:user/k1','all']},"
                       "'Action':'s3:GetObject','Resource':'arn:aws:s3:::b/*'}"));
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  q.user = SLICE_LIT("k2");
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  q.account = SLICE_LIT("all");
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  q.action = POLICY_PUT_OBJECT;
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  policy_release(p);
  p = policy_of(
      POLICY(ALLOW_ALL ",{'Effect':'Deny','NotPrincipal':{'AWS':'guest'},'Action':'s3:*','Resource':'*'}"));
  q = request_of(POLICY_GET_OBJECT, "x");
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  q.account = SLICE_LIT("other");
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  q.who = POLICY_ANONYMOUS;
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  policy_release(p);
}

static void test_resources(void **state) {
  (void)state;
  struct policy *p = policy_of(
      POLICY("{'Effect':'Allow','Principal':'*','Action':'s3:*','NotResource':['arn:aws:s3:::b/shut/*',"
             "'arn:aws:s3:::b/?']}"));
  struct policy_request q = request_of(POLICY_GET_OBJECT, "open/x");
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  q.key = SLICE_LIT("shut/x");
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  q.key = SLICE_LIT("y");
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  q = request_of(POLICY_LIST_BUCKET, "");
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  policy_release(p);
  char key[POLICY_KEY_BYTES_MAX + 1];
  memset(key, 'k', POLICY_KEY_BYTES_MAX);
  key[POLICY_KEY_BYTES_MAX] = 0;
  p = policy_of(POLICY("{'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::b/k*k'}"));
  q = request_of(POLICY_GET_OBJECT, key);
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  policy_release(p);
}

/* What depends on the object is asked for only where it matters, and is a no until then. */
static void test_ask_object(void **state) {
  (void)state;
  const struct policy_tag red = {SLICE_LIT("c"), SLICE_LIT("red")};
#define IF_RED "'Condition':{'StringEquals':{'s3:ExistingObjectTag/c':'red'}}"
  struct policy *deny = policy_of(POLICY(
      ALLOW_ALL ",{'Effect':'Deny','Principal':'*','Action':'s3:GetObject','Resource':'*'," IF_RED "}"));
  struct policy *allow = policy_of(
      POLICY("{'Effect':'Allow','Principal':'*','Action':'s3:GetObject','Resource':'*'," IF_RED "}"));
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  for (int is_red = 0; is_red < 2; is_red++) {
    q.object_is_known = false;
    assert_int_equal(answer_of(deny, &q), POLICY_ASK_OBJECT);
    assert_int_equal(answer_of(allow, &q), POLICY_ASK_OBJECT);
    q.object_is_known = true;
    q.object_tags = &red;
    q.object_tag_count = (size_t)is_red;
    assert_int_equal(answer_of(deny, &q), is_red ? POLICY_DENY : POLICY_ALLOW);
    assert_int_equal(answer_of(allow, &q), is_red ? POLICY_ALLOW : POLICY_DENY);
  }
  q = request_of(POLICY_PUT_OBJECT, "x");
  q.object_is_known = false;
  assert_int_equal(answer_of(deny, &q), POLICY_ALLOW);
  assert_int_equal(answer_of(allow, &q), POLICY_DENY);
  policy_release(deny);
  policy_release(allow);
}

/* Canned ACLs against what they let whom do, by S3's table. */
static void test_grants(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool anybody_lists, anybody_puts, account_lists, account_reads, anybody_reads;
  } rows[] = {
      {"private", false, false, false, false, false},
      {"public-read", true, false, true, true, true},
      {"public-read-write", true, true, true, true, true},
      {"authenticated-read", false, false, true, true, false},
      {"bucket-owner-read", false, false, false, false, false},
      {"bucket-owner-full-control", false, false, false, false, false},
      {"log-delivery-write", false, false, false, false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int off = 0; off < 3; off++) { /* grants count, are off, or their public ones are ignored */
      struct policy_acl acl;
      assert_true(policy_acl_canned(slice_str(rows[i].name), SLICE_LIT("owner"), SLICE_LIT("owner"), &acl));
      struct policy_bucket b = bucket_of(NULL);
      b.acl = &acl;
      b.ownership = off == 1 ? POLICY_OWNER_ENFORCED : POLICY_OBJECT_WRITER;
      b.block.ignore_public_acls = off == 2;
      struct policy_request guest = request_of(POLICY_LIST_BUCKET, ""), nobody = guest;
      nobody.who = POLICY_ANONYMOUS;
      assert_int_equal(decide(&b, &guest).answer == POLICY_ALLOW, !off && rows[i].account_lists);
      assert_int_equal(decide(&b, &nobody).answer == POLICY_ALLOW, !off && rows[i].anybody_lists);
      nobody.action = POLICY_PUT_OBJECT;
      nobody.key = SLICE_LIT("x");
      assert_int_equal(decide(&b, &nobody).answer == POLICY_ALLOW, !off && rows[i].anybody_puts);
      /* The same ACL on an object; the bucket's own says nothing about reading. */
      nobody.action = guest.action = POLICY_GET_OBJECT;
      guest.key = SLICE_LIT("x");
      assert_int_equal(decide(&b, &nobody).answer, POLICY_DENY);
      nobody.object_acl = guest.object_acl = &acl;
      assert_int_equal(decide(&b, &guest).answer == POLICY_ALLOW, !off && rows[i].account_reads);
      assert_int_equal(decide(&b, &nobody).answer == POLICY_ALLOW, !off && rows[i].anybody_reads);
      guest.object_is_known = false;
      assert_int_equal(decide(&b, &guest).answer, off == 1 ? POLICY_DENY : POLICY_ASK_OBJECT);
      nobody.action = POLICY_DELETE_BUCKET; /* no grant lets anybody do that */
      assert_int_equal(decide(&b, &nobody).answer, POLICY_DENY);
    }
}

static void test_grant_to_account(void **state) {
  (void)state;
  struct policy_acl acl = {.owner = SLICE_LIT("owner")};
  struct policy_grant grant = {.rights = POLICY_READ | POLICY_WRITE_ACP, .account = SLICE_LIT("guest")};
  assert_true(policy_acl_add(&acl, &grant));
  struct policy_bucket b = bucket_of(NULL);
  b.acl = &acl;
  b.ownership = POLICY_OWNER_PREFERRED;
  struct policy_request q = request_of(POLICY_LIST_BUCKET, "");
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_ACL);
  q.action = POLICY_PUT_BUCKET_ACL;
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  q.action = POLICY_GET_BUCKET_ACL;
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
  q.action = POLICY_LIST_BUCKET;
  q.account = SLICE_LIT("gues");
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
}

static void test_public_block(void **state) {
  (void)state;
  struct policy *open = policy_of(POLICY(ALLOW_ALL));
  struct policy *shut =
      policy_of(POLICY("{'Effect':'Allow','Principal':{'AWS':'guest'},'Action':'s3:*','Resource':'*'}"));
  struct policy_bucket b = bucket_of(open);
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  b.block.restrict_public_buckets = true;
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_BLOCK);
  q.account = SLICE_LIT("owner");
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  q.account = SLICE_LIT("guest");
  b.policy = shut; /* names whom it lets in: not public */
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  policy_release(open);
  policy_release(shut);
}

static void test_is_public(void **state) {
  (void)state;
  static const struct {
    bool is_public;
    const char *effect, *principal, *condition;
  } rows[] = {
      {true, "Allow", "'Principal':'*'", "{}"},
      {true, "Allow", "'Principal':{'AWS':['a','*']}", "{}"},
      {true, "Allow", "'NotPrincipal':{'AWS':'a'}", "{}"},
      {false, "Allow", "'Principal':{'AWS':'a'}", "{}"},
      {false, "Deny", "'Principal':'*'", "{}"},
      {true, "Allow", "'Principal':'*'", "{'Bool':{'aws:SecureTransport':true}}"},
      {false, "Allow", "'Principal':'*'", "{'IpAddress':{'aws:SourceIp':['192.0.2.0/24','2001:db8::/32']}}"},
      {false, "Allow", "'Principal':'*'", "{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}"},
      {true, "Allow", "'Principal':'*'", "{'IpAddress':{'aws:SourceIp':['192.0.2.0/24','0.0.0.0/1']}}"},
      {true, "Allow", "'Principal':'*'", "{'IpAddress':{'aws:SourceIp':'2001::/16'}}"},
      {true, "Allow", "'Principal':'*'", "{'IpAddress':{'aws:SourceIp':'::/64'}}"}, /* all of IPv4 is in it */
      {true, "Allow", "'Principal':'*'", "{'IpAddressIfExists':{'aws:SourceIp':'192.0.2.0/24'}}"},
      {true, "Allow", "'Principal':'*'", "{'NotIpAddress':{'aws:SourceIp':'192.0.2.0/24'}}"},
      {false, "Allow", "'Principal':'*'", "{'StringEquals':{'aws:PrincipalAccount':['a','b']}}"},
      {true, "Allow", "'Principal':'*'", "{'StringEqualsIfExists':{'aws:PrincipalAccount':'a'}}"},
      {true, "Allow", "'Principal':'*'", "{'ForAllValues:StringEquals':{'aws:PrincipalAccount':'a'}}"},
      {true, "Allow", "'Principal':'*'", "{'StringLike':{'aws:PrincipalAccount':'*'}}"},
      {true, "Allow", "'Principal':'*'", "{'StringEquals':{'aws:PrincipalAccount':'${aws:userid}'}}"},
      {false, "Allow", "'Principal':'*'", "{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::a:user/k'}}"},
      {true, "Allow", "'Principal':'*'", "{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::a:user/*'}}"},
      {true, "Allow", "'Principal':'*'", "{'StringEquals':{'aws:Referer':'me'}}"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[1024];
    snprintf(text, sizeof text, "'Effect':'%s',%s,'Action':'s3:*','Resource':'*','Condition':%s",
             rows[i].effect, rows[i].principal, rows[i].condition);
    struct policy *p = policy_with(text);
    if (policy_is_public(p) != rows[i].is_public) fail_msg("%s", text);
    policy_release(p);
  }
}

/* A token is the owner's account where persons act, and nothing elsewhere; Deny statements bind it too. */
static void test_tokens(void **state) {
  (void)state;
  struct policy *p =
      policy_of(POLICY(ALLOW_ALL ",{'Effect':'Deny','Principal':{'AWS':"
                                 "'arn:aws:sts::owner:federated-user/t1'},'Action':'s3:PutObject',"
                                 "'Resource':'*'}"));
  struct policy_bucket b = bucket_of(NULL);
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  q.who = POLICY_TOKEN;
  q.user = SLICE_LIT("t1");
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_SCOPE); /* another account's bucket */
  b.policy = p;
  assert_int_equal(decide(&b, &q).reason, POLICY_BY_SCOPE);
  q.account = SLICE_LIT("owner");
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  q.action = POLICY_PUT_OBJECT;
  assert_int_equal(decide(&b, &q).answer, POLICY_DENY);
  q.user = SLICE_LIT("t2");
  assert_int_equal(decide(&b, &q).answer, POLICY_ALLOW);
  static const enum policy_action never[] = {POLICY_PUT_BUCKET_POLICY,    POLICY_GET_BUCKET_POLICY,
                                             POLICY_DELETE_BUCKET,        POLICY_PUT_OBJECT_ACL,
                                             POLICY_PUT_OBJECT_RETENTION, POLICY_BYPASS_GOVERNANCE_RETENTION};
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    q.action = never[i];
    assert_int_equal(decide(&b, &q).reason, POLICY_BY_SCOPE);
  }
  policy_release(p);
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(policy_action_name(POLICY_GET_OBJECT), "s3:GetObject");
  assert_string_equal(policy_action_name(POLICY_LIST_ALL_MY_BUCKETS), "s3:ListAllMyBuckets");
  for (unsigned i = POLICY_BY_DEFAULT; i <= POLICY_BY_WORK; i++)
    assert_true(strlen(policy_reason_name((enum policy_reason)i)) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default),      cmocka_unit_test(test_deny_wins),
      cmocka_unit_test(test_principals),   cmocka_unit_test(test_resources),
      cmocka_unit_test(test_ask_object),   cmocka_unit_test(test_grants),
      cmocka_unit_test(test_public_block), cmocka_unit_test(test_grant_to_account),
      cmocka_unit_test(test_is_public),    cmocka_unit_test(test_tokens),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
