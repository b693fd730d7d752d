/* Repair: rows of the index that name records which are lost. Deletes, parts, delete markers and all rows but
 * objects are in the index in full, and are written to the log again as compaction's copies are: with their
 * first LSN. An object and an upload lack their metadata there: what they were sealed, locked or ciphered
 * with is not known, so they are deleted rather than served without. */
#include <assert.h>

#include "store/local/repair.h"

static const char where[] = "store/repair: rows";

/* A row that names a record in a hole. */
struct damaged {
  struct change change;
  bool lost;  /* a delete of what stood there */
  bool entry; /* the row alone goes */
  struct buf name;
  struct store_body_ref body; /* of a part */
};

/* ---- from a row to its change ---- */

static bool system_change(struct change *c, enum change_kind kind) {
  struct vault_key key = vault_system_key();
  c->kind = kind;
  c->epoch = key.epoch;
  memcpy(c->token, key.token, TOKEN_SIZE);
  return true;
}

/* The key of OBJECT, UPLOAD or PART, or of the cell of one. */
static bool place_of_key(struct damaged *d, struct slice key, struct row_name *out) {
  struct change *c = &d->change;
  if (!row_name_parse(key, &d->name, out)) return false;
  c->key = out->name;
  c->epoch = out->epoch;
  memcpy(c->bucket, out->bucket, STORE_BUCKET_ID_SIZE);
  return true;
}

static bool upload_of_rest(struct change *c, struct slice rest, bool part) {
  if (rest.len != STORE_UPLOAD_ID_SIZE + (part ? 4u : 0u)) return false;
  memcpy(c->upload, rest.data, STORE_UPLOAD_ID_SIZE);
  if (part) c->part = load_u32be(rest.data + STORE_UPLOAD_ID_SIZE);
  return !part || (c->part >= 1 && c->part <= STORE_PART_MAX);
}

static bool of_object(struct damaged *d, struct slice key, struct slice value) {
  struct change *c = &d->change;
  struct row_object o;
  struct row_name n;
  if (!place_of_key(d, key, &n) || n.rest.len != ROW_ORDER_SIZE || !row_object_parse(value, &o)) return false;
  d->lost = !o.marker;
  c->kind = o.marker ? CHANGE_PUT : CHANGE_DELETE;
  c->item = STORE_ITEM_OBJECT;
  c->marker = o.marker;
  c->versioned = o.versioned;
  c->order = row_order_load(n.rest);
  c->prefix_len = o.prefix_len;
  c->mtime_ms = o.mtime_ms;
  memcpy(c->token, o.token, TOKEN_SIZE);
  memcpy(c->md5, o.md5, MD5_SIZE);
  if (o.marker) c->first_lsn = o.first_lsn;
  if (!o.marker && !o.versioned) c->order = (struct store_order){0};
  return c->prefix_len <= c->key.len;
}

static bool of_upload(struct damaged *d, struct slice key, struct slice value) {
  struct change *c = &d->change;
  struct row_upload u;
  struct row_name n;
  if (!place_of_key(d, key, &n) || !upload_of_rest(c, n.rest, false) || !row_upload_parse(value, &u))
    return false;
  d->lost = true;
  c->kind = CHANGE_DELETE;
  c->item = STORE_ITEM_UPLOAD;
  c->prefix_len = u.prefix_len;
  memcpy(c->token, u.token, TOKEN_SIZE);
  return c->prefix_len <= c->key.len;
}

static bool of_part(struct damaged *d, struct slice key, struct slice value, struct row_part *p) {
  struct change *c = &d->change;
  struct row_name n;
  if (!place_of_key(d, key, &n) || !upload_of_rest(c, n.rest, true) || !row_part_parse(value, p))
    return false;
  c->kind = CHANGE_PART;
  c->order = p->order;
  c->first_lsn = p->first_lsn;
  c->mtime_ms = p->mtime_ms;
  c->size = p->body.size;
  d->body = p->body;
  c->bodies = &d->body;
  c->body_count = 1;
  c->meta = slice_of(p->meta, p->meta_len);
  memcpy(c->token, p->token, TOKEN_SIZE);
  memcpy(c->md5, p->md5, MD5_SIZE);
  return true;
}

/* The delete that stands in a cell: of a row, or of an object, upload or part of a subject's. */
static bool of_tomb(struct damaged *d, struct slice cell, uint64_t first_lsn, struct slice token) {
  struct change *c = &d->change;
  struct row_name n;
  if (cell.len < 2) return false;
  c->first_lsn = first_lsn;
  if (cell.data[0] == ROW_STATE) {
    c->table = cell.data[1];
    c->key = slice_cut(cell, 2, cell.len);
    return system_change(c, CHANGE_ROW_DELETE);
  }
  if (!place_of_key(d, cell, &n) || token.len != TOKEN_SIZE) return false;
  c->kind = CHANGE_DELETE;
  memcpy(c->token, token.data, TOKEN_SIZE);
  c->order = (struct store_order){.lsn = first_lsn};
  if (cell.data[0] == ROW_UPLOAD || cell.data[0] == ROW_PART) {
    c->item = cell.data[0] == ROW_UPLOAD ? STORE_ITEM_UPLOAD : STORE_ITEM_PART;
    return upload_of_rest(c, n.rest, c->item == STORE_ITEM_PART);
  }
  c->item = STORE_ITEM_OBJECT;
  c->versioned = n.rest.len == ROW_ORDER_SIZE;
  if (c->versioned) c->order = row_order_load(n.rest);
  return cell.data[0] == ROW_OBJECT && (c->versioned || n.rest.len == 0);
}

static bool of_state(struct damaged *d, struct slice key, uint64_t first_lsn, struct slice rest) {
  struct change *c = &d->change;
  struct reader r = reader_of(rest), k = reader_of(key);
  c->first_lsn = first_lsn;
  switch (get_u8(&k)) {
  case ROW_TOMB:
    return of_tomb(d, slice_cut(key, 1, key.len), first_lsn, rest);
  case ROW_STATE:
    c->table = get_u8(&k);
    c->key = slice_cut(key, 2, key.len);
    c->value = rest;
    return !k.bad && system_change(c, CHANGE_ROW);
  case ROW_SUBJECT:
    return subject_decode(&r, &c->subject) && system_change(c, CHANGE_SUBJECT);
  case ROW_SHRED:
    get_copy(&k, c->subject.token, TOKEN_SIZE);
    c->subject.epoch = get_u64be(&k);
    return reader_end(&k) && system_change(c, CHANGE_SHRED);
  default:
    d->entry = true;
    if (rest.len != TOKEN_SIZE) return false;
    memcpy(c->token, rest.data, TOKEN_SIZE);
    return true;
  }
}

/* Where the row's locator stands; false: rows of this table name no record that could be lost with it. An
 * intent is of a body that nothing names yet: the next start removes both. */
static bool locator_at(struct slice key, size_t *out) {
  switch (key.data[0]) {
  case ROW_OBJECT:
  case ROW_UPLOAD:
  case ROW_PART:
    *out = TOKEN_SIZE;
    return true;
  case ROW_TOMB:
  case ROW_STATE:
  case ROW_SUBJECT:
  case ROW_SHRED:
  case ROW_ENTRY:
    *out = 0;
    return true;
  default:
    return false;
  }
}

static bool in_hole(const struct repair_holes *holes, struct slice key, struct slice value) {
  size_t at = 0;
  if (!locator_at(key, &at) || value.len < at + LOG_LOCATOR_SIZE) return false;
  return repair_hole_of(holes, log_locator_load(value.data + at)) != NULL;
}

/* Borrows from key, value and *part. */
static enum dom_code damaged_read(struct damaged *d, struct slice key, struct slice value,
                                  struct row_part *part, struct dom_err *err) {
  struct row_state state;
  struct slice rest;
  bool ok;
  d->change = (struct change){0};
  d->lost = d->entry = false;
  if (key.data[0] == ROW_OBJECT)
    ok = of_object(d, key, value);
  else if (key.data[0] == ROW_UPLOAD)
    ok = of_upload(d, key, value);
  else if (key.data[0] == ROW_PART)
    ok = of_part(d, key, value, part);
  else
    ok = row_state_parse(value, &state, &rest) && of_state(d, key, state.first_lsn, rest);
  return ok ? DOM_OK : dom_fail(err, DOM_CORRUPT, where, "a row of table %c does not decode", key.data[0]);
}

static void damaged_done(struct damaged *d) {
  buf_done(&d->name);
}

/* ---- counting ---- */

static struct store_repair_lost lost_of(const struct damaged *d) {
  struct store_repair_lost lost = {.objects = d->lost && d->change.item == STORE_ITEM_OBJECT,
                                   .uploads = d->lost && d->change.item == STORE_ITEM_UPLOAD,
                                   .entries = d->entry};
  memcpy(lost.token, d->change.token, TOKEN_SIZE);
  return lost;
}

static void tally_add(struct repair_tally *t, const struct store_repair_lost *lost) {
  t->saved += !lost->objects && !lost->uploads && !lost->entries;
  t->objects += lost->objects;
  t->uploads += lost->uploads;
  t->entries += lost->entries;
}

enum dom_code repair_rows_tally(struct index *index, const struct repair_holes *holes,
                                store_repair_lost_fn fn, void *arg, struct repair_tally *out,
                                struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  struct damaged d = {0};
  struct row_part part;
  const uint8_t first[1] = {0};
  enum dom_code code = index_view_init(&v, index, true, err);
  if (!code) code = index_iter_init(&it, &v, err);
  if (code) return code;
  for (index_seek(&it, slice_of(first, 1)); !code && it.valid; index_next(&it)) {
    if (!in_hole(holes, it.key, it.value)) continue;
    code = damaged_read(&d, it.key, it.value, &part, err);
    if (code) break;
    struct store_repair_lost lost = lost_of(&d);
    tally_add(out, &lost);
    if (fn && (lost.objects || lost.uploads || lost.entries)) fn(arg, &lost);
  }
  damaged_done(&d);
  return code ? code : index_iter_check(&it, err);
}

/* ---- mending ---- */

/* A tomb does not say its place's prefix: the longest that the subject has in that bucket and that fits. */
static enum dom_code prefix_find(struct store_view *v, struct change *c, struct dom_err *err) {
  BUF_AUTO stem = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  row_presence_key(&stem, c->token, c->epoch, c->bucket, SLICE_LIT(""));
  enum dom_code code = buf_check(&stem, err);
  if (!code) code = index_iter_init(&it, &v->index, err);
  if (code) return code;
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    struct slice prefix = slice_cut(it.key, stem.len, it.key.len);
    if (slice_starts_with(c->key, prefix) && prefix.len > c->prefix_len) c->prefix_len = (uint32_t)prefix.len;
  }
  return index_iter_check(&it, err);
}

/* The note for the ledger: what whoever lost something has lost up to now. */
static enum dom_code note_add(struct store_tx *tx, struct store_view *v, const struct store_repair_lost *lost,
                              struct dom_err *err) {
  uint8_t key[STORE_REPAIR_KEY_SIZE] = {STORE_REPAIR_KEY};
  BUF_AUTO had = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  memcpy(key + 1, lost->token, TOKEN_SIZE);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &had, NULL);
  if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "a note cannot be read");
  struct reader r = reader_of(buf_slice(&had));
  uint64_t objects = code ? 0 : get_u64le(&r), uploads = code ? 0 : get_u64le(&r);
  put_u64le(&value, objects + lost->objects);
  put_u64le(&value, uploads + lost->uploads);
  code = buf_check(&value, err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), buf_slice(&value), err);
}

/* Bodies that go with the row: whoever has the key can still read them. */
static enum dom_code bodies_keep(struct store *s, const struct prev *p, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (size_t at = 0; !code && at < p->lost.len; at += STORE_BODY_ID_SIZE)
    code = body_set_aside(s, p->lost.data + at, REPAIR_FOLDER, err);
  return code;
}

/* Of the index alone: the record is gone from the log, so a rebuilt index has no such row either. */
static void entry_drop(void *arg, struct apply *a, struct index_batch *b) {
  const struct buf *key = arg; /* E row's key; then whose it is */
  BUF_AUTO of = BUF_INIT;
  struct slice row = slice_cut(buf_slice(key), 0, key->len - TOKEN_SIZE);
  struct reader r = reader_of(slice_cut(row, 1, row.len));
  uint64_t lsn = get_u64be(&r);
  uint32_t position = get_u32be(&r);
  (void)a;
  assert(reader_end(&r));
  row_entry_of_key(&of, row.data + row.len, lsn, position);
  index_delete(b, row);
  if (!of.failed) index_delete(b, buf_slice(&of));
}

static enum dom_code entry_commit(struct store *s, const struct damaged *d, const struct buf *row,
                                  struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  buf_append_slice(&key, buf_slice(row));
  buf_append(&key, d->change.token, TOKEN_SIZE);
  if (key.failed) return buf_check(&key, err);
  struct commit job = {.job = entry_drop, .job_arg = &key};
  enum dom_code code = writer_commit(s->writer, &job);
  return code ? dom_fail(err, code, where, "%s", job.err.text) : DOM_OK;
}

static enum dom_code change_commit(struct store *s, struct store_view *v, struct damaged *d,
                                   struct dom_err *err) {
  STORE_TX_AUTO *tx = NULL;
  struct store_repair_lost lost = lost_of(d);
  struct dom_err why = {0};
  bool unsaid = d->change.kind == CHANGE_PART || (d->change.kind == CHANGE_DELETE && !d->lost);
  enum dom_code code = unsaid ? prefix_find(v, &d->change, err) : DOM_OK;
  if (!code) code = store_tx_begin(s, v, &tx, err);
  if (code) return code;
  code = tx_add(tx, &d->change, (struct slice){0}, &why);
  if (code == DOM_NOT_FOUND) return DOM_OK; /* its key is dropped: erasure takes the row */
  if (code) return dom_fail(err, code, where, "%s", why.text);
  if (d->lost) code = bodies_keep(s, &tx->items[0].prev, err);
  if (!code && d->lost) code = note_add(tx, v, &lost, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

/* The first row that names a record in a hole, at or behind *from, is mended; *from moves behind it.
 * DOM_NOT_FOUND: none is left. */
static enum dom_code mend_next(struct store *s, const struct repair_holes *holes, struct buf *from,
                               struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  INDEX_ITER_AUTO it = {0};
  struct damaged d = {0};
  struct row_part part;
  enum dom_code code = store_view_open(s, &v, err);
  if (!code) code = index_iter_init(&it, &v->index, err);
  if (code) return code;
  index_seek(&it, buf_slice(from));
  while (it.valid && !in_hole(holes, it.key, it.value)) index_next(&it);
  if (!it.valid) {
    code = index_iter_check(&it, err);
    return code ? code : DOM_NOT_FOUND;
  }
  buf_reset(from);
  buf_append_slice(from, it.key);
  code = buf_check(from, err);
  if (!code) code = damaged_read(&d, it.key, it.value, &part, err);
  if (!code) code = d.entry ? entry_commit(s, &d, from, err) : change_commit(s, v, &d, err);
  put_u8(from, 0);
  damaged_done(&d);
  return code;
}

enum dom_code repair_rows_mend(struct store *s, const struct repair_holes *holes, struct dom_err *err) {
  BUF_AUTO from = BUF_INIT;
  enum dom_code code = DOM_OK;
  put_u8(&from, 0);
  while (!code) code = mend_next(s, holes, &from, err);
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}
