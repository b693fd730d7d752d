/* A job's run: passes over whom it selects, workers that move them, retries, its end. What is left to do is
 * read off the subjects' rows, so a job goes on after any crash by scanning again. */
#include <assert.h>
#include <time.h>

#include "move/job_run.h"

enum {
  JOB_PASSES = 3,         /* over the whole selection: who comes while one runs is met by the next */
  JOB_PERSIST_EVERY = 64, /* subjects between two writes of the counters, … */
  JOB_PERSIST_MS = 10000, /* … or time, for subjects that take long */
  JOB_TICK_MS = 200,      /* how often a job looks at its speed, and notices a wish at the latest */
  JOB_STEP_MS = 20,       /* how soon a worker that stands back looks again */
  JOB_AWAY_MS = 500,      /* a target that did not answer is asked again after; twice as long each time … */
  JOB_AWAY_MS_MAX = 30 * 1000, /* … but not longer */
  JOB_CONFIRM_TRIES = 60,      /* with the pause below a minute: a target that restarts is waited for … */
  JOB_CONFIRM_PAUSE_MS = 1000, /* … one that stays away is left to upkeep */
  JOB_BACK_IN_TIME = 20        /* a job is late no more once a twentieth of the time left is spare */
};

static bool is_halted(struct job *j) {
  return atomic_load(&j->halted) || atomic_load(&j->m->stopping);
}

/* Sleeps in steps; false: the job is to halt instead. */
static bool job_sleep(struct job *j, uint64_t ms) {
  uint64_t until = job_now_ms(j) + ms;
  for (uint64_t now = job_now_ms(j); now < until && !is_halted(j); now = job_now_ms(j))
    clock_sleep_ms(j->m->o.clock, until - now < JOB_TICK_MS ? until - now : JOB_TICK_MS);
  return !is_halted(j);
}

/* ---- counters and speed --------------------------------------------------------------------- */

enum dom_code job_persist(struct job *j, struct dom_err *err) {
  assert(j->status.id > 0);
  j->persisted_ms = job_now_ms(j);
  return job_put(j->m, &j->status, &j->held, err);
}

void job_refresh(struct job *j) {
  struct move_job_status *s = &j->status;
  uint64_t now = job_now_ms(j), wall = clock_wall_ms(j->m->o.clock), sent = atomic_load(&j->pace.bytes);
  if (j->rate_at_ms == 0 || now - j->rate_at_ms >= JOB_RATE_WINDOW_MS) {
    if (j->rate_at_ms) s->rate_now = (sent - j->rate_bytes) * 1000 / (now - j->rate_at_ms);
    j->rate_at_ms = now;
    j->rate_bytes = sent;
  }
  uint64_t gone = s->subjects_done + s->subjects_failed;
  uint64_t left = s->subjects > gone ? s->subjects - gone : 0;
  uint64_t bytes_left = s->bytes > s->bytes_done ? s->bytes - s->bytes_done : 0;
  s->left_ms = eta_left_ms(&j->eta, now, s->subjects_done, s->bytes_done, left, bytes_left);
  uint64_t end = wall + s->left_ms;
  s->late_ms = s->spec.deadline_ms && end > s->spec.deadline_ms ? end - s->spec.deadline_ms : 0;
  s->yielded_ms = atomic_load(&j->pace.yielded_ns) / 1000000;
  s->in_flight = atomic_load(&j->in_flight);
  s->parallel_now = atomic_load(&j->wanted);
}

/* A late job moves more at once, within a bound; it stays behind clients and its rate all the same. */
static void set_wanted(struct job *j) {
  const struct move_job_status *s = &j->status;
  uint32_t asked = job_parallel(j), more = asked * JOB_LATE_FACTOR;
  uint64_t wall = clock_wall_ms(j->m->o.clock), deadline = s->spec.deadline_ms;
  if (more > MOVE_PARALLEL_MAX) more = MOVE_PARALLEL_MAX;
  bool hurries = atomic_load(&j->wanted) > asked;
  uint64_t spare = deadline > wall ? (deadline - wall) / JOB_BACK_IN_TIME : 0;
  bool late = s->late_ms > 0 || (hurries && deadline && wall + s->left_ms + spare > deadline);
  atomic_store(&j->wanted, late ? more : asked);
}

/* With the lock held. */
static void tick(struct job *j) {
  uint64_t now = job_now_ms(j);
  eta_note(&j->eta, now, j->status.subjects_done, j->status.bytes_done);
  job_refresh(j);
  set_wanted(j);
  bool over = j->status.state == JOB_PAUSED && now >= j->paused_ms + MOVE_PAUSE_GRACE_MS;
  if (over) atomic_store(&j->give_up, true);
  if (now >= j->persisted_ms + JOB_PERSIST_MS) job_persist(j, NULL);
}

/* ---- picking ----------------------------------------------------------------------------------- */

struct pick {
  struct job *j;
  struct store_view *v;
  bool some_failed;
  uint64_t now_ms, charter_version;
};

static bool queue_one(struct job *j, const uint8_t token[TOKEN_SIZE]) {
  assert(j->queue_len < JOB_QUEUE);
  struct picked *to = &j->queue[j->queue_len++];
  memcpy(to->token, token, TOKEN_SIZE);
  to->to = job_target(&j->status.spec, token);
  return j->queue_len < JOB_QUEUE;
}

/* Those that failed are for the passes over failures. */
static bool pick_subject(void *arg, const struct store_subject *row) {
  struct pick *p = arg;
  struct move_failure f;
  if (p->some_failed && failure_get(p->v, p->j->status.id, row->token, &f, NULL) != DOM_NOT_FOUND)
    return true;
  return queue_one(p->j, row->token);
}

static bool pick_failure(void *arg, const struct move_failure *f) {
  struct pick *p = arg;
  memcpy(p->j->cursor.last, f->token, TOKEN_SIZE);
  p->j->cursor.begun = true;
  bool is_due = failure_due_ms(f, p->charter_version) <= p->now_ms || f->last_ms > p->now_ms;
  if (failure_is_final(f, p->charter_version) || !is_due) return true;
  return queue_one(p->j, f->token);
}

static enum dom_code pick_failures(struct job *j, struct pick *p, struct dom_err *err) {
  uint8_t after[TOKEN_SIZE];
  memcpy(after, j->cursor.last, TOKEN_SIZE);
  enum dom_code code = failure_scan(p->v, j->status.id, j->cursor.begun ? after : NULL, pick_failure, p, err);
  j->cursor.over = !code && j->queue_len < JOB_QUEUE;
  return code;
}

/* The next batch, with pick_lock held. */
static void refill(struct job *j) {
  struct mover *m = j->m;
  struct pick p = {.j = j, .now_ms = clock_wall_ms(m->o.clock), .charter_version = mover_charter_version(m)};
  pthread_mutex_lock(&j->lock);
  p.some_failed = j->status.subjects_failed > 0;
  struct move_spec spec = j->status.spec; /* rate and deadline may change meanwhile */
  pthread_mutex_unlock(&j->lock);
  j->queue_len = j->queue_next = 0;
  STORE_VIEW_AUTO *v = NULL;
  j->pick_code = store_view_open(m->o.store, &v, &j->pick_err);
  p.v = v;
  if (!j->pick_code && j->retries) j->pick_code = pick_failures(j, &p, &j->pick_err);
  if (!j->pick_code && !j->retries)
    j->pick_code = job_select(m, v, &spec, j->status.id, NULL, &j->cursor, pick_subject, &p, &j->pick_err);
  j->picked += j->queue_len;
}

static bool take_next(struct job *j, struct picked *out) {
  pthread_mutex_lock(&j->pick_lock);
  while (!is_halted(j) && j->queue_next == j->queue_len && !j->cursor.over && !j->pick_code) refill(j);
  assert(j->queue_next <= j->queue_len && j->queue_len <= JOB_QUEUE);
  bool have = j->queue_next < j->queue_len && !is_halted(j);
  if (have) *out = j->queue[j->queue_next++];
  if (!have && !is_halted(j)) atomic_store(&j->pass_over, true);
  pthread_mutex_unlock(&j->pick_lock);
  return have;
}

/* ---- workers ------------------------------------------------------------------------------------ */

static void note_moved(struct job *j, const struct source_result *r) {
  pthread_mutex_lock(&j->lock);
  j->status.subjects_done++;
  j->status.objects_done += r->objects;
  j->status.bytes_done += r->bytes;
  held_add(&j->held, r->held_ms);
  j->status.held_ms_p99 = held_percentile(&j->held, 99);
  j->away_ms = 0;
  if (j->status.subjects_done % JOB_PERSIST_EVERY == 0) job_persist(j, NULL);
  pthread_mutex_unlock(&j->lock);
}

/* It lives elsewhere now, or is erased: no failure any more. */
static void forget_failure(struct job *j, const struct picked *p) {
  bool had = false;
  pthread_mutex_lock(&j->lock);
  bool some = j->status.subjects_failed > 0;
  pthread_mutex_unlock(&j->lock);
  if (some && failure_clear(j->m, j->status.id, p->token, &had, NULL) != DOM_OK)
    atomic_store(&j->unkept, true);
  if (!had) return;
  pthread_mutex_lock(&j->lock);
  j->status.subjects_failed--;
  pthread_mutex_unlock(&j->lock);
}

static void note_failed(struct job *j, const struct picked *p, enum dom_code code,
                        const struct dom_err *err) {
  bool is_new = false, away = code == DOM_UNAVAILABLE || code == DOM_TIMEOUT;
  if (failure_note(j->m, j->status.id, p->token, code, err->text, &is_new, NULL) != DOM_OK)
    atomic_store(&j->unkept, true);
  pthread_mutex_lock(&j->lock);
  if (is_new) j->status.subjects_failed++;
  memcpy(j->status.last_failure, err->text, sizeof j->status.last_failure);
  if (away) {
    j->away_ms = j->away_ms ? j->away_ms * 2 : JOB_AWAY_MS;
    if (j->away_ms > JOB_AWAY_MS_MAX) j->away_ms = JOB_AWAY_MS_MAX;
    atomic_store(&j->away_until_ms, job_now_ms(j) + j->away_ms);
  }
  pthread_mutex_unlock(&j->lock);
}

static void note_result(struct job *j, const struct picked *p, enum dom_code code,
                        const struct source_result *r, const struct dom_err *err) {
  if (code == DOM_OK || r->committed) note_moved(j, r);
  if (code == DOM_OK || r->committed || code == DOM_ELSEWHERE || code == DOM_NOT_FOUND)
    forget_failure(j, p);
  else if (code != DOM_CANCELLED)
    note_failed(j, p, code, err);
}

/* Whether this worker may take another subject: not beyond the parallelism of now, not in quarantine or while
 * a target is away, and only a few of them while clients are about. */
static bool wait_turn(struct job *j, uint32_t index) {
  for (;;) {
    uint32_t wanted = atomic_load(&j->wanted), few = wanted / JOB_CLIENTS_SHARE;
    if (is_halted(j) || atomic_load(&j->pass_over) || index >= wanted) return false;
    bool is_away = job_now_ms(j) < atomic_load(&j->away_until_ms);
    bool is_full = index >= (few ? few : 1) && pace_has_clients(j->m);
    bool is_held = quarantine_holds(j->m) && !j->m->o.inline_threads; /* there, upkeep does not come here */
    if (!is_away && !is_full && !is_held) return true;
    clock_sleep_ms(j->m->o.clock, JOB_STEP_MS);
    if (is_full) atomic_fetch_add(&j->pace.yielded_ns, JOB_STEP_MS * UINT64_C(1000000));
  }
}

static void work(struct job *j, uint32_t index) {
  struct picked p;
  pace_begin(j->m);
  while (wait_turn(j, index) && take_next(j, &p)) {
    struct source_result result = {0};
    struct dom_err err = {0};
    atomic_fetch_add(&j->in_flight, 1);
    enum dom_code code = source_move(j->m, p.token, p.to, &j->pace, &result, &err);
    note_result(j, &p, code, &result, &err);
    atomic_fetch_sub(&j->in_flight, 1);
    pace_yield(&j->pace, j->m);
    if (!j->m->o.inline_threads) continue;
    pthread_mutex_lock(&j->lock);
    tick(j);
    pthread_mutex_unlock(&j->lock);
  }
}

static void *worker_main(void *arg) {
  struct job_worker *w = arg;
  work(w->job, w->index);
  pthread_mutex_lock(&w->job->lock);
  w->ended = true;
  pthread_cond_signal(&w->job->news);
  pthread_mutex_unlock(&w->job->lock);
  return NULL;
}

/* Joins who has ended and starts who is missing. Returns: how many there are. With the lock held. */
static uint32_t tend_workers(struct job *j) {
  uint32_t count = 0, wanted = atomic_load(&j->wanted);
  bool more = !is_halted(j) && !atomic_load(&j->pass_over);
  for (uint32_t i = 0; i < MOVE_PARALLEL_MAX; i++) {
    struct job_worker *w = &j->worker[i];
    if (w->used && w->ended) {
      pthread_join(w->thread, NULL);
      w->used = false;
    }
    if (!w->used && more && i < wanted) {
      *w = (struct job_worker){.job = j, .index = i};
      w->used = pthread_create(&w->thread, NULL, worker_main, w) == 0;
    }
    count += w->used;
  }
  return count;
}

static void wait_news(struct job *j) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until); /* only outside of simulations */
  until.tv_nsec += JOB_TICK_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  pthread_cond_timedwait(&j->news, &j->lock, &until);
}

static void run_workers(struct job *j) {
  if (j->m->o.inline_threads) {
    work(j, 0);
    return;
  }
  pthread_mutex_lock(&j->lock);
  while (tend_workers(j) > 0) {
    wait_news(j);
    tick(j);
  }
  pthread_mutex_unlock(&j->lock);
  if (!atomic_load(&j->pass_over)) work(j, 0); /* not a single thread could be had; or it halts */
}

/* One pass: over all that are still here, or over the failures that are due. *out_picked: how many. */
static enum dom_code run_pass(struct job *j, bool retries, uint64_t *out_picked, struct dom_err *err) {
  pthread_mutex_lock(&j->pick_lock);
  j->cursor = (struct job_cursor){0};
  j->queue_len = j->queue_next = 0;
  j->retries = retries;
  j->picked = 0;
  j->pick_code = DOM_OK;
  j->pick_err = (struct dom_err){0};
  atomic_store(&j->pass_over, false);
  pthread_mutex_unlock(&j->pick_lock);
  store_drain_begin(j->m->o.store);
  run_workers(j);
  store_drain_end(j->m->o.store);
  assert(is_halted(j) || atomic_load(&j->cut) || j->pick_code || j->queue_next == j->queue_len);
  *out_picked = j->picked;
  if (j->pick_code) return dom_fail(err, j->pick_code, "move/job: pick", "%s", j->pick_err.text);
  return DOM_OK;
}

/* ---- failures ------------------------------------------------------------------------------------ */

struct next {
  uint64_t charter_version, at_ms, count;
  bool has;
};

static bool see_failure(void *arg, const struct move_failure *f) {
  struct next *n = arg;
  n->count++;
  if (failure_is_final(f, n->charter_version)) return true;
  uint64_t due = failure_due_ms(f, n->charter_version);
  if (!n->has || due < n->at_ms) n->at_ms = due;
  n->has = true;
  return true;
}

/* When a failure is to be tried again, if any is; and how many there are, which a crash can have made another
 * number than was counted. */
static enum dom_code next_retry(struct job *j, struct next *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  *out = (struct next){.charter_version = mover_charter_version(j->m)};
  enum dom_code code = store_view_open(j->m->o.store, &v, err);
  if (!code) code = failure_scan(v, j->status.id, NULL, see_failure, out, err);
  if (code) return code;
  pthread_mutex_lock(&j->lock);
  j->status.subjects_failed = out->count;
  pthread_mutex_unlock(&j->lock);
  return DOM_OK;
}

static enum dom_code run_retries(struct job *j, struct dom_err *err) {
  struct next n = {.has = true};
  enum dom_code code = DOM_OK;
  uint64_t picked = 0;
  while (!code && n.has && !is_halted(j)) {
    code = next_retry(j, &n, err);
    if (code || !n.has) continue;
    uint64_t now = clock_wall_ms(j->m->o.clock), wait = n.at_ms > now ? n.at_ms - now : 0;
    if (wait > FAIL_PAUSE_MS_MAX) wait = FAIL_PAUSE_MS_MAX; /* the clock was set back */
    if (wait && !job_sleep(j, wait)) continue;
    atomic_store(&j->unkept, false);
    code = run_pass(j, true, &picked, err);
    /* When failures cannot be kept, or struck off, they stay due. */
    if (!code && atomic_load(&j->unkept))
      code = dom_fail(
          err, DOM_READ_ONLY, "move/job: retry",
          "failures cannot be written down, the disk is full or failed: the job goes on in a minute where "
          "it can, else when this region starts again");
  }
  return code;
}

/* ---- the end of a job ------------------------------------------------------------------------ */

struct unconfirmed {
  struct mover *m;
  const struct move_spec *spec;
  struct handoff found; /* the last one seen */
  uint64_t count;
};

static bool see_unconfirmed(void *arg, const struct handoff *h) {
  struct unconfirmed *u = arg;
  bool open = h->state == HANDOFF_COMMITTED || h->state == HANDOFF_ERASING;
  bool mine = u->spec->has_list || memcmp(h->country, u->spec->country, 2) == 0;
  if (h->side != HANDOFF_SOURCE || !open || !mine || token_set_has(&u->m->running, h->token)) return true;
  u->found = *h;
  u->count++;
  return true;
}

/* Subjects that left but whose copy is still here: brought to their end, or counted in *out_left. */
static enum dom_code confirm_once(struct job *j, uint64_t *out_left, struct dom_err *err) {
  struct unconfirmed u = {.m = j->m, .spec = &j->status.spec};
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(j->m->o.store, &v, err);
  if (!code) code = handoff_scan(v, NULL, see_unconfirmed, &u, err);
  store_view_close(v);
  v = NULL;
  *out_left = u.count;
  if (code || u.count == 0) return code;
  return source_resume(j->m, &u.found, NULL) == DOM_OK ? DOM_RETRY : DOM_OK;
}

/* A job has not ended while a target has yet to confirm: the old copies are still here. */
static enum dom_code confirm_all(struct job *j, struct dom_err *err) {
  uint64_t left = 1;
  enum dom_code code = DOM_OK;
  for (int failed = 0; left > 0 && failed < JOB_CONFIRM_TRIES && !is_halted(j);) {
    code = confirm_once(j, &left, err);
    if (code && code != DOM_RETRY) return code;
    if (code == DOM_RETRY || left == 0) continue;
    failed++;
    clock_sleep_ms(j->m->o.clock, JOB_CONFIRM_PAUSE_MS);
  }
  if (left == 0 || is_halted(j)) return DOM_OK;
  return dom_fail(
      err, DOM_UNAVAILABLE, "move/job: confirm",
      "%llu subjects moved, but their targets did not confirm: the copies here are kept until they do",
      (unsigned long long)left);
}

/* Counters are written now and then; after a crash, who is left tells how many are done. */
static enum dom_code recount(struct job *j, struct dom_err *err) {
  struct move_job_status left = {0};
  struct next n;
  pthread_mutex_lock(&j->lock);
  struct move_spec spec = j->status.spec;
  pthread_mutex_unlock(&j->lock);
  /* The charter's word on a list's countries is asked again for each subject. */
  enum dom_code code = job_count(j->m, &spec, j->status.id, NULL, false, &left, NULL);
  if (code && code != DOM_REFUSED) return dom_fail(err, code, "move/job: count", "cannot count who is left");
  if (!code) {
    pthread_mutex_lock(&j->lock);
    struct move_job_status *s = &j->status;
    uint64_t done = s->subjects > left.subjects ? s->subjects - left.subjects : 0;
    if (done > s->subjects_done) s->subjects_done = done;
    eta_forget(&j->eta);
    eta_note(&j->eta, job_now_ms(j), s->subjects_done, s->bytes_done);
    pthread_mutex_unlock(&j->lock);
  }
  return next_retry(j, &n, err);
}

static enum dom_code run_once(struct job *j, struct dom_err *err) {
  uint64_t picked = 1;
  enum dom_code code = recount(j, err);
  for (int i = 0; !code && picked > 0 && i < JOB_PASSES && !is_halted(j); i++)
    code = run_pass(j, false, &picked, err);
  if (!code) code = run_retries(j, err);
  if (!code) code = confirm_all(j, err);
  if (!code && !is_halted(j)) code = mover_purge_names(j->m, err);
  return code;
}

/* Whether it is over, for now or for good. A pause that was taken back before anybody noticed is none. */
static bool settle(struct job *j, enum dom_code code, const struct dom_err *err) {
  if (atomic_load(&j->m->stopping)) return true; /* stays as it is: the next start goes on */
  pthread_mutex_lock(&j->lock);
  if (code == DOM_READ_ONLY && j->status.state == JOB_RUNNING) {
    memcpy(j->status.last_failure, err->text, sizeof err->text);
    pthread_mutex_unlock(&j->lock);
    return true; /* the same */
  }
  struct move_job_status *s = &j->status;
  bool again = s->state == JOB_RUNNING && atomic_load(&j->cut);
  if (!again && s->state == JOB_RUNNING) s->state = JOB_DONE;
  if (!again && s->state != JOB_PAUSED) s->ended_ms = clock_wall_ms(j->m->o.clock);
  if (!again && code && s->state == JOB_DONE) memcpy(s->last_failure, err->text, sizeof err->text);
  if (!again && !code && s->state == JOB_DONE && s->subjects_failed == 0) s->last_failure[0] = 0;
  if (!again) job_persist(j, NULL);
  bool drop = s->spec.has_list && s->state != JOB_PAUSED && !again;
  j->finished = !again && !drop;
  pthread_mutex_unlock(&j->lock);
  if (!drop) return !again;
  list_drop(j->m, s->id, NULL); /* else the next start does */
  pthread_mutex_lock(&j->lock);
  j->finished = true;
  pthread_mutex_unlock(&j->lock);
  return true;
}

/* Whether the disk may take writes again without a restart; after a pause. Upkeep comes again where it runs
 * jobs. */
static bool waits_for_disk(struct job *j) {
  if (j->m->o.inline_threads || !store_writable(j->m->o.store)) return false;
  (void)job_sleep(j, FAIL_PAUSE_MS_MAX);
  return !atomic_load(&j->m->stopping);
}

void job_run(struct job *j) {
  bool over = false;
  while (!over) {
    struct dom_err err = {0};
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->cut, atomic_load(&j->halted));
    pthread_mutex_unlock(&j->lock);
    enum dom_code code = run_once(j, &err);
    over = settle(j, code, &err);
    if (over && code == DOM_READ_ONLY) over = !waits_for_disk(j);
  }
}
