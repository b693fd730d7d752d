/* AWS Signature Version 4 in headers, written from the published description
 * (Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header")
 * and checked against its example vectors. */
#ifndef DOMICILE_LOAD_SIGV4_H
#define DOMICILE_LOAD_SIGV4_H

#include "base/bytes.h"

#define SIGV4_UNSIGNED   "UNSIGNED-PAYLOAD"
#define SIGV4_STAMP_SIZE 17 /* 20130524T000000Z and the NUL */
/* Access keys and secrets longer than this are refused at the command line. */
#define SIGV4_NAME_MAX 128

struct sigv4_key {
  char access[SIGV4_NAME_MAX];
  char secret[SIGV4_NAME_MAX];
  /* the credential scope's region name */
  char region[64];
};

/* "ACCESS:SECRET" to a key with region us-east-1. Returns: false when malformed. */
bool sigv4_key_parse(const char *text, struct sigv4_key *out);

struct sigv4_header {
  /* lower case */
  const char *name;
  /* no leading or trailing blanks */
  const char *value;
};

/* Most headers that one request signs. */
#define SIGV4_HEADERS_MAX 16
/* Most query parameters of one request. */
#define SIGV4_QUERY_MAX 16

struct sigv4_input {
  const char *method;
  /* percent-encoded as it is sent, begins with '/' */
  const char *path;
  /* percent-encoded as it is sent, without '?'; any order; "" for none */
  const char *query;
  /* all are signed; must hold host and x-amz-date */
  const struct sigv4_header *headers;
  size_t header_count;
  /* hex SHA-256 or SIGV4_UNSIGNED */
  const char *payload_hash;
  /* the x-amz-date */
  const char *stamp;
};

/* Appends the Authorization header's value to `out` (sticky failure as in bytes.h). */
void sigv4_authorize(const struct sigv4_key *key, const struct sigv4_input *in, struct buf *out);

/* The request's stamp for a wall time in ms since 1970. */
void sigv4_stamp(uint64_t wall_ms, char out[SIGV4_STAMP_SIZE]);

#endif
