/* Verification of a request's head. */
#ifndef DOMICILE_AUTH_VERIFY_H
#define DOMICILE_AUTH_VERIFY_H

#include "auth/checksum.h"
#include "auth/keys.h"
#include "auth/token.h"
#include "auth/types.h"
#include "base/arena.h"
#include "base/crypto.h"

/* How the sender named itself. */
enum auth_scheme {
  AUTH_ANONYMOUS, /* no credential at all; the caller decides whether that is enough */
  AUTH_HEADER,    /* Authorization: AWS4-HMAC-SHA256 … */
  AUTH_QUERY,     /* presigned: X-Amz-Algorithm and friends in the query */
  AUTH_FORM       /* a browser's form: the same as fields of the body */
};

/* How the body is bound to the signature. */
enum auth_payload {
  AUTH_PAYLOAD_UNSIGNED,        /* not at all: UNSIGNED-PAYLOAD, presigned, or anonymous */
  AUTH_PAYLOAD_SIGNED,          /* by its SHA-256, known from the head */
  AUTH_PAYLOAD_DEFERRED,        /* no x-amz-content-sha256 sent (curl 7.88): the signature itself
                                   can be checked only once the body's hash is known */
  AUTH_PAYLOAD_CHUNKED,         /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
  AUTH_PAYLOAD_CHUNKED_TRAILER, /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
  AUTH_PAYLOAD_UNSIGNED_TRAILER /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

/* What a verified head says. Slices live in the arena or in the request. */
struct auth_result {
  enum auth_scheme scheme;
  enum auth_payload payload;
  struct slice access_key; /* empty when anonymous */
  struct slice account;    /* empty when anonymous */
  bool is_operator;
  bool has_token;          /* a scoped token's credential: account is empty, `token` says whose it is */
  bool is_unverified;      /* … of another region, which alone can check it: nothing here is proven */
  struct auth_token token; /* when has_token */

  bool has_decoded_length; /* true for the three aws-chunked payloads, always */
  uint64_t decoded_length; /* x-amz-decoded-content-length: the object's bytes */
  bool has_trailer;        /* a checksum is announced to follow the body */
  enum auth_checksum_kind trailer;

  /* For auth_body only: what the rest of the chain is computed from. */
  uint8_t payload_sha256[SHA256_SIZE];    /* AUTH_PAYLOAD_SIGNED */
  uint8_t signing_key[KEY_SIZE];          /* chunked and deferred; else zero */
  char signature[AUTH_SIGNATURE_HEX + 1]; /* the head's, lower-case hex: the seed */
  char date[AUTH_DATE_SIZE + 1];          /* 20130524T000000Z */
  struct slice scope;                     /* 20130524/us-east-1/s3/aws4_request */
  struct slice canonical_head;            /* deferred: canonical request up to the payload hash */
};

/* Whether the head alone already proved the sender. False for AUTH_PAYLOAD_DEFERRED, where nothing may be
 * shown or kept before auth_body_end said AUTH_OK, and for a token of another region, where nothing ever may.
 */
bool auth_result_is_proven(const struct auth_result *result);

struct auth_config {
  auth_key_lookup *lookup;    /* never NULL */
  void *lookup_context;       /* outlives the verifier */
  struct slice region_pinned; /* empty: any region name in the scope is accepted */
  const uint8_t *token_key;   /* KEY_SIZE bytes, copied; NULL: every token is refused */
  uint16_t region;            /* this region's number: tokens that name another are not checked */
};

/* A verifier holds the lookup and a bounded cache of derived signing keys (four HMACs saved per
 * request). Threads: one verifier serves all. */
struct auth_verifier;

/* Copies `config`. Returns: NULL without memory. */
struct auth_verifier *auth_verifier_new(const struct auth_config *config);
void auth_verifier_free(struct auth_verifier *verifier); /* wipes; NULL is allowed */

/* Verifies one head: detects the scheme, checks date, scope, SignedHeaders and signature.
 * A request without any credential is AUTH_OK with scheme AUTH_ANONYMOUS. One with a token of another region
 * is AUTH_OK with is_unverified: its shape and its times were looked at, and nothing else.
 * `arena`: memory of *out; a few kilobytes more than the head itself.
 * Threads: any. Returns: AUTH_OK, or any verdict up to AUTH_INVALID_TRAILER, AUTH_TOO_MANY_PARTS
 * or AUTH_NO_MEMORY; *out is filled only with AUTH_OK.
 * Source: AWS S3 API reference, "Signature Calculations for the Authorization Header" and
 * "Authenticating Requests: Using Query Parameters". */
enum auth_error auth_verify_head(struct auth_verifier *verifier, const struct auth_request *request,
                                 struct arena *arena, struct auth_result *out);

/* What a form says about its signer: its fields' values, decoded from nothing. Slices are borrowed. */
struct auth_form {
  struct slice algorithm;  /* x-amz-algorithm */
  struct slice credential; /* x-amz-credential */
  struct slice date;       /* x-amz-date */
  struct slice signature;  /* x-amz-signature */
  struct slice token;      /* x-amz-security-token; data NULL: none */
  struct slice policy;     /* the base64 text, which is what is signed */
};

/* Verifies who signed the policy of a form. What the policy allows, and for how long, is the caller's to ask;
 * here a signature lives no longer than that of a presigned URL. The payload is AUTH_PAYLOAD_UNSIGNED: a
 * form's signer never saw the file. `arena`, threads, tokens as auth_verify_head.
 * Returns: AUTH_OK; AUTH_FORM_MALFORMED; AUTH_SIGNATURE_MISMATCH; AUTH_UNKNOWN_ACCESS_KEY;
 * AUTH_NOT_YET_VALID; AUTH_EXPIRED; AUTH_INVALID_TOKEN; AUTH_EXPIRED_TOKEN; AUTH_NO_MEMORY; *out is filled
 * only with AUTH_OK.
 * Source: AWS S3 API reference, "Authenticating Requests in Browser-Based Uploads Using POST". */
enum auth_error auth_verify_form(struct auth_verifier *verifier, const struct auth_form *form,
                                 uint64_t now_ms, struct arena *arena, struct auth_result *out);

#endif
