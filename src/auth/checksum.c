#include "auth/checksum.h"

#include <assert.h>

#include "auth/crc.h"
#include "base/alloc.h"
#include "base/codec.h"
#include "base/crypto.h"

struct auth_checksum {
  enum auth_checksum_kind kind;
  uint64_t crc;
  struct hash *hash; /* the two SHA kinds */
};

static const struct {
  const char *algorithm;
  const char *header;
  size_t size;
} kinds[AUTH_CHECKSUM_KIND_COUNT] = {
    [AUTH_CHECKSUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", 4},
    [AUTH_CHECKSUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", 4},
    [AUTH_CHECKSUM_SHA1] = {"SHA1", "x-amz-checksum-sha1", 20},
    [AUTH_CHECKSUM_SHA256] = {"SHA256", "x-amz-checksum-sha256", 32},
    [AUTH_CHECKSUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", 8},
};

size_t auth_checksum_size(enum auth_checksum_kind kind) {
  assert((unsigned)kind < AUTH_CHECKSUM_KIND_COUNT);
  return kinds[kind].size;
}

const char *auth_checksum_algorithm(enum auth_checksum_kind kind) {
  assert((unsigned)kind < AUTH_CHECKSUM_KIND_COUNT);
  return kinds[kind].algorithm;
}

const char *auth_checksum_header(enum auth_checksum_kind kind) {
  assert((unsigned)kind < AUTH_CHECKSUM_KIND_COUNT);
  return kinds[kind].header;
}

bool auth_checksum_by_algorithm(struct slice name, enum auth_checksum_kind *out) {
  assert(out != NULL);
  for (unsigned i = 0; i < AUTH_CHECKSUM_KIND_COUNT; i++) {
    if (!slice_equal_nocase(name, slice_str(kinds[i].algorithm))) continue;
    *out = (enum auth_checksum_kind)i;
    return true;
  }
  return false;
}

bool auth_checksum_by_header(struct slice name, enum auth_checksum_kind *out) {
  assert(out != NULL);
  for (unsigned i = 0; i < AUTH_CHECKSUM_KIND_COUNT; i++) {
    if (!slice_equal_nocase(name, slice_str(kinds[i].header))) continue;
    *out = (enum auth_checksum_kind)i;
    return true;
  }
  return false;
}

enum auth_error auth_digest_parse(enum auth_checksum_kind kind, struct slice base64,
                                  struct auth_digest *out) {
  assert(out != NULL);
  size_t size = auth_checksum_size(kind);
  if (base64.len > AUTH_CHECKSUM_BASE64_MAX) return AUTH_INVALID_CHECKSUM;
  BUF_AUTO bytes = BUF_INIT;
  if (base64_decode(base64, &bytes) != DOM_OK) return bytes.failed ? AUTH_NO_MEMORY : AUTH_INVALID_CHECKSUM;
  if (bytes.failed) return AUTH_NO_MEMORY;
  if (bytes.len != size) return AUTH_INVALID_CHECKSUM;
  *out = (struct auth_digest){.kind = kind, .size = size};
  memcpy(out->data, bytes.data, size);
  return AUTH_OK;
}

void auth_digest_print(const struct auth_digest *digest, struct buf *out) {
  assert(digest != NULL && digest->size == auth_checksum_size(digest->kind));
  base64_encode(out, slice_of(digest->data, digest->size));
}

bool auth_digest_equal(const struct auth_digest *a, const struct auth_digest *b) {
  assert(a != NULL && b != NULL);
  return a->kind == b->kind && slice_equal(slice_of(a->data, a->size), slice_of(b->data, b->size));
}

struct auth_checksum *auth_checksum_new(enum auth_checksum_kind kind) {
  assert((unsigned)kind < AUTH_CHECKSUM_KIND_COUNT);
  struct auth_checksum *checksum = dom_calloc(1, sizeof *checksum);
  if (checksum == NULL) return NULL;
  checksum->kind = kind;
  if (kind == AUTH_CHECKSUM_SHA1)
    checksum->hash = hash_new(HASH_SHA1);
  else if (kind == AUTH_CHECKSUM_SHA256)
    checksum->hash = hash_new(HASH_SHA256);
  else
    return checksum;
  if (checksum->hash != NULL) return checksum;
  dom_free(checksum);
  return NULL;
}

void auth_checksum_free(struct auth_checksum *checksum) {
  if (checksum == NULL) return;
  assert((unsigned)checksum->kind < AUTH_CHECKSUM_KIND_COUNT);
  if (checksum->hash != NULL) hash_free(checksum->hash);
  dom_free(checksum);
}

void auth_checksum_update(struct auth_checksum *checksum, struct slice data) {
  assert(checksum != NULL);
  if (data.len == 0) return;
  if (checksum->hash != NULL)
    hash_update(checksum->hash, data.data, data.len);
  else if (checksum->kind == AUTH_CHECKSUM_CRC32)
    checksum->crc = crc32_iso((uint32_t)checksum->crc, data);
  else if (checksum->kind == AUTH_CHECKSUM_CRC32C)
    checksum->crc = crc32c((uint32_t)checksum->crc, data.data, data.len);
  else
    checksum->crc = crc64_nvme(checksum->crc, data);
}

void auth_checksum_final(struct auth_checksum *checksum, struct auth_digest *out) {
  assert(checksum != NULL && out != NULL);
  struct auth_digest digest = {.kind = checksum->kind, .size = auth_checksum_size(checksum->kind)};
  if (checksum->hash != NULL)
    hash_final(checksum->hash, digest.data);
  else if (digest.size == 4)
    store_u32be(digest.data, (uint32_t)checksum->crc);
  else
    store_u64be(digest.data, checksum->crc);
  *out = digest;
}

/* ---- joining ---- */

static const struct crc_shape *shape_of(enum auth_checksum_kind kind) {
  switch (kind) {
  case AUTH_CHECKSUM_CRC32:
    return &CRC_SHAPE_32;
  case AUTH_CHECKSUM_CRC32C:
    return &CRC_SHAPE_32C;
  case AUTH_CHECKSUM_CRC64NVME:
    return &CRC_SHAPE_64;
  default:
    return NULL;
  }
}

bool auth_checksum_joins(enum auth_checksum_kind kind) {
  assert((unsigned)kind < AUTH_CHECKSUM_KIND_COUNT);
  return shape_of(kind) != NULL;
}

static uint64_t crc_of(const struct auth_digest *digest) {
  assert(digest->size == 4 || digest->size == 8);
  return digest->size == 4 ? load_u32be(digest->data) : load_u64be(digest->data);
}

void auth_join_add(struct auth_join *join, const struct auth_digest *piece, uint64_t len) {
  const struct crc_shape *shape = shape_of(piece->kind);
  assert(shape != NULL && (!join->begun || join->digest.kind == piece->kind));
  if (!join->begun) {
    join->begun = true;
    join->digest = *piece;
    return;
  }
  if (join->shift == 0 || join->len != len) join->shift = crc_shift(shape, len);
  join->len = len;
  uint64_t crc = crc_join(shape, crc_of(&join->digest), crc_of(piece), join->shift);
  if (piece->size == 4)
    store_u32be(join->digest.data, (uint32_t)crc);
  else
    store_u64be(join->digest.data, crc);
}
