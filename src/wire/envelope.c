#include "wire/envelope.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "wire/conn.h"
#include "wire/envelope_inside.h"

struct wire_envelope *wire_envelope_new(const struct wire_envelope_options *o) {
  assert(o != NULL && o->peer != NULL && o->number != 0);
  struct wire_envelope *e = dom_calloc(1, sizeof *e);
  if (e == NULL) return NULL;
  e->number = o->number;
  e->peer = o->peer;
  e->arg = o->arg;
  e->clock = o->clock != NULL ? o->clock : clock_posix();
  e->started_ms = clock_wall_ms(e->clock);
  e->nonces = nonces_new(2 * WIRE_ENVELOPE_SKEW_MS, WIRE_ENVELOPE_NONCES_MAX, e->started_ms);
  e->seed = secret_alloc(ED25519_KEY_SIZE);
  if (e->nonces != NULL && e->seed != NULL) {
    memcpy(e->seed, o->seed, ED25519_KEY_SIZE);
    return e;
  }
  wire_envelope_free(e);
  return NULL;
}

void wire_envelope_free(struct wire_envelope *e) {
  if (e == NULL) return;
  nonces_free(e->nonces);
  if (e->seed != NULL) secret_free(e->seed, ED25519_KEY_SIZE);
  dom_free(e);
}

enum dom_code envelope_peer(struct wire_envelope *e, uint16_t number, struct wire_peer *out,
                            struct dom_err *err) {
  struct wire_peer peer = {.endpoint = ""};
  assert(e != NULL && out != NULL);
  if (e->peer(e->arg, number, &peer) != DOM_OK)
    return dom_fail(err, DOM_DENIED, "wire/envelope: peer", "region %u is not known here", (unsigned)number);
  *out = peer;
  return DOM_OK;
}

/* Hex into a fixed text of 2 * len + 1 bytes. */
static void hex_text(const uint8_t *in, size_t len, char *out) {
  static const char digits[] = "0123456789abcdef";
  assert(in != NULL && out != NULL);
  for (size_t i = 0; i < len; i++) {
    out[2 * i] = digits[in[i] >> 4];
    out[2 * i + 1] = digits[in[i] & 15];
  }
  out[2 * len] = '\0';
}

static void fill_texts(const struct seal_claim *c, struct wire_envelope_seal *out) {
  snprintf(out->from, sizeof out->from, "%u", (unsigned)c->from);
  snprintf(out->to, sizeof out->to, "%u", (unsigned)c->to);
  snprintf(out->time, sizeof out->time, "%" PRIu64, c->time_ms);
  hex_text(c->nonce, sizeof c->nonce, out->nonce_text);
  memcpy(out->nonce, c->nonce, sizeof out->nonce);
  if (c->streamed)
    snprintf(out->body, sizeof out->body, "%s", SEAL_STREAMED);
  else
    hex_text(c->body_sha256, SHA256_SIZE, out->body);
  const char *const names[] = {SEAL_FROM, SEAL_TO, SEAL_TIME, SEAL_NONCE, SEAL_BODY, SEAL_SIGNATURE};
  const char *const values[] = {out->from, out->to, out->time, out->nonce_text, out->body, out->signature};
  _Static_assert(sizeof names / sizeof names[0] == WIRE_ENVELOPE_FIELDS, "one field each");
  for (size_t i = 0; i < WIRE_ENVELOPE_FIELDS; i++)
    out->fields[i] = (struct wire_field){.name = slice_str(names[i]), .value = slice_str(values[i])};
  assert(out->fields[0].value.len > 0);
}

static enum dom_code sign_claim(struct wire_envelope *e, const struct seal_claim *c,
                                const struct wire_request *r, struct wire_envelope_seal *out) {
  const struct wire_field *all[WIRE_FIELDS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < r->field_count; i++) all[count++] = &r->fields[i];
  for (size_t i = 0; i < WIRE_ENVELOPE_FIELDS; i++) all[count++] = &out->fields[i];
  assert(count <= WIRE_FIELDS_MAX);
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = seal_head_bytes(c, all, count, &bytes);
  if (code != DOM_OK) return code;
  uint8_t signature[ED25519_SIG_SIZE];
  ed25519_sign(e->seed, buf_slice(&bytes), signature);
  BUF_AUTO text = BUF_INIT;
  base64_encode(&text, slice_of(signature, sizeof signature));
  const char *s = buf_str(&text);
  if (text.failed) return DOM_NO_MEMORY;
  snprintf(out->signature, sizeof out->signature, "%s", s);
  out->fields[WIRE_ENVELOPE_FIELDS - 1].value = slice_str(out->signature);
  return DOM_OK;
}

bool wire_field_is_internal(struct slice name) {
  static const char *const names[] = {SEAL_FROM,      SEAL_TO,   SEAL_TIME, SEAL_NONCE,           SEAL_BODY,
                                      SEAL_SIGNATURE, SEAL_CODE, SEAL_TEXT, SEAL_REPLY_SIGNATURE, "via"};
  assert(name.data != NULL);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (slice_equal_nocase(name, slice_str(names[i]))) return true;
  return false;
}

void wire_exchange_strip_internal(struct wire_exchange *x) {
  wire_exchange_drop(x, wire_field_is_internal);
}

/* A head that already carries an envelope, or no Host, would not verify at the other side. */
static enum dom_code check_signable(const struct wire_request *r, struct dom_err *err) {
  bool host = false;
  if (r->field_count + WIRE_ENVELOPE_FIELDS > WIRE_FIELDS_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "wire/envelope: sign", "too many fields to forward");
  for (size_t i = 0; i < r->field_count; i++) {
    struct slice name = r->fields[i].name;
    host = host || slice_equal_nocase(name, SLICE_LIT("host"));
    if (wire_field_is_internal(name) && !slice_equal_nocase(name, SLICE_LIT("via")))
      return dom_fail(err, DOM_INVALID, "wire/envelope: sign", "the head carries internal fields already");
  }
  assert(host);
  (void)host;
  return DOM_OK;
}

enum dom_code wire_envelope_sign_head(struct wire_envelope *e, uint16_t to, const struct wire_request *r,
                                      const uint8_t *body_sha256, struct wire_envelope_seal *out,
                                      struct dom_err *err) {
  assert(e != NULL && r != NULL && out != NULL && to != 0);
  enum dom_code code = check_signable(r, err);
  if (code != DOM_OK) return code;
  struct seal_claim c = {.from = e->number,
                         .to = to,
                         .time_ms = clock_wall_ms(e->clock),
                         .streamed = body_sha256 == NULL,
                         .method = r->method,
                         .target = r->target,
                         .body_length = r->body_length};
  random_bytes(c.nonce, sizeof c.nonce);
  if (body_sha256 != NULL) memcpy(c.body_sha256, body_sha256, SHA256_SIZE);
  out->signature[0] = '\0';
  fill_texts(&c, out);
  code = sign_claim(e, &c, r, out);
  return code == DOM_OK ? DOM_OK : dom_fail(err, code, "wire/envelope: sign", "cannot sign a head");
}

/* The one value of a field of the envelope; data NULL when absent or repeated. */
static struct slice only(const struct wire_head *h, const char *name) {
  assert(name != NULL);
  return wire_head_count(h, name) == 1 ? wire_head_get(h, name) : (struct slice){0};
}

static bool take_number(const struct wire_head *h, const char *name, uint64_t max, uint64_t *out) {
  struct slice s = only(h, name);
  assert(out != NULL);
  return s.len > 0 && slice_to_u64(s, out) == DOM_OK && *out <= max;
}

static bool take_hex(const struct wire_head *h, const char *name, uint8_t *out, size_t size) {
  struct slice s = only(h, name);
  size_t len = 0;
  assert(size > 0);
  return s.len == 2 * size && hex_decode(s, out, size, &len) == DOM_OK && len == size;
}

static bool take_signature(const struct wire_head *h, uint8_t out[ED25519_SIG_SIZE]) {
  BUF_AUTO raw = BUF_INIT;
  struct slice s = only(h, SEAL_SIGNATURE);
  if (s.len == 0 || base64_decode(s, &raw) != DOM_OK || raw.failed || raw.len != ED25519_SIG_SIZE)
    return false;
  memcpy(out, raw.data, ED25519_SIG_SIZE);
  assert(raw.len == ED25519_SIG_SIZE);
  return true;
}

static bool take_claim(const struct wire_head *h, struct seal_claim *c) {
  uint64_t from, to;
  if (!take_number(h, SEAL_FROM, UINT16_MAX, &from) || !take_number(h, SEAL_TO, UINT16_MAX, &to))
    return false;
  if (!take_number(h, SEAL_TIME, UINT64_MAX / 2, &c->time_ms)) return false;
  if (!take_hex(h, SEAL_NONCE, c->nonce, sizeof c->nonce)) return false;
  c->streamed = slice_equal(only(h, SEAL_BODY), SLICE_LIT(SEAL_STREAMED));
  if (!c->streamed && !take_hex(h, SEAL_BODY, c->body_sha256, SHA256_SIZE)) return false;
  c->from = (uint16_t)from;
  c->to = (uint16_t)to;
  c->method = h->method_text;
  c->target = h->target;
  c->body_length = h->chunked ? WIRE_CLIENT_CHUNKED : h->length;
  assert(c->method.len > 0);
  return true;
}

static bool has_envelope(const struct wire_head *h) {
  static const char *const names[] = {SEAL_FROM, SEAL_TO, SEAL_TIME, SEAL_NONCE, SEAL_BODY, SEAL_SIGNATURE};
  assert(h != NULL);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (wire_head_count(h, names[i]) > 0) return true;
  return false;
}

static enum dom_code check_time(const struct wire_envelope *e, uint64_t time_ms, uint64_t now_ms,
                                struct dom_err *err) {
  static const char where[] = "wire/envelope: time";
  assert(now_ms >= e->started_ms);
  if (time_ms < e->started_ms) return dom_fail(err, DOM_DENIED, where, "stamped before this process started");
  uint64_t apart = time_ms > now_ms ? time_ms - now_ms : now_ms - time_ms;
  if (apart > WIRE_ENVELOPE_SKEW_MS)
    return dom_fail(err, DOM_DENIED, where, "stamped %" PRIu64 " ms away from now", apart);
  return DOM_OK;
}

static enum dom_code check_signature(struct wire_envelope *e, const struct wire_head *h,
                                     const struct seal_claim *c, struct dom_err *err) {
  uint8_t signature[ED25519_SIG_SIZE];
  struct wire_peer peer;
  enum dom_code code = envelope_peer(e, c->from, &peer, err);
  if (code != DOM_OK) return code;
  if (!take_signature(h, signature))
    return dom_fail(err, DOM_DENIED, "wire/envelope: check", "malformed signature");
  const struct wire_field *all[WIRE_FIELDS_MAX];
  for (size_t i = 0; i < h->field_count; i++) all[i] = &h->fields[i];
  BUF_AUTO bytes = BUF_INIT;
  code = seal_head_bytes(c, all, h->field_count, &bytes);
  if (code != DOM_OK) return dom_fail(err, code, "wire/envelope: check", "cannot check a signature");
  assert(bytes.len > 0);
  if (ed25519_verify(peer.public_key, buf_slice(&bytes), signature)) return DOM_OK;
  return dom_fail(err, DOM_DENIED, "wire/envelope: check", "the signature of region %u does not hold",
                  (unsigned)c->from);
}

static enum dom_code remember(struct wire_envelope *e, const struct seal_claim *c, uint64_t now_ms,
                              struct dom_err *err) {
  enum dom_code code = nonces_add(e->nonces, c->from, c->nonce, now_ms);
  assert(code != DOM_NOT_FOUND);
  if (code == DOM_EXISTS) return dom_fail(err, DOM_DENIED, "wire/envelope: nonce", "seen before");
  if (code != DOM_OK) return dom_fail(err, code, "wire/envelope: nonce", "cannot remember more messages");
  return DOM_OK;
}

/* The host of an origin "https://HOST[:PORT]", without the brackets of an address. False: there is none. */
static bool host_of(const char *origin, char out[WIRE_ENDPOINT_MAX]) {
  const char *host = strstr(origin, "://");
  if (host == NULL) return false;
  host += 3;
  bool bracketed = *host == '[';
  size_t len = bracketed ? strcspn(++host, "]") : strcspn(host, ":/");
  if (len == 0 || len >= WIRE_ENDPOINT_MAX) return false;
  memcpy(out, host, len);
  out[len] = '\0';
  assert(strlen(out) == len);
  return true;
}

/* The signature says which region wrote the message; the certificate, that nobody else brought it. */
static enum dom_code check_certificate(struct wire_envelope *e, const struct wire_exchange *x, uint16_t from,
                                       struct dom_err *err) {
  struct wire_peer peer;
  char host[WIRE_ENDPOINT_MAX];
  enum dom_code code = envelope_peer(e, from, &peer, err);
  if (code != DOM_OK || !peer.certified) return code;
  assert(x != NULL);
  if (host_of(peer.endpoint, host) && wire_exchange_certified(x, host)) return DOM_OK;
  return dom_fail(err, DOM_DENIED, "wire/envelope: check",
                  "region %u showed no certificate that names its endpoint", (unsigned)from);
}

/* `x`: NULL without a connection to look at. */
static enum dom_code check(struct wire_envelope *e, const struct wire_exchange *x, const struct wire_head *h,
                           struct wire_envelope_proof *out, struct dom_err *err) {
  assert(e != NULL && h != NULL && out != NULL);
  struct seal_claim c = {.from = 0};
  if (!has_envelope(h)) return DOM_NOT_FOUND;
  if (!take_claim(h, &c)) return dom_fail(err, DOM_DENIED, "wire/envelope: check", "malformed envelope");
  if (c.to != e->number)
    return dom_fail(err, DOM_DENIED, "wire/envelope: check", "addressed to region %u", (unsigned)c.to);
  uint64_t now_ms = nonces_now(e->nonces, clock_wall_ms(e->clock));
  enum dom_code code = check_time(e, c.time_ms, now_ms, err);
  /* The nonce comes last: only a message that verifies may take a place in the memory. */
  if (code == DOM_OK) code = check_signature(e, h, &c, err);
  if (code == DOM_OK && x != NULL) code = check_certificate(e, x, c.from, err);
  if (code == DOM_OK) code = remember(e, &c, now_ms, err);
  if (code != DOM_OK) return code;
  *out = (struct wire_envelope_proof){.from = c.from, .streamed = c.streamed};
  memcpy(out->nonce, c.nonce, sizeof out->nonce);
  memcpy(out->body_sha256, c.body_sha256, sizeof out->body_sha256);
  return DOM_OK;
}

enum dom_code wire_envelope_check_head(struct wire_envelope *e, const struct wire_head *h,
                                       struct wire_envelope_proof *out, struct dom_err *err) {
  return check(e, NULL, h, out, err);
}

enum dom_code wire_envelope_check(struct wire_envelope *e, const struct wire_exchange *x,
                                  struct wire_envelope_proof *out, struct dom_err *err) {
  assert(x != NULL);
  return check(e, x, wire_exchange_head(x), out, err);
}

/* ---- answers that stream ---- */

/* A message's answer in all but its end: neither code nor text, for its head is gone when they are known. */
static enum dom_code stream_bytes(uint16_t from, uint16_t to, const uint8_t *nonce, unsigned status,
                                  const uint8_t *body_sha256, struct buf *out) {
  struct seal_answer a = {.from = from, .to = to, .status = status, .code = SLICE_LIT("stream")};
  assert(from != 0 && to != 0);
  memcpy(a.nonce, nonce, sizeof a.nonce);
  memcpy(a.body_sha256, body_sha256, sizeof a.body_sha256);
  seal_answer_bytes(&a, out);
  return buf_check(out, NULL);
}

enum dom_code wire_envelope_sign_stream(struct wire_envelope *e, const struct wire_envelope_proof *proof,
                                        unsigned status, const uint8_t body_sha256[SHA256_SIZE],
                                        uint8_t out_signature[ED25519_SIG_SIZE]) {
  assert(e != NULL && proof != NULL && out_signature != NULL);
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = stream_bytes(e->number, proof->from, proof->nonce, status, body_sha256, &bytes);
  if (code == DOM_OK) ed25519_sign(e->seed, buf_slice(&bytes), out_signature);
  return code;
}

enum dom_code wire_envelope_check_stream(struct wire_envelope *e, uint16_t from,
                                         const uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE], unsigned status,
                                         const uint8_t body_sha256[SHA256_SIZE],
                                         const uint8_t signature[ED25519_SIG_SIZE], struct dom_err *err) {
  assert(e != NULL && signature != NULL);
  struct wire_peer peer;
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = envelope_peer(e, from, &peer, err);
  if (code == DOM_OK) code = stream_bytes(from, e->number, nonce, status, body_sha256, &bytes);
  if (code != DOM_OK || ed25519_verify(peer.public_key, buf_slice(&bytes), signature)) return code;
  return dom_fail(err, DOM_DENIED, "wire/envelope: stream", "the signature of region %u does not hold",
                  (unsigned)from);
}
