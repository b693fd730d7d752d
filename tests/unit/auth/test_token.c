/* Scoped tokens: made, checked, over in time, and of another region. */
#include "auth_testing.h"

static const uint8_t KEY_A[KEY_SIZE] = {1, 2, 3}, KEY_B[KEY_SIZE] = {1, 2, 4};
enum { REGION_A = 7, REGION_B = 8, TTL_MS = 3600 * 1000 };

static struct auth_token example_token(void) {
  struct auth_token t = {.region = REGION_A,
                         .epoch = 3,
                         .generation = 1,
                         .issued_ms = EXAMPLE_NOW_MS,
                         .expires_ms = EXAMPLE_NOW_MS + TTL_MS};
  for (size_t i = 0; i < sizeof t.subject; i++) t.subject[i] = (uint8_t)(i * 7);
  return t;
}

static struct auth_token_credential example_credential(const uint8_t key[KEY_SIZE]) {
  struct auth_token t = example_token();
  struct auth_token_credential c;
  assert_int_equal(auth_token_mint(key, &t, &c), DOM_OK);
  return c;
}

static void what_is_made_is_opened(void **state) {
  (void)state;
  struct auth_token want = example_token(), got;
  struct auth_key key;
  struct auth_token_credential c = example_credential(KEY_A), again = example_credential(KEY_A);
  assert_string_equal(c.text, again.text); /* nothing is stored, so nothing may be random */
  assert_string_equal(c.secret, again.secret);
  assert_int_equal(strlen(c.text), AUTH_TOKEN_TEXT);
  assert_int_equal(strlen(c.access), AUTH_TOKEN_ACCESS);
  assert_int_equal(auth_token_open(KEY_A, slice_str(c.text), slice_str(c.access), &got, &key), AUTH_OK);
  assert_memory_equal(got.subject, want.subject, sizeof got.subject);
  assert_true(got.region == want.region && got.epoch == want.epoch && got.generation == want.generation);
  assert_true(got.issued_ms == want.issued_ms && got.expires_ms == want.expires_ms);
  assert_string_equal(key.secret, c.secret);
  assert_false(key.is_operator);
  assert_int_equal(key.account[0], 0);
  assert_int_equal(auth_token_peek(slice_str(c.text), &got), AUTH_OK);
  assert_int_equal(got.region, REGION_A);
}

/* Whatever is changed of it, and whoever else's key it is checked with. */
static void nothing_else_is_opened(void **state) {
  (void)state;
  struct auth_token got;
  struct auth_key key;
  struct auth_token_credential c = example_credential(KEY_A), other = example_credential(KEY_B);
  assert_string_not_equal(c.secret, other.secret);
  assert_int_equal(auth_token_open(KEY_B, slice_str(c.text), slice_str(c.access), &got, &key),
                   AUTH_INVALID_TOKEN);
  assert_int_equal(auth_token_open(KEY_A, slice_str(c.text), slice_str(other.access), &got, &key),
                   AUTH_INVALID_TOKEN);
  BUF_AUTO raw = BUF_INIT;
  assert_int_equal(base64_decode(slice_str(c.text), &raw), DOM_OK);
  for (size_t i = 0; i < raw.len; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      BUF_AUTO text = BUF_INIT;
      raw.data[i] = (uint8_t)(raw.data[i] ^ (1u << bit));
      base64_encode(&text, buf_slice(&raw));
      assert_int_equal(auth_token_open(KEY_A, buf_slice(&text), slice_str(c.access), &got, &key),
                       AUTH_INVALID_TOKEN);
      raw.data[i] = (uint8_t)(raw.data[i] ^ (1u << bit));
    }
  for (size_t len = 0; len < AUTH_TOKEN_TEXT; len++)
    assert_int_equal(auth_token_peek(slice_of(c.text, len), &got), AUTH_INVALID_TOKEN);
}

/* ---- requests ------------------------------------------------------------------------------------ */

static struct auth_verifier *verifier_of(const uint8_t *key, struct auth_keys *keys) {
  struct auth_config config = {
      .lookup = auth_keys_find, .lookup_context = keys, .token_key = key, .region = REGION_A};
  struct auth_verifier *verifier = auth_verifier_new(&config);
  assert_non_null(verifier);
  return verifier;
}

/* A GET signed with the credential at EXAMPLE_NOW_MS + `later_ms`, judged then. */
static enum auth_error verdict(const uint8_t *key, const struct auth_token_credential *c, const char *secret,
                               uint64_t later_ms, struct auth_result *out) {
  struct arena *arena = arena_new(1 << 20);
  struct auth_keys *keys = example_keys();
  struct auth_verifier *verifier = verifier_of(key, keys);
  struct draft d;
  struct auth_signed made;
  draft_init(&d, "GET", "/bucket/photos/1/a", "");
  d.request.now_ms = EXAMPLE_NOW_MS + later_ms;
  draft_add(&d, "Host", "s3.example");
  draft_add(&d, "x-amz-security-token", c->text);
  struct auth_signer signer = {slice_str(c->access), slice_str(secret), SLICE_LIT("in")};
  assert_int_equal(auth_sign_request(&signer, &d.request, SLICE_LIT(EMPTY_SHA256), arena, &made), AUTH_OK);
  draft_add(&d, "x-amz-date", made.date);
  draft_add(&d, "x-amz-content-sha256", made.content_sha256);
  d.headers[d.request.header_count++] = (struct auth_header){SLICE_LIT("Authorization"), made.authorization};
  enum auth_error error = auth_verify_head(verifier, &d.request, arena, out);
  auth_verifier_free(verifier);
  auth_keys_free(keys);
  arena_free(arena);
  return error;
}

static void requests_are_verified(void **state) {
  (void)state;
  struct auth_token_credential c = example_credential(KEY_A);
  struct auth_result result = {0};
  assert_int_equal(verdict(KEY_A, &c, c.secret, 0, &result), AUTH_OK);
  assert_true(result.has_token && !result.is_unverified && auth_result_is_proven(&result));
  assert_int_equal(result.account.len, 0);
  assert_int_equal(result.token.epoch, 3);
  assert_int_equal(verdict(KEY_A, &c, "another secret", 0, &result), AUTH_SIGNATURE_MISMATCH);
  assert_int_equal(verdict(NULL, &c, c.secret, 0, &result), AUTH_INVALID_TOKEN); /* a region without tokens */
  struct auth_token_credential forged = example_credential(KEY_B);
  assert_int_equal(verdict(KEY_A, &forged, forged.secret, 0, &result), AUTH_INVALID_TOKEN);
  forged = c; /* a lasting key's name with somebody's token */
  snprintf(forged.access, sizeof forged.access, "%s", EXAMPLE_ACCESS);
  assert_int_equal(verdict(KEY_A, &forged, EXAMPLE_SECRET, 0, &result), AUTH_INVALID_TOKEN);
}

static void time_ends_it(void **state) {
  (void)state;
  struct auth_token_credential c = example_credential(KEY_A);
  struct auth_result result = {0};
  assert_int_equal(verdict(KEY_A, &c, c.secret, TTL_MS - 1000, &result), AUTH_OK);
  assert_int_equal(verdict(KEY_A, &c, c.secret, TTL_MS, &result), AUTH_EXPIRED_TOKEN);
  struct auth_token early = example_token(); /* from a clock that is far ahead */
  early.issued_ms = EXAMPLE_NOW_MS + AUTH_SKEW_MS_MAX + 1000;
  early.expires_ms = early.issued_ms + TTL_MS;
  assert_int_equal(auth_token_mint(KEY_A, &early, &c), DOM_OK);
  assert_int_equal(verdict(KEY_A, &c, c.secret, 0, &result), AUTH_INVALID_TOKEN);
}

/* Another region's is let through as what it is: nothing that is proven. */
static void another_regions_is_unverified(void **state) {
  (void)state;
  struct auth_token t = example_token();
  struct auth_token_credential c;
  struct auth_result result = {0};
  t.region = REGION_B;
  assert_int_equal(auth_token_mint(KEY_B, &t, &c), DOM_OK);
  assert_int_equal(verdict(KEY_A, &c, "any secret at all", 0, &result), AUTH_OK);
  assert_true(result.has_token && result.is_unverified);
  assert_false(auth_result_is_proven(&result));
  assert_int_equal(result.account.len, 0);
  assert_string_equal(result.date, EXAMPLE_DATE); /* for conditions; once it was left out */
  assert_int_equal(verdict(KEY_A, &c, c.secret, TTL_MS, &result), AUTH_EXPIRED_TOKEN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_made_is_opened),        cmocka_unit_test(nothing_else_is_opened),
      cmocka_unit_test(requests_are_verified),         cmocka_unit_test(time_ends_it),
      cmocka_unit_test(another_regions_is_unverified),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
