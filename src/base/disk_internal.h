/* Inside of base: what the posix and the simulated disk share. */
#ifndef DOMICILE_BASE_DISK_INTERNAL_H
#define DOMICILE_BASE_DISK_INTERNAL_H

#include "base/disk.h"

/* Longest path below a disk's root, with its NUL; the rooms' own paths are far shorter. */
#define DISK_PATH_MAX 512

/* True for "" (the root; only where a folder is meant) and for relative paths whose parts are
 * neither empty nor "." nor "..". Disks assert it: paths are never made of clients' bytes. */
bool disk_path_valid(const char *path);

/* Asserts that a transfer on a DISK_DIRECT file keeps to DISK_ALIGN. */
void disk_check_direct(unsigned flags, uint64_t offset, const void *data, size_t len);

/* Names of one folder, collected before the caller's function sees the first, so that it may
 * change the folder. Released with disk_names_done. */
struct disk_name {
  char *name; /* owned */
  bool is_dir;
};
/* Starts as all zeros. */
struct disk_names {
  struct disk_name *all;
  size_t count;
};
/* Copies one name into the list. Returns: DOM_OK, DOM_NO_MEMORY. */
enum dom_code disk_names_add(struct disk_names *names, const char *name, bool is_dir);
/* Calls fn in byte order of the names until it returns false. */
void disk_names_visit(struct disk_names *names, disk_list_fn fn, void *arg);
/* Frees the copies; the list is empty and usable again. */
void disk_names_done(struct disk_names *names);

#endif
