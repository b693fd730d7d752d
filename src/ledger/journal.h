/* The ledger's own append-only file: every entry with its cursor, in fixed slots. It is the
 * durable truth of the ledger; tiles and bundles can be written again from it. Byte by byte:
 * docs/formats/ledger.md. One writer; slots below a size that the writer published may be
 * read by any thread. */
#ifndef DOMICILE_LEDGER_JOURNAL_H
#define DOMICILE_LEDGER_JOURNAL_H

#include "ledger/ledger.h"

enum {
  JOURNAL_SLOT_SIZE = 112, /* the file's header takes one slot's place */
  JOURNAL_VERSION = 1
};

/* One entry as the journal keeps it. */
struct journal_slot {
  uint64_t cursor;
  uint32_t batch_left; /* entries of the same batch that follow; 0 = its last */
  uint8_t entry[LEDGER_ENTRY_SIZE];
};

/* Pure parts, for the writer and the verifier. */
/* The header of a new journal, 112 bytes. */
void journal_header_encode(const uint8_t log_id[LEDGER_LOG_ID_SIZE], uint8_t out[JOURNAL_SLOT_SIZE]);
/* Returns: DOM_CORRUPT (CRC, magic); DOM_INCOMPATIBLE (version, flags, another ledger's). */
enum dom_code journal_header_check(const uint8_t bytes[JOURNAL_SLOT_SIZE],
                                   const uint8_t log_id[LEDGER_LOG_ID_SIZE], struct dom_err *err);
/* The log id that a header names, unchecked. */
void journal_header_id(const uint8_t bytes[JOURNAL_SLOT_SIZE], uint8_t out_id[LEDGER_LOG_ID_SIZE]);
/* The slot's 112 bytes; the CRC covers the index too, so that a slot copied to another place
 * does not pass. */
void journal_slot_encode(uint64_t index, const struct journal_slot *slot, uint8_t out[JOURNAL_SLOT_SIZE]);
/* False when the CRC does not hold for this index or the entry does not decode. */
bool journal_slot_decode(uint64_t index, const uint8_t bytes[JOURNAL_SLOT_SIZE], struct journal_slot *out);

/* An open journal. Readers use `file` alone; `slots` is the writer's. */
struct journal {
  struct disk_file *file;
  uint64_t slots; /* whole slots in the file, as far as known to be durable and valid */
};

/* Opens or creates `path`. A new one (or one whose creation a crash cut short: shorter than
 * a header, or all zero and no longer than one) gets its header, synced; naming it durably
 * (dir_sync) is the caller's. Slots are counted, not checked.
 * Returns: as journal_header_check; DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code journal_open(struct disk *disk, const char *path, const uint8_t log_id[LEDGER_LOG_ID_SIZE],
                           struct journal *out, struct dom_err *err);
/* Closes the file; nothing is left to be written. */
void journal_done(struct journal *journal);

/* Reads `count` slots from `first` on. Threads: any, below the published size.
 * Returns: DOM_CORRUPT when a slot is short or bad; DOM_IO; DOM_NO_MEMORY. */
enum dom_code journal_read(struct journal *journal, uint64_t first, size_t count, struct journal_slot *out,
                           struct dom_err *err);

/* Recovery of the file's end. `first` is what the checkpoint signs: before it nothing is cut.
 * From `first` on: keeps whole batches, cuts the file after the last one (synced), and sets
 * journal->slots. Returns: DOM_IO, DOM_NO_MEMORY. */
enum dom_code journal_cut_torn(struct journal *journal, uint64_t first, struct dom_err *err);

/* Writes one batch after the last slot and syncs. Durable: at return.
 * Returns: DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY; what is in the file then is unknown. */
enum dom_code journal_append(struct journal *journal, const struct ledger_item *items, size_t count,
                             struct dom_err *err);

#endif
