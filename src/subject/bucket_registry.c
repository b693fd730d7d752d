/* The registrar's side of buckets: names are given out once, a deletion is agreed with every region.
 *
 * Delete: the registry row says DELETING (durable), every region takes that in (no commit passes its
 * guards from then on), every region reports empty; then the rows go everywhere, the registry's last.
 * Anything else rolls back to ACTIVE with a higher version. A crash in between leaves DELETING, which upkeep
 * rolls back. */
#include <assert.h>

#include "subject/subject_internal.h"

enum dom_code registry_get(struct store_view *v, struct slice name, struct subject_bucket *out,
                           struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_REGISTRY, name, &value, NULL);
  if (code == DOM_NOT_FOUND) return code;
  if (code) return dom_fail(err, code, "subject/registry: row", "cannot be read");
  return bucket_decode(buf_slice(&value), out, err);
}

enum dom_code registry_put(struct store_tx *tx, const struct subject_bucket *k, struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  bucket_encode(&value, k);
  enum dom_code code = buf_check(&value, err);
  return code ? code : store_tx_row_put(tx, STORE_TABLE_REGISTRY, slice_str(k->name), buf_slice(&value), err);
}

static enum dom_code create_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  struct subject_bucket *k = arg;
  (void)s;
  struct subject_bucket have;
  enum dom_code code = registry_get(v, slice_str(k->name), &have, err);
  if (code == DOM_OK) {
    subject_bucket_copy(k, &have);
    return DOM_EXISTS;
  }
  return code == DOM_NOT_FOUND ? registry_put(tx, k, err) : code;
}

enum dom_code registry_state(struct store_view *v, struct slice name, struct subject_bucket *out,
                             struct buf *bytes, struct dom_err *err) {
  BUF_AUTO document = BUF_INIT;
  struct subject_bucket k;
  enum dom_code code = registry_get(v, name, &k, err);
  if (code) return code;
  if (k.config_version)
    code = store_row_get(v, STORE_TABLE_REGISTRY_CONFIG, slice_of(k.id, sizeof k.id), &document, NULL);
  if (code) return dom_fail(err, DOM_CORRUPT, "subject/registry: state", "the configuration cannot be read");
  if (bytes) bucket_state_encode(bytes, &k, buf_slice(&document));
  if (out) subject_bucket_copy(out, &k);
  return bytes ? buf_check(bytes, err) : DOM_OK;
}

enum dom_code registry_tell(struct subjects *s, uint16_t region, const char *path, struct slice body,
                            uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  if (region == s->o.region) return subject_message(s, region, path, body, reply, err);
  if (!s->o.net) return dom_fail(err, DOM_UNAVAILABLE, "subject/registry: tell", "this region has no peers");
  return net_call(s->o.net, region, path, body, timeout_ms, reply, err);
}

/* One message to every region. Of those that do not answer the first one is named. */
static enum dom_code tell_all(struct subjects *s, const char *path, struct slice body, struct dom_err *err) {
  struct charter *c = subject_charter(s);
  assert(c);
  enum dom_code code = DOM_OK;
  for (unsigned i = 0; i < charter_region_count(c); i++) {
    const struct charter_region *region = charter_region_at(c, i);
    BUF_AUTO reply = BUF_INIT;
    if (registry_tell(s, region->number, path, body, SUBJECT_ASK_TIMEOUT_MS, &reply, NULL))
      code = dom_fail(err, DOM_UNAVAILABLE, "subject/registry: tell", "region %s did not acknowledge",
                      region->name);
  }
  charter_release(c);
  return code;
}

/* The bucket as it is now, which may be later than what the caller did. */
static enum dom_code tell_set(struct subjects *s, const struct subject_bucket *k, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO body = BUF_INIT;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = registry_state(v, slice_str(k->name), NULL, &body, err);
  if (code) return code;
  store_view_close(v); /* what follows waits for other regions */
  v = NULL;
  return tell_all(s, "bucket/set", buf_slice(&body), err);
}

/* It is gone here: its name may be another bucket's already, so only what is known of it is told. */
static void tell_drop(struct subjects *s, const struct subject_bucket *k) {
  BUF_AUTO body = BUF_INIT;
  struct subject_bucket last;
  subject_bucket_copy(&last, k);
  last.config_version = 0;
  last.versioning = VERSIONING_NEVER;
  last.config_parts = 0;
  bucket_state_encode(&body, &last, SLICE_LIT(""));
  if (!body.failed) tell_all(s, "bucket/drop", buf_slice(&body), NULL);
}

static enum dom_code all_empty(struct subjects *s, const struct subject_bucket *k, bool *out,
                               struct dom_err *err) {
  struct charter *c = subject_charter(s);
  assert(c);
  enum dom_code code = DOM_OK;
  bool empty = true;
  for (unsigned i = 0; !code && empty && i < charter_region_count(c); i++) {
    BUF_AUTO reply = BUF_INIT;
    code = registry_tell(s, charter_region_at(c, i)->number, "bucket/used",
                         slice_of(k->id, STORE_BUCKET_ID_SIZE), SUBJECT_ASK_TIMEOUT_MS, &reply, err);
    if (!code && reply.len != 1)
      code = dom_fail(err, DOM_UNAVAILABLE, "subject/registry: empty", "bad answer");
    if (!code) empty = reply.data[0] == 0;
  }
  charter_release(c);
  if (!code) *out = empty;
  return code;
}

static enum dom_code state_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  struct subject_bucket *k = arg;
  (void)s;
  struct subject_bucket have;
  enum dom_code code = registry_get(v, slice_str(k->name), &have, err);
  if (code) return code;
  if (memcmp(have.id, k->id, sizeof k->id) != 0 || have.version >= k->version)
    return dom_fail(err, DOM_BUSY, "subject/registry: state", "the bucket is being changed by somebody else");
  return registry_put(tx, k, err);
}

static enum dom_code set_state(struct subjects *s, struct subject_bucket *k, enum subject_bucket_state state,
                               struct dom_err *err) {
  assert(k->state != state && k->version < UINT64_MAX);
  k->state = state;
  k->version++;
  return subject_change(s, state_step, k, err);
}

static enum dom_code drop_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  const struct subject_bucket *k = arg;
  (void)s;
  struct subject_bucket have;
  enum dom_code code = registry_get(v, slice_str(k->name), &have, err);
  if (code == DOM_NOT_FOUND || (!code && memcmp(have.id, k->id, sizeof k->id) != 0)) return DOM_EXISTS;
  if (!code) code = store_tx_row_delete(tx, STORE_TABLE_REGISTRY, slice_str(k->name), err);
  if (!code) code = store_tx_row_delete(tx, STORE_TABLE_REGISTRY_CONFIG, slice_of(k->id, sizeof k->id), err);
  return code ? code : store_tx_row_delete(tx, STORE_TABLE_CONFIG_OWED, slice_str(k->name), err);
}

static enum dom_code delete_bucket(struct subjects *s, struct slice name, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_bucket k;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = registry_get(v, name, &k, err);
  if (code) return code;
  store_view_close(v); /* what follows waits for other regions */
  v = NULL;
  if (k.state == BUCKET_DELETING)
    return dom_fail(err, DOM_BUSY, "subject/registry: delete",
                    "the bucket is being deleted already; try again");
  code = set_state(s, &k, BUCKET_DELETING, err);
  if (code) return code;
  bool empty = false;
  code = tell_set(s, &k, err);
  if (!code) code = all_empty(s, &k, &empty, err);
  if (code || !empty) {
    assert(k.state == BUCKET_DELETING);
    enum dom_code rolled = set_state(s, &k, BUCKET_ACTIVE, err);
    if (!rolled) tell_set(s, &k, NULL); /* who misses it asks when it is next used */
    return code ? code : dom_fail(err, DOM_BUSY, "subject/registry: delete", "the bucket is not empty");
  }
  code = subject_change(s, drop_step, &k, err);
  /* The name is free from here on; a region that misses the drop holds DELETING and asks. */
  if (!code) tell_drop(s, &k);
  return code;
}

struct listing {
  struct slice owner;
  struct buf *reply;
  struct dom_err *err;
  enum dom_code code;
};

static bool list_one(void *arg, struct slice key, struct slice value) {
  struct listing *l = arg;
  (void)key;
  struct subject_bucket k;
  l->code = bucket_decode(value, &k, l->err);
  if (l->code) return false;
  if (slice_equal(slice_str(k.owner), l->owner)) put_bytes16be(l->reply, value);
  return true;
}

static enum dom_code list_buckets(struct subjects *s, struct slice owner, struct buf *reply,
                                  struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct listing l = {.owner = owner, .reply = reply, .err = err};
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = store_row_scan(v, STORE_TABLE_REGISTRY, SLICE_LIT(""), SLICE_LIT(""), list_one, &l, err);
  return code ? code : l.code;
}

static enum dom_code find_bucket(struct subjects *s, struct slice name, struct buf *reply,
                                 struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  return code ? code : registry_state(v, name, NULL, reply, err);
}

static enum dom_code create_bucket(struct subjects *s, struct slice body, struct buf *reply,
                                   struct dom_err *err) {
  struct subject_bucket k;
  enum dom_code code = bucket_decode(body, &k, err);
  if (code) return code;
  if (!k.name[0] || !k.owner[0] || k.state != BUCKET_ACTIVE || k.version != 1 || k.config_version != 0)
    return dom_fail(err, DOM_INVALID, "subject/registry: create", "not a new bucket");
  code = subject_change(s, create_step, &k, err);
  if (code) return code;
  tell_set(s, &k, NULL); /* creation does not wait: a region that does not know it asks */
  return find_bucket(s, slice_str(k.name), reply, err);
}

enum dom_code registry_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err) {
  enum dom_code code = registrar_is_here(s, err);
  if (code) return code;
  struct slice p = slice_str(path);
  bool named = body.len > 0 && body.len <= SUBJECT_BUCKET_NAME_MAX;
  if (slice_equal(p, SLICE_LIT("registry/create"))) return create_bucket(s, body, reply, err);
  if (slice_equal(p, SLICE_LIT("registry/list"))) return list_buckets(s, body, reply, err);
  if (slice_equal(p, SLICE_LIT("registry/config"))) return config_registry_change(s, body, err);
  if (slice_equal(p, SLICE_LIT("registry/behind"))) return config_registry_behind(s, body, reply, err);
  if (!named) return dom_fail(err, DOM_INVALID, "subject/registry: message", "no bucket name");
  if (slice_equal(p, SLICE_LIT("registry/find"))) return find_bucket(s, body, reply, err);
  if (slice_equal(p, SLICE_LIT("registry/delete"))) {
    pthread_mutex_lock(&s->registry_lock);
    code = delete_bucket(s, body, err);
    pthread_mutex_unlock(&s->registry_lock);
    return code;
  }
  return dom_fail(err, DOM_NOT_FOUND, "subject/registry: message", "no such message");
}

struct stuck {
  struct subject_bucket bucket;
  bool found;
};

static bool find_stuck(void *arg, struct slice key, struct slice value) {
  struct stuck *u = arg;
  (void)key;
  u->found = bucket_decode(value, &u->bucket, NULL) == DOM_OK && u->bucket.state == BUCKET_DELETING;
  return !u->found;
}

/* Rolls one bucket back; *out_found tells whether there was one. */
static enum dom_code roll_back_one(struct subjects *s, bool *out_found, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct stuck u = {0};
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code)
    code = store_row_scan(v, STORE_TABLE_REGISTRY, SLICE_LIT(""), SLICE_LIT(""), find_stuck, &u, err);
  *out_found = !code && u.found;
  if (!*out_found) return code;
  store_view_close(v); /* what follows waits for other regions */
  v = NULL;
  struct subject_bucket k;
  subject_bucket_copy(&k, &u.bucket);
  code = set_state(s, &k, BUCKET_ACTIVE, err);
  if (!code) tell_set(s, &k, NULL); /* who misses it asks when it is next used */
  return code;
}

enum dom_code registry_upkeep(struct subjects *s, struct dom_err *err) {
  if (pthread_mutex_trylock(&s->registry_lock) != 0) return DOM_OK; /* a deletion is under way */
  enum dom_code code = DOM_OK;
  for (bool found = true; found && !code;) code = roll_back_one(s, &found, err);
  pthread_mutex_unlock(&s->registry_lock);
  return code;
}
