/* What wraps KEKs that lie in a folder: a key that is not here, and a way to have it used.
 * Format of what it makes: docs/formats/vault.md, "KEK folder". */
#ifndef DOMICILE_VAULT_WRAP_H
#define DOMICILE_VAULT_WRAP_H

#include "vault/vault.h"

/* A holder of a wrapping key. Calls come from one thread at a time. */
struct vault_wrap_ops {
  /* Seals a KEK for this holder, bound to its id. Appends to *out at most WRAP_CONTENT_SIZE bytes. */
  enum dom_code (*wrap)(struct vault_wrap *w, uint64_t id, const uint8_t key[KEY_SIZE], struct buf *out,
                        struct dom_err *err);
  /* Undoes it. DOM_CORRUPT: another key wrapped it, or it is damaged. The caller wipes. */
  enum dom_code (*unwrap)(struct vault_wrap *w, uint64_t id, struct slice content, uint8_t out_key[KEY_SIZE],
                          struct dom_err *err);
  void (*close)(struct vault_wrap *w);
};
struct vault_wrap {
  const struct vault_wrap_ops *ops;
};

enum {
  WRAP_HEAD_SIZE = 12,                                                           /* magic, algorithm, zeros */
  WRAP_CONTENT_SIZE = WRAP_HEAD_SIZE + GCM_NONCE_SIZE + KEY_SIZE + GCM_TAG_SIZE, /* 72: a file kek-<id> */
  WRAP_AAD_SIZE = 19 + 8
};

/* A wrapped KEK in its parts. Slices borrow. */
struct wrap_content {
  struct slice nonce, sealed; /* `sealed`: ciphertext and tag */
};
/* True when a key file's content claims to be a wrapped KEK: it begins with the magic. */
bool wrap_content_is(struct slice content);
/* Appends the head, nonce and sealed bytes. */
void wrap_content_encode(const struct wrap_content *c, struct buf *out);
/* DOM_CORRUPT: length; DOM_INCOMPATIBLE: an algorithm this build does not know. */
enum dom_code wrap_content_decode(struct slice content, struct wrap_content *out, struct dom_err *err);
/* What the tag binds beside the key: the text "domicile kek wrap 1" and the KEK's id, little-endian. */
void wrap_aad(uint64_t id, uint8_t out[WRAP_AAD_SIZE]);

#endif
