#include "unit.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/crypto.h"

static void test_cells_do_not_overlap(void **state) {
  (void)state;
  enum { COUNT = 600 }; /* more than two slabs */
  uint8_t *all[COUNT];
  for (unsigned i = 0; i < COUNT; i++) {
    all[i] = secret_alloc(KEY_SIZE);
    assert_non_null(all[i]);
    assert_int_equal((uintptr_t)all[i] % 16, 0);
    memset(all[i], (int)(i % 251), KEY_SIZE);
  }
  for (unsigned i = 0; i < COUNT; i++) {
    assert_int_equal(all[i][0], i % 251);
    assert_int_equal(all[i][KEY_SIZE - 1], i % 251);
    secret_free(all[i], KEY_SIZE);
  }
}

static void test_freed_cells_are_clear(void **state) {
  (void)state;
  uint8_t *p = secret_alloc(64), zeros[64] = {0};
  memset(p, 0xaa, 64);
  secret_free(p, 64);
  /* The cell stays mapped, and is the first that is handed out again. */
  uint8_t *again = secret_alloc(64);
  assert_ptr_equal(again, p);
  assert_memory_equal(again, zeros, 64);
  secret_free(again, 64);
  secret_free(NULL, 64);
}

static void test_large(void **state) {
  (void)state;
  uint8_t *p = secret_alloc(100000);
  assert_non_null(p);
  p[0] = p[99999] = 1;
  secret_free(p, 100000);
}

/* Sanitizers replace mlock by a function that does nothing and never fails. */
enum { NOT_FORBIDDEN = 77 };

/* In a child: locking is forbidden by the limit and, for root, by giving up root. */
static int secret_without_locks(void) {
  const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 1;
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 2;
  static uint8_t probe[4096];
  if (mlock(probe, sizeof probe) == 0) return NOT_FORBIDDEN;
  uint64_t count = secret_unlocked();
  uint8_t *p = secret_alloc(100000);
  if (!p) return 3;
  p[99999] = 1; /* still usable */
  secret_free(p, 100000);
  return secret_unlocked() == count + 1 ? 0 : 4;
}

static void test_lock_limit_is_counted(void **state) {
  (void)state;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(secret_without_locks());
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == NOT_FORBIDDEN) {
    print_message("skipped: mlock cannot be made to fail here (a sanitizer replaces it)\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void *use_secrets(void *arg) {
  for (unsigned i = 0; i < 2000; i++) {
    uint8_t *p = secret_alloc(KEY_SIZE);
    if (!p) return arg;
    for (unsigned k = 0; k < KEY_SIZE; k++) {
      if (p[k] != 0) return arg;
    }
    memset(p, (int)i, KEY_SIZE);
    secret_free(p, KEY_SIZE);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t threads[4];
  static int failed;
  for (unsigned i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, use_secrets, &failed), 0);
  for (unsigned i = 0; i < 4; i++) {
    void *result = &failed;
    assert_int_equal(pthread_join(threads[i], &result), 0);
    assert_null(result);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cells_do_not_overlap),
      cmocka_unit_test(test_freed_cells_are_clear),
      cmocka_unit_test(test_large),
      cmocka_unit_test(test_lock_limit_is_counted),
      cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests_name("base-secret", tests, NULL, NULL);
}
