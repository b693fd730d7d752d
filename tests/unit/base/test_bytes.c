#include "unit.h"

#include "base/alloc.h"

#define S(text) slice_str(text)

static void test_compare(void **state) {
  (void)state;
  /* In ascending order, as listings need it: bytes, not characters. */
  static const char *const order[] = {"", "A", "A0", "AA", "B", "a", "a\x7f", "a\xc3\xa9", "b", "\xff"};
  for (int i = 0; i < 10; i++) {
    for (int k = 0; k < 10; k++) {
      int got = slice_compare(S(order[i]), S(order[k]));
      assert_int_equal((got > 0) - (got < 0), (i > k) - (i < k));
      assert_int_equal(slice_equal(S(order[i]), S(order[k])), i == k);
      assert_int_equal(slice_equal_secret(S(order[i]), S(order[k])), i == k);
    }
  }
  assert_true(slice_equal(slice_of(NULL, 0), S("")));
}

static void test_prefix_find_cut(void **state) {
  (void)state;
  assert_true(slice_starts_with(S("abc"), S("")));
  assert_true(slice_starts_with(S("abc"), S("abc")));
  assert_false(slice_starts_with(S("abc"), S("abcd")));
  assert_false(slice_starts_with(S("abc"), S("b")));
  assert_int_equal(slice_find(S("a/b/"), '/'), 1);
  assert_int_equal(slice_find(S("ab"), '/'), 2);
  assert_int_equal(slice_find(slice_of(NULL, 0), '/'), 0);
  assert_true(slice_equal(slice_cut(S("abcd"), 1, 3), S("bc")));
  assert_int_equal(slice_cut(S("abcd"), 4, 4).len, 0);
  assert_int_equal(slice_cut(slice_of(NULL, 0), 0, 0).len, 0);
}

static void test_nocase(void **state) {
  (void)state;
  assert_true(slice_equal_nocase(S("Content-Type"), S("cONTENT-tYPE")));
  assert_false(slice_equal_nocase(S("a"), S("ab")));
  assert_false(slice_equal_nocase(S("@"), S("`"))); /* 0x40 and 0x60 differ by the case bit only */
  assert_false(slice_equal_nocase(S("["), S("{")));
}

static void test_to_u64(void **state) {
  (void)state;
  uint64_t v = 7;
  assert_ok(slice_to_u64(S("0"), &v));
  assert_int_equal(v, 0);
  assert_ok(slice_to_u64(S("18446744073709551615"), &v));
  assert_true(v == UINT64_MAX);
  assert_ok(slice_to_u64(S("007"), &v));
  static const char *const bad[] = {"",
                                    "-1",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1a",
                                    "0x1",
                                    "18446744073709551616",
                                    "99999999999999999999",
                                    "184467440737095516150"};
  v = 7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(slice_to_u64(S(bad[i]), &v), DOM_INVALID);
  assert_int_equal(v, 7);
}

static void test_buf_grows(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  for (unsigned i = 0; i < 1000; i++) buf_append_byte(&b, (uint8_t)i);
  assert_int_equal(b.len, 1000);
  for (unsigned i = 0; i < 1000; i++) assert_int_equal(b.data[i], (uint8_t)i);
  buf_reset(&b);
  buf_append_str(&b, "a");
  buf_append_slice(&b, S("bc"));
  buf_append_slice(&b, slice_of(NULL, 0));
  buf_append_zero(&b, 2);
  buf_printf(&b, "%d-%s", 42, "x");
  assert_int_equal(b.len, 9);
  assert_memory_equal(b.data, "abc\0\00042-x", 9);
  assert_ok(buf_check(&b, NULL));
  assert_string_equal(buf_str(&b), "abc");
  assert_int_equal(b.len, 9); /* the NUL is not counted */
}

static void test_buf_fails_for_good(void **state) {
  (void)state;
  struct buf b = BUF_INIT;
  buf_append_str(&b, "kept");
  dom_alloc_fail_after(0, 1);
  buf_append_zero(&b, 1000);
  assert_true(b.failed);
  buf_append_str(&b, "!"); /* there would be room and memory */
  assert_int_equal(b.len, 4);
  assert_string_equal(buf_str(&b), "");
  struct dom_err err = {0};
  assert_int_equal(buf_check(&b, &err), DOM_NO_MEMORY);
  assert_int_equal(err.code, DOM_NO_MEMORY);
  buf_reset(&b);
  buf_append_str(&b, "again");
  assert_string_equal(buf_str(&b), "again");
  assert_false(buf_reserve(&b, SIZE_MAX - 2)); /* no wrap */
  buf_done(&b);
  assert_null(b.data);
  buf_append_str(&b, "usable");
  buf_wipe_done(&b);
  buf_wipe_done(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_compare),   cmocka_unit_test(test_prefix_find_cut),
      cmocka_unit_test(test_nocase),    cmocka_unit_test(test_to_u64),
      cmocka_unit_test(test_buf_grows), cmocka_unit_test(test_buf_fails_for_good),
  };
  return cmocka_run_group_tests_name("base-bytes", tests, NULL, NULL);
}
