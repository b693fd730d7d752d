/* Many byte strings in many bytes: a table of their first four bytes says where to look closer. */
#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "store/local/traces.h"

enum { TABLE_BITS = 16, TABLE_SIZE = 1 << TABLE_BITS, HEAD_BYTES = 4 };

struct scan {
  const struct slice *needles; /* borrowed */
  size_t count;
  uint32_t *next;             /* count of them: the next needle of the same slot, plus 1 */
  uint32_t first[TABLE_SIZE]; /* needle plus 1; 0: none */
};

/* Knuth's multiplicative hash: the upper bits depend on all four bytes. */
static uint32_t slot_of(const uint8_t *p) {
  return load_u32le(p) * UINT32_C(2654435761) >> (32 - TABLE_BITS);
}

struct scan *scan_new(const struct slice *needles, size_t count) {
  assert(needles || count == 0);
  struct scan *s = dom_calloc(1, sizeof *s);
  if (s) s->next = dom_calloc(count ? count : 1, sizeof *s->next);
  if (!s || !s->next) {
    dom_free(s);
    return NULL;
  }
  s->needles = needles;
  s->count = count;
  for (size_t i = 0; i < count; i++) {
    assert(needles[i].len >= SCAN_NEEDLE_MIN && needles[i].len <= SCAN_NEEDLE_MAX);
    uint32_t slot = slot_of(needles[i].data);
    s->next[i] = s->first[slot];
    s->first[slot] = (uint32_t)i + 1;
  }
  return s;
}

void scan_free(struct scan *s) {
  if (s) dom_free(s->next);
  dom_free(s);
}

void scan_bytes(const struct scan *s, struct slice bytes, size_t starts, uint64_t offset, scan_hit_fn fn,
                void *arg) {
  assert(starts <= bytes.len && fn);
  for (size_t i = 0; i < starts && i + HEAD_BYTES <= bytes.len; i++) {
    for (uint32_t n = s->first[slot_of(bytes.data + i)]; n != 0; n = s->next[n - 1]) {
      struct slice needle = s->needles[n - 1];
      if (needle.len <= bytes.len - i && memcmp(bytes.data + i, needle.data, needle.len) == 0)
        fn(arg, n - 1, offset + i);
    }
  }
}
