/* Results of the operations that answer in XML, listings excepted (listing.h). Each appends one
 * document to `out`, which fails stickily without memory: check it once. Slices are borrowed. */
#ifndef DOMICILE_S3_RESULT_H
#define DOMICILE_S3_RESULT_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "s3/error.h"

/* One bucket of ListBuckets. */
struct s3_listed_bucket {
  struct slice name;
  uint64_t created_ms;
};

/* ListAllMyBucketsResult, buckets as given (S3 sorts them by name). */
void s3_result_buckets(struct slice owner, const struct s3_listed_bucket *buckets, size_t count,
                       struct buf *out);
/* LocationConstraint; an empty region is how S3 writes us-east-1. */
void s3_result_location(struct slice region, struct buf *out);
/* VersioningConfiguration of a bucket that never had versioning: empty. */
void s3_result_versioning(struct buf *out);
/* AccessControlPolicy: the owner has FULL_CONTROL, nobody else anything. */
void s3_result_acl(struct slice owner, struct buf *out);
/* InitiateMultipartUploadResult. */
void s3_result_initiate(struct slice bucket, struct slice key, struct slice upload_id, struct buf *out);
/* CompleteMultipartUploadResult; `location` is the object's URL. */
void s3_result_complete(struct slice location, struct slice bucket, struct slice key,
                        const uint8_t md5[MD5_SIZE], uint32_t part_count, struct buf *out);
/* CopyObjectResult, or CopyPartResult when `is_part`. */
void s3_result_copy(bool is_part, const uint8_t md5[MD5_SIZE], uint32_t part_count, uint64_t modified_ms,
                    struct buf *out);

/* DeleteResult, key by key: begin, then one of the two for every key, then end. */
void s3_result_delete_begin(struct buf *out);
/* Leave it out when the request was quiet. */
void s3_result_deleted(struct slice key, struct buf *out);
/* `detail` as in struct s3_error_context, or NULL. */
void s3_result_delete_failed(struct slice key, enum s3_error error, const char *detail, struct buf *out);
void s3_result_delete_end(struct buf *out);

#endif
