/* Documents about who may do what: ACLs, the status of a policy. Read and written as text; what it means is
 * the policy room's matter. Ownership controls and the public access block: config.h. Pure. Threads: any. */
#ifndef DOMICILE_S3_ACCESS_H
#define DOMICILE_S3_ACCESS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "s3/error.h"

enum { S3_GRANTS_MAX = 100 /* S3's limit for an ACL */ };

/* One grant: to an account by `id` or to a group by `uri`, the other is empty. */
struct s3_grant {
  struct slice id;
  struct slice uri;
  struct slice permission; /* READ, WRITE, READ_ACP, WRITE_ACP or FULL_CONTROL */
};
struct s3_acl {
  struct slice owner; /* may be empty in a document that came in */
  struct s3_grant grant[S3_GRANTS_MAX];
  size_t count;
};

/* AccessControlPolicy; slices in the arena. Returns: S3_OK; S3_ERR_MALFORMED_ACL (also too many grants, an
 * unknown permission, a grantee by e-mail address); S3_ERR_MAX_MESSAGE_LENGTH; S3_ERR_INTERNAL_ERROR.
 * Source: AWS S3 API reference, PutBucketAcl. */
enum s3_error s3_acl_parse(struct slice body, struct arena *arena, struct s3_acl *out);
/* The answer of GetBucketAcl and GetObjectAcl. */
void s3_acl_result(const struct s3_acl *acl, struct buf *out);

/* PolicyStatus, the answer of GetBucketPolicyStatus. */
void s3_policy_status_result(bool is_public, struct buf *out);

#endif
