/* Lifecycle: what a bucket's rules say has ended, removed at its subject's home. Only serve includes this. */
#ifndef DOMICILE_SERVE_LIFECYCLE_H
#define DOMICILE_SERVE_LIFECYCLE_H

#include <stdatomic.h>

#include "store/store.h"
#include "subject/subject.h"

enum {
  LIFECYCLE_PAGE = 200,        /* names looked at in one view: it holds index files while it is open */
  LIFECYCLE_PAUSE_MS = 20,     /* after a page in which something went: people's requests come first */
  LIFECYCLE_PARTS_OF_DAY = 24, /* a pass so often: an object may outlive its hour, not its day by much */
  LIFECYCLE_PASS_MS_MIN = 1000 /* with the short days of tests */
};

struct lifecycle {
  struct store *store; /* borrowed, as all */
  struct subjects *subjects;
  struct clock *clock;
  uint16_t region;
  uint64_t day_ms;             /* S3_DAY_MS but in tests */
  const atomic_bool *stopping; /* NULL: never */
  /* What passes did so far. */
  uint64_t expired, aborted;
  uint64_t kept; /* the charter does not let them go yet, or their subject is just being moved */
};

/* One pass over all buckets that this region knows and that have rules: versions, delete markers and uploads
 * of subjects that live here, whose time has come by this region's clock, go one by one, each with a permit
 * to delete and under the guards of its commit: what changed meanwhile is left for the next pass, staged and
 * dead epochs are never touched, and the commit is journaled while its subject is being moved. Where versions
 * are kept a current object ends under a delete marker. Returns: DOM_CANCELLED it is to stop; codes as the
 * store's. */
enum dom_code lifecycle_pass(struct lifecycle *l, struct dom_err *err);

#endif
