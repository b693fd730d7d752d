/* Rotation of the KEK: begin, re-wrap, finish. */
#include <assert.h>

#include "vault/vault_state.h"

struct others {
  uint64_t current;
  uint64_t id[VAULT_KEKS_MAX];
  size_t count;
};

static bool collect_other(void *arg, uint64_t id) {
  struct others *o = arg;
  if (id != o->current) o->id[o->count++] = id;
  return o->count < VAULT_KEKS_MAX;
}

/* The KEKs the provider holds beside the current one. */
static enum dom_code list_others(struct vault *v, struct others *out, struct dom_err *err) {
  *out = (struct others){.current = vault_kek_current(v)};
  pthread_mutex_lock(&v->provider_lock);
  enum dom_code code = v->provider->ops->list(v->provider, collect_other, out, err);
  pthread_mutex_unlock(&v->provider_lock);
  return code;
}

enum dom_code vault_rotate_pending(struct vault *v, bool *out, struct dom_err *err) {
  assert(v && out);
  struct others others;
  enum dom_code code = list_others(v, &others, err);
  if (code != DOM_OK) return code;
  pthread_rwlock_rdlock(&v->lock);
  *out = others.count > 0 || v->old_kek > 0;
  pthread_rwlock_unlock(&v->lock);
  return DOM_OK;
}

uint64_t vault_kek_current(struct vault *v) {
  assert(v);
  pthread_rwlock_rdlock(&v->lock);
  uint64_t id = v->kek_current;
  pthread_rwlock_unlock(&v->lock);
  return id;
}

bool vault_kek_gone(struct vault *v, uint64_t id) {
  assert(v && id != 0);
  struct others others;
  if (list_others(v, &others, NULL) != DOM_OK) return false;
  bool held = others.current == id;
  for (size_t i = 0; i < others.count; i++) held = held || others.id[i] == id;
  return !held;
}

/* Makes `id`, which the provider names as current, the one that new slots take. No slot can be
 * wrapped by it yet. */
static enum dom_code switch_kek(struct vault *v, uint64_t id, struct dom_err *err) {
  assert(id != v->kek_current);
  enum dom_code code = kek_table_find(v, id) ? DOM_OK : kek_table_add(v, id, err);
  if (code != DOM_OK) return code;
  pthread_rwlock_wrlock(&v->lock);
  v->kek_current = id;
  v->old_kek = v->used;
  pthread_rwlock_unlock(&v->lock);
  return DOM_OK;
}

/* The provider's current KEK; while none is pending, a fresh one. */
static enum dom_code current_or_fresh(struct vault *v, bool pending, uint64_t *out_id, struct dom_err *err) {
  const struct vault_kek_ops *ops = v->provider->ops;
  pthread_mutex_lock(&v->provider_lock);
  enum dom_code code =
      pending ? ops->current(v->provider, out_id, err) : ops->create(v->provider, out_id, err);
  pthread_mutex_unlock(&v->provider_lock);
  return code;
}

void vault_run_rotate_begin(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_ROTATE_BEGIN);
  bool pending = false;
  uint64_t id = 0;
  r->code = vault_writable(v, &r->err);
  if (r->code == DOM_OK) r->code = vault_rotate_pending(v, &pending, &r->err);
  if (r->code == DOM_OK) r->code = current_or_fresh(v, pending, &id, &r->err);
  /* A begin that made a KEK and then ran out of memory left the provider ahead of us. */
  if (r->code == DOM_OK && id != v->kek_current) r->code = switch_kek(v, id, &r->err);
  if (r->code != DOM_OK) return;
  v->rotate_next = 0;
  r->result = pending;
}

/* The same data key under the current KEK; the slot's binding is checked on the way. */
static enum dom_code rewrap_slot(struct vault *v, struct slot *s, struct dom_err *err) {
  uint8_t data_key[KEY_SIZE], nonce[GCM_NONCE_SIZE];
  enum dom_code code = vault_slot_open(v, s, data_key, err);
  if (code == DOM_OK) {
    random_bytes(nonce, sizeof nonce);
    code = slot_wrap(s, kek_table_find(v, v->kek_current), nonce, data_key);
    s->seq = ++v->seq;
  }
  wipe(data_key, sizeof data_key);
  return code;
}

/* Collects the next slots that need re-wrapping into v->changes; *out_next is where to go on. */
static enum dom_code stage_rewrap(struct vault *v, uint32_t slots_max, uint32_t *out_next, size_t *out_staged,
                                  struct dom_err *err) {
  uint32_t at = v->rotate_next;
  size_t staged = 0;
  for (; at < v->files.slots && staged < slots_max && staged < VAULT_CHANGES_MAX; at++) {
    struct slot s;
    bool second = false;
    if (vault_slot_damaged(v, at)) continue;
    enum dom_code code = slot_files_read(&v->files, at, &s, &second, err);
    if (code != DOM_OK) return code;
    if (s.state != SLOT_KEY || s.kek_id == v->kek_current) continue;
    code = rewrap_slot(v, &s, err);
    if (code != DOM_OK) return code;
    v->changes[staged].slot = at;
    slot_encode(&s, v->changes[staged].image);
    staged++;
  }
  *out_next = at;
  *out_staged = staged;
  return DOM_OK;
}

/* Both copies of each re-wrapped slot, read from the files, open under the current KEK. */
static enum dom_code read_back(struct vault *v, size_t staged, struct dom_err *err) {
  for (size_t i = 0; i < staged * SLOT_COPIES; i++) {
    uint32_t number = v->changes[i / SLOT_COPIES].slot;
    struct slot s;
    uint8_t data_key[KEY_SIZE];
    enum dom_code code = slot_files_read_copy(&v->files, (int)(i % SLOT_COPIES), number, &s, err);
    if (code == DOM_OK && (s.state != SLOT_KEY || s.kek_id != v->kek_current)) code = DOM_CORRUPT;
    if (code == DOM_OK) code = vault_slot_open(v, &s, data_key, err);
    wipe(data_key, sizeof data_key);
    if (code != DOM_OK) {
      return dom_fail(err, code, "vault: rotate", "slot %u does not read back after re-wrapping", number);
    }
  }
  return DOM_OK;
}

void vault_run_rewrap(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_REWRAP && r->slots > 0);
  uint32_t next = 0;
  size_t staged = 0;
  r->code = vault_writable(v, &r->err);
  if (r->code == DOM_OK) r->code = stage_rewrap(v, r->slots, &next, &staged, &r->err);
  if (r->code == DOM_OK && staged > 0) {
    r->code = vault_changes_write(v, staged, &r->err);
    if (r->code == DOM_OK) r->code = read_back(v, staged, &r->err);
  }
  if (r->code != DOM_OK) return;
  pthread_rwlock_wrlock(&v->lock);
  assert(v->old_kek >= staged);
  v->old_kek -= staged;
  v->rotate_next = next;
  pthread_rwlock_unlock(&v->lock);
  r->result = next;
  r->finished = next == v->files.slots;
}

void vault_run_rotate_finish(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_ROTATE_FINISH);
  r->code = vault_writable(v, &r->err);
  if (r->code != DOM_OK) return;
  if (v->damaged_count > 0) {
    r->code = dom_fail(&r->err, DOM_CORRUPT, "vault: rotate",
                       "%zu slots are bad in both files; restore or forget them before a KEK is destroyed",
                       v->damaged_count);
    return;
  }
  if (v->old_kek > 0) {
    r->code = dom_fail(&r->err, DOM_BUSY, "vault: rotate", "%llu slots are still wrapped by an old KEK",
                       (unsigned long long)v->old_kek);
    return;
  }
  /* The backup opens what the old KEK does: it goes before the KEK, so that a KEK that is gone means both. */
  if (v->backup) r->code = vault_backup_run(v, v->backup, &r->result, &r->err);
  struct others others = {0};
  if (r->code == DOM_OK) r->code = list_others(v, &others, &r->err);
  for (size_t i = 0; i < others.count && r->code == DOM_OK; i++) {
    pthread_mutex_lock(&v->provider_lock);
    r->code = v->provider->ops->destroy(v->provider, others.id[i], &r->err);
    pthread_mutex_unlock(&v->provider_lock);
  }
  if (r->code == DOM_OK) kek_table_forget_old(v);
}

enum dom_code vault_rotate_begin(struct vault *v, bool *out_resumed, struct dom_err *err) {
  assert(v && out_resumed);
  struct request r = {.kind = REQUEST_ROTATE_BEGIN};
  enum dom_code code = queue_submit(v, &r, err);
  if (code == DOM_OK) *out_resumed = r.result != 0;
  return code;
}

enum dom_code vault_rotate_step(struct vault *v, uint32_t slots_max, struct vault_rotation *out_progress,
                                bool *out_finished, struct dom_err *err) {
  assert(v && slots_max > 0 && out_finished);
  struct request r = {.kind = REQUEST_REWRAP, .slots = slots_max};
  enum dom_code code = queue_submit(v, &r, err);
  if (code != DOM_OK) return code;
  *out_finished = r.finished;
  if (out_progress) {
    struct vault_stats stats;
    vault_stats(v, &stats);
    *out_progress = (struct vault_rotation){.slots_done = r.result, .slots_total = stats.slots_total};
  }
  return DOM_OK;
}

enum dom_code vault_rotate_finish(struct vault *v, struct dom_err *err) {
  assert(v);
  struct request r = {.kind = REQUEST_ROTATE_FINISH};
  return queue_submit(v, &r, err);
}

static enum dom_code rotate_once(struct vault *v,
                                 bool (*progress)(void *arg, const struct vault_rotation *at), void *arg,
                                 bool *out_resumed, struct dom_err *err) {
  bool finished = false;
  enum dom_code code = vault_rotate_begin(v, out_resumed, err);
  while (code == DOM_OK && !finished) {
    struct vault_rotation at = {0};
    code = vault_rotate_step(v, VAULT_CHANGES_MAX, &at, &finished, err);
    if (code == DOM_OK && progress && !progress(arg, &at)) {
      return dom_fail(err, DOM_CANCELLED, "vault: rotate", "stopped; the next rotation goes on with it");
    }
  }
  return code == DOM_OK ? vault_rotate_finish(v, err) : code;
}

enum dom_code vault_rotate(struct vault *v, bool (*progress)(void *arg, const struct vault_rotation *at),
                           void *arg, struct dom_err *err) {
  assert(v);
  bool resumed = true;
  enum dom_code code = DOM_OK;
  while (code == DOM_OK && resumed) code = rotate_once(v, progress, arg, &resumed, err);
  return code;
}
