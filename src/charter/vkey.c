/* Verifier keys as C2SP signed-note writes them: name+key id+base64(algorithm ‖ public key). */
#include <assert.h>

#include "base/codec.h"
#include "charter/charter.h"

enum { ALGORITHM_ED25519 = 1, ID_HEX_SIZE = 8, KEY_DATA_SIZE = 1 + ED25519_KEY_SIZE };

static const char where[] = "charter/vkey";

static void key_data(const uint8_t public_key[ED25519_KEY_SIZE], uint8_t out[KEY_DATA_SIZE]) {
  assert(public_key != NULL);
  out[0] = ALGORITHM_ED25519;
  memcpy(out + 1, public_key, ED25519_KEY_SIZE);
}

static uint32_t key_id(struct slice name, const uint8_t data[KEY_DATA_SIZE]) {
  assert(name.len > 0);
  struct slice parts[] = {name, SLICE_LIT("\n"), slice_of(data, KEY_DATA_SIZE)};
  uint8_t digest[SHA256_SIZE];
  sha256_slices(parts, 3, digest);
  return load_u32be(digest);
}

/* Blanks beyond ASCII are refused with all that is not ASCII: a name is an address-like word. */
static bool name_valid(struct slice name) {
  for (size_t i = 0; i < name.len; i++)
    if (name.data[i] <= 0x20 || name.data[i] >= 0x7f || name.data[i] == '+') return false;
  return name.len > 0;
}

void charter_vkey_write(struct slice name, const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out) {
  assert(name_valid(name) && public_key != NULL && out != NULL);
  uint8_t data[KEY_DATA_SIZE];
  key_data(public_key, data);
  buf_append_slice(out, name);
  buf_printf(out, "+%08x+", key_id(name, data));
  base64_encode(out, slice_of(data, sizeof data));
}

/* The key data of a text whose parts stand apart already. */
static enum dom_code decode_data(struct slice base64, uint8_t out[ED25519_KEY_SIZE], struct dom_err *err) {
  BUF_AUTO data = BUF_INIT;
  enum dom_code code = base64_decode(base64, &data);
  if (code != DOM_OK) return dom_fail(err, code, where, "the key is not base64");
  code = buf_check(&data, err);
  if (code != DOM_OK) return code;
  if (data.len != KEY_DATA_SIZE || data.data[0] != ALGORITHM_ED25519)
    return dom_fail(err, DOM_INVALID, where, "not an Ed25519 key (33 bytes beginning with 01)");
  assert(data.data != NULL);
  memcpy(out, data.data + 1, ED25519_KEY_SIZE);
  return DOM_OK;
}

enum dom_code charter_vkey_parse(struct slice text, struct charter_vkey *out_vkey, struct dom_err *err) {
  assert(out_vkey != NULL);
  struct charter_vkey vkey = {.name = slice_cut(text, 0, slice_find(text, '+'))};
  struct slice rest = slice_cut(text, vkey.name.len, text.len);
  if (!name_valid(vkey.name)) return dom_fail(err, DOM_INVALID, where, "no name before the first +");
  if (rest.len < ID_HEX_SIZE + 2 || rest.data[1 + ID_HEX_SIZE] != '+')
    return dom_fail(err, DOM_INVALID, where, "not of the form name+8 hex digits+base64");
  enum dom_code code = decode_data(slice_cut(rest, ID_HEX_SIZE + 2, rest.len), vkey.public_key, err);
  if (code != DOM_OK) return code;
  BUF_AUTO canonical = BUF_INIT;
  charter_vkey_write(vkey.name, vkey.public_key, &canonical);
  code = buf_check(&canonical, err);
  if (code != DOM_OK) return code;
  if (!slice_equal(buf_slice(&canonical), text))
    return dom_fail(err, DOM_INVALID, where, "the key id does not belong to this name and key (it is %.8s)",
                    buf_str(&canonical) + vkey.name.len + 1);
  uint8_t data[KEY_DATA_SIZE];
  key_data(vkey.public_key, data);
  vkey.id = key_id(vkey.name, data);
  *out_vkey = vkey;
  return DOM_OK;
}
