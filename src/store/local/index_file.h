/* Index files: what RocksDB stores, encrypted file by file, over base/disk.
 *
 * Glossary
 *   volume   a folder of a disk with the index key its files are encrypted under
 *   salt     32 random bytes in a file's header; the file's key is derived from index key and salt
 *   length   the number of bytes the last sync made durable; what lies past it in the file was
 *            never synced and does not exist for a reader
 *
 * A file is written once, front to back, under a key of its own, so no keystream byte is ever
 * used twice; it is never opened for writing again. Format: docs/formats/index-files.md.
 * This header is read by C and by C++. */
#ifndef DOMICILE_STORE_LOCAL_INDEX_FILE_H
#define DOMICILE_STORE_LOCAL_INDEX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/err.h"

struct disk;
struct disk_file;

enum {
  INDEX_KEY_SIZE = 32,
  INDEX_SALT_SIZE = 32,
  INDEX_HEADER_SIZE = 4096, /* keeps the content aligned to pages */
  INDEX_PATH_MAX = 256      /* longest path below the disk's root, with its NUL */
};

struct index_volume;

/* disk: borrowed. folder: below the disk's root, not empty. index_key: copied to locked memory.
 * Returns: DOM_TOO_LARGE (folder name), DOM_NO_MEMORY. Close with index_volume_close. */
enum dom_code index_volume_open(struct disk *disk, const char *folder,
                                const uint8_t index_key[INDEX_KEY_SIZE], struct index_volume **out,
                                struct dom_err *err);
void index_volume_close(struct index_volume *vol); /* NULL is allowed; its files are closed before */
struct disk *index_volume_disk(const struct index_volume *vol);

/* RocksDB's name ("/index//000001.sst") to the disk's path. DOM_INVALID for a name outside the
 * volume's folder, DOM_TOO_LARGE. */
enum dom_code index_volume_path(const struct index_volume *vol, const char *name, char out[INDEX_PATH_MAX],
                                struct dom_err *err);

/* ---- writing ---- Threads: a writer belongs to one at a time. */

struct index_writer;
/* Makes the file, empty, replacing one of that name. Free with index_writer_free. */
enum dom_code index_writer_open(struct index_volume *vol, const char *path, struct index_writer **out,
                                struct dom_err *err);
/* Appends. After a failed append or sync every later one fails (DOM_READ_ONLY): the file's
 * state is unknown. DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code index_writer_append(struct index_writer *w, const void *data, size_t len, struct dom_err *err);
/* Durable: all that was appended, and then the length that says so. */
enum dom_code index_writer_sync(struct index_writer *w, struct dom_err *err);
/* Cuts the file; nothing can be appended afterwards (it would use keystream twice). Only with
 * size <= index_writer_size. Durable: after the next sync. */
enum dom_code index_writer_truncate(struct index_writer *w, uint64_t size, struct dom_err *err);
uint64_t index_writer_size(const struct index_writer *w); /* bytes appended */
void index_writer_free(struct index_writer *w);           /* closes; syncs nothing; NULL is allowed */

/* ---- reading ---- Threads: a reader may be used by several at once. */

struct index_reader;
/* Returns: DOM_NOT_FOUND; DOM_DENIED when the file is under another index key; DOM_CORRUPT (bad
 * header, or shorter than its length); DOM_INCOMPATIBLE; DOM_IO; DOM_NO_MEMORY. */
enum dom_code index_reader_open(struct index_volume *vol, const char *path, struct index_reader **out,
                                struct dom_err *err);
/* *out_len < len only at the file's length. */
enum dom_code index_reader_read(const struct index_reader *r, uint64_t offset, void *out, size_t len,
                                size_t *out_len, struct dom_err *err);
uint64_t index_reader_size(const struct index_reader *r);
void index_reader_free(struct index_reader *r); /* NULL is allowed */

/* ---- names ---- Paths of the disk. Codes as base/disk. */

enum dom_code index_name_stat(struct index_volume *vol, const char *path, bool *out_is_dir,
                              uint64_t *out_mtime_s, struct dom_err *err);
enum dom_code index_name_list(struct index_volume *vol, const char *path,
                              bool (*fn)(void *arg, const char *name, bool is_dir), void *arg,
                              struct dom_err *err);
enum dom_code index_name_unlink(struct index_volume *vol, const char *path, struct dom_err *err);
/* Syncs the folder first: RocksDB renames CURRENT to name a MANIFEST whose own name it has not
 * made durable, and file systems may keep the one and lose the other. */
enum dom_code index_name_rename(struct index_volume *vol, const char *from, const char *to,
                                struct dom_err *err);
enum dom_code index_dir_make(struct index_volume *vol, const char *path, struct dom_err *err); /* Durable */
enum dom_code index_dir_remove(struct index_volume *vol, const char *path, struct dom_err *err);
enum dom_code index_dir_sync(struct index_volume *vol, const char *path, struct dom_err *err);
enum dom_code index_lock_take(struct index_volume *vol, const char *path, struct disk_file **out,
                              struct dom_err *err);
void index_lock_drop(struct disk_file *lock);
enum dom_code index_free_bytes(struct index_volume *vol, uint64_t *out, struct dom_err *err);

#ifdef __cplusplus
}
#endif

#endif
