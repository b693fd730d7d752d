/* SigV4 against the example vectors of the Amazon S3 API Reference ("Authenticating Requests:
 * Using the Authorization Header (AWS Signature Version 4)"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "digest.h"
#include "sigv4.h"

#define HOST                                                                                                 \
  { "host", "examplebucket.s3.amazonaws.com" }
#define STAMP "20130524T000000Z"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct sigv4_key example_key(void) {
  struct sigv4_key key;
  assert_true(sigv4_key_parse("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &key));
  return key;
}

/* Signs and compares the header's end. */
static void expect(const struct sigv4_input *in, const char *signed_names, const char *signature) {
  struct sigv4_key key = example_key();
  BUF_AUTO got = BUF_INIT;
  BUF_AUTO want = BUF_INIT;
  sigv4_authorize(&key, in, &got);
  buf_printf(&want,
             "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
             "SignedHeaders=%s,Signature=%s",
             signed_names, signature);
  assert_string_equal(buf_str(&got), buf_str(&want));
}

static void test_get_range(void **state) {
  (void)state;
  const struct sigv4_header headers[] = {
      HOST, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", STAMP}};
  expect(&(struct sigv4_input){"GET", "/test.txt", "", headers, 4, EMPTY, STAMP},
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_put(void **state) {
  (void)state;
  static const char hash[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  const struct sigv4_header headers[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                         {"x-amz-date", STAMP},
                                         HOST,
                                         {"x-amz-content-sha256", hash},
                                         {"date", "Fri, 24 May 2013 00:00:00 GMT"}};
  expect(&(struct sigv4_input){"PUT", "/test%24file.text", "", headers, 5, hash, STAMP},
         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_query_without_value(void **state) {
  (void)state;
  const struct sigv4_header headers[] = {HOST, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", STAMP}};
  expect(&(struct sigv4_input){"GET", "/", "lifecycle", headers, 3, EMPTY, STAMP},
         "host;x-amz-content-sha256;x-amz-date",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

/* Parameters are sorted whatever their order. */
static void test_query_order(void **state) {
  (void)state;
  const struct sigv4_header headers[] = {HOST, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", STAMP}};
  static const char *const queries[] = {"max-keys=2&prefix=J", "prefix=J&max-keys=2"};
  for (size_t i = 0; i < 2; i++) {
    expect(&(struct sigv4_input){"GET", "/", queries[i], headers, 3, EMPTY, STAMP},
           "host;x-amz-content-sha256;x-amz-date",
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  }
}

static void test_key_parse(void **state) {
  (void)state;
  struct sigv4_key key;
  assert_true(sigv4_key_parse("A:b:c/+", &key));
  assert_string_equal(key.access, "A");
  assert_string_equal(key.secret, "b:c/+");
  static const char *const bad[] = {"", ":", "A:", ":b", "A"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(sigv4_key_parse(bad[i], &key));
}

static void test_stamp(void **state) {
  (void)state;
  char stamp[SIGV4_STAMP_SIZE];
  sigv4_stamp(UINT64_C(1369353600999), stamp);
  assert_string_equal(stamp, STAMP);
}

static void test_digest(void **state) {
  (void)state;
  uint8_t raw[DIGEST_SIZE], back[DIGEST_SIZE];
  char hex[DIGEST_HEX];
  digest_of("", 0, raw);
  digest_hex(raw, hex);
  assert_string_equal(hex, EMPTY);
  assert_int_equal(digest_from_hex(hex, back), 0);
  assert_memory_equal(raw, back, sizeof raw);
  hex[3] = 'G';
  assert_int_equal(digest_from_hex(hex, back), -1);
  assert_int_equal(digest_from_hex("00", back), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_get_range),
      cmocka_unit_test(test_put),
      cmocka_unit_test(test_query_without_value),
      cmocka_unit_test(test_query_order),
      cmocka_unit_test(test_key_parse),
      cmocka_unit_test(test_stamp),
      cmocka_unit_test(test_digest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
