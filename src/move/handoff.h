/* Handoff: the protocol as a pure table, and the durable row that remembers a side's state.
 * No I/O, no clock. Only the move room includes this. */
#ifndef DOMICILE_MOVE_HANDOFF_H
#define DOMICILE_MOVE_HANDOFF_H

#include "store/store.h"
#include "subject/subject.h"

enum handoff_side { HANDOFF_SOURCE = 1, HANDOFF_TARGET = 2 };

/* Numbers are on disk, and none is used anew. */
enum handoff_state {
  HANDOFF_NONE = 0,      /* no row */
  HANDOFF_COPYING = 1,   /* source: the subject is home and writes go on; each is in the journal */
  HANDOFF_FENCED = 2,    /* source: writes wait; the target is asked to prepare */
  HANDOFF_COMMITTED = 3, /* source: the subject has left by our word; our copy stays until it is confirmed */
  HANDOFF_ERASING = 4,   /* source: the target serves */
  HANDOFF_DROPPED = 5,   /* source: the data key's slots are overwritten */
  HANDOFF_ERASED = 6,    /* source: and so is the KEK that wrapped them */
  HANDOFF_PURGED = 7,    /* source, the end: no name is left in the index */
  HANDOFF_ABORTED = 8,   /* source, the end: the subject stayed; the epoch is used up */
  HANDOFF_STAGING = 16,  /* target: takes items in, unseen */
  HANDOFF_PREPARED = 17, /* target: has all that the manifest names, and waits for the source's word */
  HANDOFF_ACTIVE = 18,   /* target, the end: serves */
  HANDOFF_DISCARDED = 19 /* target, the end: the key of what was staged is dropped, then its rows */
};

enum handoff_event {
  EVENT_BEGIN,     /* a move is wanted; at the target: move/begin */
  EVENT_QUIET,     /* a round of the journal was small, and the gate is closed */
  EVENT_FAIL,      /* anything before the commit, a crash too */
  EVENT_PREPARED,  /* the target has the very manifest */
  EVENT_CONFIRMED, /* the target serves, and the registrar knows */
  EVENT_DROPPED,   /* the vault overwrote the slots, durably */
  EVENT_KEK_GONE,  /* a rotation ended that began after the drop */
  EVENT_PURGED,    /* the index was written anew since */
  EVENT_ITEMS,     /* items or a body */
  EVENT_PREPARE,   /* move/prepare */
  EVENT_COMMIT,    /* the source's signed statement, whoever brings it */
  EVENT_ABORT      /* move/abort, or the answer to move/ask, or a newer epoch */
};

/* What a step does beside its change of the row, in the same commit where it logs. */
enum handoff_action {
  ACTION_NOTHING,
  ACTION_LOG_INTENT,      /* ledger: MOVE_INTENT; the subject's row says COPYING */
  ACTION_LOG_FENCE,       /* the subject's row says FENCED */
  ACTION_LOG_ABORT,       /* ledger: MOVE_ABORTED; the row says HOME */
  ACTION_LOG_COMMIT,      /* ledger: MOVE_COMMITTED; tombstone and statement */
  ACTION_LOG_ERASING,     /* nothing more: the erasure begins */
  ACTION_LOG_KEY_DROPPED, /* ledger: KEY_DROPPED */
  ACTION_LOG_ERASED,      /* ledger: ERASED */
  ACTION_LOG_PURGED,      /* ledger: NAMES_PURGED */
  ACTION_LOG_STAGING,     /* a data key under the target's epoch */
  ACTION_STAGE,           /* items are stored and read back */
  ACTION_LOG_PREPARED,    /* ledger: MOVE_PREPARED */
  ACTION_LOG_ACTIVE,      /* ledger: SUBJECT_HOMED; the subject's row says HOME */
  ACTION_DISCARD          /* the row first, so that nothing late is staged; then the key */
};

/* The next state and what to do; false when the step is not legal (outputs untouched). Pure; threads: any.
 * Source: move_states.def, which the model in tests/model includes too. */
bool handoff_step(enum handoff_side side, enum handoff_state state, enum handoff_event event,
                  enum handoff_state *out_next, enum handoff_action *out_action);
/* In lower case, as in listings and fault points; "unknown" for a number that is no state. */
const char *handoff_state_name(enum handoff_state state);
/* The i-th row of the table for tests and models' listings; false past the end. */
bool handoff_row_at(size_t i, enum handoff_side *side, enum handoff_state *state, enum handoff_event *event,
                    enum handoff_state *next, enum handoff_action *action);

/* What one side durably knows of one handoff. Key of the row: token ‖ epoch (big-endian) ‖ side. */
struct handoff {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch; /* target epoch */
  enum handoff_side side;
  enum handoff_state state;
  uint16_t peer;       /* the other region */
  uint64_t epoch_from; /* the epoch the data lies under at the source */
  char country[2];
  uint64_t charter_version; /* under which it was permitted; at the target, prepared */
  uint8_t manifest[SHA256_SIZE];
  uint64_t objects, bytes; /* of the manifest; for people */
  uint64_t started_ms;     /* source, from COMMITTED on: of the commit */
  uint64_t kek;            /* KEY_DROPPED under this KEK (source, from DROPPED on) */
  uint64_t commit_lsn; /* LSN of the last state change's record, its ledger entry's cursor; in a row, which is
                          written before its LSN is known, that of the change before */
};
/* Whether upkeep may have something to do for it. DISCARDED stays so until nothing of it is left. */
bool handoff_is_open(const struct handoff *h);
enum { HANDOFF_KEY_SIZE = TOKEN_SIZE + 8 + 1 };
/* token, epoch u64 big-endian, side u8: rows of one subject lie together, oldest epoch first. */
void handoff_key(const struct handoff *h, uint8_t out[HANDOFF_KEY_SIZE]);
/* What begins every message about a handoff: token and epoch. */
void handoff_head_put(struct buf *out, const struct handoff *h);
/* The row's value: docs/formats/handoff.md "Rows". *out fails without memory. */
void handoff_encode(const struct handoff *h, struct buf *out);
/* Returns: DOM_CORRUPT another size or version, or no such state or side. */
enum dom_code handoff_decode(struct slice key, struct slice value, struct handoff *out, struct dom_err *err);

/* Reads one side's row as the view shows it. Returns: DOM_NOT_FOUND; DOM_CORRUPT; what the store returns. */
enum dom_code handoff_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                          enum handoff_side side, struct handoff *out, struct dom_err *err);
/* Adds the row, in its state, to the tx. Durable: with the tx. Returns: what store_tx_row_put does. */
enum dom_code handoff_put(struct store_tx *tx, const struct handoff *h, struct dom_err *err);
/* Rows of a token (NULL: of all), in key order, until fn returns false. h is the scan's own. Returns:
 * DOM_CORRUPT a row does not decode; what the store returns. */
typedef bool (*handoff_fn)(void *arg, const struct handoff *h);
enum dom_code handoff_scan(struct store_view *v, const uint8_t *token, handoff_fn fn, void *arg,
                           struct dom_err *err);
/* All rows behind that of `after`, in key order. */
enum dom_code handoff_scan_after(struct store_view *v, const struct handoff *after, handoff_fn fn, void *arg,
                                 struct dom_err *err);

#endif
