/* What a seed stands for. */
#include "sim.h"

struct dice {
  uint64_t state;
};

/* SplitMix64 (Steele et al. 2014). */
static uint32_t roll(struct dice *d, uint32_t below) {
  uint64_t z = d->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ (z >> 31)) % below);
}

/* How often a kind comes, of what a seed has switched on: a seed with few kinds of faults comes further into
 * each of them than one with all (swarm testing: Groce et al. 2012). */
static const struct weight {
  enum sim_kind kind;
  uint32_t weight;
  bool always;
} WEIGHTS[] = {
    {SIM_CALL, 110, true}, {SIM_STEP, 40, true},    {SIM_MOVE, 16, true},      {SIM_UPKEEP, 14, true},
    {SIM_STORE, 5, true},  {SIM_JOB, 3, false},     {SIM_CANCEL, 2, false},    {SIM_ROTATE, 3, false},
    {SIM_PURGE, 1, false}, {SIM_CHARTER, 4, false}, {SIM_CUT_POWER, 9, false}, {SIM_FAIL_DISK, 6, false},
    {SIM_FULL, 3, false},  {SIM_RESTART, 7, false}, {SIM_PART, 7, false},      {SIM_ROUGH, 5, false},
    {SIM_LATE, 4, true},   {SIM_TIME, 7, true},     {SIM_JUMP, 2, false},      {SIM_LOOK, 6, true},
};
enum {
  WEIGHT_COUNT = sizeof WEIGHTS / sizeof WEIGHTS[0],
  EVENTS_MIN = 60,
  RESTORE_EVERY = 4,
  RESTORE_TRIES = 4,
  DOUBT_EVERY = 6,
  DOUBTS = 3
};

static enum sim_kind pick(struct dice *d, const uint32_t weight[WEIGHT_COUNT], uint32_t total) {
  uint32_t at = roll(d, total);
  size_t i = 0;
  while (at >= weight[i]) at -= weight[i++];
  return WEIGHTS[i].kind;
}

static uint32_t region(struct dice *d, const struct sim_plan *p) {
  return 1 + roll(d, p->regions);
}

static void fill(struct dice *d, const struct sim_plan *p, struct sim_event *e) {
  e->a = region(d, p);
  e->b = region(d, p);
  e->c = 10 + roll(d, 60);
  e->d = roll(d, 1u << 30);
  e->e = roll(d, 5);
  e->salt = roll(d, 1u << 30);
  switch (e->kind) {
  case SIM_CALL:
    e->a = p->key[roll(d, SIM_PLAN_KEYS)];
    e->c = roll(d, 100);
    if (e->e == 4) e->e = 9; /* to its end */
    break;
  case SIM_LOOK:
    e->a = p->key[roll(d, SIM_PLAN_KEYS)];
    break;
  case SIM_STEP:
    e->a = roll(d, SIM_PENDING_MAX);
    break;
  case SIM_MOVE:
    e->a = roll(d, SIM_SUBJECTS);
    break;
  case SIM_STORE:
    e->b = 1 + roll(d, 6);
    break;
  case SIM_CUT_POWER:
  case SIM_FAIL_DISK:
    e->b = 1 + roll(d, 1u << roll(d, 8));
    break;
  case SIM_FULL:
  case SIM_RESTART:
  case SIM_JUMP:
    e->b = roll(d, 2);
    if (e->kind == SIM_JUMP) e->a = 1 + roll(d, 100000);
    break;
  case SIM_PART:
    e->c = roll(d, 5) < 2;
    break;
  case SIM_ROUGH:
    e->a = roll(d, 60);
    e->b = roll(d, 60);
    e->c = roll(d, 100);
    break;
  case SIM_TIME:
    e->a = roll(d, 2) ? roll(d, 1000) : 10000 + roll(d, 30000);
    break;
  default:
    break;
  }
}

/* In the first third a backup, later tries to lose the disk: a region with news to tell keeps it. */
static void lose_disk(struct dice *d, struct sim_plan *p) {
  uint32_t third = (uint32_t)p->count / 3, at = region(d, p);
  p->event[roll(d, third)] = (struct sim_event){.kind = SIM_BACK_UP, .a = at};
  for (int i = 0; i < RESTORE_TRIES; i++)
    p->event[third + roll(d, 2 * third)] = (struct sim_event){.kind = SIM_RESTORE, .a = at};
}

/* Of one region: two that wait for each other would need an operator. */
static void doubt(struct dice *d, struct sim_plan *p) {
  uint32_t at = region(d, p);
  for (int i = 0; i < DOUBTS; i++)
    p->event[roll(d, (uint32_t)p->count)] = (struct sim_event){.kind = SIM_DOUBT, .a = at};
}

void sim_plan_make(uint64_t seed, struct sim_plan *out) {
  struct dice d = {sim_mix(seed, 0x51d)};
  uint32_t weight[WEIGHT_COUNT], total = 0;
  *out = (struct sim_plan){.seed = seed, .regions = 2 + roll(&d, 3)};
  for (size_t i = 0; i < SIM_PLAN_KEYS; i++) out->key[i] = roll(&d, SIM_KEYS);
  for (size_t i = 0; i < WEIGHT_COUNT; i++) {
    weight[i] = WEIGHTS[i].always || roll(&d, 2) ? WEIGHTS[i].weight : 0;
    total += weight[i];
  }
  out->count = EVENTS_MIN + roll(&d, SIM_EVENTS_MAX - EVENTS_MIN);
  for (size_t i = 0; i < out->count; i++) {
    out->event[i].kind = pick(&d, weight, total);
    fill(&d, out, &out->event[i]);
  }
  if (sim_mix(seed, 0xbac) % RESTORE_EVERY == 0)
    lose_disk(&d, out);
  else if (sim_mix(seed, 0xd0b) % DOUBT_EVERY == 0)
    doubt(&d, out);
}

void sim_event_print(const struct sim_event *e, FILE *out) {
  static const char *const NAME[SIM_KIND_COUNT] = {
      "call",  "step",    "move",       "upkeep",    "store-upkeep", "job",     "cancel", "rotate",
      "purge", "charter", "cut-power",  "fail-disk", "disk-full",    "restart", "line",   "rough-net",
      "late",  "time",    "clock-jump", "look",      "back-up",      "restore", "doubt"};
  fprintf(out, "%s %u %u %u %u %u", NAME[e->kind], e->a, e->b, e->c, e->d, e->e);
}
