/* Byte ranges: of a read (Range) and of a part copied (x-amz-copy-source-range).
 *
 * Two steps, because the head is read before the object is found: parse what was asked, resolve it
 * once the size is known. A read of S3_RANGE_NONE answers 200, any other 206. Threads: any; pure. */
#ifndef DOMICILE_S3_RANGE_H
#define DOMICILE_S3_RANGE_H

#include "base/bytes.h"
#include "s3/error.h"

enum s3_range_kind {
  S3_RANGE_NONE,   /* the whole object */
  S3_RANGE_BOUNDS, /* first..last, both inside */
  S3_RANGE_FROM,   /* first to the end */
  S3_RANGE_SUFFIX  /* the last `last` bytes */
};

/* A range as asked for, before the object's size is known. */
struct s3_range {
  enum s3_range_kind kind;
  uint64_t first;
  uint64_t last;
};

/* A Range header's value (RFC 9110 §14.1.2). What is not one well-formed byte range (another unit, several
 * ranges, last before first) asks for the whole object, as in S3. */
struct s3_range s3_range_parse(struct slice value);

/* "bytes=first-last", both given, as UploadPartCopy demands. Returns: false for anything else. */
bool s3_copy_range_parse(struct slice value, struct s3_range *out);

/* The bytes to send of an object of `size` bytes: *out_count bytes from *out_first.
 * Returns: S3_OK; S3_ERR_INVALID_RANGE when none of them exists (416). */
enum s3_error s3_range_resolve(const struct s3_range *range, uint64_t size, uint64_t *out_first,
                               uint64_t *out_count);

#endif
