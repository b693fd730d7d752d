/* Inside of the verification of a whole ledger. */
#ifndef DOMICILE_LEDGER_VERIFY_PASS_H
#define DOMICILE_LEDGER_VERIFY_PASS_H

#include "ledger/tile.h"
#include "ledger/verify_result.h"

enum { PASS_FILE_MAX = TILE_WIDTH * BUNDLE_UNIT /* the longest tile or bundle */ };

/* One verification under way. It goes through the bundles in order, growing the same edge as
 * the writer does, so that memory stays the same for any size. Every function below records what it finds
 * wrong in `result` and then returns false. */
struct pass {
  const struct domicile_verifier *verifier;
  const struct domicile_source *source;
  struct domicile_result *result;
  struct checkpoint head;
  struct checkpoint since;
  bool has_since;
  bool has_journal;
  bool said_unpublished, said_scratch;
  uint64_t types[LEDGER_TYPE_LAST + 1]; /* entries by type */
  uint64_t last_cursor;                 /* of the journal's slot before */
  uint32_t batch_left;
  struct tile_edge edge;
  uint8_t bundle[PASS_FILE_MAX + 1]; /* the bundle being taken, and a byte to see its end */
};

/* Reads a tile or bundle of exactly its width; a partial one that is gone is cut from the
 * full one, as tlog-tiles allows. `out` has room for PASS_FILE_MAX + 1 bytes. */
bool pass_read_tile(struct pass *p, struct tile_id id, uint8_t *out);

/* Goes through the source's listing (where it has one) after all else was verified.
 * No file is there that does not belong: tiles of this tree, their older partial versions
 * (which must be their beginnings), the journal, and scratch of a batch under way. */
bool pass_check_listing(struct pass *p);

/* The journal, where there is one: header first, then alongside each bundle (in p->bundle),
 * then what lies behind the published entries. */
bool pass_open_journal(struct pass *p);
bool pass_check_journal(struct pass *p, uint64_t first, unsigned count);
bool pass_check_journal_end(struct pass *p);
/* True when the journal holds a good slot for entry `index`: then a file beyond the checkpoint
 * may be of a batch that is being published. */
bool pass_journal_has(struct pass *p, uint64_t index);

#endif
