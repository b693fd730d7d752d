/* The store's own bytes, as if a disk had changed them and every sum still fitted: superblock, segment
 * and batch headers, log records, index rows. What parses prints to the same bytes; a sealed record
 * comes back whole, and no changed byte of what is bound passes. */
#include "fuzz.h"

#include "store/local/record.h"
#include "store/local/rows.h"
#include "store/local/segment.h"
#include "store/local/superblock.h"

enum { FIRST_LSN_AT = 44, ORDER_LSN_AT = 60, LSN_SIZE = 8 }; /* docs/formats/log.md: not bound by the seal */

/* ---- rows ---- */

/* Defines a check of one kind: what parses, prints to the same bytes. */
#define ROW_CHECK(kind)                                                                                      \
  static void check_##kind(struct slice in) {                                                                \
    struct row_##kind row;                                                                                   \
    BUF_AUTO printed = BUF_INIT;                                                                             \
    if (!row_##kind##_parse(in, &row)) return;                                                               \
    row_##kind##_put(&printed, &row);                                                                        \
    assert(slice_equal(buf_slice(&printed), in));                                                            \
  }
ROW_CHECK(object)
ROW_CHECK(upload)
ROW_CHECK(part)
ROW_CHECK(body)
ROW_CHECK(journal)

static void check_rows(struct slice in) {
  struct row_state state;
  struct row_name name;
  struct slice rest;
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO printed = BUF_INIT;
  check_object(in);
  check_upload(in);
  check_part(in);
  check_body(in);
  check_journal(in);
  if (row_state_parse(in, &state, &rest)) {
    row_state_put(&printed, &state);
    buf_append_slice(&printed, rest);
    assert(slice_equal(buf_slice(&printed), in));
  }
  buf_reset(&printed);
  if (!row_name_parse(in, &text, &name) || name.name.len > STORE_KEY_MAX) return;
  assert(name.name_end <= in.len && fuzz_inside(in, name.rest));
  row_cell(&printed, (enum row_table)in.data[0], name.bucket, name.name, name.epoch);
  buf_append_slice(&printed, name.rest);
  assert(slice_equal(buf_slice(&printed), in));
}

/* Names keep their order as rows, and come back. */
static void check_names(struct slice in, struct fuzz_random *r) {
  uint8_t bucket[STORE_BUCKET_ID_SIZE] = {1};
  struct slice a = slice_cut(in, 0, in.len > STORE_KEY_MAX ? STORE_KEY_MAX : in.len);
  struct slice b = slice_cut(a, 0, fuzz_random_below(r, a.len + 1));
  struct row_name name;
  BUF_AUTO row_a = BUF_INIT;
  BUF_AUTO row_b = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  row_cell(&row_a, ROW_OBJECT, bucket, a, 7);
  row_cell(&row_b, ROW_OBJECT, bucket, b, 7);
  assert((slice_compare(a, b) > 0) == (slice_compare(buf_slice(&row_a), buf_slice(&row_b)) > 0));
  assert(row_name_parse(buf_slice(&row_a), &text, &name) && slice_equal(name.name, a) && name.epoch == 7);
}

/* ---- headers ---- */

/* The input laid over the good bytes at `b`, and the sum at `crc_at` over all before it made to fit. */
static void lay_over(struct buf *b, struct slice in, size_t crc_at) {
  for (size_t i = 0; i < in.len && i < crc_at; i++) b->data[i] ^= in.data[i];
  store_u32le(b->data + crc_at, crc32c(0, b->data, crc_at));
}

static void check_headers(struct slice in) {
  struct superblock super = {.region = 1, .sequence = 1}, super_back;
  struct segment_header head = {.number = 1, .generation = 1, .bytes = 1 << 20, .first_lsn = 1}, head_back;
  BUF_AUTO good = BUF_INIT;
  BUF_AUTO again = BUF_INIT;
  superblock_encode(&super, &good);
  lay_over(&good, in, SUPERBLOCK_SIZE - 4);
  if (superblock_decode(buf_slice(&good), &super_back, NULL) == DOM_OK && super_back.sequence > 0)
    superblock_encode(&super_back, &again);
  buf_reset(&good);
  segment_header_encode(&head, &good);
  lay_over(&good, slice_cut(in, 0, in.len < 68 ? in.len : 68), 76);
  fuzz_mark(&head_back, sizeof head_back);
  if (segment_header_decode(buf_slice(&good), &head_back, NULL) != DOM_OK)
    assert(fuzz_is_marked(&head_back, sizeof head_back));
}

/* ---- batches ---- */

static enum dom_code count_record(void *arg, const struct log_record *r, bool commit_ends,
                                  struct dom_err *err) {
  (void)err;
  (void)commit_ends;
  fuzz_touch(r->payload);
  ++*(uint32_t *)arg;
  return DOM_OK;
}

/* A batch of records cut from the input, read back; then one whose records are the input's own bytes. */
static void check_batch(struct slice in, struct fuzz_random *r) {
  struct batch_header h = {.generation = 3, .first_lsn = 7, .last_lsn = 7}, back;
  BUF_AUTO b = BUF_INIT;
  uint32_t seen = 0;
  buf_append_zero(&b, LOG_BATCH_HEADER);
  do {
    size_t len = fuzz_random_below(r, in.len + 1);
    struct log_record record = {.type = 1, .lsn = 7 + h.count, .payload = slice_cut(in, 0, len)};
    record.payload_crc = crc32c(0, in.data, len);
    record_frame_put(&b, &record, 3);
    buf_append_slice(&b, record.payload);
    buf_append_zero(&b, (size_t)(log_record_size(len) - LOG_RECORD_HEADER - len));
    h.last_lsn = 7 + h.count++;
  } while (h.count < 8 && fuzz_random_below(r, 3) > 0);
  h.length = (uint32_t)b.len;
  batch_header_finish(b.data, &h);
  assert(batch_header_decode(buf_slice(&b), b.len, &back) && batch_verify(buf_slice(&b), &back));
  assert(segment_batch_each(buf_slice(&b), &back, 1, 4096, 0, count_record, &seen, NULL) == DOM_OK);
  assert(seen == h.count);
  if (in.len == 0) return;
  b.len = LOG_BATCH_HEADER;
  buf_append_slice(&b, in);
  h.length = (uint32_t)b.len;
  batch_header_finish(b.data, &h);
  FUZZ_COPY_AUTO exact = fuzz_copy(buf_slice(&b));
  struct slice batch = slice_of(exact, b.len);
  assert(batch_header_decode(batch, b.len, &back) && batch_verify(batch, &back));
  (void)segment_batch_each(batch, &back, 1, 4096, 0, count_record, &seen, NULL);
}

/* ---- records ---- */

static struct vault *vault_get(struct vault_key *key) {
  static struct vault *vault;
  static struct vault_kek *kek;
  *key = (struct vault_key){.epoch = 5, .token = {1, 2, 3}};
  if (vault != NULL) return vault;
  struct vault_options o = {.disk = disk_sim_new(1), .folder = "vault", .region = 1, .create = true};
  assert(vault_kek_folder_open(disk_sim_new(2), "kek", NULL, true, &kek, NULL) == DOM_OK);
  o.kek = kek;
  assert(vault_open(&o, &vault, NULL) == DOM_OK && vault_key_create(vault, key, NULL) == DOM_OK);
  return vault;
}

static struct change change_of(struct slice in, struct fuzz_random *r, struct store_body_ref *body) {
  struct reader at = reader_of(in);
  struct change c = {.kind = (enum change_kind)(CHANGE_PUT + fuzz_random_below(r, CHANGE_INTENT_END))};
  c.first_lsn = get_u64le(&at);
  c.order.lsn = get_u64le(&at);
  c.order.epoch = get_u64le(&at);
  c.mtime_ms = get_u64le(&at);
  c.etag_parts = get_u32le(&at);
  c.part = get_u32le(&at);
  c.item = (enum store_item_kind)(STORE_ITEM_OBJECT + fuzz_random_below(r, 3));
  c.table = (enum store_table)(STORE_TABLE_BUCKET + fuzz_random_below(r, 8));
  c.key = get_slice(&at, fuzz_random_below(r, at.left < 1024 ? at.left + 1 : 1024));
  c.prefix_len = (uint32_t)fuzz_random_below(r, c.key.len + 1);
  c.meta = c.value = get_slice(&at, fuzz_random_below(r, at.left + 1));
  c.payload = get_slice(&at, at.left);
  c.subject = (struct store_subject){.state = SUBJECT_HOME, .epoch = c.mtime_ms, .country = {'I', 'N'}};
  memset(body, 0x5a, sizeof *body);
  if (c.kind == CHANGE_PART) {
    c.body_count = 1;
    c.meta = slice_cut(c.meta, 0, c.meta.len < STORE_PART_META_MAX ? c.meta.len : STORE_PART_META_MAX);
  }
  if (c.kind == CHANGE_PUT) c.body_count = (uint32_t)fuzz_random_below(r, 2);
  if (c.body_count > 0) c.bodies = body;
  return c;
}

static bool is_bound(size_t place) {
  return !(place >= FIRST_LSN_AT && place < FIRST_LSN_AT + LSN_SIZE) &&
         !(place >= ORDER_LSN_AT && place < ORDER_LSN_AT + LSN_SIZE);
}

static void check_record(struct slice in, struct fuzz_random *r) {
  static struct record_plain plain;
  struct vault_key key;
  struct vault *vault = vault_get(&key);
  struct store_body_ref body;
  struct change c = change_of(in, r, &body), back;
  BUF_AUTO b = BUF_INIT;
  uint32_t head = 0;
  c.epoch = key.epoch;
  memcpy(c.token, key.token, TOKEN_SIZE);
  assert(record_encode(vault, &c, (struct slice){0}, &b, &head, NULL) == DOM_OK && head == b.len);
  assert(record_decode(vault, c.kind, buf_slice(&b), &plain, &back, NULL) == DOM_OK);
  assert(back.first_lsn == c.first_lsn && back.order.lsn == c.order.lsn && back.order.epoch == c.order.epoch);
  if (c.kind == CHANGE_PUT || c.kind == CHANGE_DELETE || c.kind == CHANGE_UPLOAD || c.kind == CHANGE_PART)
    assert(slice_equal(back.key, c.key) && back.prefix_len == c.prefix_len);
  if (c.kind == CHANGE_PUT) assert(slice_equal(back.meta, c.meta) && back.body_count == c.body_count);
  if (c.kind == CHANGE_PART) assert(slice_equal(back.meta, c.meta));
  if (c.kind == CHANGE_ENTRY)
    assert(slice_equal(back.value, c.value) && slice_equal(back.payload, c.payload));
  size_t place = fuzz_random_below(r, b.len);
  b.data[place] ^= (uint8_t)(1 << fuzz_random_below(r, 8));
  FUZZ_COPY_AUTO exact = fuzz_copy(buf_slice(&b));
  assert(!is_bound(place) ||
         record_decode(vault, c.kind, slice_of(exact, b.len), &plain, &back, NULL) != DOM_OK);
}

/* Bytes that nobody sealed: with the head's place for key and lengths laid out by the input. */
static void check_raw_record(struct slice in) {
  static struct record_plain plain;
  struct vault_key key;
  struct vault *vault = vault_get(&key);
  struct change back;
  uint32_t head = 0;
  if (in.len < RECORD_FIXED) return;
  FUZZ_COPY_AUTO copy = fuzz_copy(in);
  struct slice payload = slice_of(copy, in.len);
  copy[0] = RECORD_VERSION;
  memcpy(copy + 4, key.token, TOKEN_SIZE);
  store_u64le(copy + 36, key.epoch);
  for (enum change_kind kind = CHANGE_PUT; kind <= CHANGE_INTENT_END; kind++) {
    if (record_peek(kind, payload, &back, &head, NULL) == DOM_OK) assert(head >= RECORD_FIXED);
    assert(record_decode(vault, kind, payload, &plain, &back, NULL) != DOM_OK);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  check_rows(in);
  check_names(in, &r);
  check_headers(in);
  check_batch(in, &r);
  check_record(in, &r);
  check_raw_record(in);
  return 0;
}
