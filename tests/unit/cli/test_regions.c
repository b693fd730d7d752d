/* The whole program: four real regions, people registered, served, moved while written, verified. */
#include "regions.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"

enum { CN, SG, US, IN, ALL };
enum { PEOPLE = 6, OBJECTS = 5 };

static int set_up(void **state) {
  struct regions *d = test_calloc(1, sizeof *d);
  regions_make(d);
  struct scratch_path data = regions_path(d, "data");
  assert_int_equal(mkdir(data.text, 0700), 0);
  for (size_t i = 0; i < ALL; i++) regions_start(d, i, NULL, NULL);
  *state = d;
  return 0;
}

static int tear_down(void **state) {
  regions_free(*state);
  test_free(*state);
  return 0;
}

static void put_charter(struct regions *d, const char *name) {
  struct scratch_path path = regions_path(d, name);
  for (size_t i = 0; i < ALL; i++) COMMAND_OK(d, i, "charter", "put", path.text);
}

/* A bucket and registered people of India; everybody has objects. */
static void make_people(struct regions *d) {
  COMMAND_OK(d, US, "bucket", "create", "photos", "--layout", "photos/{subject}/");
  for (int p = 0; p < PEOPLE; p++) {
    char id[16], target[64];
    snprintf(id, sizeof id, "person-%d", p);
    COMMAND_OK(d, SG, "subject", "register", id, "--country", "IN");
    for (int o = 0; o < OBJECTS; o++) {
      snprintf(target, sizeof target, "/photos/photos/%s/%d", id, o);
      assert_int_equal(regions_put(d, (size_t)((p + o) % ALL), target, target), 200);
    }
  }
}

static void expect_people(struct regions *d, size_t at) {
  for (int p = 0; p < PEOPLE; p++)
    for (int o = 0; o < OBJECTS; o++) {
      char target[64];
      snprintf(target, sizeof target, "/photos/photos/person-%d/%d", p, o);
      regions_expect(d, at, target, target);
    }
}

static void verify_ledger(struct regions *d, size_t i) {
  BUF_AUTO vkey = BUF_INIT;
  BUF_AUTO said = BUF_INIT;
  char url[80];
  snprintf(url, sizeof url, "http://127.0.0.1:%u/-/ledger", d->at[i].port);
  assert_int_equal(COMMAND(d, i, &vkey, "ledger", "vkey"), 0);
  vkey.len--;
  const char *argv[] = {getenv("DOMICILE"), "verify", url, "--vkey", buf_str(&vkey), NULL};
  assert_int_equal(regions_run(&said, argv), 0);
}

/* A person's receipts of the home's ledger, each verified offline. */
static void verify_receipts(struct regions *d, size_t home, const char *id) {
  struct scratch_path vkey = regions_path(d, "vkey"), receipt = regions_path(d, "receipt");
  BUF_AUTO said = BUF_INIT;
  COMMAND_OK(d, home, "ledger", "vkey", "--out", vkey.text);
  COMMAND_OK(d, home, "ledger", "receipt", "--subject", id, "--limit", "1", "--out", receipt.text);
  const char *argv[] = {getenv("DOMICILE"), "verify", receipt.text, "--vkey", vkey.text, NULL};
  assert_int_equal(regions_run(&said, argv), 0);
  assert_non_null(strstr(buf_str(&said), "subject homed"));
}

/* ---- a writer during the moves -------------------------------------------------------------- */

struct writer {
  struct regions *d;
  size_t gateway;
  atomic_bool over;
  _Atomic unsigned written, failed, lost, status;
};

/* PUTs through the region that people leave and those they go to, without retries, reading back what was
 * acknowledged. */
static void *write_main(void *arg) {
  struct writer *w = arg;
  for (unsigned n = 0; !atomic_load(&w->over); n++) {
    char target[64], body[32];
    snprintf(target, sizeof target, "/photos/photos/person-%u/diary-%zu", n % PEOPLE, w->gateway);
    snprintf(body, sizeof body, "day %u", n);
    size_t gateway = w->gateway;
    unsigned status = regions_put(w->d, gateway, target, body);
    if (status == 200) {
      if (!regions_reads(w->d, gateway, target, body)) atomic_fetch_add(&w->lost, 1);
      atomic_fetch_add(&w->written, 1);
    } else {
      atomic_store(&w->status, status);
      atomic_fetch_add(&w->failed, 1);
    }
  }
  return NULL;
}

/* Person 1's home and epoch, as the region that tells them says; NULL: some home, 0: some epoch. */
static void tells_where_people_live(struct regions *d, const char *home, unsigned epoch) {
  BUF_AUTO said = BUF_INIT;
  char want[40];
  assert_int_equal(COMMAND(d, CN, &said, "subject", "show", "person-1"), 0);
  snprintf(want, sizeof want, "epoch %u", epoch);
  if (epoch && !strstr(buf_str(&said), want)) fail_msg("not %s: %s", want, buf_str(&said));
  if (home && !strstr(buf_str(&said), home)) fail_msg("not %s: %s", home, buf_str(&said));
}

static void people_move_while_they_write(void **state) {
  struct regions *d = *state;
  struct writer w[] = {{.d = d, .gateway = CN}, {.d = d, .gateway = SG}, {.d = d, .gateway = US}};
  pthread_t thread[3];
  make_people(d);
  for (size_t i = 0; i < ALL; i++) expect_people(d, i);
  tells_where_people_live(d, "cn", 1);
  put_charter(d, "2-singapore-and-us.yaml");
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, write_main, &w[i]), 0);
  COMMAND_OK(d, CN, "move", "--country", "IN", "--from", "cn", "--to", "sg=50%,us=50%");
  for (int i = 0; i < 3; i++) atomic_store(&w[i].over, true);
  for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 3; i++) {
    if (atomic_load(&w[i].failed))
      fail_msg("%u of %u writes through %s failed, last with %u", w[i].failed, w[i].written,
               d->at[w[i].gateway].name, w[i].status);
    assert_int_equal(atomic_load(&w[i].lost), 0);
    assert_true(atomic_load(&w[i].written) > 0);
  }
  tells_where_people_live(d, NULL, 2);
  put_charter(d, "3-india.yaml");
  COMMAND_OK(d, SG, "move", "--country", "IN", "--to", "in");
  COMMAND_OK(d, US, "move", "--country", "IN", "--to", "in");
  tells_where_people_live(d, "in", 3);
  expect_people(d, IN);
  for (size_t i = 0; i < ALL; i++) verify_ledger(d, i);
  verify_receipts(d, IN, "person-1");
}

/* ---- moves of many under an operator's hand ------------------------------------------------- */

/* The text that stands between two others in what a command said; "" without. */
static struct scratch_path between(struct buf *said, const char *before, const char *behind) {
  struct scratch_path out = {""};
  const char *from = strstr(buf_str(said), before);
  const char *to = from ? strstr(from + strlen(before), behind) : NULL;
  if (to)
    snprintf(out.text, sizeof out.text, "%.*s", (int)(to - from - (long)strlen(before)),
             from + strlen(before));
  return out;
}

static void write_lines(struct regions *d, const char *text, struct scratch_path *out) {
  *out = regions_path(d, "people");
  FILE *f = fopen(out->text, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static bool is_state(struct regions *d, const char *state) {
  BUF_AUTO said = BUF_INIT;
  assert_int_equal(COMMAND(d, CN, &said, "move", "status", "1", "--json"), 0);
  return strcmp(between(&said, "\"state\":\"", "\"").text, state) == 0;
}

/* A job so slow that it cannot end is paused, stays so over a kill, is made fast, and ends. */
static void a_move_is_paused_changed_and_resumed(void **state) {
  struct regions *d = *state;
  BUF_AUTO said = BUF_INIT;
  make_people(d);
  put_charter(d, "2-singapore-and-us.yaml");
  assert_int_equal(COMMAND(d, CN, &said, "plan", "move", "--country", "IN", "--to", "sg=50%,us=50%", "--rate",
                           "1KB/s", "--deadline", "2000-01-01", "--json"),
                   0);
  assert_string_equal(between(&said, "\"subjects\":", ",").text, "6");
  assert_string_equal(between(&said, "\"rate_bound\":", ",").text, "true");
  assert_string_not_equal(between(&said, "\"late_ms\":", "}").text, "0");
  buf_reset(&said);
  COMMAND_OK(d, CN, "move", "--country", "IN", "--to", "sg", "--rate", "1", "--parallel", "2", "--deadline",
             "2000-01-01", "--detach");
  struct answer a;
  do { /* until it has seen itself late */
    regions_ask(d, CN, NULL, "GET", "/-/metrics", SLICE_LIT(""), &a);
    bool late = strstr(buf_str(&a.body), "domicile_moves_late 1\n") != NULL;
    buf_done(&a.body);
    if (late) break;
  } while (true);
  COMMAND_OK(d, CN, "move", "pause", "1");
  assert_int_equal(regions_stop(d, CN, SIGKILL), 128 + SIGKILL);
  regions_start(d, CN, NULL, NULL);
  assert_true(is_state(d, "paused"));
  assert_int_equal(COMMAND(d, CN, &said, "move", "--country", "IN", "--to", "sg"),
                   1); /* says how to resume */
  assert_non_null(strstr(buf_str(&said), "domicile move resume 1"));
  COMMAND_OK(d, CN, "move", "set", "1", "--rate", "none", "--deadline", "none", "--parallel", "4");
  COMMAND_OK(d, CN, "move", "resume", "1");
  COMMAND_OK(d, CN, "move", "--country", "IN", "--to", "sg"); /* attaches, and waits for its end */
  assert_true(is_state(d, "done"));
  COMMAND_OK(d, CN, "move", "failures", "1");
  assert_int_equal(COMMAND(d, CN, &said, "move", "pause", "1"), 1);
  assert_int_equal(COMMAND(d, CN, &said, "move", "set", "1"), 2);
  tells_where_people_live(d, "sg", 0); /* a handoff that the kill gave up has used an epoch */
  expect_people(d, US);
}

static void a_list_of_people_moves(void **state) {
  struct regions *d = *state;
  BUF_AUTO said = BUF_INIT;
  struct scratch_path list;
  char lines[512];
  make_people(d);
  put_charter(d, "2-singapore-and-us.yaml");
  assert_int_equal(COMMAND(d, CN, &said, "subject", "show", "person-2", "--json"), 0);
  struct scratch_path token = between(&said, "\"token\":\"", "\"");
  write_lines(d, "person-1\n\nperson-1/\nnobody-at-all\n", &list);
  buf_reset(&said);
  assert_int_equal(COMMAND(d, CN, &said, "move", "--subjects-file", list.text, "--to", "us"), 2);
  assert_non_null(strstr(buf_str(&said), "people:3: ")); /* by number, never by what they say */
  assert_non_null(strstr(buf_str(&said), "people:4: "));
  assert_null(strstr(buf_str(&said), "nobody-at-all"));
  snprintf(lines, sizeof lines, "person-1\r\n%s\nperson-1\nnobody-at-all\nperson-5", token.text);
  write_lines(d, lines, &list);
  COMMAND_OK(d, CN, "move", "--subjects-file", list.text, "--to", "us", "--skip-unknown");
  buf_reset(&said);
  assert_int_equal(COMMAND(d, CN, &said, "move", "list"), 0);
  assert_non_null(strstr(buf_str(&said), "done  3 of 3 subjects"));
  tells_where_people_live(d, "us", 2);
  buf_reset(&said);
  assert_int_equal(COMMAND(d, CN, &said, "subject", "show", "person-0"), 0);
  assert_non_null(strstr(buf_str(&said), "cn"));
  expect_people(d, SG);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void the_charter_refuses_and_says_why(void **state) {
  struct regions *d = *state;
  struct answer a;
  BUF_AUTO said = BUF_INIT;
  COMMAND_OK(d, SG, "bucket", "create", "files", "--layout", "{subject}/");
  COMMAND_OK(d, CN, "subject", "register", "li", "--country", "CN");
  assert_int_equal(regions_put(d, CN, "/files/li/contacts/1", "secret"), 200);
  regions_ask(d, US, ACCESS, "GET", "/files/li/contacts/1", SLICE_LIT(""), &a);
  assert_int_equal(a.status, 451);
  assert_string_equal(a.code, "ResidencyViolation");
  assert_non_null(strstr(buf_str(&a.body), "rules.CN.restricted."));
  buf_done(&a.body);
  /* Nor may they be moved to where their classes may not lie. */
  assert_int_equal(COMMAND(d, CN, &said, "move", "--country", "CN", "--to", "us"), 1);
  assert_non_null(strstr(buf_str(&said), "rules.CN."));
  assert_int_equal(COMMAND(d, CN, NULL, "subject", "register", "li", "--country", "IN"), 1);
  assert_int_equal(COMMAND(d, CN, NULL, "subject", "show", "nobody"), 1);
  assert_int_equal(regions_put(d, SG, "/files/nobody/x", "x"), 403);
}

/* ---- operators ---------------------------------------------------------------------------------- */

static unsigned admin(struct regions *d, const char *access, const char *method, const char *path,
                      const char *body) {
  struct answer a;
  regions_ask(d, SG, access, method, path, slice_str(body), &a);
  buf_done(&a.body);
  return a.status;
}

static void only_operators_administer(void **state) {
  struct regions *d = *state;
  BUF_AUTO said = BUF_INIT;
  assert_int_equal(admin(d, NULL, "GET", "/-/admin/status", ""), 403);
  assert_int_equal(admin(d, ACCESS, "GET", "/-/admin/status", ""), 403);
  assert_int_equal(admin(d, ACCESS, "PUT", "/-/admin/subjects/x", "{\"country\":\"IN\"}"), 403);
  assert_int_equal(admin(d, OPERATOR, "GET", "/-/admin/status", ""), 200);
  assert_int_equal(admin(d, OPERATOR, "PUT", "/-/admin/subjects/x%2fy", "{\"country\":\"IN\"}"), 400);
  assert_int_equal(admin(d, OPERATOR, "PUT", "/-/admin/subjects/x", "{\"country\":\"SG\"}"), 200);
  assert_int_equal(admin(d, OPERATOR, "PUT", "/-/admin/subjects/x", "{\"country\":\"SG\",\"more\":1}"), 400);
  assert_int_equal(admin(d, OPERATOR, "PUT", "/-/admin/subjects/x", "{\"country\":"), 400);
  assert_int_equal(admin(d, OPERATOR, "POST", "/-/admin/status", ""), 405);
  assert_int_equal(admin(d, OPERATOR, "GET", "/-/admin/nothing", ""), 404);
  assert_int_equal(admin(d, OPERATOR, "GET", "/-/admin/subjects?limit=0x1", ""), 400);
  assert_int_equal(admin(d, NULL, "POST", "/-/peer/move/ask", "x"), 403);
  assert_int_equal(admin(d, NULL, "GET", "/-/nothing", ""), 404);
  for (int n = 0; n < 200 && !strstr(buf_str(&said), "PUT subjects/* by " OPERATOR); n++) {
    buf_reset(&said); /* the ledger follows the log */
    assert_int_equal(COMMAND(d, SG, &said, "ledger", "show"), 0);
  }
  assert_non_null(strstr(buf_str(&said), "PUT subjects/* by " OPERATOR));
  assert_null(strstr(buf_str(&said), "x%2fy"));
}

/* ---- the process --------------------------------------------------------------------------------- */

static void takes_keys_on_hangup_or_keeps_the_old(void **state) {
  struct regions *d = *state;
  COMMAND_OK(d, SG, "bucket", "create", "plain", "--layout", "");
  assert_int_equal(regions_put(d, SG, "/plain/a", "a"), 200);
  scratch_write(&d->folder, "accounts", "nonsense\n", 0600);
  assert_int_equal(kill(d->at[SG].pid, SIGHUP), 0);
  /* Signals are taken one after the other, so a later good reload shows that the bad one was over. */
  assert_int_equal(regions_put(d, SG, "/plain/b", "b"), 200);
  scratch_write(&d->folder, "accounts", STRANGER ":" SECRET ":main\n", 0600);
  assert_int_equal(kill(d->at[SG].pid, SIGHUP), 0);
  for (int i = 0; i < 500 && regions_status(d, SG, "/plain/b") == 200; i++) clock_sleep_ms(clock_posix(), 10);
  assert_int_equal(regions_status(d, SG, "/plain/b"), 403);
  struct answer a;
  regions_ask(d, SG, STRANGER, "GET", "/plain/b", SLICE_LIT(""), &a);
  assert_int_equal(a.status, 200);
  buf_done(&a.body);
}

static void ends_orderly_and_comes_back(void **state) {
  struct regions *d = *state;
  BUF_AUTO said = BUF_INIT;
  COMMAND_OK(d, SG, "bucket", "create", "plain", "--layout", "");
  assert_int_equal(regions_put(d, SG, "/plain/a", "kept"), 200);
  assert_int_equal(regions_stop(d, SG, SIGTERM), 0);
  assert_int_equal(COMMAND(d, SG, &said, "status"), 3);
  assert_non_null(strstr(buf_str(&said), "no daemon serves this folder"));
  regions_start(d, SG, NULL, NULL);
  regions_expect(d, SG, "/plain/a", "kept");
  assert_int_equal(regions_stop(d, SG, SIGINT), 130);
  regions_start(d, SG, NULL, NULL);
  assert_int_equal(regions_stop(d, SG, SIGKILL), 128 + SIGKILL);
  regions_start(d, SG, NULL, NULL); /* the socket of a killed process is in nobody's way */
  regions_expect(d, SG, "/plain/a", "kept");
  verify_ledger(d, SG);
}

/* Until nothing of the handoff is left: upkeep would meet the next fault point with it, before the next move
 * does. */
static void settle(struct regions *d, const char *id) {
  for (int n = 0; n < 1200; n++) {
    BUF_AUTO said = BUF_INIT;
    int status = COMMAND(d, SG, &said, "move", "--subject", id, "--to", "us");
    if (status && strstr(buf_str(&said), "not at home here")) return;
    clock_sleep_ms(clock_posix(), 50);
  }
  fail_msg("%s: its handoff does not end", id);
}

static void dies_where_told_and_finishes_later(void **state) {
  static const char *const steps[] = {"+fenced", "-committed", "+committed", "+erasing"};
  struct regions *d = *state;
  COMMAND_OK(d, US, "bucket", "create", "photos", "--layout", "photos/{subject}/");
  put_charter(d, "2-singapore-and-us.yaml");
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    char id[16], target[64], want[40];
    BUF_AUTO said = BUF_INIT;
    snprintf(id, sizeof id, "traveller-%zu", i);
    snprintf(target, sizeof target, "/photos/photos/%s/1", id);
    COMMAND_OK(d, SG, "subject", "register", id, "--country", "IN");
    assert_int_equal(regions_put(d, SG, target, "here"), 200);
    assert_int_equal(regions_stop(d, SG, SIGTERM), 0);
    regions_start(d, SG, "--fault-point", steps[i]);
    int moved = COMMAND(d, SG, &said, "move", "--subject", id, "--to", "us");
    if (moved != 3) fail_msg("%s: exit code %d: %s", steps[i], moved, buf_str(&said));
    buf_reset(&said);
    assert_int_equal(regions_wait(d, SG), 128 + SIGKILL);
    regions_start(d, SG, NULL, NULL);
    regions_expect(d, US, target, "here");
    regions_expect(d, SG, target, "here");
    /* Committed moves are finished, others given up; then the move can be made. */
    if (steps[i][0] == '-' || strcmp(steps[i], "+fenced") == 0) {
      int status = 1;
      for (int n = 0; n < 200 && status; n++) { /* until upkeep has aborted the old handoff */
        status = COMMAND(d, SG, NULL, "move", "--subject", id, "--to", "us");
        if (status) clock_sleep_ms(clock_posix(), 50);
      }
      assert_int_equal(status, 0);
    }
    snprintf(want, sizeof want, "home          us");
    assert_int_equal(COMMAND(d, US, &said, "subject", "show", id), 0);
    if (!strstr(buf_str(&said), want)) fail_msg("%s: %s", steps[i], buf_str(&said));
    regions_expect(d, SG, target, "here");
    settle(d, id);
  }
}

static void refuses_what_it_must_not_open(void **state) {
  struct regions *d = *state;
  struct scratch_path cn = regions_path(d, "cn.yaml"), sg = regions_path(d, "sg.yaml"),
                      data = regions_path(d, "data/cn"), other = regions_path(d, "data/other");
  char address[40];
  BUF_AUTO said = BUF_INIT;
  snprintf(address, sizeof address, "127.0.0.1:%u", d->at[CN].port);
  const char *const locked[] = {"--config", cn.text, "--listen", "127.0.0.1:0", NULL};
  assert_int_equal(regions_refused(d, &said, locked), 3);
  assert_non_null(strstr(buf_str(&said), "another process has this data folder open"));
  buf_reset(&said);
  const char *const busy[] = {"--config", sg.text, "--data", other.text, "--listen", address, NULL};
  assert_int_equal(regions_refused(d, &said, busy), 3);
  assert_non_null(strstr(buf_str(&said), "is in use by another program"));
  buf_reset(&said);
  assert_int_equal(regions_stop(d, CN, SIGTERM), 0);
  const char *const foreign[] = {"--config", sg.text, "--data", data.text, "--listen", "127.0.0.1:0", NULL};
  assert_int_equal(regions_refused(d, &said, foreign), 3);
  buf_reset(&said);
  const char *const nowhere[] = {"--config", cn.text,       "--data", "/proc/nowhere",
                                 "--listen", "127.0.0.1:0", NULL};
  assert_int_equal(regions_refused(d, &said, nowhere), 3);
  const char *const unknown[] = {"--config", cn.text, "--nope", NULL};
  assert_int_equal(regions_refused(d, &said, unknown), 2);
  const char *const wide[] = {"--config", cn.text, "--listen", "0.0.0.0:0", NULL};
  assert_int_equal(regions_refused(d, &said, wide), 2);
  assert_non_null(strstr(buf_str(&said), "--insecure"));
  const char *const good[] = {"--config", cn.text, "--check-config", NULL};
  assert_int_equal(regions_refused(d, &said, good), 0);
}

static int fsck(struct regions *d, struct buf *said, const char *more) {
  struct scratch_path config = regions_path(d, "sg.yaml");
  const char *argv[] = {getenv("DOMICILE"), "fsck", "--config", config.text, more, NULL};
  return regions_run(said, argv);
}

static void checks_and_rebuilds_a_stopped_region(void **state) {
  struct regions *d = *state;
  BUF_AUTO said = BUF_INIT;
  COMMAND_OK(d, SG, "bucket", "create", "plain", "--layout", "");
  assert_int_equal(regions_put(d, SG, "/plain/a", "one"), 200);
  assert_int_equal(regions_put(d, SG, "/plain/b", "two"), 200);
  assert_int_equal(fsck(d, &said, NULL), 3);
  assert_non_null(strstr(buf_str(&said), "another process"));
  assert_int_equal(regions_stop(d, SG, SIGTERM), 0);
  buf_reset(&said);
  int status = fsck(d, &said, NULL);
  if (status != 0) fail_msg("exit code %d: %s", status, buf_str(&said));
  assert_non_null(strstr(buf_str(&said), "superblock good, vault good, index good"));
  buf_reset(&said);
  status = fsck(d, &said, "--rebuild-index");
  if (status != 0) fail_msg("exit code %d: %s", status, buf_str(&said));
  regions_start(d, SG, NULL, NULL);
  regions_expect(d, SG, "/plain/a", "one");
  regions_expect(d, SG, "/plain/b", "two");
}

#define TEST(F) cmocka_unit_test_setup_teardown(F, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(people_move_while_they_write),  TEST(a_move_is_paused_changed_and_resumed),
      TEST(a_list_of_people_moves),        TEST(the_charter_refuses_and_says_why),
      TEST(only_operators_administer),     TEST(takes_keys_on_hangup_or_keeps_the_old),
      TEST(ends_orderly_and_comes_back),   TEST(dies_where_told_and_finishes_later),
      TEST(refuses_what_it_must_not_open), TEST(checks_and_rebuilds_a_stopped_region)};
  return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
