#include "auth/keycache.h"

#include <assert.h>
#include <pthread.h>

#include "auth/canon.h"
#include "base/alloc.h"

struct row {
  char access[AUTH_ACCESS_KEY_BYTES_MAX + 1]; /* empty: free */
  char secret[AUTH_SECRET_BYTES_MAX + 1];
  char date[8];
  uint8_t region[AUTH_REGION_BYTES_MAX];
  size_t region_len;
  uint8_t key[KEY_SIZE];
};

struct keycache {
  pthread_mutex_t lock;
  struct row *rows;
};

struct keycache *keycache_new(void) {
  struct keycache *cache = dom_calloc(1, sizeof *cache);
  if (cache == NULL) return NULL;
  cache->rows = secret_alloc(KEYCACHE_ROWS * sizeof *cache->rows);
  if (cache->rows == NULL) {
    dom_free(cache);
    return NULL;
  }
  memset(cache->rows, 0, KEYCACHE_ROWS * sizeof *cache->rows);
  int failed = pthread_mutex_init(&cache->lock, NULL);
  assert(failed == 0);
  return cache;
}

void keycache_free(struct keycache *cache) {
  if (cache == NULL) return;
  secret_free(cache->rows, KEYCACHE_ROWS * sizeof *cache->rows);
  int failed = pthread_mutex_destroy(&cache->lock);
  assert(failed == 0);
  dom_free(cache);
}

/* FNV-1a: spreads rows, guards nothing. */
static uint32_t fnv(uint32_t hash, struct slice s) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++) hash = (hash ^ s.data[i]) * 16777619u;
  return hash;
}

static size_t row_place(struct slice access, struct slice date, struct slice region) {
  uint32_t hash = fnv(fnv(fnv(2166136261u, access), date), region);
  assert(access.len > 0);
  return hash % KEYCACHE_ROWS;
}

static bool row_fits(const struct row *row, const struct auth_key *key, struct slice date,
                     struct slice region) {
  assert(date.len == sizeof row->date);
  return slice_equal(slice_str(row->access), slice_str(key->access)) &&
         slice_equal(slice_of(row->date, sizeof row->date), date) &&
         slice_equal(slice_of(row->region, row->region_len), region) &&
         slice_equal_secret(slice_str(row->secret), slice_str(key->secret));
}

static void row_set(struct row *row, const struct auth_key *key, struct slice date, struct slice region,
                    const uint8_t signing_key[KEY_SIZE]) {
  assert(date.len == sizeof row->date && region.len <= sizeof row->region);
  memcpy(row->access, key->access, sizeof row->access);
  memcpy(row->secret, key->secret, sizeof row->secret);
  memcpy(row->date, date.data, date.len);
  if (region.len > 0) memcpy(row->region, region.data, region.len);
  row->region_len = region.len;
  memcpy(row->key, signing_key, KEY_SIZE);
}

void keycache_get(struct keycache *cache, const struct auth_key *key, struct slice date, struct slice region,
                  uint8_t out_key[KEY_SIZE]) {
  assert(cache != NULL && key != NULL && key->access[0] != '\0');
  struct row *row = &cache->rows[row_place(slice_str(key->access), date, region)];
  pthread_mutex_lock(&cache->lock);
  bool hit = row_fits(row, key, date, region);
  if (hit) memcpy(out_key, row->key, KEY_SIZE);
  pthread_mutex_unlock(&cache->lock);
  if (hit) return;

  canon_signing_key(slice_str(key->secret), date, region, out_key);
  pthread_mutex_lock(&cache->lock);
  row_set(row, key, date, region, out_key);
  pthread_mutex_unlock(&cache->lock);
}
