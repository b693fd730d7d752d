/* Chunk: the chunked transfer coding, RFC 9112 §7.1, read strictly. A pure machine over bytes:
 * it says how many bytes of body come next and swallows everything between. Inside wire only. */
#ifndef DOMICILE_WIRE_CHUNK_H
#define DOMICILE_WIRE_CHUNK_H

#include "base/bytes.h"

enum {
  CHUNK_LINE_BYTES_MAX = 1024,    /* a size line with its extensions, which nobody uses */
  CHUNK_TRAILER_BYTES_MAX = 8192, /* all trailer fields; they are checked and dropped */
  CHUNK_SIZE_DIGITS_MAX = 15      /* hex digits of one size: past 2^60 nothing is honest */
};

enum chunk_phase {
  CHUNK_SIZE,
  CHUNK_EXTENSION,
  CHUNK_SIZE_LF,
  CHUNK_DATA,
  CHUNK_DATA_CR,
  CHUNK_DATA_LF,
  CHUNK_TRAILER_START,
  CHUNK_TRAILER_NAME,
  CHUNK_TRAILER_LINE,
  CHUNK_TRAILER_LF,
  CHUNK_LAST_LF,
  CHUNK_END,
  CHUNK_BAD
};

struct chunk_state {
  enum chunk_phase phase;
  uint64_t left;   /* in CHUNK_DATA: bytes of body still to come in this chunk */
  unsigned digits; /* of the size so far */
  size_t overhead; /* bytes of the present line, or of all trailers */
};

/* Feeds framing bytes; begins from a zeroed state. Stops at CHUNK_DATA, CHUNK_END or CHUNK_BAD or
 * when `in` is used up. Returns: bytes used. */
size_t chunk_feed(struct chunk_state *c, struct slice in);
/* Tells that `len` bytes of the chunk's data were taken, len <= left. */
void chunk_take(struct chunk_state *c, uint64_t len);

#endif
