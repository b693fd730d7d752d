/* Signing our own requests: the published examples come out, and what is signed verifies. */
#include "auth_testing.h"
#include "base/alloc.h"

static const struct auth_signer signer = {
    {(const uint8_t *)EXAMPLE_ACCESS, sizeof EXAMPLE_ACCESS - 1},
    {(const uint8_t *)EXAMPLE_SECRET, sizeof EXAMPLE_SECRET - 1},
    {(const uint8_t *)"us-east-1", 9},
};

static void published_examples_come_out(void **state) {
  (void)state;
  struct draft d;
  struct auth_signed made;
  struct arena *arena = arena_new(1 << 16);
  draft_init(&d, "GET", "/test.txt", "");
  draft_add(&d, "Range", "bytes=0-9");
  draft_add(&d, "Host", "examplebucket.s3.amazonaws.com");
  assert_int_equal(auth_sign_request(&signer, &d.request, SLICE_LIT(EMPTY_SHA256), arena, &made), AUTH_OK);
  assert_string_equal(made.date, EXAMPLE_DATE);
  assert_string_equal(made.content_sha256, EMPTY_SHA256);
  assert_true(slice_equal(
      made.authorization,
      SLICE_LIT(AUTHORIZATION("host;range;x-amz-content-sha256;x-amz-date",
                              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"))));
  draft_init(&d, "GET", "/", "prefix=J&max-keys=2");
  draft_add(&d, "Host", "examplebucket.s3.amazonaws.com");
  assert_int_equal(auth_sign_request(&signer, &d.request, SLICE_LIT(EMPTY_SHA256), arena, &made), AUTH_OK);
  assert_true(slice_equal(
      made.authorization,
      SLICE_LIT(AUTHORIZATION("host;x-amz-content-sha256;x-amz-date",
                              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"))));
  arena_free(arena);
}

/* Awkward paths, queries and headers, signed and then verified. */
static void what_is_signed_verifies(void **state) {
  (void)state;
  static const struct {
    const char *method, *path, *query, *header, *value;
  } rows[] = {
      {"PUT", "/b/k", "", "x-amz-meta-a", "  two   blanks \t tab "},
      {"GET", "/", "", "X-Amz-Meta-UPPER", "v"},
      {"GET", "/b/%C3%A9%20%2B+~!()'*", "", "a", ""},
      {"GET", "/b//../x/", "b=2&a=1&a=0&c&d=%2F+%20", "z", "z"},
      {"POST", "/b", "delete", "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="},
      {"GET", "/b", "prefix=%F0%9F%98%80&delimiter=%2F&a-b=1&a=2&A=3", "x-domicile-region", "in"},
  };
  struct bench b;
  struct arena *arena = arena_new(1 << 16);
  bench_init(&b);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct auth_signed made;
    struct auth_result result;
    draft_init(&d, rows[i].method, rows[i].path, rows[i].query);
    draft_add(&d, rows[i].header, rows[i].value);
    draft_add(&d, "Host", "127.0.0.1:9101");
    draft_add(&d, rows[i].header, "again");
    assert_int_equal(auth_sign_request(&signer, &d.request, SLICE_LIT(AUTH_UNSIGNED_PAYLOAD), arena, &made),
                     AUTH_OK);
    char authorization[600];
    snprintf(authorization, sizeof authorization, "%.*s", (int)made.authorization.len,
             (const char *)made.authorization.data);
    draft_add(&d, "Authorization", authorization);
    draft_add(&d, "x-amz-date", made.date);
    draft_add(&d, "x-amz-content-sha256", made.content_sha256);
    enum auth_error error = bench_verify(&b, &d.request, &result);
    if (error != AUTH_OK) fail_msg("row %zu: %s", i, auth_error_name(error));
    d.headers[2].value = SLICE_LIT("not again");
    assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
  }
  arena_free(arena);
  bench_done(&b);
}

static void signing_fails_cleanly(void **state) {
  (void)state;
  struct draft d;
  struct auth_signed made;
  draft_init(&d, "GET", "/%zz", "");
  draft_add(&d, "Host", "h");
  struct arena *arena = arena_new(1 << 16);
  assert_int_equal(auth_sign_request(&signer, &d.request, SLICE_LIT(EMPTY_SHA256), arena, &made),
                   AUTH_INVALID_URI);
  draft_init(&d, "GET", "/b", "a=b");
  draft_add(&d, "Host", "h");
  enum auth_error error = AUTH_NO_MEMORY;
  int64_t live = dom_alloc_live();
  for (uint64_t n = 0; n < 100 && error == AUTH_NO_MEMORY; n++) {
    dom_alloc_fail_after(n, 1);
    error = auth_sign_request(&signer, &d.request, SLICE_LIT(EMPTY_SHA256), arena, &made);
    dom_alloc_fail_after(UINT64_MAX, 0);
  }
  assert_int_equal(error, AUTH_OK);
  arena_free(arena);
  assert_in_range(dom_alloc_live(), 0, live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_examples_come_out),
      cmocka_unit_test(what_is_signed_verifies),
      cmocka_unit_test(signing_fails_cleanly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
