/* Parameters and headers of operations. */
#include "s3_testing.h"

static struct s3_request parse_ok(struct arena *arena, const struct draft *d) {
  struct s3_request request;
  struct s3_fault fault = {0};
  if (s3_request_parse(&d->head, &test_domains, arena, &request, &fault) != S3_OK)
    fail_msg("%s %s", s3_error_code(fault.error), fault.detail == NULL ? "" : fault.detail);
  return request;
}

static void listings_take_their_parameters(void **state) {
  struct draft d;
  draft_init(&d, "GET", "/photos", "prefix=a%2Fb+c&delimiter=%2F&marker=%C3%A9&max-keys=5&encoding-type=url");
  struct s3_request r = parse_ok(*state, &d);
  assert_slice(r.list.prefix, "a/b c");
  assert_slice(r.list.delimiter, "/");
  assert_slice(r.list.marker, "\xC3\xA9");
  assert_int_equal(r.list.page_max, 5);
  assert_true(r.list.encoding_url);

  draft_init(&d, "GET", "/photos",
             "list-type=2&start-after=s&continuation-token=dG9rZW4%3D&fetch-owner=true&max-keys=0");
  r = parse_ok(*state, &d);
  assert_slice(r.list.start_after, "s");
  assert_slice(r.list.continuation_token, "dG9rZW4=");
  assert_true(r.list.fetch_owner && r.list.has_continuation_token && r.list.has_start_after);
  assert_int_equal(r.list.page_max, 0);

  draft_init(&d, "GET", "/photos", "list-type=2&continuation-token=&max-keys=");
  r = parse_ok(*state, &d);
  assert_true(r.list.has_continuation_token);
  assert_false(r.list.has_start_after || r.list.fetch_owner || r.list.encoding_url);
  assert_int_equal(r.list.page_max, 1000);

  draft_init(&d, "GET", "/photos", "max-keys=2147483647");
  assert_int_equal(parse_ok(*state, &d).list.page_max, 1000);

  draft_init(&d, "GET", "/photos", "uploads&key-marker=k&upload-id-marker=u&max-uploads=7");
  r = parse_ok(*state, &d);
  assert_slice(r.list.key_marker, "k");
  assert_slice(r.list.upload_id_marker, "u");
  assert_int_equal(r.list.page_max, 7);
  draft_init(&d, "GET", "/photos", "uploads&upload-id-marker=u");
  assert_slice(parse_ok(*state, &d).list.upload_id_marker, "");

  draft_init(&d, "GET", "/photos/k", "uploadId=u&part-number-marker=12&max-parts=3");
  r = parse_ok(*state, &d);
  assert_slice(r.upload_id, "u");
  assert_int_equal(r.list.part_number_marker, 12);
  assert_int_equal(r.list.page_max, 3);

  draft_init(&d, "GET", "/photos", "versions&key-marker=k&version-id-marker=null");
  assert_slice(parse_ok(*state, &d).list.version_id_marker, "null");
}

static void reads_may_ask_for_one_part(void **state) {
  static const char *const methods[] = {"GET", "HEAD"};
  for (size_t i = 0; i < 2; i++) {
    struct s3_request request;
    struct s3_fault fault = {0};
    struct draft d;
    draft_init(&d, methods[i], "/photos/k", "partNumber=10000&versionId=null");
    struct s3_request r = parse_ok(*state, &d);
    assert_int_equal(r.part_number, 10000);
    assert_slice(r.version_id, "null");
    draft_init(&d, methods[i], "/photos/k", "");
    assert_int_equal(parse_ok(*state, &d).part_number, 0);
    static const char *const wrong[] = {"partNumber=0", "partNumber=10001", "partNumber=", "partNumber=x"};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
      draft_init(&d, methods[i], "/photos/k", wrong[k]);
      assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &request, &fault),
                       S3_ERR_INVALID_ARGUMENT);
    }
    draft_init(&d, methods[i], "/photos/k", "partNumber=1");
    draft_add(&d, "Range", "bytes=0-1");
    assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &request, &fault),
                     S3_ERR_INVALID_REQUEST);
  }
}

static enum s3_error with(struct arena *arena, const char *method, const char *query,
                          const char *const *lines, struct s3_request *out) {
  struct draft d;
  struct s3_fault fault = {0};
  draft_init(&d, method, "/photos/k", query);
  for (size_t i = 0; lines[i]; i += 2) draft_add(&d, lines[i], lines[i + 1]);
  return s3_request_parse(&d.head, &test_domains, arena, out, &fault);
}
#define WITH(method, query, request, ...)                                                                    \
  with(*state, method, query, (const char *const[]){__VA_ARGS__, NULL}, request)

static void uploads_begin_with_a_plan(void **state) {
  struct s3_request r;
  static const char algorithm[] = "x-amz-checksum-algorithm", type[] = "x-amz-checksum-type";
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "CRC32"), S3_OK);
  assert_true(r.meta.has_plan && !r.meta.plan.full_object && r.meta.plan.kind == AUTH_CHECKSUM_CRC32);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "CRC64NVME"), S3_OK);
  assert_true(r.meta.has_plan && r.meta.plan.full_object);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "CRC32C", type, "FULL_OBJECT"), S3_OK);
  assert_true(r.meta.has_plan && r.meta.plan.full_object);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "SHA256", type, "COMPOSITE"), S3_OK);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "SHA256", type, "FULL_OBJECT"),
                   S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "SHA1", type, "FULL_OBJECT"),
                   S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "CRC64NVME", type, "COMPOSITE"),
                   S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("POST", "uploads", &r, algorithm, "CRC32", type, "BOTH"), S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("POST", "uploads", &r, type, "COMPOSITE"), S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("PUT", "", &r, "Content-Length", "1", algorithm, "CRC32"), S3_OK);
  assert_false(r.meta.has_plan); /* of an object put in one piece it is no plan */
}

static void completions_say_what_must_come_of_them(void **state) {
  struct s3_request r;
  static const char crc[] = "x-amz-checksum-crc32", size[] = "x-amz-mp-object-size";
  assert_int_equal(WITH("POST", "uploadId=u", &r, crc, "NhCmhg==-12", size, "77"), S3_OK);
  assert_true(r.has_whole_checksum && !r.has_checksum && r.has_whole_size);
  assert_int_equal(r.whole_parts, 12);
  assert_int_equal(r.whole_size, 77);
  assert_int_equal(WITH("POST", "uploadId=u", &r, crc, "NhCmhg=="), S3_OK);
  assert_int_equal(r.whole_parts, 0);
  static const char *const wrong[] = {"NhCmhg==-", "NhCmhg==-0", "NhCmhg==-10001", "NhCmhg==-x", "NhCm-1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(WITH("POST", "uploadId=u", &r, crc, wrong[i]), S3_ERR_INVALID_REQUEST);
  assert_int_equal(WITH("POST", "uploadId=u", &r, size, "-1"), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(WITH("PUT", "", &r, "Content-Length", "1", crc, "NhCmhg==-1"), S3_ERR_INVALID_REQUEST);
}

static void uploads_take_their_headers(void **state) {
  struct draft d;
  draft_init(&d, "PUT", "/photos/k", "");
  draft_add(&d, "Content-Length", "100");
  draft_add(&d, "x-amz-decoded-content-length", "66");
  draft_add(&d, "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==");
  draft_add(&d, "x-amz-checksum-crc32c", "yZRlqg==");
  draft_add(&d, "x-amz-sdk-checksum-algorithm", "crc32c");
  draft_add(&d, "x-amz-acl", "private");
  draft_add(&d, "x-amz-storage-class", "STANDARD");
  draft_add(&d, "x-amz-server-side-encryption", "AES256");
  draft_add(&d, "If-None-Match", "*");
  draft_add(&d, "x-amz-expected-bucket-owner", "main");
  draft_add(&d, "Content-Type", "text/plain");
  struct s3_request r = parse_ok(*state, &d);
  assert_true(r.has_content_length);
  assert_int_equal(r.content_length, 66);
  assert_true(r.has_content_md5);
  assert_int_equal(r.content_md5[0], 0xd4);
  assert_true(r.has_checksum && r.has_checksum_algorithm);
  assert_int_equal(r.checksum.kind, AUTH_CHECKSUM_CRC32C);
  assert_int_equal(r.checksum.data[0], 0xc9);
  assert_int_equal(r.checksum_algorithm, AUTH_CHECKSUM_CRC32C);
  assert_slice(r.condition.if_none_match, "*");
  assert_slice(r.expected_owner, "main");
  assert_slice(r.meta.content_type, "text/plain");

  draft_add(&d, "x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
  struct s3_fault fault;
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &r, &fault), S3_ERR_INVALID_REQUEST);
}

static void reads_take_their_headers(void **state) {
  struct draft d;
  draft_init(
      &d, "GET", "/photos/k",
      "response-content-type=text%2Fhtml&response-content-disposition=attachment%3B%20filename%3D%22a%22");
  draft_add(&d, "Range", "bytes=1-2");
  draft_add(&d, "If-Match", "\"x\"");
  draft_add(&d, "If-Modified-Since", "Fri, 24 May 2013 00:00:00 GMT");
  draft_add(&d, "If-Unmodified-Since", "not a date");
  draft_add(&d, "x-amz-checksum-mode", "ENABLED");
  struct s3_request r = parse_ok(*state, &d);
  assert_int_equal(r.range.kind, S3_RANGE_BOUNDS);
  assert_slice(r.condition.if_match, "\"x\"");
  assert_true(r.condition.has_modified_since);
  assert_int_equal(r.condition.modified_since_ms, 1369353600000);
  assert_false(r.condition.has_unmodified_since);
  assert_true(r.checksum_mode);
  assert_slice(r.overrides.content_type, "text/html");
  assert_slice(r.overrides.content_disposition, "attachment; filename=\"a\"");
}

static void an_override_cannot_split_an_answer(void **state) {
  struct draft d;
  struct s3_request r;
  struct s3_fault fault;
  draft_init(&d, "GET", "/photos/k", "response-content-type=a%0D%0ASet-Cookie:b");
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &r, &fault), S3_ERR_INVALID_ARGUMENT);
  assert_string_equal(fault.detail, "response-content-type");
}

static void copies_name_their_source(void **state) {
  static const struct {
    const char *source, *bucket, *key, *version;
  } rows[] = {
      {"/src-bucket/a/b", "src-bucket", "a/b", ""},
      {"src-bucket/a/b", "src-bucket", "a/b", ""},
      {"src-bucket/a%2Bb%20c+d%25", "src-bucket", "a+b c+d%", ""},
      {"%2Fsrc-bucket%2Fa", "src-bucket", "a", ""},
      {"src-bucket/a?versionId=null", "src-bucket", "a", "null"},
      {"src-bucket/a?versionId=7f", "src-bucket", "a", "7f"},
      {"src-bucket/a%3FversionId=7", "src-bucket", "a?versionId=7", ""},
      {"src-bucket//a", "src-bucket", "/a", ""},
  };
  struct draft d;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    draft_init(&d, "PUT", "/photos/k", "");
    draft_add(&d, "x-amz-copy-source", rows[i].source);
    draft_add(&d, "x-amz-metadata-directive", i == 0 ? "REPLACE" : "COPY");
    draft_add(&d, "x-amz-copy-source-if-none-match", "\"t\"");
    struct s3_request r = parse_ok(*state, &d);
    assert_slice(r.copy.bucket, rows[i].bucket);
    assert_slice(r.copy.key, rows[i].key);
    assert_slice(r.copy.version_id, rows[i].version);
    assert_slice(r.copy.condition.if_none_match, "\"t\"");
    assert_int_equal(r.replace_metadata, i == 0);
  }
  draft_init(&d, "PUT", "/photos/k", "partNumber=3&uploadId=u");
  draft_add(&d, "x-amz-copy-source", "src-bucket/a");
  draft_add(&d, "x-amz-copy-source-range", "bytes=5-10");
  struct s3_request r = parse_ok(*state, &d);
  assert_int_equal(r.part_number, 3);
  assert_int_equal(r.copy.range.last, 10);
}

static void buckets_take_our_own_headers(void **state) {
  struct draft d;
  draft_init(&d, "PUT", "/photos", "");
  draft_add(&d, "x-domicile-layout", "photos/{subject}/");
  draft_add(&d, "X-Domicile-Region", "in");
  struct s3_request r = parse_ok(*state, &d);
  assert_slice(r.domicile_layout, "photos/{subject}/");
  assert_slice(r.domicile_region, "in");
}

static void a_resource_is_named_even_for_bad_requests(void **state) {
  struct draft d;
  draft_init(&d, "GET", "/Bad_Bucket/a%20b", "");
  assert_slice(s3_resource(&d.head, &test_domains, *state), "/Bad_Bucket/a b");
  draft_init(&d, "GET", "/%zz", "");
  assert_slice(s3_resource(&d.head, &test_domains, *state), "/%zz");
  draft_init(&d, "GET", "/key", "");
  d.lines[0].value = SLICE_LIT("photos.localhost:9101");
  assert_slice(s3_resource(&d.head, &test_domains, *state), "/photos/key");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(listings_take_their_parameters),     arena_test(reads_may_ask_for_one_part),
      arena_test(uploads_begin_with_a_plan),          arena_test(completions_say_what_must_come_of_them),
      arena_test(uploads_take_their_headers),         arena_test(reads_take_their_headers),
      arena_test(an_override_cannot_split_an_answer), arena_test(copies_name_their_source),
      arena_test(buckets_take_our_own_headers),       arena_test(a_resource_is_named_even_for_bad_requests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
