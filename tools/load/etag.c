#include "etag.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#define MD5_SIZE 16

static void md5_hex(const void *data, size_t len, char out[ETAG_HEX]) {
  uint8_t raw[MD5_SIZE];
  unsigned size = MD5_SIZE;
  int ok = EVP_Digest(data, len, raw, &size, EVP_md5(), NULL);
  assert(ok == 1 && size == MD5_SIZE);
  for (size_t i = 0; i < MD5_SIZE; i++) snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void etag_of(struct slice body, char out[ETAG_HEX]) {
  assert(out != NULL);
  md5_hex(body.data, body.len, out);
}

bool etag_of_parts(char parts[][96], unsigned count, char out[ETAG_HEX + 8]) {
  assert(parts != NULL && count >= 1 && count <= 10000);
  BUF_AUTO all = BUF_INIT;
  for (unsigned i = 0; i < count; i++) {
    uint8_t raw[MD5_SIZE];
    size_t len;
    if (hex_decode(slice_str(parts[i]), raw, sizeof raw, &len) != DOM_OK || len != MD5_SIZE) return false;
    buf_append(&all, raw, len);
  }
  if (all.failed) return false;
  char hex[ETAG_HEX];
  md5_hex(all.data, all.len, hex);
  snprintf(out, ETAG_HEX + 8, "%s-%u", hex, count);
  return true;
}
