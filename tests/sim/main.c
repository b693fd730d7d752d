/* domicile-sim: many seeds, each in a process of its own, so that one can be had again and an assertion of
 * the program is a finding like others. */
#include <assert.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto.h"
#include "power_runs.h"
#include "sim.h"

enum {
  RUN_SECONDS_MAX =
      30, /* of processor time; a run takes a fraction of a second: longer means that it hangs, … */
  RUN_WAIT_SECONDS = 600, /* … or, where it waits for itself, this long: machines are busy, and are stopped */
  JOBS_MAX = 64,
  SHRINK_RUNS_MAX = 200,   /* of a failing plan: some seconds, … */
  SHRINK_SECONDS_MAX = 60, /* … unless it hangs */
  PROGRESS_SECONDS = 10,
  EXIT_VIOLATION = 1,
  EXIT_USAGE = 2
};

/* Shared by the processes. */
struct tally {
  _Atomic uint64_t runs, failed, calls, answered, unknown, moves, restarts, inside, looks, restored;
  struct power_tally power;
};

struct options {
  uint64_t first, seeds, jobs, cycles, minutes; /* minutes 0: until all seeds are done */
  bool move, power, trace, help, found_is_good;
};

/* ---- one run --------------------------------------------------------------------------------------------
 */

static void tally_add(struct tally *t, const struct sim *s) {
  t->calls += s->count.calls;
  t->answered += s->count.answered;
  t->unknown += s->count.unknown;
  t->moves += s->count.moves;
  t->restarts += s->count.restarts;
  t->inside += s->count.inside;
  t->looks += s->count.looks;
  t->restored += s->count.restored;
}

/* The process ends with it. */
static void limit_time(void) {
  struct itimerval most = {.it_value.tv_sec = RUN_SECONDS_MAX};
  int rc = setitimer(ITIMER_PROF, &most, NULL);
  assert(rc == 0);
  (void)rc;
  alarm(RUN_WAIT_SECONDS);
}

static bool is_hang(int signal_number) {
  return signal_number == SIGPROF || signal_number == SIGALRM;
}

static void plan_child(const struct sim_plan *plan, bool trace, bool say, struct tally *t) {
  static struct sim s;
  limit_time();
  random_seed_for_simulation(plan->seed);
  if (!say && !freopen("/dev/null", "w", stderr)) _exit(EXIT_USAGE);
  bool good = sim_run(plan, trace, &s);
  if (t) tally_add(t, &s);
  if (!good && say) printf("seed %llu: %s\n", (unsigned long long)plan->seed, s.finding);
  fflush(stdout);
  _exit(good ? 0 : EXIT_VIOLATION);
}

/* True when it ended well. */
static bool plan_run(const struct sim_plan *plan, bool trace, bool say, struct tally *t) {
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) plan_child(plan, trace, say, t);
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  if (WIFSIGNALED(status) && say)
    printf("seed %llu: %s\n", (unsigned long long)plan->seed,
           is_hang(WTERMSIG(status)) ? "it hangs" : "an assertion of the program failed");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- a failing plan, made smaller -------------------------------------------------------------------------
 */

static void cut_out(const struct sim_plan *from, size_t at, size_t count, struct sim_plan *out) {
  *out = *from;
  memmove(&out->event[at], &out->event[at + count], (from->count - at - count) * sizeof out->event[0]);
  out->count = from->count - count;
}

/* Leaves out ever smaller stretches of events as long as it still fails (Zeller's ddmin, one way). */
static void shrink(struct sim_plan *plan) {
  unsigned runs = 0;
  time_t began = time(NULL);
  for (size_t size = plan->count / 2; size > 0; size /= 2) {
    size_t at = 0;
    while (at + size <= plan->count && runs++ < SHRINK_RUNS_MAX && time(NULL) - began < SHRINK_SECONDS_MAX) {
      struct sim_plan less;
      cut_out(plan, at, size, &less);
      if (plan_run(&less, false, false, NULL))
        at += size;
      else
        *plan = less;
    }
  }
}

static void failure_show(struct sim_plan *plan) {
  size_t had = plan->count;
  shrink(plan);
  printf("FAILED seed %llu; of its %zu events these are enough:\n", (unsigned long long)plan->seed, had);
  (void)plan_run(plan, true, true, NULL);
  printf("again: domicile-sim --mode move --seed %llu --trace\n", (unsigned long long)plan->seed);
}

static void seed_run(uint64_t seed, const struct options *o, struct tally *t) {
  if (o->power) power_seed_run(seed, (uint32_t)o->cycles, &t->power);
  if (!o->move) return;
  struct sim_plan plan;
  sim_plan_make(seed, &plan);
  t->runs++;
  if (plan_run(&plan, o->trace, !o->found_is_good, t)) return;
  t->failed++;
  if (o->found_is_good)
    printf("found by seed %llu\n", (unsigned long long)seed);
  else
    failure_show(&plan);
}

/* ---- many
 * ------------------------------------------------------------------------------------------------------ */

static void worker(const struct options *o, uint64_t nth, struct tally *t) {
  time_t last = time(NULL), began = last;
  for (uint64_t i = nth; i < o->seeds; i += o->jobs) {
    seed_run(o->first + i, o, t);
    if (o->found_is_good && t->failed) return;
    if (o->minutes && (uint64_t)(time(NULL) - began) >= o->minutes * 60) return;
    if (nth != 0 || time(NULL) - last < PROGRESS_SECONDS) continue;
    last = time(NULL);
    printf("%llu of %llu seeds, %llu failed\n", (unsigned long long)(i + 1), (unsigned long long)o->seeds,
           (unsigned long long)(t->failed + t->power.failed));
    fflush(stdout);
  }
}

static bool workers_run(const struct options *o, struct tally *t) {
  pid_t children[JOBS_MAX];
  bool good = true;
  fflush(stdout);
  for (uint64_t i = 0; i < o->jobs; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      worker(o, i, t);
      fflush(stdout);
      _exit(0);
    }
  }
  for (uint64_t i = 0; i < o->jobs; i++) {
    int status = 0;
    good = children[i] > 0 && waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0 && good;
  }
  return good;
}

/* ---- the command
 * ------------------------------------------------------------------------------------------------- */

static const char HELP[] =
    "usage: domicile-sim [--seeds N] [--first S] [--seed S] [--mode all|move|power] [--jobs N] [--cycles N]\n"
    "                    [--minutes N] [--trace] [--until-found]\n"
    "Whole regions on simulated disks, net and clock; one seed is one run, the same each time.\n"
    "  --seeds N      how many seeds (200), from --first S (1) on\n"
    "  --seed S       this one alone\n"
    "  --minutes N    begin no further seed after so long\n"
    "  --mode M       move: handoffs between regions, clients, faults; power: power cuts and failed "
    "operations\n"
    "                 over one store; all: both\n"
    "  --jobs N       processes side by side (as many as there are cores)\n"
    "  --cycles N     power cuts of one seed of mode power (4)\n"
    "  --trace        say everything that happens\n"
    "  --until-found  the program has a planted bug: 0 as soon as a seed of mode move finds it, 1 when none "
    "does\n"
    "Ends with 0 when all is well, 1 when something was found, 2 when it is used wrongly.\n";

static bool number_read(const char *text, uint64_t *out) {
  char *end = NULL;
  *out = text ? strtoull(text, &end, 10) : 0;
  return text && *text >= '0' && *text <= '9' && *end == 0;
}

static bool mode_read(const char *text, struct options *o) {
  o->move = text && strcmp(text, "power") != 0;
  o->power = text && strcmp(text, "move") != 0;
  return text && (strcmp(text, "all") == 0 || o->move != o->power);
}

static bool options_read(int argc, char **argv, struct options *o) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    bool flag = true, good = true;
    if (strcmp(name, "--help") == 0)
      o->help = true;
    else if (strcmp(name, "--trace") == 0)
      o->trace = true;
    else if (strcmp(name, "--until-found") == 0)
      o->found_is_good = true;
    else
      flag = false;
    if (flag) continue;
    i++;
    if (strcmp(name, "--mode") == 0)
      good = mode_read(value, o);
    else if (strcmp(name, "--seeds") == 0)
      good = number_read(value, &o->seeds);
    else if (strcmp(name, "--first") == 0)
      good = number_read(value, &o->first);
    else if (strcmp(name, "--cycles") == 0)
      good = number_read(value, &o->cycles) && o->cycles > 0;
    else if (strcmp(name, "--jobs") == 0)
      good = number_read(value, &o->jobs) && o->jobs > 0 && o->jobs <= JOBS_MAX;
    else if (strcmp(name, "--minutes") == 0)
      good = number_read(value, &o->minutes);
    else if (strcmp(name, "--seed") == 0)
      good = number_read(value, &o->first) && (o->seeds = 1);
    else
      good = false;
    if (!good) return false;
  }
  return o->seeds > 0;
}

static void summary_print(const struct options *o, struct tally *t, double seconds) {
  if (o->power) power_summary_print(&t->power);
  if (!o->move) return;
  printf(
      "%llu runs of whole regions in %.0f s: %llu calls, %llu answered, %llu without an answer, %llu moves, "
      "%llu restarts, %llu events inside others, %llu looks, %llu backups restored; %llu failed\n",
      (unsigned long long)t->runs, seconds, (unsigned long long)t->calls, (unsigned long long)t->answered,
      (unsigned long long)t->unknown, (unsigned long long)t->moves, (unsigned long long)t->restarts,
      (unsigned long long)t->inside, (unsigned long long)t->looks, (unsigned long long)t->restored,
      (unsigned long long)t->failed);
}

/* Disks, tables and bodies come and go by the megabyte: to fetch their pages anew each time took half of a
 * run. */
static void memory_keep(void) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 16 << 20);
}

int main(int argc, char **argv) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  struct options o = {.first = 1, .seeds = 200, .cycles = 4, .move = true, .power = true};
  o.jobs = cores < 1 ? 1 : cores > JOBS_MAX ? JOBS_MAX : (uint64_t)cores;
  if (!options_read(argc, argv, &o)) {
    fputs(HELP, stderr);
    return EXIT_USAGE;
  }
  if (o.help) {
    fputs(HELP, stdout);
    return 0;
  }
  struct tally *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (t == MAP_FAILED) return EXIT_VIOLATION;
  if (o.jobs > o.seeds) o.jobs = o.seeds;
  memory_keep();
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  bool good = workers_run(&o, t);
  if (o.power && !o.found_is_good) good = power_controls_run(o.first, (uint32_t)o.cycles, &t->power) && good;
  clock_gettime(CLOCK_MONOTONIC, &to);
  summary_print(&o, t, (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
  if (o.found_is_good) return t->failed ? 0 : EXIT_VIOLATION;
  return good && !t->failed && !t->power.failed ? 0 : EXIT_VIOLATION;
}
