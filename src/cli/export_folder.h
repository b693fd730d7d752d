/* Export folder: where the export of one person lies, and what of it is there already. Only cli includes
 * this.
 *
 *   manifest.jsonl             what there is, once it is whole; until then manifest.jsonl.partial
 *   files/0000/00000001        a body; numbers are all that names are made of
 *   progress                   who it is of, and which bodies came whole: docs/formats/export.md
 *
 * Invariant: a body counts as there only while its file hashes to what was noted when it had come whole. So
 * the folder may be left at any moment, by a crash too, and gone on with.
 * Threads: one at a time. */
#ifndef DOMICILE_CLI_EXPORT_FOLDER_H
#define DOMICILE_CLI_EXPORT_FOLDER_H

#include "base/crypto.h"
#include "base/disk.h"
#include "base/permit.h"

enum { EXPORT_NAME_SIZE = 40 };
struct export_folder;

/* Opens the folder that is the disk's root, an empty one or one of an export of this person; locked until it
 * is closed. `disk` is borrowed. About 100 bytes of memory for each body that is there.
 * Returns: DOM_EXISTS other things lie there, or another person's export; DOM_BUSY another run has it;
 * DOM_CORRUPT its progress is damaged; DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code export_folder_open(struct disk *disk, const uint8_t token[TOKEN_SIZE],
                                 struct export_folder **out, struct dom_err *err);
void export_folder_close(struct export_folder *f); /* NULL is allowed */

/* A body that is there. */
struct export_file {
  char name[EXPORT_NAME_SIZE]; /* in the folder */
  uint8_t sha256[SHA256_SIZE];
};
/* Whether the body called `id` is there, whole, of `size` bytes: reads and hashes its file, once a run. It is
 * part of the export then: what is not goes at the end.
 * Returns: DOM_NOT_FOUND; DOM_IO, DOM_NO_MEMORY. */
enum dom_code export_folder_find(struct export_folder *f, const uint8_t id[SHA256_SIZE], uint64_t size,
                                 struct export_file *out, struct dom_err *err);

/* Takes a body in: begin, any number of adds, end; another begin forgets one that was not ended.
 * `sha256` NULL: not known beforehand.
 * Returns: DOM_CORRUPT it is of another size or hash than announced; DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code export_folder_begin(struct export_folder *f, const uint8_t id[SHA256_SIZE], uint64_t size,
                                  struct dom_err *err);
enum dom_code export_folder_add(struct export_folder *f, struct slice bytes, struct dom_err *err);
enum dom_code export_folder_end(struct export_folder *f, const uint8_t *sha256, struct dom_err *err);

/* Adds a line to the manifest, without its end. Codes as above. */
enum dom_code export_folder_line(struct export_folder *f, struct slice line, struct dom_err *err);
/* Gives the manifest its name, and removes bodies that are none of this export.
 * Durable: the manifest at DOM_OK; bodies when the caller syncs the file system before. */
enum dom_code export_folder_finish(struct export_folder *f, struct dom_err *err);

#endif
