/* Heads: AWS's published examples, and everything that must not pass. */
#include "auth_testing.h"
#include "base/alloc.h"

/* ---- AWS S3 API reference, "Examples: signature calculations" ---- */

static void draft_get_range(struct draft *d) {
  draft_init(d, "GET", "/test.txt", "");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "Range", "bytes=0-9");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;range;x-amz-content-sha256;x-amz-date",
                          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

static void draft_put(struct draft *d) {
  draft_init(d, "PUT", "/test%24file.text", "");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "Date", "Fri, 24 May 2013 00:00:00 GMT");
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  draft_add(d, "x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  draft_add(d, "Authorization",
            AUTHORIZATION("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

static void draft_lifecycle(struct draft *d) {
  draft_init(d, "GET", "/", "lifecycle");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;x-amz-content-sha256;x-amz-date",
                          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

static void draft_list(struct draft *d) {
  draft_init(d, "GET", "/", "max-keys=2&prefix=J");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;x-amz-content-sha256;x-amz-date",
                          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

#define PRESIGNED_QUERY                                                                                      \
  "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"            \
  "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
#define PRESIGNED_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

static void draft_presigned(struct draft *d) {
  draft_init(d, "GET", "/test.txt", PRESIGNED_QUERY "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
}

static void published_examples_verify(void **state) {
  (void)state;
  void (*const drafts[])(struct draft *) = {draft_get_range, draft_put, draft_lifecycle, draft_list,
                                            draft_presigned};
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof drafts / sizeof drafts[0]; i++) {
    struct draft d;
    struct auth_result result;
    drafts[i](&d);
    /* Twice: computed, then from the cache of signing keys. */
    for (int round = 0; round < 2; round++) {
      assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
      assert_true(slice_equal(result.access_key, SLICE_LIT(EXAMPLE_ACCESS)));
      assert_true(slice_equal(result.account, SLICE_LIT("tenant-a")));
      assert_false(result.is_operator);
      assert_true(auth_result_is_proven(&result));
      assert_int_equal(result.scheme, drafts[i] == draft_presigned ? AUTH_QUERY : AUTH_HEADER);
      assert_int_equal(result.payload,
                       drafts[i] == draft_presigned ? AUTH_PAYLOAD_UNSIGNED : AUTH_PAYLOAD_SIGNED);
    }
  }
  bench_done(&b);
}

static void every_byte_of_a_signature_counts(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_get_range(&d);
  const char *good = (const char *)d.headers[4].value.data;
  size_t len = strlen(good);
  for (size_t at = len - AUTH_SIGNATURE_HEX; at < len; at++) {
    char *bad = strdup(good);
    bad[at] = bad[at] == '0' ? '1' : '0';
    draft_set(&d, "Authorization", bad);
    assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
    bad[at] = 'A';
    assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_HEADER_MALFORMED);
    free(bad);
  }
  bench_done(&b);
}

/* ---- what must not pass ---- */

struct change {
  const char *what;
  const char *name, *value; /* set this header; value NULL: drop it */
  enum auth_error error;
};

#define SCOPED(access, scope)                                                                                \
  "AWS4-HMAC-SHA256 Credential=" access "/" scope                                                            \
  ",SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=" EMPTY_SHA256

static const struct change changes[] = {
    {"another range", "Range", "bytes=0-8", AUTH_SIGNATURE_MISMATCH},
    {"another host", "Host", "other.s3.amazonaws.com", AUTH_SIGNATURE_MISMATCH},
    {"a signed header is gone", "Range", NULL, AUTH_SIGNATURE_MISMATCH},
    {"another payload", "x-amz-content-sha256", "UNSIGNED-PAYLOAD", AUTH_SIGNATURE_MISMATCH},
    {"no such payload", "x-amz-content-sha256", "MAYBE", AUTH_INVALID_PAYLOAD_HASH},
    {"short payload hash", "x-amz-content-sha256", "e3b0", AUTH_INVALID_PAYLOAD_HASH},
    {"an unsigned x-amz header", "x-amz-acl", "public-read", AUTH_UNSIGNED_HEADERS},
    {"an unsigned x-amz header in capitals", "X-AMZ-ACL", "public-read", AUTH_UNSIGNED_HEADERS},
    {"an unsigned header of ours", "x-domicile-region", "cn", AUTH_UNSIGNED_HEADERS},
    {"an unsigned other header", "x-other", "fine", AUTH_OK},
    {"a session token", "x-amz-security-token", "t", AUTH_UNSIGNED_HEADERS},
    {"no date at all", "x-amz-date", NULL, AUTH_ACCESS_DENIED},
    {"no date at all, really", "x-amz-date", "yesterday", AUTH_ACCESS_DENIED},
    {"a date of another day", "x-amz-date", "20130525T000000Z", AUTH_HEADER_MALFORMED},
    {"a date a second off", "x-amz-date", "20130524T000001Z", AUTH_SIGNATURE_MISMATCH},
    {"no host signed", "Authorization", AUTHORIZATION("range;x-amz-content-sha256;x-amz-date", EMPTY_SHA256),
     AUTH_UNSIGNED_HEADERS},
    {"another key", "Authorization", SCOPED("OTHER", "20130524/us-east-1/s3/aws4_request"),
     AUTH_SIGNATURE_MISMATCH},
    {"no such key", "Authorization", SCOPED("NOBODY", "20130524/us-east-1/s3/aws4_request"),
     AUTH_UNKNOWN_ACCESS_KEY},
    {"another region", "Authorization", SCOPED(EXAMPLE_ACCESS, "20130524/eu-west-1/s3/aws4_request"),
     AUTH_SIGNATURE_MISMATCH},
    {"another service", "Authorization", SCOPED(EXAMPLE_ACCESS, "20130524/us-east-1/ec2/aws4_request"),
     AUTH_HEADER_MALFORMED},
    {"another terminator", "Authorization", SCOPED(EXAMPLE_ACCESS, "20130524/us-east-1/s3/aws5_request"),
     AUTH_HEADER_MALFORMED},
    {"a bad scope date", "Authorization", SCOPED(EXAMPLE_ACCESS, "2013052/us-east-1/s3/aws4_request"),
     AUTH_HEADER_MALFORMED},
    {"too short a scope", "Authorization", SCOPED(EXAMPLE_ACCESS, "20130524/us-east-1/s3"),
     AUTH_HEADER_MALFORMED},
    {"too long a scope", "Authorization", SCOPED(EXAMPLE_ACCESS, "20130524/us-east-1/s3/aws4_request/x"),
     AUTH_HEADER_MALFORMED},
    {"no access key", "Authorization", SCOPED("", "20130524/us-east-1/s3/aws4_request"),
     AUTH_HEADER_MALFORMED},
    {"nothing but a scheme", "Authorization", "AWS4-HMAC-SHA256 ", AUTH_UNSUPPORTED_TYPE},
    {"no signature", "Authorization", "AWS4-HMAC-SHA256 Credential=" EXAMPLE_SCOPE ",SignedHeaders=host",
     AUTH_HEADER_MALFORMED},
    {"a field twice", "Authorization", AUTHORIZATION("host", EMPTY_SHA256) ",Signature=" EMPTY_SHA256,
     AUTH_HEADER_MALFORMED},
    {"an unknown field", "Authorization", AUTHORIZATION("host", EMPTY_SHA256) ",More=1",
     AUTH_HEADER_MALFORMED},
    {"a short signature", "Authorization", AUTHORIZATION("host", "abc"), AUTH_HEADER_MALFORMED},
    {"SigV2", "Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", AUTH_SIGV2},
    {"Basic", "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", AUTH_UNSUPPORTED_TYPE},
    {"another algorithm", "Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x", AUTH_UNSUPPORTED_TYPE},
};

static void changes_are_found(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    struct draft d;
    struct auth_result result;
    draft_get_range(&d);
    if (changes[i].value == NULL)
      draft_drop(&d, changes[i].name);
    else
      draft_set(&d, changes[i].name, changes[i].value);
    enum auth_error error = bench_verify(&b, &d.request, &result);
    if (error != changes[i].error) fail_msg("%s: %s", changes[i].what, auth_error_name(error));
  }
  bench_done(&b);
}

static void line_query_and_method_are_bound(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  static const struct {
    const char *method, *path, *query;
    enum auth_error error;
  } rows[] = {
      {"GET", "/test.txt", "", AUTH_OK},
      {"GET", "/%74est.txt", "", AUTH_OK}, /* the same path, encoded more than needed */
      {"HEAD", "/test.txt", "", AUTH_SIGNATURE_MISMATCH},
      {"GET", "/test.txt/", "", AUTH_SIGNATURE_MISMATCH},
      {"GET", "//test.txt", "", AUTH_SIGNATURE_MISMATCH},
      {"GET", "/./test.txt", "", AUTH_SIGNATURE_MISMATCH},
      {"GET", "/test.txt", "acl", AUTH_SIGNATURE_MISMATCH},
      {"GET", "/%zz", "", AUTH_INVALID_URI},
      {"GET", "/test.txt", "a=%zz", AUTH_INVALID_URI},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    draft_get_range(&d);
    d.request.method = slice_str(rows[i].method);
    d.request.raw_path = slice_str(rows[i].path);
    d.request.raw_query = slice_str(rows[i].query);
    assert_int_equal(bench_verify(&b, &d.request, &result), rows[i].error);
  }
  /* The order of the query's pairs does not matter, their number does. */
  draft_list(&d);
  d.request.raw_query = SLICE_LIT("prefix=J&max-keys=2");
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.raw_query = SLICE_LIT("&prefix=%4A&&max-keys=2&");
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.raw_query = SLICE_LIT("prefix=J&max-keys=2&max-keys=2");
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
  bench_done(&b);
}

static void two_lines_that_must_be_one_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *name, *value;
    enum auth_error error;
  } rows[] = {
      {"Authorization", "AWS4-HMAC-SHA256 x", AUTH_HEADER_MALFORMED},
      {"x-amz-date", EXAMPLE_DATE, AUTH_ACCESS_DENIED},
      {"x-amz-content-sha256", EMPTY_SHA256, AUTH_INVALID_PAYLOAD_HASH},
      {"Range", "bytes=0-9", AUTH_SIGNATURE_MISMATCH},
      {"Host", "examplebucket.s3.amazonaws.com", AUTH_SIGNATURE_MISMATCH},
  };
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct auth_result result;
    draft_get_range(&d);
    draft_add(&d, rows[i].name, rows[i].value);
    assert_int_equal(bench_verify(&b, &d.request, &result), rows[i].error);
  }
  bench_done(&b);
}

static void clocks_may_differ_by_fifteen_minutes(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_get_range(&d);
  const uint64_t limit = 15 * 60 * 1000;
  d.request.now_ms = EXAMPLE_NOW_MS + limit;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.now_ms = EXAMPLE_NOW_MS + limit + 1;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_TIME_SKEWED);
  d.request.now_ms = EXAMPLE_NOW_MS - limit;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.now_ms = EXAMPLE_NOW_MS - limit - 1;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_TIME_SKEWED);
  bench_done(&b);
}

static void presigned_urls_expire(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_presigned(&d);
  d.request.now_ms = EXAMPLE_NOW_MS + UINT64_C(86400) * 1000 - 1;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.now_ms++;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_EXPIRED);
  d.request.now_ms = EXAMPLE_NOW_MS - 15 * 60 * 1000;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  d.request.now_ms--;
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_NOT_YET_VALID);
  bench_done(&b);
}

static void wrong_presigned_queries_are_refused(void **state) {
  (void)state;
#define CREDENTIAL "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
#define QUERY(algorithm, credential, date, expires, names, signature)                                        \
  "X-Amz-Algorithm=" algorithm "&" credential "&X-Amz-Date=" date "&X-Amz-Expires=" expires                  \
  "&X-Amz-SignedHeaders=" names "&X-Amz-Signature=" signature
  static const struct {
    const char *query;
    enum auth_error error;
  } rows[] = {
      {PRESIGNED_QUERY "&X-Amz-Signature=" PRESIGNED_SIGNATURE "&acl", AUTH_SIGNATURE_MISMATCH},
      {PRESIGNED_QUERY "&X-Amz-Signature=" EMPTY_SHA256, AUTH_SIGNATURE_MISMATCH},
      {PRESIGNED_QUERY, AUTH_QUERY_MALFORMED},
      {PRESIGNED_QUERY "&X-Amz-Signature=abc", AUTH_QUERY_MALFORMED},
      {PRESIGNED_QUERY "&X-Amz-Expires=86400&X-Amz-Signature=" PRESIGNED_SIGNATURE, AUTH_QUERY_MALFORMED},
      {PRESIGNED_QUERY "&X-Amz-Signature=" PRESIGNED_SIGNATURE "&X-Amz-Signature=" PRESIGNED_SIGNATURE,
       AUTH_QUERY_MALFORMED},
      {PRESIGNED_QUERY "&X-Amz-Signature=" PRESIGNED_SIGNATURE "&X-Amz-Security-Token=t", AUTH_INVALID_TOKEN},
      {QUERY("AWS4-HMAC-SHA1", CREDENTIAL, EXAMPLE_DATE, "9", "host", EMPTY_SHA256), AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", "X-Amz-Credential=x", EXAMPLE_DATE, "9", "host", EMPTY_SHA256),
       AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, "20130525T000000Z", "9", "host", EMPTY_SHA256),
       AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, "now", "9", "host", EMPTY_SHA256), AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "604801", "host", EMPTY_SHA256),
       AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "604800", "host", EMPTY_SHA256),
       AUTH_SIGNATURE_MISMATCH},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "-7", "host", EMPTY_SHA256), AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "", "host", EMPTY_SHA256), AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "0", "host", EMPTY_SHA256), AUTH_EXPIRED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "9", "", EMPTY_SHA256), AUTH_QUERY_MALFORMED},
      {QUERY("AWS4-HMAC-SHA256", CREDENTIAL, EXAMPLE_DATE, "9", "range", EMPTY_SHA256),
       AUTH_UNSIGNED_HEADERS},
      {"AWSAccessKeyId=A&Signature=S&Expires=1", AUTH_SIGV2},
  };
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct auth_result result;
    draft_presigned(&d);
    d.request.raw_query = slice_str(rows[i].query);
    enum auth_error error = bench_verify(&b, &d.request, &result);
    if (error != rows[i].error) fail_msg("row %zu: %s", i, auth_error_name(error));
  }
  struct draft d;
  struct auth_result result;
  draft_presigned(&d);
  draft_add(&d, "Authorization", AUTHORIZATION("host", EMPTY_SHA256));
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_TWO_MECHANISMS);
  bench_done(&b);
}

static void a_request_without_credential_is_anonymous(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_init(&d, "GET", "/b/k", "prefix=a");
  draft_add(&d, "Host", "h");
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
  assert_int_equal(result.scheme, AUTH_ANONYMOUS);
  assert_int_equal(result.payload, AUTH_PAYLOAD_UNSIGNED);
  assert_int_equal(result.account.len, 0);
  assert_false(result.is_operator);
  /* Signed chunks need somebody who signed. */
  draft_add(&d, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_INVALID_PAYLOAD_HASH);
  bench_done(&b);
}

static void framing_headers_are_checked(void **state) {
  (void)state;
  static const struct {
    const char *payload, *length, *trailer;
    enum auth_error error;
  } rows[] = {
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc64nvme", AUTH_OK},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", NULL, AUTH_OK},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", NULL, "x-amz-checksum-crc32", AUTH_MISSING_LENGTH},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "-5", "x-amz-checksum-crc32", AUTH_INVALID_LENGTH},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-md5", AUTH_INVALID_TRAILER},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32,x-amz-checksum-sha1",
       AUTH_INVALID_TRAILER},
      {"UNSIGNED-PAYLOAD", NULL, "x-amz-checksum-crc32", AUTH_INVALID_TRAILER},
  };
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct auth_result result;
    draft_init(&d, "PUT", "/b/k", "");
    draft_add(&d, "Host", "h");
    draft_add(&d, "x-amz-content-sha256", rows[i].payload);
    if (rows[i].length != NULL) draft_add(&d, "x-amz-decoded-content-length", rows[i].length);
    if (rows[i].trailer != NULL) draft_add(&d, "x-amz-trailer", rows[i].trailer);
    assert_int_equal(bench_verify(&b, &d.request, &result), rows[i].error);
    if (rows[i].error == AUTH_OK) assert_int_equal(result.decoded_length, 5);
  }
  bench_done(&b);
}

static void a_pinned_region_is_the_only_one(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  static const struct {
    const char *pin;
    enum auth_error error;
  } rows[] = {{"us-east-1", AUTH_OK}, {"us-east-2", AUTH_HEADER_MALFORMED}};
  bench_init(&b);
  for (size_t i = 0; i < 2; i++) {
    auth_verifier_free(b.verifier);
    b.verifier = auth_verifier_new(&(struct auth_config){auth_keys_find, b.keys, slice_str(rows[i].pin)});
    draft_get_range(&d);
    assert_int_equal(bench_verify(&b, &d.request, &result), rows[i].error);
  }
  bench_done(&b);
}

static void a_replaced_secret_is_dead_at_once(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_get_range(&d);
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK); /* the signing key is cached */
  const struct auth_key_spec other = {SLICE_LIT(EXAMPLE_ACCESS ":another-secret"), false};
  assert_int_equal(auth_keys_replace(b.keys, &other, 1, NULL), DOM_OK);
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
  assert_int_equal(auth_keys_replace(b.keys, NULL, 0, NULL), DOM_OK);
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_UNKNOWN_ACCESS_KEY);
  bench_done(&b);
}

static void too_many_parameters_are_refused(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  BUF_AUTO query = BUF_INIT;
  bench_init(&b);
  for (int i = 0; i < AUTH_QUERY_PARAMS_MAX + 1; i++) buf_append_str(&query, "a&");
  draft_get_range(&d);
  d.request.raw_query = buf_slice(&query);
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_TOO_MANY_PARTS);
  d.request.raw_query = slice_cut(buf_slice(&query), 2, query.len);
  assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
  bench_done(&b);
}

static void memory_may_run_out(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_put(&d);
  d.request.raw_query = SLICE_LIT("a=b%20c&d"); /* so that the query needs memory, too */
  assert_int_equal(bench_verify(&b, &d.request, &result),
                   AUTH_SIGNATURE_MISMATCH); /* the arena's first block */
  int64_t live = dom_alloc_live();
  enum auth_error error = AUTH_NO_MEMORY;
  for (uint64_t n = 0; n < 100 && error == AUTH_NO_MEMORY; n++) {
    dom_alloc_fail_after(n, 1);
    error = bench_verify(&b, &d.request, &result);
    dom_alloc_fail_after(UINT64_MAX, 0);
    if (n == 0) assert_int_equal(error, AUTH_NO_MEMORY);
  }
  assert_int_equal(error, AUTH_SIGNATURE_MISMATCH);
  arena_reset(b.arena);
  assert_int_equal(dom_alloc_live(), live);
  bench_done(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_examples_verify),
      cmocka_unit_test(every_byte_of_a_signature_counts),
      cmocka_unit_test(changes_are_found),
      cmocka_unit_test(line_query_and_method_are_bound),
      cmocka_unit_test(two_lines_that_must_be_one_are_refused),
      cmocka_unit_test(clocks_may_differ_by_fifteen_minutes),
      cmocka_unit_test(presigned_urls_expire),
      cmocka_unit_test(wrong_presigned_queries_are_refused),
      cmocka_unit_test(a_request_without_credential_is_anonymous),
      cmocka_unit_test(framing_headers_are_checked),
      cmocka_unit_test(a_pinned_region_is_the_only_one),
      cmocka_unit_test(a_replaced_secret_is_dead_at_once),
      cmocka_unit_test(too_many_parameters_are_refused),
      cmocka_unit_test(memory_may_run_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
