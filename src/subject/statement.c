/* A statement, big-endian: "DOMS" | version 1 u8 | deployment 16 | token 32 | from u16 | to u16 |
 * epoch from u64 | epoch u64 | manifest 32 | charter version u64 | country 2 | Ed25519 signature 64 over all
 * before it. docs/formats/statement.md. */
#include <assert.h>

#include "subject/subject_internal.h"

enum { STATEMENT_VERSION = 1, STATEMENT_SIGNED_SIZE = 4 + 1 + 16 + 32 + 2 + 2 + 8 + 8 + 32 + 8 + 2 };
static_assert(STATEMENT_SIGNED_SIZE + ED25519_SIG_SIZE <= SUBJECT_STATEMENT_MAX,
              "a statement fits its place");

void subject_statement_sign(const struct subjects *s, const struct subject_statement *st, struct buf *out) {
  assert(st->from == s->o.region && st->epoch > st->epoch_from);
  size_t start = out->len;
  buf_append_str(out, "DOMS");
  put_u8(out, STATEMENT_VERSION);
  buf_append(out, s->o.deployment, 16);
  buf_append(out, st->token, TOKEN_SIZE);
  put_u16be(out, st->from);
  put_u16be(out, st->to);
  put_u64be(out, st->epoch_from);
  put_u64be(out, st->epoch);
  buf_append(out, st->manifest, SHA256_SIZE);
  put_u64be(out, st->charter_version);
  buf_append(out, st->country, 2);
  if (out->failed) return;
  assert(out->len - start == STATEMENT_SIGNED_SIZE);
  uint8_t sig[ED25519_SIG_SIZE];
  ed25519_sign(s->o.region_seed, slice_of(out->data + start, STATEMENT_SIGNED_SIZE), sig);
  buf_append(out, sig, sizeof sig);
}

bool subject_statement_peek(const struct subjects *s, struct slice bytes, struct subject_statement *out) {
  struct reader r = reader_of(bytes);
  struct subject_statement st = {0};
  struct slice magic = get_slice(&r, 4);
  uint8_t version = get_u8(&r);
  struct slice deployment = get_slice(&r, 16);
  get_copy(&r, st.token, TOKEN_SIZE);
  st.from = get_u16be(&r);
  st.to = get_u16be(&r);
  st.epoch_from = get_u64be(&r);
  st.epoch = get_u64be(&r);
  get_copy(&r, st.manifest, SHA256_SIZE);
  st.charter_version = get_u64be(&r);
  get_copy(&r, st.country, 2);
  get_slice(&r, ED25519_SIG_SIZE);
  bool good = reader_end(&r) && slice_equal(magic, SLICE_LIT("DOMS")) && version == STATEMENT_VERSION &&
              slice_equal(deployment, slice_of(s->o.deployment, 16)) && st.epoch > st.epoch_from &&
              st.epoch < SUBJECT_EPOCH_MAX && st.from != 0 && st.to != 0 && st.from != st.to;
  if (good) *out = st;
  return good;
}

enum dom_code subject_statement_check(struct subjects *s, struct slice bytes, struct subject_statement *out,
                                      struct dom_err *err) {
  struct subject_statement st;
  if (!subject_statement_peek(s, bytes, &st))
    return dom_fail(err, DOM_DENIED, "subject/statement: check", "not a statement of this deployment");
  struct charter *c = subject_charter(s);
  const struct charter_region *from = c ? charter_region_by_number(c, st.from) : NULL;
  bool good = from && ed25519_verify(from->public_key, slice_cut(bytes, 0, STATEMENT_SIGNED_SIZE),
                                     bytes.data + STATEMENT_SIGNED_SIZE);
  charter_release(c);
  if (!good)
    return dom_fail(err, DOM_DENIED, "subject/statement: check",
                    "not signed by the region it names as source");
  *out = st;
  return DOM_OK;
}

static void statement_row_key(const uint8_t token[TOKEN_SIZE], uint8_t out[1 + TOKEN_SIZE]) {
  out[0] = 's';
  memcpy(out + 1, token, TOKEN_SIZE);
}

enum dom_code subject_leave(struct store_tx *tx, const struct store_subject *row, struct slice statement,
                            struct dom_err *err) {
  assert(row->state == SUBJECT_MOVED && statement.len <= SUBJECT_STATEMENT_MAX);
  uint8_t key[1 + TOKEN_SIZE];
  statement_row_key(row->token, key);
  enum dom_code code = store_tx_subject_put(tx, row, err);
  return code ? code : store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), statement, err);
}

enum dom_code subject_statement_kept(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct buf *out,
                                     struct dom_err *err) {
  uint8_t key[1 + TOKEN_SIZE];
  statement_row_key(token, key);
  return store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), out, err);
}

enum dom_code subject_arrive(struct subjects *s, struct store_view *v, struct store_tx *tx,
                             const struct subject_statement *st, struct dom_err *err) {
  assert(st->to == s->o.region);
  struct store_subject row = {.epoch_allotted = 0};
  enum dom_code code = store_subject_get(v, st->token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "subject/statement: arrive", "row cannot be read");
  if (code == DOM_OK && store_subject_lives(&row) && row.epoch == st->epoch) return DOM_EXISTS;
  if (code == DOM_OK && row.epoch >= st->epoch)
    return dom_fail(err, DOM_STALE_EPOCH, "subject/statement: arrive", "a later epoch is known here");
  uint64_t allotted = row.epoch_allotted > st->epoch ? row.epoch_allotted : st->epoch;
  assert(st->epoch > row.epoch); /* what a late request still knows can only be older */
  row = (struct store_subject){.state = SUBJECT_HOME,
                               .epoch = st->epoch,
                               .epoch_allotted = allotted,
                               .home = s->o.region,
                               .since_ms = clock_wall_ms(s->o.clock)};
  memcpy(row.token, st->token, TOKEN_SIZE);
  memcpy(row.country, st->country, 2);
  return store_tx_subject_put(tx, &row, err);
}

enum dom_code subject_report_moved(struct subjects *s, struct slice statement, struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  return registrar_ask(s, "registrar/moved", statement, &reply, err);
}
