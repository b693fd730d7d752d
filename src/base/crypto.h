/* Cryptography: thin, checked wrappers over OpenSSL 3; no algorithm of our own.
 * Fetched algorithms are cached (one-shot SHA256() is 3.7 times slower). A failure inside
 * OpenSSL other than a bad tag or signature is out of memory: DOM_NO_MEMORY.
 * Threads: every function may be called from any thread; contexts belong to one at a time. */
#ifndef DOMICILE_BASE_CRYPTO_H
#define DOMICILE_BASE_CRYPTO_H

#include "base/bytes.h"

enum {
  SHA256_SIZE = 32,
  MD5_SIZE = 16,
  KEY_SIZE = 32,       /* every symmetric key: AES-256, HMAC, HKDF output */
  GCM_NONCE_SIZE = 12,
  GCM_TAG_SIZE = 16,
  ED25519_KEY_SIZE = 32, /* private seed and public key alike, RFC 8032 */
  ED25519_SIG_SIZE = 64
};

struct hash; /* an incremental hash */
enum hash_kind { HASH_SHA256, HASH_MD5, HASH_SHA1 };
struct hash *hash_new(enum hash_kind kind); /* NULL without memory */
void hash_restart(struct hash *h);
void hash_update(struct hash *h, const void *data, size_t len);
void hash_final(struct hash *h, uint8_t *out); /* 32, 16 or 20 bytes; then hash_restart */
struct hash *hash_copy(const struct hash *h);  /* NULL without memory */
void hash_free(struct hash *h);
size_t hash_size(enum hash_kind kind);

void sha256(const void *data, size_t len, uint8_t out[SHA256_SIZE]);
/* SHA-256 over the concatenation of `count` slices. */
void sha256_slices(const struct slice *parts, size_t count, uint8_t out[SHA256_SIZE]);
void hmac_sha256(struct slice key, struct slice message, uint8_t out[SHA256_SIZE]);
/* RFC 5869 with an empty salt: out = HKDF-SHA256(key, info), 32 bytes. */
void hkdf_sha256(const uint8_t key[KEY_SIZE], struct slice info, uint8_t out[KEY_SIZE]);

/* AES-256-GCM (NIST SP 800-38D). `out` has room for in.len; may be in place.
 * A nonce is used once per key: callers derive a fresh key for every sealed thing. */
enum dom_code gcm_seal(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE],
                       struct slice aad, struct slice in, uint8_t *out, uint8_t tag[GCM_TAG_SIZE]);
/* DOM_CORRUPT when the tag does not verify; out is then cleared. */
enum dom_code gcm_open(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE],
                       struct slice aad, struct slice in, const uint8_t tag[GCM_TAG_SIZE], uint8_t *out);
/* AES-256-CTR keystream XOR at byte `offset` of a stream whose counter block begins at
 * 16 zero bytes; in place allowed. For index files, each under its own key. */
enum dom_code ctr_xor(const uint8_t key[KEY_SIZE], uint64_t offset, struct slice in, uint8_t *out);

/* Ed25519 (RFC 8032). */
void ed25519_public(const uint8_t seed[ED25519_KEY_SIZE], uint8_t out_public[ED25519_KEY_SIZE]);
void ed25519_sign(const uint8_t seed[ED25519_KEY_SIZE], struct slice message, uint8_t out_sig[ED25519_SIG_SIZE]);
bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], struct slice message, const uint8_t sig[ED25519_SIG_SIZE]);

/* Random bytes from the OS through OpenSSL's private DRBG; aborts the process when there is
 * no entropy source (nothing sensible can go on). Simulation: see random_seed_for_simulation. */
void random_bytes(void *out, size_t len);
/* Makes random_bytes a deterministic stream for this whole process; refused (assert) unless
 * called before the first random_bytes. Only simulators and tests may call it. */
void random_seed_for_simulation(uint64_t seed);

void wipe(void *p, size_t len); /* not optimised away */

/* Memory for long-lived keys: locked, not dumped, wiped when freed. NULL without memory;
 * where the lock limit is reached the memory is still returned and secret_unlocked() counts it. */
void *secret_alloc(size_t len);
void secret_free(void *p, size_t len);
uint64_t secret_unlocked(void);

#endif
