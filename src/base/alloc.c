#include "base/alloc.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_llong live;

/* The hook of dom_alloc_fail_after. */
static _Thread_local uint64_t allocations_left = UINT64_MAX;
static _Thread_local bool fail_once;

static bool hook_refuses(void) {
  if (allocations_left == UINT64_MAX) return false;
  if (allocations_left > 0) {
    allocations_left--;
    return false;
  }
  if (fail_once) allocations_left = UINT64_MAX;
  return true;
}

static void *count_live(void *p) {
  if (p) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
  return p;
}

void *dom_alloc(size_t size) {
  if (hook_refuses()) return NULL;
  /* malloc(0) may return NULL, which here means failure. */
  return count_live(malloc(size ? size : 1));
}

void *dom_calloc(size_t count, size_t size) {
  if (hook_refuses()) return NULL;
  size_t product = 0;
  /* calloc checks too, but sanitizers then end the process instead of returning NULL. */
  if (__builtin_mul_overflow(count, size, &product)) return NULL;
  return count_live(calloc(product ? product : 1, 1));
}

void *dom_realloc(void *p, size_t size) {
  if (hook_refuses()) return NULL;
  void *grown = realloc(p, size ? size : 1);
  return p ? grown : count_live(grown);
}

void dom_free(void *p) {
  if (!p) return;
  long long before = atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
  assert(before > 0); /* else something not ours was freed */
  free(p);
}

char *dom_strdup(const char *s) {
  assert(s);
  size_t size = strlen(s) + 1;
  char *copy = dom_alloc(size);
  if (copy) memcpy(copy, s, size);
  return copy;
}

void dom_alloc_fail_after(uint64_t after, int once) {
  assert(once == 0 || once == 1);
  allocations_left = after;
  fail_once = once != 0;
}

int64_t dom_alloc_live(void) {
  return atomic_load_explicit(&live, memory_order_relaxed);
}
