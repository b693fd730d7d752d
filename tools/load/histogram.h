/* Histogram of latencies: log-linear, 64 steps for each power of two, so that a quantile is off
 * by 1.6 % at most. */
#ifndef DOMICILE_LOAD_HISTOGRAM_H
#define DOMICILE_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   64
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 59)

struct histogram {
  uint64_t counts[HISTOGRAM_BUCKETS];
  uint64_t total;
  uint64_t max;
};

/* Counts one value (nanoseconds, but any unit will do). */
void histogram_add(struct histogram *h, uint64_t value);
/* The smallest bucket bound that `permille` of 1000 values do not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);

#endif
