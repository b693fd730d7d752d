/* Metadata: from heads, and the stored form byte by byte. */
#include "base/alloc.h"
#include "s3_testing.h"

static const char golden[] = "010400"
                             "010a00746578742f706c61696e"
                             "100004003610a686"
                             "20010061010031"
                             "200100620000";

static struct s3_meta golden_meta(struct auth_header user[2]) {
  user[0] = (struct auth_header){SLICE_LIT("a"), SLICE_LIT("1")};
  user[1] = (struct auth_header){SLICE_LIT("b"), SLICE_LIT("")};
  struct s3_meta meta = {
      .content_type = SLICE_LIT("text/plain"), .user = user, .user_count = 2, .has_checksum = true};
  meta.checksum =
      (struct auth_digest){.kind = AUTH_CHECKSUM_CRC32, .size = 4, .data = {0x36, 0x10, 0xa6, 0x86}};
  return meta;
}

static void the_golden_vector_holds(void **state) {
  struct auth_header user[2];
  struct s3_meta meta = golden_meta(user);
  struct s3_meta back;
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  hex_encode(&hex, buf_slice(&bytes));
  assert_string_equal(buf_str(&hex), golden);
  assert_int_equal(s3_meta_decode(buf_slice(&bytes), *state, &back, NULL), DOM_OK);
  assert_slice(back.content_type, "text/plain");
  assert_slice(back.expires, "");
  assert_true(back.has_checksum && auth_digest_equal(&back.checksum, &meta.checksum));
  assert_int_equal(back.user_count, 2);
  assert_slice(back.user[0].name, "a");
  assert_slice(back.user[0].value, "1");
  assert_slice(back.user[1].name, "b");
  assert_slice(back.user[1].value, "");
}

/* What may be changed of a version: tags a: 1 and b:, COMPLIANCE until 0x18f00000000, a legal hold, grants
 * (into which this room does not look). */
static const char changeable[] = "010500"
                                 "40010061010031"
                                 "400100620000"
                                 "41090002000000008f010000"
                                 "42010002"
                                 "430e00"
                                 "6f776e657220610a312061636373";

static void changeable_fields_have_a_golden_vector(void **state) {
  const struct s3_tags tags = {.tag = {{SLICE_LIT("a"), SLICE_LIT("1")}, {SLICE_LIT("b"), SLICE_LIT("")}},
                               .count = 2};
  struct s3_meta back, meta = {.lock_mode = S3_LOCK_COMPLIANCE,
                               .retain_until_ms = UINT64_C(0x18f00000000),
                               .legal_hold = S3_HOLD_ON,
                               .acl = SLICE_LIT("owner a\n1 accs")};
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  assert_true(s3_meta_set_tags(&meta, &tags, *state));
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  hex_encode(&hex, buf_slice(&bytes));
  assert_string_equal(buf_str(&hex), changeable);
  assert_int_equal(s3_meta_decode(buf_slice(&bytes), *state, &back, NULL), DOM_OK);
  assert_int_equal(back.tag_count, 2);
  assert_slice(back.tags[0].value, "1");
  assert_slice(back.tags[1].key, "b");
  assert_int_equal(back.lock_mode, S3_LOCK_COMPLIANCE);
  assert_int_equal(back.retain_until_ms, UINT64_C(0x18f00000000));
  assert_int_equal(back.legal_hold, S3_HOLD_ON);
  assert_slice(back.acl, "owner a\n1 accs");
}

/* Of an upload what is planned, of an object what came of it. */
static void checksums_of_parts_are_kept(void **state) {
  static const char upload[] = "010100120200"
                               "0002";
  static const char object[] = "01020011000400"
                               "3610a686"
                               "1403000000010203";
  struct s3_meta back, meta = {.has_plan = true, .plan = {AUTH_CHECKSUM_CRC32, true}};
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  hex_encode(&hex, buf_slice(&bytes));
  assert_string_equal(buf_str(&hex), upload);
  assert_int_equal(s3_meta_decode(buf_slice(&bytes), *state, &back, NULL), DOM_OK);
  assert_true(back.has_plan && back.plan.full_object && back.plan.kind == AUTH_CHECKSUM_CRC32);
  assert_false(back.has_checksum);
  struct auth_header user[2];
  meta = golden_meta(user);
  meta = (struct s3_meta){.has_checksum = true,
                          .checksum = meta.checksum,
                          .is_composite = true,
                          .parts = SLICE_LIT("\x01\x02\x03")};
  buf_reset(&bytes);
  buf_reset(&hex);
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  hex_encode(&hex, buf_slice(&bytes));
  assert_string_equal(buf_str(&hex), object);
  assert_int_equal(s3_meta_decode(buf_slice(&bytes), *state, &back, NULL), DOM_OK);
  assert_true(back.is_composite && auth_digest_equal(&back.checksum, &meta.checksum));
  assert_slice(back.parts, "\x01\x02\x03");
  s3_meta_unpart(&back);
  assert_false(back.is_composite || back.has_checksum || back.parts.len);
}

static void plans_are_those_of_s3(void **state) {
  (void)state;
  for (unsigned kind = 0; kind < AUTH_CHECKSUM_KIND_COUNT; kind++) {
    bool sha = kind == AUTH_CHECKSUM_SHA1 || kind == AUTH_CHECKSUM_SHA256;
    struct s3_checksum_plan plan = {(enum auth_checksum_kind)kind, true};
    assert_int_equal(s3_checksum_plan_valid(&plan), !sha);
    plan.full_object = false;
    assert_int_equal(s3_checksum_plan_valid(&plan), kind != AUTH_CHECKSUM_CRC64NVME);
  }
}

static void empty_metadata_is_three_bytes(void **state) {
  struct s3_meta meta = {0};
  struct s3_meta back = {.user_count = 9};
  BUF_AUTO bytes = BUF_INIT;
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  assert_int_equal(bytes.len, 3);
  assert_int_equal(s3_meta_decode(buf_slice(&bytes), *state, &back, NULL), DOM_OK);
  assert_int_equal(back.user_count, 0);
}

/* Whatever decodes encodes to the same bytes: there is one encoding, and no byte goes unread. */
static void every_change_is_read_or_refused(void **state, const char *vector) {
  uint8_t bytes[96];
  size_t len;
  assert_int_equal(hex_decode(slice_str(vector), bytes, sizeof bytes, &len), DOM_OK);
  for (size_t cut = 0; cut < len; cut++) {
    struct s3_meta meta;
    assert_int_equal(s3_meta_decode(slice_of(bytes, cut), *state, &meta, NULL), DOM_CORRUPT);
  }
  for (size_t bit = 0; bit < len * 8; bit++) {
    struct s3_meta meta;
    bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    arena_reset(*state);
    if (s3_meta_decode(slice_of(bytes, len), *state, &meta, NULL) == DOM_OK) {
      BUF_AUTO again = BUF_INIT;
      assert_int_equal(s3_meta_encode(&meta, &again, NULL), DOM_OK);
      assert_true(slice_equal(buf_slice(&again), slice_of(bytes, len)));
    }
    bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
  }
}

static void every_change_is_refused_or_read(void **state) {
  every_change_is_read_or_refused(state, golden);
  every_change_is_read_or_refused(state, changeable);
}

static void wrong_bytes_are_told_apart(void **state) {
  static const struct {
    const char *hex;
    enum dom_code code;
  } rows[] = {
      {"020000", DOM_INCOMPATIBLE},                            /* a newer version */
      {"010100070100ff", DOM_INCOMPATIBLE},                    /* an unknown field */
      {"0101001f0100ff", DOM_INCOMPATIBLE},                    /* another */
      {"0101001202000203", DOM_CORRUPT},                       /* SHA-1 of a full object from its parts */
      {"0101001202000003", DOM_CORRUPT},                       /* an unknown type of checksum */
      {"01020010000400000000001100040000000000", DOM_CORRUPT}, /* of the whole and composite */
      {"0101001400000000", DOM_CORRUPT},                       /* no parts at all */
      {"0101001009040000000000", DOM_INCOMPATIBLE},            /* an unknown checksum */
      {"01000000", DOM_CORRUPT},                               /* more than it says */
      {"0101", DOM_CORRUPT},
      {"01ffff", DOM_CORRUPT},                             /* a count beyond the bytes */
      {"010100010000000000", DOM_CORRUPT},                 /* an empty field */
      {"010200020100610101000062", DOM_CORRUPT},           /* fields descend */
      {"01020001010061010100620000", DOM_CORRUPT},         /* a field twice */
      {"0102002001006200002001006100000000", DOM_CORRUPT}, /* names descend */
      {"010200200100610000200100610000", DOM_CORRUPT},     /* a name twice */
      {"01010020000000000000", DOM_CORRUPT},               /* a name of no bytes */
      {"0101001000030000000000", DOM_CORRUPT},             /* a CRC32 of three bytes */
      {"0101004000000000", DOM_CORRUPT},                   /* a tag without a key */
      {"010100430000000000", DOM_CORRUPT},                 /* grants of no bytes, and more */
      {"0102004301006143010061", DOM_CORRUPT},             /* grants twice */
      {"010200400100620000400100610000", DOM_CORRUPT},     /* tags descend */
      {"010100410900"
       "00"
       "0000000000000000",
       DOM_CORRUPT}, /* a retention of no mode */
      {"010100410900"
       "01"
       "000000000000000000",
       DOM_CORRUPT},
      {"010100410900"
       "01"
       "00000000000000",
       DOM_CORRUPT},
      {"010100410900"
       "03"
       "0000000000000000",
       DOM_INCOMPATIBLE},
      {"010100410800"
       "01"
       "0000000000000000",
       DOM_CORRUPT},
      {"01010042010000", DOM_CORRUPT},
      {"01010042010003", DOM_INCOMPATIBLE},
      {"01010042020001", DOM_CORRUPT},
      {"01010044010001", DOM_INCOMPATIBLE}, /* a field to come */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint8_t bytes[64];
    size_t len;
    struct s3_meta meta;
    struct dom_err err = {0};
    assert_int_equal(hex_decode(slice_str(rows[i].hex), bytes, sizeof bytes, &len), DOM_OK);
    if (s3_meta_decode(slice_of(bytes, len), *state, &meta, &err) != rows[i].code) fail_msg("row %zu", i);
    assert_int_equal(err.code, rows[i].code);
  }
}

static void heads_give_metadata(void **state) {
  struct draft d;
  struct s3_meta meta;
  draft_init(&d, "PUT", "/b/k", "");
  draft_add(&d, "content-type", " text/html; charset=utf-8 ");
  draft_add(&d, "Content-Encoding", "aws-chunked, gzip");
  draft_add(&d, "Cache-Control", "max-age=1");
  draft_add(&d, "Content-Disposition", "inline");
  draft_add(&d, "Content-Language", "hi, en");
  draft_add(&d, "Expires", "whenever");
  draft_add(&d, "X-Amz-Meta-Zebra", "Z");
  draft_add(&d, "x-amz-meta-apple", " A  b ");
  draft_add(&d, "X-AMZ-META-ZEBRA", "second");
  draft_add(&d, "x-amz-meta-", "no name");
  assert_int_equal(s3_meta_from_head(&d.head, *state, &meta), S3_OK);
  assert_slice(meta.content_type, "text/html; charset=utf-8");
  assert_slice(meta.content_encoding, "gzip");
  assert_slice(meta.cache_control, "max-age=1");
  assert_slice(meta.content_disposition, "inline");
  assert_slice(meta.content_language, "hi, en");
  assert_slice(meta.expires, "whenever");
  assert_int_equal(meta.user_count, 2);
  assert_slice(meta.user[0].name, "apple");
  assert_slice(meta.user[0].value, "A  b");
  assert_slice(meta.user[1].name, "zebra");
  assert_slice(meta.user[1].value, "Z,second");
  BUF_AUTO bytes = BUF_INIT;
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
}

static void aws_chunked_is_no_encoding(void **state) {
  static const struct {
    const char *sent, *kept;
  } rows[] = {
      {"aws-chunked", ""},
      {"AWS-Chunked", ""},
      {"aws-chunked,gzip", "gzip"},
      {"gzip,aws-chunked", "gzip"},
      {"gzip, br", "gzip, br"},
      {"gzip, aws-chunked, br", "gzip,br"},
      {"", ""},
      {"aws-chunked,", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_meta meta;
    draft_init(&d, "PUT", "/b/k", "");
    draft_add(&d, "Content-Encoding", rows[i].sent);
    assert_int_equal(s3_meta_from_head(&d.head, *state, &meta), S3_OK);
    assert_slice(meta.content_encoding, rows[i].kept);
  }
}

static void user_metadata_is_bounded(void **state) {
  char value[2049];
  struct draft d;
  struct s3_meta meta;
  memset(value, 'v', sizeof value);
  draft_init(&d, "PUT", "/b/k", "");
  draft_add(&d, "x-amz-meta-a", "");
  d.lines[1].value = slice_of(value, 2047);
  assert_int_equal(s3_meta_from_head(&d.head, *state, &meta), S3_OK);
  d.lines[1].value = slice_of(value, 2048);
  assert_int_equal(s3_meta_from_head(&d.head, *state, &meta), S3_ERR_METADATA_TOO_LARGE);
}

static void encoding_survives_lack_of_memory(void **state) {
  (void)state;
  struct auth_header user[2];
  struct s3_meta meta = golden_meta(user);
  for (uint64_t n = 0; n < 50; n++) {
    BUF_AUTO bytes = BUF_INIT;
    dom_alloc_fail_after(n, 1);
    enum dom_code code = s3_meta_encode(&meta, &bytes, NULL);
    dom_alloc_fail_after(UINT64_MAX, 0);
    if (code == DOM_OK) return;
    assert_int_equal(code, DOM_NO_MEMORY);
  }
  fail_msg("never enough memory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(the_golden_vector_holds),
      arena_test(changeable_fields_have_a_golden_vector),
      arena_test(checksums_of_parts_are_kept),
      arena_test(plans_are_those_of_s3),
      arena_test(empty_metadata_is_three_bytes),
      arena_test(every_change_is_refused_or_read),
      arena_test(wrong_bytes_are_told_apart),
      arena_test(heads_give_metadata),
      arena_test(aws_chunked_is_no_encoding),
      arena_test(user_metadata_is_bounded),
      cmocka_unit_test(encoding_survives_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
