#include "digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

void digest_init(struct digest *d) {
  d->context = EVP_MD_CTX_new();
  assert(d->context != NULL);
  int ok = EVP_DigestInit_ex(d->context, EVP_sha256(), NULL);
  assert(ok == 1);
}

void digest_update(struct digest *d, const void *data, size_t len) {
  assert(d->context != NULL);
  int ok = EVP_DigestUpdate(d->context, data, len);
  assert(ok == 1);
}

void digest_done(struct digest *d, uint8_t out[DIGEST_SIZE]) {
  assert(d->context != NULL);
  unsigned size = DIGEST_SIZE;
  int ok = EVP_DigestFinal_ex(d->context, out, &size);
  assert(ok == 1 && size == DIGEST_SIZE);
  EVP_MD_CTX_free(d->context);
  d->context = NULL;
}

void digest_of(const void *data, size_t len, uint8_t out[DIGEST_SIZE]) {
  assert(data != NULL || len == 0);
  unsigned size = DIGEST_SIZE;
  int ok = EVP_Digest(data, len, out, &size, EVP_sha256(), NULL);
  assert(ok == 1 && size == DIGEST_SIZE);
}

void digest_hex(const uint8_t in[DIGEST_SIZE], char out[DIGEST_HEX]) {
  assert(in != NULL && out != NULL);
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < DIGEST_SIZE; i++) {
    out[2 * i] = digits[in[i] >> 4];
    out[2 * i + 1] = digits[in[i] & 15];
  }
  out[2 * DIGEST_SIZE] = '\0';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

int digest_from_hex(const char *hex, uint8_t out[DIGEST_SIZE]) {
  assert(hex != NULL && out != NULL);
  if (strlen(hex) != 2 * DIGEST_SIZE) return -1;
  for (size_t i = 0; i < DIGEST_SIZE; i++) {
    int high = hex_value(hex[2 * i]);
    int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    out[i] = (uint8_t)(high << 4 | low);
  }
  return 0;
}

void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[DIGEST_SIZE]) {
  assert(key != NULL && data != NULL && key_len <= 4096);
  unsigned size = DIGEST_SIZE;
  const uint8_t *ok = HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &size);
  assert(ok != NULL && size == DIGEST_SIZE);
}
