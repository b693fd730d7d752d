#include "store/local/row_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/crypto.h"

struct kept {
  uint64_t hash, seen;
  uint16_t asked_len, value_len;
  uint8_t kind;
  bool used, found;
  uint8_t bytes[ROW_CACHE_BYTES]; /* what was asked for; of NEWEST its tail; the value */
};

struct row_cache {
  pthread_mutex_t lock[ROW_CACHE_LOCKS];
  _Atomic uint64_t changed_all;
  _Atomic uint64_t changed[ROW_CACHE_MARKS];
  struct kept kept[ROW_CACHE_ROWS];
};

static const uint64_t FNV_BASIS = 0xcbf29ce484222325u, FNV_PRIME = 0x100000001b3u;

static uint64_t hash_more(uint64_t h, const uint8_t *p, size_t len) {
  for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * FNV_PRIME;
  return h;
}

static uint64_t hash_end(uint64_t h) {
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  return h ^ (h >> 29);
}

enum dom_code row_cache_new(struct row_cache **out, struct dom_err *err) {
  struct row_cache *c = dom_calloc(1, sizeof *c);
  if (!c) return dom_fail(err, DOM_NO_MEMORY, "store/index: open", "cache of rows");
  for (int i = 0; i < ROW_CACHE_LOCKS; i++) pthread_mutex_init(&c->lock[i], NULL);
  *out = c;
  return DOM_OK;
}

void row_cache_free(struct row_cache *c) {
  if (!c) return;
  for (int i = 0; i < ROW_CACHE_LOCKS; i++) pthread_mutex_destroy(&c->lock[i]);
  dom_free(c);
}

/* ---- marks ---- */

static void mark(struct row_cache *c, uint64_t hash, uint64_t write) {
  _Atomic uint64_t *at = &c->changed[hash % ROW_CACHE_MARKS];
  assert(atomic_load_explicit(at, memory_order_relaxed) <= write);
  atomic_store_explicit(at, write, memory_order_release);
}

void row_cache_mark(struct row_cache *c, struct slice key, uint64_t write) {
  assert(key.len > 0);
  size_t cell = key.len > ROW_CACHE_TAIL ? key.len - ROW_CACHE_TAIL : 0;
  uint64_t h = hash_more(FNV_BASIS, key.data, cell);
  if (cell > 0) mark(c, hash_end(h), write); /* as a cell's first row */
  mark(c, hash_end(hash_more(h, key.data + cell, key.len - cell)), write);
}

void row_cache_mark_all(struct row_cache *c, uint64_t write) {
  assert(atomic_load(&c->changed_all) <= write);
  atomic_store(&c->changed_all, write);
}

void row_cache_wipe(struct row_cache *c) {
  for (size_t i = 0; i < ROW_CACHE_ROWS; i++) {
    struct kept *k = &c->kept[i];
    pthread_mutex_t *lock = &c->lock[i % ROW_CACHE_LOCKS];
    pthread_mutex_lock(lock);
    if (k->used) wipe(k, sizeof *k);
    pthread_mutex_unlock(lock);
  }
}

/* ---- reading ---- */

static bool unchanged_since(struct row_cache *c, uint64_t hash, uint64_t seen) {
  return atomic_load_explicit(&c->changed[hash % ROW_CACHE_MARKS], memory_order_acquire) <= seen &&
         atomic_load(&c->changed_all) <= seen;
}

static struct kept *place_of(struct row_cache *c, enum row_cache_kind kind, uint64_t hash,
                             pthread_mutex_t **out_lock) {
  size_t at = (size_t)((hash >> 20) + (kind == ROW_CACHE_NEWEST)) % ROW_CACHE_ROWS;
  *out_lock = &c->lock[at % ROW_CACHE_LOCKS];
  return &c->kept[at];
}

static bool kept_is(const struct kept *k, enum row_cache_kind kind, struct slice asked, uint64_t hash) {
  return k->used && k->hash == hash && k->kind == kind && k->asked_len == asked.len &&
         memcmp(k->bytes, asked.data, asked.len) == 0;
}

static bool kept_copy(const struct kept *k, struct buf *key, struct buf *value) {
  size_t key_len = k->asked_len + (k->kind == ROW_CACHE_NEWEST ? (size_t)ROW_CACHE_TAIL : 0);
  buf_reset(value);
  if (k->value_len) buf_append(value, k->bytes + key_len, k->value_len);
  if (k->kind != ROW_CACHE_NEWEST) return !value->failed;
  assert(key != NULL);
  buf_reset(key);
  buf_append(key, k->bytes, key_len);
  return !value->failed && !key->failed;
}

enum row_cache_answer row_cache_get(struct row_cache *c, enum row_cache_kind kind, struct slice asked,
                                    uint64_t seen, struct buf *key, struct buf *value) {
  pthread_mutex_t *lock = NULL;
  enum row_cache_answer answer = ROW_CACHE_UNKNOWN;
  assert(asked.len > 0 && value != NULL);
  uint64_t hash = hash_end(hash_more(FNV_BASIS, asked.data, asked.len));
  struct kept *k = place_of(c, kind, hash, &lock);
  pthread_mutex_lock(lock);
  if (kept_is(k, kind, asked, hash) && unchanged_since(c, hash, k->seen < seen ? k->seen : seen)) {
    answer = !k->found ? ROW_CACHE_ABSENT : kept_copy(k, key, value) ? ROW_CACHE_FOUND : ROW_CACHE_UNKNOWN;
  }
  pthread_mutex_unlock(lock);
  return answer;
}

void row_cache_put(struct row_cache *c, enum row_cache_kind kind, struct slice asked, uint64_t seen,
                   bool found, struct slice key, struct slice value) {
  pthread_mutex_t *lock = NULL;
  assert(!found || slice_starts_with(key, asked));
  size_t key_len = found ? key.len : asked.len;
  size_t fixed = asked.len + (kind == ROW_CACHE_NEWEST ? (size_t)ROW_CACHE_TAIL : 0);
  if (key_len + (found ? value.len : 0) > ROW_CACHE_BYTES || (found && key_len != fixed)) return;
  uint64_t hash = hash_end(hash_more(FNV_BASIS, asked.data, asked.len));
  if (!unchanged_since(c, hash, seen)) return; /* it would not be believed */
  struct kept *k = place_of(c, kind, hash, &lock);
  pthread_mutex_lock(lock);
  k->hash = hash;
  k->seen = seen;
  k->kind = (uint8_t)kind;
  k->used = true;
  k->found = found;
  k->asked_len = (uint16_t)asked.len;
  k->value_len = found ? (uint16_t)value.len : 0;
  memcpy(k->bytes, found ? key.data : asked.data, key_len);
  if (k->value_len) memcpy(k->bytes + key_len, value.data, value.len);
  pthread_mutex_unlock(lock);
}
