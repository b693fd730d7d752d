/* What the files of the subject room share. Nobody outside includes this. */
#ifndef DOMICILE_SUBJECT_INTERNAL_H
#define DOMICILE_SUBJECT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "subject/subject.h"

/* How long a region waits for the registrar or another region before it answers 503. */
#define SUBJECT_ASK_TIMEOUT_MS 5000u
/* Guards fail only under a race; this many in a row mean a bug or a storm, and end in DOM_RETRY. */
#define SUBJECT_RETRIES_MAX 64
/* A region has so long to acknowledge a configuration; one that is 200 ms away takes a tenth of it. */
#define SUBJECT_CONFIG_TELL_MS 2000u
/* All regions together; below SUBJECT_ASK_TIMEOUT_MS, so that the answer reaches who asked. */
#define SUBJECT_CONFIG_SPREAD_MS 4000u
/* How long a start waits for the registrar before it serves what it knows. */
#define SUBJECT_CONFIG_ASK_MS 2000u
/* A region that did not answer is asked last for so long, and by upkeep not at all. */
#define SUBJECT_CONFIG_SILENT_MS 5000u
/* What was missed is asked for so often, although the registrar tells of itself. */
#define SUBJECT_CONFIG_ASK_EVERY_MS 60000u
/* Each waiting change holds a worker: two in a region that asks, four in the registrar, leave the others to
 * objects, and keep one free to take in what the registrar tells. */
#define SUBJECT_CONFIG_ASKING_MAX  2u
#define SUBJECT_CONFIG_TELLING_MAX 4u
/* Changes of one bucket that may overtake one that asks; more is a storm, and the client comes again. */
#define SUBJECT_CONFIG_RACES_MAX 4

/* How changes of configurations travel: hints and bounds, in memory only. */
struct config_spread {
  atomic_uint asking;                                    /* changes that wait for the registrar */
  atomic_uint telling;                                   /* changes that wait for other regions */
  _Atomic uint64_t silent_until_ms[CHARTER_REGIONS_MAX]; /* monotonic; by number: did not answer lately */
  _Atomic uint64_t ask_at_ms;                            /* monotonic; when to ask what was missed */
};

struct subjects {
  struct subjects_options o;
  pthread_mutex_t charter_lock; /* guards `charter`; held for a pointer copy only */
  struct charter *charter;
  pthread_mutex_t charter_change; /* one change of charter at a time */
  pthread_mutex_t registry_lock;  /* held by a bucket's deletion: DELETING seen without it is stale */
  struct home_cache *cache;
  struct config_cache *configs;
  struct config_spread spread;
  struct gate_table *gate;
  atomic_bool held; /* what this region knows may be old */
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
/* Kinds of answers; numbers are on disk and on the wire. What an older build would misread is longer. */
enum home_kind {
  HOME_NONE = 0,
  HOME_KNOWN = 1,  /* lives at `home` under `epoch` */
  HOME_ERASED = 2, /* tombstone: erased at `home`, which allotted no epoch above `epoch`; kept for ever */
  HOME_RENEWED = 3 /* as KNOWN, registered anew under `epoch` and not moved since */
};
struct home_answer {
  bool found; /* it lives somewhere: KNOWN or RENEWED */
  enum home_kind kind;
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
enum dom_code registrar_ask_within(struct subjects *s, const char *path, struct slice body,
                                   uint32_t timeout_ms, struct buf *reply, struct dom_err *err);
enum dom_code registrar_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                                struct buf *reply, struct dom_err *err);
/* DOM_OK when this region is the registrar of the charter in force, else DOM_DENIED. */
enum dom_code registrar_is_here(struct subjects *s, struct dom_err *err);

/* hold.c: DOM_UNAVAILABLE while the region is held. */
enum dom_code hold_check(const struct subjects *s, struct dom_err *err);

/* register.c: makes the durable row of a subject that the registrar homes here. */
enum dom_code register_adopt(struct subjects *s, const uint8_t token[TOKEN_SIZE], const struct home_answer *a,
                             struct dom_err *err);
/* Whether the registrar's word is enough to make its home's row: the epoch was given out by a registration. A
 * later one comes with a signed statement. */
static inline bool home_answer_registers(const struct home_answer *a) {
  return a->kind == HOME_RENEWED || (a->kind == HOME_KNOWN && a->epoch == 1);
}
enum dom_code register_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err);
void bucket_pseudo_token(const struct subjects *s, const uint8_t id[STORE_BUCKET_ID_SIZE],
                         uint8_t out[TOKEN_SIZE]);

/* bucket.c */
void bucket_encode(struct buf *b, const struct subject_bucket *k);
enum dom_code bucket_decode(struct slice bytes, struct subject_bucket *out, struct dom_err *err);
/* A bucket with its configuration, as regions tell each other: row u32be-prefixed | document likewise. */
struct bucket_state {
  struct subject_bucket bucket;
  struct slice document; /* encoded; empty when bucket.config_version is 0 */
};
void bucket_state_encode(struct buf *b, const struct subject_bucket *k, struct slice document);
/* `out->document` points into `bytes`. DOM_CORRUPT also when row and document are not of one version. */
enum dom_code bucket_state_decode(struct slice bytes, struct bucket_state *out, struct dom_err *err);
/* Writes (or, with drop, removes) this region's rows of the bucket unless it has a newer version. */
enum dom_code bucket_apply(struct subjects *s, const struct bucket_state *k, bool drop, struct dom_err *err);
/* Asks the registrar for the bucket as it is now and keeps it here. */
enum dom_code bucket_fetch(struct subjects *s, struct slice name, struct subject_bucket *out,
                           struct dom_err *err);
enum dom_code bucket_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                             struct buf *reply, struct dom_err *err);

/* bucket_config.c: the document. */
struct config_document {
  uint64_t version;
  struct slice part[SUBJECT_PART_LIMIT]; /* [0] unused; data NULL: none */
};
void config_encode(struct buf *b, const struct config_document *d);
/* Parts point into `bytes`. DOM_CORRUPT. */
enum dom_code config_decode(struct slice bytes, struct config_document *out, struct dom_err *err);
uint32_t config_parts(const struct config_document *d);
struct config_cache *config_cache_new(void);
void config_cache_free(struct config_cache *c);

/* config_registry.c: the registrar's side. */
enum dom_code config_registry_change(struct subjects *s, struct slice body, struct dom_err *err);
enum dom_code config_registry_behind(struct subjects *s, struct slice body, struct buf *reply,
                                     struct dom_err *err);
/* Goes on with what is not everywhere yet. */
enum dom_code config_registry_upkeep(struct subjects *s, struct dom_err *err);

/* bucket_registry.c */
enum dom_code registry_get(struct store_view *v, struct slice name, struct subject_bucket *out,
                           struct dom_err *err);
enum dom_code registry_put(struct store_tx *tx, const struct subject_bucket *k, struct dom_err *err);
/* The bucket and its document as the registrar has them, in one view, encoded as a bucket_state. */
enum dom_code registry_state(struct store_view *v, struct slice name, struct subject_bucket *out,
                             struct buf *bytes, struct dom_err *err);
/* One message to one region of the charter, this one included. */
enum dom_code registry_tell(struct subjects *s, uint16_t region, const char *path, struct slice body,
                            uint32_t timeout_ms, struct buf *reply, struct dom_err *err);
enum dom_code registry_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err);
enum dom_code registry_upkeep(struct subjects *s, struct dom_err *err);

#endif
