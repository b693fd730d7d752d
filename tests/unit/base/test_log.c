#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

/* An unnamed file that the log goes to. */
static int log_file(void) {
  FILE *f = tmpfile();
  assert_non_null(f);
  int fd = dup(fileno(f));
  (void)fclose(f);
  assert_true(fd >= 0);
  return fd;
}

static struct buf read_log(int fd) {
  struct buf b = BUF_INIT;
  off_t size = lseek(fd, 0, SEEK_END);
  assert_true(size >= 0 && buf_reserve(&b, (size_t)size + 1));
  assert_int_equal(pread(fd, b.data, (size_t)size, 0), size);
  b.len = (size_t)size;
  return b;
}

static void test_a_line(void **state) {
  (void)state;
  struct clock *c = clock_sim_new(UINT64_C(1798761599123));
  int fd = log_file();
  log_init(fd, LOG_INFO, c);
  log_event(LOG_DEBUG, "serve", "", "not shown", NULL);
  log_event(LOG_WARN, "serve", "R1", "say \"hi\"", LOG_FIELDS({"region", "in", 0}, {"count", NULL, -5}));
  log_event(LOG_INFO, "cli", "", "plain", NULL);
  BUF_AUTO got = read_log(fd);
  assert_string_equal(
      buf_str(&got),
      "{\"time\":\"2026-12-31T23:59:59.123Z\",\"level\":\"warn\",\"room\":\"serve\",\"request\":\"R1\","
      "\"message\":\"say \\\"hi\\\"\",\"region\":\"in\",\"count\":-5}\n"
      "{\"time\":\"2026-12-31T23:59:59.123Z\",\"level\":\"info\",\"room\":\"cli\",\"message\":\"plain\"}\n");
  (void)close(fd);
  clock_sim_free(c);
}

static void test_json_string(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "\"\""},
      {"a\"\\\n\r\t\x01\x7f", "\"a\\\"\\\\\\n\\r\\t\\u0001\\u007f\""},
      {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
      {"x\xff\xc3y\xed\xa0\x80", "\"x\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    BUF_AUTO out = BUF_INIT;
    log_json_string(&out, slice_str(cases[i][0]));
    assert_string_equal(buf_str(&out), cases[i][1]);
    assert_true(utf8_valid(buf_slice(&out)));
  }
  BUF_AUTO zero = BUF_INIT;
  log_json_string(&zero, slice_of("a\0b", 3));
  assert_string_equal(buf_str(&zero), "\"a\\u0000b\"");
}

enum { THREADS = 4, LINES = 200 };

static void *log_many(void *arg) {
  char long_text[600];
  memset(long_text, *(const char *)arg, sizeof long_text - 1);
  long_text[sizeof long_text - 1] = 0;
  for (unsigned i = 0; i < LINES; i++) log_event(LOG_INFO, "serve", "", long_text, NULL);
  return NULL;
}

/* Lines of threads never mix. */
static void test_lines_are_whole(void **state) {
  (void)state;
  int fd = log_file();
  log_init(fd, LOG_DEBUG, clock_posix());
  pthread_t threads[THREADS];
  char letters[THREADS] = "abcd";
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, log_many, &letters[i]), 0);
  for (unsigned i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  BUF_AUTO got = read_log(fd);
  unsigned lines = 0;
  struct slice left = buf_slice(&got);
  while (left.len > 0) {
    size_t end = slice_find(left, '\n');
    assert_true(end < left.len);
    struct slice line = slice_cut(left, 0, end);
    assert_true(slice_starts_with(line, SLICE_LIT("{\"time\":\"")));
    const uint8_t *text = line.data + line.len - 601;
    for (unsigned i = 0; i < 599; i++) assert_int_equal(text[i], text[0]);
    assert_int_equal(line.data[line.len - 1], '}');
    left = slice_cut(left, end + 1, left.len);
    lines++;
  }
  assert_int_equal(lines, THREADS * LINES);
  (void)close(fd);
}

static void test_without_memory_nothing_breaks(void **state) {
  (void)state;
  int fd = log_file();
  log_init(fd, LOG_DEBUG, clock_posix());
  int64_t live = dom_alloc_live();
  dom_alloc_fail_after(0, 0);
  log_event(LOG_ERROR, "serve", "", "lost", NULL);
  dom_alloc_fail_after(UINT64_MAX, 0);
  assert_int_equal(dom_alloc_live(), live);
  BUF_AUTO got = read_log(fd);
  assert_int_equal(got.len, 0);
  (void)close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_line),
      cmocka_unit_test(test_json_string),
      cmocka_unit_test(test_lines_are_whole),
      cmocka_unit_test(test_without_memory_nothing_breaks),
  };
  return cmocka_run_group_tests_name("base-log", tests, NULL, NULL);
}
