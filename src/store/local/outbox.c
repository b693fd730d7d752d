/* Ledger entries: the rows of what the log holds for the ledger. */
#include <assert.h>

#include "store/local/engine.h"

static const char where[] = "store/outbox";

/* Reads the record of one entry row and gives it to fn. *go_on is fn's answer. */
static enum dom_code entry_show(struct store *s, struct slice row_key, struct slice value, store_entry_fn fn,
                                void *arg, bool *go_on, struct dom_err *err) {
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO payload = BUF_INIT;
  RECORD_PLAIN_AUTO plain = {0};
  struct row_state row;
  struct change c = {0};
  if (row_key.len != 13 || !row_state_parse(value, &row, NULL))
    return dom_fail(err, DOM_CORRUPT, where, "bad row");
  buf_append_slice(&key, row_key);
  if (key.failed) return buf_check(&key, err);
  enum dom_code code = record_fetch(s, CHANGE_ENTRY, buf_slice(&key), 0, &row.at, &payload, &plain, &c, err);
  if (code != DOM_OK) return code;
  struct store_entry e = {
      .lsn = load_u64be(key.data + 1), .position = c.position, .entry = c.value, .payload = c.payload};
  assert(e.position == load_u32be(key.data + 9));
  memcpy(e.token, c.subject.token, TOKEN_SIZE);
  memcpy(e.opening, c.opening, sizeof e.opening);
  *go_on = fn(arg, &e);
  return DOM_OK;
}

enum dom_code store_outbox_scan(struct store *s, uint64_t after, store_entry_fn fn, void *arg,
                                struct dom_err *err) {
  assert(fn != NULL);
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO from = BUF_INIT;
  bool go_on = true;
  enum dom_code code = index_view_init(&v, s->index, true, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  row_entry_key(&from, after + 1, 0);
  if (from.failed) return buf_check(&from, err);
  for (index_seek(&it, buf_slice(&from)); it.valid && it.key.data[0] == ROW_ENTRY && go_on; index_next(&it)) {
    code = entry_show(s, it.key, it.value, fn, arg, &go_on, err);
    if (code != DOM_OK) return code;
  }
  return index_iter_check(&it, err);
}

enum dom_code store_entries_of(struct store_view *v, const uint8_t token[TOKEN_SIZE], store_entry_fn fn,
                               void *arg, struct dom_err *err) {
  assert(fn != NULL);
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  bool go_on = true;
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  row_token_key(&stem, ROW_ENTRY_OF, token);
  if (stem.failed) return buf_check(&stem, err);
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem)) && go_on;
       index_next(&it)) {
    if (it.key.len != stem.len + 12) return dom_fail(err, DOM_CORRUPT, where, "bad row");
    buf_reset(&key);
    row_entry_key(&key, ~load_u64be(it.key.data + stem.len), load_u32be(it.key.data + stem.len + 8));
    code = key.failed ? buf_check(&key, err) : index_get(&v->index, buf_slice(&key), &value, err);
    if (code == DOM_NOT_FOUND) code = dom_fail(err, DOM_CORRUPT, where, "entry row is missing");
    if (code == DOM_OK) code = entry_show(v->store, buf_slice(&key), buf_slice(&value), fn, arg, &go_on, err);
    if (code != DOM_OK) return code;
  }
  return index_iter_check(&it, err);
}

void store_ledger_reached(struct store *s, uint64_t lsn) {
  uint64_t known = s->ledger_lsn, applied = writer_applied(s->writer);
  if (lsn > applied) lsn = applied; /* a ledger ahead of its log: the caller's to notice (04) */
  while (known < lsn && !atomic_compare_exchange_weak(&s->ledger_lsn, &known, lsn)) continue;
}

bool store_outbox_wait(struct store *s, uint64_t after, uint32_t timeout_ms) {
  return writer_entry_wait(s->writer, after, timeout_ms);
}
