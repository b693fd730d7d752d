/* The query of a request, split and decoded by one function for all, so that what was signed and
 * what is acted upon can never be read differently: a presigned URL whose parameters meant one thing
 * to the verifier and another to the dialect would be a way around the signature. */
#ifndef DOMICILE_AUTH_QUERY_H
#define DOMICILE_AUTH_QUERY_H

#include "auth/types.h"
#include "base/arena.h"

/* Decoded pairs in the order sent. A pair without '=' has an empty value and `bare` true. */
struct auth_param {
  struct slice name;
  struct slice value;
  bool bare;
};

struct auth_query {
  struct auth_param *params;
  size_t count;
};

/* Splits at '&' and the first '=', decodes percent escapes, '+' as a blank (S3 does so); empty
 * pairs are skipped. Memory of *out is in the arena.
 * Returns: AUTH_OK; AUTH_INVALID_URI (a bad escape), AUTH_TOO_MANY_PARTS (over
 * AUTH_QUERY_PARAMS_MAX pairs), AUTH_NO_MEMORY. */
enum auth_error auth_query_parse(struct slice raw_query, struct arena *arena, struct auth_query *out);

/* First value of the parameter `name` (case-sensitive, as S3) in *out_value.
 * Returns: how many pairs carry that name; with 0 the output is untouched. */
size_t auth_query_find(const struct auth_query *query, struct slice name, struct slice *out_value);

#endif
