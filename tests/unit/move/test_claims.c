/* What regions tell a region that lost its disk, held against the record and against each other: by no word
 * of one region does anybody lose a copy that another has, or a home. */
#include "lost_world.h"

enum { IN = 4 /* under charter 1 nobody of India may live there */ };

static struct test_regions *world4(uint64_t seed) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  assert_non_null(t);
  regions_open(t, 4, seed, 1);
  regions_bucket(t);
  return t;
}

/* ---- a region that lies --------------------------------------------------------------------------- */

struct liar {
  struct test_regions *t;
  uint16_t as;
  struct buf facts;    /* what it tells of handoffs */
  struct disk *backup; /* of the region that will lose its disk */
};

static enum dom_code lie(void *arg, uint16_t from, const char *path, struct slice body, struct buf *reply,
                         struct dom_err *err) {
  struct liar *l = arg;
  struct test_region *r = &l->t->region[l->as];
  if (strcmp(path, "move/history") != 0)
    return mover_takes(path) ? mover_message(r->mover, from, path, body, reply, err)
                             : subject_message(r->subjects, from, path, body, reply, err);
  put_u8(reply, (uint8_t)(body.data[0] + 1));
  put_bytes16be(reply, SLICE_LIT(""));
  if (body.data[0] == HISTORY_FIRST) buf_append_slice(reply, buf_slice(&l->facts));
  return DOM_OK;
}

static void lies(struct liar *l, enum fact_kind kind, const uint8_t *token, uint64_t epoch,
                 uint64_t epoch_from, enum handoff_state state, const char *country) {
  static const uint8_t manifest[SHA256_SIZE] = {0};
  put_u8(&l->facts, (uint8_t)kind);
  buf_append(&l->facts, token, TOKEN_SIZE);
  put_u64be(&l->facts, epoch);
  buf_append(&l->facts, country, 2);
  put_u8(&l->facts, (uint8_t)state);
  put_u64be(&l->facts, epoch_from);
  put_u64be(&l->facts, 1);
  buf_append(&l->facts, manifest, SHA256_SIZE);
  put_bytes16be(&l->facts, SLICE_LIT(""));
  net_sim_leave(l->t->net, l->as);
  assert_non_null(net_sim_join(l->t->net, l->as, lie, l));
}

/* ---- the world ------------------------------------------------------------------------------------- */

static void cut_at_commit(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+committed") == 0) net_sim_cut(t->net, CN, US, true);
}

static void die_at_prepared(void *arg, const char *step) {
  struct test_regions *t = arg;
  if (strcmp(step, "+peer-prepared") == 0) disk_sim_power_cut(t->region[SG].disk);
}

static void turn(struct test_regions *t, int rounds) {
  for (int k = 0; k < rounds; k++) {
    clock_sim_advance(t->clock, 60000);
    for (uint16_t i = 1; i <= t->count; i++) {
      bool did;
      if (t->region[i].mover) (void)mover_upkeep(t->region[i].mover, &did, NULL);
    }
  }
}

static enum dom_code leave(struct test_regions *t, uint16_t at, struct dom_err *err) {
  return mover_quarantine_leave(t->region[at].mover, false, err);
}

static bool has_key(struct test_regions *t, uint16_t at, const uint8_t *token, uint64_t epoch) {
  struct vault_key key = {.epoch = epoch};
  memcpy(key.token, token, TOKEN_SIZE);
  return vault_key_exists(store_vault(t->region[at].store), &key, NULL) == DOM_OK;
}

static void lose(struct test_regions *t, uint16_t at, struct disk *backup) {
  t->fault_point = NULL;
  t->region[at].start_confirmed = true;
  restore_take(t, at, backup);
}

/* The statement by which asha left CN. */
static void statement_of(struct test_regions *t, const uint8_t *asha, struct buf *out) {
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(t->region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_statement_kept(v, asha, out, NULL), DOM_OK);
}

/* CN has committed asha to US, which served her; the registrar knows, CN has not heard. US lost its disk. */
static struct test_regions *kept_world(uint64_t seed, uint8_t asha[TOKEN_SIZE]) {
  struct test_regions *t = world4(seed);
  BUF_AUTO statement = BUF_INIT;
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, US);
  restart_with(t, CN, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  statement_of(t, asha, &statement);
  assert_int_equal(mover_take_statement(t->region[US].mover, buf_slice(&statement), NULL), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  assert_int_equal(mover_watch(t->region[US].mover, NULL), DOM_OK);
  lose(t, US, backup);
  net_sim_cut(t->net, CN, US, false);
  return t;
}

static void assert_home(struct test_regions *t, const uint8_t *token, uint16_t at, uint64_t epoch) {
  struct subject_record record;
  assert_int_equal(row_of(t, at, token).state, SUBJECT_HOME);
  assert_int_equal(row_of(t, at, token).epoch, epoch);
  assert_int_equal(subject_record_find(t->region[SG].subjects, token, &record, NULL), DOM_OK);
  assert_int_equal(record.home, at);
  assert_int_equal(record.epoch, epoch);
}

/* ---- between honest regions ------------------------------------------------------------------------ */

/* The registrar tells of the same epoch as the former home: that one's copy is not forgotten over it. */
static void test_registrar_knows(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = kept_world(1, asha);
  turn(t, 3);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 8);
  assert_home(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  assert_false(has_key(t, CN, asha, 1));
  world_free(t);
}

/* The registrar is two moves behind: it says of US, which is asked to believe it, what was so before both. */
static void test_registrar_behind(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world4(2);
  add(t, "asha", asha);
  move(t, asha, CN, US);
  settle(t);
  struct disk *backup = back_up(t, US);
  net_sim_cut(t->net, SG, US, true);
  net_sim_cut(t->net, SG, CN, true);
  assert_int_not_equal(mover_move_subject(t->region[US].mover, asha, CN, NULL), DOM_OK); /* unconfirmed */
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_HOME);
  assert_int_equal(region_put(t, CN, "asha", "b", "since"), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  mover_watch(t->region[US].mover, NULL);
  restart_with(t, CN, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  lose(t, US, backup);
  net_sim_cut(t->net, CN, US, false);
  net_sim_cut(t->net, SG, US, false);
  net_sim_cut(t->net, SG, CN, false);
  turn(t, 4);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 8);
  assert_home(t, asha, US, 4);
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(t, US, "asha", "b", &out), DOM_OK);
  world_free(t);
}

/* The registrar's own disk: of who was registered and prepared for another region since, it has no record. */
static void test_registrar_lost(void **unused) {
  (void)unused;
  struct subject_who who;
  struct test_regions *t = world4(3);
  settle(t);
  struct disk *backup = back_up(t, SG);
  assert_int_equal(subject_register(t->region[SG].subjects, TENANT, SLICE_LIT("ravi"), "US", &who, NULL),
                   DOM_OK);
  assert_int_equal(region_put(t, SG, "ravi", "a", "ravi"), DOM_OK);
  settle(t);
  restart_with(t, SG, die_at_prepared, t);
  assert_int_not_equal(mover_move_subject(t->region[SG].mover, who.token, US, NULL), DOM_OK);
  lose(t, SG, backup);
  turn(t, 3);
  assert_int_equal(leave(t, SG, NULL), DOM_OK);
  turn(t, 8);
  assert_home(t, who.token, US, 2);
  assert_reads(t, US, "ravi", "ravi");
  world_free(t);
}

/* She left by the backup's time, came back, and was not confirmed: both earlier stays go. */
static void test_there_and_back(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct test_regions *t = world4(4);
  add(t, "asha", asha);
  settle(t);
  struct disk *backup = back_up(t, CN);
  move(t, asha, CN, US);
  assert_int_equal(region_put(t, US, "asha", "b", "at us"), DOM_OK);
  settle(t);
  restart_with(t, US, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[US].mover, asha, CN, NULL), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  mover_watch(t->region[CN].mover, NULL);
  lose(t, CN, backup);
  net_sim_cut(t->net, CN, US, false);
  turn(t, 3);
  assert_int_equal(leave(t, CN, NULL), DOM_OK);
  turn(t, 6);
  assert_home(t, asha, CN, 3);
  assert_int_equal(region_get(t, CN, "asha", "b", &out), DOM_OK);
  assert_false(has_key(t, CN, asha, 1));
  assert_false(has_key(t, US, asha, 2));
  world_free(t);
}

/* Versions, markers and uploads come as they were, also when the region doubts once more meanwhile. */
static void test_versions(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world4(5);
  struct store_version one = {0}, two = {0}, marker = {0}, null = {.is_null = true};
  BUF_AUTO before = BUF_INIT;
  BUF_AUTO after = BUF_INIT;
  add(t, "asha", asha);
  assert_int_equal(region_version(t, CN, "asha", "v", REGION_PUT, "one", &one), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "v", REGION_PUT_FILE, "two", &two), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "v", REGION_MARK, "", &marker), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "v", REGION_MARK, "", &null), DOM_OK);
  settle(t);
  assert_int_equal(region_versions(t, CN, "asha", &before), DOM_OK);
  struct disk *backup = back_up(t, US);
  restart_with(t, CN, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[CN].mover, asha, US, NULL), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  mover_watch(t->region[US].mover, NULL);
  lose(t, US, backup);
  net_sim_cut(t->net, CN, US, false);
  turn(t, 3);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  assert_int_equal(mover_quarantine_enter(t->region[US].mover, NULL), DOM_OK);
  turn(t, 3);
  if (state(t, US) != MOVER_OPEN) assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 5);
  assert_int_equal(region_versions(t, US, "asha", &after), DOM_OK);
  assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
  world_free(t);
}

/* The source may be of an earlier build, which takes every answer that is no failure for a confirmation. */
static void test_no_confirmation(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO statement = BUF_INIT;
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  struct test_regions *t = kept_world(6, asha);
  turn(t, 3);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  statement_of(t, asha, &statement);
  put_bytes16be(&body, buf_slice(&statement));
  assert_int_equal(mover_message(t->region[US].mover, CN, "move/commit", buf_slice(&body), &reply, NULL),
                   DOM_NOT_FOUND);
  world_free(t);
}

/* Who went on empty, was erased, and whose former home comes back only then: its copy goes too. */
static void test_erased_then_heard(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct mover_forget_status s;
  struct test_regions *t = kept_world(7, asha);
  region_stop(t, CN);
  for (int i = 0; i < 8; i++) {
    clock_sim_advance(t->clock, 1000);
    (void)mover_watch(t->region[US].mover, NULL);
  }
  assert_int_equal(mover_quarantine_leave(t->region[US].mover, true, NULL), DOM_OK);
  assert_int_equal(row_of(t, US, asha).epoch, 3);
  assert_int_equal(mover_forget(t->region[US].mover, asha, NULL, false, &s, NULL), DOM_OK);
  assert_int_equal(region_start(t, CN, NULL), DOM_OK);
  turn(t, 10);
  assert_false(has_key(t, CN, asha, 1));
  world_free(t);
}

/* She went on from here to a region that is not heard any more, and came back by another: what the backup has
 * of her first stay is served to nobody, and goes. */
static void test_earlier_stay(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO out = BUF_INIT;
  struct test_regions *t = world4(8);
  add(t, "asha", asha);
  assert_int_equal(regions_force(t, 4, true), DOM_OK);
  settle(t);
  struct disk *backup = back_up(t, CN);
  move(t, asha, CN, IN);
  move(t, asha, IN, US);
  assert_int_equal(region_put(t, US, "asha", "a", "later"), DOM_OK);
  settle(t);
  restart_with(t, US, cut_at_commit, t);
  assert_int_not_equal(mover_move_subject(t->region[US].mover, asha, CN, NULL), DOM_OK);
  clock_sim_advance(t->clock, 60000);
  mover_watch(t->region[CN].mover, NULL);
  net_sim_cut(t->net, CN, IN, true);
  lose(t, CN, backup);
  for (int i = 0; i < 8; i++) {
    net_sim_cut(t->net, CN, US, false);
    clock_sim_advance(t->clock, 20000);
    (void)mover_watch(t->region[CN].mover, NULL);
  }
  net_sim_cut(t->net, CN, US, true);
  struct dom_err err = {0};
  if (mover_quarantine_leave(t->region[CN].mover, true, &err)) fail_msg("%s", err.text);
  assert_int_not_equal(region_get(t, CN, "asha", "a", &out), DOM_OK);
  assert_int_not_equal(region_put(t, CN, "asha", "b", "x"), DOM_OK);
  net_sim_cut(t->net, CN, US, false);
  net_sim_cut(t->net, CN, IN, false);
  turn(t, 8);
  assert_home(t, asha, CN, 4);
  assert_reads(t, CN, "asha", "later");
  assert_false(has_key(t, CN, asha, 1));
  world_free(t);
}

/* Rows of an earlier build had shorter keys: they stand in nobody's way. */
static void test_old_rows(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE], key[1 + TOKEN_SIZE] = {'q'},
                                    old[13] = {0, 0, 0, 0, 0, 0, 0, 2, 0, CN, 1, 'I', 'N'};
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  struct test_regions *t = kept_world(9, asha);
  memcpy(key + 1, asha, TOKEN_SIZE);
  assert_int_equal(store_view_open(t->region[US].store, &v, NULL), DOM_OK);
  assert_int_equal(store_tx_begin(t->region[US].store, v, &tx, NULL), DOM_OK);
  assert_int_equal(
      store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), slice_of(old, sizeof old), NULL),
      DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_OK);
  store_view_close(v);
  v = NULL;
  turn(t, 3);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 8);
  assert_home(t, asha, US, 2);
  world_free(t);
}

/* ---- beside a liar ------------------------------------------------------------------------------------ */

/* "She came from me", under the same epoch as the true word: nobody is believed, and the copy stays. */
static void test_forged(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct dom_err err = {0};
  struct test_regions *t = kept_world(10, asha);
  struct liar l = {.t = t, .as = IN};
  lies(&l, FACT_CAME, asha, 2, 1, HANDOFF_COMMITTED, "US");
  turn(t, 3);
  assert_int_equal(leave(t, US, &err), DOM_BUSY);
  assert_non_null(strstr(err.text, "lies"));
  assert_true(has_key(t, CN, asha, 1));
  assert_int_equal(row_of(t, US, asha).epoch, 0);
  buf_done(&l.facts);
  world_free(t);
}

static void no_better_word(uint64_t seed, enum fact_kind kind, uint64_t epoch, enum handoff_state said) {
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = kept_world(seed, asha);
  struct liar l = {.t = t, .as = IN};
  lies(&l, kind, asha, epoch, epoch - 1, said, "US");
  turn(t, 3);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 8);
  assert_home(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  assert_memory_equal(row_of(t, US, asha).country, "IN", 2);
  buf_done(&l.facts);
  world_free(t);
}

/* A higher epoch, or a copy that is said to be prepared, does not end what the former home still has. */
static void test_no_better_word(void **unused) {
  (void)unused;
  no_better_word(11, FACT_CAME, 9, HANDOFF_COMMITTED);
  no_better_word(12, FACT_CAME, 9, HANDOFF_ERASING);
  no_better_word(13, FACT_LEFT, 3, HANDOFF_PREPARED);
}

/* Of who lives here, by the row and by the record, nothing that is told makes a lost one. */
static void living(uint64_t seed, enum fact_kind kind, enum handoff_state said) {
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world4(seed);
  add(t, "asha", asha);
  settle(t);
  struct liar l = {.t = t, .as = IN};
  lies(&l, kind, asha, 5, 4, said, "IN");
  assert_int_equal(mover_quarantine_enter(t->region[CN].mover, NULL), DOM_OK);
  turn(t, 3);
  if (state(t, CN) != MOVER_OPEN) assert_int_equal(leave(t, CN, NULL), DOM_OK);
  turn(t, 3);
  assert_home(t, asha, CN, 1);
  assert_reads(t, CN, "asha", "asha");
  buf_done(&l.facts);
  world_free(t);
}

static void test_living(void **unused) {
  (void)unused;
  living(14, FACT_LEFT, HANDOFF_PREPARED);
  living(15, FACT_CAME, HANDOFF_COMMITTED);
  living(16, FACT_CAME, HANDOFF_ERASING);
}

/* CN has lost ravi, of whom nobody has a copy; this is what a liar tells of somebody. */
static struct test_regions *empty_world(uint64_t seed, uint8_t asha[TOKEN_SIZE], uint8_t ravi[TOKEN_SIZE]) {
  struct test_regions *t = world4(seed);
  add(t, "asha", asha);
  move(t, asha, CN, US);
  settle(t);
  struct disk *backup = back_up(t, CN);
  add(t, "ravi", ravi);
  settle(t);
  lose(t, CN, backup);
  return t;
}

/* "She came from me" of who was about to leave, while the one she did come from says that it has nothing
 * left. */
static void test_kept_of_who_was_prepared(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world4(21);
  add(t, "asha", asha);
  move(t, asha, CN, SG);
  settle(t);
  struct disk *backup = back_up(t, SG);
  move(t, asha, SG, CN);
  move(t, asha, CN, SG);
  settle(t);
  restart_with(t, SG, die_at_prepared, t);
  assert_int_not_equal(mover_move_subject(t->region[SG].mover, asha, US, NULL), DOM_OK);
  lose(t, SG, backup);
  struct liar l = {.t = t, .as = IN};
  lies(&l, FACT_CAME, asha, 4, 3, HANDOFF_COMMITTED, "IN");
  turn(t, 3);
  struct dom_err err = {0};
  enum dom_code code = leave(t, SG, &err);
  if (code != DOM_BUSY) fail_msg("%s: %s", err.where, err.text);
  turn(t, 3);
  assert_true(has_key(t, US, asha, 5));
  buf_done(&l.facts);
  world_free(t);
}

static void back_up_prepared(void *arg, const char *step) {
  struct liar *l = arg;
  if (strcmp(step, "+peer-prepared") != 0 || l->backup) return;
  l->backup = disk_sim_new(88);
  disk_copy(l->t->region[US].disk, l->backup);
}

/* All of her is prepared here, in the backup: what somebody says of a later epoch does not empty her. */
static void test_prepared_here(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  struct test_regions *t = world4(22);
  struct liar l = {.t = t, .as = IN};
  add(t, "asha", asha);
  settle(t);
  restart_with(t, CN, back_up_prepared, &l);
  move(t, asha, CN, US);
  settle(t);
  assert_non_null(l.backup);
  lies(&l, FACT_CAME, asha, 9, 8, HANDOFF_ERASING, "IN");
  lose(t, US, l.backup);
  turn(t, 3);
  if (state(t, US) != MOVER_OPEN) assert_int_equal(leave(t, US, NULL), DOM_OK);
  turn(t, 4);
  assert_home(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  buf_done(&l.facts);
  world_free(t);
}

/* "You have this one on record", told to a restored registrar by a region that is none. */
static void test_record_of_no_registrar(void **unused) {
  (void)unused;
  static const uint8_t stranger[TOKEN_SIZE] = {9};
  struct test_regions *t = world4(23);
  struct liar l = {.t = t, .as = IN};
  put_u8(&l.facts, FACT_RECORD);
  buf_append(&l.facts, stranger, TOKEN_SIZE);
  put_u64be(&l.facts, 5);
  buf_append(&l.facts, "IN", 2);
  lies(&l, FACT_LEFT, stranger, 5, 4, HANDOFF_STAGING, "IN");
  assert_int_equal(mover_quarantine_enter(t->region[SG].mover, NULL), DOM_OK);
  turn(t, 3);
  assert_int_equal(state(t, SG), MOVER_OPEN); /* nobody is lost */
  assert_int_equal(row_of(t, SG, stranger).epoch, 0);
  buf_done(&l.facts);
  world_free(t);
}

/* Of its own resident: the registrar would refuse to take that, each time. */
static void test_of_its_own(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct test_regions *t = empty_world(17, asha, ravi);
  struct liar l = {.t = t, .as = US};
  lies(&l, FACT_CAME, asha, 3, 2, HANDOFF_ERASING, "IN");
  turn(t, 3);
  assert_int_equal(leave(t, CN, NULL), DOM_OK);
  assert_home(t, asha, US, 2);
  assert_home(t, ravi, CN, 2);
  buf_done(&l.facts);
  world_free(t);
}

/* An epoch above which there is none, and a country that is none: who says so has not been heard. */
static void test_of_no_sense(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct test_regions *t = empty_world(18, asha, ravi);
  struct liar l = {.t = t, .as = IN};
  lies(&l, FACT_CAME, ravi, SUBJECT_EPOCH_MAX - 1, 2, HANDOFF_ERASING, "IN");
  turn(t, 3);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  buf_reset(&l.facts);
  lies(&l, FACT_CAME, ravi, 7, 2, HANDOFF_ERASING, "\xff\n");
  turn(t, 3);
  assert_int_equal(state(t, CN), MOVER_QUARANTINE);
  assert_int_equal(mover_quarantine_leave(t->region[CN].mover, true, NULL), DOM_OK);
  assert_home(t, ravi, CN, 2);
  assert_memory_equal(row_of(t, CN, ravi).country, "IN", 2);
  buf_done(&l.facts);
  world_free(t);
}

/* "I have all of ravi", whom the charter keeps from there, whatever country it says he is of. */
static void test_of_another_country(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE], ravi[TOKEN_SIZE];
  struct dom_err err = {0};
  struct test_regions *t = empty_world(19, asha, ravi);
  struct liar l = {.t = t, .as = IN};
  lies(&l, FACT_LEFT, ravi, 2, 1, HANDOFF_PREPARED, "US");
  turn(t, 3);
  assert_int_equal(leave(t, CN, &err), DOM_REFUSED);
  assert_non_null(strstr(err.text, "rules.IN"));
  assert_int_equal(row_of(t, CN, ravi).epoch, 0);
  buf_done(&l.facts);
  world_free(t);
}

/* Whoever begins to hand her over, while the registrar cannot be asked, does not end what waits for its copy.
 */
static void test_begins_anew(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE];
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  struct test_regions *t = kept_world(20, asha);
  turn(t, 3);
  net_sim_cut(t->net, CN, US, true);
  assert_int_equal(leave(t, US, NULL), DOM_OK);
  net_sim_cut(t->net, SG, US, true);
  buf_append(&body, asha, TOKEN_SIZE);
  put_u64be(&body, 3);
  put_u64be(&body, 2);
  buf_append(&body, "US", 2);
  put_u64be(&body, 1);
  put_u32be(&body, MOVE_PROTOCOL);
  assert_int_equal(mover_message(t->region[US].mover, IN, "move/begin", buf_slice(&body), &reply, NULL),
                   DOM_BUSY);
  net_sim_cut(t->net, SG, US, false);
  net_sim_cut(t->net, CN, US, false);
  turn(t, 8);
  assert_home(t, asha, US, 2);
  assert_reads(t, US, "asha", "asha");
  world_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_registrar_knows),
                                     cmocka_unit_test(test_registrar_behind),
                                     cmocka_unit_test(test_registrar_lost),
                                     cmocka_unit_test(test_there_and_back),
                                     cmocka_unit_test(test_versions),
                                     cmocka_unit_test(test_no_confirmation),
                                     cmocka_unit_test(test_erased_then_heard),
                                     cmocka_unit_test(test_earlier_stay),
                                     cmocka_unit_test(test_old_rows),
                                     cmocka_unit_test(test_kept_of_who_was_prepared),
                                     cmocka_unit_test(test_prepared_here),
                                     cmocka_unit_test(test_record_of_no_registrar),
                                     cmocka_unit_test(test_forged),
                                     cmocka_unit_test(test_no_better_word),
                                     cmocka_unit_test(test_living),
                                     cmocka_unit_test(test_of_its_own),
                                     cmocka_unit_test(test_of_no_sense),
                                     cmocka_unit_test(test_of_another_country),
                                     cmocka_unit_test(test_begins_anew)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
