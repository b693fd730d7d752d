#include "fuzz.h"

#include <stdlib.h>

struct fuzz_random fuzz_random_of(struct slice input) {
  struct fuzz_random r = {UINT64_C(0xcbf29ce484222325)};
  for (size_t i = 0; i < input.len; i++) r.state = (r.state ^ input.data[i]) * UINT64_C(0x100000001b3);
  return r;
}

/* The products wrap on purpose. */
uint64_t fuzz_random_next(struct fuzz_random *r) {
  uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

size_t fuzz_random_below(struct fuzz_random *r, size_t bound) {
  return bound == 0 ? 0 : (size_t)(fuzz_random_next(r) % bound);
}

uint8_t *fuzz_copy(struct slice s) {
  uint8_t *copy = malloc(s.len ? s.len : 1);
  assert(copy != NULL);
  if (s.len > 0) memcpy(copy, s.data, s.len);
  return copy;
}

void fuzz_free(uint8_t **copy) {
  free(*copy);
}

void fuzz_touch(struct slice s) {
  static uint64_t sum;
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++) sum += s.data[i];
  assert(sum != UINT64_MAX); /* so that the reading is not optimised away */
}

bool fuzz_inside(struct slice whole, struct slice part) {
  return part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

bool fuzz_line(struct slice *rest, struct slice *out_line) {
  if (rest->len == 0) return false;
  size_t end = slice_find(*rest, '\n');
  struct slice line = slice_cut(*rest, 0, end);
  *rest = end == rest->len ? slice_cut(*rest, end, end) : slice_cut(*rest, end + 1, rest->len);
  if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
  *out_line = line;
  return true;
}

struct slice fuzz_cut(struct slice *rest, struct slice mark) {
  for (size_t i = 0; i + mark.len <= rest->len; i++) {
    if (!slice_starts_with(slice_cut(*rest, i, rest->len), mark)) continue;
    struct slice front = slice_cut(*rest, 0, i);
    *rest = slice_cut(*rest, i + mark.len, rest->len);
    return front;
  }
  struct slice all = *rest;
  *rest = slice_cut(*rest, rest->len, rest->len);
  return all;
}

void fuzz_mark(void *out, size_t len) {
  memset(out, 0xa5, len);
}

bool fuzz_is_marked(const void *out, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (((const uint8_t *)out)[i] != 0xa5) return false;
  }
  return true;
}
