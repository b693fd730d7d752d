/* Allocation with a failure hook, so that tests can fail the n-th allocation. */
#ifndef DOMICILE_BASE_ALLOC_H
#define DOMICILE_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *dom_alloc(size_t size);                /* NULL on failure; not cleared */
void *dom_calloc(size_t count, size_t size); /* NULL on failure or overflow; cleared */
void *dom_realloc(void *p, size_t size);     /* as realloc; p is kept on failure */
void dom_free(void *p);
char *dom_strdup(const char *s);             /* NULL on failure */

/* Test hook: let `after` more allocations of this thread succeed, then fail exactly one
 * (`once`) or all following. UINT64_MAX switches it off. Threads: per thread. */
void dom_alloc_fail_after(uint64_t after, int once);
/* Allocations not yet freed, process-wide; for leak comparisons in tests. */
int64_t dom_alloc_live(void);

static inline void dom_free_cleanup(void *pp) { dom_free(*(void **)pp); }
#define AUTO_FREE __attribute__((cleanup(dom_free_cleanup)))

#endif
