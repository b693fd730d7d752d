#include "store/local/writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"

struct writer {
  struct writer_options o;
  pthread_t thread;
  pthread_mutex_t lock; /* queue; with inline_threads also held while a batch runs */
  pthread_cond_t queued;
  struct commit *head, **tail;
  bool closing, idle;
  _Atomic uint64_t applied;
  atomic_bool failed;
  /* Of the batch being made; the writing thread's own. */
  uint64_t *slots;
  struct index_batch batch;
  struct log_record *records;
  size_t records_cap;
  /* Ledger's wait. */
  pthread_mutex_t entry_lock;
  pthread_cond_t entry_added;
  uint64_t entry_lsn;
  bool entry_closing;
  _Atomic uint64_t stat_batches, stat_commits, stat_retries;
};

uint64_t writer_hash(struct slice cell, uint64_t salt) {
  uint64_t h = 0xcbf29ce484222325u ^ (salt * 0x9e3779b97f4a7c15u);
  assert(cell.len > 0);
  for (size_t i = 0; i < cell.len; i++) h = (h ^ cell.data[i]) * 0x100000001b3u;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  return h ^ (h >> 29);
}

/* ---- a batch ---- */

static bool guards_hold(const struct writer *w, const struct commit *c) {
  assert(c->read_count == 0 || c->reads != NULL);
  for (uint32_t i = 0; i < c->read_count; i++) {
    if (w->slots[c->reads[i] % WRITER_SLOTS] > c->read_lsn) return false;
  }
  return true;
}

static void commit_fail(struct commit *c, enum dom_code code, const char *text) {
  assert(code != DOM_OK);
  c->code = dom_fail(&c->err, code, "store/writer: commit", "%s", text);
}

static uint64_t commit_bytes(const struct commit *c) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < c->count; i++) bytes += log_record_size(c->items[i].payload.len);
  return bytes;
}

static bool records_reach(struct writer *w, size_t count) {
  if (count <= w->records_cap) return true;
  size_t cap = count + count / 2 + 64;
  struct log_record *grown = dom_realloc(w->records, cap * sizeof *grown);
  if (!grown) return false;
  w->records = grown;
  w->records_cap = cap;
  return true;
}

/* Takes commits off the queue's front into one batch; returns how many, with their records laid
 * out. Refused ones are marked and count as taken. */
static size_t batch_gather(struct writer *w, struct commit *first, size_t *out_records) {
  uint64_t bytes = 0, lsn = w->applied;
  size_t taken = 0, records = 0;
  uint64_t room = log_append_max(w->o.log);
  if (room > WRITER_BATCH_BYTES) room = WRITER_BATCH_BYTES;
  for (struct commit *c = first; c && taken < WRITER_BATCH_COMMITS; c = c->next, taken++) {
    uint64_t size = commit_bytes(c);
    bool leaps = c->lsn_min > lsn + 1; /* a batch has no gap */
    if ((records > 0 && (leaps || bytes + size > room)) || (c->alone && taken > 0)) break;
    c->code = DOM_OK;
    c->lsn = 0;
    if (c->count == 0) {
      if (!guards_hold(w, c)) commit_fail(c, DOM_RETRY, "what it read has changed");
      if (!c->alone) continue;
      taken++;
      break;
    }
    if (size > log_append_max(w->o.log))
      commit_fail(c, DOM_TOO_LARGE, "larger than a log segment");
    else if (!guards_hold(w, c))
      commit_fail(c, DOM_RETRY, "what it read has changed");
    else if (!records_reach(w, records + c->count))
      commit_fail(c, DOM_NO_MEMORY, "records");
    if (c->code == DOM_RETRY) w->stat_retries++;
    if (c->code != DOM_OK) continue;
    c->lsn = lsn + 1 < c->lsn_min ? c->lsn_min : lsn + 1;
    lsn = c->lsn;
    bytes += size;
    for (uint32_t i = 0; i < c->count; i++) {
      const struct item *it = &c->items[i];
      w->records[records++] = (struct log_record){.type = (uint8_t)it->change.kind,
                                                  .payload_crc = it->payload_crc,
                                                  .lsn = lsn,
                                                  .payload = buf_slice(&it->payload)};
    }
    for (uint32_t i = 0; i < c->write_count; i++) w->slots[c->writes[i] % WRITER_SLOTS] = lsn;
  }
  *out_records = records;
  return taken;
}

/* A compaction's copy of an entry (it names its first LSN) is nothing new to the ledger. */
static bool commit_has_entry(const struct commit *c) {
  for (uint32_t i = 0; i < c->count; i++) {
    const struct change *change = &c->items[i].change;
    if (change->kind == CHANGE_ENTRY && change->first_lsn == 0) return true;
  }
  return false;
}

/* Lays the rows of the batch out. *entry: LSN of the last commit with a ledger entry. */
static enum dom_code batch_apply(struct writer *w, struct commit *first, size_t taken, uint64_t *out_lsn,
                                 uint64_t *entry, struct dom_err *err) {
  assert(taken > 0);
  size_t record = 0;
  uint64_t lsn = w->applied;
  for (struct commit *c = first; taken > 0; c = c->next, taken--) {
    if (c->code == DOM_OK && c->job) c->job(c->job_arg, w->o.apply, &w->batch);
    if (c->code != DOM_OK || c->count == 0) continue;
    for (uint32_t i = 0; i < c->count; i++, record++) {
      const struct item *it = &c->items[i];
      struct apply_at at = {.lsn = c->lsn, .position = i, .head = it->head, .at = w->records[record].at};
      enum dom_code code = apply_change(w->o.apply, &w->batch, &it->change, &it->prev, &at, err);
      if (code != DOM_OK) return code;
    }
    lsn = c->lsn;
    w->stat_commits++;
    if (commit_has_entry(c)) *entry = c->lsn;
  }
  apply_finish(w->o.apply, &w->batch, lsn);
  *out_lsn = lsn;
  return DOM_OK;
}

/* Log, then index. What failed half-way is known again after the log's replay at the next start. */
static enum dom_code batch_write(struct writer *w, struct commit *first, size_t taken, size_t records,
                                 struct dom_err *err) {
  uint64_t lsn = 0, entry = 0;
  enum dom_code code = DOM_OK;
  if (w->failed)
    return dom_fail(err, DOM_READ_ONLY, "store/writer: commit", "an earlier write failed; restart");
  if (records) code = log_append(w->o.log, w->records, records, err);
  if (code != DOM_OK && log_usable(w->o.log)) return code; /* nothing was written */
  if (code == DOM_OK) code = batch_apply(w, first, taken, &lsn, &entry, err);
  if (code == DOM_OK) code = index_write(w->o.index, &w->batch, err);
  if (code != DOM_OK) {
    w->failed = true;
    return code;
  }
  w->applied = lsn;
  w->stat_batches++;
  if (entry) writer_entry_note(w, entry);
  return DOM_OK;
}

/* Slots that were set for a batch that never was: as if changed just now, or they would ask for
 * retries until the LSN got there. */
static void slots_reset(struct writer *w, const struct commit *first, size_t taken) {
  for (const struct commit *c = first; taken > 0; c = c->next, taken--) {
    if (c->code != DOM_OK) continue;
    for (uint32_t i = 0; i < c->write_count; i++) w->slots[c->writes[i] % WRITER_SLOTS] = w->applied;
  }
}

/* Runs one batch from the front of the list; returns the rest. Wakes the committers. */
static struct commit *batch_run(struct writer *w, struct commit *first) {
  assert(first != NULL);
  size_t records = 0;
  struct dom_err err = {0};
  size_t taken = batch_gather(w, first, &records);
  enum dom_code code = batch_write(w, first, taken, records, &err);
  struct commit *c = first;
  if (code != DOM_OK) slots_reset(w, first, taken);
  for (; taken > 0; taken--) {
    struct commit *next = c->next;
    if (c->code == DOM_OK && code != DOM_OK) {
      c->code = code;
      c->err = err;
    }
    sem_post(&c->done); /* c may be gone from here on */
    c = next;
  }
  return c;
}

/* ---- the thread ---- */

static void *writer_main(void *arg) {
  struct writer *w = arg;
  struct commit *list = NULL, **end = &list;
  for (;;) {
    pthread_mutex_lock(&w->lock);
    while (!list && !w->head && !w->closing) {
      w->idle = true;
      pthread_cond_wait(&w->queued, &w->lock);
    }
    w->idle = false;
    if (!list) end = &list;
    if (w->head) { /* behind what the last batch had no room for */
      *end = w->head;
      end = w->tail;
      w->head = NULL;
      w->tail = &w->head;
    }
    pthread_mutex_unlock(&w->lock);
    if (!list) return NULL;
    list = batch_run(w, list);
  }
}

enum dom_code writer_commit(struct writer *w, struct commit *c) {
  assert(c->next == NULL && (c->count == 0) == (c->job != NULL));
  if (w->failed)
    return dom_fail(&c->err, DOM_READ_ONLY, "store/writer: commit", "an earlier write failed; restart");
  sem_init(&c->done, 0, 0);
  pthread_mutex_lock(&w->lock);
  assert(!w->closing);
  if (w->o.inline_threads) {
    struct commit *rest = batch_run(w, c);
    assert(rest == NULL);
    pthread_mutex_unlock(&w->lock);
  } else {
    *w->tail = c;
    w->tail = &c->next;
    bool wake = w->idle;
    pthread_mutex_unlock(&w->lock);
    if (wake) pthread_cond_signal(&w->queued);
  }
  while (sem_wait(&c->done) != 0) assert(errno == EINTR);
  sem_destroy(&c->done);
  return c->code;
}

/* ---- open and close ---- */

static void writer_free(struct writer *w) {
  index_batch_done(&w->batch);
  dom_free(w->slots);
  dom_free(w->records);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->queued);
  pthread_mutex_destroy(&w->entry_lock);
  pthread_cond_destroy(&w->entry_added);
  dom_free(w);
}

enum dom_code writer_open(const struct writer_options *o, struct writer **out, struct dom_err *err) {
  static const char where[] = "store/writer: open";
  pthread_condattr_t attr;
  struct writer *w = dom_calloc(1, sizeof *w);
  if (!w) return dom_fail(err, DOM_NO_MEMORY, where, "writer");
  w->o = *o;
  w->tail = &w->head;
  w->applied = log_last_lsn(o->log);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->queued, NULL);
  pthread_mutex_init(&w->entry_lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&w->entry_added, &attr);
  pthread_condattr_destroy(&attr);
  w->slots = dom_calloc(WRITER_SLOTS, sizeof *w->slots);
  enum dom_code code = w->slots ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, where, "slots");
  if (code == DOM_OK) code = index_batch_init(&w->batch, o->index, err);
  if (code == DOM_OK && !o->inline_threads && pthread_create(&w->thread, NULL, writer_main, w) != 0) {
    code = dom_fail(err, DOM_NO_MEMORY, where, "thread");
  }
  if (code != DOM_OK) {
    writer_free(w);
    return code;
  }
  *out = w;
  return DOM_OK;
}

void writer_close(struct writer *w) {
  if (!w) return;
  pthread_mutex_lock(&w->entry_lock);
  w->entry_closing = true;
  pthread_cond_broadcast(&w->entry_added);
  pthread_mutex_unlock(&w->entry_lock);
  pthread_mutex_lock(&w->lock);
  w->closing = true;
  pthread_cond_signal(&w->queued);
  pthread_mutex_unlock(&w->lock);
  if (!w->o.inline_threads) pthread_join(w->thread, NULL);
  assert(w->head == NULL);
  writer_free(w);
}

uint64_t writer_applied(const struct writer *w) {
  assert(w != NULL);
  return w->applied;
}

bool writer_ok(const struct writer *w) {
  return !w->failed;
}

/* ---- ledger entries ---- */

void writer_entry_note(struct writer *w, uint64_t lsn) {
  assert(lsn > 0);
  pthread_mutex_lock(&w->entry_lock);
  if (lsn > w->entry_lsn) w->entry_lsn = lsn;
  pthread_cond_broadcast(&w->entry_added);
  pthread_mutex_unlock(&w->entry_lock);
}

bool writer_entry_wait(struct writer *w, uint64_t after, uint32_t timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&w->entry_lock);
  while (w->entry_lsn <= after && !w->entry_closing && !w->o.inline_threads) {
    if (pthread_cond_timedwait(&w->entry_added, &w->entry_lock, &until) == ETIMEDOUT) break;
  }
  bool there = w->entry_lsn > after && !w->entry_closing;
  pthread_mutex_unlock(&w->entry_lock);
  return there;
}

void writer_stats(const struct writer *w, struct writer_stats *out) {
  assert(out != NULL);
  *out = (struct writer_stats){w->stat_batches, w->stat_commits, w->stat_retries};
}
