#include "ledger/note.h"

#include <stdio.h>

#include "support.h"

/* A key and a note made by the reference implementation's documentation
 * (golang.org/x/mod/sumdb/note, "PeterNeumann"). */
static const char DOC_VKEY[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

static void test_vkey_reference(void **state) {
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint8_t key[ED25519_KEY_SIZE];
  BUF_AUTO again = BUF_INIT;
  (void)state;
  OK(ledger_vkey_parse(slice_str(DOC_VKEY), origin, key, NULL));
  assert_string_equal(origin, "PeterNeumann");
  ledger_vkey_format(origin, key, &again);
  assert_string_equal(buf_str(&again), DOC_VKEY);
}

/* The signed text of the same documentation, with the signature it prints. */
static void test_signature_reference(void **state) {
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint8_t key[ED25519_KEY_SIZE], blob[68];
  static const char text[] = "If you think cryptography is the answer to your problem,\n"
                             "then you don't know what your problem is.\n";
  (void)state;
  OK(ledger_vkey_parse(slice_str(DOC_VKEY), origin, key, NULL));
  assert_true(note_base64_exact(
      SLICE_LIT(
          "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="),
      blob, sizeof blob));
  assert_true(ed25519_verify(key, slice_str(text), blob + 4));
}

static void test_vkey_bad(void **state) {
  static const char *const bad[] = {"",
                                    "PeterNeumann",
                                    "PeterNeumann+c74f20a3",
                                    "PeterNeumann+c74f20a3+",
                                    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                    "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                    "PeterNeumanx+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                    "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                    "PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
                                    "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char origin[LEDGER_ORIGIN_MAX + 1];
    uint8_t key[ED25519_KEY_SIZE];
    struct dom_err err = {.code = DOM_OK};
    assert_int_equal(ledger_vkey_parse(slice_str(bad[i]), origin, key, &err), DOM_INVALID);
    assert_true(strlen(err.text) > 0);
  }
}

static struct note_key key_of(const uint8_t seed[ED25519_KEY_SIZE]) {
  struct note_key key = {.origin = ORIGIN};
  ed25519_public(seed, key.public_key);
  return key;
}

static void make(struct buf *out) {
  struct checkpoint head = {.origin = ORIGIN, .size = 20852163};
  struct note_key key = key_of(SEED);
  memset(head.root.bytes, 0xAB, MERKLE_HASH);
  checkpoint_sign(&head, SEED, key.public_key, out);
  assert_false(out->failed);
}

/* DOM_OK when it parses and `seed`'s key verifies it. */
static enum dom_code check(struct slice text, const uint8_t seed[ED25519_KEY_SIZE]) {
  struct checkpoint head;
  struct slice body, signatures;
  struct note_key key = key_of(seed);
  enum dom_code code = checkpoint_parse(text, &head, &body, &signatures, NULL);
  if (code != DOM_OK) return code;
  return checkpoint_verify(&head, body, signatures, &key) ? DOM_OK : DOM_DENIED;
}

static void test_checkpoint(void **state) {
  BUF_AUTO text = BUF_INIT;
  struct checkpoint head;
  struct slice body, signatures;
  (void)state;
  make(&text);
  OK(checkpoint_parse(buf_slice(&text), &head, &body, &signatures, NULL));
  assert_string_equal(head.origin, ORIGIN);
  assert_int_equal(head.size, 20852163);
  assert_int_equal(head.root.bytes[31], 0xAB);
  OK(check(buf_slice(&text), SEED));
  assert_int_equal(check(buf_slice(&text), OTHER_SEED), DOM_DENIED);
}

static void test_checkpoint_every_bit(void **state) {
  BUF_AUTO text = BUF_INIT;
  (void)state;
  make(&text);
  for (size_t bit = 0; bit < text.len * 8; bit++) {
    text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_not_equal(check(buf_slice(&text), SEED), DOM_OK);
    text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  for (size_t len = 0; len < text.len; len++)
    assert_int_not_equal(check(slice_of(text.data, len), SEED), DOM_OK);
  OK(check(buf_slice(&text), SEED));
}

#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define SIG  "\xE2\x80\x94 a AAAAAAE=\n"

static void test_checkpoint_strict(void **state) {
  static const char *const bad[] = {
      "",
      "a\n1\n" ROOT,
      "a\n1\n" ROOT "\n",
      "a\n1\n" ROOT SIG,
      "a\n01\n" ROOT "\n" SIG,
      "a\n+1\n" ROOT "\n" SIG,
      "a\n-1\n" ROOT "\n" SIG,
      "a\n1 \n" ROOT "\n" SIG,
      "a\n\n" ROOT "\n" SIG,
      "a\n18446744073709551616\n" ROOT "\n" SIG,
      "\n1\n" ROOT "\n" SIG,
      "a b\n1\n" ROOT "\n" SIG,
      "a+b\n1\n" ROOT "\n" SIG,
      "a\r\n1\n" ROOT "\n" SIG,
      "a\xC2\xA0"
      "b\n1\n" ROOT "\n" SIG,
      "a\xFF\n1\n" ROOT "\n" SIG,
      "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n\n" SIG, /* stray bits */
      "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n\n" SIG,
      "a\n1\nAAAA\n\n" SIG,
      "a\n1\n" ROOT "extension\n\n" SIG,
      "a\n1\n" ROOT "\n\n" SIG,
      "a\n1\n" ROOT "\n- a AAAAAAE=\n",
      "a\n1\n" ROOT "\n\xE2\x80\x94 a AAAAAAE=",
      "a\n1\n" ROOT "\n\xE2\x80\x94 a\n",
      "a\n1\n" ROOT "\n\xE2\x80\x94  AAAAAAE=\n",
      "a\n1\n" ROOT "\n\xE2\x80\x94 a AAAAAAF=\n",
      "a\n1\n" ROOT "\n\xE2\x80\x94 a AAAAAA==\n", /* a key id and nothing behind */
      "a\n1\n" ROOT "\n" SIG "\n",
      "a\n1\n" ROOT "\n" SIG "x\n"};
  struct checkpoint head;
  struct slice body, signatures;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct dom_err err = {.code = DOM_OK};
    assert_int_equal(checkpoint_parse(slice_str(bad[i]), &head, &body, &signatures, &err), DOM_INVALID);
    assert_true(strlen(err.text) > 0);
  }
  OK(checkpoint_parse(slice_str("a\n1\n" ROOT "\n" SIG), &head, &body, &signatures, NULL));
  OK(checkpoint_parse(slice_str("a\n18446744073709551615\n" ROOT "\n" SIG SIG), &head, &body, &signatures,
                      NULL));
}

/* Cosignatures by others are passed over; a wrong second line by the same key is not. */
static void test_other_signatures(void **state) {
  BUF_AUTO text = BUF_INIT, many = BUF_INIT;
  struct slice body, signatures;
  struct checkpoint head;
  (void)state;
  make(&text);
  buf_append_str(&text, "\xE2\x80\x94 witness1.example mJirIklj\n");
  OK(check(buf_slice(&text), SEED));
  OK(checkpoint_parse(buf_slice(&text), &head, &body, &signatures, NULL));
  struct slice ours = slice_cut(signatures, 0, slice_find(signatures, '\n') + 1);
  buf_append_slice(&many, ours);
  many.data[many.len - 6] ^= 1;
  many.data[many.len - 6] = many.data[many.len - 6] == 'A' ? 'B' : 'A';
  buf_append_slice(&text, buf_slice(&many));
  assert_int_equal(check(buf_slice(&text), SEED), DOM_DENIED);
  buf_reset(&text);
  make(&text);
  for (int i = 0; i < NOTE_SIGNATURES_MAX - 1; i++) buf_append_str(&text, "\xE2\x80\x94 witness AAAAAAE=\n");
  OK(check(buf_slice(&text), SEED));
  buf_append_str(&text, "\xE2\x80\x94 witness AAAAAAE=\n");
  assert_int_equal(check(buf_slice(&text), SEED), DOM_INVALID);
}

/* The same key under another name is another signer: the origin is part of the trust. */
static void test_other_name(void **state) {
  BUF_AUTO text = BUF_INIT;
  struct checkpoint head = {.origin = "example.org/test/us", .size = 1};
  struct note_key key = key_of(SEED);
  (void)state;
  checkpoint_sign(&head, SEED, key.public_key, &text);
  assert_int_equal(check(buf_slice(&text), SEED), DOM_DENIED);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vkey_reference),
                                     cmocka_unit_test(test_signature_reference),
                                     cmocka_unit_test(test_vkey_bad),
                                     cmocka_unit_test(test_checkpoint),
                                     cmocka_unit_test(test_checkpoint_every_bit),
                                     cmocka_unit_test(test_checkpoint_strict),
                                     cmocka_unit_test(test_other_signatures),
                                     cmocka_unit_test(test_other_name)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
