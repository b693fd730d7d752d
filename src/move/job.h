/* Jobs: the durable move of many subjects. Only the move room includes this. */
#ifndef DOMICILE_MOVE_JOB_H
#define DOMICILE_MOVE_JOB_H

#include "move/move_internal.h"

/* Held times in powers of √2 of a millisecond, for a percentile without keeping every value. */
enum { HELD_BUCKETS = 40 };
struct held_histogram {
  uint64_t count[HELD_BUCKETS], total;
};
void held_add(struct held_histogram *h, uint64_t ms);
/* Upper border of the bucket that the `percent`th value falls into, ms; 0 when empty. */
uint64_t held_percentile(const struct held_histogram *h, unsigned percent);

/* ---- job_row.c: jobs as rows -------------------------------------------------------------- */

/* The row of table JOB (docs/formats/handoff.md). `held` is what held_ms_p99 is taken from. */
void job_encode(const struct move_job_status *job, const struct held_histogram *held, struct buf *out);
/* Also rows of version 1, which have no list and no held times. DOM_CORRUPT. */
enum dom_code job_decode(struct slice value, struct move_job_status *out, struct held_histogram *out_held,
                         struct dom_err *err);
/* Durable: at DOM_OK. Returns: what a commit returns. */
enum dom_code job_put(struct mover *m, const struct move_job_status *job, const struct held_histogram *held,
                      struct dom_err *err);
/* DOM_NOT_FOUND. */
enum dom_code job_get(struct mover *m, uint64_t id, struct move_job_status *out,
                      struct held_histogram *out_held, struct dom_err *err);
/* One row of a table, put (value) or deleted (NULL), in a commit of its own. */
enum dom_code job_row_commit(struct mover *m, enum store_table table, struct slice key,
                             const struct slice *value, struct dom_err *err);
/* Shares, parallelism, and, without a list, the country and the charter's word on it. DOM_INVALID with what
 * is wrong; DOM_REFUSED with the clause. */
enum dom_code job_check_spec(struct mover *m, const struct move_spec *spec, struct dom_err *err);
/* The charter's word on this country at each target: DOM_REFUSED with the clause. */
enum dom_code job_check_country(struct mover *m, const struct move_spec *spec, const char country[2],
                                struct dom_err *err);
bool job_same_selection(const struct move_spec *a, const struct move_spec *b);
/* The region that the spec's shares give a token: by its hash, so that a rerun splits alike. */
uint16_t job_target(const struct move_spec *spec, const uint8_t token[TOKEN_SIZE]);

/* ---- job_list.c: lists of tokens, in memory while they come in, then chunks beside the job's row ---- */

enum {
  LIST_CHUNK = 8192,            /* tokens of a row: 256 KiB, a quarter of what a row may hold */
  LISTS_OPEN_MAX = 4,           /* coming in at once: operators are few, and each may take 64 MiB */
  LIST_IDLE_MS = 10 * 60 * 1000 /* one that nobody adds to is forgotten */
};
struct job_list {
  uint64_t id; /* 0: not in use */
  uint64_t touched_ms;
  uint8_t (*token)[TOKEN_SIZE];
  uint64_t count, capacity;
};
void list_done(struct job_list *l);
/* One that came in, out of the mover's hands. DOM_NOT_FOUND. */
enum dom_code list_take(struct mover *m, uint64_t id, struct job_list *out, struct dom_err *err);
/* In order, without doubles; *out_digest is SHA-256 over them. */
void list_seal(struct job_list *l, uint8_t out_digest[SHA256_SIZE]);
/* Chunk after chunk, each a commit. */
enum dom_code list_put(struct mover *m, uint64_t job, const struct job_list *l, struct dom_err *err);
/* One chunk's tokens appended to *out. DOM_NOT_FOUND past the last one. */
enum dom_code list_chunk_get(struct store_view *v, uint64_t job, uint32_t chunk, struct buf *out,
                             struct dom_err *err);
/* All chunks of a job go. */
enum dom_code list_drop(struct mover *m, uint64_t job, struct dom_err *err);
/* Chunks of jobs that have ended, or never began because of a crash. */
enum dom_code list_drop_orphans(struct mover *m, struct dom_err *err);

/* ---- job_pick.c: who is moved -------------------------------------------------------------- */

/* Where a walk over a selection is. Zeroed: before the first. */
struct job_cursor {
  uint8_t last[TOKEN_SIZE];
  uint64_t at; /* of a list */
  bool begun, over;
};
typedef bool (*job_subject_fn)(void *arg, const struct store_subject *row);
/* Whom the spec selects and who lives here, from the cursor on in the order of tokens; fn returns false to
 * stop behind this one. `list`: tokens in memory, or NULL for those of `job`'s rows. */
enum dom_code job_select(struct mover *m, struct store_view *v, const struct move_spec *spec, uint64_t job,
                         const struct job_list *list, struct job_cursor *c, job_subject_fn fn, void *arg,
                         struct dom_err *err);
/* How many, and with `usage` their bytes, which walks their index rows. With a list, also whether the charter
 * lets all their countries go: DOM_REFUSED. */
enum dom_code job_count(struct mover *m, const struct move_spec *spec, uint64_t job,
                        const struct job_list *list, bool usage, struct move_job_status *out,
                        struct dom_err *err);

/* ---- job_fail.c: who could not be moved, and why --------------------------------------------- */

enum {
  FAIL_TRIES_MAX = 10,          /* with the pauses below some six minutes: a target that restarts is back */
  FAIL_PAUSE_MS = 1000,         /* after the first failure; four times as long after each further one … */
  FAIL_PAUSE_MS_MAX = 60 * 1000 /* … but not longer */
};
void failure_encode(const struct move_failure *f, struct buf *out);
enum dom_code failure_decode(struct slice key, struct slice value, struct move_failure *out,
                             struct dom_err *err);
/* DOM_NOT_FOUND. */
enum dom_code failure_get(struct store_view *v, uint64_t job, const uint8_t token[TOKEN_SIZE],
                          struct move_failure *out, struct dom_err *err);
/* One more failure of this subject, durable; *out_new: its first of this job. */
enum dom_code failure_note(struct mover *m, uint64_t job, const uint8_t token[TOKEN_SIZE], enum dom_code code,
                           const char *text, bool *out_new, struct dom_err *err);
/* It was moved after all; *out_had: there was a row. */
enum dom_code failure_clear(struct mover *m, uint64_t job, const uint8_t token[TOKEN_SIZE], bool *out_had,
                            struct dom_err *err);
/* Whether it is to be tried again ever, and if so when. What the charter refused waits for another one. */
bool failure_is_final(const struct move_failure *f, uint64_t charter_version);
uint64_t failure_due_ms(const struct move_failure *f, uint64_t charter_version);
typedef bool (*failure_fn)(void *arg, const struct move_failure *f);
/* Of one job, behind `after` (NULL: from the first). */
enum dom_code failure_scan(struct store_view *v, uint64_t job, const uint8_t *after, failure_fn fn, void *arg,
                           struct dom_err *err);

/* ---- probe.c: rehearsals ---------------------------------------------------------------------------- */

/* Of *out only what is measured; out->status is counted already. */
enum dom_code job_predict(struct mover *m, const struct move_spec *spec, const struct job_list *list,
                          struct move_prediction *out, struct dom_err *err);

/* ---- eta.c: when a job will be over ------------------------------------------------------------- */

enum { ETA_SAMPLES = 64, ETA_EVERY_MS = 5000 }; /* the last five minutes */
struct eta {
  struct eta_sample {
    uint64_t at_ms, subjects, bytes;
  } sample[ETA_SAMPLES];
  uint32_t count;
};
/* Takes a sample if the last one is old enough. Time that a job does not run must not count: eta_forget. */
void eta_note(struct eta *e, uint64_t now_ms, uint64_t subjects, uint64_t bytes);
void eta_forget(struct eta *e);
/* How long for what is left, at the speed seen: the slower of subjects and bytes. 0: cannot be told yet. */
uint64_t eta_left_ms(const struct eta *e, uint64_t now_ms, uint64_t subjects_done, uint64_t bytes_done,
                     uint64_t subjects_left, uint64_t bytes_left);

#endif
