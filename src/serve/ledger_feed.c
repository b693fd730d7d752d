/* From the outbox into the ledger: in LSN order, all entries of one LSN in one batch, each exactly once. What
 * is taken up has its index and is durable; it is published at once after a quiet time, and together with
 * what follows it while much happens: a tree's files cost the same for one entry and for hundreds. */
#include <assert.h>

#include "serve/daemon.h"

enum {
  PUBLISH_EVERY_MS = 100, /* at most; how long a reader may have to wait for an entry */
  AWAIT_MS = 300,         /* for it, and for the disk; then they see what there is */
  AWAIT_STEP_MS = 5
};

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

/* Takes one batch from the outbox. *out_did: there was one. */
static enum dom_code take_up(struct region *r, bool *out_did, struct dom_err *err) {
  assert(r->store && r->ledger && out_did);
  AUTO_FREE struct ledger_item *items = dom_alloc(LEDGER_BATCH_MAX * sizeof *items);
  if (!items) return dom_fail(err, DOM_NO_MEMORY, "serve/ledger: feed", "no memory");
  struct batch b = {.item = items};
  struct store_stats before;
  store_stats(r->store, &before);
  enum dom_code code = store_outbox_scan(r->store, ledger_taken(r->ledger), collect, &b, err);
  if (!code && b.count) code = ledger_take_up(r->ledger, items, b.count, err);
  if (code) return code;
  /* The log keeps what no checkpoint signs. Most commits carry no entry: what was applied before a whole scan
   * is behind the ledger too, or segments without entries could never be used again. */
  uint64_t reached = ledger_cursor(r->ledger);
  bool all_shown = !b.full && ledger_taken(r->ledger) == reached;
  if (all_shown && before.applied_lsn > reached) reached = before.applied_lsn;
  store_ledger_reached(r->store, reached);
  *out_did = b.count > 0;
  return DOM_OK;
}

/* When what was published last was, and whether more was taken up since. */
struct feed {
  struct region *r;
  uint64_t published_ms;
  bool pending;
};

static uint64_t now_ms(const struct feed *f) {
  return clock_mono_ns(f->r->clock) / 1000000;
}

/* How long what is pending may still wait for company; 0 it is time. */
static uint32_t publish_in_ms(const struct feed *f) {
  uint64_t since = now_ms(f) - f->published_ms;
  return since < PUBLISH_EVERY_MS ? (uint32_t)(PUBLISH_EVERY_MS - since) : 0;
}

static enum dom_code publish(struct feed *f, struct dom_err *err) {
  enum dom_code code = ledger_publish(f->r->ledger, err);
  f->pending = false;
  f->published_ms = now_ms(f);
  return code;
}

/* One round: takes up, publishes when it is time, and waits when there was nothing. */
static enum dom_code feed_step(struct feed *f, struct dom_err *err) {
  bool did = false;
  enum dom_code code = take_up(f->r, &did, err);
  f->pending = f->pending || did;
  if (f->pending && publish_in_ms(f) == 0 && !ledger_failed(f->r->ledger)) {
    /* Also where no more can be taken up: others have been told the indices of what was. */
    enum dom_code shown = publish(f, code ? NULL : err);
    return code ? code : shown;
  }
  if (code || did) return code;
  store_outbox_wait(f->r->store, ledger_taken(f->r->ledger),
                    f->pending ? publish_in_ms(f) : DAEMON_OUTBOX_WAIT_MS);
  return DOM_OK;
}

static void complain(enum dom_code code, const struct dom_err *err) {
  log_event(LOG_ERROR, "serve", "", "ledger does not take entries",
            LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err->text}));
}

/* What the last commits left: receipts of a stopped region are complete. */
static void feed_end(struct feed *f) {
  struct dom_err err = {0};
  bool did = true;
  while (did && take_up(f->r, &did, NULL) == DOM_OK) {
  }
  enum dom_code code = publish(f, &err);
  if (code) complain(code, &err);
}

void ledger_feed_await(struct region *r, uint64_t lsn) {
  for (uint32_t waited = 0; waited < AWAIT_MS && !ledger_failed(r->ledger); waited += AWAIT_STEP_MS) {
    uint64_t shown = ledger_cursor(r->ledger);
    if (lsn ? shown >= lsn : !store_outbox_wait(r->store, shown, 0)) return;
    clock_sleep_ms(r->clock, AWAIT_STEP_MS);
  }
}

/* A ledger that failed takes nothing more until restart; the outbox keeps what is to come. */
void *ledger_feed_main(void *region) {
  struct feed f = {.r = region};
  while (!atomic_load(&f.r->ledger_stopping)) {
    struct dom_err err = {0};
    enum dom_code code = feed_step(&f, &err);
    if (!code) continue;
    complain(code, &err);
    if (ledger_failed(f.r->ledger)) return NULL;
    clock_sleep_ms(f.r->clock, DAEMON_OUTBOX_WAIT_MS);
  }
  feed_end(&f);
  return NULL;
}
