/* Documents that clients send: read by expat, without DTD or entities, bounded in size, depth and
 * members (S3_XML_… of limits.h). Element names are taken without their namespace prefix, unknown
 * elements are skipped. */
#ifndef DOMICILE_S3_DOCUMENT_H
#define DOMICILE_S3_DOCUMENT_H

#include "auth/auth.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "s3/error.h"

/* One key of a DeleteObjects. Not checked: s3_key_check and the version are per key, and so is
 * the answer. */
struct s3_delete_key {
  struct slice key;
  struct slice version_id; /* as sent; empty: the current version */
};

struct s3_delete_list {
  struct s3_delete_key *keys; /* in the arena, 1..S3_DELETE_KEYS_MAX */
  size_t count;
  bool quiet; /* answer only failures */
};

/* Returns: S3_OK; S3_ERR_MALFORMED_XML (also none or too many keys); S3_ERR_MAX_MESSAGE_LENGTH;
 * S3_ERR_INTERNAL_ERROR (no memory). Source: AWS S3 API reference, DeleteObjects. */
enum s3_error s3_delete_parse(struct slice body, struct arena *arena, struct s3_delete_list *out);

/* One part that a CompleteMultipartUpload names. */
struct s3_part_ref {
  uint32_t number; /* 1..S3_PART_NUMBER_MAX, ascending in the list */
  uint8_t md5[MD5_SIZE];
  bool has_checksum;
  struct auth_digest checksum; /* as the document names it */
};

struct s3_part_list {
  struct s3_part_ref *parts; /* in the arena, 1..S3_PART_NUMBER_MAX */
  size_t count;
};

/* Returns: as s3_delete_parse; S3_ERR_INVALID_PART_ORDER (not strictly ascending);
 * S3_ERR_INVALID_PART (a tag or checksum that can be no part's); S3_ERR_INVALID_ARGUMENT (a
 * part number out of bounds); S3_ERR_MALFORMED_XML also for two checksums of one part.
 * Source: AWS S3 API reference, CompleteMultipartUpload. */
enum s3_error s3_complete_parse(struct slice body, struct arena *arena, struct s3_part_list *out);

/* The LocationConstraint of a CreateBucket, empty when the body is empty or names none. In the
 * arena. Returns: as s3_delete_parse. Source: AWS S3 API reference, CreateBucket. */
enum s3_error s3_location_parse(struct slice body, struct arena *arena, struct slice *out);

#endif
