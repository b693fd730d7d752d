/* domicile-sim [--seeds N] [--seed S] [--cycles N]: random work on a region over the simulated disk,
 * with compaction and upkeep running, and power cuts or failed operations at random disk
 * operations. One seed is one run, in a process of its own, so that it can be had again. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "power.h"

enum {
  RUN_SECONDS_MAX = 120, /* a run takes a fraction of a second: longer means that it hangs */
  WORKERS_MAX = 8,
  CONTROLS = 5,
  CYCLES_DEFAULT = 4
};

struct permit {
  int any;
};
static const struct permit permit_any = {1};

bool permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                   const uint8_t token[TOKEN_SIZE]) {
  return p == &permit_any && action < PERMIT_ACTION_COUNT && region != 0 && token != NULL;
}

uint64_t permit_charter_version(const struct permit *p) {
  return p == &permit_any;
}

/* Shared by the processes. */
struct tally {
  _Atomic uint64_t runs, failed, cuts, faults, acknowledged, recoveries, rebuilds;
};

struct plan {
  uint64_t first, seeds;
  uint32_t cycles;
};

static const char *kind_name(enum dom_code fault) {
  return fault == DOM_OK ? "power" : dom_code_name(fault);
}

/* One run; its end is the process's. */
static void run_child(uint64_t seed, uint32_t cycles, enum dom_code fault, bool ignore_sync,
                      struct tally *t) {
  struct power_options o = {
      .seed = seed, .cycles = cycles, .permit = &permit_any, .fault = fault, .ignore_sync = ignore_sync};
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
static bool run(uint64_t seed, uint32_t cycles, enum dom_code fault, bool ignore_sync, struct tally *t) {
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

static void run_counted(uint64_t seed, const struct plan *p, enum dom_code fault, struct tally *t) {
  t->runs++;
  if (run(seed, p->cycles, fault, false, t)) return;
  t->failed++;
  printf("FAILED seed %llu (%s); again: domicile-sim --seed %llu --cycles %u\n", (unsigned long long)seed,
         kind_name(fault), (unsigned long long)seed, p->cycles);
}

static void worker(const struct plan *p, uint64_t nth, uint64_t workers, struct tally *t) {
  for (uint64_t s = p->first + nth; s < p->first + p->seeds; s += workers) {
    run_counted(s, p, DOM_OK, t);
    if (s % 4 == 0) run_counted(s, p, DOM_IO, t);
    if (s % 4 == 2) run_counted(s, p, DOM_NO_SPACE, t);
  }
}

static void workers_run(const struct plan *p, struct tally *t) {
  pid_t children[WORKERS_MAX];
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t count = cores < 1 ? 1 : cores > WORKERS_MAX ? WORKERS_MAX : (uint64_t)cores;
  fflush(stdout);
  for (uint64_t i = 0; i < count; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      worker(p, i, count, t);
      fflush(stdout);
      _exit(0);
    }
    if (children[i] < 0) t->failed++;
  }
  for (uint64_t i = 0; i < count; i++) {
    int status = 0;
    if (children[i] < 0) continue;
    bool ok =
        waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok) t->failed++;
  }
}

static bool plan_read(int argc, char **argv, struct plan *p) {
  for (int i = 1; i < argc; i += 2) {
    char *end = NULL;
    uint64_t n = i + 1 < argc ? strtoull(argv[i + 1], &end, 10) : 0;
    if (!end || *end || end == argv[i + 1]) return false;
    if (strcmp(argv[i], "--seeds") == 0) {
      p->seeds = n;
    } else if (strcmp(argv[i], "--seed") == 0) {
      p->first = n;
      p->seeds = 1;
    } else if (strcmp(argv[i], "--first") == 0) {
      p->first = n;
    } else if (strcmp(argv[i], "--cycles") == 0) {
      p->cycles = (uint32_t)n;
    } else {
      return false;
    }
  }
  return p->seeds > 0 && p->cycles > 0;
}

int main(int argc, char **argv) {
  struct plan p = {.first = 1, .seeds = 200, .cycles = CYCLES_DEFAULT};
  uint32_t caught = 0;
  if (!plan_read(argc, argv, &p)) {
    fprintf(stderr, "usage: domicile-sim [--seeds N] [--seed S] [--first S] [--cycles N]\n");
    return 2;
  }
  struct tally *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (t == MAP_FAILED) return 3;
  workers_run(&p, t);
  for (uint64_t s = p.first; s < p.first + CONTROLS; s++) caught += !run(s, p.cycles, DOM_OK, true, t);
  printf("control runs without syncs: %u of %u caught\n", caught, (unsigned)CONTROLS);
  if (caught < CONTROLS) t->failed++;
  printf("%llu seeds, %llu runs: %llu power cuts, %llu failed operations, %llu recoveries, %llu rebuilds\n",
         (unsigned long long)p.seeds, (unsigned long long)t->runs, (unsigned long long)t->cuts,
         (unsigned long long)t->faults, (unsigned long long)t->recoveries, (unsigned long long)t->rebuilds);
  printf("%llu acknowledged operations checked; %llu failed\n", (unsigned long long)t->acknowledged,
         (unsigned long long)t->failed);
  return t->failed ? 1 : 0;
}
