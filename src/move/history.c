/* History: what one region can tell another about handoffs between the two, page by page. A region that came
 * back from a backup asks all others, and learns who left it, who came, and which epochs are used up.
 *
 * Big-endian. Body: phase u8 | cursor bytes16. Answer: next phase u8 | next cursor bytes16 | facts. A fact:
 * kind u8 | token 32 | epoch u64 | country 2, and of a handoff: state u8 | epoch from u64 | charter version
 * u64 | manifest 32 | statement bytes16; of an erasure: home u16 | proof bytes16; of who is gone: home u16.
 * docs/formats/handoff.md. */
#include <assert.h>
#include <string.h>

#include "move/move_internal.h"

enum {
  PAGE_BYTES = 1 << 20, /* some five thousand handoffs: a peer answers it in well under a second */
  PAGE_ROWS = 50000,    /* looked at for one page, most of them about others */
  HISTORY_TIMEOUT_MS = 20000,
  PHASE_HANDOFFS = HISTORY_FIRST,
  PHASE_RECORDS,
  PHASE_SUBJECTS = HISTORY_SUBJECTS,
  PHASE_TOMBS
};

struct page {
  struct mover *m;
  struct store_view *v;
  uint16_t to; /* who asks */
  struct buf facts;
  struct buf cursor;
  uint32_t rows;
  bool full;
  enum dom_code code;
};

/* ---- facts on the wire ------------------------------------------------------------------- */

static bool is_handoff(enum fact_kind kind) {
  return kind == FACT_LEFT || kind == FACT_CAME;
}

static bool has_home(enum fact_kind kind) {
  return kind == FACT_ERASED || kind == FACT_GONE;
}

/* What a region that learns can go on with. Others say of their own people what they like, and these facts
 * are told on: so whoever tells leaves out what nobody would take, for one such ends a page. */
static bool fact_fits(const struct fact *f) {
  bool named = f->country[0] >= 'A' && f->country[0] <= 'Z' && f->country[1] >= 'A' && f->country[1] <= 'Z';
  bool moves = is_handoff(f->kind) || f->kind == FACT_RECORD;
  if (f->epoch == 0 || f->epoch >= SUBJECT_EPOCH_MAX) return false;
  if (moves && (!named || f->epoch == SUBJECT_EPOCH_MAX - 1)) return false; /* there is one above it */
  if (is_handoff(f->kind) && (f->epoch_from == 0 || f->epoch_from >= f->epoch)) return false;
  return f->kind != FACT_GONE || f->home > 0;
}

static void fact_put(struct buf *b, const struct fact *f) {
  assert(f->kind >= FACT_LEFT && f->kind <= FACT_GONE);
  if (!fact_fits(f)) return;
  put_u8(b, (uint8_t)f->kind);
  buf_append(b, f->token, TOKEN_SIZE);
  put_u64be(b, f->epoch);
  buf_append(b, f->country, 2);
  if (has_home(f->kind)) put_u16be(b, f->home);
  if (f->kind == FACT_ERASED) put_bytes16be(b, f->statement);
  if (!is_handoff(f->kind)) return;
  put_u8(b, (uint8_t)f->state);
  put_u64be(b, f->epoch_from);
  put_u64be(b, f->charter_version);
  buf_append(b, f->manifest, SHA256_SIZE);
  put_bytes16be(b, f->statement);
}

static bool fact_get(struct reader *r, struct fact *out) {
  struct fact f = {.kind = (enum fact_kind)get_u8(r)};
  get_copy(r, f.token, TOKEN_SIZE);
  f.epoch = get_u64be(r);
  get_copy(r, f.country, 2);
  if (has_home(f.kind)) f.home = get_u16be(r);
  if (f.kind == FACT_ERASED) f.statement = get_bytes16be(r);
  if (is_handoff(f.kind)) {
    f.state = (enum handoff_state)get_u8(r);
    f.epoch_from = get_u64be(r);
    f.charter_version = get_u64be(r);
    get_copy(r, f.manifest, SHA256_SIZE);
    f.statement = get_bytes16be(r);
  }
  bool good = !r->bad && f.kind >= FACT_LEFT && f.kind <= FACT_GONE && fact_fits(&f);
  if (good) *out = f;
  return good;
}

/* ---- what this region knows ----------------------------------------------------------------- */

/* False: the page ends before this row. */
static bool page_takes(struct page *p, struct slice key) {
  p->full = p->facts.len >= PAGE_BYTES || ++p->rows > PAGE_ROWS;
  if (p->full) return false;
  buf_reset(&p->cursor);
  buf_append_slice(&p->cursor, key);
  return true;
}

static bool put_handoff(void *arg, struct slice key, struct slice value) {
  struct page *p = arg;
  struct handoff h;
  BUF_AUTO statement = BUF_INIT;
  if (!page_takes(p, key)) return false;
  p->code = handoff_decode(key, value, &h, NULL);
  if (p->code) return false;
  if (h.peer != p->to) return true;
  struct fact f = {.kind = h.side == HANDOFF_TARGET ? FACT_LEFT : FACT_CAME,
                   .epoch = h.epoch,
                   .epoch_from = h.epoch_from,
                   .charter_version = h.charter_version,
                   .state = h.state};
  memcpy(f.token, h.token, TOKEN_SIZE);
  memcpy(f.country, h.country, 2);
  memcpy(f.manifest, h.manifest, SHA256_SIZE);
  struct vault_key kept = {.epoch = h.epoch_from};
  memcpy(kept.token, h.token, TOKEN_SIZE);
  if (h.side == HANDOFF_SOURCE && h.state == HANDOFF_COMMITTED &&
      vault_key_exists(store_vault(p->m->o.store), &kept, NULL) == DOM_NOT_FOUND)
    f.state = HANDOFF_ERASING; /* learned after a restore: there is no copy to be kept */
  struct subject_statement st;
  if (h.state == HANDOFF_ACTIVE && subject_arrival_kept(p->v, h.token, &statement, NULL) == DOM_OK &&
      subject_statement_peek(p->m->o.subjects, buf_slice(&statement), &st) && st.epoch == h.epoch)
    f.statement = buf_slice(&statement);
  fact_put(&p->facts, &f);
  return true;
}

static bool put_record(void *arg, const struct subject_record *record) {
  struct page *p = arg;
  if (!page_takes(p, slice_of(record->token, TOKEN_SIZE))) return false;
  /* Of who is erased everybody is told: also a former home must not be left with what its backup had. */
  if (record->home != p->to && !record->erased) return true;
  struct fact f = {
      .kind = record->erased ? FACT_ERASED : FACT_RECORD, .epoch = record->epoch, .home = record->home};
  memcpy(f.token, record->token, TOKEN_SIZE);
  memcpy(f.country, record->country, 2);
  fact_put(&p->facts, &f);
  return true;
}

static bool put_subject(void *arg, const struct store_subject *row) {
  struct page *p = arg;
  if (!page_takes(p, slice_of(row->token, TOKEN_SIZE))) return false;
  bool erased = row->state == SUBJECT_ERASED, gone = row->state == SUBJECT_MOVED;
  if (row->country[0] == 0 || (gone && row->home == 0)) return true;
  /* Who is between two homes is told of by the one that committed; the other does not serve yet. */
  struct fact f = {.kind = erased ? FACT_ERASED
                           : gone ? FACT_GONE
                                  : FACT_AT_HOME,
                   .epoch = erased ? row->epoch_allotted : row->epoch,
                   .home = gone ? row->home : p->m->o.region};
  memcpy(f.token, row->token, TOKEN_SIZE);
  memcpy(f.country, row->country, 2);
  fact_put(&p->facts, &f);
  return true;
}

static bool put_tomb(void *arg, struct slice key, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                     struct slice proof) {
  struct page *p = arg;
  if (!page_takes(p, key)) return false;
  struct fact f = {.kind = FACT_ERASED, .epoch = epoch, .home = p->to, .statement = proof};
  memcpy(f.token, token, TOKEN_SIZE);
  memcpy(f.country, proof.data, 2);
  fact_put(&p->facts, &f);
  return true;
}

static bool asker_is_registrar(struct mover *m, uint16_t asker) {
  struct charter *c = subject_charter(m->o.subjects);
  bool is = c && charter_registrar(c)->number == asker;
  charter_release(c);
  return is;
}

static enum dom_code scan(struct page *p, uint8_t phase, struct slice after, struct dom_err *err) {
  if (phase == PHASE_HANDOFFS)
    return store_row_scan(p->v, STORE_TABLE_HANDOFF, SLICE_LIT(""), after, put_handoff, p, err);
  if (phase == PHASE_RECORDS) return subject_record_scan(p->v, after, put_record, p, err);
  if (phase == PHASE_TOMBS) return tomb_scan(p->v, p->to, after, put_tomb, p, err);
  if (after.len && after.len != TOKEN_SIZE)
    return dom_fail(err, DOM_INVALID, "move/history", "no such cursor");
  if (!asker_is_registrar(p->m, p->to)) return DOM_OK;
  return store_subject_scan(p->v, after.len ? after.data : NULL, put_subject, p, err);
}

static enum dom_code answer(struct page *p, uint8_t phase, struct slice after, struct buf *reply,
                            struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(p->m->o.store, &v, err);
  p->v = v;
  if (!code) code = scan(p, phase, after, err);
  if (!code && p->code) code = dom_fail(err, p->code, "move/history", "a handoff row does not decode");
  if (code) return code;
  put_u8(reply, p->full ? phase : (uint8_t)(phase + 1));
  put_bytes16be(reply, p->full ? buf_slice(&p->cursor) : SLICE_LIT(""));
  buf_append_slice(reply, buf_slice(&p->facts));
  if (p->facts.failed || p->cursor.failed) reply->failed = true;
  return buf_check(reply, err);
}

enum dom_code history_message(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                              struct dom_err *err) {
  struct reader r = reader_of(body);
  uint8_t phase = get_u8(&r);
  struct slice after = get_bytes16be(&r);
  if (!reader_end(&r) || phase < HISTORY_FIRST || phase >= HISTORY_END)
    return dom_fail(err, DOM_INVALID, "move/history", "does not decode");
  struct page p = {.m = m, .to = from};
  enum dom_code code = answer(&p, phase, after, reply, err);
  buf_done(&p.facts);
  buf_done(&p.cursor);
  return code;
}

/* ---- asking ---------------------------------------------------------------------------------- */

enum dom_code history_ask(struct mover *m, uint16_t of, uint8_t *phase, struct buf *cursor, fact_fn fn,
                          void *arg, struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  assert(*phase >= HISTORY_FIRST && *phase < HISTORY_END);
  put_u8(&body, *phase);
  put_bytes16be(&body, buf_slice(cursor));
  enum dom_code code = buf_check(&body, err);
  if (!code) code = net_call(m->o.net, of, "move/history", buf_slice(&body), HISTORY_TIMEOUT_MS, &reply, err);
  if (code) return code;
  struct reader r = reader_of(buf_slice(&reply));
  uint8_t next = get_u8(&r);
  struct slice after = get_bytes16be(&r);
  bool on = next == *phase + 1 || (next == *phase && !slice_equal(after, buf_slice(cursor)));
  if (r.bad || !on) return dom_fail(err, DOM_INVALID, "move/history", "the answer does not decode");
  while (r.left > 0) {
    struct fact f;
    if (!fact_get(&r, &f)) return dom_fail(err, DOM_INVALID, "move/history", "a fact does not decode");
    code = fn(arg, &f, err);
    if (code) return code;
  }
  *phase = next;
  buf_reset(cursor);
  buf_append_slice(cursor, after);
  return buf_check(cursor, err);
}
