/* Options by table, and values as people write them. */
#include "../serve/serve_testing.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/watch.h"

/* ---- options ------------------------------------------------------------------------------ */

struct parsed {
  const char *text;
  bool flag;
  struct cli_many many;
  const char *words[CLI_WORDS_MAX];
  size_t count;
  int status;
};

static struct parsed parse(size_t words_min, size_t words_max, int argc, const char **argv) {
  static struct parsed p;
  p = (struct parsed){0};
  const struct cli_option options[] = {{"text", CLI_TEXT, &p.text, "T", "a text"},
                                       {"flag", CLI_FLAG, &p.flag, NULL, "a flag"},
                                       {"many", CLI_MANY, &p.many, "M", "some"}};
  const struct cli_usage usage = {.line = "test",
                                  .summary = "A test.\n",
                                  .options = options,
                                  .option_count = 3,
                                  .words_min = words_min,
                                  .words_max = words_max};
  p.status = cli_parse(&usage, argc, (char **)argv, p.words, &p.count);
  return p;
}
#define PARSE(MIN, MAX, ...)                                                                                 \
  parse(MIN, MAX, (int)(sizeof((const char *[]){"test", __VA_ARGS__}) / sizeof(char *)),                     \
        (const char *[]){"test", __VA_ARGS__})

static void takes_values_both_ways(void **state) {
  (void)state;
  struct parsed p = PARSE(0, 2, "--text", "a", "w1", "--many=x", "--flag", "--many", "y", "w2");
  assert_int_equal(p.status, CLI_CONTINUE);
  assert_string_equal(p.text, "a");
  assert_true(p.flag);
  assert_int_equal(p.many.count, 2);
  assert_string_equal(p.many.at[0], "x");
  assert_string_equal(p.many.at[1], "y");
  assert_int_equal(p.count, 2);
  assert_string_equal(p.words[1], "w2");
  p = PARSE(0, 1, "--text=");
  assert_int_equal(p.status, CLI_CONTINUE);
  assert_string_equal(p.text, "");
  p = PARSE(0, 2, "--", "--text", "-");
  assert_int_equal(p.status, CLI_CONTINUE);
  assert_null(p.text);
  assert_string_equal(p.words[0], "--text");
  p = PARSE(1, 1, "-");
  assert_int_equal(p.status, CLI_CONTINUE);
}

static void complains_about_the_rest(void **state) {
  (void)state;
  assert_int_equal(PARSE(0, 0, "--nope").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "--tex", "a").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "--text").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "--text", "a", "--text", "b").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "--flag=1").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "-x").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "word").status, CLI_USAGE);
  assert_int_equal(PARSE(1, 1, "--flag").status, CLI_USAGE);
  assert_int_equal(PARSE(0, 0, "--help").status, CLI_OK);
}

/* ---- commands -------------------------------------------------------------------------------- */

static int main_of(const char *a, const char *b, const char *c) {
  char *argv[] = {(char *)"domicile", (char *)a, (char *)b, (char *)c, NULL};
  int argc = 1;
  while (argv[argc]) argc++;
  return cli_main(argc, argv);
}

static void every_command_has_help(void **state) {
  (void)state;
  static const char *const commands[][2] = {
      {"serve", NULL},      {"status", NULL},         {"bucket", "create"}, {"bucket", "list"},
      {"subject", "show"},  {"subject", "register"},  {"subject", "list"},  {"subject", "set-country"},
      {"move", NULL},       {"move", "list"},         {"move", "status"},   {"move", "cancel"},
      {"charter", "check"}, {"charter", "sign"},      {"charter", "diff"},  {"charter", "keygen"},
      {"charter", "put"},   {"charter", "show"},      {"key", "generate"},  {"key", "vkey"},
      {"key", "rotate"},    {"names", "purge"},       {"ledger", "show"},   {"ledger", "receipt"},
      {"ledger", "vkey"},   {"ledger", "checkpoint"}, {"fsck", NULL},       {"verify", NULL},
      {"version", NULL}};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    const char *sub = commands[i][1];
    int status = sub ? main_of(commands[i][0], sub, "--help") : main_of(commands[i][0], "--help", NULL);
    if (status != CLI_OK) fail_msg("%s %s --help: %d", commands[i][0], sub ? sub : "", status);
  }
  assert_int_equal(main_of("--help", NULL, NULL), CLI_OK);
  assert_int_equal(main_of("--version", NULL, NULL), CLI_OK);
  assert_int_equal(main_of("--version", "--json", NULL), CLI_OK);
}

static void wrong_words_are_usage(void **state) {
  (void)state;
  assert_int_equal(main_of(NULL, NULL, NULL), CLI_USAGE);
  assert_int_equal(main_of("nope", NULL, NULL), CLI_USAGE);
  assert_int_equal(main_of("subject", NULL, NULL), CLI_USAGE);
  assert_int_equal(main_of("subject", "nope", NULL), CLI_USAGE);
  assert_int_equal(main_of("subject", "show", NULL), CLI_USAGE);
  assert_int_equal(main_of("subject", "register", "x"), CLI_USAGE);
  assert_int_equal(main_of("move", NULL, NULL), CLI_USAGE);
  assert_int_equal(main_of("move", "--country", "IN"), CLI_USAGE);
  assert_int_equal(main_of("move", "status", "x"), CLI_USAGE);
  assert_int_equal(main_of("ledger", "receipt", NULL), CLI_USAGE);
  assert_int_equal(main_of("serve", NULL, NULL), CLI_USAGE);
  assert_int_equal(main_of("serve", "--dev", NULL), CLI_USAGE);
  assert_int_equal(main_of("status", "--endpoint", "nonsense"), CLI_USAGE);
  assert_int_equal(main_of("status", "--data", "/nonexistent/folder"), CLI_FAILED);
  unsetenv("DOMICILE_CONFIG");
  unsetenv("DOMICILE_DATA");
  assert_int_equal(main_of("status", NULL, NULL), CLI_USAGE);
}

/* ---- values ------------------------------------------------------------------------------------- */

static void reads_sizes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"0", 0},      {"1000", 1000}, {"50MB/s", 50000000}, {"64MiB", 64u << 20}, {"1GiB/s", 1 << 30},
              {"3KB", 3000}, {"7B", 7},      {"2GB", 2000000000}};
  static const char *const bad[] = {"",
                                    "MB",
                                    "50mb",
                                    "50 MB",
                                    "-1",
                                    "1.5MB",
                                    "50MB/",
                                    "50MB/m",
                                    "99999999999999999999",
                                    "18446744073709551615GiB"};
  uint64_t bytes = 1;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    assert_true(cli_parse_bytes(good[i].text, &bytes));
    assert_int_equal(bytes, good[i].bytes);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (cli_parse_bytes(bad[i], &bytes)) fail_msg("%s was taken", bad[i]);
}

static void reads_shares(void **state) {
  (void)state;
  json_t *to = NULL;
  assert_true(cli_parse_shares("sg=60%,us=40%", &to));
  assert_int_equal(cli_number(to, "sg"), 60);
  assert_int_equal(cli_number(to, "us"), 40);
  json_decref(to);
  assert_true(cli_parse_shares("in", &to));
  assert_int_equal(cli_number(to, "in"), 100);
  json_decref(to);
  assert_true(cli_parse_shares("in=100", &to));
  json_decref(to);
  static const char *const bad[] = {"",    "sg=60%,us=41%", "sg=60%", "sg=60%,sg=40%", "=100%",
                                    "sg=", "sg=0%,us=100%", "sg=x",   "sg,us",         "sg=101%,us=-1%"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (cli_parse_shares(bad[i], &to)) fail_msg("%s was taken", bad[i]);
}

static void shows_values(void **state) {
  (void)state;
  assert_string_equal(cli_show_bytes(0).text, "0 B");
  assert_string_equal(cli_show_bytes(1023).text, "1023 B");
  assert_string_equal(cli_show_bytes(1536).text, "1.5 KiB");
  assert_string_equal(cli_show_bytes(UINT64_MAX).text, "16.0 EiB");
  assert_string_equal(cli_show_time(0).text, "-");
  assert_string_equal(cli_show_time(1000).text, "1970-01-01T00:00:01.000Z");
  assert_string_equal(cli_show_span(59999).text, "59 s");
  assert_string_equal(cli_show_span(61000).text, "1 min 1 s");
  assert_string_equal(cli_show_span(3 * 3600000 + 20 * 60000).text, "3 h 20 min");
  assert_string_equal(cli_show_span(UINT64_C(50) * 3600000).text, "2 d 2 h");
}

static void tells_a_deadline_from_a_late_end(void **state) {
  (void)state;
  json_t *m = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "state", "running", "subjects", 100,
                        "subjects_done", 50, "objects_done", 7, "bytes_done", 2048, "left_ms", 100000,
                        "late_ms", 0, "deadline_ms", 1000000, "subjects_failed", 0);
  BUF_AUTO line = BUF_INIT;
  watch_line(m, 101000, &line); /* 100 s left, the deadline 899 s away */
  assert_non_null(strstr(buf_str(&line), "50 of 100 subjects"));
  assert_non_null(strstr(buf_str(&line), "1 min 40 s left, on time with 13 min 19 s to spare"));
  buf_reset(&line);
  json_object_set_new(m, "deadline_ms", json_integer(150000));
  json_object_set_new(m, "late_ms", json_integer(51000));
  json_object_set_new(m, "subjects_failed", json_integer(3));
  watch_line(m, 101000, &line);
  assert_non_null(strstr(buf_str(&line), "1 min 40 s left, LATE by 51 s"));
  assert_non_null(strstr(buf_str(&line), "3 failed"));
  buf_reset(&line);
  json_object_set_new(m, "deadline_ms", json_integer(0));
  json_object_set_new(m, "late_ms", json_integer(0));
  watch_line(m, 101000, &line);
  assert_null(strstr(buf_str(&line), "on time"));
  json_decref(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(takes_values_both_ways),
                                     cmocka_unit_test(complains_about_the_rest),
                                     cmocka_unit_test(every_command_has_help),
                                     cmocka_unit_test(wrong_words_are_usage),
                                     cmocka_unit_test(reads_sizes),
                                     cmocka_unit_test(reads_shares),
                                     cmocka_unit_test(shows_values),
                                     cmocka_unit_test(tells_a_deadline_from_a_late_end)};
  return cmocka_run_group_tests_name("cli-args", tests, NULL, NULL);
}
