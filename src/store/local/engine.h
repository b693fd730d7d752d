/* Engine: the insides of struct store and its views, for the files of this folder only. */
#ifndef DOMICILE_STORE_LOCAL_ENGINE_H
#define DOMICILE_STORE_LOCAL_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "store/local/writer.h"
#include "store/store.h"

enum {
  STORE_RESERVE_DEFAULT = 512 << 20,  /* keeps room for deletes, compaction and handoffs: 8 segments */
  STORE_REPLAY_BYTES_MAX = 256 << 20, /* the index is flushed after so much log: bounds a start */
  VIEW_MEMORY_MAX = 64 << 20          /* what one view may hand out: uploads' metadata */
};

/* Somebody reads the state of an LSN: bodies removed after it stay until the mark is gone, and where the mark
 * is a view's, so do the segments whose records its rows name. */
struct read_mark {
  uint64_t lsn;
  bool is_view; /* set before read_mark_set; a reader of bodies may take hours and holds no segment */
  struct read_mark *next, **at; /* at NULL: not set */
};
void read_mark_set(struct store *s, struct read_mark *m, uint64_t lsn);
void read_mark_clear(struct store *s, struct read_mark *m);
/* The lowest LSN marked; UINT64_MAX when nobody reads. */
uint64_t read_mark_least(struct store *s);
uint64_t read_mark_least_view(struct store *s); /* of views only */

/* What this process knows of one folder of bodies. */
enum body_folder { BODY_FOLDER_UNKNOWN, BODY_FOLDER_MADE, BODY_FOLDER_DURABLE };

/* A file in the data folder: a repair is under way, and only it may open the store. */
#define STORE_REPAIR_PENDING "repair.pending"

struct store {
  struct store_options o; /* disk, clock, kek borrowed */
  struct disk_file *lock;
  struct vault *vault;
  struct index *index;
  struct log *log;
  struct apply *apply;
  struct writer *writer;
  uint64_t index_birth;      /* random, of this index; changes when it is rebuilt */
  uint64_t open_lsn;         /* intents up to here are of earlier processes */
  uint64_t flushed_lsn;      /* index is durable up to here; upkeep's own */
  bool intents_done;         /* none of earlier processes is left; upkeep's own */
  uint32_t index_generation; /* of the index key and the index folder */
  bool index_unsure;         /* a purge failed where only a restart can tell which index counts */
  bool orphans_pending;      /* the index was rebuilt: body files without a row may lie about */
  struct compact *compact;   /* under upkeep_lock; made at first need */
  _Atomic uint32_t drains;   /* store_drain_begin's that have not ended */
  _Atomic uint64_t ledger_lsn;
  _Atomic uint64_t space_unseen; /* bytes of records since the last look at the free space */
  pthread_mutex_t mark_lock;
  struct read_mark *marks; /* under mark_lock */
  pthread_mutex_t body_lock;
  uint8_t body_folders[256];  /* enum body_folder; under body_lock */
  pthread_mutex_t erase_lock; /* from looking for rows of an epoch until they are gone */
  /* Upkeep thread. */
  pthread_t upkeep;
  bool upkeep_running, stopping;
  pthread_mutex_t upkeep_lock;  /* one step at a time */
  pthread_mutex_t collect_lock; /* removals, from their rows to their files; taken behind upkeep_lock */
  pthread_mutex_t stop_lock;
  pthread_cond_t stop_asked;
};

struct store_view {
  struct store *store;
  struct index_view index;
  uint64_t lsn;
  struct read_mark mark;
  struct arena *arena;          /* made at first need */
  struct buf key, value;        /* scratch */
  struct store_subject subject; /* the last one looked up */
  bool subject_known;
};
/* Memory that lives until the view is closed; DOM_NO_MEMORY. */
enum dom_code view_keep(struct store_view *v, struct slice s, struct slice *out, struct dom_err *err);

/* An object's row as found in a view. */
struct object_at {
  struct row_object row;
  struct store_order order;
  struct buf key; /* the row's */
};
/* The row of a version under the place's epoch; of the newest, a delete marker too, when `which` is NULL.
 * DOM_NOT_FOUND. */
enum dom_code object_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                             const struct store_version *which, struct object_at *out, struct dom_err *err);
/* Opens the record that a row names into a found object. */
enum dom_code found_open(struct store_view *v, const struct object_at *at, struct store_found **out,
                         struct dom_err *err);
/* A found object that is one body in a file: the body of a part. */
enum dom_code found_open_body(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                              const struct store_body_ref *body, struct store_found **out,
                              struct dom_err *err);

/* Reads and opens the record that the row `row_key` names, at *at as far as known; follows it
 * when compaction moved it meanwhile (then *at changes). head > 0: only so many payload bytes
 * are read. DOM_NOT_FOUND when the row, or the key of the record, is gone. */
enum dom_code record_fetch(struct store *s, enum change_kind kind, struct slice row_key, uint32_t head,
                           struct log_locator *at, struct buf *payload, struct record_plain *plain,
                           struct change *out, struct dom_err *err);

/* The subject must live here under this epoch and take reads (writes: writes). DOM_NOT_FOUND
 * without a row, DOM_ELSEWHERE, DOM_STALE_EPOCH, for writes DOM_FENCED. */
enum dom_code subject_check(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch, bool write,
                            struct dom_err *err);
bool place_holds(const struct store_place *place, struct slice key);

/* ---- transactions ---- */
enum { TX_MEMORY_MAX = 64 << 20, TX_ITEMS_MAX = 20000 };

struct store_tx {
  struct store *store;
  struct store_view *view;
  struct arena *arena;
  struct item *items;
  uint32_t count, cap;
  uint64_t *reads, *writes;
  uint32_t read_count, read_cap, write_count, write_cap;
  uint32_t entries;
  uint64_t lsn_min; /* see store_tx_lsn_min */
  bool grows;       /* it stores bytes: refused once a look finds less than the reserve */
  bool failed;      /* a change or guard could not be added */
};
enum dom_code tx_new(struct store *s, struct store_view *v, struct store_tx **out, struct dom_err *err);
/* Adds guards: the hash of a cell the tx read, or changes. DOM_NO_MEMORY. */
enum dom_code tx_read(struct store_tx *tx, uint64_t hash, struct dom_err *err);
enum dom_code tx_write(struct store_tx *tx, uint64_t hash, struct dom_err *err);
uint64_t tx_hash_subject(const uint8_t token[TOKEN_SIZE]);
uint64_t tx_hash_bucket(const uint8_t bucket[STORE_BUCKET_ID_SIZE]);
enum { TX_SALT_PARTS = 1 }; /* "the parts of this upload" beside the upload itself */
/* Looks up what the change meets, guards its cell, seals it and adds it. The change's slices are
 * copied. DOM_INVALID when the tx changes the cell already. */
enum dom_code tx_add(struct store_tx *tx, const struct change *c, struct slice inline_body,
                     struct dom_err *err);
/* The steps of tx_add: guards of the cell, room for the change, a copy of it without what apply
 * does not need. For compaction, which has a sealed payload already. */
enum dom_code tx_cell_guard(struct store_tx *tx, const struct change *c, struct dom_err *err);
enum dom_code tx_item_new(struct store_tx *tx, struct item **out, struct dom_err *err);
enum dom_code tx_change_keep(struct store_tx *tx, const struct change *c, struct change *out,
                             struct dom_err *err);
/* Whether the tx changes this cell already. */
bool tx_changes(const struct store_tx *tx, uint64_t cell_hash);
/* Whether the tx deletes this cell already. */
bool tx_deletes(const struct store_tx *tx, uint64_t cell_hash);
/* Whether the tx makes this upload. */
bool tx_stages_upload(const struct store_tx *tx, const struct store_place *place, struct slice key,
                      const uint8_t id[STORE_UPLOAD_ID_SIZE]);
/* Permit, subject and bucket checks of a client's change, with their guards. */
enum dom_code tx_place_check(struct store_tx *tx, enum permit_action action, const struct permit *permit,
                             const struct store_place *place, struct slice key, struct dom_err *err);
/* Checks common to put, complete and stage; DOM_INVALID or DOM_TOO_LARGE. */
enum dom_code object_valid(const struct store_object *o, struct dom_err *err);
/* Rows of uploads and parts; DOM_NOT_FOUND. The row's key is left in v->key. */
enum dom_code upload_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                             const uint8_t id[STORE_UPLOAD_ID_SIZE], struct row_upload *out,
                             struct dom_err *err);
enum dom_code part_row_get(struct store_view *v, const struct store_place *place, struct slice key,
                           const uint8_t id[STORE_UPLOAD_ID_SIZE], uint32_t part, struct row_part *out,
                           struct dom_err *err);
/* The change (UPLOAD, PART or DELETE) of an upload, without what is the kind's own. */
struct change upload_change(enum change_kind kind, const struct store_place *place, struct slice key,
                            const uint8_t id[STORE_UPLOAD_ID_SIZE]);
struct change part_change(const struct store_place *place, struct slice key,
                          const uint8_t id[STORE_UPLOAD_ID_SIZE], const struct store_part *part);
/* The object as its record tells it. */
void object_fill(const struct change *c, struct store_order order, struct store_object *out);
/* The change that a put of `o` at the place means. */
struct change object_change(const struct store_place *place, const struct store_object *o);

/* ---- bodies in files (body.c) ---- */
struct body_reader;
/* `once`: for one reading of it all, around the page cache, as it was written. */
enum dom_code body_open(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                        const struct store_body_ref *ref, bool once, struct body_reader **out,
                        struct dom_err *err);
enum dom_code body_read(struct body_reader *b, uint64_t offset, uint8_t *out, size_t len,
                        struct dom_err *err);
void body_close(struct body_reader *b); /* NULL is allowed */
/* Verifies a body's file: size, header, the tag of every frame; ref->sha256 is not needed. *out_there
 * is false when the file is missing. DOM_NOT_FOUND: the file or its key; DOM_CORRUPT, DOM_IO. */
enum dom_code body_check(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                         const struct store_body_ref *ref, bool *out_there, struct dom_err *err);
/* Unlinks a body's file; DOM_OK when it is gone already. Durable: at return. */
enum dom_code body_unlink(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], struct dom_err *err);

/* Moves a body's file to the folder `to`; DOM_OK when it is gone already. Durable: at return. */
enum dom_code body_set_aside(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], const char *to,
                             struct dom_err *err);
/* Logs that a begun body is gone; its file must be unlinked before. */
enum dom_code intent_end(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], struct dom_err *err);

/* ---- generations of the index (purge.c) ---- */
enum { INDEX_FOLDER_MAX = 24 };
void index_folder_name(uint32_t generation, char out[INDEX_FOLDER_MAX]);
/* The generation that counts; 1 where there is no pointer file. DOM_CORRUPT, DOM_IO. */
enum dom_code index_pointer_read(struct disk *disk, uint32_t *out, struct dom_err *err);
/* Durable: at return; after a failure either may stand there. */
enum dom_code index_pointer_write(struct disk *disk, uint32_t generation, struct dom_err *err);
/* Files and folder. Durable: at return. */
enum dom_code index_folder_remove(struct disk *disk, const char *folder, struct dom_err *err);
/* Shreds the index keys and removes the index folders of all other generations. Durable: at return. */
enum dom_code index_leftovers_remove(struct disk *disk, struct vault *vault, uint32_t keep,
                                     struct dom_err *err);

/* ---- upkeep (upkeep.c) ---- */
/* At open: removes again what a crash brought back of epochs that were shredded. Index rows alone go when an
 * epoch is erased, and the index may lose the last of its batches. */
enum dom_code erase_resume(struct store *s, struct dom_err *err);
enum dom_code upkeep_start(struct store *s, struct dom_err *err);
void upkeep_stop(struct store *s);
/* Makes the index durable and raises the horizon; upkeep_lock is held. */
enum dom_code upkeep_flush(struct store *s, struct dom_err *err);
/* Raises the log's horizon to what index and ledger have durably passed; upkeep_lock is held. */
enum dom_code upkeep_horizon(struct store *s, uint64_t *out, struct dom_err *err);
/* One step of compaction: a segment's live records are copied, or emptied segments given up;
 * *did is set when it did something. upkeep_lock is held (compact.c). */
enum dom_code compact_step(struct store *s, bool *did, struct dom_err *err);
void compact_free(struct compact *c); /* NULL is allowed */
/* Appends the ids of body files that no row accounts for; walks the tree. */
enum dom_code orphans_find(struct store *s, struct buf *out, struct dom_err *err);
/* Makes removal rows for body files that no row names, once after a rebuild; *did is set when it
 * looked. upkeep_lock is held, or there is no other thread (rebuild.c). */
enum dom_code orphans_collect(struct store *s, bool *did, uint64_t *out_count, struct dom_err *err);
/* Unlinks bodies that are due; *out_did: there were some. */
enum dom_code upkeep_collect(struct store *s, bool *out_did, struct dom_err *err);

#endif
