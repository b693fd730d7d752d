#include <assert.h>

#include "base/alloc.h"
#include "store/local/engine.h"

/* Records up to this are read whole at once: one read serves head and body. */
enum { FETCH_WHOLE_MAX = 128 << 10, FETCH_ATTEMPTS = 4 };

struct store_found {
  struct store *store;
  struct read_mark mark;
  struct store_object object;
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  struct record_plain plain;
  struct buf payload; /* of the record: whole, or its head */
  struct log_locator at;
  uint32_t head;
  bool inlined, pinned;
  struct store_body_ref one; /* of found_open_body */
  bool once;                 /* bodies are read around the page cache */
  struct body_reader *reader;
  uint32_t reader_index;
  uint64_t reader_start; /* where that body begins in the object */
};

bool place_holds(const struct store_place *place, struct slice key) {
  return key.len >= 1 && key.len <= STORE_KEY_MAX && slice_starts_with(key, place->prefix);
}

/* ---- finding records ---- */

static enum dom_code locator_look(struct store *s, struct slice row_key, struct log_locator *out,
                                  struct dom_err *err) {
  assert(row_key.len > 0);
  BUF_AUTO value = BUF_INIT;
  INDEX_VIEW_AUTO v = {0};
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_get(&v, row_key, &value, err);
  if (code != DOM_OK) return code;
  uint8_t table = row_key.data[0];
  size_t at = table == ROW_OBJECT || table == ROW_UPLOAD || table == ROW_PART ? TOKEN_SIZE : 0;
  if (value.len < at + LOG_LOCATOR_SIZE) return dom_fail(err, DOM_CORRUPT, "store/object: row", "short row");
  *out = log_locator_load(value.data + at);
  return DOM_OK;
}

static enum dom_code payload_read(struct store *s, struct log_locator at, uint32_t head, struct buf *payload,
                                  struct dom_err *err) {
  buf_reset(payload);
  if (head == 0 || at.length <= FETCH_WHOLE_MAX) return log_read(s->log, at, payload, err);
  if (head > at.length - LOG_RECORD_HEADER)
    return dom_fail(err, DOM_CORRUPT, "store/object: row", "head outside");
  if (!buf_reserve(payload, head)) return buf_check(payload, err);
  enum dom_code code = log_read_range(s->log, at, 0, payload->data, head, err);
  if (code == DOM_OK) payload->len = head;
  return code;
}

enum dom_code record_fetch(struct store *s, enum change_kind kind, struct slice row_key, uint32_t head,
                           struct log_locator *at, struct buf *payload, struct record_plain *plain,
                           struct change *out, struct dom_err *err) {
  assert(at->segment > 0 && row_key.len > 0);
  enum dom_code code = DOM_RETRY;
  for (int attempt = 0; attempt < FETCH_ATTEMPTS && code == DOM_RETRY; attempt++) {
    code = payload_read(s, *at, head, payload, NULL);
    if (code == DOM_RETRY) {
      enum dom_code looked = locator_look(s, row_key, at, err);
      if (looked != DOM_OK) return looked;
    }
  }
  if (code != DOM_OK) {
    return dom_fail(err, code, "store/object: record", "segment %u offset %u cannot be read", at->segment,
                    at->offset);
  }
  return record_decode(s->vault, kind, buf_slice(payload), plain, out, err);
}

static enum dom_code object_row_read(struct store_view *v, const struct store_version *which,
                                     struct object_at *out, struct dom_err *err) {
  struct slice cell = buf_slice(&v->key);
  if (!which) return index_newest(&v->index, cell, &out->key, &v->value, err);
  if (which->is_null) return null_row_find(&v->index, cell, &out->key, &v->value, &out->row, err);
  assert(which->order.lsn > 0);
  buf_reset(&out->key);
  buf_append_slice(&out->key, cell);
  row_order_put(&out->key, which->order);
  if (out->key.failed) return buf_check(&out->key, err);
  return index_get(&v->index, buf_slice(&out->key), &v->value, err);
}

enum dom_code object_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                             const struct store_version *which, struct object_at *out, struct dom_err *err) {
  static const char where[] = "store/object: get";
  assert(key.len <= STORE_KEY_MAX);
  buf_reset(&v->key);
  row_cell(&v->key, ROW_OBJECT, place->bucket, key, place->epoch);
  if (v->key.failed) return buf_check(&v->key, err);
  size_t cell = v->key.len;
  enum dom_code code = object_row_read(v, which, out, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, where, "no such object");
  if (code != DOM_OK) return code;
  if (out->key.len != cell + ROW_ORDER_SIZE || !row_object_parse(buf_slice(&v->value), &out->row)) {
    return dom_fail(err, DOM_CORRUPT, where, "bad row");
  }
  bool named = !which || out->row.versioned == !which->is_null; /* the null version has no other name */
  if (!named || memcmp(out->row.token, place->token, TOKEN_SIZE) != 0)
    return dom_fail(err, DOM_NOT_FOUND, where, "no such object");
  out->order = row_order_load(slice_cut(buf_slice(&out->key), cell, out->key.len));
  return DOM_OK;
}

/* ---- found objects ---- */

static struct store_found *found_new(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch) {
  struct store_found *f = dom_calloc(1, sizeof *f);
  if (!f) return NULL;
  assert(s != NULL);
  f->store = s;
  f->epoch = epoch;
  memcpy(f->token, token, TOKEN_SIZE);
  return f;
}

void store_found_free(struct store_found *f) {
  if (!f) return;
  if (f->pinned) log_unpin(f->store->log, f->at);
  body_close(f->reader);
  read_mark_clear(f->store, &f->mark);
  record_plain_done(&f->plain);
  buf_done(&f->payload);
  dom_free(f);
}

void object_fill(const struct change *c, struct store_order order, struct store_object *out) {
  assert(c->kind == CHANGE_PUT);
  *out = (struct store_object){.key = c->key,
                               .order = order,
                               .is_version = c->versioned,
                               .is_marker = c->marker,
                               .size = c->size,
                               .mtime_ms = c->mtime_ms,
                               .etag_parts = c->etag_parts,
                               .meta = c->meta,
                               .classes = c->classes,
                               .bodies = c->bodies,
                               .body_count = c->body_count};
  memcpy(out->etag_md5, c->md5, MD5_SIZE);
  memcpy(out->sha256, c->sha256, SHA256_SIZE);
}

/* The sealed text must be of the row that led to it: bucket, key and subject. */
static bool record_fits(const struct change *c, const struct object_at *at, struct slice row_key) {
  BUF_AUTO cell = BUF_INIT;
  if (memcmp(c->token, at->row.token, TOKEN_SIZE) != 0 || c->size != at->row.size) return false;
  if (c->versioned != at->row.versioned || c->marker != at->row.marker) return false;
  row_cell(&cell, ROW_OBJECT, c->bucket, c->key, c->epoch);
  assert(!cell.failed);
  return slice_starts_with(row_key, buf_slice(&cell));
}

/* Reads the record, pinned first when its body will be read piece by piece. */
static enum dom_code found_load(struct store_found *f, const struct object_at *at, struct change *c,
                                struct dom_err *err) {
  f->at = at->row.at;
  f->head = at->row.head;
  f->plain.keep_key =
      at->row.body_count == 0 && f->at.length <= FETCH_WHOLE_MAX; /* its body is at hand, too */
  for (int attempt = 0; attempt < FETCH_ATTEMPTS; attempt++) {
    struct log_locator stood = f->at;
    f->pinned = at->row.body_count == 0 && f->at.length > FETCH_WHOLE_MAX && log_pin(f->store->log, f->at);
    enum dom_code code = record_fetch(f->store, CHANGE_PUT, buf_slice(&at->key), f->head, &f->at, &f->payload,
                                      &f->plain, c, err);
    if (log_locator_equal(stood, f->at)) return code;
    if (f->pinned) log_unpin(f->store->log, stood); /* it moved: pin it where it is now */
    f->pinned = false;
    if (code != DOM_OK) return code;
  }
  return dom_fail(err, DOM_IO, "store/object: get", "record moved again and again");
}

enum dom_code found_open(struct store_view *v, const struct object_at *at, struct store_found **out,
                         struct dom_err *err) {
  assert(at->key.len > ROW_ORDER_SIZE);
  struct change c = {0};
  struct store_found *f = found_new(v->store, at->row.token, 0);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, "store/object: get", "object");
  enum dom_code code = found_load(f, at, &c, err);
  if (code == DOM_OK && !record_fits(&c, at, buf_slice(&at->key))) {
    code = dom_fail(err, DOM_CORRUPT, "store/object: get", "segment %u offset %u: record of another object",
                    f->at.segment, f->at.offset);
  }
  if (code != DOM_OK) {
    store_found_free(f);
    return code;
  }
  f->epoch = c.epoch;
  object_fill(&c, at->order, &f->object);
  f->inlined = c.inlined;
  if (c.body_count) read_mark_set(v->store, &f->mark, v->lsn);
  *out = f;
  return DOM_OK;
}

enum dom_code found_open_body(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                              const struct store_body_ref *body, struct store_found **out,
                              struct dom_err *err) {
  assert(body != NULL);
  struct store_found *f = found_new(v->store, token, epoch);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, "store/object: part", "object");
  f->one = *body;
  f->object = (struct store_object){.size = body->size, .bodies = &f->one, .body_count = 1};
  memcpy(f->object.sha256, body->sha256, SHA256_SIZE);
  read_mark_set(v->store, &f->mark, v->lsn);
  *out = f;
  return DOM_OK;
}

enum dom_code store_version_get(struct store_view *v, enum permit_action action, const struct permit *permit,
                                const struct store_place *place, struct slice key,
                                const struct store_version *which, struct store_found **out,
                                struct dom_err *err) {
  struct object_at at = {0};
  assert(action == PERMIT_READ || action == PERMIT_COPY || action == PERMIT_MOVE);
  if (!permit_covers(permit, action, v->store->o.region, place->token)) {
    return dom_fail(err, DOM_REFUSED, "store/object: get", "no permit for it");
  }
  enum dom_code code =
      action == PERMIT_MOVE ? DOM_OK : subject_check(v, place->token, place->epoch, false, err);
  if (code == DOM_OK) code = object_row_get(v, place, key, which, &at, err);
  if (code == DOM_OK) code = found_open(v, &at, out, err);
  buf_done(&at.key);
  return code;
}

enum dom_code store_object_get(struct store_view *v, enum permit_action action, const struct permit *permit,
                               const struct store_place *place, struct slice key, struct store_found **out,
                               struct dom_err *err) {
  struct store_found *found = NULL;
  assert(out != NULL);
  enum dom_code code = store_version_get(v, action, permit, place, key, NULL, &found, err);
  if (code != DOM_OK) return code;
  if (store_found_object(found)->is_marker) {
    store_found_free(found);
    return dom_fail(err, DOM_NOT_FOUND, "store/object: get", "deleted");
  }
  *out = found;
  return DOM_OK;
}

const struct store_object *store_found_object(const struct store_found *f) {
  assert(f != NULL);
  return &f->object;
}

/* ---- reading bodies ---- */

void store_found_read_once(struct store_found *f) {
  assert(f != NULL && f->reader == NULL);
  f->once = true;
}

static enum dom_code inline_source(void *arg, uint64_t offset, uint8_t *out, size_t len,
                                   struct dom_err *err) {
  struct store_found *f = arg;
  uint64_t at = f->head + offset;
  assert(at + len <= f->at.length - LOG_RECORD_HEADER);
  if (at + len <= f->payload.len) {
    memcpy(out, f->payload.data + at, len);
    return DOM_OK;
  }
  return log_read_range(f->store->log, f->at, (uint32_t)at, out, (uint32_t)len, err);
}

/* Makes the body that holds `offset` the open one. */
static enum dom_code reader_at(struct store_found *f, uint64_t offset, struct dom_err *err) {
  uint64_t start = 0;
  uint32_t i = 0;
  while (i < f->object.body_count && offset - start >= f->object.bodies[i].size)
    start += f->object.bodies[i++].size;
  assert(i < f->object.body_count);
  if (f->reader && f->reader_index == i) return DOM_OK;
  body_close(f->reader);
  f->reader = NULL;
  f->reader_index = i;
  f->reader_start = start;
  return body_open(f->store, f->token, f->epoch, &f->object.bodies[i], f->once, &f->reader, err);
}

static enum dom_code bodies_read(struct store_found *f, uint64_t offset, uint8_t *out, size_t len,
                                 struct dom_err *err) {
  assert(f->object.body_count > 0 && offset + len <= f->object.size);
  while (len > 0) {
    enum dom_code code = reader_at(f, offset, err);
    if (code != DOM_OK) return code;
    uint64_t within = offset - f->reader_start, left = f->object.bodies[f->reader_index].size - within;
    size_t take = left < len ? (size_t)left : len;
    code = body_read(f->reader, within, out, take, err);
    if (code != DOM_OK) return code;
    out += take;
    offset += take;
    len -= take;
  }
  return DOM_OK;
}

enum dom_code store_found_read(struct store_found *f, uint64_t offset, void *out, size_t len, size_t *out_len,
                               struct dom_err *err) {
  assert(out_len != NULL && (out != NULL || len == 0));
  uint64_t size = f->object.size;
  size_t take = offset >= size ? 0 : size - offset < len ? (size_t)(size - offset) : len;
  enum dom_code code = DOM_OK;
  if (take > 0 && f->object.body_count == 0) {
    if (!f->inlined) return dom_fail(err, DOM_CORRUPT, "store/object: read", "object without a body");
    struct frame_source from = {inline_source, f};
    code = f->plain.has_key
               ? record_body_read_kept(&f->plain, buf_slice(&f->payload), from, offset, out, take, err)
               : record_body_read(f->store->vault, buf_slice(&f->payload), from, offset, out, take, err);
  } else if (take > 0) {
    code = bodies_read(f, offset, out, take, err);
  }
  if (code == DOM_OK) *out_len = take;
  return code;
}
