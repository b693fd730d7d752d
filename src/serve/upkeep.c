/* The timers of a region: one goes on with handoffs and deletions of buckets whose messages or whose process
 * were lost, one with configurations of buckets that are not everywhere yet. */
#include <assert.h>

#include "serve/daemon.h"
#include "serve/lifecycle.h"

enum { UPKEEP_BUCKETS_MS = 10000 }; /* a deletion is stuck only after a crash of the registrar */

static uint64_t mono_ms(struct region *r) {
  return clock_mono_ns(r->clock) / 1000000;
}

void *upkeep_main(void *region) {
  struct region *r = region;
  assert(r->mover && r->clock);
  uint64_t quiet_until = 0, recorded = mono_ms(r), buckets_at = 0;
  struct move_watch watch = {0};
  while (!atomic_load(&r->stopping)) {
    struct dom_err err = {0};
    bool did = false;
    enum dom_code code = mover_upkeep(r->mover, &did, &err);
    if (mono_ms(r) >= buckets_at) {
      enum dom_code rolled = subject_upkeep(r->subjects, &err);
      if (!code) code = rolled;
      buckets_at = mono_ms(r) + UPKEEP_BUCKETS_MS;
    }
    if (code && mono_ms(r) >= quiet_until) {
      log_event(
          LOG_WARN, "serve", "", "handoffs or deletions wait",
          LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
      quiet_until = mono_ms(r) + DAEMON_LOG_QUIET_MS;
    }
    if (mono_ms(r) - recorded >= SERVE_REFUSAL_PERIOD_MS) {
      refusals_record(r,
                      NULL); /* what cannot be written now is lost to the count, not to the client's answer */
      recorded = mono_ms(r);
    }
    move_watch_step(r, &watch);
    if (!did || code) clock_sleep_ms(r->clock, DAEMON_UPKEEP_MS);
  }
  refusals_record(r, NULL);
  return NULL;
}

/* A region that waits for the registrar takes in no fence and no handoff meanwhile: so this is a thread of
 * its own. Regions that do not answer are no news each time. */
static void config_step(struct region *r, uint64_t *quiet_until) {
  struct dom_err err = {0};
  enum dom_code code = subject_config_upkeep(r->subjects, &err);
  if (!code || mono_ms(r) < *quiet_until) return;
  log_event(LOG_WARN, "serve", "", "configurations of buckets wait",
            LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
  *quiet_until = mono_ms(r) + DAEMON_LOG_QUIET_MS;
}

void config_upkeep_first(struct region *r) {
  uint64_t quiet_until = 0;
  config_step(r, &quiet_until);
}

void *config_upkeep_main(void *region) {
  struct region *r = region;
  uint64_t quiet_until = mono_ms(r) + DAEMON_LOG_QUIET_MS, at = mono_ms(r) + DAEMON_CONFIG_MS;
  assert(r->subjects);
  while (!atomic_load(&r->stopping)) {
    if (mono_ms(r) >= at) {
      quarantine_step(r);
      if (mover_is_open(r->mover)) config_step(r, &quiet_until);
      at = mono_ms(r) + DAEMON_CONFIG_MS;
    }
    clock_sleep_ms(r->clock, DAEMON_UPKEEP_MS); /* short, so that a stop is not waited for */
  }
  return NULL;
}

/* One pass; what it did is counted, never named. */
static void lifecycle_step(struct region *r, struct lifecycle *l) {
  struct dom_err err = {0};
  uint64_t expired = l->expired, aborted = l->aborted;
  enum dom_code code = lifecycle_pass(l, &err);
  if (code && code != DOM_CANCELLED)
    log_event(
        LOG_WARN, "serve", "", "lifecycle rules wait",
        LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
  if (l->expired == expired && l->aborted == aborted) return;
  log_event(LOG_INFO, "serve", "", "lifecycle rules were carried out",
            LOG_FIELDS({.name = "region", .text = r->name},
                       {.name = "objects", .number = (int64_t)(l->expired - expired)},
                       {.name = "uploads", .number = (int64_t)(l->aborted - aborted)}));
}

void *lifecycle_main(void *region) {
  struct region *r = region;
  struct lifecycle l = {.store = r->store,
                        .subjects = r->subjects,
                        .clock = r->clock,
                        .region = r->number,
                        .day_ms = r->lifecycle_day_ms,
                        .stopping = &r->stopping};
  uint64_t every_ms = l.day_ms / LIFECYCLE_PARTS_OF_DAY;
  if (every_ms < LIFECYCLE_PASS_MS_MIN) every_ms = LIFECYCLE_PASS_MS_MIN;
  /* Soon after a start, or a region that is started often would never come to it. */
  uint64_t at = mono_ms(r) + (every_ms < DAEMON_LIFECYCLE_MS ? every_ms : DAEMON_LIFECYCLE_MS);
  while (!atomic_load(&r->stopping)) {
    if (mono_ms(r) >= at && mover_is_open(r->mover)) {
      lifecycle_step(r, &l);
      at = mono_ms(r) + every_ms;
    }
    clock_sleep_ms(r->clock, DAEMON_UPKEEP_MS);
  }
  return NULL;
}

static void erasure_step(struct region *r, uint64_t *quiet_until) {
  struct dom_err err = {0};
  struct mover_erasures e;
  enum dom_code code = mover_erasures(r->mover, &e, &err);
  atomic_store(&r->erasures_waiting, e.waiting);
  atomic_store(&r->erasures_overdue, e.overdue);
  atomic_store(&r->erasures_late_ms, e.late_ms);
  atomic_store(&r->erasures_deadline_ms, e.next_deadline_ms);
  if (e.erased)
    log_event(LOG_INFO, "serve", "", "the KEK was rotated: what left is erased",
              LOG_FIELDS({.name = "subjects", .number = (int64_t)e.erased}));
  if ((!e.overdue && !code) || mono_ms(r) < *quiet_until) return;
  if (e.overdue)
    log_event(LOG_ERROR, "serve", "", "erasures are past delete_abroad_within_hours",
              LOG_FIELDS({.name = "subjects", .number = (int64_t)e.overdue},
                         {.name = "late_s", .number = (int64_t)(e.late_ms / 1000)}));
  if (code)
    log_event(
        LOG_WARN, "serve", "", "erasures wait",
        LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
  *quiet_until = mono_ms(r) + DAEMON_LOG_QUIET_MS;
}

/* A rotation takes as long as there are keys: handoffs must not wait for it, so this is a thread of its own.
 */
void *erasure_main(void *region) {
  struct region *r = region;
  uint64_t quiet_until = 0, at = 0; /* at once: a region may have been away past a deadline */
  assert(r->mover);
  while (!atomic_load(&r->stopping)) {
    if (mono_ms(r) >= at) {
      erasure_step(r, &quiet_until);
      at = mono_ms(r) + DAEMON_ERASURE_MS;
    }
    clock_sleep_ms(r->clock, DAEMON_UPKEEP_MS);
  }
  return NULL;
}
