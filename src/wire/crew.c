#include "wire/crew.h"

#include <assert.h>
#include <time.h>
#include <unistd.h>

enum {
  TICK_NS = 1000000,      /* how soon a blocked watch is noticed: below a disk's sync */
  CALM_TICKS = 100,       /* then the mate goes to sleep again */
  BUSY_SHARE_PERCENT = 25 /* of the processors: more means computing, not blocking */
};

static unsigned processors(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > 1024 ? 1024 : (unsigned)n;
}

void crew_init(struct crew *c, unsigned workers) {
  assert(c != NULL && workers > 0);
  unsigned cores = processors();
  *c = (struct crew){.cores = cores, .watch_max = cores > 2 ? cores : 2, .wide_max = workers};
  if (c->watch_max > workers) c->watch_max = workers;
  int rc = pthread_mutex_init(&c->lock, NULL);
  rc |= pthread_cond_init(&c->stand_in, NULL);
  rc |= pthread_cond_init(&c->wake_mate, NULL);
  assert(rc == 0);
  (void)rc;
}

void crew_done(struct crew *c) {
  assert(!c->mate_started || atomic_load(&c->dismissed));
  pthread_cond_destroy(&c->wake_mate);
  pthread_cond_destroy(&c->stand_in);
  pthread_mutex_destroy(&c->lock);
}

/* Takes a place on the watch if it has less than `max`. */
static bool take_place(struct crew *c, unsigned max) {
  unsigned n = atomic_load(&c->on_watch);
  while (n < max)
    if (atomic_compare_exchange_weak(&c->on_watch, &n, n + 1)) return true;
  assert(n <= c->wide_max);
  return false;
}

bool crew_join(struct crew *c, bool has_blocked) {
  assert(c->watch_max <= c->wide_max);
  atomic_fetch_add_explicit(&c->turns, 1, memory_order_relaxed);
  if (atomic_load(&c->dismissed)) return false;
  if (take_place(c, has_blocked ? c->wide_max : c->watch_max)) return true;
  pthread_mutex_lock(&c->lock);
  atomic_fetch_add(&c->asleep, 1);
  while (!atomic_load(&c->dismissed) && !take_place(c, c->watch_max))
    pthread_cond_wait(&c->stand_in, &c->lock);
  atomic_fetch_sub(&c->asleep, 1);
  bool dismissed = atomic_load(&c->dismissed);
  pthread_mutex_unlock(&c->lock);
  return !dismissed;
}

static void call_stand_ins(struct crew *c, unsigned count) {
  assert(count > 0);
  pthread_mutex_lock(&c->lock);
  for (unsigned i = 0; i < count; i++) pthread_cond_signal(&c->stand_in);
  pthread_mutex_unlock(&c->lock);
}

static void rouse_mate(struct crew *c) {
  bool down = false;
  if (!atomic_compare_exchange_strong(&c->looked_after, &down, true)) return;
  assert(!down);
  pthread_mutex_lock(&c->lock);
  pthread_cond_signal(&c->wake_mate);
  pthread_mutex_unlock(&c->lock);
}

void crew_leave(struct crew *c) {
  unsigned before = atomic_fetch_sub(&c->on_watch, 1);
  assert(before > 0);
  if (before == 1 && !atomic_load(&c->looked_after)) rouse_mate(c);
}

void crew_expect_block(struct crew *c) {
  assert(c->watch_max > 0);
  if (atomic_load(&c->on_watch) == 0 && atomic_load(&c->asleep) > 0) call_stand_ins(c, 1);
}

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  int rc = clock_gettime(id, &t);
  assert(rc == 0);
  (void)rc;
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What the mate saw at its last look. */
struct look {
  uint64_t turns, wall_ns, used_ns;
};

static struct look look_now(const struct crew *c) {
  assert(c != NULL);
  return (struct look){.turns = atomic_load(&c->turns),
                       .wall_ns = clock_ns(CLOCK_MONOTONIC),
                       .used_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

/* Nobody came back since the last look, or they came back seldom and hardly
 * computed. */
static bool is_blocked(const struct crew *c, const struct look *before, const struct look *now) {
  assert(now->wall_ns >= before->wall_ns);
  if (now->turns == before->turns) return true;
  uint64_t could = (now->wall_ns - before->wall_ns) * c->cores;
  return (now->used_ns - before->used_ns) * 100 < could * BUSY_SHARE_PERCENT;
}

/* Looks until the watch was never empty for a while. */
static void look_after(struct crew *c) {
  struct look before = look_now(c);
  for (unsigned calm = 0; calm < CALM_TICKS && !atomic_load(&c->dismissed); calm++) {
    struct timespec tick = {.tv_nsec = TICK_NS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
    struct look now = look_now(c);
    if (atomic_load(&c->on_watch) == 0) {
      calm = 0;
      if (atomic_load(&c->asleep) > 0 && is_blocked(c, &before, &now)) call_stand_ins(c, c->watch_max);
    }
    before = now;
  }
  assert(c->watch_max > 0);
}

static void *mate_main(void *arg) {
  struct crew *c = arg;
  while (!atomic_load(&c->dismissed)) {
    pthread_mutex_lock(&c->lock);
    while (!atomic_load(&c->looked_after) && !atomic_load(&c->dismissed))
      pthread_cond_wait(&c->wake_mate, &c->lock);
    pthread_mutex_unlock(&c->lock);
    look_after(c);
    atomic_store(&c->looked_after, false);
    /* The watch may have emptied just before: then nobody else would rouse us.
     */
    if (atomic_load(&c->on_watch) == 0) atomic_store(&c->looked_after, true);
  }
  return NULL;
}

bool crew_start(struct crew *c) {
  assert(!c->mate_started);
  c->mate_started = pthread_create(&c->mate, NULL, mate_main, c) == 0;
  return c->mate_started;
}

void crew_dismiss(struct crew *c) {
  assert(c != NULL);
  pthread_mutex_lock(&c->lock);
  atomic_store(&c->dismissed, true);
  pthread_cond_broadcast(&c->stand_in);
  pthread_cond_broadcast(&c->wake_mate);
  pthread_mutex_unlock(&c->lock);
  if (c->mate_started) pthread_join(c->mate, NULL);
}
