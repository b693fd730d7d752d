/* SHA-256 and HMAC on OpenSSL directly (FIPS 180-4, RFC 2104). */
#ifndef DOMICILE_LOAD_DIGEST_H
#define DOMICILE_LOAD_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX  65 /* 64 digits and the NUL */

/* A running hash. init, then any updates, then done exactly once. Threads: one at a time. */
struct digest {
  void *context;
};
/* Asserts that OpenSSL gives a context: without it nothing here can go on. */
void digest_init(struct digest *d);
/* Adds bytes to the running hash. */
void digest_update(struct digest *d, const void *data, size_t len);
/* Ends the hash and frees its context. */
void digest_done(struct digest *d, uint8_t out[DIGEST_SIZE]);

/* SHA-256 of bytes in memory. `data` may be NULL when len is 0. Threads: any. */
void digest_of(const void *data, size_t len, uint8_t out[DIGEST_SIZE]);
/* Lower-case hex with a NUL. */
void digest_hex(const uint8_t in[DIGEST_SIZE], char out[DIGEST_HEX]);
/* 64 hex digits, lower case. Returns: 0, or -1 when `hex` is anything else. */
int digest_from_hex(const char *hex, uint8_t out[DIGEST_SIZE]);
/* HMAC-SHA256; `out` may be the key, which is read before it is written. Keys to 4 KiB.
 * Threads: any. */
void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[DIGEST_SIZE]);

#endif
