/* Caps: how many connections each address holds. Inside wire only. */
#ifndef DOMICILE_WIRE_CAPS_H
#define DOMICILE_WIRE_CAPS_H

#include <sys/socket.h>

#include "base/bytes.h"

/* An address as the caps count it: IPv4 mapped into IPv6. `text` is made from it on demand. */
struct caps_key {
  uint8_t bytes[16];
  bool local; /* a unix socket: never counted */
};

struct caps_entry;
struct caps {
  struct caps_entry **buckets;
  size_t bucket_count; /* a power of two */
};

/* Returns: false without memory. */
bool caps_init(struct caps *c, size_t expected);
void caps_done(struct caps *c);
struct caps_key caps_key_of(const struct sockaddr_storage *a);
/* The address in words, without port. */
void caps_key_text(const struct caps_key *k, char *out, size_t cap);
/* What of it counts: IPv4 by itself, IPv6 by its /64; zeros for a unix socket. */
void caps_key_counted(const struct caps_key *k, uint8_t out[16]);
/* Counts one more, unless there are `max` already or memory is short: false. IPv6 addresses count
 * per /64, which is what one customer gets. */
bool caps_take(struct caps *c, const struct caps_key *k, unsigned max);
void caps_give(struct caps *c, const struct caps_key *k);

#endif
