/* Inside of a ledger, shared by the files that write, recover and read it. */
#ifndef DOMICILE_LEDGER_WRITER_H
#define DOMICILE_LEDGER_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "ledger/files.h"
#include "ledger/journal.h"
#include "ledger/ledger.h"
#include "ledger/note.h"
#include "ledger/tile.h"

struct ledger {
  struct disk *disk;
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint8_t *seed; /* secret memory */
  uint8_t public_key[ED25519_KEY_SIZE];
  uint8_t log_id[LEDGER_LOG_ID_SIZE];

  /* Writer's own. edge.size == entries taken up, at most journal.slots. */
  struct journal journal;
  struct files files;
  struct tile_edge edge;
  uint8_t bundle[TILE_WIDTH * BUNDLE_UNIT]; /* bytes of the unfinished bundle */
  atomic_bool failed;

  pthread_mutex_t lock;
  /* Taken up and not yet published: the journal's last. Changed by the writer, under `lock`. */
  struct journal_slot *pending; /* LEDGER_BATCH_MAX */
  size_t pending_count;
  uint64_t pending_first; /* the first one's index */

  /* What readers see; under `lock`. */
  uint64_t size;
  uint64_t cursor;
  struct buf checkpoint;
};

/* The whole of an append after its journal write.
 * Takes `count` entries after edge.size up into bundles and tiles, writes those files, and
 * publishes a checkpoint for the new size. Entries must be durable in the journal.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code writer_publish(struct ledger *ledger, const struct journal_slot *slots, size_t count,
                             struct dom_err *err);
/* Signs edge.size and its root, replaces the checkpoint file, then shows it to readers. Asserts
 * that the journal holds all of it: nothing volatile is ever signed.
 * @cursor  LSN of the last entry. Durable: at return, before any reader sees it.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code writer_sign(struct ledger *ledger, uint64_t cursor, struct dom_err *err);
/* Takes entries into the edge and the unfinished bundle; stages full tiles and bundles only
 * with `keep` (without, the root alone is wanted). Groups that fill up are committed.
 * Returns: DOM_IO, DOM_NO_SPACE. */
enum dom_code writer_take(struct ledger *ledger, const struct journal_slot *slots, size_t count, bool keep,
                          struct dom_err *err);
/* Stages the unfinished tiles and bundle that differ from those of `old_size`, once for the
 * whole batch, and commits. Durable: all tiles and bundles, at return.
 * Returns: DOM_IO, DOM_NO_SPACE. */
enum dom_code writer_keep_partials(struct ledger *ledger, uint64_t old_size, struct dom_err *err);

/* Brings edge, bundle, cursor and files in line with checkpoint and journal; called once, by
 * ledger_open, before anybody else has the ledger. Returns: as ledger_open. */
enum dom_code recover(struct ledger *ledger, struct dom_err *err);

/* Reads a tile or bundle of a tree of at least that width; one that was never published at
 * this width, or was removed, is cut from a wider one. Appends. Threads: any. Returns: DOM_NOT_FOUND,
 * DOM_CORRUPT (length), DOM_IO, DOM_NO_MEMORY. */
enum dom_code reader_tile(struct ledger *ledger, struct tile_id id, struct buf *out, struct dom_err *err);

#endif
