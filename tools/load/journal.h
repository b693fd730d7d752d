/* Journal: an append-only file of records, written by many threads.
 *
 * Each record is one write(2), so that it outlives this process at once; fdatasync follows in
 * batches, so that all but the last moment outlives the machine. */
#ifndef DOMICILE_LOAD_JOURNAL_H
#define DOMICILE_LOAD_JOURNAL_H

#include <pthread.h>

#include "record.h"

struct journal {
  int fd;
  pthread_mutex_t lock;
  /* records since the last fdatasync */
  unsigned unsynced;
  /* when that was */
  uint64_t synced_ns;
  /* a write failed; the journal is no longer complete */
  bool failed;
};

/* Opens for appending, creating it with mode 0600. Returns: false after a complaint. */
bool journal_open(struct journal *j, const char *path);
/* Appends one record. Returns: false when it is not in the file; the caller must stop, because
 * what follows could not be judged. Threads: any. */
bool journal_write(struct journal *j, const struct record *r);
/* Syncs and closes. Returns: false when anything failed since the opening. */
bool journal_close(struct journal *j);

#endif
