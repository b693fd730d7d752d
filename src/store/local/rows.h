/* Rows: keys and values of the index. One column family; the first byte of a key names its table.
 *
 * An object's name is escaped (00 → 00 FF) and ended by 00 01, so that bytewise order of rows is
 * S3's order of names. Epochs and orders stand inverted and big-endian: newest first.
 * A cell holds at most one row: of a key's null version, which is `O` up to the epoch, whatever its order;
 * of a version with an id of its own, which is its whole row key; of an upload, a part, a state. Guards and
 * tombstones name cells.
 * Format: docs/formats/index.md. */
#ifndef DOMICILE_STORE_LOCAL_ROWS_H
#define DOMICILE_STORE_LOCAL_ROWS_H

#include "base/codec.h"
#include "store/local/log.h"
#include "store/store.h"

enum row_table {                     /* on disk; never reuse a letter */
                 ROW_OBJECT = 'O',   /* bucket, name, epoch, order → struct row_object */
                 ROW_BODIES = 'B',   /* same suffix → ids of an object's bodies */
                 ROW_UPLOAD = 'U',   /* bucket, name, epoch, upload id → struct row_upload */
                 ROW_PART = 'P',     /* …, part number → struct row_part */
                 ROW_TOMB = 'D',     /* cell key → row_state of the delete, token */
                 ROW_STATE = 'R',    /* store_table, key → row_state, value */
                 ROW_SUBJECT = 'S',  /* token → row_state, subject */
                 ROW_COPYING = 'C',  /* token → epoch; of COPYING and FENCED subjects */
                 ROW_PRESENCE = 'N', /* token, epoch, bucket, prefix → nothing */
                 ROW_JOURNAL = 'J',  /* token, LSN, position → what changed */
                 ROW_ENTRY = 'E',    /* LSN, position → locator, token */
                 ROW_ENTRY_OF = 'T', /* token, inverted LSN, position → nothing */
                 ROW_SHRED = 'K',    /* token, epoch → first LSN, locator */
                 ROW_INTENT = 'I',   /* body id → token, epoch, LSN, locator */
                 ROW_REMOVAL = 'X',  /* body id → token, epoch, LSN of the removal */
                 ROW_BODY = 'F',     /* body id → token, epoch, size, owner's first LSN */
                 ROW_SEGMENT = 'G',  /* segment → generation, live bytes */
                 ROW_META = 'M'      /* a letter → a fact of the index */
};
/* Applied LSN; birth; and, while it stands, that body files without a row may lie about. */
enum { ROW_META_APPLIED = 'a', ROW_META_BIRTH = 'b', ROW_META_ORPHANS = 'o' };

enum { ROW_ORDER_SIZE = 16, ROW_EPOCH_SIZE = 8 };

/* ---- keys; all append ---- */
void row_name_escape(struct buf *out, struct slice name, bool end);
/* 'table' bucket escaped-name inverted-epoch: the cell of an object, the stem of uploads and parts. */
void row_cell(struct buf *out, enum row_table table, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
              struct slice name, uint64_t epoch);
void row_order_put(struct buf *out, struct store_order order);
/* The row of one version: its cell, then its order. */
void row_version_cell(struct buf *out, const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice name,
                      uint64_t epoch, struct store_order order);
void row_upload_cell(struct buf *out, enum row_table table, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
                     struct slice name, uint64_t epoch, const uint8_t upload[STORE_UPLOAD_ID_SIZE]);
void row_part_cell(struct buf *out, const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice name,
                   uint64_t epoch, const uint8_t upload[STORE_UPLOAD_ID_SIZE], uint32_t part);
void row_state_cell(struct buf *out, enum store_table table, struct slice key);
void row_token_key(struct buf *out, enum row_table table, const uint8_t token[TOKEN_SIZE]);
void row_token_epoch_key(struct buf *out, enum row_table table, const uint8_t token[TOKEN_SIZE],
                         uint64_t epoch);
void row_presence_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                      const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice prefix);
void row_journal_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t lsn, uint32_t position);
void row_entry_key(struct buf *out, uint64_t lsn, uint32_t position);
void row_entry_of_key(struct buf *out, const uint8_t token[TOKEN_SIZE], uint64_t lsn, uint32_t position);
void row_id_key(struct buf *out, enum row_table table, const uint8_t id[STORE_BODY_ID_SIZE]);
/* Turns a prefix into the least key greater than all that start with it; false when there is none. */
bool row_successor(struct buf *key);

/* A parsed key of OBJECT, BODIES, UPLOAD or PART. */
struct row_name {
  const uint8_t *bucket; /* borrowed from the key */
  struct slice name;     /* unescaped, in the buf given */
  size_t name_end;       /* length of the row key up to the end of the escaped name */
  uint64_t epoch;
  struct slice rest; /* order, or upload id (and part) */
};
bool row_name_parse(struct slice key, struct buf *name, struct row_name *out);
struct store_order row_order_load(struct slice rest);

/* ---- values ---- */
struct row_object {
  uint8_t token[TOKEN_SIZE];
  struct log_locator at;
  uint64_t first_lsn, size, mtime_ms;
  uint8_t md5[MD5_SIZE];
  uint32_t etag_parts, head, body_count;
  uint16_t prefix_len;
  bool versioned, marker;
};
void row_object_put(struct buf *out, const struct row_object *o);
bool row_object_parse(struct slice value, struct row_object *out);

struct row_upload {
  uint8_t token[TOKEN_SIZE];
  struct log_locator at;
  uint64_t first_lsn, mtime_ms;
  struct store_order order;
  uint16_t prefix_len;
};
void row_upload_put(struct buf *out, const struct row_upload *u);
bool row_upload_parse(struct slice value, struct row_upload *out);

struct row_part {
  uint8_t token[TOKEN_SIZE];
  struct log_locator at;
  uint64_t first_lsn, mtime_ms;
  struct store_order order;
  uint8_t md5[MD5_SIZE];
  struct store_body_ref body;
  uint8_t meta[STORE_PART_META_MAX];
  uint8_t meta_len;
};
void row_part_put(struct buf *out, const struct row_part *p);
bool row_part_parse(struct slice value, struct row_part *out);

/* Values of STATE, SUBJECT, TOMB, SHRED and ENTRY begin with this; the rest is returned. */
struct row_state {
  struct log_locator at;
  uint64_t first_lsn;
};
void row_state_put(struct buf *out, const struct row_state *s);
bool row_state_parse(struct slice value, struct row_state *out, struct slice *out_rest);

struct row_body {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch, size, owner_lsn;
};
void row_body_put(struct buf *out, const struct row_body *b);
bool row_body_parse(struct slice value, struct row_body *out);

/* What changed, in a journal row. */
struct row_journal {
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  enum store_item_kind item;
  uint16_t prefix_len;
  struct slice key;
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
  uint32_t part;
  bool versioned; /* OBJECT: a version with an id of its own, of this order; else the null version */
  struct store_order order;
};
void row_journal_put(struct buf *out, const struct row_journal *j);
bool row_journal_parse(struct slice value, struct row_journal *out);

#endif
