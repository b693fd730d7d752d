#include "unit.h"

#include "base/alloc.h"
#include "base/codec.h"
#include "base/crc32c_internal.h"

static void test_golden_bytes(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  put_u8(&b, 0x01);
  put_u16le(&b, 0x0203);
  put_u32le(&b, 0x04050607);
  put_u64le(&b, 0x08090a0b0c0d0e0fu);
  put_u16be(&b, 0x0203);
  put_u32be(&b, 0x04050607);
  put_u64be(&b, 0x08090a0b0c0d0e0fu);
  put_bytes16le(&b, SLICE_LIT("le"));
  put_bytes32le(&b, SLICE_LIT("le"));
  put_bytes16be(&b, SLICE_LIT("be"));
  put_bytes32be(&b, SLICE_LIT(""));
  assert_hex(b.data, b.len,
             "01"
             "0302"
             "07060504"
             "0f0e0d0c0b0a0908"
             "0203"
             "04050607"
             "08090a0b0c0d0e0f"
             "02006c65"
             "020000006c65"
             "00026265"
             "00000000");
  struct reader r = reader_of(buf_slice(&b));
  assert_int_equal(get_u8(&r), 0x01);
  assert_int_equal(get_u16le(&r), 0x0203);
  assert_int_equal(get_u32le(&r), 0x04050607);
  assert_true(get_u64le(&r) == 0x08090a0b0c0d0e0fu);
  assert_int_equal(get_u16be(&r), 0x0203);
  assert_int_equal(get_u32be(&r), 0x04050607);
  assert_true(get_u64be(&r) == 0x08090a0b0c0d0e0fu);
  assert_true(slice_equal(get_bytes16le(&r), SLICE_LIT("le")));
  assert_true(slice_equal(get_bytes32le(&r), SLICE_LIT("le")));
  assert_true(slice_equal(get_bytes16be(&r), SLICE_LIT("be")));
  assert_false(reader_end(&r));
  assert_int_equal(get_bytes32be(&r).len, 0);
  assert_true(reader_end(&r));
}

/* Cut at each place, the reader goes bad for good, gives zeros and never reads past the end. */
static void test_short_input_goes_bad(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  put_u32le(&b, 0xffffffff);
  put_bytes16be(&b, SLICE_LIT("abcdef"));
  put_u64be(&b, UINT64_MAX);
  for (size_t len = 0; len < b.len; len++) {
    uint8_t *exact = dom_alloc(len); /* its own block, so that ASan sees a read past it */
    memcpy(exact, b.data, len);
    struct reader r = reader_of(slice_of(exact, len));
    uint8_t copy[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    (void)get_u32le(&r);
    (void)get_bytes16be(&r);
    get_copy(&r, copy, 8);
    assert_true(r.bad);
    assert_false(reader_end(&r));
    assert_hex(copy, 8, "0000000000000000");
    assert_int_equal(get_u8(&r), 0);
    assert_null(get_slice(&r, 0).data);
    dom_free(exact);
  }
}

static void test_length_past_the_end(void **state) {
  (void)state;
  struct reader r = reader_of(slice_of("\xff\xff\xff\xff"
                                       "abc",
                                       7));
  assert_int_equal(get_bytes32le(&r).len, 0);
  assert_true(r.bad);
}

static void test_loads_and_stores(void **state) {
  (void)state;
  uint8_t p[9];
  store_u32le(p + 1, 0x01020304); /* off alignment */
  assert_hex(p + 1, 4, "04030201");
  assert_int_equal(load_u32le(p + 1), 0x01020304);
  store_u32be(p + 1, 0x01020304);
  assert_hex(p + 1, 4, "01020304");
  assert_int_equal(load_u32be(p + 1), 0x01020304);
  store_u64le(p + 1, 0x0102030405060708u);
  assert_hex(p + 1, 8, "0807060504030201");
  assert_true(load_u64le(p + 1) == 0x0102030405060708u);
  store_u64be(p + 1, 0xf102030405060708u);
  assert_hex(p + 1, 8, "f102030405060708");
  assert_true(load_u64be(p + 1) == 0xf102030405060708u);
}

/* RFC 3720 §B.4 (its CRCs are printed least byte first). */
static void test_crc32c_vectors(void **state) {
  (void)state;
  uint8_t data[32];
  memset(data, 0, 32);
  assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
  memset(data, 0xff, 32);
  assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
  for (unsigned i = 0; i < 32; i++) data[i] = (uint8_t)i;
  assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
  for (unsigned i = 0; i < 32; i++) data[i] = (uint8_t)(31 - i);
  assert_int_equal(crc32c(0, data, 32), 0x113fdb5c);
  /* An iSCSI SCSI Read (10) command PDU. */
  BUF_AUTO command = unhex("01c00000000000000000000000000000"
                           "14000000000004000000001400000018"
                           "28000000000000000200000000000000");
  assert_int_equal(command.len, 48);
  assert_int_equal(crc32c(0, command.data, command.len), 0xd9963a56);
  assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
  assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void test_crc32c_both_ways_and_in_parts(void **state) {
  (void)state;
  uint8_t data[300];
  for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * i + 3);
  for (size_t from = 0; from < 9; from++) {
    for (size_t len = 0; len + from <= sizeof data; len += 7) {
      uint32_t whole = crc32c(0, data + from, len);
      assert_int_equal(whole, crc32c_portable(0, data + from, len));
      size_t half = len / 2;
      assert_int_equal(whole, crc32c(crc32c(0, data + from, half), data + from + half, len - half));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden_bytes),        cmocka_unit_test(test_short_input_goes_bad),
      cmocka_unit_test(test_length_past_the_end), cmocka_unit_test(test_loads_and_stores),
      cmocka_unit_test(test_crc32c_vectors),      cmocka_unit_test(test_crc32c_both_ways_and_in_parts),
  };
  return cmocka_run_group_tests_name("base-codec", tests, NULL, NULL);
}
