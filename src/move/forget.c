/* A person's right: erased for good, at the home first, then wherever they lived before. From ORDERED on it
 * only goes forward, whatever crashes; before, a crash gives it up. */
#include <assert.h>

#include "move/move_internal.h"

static const char where[] = "move/forget";

/* ---- state changes ---------------------------------------------------------------------- */

typedef enum dom_code (*forget_step_fn)(struct mover *m, struct store_view *v, struct store_tx *tx,
                                        struct forget *f, struct dom_err *err);

static enum dom_code still_in(struct store_view *v, const struct forget *f, enum forget_state state,
                              struct dom_err *err) {
  struct forget now;
  enum dom_code code = forget_get(v, f->token, f->epoch, &now, NULL);
  if (code == DOM_NOT_FOUND && state == FORGET_NONE) return DOM_OK;
  if (code) return dom_fail(err, code, where, "the erasure's row cannot be read");
  if (now.state == state) return DOM_OK;
  return dom_fail(err, DOM_STALE_EPOCH, where, "the erasure is %s by now", forget_state_name(now.state));
}

static enum dom_code change_once(struct mover *m, struct forget *f, enum forget_state from, forget_step_fn fn,
                                 struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code) code = still_in(v, f, from, err);
  if (!code && fn) code = fn(m, v, tx, f, err);
  if (!code) code = forget_put(tx, f, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

/* Takes *f to `next` durably, together with what fn adds. */
static enum dom_code change(struct mover *m, struct forget *f, enum forget_state next, forget_step_fn fn,
                            struct dom_err *err) {
  static const char *const before[] = {"-forget-none",    "-forget-checking", "-forget-erasing",
                                       "-forget-dropped", "-forget-erased",   "-forget-purged"};
  static const char *const after[] = {"+forget-none",    "+forget-checking", "+forget-erasing",
                                      "+forget-dropped", "+forget-erased",   "+forget-purged"};
  struct forget changed;
  enum dom_code code = DOM_RETRY;
  if (quarantine_holds(m)) return dom_fail(err, DOM_UNAVAILABLE, where, "this region is in quarantine");
  mover_fault(m, before[next]);
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    changed = *f;
    changed.state = next;
    code = change_once(m, &changed, f->state, fn, err);
  }
  if (code) return code;
  *f = changed;
  open_set_forget(&m->open, f);
  mover_fault(m, after[next]);
  return DOM_OK;
}

static enum dom_code entry(struct mover *m, struct store_tx *tx, enum ledger_type type,
                           const struct forget *f, struct dom_err *err) {
  struct ledger_payload payload = {.type = type,
                                   .from_region = m->o.region,
                                   .from_epoch = f->epoch,
                                   .objects = f->objects,
                                   .bytes = f->bytes};
  memcpy(payload.token, f->token, TOKEN_SIZE);
  return subject_tx_entry(m->o.subjects, tx, &payload, f->epoch, NULL, 0, err);
}

static enum dom_code put_state(struct store_view *v, struct store_tx *tx, const struct forget *f,
                               enum store_subject_state from, enum store_subject_state to, uint64_t now_ms,
                               struct dom_err *err) {
  struct store_subject row;
  enum dom_code code = store_subject_get(v, f->token, &row, err);
  if (code) return code;
  if (row.state != from || row.epoch != f->epoch || row.handoff_epoch != 0)
    return dom_fail(err, DOM_BUSY, where, "the subject is being moved, or left, or was erased meanwhile");
  row.state = to;
  if (to == SUBJECT_ERASED) row.since_ms = now_ms;
  return store_tx_subject_put(tx, &row, err);
}

static enum dom_code fence_step(struct mover *m, struct store_view *v, struct store_tx *tx, struct forget *f,
                                struct dom_err *err) {
  (void)m;
  return put_state(v, tx, f, SUBJECT_HOME, SUBJECT_FENCED, 0, err);
}

static enum dom_code unfence_step(struct mover *m, struct store_view *v, struct store_tx *tx,
                                  struct forget *f, struct dom_err *err) {
  (void)m;
  return put_state(v, tx, f, SUBJECT_FENCED, SUBJECT_HOME, 0, err);
}

static void peers_all(struct mover *m, struct forget *f) {
  struct charter *c = subject_charter(m->o.subjects);
  for (unsigned i = 0; c && i < charter_region_count(c); i++)
    if (charter_region_at(c, i)->number != m->o.region) forget_peer(f, charter_region_at(c, i)->number);
  charter_release(c);
}

static enum dom_code order_step(struct mover *m, struct store_view *v, struct store_tx *tx, struct forget *f,
                                struct dom_err *err) {
  peers_all(m, f);
  f->started_ms = clock_wall_ms(m->o.clock);
  enum dom_code code = put_state(v, tx, f, SUBJECT_FENCED, SUBJECT_ERASED, f->started_ms, err);
  return code ? code : entry(m, tx, LEDGER_ERASURE_ORDERED, f, err);
}

enum dom_code forget_learned(struct mover *m, struct store_tx *tx, const struct store_subject *row,
                             struct dom_err *err) {
  struct forget f = {.epoch = row->epoch,
                     .allotted = row->epoch_allotted,
                     .state = FORGET_ERASING,
                     .told = true, /* it is the registrar that tells */
                     .started_ms = row->since_ms};
  assert(row->state == SUBJECT_ERASED);
  memcpy(f.token, row->token, TOKEN_SIZE);
  memcpy(f.country, row->country, 2);
  peers_all(m, &f);
  enum dom_code code = forget_put(tx, &f, err);
  return code ? code : entry(m, tx, LEDGER_ERASURE_ORDERED, &f, err);
}

static enum dom_code drop_step(struct mover *m, struct store_view *v, struct store_tx *tx, struct forget *f,
                               struct dom_err *err) {
  (void)v;
  f->dropped_ms = clock_wall_ms(m->o.clock);
  return entry(m, tx, LEDGER_KEY_DROPPED, f, err);
}

static enum dom_code erased_step(struct mover *m, struct store_view *v, struct store_tx *tx, struct forget *f,
                                 struct dom_err *err) {
  (void)v;
  f->erased_ms = clock_wall_ms(m->o.clock);
  return entry(m, tx, LEDGER_ERASED, f, err);
}

static enum dom_code purged_step(struct mover *m, struct store_view *v, struct store_tx *tx, struct forget *f,
                                 struct dom_err *err) {
  (void)v;
  f->purged_ms = clock_wall_ms(m->o.clock);
  return entry(m, tx, LEDGER_NAMES_PURGED, f, err);
}

/* ---- may it be ----------------------------------------------------------------------------- */

struct judge {
  struct mover *m;
  struct forget *f;
  const struct mover_forget_check *check;
  struct subject_who who;
  uint64_t youngest_ms, locked;
};

static enum dom_code permit_for(struct judge *j, enum permit_action action,
                                struct charter_permit_storage *storage, const struct permit **out,
                                struct dom_err *err) {
  struct subject_intent intent = {.action = action,
                                  .who = &j->who,
                                  .place_region = j->m->o.region,
                                  .gateway = action == PERMIT_DELETE ? j->m->o.region : 0,
                                  .all_classes = action == PERMIT_DELETE,
                                  .destroys_ms = action == PERMIT_DELETE ? j->youngest_ms : 0};
  struct charter_refusal refusal = {0};
  enum dom_code code = subject_permit(j->m->o.subjects, &intent, storage, out, &refusal);
  if (!code) return DOM_OK;
  return dom_fail(err, code, where, "charter %llu, %s: %s", (unsigned long long)refusal.version,
                  refusal.clause, refusal.why);
}

static void judge_item(struct judge *j, const struct store_item *item) {
  uint64_t mtime = item->kind == STORE_ITEM_OBJECT   ? item->object.mtime_ms
                   : item->kind == STORE_ITEM_UPLOAD ? item->upload.mtime_ms
                                                     : item->part.mtime_ms;
  bool marker = item->kind == STORE_ITEM_OBJECT && item->object.is_marker;
  if (marker) return; /* nothing is kept from being deleted by it */
  if (j->youngest_ms == CHARTER_DESTROYS_NOTHING || mtime > j->youngest_ms) j->youngest_ms = mtime;
  if (item->kind != STORE_ITEM_OBJECT) return;
  j->f->objects++;
  j->f->bytes += item->object.size;
  if (j->check && j->check->is_locked && j->check->is_locked(j->check->arg, item->object.meta)) j->locked++;
}

static enum dom_code judge_walk(struct judge *j, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_walk *w = NULL;
  struct charter_permit_storage storage;
  const struct permit *permit;
  const struct store_item *item;
  enum dom_code code = permit_for(j, PERMIT_REPAIR, &storage, &permit, err);
  if (!code) code = store_view_open(j->m->o.store, &v, err);
  if (!code)
    code = store_walk_open(v, PERMIT_REPAIR, permit, j->f->token, j->f->epoch, SLICE_LIT(""), &w, err);
  while (!code && (code = store_walk_next(w, &item, err)) == DOM_OK) judge_item(j, item);
  store_walk_close(w);
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

/* Whether the charter and the locks let everything of the person go; counts it. */
static enum dom_code judge(struct mover *m, struct forget *f, const struct mover_forget_check *check,
                           struct dom_err *err) {
  struct judge j = {.m = m, .f = f, .check = check, .who = {.home = m->o.region}};
  struct charter_permit_storage storage;
  const struct permit *permit;
  memcpy(j.who.token, f->token, TOKEN_SIZE);
  memcpy(j.who.country, f->country, 2);
  j.who.where = SUBJECT_HERE;
  j.youngest_ms = CHARTER_DESTROYS_NOTHING;
  f->objects = f->bytes = 0;
  enum dom_code code = judge_walk(&j, err);
  if (!code) code = permit_for(&j, PERMIT_DELETE, &storage, &permit, err);
  if (!code && j.locked)
    code = dom_fail(err, DOM_BUSY, where,
                    "%llu versions are under object lock (retention or legal hold): nothing was erased; it "
                    "can be once the retention is over and the holds are taken off",
                    (unsigned long long)j.locked);
  return code;
}

/* ---- from the order on ---------------------------------------------------------------------- */

/* What earlier stays left here and no thread has come to. */
static bool rest_is_due(const struct handoff *h) {
  return (h->side == HANDOFF_SOURCE && h->state == HANDOFF_ERASING) ||
         (h->side == HANDOFF_TARGET && h->state == HANDOFF_DISCARDED);
}

struct rest {
  struct mover *m;
  uint16_t asking; /* the region that has the person's right to see to; 0: this one */
  uint64_t up_to;  /* epochs above are of after */
  struct handoff found[FORGET_REST_MAX];
  size_t count;
};

static bool rest_one(void *arg, const struct handoff *h) {
  struct rest *r = arg;
  bool settled = h->side == HANDOFF_SOURCE ? h->state >= HANDOFF_DROPPED && h->state <= HANDOFF_ABORTED
                                           : h->state == HANDOFF_ACTIVE;
  if (h->epoch > r->up_to || settled) return true;
  r->found[r->count++] = *h;
  return r->count < FORGET_REST_MAX;
}

static enum dom_code rest_erase(struct mover *m, struct handoff *h, uint16_t asking, struct dom_err *err) {
  if (h->side == HANDOFF_SOURCE)
    return h->state == HANDOFF_ERASING ? erase_source(m, h, err) : source_resume(m, h, err);
  if (h->state == HANDOFF_DISCARDED) return erase_discarded(m, h, err);
  return h->peer == asking ? erase_discard(m, h, err) : target_ask(m, h, err);
}

/* Everything that this region still has of the token under epochs that are not live. */
static enum dom_code rest_here(struct mover *m, const uint8_t token[TOKEN_SIZE], uint64_t up_to,
                               uint16_t asking, struct dom_err *err) {
  struct rest r = {.m = m, .asking = asking, .up_to = up_to};
  enum dom_code code;
  {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = handoff_scan(v, token, rest_one, &r, err);
  }
  for (size_t i = 0; !code && i < r.count; i++)
    if (asking || rest_is_due(&r.found[i])) code = rest_erase(m, &r.found[i], asking, err);
  return code;
}

static enum dom_code drop(struct mover *m, struct forget *f, struct dom_err *err) {
  struct handoff h = {.side = HANDOFF_SOURCE};
  assert(f->state == FORGET_ERASING);
  memcpy(h.token, f->token, TOKEN_SIZE);
  memcpy(h.country, f->country, 2);
  enum dom_code code = rest_here(m, f->token, f->allotted, 0, err);
  if (!code) code = erase_epoch(m, &h, f->epoch, err);
  /* Noted after the shred: once *this* KEK is gone, so is each that wrapped the slot up to then. */
  f->kek = vault_kek_current(store_vault(m->o.store));
  return code ? code : change(m, f, FORGET_DROPPED, drop_step, err);
}

static enum dom_code ask_peer(struct mover *m, const struct forget *f, struct forget_peer *p,
                              struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  buf_append(&body, f->token, TOKEN_SIZE);
  put_u64be(&body, f->allotted);
  tomb_sign(m, f, &body);
  if (body.failed) return buf_check(&body, err);
  if (!m->o.net) return dom_fail(err, DOM_UNAVAILABLE, where, "no peers");
  enum dom_code code =
      net_call(m->o.net, p->region, "move/forget", buf_slice(&body), MOVE_MESSAGE_TIMEOUT_MS, &reply, err);
  if (code) return code;
  if (reply.len != 1 || reply.data[0] > FORGET_STAGE_PURGED)
    return dom_fail(err, DOM_INVALID, where, "region %u's answer does not decode", p->region);
  if (reply.data[0] > p->stage) p->stage = reply.data[0];
  return DOM_OK;
}

/* Regions that are behind `stage` are asked; what they said is kept. The first failure is told. */
static enum dom_code ask_peers(struct mover *m, struct forget *f, enum forget_stage stage,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  struct forget now = *f;
  for (uint32_t i = 0; i < now.peer_count && !atomic_load(&m->stopping); i++) {
    if (now.peer[i].stage >= stage) continue;
    enum dom_code one = ask_peer(m, &now, &now.peer[i], code ? NULL : err);
    if (one && !code) code = one;
  }
  bool changed = false;
  for (uint32_t i = 0; i < now.peer_count; i++) changed |= now.peer[i].stage != f->peer[i].stage;
  if (!changed) return code;
  struct forget before = *f;
  *f = now;
  enum dom_code kept = change(m, f, f->state, NULL, code ? NULL : err);
  if (kept) *f = before;
  return code ? code : kept;
}

static enum dom_code tell_registrar(struct mover *m, struct forget *f, struct dom_err *err) {
  if (f->told) return DOM_OK;
  enum dom_code code = subject_report_erased(m->o.subjects, f->token, f->allotted, err);
  if (code) return code;
  f->told = true;
  code = change(m, f, f->state, NULL, err);
  if (code) f->told = false;
  return code;
}

/* With the token in m->running. What is to be done here comes first: nobody else is needed for it. */
static enum dom_code go_on(struct mover *m, struct forget *f, enum forget_stage stage, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  if (f->state == FORGET_CHECKING) {
    code = change(m, f, FORGET_NONE, unfence_step, err);
    subject_gate_open(m->o.subjects, f->token);
    return code;
  }
  if (f->state == FORGET_ERASING) code = drop(m, f, err);
  if (code) return code;
  code = tell_registrar(m, f, err);
  enum dom_code asked = ask_peers(m, f, stage, code ? NULL : err);
  return code ? code : asked;
}

enum dom_code forget_resume(struct mover *m, const struct forget *f, struct dom_err *err) {
  if (!token_set_add(&m->running, f->token)) return DOM_OK;
  struct forget now = *f;
  enum dom_code code = go_on(m, &now, FORGET_STAGE_DROPPED, err);
  token_set_remove(&m->running, f->token);
  return code;
}

/* ---- one person ------------------------------------------------------------------------------- */

static void status_of(const struct forget *f, struct mover_forget_status *out) {
  *out = (struct mover_forget_status){
      .stage = f->state <= FORGET_CHECKING ? MOVER_FORGET_NOT_YET : (enum mover_forget_stage)f->state,
      .epoch = f->epoch,
      .epoch_allotted = f->allotted,
      .objects = f->objects,
      .bytes = f->bytes,
      .started_ms = f->started_ms,
      .dropped_ms = f->dropped_ms,
      .erased_ms = f->erased_ms,
      .purged_ms = f->purged_ms,
      .registrar_knows = f->told,
      .peer_count = f->peer_count};
  memcpy(out->country, f->country, 2);
  for (uint32_t i = 0; i < f->peer_count; i++) {
    out->peer[i].region = f->peer[i].region;
    out->peer[i].stage = f->peer[i].stage == FORGET_STAGE_READABLE
                             ? MOVER_FORGET_NOT_YET
                             : (enum mover_forget_stage)(f->peer[i].stage + FORGET_ERASING);
  }
}

/* What there is: a person who lives here (*f in state NONE), or an erasure that is under way or done. */
static enum dom_code find(struct mover *m, const uint8_t token[TOKEN_SIZE], struct forget *f,
                          struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_subject_get(v, token, &row, err);
  if (code) return code;
  if (row.state == SUBJECT_MOVED)
    return dom_fail(err, DOM_ELSEWHERE, where, "the subject's home is region %u: ask there", row.home);
  bool left_fenced = row.state == SUBJECT_FENCED && row.handoff_epoch == 0;
  if (row.state == SUBJECT_ERASED || left_fenced) return forget_get(v, token, row.epoch, f, err);
  if (row.state != SUBJECT_HOME)
    return dom_fail(err, DOM_BUSY, where,
                    "the subject is being moved: cancel the move or wait for it, then ask at the home");
  *f = (struct forget){.epoch = row.epoch, .allotted = row.epoch_allotted};
  memcpy(f->token, token, TOKEN_SIZE);
  memcpy(f->country, row.country, 2);
  return DOM_OK;
}

/* Fence, judge again on what nobody changes any more, order. */
static enum dom_code order(struct mover *m, struct forget *f, const struct mover_forget_check *check,
                           struct dom_err *err) {
  assert(f->state == FORGET_NONE);
  subject_gate_close(m->o.subjects, f->token, MOVE_GATE_DRAIN_MS); /* guards refuse who stays inside */
  enum dom_code code = change(m, f, FORGET_CHECKING, fence_step, err);
  if (!code) {
    code = judge(m, f, check, err);
    if (!code) code = change(m, f, FORGET_ERASING, order_step, err);
    if (code) {
      enum dom_code undone = change(m, f, FORGET_NONE, unfence_step, NULL);
      if (undone) code = undone;
    }
  }
  subject_gate_open(m->o.subjects, f->token);
  return code;
}

static enum dom_code forget(struct mover *m, const uint8_t token[TOKEN_SIZE],
                            const struct mover_forget_check *check, bool dry_run, struct forget *f,
                            struct dom_err *err) {
  enum dom_code code = find(m, token, f, err);
  /* This thread alone works on it: a crash left it so. */
  if (!code && f->state == FORGET_CHECKING && !dry_run) {
    code = go_on(m, f, FORGET_STAGE_PURGED, err);
    if (!code) code = find(m, token, f, err);
  }
  if (code || f->state > FORGET_CHECKING) return code;
  code = judge(m, f, check, err);
  return code || dry_run ? code : order(m, f, check, err);
}

enum dom_code mover_forget(struct mover *m, const uint8_t token[TOKEN_SIZE],
                           const struct mover_forget_check *check, bool dry_run,
                           struct mover_forget_status *out, struct dom_err *err) {
  struct forget f = {0};
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, where,
                    "this region is in quarantine: it may not be the subject's home any more");
  if (!token_set_add(&m->running, token))
    return dom_fail(err, DOM_BUSY, where, "the subject is being moved or erased just now: ask again");
  enum dom_code code = forget(m, token, check, dry_run, &f, err);
  bool ordered = !code && f.state >= FORGET_ERASING;
  /* Here it must get done; who else is away is told later, and *out says who that is. */
  if (ordered && f.state == FORGET_ERASING && !dry_run) code = drop(m, &f, err);
  if (ordered && !code && !dry_run) go_on(m, &f, FORGET_STAGE_PURGED, NULL);
  token_set_remove(&m->running, token);
  if (!code) status_of(&f, out);
  return code;
}

/* ---- stages ------------------------------------------------------------------------------------- */

struct gather {
  struct mover *m;
  enum forget_state state;
  struct forget *found;
  size_t count;
};

static bool gather_one(void *arg, const struct forget *f) {
  struct gather *g = arg;
  bool due = f->state == g->state;
  if (due && f->state == FORGET_DROPPED) due = vault_kek_gone(store_vault(g->m->o.store), f->kek);
  if (due) g->found[g->count++] = *f;
  return g->count < FORGET_BATCH;
}

enum dom_code forget_advance_all(struct mover *m, enum forget_state state, uint64_t *out_count,
                                 struct dom_err *err) {
  assert(state == FORGET_DROPPED || state == FORGET_ERASED);
  struct gather g = {.m = m, .state = state};
  AUTO_FREE void *memory = dom_calloc(FORGET_BATCH, sizeof *g.found);
  if (!memory) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  g.found = memory;
  for (enum dom_code code = DOM_OK;;) {
    {
      STORE_VIEW_AUTO *v = NULL;
      g.count = 0;
      code = store_view_open(m->o.store, &v, err);
      if (!code) code = forget_scan(v, NULL, gather_one, &g, err);
    }
    for (size_t i = 0; !code && i < g.count; i++) {
      bool dropped = state == FORGET_DROPPED;
      code = change(m, &g.found[i], dropped ? FORGET_ERASED : FORGET_PURGED,
                    dropped ? erased_step : purged_step, err);
      if (code == DOM_STALE_EPOCH) code = DOM_OK; /* another thread was first */
      if (!code) ++*out_count;
    }
    if (code || g.count == 0) return code;
  }
}

/* ---- asked by the home that erases ---------------------------------------------------------------- */

struct stage {
  struct mover *m;
  struct store_view *v;
  uint64_t up_to;
  enum forget_stage least;
};

static enum forget_stage stage_of(struct stage *s, const struct handoff *h) {
  if (h->side == HANDOFF_TARGET) {
    if (h->state == HANDOFF_ACTIVE) return FORGET_STAGE_PURGED; /* its leaving is a row of its own */
    bool gone = h->state == HANDOFF_DISCARDED && !erase_is_due(s->m, s->v, h);
    return gone ? FORGET_STAGE_DROPPED : FORGET_STAGE_READABLE;
  }
  if (h->state == HANDOFF_DROPPED) return FORGET_STAGE_DROPPED;
  if (h->state == HANDOFF_ERASED) return FORGET_STAGE_ERASED;
  return h->state == HANDOFF_PURGED || h->state == HANDOFF_ABORTED ? FORGET_STAGE_PURGED
                                                                   : FORGET_STAGE_READABLE;
}

static bool stage_one(void *arg, const struct handoff *h) {
  struct stage *s = arg;
  if (h->epoch > s->up_to) return true;
  enum forget_stage stage = stage_of(s, h);
  if (stage < s->least) s->least = stage;
  return true;
}

/* Body: token 32 | epoch u64 | proof (tomb.c), or none from older builds. Reply: stage u8. */
enum dom_code forget_asked(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err) {
  struct store_subject row;
  if (body.len != TOKEN_SIZE + 8 && body.len != TOKEN_SIZE + 8 + TOMB_PROOF_SIZE)
    return dom_fail(err, DOM_INVALID, where, "does not decode");
  const uint8_t *token = body.data;
  struct slice proof = slice_cut(body, TOKEN_SIZE + 8, body.len);
  struct stage s = {.m = m, .up_to = load_u64be(token + TOKEN_SIZE), .least = FORGET_STAGE_PURGED};
  {
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (code) return code;
    code = store_subject_get(v, token, &row, NULL);
    if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "the subject's row cannot be read");
    if (code == DOM_OK && store_subject_lives(&row) && row.epoch <= s.up_to)
      return dom_fail(err, DOM_STALE_EPOCH, where, "the subject lives here under that epoch");
  }
  if (tomb_good(m, from, token, s.up_to, proof)) {
    enum dom_code code = tomb_keep(m, from, token, s.up_to, proof, err);
    if (code) return code;
  }
  /* What fails now is gone on with by upkeep; the answer says what is so. */
  rest_here(m, token, s.up_to, from, NULL);
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  s.v = v;
  if (!code) code = handoff_scan(v, token, stage_one, &s, err);
  if (code) return code;
  put_u8(reply, (uint8_t)s.least);
  return buf_check(reply, err);
}
