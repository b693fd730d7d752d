#include "unit.h"

#include "base/alloc.h"

static void test_hex(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  hex_encode(&b, slice_of("\x00\x7f\xab\xff", 4));
  assert_string_equal(buf_str(&b), "007fabff");
  uint8_t out[4] = {9, 9, 9, 9};
  size_t len = 99;
  assert_int_equal(hex_decode(slice_str("abc"), out, 4, &len), DOM_INVALID);
  assert_int_equal(hex_decode(slice_str("0g"), out, 4, &len), DOM_INVALID);
  assert_int_equal(hex_decode(slice_str("0 "), out, 4, &len), DOM_INVALID);
  assert_int_equal(hex_decode(slice_str("0011223344"), out, 4, &len), DOM_TOO_LARGE);
  assert_int_equal(len, 99);
  assert_int_equal(out[0], 9);
  assert_ok(hex_decode(slice_str("aBcD"), out, 4, &len));
  assert_int_equal(len, 2);
  assert_memory_equal(out, "\xab\xcd\x09", 3);
  assert_ok(hex_decode(slice_str(""), NULL, 0, &len));
  assert_int_equal(len, 0);
}

/* RFC 4648 §10. */
static void test_base64_vectors(void **state) {
  (void)state;
  static const char *const vectors[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    BUF_AUTO text = BUF_INIT, bytes = BUF_INIT;
    base64_encode(&text, slice_str(vectors[i][0]));
    assert_string_equal(buf_str(&text), vectors[i][1]);
    assert_ok(base64_decode(slice_str(vectors[i][1]), &bytes));
    assert_string_equal(buf_str(&bytes), vectors[i][0]);
  }
}

static void test_base64_round_trip(void **state) {
  (void)state;
  uint8_t bytes[256];
  for (unsigned i = 0; i < 256; i++) bytes[i] = (uint8_t)(i * 7);
  for (size_t len = 0; len <= 256; len++) {
    BUF_AUTO text = BUF_INIT, back = BUF_INIT;
    base64_encode(&text, slice_of(bytes, len));
    assert_ok(base64_decode(buf_slice(&text), &back));
    assert_true(slice_equal(buf_slice(&back), slice_of(bytes, len)));
  }
}

static void test_base64_refuses(void **state) {
  (void)state;
  static const char *const bad[] = {"Zg",   "Zg=",  "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9v",
                                    "Zm9-", "Zm9_", "=Zg=", "Zh==", "Zm9=",     "Zm9vZ"};
  BUF_AUTO out = BUF_INIT;
  buf_append_str(&out, "before");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(base64_decode(slice_str(bad[i]), &out), DOM_INVALID);
    assert_string_equal(buf_str(&out), "before"); /* untouched on failure */
  }
}

static void test_percent(void **state) {
  (void)state;
  BUF_AUTO out = BUF_INIT;
  percent_encode(&out, slice_str("aZ09-._~ /+%\xc3\xa9*"), false);
  assert_string_equal(buf_str(&out), "aZ09-._~%20%2F%2B%25%C3%A9%2A");
  buf_reset(&out);
  percent_encode(&out, slice_str("a/b c"), true);
  assert_string_equal(buf_str(&out), "a/b%20c");
  buf_reset(&out);
  assert_ok(percent_decode(slice_str("a%2fb+c%C3%a9%00"), false, &out));
  assert_int_equal(out.len, 8);
  assert_memory_equal(out.data, "a/b+c\xc3\xa9\0", 8);
  buf_reset(&out);
  assert_ok(percent_decode(slice_str("a+b%2B"), true, &out));
  assert_string_equal(buf_str(&out), "a b+");
  static const char *const bad[] = {"%", "%1", "a%", "a%4", "%zz", "%4g", "%%41"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(percent_decode(slice_str(bad[i]), false, &out), DOM_INVALID);
  assert_string_equal(buf_str(&out), "a b+");
}

static void test_percent_round_trip(void **state) {
  (void)state;
  uint8_t all[256];
  for (unsigned i = 0; i < 256; i++) all[i] = (uint8_t)i;
  BUF_AUTO text = BUF_INIT, back = BUF_INIT;
  percent_encode(&text, slice_of(all, 256), false);
  assert_ok(percent_decode(buf_slice(&text), true, &back));
  assert_true(slice_equal(buf_slice(&back), slice_of(all, 256)));
}

/* RFC 3629: borders of each length, and what lies just outside. */
static void test_utf8(void **state) {
  (void)state;
  static const char *const good[] = {"",
                                     "a",
                                     "\x7f",
                                     "\xc2\x80",
                                     "\xdf\xbf",
                                     "\xe0\xa0\x80",
                                     "\xed\x9f\xbf",
                                     "\xee\x80\x80",
                                     "\xef\xbf\xbf",
                                     "\xf0\x90\x80\x80",
                                     "\xf4\x8f\xbf\xbf",
                                     "a\xc3\xa9\xe2\x82\xac"};
  static const char *const bad[] = {"\x80",
                                    "\xbf",
                                    "\xc0\x80",
                                    "\xc1\xbf",
                                    "\xc2",
                                    "\xc2"
                                    "a",
                                    "\xe0\x9f\xbf",
                                    "\xed\xa0\x80",
                                    "\xed\xbf\xbf",
                                    "\xe2\x82",
                                    "\xe2\x82"
                                    "a",
                                    "\xf0\x8f\xbf\xbf",
                                    "\xf4\x90\x80\x80",
                                    "\xf5\x80\x80\x80",
                                    "\xff",
                                    "\xf0\x90\x80",
                                    "ok\xfe"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(utf8_valid(slice_str(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(utf8_valid(slice_str(bad[i])));
  assert_true(utf8_valid(slice_of("a\0b", 3)));
}

static void test_failures_stick(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  dom_alloc_fail_after(0, 1);
  hex_encode(&b, slice_str("x"));
  assert_true(b.failed);
  buf_reset(&b);
  dom_alloc_fail_after(0, 1);
  base64_encode(&b, slice_str("x"));
  assert_true(b.failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hex),
      cmocka_unit_test(test_base64_vectors),
      cmocka_unit_test(test_base64_round_trip),
      cmocka_unit_test(test_base64_refuses),
      cmocka_unit_test(test_percent),
      cmocka_unit_test(test_percent_round_trip),
      cmocka_unit_test(test_utf8),
      cmocka_unit_test(test_failures_stick),
  };
  return cmocka_run_group_tests_name("base-text", tests, NULL, NULL);
}
