#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>

#include "base/alloc.h"

enum {
  ARENA_ALIGN = 16,
  BLOCK_SIZE_MIN = 8192 /* the usual request (head, XML of a page's parameters) fits one block */
};

struct block {
  struct block *next; /* older */
  size_t size;        /* of bytes[] */
  alignas(ARENA_ALIGN) uint8_t bytes[];
};

struct arena {
  struct block *newest;
  size_t used;  /* of the newest block */
  size_t spent; /* handed out in all, with rounding */
  size_t cap_bytes;
};

struct arena *arena_new(size_t cap_bytes) {
  assert(cap_bytes > 0);
  struct arena *a = dom_calloc(1, sizeof *a);
  if (a) a->cap_bytes = cap_bytes;
  return a;
}

/* Frees all blocks newer than `keep` (NULL: all). */
static void free_blocks(struct arena *a, const struct block *keep) {
  while (a->newest != keep) {
    assert(a->newest);
    struct block *older = a->newest->next;
    dom_free(a->newest);
    a->newest = older;
  }
}

void arena_free(struct arena *a) {
  if (!a) return;
  assert(a->spent <= a->cap_bytes);
  free_blocks(a, NULL);
  dom_free(a);
}

void arena_reset(struct arena *a) {
  assert(a);
  const struct block *first = a->newest;
  while (first && first->next) first = first->next;
  free_blocks(a, first);
  a->used = 0;
  a->spent = 0;
}

static bool add_block(struct arena *a, size_t size) {
  assert(size % ARENA_ALIGN == 0);
  size_t block_size = size > BLOCK_SIZE_MIN ? size : BLOCK_SIZE_MIN;
  struct block *b = dom_alloc(sizeof *b + block_size);
  if (!b) return false;
  b->next = a->newest;
  b->size = block_size;
  a->newest = b;
  a->used = 0;
  return true;
}

void *arena_alloc(struct arena *a, size_t size) {
  assert(a);
  assert(a->spent <= a->cap_bytes);
  if (size > a->cap_bytes) return NULL; /* also keeps the rounding from wrapping */
  size_t rounded = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
  if (rounded > a->cap_bytes - a->spent) return NULL;
  if (!a->newest || rounded > a->newest->size - a->used) {
    if (!add_block(a, rounded)) return NULL;
  }
  void *p = a->newest->bytes + a->used;
  a->used += rounded;
  a->spent += rounded;
  return p;
}

char *arena_str(struct arena *a, struct slice s) {
  assert(s.data || s.len == 0);
  if (s.len == SIZE_MAX) return NULL;
  char *copy = arena_alloc(a, s.len + 1);
  if (!copy) return NULL;
  if (s.len > 0) memcpy(copy, s.data, s.len);
  copy[s.len] = 0;
  return copy;
}

struct slice arena_copy(struct arena *a, struct slice s) {
  assert(s.data || s.len == 0);
  if (s.len == 0) return slice_of(NULL, 0);
  void *copy = arena_alloc(a, s.len);
  if (!copy) return slice_of(NULL, 0);
  memcpy(copy, s.data, s.len);
  return slice_of(copy, s.len);
}
