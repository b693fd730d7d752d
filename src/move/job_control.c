/* Jobs from outside: start, attach, pause, resume, change, cancel, look; and again after a restart. */
#include <assert.h>
#include <time.h>

#include "move/job_run.h"

static void *job_main(void *arg) {
  job_run(arg);
  return NULL;
}

/* ---- slots -------------------------------------------------------------------------------------- */

static void slot_done(struct job *j) {
  assert(j->used);
  if (j->has_thread) pthread_join(j->thread, NULL);
  pace_done(&j->pace);
  pthread_cond_destroy(&j->news);
  pthread_mutex_destroy(&j->pick_lock);
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

static enum dom_code fail_full(struct dom_err *err) {
  return dom_fail(err, DOM_BUSY, "move/job: start", "%d jobs are running already", JOBS_MAX);
}

static void slot_init(struct job *j, struct mover *m, const struct move_job_status *status,
                      const struct held_histogram *held, struct picked *queue_take) {
  pthread_condattr_t attr;
  *j = (struct job){.m = m, .status = *status, .held = *held, .used = true, .queue = queue_take};
  pthread_mutex_init(&j->lock, NULL);
  pthread_mutex_init(&j->pick_lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&j->news, &attr);
  pthread_condattr_destroy(&attr);
  atomic_store(&j->wanted, job_parallel(j));
  pace_init(&j->pace, status->spec.rate_bytes_s, &j->give_up);
}

static enum dom_code slot_start(struct mover *m, const struct move_job_status *status,
                                const struct held_histogram *held, struct dom_err *err) {
  struct job *j = slot_free(m);
  assert(status->state == JOB_RUNNING);
  if (!j) return fail_full(err);
  struct picked *queue = dom_calloc(JOB_QUEUE, sizeof *queue);
  if (!queue) return dom_fail(err, DOM_NO_MEMORY, "move/job: start", "no memory");
  slot_init(j, m, status, held, queue);
  if (m->o.inline_threads) return DOM_OK;
  j->has_thread = pthread_create(&j->thread, NULL, job_main, j) == 0;
  if (j->has_thread) return DOM_OK;
  slot_done(j);
  return dom_fail(err, DOM_NO_MEMORY, "move/job: start", "no thread");
}

/* The slot of a job that is under way: running, or not yet at rest after a pause. */
static struct job *slot_by_id(struct mover *m, uint64_t id) {
  for (int i = 0; i < JOBS_MAX; i++)
    if (m->jobs->job[i].used && m->jobs->job[i].status.id == id) return &m->jobs->job[i];
  return NULL;
}

static void slot_status(struct job *j, struct move_job_status *out) {
  pthread_mutex_lock(&j->lock);
  bool rests = j->finished;
  if (!rests) job_refresh(j);
  *out = j->status;
  pthread_mutex_unlock(&j->lock);
  if (rests) out->rate_now = out->left_ms = out->late_ms = out->in_flight = out->parallel_now = 0;
}

/* ---- start ---------------------------------------------------------------------------------------- */

/* Takes the list that came in, if the spec names one, and writes into *spec what it is. */
static enum dom_code take_list(struct mover *m, struct move_spec *spec, struct job_list *out,
                               struct dom_err *err) {
  if (spec->list_id == 0) return DOM_OK;
  enum dom_code code = list_take(m, spec->list_id, out, err);
  if (code) return code;
  list_seal(out, spec->list_sha256);
  spec->list_id = 0;
  spec->has_list = true;
  spec->list_count = out->count;
  return out->count ? DOM_OK : dom_fail(err, DOM_INVALID, "move/job: spec", "the list names nobody");
}

enum dom_code mover_job_plan(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                             struct dom_err *err) {
  struct move_job_status plan = {.spec = *spec};
  struct job_list list = {0};
  enum dom_code code = job_check_spec(m, spec, err);
  if (!code) code = take_list(m, &plan.spec, &list, err);
  if (!code) code = job_count(m, &plan.spec, 0, &list, true, &plan, err);
  list_done(&list);
  if (!code) *out = plan;
  return code;
}

enum dom_code mover_job_predict(struct mover *m, const struct move_spec *spec, struct move_prediction *out,
                                struct dom_err *err) {
  struct move_prediction p = {.status.spec = *spec};
  struct job_list list = {0};
  enum dom_code code = job_check_spec(m, spec, err);
  if (!code) code = take_list(m, &p.status.spec, &list, err);
  if (!code) code = job_count(m, &p.status.spec, 0, &list, true, &p.status, err);
  if (!code) code = job_predict(m, &p.status.spec, &list, &p, err);
  list_done(&list);
  if (!code) *out = p;
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
  bool open = job->state == JOB_RUNNING || job->state == JOB_PAUSED;
  if (open && job_same_selection(&job->spec, f->spec)) {
    f->found = *job;
    f->has = true;
  }
  return true;
}

/* The list first: a job without it would move nobody. */
static enum dom_code put_new(struct mover *m, struct move_job_status *job, const struct job_list *list,
                             struct dom_err *err) {
  static const struct held_histogram NONE = {0};
  enum dom_code code = list_put(m, job->id, list, err);
  if (!code) code = job_put(m, job, &NONE, err);
  if (code) {
    list_drop(m, job->id, NULL); /* else the next start does */
    return code;
  }
  code = slot_start(m, job, &NONE, err);
  if (!code) return DOM_OK;
  job->state = JOB_CANCELLED;
  job_put(m, job, &NONE, NULL); /* should this fail too, the next start tries the job again */
  return code;
}

/* Looks for a job of the same selection; *out is what it says of itself. With the runner's lock held. */
static enum dom_code attach(struct mover *m, struct find_job *f, struct move_job_status *out,
                            struct dom_err *err) {
  enum dom_code code = mover_job_each(m, see_job, f, err);
  if (code || !f->has) return code;
  struct job *j = slot_by_id(m, f->found.id);
  if (j) slot_status(j, &f->found);
  *out = f->found;
  return DOM_OK;
}

static enum dom_code attach_first(struct mover *m, const struct move_spec *spec, bool *out_has,
                                  struct move_job_status *out, struct dom_err *err) {
  struct find_job f = {.spec = spec};
  pthread_mutex_lock(&m->jobs->lock);
  enum dom_code code = attach(m, &f, out, err);
  pthread_mutex_unlock(&m->jobs->lock);
  if (!code) *out_has = f.has;
  return code;
}

/* `counted`: what it moves; somebody else may have started the same meanwhile. */
static enum dom_code start_locked(struct mover *m, const struct move_job_status *counted,
                                  const struct job_list *list, struct move_job_status *out,
                                  struct dom_err *err) {
  struct find_job f = {.spec = &counted->spec};
  enum dom_code code = attach(m, &f, out, err);
  if (code || f.has) return code;
  /* Before the row is durable: one without a slot would look running for ever. */
  if (!slot_free(m)) return fail_full(err);
  struct move_job_status job = *counted;
  job.id = f.highest + 1;
  job.state = JOB_RUNNING;
  job.started_ms = clock_wall_ms(m->o.clock);
  code = put_new(m, &job, list, err);
  if (!code) *out = job;
  return code;
}

enum dom_code mover_job_start(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                              struct dom_err *err) {
  struct move_job_status job = {.spec = *spec};
  struct job_list list = {0};
  bool has = false;
  enum dom_code code = job_check_spec(m, spec, err);
  if (!code) code = take_list(m, &job.spec, &list, err);
  if (!code) code = attach_first(m, &job.spec, &has, out, err);
  /* Without the lock, which status and metrics wait for: it reads the rows of everybody selected. */
  if (!code && !has) code = job_count(m, &job.spec, 0, &list, true, &job, err);
  if (!code && !has) {
    pthread_mutex_lock(&m->jobs->lock);
    code = start_locked(m, &job, &list, out, err);
    pthread_mutex_unlock(&m->jobs->lock);
  }
  list_done(&list);
  return code;
}

/* ---- looking ----------------------------------------------------------------------------------------- */

enum dom_code mover_job_status(struct mover *m, uint64_t id, struct move_job_status *out,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  struct held_histogram held;
  pthread_mutex_lock(&m->jobs->lock);
  struct job *j = slot_by_id(m, id);
  if (j)
    slot_status(j, out);
  else
    code = job_get(m, id, out, &held, err);
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

void mover_job_running(struct mover *m, move_job_fn fn, void *arg) {
  bool more = true;
  pthread_mutex_lock(&m->jobs->lock);
  for (int i = 0; more && i < JOBS_MAX; i++) {
    struct job *j = &m->jobs->job[i];
    struct move_job_status status;
    if (!j->used || slot_finished(j)) continue;
    slot_status(j, &status);
    more = fn(arg, &status);
  }
  pthread_mutex_unlock(&m->jobs->lock);
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
  struct held_histogram held;
  e->code = job_decode(value, &job, &held, e->err);
  return e->code == DOM_OK && e->fn(e->arg, &job);
}

enum dom_code mover_job_each(struct mover *m, move_job_fn fn, void *arg, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct each_job e = {.fn = fn, .arg = arg, .err = err};
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_scan(v, STORE_TABLE_JOB, SLICE_LIT(""), SLICE_LIT(""), each_row, &e, err);
  return code ? code : e.code;
}

/* ---- changing ------------------------------------------------------------------------------------------ */

/* A job that runs or is paused: its slot where it has one, locked; else its row. DOM_NOT_FOUND. */
struct open_job {
  struct job *slot; /* NULL: at rest */
  struct move_job_status status;
  struct held_histogram held;
};

static enum dom_code open_job(struct mover *m, uint64_t id, struct open_job *out, struct dom_err *err) {
  struct job *j = slot_by_id(m, id);
  enum dom_code code = DOM_OK;
  *out = (struct open_job){0};
  if (j) {
    pthread_mutex_lock(&j->lock);
    out->status = j->status;
    out->held = j->held;
    out->slot = j;
    if (!j->finished) return DOM_OK;
    pthread_mutex_unlock(&j->lock);
    out->slot = NULL;
  } else {
    code = job_get(m, id, &out->status, &out->held, err);
  }
  bool open = !code && out->status.state == JOB_PAUSED;
  if (!code && !open) code = dom_fail(err, DOM_NOT_FOUND, "move/job", "this job has ended");
  return code;
}

/* Makes o->status durable and, in a slot, what it is; unlocks. On failure nothing has changed. */
static enum dom_code close_job(struct mover *m, struct open_job *o, struct dom_err *err) {
  enum dom_code code = job_put(m, &o->status, &o->held, err);
  struct job *j = o->slot;
  if (!j) return code;
  if (!code) {
    /* Only what can change: who is selected, and the id, are read by its threads without the lock. */
    j->status.state = o->status.state;
    j->status.spec.rate_bytes_s = o->status.spec.rate_bytes_s;
    j->status.spec.parallel = o->status.spec.parallel;
    j->status.spec.deadline_ms = o->status.spec.deadline_ms;
    bool runs = o->status.state == JOB_RUNNING;
    if (!runs) atomic_store(&j->cut, true);
    atomic_store(&j->halted, !runs);
    if (o->status.state == JOB_CANCELLED) atomic_store(&j->give_up, true);
    if (runs) atomic_store(&j->give_up, false);
    pace_set_rate(&j->pace, o->status.spec.rate_bytes_s);
    atomic_store(&j->wanted, job_parallel(j));
    pthread_cond_signal(&j->news);
  }
  pthread_mutex_unlock(&j->lock);
  return code;
}

enum dom_code mover_job_cancel(struct mover *m, uint64_t id, struct dom_err *err) {
  struct open_job o;
  pthread_mutex_lock(&m->jobs->lock);
  enum dom_code code = open_job(m, id, &o, err);
  if (!code) {
    bool rests = o.slot == NULL;
    o.status.state = JOB_CANCELLED;
    if (rests) o.status.ended_ms = clock_wall_ms(m->o.clock);
    code = close_job(m, &o, err);
    if (!code && rests && o.status.spec.has_list) list_drop(m, id, NULL); /* else the next start does */
    struct job *j = slot_by_id(m, id);
    if (!code && rests && j) slot_done(j); /* it would still say paused */
  }
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

enum dom_code mover_job_pause(struct mover *m, uint64_t id, struct dom_err *err) {
  struct open_job o;
  pthread_mutex_lock(&m->jobs->lock);
  enum dom_code code = open_job(m, id, &o, err);
  if (!code && o.slot && o.status.state == JOB_RUNNING) {
    o.status.state = JOB_PAUSED;
    o.slot->paused_ms = job_now_ms(o.slot);
    code = close_job(m, &o, err);
  } else if (!code && o.slot) {
    bool cancelled = o.status.state == JOB_CANCELLED;
    pthread_mutex_unlock(&o.slot->lock);
    if (cancelled) code = dom_fail(err, DOM_NOT_FOUND, "move/job: pause", "this job is cancelled");
  }
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

/* From its row, into a slot. */
static enum dom_code resume_row(struct mover *m, struct open_job *o, struct dom_err *err) {
  struct job *old = slot_by_id(m, o->status.id);
  if (old) slot_done(old);
  if (!slot_free(m)) return fail_full(err);
  o->status.state = JOB_RUNNING;
  enum dom_code code = job_put(m, &o->status, &o->held, err);
  if (code) return code;
  code = slot_start(m, &o->status, &o->held, err);
  if (!code) return DOM_OK;
  o->status.state = JOB_PAUSED;
  job_put(m, &o->status, &o->held, NULL); /* else the next start goes on with it */
  return code;
}

enum dom_code mover_job_resume(struct mover *m, uint64_t id, struct dom_err *err) {
  struct open_job o;
  pthread_mutex_lock(&m->jobs->lock);
  enum dom_code code = open_job(m, id, &o, err);
  if (!code && !o.slot) {
    code = resume_row(m, &o, err);
  } else if (!code && o.status.state == JOB_CANCELLED) {
    pthread_mutex_unlock(&o.slot->lock);
    code = dom_fail(err, DOM_NOT_FOUND, "move/job: resume", "this job is cancelled");
  } else if (!code) { /* it runs, or its pause has not ended those in flight yet */
    o.status.state = JOB_RUNNING;
    code = close_job(m, &o, err);
  }
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

enum dom_code mover_job_set(struct mover *m, uint64_t id, const struct move_change *change,
                            struct dom_err *err) {
  struct open_job o;
  if (change->has_parallel && change->parallel > MOVE_PARALLEL_MAX)
    return dom_fail(err, DOM_INVALID, "move/job: set", "at most %d subjects are moved at once",
                    MOVE_PARALLEL_MAX);
  pthread_mutex_lock(&m->jobs->lock);
  enum dom_code code = open_job(m, id, &o, err);
  if (!code) {
    struct move_spec *spec = &o.status.spec;
    if (change->has_rate) spec->rate_bytes_s = change->rate_bytes_s;
    if (change->has_parallel) spec->parallel = change->parallel;
    if (change->has_deadline) spec->deadline_ms = change->deadline_ms;
    code = close_job(m, &o, err);
    struct job *j = slot_by_id(m, id);
    if (!code && !o.slot && j) j->status = o.status; /* a slot at rest, until it is needed */
  }
  pthread_mutex_unlock(&m->jobs->lock);
  return code;
}

/* ---- open, close, simulated ---------------------------------------------------------------------------- */

struct resume {
  struct mover *m;
  struct dom_err *err;
  enum dom_code code;
};

static bool resume_one(void *arg, const struct move_job_status *job) {
  struct resume *r = arg;
  struct move_job_status status;
  struct held_histogram held;
  if (job->state != JOB_RUNNING) return true;
  r->code = job_get(r->m, job->id, &status, &held, r->err);
  if (!r->code) r->code = slot_start(r->m, &status, &held, r->err);
  return r->code == DOM_OK;
}

enum dom_code job_runner_open(struct mover *m, struct dom_err *err) {
  m->lists = dom_calloc(LISTS_OPEN_MAX, sizeof *m->lists);
  if (m->lists) m->jobs = dom_calloc(1, sizeof *m->jobs);
  if (!m->jobs) return dom_fail(err, DOM_NO_MEMORY, "move/job: open", "no memory");
  pthread_mutex_init(&m->jobs->lock, NULL);
  struct resume r = {.m = m, .err = err};
  probe_sweep(m);
  enum dom_code code = list_drop_orphans(m, err);
  if (!code) code = mover_job_each(m, resume_one, &r, err);
  return code ? code : r.code;
}

void job_runner_close(struct mover *m) {
  for (int i = 0; m->lists && i < LISTS_OPEN_MAX; i++) list_done(&m->lists[i]);
  dom_free(m->lists);
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
    job_run(j);
    did = true;
  }
  return did;
}
