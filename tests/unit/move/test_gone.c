/* The region that people left is gone for good: nobody there tells where they went, the registrar does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/regions.h"

enum { CN = 1, SG = 2, US = 3 };

static uint16_t home_seen_from(struct test_regions *t, uint16_t region) {
  struct subject_who who;
  assert_int_equal(region_who(t, region, "asha", &who), DOM_OK);
  return who.home;
}

static void test_ask_again(void **state) {
  (void)state;
  struct test_regions t = {0};
  struct subject_who who;
  uint16_t home = CN;
  uint64_t epoch = 1;
  regions_open(&t, 3, 7, 1);
  regions_bucket(&t);
  struct subjects *us = t.region[US].subjects;
  assert_int_equal(
      subject_register(t.region[CN].subjects, SLICE_LIT("phones-inc"), SLICE_LIT("asha"), "IN", &who, NULL),
      DOM_OK);
  assert_int_equal(region_put(&t, CN, "asha", "note", "1"), DOM_OK);
  assert_int_equal(home_seen_from(&t, US), CN);
  assert_int_equal(subject_ask_again(us, who.token, &home, &epoch, NULL), DOM_NOT_FOUND);
  assert_int_equal(mover_move_subject(t.region[CN].mover, who.token, SG, NULL), DOM_OK);
  assert_int_equal(home_seen_from(&t, US), CN); /* stale, and harmless while cn answers */
  net_sim_leave(t.net, CN);
  assert_int_equal(subject_ask_again(us, who.token, &home, &epoch, NULL), DOM_OK);
  assert_int_equal(home, SG);
  assert_int_equal(epoch, 2);
  assert_int_equal(home_seen_from(&t, US), SG);
  assert_int_equal(subject_ask_again(us, who.token, &home, &epoch, NULL), DOM_NOT_FOUND);
  net_sim_cut(t.net, US, SG, true); /* the registrar away: nothing is learned, nothing forgotten */
  assert_int_equal(subject_ask_again(us, who.token, &home, &epoch, NULL), DOM_UNAVAILABLE);
  assert_int_equal(home_seen_from(&t, US), SG);
  regions_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ask_again)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
