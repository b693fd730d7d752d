/* The ledger's public files, put in place in groups: each is written beside, synced and
 * renamed, so that a reader finds the whole file or none. Writer's thread only. */
#ifndef DOMICILE_LEDGER_FILES_H
#define DOMICILE_LEDGER_FILES_H

#include "base/disk.h"
#include "ledger/tile.h"

enum {
  FILES_FOLDER_MAX = 200, /* the ledger's folder below the disk's root */
  FILES_PATH_MAX = FILES_FOLDER_MAX + TILE_PATH_MAX + 2,
  FILES_STAGED_MAX = 64, /* a group; callers commit when it is full */
  FILES_KNOWN_MAX = 32   /* folders known to be durable; older ones are synced again */
};

/* The group under way: staged[i] lies in tmp/<i>. `known` is a ring of folders whose names are
 * durable, so that the same few need not be synced for every batch. */
struct files {
  struct disk *disk;
  char folder[FILES_FOLDER_MAX + 1];
  size_t staged_count;
  char staged[FILES_STAGED_MAX][TILE_PATH_MAX];
  size_t known_next;
  char known[FILES_KNOWN_MAX][FILES_PATH_MAX];
};

/* Begins in `folder` (asserts that it fits): makes the folder and its "tmp", removes what a
 * crash left in tmp. Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code files_init(struct files *files, struct disk *disk, const char *folder, struct dom_err *err);

/* Writes "<folder>/<path>", the name below the disk's root. */
void files_path(const struct files *files, const char *path, char out[FILES_PATH_MAX]);

/* Writes and syncs `content` beside; it becomes `path` with the next commit.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY; the group is then given up by dropping it. */
enum dom_code files_stage(struct files *files, const char *path, struct slice content, struct dom_err *err);
/* True when the next stage needs a commit first. */
bool files_group_full(const struct files *files);

/* Renames the group into place and syncs the folders. Durable: at return.
 * Returns: DOM_IO, DOM_NO_SPACE. */
enum dom_code files_commit(struct files *files, struct dom_err *err);

/* Removes the partial versions of a tile or bundle; fine when there are none. Not synced:
 * if they come back after a power cut they are still prefixes of the full tile.
 * Returns: DOM_IO, DOM_NO_MEMORY. */
enum dom_code files_prune_partials(struct files *files, unsigned level, uint64_t n, struct dom_err *err);

#endif
