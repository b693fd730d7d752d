/* Documents: what is taken, and what is refused with its place. */
#include "policy_testing.h"

static void refuse(const char *quoted, const char *why) {
  char space[8192];
  struct dom_err err = {0};
  struct policy *p = NULL;
  enum dom_code code = policy_parse(json_of(quoted, space, sizeof space), SLICE_LIT("b"), &p, &err);
  if (code != DOM_INVALID || p != NULL) fail_msg("taken: %s", quoted);
  if (strstr(err.text, why) == NULL) fail_msg("%s: \"%s\" does not say \"%s\"", quoted, err.text, why);
}

#define GOOD "'Effect':'Allow','Principal':'*','Action':'s3:GetObject','Resource':'arn:aws:s3:::b/*'"

static void test_documents_taken(void **state) {
  (void)state;
  static const char *const good[] = {
      "{'Statement':[{" GOOD "}]}",
      "{'Version':'2008-10-17','Id':'any id','Statement':[{" GOOD "}]}",
      "{'Version':'2012-10-17','Statement':{" GOOD "}}",
      "{'Statement':[{'Sid':'one'," GOOD "},{'Sid':'two'," GOOD "}]}",
      "{'Statement':[{'Effect':'Deny','NotPrincipal':{'AWS':['a','arn:aws:iam::a:user/k']},"
      "'NotAction':['s3:Get*','s3:List*'],'NotResource':'arn:aws:s3:::b/open/*'}]}",
      "{'Statement':[{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::a:root','CanonicalUser':['c','d']},"
      "'Action':'*','Resource':['arn:aws:s3:::b','arn:aws:s3:::b/*']}]}",
      "{'Statement':[{'Effect':'Allow','Principal':'*','Action':'s3:getobject','Resource':'*'}]}",
      "{'Statement':[{'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::*'}]}",
      "{'Statement':[{" GOOD ",'Condition':{}}]}",
      "{'Statement':[{" GOOD ",'Condition':{'Bool':{'aws:SecureTransport':false}}}]}",
      "{'Statement':[{" GOOD
      ",'Condition':{'NumericLessThan':{'s3:max-keys':10,'s3:signatureAge':[1,'2.5']}}}]}",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) policy_release(policy_of(good[i]));
}

static void test_documents_refused(void **state) {
  (void)state;
  refuse("", "invalid Json, line 1");
  refuse("[]", "JSON object");
  refuse("{", "invalid Json");
  refuse("{'Statement':[{" GOOD "}]} x", "invalid Json");
  refuse("{'Statement':[{" GOOD ",'Effect':'Deny'}]}", "invalid Json"); /* an element twice */
  refuse("{}", "Missing required field Statement");
  refuse("{'Statement':[]}", "Missing required field Statement");
  refuse("{'Statement':'x'}", "Missing required field Statement");
  refuse("{'Statement':[1]}", "Statement[0]: a statement is a JSON object");
  refuse("{'Version':'2013-10-17','Statement':[{" GOOD "}]}", "Version must be");
  refuse("{'Version':2012,'Statement':[{" GOOD "}]}", "Version must be");
  refuse("{'Id':7,'Statement':[{" GOOD "}]}", "Id must be");
  refuse("{'Comment':'x','Statement':[{" GOOD "}]}", "unknown element \"Comment\"");
  refuse("{'Statement':[{" GOOD "},{'Sid':'s'," GOOD ",'Note':1}]}",
         "Statement[1]: unknown element \"Note\"");
  refuse("{'Statement':[{'Sid':'s'," GOOD "},{'Sid':'s'," GOOD "}]}", "Statement[1] is used twice");
  refuse("[[[[[[[[[]]]]]]]]]", "nested deeper");
}

static void test_elements_refused(void **state) {
  (void)state;
  static const struct {
    const char *elements, *why;
  } rows[] = {
      {"'Principal':'*','Action':'s3:*','Resource':'*'", "Missing required field Effect"},
      {"'Effect':'allow','Principal':'*','Action':'s3:*','Resource':'*'", "Invalid effect"},
      {"'Effect':'Allow','Action':'s3:*','Resource':'*'", "Missing required field Principal"},
      {"'Effect':'Allow','Principal':'*','Resource':'*'", "Missing required field Action"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*'", "Missing required field Resource"},
      {"'Effect':'Allow','Principal':'*','NotPrincipal':'*','Action':'s3:*','Resource':'*'", "exclude"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','NotAction':'s3:*','Resource':'*'", "exclude"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*','NotResource':'*'", "exclude"},
      {"'Effect':'Allow','Principal':'a','Action':'s3:*','Resource':'*'", "a string other than *"},
      {"'Effect':'Allow','Principal':{},'Action':'s3:*','Resource':'*'", "names nobody"},
      {"'Effect':'Allow','Principal':{'AWS':[]},'Action':'s3:*','Resource':'*'", "names nobody"},
      {"'Effect':'Allow','Principal':{'AWS':''},'Action':'s3:*','Resource':'*'", "Invalid principal"},
      {"'Effect':'Allow','Principal':{'AWS':7},'Action':'s3:*','Resource':'*'", "Invalid principal"},
      {"'Effect':'Allow','Principal':{'AWS':'a*'},'Action':'s3:*','Resource':'*'", "Invalid principal"},
      {"'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::a:role/r'},'Action':'s3:*','Resource':'*'",
       "Invalid principal"},
      {"'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::a:user/*'},'Action':'s3:*','Resource':'*'",
       "Invalid principal"},
      {"'Effect':'Allow','Principal':{'CanonicalUser':'*'},'Action':'s3:*','Resource':'*'",
       "Invalid principal"},
      {"'Effect':'Allow','Principal':{'Service':'logging'},'Action':'s3:*','Resource':'*'", "only AWS"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:GetObjects','Resource':'*'",
       "invalid action: s3:GetObjects"},
      {"'Effect':'Allow','Principal':'*','Action':'iam:*','Resource':'*'", "invalid action"},
      {"'Effect':'Allow','Principal':'*','Action':[],'Resource':'*'", "invalid action"},
      {"'Effect':'Allow','Principal':'*','Action':[7],'Resource':'*'", "invalid action"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:GetObject','Resource':'arn:aws:s3:::b'",
       "does not apply to any resource"},
      {"'Effect':'Allow','Principal':'*','Action':['s3:GetObject','s3:ListBucket'],'Resource':'arn:aws:s3:::"
       "b/*'",
       "does not apply to any resource(s) in statement: s3:ListBucket"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:ListAllMyBuckets','Resource':'*'", "does not apply"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::c/*'", "another bucket"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::bb'", "another bucket"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'b/*'", "invalid resource"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':[]", "invalid resource"},
      {"'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':['*',7]", "invalid resource"},
      {"'Sid':7,'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*'", "Sid"},
      {"'Sid':'a\\u0007','Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*'", "Sid"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[4096], why[256];
    snprintf(text, sizeof text, "{'Version':'2012-10-17','Statement':[{%s}]}", rows[i].elements);
    snprintf(why, sizeof why, "%s", rows[i].why);
    refuse(text, why);
  }
}

static void test_conditions_refused(void **state) {
  (void)state;
  static const struct {
    const char *condition, *why;
  } rows[] = {
      {"[]", "Statement[0].Condition: must be an object"},
      {"{'StringEquals':[]}", "must hold keys and values"},
      {"{'StringEquals':{'s3:prefix':[]}}", "without values"},
      {"{'StringEquals':{'s3:prefix':{}}}", "is a string, a number or a truth"},
      {"{'StringEquals':{'s3:prefix':null}}", "is a string, a number or a truth"},
      {"{'StringEqual':{}}", "Invalid Condition type : StringEqual"},
      {"{'StringEqual':{'s3:prefix':'x'}}", "Invalid Condition type : StringEqual"},
      {"{'stringequals':{'s3:prefix':'x'}}", "Invalid Condition type"},
      {"{'IfExists':{'s3:prefix':'x'}}", "Invalid Condition type"},
      {"{'ForSomeValues:StringEquals':{'s3:prefix':'x'}}", "Invalid Condition type"},
      {"{'NullIfExists':{'s3:prefix':true}}", "Invalid Condition type"},
      {"{'BinaryEquals':{'s3:prefix':'eA=='}}", "Invalid Condition type"},
      {"{'StringEquals':{'s3:Prefixes':'x'}}", "invalid condition key: s3:Prefixes"},
      {"{'StringEquals':{'aws:SourceVpc':'x'}}", "invalid condition key"},
      {"{'StringEquals':{'s3:ExistingObjectTag':'x'}}", "invalid condition key"},
      {"{'StringEquals':{'s3:ExistingObjectTag/':'x'}}", "invalid condition key"},
      {"{'NumericEquals':{'s3:prefix':'1'}}", "NumericEquals says nothing about s3:prefix"},
      {"{'IpAddress':{'aws:Referer':'10.0.0.1'}}", "IpAddress says nothing"},
      {"{'NumericEquals':{'s3:max-keys':'1x'}}", "does not suit NumericEquals"},
      {"{'NumericEquals':{'s3:max-keys':''}}", "does not suit"},
      {"{'NumericEquals':{'s3:max-keys':'1e3'}}", "does not suit"},
      {"{'DateLessThan':{'aws:CurrentTime':'2023-02-30T00:00:00Z'}}", "does not suit DateLessThan"},
      {"{'DateLessThan':{'aws:CurrentTime':'tomorrow'}}", "does not suit"},
      {"{'DateLessThan':{'aws:CurrentTime':'2023-02-20T00:00:00'}}", "does not suit"},
      {"{'Bool':{'aws:SecureTransport':'yes'}}", "does not suit Bool"},
      {"{'Null':{'s3:prefix':'maybe'}}", "does not suit Null"},
      {"{'IpAddress':{'aws:SourceIp':'10.0.0.0/33'}}", "does not suit IpAddress"},
      {"{'IpAddress':{'aws:SourceIp':'10.0.0'}}", "does not suit"},
      {"{'IpAddress':{'aws:SourceIp':'2001:db8::/129'}}", "does not suit"},
      {"{'StringLike':{'s3:prefix':'${aws:username'}}", "no closing brace"},
      {"{'StringLike':{'s3:prefix':'${aws:nobody}'}}", "no condition key"},
      {"{'StringLike':{'s3:prefix':'${s3:ExistingObjectTag/x}'}}", "no condition key"},
      {"{'StringEquals':{'s3:RequestObjectTagKeys':'x'}}", "needs ForAnyValue"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[4096];
    snprintf(text, sizeof text, "{'Version':'2012-10-17','Statement':[{" GOOD ",'Condition':%s}]}",
             rows[i].condition);
    refuse(text, rows[i].why);
  }
}

/* Each limit: the most that fits, and one more. */
static void test_limits(void **state) {
  (void)state;
  static char text[64 * 1024], space[64 * 1024];
  struct policy *p = NULL;
  struct dom_err err = {0};
  for (int over = 0; over < 2; over++) {
    int blanks = POLICY_BYTES_MAX - (int)strlen("{'Statement':[{" GOOD "}]}") + over;
    snprintf(text, sizeof text, "{%*s'Statement':[{" GOOD "}]}", blanks, "");
    enum dom_code code = policy_parse(json_of(text, space, sizeof space), SLICE_LIT("b"), &p, &err);
    assert_int_equal(code, over ? DOM_TOO_LARGE : DOM_OK);
    if (!over) policy_release(p);
  }
  for (int over = 0; over < 2; over++) {
    size_t at = (size_t)snprintf(text, sizeof text, "{'Statement':[");
    for (int i = 0; i < POLICY_STATEMENTS_MAX + over; i++)
      at += (size_t)snprintf(text + at, sizeof text - at, "%s{" GOOD "}", i ? "," : "");
    snprintf(text + at, sizeof text - at, "]}");
    p = NULL;
    err = (struct dom_err){0};
    enum dom_code code = policy_parse(json_of(text, space, sizeof space), SLICE_LIT("b"), &p, &err);
    assert_int_equal(code, over ? DOM_INVALID : DOM_OK);
    policy_release(p);
  }
  for (int over = 0; over < 2; over++) {
    char stars[POLICY_PATTERN_UNITS_MAX + 2];
    memset(stars, 'x', sizeof stars);
    stars[POLICY_PATTERN_UNITS_MAX + over] = 0;
    snprintf(text, sizeof text, "{'Statement':[{" GOOD ",'Condition':{'StringLike':{'s3:prefix':'%s'}}}]}",
             stars);
    p = NULL;
    enum dom_code code = policy_parse(json_of(text, space, sizeof space), SLICE_LIT("b"), &p, NULL);
    assert_int_equal(code, over ? DOM_INVALID : DOM_OK);
    policy_release(p);
  }
}

/* What is asked for is told, by conditions and by variables; nothing else. */
static void test_keys_asked_for(void **state) {
  (void)state;
  struct policy *p =
      policy_of("{'Version':'2012-10-17','Statement':[{'Effect':'Allow','Principal':'*','Action':"
                "'s3:*','Resource':'arn:aws:s3:::b/${aws:Referer}/*','Condition':{'StringLike':"
                "{'s3:prefix':'${aws:UserAgent}*'},'Bool':{'aws:SecureTransport':true}}}]}");
  for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
    bool asked = i == POLICY_KEY_REFERER || i == POLICY_KEY_PREFIX || i == POLICY_KEY_USER_AGENT ||
                 i == POLICY_KEY_SECURE_TRANSPORT;
    assert_int_equal(policy_asks(p, (enum policy_key)i), asked);
  }
  policy_release(p);
}

/* Nothing of a policy that was cut or bent brings the parser down; what it takes, it can decide by. */
static void test_bent(void **state) {
  (void)state;
  char space[4096];
  static const char text[] =
      "{'Version':'2012-10-17','Statement':[{'Sid':'s','Effect':'Allow','Principal':{'AWS':['*','a']},"
      "'Action':['s3:GetObject'],'Resource':['arn:aws:s3:::b/${aws:username}/*'],'Condition':{"
      "'ForAnyValue:StringLikeIfExists':{'s3:prefix':['a*','b?']},'DateLessThan':{'aws:CurrentTime':"
      "'2030-01-01T00:00:00Z'},'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}}]}";
  for (size_t i = 0; i < sizeof text - 1; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      struct slice s = json_of(text, space, sizeof space);
      space[i] = (char)(space[i] ^ (1 << bit));
      struct policy *p = NULL;
      struct policy_request q = request_of(POLICY_GET_OBJECT, "k1/x");
      if (policy_parse(s, SLICE_LIT("b"), &p, NULL) == DOM_OK) (void)answer_of(p, &q);
      policy_release(p);
      (void)policy_parse(slice_cut(s, 0, i), SLICE_LIT("b"), &p, NULL);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_documents_taken),
      cmocka_unit_test(test_documents_refused),
      cmocka_unit_test(test_elements_refused),
      cmocka_unit_test(test_conditions_refused),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_keys_asked_for),
      cmocka_unit_test(test_bent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
