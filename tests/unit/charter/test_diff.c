/* From one charter to the next: what changed, and whether it may follow. */
#include "charter_testing.h"

static const char old_text[] =
    "charter: 3\norganization: o\nregistrars: [a]\nregions:\n"
    "  a: {number: 1, jurisdiction: CN, endpoint: \"http://a\", vkey: \"" VKEY_A "\"}\n"
    "  b: {number: 2, jurisdiction: SG, endpoint: \"http://b\", vkey: \"" VKEY_B "\"}\n"
    "classes: {red: {keys: [\"r/**\", '\"q\\*']}, rest: {}}\n"
    "rules:\n"
    "  IN: {home: a, red: {store: [CN], read: any, transit: []}, rest: {store: any, read: any, transit: "
    "any}}\n";

static struct charter *changed(const char *find, const char *replace) {
  BUF_AUTO text = BUF_INIT;
  const char *at = strstr(old_text, find);
  assert_non_null(at);
  buf_append_str(&text, "charter: 4");
  buf_append(&text, old_text + 10, (size_t)(at - old_text) - 10);
  buf_append_str(&text, replace);
  buf_append_str(&text, at + strlen(find));
  return parse_text(buf_str(&text));
}

static void expect_diff(const char *find, const char *replace, const char *lines, const char *json) {
  struct charter *old = parse_text(old_text), *next = changed(find, replace);
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(charter_diff(old, next, &out, NULL), DOM_OK);
  assert_string_equal(buf_str(&out), lines);
  buf_reset(&out);
  if (json) {
    assert_int_equal(charter_diff_json(old, next, &out, NULL), DOM_OK);
    assert_string_equal(buf_str(&out), json);
  }
  charter_release(old);
  charter_release(next);
}

static void test_diff(void **state) {
  (void)state;
  expect_diff("read: any", "read: any", "~ charter: 3 -> 4\n",
              "{\"path\":\"charter\",\"before\":\"3\",\"after\":\"4\"}\n");
  expect_diff("store: [CN]", "store: [SG, CN]", "~ charter: 3 -> 4\n~ rules.IN.red.store: [CN] -> [CN, SG]\n",
              NULL);
  expect_diff("home: a,", "home: a, leave: {b: 2026-12-31}, keep_at_least_days: 7,",
              "~ charter: 3 -> 4\n+ rules.IN.keep_at_least_days: 7\n+ rules.IN.leave.b: 2026-12-31\n",
              "{\"path\":\"charter\",\"before\":\"3\",\"after\":\"4\"}\n"
              "{\"path\":\"rules.IN.keep_at_least_days\",\"before\":null,\"after\":\"7\"}\n"
              "{\"path\":\"rules.IN.leave.b\",\"before\":null,\"after\":\"2026-12-31\"}\n");
  expect_diff("\"r/**\", ", "", "~ charter: 3 -> 4\n~ classes.red.keys: r/**, \"q\\* -> \"q\\*\n",
              "{\"path\":\"charter\",\"before\":\"3\",\"after\":\"4\"}\n"
              "{\"path\":\"classes.red.keys\",\"before\":\"r/**, \\\"q\\\\*\",\"after\":\"\\\"q\\\\*\"}\n");
  expect_diff("  b: {number: 2, jurisdiction: SG, endpoint: \"http://b\", vkey: \"" VKEY_B "\"}\n", "",
              "~ charter: 3 -> 4\n- regions.b.endpoint: http://b\n- regions.b.jurisdiction: SG\n"
              "- regions.b.number: 2\n- regions.b.vkey: " VKEY_B "\n",
              NULL);
  expect_diff("  IN: {", "  SG: {",
              "~ charter: 3 -> 4\n"
              "- rules.IN.home: a\n- rules.IN.red.read: any\n- rules.IN.red.store: [CN]\n"
              "- rules.IN.red.transit: []\n- rules.IN.rest.read: any\n- rules.IN.rest.store: any\n"
              "- rules.IN.rest.transit: any\n"
              "+ rules.SG.home: a\n+ rules.SG.red.read: any\n+ rules.SG.red.store: [CN]\n"
              "+ rules.SG.red.transit: []\n+ rules.SG.rest.read: any\n+ rules.SG.rest.store: any\n"
              "+ rules.SG.rest.transit: any\n",
              NULL);
}

static void expect_successor(const char *find, const char *replace, const char *reason) {
  struct charter *old = parse_text(old_text), *next = changed(find, replace);
  struct dom_err err = {0};
  assert_int_equal(charter_check_successor(old, next, &err), reason ? DOM_INCOMPATIBLE : DOM_OK);
  if (reason && !strstr(err.text, reason)) fail_msg("%s", err.text);
  charter_release(old);
  charter_release(next);
}

static void test_successor(void **state) {
  (void)state;
  expect_successor("read: any", "read: []", NULL);
  expect_successor("http://b", "https://b", NULL);
  expect_successor(VKEY_B, VKEY_C, NULL); /* a region changes its key */
  expect_successor("  b: {number: 2, jurisdiction: SG",
                   "  c: {number: 3, jurisdiction: IN, endpoint: \"http://c\", vkey: \"" VKEY_C "\"}\n"
                   "  b: {number: 2, jurisdiction: SG",
                   NULL);
  expect_successor("organization: o", "organization: p", "organization");
  expect_successor("number: 2", "number: 3", "regions.b.number: it was 2");
  expect_successor("  b: {number: 2", "  c: {number: 2", "regions.c.number: 2 was given to region b");
  expect_successor("jurisdiction: SG", "jurisdiction: IN", "regions.b.jurisdiction: number 2 was given");
  struct charter *old = parse_text(old_text);
  struct dom_err err = {0};
  assert_int_equal(charter_check_successor(old, old, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "version 3 is not newer than 3"));
  struct charter *next = changed("red", "red");
  memset(&err, 0, sizeof err);
  assert_int_equal(charter_check_successor(next, old, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "version 3 is not newer than 4"));
  charter_release(old);
  charter_release(next);
}

static void test_dropped_class(void **state) {
  (void)state;
  struct charter *old = parse_text(old_text);
  struct charter *next = parse_text(
      "charter: 4\norganization: o\nregistrars: [a]\nregions:\n"
      "  a: {number: 1, jurisdiction: CN, endpoint: \"http://a\", vkey: \"" VKEY_A "\"}\n"
      "classes: {rest: {}}\nrules:\n  IN: {home: a, rest: {store: any, read: any, transit: any}}\n");
  struct dom_err err = {0};
  assert_int_equal(charter_check_successor(old, next, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "classes.red: dropped"));
  charter_release(old);
  charter_release(next);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_diff),
      cmocka_unit_test(test_successor),
      cmocka_unit_test(test_dropped_class),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
