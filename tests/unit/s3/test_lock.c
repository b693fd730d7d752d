/* Object lock: documents, headers, and what a retention or a hold allows. */
#include "s3_testing.h"

#define YEAR_2030 UINT64_C(1893456000000) /* 2030-01-01T00:00:00Z */

static enum s3_error retention(void **state, const char *inner, struct s3_retention *out) {
  BUF_AUTO text = BUF_INIT;
  arena_reset(*state);
  buf_printf(&text, "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s</Retention>", inner);
  return s3_retention_parse(buf_slice(&text), *state, out);
}

static void retention_documents(void **state) {
  static const struct {
    const char *date;
    uint64_t ms; /* 0: refused */
  } rows[] = {
      {"2030-01-01T00:00:00Z", YEAR_2030},
      {"2030-01-01T00:00:00.000Z", YEAR_2030},
      {"2030-01-01T01:02:03.5Z", YEAR_2030 + 3723500},
      {"2030-01-01T23:59:59.123456789Z", YEAR_2030 + 86399123},
      {" 2030-01-01T00:00:00Z\n", YEAR_2030},
      {"2030-01-01", 0},
      {"2030-01-01T00:00:00", 0},
      {"2030-01-01T00:00:00.Z", 0},
      {"2030-01-01T00:00:00.1234567890Z", 0},
      {"2030-01-01T24:00:00Z", 0},
      {"2030-01-01T00:60:00Z", 0},
      {"2030-01-01T00:00:60Z", 0},
      {"2030-02-30T00:00:00Z", 0},
      {"2030-01-01 00:00:00Z", 0},
      {"2030-01-01T0:00:000Z", 0},
      {"2030-01-01T00:00:00ZZ", 0},
      {"Tue, 01 Jan 2030 00:00:00 GMT", 0},
      {"", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char inner[200];
    struct s3_retention r = {.until_ms = 7};
    snprintf(inner, sizeof inner, "<Mode>GOVERNANCE</Mode><RetainUntilDate>%s</RetainUntilDate>",
             rows[i].date);
    enum s3_error error = retention(state, inner, &r);
    if (error != (rows[i].ms ? S3_OK : S3_ERR_MALFORMED_XML)) fail_msg("%s", rows[i].date);
    assert_int_equal(r.until_ms, rows[i].ms ? rows[i].ms : 7);
  }
  struct s3_retention r = {0}, again;
  assert_int_equal(retention(state, "", &r), S3_OK);
  assert_int_equal(r.mode, S3_LOCK_NONE);
  assert_int_equal(retention(state, "<Mode>COMPLIANCE</Mode>", &r), S3_ERR_MALFORMED_XML);
  assert_int_equal(
      retention(state, "<Mode>governance</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>", &r),
      S3_ERR_MALFORMED_XML);
  r = (struct s3_retention){S3_LOCK_COMPLIANCE, YEAR_2030 + 1};
  BUF_AUTO text = BUF_INIT;
  s3_retention_print(&r, &text);
  assert_int_equal(s3_retention_parse(buf_slice(&text), *state, &again), S3_OK);
  assert_true(again.mode == r.mode && again.until_ms == r.until_ms);
}

static void hold_documents(void **state) {
  static const struct {
    const char *status;
    enum s3_legal_hold hold;
  } rows[] = {{"ON", S3_HOLD_ON}, {"OFF", S3_HOLD_OFF}, {"on", S3_HOLD_NEVER}, {"", S3_HOLD_NEVER}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    enum s3_legal_hold hold = S3_HOLD_NEVER;
    buf_printf(&text, "<LegalHold><Status>%s</Status></LegalHold>", rows[i].status);
    enum s3_error error = s3_legal_hold_parse(buf_slice(&text), *state, &hold);
    assert_int_equal(error, rows[i].hold ? S3_OK : S3_ERR_MALFORMED_XML);
    assert_int_equal(hold, rows[i].hold);
    if (error) continue;
    buf_reset(&text);
    s3_legal_hold_print(hold, &text);
    assert_non_null(strstr(buf_str(&text), rows[i].status));
  }
  enum s3_legal_hold hold;
  assert_int_equal(s3_legal_hold_parse(SLICE_LIT("<LegalHold/>"), *state, &hold), S3_ERR_MALFORMED_XML);
}

static void heads(void **state) {
  static const struct {
    const char *mode, *until, *hold;
    enum s3_error want;
  } rows[] = {
      {NULL, NULL, NULL, S3_OK},
      {"GOVERNANCE", "2030-01-01T00:00:00Z", NULL, S3_OK},
      {"COMPLIANCE", "2030-01-01T00:00:00.000Z", "ON", S3_OK},
      {NULL, NULL, "OFF", S3_OK},
      {"GOVERNANCE", NULL, NULL, S3_ERR_INVALID_ARGUMENT},
      {NULL, "2030-01-01T00:00:00Z", NULL, S3_ERR_INVALID_ARGUMENT},
      {"Governance", "2030-01-01T00:00:00Z", NULL, S3_ERR_INVALID_ARGUMENT},
      {"GOVERNANCE", "2029-12-31T00:00:00Z", NULL, S3_ERR_INVALID_ARGUMENT}, /* it is past by then */
      {"GOVERNANCE", "2029-12-31T00:00:00.001Z", NULL, S3_OK},
      {"GOVERNANCE", "tomorrow", NULL, S3_ERR_INVALID_ARGUMENT},
      {NULL, NULL, "MAYBE", S3_ERR_INVALID_ARGUMENT},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct draft d;
    struct s3_request q;
    struct s3_fault fault = {0};
    draft_init(&d, i % 2 ? "POST" : "PUT", "/bucket/k", i % 2 ? "uploads" : "");
    d.head.now_ms = YEAR_2030 - 86400000;
    if (rows[i].mode) draft_add(&d, "x-amz-object-lock-mode", rows[i].mode);
    if (rows[i].until) draft_add(&d, "x-amz-object-lock-retain-until-date", rows[i].until);
    if (rows[i].hold) draft_add(&d, "x-amz-object-lock-legal-hold", rows[i].hold);
    if (s3_request_parse(&d.head, &test_domains, *state, &q, &fault) != rows[i].want) fail_msg("row %zu", i);
    if (rows[i].want != S3_OK) continue;
    assert_int_equal(q.meta.lock_mode != S3_LOCK_NONE, rows[i].mode != NULL);
    assert_int_equal(q.meta.legal_hold != S3_HOLD_NEVER, rows[i].hold != NULL);
  }
}

static void switches(void **state) {
  struct draft d;
  struct s3_request q;
  struct s3_fault fault = {0};
  draft_init(&d, "DELETE", "/bucket/k", "versionId=x");
  draft_add(&d, "x-amz-bypass-governance-retention", "True");
  draft_add(&d, "x-amz-object-lock-mode", "on a delete it means nothing");
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &q, &fault), S3_OK);
  assert_true(q.bypass_governance && !q.object_lock);
  draft_init(&d, "PUT", "/bucket", "");
  draft_add(&d, "x-amz-bucket-object-lock-enabled", "true");
  assert_int_equal(s3_request_parse(&d.head, &test_domains, *state, &q, &fault), S3_OK);
  assert_true(q.object_lock && !q.bypass_governance);
}

static void defaults(void **state) {
  (void)state;
  struct s3_object_lock lock = {.has_default = false};
  assert_int_equal(s3_lock_default(&lock, 5).mode, S3_LOCK_NONE);
  lock = (struct s3_object_lock){.has_default = true, .period = 3};
  struct s3_retention r = s3_lock_default(&lock, 5);
  assert_true(r.mode == S3_LOCK_GOVERNANCE && r.until_ms == 5 + 3 * UINT64_C(86400000));
  lock = (struct s3_object_lock){.has_default = true, .compliance = true, .in_years = true, .period = 2};
  r = s3_lock_default(&lock, 5);
  assert_true(r.mode == S3_LOCK_COMPLIANCE && r.until_ms == 5 + 730 * UINT64_C(86400000));
}

/* Every mode, hold and change, before, at and after the end of the retention. */
static void what_is_allowed(void **state) {
  const uint64_t until = 1000;
  (void)state;
  for (int mode = 0; mode <= S3_LOCK_COMPLIANCE; mode++)
    for (int hold = 0; hold <= S3_HOLD_ON; hold++)
      for (uint64_t now = until - 1; now <= until + 1; now++) {
        struct s3_meta meta = {.lock_mode = (enum s3_lock_mode)mode,
                               .retain_until_ms = mode ? until : 0,
                               .legal_hold = (enum s3_legal_hold)hold};
        bool active = mode != S3_LOCK_NONE && now < until;
        enum s3_lock_allows kept = !active                      ? S3_LOCK_ALLOWS
                                   : mode == S3_LOCK_GOVERNANCE ? S3_LOCK_ALLOWS_BYPASS
                                                                : S3_LOCK_ALLOWS_NOBODY;
        assert_int_equal(s3_lock_on_delete(&meta, now), hold == S3_HOLD_ON ? S3_LOCK_ALLOWS_NOBODY : kept);
        for (int asked = 0; asked <= S3_LOCK_COMPLIANCE; asked++)
          for (uint64_t to = until - 1; to <= until + 1; to++) {
            struct s3_retention r = {(enum s3_lock_mode)asked, asked ? to : 0};
            bool extends = asked == mode && to >= until;
            assert_int_equal(s3_lock_on_change(&meta, &r, now), extends ? S3_LOCK_ALLOWS : kept);
          }
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(retention_documents),
      arena_test(hold_documents),
      arena_test(heads),
      arena_test(switches),
      arena_test(defaults),
      arena_test(what_is_allowed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
