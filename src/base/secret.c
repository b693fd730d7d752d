/* Memory for keys, see crypto.h. Pages are locked, so a page a key would reach the usual lock
 * limit (8 MiB) with 2,048 keys; cells of small secrets share slabs instead. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/crypto.h"

enum {
  CELL_SIZE = 64,        /* two keys: a data key with its index key, or an Ed25519 pair */
  SLAB_SIZE = 16 * 1024, /* 256 cells */
  SLAB_CELLS = SLAB_SIZE / CELL_SIZE
};

/* Slabs are few and live as long as the process. */
struct slab {
  struct slab *next;
  uint8_t *memory;
  bool used[SLAB_CELLS];
  size_t used_count;
};

static pthread_mutex_t slabs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *slabs;
static atomic_uint_fast64_t unlocked;

static void *pages_alloc(size_t len) {
  assert(len > 0);
  void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  if (mlock(p, len) != 0) atomic_fetch_add(&unlocked, 1);
  /* Best effort beside RLIMIT_CORE 0, which the daemon sets. */
  (void)madvise(p, len, MADV_DONTDUMP);
  return p;
}

static struct slab *slab_new(void) {
  struct slab *s = dom_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->memory = pages_alloc(SLAB_SIZE);
  if (!s->memory) {
    dom_free(s);
    return NULL;
  }
  s->next = slabs;
  slabs = s;
  return s;
}

static void *cell_take(struct slab *s) {
  assert(s->used_count < SLAB_CELLS);
  size_t i = 0;
  while (s->used[i]) i++;
  s->used[i] = true;
  s->used_count++;
  return s->memory + i * CELL_SIZE;
}

/* Under slabs_lock. */
static void *cell_alloc(void) {
  struct slab *s = slabs;
  assert(!s || s->memory);
  while (s && s->used_count == SLAB_CELLS) s = s->next;
  if (!s) s = slab_new();
  return s ? cell_take(s) : NULL;
}

/* Under slabs_lock. */
static void cell_free(uint8_t *p) {
  struct slab *s = slabs;
  while (s && (p < s->memory || p >= s->memory + SLAB_SIZE)) s = s->next;
  assert(s); /* else p never came from secret_alloc, or with another length */
  size_t i = (size_t)(p - s->memory) / CELL_SIZE;
  assert(s->used[i]);
  assert((size_t)(p - s->memory) % CELL_SIZE == 0);
  s->used[i] = false;
  s->used_count--;
}

void *secret_alloc(size_t len) {
  assert(len > 0);
  if (len > CELL_SIZE) return pages_alloc(len);
  (void)pthread_mutex_lock(&slabs_lock);
  void *p = cell_alloc();
  (void)pthread_mutex_unlock(&slabs_lock);
  return p;
}

void secret_free(void *p, size_t len) {
  if (!p) return;
  assert(len > 0);
  wipe(p, len);
  if (len > CELL_SIZE) {
    (void)munmap(p, len);
    return;
  }
  (void)pthread_mutex_lock(&slabs_lock);
  cell_free(p);
  (void)pthread_mutex_unlock(&slabs_lock);
}

uint64_t secret_unlocked(void) {
  return atomic_load(&unlocked);
}
