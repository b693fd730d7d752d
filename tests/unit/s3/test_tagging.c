/* Tags of objects: the header and the document, S3's limits, and their stored form. */
#include "base/alloc.h"
#include "s3_testing.h"

static void header_is(void **state, const char *text, enum s3_error want, const char *pairs) {
  struct s3_tags tags;
  BUF_AUTO got = BUF_INIT;
  arena_reset(*state);
  enum s3_error error = s3_object_tags_header(slice_str(text), *state, &tags);
  if (error != want) fail_msg("%s: %d, not %d", text, (int)error, (int)want);
  if (error != S3_OK) return;
  for (size_t i = 0; i < tags.count; i++)
    buf_printf(&got, "%.*s>%.*s;", (int)tags.tag[i].key.len, (const char *)tags.tag[i].key.data,
               (int)tags.tag[i].value.len, (const char *)tags.tag[i].value.data);
  assert_string_equal(buf_str(&got), pairs);
}

static void headers(void **state) {
  header_is(state, "", S3_OK, "");
  header_is(state, "b=2&a=1", S3_OK, "a>1;b>2;");
  header_is(state, "a", S3_OK, "a>;");
  header_is(state, "a=", S3_OK, "a>;");
  header_is(state, "a=1&", S3_OK, "a>1;");
  header_is(state, "a+b=c%20d%2Be%3D", S3_OK, "a b>c d+e=;");
  header_is(state, "k=x=y", S3_OK, "k>x=y;");
  header_is(state, "%C3%BC=%E4%B8%AD", S3_OK, "\xc3\xbc>\xe4\xb8\xad;");
  header_is(state, "k=+-=._:/@", S3_OK, "k> -=._:/@;");
  header_is(state, "a=1&a=2", S3_ERR_INVALID_ARGUMENT, NULL);
  header_is(state, "a=%zz", S3_ERR_INVALID_ARGUMENT, NULL);
  header_is(state, "a=%ff", S3_ERR_INVALID_ARGUMENT, NULL);
  header_is(state, "=x", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "a=1&&b=2", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "aws:x=1", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "a=%3Cb%3E", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "a%0A=b", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "a%00=b", S3_ERR_INVALID_TAG, NULL);
  header_is(state, "0=&1=&2=&3=&4=&5=&6=&7=&8=&9=", S3_OK, "0>;1>;2>;3>;4>;5>;6>;7>;8>;9>;");
  header_is(state, "0=&1=&2=&3=&4=&5=&6=&7=&8=&9=&a=", S3_ERR_INVALID_TAG, NULL);
}

/* Lengths are of characters, not bytes. */
static void lengths(void **state) {
  static const struct {
    unsigned key, value;
    enum s3_error want;
  } rows[] = {{128, 256, S3_OK}, {129, 1, S3_ERR_INVALID_TAG}, {1, 257, S3_ERR_INVALID_TAG}, {1, 0, S3_OK}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    struct s3_tags tags;
    for (unsigned n = 0; n < rows[i].key; n++) buf_append_str(&text, "%C3%BC");
    buf_append_byte(&text, '=');
    for (unsigned n = 0; n < rows[i].value; n++) buf_append_str(&text, "%F0%9F%93%B1");
    assert_int_equal(s3_object_tags_header(buf_slice(&text), *state, &tags), rows[i].want);
  }
}

static enum s3_error parse(void **state, const char *set, struct s3_tags *out) {
  BUF_AUTO text = BUF_INIT;
  arena_reset(*state);
  buf_printf(&text,
             "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>%s</TagSet></Tagging>", set);
  return s3_object_tags_parse(buf_slice(&text), *state, out);
}

static void documents(void **state) {
  struct s3_tags tags = {.count = 77};
  BUF_AUTO many = BUF_INIT;
  assert_int_equal(parse(state, "<Tag><Key>a</Key></Tag>", &tags), S3_ERR_MALFORMED_XML);
  assert_int_equal(parse(state, "<Tag><Key>a</Key><Value>x&gt;</Value></Tag>", &tags), S3_ERR_INVALID_TAG);
  for (char c = 'k'; c >= 'a'; c--) buf_printf(&many, "<Tag><Key>%c</Key><Value> of %c </Value></Tag>", c, c);
  assert_int_equal(parse(state, buf_str(&many), &tags), S3_ERR_INVALID_TAG); /* eleven */
  assert_int_equal(tags.count, 77);
  buf_reset(&many);
  for (char c = 'j'; c >= 'a'; c--) buf_printf(&many, "<Tag><Key>%c</Key><Value> of %c </Value></Tag>", c, c);
  assert_int_equal(parse(state, buf_str(&many), &tags), S3_OK);
  assert_int_equal(tags.count, 10);
  assert_slice(tags.tag[0].key, "a");
  assert_slice(tags.tag[9].value, " of j ");
  assert_int_equal(parse(state, "", &tags), S3_OK);
  assert_int_equal(tags.count, 0);
}

/* Memory that ends at any place: an error, and nothing touched. */
static void without_memory(void **state) {
  static const char set[] = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
  for (int what = 0; what < 2; what++)
    for (uint64_t n = 0;; n++) {
      struct s3_tags tags = {.count = 77};
      arena_reset(*state);
      dom_alloc_fail_after(n, 1);
      enum s3_error error = what ? s3_object_tags_parse(slice_str(set), *state, &tags)
                                 : s3_object_tags_header(SLICE_LIT("a=1&b=%20"), *state, &tags);
      dom_alloc_fail_after(UINT64_MAX, 0);
      if (error == S3_OK) break;
      assert_int_equal(error, S3_ERR_INTERNAL_ERROR);
      assert_int_equal(tags.count, 77);
      assert_true(n < 100);
    }
}

static void heads(void **state) {
  static const struct {
    const char *method, *query, *directive;
    bool is_copy;
    size_t count;
  } rows[] = {{"PUT", "", NULL, false, 1},       {"POST", "uploads", NULL, false, 1},
              {"PUT", "", "REPLACE", true, 1},   {"PUT", "", "COPY", true, 0},
              {"PUT", "", NULL, true, 0},        {"DELETE", "", NULL, false, 0},
              {"PUT", "tagging", NULL, false, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_request q;
    struct s3_fault fault = {0};
    draft_init(&d, rows[i].method, "/bucket/k", rows[i].query);
    draft_add(&d, "x-amz-tagging", "a=1");
    if (rows[i].is_copy) draft_add(&d, "x-amz-copy-source", "/bucket/s");
    if (rows[i].directive) draft_add(&d, "x-amz-tagging-directive", rows[i].directive);
    assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &q, &fault), S3_OK);
    assert_int_equal(q.meta.tag_count, rows[i].count);
    assert_int_equal(q.replace_tags, rows[i].is_copy && rows[i].count == 1);
  }
  struct draft d;
  struct s3_request q;
  struct s3_fault fault = {0};
  draft_init(&d, "PUT", "/bucket/k", "");
  draft_add(&d, "x-amz-copy-source", "/bucket/s");
  draft_add(&d, "x-amz-tagging-directive", "MOVE");
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &q, &fault), S3_ERR_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(headers, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(lengths, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(documents, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(without_memory, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(heads, arena_setup, arena_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
