/* The framing of aws-chunked, without any cryptography. Internal to the room.
 * Source: AWS S3 API reference, "Transferring payload in multiple chunks" and "… with trailers".
 *
 *   chunk   = hex-size [";chunk-signature=" 64hex] CRLF data CRLF
 *   last    = "0" [";chunk-signature=" 64hex] CRLF
 *   body    = *chunk last *(name ":" value CRLF) CRLF */
#ifndef DOMICILE_AUTH_CHUNKED_H
#define DOMICILE_AUTH_CHUNKED_H

#include "auth/body.h"

enum chunked_state {
  CHUNKED_HEAD,     /* in the line that opens a chunk */
  CHUNKED_DATA,     /* `left` bytes of data to come */
  CHUNKED_DATA_END, /* the CRLF after data */
  CHUNKED_TRAILER,  /* lines after the last chunk */
  CHUNKED_DONE
};

enum chunked_event_kind {
  CHUNKED_NOTHING, /* the input is used up */
  CHUNKED_BEGIN,   /* a chunk opens: size, signature */
  CHUNKED_BYTES,   /* data, borrowed from the input */
  CHUNKED_END,     /* all data of the chunk were given (follows BEGIN at once when size is 0) */
  CHUNKED_LINE,    /* one trailer line, without its CRLF; valid until the next call */
  CHUNKED_COMPLETE /* the empty line: the body is over */
};

struct chunked_event {
  enum chunked_event_kind kind;
  struct slice bytes;     /* BYTES, LINE */
  uint64_t size;          /* BEGIN */
  struct slice signature; /* BEGIN; empty when the chunk has none; valid until the next call */
};

struct chunked {
  enum chunked_state state;
  bool is_last;    /* the chunk opened has size 0 */
  bool end_is_due; /* CHUNKED_END is the next event */
  uint64_t left;
  size_t line_len;
  size_t trailer_len; /* bytes of all trailer lines so far */
  uint8_t line[AUTH_TRAILER_BYTES_MAX];
};

void chunked_init(struct chunked *c);

/* Takes bytes up to the next event. *out_used of `in` are consumed.
 * Returns: AUTH_OK; AUTH_MALFORMED_CHUNK; AUTH_MALFORMED_TRAILER. */
enum auth_error chunked_next(struct chunked *c, struct slice in, size_t *out_used, struct chunked_event *out);

#endif
