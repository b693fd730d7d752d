#include <assert.h>

#include "charter/charter.h"

static const char where[] = "charter/sign";
#define SIGNATURE_HEADER "domicile-charter-v1\n"

void charter_sign(struct slice bytes, const uint8_t seed[ED25519_KEY_SIZE], struct buf *out) {
  assert(seed != NULL && out != NULL);
  uint8_t signature[ED25519_SIG_SIZE];
  ed25519_sign(seed, bytes, signature);
  buf_append_str(out, SIGNATURE_HEADER);
  base64_encode(out, slice_of(signature, sizeof signature));
  buf_append_byte(out, '\n');
}

enum dom_code charter_verify(struct slice bytes, struct slice signature,
                             const uint8_t public_key[ED25519_KEY_SIZE], struct dom_err *err) {
  assert(public_key != NULL);
  struct slice header = SLICE_LIT(SIGNATURE_HEADER);
  if (!slice_starts_with(signature, header) || signature.data[signature.len - 1] != '\n')
    return dom_fail(err, DOM_INVALID, where,
                    "not a signature file: \"domicile-charter-v1\", then base64, a line each");
  BUF_AUTO raw = BUF_INIT;
  struct slice base64 =
      slice_cut(signature, header.len, signature.len > header.len ? signature.len - 1 : header.len);
  if (base64_decode(base64, &raw) != DOM_OK || (!raw.failed && raw.len != ED25519_SIG_SIZE))
    return dom_fail(err, DOM_INVALID, where, "the signature is not the base64 of 64 bytes");
  enum dom_code code = buf_check(&raw, err);
  if (code != DOM_OK) return code;
  if (!ed25519_verify(public_key, bytes, raw.data))
    return dom_fail(err, DOM_DENIED, where, "the signature does not belong to this charter and key");
  return DOM_OK;
}
