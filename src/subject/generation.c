/* Generations of a subject's scoped tokens: one number at its home, absent until a first revocation. Tokens
 * of an earlier one are over. Row in META: 'g' ‖ token → u64 big-endian. */
#include <assert.h>

#include "base/codec.h"
#include "subject/subject_internal.h"

enum { GENERATION_RETRIES_MAX = 16 };

static void row_key(const uint8_t token[TOKEN_SIZE], uint8_t out[1 + TOKEN_SIZE]) {
  assert(token && out);
  out[0] = 'g';
  memcpy(out + 1, token, TOKEN_SIZE);
}

enum dom_code subject_tokens_generation(struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                        uint64_t *out_generation, struct dom_err *err) {
  uint8_t key[1 + TOKEN_SIZE];
  BUF_AUTO value = BUF_INIT;
  assert(v && out_generation);
  row_key(token, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &value, NULL);
  if (code == DOM_NOT_FOUND) {
    *out_generation = 0;
    return DOM_OK;
  }
  if (code) return dom_fail(err, code, "subject/generation", "the row cannot be read");
  struct reader r = reader_of(buf_slice(&value));
  uint64_t generation = get_u64be(&r);
  if (!reader_end(&r)) return dom_fail(err, DOM_CORRUPT, "subject/generation", "the row does not decode");
  *out_generation = generation;
  return DOM_OK;
}

void subject_tokens_guard(struct store_tx *tx, const uint8_t token[TOKEN_SIZE]) {
  uint8_t key[1 + TOKEN_SIZE];
  assert(tx);
  row_key(token, key);
  store_tx_guard_row(tx, STORE_TABLE_META, slice_of(key, sizeof key));
}

/* At home only: elsewhere there is nothing to end. */
static enum dom_code revoke_once(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t *out,
                                 struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  BUF_AUTO value = BUF_INIT;
  struct store_subject row;
  uint8_t key[1 + TOKEN_SIZE];
  uint64_t generation = 0;
  row_key(token, key);
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = store_subject_get(v, token, &row, err);
  if (!code && row.state == SUBJECT_MOVED)
    code = dom_fail(err, DOM_ELSEWHERE, "subject/generation", "the subject's home is another region");
  if (!code && row.state == SUBJECT_ERASED)
    code = dom_fail(err, DOM_NOT_FOUND, "subject/generation", "the subject was erased");
  if (!code) code = subject_tokens_generation(v, token, &generation, err);
  if (!code) code = store_tx_begin(s->o.store, v, &tx, err);
  if (code) return code;
  assert(generation < UINT64_MAX);
  put_u64be(&value, generation + 1);
  code = buf_check(&value, err);
  if (!code) code = store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), buf_slice(&value), err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, NULL, err);
  if (!code) *out = generation + 1;
  return code;
}

enum dom_code subject_tokens_revoke(struct subjects *s, const uint8_t token[TOKEN_SIZE],
                                    uint64_t *out_generation, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  assert(s && out_generation);
  for (int i = 0; i < GENERATION_RETRIES_MAX && code == DOM_RETRY; i++) {
    if (err) *err = (struct dom_err){0};
    code = revoke_once(s, token, out_generation, err);
  }
  return code == DOM_RETRY ? dom_fail(err, DOM_BUSY, "subject/generation", "the row changes all the time")
                           : code;
}
