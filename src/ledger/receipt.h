/* Receipts: tlog-proof@v1 texts whose extra data carries the entry and what opens it.
 * C2SP tlog-proof; byte by byte in docs/formats/receipt.md. Pure. */
#ifndef DOMICILE_LEDGER_RECEIPT_H
#define DOMICILE_LEDGER_RECEIPT_H

#include "ledger/ledger.h"
#include "ledger/merkle.h"

enum { RECEIPT_BYTES_MAX = 32768 /* proof and payload are small; a checkpoint is at most 16 KiB */ };

struct receipt {
  uint64_t index;
  uint8_t entry[LEDGER_ENTRY_SIZE];
  uint8_t opening[LEDGER_OPENING_SIZE];
  struct slice payload;    /* borrowed */
  struct slice checkpoint; /* borrowed: the signed note, verbatim */
  struct merkle_proof proof;
};

/* Appends the text. Asserts the payload's length. */
void receipt_encode(const struct receipt *receipt, struct buf *out);

/* Strict: only texts that receipt_encode could have written, and their checkpoint in any
 * bytes. `payload_store` gets the payload's bytes; the receipt borrows from it and `text`.
 * Nothing is verified here. Returns: DOM_INVALID with what is wrong; DOM_TOO_LARGE;
 * DOM_NO_MEMORY. */
enum dom_code receipt_parse(struct slice text, struct receipt *out, struct buf *payload_store,
                            struct dom_err *err);

#endif
