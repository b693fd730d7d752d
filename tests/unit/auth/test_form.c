/* Forms: AWS's published example, and every field of it that counts. */
#include "auth_testing.h"

/* AWS S3 API reference, "Examples: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)": the
 * policy of 2015-12-30, in the base64 of that page. */
#define POLICY                                                                                               \
  "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6" \
  "ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFj" \
  "bCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tl" \
  "dC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5" \
  "cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZl" \
  "ci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoN" \
  "CiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVx" \
  "dWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAx" \
  "NTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
#define SIGNATURE "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
#define SCOPE     EXAMPLE_ACCESS "/20151229/us-east-1/s3/aws4_request"
#define THEN_MS   UINT64_C(1451347200000) /* 2015-12-29 */
#define DAY_MS    UINT64_C(86400000)

static struct auth_form example(void) {
  return (struct auth_form){.algorithm = SLICE_LIT("AWS4-HMAC-SHA256"),
                            .credential = SLICE_LIT(SCOPE),
                            .date = SLICE_LIT("20151229T000000Z"),
                            .signature = SLICE_LIT(SIGNATURE),
                            .policy = SLICE_LIT(POLICY)};
}

static enum auth_error verify(const struct auth_form *f, uint64_t now_ms, const char *region,
                              struct auth_result *out) {
  struct auth_keys *keys = example_keys();
  struct auth_config config = {
      .lookup = auth_keys_find, .lookup_context = keys, .region_pinned = slice_str(region)};
  struct auth_verifier *verifier = auth_verifier_new(&config);
  struct arena *arena = arena_new(1 << 16);
  memset(out, 7, sizeof *out);
  enum auth_error error = auth_verify_form(verifier, f, now_ms, arena, out);
  if (error == AUTH_OK) {
    assert_true(slice_equal(out->account, SLICE_LIT("tenant-a")));
    assert_true(slice_equal(out->access_key, SLICE_LIT(EXAMPLE_ACCESS)));
    assert_true(auth_result_is_proven(out) && out->scheme == AUTH_FORM && !out->is_operator);
    assert_string_equal(out->date, "20151229T000000Z");
  } else {
    assert_int_equal(out->account.len, 0x0707070707070707);
  }
  arena_free(arena);
  auth_verifier_free(verifier);
  auth_keys_free(keys);
  return error;
}

static void the_published_example(void **state) {
  struct auth_form f = example();
  struct auth_result result;
  (void)state;
  assert_int_equal(verify(&f, THEN_MS, "", &result), AUTH_OK);
  assert_int_equal(verify(&f, THEN_MS, "us-east-1", &result), AUTH_OK);
  assert_int_equal(verify(&f, THEN_MS, "eu-west-1", &result), AUTH_FORM_MALFORMED);
}

static void its_time(void **state) {
  struct auth_form f = example();
  struct auth_result result;
  (void)state;
  assert_int_equal(verify(&f, THEN_MS - AUTH_SKEW_MS_MAX, "", &result), AUTH_OK);
  assert_int_equal(verify(&f, THEN_MS - AUTH_SKEW_MS_MAX - 1, "", &result), AUTH_NOT_YET_VALID);
  assert_int_equal(verify(&f, THEN_MS + 7 * DAY_MS - 1, "", &result), AUTH_OK);
  assert_int_equal(verify(&f, THEN_MS + 7 * DAY_MS, "", &result), AUTH_EXPIRED);
}

static void every_field_counts(void **state) {
  static const struct {
    size_t field;
    const char *value;
    enum auth_error error;
  } rows[] = {
      {offsetof(struct auth_form, algorithm), "AWS4-HMAC-SHA1", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, algorithm), "", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, credential), EXAMPLE_ACCESS, AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, credential), "OTHER/20151229/us-east-1/s3/aws4_request",
       AUTH_SIGNATURE_MISMATCH},
      {offsetof(struct auth_form, credential), "NOBODY/20151229/us-east-1/s3/aws4_request",
       AUTH_UNKNOWN_ACCESS_KEY},
      {offsetof(struct auth_form, credential), EXAMPLE_ACCESS "/20151229/us-east-2/s3/aws4_request",
       AUTH_SIGNATURE_MISMATCH},
      {offsetof(struct auth_form, credential), EXAMPLE_ACCESS "/20151228/us-east-1/s3/aws4_request",
       AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, credential), EXAMPLE_ACCESS "/20151229/us-east-1/ec2/aws4_request",
       AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, date), "20151228T000000Z", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, date), "today", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, signature),
       "8AFDBF4008C03F22C2CD3CDB72E4AFBB1F6A588F3255AC628749A66D7F09699E", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, signature),
       "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699f", AUTH_SIGNATURE_MISMATCH},
      {offsetof(struct auth_form, signature), "", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, policy), "eyB9", AUTH_SIGNATURE_MISMATCH},
      {offsetof(struct auth_form, policy), "", AUTH_FORM_MALFORMED},
      {offsetof(struct auth_form, token), "t", AUTH_INVALID_TOKEN},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct auth_form f = example();
    struct auth_result result;
    *(struct slice *)(void *)((char *)&f + rows[i].field) = slice_str(rows[i].value);
    enum auth_error error = verify(&f, THEN_MS, "", &result);
    if (error != rows[i].error) fail_msg("row %zu: %s", i, auth_error_name(error));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_published_example), cmocka_unit_test(its_time),
                                     cmocka_unit_test(every_field_counts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
