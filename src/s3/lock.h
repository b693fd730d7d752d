/* Object lock: retention and legal hold of a version, in documents and headers, and what they allow. The
 * bucket's own configuration is in config.h. Pure. Threads: any.
 * Source: AWS S3 API reference, PutObjectRetention, PutObjectLegalHold, PutObject; S3 user guide, "How S3
 * Object Lock works". */
#ifndef DOMICILE_S3_LOCK_H
#define DOMICILE_S3_LOCK_H

#include "s3/meta.h"

struct s3_retention {
  enum s3_lock_mode mode;
  uint64_t until_ms; /* 0 without a mode */
};

/* PutObjectRetention; an empty element takes the retention away: S3_LOCK_NONE. Whether the date lies ahead is
 * the caller's to ask. Returns: S3_ERR_MALFORMED_XML; as the parsers of config.h. */
enum s3_error s3_retention_parse(struct slice body, struct arena *arena, struct s3_retention *out);
void s3_retention_print(const struct s3_retention *retention, struct buf *out);
/* PutObjectLegalHold: S3_HOLD_ON or S3_HOLD_OFF. */
enum s3_error s3_legal_hold_parse(struct slice body, struct arena *arena, enum s3_legal_hold *out);
void s3_legal_hold_print(enum s3_legal_hold hold, struct buf *out);

/* x-amz-object-lock-mode, -retain-until-date and -legal-hold of a head, into *meta.
 * Returns: S3_ERR_INVALID_ARGUMENT one without the other, no such mode, or no date that lies after
 * head->now_ms; *out_detail says which header. */
enum s3_error s3_lock_from_head(const struct auth_request *head, struct s3_meta *meta,
                                const char **out_detail);

/* "GOVERNANCE", "COMPLIANCE"; "ON", "OFF". Of a mode or hold that is there. */
const char *s3_lock_mode_name(enum s3_lock_mode mode);
const char *s3_legal_hold_name(enum s3_legal_hold hold);

/* Retention by the bucket's default for a version written now; S3_LOCK_NONE without a default. A year is 365
 * days. */
struct s3_retention s3_lock_default(const struct s3_object_lock *lock, uint64_t now_ms);

/* What may be done to a version with this metadata now. */
enum s3_lock_allows {
  S3_LOCK_ALLOWS,        /* anybody who may do it at all */
  S3_LOCK_ALLOWS_BYPASS, /* who bypasses governance */
  S3_LOCK_ALLOWS_NOBODY  /* before the time is over, or the hold is taken away */
};
/* To remove it for good. */
enum s3_lock_allows s3_lock_on_delete(const struct s3_meta *meta, uint64_t now_ms);
/* To give it this retention. To extend is free; to shorten, to change the mode or to take it away is not. */
enum s3_lock_allows s3_lock_on_change(const struct s3_meta *meta, const struct s3_retention *asked,
                                      uint64_t now_ms);

#endif
