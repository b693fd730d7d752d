#include "auth/crc.h"

#include <assert.h>
#include <pthread.h>

#include "base/codec.h"

/* Slicing by eight: table k moves a byte k places ahead, so that eight bytes go in one step. */
enum { SLICES = 8 };
static uint32_t table32[SLICES][256];
static uint64_t table64[SLICES][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void tables_make(void) {
  static const uint32_t poly32 = 0xEDB88320u;                  /* 0x04C11DB7 reflected */
  static const uint64_t poly64 = UINT64_C(0x9A6C9329AC4BC9B5); /* 0xAD93D23594C93659 reflected */
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t short_rest = i;
    uint64_t long_rest = i;
    for (int bit = 0; bit < 8; bit++) {
      short_rest = (short_rest >> 1) ^ ((short_rest & 1) != 0 ? poly32 : 0);
      long_rest = (long_rest >> 1) ^ ((long_rest & 1) != 0 ? poly64 : 0);
    }
    table32[0][i] = short_rest;
    table64[0][i] = long_rest;
  }
  for (size_t k = 1; k < SLICES; k++) {
    for (size_t i = 0; i < 256; i++) {
      table32[k][i] = (table32[k - 1][i] >> 8) ^ table32[0][table32[k - 1][i] & 255];
      table64[k][i] = (table64[k - 1][i] >> 8) ^ table64[0][table64[k - 1][i] & 255];
    }
  }
  assert(table32[0][255] == 0x2D02EF8Du);
}

uint32_t crc32_iso(uint32_t crc, struct slice data) {
  assert(data.data != NULL || data.len == 0);
  pthread_once(&tables_once, tables_make);
  const uint8_t *at = data.data;
  size_t left = data.len;
  crc = ~crc;
  for (; left >= SLICES; at += SLICES, left -= SLICES) {
    uint64_t word = load_u64le(at) ^ crc;
    crc = 0;
    for (size_t k = 0; k < SLICES; k++) crc ^= table32[SLICES - 1 - k][(word >> (8 * k)) & 255];
  }
  for (; left > 0; at++, left--) crc = (crc >> 8) ^ table32[0][(crc ^ *at) & 255];
  return ~crc;
}

uint64_t crc64_nvme(uint64_t crc, struct slice data) {
  assert(data.data != NULL || data.len == 0);
  pthread_once(&tables_once, tables_make);
  const uint8_t *at = data.data;
  size_t left = data.len;
  crc = ~crc;
  for (; left >= SLICES; at += SLICES, left -= SLICES) {
    uint64_t word = load_u64le(at) ^ crc;
    crc = 0;
    for (size_t k = 0; k < SLICES; k++) crc ^= table64[SLICES - 1 - k][(word >> (8 * k)) & 255];
  }
  for (; left > 0; at++, left--) crc = (crc >> 8) ^ table64[0][(crc ^ *at) & 255];
  return ~crc;
}

/* ---- joining ---- */

const struct crc_shape CRC_SHAPE_32 = {32, 0xEDB88320u};
const struct crc_shape CRC_SHAPE_32C = {32, 0x82F63B78u};
const struct crc_shape CRC_SHAPE_64 = {64, UINT64_C(0x9A6C9329AC4BC9B5)};

/* a · b modulo the polynomial. Reflected: the highest bit is x^0. */
static uint64_t multiply(const struct crc_shape *shape, uint64_t a, uint64_t b) {
  uint64_t product = 0;
  assert(shape->bits == 32 || shape->bits == 64);
  for (uint64_t bit = UINT64_C(1) << (shape->bits - 1); bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? shape->poly : 0);
  }
  return product;
}

uint64_t crc_shift(const struct crc_shape *shape, uint64_t len) {
  uint64_t result = UINT64_C(1) << (shape->bits - 1);    /* x^0 */
  uint64_t power = UINT64_C(1) << (shape->bits - 1 - 8); /* x^8: one byte */
  assert(shape->bits == 32 || shape->bits == 64);
  for (; len != 0; len >>= 1) {
    if ((len & 1) != 0) result = multiply(shape, result, power);
    power = multiply(shape, power, power);
  }
  return result;
}

uint64_t crc_join(const struct crc_shape *shape, uint64_t first, uint64_t second, uint64_t shift) {
  return multiply(shape, shift, first) ^ second;
}
