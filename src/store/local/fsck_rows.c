#include <assert.h>
#include <stdio.h>

#include "store/local/fsck.h"

enum { PROGRESS_ROWS = 1024 };

struct rows_check {
  struct fsck *f;
  struct store *s;
  struct index_view *view;
  struct record_plain plain;
  struct buf payload, cell, key, value;
  uint64_t rows;
};

static void row_bad(struct rows_check *c, uint8_t table, struct log_locator at, const char *what) {
  c->f->report.dangling_rows++;
  fsck_find(c->f, "row of table %c naming segment %u offset %u: %s; rebuild the index: fsck --rebuild-index",
            table, at.segment, at.offset, what);
}

/* The beginning that the row's key must have by what its record says. */
static void cell_of(const struct change *c, struct buf *out, uint64_t first_lsn) {
  if (c->kind == CHANGE_DELETE || c->kind == CHANGE_ROW_DELETE) put_u8(out, ROW_TOMB);
  if (c->kind == CHANGE_ENTRY)
    row_entry_key(out, first_lsn, c->position);
  else
    change_cell(c, out);
}

static enum dom_code presence_check(struct rows_check *c, const struct change *change, struct log_locator at,
                                    uint8_t table, struct dom_err *err) {
  buf_reset(&c->key);
  row_presence_key(&c->key, change->token, change->epoch, change->bucket,
                   slice_cut(change->key, 0, change->prefix_len));
  if (c->key.failed) return buf_check(&c->key, err);
  enum dom_code code = index_has(c->view, buf_slice(&c->key), err);
  if (code == DOM_NOT_FOUND) row_bad(c, table, at, "no presence row for its place");
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

/* Bodies of an object: each has a row that names this object's commit. */
static enum dom_code bodies_check(struct rows_check *c, struct slice row_key, const struct change *change,
                                  uint64_t first_lsn, struct log_locator at, struct dom_err *err) {
  for (uint32_t i = 0; i < change->body_count; i++) {
    struct row_body body;
    buf_reset(&c->key);
    row_id_key(&c->key, ROW_BODY, change->bodies[i].id);
    if (c->key.failed) return buf_check(&c->key, err);
    enum dom_code code = index_get(c->view, buf_slice(&c->key), &c->value, err);
    if (code != DOM_OK && code != DOM_NOT_FOUND) return code;
    if (code == DOM_NOT_FOUND || !row_body_parse(buf_slice(&c->value), &body) ||
        body.owner_lsn != first_lsn || body.size != change->bodies[i].size)
      row_bad(c, row_key.data[0], at, "a body of it has no row, or another owner");
  }
  return DOM_OK;
}

static enum dom_code record_row_check(struct rows_check *c, enum change_kind kind, struct slice key,
                                      struct log_locator at, uint64_t first_lsn, struct dom_err *err) {
  struct change change;
  struct dom_err why = {0};
  buf_reset(&c->payload);
  enum dom_code code = log_read(c->s->log, at, &c->payload, &why);
  if (code == DOM_OK)
    code = record_decode(c->s->vault, kind, buf_slice(&c->payload), &c->plain, &change, &why);
  if (code == DOM_NO_MEMORY) return dom_fail(err, code, why.where, "%s", why.text);
  if (code == DOM_NOT_FOUND) return DOM_OK; /* its key is dropped; erasure takes the row */
  if (code != DOM_OK) {
    row_bad(c, key.data[0], at, code == DOM_RETRY ? "the segment was given up" : why.text);
    return DOM_OK;
  }
  buf_reset(&c->cell);
  record_order_resolve(&change, first_lsn);
  cell_of(&change, &c->cell, first_lsn);
  if (c->cell.failed) return buf_check(&c->cell, err);
  if (!slice_starts_with(key, buf_slice(&c->cell)) || (change.first_lsn && change.first_lsn != first_lsn)) {
    row_bad(c, key.data[0], at, "the record is of something else");
    return DOM_OK;
  }
  bool placed = kind == CHANGE_PUT || kind == CHANGE_UPLOAD || kind == CHANGE_PART;
  if (placed) code = presence_check(c, &change, at, key.data[0], err);
  if (code == DOM_OK && placed) code = bodies_check(c, key, &change, first_lsn, at, err);
  return code;
}

/* ---- body files ---- */

static enum dom_code body_row_check(struct rows_check *c, struct slice key, struct slice value,
                                    struct dom_err *err) {
  struct row_body row;
  struct store_body_ref ref = {0};
  struct dom_err why = {0};
  bool there = true;
  if (key.len != 1 + STORE_BODY_ID_SIZE || !row_body_parse(value, &row)) {
    row_bad(c, ROW_BODY, (struct log_locator){0}, "bad row");
    return DOM_OK;
  }
  c->f->report.bodies++;
  memcpy(ref.id, key.data + 1, sizeof ref.id);
  ref.size = row.size;
  enum dom_code code = body_check(c->s, row.token, row.epoch, &ref, &there, &why);
  if (code == DOM_OK || (code == DOM_NOT_FOUND && there)) return DOM_OK; /* there, but its key is dropped */
  if (code == DOM_NO_MEMORY) return dom_fail(err, code, why.where, "%s", why.text);
  if (!there)
    c->f->report.missing_bodies++;
  else
    c->f->report.bad_bodies++;
  fsck_find(c->f, "%s; it is not served: restore this file from the backup", why.text);
  return DOM_OK;
}

/* ---- one row ---- */

static enum dom_code named_check(struct rows_check *c, enum change_kind kind, struct slice key,
                                 struct slice value, size_t at, struct dom_err *err) {
  if (value.len < at + LOG_LOCATOR_SIZE + 8) {
    row_bad(c, key.data[0], (struct log_locator){0}, "short row");
    return DOM_OK;
  }
  return record_row_check(c, kind, key, log_locator_load(value.data + at),
                          load_u64le(value.data + at + LOG_LOCATOR_SIZE), err);
}

static enum dom_code intent_check(struct rows_check *c, struct slice key, struct slice value,
                                  struct dom_err *err) {
  size_t at = TOKEN_SIZE + 8;
  if (value.len != at + 8 + LOG_LOCATOR_SIZE) {
    row_bad(c, ROW_INTENT, (struct log_locator){0}, "bad row");
    return DOM_OK;
  }
  return record_row_check(c, CHANGE_INTENT, key, log_locator_load(value.data + at + 8),
                          load_u64le(value.data + at), err);
}

static enum dom_code row_check(struct rows_check *c, struct slice key, struct slice value,
                               struct dom_err *err) {
  struct store_fsck_report *r = &c->f->report;
  switch (key.data[0]) {
  case ROW_OBJECT:
    r->objects++;
    return named_check(c, CHANGE_PUT, key, value, TOKEN_SIZE, err);
  case ROW_UPLOAD:
    r->uploads++;
    return named_check(c, CHANGE_UPLOAD, key, value, TOKEN_SIZE, err);
  case ROW_PART:
    r->parts++;
    return named_check(c, CHANGE_PART, key, value, TOKEN_SIZE, err);
  case ROW_TOMB:
    return named_check(c, key.len > 1 && key.data[1] == ROW_STATE ? CHANGE_ROW_DELETE : CHANGE_DELETE, key,
                       value, 0, err);
  case ROW_STATE:
    r->rows++;
    return named_check(c, CHANGE_ROW, key, value, 0, err);
  case ROW_SUBJECT:
    r->rows++;
    return named_check(c, CHANGE_SUBJECT, key, value, 0, err);
  case ROW_SHRED:
    r->rows++;
    return named_check(c, CHANGE_SHRED, key, value, 0, err);
  case ROW_ENTRY:
    r->entries++;
    return named_check(c, CHANGE_ENTRY, key, value, 0, err);
  case ROW_INTENT:
    return intent_check(c, key, value, err);
  case ROW_BODY:
    return body_row_check(c, key, value, err);
  default:
    return DOM_OK; /* of the index alone: presence, journal, removals, accounting */
  }
}

static enum dom_code rows_each(struct rows_check *c, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  const uint8_t first[1] = {0};
  enum dom_code code = index_view_init(&v, c->s->index, true, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  c->view = &v;
  for (index_seek(&it, slice_of(first, 1)); it.valid && code == DOM_OK; index_next(&it)) {
    assert(it.key.len > 0);
    code = row_check(c, it.key, it.value, err);
    if (++c->rows % PROGRESS_ROWS == 0) fsck_progress(c->f, "rows", c->rows, 0);
  }
  return code == DOM_OK ? index_iter_check(&it, err) : code;
}

/* ---- files without a row ---- */

static enum dom_code orphans_report(struct fsck *f, struct store *s, struct dom_err *err) {
  BUF_AUTO ids = BUF_INIT;
  enum dom_code code = orphans_find(s, &ids, err);
  for (size_t at = 0; at < ids.len && code == DOM_OK; at += STORE_BODY_ID_SIZE) {
    BUF_AUTO name = BUF_INIT;
    hex_encode(&name, slice_of(ids.data + at, STORE_BODY_ID_SIZE));
    f->report.orphan_bodies++;
    fsck_find(f, "body file %s: no row names it; --rebuild-index removes it", buf_str(&name));
  }
  return code;
}

enum dom_code fsck_rows(struct fsck *f, struct store *s, struct dom_err *err) {
  struct rows_check c = {.f = f, .s = s};
  enum dom_code code = rows_each(&c, err);
  if (code == DOM_OK) code = orphans_report(f, s, err);
  if (code == DOM_OK) fsck_progress(f, "rows", c.rows, c.rows);
  record_plain_done(&c.plain);
  buf_done(&c.payload);
  buf_done(&c.cell);
  buf_done(&c.key);
  buf_done(&c.value);
  return code;
}
