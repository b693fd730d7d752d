/* Jobs as rows: spec, state and counters. */
#include <assert.h>

#include "move/job.h"

enum {
  JOB_ROW_VERSION = 2,
  JOB_ROW_VERSION_FIRST = 1 /* without list, held times and number of objects */
};

static void put_list(const struct move_spec *spec, struct buf *out) {
  put_u64be(out, spec->has_list ? spec->list_count : 0);
  if (spec->has_list) buf_append(out, spec->list_sha256, SHA256_SIZE);
}

static void get_list(struct reader *r, struct move_spec *spec) {
  spec->list_count = get_u64be(r);
  spec->has_list = spec->list_count > 0;
  if (spec->has_list) get_copy(r, spec->list_sha256, SHA256_SIZE);
}

static void put_held(const struct held_histogram *held, struct buf *out) {
  uint8_t used = HELD_BUCKETS;
  while (used > 0 && held->count[used - 1] == 0) used--;
  put_u8(out, used);
  for (uint8_t i = 0; i < used; i++) put_u64be(out, held->count[i]);
}

static bool get_held(struct reader *r, struct held_histogram *held) {
  uint8_t used = get_u8(r);
  if (used > HELD_BUCKETS) return false;
  for (uint8_t i = 0; i < used; i++) held->total += held->count[i] = get_u64be(r);
  return true;
}

void job_encode(const struct move_job_status *job, const struct held_histogram *held, struct buf *out) {
  assert(job->spec.share_count <= MOVE_SHARES_MAX && (!job->spec.has_list || job->spec.list_count > 0));
  put_u8(out, JOB_ROW_VERSION);
  put_u64be(out, job->id);
  put_u8(out, (uint8_t)job->state);
  buf_append(out, job->spec.country, 2);
  put_u8(out, (uint8_t)job->spec.share_count);
  for (uint32_t i = 0; i < job->spec.share_count; i++) {
    put_u16be(out, job->spec.share[i].region);
    put_u8(out, job->spec.share[i].percent);
  }
  put_u64be(out, job->spec.rate_bytes_s);
  put_u64be(out, job->spec.deadline_ms);
  put_u32be(out, job->spec.parallel);
  put_u64be(out, job->started_ms);
  put_u64be(out, job->ended_ms);
  put_u64be(out, job->subjects);
  put_u64be(out, job->subjects_done);
  put_u64be(out, job->subjects_failed);
  put_u64be(out, job->objects_done);
  put_u64be(out, job->bytes);
  put_u64be(out, job->bytes_done);
  put_u64be(out, job->held_ms_p99);
  put_bytes16be(out, slice_str(job->last_failure));
  put_u64be(out, job->objects);
  put_list(&job->spec, out);
  put_held(held, out);
}

static void get_counters(struct reader *r, struct move_job_status *j) {
  j->started_ms = get_u64be(r);
  j->ended_ms = get_u64be(r);
  j->subjects = get_u64be(r);
  j->subjects_done = get_u64be(r);
  j->subjects_failed = get_u64be(r);
  j->objects_done = get_u64be(r);
  j->bytes = get_u64be(r);
  j->bytes_done = get_u64be(r);
  j->held_ms_p99 = get_u64be(r);
}

static bool get_shares(struct reader *r, struct move_spec *spec) {
  spec->share_count = get_u8(r);
  if (spec->share_count > MOVE_SHARES_MAX) return false;
  for (uint32_t i = 0; i < spec->share_count; i++) {
    spec->share[i].region = get_u16be(r);
    spec->share[i].percent = get_u8(r);
  }
  return true;
}

enum dom_code job_decode(struct slice value, struct move_job_status *out, struct held_histogram *out_held,
                         struct dom_err *err) {
  struct reader r = reader_of(value);
  struct move_job_status j = {0};
  struct held_histogram held = {0};
  uint8_t version = get_u8(&r);
  bool good = version == JOB_ROW_VERSION || version == JOB_ROW_VERSION_FIRST;
  j.id = get_u64be(&r);
  j.state = (enum move_job_state)get_u8(&r);
  get_copy(&r, j.spec.country, 2);
  good = good && get_shares(&r, &j.spec);
  j.spec.rate_bytes_s = get_u64be(&r);
  j.spec.deadline_ms = get_u64be(&r);
  j.spec.parallel = get_u32be(&r);
  get_counters(&r, &j);
  struct slice failure = get_bytes16be(&r);
  if (version >= JOB_ROW_VERSION) {
    j.objects = get_u64be(&r);
    get_list(&r, &j.spec);
    good = good && get_held(&r, &held);
  }
  good = good && reader_end(&r) && failure.len < sizeof j.last_failure && j.state >= JOB_RUNNING &&
         j.state <= JOB_PAUSED;
  if (!good) return dom_fail(err, DOM_CORRUPT, "move/job: row", "a job row does not decode");
  memcpy(j.last_failure, failure.data, failure.len);
  *out = j;
  *out_held = held;
  return DOM_OK;
}

static enum dom_code commit_once(struct mover *m, enum store_table table, struct slice key,
                                 const struct slice *value, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code)
    code = value ? store_tx_row_put(tx, table, key, *value, err) : store_tx_row_delete(tx, table, key, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

enum dom_code job_row_commit(struct mover *m, enum store_table table, struct slice key,
                             const struct slice *value, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++)
    code = commit_once(m, table, key, value, err);
  return code;
}

enum dom_code job_put(struct mover *m, const struct move_job_status *job, const struct held_histogram *held,
                      struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  uint8_t key[8];
  store_u64be(key, job->id);
  job_encode(job, held, &value);
  struct slice row = buf_slice(&value);
  enum dom_code code = buf_check(&value, err);
  return code ? code : job_row_commit(m, STORE_TABLE_JOB, slice_of(key, 8), &row, err);
}

enum dom_code job_get(struct mover *m, uint64_t id, struct move_job_status *out,
                      struct held_histogram *out_held, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO value = BUF_INIT;
  uint8_t key[8];
  store_u64be(key, id);
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_get(v, STORE_TABLE_JOB, slice_of(key, 8), &value, NULL);
  if (code) return dom_fail(err, code, "move/job: get", "no such job");
  return job_decode(buf_slice(&value), out, out_held, err);
}

enum dom_code job_check_country(struct mover *m, const struct move_spec *spec, const char country[2],
                                struct dom_err *err) {
  char name[CHARTER_COUNTRY_SIZE] = {country[0], country[1], 0};
  struct charter *c = subject_charter(m->o.subjects);
  enum dom_code code = c ? DOM_OK : dom_fail(err, DOM_REFUSED, "move/job: spec", "no charter is in force");
  for (uint32_t i = 0; !code && i < spec->share_count; i++) {
    struct charter_refusal refusal = {0};
    if (charter_subject_fits(c, name, spec->share[i].region, 0, &refusal))
      code = dom_fail(err, DOM_REFUSED, "move/job: spec", "charter %llu, %s: %s",
                      (unsigned long long)refusal.version, refusal.clause, refusal.why);
  }
  charter_release(c);
  return code;
}

/* The regions are in the charter and not this one; the percentages add up. */
static enum dom_code check_shares(struct mover *m, const struct move_spec *spec, struct dom_err *err) {
  unsigned sum = 0;
  struct charter *c = subject_charter(m->o.subjects);
  enum dom_code code = c ? DOM_OK : dom_fail(err, DOM_REFUSED, "move/job: spec", "no charter is in force");
  for (uint32_t i = 0; !code && i < spec->share_count; i++) {
    const struct charter_region *to = charter_region_by_number(c, spec->share[i].region);
    sum += spec->share[i].percent;
    if (!to)
      code = dom_fail(err, DOM_INVALID, "move/job: spec", "a target region is not in the charter");
    else if (to->number == m->o.region)
      code = dom_fail(err, DOM_INVALID, "move/job: spec", "region %s is the source itself", to->name);
  }
  charter_release(c);
  if (!code && sum != 100)
    code = dom_fail(err, DOM_INVALID, "move/job: spec", "the shares add up to %u %%, not 100", sum);
  return code;
}

enum dom_code job_check_spec(struct mover *m, const struct move_spec *spec, struct dom_err *err) {
  char country[CHARTER_COUNTRY_SIZE] = {spec->country[0], spec->country[1], 0};
  if (!spec->list_id && !charter_country_valid(country))
    return dom_fail(err, DOM_INVALID, "move/job: spec",
                    "the country must be an ISO 3166-1 alpha-2 code such as IN");
  if (spec->list_id && spec->country[0])
    return dom_fail(err, DOM_INVALID, "move/job: spec", "a move is of a country or of a list, not of both");
  if (spec->share_count == 0 || spec->share_count > MOVE_SHARES_MAX)
    return dom_fail(err, DOM_INVALID, "move/job: spec", "a move has 1 to %d targets", MOVE_SHARES_MAX);
  if (spec->parallel > MOVE_PARALLEL_MAX)
    return dom_fail(err, DOM_INVALID, "move/job: spec", "at most %d subjects are moved at once",
                    MOVE_PARALLEL_MAX);
  enum dom_code code = check_shares(m, spec, err);
  return code || spec->list_id ? code : job_check_country(m, spec, country, err);
}

bool job_same_selection(const struct move_spec *a, const struct move_spec *b) {
  if (memcmp(a->country, b->country, 2) != 0 || a->share_count != b->share_count) return false;
  if (a->has_list != b->has_list || a->list_count != b->list_count) return false;
  if (a->has_list && memcmp(a->list_sha256, b->list_sha256, SHA256_SIZE) != 0) return false;
  for (uint32_t i = 0; i < a->share_count; i++)
    if (a->share[i].region != b->share[i].region || a->share[i].percent != b->share[i].percent) return false;
  return true;
}

uint16_t job_target(const struct move_spec *spec, const uint8_t token[TOKEN_SIZE]) {
  assert(spec->share_count > 0);
  /* A token is an HMAC: its bytes are uniform. The last ones, so as not to follow the order of the scan. */
  unsigned point = load_u32be(&token[TOKEN_SIZE - 4]) % 100, sum = 0;
  for (uint32_t i = 0; i < spec->share_count; i++) {
    sum += spec->share[i].percent;
    if (point < sum) return spec->share[i].region;
  }
  assert(false); /* job_check_spec: the shares add up to 100 */
  return 0;
}

static uint64_t held_border(int bucket) {
  static const double root = 1.4142135623730951;
  double border = 1;
  for (int i = 0; i < bucket; i++) border *= root;
  return (uint64_t)border;
}

void held_add(struct held_histogram *h, uint64_t ms) {
  int b = 0;
  while (b < HELD_BUCKETS - 1 && held_border(b) < ms) b++;
  h->count[b]++;
  h->total++;
}

uint64_t held_percentile(const struct held_histogram *h, unsigned percent) {
  uint64_t seen = 0;
  assert(percent <= 100);
  for (int b = 0; b < HELD_BUCKETS; b++) {
    seen += h->count[b];
    if (h->total && seen * 100 >= h->total * percent) return held_border(b);
  }
  return 0;
}
