#include "store/local/segment.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"

#define HEADER_MAGIC "DOMLOG01"
#define BATCH_MAGIC  0x31424d44u /* "DMB1" little-endian */
enum { HEADER_BODY = 8 + 4 * 3 + 8 * 3 + SHA256_SIZE, CRC_AT = 36 };

/* ---- segment header ---- */

void segment_header_encode(const struct segment_header *h, struct buf *out) {
  size_t start = out->len;
  assert((h->generation > 0 || h->first_lsn == 0) && h->bytes % DISK_ALIGN == 0);
  buf_append(out, HEADER_MAGIC, 8);
  put_u32le(out, SEGMENT_VERSION);
  put_u32le(out, h->number);
  put_u32le(out, h->generation);
  put_u64le(out, h->bytes);
  put_u64le(out, h->first_lsn);
  put_u64le(out, h->horizon);
  buf_append(out, h->chain, SHA256_SIZE);
  if (out->failed) return;
  put_u32le(out, crc32c(0, out->data + start, HEADER_BODY));
  buf_append_zero(out, SEGMENT_HEADER_SIZE - HEADER_BODY - 4);
}

enum dom_code segment_header_decode(struct slice block, struct segment_header *out, struct dom_err *err) {
  static const char where[] = "store/segment: header";
  struct segment_header h = {0};
  assert(out != NULL);
  if (block.len < HEADER_BODY + 4 || memcmp(block.data, HEADER_MAGIC, 8) != 0 ||
      load_u32le(block.data + HEADER_BODY) != crc32c(0, block.data, HEADER_BODY)) {
    return dom_fail(err, DOM_CORRUPT, where, "not a segment header");
  }
  struct reader r = reader_of(slice_cut(block, 8, HEADER_BODY));
  uint32_t version = get_u32le(&r);
  if (version != SEGMENT_VERSION) {
    return dom_fail(err, DOM_INCOMPATIBLE, where, "log segment of version %u; this build knows %u", version,
                    (unsigned)SEGMENT_VERSION);
  }
  h.number = get_u32le(&r);
  h.generation = get_u32le(&r);
  h.bytes = get_u64le(&r);
  h.first_lsn = get_u64le(&r);
  h.horizon = get_u64le(&r);
  get_copy(&r, h.chain, SHA256_SIZE);
  assert(reader_end(&r));
  *out = h;
  return DOM_OK;
}

/* ---- batches ---- */

void batch_header_finish(uint8_t *batch, struct batch_header *h) {
  assert(h->length >= LOG_BATCH_HEADER && h->count > 0);
  assert(h->first_lsn > 0 && h->last_lsn >= h->first_lsn);
  memset(batch, 0, LOG_BATCH_HEADER);
  store_u32le(batch, BATCH_MAGIC);
  store_u32le(batch + 4, h->generation);
  store_u32le(batch + 8, h->count);
  store_u32le(batch + 12, h->length);
  store_u64le(batch + 16, h->first_lsn);
  store_u64le(batch + 24, h->last_lsn);
  memcpy(batch + 40, h->chain, SHA256_SIZE);
  h->crc = crc32c(0, batch, h->length);
  store_u32le(batch + CRC_AT, h->crc);
}

bool batch_header_decode(struct slice block, size_t room, struct batch_header *out) {
  assert(block.len >= LOG_BATCH_HEADER);
  const uint8_t *p = block.data;
  if (load_u32le(p) != BATCH_MAGIC) return false;
  *out = (struct batch_header){.generation = load_u32le(p + 4),
                               .count = load_u32le(p + 8),
                               .length = load_u32le(p + 12),
                               .first_lsn = load_u64le(p + 16),
                               .last_lsn = load_u64le(p + 24),
                               .crc = load_u32le(p + CRC_AT)};
  memcpy(out->chain, p + 40, SHA256_SIZE);
  return out->length > LOG_BATCH_HEADER && out->length <= room && out->count > 0 && out->first_lsn > 0 &&
         out->last_lsn >= out->first_lsn;
}

bool batch_verify(struct slice batch, const struct batch_header *h) {
  static const uint8_t zero[4];
  assert(batch.len == h->length && h->length >= LOG_BATCH_HEADER);
  uint32_t crc = crc32c(0, batch.data, CRC_AT);
  crc = crc32c(crc, zero, sizeof zero);
  crc = crc32c(crc, batch.data + CRC_AT + 4, batch.len - CRC_AT - 4);
  return crc == h->crc;
}

void batch_chain(const uint8_t header[LOG_BATCH_HEADER], uint8_t out[SHA256_SIZE]) {
  assert(header != NULL && out != NULL);
  sha256(header, LOG_BATCH_HEADER, out);
}

/* ---- bridges ---- */

enum { BRIDGE_FIXED = LOG_BATCH_HEADER + LOG_RECORD_HEADER + SHA256_SIZE };

bool batch_is_bridge(struct slice batch, const struct batch_header *b) {
  assert(batch.len == b->length);
  struct log_record r;
  if (b->count != 1 || batch.len < BRIDGE_FIXED) return false;
  struct slice record = slice_cut(batch, LOG_BATCH_HEADER, batch.len);
  return record_frame_check(record, b->generation, &r) && r.type == LOG_BRIDGE;
}

void batch_follow(struct slice batch, const struct batch_header *b, uint8_t out[SHA256_SIZE]) {
  if (batch_is_bridge(batch, b))
    memcpy(out, batch.data + LOG_BATCH_HEADER + LOG_RECORD_HEADER, SHA256_SIZE);
  else
    batch_chain(batch.data, out);
}

void batch_bridge_put(struct buf *out, struct batch_header *b, const uint8_t next[SHA256_SIZE],
                      uint32_t size) {
  size_t start = out->len;
  BUF_AUTO payload = BUF_INIT;
  assert(size >= DISK_ALIGN && size % DISK_ALIGN == 0);
  buf_append(&payload, next, SHA256_SIZE);
  buf_append_zero(&payload, size - BRIDGE_FIXED);
  buf_append_zero(out, LOG_BATCH_HEADER);
  struct log_record r = {.type = LOG_BRIDGE, .lsn = b->last_lsn, .payload = buf_slice(&payload)};
  if (!payload.failed) r.payload_crc = crc32c(0, payload.data, payload.len);
  record_frame_put(out, &r, b->generation);
  buf_append_slice(out, buf_slice(&payload));
  if (payload.failed) out->failed = true;
  if (out->failed) return;
  assert(out->len - start == size);
  b->count = 1;
  b->length = size;
  batch_header_finish(out->data + start, b);
}

/* ---- records ---- */

void record_frame_put(struct buf *out, const struct log_record *r, uint32_t generation) {
  size_t start = out->len;
  assert(r->payload.len <= UINT32_MAX - LOG_RECORD_HEADER);
  put_u32le(out, (uint32_t)(LOG_RECORD_HEADER + r->payload.len));
  put_u32le(out, generation);
  put_u64le(out, r->lsn);
  put_u32le(out, r->payload_crc);
  put_u8(out, r->type);
  buf_append_zero(out, 7);
  if (out->failed) return;
  assert(out->len - start == LOG_RECORD_HEADER - 4);
  put_u32le(out, crc32c(0, out->data + start, LOG_RECORD_HEADER - 4));
}

bool record_frame_check(struct slice record, uint32_t generation, struct log_record *out) {
  assert(record.len >= LOG_RECORD_HEADER);
  const uint8_t *p = record.data;
  if (load_u32le(p) != record.len || load_u32le(p + 4) != generation) return false;
  if (load_u32le(p + LOG_RECORD_HEADER - 4) != crc32c(0, p, LOG_RECORD_HEADER - 4)) return false;
  struct slice payload = slice_cut(record, LOG_RECORD_HEADER, record.len);
  uint32_t payload_crc = load_u32le(p + 16);
  if (crc32c(0, payload.data, payload.len) != payload_crc) return false;
  *out = (struct log_record){
      .type = p[20], .payload_crc = payload_crc, .lsn = load_u64le(p + 8), .payload = payload};
  return true;
}

/* ---- scanning ---- */

/* Reads the batch at `offset`. *out_good is false when none of this generation (0: of any) stands
 * there that verifies. */
enum dom_code segment_batch_read(struct disk_file *file, uint64_t bytes, uint32_t generation, uint64_t offset,
                                 struct buf *in, struct batch_header *out, bool *out_good,
                                 struct dom_err *err) {
  enum dom_code code;
  *out_good = false;
  if (offset + DISK_ALIGN > bytes) return DOM_OK;
  buf_reset(in);
  if (!buf_reserve(in, DISK_ALIGN)) return buf_check(in, err);
  code = disk_read_full(file, offset, in->data, DISK_ALIGN, err);
  if (code != DOM_OK) return code;
  if (!batch_header_decode(slice_of(in->data, DISK_ALIGN), (size_t)(bytes - offset), out)) return DOM_OK;
  if (generation != 0 && out->generation != generation) return DOM_OK;
  in->len = DISK_ALIGN;
  if (out->length > DISK_ALIGN) {
    size_t more = out->length - DISK_ALIGN;
    if (!buf_reserve(in, more)) return buf_check(in, err);
    code = disk_read_full(file, offset + DISK_ALIGN, in->data + DISK_ALIGN, more, err);
    if (code != DOM_OK) return code;
  }
  in->len = out->length;
  *out_good = batch_verify(buf_slice(in), out);
  return DOM_OK;
}

/* Gives each record of a verified batch to fn. */
enum dom_code segment_batch_each(struct slice batch, const struct batch_header *b, uint32_t segment,
                                 uint64_t offset, uint64_t after_lsn, log_replay_fn fn, void *arg,
                                 struct dom_err *err) {
  static const char where[] = "store/segment: batch";
  size_t at = LOG_BATCH_HEADER;
  for (uint32_t i = 0; i < b->count; i++) {
    struct log_record r;
    uint32_t length = at + LOG_RECORD_HEADER <= batch.len ? load_u32le(batch.data + at) : 0;
    if (length < LOG_RECORD_HEADER || length > batch.len - at ||
        !record_frame_check(slice_of(batch.data + at, length), b->generation, &r) || r.lsn < b->first_lsn ||
        r.lsn > b->last_lsn) {
      return dom_fail(err, DOM_CORRUPT, where, "segment %u offset %llu: bad record in a good batch", segment,
                      (unsigned long long)(offset + at));
    }
    r.at = (struct log_locator){segment, b->generation, (uint32_t)(offset + at), length};
    at += (size_t)log_record_size(r.payload.len);
    bool last = i + 1 == b->count;
    bool ends = last || (at + 16 <= batch.len && load_u64le(batch.data + at + 8) != r.lsn);
    if (r.lsn <= after_lsn || fn == NULL || r.type == LOG_BRIDGE) continue;
    enum dom_code code = fn(arg, &r, ends, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

/* Where the chain ends: a good batch of this generation there or further on means damage, not a
 * torn tail. */
static enum dom_code damage_check(struct disk_file *file, const struct segment_header *h, uint64_t bad,
                                  struct buf *in, struct dom_err *err) {
  assert(bad % DISK_ALIGN == 0);
  for (uint64_t at = bad; at + DISK_ALIGN <= h->bytes; at += DISK_ALIGN) {
    struct batch_header b;
    bool good;
    enum dom_code code = segment_batch_read(file, h->bytes, h->generation, at, in, &b, &good, err);
    if (code != DOM_OK) return code;
    if (good) {
      return dom_fail(err, DOM_CORRUPT, "store/segment: scan",
                      "segment %u offset %llu: bad batch before a good one at %llu; run fsck", h->number,
                      (unsigned long long)bad, (unsigned long long)at);
    }
  }
  return DOM_OK;
}

enum dom_code segment_scan(struct disk_file *file, const struct segment_header *h, uint64_t after_lsn,
                           log_replay_fn fn, void *arg, struct segment_scan *out, struct dom_err *err) {
  BUF_AUTO in = BUF_INIT;
  struct segment_scan s = {.last_lsn = h->first_lsn - 1, .end = SEGMENT_HEADER_SIZE};
  assert(h->first_lsn > 0);
  memcpy(s.chain, h->chain, SHA256_SIZE);
  for (;;) {
    struct batch_header b;
    bool good;
    enum dom_code code = segment_batch_read(file, h->bytes, h->generation, s.end, &in, &b, &good, err);
    if (code != DOM_OK) return code;
    if (!good || b.first_lsn != s.last_lsn + 1 || memcmp(b.chain, s.chain, SHA256_SIZE) != 0) break;
    code = segment_batch_each(buf_slice(&in), &b, h->number, s.end, after_lsn, fn, arg, err);
    if (code != DOM_OK) return code;
    s.last_lsn = b.last_lsn;
    s.last = s.end;
    batch_follow(buf_slice(&in), &b, s.chain);
    s.end += (b.length + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  }
  enum dom_code code = damage_check(file, h, s.end, &in, err);
  if (code == DOM_OK) *out = s;
  return code;
}

enum dom_code segment_used_beyond(struct disk_file *file, uint64_t lsn, bool *out, struct dom_err *err) {
  BUF_AUTO in = BUF_INIT;
  struct batch_header b = {0};
  uint64_t size = 0;
  bool good;
  enum dom_code code = disk_size(file, &size, err);
  if (code != DOM_OK) return code;
  code = segment_batch_read(file, size, 0, SEGMENT_HEADER_SIZE, &in, &b, &good, err);
  if (code == DOM_OK) *out = good && b.first_lsn > lsn;
  return code;
}
