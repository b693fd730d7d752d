/* A request whose subject lives elsewhere: sent there as the client signed it, streaming both ways. The home
 * checks the client's signature itself; this region's envelope only says who the gateway is. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

struct forward {
  struct call *c;
  const struct slice *body; /* in memory, or NULL: still on the wire */
  size_t body_at;
  bool misdirected; /* the peer is no home: `home`, `epoch`, `statement` say who is */
  uint16_t home;
  uint64_t epoch;
  struct buf statement;
  bool begun;         /* an answer is on its way to the client */
  bool client_failed; /* its body did not come: no failure of the peer */
};

enum { FORWARD_OWN_FIELDS = 2 + WIRE_ENVELOPE_FIELDS }; /* statement, request id, envelope */

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct forward *f = arg;
  if (!f->body) {
    enum dom_code code = wire_body_read(f->c->x, out, cap, out_len, err);
    f->client_failed = code != DOM_OK;
    return code;
  }
  size_t left = f->body->len - f->body_at, n = left < cap ? left : cap;
  memcpy(out, f->body->data + f->body_at, n);
  f->body_at += n;
  *out_len = n;
  return DOM_OK;
}

static struct slice answer_field(const struct wire_field *fields, size_t count, struct slice name) {
  for (size_t i = 0; i < count; i++)
    if (slice_equal_nocase(fields[i].name, name)) return fields[i].value;
  return slice_of(NULL, 0);
}

/* "REGION EPOCH" of a peer that is no home. */
static enum dom_code take_misdirected(struct forward *f, struct slice where, struct slice statement) {
  size_t blank = slice_find(where, ' ');
  uint64_t region = 0;
  if (blank == where.len || slice_to_u64(slice_cut(where, 0, blank), &region) || region > UINT16_MAX ||
      slice_to_u64(slice_cut(where, blank + 1, where.len), &f->epoch))
    return DOM_UNAVAILABLE;
  f->home = (uint16_t)region;
  f->misdirected = true;
  buf_reset(&f->statement);
  if (statement.len) base64_decode(statement, &f->statement);
  return DOM_OK;
}

static enum dom_code take_answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                                 struct dom_err *err) {
  struct forward *f = arg;
  if (status == 403 && answer_field(fields, count, slice_str(SERVE_REFUSED_FIELD)).len)
    return dom_fail(err, DOM_UNAVAILABLE, "serve/forward",
                    "the home does not take this region's envelope just now");
  struct slice where = answer_field(fields, count, SLICE_LIT("x-domicile-home"));
  if (status == 421 && where.len)
    return take_misdirected(f, where, answer_field(fields, count, SLICE_LIT("x-domicile-statement")));
  struct slice length = answer_field(fields, count, SLICE_LIT("Content-Length"));
  uint64_t known = WIRE_LENGTH_UNKNOWN;
  if (length.len && slice_to_u64(length, &known)) return DOM_UNAVAILABLE;
  for (size_t i = 0; i < count; i++) {
    struct slice name = fields[i].name;
    bool ours = wire_reply_field_is_own(name) || wire_field_is_internal(name) ||
                slice_equal_nocase(name, SLICE_LIT("Content-Length")) ||
                slice_equal_nocase(name, SLICE_LIT("x-domicile-met")) ||
                slice_equal_nocase(name, SLICE_LIT("x-amz-request-id"));
    if (!ours) wire_reply_field(f->c->x, name, fields[i].value);
  }
  call_fields(f->c);
  f->begun = true;
  wire_reply_begin(f->c->x, status, known);
  return DOM_OK;
}

static enum dom_code sink(void *arg, struct slice bytes, struct dom_err *err) {
  struct forward *f = arg;
  return f->misdirected ? DOM_OK : wire_reply_write(f->c->x, bytes.data, bytes.len, err);
}

static bool gone(void *arg) {
  const struct forward *f = arg;
  return wire_exchange_gone(f->c->x) || atomic_load(&f->c->r->stopping);
}

static struct serve_breaker *breaker_of(struct region *r, uint16_t home) {
  return &r->breaker[home % SERVE_PEERS_MAX];
}

static bool breaker_closed(struct region *r, uint16_t home) {
  return clock_mono_ns(r->clock) / 1000000 >= atomic_load(&breaker_of(r, home)->closed_until_ms);
}

static void breaker_note(struct region *r, uint16_t home, bool answered) {
  struct serve_breaker *b = breaker_of(r, home);
  if (answered)
    atomic_store(&b->failures, 0);
  else if (atomic_fetch_add(&b->failures, 1) + 1 >= SERVE_FORWARD_FAILURES)
    atomic_store(&b->closed_until_ms, clock_mono_ns(r->clock) / 1000000 + SERVE_FORWARD_PAUSE_MS);
}

/* The client's fields as they came, and ours. */
static size_t collect_fields(struct call *c, const char *statement, struct wire_field *out) {
  const struct wire_head *h = wire_exchange_head(c->x);
  size_t n = 0;
  for (size_t i = 0; i < h->field_count && n + FORWARD_OWN_FIELDS < WIRE_FIELDS_MAX; i++)
    if (!wire_field_is_hop(h->fields[i].name)) out[n++] = h->fields[i];
  out[n++] = (struct wire_field){SLICE_LIT("x-domicile-request"), slice_str(c->id)};
  if (statement[0]) out[n++] = (struct wire_field){SLICE_LIT("x-domicile-statement"), slice_str(statement)};
  return n;
}

/* One try at one home. */
static enum dom_code send_once(struct forward *f, uint16_t home, const char *statement,
                               struct wire_outcome *outcome, struct dom_err *err) {
  struct call *c = f->c;
  struct charter *charter = subject_charter(c->r->subjects);
  const struct charter_region *peer = charter ? charter_region_by_number(charter, home) : NULL;
  char origin[WIRE_ENDPOINT_MAX] = "";
  if (peer) snprintf(origin, sizeof origin, "%s", peer->endpoint);
  charter_release(charter);
  if (!origin[0])
    return dom_fail(err, DOM_UNAVAILABLE, "serve/forward", "the home region is not in the charter in force");
  const struct wire_head *h = wire_exchange_head(c->x);
  struct wire_field fields[WIRE_FIELDS_MAX + FORWARD_OWN_FIELDS];
  size_t count = collect_fields(c, statement, fields);
  uint64_t length = 0;
  if (f->body)
    length = f->body->len;
  else if (!wire_body_length(c->x, &length))
    length = WIRE_CLIENT_CHUNKED;
  bool write = s3_op_is_write(c->q.op);
  struct wire_request r = {.origin = origin,
                           .method = h->method_text,
                           .target = h->target,
                           .fields = fields,
                           .field_count = count,
                           .body_length = length,
                           .length_header = h->has_length,
                           .expect_continue = length > 0,
                           .once = write,
                           .pull = pull,
                           .answer = take_answer,
                           .sink = sink,
                           .cancel = gone,
                           .arg = f};
  struct wire_envelope_seal seal;
  enum dom_code code = wire_envelope_sign_head(c->r->envelope, home, &r, NULL, &seal, err);
  if (code) return code;
  memcpy(fields + count, seal.fields, sizeof seal.fields);
  r.field_count = count + WIRE_ENVELOPE_FIELDS;
  code = wire_client_send(c->r->client, &r, outcome, err);
  if (code != DOM_CANCELLED && !f->client_failed) breaker_note(c->r, home, outcome->status != 0);
  return code;
}

static enum s3_error finish(struct forward *f, enum dom_code code, const struct dom_err *err) {
  struct call *c = f->c;
  if (code == DOM_OK) {
    wire_reply_end(c->x, NULL);
    return S3_OK;
  }
  if (f->begun) { /* half an answer must not look whole */
    wire_reply_abort(c->x);
    return S3_OK;
  }
  if (code == DOM_TIMEOUT || code == DOM_UNAVAILABLE || code == DOM_CANCELLED)
    return S3_ERR_SERVICE_UNAVAILABLE;
  return call_error_of(c, code, err);
}

static void note_home(struct forward *f, char statement[400]) {
  struct subject_statement st;
  struct call *c = f->c;
  statement[0] = 0;
  bool proven = f->statement.len &&
                subject_statement_check(c->r->subjects, buf_slice(&f->statement), &st, NULL) == DOM_OK &&
                st.to == f->home && memcmp(st.token, c->who.token, TOKEN_SIZE) == 0;
  if (proven) {
    BUF_AUTO text = BUF_INIT;
    base64_encode(&text, buf_slice(&f->statement));
    if (text.len < 400) memcpy(statement, buf_str(&text), text.len + 1);
  }
  if (!c->who.pseudo) subject_learn(c->r->subjects, c->who.token, f->home, f->epoch, c->who.country);
}

/* The subject came home to this region while its request was on the way: the old home's statement, if this
 * region has not had it yet, is the word to serve. */
static enum s3_error come_home(struct forward *f) {
  if (f->c->came_home) return S3_ERR_SERVICE_UNAVAILABLE; /* sent away a second time: somebody is behind */
  f->c->came_home = true;
  if (f->statement.len) mover_take_statement(f->c->r->mover, buf_slice(&f->statement), NULL);
  return S3_ERR_SUBJECT_ELSEWHERE;
}

/* S3_ERR_SUBJECT_ELSEWHERE: it is this region that must serve. */
/* The home that is known here does not answer. A region that people left may be gone for good, and nobody
 * there tells where they went: the registrar does. */
static bool find_later_home(struct forward *f, uint16_t *home, char statement[400]) {
  struct call *c = f->c;
  uint64_t epoch = f->epoch ? f->epoch : c->who.epoch;
  if (c->who.pseudo || subject_ask_again(c->r->subjects, c->who.token, home, &epoch, NULL)) return false;
  f->epoch = epoch;
  statement[0] = 0; /* it names another home */
  return true;
}

static enum s3_error try_homes(struct forward *f) {
  struct call *c = f->c;
  char statement[400] = "";
  uint16_t home = c->who.home;
  if (c->who.has_statement) {
    buf_append(&f->statement, c->who.statement, c->who.statement_len);
    f->home = home;
    f->epoch = c->who.epoch;
    note_home(f, statement);
  }
  for (int hop = 0; hop < SERVE_HOPS_MAX; hop++) {
    struct dom_err err = {0};
    struct wire_outcome outcome = {0};
    if (!breaker_closed(c->r, home)) {
      if (!find_later_home(f, &home, statement)) return S3_ERR_SERVICE_UNAVAILABLE;
      continue;
    }
    f->misdirected = false;
    enum dom_code code = send_once(f, home, statement, &outcome, &err);
    if (code && !outcome.connected && find_later_home(f, &home, statement)) continue;
    if (code || !f->misdirected) return finish(f, code, &err);
    if (outcome.pulled > 0 || f->home == home) return S3_ERR_SERVICE_UNAVAILABLE;
    if (f->home == c->r->number) return come_home(f);
    note_home(f, statement);
    home = f->home;
  }
  return S3_ERR_SERVICE_UNAVAILABLE;
}

enum s3_error call_forward(struct call *c, const struct slice *body) {
  assert(!c->in_gate && !c->is_forwarded);
  if (!c->r->envelope) return S3_ERR_SERVICE_UNAVAILABLE;
  struct call_permit permit;
  enum s3_error error = call_permit(c, PERMIT_TRANSIT, c->q.key, SLICE_LIT(""), 0, &permit);
  if (error) return error;
  if (c->met == MET_HOME) c->met = MET_FORWARDED;
  atomic_fetch_add(&c->r->metrics.forwarded, 1);
  if (atomic_fetch_add(&c->r->forwarding, 1) >= c->r->forward_max) {
    atomic_fetch_sub(&c->r->forwarding, 1);
    return S3_ERR_SLOW_DOWN;
  }
  struct forward f = {.c = c, .body = body};
  error = try_homes(&f);
  atomic_fetch_sub(&c->r->forwarding, 1);
  buf_done(&f.statement);
  return error == S3_ERR_SUBJECT_ELSEWHERE && !body ? call_operation(c) : error;
}

enum s3_error call_misdirected(struct call *c) {
  assert(c->is_forwarded && c->who.where == SUBJECT_ELSEWHERE);
  char text[64];
  snprintf(text, sizeof text, "%u %llu", c->who.home, (unsigned long long)c->who.epoch);
  wire_reply_field_str(c->x, "x-domicile-home", text);
  BUF_AUTO statement = BUF_INIT;
  if (c->who.has_statement) base64_encode(&statement, slice_of(c->who.statement, c->who.statement_len));
  if (statement.len) wire_reply_field(c->x, SLICE_LIT("x-domicile-statement"), buf_slice(&statement));
  wire_reply_field_str(c->x, "x-amz-request-id", c->id);
  wire_reply(c->x, 421, SLICE_LIT(""), NULL);
  return S3_OK;
}
