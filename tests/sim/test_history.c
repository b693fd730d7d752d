/* The judge judged: good histories pass, bad ones do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "history.h"

/* A put of the null version, answered. */
#define PUT(b, e, i)                                                                                         \
  { .began = (b), .ended = (e), .id = (i), .kind = HISTORY_PUT, .outcome = HISTORY_OK, .is_null = true }
#define NEW(b, e, i)                                                                                         \
  { .began = (b), .ended = (e), .id = (i), .kind = HISTORY_PUT, .outcome = HISTORY_OK }
#define LOST(b, i)                                                                                           \
  { .began = (b), .id = (i), .kind = HISTORY_PUT, .outcome = HISTORY_UNKNOWN, .is_null = true }
#define GET(b, e, s)                                                                                         \
  { .began = (b), .ended = (e), .kind = HISTORY_GET, .outcome = HISTORY_OK, .seen = (s) }
#define GONE(b, e)                                                                                           \
  { .began = (b), .ended = (e), .kind = HISTORY_GET, .outcome = HISTORY_NOT_FOUND }
#define LIST(b, e, s)                                                                                        \
  { .began = (b), .ended = (e), .kind = HISTORY_LIST, .outcome = HISTORY_OK, .seen = (s) }
#define CHECK(...)                                                                                           \
  history_check((const struct history_op[]){__VA_ARGS__},                                                    \
                sizeof((const struct history_op[]){__VA_ARGS__}) / sizeof(struct history_op), NULL)

#define NULLS(i)                                                                                             \
  {                                                                                                          \
    .version_count = 1, .version = { {.id = (i), .meta = (i), .is_null = true} }                             \
  }
static const struct history_state EMPTY = {0}, SEEN1 = NULLS(1), SEEN2 = NULLS(2), SEEN3 = NULLS(3);

static void test_one_after_another(void **state) {
  (void)state;
  assert_int_equal(CHECK(PUT(1, 2, 1), GET(3, 4, &SEEN1), PUT(5, 6, 2), GET(7, 8, &SEEN2)), HISTORY_GOOD);
  assert_int_equal(CHECK(PUT(1, 2, 1), PUT(5, 6, 2), GET(7, 8, &SEEN1)), HISTORY_BAD); /* stale */
  assert_int_equal(CHECK(PUT(1, 2, 1), GONE(3, 4)), HISTORY_BAD);                      /* lost */
  assert_int_equal(CHECK(GET(1, 2, &SEEN1), PUT(3, 4, 1)), HISTORY_BAD);               /* from the future */
  assert_int_equal(CHECK(PUT(1, 2, 1), GET(3, 4, &SEEN3)), HISTORY_BAD);               /* nobody's */
  assert_int_equal(CHECK(GONE(1, 2), LIST(3, 4, &EMPTY)), HISTORY_GOOD);
}

static void test_side_by_side(void **state) {
  (void)state;
  assert_int_equal(CHECK(PUT(1, 9, 1), PUT(2, 8, 2), GET(3, 4, &SEEN2), GET(5, 6, &SEEN1)), HISTORY_GOOD);
  assert_int_equal(CHECK(PUT(1, 9, 1), PUT(2, 8, 2), GET(3, 4, &SEEN2), GET(5, 6, &SEEN1), GET(7, 8, &SEEN2)),
                   HISTORY_BAD); /* 2, then 1, cannot become 2 again */
  assert_int_equal(CHECK(PUT(1, 9, 1), GONE(2, 3), GET(4, 5, &SEEN1)), HISTORY_GOOD);
  assert_int_equal(CHECK(PUT(1, 9, 1), GET(2, 3, &SEEN1), GONE(4, 5)), HISTORY_BAD);
}

static void test_without_an_answer(void **state) {
  (void)state;
  assert_int_equal(CHECK(PUT(1, 2, 1), LOST(3, 2), GET(4, 5, &SEEN1), GET(6, 7, &SEEN2)), HISTORY_GOOD);
  assert_int_equal(CHECK(PUT(1, 2, 1), LOST(3, 2), GET(4, 5, &SEEN2), GET(6, 7, &SEEN1)), HISTORY_BAD);
  assert_int_equal(CHECK(LOST(3, 2), GET(1, 2, &SEEN2)), HISTORY_BAD); /* seen before it was sent */
  assert_int_equal(CHECK(LOST(1, 2), GONE(3, 4), GET(5, 6, &SEEN2)), HISTORY_GOOD);
}

static void test_conditions(void **state) {
  (void)state;
  struct history_op ops[] = {PUT(1, 2, 1), PUT(3, 4, 2), GET(5, 6, &SEEN2)};
  ops[1].condition = HISTORY_IF_ABSENT;
  assert_int_equal(history_check(ops, 3, NULL), HISTORY_BAD);
  ops[1].outcome = HISTORY_NOT_MET;
  ops[2].seen = &SEEN1;
  assert_int_equal(history_check(ops, 3, NULL), HISTORY_GOOD);
  ops[1].condition = HISTORY_IF_MATCH;
  ops[1].match = 1;
  assert_int_equal(history_check(ops, 3, NULL), HISTORY_BAD); /* it was met */
  ops[1].outcome = HISTORY_OK;
  ops[2].seen = &SEEN2;
  assert_int_equal(history_check(ops, 3, NULL), HISTORY_GOOD);
  /* Two that both made the key from nothing. */
  struct history_op both[] = {PUT(1, 9, 1), PUT(2, 8, 2)};
  both[0].condition = both[1].condition = HISTORY_IF_ABSENT;
  assert_int_equal(history_check(both, 2, NULL), HISTORY_BAD);
}

static void test_versions(void **state) {
  (void)state;
  const struct history_state two = {.version_count = 2,
                                    .version = {{2, 2, false, false}, {1, 1, false, false}}};
  const struct history_state turned = {.version_count = 2,
                                       .version = {{1, 1, false, false}, {2, 2, false, false}}};
  const struct history_state marked = {
      .version_count = 3, .version = {{0, 0, false, true}, {2, 2, false, false}, {1, 7, false, false}}};
  struct history_op mark = {.began = 5, .ended = 6, .id = 3, .kind = HISTORY_MARK, .outcome = HISTORY_OK};
  struct history_op amend = {
      .began = 7, .ended = 8, .id = 7, .kind = HISTORY_AMEND, .outcome = HISTORY_OK, .target = 1};
  struct history_op remove = {
      .began = 9, .ended = 10, .id = 8, .kind = HISTORY_REMOVE, .outcome = HISTORY_OK, .target = 3};
  assert_int_equal(CHECK(NEW(1, 2, 1), NEW(3, 4, 2), LIST(5, 6, &two)), HISTORY_GOOD);
  assert_int_equal(CHECK(NEW(1, 2, 1), NEW(3, 4, 2), LIST(5, 6, &turned)), HISTORY_BAD);
  assert_int_equal(CHECK(NEW(1, 2, 1), NEW(3, 4, 2), mark, amend, GONE(9, 10), LIST(11, 12, &marked)),
                   HISTORY_GOOD);
  assert_int_equal(CHECK(NEW(1, 2, 1), NEW(3, 4, 2), mark, LIST(11, 12, &marked)), HISTORY_BAD);
  assert_int_equal(CHECK(NEW(1, 2, 1), NEW(3, 4, 2), mark, remove, LIST(11, 12, &two)), HISTORY_GOOD);
  amend.outcome = HISTORY_NOT_FOUND;
  assert_int_equal(CHECK(NEW(1, 2, 1), amend), HISTORY_BAD);
  assert_int_equal(CHECK(amend, NEW(11, 12, 1)), HISTORY_GOOD);
}

static void test_uploads(void **state) {
  (void)state;
  const struct history_state open = {.upload_count = 1, .upload = {{1, {2, 0, 0}}}};
  const struct history_state done = {.version_count = 1, .version = {{3, 3, false, false}}};
  struct history_op begin = {.began = 1, .ended = 2, .id = 1, .kind = HISTORY_BEGIN, .outcome = HISTORY_OK};
  struct history_op part = {
      .began = 3, .ended = 4, .id = 2, .kind = HISTORY_PART, .outcome = HISTORY_OK, .target = 1, .part = 1};
  struct history_op complete = {.began = 7,
                                .ended = 8,
                                .id = 3,
                                .kind = HISTORY_COMPLETE,
                                .outcome = HISTORY_OK,
                                .target = 1,
                                .parts = {2}};
  struct history_op again = complete;
  again.began = 9, again.ended = 10, again.id = 4;
  assert_int_equal(CHECK(begin, part, LIST(5, 6, &open), complete, LIST(9, 10, &done)), HISTORY_GOOD);
  assert_int_equal(CHECK(begin, LIST(5, 6, &open)), HISTORY_BAD);
  assert_int_equal(CHECK(begin, complete), HISTORY_BAD);              /* of a part that never came */
  assert_int_equal(CHECK(begin, part, complete, again), HISTORY_BAD); /* an upload ends once */
  again.outcome = HISTORY_NOT_FOUND;
  assert_int_equal(CHECK(begin, part, complete, again), HISTORY_GOOD);
  part.began = 11, part.ended = 12, part.outcome = HISTORY_NOT_FOUND;
  assert_int_equal(CHECK(begin, part, LIST(13, 14, &done)), HISTORY_BAD);
}

/* Many at once, without an answer: the memory keeps the search short. */
static void test_many(void **state) {
  (void)state;
  struct history_op ops[HISTORY_OPS_MAX];
  for (uint32_t i = 0; i < 24; i++) ops[i] = (struct history_op)LOST(1, i + 10);
  struct history_state last = NULLS(20);
  ops[24] = (struct history_op)PUT(2, 3, 1);
  ops[25] = (struct history_op)GET(4, 5, &SEEN1);
  ops[26] = (struct history_op)GET(6, 7, &last);
  assert_int_equal(history_check(ops, 27, NULL), HISTORY_GOOD);
  assert_int_equal(history_check(ops, HISTORY_OPS_MAX + 1, NULL), HISTORY_TOO_LONG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_after_another),
      cmocka_unit_test(test_side_by_side),
      cmocka_unit_test(test_without_an_answer),
      cmocka_unit_test(test_conditions),
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_uploads),
      cmocka_unit_test(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
