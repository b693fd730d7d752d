#include "s3/route.h"

#include <assert.h>

enum level { LEVEL_SERVICE, LEVEL_BUCKET, LEVEL_OBJECT };

/* The operations there are: the selecting parameter decides, NULL is the plain one. Within a
 * method and level the first match wins. */
static const struct route {
  const char *method;
  enum level level;
  const char *selector;
  bool is_copy; /* only with x-amz-copy-source */
  enum s3_op op;
} routes[] = {
    {"GET", LEVEL_SERVICE, NULL, false, S3_OP_LIST_BUCKETS},
    {"GET", LEVEL_BUCKET, "location", false, S3_OP_GET_BUCKET_LOCATION},
    {"GET", LEVEL_BUCKET, "versioning", false, S3_OP_GET_BUCKET_VERSIONING},
    {"GET", LEVEL_BUCKET, "acl", false, S3_OP_GET_BUCKET_ACL},
    {"GET", LEVEL_BUCKET, "versions", false, S3_OP_LIST_OBJECT_VERSIONS},
    {"GET", LEVEL_BUCKET, "cors", false, S3_OP_GET_BUCKET_CORS},
    {"GET", LEVEL_BUCKET, "lifecycle", false, S3_OP_GET_BUCKET_LIFECYCLE},
    {"GET", LEVEL_BUCKET, "tagging", false, S3_OP_GET_BUCKET_TAGGING},
    {"GET", LEVEL_BUCKET, "encryption", false, S3_OP_GET_BUCKET_ENCRYPTION},
    {"GET", LEVEL_BUCKET, "ownershipControls", false, S3_OP_GET_BUCKET_OWNERSHIP},
    {"GET", LEVEL_BUCKET, "policy", false, S3_OP_GET_BUCKET_POLICY},
    {"GET", LEVEL_BUCKET, "publicAccessBlock", false, S3_OP_GET_PUBLIC_ACCESS_BLOCK},
    {"GET", LEVEL_BUCKET, "policyStatus", false, S3_OP_GET_BUCKET_POLICY_STATUS},
    {"GET", LEVEL_BUCKET, "object-lock", false, S3_OP_GET_OBJECT_LOCK_CONFIG},
    {"GET", LEVEL_BUCKET, "requestPayment", false, S3_OP_GET_BUCKET_REQUEST_PAYMENT},
    {"GET", LEVEL_BUCKET, "logging", false, S3_OP_GET_BUCKET_LOGGING},
    {"GET", LEVEL_BUCKET, "notification", false, S3_OP_GET_BUCKET_NOTIFICATION},
    {"GET", LEVEL_BUCKET, "accelerate", false, S3_OP_GET_BUCKET_ACCELERATE},
    {"GET", LEVEL_BUCKET, "website", false, S3_OP_GET_BUCKET_WEBSITE},
    {"GET", LEVEL_BUCKET, "replication", false, S3_OP_GET_BUCKET_REPLICATION},
    {"GET", LEVEL_BUCKET, "uploads", false, S3_OP_LIST_MULTIPART_UPLOADS},
    {"GET", LEVEL_BUCKET, "list-type", false, S3_OP_LIST_OBJECTS_V2},
    {"GET", LEVEL_BUCKET, NULL, false, S3_OP_LIST_OBJECTS},
    {"HEAD", LEVEL_BUCKET, NULL, false, S3_OP_HEAD_BUCKET},
    {"PUT", LEVEL_BUCKET, "cors", false, S3_OP_PUT_BUCKET_CORS},
    {"PUT", LEVEL_BUCKET, "lifecycle", false, S3_OP_PUT_BUCKET_LIFECYCLE},
    {"PUT", LEVEL_BUCKET, "tagging", false, S3_OP_PUT_BUCKET_TAGGING},
    {"PUT", LEVEL_BUCKET, "encryption", false, S3_OP_PUT_BUCKET_ENCRYPTION},
    {"PUT", LEVEL_BUCKET, "ownershipControls", false, S3_OP_PUT_BUCKET_OWNERSHIP},
    {"PUT", LEVEL_BUCKET, "policy", false, S3_OP_PUT_BUCKET_POLICY},
    {"PUT", LEVEL_BUCKET, "publicAccessBlock", false, S3_OP_PUT_PUBLIC_ACCESS_BLOCK},
    {"PUT", LEVEL_BUCKET, "object-lock", false, S3_OP_PUT_OBJECT_LOCK_CONFIG},
    {"PUT", LEVEL_BUCKET, "versioning", false, S3_OP_PUT_BUCKET_VERSIONING},
    {"PUT", LEVEL_BUCKET, "acl", false, S3_OP_PUT_BUCKET_ACL},
    {"PUT", LEVEL_BUCKET, NULL, false, S3_OP_CREATE_BUCKET},
    {"DELETE", LEVEL_BUCKET, "cors", false, S3_OP_DELETE_BUCKET_CORS},
    {"DELETE", LEVEL_BUCKET, "lifecycle", false, S3_OP_DELETE_BUCKET_LIFECYCLE},
    {"DELETE", LEVEL_BUCKET, "tagging", false, S3_OP_DELETE_BUCKET_TAGGING},
    {"DELETE", LEVEL_BUCKET, "encryption", false, S3_OP_DELETE_BUCKET_ENCRYPTION},
    {"DELETE", LEVEL_BUCKET, "ownershipControls", false, S3_OP_DELETE_BUCKET_OWNERSHIP},
    {"DELETE", LEVEL_BUCKET, "policy", false, S3_OP_DELETE_BUCKET_POLICY},
    {"DELETE", LEVEL_BUCKET, "publicAccessBlock", false, S3_OP_DELETE_PUBLIC_ACCESS_BLOCK},
    {"DELETE", LEVEL_BUCKET, NULL, false, S3_OP_DELETE_BUCKET},
    {"POST", LEVEL_BUCKET, "delete", false, S3_OP_DELETE_OBJECTS},
    {"POST", LEVEL_BUCKET, NULL, false, S3_OP_POST_OBJECT},
    {"GET", LEVEL_OBJECT, "acl", false, S3_OP_GET_OBJECT_ACL},
    {"PUT", LEVEL_OBJECT, "acl", false, S3_OP_PUT_OBJECT_ACL},
    {"GET", LEVEL_OBJECT, "attributes", false, S3_OP_GET_OBJECT_ATTRIBUTES},
    {"GET", LEVEL_OBJECT, "tagging", false, S3_OP_GET_OBJECT_TAGGING},
    {"PUT", LEVEL_OBJECT, "tagging", false, S3_OP_PUT_OBJECT_TAGGING},
    {"DELETE", LEVEL_OBJECT, "tagging", false, S3_OP_DELETE_OBJECT_TAGGING},
    {"GET", LEVEL_OBJECT, "retention", false, S3_OP_GET_OBJECT_RETENTION},
    {"PUT", LEVEL_OBJECT, "retention", false, S3_OP_PUT_OBJECT_RETENTION},
    {"GET", LEVEL_OBJECT, "legal-hold", false, S3_OP_GET_OBJECT_LEGAL_HOLD},
    {"PUT", LEVEL_OBJECT, "legal-hold", false, S3_OP_PUT_OBJECT_LEGAL_HOLD},
    {"GET", LEVEL_OBJECT, "uploadId", false, S3_OP_LIST_PARTS},
    {"GET", LEVEL_OBJECT, NULL, false, S3_OP_GET_OBJECT},
    {"HEAD", LEVEL_OBJECT, NULL, false, S3_OP_HEAD_OBJECT},
    {"PUT", LEVEL_OBJECT, "uploadId", true, S3_OP_UPLOAD_PART_COPY},
    {"PUT", LEVEL_OBJECT, "uploadId", false, S3_OP_UPLOAD_PART},
    {"PUT", LEVEL_OBJECT, NULL, true, S3_OP_COPY_OBJECT},
    {"PUT", LEVEL_OBJECT, NULL, false, S3_OP_PUT_OBJECT},
    {"POST", LEVEL_OBJECT, "uploads", false, S3_OP_CREATE_MULTIPART_UPLOAD},
    {"POST", LEVEL_OBJECT, "uploadId", false, S3_OP_COMPLETE_MULTIPART_UPLOAD},
    {"DELETE", LEVEL_OBJECT, "uploadId", false, S3_OP_ABORT_MULTIPART_UPLOAD},
    {"DELETE", LEVEL_OBJECT, NULL, false, S3_OP_DELETE_OBJECT},
};

/* Parameters of S3 that name a subresource. One that no route of the method and level selects
 * must never be mistaken for the plain operation: a DELETE of `?tagging` is no DELETE. */
static const char *const subresources[] = {
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
};

enum s3_error fault_set(struct s3_fault *fault, enum s3_error error, const char *detail) {
  assert(fault != NULL && error != S3_OK);
  *fault = (struct s3_fault){.error = error, .detail = detail};
  return error;
}

static bool query_has(const struct auth_query *query, const char *name) {
  struct slice unused;
  assert(name != NULL);
  return auth_query_find(query, slice_str(name), &unused) > 0;
}

static bool route_fits(const struct route *route, struct slice method, enum level level,
                       const struct auth_query *query, bool has_copy_source) {
  assert(route != NULL);
  if (route->level != level || !slice_equal(method, slice_str(route->method))) return false;
  if (route->is_copy && !has_copy_source) return false;
  return route->selector == NULL || query_has(query, route->selector);
}

static bool method_is_known(struct slice method, enum level level) {
  assert(method.data != NULL || method.len == 0);
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
    if (routes[i].level == level && slice_equal(method, slice_str(routes[i].method))) return true;
  return false;
}

/* A subresource in the query other than the one chosen, or NULL. */
static const char *subresource_left(const struct auth_query *query, const char *selector) {
  assert(query != NULL);
  for (size_t i = 0; i < sizeof subresources / sizeof subresources[0]; i++) {
    bool is_chosen = selector != NULL && strcmp(selector, subresources[i]) == 0;
    if (!is_chosen && query_has(query, subresources[i])) return subresources[i];
  }
  return NULL;
}

/* A version where none can be meant. */
static const char *argument_left(const struct auth_query *query, enum s3_op op) {
  assert(op != S3_OP_NOT_IMPLEMENTED);
  return query_has(query, "versionId") && !s3_op_takes_version(op) ? "versionId" : NULL;
}

enum s3_error route_find(struct slice method, const struct s3_target *target, const struct auth_query *query,
                         bool has_copy_source, enum s3_op *out, struct s3_fault *fault) {
  assert(target != NULL && query != NULL && out != NULL);
  enum level level = target->bucket.len == 0 ? LEVEL_SERVICE
                     : target->key.len == 0  ? LEVEL_BUCKET
                                             : LEVEL_OBJECT;
  /* A browser asks before a request of any kind: its query is that request's. */
  if (level != LEVEL_SERVICE && slice_equal(method, SLICE_LIT("OPTIONS"))) {
    *out = S3_OP_PREFLIGHT;
    return S3_OK;
  }
  const struct route *found = NULL;
  for (size_t i = 0; i < sizeof routes / sizeof routes[0] && found == NULL; i++)
    if (route_fits(&routes[i], method, level, query, has_copy_source)) found = &routes[i];

  const char *left = subresource_left(query, found == NULL ? NULL : found->selector);
  if (left != NULL) return fault_set(fault, S3_ERR_NOT_IMPLEMENTED, left);
  if (found == NULL && !method_is_known(method, level))
    return fault_set(fault, S3_ERR_METHOD_NOT_ALLOWED, NULL);
  if (found == NULL) return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "the query names no operation");
  /* A part whose upload is not named must not become the object. */
  if (found->op == S3_OP_PUT_OBJECT && query_has(query, "partNumber"))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "uploadId");
  left = argument_left(query, found->op);
  if (left != NULL) return fault_set(fault, S3_ERR_NOT_IMPLEMENTED, left);
  *out = found->op;
  return S3_OK;
}
