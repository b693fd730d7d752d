/* Every allocation fails once; nothing leaks, nothing is half done. (libyaml's own allocations go
 * past the hook: its failures come back as YAML_MEMORY_ERROR.) */
#include "charter_testing.h"

#include "base/alloc.h"

static const char text[] =
    "charter: 3\norganization: o\nregistrars: [a]\nregions:\n"
    "  a: {number: 1, jurisdiction: CN, endpoint: \"http://a\", vkey: \"" VKEY_A "\"}\n"
    "classes: {red: {keys: [\"r/**\"]}, rest: {}}\n"
    "rules:\n"
    "  IN: {home: a, red: {store: [CN], read: any, transit: []}, rest: {store: any, read: any, transit: "
    "any}}\n";

static enum dom_code parse(struct charter **out) {
  struct dom_err err = {0};
  return charter_parse(slice_str(text), "f", out, &err);
}

static enum dom_code diff(struct charter **charter) {
  BUF_AUTO out = BUF_INIT;
  struct dom_err err = {0};
  return charter_diff_json(*charter, *charter, &out, &err);
}

static enum dom_code verify(struct charter **charter) {
  uint8_t seed[ED25519_KEY_SIZE] = {1}, public_key[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  BUF_AUTO file = BUF_INIT;
  (void)charter;
  ed25519_public(seed, public_key);
  charter_sign(slice_str(text), seed, &file);
  enum dom_code code = buf_check(&file, &err);
  return code == DOM_OK ? charter_verify(slice_str(text), buf_slice(&file), public_key, &err) : code;
}

/* Runs until the hook no longer bites; returns how often it did. */
static unsigned fail_each(enum dom_code (*run)(struct charter **), struct charter **charter) {
  int64_t live = dom_alloc_live();
  for (unsigned after = 0; after < 10000; after++) {
    dom_alloc_fail_after(after, 1);
    enum dom_code code = run(charter);
    dom_alloc_fail_after(UINT64_MAX, 0);
    if (code == DOM_OK) return after;
    assert_int_equal(code, DOM_NO_MEMORY);
    assert_int_equal(dom_alloc_live(), live);
  }
  fail_msg("it never succeeds");
  return 0;
}

static void test_each_allocation(void **state) {
  (void)state;
  int64_t live = dom_alloc_live();
  struct charter *c = NULL;
  assert_true(fail_each(parse, &c) >= 5);
  assert_non_null(c);
  assert_true(fail_each(diff, &c) >= 4);
  assert_true(fail_each(verify, &c) >= 3);
  charter_release(c);
  assert_int_equal(dom_alloc_live(), live);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
