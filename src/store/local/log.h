/* Log: preallocated, recycled segment files of batches of records; the region's truth.
 *
 * A record is an opaque payload with a type, an LSN of its own and a locator. A batch is the unit
 * of writing: one 4K-aligned O_DIRECT|O_DSYNC write, CRC over the whole, hash chain to the batch
 * before. A torn batch at the end of the log never was; a bad batch with a good successor is
 * damage. Segments carry a generation that grows each time the file is reused; locators name it.
 * Threads: log_append, log_segment_* by the writer only; log_read, log_pin by any. */
#ifndef DOMICILE_STORE_LOCAL_LOG_H
#define DOMICILE_STORE_LOCAL_LOG_H

#include "base/bytes.h"
#include "base/disk.h"

struct log;

/* Where a record lies. 20 bytes on disk (docs/formats/log.md). */
struct log_locator {
  uint32_t segment;
  uint32_t generation;
  uint32_t offset; /* of the record within the segment */
  uint32_t length; /* of the whole record */
};

struct log_record {
  uint8_t type;
  uint64_t lsn;          /* given by the writer */
  struct slice payload;
  struct log_locator at; /* filled by log_append and on replay */
};

/* Replay calls this for each record in LSN order. A code other than DOM_OK ends the opening. */
typedef enum dom_code (*log_replay_fn)(void *arg, const struct log_record *r, struct dom_err *err);

struct log_options {
  struct disk *disk;
  const char *folder;
  uint64_t segment_bytes;
  uint64_t chain_from_lsn; /* the batch hash chain is checked from here on */
};
/* Finds the end of the log, checks it and replays records with lsn > after_lsn. */
enum dom_code log_open(const struct log_options *o, uint64_t after_lsn, log_replay_fn fn, void *arg,
                       struct log **out, struct dom_err *err);
void log_close(struct log *l);
uint64_t log_last_lsn(const struct log *l);
/* Appends all records as one batch; fills `at`. Durable: at return. Any failure is final: the
 * log refuses every later append with DOM_READ_ONLY. */
enum dom_code log_append(struct log *l, struct log_record *records, size_t count, struct dom_err *err);
/* Reads and verifies one record's payload (CRC, generation, lsn range). DOM_RETRY when the
 * generation moved on (look the row up again), DOM_CORRUPT. `prefix_len` > 0 reads only so many
 * payload bytes, unverified by CRC (the AEAD inside verifies them). */
enum dom_code log_read(struct log *l, struct log_locator at, uint32_t prefix_len, struct buf *out, struct dom_err *err);

#endif
