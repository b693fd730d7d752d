/* Session: what every subcommand that talks to servers needs: the key, the endpoints, and one
 * client per worker and endpoint, opened when first used.
 *
 * Labels choose endpoints: load names them by country, check by region. Multipart uploads are
 * spelled out here once for load and the writers. */
#ifndef DOMICILE_LOAD_SESSION_H
#define DOMICILE_LOAD_SESSION_H

#include "client.h"
#include "flags.h"
#include "pool.h"

/* Most endpoints of one run: the regions of a charter and a spare. */
#define SESSION_ENDPOINTS_MAX 16

struct session {
  struct sigv4_key key;
  struct endpoint endpoints[SESSION_ENDPOINTS_MAX];
  size_t endpoint_count;
  /* [worker * endpoint_count + endpoint] */
  struct client *clients;
  size_t workers;
};

/* `key_text` may be NULL: then DOMICILE_LOAD_KEY is taken. Complains about what is wrong, as a
 * usage error of `set`. Returns: -1 fine, session_done releases it; else the exit code. */
int session_init(struct session *s, const struct flag_set *set, const char *key_text,
                 const struct flag_list *endpoints, uint64_t workers);
/* Closes all clients. Threads: after all workers have ended. */
void session_done(struct session *s);
/* The worker's client for an endpoint. Threads: `worker` is the caller's own.
 * Returns: NULL without memory. */
struct client *session_client(struct session *s, size_t worker, size_t endpoint);
/* Index of the endpoint labelled `label`, else of the one labelled "*", else -1. */
int session_endpoint(const struct session *s, const char *label);

/* Multipart uploads are cut into parts of this size, the least that S3 takes being 5 MiB. */
#define SESSION_PART_BYTES ((size_t)8 << 20)

/* One object to put. */
struct upload {
  const char *bucket;
  struct slice key;
  /* sent as x-amz-meta-domicile-country; NULL for none */
  const char *country;
};

/* PUT of bytes in memory. The answer is the caller's, as client_do. */
void session_put(struct client *c, const struct upload *u, struct slice body, struct answer *out);
/* CreateMultipartUpload; the upload id, percent-encoded for queries, is appended to `out_id`
 * only when the answer is fine. */
void session_create(struct client *c, const struct upload *u, struct buf *out_id, struct answer *out);
/* UploadPart; `number` counts from 1. */
void session_part(struct client *c, const struct upload *u, const char *id, unsigned number,
                  struct slice body, struct answer *out);
/* CompleteMultipartUpload; etags are those that the parts' answers gave, in order. */
void session_complete(struct client *c, const struct upload *u, const char *id, char etags[][96],
                      unsigned count, struct answer *out);

#endif
