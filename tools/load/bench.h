/* Bench engine: one thread, epoll, raw sockets, requests signed beforehand, so that the client
 * costs little beside the server. */
#ifndef DOMICILE_LOAD_BENCH_H
#define DOMICILE_LOAD_BENCH_H

#include "client.h"
#include "histogram.h"

/* Most connections of one run; well under the soft limit on open files. */
#define BENCH_CONNECTIONS_MAX 1000
/* Most objects of one run: each has its signed head in memory. */
#define BENCH_OBJECTS_MAX 1000000

struct bench_config {
  const struct endpoint *endpoint; /* http only */
  const struct sigv4_key *key;     /* NULL: plain requests without signatures */
  const char *bucket;              /* NULL: the prefix begins the path */
  const char *prefix;              /* of the objects' names; the number follows */
  bool exact;                      /* the prefix is the whole name of the one object */
  bool put;                        /* else GET */
  struct slice payload;            /* of PUTs */
  bool sign_payload;               /* else UNSIGNED-PAYLOAD */
  size_t objects;
  size_t connections;
  uint64_t requests_max; /* 0: no end by number */
  uint64_t duration_ms;  /* 0: no end by time */
};

struct bench_result {
  struct histogram latency_ns; /* from the first byte written to the last read */
  uint64_t requests;           /* answered with 2xx */
  uint64_t errors;             /* answered otherwise, or broken off */
  unsigned first_status;       /* of the first error; 0: broken off */
  uint64_t body_bytes;         /* sent by PUT or received by GET */
  uint64_t reconnects;         /* connections that the server closed between requests */
  uint64_t wall_ns;
  uint64_t cpu_ns; /* of this process, user and system */
};

/* Runs to the config's end or load_stop; requests in flight are finished and counted.
 * Returns: false when it could not run (no connection, memory, 30 s without any progress,
 * answers that it cannot read), after a complaint. */
bool bench_run(const struct bench_config *config, struct bench_result *out);

/* What of an answer's head matters; `head` ends with its empty line. */
struct bench_head {
  unsigned status;
  uint64_t body_bytes;
  bool close;
};
/* Returns: false when the head is unreadable, or has no Content-Length where a body may follow. */
bool bench_head_parse(struct slice head, struct bench_head *out);

#endif
