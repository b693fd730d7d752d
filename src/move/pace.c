#include "move/move_internal.h"

#include <assert.h>

void pace_init(struct pace *p, uint64_t rate_bytes_s) {
  *p = (struct pace){.rate_bytes_s = rate_bytes_s};
  pthread_mutex_init(&p->lock, NULL);
}

void pace_done(struct pace *p) {
  pthread_mutex_destroy(&p->lock);
}

void pace_wait(struct pace *p, struct clock *clock, uint64_t bytes) {
  if (!p) return;
  atomic_fetch_add(&p->bytes, bytes);
  if (p->rate_bytes_s == 0) return;
  uint64_t now = clock_mono_ns(clock);
  pthread_mutex_lock(&p->lock);
  uint64_t start = p->next_ns > now ? p->next_ns : now;
  p->next_ns = start + (uint64_t)((double)bytes * 1e9 / (double)p->rate_bytes_s);
  pthread_mutex_unlock(&p->lock);
  assert(start >= now);
  if (start > now) clock_sleep_ms(clock, (start - now + 999999) / 1000000);
}
