#include "s3/version.h"

#include <assert.h>

#include "base/codec.h"
#include "base/crypto.h"

enum { ROUNDS = 4, HALF = 8 };

/* One half under the round's function. */
static uint64_t round_of(const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], unsigned round, uint64_t half) {
  uint8_t message[1 + HALF], mac[SHA256_SIZE];
  assert(round < ROUNDS);
  message[0] = (uint8_t)round;
  store_u64be(message + 1, half);
  hmac_sha256(slice_of(bucket, S3_VERSION_BUCKET_ID_SIZE), slice_of(message, sizeof message), mac);
  return load_u64be(mac);
}

void s3_version_id_print(const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], uint64_t epoch, uint64_t lsn,
                         char out[S3_VERSION_ID_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  uint64_t left = epoch, right = lsn;
  uint8_t raw[2 * HALF];
  assert(bucket != NULL && out != NULL);
  for (unsigned round = 0; round < ROUNDS; round++) {
    uint64_t next = left ^ round_of(bucket, round, right);
    left = right;
    right = next;
  }
  store_u64be(raw, left);
  store_u64be(raw + HALF, right);
  for (size_t i = 0; i < sizeof raw; i++) {
    out[2 * i] = digits[raw[i] >> 4];
    out[2 * i + 1] = digits[raw[i] & 15];
  }
  out[2 * sizeof raw] = 0;
}

bool s3_version_id_parse(const uint8_t bucket[S3_VERSION_BUCKET_ID_SIZE], struct slice text,
                         uint64_t *out_epoch, uint64_t *out_lsn) {
  uint8_t raw[2 * HALF];
  size_t len = 0;
  assert(bucket != NULL && out_epoch != NULL && out_lsn != NULL);
  if (text.len != S3_VERSION_ID_SIZE - 1 || hex_decode(text, raw, sizeof raw, &len) != DOM_OK) return false;
  uint64_t left = load_u64be(raw), right = load_u64be(raw + HALF);
  for (unsigned round = ROUNDS; round-- > 0;) {
    uint64_t before = right ^ round_of(bucket, round, left);
    right = left;
    left = before;
  }
  *out_epoch = left;
  *out_lsn = right;
  return true;
}
