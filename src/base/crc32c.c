/* CRC-32C for codec.h: the processor's instruction where there is one, else a table. */
#include <assert.h>
#include <stdatomic.h>

#include "base/codec.h"
#include "base/crc32c_internal.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* The Castagnoli polynomial 1EDC6F41h, bits reversed (RFC 3720 §B.4). */
#define CRC32C_POLYNOMIAL 0x82f63b78u

/* table[k][b] is the CRC of byte b followed by k zero bytes. Filled once, before first use. */
static uint32_t table[8][256];

__attribute__((constructor)) static void fill_table(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? CRC32C_POLYNOMIAL : 0);
    table[0][b] = crc;
  }
  for (int k = 1; k < 8; k++) {
    for (uint32_t b = 0; b < 256; b++) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 255];
  }
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len) {
  assert(data || len == 0);
  const uint8_t *p = data;
  crc = ~crc;
  for (; len >= 8; p += 8, len -= 8) {
    uint32_t low = crc ^ load_u32le(p);
    uint32_t high = load_u32le(p + 4);
    crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
          table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^
          table[0][high >> 24];
  }
  for (; len > 0; p++, len--) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 255];
  return ~crc;
}

#if defined(__x86_64__)
static bool has_instruction(void) {
  return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *p,
                                                                     size_t len) {
  uint64_t wide = (uint32_t)~crc;
  for (; len >= 8; p += 8, len -= 8) wide = _mm_crc32_u64(wide, load_u64le(p));
  uint32_t narrow = (uint32_t)wide;
  for (; len > 0; p++, len--) narrow = _mm_crc32_u8(narrow, *p);
  return ~narrow;
}
#elif defined(__aarch64__)
static bool has_instruction(void) {
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

/* Assembler, as the headers of clang hide the intrinsics unless the whole file is for such a
 * processor. */
static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *p, size_t len) {
  assert(p || len == 0);
  crc = ~crc;
  for (; len >= 8; p += 8, len -= 8) {
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(load_u64le(p)));
  }
  for (; len > 0; p++, len--) {
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*p));
  }
  return ~crc;
}
#else
static bool has_instruction(void) {
  return false;
}

static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *p, size_t len) {
  return crc32c_portable(crc, p, len);
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len) {
  static atomic_int known; /* 0 not asked yet, 1 instruction, 2 table */
  assert(data || len == 0);
  int way = atomic_load_explicit(&known, memory_order_relaxed);
  if (way == 0) {
    way = has_instruction() ? 1 : 2;
    atomic_store_explicit(&known, way, memory_order_relaxed);
  }
  return way == 1 ? crc32c_instruction(crc, data, len) : crc32c_portable(crc, data, len);
}
