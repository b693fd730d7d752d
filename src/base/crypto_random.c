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

void random_bytes(void *out, size_t len) {
  assert(out || len == 0);
  if (len == 0) return;
  int unused = SOURCE_UNUSED;
  (void)atomic_compare_exchange_strong(&source, &unused, SOURCE_SYSTEM);
  if (atomic_load(&source) == SOURCE_SIMULATED) {
    simulated_bytes(out, len);
    return;
  }
  uint8_t *at = out;
  while (len > 0) {
    int step = len > INT_MAX ? INT_MAX : (int)len;
    if (RAND_priv_bytes(at, step) != 1) crypto_die("no entropy");
    at += step;
    len -= (size_t)step;
  }
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
