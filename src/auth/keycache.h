/* Cache of derived signing keys: saves four HMACs a request. Internal to the room. */
#ifndef DOMICILE_AUTH_KEYCACHE_H
#define DOMICILE_AUTH_KEYCACHE_H

#include "auth/keys.h"
#include "base/crypto.h"

/* Rows, one per hash of (access key, date, region); a newcomer takes the place of what was there.
 * 128 rows are 50 KB of locked memory, under the usual 64 KiB limit of an unprivileged process,
 * and as many credentials active at once before any work is done twice. */
enum { KEYCACHE_ROWS = 128 };

struct keycache;                            /* Threads: any */
struct keycache *keycache_new(void);        /* NULL without memory */
void keycache_free(struct keycache *cache); /* wipes; NULL is allowed */

/* The signing key for `key` in the scope of `date` (8 digits) and `region`. A row made with
 * another secret of the same access key is never used: a replaced secret is dead at once. */
void keycache_get(struct keycache *cache, const struct auth_key *key, struct slice date, struct slice region,
                  uint8_t out_key[KEY_SIZE]);

#endif
