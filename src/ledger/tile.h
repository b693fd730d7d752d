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

/* One tile or bundle: the n-th of its level. `width` is 1..256; 256 is a full one. Bundles are
 * addressed like level 0 and have TILE_ENTRIES for a level. */
struct tile_id {
  unsigned level;
  uint64_t n;
  unsigned width;
};

/* Writes the path below the ledger's folder, "tile/0/x001/x234/067.p/12" (C2SP tlog-tiles,
 * "Merkle Tree"). Asserts level and width. */
void tile_path(struct tile_id id, char out[TILE_PATH_MAX]);
/* Strict inverse: true only for paths that tile_path writes. Paths come from HTTP requests and
 * folder listings, so nothing is forgiven. */
bool tile_path_parse(struct slice path, struct tile_id *out);
/* Hashes that level `level` has in a tree of `size` leaves: floor(size / 256^level); 0 for
 * levels above those of 64-bit sizes. */
uint64_t tile_hashes(unsigned level, uint64_t size);
/* Width of tile `n` of `level` (or of a bundle) in a tree of `size` leaves: 256 for a full one,
 * 0 when the tree has no such tile. Any arguments are fine. */
unsigned tile_width(unsigned level, uint64_t n, uint64_t size);

/* The right edge: the unfinished tile of every level. That is all a writer needs to go on and
 * to know its root. Begins as zero; hashes beyond each level's width mean nothing. */
struct tile_edge {
  uint64_t size; /* leaves */
  struct merkle_hash level[TILE_LEVELS][TILE_WIDTH];
};
/* Told of each tile as it fills, lowest level first; `hashes` lives for the call. A failure
 * stops the push. */
typedef enum dom_code (*tile_full_fn)(void *arg, unsigned level, uint64_t n,
                                      const struct merkle_hash hashes[TILE_WIDTH], struct dom_err *err);

/* Adds a leaf hash and whatever tiles it completes.
 * @fn  may be NULL. Returns: DOM_OK, or what `fn` returned; the edge is then unusable. */
enum dom_code tile_edge_push(struct tile_edge *edge, const struct merkle_hash *leaf, tile_full_fn fn,
                             void *arg, struct dom_err *err);
/* Hashes in the unfinished tile of `level`, 0..255. */
unsigned tile_edge_width(const struct tile_edge *edge, unsigned level);
/* The root at edge->size; the empty root when it is 0. At most 255 hashes a level. */
void tile_edge_root(const struct tile_edge *edge, struct merkle_hash *out);

#endif
