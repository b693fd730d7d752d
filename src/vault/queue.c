#include "vault/queue.h"

#include <assert.h>
#include <errno.h>

#include "vault/vault_state.h"

void queue_init(struct queue *q) {
  assert(q);
  *q = (struct queue){0};
  int rc = pthread_mutex_init(&q->lock, NULL);
  assert(rc == 0);
  (void)rc;
}

void queue_done(struct queue *q) {
  assert(!q->head && !q->led);
  pthread_mutex_destroy(&q->lock);
}

/* Takes the head, and the creates right behind it if it is one. */
static size_t take_batch(struct queue *q, struct request *batch[VAULT_CHANGES_MAX]) {
  assert(q->head);
  size_t count = 0;
  do {
    batch[count++] = q->head;
    q->head = q->head->next;
  } while (q->head && batch[0]->kind == REQUEST_CREATE && q->head->kind == REQUEST_CREATE &&
           count < VAULT_CHANGES_MAX);
  if (!q->head) q->tail = NULL;
  return count;
}

static void run_batch(struct vault *v, struct request *const *batch, size_t count) {
  assert(count == 1 || batch[0]->kind == REQUEST_CREATE);
  switch (batch[0]->kind) {
  case REQUEST_CREATE:
    vault_run_creates(v, batch, count);
    break;
  case REQUEST_DROP:
    vault_run_drop(v, batch[0]);
    break;
  case REQUEST_FORGET:
    vault_run_forget(v, batch[0]);
    break;
  case REQUEST_REWRAP:
    vault_run_rewrap(v, batch[0]);
    break;
  case REQUEST_ROTATE_BEGIN:
    vault_run_rotate_begin(v, batch[0]);
    break;
  case REQUEST_ROTATE_FINISH:
    vault_run_rotate_finish(v, batch[0]);
    break;
  case REQUEST_IMPORT:
    vault_run_import(v, batch[0]);
    break;
  case REQUEST_BACKUP:
    vault_run_backup(v, batch[0]);
    break;
  }
}

/* Called with the lock held by the leader, whose own request is the head; returns without it. */
static void lead(struct vault *v, struct request *own) {
  struct queue *q = &v->queue;
  struct request *batch[VAULT_CHANGES_MAX];
  size_t count = take_batch(q, batch);
  assert(batch[0] == own && q->led);
  pthread_mutex_unlock(&q->lock);
  run_batch(v, batch, count);
  pthread_mutex_lock(&q->lock);
  for (size_t i = 0; i < count; i++) {
    batch[i]->done = true;
    if (batch[i] != own) sem_post(&batch[i]->wake); /* its stack frame may be gone after this */
  }
  q->led = q->head != NULL;
  if (q->head) sem_post(&q->head->wake);
  pthread_mutex_unlock(&q->lock);
}

enum dom_code queue_submit(struct vault *v, struct request *r, struct dom_err *err) {
  assert(v && r && !r->next && !r->done);
  struct queue *q = &v->queue;
  int rc = sem_init(&r->wake, 0, 0);
  assert(rc == 0);
  pthread_mutex_lock(&q->lock);
  if (q->tail) {
    q->tail->next = r;
  } else {
    q->head = r;
  }
  q->tail = r;
  bool wait = q->led;
  q->led = true;
  if (wait) {
    pthread_mutex_unlock(&q->lock);
    do {
      rc = sem_wait(&r->wake);
    } while (rc != 0 && errno == EINTR);
    assert(rc == 0);
    pthread_mutex_lock(&q->lock);
  }
  if (r->done) {
    pthread_mutex_unlock(&q->lock);
  } else {
    lead(v, r);
  }
  sem_destroy(&r->wake);
  if (r->code != DOM_OK && err && err->code == DOM_OK) *err = r->err;
  return r->code;
}
