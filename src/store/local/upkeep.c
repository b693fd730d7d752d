#include <assert.h>
#include <time.h>

#include "base/alloc.h"
#include "store/local/engine.h"

enum {
  UPKEEP_PAUSE_MS = 200, /* between looks for work when the last look found none */
  COLLECT_MAX = 64       /* bodies one step unlinks: bounds its time */
};

/* ---- collection ---- */

/* Bodies to unlink in one step, with the rows that say so. */
struct collection {
  uint8_t ids[COLLECT_MAX][STORE_BODY_ID_SIZE];
  uint32_t count;
};

/* Removals that no reader can see any more. */
static enum dom_code removals_find(struct store *s, struct collection *out, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  uint8_t from[1] = {ROW_REMOVAL};
  uint64_t least = read_mark_least(s); /* before the look: later readers cannot see what is removed */
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(from, 1)); it.valid && it.key.data[0] == ROW_REMOVAL; index_next(&it)) {
    if (it.key.len != 1 + STORE_BODY_ID_SIZE || it.value.len != TOKEN_SIZE + 16) {
      return dom_fail(err, DOM_CORRUPT, "store/upkeep: removals", "bad row");
    }
    if (load_u64le(it.value.data + TOKEN_SIZE + 8) > least) continue;
    memcpy(out->ids[out->count++], it.key.data + 1, STORE_BODY_ID_SIZE);
    if (out->count == COLLECT_MAX) break;
  }
  return index_iter_check(&it, err);
}

static void removals_drop(void *arg, struct apply *a, struct index_batch *b) {
  const struct collection *done = arg;
  (void)a;
  for (uint32_t i = 0; i < done->count; i++) {
    BUF_AUTO key = BUF_INIT;
    row_id_key(&key, ROW_REMOVAL, done->ids[i]);
    if (!key.failed) index_delete(b, buf_slice(&key));
  }
}

static enum dom_code collect_locked(struct store *s, bool *did, struct dom_err *err) {
  struct collection found = {.count = 0};
  enum dom_code code = removals_find(s, &found, err);
  if (code != DOM_OK || found.count == 0) return code;
  for (uint32_t i = 0; i < found.count && code == DOM_OK; i++) code = body_unlink(s, found.ids[i], err);
  if (code != DOM_OK) return code;
  struct commit job = {.job = removals_drop, .job_arg = &found};
  *did = true;
  return writer_commit(s->writer, &job);
}

/* Under a lock of its own: erasures do not wait for a step of compaction. */
enum dom_code upkeep_collect(struct store *s, bool *out_did, struct dom_err *err) {
  bool did = false;
  assert(out_did != NULL);
  pthread_mutex_lock(&s->collect_lock);
  enum dom_code code = collect_locked(s, &did, err);
  pthread_mutex_unlock(&s->collect_lock);
  if (code == DOM_OK) *out_did = did;
  return code;
}

/* Intents of processes before this one: their bodies were never named. */
static enum dom_code intents_find(struct store *s, struct collection *out, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  uint8_t from[1] = {ROW_INTENT};
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(from, 1)); it.valid && it.key.data[0] == ROW_INTENT; index_next(&it)) {
    if (it.key.len != 1 + STORE_BODY_ID_SIZE || it.value.len < TOKEN_SIZE + 16) {
      return dom_fail(err, DOM_CORRUPT, "store/upkeep: intents", "bad row");
    }
    if (load_u64le(it.value.data + TOKEN_SIZE + 8) > s->open_lsn) continue;
    memcpy(out->ids[out->count++], it.key.data + 1, STORE_BODY_ID_SIZE);
    if (out->count == COLLECT_MAX) break;
  }
  return index_iter_check(&it, err);
}

static enum dom_code intents_collect(struct store *s, bool *did, struct dom_err *err) {
  struct collection found = {.count = 0};
  if (s->intents_done) return DOM_OK;
  enum dom_code code = intents_find(s, &found, err);
  if (code != DOM_OK) return code;
  s->intents_done = found.count < COLLECT_MAX;
  for (uint32_t i = 0; i < found.count && code == DOM_OK; i++) {
    code = body_unlink(s, found.ids[i], err);
    if (code == DOM_OK) code = intent_end(s, found.ids[i], err);
    *did = true;
  }
  return code;
}

/* ---- flush ---- */

struct log_size {
  uint64_t after_lsn, bytes;
};

static bool log_size_add(void *arg, const struct log_segment_info *info) {
  struct log_size *size = arg;
  if (!info->free && info->last_lsn > size->after_lsn) size->bytes += info->bytes;
  return true;
}

/* The LSN up to which the ledger needs nothing of the log any more: the one it reached, and beyond
 * it as far as no commit has an entry. */
static enum dom_code ledger_passed(struct store *s, uint64_t *out, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO from = BUF_INIT;
  uint64_t applied = writer_applied(s->writer), reached = s->ledger_lsn; /* before the look */
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  row_entry_key(&from, reached + 1, 0);
  if (code == DOM_OK) code = buf_check(&from, err);
  if (code != DOM_OK) return code;
  index_seek(&it, buf_slice(&from));
  if (it.valid && it.key.data[0] == ROW_ENTRY && it.key.len == 13) applied = load_u64be(it.key.data + 1) - 1;
  code = index_iter_check(&it, err);
  if (code == DOM_OK) *out = applied > reached ? applied : reached;
  return code;
}

enum dom_code upkeep_horizon(struct store *s, uint64_t *out, struct dom_err *err) {
  uint64_t passed = 0;
  enum dom_code code = ledger_passed(s, &passed, err);
  if (code != DOM_OK) return code;
  *out = passed < s->flushed_lsn ? passed : s->flushed_lsn;
  log_horizon(s->log, *out);
  return DOM_OK;
}

enum dom_code upkeep_flush(struct store *s, struct dom_err *err) {
  uint64_t lsn = writer_applied(s->writer); /* before: what comes meanwhile may or may not be in */
  enum dom_code code = index_flush(s->index, err);
  if (code == DOM_OK) s->flushed_lsn = lsn;
  return code;
}

/* Makes the index durable when a restart would replay too much. */
static enum dom_code flush_step(struct store *s, bool *did, struct dom_err *err) {
  struct log_size size = {.after_lsn = s->flushed_lsn};
  log_segments(s->log, log_size_add, &size);
  if (size.bytes <= STORE_REPLAY_BYTES_MAX) return DOM_OK;
  *did = true;
  return upkeep_flush(s, err);
}

/* ---- steps ---- */

enum dom_code store_upkeep(struct store *s, bool *out_did, struct dom_err *err) {
  bool did = false, collected = false;
  assert(out_did != NULL);
  pthread_mutex_lock(&s->upkeep_lock);
  enum dom_code code = DOM_OK;
  if (s->index_unsure)
    code = dom_fail(err, DOM_READ_ONLY, "store/upkeep", "a purge of names failed: restart");
  if (code == DOM_OK) code = log_prepare(s->log, err);
  if (code == DOM_OK) code = intents_collect(s, &did, err);
  if (code == DOM_OK) code = upkeep_collect(s, &collected, err);
  did = did || collected;
  if (code == DOM_OK && s->orphans_pending) code = orphans_collect(s, &did, NULL, err);
  if (code == DOM_OK) code = flush_step(s, &did, err);
  if (code == DOM_OK) code = compact_step(s, &did, err);
  pthread_mutex_unlock(&s->upkeep_lock);
  if (code == DOM_OK) *out_did = did;
  return code;
}

void store_drain_begin(struct store *s) {
  s->drains++;
  assert(s->drains > 0);
}

void store_drain_end(struct store *s) {
  assert(s->drains > 0);
  s->drains--;
}

/* Waits; false when the store is closing. */
static bool upkeep_pause(struct store *s) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until); /* as stop_asked was made */
  until.tv_nsec += UPKEEP_PAUSE_MS * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&s->stop_lock);
  if (!s->stopping) pthread_cond_timedwait(&s->stop_asked, &s->stop_lock, &until);
  bool go_on = !s->stopping;
  pthread_mutex_unlock(&s->stop_lock);
  return go_on;
}

static void *upkeep_main(void *arg) {
  struct store *s = arg;
  bool did = false;
  do {
    did = false;
    /* A failure is not lost: a failed write stops the writer, a full disk shows at the commits. */
    if (store_upkeep(s, &did, NULL) != DOM_OK) did = false;
    pthread_mutex_lock(&s->stop_lock);
    bool stop = s->stopping;
    pthread_mutex_unlock(&s->stop_lock);
    if (stop) return NULL;
  } while (did || upkeep_pause(s));
  return NULL;
}

enum dom_code upkeep_start(struct store *s, struct dom_err *err) {
  if (s->o.inline_threads) return DOM_OK;
  if (pthread_create(&s->upkeep, NULL, upkeep_main, s) != 0) {
    return dom_fail(err, DOM_NO_MEMORY, "store/upkeep: start", "thread");
  }
  s->upkeep_running = true;
  return DOM_OK;
}

void upkeep_stop(struct store *s) {
  if (!s->upkeep_running) return;
  pthread_mutex_lock(&s->stop_lock);
  s->stopping = true;
  pthread_cond_signal(&s->stop_asked);
  pthread_mutex_unlock(&s->stop_lock);
  pthread_join(s->upkeep, NULL);
  s->upkeep_running = false;
}
