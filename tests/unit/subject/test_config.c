/* A bucket's configuration: in every region or no answer, whatever is lost, doubled, cut or killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "subject/subject_internal.h"

enum { REGISTRAR = 2 }; /* sg, as the story's charters say */

static const struct slice PHONES = {(const uint8_t *)"phones", 6};

static struct test_regions *setup_regions(uint64_t seed) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  assert_non_null(t);
  regions_open(t, 4, seed, 1);
  regions_bucket(t);
  return t;
}

static void finish(struct test_regions *t) {
  regions_close(t);
  dom_free(t);
}

static enum dom_code bucket_at(struct test_regions *t, uint16_t region, struct subject_bucket *out) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < 3; i++) {
    STORE_VIEW_AUTO *v = NULL;
    assert_int_equal(store_view_open(t->region[region].store, &v, NULL), DOM_OK);
    code = subject_bucket_get(t->region[region].subjects, v, PHONES, out, NULL);
  }
  return code;
}

/* The value of a part as region sees it; "" when it has none. */
static void part_at(struct test_regions *t, uint16_t region, enum subject_part part, char out[64]) {
  struct subject_bucket k;
  struct subject_config *c = NULL;
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(bucket_at(t, region, &k), DOM_OK);
  assert_int_equal(store_view_open(t->region[region].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_config_get(t->region[region].subjects, v, &k, &c, NULL), DOM_OK);
  struct slice value = subject_config_part(c, part);
  assert_int_equal(subject_bucket_has(&k, part), value.data != NULL);
  snprintf(out, 64, "%.*s", (int)value.len, value.data ? (const char *)value.data : "");
  subject_config_release(c);
}

static enum dom_code put_part(struct test_regions *t, uint16_t region, enum subject_part part,
                              const char *value, struct dom_err *err) {
  struct subject_bucket k;
  struct subject_config_change change = {.part = part, .value = slice_str(value), .remove = value[0] == 0};
  enum dom_code code = bucket_at(t, region, &k);
  return code ? code : subject_configure(t->region[region].subjects, &k, &change, err);
}

static enum dom_code put_versioning(struct test_regions *t, uint16_t region, enum subject_versioning state) {
  struct subject_bucket k;
  struct subject_config_change change = {.versioning = state};
  enum dom_code code = bucket_at(t, region, &k);
  return code ? code : subject_configure(t->region[region].subjects, &k, &change, NULL);
}

static void assert_everywhere(struct test_regions *t, enum subject_part part, const char *want) {
  char have[64];
  for (uint16_t i = 1; i <= t->count; i++) {
    part_at(t, i, part, have);
    assert_string_equal(have, want);
  }
}

static unsigned owed_count(struct test_regions *t) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO value = BUF_INIT;
  assert_int_equal(store_view_open(t->region[REGISTRAR].store, &v, NULL), DOM_OK);
  return store_row_get(v, STORE_TABLE_CONFIG_OWED, PHONES, &value, NULL) == DOM_OK ? 1 : 0;
}

static void test_in_force_everywhere(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct subject_bucket k;
  assert_everywhere(t, SUBJECT_PART_CORS, "");
  assert_int_equal(put_part(t, 3, SUBJECT_PART_CORS, "rules", NULL), DOM_OK);
  assert_everywhere(t, SUBJECT_PART_CORS, "rules");
  assert_int_equal(put_part(t, 4, SUBJECT_PART_TAGGING, "tags", NULL), DOM_OK);
  assert_int_equal(put_versioning(t, 1, VERSIONING_ENABLED), DOM_OK);
  assert_everywhere(t, SUBJECT_PART_CORS, "rules");
  assert_everywhere(t, SUBJECT_PART_TAGGING, "tags");
  for (uint16_t i = 1; i <= 4; i++) {
    assert_int_equal(bucket_at(t, i, &k), DOM_OK);
    assert_int_equal(k.versioning, VERSIONING_ENABLED);
    assert_int_equal(k.config_version, 4);
  }
  /* the same again makes no version; a part that goes, goes everywhere */
  assert_int_equal(put_part(t, 2, SUBJECT_PART_CORS, "rules", NULL), DOM_OK);
  assert_int_equal(bucket_at(t, 2, &k), DOM_OK);
  assert_int_equal(k.config_version, 4);
  assert_int_equal(put_part(t, 2, SUBJECT_PART_CORS, "", NULL), DOM_OK);
  assert_everywhere(t, SUBJECT_PART_CORS, "");
  assert_everywhere(t, SUBJECT_PART_TAGGING, "tags");
  assert_int_equal(owed_count(t), 0);
  finish(t);
}

static void test_legal_changes(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct subject_bucket k;
  char big[(20 << 10) + 2];
  assert_int_equal(put_part(t, 1, SUBJECT_PART_OBJECT_LOCK, "on", NULL), DOM_INVALID);
  assert_int_equal(put_versioning(t, 1, VERSIONING_ENABLED), DOM_OK);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_OBJECT_LOCK, "on", NULL), DOM_OK);
  assert_int_equal(put_versioning(t, 1, VERSIONING_SUSPENDED), DOM_INVALID);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_OBJECT_LOCK, "", NULL), DOM_INVALID);
  memset(big, 'x', sizeof big);
  big[sizeof big - 1] = 0;
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, big, NULL), DOM_TOO_LARGE);
  /* on top of what was seen only */
  assert_int_equal(bucket_at(t, 1, &k), DOM_OK);
  struct subject_config_change change = {
      .part = SUBJECT_PART_ACL, .value = SLICE_LIT("a"), .only_if = true, .if_version = k.config_version};
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, NULL), DOM_OK);
  change.value = SLICE_LIT("b");
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, NULL), DOM_BUSY);
  assert_everywhere(t, SUBJECT_PART_ACL, "a");
  /* another bucket of the same name is another bucket */
  k.id[3] ^= 1;
  assert_int_equal(subject_configure(t->region[1].subjects, &k, &change, NULL), DOM_NOT_FOUND);
  finish(t);
}

/* A region is cut off: never DOM_OK, in force where it arrived, and finished once the line is mended. */
static void test_cut_off(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct dom_err err = {0};
  char have[64];
  net_sim_cut(t->net, REGISTRAR, 4, true);
  for (int i = 0; i < 3; i++)
    assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", i ? NULL : &err), DOM_UNAVAILABLE);
  assert_non_null(strstr(err.text, "in yet"));
  for (uint16_t i = 1; i <= 3; i++) {
    part_at(t, i, SUBJECT_PART_POLICY, have);
    assert_string_equal(have, "deny");
  }
  part_at(t, 4, SUBJECT_PART_POLICY, have);
  assert_string_equal(have, "");
  assert_int_equal(owed_count(t), 1);
  /* local subjects go on meanwhile, in the region that is cut off and in the others */
  struct subject_who who;
  assert_int_equal(
      subject_register(t->region[1].subjects, SLICE_LIT("phones-inc"), SLICE_LIT("asha"), "IN", &who, NULL),
      DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  assert_int_equal(subject_config_upkeep(t->region[REGISTRAR].subjects, NULL), DOM_UNAVAILABLE);
  net_sim_cut(t->net, REGISTRAR, 4, false);
  clock_sim_advance(t->clock, SUBJECT_CONFIG_SILENT_MS + 1);
  assert_int_equal(subject_config_upkeep(t->region[REGISTRAR].subjects, NULL), DOM_OK);
  assert_everywhere(t, SUBJECT_PART_POLICY, "deny");
  assert_int_equal(owed_count(t), 0);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL), DOM_OK);
  finish(t);
}

/* The asking region cannot reach the registrar: nothing changes anywhere, and objects do not notice. */
static void test_no_registrar(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct subject_who who;
  assert_int_equal(
      subject_register(t->region[1].subjects, SLICE_LIT("phones-inc"), SLICE_LIT("asha"), "IN", &who, NULL),
      DOM_OK);
  net_sim_leave(t->net, REGISTRAR);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_CORS, "rules", NULL), DOM_UNAVAILABLE);
  assert_int_equal(subject_config_upkeep(t->region[1].subjects, NULL), DOM_UNAVAILABLE);
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  finish(t);
}

/* A region that was down asks before it serves. */
static void test_restart_of_a_region(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  char have[64];
  region_stop(t, 4);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL), DOM_UNAVAILABLE);
  assert_int_equal(region_start(t, 4, NULL), DOM_OK);
  part_at(t, 4, SUBJECT_PART_POLICY, have);
  assert_string_equal(have, ""); /* or the test shows nothing */
  assert_int_equal(subject_config_upkeep(t->region[4].subjects, NULL), DOM_OK);
  part_at(t, 4, SUBJECT_PART_POLICY, have);
  assert_string_equal(have, "deny");
  finish(t);
}

/* A commit is guarded: what was decided under the old configuration does not get in under the new one. */
static void test_guard(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct subject_bucket seen;
  struct store_view *before = NULL, *after = NULL;
  struct subject_config *c = NULL;
  assert_int_equal(bucket_at(t, 1, &seen), DOM_OK);
  assert_int_equal(store_view_open(t->region[1].store, &before, NULL), DOM_OK);
  assert_int_equal(subject_bucket_check(before, &seen, NULL), DOM_OK);
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL), DOM_OK);
  assert_int_equal(store_view_open(t->region[1].store, &after, NULL), DOM_OK);
  assert_int_equal(subject_bucket_check(after, &seen, NULL), DOM_RETRY);
  /* a commit through the old view */
  struct store_tx *tx = NULL;
  assert_int_equal(store_tx_begin(t->region[1].store, before, &tx, NULL), DOM_OK);
  store_tx_guard_row(tx, STORE_TABLE_BUCKET_ID, slice_of(seen.id, sizeof seen.id));
  assert_int_equal(store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("x"), SLICE_LIT("y"), NULL), DOM_OK);
  assert_int_equal(store_tx_commit_take(tx, NULL, NULL), DOM_RETRY);
  /* a view shows the configuration of its time, or says that the bucket it is asked for is another's */
  struct subject_bucket now;
  assert_int_equal(bucket_at(t, 1, &now), DOM_OK);
  assert_int_equal(subject_config_get(t->region[1].subjects, before, &seen, &c, NULL), DOM_OK);
  assert_null(subject_config_part(c, SUBJECT_PART_POLICY).data);
  subject_config_release(c);
  struct subject_bucket odd = now; /* of a version that is in no cache and that the view does not show */
  odd.config_version--;
  assert_int_equal(subject_config_get(t->region[1].subjects, after, &odd, &c, NULL), DOM_RETRY);
  assert_int_equal(subject_config_get(t->region[1].subjects, before, &now, &c, NULL), DOM_RETRY);
  store_view_close(before);
  store_view_close(after);
  finish(t);
}

/* The registrar's process ends at each of its disk operations in turn. However far it came: after a restart
 * and upkeep all regions agree, and if the client was told DOM_OK, on the new configuration. */
static void test_registrar_killed(void **state) {
  (void)state;
  unsigned finished = 0, undone = 0;
  for (unsigned at = 1; at <= 14; at++) {
    struct test_regions *t = setup_regions(100 + at);
    char have[64], other[64];
    disk_sim_cut_after(t->region[REGISTRAR].disk, at);
    enum dom_code code = put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL);
    region_stop(t, REGISTRAR);
    disk_sim_power_on(t->region[REGISTRAR].disk);
    assert_int_equal(region_start(t, REGISTRAR, NULL), DOM_OK);
    clock_sim_advance(t->clock, SUBJECT_CONFIG_SILENT_MS + 1);
    assert_int_equal(subject_config_upkeep(t->region[REGISTRAR].subjects, NULL), DOM_OK);
    assert_int_equal(owed_count(t), 0);
    part_at(t, 1, SUBJECT_PART_POLICY, have);
    for (uint16_t i = 2; i <= 4; i++) {
      part_at(t, i, SUBJECT_PART_POLICY, other);
      assert_string_equal(other, have);
    }
    if (code == DOM_OK) assert_string_equal(have, "deny");
    if (have[0])
      finished++;
    else
      undone++;
    finish(t);
  }
  assert_true(finished > 0 && undone > 0); /* or the kills fell all on one side */
}

/* Messages are lost, answers are lost, requests come twice and late. */
static void test_lost_messages(void **state) {
  (void)state;
  unsigned refused = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct test_regions *t = setup_regions(seed);
    char want[16];
    net_sim_chances(t->net, 200, 200, 200);
    for (unsigned round = 1; round <= 6; round++) {
      snprintf(want, sizeof want, "%u", round);
      enum dom_code code = DOM_TIMEOUT;
      for (int tries = 0; code && tries < 200; tries++) {
        code = put_part(t, (uint16_t)(1 + round % 4), SUBJECT_PART_CORS, want, NULL);
        assert_true(code == DOM_OK || code == DOM_UNAVAILABLE || code == DOM_TIMEOUT);
        if (code) refused++;
      }
      assert_int_equal(code, DOM_OK);
      assert_everywhere(t, SUBJECT_PART_CORS, want);
    }
    net_sim_chances(t->net, 0, 0, 0);
    net_sim_deliver_late(t->net); /* an old change that comes late changes nothing */
    assert_int_equal(subject_config_upkeep(t->region[REGISTRAR].subjects, NULL), DOM_OK);
    assert_everywhere(t, SUBJECT_PART_CORS, want);
    finish(t);
  }
  assert_true(refused > 0);
}

/* A deletion that is rolled back leaves the configuration; a bucket made anew has none. */
static void test_deletion(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  struct subject_who who;
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL), DOM_OK);
  assert_int_equal(
      subject_register(t->region[1].subjects, SLICE_LIT("phones-inc"), SLICE_LIT("asha"), "IN", &who, NULL),
      DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  assert_int_equal(subject_bucket_delete(t->region[3].subjects, PHONES, NULL), DOM_BUSY);
  assert_everywhere(t, SUBJECT_PART_POLICY, "deny");
  assert_int_equal(region_delete(t, 1, "asha", "a"), DOM_OK);
  assert_int_equal(subject_bucket_delete(t->region[3].subjects, PHONES, NULL), DOM_OK);
  regions_bucket(t);
  assert_everywhere(t, SUBJECT_PART_POLICY, "");
  finish(t);
}

/* Only the registrar may say it; nonsense and what is cut short change nothing. */
static void test_messages(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(7);
  BUF_AUTO reply = BUF_INIT;
  BUF_AUTO bytes = BUF_INIT;
  struct store_view *v = NULL;
  struct bucket_state k;
  assert_int_equal(put_part(t, 1, SUBJECT_PART_POLICY, "deny", NULL), DOM_OK);
  assert_int_equal(store_view_open(t->region[REGISTRAR].store, &v, NULL), DOM_OK);
  assert_int_equal(registry_state(v, PHONES, NULL, &bytes, NULL), DOM_OK);
  store_view_close(v);
  struct subjects *s = t->region[3].subjects;
  assert_int_equal(subject_message(s, 1, "bucket/set", buf_slice(&bytes), &reply, NULL), DOM_DENIED);
  assert_int_equal(subject_message(s, 2, "bucket/set", buf_slice(&bytes), &reply, NULL), DOM_OK);
  for (size_t n = 0; n < bytes.len; n++)
    assert_int_not_equal(
        subject_message(s, 2, "bucket/set", slice_cut(buf_slice(&bytes), 0, n), &reply, NULL), DOM_OK);
  assert_int_equal(bucket_state_decode(buf_slice(&bytes), &k, NULL), DOM_OK);
  bytes.data[bytes.len - strlen("deny") - 4 - 1] ^= 2; /* the part's number: not what the row says */
  assert_int_equal(bucket_state_decode(buf_slice(&bytes), &k, NULL), DOM_CORRUPT);
  static const char *const PATHS[] = {"registry/config", "registry/behind"};
  for (size_t i = 0; i < 2; i++) {
    assert_int_not_equal(
        subject_message(t->region[2].subjects, 1, PATHS[i], SLICE_LIT("garbage"), &reply, NULL), DOM_OK);
    assert_int_equal(subject_message(s, 1, PATHS[i], SLICE_LIT("garbage"), &reply, NULL), DOM_DENIED);
  }
  finish(t);
}

/* Rows of before there were configurations are read as such. */
static void test_old_row(void **state) {
  (void)state;
  struct subject_bucket k = {
      .name = "phones", .owner = "a", .region = 1, .state = BUCKET_ACTIVE, .version = 3};
  struct subject_bucket back;
  BUF_AUTO row = BUF_INIT;
  bucket_encode(&row, &k);
  assert_int_equal(row.data[0], 2);
  assert_int_equal(bucket_decode(buf_slice(&row), &back, NULL), DOM_OK);
  row.data[0] = 1;
  assert_int_equal(bucket_decode(buf_slice(&row), &back, NULL), DOM_CORRUPT);
  assert_int_equal(bucket_decode(slice_cut(buf_slice(&row), 0, row.len - 13), &back, NULL), DOM_OK);
  assert_int_equal(back.version, 3);
  assert_int_equal(back.config_version, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_in_force_everywhere),
      cmocka_unit_test(test_legal_changes),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_no_registrar),
      cmocka_unit_test(test_restart_of_a_region),
      cmocka_unit_test(test_guard),
      cmocka_unit_test(test_registrar_killed),
      cmocka_unit_test(test_lost_messages),
      cmocka_unit_test(test_deletion),
      cmocka_unit_test(test_messages),
      cmocka_unit_test(test_old_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
