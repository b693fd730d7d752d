/* Secrets and keys in files: forms, permissions, all or nothing. */
#include "serve_testing.h"

#include "auth/auth.h"
#include "serve/daemon.h"

static int set_up(void **state) {
  struct scratch *s = test_calloc(1, sizeof *s);
  scratch_make(s);
  *state = s;
  return 0;
}

static int tear_down(void **state) {
  scratch_remove(*state);
  test_free(*state);
  return 0;
}

static enum dom_code read_secret(const struct scratch *s, const char *text, mode_t mode, uint8_t out[32]) {
  scratch_write(s, "k", text, mode);
  return serve_secret_read(scratch_at(s, "k").text, out, NULL);
}

static void reads_both_forms(void **state) {
  static const char hex[] = "00ff02030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
  uint8_t key[32] = {0};
  BUF_AUTO with_newline = BUF_INIT;
  buf_printf(&with_newline, "%s\n", hex);
  assert_int_equal(read_secret(*state, hex, 0600, key), DOM_OK);
  assert_int_equal(key[1], 0xff);
  assert_int_equal(key[31], 0x1f);
  assert_int_equal(read_secret(*state, buf_str(&with_newline), 0400, key), DOM_OK);
  assert_int_equal(read_secret(*state, "0123456789abcdef0123456789abcdef", 0600, key), DOM_OK);
  assert_int_equal(key[0], '0'); /* 32 raw bytes */
  assert_int_equal(read_secret(*state, "0123456789abcdef", 0600, key), DOM_INVALID);
  assert_int_equal(read_secret(*state, "", 0600, key), DOM_INVALID);
  assert_int_equal(key[0], '0'); /* untouched by failures */
}

static void refuses_what_others_may_read(void **state) {
  static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
  static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
  uint8_t key[32];
  for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++)
    assert_int_equal(read_secret(*state, hex, open_modes[i], key), DOM_DENIED);
  assert_int_equal(serve_secret_read(((struct scratch *)*state)->path, key, NULL), DOM_INVALID);
  assert_int_equal(serve_secret_read(scratch_at(*state, "absent").text, key, NULL), DOM_NOT_FOUND);
}

static void makes_fresh_secrets_only(void **state) {
  uint8_t made[32], other[32], back[32];
  struct stat st;
  struct scratch_path a = scratch_at(*state, "a"), b = scratch_at(*state, "b");
  assert_int_equal(serve_secret_create(a.text, made, NULL), DOM_OK);
  assert_int_equal(serve_secret_create(a.text, other, NULL), DOM_EXISTS);
  assert_int_equal(serve_secret_create(b.text, other, NULL), DOM_OK);
  assert_memory_not_equal(made, other, 32);
  assert_int_equal(serve_secret_read(a.text, back, NULL), DOM_OK);
  assert_memory_equal(made, back, 32);
  assert_int_equal(stat(a.text, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
}

static void reads_public_keys(void **state) {
  uint8_t key[32];
  scratch_write(*state, "p", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0644);
  assert_int_equal(serve_public_read(scratch_at(*state, "p").text, key, NULL), DOM_OK);
  assert_int_equal(key[31], 0x1f);
  scratch_write(*state, "p", "a.example+8edbb852+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n", 0644);
  assert_int_equal(serve_public_read(scratch_at(*state, "p").text, key, NULL), DOM_OK);
  assert_int_equal(key[0], 0x8a);
  scratch_write(*state, "p", "a.example+8edbb853+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n", 0644);
  assert_int_equal(serve_public_read(scratch_at(*state, "p").text, key, NULL), DOM_INVALID);
}

struct with_keys {
  struct serve_config c;
  struct scratch_path accounts, operators;
  struct auth_keys *keys;
};

static enum dom_code load(struct with_keys *w, const struct scratch *s, const char *accounts,
                          const char *operators, struct dom_err *err) {
  w->accounts = scratch_at(s, "accounts");
  w->operators = scratch_at(s, "operators");
  scratch_write(s, "accounts", accounts, 0600);
  scratch_write(s, "operators", operators, 0600);
  w->c.accounts_file = w->accounts.text;
  w->c.operators_file = w->operators.text;
  return keys_load(&w->c, w->keys, err);
}

static void loads_keys_or_keeps_the_old(void **state) {
  struct with_keys w = {.keys = auth_keys_new()};
  struct auth_key key;
  struct dom_err err = {0};
  assert_int_equal(load(&w, *state,
                        "# all\n\n AKONE00000000001:secret-one:shop \r\nAKTWO00000000001:secret-two",
                        "OPERATOR00000001:secret-op\n", &err),
                   DOM_OK);
  assert_int_equal(auth_keys_count(w.keys), 3);
  assert_true(auth_keys_find(w.keys, SLICE_LIT("AKONE00000000001"), &key));
  assert_string_equal(key.account, "shop");
  assert_false(key.is_operator);
  assert_true(auth_keys_find(w.keys, SLICE_LIT("OPERATOR00000001"), &key));
  assert_true(key.is_operator);
  auth_key_done(&key);
  assert_int_equal(load(&w, *state, "AKONE00000000001:secret-one\nnonsense\n", "", &err), DOM_INVALID);
  assert_non_null(strstr(err.text, "accounts:2: "));
  err = (struct dom_err){0};
  assert_int_equal(load(&w, *state, "AKONE00000000001:a-secret\n", "AKONE00000000001:b-secret\n", &err),
                   DOM_EXISTS);
  assert_null(strstr(err.text, "a-secret"));
  assert_int_equal(auth_keys_count(w.keys), 3);
  assert_int_equal(load(&w, *state, "", "", &err), DOM_OK);
  assert_int_equal(auth_keys_count(w.keys), 0);
  assert_int_equal(chmod(w.accounts.text, 0644), 0);
  assert_int_equal(keys_load(&w.c, w.keys, NULL), DOM_DENIED);
  auth_keys_free(w.keys);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reads_both_forms, set_up, tear_down),
      cmocka_unit_test_setup_teardown(refuses_what_others_may_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(makes_fresh_secrets_only, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reads_public_keys, set_up, tear_down),
      cmocka_unit_test_setup_teardown(loads_keys_or_keeps_the_old, set_up, tear_down)};
  return cmocka_run_group_tests_name("serve-files", tests, NULL, NULL);
}
