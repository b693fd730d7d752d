/* Heads to operations. */
#include "s3_testing.h"

static enum s3_error parse(struct arena *arena, const struct draft *d, struct s3_request *out,
                           struct s3_fault *fault) {
  *fault = (struct s3_fault){0};
  enum s3_error error = s3_request_parse(&d->head, &test_domains, arena, out, fault);
  assert_int_equal(fault->error, error);
  return error;
}

static void every_operation_is_found(void **state) {
  static const struct {
    const char *method, *path, *query;
    bool copies;
    enum s3_op op;
    const char *bucket, *key;
  } rows[] = {
      {"GET", "/", "", false, S3_OP_LIST_BUCKETS, "", ""},
      {"GET", "/", "x-id=ListBuckets", false, S3_OP_LIST_BUCKETS, "", ""},
      {"PUT", "/photos", "", false, S3_OP_CREATE_BUCKET, "photos", ""},
      {"PUT", "/photos/", "", false, S3_OP_CREATE_BUCKET, "photos", ""},
      {"HEAD", "/photos", "", false, S3_OP_HEAD_BUCKET, "photos", ""},
      {"DELETE", "/photos", "", false, S3_OP_DELETE_BUCKET, "photos", ""},
      {"GET", "/photos", "location", false, S3_OP_GET_BUCKET_LOCATION, "photos", ""},
      {"GET", "/photos", "location=", false, S3_OP_GET_BUCKET_LOCATION, "photos", ""},
      {"GET", "/photos", "versioning", false, S3_OP_GET_BUCKET_VERSIONING, "photos", ""},
      {"GET", "/photos", "acl", false, S3_OP_GET_BUCKET_ACL, "photos", ""},
      {"GET", "/photos", "", false, S3_OP_LIST_OBJECTS, "photos", ""},
      {"GET", "/photos/", "prefix=a&delimiter=/", false, S3_OP_LIST_OBJECTS, "photos", ""},
      {"GET", "/photos", "list-type=2", false, S3_OP_LIST_OBJECTS_V2, "photos", ""},
      {"GET", "/photos", "versions", false, S3_OP_LIST_OBJECT_VERSIONS, "photos", ""},
      {"GET", "/photos", "uploads", false, S3_OP_LIST_MULTIPART_UPLOADS, "photos", ""},
      {"POST", "/photos", "delete", false, S3_OP_DELETE_OBJECTS, "photos", ""},
      {"POST", "/photos", "", false, S3_OP_POST_OBJECT, "photos", ""},
      {"PUT", "/photos/a/b", "", false, S3_OP_PUT_OBJECT, "photos", "a/b"},
      {"PUT", "/photos/a/b", "x-id=PutObject", false, S3_OP_PUT_OBJECT, "photos", "a/b"},
      {"PUT", "/photos/a/b", "", true, S3_OP_COPY_OBJECT, "photos", "a/b"},
      {"GET", "/photos/a%2Fb+c%20d", "", false, S3_OP_GET_OBJECT, "photos", "a/b+c d"},
      {"GET", "/photos//a//../b/", "", false, S3_OP_GET_OBJECT, "photos", "/a//../b/"},
      {"GET", "/photos/%C3%A9", "versionId=null", false, S3_OP_GET_OBJECT, "photos", "\xC3\xA9"},
      {"HEAD", "/photos/a", "", false, S3_OP_HEAD_OBJECT, "photos", "a"},
      {"DELETE", "/photos/a", "", false, S3_OP_DELETE_OBJECT, "photos", "a"},
      {"GET", "/photos/a", "acl", false, S3_OP_GET_OBJECT_ACL, "photos", "a"},
      {"PUT", "/photos/a", "acl", false, S3_OP_PUT_OBJECT_ACL, "photos", "a"},
      {"POST", "/photos/a", "uploads", false, S3_OP_CREATE_MULTIPART_UPLOAD, "photos", "a"},
      {"POST", "/photos/a", "uploads=", false, S3_OP_CREATE_MULTIPART_UPLOAD, "photos", "a"},
      {"PUT", "/photos/a", "partNumber=1&uploadId=u", false, S3_OP_UPLOAD_PART, "photos", "a"},
      {"PUT", "/photos/a", "partNumber=10000&uploadId=u", true, S3_OP_UPLOAD_PART_COPY, "photos", "a"},
      {"GET", "/photos/a", "uploadId=u", false, S3_OP_LIST_PARTS, "photos", "a"},
      {"POST", "/photos/a", "uploadId=u", false, S3_OP_COMPLETE_MULTIPART_UPLOAD, "photos", "a"},
      {"DELETE", "/photos/a", "uploadId=u", false, S3_OP_ABORT_MULTIPART_UPLOAD, "photos", "a"},
      {"GET", "/photos", "cors", false, S3_OP_GET_BUCKET_CORS, "photos", ""},
      {"PUT", "/photos", "cors", false, S3_OP_PUT_BUCKET_CORS, "photos", ""},
      {"DELETE", "/photos", "cors", false, S3_OP_DELETE_BUCKET_CORS, "photos", ""},
      {"GET", "/photos", "lifecycle", false, S3_OP_GET_BUCKET_LIFECYCLE, "photos", ""},
      {"PUT", "/photos", "lifecycle", false, S3_OP_PUT_BUCKET_LIFECYCLE, "photos", ""},
      {"DELETE", "/photos", "lifecycle", false, S3_OP_DELETE_BUCKET_LIFECYCLE, "photos", ""},
      {"GET", "/photos", "tagging", false, S3_OP_GET_BUCKET_TAGGING, "photos", ""},
      {"GET", "/photos/a", "retention", false, S3_OP_GET_OBJECT_RETENTION, "photos", "a"},
      {"PUT", "/photos/a", "retention", false, S3_OP_PUT_OBJECT_RETENTION, "photos", "a"},
      {"GET", "/photos/a", "legal-hold", false, S3_OP_GET_OBJECT_LEGAL_HOLD, "photos", "a"},
      {"PUT", "/photos/a", "legal-hold&versionId=x", false, S3_OP_PUT_OBJECT_LEGAL_HOLD, "photos", "a"},
      {"GET", "/photos/a", "tagging", false, S3_OP_GET_OBJECT_TAGGING, "photos", "a"},
      {"PUT", "/photos/a", "tagging&versionId=x", false, S3_OP_PUT_OBJECT_TAGGING, "photos", "a"},
      {"DELETE", "/photos/a", "tagging", false, S3_OP_DELETE_OBJECT_TAGGING, "photos", "a"},
      {"PUT", "/photos", "tagging", false, S3_OP_PUT_BUCKET_TAGGING, "photos", ""},
      {"DELETE", "/photos", "tagging", false, S3_OP_DELETE_BUCKET_TAGGING, "photos", ""},
      {"GET", "/photos", "encryption", false, S3_OP_GET_BUCKET_ENCRYPTION, "photos", ""},
      {"PUT", "/photos", "encryption", false, S3_OP_PUT_BUCKET_ENCRYPTION, "photos", ""},
      {"DELETE", "/photos", "encryption", false, S3_OP_DELETE_BUCKET_ENCRYPTION, "photos", ""},
      {"GET", "/photos", "publicAccessBlock", false, S3_OP_GET_PUBLIC_ACCESS_BLOCK, "photos", ""},
      {"PUT", "/photos", "publicAccessBlock", false, S3_OP_PUT_PUBLIC_ACCESS_BLOCK, "photos", ""},
      {"DELETE", "/photos", "publicAccessBlock", false, S3_OP_DELETE_PUBLIC_ACCESS_BLOCK, "photos", ""},
      {"GET", "/photos", "ownershipControls", false, S3_OP_GET_BUCKET_OWNERSHIP, "photos", ""},
      {"PUT", "/photos", "ownershipControls", false, S3_OP_PUT_BUCKET_OWNERSHIP, "photos", ""},
      {"DELETE", "/photos", "ownershipControls", false, S3_OP_DELETE_BUCKET_OWNERSHIP, "photos", ""},
      {"GET", "/photos", "policy", false, S3_OP_GET_BUCKET_POLICY, "photos", ""},
      {"PUT", "/photos", "policy", false, S3_OP_PUT_BUCKET_POLICY, "photos", ""},
      {"DELETE", "/photos", "policy", false, S3_OP_DELETE_BUCKET_POLICY, "photos", ""},
      {"GET", "/photos", "policyStatus", false, S3_OP_GET_BUCKET_POLICY_STATUS, "photos", ""},
      {"PUT", "/photos", "versioning", false, S3_OP_PUT_BUCKET_VERSIONING, "photos", ""},
      {"PUT", "/photos", "acl", false, S3_OP_PUT_BUCKET_ACL, "photos", ""},
      {"GET", "/photos", "object-lock", false, S3_OP_GET_OBJECT_LOCK_CONFIG, "photos", ""},
      {"PUT", "/photos", "object-lock", false, S3_OP_PUT_OBJECT_LOCK_CONFIG, "photos", ""},
      {"GET", "/photos", "requestPayment", false, S3_OP_GET_BUCKET_REQUEST_PAYMENT, "photos", ""},
      {"GET", "/photos", "logging", false, S3_OP_GET_BUCKET_LOGGING, "photos", ""},
      {"GET", "/photos", "notification", false, S3_OP_GET_BUCKET_NOTIFICATION, "photos", ""},
      {"GET", "/photos", "accelerate", false, S3_OP_GET_BUCKET_ACCELERATE, "photos", ""},
      {"GET", "/photos", "website", false, S3_OP_GET_BUCKET_WEBSITE, "photos", ""},
      {"GET", "/photos", "replication", false, S3_OP_GET_BUCKET_REPLICATION, "photos", ""},
      {"GET", "/photos/a", "attributes", false, S3_OP_GET_OBJECT_ATTRIBUTES, "photos", "a"},
      {"OPTIONS", "/photos", "", false, S3_OP_PREFLIGHT, "photos", ""},
      {"OPTIONS", "/photos/a", "uploads&tagging", false, S3_OP_PREFLIGHT, "photos", "a"},
  };
  bool seen[S3_OP_COUNT] = {[S3_OP_NOT_IMPLEMENTED] = true};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_request request;
    struct s3_fault fault;
    draft_init(&d, rows[i].method, rows[i].path, rows[i].query);
    if (rows[i].copies) draft_add(&d, "x-amz-copy-source", "/source-bucket/key");
    if (rows[i].op == S3_OP_GET_OBJECT_ATTRIBUTES) draft_add(&d, "x-amz-object-attributes", "ETag");
    if (parse(*state, &d, &request, &fault) != S3_OK)
      fail_msg("row %zu: %s %s", i, s3_error_code(fault.error), fault.detail == NULL ? "" : fault.detail);
    assert_string_equal(s3_op_name(request.op), s3_op_name(rows[i].op));
    assert_slice(request.bucket, rows[i].bucket);
    assert_slice(request.key, rows[i].key);
    seen[request.op] = true;
  }
  for (unsigned op = 0; op < S3_OP_COUNT; op++) assert_true(seen[op]);
}

static void what_s3_has_and_we_have_not_is_named(void **state) {
  static const struct {
    const char *method, *path, *query, *detail;
  } rows[] = {
      {"DELETE", "/photos/a", "acl", "acl"},
      {"POST", "/photos", "policy", "policy"},
      {"PUT", "/photos", "website", "website"},
      {"PUT", "/photos", "replication", "replication"},
      {"PUT", "/photos", "logging", "logging"},
      {"DELETE", "/photos", "acl", "acl"},
      {"DELETE", "/photos", "object-lock", "object-lock"},
      {"POST", "/photos", "cors", "cors"},
      {"POST", "/photos/a", "tagging", "tagging"},
      {"PUT", "/photos/a", "attributes", "attributes"},
      {"PUT", "/photos/a", "versionId=abc", "versionId"},
      {"POST", "/photos/a", "uploads&versionId=abc", "versionId"},
      {"DELETE", "/photos/a", "uploads", "uploads"},
      {"POST", "/photos/a", "restore", "restore"},
      {"POST", "/photos/a", "select&select-type=2", "select"},
      {"GET", "/photos/a", "torrent", "torrent"},
      {"DELETE", "/photos/a", "retention", "retention"},
      {"DELETE", "/photos/a", "legal-hold", "legal-hold"},
      {"GET", "/photos", "session", "session"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_request request;
    struct s3_fault fault;
    draft_init(&d, rows[i].method, rows[i].path, rows[i].query);
    assert_int_equal(parse(*state, &d, &request, &fault), S3_ERR_NOT_IMPLEMENTED);
    assert_string_equal(fault.detail, rows[i].detail);
    assert_int_equal(s3_error_status(fault.error), 501);
  }
}

static void wrong_requests_are_refused(void **state) {
  static const struct {
    const char *method, *path, *query, *name, *value;
    enum s3_error error;
  } rows[] = {
      {"GET", "", "", NULL, NULL, S3_ERR_INVALID_URI},
      {"GET", "photos", "", NULL, NULL, S3_ERR_INVALID_URI},
      {"GET", "//key", "", NULL, NULL, S3_ERR_INVALID_BUCKET_NAME},
      {"GET", "/Photos", "", NULL, NULL, S3_ERR_INVALID_BUCKET_NAME},
      {"GET", "/photos/%zz", "", NULL, NULL, S3_ERR_INVALID_URI},
      {"GET", "/photos/%FF", "", NULL, NULL, S3_ERR_INVALID_URI},
      {"GET", "/photos/a%00b", "", NULL, NULL, S3_ERR_INVALID_URI},
      {"GET", "/photos", "prefix=%z", NULL, NULL, S3_ERR_INVALID_URI},
      {"PATCH", "/photos/a", "", NULL, NULL, S3_ERR_METHOD_NOT_ALLOWED},
      {"DELETE", "/", "", NULL, NULL, S3_ERR_METHOD_NOT_ALLOWED},
      {"POST", "/photos/a", "", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "partNumber=1", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "uploadId=u", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "partNumber=0&uploadId=u", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "partNumber=10001&uploadId=u", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "partNumber=x&uploadId=u", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos/a", "uploadId=", NULL, NULL, S3_ERR_NO_SUCH_UPLOAD},
      {"GET", "/photos", "max-keys=-1", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "max-keys=blah", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "max-keys=2147483648", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "encoding-type=base64", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "list-type=3", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "list-type=2&fetch-owner=yes", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos", "versions&version-id-marker=x", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos/a", "uploadId=u&part-number-marker=x", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "Content-MD5", "short", S3_ERR_INVALID_DIGEST},
      {"PUT", "/photos/a", "", "Content-MD5", "", S3_ERR_INVALID_DIGEST},
      {"PUT", "/photos/a", "", "Content-Length", "5368709121", S3_ERR_ENTITY_TOO_LARGE},
      {"PUT", "/photos/a", "", "Content-Length", "x", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-checksum-crc32", "AAAA", S3_ERR_INVALID_REQUEST},
      {"PUT", "/photos/a", "", "x-amz-sdk-checksum-algorithm", "MD9", S3_ERR_INVALID_REQUEST},
      {"PUT", "/photos/a", "", "x-amz-storage-class", "FLOPPY", S3_ERR_INVALID_STORAGE_CLASS},
      {"PUT", "/photos/a", "", "x-amz-tagging", "a=b&a=c", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-server-side-encryption", "aws:kms", S3_ERR_NOT_IMPLEMENTED},
      {"PUT", "/photos/a", "", "x-amz-server-side-encryption-customer-algorithm", "AES256",
       S3_ERR_CUSTOMER_KEY_MISSING},
      {"GET", "/photos/a", "", "x-amz-server-side-encryption-customer-algorithm", "AES256",
       S3_ERR_CUSTOMER_KEY_MISSING},
      {"PUT", "/photos/a", "", "x-amz-object-lock-mode", "COMPLIANCE", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "If-None-Match", "\"abc\"", S3_ERR_NOT_IMPLEMENTED},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "nokey", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "/bucket/", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "/bucket/%z", S3_ERR_INVALID_ARGUMENT},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "/Bucket/k", S3_ERR_INVALID_BUCKET_NAME},
      {"PUT", "/photos/a", "", "x-amz-copy-source", "/bucket/k?versionId=", S3_ERR_INVALID_ARGUMENT},
      {"GET", "/photos/a", "versionId=", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {"DELETE", "/photos/a", "versionId", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_request request;
    struct s3_fault fault;
    draft_init(&d, rows[i].method, rows[i].path, rows[i].query);
    if (rows[i].name != NULL) draft_add(&d, rows[i].name, rows[i].value);
    enum s3_error error = parse(*state, &d, &request, &fault);
    if (error != rows[i].error)
      fail_msg("row %zu: got %s, wanted %s", i, error == S3_OK ? "ok" : s3_error_code(error),
               s3_error_code(rows[i].error));
  }
}

#define SIGNED_QUERY "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&"

/* What npm's presigner made of a PutObject; the checksum is that of no bytes, the body comes later. */
static void headers_in_a_presigned_query_count(void **state) {
  struct draft d;
  struct s3_request request;
  struct s3_fault fault;
  draft_init(&d, "PUT", "/photos/a",
             SIGNED_QUERY "x-amz-meta-m=a%20b&x-amz-acl=private&x-amz-checksum-crc32=AAAAAA%3D%3D"
                          "&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject");
  assert_int_equal(parse(*state, &d, &request, &fault), S3_OK);
  assert_int_equal(request.meta.user_count, 1);
  assert_slice(request.meta.user[0].name, "m");
  assert_slice(request.meta.user[0].value, "a b");
  assert_false(request.has_checksum || request.has_checksum_algorithm);
  draft_init(&d, "PUT", "/photos/a",
             SIGNED_QUERY "x-amz-copy-source=b-b-b/k&x-amz-metadata-directive=REPLACE");
  assert_int_equal(parse(*state, &d, &request, &fault), S3_OK);
  assert_int_equal(request.op, S3_OP_COPY_OBJECT);
  assert_true(request.replace_metadata);
}

/* What policies look at: the same head, with the same headers. */
static void the_whole_head_has_what_a_presigner_moved(void **state) {
  struct draft d;
  struct auth_request whole = {0};
  struct s3_fault fault = {0};
  struct slice value;
  draft_init(&d, "PUT", "/photos/a",
             SIGNED_QUERY "x-amz-acl=public-read&X-Amz-Grant-Read=id%3Dbob&x-id=PutObject");
  draft_add(&d, "x-amz-grant-read", "id=eve");
  assert_int_equal(s3_head_whole(&d.head, *state, &whole, &fault), S3_OK);
  assert_true(auth_header_find(&whole, SLICE_LIT("x-amz-acl"), &value));
  assert_slice(value, "public-read");
  assert_int_equal(auth_header_find(&whole, SLICE_LIT("x-amz-grant-read"), &value), 1);
  assert_slice(value, "id=eve");
  assert_false(auth_header_find(&whole, SLICE_LIT("x-id"), &value));
  assert_int_equal(s3_head_whole(&d.head, *state, &d.head, &fault), S3_OK);
  assert_true(auth_header_find(&d.head, SLICE_LIT("x-amz-acl"), &value));
  draft_init(&d, "PUT", "/photos/a", SIGNED_QUERY "x-amz-acl=a%0d%0ab");
  assert_int_equal(s3_head_whole(&d.head, *state, &whole, &fault), S3_ERR_INVALID_ARGUMENT);
}

static void headers_in_a_query_that_is_not_presigned_are_nothing(void **state) {
  struct draft d;
  struct s3_request request;
  struct s3_fault fault;
  draft_init(&d, "PUT", "/photos/a", "x-amz-meta-m=v&x-amz-copy-source=b-b-b/k");
  assert_int_equal(parse(*state, &d, &request, &fault), S3_OK);
  assert_int_equal(request.op, S3_OP_PUT_OBJECT);
  assert_int_equal(request.meta.user_count, 0);
}

static void a_header_counts_more_than_its_name_in_the_query(void **state) {
  struct draft d;
  struct s3_request request;
  struct s3_fault fault;
  draft_init(&d, "PUT", "/photos/a", SIGNED_QUERY "x-amz-meta-m=query&x-amz-meta-n=query");
  draft_add(&d, "X-Amz-Meta-M", "header");
  assert_int_equal(parse(*state, &d, &request, &fault), S3_OK);
  assert_int_equal(request.meta.user_count, 2);
  assert_slice(request.meta.user[0].value, "header");
  assert_slice(request.meta.user[1].value, "query");
}

/* Metadata is sent back in answers: nothing may end a line there. */
static void no_line_is_smuggled_by_a_query(void **state) {
  static const char *const queries[] = {
      SIGNED_QUERY "x-amz-meta-m=a%0d%0aSet-Cookie:b",
      SIGNED_QUERY "x-amz-meta-m=a%00b",
      SIGNED_QUERY "x-amz-meta-m=%7f",
      SIGNED_QUERY "x-amz-meta-a%0d%0ab=v",
      SIGNED_QUERY "x-amz-meta-a:b=v",
      SIGNED_QUERY "x-amz-meta-a%20b=v",
      SIGNED_QUERY "x-amz-meta-%C3%BC=v",
  };
  for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
    struct draft d;
    struct s3_request request;
    struct s3_fault fault;
    draft_init(&d, "PUT", "/photos/a", queries[i]);
    assert_int_equal(parse(*state, &d, &request, &fault), S3_ERR_INVALID_ARGUMENT);
  }
}

/* Asked for in the query or in a header: what this program does not do it says. */
static void unsupported_headers_in_a_presigned_query_are_named(void **state) {
  struct draft d;
  struct s3_request request;
  struct s3_fault fault;
  draft_init(&d, "PUT", "/photos/a", SIGNED_QUERY "x-amz-website-redirect-location=%2F");
  assert_int_equal(parse(*state, &d, &request, &fault), S3_ERR_NOT_IMPLEMENTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(every_operation_is_found),
      arena_test(what_s3_has_and_we_have_not_is_named),
      arena_test(wrong_requests_are_refused),
      arena_test(headers_in_a_presigned_query_count),
      arena_test(the_whole_head_has_what_a_presigner_moved),
      arena_test(headers_in_a_query_that_is_not_presigned_are_nothing),
      arena_test(a_header_counts_more_than_its_name_in_the_query),
      arena_test(no_line_is_smuggled_by_a_query),
      arena_test(unsupported_headers_in_a_presigned_query_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
