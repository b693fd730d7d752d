/* Charters that are refused, each with its exact place; and what the good one holds. */
#include "charter_testing.h"

/* Line numbers in the table below count here. */
static const char base_text[] =
    /*  1 */ "charter: 3\n"
             /*  2 */ "organization: example-phones\n"
             /*  3 */ "registrars: [b]\n"
             /*  4 */ "regions:\n"
             /*  5 */ "  a: {number: 1, jurisdiction: CN, endpoint: \"http://h:1\", vkey: \"" VKEY_A "\"}\n"
             /*  6 */ "  b: {number: 2, jurisdiction: SG, endpoint: \"http://h:2\", vkey: \"" VKEY_B "\"}\n"
             /*  7 */ "subjects: {unregistered: refuse}\n"
             /*  8 */ "classes:\n"
             /*  9 */ "  red: {keys: [\"*/r/**\", \"x\"]}\n"
             /* 10 */ "  rest: {}\n"
             /* 11 */ "rules:\n"
             /* 12 */ "  NO:\n"
             /* 13 */ "    home: a\n"
             /* 14 */ "    red: {store: [CN], read: [CN, NO], transit: any}\n"
             /* 15 */ "    rest: {store: any, read: any, transit: []}\n"
             /* 16 */ "    keep_at_least_days: 365\n"
             /* 17 */ "    leave: {b: 2026-12-31}\n"
             /* 18 */ "  \"*\": {home: b, rest: {store: any, read: any, transit: any}, "
             "red: {store: [SG], read: any, transit: any}}\n";

struct bad {
  const char *find, *replace; /* the first `find` of the text above; "" appends at the end */
  const char *place;          /* "line:column" */
  const char *what;           /* part of the message */
};

static const struct bad table[] = {
    /* the file as such */
    {"charter: 3\n", "charter:\t3\n", "1:9", "a tab"},
    {"  rest: {}\n", "\trest: {}\n", "10:1", "a tab"},
    {"charter: 3",
     "\xef\xbb\xbf"
     "charter: 3",
     "1:1", "byte order mark"},
    {"example-phones", "ex\xff", "2:17", "UTF-8"},
    {"example-phones", "\xc3\xa9\xff", "2:16", "UTF-8"},
    {"example-phones", "a\x01", "2:16", "control characters"},
    {"example-phones", "\"a\\0b\"", "2:15", "a NUL"},
    {"example-phones", "\"a\\nb\"", "2:15", "control character"},
    {"example-phones", "&x y", "2:15", "an anchor"},
    {"[b]", "*x", "3:13", "an alias"},
    {"example-phones", "!!str x", "2:15", "a tag"},
    {"charter: 3", "%YAML 1.1\n---\ncharter: 3", "1:1", "a directive"},
    {"", "---\ncharter: 4\n", "19:1", "a second document"},
    {"", "...\ncharter: 4\n", "20:1", "expected <document start>"},
    {"\"*\":", "*:", "18:4", "while scanning an alias"},
    {"[b]", "[b", "4:8", "expected ',' or ']'"},
    {"  b: {", "   b: {", "6:4", "did not find expected key"},
    {"red: {keys", "[red]: {keys", "9:3", "a key must be text"},
    {"red: {keys", "\"\": {keys", "9:3", "an empty key"},
    {"  rest: {}\n", "  red: {}\n", "10:3", "duplicate key \"red\", first in line 9"},
    {"", "charter: 4\n", "19:1", "duplicate key \"charter\", first in line 1"},
    {"jurisdiction: CN", "number: 1", "5:18", "duplicate key \"number\""},
    /* the root */
    {"charter: 3\n", "", "1:1", "the key \"charter\" is missing"},
    {"organization: example-phones\n", "", "1:1", "the key \"organization\" is missing"},
    {"charter: 3", "charter: three", "1:10", "expected a whole number, found \"three\""},
    {"charter: 3", "charter: \"3\"", "1:10", "expected a whole number"},
    {"charter: 3", "charter: 03", "1:10", "expected a whole number"},
    {"charter: 3", "charter: +3", "1:10", "expected a whole number"},
    {"charter: 3", "charter: 3.0", "1:10", "expected a whole number"},
    {"charter: 3", "charter: 0", "1:10", "0 is not in 1 to"},
    {"charter: 3", "charter: 9007199254740992", "1:10", "9007199254740992 is not in 1 to 9007199254740991"},
    {"charter: 3", "charter: 99999999999999999999", "1:10", "expected a whole number"},
    {"charter: 3", "charter:", "1:9", "expected a whole number, found \"\""},
    {"charter: 3", "charter: [3]", "1:10", "expected text, found a list"},
    {"charter:", "chartre:", "1:1", "unknown key \"chartre\"; the nearest known key is \"charter\""},
    {"subjects:", "subject:", "7:1", "unknown key \"subject\"; the nearest known key is \"subjects\""},
    {"example-phones", "\"\"", "2:15", "the value is empty"},
    {"example-phones", "{a: b}", "2:15", "expected text, found a map"},
    /* registrars */
    {"[b]", "b", "3:13", "expected a list, found text"},
    {"[b]", "[]", "3:13", "no registrar"},
    {"[b]", "[c]", "3:14", "\"c\" is no region of this charter"},
    {"[b]", "[b, a]", "3:17", "registrars.further is not enforced by this build"},
    {"[b]", "[[b]]", "3:14", "expected text, found a list"},
    /* regions */
    {"  a: {number: 1", "  A: {number: 1", "5:3", "\"A\" is not a name"},
    {"  a: {number: 1", "  a_b: {number: 1", "5:3", "is not a name"},
    {"  a: {number: 1", "  abcdefghijklmnopqrstuvwxyz0123456: {number: 1", "5:3", "is not a name"},
    {"number: 1,", "", "5:6", "the key \"number\" is missing"},
    {"number: 1,", "number: 0,", "5:15", "0 is not in 1 to 65535"},
    {"number: 1,", "number: 65536,", "5:15", "65536 is not in 1 to 65535"},
    {"number: 2,", "number: 1,", "6:15", "region a has the same number"},
    {"numbe", "nmbe", "5:7", "nearest known key is \"number\""},
    {"jurisdiction: CN", "jurisdiction: UK", "5:32", "\"UK\" is not an assigned code"},
    {"jurisdiction: CN", "jurisdiction: cn", "5:32", "\"cn\" is not an assigned code"},
    {"jurisdiction: CN", "jurisdiction: CHN", "5:32", "more than 2 bytes"},
    {"http://h:2", "http://h:1", "6:46", "region a has the same endpoint"},
    {"http://h:1", "ftp://h:1", "5:46", "an endpoint is http"},
    {"http://h:1", "http://h:1/", "5:46", "an endpoint is http"},
    {"http://h:1", "http://h:0", "5:46", "an endpoint is http"},
    {"http://h:1", "http://h:65536", "5:46", "an endpoint is http"},
    {"http://h:1", "http://h:", "5:46", "an endpoint is http"},
    {"http://h:1", "http://:1", "5:46", "an endpoint is http"},
    {"http://h:1", "http://u@h:1", "5:46", "an endpoint is http"},
    {"http://h:1", "http://[::1", "5:46", "an endpoint is http"},
    {"a.example+", "a.exampl+", "5:66", "key id does not belong to this name"},
    {"a.example+8e", "a.example+8f", "5:66", "key id does not belong to this name and key (it is 8edbb852)"},
    {"a.example+8edbb852+AY", "a.example+8edbb852+AZ", "5:66", "key id does not belong"},
    {"a.example+8edbb852+AY", "a.example+8edbb852+BY", "5:66", "not an Ed25519 key"},
    {"a.example+8edbb852+AY", "a.example+8edbb852+%Y", "5:66", "not base64"},
    {"a.example+8edbb852+AY", "a.example+8edbb85+AY", "5:66", "not of the form"},
    {"a.example+8e", "+8e", "5:66", "no name"},
    {VKEY_B, VKEY_A, "6:66", "region a has the same vkey"},
    /* subjects */
    {"refuse", "b", "7:12", "subjects.unregistered.home is not enforced by this build"},
    {"unregistered", "unregisterd", "7:12", "nearest known key is \"unregistered\""},
    /* classes */
    {"  red: {keys", "  home: {keys", "9:3", "\"home\" is a word of rules"},
    {"  red: {keys", "  Red: {keys", "9:3", "\"Red\" is not a name"},
    {"{keys: [\"*/r/**\", \"x\"]}", "{}", "9:3", "only the last class"},
    {"  rest: {}", "  rest: {keys: [a]}", "10:3", "the last class takes the keys that are left"},
    {"[\"*/r/**\", \"x\"]", "[]", "9:15", "no key pattern"},
    {"\"x\"", "\"\"", "9:26", "a key pattern is empty"},
    {"\"x\"", "\"***\"", "9:26", "more than two *"},
    {"\"x\"", "'a\\b'", "9:26", "stands before * or"},
    {"\"x\"", "'a\\'", "9:26", "stands before * or"},
    {"\"x\"", "[x]", "9:26", "expected text, found a list"},
    {"{keys", "{key", "9:9", "nearest known key is \"keys\""},
    {"  rest: {}", "  rest:", "10:8", "expected a map, found nothing"},
    /* rules */
    {"  NO:", "  XK:", "12:3", "\"XK\" is neither"},
    {"  NO:", "  \"**\":", "12:3", "\"**\" is neither"},
    {"    home: a\n", "", "13:5", "the key \"home\" is missing"},
    {"home: a", "home: c", "13:11", "\"c\" is no region of this charter"},
    {"home: a", "home: b", "13:11", "home b lies in SG, where red.store does not let its data lie"},
    {"    home: a\n", "    hom: a\n", "13:5", "unknown key \"hom\"; the nearest known key is \"home\""},
    {"    red: {store", "    reed: {store", "14:5", "unknown key \"reed\"; the nearest known key is \"red\""},
    {"    rest: {store: any, read: any, transit: []}\n", "", "13:5", "the class \"rest\" is missing"},
    {"store: [CN], ", "", "14:10", "the key \"store\" is missing"},
    {"store: [CN]", "stoer: [CN]", "14:11", "unknown key \"stoer\"; the nearest known key is \"store\""},
    {"store: [CN]", "store: all", "14:18", "expected any, or a list of countries"},
    {"store: [CN]", "store: {CN: 1}", "14:18", "expected any, or a list of countries"},
    {"store: [CN]", "store: [any]", "14:19", "\"any\" is not an assigned code"},
    {"store: [CN]", "store: []", "13:11", "red.store does not let"},
    {"[CN, NO]", "[CN, NO, CN]", "14:39", "CN stands twice"},
    {"[CN, NO]", "[CN, [NO]]", "14:35", "expected text, found a list"},
    {"read: [CN, NO]", "clients: [CN]", "14:24", "rules.*.*.clients is not enforced by this build"},
    {"    keep_at_least_days: 365\n", "    delete_abroad_within_hours: 0\n", "16:33",
     "0 is not in 1 to 87600"},
    {"365", "0", "16:25", "0 is not in 1 to 36500"},
    {"365", "1 year", "16:25", "expected a whole number, found \"1 year\""},
    {"{b: 2026-12-31}", "{c: 2026-12-31}", "17:13", "\"c\" is no region of this charter"},
    {"{b: 2026-12-31}", "{a: 2026-12-31}", "13:11", "home a is also a region to leave"},
    {"2026-12-31", "2026-02-29", "17:16", "\"2026-02-29\" is not a date"},
    {"2026-12-31", "31.12.2026", "17:16", "is not a date"},
    {"2026-12-31", "2026-12-31T00:00:00Z", "17:16", "is not a date"},
    {"{b: 2026-12-31}", "2026-12-31", "17:12", "expected a map, found text"},
};

static void edited(struct buf *out, const char *find, const char *replace) {
  const char *at = *find ? strstr(base_text, find) : base_text + strlen(base_text);
  assert_non_null(at);
  buf_append(out, base_text, (size_t)(at - base_text));
  buf_append_str(out, replace);
  buf_append_str(out, at + strlen(find));
}

static void test_table(void **state) {
  (void)state;
  unsigned wrong = 0;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO expected = BUF_INIT;
    struct charter *c = NULL;
    struct dom_err err = {0};
    edited(&text, table[i].find, table[i].replace);
    buf_printf(&expected, "bad.yaml:%s: ", table[i].place);
    enum dom_code code = charter_parse(buf_slice(&text), "bad.yaml", &c, &err);
    if (code == DOM_INVALID && !c && strstr(err.text, table[i].what) &&
        strncmp(err.text, buf_str(&expected), expected.len) == 0)
      continue;
    print_error("%s -> %s: got %s \"%s\", expected %s…%s\n", table[i].find, table[i].replace,
                dom_code_name(code), err.text, buf_str(&expected), table[i].what);
    charter_release(c);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

static void expect_limit(const char *text, size_t len, enum dom_code expected, const char *what) {
  struct charter *c = NULL;
  struct dom_err err = {0};
  assert_int_equal(charter_parse(slice_of(text, len), "f", &c, &err), expected);
  if (!strstr(err.text, what)) fail_msg("%s", err.text);
  assert_null(c);
}

static void test_limits(void **state) {
  (void)state;
  BUF_AUTO text = BUF_INIT;
  for (int i = 0; i < 40; i++) buf_append_str(&text, "[");
  expect_limit(buf_str(&text), text.len, DOM_TOO_LARGE, "f:1:17: nested too deeply");
  buf_reset(&text);
  for (int i = 0; i <= CHARTER_BYTES_MAX / 2; i++) buf_append_str(&text, "# ");
  expect_limit(buf_str(&text), text.len, DOM_TOO_LARGE, "a charter has at most");
  buf_reset(&text);
  buf_append_str(&text, "charter: 3\nregistrars: [");
  for (int i = 0; i < 1025; i++) buf_append_str(&text, "a,\n");
  buf_append_str(&text, "]\n");
  expect_limit(buf_str(&text), text.len, DOM_TOO_LARGE, "f:1026:1: too many entries");
  expect_limit("", 0, DOM_INVALID, "f:1:1: the file is empty");
  expect_limit("# nothing\n", 10, DOM_INVALID, "the file is empty");
  expect_limit("- a\n", 4, DOM_INVALID, "f:1:1: expected a map, found a list");
}

/* A charter cut short is refused unless what is left is whole by itself: at the end of a rule's keys
 * (that a byte is missing at all is for the signature to tell). */
static void test_prefixes(void **state) {
  (void)state;
  const char *least = strstr(base_text, "transit: []}");
  assert_non_null(least);
  size_t least_len = (size_t)(least - base_text) + strlen("transit: []}");
  unsigned accepted = 0;
  for (size_t len = 0; len < strlen(base_text) - 1; len++) {
    struct charter *c = NULL;
    struct dom_err err = {0};
    enum dom_code code = charter_parse(slice_of(base_text, len), "f", &c, &err);
    assert_true(code == DOM_INVALID || (code == DOM_OK && len >= least_len));
    accepted += code == DOM_OK ? 1 : 0;
    charter_release(c);
  }
  assert_true(accepted > 0 && accepted < 32);
}

static void test_good(void **state) {
  (void)state;
  struct charter *c = parse_text(base_text);
  assert_int_equal(charter_version(c), 3);
  assert_string_equal(charter_organization(c), "example-phones");
  assert_int_equal(charter_region_count(c), 2);
  assert_ptr_equal(charter_registrar(c), charter_region_at(c, 1));
  const struct charter_region *a = charter_region_by_number(c, 1);
  assert_string_equal(a->name, "a");
  assert_string_equal(a->jurisdiction, "CN");
  assert_string_equal(a->endpoint, "http://h:1");
  assert_string_equal(a->vkey, VKEY_A);
  assert_string_equal(a->vkey_name, "a.example");
  assert_int_equal(a->vkey_id, 0x8edbb852);
  assert_ptr_equal(charter_region_by_name(c, SLICE_LIT("a")), a);
  assert_ptr_equal(charter_region_by_endpoint(c, SLICE_LIT("http://h:1")), a);
  assert_ptr_equal(charter_region_by_vkey(c, SLICE_LIT(VKEY_A)), a);
  assert_ptr_equal(charter_region_by_public_key(c, a->public_key), a);
  assert_ptr_equal(charter_region_by_jurisdiction(c, "CN", NULL), a);
  assert_null(charter_region_by_jurisdiction(c, "CN", a));
  assert_null(charter_region_by_jurisdiction(c, "IN", NULL));
  assert_null(charter_region_by_number(c, 3));
  assert_null(charter_region_by_name(c, SLICE_LIT("ab")));
  assert_null(charter_region_by_endpoint(c, SLICE_LIT("http://h")));
  assert_null(charter_region_by_vkey(c, SLICE_LIT(VKEY_C)));
  assert_null(charter_region_by_public_key(c, (const uint8_t[ED25519_KEY_SIZE]){0}));
  assert_true(slice_equal(charter_bytes(c), slice_str(base_text)));
  uint8_t hash[SHA256_SIZE], expected[SHA256_SIZE];
  charter_hash(c, hash);
  sha256(base_text, strlen(base_text), expected);
  assert_memory_equal(hash, expected, SHA256_SIZE);
  assert_ptr_equal(charter_hold(c), c);
  charter_release(c);
  assert_int_equal(charter_version(c), 3);
  charter_release(c);
}

static void test_classes(void **state) {
  (void)state;
  struct charter *c = parse_text(base_text);
  unsigned index = 9;
  assert_int_equal(charter_class_count(c), 2);
  assert_string_equal(charter_class_name(c, 0), "red");
  assert_int_equal(charter_class_of(c, SLICE_LIT("u/r/x/y")), 0);
  assert_int_equal(charter_class_of(c, SLICE_LIT("x")), 0);
  assert_int_equal(charter_class_of(c, SLICE_LIT("u/s/r/y")), 1);
  assert_int_equal(charter_class_of(c, SLICE_LIT("")), 1);
  assert_int_equal(charter_class_find(c, SLICE_LIT("green"), &index), DOM_NOT_FOUND);
  assert_int_equal(index, 9);
  assert_int_equal(charter_class_find(c, SLICE_LIT("rest"), &index), DOM_OK);
  assert_int_equal(index, 1);
  assert_int_equal(charter_classes_all(c), 3);
  charter_release(c);
}

/* The first class whose pattern matches wins, in the file's order. */
static void test_first_class_wins(void **state) {
  (void)state;
  struct charter *c =
      parse_text("charter: 1\norganization: o\nregistrars: [a]\nregions:\n"
                 "  a: {number: 1, jurisdiction: CN, endpoint: \"http://a\", vkey: \"" VKEY_A "\"}\n"
                 "classes: {one: {keys: [\"*/a/**\", \"*/b\"]}, two: {keys: [\"**/b\", \"c*\"]}, rest: {}}\n"
                 "rules:\n  \"*\":\n    home: a\n"
                 "    one: {store: any, read: any, transit: any}\n"
                 "    two: {store: any, read: any, transit: any}\n"
                 "    rest: {store: any, read: any, transit: any}\n");
  assert_int_equal(charter_class_of(c, SLICE_LIT("u/b")), 0);
  assert_int_equal(charter_class_of(c, SLICE_LIT("u/x/b")), 1);
  assert_int_equal(charter_class_of(c, SLICE_LIT("cde")), 1);
  assert_int_equal(charter_class_of(c, SLICE_LIT("c/d")), 2);
  assert_int_equal(charter_class_of(c, SLICE_LIT("c/a/b")), 0);
  assert_int_equal(charter_classes_all(c), 7);
  charter_release(c);
}

/* NO is Norway, not false; and a region may be called "in" or "no". */
static void test_norway(void **state) {
  (void)state;
  struct charter *c = parse_text(base_text);
  const struct charter_region *home = NULL;
  assert_int_equal(charter_home_for(c, "NO", &home, NULL), DOM_OK);
  assert_string_equal(home->name, "a");
  assert_int_equal(charter_home_for(c, "FR", &home, NULL), DOM_OK);
  assert_string_equal(home->name, "b");
  charter_release(c);
}

static void test_iso3166(void **state) {
  (void)state;
  unsigned valid = 0;
  char code[3] = "";
  for (code[0] = 'A'; code[0] <= 'Z'; code[0]++)
    for (code[1] = 'A'; code[1] <= 'Z'; code[1]++) valid += charter_country_valid(code) ? 1 : 0;
  assert_int_equal(valid, 249);
  const char *const no[] = {"", "I", "IN ", "in", "UK", "EU", "XK", "AN", "SU", "ZZ", "AA", "TP"};
  const char *const yes[] = {"AD", "ZW", "IN", "CN", "SG", "US", "NO", "GB", "SS", "CW", "BQ", "SX", "TL"};
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) assert_false(charter_country_valid(no[i]));
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) assert_true(charter_country_valid(yes[i]));
}

static void test_endpoints(void **state) {
  (void)state;
  const char *const good[] = {"https://eu.example.com", "http://127.0.0.1:65535", "https://[::1]:9101",
                              "http://[fe80::A]", "http://a-b:1"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    BUF_AUTO text = BUF_INIT;
    edited(&text, "http://h:1", good[i]);
    struct charter *c = parse_text(buf_str(&text));
    assert_string_equal(charter_region_at(c, 0)->endpoint, good[i]);
    charter_release(c);
  }
}

/* Each clause that the table lists stands in a charter here: those with a seam are accepted, those
 * without are refused by their name. A clause added to the table without a line here fails. */
static void test_every_clause(void **state) {
  (void)state;
  static const struct {
    const char *path, *find, *replace;
  } lines[] = {
      {"charter", "", ""},
      {"organization", "", ""},
      {"registrars", "", ""},
      {"registrars.further", "[b]", "[b, a]"},
      {"regions.*.number", "", ""},
      {"regions.*.jurisdiction", "", ""},
      {"regions.*.endpoint", "", ""},
      {"regions.*.vkey", "", ""},
      {"subjects.unregistered.refuse", "", ""},
      {"subjects.unregistered.home", "refuse", "b"},
      {"classes.*.keys", "", ""},
      {"rules.*.home", "", ""},
      {"rules.*.*.store", "", ""},
      {"rules.*.*.read", "", ""},
      {"rules.*.*.transit", "", ""},
      {"rules.*.*.clients", "transit: any}", "transit: any, clients: [NO]}"},
      {"rules.*.leave.*", "", ""},
      {"rules.*.keep_at_least_days", "", ""},
      {"rules.*.delete_abroad_within_hours", "leave:", "delete_abroad_within_hours: 24\n    leave:"},
  };
  size_t count = 0;
  const struct charter_clause *clauses = charter_clauses(&count);
  assert_int_equal(count, sizeof lines / sizeof lines[0]);
  for (size_t i = 0; i < count; i++) {
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO message = BUF_INIT;
    struct charter *c = NULL;
    struct dom_err err = {0};
    assert_string_equal(clauses[i].path, lines[i].path);
    edited(&text, lines[i].find, lines[i].replace);
    buf_printf(&message, "%s is not enforced by this build", lines[i].path);
    enum dom_code code = charter_parse(buf_slice(&text), "f", &c, &err);
    assert_int_equal(code, clauses[i].seam ? DOM_OK : DOM_INVALID);
    if (!clauses[i].seam) assert_non_null(strstr(err.text, buf_str(&message)));
    charter_release(c);
  }
}

int main(void) {
  assert_true(sizeof table / sizeof table[0] >= 60);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_prefixes),
      cmocka_unit_test(test_good),
      cmocka_unit_test(test_classes),
      cmocka_unit_test(test_norway),
      cmocka_unit_test(test_first_class_wins),
      cmocka_unit_test(test_iso3166),
      cmocka_unit_test(test_endpoints),
      cmocka_unit_test(test_every_clause),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
