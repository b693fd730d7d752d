/* Jobs as rows: spec, state and counters. */
#include <assert.h>

#include "move/job.h"

enum { JOB_ROW_VERSION = 1 };

void job_encode(const struct move_job_status *job, struct buf *out) {
  assert(job->spec.share_count <= MOVE_SHARES_MAX);
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
}

enum dom_code job_decode(struct slice value, struct move_job_status *out, struct dom_err *err) {
  struct reader r = reader_of(value);
  struct move_job_status j = {0};
  bool good = get_u8(&r) == JOB_ROW_VERSION;
  j.id = get_u64be(&r);
  j.state = (enum move_job_state)get_u8(&r);
  get_copy(&r, j.spec.country, 2);
  j.spec.share_count = get_u8(&r);
  good = good && j.spec.share_count <= MOVE_SHARES_MAX;
  for (uint32_t i = 0; good && i < j.spec.share_count; i++) {
    j.spec.share[i].region = get_u16be(&r);
    j.spec.share[i].percent = get_u8(&r);
  }
  j.spec.rate_bytes_s = get_u64be(&r);
  j.spec.deadline_ms = get_u64be(&r);
  j.spec.parallel = get_u32be(&r);
  j.started_ms = get_u64be(&r);
  j.ended_ms = get_u64be(&r);
  j.subjects = get_u64be(&r);
  j.subjects_done = get_u64be(&r);
  j.subjects_failed = get_u64be(&r);
  j.objects_done = get_u64be(&r);
  j.bytes = get_u64be(&r);
  j.bytes_done = get_u64be(&r);
  j.held_ms_p99 = get_u64be(&r);
  struct slice failure = get_bytes16be(&r);
  good = good && reader_end(&r) && failure.len < sizeof j.last_failure && j.state >= JOB_RUNNING &&
         j.state <= JOB_PAUSED;
  if (!good) return dom_fail(err, DOM_CORRUPT, "move/job: row", "a job row does not decode");
  memcpy(j.last_failure, failure.data, failure.len);
  *out = j;
  return DOM_OK;
}

static enum dom_code put_once(struct mover *m, const struct move_job_status *job, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  BUF_AUTO value = BUF_INIT;
  uint8_t key[8];
  store_u64be(key, job->id);
  job_encode(job, &value);
  enum dom_code code = buf_check(&value, err);
  if (!code) code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code) code = store_tx_row_put(tx, STORE_TABLE_JOB, slice_of(key, 8), buf_slice(&value), err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

enum dom_code job_put(struct mover *m, const struct move_job_status *job, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) code = put_once(m, job, err);
  return code;
}

enum dom_code job_get(struct mover *m, uint64_t id, struct move_job_status *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO value = BUF_INIT;
  uint8_t key[8];
  store_u64be(key, id);
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_get(v, STORE_TABLE_JOB, slice_of(key, 8), &value, NULL);
  if (code) return dom_fail(err, code, "move/job: get", "no such job");
  return job_decode(buf_slice(&value), out, err);
}

enum dom_code job_check_spec(struct mover *m, const struct move_spec *spec, struct dom_err *err) {
  char country[CHARTER_COUNTRY_SIZE] = {spec->country[0], spec->country[1], 0};
  if (!charter_country_valid(country))
    return dom_fail(err, DOM_INVALID, "move/job: spec",
                    "the country must be an ISO 3166-1 alpha-2 code such as IN");
  if (spec->share_count == 0 || spec->share_count > MOVE_SHARES_MAX)
    return dom_fail(err, DOM_INVALID, "move/job: spec", "a move has 1 to %d targets", MOVE_SHARES_MAX);
  if (spec->parallel > MOVE_PARALLEL_MAX)
    return dom_fail(err, DOM_INVALID, "move/job: spec", "at most %d subjects are moved at once",
                    MOVE_PARALLEL_MAX);
  unsigned sum = 0;
  struct charter *c = subject_charter(m->o.subjects);
  enum dom_code code = c ? DOM_OK : dom_fail(err, DOM_REFUSED, "move/job: spec", "no charter is in force");
  for (uint32_t i = 0; !code && i < spec->share_count; i++) {
    const struct charter_region *to = charter_region_by_number(c, spec->share[i].region);
    struct charter_refusal refusal = {0};
    sum += spec->share[i].percent;
    if (!to)
      code = dom_fail(err, DOM_INVALID, "move/job: spec", "a target region is not in the charter");
    else if (to->number == m->o.region)
      code = dom_fail(err, DOM_INVALID, "move/job: spec", "region %s is the source itself", to->name);
    else if (charter_subject_fits(c, country, to->number, 0, &refusal))
      code = dom_fail(err, DOM_REFUSED, "move/job: spec", "charter %llu, %s: %s",
                      (unsigned long long)refusal.version, refusal.clause, refusal.why);
  }
  charter_release(c);
  if (!code && sum != 100)
    code = dom_fail(err, DOM_INVALID, "move/job: spec", "the shares add up to %u %%, not 100", sum);
  return code;
}

bool job_same_selection(const struct move_spec *a, const struct move_spec *b) {
  if (memcmp(a->country, b->country, 2) != 0 || a->share_count != b->share_count) return false;
  for (uint32_t i = 0; i < a->share_count; i++)
    if (a->share[i].region != b->share[i].region || a->share[i].percent != b->share[i].percent) return false;
  return true;
}

uint16_t job_target(const struct move_spec *spec, const uint8_t token[TOKEN_SIZE]) {
  assert(spec->share_count > 0);
  /* A token is an HMAC: its bytes are uniform. The last ones, so as not to follow the order of the scan. */
  unsigned point = load_u32be(token + TOKEN_SIZE - 4) % 100, sum = 0;
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

uint64_t held_p99(const struct held_histogram *h) {
  uint64_t seen = 0;
  for (int b = 0; b < HELD_BUCKETS; b++) {
    seen += h->count[b];
    if (h->total && seen * 100 >= h->total * 99) return held_border(b);
  }
  return 0;
}
