/* Items: one thing of a subject with its place, as moves need it. */
#include <assert.h>

#include "store/local/engine.h"
#include "store/local/item.h"

void item_state_done(struct item_state *s) {
  store_found_free(s->found);
  s->found = NULL;
  buf_done(&s->payload);
  buf_done(&s->names);
  buf_done(&s->row_key);
  record_plain_done(&s->plain);
}

void item_stamp(struct slice row_key, uint64_t first_lsn, uint8_t out[SHA256_SIZE]) {
  uint8_t lsn[8];
  assert(row_key.len > 0 && first_lsn > 0);
  store_u64le(lsn, first_lsn);
  sha256_slices((const struct slice[]){row_key, slice_of(lsn, sizeof lsn)}, 2, out);
}

static enum dom_code object_load(struct store_view *v, const struct store_place *place, struct slice key,
                                 const struct store_version *which, struct item_state *s,
                                 struct dom_err *err) {
  assert(place_holds(place, key));
  struct object_at at = {.key = s->row_key};
  enum dom_code code = object_row_get(v, place, key, which, &at, err);
  if (code == DOM_OK) code = found_open(v, &at, &s->found, err);
  s->row_key = at.key;
  if (code != DOM_OK) return code;
  item_stamp(buf_slice(&s->row_key), at.row.first_lsn, s->item.stamp);
  s->item.found = s->found;
  s->item.object = *store_found_object(s->found);
  s->item.order = at.order;
  return DOM_OK;
}

static enum dom_code upload_load(struct store_view *v, const struct store_place *place, struct slice key,
                                 const uint8_t id[STORE_UPLOAD_ID_SIZE], struct item_state *s,
                                 struct dom_err *err) {
  struct row_upload row;
  struct change c = {0};
  enum dom_code code = upload_row_get(v, place, key, id, &row, err);
  if (code != DOM_OK) return code;
  buf_reset(&s->row_key);
  buf_append_slice(&s->row_key, buf_slice(&v->key));
  if (s->row_key.failed) return buf_check(&s->row_key, err);
  item_stamp(buf_slice(&s->row_key), row.first_lsn, s->item.stamp);
  code = record_fetch(v->store, CHANGE_UPLOAD, buf_slice(&s->row_key), 0, &row.at, &s->payload, &s->plain, &c,
                      err);
  if (code != DOM_OK) return code;
  s->item.upload =
      (struct store_upload){.key = c.key, .mtime_ms = c.mtime_ms, .meta = c.meta, .classes = c.classes};
  s->item.order = row.order;
  return DOM_OK;
}

static enum dom_code part_load(struct store_view *v, const struct store_place *place, struct slice key,
                               const struct item_name *n, struct item_state *s, struct dom_err *err) {
  struct row_part row;
  enum dom_code code = part_row_get(v, place, key, n->upload, n->part, &row, err);
  if (code != DOM_OK) return code;
  s->item.part = (struct store_part){.number = n->part, .mtime_ms = row.mtime_ms, .body = row.body};
  memcpy(s->item.part.md5, row.md5, MD5_SIZE);
  memcpy(s->item.part.meta, row.meta, s->item.part.meta_len = row.meta_len);
  item_stamp(buf_slice(&v->key), row.first_lsn, s->item.stamp);
  s->item.order = row.order;
  return DOM_OK;
}

enum dom_code item_load(struct store_view *v, const struct store_place *place, const struct item_name *n,
                        struct item_state *s, struct dom_err *err) {
  struct dom_err why = {0};
  enum dom_code code = DOM_OK;
  store_found_free(s->found);
  s->found = NULL;
  buf_reset(&s->names);
  buf_append_slice(&s->names, n->key);
  if (s->names.failed) return buf_check(&s->names, err);
  struct slice key = buf_slice(&s->names); /* the prefix is the beginning of it */
  assert(slice_starts_with(key, place->prefix));
  s->item = (struct store_item){.kind = n->kind, .prefix = slice_cut(key, 0, place->prefix.len), .key = key};
  memcpy(s->item.bucket, place->bucket, STORE_BUCKET_ID_SIZE);
  switch (n->kind) {
  case STORE_ITEM_OBJECT:
    /* An absent one is named too. */
    s->item.object.is_version = !n->version.is_null;
    if (!n->version.is_null) s->item.order = n->version.order;
    code = object_load(v, place, key, &n->version, s, &why);
    break;
  case STORE_ITEM_UPLOAD:
    code = upload_load(v, place, key, n->upload, s, &why);
    break;
  case STORE_ITEM_PART:
    code = part_load(v, place, key, n, s, &why);
    break;
  }
  if (n->kind != STORE_ITEM_OBJECT) memcpy(s->item.upload.id, n->upload, STORE_UPLOAD_ID_SIZE);
  if (n->kind == STORE_ITEM_PART) s->item.part.number = n->part; /* an absent one is named too */
  s->item.absent = code == DOM_NOT_FOUND;
  return code == DOM_OK || code == DOM_NOT_FOUND ? DOM_OK : dom_fail(err, code, why.where, "%s", why.text);
}

static struct store_place item_place(const struct store_item *item, const uint8_t token[TOKEN_SIZE],
                                     uint64_t epoch) {
  struct store_place place = {.epoch = epoch, .prefix = item->prefix};
  memcpy(place.bucket, item->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(place.token, token, TOKEN_SIZE);
  return place;
}

enum dom_code store_item_stamp(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                               const struct store_item *item, uint8_t out[SHA256_SIZE], struct dom_err *err) {
  struct object_at at = {0};
  struct row_part row;
  struct store_place place = item_place(item, token, epoch);
  assert(item->kind == STORE_ITEM_OBJECT || item->kind == STORE_ITEM_PART);
  if (item->kind == STORE_ITEM_PART) {
    enum dom_code code = part_row_get(v, &place, item->key, item->upload.id, item->part.number, &row, err);
    if (code == DOM_OK) item_stamp(buf_slice(&v->key), row.first_lsn, out);
    return code;
  }
  struct store_version which = store_item_version(item);
  enum dom_code code = object_row_get(v, &place, item->key, &which, &at, err);
  if (code == DOM_OK) item_stamp(buf_slice(&at.key), at.row.first_lsn, out);
  buf_done(&at.key);
  return code;
}

enum dom_code store_item_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch, const struct store_item *item,
                              struct store_found **out, struct dom_err *err) {
  struct object_at at = {0};
  struct row_part row;
  struct store_place place = item_place(item, token, epoch);
  assert(item->kind == STORE_ITEM_OBJECT || item->kind == STORE_ITEM_PART);
  if (!permit_covers(permit, action, v->store->o.region, token)) {
    return dom_fail(err, DOM_REFUSED, "store/item: open", "no permit for it");
  }
  if (item->kind == STORE_ITEM_PART) {
    enum dom_code code = part_row_get(v, &place, item->key, item->upload.id, item->part.number, &row, err);
    return code == DOM_OK ? found_open_body(v, token, epoch, &row.body, out, err) : code;
  }
  struct store_version which = store_item_version(item);
  enum dom_code code = object_row_get(v, &place, item->key, &which, &at, err);
  if (code == DOM_OK) code = found_open(v, &at, out, err);
  buf_done(&at.key);
  return code;
}

enum dom_code store_body_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                              const struct store_body_ref *body, struct store_found **out,
                              struct dom_err *err) {
  assert(action == PERMIT_COPY || action == PERMIT_MOVE);
  if (!permit_covers(permit, action, v->store->o.region, token))
    return dom_fail(err, DOM_REFUSED, "store/item: body", "no permit for it");
  return found_open_body(v, token, epoch, body, out, err);
}

/* ---- journal ---- */

enum dom_code store_journal_scan(struct store_view *v, const struct permit *permit,
                                 const uint8_t token[TOKEN_SIZE], uint64_t after, uint32_t max,
                                 store_journal_fn fn, void *arg, struct dom_err *err) {
  assert(fn != NULL);
  static const char where[] = "store/journal";
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO from = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  struct item_state state = {0};
  struct store_subject subject;
  if (!permit_covers(permit, PERMIT_MOVE, v->store->o.region, token))
    return dom_fail(err, DOM_REFUSED, where, "no permit");
  enum dom_code code = store_subject_get(v, token, &subject, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  row_token_key(&stem, ROW_JOURNAL, token);
  row_journal_key(&from, token, after + 1, 0);
  if (stem.failed || from.failed) return dom_fail(err, DOM_NO_MEMORY, where, "keys");
  index_seek(&it, buf_slice(&from));
  /* One commit has several rows (an upload completed is an object put and an upload gone): it ends whole. */
  uint64_t last = 0;
  for (uint32_t n = 0; it.valid && slice_starts_with(it.key, buf_slice(&stem)); index_next(&it), n++) {
    struct row_journal j;
    if (!row_journal_parse(it.value, &j) || it.key.len != stem.len + 12) {
      code = dom_fail(err, DOM_CORRUPT, where, "bad row");
      break;
    }
    uint64_t lsn = load_u64be(it.key.data + stem.len);
    if (n >= max && lsn != last) break;
    last = lsn;
    struct store_place place = {.epoch = subject.epoch, .prefix = slice_cut(j.key, 0, j.prefix_len)};
    memcpy(place.bucket, j.bucket, STORE_BUCKET_ID_SIZE);
    memcpy(place.token, token, TOKEN_SIZE);
    struct item_name name = {
        .kind = j.item, .key = j.key, .version = {!j.versioned, j.order}, .part = j.part};
    memcpy(name.upload, j.upload, STORE_UPLOAD_ID_SIZE);
    code = item_load(v, &place, &name, &state, err);
    if (code != DOM_OK || !fn(arg, lsn, &state.item)) break;
  }
  item_state_done(&state);
  return code == DOM_OK ? index_iter_check(&it, err) : code;
}
