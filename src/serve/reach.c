/* A client's head, as it was signed, on its way to the home of a subject: over peers that say who is home
 * instead, past those that do not answer. What is sent and what becomes of the answer is the caller's. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* Statement, request id, client, copy's gateway, a form's subject. */
enum { REACH_OWN_FIELDS = 5 + WIRE_ENVELOPE_FIELDS };

struct slice reach_field(const struct wire_field *fields, size_t count, struct slice name) {
  for (size_t i = 0; i < count; i++)
    if (slice_equal_nocase(fields[i].name, name)) return fields[i].value;
  return slice_of(NULL, 0);
}

/* "REGION EPOCH" of a peer that is no home. */
static enum dom_code take_misdirected(struct reach *r, struct slice where, struct slice statement) {
  size_t blank = slice_find(where, ' ');
  uint64_t region = 0;
  if (blank == where.len || slice_to_u64(slice_cut(where, 0, blank), &region) || region > UINT16_MAX ||
      slice_to_u64(slice_cut(where, blank + 1, where.len), &r->epoch))
    return DOM_UNAVAILABLE;
  r->home = (uint16_t)region;
  r->misdirected = true;
  buf_reset(&r->statement);
  if (statement.len) base64_decode(statement, &r->statement);
  return DOM_OK;
}

static enum dom_code take_answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                                 struct dom_err *err) {
  struct reach *r = arg;
  if (status == 403 && reach_field(fields, count, slice_str(SERVE_REFUSED_FIELD)).len)
    return dom_fail(err, DOM_UNAVAILABLE, "serve/reach",
                    "the home does not take this region's envelope just now");
  struct slice where = reach_field(fields, count, SLICE_LIT("x-domicile-home"));
  if (status == 421 && where.len)
    return take_misdirected(r, where, reach_field(fields, count, SLICE_LIT("x-domicile-statement")));
  return r->answer(r->arg, status, fields, count, err);
}

static enum dom_code take_body(void *arg, struct slice bytes, struct dom_err *err) {
  struct reach *r = arg;
  return r->misdirected ? DOM_OK : r->sink(r->arg, bytes, err);
}

static enum dom_code give_body(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct reach *r = arg;
  enum dom_code code = r->pull(r->arg, out, cap, out_len, err);
  r->client_failed = code != DOM_OK;
  return code;
}

static bool gone(void *arg) {
  const struct reach *r = arg;
  return wire_exchange_gone(r->c->x) || atomic_load(&r->c->r->stopping);
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
static size_t collect_fields(struct reach *r, struct wire_field *out) {
  const struct wire_head *h = wire_exchange_head(r->c->x);
  size_t n = 0;
  for (size_t i = 0; i < h->field_count && n + REACH_OWN_FIELDS < WIRE_FIELDS_MAX; i++)
    if (!wire_field_is_hop(h->fields[i].name)) out[n++] = h->fields[i];
  out[n++] = (struct wire_field){SLICE_LIT("x-domicile-request"), slice_str(r->c->id)};
  if (r->proof[0]) out[n++] = (struct wire_field){SLICE_LIT("x-domicile-statement"), slice_str(r->proof)};
  struct slice address = r->c->client_address.data ? r->c->client_address : SLICE_LIT("-");
  snprintf(r->client, sizeof r->client, "%.*s %u", (int)address.len, (const char *)address.data,
           r->c->client_tls);
  out[n++] = (struct wire_field){slice_str(SERVE_CLIENT_FIELD), slice_str(r->client)};
  if (r->c->post && !r->who->pseudo) {
    for (size_t i = 0; i < TOKEN_SIZE; i++) snprintf(r->route + 2 * i, 3, "%02x", r->who->token[i]);
    out[n++] = (struct wire_field){slice_str(SERVE_SUBJECT_FIELD), slice_str(r->route)};
  }
  if (r->copy_gateway.len) out[n++] = (struct wire_field){slice_str(SERVE_COPY_FIELD), r->copy_gateway};
  return n;
}

static enum dom_code find_origin(struct region *r, uint16_t home, char out[WIRE_ENDPOINT_MAX],
                                 struct dom_err *err) {
  struct charter *charter = subject_charter(r->subjects);
  const struct charter_region *peer = charter ? charter_region_by_number(charter, home) : NULL;
  out[0] = 0;
  if (peer) snprintf(out, WIRE_ENDPOINT_MAX, "%s", peer->endpoint);
  charter_release(charter);
  return out[0] ? DOM_OK
                : dom_fail(err, DOM_UNAVAILABLE, "serve/reach",
                           "the home region is not in the charter in force");
}

/* One try at one home. */
static enum dom_code send_once(struct reach *r, uint16_t home, struct wire_outcome *outcome,
                               struct dom_err *err) {
  struct region *region = r->c->r;
  char origin[WIRE_ENDPOINT_MAX];
  enum dom_code code = find_origin(region, home, origin, err);
  if (code) return code;
  if (customer_is_sent(r->c) && strncmp(origin, "https://", 8) != 0)
    return dom_fail(err, DOM_INVALID, "serve/reach",
                    "this region reaches the home without TLS: no key goes there");
  const struct wire_head *h = wire_exchange_head(r->c->x);
  struct wire_field fields[WIRE_FIELDS_MAX + REACH_OWN_FIELDS];
  struct wire_request q = {.origin = origin,
                           .method = h->method_text,
                           .target = h->target,
                           .fields = fields,
                           .field_count = collect_fields(r, fields),
                           .body_length = r->body_length,
                           .length_header = h->has_length,
                           .expect_continue = r->body_length > 0,
                           .once = r->once,
                           .stall_ms = r->stall_ms,
                           .pull = give_body,
                           .answer = take_answer,
                           .sink = take_body,
                           .cancel = gone,
                           .arg = r};
  struct wire_envelope_seal seal;
  code = wire_envelope_sign_head(region->envelope, home, &q, NULL, &seal, err);
  if (code) return code;
  memcpy(fields + q.field_count, seal.fields, sizeof seal.fields);
  q.field_count += WIRE_ENVELOPE_FIELDS;
  memcpy(r->nonce, seal.nonce, sizeof r->nonce);
  r->misdirected = false;
  r->asked = home;
  code = wire_client_send(region->client, &q, outcome, err);
  if (code != DOM_CANCELLED && !r->client_failed) breaker_note(region, home, outcome->status != 0);
  return code;
}

static void note_home(struct reach *r) {
  struct subject_statement st;
  const struct subject_who *who = r->who;
  struct subjects *subjects = r->c->r->subjects;
  r->proof[0] = 0;
  bool proven = r->statement.len &&
                subject_statement_check(subjects, buf_slice(&r->statement), &st, NULL) == DOM_OK &&
                st.to == r->home && memcmp(st.token, who->token, TOKEN_SIZE) == 0;
  if (proven) {
    BUF_AUTO text = BUF_INIT;
    base64_encode(&text, buf_slice(&r->statement));
    if (text.len < sizeof r->proof) memcpy(r->proof, buf_str(&text), text.len + 1);
  }
  if (!who->pseudo) subject_learn(subjects, who->token, r->home, r->epoch, who->country);
}

/* The home that is known here does not answer. A region that people left may be gone for good, and nobody
 * there tells where they went: the registrar does. */
static bool find_later_home(struct reach *r, uint16_t *home) {
  uint64_t epoch = r->epoch ? r->epoch : r->who->epoch;
  if (r->who->pseudo || subject_ask_again(r->c->r->subjects, r->who->token, home, &epoch, NULL)) return false;
  r->epoch = epoch;
  r->proof[0] = 0; /* it names another home */
  return true;
}

/* The subject came home to this region while its request was on the way: the old home's statement, if this
 * region has not had it yet, is the word to serve. */
static enum dom_code come_home(struct reach *r) {
  if (r->statement.len) mover_take_statement(r->c->r->mover, buf_slice(&r->statement), NULL);
  return DOM_ELSEWHERE;
}

/* The connection broke with no word of an answer, as one does that the peer or something between closes just
 * then. What changes nothing may be asked again; its body cannot be had again, though. */
static bool may_ask_again(const struct reach *r, enum dom_code code, const struct wire_outcome *outcome) {
  return code == DOM_UNAVAILABLE && !r->once && !r->client_failed && outcome->connected &&
         outcome->status == 0 && outcome->pulled == 0;
}

static enum dom_code try_homes(struct reach *r, struct dom_err *err) {
  uint16_t home = r->who->home;
  bool asked_again = false;
  if (r->who->has_statement) {
    buf_append(&r->statement, r->who->statement, r->who->statement_len);
    r->home = home;
    r->epoch = r->who->epoch;
    note_home(r);
  }
  for (int hop = 0; hop < SERVE_HOPS_MAX; hop++) {
    struct wire_outcome outcome = {0};
    if (!breaker_closed(r->c->r, home)) {
      if (!find_later_home(r, &home)) return DOM_UNAVAILABLE;
      continue;
    }
    enum dom_code code = send_once(r, home, &outcome, err);
    if (code && !outcome.connected && find_later_home(r, &home)) continue;
    if (!asked_again && may_ask_again(r, code, &outcome)) {
      asked_again = true;
      if (err) *err = (struct dom_err){0};
      continue;
    }
    if (code || !r->misdirected) return code;
    if (r->home == home) return DOM_UNAVAILABLE;
    bool here = r->home == r->c->r->number;
    if (!here) note_home(r);
    if (outcome.pulled > 0) return DOM_UNAVAILABLE; /* no body is sent twice; the next request goes there */
    if (here) return come_home(r);
    home = r->home;
  }
  return DOM_UNAVAILABLE;
}

enum dom_code reach_home(struct reach *r, struct dom_err *err) {
  struct region *region = r->c->r;
  assert(r->who->where == SUBJECT_ELSEWHERE && r->answer && r->sink);
  if (!region->envelope) return DOM_UNAVAILABLE;
  atomic_fetch_add(&region->forwarding, 1);
  enum dom_code code = try_homes(r, err);
  atomic_fetch_sub(&region->forwarding, 1);
  return code;
}

void reach_done(struct reach *r) {
  buf_done(&r->statement);
}
