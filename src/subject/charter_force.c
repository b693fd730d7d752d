/* The charter in force: every earlier one is kept, so that region numbers never come back. */
#include <assert.h>

#include "subject/subject_internal.h"

struct charter *subject_charter(struct subjects *s) {
  pthread_mutex_lock(&s->charter_lock);
  struct charter *c = s->charter ? charter_hold(s->charter) : NULL;
  pthread_mutex_unlock(&s->charter_lock);
  return c;
}

enum dom_code subject_charter_text(struct subjects *s, struct buf *out, uint64_t *out_version,
                                   struct dom_err *err) {
  struct charter *c = subject_charter(s);
  if (!c) return dom_fail(err, DOM_NOT_FOUND, "subject/charter: text", "no charter is in force yet");
  buf_append_slice(out, charter_bytes(c));
  if (out_version) *out_version = charter_version(c);
  charter_release(c);
  return buf_check(out, err);
}

/* The region must be in it, under its number and with its key. */
static enum dom_code check_self(const struct subjects *s, const struct charter *c, struct dom_err *err) {
  uint8_t own[ED25519_KEY_SIZE];
  ed25519_public(s->o.region_seed, own);
  const struct charter_region *me = charter_region_by_number(c, s->o.region);
  if (!me)
    return dom_fail(err, DOM_REFUSED, "subject/charter: region", "region number %u is not in this charter",
                    s->o.region);
  if (memcmp(me->public_key, own, sizeof own) != 0)
    return dom_fail(err, DOM_REFUSED, "subject/charter: region",
                    "the vkey of region %s in this charter is not the key this region has", me->name);
  return DOM_OK;
}

struct successor {
  const struct charter *next;
  enum dom_code code;
  struct dom_err *err;
};

static bool check_against(void *arg, struct slice key, struct slice value) {
  struct successor *u = arg;
  (void)key;
  struct reader r = reader_of(value);
  struct slice yaml = get_bytes32be(&r);
  struct charter *old = NULL;
  u->code = charter_parse(yaml, "earlier charter", &old, u->err);
  if (!u->code) u->code = charter_check_successor(old, u->next, u->err);
  charter_release(old);
  return u->code == DOM_OK;
}

struct standing {
  const struct subjects *s;
  const struct charter *next;
  uint64_t now_ms, forbidden;
  struct charter_refusal refusal;
};

static bool check_standing(void *arg, const struct store_subject *row) {
  struct standing *w = arg;
  if (!store_subject_lives(row)) return true;
  char country[CHARTER_COUNTRY_SIZE] = {row->country[0], row->country[1], 0};
  if (charter_forbids_home(w->next, country, w->s->o.region, w->now_ms, &w->refusal)) w->forbidden++;
  return true;
}

/* Nobody may be left at a home that is forbidden without a date to leave by. */
static enum dom_code check_homes(struct subjects *s, struct store_view *v, const struct charter *next,
                                 struct dom_err *err) {
  struct standing w = {.s = s, .next = next, .now_ms = clock_wall_ms(s->o.clock)};
  enum dom_code code = store_subject_scan(v, NULL, check_standing, &w, err);
  if (code) return code;
  if (w.forbidden)
    return dom_fail(
        err, DOM_REFUSED, "subject/charter: homes",
        "%llu subjects live here although %s forbids it: give the rule a leave date for this region, "
        "or force the charter",
        (unsigned long long)w.forbidden, w.refusal.clause);
  return DOM_OK;
}

/* The version that was put last, as a row of its own: what must not outlive a charter is guarded by it. */
static const struct slice NEWEST = {(const uint8_t *)"charter", 7};

static enum dom_code newest_put(struct store_tx *tx, uint64_t version, struct dom_err *err) {
  uint8_t value[8];
  store_u64be(value, version);
  return store_tx_row_put(tx, STORE_TABLE_META, NEWEST, slice_of(value, sizeof value), err);
}

enum dom_code subject_charter_guard(struct store_view *v, struct store_tx *tx, uint64_t version,
                                    struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  assert(version > 0);
  store_tx_guard_row(tx, STORE_TABLE_META, NEWEST);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, NEWEST, &value, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK; /* put before there was such a row: the guard still holds */
  if (code || value.len != 8)
    return dom_fail(err, code ? code : DOM_CORRUPT, "subject/charter: guard", "cannot be read");
  if (load_u64be(value.data) == version) return DOM_OK;
  return dom_fail(err, DOM_STALE_EPOCH, "subject/charter: guard", "another charter came into force");
}

struct new_charter {
  struct charter *next;
  struct slice yaml, signature;
  bool force;
};

static enum dom_code put_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                              struct dom_err *err) {
  struct new_charter *u = arg;
  struct successor succ = {.next = u->next, .err = err};
  enum dom_code code =
      store_row_scan(v, STORE_TABLE_CHARTER, SLICE_LIT(""), SLICE_LIT(""), check_against, &succ, err);
  if (!code) code = succ.code;
  if (!code && !u->force) code = check_homes(s, v, u->next, err);
  if (code) return code;
  uint8_t key[8];
  assert(charter_version(u->next) > 0);
  store_u64be(key, charter_version(u->next));
  BUF_AUTO value = BUF_INIT;
  put_bytes32be(&value, u->yaml);
  put_bytes32be(&value, u->signature);
  code = buf_check(&value, err);
  if (!code) code = store_tx_row_put(tx, STORE_TABLE_CHARTER, slice_of(key, 8), buf_slice(&value), err);
  if (!code) code = newest_put(tx, charter_version(u->next), err);
  struct ledger_payload payload = {.type = LEDGER_CHARTER, .charter = charter_version(u->next)};
  charter_hash(u->next, payload.digest);
  return code ? code : subject_tx_entry(s, tx, &payload, 0, NULL, 0, err);
}

static bool is_in_force(struct subjects *s, const struct charter *next) {
  struct charter *now = subject_charter(s);
  bool same = now && slice_equal(charter_bytes(now), charter_bytes(next));
  charter_release(now);
  return same;
}

static enum dom_code put_checked(struct subjects *s, struct new_charter *u, struct dom_err *err) {
  enum dom_code code = check_self(s, u->next, err);
  if (code || is_in_force(s, u->next)) return code;
  code = subject_change(s, put_step, u, err);
  if (code) return code;
  pthread_mutex_lock(&s->charter_lock);
  struct charter *old = s->charter;
  assert(!old || charter_version(u->next) > charter_version(old)); /* never back to an older one */
  s->charter = charter_hold(u->next);
  pthread_mutex_unlock(&s->charter_lock);
  charter_release(old);
  return DOM_OK;
}

enum dom_code subject_charter_put(struct subjects *s, struct slice yaml, struct slice signature, bool force,
                                  struct dom_err *err) {
  enum dom_code code = charter_verify(yaml, signature, s->o.charter_key, err);
  if (code) return code;
  struct new_charter u = {.yaml = yaml, .signature = signature, .force = force};
  code = charter_parse(yaml, "charter", &u.next, err);
  if (code) return code;
  pthread_mutex_lock(&s->charter_change);
  code = put_checked(s, &u, err);
  pthread_mutex_unlock(&s->charter_change);
  if (!code) atomic_store(&s->spread.ask_at_ms, 0); /* who was in no charter for a while was told nothing */
  charter_release(u.next);
  return code;
}

static uint32_t class_mask(const struct charter *c, struct slice key, struct slice inherited) {
  uint32_t mask = key.len ? charter_class_bit(charter_class_of(c, key)) : 0;
  while (inherited.len) {
    size_t end = slice_find(inherited, ',');
    unsigned index;
    /* A name that no charter dropped may be missing only after damage: then the strictest answer. */
    if (charter_class_find(c, slice_cut(inherited, 0, end), &index) == DOM_OK)
      mask |= charter_class_bit(index);
    else
      mask |= charter_classes_all(c);
    inherited = slice_cut(inherited, end < inherited.len ? end + 1 : end, inherited.len);
  }
  return mask;
}

enum dom_code subject_permit(struct subjects *s, const struct subject_intent *intent,
                             struct charter_permit_storage *storage, const struct permit **out,
                             struct charter_refusal *refusal) {
  struct charter *c = subject_charter(s);
  if (!c) {
    *refusal = (struct charter_refusal){.clause = "charter", .why = "no charter is in force in this region"};
    return DOM_REFUSED;
  }
  const struct subject_who *who = intent->who;
  assert(intent->place_region != 0 && who->where != SUBJECT_UNREGISTERED);
  struct charter_intent ask = {.action = intent->action,
                               .token = who->token,
                               .country = {who->country[0], who->country[1], 0},
                               .region = intent->place_region,
                               .gateway = intent->gateway,
                               .target = intent->copy_target,
                               .classes = intent->all_classes ? charter_classes_all(c)
                                                              : class_mask(c, intent->key, intent->classes),
                               .destroys_created_ms = intent->destroys_ms,
                               .at_home = who->home == intent->place_region};
  if (intent->action == PERMIT_MOVE) {
    ask.source = who->home;
    ask.gateway = 0;
  }
  enum dom_code code = charter_decide(c, &ask, clock_wall_ms(s->o.clock), storage, out, refusal);
  charter_release(c);
  return code;
}
