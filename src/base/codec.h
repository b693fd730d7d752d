/* Codec: fixed-width integers and length-prefixed bytes, little- and big-endian.
 * Store files are little-endian; ledger and wire evidence are big-endian. Structs are
 * never copied to disk; every format goes through these.
 *
 * Writing and reading mirror each other, and each side is checked once, at its end:
 *
 *   put_u64le(&b, lsn);                 struct reader r = reader_of(record);
 *   put_bytes16le(&b, name);            uint64_t lsn = get_u64le(&r);
 *   code = buf_check(&b, err);          struct slice name = get_bytes16le(&r);
 *                                       if (!reader_end(&r)) return DOM_CORRUPT;
 *
 * Until reader_end said yes, values that were read are only numbers: nothing may be allocated,
 * indexed or looked up by them. Threads: any; a buf or reader belongs to one at a time. */
#ifndef DOMICILE_BASE_CODEC_H
#define DOMICILE_BASE_CODEC_H

#include "base/bytes.h"

/* Writers append to a buf (sticky failure as in bytes.h): integers of a fixed width … */
void put_u8(struct buf *b, uint8_t v);
void put_u16le(struct buf *b, uint16_t v);
void put_u32le(struct buf *b, uint32_t v);
void put_u64le(struct buf *b, uint64_t v);
void put_u16be(struct buf *b, uint16_t v);
void put_u32be(struct buf *b, uint32_t v);
void put_u64be(struct buf *b, uint64_t v);
/* … and bytes behind their length, a u16 or u32 of the named order. They assert that the length
 * fits: a writer checks its limits before it encodes. */
void put_bytes16le(struct buf *b, struct slice s);
void put_bytes32le(struct buf *b, struct slice s);
void put_bytes16be(struct buf *b, struct slice s);
void put_bytes32be(struct buf *b, struct slice s);

/* Readers: a cursor over borrowed bytes. Reading past the end sets `bad` (sticky) and
 * yields zero; check once at the end with reader_end(). Safe on hostile input: a length is
 * compared with what is left before anything is read. */
struct reader {
  const uint8_t *at; /* next byte */
  size_t left;       /* bytes from `at` to the end */
  bool bad;          /* something was read past the end */
};
/* A cursor at the first byte of s; it borrows s. */
static inline struct reader reader_of(struct slice s) {
  return (struct reader){.at = s.data, .left = s.len};
}
/* Integers of a fixed width; 0 when bad. */
uint8_t get_u8(struct reader *r);
uint16_t get_u16le(struct reader *r);
uint32_t get_u32le(struct reader *r);
uint64_t get_u64le(struct reader *r);
uint16_t get_u16be(struct reader *r);
uint32_t get_u32be(struct reader *r);
uint64_t get_u64be(struct reader *r);
/* The next `len` bytes, borrowed from the reader's input; empty when bad. */
struct slice get_slice(struct reader *r, size_t len);
/* Copies the next `len` bytes to out; fills out with zeros when bad. */
void get_copy(struct reader *r, void *out, size_t len);
/* Bytes behind their length, as put_bytes… wrote them; borrowed, empty when bad. */
struct slice get_bytes16le(struct reader *r);
struct slice get_bytes32le(struct reader *r);
struct slice get_bytes16be(struct reader *r);
struct slice get_bytes32be(struct reader *r);
/* True when nothing went wrong and nothing is left over. Formats that allow trailing bytes look at
 * r->bad alone, and say so where they are described. */
bool reader_end(const struct reader *r);

/* Plain loads and stores for fixed places: exactly 4 or 8 bytes at p, of any alignment. */
static inline uint32_t load_u32le(const void *p) {
  const uint8_t *b = (const uint8_t *)p;
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
/* Here, not in codec.c: the CRC's inner loop calls it for each word. */
static inline uint64_t load_u64le(const void *p) {
  return (uint64_t)load_u32le(p) | (uint64_t)load_u32le((const uint8_t *)p + 4) << 32;
}
uint64_t load_u64be(const void *p);
uint32_t load_u32be(const void *p);
void store_u32le(void *p, uint32_t v);
void store_u64le(void *p, uint64_t v);
void store_u32be(void *p, uint32_t v);
void store_u64be(void *p, uint64_t v);

/* CRC-32C (Castagnoli, RFC 3720 §B.4), continuing from `crc` (0 to begin): the CRC of a and b
 * is crc32c(crc32c(0, a), b). Uses the processor's instruction where it has one (amd64 SSE4.2,
 * arm64 CRC), else a table; both give the same. Finds accidents; it protects against nobody. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
