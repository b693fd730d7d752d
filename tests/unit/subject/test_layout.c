#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "subject/subject.h"

static bool match(const char *layout, const char *key, char id[64], char prefix[64]) {
  struct subject_layout l;
  struct slice i, p;
  assert_int_equal(subject_layout_parse(slice_str(layout), &l, NULL), DOM_OK);
  if (!subject_layout_match(&l, slice_str(key), &i, &p)) return false;
  snprintf(id, 64, "%.*s", (int)i.len, (const char *)i.data);
  snprintf(prefix, 64, "%.*s", (int)p.len, (const char *)p.data);
  return true;
}

static void test_match(void **state) {
  (void)state;
  char id[64], prefix[64];
  assert_true(match("{subject}/", "u-1/photos/a.png", id, prefix));
  assert_string_equal(id, "u-1");
  assert_string_equal(prefix, "u-1/");
  assert_true(match("photos/{subject}/, mail/{subject}/", "mail/bob/x", id, prefix));
  assert_string_equal(id, "bob");
  assert_string_equal(prefix, "mail/bob/");
  assert_true(match("{subject}/", "u/", id, prefix)); /* the folder marker of a person is theirs */
  static const char *const NONE[] = {"u-1", "/a", "./a", "../a", ""};
  for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
    assert_false(match("{subject}/", NONE[i], id, prefix));
  assert_false(match("photos/{subject}/", "docs/u/x", id, prefix));
  assert_false(match("", "u/x", id, prefix));
}

static void test_long_ids(void **state) {
  (void)state;
  struct subject_layout l;
  struct slice id, prefix;
  char key[SUBJECT_ID_MAX + 8];
  assert_int_equal(subject_layout_parse(SLICE_LIT("{subject}/"), &l, NULL), DOM_OK);
  memset(key, 'x', sizeof key);
  key[SUBJECT_ID_MAX] = '/';
  assert_true(subject_layout_match(&l, slice_of(key, sizeof key), &id, &prefix));
  assert_int_equal(id.len, SUBJECT_ID_MAX);
  key[SUBJECT_ID_MAX] = 'x';
  key[SUBJECT_ID_MAX + 1] = '/';
  assert_false(subject_layout_match(&l, slice_of(key, sizeof key), &id, &prefix));
}

static void test_bad_layouts(void **state) {
  (void)state;
  static const char *const BAD[] = {"photos/",
                                    "{subject}",
                                    "a/{subject}/b",
                                    "{x}/{subject}/",
                                    "a/{subject}/ a/b/{subject}/",
                                    "{subject}/ p/{subject}/",
                                    "p/{subject}/ p/{subject}/",
                                    "a\x01/{subject}/",
                                    "}{subject}/"};
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    struct subject_layout l;
    struct dom_err err = {0};
    assert_int_equal(subject_layout_parse(slice_str(BAD[i]), &l, &err), DOM_INVALID);
    assert_true(err.text[0] != 0);
  }
  char many[SUBJECT_LAYOUT_TEXT_MAX + 8] = "";
  size_t at = 0;
  for (int i = 0; i <= SUBJECT_LAYOUT_TEMPLATES_MAX; i++)
    at += (size_t)snprintf(many + at, sizeof many - at, "k%c/{subject}/ ", 'a' + i);
  struct subject_layout l;
  assert_int_equal(subject_layout_parse(slice_str(many), &l, NULL), DOM_TOO_LARGE);
  memset(many, ' ', sizeof many);
  assert_int_equal(subject_layout_parse(slice_of(many, sizeof many), &l, NULL), DOM_TOO_LARGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_match), cmocka_unit_test(test_long_ids),
                                     cmocka_unit_test(test_bad_layouts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
