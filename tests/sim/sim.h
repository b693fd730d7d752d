/* Sim: whole regions in one thread on simulated disks, net and clock, under random clients and random faults.
 *
 * Glossary
 *   plan      the list of events that one seed stands for, made first and then executed; what an event finds
 *             when its turn comes decides what becomes of it
 *   event     one thing that happens: a client's call or a step of one, a move, a fault, time, upkeep
 *   inside    an event may run inside another, between two durable steps or two messages of a move: that is
 *             where the two meet that would run in two threads
 *   finding   the first thing that is not as it must be; it ends the run
 *
 * One seed is one run: plan, disks, net, keys and ids all come from it. Only the sim room includes this. */
#ifndef DOMICILE_TESTS_SIM_SIM_H
#define DOMICILE_TESTS_SIM_SIM_H

#include <stdio.h>

#include "history.h"
#include "lib/regions.h"

enum {
  SIM_EVENTS_MAX = 160,
  SIM_SUBJECTS = 3, /* two of India, one of another country */
  SIM_BUCKETS = 2,  /* one never versioned, one with versions */
  SIM_NAMES = 2,    /* of a subject in a bucket: few, so that calls meet */
  SIM_KEYS = SIM_SUBJECTS * SIM_BUCKETS * SIM_NAMES,
  SIM_PLAN_KEYS = 5,
  SIM_OPS_MAX = 1024,
  SIM_PENDING_MAX = 6, /* calls that are under way at once */
  SIM_DEPTH_MAX = 3,   /* events inside events */
  SIM_COUNTRY_IN = 2   /* subjects below this one are of India */
};

/* ---- plan.c ------------------------------------------------------------------------------------ */

enum sim_kind {
  SIM_CALL,      /* a client's call: a = key, b = gateway, c = what, d = how; e: steps it gets at once */
  SIM_STEP,      /* a call under way goes on: a = which */
  SIM_MOVE,      /* a = subject, b = to; c: chance of events inside, in per cent */
  SIM_UPKEEP,    /* a = region; c as above */
  SIM_STORE,     /* the store's own upkeep: a = region, b = steps */
  SIM_JOB,       /* a country is moved: a = region, b = to, d = the second target's share */
  SIM_CANCEL,    /* the jobs of region a */
  SIM_ROTATE,    /* KEK rotation: a = region */
  SIM_PURGE,     /* names purge: a = region */
  SIM_CHARTER,   /* the next charter comes to region a */
  SIM_CUT_POWER, /* a = region, b = at which disk operation from now */
  SIM_FAIL_DISK, /* a = region, b = operation, d: with EIO, ENOSPC or a failed read */
  SIM_FULL,      /* the disk of region a is full (b: or has room again) */
  SIM_RESTART,   /* region a, running or not; b: the power went with it */
  SIM_PART,      /* the line between a and b is cut (c: or mended) */
  SIM_ROUGH,     /* the net loses a, loses answers b, doubles c (permille) */
  SIM_LATE,      /* whatever is late arrives */
  SIM_TIME,      /* a milliseconds pass */
  SIM_JUMP,      /* wall clocks jump: a seconds, back when b */
  SIM_LOOK,      /* everything of key a through gateway b */
  SIM_BACK_UP,   /* region a is stopped, copied and started */
  SIM_RESTORE,   /* region a loses its disk and comes back from that copy */
  SIM_DOUBT,     /* an operator has region a learn what it may have missed */
  SIM_KIND_COUNT
};

struct sim_event {
  enum sim_kind kind;
  uint32_t a, b, c, d, e;
  uint32_t salt; /* of the dice that say which events run inside it */
};

struct sim_plan {
  uint64_t seed;
  uint32_t regions;            /* 2 to 4 */
  uint32_t key[SIM_PLAN_KEYS]; /* those that are called, so often as they stand here */
  size_t count;
  struct sim_event event[SIM_EVENTS_MAX];
};

void sim_plan_make(uint64_t seed, struct sim_plan *out);
/* One line without its end, for people. */
void sim_event_print(const struct sim_event *e, FILE *out);

/* ---- the world -------------------------------------------------------------------------------------- */

struct sim_call;
struct sim_fact { /* what is known of a write, by its id */
  bool has_order, in_class;
  struct store_order order;
  uint64_t mtime_ms;
  uint32_t size;
  uint32_t part[HISTORY_PARTS_MAX]; /* of a completed upload: ids of its parts */
};

struct sim_key {
  uint32_t subject, bucket;
  char name[64];      /* the whole key */
  uint32_t recent[4]; /* ids of versions, and … */
  uint32_t upload[2]; /* … of uploads that a client knows of */
};

struct sim_backup {
  uint16_t region; /* 0: there is none */
  struct disk *disk, *keys;
  uint64_t moment;              /* of histories */
  uint64_t epoch[SIM_SUBJECTS]; /* of those whose home it was; 0 */
};

struct sim {
  struct test_regions t;
  const struct sim_plan *plan;
  size_t next; /* event */
  unsigned depth, in_call;
  uint32_t steps; /* durable ones of moves, so far */
  bool trace;
  uint64_t dice; /* of the event that others run inside of */
  uint32_t inside_percent;
  uint64_t now; /* moments of histories */
  uint8_t token[SIM_SUBJECTS][TOKEN_SIZE];
  struct sim_key key[SIM_KEYS];
  struct history_op op[SIM_OPS_MAX]; /* the id of a write is its index + 1 */
  struct sim_fact fact[SIM_OPS_MAX];
  uint8_t key_of[SIM_OPS_MAX];
  bool void_op[SIM_OPS_MAX]; /* it certainly did nothing */
  struct history_state *seen[SIM_OPS_MAX];
  size_t op_count;
  struct sim_call *pending[SIM_PENDING_MAX];
  unsigned busy[REGIONS_MAX + 1]; /* frames of the region on the stack: it cannot restart now */
  bool in_upkeep[REGIONS_MAX + 1], in_rotation[REGIONS_MAX + 1], cut[REGIONS_MAX + 1][REGIONS_MAX + 1];
  uint32_t charter[REGIONS_MAX + 1];
  struct sim_backup backup;
  uint16_t doomed;     /* the region whose disk is lost, and that has not come back yet; 0 */
  uint16_t restored;   /* the region that came back from it; 0 */
  bool lost[SIM_KEYS]; /* something of it may be gone with the disk: its history proves nothing */
  struct {
    uint64_t calls, answered, unknown, moves, restarts, inside, looks, restored;
  } count;
  char finding[512];
};

/* The first one counts. */
__attribute__((format(printf, 2, 3))) void sim_find(struct sim *s, const char *format, ...);
__attribute__((format(printf, 2, 3))) void sim_trace(struct sim *s, const char *format, ...);
bool sim_is_up(const struct sim *s, uint16_t region);
bool sim_reaches(const struct sim *s, uint16_t from, uint16_t to);
uint64_t sim_mix(uint64_t a, uint64_t b);
/* Runs the plan to its end and judges it. False: s->finding says why. Everything is freed. */
bool sim_run(const struct sim_plan *plan, bool trace, struct sim *s);

/* ---- world.c: regions ------------------------------------------------------------------------------ */

/* The process of a region ends, with the power or not; what is under way there breaks. None of its frames may
 * be on the stack. */
void sim_region_end(struct sim *s, uint16_t number, bool power);
/* Its disk has room again, and nothing that is to come fails. */
void sim_disk_mend(struct sim *s, uint16_t number);
enum dom_code sim_region_begin(struct sim *s, uint16_t number, struct dom_err *err);

/* ---- restore.c: a disk that is lost, and its backup ------------------------------------------------- */

/* Does nothing where it cannot be now; one backup and one restore a run. */
void sim_back_up(struct sim *s, uint16_t at);
void sim_restore(struct sim *s, uint16_t at);
/* At a durable step of some region's move. */
void sim_restore_at(struct sim *s, const char *step);
/* The region's disk is lost: it begins with the backup. */
void sim_restored_begin(struct sim *s, uint16_t at);
void sim_doubt(struct sim *s, uint16_t at);
void sim_accept_loss(struct sim *s, uint16_t at);
/* Whether a copy that another region has of who is lost may not live where it would go on, by the charter in
 * force: then an operator gives one that lets it. */
bool sim_waits_for_charter(struct sim *s);
void sim_backup_free(struct sim *s);

/* ---- call.c: clients ------------------------------------------------------------------------------- */

/* Begins the call of an event and takes `steps` steps of it. */
void sim_call_begin(struct sim *s, const struct sim_event *e, uint32_t steps);
void sim_call_step(struct sim *s, struct sim_call *c);
/* Those that stand in region `at` (0: all) end here: their connections broke. */
void sim_calls_break(struct sim *s, uint16_t at);
/* Everything of one key through one gateway, into its history. DOM_OK: it was seen. */
enum dom_code sim_look(struct sim *s, uint32_t key, uint16_t gateway);
/* The value of a write, appended. */
void sim_value(const struct sim *s, uint32_t id, struct buf *out);

/* ---- judge.c: what must hold -------------------------------------------------------------------------- */

/* Cheap: after each event and at each step of a move. */
void sim_judge_step(struct sim *s);
/* After each event that is not inside another. */
void sim_judge_event(struct sim *s);
/* When everything is up, mended and settled. */
void sim_judge_rest(struct sim *s);
void sim_judge_histories(struct sim *s);

#endif
