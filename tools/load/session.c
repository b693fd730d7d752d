#include "session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "load.h"
#include "xml.h"

/* The header by which a subject's first object registers it. */
#define COUNTRY_HEADER "x-amz-meta-domicile-country"

int session_init(struct session *s, const struct flag_set *set, const char *key_text,
                 const struct flag_list *endpoints, uint64_t workers) {
  assert(s != NULL && set != NULL && endpoints != NULL);
  *s = (struct session){0};
  if (key_text == NULL) key_text = getenv("DOMICILE_LOAD_KEY");
  if (key_text == NULL) return flags_complain(set, "no key: --key ACCESS:SECRET or DOMICILE_LOAD_KEY");
  if (!sigv4_key_parse(key_text, &s->key)) return flags_complain(set, "the key is not ACCESS:SECRET");
  if (workers < 1 || workers > POOL_THREADS_MAX) {
    return flags_complain(set, "between 1 and %d workers", POOL_THREADS_MAX);
  }
  if (endpoints->count == 0) return flags_complain(set, "--endpoint is required");
  if (endpoints->count > SESSION_ENDPOINTS_MAX) return flags_complain(set, "too many endpoints");
  for (size_t i = 0; i < endpoints->count; i++) {
    if (!endpoint_parse(endpoints->values[i], &s->endpoints[i])) {
      return flags_complain(set, "'%s' is not [LABEL=]http://HOST:PORT", endpoints->values[i]);
    }
  }
  s->endpoint_count = endpoints->count;
  s->workers = (size_t)workers;
  s->clients = dom_calloc(s->workers * s->endpoint_count, sizeof *s->clients);
  return s->clients == NULL ? load_complain("out of memory") : -1;
}

void session_done(struct session *s) {
  assert(s != NULL);
  for (size_t i = 0; s->clients != NULL && i < s->workers * s->endpoint_count; i++) {
    client_close(&s->clients[i]);
  }
  dom_free(s->clients);
  *s = (struct session){0};
}

struct client *session_client(struct session *s, size_t worker, size_t endpoint) {
  assert(worker < s->workers && endpoint < s->endpoint_count);
  struct client *c = &s->clients[worker * s->endpoint_count + endpoint];
  if (c->curl == NULL && !client_open(c, &s->endpoints[endpoint], &s->key)) return NULL;
  return c;
}

int session_endpoint(const struct session *s, const char *label) {
  assert(s != NULL && label != NULL);
  int any = -1;
  for (size_t i = 0; i < s->endpoint_count; i++) {
    if (strcmp(s->endpoints[i].label, label) == 0) return (int)i;
    if (any < 0 && strcmp(s->endpoints[i].label, "*") == 0) any = (int)i;
  }
  return any;
}

static size_t country_header(const struct upload *u, struct sigv4_header *out) {
  assert(u != NULL && out != NULL);
  if (u->country == NULL || u->country[0] == '\0') return 0;
  *out = (struct sigv4_header){COUNTRY_HEADER, u->country};
  return 1;
}

void session_put(struct client *c, const struct upload *u, struct slice body, struct answer *out) {
  assert(u->key.len > 0);
  struct sigv4_header country;
  client_do(c,
            &(struct request){.method = "PUT",
                              .bucket = u->bucket,
                              .key = u->key,
                              .headers = &country,
                              .header_count = country_header(u, &country),
                              .body = body},
            out);
}

void session_create(struct client *c, const struct upload *u, struct buf *out_id, struct answer *out) {
  assert(u->key.len > 0 && out_id != NULL);
  struct sigv4_header country;
  client_do(c,
            &(struct request){.method = "POST",
                              .bucket = u->bucket,
                              .key = u->key,
                              .query = "uploads=",
                              .headers = &country,
                              .header_count = country_header(u, &country)},
            out);
  struct slice inner;
  if (!answer_ok(out)) return;
  if (!xml_find(buf_slice(&out->body), "UploadId", &inner) || inner.len == 0) {
    out->status = 0;
    snprintf(out->why, sizeof out->why, "the answer has no UploadId");
    return;
  }
  BUF_AUTO plain = BUF_INIT;
  xml_text(inner, &plain);
  percent_encode(out_id, buf_slice(&plain), false);
}

void session_part(struct client *c, const struct upload *u, const char *id, unsigned number,
                  struct slice body, struct answer *out) {
  assert(number >= 1 && number <= 10000);
  BUF_AUTO query = BUF_INIT;
  buf_printf(&query, "partNumber=%u&uploadId=%s", number, id);
  client_do(c,
            &(struct request){
                .method = "PUT", .bucket = u->bucket, .key = u->key, .query = buf_str(&query), .body = body},
            out);
}

void session_complete(struct client *c, const struct upload *u, const char *id, char etags[][96],
                      unsigned count, struct answer *out) {
  assert(count >= 1 && etags != NULL);
  BUF_AUTO query = BUF_INIT;
  BUF_AUTO body = BUF_INIT;
  buf_printf(&query, "uploadId=%s", id);
  buf_append_str(&body, "<CompleteMultipartUpload>");
  for (unsigned i = 0; i < count; i++) {
    buf_printf(&body, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i + 1, etags[i]);
  }
  buf_append_str(&body, "</CompleteMultipartUpload>");
  client_do(c,
            &(struct request){.method = "POST",
                              .bucket = u->bucket,
                              .key = u->key,
                              .query = buf_str(&query),
                              .body = buf_slice(&body)},
            out);
}
