/* Net: one region asks another and gets one answer. Messages are bounded; bulk travels as
 * many messages. The real one is wire's signed envelope over HTTP; the simulated one lives
 * here and can lose, delay, duplicate and reorder. Client requests that are forwarded as
 * streams do not go through this table (serve/forward.c). */
#ifndef DOMICILE_BASE_NET_H
#define DOMICILE_BASE_NET_H

#include "base/bytes.h"

/* Largest body of one message, either way: a batch of handoff items stays under it, and a
 * receiver can hold one per worker. */
#define NET_MESSAGE_MAX (8u << 20)

/* Messages to paths that begin so carry bulk: a length u32, big-endian, so many bytes that the sender's
 * signature covers together with that length and the message's, and the rest. The rest may have been changed
 * on the way; its receiver believes it by hashes that were sealed, in this message or another. */
#define NET_BULK_PREFIX "bulk/"
enum { NET_BULK_LENGTH_SIZE = 4 };
/* Parts a message of bulk. False: it is shorter than it says. */
bool net_bulk_split(struct slice body, struct slice *out_sealed, struct slice *out_rest);
/* The part of a body that the signature of a message to `path` covers: all of it, but for bulk. */
struct slice net_sealed(const char *path, struct slice body);

/* A message in two parts, one behind the other, so that bulk need not be copied together. */
struct net_body {
  struct slice sealed; /* all of it, but for bulk; of bulk with its length before it */
  struct slice rest;   /* of bulk: what no signature covers */
};

/* One region's way to all others. */
struct net;
struct net_ops {
  /* Sends `body` to `path` ("subject/home", "move/prepare" …) at region number `to` and
   * appends the answer to *reply. Returns DOM_OK, or the code that the other side's handler
   * returned (with its text in *err), or DOM_UNAVAILABLE / DOM_TIMEOUT when it is not known
   * whether the other side acted. Every message is therefore idempotent at its receiver. */
  enum dom_code (*call)(struct net *n, uint16_t to, const char *path, const struct net_body *body,
                        uint32_t timeout_ms, struct buf *reply, struct dom_err *err);
};
struct net {
  const struct net_ops *ops;
};
/* See net_ops.call. DOM_TOO_LARGE for a body past NET_MESSAGE_MAX; *reply grows on DOM_OK only. */
enum dom_code net_call(struct net *n, uint16_t to, const char *path, struct slice body, uint32_t timeout_ms,
                       struct buf *reply, struct dom_err *err);

/* The same for a path of bulk: `sealed`, its length in its first NET_BULK_LENGTH_SIZE bytes, and `rest`. */
enum dom_code net_call_bulk(struct net *n, uint16_t to, const char *path, struct slice sealed,
                            struct slice rest, uint32_t timeout_ms, struct buf *reply, struct dom_err *err);

/* What a region does with a message that was authenticated as coming from region `from`.
 * Returns the code that the sender sees. */
typedef enum dom_code (*net_handler)(void *arg, uint16_t from, const char *path, struct slice body,
                                     struct buf *reply, struct dom_err *err);

/* Simulated: regions in one process, one thread; calls run the handler inline. Deterministic from
 * `seed` and the order of calls. At most 16 regions; paths shorter than 64 bytes. */
struct net_sim;
/* A net that loses nothing until net_sim_chances. Returns: NULL without memory. */
struct net_sim *net_sim_new(uint64_t seed);
/* Ends all regions' nets; what is still under way is lost. NULL is allowed. */
void net_sim_free(struct net_sim *s);
/* The net of region `number`, whose incoming messages go to handler. Borrowed from s. A region
 * that left may join again, as after a restart; its net stays the same. */
struct net *net_sim_join(struct net_sim *s, uint16_t number, net_handler handler, void *arg);
/* The region is down: calls to it and from it yield DOM_UNAVAILABLE until it joins again. */
void net_sim_leave(struct net_sim *s, uint16_t number);
/* Chances in permille: request lost, reply lost (handler ran), request delivered twice. Half of
 * the lost requests and of the second copies arrive late instead: before a later call from outside
 * of handlers, in any order, their answers unheard. */
void net_sim_chances(struct net_sim *s, unsigned lost, unsigned reply_lost, unsigned twice);
/* Chance in permille that a message of bulk comes with one bit changed behind its sealed part. */
void net_sim_spoil(struct net_sim *s, unsigned permille);
/* Delivers now all that is still under way, e.g. before an invariant is checked at the end. */
void net_sim_deliver_late(struct net_sim *s);
/* Cuts or mends the line between two regions that joined, both ways. */
void net_sim_cut(struct net_sim *s, uint16_t a, uint16_t b, bool cut);

#endif
