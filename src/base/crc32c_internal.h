/* Inside of base: the table form of CRC-32C, so that a test can compare both ways. */
#ifndef DOMICILE_BASE_CRC32C_INTERNAL_H
#define DOMICILE_BASE_CRC32C_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* As crc32c of codec.h, without the processor's instruction: eight bytes a step through eight
 * tables ("slicing by 8", Kounavis and Berry 2005). Threads: any. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
