#include "ledger/note.h"

#include <assert.h>

#include "base/codec.h"

enum {
  KEY_ID_SIZE = 4,
  KEY_TYPE_ED25519 = 0x01,
  SIG_BLOB_SIZE = KEY_ID_SIZE + ED25519_SIG_SIZE,
  SIG_BLOB_MAX = 8192 /* post-quantum signatures by others are up to 5 kB */
};

/* Every signature line begins with an em dash (U+2014) and a space. */
static const struct slice DASH = {(const uint8_t *)"\xE2\x80\x94 ", 4};

/* Length of a Unicode space (property White_Space) at the front of `s`, or 0. */
static size_t space_at(struct slice s) {
  static const char *const spaces[] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80",
                                       "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84",
                                       "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
                                       "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
                                       "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  assert(s.len > 0);
  if (s.data[0] <= 0x20 || s.data[0] == 0x7F) return 1;
  for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
    if (slice_starts_with(s, slice_str(spaces[i]))) return strlen(spaces[i]);
  return 0;
}

bool note_name_valid(struct slice name) {
  assert(name.data || name.len == 0);
  if (name.len == 0 || name.len > LEDGER_ORIGIN_MAX || !utf8_valid(name)) return false;
  for (size_t i = 0; i < name.len; i++) {
    if (name.data[i] == '+') return false;
    if (space_at(slice_cut(name, i, name.len)) > 0) return false;
  }
  return true;
}

/* Value of a base64 digit, or -1. */
static int digit_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool note_base64(struct slice text, uint8_t *out, size_t cap, size_t *out_len) {
  assert(out && out_len && (text.data || text.len == 0));
  size_t pad = 0, len = 0;
  uint32_t bits = 0;
  while (pad < 2 && pad < text.len && text.data[text.len - 1 - pad] == '=') pad++;
  if (text.len % 4 != 0 || text.len / 4 * 3 - pad > cap) return false;
  for (size_t i = 0; i < text.len - pad; i++) {
    int value = digit_value(text.data[i]);
    if (value < 0) return false;
    bits = bits << 6 | (uint32_t)value;
    if (i % 4 == 0) continue; /* 6 bits: no whole byte yet */
    unsigned spare = 6 - 2 * (unsigned)(i % 4);
    out[len++] = (uint8_t)(bits >> spare);
    bits &= (1U << spare) - 1;
  }
  *out_len = len;
  return bits == 0; /* no stray bits: one text for each content */
}

bool note_base64_exact(struct slice text, uint8_t *out, size_t len) {
  assert(out && len > 0);
  size_t got;
  return note_base64(text, out, len, &got) && got == len;
}

bool note_line(struct slice *text, struct slice *out_line) {
  assert(text && out_line);
  size_t at = slice_find(*text, '\n');
  if (at == text->len) return false;
  *out_line = slice_cut(*text, 0, at);
  *text = slice_cut(*text, at + 1, text->len);
  return true;
}

bool note_decimal(struct slice text, uint64_t *out_value) {
  assert(out_value);
  if (text.len > 1 && text.data[0] == '0') return false;
  return slice_to_u64(text, out_value) == DOM_OK;
}

void ledger_log_id(const char *origin, const uint8_t public_key[ED25519_KEY_SIZE],
                   uint8_t out_id[LEDGER_LOG_ID_SIZE]) {
  assert(note_name_valid(slice_str(origin)));
  struct slice parts[3] = {slice_str(origin), SLICE_LIT("\n\x01"), slice_of(public_key, ED25519_KEY_SIZE)};
  sha256_slices(parts, 3, out_id);
}

void ledger_vkey_format(const char *origin, const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out) {
  assert(origin && out);
  uint8_t id[LEDGER_LOG_ID_SIZE], key[1 + ED25519_KEY_SIZE];
  ledger_log_id(origin, public_key, id);
  key[0] = KEY_TYPE_ED25519;
  memcpy(key + 1, public_key, ED25519_KEY_SIZE);
  buf_append_str(out, origin);
  buf_append_byte(out, '+');
  hex_encode(out, slice_of(id, KEY_ID_SIZE));
  buf_append_byte(out, '+');
  base64_encode(out, slice_of(key, sizeof key));
}

enum dom_code ledger_vkey_parse(struct slice text, char out_origin[LEDGER_ORIGIN_MAX + 1],
                                uint8_t out_public_key[ED25519_KEY_SIZE], struct dom_err *err) {
  assert(out_origin && out_public_key);
  size_t plus = slice_find(text, '+');
  struct slice name = slice_cut(text, 0, plus);
  if (!note_name_valid(name) || plus + 10 > text.len || text.data[plus + 9] != '+')
    return dom_fail(err, DOM_INVALID, "ledger/note: vkey", "not of the form name+8 hex digits+base64");
  uint8_t key[1 + ED25519_KEY_SIZE];
  if (!note_base64_exact(slice_cut(text, plus + 10, text.len), key, sizeof key) || key[0] != KEY_TYPE_ED25519)
    return dom_fail(err, DOM_INVALID, "ledger/note: vkey", "not an Ed25519 key in base64");
  char origin[LEDGER_ORIGIN_MAX + 1];
  memcpy(origin, name.data, name.len);
  origin[name.len] = 0;
  BUF_AUTO again = BUF_INIT;
  ledger_vkey_format(origin, key + 1, &again);
  if (buf_check(&again, err) != DOM_OK) return DOM_NO_MEMORY;
  if (!slice_equal(buf_slice(&again), text))
    return dom_fail(err, DOM_INVALID, "ledger/note: vkey", "the key id does not belong to the key");
  memcpy(out_origin, origin, name.len + 1);
  memcpy(out_public_key, key + 1, ED25519_KEY_SIZE);
  return DOM_OK;
}

void checkpoint_sign(const struct checkpoint *checkpoint, const uint8_t seed[ED25519_KEY_SIZE],
                     const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out) {
  assert(checkpoint && note_name_valid(slice_str(checkpoint->origin)));
  uint8_t blob[SIG_BLOB_SIZE], id[LEDGER_LOG_ID_SIZE];
  BUF_AUTO body = BUF_INIT;
  buf_printf(&body, "%s\n%llu\n", checkpoint->origin, (unsigned long long)checkpoint->size);
  base64_encode(&body, slice_of(checkpoint->root.bytes, MERKLE_HASH));
  buf_append_byte(&body, '\n');
  if (body.failed) {
    out->failed = true;
    return;
  }
  ledger_log_id(checkpoint->origin, public_key, id);
  memcpy(blob, id, KEY_ID_SIZE);
  ed25519_sign(seed, buf_slice(&body), blob + KEY_ID_SIZE);
  buf_append_slice(out, buf_slice(&body));
  buf_append_byte(out, '\n');
  buf_append_slice(out, DASH);
  buf_append_str(out, checkpoint->origin);
  buf_append_byte(out, ' ');
  base64_encode(out, slice_of(blob, sizeof blob));
  buf_append_byte(out, '\n');
}

/* A signature line's parts. */
struct signature {
  struct slice name;
  size_t len;
  uint8_t blob[SIG_BLOB_MAX]; /* key id ‖ signature */
};

/* "— name base64": at least a key id and a byte. False when malformed. */
static bool signature_line(struct slice line, struct signature *out) {
  assert(out);
  if (!slice_starts_with(line, DASH)) return false;
  line = slice_cut(line, DASH.len, line.len);
  size_t blank = slice_find(line, ' ');
  if (blank == line.len || !note_name_valid(slice_cut(line, 0, blank))) return false;
  out->name = slice_cut(line, 0, blank);
  return note_base64(slice_cut(line, blank + 1, line.len), out->blob, sizeof out->blob, &out->len) &&
         out->len > KEY_ID_SIZE;
}

static bool signatures_well_formed(struct slice signatures) {
  assert(signatures.data || signatures.len == 0);
  size_t count = 0;
  struct slice line;
  while (note_line(&signatures, &line)) {
    struct signature signature;
    if (++count > NOTE_SIGNATURES_MAX || !signature_line(line, &signature)) return false;
  }
  return count > 0 && signatures.len == 0;
}

enum dom_code checkpoint_parse(struct slice note, struct checkpoint *out, struct slice *out_body,
                               struct slice *out_signatures, struct dom_err *err) {
  static const char where[] = "ledger/note: checkpoint";
  assert(out && out_body && out_signatures);
  if (note.len > NOTE_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where, "longer than %d bytes", NOTE_BYTES_MAX);
  struct checkpoint parsed = {.size = 0};
  struct slice rest = note, origin, size, root, blank;
  if (!note_line(&rest, &origin) || !note_name_valid(origin))
    return dom_fail(err, DOM_INVALID, where, "the origin line is missing or malformed");
  memcpy(parsed.origin, origin.data, origin.len);
  if (!note_line(&rest, &size) || !note_decimal(size, &parsed.size))
    return dom_fail(err, DOM_INVALID, where, "the size is not a plain decimal number");
  if (!note_line(&rest, &root) || !note_base64_exact(root, parsed.root.bytes, MERKLE_HASH))
    return dom_fail(err, DOM_INVALID, where, "the root is not 32 bytes of base64");
  struct slice body = slice_cut(note, 0, note.len - rest.len);
  if (!note_line(&rest, &blank) || blank.len != 0)
    return dom_fail(err, DOM_INVALID, where, "extension lines are not allowed here");
  if (!signatures_well_formed(rest))
    return dom_fail(err, DOM_INVALID, where, "the signature lines are missing or malformed");
  *out = parsed;
  *out_body = body;
  *out_signatures = rest;
  return DOM_OK;
}

bool checkpoint_verify(const struct checkpoint *checkpoint, struct slice body, struct slice signatures,
                       const struct note_key *key) {
  assert(checkpoint && key);
  uint8_t id[LEDGER_LOG_ID_SIZE];
  bool verified = false;
  struct slice line;
  if (strcmp(checkpoint->origin, key->origin) != 0) return false;
  ledger_log_id(key->origin, key->public_key, id);
  while (note_line(&signatures, &line)) {
    struct signature sig;
    if (!signature_line(line, &sig)) return false;
    if (!slice_equal(sig.name, slice_str(key->origin)) || memcmp(sig.blob, id, KEY_ID_SIZE) != 0) continue;
    if (sig.len != SIG_BLOB_SIZE) return false;
    if (!ed25519_verify(key->public_key, body, sig.blob + KEY_ID_SIZE)) return false;
    verified = true;
  }
  return verified;
}
