/* The room itself: open, close, messages, and the one way a handoff's state changes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "move/move_internal.h"

/* ---- sets of tokens ------------------------------------------------------------------- */

void token_set_init(struct token_set *s) {
  memset(s->bucket, 0, sizeof s->bucket);
  pthread_mutex_init(&s->lock, NULL);
}

void token_set_done(struct token_set *s) {
  for (int i = 0; i < MOVE_SETS; i++)
    while (s->bucket[i]) {
      struct token_node *n = s->bucket[i];
      s->bucket[i] = n->next;
      dom_free(n);
    }
  pthread_mutex_destroy(&s->lock);
}

static struct token_node **node_link(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  struct token_node **link = &s->bucket[token[0]];
  while (*link && memcmp((*link)->token, token, TOKEN_SIZE) != 0) link = &(*link)->next;
  return link;
}

static struct token_node *node_make(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  struct token_node *n = dom_calloc(1, sizeof *n);
  if (!n) return NULL;
  memcpy(n->token, token, TOKEN_SIZE);
  n->next = s->bucket[token[0]];
  s->bucket[token[0]] = n;
  return n;
}

bool token_set_add(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  pthread_mutex_lock(&s->lock);
  bool added = !*node_link(s, token) && node_make(s, token);
  pthread_mutex_unlock(&s->lock);
  return added;
}

void token_set_remove(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  pthread_mutex_lock(&s->lock);
  struct token_node **link = node_link(s, token), *n = *link;
  if (n) {
    *link = n->next;
    dom_free(n);
  }
  pthread_mutex_unlock(&s->lock);
}

bool token_set_has(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  pthread_mutex_lock(&s->lock);
  bool has = *node_link(s, token) != NULL;
  pthread_mutex_unlock(&s->lock);
  return has;
}

void token_set_touch(struct token_set *s, const uint8_t token[TOKEN_SIZE], uint64_t now_ms) {
  pthread_mutex_lock(&s->lock);
  struct token_node *n = *node_link(s, token);
  if (!n) n = node_make(s, token);
  if (n) n->stamp_ms = now_ms;
  pthread_mutex_unlock(&s->lock);
}

uint64_t token_set_stamp(struct token_set *s, const uint8_t token[TOKEN_SIZE]) {
  pthread_mutex_lock(&s->lock);
  const struct token_node *n = *node_link(s, token);
  uint64_t stamp = n ? n->stamp_ms : 0;
  pthread_mutex_unlock(&s->lock);
  return stamp;
}

/* ---- state changes ---------------------------------------------------------------------- */

void mover_fault(struct mover *m, const char *step) {
  if (m->o.fault_point) m->o.fault_point(m->o.fault_arg, step);
}

uint64_t mover_charter_version(struct mover *m) {
  struct charter *c = subject_charter(m->o.subjects);
  uint64_t version = c ? charter_version(c) : 0;
  charter_release(c);
  return version;
}

enum dom_code mover_permit(struct mover *m, const uint8_t token[TOKEN_SIZE], const char country[2],
                           uint16_t home, uint16_t target, struct charter_permit_storage *storage,
                           const struct permit **out, struct dom_err *err) {
  struct subject_who who = {.home = home};
  memcpy(who.token, token, TOKEN_SIZE);
  memcpy(who.country, country, 2);
  struct subject_intent intent = {.action = PERMIT_MOVE, .who = &who, .place_region = target};
  struct charter_refusal refusal = {0};
  enum dom_code code = subject_permit(m->o.subjects, &intent, storage, out, &refusal);
  if (code)
    return dom_fail(err, DOM_REFUSED, "move: permit", "charter %llu, %s: %s",
                    (unsigned long long)refusal.version, refusal.clause, refusal.why);
  return DOM_OK;
}

/* What the caller knows of the handoff may be old: another thread can have taken it on meanwhile. */
static enum dom_code still_in(struct store_view *v, const struct handoff *h, enum handoff_state state,
                              struct dom_err *err) {
  struct handoff now;
  bool begins = state == HANDOFF_NONE;
  if (begins && h->side == HANDOFF_SOURCE) return DOM_OK; /* it allots its epoch in the step itself */
  enum dom_code code = handoff_get(v, h->token, h->epoch, h->side, &now, err);
  if (begins && code == DOM_NOT_FOUND) return DOM_OK;
  if (code) return code;
  if (now.state == state) return DOM_OK;
  return dom_fail(err, DOM_STALE_EPOCH, "move: step", "the handoff is %s by now",
                  handoff_state_name(now.state));
}

/* One try of mover_advance: DOM_RETRY when a guard changed. */
static enum dom_code advance_once(struct mover *m, struct handoff *h, enum handoff_state from,
                                  mover_step_fn fn, void *arg, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code) code = still_in(v, h, from, err);
  if (!code && fn) code = fn(arg, m, v, tx, h, err);
  if (!code) code = handoff_put(tx, h, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  uint64_t lsn = 0;
  code = store_tx_commit_take(taken, &lsn, err);
  if (!code) h->commit_lsn = lsn;
  return code;
}

enum dom_code mover_advance(struct mover *m, struct handoff *h, enum handoff_event event, mover_step_fn fn,
                            void *arg, struct dom_err *err) {
  enum handoff_state next;
  enum handoff_action action;
  if (!handoff_step(h->side, h->state, event, &next, &action))
    return dom_fail(err, DOM_STALE_EPOCH, "move: step", "not legal in state %s",
                    handoff_state_name(h->state));
  if (action == ACTION_NOTHING) return DOM_OK;
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move: step", "this region is in quarantine");
  struct handoff changed;
  enum dom_code code = DOM_RETRY;
  char before[32], after[32];
  snprintf(before, sizeof before, "-%s", handoff_state_name(next));
  snprintf(after, sizeof after, "+%s", handoff_state_name(next));
  mover_fault(m, before);
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    changed = *h;
    changed.state = next;
    code = advance_once(m, &changed, h->state, fn, arg, err);
  }
  if (code) return code;
  open_set_handoff(&m->open, &changed, handoff_is_open(&changed));
  mover_fault(m, after);
  assert(changed.state == next && changed.commit_lsn > 0);
  *h = changed;
  return DOM_OK;
}

/* ---- ledger entries ------------------------------------------------------------------------ */

bool mover_entry_index(struct mover *m, uint64_t lsn, uint32_t wait_ms, uint64_t *out_index) {
  if (!m->o.ledger || lsn == 0) return false;
  for (uint32_t waited = 0; waited <= wait_ms; waited++) {
    if (ledger_index(m->o.ledger, lsn, out_index, NULL) == DOM_OK) return true;
    if (ledger_failed(m->o.ledger) || m->o.inline_threads) return false;
    clock_sleep_ms(m->o.clock, 1);
  }
  return false;
}

void mover_peer_ref(struct mover *m, uint64_t lsn, uint32_t wait_ms, struct buf *out) {
  uint64_t index = 0;
  uint8_t id[LEDGER_LOG_ID_SIZE];
  if (!mover_entry_index(m, lsn, wait_ms, &index)) return;
  ledger_own_log_id(m->o.ledger, id);
  buf_append(out, id, sizeof id);
  put_u64be(out, index);
}

enum dom_code mover_entry(struct mover *m, struct store_tx *tx, enum ledger_type type,
                          const struct handoff *h, struct slice peer, struct dom_err *err) {
  bool source = h->side == HANDOFF_SOURCE;
  assert(h->epoch > h->epoch_from && h->peer != m->o.region);
  struct ledger_payload payload = {.type = type,
                                   .from_region = source ? m->o.region : h->peer,
                                   .to_region = source ? h->peer : m->o.region,
                                   .from_epoch = h->epoch_from,
                                   .to_epoch = h->epoch,
                                   .objects = h->objects,
                                   .bytes = h->bytes};
  memcpy(payload.token, h->token, TOKEN_SIZE);
  memcpy(payload.digest, h->manifest, SHA256_SIZE);
  const uint8_t *log_id = NULL;
  uint64_t index = 0;
  if (peer.len == LEDGER_LOG_ID_SIZE + 8) {
    log_id = peer.data;
    index = load_u64be(peer.data + LEDGER_LOG_ID_SIZE);
  }
  return subject_tx_entry(m->o.subjects, tx, &payload, h->epoch, log_id, index, err);
}

/* ---- open, close, messages ------------------------------------------------------------------ */

enum dom_code mover_open(const struct mover_options *o, struct mover **out, struct dom_err *err) {
  assert(o->store && o->subjects && o->clock && o->region);
  struct mover *m = dom_calloc(1, sizeof *m);
  if (!m) return dom_fail(err, DOM_NO_MEMORY, "move: open", "no memory");
  m->o = *o;
  if (m->o.parallel == 0) m->o.parallel = MOVE_PARALLEL_DEFAULT;
  token_set_init(&m->running);
  token_set_init(&m->heard);
  token_set_init(&m->resent);
  open_set_init(&m->open);
  pthread_mutex_init(&m->rotate_lock, NULL);
  pthread_mutex_init(&m->lists_lock, NULL);
  pthread_mutex_init(&m->quarantine.lock, NULL);
  m->transfers = transfers_new();
  m->verify_bytes = MOVE_VERIFY_BYTES;
  enum dom_code code = m->transfers ? quarantine_open(m, err) : DOM_NO_MEMORY;
  if (!code) code = open_set_load(m, err); /* before threads: what they change must not be taken back */
  if (!code) code = job_runner_open(m, err);
  if (code) {
    mover_close(m);
    return dom_fail(err, code, "move: open", "cannot open");
  }
  *out = m;
  return DOM_OK;
}

void mover_stop(struct mover *m) {
  if (m) atomic_store(&m->stopping, true);
}

void mover_close(struct mover *m) {
  if (!m) return;
  mover_stop(m);
  job_runner_close(m);
  transfers_free(m->transfers);
  token_set_done(&m->running);
  token_set_done(&m->heard);
  token_set_done(&m->resent);
  open_set_done(&m->open);
  pthread_mutex_destroy(&m->rotate_lock);
  pthread_mutex_destroy(&m->lists_lock);
  quarantine_close(m);
  pthread_mutex_destroy(&m->quarantine.lock);
  dom_free(m);
}

bool mover_takes(const char *path) {
  assert(path);
  return strncmp(path, "move/", 5) == 0 || strcmp(path, MOVE_BODY_PATH) == 0 ||
         strcmp(path, MOVE_ITEMS_PATH) == 0;
}

enum dom_code mover_message(struct mover *m, uint16_t from, const char *path, struct slice body,
                            struct buf *reply, struct dom_err *err) {
  assert(from != 0 && from != m->o.region);
  if (strcmp(path, "move/mark") == 0) return mark_message(m, from, body, reply, err);
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move: message", "this region is in quarantine");
  if (strcmp(path, "move/history") == 0) return history_message(m, from, body, reply, err);
  if (strcmp(path, "move/forget") == 0) return forget_asked(m, from, body, reply, err);
  if (strcmp(path, "move/ask") == 0) return source_asked(m, from, body, reply, err);
  if (strcmp(path, "move/probe") == 0) return probe_message(m, from, body, err);
  return target_message(m, from, path, body, reply, err);
}

enum dom_code mover_take_statement(struct mover *m, struct slice statement, struct dom_err *err) {
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move: statement", "this region is in quarantine");
  return target_commit(m, statement, SLICE_LIT(""), err);
}

enum dom_code mover_move_subject(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to,
                                 struct dom_err *err) {
  struct source_result result;
  return source_move(m, token, to, NULL, &result, err);
}

/* ---- upkeep ---------------------------------------------------------------------------------- */

enum {
  UPKEEP_AWAY_MAX = CHARTER_REGIONS_MAX, /* a charter has no more regions */
};

struct upkeep {
  struct mover *m;
  bool did;
  uint16_t away[UPKEEP_AWAY_MAX]; /* peers that did not answer in this round */
  size_t away_count;
};

bool was_resent(struct mover *m, const uint8_t token[TOKEN_SIZE]) {
  uint64_t sent = token_set_stamp(&m->resent, token);
  return sent && clock_mono_ns(m->o.clock) / 1000000 < sent + MOVE_ASK_AFTER_MS;
}

static bool needs_upkeep(struct mover *m, struct store_view *v, const struct handoff *h) {
  if (h->side == HANDOFF_SOURCE) return !token_set_has(&m->running, h->token) && !was_resent(m, h->token);
  if (h->state == HANDOFF_DISCARDED) return erase_is_due(m, v, h);
  uint64_t heard = token_set_stamp(&m->heard, h->token);
  return clock_mono_ns(m->o.clock) / 1000000 >= heard + MOVE_ASK_AFTER_MS;
}

static bool is_away(const struct upkeep *u, uint16_t peer) {
  size_t i = 0;
  while (i < u->away_count && u->away[i] != peer) i++;
  return i < u->away_count;
}

static enum dom_code take_on(struct mover *m, const struct handoff *h, struct dom_err *err) {
  if (h->side == HANDOFF_SOURCE) return source_resume(m, h, err);
  return h->state == HANDOFF_DISCARDED ? erase_discarded(m, h, err) : target_ask(m, h, err);
}

/* A peer that does not answer is asked once a round: it must not hold up what waits for others. */
static enum dom_code upkeep_handoff(struct upkeep *u, const uint8_t key[OPEN_KEY_SIZE], struct dom_err *err) {
  struct mover *m = u->m;
  struct handoff h;
  bool due = false;
  {
    STORE_VIEW_AUTO *v = NULL; /* closed before what follows, which may wait for other regions */
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (!code)
      code = handoff_get(v, key, load_u64be(key + TOKEN_SIZE), (enum handoff_side)key[OPEN_KEY_SIZE - 1], &h,
                         err);
    if (code) return code;
    due = handoff_is_open(&h) && needs_upkeep(m, v, &h);
  }
  bool over = !handoff_is_open(&h) || (h.state == HANDOFF_DISCARDED && !due);
  if (over) open_set_handoff(&m->open, &h, false);
  if (!due || is_away(u, h.peer)) return DOM_OK;
  enum dom_code code = take_on(m, &h, err);
  bool away = code == DOM_UNAVAILABLE || code == DOM_TIMEOUT;
  if (away && u->away_count < UPKEEP_AWAY_MAX) u->away[u->away_count++] = h.peer;
  u->did = u->did || code == DOM_OK;
  return code;
}

static enum dom_code upkeep_forget(struct upkeep *u, const uint8_t key[OPEN_KEY_SIZE], struct dom_err *err) {
  struct mover *m = u->m;
  struct forget f;
  uint64_t now_ms = clock_mono_ns(m->o.clock) / 1000000;
  if (token_set_has(&m->running, key)) return DOM_OK;
  {
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (!code) code = forget_get(v, key, load_u64be(key + TOKEN_SIZE), &f, err);
    if (code && code != DOM_NOT_FOUND) return code;
    if (code == DOM_NOT_FOUND || !forget_is_open(&f)) {
      if (code)
        open_set_note(&m->open, key, false, &(struct erasure_wait){0});
      else
        open_set_forget(&m->open, &f);
      return DOM_OK;
    }
  }
  /* What waits for other regions waits a little longer than what can be done here. */
  bool here = f.state == FORGET_CHECKING || f.state == FORGET_ERASING;
  uint64_t asked = token_set_stamp(&m->heard, f.token);
  if (!here && asked && now_ms < asked + MOVE_ASK_AFTER_MS) return DOM_OK;
  token_set_touch(&m->heard, f.token, now_ms);
  enum dom_code code = forget_resume(m, &f, err);
  if (!code) token_set_remove(&m->heard, f.token);
  u->did = u->did || code == DOM_OK;
  return code;
}

enum dom_code mover_upkeep(struct mover *m, bool *out_did, struct dom_err *err) {
  struct upkeep u = {.m = m};
  uint8_t(*keys)[OPEN_KEY_SIZE] = NULL;
  size_t count = 0;
  enum dom_code code = m->o.inline_threads ? mover_watch(m, err) : DOM_OK;
  if (quarantine_holds(m)) {
    *out_did = false;
    return code;
  }
  if (!code) code = repaired_tell(m, err);
  if (!code) code = open_set_take(m, &keys, &count, err);
  for (size_t i = 0; i < count && !atomic_load(&m->stopping); i++) {
    struct dom_err why = {0};
    m->open.looked++;
    enum dom_code one =
        keys[i][OPEN_KEY_SIZE - 1] ? upkeep_handoff(&u, keys[i], &why) : upkeep_forget(&u, keys[i], &why);
    if (one && !code) {
      code = one;
      if (err) *err = why;
    }
  }
  dom_free(keys);
  if (m->o.inline_threads && job_step_inline(m)) u.did = true;
  *out_did = u.did;
  return code;
}

uint64_t mover_upkeep_rows(const struct mover *m) {
  return m->open.looked;
}
