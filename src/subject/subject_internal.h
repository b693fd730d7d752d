/* What the files of the subject room share. Nobody outside includes this. */
#ifndef DOMICILE_SUBJECT_INTERNAL_H
#define DOMICILE_SUBJECT_INTERNAL_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "subject/subject.h"

/* How long a region waits for the registrar or another region before it answers 503. */
#define SUBJECT_ASK_TIMEOUT_MS 5000u
/* Guards fail only under a race; this many in a row mean a bug or a storm, and end in DOM_RETRY. */
#define SUBJECT_RETRIES_MAX 64

struct subjects {
  struct subjects_options o;
  pthread_mutex_t charter_lock; /* guards `charter`; held for a pointer copy only */
  struct charter *charter;
  pthread_mutex_t charter_change; /* one change of charter at a time */
  pthread_mutex_t registry_lock;  /* held by a bucket's deletion: DELETING seen without it is stale */
  struct home_cache *cache;
  struct gate_table *gate;
};

/* A view and a tx over it, the begin of every change. Both freed by scope. */
enum dom_code subject_change_begin(struct subjects *s, struct store_view **v, struct store_tx **tx,
                                   struct dom_err *err);

/* One step of a change: reads through v, adds to tx. DOM_OK commits; DOM_EXISTS means "nothing to do", which
 * subject_change turns into DOM_OK; any other code ends it. */
typedef enum dom_code (*subject_change_fn)(void *arg, struct subjects *s, struct store_view *v,
                                           struct store_tx *tx, struct dom_err *err);
/* Runs fn until its commit is not told to retry. */
enum dom_code subject_change(struct subjects *s, subject_change_fn fn, void *arg, struct dom_err *err);

/* home.c */
struct home_cache *home_cache_new(void);
void home_cache_free(struct home_cache *c);
struct home_answer {
  bool found;
  uint16_t home;
  uint64_t epoch;
  char country[2];
};
bool home_cache_get(struct home_cache *c, const uint8_t token[TOKEN_SIZE], struct home_answer *out);
void home_cache_put(struct home_cache *c, const uint8_t token[TOKEN_SIZE], const struct home_answer *a);
void home_answer_put(struct buf *b, const struct home_answer *a);
bool home_answer_get(struct slice bytes, struct home_answer *out);

/* gate.c */
struct gate_table *gate_table_new(void);
void gate_table_free(struct gate_table *g);

/* registrar.c: asks the registrar, wherever it is (also here). */
enum dom_code registrar_ask(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                            struct dom_err *err);
enum dom_code registrar_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                                struct buf *reply, struct dom_err *err);
/* DOM_OK when this region is the registrar of the charter in force, else DOM_DENIED. */
enum dom_code registrar_is_here(struct subjects *s, struct dom_err *err);

/* register.c: makes the durable row of a subject that the registrar homes here. */
enum dom_code register_adopt(struct subjects *s, const uint8_t token[TOKEN_SIZE], const struct home_answer *a,
                             struct dom_err *err);
enum dom_code register_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err);
void bucket_pseudo_token(const struct subjects *s, const uint8_t id[STORE_BUCKET_ID_SIZE],
                         uint8_t out[TOKEN_SIZE]);

/* bucket.c */
void bucket_encode(struct buf *b, const struct subject_bucket *k);
enum dom_code bucket_decode(struct slice bytes, struct subject_bucket *out, struct dom_err *err);
/* Writes (or, with drop, removes) this region's rows of the bucket unless it has a newer version. */
enum dom_code bucket_apply(struct subjects *s, const struct subject_bucket *k, bool drop,
                           struct dom_err *err);
enum dom_code bucket_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                             struct buf *reply, struct dom_err *err);
/* bucket_registry.c */
enum dom_code registry_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err);
enum dom_code registry_upkeep(struct subjects *s, struct dom_err *err);

#endif
