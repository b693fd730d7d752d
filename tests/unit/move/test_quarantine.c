/* A region that comes back from a backup: it finds out by its own signed word, waits, learns, and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lost_world.h"

/* ---- tests ----------------------------------------------------------------------------------------- */

/* Who left since the backup is not served, its tombstone and statement come back, what lies here of it is
 * erased again, and who stayed is served as before. */
static void test_left_since(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(1);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE], mina[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  add(t, "asha", asha);
  add(t, "ravi", ravi);
  add(t, "mina", mina);
  struct disk *backup = back_up(t, CN);
  move(t, asha, CN, SG);
  move(t, mina, CN, SG);
  move(t, mina, SG, US);
  assert_int_equal(region_put(t, SG, "asha", "a", "new"), DOM_OK);
  settle(t);                         /* the others have heard of it */
  net_sim_cut(t->net, CN, US, true); /* … and one does not answer at first */
  restore_take(t, CN, backup);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_UNAVAILABLE);
  assert_int_equal(region_put(t, CN, "ravi", "a", "x"), DOM_UNAVAILABLE);
  assert_int_equal(mover_move_subject(t->region[CN].mover, ravi, SG, NULL), DOM_UNAVAILABLE);
  for (int i = 0; i < 3; i++) {
    bool did;
    clock_sim_advance(t->clock, 60000);
    mover_upkeep(t->region[CN].mover, &did, NULL);
  }
  assert_int_equal(state(t, CN), MOVER_QUARANTINE); /* us may know of somebody who left for it */
  region_stop(t, CN);
  assert_int_equal(region_start(t, CN, NULL), DOM_OK); /* a restart changes nothing of that */
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  assert_int_equal(row_of(t, CN, asha).home, SG);
  assert_int_equal(row_of(t, CN, mina).state, SUBJECT_MOVED);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_ELSEWHERE);
  struct subject_who who;
  assert_int_equal(region_who(t, CN, "asha", &who), DOM_OK);
  assert_true(who.has_statement);
  assert_gone(t, CN, asha, 1);
  assert_gone(t, CN, mina, 1);
  assert_reads(t, SG, "asha", "new");
  assert_reads(t, US, "mina", "mina");
  assert_reads(t, CN, "ravi", "ravi");
  /* back again: the epoch is above every one there was */
  move(t, asha, SG, CN);
  assert_int_equal(row_of(t, CN, asha).epoch, 3);
  assert_reads(t, CN, "asha", "new");
  /* once through, a further start is an ordinary one */
  region_stop(t, CN);
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  world_free(t);
}

struct cut {
  struct test_regions *t;
  struct disk *backup;
};

/* The backup is of the moment when the copy was fenced: what it had open is over. */
static void back_up_at_fence(void *arg, const char *step) {
  struct cut *c = arg;
  if (strcmp(step, "+fenced") != 0 || c->backup) return;
  c->backup = disk_sim_new(78);
  disk_copy(c->t->region[CN].disk, c->backup);
}

static void test_open_at_backup(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(2);
  struct cut c = {.t = t};
  uint8_t asha[TOKEN_SIZE];
  add(t, "asha", asha);
  region_stop(t, CN);
  t->fault_point = back_up_at_fence;
  t->fault_arg = &c;
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  move(t, asha, CN, SG);
  assert_non_null(c.backup);
  settle(t);
  restore_take(t, CN, c.backup);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  assert_int_equal(row_of(t, SG, asha).state, SUBJECT_HOME);
  assert_gone(t, CN, asha, 1);
  assert_reads(t, SG, "asha", "asha");
  world_free(t);
}

static void forget(struct test_regions *t, const uint8_t *token, uint16_t at) {
  struct mover_forget_status s;
  struct dom_err err = {0};
  enum dom_code code = mover_forget(t->region[at].mover, token, NULL, false, &s, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
}

/* Who was erased after the backup is not served again, wherever that was; nor lost, when they came or were
 * registered since. Who was erased and registered anew keeps the later epoch. */
static void test_erased_since(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(8);
  uint8_t asha[TOKEN_SIZE], mina[TOKEN_SIZE], tara[TOKEN_SIZE], nila[TOKEN_SIZE], ravi[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct mover_forget_status s;
  struct subject_who who;
  add(t, "asha", asha);
  add(t, "mina", mina);
  add(t, "tara", tara);
  add(t, "ravi", ravi);
  move(t, tara, CN, SG);
  struct disk *backup = back_up(t, CN);
  forget(t, asha, CN);
  move(t, mina, CN, US);
  forget(t, mina, US);
  move(t, tara, SG, CN);
  forget(t, tara, CN);
  add(t, "nila", nila);
  forget(t, nila, CN);
  settle(t);
  net_sim_cut(t->net, CN, US, true); /* what the registrar knows must be enough */
  restore_take(t, CN, backup);
  for (int i = 0; i < 3; i++) {
    bool did;
    clock_sim_advance(t->clock, 60000);
    mover_upkeep(t->region[CN].mover, &did, NULL);
  }
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  assert_int_equal(row_of(t, CN, mina).state, SUBJECT_ERASED);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN); /* nobody is lost */
  const uint8_t *const erased[] = {asha, mina, tara, nila};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(row_of(t, CN, erased[i]).state, SUBJECT_ERASED);
    assert_gone(t, CN, erased[i], 1);
  }
  assert_int_equal(row_of(t, CN, tara).epoch_allotted, 3);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_NOT_FOUND);
  assert_int_equal(region_get(t, CN, "mina", "a", &out), DOM_NOT_FOUND);
  assert_int_equal(region_put(t, CN, "asha", "a", "x"), DOM_NOT_FOUND);
  assert_reads(t, CN, "ravi", "ravi");
  assert_int_equal(mover_forget(t->region[CN].mover, asha, NULL, true, &s, NULL), DOM_OK);
  assert_int_equal(s.stage, MOVER_FORGET_KEY_DROPPED);
  /* anew, above every epoch there was */
  assert_int_equal(
      subject_register_anywhere(t->region[CN].subjects, TENANT, SLICE_LIT("tara"), "IN", &who, NULL), DOM_OK);
  assert_int_equal(who.epoch, 4);
  world_free(t);
}

/* The registrar forgets a tombstone with its disk: the home that erased has it still. */
static void test_tombstone_restored(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(9);
  uint8_t asha[TOKEN_SIZE];
  struct subject_who who;
  add(t, "asha", asha);
  struct disk *backup = back_up(t, SG);
  forget(t, asha, CN);
  settle(t);
  restore_take(t, SG, backup);
  settle(t);
  assert_int_equal(state(t, SG), MOVER_OPEN);
  assert_int_equal(region_who(t, US, "asha", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_UNREGISTERED);
  struct subject_record record;
  assert_int_equal(subject_record_find(t->region[SG].subjects, asha, &record, NULL), DOM_OK);
  assert_true(record.erased && record.epoch == 1);
  world_free(t);
}

/* Of who was at home in the registrar's own region nobody has a record but itself: what it signed when it
 * erased them, the others have kept. */
static void test_registrars_own(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(11);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct subject_record record;
  BUF_AUTO out = BUF_INIT;
  add(t, "asha", asha);
  add(t, "ravi", ravi);
  move(t, asha, CN, SG);
  move(t, ravi, CN, SG);
  settle(t);
  struct disk *old = back_up(t, SG);
  forget(t, asha, SG);
  forget(t, ravi, SG);
  settle(t);
  restore_take(t, SG, old);
  settle(t);
  assert_int_equal(row_of(t, SG, asha).state, SUBJECT_ERASED);
  assert_gone(t, SG, asha, 2);
  assert_int_equal(region_get(t, SG, "asha", "a", &out), DOM_NOT_FOUND);
  assert_int_equal(subject_record_find(t->region[SG].subjects, asha, &record, NULL), DOM_OK);
  assert_true(record.erased && record.epoch == 2);
  assert_int_equal(row_of(t, SG, ravi).state, SUBJECT_ERASED);
  assert_int_equal(state(t, SG), MOVER_OPEN);
  world_free(t);
}

static bool take_lost(void *arg, const struct mover_lost *lost) {
  *(struct mover_lost *)arg = *lost;
  return true;
}

/* Who came or was registered since is lost with the disk: that is said, by token, and an operator accepts it;
 * they go on empty, under epochs that nobody had, and the registrar knows. */
static void test_came_since(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(3);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct mover_lost lost = {.epoch = 0};
  struct subject_who who;
  add(t, "asha", asha);
  move(t, asha, CN, SG);
  struct disk *backup = back_up(t, CN);
  move(t, asha, SG, CN);
  add(t, "ravi", ravi);
  settle(t);
  restore_take(t, CN, backup);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_LOSS);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_UNAVAILABLE);
  struct mover_quarantine_status s;
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  assert_int_equal(s.lost, 2);
  assert_true(s.seen_lsn > 0);
  uint64_t seen = s.seen_lsn;
  assert_int_equal(mover_quarantine_lost(t->region[CN].mover, take_lost, &lost, NULL), DOM_OK);
  assert_true(memcmp(lost.token, asha, TOKEN_SIZE) == 0 || memcmp(lost.token, ravi, TOKEN_SIZE) == 0);
  struct dom_err err = {0};
  enum dom_code code = mover_quarantine_leave(t->region[CN].mover, false, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, asha).epoch, 4); /* 3 was the lost one */
  assert_int_equal(row_of(t, CN, ravi).epoch, 2);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_NOT_FOUND);
  assert_int_equal(region_put(t, CN, "asha", "a", "again"), DOM_OK);
  /* An order that the lost disk gave to a version is given to none again, whoever was told of it. */
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  assert_true(s.lsn > seen + (UINT64_C(1) << 40));
  assert_int_equal(region_who(t, US, "asha", &who), DOM_OK);
  assert_int_equal(who.home, CN);
  move(t, asha, CN, US);
  assert_reads(t, US, "asha", "again");
  assert_int_equal(mover_quarantine_leave(t->region[CN].mover, false, NULL), DOM_INVALID);
  world_free(t);
}

/* Cuts the way to us once the fence is up, so that the handoff ends in an abort there. */
static void cut_at_fence(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+fenced") == 0) net_sim_cut(t->net, CN, US, true);
}

/* … once it is committed, so that the target does not hear of it. */
static void cut_at_commit(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+committed") == 0) net_sim_cut(t->net, CN, US, true);
}

/* The epoch of a handoff that came to nothing after the backup is used up all the same. */
static void test_epoch_used_since(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(4);
  uint8_t asha[TOKEN_SIZE];
  add(t, "asha", asha);
  move(t, asha, CN, SG);
  struct disk *backup = back_up(t, CN);
  move(t, asha, SG, CN);
  region_stop(t, CN);
  t->fault_point = cut_at_fence;
  t->fault_arg = t;
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK); /* epoch 4 */
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  restore_take(t, CN, backup);
  settle(t);
  struct dom_err err = {0};
  enum dom_code code = mover_quarantine_leave(t->region[CN].mover, false, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(row_of(t, CN, asha).epoch, 5);
  assert_int_equal(region_put(t, CN, "asha", "a", "again"), DOM_OK);
  move(t, asha, CN, SG);
  assert_reads(t, SG, "asha", "again");
  world_free(t);
}

/* What would destroy keys waits: a newer backup may yet come, and opens by them. Nor is anybody erased by
 * what an old row says. */
static void test_keys_stay(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(8);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE], mina[TOKEN_SIZE];
  struct mover_forget_status s;
  struct mover_erasures e;
  add(t, "asha", asha);
  add(t, "ravi", ravi);
  add(t, "mina", mina);
  assert_int_equal(mover_forget(t->region[CN].mover, asha, NULL, false, &s, NULL), DOM_OK);
  struct disk *backup = back_up(t, CN);
  move(t, ravi, CN, SG);
  settle(t);
  net_sim_cut(t->net, CN, US, true);
  restore_take(t, CN, backup);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  struct mover *m = t->region[CN].mover;
  struct vault *vault = store_vault(t->region[CN].store);
  uint64_t kek = vault_kek_current(vault);
  clock_sim_advance(t->clock, MOVER_PERSON_ERASED_MS);
  assert_int_equal(mover_erasures(m, &e, NULL), DOM_OK);
  assert_int_equal(e.waiting, 1); /* and it is time */
  assert_int_equal(mover_rotate_kek(m, NULL, NULL, NULL, NULL), DOM_UNAVAILABLE);
  assert_int_equal(mover_purge_names(m, NULL), DOM_UNAVAILABLE);
  assert_int_equal(vault_kek_current(vault), kek);
  assert_int_equal(mover_forget(m, mina, NULL, false, &s, NULL), DOM_UNAVAILABLE);
  assert_int_equal(mover_forget(m, ravi, NULL, false, &s, NULL), DOM_UNAVAILABLE);
  assert_int_equal(row_of(t, CN, mina).state, SUBJECT_HOME);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(mover_erasures(m, &e, NULL), DOM_OK);
  assert_true(e.erased >= 1);
  assert_int_not_equal(vault_kek_current(vault), kek);
  assert_int_equal(mover_forget(m, mina, NULL, false, &s, NULL), DOM_OK);
  world_free(t);
}

/* Nobody answers: it serves, keeps asking, and is in quarantine as soon as somebody does. */
static void test_nobody_answers(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(4);
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  bool did;
  add(t, "asha", asha);
  struct disk *backup = back_up(t, CN);
  move(t, asha, CN, SG);
  settle(t);
  net_sim_cut(t->net, CN, SG, true);
  net_sim_cut(t->net, CN, US, true);
  restore_take(t, CN, backup);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_reads(t, CN, "asha", "asha");
  net_sim_cut(t->net, CN, US, false);
  clock_sim_advance(t->clock, 60000);
  mover_upkeep(t->region[CN].mover, &did, NULL);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_UNAVAILABLE);
  net_sim_cut(t->net, CN, SG, false);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_ELSEWHERE);
  world_free(t);
}

/* The registrar itself is restored: it learns from those who are home. */
static void test_registrar_restored(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(5);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct subject_who who;
  add(t, "asha", asha);
  struct disk *backup = back_up(t, SG);
  add(t, "ravi", ravi);
  move(t, asha, CN, US);
  settle(t);
  restore_take(t, SG, backup);
  assert_int_equal(state(t, SG), MOVER_QUARANTINE);
  assert_int_equal(subject_register(t->region[CN].subjects, TENANT, SLICE_LIT("new"), "IN", &who, NULL),
                   DOM_UNAVAILABLE);
  settle(t);
  assert_int_equal(state(t, SG), MOVER_OPEN);
  assert_int_equal(region_who(t, SG, "asha", &who), DOM_OK);
  assert_int_equal(who.home, US);
  assert_int_equal(region_who(t, SG, "ravi", &who), DOM_OK);
  assert_int_equal(who.home, CN);
  move(t, asha, US, SG);
  assert_reads(t, SG, "asha", "asha");
  world_free(t);
}

/* Who came to the registrar's own region is lost with its disk, and so is the record of it: the former home
 * tells both. */
static void test_came_to_registrar(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(12);
  uint8_t asha[TOKEN_SIZE];
  struct subject_who who;
  struct dom_err err = {0};
  add(t, "asha", asha);
  struct disk *backup = back_up(t, SG);
  move(t, asha, CN, SG);
  settle(t);
  restore_take(t, SG, backup);
  settle(t);
  assert_int_equal(state(t, SG), MOVER_LOSS);
  enum dom_code code = mover_quarantine_leave(t->region[SG].mover, false, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  assert_int_equal(row_of(t, SG, asha).state, SUBJECT_HOME);
  assert_int_equal(row_of(t, SG, asha).epoch, 3);
  assert_int_equal(region_who(t, US, "asha", &who), DOM_OK);
  assert_int_equal(who.home, SG);
  assert_int_equal(who.epoch, 3);
  world_free(t);
}

/* Two idle regions tell each other of nothing for ever. */
static void test_quiet(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(6);
  struct store_stats before, after;
  settle(t);
  store_stats(t->region[CN].store, &before);
  settle(t);
  store_stats(t->region[CN].store, &after);
  assert_int_equal(before.applied_lsn, after.applied_lsn);
  world_free(t);
}

/* Who left the registrar's region, came back and left again: only the last word is kept, and it proves the
 * first one as well. */
static void test_left_twice(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(14);
  uint8_t asha[TOKEN_SIZE];
  struct subject_record record;
  add(t, "asha", asha);
  move(t, asha, CN, SG);
  settle(t);
  struct disk *backup = back_up(t, SG);
  move(t, asha, SG, US);
  move(t, asha, US, SG);
  move(t, asha, SG, US);
  settle(t);
  restore_take(t, SG, backup);
  settle(t);
  assert_int_equal(state(t, SG), MOVER_OPEN);
  assert_int_equal(row_of(t, SG, asha).state, SUBJECT_MOVED);
  assert_int_equal(row_of(t, SG, asha).epoch, 5);
  assert_gone(t, SG, asha, 2);
  assert_int_equal(subject_record_find(t->region[CN].subjects, asha, &record, NULL), DOM_OK);
  assert_int_equal(record.home, US);
  assert_int_equal(record.epoch, 5);
  assert_reads(t, US, "asha", "asha");
  world_free(t);
}

/* The registrar comes back while somebody is between two homes, and neither is the one of its backup. */
static void test_between_homes(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(17);
  uint8_t asha[TOKEN_SIZE];
  struct subject_record record;
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, SG);
  move(t, asha, CN, US);
  settle(t); /* SG tells its marks */
  t->fault_point = cut_at_commit;
  t->fault_arg = t;
  region_stop(t, US);
  assert_int_equal(region_start(t, US, NULL), DOM_OK); /* with the fault point */
  assert_int_not_equal(mover_move_subject(t->region[US].mover, asha, CN, NULL), DOM_OK);
  assert_int_equal(row_of(t, US, asha).state, SUBJECT_MOVED);
  restore_take(t, SG, backup);
  bool did;
  for (int i = 0; i < 4; i++) {
    clock_sim_advance(t->clock, 60000);
    mover_upkeep(t->region[SG].mover, &did, NULL);
  }
  assert_int_equal(state(t, SG), MOVER_OPEN);
  net_sim_cut(t->net, CN, US, false);
  settle(t);
  assert_int_equal(subject_record_find(t->region[SG].subjects, asha, &record, NULL), DOM_OK);
  assert_int_equal(record.home, CN);
  assert_int_equal(record.epoch, 3);
  assert_gone(t, US, asha, 2);
  assert_reads(t, CN, "asha", "asha");
  world_free(t);
}

/* The source's power goes once the target serves: it does not know of that. */
static void cut_power_at_erasing(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "-erasing") == 0) disk_sim_power_cut(t->region[CN].disk);
}

/* A region that forgot with its disk that somebody came, and learns that they left again: who handed them
 * over to it waits for its word no longer. */
static void test_came_and_left(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(18);
  uint8_t asha[TOKEN_SIZE];
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, US);
  t->fault_point = cut_power_at_erasing;
  t->fault_arg = t;
  region_stop(t, CN);
  assert_int_equal(region_start(t, CN, NULL), DOM_OK); /* with the fault point */
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  t->fault_point = NULL;
  region_stop(t, CN);
  disk_sim_power_cut(t->region[CN].disk); /* it comes back */
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  move(t, asha, US, CN);
  restore_take(t, US, backup);
  if (state(t, US) == MOVER_OPEN) assert_int_equal(mover_quarantine_enter(t->region[US].mover, NULL), DOM_OK);
  settle(t);
  assert_int_equal(state(t, US), MOVER_OPEN);
  assert_gone(t, CN, asha, 1);
  assert_reads(t, CN, "asha", "asha");
  world_free(t);
}

struct claims {
  struct mover_claim last;
  size_t count;
};

static bool take_claim(void *arg, const struct mover_claim *claim) {
  struct claims *c = arg;
  c->last = *claim;
  c->count++;
  return true;
}

/* A disk that is lost before anybody was told how far it was: the region serves who has left, and nobody
 * notices. The registrar shows the claim, and its operator has the region learn. */
static void test_claimed_twice(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(16);
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct claims claims = {.count = 0};
  struct mover_unheard unheard;
  BUF_AUTO out = BUF_INIT;
  struct mover *cn, *sg = t->region[SG].mover;
  add(t, "asha", asha);
  add(t, "ravi", ravi);
  settle(t);
  struct disk *backup = back_up(t, CN);
  move(t, asha, CN, US);
  restore_take(t, CN, backup);
  cn = t->region[CN].mover;
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_reads(t, CN, "asha", "asha"); /* of old */
  assert_int_equal(mover_claims(cn, take_claim, &claims, &unheard, NULL), DOM_INVALID);
  net_sim_cut(t->net, SG, US, true);
  assert_int_equal(mover_claims(sg, take_claim, &claims, &unheard, NULL), DOM_OK);
  net_sim_cut(t->net, SG, US, false);
  assert_int_equal(unheard.count, 1);
  assert_int_equal(unheard.region[0], US);
  assert_int_equal(claims.count, 1);
  assert_memory_equal(claims.last.token, asha, TOKEN_SIZE);
  assert_int_equal(claims.last.region, CN);
  assert_int_equal(claims.last.epoch, 1);
  assert_int_equal(claims.last.record_home, US);
  assert_int_equal(claims.last.record_epoch, 2);
  assert_int_equal(mover_quarantine_enter(cn, NULL), DOM_OK);
  assert_int_equal(mover_quarantine_enter(cn, NULL), DOM_INVALID);
  assert_int_equal(region_get(t, CN, "asha", "a", &out), DOM_UNAVAILABLE);
  region_stop(t, CN); /* it stays so */
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  settle(t);
  assert_int_equal(state(t, CN), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_MOVED);
  assert_gone(t, CN, asha, 1);
  assert_reads(t, CN, "ravi", "ravi");
  assert_reads(t, US, "asha", "asha");
  claims.count = 0;
  assert_int_equal(mover_claims(sg, take_claim, &claims, &unheard, NULL), DOM_OK);
  assert_int_equal(claims.count + unheard.count, 0);
  world_free(t);
}

struct keys_of {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  int count;
};

static bool count_key(void *arg, const struct vault_key *key) {
  struct keys_of *k = arg;
  if (memcmp(key->token, k->token, TOKEN_SIZE) != 0) return true;
  k->epoch = key->epoch;
  k->count++;
  return true;
}

/* Power cuts while an operator accepts a loss: called again it goes on, and one key is left, the live one's.
 */
static void test_acceptance_cut(void **unused) {
  (void)unused;
  int cuts = 0;
  for (uint64_t at = 1; cuts + 1 == (int)at || at == 1; at++) {
    struct test_regions *t = world_new(15);
    struct keys_of keys = {.epoch = 0};
    add(t, "asha", keys.token);
    move(t, keys.token, CN, SG);
    struct disk *backup = back_up(t, CN);
    move(t, keys.token, SG, CN);
    settle(t);
    restore_take(t, CN, backup);
    settle(t);
    disk_sim_cut_after(t->region[CN].disk, at);
    enum dom_code code = mover_quarantine_leave(t->region[CN].mover, false, NULL);
    cuts += disk_sim_is_off(t->region[CN].disk);
    assert_true(disk_sim_is_off(t->region[CN].disk) || code == DOM_OK);
    disk_sim_cut_after(t->region[CN].disk, 0);
    region_stop(t, CN);
    disk_sim_power_cut(t->region[CN].disk);
    assert_int_equal(region_start(t, CN, NULL), DOM_OK);
    settle(t);
    if (state(t, CN) != MOVER_OPEN)
      assert_int_equal(mover_quarantine_leave(t->region[CN].mover, false, NULL), DOM_OK);
    assert_int_equal(row_of(t, CN, keys.token).state, SUBJECT_HOME);
    assert_int_equal(vault_key_each(store_vault(t->region[CN].store), count_key, &keys, NULL), DOM_OK);
    assert_int_equal(keys.count, 1);
    assert_int_equal(keys.epoch, row_of(t, CN, keys.token).epoch);
    world_free(t);
  }
  assert_true(cuts > 5);
}

/* A mark that another region had no room for was not told: it comes again. */
static void test_no_room_for_marks(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(13);
  uint8_t asha[TOKEN_SIZE];
  struct mover_quarantine_status s;
  add(t, "asha", asha);
  settle(t);
  assert_int_equal(region_put(t, CN, "asha", "a", "more"), DOM_OK);
  disk_sim_fail_after(t->region[SG].disk, 1, DOM_NO_SPACE);
  settle(t);
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  assert_false(s.told_all);
  disk_sim_fail_after(t->region[SG].disk, 0, DOM_IO);
  region_stop(t, SG); /* a store that met a full disk takes no writes until then */
  assert_int_equal(region_start(t, SG, NULL), DOM_OK);
  settle(t);
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  assert_true(s.told_all);
  world_free(t);
}

/* Only a region's own signature makes it doubt itself. */
static void test_forged(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(7);
  struct mark mark = {.life = 9, .lsn = 1u << 30}, out;
  BUF_AUTO bytes = BUF_INIT;
  mark_encode(t->region[SG].mover, &mark, &bytes);
  assert_int_equal(bytes.len, MARK_SIZE);
  assert_int_equal(mark_decode(t->region[CN].mover, SG, buf_slice(&bytes), &out, NULL), DOM_OK);
  assert_int_equal(out.lsn, mark.lsn);
  assert_int_equal(mark_decode(t->region[CN].mover, CN, buf_slice(&bytes), &out, NULL), DOM_DENIED);
  bytes.data[30] ^= 1;
  assert_int_equal(mark_decode(t->region[CN].mover, SG, buf_slice(&bytes), &out, NULL), DOM_DENIED);
  bytes.len--;
  assert_int_equal(mark_decode(t->region[CN].mover, SG, buf_slice(&bytes), &out, NULL), DOM_INVALID);
  world_free(t);
}

static bool count_repairs(void *arg, const struct store_entry *e) {
  *(int *)arg += e->entry.data[4] == LEDGER_REPAIR;
  return true;
}

/* What a repair of the log could not save gets an entry, once. */
static void test_repair_told(void **unused) {
  (void)unused;
  struct test_regions *t = world_new(10);
  uint8_t asha[TOKEN_SIZE], key[STORE_REPAIR_KEY_SIZE] = {STORE_REPAIR_KEY};
  BUF_AUTO value = BUF_INIT;
  int entries = 0;
  add(t, "asha", asha);
  memcpy(key + 1, asha, TOKEN_SIZE);
  put_u64le(&value, 3);
  put_u64le(&value, 1);
  region_stop(t, CN);
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  assert_int_equal(store_view_open(t->region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(store_tx_begin(t->region[CN].store, v, &tx, NULL), DOM_OK);
  assert_int_equal(store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), buf_slice(&value), NULL),
                   DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
  store_view_close(v);
  v = NULL;
  settle(t);
  settle(t);
  BUF_AUTO left = BUF_INIT;
  assert_int_equal(store_view_open(t->region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &left, NULL), DOM_NOT_FOUND);
  assert_int_equal(store_entries_of(v, asha, count_repairs, &entries, NULL), DOM_OK);
  assert_int_equal(entries, 1);
  store_view_close(v);
  v = NULL;
  world_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_left_since),
                                     cmocka_unit_test(test_open_at_backup),
                                     cmocka_unit_test(test_came_since),
                                     cmocka_unit_test(test_epoch_used_since),
                                     cmocka_unit_test(test_erased_since),
                                     cmocka_unit_test(test_tombstone_restored),
                                     cmocka_unit_test(test_nobody_answers),
                                     cmocka_unit_test(test_registrar_restored),
                                     cmocka_unit_test(test_quiet),
                                     cmocka_unit_test(test_keys_stay),
                                     cmocka_unit_test(test_repair_told),
                                     cmocka_unit_test(test_registrars_own),
                                     cmocka_unit_test(test_forged),
                                     cmocka_unit_test(test_came_to_registrar),
                                     cmocka_unit_test(test_no_room_for_marks),
                                     cmocka_unit_test(test_left_twice),
                                     cmocka_unit_test(test_acceptance_cut),
                                     cmocka_unit_test(test_claimed_twice),
                                     cmocka_unit_test(test_between_homes),
                                     cmocka_unit_test(test_came_and_left)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
