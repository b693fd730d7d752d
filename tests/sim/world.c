/* The world of one seed: how it begins, what each event does to it, how it comes to rest. */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "move/move_internal.h"
#include "sim.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
static const char *const SUBJECT[SIM_SUBJECTS] = {"asha", "ravi", "ben"};
static const char *const COUNTRY[SIM_SUBJECTS] = {"IN", "IN", "US"};
static const char *const NAME[SIM_NAMES] = {"contacts/k0", "pictures/k1"};

enum {
  START_TRIES = 6,
  SETTLE_ROUNDS = 8,
  SETTLE_MS = 60000,
  STORE_STEPS_MAX = 200,
  CHARTER_LAST = 3,
  CHARTER_FREE = 4, /* lets everybody live everywhere */
  SEGMENT_BYTES = 256 << 10,
  STEPS_MAX = 5000 /* of moves: the longest runs take some hundreds */
};

uint64_t sim_mix(uint64_t a, uint64_t b) {
  uint64_t z = a * 0x9e3779b97f4a7c15u + b;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void sim_find(struct sim *s, const char *format, ...) {
  va_list args;
  if (s->finding[0]) return;
  va_start(args, format);
  vsnprintf(s->finding, sizeof s->finding, format, args);
  va_end(args);
  sim_trace(s, "FOUND: %s", s->finding);
}

void sim_trace(struct sim *s, const char *format, ...) {
  va_list args;
  if (!s->trace) return;
  printf("%4llu %*s", (unsigned long long)s->now, (int)(2 * s->depth), "");
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
}

bool sim_is_up(const struct sim *s, uint16_t region) {
  const struct test_region *r = &s->t.region[region];
  return r->mover && !disk_sim_is_off(r->disk);
}

bool sim_reaches(const struct sim *s, uint16_t from, uint16_t to) {
  return sim_is_up(s, from) && sim_is_up(s, to) && !s->cut[from][to];
}

/* ---- regions ------------------------------------------------------------------------------------------ */

void sim_disk_mend(struct sim *s, uint16_t number) {
  struct disk *disk = s->t.region[number].disk;
  disk_sim_set_free(disk, UINT64_C(1) << 40);
  disk_sim_cut_after(disk, 0);
  disk_sim_fail_after(disk, 0, DOM_IO);
  disk_sim_fail_read_after(disk, 0);
}

void sim_region_end(struct sim *s, uint16_t number, bool power) {
  struct test_region *r = &s->t.region[number];
  assert(s->busy[number] == 0);
  sim_calls_break(s, number);
  bool off = disk_sim_is_off(r->disk);
  if (power && !off) disk_sim_power_cut(r->disk);
  if (power && !off) disk_sim_power_cut(r->keys);
  region_stop(&s->t, number);
  vault_kek_close(r->kek);
  r->kek = NULL;
  disk_sim_cut_after(r->disk, 0);
  disk_sim_fail_after(r->disk, 0, DOM_IO);
  disk_sim_fail_read_after(r->disk, 0);
  if (off) disk_sim_power_cut(r->disk); /* it comes back */
  if (off) disk_sim_power_cut(r->keys);
}

enum dom_code sim_region_begin(struct sim *s, uint16_t number, struct dom_err *err) {
  struct test_region *r = &s->t.region[number];
  enum dom_code code = vault_kek_folder_open(r->keys, "kek", NULL, false, &r->kek, err);
  s->busy[number]++; /* it asks other regions: whatever happens inside must not start it once more */
  if (!code) code = region_start(&s->t, number, err);
  s->busy[number]--;
  return code;
}

/* A start is cut as well, sometimes; in the end it must succeed. */
static void region_restart(struct sim *s, uint16_t number, bool power, uint64_t cut_start) {
  struct test_region *r = &s->t.region[number];
  struct dom_err err = {0};
  if (number == s->doomed) {
    sim_restored_begin(s, number);
    return;
  }
  sim_region_end(s, number, power);
  disk_sim_set_free(r->disk, UINT64_C(1) << 40);
  if (cut_start) disk_sim_cut_after(r->disk, cut_start);
  enum dom_code code = sim_region_begin(s, number, &err);
  for (int i = 0; code && i < START_TRIES && disk_sim_is_off(r->disk); i++) {
    err = (struct dom_err){0};
    sim_region_end(s, number, true);
    code = sim_region_begin(s, number, &err);
  }
  s->count.restarts++;
  if (code) sim_find(s, "region %u does not start: %s: %s", number, err.where, err.text);
  sim_trace(s, "region %u started again", number);
}

/* Those whose power went come back, when the dice say so; none of whose frames is on the stack. */
static void revive(struct sim *s, bool all) {
  for (uint16_t i = 1; i <= s->t.count && !s->finding[0]; i++) {
    bool dead = !sim_is_up(s, i);
    if (s->busy[i] || !dead) continue;
    if (all || sim_mix(s->plan->seed, s->next * 8 + i) % 3 == 0) region_restart(s, i, true, 0);
  }
}

/* ---- what runs inside
 * -------------------------------------------------------------------------------------- */

static void event_run(struct sim *s, const struct sim_event *e);

static bool may_nest(enum sim_kind k) {
  return k != SIM_LATE; /* late messages arrive between calls */
}

/* Between two steps of something: the next event may run here. */
static void inside(struct sim *s) {
  if (s->depth == 0 || s->depth >= SIM_DEPTH_MAX || s->in_call > 1 || s->finding[0]) return;
  s->dice = sim_mix(s->dice, 1);
  if (s->dice % 100 >= s->inside_percent || s->next >= s->plan->count) return;
  const struct sim_event *e = &s->plan->event[s->next];
  if (!may_nest(e->kind)) return;
  s->count.inside++;
  event_run(s, e);
}

static void at_step(void *arg, const char *step) {
  struct sim *s = arg;
  sim_trace(s, ". %s", step);
  if (++s->steps > STEPS_MAX) {
    printf("seed %llu: it does not come to an end\n", (unsigned long long)s->plan->seed);
    fflush(stdout);
    _exit(1);
  }
  sim_judge_step(s);
  sim_restore_at(s, step);
  inside(s);
}

static bool at_message(void *arg, uint16_t from, uint16_t to, bool answer) {
  struct sim *s = arg;
  if (!answer) s->busy[to]++;
  inside(s);
  if (answer) s->busy[to]--;
  return sim_is_up(s, from) && sim_is_up(s, to);
}

/* ---- events
 * ------------------------------------------------------------------------------------------------- */

static void move(struct sim *s, const struct sim_event *e) {
  uint16_t home = 0;
  for (uint16_t i = 1; i <= s->t.count; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    if (!sim_is_up(s, i) || store_view_open(s->t.region[i].store, &v, NULL)) continue;
    if (store_subject_get(v, s->token[e->a], &row, NULL) == DOM_OK && row.state != SUBJECT_MOVED) home = i;
  }
  if (!home) return;
  struct dom_err err = {0};
  s->busy[home]++;
  enum dom_code code = mover_move_subject(s->t.region[home].mover, s->token[e->a], (uint16_t)e->b, &err);
  s->busy[home]--;
  s->count.moves += code == DOM_OK;
  sim_trace(s, "move of %s from %u to %u: %s %s", SUBJECT[e->a], home, e->b, dom_code_name(code), err.text);
}

/* There is one thread: what happens inside something waits for nobody. */
static bool is_locked(pthread_mutex_t *lock) {
  if (pthread_mutex_trylock(lock)) return true;
  pthread_mutex_unlock(lock);
  return false;
}

static void upkeep(struct sim *s, uint16_t at) {
  bool did = false;
  /* a start asks other regions, too; and a job ends with a names purge, as a rotation may */
  if (s->in_upkeep[at] || s->in_rotation[at] || is_locked(&s->t.region[at].mover->quarantine.lock)) return;
  s->in_upkeep[at] = true;
  s->busy[at]++;
  (void)mover_upkeep(s->t.region[at].mover, &did, NULL);
  (void)subject_upkeep(s->t.region[at].subjects, NULL);
  s->busy[at]--;
  s->in_upkeep[at] = false;
  sim_accept_loss(s, at);
}

static void store_steps(struct sim *s, uint16_t at, uint32_t steps) {
  bool did = true;
  s->busy[at]++;
  for (uint32_t i = 0; i < steps && did; i++)
    if (store_upkeep(s->t.region[at].store, &did, NULL)) break;
  s->busy[at]--;
}

static void job(struct sim *s, const struct sim_event *e) {
  struct move_job_status status;
  uint32_t share = e->d % 101;
  uint16_t other = (uint16_t)(1 + e->d % s->t.count);
  struct move_spec spec = {.country = "IN", .share_count = 1, .share = {{(uint16_t)e->b, 100}}};
  if (other != e->b && share > 0 && share < 100) {
    spec.share[0].percent = (uint8_t)share;
    spec.share[1].region = other;
    spec.share[1].percent = (uint8_t)(100 - share);
    spec.share_count = 2;
  }
  enum dom_code code = mover_job_start(s->t.region[e->a].mover, &spec, &status, NULL);
  sim_trace(s, "job: %s", dom_code_name(code));
}

static bool job_cancel(void *arg, const struct move_job_status *j) {
  uint64_t *id = arg;
  if (j->state == JOB_RUNNING) *id = j->id;
  return true;
}

static void cancel(struct sim *s, uint16_t at) {
  uint64_t id = 0;
  if (mover_job_each(s->t.region[at].mover, job_cancel, &id, NULL) == DOM_OK && id)
    (void)mover_job_cancel(s->t.region[at].mover, id, NULL);
}

static void rotate(struct sim *s, uint16_t at, bool purge) {
  /* also a job ends with a names purge */
  if (s->in_rotation[at] || is_locked(&s->t.region[at].mover->rotate_lock)) return;
  s->in_rotation[at] = true;
  s->busy[at]++;
  enum dom_code code = purge ? mover_purge_names(s->t.region[at].mover, NULL)
                             : mover_rotate_kek(s->t.region[at].mover, NULL, NULL, NULL, NULL);
  s->busy[at]--;
  s->in_rotation[at] = false;
  sim_trace(s, "%s at %u: %s", purge ? "names purge" : "KEK rotation", at, dom_code_name(code));
}

static void charter_give(struct sim *s, uint16_t at, uint32_t version) {
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  if (version == 3 && s->t.count < REGIONS_MAX) return;
  regions_charter(&s->t, (int)version, &yaml);
  charter_sign(buf_slice(&yaml), s->t.charter_seed, &signature);
  s->busy[at]++;
  enum dom_code code =
      subject_charter_put(s->t.region[at].subjects, buf_slice(&yaml), buf_slice(&signature), true, NULL);
  s->busy[at]--;
  sim_trace(s, "charter %u at %u: %s", version, at, dom_code_name(code));
}

static uint32_t charter_at(struct sim *s, uint16_t at) {
  struct charter *c = subject_charter(s->t.region[at].subjects);
  uint32_t version = c ? (uint32_t)charter_version(c) : 0;
  charter_release(c);
  return version;
}

static void fault(struct sim *s, const struct sim_event *e) {
  struct test_region *r = &s->t.region[e->a];
  if (e->kind == SIM_CUT_POWER) disk_sim_cut_after(r->disk, e->b);
  if (e->kind == SIM_FULL) disk_sim_set_free(r->disk, e->b ? UINT64_C(1) << 40 : 0);
  if (e->kind != SIM_FAIL_DISK) return;
  if (e->d % 3 == 2)
    disk_sim_fail_read_after(r->disk, e->b);
  else
    disk_sim_fail_after(r->disk, e->b, e->d % 3 ? DOM_NO_SPACE : DOM_IO);
}

/* Those that need no region to be up. */
static bool event_of_world(struct sim *s, const struct sim_event *e) {
  switch (e->kind) {
  case SIM_CALL:
    sim_call_begin(s, e, e->e);
    return true;
  case SIM_STEP:
    if (s->pending[e->a]) sim_call_step(s, s->pending[e->a]);
    return true;
  case SIM_MOVE:
    move(s, e);
    return true;
  case SIM_LOOK:
    (void)sim_look(s, e->a, (uint16_t)e->b);
    return true;
  case SIM_RESTART:
    if (!s->busy[e->a] && !s->in_call)
      region_restart(s, (uint16_t)e->a, e->b, e->d % 3 == 0 ? 1 + e->d % 200 : 0);
    return true;
  case SIM_BACK_UP:
    sim_back_up(s, (uint16_t)e->a);
    return true;
  case SIM_RESTORE:
    sim_restore(s, (uint16_t)e->a);
    return true;
  case SIM_PART:
    if (e->a == e->b) return true;
    s->cut[e->a][e->b] = s->cut[e->b][e->a] = !e->c;
    net_sim_cut(s->t.net, (uint16_t)e->a, (uint16_t)e->b, !e->c);
    return true;
  case SIM_ROUGH:
    net_sim_chances(s->t.net, e->a, e->b, e->c);
    net_sim_spoil(s->t.net, e->a); /* a net that loses much is a bad one */
    return true;
  case SIM_LATE:
    net_sim_deliver_late(s->t.net);
    return true;
  case SIM_TIME:
    clock_sim_advance(s->t.clock, e->a);
    return true;
  case SIM_JUMP:
    clock_sim_jump_wall(s->t.clock, (e->b ? -1000 : 1000) * (int64_t)e->a);
    return true;
  default:
    return false;
  }
}

static void event_of_region(struct sim *s, const struct sim_event *e) {
  uint16_t at = (uint16_t)e->a;
  if (!sim_is_up(s, at)) return;
  if (e->kind == SIM_UPKEEP) upkeep(s, at);
  if (e->kind == SIM_STORE) store_steps(s, at, e->b);
  if (e->kind == SIM_JOB) job(s, e);
  if (e->kind == SIM_CANCEL) cancel(s, at);
  if (e->kind == SIM_ROTATE || e->kind == SIM_PURGE) rotate(s, at, e->kind == SIM_PURGE);
  if (e->kind == SIM_DOUBT) sim_doubt(s, at);
  if (e->kind == SIM_CHARTER && charter_at(s, at) < CHARTER_LAST) charter_give(s, at, charter_at(s, at) + 1);
  if (e->kind == SIM_CUT_POWER || e->kind == SIM_FAIL_DISK || e->kind == SIM_FULL) fault(s, e);
}

static void event_run(struct sim *s, const struct sim_event *e) {
  uint64_t dice = s->dice;
  uint32_t percent = s->inside_percent;
  assert(s->next < s->plan->count && e == &s->plan->event[s->next]);
  s->next++;
  s->dice = e->salt;
  s->inside_percent = e->kind == SIM_MOVE || e->kind == SIM_UPKEEP ? e->c : e->c / 4;
  if (s->trace) {
    printf("%4llu %*s", (unsigned long long)s->now, (int)(2 * s->depth), "");
    sim_event_print(e, stdout);
    putchar('\n');
  }
  s->depth++;
  if (!event_of_world(s, e)) event_of_region(s, e);
  s->depth--;
  s->dice = dice;
  s->inside_percent = percent;
}

/* ---- beginning, rest, end
 * --------------------------------------------------------------------------------------- */

static void buckets_make(struct sim *s) {
  struct subject_bucket want = {.region = 1}, have;
  regions_bucket(&s->t);
  snprintf(want.name, sizeof want.name, "films");
  snprintf(want.owner, sizeof want.owner, "phones-inc");
  snprintf(want.layout_text, sizeof want.layout_text, "kept/{subject}/");
  enum dom_code code = subject_bucket_create(s->t.region[1].subjects, &want, &have, NULL);
  assert(code == DOM_OK);
  (void)code;
}

static void world_open(struct sim *s) {
  s->t.fault_point = at_step;
  s->t.message = at_message;
  s->t.fault_arg = s;
  s->t.segment_bytes = SEGMENT_BYTES;
  regions_open(&s->t, s->plan->regions, s->plan->seed, 1);
  buckets_make(s);
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) {
    struct subject_who who;
    uint16_t home = i < SIM_COUNTRY_IN ? 1 : 2; /* as the first charter says */
    enum dom_code code =
        subject_register(s->t.region[home].subjects, TENANT, slice_str(SUBJECT[i]), COUNTRY[i], &who, NULL);
    assert(code == DOM_OK);
    (void)code;
    memcpy(s->token[i], who.token, TOKEN_SIZE);
  }
  for (uint32_t i = 0; i < SIM_KEYS; i++) {
    struct sim_key *k = &s->key[i];
    k->subject = i % SIM_SUBJECTS;
    k->bucket = i / SIM_SUBJECTS % SIM_BUCKETS;
    snprintf(k->name, sizeof k->name, "%s%s/%s", k->bucket ? "kept/" : "", SUBJECT[k->subject],
             NAME[i / SIM_SUBJECTS / SIM_BUCKETS]);
  }
}

static void heal(struct sim *s) {
  uint32_t newest = 0;
  sim_calls_break(s, 0);
  net_sim_chances(s->t.net, 0, 0, 0);
  net_sim_spoil(s->t.net, 0);
  for (uint16_t i = 1; i <= s->t.count; i++)
    for (uint16_t k = 1; k < i; k++) {
      s->cut[i][k] = s->cut[k][i] = false;
      net_sim_cut(s->t.net, i, k, false);
    }
  revive(s, true);
  for (uint16_t i = 1; i <= s->t.count && !s->finding[0]; i++) {
    sim_disk_mend(s, i);
    region_restart(s, i, false, 0); /* one whose disk had failed takes no writes until then */
  }
  for (uint16_t i = 1; i <= s->t.count && !s->finding[0]; i++)
    if (charter_at(s, i) > newest) newest = charter_at(s, i);
  for (uint16_t i = 1; i <= s->t.count && !s->finding[0]; i++) charter_give(s, i, newest);
  if (!s->finding[0]) net_sim_deliver_late(s->t.net);
}

static void settle_rounds(struct sim *s) {
  for (int round = 0; round < SETTLE_ROUNDS && !s->finding[0]; round++) {
    clock_sim_advance(s->t.clock, SETTLE_MS);
    for (uint16_t i = 1; i <= s->t.count; i++) upkeep(s, i);
    for (uint16_t i = 1; i <= s->t.count; i++) cancel(s, i);
  }
}

static void settle(struct sim *s) {
  settle_rounds(s);
  if (!s->finding[0] && sim_waits_for_charter(s)) {
    for (uint16_t i = 1; i <= s->t.count; i++) charter_give(s, i, CHARTER_FREE);
    settle_rounds(s);
  }
  for (uint16_t i = 1; i <= s->t.count; i++) store_steps(s, i, STORE_STEPS_MAX);
}

static void world_close(struct sim *s) {
  for (size_t i = 0; i < s->op_count; i++) dom_free(s->seen[i]);
  sim_backup_free(s);
  regions_close(&s->t);
}

bool sim_run(const struct sim_plan *plan, bool trace, struct sim *s) {
  *s = (struct sim){.plan = plan, .trace = trace};
  world_open(s);
  while (s->next < plan->count && !s->finding[0]) {
    event_run(s, &plan->event[s->next]);
    if (!s->finding[0]) sim_judge_event(s);
    revive(s, false);
  }
  s->next = plan->count;
  if (!s->finding[0]) heal(s);
  if (!s->finding[0]) settle(s);
  if (!s->finding[0]) sim_judge_rest(s);
  if (!s->finding[0]) sim_judge_histories(s);
  bool good = !s->finding[0];
  if (good) world_close(s); /* a world with a bug in it may not even close; the process ends */
  return good;
}
