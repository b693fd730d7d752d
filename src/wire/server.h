/* Server: listeners, connections, workers.
 *
 * A connection that waits for its next request is parked: it holds a file descriptor and some
 * 200 bytes, no thread and no buffer. When bytes arrive, a worker takes it, reads the head, runs
 * the handler, and serves the next request of the same connection while one is there. A head that
 * arrives slowly is parked too, so slow heads never hold workers. */
#ifndef DOMICILE_WIRE_SERVER_H
#define DOMICILE_WIRE_SERVER_H

#include "base/clock.h"
#include "wire/exchange.h"
#include "wire/front.h"
#include "wire/tls.h"

enum {
  /* Workers: enough that handlers blocked on disk syncs overlap (group commit needs many waiting
   * writers) while slow clients hold a quarter of them, few enough that their stacks and buffers (~100 KiB
   * each) do not matter. */
  WIRE_WORKERS_DEFAULT = 96,
  WIRE_WORKERS_MAX = 1024,
  /* Connections: below the hard limit of 20,000 descriptors met in the field, leaving room for
   * stores and peers, and for honest clients beside 10,000 that are not. */
  WIRE_CONNECTIONS_DEFAULT = 15000,
  /* Connections of one address (IPv6: one /64): a gateway's pool or a proxy in front fits, one
   * address alone cannot take all. */
  WIRE_CONNECTIONS_PER_ADDRESS_DEFAULT = 4096,
  /* A head must be whole this long after its first byte: generous for a satellite link, short
   * enough that dripped heads do not pile up. */
  WIRE_HEAD_TIMEOUT_MS_DEFAULT = 20000,
  /* An idle connection is closed after this: longer than clients' own pools keep theirs. */
  WIRE_IDLE_TIMEOUT_MS_DEFAULT = 75000,
  /* Least rate of a body or reply, bytes per second, beyond the grace: a 2G phone does 5 KiB/s. */
  WIRE_RATE_MIN_DEFAULT = 1024,
  /* A client may be this far behind the least rate, and may pause this long, before it is cut. */
  WIRE_GRACE_MS_DEFAULT = 30000,
  /* A client that was waited for this long within one exchange counts as slow, until it has caught up
   * (IO_RATE_FAIR). Past the quota, with no worker idle, 10 ms are enough (io.c). */
  WIRE_SLOW_AFTER_MS_DEFAULT = 100,
  /* After a last reply we read on for this long, so that the reply is not lost to a reset. */
  WIRE_LINGER_MS_DEFAULT = 2000,
  /* Request memory of one exchange (wire_exchange_arena). */
  WIRE_ARENA_BYTES_DEFAULT = 4 << 20,
  /* What Retry-After says beside 503: one second, as S3's SDKs back off by themselves. */
  WIRE_RETRY_AFTER_S = 1,
  /* Requests that may wait for a place, and for how long: 512 of them, 48 places and a region 200 ms away
   * make 2.2 s, and twice that is still far below the patience of clients (30 s and more). What has come of
   * a request is kept while it waits, 1 KiB of head mostly, never more than 64 KiB. */
  WIRE_WAITING_DEFAULT = 512,
  WIRE_WAIT_MS_DEFAULT = 5000,
  /* One address has one in so many of them, so that others find room as well. */
  WIRE_WAITING_SHARE = 2,
  /* Listeners of one server: clients, peers, admin socket, IPv4 and IPv6 of each. */
  WIRE_LISTENERS_MAX = 16
};

/* 0 in any field means the default above. */
struct wire_server_options {
  unsigned workers;
  unsigned connections_max;
  unsigned connections_per_address_max; /* unix sockets are not counted */
  uint32_t head_timeout_ms;
  uint32_t idle_timeout_ms;
  uint32_t rate_min; /* bytes per second, request bodies and replies */
  uint32_t grace_ms;
  /* When no worker is idle and more than this many wait for slow clients, those that have been longest are
   * cut (DOM_BUSY in the handler). Default: a quarter of the workers, at least one. */
  unsigned slow_workers_max;
  uint32_t slow_after_ms;
  uint32_t linger_ms;
  /* Places (wire_place_take). Default: half of the workers; of these seven eighths, three quarters and one
   * quarter; at least one. */
  unsigned places_max;
  unsigned most_places_max;  /* WIRE_LANE_MOST and _FEW together; WIRE_LANE_ALL of one group */
  unsigned group_places_max; /* of one group, while they are WIRE_LANE_MOST or _FEW */
  unsigned few_places_max;
  unsigned waiting_max;
  uint32_t wait_ms;
  size_t arena_bytes_max;
  /* Proxies that are believed when they name their clients. Their connections are not counted by address;
   * their clients' requests in flight are, in place of connections. */
  struct wire_front fronts[WIRE_FRONTS_MAX];
  size_t front_count;
  struct clock *clock; /* NULL: clock_posix() */
};

/* Handles one request. Runs on a worker; returns after it replied (or gave up). */
typedef void (*wire_handler)(struct wire_exchange *x, void *arg);

/* Counters since the start, except `connections` (now). For metrics: nothing personal. */
struct wire_server_stats {
  uint64_t connections;
  uint64_t accepted;
  uint64_t requests;
  uint64_t refused_heads; /* malformed, too large, too late */
  uint64_t refused_full;  /* answered 503 for a connection cap */
  uint64_t slow_aborts;   /* bodies or replies below the least rate, or over the quota */
  uint64_t waiting;       /* requests that wait for a place, now */
};

struct wire_server;

/* A server without listeners and threads. `handler` is called with `arg` by many threads at once.
 * *out_server is freed by wire_server_close. Returns: DOM_NO_MEMORY, DOM_IO. */
enum dom_code wire_server_new(const struct wire_server_options *options, wire_handler handler, void *arg,
                              struct wire_server **out_server, struct dom_err *err);

/* Listens on TCP at "ADDR:PORT" ("127.0.0.1:9101", "[::1]:0", "localhost:80"); port 0: any free
 * one. Only before wire_server_start.
 *   out_listener  index of the listener, as wire_exchange_listener reports it
 * Returns: DOM_BUSY the port is taken (the text names ADDR:PORT), DOM_INVALID the text is no
 * address, DOM_TOO_LARGE past WIRE_LISTENERS_MAX, DOM_IO. */
enum dom_code wire_server_listen_tcp(struct wire_server *s, const char *address, unsigned *out_listener,
                                     struct dom_err *err);
/* Listens on a unix socket at `path`, mode 0600; a socket file that nobody listens on is replaced;
 * the file is removed at close. Returns: DOM_BUSY somebody listens there, DOM_INVALID the path is
 * too long or something else than a socket, DOM_IO. */
enum dom_code wire_server_listen_unix(struct wire_server *s, const char *path, unsigned *out_listener,
                                      struct dom_err *err);
/* The TCP listener speaks TLS, and nothing else, with what wire_server_tls_put gives. Before start. */
void wire_server_listener_tls(struct wire_server *s, unsigned listener);
/* New connections of all TLS listeners use `tls` from now on; those that are open keep what they began with.
 * Needed before start where a listener speaks TLS; may be called again at any time. Threads: any. */
void wire_server_tls_put(struct wire_server *s, struct wire_tls *tls_take);
/* The TCP port that a listener really has; 0 for a unix socket. */
unsigned wire_server_port(const struct wire_server *s, unsigned listener);
/* True when all addresses that "ADDR:PORT" resolves to are loopback. False also when it does not
 * resolve. */
bool wire_address_is_loopback(const char *address);

/* Starts the threads. They block all signals. Returns: DOM_NO_MEMORY, DOM_IO. */
enum dom_code wire_server_start(struct wire_server *s, struct dom_err *err);
/* Stops accepting, closes idle connections, lets requests in flight finish (their replies say
 * Connection: close), and waits until all are gone. May be called once, from any thread but a
 * worker. Returns: DOM_TIMEOUT when some were still there after deadline_ms. */
enum dom_code wire_server_drain(struct wire_server *s, uint32_t deadline_ms, struct dom_err *err);
/* Cuts what is left, waits for the handlers, frees everything. NULL is allowed. */
void wire_server_close(struct wire_server *s);

/* --- places: for handlers that wait for something else than their client, as another region --- *
 *
 * Handlers that hold a place are at most places_max, so that workers are left for all others. Those that
 * cannot have one are put aside, without a worker, and run again when it is their turn. */
enum wire_lane {
  WIRE_LANE_ALL,  /* any place: for what cannot wait, and would never have one while others wait for them */
  WIRE_LANE_MOST, /* one of most_places_max */
  WIRE_LANE_FEW   /* one of few_places_max, too: for what is trusted less */
};
/* What a place is for. */
struct wire_errand {
  enum wire_lane lane;
  uint16_t group; /* what is waited for, as a region's number: those of one group never take all places */
};
enum wire_place {
  WIRE_PLACE_TAKEN, /* give it back with wire_place_give */
  WIRE_PLACE_WAIT,  /* return without a reply: the handler is called again, with the same head */
  /* Too many wait, of all or of this client; or it has waited wait_ms; or part of its body was read, or of a
   * reply sent. */
  WIRE_PLACE_NONE
};
/* To be asked before anything of the body is read. Source: docs/decisions/0029. */
enum wire_place wire_place_take(struct wire_exchange *x, const struct wire_errand *e);
/* A place that is free now, without waiting; false: none. Threads: any. */
bool wire_place_try(struct wire_server *s, const struct wire_errand *e);
/* Threads: any. */
void wire_place_give(struct wire_server *s, const struct wire_errand *e);

/* Threads: any. */
void wire_server_stats(struct wire_server *s, struct wire_server_stats *out);

#endif
