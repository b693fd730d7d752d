/* A region that is behind its own word: how it finds out, waits, catches up and goes on.
 *
 * The order is that of tests/model/handoff.pml: what the backup had open is ended first, or giving it up
 * would make this region home of somebody who has left since; only then is learned who left, and nobody is
 * served or answered before all of it is known. Rows: META "quarantine" (mark, since u64), "life" u64, 'q' ‖
 * token (lost: epoch u64 | from u16 | kept u8 | country 2). docs/formats/handoff.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "move/move_internal.h"

enum {
  CONFIRM_MS = 5000,     /* all regions together, before a start goes on without them */
  CONFIRM_ONE_MS = 2000, /* one of them: an ocean away, and slow */
  TELL_EVERY_MS = 1000,  /* what is lost between two of these with the disk goes unnoticed */
  TELL_AWAY_MS = 10000,  /* a region that did not answer is asked again */
  LOSS_AGAIN_MS = 30000, /* whether those who kept a copy still do */
  LEARN_MS = 2000,       /* of one region at a time: operators wait for the lock, and it may never end */
  ENDED_BATCH = 64       /* handoffs of one scan */
};

static const struct slice ROW = {(const uint8_t *)"quarantine", 10}, LIFE = {(const uint8_t *)"life", 4};
enum { LOST_KEY_SIZE = 1 + TOKEN_SIZE };

static uint64_t now_ms(struct mover *m) {
  return clock_mono_ns(m->o.clock) / 1000000;
}

/* ---- commits, which go on in quarantine -------------------------------------------------- */

typedef enum dom_code (*step_fn)(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err);

/* fn says DOM_EXISTS where there is nothing to do. */
static enum dom_code change(struct mover *m, step_fn fn, void *arg, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
    if (!code) code = fn(arg, m, v, tx, err);
    if (code == DOM_EXISTS) return DOM_OK;
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
  }
  return code;
}

/* ---- who is lost ---------------------------------------------------------------------------- */

static void lost_key(const uint8_t token[TOKEN_SIZE], uint8_t out[LOST_KEY_SIZE]) {
  out[0] = 'q';
  memcpy(out + 1, token, TOKEN_SIZE);
}

static bool lost_decode(struct slice key, struct slice value, struct mover_lost *out) {
  struct reader k = reader_of(key), r = reader_of(value);
  struct mover_lost lost = {0};
  get_u8(&k);
  get_copy(&k, lost.token, TOKEN_SIZE);
  lost.epoch = get_u64be(&r);
  lost.from = get_u16be(&r);
  lost.kept_there = get_u8(&r) != 0;
  get_copy(&r, lost.country, 2);
  if (!reader_end(&k) || !reader_end(&r) || lost.epoch == 0) return false;
  *out = lost;
  return true;
}

static enum dom_code lost_put(struct store_tx *tx, const struct mover_lost *lost, struct dom_err *err) {
  uint8_t key[LOST_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  lost_key(lost->token, key);
  put_u64be(&value, lost->epoch);
  put_u16be(&value, lost->from);
  put_u8(&value, lost->kept_there);
  buf_append(&value, lost->country, 2);
  enum dom_code code = buf_check(&value, err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), buf_slice(&value), err);
}

/* DOM_NOT_FOUND. */
static enum dom_code lost_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct mover_lost *out,
                              struct dom_err *err) {
  uint8_t key[LOST_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  lost_key(token, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &value, NULL);
  if (code == DOM_NOT_FOUND) return code;
  if (code || !lost_decode(slice_of(key, sizeof key), buf_slice(&value), out))
    return dom_fail(err, code ? code : DOM_CORRUPT, "move/quarantine", "a lost subject's row is bad");
  return DOM_OK;
}

/* Whoever is known here under `epoch` or a later one is not lost. */
static enum dom_code lost_drop(struct store_view *v, struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
                               uint64_t epoch, bool *out_dropped, struct dom_err *err) {
  struct mover_lost lost;
  uint8_t key[LOST_KEY_SIZE];
  enum dom_code code = lost_get(v, token, &lost, err);
  *out_dropped = code == DOM_OK && lost.epoch <= epoch;
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code || !*out_dropped) return code;
  lost_key(token, key);
  return store_tx_row_delete(tx, STORE_TABLE_META, slice_of(key, sizeof key), err);
}

struct lost_scan {
  mover_lost_fn fn;
  void *arg;
  uint64_t count;
  bool bad;
};

static bool lost_one(void *arg, struct slice key, struct slice value) {
  struct lost_scan *s = arg;
  struct mover_lost lost;
  if (key.len != LOST_KEY_SIZE) return true;
  s->bad = !lost_decode(key, value, &lost);
  if (s->bad) return false;
  s->count++;
  return !s->fn || s->fn(s->arg, &lost);
}

static enum dom_code lost_each(struct mover *m, struct lost_scan *s, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_scan(v, STORE_TABLE_META, SLICE_LIT("q"), SLICE_LIT(""), lost_one, s, err);
  if (!code && s->bad) code = dom_fail(err, DOM_CORRUPT, "move/quarantine", "a lost subject's row is bad");
  return code;
}

enum dom_code mover_quarantine_lost(struct mover *m, mover_lost_fn fn, void *arg, struct dom_err *err) {
  struct lost_scan s = {.fn = fn, .arg = arg};
  assert(fn);
  return lost_each(m, &s, err);
}

/* ---- open, close, state ---------------------------------------------------------------------- */

static void set_state(struct mover *m, enum mover_quarantine_state state) {
  atomic_store(&m->quarantine.state, (int)state);
  subject_hold(m->o.subjects, state != MOVER_OPEN);
}

static enum mover_quarantine_state state_of(const struct mover *m) {
  return (enum mover_quarantine_state)atomic_load(&m->quarantine.state);
}

bool mover_is_open(const struct mover *m) {
  return state_of(m) == MOVER_OPEN;
}

bool quarantine_holds(struct mover *m) {
  return !mover_is_open(m);
}

static enum dom_code read_life(struct mover *m, struct store_view *v, struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_META, LIFE, &value, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  struct reader r = reader_of(buf_slice(&value));
  m->quarantine.life = get_u64be(&r);
  if (code || !reader_end(&r))
    return dom_fail(err, code ? code : DOM_CORRUPT, "move/quarantine: open", "the life row is bad");
  return DOM_OK;
}

/* The mark in the row was signed by this region, and checked when it came: its place is what counts. */
static enum dom_code read_row(struct mover *m, struct store_view *v, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_META, ROW, &value, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  struct reader r = reader_of(buf_slice(&value));
  q->ahead.life = get_u64be(&r);
  q->ahead.ledger_size = get_u64be(&r);
  q->ahead.lsn = get_u64be(&r);
  q->since_ms = get_u64be(&r);
  if (code || !reader_end(&r))
    return dom_fail(err, code ? code : DOM_CORRUPT, "move/quarantine: open", "the quarantine row is bad");
  set_state(m, MOVER_QUARANTINE);
  return DOM_OK;
}

enum dom_code quarantine_open(struct mover *m, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  if (m->o.start_confirmed && m->o.net) set_state(m, MOVER_UNCONFIRMED);
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = read_life(m, v, err);
  return code ? code : read_row(m, v, err);
}

void quarantine_close(struct mover *m) {
  for (size_t i = 0; i < m->quarantine.watched_count; i++) buf_done(&m->quarantine.watched[i].cursor);
}

static enum dom_code enter_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  const struct quarantine *q = arg;
  BUF_AUTO value = BUF_INIT;
  (void)m, (void)v;
  put_u64be(&value, q->ahead.life);
  put_u64be(&value, q->ahead.ledger_size);
  put_u64be(&value, q->ahead.lsn);
  put_u64be(&value, q->since_ms);
  enum dom_code code = buf_check(&value, err);
  return code ? code : store_tx_row_put(tx, STORE_TABLE_META, ROW, buf_slice(&value), err);
}

static void ask_all_anew(struct quarantine *q) {
  for (size_t i = 0; i < q->watched_count; i++) {
    struct watched *w = &q->watched[i];
    w->history_done = false;
    w->phase = HISTORY_FIRST;
    w->next_ms = 0;
    buf_reset(&w->cursor);
  }
}

enum dom_code quarantine_enter(struct mover *m, const struct mark *ahead, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  set_state(m, MOVER_QUARANTINE); /* first, and also where it cannot be written */
  q->ahead = *ahead;
  q->since_ms = clock_wall_ms(m->o.clock);
  q->ended_open = false;
  ask_all_anew(q);
  return change(m, enter_step, q, err);
}

/* ---- telling ------------------------------------------------------------------------------------ */

/* The regions of the charter in force but this one: those that left it are forgotten. */
static void watch_charter(struct mover *m) {
  struct quarantine *q = &m->quarantine;
  struct charter *c = subject_charter(m->o.subjects);
  size_t kept = 0;
  for (size_t i = 0; i < q->watched_count; i++) {
    struct watched *w = &q->watched[i];
    if (c && charter_region_by_number(c, w->region)) {
      if (kept != i) q->watched[kept] = *w;
      kept++;
    } else {
      buf_done(&w->cursor);
    }
  }
  q->watched_count = kept;
  for (unsigned i = 0; c && i < charter_region_count(c); i++) {
    uint16_t number = charter_region_at(c, i)->number;
    size_t at = 0;
    while (at < q->watched_count && q->watched[at].region != number) at++;
    if (number == m->o.region || at < q->watched_count) continue;
    assert(q->watched_count < CHARTER_REGIONS_MAX);
    q->watched[q->watched_count++] = (struct watched){.region = number, .phase = HISTORY_FIRST};
  }
  charter_release(c);
}

static uint64_t own_lsn(struct mover *m) {
  struct store_stats stats;
  uint64_t kept = atomic_load(&m->quarantine.marks_kept); /* first: it must not count what the LSN does not */
  store_stats(m->o.store, &stats);
  return stats.applied_lsn - kept;
}

static enum dom_code tell(struct mover *m, struct watched *w, uint32_t timeout_ms, struct dom_err *err) {
  struct mark seen, mine;
  uint64_t at = own_lsn(m);
  enum dom_code code = mark_tell(m, w->region, timeout_ms, &seen, err);
  w->next_ms = now_ms(m) + (code ? TELL_AWAY_MS : TELL_EVERY_MS);
  if (code) return code;
  w->heard = w->told = true;
  w->told_at = at;
  code = mark_own(m, &mine, err);
  if (!code && mark_is_ahead(&seen, &mine)) return quarantine_enter(m, &seen, err);
  if (!code && state_of(m) == MOVER_UNCONFIRMED) set_state(m, MOVER_OPEN);
  return code;
}

static bool is_telling(const struct mover *m) {
  return state_of(m) == MOVER_OPEN || state_of(m) == MOVER_UNCONFIRMED;
}

static enum dom_code tell_all(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  enum dom_code first = DOM_OK;
  for (size_t i = 0; i < q->watched_count && is_telling(m) && !atomic_load(&m->stopping); i++) {
    struct watched *w = &q->watched[i];
    bool news = !w->heard || !w->told || w->told_at != own_lsn(m);
    if (!news || now_ms(m) < w->next_ms) continue;
    enum dom_code code = tell(m, w, CONFIRM_ONE_MS, first ? NULL : err);
    if (code && !first) first = code;
  }
  /* That a region does not answer is no news here: whoever needs it says so. */
  return first == DOM_UNAVAILABLE || first == DOM_TIMEOUT ? DOM_OK : first;
}

void mover_confirm(struct mover *m) {
  struct quarantine *q = &m->quarantine;
  if (!m->o.net) return;
  pthread_mutex_lock(&q->lock);
  watch_charter(m);
  uint64_t until = now_ms(m) + CONFIRM_MS;
  for (size_t i = 0; i < q->watched_count && is_telling(m) && now_ms(m) < until; i++) {
    uint64_t left = until - now_ms(m);
    tell(m, &q->watched[i], left < CONFIRM_ONE_MS ? (uint32_t)left : CONFIRM_ONE_MS, NULL);
  }
  pthread_mutex_unlock(&q->lock);
}

/* ---- ending what the backup had open -------------------------------------------------------------- */

struct open_scan {
  struct handoff found[ENDED_BATCH];
  size_t count;
};

static bool collect_open(void *arg, const struct handoff *h) {
  struct open_scan *s = arg;
  if (h->side == HANDOFF_SOURCE && (h->state == HANDOFF_COPYING || h->state == HANDOFF_FENCED))
    s->found[s->count++] = *h;
  return s->count < ENDED_BATCH;
}

/* As an abort in source.c, but nobody is told: the target asks once this region answers again. */
static enum dom_code end_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                              struct dom_err *err) {
  struct handoff h = *(const struct handoff *)arg;
  struct store_subject row;
  enum handoff_action action;
  enum dom_code code = handoff_get(v, h.token, h.epoch, HANDOFF_SOURCE, &h, err);
  if (!code && !handoff_step(HANDOFF_SOURCE, h.state, EVENT_FAIL, &h.state, &action)) return DOM_EXISTS;
  if (!code) code = store_subject_get(v, h.token, &row, err);
  if (code) return code;
  if (row.handoff_epoch == h.epoch) {
    row.state = SUBJECT_HOME;
    row.handoff_epoch = 0;
    row.handoff_to = 0;
    code = store_tx_subject_put(tx, &row, err);
  }
  if (!code) code = mover_entry(m, tx, LEDGER_MOVE_ABORTED, &h, SLICE_LIT(""), err);
  return code ? code : handoff_put(tx, &h, err);
}

static enum dom_code end_open(struct mover *m, struct dom_err *err) {
  AUTO_FREE void *memory = dom_calloc(1, sizeof(struct open_scan));
  struct open_scan *s = memory;
  if (!s) return dom_fail(err, DOM_NO_MEMORY, "move/quarantine", "no memory");
  for (s->count = ENDED_BATCH; s->count == ENDED_BATCH;) {
    enum dom_code code;
    s->count = 0;
    {
      STORE_VIEW_AUTO *v = NULL;
      code = store_view_open(m->o.store, &v, err);
      if (!code) code = handoff_scan(v, NULL, collect_open, s, err);
    }
    for (size_t i = 0; !code && i < s->count; i++) code = change(m, end_step, &s->found[i], err);
    if (code) return code;
  }
  m->quarantine.ended_open = true;
  return DOM_OK;
}

/* ---- learning --------------------------------------------------------------------------------------- */

struct learn {
  struct mover *m;
  uint16_t from;       /* the region that tells */
  bool from_registrar; /* … which is the registrar of the charter in force */
  const struct fact *f;
  struct buf statement;
};

/* The word by which the subject left: our own, which the new home kept; or, where a home of an older build
 * did not, what the registrar took it for. */
static enum dom_code find_proof(struct learn *l, struct dom_err *err) {
  const struct fact *f = l->f;
  struct subjects *subjects = l->m->o.subjects;
  struct subject_statement st;
  if (f->statement.len) {
    enum dom_code code = subject_statement_check(subjects, f->statement, &st, err);
    if (code) return code;
    if (st.from != l->m->o.region || st.to != l->from || st.epoch != f->epoch ||
        st.epoch_from != f->epoch_from || memcmp(st.token, f->token, TOKEN_SIZE) != 0)
      return dom_fail(err, DOM_DENIED, "move/quarantine", "region %u shows a statement about something else",
                      l->from);
    buf_append_slice(&l->statement, f->statement);
    return buf_check(&l->statement, err);
  }
  struct subject_record record;
  enum dom_code code = subject_record_find(subjects, f->token, &record, err);
  if (code) return code;
  bool for_another = record.epoch == f->epoch && record.home && record.home != l->from;
  if (record.epoch < f->epoch || for_another) /* also of a token that it does not know */
    return dom_fail(err, DOM_DENIED, "move/quarantine",
                    "region %u says that a subject left for it, and nothing shows it", l->from);
  st = (struct subject_statement){.from = l->m->o.region,
                                  .to = l->from,
                                  .epoch_from = f->epoch_from,
                                  .epoch = f->epoch,
                                  .charter_version = f->charter_version};
  memcpy(st.token, f->token, TOKEN_SIZE);
  memcpy(st.manifest, f->manifest, SHA256_SIZE);
  memcpy(st.country, f->country, 2);
  subject_statement_sign(subjects, &st, &l->statement);
  return buf_check(&l->statement, err);
}

/* The handoff's own row, so that what lies here of it is erased as after any move. */
static enum dom_code left_row(struct learn *l, struct store_view *v, struct store_tx *tx, bool is_last,
                              struct dom_err *err) {
  const struct fact *f = l->f;
  struct handoff h;
  enum dom_code code = handoff_get(v, f->token, f->epoch, HANDOFF_SOURCE, &h, err);
  if (code && code != DOM_NOT_FOUND) return code;
  if (code == DOM_OK && h.state >= HANDOFF_COMMITTED && h.state <= HANDOFF_PURGED) return DOM_EXISTS;
  h = (struct handoff){.epoch = f->epoch,
                       .side = HANDOFF_SOURCE,
                       .peer = l->from,
                       .epoch_from = f->epoch_from,
                       .charter_version = f->charter_version,
                       .started_ms = clock_wall_ms(l->m->o.clock)};
  memcpy(h.token, f->token, TOKEN_SIZE);
  memcpy(h.country, f->country, 2);
  memcpy(h.manifest, f->manifest, SHA256_SIZE);
  /* An earlier one was confirmed, or there were no later ones; and its statement is not kept any more. */
  h.state = is_last ? HANDOFF_COMMITTED : HANDOFF_ERASING;
  code = handoff_put(tx, &h, err);
  return code ? code : mover_entry(l->m, tx, LEDGER_MOVE_COMMITTED, &h, SLICE_LIT(""), err);
}

/* Up to this epoch this region has the last word on a subject. */
static uint64_t epoch_known(const struct store_subject *row) {
  return row->state == SUBJECT_ERASED ? row->epoch_allotted : row->epoch;
}

static enum dom_code left_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  struct learn *l = arg;
  const struct fact *f = l->f;
  struct store_subject row = {.epoch = 0};
  bool dropped = false;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  bool is_last = epoch_known(&row) < f->epoch;
  if (is_last) {
    assert(row.handoff_epoch == 0); /* ended before */
    memcpy(row.token, f->token, TOKEN_SIZE);
    memcpy(row.country, f->country, 2);
    row.state = SUBJECT_MOVED;
    row.epoch = f->epoch;
    if (row.epoch_allotted < f->epoch) row.epoch_allotted = f->epoch;
    row.home = l->from;
    row.since_ms = clock_wall_ms(m->o.clock);
    code = subject_leave(tx, &row, buf_slice(&l->statement), err);
  } else {
    code = DOM_OK;
  }
  if (!code) code = lost_drop(v, tx, f->token, epoch_known(&row), &dropped, err);
  if (code) return code;
  code = left_row(l, v, tx, is_last, err);
  return code == DOM_EXISTS && (is_last || dropped) ? DOM_OK : code;
}

/* Of a handoff that came to nothing only its epoch matters: it is used up. */
static enum dom_code raise_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  const struct fact *f = arg;
  struct store_subject row;
  (void)m;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code == DOM_NOT_FOUND || (code == DOM_OK && row.epoch_allotted >= f->epoch)) return DOM_EXISTS;
  if (code) return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  row.epoch_allotted = f->epoch;
  return store_tx_subject_put(tx, &row, err);
}

/* Somebody says that the subject is at home here. */
static enum dom_code came_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  const struct learn *l = arg;
  const struct fact *f = l->f;
  struct store_subject row;
  struct handoff h;
  struct mover_lost had, lost = {.epoch = f->epoch};
  (void)m;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  if (code == DOM_OK && epoch_known(&row) >= f->epoch) return DOM_EXISTS;
  code = handoff_get(v, f->token, f->epoch, HANDOFF_TARGET, &h, err);
  if (code && code != DOM_NOT_FOUND) return code;
  if (code == DOM_OK && h.state == HANDOFF_PREPARED) return DOM_EXISTS; /* all is here: it asks, and serves */
  code = lost_get(v, f->token, &had, err);
  if (code && code != DOM_NOT_FOUND) return code;
  bool known = code == DOM_OK;
  memcpy(lost.token, f->token, TOKEN_SIZE);
  memcpy(lost.country, f->country, 2);
  if (f->kind == FACT_CAME) {
    lost.from = l->from;
    lost.kept_there = f->state == HANDOFF_COMMITTED;
  }
  bool same = known && had.epoch == lost.epoch;
  if (known && had.epoch > lost.epoch) return DOM_EXISTS;
  if (same && (f->kind != FACT_CAME || (had.from == lost.from && had.kept_there == lost.kept_there)))
    return DOM_EXISTS;
  return lost_put(tx, &lost, err);
}

/* The person was erased after the backup: what it brought back of them is erased here once more, and who
 * never came back in it is not lost either. */
static enum dom_code erased_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  const struct fact *f = ((const struct learn *)arg)->f;
  struct store_subject row = {.epoch = 0};
  bool dropped = false;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  bool lives = code == DOM_OK && store_subject_lives(&row);
  bool newer = code == DOM_OK && epoch_known(&row) > f->epoch;
  bool known = row.state == SUBJECT_ERASED && row.epoch_allotted >= f->epoch;
  code = newer ? DOM_OK : lost_drop(v, tx, f->token, f->epoch, &dropped, err);
  if (code) return code;
  if (newer || known || (!lives && f->home != m->o.region)) return dropped ? DOM_OK : DOM_EXISTS;
  memcpy(row.token, f->token, TOKEN_SIZE);
  memcpy(row.country, f->country, 2);
  row.state = SUBJECT_ERASED;
  if (!lives) row.epoch = f->epoch;
  if (row.epoch_allotted < f->epoch) row.epoch_allotted = f->epoch;
  row.home = m->o.region;
  row.handoff_epoch = 0;
  row.handoff_to = 0;
  row.since_ms = clock_wall_ms(m->o.clock);
  code = store_tx_subject_put(tx, &row, err);
  return code ? code : forget_learned(m, tx, &row, err);
}

/* This region's own word is believed, whoever kept it; the registrar's of everybody; a home's own only by a
 * registrar, which has less. */
static enum dom_code learn_erased(struct learn *l, struct dom_err *err) {
  struct subjects *subjects = l->m->o.subjects;
  struct subject_record record = {.home = l->from, .erased = true, .epoch = l->f->epoch};
  bool own =
      l->f->home == l->m->o.region && tomb_good(l->m, l->f->home, l->f->token, l->f->epoch, l->f->statement);
  if (own) {
    enum dom_code code = change(l->m, erased_step, l, err);
    if (code || !subject_is_registrar(subjects)) return code;
    record.home = l->f->home;
    memcpy(record.token, l->f->token, TOKEN_SIZE);
    memcpy(record.country, l->f->country, 2);
    return subject_record_take(subjects, &record, err);
  }
  if (!subject_is_registrar(subjects)) return l->from_registrar ? change(l->m, erased_step, l, err) : DOM_OK;
  if (l->f->home != l->from) return DOM_OK;
  memcpy(record.token, l->f->token, TOKEN_SIZE);
  memcpy(record.country, l->f->country, 2);
  return subject_record_take(subjects, &record, err);
}

static enum dom_code learn_fact(void *arg, const struct fact *f, struct dom_err *err) {
  struct learn *l = arg;
  struct mover *m = l->m;
  enum dom_code code = DOM_OK;
  l->f = f;
  buf_reset(&l->statement);
  switch (f->kind) {
  case FACT_LEFT:
    if (f->state != HANDOFF_ACTIVE) return change(m, raise_step, (void *)f, err);
    code = find_proof(l, err);
    return code ? code : change(m, left_step, l, err);
  case FACT_CAME:
    if (f->state < HANDOFF_COMMITTED || f->state > HANDOFF_PURGED) return DOM_OK;
    return change(m, came_step, l, err);
  case FACT_RECORD:
    return change(m, came_step, l, err);
  case FACT_AT_HOME: {
    struct subject_record record = {.home = l->from, .epoch = f->epoch};
    memcpy(record.token, f->token, TOKEN_SIZE);
    memcpy(record.country, f->country, 2);
    return subject_is_registrar(m->o.subjects) ? subject_record_take(m->o.subjects, &record, err) : DOM_OK;
  }
  case FACT_ERASED:
    return learn_erased(l, err);
  }
  return dom_fail(err, DOM_INVALID, "move/quarantine", "an unknown fact");
}

static enum dom_code learn_from(struct mover *m, struct watched *w, struct dom_err *err) {
  struct learn l = {.m = m, .from = w->region};
  struct charter *c = subject_charter(m->o.subjects);
  l.from_registrar = c && charter_registrar(c)->number == w->region;
  charter_release(c);
  enum dom_code code = DOM_OK;
  uint64_t until = now_ms(m) + LEARN_MS;
  while (!code && w->phase < HISTORY_END && now_ms(m) < until && !atomic_load(&m->stopping))
    code = history_ask(m, w->region, &w->phase, &w->cursor, learn_fact, &l, err);
  buf_done(&l.statement);
  if (code) w->next_ms = now_ms(m) + TELL_AWAY_MS;
  w->history_done = w->phase == HISTORY_END;
  return code;
}

/* ---- going on ----------------------------------------------------------------------------------------- */

static enum dom_code leave_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  struct quarantine *q = arg;
  struct ledger_payload payload = {.type = LEDGER_REPAIR, .to_region = m->o.region};
  struct mark mine;
  uint8_t life[8];
  (void)v;
  enum dom_code code = mark_own(m, &mine, err);
  if (code) return code;
  /* Above whatever it was: the word that is ahead may be of a later life than the backup knew. */
  store_u64be(life, (q->ahead.life > q->life ? q->ahead.life : q->life) + 1);
  int n = snprintf(payload.text, sizeof payload.text,
                   "restored: log at %llu where %llu was seen, ledger at %llu where %llu was seen",
                   (unsigned long long)mine.lsn, (unsigned long long)q->ahead.lsn,
                   (unsigned long long)mine.ledger_size, (unsigned long long)q->ahead.ledger_size);
  payload.text_len = (uint16_t)n;
  memcpy(payload.digest, q->ahead.checkpoint, sizeof payload.digest);
  code = store_tx_row_put(tx, STORE_TABLE_META, LIFE, slice_of(life, sizeof life), err);
  if (!code) code = store_tx_row_delete(tx, STORE_TABLE_META, ROW, err);
  return code ? code : subject_tx_entry(m->o.subjects, tx, &payload, 0, NULL, 0, err);
}

static enum dom_code leave(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  enum dom_code code = change(m, leave_step, q, err);
  if (code) return code;
  q->life = (q->ahead.life > q->life ? q->ahead.life : q->life) + 1;
  ask_all_anew(q);
  for (size_t i = 0; i < q->watched_count; i++) q->watched[i].told = false;
  pthread_mutex_lock(&m->open.lock);
  m->open.loaded = false; /* handoffs were learned behind its back: it reads the rows anew */
  pthread_mutex_unlock(&m->open.lock);
  set_state(m, MOVER_OPEN);
  return DOM_OK;
}

static enum dom_code learn_all(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  enum dom_code first = q->ended_open ? DOM_OK : end_open(m, err);
  for (size_t i = 0; !first && i < q->watched_count && !atomic_load(&m->stopping); i++) {
    struct watched *w = &q->watched[i];
    if (w->history_done || now_ms(m) < w->next_ms) continue;
    enum dom_code code = learn_from(m, w, first ? NULL : err);
    if (code && !first) first = code;
  }
  return first;
}

static bool all_heard(const struct quarantine *q) {
  size_t i = 0;
  while (i < q->watched_count && q->watched[i].history_done) i++;
  return i == q->watched_count && i > 0;
}

static enum dom_code catch_up(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  struct lost_scan lost = {.fn = NULL};
  enum dom_code code = learn_all(m, err);
  if (code || !all_heard(q)) return code;
  code = lost_each(m, &lost, err);
  if (code) return code;
  if (lost.count == 0) return leave(m, err);
  set_state(m, MOVER_LOSS);
  for (size_t i = 0; i < q->watched_count; i++) q->watched[i].next_ms = now_ms(m) + LOSS_AGAIN_MS;
  return DOM_OK;
}

enum dom_code mover_watch(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  enum dom_code code = DOM_OK;
  if (!m->o.net) return DOM_OK;
  pthread_mutex_lock(&q->lock);
  watch_charter(m);
  if (is_telling(m)) code = tell_all(m, err);
  if (state_of(m) == MOVER_LOSS && q->watched_count > 0 && now_ms(m) >= q->watched[0].next_ms) {
    ask_all_anew(q);
    set_state(m, MOVER_QUARANTINE);
  }
  if (!code && state_of(m) == MOVER_QUARANTINE) code = catch_up(m, err);
  pthread_mutex_unlock(&q->lock);
  return code;
}

/* ---- operators ------------------------------------------------------------------------------- */

enum dom_code mover_quarantine_status(struct mover *m, struct mover_quarantine_status *out,
                                      struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  struct mark mine = {0};
  struct lost_scan lost = {.fn = NULL};
  pthread_mutex_lock(&q->lock);
  enum dom_code code = mark_own(m, &mine, err);
  struct mover_quarantine_status s = {.state = state_of(m),
                                      .since_ms = q->since_ms,
                                      .lsn = mine.lsn,
                                      .ledger_size = mine.ledger_size,
                                      .seen_lsn = q->ahead.lsn,
                                      .seen_ledger_size = q->ahead.ledger_size};
  for (size_t i = 0; s.state == MOVER_QUARANTINE && i < q->watched_count; i++)
    if (!q->watched[i].history_done) s.missing[s.missing_count++] = q->watched[i].region;
  s.told_all = q->watched_count > 0;
  for (size_t i = 0; i < q->watched_count; i++)
    s.told_all = s.told_all && q->watched[i].told && q->watched[i].told_at == own_lsn(m);
  pthread_mutex_unlock(&q->lock);
  if (!code && s.state != MOVER_OPEN) code = lost_each(m, &lost, err);
  s.lost = lost.count;
  if (!code) *out = s;
  return code;
}

struct first_lost {
  struct mover_lost lost;
  bool found, kept_only;
};

static bool take_first(void *arg, const struct mover_lost *lost) {
  struct first_lost *f = arg;
  f->found = lost->kept_there || !f->kept_only;
  if (f->found) f->lost = *lost;
  return !f->found;
}

static enum dom_code accept_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  const struct mover_lost *lost = arg;
  struct store_subject row = {.epoch = 0};
  bool dropped = false;
  static const char why[] = "lost with the disk: goes on here, empty";
  struct ledger_payload payload = {.type = LEDGER_REPAIR,
                                   .from_region = lost->from,
                                   .to_region = m->o.region,
                                   .from_epoch = lost->epoch,
                                   .to_epoch = lost->epoch + 1,
                                   .text_len = sizeof why - 1};
  enum dom_code code = store_subject_get(v, lost->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  memcpy(payload.text, why, sizeof why - 1);
  memcpy(payload.token, lost->token, TOKEN_SIZE);
  memcpy(row.token, lost->token, TOKEN_SIZE);
  memcpy(row.country, lost->country, 2);
  row.state = SUBJECT_HOME;
  row.epoch = lost->epoch + 1;
  if (row.epoch_allotted < row.epoch) row.epoch_allotted = row.epoch;
  row.home = m->o.region;
  row.since_ms = clock_wall_ms(m->o.clock);
  code = store_tx_subject_put(tx, &row, err);
  if (!code) code = lost_drop(v, tx, lost->token, lost->epoch, &dropped, err);
  return code ? code : subject_tx_entry(m->o.subjects, tx, &payload, row.epoch, NULL, 0, err);
}

/* The registrar first: what it does not take does not happen, and an epoch is never given out twice. */
static enum dom_code accept_one(struct mover *m, struct mover_lost *lost, struct dom_err *err) {
  struct vault_key key = {.epoch = lost->epoch + 1};
  memcpy(key.token, lost->token, TOKEN_SIZE);
  enum dom_code code = subject_record_raise(m->o.subjects, lost->token, lost->epoch + 1, err);
  if (!code) code = vault_key_create(store_vault(m->o.store), &key, NULL);
  if (code == DOM_EXISTS) code = DOM_OK;
  return code ? code : change(m, accept_step, lost, err);
}

static enum dom_code accept_all(struct mover *m, struct dom_err *err) {
  for (;;) {
    struct first_lost first = {.kept_only = false};
    struct lost_scan s = {.fn = take_first, .arg = &first};
    enum dom_code code = lost_each(m, &s, err);
    if (!code && !first.found) return DOM_OK;
    if (!code) code = accept_one(m, &first.lost, err);
    if (code) return code;
  }
}

static enum dom_code check_leave(struct mover *m, bool unheard, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  struct first_lost kept = {.kept_only = true};
  struct lost_scan s = {.fn = take_first, .arg = &kept};
  if (state_of(m) != MOVER_QUARANTINE && state_of(m) != MOVER_LOSS)
    return dom_fail(err, DOM_INVALID, "move/quarantine: leave", "the region is not in quarantine");
  if (state_of(m) == MOVER_QUARANTINE && !unheard)
    return dom_fail(err, DOM_BUSY, "move/quarantine: leave",
                    "not every region has answered yet; one that is gone for good can be left out");
  enum dom_code code = q->ended_open ? DOM_OK : end_open(m, err);
  if (!code) code = lost_each(m, &s, err);
  if (!code && kept.found)
    code = dom_fail(err, DOM_BUSY, "move/quarantine: leave",
                    "region %u still has a copy of a subject that is lost here: take it back there first",
                    kept.lost.from);
  return code;
}

enum dom_code mover_quarantine_leave(struct mover *m, bool unheard, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  pthread_mutex_lock(&q->lock);
  enum dom_code code = check_leave(m, unheard, err);
  if (!code) code = accept_all(m, err);
  if (!code) code = leave(m, err);
  pthread_mutex_unlock(&q->lock);
  return code;
}
