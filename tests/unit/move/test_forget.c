/* Persons erased for good: what goes, what refuses it, crashes at each durable step, and what upkeep costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/move_internal.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3, IN = 4 };

struct world {
  struct test_regions t;
  uint8_t token[TOKEN_SIZE];
  const char *die_at;
  uint16_t victim;
  bool died;
};

static void fault(void *arg, const char *step) {
  struct world *w = arg;
  if (!w->die_at || w->died || strcmp(step, w->die_at) != 0) return;
  w->died = true;
  disk_sim_cut_after(w->t.region[w->victim].disk, 1);
  net_sim_leave(w->t.net, w->victim);
}

static void person(struct world *w, const char *id, uint8_t token[TOKEN_SIZE]) {
  struct subject_who who;
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, slice_str(id), "IN", &who, NULL),
                   DOM_OK);
  memcpy(token, who.token, TOKEN_SIZE);
  assert_int_equal(region_put(&w->t, CN, id, "photos/1", "one"), DOM_OK);
}

/* asha, at home in cn under epoch 1 with a bit of everything. */
static struct world *world_new(uint64_t seed) {
  struct world *w = dom_calloc(1, sizeof *w);
  struct store_version version = {0};
  assert_non_null(w);
  w->t.fault_point = fault;
  w->t.fault_arg = w;
  regions_open(&w->t, 3, seed, 1);
  regions_bucket(&w->t);
  person(w, "asha", w->token);
  assert_int_equal(region_put_large(&w->t, CN, "asha", "large", (2u << 20) + 17, 5), DOM_OK);
  assert_int_equal(region_upload(&w->t, CN, "asha", "begun", 7), DOM_OK);
  assert_int_equal(region_version(&w->t, CN, "asha", "v", REGION_PUT, "first", &version), DOM_OK);
  version = (struct store_version){0};
  assert_int_equal(region_version(&w->t, CN, "asha", "v", REGION_MARK, NULL, &version), DOM_OK);
  return w;
}

static void world_free(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

static enum dom_code erase(struct world *w, uint16_t at, struct mover_forget_status *s, struct dom_err *err) {
  return mover_forget(w->t.region[at].mover, w->token, NULL, false, s, err);
}

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

static enum store_subject_state state_at(struct world *w, uint16_t at) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  assert_int_equal(store_view_open(w->t.region[at].store, &v, NULL), DOM_OK);
  assert_int_equal(store_subject_get(v, w->token, &row, NULL), DOM_OK);
  return row.state;
}

static void upkeep(struct world *w) {
  for (int round = 0; round < 6; round++) {
    clock_sim_advance(w->t.clock, 60000);
    for (uint16_t i = 1; i <= 3; i++) {
      bool did = false;
      if (!w->t.region[i].mover) continue;
      mover_upkeep(w->t.region[i].mover, &did, NULL);
      store_upkeep(w->t.region[i].store, &did, NULL);
    }
  }
}

/* How many entries of that type there are about the subject. */
struct count {
  uint8_t type;
  int n;
};
static bool count_one(void *arg, const struct store_entry *e) {
  struct count *c = arg;
  c->n += e->entry.data[4] == c->type;
  return true;
}
static int entries(struct world *w, uint16_t at, enum ledger_type type) {
  STORE_VIEW_AUTO *v = NULL;
  struct count c = {.type = (uint8_t)type};
  assert_int_equal(store_view_open(w->t.region[at].store, &v, NULL), DOM_OK);
  assert_int_equal(store_entries_of(v, w->token, count_one, &c, NULL), DOM_OK);
  return c.n;
}

/* ---- what goes ----------------------------------------------------------------------------- */

static void test_stages(void **state) {
  (void)state;
  struct world *w = world_new(1);
  struct mover_forget_status s;
  struct dom_err err = {0};
  BUF_AUTO out = BUF_INIT;
  struct mover *m = w->t.region[CN].mover;
  assert_int_equal(mover_forget(m, w->token, NULL, true, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_NOT_YET);
  assert_int_equal(s.objects, 3);
  assert_int_equal(region_get(&w->t, CN, "asha", "photos/1", &out), DOM_OK); /* a dry run changes nothing */
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_KEY_DROPPED);
  assert_true(s.registrar_knows);
  assert_int_equal(s.objects, 3);
  assert_int_equal(s.peer_count, 2);
  for (int i = 0; i < 2; i++) assert_int_equal(s.peer[i].stage, MOVER_FORGET_NAMES_PURGED); /* had nothing */
  assert_gone(w, CN, 1);
  assert_int_equal(region_get(&w->t, CN, "asha", "photos/1", &out), DOM_NOT_FOUND);
  assert_int_equal(region_put(&w->t, CN, "asha", "photos/2", "two"), DOM_NOT_FOUND);
  assert_int_equal(entries(w, CN, LEDGER_ERASURE_ORDERED), 1);
  assert_int_equal(entries(w, CN, LEDGER_KEY_DROPPED), 1);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK); /* attaches */
  assert_int_equal(s.stage, MOVER_FORGET_KEY_DROPPED);
  assert_int_equal(mover_rotate_kek(m, NULL, NULL, NULL, &err), DOM_OK);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_ERASED);
  assert_int_equal(mover_purge_names(m, &err), DOM_OK);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_NAMES_PURGED);
  assert_true(s.started_ms && s.dropped_ms && s.erased_ms && s.purged_ms);
  assert_int_equal(entries(w, CN, LEDGER_ERASED), 1);
  assert_int_equal(entries(w, CN, LEDGER_NAMES_PURGED), 1);
  assert_int_equal(entries(w, CN, LEDGER_ERASURE_ORDERED), 1);
  world_free(w);
}

/* Nobody comes back by a device's write; an operator's word makes a new home, above every epoch. */
static void test_registered_anew(void **state) {
  (void)state;
  struct world *w = world_new(2);
  struct mover_forget_status s;
  struct subject_who who;
  struct dom_err err = {0};
  BUF_AUTO out = BUF_INIT;
  net_sim_leave(w->t.net, SG); /* a handoff that failed has used up an epoch */
  assert_int_not_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  region_stop(&w->t, SG);
  assert_int_equal(region_start(&w->t, SG, &err), DOM_OK);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.epoch, 1);
  assert_int_equal(s.epoch_allotted, 2);
  for (uint16_t i = 1; i <= 3; i++) {
    struct subjects *at = w->t.region[i].subjects;
    assert_int_equal(region_who(&w->t, i, "asha", &who), DOM_OK);
    assert_int_equal(who.where, SUBJECT_UNREGISTERED);
    if (i == CN)
      assert_int_equal(subject_register(at, TENANT, SLICE_LIT("asha"), "IN", &who, &err), DOM_DENIED);
  }
  assert_int_equal(
      subject_register_anywhere(w->t.region[US].subjects, TENANT, SLICE_LIT("asha"), "US", &who, &err),
      DOM_OK);
  assert_int_equal(who.home, SG); /* the charter's home for another country */
  assert_int_equal(who.epoch, 3);
  assert_int_equal(region_who(&w->t, CN, "asha", &who), DOM_OK);
  assert_int_equal(who.home, SG);
  assert_int_equal(region_put(&w->t, SG, "asha", "photos/1", "new"), DOM_OK);
  assert_int_equal(region_get(&w->t, SG, "asha", "large", &out), DOM_NOT_FOUND);
  /* Said once more, late: the new home stays. */
  assert_int_equal(subject_report_erased(w->t.region[CN].subjects, w->token, 2, &err), DOM_OK);
  assert_int_equal(region_who(&w->t, US, "asha", &who), DOM_OK);
  assert_int_equal(who.epoch, 3);
  /* And erased again, where it lives now; then back to the first home. */
  assert_int_equal(erase(w, SG, &s, &err), DOM_OK);
  assert_int_equal(
      subject_register_anywhere(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, &err),
      DOM_OK);
  assert_int_equal(who.home, CN);
  assert_int_equal(who.epoch, 4);
  assert_int_equal(region_put(&w->t, CN, "asha", "photos/1", "again"), DOM_OK);
  region_stop(&w->t, CN);
  assert_int_equal(region_start(&w->t, CN, &err), DOM_OK);
  assert_int_equal(region_get(&w->t, CN, "asha", "photos/1", &out), DOM_OK);
  assert_true(slice_equal(buf_slice(&out), SLICE_LIT("again")));
  world_free(w);
}

/* Only the home on record may put the tombstone. */
static void test_not_the_home(void **state) {
  (void)state;
  struct world *w = world_new(3);
  struct subject_who who;
  assert_int_equal(subject_report_erased(w->t.region[US].subjects, w->token, 9, NULL), DOM_DENIED);
  assert_int_equal(region_who(&w->t, US, "asha", &who), DOM_OK);
  assert_int_equal(who.home, CN);
  world_free(w);
}

/* ---- former homes ----------------------------------------------------------------------------- */

static void test_former_home(void **state) {
  (void)state;
  struct world *w = world_new(4);
  struct mover_forget_status s;
  struct dom_err err = {0};
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, &err), DOM_OK);
  assert_int_equal(erase(w, CN, &s, &err), DOM_ELSEWHERE);
  net_sim_cut(w->t.net, SG, CN, true);
  assert_int_equal(erase(w, SG, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_KEY_DROPPED);
  assert_gone(w, SG, 2);
  assert_int_equal(s.peer[0].region, CN);
  assert_int_equal(s.peer[0].stage, MOVER_FORGET_NOT_YET); /* it does not answer: nobody says it is gone */
  net_sim_cut(w->t.net, SG, CN, false);
  upkeep(w);
  assert_int_equal(erase(w, SG, &s, &err), DOM_OK);
  assert_int_equal(s.peer[0].stage, MOVER_FORGET_KEY_DROPPED);
  assert_int_equal(mover_purge_names(w->t.region[CN].mover, &err), DOM_OK);
  assert_int_equal(erase(w, SG, &s, &err), DOM_OK);
  assert_int_equal(s.peer[0].stage, MOVER_FORGET_NAMES_PURGED);
  assert_gone(w, CN, 1);
  world_free(w);
}

/* ---- what refuses it ---------------------------------------------------------------------------- */

static void charter_with(struct world *w, const char *clause) {
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO changed = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  regions_charter(&w->t, 1, &yaml);
  const char *text = buf_str(&yaml), *at = strstr(text, "    home: cn\n");
  assert_non_null(at);
  buf_append_str(&changed, "charter: 9\n");
  const char *rest = strchr(text, '\n') + 1;
  buf_append(&changed, rest, (size_t)(at - rest));
  buf_append_str(&changed, clause);
  buf_append_str(&changed, at);
  charter_sign(buf_slice(&changed), w->t.charter_seed, &signature);
  for (uint16_t i = 1; i <= 3; i++)
    assert_int_equal(
        subject_charter_put(w->t.region[i].subjects, buf_slice(&changed), buf_slice(&signature), false, NULL),
        DOM_OK);
}

static void test_kept_by_charter(void **state) {
  (void)state;
  struct world *w = world_new(5);
  struct mover_forget_status s;
  struct dom_err err = {0};
  charter_with(w, "    keep_at_least_days: 30\n");
  assert_int_equal(erase(w, CN, &s, &err), DOM_REFUSED);
  assert_non_null(strstr(err.text, "rules.IN.keep_at_least_days"));
  assert_int_equal(state_at(w, CN), SUBJECT_HOME);
  assert_int_equal(region_put(&w->t, CN, "asha", "photos/2", "two"), DOM_OK);
  clock_sim_advance(w->t.clock, UINT64_C(31) * 86400000);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  world_free(w);
}

struct hold {
  int calls, from; /* locked from that call on */
};
static bool locked(void *arg, struct slice meta) {
  struct hold *h = arg;
  (void)meta;
  return ++h->calls >= h->from;
}

/* Locked from the start, and locked by somebody between the first look and the fence. */
static void test_locked(void **state) {
  (void)state;
  static const int FROM[] = {2, 4};
  for (size_t i = 0; i < 2; i++) {
    struct world *w = world_new(6 + i);
    struct hold hold = {.from = FROM[i]};
    struct mover_forget_check check = {locked, &hold};
    struct mover_forget_status s;
    struct dom_err err = {0};
    assert_int_equal(mover_forget(w->t.region[CN].mover, w->token, &check, false, &s, &err), DOM_BUSY);
    assert_non_null(strstr(err.text, i == 0 ? "2 versions" : "3 versions"));
    assert_int_equal(state_at(w, CN), SUBJECT_HOME);
    assert_int_equal(entries(w, CN, LEDGER_ERASURE_ORDERED), 0);
    assert_int_equal(region_put(&w->t, CN, "asha", "photos/2", "two"), DOM_OK);
    world_free(w);
  }
}

static void ask_meanwhile(void *arg, const char *step) {
  struct world *w = arg;
  struct mover_forget_status s;
  if (strcmp(step, "+copying") != 0 || w->died) return;
  w->died = true;
  assert_int_equal(mover_forget(w->t.region[CN].mover, w->token, NULL, false, &s, NULL), DOM_BUSY);
}

static void test_during_a_move(void **state) {
  (void)state;
  struct world *w = world_new(8);
  region_stop(&w->t, CN);
  w->t.fault_point = ask_meanwhile;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_true(w->died);
  world_free(w);
}

/* ---- crashes --------------------------------------------------------------------------------------- */

static void crash_at(const char *step) {
  struct world *w = world_new(9);
  struct mover_forget_status s;
  struct dom_err err = {0};
  BUF_AUTO out = BUF_INIT;
  w->die_at = step;
  w->victim = CN;
  mover_forget(w->t.region[CN].mover, w->token, NULL, false, &s, NULL);
  if (!w->died) fail_msg("the step %s was never reached", step);
  region_stop(&w->t, CN);
  disk_sim_cut_after(w->t.region[CN].disk, 0);
  disk_sim_power_cut(w->t.region[CN].disk);
  disk_sim_power_on(w->t.region[CN].disk);
  enum dom_code code = region_start(&w->t, CN, &err);
  if (code) fail_msg("%s: %s: %s", step, err.where, err.text);
  upkeep(w);
  bool ordered = state_at(w, CN) == SUBJECT_ERASED;
  /* One more write gets through: between the two it may be the order, or not. */
  bool before = !strcmp(step, "-forget-checking");
  bool between = !strcmp(step, "+forget-checking") || !strcmp(step, "-forget-erasing");
  if (!between) assert_int_equal(ordered, !before);
  if (!ordered) { /* given up: as if nobody had asked */
    assert_int_equal(state_at(w, CN), SUBJECT_HOME);
    assert_int_equal(region_put(&w->t, CN, "asha", "photos/2", "two"), DOM_OK);
    assert_int_equal(region_get(&w->t, CN, "asha", "large", &out), DOM_OK);
  } else {
    assert_gone(w, CN, 1);
  }
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_true(s.stage >= MOVER_FORGET_KEY_DROPPED && s.registrar_knows);
  assert_gone(w, CN, 1);
  assert_int_equal(mover_purge_names(w->t.region[CN].mover, &err), DOM_OK);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_NAMES_PURGED);
  assert_int_equal(entries(w, CN, LEDGER_KEY_DROPPED), 1);
  world_free(w);
}

static void test_crashes(void **state) {
  (void)state;
  static const char *const STEPS[] = {"-forget-checking", "+forget-checking",  "-forget-erasing",
                                      "+forget-erasing",  "+slot-overwritten", "+rows-removed",
                                      "-forget-dropped",  "+forget-dropped"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) crash_at(STEPS[i]);
}

/* Looking changes nothing, also where a crash left the order behind. */
static void test_look_after_crash(void **state) {
  (void)state;
  struct world *w = world_new(17);
  struct mover_forget_status s;
  struct dom_err err = {0};
  w->die_at = "+forget-erasing";
  w->victim = CN;
  assert_int_not_equal(erase(w, CN, &s, NULL), DOM_OK);
  region_stop(&w->t, CN);
  disk_sim_cut_after(w->t.region[CN].disk, 0);
  disk_sim_power_cut(w->t.region[CN].disk);
  disk_sim_power_on(w->t.region[CN].disk);
  assert_int_equal(region_start(&w->t, CN, &err), DOM_OK);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(mover_forget(w->t.region[CN].mover, w->token, NULL, true, &s, &err), DOM_OK);
    assert_int_equal(s.stage, MOVER_FORGET_ORDERED);
  }
  assert_int_equal(entries(w, CN, LEDGER_KEY_DROPPED), 0);
  assert_int_equal(erase(w, CN, &s, &err), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_KEY_DROPPED);
  world_free(w);
}

/* The KEK is rotated while what an earlier stay left is erased, before the person's own key is. */
static void rotate_between(void *arg, const char *step) {
  struct world *w = arg;
  if (w->died || strcmp(step, "+slot-overwritten") != 0) return;
  w->died = true;
  assert_int_equal(mover_rotate_kek(w->t.region[CN].mover, NULL, NULL, NULL, NULL), DOM_OK);
}

/* A key was shredded under the KEK of that moment: an older one that is gone says nothing of it. */
static void test_kek_of_the_shred(void **state) {
  (void)state;
  struct world *w = world_new(14);
  struct mover_forget_status s;
  struct dom_err err = {0};
  struct forget f;
  w->die_at = "+erasing";
  w->victim = CN;
  mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL);
  assert_true(w->died);
  region_stop(&w->t, CN);
  disk_sim_cut_after(w->t.region[CN].disk, 0);
  disk_sim_power_cut(w->t.region[CN].disk);
  disk_sim_power_on(w->t.region[CN].disk);
  w->die_at = NULL;
  w->died = false;
  w->t.fault_point = rotate_between;
  assert_int_equal(region_start(&w->t, CN, &err), DOM_OK);
  enum dom_code code = mover_move_subject(w->t.region[SG].mover, w->token, CN, &err);
  if (!code) code = erase(w, CN, &s, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_true(w->died);
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(forget_get(v, w->token, s.epoch, &f, NULL), DOM_OK);
  assert_int_equal(f.state, FORGET_DROPPED);
  assert_false(vault_kek_gone(store_vault(w->t.region[CN].store), f.kek));
  store_view_close(v);
  v = NULL;
  world_free(w);
}

/* ---- upkeep ------------------------------------------------------------------------------------------- */

static uint64_t rows_of_a_round(struct world *w, uint16_t at) {
  bool did = false;
  uint64_t before = mover_upkeep_rows(w->t.region[at].mover);
  assert_int_equal(mover_upkeep(w->t.region[at].mover, &did, NULL), DOM_OK);
  return mover_upkeep_rows(w->t.region[at].mover) - before;
}

/* What is over costs a round of upkeep nothing, at either side; a start looks at each once. */
static void test_upkeep_cost(void **state) {
  (void)state;
  struct world *w = world_new(10);
  char id[16];
  uint8_t token[TOKEN_SIZE];
  for (int i = 0; i < 20; i++) {
    snprintf(id, sizeof id, "p%d", i);
    person(w, id, token);
    assert_int_equal(mover_move_subject(w->t.region[CN].mover, token, SG, NULL), DOM_OK);
  }
  rows_of_a_round(w, CN);
  assert_int_equal(rows_of_a_round(w, CN), 0);
  region_stop(&w->t, CN);
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  assert_int_equal(mover_upkeep_rows(w->t.region[CN].mover), 20); /* each once, to find out that it is over */
  assert_int_equal(rows_of_a_round(w, CN), 0);
  assert_true(rows_of_a_round(w, SG) <= 20);
  assert_int_equal(rows_of_a_round(w, SG), 0);
  world_free(w);
}

/* ---- the charter's time ----------------------------------------------------------------------------------
 */

static struct mover_erasures erasures(struct world *w, uint16_t at) {
  struct mover_erasures e;
  assert_int_equal(mover_erasures(w->t.region[at].mover, &e, NULL), DOM_OK);
  return e;
}

static int region_entries(struct world *w, uint16_t at, enum ledger_type type) {
  struct count c = {.type = (uint8_t)type};
  assert_int_equal(store_outbox_scan(w->t.region[at].store, 0, count_one, &c, NULL), DOM_OK);
  return c.n;
}

/* Who left in the same hours is erased by one rotation, before the time is over and not earlier than needed.
 */
static void test_in_time(void **state) {
  (void)state;
  enum { HOUR = 3600 * 1000 };
  struct world *w = world_new(11);
  uint8_t other[TOKEN_SIZE];
  charter_with(w, "    delete_abroad_within_hours: 24\n");
  person(w, "ravi", other);
  assert_int_equal(erasures(w, CN).waiting, 0);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  clock_sim_advance(w->t.clock, 2 * HOUR);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, other, SG, NULL), DOM_OK);
  struct mover_erasures e = erasures(w, CN);
  assert_int_equal(e.waiting, 2);
  assert_int_equal(e.dropped, 2);
  uint64_t now_ms = clock_wall_ms(w->t.clock);
  assert_true(e.next_deadline_ms > now_ms + 21 * HOUR && e.next_deadline_ms <= now_ms + 22 * HOUR);
  clock_sim_advance(w->t.clock, 15 * HOUR);
  assert_int_equal(erasures(w, CN).waiting, 2); /* 17 h of 24: there is time for others to join */
  region_stop(&w->t, CN);                       /* the time runs while nobody is there to see it */
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  clock_sim_advance(w->t.clock, 2 * HOUR);
  e = erasures(w, CN);
  assert_int_equal(e.erased, 2);
  assert_int_equal(e.waiting, 0);
  assert_int_equal(e.overdue, 0);
  assert_int_equal(region_entries(w, CN, LEDGER_KEY_ROTATED), 1);
  assert_int_equal(entries(w, CN, LEDGER_ERASED), 1);
  assert_int_equal(region_entries(w, CN, LEDGER_ERASURE_OVERDUE), 0);
  world_free(w);
}

/* The target does not confirm, so nothing may be erased: that is past the time, and it is said. */
static void too_late(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+committed") == 0) net_sim_cut(w->t.net, CN, SG, true);
}

static void test_overdue(void **state) {
  (void)state;
  enum { HOUR = 3600 * 1000 };
  struct world *w = world_new(12);
  charter_with(w, "    delete_abroad_within_hours: 24\n");
  region_stop(&w->t, CN);
  w->t.fault_point = too_late;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  assert_int_not_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_int_equal(erasures(w, CN).waiting, 1);
  clock_sim_advance(w->t.clock, 26 * (uint64_t)HOUR);
  struct mover_erasures e = erasures(w, CN);
  assert_int_equal(e.overdue, 1);
  assert_true(e.late_ms > HOUR && e.late_ms <= 2 * HOUR);
  erasures(w, CN);
  assert_int_equal(region_entries(w, CN, LEDGER_ERASURE_OVERDUE), 1); /* once, not each time */
  net_sim_cut(w->t.net, CN, SG, false);
  upkeep(w);
  e = erasures(w, CN); /* late or not: it is brought to its end */
  assert_int_equal(e.erased, 1);
  assert_int_equal(e.overdue, 0);
  world_free(w);
}

/* A person erased for good does not wait for a charter, nor for an operator. */
static void test_person_erased(void **state) {
  (void)state;
  struct world *w = world_new(13);
  struct mover_forget_status s;
  assert_int_equal(erase(w, CN, &s, NULL), DOM_OK);
  assert_int_equal(erasures(w, CN).waiting, 1);
  clock_sim_advance(w->t.clock, MOVER_PERSON_ERASED_MS);
  assert_int_equal(erasures(w, CN).erased, 1);
  assert_int_equal(erase(w, CN, &s, NULL), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_ERASED);
  world_free(w);
}

/* A process that stops does not wait for a rotation; the next start goes on with it. */
static void test_rotation_stopped(void **state) {
  (void)state;
  struct world *w = world_new(16);
  uint64_t erased = 0;
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  mover_stop(w->t.region[CN].mover);
  assert_int_equal(mover_rotate_kek(w->t.region[CN].mover, NULL, NULL, &erased, NULL), DOM_CANCELLED);
  assert_int_equal(erased, 0);
  region_stop(&w->t, CN);
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  assert_int_equal(mover_rotate_kek(w->t.region[CN].mover, NULL, NULL, &erased, NULL), DOM_OK);
  assert_int_equal(erased, 1);
  world_free(w);
}

/* More than one batch of them: each is taken on, and once. */
static void test_stages_of_many(void **state) {
  (void)state;
  enum { MANY = 600 };
  struct world *w = world_new(15);
  struct handoff h = {.epoch = 2, .epoch_from = 1, .side = HANDOFF_SOURCE, .peer = SG, .country = {'I', 'N'}};
  uint64_t erased = 0;
  struct handoff now;
  h.state = HANDOFF_DROPPED;
  h.kek = 12345; /* no KEK has this id, so it is gone */
  h.started_ms = 1;
  for (int i = 0; i < MANY; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_tx *tx = NULL;
    store_u32be(h.token, (uint32_t)i * 7919);
    assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
    assert_int_equal(store_tx_begin(w->t.region[CN].store, v, &tx, NULL), DOM_OK);
    assert_int_equal(handoff_put(tx, &h, NULL), DOM_OK);
    assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
  }
  assert_int_equal(mover_rotate_kek(w->t.region[CN].mover, NULL, NULL, &erased, NULL), DOM_OK);
  assert_int_equal(erased, MANY);
  assert_int_equal(mover_purge_names(w->t.region[CN].mover, NULL), DOM_OK);
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  for (int i = 0; i < MANY; i++) {
    store_u32be(h.token, (uint32_t)i * 7919);
    assert_int_equal(handoff_get(v, h.token, h.epoch, HANDOFF_SOURCE, &now, NULL), DOM_OK);
    assert_int_equal(now.state, HANDOFF_PURGED);
  }
  store_view_close(v);
  v = NULL;
  world_free(w);
}

/* The row's bytes, as docs/formats/handoff.md has them. */
static void test_row(void **state) {
  (void)state;
  static const char HEX[] =
      "010301494e000000000000000500000000000000070000000000000003000000000000100000000000000000"
      "0a000000000000000b000000000000000000000000000000000200020100030"
      "3";
  struct forget f = {.epoch = 4,
                     .state = FORGET_DROPPED,
                     .told = true,
                     .country = "IN",
                     .allotted = 5,
                     .kek = 7,
                     .objects = 3,
                     .bytes = 4096,
                     .started_ms = 10,
                     .dropped_ms = 11,
                     .peer_count = 2,
                     .peer = {{2, FORGET_STAGE_DROPPED}, {3, FORGET_STAGE_PURGED}}},
                again;
  uint8_t key[OPEN_KEY_SIZE];
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  forget_encode(&f, &bytes);
  hex_encode(&text, buf_slice(&bytes));
  assert_string_equal(buf_str(&text), HEX);
  forget_open_key(&f, key);
  assert_int_equal(forget_decode(slice_of(key, FORGET_KEY_SIZE), buf_slice(&bytes), &again, NULL), DOM_OK);
  assert_int_equal(again.peer[1].region, 3);
  assert_int_equal(again.dropped_ms, 11);
  for (size_t n = 0; n < bytes.len; n++)
    assert_int_equal(forget_decode(slice_of(key, FORGET_KEY_SIZE), slice_of(bytes.data, n), &again, NULL),
                     DOM_CORRUPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_row),
      cmocka_unit_test(test_stages),
      cmocka_unit_test(test_registered_anew),
      cmocka_unit_test(test_not_the_home),
      cmocka_unit_test(test_former_home),
      cmocka_unit_test(test_kept_by_charter),
      cmocka_unit_test(test_locked),
      cmocka_unit_test(test_during_a_move),
      cmocka_unit_test(test_crashes),
      cmocka_unit_test(test_look_after_crash),
      cmocka_unit_test(test_kek_of_the_shred),
      cmocka_unit_test(test_upkeep_cost),
      cmocka_unit_test(test_in_time),
      cmocka_unit_test(test_overdue),
      cmocka_unit_test(test_person_erased),
      cmocka_unit_test(test_stages_of_many),
      cmocka_unit_test(test_rotation_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
