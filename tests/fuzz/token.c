/* Scoped tokens: text that somebody sends, and tokens made here from the input. None is believed that was not
 * made under the key; one that was says what it said; one changed bit, another key, another access key, and
 * it says nothing. As a form's credential it is good at its home, in its time, and unproven elsewhere. */
#include "fuzz.h"

#include <stdio.h>

#include "auth/auth.h"
#include "auth/canon.h"

enum { ARENA_BYTES = 1 << 20, HERE = 3, RAW_BYTES = AUTH_TOKEN_TEXT / 4 * 3 };
#define NOW_MS UINT64_C(1767225600000) /* 2026-01-01 */
static const uint8_t KEY[KEY_SIZE] = "fuzz key that nobody knows, ours";

static bool nobody(void *context, struct slice access, struct auth_key *out) {
  (void)context;
  (void)access;
  (void)out;
  return false;
}

static void check_text(struct slice text, struct slice access) {
  struct auth_token said, opened;
  struct auth_key key;
  fuzz_mark(&said, sizeof said);
  if (auth_token_peek(text, &said) == AUTH_OK)
    assert(text.len == AUTH_TOKEN_TEXT && said.region != 0 && said.expires_ms > said.issued_ms);
  else
    assert(fuzz_is_marked(&said, sizeof said));
  fuzz_mark(&opened, sizeof opened);
  fuzz_mark(&key, sizeof key);
  assert(auth_token_open(KEY, text, access, &opened, &key) == AUTH_INVALID_TOKEN);
  assert(fuzz_is_marked(&opened, sizeof opened) && fuzz_is_marked(&key, sizeof key));
}

static struct auth_token token_of(struct fuzz_random *r) {
  struct auth_token t = {.region = (uint16_t)(1 + fuzz_random_below(r, 6)),
                         .epoch = fuzz_random_next(r) >> fuzz_random_below(r, 64),
                         .generation = fuzz_random_next(r) >> fuzz_random_below(r, 64)};
  for (size_t i = 0; i < sizeof t.subject; i++) t.subject[i] = (uint8_t)fuzz_random_next(r);
  t.issued_ms = NOW_MS - (uint64_t)1000000 + fuzz_random_below(r, 3000000);
  t.expires_ms = t.issued_ms + 1 + fuzz_random_below(r, 2000000);
  return t;
}

static bool is_same(const struct auth_token *a, const struct auth_token *b) {
  return a->region == b->region && memcmp(a->subject, b->subject, sizeof a->subject) == 0 &&
         a->epoch == b->epoch && a->generation == b->generation && a->issued_ms == b->issued_ms &&
         a->expires_ms == b->expires_ms;
}

/* Any bit of what a token says, and of its proof. */
static void check_changed(const struct auth_token_credential *c, struct fuzz_random *r) {
  BUF_AUTO raw = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  struct auth_token t;
  struct auth_key key;
  assert(base64_decode(slice_str(c->text), &raw) == DOM_OK && raw.len == RAW_BYTES);
  raw.data[fuzz_random_below(r, raw.len)] ^= (uint8_t)(1u << fuzz_random_below(r, 8));
  base64_encode(&text, buf_slice(&raw));
  assert(auth_token_open(KEY, buf_slice(&text), slice_str(c->access), &t, &key) == AUTH_INVALID_TOKEN);
  char other[AUTH_TOKEN_ACCESS + 1];
  memcpy(other, c->access, sizeof other);
  other[fuzz_random_below(r, AUTH_TOKEN_ACCESS)] ^= 1;
  assert(auth_token_open(KEY, slice_str(c->text), slice_str(other), &t, &key) == AUTH_INVALID_TOKEN);
  uint8_t wrong[KEY_SIZE];
  memcpy(wrong, KEY, sizeof wrong);
  wrong[fuzz_random_below(r, KEY_SIZE)] ^= (uint8_t)(1u << fuzz_random_below(r, 8));
  assert(auth_token_open(wrong, slice_str(c->text), slice_str(c->access), &t, &key) == AUTH_INVALID_TOKEN);
}

static void sign_form(const struct auth_token_credential *c, char credential[96],
                      char hex[AUTH_SIGNATURE_HEX + 1], struct auth_form *f) {
  uint8_t key[KEY_SIZE], mac[SHA256_SIZE];
  snprintf(credential, 96, "%s/20260101/r/s3/aws4_request", c->access);
  canon_signing_key(slice_str(c->secret), SLICE_LIT("20260101"), SLICE_LIT("r"), key);
  hmac_sha256(slice_of(key, sizeof key), SLICE_LIT("policy"), mac);
  canon_hex(mac, hex);
  *f = (struct auth_form){.algorithm = SLICE_LIT("AWS4-HMAC-SHA256"),
                          .credential = slice_str(credential),
                          .date = SLICE_LIT("20260101T000000Z"),
                          .signature = slice_str(hex),
                          .token = slice_str(c->text),
                          .policy = SLICE_LIT("policy")};
}

static void check_use(const struct auth_token *t, const struct auth_token_credential *c,
                      struct arena *arena) {
  struct auth_config config = {.lookup = nobody, .token_key = KEY, .region = HERE};
  struct auth_verifier *verifier = auth_verifier_new(&config);
  struct auth_result result;
  struct auth_form f;
  char credential[96], hex[AUTH_SIGNATURE_HEX + 1];
  sign_form(c, credential, hex, &f);
  enum auth_error error = auth_verify_form(verifier, &f, NOW_MS, arena, &result);
  enum auth_error wanted = t->issued_ms > NOW_MS + AUTH_SKEW_MS_MAX ? AUTH_INVALID_TOKEN
                           : t->expires_ms <= NOW_MS                ? AUTH_EXPIRED_TOKEN
                                                                    : AUTH_OK;
  assert(error == wanted);
  if (error == AUTH_OK) {
    assert(result.has_token && is_same(&result.token, t) && result.account.len == 0 && !result.is_operator);
    assert(result.is_unverified == (t->region != HERE) &&
           auth_result_is_proven(&result) == !result.is_unverified);
    hex[0] = hex[0] == '0' ? '1' : '0';
    error = auth_verify_form(verifier, &f, NOW_MS, arena, &result);
    assert(error == (t->region == HERE ? AUTH_SIGNATURE_MISMATCH : AUTH_OK));
    assert(error != AUTH_OK || result.is_unverified);
  }
  auth_verifier_free(verifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size), text = {0}, access = {0};
  struct fuzz_random r = fuzz_random_of(in);
  struct arena *arena = arena_new(ARENA_BYTES);
  struct auth_token said, t = token_of(&r);
  struct auth_token_credential c, again;
  struct auth_key key;
  if (fuzz_line(&in, &text)) access = in;
  check_text(text, access);
  BUF_AUTO coded = BUF_INIT;
  base64_encode(&coded, slice_of(data, size)); /* 99 bytes of input are a token's form */
  check_text(buf_slice(&coded), access);
  assert(auth_token_mint(KEY, &t, &c) == DOM_OK && auth_token_mint(KEY, &t, &again) == DOM_OK);
  assert(memcmp(&c, &again, sizeof c) == 0);
  assert(auth_token_peek(slice_str(c.text), &said) == AUTH_OK && is_same(&said, &t));
  assert(auth_token_open(KEY, slice_str(c.text), slice_str(c.access), &said, &key) == AUTH_OK);
  assert(is_same(&said, &t) && strcmp(key.secret, c.secret) == 0 && strcmp(key.access, c.access) == 0);
  check_changed(&c, &r);
  check_use(&t, &c, arena);
  auth_key_done(&key);
  arena_free(arena);
  return 0;
}
