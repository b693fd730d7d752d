/* Buckets as this region knows them. Each change comes from the registrar with a higher version; rows by
 * name and by id are written together, so that a commit guarded by the id row notices any change. */
#include <assert.h>

#include "subject/subject_internal.h"

/* 1 had no configuration; such rows are still read. */
enum { BUCKET_ROW_VERSION_1 = 1, BUCKET_ROW_VERSION = 2 };

void subject_bucket_copy(struct subject_bucket *to, const struct subject_bucket *from) {
  *to = *from;
  enum dom_code code = subject_layout_parse(slice_str(to->layout_text), &to->layout, NULL);
  assert(code == DOM_OK); /* it was parsed before */
  (void)code;
}

void bucket_encode(struct buf *b, const struct subject_bucket *k) {
  assert(k->state == BUCKET_ACTIVE || k->state == BUCKET_DELETING);
  put_u8(b, BUCKET_ROW_VERSION);
  buf_append(b, k->id, STORE_BUCKET_ID_SIZE);
  put_bytes16be(b, slice_str(k->name));
  put_bytes16be(b, slice_str(k->owner));
  put_bytes16be(b, slice_str(k->layout_text));
  put_u16be(b, k->region);
  put_u8(b, k->keep_unmatched);
  put_u8(b, (uint8_t)k->state);
  put_u64be(b, k->version);
  put_u64be(b, k->created_ms);
  put_u64be(b, k->config_version);
  put_u8(b, (uint8_t)k->versioning);
  put_u32be(b, k->config_parts);
}

static bool config_fields_get(struct reader *r, struct subject_bucket *k) {
  k->config_version = get_u64be(r);
  uint8_t versioning = get_u8(r);
  k->config_parts = get_u32be(r);
  if (versioning > VERSIONING_SUSPENDED || k->config_parts >> SUBJECT_PART_LIMIT != 0) return false;
  k->versioning = (enum subject_versioning)versioning;
  return k->config_version <= k->version &&
         (k->config_version > 0 || (k->versioning == VERSIONING_NEVER && k->config_parts == 0));
}

static bool get_text(struct reader *r, char *out, size_t max) {
  struct slice s = get_bytes16be(r);
  if (r->bad || s.len > max || memchr(s.data, 0, s.len)) return false;
  memcpy(out, s.data, s.len);
  out[s.len] = 0;
  return true;
}

enum dom_code bucket_decode(struct slice bytes, struct subject_bucket *out, struct dom_err *err) {
  struct reader r = reader_of(bytes);
  struct subject_bucket k = {0};
  uint8_t form = get_u8(&r);
  bool good = form == BUCKET_ROW_VERSION || form == BUCKET_ROW_VERSION_1;
  get_copy(&r, k.id, STORE_BUCKET_ID_SIZE);
  good = good && get_text(&r, k.name, SUBJECT_BUCKET_NAME_MAX) &&
         get_text(&r, k.owner, SUBJECT_ACCOUNT_MAX) && get_text(&r, k.layout_text, SUBJECT_LAYOUT_TEXT_MAX);
  k.region = get_u16be(&r);
  k.keep_unmatched = get_u8(&r) != 0;
  k.state = (enum subject_bucket_state)get_u8(&r);
  k.version = get_u64be(&r);
  k.created_ms = get_u64be(&r);
  if (form == BUCKET_ROW_VERSION) good = config_fields_get(&r, &k) && good;
  good = good && reader_end(&r) && (k.state == BUCKET_ACTIVE || k.state == BUCKET_DELETING) &&
         subject_layout_parse(slice_str(k.layout_text), &k.layout, NULL) == DOM_OK;
  if (!good) return dom_fail(err, DOM_CORRUPT, "subject/bucket: decode", "a bucket row does not decode");
  subject_bucket_copy(out, &k);
  return DOM_OK;
}

static enum dom_code row_by_name(struct store_view *v, struct slice name, struct subject_bucket *out,
                                 struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_BUCKET, name, &value, NULL);
  if (code == DOM_NOT_FOUND) return code;
  if (code) return dom_fail(err, code, "subject/bucket: row", "cannot be read");
  return bucket_decode(buf_slice(&value), out, err);
}

void bucket_state_encode(struct buf *b, const struct subject_bucket *k, struct slice document) {
  BUF_AUTO row = BUF_INIT;
  assert((k->config_version == 0) == (document.len == 0));
  bucket_encode(&row, k);
  put_bytes32be(b, buf_slice(&row));
  put_bytes32be(b, document);
  if (row.failed) b->failed = true;
}

enum dom_code bucket_state_decode(struct slice bytes, struct bucket_state *out, struct dom_err *err) {
  struct reader r = reader_of(bytes);
  struct slice row = get_bytes32be(&r), document = get_bytes32be(&r);
  if (!reader_end(&r)) return dom_fail(err, DOM_CORRUPT, "subject/bucket: state", "does not decode");
  struct subject_bucket k;
  struct config_document d = {0};
  enum dom_code code = bucket_decode(row, &k, err);
  if (!code && document.len) code = config_decode(document, &d, err);
  if (code) return code;
  if (d.version != k.config_version || config_parts(&d) != k.config_parts)
    return dom_fail(err, DOM_CORRUPT, "subject/bucket: state", "row and configuration are of two versions");
  subject_bucket_copy(&out->bucket, &k);
  out->document = document;
  return DOM_OK;
}

struct apply {
  const struct bucket_state *state;
  bool drop;
};

static enum dom_code rows_delete(struct store_tx *tx, const uint8_t id[STORE_BUCKET_ID_SIZE],
                                 struct dom_err *err) {
  struct slice key = slice_of(id, STORE_BUCKET_ID_SIZE);
  enum dom_code code = store_tx_row_delete(tx, STORE_TABLE_BUCKET_ID, key, err);
  return code ? code : store_tx_row_delete(tx, STORE_TABLE_CONFIG, key, err);
}

static enum dom_code rows_put(struct store_tx *tx, const struct bucket_state *k, struct dom_err *err) {
  struct slice id = slice_of(k->bucket.id, STORE_BUCKET_ID_SIZE);
  BUF_AUTO value = BUF_INIT;
  bucket_encode(&value, &k->bucket);
  enum dom_code code = buf_check(&value, err);
  if (!code)
    code = store_tx_row_put(tx, STORE_TABLE_BUCKET, slice_str(k->bucket.name), buf_slice(&value), err);
  if (!code) code = store_tx_row_put(tx, STORE_TABLE_BUCKET_ID, id, buf_slice(&value), err);
  if (!code && k->document.len) code = store_tx_row_put(tx, STORE_TABLE_CONFIG, id, k->document, err);
  return code;
}

static enum dom_code apply_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  const struct apply *a = arg;
  const struct subject_bucket *k = &a->state->bucket;
  (void)s;
  struct slice name = slice_str(k->name);
  struct subject_bucket have;
  enum dom_code code = row_by_name(v, name, &have, err);
  if (code && code != DOM_NOT_FOUND) return code;
  bool known = code == DOM_OK, same = known && memcmp(have.id, k->id, STORE_BUCKET_ID_SIZE) == 0;
  if (a->drop && !same) return DOM_EXISTS;
  if (same && !a->drop && have.version >= k->version) return DOM_EXISTS;
  assert(!same || a->drop || k->config_version >= have.config_version); /* a configuration never goes back */
  if (known && !same) { /* the name was given out anew; what it named before is gone for everybody */
    code = rows_delete(tx, have.id, err);
    if (code) return code;
  }
  if (!a->drop) return rows_put(tx, a->state, err);
  code = store_tx_row_delete(tx, STORE_TABLE_BUCKET, name, err);
  return code ? code : rows_delete(tx, k->id, err);
}

enum dom_code bucket_apply(struct subjects *s, const struct bucket_state *k, bool drop, struct dom_err *err) {
  return subject_change(s, apply_step, &(struct apply){k, drop}, err);
}

enum dom_code bucket_fetch(struct subjects *s, struct slice name, struct subject_bucket *out,
                           struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  struct bucket_state state;
  enum dom_code code = registrar_ask(s, "registry/find", name, &reply, err);
  if (!code) code = bucket_state_decode(buf_slice(&reply), &state, err);
  if (!code) code = bucket_apply(s, &state, false, err);
  if (!code) subject_bucket_copy(out, &state.bucket);
  return code;
}

enum dom_code subject_bucket_get(struct subjects *s, struct store_view *v, struct slice name,
                                 struct subject_bucket *out, struct dom_err *err) {
  assert(s && v && out);
  if (name.len == 0 || name.len > SUBJECT_BUCKET_NAME_MAX) return DOM_NOT_FOUND;
  struct subject_bucket k;
  enum dom_code code = row_by_name(v, name, &k, err);
  bool fetched = code == DOM_NOT_FOUND || (code == DOM_OK && k.state == BUCKET_DELETING);
  if (fetched) code = bucket_fetch(s, name, &k, err);
  if (code) return code;
  if (k.state == BUCKET_DELETING)
    return dom_fail(err, DOM_BUSY, "subject/bucket: get", "the bucket is being deleted; try again");
  if (fetched) return DOM_RETRY; /* the row is newer than the caller's view */
  subject_bucket_copy(out, &k);
  return DOM_OK;
}

enum dom_code subject_bucket_known(struct store_view *v, struct slice name, struct subject_bucket *out,
                                   struct dom_err *err) {
  assert(v && out);
  if (name.len == 0 || name.len > SUBJECT_BUCKET_NAME_MAX) return DOM_NOT_FOUND;
  struct subject_bucket k;
  enum dom_code code = row_by_name(v, name, &k, err);
  if (!code && k.state != BUCKET_ACTIVE) code = DOM_NOT_FOUND;
  if (!code) subject_bucket_copy(out, &k);
  return code;
}

struct scan {
  subject_bucket_fn fn;
  void *arg;
  struct dom_err *err;
  enum dom_code code;
};

static bool scan_row(void *arg, struct slice key, struct slice value) {
  struct scan *n = arg;
  struct subject_bucket k;
  (void)key;
  n->code = bucket_decode(value, &k, n->err);
  return !n->code && n->fn(n->arg, &k);
}

enum dom_code subject_bucket_scan(struct store_view *v, struct slice after, subject_bucket_fn fn, void *arg,
                                  struct dom_err *err) {
  assert(v && fn);
  struct scan n = {.fn = fn, .arg = arg, .err = err};
  enum dom_code code = store_row_scan(v, STORE_TABLE_BUCKET, SLICE_LIT(""), after, scan_row, &n, err);
  return code ? code : n.code;
}

enum dom_code subject_bucket_name(struct store_view *v, const uint8_t id[STORE_BUCKET_ID_SIZE],
                                  char out[SUBJECT_BUCKET_NAME_MAX + 1], struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  struct subject_bucket k;
  assert(id && out);
  enum dom_code code =
      store_row_get(v, STORE_TABLE_BUCKET_ID, slice_of(id, STORE_BUCKET_ID_SIZE), &value, err);
  if (!code) code = bucket_decode(buf_slice(&value), &k, err);
  if (!code) memcpy(out, k.name, sizeof k.name);
  return code;
}

enum dom_code subject_bucket_check(struct store_view *v, const struct subject_bucket *seen,
                                   struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  struct subject_bucket now;
  assert(v && seen->name[0]);
  enum dom_code code =
      store_row_get(v, STORE_TABLE_BUCKET_ID, slice_of(seen->id, STORE_BUCKET_ID_SIZE), &value, NULL);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, "subject/bucket: check", "the bucket is gone");
  if (code) return dom_fail(err, code, "subject/bucket: check", "cannot be read");
  code = bucket_decode(buf_slice(&value), &now, err);
  assert(code || memcmp(now.id, seen->id, sizeof now.id) == 0);
  if (code) return code;
  if (now.state != BUCKET_ACTIVE)
    return dom_fail(err, DOM_BUSY, "subject/bucket: check", "the bucket is being deleted; try again");
  return now.config_version == seen->config_version ? DOM_OK : DOM_RETRY;
}

enum dom_code subject_bucket_create(struct subjects *s, const struct subject_bucket *want,
                                    struct subject_bucket *out, struct dom_err *err) {
  struct subject_layout layout;
  assert(want->name[0] && want->owner[0] && want->region != 0);
  enum dom_code code = subject_layout_parse(slice_str(want->layout_text), &layout, err);
  if (code) return code;
  struct subject_bucket k = *want;
  random_bytes(k.id, sizeof k.id);
  k.state = BUCKET_ACTIVE;
  k.version = 1;
  k.config_version = 0;
  k.versioning = VERSIONING_NEVER;
  k.config_parts = 0;
  k.created_ms = clock_wall_ms(s->o.clock);
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  bucket_encode(&body, &k);
  code = buf_check(&body, err);
  if (!code) code = registrar_ask(s, "registry/create", buf_slice(&body), &reply, err);
  struct bucket_state have;
  if (!code) code = bucket_state_decode(buf_slice(&reply), &have, err);
  if (!code) code = bucket_apply(s, &have, false, err);
  if (code) return code;
  subject_bucket_copy(out, &have.bucket);
  return memcmp(have.bucket.id, k.id, sizeof k.id) == 0 ? DOM_OK : DOM_EXISTS;
}

enum dom_code subject_bucket_delete(struct subjects *s, struct slice name, struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  return registrar_ask(s, "registry/delete", name, &reply, err);
}

enum dom_code subject_bucket_each(struct subjects *s, struct slice owner, subject_bucket_fn fn, void *arg,
                                  struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  enum dom_code code = registrar_ask(s, "registry/list", owner, &reply, err);
  if (code) return code;
  struct reader r = reader_of(buf_slice(&reply));
  while (r.left && !r.bad) {
    struct subject_bucket k;
    struct slice row = get_bytes16be(&r);
    code = r.bad ? DOM_CORRUPT : bucket_decode(row, &k, err);
    if (code) return dom_fail(err, code, "subject/bucket: list", "the registrar's answer does not decode");
    if (!fn(arg, &k)) break;
  }
  return DOM_OK;
}

/* Whether anything lies in the bucket in this region. */
static enum dom_code used(struct subjects *s, struct slice body, struct buf *reply, struct dom_err *err) {
  if (body.len != STORE_BUCKET_ID_SIZE)
    return dom_fail(err, DOM_INVALID, "subject/bucket: used", "does not decode");
  STORE_VIEW_AUTO *v = NULL;
  bool in_use = true;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = store_bucket_used(v, body.data, &in_use, err);
  if (!code) put_u8(reply, in_use);
  return code;
}

enum dom_code bucket_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                             struct buf *reply, struct dom_err *err) {
  struct charter *c = subject_charter(s);
  bool registrar = c && charter_registrar(c)->number == from;
  charter_release(c);
  if (!registrar)
    return dom_fail(err, DOM_DENIED, "subject/bucket: message", "only the registrar may say so");
  struct slice p = slice_str(path);
  if (slice_equal(p, SLICE_LIT("bucket/used"))) return used(s, body, reply, err);
  bool drop = slice_equal(p, SLICE_LIT("bucket/drop"));
  if (!drop && !slice_equal(p, SLICE_LIT("bucket/set")))
    return dom_fail(err, DOM_NOT_FOUND, "subject/bucket: message", "no such message");
  struct bucket_state k;
  enum dom_code code = bucket_state_decode(body, &k, err);
  return code ? code : bucket_apply(s, &k, drop, err);
}
