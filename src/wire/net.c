#include "base/net.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "wire/conn.h"
#include "wire/envelope.h"
#include "wire/envelope_inside.h"

/* --- the answering side --- */

static enum dom_code code_of_name(struct slice name, enum dom_code *out) {
  for (int c = 0; c < DOM_CODE_COUNT; c++) {
    if (!slice_equal(name, slice_str(dom_code_name((enum dom_code)c)))) continue;
    *out = (enum dom_code)c;
    return DOM_OK;
  }
  assert(name.len == 0 || name.data != NULL);
  return DOM_INVALID;
}

static enum dom_code add_signature(struct wire_envelope *e, struct wire_exchange *x,
                                   const struct seal_answer *a) {
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  uint8_t signature[ED25519_SIG_SIZE];
  assert(a->from == e->number);
  seal_answer_bytes(a, &bytes);
  if (bytes.failed) return DOM_NO_MEMORY;
  ed25519_sign(e->seed, buf_slice(&bytes), signature);
  base64_encode(&text, slice_of(signature, sizeof signature));
  if (text.failed) return DOM_NO_MEMORY;
  enum dom_code c = wire_reply_field(x, SLICE_LIT(SEAL_CODE), a->code);
  if (c == DOM_OK) c = wire_reply_field(x, SLICE_LIT(SEAL_TEXT), a->text);
  if (c == DOM_OK) c = wire_reply_field(x, SLICE_LIT(SEAL_REPLY_SIGNATURE), buf_slice(&text));
  return c;
}

/* Who has no say, or speaks of an old epoch, reads 403 in the status line too; every other answer of a
 * handler, whatever its code, is a successful exchange of HTTP. Both are signed. */
static unsigned answer_status(enum dom_code code) {
  return code == DOM_DENIED || code == DOM_STALE_EPOCH ? 403 : 200;
}

static void answer(struct wire_envelope *e, struct wire_exchange *x, const struct wire_envelope_proof *proof,
                   enum dom_code code, const struct dom_err *why, struct slice body) {
  BUF_AUTO text = BUF_INIT;
  struct seal_answer a = {.from = e->number,
                          .to = proof->from,
                          .status = answer_status(code),
                          .code = slice_str(dom_code_name(code))};
  memcpy(a.nonce, proof->nonce, sizeof a.nonce);
  sha256(body.data, body.len, a.body_sha256);
  percent_encode(&text, slice_str(code == DOM_OK ? "" : why->text), false);
  a.text = buf_slice(&text);
  assert(wire_reply_is_open(x));
  if (!text.failed && add_signature(e, x, &a) == DOM_OK) {
    (void)wire_reply(x, a.status, body, NULL); /* a lost answer is what the sender's timeout is for */
    return;
  }
  wire_reply_restart(x);
  reply_error(x, 503, "Out of memory.");
}

/* Reads the body and compares its hash, or that of what is sealed of it. Returns: 0, or the status to answer.
 */
static unsigned take_body(struct wire_exchange *x, const struct wire_envelope_proof *proof, const char *path,
                          struct buf *body) {
  uint8_t hash[SHA256_SIZE];
  uint64_t length;
  assert(!proof->streamed);
  if (!wire_body_length(x, &length)) return 411;
  if (length > NET_MESSAGE_MAX) return 413;
  if (!buf_reserve(body, (size_t)length + 1)) return 503;
  enum dom_code c = wire_body_read_all(x, NET_MESSAGE_MAX, body, NULL);
  if (c != DOM_OK) return c == DOM_NO_MEMORY ? 503 : c == DOM_TIMEOUT ? 408 : 400;
  struct slice sealed = net_sealed(path, buf_slice(body));
  sha256(sealed.data, sealed.len, hash);
  return memcmp(hash, proof->body_sha256, SHA256_SIZE) == 0 ? 0 : 403;
}

/* The path after the prefix, as text in the exchange's memory; NULL when it is not one. */
static const char *take_path(struct wire_exchange *x) {
  const struct wire_head *h = wire_exchange_head(x);
  struct slice prefix = SLICE_LIT(WIRE_PEER_PREFIX);
  assert(h->path.len > 0);
  if (h->method != WIRE_METHOD_POST || h->query.data != NULL) return NULL;
  if (!slice_starts_with(h->path, prefix) || h->path.len == prefix.len) return NULL;
  return arena_str(wire_exchange_arena(x), slice_cut(h->path, prefix.len, h->path.len));
}

void wire_envelope_serve(struct wire_envelope *e, struct wire_exchange *x, net_handler handler, void *arg) {
  assert(e != NULL && x != NULL && handler != NULL);
  struct wire_envelope_proof proof;
  BUF_AUTO body = BUF_INIT;
  enum dom_code c = wire_envelope_check(e, x, &proof, NULL);
  unsigned status = c == DOM_OK ? 0 : c == DOM_BUSY || c == DOM_NO_MEMORY ? 503 : 403;
  const char *path = status == 0 ? take_path(x) : NULL;
  if (status == 0 && (proof.streamed || path == NULL)) status = 403;
  if (status == 0) status = take_body(x, &proof, path, &body);
  if (status != 0) {
    reply_error(x, status, status == 403 ? "Access Denied" : "The message was not taken.");
    return;
  }
  struct dom_err err = {0};
  BUF_AUTO reply = BUF_INIT;
  c = handler(arg, proof.from, path, buf_slice(&body), &reply, &err);
  if (c == DOM_OK && reply.failed) c = dom_fail(&err, DOM_NO_MEMORY, "wire/net: answer", "no memory");
  if (c == DOM_OK && reply.len > NET_MESSAGE_MAX)
    c = dom_fail(&err, DOM_TOO_LARGE, "wire/net: answer", "the answer is too large");
  answer(e, x, &proof, c, &err, c == DOM_OK ? buf_slice(&reply) : (struct slice){0});
}

/* --- the asking side --- */

struct wire_net {
  struct net net; /* first: the table's users hold a pointer to it */
  struct wire_envelope *envelope;
  struct wire_client *client;
};

/* One call under way. */
struct asking {
  struct net_body body; /* what is left to send */
  struct buf reply;
  unsigned status;
  struct buf code, text, signature; /* of the answer */
};

static void asking_done(struct asking *a) {
  assert(a != NULL);
  buf_done(&a->reply);
  buf_done(&a->code);
  buf_done(&a->text);
  buf_done(&a->signature);
}

static enum dom_code give_body(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct asking *a = arg;
  (void)err; /* memory cannot fail */
  assert(cap > 0);
  struct slice *from = a->body.sealed.len > 0 ? &a->body.sealed : &a->body.rest;
  size_t n = from->len < cap ? from->len : cap;
  if (n > 0) memcpy(out, from->data, n);
  *from = slice_cut(*from, n, from->len);
  *out_len = n;
  return DOM_OK;
}

static enum dom_code take_answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                                 struct dom_err *err) {
  struct asking *a = arg;
  assert(status >= 200);
  a->status = status;
  for (size_t i = 0; i < count; i++) {
    struct buf *to = slice_equal_nocase(fields[i].name, SLICE_LIT(SEAL_CODE))              ? &a->code
                     : slice_equal_nocase(fields[i].name, SLICE_LIT(SEAL_TEXT))            ? &a->text
                     : slice_equal_nocase(fields[i].name, SLICE_LIT(SEAL_REPLY_SIGNATURE)) ? &a->signature
                                                                                           : NULL;
    if (to != NULL) buf_append_slice(to, fields[i].value);
    if (to != NULL && buf_check(to, err) != DOM_OK) return DOM_NO_MEMORY;
  }
  return DOM_OK;
}

static enum dom_code take_reply(void *arg, struct slice bytes, struct dom_err *err) {
  struct asking *a = arg;
  assert(bytes.data != NULL);
  if (a->reply.len + bytes.len > NET_MESSAGE_MAX)
    return dom_fail(err, DOM_UNAVAILABLE, "wire/net: answer", "the answer is too large");
  buf_append_slice(&a->reply, bytes);
  return buf_check(&a->reply, err);
}

static enum dom_code check_answer(struct wire_net *n, uint16_t to, const struct wire_peer *peer,
                                  const struct wire_envelope_seal *seal, struct asking *a,
                                  struct dom_err *err) {
  struct seal_answer said = {.from = to,
                             .to = n->envelope->number,
                             .status = a->status,
                             .code = buf_slice(&a->code),
                             .text = buf_slice(&a->text)};
  memcpy(said.nonce, seal->nonce, sizeof said.nonce);
  sha256(a->reply.data, a->reply.len, said.body_sha256);
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  seal_answer_bytes(&said, &bytes);
  enum dom_code c = buf_check(&bytes, err);
  if (c != DOM_OK) return c;
  assert(bytes.len > 0);
  bool sound = base64_decode(buf_slice(&a->signature), &signature) == DOM_OK &&
               signature.len == ED25519_SIG_SIZE &&
               ed25519_verify(peer->public_key, buf_slice(&bytes), signature.data);
  if (sound) return DOM_OK;
  return dom_fail(err, DOM_UNAVAILABLE, "wire/net: answer", "region %u answered %u without a valid signature",
                  (unsigned)to, a->status);
}

/* The verified answer becomes the caller's result. */
static enum dom_code hand_over(struct asking *a, struct buf *reply, struct dom_err *err) {
  enum dom_code code;
  BUF_AUTO text = BUF_INIT;
  if (code_of_name(buf_slice(&a->code), &code) != DOM_OK)
    return dom_fail(err, DOM_INCOMPATIBLE, "wire/net: answer", "the answer has a code unknown here");
  assert(code < DOM_CODE_COUNT);
  if (code != DOM_OK) {
    (void)percent_decode(buf_slice(&a->text), false, &text);
    return dom_fail(err, code, "wire/net: call", "%s", buf_str(&text));
  }
  buf_append_slice(reply, buf_slice(&a->reply));
  return buf_check(reply, err);
}

/* a->body is sent; the signature covers its first part. */
static enum dom_code exchange_messages(struct wire_net *n, uint16_t to, const struct wire_peer *peer,
                                       struct slice target, uint32_t timeout_ms, struct asking *a,
                                       struct dom_err *err) {
  const char *host = strstr(peer->endpoint, "://");
  if (host == NULL)
    return dom_fail(err, DOM_UNAVAILABLE, "wire/net: call", "region %u has no endpoint", (unsigned)to);
  struct wire_field fields[1 + WIRE_ENVELOPE_FIELDS] = {
      {.name = SLICE_LIT("Host"), .value = slice_str(host + 3)}};
  struct wire_request r = {.origin = peer->endpoint,
                           .method = SLICE_LIT("POST"),
                           .target = target,
                           .fields = fields,
                           .field_count = 1,
                           .body_length = a->body.sealed.len + a->body.rest.len,
                           .length_header = true,
                           /* libcurl may send again on a dead connection: the nonce lets the
                            * receiver act on one of the two only. */
                           .once = false,
                           .pull = give_body,
                           .answer = take_answer,
                           .sink = take_reply,
                           .arg = a,
                           .stall_ms = timeout_ms,
                           .total_ms = timeout_ms};
  uint8_t hash[SHA256_SIZE];
  struct wire_envelope_seal seal;
  struct wire_outcome outcome;
  sha256(a->body.sealed.data, a->body.sealed.len, hash);
  enum dom_code c = wire_envelope_sign_head(n->envelope, to, &r, hash, &seal, err);
  if (c != DOM_OK) return c;
  memcpy(fields + 1, seal.fields, sizeof seal.fields);
  r.field_count += WIRE_ENVELOPE_FIELDS;
  assert(r.field_count == sizeof fields / sizeof fields[0]);
  c = wire_client_send(n->client, &r, &outcome, err);
  return c == DOM_OK ? check_answer(n, to, peer, &seal, a, err) : c;
}

static enum dom_code net_http_call(struct net *net, uint16_t to, const char *path,
                                   const struct net_body *body, uint32_t timeout_ms, struct buf *reply,
                                   struct dom_err *err) {
  struct wire_net *n = (struct wire_net *)net;
  assert(path != NULL && path[0] != '/' && reply != NULL);
  struct wire_peer peer;
  if (envelope_peer(n->envelope, to, &peer, NULL) != DOM_OK)
    return dom_fail(err, DOM_UNAVAILABLE, "wire/net: call", "region %u is not known here", (unsigned)to);
  BUF_AUTO target = BUF_INIT;
  buf_append_str(&target, WIRE_PEER_PREFIX);
  buf_append_str(&target, path);
  enum dom_code c = buf_check(&target, err);
  if (c != DOM_OK) return c;
  __attribute__((cleanup(asking_done))) struct asking a = {.body = *body};
  c = exchange_messages(n, to, &peer, buf_slice(&target), timeout_ms, &a, err);
  return c == DOM_OK ? hand_over(&a, reply, err) : c;
}

static const struct net_ops http_ops = {.call = net_http_call};

struct net *wire_net_new(struct wire_envelope *e, struct wire_client *client) {
  assert(e != NULL && client != NULL);
  struct wire_net *n = dom_calloc(1, sizeof *n);
  if (n == NULL) return NULL;
  *n = (struct wire_net){.net = {.ops = &http_ops}, .envelope = e, .client = client};
  return &n->net;
}

void wire_net_free(struct net *n) {
  assert(n == NULL || n->ops == &http_ops);
  dom_free(n);
}
