#include "store/local/rows.h"

#include <assert.h>

/* ---- keys ---- */

void row_name_escape(struct buf *out, struct slice name, bool end) {
  size_t from = 0;
  for (size_t i = 0; i < name.len; i++) {
    if (name.data[i] != 0) continue;
    buf_append(out, name.data + from, i - from);
    buf_append(out, "\x00\xff", 2);
    from = i + 1;
  }
  if (name.len > from) buf_append(out, name.data + from, name.len - from);
  if (end) buf_append(out, "\x00\x01", 2);
}

void row_cell(struct buf *out, enum row_table table, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
              struct slice name, uint64_t epoch) {
  assert(name.len <= STORE_KEY_MAX);
  put_u8(out, (uint8_t)table);
  buf_append(out, bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(out, name, true);
  put_u64be(out, ~epoch);
}

void row_order_put(struct buf *out, struct store_order order) {
  put_u64be(out, ~order.epoch);
  put_u64be(out, ~order.lsn);
}

void row_version_cell(struct buf *out, const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice name,
                      uint64_t epoch, struct store_order order) {
  assert(order.lsn > 0);
  row_cell(out, ROW_OBJECT, bucket, name, epoch);
  row_order_put(out, order);
}

void row_upload_cell(struct buf *out, enum row_table table, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
                     struct slice name, uint64_t epoch, const uint8_t upload[STORE_UPLOAD_ID_SIZE]) {
  assert(table == ROW_UPLOAD || table == ROW_PART);
  row_cell(out, table, bucket, name, epoch);
  buf_append(out, upload, STORE_UPLOAD_ID_SIZE);
}

void row_part_cell(struct buf *out, const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice name,
                   uint64_t epoch, const uint8_t upload[STORE_UPLOAD_ID_SIZE], uint32_t part) {
  assert(part >= 1 && part <= STORE_PART_MAX);
  row_upload_cell(out, ROW_PART, bucket, name, epoch, upload);
  put_u32be(out, part);
}

void row_state_cell(struct buf *out, enum store_table table, struct slice key) {
  assert(table >= STORE_TABLE_BUCKET && table <= STORE_TABLE_LAST);
  put_u8(out, ROW_STATE);
  put_u8(out, (uint8_t)table);
  buf_append_slice(out, key);
}

void row_token_key(struct buf *out, enum row_table table, const uint8_t token[TOKEN_SIZE]) {
  put_u8(out, (uint8_t)table);
  buf_append(out, token, TOKEN_SIZE);
}

void row_token_epoch_key(struct buf *out, enum row_table table, const uint8_t token[TOKEN_SIZE],
                         uint64_t epoch) {
  row_token_key(out, table, token);
  put_u64be(out, epoch);
}

void row_presence_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                      const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice prefix) {
  assert(prefix.len <= STORE_KEY_MAX);
  row_token_epoch_key(out, ROW_PRESENCE, token, epoch);
  buf_append(out, bucket, STORE_BUCKET_ID_SIZE);
  buf_append_slice(out, prefix);
}

void row_journal_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t lsn, uint32_t position) {
  row_token_epoch_key(out, ROW_JOURNAL, token, lsn);
  put_u32be(out, position);
}

void row_entry_key(struct buf *out, uint64_t lsn, uint32_t position) {
  put_u8(out, ROW_ENTRY);
  put_u64be(out, lsn);
  put_u32be(out, position);
}

void row_entry_of_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t lsn, uint32_t position) {
  row_token_epoch_key(out, ROW_ENTRY_OF, token, ~lsn);
  put_u32be(out, position);
}

void row_id_key(struct buf *out, enum row_table table, const uint8_t id[STORE_BODY_ID_SIZE]) {
  assert(table == ROW_INTENT || table == ROW_REMOVAL || table == ROW_BODY);
  put_u8(out, (uint8_t)table);
  buf_append(out, id, STORE_BODY_ID_SIZE);
}

bool row_successor(struct buf *key) {
  assert(!key->failed);
  while (key->len > 0) {
    if (++key->data[key->len - 1] != 0) return true;
    key->len--;
  }
  return false;
}

bool row_name_parse(struct slice key, struct buf *name, struct row_name *out) {
  size_t at = 1 + STORE_BUCKET_ID_SIZE;
  buf_reset(name);
  for (;;) {
    size_t from = at;
    while (at + 1 < key.len && key.data[at] != 0) at++;
    if (at + 1 >= key.len) return false;
    buf_append(name, key.data + from, at - from);
    uint8_t mark = key.data[at + 1];
    at += 2;
    if (mark == 0x01) break;
    if (mark != 0xff) return false;
    buf_append_byte(name, 0);
  }
  if (name->failed || key.len - at < ROW_EPOCH_SIZE) return false;
  *out = (struct row_name){.bucket = key.data + 1,
                           .name = buf_slice(name),
                           .name_end = at,
                           .epoch = ~load_u64be(key.data + at),
                           .rest = slice_cut(key, at + ROW_EPOCH_SIZE, key.len)};
  return true;
}

struct store_order row_order_load(struct slice rest) {
  assert(rest.len == ROW_ORDER_SIZE);
  return (struct store_order){~load_u64be(rest.data), ~load_u64be(rest.data + 8)};
}

/* ---- values ---- */

/* Only where one is set does a byte of them stand at the end: a null object's row is as it always was. */
enum { OBJECT_VERSIONED = 1, OBJECT_MARKER = 2, OBJECT_FLAGS = 3 };
enum { ROW_OBJECT_SIZE = TOKEN_SIZE + LOG_LOCATOR_SIZE + 3 * 8 + MD5_SIZE + 3 * 4 + 2 };

static struct log_locator locator_get(struct reader *r) {
  uint8_t raw[LOG_LOCATOR_SIZE];
  get_copy(r, raw, sizeof raw);
  return log_locator_load(raw);
}

void row_object_put(struct buf *out, const struct row_object *o) {
  buf_append(out, o->token, TOKEN_SIZE);
  log_locator_put(out, o->at);
  put_u64le(out, o->first_lsn);
  put_u64le(out, o->size);
  put_u64le(out, o->mtime_ms);
  buf_append(out, o->md5, MD5_SIZE);
  put_u32le(out, o->etag_parts);
  put_u32le(out, o->head);
  put_u32le(out, o->body_count);
  put_u16le(out, o->prefix_len);
  if (o->versioned || o->marker)
    put_u8(out, (uint8_t)((o->versioned ? OBJECT_VERSIONED : 0) | (o->marker ? OBJECT_MARKER : 0)));
}

bool row_object_parse(struct slice value, struct row_object *out) {
  struct reader r = reader_of(value);
  assert(out != NULL);
  get_copy(&r, out->token, TOKEN_SIZE);
  out->at = locator_get(&r);
  out->first_lsn = get_u64le(&r);
  out->size = get_u64le(&r);
  out->mtime_ms = get_u64le(&r);
  get_copy(&r, out->md5, MD5_SIZE);
  out->etag_parts = get_u32le(&r);
  out->head = get_u32le(&r);
  out->body_count = get_u32le(&r);
  out->prefix_len = get_u16le(&r);
  uint8_t flags = r.left > 0 ? get_u8(&r) : 0;
  bool flags_ok = r.bad || value.len == ROW_OBJECT_SIZE || (flags >= 1 && flags <= OBJECT_FLAGS);
  out->versioned = (flags & OBJECT_VERSIONED) != 0;
  out->marker = (flags & OBJECT_MARKER) != 0;
  return flags_ok && reader_end(&r);
}

void row_upload_put(struct buf *out, const struct row_upload *u) {
  buf_append(out, u->token, TOKEN_SIZE);
  log_locator_put(out, u->at);
  put_u64le(out, u->first_lsn);
  put_u64le(out, u->mtime_ms);
  put_u64le(out, u->order.epoch);
  put_u64le(out, u->order.lsn);
  put_u16le(out, u->prefix_len);
}

bool row_upload_parse(struct slice value, struct row_upload *out) {
  struct reader r = reader_of(value);
  assert(out != NULL);
  get_copy(&r, out->token, TOKEN_SIZE);
  out->at = locator_get(&r);
  out->first_lsn = get_u64le(&r);
  out->mtime_ms = get_u64le(&r);
  out->order.epoch = get_u64le(&r);
  out->order.lsn = get_u64le(&r);
  out->prefix_len = get_u16le(&r);
  return reader_end(&r);
}

void row_part_put(struct buf *out, const struct row_part *p) {
  buf_append(out, p->token, TOKEN_SIZE);
  log_locator_put(out, p->at);
  put_u64le(out, p->first_lsn);
  put_u64le(out, p->mtime_ms);
  put_u64le(out, p->order.epoch);
  put_u64le(out, p->order.lsn);
  buf_append(out, p->md5, MD5_SIZE);
  buf_append(out, p->body.id, STORE_BODY_ID_SIZE);
  put_u64le(out, p->body.size);
  buf_append(out, p->body.sha256, SHA256_SIZE);
  assert(p->meta_len <= STORE_PART_META_MAX);
  buf_append(out, p->meta, p->meta_len); /* to the end of the row */
}

bool row_part_parse(struct slice value, struct row_part *out) {
  struct reader r = reader_of(value);
  assert(out != NULL);
  get_copy(&r, out->token, TOKEN_SIZE);
  out->at = locator_get(&r);
  out->first_lsn = get_u64le(&r);
  out->mtime_ms = get_u64le(&r);
  out->order.epoch = get_u64le(&r);
  out->order.lsn = get_u64le(&r);
  get_copy(&r, out->md5, MD5_SIZE);
  get_copy(&r, out->body.id, STORE_BODY_ID_SIZE);
  out->body.size = get_u64le(&r);
  get_copy(&r, out->body.sha256, SHA256_SIZE);
  if (r.bad || r.left > STORE_PART_META_MAX) return false;
  out->meta_len = (uint8_t)r.left;
  get_copy(&r, out->meta, out->meta_len);
  return reader_end(&r);
}

void row_state_put(struct buf *out, const struct row_state *s) {
  log_locator_put(out, s->at);
  put_u64le(out, s->first_lsn);
}

bool row_state_parse(struct slice value, struct row_state *out, struct slice *out_rest) {
  struct reader r = reader_of(value);
  out->at = locator_get(&r);
  out->first_lsn = get_u64le(&r);
  if (r.bad) return false;
  if (out_rest) *out_rest = slice_of(r.at, r.left);
  return true;
}

void row_body_put(struct buf *out, const struct row_body *b) {
  buf_append(out, b->token, TOKEN_SIZE);
  put_u64le(out, b->epoch);
  put_u64le(out, b->size);
  put_u64le(out, b->owner_lsn);
}

bool row_body_parse(struct slice value, struct row_body *out) {
  struct reader r = reader_of(value);
  assert(out != NULL);
  get_copy(&r, out->token, TOKEN_SIZE);
  out->epoch = get_u64le(&r);
  out->size = get_u64le(&r);
  out->owner_lsn = get_u64le(&r);
  return reader_end(&r);
}

void row_journal_put(struct buf *out, const struct row_journal *j) {
  buf_append(out, j->bucket, STORE_BUCKET_ID_SIZE);
  put_u8(out, (uint8_t)j->item);
  put_u16le(out, j->prefix_len);
  put_bytes16le(out, j->key);
  buf_append(out, j->upload, STORE_UPLOAD_ID_SIZE);
  put_u32le(out, j->part);
  if (!j->versioned) return;
  put_u64le(out, j->order.epoch);
  put_u64le(out, j->order.lsn);
}

bool row_journal_parse(struct slice value, struct row_journal *out) {
  struct reader r = reader_of(value);
  assert(out != NULL);
  get_copy(&r, out->bucket, STORE_BUCKET_ID_SIZE);
  out->item = get_u8(&r);
  out->prefix_len = get_u16le(&r);
  out->key = get_bytes16le(&r);
  get_copy(&r, out->upload, STORE_UPLOAD_ID_SIZE);
  out->part = get_u32le(&r);
  out->versioned = !r.bad && r.left > 0;
  out->order = (struct store_order){0};
  if (out->versioned) out->order.epoch = get_u64le(&r);
  if (out->versioned) out->order.lsn = get_u64le(&r);
  bool order_ok = !out->versioned || (out->item == STORE_ITEM_OBJECT && out->order.lsn > 0);
  return reader_end(&r) && order_ok && out->prefix_len <= out->key.len;
}
