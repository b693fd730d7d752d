#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/err.h"

static void test_first_failure_wins(void **state) {
  (void)state;
  struct dom_err err = {0};
  assert_int_equal(dom_fail(&err, DOM_INVALID, "test: one", "number %d", 1), DOM_INVALID);
  assert_int_equal(dom_fail(&err, DOM_CORRUPT, "test: two", "number %d", 2), DOM_CORRUPT);
  assert_int_equal(err.code, DOM_INVALID);
  assert_string_equal(err.where, "test: one");
  assert_string_equal(err.text, "number 1");
}

static void test_err_is_optional(void **state) {
  (void)state;
  assert_int_equal(dom_fail(NULL, DOM_BUSY, "test", "x"), DOM_BUSY);
  assert_int_equal(dom_fail_errno(NULL, EIO, "test", "x"), DOM_IO);
}

static void test_errno_only_where_it_means_something(void **state) {
  (void)state;
  struct dom_err err = {0};
  errno = EIO;
  (void)dom_fail(&err, DOM_IO, "test", "x");
  assert_int_equal(err.sys_errno, EIO);
  assert_int_equal(errno, EIO);
  err = (struct dom_err){0};
  (void)dom_fail(&err, DOM_INVALID, "test", "x");
  assert_int_equal(err.sys_errno, 0);
}

static void test_long_text_is_cut(void **state) {
  (void)state;
  struct dom_err err = {0};
  (void)dom_fail(&err, DOM_INVALID, "test", "%0500d", 7);
  assert_int_equal(strlen(err.text), DOM_ERR_TEXT_MAX - 1);
}

/* Texts come from other regions and paths too, and end in JSON and on terminals. */
static void test_text_is_clean(void **state) {
  (void)state;
  struct dom_err err = {0};
  dom_fail(&err, DOM_IO, "test", "%s", "a\xff\xc3(\t\x1b[2J\x7f \xe2\x80\xa6 \xed\xa0\x80 \xf0\x9f\x8f\xa0");
  assert_string_equal(err.text, "a??"
                                "(??[2J? \xe2\x80\xa6 ??? \xf0\x9f\x8f\xa0");
  char cut[DOM_ERR_TEXT_MAX + 1];
  memset(cut, 'x', sizeof cut);
  memcpy(cut + DOM_ERR_TEXT_MAX - 3, "\xe2\x80\xa6", 4); /* its last byte does not fit */
  err = (struct dom_err){0};
  dom_fail(&err, DOM_IO, "test", "%s", cut);
  assert_int_equal(strlen(err.text), DOM_ERR_TEXT_MAX - 1);
  assert_string_equal(err.text + DOM_ERR_TEXT_MAX - 4, "x??");
}

static void test_errno_mapping(void **state) {
  (void)state;
  static const struct {
    int sys_errno;
    enum dom_code code;
  } cases[] = {
      {ENOSPC, DOM_NO_SPACE},  {EDQUOT, DOM_NO_SPACE},  {ENOENT, DOM_NOT_FOUND}, {EEXIST, DOM_EXISTS},
      {ENOMEM, DOM_NO_MEMORY}, {EWOULDBLOCK, DOM_BUSY}, {EIO, DOM_IO},           {EACCES, DOM_IO},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct dom_err err = {0};
    assert_int_equal(dom_fail_errno(&err, cases[i].sys_errno, "test", "open"), cases[i].code);
    bool kept = cases[i].code == DOM_IO || cases[i].code == DOM_NO_SPACE;
    assert_int_equal(err.sys_errno, kept ? cases[i].sys_errno : 0);
    assert_int_equal(strncmp(err.text, "open: ", 6), 0);
    assert_true(strlen(err.text) > 6);
  }
}

static void test_names_are_unique(void **state) {
  (void)state;
  for (unsigned a = 0; a < DOM_CODE_COUNT; a++) {
    const char *name = dom_code_name((enum dom_code)a);
    assert_true(name[0] >= 'a' && name[0] <= 'z');
    for (unsigned b = 0; b < a; b++) assert_string_not_equal(name, dom_code_name((enum dom_code)b));
  }
  assert_string_equal(dom_code_name(DOM_STALE_EPOCH), "stale-epoch");
  assert_string_equal(dom_code_name(DOM_CODE_COUNT), "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_failure_wins),
      cmocka_unit_test(test_err_is_optional),
      cmocka_unit_test(test_errno_only_where_it_means_something),
      cmocka_unit_test(test_long_text_is_cut),
      cmocka_unit_test(test_text_is_clean),
      cmocka_unit_test(test_errno_mapping),
      cmocka_unit_test(test_names_are_unique),
  };
  return cmocka_run_group_tests_name("base-err", tests, NULL, NULL);
}
