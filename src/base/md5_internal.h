/* Inside of base: the steps of MD5 over whole blocks. */
#ifndef DOMICILE_BASE_MD5_INTERNAL_H
#define DOMICILE_BASE_MD5_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

enum { MD5_LANES = 4 }; /* words in a 128-bit register, which every x86-64 and ARMv8 has */

/* Moves a state past `blocks` blocks of MD5_BLOCK bytes. */
void md5_blocks(uint32_t state[4], const uint8_t *data, size_t blocks);
/* The same of MD5_LANES bodies at once. A lane that is not needed may name another one's data, with a state
 * of its own. */
void md5_blocks_lanes(uint32_t *const state[MD5_LANES], const uint8_t *const data[MD5_LANES], size_t blocks);

#endif
