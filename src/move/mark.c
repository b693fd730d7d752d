/* Marks: how far a region's log and ledger are, by its own signed word, kept by those it told.
 *
 * Big-endian: "DOMK" | version 1 u8 | deployment 16 | region u16 | life u64 | ledger size u64 | LSN u64 |
 * SHA-256 of the checkpoint 32 | Ed25519 signature 64 over all before it. Kept in META under 'm' ‖ region
 * u16; the region's own life under "life". docs/formats/handoff.md. */
#include <assert.h>
#include <string.h>

#include "move/move_internal.h"

enum { MARK_VERSION = 1, MARK_SIGNED_SIZE = MARK_SIZE - ED25519_SIG_SIZE };

/* The size stands in the checkpoint's second line: taken from the text, both are of one moment. */
static enum dom_code read_checkpoint(struct mover *m, struct mark *out, struct dom_err *err) {
  BUF_AUTO text = BUF_INIT;
  if (!m->o.ledger) return DOM_OK;
  ledger_checkpoint(m->o.ledger, &text);
  enum dom_code code = buf_check(&text, err);
  if (code) return code;
  struct slice rest = buf_slice(&text);
  size_t line = slice_find(rest, '\n');
  rest = slice_cut(rest, line < rest.len ? line + 1 : line, rest.len);
  if (slice_to_u64(slice_cut(rest, 0, slice_find(rest, '\n')), &out->ledger_size))
    return dom_fail(err, DOM_CORRUPT, "move/mark: own", "the checkpoint does not say its size");
  sha256(text.data, text.len, out->checkpoint);
  return DOM_OK;
}

enum dom_code mark_own(struct mover *m, struct mark *out, struct dom_err *err) {
  struct mark mark = {.life = m->quarantine.life};
  struct store_stats stats;
  enum dom_code code = read_checkpoint(m, &mark, err);
  if (code) return code;
  store_stats(m->o.store, &stats);
  mark.lsn = stats.applied_lsn;
  *out = mark;
  return DOM_OK;
}

void mark_encode(struct mover *m, const struct mark *mark, struct buf *out) {
  size_t start = out->len;
  buf_append_str(out, "DOMK");
  put_u8(out, MARK_VERSION);
  subject_deployment(m->o.subjects, out);
  put_u16be(out, m->o.region);
  put_u64be(out, mark->life);
  put_u64be(out, mark->ledger_size);
  put_u64be(out, mark->lsn);
  buf_append(out, mark->checkpoint, SHA256_SIZE);
  if (out->failed) return;
  assert(out->len - start == MARK_SIGNED_SIZE);
  uint8_t signature[ED25519_SIG_SIZE];
  subject_sign(m->o.subjects, slice_of(out->data + start, MARK_SIGNED_SIZE), signature);
  buf_append(out, signature, sizeof signature);
}

enum dom_code mark_decode(struct mover *m, uint16_t region, struct slice bytes, struct mark *out,
                          struct dom_err *err) {
  struct reader r = reader_of(bytes);
  struct mark mark = {0};
  BUF_AUTO deployment = BUF_INIT;
  subject_deployment(m->o.subjects, &deployment);
  struct slice magic = get_slice(&r, 4);
  uint8_t version = get_u8(&r);
  struct slice of = get_slice(&r, 16);
  uint16_t by = get_u16be(&r);
  mark.life = get_u64be(&r);
  mark.ledger_size = get_u64be(&r);
  mark.lsn = get_u64be(&r);
  get_copy(&r, mark.checkpoint, SHA256_SIZE);
  struct slice signature = get_slice(&r, ED25519_SIG_SIZE);
  bool good = reader_end(&r) && mark.life < MARK_LIFE_MAX;
  if (!good || !slice_equal(magic, SLICE_LIT("DOMK")) || version != MARK_VERSION)
    return dom_fail(err, DOM_INVALID, "move/mark", "does not decode");
  if (by != region || !slice_equal(of, buf_slice(&deployment)) ||
      !subject_signed_by(m->o.subjects, region, slice_cut(bytes, 0, MARK_SIGNED_SIZE), signature.data))
    return dom_fail(err, DOM_DENIED, "move/mark", "not signed by region %u", region);
  *out = mark;
  return DOM_OK;
}

bool mark_is_ahead(const struct mark *seen, const struct mark *mine) {
  if (seen->life != mine->life) return seen->life > mine->life;
  return seen->lsn > mine->lsn || seen->ledger_size > mine->ledger_size;
}

/* ---- keeping others' ---------------------------------------------------------------------- */

static void row_key(uint16_t region, uint8_t out[3]) {
  out[0] = 'm';
  out[1] = (uint8_t)(region >> 8);
  out[2] = (uint8_t)region;
}

static enum dom_code keep_once(struct mover *m, uint16_t from, struct slice body, const struct mark *mark,
                               struct buf *reply, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  struct mark had;
  uint8_t key[3];
  row_key(from, key);
  buf_reset(reply);
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), reply, NULL);
  bool known = code == DOM_OK && mark_decode(m, from, buf_slice(reply), &had, NULL) == DOM_OK;
  if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, "move/mark: keep", "cannot be read");
  if (!known) buf_reset(reply); /* of a key that the charter has no more: it says nothing now */
  if (known && !mark_is_ahead(mark, &had)) return DOM_OK;
  code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code) code = store_tx_row_put(tx, STORE_TABLE_META, slice_of(key, sizeof key), body, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, NULL, err);
  if (!code) atomic_fetch_add(&m->quarantine.marks_kept, 1);
  return code;
}

enum dom_code mark_message(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err) {
  struct mark mark;
  BUF_AUTO had = BUF_INIT;
  enum dom_code code = mark_decode(m, from, body, &mark, err);
  if (code) return code;
  code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++)
    code = keep_once(m, from, body, &mark, &had, err);
  /* What cannot be kept just now is answered all the same: that is what a start waits for. */
  bool kept = code == DOM_OK;
  if (code && code != DOM_NO_SPACE && code != DOM_READ_ONLY) return code;
  put_u8(reply, kept);
  buf_append_slice(reply, buf_slice(&had));
  return buf_check(reply, err);
}

enum dom_code mark_tell(struct mover *m, uint16_t to, uint32_t timeout_ms, struct mark *out_seen,
                        bool *out_kept, struct dom_err *err) {
  struct mark own, seen = {0};
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  enum dom_code code = mark_own(m, &own, err);
  if (code) return code;
  mark_encode(m, &own, &body);
  code = buf_check(&body, err);
  if (!code) code = net_call(m->o.net, to, "move/mark", buf_slice(&body), timeout_ms, &reply, err);
  if (code) return code;
  struct reader r = reader_of(buf_slice(&reply));
  uint8_t kept = get_u8(&r);
  if (r.bad || kept > 1) return dom_fail(err, DOM_INVALID, "move/mark", "the answer does not decode");
  /* Nobody can make us doubt ourselves but by our own word. */
  if (r.left) code = mark_decode(m, m->o.region, slice_of(r.at, r.left), &seen, err);
  if (code) return code;
  *out_seen = seen;
  *out_kept = kept;
  return DOM_OK;
}
