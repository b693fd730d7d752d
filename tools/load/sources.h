/* Sources: real files of this machine that stand in for people's data. */
#ifndef DOMICILE_LOAD_SOURCES_H
#define DOMICILE_LOAD_SOURCES_H

#include "base/bytes.h"

struct source {
  char *path;
  uint64_t size_bytes;
};

struct sources {
  /* in bytewise order of their paths, so that runs are alike */
  struct source *files;
  size_t count;
  size_t cap;
};

/* Appends the regular files below `root` (a folder or a file) whose name ends in `suffix` (""
 * for any) and that hold 1..size_bytes_max bytes. A missing root adds nothing. Keeps the order.
 * Threads: one at a time, process-wide (nftw has no context).
 * Returns: false without memory. */
bool sources_add(struct sources *s, const char *root, const char *suffix, uint64_t size_bytes_max);
/* Frees the paths and the list. */
void sources_done(struct sources *s);

#endif
