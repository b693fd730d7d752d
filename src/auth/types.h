/* Auth types: what a request looks like to this room, and every verdict it can give.
 * Other rooms include auth/auth.h. */
#ifndef DOMICILE_AUTH_TYPES_H
#define DOMICILE_AUTH_TYPES_H

#include "base/bytes.h"

/* Clock skew S3 allows between signer and server, both ways. */
#define AUTH_SKEW_MS_MAX ((uint64_t)15 * 60 * 1000)

enum {
  AUTH_EXPIRES_S_MIN = 1,          /* shortest life of a presigned URL that can ever be used */
  AUTH_EXPIRES_S_MAX = 604800,     /* longest one: seven days, S3's limit */
  AUTH_ACCESS_KEY_BYTES_MAX = 128, /* AWS IAM: AccessKeyId is 16..128 characters */
  AUTH_SECRET_BYTES_MAX = 128,     /* AWS issues 40; room for others */
  AUTH_ACCOUNT_BYTES_MAX = 64,     /* bound of the key table and of stored owner names */
  AUTH_REGION_BYTES_MAX = 64,      /* bound of a row of the signing-key cache */
  AUTH_SIGNATURE_HEX = 64,         /* HMAC-SHA256 in hex */
  AUTH_DATE_SIZE = 16,             /* 20130524T000000Z without NUL */
  AUTH_SIGNED_HEADERS_MAX = 128,   /* names in SignedHeaders; a head has fewer lines than this */
  AUTH_QUERY_PARAMS_MAX = 128      /* pairs in a query; S3's longest operation has under 20 */
};

/* One header line. The name in any case; the value without line end, blanks around allowed. */
struct auth_header {
  struct slice name;
  struct slice value;
};

/* A request's head as it came over the wire; everything is borrowed. */
struct auth_request {
  struct slice method;               /* "GET" */
  struct slice raw_path;             /* of the request line, still percent-encoded, without '?' */
  struct slice raw_query;            /* after the '?', still encoded; empty when there is none */
  const struct auth_header *headers; /* in the order received */
  size_t header_count;
  uint64_t now_ms; /* wall clock, since 1970 UTC */
};

/* Every verdict. The comment names the S3 error code that a client must see. */
enum auth_error {
  AUTH_OK = 0,
  AUTH_ACCESS_DENIED,        /* AccessDenied: a needed part is absent, e.g. no date */
  AUTH_UNSIGNED_HEADERS,     /* AccessDenied: host or an x-amz-* header present is not signed */
  AUTH_EXPIRED,              /* AccessDenied "Request has expired" */
  AUTH_NOT_YET_VALID,        /* AccessDenied: a presigned URL from the future */
  AUTH_UNKNOWN_ACCESS_KEY,   /* InvalidAccessKeyId */
  AUTH_SIGNATURE_MISMATCH,   /* SignatureDoesNotMatch */
  AUTH_TIME_SKEWED,          /* RequestTimeTooSkewed */
  AUTH_HEADER_MALFORMED,     /* AuthorizationHeaderMalformed */
  AUTH_QUERY_MALFORMED,      /* AuthorizationQueryParametersError */
  AUTH_UNSUPPORTED_TYPE,     /* InvalidArgument "Unsupported Authorization Type" */
  AUTH_TWO_MECHANISMS,       /* InvalidArgument "Only one auth mechanism allowed" */
  AUTH_FORM_MALFORMED,       /* InvalidArgument: a form's credential, date or signature */
  AUTH_SIGV2,                /* InvalidRequest: please use AWS4-HMAC-SHA256 */
  AUTH_INVALID_TOKEN,        /* InvalidToken: a session token that is none, or not of this credential */
  AUTH_EXPIRED_TOKEN,        /* ExpiredToken: its time is over */
  AUTH_INVALID_PAYLOAD_HASH, /* InvalidArgument: x-amz-content-sha256 is no known value */
  AUTH_INVALID_URI,          /* InvalidURI: a bad percent escape in path or query */
  AUTH_MISSING_LENGTH,       /* MissingContentLength: no x-amz-decoded-content-length */
  AUTH_INVALID_LENGTH,       /* InvalidArgument: that header is no decimal number */
  AUTH_INVALID_TRAILER,      /* InvalidRequest: x-amz-trailer names something not supported */
  AUTH_PAYLOAD_MISMATCH,     /* XAmzContentSHA256Mismatch */
  AUTH_INCOMPLETE_BODY,      /* IncompleteBody: ended early, or more than was announced */
  AUTH_MALFORMED_CHUNK,      /* InvalidRequest: not aws-chunked, though announced */
  AUTH_MALFORMED_TRAILER,    /* MalformedTrailerError */
  AUTH_INVALID_CHECKSUM,     /* InvalidRequest: a checksum value of the wrong shape */
  AUTH_CHECKSUM_MISMATCH,    /* BadDigest: a checksum does not match the bytes received */
  AUTH_TOO_MANY_PARTS,       /* InvalidRequest: a named limit of this header is exceeded */
  AUTH_NO_MEMORY,            /* InternalError, or SlowDown at the caller's choice */
  AUTH_ERROR_COUNT
};

/* Stable lower-case name of a verdict ("signature-mismatch"), for logs and tests; never NULL. */
const char *auth_error_name(enum auth_error error);

/* Without the blanks and tabs around it (RFC 9110 §5.5). */
struct slice auth_value_trim(struct slice value);

/* The one value of header `name` (ASCII case-insensitive), blanks around it cut off, in
 * *out_value. Returns: how many lines carry it; with 0 the output is untouched, with several it
 * is the first. */
size_t auth_header_find(const struct auth_request *request, struct slice name, struct slice *out_value);

#endif
