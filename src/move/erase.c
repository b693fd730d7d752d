/* Erasure after a move, in stages that are reported apart: KEY_DROPPED, ERASED, NAMES_PURGED. */
#include <assert.h>

#include "move/forget.h"
#include "move/move_internal.h"

static enum dom_code repair_permit(struct mover *m, const struct handoff *h,
                                   struct charter_permit_storage *storage, const struct permit **out,
                                   struct dom_err *err) {
  struct subject_who who = {.home = m->o.region};
  memcpy(who.token, h->token, TOKEN_SIZE);
  memcpy(who.country, h->country, 2);
  struct subject_intent intent = {.action = PERMIT_REPAIR, .who = &who, .place_region = m->o.region};
  struct charter_refusal refusal = {0};
  enum dom_code code = subject_permit(m->o.subjects, &intent, storage, out, &refusal);
  if (code) return dom_fail(err, code, "move/erase: permit", "%s: %s", refusal.clause, refusal.why);
  return DOM_OK;
}

/* The key of (token, epoch) goes first: from then on nothing of it can be read. */
enum dom_code erase_epoch(struct mover *m, const struct handoff *h, uint64_t epoch, struct dom_err *err) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  enum dom_code code = repair_permit(m, h, &storage, &permit, err);
  struct vault_key key = {.epoch = epoch};
  memcpy(key.token, h->token, TOKEN_SIZE);
  if (!code) code = vault_key_drop(store_vault(m->o.store), &key, 1, NULL, err);
  mover_fault(m, "+slot-overwritten");
  if (!code) code = store_epoch_erase(m->o.store, permit, h->token, epoch, err);
  mover_fault(m, "+rows-removed");
  return code;
}

static enum dom_code dropped_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                  struct handoff *h, struct dom_err *err) {
  (void)v;
  assert(h->side == HANDOFF_SOURCE && h->state == HANDOFF_DROPPED);
  h->kek = *(const uint64_t *)arg;
  return mover_entry(m, tx, LEDGER_KEY_DROPPED, h, SLICE_LIT(""), err);
}

enum dom_code erase_source(struct mover *m, struct handoff *h, struct dom_err *err) {
  assert(h->side == HANDOFF_SOURCE && h->state == HANDOFF_ERASING);
  enum dom_code code = erase_epoch(m, h, h->epoch_from, err);
  /* Noted after the shred, or a rotation in between would have wrapped the slot by a later one: once *this*
   * KEK is gone, so is each that wrapped it up to then. */
  uint64_t kek = vault_kek_current(store_vault(m->o.store));
  return code ? code : mover_advance(m, h, EVENT_DROPPED, dropped_step, &kek, err);
}

static enum dom_code discard_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                  struct handoff *h, struct dom_err *err) {
  (void)arg, (void)v;
  assert(h->side == HANDOFF_TARGET && h->state == HANDOFF_DISCARDED);
  return mover_entry(m, tx, LEDGER_MOVE_ABORTED, h, SLICE_LIT(""), err);
}

bool erase_is_due(struct mover *m, struct store_view *v, const struct handoff *h) {
  assert(h->side == HANDOFF_TARGET && h->state == HANDOFF_DISCARDED);
  struct vault_key key = {.epoch = h->epoch};
  bool present = false;
  memcpy(key.token, h->token, TOKEN_SIZE);
  if (vault_key_exists(store_vault(m->o.store), &key, NULL) == DOM_OK) return true;
  return store_epoch_present(v, h->token, h->epoch, &present, NULL) == DOM_OK && present;
}

enum dom_code erase_discarded(struct mover *m, const struct handoff *h, struct dom_err *err) {
  assert(h->side == HANDOFF_TARGET && h->state == HANDOFF_DISCARDED);
  return erase_epoch(m, h, h->epoch, err);
}

enum dom_code erase_discard(struct mover *m, struct handoff *h, struct dom_err *err) {
  assert(h->side == HANDOFF_TARGET && h->state != HANDOFF_ACTIVE);
  transfer_drop(m, h);
  /* The row says DISCARDED first, so that no late item is staged under a key that is being shredded. */
  enum dom_code code = mover_advance(m, h, EVENT_ABORT, discard_step, NULL, err);
  if (!code) code = erase_epoch(m, h, h->epoch, err);
  token_set_remove(&m->heard, h->token);
  return code;
}

/* ---- KEK rotation and names purge ------------------------------------------------------- */

enum { ERASE_BATCH = 256 }; /* handoffs advanced per scan */

struct gather {
  struct mover *m;
  enum handoff_state state;
  struct handoff found[ERASE_BATCH];
  size_t count;
};

static bool gather_one(void *arg, const struct handoff *h) {
  struct gather *g = arg;
  bool due = h->side == HANDOFF_SOURCE && h->state == g->state;
  if (due && h->state == HANDOFF_DROPPED) due = vault_kek_gone(store_vault(g->m->o.store), h->kek);
  assert(g->count < ERASE_BATCH);
  if (due) g->found[g->count++] = *h;
  return g->count < ERASE_BATCH;
}

static enum dom_code stage_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                struct handoff *h, struct dom_err *err) {
  (void)v;
  return mover_entry(m, tx, *(const enum ledger_type *)arg, h, SLICE_LIT(""), err);
}

/* The next batch, behind the last one's end. */
static enum dom_code gather(struct gather *g, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct handoff last = g->found[ERASE_BATCH - 1];
  bool begun = g->count > 0;
  assert(!begun || g->count == ERASE_BATCH);
  g->count = 0;
  enum dom_code code = store_view_open(g->m->o.store, &v, err);
  if (code) return code;
  return begun ? handoff_scan_after(v, &last, gather_one, g, err) : handoff_scan(v, NULL, gather_one, g, err);
}

/* Takes every source handoff in `state` one stage on, in one pass: with the rotation's lock held nobody else
 * comes into `state` who is due. */
static enum dom_code advance_all(struct mover *m, enum handoff_state state, enum handoff_event event,
                                 enum ledger_type type, uint64_t *out_count, struct dom_err *err) {
  AUTO_FREE void *memory = dom_calloc(1, sizeof(struct gather));
  struct gather *g = memory;
  if (!g) return dom_fail(err, DOM_NO_MEMORY, "move/erase: stage", "no memory");
  *g = (struct gather){.m = m, .state = state};
  do {
    enum dom_code code = gather(g, err);
    for (size_t i = 0; !code && i < g->count; i++) {
      code = mover_advance(m, &g->found[i], event, stage_step, &type, err);
      if (!code) ++*out_count;
    }
    if (code) return code;
  } while (g->count == ERASE_BATCH);
  return DOM_OK;
}

static enum dom_code kek_note(struct mover *m, enum ledger_type type, uint64_t kek, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    struct ledger_payload payload = {.type = type};
    store_u64be(payload.digest, kek);
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
    if (!code) code = subject_tx_entry(m->o.subjects, tx, &payload, 0, NULL, 0, err);
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
  }
  return code;
}

struct progress {
  struct mover *m;
  store_progress_fn fn;
  void *arg;
};

static bool show_progress(void *arg, const struct vault_rotation *at) {
  struct progress *p = arg;
  if (p->fn) p->fn(p->arg, "re-wrapping keys", at->slots_done, at->slots_total);
  return !atomic_load(&p->m->stopping) && !quarantine_holds(p->m);
}

/* With rotate_lock held, as what follows. */
static enum dom_code rotate(struct mover *m, store_progress_fn progress, void *arg, struct dom_err *err) {
  struct vault *vault = store_vault(m->o.store);
  /* A newer backup that may yet be brought here opens by the KEKs there are, and by the vault's last backup.
   */
  if (quarantine_holds(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move/erase: rotate",
                    "this region is in quarantine: no key is destroyed before it knows what it missed");
  uint64_t old = vault_kek_current(vault);
  struct progress p = {m, progress, arg};
  enum dom_code code = vault_rotate(vault, show_progress, &p, err);
  if (code) return code;
  code = kek_note(m, LEDGER_KEY_ROTATED, vault_kek_current(vault), err);
  if (!code && vault_kek_gone(vault, old)) code = kek_note(m, LEDGER_KEK_DESTROYED, old, err);
  return code;
}

static enum dom_code note_erased(struct mover *m, uint64_t *out_erased, struct dom_err *err) {
  enum dom_code code = advance_all(m, HANDOFF_DROPPED, EVENT_KEK_GONE, LEDGER_ERASED, out_erased, err);
  return code ? code : forget_advance_all(m, FORGET_DROPPED, out_erased, err);
}

enum dom_code mover_rotate_kek(struct mover *m, store_progress_fn progress, void *arg, uint64_t *out_erased,
                               struct dom_err *err) {
  uint64_t erased = 0;
  pthread_mutex_lock(&m->rotate_lock);
  enum dom_code code = rotate(m, progress, arg, err);
  if (!code) code = note_erased(m, &erased, err);
  pthread_mutex_unlock(&m->rotate_lock);
  if (!code && out_erased) *out_erased = erased;
  return code;
}

enum dom_code mover_purge_names(struct mover *m, struct dom_err *err) {
  uint64_t purged = 0, erased = 0;
  pthread_mutex_lock(&m->rotate_lock);
  enum dom_code code = rotate(m, NULL, NULL, err);
  if (!code) code = note_erased(m, &erased, err);
  if (!code) code = store_names_purge(m->o.store, err);
  /* The old index key was wrapped by a KEK that must go too before the stage may be claimed. */
  if (!code) code = rotate(m, NULL, NULL, err);
  if (!code) code = advance_all(m, HANDOFF_ERASED, EVENT_PURGED, LEDGER_NAMES_PURGED, &purged, err);
  if (!code) code = forget_advance_all(m, FORGET_ERASED, &purged, err);
  /* Only now: what was dropped while the index was rewritten may have left its names there. */
  if (!code) code = note_erased(m, &erased, err);
  pthread_mutex_unlock(&m->rotate_lock);
  return code;
}

bool move_row_finished(enum store_table table, struct slice key, struct slice value) {
  struct handoff h;
  struct forget f;
  assert(table == STORE_TABLE_HANDOFF || table == STORE_TABLE_FORGET);
  if (table == STORE_TABLE_FORGET)
    return forget_decode(key, value, &f, NULL) == DOM_OK && f.state == FORGET_PURGED;
  if (handoff_decode(key, value, &h, NULL) != DOM_OK) return false;
  return h.state == HANDOFF_PURGED || h.state == HANDOFF_ABORTED || h.state == HANDOFF_ACTIVE ||
         h.state == HANDOFF_DISCARDED;
}
