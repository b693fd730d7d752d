/* Superblock: what a data folder is, and who has it open.
 *
 * Two copies (superblock.1, superblock.2), each replaced as a whole file; the good one with the
 * higher sequence counts and repairs the other. The file `lock` carries the flock.
 * Format: docs/formats/log.md "Superblock". */
#ifndef DOMICILE_STORE_LOCAL_SUPERBLOCK_H
#define DOMICILE_STORE_LOCAL_SUPERBLOCK_H

#include "base/bytes.h"
#include "base/disk.h"

enum { SUPERBLOCK_VERSION = 1, SUPERBLOCK_SIZE = 64 };
/* Incompatible features. Set in every folder that this build has opened. */
enum {
  SUPERBLOCK_VERSIONS = 1, /* records and rows of versions and delete markers */
  SUPERBLOCK_PARTS = 2,    /* records and rows of parts with metadata of their own */
  SUPERBLOCK_FEATURES = SUPERBLOCK_VERSIONS | SUPERBLOCK_PARTS
};

struct superblock {
  uint8_t deployment[16];
  uint16_t region;
  uint64_t sequence;     /* grows with each writing */
  uint64_t compatible;   /* feature flags an older build may ignore */
  uint64_t incompatible; /* … must not */
};

void superblock_encode(const struct superblock *s, struct buf *out);
/* DOM_CORRUPT, or DOM_INCOMPATIBLE for an unknown version or flag. */
enum dom_code superblock_decode(struct slice in, struct superblock *out, struct dom_err *err);

/* Takes the folder's lock. DOM_BUSY when another process has it. Close the file to give it up. */
enum dom_code superblock_lock(struct disk *disk, struct disk_file **out, struct dom_err *err);
/* Reads and repairs it. DOM_NOT_FOUND when there is none; DOM_CORRUPT when both copies are bad;
 * DOM_INCOMPATIBLE another deployment, region, version or flag: the text says which. */
enum dom_code superblock_open(struct disk *disk, const uint8_t deployment[16], uint16_t region,
                              struct dom_err *err);
/* Reads both copies, repairs nothing: *out_good of the two verify and agree in all but sequence.
 * DOM_INCOMPATIBLE as superblock_open; DOM_IO. */
enum dom_code superblock_check(struct disk *disk, uint32_t *out_good, struct dom_err *err);
/* Writes a first one. Durable: at return. */
enum dom_code superblock_create(struct disk *disk, const uint8_t deployment[16], uint16_t region,
                                struct dom_err *err);

#endif
