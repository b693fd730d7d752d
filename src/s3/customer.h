/* SSE-C: keys that clients bring along for their objects. Here their headers alone; what is done with a key
 * is the caller's. Source: AWS S3 user guide, "Using server-side encryption with customer-provided keys".
 * Threads: any; pure. */
#ifndef DOMICILE_S3_CUSTOMER_H
#define DOMICILE_S3_CUSTOMER_H

#include "auth/auth.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "s3/error.h"

/* A key from a head. It is a secret, in the request's arena: not to be kept, logged or answered. */
struct s3_customer_key {
  uint8_t key[KEY_SIZE];
  struct slice md5_text; /* base64 of its MD5, as sent and checked: what answers tell */
};

/* Which of the two keys that a head may hold. */
enum s3_customer_which {
  S3_CUSTOMER_OWN,   /* x-amz-server-side-encryption-customer-…: of the object read or written */
  S3_CUSTOMER_SOURCE /* x-amz-copy-source-server-side-encryption-customer-…: of a copy's source */
};

/* *out: the key, or NULL when the head says nothing of one. In the arena.
 * Returns: S3_OK; S3_ERR_CUSTOMER_… when part of it is missing or wrong, also in *out_fault;
 * S3_ERR_INTERNAL_ERROR (no memory). */
enum s3_error s3_customer_from_head(const struct auth_request *head, enum s3_customer_which which,
                                    struct arena *arena, const struct s3_customer_key **out,
                                    struct s3_fault *out_fault);

#endif
