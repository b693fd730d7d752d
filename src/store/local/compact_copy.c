/* Compaction, record by record: what of a segment is still needed, and its copy. */
#include <assert.h>

#include "store/local/compact.h"

static const char where[] = "store/compact";

/* What is to become of a record. */
enum fate { FATE_DEAD, FATE_COPY, FATE_DROP_TOMB, FATE_HELD };

/* ---- which row names it ---- */

/* The key of the row that would name the record, and where its locator stands in the value. */
static enum dom_code row_find(struct scan *s, const struct change *c, uint64_t first_lsn, size_t *out_at,
                              struct dom_err *err) {
  struct index_view *v = &s->view->index;
  struct row_object row;
  *out_at = 0;
  buf_reset(&s->key);
  switch (c->kind) {
  case CHANGE_PUT:
    *out_at = TOKEN_SIZE;
    change_cell(c, &s->cell);
    if (s->cell.failed) return buf_check(&s->cell, err);
    if (c->versioned) return index_get(v, buf_slice(&s->cell), &s->value, err);
    return null_row_find(v, buf_slice(&s->cell), &s->key, &s->value, &row, err);
  case CHANGE_UPLOAD:
  case CHANGE_PART:
    change_cell(c, &s->key);
    *out_at = TOKEN_SIZE;
    break;
  case CHANGE_DELETE:
  case CHANGE_ROW_DELETE:
    put_u8(&s->key, ROW_TOMB);
    change_cell(c, &s->key);
    break;
  case CHANGE_ROW:
  case CHANGE_SUBJECT:
  case CHANGE_SHRED:
    change_cell(c, &s->key);
    break;
  case CHANGE_INTENT:
    change_cell(c, &s->key);
    *out_at = TOKEN_SIZE + 16;
    break;
  case CHANGE_ENTRY:
    row_entry_key(&s->key, first_lsn, c->position);
    break;
  case CHANGE_INTENT_END:
    return DOM_NOT_FOUND; /* at worst a file that is gone is looked for once more */
  }
  return s->key.failed ? buf_check(&s->key, err) : index_get(v, buf_slice(&s->key), &s->value, err);
}

static enum dom_code fate_of(struct scan *s, const struct change *c, uint64_t first_lsn,
                             struct log_locator at, enum fate *out, struct dom_err *err) {
  size_t where_at = 0;
  struct dom_err why = {0};
  buf_reset(&s->cell);
  *out = FATE_DEAD;
  enum dom_code code = row_find(s, c, first_lsn, &where_at, &why);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return dom_fail(err, code, why.where ? why.where : where, "%s", why.text);
  if (s->value.len < where_at + LOG_LOCATOR_SIZE) return dom_fail(err, DOM_CORRUPT, where, "short row");
  if (!log_locator_equal(log_locator_load(s->value.data + where_at), at)) return DOM_OK;
  if (c->kind == CHANGE_INTENT)
    *out = FATE_HELD; /* a body is being written; soon its row is gone */
  else if (c->kind == CHANGE_DELETE || c->kind == CHANGE_ROW_DELETE)
    *out = s->oldest_lsn < first_lsn ? FATE_COPY : FATE_DROP_TOMB;
  else
    *out = FATE_COPY;
  return DOM_OK;
}

/* ---- dropping a delete that nothing older is left for ---- */

static void tomb_drop(void *arg, struct apply *a, struct index_batch *b) {
  const struct buf *key = arg;
  (void)a;
  index_delete(b, buf_slice(key));
}

static enum dom_code tomb_forget(struct scan *s, const struct change *c, struct dom_err *err) {
  buf_reset(&s->cell);
  change_cell(c, &s->cell);
  if (s->cell.failed) return buf_check(&s->cell, err);
  uint64_t hash = writer_hash(buf_slice(&s->cell), 0);
  struct commit job = {
      .job = tomb_drop, .job_arg = &s->key, .read_lsn = s->view->lsn, .reads = &hash, .read_count = 1};
  enum dom_code code = writer_commit(s->store->writer, &job);
  if (code == DOM_RETRY) {
    s->retry = true;
    return DOM_OK;
  }
  return code == DOM_OK ? code : dom_fail(err, code, job.err.where, "%s", job.err.text);
}

/* ---- copies ---- */

static uint64_t upload_cell_hash(const struct change *c, uint64_t salt) {
  BUF_AUTO cell = BUF_INIT;
  row_upload_cell(&cell, ROW_UPLOAD, c->bucket, c->key, c->epoch, c->upload);
  return cell.failed ? 0 : writer_hash(buf_slice(&cell), salt);
}

/* Beside its cell: an epoch's erasure writes its subject's cell, and the end of an upload removes
 * its parts without writing theirs. */
static enum dom_code copy_guard(struct store_tx *tx, const struct change *c, struct dom_err *err) {
  enum dom_code code = tx_cell_guard(tx, c, err);
  bool item =
      c->kind == CHANGE_PUT || c->kind == CHANGE_UPLOAD || c->kind == CHANGE_PART || c->kind == CHANGE_DELETE;
  if (code == DOM_OK && item) code = tx_read(tx, tx_hash_subject(c->token), err);
  if (code == DOM_OK && c->kind == CHANGE_PART) code = tx_read(tx, upload_cell_hash(c, 0), err);
  if (code == DOM_OK && c->kind == CHANGE_PART) code = tx_write(tx, upload_cell_hash(c, TX_SALT_PARTS), err);
  return code;
}

/* An upload and the end of an earlier one of that id share a cell: one of them waits a pass. */
static bool copy_waits(struct scan *s, const struct change *c) {
  buf_reset(&s->cell);
  if (!s->tx || c->kind == CHANGE_ENTRY) return false;
  change_cell(c, &s->cell);
  return !s->cell.failed && tx_changes(s->tx, writer_hash(buf_slice(&s->cell), 0));
}

static enum dom_code copy_add(struct scan *s, const struct change *c, uint64_t first_lsn, uint32_t head,
                              struct slice payload, struct dom_err *err) {
  struct item *it = NULL;
  struct change copy = *c;
  enum dom_code code = DOM_OK;
  copy.first_lsn = first_lsn;
  assert(copy.order.lsn > 0);
  if (!s->tx) code = tx_new(s->store, s->view, &s->tx, err);
  if (code == DOM_OK) code = copy_guard(s->tx, &copy, err);
  if (code == DOM_OK) code = tx_item_new(s->tx, &it, err);
  if (code == DOM_OK) code = tx_change_keep(s->tx, &copy, &it->change, err);
  if (code == DOM_OK) code = prev_read(&s->view->index, &it->change, &it->prev, err);
  if (code == DOM_OK) code = record_copy(payload, first_lsn, copy.order.lsn, &it->payload, err);
  if (code != DOM_OK) return code;
  it->head = head;
  it->payload_crc = crc32c(0, it->payload.data, it->payload.len);
  s->tx_bytes += log_record_size(it->payload.len);
  return DOM_OK;
}

static void view_end(struct scan *s) {
  store_view_close(s->view);
  s->view = NULL;
}

enum dom_code scan_flush(struct scan *s, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  struct store_tx *tx = s->tx;
  s->tx = NULL;
  s->tx_bytes = 0;
  s->in_view = 0;
  if (tx) code = store_tx_commit_take(tx, NULL, err);
  view_end(s);
  if (code != DOM_RETRY) return code;
  s->retry = true; /* the next pass meets what was not copied */
  if (err) *err = (struct dom_err){0};
  return DOM_OK;
}

/* The commit must fit in a segment, and a retry should cost little. */
static uint64_t tx_room(const struct scan *s) {
  uint64_t room = log_append_max(s->store->log) / COMPACT_TX_SHARE;
  return room > COMPACT_TX_BYTES ? COMPACT_TX_BYTES : room;
}

static enum dom_code room_make(struct scan *s, uint64_t more, struct dom_err *err) {
  bool full = s->tx && (s->tx->count >= s->tx_items_max || s->tx_bytes + more > tx_room(s));
  if (full || s->in_view >= COMPACT_VIEW_RECORDS) return scan_flush(s, err);
  return DOM_OK;
}

/* Counts a copy as the batches would hold it: what padding takes cannot be gained. */
static void need_add(struct scan *s, uint64_t more) {
  if (s->group_items >= COMPACT_TX_ITEMS || s->group + more > tx_room(s)) scan_need_end(s);
  s->group += more;
  s->group_items++;
}

void scan_need_end(struct scan *s) {
  if (s->group_items == 0) return;
  s->needed += (LOG_BATCH_HEADER + s->group + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  s->group = s->group_items = 0;
}

/* ---- one record ---- */

static bool upload_end(const struct change *c) {
  return c->kind == CHANGE_DELETE && c->item == STORE_ITEM_UPLOAD;
}

static enum dom_code record_keep(struct scan *s, const struct change *c, uint64_t first_lsn, uint32_t head,
                                 const struct log_record *r, struct dom_err *err) {
  enum fate fate = FATE_DEAD;
  if (!s->look && upload_end(c) != s->ends) return DOM_OK;
  enum dom_code code = fate_of(s, c, first_lsn, r->at, &fate, err);
  if (code != DOM_OK || fate == FATE_DEAD) return code;
  if (fate == FATE_HELD) {
    s->held = true;
    return DOM_OK;
  }
  s->ends_found = s->ends_found || upload_end(c);
  s->tombs_drop = s->tombs_drop || fate == FATE_DROP_TOMB;
  if (fate == FATE_DROP_TOMB) return s->look ? DOM_OK : tomb_forget(s, c, err);
  need_add(s, log_record_size(r->payload.len));
  if (c->kind == CHANGE_DELETE || c->kind == CHANGE_ROW_DELETE) s->tombs += r->at.length;
  if (s->look) return DOM_OK;
  if (copy_waits(s, c)) {
    s->retry = true;
    return DOM_OK;
  }
  return copy_add(s, c, first_lsn, head, r->payload, err);
}

/* The view comes before the key is used: a key that is there after the view was opened was not
 * dropped before it, so a drop since then makes the copy's guard fail. */
enum dom_code scan_record(void *arg, const struct log_record *r, bool commit_ends, struct dom_err *err) {
  struct scan *s = arg;
  struct change c;
  uint32_t head = 0;
  struct dom_err why = {0};
  (void)commit_ends;
  enum dom_code code = room_make(s, log_record_size(r->payload.len), err);
  if (code == DOM_OK && !s->view) code = store_view_open(s->store, &s->view, err);
  if (code != DOM_OK) return code;
  s->in_view++;
  code = record_peek(r->type, r->payload, &c, &head, &why);
  if (code == DOM_OK) code = record_decode(s->store->vault, r->type, r->payload, &s->plain, &c, &why);
  if (code == DOM_NOT_FOUND) { /* its key was shredded */
    s->dead += r->at.length;
    return DOM_OK;
  }
  if (code != DOM_OK)
    return dom_fail(err, code, where, "segment %u offset %u: %s; run fsck", r->at.segment, r->at.offset,
                    why.text);
  record_order_resolve(&c, r->lsn);
  return record_keep(s, &c, c.first_lsn ? c.first_lsn : r->lsn, head, r, err);
}

void scan_done(struct scan *s) {
  store_tx_abort_take(s->tx);
  store_view_close(s->view);
  record_plain_done(&s->plain);
  buf_done(&s->cell);
  buf_done(&s->key);
  buf_done(&s->value);
  *s = (struct scan){0};
}
