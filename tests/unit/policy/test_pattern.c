/* Patterns against a naive matcher over every small pattern and text; variables; the bound on work. */
#include "policy_testing.h"

#include "policy/model.h"

static bool naive(const char *p, const char *t) {
  if (*p == 0) return *t == 0;
  if (*p == '*') return naive(p + 1, t) || (*t != 0 && naive(p, t + 1));
  return *t != 0 && (*p == '?' || *p == *t) && naive(p + 1, t + 1);
}

enum { LEN_MAX = 6 };

static void nth_text(const char *alphabet, unsigned n, unsigned len, char out[LEN_MAX + 1]) {
  size_t letters = strlen(alphabet);
  for (unsigned i = 0; i < len; i++, n /= (unsigned)letters) out[i] = alphabet[n % letters];
  out[len] = 0;
}

static unsigned power(unsigned base, unsigned n) {
  return n == 0 ? 1 : base * power(base, n - 1);
}

static struct eval eval_for(const struct policy_bucket *b, const struct policy_request *q) {
  return (struct eval){.bucket = b, .request = q, .steps_left = POLICY_STEPS_MAX};
}

static void test_exhaustive(void **state) {
  (void)state;
  struct policy_bucket b = bucket_of(NULL);
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  struct arena *arena = arena_new(1 << 20);
  unsigned compared = 0;
  for (unsigned pl = 0; pl <= LEN_MAX - 1; pl++)
    for (unsigned pn = 0; pn < power(4, pl); pn++) {
      char p[LEN_MAX + 1], t[LEN_MAX + 1];
      struct pattern compiled;
      const char *why;
      nth_text("ab*?", pn, pl, p);
      arena_reset(arena);
      assert_int_equal(pattern_compile(slice_str(p), true, arena, &compiled, &why), DOM_OK);
      for (unsigned tl = 0; tl <= LEN_MAX; tl++)
        for (unsigned tn = 0; tn < power(2, tl); tn++, compared++) {
          struct eval e = eval_for(&b, &q);
          nth_text("ab", tn, tl, t);
          if (pattern_match(&e, &compiled, slice_str(t)) != naive(p, t)) fail_msg("%s against %s", p, t);
        }
    }
  print_message("%u comparisons\n", compared);
  assert_true(compared > 100000);
  arena_free(arena);
}

static bool match_with(const char *pattern, bool variables, const struct policy_request *q, const char *text,
                       bool *out_unresolved) {
  struct policy_bucket b = bucket_of(NULL);
  struct arena *arena = arena_new(1 << 20);
  struct pattern compiled;
  const char *why;
  struct eval e = eval_for(&b, q);
  assert_int_equal(pattern_compile(slice_str(pattern), variables, arena, &compiled, &why), DOM_OK);
  bool matched = pattern_match(&e, &compiled, slice_str(text));
  *out_unresolved = e.unresolved;
  arena_free(arena);
  return matched;
}

static void test_variables(void **state) {
  (void)state;
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  bool unresolved = false;
  assert_true(match_with("home/${aws:username}/*", true, &q, "home/k1/a", &unresolved));
  assert_false(match_with("home/${aws:username}/*", true, &q, "home/k2/a", &unresolved));
  assert_true(match_with("${aws:PrincipalAccount}-${AWS:USERID}", true, &q, "guest-k1", &unresolved));
  assert_true(match_with("a${*}b${?}c${$}d", true, &q, "a*b?c$d", &unresolved));
  assert_false(match_with("a${*}b", true, &q, "axb", &unresolved));
  assert_true(match_with("${aws:username}", false, &q, "${aws:username}", &unresolved)); /* of 2008 */
  assert_false(unresolved);
  /* A value is text, whatever it holds. */
  q.user = SLICE_LIT("*");
  assert_false(match_with("home/${aws:username}", true, &q, "home/k1", &unresolved));
  assert_true(match_with("home/${aws:username}", true, &q, "home/*", &unresolved));
  /* Without a value nothing matches, not even the text as it stands. */
  assert_false(match_with("${s3:prefix}", true, &q, "${s3:prefix}", &unresolved));
  assert_true(unresolved);
  assert_false(match_with("${s3:prefix}*", true, &q, "", &unresolved));
}

/* Variables may not grow a pattern beyond its bound. */
static void test_expansion_is_bounded(void **state) {
  (void)state;
  static char prefix[POLICY_EXPANDED_UNITS_MAX + 2], text[2 * POLICY_EXPANDED_UNITS_MAX];
  struct policy_request q = request_of(POLICY_GET_OBJECT, "x");
  bool unresolved = false;
  memset(prefix, 'p', sizeof prefix);
  q.value[POLICY_KEY_PREFIX] = slice_of(prefix, POLICY_EXPANDED_UNITS_MAX);
  memset(text, 'p', POLICY_EXPANDED_UNITS_MAX);
  text[POLICY_EXPANDED_UNITS_MAX] = 0;
  assert_true(match_with("${s3:prefix}", true, &q, text, &unresolved));
  q.value[POLICY_KEY_PREFIX] = slice_of(prefix, POLICY_EXPANDED_UNITS_MAX + 1);
  assert_false(match_with("*${s3:prefix}", true, &q, text, &unresolved));
  assert_true(unresolved);
}

/* A pattern made to be slow ends the decision, with a no, even where matching would have said yes. */
static void test_work_is_bounded(void **state) {
  (void)state;
  char elements[POLICY_PATTERN_UNITS_MAX + 512], stars[1200];
  size_t len = 0;
  for (int i = 0; i < 300; i++) len += (size_t)snprintf(stars + len, sizeof stars - len, "*aab");
  snprintf(elements, sizeof elements,
           "'Effect':'Allow','Principal':'*','Action':'s3:ListBucket','Resource':'arn:aws:s3:::b',"
           "'Condition':{'StringNotLike':{'aws:UserAgent':'%s'}}",
           stars);
  struct policy *p = policy_with(elements);
  static char agent[30000];
  memset(agent, 'a', sizeof agent);
  struct policy_request q = request_of(POLICY_LIST_BUCKET, "");
  q.value[POLICY_KEY_USER_AGENT] = slice_of(agent, 1000);
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  static char mixed[30000];
  for (size_t i = 0; i < sizeof mixed; i++) mixed[i] = "aaab"[i % 4];
  q.value[POLICY_KEY_USER_AGENT] = slice_of(mixed, 1000);
  assert_int_equal(answer_of(p, &q), POLICY_ALLOW);
  policy_release(p);

  char *many = elements;
  size_t at = (size_t)snprintf(many, sizeof elements,
                               "'Effect':'Allow','Principal':'*','Action':'s3:ListBucket',"
                               "'Resource':'arn:aws:s3:::b','Condition':{'StringNotLike':{'aws:UserAgent':[");
  for (int i = 0; i < 60; i++)
    at += (size_t)snprintf(many + at, sizeof elements - at, "%s'*aaaaaaaa%dc'", i ? "," : "", i);
  snprintf(many + at, sizeof elements - at, "]}}");
  p = policy_with(many);
  q.value[POLICY_KEY_USER_AGENT] = slice_of(agent, sizeof agent);
  struct policy_bucket b = bucket_of(p);
  struct policy_verdict v = policy_decide(&b, &q);
  assert_int_equal(v.answer, POLICY_DENY);
  assert_int_equal(v.reason, POLICY_BY_WORK);
  policy_release(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exhaustive),
      cmocka_unit_test(test_variables),
      cmocka_unit_test(test_expansion_is_bounded),
      cmocka_unit_test(test_work_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
