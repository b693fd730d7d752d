/* Lifecycle rules: read strictly, printed canonically; verdicts at the right midnight. */
#include "s3_testing.h"

#define DAY        S3_DAY_MS
#define RULES(r)   "<LifecycleConfiguration>" r "</LifecycleConfiguration>"
#define ON         "<Status>Enabled</Status>"
#define DAYS(n)    "<Expiration><Days>" n "</Days></Expiration>"
#define RULE(what) "<Rule>" what "</Rule>"
#define ALL        "<Filter></Filter>"

static enum s3_error canonical(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_lifecycle l;
  enum s3_error error = s3_lifecycle_parse(body, arena, &l);
  if (!error) s3_lifecycle_print(&l, out);
  return error;
}

static void good_rules_become_canonical(void **state) {
  static const struct {
    const char *given, *want;
  } rows[] = {
      {RULE(DAYS("3") ON ALL), RULE("<ID>rule-1</ID>" ALL ON DAYS("3"))},
      {RULE("<Prefix>a/</Prefix>" ON DAYS("1")), RULE("<ID>rule-1</ID><Prefix>a/</Prefix>" ON DAYS("1"))},
      {RULE("<ID>rule-1</ID><Filter><Prefix>a&amp;b</Prefix></Filter><Status>Disabled</Status>" DAYS("007"))
           RULE(ON ALL "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation>"
                       "</AbortIncompleteMultipartUpload>"),
       RULE("<ID>rule-1</ID><Filter><Prefix>a&amp;b</Prefix></Filter><Status>Disabled</Status>" DAYS("7"))
           RULE("<ID>rule-2</ID>" ALL ON "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2"
                "</DaysAfterInitiation></AbortIncompleteMultipartUpload>")},
      {RULE("<ID>d</ID>" ON ALL "<Expiration><Date>2030-01-02</Date></Expiration>"),
       RULE("<ID>d</ID>" ALL ON "<Expiration><Date>2030-01-02T00:00:00.000Z</Date></Expiration>")},
      {RULE("<ID>n</ID>" ON "<Filter><And><ObjectSizeLessThan>9</ObjectSizeLessThan><Tag><Key>k</Key><Value>v"
            "</Value></Tag><Prefix>p</Prefix><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></And></Filter>"
            "<NoncurrentVersionExpiration><NewerNoncurrentVersions>2</"
            "NewerNoncurrentVersions><NoncurrentDays>5"
            "</NoncurrentDays></NoncurrentVersionExpiration>"),
       RULE("<ID>n</ID><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"
            "<ObjectSizeGreaterThan>0</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And>"
            "</Filter>" ON "<NoncurrentVersionExpiration><NoncurrentDays>5</NoncurrentDays>"
            "<NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>")},
      {RULE("<ID>m</ID>" ON ALL
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
       RULE("<ID>m</ID>" ALL ON
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO given = BUF_INIT;
    BUF_AUTO want = BUF_INIT;
    BUF_AUTO once = BUF_INIT;
    BUF_AUTO twice = BUF_INIT;
    buf_printf(&given, RULES("%s"), rows[i].given);
    buf_printf(&want,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LifecycleConfiguration "
               "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s</LifecycleConfiguration>",
               rows[i].want);
    if (canonical(buf_slice(&given), *state, &once) != S3_OK) fail_msg("row %zu", i);
    assert_string_equal(buf_str(&once), buf_str(&want));
    assert_int_equal(canonical(buf_slice(&once), *state, &twice), S3_OK);
    assert_string_equal(buf_str(&twice), buf_str(&once));
  }
}

static void bad_rules_are_refused(void **state) {
  static const struct {
    const char *given;
    enum s3_error error;
  } rows[] = {
      {RULES(""), S3_ERR_MALFORMED_XML},
      {"<LifecycleConfiguration", S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON DAYS("1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL "<Prefix></Prefix>" DAYS("1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ALL DAYS("1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE("<Status>enabled</Status>" ALL DAYS("1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL)), S3_ERR_INVALID_REQUEST},
      {RULES(RULE(ON ALL "<Expiration/>")), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL DAYS("0"))), S3_ERR_INVALID_ARGUMENT},
      {RULES(RULE(ON ALL DAYS("-1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL DAYS("99999999999999999999"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL DAYS("1") DAYS("2"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL "<Expiration><Days>1</Days><Date>2030-01-02</Date></Expiration>")),
       S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL "<Expiration><Date>2030-01-02T12:00:00Z</Date></Expiration>")),
       S3_ERR_INVALID_ARGUMENT},
      {RULES(RULE(ON ALL "<Expiration><Date>soon</Date></Expiration>")), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON ALL "<Transition><Days>1</Days></Transition>" DAYS("9"))), S3_ERR_NOT_IMPLEMENTED},
      {RULES(RULE(ON ALL DAYS("1") "<Else/>")), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON
                  "<Filter><Prefix>a</Prefix><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>" DAYS("1"))),
       S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON "<Filter><And><Prefix>a</Prefix></And></Filter>" DAYS("1"))), S3_ERR_MALFORMED_XML},
      {RULES(RULE(ON "<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5"
                     "</ObjectSizeLessThan></And></Filter>" DAYS("1"))),
       S3_ERR_INVALID_REQUEST},
      {RULES(RULE(ON "<Filter><ObjectSizeLessThan>5</ObjectSizeLessThan></Filter>"
                     "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
                     "</AbortIncompleteMultipartUpload>")),
       S3_ERR_INVALID_REQUEST},
      {RULES(RULE("<ID>a</ID>" ON ALL DAYS("1")) RULE("<ID>a</ID>" ON ALL DAYS("2"))),
       S3_ERR_INVALID_ARGUMENT},
      {RULES(RULE(ON ALL "<NoncurrentVersionExpiration/>")), S3_ERR_MALFORMED_XML},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO out = BUF_INIT;
    enum s3_error error = canonical(slice_str(rows[i].given), *state, &out);
    if (error != rows[i].error) fail_msg("row %zu: %s", i, error ? s3_error_code(error) : "taken");
  }
  for (int count = 1000; count <= 1001; count++) {
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    struct arena *arena = arena_new(S3_REQUEST_ARENA_BYTES);
    buf_append_str(&text, "<LifecycleConfiguration>");
    for (int i = 0; i < count; i++) buf_append_str(&text, RULE("<Prefix/>" ON DAYS("1")));
    buf_append_str(&text, "</LifecycleConfiguration>");
    assert_int_equal(canonical(buf_slice(&text), arena, &out), count == 1000 ? S3_OK : S3_ERR_MALFORMED_XML);
    arena_free(arena);
  }
}

static uint64_t expires(struct arena *arena, const char *text, const char *key, uint64_t size, uint64_t at,
                        const struct s3_tag *tag, const char **out_id) {
  struct s3_lifecycle l;
  const struct s3_lifecycle_rule *rule = NULL;
  assert_int_equal(s3_lifecycle_parse(slice_str(text), arena, &l), S3_OK);
  struct s3_lifecycle_object o = {
      .key = slice_str(key), .size = size, .modified_ms = at, .tag = tag, .tag_count = tag ? 1 : 0};
  uint64_t when = s3_lifecycle_expires(&l, &o, DAY, &rule);
  assert_int_equal(rule != NULL, when != UINT64_MAX);
  if (out_id) *out_id = rule ? arena_str(arena, rule->id) : "";
  return when;
}

static void days_end_at_midnight(void **state) {
  const char *text = RULES(RULE("<ID>a</ID>" ALL ON DAYS("2")));
  const uint64_t noon = 20000 * DAY + DAY / 2;
  assert_int_equal(expires(*state, text, "k", 1, noon, NULL, NULL), 20003 * DAY);
  assert_int_equal(expires(*state, text, "k", 1, 20000 * DAY, NULL, NULL), 20002 * DAY); /* at midnight */
  assert_int_equal(expires(*state, text, "k", 1, 20000 * DAY + 1, NULL, NULL), 20003 * DAY);
  assert_int_equal(expires(*state, text, "k", 1, UINT64_MAX - 5, NULL, NULL), UINT64_MAX); /* never */
  const char *date = RULES(RULE(ALL ON "<Expiration><Date>2024-10-04</Date></Expiration>"));
  assert_int_equal(expires(*state, date, "k", 1, noon, NULL, NULL), 20000 * DAY);
}

static void the_earliest_rule_that_is_about_it_counts(void **state) {
  const char *text = RULES(RULE("<ID>all</ID>" ALL ON DAYS("30"))
                               RULE("<ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter>" ON DAYS("3"))
                                   RULE("<ID>off</ID>" ALL "<Status>Disabled</Status>" DAYS("1"))
                                       RULE("<ID>big</ID><Filter><ObjectSizeGreaterThan>100"
                                            "</ObjectSizeGreaterThan></Filter>" ON DAYS("2"))
                                           RULE("<ID>tag</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag>"
                                                "</Filter>" ON DAYS("1")));
  const char *id;
  const struct s3_tag right = {SLICE_LIT("k"), SLICE_LIT("v")}, wrong = {SLICE_LIT("k"), SLICE_LIT("w")};
  assert_int_equal(expires(*state, text, "a", 100, 0, NULL, &id), 30 * DAY);
  assert_string_equal(id, "all");
  assert_int_equal(expires(*state, text, "logs/a", 100, 0, NULL, &id), 3 * DAY);
  assert_string_equal(id, "logs");
  assert_int_equal(expires(*state, text, "logs/a", 101, 0, NULL, &id), 2 * DAY);
  assert_string_equal(id, "big");
  assert_int_equal(expires(*state, text, "a", 100, 0, &right, &id), 1 * DAY);
  assert_string_equal(id, "tag");
  assert_int_equal(expires(*state, text, "a", 100, 0, &wrong, NULL), 30 * DAY);
}

static void older_versions_and_markers(void **state) {
  const char *text = RULES(
      RULE("<ID>n</ID>" ALL ON "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>"
           "<NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>")
          RULE(
              "<ID>big</ID><Filter><ObjectSizeGreaterThan>100</ObjectSizeGreaterThan></Filter>" ON
              "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>")
              RULE("<ID>m</ID><Filter><Prefix>m/</Prefix></Filter>" ON
                   "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")
                  RULE("<ID>d</ID><Filter><Prefix>d/</Prefix></Filter>" ON DAYS("2"))
                      RULE("<ID>t</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"
                           "<Status>Disabled</Status>" DAYS("1")));
  struct s3_lifecycle l;
  assert_int_equal(s3_lifecycle_parse(slice_str(text), *state, &l), S3_OK);
  struct s3_lifecycle_object o = {.key = SLICE_LIT("a"), .size = 100, .modified_ms = 5 * DAY};
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY, 2, DAY), 10 * DAY);
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY + 1, 9, DAY), 11 * DAY);
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY, 1, DAY), UINT64_MAX);
  o.size = 101;
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY, 1, DAY), 8 * DAY);
  o.is_marker = true; /* it has no size */
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY, 1, DAY), UINT64_MAX);
  assert_int_equal(s3_lifecycle_expires_noncurrent(&l, &o, 7 * DAY, 2, DAY), 10 * DAY);
  assert_int_equal(s3_lifecycle_expires_marker(&l, SLICE_LIT("m/a"), 5 * DAY, DAY), 5 * DAY);
  assert_int_equal(s3_lifecycle_expires_marker(&l, SLICE_LIT("d/a"), 5 * DAY, DAY), 7 * DAY);
  assert_int_equal(s3_lifecycle_expires_marker(&l, SLICE_LIT("a"), 5 * DAY, DAY), UINT64_MAX);
  assert_false(s3_lifecycle_by_tags(&l)); /* that rule is off */
  l.rule[4].enabled = true;
  assert_true(s3_lifecycle_by_tags(&l));
  o = (struct s3_lifecycle_object){.key = SLICE_LIT("a"), .any_tags = true};
  assert_int_equal(s3_lifecycle_expires(&l, &o, DAY, NULL), DAY);
  o.any_tags = false;
  assert_int_equal(s3_lifecycle_expires(&l, &o, DAY, NULL), UINT64_MAX);
}

static void what_is_told(void **state) {
  BUF_AUTO out = BUF_INIT;
  const struct s3_lifecycle_rule rule = {.id = SLICE_LIT("a \"b\"\r\n")};
  (void)state;
  s3_lifecycle_expiration(&rule, 20003 * DAY, &out);
  assert_string_equal(buf_str(&out),
                      "expiry-date=\"Mon, 07 Oct 2024 00:00:00 GMT\", rule-id=\"a%20%22b%22%0D%0A\"");
}

static void uploads_and_prefixes(void **state) {
  const char *text =
      RULES(RULE("<Filter><Prefix>photos/a/</Prefix></Filter>" ON "<AbortIncompleteMultipartUpload>"
                 "<DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>")
                RULE("<Filter><Prefix>photos/bc/</Prefix></Filter>" ON DAYS("1"))
                    RULE("<Filter><Prefix>mail/</Prefix></Filter><Status>Disabled</Status>" DAYS("1")));
  struct s3_lifecycle l;
  assert_int_equal(s3_lifecycle_parse(slice_str(text), *state, &l), S3_OK);
  assert_int_equal(s3_lifecycle_aborts(&l, SLICE_LIT("photos/a/k"), 5, DAY), 2 * DAY);
  assert_int_equal(s3_lifecycle_aborts(&l, SLICE_LIT("photos/bc/k"), 5, DAY), UINT64_MAX);
  assert_slice(s3_lifecycle_prefix(&l), "photos/");
  assert_int_equal(s3_lifecycle_parse(slice_str(RULES(RULE(ALL ON DAYS("1")))), *state, &l), S3_OK);
  assert_slice(s3_lifecycle_prefix(&l), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(good_rules_become_canonical),
      arena_test(bad_rules_are_refused),
      arena_test(days_end_at_midnight),
      arena_test(the_earliest_rule_that_is_about_it_counts),
      arena_test(uploads_and_prefixes),
      arena_test(older_versions_and_markers),
      arena_test(what_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
