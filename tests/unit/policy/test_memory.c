/* Each allocation of a parse failed in turn: an error, nothing leaked, nothing handed out. */
#include "policy_testing.h"

static void test_parse_without_memory(void **state) {
  (void)state;
  char space[4096];
  struct slice text = json_of(
      "{'Version':'2012-10-17','Statement':[{'Sid':'s','Effect':'Allow','Principal':{'AWS':['a','b']},"
      "'Action':['s3:GetObject'],'Resource':['arn:aws:s3:::b/*'],'Condition':{'StringLike':"
      "{'s3:ExistingObjectTag/colour':['red','blu?']}}}]}",
      space, sizeof space);
  enum dom_code code = DOM_NO_MEMORY;
  uint64_t n = 0;
  for (; code != DOM_OK; n++) {
    struct policy *p = NULL;
    int64_t live = dom_alloc_live();
    dom_alloc_fail_after(n, 1);
    code = policy_parse(text, SLICE_LIT("b"), &p, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    assert_true(code == DOM_OK || (code == DOM_NO_MEMORY && p == NULL));
    policy_release(p);
    assert_int_equal(dom_alloc_live(), live);
  }
  assert_true(n > 2);
}

static void test_references(void **state) {
  (void)state;
  int64_t live = dom_alloc_live();
  struct policy *p =
      policy_with("'Effect':'Allow','Principal':'*','Action':'s3:ListBucket','Resource':'arn:aws:s3:::b'");
  struct policy *again = policy_hold(p);
  policy_release(p);
  assert_true(policy_is_public(again));
  policy_release(again);
  assert_int_equal(dom_alloc_live(), live);
  assert_null(policy_hold(NULL));
  policy_release(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse_without_memory),
      cmocka_unit_test(test_references),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
