/* The three charters of the story, as they stand in deploy/charters. */
#include "charter_testing.h"

static const uint16_t CN = 1, SG = 2, US = 3, IN = 4; /* region numbers */
static const uint8_t token[TOKEN_SIZE] = {9};
/* `date -u -d 2026-11-22 +%s`, and the end of 2035-12-31: `date -u -d 2036-01-01 +%s`. */
static const uint64_t now_ms = UINT64_C(1795305600000), leave_end_ms = UINT64_C(2082758400000);

static struct charter *load(const char *name) {
  BUF_AUTO path = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  buf_printf(&path, "%s/%s", CHARTERS_DIR, name);
  FILE *f = fopen(buf_str(&path), "rb");
  assert_non_null(f);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) buf_append(&text, part, n);
  fclose(f);
  return parse_text(buf_str(&text));
}

struct story {
  struct charter *c[4]; /* 1, 2, 3 */
};

static int setup(void **state) {
  static struct story s;
  s.c[1] = load("1-2014-beijing.yaml");
  s.c[2] = load("2-singapore-and-us.yaml");
  s.c[3] = load("3-india.yaml");
  *state = &s;
  return 0;
}

static int teardown(void **state) {
  struct story *s = *state;
  for (int i = 1; i <= 3; i++) charter_release(s->c[i]);
  return 0;
}

/* One request on an object of an Indian. NULL: a permit; else the clause that refuses. */
static const char *ask(const struct charter *c, enum permit_action action, uint16_t home, uint16_t gateway,
                       const char *key, uint64_t at_ms) {
  static struct charter_refusal refusal;
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct charter_intent intent = {.action = action,
                                  .token = token,
                                  .country = "IN",
                                  .region = home,
                                  .gateway = gateway,
                                  .classes = charter_class_bit(charter_class_of(c, slice_str(key))),
                                  .at_home = true,
                                  .destroys_created_ms = CHARTER_DESTROYS_NOTHING};
  enum dom_code code = charter_decide(c, &intent, at_ms, &storage, &permit, &refusal);
  assert_true(code == DOM_OK || code == DOM_REFUSED);
  return code == DOM_OK ? NULL : refusal.clause;
}

static const char photo[] = "u17/photos/1.jpg", contact[] = "u17/contacts/1.vcf";

static void test_2014(void **state) {
  const struct charter *c = ((struct story *)*state)->c[1];
  const struct charter_region *home;
  assert_int_equal(charter_home_for(c, "IN", &home, NULL), DOM_OK);
  assert_int_equal(home->number, CN);
  assert_string_equal(charter_registrar(c)->name, "sg");
  assert_null(ask(c, PERMIT_STORE, CN, CN, photo, now_ms));
  assert_null(ask(c, PERMIT_STORE, CN, SG, contact, now_ms));
  assert_null(ask(c, PERMIT_READ, CN, IN, contact, now_ms));
  assert_int_equal(charter_subject_fits(c, "IN", IN, 0, NULL), DOM_REFUSED);
}

static void test_second(void **state) {
  const struct charter *c = ((struct story *)*state)->c[2];
  struct charter_refusal refusal;
  /* still at home in Beijing, served in full until the date */
  assert_null(ask(c, PERMIT_STORE, CN, CN, contact, now_ms));
  assert_null(ask(c, PERMIT_STORE, CN, CN, contact, leave_end_ms - 1));
  assert_string_equal(ask(c, PERMIT_STORE, CN, CN, contact, leave_end_ms), "rules.IN.leave.cn");
  assert_null(ask(c, PERMIT_READ, CN, CN, contact, leave_end_ms));
  assert_int_equal(charter_home_standing(c, "IN", CN, 0, now_ms, &refusal), CHARTER_STANDING_LEAVING);
  assert_int_equal(charter_home_standing(c, "IN", CN, 0, leave_end_ms, &refusal), CHARTER_STANDING_OVERDUE);
  /* moved: what passes through Beijing's gateway, and what does not */
  assert_null(ask(c, PERMIT_TRANSIT, SG, CN, photo, now_ms));
  assert_null(ask(c, PERMIT_STORE, US, CN, photo, now_ms));
  assert_string_equal(ask(c, PERMIT_TRANSIT, SG, CN, contact, now_ms), "rules.IN.restricted.transit");
  assert_string_equal(ask(c, PERMIT_READ, US, CN, contact, now_ms), "rules.IN.restricted.read");
  assert_string_equal(ask(c, PERMIT_LIST, US, CN, contact, now_ms), "rules.IN.restricted.read");
  /* where they may move */
  assert_int_equal(charter_subject_fits(c, "IN", SG, 0, NULL), DOM_OK);
  assert_int_equal(charter_subject_fits(c, "IN", US, 0, NULL), DOM_OK);
  assert_int_equal(charter_subject_fits(c, "IN", CN, 0, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules.IN.leave.cn");
  assert_int_equal(charter_subject_fits(c, "IN", IN, 0, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules.IN.restricted.store");
}

static void test_third(void **state) {
  const struct charter *c = ((struct story *)*state)->c[3];
  const struct charter_region *home;
  assert_int_equal(charter_home_for(c, "IN", &home, NULL), DOM_OK);
  assert_int_equal(home->number, IN);
  assert_null(ask(c, PERMIT_STORE, SG, SG, contact, now_ms));
  assert_null(ask(c, PERMIT_STORE, IN, IN, contact, now_ms));
  assert_null(ask(c, PERMIT_READ, IN, CN, photo, now_ms));
  for (uint16_t gateway = CN; gateway <= US; gateway++) {
    assert_string_equal(ask(c, PERMIT_READ, IN, gateway, contact, now_ms), "rules.IN.restricted.read");
    assert_string_equal(ask(c, PERMIT_STORE, IN, gateway, contact, now_ms), "rules.IN.restricted.transit");
    assert_string_equal(ask(c, PERMIT_DELETE, IN, gateway, contact, now_ms), "rules.IN.restricted.transit");
    assert_int_equal(charter_subject_fits(c, "IN", gateway, 0, NULL), DOM_REFUSED);
    assert_false(charter_forbids_home(c, "IN", gateway, now_ms, NULL));
  }
  assert_int_equal(charter_subject_fits(c, "IN", IN, 0, NULL), DOM_OK);
}

/* A copy needs two permits: the source's rule has a say on where the copy lies. */
static void test_copy(void **state) {
  const struct charter *c = ((struct story *)*state)->c[3];
  struct charter_permit_storage storage;
  const struct permit *permit = NULL;
  struct charter_refusal refusal;
  struct charter_intent intent = {.action = PERMIT_COPY,
                                  .token = token,
                                  .country = "IN",
                                  .region = IN,
                                  .gateway = IN,
                                  .target = US,
                                  .at_home = true,
                                  .classes = 1};
  assert_int_equal(charter_decide(c, &intent, now_ms, &storage, &permit, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules.IN.leave.us");
  intent.target = IN;
  assert_int_equal(charter_decide(c, &intent, now_ms, &storage, &permit, &refusal), DOM_OK);
  assert_true(permit_covers(permit, PERMIT_COPY, IN, token));
  assert_false(permit_covers(permit, PERMIT_STORE, IN, token));
}

static void test_one_follows_the_other(void **state) {
  const struct story *s = *state;
  struct charter_refusal refusal;
  for (int old = 1; old <= 3; old++)
    for (int next = 1; next <= 3; next++)
      assert_int_equal(charter_check_successor(s->c[old], s->c[next], NULL),
                       old < next ? DOM_OK : DOM_INCOMPATIBLE);
  /* from 1 straight to 3 leaves nobody homeless either; a forbidden home without a date is told */
  assert_false(charter_forbids_home(s->c[2], "IN", CN, now_ms, &refusal));
  assert_true(charter_forbids_home(s->c[1], "IN", SG, now_ms, &refusal));
  assert_string_equal(refusal.clause, "rules.IN.restricted.store");
}

static void test_diff(void **state) {
  const struct story *s = *state;
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(charter_diff(s->c[1], s->c[2], &out, NULL), DOM_OK);
  assert_string_equal(buf_str(&out), "~ charter: 1 -> 2\n"
                                     "~ rules.IN.home: cn -> sg\n"
                                     "+ rules.IN.leave.cn: 2035-12-31\n"
                                     "~ rules.IN.personal.store: [CN] -> [SG, US]\n"
                                     "~ rules.IN.restricted.read: any -> [SG, US]\n"
                                     "~ rules.IN.restricted.store: [CN] -> [SG, US]\n"
                                     "~ rules.IN.restricted.transit: any -> [SG, US]\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_2014),
      cmocka_unit_test(test_second),
      cmocka_unit_test(test_third),
      cmocka_unit_test(test_copy),
      cmocka_unit_test(test_one_follows_the_other),
      cmocka_unit_test(test_diff),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
