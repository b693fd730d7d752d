/* Headers that a presigner moved into the query. Internal to the room. */
#ifndef DOMICILE_S3_HOIST_H
#define DOMICILE_S3_HOIST_H

#include "auth/auth.h"
#include "s3/request.h"

/* *out is `head` with the x-amz-* parameters of a presigned `query` as further headers, each where no
 * header of that name was sent: npm's presigner moves x-amz-meta-*, x-amz-acl, x-amz-tagging and others
 * there, and S3 obeys them. A query that is not presigned adds nothing. Left out are SigV4's own
 * parameters and all that speaks of the body: presigners put the checksum of the empty body they know
 * into every URL for PutObject.
 * New lines are in the arena; the rest is borrowed.
 * Returns: S3_OK; S3_ERR_INVALID_ARGUMENT (a name or value that no header can have),
 * S3_ERR_INTERNAL_ERROR (no memory). */
enum s3_error hoist_undo(const struct auth_request *head, const struct auth_query *query, struct arena *arena,
                         struct auth_request *out, struct s3_fault *fault);

/* Whether a header can have this name and value: a token, and no control characters. */
bool hoist_fits(struct slice name, struct slice value);

#endif
