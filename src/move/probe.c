/* What a move would take, measured: some of those it selects are rehearsed. Their bodies are read and
 * unsealed as a copy does; what goes to the target instead is as many random bytes, which it hashes, seals
 * and commits to a row that is dropped afterwards. Nobody moves, and nothing personal leaves. */
#include <assert.h>
#include <math.h>

#include "move/job_run.h"

enum {
  PROBE_SUBJECTS_MAX = 64,     /* the first tokens: those are hashes, so it is a random sample … */
  PROBE_BYTES_MAX = 64 << 20,  /* … of so many bytes at most … */
  PROBE_MS_MAX = 10000,        /* … and so long: an operator waits for the answer */
  PROBE_PAYLOAD_MAX = 1 << 20, /* of one message: what a row may hold, and a chunk of a body */
  PROBE_COMMITS_BEFORE = 1,    /* of the source: COPYING; */
  PROBE_COMMITS_AFTER = 3,     /* ERASING, its rows, DROPPED */
  PROBE_KEY_SIZE = 16,
  PROBE_ROW = 160,     /* bytes of a step's row: a handoff's and a subject's */
  PROBE_SAMPLE_FEW = 4 /* fewer say nothing about how much they differ */
};

/* ---- the target's side ------------------------------------------------------------------------ */

static void probe_key(uint16_t from, uint8_t slot, uint8_t out[PROBE_KEY_SIZE]) {
  memcpy(out, "move-probe---", PROBE_KEY_SIZE - 3);
  out[PROBE_KEY_SIZE - 3] = (uint8_t)(from >> 8);
  out[PROBE_KEY_SIZE - 2] = (uint8_t)from;
  out[PROBE_KEY_SIZE - 1] = slot;
}

/* Body: slot u8 | random bytes. None: the slot's row goes. */
enum dom_code probe_message(struct mover *m, uint16_t from, struct slice body, struct dom_err *err) {
  if (body.len == 0 || body.len > 1 + PROBE_PAYLOAD_MAX || body.data[0] >= MOVE_PARALLEL_MAX)
    return dom_fail(err, DOM_INVALID, "move/probe", "does not decode");
  uint8_t row[PROBE_KEY_SIZE], key[KEY_SIZE], digest[SHA256_SIZE], tag[GCM_TAG_SIZE];
  static const uint8_t NONCE[GCM_NONCE_SIZE] = {0}; /* the key is new each time */
  struct slice payload = slice_cut(body, 1, body.len);
  BUF_AUTO sealed = BUF_INIT;
  probe_key(from, body.data[0], row);
  if (payload.len == 0) return job_row_commit(m, STORE_TABLE_META, slice_of(row, sizeof row), NULL, err);
  if (!buf_reserve(&sealed, payload.len)) return buf_check(&sealed, err);
  random_bytes(key, sizeof key);
  sha256(payload.data, payload.len, digest);
  enum dom_code code = gcm_seal(key, NONCE, slice_of(digest, sizeof digest), payload, sealed.data, tag);
  sealed.len = payload.len;
  struct slice value = buf_slice(&sealed);
  if (!code) code = job_row_commit(m, STORE_TABLE_META, slice_of(row, sizeof row), &value, err);
  wipe(key, sizeof key);
  return code;
}

struct first_row {
  uint8_t key[PROBE_KEY_SIZE];
  bool has;
};

static bool see_row(void *arg, struct slice key, struct slice value) {
  struct first_row *f = arg;
  (void)value;
  f->has = key.len == PROBE_KEY_SIZE;
  if (f->has) memcpy(f->key, key.data, PROBE_KEY_SIZE);
  return false;
}

void probe_sweep(struct mover *m) {
  static const struct slice PREFIX = {(const uint8_t *)"move-probe---", PROBE_KEY_SIZE - 3};
  for (;;) {
    struct first_row f = {.has = false};
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, NULL);
    if (!code) code = store_row_scan(v, STORE_TABLE_META, PREFIX, SLICE_LIT(""), see_row, &f, NULL);
    store_view_close(v);
    v = NULL;
    if (code || !f.has) return;
    if (job_row_commit(m, STORE_TABLE_META, slice_of(f.key, PROBE_KEY_SIZE), NULL, NULL)) return;
  }
}

/* ---- the source's side --------------------------------------------------------------------------- */

struct sample {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch, bytes, fixed_ns, body_ns;
  char country[2];
  bool done;
};

struct probe {
  struct mover *m;
  const struct move_spec *spec;
  struct sample sample[PROBE_SUBJECTS_MAX];
  uint32_t count, parallel;
  _Atomic uint32_t next;
  _Atomic uint64_t bytes;
  uint64_t until_ns;
  atomic_bool failed; /* the others need not go on */
  struct pace pace;
  pthread_mutex_t lock; /* guards what follows */
  struct held_histogram held;
  enum dom_code code;
  struct dom_err err;
};

struct rehearsal { /* one thread's */
  struct probe *p;
  uint32_t slot;
  pthread_t thread;
  uint16_t told[MOVE_SHARES_MAX]; /* targets that keep a row of this slot */
  uint32_t told_count;
  uint8_t *payload; /* 1 + PROBE_PAYLOAD_MAX random bytes */
};

static uint64_t now_ns(const struct probe *p) {
  return clock_mono_ns(p->m->o.clock);
}

static enum dom_code tell(struct rehearsal *r, uint16_t to, size_t bytes, struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  uint32_t i = 0;
  assert(bytes <= PROBE_PAYLOAD_MAX);
  while (i < r->told_count && r->told[i] != to) i++;
  if (i == r->told_count && bytes) r->told[r->told_count++] = to;
  r->payload[0] = (uint8_t)r->slot;
  return net_call(r->p->m->o.net, to, "move/probe", slice_of(r->payload, 1 + bytes), MOVE_MESSAGE_TIMEOUT_MS,
                  &reply, err);
}

/* As one step of a handoff. */
static enum dom_code commit(struct rehearsal *r, struct dom_err *err) {
  uint8_t key[PROBE_KEY_SIZE];
  struct slice value = slice_of(r->payload, PROBE_ROW);
  probe_key(r->p->m->o.region, (uint8_t)r->slot, key);
  return job_row_commit(r->p->m, STORE_TABLE_META, slice_of(key, sizeof key), &value, err);
}

static bool is_enough(const struct probe *p) {
  return atomic_load(&p->bytes) >= PROBE_BYTES_MAX || now_ns(p) >= p->until_ns || atomic_load(&p->failed) ||
         atomic_load(&p->m->stopping);
}

/* Reads one body; as many random bytes go out for what was gathered so far. */
static enum dom_code read_body(struct rehearsal *r, uint16_t to, struct store_found *found, uint64_t size,
                               size_t *gathered, uint8_t *chunk, struct sample *s, struct dom_err *err) {
  uint64_t at = 0;
  enum dom_code code = DOM_OK;
  while (!code && at < size && !is_enough(r->p)) {
    size_t want = size - at < PROBE_PAYLOAD_MAX ? (size_t)(size - at) : PROBE_PAYLOAD_MAX, got = 0;
    if (*gathered + want > PROBE_PAYLOAD_MAX) {
      if (!pace_wait(&r->p->pace, r->p->m, *gathered, false)) return DOM_CANCELLED;
      code = tell(r, to, *gathered, err);
      *gathered = 0;
    }
    if (!code) code = store_found_read(found, at, chunk, want, &got, err);
    at += got;
    *gathered += got;
    s->bytes += got;
    atomic_fetch_add(&r->p->bytes, got);
    if (got < want) break;
  }
  return code;
}

/* All that a subject has, as the snapshot of a copy. */
static enum dom_code read_all(struct rehearsal *r, struct sample *s, uint16_t to, const struct permit *permit,
                              uint8_t *chunk, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_walk *w = NULL;
  const struct store_item *item;
  size_t gathered = 1; /* an empty batch is a message, too */
  enum dom_code code = store_view_open(r->p->m->o.store, &v, err);
  if (!code) code = store_walk_open(v, PERMIT_MOVE, permit, s->token, s->epoch, SLICE_LIT(""), &w, err);
  while (!code && !is_enough(r->p) && !(code = store_walk_next(w, &item, err))) {
    struct store_found *found = NULL;
    bool has_body = item->kind != STORE_ITEM_UPLOAD && !item->object.is_marker;
    uint64_t size = item->kind == STORE_ITEM_PART ? item->part.body.size : item->object.size;
    if (!has_body) continue;
    code = store_item_open(v, PERMIT_MOVE, permit, s->token, s->epoch, item, &found, err);
    if (!code) code = read_body(r, to, found, size, &gathered, chunk, s, err);
    store_found_free(found);
  }
  store_walk_close(w);
  if (code == DOM_NOT_FOUND) code = DOM_OK;
  return code ? code : tell(r, to, gathered, err);
}

static enum dom_code commits(struct rehearsal *r, int count, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (int i = 0; !code && i < count; i++) code = commit(r, err);
  return code;
}

/* From the fence to the commit: three steps here, the rest of the journal and the target's PREPARED. */
static enum dom_code hold(struct rehearsal *r, uint16_t to, struct dom_err *err) {
  uint64_t began = now_ns(r->p);
  enum dom_code code = commit(r, err);
  if (!code) code = tell(r, to, 1, err);
  if (!code) code = tell(r, to, 1, err);
  if (!code) code = commit(r, err);
  pthread_mutex_lock(&r->p->lock);
  if (!code) held_add(&r->p->held, (now_ns(r->p) - began) / 1000000);
  pthread_mutex_unlock(&r->p->lock);
  return code;
}

static enum dom_code rehearse(struct rehearsal *r, struct sample *s, uint8_t *chunk, struct dom_err *err) {
  struct mover *m = r->p->m;
  struct charter_permit_storage storage;
  const struct permit *permit;
  uint16_t to = job_target(r->p->spec, s->token);
  uint64_t began = now_ns(r->p);
  enum dom_code code = mover_permit(m, s->token, s->country, m->o.region, to, &storage, &permit, err);
  if (!code) code = commits(r, PROBE_COMMITS_BEFORE, err);
  if (!code) code = tell(r, to, 1, err); /* begin */
  uint64_t read = now_ns(r->p);
  if (!code) code = read_all(r, s, to, permit, chunk, err);
  uint64_t held = now_ns(r->p);
  if (!code) code = hold(r, to, err);
  if (!code) code = tell(r, to, 1, err); /* commit */
  if (!code) code = commits(r, PROBE_COMMITS_AFTER, err);
  s->body_ns = held - read;
  s->fixed_ns = now_ns(r->p) - began - s->body_ns;
  s->done = code == DOM_OK;
  pace_yield(&r->p->pace, m);
  return code;
}

static void *rehearse_main(void *arg) {
  struct rehearsal *r = arg;
  struct probe *p = r->p;
  uint32_t few = p->parallel / JOB_CLIENTS_SHARE, i;
  BUF_AUTO chunk = BUF_INIT;
  struct dom_err err = {0};
  enum dom_code code = buf_reserve(&chunk, PROBE_PAYLOAD_MAX) ? DOM_OK : buf_check(&chunk, &err);
  pace_begin(p->m);
  while (!code && !is_enough(p)) {
    if (r->slot >= (few ? few : 1) && pace_has_clients(p->m)) { /* as a job's workers */
      clock_sleep_ms(p->m->o.clock, 1);
      if (atomic_load(&p->next) >= p->count) break;
      continue;
    }
    if ((i = atomic_fetch_add(&p->next, 1)) >= p->count) break;
    code = rehearse(r, &p->sample[i], chunk.data, &err);
  }
  wipe(chunk.data, chunk.cap);
  uint8_t key[PROBE_KEY_SIZE];
  probe_key(p->m->o.region, (uint8_t)r->slot, key);
  job_row_commit(p->m, STORE_TABLE_META, slice_of(key, sizeof key), NULL, NULL);
  for (uint32_t t = 0; t < r->told_count; t++) tell(r, r->told[t], 0, NULL);
  if (!code || code == DOM_CANCELLED) return NULL;
  atomic_store(&p->failed, true);
  pthread_mutex_lock(&p->lock);
  if (!p->code) {
    p->code = code;
    p->err = err;
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static void run_threads(struct probe *p, uint8_t *payload) {
  struct rehearsal r[MOVE_PARALLEL_MAX];
  uint32_t started = 0;
  for (uint32_t i = 0; i < p->parallel; i++)
    r[i] = (struct rehearsal){.p = p, .slot = i, .payload = payload + (size_t)i * (1 + PROBE_PAYLOAD_MAX)};
  if (!p->m->o.inline_threads)
    while (started + 1 < p->parallel &&
           pthread_create(&r[started + 1].thread, NULL, rehearse_main, &r[started + 1]) == 0)
      started++;
  rehearse_main(&r[0]);
  for (uint32_t i = 1; i <= started; i++) pthread_join(r[i].thread, NULL);
}

/* ---- what follows from it ------------------------------------------------------------------------- */

/* How far off the mean may be: twice its standard error, or by how much the halves of the sample differ. */
static double error_of(const struct probe *p, double per_subject, double per_byte) {
  double sum = 0, squares = 0, half[2] = {0, 0}, n = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const struct sample *s = &p->sample[i];
    double want = per_subject + per_byte * (double)s->bytes;
    if (!s->done || want <= 0) continue;
    double ratio = (double)(s->fixed_ns + s->body_ns) / want;
    sum += ratio;
    squares += ratio * ratio;
    half[(int)n % 2] += ratio;
    n++;
  }
  if (n < PROBE_SAMPLE_FEW || sum <= 0) return 1;
  double mean = sum / n, variance = squares / n - mean * mean;
  double by_error = 2 * sqrt(variance > 0 ? variance : 0) / sqrt(n) / mean;
  double by_halves = fabs(half[0] - half[1]) / sum;
  return by_error > by_halves ? by_error : by_halves;
}

static void predict(const struct probe *p, uint64_t took_ns, struct move_prediction *out) {
  double fixed = 0, body = 0, bytes = 0, n = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const struct sample *s = &p->sample[i];
    if (!s->done) continue;
    n++;
    fixed += (double)s->fixed_ns;
    body += (double)s->body_ns;
    bytes += (double)s->bytes;
  }
  out->sampled_subjects = (uint64_t)n;
  out->sampled_bytes = (uint64_t)bytes;
  out->took_ms = took_ns / 1000000;
  out->held_ms_p50 = held_percentile(&p->held, 50);
  out->held_ms_p99 = held_percentile(&p->held, 99);
  if (n == 0 || took_ns == 0) return;
  /* Without any bytes, what reading nothing takes is a subject's. */
  double per_subject = (fixed + (bytes > 0 ? 0 : body)) / n, per_byte = bytes > 0 ? body / bytes : 0;
  double at_once = (fixed + body) / (double)took_ns;
  if (at_once < 1) at_once = 1;
  double ms =
      ((double)out->status.subjects * per_subject + (double)out->status.bytes * per_byte) / at_once / 1e6;
  double off = error_of(p, per_subject, per_byte), rate = (double)p->spec->rate_bytes_s;
  double least = rate > 0 ? (double)out->status.bytes / rate * 1000 : 0; /* no error in that */
  double low = off < 1 ? ms * (1 - off) : ms / 2, high = ms * (1 + off);
  out->is_rate_bound = least > ms;
  out->duration_ms = (uint64_t)(least > ms ? least : ms);
  out->duration_ms_low = (uint64_t)(least > low ? least : low);
  out->duration_ms_high = (uint64_t)(least > high ? least : high);
}

static bool sample_one(void *arg, const struct store_subject *row) {
  struct probe *p = arg;
  struct sample *s = &p->sample[p->count++];
  *s = (struct sample){.epoch = row->epoch};
  memcpy(s->token, row->token, TOKEN_SIZE);
  memcpy(s->country, row->country, 2);
  return p->count < PROBE_SUBJECTS_MAX;
}

static enum dom_code measure(struct probe *p, struct move_prediction *out, struct dom_err *err) {
  size_t size = (size_t)p->parallel * (1 + PROBE_PAYLOAD_MAX);
  uint8_t *payload = dom_calloc(size, 1);
  atomic_bool never = false;
  if (!payload) return dom_fail(err, DOM_NO_MEMORY, "move/probe", "no memory");
  random_bytes(payload, size);
  pthread_mutex_init(&p->lock, NULL);
  pace_init(&p->pace, 0, &never);
  uint64_t began = now_ns(p);
  p->until_ns = began + PROBE_MS_MAX * UINT64_C(1000000);
  run_threads(p, payload);
  out->parallel = p->parallel;
  predict(p, now_ns(p) - began, out);
  pace_done(&p->pace);
  pthread_mutex_destroy(&p->lock);
  dom_free(payload);
  if (p->code) return dom_fail(err, p->code, "move/probe", "%s", p->err.text);
  return DOM_OK;
}

static enum dom_code select_sample(struct probe *p, const struct job_list *list, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct job_cursor cursor = {0};
  enum dom_code code = store_view_open(p->m->o.store, &v, err);
  return code ? code : job_select(p->m, v, p->spec, 0, list, &cursor, sample_one, p, err);
}

enum dom_code job_predict(struct mover *m, const struct move_spec *spec, const struct job_list *list,
                          struct move_prediction *out, struct dom_err *err) {
  struct probe *p = dom_calloc(1, sizeof *p);
  if (!p) return dom_fail(err, DOM_NO_MEMORY, "move/probe", "no memory");
  p->m = m;
  p->spec = spec;
  p->parallel = spec->parallel ? spec->parallel : m->o.parallel;
  enum dom_code code = DOM_OK;
  if (!m->o.net) code = dom_fail(err, DOM_UNAVAILABLE, "move/probe", "no peers");
  if (!code) code = select_sample(p, list, err);
  if (!code && p->count) code = measure(p, out, err);
  dom_free(p);
  return code;
}
