/* KEKs wrapped by a key of a token: SoftHSM, with its tokens in a folder of this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <ftw.h>
#include <p11-kit/pkcs11.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vault/wrap.h"
#include "vault_testing.h"

#define PIN      "1234-right"
#define SO_PIN   "5678-officer"
#define URI      "pkcs11:token=domicile-test;object=kek-wrap"
#define URI_NEXT "pkcs11:token=domicile-test;object=kek-next"

static char folder[] = "/tmp/domicile-pkcs11-XXXXXX";
static CK_FUNCTION_LIST *raw; /* the module itself, beside what the vault loads */
static CK_SLOT_ID slot;

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

static void make_key(const char *label, CK_KEY_TYPE type, CK_ULONG size, CK_BBOOL extractable) {
  CK_SESSION_HANDLE s;
  CK_OBJECT_HANDLE key;
  CK_BBOOL yes = CK_TRUE, sensitive = !extractable;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_MECHANISM generate = {type == CKK_AES ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
  CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},
                             {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                             {CKA_VALUE_LEN, &size, sizeof size},
                             {CKA_TOKEN, &yes, sizeof yes},
                             {CKA_PRIVATE, &yes, sizeof yes},
                             {CKA_ENCRYPT, &yes, sizeof yes},
                             {CKA_DECRYPT, &yes, sizeof yes},
                             {CKA_EXTRACTABLE, &extractable, sizeof extractable},
                             {CKA_SENSITIVE, &sensitive, sizeof sensitive}};
  assert_int_equal(raw->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s), CKR_OK);
  CK_RV rv = raw->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)PIN, sizeof PIN - 1);
  assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
  assert_int_equal(raw->C_GenerateKey(s, &generate, template, 9, &key), CKR_OK);
  raw->C_CloseSession(s);
}

static void destroy_key(const char *label) {
  CK_SESSION_HANDLE s;
  CK_OBJECT_HANDLE key;
  CK_ULONG found = 0;
  CK_ATTRIBUTE template[] = {{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
  assert_int_equal(raw->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s), CKR_OK);
  raw->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)PIN, sizeof PIN - 1);
  assert_int_equal(raw->C_FindObjectsInit(s, template, 1), CKR_OK);
  assert_int_equal(raw->C_FindObjects(s, &key, 1, &found), CKR_OK);
  raw->C_FindObjectsFinal(s);
  assert_int_equal(found, 1);
  assert_int_equal(raw->C_DestroyObject(s, key), CKR_OK);
  raw->C_CloseSession(s);
}

/* A token of its own, a PIN, a wrapping key. */
static int start(void **state) {
  char path[256], text[512];
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/tokens", folder);
  if (mkdir(path, 0700) != 0) return -1;
  snprintf(path, sizeof path, "%s/softhsm2.conf", folder);
  snprintf(text, sizeof text,
           "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", folder);
  write_file(path, text, 0600);
  setenv("SOFTHSM2_CONF", path, 1);
  void *module = dlopen(SOFTHSM_MODULE, RTLD_NOW);
  if (!module) return -1;
  CK_RV (*list)(CK_FUNCTION_LIST **) = NULL;
  *(void **)&list = dlsym(module, "C_GetFunctionList");
  CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
  if (!list || list(&raw) != CKR_OK || raw->C_Initialize(&args) != CKR_OK) return -1;
  CK_ULONG count = 1;
  CK_SESSION_HANDLE s;
  CK_UTF8CHAR label[32];
  memset(label, ' ', sizeof label);
  memcpy(label, "domicile-test", 13);
  if (raw->C_GetSlotList(CK_TRUE, &slot, &count) != CKR_OK || count != 1) return -1;
  if (raw->C_InitToken(slot, (CK_UTF8CHAR_PTR)SO_PIN, sizeof SO_PIN - 1, label) != CKR_OK) return -1;
  CK_SLOT_ID slots[4];
  count = 4; /* SoftHSM gives a token that was made another slot */
  if (raw->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) return -1;
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    if (raw->C_GetTokenInfo(slots[i], &info) == CKR_OK && info.flags & CKF_TOKEN_INITIALIZED) slot = slots[i];
  }
  if (raw->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) != CKR_OK) return -1;
  if (raw->C_Login(s, CKU_SO, (CK_UTF8CHAR_PTR)SO_PIN, sizeof SO_PIN - 1) != CKR_OK) return -1;
  if (raw->C_InitPIN(s, (CK_UTF8CHAR_PTR)PIN, sizeof PIN - 1) != CKR_OK) return -1;
  raw->C_CloseSession(s);
  make_key("kek-wrap", CKK_AES, 32, CK_FALSE);
  make_key("kek-next", CKK_AES, 32, CK_FALSE);
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(path);
}

static int end(void **state) {
  (void)state;
  raw->C_Finalize(NULL);
  return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct vault_pkcs11_options options_of(const char *uri) {
  return (struct vault_pkcs11_options){.uri = uri, .module = SOFTHSM_MODULE, .pin = PIN};
}

static struct vault_wrap *open_token(const char *uri) {
  struct vault_pkcs11_options o = options_of(uri);
  struct vault_wrap *w = NULL;
  struct dom_err err = {0};
  if (vault_wrap_pkcs11_open(&o, &w, &err) != DOM_OK) fail_msg("%s", err.text);
  return w;
}

/* Refused with this code, and the text says this. */
static void refused(const struct vault_pkcs11_options *o, enum dom_code code, const char *says) {
  struct vault_wrap *w = NULL;
  struct dom_err err = {0};
  assert_int_equal(vault_wrap_pkcs11_open(o, &w, &err), code);
  assert_null(w);
  if (!strstr(err.text, says)) fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static enum dom_code bench_open_wrapped(struct bench *b, struct vault_wrap *w, bool create,
                                        struct dom_err *err) {
  enum dom_code code = vault_kek_wrapped_open(b->keys, "", NULL, create, w, &b->kek, err);
  struct vault_options o = bench_options(b, create);
  return code == DOM_OK ? vault_open(&o, &b->vault, err) : code;
}

static void bench_start_wrapped(struct bench *b, struct vault_wrap *w) {
  *b = (struct bench){.data = disk_sim_new(7), .keys = disk_sim_new(8)};
  OK(bench_open_wrapped(b, w, true, NULL));
}

static size_t keys_in_clear(struct bench *b) {
  struct vault_kek *k = NULL;
  struct dom_err err = {0};
  enum dom_code code = vault_kek_folder_open(b->keys, "", NULL, false, &k, &err);
  vault_kek_close(k);
  return code == DOM_OK;
}

static void test_serve_and_rotate(void **state) {
  struct bench b;
  uint8_t before[KEY_SIZE], after[KEY_SIZE];
  struct vault_key key = test_key(1, 1);
  (void)state;
  struct vault_wrap *w = open_token(URI);
  bench_start_wrapped(&b, w);
  OK(vault_key_create(b.vault, &key, NULL));
  OK(test_derive(b.vault, &key, before));
  assert_false(keys_in_clear(&b));
  for (int round = 0; round < 3; round++) {
    uint64_t old = vault_kek_current(b.vault);
    OK(vault_rotate(b.vault, NULL, NULL, NULL));
    assert_true(vault_kek_gone(b.vault, old));
    bench_shut(&b);
    vault_wrap_close(w);
    w = open_token(URI);
    OK(bench_open_wrapped(&b, w, false, NULL));
    OK(test_derive(b.vault, &key, after));
    assert_memory_equal(before, after, KEY_SIZE);
  }
  bench_end(&b);
  vault_wrap_close(w);
}

/* Plain to wrapped, to another key of the token, back to plain: the data keys stay. */
static void test_rewrap(void **state) {
  struct bench b;
  uint8_t before[KEY_SIZE], after[KEY_SIZE];
  struct vault_key key = test_key(2, 1);
  uint64_t done = 0;
  struct dom_err err = {0};
  (void)state;
  bench_start(&b, 5);
  OK(vault_key_create(b.vault, &key, NULL));
  OK(test_derive(b.vault, &key, before));
  bench_shut(&b);
  struct vault_wrap *w[] = {NULL, open_token(URI), open_token(URI_NEXT), NULL};
  for (int step = 0; step < 3; step++) {
    OK(vault_kek_rewrap(b.keys, "", NULL, w[step], w[step + 1], &done, NULL));
    assert_int_equal(done, 1);
    OK(vault_kek_rewrap(b.keys, "", NULL, w[step], w[step + 1], &done, NULL)); /* repeated: nothing to do */
    assert_int_equal(done, 0);
    OK(bench_open_wrapped(&b, w[step + 1], false, NULL));
    OK(test_derive(b.vault, &key, after));
    assert_memory_equal(before, after, KEY_SIZE);
    bench_shut(&b);
    err = (struct dom_err){0};
    enum dom_code with_old = bench_open_wrapped(&b, w[step], false, &err);
    assert_true(with_old == DOM_CORRUPT || with_old == DOM_INVALID);
    assert_true(strlen(err.text) > 0);
    bench_shut(&b);
  }
  assert_int_equal(vault_kek_rewrap(b.keys, "", NULL, w[1], w[2], &done, &err), DOM_INVALID);
  bench_end(&b);
  vault_wrap_close(w[1]);
  vault_wrap_close(w[2]);
}

/* Wherever the power goes while KEKs are wrapped anew, each opens under one of the two. */
static void test_rewrap_power(void **state) {
  (void)state;
  struct vault_wrap *w = open_token(URI);
  for (uint64_t cut = 1; cut < 12; cut++) {
    struct bench b;
    uint64_t done = 0;
    bench_start(&b, 40 + cut);
    bench_shut(&b);
    disk_sim_cut_after(b.keys, cut);
    enum dom_code code = vault_kek_rewrap(b.keys, "", NULL, NULL, w, &done, NULL);
    assert_true(code == DOM_OK || disk_sim_is_off(b.keys));
    disk_sim_power_on(b.keys);
    disk_sim_cut_after(b.keys, 0);
    OK(vault_kek_rewrap(b.keys, "", NULL, NULL, w, &done, NULL));
    OK(bench_open_wrapped(&b, w, false, NULL));
    bench_end(&b);
  }
  vault_wrap_close(w);
}

static void test_session_lost(void **state) {
  struct bench b;
  (void)state;
  struct vault_wrap *w = open_token(URI);
  bench_start_wrapped(&b, w);
  assert_int_equal(raw->C_CloseAllSessions(slot), CKR_OK); /* as by a token pulled out and put back */
  OK(vault_rotate(b.vault, NULL, NULL, NULL));
  bench_end(&b);
  vault_wrap_close(w);
}

/* The key went away: what is unwrapped serves on, a rotation says so and harms nothing. */
static void test_key_gone(void **state) {
  struct bench b;
  struct dom_err err = {0};
  struct vault_key key = test_key(3, 1);
  uint8_t data_key[KEY_SIZE];
  (void)state;
  make_key("kek-brief", CKK_AES, 32, CK_FALSE);
  struct vault_wrap *w = open_token("pkcs11:token=domicile-test;object=kek-brief");
  bench_start_wrapped(&b, w);
  OK(vault_key_create(b.vault, &key, NULL));
  destroy_key("kek-brief");
  enum dom_code code = vault_rotate(b.vault, NULL, NULL, &err);
  assert_int_equal(code, DOM_NOT_FOUND);
  assert_non_null(strstr(err.text, "no secret key"));
  OK(test_derive(b.vault, &key, data_key));
  bench_end(&b);
  vault_wrap_close(w);
}

static void test_wrapped_is_said(void **state) {
  struct bench b;
  struct dom_err err = {0};
  (void)state;
  struct vault_wrap *w = open_token(URI);
  bench_start_wrapped(&b, w);
  bench_shut(&b);
  assert_int_equal(bench_try_open(&b, false, &err), DOM_INVALID);
  assert_non_null(strstr(err.text, "--kek pkcs11:"));
  bench_end(&b);
  bench_start(&b, 9);
  bench_shut(&b);
  err = (struct dom_err){0};
  assert_int_equal(bench_open_wrapped(&b, w, false, &err), DOM_INVALID);
  assert_non_null(strstr(err.text, "key rewrap") ? strstr(err.text, "key rewrap")
                                                 : strstr(err.text, "rewrap"));
  bench_end(&b);
  vault_wrap_close(w);
}

static void test_refusals(void **state) {
  struct vault_pkcs11_options o = options_of(URI);
  char path[256];
  (void)state;
  make_key("kek-small", CKK_AES, 16, CK_FALSE);
  make_key("kek-leaves", CKK_AES, 32, CK_TRUE);
  make_key("kek-generic", CKK_GENERIC_SECRET, 32, CK_FALSE);
  o.module = "/nonexistent/module.so";
  refused(&o, DOM_NOT_FOUND, "no PKCS#11 module at /nonexistent/module.so");
  snprintf(path, sizeof path, "%s/softhsm2.conf", folder);
  o.module = path;
  refused(&o, DOM_NOT_FOUND, "no PKCS#11 module that can be loaded");
  o = options_of("pkcs11:token=other;object=kek-wrap");
  refused(&o, DOM_NOT_FOUND, "no token is as the URI says");
  o = options_of("pkcs11:token=domicile-test;object=none");
  refused(&o, DOM_NOT_FOUND, "no secret key as the URI says");
  o = options_of("pkcs11:token=domicile-test;object=kek-small");
  refused(&o, DOM_INCOMPATIBLE, "no AES key of 256 bits");
  o = options_of("pkcs11:token=domicile-test;object=kek-generic");
  refused(&o, DOM_INCOMPATIBLE, "no AES key of 256 bits");
  o = options_of("pkcs11:token=domicile-test;object=kek-leaves");
  refused(&o, DOM_INCOMPATIBLE, "may leave its token");
  o = options_of("pkcs11:token=domicile-test");
  refused(&o, DOM_INVALID, "names no key");
  o = options_of(URI "?pin-value=" PIN);
  refused(&o, DOM_INVALID, "a PIN in the URI");
  o = options_of("pkcs11:tok%zz");
  refused(&o, DOM_INVALID, "not a PKCS#11 URI");
  o = options_of(URI);
  o.pin = NULL;
  refused(&o, DOM_INVALID, "asks for a PIN");
}

static void test_pin_files(void **state) {
  struct vault_pkcs11_options o = options_of(URI);
  struct vault_wrap *w = NULL;
  char path[256], uri[512];
  (void)state;
  snprintf(path, sizeof path, "%s/pin", folder);
  write_file(path, PIN "\n", 0600);
  o.pin = NULL;
  o.pin_file = path;
  OK(vault_wrap_pkcs11_open(&o, &w, NULL));
  vault_wrap_close(w);
  snprintf(uri, sizeof uri, "%s?module-path=%s&pin-source=file:%s", URI, SOFTHSM_MODULE, path);
  o = (struct vault_pkcs11_options){.uri = uri};
  OK(vault_wrap_pkcs11_open(&o, &w, NULL));
  vault_wrap_close(w);
  assert_int_equal(chmod(path, 0640), 0);
  refused(&o, DOM_DENIED, "chmod 0600");
  write_file(path, "\n", 0600);
  refused(&o, DOM_INVALID, "must hold a PIN");
}

/* A wrong PIN costs one try, however often the same holder is asked; the last try is left to people. */
static void test_wrong_pin(void **state) {
  struct vault_pkcs11_options o = options_of(URI);
  CK_TOKEN_INFO info;
  (void)state;
  o.pin = "0000-wrong";
  refused(&o, DOM_DENIED, "is not tried again");
  assert_int_equal(raw->C_GetTokenInfo(slot, &info), CKR_OK);
  assert_true(info.flags & CKF_USER_PIN_COUNT_LOW);
  o.pin = PIN;
  struct vault_wrap *w = NULL;
  OK(vault_wrap_pkcs11_open(&o, &w, NULL));
  vault_wrap_close(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_serve_and_rotate), cmocka_unit_test(test_rewrap),
      cmocka_unit_test(test_rewrap_power),     cmocka_unit_test(test_session_lost),
      cmocka_unit_test(test_key_gone),         cmocka_unit_test(test_wrapped_is_said),
      cmocka_unit_test(test_refusals),         cmocka_unit_test(test_pin_files),
      cmocka_unit_test(test_wrong_pin),
  };
  return cmocka_run_group_tests_name("vault: PKCS#11", tests, start, end);
}
