/* Staging: another region's items under an epoch that is not live here. */
#include <assert.h>

#include "store/local/engine.h"

static const char where[] = "store/stage";

static bool order_newer(struct store_order a, struct store_order b) {
  return a.epoch != b.epoch ? a.epoch > b.epoch : a.lsn > b.lsn;
}

/* The subject must not live here under this epoch, and must not come to until the commit. */
static enum dom_code stage_check(struct store_tx *tx, const struct permit *permit,
                                 const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct dom_err *err) {
  assert(tx->view != NULL);
  struct store_subject s;
  if (!permit_covers(permit, PERMIT_MOVE, tx->store->o.region, token)) {
    return dom_fail(err, DOM_REFUSED, where, "no permit for it");
  }
  enum dom_code code = store_subject_get(tx->view, token, &s, NULL);
  if (code == DOM_OK && store_subject_lives(&s) && s.epoch >= epoch) {
    return dom_fail(err, DOM_STALE_EPOCH, where, "the subject lives here under epoch %llu",
                    (unsigned long long)s.epoch);
  }
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "its row cannot be read");
  return tx_read(tx, tx_hash_subject(token), err);
}

/* What stands there under this epoch: *out_there, and whether it is newer than the item. */
static enum dom_code stage_meets(struct store_tx *tx, const struct store_place *place,
                                 const struct store_item *item, bool *out_there, bool *out_newer,
                                 struct dom_err *err) {
  struct object_at at = {0};
  struct store_version which = store_item_version(item);
  struct row_upload upload;
  struct row_part part;
  struct store_order order = {0};
  enum dom_code code = DOM_OK;
  struct dom_err why = {0};
  switch (item->kind) {
  case STORE_ITEM_OBJECT:
    code = object_row_get(tx->view, place, item->key, &which, &at, &why);
    order = at.order;
    break;
  case STORE_ITEM_UPLOAD:
    code = upload_row_get(tx->view, place, item->key, item->upload.id, &upload, &why);
    if (code == DOM_OK) order = upload.order;
    break;
  case STORE_ITEM_PART:
    code = part_row_get(tx->view, place, item->key, item->upload.id, item->part.number, &part, &why);
    if (code == DOM_OK) order = part.order;
    break;
  }
  buf_done(&at.key);
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, why.where, "%s", why.text);
  *out_there = code == DOM_OK;
  *out_newer = code == DOM_OK && !item->absent && order_newer(order, item->order);
  return DOM_OK;
}

static enum dom_code stage_absent(struct store_tx *tx, const struct store_place *place,
                                  const struct store_item *item, struct dom_err *err) {
  struct change c = {.kind = CHANGE_DELETE,
                     .epoch = place->epoch,
                     .item = item->kind,
                     .key = item->key,
                     .prefix_len = (uint32_t)place->prefix.len,
                     .part = item->kind == STORE_ITEM_PART ? item->part.number : 0,
                     .versioned = item->kind == STORE_ITEM_OBJECT && item->object.is_version};
  assert(item->absent);
  if (c.versioned) c.order = item->order;
  memcpy(c.token, place->token, TOKEN_SIZE);
  memcpy(c.bucket, place->bucket, STORE_BUCKET_ID_SIZE);
  if (item->kind != STORE_ITEM_OBJECT) memcpy(c.upload, item->upload.id, STORE_UPLOAD_ID_SIZE);
  return tx_add(tx, &c, (struct slice){0}, err);
}

/* One order is one version: a null one and another must not share a row. */
static enum dom_code stage_apart(struct store_tx *tx, const struct store_place *place,
                                 const struct store_item *item, struct dom_err *err) {
  struct row_object row;
  BUF_AUTO key = BUF_INIT;
  row_version_cell(&key, place->bucket, item->key, place->epoch, item->order);
  if (key.failed) return buf_check(&key, err);
  enum dom_code code = index_get(&tx->view->index, buf_slice(&key), &tx->view->value, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return code;
  if (!row_object_parse(buf_slice(&tx->view->value), &row))
    return dom_fail(err, DOM_CORRUPT, where, "bad row");
  if (row.versioned == item->object.is_version) return DOM_OK;
  return dom_fail(err, DOM_INVALID, where, "another version has this order");
}

static enum dom_code stage_object(struct store_tx *tx, const struct store_place *place,
                                  const struct store_item *item, struct dom_err *err) {
  assert(!item->absent && item->kind == STORE_ITEM_OBJECT);
  struct store_object o = item->object;
  o.key = item->key;
  enum dom_code code = object_valid(&o, err);
  if (code == DOM_OK) code = stage_apart(tx, place, item, err);
  if (code != DOM_OK) return code;
  struct change c = object_change(place, &o);
  c.order = item->order;
  return tx_add(tx, &c, o.inline_body, err);
}

static enum dom_code stage_upload(struct store_tx *tx, const struct store_place *place,
                                  const struct store_item *item, struct dom_err *err) {
  assert(!item->absent && item->kind == STORE_ITEM_UPLOAD);
  if (item->upload.meta.len > STORE_META_MAX || item->upload.classes.len > STORE_CLASSES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where, "metadata of an upload");
  struct change c = upload_change(CHANGE_UPLOAD, place, item->key, item->upload.id);
  c.mtime_ms = item->upload.mtime_ms;
  c.meta = item->upload.meta;
  c.classes = item->upload.classes;
  c.order = item->order;
  return tx_add(tx, &c, (struct slice){0}, err);
}

/* A part is nothing without its upload, which walk and journal both send before it. */
static enum dom_code stage_part(struct store_tx *tx, const struct store_place *place,
                                const struct store_item *item, struct dom_err *err) {
  assert(!item->absent && item->kind == STORE_ITEM_PART);
  struct row_upload upload;
  enum dom_code code = upload_row_get(tx->view, place, item->key, item->upload.id, &upload, NULL);
  if (code == DOM_NOT_FOUND && !tx_stages_upload(tx, place, item->key, item->upload.id)) {
    return dom_fail(err, code, where, "part of an upload that is not here");
  }
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "its upload cannot be read");
  struct change c = part_change(place, item->key, item->upload.id, &item->part);
  c.order = item->order;
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_stage(struct store_tx *tx, const struct permit *permit,
                             const uint8_t token[TOKEN_SIZE], uint64_t epoch, const struct store_item *item,
                             struct dom_err *err) {
  struct store_place place = {.epoch = epoch, .prefix = item->prefix};
  bool there = false, newer = false;
  assert(place_holds(&place, item->key));
  assert(item->order.lsn > 0 || (item->absent && !item->object.is_version));
  memcpy(place.bucket, item->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(place.token, token, TOKEN_SIZE);
  enum dom_code code = stage_check(tx, permit, token, epoch, err);
  if (code == DOM_OK) code = stage_meets(tx, &place, item, &there, &newer, err);
  if (code != DOM_OK || newer) return code;
  if (item->absent) return there ? stage_absent(tx, &place, item, err) : DOM_OK;
  tx->grows = true;
  switch (item->kind) {
  case STORE_ITEM_OBJECT:
    return stage_object(tx, &place, item, err);
  case STORE_ITEM_UPLOAD:
    return stage_upload(tx, &place, item, err);
  case STORE_ITEM_PART:
    return stage_part(tx, &place, item, err);
  }
  return dom_fail(err, DOM_INVALID, where, "kind %d", (int)item->kind);
}
