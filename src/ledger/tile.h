/* Tiles: their paths, and the growing right edge of a tiled tree. C2SP tlog-tiles. Pure. */
#ifndef DOMICILE_LEDGER_TILE_H
#define DOMICILE_LEDGER_TILE_H

#include "ledger/ledger.h"
#include "ledger/merkle.h"

enum {
  TILE_HEIGHT = 8,
  TILE_WIDTH = 256,
  TILE_BYTES = TILE_WIDTH * MERKLE_HASH,
  BUNDLE_UNIT = 2 + LEDGER_ENTRY_SIZE, /* one entry in a bundle: u16 length, then the bytes */
  TILE_LEVELS = 8,                     /* 256^8 leaves */
  TILE_ENTRIES = 64,                   /* "level" of entry bundles in struct tile_id; hash levels are 0..63 */
  TILE_PATH_MAX = 64                   /* "tile/entries/" + 7 groups + ".p/255" + NUL */
};

/* One tile or bundle. `width` is 1..256; 256 is a full one. */
struct tile_id {
  unsigned level;
  uint64_t n;
  unsigned width;
};

/* Writes the path below the ledger's folder: "tile/0/x001/x234/067.p/12". */
void tile_path(struct tile_id id, char out[TILE_PATH_MAX]);
/* Strict inverse: only paths that tile_path writes. */
bool tile_path_parse(struct slice path, struct tile_id *out);
/* Hashes that level `level` has in a tree of `size` leaves: floor(size / 256^level). */
uint64_t tile_hashes(unsigned level, uint64_t size);
/* Width of tile `n` of `level` (or of a bundle) in a tree of `size`; 0 when it has none. */
unsigned tile_width(unsigned level, uint64_t n, uint64_t size);

/* The right edge: the unfinished tile of every level. */
struct tile_edge {
  uint64_t size; /* leaves */
  struct merkle_hash level[TILE_LEVELS][TILE_WIDTH];
};
/* Told of each tile as it fills, lowest level first. A failure stops the push. */
typedef enum dom_code (*tile_full_fn)(void *arg, unsigned level, uint64_t n,
                                      const struct merkle_hash hashes[TILE_WIDTH], struct dom_err *err);

/* Adds a leaf hash; `fn` may be NULL. Returns: what `fn` returned; the edge is then unusable. */
enum dom_code tile_edge_push(struct tile_edge *edge, const struct merkle_hash *leaf, tile_full_fn fn,
                             void *arg, struct dom_err *err);
/* Hashes in the unfinished tile of `level`, 0..255. */
unsigned tile_edge_width(const struct tile_edge *edge, unsigned level);
/* The root at edge->size. */
void tile_edge_root(const struct tile_edge *edge, struct merkle_hash *out);

#endif
