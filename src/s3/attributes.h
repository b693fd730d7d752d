/* GetObjectAttributes: what an object is, without its bytes and its metadata.
 * Source: AWS S3 API reference, GetObjectAttributes. Threads: any; pure. */
#ifndef DOMICILE_S3_ATTRIBUTES_H
#define DOMICILE_S3_ATTRIBUTES_H

#include "auth/auth.h"
#include "base/crypto.h"
#include "s3/error.h"

/* What a request wants told: x-amz-object-attributes, and which page of the parts. */
struct s3_attributes_asked {
  bool etag;
  bool checksum;
  bool parts;
  bool storage_class;
  bool object_size;
  uint32_t parts_max;          /* x-amz-max-parts: 0..S3_PAGE_MAX */
  uint32_t part_number_marker; /* x-amz-part-number-marker: parts above it */
};

/* Reads the head. Names of attributes come comma-separated, in one header or several.
 * Returns: S3_OK; S3_ERR_INVALID_ARGUMENT (none, an unknown one, a page that is no number), also in
 * *out_fault. */
enum s3_error s3_attributes_from_head(const struct auth_request *head, struct s3_attributes_asked *out,
                                      struct s3_fault *out_fault);

/* One part of an object that was put in parts. */
struct s3_attributes_part {
  uint32_t number;
  uint64_t size;
  const struct auth_digest *checksum; /* NULL: none is kept */
};

/* One object as the answer tells it. */
struct s3_attributes {
  const uint8_t *md5;  /* MD5_SIZE bytes */
  uint32_t part_count; /* as s3_etag_print */
  uint64_t size;
  const struct auth_digest *checksum;     /* of the object; NULL: it has none */
  bool is_composite;                      /* … of its parts' checksums */
  const struct s3_attributes_part *parts; /* part_count of them, numbers ascending */
};
/* Appends GetObjectAttributesResponse with what was asked for. Single parts are named only of objects with a
 * checksum, as S3 does it; their count is told of all. Fails as buf does. */
void s3_result_attributes(const struct s3_attributes_asked *asked, const struct s3_attributes *object,
                          struct buf *out);

#endif
