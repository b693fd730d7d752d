/* Apply: from a change in the log to rows in the index. The only writer of the index besides
 * clean-up of dead rows, and one function for live commits and for replay.
 *
 * prev_read looks up what a change meets: live, the committing worker calls it on its view under
 * guard; in replay apply's caller does, on the newest state. apply_change then only writes. So
 * the same log gives the same rows, whichever suffix is replayed and whatever compaction moved:
 * of two changes of a cell the one with the greater first LSN wins, and an equal one merely
 * stands in a new place.
 * Threads: apply_* by the writer (or the opening thread) only; prev_read by any. */
#ifndef DOMICILE_STORE_LOCAL_APPLY_H
#define DOMICILE_STORE_LOCAL_APPLY_H

#include "store/local/index.h"
#include "store/local/record.h"
#include "store/local/rows.h"

/* What stands in the cell of a change, and around it. */
struct prev {
  bool found;
  struct buf key, value; /* the row, when found */
  uint64_t first_lsn;    /* of the row */
  struct log_locator at; /* of its record */
  uint64_t tomb_lsn;     /* first LSN of a delete that stands there; 0: none */
  bool present;          /* the presence row is there already */
  struct buf lost;       /* ids of bodies that go when the row goes */
  struct buf parts;      /* DELETE of an upload: its part rows, each a bytes16 key and a locator */
};
void prev_done(struct prev *p);
/* Looks up the cell of `c` and what the change needs to know. Clears *p first. */
enum dom_code prev_read(struct index_view *v, const struct change *c, struct prev *p, struct dom_err *err);
/* The row of the null version in a key's cell, whatever versions stand above it: replaces *key and *value.
 * One look where the bucket never had versioning. DOM_NOT_FOUND, DOM_CORRUPT, DOM_IO. */
enum dom_code null_row_find(struct index_view *v, struct slice cell, struct buf *key, struct buf *value,
                            struct row_object *out, struct dom_err *err);
/* The cell's key, for guards; what a change of this cell must not have missed. A version that is new, and so
 * has no order yet, stands for its key as a whole. */
void change_cell(const struct change *c, struct buf *out);

struct apply;
/* Loads segment accounting and the set of journaled subjects from the index. */
enum dom_code apply_new(struct index *index, struct apply **out, struct dom_err *err);
void apply_free(struct apply *a); /* NULL is allowed */

/* Where a change came to stand. */
struct apply_at {
  uint64_t lsn;      /* of the commit */
  uint32_t position; /* of the record within it */
  uint32_t head;     /* bytes before an inline body's frames */
  struct log_locator at;
};
/* Writes the rows of one change into the batch. */
enum dom_code apply_change(struct apply *a, struct index_batch *b, const struct change *c,
                           const struct prev *prev, const struct apply_at *at, struct dom_err *err);
/* In replay, of a record whose key is gone: its bodies are due for removal. */
void apply_dead(struct index_batch *b, const struct change *clear);
/* Ends a batch: accounting and the applied LSN go with it. */
void apply_finish(struct apply *a, struct index_batch *b, uint64_t lsn);
/* Live bytes of a segment go down by a record that no row names any more. */
void apply_forget(struct apply *a, struct log_locator at);
uint64_t apply_live_bytes(const struct apply *a); /* of all segments; any thread */
/* Of one segment's generation; by the writer, or inside writer_call. */
uint64_t apply_segment_live(const struct apply *a, uint32_t segment, uint32_t generation);
/* DOM_NOT_FOUND in a fresh index. */
enum dom_code apply_lsn_read(struct index_view *v, uint64_t *out, struct dom_err *err);

#endif
