/* Client: one S3 connection by libcurl, requests signed by sigv4.h. Path-style addressing. */
#ifndef DOMICILE_LOAD_CLIENT_H
#define DOMICILE_LOAD_CLIENT_H

#include "base/bytes.h"
#include "digest.h"
#include "sigv4.h"

/* A region's or gateway's address, with an optional label before '=': "IN=http://HOST:PORT". */
struct endpoint {
  char label[32]; /* "*" when none was given */
  char url[128];  /* without a final slash */
  char host[112]; /* the Host header: HOST:PORT, without a scheme's own port */
};
/* Returns: false when `text` is no endpoint. http and https only. */
bool endpoint_parse(const char *text, struct endpoint *out);

struct client {
  void *curl;
  const struct endpoint *endpoint; /* borrowed */
  const struct sigv4_key *key;     /* borrowed */
};
/* Threads: a client belongs to one thread. Returns: false without memory. */
bool client_open(struct client *c, const struct endpoint *endpoint, const struct sigv4_key *key);
void client_close(struct client *c);

struct request {
  const char *method;                 /* GET, PUT, POST, DELETE, HEAD */
  const char *bucket;                 /* or NULL: the service */
  struct slice key;                   /* decoded; empty: the bucket */
  const char *query;                  /* percent-encoded, without '?'; NULL for none */
  const struct sigv4_header *headers; /* more headers, all signed; lower-case names */
  size_t header_count;                /* at most SIGV4_HEADERS_MAX - 3 */
  struct slice body;
  bool hash_only; /* the answer's body is hashed and counted, not kept */
};

/* Longest answer body that is kept: a listing page of 1,000 keys of 1,024 bytes, percent-encoded,
 * with its markup. */
#define ANSWER_BODY_MAX ((size_t)8 << 20)

struct answer {
  unsigned status;             /* 0: no whole answer came */
  char etag[96];               /* without quotes; "" when none */
  char met[16];                /* x-domicile-met; "" when none */
  char code[64];               /* the error XML's Code; "" when none */
  char why[160];               /* libcurl's text when status is 0 */
  struct buf body;             /* unless hash_only */
  uint64_t size_bytes;         /* of the body */
  uint8_t sha256[DIGEST_SIZE]; /* of the body, when hash_only */
  uint64_t start_ns;           /* CLOCK_MONOTONIC before the first byte left */
  uint64_t end_ns;             /* after the last came */
};

/* Performs one request and waits. The answer is filled always; `answer_done` releases it. An
 * XML error inside a 200 (CopyObject, CompleteMultipartUpload) is turned into status 500.
 * Never retries. */
void client_do(struct client *c, const struct request *r, struct answer *out);
void answer_done(struct answer *a);
/* 2xx. */
static inline bool answer_ok(const struct answer *a) {
  return a->status >= 200 && a->status < 300;
}

#endif
