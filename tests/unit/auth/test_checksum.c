/* Checksums by name, against catalogued values and a bit-by-bit reference. */
#include "auth/crc.h"
#include "auth_testing.h"

static const struct {
  enum auth_checksum_kind kind;
  const char *algorithm, *header, *empty, *check; /* base64 of "" and of "123456789" */
} rows[] = {
    {AUTH_CHECKSUM_CRC32, "CRC32", "x-amz-checksum-crc32", "AAAAAA==", "y/Q5Jg=="},
    {AUTH_CHECKSUM_CRC32C, "CRC32C", "x-amz-checksum-crc32c", "AAAAAA==", "4waSgw=="},
    {AUTH_CHECKSUM_SHA1, "SHA1", "x-amz-checksum-sha1",
     "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "98O8HYCOBHMq32eZZczDTKeuNEE="},
    {AUTH_CHECKSUM_SHA256, "SHA256", "x-amz-checksum-sha256",
     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
    {AUTH_CHECKSUM_CRC64NVME, "CRC64NVME", "x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "rosUhgp5mIg="},
};

static void catalogued_values_come_out(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (int full = 0; full < 2; full++) {
      struct auth_checksum *c = auth_checksum_new(rows[i].kind);
      struct auth_digest digest;
      BUF_AUTO text = BUF_INIT;
      auth_checksum_update(c, SLICE_LIT(""));
      if (full) auth_checksum_update(c, SLICE_LIT("1234"));
      if (full) auth_checksum_update(c, SLICE_LIT("56789"));
      auth_checksum_final(c, &digest);
      auth_digest_print(&digest, &text);
      assert_string_equal(buf_str(&text), full ? rows[i].check : rows[i].empty);
      auth_checksum_free(c);
    }
  }
}

static void names_lead_to_kinds(void **state) {
  (void)state;
  enum auth_checksum_kind kind;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_string_equal(auth_checksum_algorithm(rows[i].kind), rows[i].algorithm);
    assert_string_equal(auth_checksum_header(rows[i].kind), rows[i].header);
    assert_true(auth_checksum_by_algorithm(slice_str(rows[i].algorithm), &kind));
    assert_int_equal(kind, rows[i].kind);
    assert_true(auth_checksum_by_header(slice_str(rows[i].header), &kind));
    assert_int_equal(kind, rows[i].kind);
  }
  assert_true(auth_checksum_by_header(SLICE_LIT("X-Amz-Checksum-CRC32C"), &kind));
  assert_false(auth_checksum_by_header(SLICE_LIT("x-amz-checksum-mode"), &kind));
  assert_false(auth_checksum_by_algorithm(SLICE_LIT("MD5"), &kind));
}

static void values_of_the_wrong_shape_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "AAAA",
                                    "AAAAAA",
                                    "AAAAAAA=",
                                    "!!!!!!==",
                                    "AAAAAAAAAAA=",
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct auth_digest digest;
    assert_int_equal(auth_digest_parse(AUTH_CHECKSUM_CRC32, slice_str(bad[i]), &digest),
                     AUTH_INVALID_CHECKSUM);
  }
}

static uint64_t slow_crc(uint64_t poly, int bits, struct slice data) {
  uint64_t mask = bits == 64 ? UINT64_MAX : UINT32_MAX;
  uint64_t crc = mask;
  for (size_t i = 0; i < data.len; i++) {
    crc ^= data.data[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? poly : 0);
  }
  return crc ^ mask;
}

/* Every length up to 100 at every alignment, whole and in two pieces. */
static void fast_and_slow_agree(void **state) {
  (void)state;
  uint8_t bytes[120];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 151 + 7);
  for (size_t from = 0; from < 8; from++) {
    for (size_t len = 0; len <= 100; len++) {
      struct slice all = slice_of(bytes + from, len);
      struct slice head = slice_cut(all, 0, len / 3);
      struct slice tail = slice_cut(all, len / 3, len);
      uint64_t want32 = slow_crc(0xEDB88320u, 32, all);
      uint64_t want64 = slow_crc(UINT64_C(0x9A6C9329AC4BC9B5), 64, all);
      assert_int_equal(crc32_iso(0, all), want32);
      assert_int_equal(crc32_iso(crc32_iso(0, head), tail), want32);
      assert_true(crc64_nvme(0, all) == want64);
      assert_true(crc64_nvme(crc64_nvme(0, head), tail) == want64);
    }
  }
}

/* In pieces of odd and of like lengths, empty ones too: joined they are as one. */
static void joined_pieces_are_as_one(void **state) {
  (void)state;
  static const enum auth_checksum_kind kinds[] = {AUTH_CHECKSUM_CRC32, AUTH_CHECKSUM_CRC32C,
                                                  AUTH_CHECKSUM_CRC64NVME};
  static const size_t cuts[][4] = {{0, 0, 0, 0}, {1, 2, 3, 4}, {7, 7, 7, 7}, {100, 0, 1, 65536}};
  static uint8_t bytes[70000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 31 + i / 256);
  for (size_t k = 0; k < 3; k++) {
    for (size_t row = 0; row < sizeof cuts / sizeof cuts[0]; row++) {
      struct auth_join join = {0};
      struct auth_checksum *whole = auth_checksum_new(kinds[k]);
      struct auth_digest want;
      size_t at = 0;
      for (size_t i = 0; i < 4; i++) {
        struct auth_checksum *one = auth_checksum_new(kinds[k]);
        struct auth_digest piece;
        struct slice data = slice_of(bytes + at, cuts[row][i]);
        auth_checksum_update(one, data);
        auth_checksum_update(whole, data);
        auth_checksum_final(one, &piece);
        auth_checksum_free(one);
        auth_join_add(&join, &piece, data.len);
        at += data.len;
      }
      auth_checksum_final(whole, &want);
      auth_checksum_free(whole);
      assert_true(join.begun && auth_digest_equal(&join.digest, &want));
    }
  }
  assert_false(auth_checksum_joins(AUTH_CHECKSUM_SHA1) || auth_checksum_joins(AUTH_CHECKSUM_SHA256));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(catalogued_values_come_out),
      cmocka_unit_test(names_lead_to_kinds),
      cmocka_unit_test(values_of_the_wrong_shape_are_refused),
      cmocka_unit_test(fast_and_slow_agree),
      cmocka_unit_test(joined_pieces_are_as_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
