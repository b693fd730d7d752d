/* What the bench engine's files share. */
#ifndef DOMICILE_LOAD_BENCH_INTERNAL_H
#define DOMICILE_LOAD_BENCH_INTERNAL_H

#include "bench.h"

/* The signed heads of all objects, one after another. */
struct bench_heads {
  struct buf text;
  size_t *starts; /* objects + 1 offsets into text */
  uint64_t made_ms;
};

/* Makes (again) all heads with the present time. Returns: false without memory. */
bool bench_heads_make(struct bench_heads *heads, const struct bench_config *config);
/* Makes them again when they grow old. Heads being sent must have been copied. */
bool bench_heads_renew(struct bench_heads *heads, const struct bench_config *config, uint64_t now_ns);
void bench_heads_done(struct bench_heads *heads);
static inline struct slice bench_head_of(const struct bench_heads *heads, size_t number) {
  return slice_cut(buf_slice(&heads->text), heads->starts[number], heads->starts[number + 1]);
}

#endif
