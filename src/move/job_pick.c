/* Who is moved: everybody of a country, or a list. */
#include <assert.h>

#include "move/job.h"

struct select {
  const struct move_spec *spec;
  struct job_cursor *c;
  job_subject_fn fn;
  void *arg;
  bool stopped;
};

static bool see_subject(void *arg, const struct store_subject *row) {
  struct select *s = arg;
  memcpy(s->c->last, row->token, TOKEN_SIZE);
  s->c->begun = true;
  if (!store_subject_lives(row) || memcmp(row->country, s->spec->country, 2) != 0) return true;
  s->stopped = !s->fn(s->arg, row);
  return !s->stopped;
}

/* One of a list. Whom this region does not know any more was erased meanwhile. */
static enum dom_code see_listed(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct select *s,
                                struct dom_err *err) {
  struct store_subject row;
  enum dom_code code = store_subject_get(v, token, &row, NULL);
  s->c->at++;
  if (code == DOM_NOT_FOUND || (!code && !store_subject_lives(&row))) return DOM_OK;
  if (code) return dom_fail(err, code, "move/job: pick", "a subject's row cannot be read");
  s->stopped = !s->fn(s->arg, &row);
  return DOM_OK;
}

static enum dom_code select_memory(struct store_view *v, const struct job_list *l, struct select *s,
                                   struct dom_err *err) {
  enum dom_code code = DOM_OK;
  while (!code && !s->stopped && s->c->at < l->count) code = see_listed(v, l->token[s->c->at], s, err);
  s->c->over = !code && !s->stopped;
  return code;
}

static enum dom_code select_rows(struct store_view *v, uint64_t job, struct select *s, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  while (!code && !s->stopped && s->c->at < s->spec->list_count) {
    BUF_AUTO chunk = BUF_INIT;
    uint64_t number = s->c->at / LIST_CHUNK;
    code = list_chunk_get(v, job, (uint32_t)number, &chunk, err);
    if (code) return dom_fail(err, code, "move/job: pick", "a part of the job's list is not there");
    uint64_t end = number * LIST_CHUNK + chunk.len / TOKEN_SIZE;
    if (s->c->at >= end) return dom_fail(err, DOM_CORRUPT, "move/job: pick", "the job's list is too short");
    while (!code && !s->stopped && s->c->at < end)
      code = see_listed(v, chunk.data + s->c->at % LIST_CHUNK * TOKEN_SIZE, s, err);
  }
  s->c->over = !code && !s->stopped;
  return code;
}

enum dom_code job_select(struct mover *m, struct store_view *v, const struct move_spec *spec, uint64_t job,
                         const struct job_list *list, struct job_cursor *c, job_subject_fn fn, void *arg,
                         struct dom_err *err) {
  assert(m && !c->over);
  struct select s = {.spec = spec, .c = c, .fn = fn, .arg = arg};
  if (spec->has_list) return list ? select_memory(v, list, &s, err) : select_rows(v, job, &s, err);
  uint8_t after[TOKEN_SIZE];
  memcpy(after, c->last, TOKEN_SIZE);
  enum dom_code code = store_subject_scan(v, c->begun ? after : NULL, see_subject, &s, err);
  c->over = !code && !s.stopped;
  return code;
}

/* ---- counting ---------------------------------------------------------------------------------- */

enum { LETTERS = 26 };
struct count {
  struct store_view *v;
  bool usage, country[LETTERS][LETTERS];
  struct move_job_status *out;
};

static bool count_one(void *arg, const struct store_subject *row) {
  struct count *c = arg;
  uint64_t objects = 0, bytes = 0;
  c->out->subjects++;
  unsigned first = (unsigned)(uint8_t)row->country[0] - 'A',
           second = (unsigned)(uint8_t)row->country[1] - 'A';
  if (first < LETTERS && second < LETTERS) c->country[first][second] = true;
  if (c->usage && !store_subject_usage(c->v, row->token, row->epoch, &objects, &bytes, NULL)) {
    c->out->objects += objects;
    c->out->bytes += bytes;
  }
  return true;
}

static enum dom_code check_countries(struct mover *m, const struct move_spec *spec, const struct count *c,
                                     struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (int i = 0; !code && i < LETTERS * LETTERS; i++) {
    const char country[2] = {(char)('A' + i / LETTERS), (char)('A' + i % LETTERS)};
    if (c->country[i / LETTERS][i % LETTERS]) code = job_check_country(m, spec, country, err);
  }
  return code;
}

enum dom_code job_count(struct mover *m, const struct move_spec *spec, uint64_t job,
                        const struct job_list *list, bool usage, struct move_job_status *out,
                        struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct move_job_status counted = {0};
  struct job_cursor cursor = {0};
  struct count c = {.usage = usage, .out = &counted};
  enum dom_code code = store_view_open(m->o.store, &v, err);
  c.v = v;
  if (!code) code = job_select(m, v, spec, job, list, &cursor, count_one, &c, err);
  if (!code && spec->has_list) code = check_countries(m, spec, &c, err);
  if (code) return code;
  out->subjects = counted.subjects;
  out->objects = counted.objects;
  out->bytes = counted.bytes;
  return DOM_OK;
}
