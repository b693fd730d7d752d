/* CRCs that S3 knows and base has not. Internal to the room. */
#ifndef DOMICILE_AUTH_CRC_H
#define DOMICILE_AUTH_CRC_H

#include "base/bytes.h"

/* CRC-32/ISO-HDLC (as zlib), continuing from `crc`, 0 to begin. Threads: any. */
uint32_t crc32_iso(uint32_t crc, struct slice data);

/* CRC-64/NVME (NVM Express base specification 2.0c §8.3.5.2), continuing from `crc`, 0 to begin.
 * Threads: any. */
uint64_t crc64_nvme(uint64_t crc, struct slice data);

#endif
