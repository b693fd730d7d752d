/* Documents about access, in and out: what goes out comes in again as the same. */
#include "s3_testing.h"

static void acls_come_back(void **state) {
  struct s3_acl acl = {.owner = SLICE_LIT("a&b"), .count = 2}, back;
  BUF_AUTO xml = BUF_INIT;
  acl.grant[0] = (struct s3_grant){.id = SLICE_LIT("a&b"), .permission = SLICE_LIT("FULL_CONTROL")};
  acl.grant[1] = (struct s3_grant){.uri = SLICE_LIT("http://acs.amazonaws.com/groups/global/AllUsers"),
                                   .permission = SLICE_LIT("READ")};
  s3_acl_result(&acl, &xml);
  assert_int_equal(s3_acl_parse(buf_slice(&xml), *state, &back), S3_OK);
  assert_slice(back.owner, "a&b");
  assert_int_equal(back.count, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_true(slice_equal(back.grant[i].id, acl.grant[i].id));
    assert_true(slice_equal(back.grant[i].uri, acl.grant[i].uri));
    assert_true(slice_equal(back.grant[i].permission, acl.grant[i].permission));
  }
}

#define GRANT(inside)                                                                                        \
  "<AccessControlPolicy><AccessControlList><Grant>" inside                                                   \
  "</Grant></AccessControlList></AccessControlPolicy>"

static void bad_acls_are_refused(void **state) {
  static const char *const rows[] = {
      "",
      "<Acl/>",
      GRANT(""),
      GRANT("<Grantee><ID>a</ID></Grantee>"),
      GRANT("<Permission>READ</Permission>"),
      GRANT("<Grantee><ID>a</ID></Grantee><Permission>read</Permission>"),
      GRANT("<Grantee><ID>a</ID><URI>u</URI></Grantee><Permission>READ</Permission>"),
      GRANT("<Grantee><EmailAddress>a@b.example</EmailAddress></Grantee><Permission>READ</Permission>"),
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct s3_acl acl = {.count = 7};
    assert_int_equal(s3_acl_parse(slice_str(rows[i]), *state, &acl), S3_ERR_MALFORMED_ACL);
    assert_int_equal(acl.count, 7); /* what was there stays */
  }
}

static void acls_are_bounded(void **state) {
  for (int count = S3_GRANTS_MAX; count <= S3_GRANTS_MAX + 1; count++) {
    BUF_AUTO text = BUF_INIT;
    struct s3_acl acl;
    buf_append_str(&text, "<AccessControlPolicy><AccessControlList>");
    for (int i = 0; i < count; i++)
      buf_printf(&text, "<Grant><Grantee><ID>a%d</ID></Grantee><Permission>READ</Permission></Grant>", i);
    buf_append_str(&text, "</AccessControlList></AccessControlPolicy>");
    enum s3_error error = s3_acl_parse(buf_slice(&text), *state, &acl);
    assert_int_equal(error, count <= S3_GRANTS_MAX ? S3_OK : S3_ERR_MALFORMED_ACL);
  }
}

static void a_status_says_whether(void **state) {
  (void)state;
  for (int is_public = 0; is_public < 2; is_public++) {
    BUF_AUTO xml = BUF_INIT;
    s3_policy_status_result(is_public, &xml);
    assert_non_null(strstr(buf_str(&xml), is_public ? "<IsPublic>true" : "<IsPublic>false"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(acls_come_back, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(bad_acls_are_refused, arena_setup, arena_teardown),
      cmocka_unit_test_setup_teardown(acls_are_bounded, arena_setup, arena_teardown),
      cmocka_unit_test(a_status_says_whether),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
