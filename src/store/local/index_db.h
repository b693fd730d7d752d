/* The RocksDB handles behind an index; for index.c and index_replace.c only. */
#ifndef DOMICILE_STORE_LOCAL_INDEX_DB_H
#define DOMICILE_STORE_LOCAL_INDEX_DB_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/local/index.h"
#include "store/local/rocksdb_fs.h"
#include "store/local/row_cache.h"

/* One database. */
struct index_db {
  struct rocksdb_fs *fs;
  rocksdb_t *db;
  rocksdb_options_t *options;
  rocksdb_cache_t *cache;
  rocksdb_writeoptions_t *write_options;
  uint32_t refs; /* views, and one of the index itself; under the index's lock */
};
enum dom_code index_db_open(const struct index_options *o, struct index_db **out, struct dom_err *err);
/* No view may be left (asserted). NULL is allowed. */
void index_db_close(struct index_db *x);
enum dom_code index_db_flush(struct index_db *x, struct dom_err *err);
/* Takes RocksDB's malloc'ed text. */
enum dom_code index_fail(char *text, enum dom_code code, const char *where, struct dom_err *err);

/* What is written to the new index too: keys before the frontier. The writing thread's own. */
struct index_mirror {
  rocksdb_writebatch_t *raw;
  struct buf frontier;
  bool all; /* the frontier is past the last row */
  bool failed;
};
void index_mirror_put(struct index_mirror *m, struct slice key, struct slice value);
void index_mirror_delete(struct index_mirror *m, struct slice key);
void index_mirror_delete_range(struct index_mirror *m, struct slice from, struct slice to);
/* Writes and clears the mirrored part of a batch. A failure is noted: the old index is the true one. */
void index_mirror_write(struct index *x);

struct index {
  pthread_mutex_t lock;        /* guards db, refs and shared */
  pthread_cond_t released;     /* a view ended */
  struct index_db *db;         /* changed by the writing thread alone */
  struct index_shared *shared; /* the newest snapshot that some view uses, or NULL */
  _Atomic uint64_t writes;     /* that are visible */
  struct index_db *next;       /* being filled, or NULL */
  struct index_db *retired;    /* replaced, but perhaps still read, or NULL */
  struct index_mirror mirror;
  struct row_cache *rows; /* lately read */
};
void index_replace_init(struct index *x);
/* Closes what a replacement left open. */
void index_replace_done(struct index *x);

#endif
