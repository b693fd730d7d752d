/* One client request: head → operation → who signed → dispatch; and errors out as S3 XML. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

const char *call_met_name(enum serve_met met) {
  static const char *const NAMES[] = {"home", "copying", "held", "forwarded"};
  assert(met < sizeof NAMES / sizeof *NAMES);
  return NAMES[met];
}

void call_fields(struct call *c) {
  wire_reply_field_str(c->x, "x-amz-request-id", c->id);
  wire_reply_field_str(c->x, "x-domicile-met", call_met_name(c->met));
  version_fields(c);
  cors_fields(c);
}

static bool moves_an_object(enum s3_op op) {
  switch (op) {
  case S3_OP_PUT_OBJECT:
  case S3_OP_POST_OBJECT:
  case S3_OP_GET_OBJECT:
  case S3_OP_HEAD_OBJECT:
  case S3_OP_COPY_OBJECT:
  case S3_OP_CREATE_MULTIPART_UPLOAD:
  case S3_OP_UPLOAD_PART:
  case S3_OP_UPLOAD_PART_COPY:
  case S3_OP_COMPLETE_MULTIPART_UPLOAD:
    return true;
  default:
    return false;
  }
}

void call_encryption_field(struct call *c) {
  if (!moves_an_object(c->q.op) || c->is_forwarded) return; /* the gateway says it */
  if (c->q.customer) return;                                /* customer_fields says how */
  struct slice asked;
  if (subject_bucket_has(&c->bucket, SUBJECT_PART_ENCRYPTION) ||
      auth_header_find(&c->head, SLICE_LIT("x-amz-server-side-encryption"), &asked) > 0)
    wire_reply_field_str(c->x, "x-amz-server-side-encryption", "AES256");
}

void call_fail(struct call *c, enum s3_error error) {
  assert(error != S3_OK && error < S3_ERROR_COUNT);
  if (!wire_reply_is_open(c->x)) { /* half an answer is out: the client must see it broken */
    wire_reply_abort(c->x);
    return;
  }
  wire_reply_restart(c->x);
  if (error == S3_ERR_RESIDENCY_VIOLATION) refusal_note(c->r, &c->refusal);
  struct s3_error_context context = {.resource =
                                         s3_resource(&c->head, &c->r->domains, wire_exchange_arena(c->x)),
                                     .request_id = slice_str(c->id),
                                     .host_id = slice_str(c->r->name),
                                     .detail = c->detail[0] ? c->detail : NULL};
  BUF_AUTO xml = BUF_INIT;
  s3_error_xml(error, &context, &xml);
  unsigned status = s3_error_status(error);
  call_fields(c);
  if (status != 304) wire_reply_field_str(c->x, "Content-Type", "application/xml");
  if (status == 503) wire_reply_field_str(c->x, "Retry-After", "1");
  wire_reply(c->x, status, buf_slice(&xml), NULL);
}

enum s3_error call_reply_empty(struct call *c, unsigned status) {
  call_fields(c);
  wire_reply(c->x, status, SLICE_LIT(""), NULL);
  return S3_OK;
}

enum s3_error call_reply_xml(struct call *c, unsigned status, const struct buf *xml) {
  if (xml->failed) return S3_ERR_INTERNAL_ERROR;
  call_fields(c);
  call_encryption_field(c);
  customer_fields(c);
  wire_reply_field_str(c->x, "Content-Type", "application/xml");
  wire_reply(c->x, status, buf_slice(xml), NULL);
  return S3_OK;
}

void call_detail_refusal(struct call *c, const struct charter_refusal *refusal) {
  int n = snprintf(c->detail, sizeof c->detail, "charter %llu, %s: %.*s",
                   (unsigned long long)refusal->version, refusal->clause, CALL_WHY_MAX, refusal->why);
  assert(n > 0);
  c->refusal = *refusal;
}

static void set_detail(struct call *c, const struct dom_err *err) {
  if (err && err->text[0]) snprintf(c->detail, sizeof c->detail, "%s", err->text);
}

enum s3_error call_error_of(struct call *c, enum dom_code code, const struct dom_err *err) {
  switch (code) {
  case DOM_OK:
    return S3_OK;
  case DOM_REFUSED:
    set_detail(c, err);
    return S3_ERR_RESIDENCY_VIOLATION;
  case DOM_DENIED:
    return S3_ERR_ACCESS_DENIED;
  case DOM_NO_SPACE:
    return S3_ERR_INSUFFICIENT_STORAGE;
  case DOM_READ_ONLY:
    return S3_ERR_REGION_READ_ONLY;
  case DOM_FENCED:
  case DOM_STALE_EPOCH:
  case DOM_ELSEWHERE:
  case DOM_RETRY:
  case DOM_BUSY:
    return S3_ERR_SLOW_DOWN;
  case DOM_UNAVAILABLE:
  case DOM_TIMEOUT:
    set_detail(c, err);
    return S3_ERR_SERVICE_UNAVAILABLE;
  case DOM_INVALID:
  case DOM_TOO_LARGE:
    set_detail(c, err);
    return S3_ERR_INVALID_ARGUMENT;
  case DOM_NO_MEMORY: /* under load; the client may come again */
    return S3_ERR_SLOW_DOWN;
  default:
    break;
  }
  const struct log_field *fields = LOG_FIELDS({.name = "code", .text = dom_code_name(code)},
                                              {.name = "where", .text = err && err->where ? err->where : ""},
                                              {.name = "detail", .text = err ? err->text : ""});
  log_event(LOG_ERROR, "serve", c->id, "request failed", fields);
  return S3_ERR_INTERNAL_ERROR;
}

void call_head(struct call *c) {
  const struct wire_head *h = wire_exchange_head(c->x);
  for (size_t i = 0; i < h->field_count; i++)
    c->headers[i] = (struct auth_header){.name = h->fields[i].name, .value = h->fields[i].value};
  c->head = (struct auth_request){.method = h->method_text,
                                  .raw_path = h->path,
                                  .raw_query = h->query,
                                  .headers = c->headers,
                                  .header_count = h->field_count,
                                  .now_ms = clock_wall_ms(c->r->clock)};
}

static void make_id(struct call *c, struct slice given) {
  if (given.len == SERVE_REQUEST_ID_SIZE) {
    memcpy(c->id, given.data, given.len);
    return;
  }
  uint8_t raw[SERVE_REQUEST_ID_SIZE / 2];
  random_bytes(raw, sizeof raw);
  for (size_t i = 0; i < SERVE_REQUEST_ID_SIZE; i++)
    c->id[i] = "0123456789abcdef"[(i % 2 ? raw[i / 2] : raw[i / 2] >> 4) & 15];
}

/* A statement that came along makes this region serve what it has prepared. A wrong one changes nothing. */
static void take_statement(struct call *c) {
  struct slice text = wire_exchange_field(c->x, "x-domicile-statement");
  if (!text.len) return;
  BUF_AUTO statement = BUF_INIT;
  if (base64_decode(text, &statement) == DOM_OK)
    mover_take_statement(c->r->mover, buf_slice(&statement), NULL);
}

/* What regions say to each other in a head; no client's signature covers it. */
static bool between_regions(struct slice name) {
  return wire_field_is_internal(name) || slice_equal_nocase(name, SLICE_LIT("x-domicile-request")) ||
         slice_equal_nocase(name, slice_str(SERVE_COPY_FIELD)) ||
         slice_equal_nocase(name, slice_str(SERVE_CLIENT_FIELD)) ||
         slice_equal_nocase(name, slice_str(SERVE_SUBJECT_FIELD)) ||
         slice_equal_nocase(name, SLICE_LIT("x-domicile-statement"));
}

/* An envelope that does not hold: said to the peer in a field of its own, so that it does not pass this 403
 * on as if the client had been refused. Right after a start every message stamped before it is refused so. */
static void refuse_envelope(struct call *c) {
  BUF_AUTO xml = BUF_INIT;
  struct s3_error_context context = {.request_id = slice_str(c->id), .host_id = slice_str(c->r->name)};
  s3_error_xml(S3_ERR_ACCESS_DENIED, &context, &xml);
  call_fields(c);
  wire_reply_field_str(c->x, "Content-Type", "application/xml");
  wire_reply_field_str(c->x, SERVE_REFUSED_FIELD, "envelope");
  wire_reply(c->x, 403, buf_slice(&xml), NULL);
}

/* Who the client's gateway is: the peer, unless that asks for the source of a copy and names another. */
static bool take_peer(struct call *c) {
  struct slice gateway = wire_exchange_field(c->x, SERVE_COPY_FIELD);
  uint64_t number = c->peer.from;
  if (gateway.data && (slice_to_u64(gateway, &number) || number == 0 || number > UINT16_MAX)) return false;
  c->is_forwarded = true;
  c->gateway = (uint16_t)number;
  c->copy_to = gateway.data ? c->peer.from : 0;
  size_t len = 0;
  struct slice route = wire_exchange_field(c->x, SERVE_SUBJECT_FIELD);
  c->has_route = hex_decode(route, c->route, TOKEN_SIZE, &len) == DOM_OK && len == TOKEN_SIZE;
  return true;
}

/* The client's own connection, as far as it is known: here, or as the gateway tells. */
static void take_client(struct call *c) {
  struct slice text = wire_exchange_field(c->x, SERVE_CLIENT_FIELD);
  if (!c->is_forwarded) {
    c->client_address = slice_str(wire_exchange_peer(c->x));
    c->client_tls = wire_exchange_tls(c->x);
  } else {
    size_t blank = slice_find(text, ' ');
    struct slice tls = slice_cut(text, blank < text.len ? blank + 1 : blank, text.len);
    c->client_address = slice_cut(text, 0, blank);
    c->client_tls = slice_equal(tls, SLICE_LIT("13")) ? 13 : slice_equal(tls, SLICE_LIT("12")) ? 12 : 0;
  }
  bool none = !c->client_address.len || slice_equal(c->client_address, SLICE_LIT("unix")) ||
              slice_equal(c->client_address, SLICE_LIT("-"));
  if (none) c->client_address = (struct slice){0};
}

/* Whether a peer sent this on. False: refused and answered. */
static bool check_peer(struct call *c) {
  enum dom_code code =
      c->r->envelope ? wire_envelope_check(c->r->envelope, c->x, &c->peer, NULL) : DOM_NOT_FOUND;
  c->gateway = c->r->number;
  if (code == DOM_NOT_FOUND) {
    wire_exchange_drop(c->x, between_regions);
    take_client(c);
    make_id(c, SLICE_LIT(""));
    return true;
  }
  make_id(c, wire_exchange_field(c->x, "x-domicile-request"));
  if (code == DOM_OK && take_peer(c)) {
    take_statement(c);
    take_client(c);
    wire_exchange_drop(c->x, between_regions);
    return true;
  }
  refuse_envelope(c);
  return false;
}

typedef enum s3_error (*operation)(struct call *c);
static const operation OPERATIONS[S3_OP_COUNT] = {
    [S3_OP_LIST_BUCKETS] = bucket_list_all,
    [S3_OP_CREATE_BUCKET] = bucket_create,
    [S3_OP_HEAD_BUCKET] = bucket_head,
    [S3_OP_DELETE_BUCKET] = bucket_delete,
    [S3_OP_GET_BUCKET_LOCATION] = bucket_location,
    [S3_OP_GET_BUCKET_VERSIONING] = bucket_config,
    [S3_OP_PUT_BUCKET_VERSIONING] = bucket_config,
    [S3_OP_GET_BUCKET_ACL] = bucket_acl,
    [S3_OP_PUT_BUCKET_ACL] = bucket_acl_put,
    [S3_OP_GET_BUCKET_CORS] = bucket_config,
    [S3_OP_PUT_BUCKET_CORS] = bucket_config,
    [S3_OP_DELETE_BUCKET_CORS] = bucket_config,
    [S3_OP_GET_BUCKET_LIFECYCLE] = bucket_config,
    [S3_OP_PUT_BUCKET_LIFECYCLE] = bucket_config,
    [S3_OP_DELETE_BUCKET_LIFECYCLE] = bucket_config,
    [S3_OP_GET_BUCKET_TAGGING] = bucket_config,
    [S3_OP_PUT_BUCKET_TAGGING] = bucket_config,
    [S3_OP_DELETE_BUCKET_TAGGING] = bucket_config,
    [S3_OP_GET_BUCKET_ENCRYPTION] = bucket_config,
    [S3_OP_PUT_BUCKET_ENCRYPTION] = bucket_config,
    [S3_OP_DELETE_BUCKET_ENCRYPTION] = bucket_config,
    [S3_OP_GET_PUBLIC_ACCESS_BLOCK] = bucket_config,
    [S3_OP_PUT_PUBLIC_ACCESS_BLOCK] = bucket_config,
    [S3_OP_DELETE_PUBLIC_ACCESS_BLOCK] = bucket_config,
    [S3_OP_GET_BUCKET_OWNERSHIP] = bucket_config,
    [S3_OP_PUT_BUCKET_OWNERSHIP] = bucket_config,
    [S3_OP_DELETE_BUCKET_OWNERSHIP] = bucket_config,
    [S3_OP_GET_BUCKET_POLICY] = bucket_policy_get,
    [S3_OP_PUT_BUCKET_POLICY] = bucket_policy_put,
    [S3_OP_DELETE_BUCKET_POLICY] = bucket_policy_delete,
    [S3_OP_GET_BUCKET_POLICY_STATUS] = bucket_policy_status,
    [S3_OP_GET_OBJECT_LOCK_CONFIG] = bucket_config,
    [S3_OP_PUT_OBJECT_LOCK_CONFIG] = bucket_config,
    [S3_OP_GET_BUCKET_REQUEST_PAYMENT] = bucket_config,
    [S3_OP_GET_BUCKET_LOGGING] = bucket_config,
    [S3_OP_GET_BUCKET_NOTIFICATION] = bucket_config,
    [S3_OP_GET_BUCKET_ACCELERATE] = bucket_config,
    [S3_OP_GET_BUCKET_WEBSITE] = bucket_config,
    [S3_OP_GET_BUCKET_REPLICATION] = bucket_config,
    [S3_OP_PUT_OBJECT_ACL] = object_acl_put,
    [S3_OP_LIST_OBJECTS] = list_objects,
    [S3_OP_LIST_OBJECTS_V2] = list_objects,
    [S3_OP_LIST_OBJECT_VERSIONS] = list_objects,
    [S3_OP_LIST_MULTIPART_UPLOADS] = upload_list,
    [S3_OP_DELETE_OBJECTS] = object_delete_many,
    [S3_OP_PUT_OBJECT] = object_put,
    [S3_OP_POST_OBJECT] = post_object,
    [S3_OP_GET_OBJECT] = object_get,
    [S3_OP_HEAD_OBJECT] = object_get,
    [S3_OP_DELETE_OBJECT] = object_delete,
    [S3_OP_COPY_OBJECT] = object_copy,
    [S3_OP_GET_OBJECT_ACL] = object_acl,
    [S3_OP_GET_OBJECT_ATTRIBUTES] = object_attributes,
    [S3_OP_GET_OBJECT_TAGGING] = object_tagging_get,
    [S3_OP_PUT_OBJECT_TAGGING] = object_tagging_put,
    [S3_OP_DELETE_OBJECT_TAGGING] = object_tagging_delete,
    [S3_OP_GET_OBJECT_RETENTION] = object_lock_get,
    [S3_OP_PUT_OBJECT_RETENTION] = object_lock_put,
    [S3_OP_GET_OBJECT_LEGAL_HOLD] = object_lock_get,
    [S3_OP_PUT_OBJECT_LEGAL_HOLD] = object_lock_put,
    [S3_OP_CREATE_MULTIPART_UPLOAD] = upload_create,
    [S3_OP_UPLOAD_PART] = upload_part,
    [S3_OP_UPLOAD_PART_COPY] = upload_part_copy,
    [S3_OP_LIST_PARTS] = upload_list_parts,
    [S3_OP_COMPLETE_MULTIPART_UPLOAD] = upload_complete,
    [S3_OP_ABORT_MULTIPART_UPLOAD] = upload_abort,
};

enum s3_error call_operation(struct call *c) {
  operation run = OPERATIONS[c->q.op];
  if (run) return run(c);
  snprintf(c->detail, sizeof c->detail, "%s", s3_op_name(c->q.op));
  return S3_ERR_NOT_IMPLEMENTED;
}

/* What was read while the subject left was read in vain: its key may be gone already, and what is sealed
 * under it reads as absent. The new home is asked instead. */
static enum s3_error run_again_elsewhere(struct call *c, enum s3_error error) {
  for (int hop = 0; error && hop < SERVE_HOPS_MAX; hop++) {
    bool vain = !s3_op_is_write(c->q.op) && wire_reply_is_open(c->x) && call_left_meanwhile(c);
    if (!vain) break;
    wire_reply_restart(c->x);
    c->detail[0] = 0;
    error = call_operation(c);
  }
  return error;
}

/* A head without x-amz-content-sha256 proves its sender together with its body only. Operations that read the
 * body to its end before they act or show anything may go on; the others would believe anybody. */
static bool is_proven_in_time(const struct call *c) {
  switch (c->q.op) {
  case S3_OP_PUT_OBJECT:
  case S3_OP_UPLOAD_PART:
  case S3_OP_COMPLETE_MULTIPART_UPLOAD:
  case S3_OP_DELETE_OBJECTS:
  case S3_OP_CREATE_BUCKET:
  case S3_OP_PUT_BUCKET_POLICY:
  case S3_OP_PUT_BUCKET_ACL:
  case S3_OP_PUT_OBJECT_ACL:
  case S3_OP_PUT_OBJECT_TAGGING:
  case S3_OP_PUT_OBJECT_RETENTION:
  case S3_OP_PUT_OBJECT_LEGAL_HOLD:
    return true;
  default:
    return bucket_config_has_body(c->q.op) || auth_result_is_proven(&c->auth);
  }
}

/* A browser signs nothing before it asks; a presigned URL is signed for the request to come. */
static enum s3_error serve_preflight(struct call *c) {
  struct s3_fault fault = {0};
  enum s3_error error = s3_request_parse(&c->head, &c->r->domains, wire_exchange_arena(c->x), &c->q, &fault);
  return error ? error : cors_preflight(c);
}

/* Else a link to a public object could be made to say anything of it. */
static bool has_overrides(const struct s3_overrides *o) {
  return o->content_type.len || o->content_encoding.len || o->cache_control.len ||
         o->content_disposition.len || o->content_language.len || o->expires.len;
}

enum s3_error call_verify(struct call *c) {
  return s3_error_of_auth(auth_verify_head(c->r->verifier, &c->head, wire_exchange_arena(c->x), &c->auth));
}

static enum s3_error serve(struct call *c) {
  struct arena *arena = wire_exchange_arena(c->x);
  struct s3_fault fault = {0};
  if (!mover_is_open(c->r->mover)) return S3_ERR_REGION_IN_QUARANTINE;
  if (slice_equal(c->head.method, SLICE_LIT("OPTIONS"))) return serve_preflight(c);
  enum s3_error error = call_verify(c);
  if (!error) error = s3_request_parse(&c->head, &c->r->domains, arena, &c->q, &fault);
  if (!error && c->auth.scheme == AUTH_QUERY) error = s3_head_whole(&c->head, arena, &c->head, &fault);
  if (error) {
    if (fault.detail) snprintf(c->detail, sizeof c->detail, "%s", fault.detail);
    return error;
  }
  error = customer_secure(c);
  if (!error) error = access_begin(c);
  if (error) return error;
  if (!c->auth.is_unverified && !is_proven_in_time(c)) {
    snprintf(c->detail, sizeof c->detail, "with this body it needs x-amz-content-sha256");
    return S3_ERR_INVALID_REQUEST;
  }
  if (c->auth.scheme == AUTH_ANONYMOUS && has_overrides(&c->q.overrides)) {
    snprintf(c->detail, sizeof c->detail, "response headers are for signed requests only");
    return S3_ERR_INVALID_REQUEST;
  }
  if (c->copy_to) return copy_source_answer(c);
  error = run_again_elsewhere(c, call_operation(c));
  if (error == S3_ERR_NO_SUCH_KEY) error = access_absent(c);
  if (error == S3_ERR_ACCESS_DENIED)
    version_untell(c); /* that there is a delete marker is not for everybody */
  return error;
}

const uint32_t SERVE_SLOTS_US[SERVE_SLOT_COUNT - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 2500000, 10000000, 60000000};

static void count_time(struct serve_histogram *h, uint64_t took_us) {
  unsigned slot = 0;
  while (slot < SERVE_SLOT_COUNT - 1 && took_us > SERVE_SLOTS_US[slot]) slot++;
  atomic_fetch_add(&h->slot[slot], 1);
  atomic_fetch_add(&h->sum_us, took_us);
}

static void count(struct call *c, uint64_t took_us) {
  struct serve_metrics *m = &c->r->metrics;
  count_time(&m->took[c->q.op], took_us);
  unsigned status = wire_reply_status(c->x);
  atomic_fetch_add(&m->requests, 1);
  if (status == 451) atomic_fetch_add(&m->refused_451, 1);
  if (status >= 500)
    atomic_fetch_add(&m->errors_5xx, 1);
  else if (status >= 400)
    atomic_fetch_add(&m->errors_4xx, 1);
  if (c->met == MET_HELD) atomic_fetch_add(&m->held, 1);
  atomic_fetch_add(&m->bytes_in, wire_body_taken(c->x));
  atomic_fetch_add(&m->bytes_out, wire_reply_written(c->x));
}

/* Long enough that a client with a short pause between its requests is still there. */
enum { CALL_CLIENT_LINGER_MS = 20 };

unsigned call_clients(void *region) {
  struct region *r = region;
  unsigned now = atomic_load(&r->clients);
  uint64_t left = atomic_load(&r->client_left_ns);
  bool lingers = left && clock_mono_ns(r->clock) < left + CALL_CLIENT_LINGER_MS * UINT64_C(1000000);
  return now || !lingers ? now : 1;
}

static enum s3_error serve_client(struct call *c) {
  struct region *r = c->r;
  atomic_fetch_add(&r->clients, 1);
  enum s3_error error = serve(c);
  atomic_fetch_sub(&r->clients, 1);
  atomic_store(&r->client_left_ns, clock_mono_ns(r->clock));
  return error;
}

void call_handle(struct region *r, struct wire_exchange *x) {
  struct call c = {.r = r, .x = x};
  uint64_t began_ns = clock_mono_ns(r->clock), waited_us = wire_exchange_waited_us(x);
  if (!check_peer(&c)) return;
  call_head(&c);
  enum s3_error error = serve_client(&c);
  call_leave(&c);
  access_rules_release(c.rules);
  c.rules = NULL;
  customer_forget(&c);
  if (wire_exchange_is_put_aside(x)) return; /* not over */
  if (error) call_fail(&c, error);
  uint64_t took_us = (clock_mono_ns(r->clock) - began_ns) / 1000 + waited_us;
  count(&c, took_us);
  if (r->access_log) access_log_note(r->access_log, &c, error, took_us);
}
