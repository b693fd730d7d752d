#include "ledger/tile.h"

#include <assert.h>
#include <stdio.h>

void tile_path(struct tile_id id, char out[TILE_PATH_MAX]) {
  assert(id.width >= 1 && id.width <= TILE_WIDTH && id.level <= TILE_ENTRIES);
  char groups[48]; /* 7 groups of 5 at most */
  size_t at = sizeof groups;
  uint64_t n = id.n;
  bool last = true;
  groups[--at] = 0;
  do {
    unsigned digits = (unsigned)(n % 1000);
    n /= 1000;
    groups[--at] = (char)('0' + digits % 10);
    groups[--at] = (char)('0' + digits / 10 % 10);
    groups[--at] = (char)('0' + digits / 100);
    if (!last) groups[--at] = 'x';
    if (n > 0) groups[--at] = '/';
    last = false;
  } while (n > 0);
  char level[16] = "entries", partial[16] = "";
  if (id.level < TILE_ENTRIES) snprintf(level, sizeof level, "%u", id.level);
  if (id.width < TILE_WIDTH) snprintf(partial, sizeof partial, ".p/%u", id.width);
  int len = snprintf(out, TILE_PATH_MAX, "tile/%s/%s%s", level, groups + at, partial);
  assert(len > 0 && len < TILE_PATH_MAX);
}

/* A decimal of 1..3 digits without leading zeroes. */
static bool small_decimal(struct slice text, unsigned *out) {
  assert(out);
  uint64_t value;
  if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0')) return false;
  if (slice_to_u64(text, &value) != DOM_OK) return false;
  *out = (unsigned)value;
  return true;
}

/* Groups of three digits, all but the last with an x before them. */
static bool groups_parse(struct slice text, uint64_t *out_n) {
  assert(out_n);
  uint64_t n = 0;
  for (;;) {
    size_t slash = slice_find(text, '/');
    bool last = slash == text.len;
    size_t skip = last ? 0 : 1;
    uint64_t group;
    if (slash != skip + 3 || (!last && text.data[0] != 'x')) return false;
    if (slice_to_u64(slice_cut(text, skip, slash), &group) != DOM_OK) return false;
    if (n > (UINT64_MAX - group) / 1000) return false;
    n = n * 1000 + group;
    if (last) break;
    text = slice_cut(text, slash + 1, text.len);
  }
  *out_n = n;
  return true;
}

bool tile_path_parse(struct slice path, struct tile_id *out) {
  assert(out);
  struct tile_id id = {.width = TILE_WIDTH};
  if (path.len >= TILE_PATH_MAX || !slice_starts_with(path, SLICE_LIT("tile/"))) return false;
  struct slice rest = slice_cut(path, 5, path.len);
  size_t slash = slice_find(rest, '/');
  if (slash == rest.len) return false;
  struct slice level = slice_cut(rest, 0, slash);
  rest = slice_cut(rest, slash + 1, rest.len);
  if (slice_equal(level, SLICE_LIT("entries")))
    id.level = TILE_ENTRIES;
  else if (!small_decimal(level, &id.level) || id.level >= TILE_ENTRIES)
    return false;
  size_t dot = slice_find(rest, '.');
  if (dot < rest.len) {
    struct slice suffix = slice_cut(rest, dot, rest.len);
    if (!slice_starts_with(suffix, SLICE_LIT(".p/"))) return false;
    if (!small_decimal(slice_cut(suffix, 3, suffix.len), &id.width)) return false;
    if (id.width < 1 || id.width >= TILE_WIDTH) return false;
  }
  if (!groups_parse(slice_cut(rest, 0, dot), &id.n)) return false;
  char again[TILE_PATH_MAX];
  tile_path(id, again);
  if (!slice_equal(slice_str(again), path)) return false;
  *out = id;
  return true;
}

uint64_t tile_hashes(unsigned level, uint64_t size) {
  if (level == TILE_ENTRIES) level = 0;
  assert(level < TILE_ENTRIES);
  return level >= TILE_LEVELS ? 0 : size >> (TILE_HEIGHT * level);
}

unsigned tile_width(unsigned level, uint64_t n, uint64_t size) {
  uint64_t hashes = tile_hashes(level, size);
  if (n > hashes / TILE_WIDTH) return 0;
  uint64_t left = hashes - n * TILE_WIDTH;
  assert(left <= hashes);
  return left > TILE_WIDTH ? TILE_WIDTH : (unsigned)left;
}

enum dom_code tile_edge_push(struct tile_edge *edge, const struct merkle_hash *leaf, tile_full_fn fn,
                             void *arg, struct dom_err *err) {
  assert(edge && leaf && edge->size < UINT64_MAX);
  struct merkle_hash hash = *leaf;
  uint64_t index = edge->size++; /* of `hash` within its level */
  for (unsigned level = 0; level < TILE_LEVELS; level++) {
    edge->level[level][index % TILE_WIDTH] = hash;
    if (index % TILE_WIDTH != TILE_WIDTH - 1) break;
    merkle_perfect(edge->level[level], TILE_WIDTH, &hash);
    index /= TILE_WIDTH;
    enum dom_code code = fn ? fn(arg, level, index, edge->level[level], err) : DOM_OK;
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

unsigned tile_edge_width(const struct tile_edge *edge, unsigned level) {
  assert(edge && level < TILE_LEVELS);
  return (unsigned)(tile_hashes(level, edge->size) % TILE_WIDTH);
}

void tile_edge_root(const struct tile_edge *edge, struct merkle_hash *out) {
  assert(edge && out);
  bool have = false;
  struct merkle_hash root;
  merkle_empty(&root);
  for (unsigned level = 0; level < TILE_LEVELS; level++) {
    unsigned end = tile_edge_width(edge, level);
    for (unsigned count = 1; end > 0; count *= 2) {
      if (!(end & count)) continue;
      struct merkle_hash left;
      end -= count; /* the node of `count` hashes stands at the right end of what is left */
      merkle_perfect(&edge->level[level][end], count, &left);
      if (have)
        merkle_node(&left, &root, &root);
      else
        root = left;
      have = true;
    }
  }
  *out = root;
}
