/* Clients: each call goes the way that serve sends it, gateway, home, permit, guards, and may stop between
 * its steps while other things happen. Gates are passed by: correctness rests on the guards alone. */
#include "call.h"

#include <assert.h>
#include <stdlib.h>

static const char *const BUCKET[SIM_BUCKETS] = {"phones", "films"};

enum { HOPS_MAX = 3, RETRIES_MAX = 8, KEY_OPS_MAX = 110, KEY_WRITES_MAX = 36 };

enum { PHASE_ENTER, PHASE_BUILD, PHASE_COMMIT, PHASE_READ };

struct slice call_key(const struct sim_call *c) {
  return slice_str(c->key->name);
}

void call_let_go(struct sim_call *c) {
  store_tx_abort_take(c->tx);
  store_found_free(c->found);
  store_view_close(c->v);
  c->tx = NULL;
  c->found = NULL;
  c->v = NULL;
}

static struct test_region *region_of(struct sim_call *c) {
  return &c->s->t.region[c->at];
}

/* ---- where to ------------------------------------------------------------------------------------ */

enum dom_code call_permit(struct sim_call *c, enum permit_action action,
                          struct charter_permit_storage *storage, const struct permit **out) {
  bool transit = action == PERMIT_TRANSIT;
  struct subject_intent intent = {.action = action,
                                  .who = &c->who,
                                  .place_region = c->who.home,
                                  .gateway = transit ? c->at : c->gateway,
                                  .key = call_key(c),
                                  .destroys_ms = CHARTER_DESTROYS_NOTHING};
  struct charter_refusal refusal;
  return subject_permit(region_of(c)->subjects, &intent, storage, out, &refusal);
}

static enum dom_code resolve_once(struct sim_call *c) {
  struct test_region *r = region_of(c);
  if (!sim_is_up(c->s, c->at)) return DOM_UNAVAILABLE;
  enum dom_code code = store_view_open(r->store, &c->v, NULL);
  if (!code)
    code = subject_bucket_get(r->subjects, c->v, slice_str(BUCKET[c->key->bucket]), &c->bucket, NULL);
  if (code == DOM_NOT_FOUND) return DOM_UNAVAILABLE; /* a bucket is never deleted here */
  if (!code) code = subject_resolve(r->subjects, c->v, &c->bucket, call_key(c), &c->who, NULL);
  return code;
}

enum dom_code call_resolve_at(struct sim_call *c, enum permit_action action) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < RETRIES_MAX; i++) {
    call_let_go(c);
    code = resolve_once(c);
  }
  if (code) return code;
  if (c->who.where == SUBJECT_UNREGISTERED) return DOM_NOT_FOUND;
  c->place = (struct store_place){.epoch = c->who.epoch, .prefix = c->who.prefix};
  memcpy(c->place.bucket, c->bucket.id, sizeof c->place.bucket);
  memcpy(c->place.token, c->who.token, TOKEN_SIZE);
  if (c->who.where == SUBJECT_ELSEWHERE) return DOM_ELSEWHERE;
  return call_permit(c, action, &c->storage, &c->permit);
}

/* Hands the request over to `to` with what the one before said. */
static enum dom_code hand_over(struct sim_call *c, uint16_t to, enum permit_action action) {
  uint8_t statement[SUBJECT_STATEMENT_MAX];
  uint32_t len = c->who.has_statement ? c->who.statement_len : 0;
  memcpy(statement, c->who.statement, len);
  call_let_go(c);
  if (!sim_reaches(c->s, c->gateway, to)) return DOM_UNAVAILABLE;
  c->at = to;
  c->s->busy[to]++;
  if (len) (void)mover_take_statement(region_of(c)->mover, slice_of(statement, len), NULL);
  enum dom_code code = call_resolve_at(c, action);
  c->s->busy[to]--;
  return code;
}

/* A request that went out and finds nobody at home: the gateway asks the registrar anew. */
static bool ask_again(struct sim_call *c, uint16_t *home) {
  uint64_t epoch = c->who.epoch;
  c->at = c->gateway;
  return subject_ask_again(region_of(c)->subjects, c->who.token, home, &epoch, NULL) == DOM_OK;
}

enum dom_code call_route(struct sim_call *c, enum permit_action action) {
  struct charter_permit_storage storage;
  const struct permit *transit;
  c->at = c->gateway;
  enum dom_code code = call_resolve_at(c, action);
  if (code != DOM_ELSEWHERE) return code;
  code = call_permit(c, PERMIT_TRANSIT, &storage, &transit);
  if (code) return code;
  uint16_t home = c->who.home;
  code = DOM_UNAVAILABLE;
  for (int hop = 0; hop < HOPS_MAX; hop++) {
    code = hand_over(c, home, action);
    if (code == DOM_ELSEWHERE) {
      home = c->who.home;
      subject_learn(c->s->t.region[c->gateway].subjects, c->who.token, home, c->who.epoch, c->who.country);
    } else if (code != DOM_UNAVAILABLE || !sim_is_up(c->s, c->gateway) || !ask_again(c, &home)) {
      return code;
    }
    if (home == c->gateway) return DOM_UNAVAILABLE; /* the client comes again */
  }
  return code == DOM_ELSEWHERE ? DOM_UNAVAILABLE : code;
}

/* ---- what is written ----------------------------------------------------------------------------------- */

static void pattern(uint32_t id, uint32_t size, struct buf *out) {
  char text[16];
  size_t len = (size_t)snprintf(text, sizeof text, "v%u|", id);
  for (uint32_t at = 0; at < size; at += (uint32_t)len)
    buf_append(out, text, size - at < len ? size - at : len);
}

void sim_value(const struct sim *s, uint32_t id, struct buf *out) {
  const struct sim_fact *f = &s->fact[id - 1];
  if (s->op[id - 1].kind != HISTORY_COMPLETE) {
    pattern(id, f->size, out);
    return;
  }
  for (int i = 0; i < HISTORY_PARTS_MAX; i++)
    if (f->part[i]) pattern(f->part[i], s->fact[f->part[i] - 1].size, out);
}

static void upload_id(uint32_t id, uint8_t out[STORE_UPLOAD_ID_SIZE]) {
  memset(out, 0x55, STORE_UPLOAD_ID_SIZE);
  store_u32le(out, id);
}

/* A body in a file of its own comes in before anything is looked at. */
static enum dom_code body_make(struct sim_call *c) {
  BUF_AUTO value = BUF_INIT;
  struct store_body *body = NULL;
  sim_value(c->s, (uint32_t)c->op + 1, &value);
  enum dom_code code = store_body_create(region_of(c)->store, PERMIT_STORE, c->permit, c->who.token,
                                         c->who.epoch, &body, NULL);
  if (code) return code;
  code = store_body_append(body, buf_slice(&value), NULL);
  if (code) {
    store_body_abort_take(body);
    return code;
  }
  code = store_body_seal_take(body, &c->ref, NULL);
  c->has_ref = code == DOM_OK;
  return code;
}

static enum dom_code put_build(struct sim_call *c) {
  BUF_AUTO value = BUF_INIT;
  char meta[16];
  struct sim_fact *f = call_fact(c);
  f->mtime_ms = clock_wall_ms(c->s->t.clock);
  struct store_object o = {
      .key = call_key(c), .is_version = !call_op(c)->is_null, .size = f->size, .mtime_ms = f->mtime_ms};
  sim_value(c->s, call_op(c)->id, &value);
  snprintf(meta, sizeof meta, "m%u", call_op(c)->id);
  o.meta = slice_str(meta);
  if (f->in_class) o.classes = SLICE_LIT("personal");
  look_tag_make(call_op(c)->id, o.etag_md5);
  sha256(value.data, value.len, o.sha256);
  if (c->has_ref) {
    o.bodies = &c->ref;
    o.body_count = 1;
  } else {
    o.inline_body = buf_slice(&value);
  }
  return store_tx_put(c->tx, c->permit, &c->place, &o, NULL);
}

struct parts {
  struct sim_call *c;
  struct store_body_ref ref[HISTORY_PARTS_MAX];
  bool there[HISTORY_PARTS_MAX], other;
};

static bool part_take(void *arg, const struct store_part *part) {
  struct parts *p = arg;
  uint32_t i = part->number - 1;
  uint32_t want = i < HISTORY_PARTS_MAX ? call_op(p->c)->parts[i] : 0;
  if (!want) return true;
  p->there[i] = true;
  p->ref[i] = part->body;
  if (look_tag_id(part->md5) != want) p->other = true;
  return true;
}

/* The parts that the client names, found as they lie here. */
static enum dom_code parts_find(struct sim_call *c, const uint8_t id[STORE_UPLOAD_ID_SIZE], struct parts *p) {
  struct store_upload u;
  *p = (struct parts){.c = c};
  enum dom_code code = store_upload_get(c->v, &c->place, call_key(c), id, &u, NULL);
  if (!code) call_fact(c)->in_class = u.classes.len > 0;
  if (!code) code = store_part_scan(c->v, &c->place, call_key(c), id, 0, part_take, p, NULL);
  for (int i = 0; !code && i < HISTORY_PARTS_MAX; i++)
    if (call_op(c)->parts[i] && !p->there[i]) p->other = true;
  if (!code && p->other) call_op(c)->outcome = HISTORY_NOT_MET;
  return code;
}

static enum dom_code complete_build(struct sim_call *c) {
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  char meta[16];
  struct store_body_ref ref[HISTORY_PARTS_MAX];
  struct parts p;
  struct sim_fact *f = call_fact(c);
  upload_id(call_op(c)->target, id);
  enum dom_code code = parts_find(c, id, &p);
  if (code || call_op(c)->outcome == HISTORY_NOT_MET) return code;
  f->mtime_ms = clock_wall_ms(c->s->t.clock);
  struct store_object o = {
      .key = call_key(c), .is_version = !call_op(c)->is_null, .mtime_ms = f->mtime_ms, .bodies = ref};
  struct hash *hash = hash_new(HASH_SHA256);
  for (int i = 0; i < HISTORY_PARTS_MAX; i++) {
    if (!call_op(c)->parts[i]) continue;
    ref[o.body_count++] = p.ref[i];
    o.size += p.ref[i].size;
    hash_update(hash, p.ref[i].sha256, SHA256_SIZE);
  }
  hash_final(hash, o.sha256);
  hash_free(hash);
  snprintf(meta, sizeof meta, "m%u", call_op(c)->id);
  o.meta = slice_str(meta);
  if (f->in_class) o.classes = SLICE_LIT("personal");
  o.etag_parts = o.body_count;
  look_tag_make(call_op(c)->id, o.etag_md5);
  return store_tx_complete(c->tx, c->permit, &c->place, id, &o, NULL);
}

static enum dom_code part_build(struct sim_call *c) {
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  struct store_part part = {
      .number = call_op(c)->part, .mtime_ms = clock_wall_ms(c->s->t.clock), .body = c->ref, .meta_len = 4};
  upload_id(call_op(c)->target, id);
  look_tag_make(call_op(c)->id, part.md5);
  store_u32le(part.meta, call_op(c)->id);
  call_fact(c)->mtime_ms = part.mtime_ms;
  return store_tx_part(c->tx, c->permit, &c->place, call_key(c), id, &part, NULL);
}

static enum dom_code begin_build(struct sim_call *c) {
  char meta[16];
  struct store_upload u = {.key = call_key(c), .mtime_ms = clock_wall_ms(c->s->t.clock)};
  snprintf(meta, sizeof meta, "u%u", call_op(c)->id);
  u.meta = slice_str(meta);
  if (call_fact(c)->in_class) u.classes = SLICE_LIT("personal");
  upload_id(call_op(c)->id, u.id);
  call_fact(c)->mtime_ms = u.mtime_ms;
  return store_tx_upload_create(c->tx, c->permit, &c->place, &u, NULL);
}

static struct store_version version_of(struct sim_call *c) {
  uint32_t target = call_op(c)->target;
  struct store_version which = {.is_null = true};
  if (target && !c->s->op[target - 1].is_null)
    which = (struct store_version){.order = c->s->fact[target - 1].order};
  return which;
}

/* Other metadata of a version; of the null one, whichever that is by now. */
static enum dom_code amend_build(struct sim_call *c) {
  struct charter_permit_storage storage;
  const struct permit *read;
  char meta[16];
  uint32_t had = 0;
  struct store_version which = version_of(c);
  enum dom_code code = call_permit(c, PERMIT_READ, &storage, &read);
  if (code) return DOM_REFUSED;
  code = store_version_get(c->v, PERMIT_READ, read, &c->place, call_key(c), &which, &c->found, NULL);
  if (code) return code;
  if (store_found_object(c->found)->is_marker) return DOM_NOT_FOUND;
  uint32_t id = look_at_found(c, c->found, &had, &code);
  if (!id) return code ? code : DOM_IO;
  call_op(c)->target = id;
  snprintf(meta, sizeof meta, "m%u", call_op(c)->id);
  return store_tx_amend(c->tx, c->permit, &c->place, c->found, slice_str(meta), NULL);
}

static enum dom_code remove_build(struct sim_call *c) {
  bool marker = false;
  struct store_version which = version_of(c);
  if (call_op(c)->is_null && call_op(c)->target == 0)
    return store_tx_delete(c->tx, c->permit, &c->place, call_key(c), NULL);
  return store_tx_delete_version(c->tx, c->permit, &c->place, call_key(c), &which, &marker, NULL);
}

/* What a write is conditional on, in the view that guards it. */
static enum dom_code condition_ask(struct sim_call *c) {
  struct history_op *op = call_op(c);
  struct charter_permit_storage storage;
  const struct permit *read;
  struct store_found *found = NULL;
  if (op->condition == HISTORY_ALWAYS) return DOM_OK;
  enum dom_code code = call_permit(c, PERMIT_READ, &storage, &read);
  if (code) return DOM_REFUSED;
  code = store_object_get(c->v, PERMIT_READ, read, &c->place, call_key(c), &found, NULL);
  if (code && code != DOM_NOT_FOUND) return code;
  uint32_t id = code ? 0 : look_tag_id(store_found_object(found)->etag_md5);
  store_found_free(found);
  bool met = op->condition == HISTORY_IF_ABSENT ? id == 0 : id == op->match;
  if (!met) op->outcome = HISTORY_NOT_MET;
  return DOM_OK;
}

static enum dom_code build(struct sim_call *c) {
  switch (call_op(c)->kind) {
  case HISTORY_PUT:
    return put_build(c);
  case HISTORY_MARK:
    call_fact(c)->mtime_ms = clock_wall_ms(c->s->t.clock);
    return store_tx_mark(c->tx, c->permit, &c->place, call_key(c), !call_op(c)->is_null,
                         call_fact(c)->mtime_ms, NULL);
  case HISTORY_REMOVE:
    return remove_build(c);
  case HISTORY_AMEND:
    return amend_build(c);
  case HISTORY_BEGIN:
    return begin_build(c);
  case HISTORY_PART:
    return part_build(c);
  case HISTORY_COMPLETE:
    return complete_build(c);
  default: {
    uint8_t id[STORE_UPLOAD_ID_SIZE];
    upload_id(call_op(c)->target, id);
    return store_tx_upload_abort(c->tx, c->permit, &c->place, call_key(c), id, NULL);
  }
  }
}

/* ---- steps ------------------------------------------------------------------------------------------------
 */

static const char *outcome_name(enum history_outcome o) {
  static const char *const NAME[] = {"unknown", "ok", "not found", "not met"};
  return NAME[o];
}

static const char *kind_name(enum history_kind k) {
  static const char *const NAME[] = {"PUT",  "MARK",  "REMOVE", "AMEND",    "GET",
                                     "LIST", "BEGIN", "PART",   "COMPLETE", "ABORT"};
  return NAME[k];
}

/* The call is over. `none`: it certainly did nothing, so it is not in the history. */
static void finish(struct sim_call *c, enum history_outcome outcome, bool none) {
  struct sim *s = c->s;
  struct history_op *op = call_op(c);
  op->outcome = outcome;
  op->ended = ++s->now;
  s->void_op[c->op] = none;
  if (!none) s->count.answered += outcome != HISTORY_UNKNOWN;
  if (!none) s->count.unknown += outcome == HISTORY_UNKNOWN;
  sim_trace(s, "%s %u of %s/%s at %u: %s", kind_name(op->kind), op->id, BUCKET[c->key->bucket], c->key->name,
            c->at, none ? "nothing done" : outcome_name(outcome));
  if (c->has_ref && sim_is_up(s, c->at) && outcome != HISTORY_UNKNOWN)
    store_body_discard(region_of(c)->store, &c->ref);
  call_let_go(c);
  for (int i = 0; i < SIM_PENDING_MAX; i++)
    if (s->pending[i] == c) s->pending[i] = NULL;
  dom_free(c);
}

static void learn(struct sim_call *c, uint64_t lsn) {
  struct sim *s = c->s;
  struct sim_key *k = &s->key[s->key_of[c->op]];
  struct history_op *op = call_op(c);
  bool writes = op->kind == HISTORY_PUT || op->kind == HISTORY_MARK || op->kind == HISTORY_COMPLETE;
  if (op->kind == HISTORY_PART) s->fact[op->target - 1].part[op->part - 1] = op->id;
  if (op->kind == HISTORY_BEGIN) {
    k->upload[1] = k->upload[0];
    k->upload[0] = op->id;
  }
  if (!writes) return;
  s->fact[c->op].order = (struct store_order){c->who.epoch, lsn};
  s->fact[c->op].has_order = true;
  memmove(&k->recent[1], &k->recent[0], sizeof k->recent - sizeof k->recent[0]);
  k->recent[0] = op->id;
}

static void commit(struct sim_call *c) {
  struct store_tx *tx = c->tx;
  uint64_t lsn = 0;
  c->tx = NULL;
  enum dom_code code = store_tx_commit_take(tx, &lsn, NULL);
  if (code == DOM_RETRY && ++c->tries < RETRIES_MAX) {
    call_let_go(c);
    c->phase = PHASE_BUILD;
    return;
  }
  if (!code) c->has_ref = false;
  if (!code) learn(c, lsn);
  bool none = code == DOM_RETRY || code == DOM_READ_ONLY || code == DOM_ELSEWHERE ||
              code == DOM_STALE_EPOCH || code == DOM_FENCED;
  finish(c, code ? HISTORY_UNKNOWN : HISTORY_OK, none);
}

static bool not_found_is_said(enum history_kind k) {
  return k == HISTORY_AMEND || k == HISTORY_PART || k == HISTORY_COMPLETE || k == HISTORY_ABORT;
}

static void build_step(struct sim_call *c) {
  struct test_region *r = region_of(c);
  enum dom_code code = store_view_open(r->store, &c->v, NULL);
  if (!code) code = subject_bucket_check(c->v, &c->bucket, NULL);
  if (code == DOM_RETRY || code == DOM_NOT_FOUND) code = DOM_UNAVAILABLE;
  if (!code) code = condition_ask(c);
  if (!code && call_op(c)->outcome == HISTORY_NOT_MET) {
    finish(c, HISTORY_NOT_MET, false);
    return;
  }
  if (!code) code = store_tx_begin(r->store, c->v, &c->tx, NULL);
  if (!code) code = build(c);
  if (!code && call_op(c)->outcome == HISTORY_NOT_MET) {
    finish(c, HISTORY_NOT_MET, false);
    return;
  }
  if (!code) {
    c->phase = PHASE_COMMIT;
    return;
  }
  if (code == DOM_CORRUPT) sim_find(c->s, "a write of %s at region %u met damage", c->key->name, c->at);
  bool said = code == DOM_NOT_FOUND && not_found_is_said(call_op(c)->kind);
  finish(c, said ? HISTORY_NOT_FOUND : HISTORY_UNKNOWN, !said);
}

static enum permit_action action_of(enum history_kind k) {
  if (k == HISTORY_GET || k == HISTORY_LIST) return PERMIT_READ;
  return k == HISTORY_MARK || k == HISTORY_REMOVE || k == HISTORY_ABORT ? PERMIT_DELETE : PERMIT_STORE;
}

static void enter_step(struct sim_call *c) {
  enum history_kind kind = call_op(c)->kind;
  enum dom_code code = call_route(c, action_of(kind));
  if (!code && kind == HISTORY_GET)
    code = store_object_get(c->v, PERMIT_READ, c->permit, &c->place, call_key(c), &c->found, NULL);
  if (code == DOM_NOT_FOUND && kind == HISTORY_GET) {
    finish(c, HISTORY_NOT_FOUND, false);
    return;
  }
  if (!code && c->in_file) code = body_make(c);
  if (code) {
    if (code == DOM_CORRUPT) sim_find(c->s, "a call of %s at region %u met damage", c->key->name, c->at);
    finish(c, HISTORY_UNKNOWN, true);
    return;
  }
  store_view_close(c->v); /* as serve: a body comes at its own pace, and a reader is pinned by itself */
  c->v = NULL;
  c->phase = kind == HISTORY_GET ? PHASE_READ : PHASE_BUILD;
}

static void read_step(struct sim_call *c) {
  struct sim *s = c->s;
  enum dom_code code = DOM_OK;
  struct history_state *seen = dom_calloc(1, sizeof *seen);
  assert(seen);
  seen->version_count = 1;
  seen->version[0].is_null = !store_found_object(c->found)->is_version;
  seen->version[0].id = look_at_found(c, c->found, &seen->version[0].meta, &code);
  s->seen[c->op] = seen;
  call_op(c)->seen = seen;
  finish(c, HISTORY_OK, seen->version[0].id == 0);
}

void sim_call_step(struct sim *s, struct sim_call *c) {
  if (c->in_step) return; /* this runs inside it */
  c->in_step = true;
  s->in_call++;
  uint16_t at = c->at, gateway = c->gateway;
  s->busy[gateway]++;
  s->busy[at]++;
  if (!sim_is_up(s, at) || !sim_reaches(s, gateway, at))
    finish(c, HISTORY_UNKNOWN, true);
  else if (c->phase == PHASE_ENTER)
    enter_step(c);
  else if (c->phase == PHASE_BUILD)
    build_step(c);
  else if (c->phase == PHASE_COMMIT)
    commit(c);
  else
    read_step(c);
  for (int i = 0; i < SIM_PENDING_MAX; i++)
    if (s->pending[i] == c) c->in_step = false; /* else it is over */
  s->busy[gateway]--;
  s->busy[at]--;
  s->in_call--;
}

void sim_calls_break(struct sim *s, uint16_t at) {
  for (int i = 0; i < SIM_PENDING_MAX; i++)
    if (s->pending[i] && (!at || s->pending[i]->at == at)) finish(s->pending[i], HISTORY_UNKNOWN, true);
}

/* ---- what an event asks for
 * --------------------------------------------------------------------------------- */

static void choose_upload_call(struct history_op *op, const struct sim *s, const struct sim_key *k,
                               uint32_t what, uint32_t how) {
  op->target = k->upload[how >> 12 & 1] ? k->upload[how >> 12 & 1] : k->upload[0];
  op->part = 1 + (how >> 9) % HISTORY_PARTS_MAX;
  op->kind = what < 83   ? HISTORY_BEGIN
             : what < 91 ? HISTORY_PART
             : what < 97 ? HISTORY_COMPLETE
                         : HISTORY_ABORT;
  if (!op->target) op->kind = HISTORY_BEGIN;
  if (op->kind == HISTORY_COMPLETE) memcpy(op->parts, s->fact[op->target - 1].part, sizeof op->parts);
}

static void choose(struct history_op *op, const struct sim *s, const struct sim_key *k,
                   const struct sim_event *e) {
  uint32_t how = e->d, recent = k->recent[how >> 12 & 3];
  op->is_null = k->bucket == 0 || (how >> 6) % 5 == 0;
  if (e->c < 28) {
    op->kind = HISTORY_PUT;
    if (how % 8 == 0) op->condition = HISTORY_IF_ABSENT;
    if (how % 8 == 1 && k->recent[0]) op->condition = HISTORY_IF_MATCH;
    op->match = k->recent[0];
  } else if (e->c < 50) {
    op->kind = HISTORY_GET;
  } else if (e->c < 62) {
    op->kind = k->bucket ? HISTORY_MARK : HISTORY_REMOVE;
  } else if (e->c < 78) {
    op->kind = e->c < 70 ? HISTORY_REMOVE : HISTORY_AMEND;
    op->target = recent;
    if (!recent) op->kind = HISTORY_GET;
    op->is_null = recent ? s->op[recent - 1].is_null : true;
  } else {
    choose_upload_call(op, s, k, e->c, how);
  }
}

/* Histories stay as long as the search can take them. */
static bool has_room(const struct sim *s, uint32_t key) {
  uint32_t ops = 0, writes = 0, begins = 0;
  for (size_t i = 0; i < s->op_count; i++) {
    if (s->key_of[i] != key || s->void_op[i]) continue;
    enum history_kind k = s->op[i].kind;
    ops++;
    writes += k == HISTORY_PUT || k == HISTORY_MARK || k == HISTORY_COMPLETE;
    begins += k == HISTORY_BEGIN;
  }
  return s->op_count < SIM_OPS_MAX && ops < KEY_OPS_MAX && writes < KEY_WRITES_MAX &&
         begins < HISTORY_UPLOADS_MAX;
}

static uint32_t size_of(uint32_t how) {
  uint32_t dice = how >> 14 & 63;
  return dice == 0 ? 0 : dice < 50 ? 1 + dice * 5 : dice < 63 ? 4000 + dice : 70000;
}

void sim_call_begin(struct sim *s, const struct sim_event *e, uint32_t steps) {
  int slot = 0;
  while (slot < SIM_PENDING_MAX && s->pending[slot]) slot++;
  if (slot == SIM_PENDING_MAX || !has_room(s, e->a)) return;
  struct sim_call *c = dom_calloc(1, sizeof *c);
  assert(c);
  *c = (struct sim_call){.s = s, .op = s->op_count++, .key = &s->key[e->a]};
  c->gateway = c->at = (uint16_t)e->b;
  s->key_of[c->op] = (uint8_t)e->a;
  struct history_op *op = call_op(c);
  *op = (struct history_op){.began = ++s->now, .id = (uint32_t)c->op + 1};
  choose(op, s, c->key, e);
  *call_fact(c) = (struct sim_fact){.size = size_of(e->d), .in_class = e->d >> 20 & 1};
  if (op->kind == HISTORY_COMPLETE) memcpy(call_fact(c)->part, op->parts, sizeof op->parts);
  c->in_file = op->kind == HISTORY_PART || (op->kind == HISTORY_PUT && (e->d >> 3) % 4 == 0);
  if (op->kind == HISTORY_COMPLETE && !op->parts[0] && !op->parts[1] && !op->parts[2])
    op->kind = HISTORY_ABORT;
  s->pending[slot] = c;
  s->count.calls++;
  for (uint32_t i = 0; i < steps && s->pending[slot] == c; i++) sim_call_step(s, c);
}
