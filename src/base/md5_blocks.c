/* The steps of RFC 1321 §3.4, written once for a word and for a register of four: the compiler's vectors need
 * neither intrinsics nor a look at the processor. In the second round "+" stands for "|", as the two sides
 * have no bit in common: the side that is known early is then added early, which shortens the chain. */
#include <assert.h>
#include <string.h>

#include "base/md5.h"
#include "base/md5_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blocks are read as words of this machine");

typedef uint32_t vector __attribute__((vector_size(4 * MD5_LANES)));

#define F(a, b, c, d) ((a) += ((b) & (c)) | (~(b) & (d)))
#define G(a, b, c, d) ((a) += (~(d) & (c)), (a) += ((d) & (b)))
#define H(a, b, c, d) ((a) += (b) ^ ((c) ^ (d)))
#define I(a, b, c, d) ((a) += (c) ^ ((b) | ~(d)))
#define STEP(f, a, b, c, d, x, k, s)                                                                         \
  do {                                                                                                       \
    (a) += (x) + (k);                                                                                        \
    f(a, b, c, d);                                                                                           \
    (a) = (((a) << (s)) | ((a) >> (32 - (s)))) + (b);                                                        \
  } while (0)
/* Four steps: their function, words, and the words' constants. */
#define FOUR(f, s0, s1, s2, s3, x0, k0, x1, k1, x2, k2, x3, k3)                                              \
  STEP(f, a, b, c, d, w[x0], k0##u, s0);                                                                     \
  STEP(f, d, a, b, c, w[x1], k1##u, s1);                                                                     \
  STEP(f, c, d, a, b, w[x2], k2##u, s2);                                                                     \
  STEP(f, b, c, d, a, w[x3], k3##u, s3)
#define FIRST(...)  FOUR(F, 7, 12, 17, 22, __VA_ARGS__)
#define SECOND(...) FOUR(G, 5, 9, 14, 20, __VA_ARGS__)
#define THIRD(...)  FOUR(H, 4, 11, 16, 23, __VA_ARGS__)
#define FOURTH(...) FOUR(I, 6, 10, 15, 21, __VA_ARGS__)
/* One block, in w[16], into a, b, c, d. */
#define BLOCK()                                                                                              \
  do {                                                                                                       \
    FIRST(0, 0xd76aa478, 1, 0xe8c7b756, 2, 0x242070db, 3, 0xc1bdceee);                                       \
    FIRST(4, 0xf57c0faf, 5, 0x4787c62a, 6, 0xa8304613, 7, 0xfd469501);                                       \
    FIRST(8, 0x698098d8, 9, 0x8b44f7af, 10, 0xffff5bb1, 11, 0x895cd7be);                                     \
    FIRST(12, 0x6b901122, 13, 0xfd987193, 14, 0xa679438e, 15, 0x49b40821);                                   \
    SECOND(1, 0xf61e2562, 6, 0xc040b340, 11, 0x265e5a51, 0, 0xe9b6c7aa);                                     \
    SECOND(5, 0xd62f105d, 10, 0x02441453, 15, 0xd8a1e681, 4, 0xe7d3fbc8);                                    \
    SECOND(9, 0x21e1cde6, 14, 0xc33707d6, 3, 0xf4d50d87, 8, 0x455a14ed);                                     \
    SECOND(13, 0xa9e3e905, 2, 0xfcefa3f8, 7, 0x676f02d9, 12, 0x8d2a4c8a);                                    \
    THIRD(5, 0xfffa3942, 8, 0x8771f681, 11, 0x6d9d6122, 14, 0xfde5380c);                                     \
    THIRD(1, 0xa4beea44, 4, 0x4bdecfa9, 7, 0xf6bb4b60, 10, 0xbebfbc70);                                      \
    THIRD(13, 0x289b7ec6, 0, 0xeaa127fa, 3, 0xd4ef3085, 6, 0x04881d05);                                      \
    THIRD(9, 0xd9d4d039, 12, 0xe6db99e5, 15, 0x1fa27cf8, 2, 0xc4ac5665);                                     \
    FOURTH(0, 0xf4292244, 7, 0x432aff97, 14, 0xab9423a7, 5, 0xfc93a039);                                     \
    FOURTH(12, 0x655b59c3, 3, 0x8f0ccc92, 10, 0xffeff47d, 1, 0x85845dd1);                                    \
    FOURTH(8, 0x6fa87e4f, 15, 0xfe2ce6e0, 6, 0xa3014314, 13, 0x4e0811a1);                                    \
    FOURTH(4, 0xf7537e82, 11, 0xbd3af235, 2, 0x2ad7d2bb, 9, 0xeb86d391);                                     \
  } while (0)

void md5_blocks(uint32_t state[4], const uint8_t *data, size_t blocks) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  assert(data || blocks == 0);
  for (; blocks > 0; blocks--, data += MD5_BLOCK) {
    uint32_t w[16], a0 = a, b0 = b, c0 = c, d0 = d;
    memcpy(w, data, sizeof w);
    BLOCK();
    a += a0;
    b += b0;
    c += c0;
    d += d0;
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = d;
}

/* Words 4i…4i+3 of a block of each lane, turned so that each vector has one word of all lanes. */
static inline void turn(const uint8_t *const data[MD5_LANES], size_t at, vector out[4]) {
  vector r[MD5_LANES];
  for (int i = 0; i < MD5_LANES; i++) memcpy(&r[i], data[i] + at, sizeof r[i]);
  vector low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  vector high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  vector low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  vector high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  out[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  out[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  out[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  out[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

void md5_blocks_lanes(uint32_t *const state[MD5_LANES], const uint8_t *const data[MD5_LANES], size_t blocks) {
  vector v[4];
  assert(state && data);
  for (int i = 0; i < 4; i++) v[i] = (vector){state[0][i], state[1][i], state[2][i], state[3][i]};
  vector a = v[0], b = v[1], c = v[2], d = v[3];
  for (size_t at = 0; at < blocks * MD5_BLOCK; at += MD5_BLOCK) {
    vector w[16], a0 = a, b0 = b, c0 = c, d0 = d;
    for (size_t i = 0; i < 4; i++) turn(data, at + 16 * i, w + 4 * i);
    BLOCK();
    a += a0;
    b += b0;
    c += c0;
    d += d0;
  }
  for (int i = 0; i < MD5_LANES; i++) {
    state[i][0] = a[i];
    state[i][1] = b[i];
    state[i][2] = c[i];
    state[i][3] = d[i];
  }
}
