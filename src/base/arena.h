/* Arena: request memory, freed at once, capped.
 *
 * The cap is what keeps one request from taking the memory of all others. Nothing is freed
 * singly; whatever an arena handed out lives until its reset or free.
 * Threads: an arena belongs to one at a time. */
#ifndef DOMICILE_BASE_ARENA_H
#define DOMICILE_BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

struct arena;

/* A new arena that will hand out at most `cap_bytes` (> 0) in all, counting each piece rounded
 * up to 16 bytes. Released with arena_free. Returns: NULL without memory. */
struct arena *arena_new(size_t cap_bytes);
/* Frees the arena and all it handed out; NULL is allowed. */
void arena_free(struct arena *a);
/* Frees all it handed out, keeps its first block for reuse; the whole cap is there again. */
void arena_reset(struct arena *a);
/* `size` bytes, 16-byte aligned, not cleared. Returns: NULL past the cap or without memory;
 * the arena is still usable then. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy with a NUL behind it; a NUL inside s is kept and shortens it for C's functions.
 * Returns: NULL as arena_alloc. */
char *arena_str(struct arena *a, struct slice s);
/* A copied slice. Returns: data NULL with len 0 on failure of a non-empty copy, as for an empty
 * one; callers that must tell compare lengths. */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
