/* What a restored region missed, as others tell it, fact by fact: who left, who came, who was erased, which
 * epochs were used. */
#include <assert.h>
#include <string.h>

#include "move/quarantine.h"

enum { LEARN_MS = 2000 /* of one region at a time: operators wait for the lock, and it may never end */ };

struct learn {
  struct mover *m;
  uint16_t from;       /* the region that tells */
  bool from_registrar; /* … which is the registrar of the charter in force */
  bool *unproven;      /* set when it says of a subject that it left, and shows nothing */
  const struct fact *f;
  struct buf statement;
};

static enum dom_code sign_left(struct learn *l, struct dom_err *err) {
  const struct fact *f = l->f;
  struct subject_statement st = {.from = l->m->o.region,
                                 .to = l->from,
                                 .epoch_from = f->epoch_from,
                                 .epoch = f->epoch,
                                 .charter_version = f->charter_version};
  memcpy(st.token, f->token, TOKEN_SIZE);
  memcpy(st.manifest, f->manifest, SHA256_SIZE);
  memcpy(st.country, f->country, 2);
  subject_statement_sign(l->m->o.subjects, &st, &l->statement);
  return buf_check(&l->statement, err);
}

/* The word by which the subject left: our own, which the new home kept; or, of a move that others followed or
 * that a home of an older build took in, what the registrar took it for. DOM_NOT_FOUND: there is none. */
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
  if (record.epoch < f->epoch || for_another)
    return DOM_NOT_FOUND; /* also of a token that it does not know */
  return sign_left(l, err);
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

/* Whether this region knows of a later epoch by better proof: then what is told changes nobody's home. */
static enum dom_code is_past(struct learn *l, bool *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row = {.epoch = 0};
  enum dom_code code = store_view_open(l->m->o.store, &v, err);
  if (!code) code = store_subject_get(v, l->f->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  *out = epoch_known(&row) >= l->f->epoch;
  return DOM_OK;
}

/* A subject that left, came back and left again did so in this order, and only the last word is kept: what
 * shows nothing now is asked for once more when all else is known. */
static enum dom_code learn_left(struct learn *l, struct dom_err *err) {
  bool past = false;
  enum dom_code code = is_past(l, &past, err);
  if (!code && !past) code = find_proof(l, err);
  if (code == DOM_NOT_FOUND) *l->unproven = true;
  if (code) return code == DOM_NOT_FOUND ? DOM_OK : code;
  return quarantine_change(l->m, left_step, l, err);
}

/* Of a handoff that came to nothing only its epoch matters: it is used up. */
static enum dom_code raise_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  const struct fact *f = arg;
  struct store_subject row;
  (void)m;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code == DOM_NOT_FOUND || (code == DOM_OK && row.epoch_allotted >= f->epoch)) return DOM_EXISTS;
  if (!code && f->epoch - row.epoch_allotted > LOST_EPOCHS_MAX) return DOM_EXISTS; /* nobody allotted that */
  if (code) return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  row.epoch_allotted = f->epoch;
  return store_tx_subject_put(tx, &row, err);
}

/* Who is lost here by what the fact says, and what copy it tells of. */
static struct mover_lost lost_by(const struct learn *l) {
  const struct fact *f = l->f;
  struct mover_lost lost = {.epoch = f->epoch};
  memcpy(lost.token, f->token, TOKEN_SIZE);
  memcpy(lost.country, f->country, 2);
  if (f->kind == FACT_RECORD) return lost;
  lost.from = l->from;
  lost.epoch_from = f->epoch_from;
  if (f->kind == FACT_CAME && f->state == HANDOFF_COMMITTED) lost.copy = MOVER_COPY_KEPT;
  if (f->kind == FACT_LEFT) {
    assert(f->state == HANDOFF_PREPARED);
    lost.copy = MOVER_COPY_PREPARED;
    lost.charter_version = f->charter_version;
    memcpy(lost.manifest, f->manifest, SHA256_SIZE);
  }
  return lost;
}

/* Somebody says that the subject is at home here, or was when it was to leave. */
static enum dom_code lost_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  const struct learn *l = arg;
  const struct fact *f = l->f;
  struct store_subject row;
  struct handoff h;
  struct mover_lost had, lost = lost_by(l);
  (void)m;
  enum dom_code code = store_subject_get(v, f->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  uint64_t lived = lost.copy == MOVER_COPY_PREPARED ? f->epoch_from : f->epoch; /* here */
  if (code == DOM_OK && epoch_known(&row) >= lived) return DOM_EXISTS;
  code = handoff_get(v, f->token, f->epoch, HANDOFF_TARGET, &h, err);
  if (code && code != DOM_NOT_FOUND) return code;
  if (code == DOM_OK && h.state == HANDOFF_PREPARED) return DOM_EXISTS; /* all is here: it asks, and serves */
  code = lost_get(v, &lost, &had, err);
  if (code && code != DOM_NOT_FOUND) return code;
  bool known = code == DOM_OK;
  if (known && (had.epoch > lost.epoch || (had.epoch == lost.epoch && had.copy == lost.copy)))
    return DOM_EXISTS;
  return lost_put(tx, &lost, err);
}

/* A handoff that did not come to its end. Who was to leave, and is not in the backup, may be nowhere but in
 * the copy that was prepared. */
static enum dom_code learn_unfinished(struct learn *l, struct dom_err *err) {
  enum dom_code code = quarantine_change(l->m, raise_step, (void *)l->f, err);
  if (code || l->f->state != HANDOFF_PREPARED) return code;
  return quarantine_change(l->m, lost_step, l, err);
}

enum dom_code learn_given(struct mover *m, const struct mover_lost *lost, struct dom_err *err) {
  struct fact f = {.kind = FACT_LEFT,
                   .epoch = lost->epoch,
                   .epoch_from = lost->epoch_from,
                   .charter_version = lost->charter_version};
  struct learn l = {.m = m, .from = lost->from, .f = &f};
  assert(lost->copy == MOVER_COPY_PREPARED && lost->from);
  memcpy(f.token, lost->token, TOKEN_SIZE);
  memcpy(f.country, lost->country, 2);
  memcpy(f.manifest, lost->manifest, SHA256_SIZE);
  enum dom_code code = sign_left(&l, err);
  if (!code) code = quarantine_change(m, left_step, &l, err);
  buf_done(&l.statement);
  return code;
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
    enum dom_code code = quarantine_change(l->m, erased_step, l, err);
    if (code || !subject_is_registrar(subjects)) return code;
    record.home = l->f->home;
    memcpy(record.token, l->f->token, TOKEN_SIZE);
    memcpy(record.country, l->f->country, 2);
    return subject_record_take(subjects, &record, err);
  }
  if (!subject_is_registrar(subjects))
    return l->from_registrar ? quarantine_change(l->m, erased_step, l, err) : DOM_OK;
  if (l->f->home != l->from) return DOM_OK;
  memcpy(record.token, l->f->token, TOKEN_SIZE);
  memcpy(record.country, l->f->country, 2);
  return subject_record_take(subjects, &record, err);
}

/* A former home says that it handed the subject over to this region. A registrar whose record is older than
 * that takes it: nobody else would tell of who is lost here. */
static enum dom_code learn_came(struct learn *l, struct dom_err *err) {
  struct subjects *subjects = l->m->o.subjects;
  struct subject_record record = {.home = l->m->o.region, .epoch = l->f->epoch};
  if (l->f->state < HANDOFF_COMMITTED || l->f->state > HANDOFF_PURGED) return DOM_OK;
  memcpy(record.token, l->f->token, TOKEN_SIZE);
  memcpy(record.country, l->f->country, 2);
  enum dom_code code = subject_is_registrar(subjects) ? subject_record_take(subjects, &record, err) : DOM_OK;
  return code ? code : quarantine_change(l->m, lost_step, l, err);
}

static enum dom_code learn_fact(void *arg, const struct fact *f, struct dom_err *err) {
  struct learn *l = arg;
  struct mover *m = l->m;
  l->f = f;
  buf_reset(&l->statement);
  switch (f->kind) {
  case FACT_LEFT:
    return f->state == HANDOFF_ACTIVE ? learn_left(l, err) : learn_unfinished(l, err);
  case FACT_CAME:
    return learn_came(l, err);
  case FACT_RECORD:
    return l->from_registrar ? quarantine_change(m, lost_step, l, err) : DOM_OK;
  case FACT_AT_HOME:
  case FACT_GONE: {
    struct subject_record record = {.home = f->kind == FACT_GONE ? f->home : l->from, .epoch = f->epoch};
    memcpy(record.token, f->token, TOKEN_SIZE);
    memcpy(record.country, f->country, 2);
    return subject_is_registrar(m->o.subjects) ? subject_record_take(m->o.subjects, &record, err) : DOM_OK;
  }
  case FACT_ERASED:
    return learn_erased(l, err);
  }
  return dom_fail(err, DOM_INVALID, "move/quarantine", "an unknown fact");
}

/* What was learned since may prove it; else it is asked again after a while, and nobody is served. */
static enum dom_code ask_once_more(struct watched *w, struct dom_err *err) {
  w->unproven = false;
  w->phase = HISTORY_FIRST;
  buf_reset(&w->cursor);
  return dom_fail(err, DOM_DENIED, "move/quarantine",
                  "region %u says that a subject left for it, and nothing shows it", w->region);
}

enum dom_code learn_from(struct mover *m, struct watched *w, struct dom_err *err) {
  struct learn l = {.m = m, .from = w->region, .unproven = &w->unproven};
  struct charter *c = subject_charter(m->o.subjects);
  l.from_registrar = c && charter_registrar(c)->number == w->region;
  charter_release(c);
  enum dom_code code = DOM_OK;
  uint64_t until = quarantine_now_ms(m) + LEARN_MS;
  while (!code && w->phase < HISTORY_END && quarantine_now_ms(m) < until && !atomic_load(&m->stopping))
    code = history_ask(m, w->region, &w->phase, &w->cursor, learn_fact, &l, err);
  buf_done(&l.statement);
  if (!code && w->phase == HISTORY_END && w->unproven) code = ask_once_more(w, err);
  if (code) w->next_ms = quarantine_now_ms(m) + QUARANTINE_AWAY_MS;
  w->history_done = w->phase == HISTORY_END;
  return code;
}
