/* Results in XML, and entity tags. */
#include "s3_testing.h"

#define NS  " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
static const uint8_t md5[16] = {0x9e, 0x10, 0x7d, 0x9d, 0x37, 0x2b, 0xb6, 0x82,
                                0x6b, 0xd8, 0x1d, 0x35, 0x42, 0xa4, 0x19, 0xd6};

static void tags_print_and_combine(void **state) {
  (void)state;
  char text[S3_ETAG_SIZE];
  uint8_t parts[2][16], whole[16], direct[16];
  s3_etag_print(md5, 0, text);
  assert_string_equal(text, "9e107d9d372bb6826bd81d3542a419d6");
  s3_etag_print(md5, 10000, text);
  assert_string_equal(text, "9e107d9d372bb6826bd81d3542a419d6-10000");
  /* Two parts "a" and "b": md5(md5("a") || md5("b")), computed by another program. */
  assert_true(s3_etag_parse_part(SLICE_LIT("0cc175b9c0f1b6a831c399e269772661"), parts[0]));
  assert_true(s3_etag_parse_part(SLICE_LIT("\"92EB5FFEE6AE2FEC3AD71C777531578F\""), parts[1]));
  assert_true(s3_etag_combine((const uint8_t(*)[16])parts, 2, whole));
  struct hash *h = hash_new(HASH_MD5);
  hash_update(h, parts, 32);
  hash_final(h, direct);
  hash_free(h);
  assert_memory_equal(whole, direct, 16);
  s3_etag_print(whole, 2, text);
  assert_string_equal(text, "96e024ba2074fe77e8e965ba43a704be-2");
  assert_false(s3_etag_parse_part(SLICE_LIT("9e107d9d372bb6826bd81d3542a419d6-1"), whole));
  assert_false(s3_etag_parse_part(SLICE_LIT("\""), whole));
}

static void documents_read_so(void **state) {
  (void)state;
  BUF_AUTO out = BUF_INIT;
  const struct s3_listed_bucket buckets[] = {{SLICE_LIT("one"), 0}, {SLICE_LIT("two"), 1369353600000}};
  s3_result_buckets(SLICE_LIT("main"), buckets, 2, &out);
  assert_string_equal(buf_str(&out), XML
                      "<ListAllMyBucketsResult" NS
                      "><Owner><ID>main</ID><DisplayName>main</DisplayName></Owner><Buckets>"
                      "<Bucket><Name>one</Name><CreationDate>1970-01-01T00:00:00.000Z</CreationDate></Bucket>"
                      "<Bucket><Name>two</Name><CreationDate>2013-05-24T00:00:00.000Z</CreationDate></Bucket>"
                      "</Buckets></ListAllMyBucketsResult>");
  buf_reset(&out);
  s3_result_location(SLICE_LIT("in"), &out);
  assert_string_equal(buf_str(&out), XML "<LocationConstraint" NS ">in</LocationConstraint>");
  buf_reset(&out);
  s3_result_versioning(NULL, &out);
  assert_string_equal(buf_str(&out), XML "<VersioningConfiguration" NS "></VersioningConfiguration>");
  buf_reset(&out);
  s3_result_initiate(SLICE_LIT("photos"), SLICE_LIT("a<b"), SLICE_LIT("u"), &out);
  assert_string_equal(
      buf_str(&out),
      XML "<InitiateMultipartUploadResult" NS
          "><Bucket>photos</Bucket><Key>a&lt;b</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>");
  buf_reset(&out);
  s3_result_complete(SLICE_LIT("http://h/photos/a"), SLICE_LIT("photos"), SLICE_LIT("a"), md5, 2, NULL, &out);
  assert_string_equal(
      buf_str(&out),
      XML "<CompleteMultipartUploadResult" NS
          "><Location>http://h/photos/a</Location><Bucket>photos</Bucket><Key>a</Key>"
          "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6-2&quot;</ETag></CompleteMultipartUploadResult>");
  buf_reset(&out);
  s3_result_copy(false, md5, 0, NULL, &out);
  assert_string_equal(buf_str(&out),
                      XML "<CopyObjectResult" NS "><LastModified>1970-01-01T00:00:00.000Z</LastModified>"
                          "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag></CopyObjectResult>");
  buf_reset(&out);
  s3_result_copy(true, md5, 0, NULL, &out);
  assert_non_null(strstr(buf_str(&out), "</CopyPartResult>"));
}

static void deletes_answer_key_by_key(void **state) {
  (void)state;
  BUF_AUTO out = BUF_INIT;
  s3_result_delete_begin(&out);
  s3_result_deleted(&(struct s3_deleted){.key = SLICE_LIT("a")}, &out);
  s3_result_deleted(
      &(struct s3_deleted){.key = SLICE_LIT("m"), .is_marker = true, .marker_id = SLICE_LIT("9")}, &out);
  s3_result_deleted(&(struct s3_deleted){.key = SLICE_LIT("v"), .version_id = SLICE_LIT("null")}, &out);
  s3_result_delete_failed(&(struct s3_deleted){.key = SLICE_LIT("b&")}, S3_ERR_SUBJECT_ELSEWHERE, NULL, &out);
  s3_result_delete_failed(&(struct s3_deleted){.key = SLICE_LIT("c"), .version_id = SLICE_LIT("<1>")},
                          S3_ERR_ACCESS_DENIED, "clause 7", &out);
  s3_result_delete_end(&out);
  assert_string_equal(buf_str(&out), XML
                      "<DeleteResult" NS "><Deleted><Key>a</Key></Deleted>"
                      "<Deleted><Key>m</Key><DeleteMarker>true</DeleteMarker>"
                      "<DeleteMarkerVersionId>9</DeleteMarkerVersionId></Deleted>"
                      "<Deleted><Key>v</Key><VersionId>null</VersionId></Deleted>"
                      "<Error><Key>b&amp;</Key><Code>SubjectElsewhere</Code><Message>The subject&apos;s home "
                      "is another region; send this key there in a request of its own.</Message></Error>"
                      "<Error><Key>c</Key><VersionId>&lt;1&gt;</VersionId><Code>AccessDenied</"
                      "Code><Message>Access Denied: clause "
                      "7</Message></Error></DeleteResult>");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tags_print_and_combine),
      cmocka_unit_test(documents_read_so),
      cmocka_unit_test(deletes_answer_key_by_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
