/* The simulated stream of random bytes. It is a property of the whole process, so each test
 * runs in a child of its own. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_repeats_from_the_seed),
      cmocka_unit_test(test_seeding_late_is_refused),
  };
  return cmocka_run_group_tests_name("base-random", tests, NULL, NULL);
}
