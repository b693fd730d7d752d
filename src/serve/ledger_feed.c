/* From the outbox into the ledger: in LSN order, all entries of one LSN in one batch, each exactly once. */
#include <assert.h>

#include "serve/daemon.h"

struct batch {
  struct ledger_item *item;
  size_t count;
  bool full; /* more is waiting */
};

/* Stops between two LSNs while a whole commit's entries still fit. */
static bool collect(void *arg, const struct store_entry *e) {
  struct batch *b = arg;
  assert(e->entry.len == LEDGER_ENTRY_SIZE);
  bool next_lsn = b->count > 0 && b->item[b->count - 1].cursor != e->lsn;
  if (next_lsn && b->count + STORE_TX_ENTRIES_MAX > LEDGER_BATCH_MAX) {
    b->full = true;
    return false;
  }
  struct ledger_item *item = &b->item[b->count++];
  item->cursor = e->lsn;
  memcpy(item->entry, e->entry.data, LEDGER_ENTRY_SIZE);
  return true;
}

enum dom_code ledger_feed_step(struct region *r, bool *out_did, struct dom_err *err) {
  assert(r->store && r->ledger && out_did);
  AUTO_FREE struct ledger_item *items = dom_alloc(LEDGER_BATCH_MAX * sizeof *items);
  if (!items) return dom_fail(err, DOM_NO_MEMORY, "serve/ledger: feed", "no memory");
  struct batch b = {.item = items};
  struct store_stats before;
  store_stats(r->store, &before);
  enum dom_code code = store_outbox_scan(r->store, ledger_cursor(r->ledger), collect, &b, err);
  if (!code && b.count) code = ledger_append(r->ledger, items, b.count, err);
  if (code) return code;
  /* Most commits carry no entry: what was applied before a whole scan is behind the ledger too, or segments
   * without entries could never be used again. */
  uint64_t reached = ledger_cursor(r->ledger);
  if (!b.full && before.applied_lsn > reached) reached = before.applied_lsn;
  store_ledger_reached(r->store, reached);
  *out_did = b.count > 0;
  return DOM_OK;
}

/* A ledger that failed takes nothing more until restart; the outbox keeps what is to come. */
void *ledger_feed_main(void *region) {
  struct region *r = region;
  while (!atomic_load(&r->ledger_stopping)) {
    struct dom_err err = {0};
    bool did = false;
    enum dom_code code = ledger_feed_step(r, &did, &err);
    if (code) {
      log_event(
          LOG_ERROR, "serve", "", "ledger does not take entries",
          LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
      if (ledger_failed(r->ledger)) return NULL;
      clock_sleep_ms(r->clock, DAEMON_OUTBOX_WAIT_MS);
    } else if (!did) {
      store_outbox_wait(r->store, ledger_cursor(r->ledger), DAEMON_OUTBOX_WAIT_MS);
    }
  }
  struct dom_err err = {0};
  bool did = true; /* what the last commits left: receipts of a stopped region are complete */
  while (did && ledger_feed_step(r, &did, &err) == DOM_OK) {
  }
  return NULL;
}
