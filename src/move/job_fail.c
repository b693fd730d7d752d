/* Who could not be moved, and why: rows beside the job's, kept after its end for people to read. */
#include <assert.h>
#include <stdio.h>

#include "move/job.h"

enum { FAILURE_KEY_SIZE = 8 + TOKEN_SIZE, FAILURE_ROW_VERSION = 1 };

static void failure_key(uint64_t job, const uint8_t token[TOKEN_SIZE], uint8_t out[FAILURE_KEY_SIZE]) {
  store_u64be(out, job);
  memcpy(out + 8, token, TOKEN_SIZE);
}

void failure_encode(const struct move_failure *f, struct buf *out) {
  assert(f->tries > 0 && f->code != DOM_OK && f->code < DOM_CODE_COUNT);
  put_u8(out, FAILURE_ROW_VERSION);
  put_bytes16be(out, slice_str(dom_code_name(f->code)));
  put_u32be(out, f->tries);
  put_u64be(out, f->last_ms);
  put_u64be(out, f->charter_version);
  put_bytes16be(out, slice_str(f->text));
}

/* Codes are written by name: their numbers are this build's. */
static enum dom_code code_by_name(struct slice name) {
  for (int i = DOM_OK + 1; i < DOM_CODE_COUNT; i++)
    if (slice_equal(name, slice_str(dom_code_name((enum dom_code)i)))) return (enum dom_code)i;
  return DOM_OK;
}

enum dom_code failure_decode(struct slice key, struct slice value, struct move_failure *out,
                             struct dom_err *err) {
  struct reader r = reader_of(value);
  struct move_failure f = {0};
  bool good = get_u8(&r) == FAILURE_ROW_VERSION && key.len == FAILURE_KEY_SIZE;
  f.code = code_by_name(get_bytes16be(&r));
  f.tries = get_u32be(&r);
  f.last_ms = get_u64be(&r);
  f.charter_version = get_u64be(&r);
  struct slice text = get_bytes16be(&r);
  if (!good || !reader_end(&r) || f.code == DOM_OK || f.tries == 0 || text.len >= sizeof f.text)
    return dom_fail(err, DOM_CORRUPT, "move/failure: row", "a row of a failure does not decode");
  memcpy(f.token, key.data + 8, TOKEN_SIZE);
  memcpy(f.text, text.data, text.len);
  *out = f;
  return DOM_OK;
}

enum dom_code failure_get(struct store_view *v, uint64_t job, const uint8_t token[TOKEN_SIZE],
                          struct move_failure *out, struct dom_err *err) {
  uint8_t key[FAILURE_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  failure_key(job, token, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_JOB_FAILURE, slice_of(key, sizeof key), &value, err);
  return code ? code : failure_decode(slice_of(key, sizeof key), buf_slice(&value), out, err);
}

enum dom_code failure_note(struct mover *m, uint64_t job, const uint8_t token[TOKEN_SIZE], enum dom_code code,
                           const char *text, bool *out_new, struct dom_err *err) {
  struct move_failure f = {0};
  uint8_t key[FAILURE_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  enum dom_code had;
  {
    STORE_VIEW_AUTO *v = NULL;
    had = store_view_open(m->o.store, &v, err);
    if (!had) had = failure_get(v, job, token, &f, NULL);
  }
  if (had && had != DOM_NOT_FOUND) return had;
  f.code = code;
  f.tries++;
  f.last_ms = clock_wall_ms(m->o.clock);
  f.charter_version = mover_charter_version(m);
  snprintf(f.text, sizeof f.text, "%s", text);
  failure_key(job, token, key);
  failure_encode(&f, &value);
  struct slice row = buf_slice(&value);
  enum dom_code put = buf_check(&value, err);
  if (!put) put = job_row_commit(m, STORE_TABLE_JOB_FAILURE, slice_of(key, sizeof key), &row, err);
  if (!put) *out_new = had == DOM_NOT_FOUND;
  return put;
}

enum dom_code failure_clear(struct mover *m, uint64_t job, const uint8_t token[TOKEN_SIZE], bool *out_had,
                            struct dom_err *err) {
  struct move_failure f;
  uint8_t key[FAILURE_KEY_SIZE];
  enum dom_code had;
  {
    STORE_VIEW_AUTO *v = NULL;
    had = store_view_open(m->o.store, &v, err);
    if (!had) had = failure_get(v, job, token, &f, NULL);
  }
  if (had && had != DOM_NOT_FOUND) return had;
  failure_key(job, token, key);
  enum dom_code code = DOM_OK;
  if (!had) code = job_row_commit(m, STORE_TABLE_JOB_FAILURE, slice_of(key, sizeof key), NULL, err);
  if (!code) *out_had = had == DOM_OK;
  return code;
}

bool failure_is_final(const struct move_failure *f, uint64_t charter_version) {
  if (f->charter_version != charter_version) return false;
  return f->code == DOM_REFUSED || f->tries >= FAIL_TRIES_MAX;
}

uint64_t failure_due_ms(const struct move_failure *f, uint64_t charter_version) {
  assert(f->tries > 0);
  if (f->charter_version != charter_version) return f->last_ms + FAIL_PAUSE_MS;
  uint64_t pause = FAIL_PAUSE_MS;
  for (uint32_t i = 1; i < f->tries && pause < FAIL_PAUSE_MS_MAX; i++) pause *= 4;
  return f->last_ms + (pause < FAIL_PAUSE_MS_MAX ? pause : FAIL_PAUSE_MS_MAX);
}

struct scan {
  failure_fn fn;
  void *arg;
  struct dom_err *err;
  enum dom_code code;
};

static bool see_row(void *arg, struct slice key, struct slice value) {
  struct scan *s = arg;
  struct move_failure f;
  s->code = failure_decode(key, value, &f, s->err);
  return s->code == DOM_OK && s->fn(s->arg, &f);
}

enum dom_code failure_scan(struct store_view *v, uint64_t job, const uint8_t *after, failure_fn fn, void *arg,
                           struct dom_err *err) {
  struct scan s = {.fn = fn, .arg = arg, .err = err};
  uint8_t prefix[8], key[FAILURE_KEY_SIZE];
  store_u64be(prefix, job);
  if (after) failure_key(job, after, key);
  enum dom_code code = store_row_scan(v, STORE_TABLE_JOB_FAILURE, slice_of(prefix, sizeof prefix),
                                      after ? slice_of(key, sizeof key) : SLICE_LIT(""), see_row, &s, err);
  return code ? code : s.code;
}

enum dom_code mover_job_failures(struct mover *m, uint64_t id, const uint8_t *after, move_failure_fn fn,
                                 void *arg, struct dom_err *err) {
  struct move_job_status job;
  struct held_histogram held;
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = job_get(m, id, &job, &held, err);
  if (!code) code = store_view_open(m->o.store, &v, err);
  return code ? code : failure_scan(v, id, after, fn, arg, err);
}
