/* Head: the start line and the header fields of one HTTP/1.1 request, as the client sent them.
 *
 * A head is parsed from one bounded buffer that holds all of it; every slice of a struct
 * wire_head borrows from that buffer. Nothing is decoded: `path` and `query` are the raw bytes
 * of the request target, because signatures are computed over raw bytes.
 *
 * What is refused here is refused for every handler, and the connection is closed after it: two
 * readers of one byte stream must never disagree about where a request ends (RFC 9112 §11.2).
 *
 * Words: *field* is one header line (name, value without surrounding blanks), *target* the
 * second word of the start line, *status* the HTTP status a refused head is answered with. */
#ifndef DOMICILE_WIRE_HEAD_H
#define DOMICILE_WIRE_HEAD_H

#include "base/bytes.h"

enum {
  /* Bytes of one head with its blank line. S3 allows 8 KiB of fields beside 2 KiB of metadata;
   * presigned queries and policies add some; past it there is no honest client. */
  WIRE_HEAD_BYTES_MAX = 32 * 1024,
  /* Bytes of the request target: a key of 1,024 bytes is 3 KiB when percent-encoded, a presigned
   * query with a session token about 4 KiB. */
  WIRE_TARGET_BYTES_MAX = 16 * 1024,
  /* Fields in one head. The largest real ones seen carry about 40. */
  WIRE_FIELDS_MAX = 100
};

enum wire_method {
  WIRE_METHOD_GET,
  WIRE_METHOD_HEAD,
  WIRE_METHOD_PUT,
  WIRE_METHOD_POST,
  WIRE_METHOD_DELETE,
  WIRE_METHOD_OPTIONS,
  WIRE_METHOD_OTHER /* a known HTTP method that S3 does not use; see method_text */
};

/* One header line. Both slices borrow. */
struct wire_field {
  struct slice name;  /* as sent: compare without case */
  struct slice value; /* surrounding blanks cut off; may be empty */
};

struct wire_head {
  enum wire_method method;
  struct slice method_text;
  struct slice target; /* whole, raw: "/bucket/key?list-type=2", or absolute form, or "*" */
  struct slice path;   /* raw, from the first '/'; "*" for OPTIONS * */
  struct slice query;  /* raw, after '?'; data is NULL where there is no '?' */
  struct slice host;   /* value of Host; empty only in HTTP/1.0 */
  unsigned minor;      /* 0 or 1: the y of HTTP/1.y */
  bool keep_alive;     /* the client is willing to send another request */
  bool chunked;        /* Transfer-Encoding: chunked */
  bool has_length;     /* a Content-Length was sent */
  uint64_t length;     /* its value, 0 without one */
  bool expect_continue;
  size_t field_count;
  struct wire_field fields[WIRE_FIELDS_MAX]; /* in the order sent */
};

/* How far a head has arrived. */
enum wire_scan {
  WIRE_SCAN_MORE,  /* so far well-formed, not yet whole */
  WIRE_SCAN_WHOLE, /* whole */
  WIRE_SCAN_BAD    /* answer the status */
};

/* Looks for the end of a head in the `bytes` that arrived so far.
 *   scanned     in/out: bytes already looked at; begins at 0 for a new head
 *   out_len     set on WHOLE: bytes of the head, blank line included
 *   out_status  set on BAD: 400 (a line feed without carriage return), 414 or 431
 * Threads: any; pure. */
enum wire_scan wire_head_scan(struct slice bytes, size_t *scanned, size_t *out_len, unsigned *out_status);

/* Parses one whole head. `bytes` ends with the blank line, and outlives *out, which borrows.
 * Safe on any bytes; this is the entry for fuzzing.
 *   out      whole on success; of no use after a refusal
 *   out_why  set on a refusal to a static sentence without any byte of the request
 * Returns: 0 when accepted, else the status to answer before closing:
 *   400 malformed or ambiguous · 414 target too long · 417 unknown expectation
 *   431 too large or too many fields · 501 unknown method · 505 HTTP version
 * Source: RFC 9112 §2–§7, RFC 9110 §5.5, §7.2; parsed by llhttp behind checks of our own.
 * Threads: any; pure. */
unsigned wire_head_parse(struct slice bytes, struct wire_head *out, const char **out_why);

/* Value of the first field called `name` (case does not matter); data is NULL when absent. */
struct slice wire_head_get(const struct wire_head *h, const char *name);
/* The next field called `name` at or after index *at; advances *at past it. False: no more. */
bool wire_head_next(const struct wire_head *h, const char *name, size_t *at, struct slice *out_value);
/* How many fields are called `name`. */
size_t wire_head_count(const struct wire_head *h, const char *name);
/* Removes every field for which `drop` says true; keeps the order of the others. */
void wire_head_drop(struct wire_head *h, bool (*drop)(struct slice name));

/* True for fields that concern one connection or its framing (RFC 9110 §7.6.1): Connection,
 * Keep-Alive, Transfer-Encoding, Content-Length, Expect, TE, Trailer, Upgrade, Proxy-Connection.
 * They are never forwarded; each side makes its own. */
bool wire_field_is_hop(struct slice name);

#endif
