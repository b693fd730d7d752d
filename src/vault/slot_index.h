/* In-memory index: hash of (token, epoch) -> slot numbers. Eight bytes a key: the slot itself
 * holds the full (token, epoch), and whoever looks up reads it anyway, so a hash of 32 bits is
 * enough to find candidates. Threads: the owner locks. */
#ifndef DOMICILE_VAULT_SLOT_INDEX_H
#define DOMICILE_VAULT_SLOT_INDEX_H

#include "vault/vault.h"

/* Open addressing with linear probing; a cell is hash << 32 | slot + 1, 0 is empty. */
struct slot_index {
  uint64_t *cells; /* mask + 1 of them */
  size_t mask;
  size_t used;
};

/* Tokens are HMACs, so their bytes are already uniform. */
uint32_t slot_index_hash(const struct vault_key *key);
void slot_index_done(struct slot_index *ix);
/* Room for `more` keys, so that slot_index_add cannot fail. False without memory. */
bool slot_index_reserve(struct slot_index *ix, size_t more);
void slot_index_add(struct slot_index *ix, uint32_t hash, uint32_t slot);
/* False when that pair is not there. */
bool slot_index_remove(struct slot_index *ix, uint32_t hash, uint32_t slot);
/* The next candidate of `hash`; *cursor starts at 0. False when there is none left. */
bool slot_index_next(const struct slot_index *ix, uint32_t hash, size_t *cursor, uint32_t *out_slot);

#endif
