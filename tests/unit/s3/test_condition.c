/* Ranges and conditions. */
#include "s3_testing.h"

static void ranges_parse_as_s3_does(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum s3_range_kind kind;
    uint64_t first, last;
  } rows[] = {
      {"bytes=0-0", S3_RANGE_BOUNDS, 0, 0},
      {"bytes=5-9", S3_RANGE_BOUNDS, 5, 9},
      {"Bytes=5-9", S3_RANGE_BOUNDS, 5, 9},
      {"bytes=5-", S3_RANGE_FROM, 5, 0},
      {"bytes=-7", S3_RANGE_SUFFIX, 0, 7},
      {"bytes=-0", S3_RANGE_SUFFIX, 0, 0},
      {"bytes=9-5", S3_RANGE_NONE, 0, 0},
      {"bytes=", S3_RANGE_NONE, 0, 0},
      {"bytes=-", S3_RANGE_NONE, 0, 0},
      {"bytes=a-b", S3_RANGE_NONE, 0, 0},
      {"bytes=1-2,4-5", S3_RANGE_NONE, 0, 0},
      {"items=1-2", S3_RANGE_NONE, 0, 0},
      {"", S3_RANGE_NONE, 0, 0},
      {"bytes=+1-2", S3_RANGE_NONE, 0, 0},
      {"bytes=0-18446744073709551616", S3_RANGE_NONE, 0, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_range range = s3_range_parse(slice_str(rows[i].text));
    if (range.kind != rows[i].kind) fail_msg("%s", rows[i].text);
    if (range.kind == S3_RANGE_NONE) continue;
    assert_int_equal(range.first, rows[i].first);
    assert_int_equal(range.last, rows[i].last);
  }
}

/* Every range over every small size, against the definition: the bytes whose index the range holds. */
static void ranges_resolve_to_the_bytes_they_name(void **state) {
  (void)state;
  for (uint64_t size = 0; size < 6; size++) {
    for (uint64_t a = 0; a < 8; a++) {
      for (uint64_t b = 0; b < 8; b++) {
        for (int kind = S3_RANGE_NONE; kind <= S3_RANGE_SUFFIX; kind++) {
          if (kind == S3_RANGE_BOUNDS && b < a) continue;
          struct s3_range range = {.kind = (enum s3_range_kind)kind, .first = a, .last = b};
          uint64_t count = 0, least = UINT64_MAX;
          for (uint64_t i = 0; i < size; i++) {
            bool in = kind == S3_RANGE_NONE || (kind == S3_RANGE_BOUNDS && i >= a && i <= b) ||
                      (kind == S3_RANGE_FROM && i >= a) || (kind == S3_RANGE_SUFFIX && i + b >= size);
            if (in && least == UINT64_MAX) least = i;
            count += in ? 1 : 0;
          }
          uint64_t first = 99, got = 99;
          enum s3_error error = s3_range_resolve(&range, size, &first, &got);
          if (count == 0 && kind != S3_RANGE_NONE) {
            assert_int_equal(error, S3_ERR_INVALID_RANGE);
            assert_int_equal(first, 99);
          } else {
            assert_int_equal(error, S3_OK);
            assert_int_equal(got, count);
            if (count > 0) assert_int_equal(first, least);
          }
        }
      }
    }
  }
  struct s3_range huge = {.kind = S3_RANGE_BOUNDS, .first = 1, .last = UINT64_MAX};
  uint64_t first, count;
  assert_int_equal(s3_range_resolve(&huge, 10, &first, &count), S3_OK);
  assert_int_equal(count, 9);
}

static void copy_ranges_need_both_ends(void **state) {
  (void)state;
  struct s3_range range;
  assert_true(s3_copy_range_parse(SLICE_LIT("bytes=0-10"), &range));
  assert_int_equal(range.last, 10);
  static const char *const bad[] = {"bytes=0-",      "bytes=-5",          "0-2",
                                    "bytes=0",       "bytes=hello-world", "bytes=0-bar",
                                    "bytes=0-2,3-5", "bytes=2-1",         ""};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(s3_copy_range_parse(slice_str(bad[i]), &range));
}

#define TAG    "9e107d9d372bb6826bd81d3542a419d6"
#define SECOND UINT64_C(1000)

static void reads_follow_rfc_9110(void **state) {
  (void)state;
  static const struct {
    const char *if_match, *if_none_match;
    uint64_t modified_since_s, unmodified_since_s; /* 0: not sent; the object is of second 100 */
    enum s3_error error;
  } rows[] = {
      {"", "", 0, 0, S3_OK},
      {"\"" TAG "\"", "", 0, 0, S3_OK},
      {TAG, "", 0, 0, S3_OK},
      {"*", "", 0, 0, S3_OK},
      {"\"x\", \"" TAG "\"", "", 0, 0, S3_OK},
      {"\"x\"", "", 0, 0, S3_ERR_PRECONDITION_FAILED},
      {"", "\"" TAG "\"", 0, 0, S3_ERR_NOT_MODIFIED},
      {"", "W/\"" TAG "\"", 0, 0, S3_ERR_NOT_MODIFIED},
      {"", "*", 0, 0, S3_ERR_NOT_MODIFIED},
      {"", "\"x\"", 0, 0, S3_OK},
      {"", "", 100, 0, S3_ERR_NOT_MODIFIED},
      {"", "", 101, 0, S3_ERR_NOT_MODIFIED},
      {"", "", 99, 0, S3_OK},
      {"", "", 0, 100, S3_OK},
      {"", "", 0, 99, S3_ERR_PRECONDITION_FAILED},
      {TAG, "", 0, 99, S3_OK},      /* If-Match hides If-Unmodified-Since */
      {"", "\"x\"", 100, 0, S3_OK}, /* If-None-Match hides If-Modified-Since */
      {"", TAG, 99, 0, S3_ERR_NOT_MODIFIED},
      {"x", TAG, 0, 0, S3_ERR_PRECONDITION_FAILED}, /* the first step that fails decides */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_condition c = {.if_match = slice_str(rows[i].if_match),
                             .if_none_match = slice_str(rows[i].if_none_match),
                             .has_modified_since = rows[i].modified_since_s > 0,
                             .modified_since_ms = rows[i].modified_since_s * SECOND,
                             .has_unmodified_since = rows[i].unmodified_since_s > 0,
                             .unmodified_since_ms = rows[i].unmodified_since_s * SECOND};
    assert_int_equal(s3_condition_is_empty(&c), i == 0);
    enum s3_error error = s3_condition_read(&c, SLICE_LIT(TAG), 100 * SECOND + 999);
    if (error != rows[i].error) fail_msg("row %zu", i);
    if (error == S3_ERR_NOT_MODIFIED) error = S3_ERR_PRECONDITION_FAILED;
    assert_int_equal(s3_condition_copy(&c, SLICE_LIT(TAG), 100 * SECOND + 999), error);
  }
}

static void writes_compare_with_what_is_there(void **state) {
  (void)state;
  static const struct {
    const char *if_match, *if_none_match;
    bool exists;
    enum s3_error error;
  } rows[] = {
      {"", "", false, S3_OK},
      {"", "", true, S3_OK},
      {"", "*", false, S3_OK},
      {"", "*", true, S3_ERR_PRECONDITION_FAILED},
      {TAG, "", true, S3_OK},
      {"*", "", true, S3_OK},
      {"x", "", true, S3_ERR_PRECONDITION_FAILED},
      {TAG, "", false, S3_ERR_NO_SUCH_KEY},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_condition c = {.if_match = slice_str(rows[i].if_match),
                             .if_none_match = slice_str(rows[i].if_none_match)};
    struct slice etag = rows[i].exists ? SLICE_LIT(TAG) : (struct slice){0};
    assert_int_equal(s3_condition_write(&c, rows[i].exists, etag), rows[i].error);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ranges_parse_as_s3_does),
      cmocka_unit_test(ranges_resolve_to_the_bytes_they_name),
      cmocka_unit_test(copy_ranges_need_both_ends),
      cmocka_unit_test(reads_follow_rfc_9110),
      cmocka_unit_test(writes_compare_with_what_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
