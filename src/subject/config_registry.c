/* The registrar's side of configurations. A change is durable here first, with the next version and a row in
 * CONFIG_OWED that says "not everywhere yet"; then every region of the charter is told the bucket's whole
 * state (never a difference, so that messages may be lost, doubled and overtake each other), and when all of
 * them acknowledged the row goes. A change is never taken back: what was interrupted is told again, by the
 * same change asked for again or by upkeep. */
#include <assert.h>
#include <stdio.h>

#include "subject/subject_internal.h"

static uint64_t mono_ms(struct subjects *s) {
  return clock_mono_ns(s->o.clock) / 1000000;
}

/* ---- telling every region --------------------------------------------------------------------------- */

/* Names of the regions that are missing, for the client. */
struct missing {
  char names[160];
  size_t len;
  unsigned count;
};

static void missing_add(struct missing *m, const char *name) {
  int n = snprintf(m->names + m->len, sizeof m->names - m->len, "%s%s", m->count ? ", " : "", name);
  if (n > 0 && m->len + (size_t)n < sizeof m->names)
    m->len += (size_t)n;
  else
    m->names[m->len] = 0;
  m->count++;
}

struct telling {
  struct slice body;
  uint64_t end_ms; /* monotonic */
  bool skip_silent;
  struct missing missing;
};

static void tell_one(struct subjects *s, const struct charter_region *region, struct telling *t) {
  _Atomic uint64_t *silent = &s->spread.silent_until_ms[region->number % CHARTER_REGIONS_MAX];
  uint64_t now = mono_ms(s);
  BUF_AUTO reply = BUF_INIT;
  if (now >= t->end_ms) {
    missing_add(&t->missing, region->name);
    return;
  }
  uint64_t left = t->end_ms - now;
  uint32_t wait = left < SUBJECT_CONFIG_TELL_MS ? (uint32_t)left : SUBJECT_CONFIG_TELL_MS;
  enum dom_code code = registry_tell(s, region->number, "bucket/set", t->body, wait, &reply, NULL);
  if (code) missing_add(&t->missing, region->name);
  bool silent_now = code == DOM_UNAVAILABLE || code == DOM_TIMEOUT;
  atomic_store(silent, silent_now ? mono_ms(s) + SUBJECT_CONFIG_SILENT_MS : 0);
}

/* Those that answered lately come first, so that one that is dead delays no other. */
static void tell_regions(struct subjects *s, const struct charter *c, struct telling *t) {
  bool is_silent[CHARTER_REGIONS_MAX];
  assert(charter_region_count(c) <= CHARTER_REGIONS_MAX);
  uint64_t now = mono_ms(s);
  for (unsigned i = 0; i < charter_region_count(c); i++) {
    const struct charter_region *region = charter_region_at(c, i);
    is_silent[i] = atomic_load(&s->spread.silent_until_ms[region->number % CHARTER_REGIONS_MAX]) > now;
    if (!is_silent[i]) tell_one(s, region, t);
  }
  for (unsigned i = 0; i < charter_region_count(c); i++) {
    if (!is_silent[i]) continue;
    if (t->skip_silent)
      missing_add(&t->missing, charter_region_at(c, i)->name);
    else
      tell_one(s, charter_region_at(c, i), t);
  }
}

struct settle {
  struct slice name;
  uint64_t version, charter;
};

/* Everywhere: the row goes, unless a later change put it there anew, or the charter has other regions since.
 */
static enum dom_code settle_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  const struct settle *e = arg;
  BUF_AUTO value = BUF_INIT;
  (void)s;
  enum dom_code code = store_row_get(v, STORE_TABLE_CONFIG_OWED, e->name, &value, NULL);
  if (code == DOM_NOT_FOUND) return DOM_EXISTS;
  if (code || value.len != 8)
    return dom_fail(err, DOM_CORRUPT, "subject/config: settle", "the row of what is owed cannot be read");
  if (load_u64be(value.data) > e->version) return DOM_EXISTS;
  code = subject_charter_guard(v, tx, e->charter, err);
  return code ? code : store_tx_row_delete(tx, STORE_TABLE_CONFIG_OWED, e->name, err);
}

/* Tells every region the bucket's present state. DOM_UNAVAILABLE names who is missing. */
static enum dom_code spread(struct subjects *s, struct slice name, bool skip_silent, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO body = BUF_INIT;
  struct subject_bucket k;
  struct charter *c = subject_charter(s);
  assert(c);
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = registry_state(v, name, &k, &body, err);
  store_view_close(v); /* what follows waits for other regions */
  v = NULL;
  struct telling t = {.body = buf_slice(&body), .skip_silent = skip_silent};
  t.end_ms = mono_ms(s) + SUBJECT_CONFIG_SPREAD_MS;
  if (!code) tell_regions(s, c, &t);
  uint64_t version = charter_version(c);
  charter_release(c);
  if (code) return code;
  if (t.missing.count)
    return dom_fail(err, DOM_UNAVAILABLE, "subject/config: spread",
                    "not in force in %s yet; it is elsewhere, and goes on by itself: repeat the request to "
                    "learn when it is everywhere",
                    t.missing.names);
  code = subject_change(s, settle_step, &(struct settle){name, k.version, version}, err);
  if (code != DOM_STALE_EPOCH) return code;
  return dom_fail(err, DOM_UNAVAILABLE, "subject/config: spread",
                  "a new charter came into force meanwhile: repeat the request");
}

/* ---- a change ---------------------------------------------------------------------------------------------
 */

struct change {
  struct slice name, id;
  struct subject_config_change want; /* if_version counts, whatever only_if says */
  bool stale;                        /* another change came first */
  bool done;                         /* is there already, everywhere */
};

static enum dom_code change_decode(struct slice body, struct change *out, struct dom_err *err) {
  struct reader r = reader_of(body);
  struct change c = {.name = get_bytes16be(&r), .id = get_slice(&r, STORE_BUCKET_ID_SIZE)};
  uint8_t part = get_u8(&r), versioning = get_u8(&r);
  c.want.remove = get_u8(&r) != 0;
  c.want.if_version = get_u64be(&r);
  c.want.value = get_bytes32be(&r);
  bool good = reader_end(&r) && c.name.len > 0 && c.name.len <= SUBJECT_BUCKET_NAME_MAX &&
              part < SUBJECT_PART_LIMIT && versioning <= VERSIONING_SUSPENDED;
  if (good && part == 0)
    good = versioning != VERSIONING_NEVER && c.want.value.len == 0 && !c.want.remove;
  else if (good)
    good = c.want.remove == (c.want.value.len == 0) &&
           c.want.value.len <= subject_part_max((enum subject_part)part);
  if (!good) return dom_fail(err, DOM_INVALID, "subject/config: message", "does not decode");
  c.want.part = (enum subject_part)part;
  c.want.versioning = (enum subject_versioning)versioning;
  *out = c;
  return DOM_OK;
}

/* What S3 never allows, whoever asks. */
static enum dom_code change_allowed(const struct subject_config_change *want, const struct subject_bucket *k,
                                    struct dom_err *err) {
  bool lock = subject_bucket_has(k, SUBJECT_PART_OBJECT_LOCK);
  if (want->part == 0 && want->versioning == VERSIONING_SUSPENDED && lock)
    return dom_fail(err, DOM_INVALID, "subject/config: change",
                    "versioning cannot be suspended in a bucket with object lock");
  if (want->part == SUBJECT_PART_OBJECT_LOCK && want->remove)
    return dom_fail(err, DOM_INVALID, "subject/config: change", "object lock cannot be taken away");
  if (want->part == SUBJECT_PART_OBJECT_LOCK && k->versioning != VERSIONING_ENABLED)
    return dom_fail(err, DOM_INVALID, "subject/config: change", "object lock needs versioning enabled");
  return DOM_OK;
}

static bool change_is_there(const struct subject_config_change *want, const struct subject_bucket *k,
                            const struct config_document *d) {
  if (want->part == 0) return k->versioning == want->versioning;
  return want->remove ? !d->part[want->part].data
                      : d->part[want->part].data && slice_equal(d->part[want->part], want->value);
}

/* The registrar's rows under the next version. */
static enum dom_code change_put(struct store_tx *tx, struct subject_bucket *k, struct config_document *d,
                                const struct subject_config_change *want, struct dom_err *err) {
  assert(k->version < UINT64_MAX && k->state == BUCKET_ACTIVE);
  if (want->part == 0)
    k->versioning = want->versioning;
  else
    d->part[want->part] = want->remove ? slice_of(NULL, 0) : want->value;
  d->version = k->config_version = ++k->version;
  k->config_parts = config_parts(d);
  BUF_AUTO document = BUF_INIT;
  BUF_AUTO owed = BUF_INIT;
  config_encode(&document, d);
  put_u64be(&owed, k->version);
  enum dom_code code = buf_check(&document, err);
  if (!code) code = buf_check(&owed, err);
  if (!code) code = registry_put(tx, k, err);
  if (!code)
    code = store_tx_row_put(tx, STORE_TABLE_REGISTRY_CONFIG, slice_of(k->id, sizeof k->id),
                            buf_slice(&document), err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_CONFIG_OWED, slice_str(k->name), buf_slice(&owed), err);
}

/* The bucket and its decoded document; `bytes` holds what the document points into. */
static enum dom_code change_base(struct store_view *v, const struct change *c, struct subject_bucket *k,
                                 struct config_document *d, struct buf *bytes, struct dom_err *err) {
  enum dom_code code = registry_get(v, c->name, k, err);
  if (code || !slice_equal(c->id, slice_of(k->id, sizeof k->id)))
    return dom_fail(err, code ? code : DOM_NOT_FOUND, "subject/config: change", "no such bucket");
  if (k->state != BUCKET_ACTIVE)
    return dom_fail(err, DOM_BUSY, "subject/config: change", "the bucket is being deleted; try again");
  *d = (struct config_document){0};
  if (!k->config_version) return DOM_OK;
  code = store_row_get(v, STORE_TABLE_REGISTRY_CONFIG, c->id, bytes, NULL);
  if (code) return dom_fail(err, DOM_CORRUPT, "subject/config: change", "the row cannot be read");
  return config_decode(buf_slice(bytes), d, err);
}

static enum dom_code change_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  struct change *c = arg;
  struct subject_bucket k;
  struct config_document d;
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO owed = BUF_INIT;
  (void)s;
  c->stale = c->done = false;
  enum dom_code code = change_base(v, c, &k, &d, &bytes, err);
  if (code) return code;
  if (change_is_there(&c->want, &k, &d)) {
    code = store_row_get(v, STORE_TABLE_CONFIG_OWED, c->name, &owed, NULL);
    c->done = code == DOM_NOT_FOUND;
    if (code && !c->done) return dom_fail(err, code, "subject/config: change", "cannot be read");
    return DOM_EXISTS;
  }
  c->stale = c->want.if_version != k.config_version;
  if (c->stale) return DOM_EXISTS;
  code = change_allowed(&c->want, &k, err);
  return code ? code : change_put(tx, &k, &d, &c->want, err);
}

enum dom_code config_registry_change(struct subjects *s, struct slice body, struct dom_err *err) {
  struct change c = {0};
  enum dom_code code = change_decode(body, &c, err);
  if (code) return code;
  if (atomic_fetch_add(&s->spread.telling, 1) >= SUBJECT_CONFIG_TELLING_MAX)
    code = dom_fail(err, DOM_UNAVAILABLE, "subject/config: change",
                    "too many changes of configuration wait at the registrar; try again");
  if (!code) code = subject_change(s, change_step, &c, err);
  if (!code && c.stale) code = DOM_RETRY; /* it asks again on top of the other */
  if (!code && !c.done) code = spread(s, c.name, false, err);
  atomic_fetch_sub(&s->spread.telling, 1);
  return code;
}

/* ---- what regions missed, and what they are owed
 * ------------------------------------------------------------ */

enum dom_code config_registry_behind(struct subjects *s, struct slice body, struct buf *reply,
                                     struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct reader r = reader_of(body);
  enum dom_code code = store_view_open(s->o.store, &v, err);
  while (!code && r.left) {
    struct slice name = get_bytes16be(&r), id = get_slice(&r, STORE_BUCKET_ID_SIZE);
    uint64_t version = get_u64be(&r);
    struct subject_bucket k;
    if (r.bad || name.len == 0 || name.len > SUBJECT_BUCKET_NAME_MAX)
      return dom_fail(err, DOM_INVALID, "subject/config: behind", "does not decode");
    code = registry_get(v, name, &k, err);
    if (code == DOM_NOT_FOUND) {
      code = DOM_OK;
      continue;
    }
    bool same = !code && slice_equal(id, slice_of(k.id, sizeof k.id));
    if (!code && (!same || k.version > version)) put_bytes16be(reply, name);
  }
  return code ? code : buf_check(reply, err);
}

struct owed {
  char name[SUBJECT_BUCKET_NAME_MAX + 1];
  bool found;
};

static bool take_owed(void *arg, struct slice key, struct slice value) {
  struct owed *o = arg;
  (void)value;
  assert(key.len > 0 && key.len <= SUBJECT_BUCKET_NAME_MAX);
  memcpy(o->name, key.data, key.len);
  o->name[key.len] = 0;
  o->found = true;
  return false;
}

static enum dom_code next_owed(struct subjects *s, struct owed *o, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  char after[sizeof o->name];
  memcpy(after, o->name, sizeof after);
  o->found = false;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  return code
             ? code
             : store_row_scan(v, STORE_TABLE_CONFIG_OWED, SLICE_LIT(""), slice_str(after), take_owed, o, err);
}

enum dom_code config_registry_upkeep(struct subjects *s, struct dom_err *err) {
  enum dom_code code = DOM_OK, first = DOM_OK;
  struct owed o = {.found = true};
  while (!code && o.found) {
    code = next_owed(s, &o, err);
    if (code || !o.found) break;
    enum dom_code told = spread(s, slice_str(o.name), true, err);
    if (told && told != DOM_NOT_FOUND && !first) first = told; /* one bucket's does not stop another's */
  }
  return code ? code : first;
}
