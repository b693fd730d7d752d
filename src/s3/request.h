/* Requests: from a head to an operation with all its parameters. Pure; the body is not touched.
 *
 * The sender is not checked here: auth_verify_head comes first, over the same head, and its query
 * is decoded by the same function. What the body alone shows is left to who reads it: its length
 * against content_length, its MD5 against content_md5, its checksum (auth_body_expect), the least
 * size of a part (S3_PART_BYTES_MIN), the documents (document.h).
 *
 * Headers and parameters that S3 knows and this program cannot honour are refused, by name, with
 * S3_ERR_NOT_IMPLEMENTED; those that nobody knows are ignored, as S3 does. */
#ifndef DOMICILE_S3_REQUEST_H
#define DOMICILE_S3_REQUEST_H

#include "auth/auth.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "s3/attributes.h"
#include "s3/condition.h"
#include "s3/customer.h"
#include "s3/error.h"
#include "s3/limits.h"
#include "s3/meta.h"
#include "s3/name.h"
#include "s3/range.h"

enum s3_op {
  S3_OP_NOT_IMPLEMENTED, /* an operation or subresource of S3 that this program does not have */
  S3_OP_LIST_BUCKETS,
  S3_OP_CREATE_BUCKET,
  S3_OP_HEAD_BUCKET,
  S3_OP_DELETE_BUCKET,
  S3_OP_GET_BUCKET_LOCATION,
  S3_OP_GET_BUCKET_VERSIONING,
  S3_OP_GET_BUCKET_ACL,
  S3_OP_LIST_OBJECTS,
  S3_OP_LIST_OBJECTS_V2,
  S3_OP_LIST_OBJECT_VERSIONS,
  S3_OP_LIST_MULTIPART_UPLOADS,
  S3_OP_DELETE_OBJECTS,
  S3_OP_PUT_OBJECT,
  S3_OP_GET_OBJECT,
  S3_OP_HEAD_OBJECT,
  S3_OP_DELETE_OBJECT,
  S3_OP_COPY_OBJECT,
  S3_OP_GET_OBJECT_ACL,
  S3_OP_PUT_OBJECT_ACL,
  S3_OP_GET_OBJECT_ATTRIBUTES,
  S3_OP_GET_OBJECT_TAGGING,
  S3_OP_PUT_OBJECT_TAGGING,
  S3_OP_DELETE_OBJECT_TAGGING,
  S3_OP_GET_OBJECT_RETENTION,
  S3_OP_PUT_OBJECT_RETENTION,
  S3_OP_GET_OBJECT_LEGAL_HOLD,
  S3_OP_PUT_OBJECT_LEGAL_HOLD,
  S3_OP_CREATE_MULTIPART_UPLOAD,
  S3_OP_UPLOAD_PART,
  S3_OP_UPLOAD_PART_COPY,
  S3_OP_LIST_PARTS,
  S3_OP_COMPLETE_MULTIPART_UPLOAD,
  S3_OP_ABORT_MULTIPART_UPLOAD,
  S3_OP_GET_BUCKET_CORS,
  S3_OP_PUT_BUCKET_CORS,
  S3_OP_DELETE_BUCKET_CORS,
  S3_OP_GET_BUCKET_LIFECYCLE,
  S3_OP_PUT_BUCKET_LIFECYCLE,
  S3_OP_DELETE_BUCKET_LIFECYCLE,
  S3_OP_GET_BUCKET_TAGGING,
  S3_OP_PUT_BUCKET_TAGGING,
  S3_OP_DELETE_BUCKET_TAGGING,
  S3_OP_GET_BUCKET_ENCRYPTION,
  S3_OP_PUT_BUCKET_ENCRYPTION,
  S3_OP_DELETE_BUCKET_ENCRYPTION,
  S3_OP_GET_PUBLIC_ACCESS_BLOCK,
  S3_OP_PUT_PUBLIC_ACCESS_BLOCK,
  S3_OP_DELETE_PUBLIC_ACCESS_BLOCK,
  S3_OP_GET_BUCKET_OWNERSHIP,
  S3_OP_PUT_BUCKET_OWNERSHIP,
  S3_OP_DELETE_BUCKET_OWNERSHIP,
  S3_OP_GET_BUCKET_POLICY,
  S3_OP_PUT_BUCKET_POLICY,
  S3_OP_DELETE_BUCKET_POLICY,
  S3_OP_GET_BUCKET_POLICY_STATUS,
  S3_OP_PUT_BUCKET_VERSIONING,
  S3_OP_PUT_BUCKET_ACL,
  S3_OP_GET_OBJECT_LOCK_CONFIG,
  S3_OP_PUT_OBJECT_LOCK_CONFIG,
  S3_OP_GET_BUCKET_REQUEST_PAYMENT,
  S3_OP_GET_BUCKET_LOGGING,
  S3_OP_GET_BUCKET_NOTIFICATION,
  S3_OP_GET_BUCKET_ACCELERATE,
  S3_OP_GET_BUCKET_WEBSITE,
  S3_OP_GET_BUCKET_REPLICATION,
  S3_OP_POST_OBJECT, /* a browser's form: form.h */
  S3_OP_PREFLIGHT,   /* a browser's OPTIONS before a request from another origin; signed by nobody */
  S3_OP_COUNT
};

/* "PutObject"; never NULL. For logs, metrics and permits. */
const char *s3_op_name(enum s3_op op);
/* Whether the operation changes what is stored. */
bool s3_op_is_write(enum s3_op op);
/* Whether the operation is of one object that is there, and of one version of it where the query names one.
 */
bool s3_op_takes_version(enum s3_op op);

/* Parameters of the five listings; each uses those that S3 gives it, the rest is zero. All are
 * decoded, and bytes: not necessarily UTF-8. */
struct s3_list_params {
  struct slice prefix;
  struct slice delimiter;
  struct slice marker;             /* V1, list parts excepted */
  struct slice start_after;        /* V2 */
  struct slice continuation_token; /* V2, as sent: s3_token_decode */
  struct slice key_marker;         /* versions, uploads */
  struct slice version_id_marker;  /* versions */
  struct slice upload_id_marker;   /* uploads */
  uint32_t part_number_marker;     /* parts: list those above it */
  bool has_continuation_token;     /* sent, though perhaps empty: it is echoed */
  bool has_start_after;
  bool has_marker;
  bool has_delimiter;
  bool fetch_owner; /* V2 */
  bool encoding_url;
  uint32_t page_max; /* max-keys, -uploads, -parts: 0..S3_PAGE_MAX */
};

/* The source of a copy, from x-amz-copy-source and the headers that go with it. The bucket is a
 * valid name; whether the sender may read there is the caller's to ask. */
struct s3_copy_source {
  struct slice bucket;
  struct slice key;
  struct slice version_id; /* as sent; empty for the current version */
  struct s3_condition condition;
  struct s3_range range;                  /* S3_RANGE_NONE or S3_RANGE_BOUNDS */
  const struct s3_customer_key *customer; /* that the source is sealed with; NULL: none was sent */
};

/* Headers a GET or HEAD may override in its answer (response-content-type and so on); empty slices
 * where not asked. They hold no control characters. S3 takes them from signed requests only. */
struct s3_overrides {
  struct slice content_type;
  struct slice content_encoding;
  struct slice cache_control;
  struct slice content_disposition;
  struct slice content_language;
  struct slice expires;
};

/* One request, understood. Slices live in the arena or borrow from the head. */
struct s3_request {
  enum s3_op op;
  struct slice bucket; /* decoded, valid; empty only for ListBuckets */
  struct slice key;    /* decoded, valid; empty for operations on a bucket */
  bool is_host_style;
  struct slice version_id; /* as sent, where the operation takes one; empty for the current version */
  struct s3_list_params list;
  struct slice upload_id;
  uint32_t part_number; /* 1..S3_PART_NUMBER_MAX; of a GET or HEAD 0 unless it asks for one part */
  struct s3_copy_source copy;
  bool replace_metadata;  /* copy: x-amz-metadata-directive REPLACE */
  bool replace_tags;      /* copy: x-amz-tagging-directive REPLACE */
  bool bypass_governance; /* x-amz-bypass-governance-retention: asked for, not yet granted */
  bool object_lock;       /* CreateBucket: x-amz-bucket-object-lock-enabled */
  struct s3_range range;
  struct s3_condition condition;
  struct s3_meta meta; /* writes only; its checksum is not set */
  struct s3_overrides overrides;
  const struct s3_customer_key *customer; /* SSE-C: a key of the client's; NULL: none was sent */
  struct s3_attributes_asked attributes;  /* GetObjectAttributes */
  bool has_content_length;                /* of the object's bytes: aws-chunked framing not counted */
  uint64_t content_length;
  bool has_content_md5;
  uint8_t content_md5[MD5_SIZE];
  bool has_checksum; /* an x-amz-checksum-* header came with the head */
  struct auth_digest checksum;
  bool has_checksum_algorithm; /* x-amz-checksum-algorithm or x-amz-sdk-checksum-algorithm */
  enum auth_checksum_kind checksum_algorithm;
  bool checksum_mode;        /* x-amz-checksum-mode: ENABLED: answer with the stored one */
  bool has_checksum_type;    /* x-amz-checksum-type, of an upload begun or completed */
  bool checksum_full_object; /* … is FULL_OBJECT, else COMPOSITE */
  /* CompleteMultipartUpload: what the object must turn out to be. */
  bool has_whole_checksum;
  struct auth_digest whole_checksum;
  uint32_t whole_parts; /* the N behind a composite one; 0: not said */
  bool has_whole_size;  /* x-amz-mp-object-size */
  uint64_t whole_size;
  bool has_grants;              /* an x-amz-grant-* header */
  struct slice acl;             /* x-amz-acl, any value; data NULL: none */
  struct slice expected_owner;  /* x-amz-expected-bucket-owner: 403 unless it is the bucket's */
  struct slice domicile_layout; /* CreateBucket: x-domicile-layout */
  struct slice domicile_region; /* CreateBucket: x-domicile-region */
};

/* The decoded path for an error's Resource, "/bucket/key" in either style. Works for heads that do
 * not parse; at worst the raw path. In the arena or borrowed. */
struct slice s3_resource(const struct auth_request *head, const struct s3_domains *domains,
                         struct arena *arena);

/* *out is `head` as it counts: with the headers that a presigner moved into the query, which policies are to
 * see as the operation sees them. For a head whose signature was checked. New lines are in the arena, the
 * rest is borrowed; `out` may be `head`. Threads: any. Returns: S3_OK or the error in *out_fault:
 * S3_ERR_INVALID_ARGUMENT, S3_ERR_INTERNAL_ERROR. */
enum s3_error s3_head_whole(const struct auth_request *head, struct arena *arena, struct auth_request *out,
                            struct s3_fault *out_fault);

/* Understands a head. On failure *out_fault says why and *out is untouched; what S3 has and this
 * program has not is S3_ERR_NOT_IMPLEMENTED with the subresource or header as its detail.
 * `arena`: see S3_REQUEST_ARENA_BYTES. Threads: any.
 * Returns: S3_OK or the same error as in *out_fault.
 * Source: AWS S3 API reference, "Actions". */
enum s3_error s3_request_parse(const struct auth_request *head, const struct s3_domains *domains,
                               struct arena *arena, struct s3_request *out, struct s3_fault *out_fault);

#endif
