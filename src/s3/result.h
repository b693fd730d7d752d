/* Results of the operations that answer in XML, listings excepted (listing.h).
 *
 * Each function appends one document to `out`, declaration and S3's namespace included, in the
 * shape of the response syntax that the AWS S3 API reference gives under the operation's name.
 * `out` fails stickily without memory: check it once, with buf_check. Slices are borrowed for the
 * call; text is escaped as xml_escape does, so that any key gives a readable document. Entity tags
 * are quoted. Times are milliseconds since 1970 UTC. Threads: any; pure. */
#ifndef DOMICILE_S3_RESULT_H
#define DOMICILE_S3_RESULT_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "s3/error.h"
#include "s3/meta.h"

/* One bucket of ListBuckets. */
struct s3_listed_bucket {
  struct slice name;
  uint64_t created_ms;
};

/* ListBuckets: ListAllMyBucketsResult. `owner` is the account, as ID and as DisplayName; buckets
 * come in the order given (S3 sorts them by name). */
void s3_result_buckets(struct slice owner, const struct s3_listed_bucket *buckets, size_t count,
                       struct buf *out);
/* GetBucketLocation: LocationConstraint. An empty region is how S3 writes us-east-1. */
void s3_result_location(struct slice region, struct buf *out);
/* GetBucketVersioning: VersioningConfiguration. `status`: "Enabled", "Suspended", or NULL for a bucket that
 * never had versioning. */
void s3_result_versioning(const char *status, struct buf *out);
/* GetBucketRequestPayment: the owner pays, always. */
void s3_result_request_payment(struct buf *out);
/* An empty document: GetBucketLogging (BucketLoggingStatus), GetBucketNotificationConfiguration
 * (NotificationConfiguration), GetBucketAccelerateConfiguration (AccelerateConfiguration) of a bucket that
 * has none, as every bucket here. */
void s3_result_nothing(const char *root, struct buf *out);
/* CreateMultipartUpload: InitiateMultipartUploadResult. `upload_id` is opaque text, not empty. */
void s3_result_initiate(struct slice bucket, struct slice key, struct slice upload_id, struct buf *out);
/* CompleteMultipartUpload: CompleteMultipartUploadResult. `location` is the object's URL,
 * `part_count` the N of the tag, at least 1; `meta` tells its checksum, NULL: none is known. */
void s3_result_complete(struct slice location, struct slice bucket, struct slice key,
                        const uint8_t md5[MD5_SIZE], uint32_t part_count, const struct s3_meta *meta,
                        struct buf *out);
/* CopyObject: CopyObjectResult; UploadPartCopy: CopyPartResult when `is_part`. The tag and time
 * are the copy's, a tag of one piece; `checksum` of all its bytes, NULL: none. */
void s3_result_copy(bool is_part, const uint8_t md5[MD5_SIZE], uint64_t modified_ms,
                    const struct auth_digest *checksum, struct buf *out);

/* DeleteObjects: DeleteResult, key by key: begin, then one of the two for every key, then end. */
void s3_result_delete_begin(struct buf *out);
/* What became of one key. Ids are empty where there is nothing to tell. */
struct s3_deleted {
  struct slice key;
  struct slice version_id; /* as the request named it */
  bool is_marker;          /* a delete marker was made, or removed for good */
  struct slice marker_id;  /* of that marker */
};
/* Leave it out when the request was quiet. */
void s3_result_deleted(const struct s3_deleted *deleted, struct buf *out);
/* `detail` as in struct s3_error_context, or NULL; of `deleted` key and version_id. */
void s3_result_delete_failed(const struct s3_deleted *deleted, enum s3_error error, const char *detail,
                             struct buf *out);
/* Closes the document. */
void s3_result_delete_end(struct buf *out);

#endif
