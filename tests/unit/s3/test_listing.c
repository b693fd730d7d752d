/* The five listings and their tokens. */
#include "s3_testing.h"

static const uint8_t md5[16] = {0x9e, 0x10, 0x7d, 0x9d, 0x37, 0x2b, 0xb6, 0x82,
                                0x6b, 0xd8, 0x1d, 0x35, 0x42, 0xa4, 0x19, 0xd6};
#define TAG     "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag>"
#define NS      " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define XML     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define DATE    "2013-05-24T00:00:00.000Z"
#define DATE_MS UINT64_C(1369353600000)
#define OWNER   "<Owner><ID>main</ID><DisplayName>main</DisplayName></Owner>"

static struct s3_request request_for(struct arena *arena, const char *path, const char *query) {
  struct draft d;
  struct s3_request request;
  struct s3_fault fault;
  draft_init(&d, "GET", path, query);
  assert_int_equal(s3_request_parse(&d.head, &test_domains, arena, &request, &fault), S3_OK);
  return request;
}

static struct s3_listed_object object(const char *key) {
  return (struct s3_listed_object){.key = slice_str(key), .size = 7, .modified_ms = DATE_MS, .md5 = md5};
}

static void a_v1_page_reads_so(void **state) {
  struct s3_request r = request_for(*state, "/photos", "prefix=p%26&delimiter=/&marker=m&max-keys=2");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  struct s3_listed_object o = object("p&1");
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  s3_listing_object(&l, &o);
  s3_listing_prefix(&l, SLICE_LIT("p&2/"));
  assert_int_equal(s3_listing_end(&l, true, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_string_equal(buf_str(&out),
                      XML "<ListBucketResult" NS
                          "><Name>photos</Name><Prefix>p&amp;</Prefix><Delimiter>/</Delimiter>"
                          "<Marker>m</Marker><MaxKeys>2</MaxKeys>"
                          "<Contents><Key>p&amp;1</Key><LastModified>" DATE "</LastModified>" TAG
                          "<Size>7</Size>" OWNER "<StorageClass>STANDARD</StorageClass></Contents>"
                          "<IsTruncated>true</IsTruncated><NextMarker>p&amp;2/</NextMarker>"
                          "<CommonPrefixes><Prefix>p&amp;2/</Prefix></CommonPrefixes></ListBucketResult>");
}

static void a_v2_page_reads_so(void **state) {
  struct s3_request r = request_for(*state, "/photos", "list-type=2&encoding-type=url&start-after=a+b");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  struct s3_listed_object o = object("p/\x01 +");
  o.part_count = 3;
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  s3_listing_object(&l, &o);
  assert_int_equal(s3_listing_end(&l, false, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_string_equal(buf_str(&out),
                      XML "<ListBucketResult" NS
                          "><Name>photos</Name><Prefix></Prefix><EncodingType>url</EncodingType>"
                          "<StartAfter>a%20b</StartAfter><MaxKeys>1000</MaxKeys>"
                          "<Contents><Key>p/%01%20%2B</Key><LastModified>" DATE "</LastModified>"
                          "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6-3&quot;</ETag><Size>7</Size>"
                          "<StorageClass>STANDARD</StorageClass></Contents>"
                          "<KeyCount>1</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>");
}

/* Pages through keys with every page size; the pages together are the whole, once. */
static void tokens_page_through_everything(void **state) {
  static const char *const keys[] = {"a", "b/", "b\xFF?", "c \xC3\xA9", "d"};
  enum { KEYS = sizeof keys / sizeof keys[0] };
  for (size_t page = 1; page <= KEYS + 1; page++) {
    BUF_AUTO token = BUF_INIT;
    size_t seen = 0;
    for (;;) {
      struct s3_request r = request_for(*state, "/photos", "list-type=2&start-after=");
      struct slice after;
      r.list.continuation_token = buf_slice(&token);
      assert_int_equal(s3_listing_after(&r, *state, &after), S3_OK);
      size_t from = 0;
      while (from < KEYS && slice_compare(slice_str(keys[from]), after) <= 0) from++;
      assert_int_equal(from, seen);
      size_t to = from + page < KEYS ? from + page : KEYS;
      struct s3_listing l;
      BUF_AUTO out = BUF_INIT;
      s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
      for (size_t i = from; i < to; i++) {
        struct s3_listed_object o = object(keys[i]);
        s3_listing_object(&l, &o);
      }
      assert_int_equal(s3_listing_end(&l, to < KEYS, NULL), DOM_OK);
      s3_listing_done(&l);
      seen = to;
      const char *mark = strstr(buf_str(&out), "<NextContinuationToken>");
      assert_int_equal(mark != NULL, to < KEYS);
      if (mark == NULL) break;
      mark += strlen("<NextContinuationToken>");
      buf_reset(&token);
      buf_append(&token, mark, (size_t)(strchr(mark, '<') - mark));
    }
    assert_int_equal(seen, KEYS);
  }
}

static void foreign_tokens_are_refused(void **state) {
  static const char *const rows[] = {"x", "====", "not a token", "AmFi", "\xFF"};
  struct slice after;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_int_equal(s3_token_decode(slice_str(rows[i]), *state, &after), S3_ERR_INVALID_ARGUMENT);
  for (unsigned c = 0; c < 256; c++) {
    uint8_t key[3] = {(uint8_t)c, (uint8_t)(255 - c), (uint8_t)(c * 7)};
    BUF_AUTO token = BUF_INIT;
    s3_token_encode(slice_of(key, 3), &token);
    assert_int_equal(slice_find(buf_slice(&token), '+'), token.len);
    assert_int_equal(slice_find(buf_slice(&token), '/'), token.len);
    assert_int_equal(s3_token_decode(buf_slice(&token), *state, &after), S3_OK);
    assert_true(slice_equal(after, slice_of(key, 3)));
  }
}

static void an_empty_page_is_whole(void **state) {
  struct s3_request r = request_for(*state, "/photos", "list-type=2&max-keys=0&continuation-token=");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  assert_int_equal(s3_listing_end(&l, true, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_non_null(strstr(buf_str(&out),
                         "<ContinuationToken></ContinuationToken><MaxKeys>0</MaxKeys><KeyCount>0</"
                         "KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"));
}

static void versions_read_so(void **state) {
  struct s3_request r = request_for(*state, "/photos", "versions&key-marker=j&version-id-marker=null");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  struct s3_listed_object o = object("k"), marker = object("k");
  marker.version_id = SLICE_LIT("7");
  marker.is_latest = marker.is_marker = true;
  o.version_id = SLICE_LIT("null");
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  s3_listing_object(&l, &marker);
  s3_listing_object(&l, &o);
  assert_int_equal(s3_listing_end(&l, true, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_string_equal(
      buf_str(&out), XML
      "<ListVersionsResult" NS "><Name>photos</Name><Prefix></Prefix><KeyMarker>j</KeyMarker>"
      "<VersionIdMarker>null</VersionIdMarker><MaxKeys>1000</MaxKeys>"
      "<DeleteMarker><Key>k</Key><VersionId>7</VersionId><IsLatest>true</IsLatest>"
      "<LastModified>" DATE "</LastModified>" OWNER "</DeleteMarker>"
      "<Version><Key>k</Key><VersionId>null</VersionId><IsLatest>false</IsLatest>"
      "<LastModified>" DATE "</LastModified>" TAG "<Size>7</Size>" OWNER
      "<StorageClass>STANDARD</StorageClass></Version><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker></ListVersionsResult>");
}

static void uploads_read_so(void **state) {
  struct s3_request r =
      request_for(*state, "/photos", "uploads&key-marker=a&upload-id-marker=u0&max-uploads=2");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  s3_listing_upload(&l, &(struct s3_listed_upload){SLICE_LIT("b"), SLICE_LIT("u1"), DATE_MS});
  assert_int_equal(s3_listing_end(&l, true, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_string_equal(
      buf_str(&out), XML
      "<ListMultipartUploadsResult" NS "><Bucket>photos</Bucket><Prefix></Prefix><KeyMarker>a</KeyMarker>"
      "<UploadIdMarker>u0</UploadIdMarker><MaxUploads>2</MaxUploads>"
      "<Upload><Key>b</Key><UploadId>u1</UploadId><Initiator><ID>main</ID><DisplayName>main</DisplayName></"
      "Initiator>" OWNER "<StorageClass>STANDARD</StorageClass><Initiated>" DATE "</Initiated></Upload>"
      "<IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>u1</"
      "NextUploadIdMarker>"
      "</ListMultipartUploadsResult>");
}

static void parts_read_so(void **state) {
  struct s3_request r = request_for(*state, "/photos/k", "uploadId=u1&part-number-marker=1&max-parts=1");
  struct s3_listing l;
  BUF_AUTO out = BUF_INIT;
  s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
  s3_listing_part(&l, &(struct s3_listed_part){.number = 2, .size = 5, .modified_ms = DATE_MS, .md5 = md5});
  assert_int_equal(s3_listing_end(&l, true, NULL), DOM_OK);
  s3_listing_done(&l);
  assert_string_equal(
      buf_str(&out),
      XML "<ListPartsResult" NS "><Bucket>photos</Bucket><Key>k</Key><UploadId>u1</UploadId>"
          "<Initiator><ID>main</ID><DisplayName>main</DisplayName></Initiator>" OWNER
          "<StorageClass>STANDARD</StorageClass><PartNumberMarker>1</PartNumberMarker><MaxParts>1</MaxParts>"
          "<Part><PartNumber>2</PartNumber><LastModified>" DATE "</LastModified>" TAG "<Size>5</Size></Part>"
          "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker></ListPartsResult>");
}

/* A marker on the last page, "0" at worst, sends paginators that look at nothing else back to the start. */
static void last_page_of_parts_has_no_marker(void **state) {
  struct s3_request r = request_for(*state, "/photos/k", "uploadId=u1");
  for (unsigned count = 0; count < 2; count++) {
    struct s3_listing l;
    BUF_AUTO out = BUF_INIT;
    s3_listing_begin(&l, &r, SLICE_LIT("main"), &out);
    if (count > 0)
      s3_listing_part(&l, &(struct s3_listed_part){.number = 2, .modified_ms = DATE_MS, .md5 = md5});
    assert_int_equal(s3_listing_end(&l, false, NULL), DOM_OK);
    s3_listing_done(&l);
    assert_non_null(strstr(buf_str(&out), "<IsTruncated>false</IsTruncated></ListPartsResult>"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(a_v1_page_reads_so),
      arena_test(a_v2_page_reads_so),
      arena_test(tokens_page_through_everything),
      arena_test(foreign_tokens_are_refused),
      arena_test(an_empty_page_is_whole),
      arena_test(versions_read_so),
      arena_test(uploads_read_so),
      arena_test(parts_read_so),
      arena_test(last_page_of_parts_has_no_marker),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
