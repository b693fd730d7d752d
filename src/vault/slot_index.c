#include "vault/slot_index.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"

enum { CELLS_MIN = 1024 }; /* 8 KiB: a dev region never grows it */

uint32_t slot_index_hash(const struct vault_key *key) {
  uint64_t mixed = load_u64le(key->token) ^ load_u64le(key->token + 24);
  mixed ^= key->epoch * UINT64_C(0x9e3779b97f4a7c15);
  mixed ^= mixed >> 32;
  return (uint32_t)((mixed * UINT64_C(0xd6e8feb86659fd93)) >> 32);
}

void slot_index_done(struct slot_index *ix) {
  assert(ix);
  dom_free(ix->cells);
  *ix = (struct slot_index){0};
}

static uint32_t cell_hash(uint64_t cell) {
  return (uint32_t)(cell >> 32);
}

static void cell_put(struct slot_index *ix, uint64_t cell) {
  size_t at = cell_hash(cell) & ix->mask;
  while (ix->cells[at] != 0) at = (at + 1) & ix->mask;
  ix->cells[at] = cell;
  ix->used++;
  assert(ix->used <= ix->mask);
}

bool slot_index_reserve(struct slot_index *ix, size_t more) {
  size_t cells = ix->cells ? ix->mask + 1 : 0, want = CELLS_MIN;
  while (want - want / 4 < ix->used + more) want *= 2; /* at most three quarters full */
  if (want <= cells) return true;
  struct slot_index next = {.cells = dom_calloc(want, sizeof *next.cells), .mask = want - 1};
  if (!next.cells) return false;
  for (size_t i = 0; i < cells; i++) {
    if (ix->cells[i] != 0) cell_put(&next, ix->cells[i]);
  }
  assert(next.used == ix->used);
  slot_index_done(ix);
  *ix = next;
  return true;
}

void slot_index_add(struct slot_index *ix, uint32_t hash, uint32_t slot) {
  assert(slot < UINT32_MAX);
  cell_put(ix, (uint64_t)hash << 32 | (slot + 1));
}

/* Closes the gap at `hole` (Knuth, TAOCP 6.4, algorithm R), so that no tombstones pile up. */
static void close_gap(struct slot_index *ix, size_t hole) {
  for (size_t at = (hole + 1) & ix->mask; ix->cells[at] != 0; at = (at + 1) & ix->mask) {
    size_t home = cell_hash(ix->cells[at]) & ix->mask;
    if (((at - home) & ix->mask) < ((at - hole) & ix->mask)) continue;
    ix->cells[hole] = ix->cells[at];
    hole = at;
  }
  ix->cells[hole] = 0;
}

bool slot_index_remove(struct slot_index *ix, uint32_t hash, uint32_t slot) {
  assert(slot < UINT32_MAX);
  if (!ix->cells) return false;
  uint64_t cell = (uint64_t)hash << 32 | (slot + 1);
  size_t at = hash & ix->mask;
  while (ix->cells[at] != 0 && ix->cells[at] != cell) at = (at + 1) & ix->mask;
  if (ix->cells[at] == 0) return false;
  close_gap(ix, at);
  ix->used--;
  return true;
}

bool slot_index_next(const struct slot_index *ix, uint32_t hash, size_t *cursor, uint32_t *out_slot) {
  assert(cursor && out_slot);
  if (!ix->cells) return false;
  for (;; (*cursor)++) {
    uint64_t cell = ix->cells[(hash + *cursor) & ix->mask];
    if (cell == 0) return false;
    if (cell_hash(cell) != hash) continue;
    (*cursor)++;
    *out_slot = (uint32_t)cell - 1;
    return true;
  }
}
