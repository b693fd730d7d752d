/* Chunked answers: how long they are, and where they end. */
#include <assert.h>

#include "bench.h"

static int hex_digit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte outside of a chunk's data. */
static bool take_byte(struct bench_chunks *c, uint8_t byte) {
  int digit = hex_digit(byte);
  switch (c->at) {
  case BENCH_CHUNK_SIZE:
    if (digit >= 0 && c->left >> 56 == 0) {
      c->left = c->left * 16 + (unsigned)digit;
      c->digits = true;
      return true;
    }
    c->at = BENCH_CHUNK_LINE;
    return c->digits && (byte == '\r' || byte == ';' || byte == ' ');
  case BENCH_CHUNK_LINE: /* extensions, to the line's end */
    if (byte == '\n') c->at = c->left > 0 ? BENCH_CHUNK_DATA : BENCH_CHUNK_LAST;
    return true;
  case BENCH_CHUNK_BREAK: /* behind the data */
    if (byte == '\n') c->at = BENCH_CHUNK_SIZE;
    c->digits = false;
    return byte == '\r' || byte == '\n';
  case BENCH_CHUNK_LAST: /* trailers, to an empty line */
    if (byte == '\n' && c->line == 0) c->at = BENCH_CHUNK_END;
    if (byte != '\r') c->line = byte == '\n' ? 0 : c->line + 1;
    return true;
  default:
    return false;
  }
}

bool bench_chunks_take(struct bench_chunks *c, struct slice bytes) {
  assert(c != NULL);
  while (bytes.len > 0) {
    if (c->at != BENCH_CHUNK_DATA) {
      if (!take_byte(c, bytes.data[0])) return false;
      bytes = slice_cut(bytes, 1, bytes.len);
      continue;
    }
    size_t len = bytes.len < c->left ? bytes.len : (size_t)c->left;
    bytes = slice_cut(bytes, len, bytes.len);
    c->left -= len;
    c->body_bytes += len;
    if (c->left == 0) c->at = BENCH_CHUNK_BREAK;
  }
  return true;
}
