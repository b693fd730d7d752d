#include "base/codec.h"

#include <assert.h>

/* Shifts instead of copies: the same bytes on every processor; gcc and clang turn them into
 * single loads and stores. */

uint32_t load_u32be(const void *p) {
  const uint8_t *b = p;
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

uint64_t load_u64be(const void *p) {
  return (uint64_t)load_u32be(p) << 32 | (uint64_t)load_u32be((const uint8_t *)p + 4);
}

void store_u32le(void *p, uint32_t v) {
  uint8_t *b = p;
  for (unsigned i = 0; i < 4; i++) b[i] = (uint8_t)(v >> (8 * i));
}

void store_u64le(void *p, uint64_t v) {
  uint8_t *b = p;
  for (unsigned i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
}

void store_u32be(void *p, uint32_t v) {
  uint8_t *b = p;
  for (unsigned i = 0; i < 4; i++) b[i] = (uint8_t)(v >> (24 - 8 * i));
}

void store_u64be(void *p, uint64_t v) {
  uint8_t *b = p;
  for (unsigned i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (56 - 8 * i));
}

void put_u8(struct buf *b, uint8_t v) {
  buf_append_byte(b, v);
}

void put_u16le(struct buf *b, uint16_t v) {
  const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
  buf_append(b, bytes, sizeof bytes);
}

void put_u32le(struct buf *b, uint32_t v) {
  uint8_t bytes[4];
  store_u32le(bytes, v);
  buf_append(b, bytes, sizeof bytes);
}

void put_u64le(struct buf *b, uint64_t v) {
  uint8_t bytes[8];
  store_u64le(bytes, v);
  buf_append(b, bytes, sizeof bytes);
}

void put_u16be(struct buf *b, uint16_t v) {
  const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
  buf_append(b, bytes, sizeof bytes);
}

void put_u32be(struct buf *b, uint32_t v) {
  uint8_t bytes[4];
  store_u32be(bytes, v);
  buf_append(b, bytes, sizeof bytes);
}

void put_u64be(struct buf *b, uint64_t v) {
  uint8_t bytes[8];
  store_u64be(bytes, v);
  buf_append(b, bytes, sizeof bytes);
}

void put_bytes16le(struct buf *b, struct slice s) {
  assert(s.len <= UINT16_MAX);
  put_u16le(b, (uint16_t)s.len);
  buf_append_slice(b, s);
}

void put_bytes32le(struct buf *b, struct slice s) {
  assert(s.len <= UINT32_MAX);
  put_u32le(b, (uint32_t)s.len);
  buf_append_slice(b, s);
}

void put_bytes16be(struct buf *b, struct slice s) {
  assert(s.len <= UINT16_MAX);
  put_u16be(b, (uint16_t)s.len);
  buf_append_slice(b, s);
}

void put_bytes32be(struct buf *b, struct slice s) {
  assert(s.len <= UINT32_MAX);
  put_u32be(b, (uint32_t)s.len);
  buf_append_slice(b, s);
}

/* The next `len` bytes, or NULL (and bad, for good) when there are fewer. */
static const uint8_t *take(struct reader *r, size_t len) {
  assert(r);
  assert(r->at || r->left == 0);
  if (r->bad || len > r->left) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  if (len > 0) r->at += len;
  r->left -= len;
  return at;
}

uint8_t get_u8(struct reader *r) {
  const uint8_t *p = take(r, 1);
  return p ? p[0] : 0;
}

uint16_t get_u16le(struct reader *r) {
  const uint8_t *p = take(r, 2);
  if (!p) return 0;
  return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get_u32le(struct reader *r) {
  const uint8_t *p = take(r, 4);
  return p ? load_u32le(p) : 0;
}

uint64_t get_u64le(struct reader *r) {
  const uint8_t *p = take(r, 8);
  return p ? load_u64le(p) : 0;
}

uint16_t get_u16be(struct reader *r) {
  const uint8_t *p = take(r, 2);
  if (!p) return 0;
  return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get_u32be(struct reader *r) {
  const uint8_t *p = take(r, 4);
  return p ? load_u32be(p) : 0;
}

uint64_t get_u64be(struct reader *r) {
  const uint8_t *p = take(r, 8);
  return p ? load_u64be(p) : 0;
}

struct slice get_slice(struct reader *r, size_t len) {
  const uint8_t *p = take(r, len);
  return p ? slice_of(p, len) : slice_of(NULL, 0);
}

void get_copy(struct reader *r, void *out, size_t len) {
  assert(out || len == 0);
  const uint8_t *p = take(r, len);
  if (len == 0) return;
  if (p) {
    memcpy(out, p, len);
  } else {
    memset(out, 0, len);
  }
}

struct slice get_bytes16le(struct reader *r) {
  return get_slice(r, get_u16le(r));
}

struct slice get_bytes32le(struct reader *r) {
  return get_slice(r, get_u32le(r));
}

struct slice get_bytes16be(struct reader *r) {
  return get_slice(r, get_u16be(r));
}

struct slice get_bytes32be(struct reader *r) {
  return get_slice(r, get_u32be(r));
}

bool reader_end(const struct reader *r) {
  assert(r);
  return !r->bad && r->left == 0;
}
