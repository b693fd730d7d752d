/* Disk: all file access of the store, the index, the vault and the ledger goes through this
 * table, posix or simulated. Paths are relative to the disk's root, with '/' and no "..".
 *
 * Durability: file data is durable after file_sync (or at return of a write to a file opened
 * with DISK_DSYNC); a created, renamed or removed name is durable after dir_sync of its
 * folder. A failed sync or write is never retried by callers: the file's state is unknown.
 *
 * So a new file is safe after: write, disk_sync, disk_dir_sync of its folder; and where the folder
 * is new too, disk_dir_sync of the folder's parent. Whatever leaves one of them out is found by
 * a power cut of the simulated disk. */
#ifndef DOMICILE_BASE_DISK_H
#define DOMICILE_BASE_DISK_H

#include "base/bytes.h"

enum disk_flags {
  DISK_READ = 1,
  DISK_WRITE = 2,
  DISK_CREATE = 4,
  DISK_EXCLUSIVE = 8, /* with CREATE: DOM_EXISTS when there */
  DISK_TRUNCATE = 16,
  DISK_DSYNC = 32, /* each write durable at its return */
  DISK_DIRECT = 64 /* O_DIRECT: buffer, length and offset 4096-aligned; silently without where refused */
};

/* Alignment for DISK_DIRECT: the largest logical block of disks in use. */
enum { DISK_ALIGN = 4096 };

struct disk;
struct disk_file {
  struct disk *disk;
};

struct disk_info {
  uint64_t size; /* bytes */
  uint64_t mtime_s;
  bool is_dir;
};

/* One name found by list; `name` is borrowed for the call. Return false to stop. Names come in
 * byte order; all were collected before the first call, so the function may change the folder. */
typedef bool (*disk_list_fn)(void *arg, const char *name, bool is_dir);

/* One disk's operations; the thin calls below say what each does. */
struct disk_ops {
  enum dom_code (*open)(struct disk *d, const char *path, unsigned flags, struct disk_file **out,
                        struct dom_err *err);
  void (*close)(struct disk_file *f);
  /* Reads up to len; *out_len < len only at the end of the file. */
  enum dom_code (*read)(struct disk_file *f, uint64_t offset, void *out, size_t len, size_t *out_len,
                        struct dom_err *err);
  enum dom_code (*write)(struct disk_file *f, uint64_t offset, const void *data, size_t len,
                         struct dom_err *err);
  enum dom_code (*sync)(struct disk_file *f, struct dom_err *err); /* fdatasync: data and size */
  enum dom_code (*allocate)(struct disk_file *f, uint64_t size,
                            struct dom_err *err); /* reserve blocks, size grows to it */
  enum dom_code (*truncate)(struct disk_file *f, uint64_t size, struct dom_err *err);
  enum dom_code (*size)(struct disk_file *f, uint64_t *out, struct dom_err *err);
  enum dom_code (*lock)(struct disk_file *f,
                        struct dom_err *err); /* exclusive flock, held till close; DOM_BUSY */
  enum dom_code (*rename)(struct disk *d, const char *from, const char *to, struct dom_err *err);
  enum dom_code (*unlink)(struct disk *d, const char *path, struct dom_err *err);
  enum dom_code (*mkdir)(struct disk *d, const char *path,
                         struct dom_err *err); /* DOM_OK when there already; mode 0700 */
  enum dom_code (*rmdir)(struct disk *d, const char *path, struct dom_err *err);
  enum dom_code (*dir_sync)(struct disk *d, const char *path, struct dom_err *err);
  enum dom_code (*list)(struct disk *d, const char *path, disk_list_fn fn, void *arg, struct dom_err *err);
  enum dom_code (*stat)(struct disk *d, const char *path, struct disk_info *out, struct dom_err *err);
  enum dom_code (*free_bytes)(struct disk *d, uint64_t *out, struct dom_err *err);
};

struct disk {
  const struct disk_ops *ops;
};

/* Thin calls, so that users read disk_open(d, …) and not d->ops->open(d, …). They assert what
 * is a mistake of the program: bad paths, flags that contradict each other, DISK_DIRECT transfers
 * off the alignment. "" and "." name the root where a folder is meant.
 * Returns (all): what dom_fail_errno makes of the system's answer, so DOM_IO for most, and
 * DOM_NO_SPACE, DOM_NOT_FOUND, DOM_EXISTS, DOM_NO_MEMORY; DOM_BUSY from disk_lock only.
 * Threads: any; two transfers on one file may run at once. */

/* Opens or creates a file (mode 0600). *out is closed with disk_close. */
enum dom_code disk_open(struct disk *d, const char *path, unsigned flags, struct disk_file **out,
                        struct dom_err *err);
void disk_close(struct disk_file *f); /* NULL is allowed */
/* Reads up to len bytes at offset; *out_len < len only at the end of the file. */
enum dom_code disk_read(struct disk_file *f, uint64_t offset, void *out, size_t len, size_t *out_len,
                        struct dom_err *err);
/* As disk_read, but a short read is DOM_CORRUPT. */
enum dom_code disk_read_full(struct disk_file *f, uint64_t offset, void *out, size_t len,
                             struct dom_err *err);
/* Writes all of it or fails; after a failure any part may be there.
 * Durable: at return with DISK_DSYNC, else after disk_sync. */
enum dom_code disk_write(struct disk_file *f, uint64_t offset, const void *data, size_t len,
                         struct dom_err *err);
/* Durable: all writes and resizes of this file that returned before. After a failure the state
 * of the file is unknown for good: a later sync may succeed and yet not bring back what was lost. */
enum dom_code disk_sync(struct disk_file *f, struct dom_err *err);
/* Reserves blocks up to `size`, and the file grows to it if it is smaller; new bytes are zeros.
 * Where the file system cannot reserve, only the size is set. Durable: after disk_sync. */
enum dom_code disk_allocate(struct disk_file *f, uint64_t size, struct dom_err *err);
/* Sets the size, either way; new bytes are zeros. Durable: after disk_sync. */
enum dom_code disk_truncate(struct disk_file *f, uint64_t size, struct dom_err *err);
/* Bytes the file has now. */
enum dom_code disk_size(struct disk_file *f, uint64_t *out, struct dom_err *err);
/* Exclusive flock, held till close; DOM_BUSY when another open file holds it. */
enum dom_code disk_lock(struct disk_file *f, struct dom_err *err);
/* Atomic: at any time, and after a crash, the old or the new. Replaces a file at `to`.
 * Durable: after disk_dir_sync of the folder of either name. */
enum dom_code disk_rename(struct disk *d, const char *from, const char *to, struct dom_err *err);
/* Removes a file's name; open files stay readable. Durable: after disk_dir_sync of its folder. */
enum dom_code disk_unlink(struct disk *d, const char *path, struct dom_err *err);
/* Mode 0700; DOM_OK when the folder is there already. Durable: after disk_dir_sync of its parent. */
enum dom_code disk_mkdir(struct disk *d, const char *path, struct dom_err *err);
/* Removes an empty folder (DOM_IO when it is not). Durable: after disk_dir_sync of its parent. */
enum dom_code disk_rmdir(struct disk *d, const char *path, struct dom_err *err);
/* Durable: all names created, renamed or removed in the folder before. Not the folder's own name:
 * that is its parent's. */
enum dom_code disk_dir_sync(struct disk *d, const char *path, struct dom_err *err);
/* Calls fn for each name in the folder, see disk_list_fn. */
enum dom_code disk_list(struct disk *d, const char *path, disk_list_fn fn, void *arg, struct dom_err *err);
/* What a name stands for, links not followed. */
enum dom_code disk_stat(struct disk *d, const char *path, struct disk_info *out, struct dom_err *err);
/* Bytes that an unprivileged writer can still take. */
enum dom_code disk_free_bytes(struct disk *d, uint64_t *out, struct dom_err *err);

/* Appends the content of a small file to *out. Returns: DOM_TOO_LARGE past `max` bytes (nothing is
 * appended then), DOM_NO_MEMORY, DOM_CORRUPT when it shrank meanwhile, and what disk_open does. */
enum dom_code disk_read_file(struct disk *d, const char *path, size_t max, struct buf *out,
                             struct dom_err *err);
/* PATH.tmp + fsync + rename + fsync of the folder: the old or the new content, never a mix. One
 * writer at a time per path. Durable: at return; after a failure either content may be there. */
enum dom_code disk_replace_file(struct disk *d, const char *path, struct slice content, struct dom_err *err);

/* The real file system below folder `root` (created 0700 when absent, with its parents, and
 * synced into them). Symbolic links below the root are not followed. *out is released with
 * disk_posix_close, after its files. Threads: any. */
enum dom_code disk_posix_open(const char *root, struct disk **out, struct dom_err *err);
void disk_posix_close(struct disk *d); /* NULL is allowed */

/* A disk in memory whose unsynced writes can be lost, torn or reordered by a power cut.
 * Deterministic from `seed` and the order of calls. Its content is no allocation in the sense
 * of alloc.h (open files are). Threads: any (one lock). */
struct disk *disk_sim_new(uint64_t seed); /* NULL without memory */
/* All its files must be closed before (asserted: a leak of handles is a bug). NULL is allowed. */
void disk_sim_free(struct disk *d);
/* The power goes now and comes back at once: for each file every write since its last sync is
 * kept, dropped or torn at 512-byte borders, each by itself; resizes are kept or dropped; names
 * not dir_synced come back or vanish, a change of a name never without the older one of the same
 * name. All open files of before fail with DOM_IO from now on and still must be closed; new opens
 * see what survived. When the power is off already, it only comes back. */
void disk_sim_power_cut(struct disk *d);
/* Cut the power by itself at the n-th operation from now (1 = the next); that operation, which
 * may still have its effect, and all after fail with DOM_IO until disk_sim_power_on. 0 = off.
 * Operations are what changes something: write, sync, allocate, truncate, rename, unlink, mkdir,
 * rmdir, dir_sync, and an open that creates or truncates. */
void disk_sim_cut_after(struct disk *d, uint64_t operations);
void disk_sim_power_on(struct disk *d);
bool disk_sim_is_off(struct disk *d);
/* Fail the n-th operation from now with `code` (DOM_IO or DOM_NO_SPACE), once. 0 = off. A failed
 * write leaves a random part of itself; what was unsynced at a failed sync is kept, dropped or
 * torn for good, although reads still show it until the power goes; others do nothing. */
void disk_sim_fail_after(struct disk *d, uint64_t operations, enum dom_code code);
/* Fail the n-th read (disk_read) from now with DOM_IO, once; nothing else happens. 0 = off. */
void disk_sim_fail_read_after(struct disk *d, uint64_t reads);
void disk_sim_set_free(struct disk *d, uint64_t bytes); /* later writes past it: DOM_NO_SPACE */
/* Planted bug for control runs: syncs (and DISK_DSYNC) report success and do nothing. */
void disk_sim_ignore_sync(struct disk *d, bool ignore);
/* Operations since creation, counted as by the two hooks above. */
uint64_t disk_sim_operations(struct disk *d);
/* Files open now, those of before a power cut included. */
int64_t disk_sim_open_files(struct disk *d);
/* Flip one bit of a stored file (for corruption tests). DOM_NOT_FOUND, DOM_INVALID. */
enum dom_code disk_sim_flip(struct disk *d, const char *path, uint64_t bit);

#endif
