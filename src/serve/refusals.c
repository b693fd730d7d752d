/* Refusals are counted by clause and recorded in the ledger, one entry a clause and period: what the charter
 * refused is evidence, who was refused is not. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

void refusal_note(struct region *r, const struct charter_refusal *refusal) {
  struct serve_refusals *t = &r->refusals;
  assert(refusal != NULL);
  pthread_mutex_lock(&t->lock);
  uint32_t i = 0;
  while (i < t->count &&
         (t->row[i].version != refusal->version || strcmp(t->row[i].clause, refusal->clause) != 0))
    i++;
  if (i == t->count && t->count < SERVE_REFUSAL_CLAUSES) {
    t->row[t->count++] = (struct serve_refusal){.version = refusal->version};
    snprintf(t->row[i].clause, sizeof t->row[i].clause, "%s", refusal->clause);
  }
  if (i < SERVE_REFUSAL_CLAUSES)
    t->row[i].requests++;
  else
    t->others++;
  pthread_mutex_unlock(&t->lock);
}

static enum dom_code record_one(struct region *r, const struct serve_refusal *row, struct dom_err *err) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    struct ledger_payload payload = {.type = LEDGER_REFUSAL_SUMMARY,
                                     .from_region = r->number,
                                     .charter = row->version,
                                     .objects = row->requests,
                                     .until_ms = clock_wall_ms(r->clock)};
    payload.text_len = (uint16_t)snprintf(payload.text, sizeof payload.text, "%s", row->clause);
    enum dom_code code = store_view_open(r->store, &v, err);
    if (!code) code = store_tx_begin(r->store, v, &tx, err);
    if (!code) code = subject_tx_entry(r->subjects, tx, &payload, 0, NULL, 0, err);
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
    if (code != DOM_RETRY) return code;
  }
  return DOM_RETRY;
}

enum dom_code refusals_record(struct region *r, struct dom_err *err) {
  struct serve_refusals taken;
  pthread_mutex_lock(&r->refusals.lock);
  memcpy(taken.row, r->refusals.row, sizeof taken.row);
  taken.count = r->refusals.count;
  taken.others = r->refusals.others;
  r->refusals.count = 0;
  r->refusals.others = 0;
  pthread_mutex_unlock(&r->refusals.lock);
  enum dom_code code = DOM_OK;
  for (uint32_t i = 0; !code && i < taken.count; i++) code = record_one(r, &taken.row[i], err);
  struct serve_refusal rest = {.requests = taken.others, .clause = "other clauses"};
  return code || taken.others == 0 ? code : record_one(r, &rest, err);
}
