/* Settings: what a file may say, where each mistake is found, what wins over what. */
#include "serve_testing.h"

#include "serve/serve.h"

static const char GOOD[] = "data: data\n"
                           "kek_folder: kek\n"
                           "domain: phones.example\n"
                           "deployment: phones\n"
                           "region: {name: in, number: 4, seed_file: seed}\n"
                           "route_key_file: route\n"
                           "charter: {public_key_file: offline.pub}\n"
                           "listen: [\"127.0.0.1:0\", \"[::1]:0\"]\n"
                           "accounts_file: accounts\n"
                           "s3: {host_names: [s3.example], region: in, default_layout: \"{subject}/\"}\n"
                           "workers: 8\n"
                           "drain_seconds: 3\n"
                           "log: warn\n";
static const char SECRET[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

static int set_up(void **state) {
  struct scratch *s = test_calloc(1, sizeof *s);
  scratch_make(s);
  scratch_write(s, "seed", SECRET, 0600);
  scratch_write(s, "route", SECRET, 0600);
  scratch_write(s, "offline.pub", SECRET, 0644);
  scratch_write(s, "accounts", "# people\nAKIDEXAMPLE00001:secretsecret:main\n", 0600);
  *state = s;
  return 0;
}

static int tear_down(void **state) {
  scratch_remove(*state);
  test_free(*state);
  return 0;
}

/* Loads `text` as DIR/c.yaml and checks it; *c is for serve_config_done. */
static enum dom_code load(const struct scratch *s, const char *text, struct serve_config *c,
                          struct dom_err *err) {
  struct scratch_path path = scratch_at(s, "c.yaml");
  scratch_write(s, "c.yaml", text, 0644);
  assert_int_equal(serve_config_init(c, err), DOM_OK);
  enum dom_code code = serve_config_load(c, path.text, err);
  return code ? code : serve_config_check(c, err);
}

static void takes_every_key(void **state) {
  struct scratch *s = *state;
  struct serve_config c;
  struct dom_err err = {0};
  assert_int_equal(load(s, GOOD, &c, &err), DOM_OK);
  assert_string_equal(c.data, scratch_at(s, "data").text);
  assert_string_equal(c.kek_folder, scratch_at(s, "kek").text);
  assert_string_equal(c.accounts_file, scratch_at(s, "accounts").text);
  assert_string_equal(c.region_name, "in");
  assert_int_equal(c.region_number, 4);
  assert_int_equal(c.listen_count, 2);
  assert_string_equal(c.listen[1], "[::1]:0");
  assert_string_equal(c.host_names[0], "s3.example");
  assert_string_equal(c.pinned_region, "in");
  assert_int_equal(c.workers, 8);
  assert_int_equal(c.drain_ms, 3000);
  assert_int_equal(c.log, LOG_WARN);
  assert_false(c.insecure);
  BUF_AUTO origin = BUF_INIT;
  serve_origin(&c, &origin);
  assert_string_equal(buf_str(&origin), "phones.example/phones/in");
  serve_config_done(&c);
}

/* The good file with one text replaced, and what the complaint must hold. */
struct mistake {
  const char *find, *replace, *complaint;
};
static const struct mistake MISTAKES[] = {
    {"workers: 8", "wrokers: 8", "c.yaml:11:1: "},
    {"workers: 8", "wrokers: 8", "workers"},
    {"workers: 8", "workers: eight", "c.yaml:11:10: expected a whole number"},
    {"workers: 8", "workers: 0", "is not in 1 to"},
    {"workers: 8", "workers: 8\nworkers: 9", "c.yaml:12:1: "},
    {"log: warn", "log: loud", "none of: debug, info, warn, error"},
    {"log: warn", "insecure: yes", "expected true or false"},
    {"number: 4", "number: 0", "is not in 1 to 65535"},
    {"number: 4", "number: 65536", "is not in 1 to 65535"},
    {"name: in", "name: IN", "lower-case letter"},
    {"name: in", "nmae: in", "c.yaml:5:10: "},
    {"listen: [\"127.0.0.1:0\", \"[::1]:0\"]", "listen: 127.0.0.1:0", "expected a list"},
    {"listen: [\"127.0.0.1:0\", \"[::1]:0\"]", "listen: []", "\"listen\" is missing"},
    {"\"127.0.0.1:0\"", "\"0.0.0.0:0\"", "no loopback address"},
    {"data: data\n", "", "\"data\" is missing"},
    {"kek_folder: kek\n", "", "\"kek_folder\" is missing"},
    {"route_key_file: route\n", "", "\"route_key_file\" is missing"},
    {"domain: phones.example", "domain: Phones", "domain: lower-case"},
    {"deployment: phones", "deployment: a/b", "deployment: lower-case"},
    {"kek_folder: kek", "kek_folder: data/kek", "kek_folder lies below the data folder"},
    {"kek_folder: kek", "kek_folder: data", "kek_folder lies below the data folder"},
    {"kek_folder: kek", "kek_folder: data/../data/new/kek", "kek_folder lies below the data folder"},
    {"route_key_file: route", "route_key_file: data/route", "route_key_file lies below"},
    {"seed_file: seed", "seed_file: data/seed", "region.seed_file lies below"},
    {"accounts_file: accounts", "accounts_file: data/accounts", "accounts_file lies below"},
    {"seed_file: seed", "seed_file: nowhere", "nowhere"},
    {"route_key_file: route", "route_key_file: accounts", "64 hex digits"},
    {"charter: {public", "charter: {file: x, public", "go together"},
    {"default_layout: \"{subject}/\"", "default_layout: \"photos/\"", "subject"},
    {"workers: 8", "tls: {certificates: [{chain_file: c.pem}]}", "key_file"},
    {"workers: 8", "tls: {certificates: [{chain_file: c.pem, key_file: data/key}]}", "below the data folder"},
    {"workers: 8", "tls: {certificates: [{chain_file: c.pem, key_file: nowhere}]}", "c.pem"},
    {"workers: 8", "tls: {client_certificates: always}", "none of: optional, require"},
    {"workers: 8", "tls: {client_certificates: require}", "needs tls.client_ca_file"},
    {"workers: 8", "tls: {client_ca_file: ca.pem}", "needs tls.certificates"},
    {"\"127.0.0.1:0\"", "\"https://127.0.0.1:0\"", "needs a certificate"},
    {"\"127.0.0.1:0\"", "\"http://0.0.0.0:0\"", "no loopback address"},
    {"workers: 8", "fronts: [proxy.example]", "no address"},
    {"workers: 8", "fronts: [\"10.0.0.0/33\"]", "0 to 32"},
    {"workers: 8", "fronts: [\"10.0.0.1/8\"]", "behind its length"},
    {"data: data", "data: [data]", "expected"},
    {"data: data", "\tdata: data", "c.yaml:1:1"},
};

static void names_each_mistake(void **state) {
  struct scratch *s = *state;
  for (size_t i = 0; i < sizeof MISTAKES / sizeof MISTAKES[0]; i++) {
    const struct mistake *m = &MISTAKES[i];
    struct serve_config c;
    struct dom_err err = {0};
    BUF_AUTO text = BUF_INIT;
    const char *at = strstr(GOOD, m->find);
    assert_non_null(at);
    buf_append(&text, GOOD, (size_t)(at - GOOD));
    buf_append_str(&text, m->replace);
    buf_append_str(&text, at + strlen(m->find));
    enum dom_code code = load(s, buf_str(&text), &c, &err);
    if (code == DOM_OK || !strstr(err.text, m->complaint))
      fail_msg("%s -> %s: %s: %s", m->find, m->replace, dom_code_name(code), err.text);
    serve_config_done(&c);
  }
}

static void insecure_allows_other_addresses(void **state) {
  struct scratch *s = *state;
  struct serve_config c;
  struct dom_err err = {0};
  BUF_AUTO text = BUF_INIT;
  buf_append_str(&text, GOOD);
  buf_append_str(&text, "insecure: true\n");
  assert_int_equal(load(s, buf_str(&text), &c, &err), DOM_OK);
  c.listen[0] = "0.0.0.0:0";
  assert_int_equal(serve_config_check(&c, &err), DOM_OK);
  c.insecure = false;
  assert_int_equal(serve_config_check(&c, &err), DOM_INVALID);
  serve_config_done(&c);
}

static void environment_wins_over_file(void **state) {
  struct scratch *s = *state;
  struct serve_config c;
  struct dom_err err = {0};
  assert_int_equal(load(s, GOOD, &c, &err), DOM_OK);
  setenv("DOMICILE_DATA", "/elsewhere", 1);
  setenv("DOMICILE_LISTEN", "127.0.0.1:1,127.0.0.1:2", 1);
  setenv("DOMICILE_WORKERS", "9", 1);
  setenv("DOMICILE_LOG", "debug", 1);
  assert_int_equal(serve_config_environment(&c, &err), DOM_OK);
  assert_string_equal(c.data, "/elsewhere");
  assert_int_equal(c.listen_count, 2);
  assert_string_equal(c.listen[1], "127.0.0.1:2");
  assert_int_equal(c.workers, 9);
  assert_int_equal(c.log, LOG_DEBUG);
  setenv("DOMICILE_WORKERS", "0", 1);
  assert_int_equal(serve_config_environment(&c, &err), DOM_INVALID);
  unsetenv("DOMICILE_WORKERS");
  setenv("DOMICILE_LISTEN", "1,2,3,4,5,6,7,8,9", 1);
  err = (struct dom_err){0};
  assert_int_equal(serve_config_environment(&c, &err), DOM_INVALID);
  setenv("DOMICILE_LISTEN", "", 1);
  setenv("DOMICILE_LOG", "loud", 1);
  assert_int_equal(serve_config_environment(&c, &err), DOM_INVALID);
  unsetenv("DOMICILE_DATA");
  unsetenv("DOMICILE_LISTEN");
  unsetenv("DOMICILE_LOG");
  serve_config_done(&c);
}

static void a_symbolic_link_hides_no_nesting(void **state) {
  struct scratch *s = *state;
  struct serve_config c;
  struct dom_err err = {0};
  assert_int_equal(mkdir(scratch_at(s, "data").text, 0700), 0);
  assert_int_equal(mkdir(scratch_at(s, "data/inner").text, 0700), 0);
  assert_int_equal(symlink("data/inner", scratch_at(s, "kek").text), 0);
  assert_int_equal(load(s, GOOD, &c, &err), DOM_INVALID);
  assert_non_null(strstr(err.text, "kek_folder lies below"));
  serve_config_done(&c);
}

static void deployments_differ_by_both_names(void **state) {
  (void)state;
  struct serve_config a = {.domain = "a.b", .deployment = "c"}, b = {.domain = "a", .deployment = "b"};
  uint8_t one[16], two[16], again[16];
  serve_deployment_id(&a, one);
  serve_deployment_id(&b, two);
  serve_deployment_id(&a, again);
  assert_memory_not_equal(one, two, 16);
  assert_memory_equal(one, again, 16);
}

static void the_documented_example_is_good(void **state) {
  (void)state;
  struct serve_config c;
  struct dom_err err = {0};
  assert_int_equal(serve_config_init(&c, &err), DOM_OK);
  enum dom_code code = serve_config_load(&c, EXAMPLE, &err);
  if (code) fail_msg("%s", err.text);
  assert_string_equal(c.region_name, "in");
  /* Complete: the first thing missing on this machine is a secret's file, not a setting. */
  code = serve_config_check(&c, &err);
  assert_int_equal(code, DOM_NOT_FOUND);
  serve_config_done(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(takes_every_key, set_up, tear_down),
      cmocka_unit_test_setup_teardown(names_each_mistake, set_up, tear_down),
      cmocka_unit_test_setup_teardown(insecure_allows_other_addresses, set_up, tear_down),
      cmocka_unit_test_setup_teardown(environment_wins_over_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_symbolic_link_hides_no_nesting, set_up, tear_down),
      cmocka_unit_test(deployments_differ_by_both_names),
      cmocka_unit_test(the_documented_example_is_good)};
  return cmocka_run_group_tests_name("serve-config", tests, NULL, NULL);
}
