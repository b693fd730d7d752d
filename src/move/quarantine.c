/* A region that is behind its own word: how it finds out, waits, catches up and goes on.
 *
 * The order is that of tests/model/handoff.pml: what the backup had open is ended first, or giving it up
 * would make this region home of somebody who has left since; only then is learned who left, and nobody is
 * served or answered before all of it is known. Rows: META "quarantine" (mark, since u64), "life" u64.
 * docs/formats/handoff.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "move/quarantine.h"

enum {
  CONFIRM_MS = 5000,     /* all regions together, before a start goes on without them */
  CONFIRM_ONE_MS = 2000, /* one of them: an ocean away, and slow */
  TELL_EVERY_MS = 1000,  /* what is lost between two of these with the disk goes unnoticed */
  LOSS_AGAIN_MS = 30000, /* whether those who kept a copy still do */
  ENDED_BATCH = 64,      /* handoffs of one scan */
  LIFE_LSN_BITS = 44     /* of one life: ten thousand commits a second for 55 years */
};
_Static_assert((MARK_LIFE_MAX << LIFE_LSN_BITS) < STORE_LSN_MAX, "each life has its LSNs");

static const struct slice ROW = {(const uint8_t *)"quarantine", 10}, LIFE = {(const uint8_t *)"life", 4};

/* ---- commits, which go on in quarantine -------------------------------------------------- */

enum dom_code quarantine_change(struct mover *m, quarantine_step_fn fn, void *arg, struct dom_err *err) {
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
    w->history_done = w->unproven = false;
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
  return quarantine_change(m, enter_step, q, err);
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
  bool kept = false;
  uint64_t at = own_lsn(m);
  enum dom_code code = mark_tell(m, w->region, timeout_ms, &seen, &kept, err);
  w->next_ms = quarantine_now_ms(m) + (kept ? TELL_EVERY_MS : QUARANTINE_AWAY_MS);
  if (code) return code;
  w->heard = true;
  w->told = kept; /* else what it had was seen, and it is told once more */
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
    if (!news || quarantine_now_ms(m) < w->next_ms) continue;
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
  uint64_t until = quarantine_now_ms(m) + CONFIRM_MS;
  for (size_t i = 0; i < q->watched_count && is_telling(m) && quarantine_now_ms(m) < until; i++) {
    uint64_t left = until - quarantine_now_ms(m);
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
    for (size_t i = 0; !code && i < s->count; i++) code = quarantine_change(m, end_step, &s->found[i], err);
    if (code) return code;
  }
  m->quarantine.ended_open = true;
  return DOM_OK;
}

/* ---- going on ----------------------------------------------------------------------------------------- */

/* Above whatever it was: the word that is ahead may be of a later life than the backup knew. */
static uint64_t next_life(const struct quarantine *q) {
  return (q->ahead.life > q->life ? q->ahead.life : q->life) + 1;
}

/* The first LSN of a life: far above what any life before can have given out, told to somebody or not. */
static uint64_t first_lsn_of(uint64_t life) {
  assert(life < MARK_LIFE_MAX);
  return life << LIFE_LSN_BITS;
}

static enum dom_code leave_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  struct quarantine *q = arg;
  struct ledger_payload payload = {.type = LEDGER_REPAIR, .to_region = m->o.region};
  struct mark mine;
  uint8_t life[8];
  (void)v;
  enum dom_code code = mark_own(m, &mine, err);
  if (code) return code;
  store_u64be(life, next_life(q));
  store_tx_lsn_min(tx, first_lsn_of(next_life(q)));
  int n = snprintf(
      payload.text, sizeof payload.text,
      "behind, or asked to be sure: log at %llu where %llu was seen, ledger at %llu where %llu was seen",
      (unsigned long long)mine.lsn, (unsigned long long)q->ahead.lsn, (unsigned long long)mine.ledger_size,
      (unsigned long long)q->ahead.ledger_size);
  payload.text_len = (uint16_t)n;
  memcpy(payload.digest, q->ahead.checkpoint, sizeof payload.digest);
  code = store_tx_row_put(tx, STORE_TABLE_META, LIFE, slice_of(life, sizeof life), err);
  if (!code) code = store_tx_row_delete(tx, STORE_TABLE_META, ROW, err);
  return code ? code : subject_tx_entry(m->o.subjects, tx, &payload, 0, NULL, 0, err);
}

static enum dom_code leave(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  if (next_life(q) == MARK_LIFE_MAX)
    return dom_fail(err, DOM_REFUSED, "move/quarantine: leave", "the region has had all its lives");
  enum dom_code code = quarantine_change(m, leave_step, q, err);
  if (code) return code;
  q->life = next_life(q);
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
    if (w->history_done || quarantine_now_ms(m) < w->next_ms) continue;
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
  uint64_t lost = 0;
  enum dom_code code = learn_all(m, err);
  if (code || !all_heard(q)) return code;
  code = lost_count(m, &lost, err);
  if (code) return code;
  if (lost == 0) return leave(m, err);
  set_state(m, MOVER_LOSS);
  for (size_t i = 0; i < q->watched_count; i++) q->watched[i].next_ms = quarantine_now_ms(m) + LOSS_AGAIN_MS;
  return DOM_OK;
}

enum dom_code mover_watch(struct mover *m, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  enum dom_code code = DOM_OK;
  if (!m->o.net) return DOM_OK;
  pthread_mutex_lock(&q->lock);
  watch_charter(m);
  if (is_telling(m)) code = tell_all(m, err);
  if (state_of(m) == MOVER_LOSS && q->watched_count > 0 && quarantine_now_ms(m) >= q->watched[0].next_ms) {
    ask_all_anew(q);
    set_state(m, MOVER_QUARANTINE);
  }
  if (!code && state_of(m) == MOVER_QUARANTINE) code = catch_up(m, err);
  pthread_mutex_unlock(&q->lock);
  return code;
}

/* ---- operators ------------------------------------------------------------------------------- */

enum dom_code mover_quarantine_enter(struct mover *m, struct dom_err *err) {
  struct mark mine = {0};
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&m->quarantine.lock);
  if (!is_telling(m) || !m->o.net)
    code =
        dom_fail(err, DOM_INVALID, "move/quarantine: enter",
                 m->o.net ? "the region is in quarantine already" : "this region has no peers to learn from");
  if (!code) code = mark_own(m, &mine, err);
  if (!code) code = quarantine_enter(m, &mine, err);
  pthread_mutex_unlock(&m->quarantine.lock);
  return code;
}

enum dom_code mover_quarantine_status(struct mover *m, struct mover_quarantine_status *out,
                                      struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  struct mark mine = {0};
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
  if (!code && s.state != MOVER_OPEN) code = lost_count(m, &s.lost, err);
  if (!code) *out = s;
  return code;
}

static enum dom_code check_leave(struct mover *m, bool unheard, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  if (state_of(m) != MOVER_QUARANTINE && state_of(m) != MOVER_LOSS)
    return dom_fail(err, DOM_INVALID, "move/quarantine: leave", "the region is not in quarantine");
  if (state_of(m) == MOVER_QUARANTINE && !unheard)
    return dom_fail(err, DOM_BUSY, "move/quarantine: leave",
                    "not every region has answered yet; one that is gone for good can be left out");
  return q->ended_open ? DOM_OK : end_open(m, err);
}

enum dom_code mover_quarantine_leave(struct mover *m, bool unheard, struct dom_err *err) {
  struct quarantine *q = &m->quarantine;
  pthread_mutex_lock(&q->lock);
  enum dom_code code = check_leave(m, unheard, err);
  if (!code) code = lost_accept_all(m, err);
  if (!code) code = leave(m, err);
  pthread_mutex_unlock(&q->lock);
  return code;
}
