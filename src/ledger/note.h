/* Checkpoints as signed notes, read strictly: whatever is not exactly as published is refused,
 * so that no two texts mean the same. C2SP signed-note, tlog-checkpoint. Pure. */
#ifndef DOMICILE_LEDGER_NOTE_H
#define DOMICILE_LEDGER_NOTE_H

#include "ledger/ledger.h"
#include "ledger/merkle.h"

enum {
  NOTE_BYTES_MAX = 16384,  /* a checkpoint with its signatures; ours is under 1 KiB */
  NOTE_SIGNATURES_MAX = 16 /* signed-note asks for at least 16 */
};

/* What a checkpoint says; who says it is the signature's matter. */
struct checkpoint {
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint64_t size;
  struct merkle_hash root;
};

/* A key that is trusted to sign for `origin`, and for no other: the same key under another
 * name is another signer. */
struct note_key {
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint8_t public_key[ED25519_KEY_SIZE];
};

/* The same name rule everywhere: 1..LEDGER_ORIGIN_MAX bytes of visible UTF-8 without spaces
 * (Unicode's too) and plus. */
bool note_name_valid(struct slice name);

/* Standard base64 (RFC 4648 §4), padded, without stray bits: each content has one text.
 * False otherwise, or when it needs more than `cap` bytes. Allocates nothing, so that a lack
 * of memory never looks like damage. */
bool note_base64(struct slice text, uint8_t *out, size_t cap, size_t *out_len);

/* The same, of exactly `len` bytes. */
bool note_base64_exact(struct slice text, uint8_t *out, size_t len);

/* The next line of *text without its newline; advances. False when no newline is left. */
bool note_line(struct slice *text, struct slice *out_line);

/* A decimal without sign, blanks and leading zeroes: each number has one text.
 * False otherwise, or past 64 bits. */
bool note_decimal(struct slice text, uint64_t *out_value);

/* Appends the signed checkpoint; `seed`'s key signs under the name `origin`. Asserts a valid
 * origin. Without memory `out` is failed. Deterministic: the same head, the same bytes. */
void checkpoint_sign(const struct checkpoint *checkpoint, const uint8_t seed[ED25519_KEY_SIZE],
                     const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out);

/* Reads a note of 1..NOTE_SIGNATURES_MAX well-formed signature lines without checking them.
 * @out_body  the signed text, borrowed from `note`; @out_signatures  the rest, for
 * checkpoint_verify. Returns: DOM_INVALID with what is wrong; DOM_TOO_LARGE. */
enum dom_code checkpoint_parse(struct slice note, struct checkpoint *out, struct slice *out_body,
                               struct slice *out_signatures, struct dom_err *err);

/* True when a signature by `key` is there and verifies, and key name and origin agree. Lines
 * by others are passed over; a second line by `key` that is wrong spoils it. */
bool checkpoint_verify(const struct checkpoint *checkpoint, struct slice body, struct slice signatures,
                       const struct note_key *key);

#endif
