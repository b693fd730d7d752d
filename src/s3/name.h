/* Names of buckets and keys, and which of them a request's Host and path name.
 *
 * Two ways to address (AWS S3 user guide, "Virtual hosting of buckets"): path style, where the
 * first segment of the path is the bucket and all after its slash the key; and virtual-host style,
 * where what stands before a known domain in Host is the bucket and the whole path the key. A key
 * may begin with a slash, hold empty segments, and dots mean nothing. Threads: any; pure. */
#ifndef DOMICILE_S3_NAME_H
#define DOMICILE_S3_NAME_H

#include "base/arena.h"
#include "base/bytes.h"
#include "s3/error.h"
#include "s3/limits.h"

/* Whether a bucket may have this name: 3..63 of a-z 0-9 . -, letter or digit at both ends, no two
 * of ". -" meeting at a dot, not shaped like an IPv4 address, none of S3's reserved affixes.
 * Source: AWS S3 user guide, "General purpose bucket naming rules". */
bool s3_bucket_name_valid(struct slice name);

/* S3_OK; S3_ERR_KEY_TOO_LONG; S3_ERR_INVALID_URI (empty, not UTF-8, or holding a NUL, which no
 * answer could carry back). */
enum s3_error s3_key_check(struct slice key);

/* The domains under which BUCKET.DOMAIN addresses a bucket; lower case, without port. */
struct s3_domains {
  const struct slice *names;
  size_t count;
};

/* Finds the bucket that a Host header names: what stands before one of the domains, in any case,
 * port ignored. *out_label borrows from `host` and keeps its case.
 * Returns: false when the Host names no bucket (path style). */
bool s3_host_bucket(struct slice host, const struct s3_domains *domains, struct slice *out_label);

/* What is addressed. Decoded; empty slices where nothing is named. */
struct s3_target {
  struct slice bucket;
  struct slice key;
  bool is_host_style;
};

/* Splits Host and raw path into bucket and key. Memory is in the arena or the request's.
 * Returns: S3_OK; S3_ERR_INVALID_URI (no path, a bad escape), S3_ERR_INVALID_BUCKET_NAME,
 * S3_ERR_KEY_TOO_LONG, S3_ERR_INTERNAL_ERROR (no memory). */
enum s3_error s3_target_parse(struct slice host, struct slice raw_path, const struct s3_domains *domains,
                              struct arena *arena, struct s3_target *out);

#endif
