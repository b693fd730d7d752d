/* SSE-C: objects that only their sender's key opens. docs/decisions tells the scheme and its reasons.
 *
 * The bytes are sealed twice. Inside, AES-256-CTR under a key of the body, made from a data key of the object
 * that the client's key wraps; outside, what the store does with every body, under the subject's key of the
 * vault. The wrapped key lies in the object's metadata, which is sealed under the subject's key, too: so
 * dropping that shreds these objects as all others, and a move, which opens the outer seal alone, needs no
 * client. Sizes stay what they are.
 *
 * Invariant: a client's key is nowhere but in the head of its request. Threads: one call at a time. */
#ifndef DOMICILE_SERVE_CUSTOMER_H
#define DOMICILE_SERVE_CUSTOMER_H

#include "base/crypto.h"
#include "s3/s3.h"
#include "store/store.h"

struct call;

enum {
  CUSTOMER_SEALED_SIZE = 1 + 16 + 32 + KEY_SIZE + GCM_TAG_SIZE, /* version, salt, verifier, data key, tag */
  CUSTOMER_SALT_SIZE = S3_PART_SALT_SIZE
};
/* Salt of a body that came in one piece: its object's data key seals nothing else. */
extern const uint8_t CUSTOMER_WHOLE[CUSTOMER_SALT_SIZE];

/* The data key of one object, or of one upload and the object to come. Wipe it. */
struct customer {
  uint8_t key[KEY_SIZE];
};
/* Draws a data key. *sealed, for s3_meta.customer: salt, verifier, wrapped key
 * (docs/formats/object-metadata.md). Returns: S3_OK; S3_ERR_SLOW_DOWN (no memory). */
enum s3_error customer_new(const struct s3_customer_key *key, struct customer *out,
                           uint8_t sealed[CUSTOMER_SEALED_SIZE]);
/* Unwraps it. Returns: S3_OK; S3_ERR_CUSTOMER_WRONG another key; S3_ERR_INTERNAL_ERROR not that format, or
 * damaged; S3_ERR_SLOW_DOWN (no memory). */
enum s3_error customer_open(struct slice sealed, const struct s3_customer_key *key, struct customer *out);
/* Whether request and object agree: sealed and opened, *out is the data key; or neither. Returns: as
 * customer_open; S3_ERR_CUSTOMER_NEEDED; S3_ERR_CUSTOMER_NOT_APPLICABLE. */
enum s3_error customer_match(struct slice sealed, const struct s3_customer_key *key, struct customer *out);
/* The key of one body. */
void customer_body_key(const struct customer *customer, const uint8_t salt[CUSTOMER_SALT_SIZE],
                       uint8_t out[KEY_SIZE]);

/* Reads an object as its client gave it, sealed by a key of the client's or not. */
struct customer_reader {
  struct store_found *found;
  bool is_sealed;
  struct customer customer; /* the rest is of use when sealed */
  struct s3_parts parts;
  uint64_t first, end; /* of the body at hand, in the object */
  uint8_t key[KEY_SIZE];
};
/* `meta` is that of the found object and lives as long as the reader. Returns: as customer_match;
 * S3_ERR_INTERNAL_ERROR. Wiped by customer_reader_done, also after a failure. */
enum s3_error customer_reader_open(struct call *c, struct store_found *found, const struct s3_meta *meta,
                                   const struct s3_customer_key *key, struct customer_reader *out);
/* As store_found_read; *out_len may be less than asked for before the end, too, but not 0. */
enum dom_code customer_read(struct customer_reader *r, uint64_t at, void *out, size_t len, size_t *out_len,
                            struct dom_err *err);
void customer_reader_done(struct customer_reader *r);

/* Whether the request has a key, be it of an operation that takes none: who forwards it sends it along. */
bool customer_is_sent(const struct call *c);
/* Refuses a key that came, or would go on, where others could read it. S3_ERR_CUSTOMER_INSECURE. */
enum s3_error customer_secure(const struct call *c);
/* Wipes the keys that the request brought; at its end. */
void customer_forget(struct call *c);
/* Adds the headers that tell which key was used. */
void customer_fields(struct call *c);

#endif
