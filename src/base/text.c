/* The text forms of bytes.h: hex, base64, percent-encoding, UTF-8. */
#include <assert.h>

#include "base/bytes.h"

static const char hex_digits[] = "0123456789abcdef";

/* 0..15, or -1. */
static int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void hex_encode(struct buf *out, struct slice in) {
  assert(in.data || in.len == 0);
  if (in.len > SIZE_MAX / 2 || !buf_reserve(out, in.len * 2)) {
    out->failed = true;
    return;
  }
  for (size_t i = 0; i < in.len; i++) {
    out->data[out->len++] = (uint8_t)hex_digits[in.data[i] >> 4];
    out->data[out->len++] = (uint8_t)hex_digits[in.data[i] & 15];
  }
}

enum dom_code hex_decode(struct slice in, uint8_t *out, size_t out_cap, size_t *out_len) {
  assert(out_len);
  assert(out || out_cap == 0);
  if (in.len % 2 != 0) return DOM_INVALID;
  for (size_t i = 0; i < in.len; i++) {
    if (hex_value(in.data[i]) < 0) return DOM_INVALID;
  }
  if (in.len / 2 > out_cap) return DOM_TOO_LARGE;
  for (size_t i = 0; i < in.len / 2; i++) {
    unsigned high = (unsigned)hex_value(in.data[2 * i]), low = (unsigned)hex_value(in.data[2 * i + 1]);
    assert(high < 16);
    assert(low < 16);
    out[i] = (uint8_t)(high << 4 | low);
  }
  *out_len = in.len / 2;
  return DOM_OK;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct slice in) {
  assert(in.data || in.len == 0);
  if (in.len > SIZE_MAX / 4 || !buf_reserve(out, (in.len + 2) / 3 * 4)) {
    out->failed = true;
    return;
  }
  for (size_t i = 0; i < in.len; i += 3) {
    size_t left = in.len - i;
    uint32_t group = (uint32_t)in.data[i] << 16;
    if (left > 1) group |= (uint32_t)in.data[i + 1] << 8;
    if (left > 2) group |= in.data[i + 2];
    out->data[out->len++] = (uint8_t)base64_digits[group >> 18];
    out->data[out->len++] = (uint8_t)base64_digits[group >> 12 & 63];
    out->data[out->len++] = left > 1 ? (uint8_t)base64_digits[group >> 6 & 63] : '=';
    out->data[out->len++] = left > 2 ? (uint8_t)base64_digits[group & 63] : '=';
  }
}

/* 0..63, or -1. */
static int base64_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

/* Decodes one group of four with `pad` (0..2) closing '='; false when malformed. */
static bool base64_group(const uint8_t in[4], unsigned pad, uint8_t out[3]) {
  assert(pad <= 2);
  uint32_t group = 0;
  for (unsigned i = 0; i < 4; i++) {
    int value = i < 4 - pad ? base64_value(in[i]) : 0;
    if (value < 0) return false;
    group = group << 6 | (uint32_t)value;
  }
  /* RFC 4648 §3.5: the unused bits are zero, else two texts would mean the same bytes. */
  if (pad > 0 && (group & (pad == 1 ? 0xffu : 0xffffu)) != 0) return false;
  out[0] = (uint8_t)(group >> 16);
  out[1] = (uint8_t)(group >> 8);
  out[2] = (uint8_t)group;
  return true;
}

enum dom_code base64_decode(struct slice in, struct buf *out) {
  assert(out);
  assert(in.data || in.len == 0);
  if (in.len % 4 != 0) return DOM_INVALID;
  size_t len_before = out->len;
  for (size_t i = 0; i < in.len; i += 4) {
    const uint8_t *at = in.data + i;
    unsigned pad = 0;
    if (i + 4 == in.len && at[3] == '=') pad = at[2] == '=' ? 2 : 1;
    uint8_t bytes[3];
    if (!base64_group(at, pad, bytes)) {
      out->len = len_before;
      return DOM_INVALID;
    }
    buf_append(out, bytes, 3 - pad);
  }
  return DOM_OK;
}

enum dom_code percent_decode(struct slice in, bool plus_is_blank, struct buf *out) {
  assert(out);
  assert(in.data || in.len == 0);
  size_t len_before = out->len;
  for (size_t i = 0; i < in.len; i++) {
    uint8_t c = in.data[i];
    if (c == '%') {
      int high = in.len - i > 2 ? hex_value(in.data[i + 1]) : -1;
      int low = in.len - i > 2 ? hex_value(in.data[i + 2]) : -1;
      if (high < 0 || low < 0) {
        out->len = len_before;
        return DOM_INVALID;
      }
      c = (uint8_t)(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    buf_append_byte(out, c);
  }
  return DOM_OK;
}

/* RFC 3986 §2.3. */
static bool is_unreserved(uint8_t c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void percent_encode(struct buf *out, struct slice in, bool keep_slash) {
  static const char upper[] = "0123456789ABCDEF"; /* RFC 3986 §2.1 prefers it, SigV4 demands it */
  assert(out);
  assert(in.data || in.len == 0);
  for (size_t i = 0; i < in.len; i++) {
    uint8_t c = in.data[i];
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      buf_append_byte(out, c);
    } else {
      const uint8_t escape[3] = {'%', (uint8_t)upper[c >> 4], (uint8_t)upper[c & 15]};
      buf_append(out, escape, sizeof escape);
    }
  }
}

/* Length of the well-formed sequence at `at` (RFC 3629 §4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *at, size_t left) {
  assert(at);
  assert(left > 0);
  uint8_t first = at[0];
  if (first < 0x80) return 1;
  size_t len = first >= 0xc2 && first <= 0xdf   ? 2
               : first >= 0xe0 && first <= 0xef ? 3
               : first >= 0xf0 && first <= 0xf4 ? 4
                                                : 0;
  if (len == 0 || left < len) return 0;
  /* The second byte's bounds shut out overlong forms, surrogates and what lies past U+10FFFF. */
  uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < len; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return len;
}

bool utf8_valid(struct slice s) {
  assert(s.data || s.len == 0);
  for (size_t i = 0; i < s.len;) {
    size_t len = utf8_sequence(s.data + i, s.len - i);
    if (len == 0) return false;
    i += len;
  }
  return true;
}
