/* The open vault, shared by this room's files only.
 *
 * Who may change what: one caller at a time is the *leader* (queue.c) and alone changes slots,
 * index, KEKs and the free list. It takes `lock` for writing while it does what readers could
 * see half done, so readers under `lock` see a slot whole and an index that fits the files. */
#ifndef DOMICILE_VAULT_VAULT_STATE_H
#define DOMICILE_VAULT_VAULT_STATE_H

#include <pthread.h>

#include "vault/queue.h"
#include "vault/slot_files.h"
#include "vault/slot_index.h"

enum {
  VAULT_KEKS_MAX = 16,     /* two in a rotation, plus what interrupted ones may leave */
  VAULT_CHANGES_MAX = 256, /* slots per pair of syncs: 34 KiB of images, 256 creators */
  VAULT_PIN_BUCKETS = 1024
};

struct vault_counters {
  atomic_uint_fast64_t creates, drops, derives, syncs, pins_cancelled, second_copy_reads;
};

struct vault {
  struct slot_files files;
  struct vault_kek *provider;
  pthread_mutex_t provider_lock; /* one call into the provider at a time */

  pthread_rwlock_t lock;
  struct slot_index index;
  struct slot_kek *keks; /* VAULT_KEKS_MAX of them, in secret memory */
  size_t kek_count;
  uint64_t kek_current;

  struct queue queue;
  uint64_t seq; /* of the last change */
  uint32_t *free_slots;
  size_t free_count, free_cap;
  uint32_t *damaged;
  size_t damaged_count, damaged_cap;
  uint64_t used, old_kek, repaired;
  uint32_t rotate_next;
  struct slot_change *changes; /* VAULT_CHANGES_MAX */
  const struct vault_backup_options
      *backup; /* replaced at each rotation; NULL: none. Set before any is begun */
  atomic_bool read_only;

  pthread_mutex_t pin_lock;
  struct vault_pin *pins[VAULT_PIN_BUCKETS];
  struct vault_counters counters;
};

/* KEKs, kek_table.c. The leader, or open. */
enum dom_code kek_table_load(struct vault *v, struct dom_err *err);
const struct slot_kek *kek_table_find(const struct vault *v, uint64_t id); /* NULL: not held */
enum dom_code kek_table_add(struct vault *v, uint64_t id, struct dom_err *err);
void kek_table_forget_old(struct vault *v);

/* Slot of a key, and its content. Under `lock`, or as the leader. DOM_NOT_FOUND. */
enum dom_code vault_slot_find(struct vault *v, const struct vault_key *key, uint32_t *out_number,
                              struct slot *out_slot, struct dom_err *err);
/* Unwraps with the KEK the slot names. The caller wipes. */
enum dom_code vault_slot_open(const struct vault *v, const struct slot *s, uint8_t out_data_key[KEY_SIZE],
                              struct dom_err *err);

/* Writes v->changes[0..count) to the first file, syncs, then to the second, syncs. Any failure
 * makes the vault read-only. Leader. */
enum dom_code vault_changes_write(struct vault *v, size_t count, struct dom_err *err);
enum dom_code vault_free_push(struct vault *v, uint32_t slot); /* DOM_NO_MEMORY */
enum dom_code vault_damaged_push(struct vault *v, uint32_t slot);

/* Bad in both copies since open. Under `lock`, or as the leader. */
bool vault_slot_damaged(const struct vault *v, uint32_t slot);

/* Marks the pins of a key as dropped. */
void vault_pins_cancel(struct vault *v, const struct vault_key *key);

/* Bodies of the requests; each runs as the leader. */
void vault_run_creates(struct vault *v, struct request *const *batch, size_t count);
void vault_run_drop(struct vault *v, struct request *r);
void vault_run_forget(struct vault *v, struct request *r);
void vault_run_rewrap(struct vault *v, struct request *r);
void vault_run_rotate_begin(struct vault *v, struct request *r);
void vault_run_rotate_finish(struct vault *v, struct request *r);
void vault_run_import(struct vault *v, struct request *r);
void vault_run_backup(struct vault *v, struct request *r);
/* Writes the backup as the leader, who alone changes slots: so it is of one moment. */
enum dom_code vault_backup_run(struct vault *v, const struct vault_backup_options *o, uint64_t *out_keys,
                               struct dom_err *err);
/* DOM_READ_ONLY once a write has failed. */
enum dom_code vault_writable(struct vault *v, struct dom_err *err);

#endif
