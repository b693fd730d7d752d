/* Records: one line of a journal, an intent or an answer of one operation.
 *
 * Format: tab-separated columns, '-' for an empty one:
 *   kind id op start_ns end_ns status met subject country bucket key size sha256
 * kind: I intent, A answer, O value observed by a check. Times are CLOCK_MONOTONIC. `status` is
 * the HTTP status, 0 when no answer came, 1 when nothing was sent because nobody took the
 * connection (so that the operation certainly had no effect). `met` is the answer's x-domicile-met header: in
 * which state the operation met its subject (home, copying, held, forwarded). The key is percent-encoded;
 * size and sha256 tell the value that the key holds if the operation took effect ('-' for a deletion). */
#ifndef DOMICILE_LOAD_RECORD_H
#define DOMICILE_LOAD_RECORD_H

#include "base/bytes.h"
#include "digest.h"

/* The status of an operation that was never sent. */
#define RECORD_UNSENT 1

enum record_op {
  RECORD_PUT,
  RECORD_COPY,
  /* of a multipart upload */
  RECORD_COMPLETE,
  RECORD_DELETE,
  /* a multipart upload; changes no key */
  RECORD_CREATE,
  /* changes no key */
  RECORD_PART,
  RECORD_OP_COUNT
};
/* The operation's name in journals and messages. */
const char *record_op_name(enum record_op op);

/* One value that a key may hold. */
struct value {
  /* false: the key is absent, the rest is zero */
  bool present;
  uint64_t size_bytes;
  uint8_t sha256[DIGEST_SIZE];
};
/* Two absent values are equal; present ones by size and hash. */
bool value_equal(const struct value *a, const struct value *b);

struct record {
  /* 'I', 'A' or 'O' */
  char kind;
  const char *id;
  enum record_op op;
  uint64_t start_ns;
  uint64_t end_ns;
  unsigned status;
  /* "" when the answer had none */
  const char *met;
  const char *subject;
  const char *country;
  const char *bucket;
  struct slice key;
  struct value value;
};

/* One line with its newline, appended to `out`. */
void record_print(const struct record *r, struct buf *out);
/* From a table's row; borrows its columns and unescapes the key in place.
 * Returns: false when malformed. */
bool record_parse(char *const columns[], size_t count, struct record *out);

#endif
