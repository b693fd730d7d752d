/* The job runner: one thread walks the subjects of each running job, `parallel` workers move them. What is
 * left to do is read off the subjects' rows, so a job resumes after any crash by scanning again. */
#include <assert.h>

#include "move/job.h"

enum {
  JOBS_MAX = 16,               /* running at once; a region moves a country or two at a time */
  JOB_QUEUE = 256,             /* subjects picked per scan */
  JOB_ROUNDS = 3,              /* how often a failed subject is tried before it stays failed */
  JOB_ROUND_PAUSE_MS = 1000,   /* before they are tried again: upkeep may be settling what a crash left */
  JOB_PERSIST_EVERY = 64,      /* subjects between two writes of the counters */
  JOB_CONFIRM_TRIES = 60,      /* with the pause below a minute: a target that restarts is waited for … */
  JOB_CONFIRM_PAUSE_MS = 1000, /* … one that stays away is left to upkeep */
  JOB_RATE_WINDOW_MS = 2000
};

struct picked {
  uint8_t token[TOKEN_SIZE];
  uint16_t to;
};

struct job {
  struct mover *m;
  struct move_job_status status; /* guarded by lock */
  struct held_histogram held;
  struct pace pace;
  pthread_mutex_t lock;
  pthread_t thread;
  bool used, finished, has_thread;
  atomic_bool cancel;              /* set with the lock held, after which no row says RUNNING any more */
  uint64_t rate_at_ms, rate_bytes; /* the window that rate_now is taken over */
  struct picked *queue;            /* of the present round */
  size_t queue_len, queue_next;
};

struct job_runner {
  pthread_mutex_t lock; /* guards the slots */
  struct job job[JOBS_MAX];
};

/* ---- picking subjects -------------------------------------------------------------------- */

struct pick {
  const struct move_spec *spec;
  struct job *job; /* NULL when only counting */
  uint8_t last[TOKEN_SIZE];
  bool more;
  uint64_t subjects;
  struct store_view *v;
  uint64_t objects, bytes;
  bool usage;
};

static bool pick_one(void *arg, const struct store_subject *row) {
  struct pick *p = arg;
  memcpy(p->last, row->token, TOKEN_SIZE);
  bool mine = row->state != SUBJECT_MOVED && memcmp(row->country, p->spec->country, 2) == 0;
  if (!mine) return true;
  p->subjects++;
  if (p->usage) {
    uint64_t objects = 0, bytes = 0;
    if (store_subject_usage(p->v, row->token, row->epoch, &objects, &bytes, NULL) == DOM_OK) {
      p->objects += objects;
      p->bytes += bytes;
    }
  }
  if (!p->job) return true;
  assert(p->job->queue_len < JOB_QUEUE);
  struct picked *to = &p->job->queue[p->job->queue_len++];
  memcpy(to->token, row->token, TOKEN_SIZE);
  to->to = job_target(p->spec, row->token);
  p->more = p->job->queue_len == JOB_QUEUE;
  return !p->more;
}

/* Counts what the spec selects now. */
static enum dom_code count_selected(struct mover *m, const struct move_spec *spec,
                                    struct move_job_status *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  struct pick p = {.spec = spec, .v = v, .usage = true};
  if (!code) code = store_subject_scan(v, NULL, pick_one, &p, err);
  if (code) return code;
  out->subjects = p.subjects;
  out->bytes = p.bytes;
  out->objects_done = 0;
  return DOM_OK;
}

/* ---- workers -------------------------------------------------------------------------------- */

static bool is_ended(struct job *j) {
  return atomic_load(&j->cancel) || atomic_load(&j->m->stopping);
}

static bool take_next(struct job *j, struct picked *out) {
  pthread_mutex_lock(&j->lock);
  assert(j->queue_next <= j->queue_len && j->queue_len <= JOB_QUEUE);
  bool have = j->queue_next < j->queue_len && !is_ended(j);
  if (have) *out = j->queue[j->queue_next++];
  pthread_mutex_unlock(&j->lock);
  return have;
}

/* Makes the counters durable; what is left to do is read off the subjects' rows. With the lock held, or an
 * older state could be written over a newer one. */
static void persist(struct job *j) {
  struct move_job_status row = j->status;
  if (atomic_load(&j->cancel)) row.state = JOB_CANCELLED;
  assert(row.id > 0);
  job_put(j->m, &row, NULL);
}

static void note_result(struct job *j, enum dom_code code, const struct source_result *r,
                        const struct dom_err *err) {
  pthread_mutex_lock(&j->lock);
  if (code == DOM_OK || r->committed) {
    j->status.subjects_done++;
    j->status.objects_done += r->objects;
    j->status.bytes_done += r->bytes;
    held_add(&j->held, r->held_ms);
    j->status.held_ms_p99 = held_p99(&j->held);
    if (j->status.subjects_done % JOB_PERSIST_EVERY == 0) persist(j);
  } else if (code != DOM_ELSEWHERE && code != DOM_CANCELLED) {
    j->status.subjects_failed++;
    memcpy(j->status.last_failure, err->text, sizeof j->status.last_failure);
  }
  pthread_mutex_unlock(&j->lock);
}

static void *worker(void *arg) {
  struct job *j = arg;
  struct picked p;
  while (take_next(j, &p)) {
    struct source_result result = {0};
    struct dom_err err = {0};
    enum dom_code code = source_move(j->m, p.token, p.to, &j->pace, &result, &err);
    note_result(j, code, &result, &err);
  }
  return NULL;
}

static void run_workers(struct job *j) {
  uint32_t want = j->status.spec.parallel ? j->status.spec.parallel : j->m->o.parallel;
  pthread_t thread[MOVE_PARALLEL_MAX];
  uint32_t started = 0;
  assert(want <= MOVE_PARALLEL_MAX);
  if (!j->m->o.inline_threads)
    while (started + 1 < want && pthread_create(&thread[started], NULL, worker, j) == 0) started++;
  worker(j);
  for (uint32_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

/* One pass over all subjects that are still here. *out_picked: how many there were. */
static enum dom_code run_round(struct job *j, uint64_t *out_picked, struct dom_err *err) {
  struct pick p = {.spec = &j->status.spec, .job = j, .more = true};
  bool first = true;
  *out_picked = 0;
  while (p.more && !is_ended(j)) {
    uint8_t after[TOKEN_SIZE];
    memcpy(after, p.last, TOKEN_SIZE);
    p.more = false;
    j->queue_len = j->queue_next = 0;
    enum dom_code code;
    {
      STORE_VIEW_AUTO *v = NULL;
      code = store_view_open(j->m->o.store, &v, err);
      if (!code) code = store_subject_scan(v, first ? NULL : after, pick_one, &p, err);
    }
    if (code) return code;
    first = false;
    *out_picked += j->queue_len;
    run_workers(j);
    assert(j->queue_next == j->queue_len || is_ended(j)); /* nobody picked is left out */
  }
  return DOM_OK;
}

/* ---- the end of a job ------------------------------------------------------------------------ */

struct unconfirmed {
  const char *country;
  struct handoff found; /* the last one seen */
  uint64_t count;
};

static bool see_unconfirmed(void *arg, const struct handoff *h) {
  struct unconfirmed *u = arg;
  bool open = h->state == HANDOFF_COMMITTED || h->state == HANDOFF_ERASING;
  if (h->side != HANDOFF_SOURCE || !open || memcmp(h->country, u->country, 2) != 0) return true;
  u->found = *h;
  u->count++;
  return true;
}

/* Subjects that left but whose copy is still here: brought to their end, or counted in *out_left. */
static enum dom_code confirm_once(struct job *j, uint64_t *out_left, struct dom_err *err) {
  struct unconfirmed u = {.country = j->status.spec.country};
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
  for (int failed = 0; left > 0 && failed < JOB_CONFIRM_TRIES && !is_ended(j);) {
    code = confirm_once(j, &left, err);
    if (code && code != DOM_RETRY) return code;
    if (code == DOM_RETRY || left == 0) continue;
    failed++;
    clock_sleep_ms(j->m->o.clock, JOB_CONFIRM_PAUSE_MS);
  }
  if (left == 0 || is_ended(j)) return DOM_OK;
  return dom_fail(
      err, DOM_UNAVAILABLE, "move/job: confirm",
      "%llu subjects moved, but their targets did not confirm: the copies here are kept until they do",
      (unsigned long long)left);
}

static void run_job(struct job *j) {
  struct dom_err err = {0};
  enum dom_code code = DOM_OK;
  uint64_t picked = 1;
  for (int i = 0; !code && picked > 0 && i < JOB_ROUNDS && !is_ended(j); i++) {
    pthread_mutex_lock(&j->lock);
    bool failed = j->status.subjects_failed > 0;
    j->status.subjects_failed = 0; /* they are tried again */
    pthread_mutex_unlock(&j->lock);
    if (failed) clock_sleep_ms(j->m->o.clock, JOB_ROUND_PAUSE_MS);
    code = run_round(j, &picked, &err);
  }
  if (!code) code = confirm_all(j, &err);
  if (atomic_load(&j->m->stopping)) return; /* stays as it is: the next start goes on */
  if (!code && !atomic_load(&j->cancel)) code = mover_purge_names(j->m, &err);
  pthread_mutex_lock(&j->lock);
  j->status.state = atomic_load(&j->cancel) ? JOB_CANCELLED : JOB_DONE;
  j->status.ended_ms = clock_wall_ms(j->m->o.clock);
  if (code) memcpy(j->status.last_failure, err.text, sizeof err.text);
  persist(j);
  j->finished = true;
  pthread_mutex_unlock(&j->lock);
}

static void *job_thread(void *arg) {
  run_job(arg);
  return NULL;
}

/* ---- slots -------------------------------------------------------------------------------------- */

static void slot_done(struct job *j) {
  assert(j->used);
  if (j->has_thread) pthread_join(j->thread, NULL);
  pace_done(&j->pace);
  pthread_mutex_destroy(&j->lock);
  dom_free(j->queue);
  memset(j, 0, sizeof *j);
}

static bool slot_finished(struct job *j) {
  pthread_mutex_lock(&j->lock);
  bool finished = j->finished;
  pthread_mutex_unlock(&j->lock);
  return finished;
}

/* A slot without a job, or NULL. With the runner's lock held, as what follows. */
static struct job *slot_free(struct mover *m) {
  for (int i = 0; i < JOBS_MAX; i++) {
    struct job *slot = &m->jobs->job[i];
    if (slot->used && slot_finished(slot)) slot_done(slot);
    if (!slot->used) return slot;
  }
  return NULL;
}

static enum dom_code slot_start(struct mover *m, const struct move_job_status *status, struct dom_err *err) {
  struct job *j = slot_free(m);
  assert(status->state == JOB_RUNNING);
  if (!j) return dom_fail(err, DOM_BUSY, "move/job: start", "%d jobs are running already", JOBS_MAX);
  struct picked *queue = dom_calloc(JOB_QUEUE, sizeof *queue);
  if (!queue) return dom_fail(err, DOM_NO_MEMORY, "move/job: start", "no memory");
  *j = (struct job){.m = m, .status = *status, .used = true, .queue = queue};
  pthread_mutex_init(&j->lock, NULL);
  pace_init(&j->pace, status->spec.rate_bytes_s, &j->cancel);
  if (m->o.inline_threads) return DOM_OK;
  j->has_thread = pthread_create(&j->thread, NULL, job_thread, j) == 0;
  if (j->has_thread) return DOM_OK;
  slot_done(j);
  return dom_fail(err, DOM_NO_MEMORY, "move/job: start", "no thread");
}

static struct job *slot_by_id(struct mover *m, uint64_t id) {
  for (int i = 0; i < JOBS_MAX; i++)
    if (m->jobs->job[i].used && m->jobs->job[i].status.id == id) return &m->jobs->job[i];
  return NULL;
}

static void slot_status(struct job *j, struct move_job_status *out) {
  pthread_mutex_lock(&j->lock);
  uint64_t now = clock_mono_ns(j->m->o.clock) / 1000000, sent = atomic_load(&j->pace.bytes);
  if (j->rate_at_ms == 0 || now - j->rate_at_ms >= JOB_RATE_WINDOW_MS) {
    if (j->rate_at_ms) j->status.rate_now = (sent - j->rate_bytes) * 1000 / (now - j->rate_at_ms);
    j->rate_at_ms = now;
    j->rate_bytes = sent;
  }
  *out = j->status;
  pthread_mutex_unlock(&j->lock);
}

/* ---- facade ---------------------------------------------------------------------------------------- */

enum dom_code mover_job_plan(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                             struct dom_err *err) {
  enum dom_code code = job_check_spec(m, spec, err);
  struct move_job_status plan = {.spec = *spec};
  if (!code) code = count_selected(m, spec, &plan, err);
  if (!code) *out = plan;
  return code;
}

struct find_job {
  const struct move_spec *spec;
  struct move_job_status found;
  bool has;
  uint64_t highest;
};

static bool see_job(void *arg, const struct move_job_status *job) {
  struct find_job *f = arg;
  if (job->id > f->highest) f->highest = job->id;
  if (job->state == JOB_RUNNING && job_same_selection(&job->spec, f->spec)) {
    f->found = *job;
    f->has = true;
  }
  return true;
}

static enum dom_code start_locked(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                                  struct dom_err *err) {
  struct find_job f = {.spec = spec};
  enum dom_code code = mover_job_each(m, see_job, &f, err);
  if (code) return code;
  if (f.has) {
    struct job *j = slot_by_id(m, f.found.id);
    if (j) slot_status(j, &f.found);
    *out = f.found;
    return DOM_OK;
  }
  /* Before the row is durable: one without a slot would look running for ever. */
  if (!slot_free(m))
    return dom_fail(err, DOM_BUSY, "move/job: start", "%d jobs are running already", JOBS_MAX);
  struct move_job_status job = {.id = f.highest + 1, .spec = *spec, .state = JOB_RUNNING};
  job.started_ms = clock_wall_ms(m->o.clock);
  code = count_selected(m, spec, &job, err);
  if (!code) code = job_put(m, &job, err);
  if (code) return code;
  code = slot_start(m, &job, err);
  if (!code) {
    *out = job;
    return DOM_OK;
  }
  job.state = JOB_CANCELLED;
  job_put(m, &job, NULL); /* should this fail too, the next start tries the job again */
  return code;
}

enum dom_code mover_job_start(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                              struct dom_err *err) {
  enum dom_code code = job_check_spec(m, spec, err);
  if (code) return code;
  pthread_mutex_lock(&m->jobs->lock);
  code = start_locked(m, spec, out, err);
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

enum dom_code mover_job_status(struct mover *m, uint64_t id, struct move_job_status *out,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&m->jobs->lock);
  struct job *j = slot_by_id(m, id);
  if (j)
    slot_status(j, out);
  else
    code = job_get(m, id, out, err);
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

struct each_job {
  move_job_fn fn;
  void *arg;
  struct dom_err *err;
  enum dom_code code;
};

static bool each_row(void *arg, struct slice key, struct slice value) {
  struct each_job *e = arg;
  (void)key;
  struct move_job_status job;
  e->code = job_decode(value, &job, e->err);
  return e->code == DOM_OK && e->fn(e->arg, &job);
}

enum dom_code mover_job_each(struct mover *m, move_job_fn fn, void *arg, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct each_job e = {.fn = fn, .arg = arg, .err = err};
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_scan(v, STORE_TABLE_JOB, SLICE_LIT(""), SLICE_LIT(""), each_row, &e, err);
  return code ? code : e.code;
}

enum dom_code mover_job_cancel(struct mover *m, uint64_t id, struct dom_err *err) {
  pthread_mutex_lock(&m->jobs->lock);
  struct job *j = slot_by_id(m, id);
  if (j && slot_finished(j)) j = NULL;
  if (j) {
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->cancel, true);
    persist(j); /* a restart must not go on with it */
    pthread_mutex_unlock(&j->lock);
  }
  pthread_mutex_unlock(&m->jobs->lock);
  return j ? DOM_OK : dom_fail(err, DOM_NOT_FOUND, "move/job: cancel", "no such job is running");
}

struct resume {
  struct mover *m;
  struct dom_err *err;
  enum dom_code code;
};

static bool resume_one(void *arg, const struct move_job_status *job) {
  struct resume *r = arg;
  if (job->state == JOB_RUNNING) r->code = slot_start(r->m, job, r->err);
  return r->code == DOM_OK;
}

enum dom_code job_runner_open(struct mover *m, struct dom_err *err) {
  m->jobs = dom_calloc(1, sizeof *m->jobs);
  if (!m->jobs) return dom_fail(err, DOM_NO_MEMORY, "move/job: open", "no memory");
  pthread_mutex_init(&m->jobs->lock, NULL);
  struct resume r = {.m = m, .err = err};
  enum dom_code code = mover_job_each(m, resume_one, &r, err);
  return code ? code : r.code;
}

void job_runner_close(struct mover *m) {
  if (!m->jobs) return;
  for (int i = 0; i < JOBS_MAX; i++)
    if (m->jobs->job[i].used) slot_done(&m->jobs->job[i]);
  pthread_mutex_destroy(&m->jobs->lock);
  dom_free(m->jobs);
}

bool job_step_inline(struct mover *m) {
  bool did = false;
  for (int i = 0; i < JOBS_MAX; i++) {
    struct job *j = &m->jobs->job[i];
    if (!j->used || j->finished) continue;
    run_job(j);
    did = true;
  }
  return did;
}
