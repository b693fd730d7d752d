/* What the files of the move room share. Nobody outside includes this. */
#ifndef DOMICILE_MOVE_INTERNAL_H
#define DOMICILE_MOVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "move/forget.h"
#include "move/handoff.h"
#include "move/move.h"

/* Bytes of bodies, whose hashes come with the items; what is said of them is in the part that is signed. */
#define MOVE_BODY_PATH NET_BULK_PREFIX "move/body"
/* Items, signed, and behind them the bodies that go with them. */
#define MOVE_ITEMS_PATH NET_BULK_PREFIX "move/items"

enum {
  MOVE_PROTOCOL = 4,           /* of messages, items and manifest: docs/formats/handoff.md */
  MOVE_MESSAGE_FILL = 4 << 20, /* items are gathered up to this before they are sent: half of NET_MESSAGE_MAX,
                                  so that one more item of any inline size still fits */
  MOVE_STAGE_ITEMS = 512, /* of one commit at the target: what a client's commit waits for behind it stays
                             some milliseconds */
  MOVE_UNSEALED_MAX =
      256, /* bodies on their way into a target at once, each an open file and 1.1 MiB: a source sends
              one for each subject that it moves at the time, so this is four regions' */
  MOVE_BODY_CHUNK = 4 << 20, /* of a body's transfer in one message: signing it is small beside hashing it */
  MOVE_READ_CHUNK = 1 << 20, /* of a body that is read to be hashed */
  MOVE_VERIFY_BYTES = 1 << 30, /* of a body read back within one message: seconds, well below its timeout */
  MOVE_ROUNDS_MAX = 8,         /* journal rounds before the subject's writers are slowed */
  MOVE_SLOW_ROUNDS_MAX =
      6,             /* … and rounds with slowed writers before the fence goes up whatever the rest is */
  MOVE_SLOW_MS = 10, /* the first delay of a writer; doubles each round up to 320 ms, below what a
                        client takes for an outage */
  MOVE_FENCE_ENTRIES = 64,    /* journal entries left below which the fence goes up: some milliseconds … */
  MOVE_FENCE_BYTES = 8 << 20, /* … and bytes: 0.1 s at 80 MB/s */
  MOVE_JOURNAL_BATCH = 256,   /* journal entries of one scan */
  MOVE_GATE_DRAIN_MS = 1500,  /* how long writers inside may take once the gate is closed; below the 2 s that
                                 a held request waits */
  MOVE_MESSAGE_TIMEOUT_MS = 20000, /* an 8 MiB message to a busy region on a slow disk */
  MOVE_ASK_AFTER_MS = 10000,       /* a staged epoch without a message this long asks its source */
  MOVE_RETRIES_MAX = 64,           /* guards of one commit */
  MOVE_PARALLEL_DEFAULT = 4,       /* subjects at once: hides a round trip without starving clients */
  MOVE_PARALLEL_MAX = 64,
  MOVE_LEDGER_WAIT_MS = 100,  /* for an entry index; without it the next entry names no peer */
  MOVE_LEDGER_FENCED_MS = 20, /* … where writers are held meanwhile */
  FORGET_REST_MAX = 64, /* earlier stays of one person here that are not at their end: who has more is asked
                           about again */
  FORGET_BATCH = 64,    /* erasures taken a stage on in one scan */
  OPEN_KEY_SIZE = HANDOFF_KEY_SIZE, /* token ‖ epoch ‖ side, 0 for the erasure of a person */
  OPEN_BUCKETS = 1 << 12,           /* open handoffs are few, or wait for a peer that is away */
  MOVE_SETS = 256,                  /* buckets of the two in-memory sets below */
  MOVE_MEMO_MAX = 1 << 19 /* items of one handoff whose digests are kept: 96 MiB at most with its free
                             places. What is past it is read again behind the fence */
};

/* A small set of tokens, for "somebody works on this subject". */
struct token_set {
  pthread_mutex_t lock;
  struct token_node {
    uint8_t token[TOKEN_SIZE];
    uint64_t stamp_ms;
    struct token_node *next;
  } * bucket[MOVE_SETS];
};

/* Handoffs and erasures that are not at their end. */
struct open_set {
  pthread_mutex_t lock;
  bool loaded; /* the rows were read; from then on each change is noted */
  size_t count;
  _Atomic uint64_t looked; /* rows that upkeep read, for tests of its cost */
  struct open_node *bucket[OPEN_BUCKETS];
};

/* A region's signed word on how far its log and ledger are (docs/formats/handoff.md). What one region has
 * heard of another is kept durably, and shown to that one: so a region restored from a backup learns it.
 */
struct mark {
  uint64_t life; /* grows with each time the region came back from a backup and went on from there */
  uint64_t ledger_size, lsn;
  uint8_t checkpoint[SHA256_SIZE]; /* of the checkpoint's text; zero without a ledger */
};
#define MARK_LIFE_MAX (UINT64_C(1) << 18) /* each takes an operator: one a day for seven centuries */
enum { MARK_SIZE = 4 + 1 + 16 + 2 + 8 + 8 + 8 + SHA256_SIZE + ED25519_SIG_SIZE };

/* What this region says to one other, and has from it. In memory only. */
struct watched {
  uint16_t region;
  bool heard;        /* it answered since this start */
  bool told;         /* `told_at` was said */
  uint64_t told_at;  /* LSN without the marks that were kept since: else two idle regions would tell each
                        other of nothing but that, for ever */
  uint64_t next_ms;  /* monotonic: not before */
  bool history_done; /* in quarantine: all it knows was taken */
  bool unproven;     /* … but something, which may be proven by what it tells of later moves */
  uint8_t phase;     /* … else where to go on */
  struct buf cursor;
};

struct quarantine {
  atomic_int state;     /* enum mover_quarantine_state */
  pthread_mutex_t lock; /* over what follows: one thread watches or catches up at a time */
  uint64_t life;
  uint64_t since_ms; /* wall clock */
  struct mark ahead; /* what somebody has seen of this region */
  struct watched watched[CHARTER_REGIONS_MAX];
  size_t watched_count;
  atomic_ullong marks_kept; /* commits that only kept somebody's mark */
  bool ended_open;          /* what the backup had open was ended */
};

struct mover {
  struct mover_options o;
  uint64_t rotate_after_ms; /* monotonic: a rotation by the timer failed, and is tried again then */
  uint64_t overdue_told;    /* how many the last ledger entry told of */
  struct open_set open;
  struct quarantine quarantine;
  struct token_set running; /* source handoffs with a thread */
  struct token_set heard;   /* target: when a message of this token's handoff last came */
  struct token_set resent;  /* source: when a kept copy was last sent again, in vain so far */
  struct transfers *transfers;
  uint64_t verify_bytes; /* MOVE_VERIFY_BYTES; tests set less */
  struct job_runner *jobs;
  struct job_list *lists; /* LISTS_OPEN_MAX that are coming in */
  pthread_mutex_t lists_lock;
  pthread_mutex_t rotate_lock; /* one rotation or purge at a time */
  bool repaired_told;          /* upkeep's: no notes of a repair are left */
  atomic_bool stopping;
};

/* repaired.c: makes ledger entries of what a repair of the log could not save; once after a start.
 * Returns: what the store's reads and a commit return. */
enum dom_code repaired_tell(struct mover *m, struct dom_err *err);

void token_set_init(struct token_set *s);
void token_set_done(struct token_set *s);
/* False when it was there already (or without memory). */
bool token_set_add(struct token_set *s, const uint8_t token[TOKEN_SIZE]);
void token_set_remove(struct token_set *s, const uint8_t token[TOKEN_SIZE]);
bool token_set_has(struct token_set *s, const uint8_t token[TOKEN_SIZE]);
void token_set_touch(struct token_set *s, const uint8_t token[TOKEN_SIZE], uint64_t now_ms);
uint64_t token_set_stamp(struct token_set *s, const uint8_t token[TOKEN_SIZE]); /* 0: not there */

/* open_set.c */
void open_set_init(struct open_set *s);
void open_set_done(struct open_set *s);
/* Reads the rows, where that was not done yet: at open, before anybody changes them; later only what a lack
 * of memory left out. */
enum dom_code open_set_load(struct mover *m, struct dom_err *err);
/* What of a person who left, or is erased for good, is not ERASED here yet. */
struct erasure_wait {
  uint64_t since_ms; /* wall clock: the commit of the move, or the order; 0: nothing waits */
  char country[2];
  bool dropped; /* only the KEK has to go */
  bool person;  /* erased for good, not moved */
};
/* After each durable change of a row: whether upkeep has to look at it, and what waits (since_ms 0: none). */
void open_set_note(struct open_set *s, const uint8_t key[OPEN_KEY_SIZE], bool open,
                   const struct erasure_wait *wait);
void open_set_handoff(struct open_set *s, const struct handoff *h, bool open);
void open_set_forget(struct open_set *s, const struct forget *f);
/* All that wait, with the set's lock held: fn is short. */
typedef void (*erasure_wait_fn)(void *arg, const struct erasure_wait *wait);
enum dom_code open_set_waits(struct mover *m, erasure_wait_fn fn, void *arg, struct dom_err *err);
/* A copy of all keys, which the caller frees with dom_free; NULL when there are none. Reads the rows where
 * that was not done yet. Returns: DOM_NO_MEMORY; what the store's reads return. */
enum dom_code open_set_take(struct mover *m, uint8_t (**out)[OPEN_KEY_SIZE], size_t *out_count,
                            struct dom_err *err);
void forget_open_key(const struct forget *f, uint8_t out[OPEN_KEY_SIZE]); /* forget_row.c */

/* Whether a kept copy was sent again a moment ago, in vain: it costs the source as much as a move. */
bool was_resent(struct mover *m, const uint8_t token[TOKEN_SIZE]);

/* Crash tests stop the process here; production has no hook. */
void mover_fault(struct mover *m, const char *step);

/* One durable state change of a handoff: reads, fills the tx, may change *h. The row itself is put by
 * mover_advance, in state `next`. */
typedef enum dom_code (*mover_step_fn)(void *arg, struct mover *m, struct store_view *v, struct store_tx *tx,
                                       struct handoff *h, struct dom_err *err);
/* Applies `event` to *h by the table, commits the row together with what fn (may be NULL) adds; *h is the
 * new state then. DOM_STALE_EPOCH when the event is not legal in h->state, or when the row
 * has another state by now. */
enum dom_code mover_advance(struct mover *m, struct handoff *h, enum handoff_event event, mover_step_fn fn,
                            void *arg, struct dom_err *err);
/* The ledger index of the entry committed at lsn, waiting so long for the ledger writer; false without. */
bool mover_entry_index(struct mover *m, uint64_t lsn, uint32_t wait_ms, uint64_t *out_index);
/* A move entry of the ledger for this handoff. peer: log id 32 ‖ index u64be, or empty. */
enum dom_code mover_entry(struct mover *m, struct store_tx *tx, enum ledger_type type,
                          const struct handoff *h, struct slice peer, struct dom_err *err);
/* log id 32 ‖ index 8 of our entry at lsn, appended; nothing appended when not known in time. */
void mover_peer_ref(struct mover *m, uint64_t lsn, uint32_t wait_ms, struct buf *out);
enum dom_code mover_permit(struct mover *m, const uint8_t token[TOKEN_SIZE], const char country[2],
                           uint16_t home, uint16_t target, struct charter_permit_storage *storage,
                           const struct permit **out, struct dom_err *err);
uint64_t mover_charter_version(struct mover *m);

/* mark.c */
enum dom_code mark_own(struct mover *m, struct mark *out, struct dom_err *err);
void mark_encode(struct mover *m, const struct mark *mark, struct buf *out);
/* DOM_INVALID does not decode; DOM_DENIED not of `region`, or not signed by it. */
enum dom_code mark_decode(struct mover *m, uint16_t region, struct slice bytes, struct mark *out,
                          struct dom_err *err);
/* Whether a region at `mine` lacks something that it had when it signed `seen`. */
bool mark_is_ahead(const struct mark *seen, const struct mark *mine);
/* Answers "move/mark": keeps the sender's if it is newer, and replies whether it does and the newest that was
 * known before. */
enum dom_code mark_message(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err);
/* Tells region `to` our mark; *out_seen what it had seen of us, zero for nothing; *out_kept whether it keeps
 * what we told, durably: its disk may take no writes. */
enum dom_code mark_tell(struct mover *m, uint16_t to, uint32_t timeout_ms, struct mark *out_seen,
                        bool *out_kept, struct dom_err *err);

/* history.c: what one region can tell another, that came back from a backup, about their handoffs. */
enum fact_kind {
  FACT_LEFT = 1,    /* a handoff of which the asked region is, or was to be, the target */
  FACT_CAME = 2,    /* … or the source */
  FACT_RECORD = 3,  /* the registrar has the asking region on record as home */
  FACT_AT_HOME = 4, /* to the registrar: the asked region is home */
  FACT_ERASED = 5,  /* the registrar's tombstone, told to all; or a home's own, told to the registrar */
  FACT_GONE = 6 /* to the registrar: the asked region handed the subject over to `home` under this epoch */
};
/* Phases: handoffs, records, subjects, tombs. */
enum { HISTORY_FIRST = 1, HISTORY_SUBJECTS = 3, HISTORY_END = 5 };
struct fact {
  enum fact_kind kind;
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch; /* ERASED: the highest ever allotted */
  char country[2];
  uint16_t home;            /* ERASED: where; GONE: whereto */
  enum handoff_state state; /* LEFT, CAME: the asked region's */
  uint64_t epoch_from;      /* LEFT, CAME */
  struct slice statement;   /* LEFT: by which it came; ERASED: the home's proof (tomb.c); may be empty */
  uint64_t charter_version; /* LEFT */
  uint8_t manifest[SHA256_SIZE];
};
enum dom_code history_message(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                              struct dom_err *err);
/* Asks for one page behind (*phase, cursor) and moves both on; fn sees each fact. *phase is HISTORY_END when
 * there is no more. Returns: fn's first failure; as net_call; DOM_INVALID the answer does not decode. */
typedef enum dom_code (*fact_fn)(void *arg, const struct fact *f, struct dom_err *err);
enum dom_code history_ask(struct mover *m, uint16_t of, uint8_t *phase, struct buf *cursor, fact_fn fn,
                          void *arg, struct dom_err *err);

/* quarantine.c */
enum dom_code quarantine_open(struct mover *m, struct dom_err *err);
void quarantine_close(struct mover *m);
/* Nothing of a handoff goes on while the region does not know what it missed. */
bool quarantine_holds(struct mover *m);
/* Somebody has seen more of this region than it knows. */
enum dom_code quarantine_enter(struct mover *m, const struct mark *ahead, struct dom_err *err);

/* items.c: one item of a handoff on the wire, big-endian (docs/formats/handoff.md). */
void item_put(struct buf *b, const struct store_item *item);
/* Slices borrow from the message; bodies are filled into `refs` (STORE_PART_MAX of them). */
bool item_get(struct reader *r, struct store_item *out, struct store_body_ref *refs, uint32_t refs_max);
/* Whether the item's body goes with it, behind all items of its message. */
bool item_has_inline(const struct store_item *item);
/* What begins a message of bulk about a handoff, and what ends its signed part (both ends agree on it by
 * net_bulk_split). */
void bulk_begin(struct buf *b, const struct handoff *h);
void bulk_seal(struct buf *b);

/* hashes.c: SHA-256 of bodies, which a row need not have. */
/* Of `size` bytes from `at` on, read in pieces. DOM_CORRUPT, DOM_IO, DOM_NO_MEMORY. */
enum dom_code hashes_read(struct store_found *found, uint64_t at, uint64_t size, uint8_t out[SHA256_SIZE],
                          struct dom_err *err);
/* The same, added to a hash that goes on. */
enum dom_code hashes_add(struct store_found *found, uint64_t at, uint64_t size, struct hash *hash,
                         struct dom_err *err);
/* Whether the item has all hashes that its kind has. */
bool hashes_known(const struct store_item *item);
/* Copies the references of an object's bodies so that they can be filled; *out_refs is the caller's to free
 * (untouched where there are none). */
enum dom_code hashes_own(struct store_item *item, struct store_body_ref **out_refs, struct dom_err *err);
/* The object's hash of those of its bodies, all known by now; does nothing when it is known. */
enum dom_code hashes_of_bodies(struct store_object *o, struct dom_err *err);
/* Reads what it takes to fill the hashes that the item (an object or a part that is there) lacks; refs as
 * from hashes_own. */
enum dom_code hashes_fill(struct store_found *found, struct store_item *item, struct store_body_ref *refs,
                          struct dom_err *err);

/* memo.c: digests of items that were read once, by stamp. Any thread. */
struct memo_line {
  uint8_t stamp[SHA256_SIZE], digest[SHA256_SIZE];
  uint64_t bytes;            /* of an object */
  enum store_item_kind kind; /* 0: no line */
};
struct memo;
struct memo *memo_new(void); /* NULL without memory */
void memo_free(struct memo *m);
/* Notes the line; without memory or room it is not noted. */
void memo_put(struct memo *m, const struct memo_line *line);
bool memo_get(struct memo *m, const uint8_t stamp[SHA256_SIZE], struct memo_line *out);

/* manifest.c: both sides compute it by the same walk over their own rows. */
/* The line of an item whose hashes are known. */
void manifest_line(const struct store_item *item, struct memo_line *out);
struct manifest_of {
  struct mover *m;
  enum permit_action action;
  const struct permit *permit; /* for the region that computes it */
  const uint8_t *token;
  uint64_t epoch;
  struct memo *memo; /* what is in it is not read again; may be NULL */
};
/* Bodies whose rows have no hash and that are not in the memo are read and hashed. */
enum dom_code manifest_compute(const struct manifest_of *of, uint8_t out[SHA256_SIZE], uint64_t *out_objects,
                               uint64_t *out_bytes, struct dom_err *err);

/* pace.c: the job's rate limit, and how it stands back for clients; shared by its workers. */
struct pace {
  pthread_mutex_t lock;
  _Atomic uint64_t rate_bytes_s; /* 0: none */
  uint64_t next_ns;              /* when the next byte may go */
  const atomic_bool *cancel;
  _Atomic uint64_t bytes, objects, yielded_ns;
};
void pace_init(struct pace *p, uint64_t rate_bytes_s, const atomic_bool *cancel);
void pace_done(struct pace *p);
/* Another rate from now on; bytes that wait by the old one go on at the new one. */
void pace_set_rate(struct pace *p, uint64_t rate_bytes_s);
/* Waits until `bytes` more may go; false when the job or the mover is to stop instead. Urgent bytes are
 * counted and never wait: writers are held until they are over. p NULL: no limit. */
bool pace_wait(struct pace *p, struct mover *m, uint64_t bytes, bool urgent);
/* While clients are about, sleeps in proportion to the time since this thread's last pause. */
void pace_yield(struct pace *p, struct mover *m);
/* A thread begins with a subject: what it did before counts no more. */
void pace_begin(struct mover *m);
/* Whether clients are about. */
bool pace_has_clients(struct mover *m);

/* copy.c: what the source sends. Stopping is asked for between two messages, but not once the fence is up:
 * then going on is sooner over. */
struct copy {
  struct mover *m;
  const struct handoff *h;
  const struct permit *permit; /* PERMIT_MOVE for the bytes in this region */
  struct pace *pace;           /* may be NULL */
  struct memo *memo;           /* of what was sent */
  struct buf batch;            /* items gathered so far … */
  struct buf bodies;           /* … and the bodies that go with them */
  uint32_t batch_items;
  uint64_t bytes, items; /* sent since copy_begin */
};
enum dom_code copy_begin(struct copy *c, struct mover *m, const struct handoff *h,
                         const struct permit *permit, struct pace *pace, struct dom_err *err);
void copy_done(struct copy *c);
enum dom_code copy_snapshot(struct copy *c, struct dom_err *err);
/* Sends what journal entries after *after name, unless it went as it is now; sets it to the last entry,
 * *out_sent to how many items that were. */
enum dom_code copy_journal(struct copy *c, uint64_t *after, uint32_t *out_sent, struct dom_err *err);

/* source.c */
struct source_result {
  uint64_t objects, bytes, held_ms;
  bool committed; /* it lives at the target now, confirmed or not */
};
enum dom_code source_move(struct mover *m, const uint8_t token[TOKEN_SIZE], uint16_t to, struct pace *pace,
                          struct source_result *out, struct dom_err *err);
/* Goes on with a handoff that a crash or a dead peer left: aborts, delivers the commit, or erases. */
enum dom_code source_resume(struct mover *m, const struct handoff *h, struct dom_err *err);
/* Answers "move/ask". */
enum dom_code source_asked(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err);

/* target.c */
enum dom_code target_message(struct mover *m, uint16_t from, const char *path, struct slice body,
                             struct buf *reply, struct dom_err *err);
enum dom_code target_commit(struct mover *m, struct slice statement, struct slice peer, struct dom_err *err);
enum dom_code target_ask(struct mover *m, const struct handoff *h, struct dom_err *err);

/* transfer.c: bodies on their way into the target, in memory only; a restart forgets them and the source
 * sends again. */
struct transfers *transfers_new(void);
void transfers_free(struct transfers *t);
/* One chunk: what is said of it, and its bytes. After the last one the body is read back and hashed,
 * MOVE_VERIFY_BYTES a message: *out_more says that there is more of that, and the last chunk, or an empty one
 * behind it, goes on with it. DOM_INVALID when the offset does not follow. */
enum dom_code transfer_chunk(struct mover *m, const struct permit *permit, const struct handoff *h,
                             struct slice sealed, struct slice bytes, bool *out_more, struct dom_err *err);
/* The body that the source names so, sealed and read back, its hash that of what was read; taken out of the
 * table: a commit names it, or it must be discarded. DOM_NOT_FOUND. */
enum dom_code transfer_take(struct mover *m, const struct handoff *h, const uint8_t id[STORE_BODY_ID_SIZE],
                            struct store_body_ref *out);
/* Forgets all of a handoff's and discards their bodies. */
void transfer_drop(struct mover *m, const struct handoff *h);
/* What was read back of a handoff's items, made when it is not there; NULL without memory. Held until
 * released; transfer_drop forgets it. A restart forgets it too, and the manifest reads all rows. */
struct memo *transfer_memo_hold(struct mover *m, const struct handoff *h);
void transfer_memo_release(struct mover *m, struct memo *memo); /* NULL is allowed */
/* How many are in the table. */
uint32_t transfer_count(struct mover *m);

/* erase.c */
enum dom_code erase_source(struct mover *m, struct handoff *h, struct dom_err *err);
/* Drops the key of (h's token, epoch) and removes the rows; idempotent. Of *h only token and country count.
 */
enum dom_code erase_epoch(struct mover *m, const struct handoff *h, uint64_t epoch, struct dom_err *err);
/* The target's copy goes: recorded first, then shredded. */
enum dom_code erase_discard(struct mover *m, struct handoff *h, struct dom_err *err);
/* Whether a crash came between the two, and the rest of it. */
bool erase_is_due(struct mover *m, struct store_view *v, const struct handoff *h);
enum dom_code erase_discarded(struct mover *m, const struct handoff *h, struct dom_err *err);

/* forget.c */
/* In a commit of a region in quarantine that makes the subject's row ERASED: the erasure as it would be had
 * this region ordered it, from where the key goes; the registrar knows. Returns: as forget_put; an entry's.
 */
enum dom_code forget_learned(struct mover *m, struct store_tx *tx, const struct store_subject *row,
                             struct dom_err *err);
/* Goes on with an erasure that upkeep found open. */
enum dom_code forget_resume(struct mover *m, const struct forget *f, struct dom_err *err);
/* Takes every erasure in DROPPED whose KEK is gone, or in ERASED, one stage on; adds how many to *out_count.
 */
enum dom_code forget_advance_all(struct mover *m, enum forget_state state, uint64_t *out_count,
                                 struct dom_err *err);
/* tomb.c: the signed word of a home that it erased a person, kept by the regions it told. A proof is country
 * 2 and the home's signature over it, token and epoch. */
enum { TOMB_PROOF_SIZE = 2 + ED25519_SIG_SIZE };
/* Appends this region's own proof of an erasure. */
void tomb_sign(struct mover *m, const struct forget *f, struct buf *out);
bool tomb_good(struct mover *m, uint16_t home, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
               struct slice proof);
/* Keeps a proof that is good, unless one of as high an epoch is kept. Durable: at return. */
enum dom_code tomb_keep(struct mover *m, uint16_t home, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                        struct slice proof, struct dom_err *err);
/* What is kept of that home, behind the row key `after` (empty: from the first); fn returns false to stop. */
typedef bool (*tomb_fn)(void *arg, struct slice key, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                        struct slice proof);
enum dom_code tomb_scan(struct store_view *v, uint16_t home, struct slice after, tomb_fn fn, void *arg,
                        struct dom_err *err);
/* Answers "move/forget". */
enum dom_code forget_asked(struct mover *m, uint16_t from, struct slice body, struct buf *reply,
                           struct dom_err *err);
/* probe.c: takes away what rehearsals left here whose source, or this region, ended meanwhile; what cannot go
 * now goes with the next start. Durable: at return. */
void probe_sweep(struct mover *m);
/* Answers "move/probe". Returns: DOM_INVALID what no rehearsal sends; as a commit. */
enum dom_code probe_message(struct mover *m, uint16_t from, struct slice body, struct dom_err *err);

/* job.c */
enum dom_code job_runner_open(struct mover *m, struct dom_err *err);
void job_runner_close(struct mover *m);
bool job_step_inline(struct mover *m);

#endif
