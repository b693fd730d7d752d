#include "s3/result.h"

#include <assert.h>

#include "s3/etag.h"
#include "s3/xml.h"

static void person(struct buf *out, struct slice account) {
  assert(out != NULL);
  xml_text(out, "ID", account);
  xml_text(out, "DisplayName", account);
}

static void etag(struct buf *out, const uint8_t md5[MD5_SIZE], uint32_t part_count) {
  char text[S3_ETAG_SIZE];
  assert(md5 != NULL);
  s3_etag_print(md5, part_count, text);
  buf_append_str(out, "<ETag>&quot;");
  buf_append_str(out, text);
  buf_append_str(out, "&quot;</ETag>");
}

void s3_result_buckets(struct slice owner, const struct s3_listed_bucket *buckets, size_t count,
                       struct buf *out) {
  assert(out != NULL && (buckets != NULL || count == 0));
  xml_begin(out);
  xml_open_root(out, "ListAllMyBucketsResult");
  xml_open(out, "Owner");
  person(out, owner);
  xml_close(out, "Owner");
  xml_open(out, "Buckets");
  for (size_t i = 0; i < count; i++) {
    xml_open(out, "Bucket");
    xml_text(out, "Name", buckets[i].name);
    xml_time(out, "CreationDate", buckets[i].created_ms);
    xml_close(out, "Bucket");
  }
  xml_close(out, "Buckets");
  xml_close(out, "ListAllMyBucketsResult");
}

void s3_result_location(struct slice region, struct buf *out) {
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, "LocationConstraint");
  xml_escape(out, region);
  xml_close(out, "LocationConstraint");
}

void s3_result_versioning(const char *status, struct buf *out) {
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, "VersioningConfiguration");
  if (status != NULL) xml_text(out, "Status", slice_str(status));
  xml_close(out, "VersioningConfiguration");
}

void s3_result_request_payment(struct buf *out) {
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, "RequestPaymentConfiguration");
  xml_text(out, "Payer", SLICE_LIT("BucketOwner"));
  xml_close(out, "RequestPaymentConfiguration");
}

void s3_result_nothing(const char *root, struct buf *out) {
  assert(root != NULL && out != NULL);
  xml_begin(out);
  xml_open_root(out, root);
  xml_close(out, root);
}

void s3_result_initiate(struct slice bucket, struct slice key, struct slice upload_id, struct buf *out) {
  assert(out != NULL && upload_id.len > 0);
  xml_begin(out);
  xml_open_root(out, "InitiateMultipartUploadResult");
  xml_text(out, "Bucket", bucket);
  xml_text(out, "Key", key);
  xml_text(out, "UploadId", upload_id);
  xml_close(out, "InitiateMultipartUploadResult");
}

void s3_result_complete(struct slice location, struct slice bucket, struct slice key,
                        const uint8_t md5[MD5_SIZE], uint32_t part_count, const struct s3_meta *meta,
                        struct buf *out) {
  assert(out != NULL && part_count > 0);
  xml_begin(out);
  xml_open_root(out, "CompleteMultipartUploadResult");
  xml_text(out, "Location", location);
  xml_text(out, "Bucket", bucket);
  xml_text(out, "Key", key);
  etag(out, md5, part_count);
  if (meta != NULL && meta->has_checksum) {
    xml_checksum(out, &meta->checksum, meta->is_composite ? part_count : 0);
    xml_checksum_type(out, meta->is_composite);
  }
  xml_close(out, "CompleteMultipartUploadResult");
}

void s3_result_copy(bool is_part, const uint8_t md5[MD5_SIZE], uint64_t modified_ms,
                    const struct auth_digest *checksum, struct buf *out) {
  const char *root = is_part ? "CopyPartResult" : "CopyObjectResult";
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, root);
  xml_time(out, "LastModified", modified_ms);
  etag(out, md5, 0);
  if (checksum != NULL) xml_checksum(out, checksum, 0);
  if (checksum != NULL && !is_part) xml_checksum_type(out, false);
  xml_close(out, root);
}

void s3_result_delete_begin(struct buf *out) {
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, "DeleteResult");
}

void s3_result_deleted(const struct s3_deleted *deleted, struct buf *out) {
  assert(deleted != NULL && out != NULL);
  xml_open(out, "Deleted");
  xml_text(out, "Key", deleted->key);
  if (deleted->version_id.len > 0) xml_text(out, "VersionId", deleted->version_id);
  if (deleted->is_marker) {
    xml_bool(out, "DeleteMarker", true);
    xml_text(out, "DeleteMarkerVersionId", deleted->marker_id);
  }
  xml_close(out, "Deleted");
}

void s3_result_delete_failed(const struct s3_deleted *deleted, enum s3_error error, const char *detail,
                             struct buf *out) {
  assert(deleted != NULL && out != NULL && error != S3_OK);
  xml_open(out, "Error");
  xml_text(out, "Key", deleted->key);
  if (deleted->version_id.len > 0) xml_text(out, "VersionId", deleted->version_id);
  xml_text(out, "Code", slice_str(s3_error_code(error)));
  xml_open(out, "Message");
  s3_error_message_text(error, detail, out);
  xml_close(out, "Message");
  xml_close(out, "Error");
}

void s3_result_delete_end(struct buf *out) {
  assert(out != NULL);
  xml_close(out, "DeleteResult");
}
