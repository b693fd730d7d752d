#include "unit.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

static void test_posix_moves_on(void **state) {
  (void)state;
  struct clock *c = clock_posix();
  uint64_t before = clock_mono_ns(c);
  clock_sleep_ms(c, 2);
  assert_true(clock_mono_ns(c) - before >= 2000000);
  assert_true(clock_wall_ms(c) > UINT64_C(1600000000000));
}

static void test_simulated(void **state) {
  (void)state;
  struct clock *c = clock_sim_new(1000);
  assert_int_equal(clock_wall_ms(c), 1000);
  uint64_t start = clock_mono_ns(c);
  clock_sim_advance(c, 5);
  clock_sleep_ms(c, 10);
  assert_int_equal(clock_wall_ms(c), 1015);
  assert_int_equal(clock_mono_ns(c) - start, 15000000);
  clock_sim_jump_wall(c, -15);
  assert_int_equal(clock_wall_ms(c), 1000);
  clock_sim_jump_wall(c, -2000);
  assert_int_equal(clock_wall_ms(c), 0); /* never negative */
  clock_sim_jump_wall(c, 7);
  assert_int_equal(clock_wall_ms(c), 7);
  assert_int_equal(clock_mono_ns(c) - start, 15000000); /* jumps are the wall's alone */
  clock_sim_free(c);
  clock_sim_free(NULL);
  dom_alloc_fail_after(0, 1);
  assert_null(clock_sim_new(0));
}

static void *advance_often(void *clock) {
  for (int i = 0; i < 1000; i++) clock_sim_advance(clock, 1);
  return NULL;
}

/* A server's threads read the clock while a test advances it: nothing is lost, nothing races (TSan). */
static void test_simulated_in_threads(void **state) {
  (void)state;
  struct clock *c = clock_sim_new(1000);
  pthread_t threads[2];
  for (size_t i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, advance_often, c), 0);
  uint64_t last = 0;
  for (int i = 0; i < 1000; i++) {
    uint64_t now = clock_wall_ms(c);
    assert_true(now >= last);
    last = now;
  }
  for (size_t i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(clock_wall_ms(c), 3000);
  assert_int_equal(clock_mono_ns(c), 2000000000);
  clock_sim_free(c);
}

static void test_formats(void **state) {
  (void)state;
  char text[25], http[30];
  time_rfc3339(0, text);
  assert_string_equal(text, "1970-01-01T00:00:00.000Z");
  time_rfc3339(UINT64_C(1798761599123), text);
  assert_string_equal(text, "2026-12-31T23:59:59.123Z");
  time_http(UINT64_C(1798761599999), http);
  assert_string_equal(http, "Thu, 31 Dec 2026 23:59:59 GMT");
  time_http(UINT64_C(784111777000), http); /* the example of RFC 9110 §5.6.7 */
  assert_string_equal(http, "Sun, 06 Nov 1994 08:49:37 GMT");
  time_rfc3339(UINT64_MAX, text); /* clamped to what four digits can say */
  assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

/* Each day to 2110 and each 100th to 9999: against the C library, and back by both parsers. */
static void test_days_against_libc(void **state) {
  (void)state;
  for (uint64_t day = 0; day < 2932896; day += day < 51000 ? 1 : 100) {
    uint64_t ms = day * 86400000 + day % 86400 * 1000, back = 0;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    assert_non_null(gmtime_r(&seconds, &tm));
    char theirs[40], mine[30];
    assert_true(strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
    time_http(ms, mine);
    assert_string_equal(mine, theirs);
    assert_ok(time_parse_http(slice_str(mine), &back));
    assert_true(back == ms);
    assert_true(strftime(theirs, sizeof theirs, "%Y%m%dT%H%M%SZ", &tm) > 0);
    assert_ok(time_parse_amz(slice_str(theirs), &back));
    assert_true(back == ms);
    assert_true(strftime(theirs, sizeof theirs, "%Y-%m-%d", &tm) > 0);
    assert_ok(time_parse_date(slice_str(theirs), &back));
    assert_true(back == day * 86400000);
  }
}

/* RFC 9110 §5.6.7: all three forms of one instant. */
static void test_http_forms(void **state) {
  (void)state;
  static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994"};
  for (size_t i = 0; i < 3; i++) {
    uint64_t ms = 0;
    assert_ok(time_parse_http(slice_str(forms[i]), &ms));
    assert_true(ms == UINT64_C(784111777000));
  }
  uint64_t ms = 0;
  assert_ok(time_parse_http(SLICE_LIT("Friday, 01-Jan-27 00:00:00 GMT"), &ms));
  assert_true(ms == UINT64_C(1798761600000));
}

static void test_refuses(void **state) {
  (void)state;
  static const char *const http[] = {"",
                                     "GMT",
                                     " GMT",
                                     "Sun, 06 Nov 1994 08:49:37",
                                     "Sun, 06 Nov 1994 08:49:37 UTC",
                                     "Sun, 6 Nov 1994 08:49:37 GMT",
                                     "Sun, 06 nov 1994 08:49:37 GMT",
                                     "Sun, 31 Nov 1994 08:49:37 GMT",
                                     "Sun, 06 Nov 1994 24:00:00 GMT",
                                     "Sun, 06 Nov 1994 08:60:37 GMT",
                                     "Sun, 06 Nov 1969 08:49:37 GMT",
                                     "Sun, 06 Nov 1994 08:49:37 GMT ",
                                     "Sxnday, 06-Nov-94 08:49:37 GMT"};
  static const char *const amz[] = {"",
                                    "20261231",
                                    "20261231T235959",
                                    "20261231T235959z",
                                    "20261331T235959Z",
                                    "20260229T000000Z",
                                    "20260100T000000Z",
                                    "2026-1231T235959Z",
                                    "20261231T235959Z0"};
  static const char *const date[] = {"",           "2026-1-01",   "2026-01-1",  "2026-02-29",
                                     "2026/01/01", "2026-01-01Z", "0000-01-01", "+026-01-01"};
  uint64_t ms = 42;
  for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
    assert_int_equal(time_parse_http(slice_str(http[i]), &ms), DOM_INVALID);
  for (size_t i = 0; i < sizeof amz / sizeof amz[0]; i++)
    assert_int_equal(time_parse_amz(slice_str(amz[i]), &ms), DOM_INVALID);
  for (size_t i = 0; i < sizeof date / sizeof date[0]; i++)
    assert_int_equal(time_parse_date(slice_str(date[i]), &ms), DOM_INVALID);
  assert_int_equal(ms, 42);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_posix_moves_on),
      cmocka_unit_test(test_simulated),
      cmocka_unit_test(test_simulated_in_threads),
      cmocka_unit_test(test_formats),
      cmocka_unit_test(test_days_against_libc),
      cmocka_unit_test(test_http_forms),
      cmocka_unit_test(test_refuses),
  };
  return cmocka_run_group_tests_name("base-clock", tests, NULL, NULL);
}
