/* Keys that clients bring along: their headers. */
#include "s3_testing.h"

#define OWN    "x-amz-server-side-encryption-customer-"
#define SOURCE "x-amz-copy-source-server-side-encryption-customer-"
/* Base64 of 32 bytes 'k', and of their MD5. */
static const char key[] = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
static const char md5[] = "mT2HRsMGJ5IX5C+0rreZ8Q==";

static enum s3_error read_head(struct arena *arena, enum s3_customer_which which, const char *const *lines,
                               const struct s3_customer_key **out) {
  struct draft d;
  struct s3_fault fault = {0};
  draft_init(&d, "PUT", "/photos/k", "");
  for (size_t i = 0; lines[i]; i += 2) draft_add(&d, lines[i], lines[i + 1]);
  enum s3_error error = s3_customer_from_head(&d.head, which, arena, out, &fault);
  assert_int_equal(error, fault.error);
  return error;
}
#define READ(which, out, ...) read_head(*state, which, (const char *const[]){__VA_ARGS__, NULL}, out)

static void a_key_is_read(void **state) {
  const struct s3_customer_key *got = NULL;
  assert_int_equal(READ(S3_CUSTOMER_OWN, &got, "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256",
                        OWN "key", key, OWN "key-MD5", md5),
                   S3_OK);
  assert_non_null(got);
  for (size_t i = 0; i < KEY_SIZE; i++) assert_int_equal(got->key[i], 'k');
  assert_slice(got->md5_text, md5);
  assert_int_equal(
      READ(S3_CUSTOMER_SOURCE, &got, SOURCE "algorithm", "AES256", SOURCE "key", key, SOURCE "key-md5", md5),
      S3_OK);
  assert_non_null(got);
}

/* Neither headers of the other key nor of another way to encrypt are it. */
static void none_is_no_key(void **state) {
  const struct s3_customer_key *got = NULL;
  assert_int_equal(READ(S3_CUSTOMER_OWN, &got, "x-amz-server-side-encryption", "AES256", SOURCE "algorithm",
                        "AES256", OWN "colour", "red"),
                   S3_OK);
  assert_null(got);
  assert_int_equal(READ(S3_CUSTOMER_SOURCE, &got, OWN "algorithm", "AES256"), S3_OK);
  assert_null(got);
}

static void half_a_key_is_refused(void **state) {
  const struct s3_customer_key *got = NULL;
  static const char short_key[] = "a2tr";
  const struct {
    const char *algorithm, *key, *md5;
    enum s3_error error;
  } rows[] = {
      {"AES128", key, md5, S3_ERR_CUSTOMER_ALGORITHM},
      {"aes256", key, md5, S3_ERR_CUSTOMER_ALGORITHM},
      {NULL, key, md5, S3_ERR_CUSTOMER_ALGORITHM},
      {"AES256", NULL, md5, S3_ERR_CUSTOMER_KEY_MISSING},
      {"AES256", "", md5, S3_ERR_CUSTOMER_KEY_MISSING},
      {"AES256", key, NULL, S3_ERR_CUSTOMER_MD5_MISSING},
      {"AES256", short_key, md5, S3_ERR_CUSTOMER_KEY_INVALID},
      {"AES256", "no base64!", md5, S3_ERR_CUSTOMER_KEY_INVALID},
      {"AES256", key, "AAAAAAAAAAAAAAAAAAAAAA==", S3_ERR_CUSTOMER_MD5_MISMATCH},
      {"AES256", key, "x", S3_ERR_CUSTOMER_MD5_MISMATCH},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *lines[7] = {NULL};
    size_t n = 0;
    if (rows[i].algorithm) lines[n++] = OWN "algorithm", lines[n++] = rows[i].algorithm;
    if (rows[i].key) lines[n++] = OWN "key", lines[n++] = rows[i].key;
    if (rows[i].md5) lines[n++] = OWN "key-MD5", lines[n++] = rows[i].md5;
    assert_int_equal(read_head(*state, S3_CUSTOMER_OWN, lines, &got), rows[i].error);
    assert_null(got);
  }
}

/* Each operation takes what S3 gives it, and no object is less protected than its sender was told. */
static void operations_take_them(void **state) {
  static const struct {
    const char *method, *query;
    bool own;
  } rows[] = {
      {"PUT", "", true},
      {"GET", "", true},
      {"HEAD", "", true},
      {"POST", "uploads", true},
      {"POST", "uploadId=u", true},
      {"PUT", "uploadId=u&partNumber=1", true},
      {"DELETE", "", false},
      {"GET", "uploadId=u", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (int copies = 0; copies < 2; copies++) {
      struct draft d;
      struct s3_request r;
      struct s3_fault fault = {0};
      draft_init(&d, rows[i].method, "/photos/k", rows[i].query);
      draft_add(&d, OWN "algorithm", "AES256");
      draft_add(&d, OWN "key", key);
      draft_add(&d, OWN "key-MD5", md5);
      if (copies) draft_add(&d, "x-amz-copy-source", "/source/k");
      draft_add(&d, SOURCE "algorithm", "AES256");
      draft_add(&d, SOURCE "key", key);
      draft_add(&d, SOURCE "key-MD5", md5);
      assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &r, &fault), S3_OK);
      bool is_copy = r.op == S3_OP_COPY_OBJECT || r.op == S3_OP_UPLOAD_PART_COPY;
      assert_int_equal(r.customer != NULL, rows[i].own);
      assert_int_equal(r.copy.customer != NULL, is_copy);
    }
  }
  struct draft d;
  struct s3_request r;
  struct s3_fault fault = {0};
  draft_init(&d, "PUT", "/photos/k", "");
  draft_add(&d, OWN "algorithm", "AES256");
  draft_add(&d, OWN "key", key);
  draft_add(&d, OWN "key-MD5", md5);
  draft_add(&d, "x-amz-server-side-encryption", "AES256");
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &r, &fault), S3_ERR_CUSTOMER_TWO_WAYS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(a_key_is_read),
      arena_test(none_is_no_key),
      arena_test(half_a_key_is_refused),
      arena_test(operations_take_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
