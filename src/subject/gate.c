/* The gate lives in memory only: it keeps writers from consuming a body that the guards would refuse a
 * moment later. Correctness rests on the guards; a restart opens every gate and loses nothing. */
#include <assert.h>
#include <errno.h>
#include <time.h>

#include "subject/subject_internal.h"

enum { GATE_SHARDS = 64 }; /* a writer takes one shard's lock for nanoseconds, twice a request */

struct gate_entry {
  uint8_t token[TOKEN_SIZE];
  uint32_t inside;  /* writers that have entered and not left */
  uint32_t waiting; /* writers held outside */
  uint32_t slow_ms; /* each writer waits so long before it comes in; 0: none does */
  bool closed;
  struct gate_entry *next;
};

struct gate_shard {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct gate_entry *entries; /* only subjects with a writer or a closed gate: short */
};

struct gate_table {
  struct gate_shard shard[GATE_SHARDS];
};

struct gate_table *gate_table_new(void) {
  struct gate_table *g = dom_calloc(1, sizeof *g);
  if (!g) return NULL;
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  for (int i = 0; i < GATE_SHARDS; i++) {
    pthread_mutex_init(&g->shard[i].lock, NULL);
    pthread_cond_init(&g->shard[i].changed, &attr);
  }
  pthread_condattr_destroy(&attr);
  return g;
}

void gate_table_free(struct gate_table *g) {
  if (!g) return;
  for (int i = 0; i < GATE_SHARDS; i++) {
    while (g->shard[i].entries) {
      struct gate_entry *e = g->shard[i].entries;
      assert(e->inside == 0 && e->waiting == 0);
      g->shard[i].entries = e->next;
      dom_free(e);
    }
    pthread_cond_destroy(&g->shard[i].changed);
    pthread_mutex_destroy(&g->shard[i].lock);
  }
  dom_free(g);
}

static struct gate_shard *shard_of(struct gate_table *g, const uint8_t token[TOKEN_SIZE]) {
  return &g->shard[token[0] % GATE_SHARDS];
}

/* The entry's link, or the list's end. */
static struct gate_entry **entry_link(struct gate_shard *sh, const uint8_t token[TOKEN_SIZE]) {
  struct gate_entry **link = &sh->entries;
  while (*link && memcmp((*link)->token, token, TOKEN_SIZE) != 0) link = &(*link)->next;
  return link;
}

/* NULL without memory. */
static struct gate_entry *entry_make(struct gate_shard *sh, const uint8_t token[TOKEN_SIZE]) {
  struct gate_entry **link = entry_link(sh, token);
  struct gate_entry *e = *link;
  if (e) return e;
  e = dom_calloc(1, sizeof *e);
  if (!e) return NULL;
  memcpy(e->token, token, TOKEN_SIZE);
  *link = e;
  return e;
}

static void entry_drop_if_idle(struct gate_shard *sh, const uint8_t token[TOKEN_SIZE]) {
  struct gate_entry **link = entry_link(sh, token);
  struct gate_entry *e = *link;
  if (!e || e->closed || e->slow_ms || e->inside || e->waiting) return;
  *link = e->next;
  dom_free(e);
}

static struct timespec deadline_after(uint32_t ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000;
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  assert(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
  return t;
}

/* A slow gate delays its writers, and never so long that they would be turned away. */
static void wait_slowly(struct gate_shard *sh, struct gate_entry *e, uint32_t hold_ms) {
  if (e->slow_ms == 0 || e->closed) return;
  struct timespec until = deadline_after(e->slow_ms < hold_ms ? e->slow_ms : hold_ms);
  e->waiting++;
  int rc = 0;
  while (rc != ETIMEDOUT && e->slow_ms && !e->closed)
    rc = pthread_cond_timedwait(&sh->changed, &sh->lock, &until);
  e->waiting--;
}

enum subject_gate subject_gate_enter(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t hold_ms) {
  assert(s && s->gate);
  struct gate_shard *sh = shard_of(s->gate, token);
  struct timespec until = deadline_after(hold_ms);
  enum subject_gate result = SUBJECT_GATE_OPEN;
  pthread_mutex_lock(&sh->lock);
  struct gate_entry *e = entry_make(sh, token);
  if (!e) result = SUBJECT_GATE_TIMEOUT; /* no memory: the client may come again */
  if (e) wait_slowly(sh, e, hold_ms);
  while (e && e->closed && result != SUBJECT_GATE_TIMEOUT) {
    e->waiting++;
    int rc = pthread_cond_timedwait(&sh->changed, &sh->lock, &until);
    e->waiting--;
    result = rc == ETIMEDOUT && e->closed ? SUBJECT_GATE_TIMEOUT : SUBJECT_GATE_WAITED;
  }
  assert(!e || result == SUBJECT_GATE_TIMEOUT || !e->closed);
  if (e && result != SUBJECT_GATE_TIMEOUT)
    e->inside++;
  else
    entry_drop_if_idle(sh, token);
  pthread_mutex_unlock(&sh->lock);
  return result;
}

void subject_gate_leave(struct subjects *s, const uint8_t token[TOKEN_SIZE]) {
  struct gate_shard *sh = shard_of(s->gate, token);
  pthread_mutex_lock(&sh->lock);
  struct gate_entry *e = *entry_link(sh, token);
  assert(e && e->inside > 0);
  if (--e->inside == 0 && e->closed) pthread_cond_broadcast(&sh->changed);
  entry_drop_if_idle(sh, token);
  pthread_mutex_unlock(&sh->lock);
}

void subject_gate_slow(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t delay_ms) {
  struct gate_shard *sh = shard_of(s->gate, token);
  assert(delay_ms > 0);
  pthread_mutex_lock(&sh->lock);
  struct gate_entry *e = entry_make(sh, token); /* without memory nobody is slowed: the fence comes anyway */
  if (e) e->slow_ms = delay_ms;
  pthread_mutex_unlock(&sh->lock);
}

bool subject_gate_close(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t drain_ms) {
  struct gate_shard *sh = shard_of(s->gate, token);
  struct timespec until = deadline_after(drain_ms);
  pthread_mutex_lock(&sh->lock);
  struct gate_entry *e = entry_make(sh, token);
  bool drained = false;
  if (e) {
    e->closed = true;
    int rc = 0;
    while (e->inside > 0 && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&sh->changed, &sh->lock, &until);
    drained = e->inside == 0;
  }
  pthread_mutex_unlock(&sh->lock);
  return drained;
}

void subject_gate_open(struct subjects *s, const uint8_t token[TOKEN_SIZE]) {
  struct gate_shard *sh = shard_of(s->gate, token);
  pthread_mutex_lock(&sh->lock);
  struct gate_entry *e = *entry_link(sh, token);
  if (e) {
    e->closed = false;
    e->slow_ms = 0;
    pthread_cond_broadcast(&sh->changed);
    entry_drop_if_idle(sh, token);
  }
  pthread_mutex_unlock(&sh->lock);
}
