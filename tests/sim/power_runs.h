/* Power cuts and failed operations over one store (tests/crash/power.h), as one part of the simulator. */
#ifndef DOMICILE_TESTS_SIM_POWER_RUNS_H
#define DOMICILE_TESTS_SIM_POWER_RUNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared by processes. */
struct power_tally {
  _Atomic uint64_t seeds, runs, failed, cuts, faults, acknowledged, recoveries, rebuilds;
  uint32_t controls, caught;
};

/* One seed, each run in a process of its own: the power goes `cycles` times; of every second seed also one
 * with failed operations. */
void power_seed_run(uint64_t seed, uint32_t cycles, struct power_tally *t);
/* Runs over a disk that lies about syncs: each must fail. */
bool power_controls_run(uint64_t first, uint32_t cycles, struct power_tally *t);
void power_summary_print(const struct power_tally *t);

#endif
