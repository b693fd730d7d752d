/* Creating, dropping and forgetting keys, as the leader. */
#include <assert.h>

#include "base/alloc.h"
#include "vault/vault_state.h"

enum dom_code vault_writable(struct vault *v, struct dom_err *err) {
  assert(v);
  if (!atomic_load(&v->read_only)) return DOM_OK;
  return dom_fail(err, DOM_READ_ONLY, "vault: change",
                  "a write to the vault failed; it takes no more changes");
}

static enum dom_code push(uint32_t **list, size_t *count, size_t *cap, uint32_t slot) {
  assert(*count <= *cap);
  if (*count == *cap) {
    size_t want = *cap ? *cap * 2 : SLOT_CHUNK;
    uint32_t *grown = dom_realloc(*list, want * sizeof *grown);
    if (!grown) return DOM_NO_MEMORY;
    *list = grown;
    *cap = want;
  }
  (*list)[(*count)++] = slot;
  return DOM_OK;
}

enum dom_code vault_free_push(struct vault *v, uint32_t slot) {
  return push(&v->free_slots, &v->free_count, &v->free_cap, slot);
}

enum dom_code vault_damaged_push(struct vault *v, uint32_t slot) {
  return push(&v->damaged, &v->damaged_count, &v->damaged_cap, slot);
}

/* The first file is durable before the second is touched: at any instant one of them holds
 * each slot whole. Readers wait only for the writes, not for the syncs. */
enum dom_code vault_changes_write(struct vault *v, size_t count, struct dom_err *err) {
  assert(count > 0 && count <= VAULT_CHANGES_MAX);
  enum dom_code code = DOM_OK;
  for (int copy = 0; copy < SLOT_COPIES && code == DOM_OK; copy++) {
    pthread_rwlock_wrlock(&v->lock);
    code = slot_files_write_copy(&v->files, copy, v->changes, count, err);
    pthread_rwlock_unlock(&v->lock);
    if (code == DOM_OK) code = disk_sync(v->files.file[copy], err);
    atomic_fetch_add(&v->counters.syncs, 1);
  }
  if (code != DOM_OK) atomic_store(&v->read_only, true);
  return code;
}

/* ---- create ---- */

static enum dom_code grow(struct vault *v, struct dom_err *err) {
  bool clean = true;
  enum dom_code code = slot_files_grow(&v->files, ++v->seq, &clean, err);
  if (code != DOM_OK) {
    if (!clean) atomic_store(&v->read_only, true);
    return code;
  }
  uint32_t from = v->files.slots;
  for (uint32_t i = 0; i < SLOT_CHUNK && code == DOM_OK; i++) {
    code = vault_free_push(v, from + SLOT_CHUNK - 1 - i); /* the lowest is taken first */
  }
  if (code != DOM_OK) {
    v->free_count = 0; /* it was empty: a later growth writes the same chunk again */
    return dom_fail(err, code, "vault: grow", "no memory");
  }
  pthread_rwlock_wrlock(&v->lock);
  v->files.slots += SLOT_CHUNK;
  pthread_rwlock_unlock(&v->lock);
  return DOM_OK;
}

static enum dom_code wrap_new_key(struct vault *v, const struct request *r, uint8_t image[SLOT_SIZE]) {
  const struct vault_key *key = r->keys;
  struct slot s = {.region = v->files.region, .seq = ++v->seq, .epoch = key->epoch};
  memcpy(s.token, key->token, VAULT_TOKEN_SIZE);
  uint8_t data_key[KEY_SIZE], nonce[GCM_NONCE_SIZE];
  if (r->data_keys)
    memcpy(data_key, r->data_keys[0], sizeof data_key);
  else
    random_bytes(data_key, sizeof data_key);
  random_bytes(nonce, sizeof nonce);
  const struct slot_kek *kek = kek_table_find(v, v->kek_current);
  assert(kek);
  enum dom_code code = slot_wrap(&s, kek, nonce, data_key);
  wipe(data_key, sizeof data_key);
  if (code == DOM_OK) slot_encode(&s, image);
  return code;
}

static bool key_equal(const struct vault_key *a, const struct vault_key *b) {
  return a->epoch == b->epoch && memcmp(a->token, b->token, VAULT_TOKEN_SIZE) == 0;
}

/* Prepares batch[i] as v->changes[*staged]; earlier ones of the batch count as there. */
static enum dom_code stage_create(struct vault *v, struct request *const *batch, size_t i, size_t *staged) {
  struct request *r = batch[i];
  uint32_t number = 0;
  struct slot found;
  struct dom_err absent = {0};
  enum dom_code code = vault_slot_find(v, r->keys, &number, &found, &absent);
  for (size_t k = 0; k < i && code == DOM_NOT_FOUND; k++) {
    if (batch[k]->code == DOM_OK && key_equal(batch[k]->keys, r->keys)) code = DOM_OK;
  }
  if (code == DOM_OK) return dom_fail(&r->err, DOM_EXISTS, "vault: create", "this token and epoch has a key");
  if (code != DOM_NOT_FOUND) {
    r->err = absent;
    return code;
  }
  code = vault_writable(v, &r->err);
  if (code == DOM_OK && v->free_count == 0) code = grow(v, &r->err);
  if (code != DOM_OK) return code;
  struct slot_change *change = &v->changes[*staged];
  code = wrap_new_key(v, r, change->image);
  if (code != DOM_OK) return dom_fail(&r->err, code, "vault: create", "no memory");
  change->slot = v->free_slots[--v->free_count];
  ++*staged;
  return DOM_OK;
}

void vault_run_creates(struct vault *v, struct request *const *batch, size_t count) {
  assert(count > 0 && count <= VAULT_CHANGES_MAX);
  struct dom_err err = {0};
  pthread_rwlock_wrlock(&v->lock);
  bool room = slot_index_reserve(&v->index, count); /* so that publishing cannot fail */
  pthread_rwlock_unlock(&v->lock);
  size_t staged = 0;
  for (size_t i = 0; i < count; i++) {
    struct request *r = batch[i];
    r->code = room ? stage_create(v, batch, i, &staged)
                   : dom_fail(&r->err, DOM_NO_MEMORY, "vault: create", "no memory");
  }
  if (staged == 0) return;
  enum dom_code code = vault_changes_write(v, staged, &err);
  pthread_rwlock_wrlock(&v->lock);
  for (size_t i = 0, at = 0; i < count; i++) {
    struct request *r = batch[i];
    if (r->code != DOM_OK) continue;
    r->code = code;
    r->err = err;
    if (code == DOM_OK) slot_index_add(&v->index, slot_index_hash(r->keys), v->changes[at++].slot);
  }
  if (code == DOM_OK) v->used += staged;
  pthread_rwlock_unlock(&v->lock);
  if (code == DOM_OK) atomic_fetch_add(&v->counters.creates, staged);
}

void vault_run_import(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_IMPORT && r->key_count <= VAULT_CHANGES_MAX);
  AUTO_FREE struct request *each = dom_calloc(VAULT_CHANGES_MAX, sizeof *each);
  struct request *batch[VAULT_CHANGES_MAX];
  if (!each) {
    r->code = dom_fail(&r->err, DOM_NO_MEMORY, "vault: import", "no memory");
    return;
  }
  for (size_t i = 0; i < r->key_count; i++) {
    each[i] = (struct request){.kind = REQUEST_CREATE, .keys = &r->keys[i], .data_keys = &r->data_keys[i]};
    batch[i] = &each[i];
  }
  if (r->key_count > 0) vault_run_creates(v, batch, r->key_count);
  r->code = DOM_OK;
  for (size_t i = 0; i < r->key_count && r->code == DOM_OK; i++) {
    r->code = each[i].code;
    r->err = each[i].err;
  }
}

/* ---- drop ---- */

/* Forgets one key and prepares its overwriting as v->changes[*staged]. */
static enum dom_code stage_drop(struct vault *v, const struct vault_key *key, size_t *staged,
                                struct dom_err *err) {
  uint32_t number = 0;
  struct slot found;
  struct dom_err absent = {0};
  enum dom_code code = vault_slot_find(v, key, &number, &found, &absent);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) {
    if (err->code == DOM_OK) *err = absent;
    return code;
  }
  pthread_rwlock_wrlock(&v->lock);
  bool removed = slot_index_remove(&v->index, slot_index_hash(key), number);
  if (removed) {
    v->used--;
    if (found.kek_id != v->kek_current) v->old_kek--;
  }
  pthread_rwlock_unlock(&v->lock);
  assert(removed);
  vault_pins_cancel(v, key); /* after the removal: no pin can be made any more */
  struct slot s = slot_free(v->files.region, ++v->seq);
  v->changes[*staged].slot = number;
  slot_encode(&s, v->changes[*staged].image);
  ++*staged;
  return DOM_OK;
}

static enum dom_code drop_some(struct vault *v, const struct vault_key *keys, size_t count, uint64_t *dropped,
                               struct dom_err *err) {
  assert(count <= VAULT_CHANGES_MAX);
  size_t staged = 0;
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < count && code == DOM_OK; i++) code = stage_drop(v, &keys[i], &staged, err);
  if (staged == 0) return code;
  struct dom_err failed = {0};
  enum dom_code written = vault_changes_write(v, staged, &failed);
  if (written != DOM_OK) {
    if (code == DOM_OK) *err = failed;
    return code == DOM_OK ? written : code;
  }
  for (size_t i = 0; i < staged; i++) {
    if (vault_free_push(v, v->changes[i].slot) != DOM_OK) break; /* unused until the next open */
  }
  *dropped += staged;
  atomic_fetch_add(&v->counters.drops, staged);
  return code;
}

void vault_run_drop(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_DROP);
  r->code = vault_writable(v, &r->err);
  for (size_t at = 0; at < r->key_count && r->code == DOM_OK; at += VAULT_CHANGES_MAX) {
    size_t some = r->key_count - at < VAULT_CHANGES_MAX ? r->key_count - at : VAULT_CHANGES_MAX;
    r->code = drop_some(v, r->keys + at, some, &r->result, &r->err);
  }
}

void vault_run_forget(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_FORGET);
  size_t at = 0;
  while (at < v->damaged_count && v->damaged[at] != r->slots) at++;
  if (at == v->damaged_count) {
    r->code = dom_fail(&r->err, DOM_NOT_FOUND, "vault: forget", "slot %u is not damaged", r->slots);
    return;
  }
  r->code = vault_writable(v, &r->err);
  if (r->code != DOM_OK) return;
  struct slot s = slot_free(v->files.region, ++v->seq);
  v->changes[0].slot = r->slots;
  slot_encode(&s, v->changes[0].image);
  r->code = vault_changes_write(v, 1, &r->err);
  if (r->code != DOM_OK) return;
  pthread_rwlock_wrlock(&v->lock);
  v->damaged[at] = v->damaged[--v->damaged_count];
  pthread_rwlock_unlock(&v->lock);
  (void)vault_free_push(v, r->slots); /* without memory: unused until the next open */
}
