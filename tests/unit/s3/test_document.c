/* Documents that clients send. */
#include "base/alloc.h"
#include "s3_testing.h"

#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void delete_lists_are_read(void **state) {
  struct s3_delete_list list;
  const char *text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete" NS "><Quiet>true</Quiet>"
                     "<Object><Key>a &amp; b&#10;</Key></Object>\n <Object>\n<VersionId>null</VersionId>"
                     "<Key> \xC3\xA9 </Key><ETag>ignored</ETag></Object></Delete>";
  assert_int_equal(s3_delete_parse(slice_str(text), *state, &list), S3_OK);
  assert_int_equal(list.count, 2);
  assert_true(list.quiet);
  assert_slice(list.keys[0].key, "a & b\n");
  assert_int_equal(list.keys[0].version_id.len, 0);
  assert_slice(list.keys[1].key, " \xC3\xA9 ");
  assert_slice(list.keys[1].version_id, "null");
  assert_int_equal(
      s3_delete_parse(
          SLICE_LIT("<s3:Delete xmlns:s3='u'><s3:Object><s3:Key>k</s3:Key></s3:Object></s3:Delete>"), *state,
          &list),
      S3_OK);
  assert_false(list.quiet);
  assert_slice(list.keys[0].key, "k");
}

static void parts_may_name_their_checksums(void **state) {
  struct s3_part_list list;
  static const char tag[] = "<ETag>00000000000000000000000000000000</ETag>";
  static const struct {
    const char *first;
    enum s3_error error;
  } rows[] = {
      {"<ChecksumCRC32>NhCmhg==</ChecksumCRC32>", S3_OK},
      {"<ChecksumOfTomorrow>x</ChecksumOfTomorrow>", S3_OK},
      {"<ChecksumCRC32>NhCm</ChecksumCRC32>", S3_ERR_INVALID_PART},
      {"<ChecksumCRC32>NhCmhg==</ChecksumCRC32><ChecksumCRC32C>NhCmhg==</ChecksumCRC32C>",
       S3_ERR_MALFORMED_XML},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text,
               "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>%s%s</Part>"
               "<Part><PartNumber>2</PartNumber>%s</Part></CompleteMultipartUpload>",
               rows[i].first, tag, tag);
    assert_int_equal(s3_complete_parse(buf_slice(&text), *state, &list), rows[i].error);
    if (rows[i].error != S3_OK) continue;
    assert_int_equal(list.parts[0].has_checksum, i == 0);
    if (i == 0) assert_memory_equal(list.parts[0].checksum.data, "\x36\x10\xa6\x86", 4);
    assert_false(list.parts[1].has_checksum); /* what one part says is not said of the next */
  }
}

static void delete_lists_are_bounded(void **state) {
  for (int count = 999; count <= 1001; count++) {
    BUF_AUTO text = BUF_INIT;
    struct s3_delete_list list;
    buf_append_str(&text, "<Delete>");
    for (int i = 0; i < count; i++) buf_printf(&text, "<Object><Key>key %d</Key></Object>", i);
    buf_append_str(&text, "</Delete>");
    enum s3_error error = s3_delete_parse(buf_slice(&text), *state, &list);
    assert_int_equal(error, count <= 1000 ? S3_OK : S3_ERR_MALFORMED_XML);
    if (error != S3_OK) continue;
    assert_int_equal(list.count, count);
    assert_slice(list.keys[998].key, "key 998");
  }
}

static void bad_documents_are_refused(void **state) {
  static const char *const rows[] = {
      "",
      "no xml",
      "<Delete>",
      "<Delete></Delete>",
      "<Remove><Object><Key>k</Key></Object></Remove>",
      "<Delete><Object></Object></Delete>",
      "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
      "<Delete><Object><Key>k</Key></Object></Delete><More/>",
      "<Delete><Object><Key>\xFF</Key></Object></Delete>",
      "<Delete><Object><Key>&undefined;</Key></Object></Delete>",
      "<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
      "<!DOCTYPE Delete [<!ENTITY e 'k'>]><Delete><Object><Key>&e;</Key></Object></Delete>",
      "<!DOCTYPE Delete SYSTEM 'file:///etc/passwd'><Delete><Object><Key>k</Key></Object></Delete>",
      "<Delete><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a><Object><Key>k</Key></Object></Delete>",
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_delete_list list = {.count = 7};
    if (s3_delete_parse(slice_str(rows[i]), *state, &list) != S3_ERR_MALFORMED_XML) fail_msg("row %zu", i);
    assert_int_equal(list.count, 7);
  }
}

static void sizes_are_bounded(void **state) {
  BUF_AUTO text = BUF_INIT;
  struct slice location;
  struct s3_delete_list list;
  buf_append_zero(&text, S3_XML_BUCKET_BYTES_MAX + 1);
  assert_int_equal(s3_location_parse(buf_slice(&text), *state, &location), S3_ERR_MAX_MESSAGE_LENGTH);
  buf_reset(&text);
  buf_append_str(&text, "<Delete><Object><Key>");
  for (int i = 0; i < 4097; i++) buf_append_byte(&text, 'k');
  buf_append_str(&text, "</Key></Object></Delete>");
  assert_int_equal(s3_delete_parse(buf_slice(&text), *state, &list), S3_ERR_MALFORMED_XML);
}

#define MD5A "\"9e107d9d372bb6826bd81d3542a419d6\""
#define MD5B "&quot;E4D909C290D0FB1CA068FFADDF22CBD0&quot;"

static void part_lists_are_read(void **state) {
  struct s3_part_list list;
  const char *text =
      "<CompleteMultipartUpload" NS "><Part><ETag>" MD5A "</ETag><PartNumber>1</PartNumber></Part>\n"
      "<Part><PartNumber> 10000 </PartNumber><ETag>\n" MD5B
      "</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
      "</CompleteMultipartUpload>";
  assert_int_equal(s3_complete_parse(slice_str(text), *state, &list), S3_OK);
  assert_int_equal(list.count, 2);
  assert_int_equal(list.parts[0].number, 1);
  assert_int_equal(list.parts[0].md5[0], 0x9e);
  assert_int_equal(list.parts[1].number, 10000);
  assert_int_equal(list.parts[1].md5[15], 0xd0);
}

static void ten_thousand_parts_fit(void **state) {
  BUF_AUTO text = BUF_INIT;
  struct s3_part_list list;
  buf_append_str(&text, "<CompleteMultipartUpload>");
  for (int i = 1; i <= 10000; i++)
    buf_printf(&text, "<Part><PartNumber>%d</PartNumber><ETag>" MD5A "</ETag></Part>", i);
  buf_append_str(&text, "</CompleteMultipartUpload>");
  assert_int_equal(s3_complete_parse(buf_slice(&text), *state, &list), S3_OK);
  assert_int_equal(list.count, 10000);
  assert_int_equal(list.parts[9999].number, 10000);
}

static void wrong_part_lists_have_their_own_errors(void **state) {
#define PART(n, tag) "<Part><PartNumber>" n "</PartNumber><ETag>" tag "</ETag></Part>"
  static const struct {
    const char *parts;
    enum s3_error error;
  } rows[] = {
      {"", S3_ERR_MALFORMED_XML},
      {PART("2", MD5A) PART("1", MD5A), S3_ERR_INVALID_PART_ORDER},
      {PART("2", MD5A) PART("2", MD5A), S3_ERR_INVALID_PART_ORDER},
      {PART("0", MD5A), S3_ERR_INVALID_ARGUMENT},
      {PART("10001", MD5A), S3_ERR_INVALID_ARGUMENT},
      {PART("x", MD5A), S3_ERR_MALFORMED_XML},
      {PART("1", "nonsense"), S3_ERR_INVALID_PART},
      {PART("1", ""), S3_ERR_INVALID_PART},
      {"<Part><PartNumber>1</PartNumber></Part>", S3_ERR_MALFORMED_XML},
      {"<Part><ETag>" MD5A "</ETag></Part>", S3_ERR_MALFORMED_XML},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    struct s3_part_list list;
    buf_printf(&text, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>", rows[i].parts);
    if (s3_complete_parse(buf_slice(&text), *state, &list) != rows[i].error) fail_msg("row %zu", i);
  }
}

static void locations_are_read(void **state) {
  struct slice location;
  assert_int_equal(s3_location_parse((struct slice){0}, *state, &location), S3_OK);
  assert_slice(location, "");
  assert_int_equal(
      s3_location_parse(SLICE_LIT("<CreateBucketConfiguration" NS
                                  "><LocationConstraint>in</LocationConstraint></CreateBucketConfiguration>"),
                        *state, &location),
      S3_OK);
  assert_slice(location, "in");
  assert_int_equal(s3_location_parse(SLICE_LIT("<CreateBucketConfiguration/>"), *state, &location), S3_OK);
  assert_slice(location, "");
  assert_int_equal(s3_location_parse(SLICE_LIT("<Other/>"), *state, &location), S3_ERR_MALFORMED_XML);
}

/* Fails every allocation in turn: the answer is then "internal error", and nothing leaks. */
static void memory_may_run_out_anywhere(void **state) {
  (void)state;
  const char *text = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
  int64_t live = dom_alloc_live();
  bool finished = false;
  for (uint64_t n = 0; n < 500 && !finished; n++) {
    struct s3_delete_list list;
    struct arena *arena = arena_new(1 << 20);
    dom_alloc_fail_after(n, 1);
    enum s3_error error = s3_delete_parse(slice_str(text), arena, &list);
    dom_alloc_fail_after(UINT64_MAX, 0);
    finished = error == S3_OK;
    if (!finished) assert_int_equal(error, S3_ERR_INTERNAL_ERROR);
    arena_free(arena);
  }
  assert_true(finished);
  assert_int_equal(dom_alloc_live(), live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(delete_lists_are_read),    arena_test(parts_may_name_their_checksums),
      arena_test(delete_lists_are_bounded), arena_test(bad_documents_are_refused),
      arena_test(sizes_are_bounded),        arena_test(part_lists_are_read),
      arena_test(ten_thousand_parts_fit),   arena_test(wrong_part_lists_have_their_own_errors),
      arena_test(locations_are_read),       cmocka_unit_test(memory_may_run_out_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
