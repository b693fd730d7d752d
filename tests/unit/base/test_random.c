/* The simulated stream of random bytes. It is a property of the whole process, so each test
 * runs in a child of its own. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"

/* Runs fn in a child, collects what it sends to fd; returns the child's wait status. */
static int in_child(void (*fn)(int fd), uint8_t *out, size_t out_len) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int quiet = open("/dev/null", O_WRONLY); /* for the assert's text */
    (void)dup2(quiet, STDERR_FILENO);
    (void)signal(SIGABRT, SIG_DFL);
    fn(ends[1]);
    _exit(0);
  }
  (void)close(ends[1]);
  size_t done = 0;
  for (ssize_t got = 1; done < out_len && got > 0; done += got > 0 ? (size_t)got : 0)
    got = read(ends[0], out + done, out_len - done);
  (void)close(ends[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

static void send_bytes(int fd, size_t count) {
  uint8_t bytes[64];
  random_bytes(bytes, count);
  if (write(fd, bytes, count) != (ssize_t)count) _exit(9);
}

static void seed_one_whole(int fd) {
  random_seed_for_simulation(1);
  send_bytes(fd, 64);
}

static void seed_one_in_parts(int fd) {
  random_seed_for_simulation(1);
  send_bytes(fd, 5);
  send_bytes(fd, 43);
  send_bytes(fd, 16);
}

static void seed_two(int fd) {
  random_seed_for_simulation(2);
  send_bytes(fd, 64);
}

static void seed_too_late(int fd) {
  send_bytes(fd, 8);
  random_seed_for_simulation(1);
}

static void test_repeats_from_the_seed(void **state) {
  (void)state;
  uint8_t one[64] = {0}, parts[64] = {0}, two[64] = {0}, zeros[64] = {0};
  assert_int_equal(in_child(seed_one_whole, one, 64), 0);
  assert_int_equal(in_child(seed_one_in_parts, parts, 64), 0);
  assert_int_equal(in_child(seed_two, two, 64), 0);
  assert_memory_equal(one, parts, 64);
  assert_memory_not_equal(one, two, 64);
  assert_memory_not_equal(one, zeros, 64);
  assert_memory_not_equal(one, one + 32, 32);
}

static void test_seeding_late_is_refused(void **state) {
  (void)state;
  uint8_t bytes[8];
  int status = in_child(seed_too_late, bytes, 8);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void draw_after_fork(int fd) {
  send_bytes(fd, 16);
}

/* Ids are drawn ahead: a child must not hand out those that its parent will. */
static void test_a_child_draws_its_own(void **state) {
  (void)state;
  uint8_t bytes[16], child[16], parent[16];
  random_bytes(bytes, sizeof bytes); /* now there is a stock */
  for (int i = 0; i < 3; i++) {
    assert_int_equal(in_child(draw_after_fork, child, sizeof child), 0);
    random_bytes(parent, sizeof parent);
    assert_memory_not_equal(child, parent, sizeof child);
  }
}

static int compare_ids(const void *a, const void *b) {
  return memcmp(a, b, 16);
}

/* Through many refills, in pieces of all sizes: no 16 bytes come twice, none are left as cleared. */
static void test_nothing_comes_twice(void **state) {
  (void)state;
  enum { COUNT = 4000 };
  static uint8_t ids[COUNT][16];
  static const uint8_t zeros[16];
  uint8_t other[64];
  for (size_t i = 0; i < COUNT; i++) {
    random_bytes(ids[i], sizeof ids[i]);
    random_bytes(other, i % sizeof other);
  }
  qsort(ids, COUNT, sizeof ids[0], compare_ids);
  for (size_t i = 0; i < COUNT; i++) {
    assert_memory_not_equal(ids[i], zeros, 16);
    if (i > 0) assert_memory_not_equal(ids[i - 1], ids[i], 16);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_repeats_from_the_seed), /* the parent has drawn nothing yet */
      cmocka_unit_test(test_seeding_late_is_refused),
      cmocka_unit_test(test_a_child_draws_its_own),
      cmocka_unit_test(test_nothing_comes_twice),
  };
  return cmocka_run_group_tests_name("base-random", tests, NULL, NULL);
}
