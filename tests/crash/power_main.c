/* power [--seeds N] [--first N] [--cycles N]: power cuts and failed operations over many seeds,
 * then control runs that must fail. The last line is `N passed, N failed`.
 * With `--planted 1` the program has a bug: 0 when one of the seeds finds it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "power.h"

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

static unsigned passed, failed;

static void run(uint64_t seed, uint32_t cycles, enum dom_code fault) {
  struct power_options o = {.seed = seed, .cycles = cycles, .permit = &permit_any, .fault = fault};
  struct power_result r;
  if (power_run(&o, &r)) {
    passed++;
  } else {
    failed++;
    printf("seed %llu (%s): %s\n", (unsigned long long)seed, fault ? dom_code_name(fault) : "power", r.why);
  }
}

/* In a process of its own: a disk that lies, or a bug, may well end in an assertion, which counts too. */
static bool is_caught(uint64_t seed, uint32_t cycles, bool ignore_sync) {
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct power_options o = {
        .seed = seed, .cycles = cycles, .permit = &permit_any, .ignore_sync = ignore_sync};
    struct power_result r;
    if (!freopen("/dev/null", "w", stderr)) _exit(2);
    _exit(power_run(&o, &r) ? 0 : 1);
  }
  return waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
  uint64_t seeds = 200, first = 1;
  uint32_t cycles = 4, caught = 0;
  bool planted = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    uint64_t n = strtoull(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--seeds") == 0)
      seeds = n;
    else if (strcmp(argv[i], "--planted") == 0)
      planted = n != 0;
    else if (strcmp(argv[i], "--first") == 0)
      first = n;
    else if (strcmp(argv[i], "--cycles") == 0)
      cycles = (uint32_t)n;
    else
      return 2;
  }
  for (uint64_t s = first; planted && s < first + seeds && caught == 0; s++)
    caught += is_caught(s, cycles, false);
  if (planted) {
    printf("the planted bug is %s\n", caught ? "caught" : "not found");
    return caught ? 0 : 1;
  }
  for (uint64_t s = first; s < first + seeds; s++) {
    run(s, cycles, DOM_OK);
    if (s % 4 == 0) run(s, cycles, DOM_IO);
    if (s % 4 == 2) run(s, cycles, DOM_NO_SPACE);
  }
  for (uint64_t s = first; s < first + 5; s++) caught += is_caught(s, cycles, true);
  printf("control runs without syncs: %u of 5 caught\n", caught);
  if (caught == 5)
    passed++;
  else
    failed++;
  printf("%u passed, %u failed\n", passed, failed);
  return failed ? 1 : 0;
}
