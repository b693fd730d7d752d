#include "histogram.h"

#include <assert.h>
#include <stddef.h>

/* Values below HISTOGRAM_STEPS have a bucket each; above, the leading bit chooses the row and
 * the next six bits the step. */
static unsigned bucket_of(uint64_t value) {
  if (value < HISTOGRAM_STEPS) return (unsigned)value;
  unsigned top = 63U - (unsigned)__builtin_clzll(value);
  unsigned bucket = (top - 5) * HISTOGRAM_STEPS + (unsigned)(value >> (top - 6) & (HISTOGRAM_STEPS - 1));
  assert(bucket < HISTOGRAM_BUCKETS);
  return bucket;
}

/* The largest value of a bucket. */
static uint64_t bound_of(unsigned bucket) {
  assert(bucket < HISTOGRAM_BUCKETS);
  if (bucket < HISTOGRAM_STEPS) return bucket;
  unsigned shift = bucket / HISTOGRAM_STEPS - 1;
  uint64_t first = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
  return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value) {
  assert(h != NULL);
  h->counts[bucket_of(value)]++;
  h->total++;
  if (value > h->max) h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille) {
  assert(h != NULL && permille <= 1000);
  /* Rounded up: of 10 values, p99 is the tenth. */
  uint64_t wanted = (h->total * permille + 999) / 1000;
  uint64_t seen = 0;
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += h->counts[i];
    if (seen >= wanted && seen > 0) return bound_of(i) < h->max ? bound_of(i) : h->max;
  }
  return 0;
}
