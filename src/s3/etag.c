#include "s3/etag.h"

#include <assert.h>
#include <stdio.h>

#include "s3/limits.h"

void s3_etag_print(const uint8_t md5[MD5_SIZE], uint32_t part_count, char out[S3_ETAG_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  assert(md5 != NULL && out != NULL && part_count <= S3_PART_NUMBER_MAX);
  for (size_t i = 0; i < MD5_SIZE; i++) {
    out[2 * i] = digits[md5[i] >> 4];
    out[2 * i + 1] = digits[md5[i] & 15];
  }
  out[2 * MD5_SIZE] = '\0';
  if (part_count > 0)
    (void)snprintf(out + 2 * MD5_SIZE, S3_ETAG_SIZE - 2 * MD5_SIZE, "-%u", (unsigned)part_count);
}

bool s3_etag_combine(const uint8_t (*part_md5)[MD5_SIZE], size_t part_count, uint8_t out[MD5_SIZE]) {
  assert(part_md5 != NULL && part_count > 0 && part_count <= S3_PART_NUMBER_MAX);
  struct hash *hash = hash_new(HASH_MD5);
  if (hash == NULL) return false;
  hash_update(hash, part_md5, part_count * MD5_SIZE);
  hash_final(hash, out);
  hash_free(hash);
  return true;
}

bool s3_etag_parse_part(struct slice text, uint8_t out[MD5_SIZE]) {
  size_t len = 0;
  uint8_t md5[MD5_SIZE];
  assert(out != NULL);
  if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
    text = slice_cut(text, 1, text.len - 1);
  if (hex_decode(text, md5, sizeof md5, &len) != DOM_OK || len != MD5_SIZE) return false;
  memcpy(out, md5, MD5_SIZE);
  return true;
}
