/* Heads: AWS's published examples, and everything that must not pass. */
#include "auth_testing.h"

/* ---- AWS S3 API reference, "Examples: signature calculations" ---- */

static void draft_get_range(struct draft *d) {
  draft_init(d, "GET", "/test.txt", "");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "Range", "bytes=0-9");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;range;x-amz-content-sha256;x-amz-date",
                          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

static void draft_put(struct draft *d) {
  draft_init(d, "PUT", "/test%24file.text", "");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "Date", "Fri, 24 May 2013 00:00:00 GMT");
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  draft_add(d, "x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  draft_add(d, "Authorization",
            AUTHORIZATION("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

static void draft_lifecycle(struct draft *d) {
  draft_init(d, "GET", "/", "lifecycle");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;x-amz-content-sha256;x-amz-date",
                          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

static void draft_list(struct draft *d) {
  draft_init(d, "GET", "/", "max-keys=2&prefix=J");
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
  draft_add(d, "x-amz-content-sha256", EMPTY_SHA256);
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "Authorization",
            AUTHORIZATION("host;x-amz-content-sha256;x-amz-date",
                          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

#define PRESIGNED_QUERY                                                                                      \
  "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"            \
  "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
#define PRESIGNED_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

static void draft_presigned(struct draft *d) {
  draft_init(d, "GET", "/test.txt", PRESIGNED_QUERY "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
  draft_add(d, "Host", "examplebucket.s3.amazonaws.com");
}

static void published_examples_verify(void **state) {
  (void)state;
  void (*const drafts[])(struct draft *) = {draft_get_range, draft_put, draft_lifecycle, draft_list,
                                            draft_presigned};
  struct bench b;
  bench_init(&b);
  for (size_t i = 0; i < sizeof drafts / sizeof drafts[0]; i++) {
    struct draft d;
    struct auth_result result;
    drafts[i](&d);
    /* Twice: computed, then from the cache of signing keys. */
    for (int round = 0; round < 2; round++) {
      assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_OK);
      assert_true(slice_equal(result.access_key, SLICE_LIT(EXAMPLE_ACCESS)));
      assert_true(slice_equal(result.account, SLICE_LIT("tenant-a")));
      assert_false(result.is_operator);
      assert_true(auth_result_is_proven(&result));
      assert_int_equal(result.scheme, drafts[i] == draft_presigned ? AUTH_QUERY : AUTH_HEADER);
      assert_int_equal(result.payload,
                       drafts[i] == draft_presigned ? AUTH_PAYLOAD_UNSIGNED : AUTH_PAYLOAD_SIGNED);
    }
  }
  bench_done(&b);
}

static void every_byte_of_a_signature_counts(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result result;
  bench_init(&b);
  draft_get_range(&d);
  const char *good = (const char *)d.headers[4].value.data;
  size_t len = strlen(good);
  for (size_t at = len - AUTH_SIGNATURE_HEX; at < len; at++) {
    char *bad = strdup(good);
    bad[at] = bad[at] == '0' ? '1' : '0';
    draft_set(&d, "Authorization", bad);
    assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_SIGNATURE_MISMATCH);
    bad[at] = 'A';
    assert_int_equal(bench_verify(&b, &d.request, &result), AUTH_HEADER_MALFORMED);
    free(bad);
  }
  bench_done(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_examples_verify),
      cmocka_unit_test(every_byte_of_a_signature_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
