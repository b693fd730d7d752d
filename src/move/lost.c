/* Who came to a region after the backup that it was restored from: lost with its disk. Rows: META 'q' ‖
 * token. */
#include <assert.h>
#include <string.h>

#include "move/quarantine.h"

enum { LOST_KEY_SIZE = 1 + TOKEN_SIZE };

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

enum dom_code lost_put(struct store_tx *tx, const struct mover_lost *lost, struct dom_err *err) {
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

enum dom_code lost_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct mover_lost *out,
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

enum dom_code lost_drop(struct store_view *v, struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
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

enum dom_code lost_count(struct mover *m, uint64_t *out, struct dom_err *err) {
  struct lost_scan s = {.fn = NULL};
  enum dom_code code = lost_each(m, &s, err);
  if (!code) *out = s.count;
  return code;
}

enum dom_code lost_kept(struct mover *m, struct mover_lost *out, struct dom_err *err) {
  struct first_lost first = {.kept_only = true};
  struct lost_scan s = {.fn = take_first, .arg = &first};
  enum dom_code code = lost_each(m, &s, err);
  if (code) return code;
  if (!first.found) return DOM_NOT_FOUND;
  *out = first.lost;
  return DOM_OK;
}

/* ---- accepted by an operator ------------------------------------------------------------------ */

struct acceptance {
  const struct mover_lost *lost;
  uint64_t epoch; /* that it goes on under: nobody had it, not even a handoff that came to nothing */
};

static enum dom_code accept_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  const struct acceptance *a = arg;
  const struct mover_lost *lost = a->lost;
  struct store_subject row = {.epoch = 0};
  bool dropped = false;
  static const char why[] = "lost with the disk: goes on here, empty";
  struct ledger_payload payload = {.type = LEDGER_REPAIR,
                                   .from_region = lost->from,
                                   .to_region = m->o.region,
                                   .from_epoch = lost->epoch,
                                   .to_epoch = a->epoch,
                                   .text_len = sizeof why - 1};
  enum dom_code code = store_subject_get(v, lost->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  memcpy(payload.text, why, sizeof why - 1);
  memcpy(payload.token, lost->token, TOKEN_SIZE);
  memcpy(row.token, lost->token, TOKEN_SIZE);
  memcpy(row.country, lost->country, 2);
  row.state = SUBJECT_HOME;
  assert(row.epoch_allotted < a->epoch);
  row.epoch = row.epoch_allotted = a->epoch;
  row.home = m->o.region;
  row.since_ms = clock_wall_ms(m->o.clock);
  code = store_tx_subject_put(tx, &row, err);
  if (!code) code = lost_drop(v, tx, lost->token, lost->epoch, &dropped, err);
  return code ? code : subject_tx_entry(m->o.subjects, tx, &payload, row.epoch, NULL, 0, err);
}

static enum dom_code accept_epoch(struct mover *m, struct acceptance *a, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row = {.epoch = 0};
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_subject_get(v, a->lost->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  a->epoch = (row.epoch_allotted > a->lost->epoch ? row.epoch_allotted : a->lost->epoch) + 1;
  return DOM_OK;
}

/* An acceptance that was cut short had told the registrar and made its key: that epoch is what is lost now,
 * and no row knows of its key. A handoff's own key goes with the handoff. */
static enum dom_code drop_unknown_key(struct mover *m, const struct mover_lost *lost, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct handoff h;
  struct vault_key key = {.epoch = lost->epoch};
  memcpy(key.token, lost->token, TOKEN_SIZE);
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_get(v, lost->token, lost->epoch, HANDOFF_TARGET, &h, err);
  return code == DOM_NOT_FOUND ? vault_key_drop(store_vault(m->o.store), &key, 1, NULL, err) : code;
}

/* The registrar first: what it does not take does not happen, and an epoch is never given out twice. */
static enum dom_code accept_one(struct mover *m, struct mover_lost *lost, struct dom_err *err) {
  struct acceptance a = {.lost = lost};
  struct vault_key key;
  enum dom_code code = accept_epoch(m, &a, err);
  if (!code) code = drop_unknown_key(m, lost, err);
  if (!code) code = subject_record_raise(m->o.subjects, lost->token, a.epoch, err);
  if (code) return code;
  key.epoch = a.epoch;
  memcpy(key.token, lost->token, TOKEN_SIZE);
  code = vault_key_create(store_vault(m->o.store), &key, NULL);
  if (code && code != DOM_EXISTS) return dom_fail(err, code, "move/quarantine: leave", "no key can be made");
  return quarantine_change(m, accept_step, &a, err);
}

enum dom_code lost_accept_all(struct mover *m, struct dom_err *err) {
  for (;;) {
    struct first_lost first = {.kept_only = false};
    struct lost_scan s = {.fn = take_first, .arg = &first};
    enum dom_code code = lost_each(m, &s, err);
    if (!code && !first.found) return DOM_OK;
    if (!code) code = accept_one(m, &first.lost, err);
    if (code) return code;
  }
}
