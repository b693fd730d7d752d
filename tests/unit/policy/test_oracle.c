/* Generated policies against an oracle that knows no patterns, operators or variables: for each text that a
 * statement can hold it has a row of answers, written by hand, for each request of a small world. */
#include "policy_testing.h"

enum { PRINCIPALS = 5, TARGETS = 6, CONTEXTS = 4 };

/* The world: who asks, what for, and under which circumstances. */
static const struct {
  enum policy_who who;
  const char *account, *user;
} principals[PRINCIPALS] = {{POLICY_ANONYMOUS, "", ""},
                            {POLICY_ACCESS_KEY, "owner", "o1"},
                            {POLICY_ACCESS_KEY, "guest", "g1"},
                            {POLICY_ACCESS_KEY, "guest", "g2"},
                            {POLICY_ACCESS_KEY, "other", "x1"}};
static const struct {
  enum policy_action action;
  const char *key;
} targets[TARGETS] = {{POLICY_GET_OBJECT, "a"}, {POLICY_GET_OBJECT, "d/g1"},
                      {POLICY_PUT_OBJECT, "a"}, {POLICY_PUT_OBJECT, "d/g1"},
                      {POLICY_LIST_BUCKET, ""}, {POLICY_GET_BUCKET_POLICY, ""}};
static const struct {
  const char *ip, *prefix, *tls;
} contexts[CONTEXTS] = {{"192.0.2.1", NULL, "false"},
                        {"192.0.2.200", "d/", "true"},
                        {"2001:db8::1", "a", "true"},
                        {NULL, "", NULL}};

/* Rows: a statement's text, and a letter ('1' holds) for each member of the world in order. */
struct row {
  const char *text, *holds;
};
static const struct row who_rows[] = {
    {"'Principal':'*'", "11111"},
    {"'Principal':{'AWS':'*'}", "11111"},
    {"'Principal':{'AWS':'guest'}", "00110"},
    {"'Principal':{'AWS':'arn:aws:iam::guest:user/g2'}", "00010"},
    {"'Principal':{'AWS':['arn:aws:iam::other:root'],'CanonicalUser':'owner'}", "01001"},
    {"'NotPrincipal':{'AWS':'guest'}", "11001"},
    {"'NotPrincipal':{'AWS':['owner','arn:aws:iam::guest:user/g1']}", "10011"},
};
static const struct row action_rows[] = {
    {"'Action':'s3:*'", "111111"},
    {"'Action':'*'", "111111"},
    {"'Action':'s3:Get*'", "110001"},
    {"'Action':['s3:PutObject','s3:ListBucket']", "001110"},
    {"'Action':'s3:?etObject'", "110000"},
    {"'NotAction':'s3:GetObject'", "001111"},
    {"'NotAction':['s3:P*','s3:L*']", "110001"},
};
/* On "b/a" and "b/d/g1" and "b", in the order of targets. */
static const struct row resource_rows[] = {
    {"'Resource':'*'", "111111"},
    {"'Resource':['arn:aws:s3:::b','arn:aws:s3:::b/*']", "111111"},
    {"'Resource':['arn:aws:s3:::b','arn:aws:s3:::b/d/*']", "010111"},
    {"'Resource':['arn:aws:s3:::b','arn:aws:s3:::b/?']", "101011"},
    {"'NotResource':'arn:aws:s3:::b/d/*'", "101011"},
    {"'NotResource':'arn:aws:s3:::b'", "111100"},
};
static const struct row condition_rows[] = {
    {"", "1111"},
    {",'Condition':{'IpAddress':{'aws:SourceIp':'192.0.2.0/25'}}", "1000"},
    {",'Condition':{'NotIpAddress':{'aws:SourceIp':'192.0.2.0/25'}}", "0111"},
    {",'Condition':{'StringLike':{'s3:prefix':['d*','']}}", "0101"},
    {",'Condition':{'StringNotEquals':{'s3:prefix':'a'}}", "1101"},
    {",'Condition':{'StringEqualsIfExists':{'s3:prefix':'a'}}", "1010"},
    {",'Condition':{'Bool':{'aws:SecureTransport':'true'},'Null':{'s3:prefix':false}}", "0110"},
    {",'Condition':{'DateGreaterThan':{'aws:CurrentTime':'2100-01-01'}}", "0000"},
};
#define COUNT(rows) (sizeof rows / sizeof rows[0])

struct choice {
  bool deny;
  size_t who, action, resource, condition;
};

static bool oracle_holds(const struct choice *s, int p, int t, int c) {
  return who_rows[s->who].holds[p] == '1' && action_rows[s->action].holds[t] == '1' &&
         resource_rows[s->resource].holds[t] == '1' && condition_rows[s->condition].holds[c] == '1';
}

static bool oracle(const struct choice *s, size_t count, int p, int t, int c) {
  bool allow = p == 1, deny = false;
  if (p == 1 && t == 5) return true; /* the owner reads its policy whatever it says */
  for (size_t i = 0; i < count; i++) {
    if (!oracle_holds(&s[i], p, t, c)) continue;
    if (s[i].deny) deny = true;
    allow = allow || !s[i].deny;
  }
  return allow && !deny;
}

static struct policy *policy_from(const struct choice *s, size_t count) {
  char text[8192];
  size_t at = (size_t)snprintf(text, sizeof text, "{'Version':'2012-10-17','Statement':[");
  for (size_t i = 0; i < count; i++)
    at +=
        (size_t)snprintf(text + at, sizeof text - at, "%s{'Effect':'%s',%s,%s,%s%s}", i ? "," : "",
                         s[i].deny ? "Deny" : "Allow", who_rows[s[i].who].text, action_rows[s[i].action].text,
                         resource_rows[s[i].resource].text, condition_rows[s[i].condition].text);
  snprintf(text + at, sizeof text - at, "]}");
  return policy_of(text);
}

static unsigned compare(const struct choice *s, size_t count) {
  struct policy *policy = policy_from(s, count);
  unsigned compared = 0;
  for (int p = 0; p < PRINCIPALS; p++)
    for (int t = 0; t < TARGETS; t++)
      for (int c = 0; c < CONTEXTS; c++, compared++) {
        struct policy_request q = {.who = principals[p].who,
                                   .account = slice_str(principals[p].account),
                                   .user = slice_str(principals[p].user),
                                   .action = targets[t].action,
                                   .key = slice_str(targets[t].key),
                                   .now_ms = NOW_MS};
        if (contexts[c].ip) q.value[POLICY_KEY_SOURCE_IP] = slice_str(contexts[c].ip);
        if (contexts[c].prefix) q.value[POLICY_KEY_PREFIX] = slice_str(contexts[c].prefix);
        if (contexts[c].tls) q.value[POLICY_KEY_SECURE_TRANSPORT] = slice_str(contexts[c].tls);
        bool allowed = answer_of(policy, &q) == POLICY_ALLOW;
        if (allowed != oracle(s, count, p, t, c))
          fail_msg("principal %d, target %d, context %d: %s; first statement %zu %zu %zu %zu", p, t, c,
                   allowed ? "allowed" : "denied", s->who, s->action, s->resource, s->condition);
      }
  policy_release(policy);
  return compared;
}

static void test_each_statement(void **state) {
  (void)state;
  unsigned compared = 0;
  for (size_t w = 0; w < COUNT(who_rows); w++)
    for (size_t a = 0; a < COUNT(action_rows); a++)
      for (size_t r = 0; r < COUNT(resource_rows); r++)
        for (size_t c = 0; c < COUNT(condition_rows); c++)
          for (int deny = 0; deny < 2; deny++) {
            struct choice s = {deny, w, a, r, c};
            compared += compare(&s, 1);
          }
  print_message("%u decisions\n", compared);
  assert_true(compared > 500000);
}

/* A small generator of our own: the same policies on every machine. */
static uint32_t next(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static void test_combinations(void **state) {
  (void)state;
  unsigned compared = 0;
  uint32_t seed = 7;
  for (int round = 0; round < 20000; round++) {
    struct choice s[4];
    size_t count = 2 + next(&seed) % 3;
    for (size_t i = 0; i < count; i++)
      s[i] = (struct choice){next(&seed) % 2, next(&seed) % COUNT(who_rows), next(&seed) % COUNT(action_rows),
                             next(&seed) % COUNT(resource_rows), next(&seed) % COUNT(condition_rows)};
    compared += compare(s, count);
  }
  print_message("%u decisions\n", compared);
  assert_true(compared > 2000000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_statement),
      cmocka_unit_test(test_combinations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
