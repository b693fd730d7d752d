/* Headers of answers that describe an object: what was stored comes back as it was sent, unless a
 * presigned or signed query overrides it. Status, lengths, request ids and everything of the
 * connection are the caller's. Threads: one list belongs to one at a time. */
#ifndef DOMICILE_S3_REPLY_H
#define DOMICILE_S3_REPLY_H

#include "s3/etag.h"
#include "s3/request.h"

/* A growing list of headers in an arena. `failed`: memory ran out, the list is not complete. */
struct s3_headers {
  struct arena *arena;
  struct auth_header *items;
  size_t count;
  size_t capacity;
  bool failed;
};

/* Adds a line; name and value are borrowed. The value must hold no line end (asserted: nothing
 * from a request may split an answer). */
void s3_headers_add(struct s3_headers *headers, struct slice name, struct slice value);
/* The same with a copy of the value. */
void s3_headers_add_copy(struct s3_headers *headers, struct slice name, struct slice value);

/* One object as its headers tell it. */
struct s3_object_view {
  const uint8_t *md5;  /* MD5_SIZE bytes */
  uint32_t part_count; /* as s3_etag_print */
  uint64_t modified_ms;
  const struct s3_meta *meta;
};

/* ETag, quoted: for PutObject, UploadPart and every read of an object. `part_count` 0 for what
 * was put in one piece. */
void s3_headers_etag(struct s3_headers *headers, const uint8_t md5[MD5_SIZE], uint32_t part_count);
/* Everything a GET or HEAD says of an object, length and range excepted: ETag, Last-Modified,
 * Accept-Ranges, Content-Type (binary/octet-stream when none was stored), the other stored
 * headers, x-amz-meta-*, the count of tags, retention and legal hold, and the checksum when `checksum_mode`.
 * `overrides` (NULL: none) replace stored headers. */
void s3_headers_object(struct s3_headers *headers, const struct s3_object_view *object,
                       const struct s3_overrides *overrides, bool checksum_mode);
/* Content-Range of a 206 (RFC 9110 §14.4): `count` bytes from `first` of `size`, as
 * s3_range_resolve gave them; count is not 0. */
void s3_headers_range(struct s3_headers *headers, uint64_t first, uint64_t count, uint64_t size);
/* x-amz-mp-parts-count: of how many parts an object is that was asked for one of them. */
void s3_headers_parts_count(struct s3_headers *headers, uint32_t count);
/* x-amz-checksum-…: answer to a write that was checked by one, or of one part. */
void s3_headers_checksum(struct s3_headers *headers, const struct auth_digest *digest);
/* The checksum of an object, with "-N" where it is of the checksums of N parts, and x-amz-checksum-type. */
void s3_headers_object_checksum(struct s3_headers *headers, const struct s3_meta *meta, uint32_t part_count);
/* x-amz-checksum-algorithm and -type: what an upload was begun with. */
void s3_headers_plan(struct s3_headers *headers, const struct s3_checksum_plan *plan);

#endif
