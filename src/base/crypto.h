/* Cryptography: thin, checked wrappers over OpenSSL 3, and libsodium for Ed25519; no algorithm of our own.
 * Fetched algorithms are cached (one-shot SHA256() is 3.7 times slower). A failure inside
 * them other than a bad tag or signature is out of memory: DOM_NO_MEMORY.
 * Functions without a result end the process in that case: going on would sign or seal garbage.
 * Threads: every function may be called from any thread; contexts belong to one at a time. */
#ifndef DOMICILE_BASE_CRYPTO_H
#define DOMICILE_BASE_CRYPTO_H

#include "base/bytes.h"

/* Sizes in bytes. */
enum {
  SHA256_SIZE = 32,
  MD5_SIZE = 16,
  KEY_SIZE = 32, /* every symmetric key: AES-256, HMAC, HKDF output */
  GCM_NONCE_SIZE = 12,
  GCM_TAG_SIZE = 16,
  ED25519_KEY_SIZE = 32, /* private seed and public key alike, RFC 8032 */
  ED25519_SIG_SIZE = 64
};

/* An incremental hash: SHA-256 (FIPS 180-4) for everything of ours; MD5 (RFC 1321) and SHA-1 only
 * because S3's ETags and checksums ask for them. Belongs to one thread at a time. */
struct hash;
enum hash_kind { HASH_SHA256, HASH_MD5, HASH_SHA1 };
/* A hash at its beginning. Released with hash_free. Returns: NULL without memory. */
struct hash *hash_new(enum hash_kind kind);
/* Forgets what was added. */
void hash_restart(struct hash *h);
/* Adds `len` bytes; data may be NULL when len is 0. */
void hash_update(struct hash *h, const void *data, size_t len);
/* Writes hash_size bytes (32, 16 or 20) to out; the hash is then as after hash_restart. */
void hash_final(struct hash *h, uint8_t *out);
/* An independent copy of the state so far, of the same kind. Returns: NULL without memory. */
struct hash *hash_copy(const struct hash *h);
void hash_free(struct hash *h); /* NULL is allowed */
/* Bytes of a finished hash. */
size_t hash_size(enum hash_kind kind);

/* SHA-256 of `len` bytes at once. */
void sha256(const void *data, size_t len, uint8_t out[SHA256_SIZE]);
/* SHA-256 over the concatenation of `count` slices. */
void sha256_slices(const struct slice *parts, size_t count, uint8_t out[SHA256_SIZE]);
/* HMAC-SHA256 (RFC 2104), a key of any length. */
void hmac_sha256(struct slice key, struct slice message, uint8_t out[SHA256_SIZE]);
/* HKDF-SHA256 (RFC 5869) with an empty salt: out = 32 bytes from key and info. What makes two keys
 * different is `info` alone, so it names the kind of thing and holds its random id. */
void hkdf_sha256(const uint8_t key[KEY_SIZE], struct slice info, uint8_t out[KEY_SIZE]);

/* AES-256-GCM (NIST SP 800-38D). `out` has room for in.len; may be in place. `aad` is bound to
 * the tag and not encrypted.
 * A nonce is used once per key: callers derive a fresh key for every sealed thing.
 * Returns: DOM_OK, DOM_NO_MEMORY. */
enum dom_code gcm_seal(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE], struct slice aad,
                       struct slice in, uint8_t *out, uint8_t tag[GCM_TAG_SIZE]);
/* Undoes gcm_seal. Returns: DOM_OK; DOM_CORRUPT when the tag does not verify, DOM_NO_MEMORY; out is
 * cleared in both cases (and so is `in`, when in place). */
enum dom_code gcm_open(const uint8_t key[KEY_SIZE], const uint8_t nonce[GCM_NONCE_SIZE], struct slice aad,
                       struct slice in, const uint8_t tag[GCM_TAG_SIZE], uint8_t *out);
/* AES-256-CTR (NIST SP 800-38A §6.5) keystream XOR at byte `offset` of a stream whose counter
 * block begins at 16 zero bytes, big-endian; in place allowed; its own inverse. For index files,
 * each under its own key. It hides and does not protect from change. Returns: DOM_OK, DOM_NO_MEMORY. */
enum dom_code ctr_xor(const uint8_t key[KEY_SIZE], uint64_t offset, struct slice in, uint8_t *out);

/* Ed25519 (RFC 8032 §5.1). The seed is the private key. */
void ed25519_public(const uint8_t seed[ED25519_KEY_SIZE], uint8_t out_public[ED25519_KEY_SIZE]);
/* Signs the message itself, not a hash of it (PureEdDSA); the same every time. */
void ed25519_sign(const uint8_t seed[ED25519_KEY_SIZE], struct slice message,
                  uint8_t out_sig[ED25519_SIG_SIZE]);
/* False for a bad signature, and for a key that is no point of the curve or one of small order, under which
 * one signature would hold for everything. */
bool ed25519_verify(const uint8_t public_key[ED25519_KEY_SIZE], struct slice message,
                    const uint8_t sig[ED25519_SIG_SIZE]);

/* Random bytes from the OS through OpenSSL's private DRBG, small ones drawn ahead for each thread; aborts the
 * process when there is no entropy source (nothing sensible can go on). Threads: any; a forked child never
 * gets what its parent does. Simulation: see random_seed_for_simulation. */
void random_bytes(void *out, size_t len);
/* Makes random_bytes a deterministic stream for this whole process; refused (assert) unless
 * called before the first random_bytes. Only simulators and tests may call it. */
void random_seed_for_simulation(uint64_t seed);

/* Overwrites with zeros; not optimised away. */
void wipe(void *p, size_t len);

/* Memory for long-lived keys: locked, not dumped, cleared when given, wiped when freed. Up to 64
 * bytes share pages, more get their own. `len` of secret_free is that of secret_alloc.
 * Returns: NULL without memory; where the lock limit is reached the memory is still returned and
 * secret_unlocked() counts it (pages, or runs of them, since the start). */
void *secret_alloc(size_t len);
void secret_free(void *p, size_t len);
uint64_t secret_unlocked(void);

#endif
