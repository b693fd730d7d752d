/* Forms: the reader in any pieces, what it refuses, fields as a head, policies. */
#include "base/alloc.h"
#include "base/clock.h"
#include "s3_testing.h"

#define TYPE              "multipart/form-data; boundary=B"
#define MARK              "--B\r\n"
#define PART(name, value) MARK "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(data)                                                                                      \
  MARK "Content-Disposition: form-data; name=\"file\"; filename=\"dir\\a b.txt\"\r\n"                        \
       "Content-Type: text/plain\r\n\r\n" data "\r\n"
#define END "--B--\r\n"

/* What came of a body: fields, file, error. */
struct seen {
  struct s3_form_fields *fields;
  struct buf file;
  bool has_file, has_end;
  enum s3_error error;
  struct s3_fault fault;
};

static void take(struct seen *seen, const struct s3_form_event *event, struct arena *arena) {
  if (event->kind == S3_FORM_DATA) buf_append_slice(&seen->file, event->value);
  if (event->kind == S3_FORM_END) seen->has_end = true;
  bool is_field = event->kind == S3_FORM_FIELD && !seen->has_file;
  if (event->kind == S3_FORM_FILE) seen->has_file = true;
  if (is_field || event->kind == S3_FORM_FILE)
    seen->error = s3_form_add(seen->fields, event, arena, &seen->fault);
}

/* Reads `body`, `piece` bytes at a time. */
static struct seen read_form(struct arena *arena, const char *type, struct slice body, size_t piece) {
  struct seen seen = {.fields = arena_alloc(arena, sizeof *seen.fields)};
  struct s3_form f;
  size_t at = 0, shown = 0;
  memset(seen.fields, 0, sizeof *seen.fields);
  seen.error = s3_form_begin(slice_str(type), &f);
  while (!seen.error && (shown < body.len || at < shown)) {
    struct s3_form_event event = {.kind = S3_FORM_MORE};
    size_t used = 0;
    seen.error = s3_form_next(&f, slice_cut(body, at, shown), &used, &event);
    at += used;
    if (!seen.error) take(&seen, &event, arena);
    if (seen.error || event.kind != S3_FORM_MORE) continue;
    if (shown == body.len) break;
    shown = shown + piece < body.len ? shown + piece : body.len;
  }
  if (!seen.error && !s3_form_is_done(&f)) seen.error = S3_ERR_MALFORMED_POST;
  return seen;
}

static void a_form_in_any_pieces(void **state) {
  static const char body[] = PART("key", "up/${filename}") PART("empty", "") PART("two", "a\r\n\r\n--")
      FILE_PART("x\r\n--\r\n\r\n--C\r") PART("late", "ignored") END "epilogue";
  for (size_t piece = 1; piece < sizeof body; piece++) {
    struct seen seen = read_form(*state, TYPE, slice_str(body), piece);
    assert_int_equal(seen.error, S3_OK);
    assert_true(seen.has_file && seen.has_end);
    assert_int_equal(seen.fields->count, 3);
    assert_slice(seen.fields->item[2].value, "a\r\n\r\n--");
    assert_slice(buf_slice(&seen.file), "x\r\n--\r\n\r\n--C\r");
    assert_slice(seen.fields->file_name, "a b.txt");
    assert_int_equal(s3_form_expand(seen.fields, *state), S3_OK);
    assert_slice(s3_form_field(seen.fields, "KEY"), "up/a b.txt");
    assert_slice(s3_form_field(seen.fields, "empty"), "");
    assert_null(s3_form_field(seen.fields, "late").data);
    buf_done(&seen.file);
  }
}

static void heads_that_say_a_form(void **state) {
  static const struct {
    const char *type;
    enum s3_error error;
  } rows[] = {
      {TYPE, S3_OK},
      {"Multipart/Form-Data ;charset=x; BOUNDARY=\"B\" ", S3_OK},
      {"multipart/form-data; boundary=\"a b\"", S3_OK},
      {"multipart/form-data; boundary=\"a \"", S3_ERR_MALFORMED_POST},
      {"multipart/form-data", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=\"B", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=B; boundary=B", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=B trailing", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=B\x01", S3_ERR_MALFORMED_POST},
      {"multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890",
       S3_OK},
      {"multipart/form-data; "
       "boundary=12345678901234567890123456789012345678901234567890123456789012345678901",
       S3_ERR_MALFORMED_POST},
      {"multipart/form-database; boundary=B", S3_ERR_POST_NOT_FORM},
      {"multipart/mixed; boundary=B", S3_ERR_POST_NOT_FORM},
      {"", S3_ERR_POST_NOT_FORM},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_form f;
    memset(&f, 7, sizeof f);
    enum s3_error error = s3_form_begin(slice_str(rows[i].type), &f);
    if (error != rows[i].error) fail_msg("row %zu: %d", i, (int)error);
    if (error) assert_int_equal(f.delimiter_len, 0x0707070707070707);
  }
}

static void what_is_no_form(void **state) {
  static const struct {
    const char *body;
    enum s3_error error;
  } rows[] = {
      {"", S3_ERR_MALFORMED_POST},
      {"--", S3_ERR_MALFORMED_POST},
      {"x" FILE_PART("d") END, S3_ERR_MALFORMED_POST},
      {"\r\n" FILE_PART("d") END, S3_OK},
      {FILE_PART("d"), S3_ERR_MALFORMED_POST},
      {FILE_PART("d") "--B-", S3_ERR_MALFORMED_POST},
      {FILE_PART("d") "--B--", S3_OK},
      {FILE_PART("d") "--B \t\r\n", S3_ERR_MALFORMED_POST},
      {FILE_PART("d") FILE_PART("e") END, S3_ERR_POST_FILES},
      {PART("a", "1") PART("A", "2") FILE_PART("") END, S3_ERR_INVALID_ARGUMENT},
      {MARK "\r\n\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition: form-data\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition: form-data; name=\"\"\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition: form-data; name=\"a\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition form-data; name=a\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "Content-Disposition: form-data; name=a\n\nx\n" END, S3_ERR_MALFORMED_POST},
      {"--Bad\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" END, S3_ERR_MALFORMED_POST},
      {MARK "X: y\r\nCONTENT-DISPOSITION:form-data;name=file\r\n\r\n\r\n--B--", S3_OK},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (size_t piece = 1; piece <= 64; piece *= 8) {
      struct seen seen = read_form(*state, TYPE, slice_str(rows[i].body), piece);
      if (seen.error != rows[i].error) fail_msg("row %zu, pieces of %zu: %d", i, piece, (int)seen.error);
      buf_done(&seen.file);
    }
  }
}

/* Before the file, after it, and a name that grows a value past the limit. */
static void bounds(void **state) {
  for (size_t extra = 0; extra < 2; extra++) {
    BUF_AUTO body = BUF_INIT;
    const size_t frame = sizeof(PART("x", "")) - 1;
    const size_t file_head = sizeof(FILE_PART("")) - 3;
    buf_append_str(&body, MARK "Content-Disposition: form-data; name=\"x\"\r\n\r\n");
    while (body.len + 2 < S3_FORM_FIELDS_BYTES_MAX - file_head + extra) buf_append_byte(&body, 'v');
    assert_true(body.len > frame);
    buf_append_str(&body, "\r\n" FILE_PART("data") END);
    for (size_t piece = 100; piece < 40000; piece *= 300) {
      struct seen seen = read_form(*state, TYPE, buf_slice(&body), piece);
      assert_int_equal(seen.error, extra ? S3_ERR_MAX_POST_DATA : S3_OK);
      buf_done(&seen.file);
    }
  }
  BUF_AUTO tail = BUF_INIT;
  buf_append_str(&tail, FILE_PART("data") END);
  buf_append_zero(&tail, S3_FORM_TAIL_BYTES_MAX);
  struct seen seen = read_form(*state, TYPE, buf_slice(&tail), 1000);
  assert_int_equal(seen.error, S3_ERR_MALFORMED_POST);
  buf_done(&seen.file);
  struct s3_form_fields fields = {.count = 1};
  BUF_AUTO many = BUF_INIT;
  for (int i = 0; i < 1000; i++) buf_append_str(&many, "${filename}");
  fields.item[0] = (struct auth_header){SLICE_LIT("key"), buf_slice(&many)};
  fields.file_name = SLICE_LIT("a name of more than twenty bytes");
  assert_int_equal(s3_form_expand(&fields, *state), S3_ERR_MAX_POST_DATA);
}

/* ---- fields as a head -------------------------------------------------------------------------------- */

static struct s3_form_fields fields_of(const char *const *pairs) {
  struct s3_form_fields fields = {.count = 0};
  for (; pairs[0] != NULL; pairs += 2)
    fields.item[fields.count++] = (struct auth_header){slice_str(pairs[0]), slice_str(pairs[1])};
  return fields;
}
#define FIELDS(...) fields_of((const char *const[]){__VA_ARGS__, NULL})

static enum s3_error as_request(struct arena *arena, const struct s3_form_fields *fields,
                                struct s3_request *out, struct auth_request *out_head) {
  struct draft d;
  struct s3_fault fault = {0};
  draft_init(&d, "POST", "/photos", "");
  draft_add(&d, "Content-Type", TYPE);
  draft_add(&d, "x-amz-meta-unsigned", "1");
  draft_add(&d, "Referer", "https://page.test/");
  struct s3_request request = {0};
  assert_int_equal(s3_request_parse(&d.head, &test_domains, arena, &request, &fault), S3_OK);
  assert_int_equal(request.op, S3_OP_POST_OBJECT);
  assert_int_equal(request.meta.user_count, 0);
  enum s3_error error = s3_form_request(fields, &d.head, arena, &request, out_head, &fault);
  *out = request;
  assert_int_equal(error, fault.error);
  return error;
}

static void fields_are_a_head(void **state) {
  struct s3_request q;
  struct auth_request head;
  struct slice value;
  struct s3_form_fields fields =
      FIELDS("Key", "a/b", "acl", "private", "content-type", "image/png", "x-amz-meta-One", "1", "Expires",
             "never", "bucket", "photos", "policy", "p", "x-amz-date", "d", "submit", "go",
             "x-amz-checksum-crc32", "AAAAAA==");
  assert_int_equal(as_request(*state, &fields, &q, &head), S3_OK);
  assert_slice(q.key, "a/b");
  assert_slice(q.acl, "private");
  assert_slice(q.meta.content_type, "image/png");
  assert_slice(q.meta.expires, "never");
  assert_int_equal(q.meta.user_count, 1);
  assert_slice(q.meta.user[0].name, "one");
  assert_true(q.has_checksum);
  assert_int_equal(auth_header_find(&head, SLICE_LIT("referer"), &value), 1);
  assert_int_equal(auth_header_find(&head, SLICE_LIT("x-amz-meta-unsigned"), &value), 0);
  assert_int_equal(auth_header_find(&head, SLICE_LIT("x-amz-acl"), &value), 1);
  assert_int_equal(auth_header_find(&head, SLICE_LIT("submit"), &value), 0);
}

static void fields_that_are_no_head(void **state) {
  const struct {
    struct s3_form_fields fields;
    enum s3_error error;
  } rows[] = {
      {FIELDS("acl", "private"), S3_ERR_INVALID_ARGUMENT},
      {FIELDS("key", ""), S3_ERR_INVALID_ARGUMENT},
      {FIELDS("key", "k", "Bucket", "other"), S3_ERR_INVALID_ARGUMENT},
      {FIELDS("key", "k", "x-amz-acl", "private"), S3_ERR_NOT_IMPLEMENTED},
      {FIELDS("key", "k", "x-amz-copy-source", "/a/b"), S3_ERR_NOT_IMPLEMENTED},
      {FIELDS("key", "k", "x-amz-decoded-content-length", "1"), S3_ERR_NOT_IMPLEMENTED},
      {FIELDS("key", "k", "x-amz-meta-a", "b\nc"), S3_ERR_INVALID_ARGUMENT},
      {FIELDS("key", "k", "x-amz-meta-a b", "c"), S3_ERR_INVALID_ARGUMENT},
      {FIELDS("key", "k", "x-amz-server-side-encryption", "aws:kms"), S3_ERR_NOT_IMPLEMENTED},
      {FIELDS("key", "k", "tagging", "<Tagging>"), S3_ERR_MALFORMED_XML},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_request q;
    struct auth_request head;
    enum s3_error error = as_request(*state, &rows[i].fields, &q, &head);
    if (error != rows[i].error) fail_msg("row %zu: %d", i, (int)error);
    assert_int_equal(q.key.len, 0);
  }
}

static void credentials(void **state) {
  struct auth_form f;
  struct s3_fault fault;
  bool is_signed = true;
  (void)state;
  struct s3_form_fields none = FIELDS("key", "k"), old = FIELDS("AWSAccessKeyId", "a", "signature", "b"),
                        half = FIELDS("policy", "p", "x-amz-date", "d"),
                        bare = FIELDS("x-amz-security-token", "t"),
                        whole = FIELDS("Policy", "p", "X-Amz-Date", "d", "x-amz-signature", "s",
                                       "x-amz-credential", "c", "x-amz-algorithm", "a");
  assert_int_equal(s3_form_credential(&none, &is_signed, &f, &fault), S3_OK);
  assert_false(is_signed);
  assert_int_equal(s3_form_credential(&old, &is_signed, &f, &fault), S3_ERR_INVALID_SIGV2);
  assert_int_equal(s3_form_credential(&half, &is_signed, &f, &fault), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(s3_form_credential(&bare, &is_signed, &f, &fault), S3_ERR_INVALID_ARGUMENT);
  assert_int_equal(s3_form_credential(&whole, &is_signed, &f, &fault), S3_OK);
  assert_true(is_signed);
  assert_slice(f.policy, "p");
  assert_null(f.token.data);
}

static void answers(void **state) {
  struct s3_form_fields rows[] = {FIELDS("success_action_status", "201"),
                                  FIELDS("success_action_status", "303"),
                                  FIELDS("success_action_redirect", "https://a.test/?x#y", "redirect", "z"),
                                  FIELDS("redirect", "http://a.test/"), FIELDS("redirect", "//a.test/")};
  const unsigned wanted[] = {201, 204, 303, 303, 204};
  (void)state;
  for (size_t i = 0; i < 5; i++) assert_int_equal(s3_form_answer(&rows[i]).status, wanted[i]);
  struct s3_request q = {.op = S3_OP_POST_OBJECT, .bucket = SLICE_LIT("photos"), .key = SLICE_LIT("a/b&c")};
  BUF_AUTO to = BUF_INIT;
  s3_form_redirect(&q, s3_form_answer(&rows[2]).redirect, SLICE_LIT("e"), &to);
  assert_slice(buf_slice(&to), "https://a.test/?x&bucket=photos&key=a%2Fb%26c&etag=%22e%22#y");
  buf_reset(&to);
  s3_form_location(&q, SLICE_LIT("h:1"), true, &to);
  assert_slice(buf_slice(&to), "https://h:1/photos/a/b%26c");
  BUF_AUTO xml = BUF_INIT;
  s3_form_result(&q, buf_slice(&to), SLICE_LIT("e"), &xml);
  assert_non_null(strstr(buf_str(&xml), "<Key>a/b&amp;c</Key><ETag>&quot;e&quot;</ETag></PostResponse>"));
  q.is_host_style = true;
  buf_reset(&to);
  s3_form_location(&q, SLICE_LIT(""), false, &to);
  assert_slice(buf_slice(&to), "/a/b%26c");
}

/* ---- policies ---------------------------------------------------------------------------------------------
 */

#define NOW_MS UINT64_C(1767225600000) /* 2026-01-01 */
#define POLICY(conditions)                                                                                   \
  "{\"expiration\":\"2026-01-01T00:00:01.5Z\",\"conditions\":[{\"bucket\":\"photos\"}," conditions "]}"

static enum s3_error judge(struct arena *arena, const char *policy, uint64_t now_ms,
                           struct s3_form_range *range) {
  BUF_AUTO text = BUF_INIT;
  struct s3_fault fault = {0};
  struct s3_form_fields fields = FIELDS("key", "user/a", "Content-Type", "image/png", "policy", "",
                                        "X-Ignore-me", "x", "bucket", "photos");
  base64_encode(&text, slice_str(policy));
  enum s3_error error =
      s3_form_policy_check(buf_slice(&text), &fields, SLICE_LIT("photos"), now_ms, arena, range, &fault);
  assert_int_equal(error, fault.error);
  assert_true(error == S3_OK || fault.detail != NULL);
  return error;
}

static void policies(void **state) {
  static const struct {
    const char *policy;
    enum s3_error error;
  } rows[] = {
      {POLICY("{\"key\":\"user/a\"},{\"content-type\":\"image/png\"}"), S3_OK},
      {POLICY("[\"starts-with\",\"$key\",\"user/\"],[\"EQ\",\"$Content-Type\",\"image/png\"]"), S3_OK},
      {POLICY("[\"starts-with\",\"$key\",\"\"],[\"starts-with\",\"$Content-Type\",\"image/\"]"), S3_OK},
      {POLICY("{\"key\":\"user/a\"},{\"content-type\":\"image/png\"},[\"starts-with\",\"$acl\",\"\"]"),
       S3_OK},
      {POLICY("{\"key\":\"user/a\"},{\"content-type\":\"image/png\"},{\"acl\":\"private\"}"),
       S3_ERR_DENIED_BY_FORM_POLICY},
      {POLICY("{\"key\":\"user/a\"}"), S3_ERR_DENIED_BY_FORM_POLICY},
      {POLICY("{\"key\":\"user/A\"},{\"content-type\":\"image/png\"}"), S3_ERR_DENIED_BY_FORM_POLICY},
      {"{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[[\"starts-with\",\"$key\",\"\"],"
       "[\"starts-with\",\"$content-type\",\"\"]]}",
       S3_ERR_DENIED_BY_FORM_POLICY}, /* for which bucket? */
      {POLICY("[\"eq\",\"$key\",1]"), S3_ERR_INVALID_FORM_POLICY},
      {POLICY("[\"eq\",\"$\",\"a\"]"), S3_ERR_INVALID_FORM_POLICY},
      {POLICY("{\"\":\"a\"}"), S3_ERR_INVALID_FORM_POLICY},
      {POLICY("[\"content-length-range\",\"x\",2]"), S3_ERR_INVALID_FORM_POLICY},
      {POLICY("[\"content-length-range\",1.5,2]"), S3_ERR_INVALID_FORM_POLICY},
      {POLICY("[[[[[[[[[]]]]]]]]]"), S3_ERR_INVALID_FORM_POLICY},
      {"{\"expiration\":\"2026-01-01\",\"conditions\":[]}", S3_ERR_INVALID_FORM_POLICY},
      {"{\"expiration\":\"2026-01-01T00:00:00\",\"conditions\":[]}", S3_ERR_INVALID_FORM_POLICY},
      {"{\"expiration\":\"2026-01-01T00:00:00.Z\",\"conditions\":[]}", S3_ERR_INVALID_FORM_POLICY},
      {"{\"expiration\":\"2026-01-01T00:00:00+00Z\",\"conditions\":[]}", S3_ERR_INVALID_FORM_POLICY},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_form_range range = {1, 2};
    enum s3_error error = judge(*state, rows[i].policy, NOW_MS, &range);
    if (error != rows[i].error) fail_msg("row %zu: %d", i, (int)error);
    assert_true(range.bytes_min == 1 && range.bytes_max == 2);
    if (error == S3_OK)
      assert_int_equal(judge(*state, rows[i].policy, NOW_MS + 1000, &range), S3_ERR_DENIED_BY_FORM_POLICY);
  }
}

static void ranges_narrow(void **state) {
  struct s3_form_range range = {0, 1000};
  static const char whole[] = POLICY("{\"key\":\"user/a\"},{\"content-type\":\"image/png\"},"
                                     "[\"content-length-range\",5,\"9999\"],[\"content-length-range\",3,90]");
  assert_int_equal(judge(*state, whole, NOW_MS, &range), S3_OK);
  assert_true(range.bytes_min == 5 && range.bytes_max == 90);
}

static void no_memory_is_no_answer(void **state) {
  static const char body[] = PART("key", "${filename}") FILE_PART("d") END;
  (void)state;
  for (uint64_t n = 0; n < 64; n++) {
    struct arena *arena = arena_new(S3_REQUEST_ARENA_BYTES);
    struct seen seen = read_form(arena, TYPE, slice_str(body), 1000);
    struct s3_request q = {.op = S3_OP_POST_OBJECT};
    struct auth_request head = {.method = SLICE_LIT("POST")}, whole;
    struct s3_fault fault = {0};
    dom_alloc_fail_after(n, 0);
    enum s3_error error = s3_form_expand(seen.fields, arena);
    if (!error) error = s3_form_request(seen.fields, &head, arena, &q, &whole, &fault);
    dom_alloc_fail_after(UINT64_MAX, 0);
    assert_true(error == S3_OK || error == S3_ERR_INTERNAL_ERROR);
    assert_int_equal(q.key.len, error ? 0 : 7);
    buf_done(&seen.file);
    arena_free(arena);
    if (!error) return;
  }
  fail_msg("it never succeeds");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(a_form_in_any_pieces),
      arena_test(heads_that_say_a_form),
      arena_test(what_is_no_form),
      arena_test(bounds),
      arena_test(fields_are_a_head),
      arena_test(fields_that_are_no_head),
      arena_test(credentials),
      arena_test(answers),
      arena_test(policies),
      arena_test(ranges_narrow),
      cmocka_unit_test(no_memory_is_no_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
