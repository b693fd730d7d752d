/* The source's side: one subject from COPYING to the target's confirmation. */
#include <assert.h>

#include "move/move_internal.h"

struct source {
  struct mover *m;
  struct handoff h;
  const struct permit *permit;
  struct charter_permit_storage storage;
  struct buf intent_ref; /* ledger reference of our intent */
  uint64_t held_ms;
};

/* ---- begin --------------------------------------------------------------------------- */

/* The next one, never handed out before, whatever became of the attempts. */
static enum dom_code next_epoch(const struct store_subject *row, uint64_t *out, struct dom_err *err) {
  assert(row->epoch_allotted >= row->epoch);
  if (row->epoch_allotted >= SUBJECT_EPOCH_MAX - 1)
    return dom_fail(err, DOM_REFUSED, "move/source: begin",
                    "the subject came under the last epoch there is: the region it came from lied");
  *out = row->epoch_allotted + 1;
  return DOM_OK;
}

static enum dom_code intent_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct handoff *h, struct dom_err *err) {
  (void)arg;
  struct store_subject row;
  enum dom_code code = store_subject_get(v, h->token, &row, err);
  if (code) return code;
  if (row.state == SUBJECT_MOVED)
    return dom_fail(err, DOM_ELSEWHERE, "move/source: begin", "not at home here");
  if (row.state == SUBJECT_ERASED)
    return dom_fail(err, DOM_NOT_FOUND, "move/source: begin", "the subject was erased");
  if (row.state != SUBJECT_HOME)
    return dom_fail(err, DOM_BUSY, "move/source: begin", "a handoff is under way");
  h->epoch_from = row.epoch;
  code = next_epoch(&row, &h->epoch, err);
  if (code) return code;
  assert(h->epoch > h->epoch_from && row.handoff_epoch == 0);
  memcpy(h->country, row.country, 2);
  row.state = SUBJECT_COPYING;
  row.epoch_allotted = h->epoch;
  row.handoff_epoch = h->epoch;
  row.handoff_to = h->peer;
  code = store_tx_subject_put(tx, &row, err);
  return code ? code : mover_entry(m, tx, LEDGER_MOVE_INTENT, h, SLICE_LIT(""), err);
}

static enum dom_code load_row(struct mover *m, const uint8_t token[TOKEN_SIZE], struct store_subject *out,
                              struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  return code ? code : store_subject_get(v, token, out, err);
}

static enum dom_code tell(struct source *s, const char *path, struct slice body, struct buf *reply,
                          struct dom_err *err) {
  return net_call(s->m->o.net, s->h.peer, path, body, MOVE_MESSAGE_TIMEOUT_MS, reply, err);
}

static enum dom_code tell_begin(struct source *s, struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  handoff_head_put(&body, &s->h);
  put_u64be(&body, s->h.epoch_from);
  buf_append(&body, s->h.country, 2);
  put_u64be(&body, s->h.charter_version);
  put_u32be(&body, MOVE_PROTOCOL);
  enum dom_code code = buf_check(&body, err);
  return code ? code : tell(s, "move/begin", buf_slice(&body), &reply, err);
}

/* ---- abort ------------------------------------------------------------------------------ */

static enum dom_code abort_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct handoff *h, struct dom_err *err) {
  (void)arg;
  struct store_subject row;
  enum dom_code code = store_subject_get(v, h->token, &row, err);
  if (code) return code;
  assert(row.state != SUBJECT_MOVED);
  if (row.handoff_epoch == h->epoch) {
    row.state = SUBJECT_HOME;
    row.handoff_epoch = 0;
    row.handoff_to = 0;
    code = store_tx_subject_put(tx, &row, err);
  }
  return code ? code : mover_entry(m, tx, LEDGER_MOVE_ABORTED, h, SLICE_LIT(""), err);
}

/* Durable here first; the target is told, and asks by itself should the message get lost. */
static enum dom_code give_up(struct mover *m, struct handoff *h, struct dom_err *err) {
  enum dom_code code = mover_advance(m, h, EVENT_FAIL, abort_step, NULL, err);
  subject_gate_open(m->o.subjects, h->token);
  if (code || !m->o.net) return code;
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  handoff_head_put(&body, h);
  if (!body.failed)
    net_call(m->o.net, h->peer, "move/abort", buf_slice(&body), MOVE_MESSAGE_TIMEOUT_MS, &reply, NULL);
  return DOM_OK;
}

/* ---- fence, prepare, commit -------------------------------------------------------------- */

static enum dom_code fence_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct handoff *h, struct dom_err *err) {
  (void)arg, (void)m;
  struct store_subject row;
  enum dom_code code = store_subject_get(v, h->token, &row, err);
  if (code) return code;
  if (row.state != SUBJECT_COPYING || row.handoff_epoch != h->epoch)
    return dom_fail(err, DOM_STALE_EPOCH, "move/source: fence",
                    "the subject is not being copied under this epoch");
  assert(row.epoch == h->epoch_from && row.handoff_to == h->peer);
  row.state = SUBJECT_FENCED;
  return store_tx_subject_put(tx, &row, err);
}

struct commit {
  struct source *s;
  struct slice peer;
  struct buf statement;
};

static enum dom_code commit_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct handoff *h, struct dom_err *err) {
  struct commit *c = arg;
  struct store_subject row;
  enum dom_code code = store_subject_get(v, h->token, &row, err);
  if (code) return code;
  if (row.state != SUBJECT_FENCED || row.handoff_epoch != h->epoch)
    return dom_fail(err, DOM_STALE_EPOCH, "move/source: commit",
                    "the subject is not fenced under this epoch");
  if (mover_charter_version(m) != h->charter_version)
    return dom_fail(err, DOM_STALE_EPOCH, "move/source: commit", "the charter changed during the move");
  code = subject_charter_guard(v, tx, h->charter_version, err);
  if (code) return code;
  assert(row.epoch == h->epoch_from && row.epoch_allotted >= h->epoch && row.handoff_to == h->peer);
  struct subject_statement st = {.from = m->o.region,
                                 .to = h->peer,
                                 .epoch_from = h->epoch_from,
                                 .epoch = h->epoch,
                                 .charter_version = h->charter_version};
  memcpy(st.token, h->token, TOKEN_SIZE);
  memcpy(st.manifest, h->manifest, SHA256_SIZE);
  memcpy(st.country, h->country, 2);
  buf_reset(&c->statement);
  subject_statement_sign(m->o.subjects, &st, &c->statement);
  code = buf_check(&c->statement, err);
  row.state = SUBJECT_MOVED;
  row.epoch = h->epoch;
  row.home = h->peer;
  row.since_ms = clock_wall_ms(m->o.clock);
  h->started_ms = row.since_ms; /* from here on the charter's time to erase runs */
  row.handoff_epoch = 0;
  row.handoff_to = 0;
  if (!code) code = subject_leave(tx, &row, buf_slice(&c->statement), err);
  return code ? code : mover_entry(m, tx, LEDGER_MOVE_COMMITTED, h, c->peer, err);
}

/* What the target says it prepared must be what was asked for: an answer about an older epoch or another copy
 * is none. The reference to its ledger entry is appended to *out_peer. */
static enum dom_code take_prepared(const struct handoff *h, struct slice reply, struct buf *out_peer,
                                   struct dom_err *err) {
  struct reader r = reader_of(reply);
  uint64_t epoch = get_u64be(&r);
  struct slice manifest = get_slice(&r, SHA256_SIZE);
  uint64_t version = get_u64be(&r);
  if (r.bad || epoch != h->epoch || memcmp(manifest.data, h->manifest, SHA256_SIZE) != 0)
    return dom_fail(err, DOM_STALE_EPOCH, "move/source: prepare", "the target prepared something else");
  if (version != h->charter_version)
    return dom_fail(err, DOM_STALE_EPOCH, "move/source: prepare",
                    "the target prepared under another charter version");
  buf_append(out_peer, r.at, r.left);
  return buf_check(out_peer, err);
}

/* Asks the target to prepare; *out_peer gets the reference to its ledger entry. */
static enum dom_code tell_prepare(struct source *s, struct buf *out_peer, struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  handoff_head_put(&body, &s->h);
  buf_append(&body, s->h.manifest, SHA256_SIZE);
  put_u64be(&body, s->h.charter_version);
  buf_append_slice(&body, buf_slice(&s->intent_ref));
  enum dom_code code = buf_check(&body, err);
  if (!code) code = tell(s, "move/prepare", buf_slice(&body), &reply, err);
  return code ? code : take_prepared(&s->h, buf_slice(&reply), out_peer, err);
}

/* Between the fence and the commit: the last entries, both manifests, the commit point. */
static enum dom_code fenced(struct source *s, struct copy *c, uint64_t *journal, struct dom_err *err) {
  struct mover *m = s->m;
  assert(s->h.state == HANDOFF_COPYING);
  enum dom_code code = mover_advance(m, &s->h, EVENT_QUIET, fence_step, NULL, err);
  uint32_t sent = 0;
  if (!code) code = copy_journal(c, journal, &sent, err);
  if (!code)
    code = manifest_compute(
        &(struct manifest_of){m, PERMIT_MOVE, s->permit, s->h.token, s->h.epoch_from, c->memo}, s->h.manifest,
        &s->h.objects, &s->h.bytes, err);
  struct commit commit = {.s = s};
  BUF_AUTO peer = BUF_INIT;
  if (!code) code = tell_prepare(s, &peer, err);
  if (code) return code;
  mover_fault(m, "+peer-prepared");
  commit.peer = buf_slice(&peer);
  code = mover_advance(m, &s->h, EVENT_PREPARED, commit_step, &commit, err);
  buf_done(&commit.statement);
  assert(code || s->h.state == HANDOFF_COMMITTED);
  return code;
}

/* Rounds until one was small; writers that outrun them are slowed. */
static enum dom_code catch_up(struct source *s, struct copy *c, uint64_t *journal, struct dom_err *err) {
  for (int i = 0; i < MOVE_ROUNDS_MAX + MOVE_SLOW_ROUNDS_MAX; i++) {
    uint64_t before = c->bytes;
    uint32_t sent = 0;
    int slow = i - MOVE_ROUNDS_MAX;
    if (slow >= 0) subject_gate_slow(s->m->o.subjects, s->h.token, (uint32_t)MOVE_SLOW_MS << slow);
    enum dom_code code = copy_journal(c, journal, &sent, err);
    if (code) return code;
    mover_fault(s->m, "+round");
    if (sent <= MOVE_FENCE_ENTRIES && c->bytes - before <= MOVE_FENCE_BYTES) break;
  }
  return DOM_OK;
}

/* The copy, then the gate and the fence. */
static enum dom_code converge(struct source *s, struct copy *c, struct dom_err *err) {
  struct mover *m = s->m;
  uint64_t journal = 0;
  uint32_t sent = 0;
  enum dom_code code = copy_snapshot(c, err);
  mover_fault(m, "+snapshot");
  if (!code) code = catch_up(s, c, &journal, err);
  if (code) return code;
  /* A body still open lets the fence wait, some rounds long; then the guards refuse its commit. */
  uint64_t closed = clock_mono_ns(m->o.clock);
  for (int i = 0; !subject_gate_close(m->o.subjects, s->h.token, MOVE_GATE_DRAIN_MS) && i < MOVE_ROUNDS_MAX;
       i++) {
    subject_gate_open(m->o.subjects, s->h.token);
    code = copy_journal(c, &journal, &sent, err);
    if (code) return code;
    closed = clock_mono_ns(m->o.clock);
  }
  code = fenced(s, c, &journal, err);
  /* After a failure the gate stays closed until the abort is durable. */
  if (!code) subject_gate_open(m->o.subjects, s->h.token);
  s->held_ms = (clock_mono_ns(m->o.clock) - closed) / 1000000;
  return code;
}

/* ---- after the commit ----------------------------------------------------------------------- */

/* The statement kept with the tombstone: of the newest departure. */
static enum dom_code kept_statement(struct mover *m, const uint8_t token[TOKEN_SIZE], struct buf *out,
                                    struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  return code ? code : subject_statement_kept(v, token, out, err);
}

/* The target came back from a lost disk without what it was given, and has opened the handoff again: the
 * copy kept here, which nobody has written to since the fence, goes there once more, under the statement that
 * names its manifest. */
static enum dom_code send_again(struct mover *m, const struct handoff *h, struct pace *pace,
                                struct dom_err *err) {
  struct source s = {.m = m, .h = *h};
  struct copy c = {0};
  BUF_AUTO peer = BUF_INIT;
  assert(h->state == HANDOFF_COMMITTED);
  s.h.charter_version = mover_charter_version(m); /* the target prepares under the one in force */
  if (was_resent(m, h->token))
    return dom_fail(err, DOM_BUSY, "move/source: send again", "it was tried a moment ago");
  token_set_touch(&m->resent, h->token, clock_mono_ns(m->o.clock) / 1000000);
  enum dom_code code =
      mover_permit(m, h->token, h->country, m->o.region, h->peer, &s.storage, &s.permit, err);
  if (!code)
    code = manifest_compute(&(struct manifest_of){m, PERMIT_MOVE, s.permit, h->token, h->epoch_from, NULL},
                            s.h.manifest, &s.h.objects, &s.h.bytes, err);
  if (!code && memcmp(s.h.manifest, h->manifest, SHA256_SIZE) != 0)
    code = dom_fail(err, DOM_CORRUPT, "move/source: send again",
                    "the copy kept here is not what was handed over: domicile fsck");
  if (!code) code = tell_begin(&s, err);
  if (!code) code = copy_begin(&c, m, &s.h, s.permit, pace, err);
  if (!code) code = copy_snapshot(&c, err);
  copy_done(&c);
  return code ? code : tell_prepare(&s, &peer, err);
}

/* Of a later departure than this one? Then the target was home in between, or the subject could not have come
 * back to leave again; and the registrar takes the later statement, which this region signed too. */
static bool is_confirmed_since(struct mover *m, const struct handoff *h, struct slice statement) {
  struct subject_statement st;
  return subject_statement_peek(m->o.subjects, statement, &st) && st.epoch > h->epoch;
}

/* DOM_NOT_FOUND: it has lost what it was given, and has opened the handoff again. */
static enum dom_code tell_commit(struct mover *m, const struct handoff *h, struct slice statement,
                                 struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  put_bytes16be(&body, statement);
  mover_peer_ref(m, h->commit_lsn, MOVE_LEDGER_WAIT_MS, &body);
  enum dom_code code = buf_check(&body, err);
  if (!code && !m->o.net) code = dom_fail(err, DOM_UNAVAILABLE, "move/source: deliver", "no peers");
  if (!code)
    code = net_call(m->o.net, h->peer, "move/commit", buf_slice(&body), MOVE_MESSAGE_TIMEOUT_MS, &reply, err);
  return code;
}

static enum dom_code deliver_last(struct mover *m, struct handoff *h, struct slice statement,
                                  struct dom_err *err) {
  enum dom_code code = tell_commit(m, h, statement, err);
  if (code) return code;
  token_set_remove(&m->resent, h->token);
  return mover_advance(m, h, EVENT_CONFIRMED, NULL, NULL, err);
}

static enum dom_code deliver(struct mover *m, struct handoff *h, struct pace *pace, struct dom_err *err) {
  assert(h->state == HANDOFF_COMMITTED);
  BUF_AUTO statement = BUF_INIT;
  struct dom_err why = {0};
  enum dom_code code = kept_statement(m, h->token, &statement, err);
  if (!code && is_confirmed_since(m, h, buf_slice(&statement)))
    return mover_advance(m, h, EVENT_CONFIRMED, NULL, NULL, err);
  if (code) return code;
  code = tell_commit(m, h, buf_slice(&statement), &why);
  if (code == DOM_NOT_FOUND) {
    code = send_again(m, h, pace, err);
    return code ? code : deliver_last(m, h, buf_slice(&statement), err);
  }
  if (code && err) *err = why;
  return code ? code : mover_advance(m, h, EVENT_CONFIRMED, NULL, NULL, err);
}

static enum dom_code finish(struct mover *m, struct handoff *h, struct pace *pace, struct dom_err *err) {
  assert(h->state == HANDOFF_COMMITTED || h->state == HANDOFF_ERASING);
  enum dom_code code = h->state == HANDOFF_COMMITTED ? deliver(m, h, pace, err) : DOM_OK;
  return code ? code : erase_source(m, h, err);
}

/* ---- one subject -------------------------------------------------------------------------------- */

static enum dom_code begin(struct source *s, struct dom_err *err) {
  struct mover *m = s->m;
  struct store_subject row;
  enum dom_code code = load_row(m, s->h.token, &row, err);
  if (code) return code;
  if (row.state == SUBJECT_MOVED)
    return dom_fail(err, DOM_ELSEWHERE, "move/source: begin", "not at home here");
  if (row.state == SUBJECT_ERASED)
    return dom_fail(err, DOM_NOT_FOUND, "move/source: begin", "the subject was erased");
  if (row.state != SUBJECT_HOME)
    return dom_fail(err, DOM_BUSY, "move/source: begin", "a handoff is under way");
  if (s->h.peer == m->o.region)
    return dom_fail(err, DOM_INVALID, "move/source: begin", "the subject is at home in this region already");
  s->h.charter_version = mover_charter_version(m);
  code = mover_permit(m, s->h.token, row.country, m->o.region, s->h.peer, &s->storage, &s->permit, err);
  if (code) return code;
  s->h.started_ms = clock_wall_ms(m->o.clock);
  s->h.epoch_from = row.epoch; /* the step below reads both again under guard */
  code = next_epoch(&row, &s->h.epoch, err);
  return code ? code : mover_advance(m, &s->h, EVENT_BEGIN, intent_step, NULL, err);
}

static enum dom_code hand_over(struct source *s, struct pace *pace, struct dom_err *err) {
  struct mover *m = s->m;
  enum dom_code code = begin(s, err);
  if (code) return code;
  mover_peer_ref(m, s->h.commit_lsn, MOVE_LEDGER_WAIT_MS, &s->intent_ref);
  code = tell_begin(s, err);
  struct copy c = {0};
  if (!code) code = copy_begin(&c, m, &s->h, s->permit, pace, err);
  if (!code) code = converge(s, &c, err);
  copy_done(&c);
  if (code && s->h.state != HANDOFF_COMMITTED) {
    enum dom_code aborted = give_up(m, &s->h, NULL);
    return aborted ? aborted : code; /* an abort that cannot be made durable is the graver failure */
  }
  return finish(m, &s->h, pace, err);
}

/* This thread alone works on the subject, so an open handoff is what a crash or a peer that was away left: an
 * uncommitted one is given up, a committed one to `to` is brought to its end. *out_moved: that was it. */
static enum dom_code settle_left(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to,
                                 struct pace *pace, bool *out_moved, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  struct handoff h;
  *out_moved = false;
  assert(token_set_has(&m->running, token));
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_subject_get(v, token, &row, err);
  if (code || row.state == SUBJECT_HOME || row.state == SUBJECT_ERASED) return code;
  if (row.state == SUBJECT_FENCED && row.handoff_epoch == 0)
    return dom_fail(err, DOM_BUSY, "move/source: begin", "the subject is being erased");
  bool left = row.state == SUBJECT_MOVED;
  code = handoff_get(v, token, left ? row.epoch : row.handoff_epoch, HANDOFF_SOURCE, &h, err);
  store_view_close(v);
  v = NULL;
  if (code == DOM_NOT_FOUND && left) return DOM_OK;
  if (code == DOM_NOT_FOUND)
    return dom_fail(err, DOM_CORRUPT, "move/source: begin",
                    "a subject is being moved, but no handoff says so");
  if (code) return code;
  if (!left) return give_up(m, &h, err);
  bool unfinished = h.state == HANDOFF_COMMITTED || h.state == HANDOFF_ERASING;
  if (!unfinished || row.home != to) return DOM_OK;
  *out_moved = true;
  return finish(m, &h, pace, err);
}

enum dom_code source_move(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to, struct pace *pace,
                          struct source_result *out, struct dom_err *err) {
  if (!m->o.net) return dom_fail(err, DOM_UNAVAILABLE, "move/source", "this region has no peers");
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move/source", "this region is in quarantine");
  if (!token_set_add(&m->running, token))
    return dom_fail(err, DOM_BUSY, "move/source", "a handoff is under way");
  struct source s = {.m = m, .h = {.side = HANDOFF_SOURCE, .peer = to}};
  memcpy(s.h.token, token, TOKEN_SIZE);
  bool moved = false;
  enum dom_code code = settle_left(m, token, to, pace, &moved, err);
  if (!code && !moved) code = hand_over(&s, pace, err);
  token_set_remove(&m->running, token);
  buf_done(&s.intent_ref);
  bool committed = moved || (s.h.state >= HANDOFF_COMMITTED && s.h.state < HANDOFF_ABORTED);
  *out = (struct source_result){
      .objects = s.h.objects, .bytes = s.h.bytes, .held_ms = s.held_ms, .committed = committed};
  return code;
}

enum dom_code source_resume(struct mover *m, const struct handoff *h, struct dom_err *err) {
  assert(h->side == HANDOFF_SOURCE);
  if (!token_set_add(&m->running, h->token)) return DOM_OK;
  struct handoff now = *h;
  struct pace pace; /* what has to be sent again stands back for clients */
  bool committed = h->state != HANDOFF_COPYING && h->state != HANDOFF_FENCED;
  pace_init(&pace, 0, &m->stopping);
  pace_begin(m);
  enum dom_code code = committed ? finish(m, &now, &pace, err) : give_up(m, &now, err);
  pace_done(&pace);
  token_set_remove(&m->running, h->token);
  return code;
}

/* Body: token 32 | epoch u64. Reply: 'c' ‖ statement, 'a', or 'w' (under way). */
enum dom_code source_asked(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err) {
  struct reader r = reader_of(body);
  struct slice token = get_slice(&r, TOKEN_SIZE);
  uint64_t epoch = get_u64be(&r);
  if (!reader_end(&r)) return dom_fail(err, DOM_INVALID, "move/source: asked", "does not decode");
  struct handoff h;
  enum dom_code code;
  {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = handoff_get(v, token.data, epoch, HANDOFF_SOURCE, &h, err);
  }
  if (code && code != DOM_NOT_FOUND) return code;
  bool known = code == DOM_OK && h.peer == from;
  if (known && (h.state == HANDOFF_COPYING || h.state == HANDOFF_FENCED))
    put_u8(reply, 'w');
  else if (!known || h.state == HANDOFF_ABORTED)
    put_u8(reply, 'a');
  else {
    put_u8(reply, 'c');
    code = kept_statement(m, token.data, reply, err);
    return code ? code : buf_check(reply, err);
  }
  return buf_check(reply, err);
}
