/* Jobs: pause, resume, restart in each state, lists, failures and their retries, changes, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/job.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3, IN = 4, PEOPLE = 24 };
static const struct move_spec ALL_TO_SG = {.country = "IN", .share = {{SG, 100}}, .share_count = 1};

/* What the hook does, and when. */
struct world {
  struct test_regions t;
  uint8_t token[PEOPLE][TOKEN_SIZE];
  uint64_t job;
  const char *step; /* at which of its passings … */
  int at;           /* … from 1 */
  int seen, dropped;
  enum { NOTHING, PAUSE, PAUSE_AND_RESUME, CANCEL, DIE, SLOWER, REFUSE } what;
};

static struct mover *cn(struct world *w) {
  return w->t.region[CN].mover;
}

static void act(struct world *w) {
  struct move_change slower = {.has_rate = true, .rate_bytes_s = 1000};
  switch (w->what) {
  case NOTHING:
    break;
  case PAUSE_AND_RESUME:
  case PAUSE:
    assert_int_equal(mover_job_pause(cn(w), w->job, NULL), DOM_OK);
    if (w->what == PAUSE_AND_RESUME) assert_int_equal(mover_job_resume(cn(w), w->job, NULL), DOM_OK);
    break;
  case CANCEL:
    assert_int_equal(mover_job_cancel(cn(w), w->job, NULL), DOM_OK);
    break;
  case DIE:
    disk_sim_cut_after(w->t.region[CN].disk, 1);
    net_sim_leave(w->t.net, CN);
    break;
  case SLOWER:
    assert_int_equal(mover_job_set(cn(w), w->job, &slower, NULL), DOM_OK);
    break;
  case REFUSE:
    assert_int_equal(regions_force(&w->t, 3, true), DOM_OK);
    break;
  }
}

static void hook(void *arg, const char *step) {
  struct world *w = arg;
  if (!w->step || strcmp(step, w->step) != 0 || ++w->seen != w->at) return;
  w->step = NULL;
  act(w);
}

static struct world *world_new(uint64_t seed) {
  struct world *w = dom_calloc(1, sizeof *w);
  struct subject_who who;
  assert_non_null(w);
  w->t.fault_point = hook;
  w->t.fault_arg = w;
  regions_open(&w->t, 4, seed, 1);
  regions_bucket(&w->t);
  for (int i = 0; i < PEOPLE; i++) {
    char id[16];
    snprintf(id, sizeof id, "u%d", i);
    assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, slice_str(id), "IN", &who, NULL),
                     DOM_OK);
    memcpy(w->token[i], who.token, TOKEN_SIZE);
    assert_int_equal(region_put(&w->t, CN, id, "note", id), DOM_OK);
  }
  return w;
}

static void world_free(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

static void plan(struct world *w, const char *step, int at, int what) {
  w->step = step;
  w->at = at;
  w->seen = 0;
  w->what = (__typeof__(w->what))what;
}

static struct move_job_status start(struct world *w, const struct move_spec *spec) {
  struct move_job_status job;
  struct dom_err err = {0};
  enum dom_code code = mover_job_start(cn(w), spec, &job, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
  w->job = job.id;
  return job;
}

static struct move_job_status status(struct world *w) {
  struct move_job_status job;
  assert_int_equal(mover_job_status(cn(w), w->job, &job, NULL), DOM_OK);
  return job;
}

static struct move_job_status run(struct world *w) {
  bool did = false;
  mover_upkeep(cn(w), &did, NULL);
  return status(w);
}

static void restart(struct world *w) {
  struct dom_err err = {0};
  region_stop(&w->t, CN);
  disk_sim_cut_after(w->t.region[CN].disk, 0);
  disk_sim_power_cut(w->t.region[CN].disk);
  disk_sim_power_on(w->t.region[CN].disk);
  enum dom_code code = region_start(&w->t, CN, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
}

static int living_at(struct world *w, uint16_t region) {
  int count = 0;
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(w->t.region[region].store, &v, NULL), DOM_OK);
  for (int i = 0; i < PEOPLE; i++) {
    struct store_subject row;
    count += !store_subject_get(v, w->token[i], &row, NULL) && row.state != SUBJECT_MOVED;
  }
  return count;
}

static bool count_failure(void *arg, const struct move_failure *f) {
  (void)f;
  ++*(int *)arg;
  return true;
}

static int failures(struct world *w) {
  int count = 0;
  assert_int_equal(mover_job_failures(cn(w), w->job, NULL, count_failure, &count, NULL), DOM_OK);
  return count;
}

static bool keep_failure(void *arg, const struct move_failure *f) {
  *(struct move_failure *)arg = *f;
  return false;
}

/* ---- pause, resume, cancel --------------------------------------------------------------------- */

static void test_pause_is_kept(void **state) {
  (void)state;
  struct world *w = world_new(1);
  start(w, &ALL_TO_SG);
  plan(w, "+committed", 5, PAUSE);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_PAUSED);
  assert_int_equal(job.subjects_done, 5); /* the one in flight ended */
  assert_int_equal(job.in_flight, 0);
  assert_int_equal(living_at(w, SG), 5);
  assert_int_equal(run(w).state, JOB_PAUSED); /* nobody goes on with it */
  restart(w);
  assert_int_equal(run(w).state, JOB_PAUSED);
  assert_int_equal(living_at(w, SG), 5);
  assert_int_equal(mover_job_pause(cn(w), w->job, NULL), DOM_OK); /* once more is once */
  struct move_job_status again = start(w, &ALL_TO_SG);
  assert_int_equal(again.id, job.id); /* the same selection attaches, and does not wake it */
  assert_int_equal(again.state, JOB_PAUSED);
  assert_int_equal(mover_job_resume(cn(w), w->job, NULL), DOM_OK);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, PEOPLE);
  assert_int_equal(living_at(w, SG), PEOPLE);
  assert_int_equal(mover_job_resume(cn(w), w->job, NULL), DOM_NOT_FOUND);
  assert_int_equal(mover_job_pause(cn(w), w->job, NULL), DOM_NOT_FOUND);
  world_free(w);
}

/* Taken back before those in flight have ended: the job goes on as if nothing had been. */
static void test_pause_taken_back(void **state) {
  (void)state;
  struct world *w = world_new(2);
  start(w, &ALL_TO_SG);
  plan(w, "+committed", 3, PAUSE_AND_RESUME);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, PEOPLE);
  world_free(w);
}

static void test_cancel_in_each_state(void **state) {
  (void)state;
  for (int paused = 0; paused < 2; paused++) {
    struct world *w = world_new(3);
    start(w, &ALL_TO_SG);
    plan(w, "+copying", 4, paused ? PAUSE : CANCEL);
    run(w);
    if (paused) assert_int_equal(mover_job_cancel(cn(w), w->job, NULL), DOM_OK);
    assert_int_equal(status(w).state, JOB_CANCELLED);
    restart(w);
    assert_int_equal(run(w).state, JOB_CANCELLED);
    assert_int_equal(living_at(w, SG), paused ? 4 : 3); /* a cancelled job gives up its copies */
    assert_int_equal(mover_job_resume(cn(w), w->job, NULL), DOM_NOT_FOUND);
    assert_int_equal(mover_job_cancel(cn(w), w->job, NULL), DOM_NOT_FOUND);
    assert_int_not_equal(start(w, &ALL_TO_SG).id, 1); /* a new one */
    assert_int_equal(run(w).state, JOB_DONE);
    assert_int_equal(living_at(w, SG), PEOPLE);
    world_free(w);
  }
}

/* Power is cut in the middle of a job: it goes on by itself, and tells how many are done. */
static void test_running_goes_on(void **state) {
  (void)state;
  static const char *const STEPS[] = {"+copying", "+fenced", "+committed", "+erasing"};
  for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
    struct world *w = world_new(4 + i);
    start(w, &ALL_TO_SG);
    plan(w, STEPS[i], 7, DIE);
    bool did = false;
    mover_upkeep(cn(w), &did, NULL);
    restart(w);
    assert_int_equal(status(w).state, JOB_RUNNING);
    struct move_job_status job = run(w);
    assert_int_equal(job.state, JOB_DONE);
    assert_int_equal(job.subjects_done, PEOPLE);
    assert_int_equal(job.subjects_failed, 0);
    assert_int_equal(living_at(w, SG), PEOPLE);
    assert_int_equal(living_at(w, CN), 0);
    world_free(w);
  }
}

/* ---- lists -------------------------------------------------------------------------------------------- */

static struct move_spec list_spec(struct world *w, int from, int to) {
  struct move_spec spec = {.share = {{SG, 100}}, .share_count = 1};
  uint64_t total = 0;
  assert_int_equal(mover_list_open(cn(w), &spec.list_id, NULL), DOM_OK);
  for (int twice = 0; twice < 2; twice++)
    for (int i = to - 1; i >= from; i--)
      assert_int_equal(
          mover_list_add(cn(w), spec.list_id, (const uint8_t(*)[TOKEN_SIZE])w->token[i], 1, &total, NULL),
          DOM_OK);
  assert_int_equal(total, 2 * (to - from));
  return spec;
}

static void test_list(void **state) {
  (void)state;
  struct world *w = world_new(10);
  struct move_spec spec = list_spec(w, 3, 11);
  struct move_job_status job = start(w, &spec), none;
  assert_int_equal(job.subjects, 8); /* doubles are one */
  assert_int_equal(job.spec.list_count, 8);
  assert_int_equal(mover_job_start(cn(w), &spec, &none, NULL), DOM_NOT_FOUND); /* it is used up … */
  spec = list_spec(w, 3, 11);
  assert_int_equal(start(w, &spec).id, job.id); /* … and the same again attaches */
  plan(w, "+committed", 3, PAUSE);
  assert_int_equal(run(w).subjects_done, 3);
  restart(w); /* the list is the job's */
  assert_int_equal(mover_job_resume(cn(w), w->job, NULL), DOM_OK);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, 8);
  assert_int_equal(living_at(w, SG), 8);
  for (int i = 3; i < 11; i++) {
    BUF_AUTO out = BUF_INIT;
    char id[16];
    snprintf(id, sizeof id, "u%d", i);
    assert_int_equal(region_get(&w->t, SG, id, "note", &out), DOM_OK);
  }
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO chunk = BUF_INIT;
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(list_chunk_get(v, job.id, 0, &chunk, NULL), DOM_NOT_FOUND); /* no longer kept */
  store_view_close(v);
  v = NULL;
  world_free(w);
}

static void test_list_refusals(void **state) {
  (void)state;
  struct world *w = world_new(11);
  struct move_spec spec = list_spec(w, 0, 2);
  struct move_job_status job;
  struct dom_err err = {0};
  uint64_t id, more;
  snprintf(spec.country, sizeof spec.country, "I");
  assert_int_equal(mover_job_start(cn(w), &spec, &job, NULL), DOM_INVALID);
  memset(spec.country, 0, sizeof spec.country);
  assert_int_equal(regions_force(&w->t, 3, true), DOM_OK);
  assert_int_equal(mover_job_start(cn(w), &spec, &job, &err), DOM_REFUSED); /* nobody of them may go there */
  assert_non_null(strstr(err.text, "rules.IN"));
  assert_int_equal(mover_list_add(cn(w), 12345, NULL, 0, &more, NULL), DOM_NOT_FOUND);
  for (int i = 0; i < LISTS_OPEN_MAX; i++) assert_int_equal(mover_list_open(cn(w), &id, NULL), DOM_OK);
  assert_int_equal(mover_list_open(cn(w), &more, NULL), DOM_BUSY);
  clock_sim_advance(w->t.clock, LIST_IDLE_MS); /* those that nobody adds to are forgotten */
  assert_int_equal(mover_list_open(cn(w), &more, NULL), DOM_OK);
  assert_int_equal(mover_list_add(cn(w), id, NULL, 0, &more, NULL), DOM_OK);
  world_free(w);
}

/* A list of several chunks, whose rows a crash left without a job. */
static void test_list_rows(void **state) {
  (void)state;
  struct world *w = world_new(12);
  uint8_t digest[SHA256_SIZE];
  struct job_list l = {.id = 1};
  l.count = l.capacity = 2 * LIST_CHUNK + 5;
  l.token = dom_calloc(l.count, TOKEN_SIZE);
  assert_non_null(l.token);
  for (uint64_t i = 0; i < l.count; i++) store_u64be(l.token[i], i * 7919 % l.count);
  list_seal(&l, digest);
  assert_int_equal(l.count, 2 * LIST_CHUNK + 5);
  assert_int_equal(list_put(cn(w), 9, &l, NULL), DOM_OK);
  for (int round = 0; round < 2; round++) {
    STORE_VIEW_AUTO *v = NULL;
    BUF_AUTO chunk = BUF_INIT;
    assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
    enum dom_code code = list_chunk_get(v, 9, 2, &chunk, NULL);
    assert_int_equal(code, round ? DOM_NOT_FOUND : DOM_OK);
    if (!round) assert_int_equal(load_u64be(chunk.data + 4 * TOKEN_SIZE), 2 * LIST_CHUNK + 4);
    store_view_close(v);
    v = NULL;
    if (!round) restart(w); /* there is no job 9 */
  }
  list_done(&l);
  world_free(w);
}

/* ---- failures ---------------------------------------------------------------------------------------- */

/* The target stays away: each is tried some times, then it is said who was left and why. */
static void test_target_stays_away(void **state) {
  (void)state;
  struct world *w = world_new(20);
  start(w, &ALL_TO_SG);
  net_sim_cut(w->t.net, CN, SG, true);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_failed, PEOPLE);
  assert_int_equal(failures(w), PEOPLE);
  struct move_failure f;
  assert_int_equal(mover_job_failures(cn(w), w->job, NULL, keep_failure, &f, NULL), DOM_OK);
  assert_int_equal(f.code, DOM_UNAVAILABLE);
  assert_int_equal(f.tries, FAIL_TRIES_MAX);
  assert_true(f.text[0] != 0);
  restart(w);
  assert_int_equal(failures(w), PEOPLE); /* still to be read */
  net_sim_cut(w->t.net, CN, SG, false);
  uint64_t first = w->job;
  assert_int_not_equal(start(w, &ALL_TO_SG).id, first);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_failed, 0);
  assert_int_equal(failures(w), 0);
  assert_int_equal(living_at(w, SG), PEOPLE);
  world_free(w);
}

/* One line is cut at the first copy and mended at a later one, to another target. */
static void cut_and_mend(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+copying") != 0) return;
  w->seen++;
  if (w->seen == 3) net_sim_cut(w->t.net, CN, SG, true);
  if (w->seen == 9) net_sim_cut(w->t.net, CN, SG, false);
}

static void test_target_comes_back(void **state) {
  (void)state;
  struct world *w = world_new(21);
  region_stop(&w->t, CN);
  w->t.fault_point = cut_and_mend;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  uint64_t began = clock_mono_ns(w->t.clock);
  start(w, &ALL_TO_SG);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, PEOPLE);
  assert_int_equal(job.subjects_failed, 0);
  assert_int_equal(failures(w), 0);
  assert_string_equal(job.last_failure, "");
  assert_true(w->seen > PEOPLE);                            /* some were tried twice … */
  assert_true(clock_mono_ns(w->t.clock) - began > 1000000); /* … and not at once */
  world_free(w);
}

/* What the charter refuses is not tried again under it. */
static void test_refused_is_final(void **state) {
  (void)state;
  struct world *w = world_new(22);
  assert_int_equal(regions_force(&w->t, 2, false), DOM_OK);
  start(w, &ALL_TO_SG);
  plan(w, "+erasing", 10, REFUSE);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done + job.subjects_failed, PEOPLE);
  assert_true(job.subjects_failed > 0);
  assert_int_equal(failures(w), job.subjects_failed);
  struct move_failure f;
  assert_int_equal(mover_job_failures(cn(w), w->job, NULL, keep_failure, &f, NULL), DOM_OK);
  assert_int_equal(f.code, DOM_REFUSED);
  assert_int_equal(f.tries, 1);
  assert_int_equal(f.charter_version, 3);
  assert_non_null(strstr(f.text, "rules.IN"));
  assert_false(failure_is_final(&f, 4)); /* another charter, another try */
  assert_true(failure_is_final(&f, 3));
  world_free(w);
}

static void test_failure_rows(void **state) {
  (void)state;
  struct move_failure f = {.code = DOM_TIMEOUT, .tries = 3, .last_ms = 1000, .charter_version = 2}, back;
  BUF_AUTO value = BUF_INIT;
  uint8_t key[8 + TOKEN_SIZE] = {0, 0, 0, 0, 0, 0, 0, 5, 0xaa};
  snprintf(f.text, sizeof f.text, "no answer");
  f.token[0] = 0xaa;
  failure_encode(&f, &value);
  static const uint8_t WANT[] =
      "\x01\0\x07timeout\0\0\0\x03\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\0\x02\0\x09no answer";
  assert_int_equal(value.len, sizeof WANT - 1);
  assert_memory_equal(value.data, WANT, sizeof WANT - 1);
  assert_int_equal(failure_decode(slice_of(key, sizeof key), buf_slice(&value), &back, NULL), DOM_OK);
  assert_memory_equal(back.token, f.token, TOKEN_SIZE);
  assert_string_equal(back.text, "no answer");
  assert_int_equal(back.code, DOM_TIMEOUT);
  for (size_t len = 0; len < value.len; len++)
    assert_int_equal(failure_decode(slice_of(key, sizeof key), slice_of(value.data, len), &back, NULL),
                     DOM_CORRUPT);
  /* 1 s, 4 s, 16 s, then a minute each; at once when the charter is another */
  assert_int_equal(failure_due_ms(&f, 2), 1000 + 16 * FAIL_PAUSE_MS);
  f.tries = 9;
  assert_int_equal(failure_due_ms(&f, 2), 1000 + FAIL_PAUSE_MS_MAX);
  assert_int_equal(failure_due_ms(&f, 3), 1000 + FAIL_PAUSE_MS);
  assert_false(failure_is_final(&f, 2));
  f.tries = FAIL_TRIES_MAX;
  assert_true(failure_is_final(&f, 2));
  assert_false(failure_is_final(&f, 3));
}

/* ---- changes, deadline, foreground ------------------------------------------------------------------- */

static void test_set(void **state) {
  (void)state;
  struct world *w = world_new(30);
  start(w, &ALL_TO_SG);
  plan(w, "+committed", 2, SLOWER);
  uint64_t began = clock_mono_ns(w->t.clock);
  struct move_job_status job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.spec.rate_bytes_s, 1000);
  assert_true(clock_mono_ns(w->t.clock) - began > UINT64_C(1000000000));
  struct move_change change = {.has_parallel = true, .parallel = MOVE_PARALLEL_MAX + 1};
  assert_int_equal(mover_job_set(cn(w), w->job, &change, NULL), DOM_INVALID);
  change.parallel = 3;
  assert_int_equal(mover_job_set(cn(w), w->job, &change, NULL), DOM_NOT_FOUND); /* it has ended */
  world_free(w);
}

static void test_set_paused(void **state) {
  (void)state;
  struct world *w = world_new(31);
  struct move_change change = {.has_parallel = true, .parallel = 9, .has_deadline = true, .deadline_ms = 77};
  start(w, &ALL_TO_SG);
  plan(w, "+committed", 1, PAUSE);
  run(w);
  assert_int_equal(mover_job_set(cn(w), w->job, &change, NULL), DOM_OK);
  assert_int_equal(status(w).spec.parallel, 9);
  restart(w);
  assert_int_equal(status(w).spec.parallel, 9);
  assert_int_equal(status(w).spec.deadline_ms, 77);
  assert_int_equal(status(w).state, JOB_PAUSED);
  world_free(w);
}

/* A deadline that is past: the job is late, moves more at once, and goes on to its end. */
static void see_late(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+committed") != 0) return;
  struct move_job_status job = status(w);
  if (job.subjects_done == 3) {
    assert_true(job.late_ms > 0);
    assert_int_equal(job.parallel_now, 4 * MOVE_PARALLEL_DEFAULT);
    w->seen = 1;
  }
}

static void test_late(void **state) {
  (void)state;
  struct world *w = world_new(32);
  region_stop(&w->t, CN);
  w->t.fault_point = see_late;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  struct move_spec spec = ALL_TO_SG;
  spec.deadline_ms = clock_wall_ms(w->t.clock) - 1;
  start(w, &spec);
  assert_int_equal(run(w).state, JOB_DONE);
  assert_int_equal(w->seen, 1);
  assert_int_equal(living_at(w, SG), PEOPLE);
  world_free(w);
}

static void test_eta(void **state) {
  (void)state;
  struct eta e = {0};
  assert_int_equal(eta_left_ms(&e, 5000, 10, 10, 100, 100), 0); /* nothing seen yet */
  eta_note(&e, 0, 0, 0);
  assert_int_equal(eta_left_ms(&e, 10000, 0, 0, 100, 100), 0);
  assert_int_equal(eta_left_ms(&e, 10000, 10, 1000, 90, 9000), 90000);
  assert_int_equal(eta_left_ms(&e, 10000, 10, 1000, 10, 9000), 90000); /* bytes are the slower */
  assert_int_equal(eta_left_ms(&e, 10000, 10, 1000, 0, 0), 0);
  /* Only the last minutes count. */
  for (uint64_t i = 1; i <= ETA_SAMPLES; i++) eta_note(&e, i * ETA_EVERY_MS, 1000, 0);
  assert_int_equal(e.count, ETA_SAMPLES);
  assert_int_equal(e.sample[0].subjects, 1000);
  eta_forget(&e);
  assert_int_equal(e.count, 0);
}

/* Clients are about: a worker pauses in proportion to its work, and not while writers are held. */
static unsigned one_client(void *arg) {
  return *(unsigned *)arg;
}

static void test_yield(void **state) {
  (void)state;
  unsigned clients = 1;
  atomic_bool cancel = false;
  struct pace p;
  struct mover m = {.o = {.clock = clock_sim_new(1000000), .clients = one_client, .clients_arg = &clients}};
  pace_init(&p, 0, &cancel);
  clock_sim_advance(m.o.clock, 1);
  pace_begin(&m);
  clock_sim_advance(m.o.clock, 7);
  uint64_t before = clock_mono_ns(m.o.clock);
  assert_true(pace_wait(&p, &m, 100, true));
  assert_int_equal(clock_mono_ns(m.o.clock), before);
  assert_true(pace_wait(&p, &m, 100, false));
  assert_int_equal(clock_mono_ns(m.o.clock) - before, 21 * 1000000);
  assert_int_equal(atomic_load(&p.yielded_ns), 21 * 1000000);
  clock_sim_advance(m.o.clock, 5000); /* a long message: the pause is bounded */
  before = clock_mono_ns(m.o.clock);
  assert_true(pace_wait(&p, &m, 100, false));
  assert_int_equal(clock_mono_ns(m.o.clock) - before, 50 * 1000000);
  clients = 0;
  clock_sim_advance(m.o.clock, 7);
  before = clock_mono_ns(m.o.clock);
  assert_true(pace_wait(&p, &m, 100, false));
  assert_int_equal(clock_mono_ns(m.o.clock), before);
  atomic_store(&cancel, true);
  assert_false(pace_wait(&p, &m, 100, false));
  assert_true(pace_wait(&p, &m, 100, true));
  pace_done(&p);
  clock_sim_free(m.o.clock);
}

/* ---- what it would take ------------------------------------------------------------------------------ */

static bool count_probe_row(void *arg, struct slice key, struct slice value) {
  (void)key, (void)value;
  ++*(int *)arg;
  return true;
}

static int probe_rows(struct world *w, uint16_t at) {
  int rows = 0;
  STORE_VIEW_AUTO *v = NULL;
  assert_int_equal(store_view_open(w->t.region[at].store, &v, NULL), DOM_OK);
  assert_int_equal(store_row_scan(v, STORE_TABLE_META, SLICE_LIT("move-probe"), SLICE_LIT(""),
                                  count_probe_row, &rows, NULL),
                   DOM_OK);
  return rows;
}

/* A rehearsal reads what would go, moves nobody, and leaves nothing at either side. */
static void test_plan(void **state) {
  (void)state;
  struct world *w = world_new(40);
  struct move_prediction p;
  struct move_spec spec = {.country = "IN", .share = {{SG, 50}, {US, 50}}, .share_count = 2};
  assert_int_equal(region_put_large(&w->t, CN, "u3", "film", (3u << 20) + 5, 1), DOM_OK);
  assert_int_equal(mover_job_predict(cn(w), &spec, &p, NULL), DOM_OK);
  assert_int_equal(p.status.subjects, PEOPLE);
  assert_int_equal(p.sampled_subjects, PEOPLE);
  assert_int_equal(p.sampled_bytes, p.status.bytes); /* all of it was read */
  assert_true(p.status.bytes > 3u << 20);
  assert_int_equal(living_at(w, CN), PEOPLE);
  for (uint16_t i = CN; i <= US; i++) assert_int_equal(probe_rows(w, i), 0);
  net_sim_cut(w->t.net, CN, US, true);
  assert_int_equal(mover_job_predict(cn(w), &spec, &p, NULL), DOM_UNAVAILABLE);
  net_sim_cut(w->t.net, CN, US, false);
  assert_int_equal(regions_force(&w->t, 3, true), DOM_OK);
  assert_int_equal(mover_job_predict(cn(w), &spec, &p, NULL), DOM_REFUSED);
  uint8_t wrong[3] = {0};
  BUF_AUTO reply = BUF_INIT;
  assert_int_equal(mover_message(w->t.region[SG].mover, CN, "move/probe", slice_of(wrong, 0), &reply, NULL),
                   DOM_INVALID);
  /* a peer has as many rows as a rehearsal has threads, and they go with the next start if it never says so
   */
  wrong[0] = MOVE_PARALLEL_MAX;
  assert_int_equal(mover_message(w->t.region[SG].mover, CN, "move/probe", slice_of(wrong, 3), &reply, NULL),
                   DOM_INVALID);
  wrong[0] = MOVE_PARALLEL_MAX - 1;
  assert_int_equal(mover_message(w->t.region[SG].mover, CN, "move/probe", slice_of(wrong, 3), &reply, NULL),
                   DOM_OK);
  assert_int_equal(probe_rows(w, SG), 1);
  region_stop(&w->t, SG);
  assert_int_equal(region_start(&w->t, SG, NULL), DOM_OK);
  assert_int_equal(probe_rows(w, SG), 0);
  world_free(w);
}

/* A clock that goes on by itself, a millisecond a look, makes the figures ones that can be reckoned. */
struct walking_clock {
  struct clock base;
  uint64_t ms;
};
static uint64_t walk_ms(struct clock *c) {
  return ((struct walking_clock *)c)->ms;
}
static uint64_t walk_ns(struct clock *c) {
  return ++((struct walking_clock *)c)->ms * 1000000;
}
static void walk_sleep(struct clock *c, uint64_t ms) {
  ((struct walking_clock *)c)->ms += ms;
}

static void test_plan_scales(void **state) {
  (void)state;
  static const struct clock_ops ops = {walk_ms, walk_ns, walk_sleep};
  struct walking_clock walking = {.base = {&ops}, .ms = 1000};
  struct world *w = world_new(41);
  struct mover *m = cn(w);
  struct clock *kept = m->o.clock;
  struct move_prediction p, slow;
  struct move_spec spec = ALL_TO_SG;
  m->o.clock = &walking.base;
  assert_int_equal(mover_job_predict(m, &spec, &p, NULL), DOM_OK);
  assert_true(p.duration_ms > 0 &&
              p.duration_ms <= p.took_ms); /* all were rehearsed, so that is what it takes */
  assert_true(p.duration_ms * 10 > p.took_ms * 6);
  assert_true(p.duration_ms_low <= p.duration_ms && p.duration_ms <= p.duration_ms_high);
  assert_true(p.held_ms_p50 > 0 && p.held_ms_p50 <= p.held_ms_p99);
  assert_false(p.is_rate_bound);
  spec.rate_bytes_s = 1;
  assert_int_equal(mover_job_predict(m, &spec, &slow, NULL), DOM_OK);
  assert_true(slow.is_rate_bound);
  assert_int_equal(slow.duration_ms, slow.status.bytes * 1000);
  assert_int_equal(slow.duration_ms_high, slow.duration_ms);
  m->o.clock = kept;
  world_free(w);
}

/* A row that an older build wrote: version 1. */
static void test_old_row(void **state) {
  (void)state;
  struct move_job_status back;
  struct held_histogram held;
  BUF_AUTO value = BUF_INIT;
  put_u8(&value, 1);
  put_u64be(&value, 4);
  put_u8(&value, JOB_PAUSED);
  buf_append_str(&value, "IN");
  put_u8(&value, 1);
  put_u16be(&value, 2);
  put_u8(&value, 100);
  for (int i = 0; i < 2; i++) put_u64be(&value, 50);
  put_u32be(&value, 6);
  for (int i = 0; i < 9; i++) put_u64be(&value, 10);
  put_bytes16be(&value, SLICE_LIT("why"));
  assert_int_equal(job_decode(buf_slice(&value), &back, &held, NULL), DOM_OK);
  assert_int_equal(back.state, JOB_PAUSED);
  assert_int_equal(back.spec.parallel, 6);
  assert_false(back.spec.has_list);
  assert_int_equal(held.total, 0);
  assert_string_equal(back.last_failure, "why");
}

/* The target is away and, when failures are tried again, the source's disk fails: no failure can be kept any
 * more, so all stay due. The job ends its round all the same, and goes on after a restart. */
static void lose_line_then_disk(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "-copying") != 0) return;
  w->seen++;
  if (w->seen == 1) net_sim_cut(w->t.net, CN, SG, true);
  if (w->seen == PEOPLE + 2) disk_sim_fail_after(w->t.region[CN].disk, 1, DOM_IO);
}

static void test_disk_fails(void **state) {
  (void)state;
  struct world *w = world_new(61);
  region_stop(&w->t, CN);
  w->t.fault_point = lose_line_then_disk;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  start(w, &ALL_TO_SG);
  struct move_job_status job = run(w);
  assert_true(w->seen >= PEOPLE + 2);
  assert_false(store_writable(w->t.region[CN].store));
  assert_int_equal(job.state, JOB_RUNNING);
  net_sim_cut(w->t.net, CN, SG, false);
  region_stop(&w->t, CN);
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, PEOPLE);
  world_free(w);
}

/* The same where nothing is read any more, so that no write is tried: the store has met no failure. */
static void lose_line_then_files(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "-copying") != 0) return;
  w->seen++;
  if (w->seen == 1) net_sim_cut(w->t.net, CN, SG, true);
  if (w->seen == PEOPLE + 2) disk_sim_power_cut(w->t.region[CN].disk);
}

static void test_files_fail(void **state) {
  (void)state;
  struct world *w = world_new(62);
  region_stop(&w->t, CN);
  w->t.fault_point = lose_line_then_files;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  start(w, &ALL_TO_SG);
  struct move_job_status job = run(w);
  assert_true(w->seen >= PEOPLE + 2);
  assert_true(store_writable(w->t.region[CN].store));
  assert_int_equal(job.state, JOB_RUNNING);
  net_sim_cut(w->t.net, CN, SG, false);
  restart(w);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_done, PEOPLE);
  world_free(w);
}

/* … and where the last one, who has moved at the second try, cannot be struck off. */
static void find_line_then_lose_files(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+key-dropped") == 0 && ++w->dropped == PEOPLE) disk_sim_power_cut(w->t.region[CN].disk);
  if (strcmp(step, "-copying") != 0) return;
  w->seen++;
  if (w->seen == 1) net_sim_cut(w->t.net, CN, SG, true);
  if (w->seen == PEOPLE + 1) net_sim_cut(w->t.net, CN, SG, false);
}

static void test_not_struck_off(void **state) {
  (void)state;
  struct world *w = world_new(63);
  region_stop(&w->t, CN);
  w->t.fault_point = find_line_then_lose_files;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  start(w, &ALL_TO_SG);
  struct move_job_status job = run(w);
  assert_true(w->seen >= PEOPLE + 1);
  assert_int_equal(job.state, JOB_RUNNING);
  w->t.fault_point = NULL;
  restart(w);
  job = run(w);
  assert_int_equal(job.state, JOB_DONE);
  assert_int_equal(job.subjects_failed, 0);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pause_is_kept),
                                     cmocka_unit_test(test_pause_taken_back),
                                     cmocka_unit_test(test_cancel_in_each_state),
                                     cmocka_unit_test(test_running_goes_on),
                                     cmocka_unit_test(test_list),
                                     cmocka_unit_test(test_list_refusals),
                                     cmocka_unit_test(test_list_rows),
                                     cmocka_unit_test(test_target_stays_away),
                                     cmocka_unit_test(test_target_comes_back),
                                     cmocka_unit_test(test_refused_is_final),
                                     cmocka_unit_test(test_failure_rows),
                                     cmocka_unit_test(test_set),
                                     cmocka_unit_test(test_set_paused),
                                     cmocka_unit_test(test_late),
                                     cmocka_unit_test(test_eta),
                                     cmocka_unit_test(test_yield),
                                     cmocka_unit_test(test_plan),
                                     cmocka_unit_test(test_plan_scales),
                                     cmocka_unit_test(test_old_row),
                                     cmocka_unit_test(test_disk_fails),
                                     cmocka_unit_test(test_files_fail),
                                     cmocka_unit_test(test_not_struck_off)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
