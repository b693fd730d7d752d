/* Move: the change of a subject's home. The only facade of the move room.
 *
 * Glossary
 *   handoff    the protocol between the old home (source, A) and the new one (target, B)
 *   step       one state of a handoff on one side; move_states.def lists all legal changes
 *   manifest   SHA-256 over the ordered list of what is handed over, computed by both sides
 *   job        a move of many subjects, durable in the source's store
 *
 * Invariants (design of the handoff, checked by assertions and tests): at most one region accepts
 * writes for a subject; every acknowledged version has a complete readable copy at all times; staged data
 * is never visible; the source's copy goes only after the target confirmed that it serves.
 * What enforces them: handoff.c (pure: state × event → state × actions), the store's guards, and the
 * order of durable steps in source.c and target.c.
 *
 * Threads: every function may be called from any thread. */
#ifndef DOMICILE_MOVE_MOVE_H
#define DOMICILE_MOVE_MOVE_H

#include "base/net.h"
#include "store/store.h"
#include "subject/subject.h"

struct mover;

struct mover_options {
  struct store *store; /* borrowed, as all below */
  struct subjects *subjects;
  struct net *net; /* NULL: no peers, every move is DOM_UNAVAILABLE */
  struct clock *clock;
  struct ledger *ledger; /* for peer references in entries; NULL in tests without one */
  uint16_t region;
  uint32_t parallel;   /* subjects moved at once by a job; 0: default */
  bool inline_threads; /* simulation: no thread; mover_upkeep does the work */
  /* Fault points for crash tests: called with the name of each durable step before ("-STEP") and
   * after ("+STEP") it; NULL in production. */
  void (*fault_point)(void *arg, const char *step);
  void *fault_arg;
};
enum dom_code mover_open(const struct mover_options *o, struct mover **out, struct dom_err *err);
/* Stops jobs at their next safe point (they resume at the next open) and closes. */
void mover_close(struct mover *m);

/* Handles "move/…" messages from an authenticated region; net_handler's contract. */
enum dom_code mover_message(struct mover *m, uint16_t from, const char *path, struct slice body,
                            struct buf *reply, struct dom_err *err);

/* A gateway handed over a source's signed statement with a forwarded request: takes it as the commit
 * message if this region is its target and has PREPARED it. DOM_OK also when nothing was to do. */
enum dom_code mover_take_statement(struct mover *m, struct slice statement, struct dom_err *err);

/* Moves one subject now, in the caller's thread, resuming what a crash left. Ends COMMITTED and confirmed,
 * with the source's key dropped and its rows erased; or not moved at all. Returns: DOM_REFUSED by a charter
 * (class and clause in err); DOM_UNAVAILABLE the target does not answer (aborted if not committed, else
 * finished later by itself); DOM_ELSEWHERE not at home here; DOM_BUSY a handoff of it is under way;
 * DOM_NOT_FOUND. */
enum dom_code mover_move_subject(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to,
                                 struct dom_err *err);

/* ---- jobs --------------------------------------------------------------------------------- */

enum { MOVE_SHARES_MAX = 16 };
struct move_spec {
  char country[2];
  struct {
    uint16_t region;
    uint8_t percent; /* of the subjects, by hash of the token; all shares add up to 100 */
  } share[MOVE_SHARES_MAX];
  uint32_t share_count;
  uint64_t rate_bytes_s; /* 0: unlimited */
  uint64_t deadline_ms;  /* 0: none */
  uint32_t parallel;     /* 0: default */
};
enum move_job_state { JOB_RUNNING = 1, JOB_DONE = 2, JOB_CANCELLED = 3, JOB_PAUSED = 4 };
struct move_job_status {
  uint64_t id;
  struct move_spec spec;
  enum move_job_state state;
  uint64_t started_ms, ended_ms;
  uint64_t subjects, subjects_done, subjects_failed;
  uint64_t objects_done, bytes, bytes_done;
  uint64_t held_ms_p99;                /* how long a fence held writers, 99th percentile over subjects */
  uint64_t rate_now;                   /* bytes a second over the last seconds */
  char last_failure[DOM_ERR_TEXT_MAX]; /* reason only; tokens, no ids */
};
/* What the spec would move: counts only, nothing changes. refusals: subjects that the charter would not let
 * go, with the first clause in err_text. */
enum dom_code mover_job_plan(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                             struct dom_err *err);
/* Starts a durable job, or attaches: the same selection answers the running job. DOM_REFUSED / DOM_INVALID.
 */
enum dom_code mover_job_start(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                              struct dom_err *err);
enum dom_code mover_job_status(struct mover *m, uint64_t id, struct move_job_status *out,
                               struct dom_err *err);
typedef bool (*move_job_fn)(void *arg, const struct move_job_status *job);
enum dom_code mover_job_each(struct mover *m, move_job_fn fn, void *arg, struct dom_err *err);
enum dom_code mover_job_cancel(struct mover *m, uint64_t id, struct dom_err *err);

/* ---- erasure --------------------------------------------------------------------------------- */

/* KEK rotation with its ledger entries (KEY_ROTATED, KEK_DESTROYED), and ERASED for every (token, epoch)
 * whose key was dropped under an older KEK. *out_erased: how many. Resumable: call again. */
enum dom_code mover_rotate_kek(struct mover *m, store_progress_fn progress, void *arg, uint64_t *out_erased,
                               struct dom_err *err);
/* Rotation as above, then the names purge with its ledger entry for everything that was ERASED before it
 * began. Resumable: call again. Returns: as mover_rotate_kek and store_names_purge. */
enum dom_code mover_purge_names(struct mover *m, struct dom_err *err);

/* What a timer calls: deliver commits, ask about staged epochs, go on erasing, run inline jobs. One bounded
 * round; *out_did tells whether there was work. */
enum dom_code mover_upkeep(struct mover *m, bool *out_did, struct dom_err *err);

#endif
