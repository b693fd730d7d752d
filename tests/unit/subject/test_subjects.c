/* Registration, homes, buckets, the charter in force and statements, between whole regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};

static struct test_regions *setup_regions(int charter) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  assert_non_null(t);
  regions_open(t, 4, 7, charter);
  return t;
}

static void finish(struct test_regions *t) {
  regions_close(t);
  dom_free(t);
}

static void test_register(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  struct dom_err err = {0};
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, &err),
                   DOM_OK);
  assert_int_equal(who.where, SUBJECT_HERE);
  assert_int_equal(who.epoch, 1);
  /* again, the same country; then another one */
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "CN", &who, NULL),
                   DOM_ELSEWHERE);
  assert_int_equal(
      subject_register_anywhere(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "US", &who, NULL),
      DOM_EXISTS);
  /* a region that is not her home learns it from the registrar */
  assert_int_equal(region_who(t, 4, "asha", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_ELSEWHERE);
  assert_int_equal(who.home, 1);
  assert_int_equal(region_who(t, 3, "nobody", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_UNREGISTERED);
  /* from a region that is not home */
  assert_int_equal(subject_register(t->region[2].subjects, TENANT, SLICE_LIT("ravi"), "IN", &who, NULL),
                   DOM_ELSEWHERE);
  assert_int_equal(who.home, 1);
  assert_int_equal(
      subject_register_anywhere(t->region[2].subjects, TENANT, SLICE_LIT("ravi"), "IN", &who, NULL), DOM_OK);
  assert_int_equal(region_who(t, 1, "ravi", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_HERE);
  finish(t);
}

static void test_bad_registrations(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT(""), "IN", &who, NULL),
                   DOM_INVALID);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("a/b"), "IN", &who, NULL),
                   DOM_INVALID);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("a"), "QQ", &who, NULL),
                   DOM_INVALID);
  /* without the registrar nobody is registered, and nothing is half done */
  net_sim_cut(t->net, 1, 2, true);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_UNAVAILABLE);
  assert_int_equal(region_who(t, 1, "asha", &who), DOM_UNAVAILABLE);
  net_sim_cut(t->net, 1, 2, false);
  assert_int_equal(region_who(t, 1, "asha", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_UNREGISTERED);
  finish(t);
}

/* The registrar's answer is lost, or the home dies, between the two halves of a registration. */
static void test_half_registration(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  net_sim_chances(t->net, 0, 1000, 0);
  assert_int_not_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                       DOM_OK);
  net_sim_chances(t->net, 0, 0, 0);
  assert_int_equal(region_who(t, 1, "asha", &who), DOM_RETRY); /* the row is made now */
  assert_int_equal(region_who(t, 1, "asha", &who), DOM_OK);
  assert_int_equal(who.where, SUBJECT_HERE);
  finish(t);
}

static void test_restart(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  regions_bucket(t);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "photos/1", "hello"), DOM_OK);
  for (uint16_t i = 1; i <= 4; i++) {
    region_stop(t, i);
    disk_sim_power_cut(t->region[i].disk);
    assert_int_equal(region_start(t, i, NULL), DOM_OK);
  }
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(t, 1, "asha", "photos/1", &out), DOM_OK);
  assert_true(slice_equal(buf_slice(&out), SLICE_LIT("hello")));
  struct charter *c = subject_charter(t->region[1].subjects);
  assert_int_equal(charter_version(c), 1);
  charter_release(c);
  finish(t);
}

static void test_buckets(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  regions_bucket(t);
  struct subject_bucket have, want = {.region = 1};
  snprintf(want.name, sizeof want.name, "phones");
  snprintf(want.owner, sizeof want.owner, "somebody-else");
  assert_int_equal(subject_bucket_create(t->region[3].subjects, &want, &have, NULL), DOM_EXISTS);
  assert_string_equal(have.owner, "phones-inc");
  assert_int_equal(subject_bucket_delete(t->region[4].subjects, SLICE_LIT("none"), NULL), DOM_NOT_FOUND);
  /* not empty somewhere: stays, and takes writes again */
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  assert_int_equal(subject_bucket_delete(t->region[3].subjects, SLICE_LIT("phones"), NULL), DOM_BUSY);
  assert_int_equal(region_put(t, 1, "asha", "b", "2"), DOM_OK);
  assert_int_equal(region_delete(t, 1, "asha", "a"), DOM_OK);
  assert_int_equal(region_delete(t, 1, "asha", "b"), DOM_OK);
  /* a region that does not answer: stays */
  net_sim_cut(t->net, 2, 4, true);
  assert_int_equal(subject_bucket_delete(t->region[3].subjects, SLICE_LIT("phones"), NULL), DOM_UNAVAILABLE);
  net_sim_cut(t->net, 2, 4, false);
  assert_int_equal(region_put(t, 1, "asha", "c", "3"), DOM_OK);
  assert_int_equal(region_delete(t, 1, "asha", "c"), DOM_OK);
  assert_int_equal(subject_bucket_delete(t->region[3].subjects, SLICE_LIT("phones"), NULL), DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "d", "4"), DOM_NOT_FOUND);
  /* the name is free, and shows nothing old */
  regions_bucket(t);
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(t, 1, "asha", "b", &out), DOM_NOT_FOUND);
  finish(t);
}

/* The registrar dies in the middle of a deletion: upkeep rolls it back. */
static void test_stuck_deletion(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  regions_bucket(t);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  disk_sim_cut_after(t->region[2].disk, 2); /* the registrar's store: DELETING gets through, not much more */
  assert_int_not_equal(subject_bucket_delete(t->region[2].subjects, SLICE_LIT("phones"), NULL), DOM_OK);
  region_stop(t, 2);
  disk_sim_power_on(t->region[2].disk);
  assert_int_equal(region_start(t, 2, NULL), DOM_OK);
  assert_int_equal(subject_upkeep(t->region[2].subjects, NULL), DOM_OK);
  assert_int_equal(region_put(t, 1, "asha", "a", "1"), DOM_OK);
  finish(t);
}

static void test_charters(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_who who;
  regions_bucket(t);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  regions_charter(t, 2, &yaml);
  uint8_t other[ED25519_KEY_SIZE];
  random_bytes(other, sizeof other);
  charter_sign(buf_slice(&yaml), other, &signature);
  assert_int_equal(
      subject_charter_put(t->region[1].subjects, buf_slice(&yaml), buf_slice(&signature), false, NULL),
      DOM_DENIED);
  assert_int_equal(regions_force(t, 2, false), DOM_OK);
  assert_int_equal(regions_force(t, 2, false), DOM_OK); /* the same once more */
  /* an older one is refused, forced or not */
  assert_int_not_equal(regions_force(t, 1, true), DOM_OK);
  /* under 2 an Indian already at home in cn is served there in full, but nobody new is homed there */
  assert_int_equal(region_put(t, 1, "asha", "photos/1", "x"), DOM_OK);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("ravi"), "IN", &who, NULL),
                   DOM_ELSEWHERE);
  assert_int_equal(who.home, 2);
  finish(t);
}

static void test_statements(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  struct subject_statement st = {.from = 1, .to = 2, .epoch_from = 1, .epoch = 2, .country = "IN"}, back;
  BUF_AUTO bytes = BUF_INIT;
  subject_statement_sign(t->region[1].subjects, &st, &bytes);
  assert_int_equal(subject_statement_check(t->region[4].subjects, buf_slice(&bytes), &back, NULL), DOM_OK);
  assert_int_equal(back.epoch, 2);
  for (size_t bit = 0; bit < bytes.len * 8; bit++) {
    bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(subject_statement_check(t->region[4].subjects, buf_slice(&bytes), &back, NULL),
                     DOM_DENIED);
    bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  /* the registrar takes it only from the home on record, and only upwards */
  struct subject_who who;
  assert_int_equal(subject_report_moved(t->region[2].subjects, buf_slice(&bytes), NULL), DOM_NOT_FOUND);
  assert_int_equal(subject_register(t->region[1].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  memcpy(st.token, who.token, TOKEN_SIZE);
  struct subject_statement stolen = st;
  stolen.from = 3;
  buf_reset(&bytes);
  subject_statement_sign(t->region[3].subjects, &stolen, &bytes);
  assert_int_equal(subject_report_moved(t->region[2].subjects, buf_slice(&bytes), NULL), DOM_DENIED);
  buf_reset(&bytes);
  subject_statement_sign(t->region[1].subjects, &st, &bytes);
  assert_int_equal(subject_report_moved(t->region[4].subjects, buf_slice(&bytes), NULL), DOM_OK);
  assert_int_equal(subject_report_moved(t->region[4].subjects, buf_slice(&bytes), NULL), DOM_OK); /* twice */
  assert_int_equal(region_who(t, 3, "asha", &who), DOM_OK);
  assert_int_equal(who.home, 2);
  finish(t);
}

static void test_messages(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  BUF_AUTO reply = BUF_INIT;
  static const char *const PATHS[] = {"registrar/find",   "registrar/create",
                                      "registrar/moved",  "registrar/country",
                                      "registry/create",  "registry/find",
                                      "registry/delete",  "bucket/set",
                                      "bucket/used",      "bucket/drop",
                                      "subject/register", "subject/country",
                                      "subject/other",    "other"};
  for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++)
    assert_int_not_equal(
        subject_message(t->region[2].subjects, 1, PATHS[i], SLICE_LIT("garbage"), &reply, NULL), DOM_OK);
  /* only the registrar may change buckets elsewhere; only the registrar answers as one */
  assert_int_equal(
      subject_message(t->region[3].subjects, 1, "bucket/used", SLICE_LIT("0123456789abcdef"), &reply, NULL),
      DOM_DENIED);
  assert_int_equal(subject_message(t->region[3].subjects, 1, "registrar/find", SLICE_LIT("x"), &reply, NULL),
                   DOM_DENIED);
  finish(t);
}

static void test_gate(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  uint8_t token[TOKEN_SIZE] = {1}, other[TOKEN_SIZE] = {2};
  struct subjects *s = t->region[1].subjects;
  assert_int_equal(subject_gate_enter(s, token, 1), SUBJECT_GATE_OPEN);
  assert_false(subject_gate_close(s, token, 1)); /* somebody is inside */
  assert_int_equal(subject_gate_enter(s, token, 1), SUBJECT_GATE_TIMEOUT);
  assert_int_equal(subject_gate_enter(s, other, 1), SUBJECT_GATE_OPEN);
  subject_gate_leave(s, other);
  subject_gate_leave(s, token);
  assert_true(subject_gate_close(s, token, 1));
  subject_gate_open(s, token);
  assert_int_equal(subject_gate_enter(s, token, 1), SUBJECT_GATE_OPEN);
  subject_gate_leave(s, token);
  subject_gate_slow(s, token, UINT32_MAX); /* slowed, not turned away */
  assert_int_equal(subject_gate_enter(s, token, 1), SUBJECT_GATE_OPEN);
  subject_gate_leave(s, token);
  assert_true(subject_gate_close(s, token, 1));
  assert_int_equal(subject_gate_enter(s, token, 1), SUBJECT_GATE_TIMEOUT);
  subject_gate_open(s, token);
  assert_int_equal(subject_gate_enter(s, token, UINT32_MAX), SUBJECT_GATE_OPEN); /* at its own speed */
  subject_gate_leave(s, token);
  finish(t);
}

/* With another route key everybody's data would seem gone. */
static void test_wrong_route_key(void **state) {
  (void)state;
  struct test_regions *t = setup_regions(1);
  regions_bucket(t);
  region_stop(t, 1);
  t->route_key[7] ^= 1;
  assert_int_equal(region_start(t, 1, NULL), DOM_DENIED);
  region_stop(t, 1);
  t->route_key[7] ^= 1;
  assert_int_equal(region_start(t, 1, NULL), DOM_OK);
  finish(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_register),          cmocka_unit_test(test_bad_registrations),
      cmocka_unit_test(test_half_registration), cmocka_unit_test(test_restart),
      cmocka_unit_test(test_buckets),           cmocka_unit_test(test_stuck_deletion),
      cmocka_unit_test(test_charters),          cmocka_unit_test(test_statements),
      cmocka_unit_test(test_messages),          cmocka_unit_test(test_gate),
      cmocka_unit_test(test_wrong_route_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
