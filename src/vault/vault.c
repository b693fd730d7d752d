#include "vault/vault.h"

#include <assert.h>

#include "base/alloc.h"
#include "vault/vault_state.h"

/* ---- looking up ---- */

enum dom_code vault_slot_find(struct vault *v, const struct vault_key *key, uint32_t *out_number,
                              struct slot *out_slot, struct dom_err *err) {
  assert(v && key && out_number && out_slot);
  uint32_t hash = slot_index_hash(key), number = 0;
  for (size_t cursor = 0; slot_index_next(&v->index, hash, &cursor, &number);) {
    struct slot s;
    bool second = false;
    enum dom_code code = slot_files_read(&v->files, number, &s, &second, err);
    if (code != DOM_OK) return code;
    if (second) atomic_fetch_add(&v->counters.second_copy_reads, 1);
    if (!slot_is_key(&s, key)) continue;
    *out_number = number;
    *out_slot = s;
    return DOM_OK;
  }
  return dom_fail(err, DOM_NOT_FOUND, "vault: find", "this token and epoch has no key");
}

enum dom_code vault_slot_open(const struct vault *v, const struct slot *s, uint8_t out_data_key[KEY_SIZE],
                              struct dom_err *err) {
  const struct slot_kek *kek = kek_table_find(v, s->kek_id);
  enum dom_code code = kek ? slot_unwrap(s, kek, out_data_key) : DOM_CORRUPT;
  if (code == DOM_OK) return DOM_OK;
  char name[VAULT_KEK_NAME_SIZE];
  vault_kek_name(s->kek_id, name);
  return dom_fail(err, code, "vault: unwrap", "a slot wrapped by KEK %s does not open", name);
}

enum dom_code vault_key_exists(struct vault *v, const struct vault_key *key, struct dom_err *err) {
  assert(v && key);
  uint32_t number = 0;
  struct slot s;
  pthread_rwlock_rdlock(&v->lock);
  enum dom_code code = vault_slot_find(v, key, &number, &s, err);
  pthread_rwlock_unlock(&v->lock);
  return code;
}

enum { DERIVE_KIND_MAX = 32 }; /* kinds are short words chosen by the program */

enum dom_code vault_key_derive(struct vault *v, const struct vault_key *key, const char *kind,
                               const uint8_t id[VAULT_ID_SIZE], uint8_t out_key[KEY_SIZE],
                               struct dom_err *err) {
  assert(v && key && kind && id && out_key);
  struct slice word = slice_str(kind);
  assert(word.len > 0 && word.len <= DERIVE_KIND_MAX);
  uint8_t info[DERIVE_KIND_MAX + VAULT_ID_SIZE], data_key[KEY_SIZE];
  memcpy(info, word.data, word.len);
  memcpy(info + word.len, id, VAULT_ID_SIZE);
  uint32_t number = 0;
  struct slot s = {0};
  pthread_rwlock_rdlock(&v->lock);
  enum dom_code code = vault_slot_find(v, key, &number, &s, err);
  if (code == DOM_OK) code = vault_slot_open(v, &s, data_key, err);
  pthread_rwlock_unlock(&v->lock);
  if (code == DOM_OK) hkdf_sha256(data_key, slice_of(info, word.len + VAULT_ID_SIZE), out_key);
  wipe(data_key, sizeof data_key);
  if (code == DOM_OK) atomic_fetch_add(&v->counters.derives, 1);
  return code;
}

/* ---- changes, each a request in the queue ---- */

enum dom_code vault_key_create(struct vault *v, const struct vault_key *key, struct dom_err *err) {
  assert(v && key);
  struct request r = {.kind = REQUEST_CREATE, .keys = key, .key_count = 1};
  return queue_submit(v, &r, err);
}

enum dom_code vault_key_drop(struct vault *v, const struct vault_key *keys, size_t count, size_t *out_dropped,
                             struct dom_err *err) {
  assert(v && (keys || count == 0));
  struct request r = {.kind = REQUEST_DROP, .keys = keys, .key_count = count};
  enum dom_code code = queue_submit(v, &r, err);
  if (code == DOM_OK && out_dropped) *out_dropped = (size_t)r.result;
  return code;
}

enum dom_code vault_damage_forget(struct vault *v, uint32_t slot, struct dom_err *err) {
  assert(v);
  struct request r = {.kind = REQUEST_FORGET, .slots = slot};
  return queue_submit(v, &r, err);
}

/* ---- system keys ---- */

enum { SYSTEM_EPOCH = 1, INDEX_TOKEN_LAST = 1 };

struct vault_key vault_system_key(void) {
  return (struct vault_key){.epoch = SYSTEM_EPOCH};
}

struct vault_key vault_index_slot(uint32_t generation) {
  assert(generation > 0);
  struct vault_key key = {.epoch = generation};
  key.token[VAULT_TOKEN_SIZE - 1] = INDEX_TOKEN_LAST;
  return key;
}

enum dom_code vault_index_key(struct vault *v, uint32_t generation, uint8_t out_key[KEY_SIZE],
                              struct dom_err *err) {
  static const uint8_t zero_id[VAULT_ID_SIZE] = {0};
  struct vault_key key = vault_index_slot(generation);
  return vault_key_derive(v, &key, "index", zero_id, out_key, err);
}

static bool newest_index(void *arg, const struct vault_key *key) {
  uint32_t *newest = arg;
  struct vault_key index = vault_index_slot(1);
  if (memcmp(key->token, index.token, VAULT_TOKEN_SIZE) == 0 && key->epoch > *newest &&
      key->epoch <= UINT32_MAX) {
    *newest = (uint32_t)key->epoch;
  }
  return true;
}

enum dom_code vault_index_newest(struct vault *v, uint32_t *out_generation, struct dom_err *err) {
  assert(v && out_generation);
  uint32_t newest = 0;
  enum dom_code code = vault_key_each(v, newest_index, &newest, err);
  if (code != DOM_OK) return code;
  if (newest == 0) return dom_fail(err, DOM_NOT_FOUND, "vault: index key", "no index key has a slot");
  *out_generation = newest;
  return DOM_OK;
}

/* ---- walking ---- */

bool vault_slot_damaged(const struct vault *v, uint32_t slot) {
  assert(v->damaged_count <= v->damaged_cap);
  for (size_t i = 0; i < v->damaged_count; i++) {
    if (v->damaged[i] == slot) return true;
  }
  return false;
}

/* Reads up to SLOT_CHUNK slots from `from` under one lock; *out_count 0 at the end. */
static enum dom_code read_some(struct vault *v, uint32_t from, struct slot *out, uint32_t *out_count,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  uint32_t count = 0;
  pthread_rwlock_rdlock(&v->lock);
  for (; count < SLOT_CHUNK && from + count < v->files.slots && code == DOM_OK; count++) {
    bool second = false;
    if (vault_slot_damaged(v, from + count)) {
      out[count] = slot_free(v->files.region, 0);
      continue;
    }
    code = slot_files_read(&v->files, from + count, &out[count], &second, err);
  }
  pthread_rwlock_unlock(&v->lock);
  if (code == DOM_OK) *out_count = count;
  return code;
}

enum dom_code vault_key_each(struct vault *v, bool (*fn)(void *arg, const struct vault_key *key), void *arg,
                             struct dom_err *err) {
  assert(v && fn);
  AUTO_FREE struct slot *slots = dom_alloc(SLOT_CHUNK * sizeof *slots);
  if (!slots) return dom_fail(err, DOM_NO_MEMORY, "vault: each", "no memory");
  for (uint32_t from = 0, count = 0;; from += count) {
    enum dom_code code = read_some(v, from, slots, &count, err);
    if (code != DOM_OK || count == 0) return code;
    for (uint32_t i = 0; i < count; i++) {
      if (slots[i].state != SLOT_KEY) continue;
      struct vault_key key = {.epoch = slots[i].epoch};
      memcpy(key.token, slots[i].token, VAULT_TOKEN_SIZE);
      if (!fn(arg, &key)) return DOM_OK;
    }
  }
}

void vault_damage_each(struct vault *v, bool (*fn)(void *arg, uint32_t slot), void *arg) {
  assert(v && fn);
  pthread_rwlock_rdlock(&v->lock);
  for (size_t i = 0; i < v->damaged_count; i++) {
    if (!fn(arg, v->damaged[i])) break;
  }
  pthread_rwlock_unlock(&v->lock);
}

void vault_stats(struct vault *v, struct vault_stats *out) {
  assert(v && out);
  pthread_rwlock_rdlock(&v->lock);
  struct vault_stats s = {.slots_total = v->files.slots,
                          .slots_used = v->used,
                          .slots_free = v->files.slots - v->used - v->damaged_count,
                          .slots_damaged = v->damaged_count,
                          .slots_repaired = v->repaired,
                          .slots_old_kek = v->old_kek};
  pthread_rwlock_unlock(&v->lock);
  s.creates = atomic_load(&v->counters.creates);
  s.drops = atomic_load(&v->counters.drops);
  s.derives = atomic_load(&v->counters.derives);
  s.syncs = atomic_load(&v->counters.syncs);
  s.pins_cancelled = atomic_load(&v->counters.pins_cancelled);
  s.second_copy_reads = atomic_load(&v->counters.second_copy_reads);
  s.read_only = atomic_load(&v->read_only);
  *out = s;
}
