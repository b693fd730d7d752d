/* Repair of a damaged log: what its parts share. */
#ifndef DOMICILE_STORE_LOCAL_REPAIR_H
#define DOMICILE_STORE_LOCAL_REPAIR_H

#include "store/local/engine.h"
#include "store/local/segment.h"

#define REPAIR_FOLDER "damaged"

/* A stretch of a segment whose batches are lost: [from, to), LSNs first_lsn to last_lsn. */
struct repair_hole {
  uint32_t segment, generation;
  uint64_t from, to;
  uint64_t first_lsn, last_lsn;
  uint8_t before[SHA256_SIZE]; /* hash of the batch before */
  uint8_t next[SHA256_SIZE];   /* what the batch behind chains to */
  bool bridged;                /* a bridge stands there */
};
struct repair_holes {
  struct repair_hole *at;
  uint32_t count, cap;
};
void repair_holes_done(struct repair_holes *h);
/* The hole in which the record lies; NULL when in none. */
const struct repair_hole *repair_hole_of(const struct repair_holes *h, struct log_locator at);

/* Reads the log's folder and finds every hole, bridged ones too. Changes nothing.
 * Returns: DOM_CORRUPT for damage that no bridge mends (the text says which); DOM_IO, DOM_NO_MEMORY. */
enum dom_code repair_holes_find(struct disk *disk, struct repair_holes *out, struct dom_err *err);
/* Copies the hole's segment to REPAIR_FOLDER, unless a copy is there. Durable: at return. */
enum dom_code repair_segment_keep(struct disk *disk, const struct repair_hole *h, struct dom_err *err);
/* Writes the bridge, over the damage and nothing else. Durable: at return. */
enum dom_code repair_bridge_write(struct disk *disk, const struct repair_hole *h, struct dom_err *err);

/* What the rows that name records in holes come to. */
struct repair_tally {
  uint64_t saved, objects, uploads, entries;
};
/* Goes through all rows of the index; for each that names a record in a hole tells fn (may be NULL) what is
 * lost by it, of whom. */
enum dom_code repair_rows_tally(struct index *index, const struct repair_holes *holes,
                                store_repair_lost_fn fn, void *arg, struct repair_tally *out,
                                struct dom_err *err);
/* Writes anew, or deletes, what those rows name, in a store opened for it. */
enum dom_code repair_rows_mend(struct store *s, const struct repair_holes *holes, struct dom_err *err);

#endif
