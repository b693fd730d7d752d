/* Record: one change of state, as it stands in the log.
 *
 * In clear stand only: kind, whose key seals it (token, epoch), bucket id, ids and sizes of
 * bodies, order and first LSN. Names, metadata, ETags, hashes and an inline body are sealed under
 * a key of the record's own: HKDF(data key of (token, epoch), "record" ‖ random id). State of the
 * region is sealed under the system pseudo-subject (vault_system_key).
 *
 *   first LSN   the LSN at which this change first stood in this region's log. A compaction copy
 *               gets a new place and LSN but keeps this. Between two changes of the same cell the
 *               greater first LSN wins, whatever the order in which they are met.
 *   cell        what a change is about: an object, an upload, a part, a row, …
 *
 * Format: docs/formats/log.md "Records". */
#ifndef DOMICILE_STORE_LOCAL_RECORD_H
#define DOMICILE_STORE_LOCAL_RECORD_H

#include "base/codec.h"
#include "store/local/frame.h"
#include "store/local/log.h"
#include "store/store.h"

enum change_kind {                    /* the record's type on disk; never reuse a number */
                   CHANGE_PUT = 1,    /* a version of an object, or a delete marker */
                   CHANGE_DELETE = 2, /* of a version, of an upload with its parts, or of a part */
                   CHANGE_UPLOAD = 3,
                   CHANGE_PART = 4,
                   CHANGE_ROW = 5,
                   CHANGE_ROW_DELETE = 6,
                   CHANGE_SUBJECT = 7,
                   CHANGE_ENTRY = 8,      /* a ledger entry of the commit it stands in */
                   CHANGE_SHRED = 9,      /* the key of (token, epoch) was dropped */
                   CHANGE_INTENT = 10,    /* a body file is being written */
                   CHANGE_INTENT_END = 11 /* … and is gone without ever being named */
};

/* A change in memory. Which fields matter depends on the kind; slices are borrowed. */
struct change {
  enum change_kind kind;
  /* In clear. token and epoch say whose key seals it: the subject's for PUT, DELETE, UPLOAD,
   * PART; the system's for all others. */
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  uint64_t first_lsn;       /* 0: the record's own LSN (apply resolves it) */
  struct store_order order; /* PUT, UPLOAD, PART; lsn 0: first_lsn. DELETE: of the version, when versioned */
  bool versioned;           /* PUT, DELETE: a version with an id of its own; else the null version */
  bool marker;              /* PUT: a delete marker; it has no body */
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  uint64_t size; /* PUT: of the object; PART: of its body */
  bool inlined;  /* PUT: the body's frames stand in the record */
  const struct store_body_ref *bodies;
  uint32_t body_count;
  /* Sealed. */
  enum store_item_kind item; /* DELETE */
  struct slice key;          /* object's key; ROW: its key */
  uint32_t prefix_len;       /* of the place's prefix within key */
  uint64_t mtime_ms;
  uint8_t md5[MD5_SIZE];
  uint32_t etag_parts;
  uint8_t sha256[SHA256_SIZE];
  struct slice meta, classes;
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
  uint32_t part;
  enum store_table table;
  struct slice value;                  /* ROW; ENTRY: the leaf bytes */
  struct slice payload;                /* ENTRY */
  uint8_t opening[16];                 /* ENTRY */
  uint32_t position;                   /* ENTRY */
  struct store_subject subject;        /* SUBJECT; ENTRY, SHRED, INTENT: token; SHRED, INTENT: epoch */
  uint8_t body_id[STORE_BODY_ID_SIZE]; /* INTENT, INTENT_END */
};

enum { RECORD_VERSION = 1, RECORD_FIXED = 132, RECORD_BODY_REF = STORE_BODY_ID_SIZE + 8 };

/* Appends the record's payload to *out, sealed under a fresh random id; inline_body is used when
 * c->inlined. *out_head: bytes before the inline frames. DOM_NOT_FOUND when the vault has no key
 * of (token, epoch). Durable: nothing. */
enum dom_code record_encode(struct vault *vault, const struct change *c, struct slice inline_body,
                            struct buf *out, uint32_t *out_head, struct dom_err *err);

/* Makes the order of a change explicit that stands, or first stood, at this LSN. */
void record_order_resolve(struct change *c, uint64_t lsn);

/* What a decoded change borrows from. Zero it before first use; it may be reused. */
struct record_plain {
  struct buf text;
  struct store_body_ref *bodies;
  uint32_t bodies_cap;
  bool keep_key; /* set by who reads the body at once: record_decode leaves the record's key here … */
  bool has_key;  /* … for one record_body_read_kept, which saves asking the vault again */
  uint8_t key[KEY_SIZE];
};
void record_plain_done(struct record_plain *p);
#define RECORD_PLAIN_AUTO __attribute__((cleanup(record_plain_done))) struct record_plain

/* Reads the fields in clear: enough to know the length of the head and whose key is needed.
 * `payload` must hold at least RECORD_FIXED bytes; *out_head as above. DOM_CORRUPT. */
enum dom_code record_peek(enum change_kind kind, struct slice payload, struct change *out, uint32_t *out_head,
                          struct dom_err *err);
/* Opens a payload (at least its head). Slices of *out live in `plain` and `payload`.
 * Returns: DOM_NOT_FOUND the key is gone (the record is dead); DOM_CORRUPT. */
enum dom_code record_decode(struct vault *vault, enum change_kind kind, struct slice payload,
                            struct record_plain *plain, struct change *out, struct dom_err *err);
/* Reads the inline body, as frames_read; `from` is relative to the first frame. */
enum dom_code record_body_read(struct vault *vault, struct slice head, struct frame_source from,
                               uint64_t offset, uint8_t *out, size_t len, struct dom_err *err);
/* The same, for the first read after a record_decode that left the key, which is gone after it: a body is
 * then opened with the key that opened its record, and with none later. */
enum dom_code record_body_read_kept(struct record_plain *plain, struct slice head, struct frame_source from,
                                    uint64_t offset, uint8_t *out, size_t len, struct dom_err *err);
/* The payload of a compaction copy: the same bytes with first LSN and order made explicit.
 * Asserts they are not zero. */
enum dom_code record_copy(struct slice payload, uint64_t first_lsn, uint64_t order_lsn, struct buf *out,
                          struct dom_err *err);

/* The subject codec, shared with the index. */
void subject_encode(const struct store_subject *s, struct buf *out);
bool subject_decode(struct reader *r, struct store_subject *out);

#endif
