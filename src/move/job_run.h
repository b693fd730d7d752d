/* What job.c, which runs jobs, and job_control.c, which starts and stops them, share. */
#ifndef DOMICILE_MOVE_JOB_RUN_H
#define DOMICILE_MOVE_JOB_RUN_H

#include "move/job.h"

enum {
  JOBS_MAX = 16,         /* under way at once; a region moves a country or two at a time */
  JOB_QUEUE = 256,       /* subjects picked per scan */
  JOB_LATE_FACTOR = 4,   /* a late job moves so many times as many subjects at once */
  JOB_CLIENTS_SHARE = 4, /* with clients about, one worker in so many takes subjects */
  JOB_RATE_WINDOW_MS = 2000
};

struct job_worker {
  struct job *job;
  pthread_t thread;
  uint32_t index;
  bool used, ended; /* guarded by the job's lock */
};

struct picked {
  uint8_t token[TOKEN_SIZE];
  uint16_t to;
};

struct job {
  struct mover *m;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t news;  /* a worker ended, or the operator wants something else */
  struct move_job_status status;
  struct held_histogram held;
  struct eta eta;
  struct job_worker worker[MOVE_PARALLEL_MAX];
  uint64_t rate_at_ms, rate_bytes; /* the window that rate_now is taken over */
  uint64_t persisted_ms, paused_ms, away_ms;
  bool used, finished, has_thread; /* used: also by the runner's lock */
  pthread_t thread;

  atomic_bool halted;  /* the operator paused or cancelled it: takes no further subject */
  atomic_bool cut;     /* it was halted since its run began, whatever came then */
  atomic_bool give_up; /* copies under way stop at their next message */
  _Atomic uint32_t wanted, in_flight;
  _Atomic uint64_t away_until_ms; /* no target is asked before: one did not answer */
  struct pace pace;

  pthread_mutex_t pick_lock; /* guards what follows; taken before `lock` */
  struct picked *queue;
  size_t queue_len, queue_next;
  struct job_cursor cursor; /* of the present pass */
  bool retries;             /* the pass is over failures that are due */
  uint64_t picked;
  enum dom_code pick_code;
  struct dom_err pick_err;
  atomic_bool pass_over; /* nobody is left to pick */
  atomic_bool unkept;    /* a failure's row could not be written or removed: it stays due */
};

struct job_runner {
  pthread_mutex_t lock; /* guards the slots, and starts */
  struct job job[JOBS_MAX];
};

/* Runs until the job has ended, is paused or cancelled, or the mover stops. */
void job_run(struct job *j);
/* Makes the counters durable. With the job's lock held, or an older state could be written over a newer one.
 */
enum dom_code job_persist(struct job *j, struct dom_err *err);
/* Rate of now, time left, lateness. With the job's lock held. */
void job_refresh(struct job *j);
static inline uint64_t job_now_ms(const struct job *j) {
  return clock_mono_ns(j->m->o.clock) / 1000000;
}
static inline uint32_t job_parallel(const struct job *j) {
  return j->status.spec.parallel ? j->status.spec.parallel : j->m->o.parallel;
}

#endif
