/* Regions that lie, or are out of order: what they say may be refused, and must neither end this region's
 * process nor bind its operators' hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/move_internal.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3 };

static struct test_regions *world_new(uint64_t seed, uint8_t token[TOKEN_SIZE]) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  struct subject_who who;
  assert_non_null(t);
  regions_open(t, 3, seed, 1);
  regions_bucket(t);
  assert_int_equal(subject_register(t->region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_int_equal(region_put(t, CN, "asha", "a", "value"), DOM_OK);
  memcpy(token, who.token, TOKEN_SIZE);
  return t;
}

static void world_free(struct test_regions *t) {
  regions_close(t);
  dom_free(t);
}

static struct store_subject row_of(struct test_regions *t, uint16_t at, const uint8_t *token) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row = {.epoch = 0};
  assert_int_equal(store_view_open(t->region[at].store, &v, NULL), DOM_OK);
  store_subject_get(v, token, &row, NULL);
  return row;
}

/* ---- epochs -------------------------------------------------------------------------------- */

static void put_head(struct buf *b, const uint8_t *token, uint64_t epoch) {
  buf_reset(b);
  buf_append(b, token, TOKEN_SIZE);
  put_u64be(b, epoch);
}

static enum dom_code begin(struct test_regions *t, uint16_t from, const uint8_t *token, uint64_t epoch) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  put_head(&body, token, epoch);
  put_u64be(&body, 1);
  buf_append(&body, "IN", 2);
  put_u64be(&body, 1);
  put_u32be(&body, MOVE_PROTOCOL);
  return mover_message(t->region[SG].mover, from, "move/begin", buf_slice(&body), &reply, NULL);
}

/* The source, which is this subject's home, hands it over under an epoch of its liking. */
static void hand_over(struct test_regions *t, const uint8_t *token, uint64_t epoch) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  BUF_AUTO statement = BUF_INIT;
  struct subject_statement st = {
      .from = CN, .to = SG, .epoch_from = 1, .epoch = epoch, .charter_version = 1, .country = {'I', 'N'}};
  memcpy(st.token, token, TOKEN_SIZE);
  sha256("", 0, st.manifest);
  assert_int_equal(begin(t, CN, token, epoch), DOM_OK);
  put_head(&body, token, epoch);
  buf_append(&body, st.manifest, SHA256_SIZE);
  put_u64be(&body, 1);
  assert_int_equal(mover_message(t->region[SG].mover, CN, "move/prepare", buf_slice(&body), &reply, NULL),
                   DOM_OK);
  subject_statement_sign(t->region[CN].subjects, &st, &statement);
  buf_reset(&body);
  put_bytes16be(&body, buf_slice(&statement));
  assert_int_equal(mover_message(t->region[SG].mover, CN, "move/commit", buf_slice(&body), &reply, NULL),
                   DOM_OK);
}

/* The epoch after the highest was 0: the region that moved the subject on ended there, and at each start
 * again where a job moved it. */
static void test_last_epoch(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(1, token);
  assert_int_equal(begin(t, CN, token, UINT64_MAX), DOM_INVALID);
  assert_int_equal(begin(t, CN, token, SUBJECT_EPOCH_MAX), DOM_INVALID);
  hand_over(t, token, SUBJECT_EPOCH_MAX - 1);
  assert_int_equal(row_of(t, SG, token).epoch, SUBJECT_EPOCH_MAX - 1);
  assert_int_equal(mover_move_subject(t->region[SG].mover, token, US, NULL), DOM_REFUSED);
  assert_int_equal(row_of(t, SG, token).state, SUBJECT_HOME);
  assert_int_equal(region_put(t, SG, "asha", "b", "still"), DOM_OK);
  /* nor does a statement of such an epoch decode, nor does the registrar take its word for an erasure */
  struct subject_statement st = {.from = SG, .to = US, .epoch_from = 1, .epoch = UINT64_MAX}, out;
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  subject_statement_sign(t->region[SG].subjects, &st, &bytes);
  assert_false(subject_statement_peek(t->region[SG].subjects, buf_slice(&bytes), &out));
  put_head(&bytes, token, UINT64_MAX - 1);
  assert_int_equal(
      subject_message(t->region[SG].subjects, SG, "registrar/erased", buf_slice(&bytes), &reply, NULL),
      DOM_INVALID);
  world_free(t);
}

/* A region hands over somebody who lives elsewhere, all signed by itself: the target served its copy beside
 * the home, and took writes. */
static void test_not_its_own(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(6, token);
  assert_int_equal(begin(t, US, token, 50), DOM_DENIED);
  assert_int_equal(row_of(t, SG, token).epoch, 0);
  assert_int_equal(begin(t, CN, token, 2), DOM_OK); /* nor does it use up the epochs of who may */
  world_free(t);
}

/* ---- bodies -------------------------------------------------------------------------------- */

enum { WHOLE = 44 };

static enum dom_code send_body(struct test_regions *t, const uint8_t *token, uint8_t number, bool last) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  struct handoff h = {.epoch = 2};
  memcpy(h.token, token, TOKEN_SIZE);
  bulk_begin(&body, &h);
  for (int i = 0; i < STORE_BODY_ID_SIZE; i++) put_u8(&body, i == 0 ? number : (uint8_t)last);
  put_u64be(&body, 0);
  put_u8(&body, last);
  bulk_seal(&body);
  buf_append_str(&body, "begun");
  return mover_message(t->region[SG].mover, CN, MOVE_BODY_PATH, buf_slice(&body), &reply, NULL);
}

/* Bodies that are begun and never ended, each a file held open, until there were no more descriptors. */
static void test_bodies_begun(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(7, token);
  assert_int_equal(begin(t, CN, token, 2), DOM_OK);
  for (int i = 0; i < MOVE_UNSEALED_MAX - 1; i++)
    assert_int_equal(send_body(t, token, (uint8_t)i, false), DOM_OK);
  for (int i = 0; i < WHOLE; i++) /* those that are whole take no place */
    assert_int_equal(send_body(t, token, (uint8_t)i, true), DOM_OK);
  assert_int_equal(send_body(t, token, MOVE_UNSEALED_MAX - 1, false), DOM_OK);
  assert_int_equal(send_body(t, token, 200, true), DOM_BUSY);
  assert_int_equal(transfer_count(t->region[SG].mover), MOVE_UNSEALED_MAX + WHOLE);
  assert_int_equal(send_body(t, token, 3, false), DOM_OK); /* who has begun goes on */
  world_free(t);
}

/* ---- in quarantine ---------------------------------------------------------------------------- */

struct liar {
  struct test_regions *t;
  struct buf facts; /* what it answers for handoffs; empty: pages without end */
  uint32_t pages;
};

static enum dom_code lie(void *arg, uint16_t from, const char *path, struct slice body, struct buf *reply,
                         struct dom_err *err) {
  struct liar *l = arg;
  if (strcmp(path, "move/history") != 0)
    return mover_message(l->t->region[US].mover, from, path, body, reply, err);
  uint8_t cursor[4];
  store_u32be(cursor, ++l->pages);
  clock_sim_advance(l->t->clock, 100); /* an answer takes its time */
  bool endless = l->facts.len == 0, first = body.data[0] == HISTORY_FIRST;
  put_u8(reply, endless ? body.data[0] : (uint8_t)(body.data[0] + 1));
  put_bytes16be(reply, endless ? slice_of(cursor, sizeof cursor) : SLICE_LIT(""));
  if (first) buf_append_slice(reply, buf_slice(&l->facts));
  if (l->pages > 10000) fail_msg("asked for ever");
  return DOM_OK;
}

static void handoff_fact(struct buf *b, enum fact_kind kind, const uint8_t *token, uint64_t epoch,
                         uint64_t epoch_from, enum handoff_state state, struct slice statement) {
  static const uint8_t manifest[SHA256_SIZE] = {0};
  put_u8(b, (uint8_t)kind);
  buf_append(b, token, TOKEN_SIZE);
  put_u64be(b, epoch);
  buf_append(b, "IN", 2);
  put_u8(b, (uint8_t)state);
  put_u64be(b, epoch_from);
  put_u64be(b, 1);
  buf_append(b, manifest, SHA256_SIZE);
  put_bytes16be(b, statement);
}

/* CN finds itself behind; US lies from here on. */
static void quarantine(struct test_regions *t, struct liar *l) {
  struct mark ahead = {.life = 1};
  net_sim_leave(t->net, US);
  assert_non_null(net_sim_join(t->net, US, lie, l));
  assert_int_equal(mover_watch(t->region[CN].mover, NULL), DOM_OK);
  pthread_mutex_lock(&t->region[CN].mover->quarantine.lock);
  assert_int_equal(quarantine_enter(t->region[CN].mover, &ahead, NULL), DOM_OK);
  pthread_mutex_unlock(&t->region[CN].mover->quarantine.lock);
}

static void watch(struct test_regions *t) {
  for (int i = 0; i < 3; i++) {
    clock_sim_advance(t->clock, 60000);
    mover_watch(t->region[CN].mover, NULL);
  }
}

static enum mover_quarantine_state state(struct test_regions *t) {
  struct mover_quarantine_status s;
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  return s.state;
}

/* "Asha came to you, under the last epoch there is": the operator who accepted the loss ended the process. */
static void test_lost_at_last_epoch(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(2, token);
  struct liar l = {.t = t};
  handoff_fact(&l.facts, FACT_CAME, token, UINT64_MAX, 1, HANDOFF_ERASING, SLICE_LIT(""));
  quarantine(t, &l);
  watch(t);
  assert_int_equal(state(t),
                   MOVER_QUARANTINE); /* what it says is not taken, and it is not heard to its end */
  assert_int_equal(mover_quarantine_leave(t->region[CN].mover, true, NULL), DOM_OK);
  assert_int_equal(state(t), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, token).epoch, 1);
  assert_int_equal(mover_move_subject(t->region[CN].mover, token, SG, NULL), DOM_OK);
  buf_done(&l.facts);
  world_free(t);
}

/* "Asha left for me", where she left for another region: the registrar knows under which epoch, and for whom.
 */
static void test_left_for_another(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(3, token);
  struct liar l = {.t = t};
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  struct subject_statement st = {.from = CN, .to = SG, .epoch_from = 1, .epoch = 2, .country = {'I', 'N'}};
  memcpy(st.token, token, TOKEN_SIZE);
  subject_statement_sign(t->region[CN].subjects, &st, &body); /* what the lost disk had signed */
  assert_int_equal(
      subject_message(t->region[SG].subjects, SG, "registrar/moved", buf_slice(&body), &reply, NULL), DOM_OK);
  handoff_fact(&l.facts, FACT_LEFT, token, 2, 1, HANDOFF_ACTIVE, SLICE_LIT(""));
  quarantine(t, &l);
  watch(t);
  assert_int_equal(row_of(t, CN, token).state, SUBJECT_HOME);
  assert_int_equal(state(t), MOVER_QUARANTINE);
  buf_done(&l.facts);
  world_free(t);
}

/* The statement is right, and what is said beside it is not: by `epoch_from` it is chosen whose key goes. */
static void test_left_under_another(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(4, token);
  struct liar l = {.t = t};
  BUF_AUTO statement = BUF_INIT;
  struct subject_statement st = {.from = CN, .to = US, .epoch_from = 1, .epoch = 2, .country = {'I', 'N'}};
  memcpy(st.token, token, TOKEN_SIZE);
  subject_statement_sign(t->region[CN].subjects, &st, &statement);
  handoff_fact(&l.facts, FACT_LEFT, token, 2, 0, HANDOFF_ACTIVE, buf_slice(&statement));
  quarantine(t, &l);
  watch(t);
  assert_int_equal(row_of(t, CN, token).state, SUBJECT_HOME);
  assert_int_equal(state(t), MOVER_QUARANTINE);
  buf_done(&l.facts);
  world_free(t);
}

/* Pages without end: the watch asked for the next one for ever, with the lock that operators wait for. */
static void test_endless(void **unused) {
  (void)unused;
  uint8_t token[TOKEN_SIZE];
  struct test_regions *t = world_new(5, token);
  struct liar l = {.t = t};
  quarantine(t, &l);
  watch(t);
  assert_in_range(l.pages, 3, 300);
  assert_int_equal(state(t), MOVER_QUARANTINE);
  assert_int_equal(mover_quarantine_leave(t->region[CN].mover, true, NULL), DOM_OK);
  assert_int_equal(state(t), MOVER_OPEN);
  world_free(t);
}

/* "CN was about to give me asha", who lives there by its backup; "ravi came to you", who lives elsewhere;
 * "here is what you lost of" somebody whom nobody knows. Nobody is taken away by that, nor taken in, and an
 * operator who accepts what is lost is not held up. */
static void test_copies_that_are_none(void **unused) {
  (void)unused;
  uint8_t asha[TOKEN_SIZE], stranger[TOKEN_SIZE] = {7};
  struct test_regions *t = world_new(8, asha);
  struct subject_who ravi;
  struct liar l = {.t = t};
  struct mover_quarantine_status s;
  struct handoff h;
  assert_int_equal(subject_register(t->region[SG].subjects, TENANT, SLICE_LIT("ravi"), "US", &ravi, NULL),
                   DOM_OK);
  handoff_fact(&l.facts, FACT_LEFT, asha, 2, 1, HANDOFF_PREPARED, SLICE_LIT(""));
  handoff_fact(&l.facts, FACT_CAME, ravi.token, 9, 8, HANDOFF_COMMITTED, SLICE_LIT(""));
  handoff_fact(&l.facts, FACT_LEFT, stranger, 5, 4, HANDOFF_PREPARED, SLICE_LIT(""));
  quarantine(t, &l);
  watch(t);
  assert_int_equal(mover_quarantine_status(t->region[CN].mover, &s, NULL), DOM_OK);
  assert_int_equal(s.lost, 2);
  assert_int_equal(mover_quarantine_leave(t->region[CN].mover, true, NULL), DOM_OK);
  assert_int_equal(state(t), MOVER_OPEN);
  assert_int_equal(row_of(t, CN, asha).state, SUBJECT_HOME);
  assert_int_equal(row_of(t, SG, ravi.token).state, SUBJECT_HOME);
  assert_int_equal(row_of(t, CN, stranger).epoch, 0);
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(t->region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(handoff_get(v, ravi.token, 9, HANDOFF_TARGET, &h, NULL), DOM_NOT_FOUND);
  store_view_close(v);
  v = NULL;
  buf_done(&l.facts);
  world_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_last_epoch),       cmocka_unit_test(test_lost_at_last_epoch),
      cmocka_unit_test(test_left_for_another), cmocka_unit_test(test_left_under_another),
      cmocka_unit_test(test_endless),          cmocka_unit_test(test_not_its_own),
      cmocka_unit_test(test_bodies_begun),     cmocka_unit_test(test_copies_that_are_none)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
