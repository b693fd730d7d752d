/* Version ids: one order is one id, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "s3/version.h"

static void ids_come_back(void **state) {
  uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], other[S3_VERSION_BUCKET_ID_SIZE];
  (void)state;
  random_bytes(bucket, sizeof bucket);
  memcpy(other, bucket, sizeof other);
  other[15] ^= 1;
  static const uint64_t numbers[] = {0, 1, 2, 255, 256, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
  for (size_t i = 0; i < 64; i++) {
    char id[S3_VERSION_ID_SIZE], foreign[S3_VERSION_ID_SIZE];
    uint64_t epoch = 0, lsn = 0;
    s3_version_id_print(bucket, numbers[i / 8], numbers[i % 8], id);
    s3_version_id_print(other, numbers[i / 8], numbers[i % 8], foreign);
    assert_int_equal(strlen(id), 32);
    assert_string_not_equal(id, foreign);
    assert_true(s3_version_id_parse(bucket, slice_str(id), &epoch, &lsn));
    assert_int_equal(epoch, numbers[i / 8]);
    assert_int_equal(lsn, numbers[i % 8]);
  }
}

/* The bytes are fixed: clients keep ids for years. */
static void golden(void **state) {
  static const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE] = {1, 2, 3};
  char id[S3_VERSION_ID_SIZE];
  (void)state;
  s3_version_id_print(bucket, 4, 44, id);
  assert_string_equal(id, "8e042b222b2e0cd841cf765f362a523d");
}

static void other_texts_are_none(void **state) {
  static const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE] = {0};
  static const char *const texts[] = {"",
                                      "null",
                                      "0",
                                      "0123456789abcdef0123456789abcde",
                                      "0123456789abcdef0123456789abcdef0",
                                      "0123456789abcdef0123456789abcdeg"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    uint64_t epoch = 7, lsn = 7;
    assert_false(s3_version_id_parse(bucket, slice_str(texts[i]), &epoch, &lsn));
    assert_true(epoch == 7 && lsn == 7);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_come_back),
      cmocka_unit_test(golden),
      cmocka_unit_test(other_texts_are_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
