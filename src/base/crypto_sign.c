/* Ed25519 of crypto.h. */
#include <assert.h>

#include "base/crypto.h"
#include "base/crypto_internal.h"

static EVP_PKEY *private_key(const uint8_t seed[ED25519_KEY_SIZE]) {
  assert(seed);
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_KEY_SIZE);
  if (!key) crypto_die("Ed25519 key");
  return key;
}

void ed25519_public(const uint8_t seed[ED25519_KEY_SIZE], uint8_t out_public[ED25519_KEY_SIZE]) {
  assert(out_public);
  EVP_PKEY *key = private_key(seed);
  size_t len = ED25519_KEY_SIZE;
  if (EVP_PKEY_get_raw_public_key(key, out_public, &len) != 1) crypto_die("Ed25519 public key");
  assert(len == ED25519_KEY_SIZE);
  EVP_PKEY_free(key);
}

void ed25519_sign(const uint8_t seed[ED25519_KEY_SIZE], struct slice message,
                  uint8_t out_sig[ED25519_SIG_SIZE]) {
  assert(out_sig);
  assert(message.data || message.len == 0);
  EVP_PKEY *key = private_key(seed);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  size_t len = ED25519_SIG_SIZE;
  if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(ctx, out_sig, &len, message.data, message.len) != 1)
    crypto_die("Ed25519 sign");
  assert(len == ED25519_SIG_SIZE);
  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
}

bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], struct slice message,
                    const uint8_t sig[ED25519_SIG_SIZE]) {
  assert(public_key);
  assert(sig);
  assert(message.data || message.len == 0);
  EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY_SIZE);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  if (!key || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1) crypto_die("Ed25519 verify");
  bool good = EVP_DigestVerify(ctx, sig, ED25519_SIG_SIZE, message.data, message.len) == 1;
  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
  return good;
}
