/* The KEKs in memory: what the provider holds, by id. */
#include <assert.h>

#include "vault/vault_state.h"

const struct slot_kek *kek_table_find(const struct vault *v, uint64_t id) {
  assert(v->kek_count <= VAULT_KEKS_MAX);
  for (size_t i = 0; i < v->kek_count; i++) {
    if (v->keks[i].id == id) return &v->keks[i];
  }
  return NULL;
}

enum dom_code kek_table_add(struct vault *v, uint64_t id, struct dom_err *err) {
  assert(id != 0);
  if (v->kek_count == VAULT_KEKS_MAX) {
    return dom_fail(err, DOM_TOO_LARGE, "vault/kek: load", "the provider holds more than %d KEKs",
                    VAULT_KEKS_MAX);
  }
  uint8_t key[KEY_SIZE];
  pthread_mutex_lock(&v->provider_lock);
  enum dom_code code = v->provider->ops->read(v->provider, id, key, err);
  pthread_mutex_unlock(&v->provider_lock);
  if (code == DOM_OK) {
    pthread_rwlock_wrlock(&v->lock);
    slot_kek_init(&v->keks[v->kek_count], key);
    assert(v->keks[v->kek_count].id == id);
    v->kek_count++;
    pthread_rwlock_unlock(&v->lock);
  }
  wipe(key, sizeof key);
  return code;
}

void kek_table_forget_old(struct vault *v) {
  const struct slot_kek *current = kek_table_find(v, v->kek_current);
  assert(current);
  pthread_rwlock_wrlock(&v->lock);
  struct slot_kek keep = *current;
  wipe(v->keks, VAULT_KEKS_MAX * sizeof *v->keks);
  v->keks[0] = keep;
  v->kek_count = 1;
  pthread_rwlock_unlock(&v->lock);
  wipe(&keep, sizeof keep);
}

struct ids {
  uint64_t id[VAULT_KEKS_MAX];
  size_t count;
};

static bool collect_id(void *arg, uint64_t id) {
  struct ids *ids = arg;
  if (ids->count < VAULT_KEKS_MAX) ids->id[ids->count++] = id;
  return ids->count < VAULT_KEKS_MAX;
}

/* A key other than the current one may be unreadable: its destruction was interrupted. If a
 * slot still needs it, open says so by name. */
enum dom_code kek_table_load(struct vault *v, struct dom_err *err) {
  assert(v->kek_count == 0);
  uint64_t current = 0;
  struct ids ids = {0};
  enum dom_code code = v->provider->ops->current(v->provider, &current, err);
  if (code == DOM_OK) code = kek_table_add(v, current, err);
  if (code == DOM_OK) v->kek_current = current;
  if (code == DOM_OK) code = v->provider->ops->list(v->provider, collect_id, &ids, err);
  for (size_t i = 0; i < ids.count && code == DOM_OK; i++) {
    if (ids.id[i] == current) continue;
    struct dom_err unreadable = {0};
    code = kek_table_add(v, ids.id[i], &unreadable);
    if (code == DOM_CORRUPT || code == DOM_INVALID) code = DOM_OK;
    if (code != DOM_OK && err && err->code == DOM_OK) *err = unreadable;
  }
  return code;
}
