#include "auth/token.h"

#include <assert.h>
#include <stdio.h>

#include "base/codec.h"

enum { TOKEN_FORM = 1, TOKEN_SAYS = 67, TOKEN_RAW = TOKEN_SAYS + SHA256_SIZE, ACCESS_BYTES = 9 };

static void derived(const uint8_t key[KEY_SIZE], const char *use, struct slice says,
                    uint8_t out[SHA256_SIZE]) {
  uint8_t sub[KEY_SIZE];
  assert(says.len == TOKEN_SAYS);
  hkdf_sha256(key, slice_str(use), sub);
  hmac_sha256(slice_of(sub, sizeof sub), says, out);
  wipe(sub, sizeof sub);
}

static void mac_of(const uint8_t key[KEY_SIZE], struct slice says, uint8_t out[SHA256_SIZE]) {
  assert(key != NULL);
  derived(key, "domicile token mac v1", says, out);
}

static void access_of(struct slice raw, char out[AUTH_TOKEN_ACCESS + 1]) {
  uint8_t digest[SHA256_SIZE];
  assert(raw.len == TOKEN_RAW);
  sha256(raw.data, raw.len, digest);
  out[0] = 'D';
  out[1] = 'T';
  for (size_t i = 0; i < ACCESS_BYTES; i++) snprintf(out + 2 + 2 * i, 3, "%02X", digest[i]);
}

static enum dom_code secret_of(const uint8_t key[KEY_SIZE], struct slice says,
                               char out[AUTH_TOKEN_SECRET + 1]) {
  uint8_t secret[SHA256_SIZE];
  struct buf text = BUF_INIT;
  derived(key, "domicile token secret v1", says, secret);
  base64_encode(&text, slice_of(secret, sizeof secret));
  wipe(secret, sizeof secret);
  enum dom_code code = buf_check(&text, NULL);
  assert(code != DOM_OK || text.len == AUTH_TOKEN_SECRET);
  if (code == DOM_OK) {
    memcpy(out, text.data, AUTH_TOKEN_SECRET);
    out[AUTH_TOKEN_SECRET] = 0;
  }
  buf_wipe_done(&text);
  return code;
}

static void token_put(struct buf *out, const struct auth_token *t) {
  assert(t->region != 0 && t->expires_ms > t->issued_ms);
  put_u8(out, TOKEN_FORM);
  put_u16be(out, t->region);
  buf_append(out, t->subject, sizeof t->subject);
  put_u64be(out, t->epoch);
  put_u64be(out, t->generation);
  put_u64be(out, t->issued_ms);
  put_u64be(out, t->expires_ms);
}

enum dom_code auth_token_mint(const uint8_t key[KEY_SIZE], const struct auth_token *token,
                              struct auth_token_credential *out) {
  BUF_AUTO raw = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  uint8_t mac[SHA256_SIZE];
  struct auth_token_credential made;
  assert(key != NULL && token != NULL && out != NULL);
  token_put(&raw, token);
  if (raw.failed) return DOM_NO_MEMORY;
  struct slice says = buf_slice(&raw);
  enum dom_code code = secret_of(key, says, made.secret);
  mac_of(key, says, mac);
  buf_append(&raw, mac, sizeof mac);
  base64_encode(&text, buf_slice(&raw));
  if (code == DOM_OK && (raw.failed || text.failed)) code = DOM_NO_MEMORY;
  if (code == DOM_OK) {
    assert(raw.len == TOKEN_RAW && text.len == AUTH_TOKEN_TEXT);
    memcpy(made.text, buf_str(&text), text.len);
    made.text[AUTH_TOKEN_TEXT] = 0;
    access_of(buf_slice(&raw), made.access);
    *out = made;
  }
  wipe(&made, sizeof made);
  return code;
}

static enum auth_error raw_of(struct slice text, struct buf *out) {
  assert(out != NULL && out->len == 0);
  if (text.len != AUTH_TOKEN_TEXT) return AUTH_INVALID_TOKEN;
  enum dom_code code = base64_decode(text, out);
  if (out->failed) return AUTH_NO_MEMORY;
  return code == DOM_OK && out->len == TOKEN_RAW ? AUTH_OK : AUTH_INVALID_TOKEN;
}

static enum auth_error says_read(struct slice raw, struct auth_token *out) {
  struct reader r = reader_of(raw);
  assert(raw.len == TOKEN_RAW);
  bool good = get_u8(&r) == TOKEN_FORM;
  struct auth_token t = {.region = get_u16be(&r)};
  memcpy(t.subject, raw.data + 3, sizeof t.subject);
  r = reader_of(slice_cut(raw, 3 + sizeof t.subject, TOKEN_SAYS));
  t.epoch = get_u64be(&r);
  t.generation = get_u64be(&r);
  t.issued_ms = get_u64be(&r);
  t.expires_ms = get_u64be(&r);
  if (!good || !reader_end(&r) || t.region == 0 || t.expires_ms <= t.issued_ms) return AUTH_INVALID_TOKEN;
  *out = t;
  return AUTH_OK;
}

enum auth_error auth_token_peek(struct slice text, struct auth_token *out) {
  BUF_AUTO raw = BUF_INIT;
  enum auth_error error = raw_of(text, &raw);
  assert(out != NULL);
  return error == AUTH_OK ? says_read(buf_slice(&raw), out) : error;
}

enum auth_error auth_token_open(const uint8_t key[KEY_SIZE], struct slice text, struct slice access,
                                struct auth_token *out, struct auth_key *out_key) {
  BUF_AUTO raw = BUF_INIT;
  uint8_t mac[SHA256_SIZE];
  char name[AUTH_TOKEN_ACCESS + 1];
  struct auth_token token;
  assert(key != NULL && out != NULL && out_key != NULL);
  enum auth_error error = raw_of(text, &raw);
  if (error != AUTH_OK) return error;
  struct slice all = buf_slice(&raw), says = slice_cut(all, 0, TOKEN_SAYS);
  mac_of(key, says, mac);
  bool holds = slice_equal_secret(slice_of(mac, sizeof mac), slice_cut(all, TOKEN_SAYS, TOKEN_RAW));
  access_of(all, name);
  if (!holds || !slice_equal(access, slice_str(name))) return AUTH_INVALID_TOKEN;
  error = says_read(all, &token);
  if (error != AUTH_OK) return error;
  struct auth_key made = {0};
  if (secret_of(key, says, made.secret) != DOM_OK) return AUTH_NO_MEMORY;
  memcpy(made.access, name, sizeof name);
  *out = token;
  *out_key = made;
  auth_key_done(&made);
  return AUTH_OK;
}
