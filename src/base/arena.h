/* Arena: request memory, freed at once, capped. */
#ifndef DOMICILE_BASE_ARENA_H
#define DOMICILE_BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

struct arena;

/* A new arena that will hand out at most `cap_bytes` in all; NULL without memory. */
struct arena *arena_new(size_t cap_bytes);
void arena_free(struct arena *a); /* NULL is allowed */
/* Frees all it handed out, keeps its first block for reuse. */
void arena_reset(struct arena *a);
/* 16-byte aligned, not cleared; NULL past the cap or without memory. */
void *arena_alloc(struct arena *a, size_t size);
/* A NUL-terminated copy; NULL as arena_alloc. */
char *arena_str(struct arena *a, struct slice s);
/* A copied slice; data NULL with len 0 on failure of a non-empty copy. */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
