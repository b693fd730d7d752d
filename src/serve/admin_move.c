/* Admin: moves of one subject and of many. */
#include <assert.h>
#include <stdio.h>

#include "serve/admin.h"

static const char *state_name(enum move_job_state state) {
  static const char *const names[] = {
      [JOB_RUNNING] = "running", [JOB_DONE] = "done", [JOB_CANCELLED] = "cancelled", [JOB_PAUSED] = "paused"};
  assert(state >= JOB_RUNNING && state <= JOB_PAUSED);
  return names[state];
}

static json_t *shares_json(struct region *r, const struct move_spec *spec) {
  json_t *shares = json_array();
  for (uint32_t i = 0; i < spec->share_count; i++)
    json_array_append_new(shares, json_pack("{s:o,s:i}", "region", admin_region(r, spec->share[i].region),
                                            "percent", spec->share[i].percent));
  return shares;
}

static void set_number(json_t *j, const char *name, uint64_t value) {
  json_object_set_new(j, name, json_integer((json_int_t)value));
}

static void set_selection(json_t *j, const struct move_spec *spec) {
  if (!spec->has_list) {
    json_object_set_new(j, "country", json_stringn(spec->country, 2));
    return;
  }
  json_object_set_new(j, "list",
                      json_pack("{s:I,s:o}", "count", (json_int_t)spec->list_count, "sha256",
                                admin_hex(spec->list_sha256, SHA256_SIZE)));
}

static void set_progress(json_t *j, const struct move_job_status *s) {
  set_number(j, "subjects", s->subjects);
  set_number(j, "subjects_done", s->subjects_done);
  set_number(j, "subjects_failed", s->subjects_failed);
  set_number(j, "in_flight", s->in_flight);
  set_number(j, "objects", s->objects);
  set_number(j, "objects_done", s->objects_done);
  set_number(j, "bytes", s->bytes);
  set_number(j, "bytes_done", s->bytes_done);
  set_number(j, "held_ms_p99", s->held_ms_p99);
  set_number(j, "rate_now", s->rate_now);
  set_number(j, "left_ms", s->left_ms);
  set_number(j, "late_ms", s->late_ms);
  set_number(j, "yielded_ms", s->yielded_ms);
}

static json_t *job_json(struct region *r, const struct move_job_status *s) {
  json_t *j = json_pack("{s:I}", "id", (json_int_t)s->id);
  if (!j) return NULL;
  set_selection(j, &s->spec);
  json_object_set_new(j, "from", admin_region(r, r->number));
  json_object_set_new(j, "to", shares_json(r, &s->spec));
  if (s->state) json_object_set_new(j, "state", json_pack("s", state_name(s->state)));
  set_number(j, "started_ms", s->started_ms);
  set_number(j, "ended_ms", s->ended_ms);
  set_number(j, "deadline_ms", s->spec.deadline_ms);
  set_number(j, "rate_limit", s->spec.rate_bytes_s);
  set_number(j, "parallel", s->spec.parallel);
  set_number(j, "parallel_now", s->parallel_now);
  set_progress(j, s);
  json_object_set_new(j, "last_failure", json_pack("s", s->last_failure));
  return j;
}

/* ---- what to move ------------------------------------------------------------------------- */

static bool read_shares(struct admin *a, json_t *to, struct move_spec *spec) {
  assert(spec->share_count == 0);
  const char *name;
  json_t *percent;
  if (!json_is_object(to) || json_object_size(to) == 0 || json_object_size(to) > MOVE_SHARES_MAX) {
    admin_refuse(a, "to names one to 16 regions and their percentages");
    return false;
  }
  json_object_foreach(to, name, percent) {
    json_int_t value = json_is_integer(percent) ? json_integer_value(percent) : 0;
    if (value < 1 || value > 100) {
      admin_refuse(a, "percentages are whole numbers from 1 to 100");
      return false;
    }
    if (!admin_region_number(a, name, &spec->share[spec->share_count].region)) return false;
    spec->share[spec->share_count++].percent = (uint8_t)value;
  }
  return true;
}

/* "from" is said so that nobody moves people out of the wrong region. */
static bool check_from(struct admin *a, const char *from) {
  if (!from || strcmp(from, a->r->name) == 0) return true;
  struct dom_err err = {0};
  dom_fail(&err, DOM_ELSEWHERE, "serve/admin",
           "this is region %s: a move is started at the region that people leave", a->r->name);
  admin_fail(a, DOM_ELSEWHERE, &err);
  return false;
}

struct wish {
  const char *country, *from, *subject, *token, *tenant;
  json_t *to;
  json_int_t rate, deadline, parallel, list;
  int dry_run;
};

static bool read_spec(struct admin *a, const struct wish *w, struct move_spec *spec) {
  if (w->rate < 0 || w->deadline < 0 || w->parallel < 0 || w->parallel > UINT16_MAX) {
    admin_refuse(a, "rate, deadline_ms and parallel are not negative");
    return false;
  }
  *spec = (struct move_spec){.rate_bytes_s = (uint64_t)w->rate,
                             .deadline_ms = (uint64_t)w->deadline,
                             .parallel = (uint32_t)w->parallel,
                             .list_id = (uint64_t)w->list};
  if (!w->list && !admin_country(a, w->country, spec->country)) return false;
  return read_shares(a, w->to, spec);
}

/* The charter's word on each target, asked before anything begins. */
static json_t *refusals(struct admin *a, const struct move_spec *spec) {
  json_t *list = json_array();
  struct charter *c = subject_charter(a->r->subjects);
  char country[CHARTER_COUNTRY_SIZE] = {spec->country[0], spec->country[1], 0};
  for (uint32_t i = 0; c && !spec->list_id && i < spec->share_count; i++) {
    struct charter_refusal no = {0};
    if (charter_subject_fits(c, country, spec->share[i].region, 0, &no))
      json_array_append_new(list, json_pack("{s:o,s:I,s:s,s:s}", "region",
                                            admin_region(a->r, spec->share[i].region), "charter",
                                            (json_int_t)no.version, "clause", no.clause, "why", no.why));
  }
  charter_release(c);
  return list;
}

static void plan(struct admin *a, const struct move_spec *spec) {
  struct move_job_status status;
  struct dom_err err = {0};
  enum dom_code code = mover_job_plan(a->r->mover, spec, &status, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  json_t *j = job_json(a->r, &status);
  if (j) json_object_set_new(j, "refusals", refusals(a, spec));
  admin_reply_take(a, 200, j);
}

static void start(struct admin *a, const struct move_spec *spec) {
  struct move_job_status status;
  struct dom_err err = {0};
  enum dom_code code = mover_job_start(a->r->mover, spec, &status, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 202, job_json(a->r, &status));
}

/* One subject, in this request: the answer comes when it lives at its new home. */
static void move_one(struct admin *a, const struct wish *w) {
  uint8_t token[TOKEN_SIZE];
  struct move_spec spec = {0};
  struct dom_err err = {0};
  if (w->token && !admin_token(a, w->token, token)) return;
  if (!read_shares(a, w->to, &spec)) return;
  if (spec.share_count != 1) {
    admin_refuse(a, "one subject moves to one region");
    return;
  }
  if (!w->token) subject_token(a->r->subjects, slice_str(w->tenant), slice_str(w->subject), token);
  enum dom_code code = mover_move_subject(a->r->mover, token, spec.share[0].region, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200,
                   json_pack("{s:o,s:o}", "token", admin_hex(token, TOKEN_SIZE), "home",
                             admin_region(a->r, spec.share[0].region)));
}

/* The body of a request about a move, for this region. False: answered. */
static bool read_wish(struct admin *a, struct wish *w) {
  *w = (struct wish){.tenant = AUTH_ACCOUNT_DEFAULT};
  if (!admin_unpack(a, "{s?s,s?s,s?s,s?s,s?s,s?I,s:o,s?I,s?I,s?I,s?b}", "country", &w->country, "from",
                    &w->from, "subject", &w->subject, "token", &w->token, "tenant", &w->tenant, "list",
                    &w->list, "to", &w->to, "rate", &w->rate, "deadline_ms", &w->deadline, "parallel",
                    &w->parallel, "dry_run", &w->dry_run))
    return false;
  if (!check_from(a, w->from)) return false;
  bool good = (w->country != NULL) + (w->list > 0) + (w->subject || w->token) == 1;
  if (!good) admin_refuse(a, "name a country, a list, or one subject (or its token)");
  return good;
}

void admin_move_post(struct admin *a) {
  struct wish w;
  struct move_spec spec;
  if (!read_wish(a, &w)) return;
  if (w.subject || w.token)
    move_one(a, &w);
  else if (read_spec(a, &w, &spec))
    w.dry_run ? plan(a, &spec) : start(a, &spec);
}

/* ---- what it would take ------------------------------------------------------------------------- */

/* Bytes a second that the deadline asks for, and whether that is what was measured. */
static void set_deadline(struct admin *a, json_t *j, const struct move_prediction *p) {
  uint64_t now = clock_wall_ms(a->r->clock), deadline = p->status.spec.deadline_ms;
  uint64_t end = now + p->duration_ms, left = deadline > now ? deadline - now : 0;
  if (deadline == 0) return;
  set_number(j, "late_ms", end > deadline ? end - deadline : 0);
  if (left) set_number(j, "rate_needed", (uint64_t)((double)p->status.bytes * 1000 / (double)left) + 1);
}

static json_t *prediction_json(struct admin *a, const struct move_prediction *p) {
  json_t *j = job_json(a->r, &p->status);
  if (!j) return NULL;
  json_object_set_new(j, "measured",
                      json_pack("{s:I,s:I,s:I,s:I}", "subjects", (json_int_t)p->sampled_subjects, "bytes",
                                (json_int_t)p->sampled_bytes, "took_ms", (json_int_t)p->took_ms, "parallel",
                                (json_int_t)p->parallel));
  set_number(j, "duration_ms", p->duration_ms);
  set_number(j, "duration_ms_low", p->duration_ms_low);
  set_number(j, "duration_ms_high", p->duration_ms_high);
  json_object_set_new(j, "rate_bound", json_boolean(p->is_rate_bound));
  if (p->duration_ms)
    set_number(j, "rate", (uint64_t)((double)p->status.bytes * 1000 / (double)p->duration_ms));
  set_number(j, "held_ms_p50", p->held_ms_p50);
  set_number(j, "held_ms_p99", p->held_ms_p99);
  set_deadline(a, j, p);
  return j;
}

void admin_move_plan(struct admin *a) {
  struct wish w;
  struct move_spec spec;
  struct move_prediction p;
  struct dom_err err = {0};
  if (!read_wish(a, &w)) return;
  if (w.subject || w.token) {
    admin_refuse(a, "a plan is of a country or a list");
    return;
  }
  if (!read_spec(a, &w, &spec)) return;
  enum dom_code code = mover_job_predict(a->r->mover, &spec, &p, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 200, prediction_json(a, &p));
}

/* ---- jobs --------------------------------------------------------------------------------------- */

struct rows {
  struct region *r;
  uint64_t *ids;
  size_t count;
};
enum { JOBS_SHOWN_MAX = 1024 }; /* newest kept; a region moves countries, not thousands of them */

static bool note_id(void *arg, const struct move_job_status *job) {
  struct rows *rows = arg;
  rows->ids[rows->count % JOBS_SHOWN_MAX] = job->id;
  rows->count++;
  return true;
}

/* A running job's counters are fresher in memory than in its row: ask for each by id. */
void admin_move_list(struct admin *a) {
  struct dom_err err = {0};
  struct rows rows = {.r = a->r,
                      .ids = arena_alloc(wire_exchange_arena(a->x), JOBS_SHOWN_MAX * sizeof(uint64_t))};
  enum dom_code code = rows.ids ? mover_job_each(a->r->mover, note_id, &rows, &err) : DOM_NO_MEMORY;
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  json_t *list = json_array();
  size_t shown = rows.count < JOBS_SHOWN_MAX ? rows.count : JOBS_SHOWN_MAX;
  for (size_t i = 0; i < shown; i++) {
    struct move_job_status job;
    if (mover_job_status(a->r->mover, rows.ids[i], &job, NULL) == DOM_OK)
      json_array_append_new(list, job_json(a->r, &job));
  }
  admin_reply_take(a, 200, json_pack("{s:o}", "moves", list));
}

bool admin_move_id(struct admin *a, uint64_t *out) {
  bool good = slice_to_u64(slice_str(a->word[1]), out) == DOM_OK;
  if (!good) admin_refuse(a, "a move is named by its number");
  return good;
}

void admin_move_get(struct admin *a) {
  uint64_t id = 0;
  struct move_job_status status;
  struct dom_err err = {0};
  if (!admin_move_id(a, &id)) return;
  enum dom_code code = mover_job_status(a->r->mover, id, &status, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 200, job_json(a->r, &status));
}

/* Does it to the job that the path names, and answers what the job is then. */
static void change(struct admin *a, enum dom_code (*act)(struct mover *m, uint64_t id, struct dom_err *err)) {
  uint64_t id = 0;
  struct dom_err err = {0};
  if (!admin_move_id(a, &id)) return;
  enum dom_code code = act(a->r->mover, id, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_move_get(a);
}

void admin_move_cancel(struct admin *a) {
  change(a, mover_job_cancel);
}

void admin_move_pause(struct admin *a) {
  change(a, mover_job_pause);
}

void admin_move_resume(struct admin *a) {
  change(a, mover_job_resume);
}

void admin_move_set(struct admin *a) {
  uint64_t id = 0;
  struct dom_err err = {0};
  json_int_t rate = -1, deadline = -1, parallel = -1;
  if (!admin_move_id(a, &id) ||
      !admin_unpack(a, "{s?I,s?I,s?I}", "rate", &rate, "deadline_ms", &deadline, "parallel", &parallel))
    return;
  if (parallel > UINT16_MAX || (rate < 0 && deadline < 0 && parallel < 0)) {
    admin_refuse(a, "name rate, deadline_ms or parallel, none of them negative");
    return;
  }
  struct move_change to = {.has_rate = rate >= 0,
                           .has_deadline = deadline >= 0,
                           .has_parallel = parallel >= 0,
                           .rate_bytes_s = (uint64_t)rate,
                           .deadline_ms = (uint64_t)deadline,
                           .parallel = (uint32_t)parallel};
  enum dom_code code = mover_job_set(a->r->mover, id, &to, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_move_get(a);
}
