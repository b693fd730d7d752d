/* What the bench engine's files share. */
#ifndef DOMICILE_LOAD_BENCH_INTERNAL_H
#define DOMICILE_LOAD_BENCH_INTERNAL_H

#include "bench.h"

/* The signed heads of all objects, one after another. */
struct bench_heads {
  struct buf text;
  /* objects + 1 offsets into text */
  size_t *starts;
  uint64_t made_ms;
};

/* Makes (again) all heads with the present time. Returns: false without memory. */
bool bench_heads_make(struct bench_heads *heads, const struct bench_config *config);
/* Makes them again when they grow old. Heads being sent must have been copied. */
bool bench_heads_renew(struct bench_heads *heads, const struct bench_config *config, uint64_t now_ns);
/* Frees the heads; they may be made again. */
void bench_heads_done(struct bench_heads *heads);
/* The head of object `number`, from 0; valid until the heads are made again. */
static inline struct slice bench_head_of(const struct bench_heads *heads, size_t number) {
  return slice_cut(buf_slice(&heads->text), heads->starts[number], heads->starts[number + 1]);
}

#endif
