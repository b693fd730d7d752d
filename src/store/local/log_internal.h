/* The log's table of segments; shared by log.c and log_recover.c only. */
#ifndef DOMICILE_STORE_LOCAL_LOG_INTERNAL_H
#define DOMICILE_STORE_LOCAL_LOG_INTERNAL_H

#include <pthread.h>

#include "store/local/segment.h"

/* A segment file. Its number is its place in the table plus one. */
struct log_segment {
  struct segment_header header; /* generation 0: a spare that never had one, or a bad header */
  uint64_t last_lsn;
  uint32_t pins;
  bool present; /* the file exists */
  bool open, free;
  bool wiped;               /* free, and its header says so on disk */
  struct disk_file *reader; /* buffered; opened at first use, closed with the log */
};

struct log {
  struct disk *disk;
  const char *folder;
  uint64_t segment_bytes;
  pthread_mutex_t lock; /* guards the table and everything in it */
  struct log_segment *segments;
  uint32_t count, cap;
  /* The writer's own. */
  struct disk_file *writer; /* NULL until the first append after open */
  uint32_t current;         /* number of the open segment, 0 when none */
  uint64_t end, limit;      /* where the next batch goes; bytes of that segment: the table may be moving */
  uint32_t generation;      /* highest ever used */
  uint64_t horizon;
  uint8_t chain[SHA256_SIZE];
  _Atomic uint64_t last_lsn;
  bool broken;
  struct buf batch; /* assembly, reused */
  uint8_t *aligned; /* DISK_ALIGN-aligned copy of it for O_DIRECT */
  size_t aligned_cap;
};

enum { LOG_PATH_MAX = 256 };
void log_path(const struct log *l, uint32_t number, char out[LOG_PATH_MAX]);
/* Makes l->aligned hold `size` bytes, rounded up to DISK_ALIGN. */
enum dom_code log_aligned_reach(struct log *l, size_t size, struct dom_err *err);
/* Grows the table so that `number` has a place. The lock is held or not yet needed. */
enum dom_code log_table_reach(struct log *l, uint32_t number, struct dom_err *err);
/* Lists the folder, reads headers, finds the end and replays: log_recover.c. */
enum dom_code log_recover(struct log *l, uint64_t after_lsn, log_replay_fn fn, void *arg,
                          struct dom_err *err);

#endif
