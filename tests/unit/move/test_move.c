/* Whole handoffs between regions: contents, writes meanwhile, crashes at each durable step on each side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/move_internal.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3, IN = 4, ASHA_OBJECTS = 30 };

struct world {
  struct test_regions t;
  uint8_t token[TOKEN_SIZE];
  /* the fault point to die at */
  const char *die_at;
  bool new_charter; /* instead of dying: a new charter comes into force and the link breaks */
  uint16_t victim;
  bool died;
  int rounds; /* of the journal, as a hook counted them */
};

static void fault(void *arg, const char *step) {
  struct world *w = arg;
  if (!w->die_at || w->died || strcmp(step, w->die_at) != 0) return;
  w->died = true;
  if (w->new_charter) {
    assert_int_equal(regions_force(&w->t, 2, false), DOM_OK);
    net_sim_cut(w->t.net, CN, SG, true);
    return;
  }
  disk_sim_cut_after(w->t.region[w->victim].disk, 1); /* from here on its disk answers nothing */
  net_sim_leave(w->t.net, w->victim);
}

static struct world *world_new(uint64_t seed) {
  struct world *w = dom_calloc(1, sizeof *w);
  assert_non_null(w);
  w->t.fault_point = fault;
  w->t.fault_arg = w;
  regions_open(&w->t, 4, seed, 1);
  regions_bucket(&w->t);
  struct subject_who who;
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  memcpy(w->token, who.token, TOKEN_SIZE);
  for (int i = 0; i < ASHA_OBJECTS; i++) {
    char name[32], value[32];
    snprintf(name, sizeof name, "photos/%d", i);
    snprintf(value, sizeof value, "picture %d", i);
    assert_int_equal(region_put(&w->t, CN, "asha", name, value), DOM_OK);
  }
  assert_int_equal(region_put(&w->t, CN, "asha", "empty", ""), DOM_OK);
  assert_int_equal(region_put_large(&w->t, CN, "asha", "large", (3u << 20) + 17, 5), DOM_OK);
  return w;
}

static void world_free(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

static void assert_value(struct world *w, uint16_t at, const char *name, const char *want) {
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(&w->t, at, "asha", name, &out), DOM_OK);
  assert_true(slice_equal(buf_slice(&out), slice_str(want)));
}

static void assert_all_at(struct world *w, uint16_t at) {
  for (int i = 0; i < ASHA_OBJECTS; i++) {
    char name[32], value[32];
    snprintf(name, sizeof name, "photos/%d", i);
    snprintf(value, sizeof value, "picture %d", i);
    assert_value(w, at, name, value);
  }
  assert_value(w, at, "empty", "");
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(&w->t, at, "asha", "large", &out), DOM_OK);
  assert_int_equal(out.len, (3u << 20) + 17);
  assert_int_equal(out.data[(3u << 20) + 16], 5);
}

/* The region that serves the subject, by its own word; exactly one. */
static uint16_t home_of(struct world *w) {
  uint16_t home = 0;
  for (uint16_t i = 1; i <= 4; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    assert_int_equal(store_view_open(w->t.region[i].store, &v, NULL), DOM_OK);
    if (store_subject_get(v, w->token, &row, NULL) || row.state == SUBJECT_MOVED) continue;
    assert_int_equal(home, 0);
    home = i;
  }
  return home;
}

/* Nothing of (token, epoch) is left: no row, no key. */
static void assert_gone(struct world *w, uint16_t at, uint64_t epoch) {
  STORE_VIEW_AUTO *v = NULL;
  bool present = true;
  struct vault_key key = {.epoch = epoch};
  memcpy(key.token, w->token, TOKEN_SIZE);
  assert_int_equal(store_view_open(w->t.region[at].store, &v, NULL), DOM_OK);
  assert_int_equal(store_epoch_present(v, w->token, epoch, &present, NULL), DOM_OK);
  assert_false(present);
  assert_int_equal(vault_key_exists(store_vault(w->t.region[at].store), &key, NULL), DOM_NOT_FOUND);
}

static void settle(struct world *w) {
  for (int round = 0; round < 6; round++) {
    clock_sim_advance(w->t.clock, 60000);
    for (uint16_t i = 1; i <= 4; i++) {
      bool did = false;
      mover_upkeep(w->t.region[i].mover, &did, NULL);
      store_upkeep(w->t.region[i].store, &did, NULL);
    }
  }
}

/* No handoff is left that still waits for something, but for KEK rotation. */
static bool is_settled(void *arg, const struct handoff *h) {
  bool done = h->state == HANDOFF_DROPPED || h->state == HANDOFF_ERASED || h->state == HANDOFF_PURGED ||
              h->state == HANDOFF_ABORTED || h->state == HANDOFF_ACTIVE || h->state == HANDOFF_DISCARDED;
  if (!done) *(enum handoff_state *)arg = h->state;
  return done;
}

static void assert_settled(struct world *w) {
  for (uint16_t i = 1; i <= 4; i++) {
    STORE_VIEW_AUTO *v = NULL;
    enum handoff_state stuck = HANDOFF_NONE;
    assert_int_equal(store_view_open(w->t.region[i].store, &v, NULL), DOM_OK);
    assert_int_equal(handoff_scan(v, NULL, is_settled, &stuck, NULL), DOM_OK);
    if (stuck != HANDOFF_NONE) fail_msg("region %u: a handoff is stuck: %s", i, handoff_state_name(stuck));
  }
}

static void test_there_and_on(void **state) {
  (void)state;
  struct world *w = world_new(1);
  struct dom_err err = {0};
  struct subject_who who;
  enum dom_code code = mover_move_subject(w->t.region[CN].mover, w->token, SG, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(home_of(w), SG);
  assert_all_at(w, SG);
  assert_gone(w, CN, 1);
  assert_int_equal(region_put(&w->t, CN, "asha", "x", "y"), DOM_ELSEWHERE);
  assert_int_equal(region_who(&w->t, US, "asha", &who), DOM_OK); /* the registrar knows */
  assert_int_equal(who.home, SG);
  assert_int_equal(region_put(&w->t, SG, "asha", "photos/0", "new"), DOM_OK);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, US, NULL), DOM_ELSEWHERE);
  assert_int_equal(mover_move_subject(w->t.region[SG].mover, w->token, US, NULL), DOM_OK);
  assert_value(w, US, "photos/0", "new");
  /* and back to where it once was */
  assert_int_equal(mover_move_subject(w->t.region[US].mover, w->token, CN, &err), DOM_OK);
  assert_int_equal(home_of(w), CN);
  assert_value(w, CN, "photos/0", "new");
  assert_value(w, CN, "photos/1", "picture 1");
  assert_settled(w);
  world_free(w);
}

static void test_refused(void **state) {
  (void)state;
  struct world *w = world_new(2);
  struct dom_err err = {0};
  assert_int_equal(regions_force(&w->t, 2, false), DOM_OK);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, IN, &err), DOM_REFUSED);
  assert_non_null(strstr(err.text, "rules.IN"));
  assert_int_equal(home_of(w), CN);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, CN, NULL), DOM_INVALID);
  uint8_t nobody[TOKEN_SIZE] = {9};
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, nobody, SG, NULL), DOM_NOT_FOUND);
  net_sim_cut(w->t.net, CN, US, true);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, US, NULL), DOM_UNAVAILABLE);
  net_sim_cut(w->t.net, CN, US, false);
  assert_int_equal(region_put(&w->t, CN, "asha", "after", "1"), DOM_OK); /* it never left */
  settle(w);
  assert_settled(w);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, US, NULL), DOM_OK);
  assert_value(w, US, "after", "1");
  world_free(w);
}

/* Writes fall between snapshot and journal: the hook sits in the net, at the first message with items. */
struct meddler {
  struct world *w;
  int message;
};
static void meddle(void *arg, const char *step) {
  struct meddler *m = arg;
  if (strcmp(step, "+copying") != 0 && strcmp(step, "-fenced") != 0) return;
  m->message++;
  char name[32];
  snprintf(name, sizeof name, "during/%d", m->message);
  assert_int_equal(region_put(&m->w->t, CN, "asha", name, step), DOM_OK);
  assert_int_equal(region_put(&m->w->t, CN, "asha", "photos/3", step), DOM_OK);
  if (m->message == 1) assert_int_equal(region_delete(&m->w->t, CN, "asha", "photos/4"), DOM_OK);
  if (m->message == 2)
    assert_int_equal(region_put_large(&m->w->t, CN, "asha", "photos/5", 2u << 20, 9), DOM_OK);
}

static void test_writes_meanwhile(void **state) {
  (void)state;
  struct world *w = world_new(3);
  struct meddler m = {.w = w};
  /* the mover of cn was opened with the world's hook: open it anew with the meddler's */
  region_stop(&w->t, CN);
  w->t.fault_point = meddle;
  w->t.fault_arg = &m;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  struct dom_err err = {0};
  enum dom_code code = mover_move_subject(w->t.region[CN].mover, w->token, SG, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(m.message, 2);
  BUF_AUTO out = BUF_INIT;
  assert_value(w, SG, "during/1", "+copying");
  assert_value(w, SG, "during/2", "-fenced");
  assert_value(w, SG, "photos/3", "-fenced");
  assert_int_equal(region_get(&w->t, SG, "asha", "photos/4", &out), DOM_NOT_FOUND);
  assert_int_equal(region_get(&w->t, SG, "asha", "photos/5", &out), DOM_OK);
  assert_int_equal(out.len, 2u << 20);
  assert_gone(w, CN, 1);
  world_free(w);
}

/* Ends what is left of a region that died, with the loss of everything unsynced; its disk works again. */
static void bury(struct world *w, uint16_t victim) {
  region_stop(&w->t, victim);
  disk_sim_cut_after(w->t.region[victim].disk, 0);
  disk_sim_power_cut(w->t.region[victim].disk);
  disk_sim_power_on(w->t.region[victim].disk);
}

/* One crash at one durable step of one side; afterwards exactly one home, everything there, nothing stuck,
 * and a second move succeeds. */
static void crash_at(const char *step, uint16_t victim) {
  struct world *w = world_new(4);
  w->die_at = step;
  w->victim = victim;
  mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  if (!w->died) fail_msg("the step %s was never reached", step);
  w->die_at = NULL;
  bury(w, victim);
  struct dom_err err = {0};
  enum dom_code code = region_start(&w->t, victim, &err);
  if (code) fail_msg("%s at %u: %s: %s", step, victim, err.where, err.text);
  settle(w);
  assert_settled(w);
  uint16_t home = home_of(w);
  assert_true(home == CN || home == SG);
  assert_all_at(w, home);
  if (home == SG)
    assert_gone(w, CN, 1);
  else
    assert_gone(w, SG, 2);
  if (home == CN) assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, &err), DOM_OK);
  assert_all_at(w, SG);
  assert_int_equal(region_put(&w->t, SG, "asha", "photos/0", "later"), DOM_OK);
  assert_value(w, SG, "photos/0", "later");
  world_free(w);
}

static void test_source_crashes(void **state) {
  (void)state;
  static const char *const STEPS[] = {"-copying",       "+copying",          "-fenced",       "+fenced",
                                      "+peer-prepared", "-committed",        "+committed",    "-erasing",
                                      "+erasing",       "+slot-overwritten", "+rows-removed", "-key-dropped",
                                      "+key-dropped"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) crash_at(STEPS[i], CN);
}

static void test_target_crashes(void **state) {
  (void)state;
  static const char *const STEPS[] = {"-staging", "+staging", "-prepared", "+prepared", "-active", "+active"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) crash_at(STEPS[i], SG);
}

/* The charter changes between PREPARED and the commit, so the source aborts; its message is lost: the target
 * keeps a prepared copy until it asks, and shreds it then. */
static void test_lost_abort(void **state) {
  (void)state;
  struct world *w = world_new(5);
  w->die_at = "+peer-prepared";
  w->new_charter = true;
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_STALE_EPOCH);
  assert_true(w->died);
  w->die_at = NULL;
  assert_int_equal(home_of(w), CN);
  assert_int_equal(region_put(&w->t, CN, "asha", "photos/0", "picture 0"), DOM_OK);
  STORE_VIEW_AUTO *v = NULL;
  struct handoff h;
  assert_int_equal(store_view_open(w->t.region[SG].store, &v, NULL), DOM_OK);
  assert_int_equal(handoff_get(v, w->token, 2, HANDOFF_TARGET, &h, NULL), DOM_OK);
  assert_int_equal(h.state, HANDOFF_PREPARED);
  settle(w); /* the link is down: it must wait, not guess */
  STORE_VIEW_AUTO *later = NULL;
  assert_int_equal(store_view_open(w->t.region[SG].store, &later, NULL), DOM_OK);
  assert_int_equal(handoff_get(later, w->token, 2, HANDOFF_TARGET, &h, NULL), DOM_OK);
  assert_int_equal(h.state, HANDOFF_PREPARED);
  net_sim_cut(w->t.net, CN, SG, false);
  settle(w);
  assert_settled(w);
  assert_gone(w, SG, 2);
  assert_all_at(w, CN);
  store_view_close(v);
  store_view_close(later);
  v = later = NULL;
  world_free(w);
}

/* A thread that saw a handoff PREPARED, or COPYING, and comes late must change nothing. */
static void test_stale_thread(void **state) {
  (void)state;
  struct world *w = world_new(9);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  struct handoff at_target, at_source;
  {
    STORE_VIEW_AUTO *v = NULL;
    STORE_VIEW_AUTO *u = NULL;
    assert_int_equal(store_view_open(w->t.region[SG].store, &v, NULL), DOM_OK);
    assert_int_equal(store_view_open(w->t.region[CN].store, &u, NULL), DOM_OK);
    assert_int_equal(handoff_get(v, w->token, 2, HANDOFF_TARGET, &at_target, NULL), DOM_OK);
    assert_int_equal(handoff_get(u, w->token, 2, HANDOFF_SOURCE, &at_source, NULL), DOM_OK);
  }
  struct handoff again = at_target; /* a second "begin" that was long under way */
  again.state = HANDOFF_NONE;
  assert_int_equal(mover_advance(w->t.region[SG].mover, &again, EVENT_BEGIN, NULL, NULL, NULL),
                   DOM_STALE_EPOCH);
  at_target.state = HANDOFF_PREPARED;
  assert_int_equal(erase_discard(w->t.region[SG].mover, &at_target, NULL), DOM_STALE_EPOCH);
  at_source.state = HANDOFF_COPYING;
  assert_int_equal(source_resume(w->t.region[CN].mover, &at_source, NULL), DOM_STALE_EPOCH);
  assert_int_equal(home_of(w), SG);
  assert_all_at(w, SG);
  world_free(w);
}

/* What is signed in part only are bodies, and nothing else comes that way. */
static void test_paths(void **state) {
  (void)state;
  assert_true(mover_takes(MOVE_BODY_PATH));
  assert_true(mover_takes(MOVE_ITEMS_PATH));
  assert_false(mover_takes("bulk/move/prepare"));
  assert_false(mover_takes("bulk/move/body/"));
  assert_false(mover_takes("bulk/"));
  assert_false(mover_takes("subject/home"));
}

/* Old, forged and misdirected messages change nothing. */
static void test_bad_messages(void **state) {
  (void)state;
  struct world *w = world_new(6);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  BUF_AUTO head = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  buf_append(&head, w->token, TOKEN_SIZE);
  put_u64be(&head, 2);
  static const char *const PATHS[] = {MOVE_ITEMS_PATH, MOVE_BODY_PATH, "move/prepare", "move/abort"};
  for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
    BUF_AUTO bulk = BUF_INIT;
    put_u32be(&bulk, (uint32_t)head.len);
    buf_append_slice(&bulk, buf_slice(&head));
    struct slice said = buf_slice(i < 2 ? &bulk : &head);
    assert_int_equal(mover_message(w->t.region[SG].mover, CN, PATHS[i], said, &reply, NULL), DOM_STALE_EPOCH);
    assert_int_equal(mover_message(w->t.region[SG].mover, US, PATHS[i], said, &reply, NULL), DOM_STALE_EPOCH);
    assert_int_equal(mover_message(w->t.region[SG].mover, CN, PATHS[i], SLICE_LIT("short"), &reply, NULL),
                     DOM_INVALID);
  }
  assert_int_equal(mover_message(w->t.region[SG].mover, CN, "move/other", buf_slice(&head), &reply, NULL),
                   DOM_NOT_FOUND);
  assert_int_equal(mover_message(w->t.region[SG].mover, CN, "move/commit", SLICE_LIT("\0\0"), &reply, NULL),
                   DOM_DENIED);
  /* a begin with an epoch that is not above all seen, and one for a subject at home here */
  put_u64be(&head, 1);
  buf_append_str(&head, "IN");
  put_u64be(&head, 1);
  assert_int_not_equal(mover_message(w->t.region[SG].mover, CN, "move/begin", buf_slice(&head), &reply, NULL),
                       DOM_OK);
  /* asking about an epoch that never was: aborted */
  buf_reset(&head);
  buf_append(&head, w->token, TOKEN_SIZE);
  put_u64be(&head, 77);
  buf_reset(&reply);
  assert_int_equal(mover_message(w->t.region[CN].mover, SG, "move/ask", buf_slice(&head), &reply, NULL),
                   DOM_OK);
  assert_int_equal(reply.data[0], 'a');
  assert_int_equal(home_of(w), SG);
  assert_all_at(w, SG);
  world_free(w);
}

/* Messages are lost, doubled and late; every move ends whole, here or there. */
static void test_rough_net(void **state) {
  (void)state;
  for (uint64_t seed = 100; seed < 130; seed++) {
    struct world *w = world_new(seed);
    net_sim_chances(w->t.net, 60, 60, 60);
    for (int i = 0; i < 3; i++) {
      uint16_t home = home_of(w);
      if (!home) {
        settle(w);
        continue;
      }
      mover_move_subject(w->t.region[home].mover, w->token, home == SG ? US : SG, NULL);
    }
    net_sim_chances(w->t.net, 0, 0, 0);
    net_sim_deliver_late(w->t.net);
    settle(w);
    assert_settled(w);
    uint16_t home = home_of(w);
    assert_true(home != 0);
    assert_all_at(w, home);
    world_free(w);
  }
}

static void test_job(void **state) {
  (void)state;
  struct world *w = world_new(8);
  struct subject_who who;
  char id[16];
  for (int i = 0; i < 20; i++) {
    snprintf(id, sizeof id, "u%d", i);
    assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, slice_str(id), "IN", &who, NULL),
                     DOM_OK);
    assert_int_equal(region_put(&w->t, CN, id, "note", id), DOM_OK);
  }
  assert_int_equal(regions_force(&w->t, 2, false), DOM_OK);
  struct move_spec spec = {.country = "IN", .share = {{SG, 50}, {US, 50}}, .share_count = 2};
  struct move_job_status plan, job, again;
  struct dom_err err = {0};
  assert_int_equal(mover_job_plan(w->t.region[CN].mover, &spec, &plan, NULL), DOM_OK);
  assert_int_equal(plan.subjects, 21);
  assert_int_equal(home_of(w), CN);
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &spec, &job, &err), DOM_OK);
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &spec, &again, NULL), DOM_OK);
  assert_int_equal(job.id, again.id); /* attaches, never a second job */
  bool did = false;
  assert_int_equal(mover_upkeep(w->t.region[CN].mover, &did, NULL), DOM_OK);
  assert_int_equal(mover_job_status(w->t.region[CN].mover, job.id, &job, NULL), DOM_OK);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, 21);
  assert_int_equal(job.subjects_failed, 0);
  for (int i = 0; i < 20; i++) {
    BUF_AUTO out = BUF_INIT;
    snprintf(id, sizeof id, "u%d", i);
    bool sg = region_get(&w->t, SG, id, "note", &out) == DOM_OK,
         us = region_get(&w->t, US, id, "note", &out) == DOM_OK;
    assert_true(sg != us);
    assert_true(slice_equal(buf_slice(&out), slice_str(id)));
  }
  struct move_spec bad = spec;
  bad.share[0].percent = 10;
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &bad, &job, NULL), DOM_INVALID);
  bad.share[0] = (__typeof__(bad.share[0])){IN, 50};
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &bad, &job, NULL), DOM_REFUSED);
  world_free(w);
}

/* Opens cn's mover anew with another hook. */
static void hook_source(struct world *w, void (*hook)(void *arg, const char *step), void *arg) {
  region_stop(&w->t, CN);
  w->t.fault_point = hook;
  w->t.fault_arg = arg;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
}

/* A large body written between COPYING and the snapshot is sent twice: by the snapshot and by the journal. */
static void write_before_snapshot(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+copying") != 0) return;
  assert_int_equal(region_put_large(&w->t, CN, "asha", "large", 2u << 20, 7), DOM_OK);
}

static void test_journaled_before_snapshot(void **state) {
  (void)state;
  struct world *w = world_new(11);
  hook_source(w, write_before_snapshot, w);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_int_equal(transfer_count(w->t.region[SG].mover), 0);
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(&w->t, SG, "asha", "large", &out), DOM_OK);
  assert_int_equal(out.len, 2u << 20);
  world_free(w);
}

/* What a crash left does not keep the next move from its work, upkeep or not. */
static void test_move_after_crash(void **state) {
  (void)state;
  static const char *const STEPS[] = {"+copying", "+fenced", "+committed", "+erasing"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
    struct world *w = world_new(12 + i);
    w->die_at = STEPS[i];
    w->victim = CN;
    assert_int_not_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
    w->die_at = NULL;
    bury(w, CN);
    assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
    assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
    assert_int_equal(home_of(w), SG);
    assert_all_at(w, SG);
    assert_gone(w, CN, 1);
    world_free(w);
  }
}

/* A rate limit slows the copy, never the writers that a fence holds. */
static void write_before_fence(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "-fenced") != 0) return;
  assert_int_equal(region_put_large(&w->t, CN, "asha", "large", 2u << 20, 7), DOM_OK);
}

static void write_hastily(struct world *w) {
  for (int i = 0; i <= MOVE_FENCE_ENTRIES; i++) {
    char name[32];
    snprintf(name, sizeof name, "hasty/%d-%d", w->rounds, i);
    assert_int_equal(region_put(&w->t, CN, "asha", name, "note"), DOM_OK);
  }
}

/* A writer that writes more in each round than one may leave: it is slowed ever more, then fenced. */
static void outrun(void *arg, const char *step) {
  struct world *w = arg;
  struct timespec began, now;
  if (strcmp(step, "+snapshot") == 0) write_hastily(w);
  if (strcmp(step, "+round") != 0) return;
  clock_gettime(CLOCK_MONOTONIC, &began);
  assert_int_equal(subject_gate_enter(w->t.region[CN].subjects, w->token, 1000), SUBJECT_GATE_OPEN);
  clock_gettime(CLOCK_MONOTONIC, &now);
  subject_gate_leave(w->t.region[CN].subjects, w->token);
  int64_t waited_ms = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
  if (++w->rounds > MOVE_ROUNDS_MAX)
    assert_true(waited_ms >= MOVE_SLOW_MS << (w->rounds - MOVE_ROUNDS_MAX - 1));
  write_hastily(w);
}

static void test_outrun(void **state) {
  (void)state;
  struct world *w = world_new(31);
  hook_source(w, outrun, w);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_int_equal(w->rounds, MOVE_ROUNDS_MAX + MOVE_SLOW_ROUNDS_MAX);
  assert_all_at(w, SG);
  for (int r = 0; r <= w->rounds; r++) {
    char name[32];
    snprintf(name, sizeof name, "hasty/%d-%d", r, MOVE_FENCE_ENTRIES);
    assert_value(w, SG, name, "note");
  }
  world_free(w);
}

/* Few entries, but many bytes: they too are copied before the fence goes up. */
static void write_large(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+round") == 0) w->rounds++;
  if (w->rounds > 2 || (strcmp(step, "+round") != 0 && strcmp(step, "+snapshot") != 0)) return;
  assert_int_equal(region_put_large(&w->t, CN, "asha", "film", MOVE_FENCE_BYTES + 1, 7), DOM_OK);
}

static void test_large_rest(void **state) {
  (void)state;
  struct world *w = world_new(32);
  hook_source(w, write_large, w);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_int_equal(w->rounds, 4);
  world_free(w);
}

static const struct move_spec ALL_TO_SG = {.country = "IN", .share = {{SG, 100}}, .share_count = 1};

static void test_rate_spares_fence(void **state) {
  (void)state;
  struct world *w = world_new(21);
  hook_source(w, write_before_fence, w);
  struct move_spec spec = ALL_TO_SG;
  struct move_job_status job;
  bool did = false;
  spec.rate_bytes_s = 100000;
  uint64_t began = clock_mono_ns(w->t.clock);
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &spec, &job, NULL), DOM_OK);
  assert_int_equal(mover_upkeep(w->t.region[CN].mover, &did, NULL), DOM_OK);
  assert_int_equal(mover_job_status(w->t.region[CN].mover, job.id, &job, NULL), DOM_OK);
  assert_int_equal(job.subjects_done, 1);
  assert_true(clock_mono_ns(w->t.clock) - began > UINT64_C(20000000000)); /* 3 MiB took its time */
  assert_true(job.held_ms_p99 < 2000);
  world_free(w);
}

/* Cancelled is cancelled, whatever the process does next. */
static void test_cancel_survives(void **state) {
  (void)state;
  struct world *w = world_new(22);
  struct move_job_status job;
  bool did = false;
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &ALL_TO_SG, &job, NULL), DOM_OK);
  assert_int_equal(mover_job_cancel(w->t.region[CN].mover, job.id, NULL), DOM_OK);
  bury(w, CN);
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  assert_int_equal(mover_upkeep(w->t.region[CN].mover, &did, NULL), DOM_OK);
  assert_int_equal(mover_job_status(w->t.region[CN].mover, job.id, &job, NULL), DOM_OK);
  assert_int_equal(job.state, JOB_CANCELLED);
  assert_int_equal(home_of(w), CN);
  assert_int_equal(mover_job_cancel(w->t.region[CN].mover, job.id, NULL), DOM_NOT_FOUND);
  world_free(w);
}

/* One job too many is refused and leaves nothing that would keep the region from starting. */
static void test_too_many_jobs(void **state) {
  (void)state;
  struct world *w = world_new(23);
  struct move_job_status job;
  enum dom_code code = DOM_OK;
  for (uint8_t i = 1; !code && i < 50; i++) {
    struct move_spec spec = {.country = "IN", .share = {{SG, i}, {US, (uint8_t)(100 - i)}}, .share_count = 2};
    code = mover_job_start(w->t.region[CN].mover, &spec, &job, NULL);
  }
  assert_int_equal(code, DOM_BUSY);
  bury(w, CN);
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  world_free(w);
}

/* Cuts the line to the target as soon as a subject is committed. */
struct cutter {
  struct world *w;
  uint16_t to;
};
static void cut_at_commit(void *arg, const char *step) {
  struct cutter *c = arg;
  if (strcmp(step, "+committed") == 0) net_sim_cut(c->w->t.net, CN, c->to, true);
}

static void test_unconfirmed_job(void **state) {
  (void)state;
  struct world *w = world_new(24);
  struct cutter c = {.w = w, .to = SG};
  struct move_job_status job;
  bool did = false;
  hook_source(w, cut_at_commit, &c);
  assert_int_equal(mover_job_start(w->t.region[CN].mover, &ALL_TO_SG, &job, NULL), DOM_OK);
  mover_upkeep(w->t.region[CN].mover, &did, NULL);
  assert_int_equal(mover_job_status(w->t.region[CN].mover, job.id, &job, NULL), DOM_OK);
  assert_int_equal(job.subjects_done, 1);                       /* the home changed … */
  assert_non_null(strstr(job.last_failure, "did not confirm")); /* … but the old copy is there */
  net_sim_cut(w->t.net, CN, SG, false);
  settle(w);
  assert_settled(w);
  assert_gone(w, CN, 1);
  world_free(w);
}

/* There, back and on before the first target could confirm: what the subject left behind at its first home
 * goes, though that home's statement is now about its second departure. */
static void test_left_again_unconfirmed(void **state) {
  (void)state;
  struct world *w = world_new(26);
  struct cutter c = {.w = w, .to = US};
  hook_source(w, cut_at_commit, &c);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, US, NULL), DOM_UNAVAILABLE);
  struct store_view *v = NULL;
  BUF_AUTO statement = BUF_INIT;
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_statement_kept(v, w->token, &statement, NULL), DOM_OK);
  store_view_close(v);
  /* Somebody's request brought the statement along. */
  assert_int_equal(mover_take_statement(w->t.region[US].mover, buf_slice(&statement), NULL), DOM_OK);
  net_sim_cut(w->t.net, CN, US, false);
  c.to = IN; /* nobody needs that line */
  assert_int_equal(mover_move_subject(w->t.region[US].mover, w->token, CN, NULL), DOM_OK);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  settle(w);
  assert_settled(w);
  for (uint64_t epoch = 1; epoch <= 3; epoch += 2) assert_gone(w, CN, epoch);
  assert_all_at(w, SG);
  assert_int_equal(home_of(w), SG);
  world_free(w);
}

/* A dead target must not keep others' handoffs from their end, however many wait for it. */
static void test_dead_peer(void **state) {
  (void)state;
  struct world *w = world_new(25);
  struct cutter c = {.w = w};
  struct subject_who who;
  hook_source(w, cut_at_commit, &c);
  for (int i = 0; i < 80; i++) {
    char id[16];
    snprintf(id, sizeof id, "u%d", i);
    c.to = i % 4 ? US : SG;
    net_sim_cut(w->t.net, CN, SG, false); /* the registrar, too */
    net_sim_cut(w->t.net, CN, US, false);
    assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, slice_str(id), "IN", &who, NULL),
                     DOM_OK);
    assert_int_equal(mover_move_subject(w->t.region[CN].mover, who.token, c.to, NULL), DOM_UNAVAILABLE);
  }
  net_sim_cut(w->t.net, CN, SG, false);
  net_sim_cut(w->t.net, CN, US, true);
  bool did = false;
  assert_int_equal(mover_upkeep(w->t.region[CN].mover, &did, NULL), DOM_UNAVAILABLE);
  assert_true(did);
  for (int i = 0; i < 80; i += 4) {
    char id[16];
    snprintf(id, sizeof id, "u%d", i);
    assert_int_equal(region_who(&w->t, SG, id, &who), DOM_OK);
    assert_int_equal(who.where, SUBJECT_HERE);
  }
  world_free(w);
}

/* The target dies between saying that a copy is discarded and shredding it. */
static void die_discarding(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+peer-prepared") == 0) assert_int_equal(regions_force(&w->t, 2, false), DOM_OK);
  if (strcmp(step, w->die_at) != 0 || w->died) return;
  w->died = true;
  disk_sim_cut_after(w->t.region[SG].disk, 1);
  net_sim_leave(w->t.net, SG);
}

static void test_discard_crashes(void **state) {
  (void)state;
  static const char *const STEPS[] = {"-discarded", "+discarded", "+slot-overwritten", "+rows-removed"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
    struct world *w = world_new(30 + i);
    w->die_at = STEPS[i];
    region_stop(&w->t, SG);
    w->t.fault_point = die_discarding;
    assert_int_equal(region_start(&w->t, SG, NULL), DOM_OK);
    hook_source(w, die_discarding, w);
    assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_STALE_EPOCH);
    assert_true(w->died);
    w->die_at = "";
    bury(w, SG);
    assert_int_equal(region_start(&w->t, SG, NULL), DOM_OK);
    settle(w);
    assert_settled(w);
    assert_gone(w, SG, 2);
    assert_all_at(w, CN);
    world_free(w);
  }
}

/* The target dies before a row tells of the epoch: nobody will ask about it, so no key of it may be there. */
static void test_no_key_without_row(void **state) {
  (void)state;
  struct world *w = world_new(29);
  w->die_at = "-staging";
  w->victim = SG;
  assert_int_not_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_true(w->died);
  bury(w, SG);
  assert_int_equal(region_start(&w->t, SG, NULL), DOM_OK);
  settle(w);
  assert_settled(w);
  assert_gone(w, SG, 2);
  world_free(w);
}

/* A charter that is durable but not yet in force when the commit comes: the log must not show the move after
 * it. */
static void charter_underway(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "-committed") != 0) return;
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  uint8_t version[8];
  store_u64be(version, 2);
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(store_tx_begin(w->t.region[CN].store, v, &tx, NULL), DOM_OK);
  assert_int_equal(store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("charter"), slice_of(version, 8), NULL),
                   DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
}

static void test_charter_underway(void **state) {
  (void)state;
  struct world *w = world_new(28);
  hook_source(w, charter_underway, w);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_STALE_EPOCH);
  assert_int_equal(home_of(w), CN);
  assert_settled(w);
  world_free(w);
}

/* A registrar that lags behind must not bring the key of an erased epoch back. */
static void test_register_after_move(void **state) {
  (void)state;
  struct world *w = world_new(27);
  struct subject_who who;
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  BUF_AUTO old = BUF_INIT; /* the registrar's row as before the move: cn, epoch 1, IN */
  put_u8(&old, 1);
  put_u16be(&old, CN);
  put_u64be(&old, 1);
  buf_append_str(&old, "IN");
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  assert_int_equal(store_view_open(w->t.region[SG].store, &v, NULL), DOM_OK);
  assert_int_equal(store_tx_begin(w->t.region[SG].store, v, &tx, NULL), DOM_OK);
  assert_int_equal(
      store_tx_row_put(tx, STORE_TABLE_REGISTRAR, slice_of(w->token, TOKEN_SIZE), buf_slice(&old), NULL),
      DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_gone(w, CN, 1);
  store_view_close(v);
  v = NULL;
  world_free(w);
}

/* What no right source would send is refused; the store never sees it. */
static void test_items_decode(void **state) {
  (void)state;
  struct store_body_ref refs[1];
  struct store_item item = {.kind = STORE_ITEM_OBJECT,
                            .prefix = SLICE_LIT("asha/"),
                            .key = SLICE_LIT("asha/x"),
                            .order = {.epoch = 1, .lsn = 5}};
  for (int i = 0; i < 5; i++) {
    BUF_AUTO b = BUF_INIT;
    struct store_item bad = item, got;
    if (i == 1) bad.prefix = SLICE_LIT("ravi/");
    if (i == 2) bad.order.lsn = 0;
    if (i == 3) bad.key = SLICE_LIT("");
    if (i == 4) bad.object.size = STORE_INLINE_MAX + 1; /* without a body of its own */
    item_put(&b, &bad);
    struct reader r = reader_of(buf_slice(&b));
    assert_int_equal(item_get(&r, &got, refs, 1), i == 0);
  }
}

/* The three stages of erasure, each claimed when it is true. */
static void test_stages(void **state) {
  (void)state;
  struct world *w = world_new(26);
  struct handoff h;
  uint64_t erased = 0;
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  static const enum handoff_state WANT[] = {HANDOFF_DROPPED, HANDOFF_ERASED, HANDOFF_PURGED};
  for (int i = 0; i < 3; i++) {
    if (i == 1) assert_int_equal(mover_rotate_kek(w->t.region[CN].mover, NULL, NULL, &erased, NULL), DOM_OK);
    if (i == 2) assert_int_equal(mover_purge_names(w->t.region[CN].mover, NULL), DOM_OK);
    STORE_VIEW_AUTO *v = NULL;
    assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
    assert_int_equal(handoff_get(v, w->token, 2, HANDOFF_SOURCE, &h, NULL), DOM_OK);
    assert_int_equal(h.state, WANT[i]);
  }
  assert_int_equal(erased, 1);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_there_and_on),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_writes_meanwhile),
      cmocka_unit_test(test_source_crashes),
      cmocka_unit_test(test_target_crashes),
      cmocka_unit_test(test_lost_abort),
      cmocka_unit_test(test_stale_thread),
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_bad_messages),
      cmocka_unit_test(test_rough_net),
      cmocka_unit_test(test_job),
      cmocka_unit_test(test_journaled_before_snapshot),
      cmocka_unit_test(test_move_after_crash),
      cmocka_unit_test(test_rate_spares_fence),
      cmocka_unit_test(test_cancel_survives),
      cmocka_unit_test(test_too_many_jobs),
      cmocka_unit_test(test_unconfirmed_job),
      cmocka_unit_test(test_left_again_unconfirmed),
      cmocka_unit_test(test_dead_peer),
      cmocka_unit_test(test_discard_crashes),
      cmocka_unit_test(test_register_after_move),
      cmocka_unit_test(test_items_decode),
      cmocka_unit_test(test_charter_underway),
      cmocka_unit_test(test_no_key_without_row),
      cmocka_unit_test(test_stages),
      cmocka_unit_test(test_outrun),
      cmocka_unit_test(test_large_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
