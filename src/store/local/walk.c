/* Walks over everything a subject has under one epoch: place by place, merging objects, uploads
 * and parts by (key, kind). */
#include <assert.h>

#include "base/alloc.h"
#include "store/local/item.h"

static const char where[] = "store/walk";
enum { SOURCES = 3 };

/* One table's rows within the current place. */
struct source {
  enum row_table table;
  enum store_item_kind kind;
  struct index_iter it;
  struct buf name_buf;
  struct row_name name; /* of the row it stands on */
  bool valid;
  bool is_null; /* OBJECT: it is the key's null version */
};

struct store_walk {
  struct store_view *view;
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  struct index_iter places; /* presence rows */
  struct buf place_stem;
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  struct buf prefix;
  bool in_place;
  struct source *last;   /* whose row was given last; it moves on at the next step */
  struct item_name name; /* of that row */
  struct source sources[SOURCES];
  struct item_state state;
  struct buf cursor; /* position of the last item */
};

/* ---- one table ---- */

static enum dom_code source_version(struct source *s, struct dom_err *err) {
  struct row_object row;
  if (s->kind != STORE_ITEM_OBJECT) return DOM_OK;
  if (s->name.rest.len != ROW_ORDER_SIZE || !row_object_parse(s->it.value, &row))
    return dom_fail(err, DOM_CORRUPT, where, "bad row");
  s->is_null = !row.versioned;
  return DOM_OK;
}

/* Moves on to the next row of the subject's epoch, from where the scan stands. */
static enum dom_code source_settle(struct store_walk *w, struct source *s, struct dom_err *err) {
  assert(w->in_place);
  BUF_AUTO stem = BUF_INIT;
  put_u8(&stem, (uint8_t)s->table);
  buf_append(&stem, w->bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(&stem, buf_slice(&w->prefix), false);
  if (stem.failed) return buf_check(&stem, err);
  s->valid = false;
  for (; s->it.valid && slice_starts_with(s->it.key, buf_slice(&stem)); index_next(&s->it)) {
    if (!row_name_parse(s->it.key, &s->name_buf, &s->name) || s->it.value.len < TOKEN_SIZE) {
      return dom_fail(err, DOM_CORRUPT, where, "bad row");
    }
    s->valid = s->name.epoch == w->epoch && memcmp(s->it.value.data, w->token, TOKEN_SIZE) == 0;
    if (s->valid) return source_version(s, err);
  }
  return index_iter_check(&s->it, err);
}

static void seek_stem(struct store_walk *w, struct source *s, struct slice name, const char *end,
                      struct buf *key) {
  put_u8(key, (uint8_t)s->table);
  buf_append(key, w->bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(key, name, false);
  buf_append(key, end, 2);
}

/* Seeks to the first row of the place, or behind a position in it. */
static enum dom_code source_seek(struct store_walk *w, struct source *s, const struct item_name *behind,
                                 struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  if (!behind) {
    put_u8(&key, (uint8_t)s->table);
    buf_append(&key, w->bucket, STORE_BUCKET_ID_SIZE);
    row_name_escape(&key, buf_slice(&w->prefix), false);
  } else if (s->kind < behind->kind) {
    seek_stem(w, s, behind->key, "\x00\x02", &key); /* this kind of that key is done */
  } else if (s->kind > behind->kind) {
    seek_stem(w, s, behind->key, "\x00\x01", &key);
  } else {
    if (s->kind == STORE_ITEM_OBJECT)
      row_version_cell(&key, w->bucket, behind->key, w->epoch, behind->version.order);
    else if (s->kind == STORE_ITEM_UPLOAD)
      row_upload_cell(&key, s->table, w->bucket, behind->key, w->epoch, behind->upload);
    else
      row_part_cell(&key, w->bucket, behind->key, w->epoch, behind->upload, behind->part);
    put_u8(&key, 0);
  }
  if (key.failed) return buf_check(&key, err);
  index_seek(&s->it, buf_slice(&key));
  return source_settle(w, s, err);
}

static enum dom_code sources_seek(struct store_walk *w, const struct item_name *behind, struct dom_err *err) {
  assert(w->in_place);
  enum dom_code code = DOM_OK;
  for (int i = 0; i < SOURCES && code == DOM_OK; i++) code = source_seek(w, &w->sources[i], behind, err);
  return code;
}

/* The source whose row comes next, or NULL at the end of the place. */
static struct source *source_least(struct store_walk *w) {
  struct source *least = NULL;
  for (int i = 0; i < SOURCES; i++) {
    struct source *s = &w->sources[i];
    if (!s->valid) continue;
    int order = least ? slice_compare(s->name.name, least->name.name) : -1;
    if (order < 0) least = s; /* kinds stand in order, so a tie goes to the lower */
  }
  return least;
}

/* ---- places ---- */

/* Takes the place of the presence row the scan stands on. False when there is none left. */
static enum dom_code place_take(struct store_walk *w, bool *out, struct dom_err *err) {
  assert(w->place_stem.len > 0);
  *out = w->places.valid && slice_starts_with(w->places.key, buf_slice(&w->place_stem));
  w->in_place = *out;
  if (!*out) return index_iter_check(&w->places, err);
  size_t at = w->place_stem.len;
  if (w->places.key.len < at + STORE_BUCKET_ID_SIZE)
    return dom_fail(err, DOM_CORRUPT, where, "bad presence row");
  memcpy(w->bucket, w->places.key.data + at, STORE_BUCKET_ID_SIZE);
  buf_reset(&w->prefix);
  buf_append_slice(&w->prefix, slice_cut(w->places.key, at + STORE_BUCKET_ID_SIZE, w->places.key.len));
  return buf_check(&w->prefix, err);
}

/* ---- cursor ---- */

static void cursor_note(struct store_walk *w, const struct item_name *n) {
  assert(n->key.len > 0);
  buf_reset(&w->cursor);
  buf_append(&w->cursor, w->bucket, STORE_BUCKET_ID_SIZE);
  put_bytes16le(&w->cursor, buf_slice(&w->prefix));
  put_bytes16le(&w->cursor, n->key);
  put_u8(&w->cursor, (uint8_t)n->kind);
  put_u64le(&w->cursor, n->version.order.epoch);
  put_u64le(&w->cursor, n->version.order.lsn);
  buf_append(&w->cursor, n->upload, STORE_UPLOAD_ID_SIZE);
  put_u32le(&w->cursor, n->part);
}

/* Stands the walk behind a cursor; its place may be gone, then at the next one. */
static enum dom_code cursor_resume(struct store_walk *w, struct slice cursor, struct dom_err *err) {
  struct reader r = reader_of(cursor);
  struct item_name n = {0};
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  BUF_AUTO from = BUF_INIT;
  bool there = false;
  get_copy(&r, bucket, sizeof bucket);
  struct slice prefix = get_bytes16le(&r);
  n.key = get_bytes16le(&r);
  n.kind = get_u8(&r);
  n.version.order.epoch = get_u64le(&r);
  n.version.order.lsn = get_u64le(&r);
  get_copy(&r, n.upload, STORE_UPLOAD_ID_SIZE);
  n.part = get_u32le(&r);
  bool order_ok = n.kind != STORE_ITEM_OBJECT || n.version.order.lsn > 0;
  bool part_ok = n.kind != STORE_ITEM_PART || (n.part >= 1 && n.part <= STORE_PART_MAX);
  if (!reader_end(&r) || !part_ok || !order_ok || n.kind < STORE_ITEM_OBJECT || n.kind > STORE_ITEM_PART ||
      n.key.len > STORE_KEY_MAX) {
    return dom_fail(err, DOM_INVALID, where, "bad cursor");
  }
  buf_append_slice(&from, buf_slice(&w->place_stem));
  buf_append(&from, bucket, sizeof bucket);
  buf_append_slice(&from, prefix);
  if (from.failed) return buf_check(&from, err);
  index_seek(&w->places, buf_slice(&from));
  bool same = w->places.valid && slice_equal(w->places.key, buf_slice(&from));
  enum dom_code code = place_take(w, &there, err);
  if (code == DOM_OK && there) code = sources_seek(w, same ? &n : NULL, err);
  buf_append_slice(&w->cursor, cursor);
  return code;
}

/* ---- facade ---- */

static enum dom_code walk_start(struct store_walk *w, struct slice cursor, struct dom_err *err) {
  static const enum row_table tables[SOURCES] = {ROW_OBJECT, ROW_UPLOAD, ROW_PART};
  bool there = false;
  enum dom_code code = index_iter_init(&w->places, &w->view->index, err);
  for (int i = 0; i < SOURCES && code == DOM_OK; i++) {
    w->sources[i].table = tables[i];
    w->sources[i].kind = (enum store_item_kind)(i + STORE_ITEM_OBJECT);
    code = index_iter_init(&w->sources[i].it, &w->view->index, err);
  }
  if (code != DOM_OK) return code;
  row_token_epoch_key(&w->place_stem, ROW_PRESENCE, w->token, w->epoch);
  if (w->place_stem.failed) return buf_check(&w->place_stem, err);
  if (cursor.len > 0) return cursor_resume(w, cursor, err);
  index_seek(&w->places, buf_slice(&w->place_stem));
  code = place_take(w, &there, err);
  return code == DOM_OK && there ? sources_seek(w, NULL, err) : code;
}

enum dom_code walk_new(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                       struct slice cursor, struct store_walk **out, struct dom_err *err) {
  struct store_walk *w = dom_calloc(1, sizeof *w);
  if (!w) return dom_fail(err, DOM_NO_MEMORY, where, "walk");
  w->view = v;
  w->epoch = epoch;
  memcpy(w->token, token, TOKEN_SIZE);
  enum dom_code code = walk_start(w, cursor, err);
  if (code != DOM_OK) {
    store_walk_close(w);
    return code;
  }
  *out = w;
  return DOM_OK;
}

enum dom_code store_walk_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct slice cursor,
                              struct store_walk **out, struct dom_err *err) {
  assert(action == PERMIT_MOVE || action == PERMIT_REPAIR || action == PERMIT_READ);
  if (!permit_covers(permit, action, v->store->o.region, token))
    return dom_fail(err, DOM_REFUSED, where, "no permit");
  enum dom_code code = action == PERMIT_READ ? subject_check(v, token, epoch, false, err) : DOM_OK;
  if (code != DOM_OK) return code;
  return walk_new(v, token, epoch, cursor, out, err);
}

/* The next row: its name, with memory of the source it came from; *out NULL at the end. */
enum dom_code walk_step(struct store_walk *w, struct item_name *name, const struct index_iter **out,
                        struct dom_err *err) {
  enum dom_code code = DOM_OK;
  bool there = w->in_place;
  *out = NULL;
  if (w->last) {
    index_next(&w->last->it);
    code = source_settle(w, w->last, err);
    w->last = NULL;
  }
  while (code == DOM_OK && there) {
    struct source *s = source_least(w);
    if (s) {
      *name = (struct item_name){.kind = s->kind, .key = s->name.name};
      if (s->kind == STORE_ITEM_OBJECT)
        name->version = (struct store_version){.is_null = s->is_null, .order = row_order_load(s->name.rest)};
      else
        memcpy(name->upload, s->name.rest.data, STORE_UPLOAD_ID_SIZE);
      if (s->kind == STORE_ITEM_PART) name->part = load_u32be(s->name.rest.data + STORE_UPLOAD_ID_SIZE);
      w->last = s;
      *out = &s->it;
      return DOM_OK;
    }
    index_next(&w->places);
    code = place_take(w, &there, err);
    if (code == DOM_OK && there) code = sources_seek(w, NULL, err);
  }
  return code;
}

void walk_place(const struct store_walk *w, struct store_place *out) {
  assert(w->in_place);
  *out = (struct store_place){.epoch = w->epoch, .prefix = buf_slice(&w->prefix)};
  memcpy(out->bucket, w->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(out->token, w->token, TOKEN_SIZE);
}

static enum dom_code row_stamp(enum store_item_kind kind, const struct index_iter *row,
                               uint8_t out[SHA256_SIZE], struct dom_err *err) {
  struct row_object object;
  struct row_upload upload;
  struct row_part part;
  bool good = false;
  uint64_t lsn = 0;
  switch (kind) {
  case STORE_ITEM_OBJECT:
    if ((good = row_object_parse(row->value, &object))) lsn = object.first_lsn;
    break;
  case STORE_ITEM_UPLOAD:
    if ((good = row_upload_parse(row->value, &upload))) lsn = upload.first_lsn;
    break;
  case STORE_ITEM_PART:
    if ((good = row_part_parse(row->value, &part))) lsn = part.first_lsn;
    break;
  }
  if (!good) return dom_fail(err, DOM_CORRUPT, where, "bad row");
  item_stamp(row->key, lsn, out);
  return DOM_OK;
}

enum dom_code store_walk_step(struct store_walk *w, uint8_t out_stamp[SHA256_SIZE], struct dom_err *err) {
  const struct index_iter *row = NULL;
  enum dom_code code = walk_step(w, &w->name, &row, err);
  if (code != DOM_OK) return code;
  return row ? row_stamp(w->name.kind, row, out_stamp, err) : DOM_NOT_FOUND;
}

enum dom_code store_walk_item(struct store_walk *w, const struct store_item **out, struct dom_err *err) {
  struct store_place place;
  assert(out != NULL && w->last != NULL);
  walk_place(w, &place);
  enum dom_code code = item_load(w->view, &place, &w->name, &w->state, err);
  if (code != DOM_OK) return code;
  if (w->state.item.absent) return dom_fail(err, DOM_CORRUPT, where, "a row without its item");
  cursor_note(w, &w->name);
  if (w->cursor.failed) return buf_check(&w->cursor, err);
  *out = &w->state.item;
  return DOM_OK;
}

enum dom_code store_walk_next(struct store_walk *w, const struct store_item **out, struct dom_err *err) {
  const struct index_iter *row = NULL;
  assert(out != NULL);
  enum dom_code code = walk_step(w, &w->name, &row, err);
  if (code != DOM_OK) return code;
  return row ? store_walk_item(w, out, err) : DOM_NOT_FOUND;
}

void store_walk_cursor(const struct store_walk *w, struct buf *out) {
  assert(out != &w->cursor);
  buf_append_slice(out, buf_slice(&w->cursor));
}

void store_walk_close(struct store_walk *w) {
  if (!w) return;
  for (int i = 0; i < SOURCES; i++) {
    index_iter_done(&w->sources[i].it);
    buf_done(&w->sources[i].name_buf);
  }
  index_iter_done(&w->places);
  buf_done(&w->place_stem);
  buf_done(&w->prefix);
  buf_done(&w->cursor);
  item_state_done(&w->state);
  dom_free(w);
}

enum dom_code store_subject_usage(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                  uint64_t *out_objects, uint64_t *out_bytes, struct dom_err *err) {
  assert(out_objects != NULL && out_bytes != NULL);
  struct store_walk *w = NULL;
  const struct index_iter *row = NULL;
  struct item_name name;
  uint64_t objects = 0, bytes = 0;
  enum dom_code code = walk_new(v, token, epoch, (struct slice){0}, &w, err);
  if (code != DOM_OK) return code;
  while ((code = walk_step(w, &name, &row, err)) == DOM_OK && row) {
    struct row_object o;
    if (name.kind != STORE_ITEM_OBJECT) continue;
    if (!row_object_parse(row->value, &o)) {
      code = dom_fail(err, DOM_CORRUPT, where, "bad row");
      break;
    }
    objects += !o.marker;
    bytes += o.size;
  }
  store_walk_close(w);
  if (code != DOM_OK) return code;
  *out_objects = objects;
  *out_bytes = bytes;
  return DOM_OK;
}
