#include <assert.h>

#include "store/local/engine.h"

/* State of the region is sealed under the system's pseudo-subject. */
static struct change system_change(enum change_kind kind) {
  struct vault_key key = vault_system_key();
  struct change c = {.kind = kind, .epoch = key.epoch};
  assert(kind >= CHANGE_ROW);
  memcpy(c.token, key.token, TOKEN_SIZE);
  return c;
}

enum dom_code store_tx_row_put(struct store_tx *tx, enum store_table table, struct slice key,
                               struct slice value, struct dom_err *err) {
  assert(value.data != NULL || value.len == 0);
  struct change c = system_change(CHANGE_ROW);
  if (key.len > STORE_ROW_KEY_MAX || value.len > STORE_ROW_VALUE_MAX) {
    return dom_fail(err, DOM_TOO_LARGE, "store/tx: row", "key %zu, value %zu bytes", key.len, value.len);
  }
  c.table = table;
  c.key = key;
  c.value = value;
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_row_delete(struct store_tx *tx, enum store_table table, struct slice key,
                                  struct dom_err *err) {
  struct change c = system_change(CHANGE_ROW_DELETE);
  assert(key.len <= STORE_ROW_KEY_MAX);
  c.table = table;
  c.key = key;
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_subject_put(struct store_tx *tx, const struct store_subject *subject,
                                   struct dom_err *err) {
  struct store_subject old = {0};
  struct change c = system_change(CHANGE_SUBJECT);
  assert(subject->state >= SUBJECT_HOME && subject->state <= SUBJECT_ERASED);
  enum dom_code code = store_subject_get(tx->view, subject->token, &old, NULL);
  if (code != DOM_OK && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "store/tx: subject", "its row cannot be read");
  assert(subject->epoch_allotted >= old.epoch_allotted && subject->epoch >= old.epoch);
  if (subject->state == SUBJECT_HOME) {
    struct vault_key key = {.epoch = subject->epoch};
    memcpy(key.token, subject->token, TOKEN_SIZE);
    code = vault_key_exists(tx->store->vault, &key, err);
    if (code != DOM_OK) return dom_fail(err, code, "store/tx: subject", "no key for its epoch");
  }
  c.subject = *subject;
  return tx_add(tx, &c, (struct slice){0}, err);
}

enum dom_code store_tx_entry(struct store_tx *tx, const uint8_t *token, struct slice entry,
                             const uint8_t opening[16], struct slice payload, struct dom_err *err) {
  struct change c = system_change(CHANGE_ENTRY);
  assert(tx->entries < STORE_TX_ENTRIES_MAX);
  if (token) memcpy(c.subject.token, token, TOKEN_SIZE);
  memcpy(c.opening, opening, sizeof c.opening);
  c.position = tx->entries++;
  c.value = entry;
  c.payload = payload;
  return tx_add(tx, &c, (struct slice){0}, err);
}
