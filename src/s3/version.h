/* Version ids: how a client names one version of a key.
 *
 * "null" is the version of a key that has no id of its own. Any other id is 32 hex digits: the version's
 * order, epoch and LSN of the commit that first wrote it, under a permutation of 128 bits that the bucket's
 * id keys. So an id names its version for ever, wherever the subject moves; two versions of a key never share
 * one; nothing has to be stored or looked up to tell the one from the other; and ids do not show how much a
 * region writes. It is no secret and gives no right. Pure. Threads: any. Source: a Feistel network of four
 * rounds over HMAC-SHA256 (Luby, Rackoff 1988). */
#ifndef DOMICILE_S3_VERSION_H
#define DOMICILE_S3_VERSION_H

#include "base/bytes.h"
#include "base/err.h"

enum {
  S3_VERSION_ID_SIZE = 33,       /* with NUL */
  S3_VERSION_BUCKET_ID_SIZE = 16 /* of the id that keys it */
};

/* The id of a version by its order, 32 lower-case hex digits and NUL. */
void s3_version_id_print(const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], uint64_t epoch, uint64_t lsn,
                         char out[S3_VERSION_ID_SIZE]);
/* Reads it back. Whether there is such a version is the caller's to find out: most texts of this shape name
 * none. Returns: false when it has not this shape; outputs untouched. */
bool s3_version_id_parse(const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], struct slice text,
                         uint64_t *out_epoch, uint64_t *out_lsn);

#endif
