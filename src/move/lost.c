/* Who came to a region after the backup that it was restored from: lost with its disk. Rows: META 'q' ‖
 * token ‖ who tells ‖ kind of copy (docs/formats/handoff.md). An operator accepts that; the last readable
 * copy, where there is one, is what they go on with. */
#include <assert.h>
#include <string.h>

#include "move/quarantine.h"

/* A region may have kept one copy and prepared another: both are told. */
enum { LOST_KEY_SIZE = 1 + TOKEN_SIZE + 2 + 1 };

static void lost_key(const struct mover_lost *lost, uint8_t out[LOST_KEY_SIZE]) {
  out[0] = 'q';
  memcpy(out + 1, lost->token, TOKEN_SIZE);
  out[1 + TOKEN_SIZE] = (uint8_t)(lost->from >> 8);
  out[2 + TOKEN_SIZE] = (uint8_t)lost->from;
  out[LOST_KEY_SIZE - 1] = lost->copy == MOVER_COPY_PREPARED;
}

static bool lost_decode(struct slice key, struct slice value, struct mover_lost *out) {
  struct reader k = reader_of(key), r = reader_of(value);
  struct mover_lost lost = {0};
  get_u8(&k);
  get_copy(&k, lost.token, TOKEN_SIZE);
  lost.from = get_u16be(&k);
  bool prepared = get_u8(&k) == 1;
  lost.epoch = get_u64be(&r);
  uint8_t copy = get_u8(&r);
  lost.copy = (enum mover_copy)copy;
  get_copy(&r, lost.country, 2);
  lost.epoch_from = get_u64be(&r);
  lost.charter_version = get_u64be(&r);
  get_copy(&r, lost.manifest, SHA256_SIZE);
  bool good = reader_end(&k) && reader_end(&r) && lost.epoch > lost.epoch_from &&
              copy <= MOVER_COPY_PREPARED && prepared == (copy == MOVER_COPY_PREPARED) &&
              (copy == MOVER_COPY_NONE || lost.from);
  if (good) *out = lost;
  return good;
}

enum dom_code lost_put(struct store_tx *tx, const struct mover_lost *lost, struct dom_err *err) {
  uint8_t key[LOST_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  assert(lost->epoch > lost->epoch_from && (lost->copy == MOVER_COPY_NONE || lost->from));
  lost_key(lost, key);
  put_u64be(&value, lost->epoch);
  put_u8(&value, (uint8_t)lost->copy);
  buf_append(&value, lost->country, 2);
  put_u64be(&value, lost->epoch_from);
  put_u64be(&value, lost->charter_version);
  buf_append(&value, lost->manifest, SHA256_SIZE);
  enum dom_code code = buf_check(&value, err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), buf_slice(&value), err);
}

enum dom_code lost_get(struct store_view *v, const struct mover_lost *like, struct mover_lost *out,
                       struct dom_err *err) {
  uint8_t key[LOST_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  lost_key(like, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &value, NULL);
  if (code == DOM_NOT_FOUND) return code;
  if (code || !lost_decode(slice_of(key, sizeof key), buf_slice(&value), out))
    return dom_fail(err, code ? code : DOM_CORRUPT, "move/quarantine", "a lost subject's row is bad");
  return DOM_OK;
}

/* All that is told of one subject. */
struct claims {
  struct mover_lost at[2 * (CHARTER_REGIONS_MAX + 1)];
  size_t count;
  bool bad;
};

static bool claims_one(void *arg, struct slice key, struct slice value) {
  struct claims *c = arg;
  if (key.len != LOST_KEY_SIZE) return true; /* an earlier build's, before it was told anew */
  c->bad = c->count == sizeof c->at / sizeof c->at[0] || !lost_decode(key, value, &c->at[c->count]);
  if (!c->bad) c->count++;
  return !c->bad;
}

static enum dom_code claims_of(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct claims *out,
                               struct dom_err *err) {
  uint8_t stem[1 + TOKEN_SIZE] = {'q'};
  memcpy(stem + 1, token, TOKEN_SIZE);
  *out = (struct claims){.count = 0};
  enum dom_code code =
      store_row_scan(v, STORE_TABLE_META, slice_of(stem, sizeof stem), SLICE_LIT(""), claims_one, out, err);
  if (!code && out->bad) code = dom_fail(err, DOM_CORRUPT, "move/quarantine", "a lost subject's row is bad");
  return code;
}

enum dom_code lost_drop(struct store_view *v, struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
                        uint64_t epoch, bool *out_dropped, struct dom_err *err) {
  AUTO_FREE struct claims *c = dom_calloc(1, sizeof *c);
  uint8_t key[LOST_KEY_SIZE];
  *out_dropped = false;
  if (!c) return dom_fail(err, DOM_NO_MEMORY, "move/quarantine", "no memory");
  enum dom_code code = claims_of(v, token, c, err);
  for (size_t i = 0; !code && i < c->count; i++) {
    if (c->at[i].epoch > epoch) continue;
    lost_key(&c->at[i], key);
    code = store_tx_row_delete(tx, STORE_TABLE_META, slice_of(key, sizeof key), err);
    *out_dropped = true;
  }
  return code;
}

struct lost_scan {
  mover_lost_fn fn;
  void *arg;
  uint64_t count; /* of subjects */
  uint8_t last[TOKEN_SIZE];
  bool bad;
};

static bool lost_one(void *arg, struct slice key, struct slice value) {
  struct lost_scan *s = arg;
  struct mover_lost lost;
  if (key.len != LOST_KEY_SIZE) return true; /* an earlier build's, before it was told anew */
  s->bad = !lost_decode(key, value, &lost);
  if (s->bad) return false;
  if (s->count == 0 || memcmp(lost.token, s->last, TOKEN_SIZE) != 0) s->count++;
  memcpy(s->last, lost.token, TOKEN_SIZE);
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
  bool found;
};

static bool take_first(void *arg, const struct mover_lost *lost) {
  struct first_lost *f = arg;
  *f = (struct first_lost){*lost, true};
  return false;
}

enum dom_code lost_count(struct mover *m, uint64_t *out, struct dom_err *err) {
  struct lost_scan s = {.fn = NULL};
  enum dom_code code = lost_each(m, &s, err);
  if (!code) *out = s.count;
  return code;
}

/* ---- accepted by an operator: without a copy ---------------------------------------------------- */

static enum dom_code lost_entry(struct mover *m, struct store_tx *tx, const struct mover_lost *lost,
                                uint64_t epoch, const char *why, struct dom_err *err) {
  struct ledger_payload payload = {.type = LEDGER_REPAIR,
                                   .from_region = lost->from,
                                   .to_region = m->o.region,
                                   .from_epoch = lost->epoch,
                                   .to_epoch = epoch,
                                   .text_len = (uint16_t)strlen(why)};
  assert(payload.text_len <= sizeof payload.text);
  memcpy(payload.text, why, payload.text_len);
  memcpy(payload.token, lost->token, TOKEN_SIZE);
  return subject_tx_entry(m->o.subjects, tx, &payload, epoch, NULL, 0, err);
}

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
  enum dom_code code = store_subject_get(v, lost->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  memcpy(row.token, lost->token, TOKEN_SIZE);
  memcpy(row.country, lost->country, 2);
  row.state = SUBJECT_HOME;
  assert(row.epoch_allotted < a->epoch);
  row.epoch = row.epoch_allotted = a->epoch;
  row.home = m->o.region;
  row.since_ms = clock_wall_ms(m->o.clock);
  code = store_tx_subject_put(tx, &row, err);
  if (!code) code = lost_drop(v, tx, lost->token, UINT64_MAX, &dropped, err);
  return code ? code : lost_entry(m, tx, lost, a->epoch, "lost with the disk: goes on here, empty", err);
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
static enum dom_code accept_empty(struct mover *m, const struct mover_lost *lost, struct dom_err *err) {
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

/* ---- … with one ----------------------------------------------------------------------------------- */

/* What the backup has of an earlier stay is over: nobody is served by it, and it is erased as after a move.
 */
static enum dom_code end_stay(struct mover *m, struct store_view *v, struct store_tx *tx,
                              const struct mover_lost *lost, struct dom_err *err) {
  struct store_subject row;
  enum dom_code code = store_subject_get(v, lost->token, &row, NULL);
  if (code == DOM_NOT_FOUND || (code == DOM_OK && !store_subject_lives(&row))) return DOM_OK;
  if (code) return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
  assert(row.epoch < lost->epoch_from);
  struct handoff h = {.epoch = lost->epoch_from,
                      .side = HANDOFF_SOURCE,
                      .state = HANDOFF_ERASING,
                      .peer = lost->from,
                      .epoch_from = row.epoch,
                      .charter_version = mover_charter_version(m),
                      .started_ms = clock_wall_ms(m->o.clock)};
  memcpy(h.token, lost->token, TOKEN_SIZE);
  memcpy(h.country, row.country, 2);
  row.state = SUBJECT_MOVED;
  row.epoch = lost->epoch_from;
  row.home = lost->from;
  row.handoff_epoch = 0;
  row.handoff_to = 0;
  row.since_ms = h.started_ms;
  if (row.epoch_allotted < lost->epoch) row.epoch_allotted = lost->epoch;
  code = handoff_put(tx, &h, err);
  return code ? code : store_tx_subject_put(tx, &row, err);
}

/* The handoff by which the subject came is open here once more: its source, where it is committed, finds it
 * so with its next move/commit, and sends all of it again. */
static enum dom_code reopen_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  const struct mover_lost *lost = arg;
  struct handoff h;
  struct store_subject row;
  bool dropped = false;
  enum dom_code code = store_subject_get(v, lost->token, &row, NULL);
  if (code == DOM_OK && store_subject_lives(&row) && row.epoch >= lost->epoch_from)
    return lost_drop(v, tx, lost->token, UINT64_MAX, &dropped, err); /* nobody else can have had it since */
  code = handoff_get(v, lost->token, lost->epoch, HANDOFF_TARGET, &h, err);
  if (code && code != DOM_NOT_FOUND) return code;
  if (code == DOM_OK && (h.state != HANDOFF_STAGING || h.peer != lost->from))
    return lost_drop(v, tx, lost->token, UINT64_MAX, &dropped, err); /* it cannot have handed that over */
  if (code == DOM_NOT_FOUND) { /* else the backup was made while it came the first time */
    h = (struct handoff){.epoch = lost->epoch,
                         .side = HANDOFF_TARGET,
                         .state = HANDOFF_STAGING,
                         .peer = lost->from,
                         .epoch_from = lost->epoch_from,
                         .charter_version = mover_charter_version(m),
                         .started_ms = clock_wall_ms(m->o.clock)};
    memcpy(h.token, lost->token, TOKEN_SIZE);
    memcpy(h.country, lost->country, 2);
  }
  code = handoff_put(tx, &h, err);
  if (!code) code = end_stay(m, v, tx, lost, err);
  if (!code) code = lost_drop(v, tx, lost->token, UINT64_MAX, &dropped, err);
  assert(code || dropped);
  return code ? code
              : lost_entry(m, tx, lost, lost->epoch, "lost with the disk: comes again from its former home",
                           err);
}

static enum dom_code drop_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  const struct mover_lost *lost = arg;
  bool dropped = false;
  (void)m;
  return lost_drop(v, tx, lost->token, UINT64_MAX, &dropped, err);
}

/* By this region's word the subject left for where all of it is prepared, if the charter lets it live there.
 */
static enum dom_code hand_on(struct mover *m, const struct mover_lost *lost, bool on_record,
                             struct dom_err *err) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct subject_record here = {.home = m->o.region, .epoch = lost->epoch_from};
  enum dom_code code =
      mover_permit(m, lost->token, lost->country, m->o.region, lost->from, &storage, &permit, err);
  memcpy(here.token, lost->token, TOKEN_SIZE);
  memcpy(here.country, lost->country, 2);
  if (!code && !on_record)
    code = subject_record_take(m->o.subjects, &here, err); /* the registrar's own loss */
  if (!code) code = learn_given(m, lost, err);
  return code ? code : quarantine_change(m, drop_step, (void *)lost, err);
}

/* ---- what is told, held against the registrar's record --------------------------------------------- */

enum verdict { NOT_LOST, GOES_ON_EMPTY, GOES_ON_BY_COPY, CONTRADICTED };

struct hearing {
  struct claims claims; /* of regions of the charter in force */
  bool prepared_here;   /* all of it, under the epoch on record: it asks its source, and serves */
  struct subject_record record;
  struct store_subject row; /* this region's own */
  bool on_record;           /* else this is the registrar, and lost its records as well */
};

/* The one that says so of this copy; more than one contradict each other. So does who says of a kept copy's
 * epoch that the subject came from elsewhere. */
static enum verdict pick(const struct hearing *h, enum mover_copy copy, uint64_t lived,
                         struct mover_lost *out) {
  size_t found = 0;
  bool any = false;
  for (size_t i = 0; i < h->claims.count; i++) {
    const struct mover_lost *c = &h->claims.at[i];
    bool prepared = c->copy == MOVER_COPY_PREPARED;
    if (prepared != (copy == MOVER_COPY_PREPARED) || c->from == 0) continue;
    if ((prepared ? c->epoch_from : c->epoch) != lived) continue;
    found++;
    if (c->copy == copy) {
      *out = *c;
      any = true;
    }
  }
  return !any ? GOES_ON_EMPTY : found == 1 ? GOES_ON_BY_COPY : CONTRADICTED;
}

/* A home on record that has committed, and of whose commit the registrar has not heard. */
static bool pick_there(const struct hearing *h, struct mover_lost *out) {
  for (size_t i = 0; i < h->claims.count; i++) {
    const struct mover_lost *c = &h->claims.at[i];
    bool there = c->copy == MOVER_COPY_KEPT && c->from == h->record.home && c->epoch_from == h->record.epoch;
    if (!there) continue;
    *out = *c;
    return true;
  }
  return false;
}

static uint64_t highest_claim(const struct hearing *h, enum mover_copy copy) {
  uint64_t highest = 0;
  for (size_t i = 0; i < h->claims.count; i++) {
    const struct mover_lost *c = &h->claims.at[i];
    uint64_t lived = copy == MOVER_COPY_PREPARED ? c->epoch_from : c->epoch;
    if (c->copy == copy && lived > highest) highest = lived;
  }
  return highest;
}

/* A kept copy comes before a prepared one: that somebody was about to leave, nobody but the lost disk could
 * have shown; and what a liar says it prepared must not end what a former home still has. */
static enum verdict judge(const struct mover *m, const struct hearing *h, const uint8_t token[TOKEN_SIZE],
                          struct mover_lost *out) {
  uint64_t record = h->record.epoch;
  bool here = h->record.home == m->o.region || !h->on_record;
  *out = (struct mover_lost){.epoch = record};
  memcpy(out->token, token, TOKEN_SIZE);
  if (here && h->prepared_here) return NOT_LOST;
  if (here && store_subject_lives(&h->row) && h->row.epoch >= record) return NOT_LOST;
  if (!here) return pick_there(h, out) ? GOES_ON_BY_COPY : NOT_LOST;
  uint64_t kept = h->on_record ? record : highest_claim(h, MOVER_COPY_KEPT);
  uint64_t prepared = h->on_record ? record : highest_claim(h, MOVER_COPY_PREPARED);
  enum verdict verdict = kept ? pick(h, MOVER_COPY_KEPT, kept, out) : GOES_ON_EMPTY;
  if (verdict == GOES_ON_EMPTY && prepared) verdict = pick(h, MOVER_COPY_PREPARED, prepared, out);
  return verdict == GOES_ON_EMPTY && !h->on_record ? NOT_LOST : verdict; /* nobody ever knew of them */
}

/* Where nobody has a copy, the epochs that others saw are used up; but a liar does not use up all there are.
 */
static uint64_t epoch_lost(const struct hearing *h) {
  uint64_t lost = h->record.epoch;
  for (size_t i = 0; i < h->claims.count; i++) {
    uint64_t epoch = h->claims.at[i].epoch;
    if (epoch > lost && (!h->on_record || epoch - h->record.epoch <= LOST_EPOCHS_MAX)) lost = epoch;
  }
  return lost;
}

/* Whoever lied, or is gone, and left the charter says nothing any more. */
static void keep_charter(struct mover *m, struct claims *c) {
  struct charter *charter = subject_charter(m->o.subjects);
  size_t kept = 0;
  for (size_t i = 0; i < c->count; i++)
    if (c->at[i].from == 0 || (charter && charter_region_by_number(charter, c->at[i].from)))
      c->at[kept++] = c->at[i];
  c->count = kept;
  charter_release(charter);
}

static enum dom_code hear_handoff(struct mover *m, const uint8_t token[TOKEN_SIZE], struct hearing *h,
                                  struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct handoff handoff;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_get(v, token, h->record.epoch, HANDOFF_TARGET, &handoff, err);
  h->prepared_here = code == DOM_OK && handoff.state == HANDOFF_PREPARED;
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

/* The registrar may not have heard of a departure from here that this region knows of. */
static enum dom_code hear(struct mover *m, const uint8_t token[TOKEN_SIZE], struct hearing *h,
                          struct dom_err *err) {
  BUF_AUTO statement = BUF_INIT;
  enum dom_code code;
  {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = claims_of(v, token, &h->claims, err);
    if (code) return code;
    code = store_subject_get(v, token, &h->row, NULL);
    if (code == DOM_NOT_FOUND) h->row = (struct store_subject){.state = SUBJECT_MOVED};
    if (code && code != DOM_NOT_FOUND)
      return dom_fail(err, code, "move/quarantine", "a subject's row cannot be read");
    if (subject_statement_kept(v, token, &statement, NULL)) buf_reset(&statement);
  }
  bool tells = statement.len && !subject_is_registrar(m->o.subjects); /* its own records it has learned */
  if (tells) code = subject_report_moved(m->o.subjects, buf_slice(&statement), err);
  if (tells && (code == DOM_UNAVAILABLE || code == DOM_TIMEOUT)) return code;
  code = subject_record_find(m->o.subjects, token, &h->record, err);
  if (code) return code;
  h->on_record = h->record.epoch > 0 || !subject_is_registrar(m->o.subjects);
  keep_charter(m, &h->claims);
  return h->record.epoch ? hear_handoff(m, token, h, err) : DOM_OK;
}

static enum dom_code accept_one(struct mover *m, const uint8_t token[TOKEN_SIZE], struct dom_err *err) {
  AUTO_FREE struct hearing *h = dom_calloc(1, sizeof *h);
  struct mover_lost lost;
  if (!h) return dom_fail(err, DOM_NO_MEMORY, "move/quarantine: leave", "no memory");
  enum dom_code code = hear(m, token, h, err);
  if (code) return code;
  enum verdict verdict = judge(m, h, token, &lost);
  if (h->record.epoch) memcpy(lost.country, h->record.country, 2); /* nobody else decides that */
  switch (verdict) {
  case NOT_LOST:
    return quarantine_change(m, drop_step, &lost, err);
  case GOES_ON_BY_COPY:
    return lost.copy == MOVER_COPY_KEPT ? quarantine_change(m, reopen_step, &lost, err)
                                        : hand_on(m, &lost, h->on_record, err);
  case CONTRADICTED:
    return dom_fail(
        err, DOM_BUSY, "move/quarantine: leave",
        "region %u and another one both say that they have the copy of one subject: quarantine show; "
        "a region that lies has to leave the charter",
        lost.from);
  case GOES_ON_EMPTY:
    break;
  }
  lost.epoch = epoch_lost(h);
  return accept_empty(m, &lost, err);
}

enum dom_code lost_accept_all(struct mover *m, struct dom_err *err) {
  for (;;) {
    struct first_lost first = {.found = false};
    struct lost_scan s = {.fn = take_first, .arg = &first};
    enum dom_code code = lost_each(m, &s, err);
    if (!code && !first.found) return DOM_OK;
    if (!code) code = accept_one(m, first.lost.token, err);
    if (code) return code;
  }
}
