/* S3's errors: code, status, message, and the XML they are answered with. */
#ifndef DOMICILE_S3_ERROR_H
#define DOMICILE_S3_ERROR_H

#include "auth/auth.h"
#include "base/bytes.h"

/* One per row of s3/errors.def, S3_ERR_… ; S3_OK is 0. */
enum s3_error {
  S3_OK = 0,
#define S3_ERROR(name, code, status, message) S3_ERR_##name,
#include "s3/errors.def"
#undef S3_ERROR
  S3_ERROR_COUNT
};

/* Why a request was not understood: the error, and what in the request it is about. */
struct s3_fault {
  enum s3_error error;
  const char *detail; /* static text: a header, parameter or subresource; NULL when there is none */
};

/* "NoSuchKey". Never NULL; S3_OK has no code and must not be asked for. */
const char *s3_error_code(enum s3_error error);
/* HTTP status, 304..507. */
unsigned s3_error_status(enum s3_error error);
/* Never empty: some clients fail on an error without a message. */
const char *s3_error_message(enum s3_error error);

/* Appends the message, escaped for XML, and ": detail" unless `detail` is NULL. */
void s3_error_message_text(enum s3_error error, const char *detail, struct buf *out);

/* The S3 error for a verdict of auth; S3_OK for AUTH_OK. */
enum s3_error s3_error_of_auth(enum auth_error error);

/* What the XML of an error names. Slices may be empty. */
struct s3_error_context {
  struct slice resource;   /* decoded path, "/bucket/key" */
  struct slice request_id; /* as in x-amz-request-id */
  struct slice host_id;    /* as in x-amz-id-2: names the region, never a machine */
  const char *detail;      /* appended to the message after a colon, or NULL */
};

/* Appends <Error> with Code, Message, Resource, RequestId, HostId. 304 has no body: appends
 * nothing. */
void s3_error_xml(enum s3_error error, const struct s3_error_context *context, struct buf *out);

#endif
