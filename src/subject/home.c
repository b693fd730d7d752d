/* Token → home: this region's own row first, then the cache, then the registrar. */
#include <assert.h>

#include "subject/subject_internal.h"

/* Slots of the answer cache; direct-mapped by token, so that it is bounded and needs no eviction.
 * 65,536 answers of 48 bytes: 3 MiB a region. A miss costs one question to the registrar. */
enum { HOME_CACHE_SLOTS = 1 << 16 };

/* Ends an answer of a kind that came later than the format: without it an older build would take an erased
 * subject for one that lives. */
enum { HOME_LONGER = 1 };

struct home_cache {
  pthread_mutex_t lock;
  struct home_slot {
    uint8_t token[TOKEN_SIZE];
    struct home_answer answer;
  } slot[HOME_CACHE_SLOTS];
};

struct home_cache *home_cache_new(void) {
  struct home_cache *c = dom_calloc(1, sizeof *c);
  if (c) pthread_mutex_init(&c->lock, NULL);
  return c;
}

void home_cache_free(struct home_cache *c) {
  if (!c) return;
  pthread_mutex_destroy(&c->lock);
  dom_free(c);
}

static struct home_slot *slot_of(struct home_cache *c, const uint8_t token[TOKEN_SIZE]) {
  return &c->slot[(uint32_t)token[0] << 8 | token[1]];
}

bool home_cache_get(struct home_cache *c, const uint8_t token[TOKEN_SIZE], struct home_answer *out) {
  pthread_mutex_lock(&c->lock);
  const struct home_slot *slot = slot_of(c, token);
  bool hit = slot->answer.found && memcmp(slot->token, token, TOKEN_SIZE) == 0;
  if (hit) *out = slot->answer;
  pthread_mutex_unlock(&c->lock);
  return hit;
}

void home_cache_put(struct home_cache *c, const uint8_t token[TOKEN_SIZE], const struct home_answer *a) {
  assert(a->found);
  pthread_mutex_lock(&c->lock);
  struct home_slot *slot = slot_of(c, token);
  bool same = slot->answer.found && memcmp(slot->token, token, TOKEN_SIZE) == 0;
  if (!same || a->epoch >= slot->answer.epoch) { /* never back to an older home */
    memcpy(slot->token, token, TOKEN_SIZE);
    slot->answer = *a;
  }
  pthread_mutex_unlock(&c->lock);
}

void home_answer_put(struct buf *b, const struct home_answer *a) {
  assert(a->found == (a->kind == HOME_KNOWN || a->kind == HOME_RENEWED));
  put_u8(b, (uint8_t)a->kind);
  put_u16be(b, a->home);
  put_u64be(b, a->epoch);
  buf_append(b, a->country, 2);
  if (a->kind > HOME_KNOWN) put_u8(b, HOME_LONGER);
}

bool home_answer_get(struct slice bytes, struct home_answer *out) {
  struct reader r = reader_of(bytes);
  struct home_answer a = {.kind = (enum home_kind)get_u8(&r)};
  a.home = get_u16be(&r);
  a.epoch = get_u64be(&r);
  get_copy(&r, a.country, 2);
  a.found = a.kind == HOME_KNOWN || a.kind == HOME_RENEWED;
  if (a.kind > HOME_KNOWN && get_u8(&r) != HOME_LONGER) return false;
  if (!reader_end(&r) || a.kind > HOME_RENEWED) return false;
  if (a.kind != HOME_NONE && (a.home == 0 || a.epoch == 0)) return false;
  *out = a;
  return true;
}

void subject_token(const struct subjects *s, struct slice tenant, struct slice id, uint8_t out[TOKEN_SIZE]) {
  assert(tenant.len <= SUBJECT_ACCOUNT_MAX && id.len <= SUBJECT_ID_MAX);
  uint8_t message[SUBJECT_ACCOUNT_MAX + 1 + SUBJECT_ID_MAX];
  memcpy(message, tenant.data, tenant.len);
  message[tenant.len] = 0;
  memcpy(message + tenant.len + 1, id.data, id.len);
  hmac_sha256(slice_of(s->o.route_key, KEY_SIZE), slice_of(message, tenant.len + 1 + id.len), out);
  wipe(message, sizeof message);
}

void bucket_pseudo_token(const struct subjects *s, const uint8_t id[STORE_BUCKET_ID_SIZE],
                         uint8_t out[TOKEN_SIZE]) {
  uint8_t message[6 + STORE_BUCKET_ID_SIZE] = "bucket";
  memcpy(message + 6, id, STORE_BUCKET_ID_SIZE);
  hmac_sha256(slice_of(s->o.route_key, KEY_SIZE), slice_of(message, sizeof message), out);
}

static void who_here(const struct store_subject *row, struct subject_who *out) {
  assert(store_subject_lives(row) && row->epoch > 0);
  out->where = SUBJECT_HERE;
  out->home = row->home;
  out->epoch = row->epoch;
  out->state = row->state;
  memcpy(out->country, row->country, 2);
}

static void who_elsewhere(const struct home_answer *a, struct subject_who *out) {
  assert(a->home != 0 && a->epoch > 0);
  out->where = SUBJECT_ELSEWHERE;
  out->home = a->home;
  out->epoch = a->epoch;
  memcpy(out->country, a->country, 2);
}

/* The statement this region kept when the subject left; none when it was never home since. */
static enum dom_code who_statement(struct store_view *v, struct subject_who *out, struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = subject_statement_kept(v, out->token, &value, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code || value.len > SUBJECT_STATEMENT_MAX)
    return dom_fail(err, DOM_CORRUPT, "subject/home: statement", "the kept statement cannot be read");
  memcpy(out->statement, value.data, value.len);
  out->statement_len = (uint32_t)value.len;
  out->has_statement = true;
  return DOM_OK;
}

/* This region is no home: the tombstone, unless somebody told of a later move. */
static enum dom_code who_left(struct subjects *s, struct store_view *v, const struct store_subject *row,
                              struct subject_who *out, struct dom_err *err) {
  struct home_answer a = {.found = true, .kind = HOME_KNOWN, .home = row->home, .epoch = row->epoch};
  assert(row->state == SUBJECT_MOVED && row->home != s->o.region);
  memcpy(a.country, row->country, 2);
  struct home_answer later;
  bool has_later =
      home_cache_get(s->cache, out->token, &later) && later.epoch > row->epoch && later.home != s->o.region;
  who_elsewhere(has_later ? &later : &a, out);
  return has_later ? DOM_OK : who_statement(v, out, err);
}

/* Nobody here knows the token, or only that it was erased here under `erased` (0: not so): the cache, else
 * the registrar. */
static enum dom_code who_ask(struct subjects *s, uint64_t erased, struct subject_who *out,
                             struct dom_err *err) {
  struct home_answer a;
  if (home_cache_get(s->cache, out->token, &a) && a.home != s->o.region && a.epoch > erased) {
    who_elsewhere(&a, out);
    return DOM_OK;
  }
  BUF_AUTO reply = BUF_INIT;
  enum dom_code code = registrar_ask(s, "registrar/find", slice_of(out->token, TOKEN_SIZE), &reply, err);
  if (code) return code;
  if (!home_answer_get(buf_slice(&reply), &a))
    return dom_fail(err, DOM_UNAVAILABLE, "subject/home: ask", "the registrar's answer does not decode");
  /* What the registrar has yet to hear of an erasure here counts as heard. */
  if (!a.found || a.epoch <= erased) {
    out->where = SUBJECT_UNREGISTERED;
    return DOM_OK;
  }
  if (a.home != s->o.region) {
    home_cache_put(s->cache, out->token, &a);
    who_elsewhere(&a, out);
    return DOM_OK;
  }
  /* The registrar homes it here and the row is missing: a crash fell between the two halves of a
   * registration. A later epoch than a registration's arrives with a signed statement. */
  if (!home_answer_registers(&a))
    return dom_fail(
        err, DOM_UNAVAILABLE, "subject/home: ask",
        "the registrar names this region as home under a later epoch than it knows: repair needed");
  code = register_adopt(s, out->token, &a, err);
  return code ? code : DOM_RETRY;
}

enum dom_code subject_resolve_token(struct subjects *s, struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                    struct subject_who *out, struct dom_err *err) {
  assert(s && v && out);
  struct subject_who who = {0};
  memcpy(who.token, token, TOKEN_SIZE);
  struct store_subject row;
  enum dom_code code = hold_check(s, err);
  if (code) return code;
  code = store_subject_get(v, token, &row, NULL);
  if (code == DOM_OK && store_subject_lives(&row))
    who_here(&row, &who);
  else if (code == DOM_OK && row.state == SUBJECT_MOVED)
    code = who_left(s, v, &row, &who, err);
  else if (code == DOM_OK || code == DOM_NOT_FOUND)
    code = who_ask(s, code == DOM_OK ? row.epoch_allotted : 0, &who, err);
  else
    dom_fail(err, code, "subject/home: resolve", "the subject's row cannot be read");
  if (code == DOM_OK) *out = who;
  return code;
}

/* A bucket's own keys: their home is the bucket's region for ever. */
static enum dom_code resolve_pseudo(struct subjects *s, struct store_view *v, const struct subject_bucket *b,
                                    struct subject_who *out, struct dom_err *err) {
  struct subject_who who = {.pseudo = true};
  enum dom_code held = hold_check(s, err);
  if (held) return held;
  bucket_pseudo_token(s, b->id, who.token);
  struct home_answer a = {.found = true, .kind = HOME_KNOWN, .home = b->region, .epoch = 1};
  struct charter *c = subject_charter(s);
  const struct charter_region *region = c ? charter_region_by_number(c, b->region) : NULL;
  if (region) memcpy(a.country, region->jurisdiction, 2);
  charter_release(c);
  if (!region)
    return dom_fail(err, DOM_REFUSED, "subject/home: bucket",
                    "the bucket's region is not in the charter in force");
  if (b->region != s->o.region) {
    who_elsewhere(&a, &who);
    *out = who;
    return DOM_OK;
  }
  struct store_subject row;
  enum dom_code code = store_subject_get(v, who.token, &row, NULL);
  if (code == DOM_NOT_FOUND) {
    code = register_adopt(s, who.token, &a, err);
    return code ? code : DOM_RETRY;
  }
  if (code) return dom_fail(err, code, "subject/home: bucket", "the bucket's own row cannot be read");
  who_here(&row, &who);
  *out = who;
  return DOM_OK;
}

enum dom_code subject_token_of(const struct subjects *s, const struct subject_bucket *b, struct slice key,
                               uint8_t out[TOKEN_SIZE], struct dom_err *err) {
  struct slice id, prefix;
  if (subject_layout_match(&b->layout, key, &id, &prefix))
    subject_token(s, slice_str(b->owner), id, out);
  else if (b->keep_unmatched || b->layout.count == 0)
    bucket_pseudo_token(s, b->id, out);
  else
    return dom_fail(err, DOM_INVALID, "subject/home: layout",
                    "the key matches no template of the bucket's layout");
  return DOM_OK;
}

enum dom_code subject_resolve(struct subjects *s, struct store_view *v, const struct subject_bucket *b,
                              struct slice key, struct subject_who *out, struct dom_err *err) {
  assert(s && v && b && out);
  struct slice id, prefix;
  if (!subject_layout_match(&b->layout, key, &id, &prefix)) {
    if (b->keep_unmatched || b->layout.count == 0) return resolve_pseudo(s, v, b, out, err);
    return dom_fail(err, DOM_INVALID, "subject/home: layout",
                    "the key matches no template of the bucket's layout");
  }
  uint8_t token[TOKEN_SIZE];
  subject_token(s, slice_str(b->owner), id, token);
  struct subject_who who;
  enum dom_code code = subject_resolve_token(s, v, token, &who, err);
  if (code) return code;
  who.id = id;
  who.prefix = prefix;
  *out = who;
  return DOM_OK;
}

void subject_learn(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint16_t home, uint64_t epoch,
                   const char country[2]) {
  struct home_answer a = {.found = true, .kind = HOME_KNOWN, .home = home, .epoch = epoch};
  memcpy(a.country, country, 2);
  if (home != 0 && epoch != 0) home_cache_put(s->cache, token, &a); /* a peer said so: it may be nonsense */
}

enum dom_code subject_ask_again(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint16_t *home,
                                uint64_t *epoch, struct dom_err *err) {
  assert(s && *home);
  BUF_AUTO reply = BUF_INIT;
  struct home_answer a;
  enum dom_code code = registrar_ask(s, "registrar/find", slice_of(token, TOKEN_SIZE), &reply, err);
  if (code) return code;
  if (!home_answer_get(buf_slice(&reply), &a))
    return dom_fail(err, DOM_UNAVAILABLE, "subject/home: ask again",
                    "the registrar's answer does not decode");
  if (!a.found || a.home == *home || a.home == s->o.region || a.epoch <= *epoch)
    return dom_fail(err, DOM_NOT_FOUND, "subject/home: ask again", "the registrar knows no later home");
  home_cache_put(s->cache, token, &a);
  *home = a.home;
  *epoch = a.epoch;
  return DOM_OK;
}
