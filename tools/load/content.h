/* Content: where an object's bytes come from, a real file or a made sequence that can be made
 * again from its seed. */
#ifndef DOMICILE_LOAD_CONTENT_H
#define DOMICILE_LOAD_CONTENT_H

#include "base/bytes.h"
#include "digest.h"

struct content {
  /* a real file, or NULL for made bytes */
  const char *path;
  /* of made bytes */
  uint64_t seed;
  uint64_t size_bytes;
};

/* A plan's source column, "file:/path" or "made:SEED" (16 hex digits), with its size column.
 * Borrows `spec`. Returns: false when malformed. */
bool content_parse(const char *spec, uint64_t size_bytes, struct content *out);
/* The source column of `c`, appended to `out`. */
void content_print(const struct content *c, struct buf *out);
/* Reads exactly [offset, offset+len), which must lie within the size. Threads: any.
 * Returns: false when the file cannot be read or is shorter than the plan says. */
bool content_read(const struct content *c, uint64_t offset, void *out, size_t len);
/* SHA-256 of the whole content. Returns: false as content_read. */
bool content_digest(const struct content *c, uint8_t out[DIGEST_SIZE]);

/* The next number of a SplitMix64 sequence (Steele, Lea, Flood 2014): deterministic data,
 * never secrets. */
uint64_t content_random(uint64_t *state);

#endif
