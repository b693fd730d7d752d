/* Conditional requests, evaluated by pure functions: the caller looks up what is there, these say
 * what follows. An entity tag is compared as text without quotes; "W/" is dropped, since every tag
 * of S3 is strong. For a write the look-up and the write must be one atomic step, or the answer is
 * worth nothing: that is the store's guard. Threads: any. */
#ifndef DOMICILE_S3_CONDITION_H
#define DOMICILE_S3_CONDITION_H

#include "base/bytes.h"
#include "s3/error.h"

/* The four conditions; empty slices and false where not sent. */
struct s3_condition {
  struct slice if_match; /* as sent: "*" or a list of entity tags, with or without quotes */
  struct slice if_none_match;
  bool has_modified_since;
  bool has_unmodified_since;
  uint64_t modified_since_ms;
  uint64_t unmodified_since_ms;
};

/* For GET and HEAD. `etag` without quotes. Dates have whole seconds; an object's fraction is cut.
 * Order and precedence: RFC 9110 §13.2.2 (If-Match hides If-Unmodified-Since, If-None-Match hides
 * If-Modified-Since), as S3.
 * Returns: S3_OK; S3_ERR_PRECONDITION_FAILED; S3_ERR_NOT_MODIFIED. */
enum s3_error s3_condition_read(const struct s3_condition *condition, struct slice etag,
                                uint64_t modified_ms);

/* For the source of a copy: as above, but every failure is S3_ERR_PRECONDITION_FAILED. */
enum s3_error s3_condition_copy(const struct s3_condition *condition, struct slice etag,
                                uint64_t modified_ms);

/* For PUT, CompleteMultipartUpload and DELETE: what is there now (`exists`, its etag).
 * Returns: S3_OK; S3_ERR_PRECONDITION_FAILED; S3_ERR_NO_SUCH_KEY (If-Match and nothing there). */
enum s3_error s3_condition_write(const struct s3_condition *condition, bool exists, struct slice etag);

/* Whether any of the four was sent. */
bool s3_condition_is_empty(const struct s3_condition *condition);

#endif
