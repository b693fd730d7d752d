/* Checks that must find planted bugs: each runs over whole regions on simulated disks and net, once over the
 * program as it is, where it must find nothing, and once with a bug planted into one source file
 * (plants.py), where it must find something.
 *
 * usage: test_planted CHECK clean|caught */
#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "lib/regions.h"
#include "move/handoff.h"

enum {
  CN = 1,
  SG = 2,
  OBJECTS = 12,
  LARGE_BYTES = (1 << 20) + 100000, /* above what is stored inside records */
  SEEDS = 12,                       /* a power cut keeps unsynced writes by chance */
  CUTS = 6                          /* disk operations around one step that are tried */
};

struct world {
  struct test_regions t;
  uint8_t token[TOKEN_SIZE];
  void (*at_step)(struct world *w, const char *step);
  bool acknowledged, stepped;
  struct net net; /* of cn, in between: loses or replays one answer */
  struct net *real;
  struct buf answer;
  enum { NET_HONEST, NET_LOSES_PREPARED, NET_REPLAYS_PREPARED } net_mode;
  char finding[160]; /* empty: none */
};

__attribute__((format(printf, 2, 3))) static void find(struct world *w, const char *format, ...) {
  if (w->finding[0]) return;
  va_list args;
  va_start(args, format);
  vsnprintf(w->finding, sizeof w->finding, format, args);
  va_end(args);
}

#define MUST(call)                                                                                           \
  do {                                                                                                       \
    enum dom_code must_ = (call);                                                                            \
    if (must_) {                                                                                             \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, dom_code_name(must_));                   \
      exit(3);                                                                                               \
    }                                                                                                        \
  } while (0)

/* ---- a world with one subject in it ------------------------------------------------------- */

static void fault(void *arg, const char *step) {
  struct world *w = arg;
  if (w->at_step) w->at_step(w, step);
}

static void object_name(int i, char out[32]) {
  snprintf(out, 32, "photos/%d", i);
}

static void object_value(int i, char out[32]) {
  snprintf(out, 32, "picture %d", i);
}

static void world_open(struct world *w, uint64_t seed) {
  *w = (struct world){0};
  w->t.fault_point = fault;
  w->t.fault_arg = w;
  regions_open(&w->t, 2, seed, 1);
  regions_bucket(&w->t);
  struct subject_who who;
  MUST(subject_register(w->t.region[CN].subjects, SLICE_LIT("phones-inc"), SLICE_LIT("asha"), "IN", &who,
                        NULL));
  memcpy(w->token, who.token, TOKEN_SIZE);
  for (int i = 0; i < OBJECTS; i++) {
    char name[32], value[32];
    object_name(i, name);
    object_value(i, value);
    MUST(region_put(&w->t, CN, "asha", name, value));
  }
  MUST(region_put_large(&w->t, CN, "asha", "large", LARGE_BYTES, 5));
}

static void world_close(struct world *w) {
  buf_done(&w->answer);
  regions_close(&w->t);
}

/* The power goes at a region and comes back; it starts again. */
static void restart(struct world *w, uint16_t number) {
  struct disk *disk = w->t.region[number].disk;
  struct dom_err err = {0};
  bool off = disk_sim_is_off(disk);
  if (!off) disk_sim_power_cut(disk);
  region_stop(&w->t, number);
  disk_sim_cut_after(disk, 0);
  if (off) disk_sim_power_cut(disk);
  if (region_start(&w->t, number, &err)) find(w, "region %u does not start: %s", number, err.text);
}

static void settle(struct world *w) {
  for (int round = 0; round < 6; round++) {
    clock_sim_advance(w->t.clock, 60000);
    for (uint16_t i = 1; i <= w->t.count; i++) {
      bool did = false;
      mover_upkeep(w->t.region[i].mover, &did, NULL);
      store_upkeep(w->t.region[i].store, &did, NULL);
    }
  }
}

/* ---- what must hold ------------------------------------------------------------------------- */

/* The one region that serves the subject by its own word; 0 when none or two do. */
static uint16_t home_of(struct world *w) {
  uint16_t home = 0;
  for (uint16_t i = 1; i <= w->t.count; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    MUST(store_view_open(w->t.region[i].store, &v, NULL));
    if (store_subject_get(v, w->token, &row, NULL) || row.state == SUBJECT_MOVED) continue;
    if (home) return 0;
    home = i;
  }
  return home;
}

static bool holds(struct world *w, uint16_t at, const char *name, const char *want) {
  BUF_AUTO out = BUF_INIT;
  return region_get(&w->t, at, "asha", name, &out) == DOM_OK && slice_equal(buf_slice(&out), slice_str(want));
}

/* Exactly one home, and every acknowledged write there. */
static void check_home(struct world *w, const char *when) {
  if (w->finding[0]) return;
  uint16_t home = home_of(w);
  if (!home) {
    find(w, "%s: no region or two serve the subject", when);
    return;
  }
  for (int i = 0; i < OBJECTS; i++) {
    char name[32], value[32];
    object_name(i, name);
    object_value(i, value);
    if (!holds(w, home, name, value)) find(w, "%s: %s is lost at region %u", when, name, home);
  }
  BUF_AUTO out = BUF_INIT;
  bool large = region_get(&w->t, home, "asha", "large", &out) == DOM_OK && out.len == LARGE_BYTES &&
               out.data[LARGE_BYTES - 1] == 5;
  if (!large) find(w, "%s: the large object is lost at region %u", when, home);
  if (w->acknowledged && !holds(w, home, "late", "late"))
    find(w, "%s: an acknowledged write is lost at region %u", when, home);
}

/* What an entry of the ledger says must be so: the state that it reports is durable too. */
struct agree {
  struct world *w;
  struct store_view *v;
};

static bool is_reached(enum handoff_side side, enum handoff_state state, enum ledger_type type) {
  switch (type) {
  case LEDGER_MOVE_INTENT:
    return side == HANDOFF_SOURCE;
  case LEDGER_MOVE_COMMITTED:
    return side == HANDOFF_SOURCE && state >= HANDOFF_COMMITTED && state <= HANDOFF_PURGED;
  case LEDGER_KEY_DROPPED:
    return side == HANDOFF_SOURCE && state >= HANDOFF_DROPPED && state <= HANDOFF_PURGED;
  case LEDGER_MOVE_PREPARED:
    return side == HANDOFF_TARGET && state >= HANDOFF_PREPARED;
  case LEDGER_SUBJECT_HOMED:
    return side == HANDOFF_TARGET && state == HANDOFF_ACTIVE;
  case LEDGER_MOVE_ABORTED:
    return state == HANDOFF_ABORTED || state == HANDOFF_DISCARDED;
  default:
    return true;
  }
}

static bool agree_one(void *arg, const struct store_entry *e) {
  struct agree *a = arg;
  struct ledger_payload p;
  MUST(ledger_payload_decode(e->payload, &p, NULL));
  if (p.to_epoch < 2) return true; /* a registration */
  bool reached = false;
  for (int side = HANDOFF_SOURCE; side <= HANDOFF_TARGET; side++) {
    struct handoff h;
    if (handoff_get(a->v, a->w->token, p.to_epoch, (enum handoff_side)side, &h, NULL)) continue;
    reached = reached || is_reached(h.side, h.state, p.type);
  }
  if (!reached) find(a->w, "the ledger says \"%s\" of what is not so", ledger_type_name(p.type));
  return true;
}

static void check_ledger(struct world *w) {
  for (uint16_t i = 1; i <= w->t.count && !w->finding[0]; i++) {
    struct agree a = {.w = w};
    MUST(store_view_open(w->t.region[i].store, &a.v, NULL));
    MUST(store_entries_of(a.v, w->token, agree_one, &a, NULL));
    store_view_close(a.v);
  }
}

/* ---- an fsync left out ------------------------------------------------------------------------ */

/* What was acknowledged is there after the power went. */
static void check_power(struct world *w, uint64_t seed) {
  (void)seed;
  if (region_put(&w->t, CN, "asha", "late", "late") == DOM_OK) w->acknowledged = true;
  restart(w, CN);
  if (!w->finding[0]) check_home(w, "after a power cut");
}

/* ---- a fence not persisted ----------------------------------------------------------------------- */

static void write_behind_fence(struct world *w, const char *step) {
  if (strcmp(step, "+peer-prepared") != 0) return;
  w->stepped = true;
  w->acknowledged = region_put(&w->t, CN, "asha", "late", "late") == DOM_OK;
}

/* A write that comes when both manifests are computed is refused, or it is there afterwards. */
static void check_fence(struct world *w, uint64_t seed) {
  (void)seed;
  w->at_step = write_behind_fence;
  MUST(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL));
  assert(w->stepped);
  check_home(w, "after a move");
}

/* ---- a PREPARED of an old epoch accepted ------------------------------------------------------------ */

static enum dom_code call_between(struct net *n, uint16_t to, const char *path, const struct net_body *body,
                                  uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  struct world *w = (struct world *)((char *)n - offsetof(struct world, net));
  bool prepare = strcmp(path, "move/prepare") == 0;
  if (prepare && w->net_mode == NET_REPLAYS_PREPARED) {
    buf_append_slice(reply, buf_slice(&w->answer));
    return DOM_OK;
  }
  if (!prepare || w->net_mode == NET_HONEST)
    return w->real->ops->call(w->real, to, path, body, timeout_ms, reply, err);
  enum dom_code code = w->real->ops->call(w->real, to, path, body, timeout_ms, &w->answer, err);
  assert(code == DOM_OK);
  return dom_fail(err, DOM_TIMEOUT, "test", "the answer is late");
}

/* Opens cn's mover anew, with a net between it and the others. */
static void come_between(struct world *w) {
  static const struct net_ops OPS = {.call = call_between};
  struct test_region *r = &w->t.region[CN];
  w->net.ops = &OPS;
  w->real = r->net;
  mover_close(r->mover);
  struct mover_options o = {.store = r->store,
                            .subjects = r->subjects,
                            .net = &w->net,
                            .clock = w->t.clock,
                            .region = CN,
                            .inline_threads = true};
  MUST(mover_open(&o, &r->mover, NULL));
}

/* The answer to the first epoch's question comes when the second epoch's is asked. */
static void check_epochs(struct world *w, uint64_t seed) {
  (void)seed;
  come_between(w);
  w->net_mode = NET_LOSES_PREPARED;
  enum dom_code first = mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  assert(first != DOM_OK && w->answer.len > 0);
  MUST(region_put(&w->t, CN, "asha", "late", "late"));
  w->acknowledged = true;
  w->net_mode = NET_REPLAYS_PREPARED;
  enum dom_code second = mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  /* A target that comes to it late is sent everything again: that it was committed is the wrong step. */
  if (second == DOM_OK || home_of(w) != CN) find(w, "the source took an old epoch's PREPARED");
  w->net_mode = NET_HONEST;
  settle(w);
  check_home(w, "after an old PREPARED");
  if (!w->finding[0]) MUST(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL));
  check_home(w, "after another move");
}

/* ---- erased before the target confirmed ---------------------------------------------------------------- */

static void cut_line(struct world *w, const char *step) {
  if (strcmp(step, "+committed") == 0) net_sim_cut(w->t.net, CN, SG, w->stepped = true);
  if (strcmp(step, "+slot-overwritten") == 0 && home_of(w) != SG)
    find(w, "the source's key is gone and the target does not serve");
}

static void check_erasure(struct world *w, uint64_t seed) {
  (void)seed;
  w->at_step = cut_line;
  mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  assert(w->stepped);
  net_sim_cut(w->t.net, CN, SG, false);
  settle(w);
  check_home(w, "after the line came back");
}

/* ---- a ledger entry before its state
 * ----------------------------------------------------------------------- */

static uint64_t cut_at; /* disk operations after the step */

static void cut_power(struct world *w, const char *step) {
  if (w->stepped || strcmp(step, "-committed") != 0) return;
  w->stepped = true;
  disk_sim_cut_after(w->t.region[CN].disk, cut_at);
}

static void check_entries(struct world *w, uint64_t seed) {
  cut_at = 1 + seed % CUTS;
  w->at_step = cut_power;
  mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  assert(w->stepped);
  w->at_step = NULL;
  restart(w, CN);
  check_ledger(w);
  settle(w);
  check_ledger(w);
  check_home(w, "after a power cut at the commit");
}

/* ---- all checks
 * --------------------------------------------------------------------------------------------- */

static const struct check {
  const char *name;
  void (*run)(struct world *w, uint64_t seed);
} CHECKS[] = {{"power", check_power},
              {"fence", check_fence},
              {"epochs", check_epochs},
              {"erasure", check_erasure},
              {"entries", check_entries}};

/* The first finding of all seeds. Never freed: the process ends. */
static const char *run(const struct check *c) {
  struct world *w = malloc(sizeof *w);
  assert(w);
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    world_open(w, seed);
    c->run(w, seed);
    if (w->finding[0]) return w->finding; /* a world with a bug in it may not even close */
    world_close(w);
  }
  free(w);
  return NULL;
}

/* The program's own assertions may be the first to see a bug. */
static void on_abort(int signal) {
  static const char SAID[] = "an assertion of the program failed\n";
  ssize_t n = write(STDERR_FILENO, SAID, sizeof SAID - 1);
  _exit(n > 0 && signal == SIGABRT ? 0 : 1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  bool caught = strcmp(argv[2], "caught") == 0;
  if (caught) signal(SIGABRT, on_abort);
  for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
    if (strcmp(CHECKS[i].name, argv[1]) != 0) continue;
    const char *finding = run(&CHECKS[i]);
    printf("%s: %s\n", argv[1], finding ? finding : "nothing found");
    return caught == (finding != NULL) ? 0 : 1;
  }
  return 2;
}
