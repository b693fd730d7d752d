/* Searching for many needles at once: every eight bytes of the data are looked up, first in a
 * small bit filter that nearly all of them fail, then in a hash table of the needles' first
 * eight bytes. */
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "load.h"
#include "needles.h"
#include "table.h"

/* Bits of the filter: 512 KiB fit a second-level cache and keep 50,000 heads at about 1 %. */
#define FILTER_BITS 22

static uint64_t hash_of(uint64_t head) {
  return head * UINT64_C(0x9e3779b97f4a7c15);
}

static bool append(struct haystack *h, struct needle needle) {
  assert(h->count <= h->cap);
  if (h->count == h->cap) {
    size_t cap = h->cap == 0 ? 4096 : h->cap * 2;
    struct needle *needles = dom_realloc(h->needles, cap * sizeof *needles);
    if (needles == NULL) return false;
    h->needles = needles;
    h->cap = cap;
  }
  h->needles[h->count++] = needle;
  return true;
}

bool haystack_add(struct haystack *h, const char *path, struct buf *text) {
  assert(h != NULL && h->slots == NULL && text != NULL);
  struct table_cursor cursor = table_begin(text);
  char *columns[TABLE_COLUMNS_MAX];
  size_t count;
  while (table_next(&cursor, columns, &count)) {
    size_t len = 0;
    uint8_t *bytes = count == 2 ? (uint8_t *)columns[1] : NULL;
    /* Two digits give one byte, so that decoding in place never overtakes itself. */
    bool ok = count == 2 && hex_decode(slice_str(columns[1]), bytes, strlen(columns[1]), &len) == DOM_OK &&
              len >= NEEDLE_BYTES_MIN && len <= NEEDLE_BYTES_MAX;
    if (!ok) {
      load_complain("%s:%llu: not a needle of %d to %d bytes: LABEL, tab, hex", path,
                    (unsigned long long)cursor.line, NEEDLE_BYTES_MIN, NEEDLE_BYTES_MAX);
      return false;
    }
    if (!append(h, (struct needle){.bytes = slice_of(bytes, len), .label = columns[0]})) {
      load_complain("out of memory");
      return false;
    }
  }
  return true;
}

static int needle_order(const void *a, const void *b) {
  return slice_compare(((const struct needle *)a)->bytes, ((const struct needle *)b)->bytes);
}

/* Sorts, drops doubles, finds the longest. */
static void sort_out(struct haystack *h) {
  assert(h->count > 0);
  qsort(h->needles, h->count, sizeof *h->needles, needle_order);
  size_t kept = 0;
  for (size_t i = 0; i < h->count; i++) {
    if (kept > 0 && slice_equal(h->needles[kept - 1].bytes, h->needles[i].bytes)) continue;
    h->needles[kept++] = h->needles[i];
    if (h->needles[i].bytes.len > h->longest) h->longest = h->needles[i].bytes.len;
  }
  h->count = kept;
}

static struct haystack_slot *slot_of(const struct haystack *h, uint64_t head) {
  assert(h->slots != NULL && (h->slot_mask & (h->slot_mask + 1)) == 0);
  size_t at = (size_t)(hash_of(head) >> 20) & h->slot_mask;
  while (h->slots[at].first != 0 && h->slots[at].head != head) at = (at + 1) & h->slot_mask;
  return &h->slots[at];
}

bool haystack_build(struct haystack *h) {
  assert(h != NULL && h->slots == NULL);
  if (h->count > 0) sort_out(h);
  size_t slots = 64;
  while (slots < h->count * 2) slots *= 2;
  assert(h->count < UINT32_MAX);
  h->filter = dom_calloc((size_t)1 << (FILTER_BITS - 6), sizeof *h->filter);
  h->slots = dom_calloc(slots, sizeof *h->slots);
  h->slot_mask = slots - 1;
  if (h->filter == NULL || h->slots == NULL) return false;
  for (size_t i = 0; i < h->count; i++) {
    uint64_t head = load_u64le(h->needles[i].bytes.data);
    uint64_t bit = hash_of(head) >> (64 - FILTER_BITS);
    h->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    struct haystack_slot *slot = slot_of(h, head);
    if (slot->first == 0) *slot = (struct haystack_slot){.head = head, .first = (uint32_t)i + 1};
    slot->count++;
  }
  return true;
}

void haystack_done(struct haystack *h) {
  assert(h != NULL);
  dom_free(h->needles);
  dom_free(h->filter);
  dom_free(h->slots);
  *h = (struct haystack){0};
}

/* Compares the needles that begin with the eight bytes at `data`. */
static void compare(const struct haystack *h, uint64_t head, struct slice data, uint64_t offset,
                    haystack_hit *hit, void *context) {
  const struct haystack_slot *slot = slot_of(h, head);
  assert(data.len >= NEEDLE_BYTES_MIN);
  for (uint32_t i = 0; i < slot->count; i++) {
    const struct needle *needle = &h->needles[slot->first - 1 + i];
    if (slice_starts_with(data, needle->bytes)) hit(context, needle, offset);
  }
}

void haystack_search(const struct haystack *h, struct slice data, size_t limit, uint64_t offset,
                     haystack_hit *hit, void *context) {
  assert(h != NULL && h->slots != NULL && hit != NULL && limit <= data.len);
  for (size_t at = 0; at < limit && at + NEEDLE_BYTES_MIN <= data.len; at++) {
    uint64_t head = load_u64le(data.data + at);
    uint64_t bit = hash_of(head) >> (64 - FILTER_BITS);
    if ((h->filter[bit / 64] >> bit % 64 & 1) == 0) continue;
    compare(h, head, slice_cut(data, at, data.len), offset + at, hit, context);
  }
}
