/* What a client says about an object beside its bytes, and how that is stored. */
#ifndef DOMICILE_S3_META_H
#define DOMICILE_S3_META_H

#include "auth/auth.h"
#include "base/arena.h"
#include "s3/config.h"
#include "s3/error.h"

/* Retention of a version: until then it may not be removed for good. */
enum s3_lock_mode { S3_LOCK_NONE = 0, S3_LOCK_GOVERNANCE = 1, S3_LOCK_COMPLIANCE = 2 };
/* A hold that somebody set, or took away again. */
enum s3_legal_hold { S3_HOLD_NEVER = 0, S3_HOLD_OFF = 1, S3_HOLD_ON = 2 };

/* Which checksum an object that is put in parts will have. */
struct s3_checksum_plan {
  enum auth_checksum_kind kind;
  bool full_object; /* of all bytes; else composite: of the parts' checksums */
};
/* Whether S3 has that: SHA-1 and SHA-256 are composite only, CRC64NVME of the full object only. */
bool s3_checksum_plan_valid(const struct s3_checksum_plan *plan);

/* Metadata of one object. Slices are borrowed; empty means not given. */
struct s3_meta {
  struct slice content_type;
  struct slice content_encoding; /* without aws-chunked, which is a transfer matter */
  struct slice cache_control;
  struct slice content_disposition;
  struct slice content_language;
  struct slice expires;           /* as sent: S3 keeps what is no date, too */
  const struct auth_header *user; /* names without x-amz-meta-, lower case; values as sent */
  size_t user_count;
  bool has_checksum;
  struct auth_digest checksum; /* of the whole object, by the kind that the client chose */
  bool is_composite;           /* it is of the digests of the parts, in order */
  /* Of an upload: which checksum the object to come will have. */
  bool has_plan;
  struct s3_checksum_plan plan;
  struct slice customer; /* SSE-C: what opens it together with the client's key; empty: not sealed so */
  struct slice parts;    /* of an object that was put in parts: stored form, s3_parts_decode */
  /* What may be changed of a version after it was written. */
  const struct s3_tag *tags; /* ascending by key; at most S3_OBJECT_TAGS_MAX */
  size_t tag_count;
  enum s3_lock_mode lock_mode;
  uint64_t retain_until_ms; /* 0 without a mode */
  enum s3_legal_hold legal_hold;
  struct slice acl; /* grants, in the stored form of the policy room; this room does not look into it */
};

/* Reads the metadata of a request's head. Several lines of one user name are joined by commas.
 * Slices are in the arena or the request. The checksum is not taken: it is a matter of the body.
 * Returns: S3_OK; S3_ERR_METADATA_TOO_LARGE; S3_ERR_INTERNAL_ERROR (no memory). */
enum s3_error s3_meta_from_head(const struct auth_request *head, struct arena *arena, struct s3_meta *out);

/* Drops what is true of an object only as it was put: its parts and a checksum that is theirs. */
void s3_meta_unpart(struct s3_meta *meta);

/* Appends the stored form, docs/formats/object-metadata.md, version 1. The same metadata always
 * gives the same bytes, whatever the order in which it was sent.
 * Returns: DOM_OK; DOM_TOO_LARGE (a value over 65,535 bytes); DOM_NO_MEMORY. */
enum dom_code s3_meta_encode(const struct s3_meta *meta, struct buf *out, struct dom_err *err);

/* Copies tags, ascending by key, into the arena as those of `meta`. False without memory. */
bool s3_meta_set_tags(struct s3_meta *meta, const struct s3_tags *tags, struct arena *arena);

/* Reads the stored form; slices borrow from `bytes`, the list of user names is in the arena.
 * Returns: DOM_OK; DOM_CORRUPT (not that format); DOM_INCOMPATIBLE (a newer version, or a field
 * this build does not know); DOM_NO_MEMORY. */
enum dom_code s3_meta_decode(struct slice bytes, struct arena *arena, struct s3_meta *out,
                             struct dom_err *err);

#endif
