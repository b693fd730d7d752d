/* Configurations of a bucket: the documents that clients put, read strictly, and as they are given back.
 *
 * A document is read as a whole against S3's closed schema: an unknown element, one too many or one
 * missing is an error, never skipped. What it means is in a struct; printing that gives the canonical form,
 * which is what is stored and answered: reading the canonical form gives the same struct again.
 * What S3 has and this program does not enforce is S3_ERR_NOT_IMPLEMENTED.
 *
 * All parsers: `body` is borrowed for the call, slices of *out lie in the arena; *out is touched on S3_OK
 * only. They return S3_ERR_MALFORMED_XML, S3_ERR_MAX_MESSAGE_LENGTH (also more elements than the arena
 * holds), S3_ERR_INTERNAL_ERROR (no memory), and what is said beside each. All printers append to `out`,
 * which fails stickily. Threads: any; pure. Source: AWS S3 API reference under each operation's name. */
#ifndef DOMICILE_S3_CONFIG_H
#define DOMICILE_S3_CONFIG_H

#include "base/arena.h"
#include "base/bytes.h"
#include "s3/error.h"

enum {
  S3_CONFIG_BYTES_MAX = 16 << 10, /* of the small documents below; the longest canonical one has 400 bytes */
  S3_TAGGING_BYTES_MAX =
      96 << 10, /* 50 tags of the longest kind, four bytes a character, and their elements */
  S3_BUCKET_TAGS_MAX = 50,
  S3_OBJECT_TAGS_MAX = 10,
  S3_TAG_KEY_CHARS_MAX = 128,
  S3_TAG_VALUE_CHARS_MAX = 256,
  S3_LOCK_DAYS_MAX = 36500, /* S3's longest default retention */
  S3_LOCK_YEARS_MAX = 100
};

/* PutBucketVersioning: enabled or suspended. S3_ERR_ILLEGAL_VERSIONING without a status;
 * S3_ERR_NOT_IMPLEMENTED when it asks for MFA delete. */
enum s3_error s3_versioning_parse(struct slice body, struct arena *arena, bool *out_enabled);

/* PutBucketTagging, PutObjectTagging. */
struct s3_tag {
  struct slice key, value; /* UTF-8 */
};
struct s3_tags {
  struct s3_tag tag[S3_BUCKET_TAGS_MAX];
  size_t count;
};
/* S3_ERR_INVALID_TAG: too many, too long, a key twice, or one that begins with "aws:". */
enum s3_error s3_tags_parse(struct slice body, size_t tags_max, struct arena *arena, struct s3_tags *out);
void s3_tags_print(const struct s3_tags *tags, struct buf *out);
/* One more tag under the same rules. For other forms in which tags come. */
enum s3_error s3_tags_add(struct s3_tags *tags, size_t tags_max, struct s3_tag tag);

/* PutBucketEncryption: the default, with keys of this store's own (SSE-S3, AES256). Everything is encrypted
 * so in any case. S3_ERR_NOT_IMPLEMENTED for keys of somebody else's service. */
struct s3_encryption {
  bool has_bucket_key; /* echoed; means something for KMS only */
  bool bucket_key;
};
enum s3_error s3_encryption_parse(struct slice body, struct arena *arena, struct s3_encryption *out);
void s3_encryption_print(const struct s3_encryption *e, struct buf *out);

/* PutPublicAccessBlock. What is not said is false. */
struct s3_public_access {
  bool block_acls, ignore_acls, block_policy, restrict_buckets;
};
enum s3_error s3_public_access_parse(struct slice body, struct arena *arena, struct s3_public_access *out);
void s3_public_access_print(const struct s3_public_access *p, struct buf *out);

/* PutBucketOwnershipControls. The name is one of S3's three, static text. */
enum s3_error s3_ownership_parse(struct slice body, struct arena *arena, const char **out);
void s3_ownership_print(const char *ownership, struct buf *out);

/* PutObjectLockConfiguration: lock enabled, with or without a default retention. */
struct s3_object_lock {
  bool has_default;
  bool compliance; /* else GOVERNANCE */
  bool in_years;   /* else days */
  uint64_t period; /* 1..S3_LOCK_DAYS_MAX or _YEARS_MAX */
};
enum s3_error s3_object_lock_parse(struct slice body, struct arena *arena, struct s3_object_lock *out);
void s3_object_lock_print(const struct s3_object_lock *lock, struct buf *out);

#endif
