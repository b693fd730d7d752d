/* Front: proxies before this server whose word about a client's address is taken (X-Forwarded-For). Nobody
 * else's is. */
#ifndef DOMICILE_WIRE_FRONT_H
#define DOMICILE_WIRE_FRONT_H

#include "base/bytes.h"

enum { WIRE_FRONTS_MAX = 16 /* proxies of one place, or the networks they are in */ };

/* An address or a network: IPv4 is mapped into IPv6. */
struct wire_front {
  uint8_t bytes[16];
  unsigned bits; /* of them that count */
};

/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32". Bits past the length must be 0. Returns: DOM_INVALID. */
enum dom_code wire_front_parse(const char *text, struct wire_front *out, struct dom_err *err);

#endif
