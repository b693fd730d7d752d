/* Auth: who sent this request, and did the bytes arrive as they were signed?
 *
 * The facade of the room. AWS Signature Version 4 (AWS "Authenticating Requests", S3 API
 * reference) in and out, as data in and a verdict out; no socket, no clock, no log.
 *
 * Order of use for one request:
 *   auth_verify_head   the head alone: identity, scope, how the payload is bound
 *   auth_body_new      from its result; every body byte goes through auth_body_feed
 *   auth_body_end      only when this says AUTH_OK may anything be made durable
 *
 * Glossary
 *   access key  the public name of a credential; secret: its private half
 *   account     the tenant that owns buckets; an access key belongs to exactly one
 *   operator    a credential that may use the admin interface
 *   scope       date / region / service / aws4_request, the reach of a signing key
 *   payload     how the body is bound to the signature (enum auth_payload)
 *   trailer     a header sent after an aws-chunked body
 *   seed        the head's signature, the first link in the chain of chunk signatures */
#ifndef DOMICILE_AUTH_AUTH_H
#define DOMICILE_AUTH_AUTH_H

#include "auth/body.h"
#include "auth/checksum.h"
#include "auth/keys.h"
#include "auth/query.h"
#include "auth/sign.h"
#include "auth/token.h"
#include "auth/types.h"
#include "auth/verify.h"

#endif
