#include "store/local/index_format.h"

#include <assert.h>

#include "base/codec.h"

#define HEADER_MAGIC "DOMINDEX"
enum {
  HEADER_VERSION = 1,
  HEADER_KNOWN_INCOMPAT = 0, /* no incompatible feature exists yet */
  AT_VERSION = 8,
  AT_INCOMPAT = 24,
  AT_SALT = 32,
  AT_CHECK = 64,
  AT_CRC = INDEX_SECTOR_SIZE - 4 /* in either sector */
};

_Static_assert((int)INDEX_KEY_SIZE == (int)KEY_SIZE, "index_file.h repeats this size for C++");

void index_format_keys(const uint8_t index_key[KEY_SIZE], const uint8_t salt[INDEX_SALT_SIZE],
                       uint8_t out_key[KEY_SIZE], uint8_t out_check[INDEX_CHECK_SIZE]) {
  assert(index_key && salt && out_key && out_check);
  static const char kind[] = "index-file";
  uint8_t info[sizeof kind - 1 + INDEX_SALT_SIZE], check[KEY_SIZE];
  memcpy(info, kind, sizeof kind - 1);
  memcpy(info + sizeof kind - 1, salt, INDEX_SALT_SIZE);
  hkdf_sha256(index_key, slice_of(info, sizeof info), out_key);
  hkdf_sha256(out_key, SLICE_LIT("index-file check"), check);
  memcpy(out_check, check, INDEX_CHECK_SIZE);
}

static void seal_sector(uint8_t *sector) {
  store_u32le(sector + AT_CRC, crc32c(0, sector, AT_CRC));
}

static bool sector_good(const uint8_t *sector) {
  return load_u32le(sector + AT_CRC) == crc32c(0, sector, AT_CRC);
}

static bool sector_zero(const uint8_t *sector) {
  uint8_t any = 0;
  for (size_t i = 0; i < INDEX_SECTOR_SIZE; i++) any |= sector[i];
  return any == 0;
}

void index_format_length(uint64_t length, uint8_t out[INDEX_SECTOR_SIZE]) {
  assert(out);
  memset(out, 0, INDEX_SECTOR_SIZE);
  store_u64le(out, length);
  seal_sector(out);
}

void index_format_header(const uint8_t salt[INDEX_SALT_SIZE], const uint8_t check[INDEX_CHECK_SIZE],
                         uint8_t out[INDEX_HEADER_SIZE]) {
  assert(salt && check && out);
  memset(out, 0, INDEX_HEADER_SIZE); /* no features yet, of either kind */
  memcpy(out, HEADER_MAGIC, sizeof HEADER_MAGIC - 1);
  store_u32le(out + AT_VERSION, HEADER_VERSION);
  memcpy(out + AT_SALT, salt, INDEX_SALT_SIZE);
  memcpy(out + AT_CHECK, check, INDEX_CHECK_SIZE);
  seal_sector(out);
  index_format_length(0, out + INDEX_AT_LENGTH);
}

static enum dom_code check_version(const uint8_t header[INDEX_HEADER_SIZE], struct dom_err *err) {
  uint32_t version = load_u32le(header + AT_VERSION);
  uint64_t incompat = load_u64le(header + AT_INCOMPAT);
  if (version == HEADER_VERSION && !(incompat & ~(uint64_t)HEADER_KNOWN_INCOMPAT)) return DOM_OK;
  return dom_fail(err, DOM_INCOMPATIBLE, "store/index: header",
                  "index file format %u, features %llx: this build knows version %d only", version,
                  (unsigned long long)incompat, HEADER_VERSION);
}

enum dom_code index_format_open(const uint8_t index_key[KEY_SIZE], const uint8_t header[INDEX_HEADER_SIZE],
                                uint8_t out_key[KEY_SIZE], uint64_t *out_length, struct dom_err *err) {
  assert(index_key && header && out_key && out_length);
  if (sector_zero(header) || sector_zero(header + INDEX_AT_LENGTH)) {
    *out_length = 0;
    return DOM_OK;
  }
  bool ours = memcmp(header, HEADER_MAGIC, sizeof HEADER_MAGIC - 1) == 0;
  if (!ours || !sector_good(header) || !sector_good(header + INDEX_AT_LENGTH)) {
    return dom_fail(err, DOM_CORRUPT, "store/index: header", "the header of an index file is damaged");
  }
  enum dom_code code = check_version(header, err);
  if (code != DOM_OK) return code;
  uint8_t key[KEY_SIZE], check[INDEX_CHECK_SIZE];
  index_format_keys(index_key, header + AT_SALT, key, check);
  bool opens = slice_equal_secret(slice_of(check, sizeof check), slice_of(header + AT_CHECK, sizeof check));
  if (opens) {
    memcpy(out_key, key, KEY_SIZE);
    *out_length = load_u64le(header + INDEX_AT_LENGTH);
  }
  wipe(key, sizeof key);
  if (opens) return DOM_OK;
  return dom_fail(err, DOM_DENIED, "store/index: header", "the index key does not open this index file");
}
