/* Wrapped KEKs as bytes. Pure: no token is asked here. */
#include "vault/wrap.h"

#include <assert.h>

#include "base/codec.h"

enum { ALGORITHM_AES_256_GCM = 1, MAGIC_SIZE = 8 };
static const uint8_t MAGIC[MAGIC_SIZE] = "DOMKEKW1";
#define AAD_TEXT "domicile kek wrap 1"

bool wrap_content_is(struct slice content) {
  return slice_starts_with(content, slice_of(MAGIC, MAGIC_SIZE));
}

void wrap_content_encode(const struct wrap_content *c, struct buf *out) {
  assert(c->nonce.len == GCM_NONCE_SIZE && c->sealed.len == KEY_SIZE + GCM_TAG_SIZE);
  buf_append(out, MAGIC, MAGIC_SIZE);
  buf_append_byte(out, ALGORITHM_AES_256_GCM);
  buf_append_zero(out, WRAP_HEAD_SIZE - MAGIC_SIZE - 1);
  buf_append_slice(out, c->nonce);
  buf_append_slice(out, c->sealed);
}

enum dom_code wrap_content_decode(struct slice content, struct wrap_content *out, struct dom_err *err) {
  assert(out);
  if (content.len != WRAP_CONTENT_SIZE || !wrap_content_is(content))
    return dom_fail(err, DOM_CORRUPT, "vault/wrap: read", "a wrapped KEK has %d bytes; this file has %zu",
                    WRAP_CONTENT_SIZE, content.len);
  if (content.data[MAGIC_SIZE] != ALGORITHM_AES_256_GCM)
    return dom_fail(err, DOM_INCOMPATIBLE, "vault/wrap: read",
                    "this KEK is wrapped by algorithm %u, which this version does not know; use a newer one",
                    content.data[MAGIC_SIZE]);
  out->nonce = slice_cut(content, WRAP_HEAD_SIZE, WRAP_HEAD_SIZE + GCM_NONCE_SIZE);
  out->sealed = slice_cut(content, WRAP_HEAD_SIZE + GCM_NONCE_SIZE, content.len);
  return DOM_OK;
}

void wrap_aad(uint64_t id, uint8_t out[WRAP_AAD_SIZE]) {
  static_assert(sizeof AAD_TEXT - 1 + 8 == WRAP_AAD_SIZE, "text and id");
  memcpy(out, AAD_TEXT, sizeof AAD_TEXT - 1);
  store_u64le(out + sizeof AAD_TEXT - 1, id);
}

void vault_wrap_close(struct vault_wrap *w) {
  if (w) w->ops->close(w);
}
