/* A bucket's configuration as a region keeps it: one document, a cache of decoded ones, and how a change is
 * asked for. Row, big-endian: form 1 u8 | version u64 | count u8 | count × (part u8, value u32-prefixed),
 * parts ascending, each once, none empty. docs/formats/registrar.md. */
#include <assert.h>

#include "subject/subject_internal.h"

enum { CONFIG_FORM = 1 };

/* In bytes. S3 allows policies of 20 KiB, 100 CORS rules in 64 KiB, 1,000 lifecycle rules, 50 tags of 128 and
 * 256 characters, 100 grants. What S3 bounds by count alone is bounded in bytes so that a whole document
 * stays below STORE_ROW_VALUE_MAX: 256 KiB are 1,000 rules of 262 bytes. */
static const size_t PART_BYTES_MAX[SUBJECT_PART_LIMIT] = {
    [SUBJECT_PART_POLICY] = 20 << 10,       [SUBJECT_PART_CORS] = 64 << 10,
    [SUBJECT_PART_LIFECYCLE] = 256 << 10,   [SUBJECT_PART_TAGGING] = 96 << 10,
    [SUBJECT_PART_ACL] = 64 << 10,          [SUBJECT_PART_ENCRYPTION] = 4 << 10,
    [SUBJECT_PART_PUBLIC_ACCESS] = 4 << 10, [SUBJECT_PART_OWNERSHIP] = 4 << 10,
    [SUBJECT_PART_OBJECT_LOCK] = 4 << 10,
};
enum { CONFIG_BYTES_MAX = (20 + 64 + 256 + 96 + 64 + 4 * 4) << 10 };
static_assert(CONFIG_BYTES_MAX + 64 < STORE_ROW_VALUE_MAX, "a document fits a row");

size_t subject_part_max(enum subject_part part) {
  assert(part >= SUBJECT_PART_POLICY && part < SUBJECT_PART_LIMIT);
  return PART_BYTES_MAX[part];
}

/* ---- document ---------------------------------------------------------------------------------- */

uint32_t config_parts(const struct config_document *d) {
  uint32_t parts = 0;
  for (unsigned i = 1; i < SUBJECT_PART_LIMIT; i++)
    if (d->part[i].data) parts |= UINT32_C(1) << i;
  return parts;
}

void config_encode(struct buf *b, const struct config_document *d) {
  uint8_t count = 0;
  assert(d->version > 0);
  for (unsigned i = 1; i < SUBJECT_PART_LIMIT; i++)
    if (d->part[i].data) count++;
  put_u8(b, CONFIG_FORM);
  put_u64be(b, d->version);
  put_u8(b, count);
  for (unsigned i = 1; i < SUBJECT_PART_LIMIT; i++) {
    if (!d->part[i].data) continue;
    assert(d->part[i].len > 0 && d->part[i].len <= PART_BYTES_MAX[i]);
    put_u8(b, (uint8_t)i);
    put_bytes32be(b, d->part[i]);
  }
}

enum dom_code config_decode(struct slice bytes, struct config_document *out, struct dom_err *err) {
  struct reader r = reader_of(bytes);
  bool good = get_u8(&r) == CONFIG_FORM;
  struct config_document d = {.version = get_u64be(&r)};
  uint8_t count = get_u8(&r), last = 0;
  good = good && d.version > 0;
  for (unsigned i = 0; good && i < count; i++) {
    uint8_t part = get_u8(&r);
    struct slice value = get_bytes32be(&r);
    good = !r.bad && part > last && part < SUBJECT_PART_LIMIT && value.len > 0 &&
           value.len <= PART_BYTES_MAX[part];
    if (good) d.part[part] = value;
    last = part;
  }
  if (!good || !reader_end(&r))
    return dom_fail(err, DOM_CORRUPT, "subject/config: decode", "a bucket's configuration does not decode");
  *out = d;
  return DOM_OK;
}

/* ---- decoded configurations, by bucket and version --------------------------------------------------- */

struct subject_config {
  atomic_uint users;
  uint8_t id[STORE_BUCKET_ID_SIZE];
  struct config_document document; /* slices point into bytes */
  struct buf bytes;
};

/* Direct-mapped by the bucket's random id: bounded, needs no eviction. A miss costs one index read. */
enum { CONFIG_CACHE_SLOTS = 256 };
struct config_cache {
  pthread_mutex_t lock;
  struct subject_config *slot[CONFIG_CACHE_SLOTS];
  struct subject_config *empty; /* of every bucket that was never configured */
};

static struct subject_config *config_new(void) {
  struct subject_config *c = dom_calloc(1, sizeof *c);
  if (c) atomic_init(&c->users, 1);
  return c;
}

static struct subject_config *config_hold(struct subject_config *c) {
  assert(atomic_load(&c->users) > 0);
  atomic_fetch_add(&c->users, 1);
  return c;
}

void subject_config_release(struct subject_config *c) {
  if (!c) return;
  assert(atomic_load(&c->users) > 0);
  if (atomic_fetch_sub(&c->users, 1) != 1) return;
  buf_done(&c->bytes);
  dom_free(c);
}

struct slice subject_config_part(const struct subject_config *c, enum subject_part part) {
  assert(c && part >= SUBJECT_PART_POLICY && part < SUBJECT_PART_LIMIT);
  return c->document.part[part];
}

struct config_cache *config_cache_new(void) {
  struct config_cache *cache = dom_calloc(1, sizeof *cache);
  if (!cache) return NULL;
  pthread_mutex_init(&cache->lock, NULL);
  cache->empty = config_new();
  if (cache->empty) return cache;
  config_cache_free(cache);
  return NULL;
}

void config_cache_free(struct config_cache *cache) {
  if (!cache) return;
  for (unsigned i = 0; i < CONFIG_CACHE_SLOTS; i++) subject_config_release(cache->slot[i]);
  subject_config_release(cache->empty);
  pthread_mutex_destroy(&cache->lock);
  dom_free(cache);
}

static struct subject_config *cache_find(struct config_cache *cache, const struct subject_bucket *b) {
  pthread_mutex_lock(&cache->lock);
  struct subject_config *c = cache->slot[b->id[0]];
  bool hit = c && memcmp(c->id, b->id, sizeof c->id) == 0 && c->document.version == b->config_version;
  if (hit) config_hold(c);
  pthread_mutex_unlock(&cache->lock);
  return hit ? c : NULL;
}

static void cache_keep(struct config_cache *cache, struct subject_config *c) {
  pthread_mutex_lock(&cache->lock);
  struct subject_config **slot = &cache->slot[c->id[0]], *old = *slot;
  bool older =
      old && memcmp(old->id, c->id, sizeof c->id) == 0 && old->document.version > c->document.version;
  if (!older) *slot = config_hold(c);
  pthread_mutex_unlock(&cache->lock);
  if (!older) subject_config_release(old);
}

static enum dom_code config_read(struct store_view *v, const struct subject_bucket *b,
                                 struct subject_config *c, struct dom_err *err) {
  enum dom_code code = store_row_get(v, STORE_TABLE_CONFIG, slice_of(b->id, sizeof b->id), &c->bytes, NULL);
  if (code == DOM_NOT_FOUND) return DOM_RETRY; /* the bucket went since it was looked up */
  if (code) return dom_fail(err, code, "subject/config: get", "the row cannot be read");
  code = config_decode(buf_slice(&c->bytes), &c->document, err);
  memcpy(c->id, b->id, sizeof c->id);
  return code || c->document.version == b->config_version ? code : DOM_RETRY;
}

enum dom_code subject_config_get(struct subjects *s, struct store_view *v, const struct subject_bucket *b,
                                 struct subject_config **out, struct dom_err *err) {
  assert(s && v && b && out);
  if (b->config_version == 0) {
    *out = config_hold(s->configs->empty);
    return DOM_OK;
  }
  struct subject_config *c = cache_find(s->configs, b);
  if (!c) {
    c = config_new();
    if (!c) return dom_fail(err, DOM_NO_MEMORY, "subject/config: get", "no memory");
    enum dom_code code = config_read(v, b, c, err);
    if (code) {
      subject_config_release(c);
      return code;
    }
    cache_keep(s->configs, c);
  }
  *out = c;
  return DOM_OK;
}

/* ---- a change is asked for --------------------------------------------------------------------------- */

/* Message "registry/config": name u16 | id 16 | part u8 | versioning u8 | remove u8 | on top of u64 | value
 * u32. It always says on top of which configuration: one that was held up on its way and comes after a later
 * one changes nothing. */
static void change_encode(struct buf *b, const struct subject_bucket *k,
                          const struct subject_config_change *change, uint64_t on_top_of) {
  put_bytes16be(b, slice_str(k->name));
  buf_append(b, k->id, STORE_BUCKET_ID_SIZE);
  put_u8(b, (uint8_t)change->part);
  put_u8(b, (uint8_t)change->versioning);
  put_u8(b, change->remove);
  put_u64be(b, on_top_of);
  put_bytes32be(b, change->value);
}

/* DOM_RETRY: another change came first. */
static enum dom_code ask_change(struct subjects *s, const struct subject_bucket *k,
                                const struct subject_config_change *change, uint64_t on_top_of,
                                struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  change_encode(&body, k, change, on_top_of);
  enum dom_code code = buf_check(&body, err);
  return code ? code : registrar_ask(s, "registry/config", buf_slice(&body), &reply, err);
}

/* On top of whatever there is: this region may know an older configuration than the registrar has. */
static enum dom_code ask_until_first(struct subjects *s, const struct subject_bucket *b,
                                     const struct subject_config_change *change, struct dom_err *err) {
  uint64_t on_top_of = change->only_if ? change->if_version : b->config_version;
  for (int i = 0; i < SUBJECT_CONFIG_RACES_MAX; i++) {
    struct subject_bucket now;
    struct dom_err why = {0};
    enum dom_code code = ask_change(s, b, change, on_top_of, &why);
    if (code == DOM_OK) return code;
    if (code != DOM_RETRY) return dom_fail(err, code, "subject/config: change", "%s", why.text);
    code = bucket_fetch(s, slice_str(b->name), &now, err);
    if (!code && change->only_if) break; /* who looks again sees the other change */
    if (!code && memcmp(now.id, b->id, sizeof now.id) != 0) code = DOM_NOT_FOUND;
    if (code) return dom_fail(err, code, "subject/config: change", "no such bucket");
    on_top_of = now.config_version;
  }
  return dom_fail(err, DOM_BUSY, "subject/config: change",
                  "the configuration was changed by somebody else meanwhile: read it again");
}

enum dom_code subject_configure(struct subjects *s, const struct subject_bucket *b,
                                const struct subject_config_change *change, struct dom_err *err) {
  assert(s && b && change->part < SUBJECT_PART_LIMIT);
  assert(change->part != 0 || (!change->remove && change->versioning != VERSIONING_NEVER));
  assert(change->part == 0 || change->remove == (change->value.len == 0));
  if (change->part != 0 && change->value.len > subject_part_max(change->part))
    return dom_fail(err, DOM_TOO_LARGE, "subject/config: change", "at most %zu bytes",
                    subject_part_max(change->part));
  enum dom_code code;
  if (atomic_fetch_add(&s->spread.asking, 1) >= SUBJECT_CONFIG_ASKING_MAX)
    code = dom_fail(err, DOM_UNAVAILABLE, "subject/config: change",
                    "too many changes of configuration wait in this region; try again");
  else
    code = ask_until_first(s, b, change, err);
  atomic_fetch_sub(&s->spread.asking, 1);
  return code;
}

/* ---- what was missed ------------------------------------------------------------------------------------
 */

/* Message "registry/behind": (name u16, id 16, version u64)*; the answer: (name u16)* of those that are newer
 * at the registrar. So many a message keep it small and the registrar's view short. */
enum { BEHIND_BUCKETS_MAX = 1000 };

struct known {
  struct buf body;
  unsigned count;
  char last[SUBJECT_BUCKET_NAME_MAX + 1];
};

static bool gather_known(void *arg, struct slice key, struct slice value) {
  struct known *n = arg;
  struct subject_bucket k;
  (void)key;
  if (bucket_decode(value, &k, NULL)) return true; /* whoever uses it is told */
  put_bytes16be(&n->body, slice_str(k.name));
  buf_append(&n->body, k.id, STORE_BUCKET_ID_SIZE);
  put_u64be(&n->body, k.version);
  memcpy(n->last, k.name, sizeof n->last);
  return ++n->count < BEHIND_BUCKETS_MAX;
}

static enum dom_code take_missed(struct subjects *s, struct slice names, struct dom_err *err) {
  struct reader r = reader_of(names);
  enum dom_code code = DOM_OK;
  while (r.left && !code) {
    struct slice name = get_bytes16be(&r);
    struct subject_bucket k;
    if (r.bad || name.len == 0 || name.len > SUBJECT_BUCKET_NAME_MAX)
      return dom_fail(err, DOM_UNAVAILABLE, "subject/config: missed",
                      "the registrar's answer does not decode");
    code = bucket_fetch(s, name, &k, err);
    if (code == DOM_NOT_FOUND) code = DOM_OK; /* gone since it was asked for */
  }
  return code;
}

/* One message about the buckets after n->last. */
static enum dom_code ask_missed(struct subjects *s, struct known *n, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  char after[SUBJECT_BUCKET_NAME_MAX + 1];
  memcpy(after, n->last, sizeof after);
  buf_reset(&n->body);
  n->count = 0;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code)
    code = store_row_scan(v, STORE_TABLE_BUCKET, SLICE_LIT(""), slice_str(after), gather_known, n, err);
  if (!code) code = buf_check(&n->body, err);
  if (code || n->count == 0) return code;
  store_view_close(v); /* what follows waits for the registrar */
  v = NULL;
  BUF_AUTO reply = BUF_INIT;
  code = registrar_ask_within(s, "registry/behind", buf_slice(&n->body), SUBJECT_CONFIG_ASK_MS, &reply, err);
  return code ? code : take_missed(s, buf_slice(&reply), err);
}

static enum dom_code catch_up(struct subjects *s, struct dom_err *err) {
  struct known n = {.count = BEHIND_BUCKETS_MAX};
  enum dom_code code = DOM_OK;
  while (!code && n.count == BEHIND_BUCKETS_MAX) code = ask_missed(s, &n, err);
  buf_done(&n.body);
  return code;
}

enum dom_code subject_config_upkeep(struct subjects *s, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  bool is_registrar = registrar_is_here(s, NULL) == DOM_OK;
  uint64_t now_ms = clock_mono_ns(s->o.clock) / 1000000;
  if (is_registrar) return config_registry_upkeep(s, err);
  if (!s->o.net || now_ms < atomic_load(&s->spread.ask_at_ms)) return DOM_OK;
  atomic_store(&s->spread.ask_at_ms, now_ms + SUBJECT_CONFIG_ASK_EVERY_MS);
  code = catch_up(s, err);
  if (code) atomic_store(&s->spread.ask_at_ms, 0);
  return code;
}
