/* Segment: the bytes of one log file. A header block, then batches at 4 KiB borders.
 * Format: docs/formats/log.md. Knows no table of segments and no threads. */
#ifndef DOMICILE_STORE_LOCAL_SEGMENT_H
#define DOMICILE_STORE_LOCAL_SEGMENT_H

#include "base/crypto.h"
#include "base/disk.h"
#include "store/local/log.h"

enum { SEGMENT_HEADER_SIZE = DISK_ALIGN, SEGMENT_VERSION = 1 };

/* What a segment's first block says. Generation 0: the segment was given up, nothing in it counts;
 * number, bytes and horizon alone are set. */
struct segment_header {
  uint32_t number, generation;
  uint64_t bytes;
  uint64_t first_lsn;         /* the LSN its first record has */
  uint64_t horizon;           /* see log.h */
  uint8_t chain[SHA256_SIZE]; /* hash of the batch before this segment; zero at the log's start */
};
/* Appends exactly SEGMENT_HEADER_SIZE bytes. */
void segment_header_encode(const struct segment_header *h, struct buf *out);
/* DOM_CORRUPT when magic or CRC do not fit; DOM_INCOMPATIBLE for an unknown version. */
enum dom_code segment_header_decode(struct slice block, struct segment_header *out, struct dom_err *err);

struct batch_header {
  uint32_t generation, count;
  uint64_t first_lsn, last_lsn;
  uint32_t length;            /* of header and records, without padding */
  uint32_t crc;               /* CRC-32C over header (this field zero) and records */
  uint8_t chain[SHA256_SIZE]; /* hash of the batch before */
};
/* Writes LOG_BATCH_HEADER bytes at the front of a batch whose records stand behind, with the CRC. */
void batch_header_finish(uint8_t *batch, struct batch_header *h);
/* False when this is no batch header at all; checks lengths against `room`, not the CRC. */
bool batch_header_decode(struct slice block, size_t room, struct batch_header *out);
/* True when the CRC over the whole batch fits. */
bool batch_verify(struct slice batch, const struct batch_header *h);
/* SHA-256 of the header bytes, CRC included: what the next batch chains to. */
void batch_chain(const uint8_t header[LOG_BATCH_HEADER], uint8_t out[SHA256_SIZE]);
/* The same of a verified batch that may be a bridge: then the hash that it carries, which is that of the lost
 * batch the next one chains to. */
void batch_follow(struct slice batch, const struct batch_header *b, uint8_t out[SHA256_SIZE]);
/* Whether a verified batch is a bridge. */
bool batch_is_bridge(struct slice batch, const struct batch_header *b);
/* Makes a bridge of exactly `size` bytes (a multiple of DISK_ALIGN), to stand where LSNs b->first_lsn to
 * b->last_lsn were; b->generation and b->chain are the segment's and the batch before's, `next` what the
 * batch behind chains to. */
void batch_bridge_put(struct buf *out, struct batch_header *b, const uint8_t next[SHA256_SIZE],
                      uint32_t size);

/* Appends a record's header; the payload follows, then zeros to a border of 8 bytes. */
void record_frame_put(struct buf *out, const struct log_record *r, uint32_t generation);
/* Checks a record's header and, with the whole record given, its payload's CRC. */
bool record_frame_check(struct slice record, uint32_t generation, struct log_record *out);

/* Reads the batch at `offset` into *in. *out_good is false when none of this generation (0: of
 * any) stands there that verifies. `bytes`: size of the segment. DOM_IO, DOM_NO_MEMORY. */
enum dom_code segment_batch_read(struct disk_file *file, uint64_t bytes, uint32_t generation, uint64_t offset,
                                 struct buf *in, struct batch_header *out, bool *out_good,
                                 struct dom_err *err);
/* Gives each record with lsn > after_lsn of a verified batch to fn (may be NULL). DOM_CORRUPT for
 * a bad record, or what fn returned. */
enum dom_code segment_batch_each(struct slice batch, const struct batch_header *b, uint32_t segment,
                                 uint64_t offset, uint64_t after_lsn, log_replay_fn fn, void *arg,
                                 struct dom_err *err);

/* What a scan of one segment found. */
struct segment_scan {
  uint64_t last_lsn;          /* of the last good batch, or first_lsn - 1 */
  uint64_t end;               /* offset behind the last good batch */
  uint64_t last;              /* offset of the last good batch; 0 when there is none */
  uint8_t chain[SHA256_SIZE]; /* hash of the last good batch, or the header's */
};
/* Goes through the batches of a segment, calls fn (may be NULL) for records with lsn > after_lsn.
 * Returns: DOM_CORRUPT for damage: a bad batch with a good successor. Or what fn returned. */
enum dom_code segment_scan(struct disk_file *file, const struct segment_header *h, uint64_t after_lsn,
                           log_replay_fn fn, void *arg, struct segment_scan *out, struct dom_err *err);
/* True when a whole batch of a record beyond `lsn` stands at the front: the header is bad, but
 * the segment was in use. */
enum dom_code segment_used_beyond(struct disk_file *file, uint64_t lsn, bool *out, struct dom_err *err);

#endif
