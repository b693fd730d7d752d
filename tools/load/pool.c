#include "pool.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

/* How often progress is printed: a terminal's bar, and lines of a log. */
#define TTY_NS  UINT64_C(100000000)
#define LINE_NS UINT64_C(5000000000)
/* Cells of the bar. */
#define BAR_CELLS 30

void progress_begin(struct progress *p, const char *what, uint64_t total) {
  assert(p != NULL && what != NULL);
  p->what = what;
  p->total = total;
  p->tty = isatty(STDERR_FILENO) == 1;
  p->start_ns = clock_mono_ns(clock_posix());
  atomic_init(&p->done, 0);
  atomic_init(&p->next_ns, p->start_ns + (p->tty ? 0 : LINE_NS));
}

static void print_state(struct progress *p, uint64_t now) {
  assert(now >= p->start_ns);
  uint64_t done = atomic_load(&p->done);
  double seconds = (double)(now - p->start_ns) / 1e9;
  double rate = seconds > 0 ? (double)done / seconds : 0;
  if (p->total == 0) {
    fprintf(stderr, "%s%s: %llu (%.0f/s)%s", p->tty ? "\r" : "", p->what, (unsigned long long)done, rate,
            p->tty ? "   " : "\n");
    return;
  }
  if (!p->tty) {
    fprintf(stderr, "%s: %llu of %llu (%.0f/s)\n", p->what, (unsigned long long)done,
            (unsigned long long)p->total, rate);
    return;
  }
  char bar[BAR_CELLS + 1];
  for (unsigned i = 0; i < BAR_CELLS; i++) bar[i] = (uint64_t)i * p->total < done * BAR_CELLS ? '#' : '.';
  bar[BAR_CELLS] = '\0';
  fprintf(stderr, "\r%s [%s] %llu/%llu %.0f/s  ", p->what, bar, (unsigned long long)done,
          (unsigned long long)p->total, rate);
}

void progress_add(struct progress *p, uint64_t count) {
  assert(p != NULL && p->what != NULL);
  atomic_fetch_add(&p->done, count);
  uint64_t now = clock_mono_ns(clock_posix());
  unsigned long long next = atomic_load(&p->next_ns);
  if (now < next) return;
  /* One of the threads that are late prints. */
  if (!atomic_compare_exchange_strong(&p->next_ns, &next, now + (p->tty ? TTY_NS : LINE_NS))) return;
  print_state(p, now);
}

void progress_end(struct progress *p) {
  assert(p != NULL && p->what != NULL);
  print_state(p, clock_mono_ns(clock_posix()));
  if (p->tty) fputc('\n', stderr);
}

struct run {
  pool_task *task;
  void *context;
  size_t count;
  atomic_size_t next;
  atomic_bool failed;
};

struct worker {
  struct run *run;
  size_t number;
  pthread_t thread;
};

static void *work(void *argument) {
  struct worker *w = argument;
  struct run *run = w->run;
  assert(run->task != NULL);
  while (!atomic_load(&run->failed)) {
    size_t index = atomic_fetch_add(&run->next, 1);
    if (index >= run->count) break;
    if (atomic_load(&load_stop) || !run->task(run->context, w->number, index)) {
      atomic_store(&run->failed, true);
    }
  }
  return NULL;
}

bool pool_run(size_t threads, size_t count, pool_task *task, void *context) {
  assert(threads >= 1 && threads <= POOL_THREADS_MAX && task != NULL);
  struct run run = {.task = task, .context = context, .count = count};
  struct worker workers[POOL_THREADS_MAX];
  size_t started = 0;
  for (; started < threads; started++) {
    workers[started] = (struct worker){.run = &run, .number = started};
    if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) {
      atomic_store(&run.failed, true);
      load_complain("cannot start %zu threads", threads);
      break;
    }
  }
  for (size_t i = 0; i < started; i++) pthread_join(workers[i].thread, NULL);
  return !atomic_load(&run.failed);
}
