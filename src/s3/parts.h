/* Parts: what is kept of each part of an upload beside its bytes, and of the parts of an object after.
 * Sizes are not kept here: each part is a body of its own, and the store knows how long that is.
 * Format: docs/formats/object-metadata.md. Threads: any; pure. */
#ifndef DOMICILE_S3_PARTS_H
#define DOMICILE_S3_PARTS_H

#include "auth/auth.h"
#include "base/err.h"

enum {
  S3_PART_SALT_SIZE = 16, /* makes the key of a part that is sealed by its sender's key */
  S3_PART_META_MAX = 64   /* of the stored form: version, flags, kind, 32 bytes of a digest, a salt */
};

/* What is kept of one part. */
struct s3_part_meta {
  bool has_checksum;
  struct auth_digest checksum; /* of its bytes */
  bool has_salt;
  uint8_t salt[S3_PART_SALT_SIZE];
};
/* Writes the stored form of one part of an upload; nothing, *out_len 0, when there is nothing to keep. */
void s3_part_meta_encode(const struct s3_part_meta *meta, uint8_t out[S3_PART_META_MAX], uint8_t *out_len);
/* Reads it back; empty bytes are a part of which nothing is kept.
 * Returns: DOM_OK; DOM_CORRUPT; DOM_INCOMPATIBLE a newer version, flag or kind. */
enum dom_code s3_part_meta_decode(struct slice bytes, struct s3_part_meta *out, struct dom_err *err);

/* One part of an object. */
struct s3_part_entry {
  uint32_t number;
  struct s3_part_meta meta;
};
/* Appends the stored form of an object's parts, numbers ascending. Checksums are kept when all have one, of
 * one kind. Appends nothing when the numbers are 1 … count and nothing else is to be kept: then all of it is
 * known without. Fails as buf does. */
void s3_parts_encode(const struct s3_part_entry *entries, uint32_t count, struct buf *out);

/* The stored form, to be asked for entries. */
struct s3_parts {
  struct slice entries; /* borrowed; empty: numbers alone */
  uint32_t count;
  bool has_checksum, has_salt;
  enum auth_checksum_kind kind;
  size_t entry_size;
};
/* `count`: parts of the object. Returns: DOM_OK; DOM_CORRUPT, also when it is of another count;
 * DOM_INCOMPATIBLE an unknown flag or kind. */
enum dom_code s3_parts_decode(struct slice bytes, uint32_t count, struct s3_parts *out, struct dom_err *err);
/* The entry at `index`, 0 … count - 1. */
void s3_parts_get(const struct s3_parts *parts, uint32_t index, struct s3_part_entry *out);
/* The index of the part with this number. Returns: false when there is none. */
bool s3_parts_find(const struct s3_parts *parts, uint32_t number, uint32_t *out_index);

/* The digest over all digests of the parts, in order: what S3 calls a composite checksum, to be shown with
 * "-N" behind it. All entries have one of `kind` (asserted). Returns: false without memory. */
bool s3_parts_composite(const struct s3_part_entry *entries, uint32_t count, enum auth_checksum_kind kind,
                        struct auth_digest *out);

#endif
