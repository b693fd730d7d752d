#include "unit.h"

#include "base/alloc.h"

static void test_live_counts(void **state) {
  (void)state;
  int64_t before = dom_alloc_live();
  void *a = dom_alloc(10), *b = dom_calloc(3, 4);
  char *s = dom_strdup("text");
  assert_string_equal(s, "text");
  assert_int_equal(dom_alloc_live(), before + 3);
  a = dom_realloc(a, 1000);
  void *c = dom_realloc(NULL, 5);
  assert_int_equal(dom_alloc_live(), before + 4);
  dom_free(a), dom_free(b), dom_free(c), dom_free(s), dom_free(NULL);
  assert_int_equal(dom_alloc_live(), before);
}

static void test_calloc_clears_and_checks(void **state) {
  (void)state;
  uint8_t *p = dom_calloc(100, 7);
  for (size_t i = 0; i < 700; i++) assert_int_equal(p[i], 0);
  dom_free(p);
  volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would warn of the overflow */
  assert_null(dom_calloc(huge, 3));
}

static void test_empty_is_not_failure(void **state) {
  (void)state;
  void *p = dom_alloc(0), *q = dom_calloc(0, 8);
  assert_non_null(p);
  assert_non_null(q);
  p = dom_realloc(p, 0);
  assert_non_null(p);
  dom_free(p), dom_free(q);
}

static void test_fails_the_nth_once(void **state) {
  (void)state;
  dom_alloc_fail_after(2, 1);
  void *a = dom_alloc(1), *b = dom_alloc(1), *c = dom_alloc(1), *d = dom_alloc(1);
  assert_true(a && b && !c && d);
  dom_free(a), dom_free(b), dom_free(d);
}

static void test_fails_all_following(void **state) {
  (void)state;
  char *p = dom_alloc(4);
  memcpy(p, "abc", 4);
  dom_alloc_fail_after(0, 0);
  assert_null(dom_alloc(1));
  assert_null(dom_realloc(p, 9000));
  assert_string_equal(p, "abc"); /* kept */
  assert_null(dom_strdup("x"));
  dom_alloc_fail_after(UINT64_MAX, 0);
  p = dom_realloc(p, 9000);
  assert_string_equal(p, "abc");
  dom_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_live_counts),          cmocka_unit_test(test_calloc_clears_and_checks),
      cmocka_unit_test(test_empty_is_not_failure), cmocka_unit_test(test_fails_the_nth_once),
      cmocka_unit_test(test_fails_all_following),
  };
  return cmocka_run_group_tests_name("base-alloc", tests, NULL, NULL);
}
