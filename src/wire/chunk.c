#include "wire/chunk.h"

#include <assert.h>

#include "wire/head_rules.h"

static int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Bytes that may stand in an extension or a trailer line. */
static bool is_line_byte(uint8_t c) {
  return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static enum chunk_phase in_size(struct chunk_state *c, uint8_t byte) {
  assert(c->digits <= CHUNK_SIZE_DIGITS_MAX);
  int v = hex_value(byte);
  if (v >= 0) {
    if (++c->digits > CHUNK_SIZE_DIGITS_MAX) return CHUNK_BAD;
    c->left = c->left * 16 + (uint64_t)v;
    return CHUNK_SIZE;
  }
  if (c->digits == 0) return CHUNK_BAD;
  if (byte == '\r') return CHUNK_SIZE_LF;
  return byte == ';' ? CHUNK_EXTENSION : CHUNK_BAD;
}

static enum chunk_phase in_extension(uint8_t byte) {
  if (byte == '\r') return CHUNK_SIZE_LF;
  return is_line_byte(byte) ? CHUNK_EXTENSION : CHUNK_BAD;
}

static enum chunk_phase after_size(struct chunk_state *c, uint8_t byte) {
  assert(c->digits > 0);
  if (byte != '\n') return CHUNK_BAD;
  c->overhead = 0;
  return c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
}

static enum chunk_phase after_data(struct chunk_state *c, uint8_t byte) {
  assert(c->left == 0);
  if (byte != '\n') return CHUNK_BAD;
  *c = (struct chunk_state){0};
  return CHUNK_SIZE;
}

static enum chunk_phase in_trailer(enum chunk_phase phase, uint8_t byte) {
  switch (phase) {
  case CHUNK_TRAILER_START:
    if (byte == '\r') return CHUNK_LAST_LF;
    return head_is_token_char(byte) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
  case CHUNK_TRAILER_NAME: /* so that a request line is never taken for a trailer */
    if (byte == ':') return CHUNK_TRAILER_LINE;
    return head_is_token_char(byte) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
  case CHUNK_TRAILER_LINE:
    if (byte == '\r') return CHUNK_TRAILER_LF;
    return is_line_byte(byte) ? CHUNK_TRAILER_LINE : CHUNK_BAD;
  case CHUNK_TRAILER_LF:
    return byte == '\n' ? CHUNK_TRAILER_START : CHUNK_BAD;
  case CHUNK_LAST_LF:
    return byte == '\n' ? CHUNK_END : CHUNK_BAD;
  default:
    assert(false && "not a trailer phase");
    return CHUNK_BAD;
  }
}

static enum chunk_phase step(struct chunk_state *c, uint8_t byte) {
  assert(c->phase != CHUNK_DATA && c->phase < CHUNK_END);
  switch (c->phase) {
  case CHUNK_SIZE:
    return in_size(c, byte);
  case CHUNK_EXTENSION:
    return in_extension(byte);
  case CHUNK_SIZE_LF:
    return after_size(c, byte);
  case CHUNK_DATA_CR:
    return byte == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
  case CHUNK_DATA_LF:
    return after_data(c, byte);
  default:
    return in_trailer(c->phase, byte);
  }
}

static bool is_stop(enum chunk_phase p) {
  return p == CHUNK_DATA || p == CHUNK_END || p == CHUNK_BAD;
}

size_t chunk_feed(struct chunk_state *c, struct slice in) {
  assert(c != NULL);
  size_t used = 0;
  while (used < in.len && !is_stop(c->phase)) {
    c->phase = step(c, in.data[used++]);
    bool trailer = c->phase >= CHUNK_TRAILER_START;
    if (++c->overhead > (trailer ? (size_t)CHUNK_TRAILER_BYTES_MAX : (size_t)CHUNK_LINE_BYTES_MAX))
      c->phase = CHUNK_BAD;
  }
  return used;
}

void chunk_take(struct chunk_state *c, uint64_t len) {
  assert(c->phase == CHUNK_DATA && len <= c->left);
  c->left -= len;
  if (c->left == 0) c->phase = CHUNK_DATA_CR;
}
