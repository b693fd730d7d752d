/* The YAML reader as a configuration file uses it: schema tables into a struct. */
#include "charter_testing.h"

#include "base/yaml.h"

struct settings {
  const char *name;
  uint64_t port;
  bool tls;
  unsigned level;
  const struct yaml_node *peers, *limits;
};

static const char *const levels[] = {"debug", "info", "error", NULL};
static const struct yaml_field fields[] = {
    {"name", YAML_AS_STRING, true, offsetof(struct settings, name), 1, 8, NULL},
    {"port", YAML_AS_U64, false, offsetof(struct settings, port), 1, 65535, NULL},
    {"tls", YAML_AS_BOOL, false, offsetof(struct settings, tls), 0, 0, NULL},
    {"level", YAML_AS_CHOICE, false, offsetof(struct settings, level), 0, 0, levels},
    {"peers", YAML_AS_LIST, false, offsetof(struct settings, peers), 0, 0, NULL},
    {"limits", YAML_AS_MAP, false, offsetof(struct settings, limits), 0, 0, NULL},
};

static const struct settings defaults = {.name = "default", .port = 80, .level = 1};

static enum dom_code read_settings(const char *text, struct settings *s, struct yaml_doc **doc,
                                   struct dom_err *err) {
  enum dom_code code = yaml_load(slice_str(text), "conf", doc, err);
  if (code != DOM_OK) return code;
  return yaml_read_map(*doc, yaml_root(*doc), fields, sizeof fields / sizeof fields[0], s, err);
}

static void test_reads(void **state) {
  (void)state;
  struct settings s = defaults;
  struct yaml_doc *doc = NULL;
  assert_int_equal(read_settings("# a comment\n---\nname: \"yes\"\nport: 9101\ntls: true\nlevel: error\n"
                                 "peers:\n  - a\n  - b: |\n      two\n      lines\nlimits: {x: 1}\n",
                                 &s, &doc, NULL),
                   DOM_OK);
  assert_string_equal(s.name, "yes");
  assert_int_equal(s.port, 9101);
  assert_true(s.tls);
  assert_int_equal(s.level, 2);
  if (!s.peers) {
    fail_msg("no peers");
    return;
  }
  assert_int_equal(s.peers->count, 2);
  assert_int_equal(s.peers->line, 8);
  assert_int_equal(s.peers->column, 3);
  const struct yaml_node *b = yaml_get(s.peers->last, "b");
  assert_string_equal((const char *)b->text.data, "two\nlines\n");
  assert_false(b->plain);
  assert_int_equal(b->key_line, 9);
  assert_int_equal(b->key_column, 5);
  assert_null(yaml_get(s.limits, "y"));
  yaml_doc_free(doc);
}

static void test_defaults_stay(void **state) {
  (void)state;
  struct settings s = defaults;
  struct yaml_doc *doc = NULL;
  assert_int_equal(read_settings("name: n\n", &s, &doc, NULL), DOM_OK);
  assert_int_equal(s.port, 80);
  assert_int_equal(s.level, 1);
  assert_null(s.peers);
  yaml_doc_free(doc);
}

static void test_failures_touch_nothing(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"name: n\nport: 0\n", "conf:2:7: 0 is not in 1 to 65535"},
      {"name: n\ntls: yes\n", "conf:2:6: expected true or false, found \"yes\""},
      {"name: n\ntls: \"true\"\n", "conf:2:6: expected true or false, found \"true\""},
      {"name: n\nlevel: warn\n", "conf:2:8: \"warn\" is none of: debug, info, error"},
      {"name: n\npeers: x\n", "conf:2:8: expected a list, found text"},
      {"name: n\nlimits:\n", "conf:2:8: expected a map, found nothing"},
      {"name: 123456789\n", "conf:1:7: more than 8 bytes"},
      {"port: 1\n", "conf:1:1: the key \"name\" is missing"},
      {"name: n\nporrt: 1\n", "conf:2:1: unknown key \"porrt\"; the nearest known key is \"port\""},
      {"name: n\n\"a\\nb\": 1\n", "conf:2:1: unknown key \"a?b\"; the nearest known key is \"name\""},
      {"name: n\n<<: {port: 1}\n", "conf:2:1: unknown key \"<<\"; the nearest known key is \"tls\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct settings s = defaults;
    struct yaml_doc *doc = NULL;
    struct dom_err err = {0};
    assert_int_equal(read_settings(cases[i].text, &s, &doc, &err), DOM_INVALID);
    assert_string_equal(err.text, cases[i].message);
    assert_memory_equal(&s, &defaults, sizeof s);
    yaml_doc_free(doc);
  }
}

static void test_shown_text_is_one_line(void **state) {
  (void)state;
  char text[200];
  memset(text, 'x', sizeof text);
  assert_string_equal(yaml_show(SLICE_LIT("a\nb\x7f")).text, "a?b?");
  struct yaml_shown shown = yaml_show(slice_of(text, sizeof text));
  assert_int_equal(strlen(shown.text), 63);
  assert_string_equal(shown.text + 60, "...");
  for (size_t i = 0; i < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 2); /* é cut nowhere */
  shown = yaml_show(slice_of(text + 0, sizeof text));
  assert_true(utf8_valid(slice_str(shown.text)));
}

static void expect_too_large(struct buf *text, const char *message) {
  struct yaml_doc *doc = NULL;
  struct dom_err err = {0};
  assert_int_equal(yaml_load(buf_slice(text), "f", &doc, &err), DOM_TOO_LARGE);
  if (!strstr(err.text, message)) fail_msg("%s", err.text);
  assert_null(doc);
}

static void test_bounds(void **state) {
  (void)state;
  BUF_AUTO text = BUF_INIT;
  buf_append_str(&text, "a: ");
  for (int i = 0; i <= YAML_TEXT_BYTES_MAX; i++) buf_append_byte(&text, 'x');
  expect_too_large(&text, "f:1:4: the text is too long");
  buf_reset(&text);
  for (int i = 0; i <= YAML_KEY_BYTES_MAX; i++) buf_append_byte(&text, 'k');
  buf_append_str(&text, ": 1\n");
  expect_too_large(&text, "f:1:1: the key is too long");
  buf_reset(&text);
  for (int i = 0; i <= YAML_BYTES_MAX; i++) buf_append_byte(&text, '\n');
  expect_too_large(&text, "at most 1048576 are read");
  text.len = YAML_BYTES_MAX; /* as long as a file may be, and nothing in it */
  struct dom_err err = {0};
  struct yaml_doc *doc = NULL;
  assert_int_equal(yaml_load(buf_slice(&text), "f", &doc, &err), DOM_INVALID);
  assert_non_null(strstr(err.text, "the file is empty"));
  buf_reset(&text);
  for (int i = 0; i <= YAML_ENTRIES_MAX; i++) buf_printf(&text, "k%d: 1\n", i);
  expect_too_large(&text, "f:1025:8: too many entries");
  buf_reset(&text);
  for (int i = 0; i < YAML_NODES_MAX / 1000; i++) {
    buf_printf(&text, "k%d: [", i);
    for (int j = 0; j < 1023; j++) buf_append_str(&text, "x,");
    buf_append_str(&text, "x]\n");
  }
  expect_too_large(&text, "too many values in one file");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads),
      cmocka_unit_test(test_defaults_stay),
      cmocka_unit_test(test_failures_touch_nothing),
      cmocka_unit_test(test_shown_text_is_one_line),
      cmocka_unit_test(test_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
