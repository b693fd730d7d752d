/* Between the two files of the lifecycle worker: pages of buckets, and one key. */
#ifndef DOMICILE_SERVE_LIFECYCLE_INSIDE_H
#define DOMICILE_SERVE_LIFECYCLE_INSIDE_H

#include "s3/s3.h"
#include "serve/lifecycle.h"

enum {
  /* Of one key in one pass: each costs a look at those newer than it, so a key of thousands takes its time.
   */
  LIFECYCLE_VERSIONS_OF_KEY = 1000
};

/* A view that shows the configuration which the rules are from. Returns: DOM_CANCELLED it is to stop;
 * DOM_RETRY, DOM_NOT_FOUND it changed: the bucket's pass is over. */
enum dom_code lifecycle_view(struct lifecycle *l, const struct subject_bucket *b, struct store_view **out,
                             struct dom_err *err);
/* Counts what came of one removal: what cannot go now is no failure, the next pass looks again.
 * `why`: what the removal said. Returns: DOM_OK, or a failure of the store with *err filled. */
enum dom_code lifecycle_count(struct lifecycle *l, uint64_t *gone, enum dom_code code,
                              const struct dom_err *why, struct dom_err *err);
/* Ends what is due of one key: noncurrent versions from the oldest on, the current one under a delete marker
 * (or for good where no versions are kept), a delete marker that stands alone. Locked versions stay.
 * Durable: each by itself. Returns: as lifecycle_view and lifecycle_count. */
enum dom_code lifecycle_settle(struct lifecycle *l, const struct s3_lifecycle *rules,
                               const struct subject_bucket *b, struct slice key, struct dom_err *err);

#endif
