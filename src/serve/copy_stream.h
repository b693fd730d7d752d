/* Copy stream: the source of a copy on its way from one home to another. What it is, its bytes, the
 * signature. Pure. Inside serve only. Format: docs/formats/copy.md. */
#ifndef DOMICILE_SERVE_COPY_STREAM_H
#define DOMICILE_SERVE_COPY_STREAM_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/err.h"

enum {
  COPY_STREAM_META_MAX = 64 << 10,  /* what the store keeps of one object */
  COPY_STREAM_CLASSES_MAX = 4 << 10 /* the same */
};

/* What comes before the bytes. */
struct copy_head {
  uint64_t count;       /* bytes that follow */
  struct slice meta;    /* the object's stored metadata, as s3 encoded it */
  struct slice classes; /* names of classes that the copy inherits, comma-separated */
};
/* Appends it. Asserts the limits above. */
void copy_head_put(const struct copy_head *h, struct buf *out);

/* The receiving side: fed with pieces of any size. */
struct copy_stream {
  struct buf raw;        /* the head as far as it has come */
  bool has_head;         /* it is whole: `head` may be read; its slices borrow from the stream */
  struct copy_head head; /* of use when has_head */
  uint64_t left;         /* bytes still to come */
  uint8_t signature[ED25519_SIG_SIZE];
  size_t signature_len; /* as far as it has come */
  struct hash *hash;    /* over all before the signature */
};
/* Returns: DOM_NO_MEMORY. Release with copy_stream_done, also after a failure. */
enum dom_code copy_stream_init(struct copy_stream *s);
void copy_stream_done(struct copy_stream *s);
/* Takes a prefix of *bytes, at least one, off it; call until none are left. *out_body: those among them
 * that are the object's, borrowed; empty until has_head has been true for one call's end, so that the caller
 * can act on the head before the first of them.
 * Returns: DOM_INVALID not this format, over a limit, or longer than announced; DOM_NO_MEMORY. */
enum dom_code copy_stream_feed(struct copy_stream *s, struct slice *bytes, struct slice *out_body,
                               struct dom_err *err);
/* True when all has come; *out_sha256 is what `signature` must be over. To be asked once. */
bool copy_stream_end(struct copy_stream *s, uint8_t out_sha256[SHA256_SIZE]);

#endif
