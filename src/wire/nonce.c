#include "wire/nonce.h"

#include <assert.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/codec.h"

enum { ENTRY_SIZE = WIRE_ENVELOPE_NONCE_SIZE + 4, FIRST_CAPACITY = 1024 };

/* Open addressing, at most half full. An entry: nonce, region, a byte that says it is taken. */
struct entry {
  uint8_t bytes[ENTRY_SIZE];
};

struct table {
  struct entry *entries;
  size_t capacity; /* a power of two */
  size_t count;
};

/* Two generations: what was added in the present window, and in the one before. So an entry lives
 * for one window at least and two at most. */
struct nonces {
  pthread_mutex_t lock;
  struct table now, before;
  uint64_t window_ms, begun_ms, latest_ms;
  size_t max;
};

static bool table_init(struct table *t, size_t capacity) {
  assert((capacity & (capacity - 1)) == 0);
  *t = (struct table){.entries = dom_calloc(capacity, sizeof(struct entry)), .capacity = capacity};
  return t->entries != NULL;
}

struct nonces *nonces_new(uint64_t window_ms, size_t max, uint64_t now_ms) {
  assert(window_ms > 0 && max > 0);
  struct nonces *n = dom_calloc(1, sizeof *n);
  if (n == NULL) return NULL;
  n->window_ms = window_ms;
  n->begun_ms = n->latest_ms = now_ms;
  n->max = max;
  int rc = pthread_mutex_init(&n->lock, NULL);
  assert(rc == 0);
  (void)rc;
  if (table_init(&n->now, FIRST_CAPACITY) && table_init(&n->before, FIRST_CAPACITY)) return n;
  nonces_free(n);
  return NULL;
}

void nonces_free(struct nonces *n) {
  assert(n == NULL || n->max > 0);
  if (n == NULL) return;
  dom_free(n->now.entries);
  dom_free(n->before.entries);
  pthread_mutex_destroy(&n->lock);
  dom_free(n);
}

/* The place of an entry, or the free one where it would go. */
static struct entry *place(const struct table *t, const struct entry *e) {
  assert(t->count < t->capacity);
  size_t at = load_u32le(e->bytes) & (t->capacity - 1); /* nonces are random: no hash needed */
  while (t->entries[at].bytes[ENTRY_SIZE - 1] != 0 && memcmp(&t->entries[at], e, sizeof *e) != 0)
    at = (at + 1) & (t->capacity - 1);
  return &t->entries[at];
}

static bool has(const struct table *t, const struct entry *e) {
  assert(e->bytes[ENTRY_SIZE - 1] == 1);
  return place(t, e)->bytes[ENTRY_SIZE - 1] != 0;
}

static bool grow(struct table *t) {
  struct table larger;
  assert(t->count * 2 >= t->capacity);
  if (!table_init(&larger, t->capacity * 2)) return false;
  for (size_t i = 0; i < t->capacity; i++) {
    if (t->entries[i].bytes[ENTRY_SIZE - 1] == 0) continue;
    *place(&larger, &t->entries[i]) = t->entries[i];
    larger.count++;
  }
  dom_free(t->entries);
  *t = larger;
  return true;
}

static void turn(struct nonces *n, uint64_t now_ms) {
  assert(now_ms >= n->begun_ms);
  if (now_ms - n->begun_ms < n->window_ms) return;
  struct table old = n->before;
  n->before = n->now;
  memset(old.entries, 0, old.capacity * sizeof(struct entry));
  old.count = 0;
  n->now = old;
  n->begun_ms = now_ms;
}

uint64_t nonces_now(struct nonces *n, uint64_t wall_ms) {
  pthread_mutex_lock(&n->lock);
  if (wall_ms > n->latest_ms) n->latest_ms = wall_ms;
  uint64_t now = n->latest_ms;
  pthread_mutex_unlock(&n->lock);
  assert(now >= wall_ms);
  return now;
}

static enum dom_code add_locked(struct nonces *n, const struct entry *e) {
  if (has(&n->now, e) || has(&n->before, e)) return DOM_EXISTS;
  if (n->now.count >= n->max) return DOM_BUSY;
  if (n->now.count * 2 >= n->now.capacity && !grow(&n->now)) return DOM_NO_MEMORY;
  *place(&n->now, e) = *e;
  n->now.count++;
  assert(n->now.count < n->now.capacity);
  return DOM_OK;
}

enum dom_code nonces_add(struct nonces *n, uint16_t from, const uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE],
                         uint64_t now_ms) {
  struct entry e = {.bytes[ENTRY_SIZE - 1] = 1};
  memcpy(e.bytes, nonce, WIRE_ENVELOPE_NONCE_SIZE);
  e.bytes[WIRE_ENVELOPE_NONCE_SIZE] = (uint8_t)from;
  e.bytes[WIRE_ENVELOPE_NONCE_SIZE + 1] = (uint8_t)(from >> 8);
  pthread_mutex_lock(&n->lock);
  assert(n->begun_ms <= n->latest_ms);
  if (now_ms > n->latest_ms) n->latest_ms = now_ms;
  turn(n, n->latest_ms);
  enum dom_code c = add_locked(n, &e);
  pthread_mutex_unlock(&n->lock);
  return c;
}
