/* Ed25519 of crypto.h, by libsodium: docs/decisions/0045-ed25519-by-libsodium.md. */
#include <assert.h>
#include <pthread.h>
#include <sodium.h>

#include "base/crypto.h"
#include "base/crypto_internal.h"

_Static_assert(crypto_sign_SEEDBYTES == ED25519_KEY_SIZE && crypto_sign_PUBLICKEYBYTES == ED25519_KEY_SIZE,
               "RFC 8032");
_Static_assert(crypto_sign_BYTES == ED25519_SIG_SIZE, "RFC 8032");

/* libsodium asks for it before any other call. */
static void begin(void) {
  if (sodium_init() < 0) crypto_die("libsodium");
}

static void ready(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (pthread_once(&once, begin) != 0) crypto_die("libsodium");
}

/* `secret`: the seed, and the public key behind it. */
static void expand(const uint8_t seed[ED25519_KEY_SIZE], uint8_t secret[crypto_sign_SECRETKEYBYTES],
                   uint8_t public_key[ED25519_KEY_SIZE]) {
  assert(seed);
  ready();
  if (crypto_sign_seed_keypair(public_key, secret, seed) != 0) crypto_die("Ed25519 key");
}

void ed25519_public(const uint8_t seed[ED25519_KEY_SIZE], uint8_t out_public[ED25519_KEY_SIZE]) {
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  assert(out_public);
  expand(seed, secret, out_public);
  wipe(secret, sizeof secret);
}

/* The public key is made anew each time: one that did not belong to the seed would give the seed away. */
void ed25519_sign(const uint8_t seed[ED25519_KEY_SIZE], struct slice message,
                  uint8_t out_sig[ED25519_SIG_SIZE]) {
  uint8_t secret[crypto_sign_SECRETKEYBYTES], public_key[ED25519_KEY_SIZE];
  assert(out_sig);
  assert(message.data || message.len == 0);
  expand(seed, secret, public_key);
  if (crypto_sign_detached(out_sig, NULL, message.data, message.len, secret) != 0) crypto_die("Ed25519 sign");
  wipe(secret, sizeof secret);
}

bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], struct slice message,
                    const uint8_t sig[ED25519_SIG_SIZE]) {
  assert(public_key);
  assert(sig);
  assert(message.data || message.len == 0);
  ready();
  return crypto_sign_verify_detached(sig, message.data, message.len, public_key) == 0;
}
