/* Envelope: a region's signature over what it sends to another region.
 *
 * Every message between regions, and the head of every client request that one region forwards to
 * another, is signed with the sending region's Ed25519 key over method, target, all head fields,
 * body length, and (for messages) the body's hash: of bulk, that of the part that it says is sealed
 * (net_sealed). TLS does not replace it.
 *
 * The receiver refuses with 403, and nothing happens, unless: the region is known; the envelope is
 * addressed to the receiver; its time is within WIRE_ENVELOPE_SKEW_MS of now and not before this
 * process started; its nonce was not seen before; the signature holds; what is sealed of the body has the
 * hash.
 *
 * Fields (all begin with x-domicile-):
 *   from, to        region numbers, decimal
 *   time            milliseconds since 1970, decimal
 *   nonce           16 random bytes, hex
 *   body-sha256     hex, or "streamed" for a forwarded request, whose body the client signed
 *   signature       base64 of 64 bytes
 * The signed bytes are spelled out in this room's README. */
#ifndef DOMICILE_WIRE_ENVELOPE_H
#define DOMICILE_WIRE_ENVELOPE_H

#include "base/clock.h"
#include "base/crypto.h"
#include "base/net.h"
#include "wire/client.h"
#include "wire/exchange.h"

enum {
  /* How far the clocks of two regions may be apart, together with the time a message travels.
   * Nonces are remembered for twice this. */
  WIRE_ENVELOPE_SKEW_MS = 30000,
  /* Nonces remembered per window of twice the skew. At 10,000 messages a second 600,000 come;
   * past the cap messages are refused until the window turns: 40 MiB are enough. */
  WIRE_ENVELOPE_NONCES_MAX = 1 << 20,
  WIRE_ENVELOPE_NONCE_SIZE = 16,
  WIRE_ENVELOPE_FIELDS = 6, /* fields that an envelope adds to a head */
  WIRE_ENDPOINT_MAX = 256   /* "http://host:port" with its NUL */
};

/* Target prefix of messages between regions: POST /-/peer/ and net_call's path. */
#define WIRE_PEER_PREFIX "/-/peer/"

/* What is known about another region. */
struct wire_peer {
  uint8_t public_key[ED25519_KEY_SIZE];
  char endpoint[WIRE_ENDPOINT_MAX]; /* origin for wire_client_send; "" where we never call it */
  /* What it sends us must come over TLS with a certificate that names the host of its endpoint. */
  bool certified;
};

/* Fills *out for region `number` from the charter in force. Called by any thread, and with no lock
 * of wire held. Returns: DOM_NOT_FOUND. */
typedef enum dom_code (*wire_peer_fn)(void *arg, uint16_t number, struct wire_peer *out);

struct wire_envelope_options {
  uint16_t number;                /* this region */
  uint8_t seed[ED25519_KEY_SIZE]; /* its private key; copied into locked memory */
  wire_peer_fn peer;
  void *arg;
  struct clock *clock; /* NULL: clock_posix() */
};

struct wire_envelope;

/* Messages stamped before this call are refused for ever: they may have been received by the
 * process before us, whose nonces are gone. Returns: NULL without memory. Threads: any. */
struct wire_envelope *wire_envelope_new(const struct wire_envelope_options *o);
/* NULL is allowed. */
void wire_envelope_free(struct wire_envelope *e);

/* The fields of one envelope. Not to be copied: the fields point into the texts. */
struct wire_envelope_seal {
  struct wire_field fields[WIRE_ENVELOPE_FIELDS];
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE];
  char from[8], to[8], time[24], nonce_text[2 * WIRE_ENVELOPE_NONCE_SIZE + 1];
  char body[2 * SHA256_SIZE + 1], signature[96];
};

/* Signs a head that is about to be sent to region `to`.
 *   r           method, target, fields and body_length exactly as they will be sent; a Host must
 *               be among the fields. Hop-by-hop fields are left out of the signature.
 *   body_sha256 32 bytes, or NULL for a streamed body
 *   out         its fields are to be appended to r->fields
 * Returns: DOM_NO_MEMORY; DOM_TOO_LARGE past WIRE_FIELDS_MAX fields. Threads: any. */
enum dom_code wire_envelope_sign_head(struct wire_envelope *e, uint16_t to, const struct wire_request *r,
                                      const uint8_t *body_sha256, struct wire_envelope_seal *out,
                                      struct dom_err *err);

/* Who sent a head, as proven. */
struct wire_envelope_proof {
  uint16_t from;
  bool streamed; /* the body is not covered by this envelope */
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE];
  uint8_t body_sha256[SHA256_SIZE]; /* unless streamed */
};

/* As wire_envelope_check_head, of the head of `x`; refused as well when the region must show a certificate
 * (struct wire_peer) and the connection has none that names its host. This is what servers call. */
enum dom_code wire_envelope_check(struct wire_envelope *e, const struct wire_exchange *x,
                                  struct wire_envelope_proof *out, struct dom_err *err);

/* Checks the envelope of a received head, and remembers its nonce: a second call for the same
 * head fails. Body bytes are not read; where not streamed the caller checks their hash.
 * Returns: DOM_NOT_FOUND there is no envelope at all (an ordinary client); DOM_DENIED it does not
 * hold; DOM_BUSY too many nonces; DOM_NO_MEMORY. Threads: any. */
enum dom_code wire_envelope_check_head(struct wire_envelope *e, const struct wire_head *h,
                                       struct wire_envelope_proof *out, struct dom_err *err);

/* For an answer that streams: its signature follows the body, over the answer's status and the SHA-256 of all
 * that came before it, bound to the nonce of the head it answers. `proof`: of that head.
 * Returns: DOM_NO_MEMORY. Threads: any. */
enum dom_code wire_envelope_sign_stream(struct wire_envelope *e, const struct wire_envelope_proof *proof,
                                        unsigned status, const uint8_t body_sha256[SHA256_SIZE],
                                        uint8_t out_signature[ED25519_SIG_SIZE]);
/* Checks such a signature of region `from`; `nonce` is of the seal that was sent to it.
 * Returns: DOM_DENIED it does not hold, or the region is not known here; DOM_NO_MEMORY. Threads: any. */
enum dom_code wire_envelope_check_stream(struct wire_envelope *e, uint16_t from,
                                         const uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE], unsigned status,
                                         const uint8_t body_sha256[SHA256_SIZE],
                                         const uint8_t signature[ED25519_SIG_SIZE], struct dom_err *err);

/* True for fields that only a peer may set: those of the envelope and of its reply, and Via. */
bool wire_field_is_internal(struct slice name);
/* Takes such fields off the head of an exchange that did not come with a valid envelope. */
void wire_exchange_strip_internal(struct wire_exchange *x);

/* Serves one POST /-/peer/…: checks the envelope, reads the body (at most NET_MESSAGE_MAX, its
 * length declared), checks its hash, runs `handler`, and answers with its code, text and reply,
 * signed. Anything wrong before: 403 without a reason, and the handler does not run.
 * Always replies. Threads: any. */
void wire_envelope_serve(struct wire_envelope *e, struct wire_exchange *x, net_handler handler, void *arg);

/* The real struct net: net_call signs, posts through `client` and checks the signed answer.
 * Both are borrowed and outlive it. Returns: NULL without memory. */
struct net *wire_net_new(struct wire_envelope *e, struct wire_client *client);
void wire_net_free(struct net *n);

#endif
