/* The two files of slots: opening, growing, reading one slot, writing the same slots to both.
 * Format: docs/formats/vault.md. Threads: the owner locks. */
#ifndef DOMICILE_VAULT_SLOT_FILES_H
#define DOMICILE_VAULT_SLOT_FILES_H

#include "vault/slot.h"

enum {
  SLOT_COPIES = 2,
  SLOT_HEADER_SIZE = 4096, /* keeps slots aligned to sectors and pages */
  SLOT_CHUNK = 1024,       /* slots the files grow by: 128 KiB, one write */
  SLOT_VAULT_ID_SIZE = 16,
  SLOT_PATH_MAX = 256 /* folder and file name below the disk's root */
};

struct slot_files {
  struct disk *disk;
  struct disk_file *file[SLOT_COPIES];
  uint16_t region;
  uint32_t slots;
  bool rebuilt;                         /* one file was missing and begun anew; recover fills it */
  uint8_t vault_id[SLOT_VAULT_ID_SIZE]; /* random, the same in both files */
};

/* One slot as it is to be written. */
struct slot_change {
  uint32_t slot;
  uint8_t image[SLOT_SIZE];
};

/* Opens, or with `create` makes, both files and locks them. Slots are not looked at yet: call
 * slot_files_recover next. Codes as vault_open. */
enum dom_code slot_files_open(struct disk *disk, const char *folder, uint16_t region, bool create,
                              struct slot_files *out, struct dom_err *err);
void slot_files_close(struct slot_files *f);

/* What recovery found in a slot; `good` is NULL where both copies are bad. */
typedef enum dom_code (*slot_found_fn)(void *arg, uint32_t slot, const struct slot *good,
                                       struct dom_err *err);

/* Compares both copies of every slot, rewrites the losing one, cuts off a growth that did not
 * finish, and calls fn for each slot in order. *out_repaired: copies rewritten.
 * Durable: repairs at return. */
enum dom_code slot_files_recover(struct slot_files *f, slot_found_fn fn, void *arg, uint64_t *out_repaired,
                                 struct dom_err *err);

/* Reads a slot from the first copy that is good. *out_second: the first was not.
 * DOM_CORRUPT when neither is. */
enum dom_code slot_files_read(const struct slot_files *f, uint32_t slot, struct slot *out, bool *out_second,
                              struct dom_err *err);
/* The same from one copy. */
enum dom_code slot_files_read_copy(const struct slot_files *f, int copy, uint32_t slot, struct slot *out,
                                   struct dom_err *err);
/* Writes the changes to one copy, not synced. */
enum dom_code slot_files_write_copy(const struct slot_files *f, int copy, const struct slot_change *changes,
                                    size_t count, struct dom_err *err);
/* Appends a chunk of free slots stamped `seq` to both files, durably; f->slots is unchanged
 * until the caller adds SLOT_CHUNK. *out_clean: after an error, nothing was lost but space. */
enum dom_code slot_files_grow(struct slot_files *f, uint64_t seq, bool *out_clean, struct dom_err *err);

#endif
