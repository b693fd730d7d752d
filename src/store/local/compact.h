/* Compaction: moves what is still needed out of the emptiest segment, so that it can be reused.
 *
 * A record is copied only if a row names it at the instant of the copy's commit: the row is read
 * under a view, and the copy is guarded by what any change of that row writes. A delete has a
 * row too (ROW_TOMB); it is copied while an older segment is in use, since that may still hold
 * what it deleted. An emptied segment is given up (log_release) once index and ledger have
 * durably passed it and the copies made from it. */
#ifndef DOMICILE_STORE_LOCAL_COMPACT_H
#define DOMICILE_STORE_LOCAL_COMPACT_H

#include "store/local/engine.h"

enum {
  COMPACT_TX_BYTES = 1 << 20,  /* a commit of copies holds the writer for about a millisecond */
  COMPACT_TX_SHARE = 8,        /* … and is a small part of a segment: little is lost at its end */
  COMPACT_TX_ITEMS = 64,       /* … and one changed row makes so many be tried again */
  COMPACT_VIEW_RECORDS = 1024, /* records judged by one view */
  COMPACT_PASSES = 6,          /* over one segment, with ever smaller commits, before giving way */
  COMPACT_FORCED_LSNS = 4096,  /* commits between rewrites of the oldest segment for deletes */
  COMPACT_PENDING = 4          /* emptied segments that share one flush of the index */
};

/* A look at, or a pass over, one segment's records. Zero it before first use. */
struct scan {
  struct store *store;
  bool look;           /* count only */
  uint64_t oldest_lsn; /* first LSN of the oldest other segment in use; UINT64_MAX for none */
  uint32_t tx_items_max;
  /* Found. */
  uint64_t needed, tombs; /* bytes that the copies take, padding included; deletes among them */
  uint64_t group;         /* needed's last commit, not yet padded */
  uint32_t group_items;
  uint64_t dead; /* bytes of records whose key is gone */
  /* Of this pass: the ends of uploads alone; else all but those. A replay sees a commit as one
   * step, so an end must not stand in one commit with a part of a later upload of that id. */
  bool ends;
  bool ends_found; /* by the look: there are some */
  bool tombs_drop; /* rows of deletes go, since nothing older is left */
  bool held;       /* a body that is being written has its intent here */
  bool retry;      /* a guard failed: another pass is needed */
  /* Of the pass. */
  struct store_view *view;
  struct store_tx *tx;
  uint64_t tx_bytes, in_view;
  struct record_plain plain;
  struct buf cell, key, value;
};
/* A log_replay_fn; arg is the scan. */
enum dom_code scan_record(void *arg, const struct log_record *r, bool commit_ends, struct dom_err *err);
/* Commits what was gathered and closes the view. */
enum dom_code scan_flush(struct scan *s, struct dom_err *err);
/* Ends the last commit that `needed` counts. */
void scan_need_end(struct scan *s);
void scan_done(struct scan *s);

#endif
