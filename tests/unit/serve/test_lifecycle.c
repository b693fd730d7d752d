/* Lifecycle rules carried out: at home only, when the time has come, with permits, never against a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "s3/s3.h"
#include "serve/lifecycle.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};

#define RULES(r)                                                                                             \
  "<LifecycleConfiguration><Rule><ID>a</ID>" r "<Status>Enabled</Status></Rule></LifecycleConfiguration>"
#define DAYS2 "<Expiration><Days>2</Days></Expiration>"

static void put_rules(struct test_regions *t, const char *text) {
  struct subject_bucket k;
  struct dom_err err = {0};
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(t->region[1].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_bucket_get(t->region[1].subjects, v, SLICE_LIT("phones"), &k, NULL), DOM_OK);
  struct subject_config_change change = {.part = SUBJECT_PART_LIFECYCLE, .value = slice_str(text)};
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, &err), DOM_OK);
}

static struct test_regions *setup_regions(const char *rules) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  struct subject_who who;
  assert_non_null(t);
  regions_open(t, 4, 7, 1);
  regions_bucket(t);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_int_equal(subject_register(t->region[2].subjects, TENANT, SLICE_LIT("ben"), "US", &who, NULL),
                   DOM_OK);
  if (rules) put_rules(t, rules);
  return t;
}

static void finish(struct test_regions *t) {
  regions_close(t);
  dom_free(t);
}

static struct lifecycle worker(struct test_regions *t, uint16_t region) {
  return (struct lifecycle){.store = t->region[region].store,
                            .subjects = t->region[region].subjects,
                            .clock = t->clock,
                            .region = region,
                            .day_ms = S3_DAY_MS};
}

static uint64_t expired(struct test_regions *t, uint16_t region) {
  struct lifecycle l = worker(t, region);
  struct dom_err err = {0};
  enum dom_code code = lifecycle_pass(&l, &err);
  if (code) fail_msg("%s: %s: %s", dom_code_name(code), err.where, err.text);
  return l.expired;
}

static bool is_there(struct test_regions *t, uint16_t region, const char *subject, const char *name) {
  BUF_AUTO out = BUF_INIT;
  enum dom_code code = region_get(t, region, subject, name, &out);
  assert_true(code == DOM_OK || code == DOM_NOT_FOUND);
  return code == DOM_OK;
}

static void objects_go_when_their_time_has_come(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter><Prefix>asha/logs/</Prefix></Filter>" DAYS2));
  assert_int_equal(region_put(t, 1, "asha", "logs/a", "1"), DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "keep", "1"), DOM_OK);
  assert_int_equal(expired(t, 1), 0);
  clock_sim_advance(t->clock, S3_DAY_MS); /* the world begins at a midnight */
  assert_int_equal(region_put(t, 1, "asha", "logs/b", "1"), DOM_OK);
  clock_sim_advance(t->clock, S3_DAY_MS - 1);
  assert_int_equal(expired(t, 1), 0);
  clock_sim_advance(t->clock, 1);
  assert_int_equal(expired(t, 1), 1);
  assert_false(is_there(t, 1, "asha", "logs/a"));
  assert_true(is_there(t, 1, "asha", "logs/b"));
  assert_true(is_there(t, 1, "asha", "keep"));
  assert_int_equal(expired(t, 1), 0);
  finish(t);
}

static void many_objects_go_page_by_page(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  char name[16];
  for (int i = 0; i < 3 * LIFECYCLE_PAGE - 7; i++) {
    snprintf(name, sizeof name, "%04d", i);
    assert_int_equal(region_put(t, 1, "asha", name, "1"), DOM_OK);
  }
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  assert_int_equal(region_put(t, 1, "asha", "0300", "again"), DOM_OK); /* it is young again */
  /* A guard may be taken for changed when it is not: the next pass finds what that kept. */
  uint64_t first = expired(t, 1);
  assert_true(first > 2 * LIFECYCLE_PAGE);
  for (int i = 0; i < 8 && first < 3 * LIFECYCLE_PAGE - 8; i++) first += expired(t, 1);
  assert_int_equal(first, 3 * LIFECYCLE_PAGE - 8);
  assert_true(is_there(t, 1, "asha", "0300"));
  finish(t);
}

/* Each region removes what lives there, and nothing of others; a region that was never home has nothing. */
static void only_at_home(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  assert_int_equal(region_put(t, 2, "ben", "b", "1"), DOM_OK);
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  assert_int_equal(expired(t, 3), 0);
  assert_int_equal(expired(t, 2), 1);
  assert_true(is_there(t, 1, "asha", "a"));
  assert_int_equal(expired(t, 1), 1);
  finish(t);
}

static void uploads_are_aborted(void **state) {
  (void)state;
  struct test_regions *t =
      setup_regions(RULES("<Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1"
                          "</DaysAfterInitiation></AbortIncompleteMultipartUpload>"));
  assert_int_equal(region_upload(t, 1, "asha", "big", 7), DOM_OK);
  assert_int_equal(region_upload(t, 1, "asha", "big", 9), DOM_OK);
  clock_sim_advance(t->clock, S3_DAY_MS);
  assert_int_equal(region_upload(t, 1, "asha", "big", 8), DOM_OK);
  struct lifecycle l = worker(t, 1);
  assert_int_equal(lifecycle_pass(&l, NULL), DOM_OK);
  assert_int_equal(l.aborted, 2);
  assert_int_equal(lifecycle_pass(&l, NULL), DOM_OK);
  assert_int_equal(l.aborted, 2);
  finish(t);
}

/* A closed gate and a fence keep it; it is no failure, and the next pass finds it. */
static void a_move_is_left_alone(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  struct subject_who who;
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  assert_int_equal(region_who(t, 1, "asha", &who), DOM_OK);
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  assert_true(subject_gate_close(t->region[1].subjects, who.token, 1));
  struct lifecycle l = worker(t, 1);
  assert_int_equal(lifecycle_pass(&l, NULL), DOM_OK);
  assert_int_equal(l.expired, 0);
  assert_int_equal(l.kept, 1);
  subject_gate_open(t->region[1].subjects, who.token);
  assert_int_equal(lifecycle_pass(&l, NULL), DOM_OK);
  assert_int_equal(l.expired, 1);
  finish(t);
}

static void rules_that_went_remove_nothing(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  struct subject_bucket k;
  atomic_bool stop = true;
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  struct lifecycle l = worker(t, 1);
  l.stopping = &stop;
  assert_int_equal(lifecycle_pass(&l, NULL), DOM_CANCELLED);
  struct store_view *v = NULL;
  assert_int_equal(store_view_open(t->region[1].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_bucket_get(t->region[1].subjects, v, SLICE_LIT("phones"), &k, NULL), DOM_OK);
  store_view_close(v);
  struct subject_config_change change = {.part = SUBJECT_PART_LIFECYCLE, .remove = true};
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, NULL), DOM_OK);
  assert_int_equal(expired(t, 1), 0);
  put_rules(t, "what is stored is no rule");
  struct dom_err err = {0};
  l.stopping = NULL;
  assert_int_equal(lifecycle_pass(&l, &err), DOM_CORRUPT);
  assert_true(is_there(t, 1, "asha", "a"));
  finish(t);
}

/* ---- versions ------------------------------------------------------------------------------------------ */

#define NONCURRENT(days, newer)                                                                              \
  "<NoncurrentVersionExpiration><NoncurrentDays>" days "</NoncurrentDays>" newer                             \
  "</NoncurrentVersionExpiration>"
#define NEWER2  "<NewerNoncurrentVersions>2</NewerNoncurrentVersions>"
#define MARKERS "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"

static void set_versioning(struct test_regions *t, enum subject_versioning versioning) {
  struct subject_bucket k;
  struct store_view *v = NULL;
  assert_int_equal(store_view_open(t->region[1].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_bucket_get(t->region[1].subjects, v, SLICE_LIT("phones"), &k, NULL), DOM_OK);
  store_view_close(v);
  struct subject_config_change change = {.versioning = versioning};
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, NULL), DOM_OK);
}

static void write_version(struct test_regions *t, const char *name, const char *value, bool is_null) {
  struct store_version which = {.is_null = is_null};
  enum region_change change = value ? REGION_PUT : REGION_MARK;
  assert_int_equal(region_version(t, 1, "asha", name, change, value ? value : "", &which), DOM_OK);
}

/* Values and markers of all versions by name, newest first: "a:M,2 b:1 ". */
static void assert_versions(struct test_regions *t, const char *want) {
  BUF_AUTO lines = BUF_INIT;
  char got[512] = "", name[64], last[64] = "", value[64];
  size_t at = 0;
  assert_int_equal(region_versions(t, 1, "asha", &lines), DOM_OK);
  const char *text = buf_str(&lines);
  while (*text) {
    assert_int_equal(sscanf(text, "%63s %*s %*s %63s", name, value), 2);
    bool same = strcmp(name, last) == 0;
    at += (size_t)snprintf(got + at, sizeof got - at, "%s%s%s",
                           same    ? ","
                           : *last ? " "
                                   : "",
                           same ? "" : name, same ? "" : ":");
    at += (size_t)snprintf(got + at, sizeof got - at, "%s", strcmp(value, "MARKER") == 0 ? "M" : value);
    snprintf(last, sizeof last, "%s", name);
    text = strchr(text, '\n') + 1;
  }
  assert_string_equal(got, want);
}

static void current_versions_end_under_a_marker(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  set_versioning(t, VERSIONING_ENABLED);
  write_version(t, "a", "1", false);
  write_version(t, "a", "2", false);
  write_version(t, "b", "1", true);
  write_version(t, "gone", NULL, false);
  clock_sim_advance(t->clock, 2 * S3_DAY_MS - 1);
  assert_int_equal(expired(t, 1), 0);
  write_version(t, "c", "1", false);
  clock_sim_advance(t->clock, 1);
  assert_int_equal(expired(t, 1), 3); /* two marked, one lonely marker removed */
  assert_versions(t, "a:M,2,1 b:M,1 c:1");
  assert_int_equal(expired(t, 1), 0);
  finish(t);
}

static void a_suspended_bucket_replaces_its_null_version(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" DAYS2));
  set_versioning(t, VERSIONING_ENABLED);
  write_version(t, "a", "1", false);
  write_version(t, "a", "null", true);
  write_version(t, "b", "null", true);
  set_versioning(t, VERSIONING_SUSPENDED);
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  assert_int_equal(expired(t, 1), 2);
  assert_versions(t, "a:M,1 b:M");
  finish(t);
}

static void noncurrent_versions_go_by_days_and_count(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" NONCURRENT("1", NEWER2)));
  set_versioning(t, VERSIONING_ENABLED);
  for (int i = 0; i < 5; i++) write_version(t, "a", (char[]){(char)('1' + i), 0}, false);
  write_version(t, "few", "1", false);
  write_version(t, "few", NULL, false);
  clock_sim_advance(t->clock, S3_DAY_MS - 1);
  assert_int_equal(expired(t, 1), 0);
  clock_sim_advance(t->clock, 1);
  assert_int_equal(expired(t, 1), 2);
  assert_versions(t, "a:5,4,3 few:M,1");
  write_version(t, "a", "6", false); /* 5 is noncurrent since now, 3 is one too many at once */
  assert_int_equal(expired(t, 1), 1);
  assert_versions(t, "a:6,5,4 few:M,1");
  finish(t);
}

static void a_marker_alone_goes(void **state) {
  (void)state;
  struct test_regions *t =
      setup_regions("<LifecycleConfiguration><Rule><ID>a</ID><Filter></Filter>" NONCURRENT(
          "1", "") "<Status>Enabled</Status></Rule>"
                   "<Rule><ID>b</ID><Filter><Prefix>asha/m</Prefix></Filter>" MARKERS
                   "<Status>Enabled</Status></Rule>"
                   "</LifecycleConfiguration>");
  set_versioning(t, VERSIONING_ENABLED);
  write_version(t, "m1", "1", false);
  write_version(t, "m1", NULL, false);
  write_version(t, "m2", NULL, false);
  write_version(t, "x", NULL, false);
  write_version(t, "y", NULL, false);
  write_version(t, "y", NULL, false);
  assert_int_equal(expired(t, 1), 1);
  assert_versions(t, "m1:M,1 x:M y:M,M");
  clock_sim_advance(t->clock, S3_DAY_MS);
  assert_int_equal(expired(t, 1), 3); /* the version, then the marker before it; the older marker */
  assert_versions(t, "x:M y:M");
  finish(t);
}

static struct store_version locked_version(struct test_regions *t, const char *value) {
  struct store_version which = {.is_null = false};
  assert_int_equal(region_version(t, 1, "asha", "a", REGION_PUT, value, &which), DOM_OK);
  return which;
}

static void lock_version(struct test_regions *t, const struct store_version *which, struct s3_meta meta) {
  BUF_AUTO bytes = BUF_INIT;
  assert_int_equal(s3_meta_encode(&meta, &bytes, NULL), DOM_OK);
  assert_int_equal(region_amend(t, 1, "asha", "a", which, buf_slice(&bytes)), DOM_OK);
}

static void locked_versions_stay(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(RULES("<Filter></Filter>" NONCURRENT("1", "")));
  struct subject_bucket k;
  struct store_view *v = NULL;
  set_versioning(t, VERSIONING_ENABLED);
  assert_int_equal(store_view_open(t->region[1].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_bucket_get(t->region[1].subjects, v, SLICE_LIT("phones"), &k, NULL), DOM_OK);
  store_view_close(v);
  struct subject_config_change lock = {.part = SUBJECT_PART_OBJECT_LOCK, .value = SLICE_LIT("lock")};
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &lock, NULL), DOM_OK);
  uint64_t until = clock_wall_ms(t->clock) + 3 * S3_DAY_MS;
  struct store_version held = locked_version(t, "held"), kept = locked_version(t, "kept"),
                       ruled = locked_version(t, "ruled"), free = locked_version(t, "free");
  write_version(t, "a", "current", false);
  lock_version(t, &held, (struct s3_meta){.legal_hold = S3_HOLD_ON});
  lock_version(t, &kept, (struct s3_meta){.lock_mode = S3_LOCK_COMPLIANCE, .retain_until_ms = until});
  lock_version(t, &ruled, (struct s3_meta){.lock_mode = S3_LOCK_GOVERNANCE, .retain_until_ms = until});
  lock_version(t, &free, (struct s3_meta){.legal_hold = S3_HOLD_OFF});
  clock_sim_advance(t->clock, 2 * S3_DAY_MS);
  assert_int_equal(expired(t, 1), 1);
  assert_versions(t, "a:current,ruled,kept,held");
  clock_sim_advance(t->clock, S3_DAY_MS);
  assert_int_equal(expired(t, 1), 2);
  assert_versions(t, "a:current,held");
  lock_version(t, &held, (struct s3_meta){.legal_hold = S3_HOLD_OFF});
  assert_int_equal(expired(t, 1), 1);
  assert_versions(t, "a:current");
  finish(t);
}

/* Histories longer than a page, and a marker that ends one. */
static void histories_cross_pages(void **state) {
  (void)state;
  struct test_regions *t =
      setup_regions("<LifecycleConfiguration><Rule><ID>a</ID><Filter></Filter>" NONCURRENT("1", NEWER2)
                        MARKERS "<Status>Enabled</Status></Rule></LifecycleConfiguration>");
  set_versioning(t, VERSIONING_ENABLED);
  for (int i = 0; i < LIFECYCLE_PAGE - 1; i++) write_version(t, "a", "old", false);
  write_version(t, "b", NULL, false);
  for (int i = 0; i < 2 * LIFECYCLE_PAGE; i++) write_version(t, "c", "old", false);
  clock_sim_advance(t->clock, S3_DAY_MS);
  uint64_t total = 3 * LIFECYCLE_PAGE - 1 - 6 + 1, gone = 0;
  for (int i = 0; i < 8 && gone < total; i++) gone += expired(t, 1);
  assert_int_equal(gone, total);
  assert_versions(t, "a:old,old,old c:old,old,old");
  finish(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_go_when_their_time_has_come),
      cmocka_unit_test(many_objects_go_page_by_page),
      cmocka_unit_test(only_at_home),
      cmocka_unit_test(uploads_are_aborted),
      cmocka_unit_test(a_move_is_left_alone),
      cmocka_unit_test(rules_that_went_remove_nothing),
      cmocka_unit_test(current_versions_end_under_a_marker),
      cmocka_unit_test(a_suspended_bucket_replaces_its_null_version),
      cmocka_unit_test(noncurrent_versions_go_by_days_and_count),
      cmocka_unit_test(a_marker_alone_goes),
      cmocka_unit_test(locked_versions_stay),
      cmocka_unit_test(histories_cross_pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
