/* What is kept of parts: of an upload's one by one, of an object's in a list. */
#include "s3_testing.h"

static struct auth_digest digest_of(enum auth_checksum_kind kind, uint8_t first) {
  return (struct auth_digest){.kind = kind, .size = auth_checksum_size(kind), .data = {first, 2, 3}};
}

static void one_part_comes_back(void **state) {
  (void)state;
  for (unsigned kind = 0; kind < AUTH_CHECKSUM_KIND_COUNT; kind++) {
    for (int flags = 0; flags < 4; flags++) {
      struct s3_part_meta back, meta = {.has_checksum = flags & 1, .has_salt = (flags & 2) != 0};
      uint8_t bytes[S3_PART_META_MAX], len = 99;
      if (meta.has_checksum) meta.checksum = digest_of((enum auth_checksum_kind)kind, 7);
      if (meta.has_salt) memset(meta.salt, 0xA5, sizeof meta.salt);
      s3_part_meta_encode(&meta, bytes, &len);
      assert_int_equal(len == 0, flags == 0);
      assert_int_equal(s3_part_meta_decode(slice_of(bytes, len), &back, NULL), DOM_OK);
      assert_int_equal(back.has_checksum, meta.has_checksum);
      assert_int_equal(back.has_salt, meta.has_salt);
      if (meta.has_checksum) assert_true(auth_digest_equal(&back.checksum, &meta.checksum));
      assert_memory_equal(back.salt, meta.salt, sizeof back.salt);
      for (size_t cut = 1; cut < len; cut++)
        assert_int_not_equal(s3_part_meta_decode(slice_of(bytes, cut), &back, NULL), DOM_OK);
    }
  }
}

static void the_golden_part_holds(void **state) {
  (void)state;
  struct s3_part_meta meta = {.has_checksum = true, .checksum = digest_of(AUTH_CHECKSUM_CRC32, 1)};
  uint8_t bytes[S3_PART_META_MAX], len;
  BUF_AUTO hex = BUF_INIT;
  s3_part_meta_encode(&meta, bytes, &len);
  hex_encode(&hex, slice_of(bytes, len));
  assert_string_equal(buf_str(&hex), "01010001020300");
  static const struct {
    uint8_t bytes[8];
    uint8_t len;
    enum dom_code code;
  } rows[] = {
      {{2, 1, 0, 1, 2, 3, 4}, 7, DOM_INCOMPATIBLE}, /* a newer version */
      {{1, 4}, 2, DOM_INCOMPATIBLE},                /* an unknown flag */
      {{1, 1, 9, 1, 2, 3, 4}, 7, DOM_INCOMPATIBLE}, /* an unknown kind */
      {{1, 0}, 2, DOM_CORRUPT},                     /* nothing to keep is no bytes */
      {{1, 1, 0, 1, 2, 3, 4, 5}, 8, DOM_CORRUPT},   /* something behind */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_int_equal(s3_part_meta_decode(slice_of(rows[i].bytes, rows[i].len), &meta, NULL), rows[i].code);
}

static void a_plain_list_is_no_bytes(void **state) {
  (void)state;
  struct s3_part_entry entries[3] = {{.number = 1}, {.number = 2}, {.number = 3}}, back;
  struct s3_parts parts;
  uint32_t index = 9;
  BUF_AUTO bytes = BUF_INIT;
  s3_parts_encode(entries, 3, &bytes);
  assert_int_equal(bytes.len, 0);
  assert_int_equal(s3_parts_decode(buf_slice(&bytes), 3, &parts, NULL), DOM_OK);
  s3_parts_get(&parts, 2, &back);
  assert_int_equal(back.number, 3);
  assert_true(s3_parts_find(&parts, 2, &index));
  assert_int_equal(index, 1);
  assert_false(s3_parts_find(&parts, 4, &index) || s3_parts_find(&parts, 0, &index));
}

static void a_list_comes_back(void **state) {
  (void)state;
  for (int flags = 0; flags < 4; flags++) {
    struct s3_part_entry entries[4], back;
    static const uint32_t numbers[] = {1, 5, 6, 10000};
    struct s3_parts parts;
    uint32_t index = 9;
    BUF_AUTO bytes = BUF_INIT;
    for (size_t i = 0; i < 4; i++) {
      entries[i] = (struct s3_part_entry){.number = numbers[i]};
      entries[i].meta.has_checksum = flags & 1;
      entries[i].meta.checksum = digest_of(AUTH_CHECKSUM_SHA1, (uint8_t)i);
      entries[i].meta.has_salt = (flags & 2) != 0;
      memset(entries[i].meta.salt, (int)i + 1, S3_PART_SALT_SIZE);
    }
    s3_parts_encode(entries, 4, &bytes);
    assert_int_equal(bytes.len, 4 + 4 * (2 + (flags & 1 ? 20 : 0) + (flags & 2 ? 16 : 0)));
    assert_int_equal(s3_parts_decode(buf_slice(&bytes), 4, &parts, NULL), DOM_OK);
    for (uint32_t i = 0; i < 4; i++) {
      assert_true(s3_parts_find(&parts, numbers[i], &index));
      assert_int_equal(index, i);
      s3_parts_get(&parts, i, &back);
      assert_int_equal(back.meta.has_checksum, flags & 1);
      if (flags & 1) assert_true(auth_digest_equal(&back.meta.checksum, &entries[i].meta.checksum));
      if (flags & 2) assert_memory_equal(back.meta.salt, entries[i].meta.salt, S3_PART_SALT_SIZE);
    }
    assert_false(s3_parts_find(&parts, 2, &index) || s3_parts_find(&parts, 9999, &index));
    assert_int_equal(s3_parts_decode(buf_slice(&bytes), 3, &parts, NULL), DOM_CORRUPT);
    assert_int_equal(s3_parts_decode(slice_cut(buf_slice(&bytes), 0, bytes.len - 1), 4, &parts, NULL),
                     DOM_CORRUPT);
    bytes.data[4] = 6; /* 6, 5, …: not ascending */
    assert_int_equal(s3_parts_decode(buf_slice(&bytes), 4, &parts, NULL), DOM_CORRUPT);
    bytes.data[0] = 8;
    assert_int_equal(s3_parts_decode(buf_slice(&bytes), 4, &parts, NULL), DOM_INCOMPATIBLE);
  }
}

static void a_list_cut_in_its_head_is_refused(void **state) {
  (void)state;
  static const uint8_t bytes[] = {3, 200, 1, 0};
  struct s3_parts parts;
  for (size_t len = 1; len < sizeof bytes; len++)
    assert_int_equal(s3_parts_decode(slice_of(bytes, len), 1, &parts, NULL), DOM_CORRUPT);
  assert_int_equal(s3_parts_decode(slice_of(bytes, sizeof bytes), 1, &parts, NULL), DOM_INCOMPATIBLE);
}

/* Checksums of two kinds say nothing of the whole: they are not kept. */
static void mixed_checksums_are_dropped(void **state) {
  (void)state;
  struct s3_part_entry entries[2] = {{.number = 1}, {.number = 2}};
  BUF_AUTO bytes = BUF_INIT;
  for (size_t i = 0; i < 2; i++) entries[i].meta.has_checksum = true;
  entries[0].meta.checksum = digest_of(AUTH_CHECKSUM_CRC32, 1);
  entries[1].meta.checksum = digest_of(AUTH_CHECKSUM_CRC32C, 1);
  s3_parts_encode(entries, 2, &bytes);
  assert_int_equal(bytes.len, 0);
  entries[1].meta.has_checksum = false;
  s3_parts_encode(entries, 2, &bytes);
  assert_int_equal(bytes.len, 0);
}

static void a_composite_is_the_digest_of_the_digests(void **state) {
  (void)state;
  struct s3_part_entry entries[2] = {{.number = 1}, {.number = 2}};
  uint8_t both[2 * SHA256_SIZE], want[SHA256_SIZE];
  struct auth_digest got;
  for (size_t i = 0; i < 2; i++) {
    entries[i].meta.has_checksum = true;
    entries[i].meta.checksum = digest_of(AUTH_CHECKSUM_SHA256, (uint8_t)(i + 1));
    memcpy(both + i * SHA256_SIZE, entries[i].meta.checksum.data, SHA256_SIZE);
  }
  sha256(both, sizeof both, want);
  assert_true(s3_parts_composite(entries, 2, AUTH_CHECKSUM_SHA256, &got));
  assert_memory_equal(got.data, want, sizeof want);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_part_comes_back),
      cmocka_unit_test(the_golden_part_holds),
      cmocka_unit_test(a_plain_list_is_no_bytes),
      cmocka_unit_test(a_list_comes_back),
      cmocka_unit_test(a_list_cut_in_its_head_is_refused),
      cmocka_unit_test(mixed_checksums_are_dropped),
      cmocka_unit_test(a_composite_is_the_digest_of_the_digests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
