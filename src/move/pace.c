/* How fast a job goes: by its rate limit, and behind clients. docs/decisions/0036. */
#include <assert.h>

#include "move/move_internal.h"

enum {
  PACE_SLICE_MS = 100,   /* a stop is noticed this soon, however low the rate */
  PACE_YIELD_SHARE = 3,  /* pauses are so many times as long as the work before them, while clients are about:
                            a worker then takes a quarter of the time it could */
  PACE_YIELD_MS_MAX = 50 /* one pause: however long the work took, a job comes on */
};

/* When this thread last paused: a job's workers are threads, and the work of each is its own. */
static _Thread_local uint64_t worked_since_ns;

void pace_init(struct pace *p, uint64_t rate_bytes_s, const atomic_bool *cancel) {
  assert(cancel);
  *p = (struct pace){.rate_bytes_s = rate_bytes_s, .cancel = cancel};
  pthread_mutex_init(&p->lock, NULL);
}

void pace_done(struct pace *p) {
  pthread_mutex_destroy(&p->lock);
}

void pace_set_rate(struct pace *p, uint64_t rate_bytes_s) {
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->rate_bytes_s, rate_bytes_s);
  p->next_ns = 0;
  pthread_mutex_unlock(&p->lock);
}

/* When the first of these bytes may go; what follows waits for them all. */
static uint64_t pace_take(struct pace *p, uint64_t now, uint64_t bytes) {
  uint64_t rate = atomic_load(&p->rate_bytes_s);
  if (rate == 0) return now;
  pthread_mutex_lock(&p->lock);
  uint64_t start = p->next_ns > now ? p->next_ns : now;
  p->next_ns = start + (uint64_t)((double)bytes * 1e9 / (double)rate);
  pthread_mutex_unlock(&p->lock);
  assert(start >= now);
  return start;
}

bool pace_has_clients(struct mover *m) {
  return m->o.clients && m->o.clients(m->o.clients_arg) > 0;
}

void pace_begin(struct mover *m) {
  worked_since_ns = clock_mono_ns(m->o.clock);
}

void pace_yield(struct pace *p, struct mover *m) {
  uint64_t now = clock_mono_ns(m->o.clock);
  if (worked_since_ns && now > worked_since_ns && pace_has_clients(m)) {
    uint64_t pause_ms = (now - worked_since_ns) * PACE_YIELD_SHARE / 1000000;
    if (pause_ms > PACE_YIELD_MS_MAX) pause_ms = PACE_YIELD_MS_MAX;
    if (pause_ms) clock_sleep_ms(m->o.clock, pause_ms);
    uint64_t then = now;
    now = clock_mono_ns(m->o.clock);
    atomic_fetch_add(&p->yielded_ns, now - then);
  }
  worked_since_ns = now;
}

static bool pace_stops(const struct pace *p, struct mover *m) {
  return atomic_load(&m->stopping) || atomic_load(p->cancel);
}

bool pace_wait(struct pace *p, struct mover *m, uint64_t bytes, bool urgent) {
  if (!p) return !atomic_load(&m->stopping);
  atomic_fetch_add(&p->bytes, bytes);
  if (urgent) return true;
  pace_yield(p, m);
  uint64_t rate = atomic_load(&p->rate_bytes_s), now = clock_mono_ns(m->o.clock);
  uint64_t start = pace_take(p, now, bytes);
  while (now < start && !pace_stops(p, m)) {
    uint64_t left_ms = (start - now + 999999) / 1000000;
    clock_sleep_ms(m->o.clock, left_ms < PACE_SLICE_MS ? left_ms : PACE_SLICE_MS);
    now = clock_mono_ns(m->o.clock);
    if (atomic_load(&p->rate_bytes_s) == rate) continue;
    rate = atomic_load(&p->rate_bytes_s); /* set meanwhile: these bytes wait by the new one */
    start = pace_take(p, now, bytes);
  }
  pace_begin(m); /* waiting for the rate was no work */
  return !pace_stops(p, m);
}
