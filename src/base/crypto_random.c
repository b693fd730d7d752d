/* Random bytes and wiping of crypto.h. */
#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/crypto_internal.h"

enum source { SOURCE_UNUSED, SOURCE_SYSTEM, SOURCE_SIMULATED };
static atomic_int source = SOURCE_UNUSED;

/* The simulated stream: AES-CTR under a key made of the seed. */
static pthread_mutex_t simulated_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t simulated_key[KEY_SIZE];
static uint64_t simulated_offset;

static void simulated_bytes(uint8_t *out, size_t len) {
  assert(out);
  (void)pthread_mutex_lock(&simulated_lock);
  memset(out, 0, len);
  if (ctr_xor(simulated_key, simulated_offset, slice_of(out, len), out) != DOM_OK)
    crypto_die("simulated random");
  simulated_offset += len;
  (void)pthread_mutex_unlock(&simulated_lock);
}

static void system_bytes(uint8_t *at, size_t len) {
  assert(at);
  while (len > 0) {
    int step = len > INT_MAX ? INT_MAX : (int)len;
    if (RAND_priv_bytes(at, step) != 1) crypto_die("no entropy");
    at += step;
    len -= (size_t)step;
  }
}

/* Ids, nonces and keys are drawn ahead, many with one call of the generator: each call costs it a lock that
 * all threads share, and microseconds. Who could read the stock could read the generator's state beside it;
 * what was handed out is cleared. */
enum { STOCK_BYTES = 1024, STOCK_ITEM_MAX = 32 };

struct stock {
  uint8_t bytes[STOCK_BYTES];
  size_t left;
  unsigned fork;
};
static _Thread_local struct stock stock;

/* A child must not hand out what its parent will. */
static atomic_uint forks;
static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

static void fork_note(void) {
  atomic_fetch_add(&forks, 1);
}

static void forks_watch(void) {
  if (pthread_atfork(NULL, NULL, fork_note) != 0) crypto_die("no memory to watch for forks");
}

static void stock_take(uint8_t *out, size_t len) {
  assert(len <= STOCK_ITEM_MAX && stock.left <= STOCK_BYTES);
  unsigned now = atomic_load_explicit(&forks, memory_order_relaxed);
  if (stock.left < len || stock.fork != now) {
    (void)pthread_once(&forks_watched, forks_watch);
    system_bytes(stock.bytes, STOCK_BYTES);
    stock.left = STOCK_BYTES;
    stock.fork = now;
  }
  stock.left -= len;
  memcpy(out, stock.bytes + stock.left, len);
  memset(stock.bytes + stock.left, 0, len);
}

void random_bytes(void *out, size_t len) {
  assert(out || len == 0);
  if (len == 0) return;
  int unused = SOURCE_UNUSED;
  (void)atomic_compare_exchange_strong(&source, &unused, SOURCE_SYSTEM);
  if (atomic_load(&source) == SOURCE_SIMULATED)
    simulated_bytes(out, len);
  else if (len <= STOCK_ITEM_MAX)
    stock_take(out, len);
  else
    system_bytes(out, len);
}

void random_seed_for_simulation(uint64_t seed) {
  uint8_t bytes[8];
  store_u64le(bytes, seed);
  sha256(bytes, sizeof bytes, simulated_key);
  int expected = SOURCE_UNUSED;
  bool first = atomic_compare_exchange_strong(&source, &expected, SOURCE_SIMULATED);
  assert(first); /* some bytes were handed out already: the run would not be repeatable */
  (void)first;
}

void wipe(void *p, size_t len) {
  assert(p || len == 0);
  if (len > 0) OPENSSL_cleanse(p, len);
}
