/* Flags, endpoints, XML, ETags, globs and rules: the small readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client.h"
#include "etag.h"
#include "flags.h"
#include "load.h"
#include "verify.h"
#include "xml.h"

static void test_sizes(void **state) {
  (void)state;
  uint64_t n;
  assert_true(flags_parse_size("4096", &n) && n == 4096);
  assert_true(flags_parse_size("4KiB", &n) && n == 4096);
  assert_true(flags_parse_size("16M", &n) && n == 16 << 20);
  static const char *const bad[] = {"", "K", "4KB", "-1", "4 K", "99999999999999999999", "9999999999999G"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(flags_parse_size(bad[i], &n));
}

static void test_flags(void **state) {
  (void)state;
  const char *name = NULL;
  bool on = false;
  uint64_t count = 3;
  struct flag_list list = {0};
  const struct flag flags[] = {{"--name", "X", "", FLAG_STRING, true, &name},
                               {"--on", NULL, "", FLAG_SWITCH, false, &on},
                               {"--count", "N", "", FLAG_NUMBER, false, &count},
                               {"--list", "X", "", FLAG_LIST, false, &list},
                               {0}};
  const struct flag_set set = {"test", "Tests.", NULL, flags};
  char *good[] = {(char *)"test",   (char *)"--name=a", (char *)"--on",
                  (char *)"--list", (char *)"x",        (char *)"--list=y"};
  assert_int_equal(flags_parse(&set, 6, good, NULL), -1);
  assert_string_equal(name, "a");
  assert_true(on);
  assert_int_equal(list.count, 2);
  assert_int_equal(count, 3);
  static char *const bad[][2] = {{(char *)"--nope", (char *)"1"},
                                 {(char *)"--count", (char *)"1x"},
                                 {(char *)"--on=1", (char *)"--on"},
                                 {(char *)"stray", (char *)"--on"},
                                 {(char *)"--on", (char *)"--count"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *argv[] = {(char *)"test", bad[i][0], bad[i][1]};
    assert_int_equal(flags_parse(&set, 3, argv, NULL), LOAD_USAGE);
  }
  name = NULL;
  assert_int_equal(flags_parse(&set, 1, good, NULL), LOAD_USAGE); /* --name is required */
}

static void test_endpoints(void **state) {
  (void)state;
  struct endpoint e;
  assert_true(endpoint_parse("IN=http://127.0.0.1:9104/", &e));
  assert_string_equal(e.label, "IN");
  assert_string_equal(e.url, "http://127.0.0.1:9104");
  assert_string_equal(e.host, "127.0.0.1:9104");
  assert_true(endpoint_parse("http://host:80", &e));
  assert_string_equal(e.label, "*");
  assert_string_equal(e.host, "host");
  static const char *const bad[] = {"",           "127.0.0.1:1", "ftp://x",   "http://",
                                    "http://h/p", "=http://h",   "http://u@h"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(endpoint_parse(bad[i], &e));
}

static void test_xml(void **state) {
  (void)state;
  struct slice doc =
      SLICE_LIT("<r xmlns='x'><Keys>no</Keys><Key>a&amp;b&#x26;&#38;&lt;</Key><Key>2</Key></r>");
  struct slice inner;
  BUF_AUTO text = BUF_INIT;
  assert_true(xml_next(&doc, "Key", &inner));
  xml_text(inner, &text);
  assert_string_equal(buf_str(&text), "a&b&&<");
  assert_true(xml_next(&doc, "Key", &inner));
  assert_true(slice_equal(inner, SLICE_LIT("2")));
  assert_false(xml_next(&doc, "Key", &inner));
  assert_false(xml_find(SLICE_LIT("<Key>open"), "Key", &inner));
}

/* Known answers: MD5 of "" (RFC 1321), and of two empty parts by md5sum. */
static void test_etags(void **state) {
  (void)state;
  char one[ETAG_HEX], many[ETAG_HEX + 8];
  etag_of(SLICE_LIT(""), one);
  assert_string_equal(one, "d41d8cd98f00b204e9800998ecf8427e");
  char parts[2][96] = {"d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"};
  assert_true(etag_of_parts(parts, 2, many));
  assert_string_equal(many, "5873dd45edd01f09c1ef2e7819369e8e-2");
  parts[1][0] = 'x';
  assert_false(etag_of_parts(parts, 2, many));
}

static void test_globs(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *key;
    bool match;
  } cases[] = {
      {"*/contacts/**", "u-1/contacts/a/b", true},
      {"*/contacts/**", "devices/u-1/contacts/a", false},
      {"*/contacts/**", "u-1/contacts", false},
      {"**", "a/b/c", true},
      {"*", "a/b", false},
      {"*.txt", "a.txt", true},
      {"a*c*e", "abcde", true},
      {"a*c*e", "abcdf", false},
      {"", "", true},
      {"a", "", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(verify_glob(cases[i].pattern, slice_str(cases[i].key)), cases[i].match);
  }
}

static void test_rules(void **state) {
  (void)state;
  struct verify_rule rule;
  assert_true(verify_rule_parse("cn:IN:*/sms/**", &rule));
  assert_string_equal(rule.label, "cn");
  assert_string_equal(rule.country, "IN");
  assert_string_equal(rule.pattern, "*/sms/**");
  static const char *const bad[] = {"", "cn", "cn:IN", "cn:IN:", ":IN:x", "cn::x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(verify_rule_parse(bad[i], &rule));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes), cmocka_unit_test(test_flags), cmocka_unit_test(test_endpoints),
      cmocka_unit_test(test_xml),   cmocka_unit_test(test_etags), cmocka_unit_test(test_globs),
      cmocka_unit_test(test_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
