/* Writer: the serialisation point of a region. One thread takes the whole queue of commits, checks
 * their guards in queue order, appends them as one log batch, writes one index batch, publishes
 * the LSN and wakes each committer by its own semaphore. Sealing and encoding were done before by
 * the committing threads.
 *
 * Guards: a table of slots holds for each hash of a cell the LSN of its last change. A commit
 * names the cells it read; it must be retried when one of their slots is newer than its view.
 * Slots are shared by hash: a clash costs a needless retry, never a missed change. */
#ifndef DOMICILE_STORE_LOCAL_WRITER_H
#define DOMICILE_STORE_LOCAL_WRITER_H

#include <semaphore.h>

#include "store/local/apply.h"

enum {
  WRITER_SLOTS = 1 << 18,       /* 2 MiB a region; a view 1,000 commits old clashes with 0.4 % */
  WRITER_BATCH_BYTES = 8 << 20, /* a batch stops growing here: bounds latency and memory */
  WRITER_BATCH_COMMITS = 1024
};

/* One record of a commit. */
struct item {
  struct change change; /* slices live until the commit ends */
  struct prev prev;
  struct buf payload;
  uint32_t head, payload_crc;
};

struct store;

/* A commit in the queue. Zero it; the writer's fields are touched by the writer alone. */
struct commit {
  struct item *items;
  uint32_t count;
  uint64_t read_lsn;
  const uint64_t *reads;  /* hashes of cells the commit relied on */
  const uint64_t *writes; /* … and of those it changes */
  uint32_t read_count, write_count;
  uint64_t lsn_min; /* its LSN is not below; those between are given to nobody */
  /* Instead of records: rows of the index alone, at this place in the order of commits. May be
   * lost in a crash, so only what can be done again. Guards hold for jobs too. */
  void (*job)(void *arg, struct apply *a, struct index_batch *b);
  void *job_arg;
  bool alone; /* the job is a batch of its own: all commits before it are in the index */
  /* Results. */
  enum dom_code code;
  struct dom_err err;
  uint64_t lsn;
  /* The writer's own. */
  struct commit *next;
  sem_t done;
};

struct writer;
struct writer_options {
  struct log *log;
  struct index *index;
  struct apply *apply;
  bool inline_threads;
};
/* The applied LSN starts as the log's last. */
enum dom_code writer_open(const struct writer_options *o, struct writer **out, struct dom_err *err);
/* Finishes what is queued. NULL is allowed. */
void writer_close(struct writer *w);
/* Queues c, waits, returns c->code. Durable: at DOM_OK (but for jobs). */
enum dom_code writer_commit(struct writer *w, struct commit *c);
uint64_t writer_applied(const struct writer *w);
/* False once a write failed. */
bool writer_ok(const struct writer *w);
/* LSN of the newest commit with a ledger entry; writer_entry_note raises it at start. */
void writer_entry_note(struct writer *w, uint64_t lsn);
/* Waits until it exceeds `after`; false on timeout or close. */
bool writer_entry_wait(struct writer *w, uint64_t after, uint32_t timeout_ms);

struct writer_stats {
  uint64_t batches, commits, retries;
};
void writer_stats(const struct writer *w, struct writer_stats *out);

/* Hash of a cell key for guards; `salt` sets kinds of guard on one cell apart (0: the cell). */
uint64_t writer_hash(struct slice cell, uint64_t salt);

#endif
