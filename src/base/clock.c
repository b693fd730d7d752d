#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"

static uint64_t now_ns(clockid_t id) {
  struct timespec t;
  int failed = clock_gettime(id, &t);
  assert(failed == 0); /* both ids exist on every Linux */
  (void)failed;
  if (t.tv_sec < 0) return 0; /* a wall clock before 1970 */
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t posix_wall_ms(struct clock *c) {
  (void)c;
  return now_ns(CLOCK_REALTIME) / 1000000u;
}

static uint64_t posix_mono_ns(struct clock *c) {
  (void)c;
  return now_ns(CLOCK_MONOTONIC);
}

static void posix_sleep_ms(struct clock *c, uint64_t ms) {
  (void)c;
  assert(ms / 1000 <= INT32_MAX); /* 68 years: a mistake in units */
  struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

struct clock *clock_posix(void) {
  static const struct clock_ops ops = {posix_wall_ms, posix_mono_ns, posix_sleep_ms};
  static struct clock clock = {&ops};
  return &clock;
}

/* Atomic: a test advances the clock while a server's threads read it. */
struct sim_clock {
  struct clock base;
  _Atomic uint64_t wall_ms;
  _Atomic uint64_t mono_ms;
};

static uint64_t sim_wall_ms(struct clock *c) {
  return ((struct sim_clock *)c)->wall_ms;
}

static uint64_t sim_mono_ns(struct clock *c) {
  return ((struct sim_clock *)c)->mono_ms * 1000000u;
}

static const struct clock_ops sim_ops = {sim_wall_ms, sim_mono_ns, clock_sim_advance};

struct clock *clock_sim_new(uint64_t wall_ms) {
  struct sim_clock *c = dom_calloc(1, sizeof *c);
  if (!c) return NULL;
  c->base.ops = &sim_ops;
  c->wall_ms = wall_ms;
  return &c->base;
}

void clock_sim_advance(struct clock *c, uint64_t ms) {
  assert(c);
  assert(c->ops == &sim_ops);
  struct sim_clock *sim = (struct sim_clock *)c;
  sim->wall_ms += ms;
  sim->mono_ms += ms;
}

void clock_sim_jump_wall(struct clock *c, int64_t ms) {
  assert(c);
  assert(c->ops == &sim_ops);
  struct sim_clock *sim = (struct sim_clock *)c;
  uint64_t back = ms < 0 ? 0 - (uint64_t)ms : 0;
  if (ms >= 0) {
    sim->wall_ms += (uint64_t)ms;
    return;
  }
  uint64_t now = sim->wall_ms;
  while (!atomic_compare_exchange_weak(&sim->wall_ms, &now, back > now ? 0 : now - back)) continue;
}

void clock_sim_free(struct clock *c) {
  if (!c) return;
  assert(c->ops == &sim_ops);
  dom_free(c);
}
