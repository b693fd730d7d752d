/* The table of errors, and text in XML. */
#include "s3/xml.h"
#include "s3_testing.h"

static void every_error_is_complete(void **state) {
  (void)state;
  for (unsigned e = S3_OK + 1; e < S3_ERROR_COUNT; e++) {
    enum s3_error error = (enum s3_error)e;
    assert_true(strlen(s3_error_code(error)) > 3);
    assert_true(strlen(s3_error_message(error)) > 3);
    assert_in_range(s3_error_status(error), 304, 507);
    BUF_AUTO xml = BUF_INIT;
    s3_error_xml(error, &(struct s3_error_context){.request_id = SLICE_LIT("r")}, &xml);
    if (error == S3_ERR_NOT_MODIFIED)
      assert_int_equal(xml.len, 0);
    else
      assert_non_null(strstr(buf_str(&xml), s3_error_code(error)));
  }
}

static void statuses_are_those_of_s3(void **state) {
  (void)state;
  static const struct {
    enum s3_error error;
    const char *code;
    unsigned status;
  } rows[] = {
      {S3_ERR_ACCESS_DENIED, "AccessDenied", 403},
      {S3_ERR_NO_SUCH_KEY, "NoSuchKey", 404},
      {S3_ERR_NO_SUCH_BUCKET, "NoSuchBucket", 404},
      {S3_ERR_BUCKET_NOT_EMPTY, "BucketNotEmpty", 409},
      {S3_ERR_INVALID_RANGE, "InvalidRange", 416},
      {S3_ERR_PRECONDITION_FAILED, "PreconditionFailed", 412},
      {S3_ERR_MISSING_CONTENT_LENGTH, "MissingContentLength", 411},
      {S3_ERR_NOT_IMPLEMENTED, "NotImplemented", 501},
      {S3_ERR_SLOW_DOWN, "SlowDown", 503},
      {S3_ERR_RESIDENCY_VIOLATION, "ResidencyViolation", 451},
      {S3_ERR_SUBJECT_NOT_REGISTERED, "SubjectNotRegistered", 403},
      {S3_ERR_SUBJECT_COUNTRY_MISMATCH, "SubjectCountryMismatch", 409},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_string_equal(s3_error_code(rows[i].error), rows[i].code);
    assert_int_equal(s3_error_status(rows[i].error), rows[i].status);
  }
}

static void verdicts_of_auth_have_s3_codes(void **state) {
  (void)state;
  assert_int_equal(s3_error_of_auth(AUTH_OK), S3_OK);
  for (unsigned e = AUTH_OK + 1; e < AUTH_ERROR_COUNT; e++)
    assert_int_not_equal(s3_error_of_auth((enum auth_error)e), S3_OK);
  assert_string_equal(s3_error_code(s3_error_of_auth(AUTH_SIGNATURE_MISMATCH)), "SignatureDoesNotMatch");
  assert_string_equal(s3_error_code(s3_error_of_auth(AUTH_EXPIRED)), "AccessDenied");
  assert_string_equal(s3_error_message(s3_error_of_auth(AUTH_EXPIRED)), "Request has expired");
  assert_string_equal(s3_error_code(s3_error_of_auth(AUTH_PAYLOAD_MISMATCH)), "XAmzContentSHA256Mismatch");
  assert_string_equal(s3_error_code(s3_error_of_auth(AUTH_SIGV2)), "InvalidRequest");
}

static void an_error_reads_so(void **state) {
  (void)state;
  BUF_AUTO xml = BUF_INIT;
  s3_error_xml(S3_ERR_NO_SUCH_KEY,
               &(struct s3_error_context){.resource = SLICE_LIT("/photos/<a>"),
                                          .request_id = SLICE_LIT("4442587FB7D0A2F9"),
                                          .host_id = SLICE_LIT("cn"),
                                          .detail = "why & how"},
               &xml);
  assert_string_equal(
      buf_str(&xml),
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.: why &amp; how</Message>"
      "<Resource>/photos/&lt;a&gt;</Resource><RequestId>4442587FB7D0A2F9</RequestId>"
      "<HostId>cn</HostId></Error>");
}

static void any_bytes_become_readable_xml(void **state) {
  (void)state;
  static const struct {
    struct slice in;
    const char *out;
  } rows[] = {
      {{(const uint8_t *)"plain", 5}, "plain"},
      {{(const uint8_t *)"<&>\"'", 5}, "&lt;&amp;&gt;&quot;&apos;"},
      {{(const uint8_t *)"\t\n\r", 3}, "&#9;&#10;&#13;"},
      {{(const uint8_t *)"\x00\x01\x1F", 3}, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {{(const uint8_t *)"\x7F", 1}, "\x7F"},
      {{(const uint8_t *)"\xC3\xA9\xF0\x9F\x98\x80", 6}, "\xC3\xA9\xF0\x9F\x98\x80"},
      {{(const uint8_t *)"a\xFF"
                         "b",
        3},
       "a\xEF\xBF\xBD"
       "b"},
      {{(const uint8_t *)"\xEF\xBF\xBE\xEF\xBF\xBF", 6}, "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {{(const uint8_t *)"\xEF\xBF\xBD", 3}, "\xEF\xBF\xBD"},
      {{(const uint8_t *)"\xC3", 1}, "\xEF\xBF\xBD"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO out = BUF_INIT;
    xml_escape(&out, rows[i].in);
    assert_string_equal(buf_str(&out), rows[i].out);
  }
  BUF_AUTO url = BUF_INIT;
  xml_key(&url, "Key", SLICE_LIT("a/b c+\x01\xC3\xA9~"), true);
  assert_string_equal(buf_str(&url), "<Key>a/b%20c%2B%01%C3%A9~</Key>");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_error_is_complete),        cmocka_unit_test(statuses_are_those_of_s3),
      cmocka_unit_test(verdicts_of_auth_have_s3_codes), cmocka_unit_test(an_error_reads_so),
      cmocka_unit_test(any_bytes_become_readable_xml),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
