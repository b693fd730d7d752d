/* A region whose knowledge may be old is held; what it signs and keeps so that it can catch up. */
#include <assert.h>

#include "subject/subject_internal.h"

void subject_hold(struct subjects *s, bool held) {
  assert(s);
  atomic_store(&s->held, held);
}

bool subject_held(const struct subjects *s) {
  return atomic_load(&s->held);
}

enum dom_code hold_check(const struct subjects *s, struct dom_err *err) {
  if (!subject_held(s)) return DOM_OK;
  return dom_fail(err, DOM_UNAVAILABLE, "subject/hold",
                  "the region is in quarantine: what it knows may be older than what others do");
}

void subject_deployment(const struct subjects *s, struct buf *out) {
  assert(s && out);
  buf_append(out, s->o.deployment, sizeof s->o.deployment);
}

void subject_sign(const struct subjects *s, struct slice bytes, uint8_t out[ED25519_SIG_SIZE]) {
  assert(bytes.len > 0);
  ed25519_sign(s->o.region_seed, bytes, out);
}

bool subject_signed_by(struct subjects *s, uint16_t region, struct slice bytes,
                       const uint8_t signature[ED25519_SIG_SIZE]) {
  struct charter *c = subject_charter(s);
  const struct charter_region *r = c ? charter_region_by_number(c, region) : NULL;
  bool good = r && ed25519_verify(r->public_key, bytes, signature);
  charter_release(c);
  return good;
}

/* ---- the statement of an arrival -------------------------------------------------------- */

static void arrival_key(const uint8_t token[TOKEN_SIZE], uint8_t out[1 + TOKEN_SIZE]) {
  out[0] = 'a';
  memcpy(out + 1, token, TOKEN_SIZE);
}

enum dom_code subject_arrival_put(struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
                                  struct slice statement, struct dom_err *err) {
  uint8_t key[1 + TOKEN_SIZE];
  assert(statement.len > 0 && statement.len <= SUBJECT_STATEMENT_MAX);
  arrival_key(token, key);
  return store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), statement, err);
}

enum dom_code subject_arrival_kept(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct buf *out,
                                   struct dom_err *err) {
  uint8_t key[1 + TOKEN_SIZE];
  arrival_key(token, key);
  return store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), out, err);
}
