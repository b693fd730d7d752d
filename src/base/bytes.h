/* Bytes: borrowed slices and owned growable buffers.
 *
 * A slice borrows; nobody frees it. A buf owns its memory; `buf_done` releases it.
 * A failed allocation makes a buf *sticky-failed*: further appends do nothing and
 * `buf.failed` stays true, so that a writer checks once, at the end.
 *
 * Bytes are bytes: no function here knows a locale, and none needs a NUL unless its name says
 * `str`. Threads: any; a buf belongs to one at a time. */
#ifndef DOMICILE_BASE_BYTES_H
#define DOMICILE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct slice {
  const uint8_t *data; /* may be NULL when len is 0 */
  size_t len;
};

/* A slice of a string literal, without its NUL. */
#define SLICE_LIT(s) ((struct slice){(const uint8_t *)("" s), sizeof(s) - 1})

/* Borrows `len` bytes. */
static inline struct slice slice_of(const void *data, size_t len) {
  return (struct slice){(const uint8_t *)data, len};
}
/* Borrows a string without its NUL; NULL gives an empty slice. */
static inline struct slice slice_str(const char *s) {
  return slice_of(s, s ? strlen(s) : 0);
}

/* Same length and bytes; empty slices are equal, whatever their data points to. */
bool slice_equal(struct slice a, struct slice b);
/* Bytewise order, shorter first on a tie: <0, 0, >0. S3 listings use this order. */
int slice_compare(struct slice a, struct slice b);
/* True for an empty prefix too. */
bool slice_starts_with(struct slice s, struct slice prefix);
/* ASCII case-insensitive equality, for header names. */
bool slice_equal_nocase(struct slice a, struct slice b);
/* Time depends on the lengths only. Use for every secret or signature. */
bool slice_equal_secret(struct slice a, struct slice b);
/* Position of the first `c`, or s.len when absent. */
size_t slice_find(struct slice s, uint8_t c);
/* Bytes [from, to); asserts from <= to <= s.len. */
struct slice slice_cut(struct slice s, size_t from, size_t to);
/* Unsigned decimal, the whole slice, no sign, no blanks; leading zeros are allowed.
 * Returns: DOM_OK; DOM_INVALID for anything else, for an empty slice and past 2^64 - 1. */
enum dom_code slice_to_u64(struct slice s, uint64_t *out_value);

/* A growing buffer; all zeros is an empty one. */
struct buf {
  uint8_t *data; /* NULL until the first growth */
  size_t len;    /* bytes of content */
  size_t cap;    /* bytes of memory, len <= cap */
  bool failed;   /* an allocation failed; content is not complete */
};

#define BUF_INIT ((struct buf){0})

void buf_done(struct buf *b);      /* frees; the buf is empty and usable again */
void buf_wipe_done(struct buf *b); /* overwrites the whole capacity, then frees */
void buf_reset(struct buf *b);     /* len = 0, failed = false, memory kept */
/* Makes room for `more` bytes past the content; false when that failed, now or before. */
bool buf_reserve(struct buf *b, size_t more);
/* Appends, or does nothing when the buf has failed. `data` must not lie inside the buf. */
void buf_append(struct buf *b, const void *data, size_t len);
void buf_append_slice(struct buf *b, struct slice s);
void buf_append_str(struct buf *b, const char *s);
void buf_append_byte(struct buf *b, uint8_t c);
void buf_append_zero(struct buf *b, size_t len);
/* As printf, appended; the format is checked by the compiler. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ensures a NUL after the content (not counted in len) and returns it as a string;
 * "" when failed. Lives until the next change of the buf. */
const char *buf_str(struct buf *b);
static inline struct slice buf_slice(const struct buf *b) {
  return slice_of(b->data, b->len);
}
/* DOM_OK or DOM_NO_MEMORY (filling *err) by b->failed. */
enum dom_code buf_check(const struct buf *b, struct dom_err *err);

/* BUF_AUTO b = BUF_INIT: released at the end of the scope. */
#define BUF_AUTO __attribute__((cleanup(buf_done))) struct buf

/* Text forms. Encoders append; decoders leave their outputs as they were on failure. */

/* Appends two lower-case digits a byte. */
void hex_encode(struct buf *out, struct slice in);
/* Even count of hex digits, any case. Returns: DOM_OK and the count of bytes in *out_len;
 * DOM_INVALID for another character or an odd count, DOM_TOO_LARGE past out_cap. */
enum dom_code hex_decode(struct slice in, uint8_t *out, size_t out_cap, size_t *out_len);
/* RFC 4648 §4, padded. */
void base64_encode(struct buf *out, struct slice in);
/* RFC 4648 §4, padding required, no blanks, unused bits zero, so that each byte string has one
 * text; appends. Returns: DOM_OK (out may have failed, see buf_check), DOM_INVALID. */
enum dom_code base64_decode(struct slice in, struct buf *out);
/* RFC 3986 percent-decoding of `in`; '+' stays '+' unless plus_is_blank. Appends.
 * DOM_INVALID on a bad escape. */
enum dom_code percent_decode(struct slice in, bool plus_is_blank, struct buf *out);
/* Percent-encodes all but unreserved characters (RFC 3986 §2.3), '/' kept if keep_slash. */
void percent_encode(struct buf *out, struct slice in, bool keep_slash);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing past U+10FFFF). */
bool utf8_valid(struct slice s);

#endif
