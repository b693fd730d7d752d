/* Signatures and verifier keys, against values of another program (Python's cryptography). */
#include "charter_testing.h"

static const char message[] = "charter: 1\n";
static const char signature_file[] =
    "domicile-charter-v1\n"
    "XfRu/EBIm4jT9XKDe1cat94nZzMr882WB52e0Q5rlJzwJPpo4k3L4r+iu+AeMH+Zxs3L1VqJLUSQxTvZ5JwHAg==\n";
static const char public_hex[] = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";

static void keys(uint8_t seed[ED25519_KEY_SIZE], uint8_t public_key[ED25519_KEY_SIZE]) {
  size_t len;
  memset(seed, 7, ED25519_KEY_SIZE);
  assert_int_equal(hex_decode(slice_str(public_hex), public_key, ED25519_KEY_SIZE, &len), DOM_OK);
  assert_int_equal(len, ED25519_KEY_SIZE);
}

static void test_known_signature(void **state) {
  (void)state;
  uint8_t seed[ED25519_KEY_SIZE], public_key[ED25519_KEY_SIZE];
  BUF_AUTO file = BUF_INIT;
  keys(seed, public_key);
  charter_sign(slice_str(message), seed, &file);
  assert_string_equal(buf_str(&file), signature_file);
  assert_int_equal(charter_verify(slice_str(message), buf_slice(&file), public_key, NULL), DOM_OK);
}

/* No bit of charter, signature file or key may change. */
static void test_every_flip(void **state) {
  (void)state;
  uint8_t seed[ED25519_KEY_SIZE], public_key[ED25519_KEY_SIZE];
  char text[sizeof message], file[sizeof signature_file];
  keys(seed, public_key);
  for (size_t bit = 0; bit < 8 * strlen(message); bit++) {
    memcpy(text, message, sizeof text);
    text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    assert_int_equal(
        charter_verify(slice_of(text, strlen(message)), slice_str(signature_file), public_key, NULL),
        DOM_DENIED);
  }
  for (size_t bit = 0; bit < 8 * strlen(signature_file); bit++) {
    memcpy(file, signature_file, sizeof file);
    file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    enum dom_code code =
        charter_verify(slice_str(message), slice_of(file, strlen(signature_file)), public_key, NULL);
    assert_true(code == DOM_DENIED || code == DOM_INVALID);
  }
  for (size_t bit = 0; bit < 8UL * ED25519_KEY_SIZE; bit++) {
    public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(charter_verify(slice_str(message), slice_str(signature_file), public_key, NULL),
                     DOM_DENIED);
    public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

static void test_forms_of_signature_files(void **state) {
  (void)state;
  uint8_t seed[ED25519_KEY_SIZE], public_key[ED25519_KEY_SIZE];
  keys(seed, public_key);
  for (size_t len = 0; len < strlen(signature_file); len++)
    assert_int_equal(charter_verify(slice_str(message), slice_of(signature_file, len), public_key, NULL),
                     DOM_INVALID);
  char spare[sizeof signature_file];
  memcpy(spare, signature_file, sizeof spare);
  assert_int_equal(spare[strlen(spare) - 4], 'g'); /* its last 4 bits are spare */
  spare[strlen(spare) - 4] = 'h';
  assert_int_equal(charter_verify(slice_str(message), slice_str(spare), public_key, NULL), DOM_INVALID);
  BUF_AUTO longer = BUF_INIT;
  buf_printf(&longer, "%s\n", signature_file);
  assert_int_equal(charter_verify(slice_str(message), buf_slice(&longer), public_key, NULL), DOM_INVALID);
  assert_int_equal(charter_verify(SLICE_LIT(""), slice_str(signature_file), public_key, NULL), DOM_DENIED);
}

static void test_vkeys(void **state) {
  (void)state;
  static const char *const texts[] = {VKEY_A, VKEY_B, VKEY_C};
  for (size_t i = 0; i < 3; i++) {
    uint8_t seed[ED25519_KEY_SIZE], public_key[ED25519_KEY_SIZE];
    struct charter_vkey vkey;
    BUF_AUTO again = BUF_INIT;
    memset(seed, (int)i + 1, sizeof seed);
    ed25519_public(seed, public_key);
    assert_int_equal(charter_vkey_parse(slice_str(texts[i]), &vkey, NULL), DOM_OK);
    assert_memory_equal(vkey.public_key, public_key, ED25519_KEY_SIZE);
    charter_vkey_write(vkey.name, public_key, &again);
    assert_string_equal(buf_str(&again), texts[i]);
  }
}

/* The checksum of a verifier key: no single bit may be read as another key. */
static void test_vkey_flips(void **state) {
  (void)state;
  char text[sizeof VKEY_A];
  struct charter_vkey vkey = {.id = 77};
  for (size_t bit = 0; bit < 8 * strlen(VKEY_A); bit++) {
    memcpy(text, VKEY_A, sizeof text);
    text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    struct dom_err err = {0};
    assert_int_equal(charter_vkey_parse(slice_of(text, strlen(VKEY_A)), &vkey, &err), DOM_INVALID);
    assert_int_equal(vkey.id, 77);
    assert_true(err.text[0] != 0);
  }
  for (size_t len = 0; len < strlen(VKEY_A); len++)
    assert_int_equal(charter_vkey_parse(slice_of(VKEY_A, len), &vkey, NULL), DOM_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_signature),
      cmocka_unit_test(test_every_flip),
      cmocka_unit_test(test_forms_of_signature_files),
      cmocka_unit_test(test_vkeys),
      cmocka_unit_test(test_vkey_flips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
