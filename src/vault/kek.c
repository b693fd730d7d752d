/* KEK ids and what both providers share. */
#include <assert.h>
#include <stdio.h>

#include "base/codec.h"
#include "vault/kek_content.h"

uint64_t vault_kek_id_of(const uint8_t key[KEY_SIZE]) {
  assert(key);
  uint8_t bytes[KEY_SIZE];
  hkdf_sha256(key, SLICE_LIT("domicile kek id 1"), bytes);
  uint64_t id = load_u64le(bytes);
  return id != 0 ? id : 1; /* 0 means none */
}

void vault_kek_name(uint64_t id, char out[VAULT_KEK_NAME_SIZE]) {
  assert(out);
  snprintf(out, VAULT_KEK_NAME_SIZE, "%016llx", (unsigned long long)id);
}

void vault_kek_close(struct vault_kek *k) {
  if (k) k->ops->close(k);
}

enum dom_code kek_content_parse(struct slice content, uint8_t out_key[KEY_SIZE], struct dom_err *err) {
  assert(out_key);
  if (content.len == KEY_SIZE) {
    memcpy(out_key, content.data, KEY_SIZE);
    return DOM_OK;
  }
  struct slice digits = content;
  while (digits.len > 0 && (digits.data[digits.len - 1] == '\n' || digits.data[digits.len - 1] == '\r')) {
    digits.len--;
  }
  uint8_t key[KEY_SIZE];
  size_t len = 0;
  enum dom_code code = hex_decode(digits, key, sizeof key, &len);
  if (code == DOM_OK && len == KEY_SIZE) memcpy(out_key, key, KEY_SIZE);
  wipe(key, sizeof key);
  if (code == DOM_OK && len == KEY_SIZE) return DOM_OK;
  return dom_fail(err, DOM_INVALID, "vault/kek: read",
                  "a key file must hold 32 raw bytes or 64 hex digits; this one has %zu bytes", content.len);
}
