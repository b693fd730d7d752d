/* Power: random work on a region over a simulated disk, with the power cut or an operation failed
 * at a random disk operation, recovery cut too, and everything checked after each start.
 *
 * What it checks: every version and delete marker of every key, newest first; an acknowledged change is
 * there, a change without an answer is there whole or not at all (of several keys: all or none), ledger
 * entries are those of the changes, listings are those of the keys, no body file is left over in the end. One
 * seed is one run. */
#ifndef DOMICILE_TESTS_CRASH_POWER_H
#define DOMICILE_TESTS_CRASH_POWER_H

#include "store/store.h"

struct power_options {
  uint64_t seed;
  uint32_t cycles;             /* cuts, each with a recovery */
  const struct permit *permit; /* covers everything */
  bool ignore_sync;            /* planted bug: the run must fail */
  enum dom_code fault;         /* DOM_OK: cut the power; else fail one operation with this */
};

struct power_result {
  uint64_t commits, unanswered, recoveries, rebuilds, upkeeps, purges; /* what the run did */
  char why[256];                                                       /* why it failed */
};

/* False, with the reason, when something was lost or half there. */
bool power_run(const struct power_options *o, struct power_result *out);

#endif
