/* What envelope.c and net.c share. Inside wire only. */
#ifndef DOMICILE_WIRE_ENVELOPE_INSIDE_H
#define DOMICILE_WIRE_ENVELOPE_INSIDE_H

#include "wire/nonce.h"
#include "wire/seal.h"

struct wire_envelope {
  uint16_t number;
  uint8_t *seed; /* secret_alloc */
  wire_peer_fn peer;
  void *arg;
  struct clock *clock;
  uint64_t started_ms;
  struct nonces *nonces;
};

/* Looks a region up. Returns: DOM_DENIED when it is unknown. */
enum dom_code envelope_peer(struct wire_envelope *e, uint16_t number, struct wire_peer *out,
                            struct dom_err *err);

#endif
