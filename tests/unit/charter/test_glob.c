/* Key patterns, against a naive matcher over every small pattern and key. */
#include "charter_testing.h"

#include "charter/model.h"

static bool naive(const char *glob, const char *key) {
  if (*glob == 0) return *key == 0;
  if (glob[0] == '*' && glob[1] == '*') {
    for (;; key++) {
      if (naive(glob + 2, key)) return true;
      if (*key == 0) return false;
    }
  }
  if (*glob == '*') {
    for (;; key++) {
      if (naive(glob + 1, key)) return true;
      if (*key == 0 || *key == '/') return false;
    }
  }
  return *glob == *key && naive(glob + 1, key + 1);
}

enum { LEN_MAX = 6 };

/* The n-th text over a 3-letter alphabet, of `len` letters. */
static void nth_text(const char *alphabet, unsigned n, unsigned len, char out[LEN_MAX + 1]) {
  for (unsigned i = 0; i < len; i++, n /= 3) out[i] = alphabet[n % 3];
  out[len] = 0;
}

static unsigned power3(unsigned n) {
  return n == 0 ? 1 : 3 * power3(n - 1);
}

static unsigned compare_all_keys(const char *glob) {
  unsigned compared = 0;
  char key[LEN_MAX + 1];
  for (unsigned len = 0; len <= LEN_MAX - 1; len++)
    for (unsigned n = 0; n < power3(len); n++, compared++) {
      nth_text("ab/", n, len, key);
      if (glob_match(slice_str(glob), slice_str(key)) != naive(glob, key))
        fail_msg("%s against %s", glob, key);
    }
  return compared;
}

static void test_exhaustive(void **state) {
  (void)state;
  unsigned compared = 0;
  char glob[LEN_MAX + 1];
  const char *why;
  for (unsigned len = 1; len <= LEN_MAX; len++)
    for (unsigned n = 0; n < power3(len); n++) {
      nth_text("a/*", n, len, glob);
      bool valid = glob_valid(slice_str(glob), &why);
      assert_int_equal(valid, strstr(glob, "***") == NULL);
      if (valid) compared += compare_all_keys(glob);
    }
  print_message("%u comparisons\n", compared);
  assert_true(compared > 100000);
}

static void test_bytes_and_escapes(void **state) {
  (void)state;
  const uint8_t odd[] = {'a', 0, 0xff, '/', 'x'};
  assert_true(glob_match(SLICE_LIT("a*/x"), slice_of(odd, sizeof odd)));
  assert_true(glob_match(SLICE_LIT("\\*/**"), SLICE_LIT("*/x")));
  assert_false(glob_match(SLICE_LIT("\\*/**"), SLICE_LIT("a/x")));
  assert_true(glob_match(SLICE_LIT("\\\\*"), SLICE_LIT("\\b")));
  assert_true(glob_match(SLICE_LIT("[a]?"), SLICE_LIT("[a]?")));
  assert_false(glob_match(SLICE_LIT("*/SMS/**"), SLICE_LIT("u/sms/1")));
  assert_true(glob_match(SLICE_LIT("*/sms/**"), SLICE_LIT("u/sms/")));
  assert_false(glob_match(SLICE_LIT("*/sms/**"), SLICE_LIT("x/u/sms/1")));
}

/* A key of the longest kind against a pattern made to backtrack: bytes times bytes, not exponential. */
static void test_worst_pattern_ends(void **state) {
  (void)state;
  char glob[CHARTER_GLOB_BYTES_MAX + 1], key[1025];
  for (size_t i = 0; i + 4 <= CHARTER_GLOB_BYTES_MAX; i += 4) memcpy(glob + i, i % 8 ? "**aa" : "a*a*", 4);
  glob[CHARTER_GLOB_BYTES_MAX - 1] = 'b';
  glob[CHARTER_GLOB_BYTES_MAX] = 0;
  memset(key, 'a', 1024);
  key[1024] = 0;
  assert_false(glob_match(slice_str(glob), slice_str(key)));
  key[1023] = 'b';
  assert_true(glob_match(slice_str(glob), slice_str(key)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exhaustive),
      cmocka_unit_test(test_bytes_and_escapes),
      cmocka_unit_test(test_worst_pattern_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
