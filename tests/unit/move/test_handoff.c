/* The table of legal steps, and the rows that remember a side's state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "move/handoff.h"
#include "move/job.h"

static const enum handoff_state STATES[] = {
    HANDOFF_NONE,     HANDOFF_COPYING, HANDOFF_FENCED,   HANDOFF_COMMITTED, HANDOFF_ERASING,
    HANDOFF_DROPPED,  HANDOFF_ERASED,  HANDOFF_PURGED,   HANDOFF_ABORTED,   HANDOFF_STAGING,
    HANDOFF_PREPARED, HANDOFF_ACTIVE,  HANDOFF_DISCARDED};

/* Every (side, state, event) has at most one row, and handoff_step says just what the table says. */
static void test_table(void **state) {
  (void)state;
  size_t rows = 0, legal = 0;
  enum handoff_side side;
  enum handoff_state from, next, got;
  enum handoff_event event;
  enum handoff_action action, act;
  for (; handoff_row_at(rows, &side, &from, &event, &next, &action); rows++) {
    assert_true(handoff_step(side, from, event, &got, &act));
    assert_int_equal(got, next);
    assert_int_equal(act, action);
  }
  for (int s = HANDOFF_SOURCE; s <= HANDOFF_TARGET; s++)
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
      for (int e = EVENT_BEGIN; e <= EVENT_ABORT; e++)
        if (handoff_step((enum handoff_side)s, STATES[i], (enum handoff_event)e, &got, &act)) legal++;
  assert_int_equal(rows, legal);
}

/* What must never be legal, whatever the table grows into. */
static void test_never(void **state) {
  (void)state;
  enum handoff_state next;
  enum handoff_action action;
  /* once committed, nothing leads back */
  assert_false(handoff_step(HANDOFF_SOURCE, HANDOFF_COMMITTED, EVENT_FAIL, &next, &action));
  /* the source's copy goes only after the target confirmed */
  assert_false(handoff_step(HANDOFF_SOURCE, HANDOFF_COMMITTED, EVENT_DROPPED, &next, &action));
  assert_false(handoff_step(HANDOFF_SOURCE, HANDOFF_FENCED, EVENT_CONFIRMED, &next, &action));
  /* nothing is served that was not prepared; nothing served is discarded */
  assert_false(handoff_step(HANDOFF_TARGET, HANDOFF_STAGING, EVENT_COMMIT, &next, &action));
  assert_false(handoff_step(HANDOFF_TARGET, HANDOFF_DISCARDED, EVENT_COMMIT, &next, &action));
  assert_false(handoff_step(HANDOFF_TARGET, HANDOFF_ACTIVE, EVENT_ABORT, &next, &action));
  assert_false(handoff_step(HANDOFF_TARGET, HANDOFF_PREPARED, EVENT_ITEMS, &next, &action));
}

static void test_rows(void **state) {
  (void)state;
  struct handoff h = {.epoch = 9,
                      .side = HANDOFF_TARGET,
                      .state = HANDOFF_PREPARED,
                      .peer = 3,
                      .epoch_from = 7,
                      .country = {'I', 'N'},
                      .charter_version = 2,
                      .objects = 5,
                      .bytes = 1234567890123,
                      .started_ms = 11,
                      .kek = 12,
                      .commit_lsn = 13},
                 back;
  memset(h.token, 0xab, sizeof h.token);
  memset(h.manifest, 0xcd, sizeof h.manifest);
  uint8_t key[HANDOFF_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  handoff_key(&h, key);
  handoff_encode(&h, &value);
  assert_int_equal(handoff_decode(slice_of(key, sizeof key), buf_slice(&value), &back, NULL), DOM_OK);
  assert_memory_equal(back.token, h.token, sizeof h.token);
  assert_memory_equal(back.manifest, h.manifest, sizeof h.manifest);
  assert_int_equal(back.bytes, h.bytes);
  assert_int_equal(back.state, h.state);
  assert_int_equal(back.commit_lsn, 13);
  for (size_t len = 0; len < value.len; len++)
    assert_int_equal(handoff_decode(slice_of(key, sizeof key), slice_of(value.data, len), &back, NULL),
                     DOM_CORRUPT);
  value.data[1] = 99; /* no such state */
  assert_int_equal(handoff_decode(slice_of(key, sizeof key), buf_slice(&value), &back, NULL), DOM_CORRUPT);
}

static void test_shares(void **state) {
  (void)state;
  struct move_spec spec = {.country = "IN", .share = {{2, 60}, {3, 40}}, .share_count = 2};
  unsigned to_sg = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    uint8_t token[TOKEN_SIZE];
    sha256(&i, sizeof i, token);
    uint16_t to = job_target(&spec, token);
    assert_true(to == 2 || to == 3);
    assert_int_equal(to, job_target(&spec, token)); /* a rerun splits alike */
    if (to == 2) to_sg++;
  }
  assert_in_range(to_sg, 540, 660);
}

static void test_job_rows(void **state) {
  (void)state;
  struct move_job_status job = {.id = 4,
                                .spec = {.country = "IN",
                                         .share = {{2, 100}},
                                         .share_count = 1,
                                         .rate_bytes_s = 50},
                                .state = JOB_RUNNING,
                                .subjects = 10,
                                .subjects_done = 3,
                                .bytes_done = 77,
                                .last_failure = "the target does not answer"},
                         back;
  struct held_histogram held = {0}, held_back;
  BUF_AUTO value = BUF_INIT;
  held_add(&held, 20);
  job_encode(&job, &held, &value);
  assert_int_equal(job_decode(buf_slice(&value), &back, &held_back, NULL), DOM_OK);
  assert_string_equal(back.last_failure, job.last_failure);
  assert_int_equal(back.bytes_done, 77);
  assert_memory_equal(&held_back, &held, sizeof held);
  assert_true(job_same_selection(&job.spec, &back.spec));
  for (size_t len = 0; len < value.len; len++)
    assert_int_equal(job_decode(slice_of(value.data, len), &back, &held_back, NULL), DOM_CORRUPT);
}

static void test_percentile(void **state) {
  (void)state;
  struct held_histogram h = {0};
  assert_int_equal(held_percentile(&h, 99), 0);
  for (int i = 0; i < 98; i++) held_add(&h, 3);
  held_add(&h, 500);
  held_add(&h, 500);
  uint64_t p99 = held_percentile(&h, 99);
  assert_in_range(p99, 500, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),    cmocka_unit_test(test_never),
                                     cmocka_unit_test(test_rows),     cmocka_unit_test(test_shares),
                                     cmocka_unit_test(test_job_rows), cmocka_unit_test(test_percentile)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
