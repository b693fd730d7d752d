#include "s3/request.h"

#include <assert.h>

#include "s3/head.h"
#include "s3/hoist.h"
#include "s3/params.h"
#include "s3/route.h"

static const struct {
  const char *name;
  bool is_write;
  bool takes_version; /* of one version, where the query names one */
} ops[S3_OP_COUNT] = {
    [S3_OP_NOT_IMPLEMENTED] = {"NotImplemented", false},
    [S3_OP_LIST_BUCKETS] = {"ListBuckets", false},
    [S3_OP_CREATE_BUCKET] = {"CreateBucket", true},
    [S3_OP_HEAD_BUCKET] = {"HeadBucket", false},
    [S3_OP_DELETE_BUCKET] = {"DeleteBucket", true},
    [S3_OP_GET_BUCKET_LOCATION] = {"GetBucketLocation", false},
    [S3_OP_GET_BUCKET_VERSIONING] = {"GetBucketVersioning", false},
    [S3_OP_GET_BUCKET_ACL] = {"GetBucketAcl", false},
    [S3_OP_LIST_OBJECTS] = {"ListObjects", false},
    [S3_OP_LIST_OBJECTS_V2] = {"ListObjectsV2", false},
    [S3_OP_LIST_OBJECT_VERSIONS] = {"ListObjectVersions", false},
    [S3_OP_LIST_MULTIPART_UPLOADS] = {"ListMultipartUploads", false},
    [S3_OP_DELETE_OBJECTS] = {"DeleteObjects", true},
    [S3_OP_PUT_OBJECT] = {"PutObject", true},
    [S3_OP_GET_OBJECT] = {"GetObject", false, true},
    [S3_OP_HEAD_OBJECT] = {"HeadObject", false, true},
    [S3_OP_DELETE_OBJECT] = {"DeleteObject", true, true},
    [S3_OP_COPY_OBJECT] = {"CopyObject", true},
    [S3_OP_GET_OBJECT_ACL] = {"GetObjectAcl", false, true},
    [S3_OP_PUT_OBJECT_ACL] = {"PutObjectAcl", true, true},
    [S3_OP_GET_OBJECT_ATTRIBUTES] = {"GetObjectAttributes", false, true},
    [S3_OP_GET_OBJECT_TAGGING] = {"GetObjectTagging", false, true},
    [S3_OP_PUT_OBJECT_TAGGING] = {"PutObjectTagging", true, true},
    [S3_OP_DELETE_OBJECT_TAGGING] = {"DeleteObjectTagging", true, true},
    [S3_OP_GET_OBJECT_RETENTION] = {"GetObjectRetention", false, true},
    [S3_OP_PUT_OBJECT_RETENTION] = {"PutObjectRetention", true, true},
    [S3_OP_GET_OBJECT_LEGAL_HOLD] = {"GetObjectLegalHold", false, true},
    [S3_OP_PUT_OBJECT_LEGAL_HOLD] = {"PutObjectLegalHold", true, true},
    [S3_OP_CREATE_MULTIPART_UPLOAD] = {"CreateMultipartUpload", true},
    [S3_OP_UPLOAD_PART] = {"UploadPart", true},
    [S3_OP_UPLOAD_PART_COPY] = {"UploadPartCopy", true},
    [S3_OP_LIST_PARTS] = {"ListParts", false},
    [S3_OP_COMPLETE_MULTIPART_UPLOAD] = {"CompleteMultipartUpload", true},
    [S3_OP_ABORT_MULTIPART_UPLOAD] = {"AbortMultipartUpload", true},
    [S3_OP_GET_BUCKET_CORS] = {"GetBucketCors", false},
    [S3_OP_PUT_BUCKET_CORS] = {"PutBucketCors", true},
    [S3_OP_DELETE_BUCKET_CORS] = {"DeleteBucketCors", true},
    [S3_OP_GET_BUCKET_LIFECYCLE] = {"GetBucketLifecycleConfiguration", false},
    [S3_OP_PUT_BUCKET_LIFECYCLE] = {"PutBucketLifecycleConfiguration", true},
    [S3_OP_DELETE_BUCKET_LIFECYCLE] = {"DeleteBucketLifecycle", true},
    [S3_OP_GET_BUCKET_TAGGING] = {"GetBucketTagging", false},
    [S3_OP_PUT_BUCKET_TAGGING] = {"PutBucketTagging", true},
    [S3_OP_DELETE_BUCKET_TAGGING] = {"DeleteBucketTagging", true},
    [S3_OP_GET_BUCKET_ENCRYPTION] = {"GetBucketEncryption", false},
    [S3_OP_PUT_BUCKET_ENCRYPTION] = {"PutBucketEncryption", true},
    [S3_OP_DELETE_BUCKET_ENCRYPTION] = {"DeleteBucketEncryption", true},
    [S3_OP_GET_PUBLIC_ACCESS_BLOCK] = {"GetPublicAccessBlock", false},
    [S3_OP_PUT_PUBLIC_ACCESS_BLOCK] = {"PutPublicAccessBlock", true},
    [S3_OP_DELETE_PUBLIC_ACCESS_BLOCK] = {"DeletePublicAccessBlock", true},
    [S3_OP_GET_BUCKET_OWNERSHIP] = {"GetBucketOwnershipControls", false},
    [S3_OP_PUT_BUCKET_OWNERSHIP] = {"PutBucketOwnershipControls", true},
    [S3_OP_DELETE_BUCKET_OWNERSHIP] = {"DeleteBucketOwnershipControls", true},
    [S3_OP_GET_BUCKET_POLICY] = {"GetBucketPolicy", false},
    [S3_OP_PUT_BUCKET_POLICY] = {"PutBucketPolicy", true},
    [S3_OP_DELETE_BUCKET_POLICY] = {"DeleteBucketPolicy", true},
    [S3_OP_GET_BUCKET_POLICY_STATUS] = {"GetBucketPolicyStatus", false},
    [S3_OP_PUT_BUCKET_VERSIONING] = {"PutBucketVersioning", true},
    [S3_OP_PUT_BUCKET_ACL] = {"PutBucketAcl", true},
    [S3_OP_GET_OBJECT_LOCK_CONFIG] = {"GetObjectLockConfiguration", false},
    [S3_OP_PUT_OBJECT_LOCK_CONFIG] = {"PutObjectLockConfiguration", true},
    [S3_OP_GET_BUCKET_REQUEST_PAYMENT] = {"GetBucketRequestPayment", false},
    [S3_OP_GET_BUCKET_LOGGING] = {"GetBucketLogging", false},
    [S3_OP_GET_BUCKET_NOTIFICATION] = {"GetBucketNotificationConfiguration", false},
    [S3_OP_GET_BUCKET_ACCELERATE] = {"GetBucketAccelerateConfiguration", false},
    [S3_OP_GET_BUCKET_WEBSITE] = {"GetBucketWebsite", false},
    [S3_OP_GET_BUCKET_REPLICATION] = {"GetBucketReplication", false},
    [S3_OP_POST_OBJECT] = {"PostObject", true},
    [S3_OP_PREFLIGHT] = {"Preflight", false},
};

const char *s3_op_name(enum s3_op op) {
  assert((unsigned)op < S3_OP_COUNT);
  assert(ops[op].name != NULL);
  return ops[op].name;
}

bool s3_op_is_write(enum s3_op op) {
  assert((unsigned)op < S3_OP_COUNT);
  return ops[op].is_write;
}

bool s3_op_takes_version(enum s3_op op) {
  assert((unsigned)op < S3_OP_COUNT);
  return ops[op].takes_version;
}

static struct slice host_of(const struct auth_request *head) {
  struct slice host = {0};
  assert(head != NULL);
  (void)auth_header_find(head, SLICE_LIT("host"), &host);
  return host;
}

static bool has_copy_source(const struct auth_request *head) {
  struct slice unused;
  assert(head != NULL);
  return auth_header_find(head, SLICE_LIT("x-amz-copy-source"), &unused) > 0;
}

struct slice s3_resource(const struct auth_request *head, const struct s3_domains *domains,
                         struct arena *arena) {
  struct slice label = {0};
  assert(head != NULL && domains != NULL && arena != NULL);
  BUF_AUTO text = BUF_INIT;
  if (s3_host_bucket(host_of(head), domains, &label)) {
    buf_append_byte(&text, '/');
    buf_append_slice(&text, label);
  }
  if (percent_decode(head->raw_path, false, &text) != DOM_OK || text.failed) return head->raw_path;
  struct slice copy = arena_copy(arena, buf_slice(&text));
  return copy.data == NULL ? head->raw_path : copy;
}

enum s3_error s3_head_whole(const struct auth_request *head, struct arena *arena, struct auth_request *out,
                            struct s3_fault *out_fault) {
  struct auth_query query = {0};
  struct auth_request whole = {0};
  assert(head != NULL && arena != NULL && out != NULL && out_fault != NULL);
  enum auth_error unread = auth_query_parse(head->raw_query, arena, &query);
  if (unread != AUTH_OK) return fault_set(out_fault, s3_error_of_auth(unread), NULL);
  enum s3_error error = hoist_undo(head, &query, arena, &whole, out_fault);
  if (error == S3_OK) *out = whole;
  return error;
}

enum s3_error s3_request_parse(const struct auth_request *head, const struct s3_domains *domains,
                               struct arena *arena, struct s3_request *out, struct s3_fault *out_fault) {
  assert(head != NULL && domains != NULL && arena != NULL && out != NULL && out_fault != NULL);
  struct s3_request request = {0};
  struct s3_target target = {0};
  struct auth_query query = {0};
  enum auth_error query_error = auth_query_parse(head->raw_query, arena, &query);
  if (query_error != AUTH_OK) return fault_set(out_fault, s3_error_of_auth(query_error), NULL);
  enum s3_error error = s3_target_parse(host_of(head), head->raw_path, domains, arena, &target);
  if (error != S3_OK) return fault_set(out_fault, error, NULL);
  struct auth_request whole = {0};
  error = hoist_undo(head, &query, arena, &whole, out_fault);
  if (error != S3_OK) return error;
  error = route_find(head->method, &target, &query, has_copy_source(&whole), &request.op, out_fault);
  if (error != S3_OK) return error;
  request.bucket = target.bucket;
  request.key = target.key;
  request.is_host_style = target.is_host_style;
  error = params_parse(&query, &request, out_fault);
  if (error == S3_OK && request.op != S3_OP_POST_OBJECT) /* its fields say it, and nobody signed the head */
    error = head_parse(&whole, arena, &request, out_fault);
  if (error == S3_OK) *out = request;
  return error;
}
