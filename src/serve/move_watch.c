/* What the log says of moves of many: that one is late, in time again, over. */
#include <assert.h>

#include "serve/daemon.h"

enum { MOVE_WATCH_EVERY_MS = 5000 };

/* The job's place, a free one, or NULL: then nothing is said of it. */
static struct move_watched *find(struct move_watch *w, uint64_t id) {
  struct move_watched *empty = NULL;
  for (int i = 0; i < MOVE_WATCH_MAX; i++) {
    if (w->job[i].id == id) return &w->job[i];
    if (!w->job[i].id && !empty) empty = &w->job[i];
  }
  return empty;
}

static void say_late(const struct move_job_status *job) {
  log_event(LOG_WARN, "serve", "", "a move is late for its deadline",
            LOG_FIELDS({.name = "move", .number = (int64_t)job->id},
                       {.name = "late_s", .number = (int64_t)(job->late_ms / 1000)},
                       {.name = "left_s", .number = (int64_t)(job->left_ms / 1000)},
                       {.name = "parallel", .number = job->parallel_now},
                       {.name = "rate_limit", .number = (int64_t)job->spec.rate_bytes_s}));
}

static bool see(void *arg, const struct move_job_status *job) {
  struct move_watched *watched = find(arg, job->id);
  if (!watched) return true;
  bool late = job->late_ms > 0, was = watched->is_late;
  *watched = (struct move_watched){.id = job->id, .is_late = late, .is_seen = true};
  if (late && !was) say_late(job);
  if (was && !late)
    log_event(LOG_INFO, "serve", "", "a move is in time again",
              LOG_FIELDS({.name = "move", .number = (int64_t)job->id}));
  return true;
}

static void say_over(struct region *r, uint64_t id) {
  static const char *const NAME[] = {
      [JOB_RUNNING] = "running", [JOB_DONE] = "done", [JOB_CANCELLED] = "cancelled", [JOB_PAUSED] = "paused"};
  struct move_job_status job;
  if (mover_job_status(r->mover, id, &job, NULL)) return;
  assert(job.state >= JOB_RUNNING && job.state <= JOB_PAUSED);
  uint64_t deadline = job.spec.deadline_ms;
  bool missed = deadline && job.ended_ms > deadline;
  log_event(
      job.subjects_failed || missed ? LOG_WARN : LOG_INFO, "serve", "", "a move is over",
      LOG_FIELDS({.name = "move", .number = (int64_t)id}, {.name = "state", .text = NAME[job.state]},
                 {.name = "moved", .number = (int64_t)job.subjects_done},
                 {.name = "failed", .number = (int64_t)job.subjects_failed},
                 {.name = "late_s", .number = missed ? (int64_t)((job.ended_ms - deadline) / 1000) : 0}));
}

void move_watch_step(struct region *r, struct move_watch *w) {
  uint64_t now = clock_mono_ns(r->clock) / 1000000;
  if (now < w->look_at_ms) return;
  w->look_at_ms = now + MOVE_WATCH_EVERY_MS;
  for (int i = 0; i < MOVE_WATCH_MAX; i++) w->job[i].is_seen = false;
  mover_job_running(r->mover, see, w);
  for (int i = 0; i < MOVE_WATCH_MAX; i++) {
    if (!w->job[i].id || w->job[i].is_seen) continue;
    say_over(r, w->job[i].id);
    w->job[i] = (struct move_watched){0};
  }
}
