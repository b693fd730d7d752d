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

/* Most connections of one run: what one address may have at a domicile (wire/server.h). The soft
 * limit on open files is raised for them. */
#define BENCH_CONNECTIONS_MAX 4000
/* Most objects of one run: each has its signed head in memory, and six digits in its name. */
#define BENCH_OBJECTS_MAX 1000000
/* Keys of a listing's page: S3's most. */
#define BENCH_PAGE_KEYS 1000

enum bench_op {
  BENCH_GET,
  BENCH_PUT,
  /* each object once: requests_max is at most `objects` */
  BENCH_DELETE,
  /* pages of BENCH_PAGE_KEYS by ListObjectsV2 with start-after; `objects` counts pages */
  BENCH_LIST,
  /* UploadPart of one object; `objects` counts parts, each sent once */
  BENCH_PART
};

/* How a body is bound to its request. */
enum bench_payload {
  /* by its SHA-256 in the signed head */
  BENCH_SIGNED,
  /* UNSIGNED-PAYLOAD */
  BENCH_UNSIGNED,
  /* aws-chunked with a CRC32C behind it, as SDKs send by default; payload from bench_trailer_encode */
  BENCH_TRAILER
};

struct bench_config {
  const struct endpoint *endpoint;
  /* NULL: plain requests without signatures */
  const struct sigv4_key *key;
  /* NULL: the prefix begins the path */
  const char *bucket;
  /* of the objects' names; the number follows, so that names sort as their numbers */
  const char *prefix;
  /* the prefix is the whole name of the one object */
  bool exact;
  enum bench_op op;
  /* of PUTs and parts, as it is sent */
  struct slice payload;
  enum bench_payload payload_mode;
  /* BENCH_TRAILER: bytes of the object within the payload */
  uint64_t decoded_bytes;
  /* BENCH_PART: percent-encoded */
  const char *upload_id;
  /* BENCH_PART: takes the entity tag of part number i + 1 */
  char (*etags)[96];
  /* called once all answers are here, while all connections are still open; NULL for none */
  void (*hold)(const struct bench_config *config);
  size_t objects;
  size_t connections;
  /* 0: no end by number */
  uint64_t requests_max;
  /* 0: no end by time */
  uint64_t duration_ms;
};

/* Whether its requests carry the payload. */
bool bench_sends_body(const struct bench_config *config);

struct bench_result {
  /* from the first byte written to the last read */
  struct histogram latency_ns;
  /* answered with 2xx */
  uint64_t requests;
  /* answered otherwise, or broken off */
  uint64_t errors;
  /* of the first error; 0: broken off */
  unsigned first_status;
  /* of objects or parts sent, or received otherwise */
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

/* Appends `plain` as an aws-chunked body in chunks of 64 KiB with a CRC32C trailer, unsigned.
 * Source: S3 API reference, "Signature Calculations … Including Trailing Headers". */
void bench_trailer_encode(struct slice plain, struct buf *out);

/* What of an answer's head matters; `head` ends with its empty line. */
struct bench_head {
  unsigned status;
  /* 0 when chunked */
  uint64_t body_bytes;
  bool chunked;
  bool close;
  /* without quotes; "" when none or too long */
  char etag[96];
};
/* Returns: false when the head is unreadable, or tells no length where a body may follow. */
bool bench_head_parse(struct slice head, struct bench_head *out);

/* A chunked body on its way (RFC 9112 §7.1); begins as zeros. */
struct bench_chunks {
  enum {
    BENCH_CHUNK_SIZE,
    BENCH_CHUNK_LINE,
    BENCH_CHUNK_DATA,
    BENCH_CHUNK_BREAK,
    BENCH_CHUNK_LAST,
    BENCH_CHUNK_END
  } at;
  uint64_t left;
  size_t line;
  bool digits;
  /* of the body, so far */
  uint64_t body_bytes;
};
/* Takes the next bytes. `at` is BENCH_CHUNK_END after the last. Returns: false when they are malformed, or
 * more than the body. */
bool bench_chunks_take(struct bench_chunks *c, struct slice bytes);

#endif
