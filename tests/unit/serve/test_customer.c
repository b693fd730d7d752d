/* Keys that clients bring along: what is stored of them, and what opens it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "serve/customer.h"

static struct s3_customer_key key_of(uint8_t byte) {
  struct s3_customer_key key = {.md5_text = SLICE_LIT("unused")};
  memset(key.key, byte, sizeof key.key);
  return key;
}

static void its_key_opens_it_and_no_other(void **state) {
  (void)state;
  struct s3_customer_key key = key_of(7), other = key_of(8);
  struct customer made, opened;
  uint8_t sealed[CUSTOMER_SEALED_SIZE];
  assert_int_equal(customer_new(&key, &made, sealed), S3_OK);
  assert_int_equal(customer_open(slice_of(sealed, sizeof sealed), &key, &opened), S3_OK);
  assert_memory_equal(opened.key, made.key, sizeof made.key);
  assert_int_equal(customer_open(slice_of(sealed, sizeof sealed), &other, &opened), S3_ERR_CUSTOMER_WRONG);
  for (size_t at = 0; at + 8 <= sizeof sealed; at++) /* nothing of the key lies open in it */
    assert_memory_not_equal(sealed + at, key.key, 8);
  for (size_t at = 0; at + KEY_SIZE <= sizeof sealed; at++)
    assert_memory_not_equal(sealed + at, made.key, KEY_SIZE);
}

/* Two objects under one key have nothing in common. */
static void each_object_has_a_key_of_its_own(void **state) {
  (void)state;
  struct s3_customer_key key = key_of(7);
  struct customer a, b;
  uint8_t first[CUSTOMER_SEALED_SIZE], second[CUSTOMER_SEALED_SIZE];
  assert_int_equal(customer_new(&key, &a, first), S3_OK);
  assert_int_equal(customer_new(&key, &b, second), S3_OK);
  assert_memory_not_equal(a.key, b.key, KEY_SIZE);
  for (size_t at = 1; at + 16 <= sizeof first; at += 16) assert_memory_not_equal(first + at, second + at, 16);
}

static void damage_is_seen(void **state) {
  (void)state;
  struct s3_customer_key key = key_of(7);
  struct customer made, opened;
  uint8_t sealed[CUSTOMER_SEALED_SIZE];
  assert_int_equal(customer_new(&key, &made, sealed), S3_OK);
  for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
    sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_not_equal(customer_open(slice_of(sealed, sizeof sealed), &key, &opened), S3_OK);
    sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (size_t len = 1; len < sizeof sealed; len++)
    assert_int_equal(customer_open(slice_of(sealed, len), &key, &opened), S3_ERR_INTERNAL_ERROR);
}

static void request_and_object_must_agree(void **state) {
  (void)state;
  struct s3_customer_key key = key_of(7), other = key_of(8);
  struct customer made, opened;
  uint8_t sealed[CUSTOMER_SEALED_SIZE];
  const struct slice none = {0};
  assert_int_equal(customer_new(&key, &made, sealed), S3_OK);
  const struct slice kept = slice_of(sealed, sizeof sealed);
  assert_int_equal(customer_match(none, NULL, &opened), S3_OK);
  assert_int_equal(customer_match(none, &key, &opened), S3_ERR_CUSTOMER_NOT_APPLICABLE);
  assert_int_equal(customer_match(kept, NULL, &opened), S3_ERR_CUSTOMER_NEEDED);
  assert_int_equal(customer_match(kept, &other, &opened), S3_ERR_CUSTOMER_WRONG);
  assert_int_equal(customer_match(kept, &key, &opened), S3_OK);
}

static void each_body_has_a_key_of_its_own(void **state) {
  (void)state;
  struct customer customer = {{1, 2, 3}};
  uint8_t whole[KEY_SIZE], part[KEY_SIZE], again[KEY_SIZE], salt[CUSTOMER_SALT_SIZE] = {9};
  customer_body_key(&customer, CUSTOMER_WHOLE, whole);
  customer_body_key(&customer, salt, part);
  customer_body_key(&customer, salt, again);
  assert_memory_equal(part, again, KEY_SIZE);
  assert_memory_not_equal(part, whole, KEY_SIZE);
  assert_memory_not_equal(whole, customer.key, KEY_SIZE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(its_key_opens_it_and_no_other),
      cmocka_unit_test(each_object_has_a_key_of_its_own),
      cmocka_unit_test(damage_is_seen),
      cmocka_unit_test(request_and_object_must_agree),
      cmocka_unit_test(each_body_has_a_key_of_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
