#include <assert.h>

#include "store/local/apply.h"

void prev_done(struct prev *p) {
  buf_done(&p->key);
  buf_done(&p->value);
  buf_done(&p->lost);
  buf_done(&p->parts);
  *p = (struct prev){0};
}

static void object_cell(const struct change *c, struct buf *out) {
  assert(c->kind == CHANGE_PUT || !c->versioned || c->order.lsn > 0);
  if (c->versioned && c->order.lsn > 0)
    row_version_cell(out, c->bucket, c->key, c->epoch, c->order);
  else
    row_cell(out, ROW_OBJECT, c->bucket, c->key, c->epoch);
}

void change_cell(const struct change *c, struct buf *out) {
  switch (c->kind) {
  case CHANGE_PUT:
    object_cell(c, out);
    return;
  case CHANGE_UPLOAD:
    row_upload_cell(out, ROW_UPLOAD, c->bucket, c->key, c->epoch, c->upload);
    return;
  case CHANGE_PART:
    row_part_cell(out, c->bucket, c->key, c->epoch, c->upload, c->part);
    return;
  case CHANGE_DELETE:
    if (c->item == STORE_ITEM_OBJECT)
      object_cell(c, out);
    else if (c->item == STORE_ITEM_UPLOAD)
      row_upload_cell(out, ROW_UPLOAD, c->bucket, c->key, c->epoch, c->upload);
    else
      row_part_cell(out, c->bucket, c->key, c->epoch, c->upload, c->part);
    return;
  case CHANGE_ROW:
  case CHANGE_ROW_DELETE:
    row_state_cell(out, c->table, c->key);
    return;
  case CHANGE_SUBJECT:
    row_token_key(out, ROW_SUBJECT, c->subject.token);
    return;
  case CHANGE_SHRED:
    row_token_epoch_key(out, ROW_SHRED, c->subject.token, c->subject.epoch);
    return;
  case CHANGE_INTENT:
  case CHANGE_INTENT_END:
    row_id_key(out, ROW_INTENT, c->body_id);
    return;
  case CHANGE_ENTRY:
    return; /* keyed by its commit: it meets nothing */
  }
  assert(false);
}

/* Adds a body to those that go, if the row with this first LSN still owns it: a completed upload
 * hands the bodies of its parts on to the object. */
static enum dom_code lost_add(struct index_view *v, const uint8_t id[STORE_BODY_ID_SIZE], uint64_t owner_lsn,
                              struct prev *p, struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  struct row_body body;
  row_id_key(&key, ROW_BODY, id);
  enum dom_code code = index_get(v, buf_slice(&key), &value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_body_parse(buf_slice(&value), &body))
    return dom_fail(err, DOM_CORRUPT, "store/apply: body row", "bad row");
  if (body.owner_lsn == owner_lsn) buf_append(&p->lost, id, STORE_BODY_ID_SIZE);
  return buf_check(&p->lost, err);
}

static enum dom_code object_lost(struct index_view *v, struct prev *p, uint32_t count, struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO ids = BUF_INIT;
  if (count == 0) return DOM_OK;
  buf_append_slice(&key, buf_slice(&p->key));
  if (key.failed) return buf_check(&key, err);
  key.data[0] = ROW_BODIES;
  enum dom_code code = index_get(v, buf_slice(&key), &ids, err);
  if (code == DOM_OK && ids.len != (size_t)count * STORE_BODY_ID_SIZE) code = DOM_CORRUPT;
  if (code != DOM_OK) return dom_fail(err, DOM_CORRUPT, "store/apply: bodies row", "bad or missing row");
  for (size_t at = 0; at < ids.len && code == DOM_OK; at += STORE_BODY_ID_SIZE) {
    code = lost_add(v, ids.data + at, p->first_lsn, p, err);
  }
  return code;
}

static const char object_where[] = "store/apply: object row";

/* Below the newest version, which is not the null one. */
static enum dom_code null_row_seek(struct index_view *v, struct slice cell, struct buf *key,
                                   struct buf *value, struct row_object *out, struct dom_err *err) {
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = index_iter_init(&it, v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, cell); it.valid && slice_starts_with(it.key, cell); index_next(&it)) {
    if (!row_object_parse(it.value, out)) return dom_fail(err, DOM_CORRUPT, object_where, "bad row");
    if (out->versioned) continue;
    buf_reset(key);
    buf_reset(value);
    buf_append_slice(key, it.key);
    buf_append_slice(value, it.value);
    code = buf_check(key, err);
    return code == DOM_OK ? buf_check(value, err) : code;
  }
  code = index_iter_check(&it, err);
  return code == DOM_OK ? DOM_NOT_FOUND : code;
}

enum dom_code null_row_find(struct index_view *v, struct slice cell, struct buf *key, struct buf *value,
                            struct row_object *out, struct dom_err *err) {
  assert(cell.len > 0 && cell.data[0] == ROW_OBJECT);
  enum dom_code code = index_newest(v, cell, key, value, err);
  if (code != DOM_OK) return code;
  if (!row_object_parse(buf_slice(value), out)) return dom_fail(err, DOM_CORRUPT, object_where, "bad row");
  return out->versioned ? null_row_seek(v, cell, key, value, out, err) : DOM_OK;
}

static enum dom_code object_prev(struct index_view *v, const struct change *c, struct slice cell,
                                 struct prev *p, struct dom_err *err) {
  struct row_object row;
  enum dom_code code = DOM_OK;
  if (c->versioned) {
    buf_reset(&p->key);
    buf_append_slice(&p->key, cell);
    code = p->key.failed ? buf_check(&p->key, err) : index_get(v, cell, &p->value, err);
    if (code == DOM_OK && (!row_object_parse(buf_slice(&p->value), &row) || !row.versioned))
      return dom_fail(err, DOM_CORRUPT, object_where, "bad row");
  } else {
    code = null_row_find(v, cell, &p->key, &p->value, &row, err);
  }
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  p->found = true;
  p->first_lsn = row.first_lsn;
  p->at = row.at;
  return object_lost(v, p, row.body_count, err);
}

static enum dom_code upload_prev(struct index_view *v, struct slice cell, struct prev *p,
                                 struct dom_err *err) {
  struct row_upload row;
  enum dom_code code = index_get(v, cell, &p->value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_upload_parse(buf_slice(&p->value), &row)) {
    return dom_fail(err, DOM_CORRUPT, "store/apply: upload row", "bad row");
  }
  p->found = true;
  p->first_lsn = row.first_lsn;
  p->at = row.at;
  return DOM_OK;
}

static enum dom_code part_prev(struct index_view *v, struct slice cell, struct prev *p, struct dom_err *err) {
  struct row_part row;
  enum dom_code code = index_get(v, cell, &p->value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_part_parse(buf_slice(&p->value), &row))
    return dom_fail(err, DOM_CORRUPT, "store/apply: part row", "bad row");
  p->found = true;
  p->first_lsn = row.first_lsn;
  p->at = row.at;
  return lost_add(v, row.body.id, row.first_lsn, p, err);
}

/* The parts of an upload that is about to end. */
static enum dom_code parts_prev(struct index_view *v, const struct change *c, struct prev *p,
                                struct dom_err *err) {
  BUF_AUTO stem = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = index_iter_init(&it, v, err);
  if (code != DOM_OK) return code;
  row_upload_cell(&stem, ROW_PART, c->bucket, c->key, c->epoch, c->upload);
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    struct row_part row;
    if (!row_part_parse(it.value, &row))
      return dom_fail(err, DOM_CORRUPT, "store/apply: part row", "bad row");
    if (c->first_lsn && row.first_lsn > c->first_lsn) continue; /* of a later upload of that id */
    put_bytes16le(&p->parts, it.key);
    log_locator_put(&p->parts, row.at);
    code = lost_add(v, row.body.id, row.first_lsn, p, err);
    if (code != DOM_OK) return code;
  }
  code = buf_check(&p->parts, err);
  return code == DOM_OK ? index_iter_check(&it, err) : code;
}

static enum dom_code state_prev(struct index_view *v, struct slice cell, struct prev *p,
                                struct dom_err *err) {
  struct row_state row;
  enum dom_code code = index_get(v, cell, &p->value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_state_parse(buf_slice(&p->value), &row, NULL)) {
    return dom_fail(err, DOM_CORRUPT, "store/apply: state row", "bad row");
  }
  p->found = true;
  p->first_lsn = row.first_lsn;
  p->at = row.at;
  return DOM_OK;
}

/* An entry is keyed by the commit it first stood in: only its own copies meet it. */
static enum dom_code entry_prev(struct index_view *v, const struct change *c, struct prev *p,
                                struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  if (c->first_lsn == 0) return DOM_OK;
  row_entry_key(&key, c->first_lsn, c->position);
  return key.failed ? buf_check(&key, err) : state_prev(v, buf_slice(&key), p, err);
}

/* The newest delete that stands in `cell`. */
static enum dom_code tomb_prev(struct index_view *v, struct slice cell, struct prev *p, struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  struct row_state row;
  put_u8(&key, ROW_TOMB);
  buf_append_slice(&key, cell);
  if (key.failed) return buf_check(&key, err);
  enum dom_code code = index_get(v, buf_slice(&key), &value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_state_parse(buf_slice(&value), &row, NULL))
    return dom_fail(err, DOM_CORRUPT, "store/apply: tomb", "bad row");
  if (row.first_lsn > p->tomb_lsn) p->tomb_lsn = row.first_lsn;
  return DOM_OK;
}

static enum dom_code presence_prev(struct index_view *v, const struct change *c, struct prev *p,
                                   struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  row_presence_key(&key, c->token, c->epoch, c->bucket, slice_cut(c->key, 0, c->prefix_len));
  enum dom_code code = index_has(v, buf_slice(&key), err);
  p->present = code == DOM_OK;
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

static enum dom_code cell_prev(struct index_view *v, const struct change *c, struct slice cell,
                               struct prev *p, struct dom_err *err) {
  switch (cell.data[0]) {
  case ROW_OBJECT:
    return object_prev(v, c, cell, p, err);
  case ROW_UPLOAD:
    return upload_prev(v, cell, p, err);
  case ROW_PART:
    return part_prev(v, cell, p, err);
  case ROW_INTENT:
    return DOM_OK; /* ids are random: an intent meets nothing but itself */
  default:
    assert(c->kind != CHANGE_ENTRY);
    return state_prev(v, cell, p, err);
  }
}

static bool change_in_place(const struct change *c) {
  return c->kind == CHANGE_PUT || c->kind == CHANGE_UPLOAD || c->kind == CHANGE_PART;
}

enum dom_code prev_read(struct index_view *v, const struct change *c, struct prev *p, struct dom_err *err) {
  BUF_AUTO cell = BUF_INIT;
  enum dom_code code = DOM_OK;
  p->found = p->present = false;
  p->first_lsn = p->tomb_lsn = 0;
  buf_reset(&p->lost);
  buf_reset(&p->parts);
  if (c->kind == CHANGE_ENTRY) return entry_prev(v, c, p, err);
  /* A new version meets nothing: its order is given out only now. */
  if (c->kind == CHANGE_PUT && c->versioned && c->order.lsn == 0) return presence_prev(v, c, p, err);
  change_cell(c, &cell);
  if (cell.failed) return buf_check(&cell, err);
  code = cell_prev(v, c, buf_slice(&cell), p, err);
  bool tombs =
      change_in_place(c) || c->kind == CHANGE_DELETE || c->kind == CHANGE_ROW || c->kind == CHANGE_ROW_DELETE;
  if (code == DOM_OK && tombs) code = tomb_prev(v, buf_slice(&cell), p, err);
  if (code == DOM_OK && c->kind == CHANGE_PART) { /* the end of its upload ends it too */
    buf_reset(&cell);
    row_upload_cell(&cell, ROW_UPLOAD, c->bucket, c->key, c->epoch, c->upload);
    code = tomb_prev(v, buf_slice(&cell), p, err);
  }
  if (code == DOM_OK && (change_in_place(c) || c->kind == CHANGE_DELETE)) code = presence_prev(v, c, p, err);
  if (code == DOM_OK && c->kind == CHANGE_DELETE && c->item == STORE_ITEM_UPLOAD)
    code = parts_prev(v, c, p, err);
  return code;
}
