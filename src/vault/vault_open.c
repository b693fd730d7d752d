/* Opening and closing the vault. */
#include <assert.h>

#include "base/alloc.h"
#include "vault/vault_state.h"

static enum dom_code refuse_kek(const struct vault *v, uint64_t id, struct dom_err *err) {
  char needed[VAULT_KEK_NAME_SIZE], held[VAULT_KEK_NAME_SIZE];
  vault_kek_name(id, needed);
  vault_kek_name(v->kek_current, held);
  return dom_fail(err, DOM_INCOMPATIBLE, "vault: open",
                  "a slot is wrapped by KEK %s, which the provider does not hold (its current one is %s)",
                  needed, held);
}

/* Takes one recovered slot into the index, the free list or the list of damage. */
static enum dom_code take_slot(void *arg, uint32_t number, const struct slot *good, struct dom_err *err) {
  struct vault *v = arg;
  enum dom_code code = DOM_OK;
  if (!good || good->state == SLOT_FREE) {
    code = good ? vault_free_push(v, number) : vault_damaged_push(v, number);
    if (good && good->seq > v->seq) v->seq = good->seq;
    return code == DOM_OK ? DOM_OK : dom_fail(err, code, "vault: open", "no memory");
  }
  if (!kek_table_find(v, good->kek_id)) return refuse_kek(v, good->kek_id, err);
  if (!slot_index_reserve(&v->index, 1)) return dom_fail(err, DOM_NO_MEMORY, "vault: open", "no memory");
  struct vault_key key = {.epoch = good->epoch};
  memcpy(key.token, good->token, VAULT_TOKEN_SIZE);
  slot_index_add(&v->index, slot_index_hash(&key), number);
  v->used++;
  if (good->kek_id != v->kek_current) v->old_kek++;
  if (good->seq > v->seq) v->seq = good->seq;
  return DOM_OK;
}

/* A key in two slots would survive its shred in one of them. Only slots whose hashes agree
 * are read again, which is one in 2^32 pairs. */
static enum dom_code check_single(struct vault *v, uint32_t number, const struct slot *s,
                                  struct dom_err *err) {
  struct vault_key key = {.epoch = s->epoch};
  memcpy(key.token, s->token, VAULT_TOKEN_SIZE);
  uint32_t other = 0;
  for (size_t cursor = 0; slot_index_next(&v->index, slot_index_hash(&key), &cursor, &other);) {
    struct slot t;
    bool second = false;
    if (other == number) continue;
    enum dom_code code = slot_files_read(&v->files, other, &t, &second, err);
    if (code != DOM_OK) return code;
    if (slot_is_key(&t, &key)) {
      return dom_fail(err, DOM_CORRUPT, "vault: open", "slots %u and %u hold the same token and epoch",
                      number, other);
    }
  }
  return DOM_OK;
}

static enum dom_code take_checked_slot(void *arg, uint32_t number, const struct slot *good,
                                       struct dom_err *err) {
  enum dom_code code = take_slot(arg, number, good, err);
  if (code != DOM_OK || !good || good->state != SLOT_KEY) return code;
  return check_single(arg, number, good, err);
}

static enum dom_code alloc_state(struct vault *v, struct dom_err *err) {
  v->keks = secret_alloc(VAULT_KEKS_MAX * sizeof *v->keks);
  v->changes = dom_alloc(VAULT_CHANGES_MAX * sizeof *v->changes);
  if (v->keks && v->changes) return DOM_OK;
  return dom_fail(err, DOM_NO_MEMORY, "vault: open", "no memory");
}

static enum dom_code fill(struct vault *v, const struct vault_options *o, struct dom_err *err) {
  enum dom_code code = alloc_state(v, err);
  if (code == DOM_OK) code = kek_table_load(v, err);
  if (code == DOM_OK) code = slot_files_open(o->disk, o->folder, o->region, o->create, &v->files, err);
  if (code == DOM_OK) code = slot_files_recover(&v->files, take_checked_slot, v, &v->repaired, err);
  for (size_t i = 0, j = v->free_count; i + 1 < j; i++) { /* the lowest slot is taken first */
    uint32_t low = v->free_slots[i];
    v->free_slots[i] = v->free_slots[--j];
    v->free_slots[j] = low;
  }
  return code;
}

enum dom_code vault_open(const struct vault_options *options, struct vault **out, struct dom_err *err) {
  assert(options && options->disk && options->folder && options->kek && out);
  struct vault *v = dom_calloc(1, sizeof *v);
  if (!v) return dom_fail(err, DOM_NO_MEMORY, "vault: open", "no memory");
  v->provider = options->kek;
  queue_init(&v->queue);
  int rc = pthread_rwlock_init(&v->lock, NULL) + pthread_mutex_init(&v->pin_lock, NULL) +
           pthread_mutex_init(&v->provider_lock, NULL);
  assert(rc == 0);
  (void)rc;
  enum dom_code code = fill(v, options, err);
  if (code != DOM_OK) {
    vault_close(v);
    return code;
  }
  *out = v;
  return DOM_OK;
}

void vault_close(struct vault *v) {
  if (!v) return;
  for (size_t i = 0; i < VAULT_PIN_BUCKETS; i++) assert(!v->pins[i]);
  queue_done(&v->queue);
  slot_files_close(&v->files);
  slot_index_done(&v->index);
  if (v->keks) secret_free(v->keks, VAULT_KEKS_MAX * sizeof *v->keks);
  dom_free(v->free_slots);
  dom_free(v->damaged);
  dom_free(v->changes);
  pthread_rwlock_destroy(&v->lock);
  pthread_mutex_destroy(&v->pin_lock);
  pthread_mutex_destroy(&v->provider_lock);
  dom_free(v);
}
