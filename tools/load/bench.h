/* Bench engine: one thread, epoll, raw sockets, requests signed beforehand, so that the client
 * costs little beside the server.
 *
 * A request's latency runs from its first byte written to its answer's last byte read. Answers'
 * bodies are thrown away in the kernel, not copied. A run has one request in flight on each
 * connection, so it is a closed loop: it shows throughput at a given concurrency, and its
 * latencies leave out what an open loop's queue would add. */
#ifndef DOMICILE_LOAD_BENCH_H
#define DOMICILE_LOAD_BENCH_H

#include "client.h"
#include "histogram.h"

/* Most connections of one run; well under the soft limit on open files. */
#define BENCH_CONNECTIONS_MAX 1000
/* Most objects of one run: each has its signed head in memory. */
#define BENCH_OBJECTS_MAX 1000000

struct bench_config {
  /* http only */
  const struct endpoint *endpoint;
  /* NULL: plain requests without signatures */
  const struct sigv4_key *key;
  /* NULL: the prefix begins the path */
  const char *bucket;
  /* of the objects' names; the number follows */
  const char *prefix;
  /* the prefix is the whole name of the one object */
  bool exact;
  /* else GET */
  bool put;
  /* of PUTs */
  struct slice payload;
  /* else UNSIGNED-PAYLOAD */
  bool sign_payload;
  size_t objects;
  size_t connections;
  /* 0: no end by number */
  uint64_t requests_max;
  /* 0: no end by time */
  uint64_t duration_ms;
};

struct bench_result {
  /* from the first byte written to the last read */
  struct histogram latency_ns;
  /* answered with 2xx */
  uint64_t requests;
  /* answered otherwise, or broken off */
  uint64_t errors;
  /* of the first error; 0: broken off */
  unsigned first_status;
  /* sent by PUT or received by GET */
  uint64_t body_bytes;
  /* connections that the server closed between requests */
  uint64_t reconnects;
  uint64_t wall_ns;
  /* of this process, user and system */
  uint64_t cpu_ns;
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
