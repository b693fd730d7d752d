#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/crypto.h"

enum { BUF_CAP_MIN = 64 /* below it, growth steps cost more than the memory is worth */ };

bool slice_equal(struct slice a, struct slice b) {
  assert(a.data || a.len == 0);
  assert(b.data || b.len == 0);
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int slice_compare(struct slice a, struct slice b) {
  assert(a.data || a.len == 0);
  assert(b.data || b.len == 0);
  size_t common = a.len < b.len ? a.len : b.len;
  int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
  return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(struct slice s, struct slice prefix) {
  assert(s.data || s.len == 0);
  return prefix.len <= s.len && slice_equal(slice_of(s.data, prefix.len), prefix);
}

static uint8_t ascii_lower(uint8_t c) {
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool slice_equal_nocase(struct slice a, struct slice b) {
  assert(a.data || a.len == 0);
  assert(b.data || b.len == 0);
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++) {
    if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) return false;
  }
  return true;
}

bool slice_equal_secret(struct slice a, struct slice b) {
  assert(a.data || a.len == 0);
  assert(b.data || b.len == 0);
  if (a.len != b.len) return false;
  volatile uint8_t difference = 0; /* volatile: no early way out for the compiler either */
  for (size_t i = 0; i < a.len; i++) difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
  return difference == 0;
}

size_t slice_find(struct slice s, uint8_t c) {
  assert(s.data || s.len == 0);
  const uint8_t *at = s.len == 0 ? NULL : memchr(s.data, c, s.len);
  return at ? (size_t)(at - s.data) : s.len;
}

struct slice slice_cut(struct slice s, size_t from, size_t to) {
  assert(from <= to);
  assert(to <= s.len);
  return s.data ? slice_of(s.data + from, to - from) : s;
}

enum dom_code slice_to_u64(struct slice s, uint64_t *out_value) {
  assert(out_value);
  if (s.len == 0) return DOM_INVALID;
  uint64_t value = 0;
  for (size_t i = 0; i < s.len; i++) {
    if (s.data[i] < '0' || s.data[i] > '9') return DOM_INVALID;
    uint64_t digit = (uint64_t)(s.data[i] - '0');
    if (value > (UINT64_MAX - digit) / 10) return DOM_INVALID;
    value = value * 10 + digit;
  }
  *out_value = value;
  return DOM_OK;
}

void buf_done(struct buf *b) {
  assert(b);
  dom_free(b->data);
  *b = BUF_INIT;
}

void buf_wipe_done(struct buf *b) {
  assert(b);
  assert(b->len <= b->cap);
  if (b->data) wipe(b->data, b->cap);
  buf_done(b);
}

void buf_reset(struct buf *b) {
  assert(b);
  b->len = 0;
  b->failed = false;
}

bool buf_reserve(struct buf *b, size_t more) {
  assert(b);
  assert(b->len <= b->cap);
  if (b->failed) return false;
  if (more <= b->cap - b->len) return true;
  if (more > SIZE_MAX / 2 - b->len) {
    b->failed = true;
    return false;
  }
  size_t cap = b->cap * 2 > b->len + more ? b->cap * 2 : b->len + more;
  if (cap < BUF_CAP_MIN) cap = BUF_CAP_MIN;
  uint8_t *grown = dom_realloc(b->data, cap);
  if (!grown) {
    b->failed = true;
    return false;
  }
  b->data = grown;
  b->cap = cap;
  return true;
}

void buf_append(struct buf *b, const void *data, size_t len) {
  assert(data || len == 0);
  if (len == 0 || !buf_reserve(b, len)) return;
  assert(len <= b->cap - b->len);
  memcpy(b->data + b->len, data, len);
  b->len += len;
}

void buf_append_slice(struct buf *b, struct slice s) {
  buf_append(b, s.data, s.len);
}

void buf_append_str(struct buf *b, const char *s) {
  assert(s);
  buf_append(b, s, strlen(s));
}

void buf_append_byte(struct buf *b, uint8_t c) {
  if (!buf_reserve(b, 1)) return;
  assert(b->len < b->cap);
  b->data[b->len++] = c;
}

void buf_append_zero(struct buf *b, size_t len) {
  if (len == 0 || !buf_reserve(b, len)) return;
  assert(len <= b->cap - b->len);
  memset(b->data + b->len, 0, len);
  b->len += len;
}

void buf_printf(struct buf *b, const char *format, ...) {
  assert(b);
  assert(format);
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  assert(len >= 0); /* only a broken format fails */
  /* One more byte, for vsnprintf's NUL. */
  if (buf_reserve(b, (size_t)len + 1)) {
    (void)vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again);
    b->len += (size_t)len;
  }
  va_end(again);
}

const char *buf_str(struct buf *b) {
  if (!buf_reserve(b, 1)) return "";
  assert(b->len < b->cap);
  b->data[b->len] = 0;
  return (const char *)b->data;
}

enum dom_code buf_check(const struct buf *b, struct dom_err *err) {
  assert(b);
  if (!b->failed) return DOM_OK;
  return dom_fail(err, DOM_NO_MEMORY, "base/bytes: append", "out of memory");
}
