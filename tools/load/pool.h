/* Pool: runs numbered tasks on several threads; and the progress shown meanwhile. */
#ifndef DOMICILE_LOAD_POOL_H
#define DOMICILE_LOAD_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most threads of one run; each has its own connections. */
#define POOL_THREADS_MAX 128

struct progress {
  /* "loading" */
  const char *what;
  /* 0: unknown, only a count is shown */
  uint64_t total;
  atomic_ullong done;
  /* when to print again */
  atomic_ullong next_ns;
  uint64_t start_ns;
  bool tty;
};
/* Starts the clock of a progress. `what` is borrowed until progress_end. Threads: before all
 * workers. */
void progress_begin(struct progress *p, const char *what, uint64_t total);
/* Counts and now and then prints to stderr: a bar on a terminal, else a line every few seconds.
 * Threads: any. */
void progress_add(struct progress *p, uint64_t count);
/* Prints the last state. */
void progress_end(struct progress *p);

/* One task: `worker` is 0..threads-1, `index` 0..count-1. Returns: false to stop all workers. */
typedef bool pool_task(void *context, size_t worker, size_t index);

/* Runs task(context, worker, 0..count-1), each once, on `threads` threads, until all are done,
 * one returned false, or load_stop is set. `threads` is 1..POOL_THREADS_MAX.
 * Returns: false when a task did, a thread could not start, or load_stop cut it short. */
bool pool_run(size_t threads, size_t count, pool_task *task, void *context);

#endif
