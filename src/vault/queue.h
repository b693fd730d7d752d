/* Changes to the vault queue up; whoever finds nobody at work leads: it carries out what is
 * queued, wakes each waiter by its own semaphore, and hands the lead to the next in line. So
 * concurrent creators share one pair of syncs, and there is no thread to start or stop. */
#ifndef DOMICILE_VAULT_QUEUE_H
#define DOMICILE_VAULT_QUEUE_H

#include <pthread.h>
#include <semaphore.h>

#include "vault/vault.h"

enum request_kind {
  REQUEST_CREATE,
  REQUEST_DROP,
  REQUEST_FORGET,
  REQUEST_REWRAP,
  REQUEST_ROTATE_BEGIN,
  REQUEST_ROTATE_FINISH,
  REQUEST_IMPORT,
  REQUEST_BACKUP
};

/* On the stack of the caller that waits for it. */
struct request {
  enum request_kind kind;
  const struct vault_key *keys; /* CREATE: one; DROP: key_count */
  size_t key_count;
  const uint8_t (*data_keys)[KEY_SIZE];      /* IMPORT: key_count of them; CREATE: NULL makes a random one */
  const struct vault_backup_options *backup; /* BACKUP */
  uint32_t slots;                            /* FORGET: the slot; REWRAP: how many at most */
  uint64_t
      result;    /* DROP: had a slot; BACKUP: keys written; REWRAP: slots passed; ROTATE_BEGIN: 1 = resumed */
  bool finished; /* REWRAP: every slot passed */
  enum dom_code code;
  struct dom_err err;

  sem_t wake;
  bool done; /* carried out; else, when woken, this caller leads */
  struct request *next;
};

struct queue {
  pthread_mutex_t lock;
  struct request *head, *tail;
  bool led;
};

void queue_init(struct queue *q);
void queue_done(struct queue *q);
/* Has the request carried out by this caller or another; returns its code and copies its err. */
enum dom_code queue_submit(struct vault *v, struct request *r, struct dom_err *err);

#endif
