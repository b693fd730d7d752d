/* Checksums that S3 clients send beside a body, by their S3 names. */
#ifndef DOMICILE_AUTH_CHECKSUM_H
#define DOMICILE_AUTH_CHECKSUM_H

#include "auth/types.h"

/* The numbers are kept in stored metadata (docs/formats/object-metadata.md): never renumber. */
enum auth_checksum_kind {
  AUTH_CHECKSUM_CRC32 = 0,     /* ISO-HDLC, reflected 0xEDB88320 */
  AUTH_CHECKSUM_CRC32C = 1,    /* Castagnoli, RFC 3720 §B.4 */
  AUTH_CHECKSUM_SHA1 = 2,      /* FIPS 180-4 */
  AUTH_CHECKSUM_SHA256 = 3,    /* FIPS 180-4 */
  AUTH_CHECKSUM_CRC64NVME = 4, /* NVMe base spec, reflected 0x9A6C9329AC4BC9B5 */
  AUTH_CHECKSUM_KIND_COUNT
};

enum {
  AUTH_CHECKSUM_SIZE_MAX = 32,  /* bytes of the longest digest */
  AUTH_CHECKSUM_BASE64_MAX = 44 /* characters of that digest in base64 */
};

/* A digest. CRCs are big-endian, as S3 sends them. */
struct auth_digest {
  enum auth_checksum_kind kind;
  size_t size; /* bytes used of `data` */
  uint8_t data[AUTH_CHECKSUM_SIZE_MAX];
};

/* Bytes of a digest of this kind: 4, 8, 20 or 32. */
size_t auth_checksum_size(enum auth_checksum_kind kind);
/* "CRC32C", as in x-amz-checksum-algorithm; never NULL. */
const char *auth_checksum_algorithm(enum auth_checksum_kind kind);
/* "x-amz-checksum-crc32c", as a header's name; never NULL. */
const char *auth_checksum_header(enum auth_checksum_kind kind);
/* Kind by algorithm name, any case. Returns: false when unknown, *out untouched. */
bool auth_checksum_by_algorithm(struct slice name, enum auth_checksum_kind *out);
/* Kind by header name, any case. Returns: false when unknown, *out untouched. */
bool auth_checksum_by_header(struct slice name, enum auth_checksum_kind *out);

/* Parses a header's base64 value. Returns: AUTH_OK; AUTH_INVALID_CHECKSUM (not base64, or not
 * this kind's length); AUTH_NO_MEMORY. */
enum auth_error auth_digest_parse(enum auth_checksum_kind kind, struct slice base64, struct auth_digest *out);
/* Appends the base64 of a digest. */
void auth_digest_print(const struct auth_digest *digest, struct buf *out);
bool auth_digest_equal(const struct auth_digest *a, const struct auth_digest *b);

/* Whether checksums of this kind can be joined: the CRCs can. */
bool auth_checksum_joins(enum auth_checksum_kind kind);
/* The checksum of bytes that come in pieces, from the checksums of the pieces. Zero it before the first. */
struct auth_join {
  bool begun;
  struct auth_digest digest; /* of all pieces so far; of use when begun */
  uint64_t len, shift;       /* of the last piece: pieces are mostly of one length */
};
/* Adds a piece of `len` bytes; all are of one kind that joins (asserted). */
void auth_join_add(struct auth_join *join, const struct auth_digest *piece, uint64_t len);

/* An incremental checksum. Threads: one at a time. */
struct auth_checksum;
struct auth_checksum *auth_checksum_new(enum auth_checksum_kind kind); /* NULL without memory */
void auth_checksum_free(struct auth_checksum *checksum);               /* NULL is allowed */
void auth_checksum_update(struct auth_checksum *checksum, struct slice data);
/* The digest of all bytes so far; the checksum is then spent. */
void auth_checksum_final(struct auth_checksum *checksum, struct auth_digest *out);

#endif
