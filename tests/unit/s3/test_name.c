/* Bucket names, keys, and what Host and path address. */
#include "s3_testing.h"

static void bucket_names_follow_the_rules(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool valid;
  } rows[] = {
      {"abc", true},
      {"a-b", true},
      {"a.b.c", true},
      {"123", true},
      {"1.2.3", true},
      {"1.2.3.4.5", true},
      {"a--b", true},
      {"bucket-2024", true},
      {"", false},
      {"ab", false},
      {"Abc", false},
      {"abC", false},
      {"a_b", false},
      {"a b", false},
      {"-abc", false},
      {"abc-", false},
      {".abc", false},
      {"abc.", false},
      {"a..b", false},
      {"a.-b", false},
      {"a-.b", false},
      {"1.2.3.4", false},
      {"192.168.5.4", false},
      {"xn--abc", false},
      {"abc-s3alias", false},
      {"abc--ol-s3", false},
      {"sthree-abc", false},
      {"a/b", false},
      {"\xC3\xA9\xC3\xA9", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (s3_bucket_name_valid(slice_str(rows[i].name)) != rows[i].valid) fail_msg("%s", rows[i].name);
  char longest[65];
  memset(longest, 'a', sizeof longest);
  assert_true(s3_bucket_name_valid(slice_of(longest, 63)));
  assert_false(s3_bucket_name_valid(slice_of(longest, 64)));
}

static void every_byte_of_a_bucket_name_is_judged(void **state) {
  (void)state;
  for (unsigned c = 0; c < 256; c++) {
    uint8_t name[3] = {'a', (uint8_t)c, 'b'};
    bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    assert_int_equal(s3_bucket_name_valid(slice_of(name, 3)), allowed);
  }
}

static void keys_are_utf8_of_bounded_length(void **state) {
  (void)state;
  char key[1025];
  memset(key, 'k', sizeof key);
  assert_int_equal(s3_key_check(slice_of(key, 1024)), S3_OK);
  assert_int_equal(s3_key_check(slice_of(key, 1025)), S3_ERR_KEY_TOO_LONG);
  assert_int_equal(s3_key_check(SLICE_LIT("")), S3_ERR_INVALID_URI);
  assert_int_equal(s3_key_check(SLICE_LIT("\n\x01 ~")), S3_OK);
  assert_int_equal(s3_key_check(SLICE_LIT("\xF0\x9F\x98\x80")), S3_OK);
  assert_int_equal(s3_key_check(SLICE_LIT("\xED\xA0\x80")), S3_ERR_INVALID_URI);
  assert_int_equal(s3_key_check(SLICE_LIT("a\0b")), S3_ERR_INVALID_URI);
}

static void host_and_path_name_the_target(void **state) {
  static const struct {
    const char *host, *path, *bucket, *key;
    bool host_style;
  } rows[] = {
      {"127.0.0.1:9101", "/", "", "", false},
      {"127.0.0.1:9101", "/photos/a", "photos", "a", false},
      {"", "/photos/a", "photos", "a", false},
      {"[::1]:9101", "/photos/a", "photos", "a", false},
      {"s3.example.org", "/photos/a", "photos", "a", false},
      {"S3.EXAMPLE.ORG:80", "/photos/a", "photos", "a", false},
      {"other.example.org", "/photos/a", "photos", "a", false},
      {"photos.s3.example.org", "/a/b", "photos", "a/b", true},
      {"Photos.S3.Example.org:443", "/a", "photos", "a", true},
      {"my.photos.s3.example.org", "/", "my.photos", "", true},
      {"photos.localhost:9101", "//x", "photos", "/x", true},
      {"photos.localhost:9101", "/-/healthz", "photos", "-/healthz", true},
      {"xs3.example.org", "/photos/a", "photos", "a", false},
      {"127.0.0.1", "/photos/%2Fa%2f", "photos", "/a/", false},
      {"127.0.0.1", "/pho%74os/k", "photos", "k", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_target target;
    enum s3_error error =
        s3_target_parse(slice_str(rows[i].host), slice_str(rows[i].path), &test_domains, *state, &target);
    if (error != S3_OK) fail_msg("row %zu: %s", i, s3_error_code(error));
    assert_slice(target.bucket, rows[i].bucket);
    assert_slice(target.key, rows[i].key);
    assert_int_equal(target.is_host_style, rows[i].host_style);
  }
}

static void wrong_targets_are_refused(void **state) {
  struct s3_target target;
  const struct s3_domains *d = &test_domains;
  assert_int_equal(s3_target_parse(SLICE_LIT("x_y.localhost"), SLICE_LIT("/"), d, *state, &target),
                   S3_ERR_INVALID_BUCKET_NAME);
  assert_int_equal(s3_target_parse(SLICE_LIT("h"), SLICE_LIT("*"), d, *state, &target), S3_ERR_INVALID_URI);
  assert_int_equal(s3_target_parse(SLICE_LIT("h"), SLICE_LIT("/-/healthz"), d, *state, &target),
                   S3_ERR_INVALID_BUCKET_NAME);
  assert_int_equal(s3_target_parse(SLICE_LIT("h"), SLICE_LIT("/abc/%"), d, *state, &target),
                   S3_ERR_INVALID_URI);
  struct arena *tiny = arena_new(1);
  assert_int_equal(s3_target_parse(SLICE_LIT("h"), SLICE_LIT("/abc/%41%41%41%41%41"), d, tiny, &target),
                   S3_ERR_INTERNAL_ERROR);
  arena_free(tiny);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bucket_names_follow_the_rules),
      cmocka_unit_test(every_byte_of_a_bucket_name_is_judged),
      cmocka_unit_test(keys_are_utf8_of_bounded_length),
      arena_test(host_and_path_name_the_target),
      arena_test(wrong_targets_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
