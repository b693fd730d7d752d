/* AES-256-GCM and AES-256-CTR of crypto.h. A context lives for one call, so that no thread
 * keeps an expanded key; a kept one would save 0.1 us of 0.8. */
#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "base/crypto.h"
#include "base/crypto_internal.h"

enum {
  AES_BLOCK = 16,
  UPDATE_MAX = 1 << 30 /* OpenSSL's update takes an int; a multiple of the block size */
};

static EVP_CIPHER *gcm, *ctr;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void) {
  gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
}

static void ctx_cleanup(EVP_CIPHER_CTX **ctx) {
  EVP_CIPHER_CTX_free(*ctx);
}
#define CTX_AUTO __attribute__((cleanup(ctx_cleanup))) EVP_CIPHER_CTX

static EVP_CIPHER_CTX *ctx_new(EVP_CIPHER **cipher, const uint8_t *key, const uint8_t *iv, int encrypt) {
  assert(key);
  assert(iv);
  (void)pthread_once(&fetch_once, fetch_all);
  if (!*cipher) crypto_die("fetch cipher");
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (ctx && EVP_CipherInit_ex2(ctx, *cipher, key, iv, encrypt, NULL) == 1) return ctx;
  EVP_CIPHER_CTX_free(ctx);
  return NULL;
}

/* `out` NULL: `in` is associated data. */
static bool update(EVP_CIPHER_CTX *ctx, struct slice in, uint8_t *out) {
  assert(in.data || in.len == 0);
  for (size_t done = 0; done < in.len;) {
    int step = in.len - done > UPDATE_MAX ? UPDATE_MAX : (int)(in.len - done);
    int len = 0;
    if (EVP_CipherUpdate(ctx, out ? out + done : NULL, &len, in.data + done, step) != 1) return false;
    assert(len == step); /* both modes are streams */
    done += (size_t)step;
  }
  return true;
}

enum dom_code gcm_seal(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE], struct slice aad,
                       struct slice in, uint8_t *out, uint8_t tag[GCM_TAG_SIZE]) {
  assert(out || in.len == 0);
  assert(tag);
  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 1);
  if (!ctx) return DOM_NO_MEMORY;
  uint8_t none[AES_BLOCK];
  int len = 0;
  if (!update(ctx, aad, NULL) || !update(ctx, in, out) || EVP_CipherFinal_ex(ctx, none, &len) != 1)
    return DOM_NO_MEMORY;
  assert(len == 0);
  if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_SIZE, tag) != 1) return DOM_NO_MEMORY;
  return DOM_OK;
}

enum dom_code gcm_open(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE], struct slice aad,
                       struct slice in, const uint8_t tag[GCM_TAG_SIZE], uint8_t *out) {
  assert(out || in.len == 0);
  assert(tag);
  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 0);
  if (!ctx) return DOM_NO_MEMORY;
  uint8_t wanted[GCM_TAG_SIZE], none[AES_BLOCK];
  memcpy(wanted, tag, sizeof wanted);
  int len = 0;
  bool ran = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE, wanted) == 1 &&
             update(ctx, aad, NULL) && update(ctx, in, out);
  if (ran && EVP_CipherFinal_ex(ctx, none, &len) == 1) return DOM_OK;
  /* Nobody may see text that did not verify. */
  if (in.len > 0) wipe(out, in.len);
  return ran ? DOM_CORRUPT : DOM_NO_MEMORY;
}

enum dom_code ctr_xor(const uint8_t key[KEY_SIZE], uint64_t offset, struct slice in, uint8_t *out) {
  assert(out || in.len == 0);
  assert(in.len <= UINT64_MAX - offset);
  uint8_t counter[AES_BLOCK] = {0}, skipped[AES_BLOCK] = {0};
  uint64_t block = offset / AES_BLOCK;
  for (unsigned i = 0; i < 8; i++) counter[AES_BLOCK - 1 - i] = (uint8_t)(block >> (8 * i));
  CTX_AUTO *ctx = ctx_new(&ctr, key, counter, 1);
  if (!ctx) return DOM_NO_MEMORY;
  bool ok = update(ctx, slice_of(skipped, offset % AES_BLOCK), skipped) && update(ctx, in, out);
  wipe(skipped, sizeof skipped); /* it held key stream */
  return ok ? DOM_OK : DOM_NO_MEMORY;
}
