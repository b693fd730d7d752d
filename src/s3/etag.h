/* Entity tags: MD5 of a simple object, "md5(md5 of each part)-N" of a multipart one. */
#ifndef DOMICILE_S3_ETAG_H
#define DOMICILE_S3_ETAG_H

#include "base/bytes.h"
#include "base/crypto.h"

/* 32 hex digits, '-', five digits of a part count, NUL. */
enum { S3_ETAG_SIZE = 2 * MD5_SIZE + 7 };

/* Writes the tag without quotes, with NUL. `part_count` 0: a simple object; else the N of "-N",
 * S3_PART_NUMBER_MAX at most. */
void s3_etag_print(const uint8_t md5[MD5_SIZE], uint32_t part_count, char out[S3_ETAG_SIZE]);

/* MD5 over the parts' MD5s, one after the other, as S3 does for a multipart object.
 * Returns: false without memory, *out untouched. */
bool s3_etag_combine(const uint8_t (*part_md5)[MD5_SIZE], size_t part_count, uint8_t out[MD5_SIZE]);

/* A part's tag as a client sends it back: 32 hex digits, quotes or not.
 * Returns: false when it is nothing else, *out untouched. */
bool s3_etag_parse_part(struct slice text, uint8_t out[MD5_SIZE]);

#endif
