#include "move/move_internal.h"

#include <assert.h>

enum { PACE_SLICE_MS = 100 }; /* a stop is noticed this soon, however low the rate */

void pace_init(struct pace *p, uint64_t rate_bytes_s, const atomic_bool *cancel) {
  assert(cancel);
  *p = (struct pace){.rate_bytes_s = rate_bytes_s, .cancel = cancel};
  pthread_mutex_init(&p->lock, NULL);
}

void pace_done(struct pace *p) {
  pthread_mutex_destroy(&p->lock);
}

/* When the first of these bytes may go; what follows waits for them all. */
static uint64_t pace_take(struct pace *p, uint64_t now, uint64_t bytes) {
  if (p->rate_bytes_s == 0) return now;
  pthread_mutex_lock(&p->lock);
  uint64_t start = p->next_ns > now ? p->next_ns : now;
  p->next_ns = start + (uint64_t)((double)bytes * 1e9 / (double)p->rate_bytes_s);
  pthread_mutex_unlock(&p->lock);
  assert(start >= now);
  return start;
}

bool pace_wait(struct pace *p, struct mover *m, uint64_t bytes, bool urgent) {
  if (!p) return !atomic_load(&m->stopping);
  atomic_fetch_add(&p->bytes, bytes);
  uint64_t now = clock_mono_ns(m->o.clock), start = pace_take(p, now, bytes);
  while (!urgent && now < start && !atomic_load(&m->stopping) && !atomic_load(p->cancel)) {
    uint64_t left_ms = (start - now + 999999) / 1000000;
    clock_sleep_ms(m->o.clock, left_ms < PACE_SLICE_MS ? left_ms : PACE_SLICE_MS);
    now = clock_mono_ns(m->o.clock);
  }
  return urgent || (!atomic_load(&m->stopping) && !atomic_load(p->cancel));
}
