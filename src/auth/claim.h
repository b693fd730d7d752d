/* What a request claims about its sender, before anything is checked against a secret.
 * Internal to the room. */
#ifndef DOMICILE_AUTH_CLAIM_H
#define DOMICILE_AUTH_CLAIM_H

#include "auth/query.h"
#include "auth/verify.h"

/* Slices borrow from the request, its decoded query, or `date_text`. */
struct claim {
  enum auth_scheme scheme;
  struct slice access;
  struct slice scope;      /* 20130524/us-east-1/s3/aws4_request */
  struct slice scope_date; /* 20130524 */
  struct slice region;
  struct slice signed_headers; /* names joined by ';' */
  struct slice signature;      /* exactly AUTH_SIGNATURE_HEX hex digits */
  uint64_t date_ms;
  uint64_t expires_s; /* AUTH_QUERY, AUTH_FORM */
  char date_text[AUTH_DATE_SIZE + 1];
};

/* Detects the scheme and takes the credential apart. Checks shapes only: no clock, no key.
 * `region_pinned` empty accepts any region. Returns: AUTH_OK (AUTH_ANONYMOUS when there is no
 * credential), AUTH_SIGV2, AUTH_UNSUPPORTED_TYPE, AUTH_TWO_MECHANISMS, AUTH_HEADER_MALFORMED,
 * AUTH_QUERY_MALFORMED, AUTH_ACCESS_DENIED (no date). */
enum auth_error claim_parse(const struct auth_request *request, const struct auth_query *query,
                            struct slice region_pinned, struct claim *out);
/* The same of a form's fields; nothing is in signed_headers. Returns: AUTH_OK, AUTH_FORM_MALFORMED. */
enum auth_error claim_parse_form(const struct auth_form *form, struct slice region_pinned, struct claim *out);

#endif
