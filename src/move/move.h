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
  /* Client requests in progress here now, or until a moment ago, but for those that a fence holds: while
   * there are any, jobs stand back. NULL: nobody to stand back for. */
  unsigned (*clients)(void *arg);
  void *clients_arg;
  bool start_confirmed; /* serve nobody until some region has answered mover_confirm or mover_watch */
  /* Fault points for crash tests: called with the name of each durable step before ("-STEP") and
   * after ("+STEP") it; NULL in production. */
  void (*fault_point)(void *arg, const char *step);
  void *fault_arg;
};
/* Jobs that were running go on at once, in threads of their own. *out is released with mover_close.
 * Returns: DOM_NO_MEMORY; DOM_CORRUPT a job's row does not decode; what the store's reads return. */
enum dom_code mover_open(const struct mover_options *o, struct mover **out, struct dom_err *err);
/* Jobs, rotations and rehearsals end at their next safe point, DOM_CANCELLED where somebody waits for them;
 * they go on after the next open. To be called before whoever waits is waited for; mover_close does it, too.
 * NULL is allowed. Threads: any. */
void mover_stop(struct mover *m);
/* Stops jobs at their next safe point (they resume at the next open), waits for their threads and closes. No
 * other call may be in progress: whoever feeds messages in is stopped first. NULL is allowed. */
void mover_close(struct mover *m);

/* Whether messages to `path` are this room's. */
bool mover_takes(const char *path);
/* Handles such messages from an authenticated region; net_handler's contract.
 *   from   the region that signed the message, never this one
 * Durable: a begin, prepare, commit or abort that is answered DOM_OK.
 * Returns: DOM_INVALID does not decode; DOM_NOT_FOUND another path; DOM_DENIED a statement not signed by its
 * source, or brought by somebody else; DOM_STALE_EPOCH for no handoff, state or charter that stands here;
 * DOM_REFUSED by this region's charter; DOM_CORRUPT what came or was stored is not what was announced;
 * DOM_BUSY a copy from another region is prepared; DOM_UNAVAILABLE the registrar does not answer (commit), or
 * a body was changed on the way (items); what the store returns. */
enum dom_code mover_message(struct mover *m, uint16_t from, const char *path, struct slice body,
                            struct buf *reply, struct dom_err *err);

/* A gateway handed over a source's signed statement with a forwarded request: takes it as the commit
 * message if this region is its target and has PREPARED it. The registrar is told, if it answers.
 * Durable: at DOM_OK the subject is served here.
 * Returns: DOM_OK also when it was served already; DOM_DENIED, DOM_STALE_EPOCH as for messages. */
enum dom_code mover_take_statement(struct mover *m, struct slice statement, struct dom_err *err);

/* Moves one subject now, in the caller's thread, resuming what a crash left. Ends COMMITTED and confirmed,
 * with the source's key dropped and its rows erased; or not moved at all.
 * Durable: each state before the next begins; at DOM_OK all of it.
 * Returns: DOM_REFUSED by a charter, here or there (class and clause in err); DOM_UNAVAILABLE, DOM_TIMEOUT
 * the target does not answer (aborted if not committed, else finished later by upkeep); DOM_STALE_EPOCH the
 * charters of the two regions differ, or changed meanwhile (aborted); DOM_CORRUPT the copy is not what was
 * sent (aborted); DOM_ELSEWHERE not at home here; DOM_INVALID at home there already; DOM_BUSY another thread
 * moves it; DOM_NOT_FOUND unknown here; DOM_CANCELLED the mover stops (aborted); what the store returns. */
enum dom_code mover_move_subject(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to,
                                 struct dom_err *err);

/* ---- jobs --------------------------------------------------------------------------------- */

enum {
  MOVE_SHARES_MAX = 16,
  MOVE_LIST_MAX = 2 * 1000 * 1000 /* tokens of a list: 64 MB in memory while it comes in */
};
struct move_spec {
  char country[2]; /* everybody of this country; zeros with a list */
  struct {
    uint16_t region;
    uint8_t percent; /* of the subjects, by hash of the token; all shares add up to 100 */
  } share[MOVE_SHARES_MAX];
  uint32_t share_count;
  uint64_t rate_bytes_s; /* 0: unlimited */
  uint64_t deadline_ms;  /* 0: none */
  uint32_t parallel;     /* 0: default */
  uint64_t list_id;      /* mover_list_open: these instead of a country; 0 in what comes back */
  /* Set by the mover. */
  bool has_list;
  uint64_t list_count;              /* without doubles */
  uint8_t list_sha256[SHA256_SIZE]; /* of the tokens in order: what makes two lists the same */
};
enum move_job_state { JOB_RUNNING = 1, JOB_DONE = 2, JOB_CANCELLED = 3, JOB_PAUSED = 4 };
struct move_job_status {
  uint64_t id;
  struct move_spec spec;
  enum move_job_state state;
  uint64_t started_ms, ended_ms;
  uint64_t subjects, subjects_done, subjects_failed; /* failed: not moved so far, mover_job_failures */
  uint64_t objects, objects_done, bytes, bytes_done;
  uint64_t held_ms_p99;                /* how long a fence held writers, 99th percentile over subjects */
  char last_failure[DOM_ERR_TEXT_MAX]; /* reason only; tokens, no ids */
  /* Only of jobs under way, 0 else. */
  uint64_t rate_now;     /* bytes a second over the last seconds */
  uint64_t left_ms;      /* until its end, at the speed of the last minutes; 0: cannot be told yet */
  uint64_t late_ms;      /* … and how much that is behind the deadline */
  uint64_t yielded_ms;   /* how long its workers stood back for clients, all together */
  uint32_t in_flight;    /* subjects that are being moved; a paused job may have some for a while */
  uint32_t parallel_now; /* subjects it may move at once; more than asked for when it is late */
};

/* A list of tokens that comes in piece by piece, in memory; mover_job_start with its id makes it durable, a
 * restart or ten idle minutes before that forget it. *out_id is positive and not guessable.
 * Returns: DOM_BUSY several are coming in already. */
enum dom_code mover_list_open(struct mover *m, uint64_t *out_id, struct dom_err *err);
/* In any order, doubles allowed. *out_total: tokens so far, doubles counted.
 * Returns: DOM_NOT_FOUND no such list; DOM_TOO_LARGE past MOVE_LIST_MAX; DOM_NO_MEMORY. */
enum dom_code mover_list_add(struct mover *m, uint64_t id, const uint8_t (*token)[TOKEN_SIZE], size_t count,
                             uint64_t *out_total, struct dom_err *err);

/* What the spec would move: subjects, objects and bytes, nothing changes. Walks the index rows of all it
 * selects. A list is used up.
 * Returns: DOM_INVALID a spec that makes no sense, DOM_REFUSED a share that the charter forbids (clause in
 * err), DOM_NOT_FOUND no such list; what the store's reads return. */
enum dom_code mover_job_plan(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                             struct dom_err *err);
/* What a move would take. */
struct move_prediction {
  struct move_job_status status; /* as mover_job_plan */
  uint32_t parallel;
  uint64_t sampled_subjects, sampled_bytes, took_ms; /* what was measured, and for how long */
  uint64_t duration_ms, duration_ms_low,
      duration_ms_high;              /* 0: nobody is selected, or nothing was measured */
  bool is_rate_bound;                /* the spec's rate is what takes the time */
  uint64_t held_ms_p50, held_ms_p99; /* of quiet subjects */
};
/* The same counts, and how long it would take at the spec's rate and parallelism, by rehearsing some of those
 * selected: some seconds, some megabytes. Their bodies are read as a copy does and stay here; the targets get
 * as many random bytes, hash, seal and commit them. It stands back for clients as a job does, so the
 * prediction is for hours that are as busy as this one.
 * Returns: as mover_job_plan; DOM_UNAVAILABLE, DOM_TIMEOUT a target does not answer; DOM_REFUSED by clause.
 */
enum dom_code mover_job_predict(struct mover *m, const struct move_spec *spec, struct move_prediction *out,
                                struct dom_err *err);
/* Starts a durable job, or attaches: the same selection answers the job that runs or is paused. A job ends
 * when nobody it selects is left but those that failed for good; with targets that have yet to confirm it
 * waits a minute. Then keys are rotated and names purged. Counters in *out are for people.
 * Durable: at DOM_OK, the job and its list; a restart goes on with it.
 * Returns: as mover_job_plan; DOM_BUSY too many jobs are running; what a commit returns. */
enum dom_code mover_job_start(struct mover *m, const struct move_spec *spec, struct move_job_status *out,
                              struct dom_err *err);
/* How far a job is, or how it ended. DOM_NOT_FOUND. */
enum dom_code mover_job_status(struct mover *m, uint64_t id, struct move_job_status *out,
                               struct dom_err *err);
/* Every job ever started, oldest first, as its row says: counters may lag. fn returns false to stop. */
typedef bool (*move_job_fn)(void *arg, const struct move_job_status *job);
enum dom_code mover_job_each(struct mover *m, move_job_fn fn, void *arg, struct dom_err *err);
/* Jobs under way, as mover_job_status tells them; fn must not call the mover. */
void mover_job_running(struct mover *m, move_job_fn fn, void *arg);

/* Takes no further subject and gives up the copies under way; who has left has left. Durable: at DOM_OK a
 * restart does not go on with it. DOM_NOT_FOUND no such job is running or paused. */
enum dom_code mover_job_cancel(struct mover *m, uint64_t id, struct dom_err *err);
/* Takes no further subject. Those in flight may end for MOVE_PAUSE_GRACE_MS, then their copies are given up
 * at the next message. A paused job is left so by restarts, until it is resumed. Pausing twice is once.
 * Durable: at DOM_OK. Returns: DOM_NOT_FOUND no such job is running; what a commit returns. */
enum dom_code mover_job_pause(struct mover *m, uint64_t id, struct dom_err *err);
enum { MOVE_PAUSE_GRACE_MS = 10000 }; /* most subjects end in it; a larger one is copied anew later */
/* Goes on with a paused job; one that runs is left as it is.
 * Durable: at DOM_OK. Returns: DOM_NOT_FOUND no such job, or it has ended; DOM_BUSY too many jobs are
 * running; what a commit returns. */
enum dom_code mover_job_resume(struct mover *m, uint64_t id, struct dom_err *err);
/* Changes rate, parallelism and deadline of a job that runs or is paused, at once. Fields without their flag
 * stay. Durable: at DOM_OK. Returns: DOM_NOT_FOUND; DOM_INVALID too many at once; what a commit returns. */
struct move_change {
  bool has_rate, has_parallel, has_deadline;
  uint64_t rate_bytes_s, deadline_ms;
  uint32_t parallel;
};
enum dom_code mover_job_set(struct mover *m, uint64_t id, const struct move_change *change,
                            struct dom_err *err);

/* A subject that a job could not move. It is tried again later, ever more rarely, some ten times; what the
 * charter refuses not before another charter is in force. */
struct move_failure {
  uint8_t token[TOKEN_SIZE];
  enum dom_code code;
  uint32_t tries;
  uint64_t last_ms;
  uint64_t charter_version;    /* in force at the last try */
  char text[DOM_ERR_TEXT_MAX]; /* no personal data */
};
typedef bool (*move_failure_fn)(void *arg, const struct move_failure *f);
/* A job's failures in the order of tokens, behind `after` (NULL: from the first), also after its end; fn
 * returns false to stop. DOM_NOT_FOUND no such job. */
enum dom_code mover_job_failures(struct mover *m, uint64_t id, const uint8_t *after, move_failure_fn fn,
                                 void *arg, struct dom_err *err);

/* ---- erasure --------------------------------------------------------------------------------- */

/* KEK rotation with its ledger entries (KEY_ROTATED, KEK_DESTROYED), and ERASED for every (token, epoch)
 * whose key was dropped under an older KEK. *out_erased (may be NULL): how many. Resumable: call again.
 * Threads: one rotation or purge at a time, others wait. Durable: at return.
 * Returns: what vault_rotate and a commit return; DOM_CANCELLED the mover stops; DOM_UNAVAILABLE in
 * quarantine. */
enum dom_code mover_rotate_kek(struct mover *m, store_progress_fn progress, void *arg, uint64_t *out_erased,
                               struct dom_err *err);
/* Rotation as above, then the names purge with its ledger entry for everything that was ERASED before it
 * began. Resumable: call again. Returns: as mover_rotate_kek and store_names_purge. */
enum dom_code mover_purge_names(struct mover *m, struct dom_err *err);

/* Whether a row of STORE_TABLE_HANDOFF or STORE_TABLE_FORGET says that nothing more is to come: at the
 * source, and where a person was erased, NAMES_PURGED, or aborted; at the target active or discarded. False
 * also for a row that cannot be read. Pure. */
bool move_row_finished(enum store_table table, struct slice key, struct slice value);

/* ---- quarantine --------------------------------------------------------------------------- */

/* A region that came back from a backup must not serve by what it knew then. Each region signs how far its
 * log and ledger are, tells the others, and keeps what they told; a region that is shown a word of its own
 * that is ahead of what it has is in quarantine: durably, until it has learned from every other region of the
 * charter what it missed. It then goes on by itself, unless something was lost: that an operator accepts. */
enum mover_quarantine_state {
  MOVER_OPEN = 0,        /* nobody has seen more of this region than it knows */
  MOVER_UNCONFIRMED = 1, /* start_confirmed, and nobody has answered yet */
  MOVER_QUARANTINE = 2,  /* behind: catching up */
  MOVER_LOSS = 3         /* caught up, but some subjects are lost: waits for mover_quarantine_leave */
};
struct mover_quarantine_status {
  enum mover_quarantine_state state;
  uint64_t since_ms;
  uint64_t lsn, ledger_size;             /* of this region's log and ledger */
  uint64_t seen_lsn, seen_ledger_size;   /* the newest that others have seen of them */
  uint64_t lost;                         /* subjects */
  bool told_all;                         /* every region of the charter has kept how far this one is now */
  uint16_t missing[CHARTER_REGIONS_MAX]; /* regions whose answers are waited for */
  size_t missing_count;
};
/* Asks every region of the charter once what it has seen of this one, before it serves; together at most
 * some seconds. Whoever does not answer is asked by mover_watch. */
void mover_confirm(struct mover *m);
/* To be called every second or so, by a thread that may wait for other regions: tells how far this region
 * is, asks who has not answered, and catches up in quarantine. With inline_threads mover_upkeep does it.
 * Returns: the first failure; the others were tried all the same. */
enum dom_code mover_watch(struct mover *m, struct dom_err *err);
/* False: no subject is served, read or moved. Threads: any; costs one load. */
bool mover_is_open(const struct mover *m);
enum dom_code mover_quarantine_status(struct mover *m, struct mover_quarantine_status *out,
                                      struct dom_err *err);
/* Where there still is a copy of who is lost. Numbers are on disk. */
enum mover_copy {
  MOVER_COPY_NONE = 0,
  MOVER_COPY_KEPT = 1,    /* at the former home, which has not heard that the subject is served here */
  MOVER_COPY_PREPARED = 2 /* at the region that was to become the home: all of it, as of the fence */
};
/* What one region tells of a subject whose home is this region by what others know, and whose data is not
 * here. Several may tell of one subject. */
struct mover_lost {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch; /* the last one known; PREPARED: of that handoff */
  uint16_t from;  /* the region that tells of it: it came from there, PREPARED: it has the copy; 0: the
                           registrar */
  enum mover_copy copy;
  char country[2];
  uint64_t epoch_from;           /* with a copy: what its handoff's row says in region `from` */
  uint64_t charter_version;      /* PREPARED */
  uint8_t manifest[SHA256_SIZE]; /* PREPARED */
};
typedef bool (*mover_lost_fn)(void *arg, const struct mover_lost *lost);
enum dom_code mover_quarantine_lost(struct mover *m, mover_lost_fn fn, void *arg, struct dom_err *err);
/* The operator's word that this region may be behind although nobody has seen more of it: a backup from
 * before the last mark, or a claim that is not on record (mover_claims). As if a later word had come: it
 * serves nobody until it has learned from all other regions who left. Durable: at DOM_OK. Returns:
 * DOM_INVALID it is in quarantine already, or has no peers; what a commit returns: it is in quarantine then,
 * until it is started again. */
enum dom_code mover_quarantine_enter(struct mover *m, struct dom_err *err);
/* The operator's word that what is lost is lost; each subject that goes on gets an entry in the ledger, and
 * what is told of one who lives elsewhere by the record is forgotten. Of whom there is no copy goes on here,
 * empty, under an epoch that nobody has used. A copy kept at the former home comes here once more, under the
 * same epoch, as soon as that region is asked to end its handoff (upkeep); until then requests are told to
 * come again. A prepared copy is where the subject goes on: this region signs that it left. `unheard`: also
 * without the regions that do not answer. Durable: at DOM_OK, and the region serves. Can be called again
 * after a failure. Returns: DOM_INVALID not in quarantine; DOM_BUSY some region has not answered, or two
 * contradict each other about one copy; DOM_REFUSED the charter does not let the subject live where its
 * prepared copy is; DOM_UNAVAILABLE the registrar; what a commit returns.
 */
enum dom_code mover_quarantine_leave(struct mover *m, bool unheard, struct dom_err *err);

/* A region that says that a subject is at home there, and is not on record with it. With a lower epoch than
 * the record's, and another home, it is behind: mover_quarantine_enter there. With a higher one the registrar
 * has not been told yet. */
struct mover_claim {
  uint8_t token[TOKEN_SIZE];
  uint16_t region;
  uint64_t epoch;
  uint16_t record_home; /* 0: no such subject, or a tombstone */
  uint64_t record_epoch;
};
typedef bool (*mover_claim_fn)(void *arg, const struct mover_claim *claim);
struct mover_unheard {
  uint16_t region[CHARTER_REGIONS_MAX];
  size_t count;
};
/* Every claim in the charter's regions, this one's first; fn returns false to stop. Only in the registrar's
 * region. A move that ends meanwhile may be shown: what stays when it is asked again is so. *out: regions
 * that did not answer. Threads: any; asks other regions, page by page. Returns: DOM_INVALID not the
 * registrar; DOM_UNAVAILABLE it is in quarantine; DOM_CORRUPT. */
enum dom_code mover_claims(struct mover *m, mover_claim_fn fn, void *arg, struct mover_unheard *out,
                           struct dom_err *err);

/* What the caller knows of locks and this room does not: whether a version may not be removed now, by its
 * opaque metadata. Called for each version. */
struct mover_forget_check {
  bool (*is_locked)(void *arg, struct slice meta);
  void *arg;
};
enum mover_forget_stage {
  MOVER_FORGET_NOT_YET = 0,
  MOVER_FORGET_ORDERED = 2, /* nobody reads or writes it any more */
  MOVER_FORGET_KEY_DROPPED = 3,
  MOVER_FORGET_ERASED = 4,
  MOVER_FORGET_NAMES_PURGED = 5
};
struct mover_forget_status {
  enum mover_forget_stage stage; /* of this region; NOT_YET after a dry run */
  uint64_t epoch, epoch_allotted;
  char country[2];
  uint64_t objects, bytes;                               /* versions that go, or went */
  uint64_t started_ms, dropped_ms, erased_ms, purged_ms; /* wall clock; 0: not yet */
  bool registrar_knows;
  uint32_t peer_count;
  struct {
    uint16_t region;
    enum mover_forget_stage stage; /* NOT_YET: it has something, or did not answer */
  } peer[CHARTER_REGIONS_MAX];
};
/* Erases a person for good, whose home is here: all versions, markers, uploads and parts, in every bucket.
 * The subject's row becomes a tombstone, the registrar is told the highest epoch ever allotted, other regions
 * erase what they still have of earlier stays. ERASED follows with the next rotation of the KEK, NAMES_PURGED
 * with the next names purge. Asked again, it goes on with what is under way and tells how far it is. dry_run
 * says whether it may be, and how much it is; changes nothing. Durable: at DOM_OK (not a dry run) the order
 * and KEY_DROPPED here; upkeep goes on with the rest. Returns: DOM_REFUSED keep_at_least_days, with the
 * clause; DOM_BUSY versions under object lock, with their number, or it is being moved; DOM_ELSEWHERE it
 * lives in another region, which err names; DOM_NOT_FOUND unknown here; DOM_UNAVAILABLE in quarantine; what
 * the vault and the store return: call again. */
enum dom_code mover_forget(struct mover *m, const uint8_t token[TOKEN_SIZE],
                           const struct mover_forget_check *check, bool dry_run,
                           struct mover_forget_status *out, struct dom_err *err);

/* What waits here to be ERASED: of people who left, and of people erased for good. */
struct mover_erasures {
  uint64_t waiting;          /* (subject, epoch) pairs */
  uint64_t dropped;          /* of these: only the KEK has to go */
  uint64_t overdue;          /* of these: past the charter's delete_abroad_within_hours */
  uint64_t late_ms;          /* the worst of them, by how much */
  uint64_t next_deadline_ms; /* wall clock; the earliest to come; 0: none */
  uint64_t erased;           /* by a rotation in this very call */
};
/* What a slower timer calls, in a thread of its own: keeps the charter's delete_abroad_within_hours. When a
 * quarter of the time of any is left, or a person erased for good has waited MOVER_PERSON_ERASED_MS, it
 * rotates the KEK, once for all that wait. Overdue ones get an entry in the ledger, again when they are more.
 * In quarantine it only counts.
 * Threads: one at a time; may take as long as a rotation.
 * Returns: *out is filled, whatever is returned; what a rotation and a commit return: call again. */
enum { MOVER_PERSON_ERASED_MS = 12 * 3600 * 1000 };
enum dom_code mover_erasures(struct mover *m, struct mover_erasures *out, struct dom_err *err);

/* What a timer calls: give up what no thread copies any more, deliver commits, ask about staged epochs, go on
 * erasing, run inline jobs. One round over all open handoffs, in which a peer that does not answer is asked
 * once. *out_did tells whether anything came on.
 * Threads: one at a time. Returns: the first failure; the others were tried all the same. */
enum dom_code mover_upkeep(struct mover *m, bool *out_did, struct dom_err *err);

/* How many rows upkeep has read since the mover was opened: its cost, for tests. */
uint64_t mover_upkeep_rows(const struct mover *m);

#endif
