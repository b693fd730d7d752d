/* The header of an index file, and the keys that follow from it. Pure: no I/O.
 * Format: docs/formats/index-files.md. */
#ifndef DOMICILE_STORE_LOCAL_INDEX_FORMAT_H
#define DOMICILE_STORE_LOCAL_INDEX_FORMAT_H

#include "base/crypto.h"
#include "store/local/index_file.h"

/* Header and length lie in sectors of their own, so that writing one cannot tear the other. */
enum { INDEX_SECTOR_SIZE = 512, INDEX_AT_LENGTH = INDEX_SECTOR_SIZE, INDEX_CHECK_SIZE = 16 };

/* The file's key, HKDF-SHA256(index key, "index-file" ‖ salt), and the bytes by which a wrong
 * index key is told, HKDF-SHA256(file key, "index-file check") cut to 16. */
void index_format_keys(const uint8_t index_key[KEY_SIZE], const uint8_t salt[INDEX_SALT_SIZE],
                       uint8_t out_key[KEY_SIZE], uint8_t out_check[INDEX_CHECK_SIZE]);
/* A whole header with length 0. */
void index_format_header(const uint8_t salt[INDEX_SALT_SIZE], const uint8_t check[INDEX_CHECK_SIZE],
                         uint8_t out[INDEX_HEADER_SIZE]);
/* The sector that says how long the content is, for INDEX_AT_LENGTH. */
void index_format_length(uint64_t length, uint8_t out[INDEX_SECTOR_SIZE]);
/* The file's key and length. *out_length is 0, and the key not set, for a file that no sync
 * ever finished (its first or second sector is zero). DOM_CORRUPT, DOM_INCOMPATIBLE, DOM_DENIED
 * (another index key). The caller wipes out_key. */
enum dom_code index_format_open(const uint8_t index_key[KEY_SIZE], const uint8_t header[INDEX_HEADER_SIZE],
                                uint8_t out_key[KEY_SIZE], uint64_t *out_length, struct dom_err *err);

#endif
