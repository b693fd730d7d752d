/* The ledger: a region's append-only Merkle log, in the published formats (RFC 6962 hashing,
 * C2SP tlog-tiles, tlog-checkpoint, signed-note, tlog-proof@v1), so that tools nobody here
 * wrote can check it. It is a view of the region's log: entries are taken up in LSN order,
 * each exactly once, and never before the state that they report.
 *
 * Words
 *   entry       96 bytes, public: what kind of event, where, when, and a commitment
 *   payload     the event's content; lives in the region's own deletable store
 *   opening     16 random bytes that, with the payload, open the entry's commitment
 *   cursor      the LSN of the log record an entry came from
 *   checkpoint  the signed head: origin, size, root
 *   tile        256 hashes of one level; a bundle is 256 entries; "partial" while not full
 *   receipt     a tlog-proof@v1 text for one entry, carrying entry, opening and payload
 *   log id      32 bytes that name a ledger and its key, used by peer references
 *
 * Formats byte by byte: docs/formats/ledger.md and docs/formats/receipt.md. */
#ifndef DOMICILE_LEDGER_LEDGER_H
#define DOMICILE_LEDGER_LEDGER_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/disk.h"

enum {
  LEDGER_HASH_SIZE = 32,    /* SHA-256 */
  LEDGER_ENTRY_SIZE = 96,   /* every entry, fixed: nothing can be read off a length */
  LEDGER_OPENING_SIZE = 16, /* 128 bits hide a payload of little entropy */
  LEDGER_TOKEN_SIZE = 32,   /* a subject's route token */
  LEDGER_LOG_ID_SIZE = 32,
  LEDGER_TEXT_MAX = 512,      /* a clause, a vkey, an operation: a line or two */
  LEDGER_PAYLOAD_MAX = 1024,  /* more than the longest payload of version 1 */
  LEDGER_ORIGIN_MAX = 200,    /* key name of a signed note; keeps every checkpoint under 1 KiB */
  LEDGER_BATCH_MAX = 8192,    /* entries of one append: 0.9 MiB of journal, one write */
  LEDGER_TIME_STEP_MS = 60000 /* entry times are rounded to this: one known move must not
                                 link the other entries of the same person */
};

/* ------------------------------------------------------------------ entries */

/* What happened. The numbers are the format's; they are never given out again. */
enum ledger_type {
  LEDGER_CHARTER = 1,              /* a charter came into force */
  LEDGER_REGION_KEY = 2,           /* a region's public key, own or a peer's */
  LEDGER_SUBJECT_HOMED = 3,        /* a subject got its home here (registered, or moved in) */
  LEDGER_MOVE_INTENT = 4,          /* a move was permitted and began */
  LEDGER_MOVE_PREPARED = 5,        /* the target holds a verified copy */
  LEDGER_MOVE_COMMITTED = 6,       /* the home changed */
  LEDGER_MOVE_ABORTED = 7,         /* the move was given up; the home did not change */
  LEDGER_KEY_DROPPED = 8,          /* erasure, stage 1: key slots overwritten */
  LEDGER_ERASED = 9,               /* erasure, stage 2: the KEK that wrapped them is destroyed */
  LEDGER_NAMES_PURGED = 10,        /* erasure, stage 3: no name is left in the index */
  LEDGER_KEY_ROTATED = 11,         /* a new KEK is in use */
  LEDGER_KEK_DESTROYED = 12,       /* an old KEK is gone */
  LEDGER_REFUSAL_SUMMARY = 13,     /* how often the charter refused, by clause */
  LEDGER_ABROAD_READ_SUMMARY = 14, /* how often data was read from abroad */
  LEDGER_OPERATOR_ACCESS = 15,     /* an operator's key was used, or a person exported */
  LEDGER_INVENTORY = 16,           /* roots and totals of the inventory */
  LEDGER_SCRUB_FINDING = 17,       /* stored bytes were found bad */
  LEDGER_REGISTRAR_CLOSED = 18,    /* this registrar gives out no more registrations */
  LEDGER_ERASURE_ORDERED = 19,     /* a person's right: erased for good; the three stages follow */
  LEDGER_ERASURE_OVERDUE = 20,     /* copies abroad were not erased within the charter's time */
  LEDGER_REPAIR = 21,              /* a region came back from a backup, or an operator repaired it */
  LEDGER_TYPE_LAST = LEDGER_REPAIR
};

enum ledger_flags {
  LEDGER_HAS_PEER = 1 /* peer_log_id and peer_index name an entry of another ledger */
};

/* An entry, decoded. Without LEDGER_HAS_PEER both peer fields are zero. */
struct ledger_entry {
  enum ledger_type type;
  uint8_t flags;
  uint16_t region;  /* number of the region that reports, as in the charter */
  uint64_t epoch;   /* of the subject; 0 where no subject is meant */
  uint64_t time_ms; /* wall clock, rounded by ledger_time_round */
  uint8_t peer_log_id[LEDGER_LOG_ID_SIZE];
  uint64_t peer_index;
  uint8_t commit[LEDGER_HASH_SIZE];
};

/* The content behind the commitment, one struct for every type; fields that a type does not
 * use are zero. `digest` is the manifest (moves), the SHA-256 of the charter file (charter),
 * the public key (region key) or the KEK's id (key rotated, KEK destroyed). */
struct ledger_payload {
  enum ledger_type type; /* the same as the entry's */
  uint8_t token[LEDGER_TOKEN_SIZE];
  uint16_t from_region, to_region; /* charter numbers; 0 = none */
  uint64_t from_epoch, to_epoch;
  uint64_t charter; /* version in force */
  uint64_t time_ms; /* the exact time: seen only by who holds the opening */
  uint8_t digest[LEDGER_HASH_SIZE];
  uint64_t objects, bytes; /* moved or erased; refusals: count of requests in `objects` */
  uint64_t until_ms;       /* end of the period that a summary covers, or 0 */
  uint16_t text_len;
  char text[LEDGER_TEXT_MAX]; /* a clause, a vkey, an operation: UTF-8, one line, no personal data */
};

/* Stable lower-case words for a type ("move committed"); "unknown" for no type. */
const char *ledger_type_name(enum ledger_type type);

/* Rounds a wall-clock time down to LEDGER_TIME_STEP_MS, for ledger_entry.time_ms. */
uint64_t ledger_time_round(uint64_t wall_ms);

/* Writes the 96 bytes. Asserts a known type, known flags, and zero peer fields without
 * LEDGER_HAS_PEER. */
void ledger_entry_encode(const struct ledger_entry *entry, uint8_t out[LEDGER_ENTRY_SIZE]);

/* Strict: exactly 96 bytes, magic, known type and flags, peer fields zero when not flagged.
 * Returns: DOM_INVALID with what is wrong. */
enum dom_code ledger_entry_decode(struct slice bytes, struct ledger_entry *out_entry, struct dom_err *err);

/* Appends the payload's bytes to `out`. Asserts a known type and text_len in bounds. */
void ledger_payload_encode(const struct ledger_payload *payload, struct buf *out);

/* Strict: known version and type, valid one-line UTF-8 text, nothing left over.
 * Returns: DOM_INVALID with what is wrong. */
enum dom_code ledger_payload_decode(struct slice bytes, struct ledger_payload *out_payload,
                                    struct dom_err *err);

/* commit = HMAC-SHA256(Kc, opening ‖ payload), Kc of draft-ietf-keytrans-protocol. */
void ledger_commit(const uint8_t opening[LEDGER_OPENING_SIZE], struct slice payload,
                   uint8_t out_commit[LEDGER_HASH_SIZE]);

/* Makes an entry ready for the log record: draws an opening, encodes the payload, fills
 * entry->commit and writes the entry's bytes. Keep opening and payload in the region's own
 * deletable store: without them the entry says nothing more.
 * Returns: DOM_NO_MEMORY. */
enum dom_code ledger_entry_seal(struct ledger_entry *entry, const struct ledger_payload *payload,
                                uint8_t out_opening[LEDGER_OPENING_SIZE], struct buf *out_payload,
                                uint8_t out_bytes[LEDGER_ENTRY_SIZE]);

/* DOM_OK when opening and payload are those the entry commits to, DOM_CORRUPT when not. */
enum dom_code ledger_entry_open(const struct ledger_entry *entry, const uint8_t opening[LEDGER_OPENING_SIZE],
                                struct slice payload, struct ledger_payload *out_payload,
                                struct dom_err *err);

/* One line of plain words: what happened, when, where, under which charter version. With
 * `payload` NULL it says what the public entry alone tells. */
void ledger_entry_describe(const struct ledger_entry *entry, const struct ledger_payload *payload,
                           struct buf *out);

/* --------------------------------------------------------------- keys, names */

/* The verifier key of a signed note: "<origin>+<hex key id>+<base64(01 ‖ public key)>"
 * (C2SP signed-note). Appends to `out`. */
void ledger_vkey_format(const char *origin, const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out);

/* Strict parse of a vkey; `out_origin` gets a NUL-terminated copy.
 * Returns: DOM_INVALID (form, key id that does not belong to the key, other algorithms). */
enum dom_code ledger_vkey_parse(struct slice text, char out_origin[LEDGER_ORIGIN_MAX + 1],
                                uint8_t out_public_key[ED25519_KEY_SIZE], struct dom_err *err);

/* log id = SHA-256(origin ‖ 0A ‖ 01 ‖ public key): the key id of signed-note, not cut. */
void ledger_log_id(const char *origin, const uint8_t public_key[ED25519_KEY_SIZE],
                   uint8_t out_id[LEDGER_LOG_ID_SIZE]);

/* ---------------------------------------------------------------- the ledger */

struct ledger;

/* One entry to append: its bytes and the LSN of the log record that carries it. Several
 * entries may share an LSN; they must then be in one batch. */
struct ledger_item {
  uint64_t cursor;
  uint8_t entry[LEDGER_ENTRY_SIZE];
};

/* Opens the ledger in `folder` of `disk`, creating it (with a signed checkpoint of size 0)
 * when the folder holds none, and recovers what a crash left: a batch that is whole in the
 * journal is published, a torn one is dropped (its sender never got an answer).
 * @origin  "<domain>/<deployment>/<region>", no blanks, no plus; @seed  Ed25519 seed, copied.
 * The disk must outlive the ledger.
 * Durable: the recovered state, at return.
 * Returns: DOM_CORRUPT when the checkpoint is ahead of the durable entries (a restored copy:
 * the caller goes to QUARANTINE) or the entries do not give its root; DOM_INCOMPATIBLE when
 * another origin or key made the folder; DOM_INVALID (origin); DOM_IO, DOM_NO_SPACE,
 * DOM_NO_MEMORY. */
enum dom_code ledger_open(struct disk *disk, const char *folder, const char *origin,
                          const uint8_t seed[ED25519_KEY_SIZE], struct ledger **out_ledger,
                          struct dom_err *err);
void ledger_close(struct ledger *ledger); /* NULL is allowed */

/* Takes 1..LEDGER_BATCH_MAX entries up, all or none: they have their indices for good, and readers see them
 * with the next ledger_publish, or the next start. Cursors must not fall, and the first must lie above
 * ledger_taken() (so 0 is no cursor): a batch sent twice is refused and each entry is taken up exactly
 * once. Publishes what was taken up before where both are more than LEDGER_BATCH_MAX.
 * Durable: entries and cursor, at return; but keep their source until they are published, for where the disk
 * damages them a start cuts them off and they are to be taken up once more.
 * Threads: one writer; readers go on meanwhile.
 * Returns: DOM_INVALID (an entry does not decode, a cursor falls; nothing is written);
 * DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY: the ledger then refuses every later append with
 * DOM_READ_ONLY until it is opened again, and keeps serving what was published. */
enum dom_code ledger_take_up(struct ledger *ledger, const struct ledger_item *items, size_t count,
                             struct dom_err *err);
/* Shows readers all that was taken up: bundles and tiles, then the signed checkpoint. Costs some ten file
 * operations however many entries there are.
 * Durable: tiles and checkpoint, at return. Threads: the writer. Returns: as ledger_take_up, without
 * DOM_INVALID. */
enum dom_code ledger_publish(struct ledger *ledger, struct dom_err *err);
/* Both at once. */
enum dom_code ledger_append(struct ledger *ledger, const struct ledger_item *items, size_t count,
                            struct dom_err *err);

/* LSN of the last entry taken up, published or not; 0 when empty. Threads: any. */
uint64_t ledger_taken(struct ledger *ledger);
/* The index of the first entry that came from LSN `cursor`, published or not. Threads: any.
 * Returns: DOM_NOT_FOUND none did, or not yet; DOM_CORRUPT; DOM_IO. */
enum dom_code ledger_index(struct ledger *ledger, uint64_t cursor, uint64_t *out_index, struct dom_err *err);

/* Published state. Threads: any. All of it is durable, none is ahead of the checkpoint. */
uint64_t ledger_size(struct ledger *ledger);   /* entries */
uint64_t ledger_cursor(struct ledger *ledger); /* LSN of the last entry; 0 when empty */
bool ledger_failed(struct ledger *ledger);     /* an append failed: read-only until reopened */
const char *ledger_origin(const struct ledger *ledger);
void ledger_own_vkey(const struct ledger *ledger, struct buf *out);
void ledger_own_log_id(const struct ledger *ledger, uint8_t out_id[LEDGER_LOG_ID_SIZE]);
/* Appends the signed checkpoint's text. */
void ledger_checkpoint(struct ledger *ledger, struct buf *out);

/* The entry at `index` and the LSN it came from. Either output may be NULL. Threads: any.
 * Returns: DOM_NOT_FOUND past the end; DOM_CORRUPT; DOM_IO. */
enum dom_code ledger_entry_at(struct ledger *ledger, uint64_t index, uint8_t out_entry[LEDGER_ENTRY_SIZE],
                              uint64_t *out_cursor, struct dom_err *err);

/* The entries that came from LSN `cursor`: first index and how many. Threads: any.
 * Returns: DOM_NOT_FOUND when none did (or not yet); DOM_CORRUPT; DOM_IO. */
enum dom_code ledger_find_cursor(struct ledger *ledger, uint64_t cursor, uint64_t *out_first,
                                 uint64_t *out_count, struct dom_err *err);

/* Appends the hashes (32 bytes each, from the leaf's sibling up) of the inclusion proof of
 * `index` in the tree of `size` entries (RFC 9162 §2.1.3). Threads: any.
 * Returns: DOM_NOT_FOUND unless index < size <= ledger_size(); DOM_CORRUPT; DOM_IO. */
enum dom_code ledger_prove_inclusion(struct ledger *ledger, uint64_t index, uint64_t size,
                                     struct buf *out_hashes, struct dom_err *err);

/* Appends the hashes of the consistency proof between two sizes (RFC 9162 §2.1.4); none when
 * `from` is 0 or equals `to`. Threads: any.
 * Returns: DOM_NOT_FOUND unless from <= to <= ledger_size(); DOM_CORRUPT; DOM_IO. */
enum dom_code ledger_prove_consistency(struct ledger *ledger, uint64_t from, uint64_t to,
                                       struct buf *out_hashes, struct dom_err *err);

/* A receipt (tlog-proof@v1 text) for the entry at `index` under the present checkpoint.
 * Refuses an opening or payload that is not the entry's. Threads: any.
 * Returns: DOM_NOT_FOUND past the end; DOM_CORRUPT (opening, stored bytes); DOM_IO. */
enum dom_code ledger_receipt(struct ledger *ledger, uint64_t index,
                             const uint8_t opening[LEDGER_OPENING_SIZE], struct slice payload,
                             struct buf *out_text, struct dom_err *err);

/* A public resource by its tlog-tiles path: "checkpoint", "tile/<L>/<N>[.p/<W>]",
 * "tile/entries/<N>[.p/<W>]"; every other path is DOM_NOT_FOUND. Appends the bytes;
 * *out_type is a static Content-Type; *out_immutable tells what caches may keep for ever.
 * Threads: any. Returns: DOM_NOT_FOUND; DOM_IO. */
enum dom_code ledger_resource(struct ledger *ledger, const char *path, struct buf *out, const char **out_type,
                              bool *out_immutable, struct dom_err *err);

#endif
