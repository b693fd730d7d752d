/* Every decision over 2 regions, 3 classes, 3 jurisdictions, against an oracle that shares nothing
 * with the room: it works on the sets the charters are printed from. */
#include "charter_testing.h"

enum { CLASSES = 3, KINDS = 3, PLACES = 3, SETS = 1 << PLACES, COMBINATIONS = SETS * SETS * SETS };
enum { STORE, READ, TRANSIT };
enum leave { LEAVE_NONE, LEAVE_OTHER, LEAVE_COUNT };

static const char *const place_names[PLACES] = {"IN", "CN", "SG"};
static const char *const class_names[CLASSES] = {"red", "blue", "rest"};
static const char *const kind_names[KINDS] = {"store", "read", "transit"};
static const uint8_t token[TOKEN_SIZE] = {1, 2, 3};

/* 2026-06-15 and its neighbours: `date -u -d 2026-06-16 +%s` */
static const uint64_t leave_end_ms = UINT64_C(1781568000000);

struct world {
  unsigned place[2];             /* jurisdiction of regions a (number 10) and b (number 20) */
  unsigned home;                 /* 0 or 1 */
  enum leave leave;              /* of the region that is not home */
  unsigned sets[CLASSES][KINDS]; /* bit p: jurisdiction p is listed */
};

static void print_set(struct buf *out, unsigned set) {
  if (set == SETS - 1) {
    buf_append_str(out, "any");
    return;
  }
  const char *separator = "";
  buf_append_str(out, "[");
  for (unsigned p = 0; p < PLACES; p++) {
    if (!(set >> p & 1)) continue;
    buf_printf(out, "%s%s", separator, place_names[p]);
    separator = ", ";
  }
  buf_append_str(out, "]");
}

static void print_world(struct buf *out, const struct world *w) {
  static const char *const vkeys[2] = {VKEY_A, VKEY_B};
  buf_append_str(out, "charter: 7\norganization: o\nregistrars: [a]\nregions:\n");
  for (unsigned r = 0; r < 2; r++)
    buf_printf(out, "  %c: {number: %u, jurisdiction: %s, endpoint: \"http://h%u\", vkey: \"%s\"}\n", "ab"[r],
               10 * (r + 1), place_names[w->place[r]], r, vkeys[r]);
  buf_append_str(out,
                 "classes: {red: {keys: [\"r/**\"]}, blue: {keys: [\"b/**\"]}, rest: {}}\nrules:\n  IN:\n");
  buf_printf(out, "    home: %c\n", "ab"[w->home]);
  for (unsigned c = 0; c < CLASSES; c++) {
    buf_printf(out, "    %s: {", class_names[c]);
    for (unsigned k = 0; k < KINDS; k++) {
      buf_printf(out, "%s%s: ", k ? ", " : "", kind_names[k]);
      print_set(out, w->sets[c][k]);
    }
    buf_append_str(out, "}\n");
  }
  if (w->leave == LEAVE_OTHER) buf_printf(out, "    leave: {%c: 2026-06-15}\n", "ab"[!w->home]);
}

struct probe {
  enum permit_action action;
  unsigned region, gateway, target; /* 0, 1 */
  bool at_home;
  unsigned mask;
  uint64_t now_ms;
};

/* ---- the oracle: NULL for yes, else the clause expected ---------------------------------------- */

static const char *oracle_sets(const struct world *w, unsigned kind, unsigned region, unsigned mask) {
  static char clause[64];
  for (unsigned c = 0; c < CLASSES; c++)
    if ((mask >> c & 1) && !(w->sets[c][kind] >> w->place[region] & 1)) {
      snprintf(clause, sizeof clause, "rules.IN.%s.%s", class_names[c], kind_names[kind]);
      return clause;
    }
  return NULL;
}

static const char *oracle_place(const struct world *w, const struct probe *p, unsigned region,
                                bool lives_there) {
  bool leaving = w->leave == LEAVE_OTHER && region != w->home;
  if (leaving && lives_there && p->now_ms < leave_end_ms) return NULL;
  if (leaving) return region == 0 ? "rules.IN.leave.a" : "rules.IN.leave.b";
  return oracle_sets(w, STORE, region, p->mask);
}

static const char *oracle(const struct world *w, const struct probe *p) {
  const char *clause = NULL;
  bool leaving_here = w->leave == LEAVE_OTHER && p->region != w->home && p->at_home;
  switch (p->action) {
  case PERMIT_REPAIR:
    return NULL;
  case PERMIT_MOVE:
    return oracle_place(w, p, p->region, false);
  case PERMIT_STORE:
    clause = oracle_place(w, p, p->region, p->at_home);
    break;
  case PERMIT_COPY:
    clause = oracle_place(w, p, p->target, p->at_home && p->target == p->region);
    break;
  case PERMIT_READ:
  case PERMIT_LIST:
    if (leaving_here && p->gateway == p->region) return NULL;
    clause = oracle_sets(w, READ, p->gateway, p->mask);
    break;
  default:
    break;
  }
  if (!clause && p->gateway != p->region) clause = oracle_sets(w, TRANSIT, p->gateway, p->mask);
  return clause;
}

static bool oracle_valid(const struct world *w) {
  for (unsigned c = 0; c < CLASSES; c++)
    if (!(w->sets[c][STORE] >> w->place[w->home] & 1)) return false;
  return true;
}

/* ---- the comparison -------------------------------------------------------------------------------- */

static struct charter_intent intent_of(const struct probe *p) {
  return (struct charter_intent){
      .action = p->action,
      .token = token,
      .country = "IN",
      .region = (uint16_t)(10 * (p->region + 1)),
      .gateway =
          (uint16_t)(p->action == PERMIT_MOVE || p->action == PERMIT_REPAIR ? 0 : 10 * (p->gateway + 1)),
      .source = (uint16_t)(p->action == PERMIT_MOVE ? 10 * (2 - p->region) : 0),
      .target = (uint16_t)(p->action == PERMIT_COPY ? 10 * (p->target + 1) : 0),
      .classes = p->mask,
      .at_home = p->at_home && p->action != PERMIT_MOVE,
      .destroys_created_ms = CHARTER_DESTROYS_NOTHING};
}

static void check_probe(const struct charter *c, const struct world *w, const struct probe *p) {
  struct charter_intent intent = intent_of(p);
  struct charter_permit_storage storage;
  struct charter_refusal refusal = {0};
  const struct permit *permit = NULL;
  const char *expected = oracle(w, p);
  enum dom_code code = charter_decide(c, &intent, p->now_ms, &storage, &permit, &refusal);
  if (expected) {
    assert_int_equal(code, DOM_REFUSED);
    assert_null(permit);
    assert_string_equal(refusal.clause, expected);
    assert_int_equal(refusal.version, 7);
    assert_true(strlen(refusal.why) > 10);
  } else {
    assert_int_equal(code, DOM_OK);
    assert_true(permit_covers(permit, p->action, intent.region, token));
  }
  if (p->action != PERMIT_MOVE) return;
  struct charter_refusal fits_refusal = {0};
  assert_int_equal(charter_subject_fits(c, "IN", intent.region, p->mask, &fits_refusal), code);
  assert_string_equal(fits_refusal.clause, refusal.clause);
}

static void check_standing(const struct charter *c, const struct world *w, const struct probe *p) {
  enum charter_standing expected =
      oracle_sets(w, STORE, p->region, p->mask) ? CHARTER_STANDING_FORBIDDEN : CHARTER_STANDING_GOOD;
  if (w->leave == LEAVE_OTHER && p->region != w->home)
    expected = p->now_ms < leave_end_ms ? CHARTER_STANDING_LEAVING : CHARTER_STANDING_OVERDUE;
  struct charter_refusal refusal = {0};
  uint16_t number = (uint16_t)(10 * (p->region + 1));
  assert_int_equal(charter_home_standing(c, "IN", number, p->mask, p->now_ms, &refusal), expected);
  assert_int_equal(refusal.clause[0] == 0, expected == CHARTER_STANDING_GOOD);
  if (p->mask == (1 << CLASSES) - 1)
    assert_int_equal(charter_forbids_home(c, "IN", number, p->now_ms, NULL),
                     expected == CHARTER_STANDING_FORBIDDEN);
}

static unsigned probe_world(const struct charter *c, const struct world *w) {
  unsigned probes = 0;
  for (unsigned bits = 0; bits < 32; bits++)
    for (unsigned action = 0; action < PERMIT_ACTION_COUNT; action++)
      for (unsigned mask = 1; mask < 1 << CLASSES; mask++) {
        struct probe p = {
            (enum permit_action)action,    bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1, mask,
            leave_end_ms - (bits >> 4 & 1)};
        bool target_matters = p.action == PERMIT_COPY;
        if (p.action == PERMIT_TRANSIT && p.gateway == p.region) continue;
        if (!target_matters && p.target == 1) continue;
        check_probe(c, w, &p);
        check_standing(c, w, &p);
        probes++;
      }
  return probes;
}

/* All sets for class red; the other two walk through all of theirs at other paces. */
static struct world world_of(unsigned combination, unsigned places, unsigned home, enum leave leave) {
  struct world w = {.place = {places / PLACES, places % PLACES}, .home = home, .leave = leave};
  unsigned walks[CLASSES] = {combination, (combination * 7 + 3) % COMBINATIONS,
                             (combination * 13 + 5) % COMBINATIONS};
  for (unsigned c = 0; c < CLASSES; c++) {
    w.sets[c][STORE] = walks[c] % SETS;
    w.sets[c][READ] = walks[c] / SETS % SETS;
    w.sets[c][TRANSIT] = walks[c] / SETS / SETS;
    if (c > 0) w.sets[c][STORE] |= 1U << w.place[home];
  }
  return w;
}

static void test_exhaustive(void **state) {
  (void)state;
  unsigned valid = 0, invalid = 0, probes = 0;
  BUF_AUTO text = BUF_INIT;
  for (unsigned combination = 0; combination < COMBINATIONS; combination++)
    for (unsigned places = 0; places < PLACES * PLACES; places++)
      for (unsigned variant = 0; variant < 2 * LEAVE_COUNT; variant++) {
        struct world w = world_of(combination, places, variant % 2, (enum leave)(variant / 2));
        buf_reset(&text);
        print_world(&text, &w);
        struct charter *c = NULL;
        enum dom_code code = charter_parse(buf_slice(&text), "world", &c, NULL);
        assert_int_equal(code, oracle_valid(&w) ? DOM_OK : DOM_INVALID);
        if (code == DOM_OK) {
          probes += probe_world(c, &w);
          valid++;
        } else {
          invalid++;
        }
        charter_release(c);
      }
  print_message("%u charters, %u refused at load, %u decisions\n", valid, invalid, probes);
  assert_int_equal(valid, 9216);
  assert_int_equal(invalid, 9216);
}

/* ---- single points ------------------------------------------------------------------------------------ */

static const char two_regions[] =
    "charter: 3\norganization: o\nregistrars: [a]\nregions:\n"
    "  a: {number: 1, jurisdiction: IN, endpoint: \"http://a\", vkey: \"" VKEY_A "\"}\n"
    "  b: {number: 2, jurisdiction: SG, endpoint: \"http://b\", vkey: \"" VKEY_B "\"}\n"
    "classes: {red: {keys: [\"r/**\"]}, rest: {}}\n"
    "rules:\n"
    "  IN:\n"
    "    home: a\n"
    "    red: {store: [IN], read: [IN], transit: []}\n"
    "    rest: {store: [IN], read: any, transit: any}\n"
    "    keep_at_least_days: 10\n";

static struct charter_intent store_intent(void) {
  return (struct charter_intent){.action = PERMIT_STORE,
                                 .token = token,
                                 .country = "IN",
                                 .region = 1,
                                 .gateway = 1,
                                 .classes = 2,
                                 .at_home = true,
                                 .destroys_created_ms = CHARTER_DESTROYS_NOTHING};
}

static enum dom_code decide(const struct charter *c, const struct charter_intent *intent, uint64_t now_ms,
                            struct charter_refusal *refusal) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  return charter_decide(c, intent, now_ms, &storage, &permit, refusal);
}

static void test_permit_covers_what_it_was_given_for(void **state) {
  (void)state;
  struct charter *c = parse_text(two_regions);
  struct charter_intent intent = store_intent();
  struct charter_permit_storage storage;
  const struct permit *permit;
  uint8_t other[TOKEN_SIZE];
  assert_int_equal(charter_decide(c, &intent, 0, &storage, &permit, NULL), DOM_OK);
  charter_release(c); /* a permit does not need its charter */
  assert_int_equal(permit_charter_version(permit), 3);
  for (unsigned action = 0; action < PERMIT_ACTION_COUNT; action++)
    assert_int_equal(permit_covers(permit, (enum permit_action)action, 1, token), action == PERMIT_STORE);
  for (unsigned region = 0; region <= UINT16_MAX; region++)
    assert_int_equal(permit_covers(permit, PERMIT_STORE, (uint16_t)region, token), region == 1);
  for (unsigned bit = 0; bit < 8 * TOKEN_SIZE; bit++) {
    memcpy(other, token, sizeof other);
    other[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_false(permit_covers(permit, PERMIT_STORE, 1, other));
  }
  assert_false(permit_covers(NULL, PERMIT_STORE, 1, token));
  /* Cleared memory is no permit, not even for what is all zeros. */
  memset(&storage, 0, sizeof storage);
  memset(other, 0, sizeof other);
  assert_false(permit_covers(permit, (enum permit_action)0, 0, other));
}

/* The source's store hands bytes out under the permit under which the target's takes them in. */
static void test_permit_to_move_covers_both_ends(void **state) {
  (void)state;
  struct charter *c = parse_text(two_regions);
  struct charter_intent intent = {
      .action = PERMIT_MOVE, .token = token, .country = "IN", .region = 1, .source = 2};
  struct charter_permit_storage storage;
  const struct permit *permit = NULL;
  assert_int_equal(charter_decide(c, &intent, 0, &storage, &permit, NULL), DOM_OK);
  for (unsigned region = 0; region <= UINT16_MAX; region++)
    assert_int_equal(permit_covers(permit, PERMIT_MOVE, (uint16_t)region, token), region == 1 || region == 2);
  assert_false(permit_covers(permit, PERMIT_STORE, 1, token));
  assert_false(permit_covers(permit, PERMIT_READ, 2, token));
  charter_release(c);
}

static void test_keep_at_least_days(void **state) {
  (void)state;
  const uint64_t day = 86400000, now = 1000 * day;
  const struct {
    uint64_t created_ms;
    enum dom_code code;
  } cases[] = {{now - 10 * day, DOM_OK},
               {now - 10 * day + 1, DOM_REFUSED},
               {now, DOM_REFUSED},
               {now + day, DOM_REFUSED},
               {0, DOM_REFUSED},
               {1, DOM_OK},
               {CHARTER_DESTROYS_NOTHING, DOM_OK}};
  struct charter *c = parse_text(two_regions);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int overwrite = 0; overwrite < 2; overwrite++) {
      struct charter_refusal refusal = {0};
      struct charter_intent intent = store_intent();
      intent.action = overwrite ? PERMIT_STORE : PERMIT_DELETE;
      intent.destroys_created_ms = cases[i].created_ms;
      assert_int_equal(decide(c, &intent, now, &refusal), cases[i].code);
      if (cases[i].code == DOM_REFUSED) assert_string_equal(refusal.clause, "rules.IN.keep_at_least_days");
    }
  charter_release(c);
}

static void test_unknown_places_and_countries(void **state) {
  (void)state;
  struct charter *c = parse_text(two_regions);
  struct charter_refusal refusal = {0};
  struct charter_intent intent = store_intent();
  const struct charter_region *home = NULL;
  memcpy(intent.country, "FR", 3);
  assert_int_equal(decide(c, &intent, 0, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules");
  assert_int_equal(charter_home_for(c, "FR", &home, &refusal), DOM_REFUSED);
  assert_int_equal(charter_home_for(c, "", &home, NULL), DOM_REFUSED);
  assert_int_equal(charter_home_for(c, "XX", &home, NULL), DOM_INVALID);
  assert_int_equal(charter_home_for(c, "in", &home, NULL), DOM_INVALID);
  assert_null(home);
  assert_int_equal(charter_home_for(c, "IN", &home, NULL), DOM_OK);
  assert_string_equal(home->name, "a");
  intent = store_intent();
  intent.gateway = 7;
  assert_int_equal(decide(c, &intent, 0, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "regions");
  intent = store_intent();
  intent.region = 7;
  assert_int_equal(decide(c, &intent, 0, &refusal), DOM_REFUSED);
  intent.action = PERMIT_REPAIR;
  assert_int_equal(decide(c, &intent, 0, &refusal), DOM_REFUSED);
  assert_int_equal(charter_home_standing(c, "IN", 7, 0, 0, &refusal), CHARTER_STANDING_FORBIDDEN);
  assert_int_equal(charter_home_standing(c, "FR", 1, 0, 0, &refusal), CHARTER_STANDING_FORBIDDEN);
  charter_release(c);
}

/* An empty subject may get an object of any class tomorrow, so a move asks for all of them. */
static void test_move_of_nothing_asks_every_class(void **state) {
  (void)state;
  struct charter *c = parse_text(two_regions);
  struct charter_refusal refusal = {0};
  assert_int_equal(charter_subject_fits(c, "IN", 1, 0, &refusal), DOM_OK);
  assert_int_equal(charter_subject_fits(c, "IN", 2, 0, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules.IN.red.store");
  assert_non_null(strstr(refusal.why, "red"));
  assert_int_equal(charter_subject_fits(c, "IN", 2, 2, &refusal), DOM_REFUSED);
  assert_string_equal(refusal.clause, "rules.IN.rest.store");
  assert_int_equal(charter_subject_fits(c, "IN", 2, 8, &refusal), DOM_INVALID);
  charter_release(c);
}

static void test_mistakes_are_no_refusals(void **state) {
  (void)state;
  struct charter *c = parse_text(two_regions);
  struct charter_intent good = store_intent(), bad[12];
  for (size_t i = 0; i < 12; i++) bad[i] = good;
  bad[0].classes = 0;
  bad[1].classes = 4;
  bad[2].gateway = 0;
  bad[3].region = 0;
  memcpy(bad[4].country, "ZZ", 3);
  bad[5].action = PERMIT_TRANSIT; /* gateway is home */
  bad[6].action = PERMIT_COPY;    /* no target */
  bad[7].action = PERMIT_MOVE;    /* at home there */
  bad[8].action = PERMIT_MOVE;
  bad[8].at_home = false; /* no source */
  bad[9].action = PERMIT_MOVE;
  bad[9].at_home = false;
  bad[9].source = 1; /* from there to there */
  bad[10].action = PERMIT_REPAIR;
  bad[10].source = 2; /* from elsewhere */
  bad[11].action = PERMIT_READ;
  bad[11].gateway = 0;
  assert_int_equal(decide(c, &good, 0, NULL), DOM_OK);
  for (size_t i = 0; i < 12; i++) {
    struct charter_refusal refusal = {0};
    assert_int_equal(decide(c, &bad[i], 0, &refusal), DOM_INVALID);
    assert_string_equal(refusal.clause, "");
    assert_true(strlen(refusal.why) > 10);
  }
  charter_release(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exhaustive),
      cmocka_unit_test(test_permit_covers_what_it_was_given_for),
      cmocka_unit_test(test_permit_to_move_covers_both_ends),
      cmocka_unit_test(test_keep_at_least_days),
      cmocka_unit_test(test_unknown_places_and_countries),
      cmocka_unit_test(test_move_of_nothing_asks_every_class),
      cmocka_unit_test(test_mistakes_are_no_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
