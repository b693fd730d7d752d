/* Inside of base: the parts of the simulated disk (disk.h, disk_sim_new).
 *
 * Words: an *image* is the content of a file. A file has two: `now`, what programs read, and
 * `stable`, what is surely on the platter. A *change* is one write or resize on its way from
 * now to stable; a *name change* is the same for entries of folders. Syncs apply changes to
 * stable; a power cut rolls dice for each one that is left and makes now what stable is.
 *
 * Memory: the simulated hardware does not run out of memory, so these parts abort where
 * malloc fails, and the hook of alloc.h neither counts nor fails them: tests that fail the
 * n-th allocation mean the program's. Threads: all under the disk's one lock. */
#ifndef DOMICILE_BASE_DISK_SIM_INTERNAL_H
#define DOMICILE_BASE_DISK_SIM_INTERNAL_H

#include "base/disk.h"

/* What drives write without tearing inside (the smallest common one). */
enum { SIM_SECTOR = 512 };

void *sim_alloc(size_t size); /* cleared; aborts without memory; released with free() */
/* The next number below `bound` of the seeded stream (SplitMix64, Steele et al. 2014). */
uint64_t sim_roll(uint64_t *state, uint64_t bound);

/* --- content (disk_sim_image.c) --- */

/* Sparse content: chunks never written are absent and read as zeros. */
struct image {
  uint8_t **chunks;
  size_t chunk_count;
  uint64_t size; /* bytes */
};
void image_write(struct image *i, uint64_t offset, const uint8_t *data, size_t len);
/* Returns the count of bytes read, less than len only at the end. */
size_t image_read(const struct image *i, uint64_t offset, uint8_t *out, size_t len);
void image_resize(struct image *i, uint64_t size);           /* shrinks or grows with zeros */
void image_copy(struct image *to, const struct image *from); /* replaces what `to` held */
void image_flip(struct image *i, uint64_t bit);              /* bit / 8 must be below size */
void image_done(struct image *i);

enum change_kind { CHANGE_WRITE, CHANGE_RESIZE, CHANGE_GROW };
struct change {
  struct change *next; /* younger */
  enum change_kind kind;
  bool durable;    /* a DISK_DSYNC write that had to queue behind an older one of the same bytes */
  uint64_t offset; /* CHANGE_WRITE: of data; else: the new size */
  size_t len;
  uint8_t data[];
};
struct change_list {
  struct change *first, *last;
};
/* Queues a copy; data is NULL but for CHANGE_WRITE. */
void change_queue(struct change_list *list, enum change_kind kind, uint64_t offset, const uint8_t *data,
                  size_t len, bool durable);
/* True when a durable write at [offset, offset + len) must queue to keep its order. */
bool change_overlaps(const struct change_list *list, uint64_t offset, size_t len);
void change_apply_all(struct change_list *list, struct image *stable); /* empties the list */
/* The dice of a power cut: each change kept, dropped or torn; empties the list. */
void change_settle(struct change_list *list, struct image *stable, uint64_t *dice);
void change_drop_all(struct change_list *list);

/* --- names (disk_sim_name.c) --- */

struct inode;
struct entry {
  char *name;          /* owned */
  struct inode *inode; /* one reference */
};
struct folder {
  struct entry *all; /* in byte order of the names */
  size_t count, cap;
};
struct inode {
  unsigned refs; /* entries, name changes and open files */
  bool is_dir;
  bool linked;  /* has a name now */
  bool differs; /* now may differ from stable */
  bool lost;    /* a sync failed: it differs until the next power cut, whatever is synced */
  unsigned opens;
  uint64_t mtime_s; /* operations so far, as there is no clock */
  uint64_t charged; /* bytes of the disk's space it takes */
  uint64_t *used;   /* the disk's counter of charged bytes */
  const void *locked_by;
  struct image now, stable;              /* files */
  struct change_list pending;            /* files */
  struct folder now_names, stable_names; /* folders */
};
struct inode *inode_new(bool is_dir, uint64_t *used); /* one reference, the caller's */
struct inode *inode_keep(struct inode *i);
void inode_release(struct inode *i);
void inode_charge(struct inode *i, uint64_t bytes);
/* Sets the space it takes from what is linked or open. */
void inode_recharge(struct inode *i);

/* NULL when there is none. The first `len` bytes of name count. */
struct inode *folder_find(const struct folder *f, const char *name, size_t len);
/* Puts or (inode NULL) removes a name. */
void folder_set(struct folder *f, const char *name, struct inode *inode);
void folder_done(struct folder *f);

/* One name set (or, inode NULL, removed) in a folder. */
struct name_part {
  struct inode *dir;
  char *name;
  struct inode *inode;
};
/* Up to two parts that happen together or not at all: a rename has two. */
struct name_change {
  struct name_change *next; /* younger */
  struct name_part parts[2];
  unsigned count;
  struct inode *gone; /* rmdir: what was in it must be gone before */
  bool marked;
};
struct name_list {
  struct name_change *first;
};
/* Applies the parts to the folders' present names and queues them for the stable ones.
 * Borrows everything, keeps references of its own. */
void name_change_make(struct name_list *list, const struct name_part *parts, unsigned count,
                      struct inode *gone);
/* dir_sync: makes stable the changes in `dir` and the older ones that they build on. */
void name_sync(struct name_list *list, const struct inode *dir);
/* The dice of a power cut; a change that builds on a dropped one is dropped. Empties the list. */
void name_settle(struct name_list *list, uint64_t *dice);
void name_drop_all(struct name_list *list);

#endif
