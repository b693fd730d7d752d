/* The envelope between regions: sealed heads, and messages over a real server and client. */
#include "wire_testing.h"

#include "wire/seal.h"

enum { REGIONS = 3 };

static uint8_t seeds[REGIONS + 1][ED25519_KEY_SIZE];
static char endpoints[REGIONS + 1][WIRE_ENDPOINT_MAX];
static bool swap_keys; /* planted: a wrong public key for region 2 */

static enum dom_code find_peer(void *arg, uint16_t number, struct wire_peer *out) {
  (void)arg;
  if (number == 0 || number > REGIONS) return DOM_NOT_FOUND;
  ed25519_public(seeds[swap_keys && number == 2 ? 3 : number], out->public_key);
  snprintf(out->endpoint, sizeof out->endpoint, "%s", endpoints[number]);
  return DOM_OK;
}

static struct wire_envelope *envelope_of(uint16_t number, struct clock *clock) {
  struct wire_envelope_options o = {.number = number, .peer = find_peer, .clock = clock};
  memcpy(o.seed, seeds[number], sizeof o.seed);
  struct wire_envelope *e = wire_envelope_new(&o);
  assert_non_null(e);
  return e;
}

static int make_keys(void **state) {
  (void)state;
  for (int i = 1; i <= REGIONS; i++) memset(seeds[i], i, sizeof seeds[i]);
  return 0;
}

/* --- heads --- */

/* A slice of a literal where C wants a constant. */
#define CONSTANT(s)                                                                                          \
  { (const uint8_t *)(s), sizeof(s) - 1 }

static const struct wire_field client_fields[] = {
    {CONSTANT("Host"), CONSTANT("photos.example")}, {CONSTANT("Authorization"), CONSTANT("AWS4 abc")},
    {CONSTANT("x-amz-meta-a"), CONSTANT("1")},      {CONSTANT("X-Amz-Meta-A"), CONSTANT("2")},
    {CONSTANT("Via"), CONSTANT("1.1 domicile")},    {CONSTANT("x-amz-empty"), CONSTANT("")}};
enum { CLIENT_FIELDS = sizeof client_fields / sizeof client_fields[0] };

static struct wire_request forwarded(void) {
  return (struct wire_request){.method = SLICE_LIT("PUT"),
                               .target = SLICE_LIT("/k?x=1"),
                               .fields = client_fields,
                               .field_count = CLIENT_FIELDS,
                               .body_length = 11};
}

static void put_field(struct buf *b, const struct wire_field *f) {
  buf_append_slice(b, f->name);
  buf_append_str(b, ": ");
  buf_append_slice(b, f->value);
  buf_append_str(b, "\r\n");
}

/* The head as it would travel, from region `from`'s envelope to region `to`. */
static void seal_text(struct wire_envelope *from, uint16_t to, struct buf *out) {
  struct wire_request r = forwarded();
  struct wire_envelope_seal seal;
  struct dom_err err = {0};
  assert_int_equal(wire_envelope_sign_head(from, to, &r, NULL, &seal, &err), DOM_OK);
  buf_append_str(out, "PUT /k?x=1 HTTP/1.1\r\nContent-Length: 11\r\n");
  for (size_t i = 0; i < CLIENT_FIELDS; i++) put_field(out, &client_fields[i]);
  for (size_t i = 0; i < WIRE_ENVELOPE_FIELDS; i++) put_field(out, &seal.fields[i]);
  buf_append_str(out, "\r\n");
}

static enum dom_code check_text(struct wire_envelope *by, struct slice text,
                                struct wire_envelope_proof *proof) {
  struct wire_head h;
  const char *why;
  struct dom_err err = {0};
  unsigned status = wire_head_parse(text, &h, &why);
  return status != 0 ? DOM_INVALID : wire_envelope_check_head(by, &h, proof, &err);
}

static void test_sealed_head(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL), *b = envelope_of(2, NULL);
  struct wire_envelope_proof proof;
  BUF_AUTO text = BUF_INIT;
  seal_text(a, 2, &text);
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_OK);
  assert_int_equal(proof.from, 1);
  assert_true(proof.streamed);
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_DENIED); /* a replay */
  wire_envelope_free(a);
  wire_envelope_free(b);
}

/* An answer whose signature follows its body: for this question, from this region, of these bytes. */
static void test_signed_stream(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL), *b = envelope_of(2, NULL), *c = envelope_of(3, NULL);
  struct wire_request r = forwarded();
  struct wire_envelope_seal seal, later;
  struct wire_envelope_proof proof = {.from = 1};
  struct dom_err err = {0};
  uint8_t sha[SHA256_SIZE] = {1}, other[SHA256_SIZE] = {2}, sig[ED25519_SIG_SIZE];
  assert_int_equal(wire_envelope_sign_head(a, 2, &r, NULL, &seal, &err), DOM_OK);
  assert_int_equal(wire_envelope_sign_head(a, 2, &r, NULL, &later, &err), DOM_OK);
  memcpy(proof.nonce, seal.nonce, sizeof proof.nonce);
  assert_int_equal(wire_envelope_sign_stream(b, &proof, 200, sha, sig), DOM_OK);
  assert_int_equal(wire_envelope_check_stream(a, 2, seal.nonce, 200, sha, sig, &err), DOM_OK);
  assert_int_equal(wire_envelope_check_stream(a, 2, seal.nonce, 200, other, sig, &err), DOM_DENIED);
  assert_int_equal(wire_envelope_check_stream(a, 2, seal.nonce, 206, sha, sig, &err), DOM_DENIED);
  assert_int_equal(wire_envelope_check_stream(a, 2, later.nonce, 200, sha, sig, &err), DOM_DENIED);
  assert_int_equal(wire_envelope_check_stream(a, 3, seal.nonce, 200, sha, sig, &err), DOM_DENIED);
  assert_int_equal(wire_envelope_check_stream(a, 9, seal.nonce, 200, sha, sig, &err), DOM_DENIED);
  assert_int_equal(wire_envelope_check_stream(c, 2, seal.nonce, 200, sha, sig, &err), DOM_DENIED);
  for (size_t bit = 0; bit < 8 * sizeof sig; bit++) {
    sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(wire_envelope_check_stream(a, 2, seal.nonce, 200, sha, sig, &err), DOM_DENIED);
    sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  wire_envelope_free(a);
  wire_envelope_free(b);
  wire_envelope_free(c);
}

static void test_no_envelope(void **state) {
  (void)state;
  struct wire_envelope *b = envelope_of(2, NULL);
  struct wire_envelope_proof proof;
  assert_int_equal(check_text(b, SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &proof), DOM_NOT_FOUND);
  assert_int_equal(
      check_text(b, SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\nx-domicile-from: 1\r\n\r\n"), &proof),
      DOM_DENIED);
  wire_envelope_free(b);
}

static void test_wrong_regions(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL), *b = envelope_of(2, NULL), *c = envelope_of(3, NULL);
  struct wire_envelope_proof proof;
  BUF_AUTO text = BUF_INIT;
  seal_text(a, 3, &text);
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_DENIED); /* addressed elsewhere */
  assert_int_equal(check_text(c, buf_slice(&text), &proof), DOM_OK);
  buf_reset(&text);
  seal_text(b, 3, &text);
  swap_keys = true; /* signed by a key that is not region 2's */
  assert_int_equal(check_text(c, buf_slice(&text), &proof), DOM_DENIED);
  swap_keys = false;
  assert_int_equal(check_text(c, buf_slice(&text), &proof), DOM_OK);
  wire_envelope_free(a);
  wire_envelope_free(b);
  wire_envelope_free(c);

  /* A region that is not in the charter, with a sound signature of its own. */
  struct wire_envelope_options o = {.number = 9, .peer = find_peer};
  struct wire_envelope *stranger = wire_envelope_new(&o), *again = envelope_of(2, NULL);
  buf_reset(&text);
  seal_text(stranger, 2, &text);
  assert_int_equal(check_text(again, buf_slice(&text), &proof), DOM_DENIED);
  wire_envelope_free(stranger);
  wire_envelope_free(again);
}

static void test_times(void **state) {
  (void)state;
  static const struct {
    int64_t apart_ms;
    enum dom_code want;
  } rows[] = {{0, DOM_OK},
              {WIRE_ENVELOPE_SKEW_MS, DOM_OK},
              {WIRE_ENVELOPE_SKEW_MS + 1, DOM_DENIED},
              {-WIRE_ENVELOPE_SKEW_MS, DOM_OK},
              {-WIRE_ENVELOPE_SKEW_MS - 1, DOM_DENIED}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct clock *here = clock_sim_new(1000000000), *there = clock_sim_new(1000000000);
    struct wire_envelope *a = envelope_of(1, there), *b = envelope_of(2, here);
    struct wire_envelope_proof proof;
    BUF_AUTO text = BUF_INIT;
    clock_sim_advance(here, 10 * WIRE_ENVELOPE_SKEW_MS);
    clock_sim_advance(there, 10 * WIRE_ENVELOPE_SKEW_MS);
    clock_sim_jump_wall(there, rows[i].apart_ms);
    seal_text(a, 2, &text);
    assert_int_equal(check_text(b, buf_slice(&text), &proof), rows[i].want);
    wire_envelope_free(a);
    wire_envelope_free(b);
    clock_sim_free(here);
    clock_sim_free(there);
  }
}

/* What an earlier process may have acted on is refused by the one that follows it. */
static void test_restart(void **state) {
  (void)state;
  struct clock *clock = clock_sim_new(1000000000);
  struct wire_envelope *a = envelope_of(1, clock), *b = envelope_of(2, clock);
  struct wire_envelope_proof proof;
  BUF_AUTO text = BUF_INIT;
  seal_text(a, 2, &text);
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_OK);
  wire_envelope_free(b);
  clock_sim_advance(clock, 1);
  b = envelope_of(2, clock);
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_DENIED);
  wire_envelope_free(a);
  wire_envelope_free(b);
  clock_sim_free(clock);
}

/* A clock that is set back does not make a message fresh again whose nonce is forgotten. */
static void test_clock_set_back(void **state) {
  (void)state;
  struct clock *clock = clock_sim_new(1000000000);
  struct wire_envelope *a = envelope_of(1, clock), *b = envelope_of(2, clock);
  struct wire_envelope_proof proof;
  BUF_AUTO first = BUF_INIT;
  seal_text(a, 2, &first);
  assert_int_equal(check_text(b, buf_slice(&first), &proof), DOM_OK);
  for (int i = 0; i < 3; i++) { /* the memory turns over twice */
    BUF_AUTO text = BUF_INIT;
    clock_sim_advance(clock, 2 * WIRE_ENVELOPE_SKEW_MS);
    seal_text(a, 2, &text);
    assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_OK);
  }
  clock_sim_jump_wall(clock, -6 * WIRE_ENVELOPE_SKEW_MS);
  assert_int_equal(check_text(b, buf_slice(&first), &proof), DOM_DENIED);
  wire_envelope_free(a);
  wire_envelope_free(b);
  clock_sim_free(clock);
}

static bool same_request(struct slice one, struct slice two) {
  struct wire_head a, b;
  const char *why;
  if (wire_head_parse(one, &a, &why) != 0 || wire_head_parse(two, &b, &why) != 0) return false;
  if (!slice_equal(a.method_text, b.method_text) || !slice_equal(a.target, b.target)) return false;
  if (a.length != b.length || a.chunked != b.chunked || a.field_count != b.field_count) return false;
  for (size_t i = 0; i < a.field_count; i++)
    if (!slice_equal_nocase(a.fields[i].name, b.fields[i].name) ||
        (!slice_equal(a.fields[i].value, b.fields[i].value) &&
         !slice_equal_nocase(a.fields[i].name, SLICE_LIT("content-length"))))
      return false;
  return true;
}

/* Every single bit of a sealed head: flipped, it is refused, unless it says the very same (the case
 * of a field's name, the minor version). */
static void test_every_bit(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL), *b = envelope_of(2, NULL);
  BUF_AUTO text = BUF_INIT;
  size_t refused = 0;
  seal_text(a, 2, &text);
  BUF_AUTO copy = BUF_INIT;
  buf_append_slice(&copy, buf_slice(&text));
  for (size_t bit = 0; bit < 8 * text.len; bit++) {
    struct wire_envelope_proof proof;
    copy.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (!same_request(buf_slice(&text), buf_slice(&copy))) {
      if (check_text(b, buf_slice(&copy), &proof) == DOM_OK) fail_msg("bit %zu: %s", bit, buf_str(&copy));
      refused++;
    }
    copy.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  assert_true(refused > 6 * text.len);
  struct wire_envelope_proof proof;
  assert_int_equal(check_text(b, buf_slice(&text), &proof), DOM_OK); /* untouched, and still fresh */
  wire_envelope_free(a);
  wire_envelope_free(b);
}

static void test_added_and_dropped_fields(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL), *b = envelope_of(2, NULL);
  struct wire_envelope_proof proof;
  BUF_AUTO text = BUF_INIT;
  seal_text(a, 2, &text);
  static const char *const added[] = {"x-amz-meta-b: 1\r\n\r\n", "x-domicile-from: 1\r\n\r\n",
                                      "Cookie: x\r\n\r\n"};
  for (size_t i = 0; i < 3; i++) {
    BUF_AUTO more = BUF_INIT;
    buf_append(&more, text.data, text.len - 2);
    buf_append_str(&more, added[i]);
    assert_int_equal(check_text(b, buf_slice(&more), &proof), DOM_DENIED);
  }
  BUF_AUTO framing = BUF_INIT; /* hop-by-hop: each side makes its own */
  buf_append(&framing, text.data, text.len - 2);
  buf_append_str(&framing, "Connection: keep-alive\r\nExpect: 100-continue\r\n\r\n");
  assert_int_equal(check_text(b, buf_slice(&framing), &proof), DOM_OK);
  wire_envelope_free(a);
  wire_envelope_free(b);
}

static void test_not_signable(void **state) {
  (void)state;
  struct wire_envelope *a = envelope_of(1, NULL);
  struct wire_envelope_seal seal;
  struct wire_field fields[WIRE_FIELDS_MAX];
  struct wire_request r = forwarded();
  struct dom_err err = {0};
  for (size_t i = 0; i < WIRE_FIELDS_MAX; i++) fields[i] = client_fields[0];
  r.fields = fields;
  r.field_count = WIRE_FIELDS_MAX - WIRE_ENVELOPE_FIELDS + 1;
  assert_int_equal(wire_envelope_sign_head(a, 2, &r, NULL, &seal, &err), DOM_TOO_LARGE);
  err = (struct dom_err){0};
  r.field_count = 2;
  fields[1] = (struct wire_field){SLICE_LIT("X-Domicile-From"), SLICE_LIT("1")};
  assert_int_equal(wire_envelope_sign_head(a, 2, &r, NULL, &seal, &err), DOM_INVALID);
  wire_envelope_free(a);
}

/* The signed bytes are a format: they may not change by accident. */
static void test_golden_bytes(void **state) {
  (void)state;
  struct seal_claim c = {.from = 1,
                         .to = 2,
                         .time_ms = 3,
                         .streamed = false,
                         .method = SLICE_LIT("PUT"),
                         .target = SLICE_LIT("/k"),
                         .body_length = 5};
  memset(c.nonce, 0xab, sizeof c.nonce);
  memset(c.body_sha256, 0xcd, sizeof c.body_sha256);
  const struct wire_field host = {SLICE_LIT("Host"), SLICE_LIT("h")}, b = {SLICE_LIT("B"), SLICE_LIT(" v ")},
                          length = {SLICE_LIT("Content-Length"), SLICE_LIT("5")};
  const struct wire_field *const one[] = {&host, &b, &length}, *const two[] = {&length, &b, &host};
  BUF_AUTO first = BUF_INIT;
  BUF_AUTO second = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  assert_int_equal(seal_head_bytes(&c, one, 3, &first), DOM_OK);
  assert_int_equal(seal_head_bytes(&c, two, 3, &second), DOM_OK);
  assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
  hex_encode(&hex, buf_slice(&first));
  assert_string_equal(buf_str(&hex), "0014646f6d6963696c652d656e76656c6f70652d7631" /* tag */
                                     "0003505554"                                   /* PUT */
                                     "000000022f6b"                                 /* /k */
                                     "00010002"                                     /* from, to */
                                     "0000000000000003"                             /* time */
                                     "abababababababababababababababab"             /* nonce */
                                     "00"                                           /* not streamed */
                                     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
                                     "0000000000000005"         /* length */
                                     "0002"                     /* fields */
                                     "0001620000000176"         /* b: v */
                                     "0004686f73740000000168"); /* host: h */
}

/* --- messages --- */

static _Atomic int handled;
static struct wire_envelope *server_side;

static enum dom_code handle_message(void *arg, uint16_t from, const char *path, struct slice body,
                                    struct buf *reply, struct dom_err *err) {
  (void)arg;
  handled++;
  if (strcmp(path, "fail") == 0)
    return dom_fail(err, DOM_STALE_EPOCH, "test", "epoch 3 %% \xc3\xa4\n is old");
  buf_printf(reply, "%u %s ", (unsigned)from, path);
  buf_append_slice(reply, body);
  return DOM_OK;
}

/* As a home region does: who sent this, and only then the body. */
static void take_forwarded(struct wire_exchange *x) {
  struct wire_envelope_proof proof;
  struct dom_err err = {0};
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  if (wire_envelope_check_head(server_side, wire_exchange_head(x), &proof, &err) != DOM_OK ||
      !proof.streamed) {
    (void)wire_reply(x, 403, slice_str(err.text), NULL);
    return;
  }
  if (slice_equal(wire_exchange_head(x)->path, SLICE_LIT("/moved"))) {
    (void)wire_reply(x, 421, SLICE_LIT("elsewhere"), NULL);
    return;
  }
  assert_int_equal(wire_body_read_all(x, 1 << 24, &body, &err), DOM_OK);
  buf_printf(&text, "from %u, %zu bytes", (unsigned)proof.from, body.len);
  (void)wire_reply(x, 200, buf_slice(&text), NULL);
}

static void handle_request(struct wire_exchange *x, void *arg) {
  (void)arg;
  if (!slice_starts_with(wire_exchange_head(x)->path, SLICE_LIT(WIRE_PEER_PREFIX))) {
    take_forwarded(x);
    return;
  }
  wire_envelope_serve(server_side, x, handle_message, NULL);
}

struct pair {
  struct rig rig;
  struct wire_envelope *asking;
  struct wire_client *client;
  struct net *net;
};

static int open_pair(void **state) {
  static struct pair p;
  server_side = envelope_of(2, NULL);
  rig_open(&p.rig, &(struct wire_server_options){.workers = 4}, handle_request, NULL);
  snprintf(endpoints[2], sizeof endpoints[2], "http://127.0.0.1:%u", p.rig.port);
  p.asking = envelope_of(1, NULL);
  p.client = wire_client_new(4);
  p.net = wire_net_new(p.asking, p.client);
  handled = 0;
  *state = &p;
  return 0;
}

static int close_pair(void **state) {
  struct pair *p = *state;
  wire_net_free(p->net);
  wire_client_free(p->client);
  wire_envelope_free(p->asking);
  rig_close(&p->rig);
  wire_envelope_free(server_side);
  return 0;
}

static void test_call(void **state) {
  struct pair *p = *state;
  struct dom_err err = {0};
  BUF_AUTO reply = BUF_INIT;
  buf_append_str(&reply, "kept ");
  if (net_call(p->net, 2, "move/items", SLICE_LIT("body"), PATIENCE_MS, &reply, &err) != DOM_OK)
    fail_msg("%s", err.text);
  assert_string_equal(buf_str(&reply), "kept 1 move/items body");
  buf_reset(&reply);
  assert_int_equal(net_call(p->net, 2, "empty", (struct slice){0}, PATIENCE_MS, &reply, &err), DOM_OK);
  assert_string_equal(buf_str(&reply), "1 empty ");
  assert_int_equal(handled, 2);
}

static void test_call_large(void **state) {
  struct pair *p = *state;
  struct dom_err err = {0};
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  size_t size = NET_MESSAGE_MAX - 16;
  for (size_t i = 0; i < size; i++) buf_append_byte(&body, (uint8_t)(i * 7));
  assert_int_equal(net_call(p->net, 2, "x", buf_slice(&body), PATIENCE_MS, &reply, &err), DOM_OK);
  assert_int_equal(reply.len, size + 4);
  assert_memory_equal(reply.data + 4, body.data, size);
  /* An answer past the limit is the other side's failure, and told as such. */
  while (body.len < NET_MESSAGE_MAX) buf_append_byte(&body, 'x');
  buf_reset(&reply);
  assert_int_equal(net_call(p->net, 2, "x", buf_slice(&body), PATIENCE_MS, &reply, &err), DOM_TOO_LARGE);
  assert_int_equal(reply.len, 0);
}

static void test_call_fails(void **state) {
  struct pair *p = *state;
  struct dom_err err = {0};
  BUF_AUTO reply = BUF_INIT;
  assert_int_equal(net_call(p->net, 2, "fail", SLICE_LIT("b"), PATIENCE_MS, &reply, &err), DOM_STALE_EPOCH);
  assert_string_equal(err.text, "epoch 3 % \xc3\xa4\n is old");
  err = (struct dom_err){0};
  assert_int_equal(net_call(p->net, 9, "x", SLICE_LIT("b"), PATIENCE_MS, &reply, &err), DOM_UNAVAILABLE);
  err = (struct dom_err){0};
  assert_int_equal(net_call(p->net, 3, "x", SLICE_LIT("b"), PATIENCE_MS, &reply, &err), DOM_UNAVAILABLE);
  assert_int_equal(reply.len, 0);
}

/* The answer is signed by somebody else than region 2: it proves nothing. */
static void test_forged_answer(void **state) {
  struct pair *p = *state;
  struct dom_err err = {0};
  BUF_AUTO reply = BUF_INIT;
  swap_keys = true;
  assert_int_equal(net_call(p->net, 2, "x", SLICE_LIT("b"), PATIENCE_MS, &reply, &err), DOM_UNAVAILABLE);
  swap_keys = false;
  assert_non_null(strstr(err.text, "valid signature"));
  assert_int_equal(reply.len, 0);
}

/* A message as bytes, so that the test can spoil and repeat it. */
static void message_text(struct pair *p, const char *method, const char *target, struct slice body,
                         bool hashed, struct buf *out) {
  const struct wire_field host = {SLICE_LIT("Host"), SLICE_LIT("two")};
  struct wire_request r = {.method = slice_str(method),
                           .target = slice_str(target),
                           .fields = &host,
                           .field_count = 1,
                           .body_length = body.len};
  struct wire_envelope_seal seal;
  struct dom_err err = {0};
  uint8_t hash[SHA256_SIZE];
  struct slice sealed = net_sealed(target + strlen("/-/peer/"), body);
  sha256(sealed.data, sealed.len, hash);
  assert_int_equal(wire_envelope_sign_head(p->asking, 2, &r, hashed ? hash : NULL, &seal, &err), DOM_OK);
  buf_printf(out, "%s %s HTTP/1.1\r\nHost: two\r\nConnection: close\r\nContent-Length: %zu\r\n", method,
             target, body.len);
  for (size_t i = 0; i < WIRE_ENVELOPE_FIELDS; i++) put_field(out, &seal.fields[i]);
  buf_append_str(out, "\r\n");
  buf_append_slice(out, body);
}

static void expect_status(struct pair *p, struct slice text, const char *status, int times_handled) {
  struct heard h;
  int before = handled, fd = dial(p->rig.port);
  heard_init(&h);
  say_bytes(fd, text.data, text.len);
  hear_all(fd, &h);
  close(fd);
  expect_part(&h, status);
  heard_done(&h);
  assert_int_equal(handled - before, times_handled);
}

static void test_refused_messages(void **state) {
  struct pair *p = *state;
  BUF_AUTO text = BUF_INIT;
  expect_status(
      p,
      SLICE_LIT("POST /-/peer/x HTTP/1.1\r\nHost: two\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
                "body"),
      "403 Forbidden", 0);
  message_text(p, "POST", "/-/peer/x", SLICE_LIT("body"), true, &text);
  expect_status(p, buf_slice(&text), "200 OK", 1);
  expect_status(p, buf_slice(&text), "403 Forbidden", 0); /* replayed */
  buf_reset(&text);
  message_text(p, "POST", "/-/peer/x", SLICE_LIT("body"), true, &text);
  text.data[text.len - 1] ^= 1; /* the body is not what was signed */
  expect_status(p, buf_slice(&text), "403 Forbidden", 0);
  buf_reset(&text);
  message_text(p, "POST", "/-/peer/x", SLICE_LIT("body"), false, &text); /* an envelope without body hash */
  expect_status(p, buf_slice(&text), "403 Forbidden", 0);
  buf_reset(&text);
  message_text(p, "PUT", "/-/peer/x", SLICE_LIT("body"), true, &text);
  expect_status(p, buf_slice(&text), "403 Forbidden", 0);
  buf_reset(&text);
  message_text(p, "POST", "/-/peer/", SLICE_LIT("body"), true, &text);
  expect_status(p, buf_slice(&text), "403 Forbidden", 0);
  buf_reset(&text);
  message_text(p, "POST", "/-/peer/x?y", SLICE_LIT("body"), true, &text);
  expect_status(p, buf_slice(&text), "403 Forbidden", 0);
}

/* Of bulk so many bytes as it says are signed, the length of all, and that number; the rest is its receiver's
 * to check. */
static void test_bulk(void **state) {
  enum { SEALED = 40, SIZE = 100 };
  struct pair *p = *state;
  BUF_AUTO text = BUF_INIT;
  uint8_t body[SIZE] = {0, 0, 0, SEALED};
  struct slice whole = slice_of(body, SIZE), sealed, rest;
  memset(body + NET_BULK_LENGTH_SIZE, 'b', SIZE - NET_BULK_LENGTH_SIZE);
  for (size_t at = 0; at < SIZE; at++) {
    bool covered = at < NET_BULK_LENGTH_SIZE + SEALED;
    buf_reset(&text);
    message_text(p, "POST", "/-/peer/bulk/x", whole, true, &text);
    text.data[text.len - SIZE + at] ^= 1;
    expect_status(p, buf_slice(&text), covered ? "403 Forbidden" : "200 OK", covered ? 0 : 1);
  }
  assert_true(net_bulk_split(whole, &sealed, &rest));
  assert_int_equal(sealed.len, SEALED);
  assert_int_equal(rest.len, SIZE - NET_BULK_LENGTH_SIZE - SEALED);
  assert_int_equal(net_sealed("bulk/x", whole).len, NET_BULK_LENGTH_SIZE + SEALED);
  assert_int_equal(net_sealed("bulk", whole).len, SIZE);
  for (size_t len = 0; len < NET_BULK_LENGTH_SIZE + SEALED;
       len++) { /* shorter than it says: all of it is signed */
    assert_false(net_bulk_split(slice_of(body, len), &sealed, &rest));
    assert_int_equal(net_sealed("bulk/x", slice_of(body, len)).len, len);
  }
  BUF_AUTO reply = BUF_INIT;
  assert_int_equal(net_call_bulk(p->net, 2, "bulk/x", slice_cut(whole, 0, NET_BULK_LENGTH_SIZE + SEALED),
                                 rest, PATIENCE_MS, &reply, NULL),
                   DOM_OK);
  assert_int_equal(reply.len, strlen("1 bulk/x ") + SIZE);
  assert_memory_equal(reply.data + reply.len - SIZE, body, SIZE);
}

struct caller {
  struct net *net;
  pthread_t thread;
  int failures;
};

static void *call_many(void *arg) {
  struct caller *c = arg;
  for (int i = 0; i < 25; i++) {
    struct dom_err err = {0};
    BUF_AUTO reply = BUF_INIT;
    if (net_call(c->net, 2, "x", SLICE_LIT("b"), PATIENCE_MS, &reply, &err) != DOM_OK) c->failures++;
  }
  return NULL;
}

static enum dom_code give_zeros(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  uint64_t *left = arg;
  (void)err;
  *out_len = *left < cap ? (size_t)*left : cap;
  memset(out, 0, *out_len);
  *left -= *out_len;
  return DOM_OK;
}

static void forward(struct pair *p, const char *target, uint64_t size, bool chunked, bool spoil,
                    unsigned status) {
  struct wire_field fields[CLIENT_FIELDS + WIRE_ENVELOPE_FIELDS];
  struct wire_envelope_seal seal;
  struct wire_outcome o;
  struct dom_err err = {0};
  uint64_t left = size;
  memcpy(fields, client_fields, sizeof client_fields);
  struct wire_request r = forwarded();
  r.origin = endpoints[2];
  r.target = slice_str(target);
  r.fields = fields;
  r.body_length = chunked ? WIRE_CLIENT_CHUNKED : size;
  r.length_header = r.expect_continue = r.once = true;
  r.pull = give_zeros;
  r.arg = &left;
  assert_int_equal(wire_envelope_sign_head(p->asking, 2, &r, NULL, &seal, &err), DOM_OK);
  memcpy(fields + CLIENT_FIELDS, seal.fields, sizeof seal.fields);
  r.field_count += WIRE_ENVELOPE_FIELDS;
  if (spoil) fields[1].value = SLICE_LIT("AWS4 other");
  assert_int_equal(wire_client_send(p->client, &r, &o, &err), DOM_OK);
  assert_int_equal(o.status, status);
  assert_int_equal(o.pulled, status == 200 ? size : 0);
}

/* A client's request passed on: what curl makes of the head is what was signed, the body follows
 * only when the home wants it. */
static void test_forwarded(void **state) {
  struct pair *p = *state;
  forward(p, "/k?x=1", 1000000, false, false, 200);
  forward(p, "/k?x=1", 1000000, true, false, 200);
  forward(p, "/k", 0, false, false, 200);
  forward(p, "/moved", 1000000, false, false, 421);
  forward(p, "/k", 1000000, false, true, 403);
}

static void test_many_callers(void **state) {
  struct pair *p = *state;
  struct caller callers[8] = {0};
  int before = handled;
  for (size_t i = 0; i < 8; i++) {
    callers[i].net = p->net;
    assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
  }
  for (size_t i = 0; i < 8; i++) {
    pthread_join(callers[i].thread, NULL);
    assert_int_equal(callers[i].failures, 0);
  }
  assert_int_equal(handled - before, 200);
}

static void test_internal_fields(void **state) {
  (void)state;
  struct wire_head h;
  const char *why;
  assert_int_equal(
      wire_head_parse(SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\nVIA: x\r\nX-Domicile-From: 1\r\n"
                                "x-domicile-layout: {subject}/\r\nx-domicile-signature: y\r\n\r\n"),
                      &h, &why),
      0);
  wire_head_drop(&h, wire_field_is_internal);
  assert_int_equal(h.field_count, 2);
  assert_non_null(wire_head_get(&h, "x-domicile-layout").data); /* a client's own */
}

int main(void) {
  const struct CMUnitTest heads[] = {cmocka_unit_test(test_sealed_head),
                                     cmocka_unit_test(test_signed_stream),
                                     cmocka_unit_test(test_no_envelope),
                                     cmocka_unit_test(test_wrong_regions),
                                     cmocka_unit_test(test_times),
                                     cmocka_unit_test(test_restart),
                                     cmocka_unit_test(test_clock_set_back),
                                     cmocka_unit_test(test_every_bit),
                                     cmocka_unit_test(test_added_and_dropped_fields),
                                     cmocka_unit_test(test_not_signable),
                                     cmocka_unit_test(test_golden_bytes),
                                     cmocka_unit_test(test_internal_fields)};
  const struct CMUnitTest messages[] = {cmocka_unit_test(test_call),
                                        cmocka_unit_test(test_call_large),
                                        cmocka_unit_test(test_call_fails),
                                        cmocka_unit_test(test_forged_answer),
                                        cmocka_unit_test(test_refused_messages),
                                        cmocka_unit_test(test_bulk),
                                        cmocka_unit_test(test_forwarded),
                                        cmocka_unit_test(test_many_callers)};
  int failed = cmocka_run_group_tests(heads, make_keys, NULL);
  return failed + cmocka_run_group_tests(messages, open_pair, close_pair);
}
