/* Index: the RocksDB handle of a region, as a view of the log. One column family, no WAL.
 *
 * What a batch writes becomes visible and, later, durable as a whole; after a crash the index is
 * as it was after some batch. Which one, the row META_APPLIED inside each batch says.
 * Threads: index_write by one thread at a time; all else by any; a view belongs to one thread. */
#ifndef DOMICILE_STORE_LOCAL_INDEX_H
#define DOMICILE_STORE_LOCAL_INDEX_H

#include <rocksdb/c.h>

#include "base/bytes.h"
#include "base/disk.h"

enum {
  INDEX_CACHE_BYTES = 256 << 20, /* block cache of one region; four share a 24 GiB machine */
  INDEX_MEMTABLE_BYTES = 64 << 20
};

struct index;

struct index_options {
  struct disk *disk;
  const char *folder;  /* within the disk */
  const uint8_t *key;  /* index key, KEY_SIZE bytes; borrowed for the call */
  bool inline_threads; /* background work runs inside calls */
};
/* Opens or makes it. Returns: DOM_CORRUPT when RocksDB refuses its files (rebuild), DOM_IO. */
enum dom_code index_open(const struct index_options *o, struct index **out, struct dom_err *err);
void index_close(struct index *x); /* NULL is allowed */
/* Removes every file of the index folder. Durable: at return. */
enum dom_code index_destroy(struct disk *disk, const char *folder, struct dom_err *err);
/* Everything written so far becomes durable. Returns: DOM_IO. */
enum dom_code index_flush(struct index *x, struct dom_err *err);

/* ---- writing ---- */
struct index_mirror;
struct index_batch {
  rocksdb_writebatch_t *raw;
  struct index *index;         /* whose rows change; NULL: of one that nobody reads yet */
  struct index_mirror *mirror; /* of an index that is being replaced; NULL else */
};
enum dom_code index_batch_init(struct index_batch *b, struct index *x, struct dom_err *err);
void index_batch_done(struct index_batch *b);
void index_put(struct index_batch *b, struct slice key, struct slice value);
void index_delete(struct index_batch *b, struct slice key);
void index_delete_range(struct index_batch *b, struct slice from, struct slice to); /* [from, to) */
/* Writes and clears the batch. DOM_IO: the index takes no more writes. */
enum dom_code index_write(struct index *x, struct index_batch *b, struct dom_err *err);

/* ---- reading ---- */
struct index_db;
struct index_shared;
struct index_view {
  struct index *index;
  struct index_db *db;         /* stays open as long as the view, even when it is replaced */
  struct index_shared *shared; /* its snapshot; NULL: always the newest state */
  rocksdb_readoptions_t *options;
};
enum dom_code index_view_init(struct index_view *v, struct index *x, bool snapshot, struct dom_err *err);
void index_view_done(struct index_view *v);
/* Replaces *out by the value. DOM_NOT_FOUND, DOM_CORRUPT, DOM_NO_MEMORY. */
enum dom_code index_get(struct index_view *v, struct slice key, struct buf *out, struct dom_err *err);
/* DOM_OK or DOM_NOT_FOUND, without the value. */
enum dom_code index_has(struct index_view *v, struct slice key, struct dom_err *err);
/* The first row whose key starts with prefix: replaces *key and *value. DOM_NOT_FOUND. */
enum dom_code index_first(struct index_view *v, struct slice prefix, struct buf *key, struct buf *value,
                          struct dom_err *err);
/* The same where the keys of all rows of that prefix are it and ROW_CACHE_TAIL bytes: often in memory. */
enum dom_code index_newest(struct index_view *v, struct slice cell, struct buf *key, struct buf *value,
                           struct dom_err *err);

/* Replaces *key by the greatest key before `before`. DOM_NOT_FOUND when there is none. */
enum dom_code index_last_before(struct index_view *v, struct slice before, struct buf *key,
                                struct dom_err *err);

/* A scan in key order. Slices live until the next step. */
struct index_iter {
  rocksdb_iterator_t *raw;
  struct slice key, value;
  bool valid;
};
enum dom_code index_iter_init(struct index_iter *it, struct index_view *v, struct dom_err *err);
void index_iter_done(struct index_iter *it);
void index_seek(struct index_iter *it, struct slice key);
void index_next(struct index_iter *it);
/* DOM_OK when the scan merely ended; DOM_CORRUPT or DOM_IO when it broke. */
enum dom_code index_iter_check(const struct index_iter *it, struct dom_err *err);

/* ---- replacing: the same rows in another folder under another key (index_replace.c) ----
 *
 * In this order. `begin` opens the new index beside the old one. From `mirror` on, each batch
 * writes to both what lies before the frontier; each `step` copies the next rows and moves the
 * frontier. When it has passed the last row both are the same; `flush` makes the new one durable,
 * `swap` puts it in the old one's place, and `finish` closes the old one once no view reads it.
 * `abort` gives the new one up. mirror, step and swap run in the writing thread, with every batch
 * before them written; the others in one thread of their own. */
enum { INDEX_STEP_ROWS = 2000, INDEX_STEP_BYTES = 1 << 20 };

enum dom_code index_replace_begin(struct index *x, const struct index_options *o, struct dom_err *err);
/* `b` is the batch that the writing thread uses from now on. */
void index_replace_mirror(struct index *x, struct index_batch *b);
/* *out_done: nothing was left. DOM_IO also when a mirrored write failed: abort then. */
enum dom_code index_replace_step(struct index *x, bool *out_done, struct dom_err *err);
/* Durable: everything in the new index so far. */
enum dom_code index_replace_flush(struct index *x, struct dom_err *err);
/* DOM_IO when a mirrored write failed since: nothing is swapped then. */
enum dom_code index_replace_swap(struct index *x, struct index_batch *b, struct dom_err *err);
/* False when views still read the old index after wait_ms; call it again. */
bool index_replace_finish(struct index *x, uint32_t wait_ms);
/* `b`: as given to mirror, when it was. Run it in the writing thread then. */
void index_replace_abort(struct index *x, struct index_batch *b);

#define INDEX_ITER_AUTO  __attribute__((cleanup(index_iter_done))) struct index_iter
#define INDEX_VIEW_AUTO  __attribute__((cleanup(index_view_done))) struct index_view
#define INDEX_BATCH_AUTO __attribute__((cleanup(index_batch_done))) struct index_batch

#endif
