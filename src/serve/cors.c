/* CORS: what a browser asks before a request from a page of another origin, and what it is told with the
 * answer. It opens nothing: signature and charter are asked for each request all the same. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* The bucket's rules in *out, in the request's arena; count 0: none. Asks no other region: anybody may send
 * an OPTIONS for any name, and errors are answered before a bucket was looked up. */
static enum s3_error rules_of(struct call *c, struct s3_cors *out) {
  STORE_VIEW_AUTO *v = NULL;
  struct dom_err err = {0};
  struct subject_bucket bucket;
  struct subject_config *config = NULL;
  *out = (struct s3_cors){.count = 0};
  enum dom_code code = store_view_open(c->r->store, &v, &err);
  if (!code) code = subject_bucket_known(v, c->q.bucket, &bucket, &err);
  if (code == DOM_NOT_FOUND) return S3_OK;
  if (!code) code = subject_config_get(c->r->subjects, v, &bucket, &config, &err);
  if (code) return call_error_of(c, code, &err);
  struct slice text = subject_config_part(config, SUBJECT_PART_CORS);
  enum s3_error error = text.data ? s3_cors_parse(text, wire_exchange_arena(c->x), out) : S3_OK;
  subject_config_release(config);
  return error;
}

static void add_fields(struct call *c, const struct s3_cors_rule *rule, struct slice origin,
                       struct slice headers) {
  struct s3_headers fields = {.arena = wire_exchange_arena(c->x)};
  s3_cors_headers(rule, origin, headers, &fields);
  for (size_t i = 0; i < fields.count; i++)
    wire_reply_field(c->x, fields.items[i].name, fields.items[i].value);
}

enum s3_error cors_preflight(struct call *c) {
  assert(c->q.op == S3_OP_PREFLIGHT && c->q.bucket.len > 0);
  struct slice origin = wire_exchange_field(c->x, "Origin"),
               method = wire_exchange_field(c->x, "Access-Control-Request-Method"),
               headers = wire_exchange_field(c->x, "Access-Control-Request-Headers");
  if (!origin.len || !method.len) {
    snprintf(c->detail, sizeof c->detail, "Insufficient information. %s request header needed.",
             origin.len ? "Access-Control-Request-Method" : "Origin");
    return S3_ERR_BAD_REQUEST;
  }
  struct s3_cors cors;
  enum s3_error error = rules_of(c, &cors);
  if (error) return error;
  if (cors.count == 0) return S3_ERR_CORS_NOT_ENABLED;
  const struct s3_cors_rule *rule = s3_cors_match(&cors, origin, method, headers);
  if (!rule) return S3_ERR_ACCESS_FORBIDDEN;
  wire_reply_field_str(c->x, "x-amz-request-id", c->id);
  add_fields(c, rule, origin, headers);
  wire_reply(c->x, 200, SLICE_LIT(""), NULL);
  return S3_OK;
}

void cors_fields(struct call *c) {
  struct slice origin = wire_exchange_field(c->x, "Origin");
  struct s3_cors cors;
  if (!origin.len || !c->q.bucket.len || c->is_forwarded || c->q.op == S3_OP_PREFLIGHT) return;
  if (rules_of(c, &cors)) return; /* a browser then keeps the answer from its page: the safe side */
  const struct s3_cors_rule *rule = s3_cors_match(&cors, origin, c->head.method, SLICE_LIT(""));
  if (rule) add_fields(c, rule, origin, SLICE_LIT(""));
}
