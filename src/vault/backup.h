/* A backup of the vault as bytes, inside the seal. Pure: no I/O. Format: docs/formats/vault.md. */
#ifndef DOMICILE_VAULT_BACKUP_H
#define DOMICILE_VAULT_BACKUP_H

#include "vault/vault.h"

enum { BACKUP_HEAD_SIZE = 96, BACKUP_KEY_SIZE = VAULT_TOKEN_SIZE + 8 + KEY_SIZE };

void backup_head_encode(const struct vault_backup_info *info, uint8_t out[BACKUP_HEAD_SIZE]);
/* DOM_INVALID: no backup of a vault; DOM_INCOMPATIBLE: of a version that this build does not know. */
enum dom_code backup_head_decode(const uint8_t in[BACKUP_HEAD_SIZE], struct vault_backup_info *out,
                                 struct dom_err *err);
void backup_key_encode(const struct vault_key *key, const uint8_t data_key[KEY_SIZE],
                       uint8_t out[BACKUP_KEY_SIZE]);
void backup_key_decode(const uint8_t in[BACKUP_KEY_SIZE], struct vault_key *out_key,
                       uint8_t out_data_key[KEY_SIZE]);

#endif
