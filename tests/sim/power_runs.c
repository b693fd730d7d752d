/* The power part: processes around power_run. */
#include "power_runs.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "power.h"

enum { RUN_SECONDS_MAX = 120, CONTROLS = 5 };

/* These runs know no charter: one permit that covers everything. The linker sends the store's questions here
 * (--wrap); all others go on to the charter room. */
static const char permit_any;
#define PERMIT_ANY ((const struct permit *)(const void *)&permit_any)

bool __real_permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                          const uint8_t token[TOKEN_SIZE]);
bool __wrap_permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                          const uint8_t token[TOKEN_SIZE]);
uint64_t __real_permit_charter_version(const struct permit *p);
uint64_t __wrap_permit_charter_version(const struct permit *p);

bool __wrap_permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                          const uint8_t token[TOKEN_SIZE]) {
  if (p != PERMIT_ANY) return __real_permit_covers(p, action, region, token);
  return action < PERMIT_ACTION_COUNT && region != 0 && token != NULL;
}

uint64_t __wrap_permit_charter_version(const struct permit *p) {
  return p == PERMIT_ANY ? 1 : __real_permit_charter_version(p);
}

static const char *kind_name(enum dom_code fault) {
  return fault == DOM_OK ? "power" : dom_code_name(fault);
}

/* One run; its end is the process's. */
static void run_child(uint64_t seed, uint32_t cycles, enum dom_code fault, bool ignore_sync,
                      struct power_tally *t) {
  struct power_options o = {
      .seed = seed, .cycles = cycles, .permit = PERMIT_ANY, .fault = fault, .ignore_sync = ignore_sync};
  struct power_result r;
  alarm(RUN_SECONDS_MAX);
  random_seed_for_simulation(seed);
  bool ok = power_run(&o, &r);
  if (!ignore_sync) {
    t->acknowledged += r.commits;
    t->recoveries += r.recoveries;
    t->rebuilds += r.rebuilds;
    *(fault == DOM_OK ? &t->cuts : &t->faults) += cycles;
    if (!ok) printf("seed %llu (%s): %s\n", (unsigned long long)seed, kind_name(fault), r.why);
    fflush(stdout);
  }
  _exit(ok ? 0 : 1);
}

/* True when the run ended well. A run that lies about syncs may end in an assertion too. */
static bool run(uint64_t seed, uint32_t cycles, enum dom_code fault, bool ignore_sync,
                struct power_tally *t) {
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (ignore_sync && !freopen("/dev/null", "w", stderr)) _exit(2);
    run_child(seed, cycles, fault, ignore_sync, t);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void run_counted(uint64_t seed, uint32_t cycles, enum dom_code fault, struct power_tally *t) {
  t->runs++;
  if (run(seed, cycles, fault, false, t)) return;
  t->failed++;
  printf("FAILED seed %llu (%s); again: domicile-sim --mode power --seed %llu --cycles %u\n",
         (unsigned long long)seed, kind_name(fault), (unsigned long long)seed, cycles);
}

void power_seed_run(uint64_t seed, uint32_t cycles, struct power_tally *t) {
  t->seeds++;
  run_counted(seed, cycles, DOM_OK, t);
  if (seed % 4 == 0) run_counted(seed, cycles, DOM_IO, t);
  if (seed % 4 == 2) run_counted(seed, cycles, DOM_NO_SPACE, t);
}

bool power_controls_run(uint64_t first, uint32_t cycles, struct power_tally *t) {
  t->controls = CONTROLS;
  for (uint64_t s = first; s < first + CONTROLS; s++) t->caught += !run(s, cycles, DOM_OK, true, t);
  return t->caught == CONTROLS;
}

void power_summary_print(const struct power_tally *t) {
  if (t->controls) printf("control runs without syncs: %u of %u caught\n", t->caught, t->controls);
  printf(
      "%llu seeds, %llu runs over one store: %llu power cuts, %llu failed operations, %llu recoveries, %llu "
      "rebuilds; %llu acknowledged operations checked; %llu failed\n",
      (unsigned long long)t->seeds, (unsigned long long)t->runs, (unsigned long long)t->cuts,
      (unsigned long long)t->faults, (unsigned long long)t->recoveries, (unsigned long long)t->rebuilds,
      (unsigned long long)t->acknowledged, (unsigned long long)t->failed);
}
