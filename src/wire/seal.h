/* Seal: the exact bytes that envelopes and their answers sign. Pure. Inside wire only. */
#ifndef DOMICILE_WIRE_SEAL_H
#define DOMICILE_WIRE_SEAL_H

#include "wire/envelope.h"

/* Names of the envelope's fields. */
#define SEAL_FROM            "x-domicile-from"
#define SEAL_TO              "x-domicile-to"
#define SEAL_TIME            "x-domicile-time"
#define SEAL_NONCE           "x-domicile-nonce"
#define SEAL_BODY            "x-domicile-body-sha256"
#define SEAL_SIGNATURE       "x-domicile-signature"
#define SEAL_CODE            "x-domicile-code"
#define SEAL_TEXT            "x-domicile-text"
#define SEAL_REPLY_SIGNATURE "x-domicile-reply-signature"

/* Value of SEAL_BODY where the client's own signature covers the body. */
#define SEAL_STREAMED "streamed"

/* What one envelope says, from either side's view. */
struct seal_claim {
  uint16_t from, to;
  uint64_t time_ms;
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE];
  bool streamed;
  uint8_t body_sha256[SHA256_SIZE]; /* zero when streamed */
  struct slice method, target;
  uint64_t body_length; /* WIRE_CLIENT_CHUNKED when chunked */
};

/* Appends the signed bytes of a head. `fields`, in any case and order of different names, may hold
 * hop-by-hop fields and the signature: they are left out. DOM_NO_MEMORY, DOM_TOO_LARGE. */
enum dom_code seal_head_bytes(const struct seal_claim *c, const struct wire_field *const *fields,
                              size_t count, struct buf *out);

/* What an answer to a message says. */
struct seal_answer {
  uint16_t from, to;                       /* the answering region, the asking region */
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE]; /* of the message */
  unsigned status;
  struct slice code, text; /* as in their fields */
  uint8_t body_sha256[SHA256_SIZE];
};
void seal_answer_bytes(const struct seal_answer *a, struct buf *out);

#endif
