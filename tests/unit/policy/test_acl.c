/* Grants in and out, and who may set them. */
#include "policy_testing.h"

static void test_headers(void **state) {
  (void)state;
  struct policy_acl acl = {.owner = SLICE_LIT("owner")};
  assert_int_equal(policy_acl_header(SLICE_LIT("id=\"a\", id=b ,uri=\"http://acs.amazonaws.com/groups/global/"
                                               "AllUsers\""),
                                     POLICY_READ, &acl, NULL),
                   DOM_OK);
  assert_int_equal(policy_acl_header(SLICE_LIT("id=a"), POLICY_WRITE, &acl, NULL), DOM_OK);
  assert_int_equal(acl.count, 3);
  assert_int_equal(acl.grant[0].rights, POLICY_READ | POLICY_WRITE);
  assert_int_equal(acl.grant[2].to, POLICY_TO_EVERYBODY);
  assert_true(policy_acl_is_public(&acl));
  static const char *const bad[] = {"",      "a",         "id=",         "id=\"\"",
                                    "id=a,", "uri=\"x\"", "email=a@b.c", "emailAddress=\"a@b.c\""};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(policy_acl_header(slice_str(bad[i]), POLICY_READ, &acl, NULL), DOM_INVALID);
}

static void test_grants_are_bounded(void **state) {
  (void)state;
  struct policy_acl acl = {.owner = SLICE_LIT("owner")};
  static char names[POLICY_GRANTS_MAX + 1][8];
  for (int i = 0; i <= POLICY_GRANTS_MAX; i++) {
    snprintf(names[i], sizeof names[i], "a%d", i);
    struct policy_grant g = {.rights = POLICY_READ, .account = slice_str(names[i])};
    assert_int_equal(policy_acl_add(&acl, &g), i < POLICY_GRANTS_MAX);
  }
  assert_int_equal(policy_acl_header(SLICE_LIT("id=new"), POLICY_READ, &acl, NULL), DOM_TOO_LARGE);
}

/* The stored form is made of lines: no account brings one of its own along. */
static void test_accounts_hold_no_lines(void **state) {
  (void)state;
  static const char *const bad[] = {"a\n15 everybody", "a\n", "a b", "a\t", "\xc3\xa4", "a\x7f"};
  struct policy_acl acl = {.owner = SLICE_LIT("owner")};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    BUF_AUTO header = BUF_INIT;
    struct policy_grant g = {.rights = POLICY_READ, .account = slice_str(bad[i])};
    assert_false(policy_acl_add(&acl, &g));
    buf_printf(&header, "id=\"%s\"", bad[i]);
    assert_int_equal(policy_acl_header(buf_slice(&header), POLICY_READ, &acl, NULL), DOM_INVALID);
    assert_int_equal(acl.count, 0);
  }
}

/* A text that does not decode leaves what was there. */
static void test_refusal_touches_nothing(void **state) {
  (void)state;
  struct policy_acl acl = {.owner = SLICE_LIT("before"), .count = 1}, before = acl;
  assert_int_equal(policy_acl_parse(SLICE_LIT(""), &acl, NULL), DOM_INVALID);
  assert_int_equal(policy_acl_parse(SLICE_LIT("owner a\n1 everybody\n2 nobody\n"), &acl, NULL), DOM_INVALID);
  assert_memory_equal(&acl, &before, sizeof acl);
}

static void test_stored_form(void **state) {
  (void)state;
  static const char *const canned[] = {"private",           "public-read",
                                       "public-read-write", "authenticated-read",
                                       "bucket-owner-read", "bucket-owner-full-control",
                                       "log-delivery-write"};
  for (size_t i = 0; i < sizeof canned / sizeof canned[0]; i++) {
    struct policy_acl acl, back;
    BUF_AUTO text = BUF_INIT;
    assert_true(policy_acl_canned(slice_str(canned[i]), SLICE_LIT("writer"), SLICE_LIT("owner"), &acl));
    policy_acl_print(&acl, &text);
    assert_int_equal(policy_acl_parse(buf_slice(&text), &back, NULL), DOM_OK);
    assert_true(slice_equal(back.owner, SLICE_LIT("writer")));
    assert_int_equal(back.count, acl.count);
    for (size_t k = 0; k < acl.count; k++) {
      assert_int_equal(back.grant[k].to, acl.grant[k].to);
      assert_int_equal(back.grant[k].rights, acl.grant[k].rights);
      assert_true(slice_equal(back.grant[k].account, acl.grant[k].account));
    }
    for (size_t cut = 0; cut < text.len; cut++) /* never taken for another ACL than a shorter one */
      if (policy_acl_parse(slice_of(text.data, cut), &back, NULL) == DOM_OK)
        assert_true(back.count < acl.count);
  }
  struct policy_acl acl;
  assert_false(policy_acl_canned(SLICE_LIT("Public-Read"), SLICE_LIT("o"), SLICE_LIT("o"), &acl));
  static const char *const bad[] = {"",
                                    "owner \n",
                                    "owner a",
                                    "owner a\n16 everybody\n",
                                    "owner a\n0 everybody\n",
                                    "owner a\n1 nobody\n",
                                    "owner a\n1 account \n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(policy_acl_parse(slice_str(bad[i]), &acl, NULL), DOM_INVALID);
}

static void test_groups(void **state) {
  (void)state;
  for (unsigned to = POLICY_TO_EVERYBODY; to <= POLICY_TO_LOG_DELIVERY; to++) {
    enum policy_grantee back = POLICY_TO_ACCOUNT;
    assert_true(policy_group_of_uri(slice_str(policy_group_uri((enum policy_grantee)to)), &back));
    assert_int_equal(back, to);
  }
  enum policy_grantee unused;
  assert_false(policy_group_of_uri(SLICE_LIT(""), &unused));
  for (unsigned i = POLICY_OWNER_ENFORCED; i <= POLICY_OBJECT_WRITER; i++) {
    enum policy_ownership back = POLICY_OWNER_ENFORCED;
    assert_true(policy_ownership_of_name(slice_str(policy_ownership_name((enum policy_ownership)i)), &back));
    assert_int_equal(back, i);
  }
  enum policy_ownership ownership;
  assert_false(policy_ownership_of_name(SLICE_LIT("bucketownerenforced"), &ownership));
}

/* With ACLs off only what says nothing may be set; with the block on, nothing public. */
static void test_may_set(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum policy_set enforced, blocked;
  } rows[] = {
      {"private", POLICY_SET_OK, POLICY_SET_OK},
      {"bucket-owner-full-control", POLICY_SET_OK, POLICY_SET_OK},
      {"bucket-owner-read", POLICY_SET_UNSUPPORTED, POLICY_SET_OK},
      {"log-delivery-write", POLICY_SET_UNSUPPORTED, POLICY_SET_OK},
      {"public-read", POLICY_SET_UNSUPPORTED, POLICY_SET_BLOCKED},
      {"public-read-write", POLICY_SET_UNSUPPORTED, POLICY_SET_BLOCKED},
      {"authenticated-read", POLICY_SET_UNSUPPORTED, POLICY_SET_BLOCKED},
  };
  struct policy_block off = {0}, on = {.block_public_acls = true};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct policy_acl acl;
    assert_true(policy_acl_canned(slice_str(rows[i].name), SLICE_LIT("guest"), SLICE_LIT("owner"), &acl));
    assert_int_equal(policy_acl_may_set(&acl, SLICE_LIT("owner"), POLICY_OWNER_ENFORCED, &off),
                     rows[i].enforced);
    assert_int_equal(policy_acl_may_set(&acl, SLICE_LIT("owner"), POLICY_OBJECT_WRITER, &on),
                     rows[i].blocked);
    assert_int_equal(policy_acl_may_set(&acl, SLICE_LIT("owner"), POLICY_OBJECT_WRITER, &off), POLICY_SET_OK);
  }
}

/* What a new object keeps, by who writes it, what is asked for and whose objects the bucket wants. */
static void test_of_new_objects(void **state) {
  (void)state;
  static const struct {
    const char *writer, *asked;            /* canned, "id=…" to read, or NULL */
    const char *preferred, *object_writer; /* the stored form; NULL: none */
  } rows[] = {
      {"owner", NULL, NULL, NULL},
      {"owner", "private", NULL, NULL},
      {"owner", "bucket-owner-full-control", NULL, NULL},
      {"owner", "bucket-owner-read", NULL, NULL},
      {"owner", "public-read", "owner owner\n15 account owner\n1 everybody\n",
       "owner owner\n15 account owner\n1 everybody\n"},
      {"owner", "id=guest", "owner owner\n1 account guest\n", "owner owner\n1 account guest\n"},
      {"guest", NULL, "owner owner\n15 account guest\n", "owner owner\n15 account guest\n"},
      {"guest", "private", "owner owner\n15 account guest\n", "owner owner\n15 account guest\n"},
      {"guest", "bucket-owner-full-control", NULL, "owner owner\n15 account guest\n15 account owner\n"},
      {"guest", "bucket-owner-read", "owner owner\n15 account guest\n1 account owner\n",
       "owner owner\n15 account guest\n1 account owner\n"},
      {"guest", "authenticated-read", "owner owner\n15 account guest\n1 accounts\n",
       "owner owner\n15 account guest\n1 accounts\n"},
      {"guest", "id=owner", "owner owner\n1 account owner\n15 account guest\n",
       "owner owner\n1 account owner\n15 account guest\n"},
  };
  static const enum policy_ownership ownerships[] = {POLICY_OWNER_ENFORCED, POLICY_OWNER_PREFERRED,
                                                     POLICY_OBJECT_WRITER};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (size_t k = 0; k < 3; k++) {
      const char *want = k == 0 ? NULL : k == 1 ? rows[i].preferred : rows[i].object_writer;
      struct slice writer = slice_str(rows[i].writer), owner = SLICE_LIT("owner");
      struct policy_acl asked = {.owner = writer}, got;
      BUF_AUTO text = BUF_INIT;
      bool canned = rows[i].asked && policy_acl_canned(slice_str(rows[i].asked), writer, owner, &asked);
      if (rows[i].asked && !canned)
        assert_int_equal(policy_acl_header(slice_str(rows[i].asked), POLICY_READ, &asked, NULL), DOM_OK);
      bool any = policy_acl_of_new(rows[i].asked ? &asked : NULL, writer, owner, ownerships[k], &got);
      if (any) policy_acl_print(&got, &text);
      assert_int_equal(any, want != NULL);
      if (want) assert_string_equal(buf_str(&text), want);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_headers),
      cmocka_unit_test(test_grants_are_bounded),
      cmocka_unit_test(test_stored_form),
      cmocka_unit_test(test_refusal_touches_nothing),
      cmocka_unit_test(test_accounts_hold_no_lines),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_may_set),
      cmocka_unit_test(test_of_new_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
