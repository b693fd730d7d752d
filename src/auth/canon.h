/* Canonical forms of SigV4: what both sides hash. Internal to the room.
 *
 * Path and query are taken as received, decoded, and encoded again in the one canonical way, so
 * that a client may escape more or less than it must. No dot segment is removed and no slash
 * merged: S3 differs from other AWS services there. Header values lose blanks at their ends and
 * have one blank for each run inside; lines of one name are joined by commas in their order.
 * Functions are pure. Threads: any.
 * Source: AWS S3 API reference, "Create a canonical request" and the tasks after it. */
#ifndef DOMICILE_AUTH_CANON_H
#define DOMICILE_AUTH_CANON_H

#include "auth/query.h"
#include "auth/types.h"
#include "base/crypto.h"

#define CANON_ALGORITHM         "AWS4-HMAC-SHA256"
#define CANON_CHUNK_ALGORITHM   "AWS4-HMAC-SHA256-PAYLOAD"
#define CANON_TRAILER_ALGORITHM "AWS4-HMAC-SHA256-TRAILER"
#define CANON_SERVICE           "s3"
#define CANON_TERMINATOR        "aws4_request"
/* SHA-256 of nothing. */
#define CANON_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Whether `name` is among the ';'-separated names, any case. */
bool canon_names_hold(struct slice signed_headers, struct slice name);

/* Appends the canonical request up to, not with, the payload hash: method, path, query without
 * parameter `query_skip`, the headers named in `signed_headers`, and that list.
 * Returns: AUTH_OK; AUTH_INVALID_URI; AUTH_SIGNATURE_MISMATCH (a named header is not there);
 * AUTH_TOO_MANY_PARTS; AUTH_NO_MEMORY. On failure `out` holds rubbish. */
enum auth_error canon_head(const struct auth_request *request, const struct auth_query *query,
                           struct slice query_skip, struct slice signed_headers, struct buf *out);

/* HMAC chain secret → date → region → service → "aws4_request". `date` has 8 digits. */
void canon_signing_key(struct slice secret, struct slice date, struct slice region,
                       uint8_t out_key[KEY_SIZE]);

/* Signature in lower-case hex, with NUL, of a canonical request given as head and payload hash. */
void canon_sign_request(const uint8_t key[KEY_SIZE], struct slice date, struct slice scope, struct slice head,
                        struct slice payload_hash, char out_hex[AUTH_SIGNATURE_HEX + 1]);

/* Signature of one string-to-sign made of `count` lines joined by line feeds. */
void canon_sign_lines(const uint8_t key[KEY_SIZE], const struct slice *lines, size_t count,
                      char out_hex[AUTH_SIGNATURE_HEX + 1]);

/* Lower-case hex of a SHA-256 or HMAC, with NUL. */
void canon_hex(const uint8_t digest[SHA256_SIZE], char out_hex[AUTH_SIGNATURE_HEX + 1]);

/* 20130524T000000Z, with NUL. */
void canon_date(uint64_t wall_ms, char out_date[AUTH_DATE_SIZE + 1]);

#endif
