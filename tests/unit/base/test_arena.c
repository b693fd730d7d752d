#include "unit.h"

#include "base/alloc.h"
#include "base/arena.h"

static void test_aligned_and_apart(void **state) {
  (void)state;
  struct arena *a = arena_new(1 << 20);
  uint8_t *before = NULL;
  for (size_t size = 0; size < 200; size++) {
    uint8_t *p = arena_alloc(a, size);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    memset(p, (int)size, size);
    if (before && size > 1) assert_int_equal(before[size - 2], size - 1);
    before = p;
  }
  arena_free(a);
}

static void test_cap_holds(void **state) {
  (void)state;
  struct arena *a = arena_new(100);
  assert_null(arena_alloc(a, 101));
  assert_null(arena_alloc(a, SIZE_MAX));
  assert_non_null(arena_alloc(a, 90)); /* takes 96 */
  assert_null(arena_alloc(a, 1));
  arena_reset(a);
  assert_non_null(arena_alloc(a, 90));
  arena_free(a);
  arena_free(NULL);
}

static void test_reset_keeps_one_block(void **state) {
  (void)state;
  int64_t live = dom_alloc_live();
  struct arena *a = arena_new(1 << 20);
  void *first = arena_alloc(a, 100);
  for (int i = 0; i < 20; i++) assert_non_null(arena_alloc(a, 5000));
  arena_reset(a);
  assert_int_equal(dom_alloc_live(), live + 2);
  assert_ptr_equal(arena_alloc(a, 100), first);
  arena_free(a);
  assert_int_equal(dom_alloc_live(), live);
}

static void test_copies(void **state) {
  (void)state;
  struct arena *a = arena_new(1000);
  char text[] = "volatile";
  char *copy = arena_str(a, slice_of(text, 5));
  struct slice s = arena_copy(a, slice_of(text, 8));
  memset(text, 'x', 8);
  assert_string_equal(copy, "volat");
  assert_true(slice_equal(s, SLICE_LIT("volatile")));
  assert_string_equal(arena_str(a, slice_of(NULL, 0)), "");
  assert_int_equal(arena_copy(a, slice_of(NULL, 0)).len, 0);
  arena_free(a);
}

static void test_no_memory(void **state) {
  (void)state;
  dom_alloc_fail_after(0, 1);
  assert_null(arena_new(100));
  struct arena *a = arena_new(100);
  dom_alloc_fail_after(0, 1);
  assert_null(arena_str(a, SLICE_LIT("x")));
  dom_alloc_fail_after(0, 1);
  struct slice s = arena_copy(a, SLICE_LIT("x"));
  assert_true(!s.data && s.len == 0);
  assert_non_null(arena_alloc(a, 10));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_aligned_and_apart),
      cmocka_unit_test(test_cap_holds),
      cmocka_unit_test(test_reset_keeps_one_block),
      cmocka_unit_test(test_copies),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests_name("base-arena", tests, NULL, NULL);
}
