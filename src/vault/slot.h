/* One slot: 128 bytes that hold one wrapped data key, or nothing. Pure: no I/O.
 * Format: docs/formats/vault.md. */
#ifndef DOMICILE_VAULT_SLOT_H
#define DOMICILE_VAULT_SLOT_H

#include "vault/vault.h"

enum {
  SLOT_SIZE = 128, /* four share a 512-byte sector, none straddles one, so none is torn */
  SLOT_FREE = 0x46,
  SLOT_KEY = 0x4b
};

struct slot {
  uint8_t state; /* SLOT_FREE or SLOT_KEY; a free one has zeros from `epoch` on */
  uint16_t region;
  uint64_t seq; /* of the change that wrote it; of two good copies the higher wins */
  uint64_t epoch;
  uint64_t kek_id;
  uint8_t nonce[GCM_NONCE_SIZE];
  uint8_t tag[GCM_TAG_SIZE];
  uint8_t token[VAULT_TOKEN_SIZE];
  uint8_t wrapped[KEY_SIZE];
};

/* A KEK as it is held in (locked) memory. */
struct slot_kek {
  uint64_t id;
  uint8_t wrap[KEY_SIZE]; /* HKDF-SHA256(KEK, "domicile vault wrap 1") */
};

/* Fills *out from a KEK. */
void slot_kek_init(struct slot_kek *out, const uint8_t kek[KEY_SIZE]);

/* A free slot as of change `seq`. */
struct slot slot_free(uint16_t region, uint64_t seq);
bool slot_is_key(const struct slot *s, const struct vault_key *key);

void slot_encode(const struct slot *s, uint8_t out[SLOT_SIZE]);
/* DOM_CORRUPT: CRC, unknown state, or bytes that must be zero. */
enum dom_code slot_decode(const uint8_t in[SLOT_SIZE], struct slot *out);

/* Wraps `data_key` into *s, whose region, epoch and token are set: AES-256-GCM (NIST SP
 * 800-38D) with the given nonce, everything that names the key as associated data. Sets
 * state, kek_id, nonce, tag, wrapped. DOM_NO_MEMORY. */
enum dom_code slot_wrap(struct slot *s, const struct slot_kek *kek, const uint8_t nonce[GCM_NONCE_SIZE],
                        const uint8_t data_key[KEY_SIZE]);
/* DOM_CORRUPT when the tag does not verify; DOM_NO_MEMORY. The caller wipes out_data_key. */
enum dom_code slot_unwrap(const struct slot *s, const struct slot_kek *kek, uint8_t out_data_key[KEY_SIZE]);

#endif
