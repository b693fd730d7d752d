/* What a repair of the log could not save, on its way from the store's notes into the ledger: an entry for
 * each subject that lost something, in one commit with the end of its note. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "move/move_internal.h"

static const char where[] = "move/repaired";

struct note {
  bool found;
  uint8_t key[STORE_REPAIR_KEY_SIZE];
  uint64_t objects, uploads;
};

static bool take_first(void *arg, struct slice key, struct slice value) {
  struct note *n = arg;
  if (key.len != sizeof n->key || value.len != STORE_REPAIR_VALUE_SIZE) return true; /* another's */
  n->found = true;
  memcpy(n->key, key.data, sizeof n->key);
  n->objects = load_u64le(value.data);
  n->uploads = load_u64le(value.data + 8);
  return false;
}

static enum dom_code tell_once(struct mover *m, struct note *n, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  STORE_TX_AUTO *tx = NULL;
  struct store_subject row = {.epoch = 0};
  struct ledger_payload payload = {.type = LEDGER_REPAIR, .to_region = m->o.region};
  const uint8_t letter[1] = {STORE_REPAIR_KEY};
  enum dom_code code = store_view_open(m->o.store, &v, err);
  *n = (struct note){.found = false};
  if (!code)
    code = store_row_scan(v, STORE_TABLE_META, slice_of(letter, 1), SLICE_LIT(""), take_first, n, err);
  if (code || !n->found) return code;
  const uint8_t *token = n->key + 1;
  code = store_subject_get(v, token, &row, NULL);
  if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "a subject's row cannot be read");
  memcpy(payload.token, token, TOKEN_SIZE);
  payload.to_epoch = row.epoch;
  payload.objects = n->objects;
  int len = snprintf(payload.text, sizeof payload.text,
                     "the disk damaged the log: %llu object versions and %llu uploads in progress are lost",
                     (unsigned long long)n->objects, (unsigned long long)n->uploads);
  assert(len > 0 && (size_t)len < sizeof payload.text);
  payload.text_len = (uint16_t)len;
  code = store_tx_begin(m->o.store, v, &tx, err);
  if (!code) code = store_tx_row_delete(tx, STORE_TABLE_META, slice_of(n->key, sizeof n->key), err);
  if (!code) code = subject_tx_entry(m->o.subjects, tx, &payload, row.epoch, NULL, 0, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

enum dom_code repaired_tell(struct mover *m, struct dom_err *err) {
  struct note n = {.found = true};
  enum dom_code code = DOM_OK;
  while (!code && n.found && !m->repaired_told) {
    code = DOM_RETRY;
    for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) code = tell_once(m, &n, err);
  }
  if (!code) m->repaired_told = true;
  return code;
}
