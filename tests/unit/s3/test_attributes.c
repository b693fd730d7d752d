/* GetObjectAttributes: what is asked for, and what is told. */
#include "s3_testing.h"

static enum s3_error ask(const char *const *lists, const char *max, const char *marker,
                         struct s3_attributes_asked *out) {
  struct draft d;
  struct s3_fault fault = {0};
  draft_init(&d, "GET", "/photos/k", "attributes");
  for (size_t i = 0; lists[i]; i++) draft_add(&d, "X-Amz-Object-Attributes", lists[i]);
  if (max) draft_add(&d, "x-amz-max-parts", max);
  if (marker) draft_add(&d, "x-amz-part-number-marker", marker);
  enum s3_error error = s3_attributes_from_head(&d.head, out, &fault);
  assert_int_equal(error, fault.error);
  return error;
}

static void names_come_in_one_header_or_several(void **state) {
  (void)state;
  struct s3_attributes_asked a;
  assert_int_equal(ask((const char *const[]){"ETag, ObjectSize", "Checksum", NULL}, NULL, NULL, &a), S3_OK);
  assert_true(a.etag && a.object_size && a.checksum && !a.parts && !a.storage_class);
  assert_int_equal(a.parts_max, 1000);
  assert_int_equal(a.part_number_marker, 0);
  assert_int_equal(ask((const char *const[]){"ObjectParts,StorageClass", NULL}, "2", "7", &a), S3_OK);
  assert_true(a.parts && a.storage_class && !a.etag && !a.object_size && !a.checksum);
  assert_int_equal(a.parts_max, 2);
  assert_int_equal(a.part_number_marker, 7);
  assert_int_equal(ask((const char *const[]){"ObjectParts", NULL}, "5000", "99999", &a), S3_OK);
  assert_int_equal(a.parts_max, 1000);
  assert_int_equal(a.part_number_marker, 10000);
}

static void what_nobody_can_mean_is_refused(void **state) {
  (void)state;
  static const char *const none[] = {NULL};
  static const char *const blank[] = {"", NULL};
  static const char *const unknown[] = {"ETag,Colour", NULL};
  static const char *const lower[] = {"etag", NULL};
  static const char *const good[] = {"ETag", NULL};
  struct s3_attributes_asked a;
  assert_int_equal(ask(none, NULL, NULL, &a), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(ask(blank, NULL, NULL, &a), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(ask(unknown, NULL, NULL, &a), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(ask(lower, NULL, NULL, &a), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(ask(good, "x", NULL, &a), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(ask(good, NULL, "-1", &a), S3_ERR_INVALID_ARGUMENT);
}

static const uint8_t md5[MD5_SIZE] = {0xAB};
static const struct s3_attributes_part parts[] = {{1, 5}, {3, 6}, {9, 7}};

static void told(const struct s3_attributes_asked *asked, const struct s3_attributes *o, const char *want) {
  BUF_AUTO xml = BUF_INIT;
  s3_result_attributes(asked, o, &xml);
  assert_false(xml.failed);
  static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<GetObjectAttributesResponse "
                             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  BUF_AUTO whole = BUF_INIT;
  buf_append_str(&whole, head);
  buf_append_str(&whole, want);
  buf_append_str(&whole, "</GetObjectAttributesResponse>");
  buf_append_byte(&whole, 0);
  assert_slice(buf_slice(&xml), (const char *)whole.data);
}

static void only_what_was_asked_for_is_told(void **state) {
  (void)state;
  struct auth_digest crc = {.kind = AUTH_CHECKSUM_CRC32, .size = 4, .data = {0, 0, 0, 1}};
  struct s3_attributes o = {.md5 = md5, .size = 18};
  struct s3_attributes_asked all = {true, true, true, true, true, 1000, 0};
  told(&all, &o,
       "<ETag>ab000000000000000000000000000000</ETag><StorageClass>STANDARD</StorageClass>"
       "<ObjectSize>18</ObjectSize>");
  struct s3_attributes_asked size = {.object_size = true};
  told(&size, &o, "<ObjectSize>18</ObjectSize>");
  o.checksum = &crc;
  struct s3_attributes_asked sum = {.checksum = true};
  told(
      &sum, &o,
      "<Checksum><ChecksumCRC32>AAAAAQ==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>");
}

static void parts_come_in_pages_where_there_is_a_checksum(void **state) {
  (void)state;
  struct auth_digest crc = {.kind = AUTH_CHECKSUM_CRC32, .size = 4};
  struct s3_attributes o = {.md5 = md5, .part_count = 3, .size = 18, .parts = parts};
  struct s3_attributes_asked asked = {.parts = true, .parts_max = 2, .part_number_marker = 0};
  told(&asked, &o, "<ObjectParts><PartsCount>3</PartsCount></ObjectParts>");
  o.checksum = &crc;
  told(&asked, &o,
       "<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>0</PartNumberMarker>"
       "<NextPartNumberMarker>3</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>true</IsTruncated>"
       "<Part><PartNumber>1</PartNumber><Size>5</Size></Part>"
       "<Part><PartNumber>3</PartNumber><Size>6</Size></Part></ObjectParts>");
  asked.part_number_marker = 3;
  told(&asked, &o,
       "<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>3</PartNumberMarker>"
       "<NextPartNumberMarker>9</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>false</IsTruncated>"
       "<Part><PartNumber>9</PartNumber><Size>7</Size></Part></ObjectParts>");
  asked.parts_max = 0;
  told(&asked, &o,
       "<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>3</PartNumberMarker>"
       "<NextPartNumberMarker>3</NextPartNumberMarker><MaxParts>0</MaxParts><IsTruncated>true</IsTruncated>"
       "</ObjectParts>");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_come_in_one_header_or_several),
      cmocka_unit_test(what_nobody_can_mean_is_refused),
      cmocka_unit_test(only_what_was_asked_for_is_told),
      cmocka_unit_test(parts_come_in_pages_where_there_is_a_checksum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
