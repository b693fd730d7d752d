/* S3's limits (AWS S3 user guide, "Amazon S3 multipart upload limits", "Object key names", "Bucket
 * naming rules") and the bounds of our own that protect the parser. */
#ifndef DOMICILE_S3_LIMITS_H
#define DOMICILE_S3_LIMITS_H

#include <stdint.h>

#define S3_PUT_BYTES_MAX    (UINT64_C(5) << 30) /* one PUT or one part: 5 GiB */
#define S3_OBJECT_BYTES_MAX (UINT64_C(5) << 40) /* a multipart object: 5 TiB */
#define S3_PART_BYTES_MIN   (UINT64_C(5) << 20) /* every part but the last: 5 MiB */

enum {
  S3_BUCKET_NAME_MIN = 3,
  S3_BUCKET_NAME_MAX = 63,
  S3_KEY_BYTES_MAX = 1024,
  S3_METADATA_BYTES_MAX = 2048, /* user metadata: all names without prefix, and all values */
  S3_PART_NUMBER_MAX = 10000,
  S3_PAGE_MAX = 1000,           /* keys, uploads or parts a page; also the default */
  S3_DELETE_KEYS_MAX = 1000,    /* keys in one DeleteObjects */
  S3_UPLOAD_ID_BYTES_MAX = 128, /* ours are shorter; whatever is longer names no upload */
  /* Request bodies in XML. A delete of 1,000 longest keys, every byte escaped as a reference of six, has 6
   * MiB; 10,000 parts with a checksum each have 2.5 MiB. */
  S3_XML_DELETE_BYTES_MAX = 8 << 20,
  S3_XML_COMPLETE_BYTES_MAX = 4 << 20,
  S3_XML_BUCKET_BYTES_MAX = 16 << 10,
  S3_XML_DEPTH_MAX = 8, /* the deepest document read here has 4 levels */
  /* Arena for one request: decoded head (32 KiB at most) and the list from the largest body. */
  S3_REQUEST_ARENA_BYTES = 8 << 20
};

/* Longest version id of S3 (API reference, DeleteObject): what is longer names none. */
enum { S3_VERSION_ID_BYTES_MAX = 1024 };

#endif
