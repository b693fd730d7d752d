/* Signing of our own requests: to other S3 services and to the admin interface. */
#ifndef DOMICILE_AUTH_SIGN_H
#define DOMICILE_AUTH_SIGN_H

#include "auth/types.h"
#include "base/arena.h"

/* Payload hash of a body that is not bound to the signature. */
#define AUTH_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

/* With whose credential, and for which scope. Everything is borrowed. */
struct auth_signer {
  struct slice access;
  struct slice secret;
  struct slice region; /* "us-east-1" where the service does not care */
};

/* The three headers to add to the request. Strings end with NUL. */
struct auth_signed {
  char date[AUTH_DATE_SIZE + 1];               /* x-amz-date */
  char content_sha256[AUTH_SIGNATURE_HEX + 1]; /* x-amz-content-sha256 */
  struct slice authorization;                  /* Authorization; lives in the arena */
};

/* Signs a request in its headers. `request->headers` must hold Host and must hold neither of
 * the three headers that this makes; all headers given are signed, so give only those that no
 * proxy changes. `payload_hash` is the body's SHA-256 in hex, or AUTH_UNSIGNED_PAYLOAD.
 * Returns: AUTH_OK; AUTH_INVALID_URI, AUTH_TOO_MANY_PARTS, AUTH_NO_MEMORY.
 * Source: AWS S3 API reference, "Signature Calculations for the Authorization Header". */
enum auth_error auth_sign_request(const struct auth_signer *signer, const struct auth_request *request,
                                  struct slice payload_hash, struct arena *arena, struct auth_signed *out);

#endif
