#include <assert.h>

#include "vault/vault_state.h"

static struct vault_pin **pin_bucket(struct vault *v, const struct vault_key *key) {
  return &v->pins[slot_index_hash(key) % VAULT_PIN_BUCKETS];
}

/* Found and registered under one read lock, and a drop removes the key under the write lock
 * before it cancels: either the drop sees the pin or the pin sees no key. */
enum dom_code vault_key_pin(struct vault *v, const struct vault_key *key, struct vault_pin *pin,
                            struct dom_err *err) {
  assert(v && key && pin);
  uint32_t number = 0;
  struct slot s;
  pthread_rwlock_rdlock(&v->lock);
  enum dom_code code = vault_slot_find(v, key, &number, &s, err);
  if (code == DOM_OK) {
    pin->key = *key;
    atomic_init(&pin->dropped, false);
    pthread_mutex_lock(&v->pin_lock);
    struct vault_pin **bucket = pin_bucket(v, key);
    pin->next = *bucket;
    pin->at = bucket;
    if (pin->next) pin->next->at = &pin->next;
    *bucket = pin;
    pthread_mutex_unlock(&v->pin_lock);
  }
  pthread_rwlock_unlock(&v->lock);
  return code;
}

bool vault_key_dropped(const struct vault_pin *pin) {
  assert(pin);
  return atomic_load_explicit(&pin->dropped, memory_order_acquire);
}

void vault_key_unpin(struct vault *v, struct vault_pin *pin) {
  assert(v && pin);
  pthread_mutex_lock(&v->pin_lock);
  assert(pin->at); /* a neighbour that comes or goes changes it */
  *pin->at = pin->next;
  if (pin->next) pin->next->at = pin->at;
  pthread_mutex_unlock(&v->pin_lock);
  pin->at = NULL;
  pin->next = NULL;
}

void vault_pins_cancel(struct vault *v, const struct vault_key *key) {
  assert(v && key);
  uint64_t cancelled = 0;
  pthread_mutex_lock(&v->pin_lock);
  for (struct vault_pin *pin = *pin_bucket(v, key); pin; pin = pin->next) {
    if (pin->key.epoch != key->epoch || memcmp(pin->key.token, key->token, VAULT_TOKEN_SIZE) != 0) continue;
    atomic_store_explicit(&pin->dropped, true, memory_order_release);
    cancelled++;
  }
  pthread_mutex_unlock(&v->pin_lock);
  atomic_fetch_add(&v->counters.pins_cancelled, cancelled);
}
