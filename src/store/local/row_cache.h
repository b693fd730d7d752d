/* Rows lately read from the index, in memory: a request asks for the same few again and again (its bucket,
 * its subject, the newest version of a key), and each costs RocksDB microseconds.
 *
 * What makes it right: writes are counted, and each slot of `changed` holds the number of the last write that
 * touched a row of that hash. A row that was read when F writes were visible is what a view sees that was
 * opened when L were, as long as nothing of its hash changed after the lesser of F and L. So nothing is ever
 * taken out: what changed is not believed, and gets written over. A hash that two rows share costs a read.
 * Threads: marks by the writing thread alone, before the write they belong to; all else by any. */
#ifndef DOMICILE_STORE_LOCAL_ROW_CACHE_H
#define DOMICILE_STORE_LOCAL_ROW_CACHE_H

#include "base/bytes.h"
#include "base/err.h"

enum {
  ROW_CACHE_ROWS =
      1 << 15, /* the bucket, subject and keys of what is asked for most; with ROW_CACHE_BYTES 16 MiB */
  ROW_CACHE_BYTES = 480,     /* key and value of one; longer names than 300 bytes are rare, and only slower */
  ROW_CACHE_TAIL = 16,       /* what follows a cell in the keys of its rows: an order */
  ROW_CACHE_MARKS = 1 << 18, /* 2 MiB; at 50,000 rows written a second each is hit every five seconds */
  ROW_CACHE_LOCKS = 64       /* more than there are threads that read at the same instant */
};

struct row_cache;
/* Its memory is taken at once, and touched as it fills. DOM_NO_MEMORY. */
enum dom_code row_cache_new(struct row_cache **out, struct dom_err *err);
void row_cache_free(struct row_cache *c); /* NULL is allowed */

/* ---- of the writing thread: write number `write` puts or deletes this row; it becomes visible after ---- */
void row_cache_mark(struct row_cache *c, struct slice key, uint64_t write);
/* The same of any row: after it nothing that was read before is believed. */
void row_cache_mark_all(struct row_cache *c, uint64_t write);
/* Overwrites what is kept. */
void row_cache_wipe(struct row_cache *c);

/* ---- reading ---- */
enum row_cache_kind {
  ROW_CACHE_EXACT,  /* the row of this key */
  ROW_CACHE_NEWEST, /* the first row of this cell: its key is the cell and ROW_CACHE_TAIL bytes */
};
enum row_cache_answer { ROW_CACHE_UNKNOWN, ROW_CACHE_ABSENT, ROW_CACHE_FOUND };
/* `seen`: writes that were visible to the view for sure when it was opened. *value is replaced, and of NEWEST
 * *key too (else it may be NULL), when FOUND. Without memory for them: UNKNOWN. */
enum row_cache_answer row_cache_get(struct row_cache *c, enum row_cache_kind kind, struct slice asked,
                                    uint64_t seen, struct buf *key, struct buf *value);
/* Keeps what a view of `seen` found: `key` and `value`, or with `found` false that nothing is there. */
void row_cache_put(struct row_cache *c, enum row_cache_kind kind, struct slice asked, uint64_t seen,
                   bool found, struct slice key, struct slice value);

#endif
