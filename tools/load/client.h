/* Client: one S3 connection by libcurl, requests signed by sigv4.h. Path-style addressing.
 *
 * It says exactly what it means: keys are percent-encoded once and sent as they are (no dot
 * segments resolved), the payload's SHA-256 is always signed, proxies of the environment are
 * ignored, "Expect: 100-continue" is not used, and no body is sent a second time. */
#ifndef DOMICILE_LOAD_CLIENT_H
#define DOMICILE_LOAD_CLIENT_H

#include "base/bytes.h"
#include "digest.h"
#include "sigv4.h"

/* A region's or gateway's address, with an optional label before '=': "IN=http://HOST:PORT". */
struct endpoint {
  /* "*" when none was given */
  char label[32];
  /* without a final slash */
  char url[128];
  /* the Host header: HOST:PORT, without a scheme's own port */
  char host[112];
  /* https: whose word is taken, a PEM file; NULL: the system's. Borrowed */
  const char *ca_file;
};
/* Returns: false when `text` is no endpoint. http and https only. */
bool endpoint_parse(const char *text, struct endpoint *out);

struct client {
  void *curl;
  /* borrowed */
  const struct endpoint *endpoint;
  /* borrowed */
  const struct sigv4_key *key;
};
/* Threads: a client belongs to one thread. Returns: false without memory. */
bool client_open(struct client *c, const struct endpoint *endpoint, const struct sigv4_key *key);
/* Closes its connection and frees it. Closing one that never opened is fine. */
void client_close(struct client *c);

struct request {
  /* GET, PUT, POST, DELETE, HEAD */
  const char *method;
  /* or NULL: the service */
  const char *bucket;
  /* decoded; empty: the bucket */
  struct slice key;
  /* percent-encoded, without '?'; NULL for none */
  const char *query;
  /* more headers, all signed; lower-case names */
  const struct sigv4_header *headers;
  /* at most SIGV4_HEADERS_MAX - 3 */
  size_t header_count;
  struct slice body;
  /* the answer's body is hashed and counted, not kept */
  bool hash_only;
};

/* Longest answer body that is kept: a listing page of 1,000 keys of 1,024 bytes, percent-encoded,
 * with its markup. */
#define ANSWER_BODY_MAX ((size_t)8 << 20)

/* Status of a request that was not sent, because nobody took the connection. */
#define ANSWER_UNSENT 1

struct answer {
  /* 0: no whole answer came; ANSWER_UNSENT */
  unsigned status;
  /* without quotes; "" when none */
  char etag[96];
  /* x-domicile-met; "" when none */
  char met[16];
  /* the error XML's Code; "" when none */
  char code[64];
  /* libcurl's text when status is 0 */
  char why[160];
  /* unless hash_only */
  struct buf body;
  /* of the body */
  uint64_t size_bytes;
  /* of the body, when hash_only */
  uint8_t sha256[DIGEST_SIZE];
  /* CLOCK_MONOTONIC before the first byte left */
  uint64_t start_ns;
  /* after the last came */
  uint64_t end_ns;
};

/* Performs one request and waits. The answer is filled always; `answer_done` releases it. An
 * XML error inside a 200 (CopyObject, CompleteMultipartUpload) is turned into status 500.
 * Never retries. */
void client_do(struct client *c, const struct request *r, struct answer *out);
/* Frees the kept body; the other fields stay readable. */
void answer_done(struct answer *a);
/* 2xx. */
static inline bool answer_ok(const struct answer *a) {
  return a->status >= 200 && a->status < 300;
}

#endif
