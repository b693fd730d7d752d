/* From method, target and query to an operation. Internal to the room. */
#ifndef DOMICILE_S3_ROUTE_H
#define DOMICILE_S3_ROUTE_H

#include "auth/auth.h"
#include "s3/request.h"

/* Decides the operation. `has_copy_source`: x-amz-copy-source was sent.
 * Returns: S3_OK; S3_ERR_NOT_IMPLEMENTED (fault->detail names the subresource),
 * S3_ERR_METHOD_NOT_ALLOWED, S3_ERR_INVALID_ARGUMENT. */
enum s3_error route_find(struct slice method, const struct s3_target *target, const struct auth_query *query,
                         bool has_copy_source, enum s3_op *out, struct s3_fault *out_fault);

/* Fills *fault and returns `error`; for every parser of this room. */
enum s3_error fault_set(struct s3_fault *fault, enum s3_error error, const char *detail);

#endif
