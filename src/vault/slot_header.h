/* The header of a vault file. Pure: no I/O. Format: docs/formats/vault.md. */
#ifndef DOMICILE_VAULT_SLOT_HEADER_H
#define DOMICILE_VAULT_SLOT_HEADER_H

#include "vault/slot_files.h"

struct slot_header {
  uint16_t region;
  uint8_t copy; /* 0 or 1: which of the two files */
  uint8_t vault_id[SLOT_VAULT_ID_SIZE];
};

/* Appends SLOT_HEADER_SIZE bytes. DOM_NO_MEMORY. */
enum dom_code slot_header_encode(const struct slot_header *h, struct buf *out);
/* DOM_CORRUPT: not a whole header. DOM_INCOMPATIBLE: whole, but of a version or with a feature
 * that this build does not know; *err says which. */
enum dom_code slot_header_decode(const uint8_t in[SLOT_HEADER_SIZE], struct slot_header *out,
                                 struct dom_err *err);

#endif
