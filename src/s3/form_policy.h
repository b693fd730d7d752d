/* The policy of a form: what its signer lets a browser send. JSON in, yes or no out; pure.
 *
 * The signature over it is auth's matter (auth_verify_form). Every field of the form must be named by a
 * condition: what the signer did not think of is refused. Field names and operators are compared without
 * regard to case, values byte by byte; a field that is not sent counts as empty, as in S3. Threads: any.
 * Source: AWS S3 API reference, "Creating a POST policy". */
#ifndef DOMICILE_S3_FORM_POLICY_H
#define DOMICILE_S3_FORM_POLICY_H

#include "base/arena.h"
#include "s3/error.h"
#include "s3/form.h"

enum {
  S3_FORM_POLICY_DEPTH_MAX = 8, /* a policy has three levels; a recursive reader must not see a thousand */
  S3_FORM_CONDITIONS_MAX = 256  /* two for each field that a form can have */
};

/* How long the file may be. */
struct s3_form_range {
  uint64_t bytes_min, bytes_max;
};

/* Judges the fields of a form for `bucket` by its policy, the base64 text of the field. `out_range` is
 * narrowed by content-length-range conditions, and left alone where there are none.
 * Returns: S3_OK; S3_ERR_INVALID_FORM_POLICY no policy; S3_ERR_DENIED_BY_FORM_POLICY expired, a condition
 * that does not hold, a field that no condition names; S3_ERR_INTERNAL_ERROR no memory. The fault's detail
 * lies in the arena. */
enum s3_error s3_form_policy_check(struct slice policy, const struct s3_form_fields *fields,
                                   struct slice bucket, uint64_t now_ms, struct arena *arena,
                                   struct s3_form_range *out_range, struct s3_fault *fault);

#endif
