/* Each operator, by a table: condition, what the request says, whether the statement holds. */
#include "policy_testing.h"

static bool holds(const char *condition, const struct policy_request *q) {
  char elements[4096];
  snprintf(elements, sizeof elements,
           "'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*','Condition':%s", condition);
  struct policy *p = policy_with(elements);
  enum policy_answer answer = answer_of(p, q);
  policy_release(p);
  return answer == POLICY_ALLOW;
}

static void check(const char *condition, enum policy_key key, const char *value, bool want) {
  struct policy_request q = request_of(POLICY_LIST_BUCKET, "");
  if (value) q.value[key] = slice_str(value);
  if (holds(condition, &q) != want) fail_msg("%s with \"%s\"", condition, value ? value : "(absent)");
}

static void test_strings(void **state) {
  (void)state;
  enum policy_key k = POLICY_KEY_PREFIX;
  const char *equals = "{'StringEquals':{'s3:prefix':['a','b*']}}";
  check(equals, k, "a", true);
  check(equals, k, "b*", true);
  check(equals, k, "bc", false);
  check(equals, k, "A", false);
  check(equals, k, "", false);
  check(equals, k, NULL, false);
  const char *not_equals = "{'StringNotEquals':{'s3:prefix':['a','b']}}";
  check(not_equals, k, "a", false);
  check(not_equals, k, "b", false);
  check(not_equals, k, "c", true);
  check(not_equals, k, NULL, true); /* AWS: a negated operator holds where there is no key */
  check("{'StringEqualsIgnoreCase':{'s3:prefix':'aB'}}", k, "Ab", true);
  check("{'StringNotEqualsIgnoreCase':{'s3:prefix':'aB'}}", k, "Ab", false);
  check("{'StringLike':{'s3:prefix':'a*/?'}}", k, "axx/y", true);
  check("{'StringLike':{'s3:prefix':'a*/?'}}", k, "axx/", false);
  check("{'StringNotLike':{'s3:prefix':'a*'}}", k, "ab", false);
  check("{'StringNotLike':{'s3:prefix':'a*'}}", k, "ba", true);
  check("{'StringEquals':{'s3:prefix':''}}", k, "", true);
  check("{'StringEqualsIfExists':{'s3:prefix':'a'}}", k, NULL, true);
  check("{'StringEqualsIfExists':{'s3:prefix':'a'}}", k, "b", false);
  check("{'StringNotEqualsIfExists':{'s3:prefix':'a'}}", k, "a", false);
}

static void test_numbers(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool below, same, above;
  } rows[] = {
      {"NumericEquals", false, true, false},      {"NumericNotEquals", true, false, true},
      {"NumericLessThan", true, false, false},    {"NumericLessThanEquals", true, true, false},
      {"NumericGreaterThan", false, false, true}, {"NumericGreaterThanEquals", false, true, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[128];
    snprintf(text, sizeof text, "{'%s':{'s3:max-keys':'10'}}", rows[i].name);
    check(text, POLICY_KEY_MAX_KEYS, "9.5", rows[i].below);
    check(text, POLICY_KEY_MAX_KEYS, "10.0", rows[i].same);
    check(text, POLICY_KEY_MAX_KEYS, "100", rows[i].above);
    bool negated = strstr(rows[i].name, "Not") != NULL;
    check(text, POLICY_KEY_MAX_KEYS, NULL, negated);
    check(text, POLICY_KEY_MAX_KEYS, "many", negated);
  }
  check("{'NumericLessThan':{'s3:TlsVersion':1.2}}", POLICY_KEY_TLS_VERSION, "1.1", true);
  check("{'NumericLessThan':{'s3:TlsVersion':1.2}}", POLICY_KEY_TLS_VERSION, "1.2", false);
  check("{'NumericGreaterThan':{'s3:signatureAge':'-1'}}", POLICY_KEY_SIGNATURE_AGE, "0", true);
}

static void test_dates(void **state) {
  (void)state;
  enum policy_key none = POLICY_KEY_PREFIX; /* the time is NOW_MS: 2023-11-14T22:13:20Z */
  check("{'DateLessThan':{'aws:CurrentTime':'2023-11-14T22:13:21Z'}}", none, NULL, true);
  check("{'DateLessThan':{'aws:CurrentTime':'2023-11-14T22:13:20Z'}}", none, NULL, false);
  check("{'DateLessThanEquals':{'aws:CurrentTime':'2023-11-14T22:13:20.000Z'}}", none, NULL, true);
  check("{'DateEquals':{'aws:CurrentTime':'2023-11-15T03:43:20+05:30'}}", none, NULL, true);
  check("{'DateEquals':{'aws:CurrentTime':'1700000000'}}", none, NULL, true);
  check("{'DateNotEquals':{'aws:CurrentTime':'1700000000'}}", none, NULL, false);
  check("{'DateGreaterThan':{'aws:CurrentTime':'2023-11-14'}}", none, NULL, true);
  check("{'DateGreaterThan':{'aws:CurrentTime':'2023-11-14T22:14Z'}}", none, NULL, false);
  check("{'DateGreaterThanEquals':{'aws:EpochTime':'1700000000'}}", none, NULL, true);
  check("{'NumericGreaterThan':{'aws:EpochTime':'1700000000'}}", none, NULL, false);
  check("{'DateLessThan':{'s3:object-lock-retain-until-date':'2030-01-01'}}", POLICY_KEY_LOCK_RETAIN_UNTIL,
        "2029-12-31T23:59:59Z", true);
}

static void test_addresses(void **state) {
  (void)state;
  enum policy_key k = POLICY_KEY_SOURCE_IP;
  const char *ranges = "{'IpAddress':{'aws:SourceIp':['192.0.2.0/24','2001:db8::/33','10.1.2.3']}}";
  check(ranges, k, "192.0.2.255", true);
  check(ranges, k, "::ffff:192.0.2.7", true); /* the same host, seen through IPv6 */
  check(ranges, k, "192.0.3.0", false);
  check(ranges, k, "2001:db8:7fff::1", true);
  check(ranges, k, "2001:db8:8000::1", false);
  check(ranges, k, "10.1.2.3", true);
  check(ranges, k, "10.1.2.4", false);
  check(ranges, k, "nowhere", false);
  check(ranges, k, NULL, false);
  check("{'NotIpAddress':{'aws:SourceIp':'192.0.2.0/24'}}", k, "192.0.2.1", false);
  check("{'NotIpAddress':{'aws:SourceIp':'192.0.2.0/24'}}", k, "192.0.3.1", true);
  check("{'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}}", k, "203.0.113.9", true);
  check("{'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}}", k, "2001:db8::1", false);
  check("{'IpAddress':{'aws:SourceIp':'::/0'}}", k, "203.0.113.9", true);
}

static void test_truths_and_null(void **state) {
  (void)state;
  enum policy_key k = POLICY_KEY_SECURE_TRANSPORT;
  check("{'Bool':{'aws:SecureTransport':'true'}}", k, "true", true);
  check("{'Bool':{'aws:SecureTransport':'true'}}", k, "false", false);
  check("{'Bool':{'aws:SecureTransport':false}}", k, "false", true);
  check("{'Bool':{'aws:SecureTransport':false}}", k, NULL, false);
  check("{'BoolIfExists':{'aws:SecureTransport':'true'}}", k, NULL, true);
  check("{'Null':{'aws:Referer':'true'}}", POLICY_KEY_REFERER, NULL, true);
  check("{'Null':{'aws:Referer':'true'}}", POLICY_KEY_REFERER, "x", false);
  check("{'Null':{'aws:Referer':false}}", POLICY_KEY_REFERER, "x", true);
  check("{'Null':{'aws:Referer':false}}", POLICY_KEY_REFERER, NULL, false);
  check("{'Null':{'aws:Referer':['true','false']}}", POLICY_KEY_REFERER, NULL, true);
}

static void test_arns(void **state) {
  (void)state;
  enum policy_key none = POLICY_KEY_PREFIX; /* the principal is arn:aws:iam::guest:user/k1 */
  check("{'ArnEquals':{'aws:PrincipalArn':'arn:aws:iam::guest:user/k1'}}", none, NULL, true);
  check("{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/k?'}}", none, NULL, true);
  check("{'ArnLike':{'aws:PrincipalArn':'arn:*:user/k1'}}", none, NULL, false); /* no star spans a colon */
  check("{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::other:user/*'}}", none, NULL, false);
  check("{'ArnNotLike':{'aws:PrincipalArn':'arn:aws:iam::guest:user/*'}}", none, NULL, false);
  check("{'ArnNotEquals':{'aws:PrincipalArn':'arn:aws:iam::other:user/k1'}}", none, NULL, true);
  check("{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::guest:user/${aws:username}'}}", none, NULL, true);
  check("{'StringLike':{'aws:PrincipalArn':'arn:*k1'}}", none, NULL, true);
}

static void test_who_asks(void **state) {
  (void)state;
  struct policy_request q = request_of(POLICY_LIST_BUCKET, "");
  assert_true(holds("{'StringEquals':{'aws:username':'k1','aws:PrincipalAccount':'guest'}}", &q));
  assert_true(holds("{'StringEquals':{'aws:ResourceAccount':'owner','s3:ResourceAccount':'owner'}}", &q));
  assert_true(holds("{'StringEquals':{'aws:PrincipalType':'User','aws:userid':'k1'}}", &q));
  q = (struct policy_request){.who = POLICY_ANONYMOUS, .action = POLICY_LIST_BUCKET, .now_ms = NOW_MS};
  assert_false(holds("{'StringLike':{'aws:PrincipalArn':'*'}}", &q));
  assert_false(holds("{'StringLike':{'aws:username':'*'}}", &q));
  assert_true(holds("{'Null':{'aws:PrincipalArn':true,'aws:username':true}}", &q));
  assert_true(holds("{'StringEquals':{'aws:PrincipalType':'Anonymous','aws:userid':'anonymous'}}", &q));
}

static void test_tags(void **state) {
  (void)state;
  const struct policy_tag tags[] = {{SLICE_LIT("colour"), SLICE_LIT("red")},
                                    {SLICE_LIT("Size"), SLICE_LIT("12")}};
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  const char *red = "{'StringEquals':{'s3:ExistingObjectTag/colour':'red'}}";
  assert_false(holds(red, &q));
  q.object_tags = tags;
  q.object_tag_count = 2;
  assert_true(holds(red, &q));
  assert_false(holds("{'StringEquals':{'s3:ExistingObjectTag/Colour':'red'}}", &q));
  assert_true(holds("{'NumericLessThan':{'s3:existingobjecttag/Size':'13'}}", &q));
  assert_true(holds("{'Null':{'s3:ExistingObjectTag/shape':true,'s3:RequestObjectTag/colour':true}}", &q));
  q = request_of(POLICY_PUT_OBJECT, "x");
  q.request_tags = tags;
  q.request_tag_count = 2;
  assert_true(holds("{'StringEquals':{'s3:RequestObjectTag/colour':['red','blue']}}", &q));
  const char *only = "{'ForAllValues:StringEquals':{'s3:RequestObjectTagKeys':['colour','Size']}}";
  const char *some = "{'ForAnyValue:StringEquals':{'s3:RequestObjectTagKeys':['colour','shape']}}";
  const char *none = "{'ForAllValues:StringNotEquals':{'s3:RequestObjectTagKeys':['shape']}}";
  const char *another = "{'ForAnyValue:StringNotEquals':{'s3:RequestObjectTagKeys':['colour','Size']}}";
  assert_true(holds(only, &q) && holds(some, &q) && holds(none, &q) && !holds(another, &q));
  q.request_tag_count = 0; /* nothing said: "all" holds, "any" does not */
  assert_true(holds(only, &q) && !holds(some, &q) && holds(none, &q) && !holds(another, &q));
}

/* Conditions are joined by "and", their values by "or". */
static void test_joined(void **state) {
  (void)state;
  struct policy_request q = request_of(POLICY_LIST_BUCKET, "");
  const char *both =
      "{'StringLike':{'s3:prefix':'a*','s3:delimiter':'/'},'Bool':{'aws:SecureTransport':true}}";
  q.value[POLICY_KEY_PREFIX] = SLICE_LIT("ab");
  q.value[POLICY_KEY_DELIMITER] = SLICE_LIT("/");
  assert_false(holds(both, &q));
  q.value[POLICY_KEY_SECURE_TRANSPORT] = SLICE_LIT("true");
  assert_true(holds(both, &q));
  q.value[POLICY_KEY_DELIMITER] = SLICE_LIT("");
  assert_false(holds(both, &q));
}

/* An Allow never holds through a variable that has no value, a Deny is not dropped by one. */
static void test_unresolved_variables(void **state) {
  (void)state;
  struct policy_request q = {.who = POLICY_ANONYMOUS, .action = POLICY_LIST_BUCKET, .now_ms = NOW_MS};
  q.value[POLICY_KEY_PREFIX] = SLICE_LIT("home/x");
  assert_false(holds("{'StringNotLike':{'s3:prefix':'home/${aws:username}'}}", &q));
  struct policy *p = policy_of(
      "{'Version':'2012-10-17','Statement':[{'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*'}"
      ","
      "{'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'*','Condition':{'StringNotLike':"
      "{'s3:prefix':'home/${aws:username}'}}}]}");
  assert_int_equal(answer_of(p, &q), POLICY_DENY);
  policy_release(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_strings),         cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_dates),           cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_truths_and_null), cmocka_unit_test(test_arns),
      cmocka_unit_test(test_who_asks),        cmocka_unit_test(test_tags),
      cmocka_unit_test(test_joined),          cmocka_unit_test(test_unresolved_variables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
