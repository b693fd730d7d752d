/* What one region sends another: the signed head of a message, and statements about where a person
 * lives. A head that this input makes is never taken for a region's; one that a region signed is taken
 * once, and not when anything signed in it has changed. */
#include "fuzz.h"

#include "base/codec.h"
#include "subject/subject_internal.h"
#include "wire/envelope.h"

static uint8_t seed[ED25519_KEY_SIZE] = {1, 2, 3};

static enum dom_code peer(void *arg, uint16_t number, struct wire_peer *out) {
  (void)arg;
  if (number != 1 && number != 2) return DOM_NOT_FOUND;
  *out = (struct wire_peer){.endpoint = "http://127.0.0.1:1"};
  ed25519_public(seed, out->public_key);
  return DOM_OK;
}

static struct wire_envelope *envelope_new(uint16_t number, struct clock *clock) {
  struct wire_envelope_options o = {.number = number, .peer = peer, .clock = clock};
  memcpy(o.seed, seed, sizeof seed);
  struct wire_envelope *e = wire_envelope_new(&o);
  assert(e != NULL);
  return e;
}

static enum dom_code check(struct wire_envelope *e, const struct wire_head *h) {
  struct wire_envelope_proof proof;
  fuzz_mark(&proof, sizeof proof);
  enum dom_code code = wire_envelope_check_head(e, h, &proof, NULL);
  assert(code == DOM_OK || fuzz_is_marked(&proof, sizeof proof));
  assert(code != DOM_OK || proof.from == 1);
  return code;
}

/* Signs the head's own fields as region 1 and lets region 2 look at the result. */
static void check_signed(struct wire_envelope *from, struct wire_envelope *to, struct wire_head *h,
                         struct fuzz_random *r) {
  uint8_t body[SHA256_SIZE] = {9};
  struct wire_envelope_seal seal;
  wire_head_drop(h, wire_field_is_internal);
  struct wire_request request = {.method = h->method_text, .target = h->target, .fields = h->fields};
  request.field_count = h->field_count;
  request.body_length = h->chunked ? WIRE_CLIENT_CHUNKED : h->length;
  if (h->field_count + WIRE_ENVELOPE_FIELDS > WIRE_FIELDS_MAX || h->host.len == 0) return;
  bool streamed = fuzz_random_below(r, 2) == 1;
  if (wire_envelope_sign_head(from, 2, &request, streamed ? NULL : body, &seal, NULL) != DOM_OK) return;
  for (size_t i = 0; i < WIRE_ENVELOPE_FIELDS; i++) h->fields[h->field_count++] = seal.fields[i];
  struct slice target = h->target;
  h->target = SLICE_LIT("/-/peer/other");
  assert(slice_equal(target, h->target) || check(to, h) == DOM_DENIED);
  h->target = target;
  size_t which = fuzz_random_below(r, h->field_count);
  struct wire_field kept = h->fields[which];
  h->fields[which].value = SLICE_LIT("1");
  bool is_signed = !wire_field_is_hop(kept.name) && !slice_equal(kept.value, SLICE_LIT("1"));
  assert(!is_signed || check(to, h) != DOM_OK);
  h->fields[which] = kept;
  if (is_signed) {
    assert(check(to, h) == DOM_OK);
    assert(check(to, h) == DOM_DENIED); /* twice is a replay */
  }
}

static void check_head(struct slice in, struct fuzz_random *r) {
  static struct wire_head h;
  static struct clock *clock;
  const char *why;
  if (clock == NULL) clock = clock_sim_new(UINT64_C(1795348800000));
  assert(clock != NULL);
  if (wire_head_parse(in, &h, &why) != 0) return;
  struct wire_envelope *from = envelope_new(1, clock), *to = envelope_new(2, clock);
  assert(check(to, &h) != DOM_OK);
  check_signed(from, to, &h, r);
  wire_envelope_free(from);
  wire_envelope_free(to);
}

/* Statements: read back as signed; any changed byte is refused by the check. */
static void check_statement(struct slice in) {
  static struct subjects s = {.o = {.region = 1}};
  memcpy(s.o.region_seed, seed, sizeof seed);
  struct subject_statement st, back;
  BUF_AUTO bytes = BUF_INIT;
  fuzz_mark(&st, sizeof st);
  if (!subject_statement_peek(&s, in, &st)) assert(fuzz_is_marked(&st, sizeof st));
  struct reader r = reader_of(in);
  st = (struct subject_statement){.from = 1, .to = (uint16_t)(2 + get_u8(&r)), .epoch_from = get_u32be(&r)};
  st.epoch = st.epoch_from + 1 + get_u32be(&r);
  get_copy(&r, st.token, TOKEN_SIZE);
  get_copy(&r, st.manifest, SHA256_SIZE);
  st.charter_version = get_u64be(&r);
  memcpy(st.country, "IN", 2);
  subject_statement_sign(&s, &st, &bytes);
  assert(!bytes.failed && bytes.len <= SUBJECT_STATEMENT_MAX);
  assert(subject_statement_peek(&s, buf_slice(&bytes), &back));
  assert(back.from == st.from && back.to == st.to && back.epoch == st.epoch &&
         back.epoch_from == st.epoch_from);
  assert(memcmp(back.token, st.token, TOKEN_SIZE) == 0 &&
         memcmp(back.manifest, st.manifest, SHA256_SIZE) == 0);
  assert(back.charter_version == st.charter_version);
  for (size_t len = 0; len < bytes.len; len++)
    assert(!subject_statement_peek(&s, slice_of(bytes.data, len), &back));
  /* The input laid over a good one, so that the fields behind the magic are reached. */
  for (size_t i = 0; i < bytes.len && in.len > 0; i++)
    if (i >= 21) bytes.data[i] ^= in.data[i % in.len];
  if (subject_statement_peek(&s, buf_slice(&bytes), &back))
    assert(back.epoch > back.epoch_from && back.from != back.to && back.from != 0 && back.to != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  check_head(in, &r);
  check_statement(in);
  return 0;
}
