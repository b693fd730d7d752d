#include "wire/seal.h"

#include <assert.h>

#include "base/codec.h"
#include "wire/head_rules.h"

enum { SEAL_FIELDS_MAX = WIRE_FIELDS_MAX + WIRE_ENVELOPE_FIELDS };

static uint8_t lower(uint8_t c) {
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int compare_names(struct slice a, struct slice b) {
  assert(a.len > 0 && b.len > 0);
  for (size_t i = 0; i < a.len && i < b.len; i++)
    if (lower(a.data[i]) != lower(b.data[i])) return lower(a.data[i]) < lower(b.data[i]) ? -1 : 1;
  return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static bool is_signed(struct slice name) {
  assert(name.len > 0);
  return !wire_field_is_hop(name) && !slice_equal_nocase(name, SLICE_LIT(SEAL_SIGNATURE));
}

/* Signed fields by name; those of one name keep their order, which means something. */
static size_t sort_fields(const struct wire_field *const *fields, size_t count,
                          const struct wire_field *sorted[SEAL_FIELDS_MAX]) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    if (!is_signed(fields[i]->name)) continue;
    size_t at = n++;
    assert(n <= SEAL_FIELDS_MAX);
    for (; at > 0 && compare_names(sorted[at - 1]->name, fields[i]->name) > 0; at--)
      sorted[at] = sorted[at - 1];
    sorted[at] = fields[i];
  }
  return n;
}

static void put_lower16be(struct buf *b, struct slice name) {
  assert(name.len <= UINT16_MAX);
  put_u16be(b, (uint16_t)name.len);
  for (size_t i = 0; i < name.len; i++) buf_append_byte(b, lower(name.data[i]));
}

enum dom_code seal_head_bytes(const struct seal_claim *c, const struct wire_field *const *fields,
                              size_t count, struct buf *out) {
  const struct wire_field *sorted[SEAL_FIELDS_MAX];
  if (count > SEAL_FIELDS_MAX) return DOM_TOO_LARGE;
  size_t n = sort_fields(fields, count, sorted);
  put_bytes16be(out, SLICE_LIT("domicile-envelope-v1"));
  put_bytes16be(out, c->method);
  put_bytes32be(out, c->target);
  put_u16be(out, c->from);
  put_u16be(out, c->to);
  put_u64be(out, c->time_ms);
  buf_append(out, c->nonce, sizeof c->nonce);
  put_u8(out, c->streamed ? 1 : 0);
  buf_append(out, c->body_sha256, sizeof c->body_sha256);
  put_u64be(out, c->body_length);
  put_u16be(out, (uint16_t)n);
  for (size_t i = 0; i < n; i++) {
    put_lower16be(out, sorted[i]->name);
    put_bytes32be(out, head_trim(sorted[i]->value));
  }
  assert(n <= SEAL_FIELDS_MAX);
  return buf_check(out, NULL);
}

void seal_answer_bytes(const struct seal_answer *a, struct buf *out) {
  assert(a != NULL && a->status <= UINT16_MAX);
  put_bytes16be(out, SLICE_LIT("domicile-answer-v1"));
  put_u16be(out, a->from);
  put_u16be(out, a->to);
  buf_append(out, a->nonce, sizeof a->nonce);
  put_u16be(out, (uint16_t)a->status);
  put_bytes16be(out, a->code);
  put_bytes16be(out, a->text);
  buf_append(out, a->body_sha256, sizeof a->body_sha256);
}
