/* Age's keys as text: Bech32 (BIP 173), without its limit of 90 characters. */
#include <assert.h>

#include "base/age.h"

enum { CHECKSUM_DIGITS = 6, KEY_DIGITS = 52 /* 256 bits, five each */ };
static const char DIGITS[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char where[] = "base/age: key";

static uint32_t polymod_step(uint32_t sum, uint8_t value) {
  static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  uint32_t top = sum >> 25;
  sum = (sum & 0x1ffffff) << 5 ^ value;
  for (unsigned i = 0; i < 5; i++)
    if (top >> i & 1) sum ^= generator[i];
  return sum;
}

/* Over the prefix, whose letters are lower-case, and the digits. */
static uint32_t polymod(const char *prefix, const uint8_t *digits, size_t count) {
  uint32_t sum = 1;
  for (const char *p = prefix; *p; p++) sum = polymod_step(sum, (uint8_t)(*p >> 5));
  sum = polymod_step(sum, 0);
  for (const char *p = prefix; *p; p++) sum = polymod_step(sum, (uint8_t)(*p & 31));
  for (size_t i = 0; i < count; i++) sum = polymod_step(sum, digits[i]);
  return sum;
}

static void key_format(const char *prefix, bool upper, const uint8_t key[KEY_SIZE], struct buf *out) {
  uint8_t digits[KEY_DIGITS + CHECKSUM_DIGITS] = {0};
  for (size_t bit = 0; bit < KEY_SIZE * 8; bit++)
    digits[bit / 5] = (uint8_t)(digits[bit / 5] | (key[bit / 8] >> (7 - bit % 8) & 1) << (4 - bit % 5));
  uint32_t sum = polymod(prefix, digits, sizeof digits) ^ 1;
  for (unsigned i = 0; i < CHECKSUM_DIGITS; i++)
    digits[KEY_DIGITS + i] = sum >> (5 * (CHECKSUM_DIGITS - 1 - i)) & 31;
  for (const char *p = prefix; *p; p++)
    buf_append_byte(out, (uint8_t)(upper && *p >= 'a' && *p <= 'z' ? *p - 32 : *p));
  buf_append_byte(out, '1');
  for (size_t i = 0; i < sizeof digits; i++) {
    char c = DIGITS[digits[i]];
    buf_append_byte(out, (uint8_t)(upper && c >= 'a' ? c - 32 : c));
  }
  wipe(digits, sizeof digits);
}

static struct slice trimmed(struct slice s) {
  while (s.len > 0 && s.data[s.len - 1] <= ' ') s.len--;
  while (s.len > 0 && s.data[0] <= ' ') s = slice_cut(s, 1, s.len);
  return s;
}

static bool key_parse(const char *prefix, bool upper, struct slice text, uint8_t out[KEY_SIZE]) {
  uint8_t digits[KEY_DIGITS + CHECKSUM_DIGITS], key[KEY_SIZE] = {0};
  size_t at = strlen(prefix) + 1;
  if (text.len != at + sizeof digits || text.data[at - 1] != '1') return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z') return false;
    if (upper && c >= 'A' && c <= 'Z') c = (uint8_t)(c + 32);
    if (i < at - 1 && c != (uint8_t)prefix[i]) return false;
    if (i < at) continue;
    const char *found = c ? strchr(DIGITS, c) : NULL;
    if (!found) return false;
    digits[i - at] = (uint8_t)(found - DIGITS);
  }
  bool good = polymod(prefix, digits, sizeof digits) == 1 && (digits[KEY_DIGITS - 1] & 15) == 0;
  for (size_t bit = 0; bit < KEY_SIZE * 8; bit++)
    key[bit / 8] = (uint8_t)(key[bit / 8] | (digits[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8));
  if (good) memcpy(out, key, KEY_SIZE);
  wipe(key, sizeof key);
  wipe(digits, sizeof digits);
  return good;
}

void age_recipient_format(const uint8_t recipient[KEY_SIZE], struct buf *out) {
  key_format("age", false, recipient, out);
}

void age_identity_format(const uint8_t identity[KEY_SIZE], struct buf *out) {
  key_format("age-secret-key-", true, identity, out);
}

enum dom_code age_recipient_parse(struct slice text, uint8_t out[KEY_SIZE], struct dom_err *err) {
  assert(out);
  if (key_parse("age", false, trimmed(text), out)) return DOM_OK;
  return dom_fail(err, DOM_INVALID, where,
                  "not a recipient: age1 and 58 more characters are expected (domicile key backup-keygen, or "
                  "age-keygen, makes one)");
}

enum dom_code age_identity_parse(struct slice text, uint8_t out[KEY_SIZE], struct dom_err *err) {
  assert(out);
  size_t found = 0;
  for (size_t at = 0; at < text.len;) {
    struct slice rest = slice_cut(text, at, text.len);
    size_t end = slice_find(rest, '\n');
    struct slice line = trimmed(slice_cut(rest, 0, end));
    at += end < rest.len ? end + 1 : end;
    if (line.len == 0 || line.data[0] == '#') continue;
    if (!key_parse("age-secret-key-", true, line, out))
      return dom_fail(err, DOM_INVALID, where,
                      "not an identity: AGE-SECRET-KEY-1 and 58 more characters are expected");
    found++;
  }
  if (found == 1) return DOM_OK;
  return dom_fail(err, DOM_INVALID, where,
                  "the file must hold one identity (AGE-SECRET-KEY-1…); it holds %zu", found);
}
