/* The key table, and the cache of signing keys behind a verifier, also under threads. */
#include <pthread.h>
#include <stdatomic.h>

#include "auth_testing.h"
#include "base/alloc.h"

static enum dom_code parse(const char *text, struct auth_key *out, struct dom_err *err) {
  return auth_key_parse((struct auth_key_spec){slice_str(text), false}, out, err);
}

static void specs_parse(void **state) {
  (void)state;
  struct auth_key key;
  assert_int_equal(parse("AK:sec/ret+=:acme", &key, NULL), DOM_OK);
  assert_string_equal(key.access, "AK");
  assert_string_equal(key.secret, "sec/ret+=");
  assert_string_equal(key.account, "acme");
  assert_false(key.is_operator);
  assert_int_equal(parse("AK:secret", &key, NULL), DOM_OK);
  assert_string_equal(key.account, AUTH_ACCOUNT_DEFAULT);
  auth_key_done(&key);
  assert_string_equal(key.secret, "");
}

static void wrong_specs_are_refused_without_their_secret(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "AK",
                                    "AK:",
                                    ":needle",
                                    "AK:needle:",
                                    "AK:needle:a:b",
                                    "A K:needle",
                                    "AK:need le",
                                    "AK:needle:a b",
                                    "A/K:needle",
                                    "A,K:needle",
                                    "AK:needle\n",
                                    "AK:needle:\xC3\xA9"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct auth_key key;
    struct dom_err err = {0};
    if (parse(bad[i], &key, &err) != DOM_INVALID) fail_msg("%s", bad[i]);
    assert_null(strstr(err.text, "needle"));
  }
  char longest[400];
  struct auth_key key;
  struct dom_err err = {0};
  memset(longest, 'a', sizeof longest);
  longest[128] = ':';
  longest[257] = '\0';
  assert_int_equal(parse(longest, &key, &err), DOM_OK);
  longest[257] = 'a';
  longest[258] = '\0';
  assert_int_equal(parse(longest, &key, &err), DOM_TOO_LARGE);
}

static void tables_are_replaced_whole_or_not(void **state) {
  (void)state;
  struct auth_keys *keys = example_keys();
  struct auth_key key;
  assert_int_equal(auth_keys_count(keys), 3);
  assert_true(auth_keys_find(keys, SLICE_LIT("OPERATOR"), &key));
  assert_true(key.is_operator);
  assert_string_equal(key.account, AUTH_ACCOUNT_DEFAULT);
  assert_false(auth_keys_find(keys, SLICE_LIT("operator"), &key));
  assert_false(auth_keys_find(keys, SLICE_LIT(""), &key));
  const struct auth_key_spec twice[] = {
      {SLICE_LIT("B:s"), false}, {SLICE_LIT("A:s"), false}, {SLICE_LIT("B:t"), false}};
  struct dom_err err = {0};
  assert_int_equal(auth_keys_replace(keys, twice, 3, &err), DOM_EXISTS);
  assert_int_equal(auth_keys_count(keys), 3);
  assert_int_equal(auth_keys_replace(keys, twice, 2, NULL), DOM_OK);
  assert_int_equal(auth_keys_count(keys), 2);
  assert_true(auth_keys_find(keys, SLICE_LIT("A"), &key));
  assert_true(auth_keys_find(keys, SLICE_LIT("B"), &key));
  assert_false(auth_keys_find(keys, SLICE_LIT("OPERATOR"), &key));
  auth_keys_free(keys);
}

static void many_keys_are_found(void **state) {
  (void)state;
  enum { COUNT = 500 };
  char text[COUNT][32];
  struct auth_key_spec specs[COUNT];
  struct auth_keys *keys = auth_keys_new();
  for (size_t i = 0; i < COUNT; i++) {
    snprintf(text[i], sizeof text[i], "K%zu:s%zu:a%zu", i * 7919 % COUNT, i, i);
    specs[i] = (struct auth_key_spec){slice_str(text[i]), i % 2 == 0};
  }
  assert_int_equal(auth_keys_replace(keys, specs, COUNT, NULL), DOM_OK);
  for (size_t i = 0; i < COUNT; i++) {
    struct auth_key key, wanted;
    assert_int_equal(auth_key_parse(specs[i], &wanted, NULL), DOM_OK);
    assert_true(auth_keys_find(keys, slice_str(wanted.access), &key));
    assert_string_equal(key.secret, wanted.secret);
    assert_string_equal(key.account, wanted.account);
    assert_int_equal(key.is_operator, wanted.is_operator);
  }
  auth_keys_free(keys);
}

/* Threads verify while another replaces the table by an equal one: every verdict is "ok". */
struct race {
  struct bench *bench;
  atomic_bool stop;
  atomic_uint verified;
};

static void *verify_often(void *context) {
  struct race *race = context;
  struct arena *arena = arena_new(1 << 16);
  struct draft d;
  char authorization[400];
  draft_init(&d, "GET", "/b/k", "");
  draft_add(&d, "Host", "h");
  draft_add(&d, "x-amz-date", EXAMPLE_DATE);
  sign_by_hand(&d, "host;x-amz-date", EMPTY_SHA256, authorization, sizeof authorization);
  draft_add(&d, "Authorization", authorization);
  while (!atomic_load(&race->stop)) {
    struct auth_result result;
    arena_reset(arena);
    if (auth_verify_head(race->bench->verifier, &d.request, arena, &result) != AUTH_OK) break;
    atomic_fetch_add(&race->verified, 1);
  }
  arena_free(arena);
  return NULL;
}

static void replacing_and_verifying_go_together(void **state) {
  (void)state;
  struct bench b;
  pthread_t threads[3];
  bench_init(&b);
  struct race race = {.bench = &b};
  for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &race), 0);
  const struct auth_key_spec specs[] = {{SLICE_LIT("Z:z"), true},
                                        {SLICE_LIT(EXAMPLE_ACCESS ":" EXAMPLE_SECRET), false}};
  unsigned before = 0;
  for (int round = 0; round < 200; round++) {
    assert_int_equal(auth_keys_replace(b.keys, specs + round % 2, 2 - (size_t)(round % 2), NULL), DOM_OK);
    while (atomic_load(&race.verified) == before) sched_yield();
    before = atomic_load(&race.verified);
  }
  atomic_store(&race.stop, true);
  for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  bench_done(&b);
}

static void memory_may_run_out(void **state) {
  (void)state;
  const struct auth_key_spec spec = {SLICE_LIT("A:s"), false};
  int64_t live = dom_alloc_live();
  dom_alloc_fail_after(0, 1);
  assert_null(auth_keys_new());
  dom_alloc_fail_after(UINT64_MAX, 0);
  struct auth_keys *keys = auth_keys_new();
  assert_int_equal(auth_keys_replace(keys, &spec, 1, NULL), DOM_OK);
  for (uint64_t n = 0; n < 4; n++) {
    dom_alloc_fail_after(n, 1);
    struct auth_verifier *verifier =
        auth_verifier_new(&(struct auth_config){.lookup = auth_keys_find, .lookup_context = keys});
    dom_alloc_fail_after(UINT64_MAX, 0);
    auth_verifier_free(verifier);
  }
  auth_keys_free(keys);
  assert_int_equal(dom_alloc_live(), live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(specs_parse),
      cmocka_unit_test(wrong_specs_are_refused_without_their_secret),
      cmocka_unit_test(tables_are_replaced_whole_or_not),
      cmocka_unit_test(many_keys_are_found),
      cmocka_unit_test(replacing_and_verifying_go_together),
      cmocka_unit_test(memory_may_run_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
