/* CORS: which pages of other origins a browser lets at a bucket. It protects the user of a browser and nobody
 * else: who may do what is decided by signature and policy in any case.
 * Source: AWS S3 API reference, PutBucketCors; S3 user guide, "How does Amazon S3 evaluate the CORS
 * configuration on a bucket?"; Fetch standard, "CORS protocol". */
#ifndef DOMICILE_S3_CORS_H
#define DOMICILE_S3_CORS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "s3/error.h"
#include "s3/reply.h"

enum {
  S3_CORS_BYTES_MAX = 64 << 10, /* S3's limit of the document */
  S3_CORS_RULES_MAX = 100,
  S3_CORS_METHODS_MAX = 5,       /* there are five: GET, PUT, POST, DELETE, HEAD */
  S3_CORS_LIST_MAX = 100,        /* origins or headers of one rule: within 64 KiB; ours */
  S3_CORS_HEADERS_ASKED_MAX = 64 /* of one preflight; no page asks for more than a few */
};

struct s3_cors_list {
  struct slice *item; /* in the arena */
  size_t count;
};
struct s3_cors_rule {
  struct slice id; /* empty: none */
  struct s3_cors_list origins, methods, headers, exposed;
  bool has_max_age;
  uint64_t max_age_s;
};
struct s3_cors {
  struct s3_cors_rule *rule; /* in the arena */
  size_t count;
};

/* As the parsers of config.h; S3_ERR_INVALID_REQUEST: a method that S3 does not allow, or more than one '*'
 * in an origin or header. */
enum s3_error s3_cors_parse(struct slice body, struct arena *arena, struct s3_cors *out);
void s3_cors_print(const struct s3_cors *cors, struct buf *out);

/* The first rule that lets this origin use this method and, for a preflight, these headers
 * (Access-Control-Request-Headers as sent; empty: none); NULL: no rule. */
const struct s3_cors_rule *s3_cors_match(const struct s3_cors *cors, struct slice origin, struct slice method,
                                         struct slice headers);
/* What a browser is told of the rule that matched: Access-Control-… and Vary. `headers` as above, echoed. */
void s3_cors_headers(const struct s3_cors_rule *rule, struct slice origin, struct slice headers,
                     struct s3_headers *out);

#endif
