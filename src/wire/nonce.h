/* Nonces: which ones were seen lately. Inside wire only. Threads: any (one lock). */
#ifndef DOMICILE_WIRE_NONCE_H
#define DOMICILE_WIRE_NONCE_H

#include "wire/envelope.h"

struct nonces;

/* Remembers each nonce for at least window_ms, at most `max` per window. NULL without memory. */
struct nonces *nonces_new(uint64_t window_ms, size_t max, uint64_t now_ms);
void nonces_free(struct nonces *n); /* NULL is allowed */
/* The wall clock as replays see it: never going back. A clock that was set back must not make
 * old messages fresh again after their nonces were forgotten. */
uint64_t nonces_now(struct nonces *n, uint64_t wall_ms);
/* Takes note of a nonce from a region. Returns: DOM_EXISTS seen before; DOM_BUSY `max` were seen
 * in this window; DOM_NO_MEMORY. */
enum dom_code nonces_add(struct nonces *n, uint16_t from, const uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE],
                         uint64_t now_ms);

#endif
