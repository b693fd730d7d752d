/* A folder of KEKs, shared by the files that read it and that wrap it anew. */
#ifndef DOMICILE_VAULT_KEK_FOLDER_H
#define DOMICILE_VAULT_KEK_FOLDER_H

#include "vault/folder.h"
#include "vault/vault.h"

#define KEK_NAME_PREFIX "kek-"
enum {
  KEK_NAME_SIZE = sizeof KEK_NAME_PREFIX - 1 + VAULT_KEK_NAME_SIZE, /* kek-<16 hex> and NUL */
  KEK_PATH_SIZE = FOLDER_PATH_MAX + 1 + KEK_NAME_SIZE
};

struct kek_folder {
  struct vault_kek kek;
  struct disk *disk;       /* borrowed */
  struct vault_wrap *wrap; /* borrowed; NULL: key files are plain */
  char folder[FOLDER_PATH_MAX + 1];
};

/* FOLDER/name. */
void kek_folder_path(const struct kek_folder *f, const char *name, char out[KEK_PATH_SIZE]);
/* kek-<16 hex digits>. */
void kek_folder_name(uint64_t id, char out[KEK_NAME_SIZE]);
/* The key in a key file's bytes, by the folder's wrapping; its id is `id`. The caller wipes. Returns:
 * DOM_INVALID (plain where wrapped is expected, or the other way round), DOM_CORRUPT, what the holder says.
 */
enum dom_code kek_folder_content_open(const struct kek_folder *f, uint64_t id, struct slice content,
                                      uint8_t out_key[KEY_SIZE], struct dom_err *err);
/* Appends a key file's bytes by the folder's wrapping. The caller wipes. */
enum dom_code kek_folder_content_make(const struct kek_folder *f, uint64_t id, const uint8_t key[KEY_SIZE],
                                      struct buf *out, struct dom_err *err);

#endif
