/* The target's side: stage, verify, prepare, activate. Every message is idempotent by (token, epoch, step).
 */
#include <assert.h>
#include <string.h>

#include "move/move_internal.h"

/* What begins every message: token and epoch; the rest stays in *body. */
static bool take_head(struct slice *body, uint8_t token[TOKEN_SIZE], uint64_t *epoch) {
  struct reader r = reader_of(*body);
  get_copy(&r, token, TOKEN_SIZE);
  *epoch = get_u64be(&r);
  if (r.bad) return false;
  *body = slice_of(r.at, r.left);
  return true;
}

/* ---- begin ---------------------------------------------------------------------------- */

struct older {
  struct mover *m;
  uint64_t epoch, highest;
  struct handoff open;
  bool has_open;
};

static bool see_older(void *arg, const struct handoff *h) {
  struct older *o = arg;
  if (h->side != HANDOFF_TARGET) return true;
  if (h->epoch > o->highest) o->highest = h->epoch;
  bool open = h->state == HANDOFF_STAGING || h->state == HANDOFF_PREPARED;
  if (open && h->epoch < o->epoch) {
    o->open = *h;
    o->has_open = true;
  }
  return true;
}

/* A newer epoch aborts all older; one not above every epoch seen is refused. */
static enum dom_code settle_older(struct mover *m, const struct handoff *h, bool on_record,
                                  struct dom_err *err) {
  assert(h->side == HANDOFF_TARGET && h->state == HANDOFF_NONE);
  for (;;) {
    struct older o = {.m = m, .epoch = h->epoch};
    struct store_subject row = {0};
    enum dom_code code;
    {
      STORE_VIEW_AUTO *v = NULL;
      code = store_view_open(m->o.store, &v, err);
      if (!code) code = handoff_scan(v, h->token, see_older, &o, err);
      if (!code && store_subject_get(v, h->token, &row, NULL) == DOM_OK && store_subject_lives(&row))
        return dom_fail(err, DOM_STALE_EPOCH, "move/target: begin", "the subject is at home here");
    }
    if (code) return code;
    if (h->epoch <= o.highest || h->epoch <= row.epoch || h->epoch <= row.epoch_allotted)
      return dom_fail(err, DOM_STALE_EPOCH, "move/target: begin", "the epoch is not above all seen");
    if (!o.has_open) return DOM_OK;
    if (o.open.peer != h->peer && (o.open.state == HANDOFF_PREPARED || !on_record))
      return dom_fail(err, DOM_BUSY, "move/target: begin", "a copy from another region is %s here",
                      handoff_state_name(o.open.state));
    code = erase_discard(m, &o.open, err);
    if (code) return code;
  }
}

/* After the row of its epoch: a key without one would stay for ever, for nobody asks about that epoch. */
static enum dom_code make_key(struct mover *m, const struct handoff *h, struct dom_err *err) {
  struct vault_key key = {.epoch = h->epoch};
  memcpy(key.token, h->token, TOKEN_SIZE);
  enum dom_code code = vault_key_create(store_vault(m->o.store), &key, NULL);
  return code && code != DOM_EXISTS ? dom_fail(err, code, "move/target: begin", "no data key") : DOM_OK;
}

/* Whom a region hands over must be its own by the registrar's word, or it could make this region serve beside
 * the home. Where the registrar is away its word is missing, and the commit waits for it as ever. */
static enum dom_code check_home(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t from,
                                bool *out_on_record, struct dom_err *err) {
  struct subject_record record;
  enum dom_code code = subject_record_find(m->o.subjects, token, &record, NULL);
  *out_on_record = code == DOM_OK;
  if (code == DOM_UNAVAILABLE || code == DOM_TIMEOUT) return DOM_OK;
  if (code) return dom_fail(err, code, "move/target: begin", "the registrar's record cannot be read");
  if (record.home == from) return DOM_OK;
  return dom_fail(
      err, DOM_DENIED, "move/target: begin",
      "the registrar does not know the source as the subject's home: if it came there just now, try "
      "again");
}

static enum dom_code begin(struct mover *m, uint16_t from, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                           struct slice body, struct dom_err *err) {
  struct reader r = reader_of(body);
  struct handoff h = {.epoch = epoch, .side = HANDOFF_TARGET, .peer = from};
  memcpy(h.token, token, TOKEN_SIZE);
  h.epoch_from = get_u64be(&r);
  get_copy(&r, h.country, 2);
  get_u64be(&r); /* the source's charter version: ours decides; they are compared in PREPARED */
  uint32_t protocol = r.bad || r.left == 0 ? 1 : get_u32be(&r); /* the first version did not say so */
  if (!r.bad && protocol != MOVE_PROTOCOL)
    return dom_fail(
        err, DOM_INCOMPATIBLE, "move/target: begin",
        "the source speaks version %u of the handoff, this region version %u: run the same build in both",
        protocol, (unsigned)MOVE_PROTOCOL);
  if (!reader_end(&r) || h.epoch_from >= epoch || epoch >= SUBJECT_EPOCH_MAX)
    return dom_fail(err, DOM_INVALID, "move/target: begin", "does not decode");
  struct charter_permit_storage storage;
  const struct permit *permit;
  enum dom_code code = mover_permit(m, token, h.country, from, m->o.region, &storage, &permit, err);
  if (code) return code;
  struct handoff have;
  {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = handoff_get(v, token, epoch, HANDOFF_TARGET, &have, err);
  }
  if (code == DOM_OK) { /* the message came twice, or the source begins an old epoch anew */
    bool same = have.peer == from && have.state == HANDOFF_STAGING;
    return same ? make_key(m, &h, err)
                : dom_fail(err, DOM_STALE_EPOCH, "move/target: begin", "the epoch is over");
  }
  if (code != DOM_NOT_FOUND) return code;
  bool on_record = false;
  code = check_home(m, token, from, &on_record, err);
  if (!code) code = settle_older(m, &h, on_record, err);
  if (code) return code;
  h.started_ms = clock_wall_ms(m->o.clock);
  h.charter_version = mover_charter_version(m);
  code = mover_advance(m, &h, EVENT_BEGIN, NULL, NULL, err);
  return code ? code : make_key(m, &h, err);
}

/* ---- items ------------------------------------------------------------------------------ */

/* The handoff this message belongs to, in a state that takes `event`. */
static enum dom_code find(struct mover *m, uint16_t from, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                          enum handoff_event event, struct handoff *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_get(v, token, epoch, HANDOFF_TARGET, out, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, DOM_STALE_EPOCH, "move/target", "no such handoff here");
  if (code) return code;
  enum handoff_state next;
  enum handoff_action action;
  if (out->peer != from || !handoff_step(HANDOFF_TARGET, out->state, event, &next, &action))
    return dom_fail(err, DOM_STALE_EPOCH, "move/target", "the handoff is %s here",
                    handoff_state_name(out->state));
  token_set_touch(&m->heard, token, clock_mono_ns(m->o.clock) / 1000000);
  return DOM_OK;
}

struct staging {
  struct mover *m;
  const struct handoff *h;
  const struct permit *permit;
  struct memo *memo;           /* may be NULL */
  struct store_body_ref *refs; /* of the item at hand: STORE_PART_MAX */
};

static struct store_place place_of(const struct handoff *h, const struct store_item *item) {
  struct store_place place = {.epoch = h->epoch, .prefix = item->prefix};
  memcpy(place.bucket, item->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(place.token, h->token, TOKEN_SIZE);
  return place;
}

/* Whether exactly this version is staged already, as it is now: the message came twice. */
static bool is_staged(struct staging *s, const struct store_item *item) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *found = NULL;
  struct store_place place = place_of(s->h, item);
  if (item->kind != STORE_ITEM_OBJECT || store_view_open(s->m->o.store, &v, NULL)) return false;
  struct store_version which = store_item_version(item);
  if (store_version_get(v, PERMIT_MOVE, s->permit, &place, item->key, &which, &found, NULL)) return false;
  const struct store_object *o = store_found_object(found);
  bool same = o->order.epoch == item->order.epoch && o->order.lsn == item->order.lsn &&
              memcmp(o->sha256, item->object.sha256, SHA256_SIZE) == 0 &&
              slice_equal(o->meta, item->object.meta); /* all that changes of a version */
  store_found_free(found);
  return same;
}

static void discard_bodies(struct staging *s, const struct store_body_ref *refs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) store_body_discard(s->m->o.store, &refs[i]);
}

/* Takes the body that the source names `ref`, if it is the one announced. */
static enum dom_code take_body(struct staging *s, struct store_body_ref *ref, struct dom_err *err) {
  struct store_body_ref got;
  enum dom_code code = transfer_take(s->m, s->h, ref->id, &got);
  if (code) return dom_fail(err, code, "move/target: items", "a body was not received: send it anew");
  if (got.size == ref->size && memcmp(got.sha256, ref->sha256, SHA256_SIZE) == 0) {
    *ref = got;
    return DOM_OK;
  }
  /* The source checked what it read, this region what it wrote: it was changed on the way. */
  store_body_discard(s->m->o.store, &got);
  return dom_fail(err, DOM_UNAVAILABLE, "move/target: items",
                  "a body came changed: its hash is not the one announced; send it anew");
}

/* Swaps the source's body ids for the bodies received here: all, or none is kept. */
static enum dom_code take_bodies(struct staging *s, struct store_body_ref *refs, uint32_t count,
                                 struct dom_err *err) {
  assert(count <= STORE_PART_MAX);
  for (uint32_t i = 0; i < count; i++) {
    enum dom_code code = take_body(s, &refs[i], err);
    if (code) {
      discard_bodies(s, refs, i);
      return code;
    }
  }
  return DOM_OK;
}

/* The source sends bodies before it sends what names them, known here already or not. */
static void drop_repeated(struct staging *s, const struct store_body_ref *refs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct store_body_ref got;
    if (transfer_take(s->m, s->h, refs[i].id, &got) == DOM_OK) store_body_discard(s->m->o.store, &got);
  }
}

/* A body that came with its item is what was announced, before anything is stored. */
static enum dom_code check_inline(const struct store_item *item, struct dom_err *err) {
  uint8_t sum[SHA256_SIZE];
  if (!item_has_inline(item)) return DOM_OK;
  sha256(item->object.inline_body.data, item->object.inline_body.len, sum);
  if (memcmp(sum, item->object.sha256, SHA256_SIZE) == 0) return DOM_OK;
  return dom_fail(err, DOM_UNAVAILABLE, "move/target: items",
                  "a body came changed: its hash is not the one announced; send it anew");
}

/* … and here, of what was stored. */
static enum dom_code read_inline(struct store_found *found, struct slice want, struct dom_err *err) {
  AUTO_FREE uint8_t *bytes = dom_alloc(want.len + 1);
  size_t got = 0;
  if (!bytes) return dom_fail(err, DOM_NO_MEMORY, "move/target: read back", "no memory");
  enum dom_code code = store_found_read(found, 0, bytes, want.len + 1, &got, err);
  if (!code && !slice_equal(slice_of(bytes, got), want))
    code = dom_fail(err, DOM_CORRUPT, "move/target: read back", "what was stored is not what was sent");
  wipe(bytes, want.len + 1);
  return code;
}

/* Bodies in files were read back before anything could name them: here it is whether these are named. */
static enum dom_code read_bodies(struct store_found *found, const struct store_item *item,
                                 struct dom_err *err) {
  const struct store_object *want = &item->object, *o = store_found_object(found);
  const struct store_body_ref *refs = item->kind == STORE_ITEM_PART ? &item->part.body : want->bodies;
  uint32_t count = item->kind == STORE_ITEM_PART ? 1 : want->body_count;
  if (count == 0) return read_inline(found, want->inline_body, err);
  bool same = o->body_count == count;
  for (uint32_t i = 0; same && i < count; i++)
    same = o->bodies[i].size == refs[i].size &&
           memcmp(o->bodies[i].id, refs[i].id, STORE_BODY_ID_SIZE) == 0 &&
           memcmp(o->bodies[i].sha256, refs[i].sha256, SHA256_SIZE) == 0;
  if (same) return DOM_OK;
  return dom_fail(err, DOM_CORRUPT, "move/target: read back", "other bodies are named than were sent");
}

/* What the store says of an object that was read back is what the manifest will ask for. */
static enum dom_code note(struct staging *s, struct store_view *v, const struct store_item *item,
                          const struct store_object *o, struct dom_err *err) {
  struct memo_line line;
  struct store_item stored = {.kind = STORE_ITEM_OBJECT, .prefix = item->prefix, .key = item->key};
  memcpy(stored.bucket, item->bucket, STORE_BUCKET_ID_SIZE);
  stored.order = o->order;
  stored.object = *o;
  enum dom_code code = store_item_stamp(v, s->h->token, s->h->epoch, &stored, stored.stamp, err);
  if (code || !s->memo || !hashes_known(&stored)) return code;
  manifest_line(&stored, &line);
  memo_put(s->memo, &line);
  return DOM_OK;
}

/* Reads what was stored back through the ordinary path and compares its hash. */
static enum dom_code read_back(struct staging *s, struct store_view *v, const struct store_item *item,
                               struct dom_err *err) {
  if (item->absent || item->kind == STORE_ITEM_UPLOAD) return DOM_OK;
  struct store_version which = store_item_version(item);
  struct store_found *found = NULL;
  struct store_place place = place_of(s->h, item);
  bool object = item->kind == STORE_ITEM_OBJECT;
  enum dom_code code =
      object ? store_version_get(v, PERMIT_MOVE, s->permit, &place, item->key, &which, &found, err)
             : store_item_open(v, PERMIT_MOVE, s->permit, s->h->token, s->h->epoch, item, &found, err);
  if (!code && !item->object.is_marker) code = read_bodies(found, item, err);
  if (!code && object) code = note(s, v, item, store_found_object(found), err);
  store_found_free(found);
  return code;
}

static enum dom_code read_back_one(struct staging *s, const struct store_item *item, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(s->m->o.store, &v, err);
  return code ? code : read_back(s, v, item, err);
}

static enum dom_code stage_one(struct staging *s, const struct store_item *item, struct dom_err *err) {
  for (int i = 0; i < MOVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    enum dom_code code = store_view_open(s->m->o.store, &v, err);
    if (!code) code = store_tx_begin(s->m->o.store, v, &tx, err);
    if (!code) code = store_tx_stage(tx, s->permit, s->h->token, s->h->epoch, item, err);
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
    if (code != DOM_RETRY) return code;
  }
  return dom_fail(err, DOM_RETRY, "move/target: items", "too many concurrent changes");
}

/* An item whose body came before it, or that must find what came before it committed. */
static enum dom_code stage_alone(struct staging *s, struct store_item *item, struct dom_err *err) {
  struct store_body_ref *bodies = s->refs;
  uint32_t count = 0;
  assert(!item_has_inline(item)); /* those were compared with their hash, and go together */
  if (!item->absent && item->kind == STORE_ITEM_OBJECT) count = item->object.body_count;
  if (!item->absent && item->kind == STORE_ITEM_PART) {
    bodies = &item->part.body;
    count = 1;
  }
  if (count && is_staged(s, item)) {
    drop_repeated(s, bodies, count);
    return DOM_OK;
  }
  enum dom_code code = take_bodies(s, bodies, count, err);
  if (code) return code;
  code = stage_one(s, item, err);
  if (code) discard_bodies(s, bodies, count); /* no commit names them */
  return code ? code : read_back_one(s, item, err);
}

/* ---- items staged together ---------------------------------------------------------------- */

/* Where in a message: its items, and the bodies that go with them. */
struct place {
  struct reader items, bodies;
};

/* Objects that carry their content, one after the other in a message: one commit, then read back. */
struct together {
  struct place from, to;                /* where they begin and end */
  uint64_t names[2 * MOVE_STAGE_ITEMS]; /* what the commit changes, hashed: nothing twice */
  uint32_t name_count, count, count_max;
};

static bool goes_alone(const struct store_item *item) {
  return item->kind != STORE_ITEM_OBJECT || (!item->absent && item->object.body_count > 0);
}

static uint64_t name_hash(const struct store_item *item, const uint8_t *order, size_t order_len) {
  uint8_t sum[SHA256_SIZE];
  sha256_slices((const struct slice[]){slice_of(item->bucket, STORE_BUCKET_ID_SIZE), item->key,
                                       slice_of(order, order_len)},
                3, sum);
  return load_u64be(sum);
}

/* Whether the item's row, or one of its order, is not among those yet; it is then. */
static bool name_add(struct together *t, const struct store_item *item) {
  uint8_t order[17] = {1};
  uint64_t mine[2];
  uint32_t n = 0;
  store_u64be(order + 1, item->order.epoch);
  store_u64be(order + 9, item->order.lsn);
  mine[n++] = name_hash(item, order, sizeof order);
  if (!item->object.is_version) mine[n++] = name_hash(item, NULL, 0);
  for (uint32_t i = 0; i < t->name_count; i++)
    if (t->names[i] == mine[0] || t->names[i] == mine[n - 1]) return false;
  for (uint32_t i = 0; i < n; i++) t->names[t->name_count++] = mine[i];
  return true;
}

/* The next item, if it is sound. */
static enum dom_code item_next(struct staging *s, struct place *at, struct store_item *out,
                               struct dom_err *err) {
  bool good = item_get(&at->items, out, s->refs, STORE_PART_MAX);
  if (good && item_has_inline(out))
    out->object.inline_body = get_slice(&at->bodies, (size_t)out->object.size);
  if (!good || at->bodies.bad) return dom_fail(err, DOM_INVALID, "move/target: items", "does not decode");
  if (!hashes_known(out))
    return dom_fail(err, DOM_INVALID, "move/target: items", "an item lacks the hash of its body");
  return DOM_OK;
}

/* Stages from t->from on as many items as go together; t->to is where it ended. */
static enum dom_code fill_tx(struct staging *s, struct together *t, struct store_tx *tx,
                             struct dom_err *err) {
  t->to = t->from;
  t->count = t->name_count = 0;
  while (t->to.items.left > 0 && t->count < t->count_max) {
    struct place at = t->to;
    struct store_item item;
    enum dom_code code = item_next(s, &at, &item, err);
    if (code) return code;
    if (goes_alone(&item) || !name_add(t, &item)) return DOM_OK;
    code = check_inline(&item, err);
    if (!code) code = store_tx_stage(tx, s->permit, s->h->token, s->h->epoch, &item, err);
    if (code) return code;
    t->to = at;
    t->count++;
  }
  return DOM_OK;
}

static enum dom_code commit_together(struct staging *s, struct together *t, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  enum dom_code code = store_view_open(s->m->o.store, &v, err);
  if (!code) code = store_tx_begin(s->m->o.store, v, &tx, err);
  if (!code) code = fill_tx(s, t, tx, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

static enum dom_code read_back_together(struct staging *s, const struct together *t, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct place at = t->from;
  enum dom_code code = store_view_open(s->m->o.store, &v, err);
  for (uint32_t i = 0; !code && i < t->count; i++) {
    struct store_item item;
    code = item_next(s, &at, &item, err);
    if (!code) code = read_back(s, v, &item, err);
  }
  return code;
}

/* What goes together from *at on, which moves past it; nothing when the first item goes alone. */
static enum dom_code stage_together(struct staging *s, struct together *t, struct place *at,
                                    struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  t->from = *at;
  t->count_max = MOVE_STAGE_ITEMS;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    code = commit_together(s, t, err);
    if (code != DOM_TOO_LARGE || t->count < 2) continue;
    t->count_max = t->count / 2; /* the log's segments are small here */
    code = DOM_RETRY;
  }
  if (!code) code = read_back_together(s, t, err);
  if (!code) *at = t->to;
  return code;
}

static enum dom_code stage_all(struct staging *s, struct slice items, struct slice bodies,
                               struct dom_err *err) {
  AUTO_FREE void *memory = dom_calloc(1, sizeof(struct together));
  if (!memory) return dom_fail(err, DOM_NO_MEMORY, "move/target: items", "no memory");
  struct together *t = memory;
  struct place at = {reader_of(items), reader_of(bodies)};
  while (at.items.left > 0) {
    enum dom_code code = stage_together(s, t, &at, err);
    if (!code && t->count == 0) {
      struct store_item item;
      code = item_next(s, &at, &item, err);
      if (!code) code = stage_alone(s, &item, err);
    }
    if (code) return code;
  }
  if (at.bodies.left == 0) return DOM_OK;
  return dom_fail(err, DOM_INVALID, "move/target: items", "more bodies than items");
}

static enum dom_code items(struct mover *m, const struct handoff *h, const struct permit *permit,
                           struct slice sealed, struct slice bodies, struct dom_err *err) {
  struct staging s = {.m = m, .h = h, .permit = permit};
  AUTO_FREE void *refs = dom_calloc(STORE_PART_MAX, sizeof(struct store_body_ref));
  if (!refs) return dom_fail(err, DOM_NO_MEMORY, "move/target: items", "no memory");
  s.refs = refs;
  s.memo = transfer_memo_hold(m, h);
  enum dom_code code = stage_all(&s, sealed, bodies, err);
  transfer_memo_release(m, s.memo);
  return code;
}

/* ---- prepare, commit, abort -------------------------------------------------------------- */

/* Takes away all that is staged. A region that came back from a backup may have part of an older copy than is
 * sent again, and the source does not name what is not there any more. */
static enum dom_code unstage(struct mover *m, const struct handoff *h, const struct permit *permit,
                             struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct staging s = {.m = m, .h = h, .permit = permit};
  struct store_walk *w = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_walk_open(v, PERMIT_MOVE, permit, h->token, h->epoch, SLICE_LIT(""), &w, err);
  while (!code) {
    const struct store_item *item;
    code = store_walk_next(w, &item, err);
    if (code) break;
    struct store_item gone = *item;
    gone.absent = true;
    code = stage_one(&s, &gone, err);
  }
  store_walk_close(w);
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

static enum dom_code prepared_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                   struct handoff *h, struct dom_err *err) {
  (void)v;
  assert(h->state == HANDOFF_PREPARED && h->charter_version > 0);
  return mover_entry(m, tx, LEDGER_MOVE_PREPARED, h, *(const struct slice *)arg, err);
}

/* Body: manifest 32 | charter version u64 | peer reference (40 bytes) or nothing. Reply: epoch u64 |
 * manifest 32 | charter version u64 | peer reference. */
static enum dom_code prepare(struct mover *m, struct handoff *h, const struct permit *permit,
                             struct slice body, struct buf *reply, struct dom_err *err) {
  struct reader r = reader_of(body);
  struct slice want = get_slice(&r, SHA256_SIZE);
  uint64_t version = get_u64be(&r);
  struct slice peer = slice_of(r.at, r.left);
  if (r.bad) return dom_fail(err, DOM_INVALID, "move/target: prepare", "does not decode");
  if (version != mover_charter_version(m))
    return dom_fail(err, DOM_STALE_EPOCH, "move/target: prepare", "another charter version is in force here");
  if (h->state == HANDOFF_STAGING) {
    uint8_t manifest[SHA256_SIZE];
    struct memo *memo = transfer_memo_hold(m, h);
    enum dom_code code =
        manifest_compute(&(struct manifest_of){m, PERMIT_MOVE, permit, h->token, h->epoch, memo}, manifest,
                         &h->objects, &h->bytes, err);
    transfer_memo_release(m, memo);
    if (code) return code;
    if (memcmp(manifest, want.data, SHA256_SIZE) != 0) {
      code = unstage(m, h, permit, err); /* whoever sends it again finds nothing of old */
      return code ? code
                  : dom_fail(err, DOM_CORRUPT, "move/target: prepare",
                             "the manifests of the two regions differ");
    }
    memcpy(h->manifest, manifest, SHA256_SIZE);
    h->charter_version = version;
    code = mover_advance(m, h, EVENT_PREPARE, prepared_step, &peer, err);
    if (code) return code;
  }
  if (memcmp(h->manifest, want.data, SHA256_SIZE) != 0 || h->charter_version != version)
    return dom_fail(err, DOM_STALE_EPOCH, "move/target: prepare",
                    "prepared under another manifest or charter");
  assert(h->state == HANDOFF_PREPARED);
  put_u64be(reply, h->epoch);
  buf_append(reply, h->manifest, SHA256_SIZE);
  put_u64be(reply, h->charter_version);
  mover_peer_ref(m, h->commit_lsn, MOVE_LEDGER_FENCED_MS, reply);
  return buf_check(reply, err);
}

struct commit {
  struct subject_statement st;
  struct slice statement, peer;
};

static enum dom_code commit_step(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                 struct handoff *h, struct dom_err *err) {
  const struct commit *c = arg;
  assert(h->state == HANDOFF_ACTIVE && c->st.epoch == h->epoch && c->st.from == h->peer);
  enum dom_code code = subject_arrive(m->o.subjects, v, tx, &c->st, err);
  if (!code) code = subject_arrival_put(tx, h->token, c->statement, err);
  return code ? code : mover_entry(m, tx, LEDGER_SUBJECT_HOMED, h, c->peer, err);
}

/* Served here already, under this epoch or a later one; or served, and left again since: a region that lost
 * its disk may know the second without the first. Asked before any signature is checked: every request
 * forwarded by an old home brings its statement along. */
static bool is_served(struct mover *m, struct slice statement) {
  struct subject_statement st;
  struct store_subject row;
  STORE_VIEW_AUTO *v = NULL;
  return subject_statement_peek(m->o.subjects, statement, &st) &&
         store_view_open(m->o.store, &v, NULL) == DOM_OK &&
         store_subject_get(v, st.token, &row, NULL) == DOM_OK &&
         ((store_subject_lives(&row) && row.epoch >= st.epoch) ||
          (row.state == SUBJECT_MOVED && row.epoch > st.epoch) ||
          (row.state == SUBJECT_ERASED && row.epoch_allotted >= st.epoch));
}

enum dom_code target_commit(struct mover *m, struct slice statement, struct slice peer, struct dom_err *err) {
  struct commit c = {.statement = statement, .peer = peer};
  if (is_served(m, statement)) return DOM_OK;
  enum dom_code code = subject_statement_check(m->o.subjects, statement, &c.st, err);
  if (code) return code;
  if (c.st.to != m->o.region) return dom_fail(err, DOM_DENIED, "move/target: commit", "for another region");
  struct handoff h;
  code = find(m, c.st.from, c.st.token, c.st.epoch, EVENT_COMMIT, &h, err);
  if (code || h.state == HANDOFF_ACTIVE) return code;
  assert(h.state == HANDOFF_PREPARED); /* the table lets nothing else take a commit */
  if (memcmp(h.manifest, c.st.manifest, SHA256_SIZE) != 0)
    return dom_fail(err, DOM_STALE_EPOCH, "move/target: commit", "for another manifest than was prepared");
  code = mover_advance(m, &h, EVENT_COMMIT, commit_step, &c, err);
  if (code && is_served(m, statement)) return DOM_OK; /* another thread was first */
  if (code) return code;
  token_set_remove(&m->heard, h.token);
  transfer_drop(m, &h);
  subject_learn(m->o.subjects, h.token, m->o.region, h.epoch, h.country);
  /* The registrar may be away: until it hears of it, the old home's tombstone shows the way. */
  subject_report_moved(m->o.subjects, statement, NULL);
  return DOM_OK;
}

/* Nobody commits before all was prepared here: so this region has lost it with its disk since (lost.c). */
static enum dom_code find_lost(struct mover *m, const struct subject_statement *st, bool *out,
                               struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct handoff h;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_get(v, st->token, st->epoch, HANDOFF_TARGET, &h, err);
  *out = code == DOM_OK && h.peer == st->from && h.state == HANDOFF_STAGING;
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

static enum dom_code commit_message(struct mover *m, uint16_t from, struct slice body, struct dom_err *err) {
  struct reader r = reader_of(body);
  struct slice statement = get_bytes16be(&r);
  struct subject_statement st;
  bool lost = false;
  if (r.bad) return dom_fail(err, DOM_INVALID, "move/target: commit", "does not decode");
  enum dom_code code = subject_statement_check(m->o.subjects, statement, &st, err);
  if (!code && st.from != from)
    code = dom_fail(err, DOM_DENIED, "move/target: commit", "not from its source");
  if (!code && !is_served(m, statement)) code = find_lost(m, &st, &lost, err);
  if (!code && lost) /* no other build of a source takes that for a confirmation */
    return dom_fail(err, DOM_NOT_FOUND, "move/target: commit", "lost with the disk: to be sent again");
  if (!code) code = target_commit(m, statement, slice_of(r.at, r.left), err);
  /* Confirmed means: served here, and the registrar knows. The source keeps asking until both hold. */
  if (!code) code = subject_report_moved(m->o.subjects, statement, err);
  return code == DOM_NOT_FOUND ? DOM_UNAVAILABLE
                               : code; /* a registrar that lost its record: nothing was lost here */
}

/* Only after a restore: the subject came and went on, or came later, and the backup knew of neither. */
static bool is_overtaken(struct mover *m, const struct handoff *h) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  return store_view_open(m->o.store, &v, NULL) == DOM_OK &&
         store_subject_get(v, h->token, &row, NULL) == DOM_OK && row.epoch >= h->epoch;
}

enum dom_code target_ask(struct mover *m, const struct handoff *h, struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  assert(h->state == HANDOFF_STAGING || h->state == HANDOFF_PREPARED);
  if (is_overtaken(m, h)) {
    struct handoff gone = *h;
    return erase_discard(m, &gone, err);
  }
  handoff_head_put(&body, h);
  enum dom_code code = buf_check(&body, err);
  if (!m->o.net) return dom_fail(err, DOM_UNAVAILABLE, "move/target: ask", "no peers");
  token_set_touch(&m->heard, h->token, clock_mono_ns(m->o.clock) / 1000000);
  if (!code)
    code = net_call(m->o.net, h->peer, "move/ask", buf_slice(&body), MOVE_MESSAGE_TIMEOUT_MS, &reply, err);
  if (code || reply.len == 0) return code;
  struct slice answer = slice_cut(buf_slice(&reply), 1, reply.len);
  switch (reply.data[0]) {
  case 'c':
    if (h->state == HANDOFF_STAGING) return DOM_OK; /* lost.c: the source finds it open, and sends it again */
    return target_commit(m, answer, SLICE_LIT(""), err);
  case 'a': {
    struct handoff gone = *h;
    return erase_discard(m, &gone, err);
  }
  default:
    return DOM_OK; /* still under way */
  }
}

static enum dom_code body_chunk(struct mover *m, const struct handoff *h, const struct permit *permit,
                                struct slice sealed, struct slice bytes, struct buf *reply,
                                struct dom_err *err) {
  bool more = false;
  enum dom_code code = transfer_chunk(m, permit, h, sealed, bytes, &more, err);
  if (code) return code;
  put_u8(reply, more);
  return buf_check(reply, err);
}

enum dom_code target_message(struct mover *m, uint16_t from, const char *path, struct slice body,
                             struct buf *reply, struct dom_err *err) {
  if (strcmp(path, "move/commit") == 0) return commit_message(m, from, body, err);
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch = 0;
  struct slice bulk = {0};
  bool is_items = strcmp(path, MOVE_ITEMS_PATH) == 0, is_body = strcmp(path, MOVE_BODY_PATH) == 0;
  bool split = (!is_items && !is_body) || net_bulk_split(body, &body, &bulk);
  if (!split || !take_head(&body, token, &epoch))
    return dom_fail(err, DOM_INVALID, "move/target", "does not decode");
  if (strcmp(path, "move/begin") == 0) return begin(m, from, token, epoch, body, err);
  bool is_prepare = strcmp(path, "move/prepare") == 0, is_abort = strcmp(path, "move/abort") == 0;
  if (!is_items && !is_body && !is_prepare && !is_abort)
    return dom_fail(err, DOM_NOT_FOUND, "move/target", "no such message");
  struct handoff h;
  enum handoff_event event = is_prepare ? EVENT_PREPARE : is_abort ? EVENT_ABORT : EVENT_ITEMS;
  enum dom_code code = find(m, from, token, epoch, event, &h, err);
  if (code) return code;
  if (is_abort) return h.state == HANDOFF_DISCARDED ? DOM_OK : erase_discard(m, &h, err);
  struct charter_permit_storage storage;
  const struct permit *permit;
  code = mover_permit(m, token, h.country, from, m->o.region, &storage, &permit, err);
  if (code) return code;
  if (is_items) return items(m, &h, permit, body, bulk, err);
  if (is_body) return body_chunk(m, &h, permit, body, bulk, reply, err);
  return prepare(m, &h, permit, body, reply, err);
}
