/* The five listings as XML, written entry by entry, so that a page need not be held twice:
 * begin, then entries in order, then end, then done.
 *
 * The writer echoes the parameters, percent-encodes names when encoding-type=url was asked, puts
 * common prefixes after all entries, and at the end tells where the next page begins. It does not
 * fold keys into common prefixes: whoever scans does, and says so by s3_listing_prefix.
 *
 * An entry given twice, out of order or beyond S3_PAGE_MAX is the caller's mistake. Slices are
 * borrowed for the call. Threads: one listing belongs to one at a time.
 * Source: AWS S3 API reference, ListObjects, ListObjectsV2, ListObjectVersions,
 * ListMultipartUploads, ListParts. */
#ifndef DOMICILE_S3_LISTING_H
#define DOMICILE_S3_LISTING_H

#include "s3/etag.h"
#include "s3/request.h"

/* One object of a listing. Times are milliseconds since 1970 UTC, sizes bytes. */
struct s3_listed_object {
  struct slice key;
  uint64_t size;
  uint64_t modified_ms;
  const uint8_t *md5;  /* MD5_SIZE bytes */
  uint32_t part_count; /* as s3_etag_print */
  /* ListObjectVersions only. */
  struct slice version_id; /* "null", or as s3_version_id_print */
  bool is_latest;
  bool is_marker; /* a delete marker: it has neither size nor tag */
};

/* One upload of ListMultipartUploads. */
struct s3_listed_upload {
  struct slice key;
  struct slice upload_id;
  uint64_t initiated_ms;
};

/* One part of ListParts. */
struct s3_listed_part {
  uint32_t number;
  uint64_t size;
  uint64_t modified_ms;
  const uint8_t *md5;                 /* MD5_SIZE bytes */
  const struct auth_digest *checksum; /* NULL: none is kept */
};

/* A page under construction. Fields are the writer's own. */
struct s3_listing {
  const struct s3_request *request;
  struct slice owner;
  struct buf *out;
  struct buf prefixes;    /* common prefixes come after all entries */
  struct buf last_key;    /* greatest key or common prefix so far */
  struct buf last_upload; /* upload id of the last upload, version id of the last version */
  uint32_t last_part;
  uint32_t count;
};

/* Begins a page for request->op, one of the five listings; `request`, `owner` (the account) and
 * `out` are borrowed until s3_listing_done. */
void s3_listing_begin(struct s3_listing *listing, const struct s3_request *request, struct slice owner,
                      struct buf *out);
/* One object: ListObjects V1 and V2, and ListObjectVersions. Owner is shown in V1 and versions always, in V2
 * when fetch-owner was asked. */
void s3_listing_object(struct s3_listing *listing, const struct s3_listed_object *object);
/* One common prefix, delimiter included: all listings but ListParts. */
void s3_listing_prefix(struct s3_listing *listing, struct slice prefix);
/* One upload of ListMultipartUploads; several of one key in the order they were initiated. */
void s3_listing_upload(struct s3_listing *listing, const struct s3_listed_upload *upload);
/* ListParts, before the first part: the checksum that the object will have. */
void s3_listing_plan(struct s3_listing *listing, const struct s3_checksum_plan *plan);
/* One part of ListParts, numbers ascending. */
void s3_listing_part(struct s3_listing *listing, const struct s3_listed_part *part);
/* Writes the rest; `truncated`: something greater than the last entry was left out, and a marker
 * or token for the next page is given. Returns: DOM_OK; DOM_NO_MEMORY. */
enum dom_code s3_listing_end(struct s3_listing *listing, bool truncated, struct dom_err *err);
/* Frees what the writer holds; `out` stays the caller's. */
void s3_listing_done(struct s3_listing *listing);

/* Where a page of these listings begins: only keys, or common prefixes, greater than *out_after
 * are shown. For V1, V2 (token before start-after) and versions; in the arena or the request's.
 * Returns: S3_OK; S3_ERR_INVALID_ARGUMENT (a token that is none of ours); S3_ERR_INTERNAL_ERROR. */
enum s3_error s3_listing_after(const struct s3_request *request, struct arena *arena,
                               struct slice *out_after);

/* Appends the opaque token for "greater than `after`": base64 with the URL alphabet (RFC 4648 §5)
 * over a kind byte and the key. A token carries no secret and no right: it is a place. */
void s3_token_encode(struct slice after, struct buf *out);
/* Reads it back; in the arena. Returns: as s3_listing_after. */
enum s3_error s3_token_decode(struct slice token, struct arena *arena, struct slice *out_after);

#endif
