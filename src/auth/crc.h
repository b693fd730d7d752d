/* CRCs that S3 knows and base has not. Internal to the room. */
#ifndef DOMICILE_AUTH_CRC_H
#define DOMICILE_AUTH_CRC_H

#include "base/bytes.h"

/* CRC-32/ISO-HDLC (as zlib), continuing from `crc`, 0 to begin. Threads: any. */
uint32_t crc32_iso(uint32_t crc, struct slice data);

/* CRC-64/NVME (NVM Express base specification 2.0c §8.3.5.2), continuing from `crc`, 0 to begin.
 * Threads: any. */
uint64_t crc64_nvme(uint64_t crc, struct slice data);

/* A CRC as a polynomial over GF(2): what joining two of them needs to know. */
struct crc_shape {
  unsigned bits; /* 32 or 64 */
  uint64_t poly; /* reflected */
};
extern const struct crc_shape CRC_SHAPE_32, CRC_SHAPE_32C, CRC_SHAPE_64;
/* What `len` bytes behind a CRC multiply it by: x^(8·len) modulo the polynomial. */
uint64_t crc_shift(const struct crc_shape *shape, uint64_t len);
/* The CRC of two runs of bytes, one behind the other, from theirs; `shift` of the second one's length. Holds
 * for CRCs that begin and end inverted, as all of S3's do. Source: zlib's crc32_combine describes the method.
 */
uint64_t crc_join(const struct crc_shape *shape, uint64_t first, uint64_t second, uint64_t shift);

#endif
