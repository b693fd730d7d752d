/* Allocation with a failure hook, so that tests can fail the n-th allocation.
 *
 * Every allocation of every room goes through here (secrets: secret_alloc of crypto.h); what
 * libraries allocate inside themselves does not. Memory is released with dom_free only.
 * Threads: any function from any thread; a block may be freed by another thread.
 *
 * A test of a function that allocates goes like this, until the function succeeds:
 *   for (n = 0; code != DOM_OK; n++) { dom_alloc_fail_after(n, 1); code = …; }
 * and compares dom_alloc_live() before and after each round. */
#ifndef DOMICILE_BASE_ALLOC_H
#define DOMICILE_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* `size` bytes, not cleared. Size 0 yields a block too. Returns: NULL on failure. */
void *dom_alloc(size_t size);
/* count * size bytes, cleared. Returns: NULL on failure and when the product overflows. */
void *dom_calloc(size_t count, size_t size);
/* As realloc; p may be NULL. Returns: NULL on failure, p is kept then. */
void *dom_realloc(void *p, size_t size);
/* Releases a block of the functions here; NULL is allowed. */
void dom_free(void *p);
/* A copy with its NUL. Returns: NULL on failure. */
char *dom_strdup(const char *s);

/* Test hook: let `after` more allocations of this thread succeed, then fail exactly one
 * (`once`) or all following. UINT64_MAX switches it off. Threads: per thread. */
void dom_alloc_fail_after(uint64_t after, int once);
/* Allocations not yet freed, process-wide; for leak comparisons in tests. It is exact only
 * while no other thread allocates. */
int64_t dom_alloc_live(void);

/* AUTO_FREE char *p = …: freed at the end of the scope. Clear p to keep the block. */
static inline void dom_free_cleanup(void *pp) {
  dom_free(*(void **)pp);
}
#define AUTO_FREE __attribute__((cleanup(dom_free_cleanup)))

#endif
