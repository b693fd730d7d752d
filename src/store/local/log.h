/* Log: preallocated, recycled segment files of batches of records; the region's truth.
 *
 * Glossary
 *   record      an opaque payload with a type and the LSN of its commit; a commit may have several
 *   batch       the unit of writing: one 4K-aligned O_DIRECT|O_DSYNC write, CRC over the whole,
 *               hash chain to the batch before; never splits a commit
 *   generation  grows with every segment that is begun, so it orders segments; locators name it
 *   locator     segment, generation, place and length of one record
 *   horizon     an LSN that index and ledger had durably passed when a segment was reused: only
 *               records up to it may be missing from the log
 *
 * Invariant: a torn batch at the end of the log never was; a bad batch with a good successor, or
 * a hole above the horizon, is damage (DOM_CORRUPT). LSNs are consecutive from 1, but where an append
 * leaves some out: a segment begins there, whose chain says that nothing is missing.
 * Threads: log_append by the writer only; log_prepare by one thread; all else by any.
 * Format: docs/formats/log.md. */
#ifndef DOMICILE_STORE_LOCAL_LOG_H
#define DOMICILE_STORE_LOCAL_LOG_H

#include "base/bytes.h"
#include "base/disk.h"

struct log;

enum {
  LOG_RECORD_HEADER = 32,         /* bytes before each payload */
  LOG_BATCH_HEADER = 80,          /* bytes before the first record of a batch */
  LOG_SEGMENT_MIN = 64 * 1024,    /* smallest segment; tests */
  LOG_SEGMENT_DEFAULT = 64 << 20, /* zero-filled in about 50 ms, a start scans at most one twice */
  LOG_SPARES = 2,                 /* made ahead: one lasts about as long as making another takes */
  LOG_LOCATOR_SIZE = 16,          /* encoded */
  LOG_BRIDGE = 255 /* kind of record: a repair's, over what was damaged; replay passes it over */
};

/* Where a record lies; 16 bytes on disk, little-endian, in this order. */
struct log_locator {
  uint32_t segment;
  uint32_t generation;
  uint32_t offset; /* of the record's header within the segment */
  uint32_t length; /* of header and payload */
};

struct log_record {
  uint8_t type;
  uint32_t payload_crc; /* CRC-32C of the payload, made by whoever encoded it */
  uint64_t lsn;         /* given by the writer; records of one commit share it */
  struct slice payload;
  struct log_locator at; /* filled by log_append and on replay */
};

/* Replay calls this for each record in LSN order, records of one commit in their order.
 * `commit_ends` is true at the last record of its commit. A code other than DOM_OK ends the
 * opening with it. */
typedef enum dom_code (*log_replay_fn)(void *arg, const struct log_record *r, bool commit_ends,
                                       struct dom_err *err);

struct log_options {
  struct disk *disk;      /* borrowed for the log's life */
  const char *folder;     /* made when absent; borrowed for the log's life */
  uint64_t segment_bytes; /* of segments made from now on, a multiple of 4096 */
};

/* Finds the end of the log, checks it and replays records with lsn > after_lsn. Writes the last
 * batch once more as it stands: it may be there only in a cache, left by a write that failed
 * before a restart without a power cut. The first append begins a fresh generation.
 * Durable: all that was replayed.
 * Returns: DOM_CORRUPT damage (the text names segment and offset), DOM_INCOMPATIBLE a segment of
 * an unknown version, DOM_IO, DOM_NO_MEMORY, or what fn returned. */
enum dom_code log_open(const struct log_options *o, uint64_t after_lsn, log_replay_fn fn, void *arg,
                       struct log **out, struct dom_err *err);
void log_close(struct log *l); /* NULL is allowed */
uint64_t log_last_lsn(const struct log *l);
/* Largest sum of LOG_RECORD_HEADER + payload that one append can hold. */
uint64_t log_append_max(const struct log *l);

/* Appends all records as one batch; fills `at`. LSNs must go on from log_last_lsn, the first at any distance,
 * the others without a gap.
 * Durable: at return. A failed write is final: the log refuses every later append with
 * DOM_READ_ONLY, since the state of the file is unknown. Only a new segment that finds no room
 * leaves the log usable.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY, DOM_READ_ONLY. */
enum dom_code log_append(struct log *l, struct log_record *records, size_t count, struct dom_err *err);
/* False once an append failed in a way that leaves the file's state unknown. Threads: the writer. */
bool log_usable(const struct log *l);
/* Bytes a record takes in a batch, padding included. */
static inline uint64_t log_record_size(uint64_t payload_len) {
  return (LOG_RECORD_HEADER + payload_len + 7) / 8 * 8;
}
/* The horizon that segments begun from now on state in their headers; never falls. */
void log_horizon(struct log *l, uint64_t lsn);
/* Makes zero-filled spare segments up to LOG_SPARES, so that append need not: overwriting
 * written blocks is several times faster than first writes. Durable: the file and its name.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY; none of them stops the log. */
enum dom_code log_prepare(struct log *l, struct dom_err *err);

/* Reads and verifies one record (lengths, generation, CRC); appends its payload to *out.
 * Returns: DOM_RETRY when the segment was reused (look the row up again), DOM_CORRUPT, DOM_IO. */
enum dom_code log_read(struct log *l, struct log_locator at, struct buf *out, struct dom_err *err);
/* Reads payload bytes [offset, offset+len) into out, unverified: for sealed bytes, whose AEAD
 * verifies them. Asserts the range lies in the record. Returns: as log_read. */
enum dom_code log_read_range(struct log *l, struct log_locator at, uint32_t offset, void *out, uint32_t len,
                             struct dom_err *err);
/* Keeps the record's segment from being reused. False when it was reused already. */
bool log_pin(struct log *l, struct log_locator at);
void log_unpin(struct log *l, struct log_locator at);

/* ---- for compaction and fsck ---- */
struct log_segment_info {
  uint32_t segment, generation;
  uint64_t first_lsn, last_lsn; /* last_lsn < first_lsn when it has no record */
  uint64_t bytes;               /* of the file */
  uint32_t pins;
  bool open; /* it is being appended to */
  bool free; /* it may be reused at any time */
};
/* Calls fn for every segment in order of number; fn returns false to stop and must not call log. */
void log_segments(struct log *l, bool (*fn)(void *arg, const struct log_segment_info *s), void *arg);
/* Gives a segment up for reuse: no row names a record in it and last_lsn is at or below the
 * horizon (asserted). Its locators answer DOM_RETRY from now on.
 * Durable: at return; a later replay does not see it.
 * Returns: DOM_BUSY it is pinned, open, or the newest; DOM_IO, DOM_NO_MEMORY. Threads: one. */
enum dom_code log_release(struct log *l, uint32_t segment, uint32_t generation, struct dom_err *err);
/* Replays one segment's records. fn as in log_open. For compaction. */
enum dom_code log_segment_scan(struct log *l, uint32_t segment, uint32_t generation, log_replay_fn fn,
                               void *arg, struct dom_err *err);

void log_locator_put(struct buf *out, struct log_locator at);
struct log_locator log_locator_load(const uint8_t in[LOG_LOCATOR_SIZE]);
static inline bool log_locator_equal(struct log_locator a, struct log_locator b) {
  return a.segment == b.segment && a.generation == b.generation && a.offset == b.offset &&
         a.length == b.length;
}

#endif
