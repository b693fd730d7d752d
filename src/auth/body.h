/* The body of a verified request: decoded from aws-chunked where that was announced, and checked
 * against everything the head or the trailer promised.
 *
 * Bytes are handed out before the chunk that holds them is verified (its signature needs the
 * whole chunk). So: nothing that was fed through a body may be made durable or visible before
 * auth_body_end has said AUTH_OK. */
#ifndef DOMICILE_AUTH_BODY_H
#define DOMICILE_AUTH_BODY_H

#include "auth/verify.h"

enum {
  AUTH_CHUNK_HEAD_BYTES_MAX = 256, /* "hex;chunk-signature=…" has 99; room for extensions */
  AUTH_TRAILER_BYTES_MAX = 4096,   /* all trailers together; a checksum and a signature have 200 */
  AUTH_TRAILERS_MAX = 16           /* lines of the trailer */
};

/* One body. Threads: one at a time. */
struct auth_body;

/* A body for a head that verified. `result` may go away; what it points to (arena, request) must
 * outlive the body. Returns: AUTH_OK; AUTH_NO_MEMORY. Free *out with auth_body_free. */
enum auth_error auth_body_new(const struct auth_result *result, struct auth_body **out);
void auth_body_free(struct auth_body *body); /* wipes keys; NULL is allowed */

/* Demands that the decoded bytes have this digest (an x-amz-checksum-* header). Call before the
 * first byte, at most once. Returns: AUTH_OK; AUTH_NO_MEMORY. */
enum auth_error auth_body_expect(struct auth_body *body, const struct auth_digest *digest);
/* Computes this checksum of the decoded bytes although nothing is expected of it; as above. */
enum auth_error auth_body_compute(struct auth_body *body, enum auth_checksum_kind kind);

/* Takes the next bytes as received. Consumes some of `in` (*out_used of them, never 0 unless `in`
 * is empty) and yields at most one run of decoded bytes, which borrows from `in` and may be
 * empty. Call again with the rest until all is used.
 * Returns: AUTH_OK; AUTH_SIGNATURE_MISMATCH (of a chunk or the trailer), AUTH_INCOMPLETE_BODY (more bytes
 * than announced), AUTH_MALFORMED_CHUNK, AUTH_MALFORMED_TRAILER, AUTH_CHECKSUM_MISMATCH,
 * AUTH_INVALID_CHECKSUM, AUTH_NO_MEMORY. The first failure is repeated by every later call. */
enum auth_error auth_body_feed(struct auth_body *body, struct slice in, size_t *out_used,
                               struct slice *out_data);

/* Says whether the whole body was what the head promised. Call once, after the last byte.
 * Returns: AUTH_OK; AUTH_INCOMPLETE_BODY (ended early), AUTH_PAYLOAD_MISMATCH,
 * AUTH_SIGNATURE_MISMATCH (deferred), AUTH_CHECKSUM_MISMATCH, or a failure of an earlier feed. */
enum auth_error auth_body_end(struct auth_body *body);

/* The checksum that was expected, announced in the trailer or computed. Returns: false when none
 * was, or before auth_body_end. */
bool auth_body_digest(const struct auth_body *body, struct auth_digest *out);

/* True where the head promises one SHA-256 of all bytes (x-amz-content-sha256, also one that was left out of
 * the head): it is made on the way, and the caller need not make it again. */
bool auth_body_hashes(const struct auth_body *body);
/* That hash, of a body for which auth_body_hashes. After auth_body_end said AUTH_OK. */
void auth_body_sha256(const struct auth_body *body, uint8_t out[SHA256_SIZE]);

/* The trailers received, names in lower case, in order; valid until the body is freed, complete
 * after auth_body_end. The trailer's own signature is not among them. */
const struct auth_header *auth_body_trailers(const struct auth_body *body, size_t *out_count);

#endif
