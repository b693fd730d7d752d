/* Handoff: the protocol as a pure table, and the durable row that remembers a side's state.
 * No I/O, no clock. Only the move room includes this. */
#ifndef DOMICILE_MOVE_HANDOFF_H
#define DOMICILE_MOVE_HANDOFF_H

#include "store/store.h"
#include "subject/subject.h"

enum handoff_side { HANDOFF_SOURCE = 1, HANDOFF_TARGET = 2 };

enum handoff_state { /* numbers are on disk */
                     HANDOFF_NONE = 0,
                     HANDOFF_COPYING = 1,
                     HANDOFF_FENCED = 2,
                     HANDOFF_COMMITTED = 3,
                     HANDOFF_ERASING = 4,
                     HANDOFF_DROPPED = 5,
                     HANDOFF_ERASED = 6,
                     HANDOFF_PURGED = 7,
                     HANDOFF_ABORTED = 8,
                     HANDOFF_STAGING = 16,
                     HANDOFF_PREPARED = 17,
                     HANDOFF_ACTIVE = 18,
                     HANDOFF_DISCARDED = 19
};

enum handoff_event {
  EVENT_BEGIN,
  EVENT_QUIET,
  EVENT_FAIL,
  EVENT_PREPARED,
  EVENT_CONFIRMED,
  EVENT_DROPPED,
  EVENT_KEK_GONE,
  EVENT_PURGED,
  EVENT_ITEMS,
  EVENT_PREPARE,
  EVENT_COMMIT,
  EVENT_ABORT
};

enum handoff_action {
  ACTION_NOTHING,
  ACTION_LOG_INTENT,
  ACTION_LOG_FENCE,
  ACTION_LOG_ABORT,
  ACTION_LOG_COMMIT,
  ACTION_LOG_ERASING,
  ACTION_LOG_KEY_DROPPED,
  ACTION_LOG_ERASED,
  ACTION_LOG_PURGED,
  ACTION_LOG_STAGING,
  ACTION_STAGE,
  ACTION_LOG_PREPARED,
  ACTION_LOG_ACTIVE,
  ACTION_DISCARD
};

/* The next state and what to do; false when the step is not legal (outputs untouched). */
bool handoff_step(enum handoff_side side, enum handoff_state state, enum handoff_event event,
                  enum handoff_state *out_next, enum handoff_action *out_action);
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
  uint64_t objects, bytes;
  uint64_t started_ms; /* source, from COMMITTED on: of the commit */
  uint64_t kek;        /* KEY_DROPPED under this KEK (source, from DROPPED on) */
  uint64_t commit_lsn; /* LSN of the last state change's record, its ledger entry's cursor; in a row, which is
                          written before its LSN is known, that of the change before */
};
/* Whether upkeep may have something to do for it. DISCARDED stays so until nothing of it is left. */
bool handoff_is_open(const struct handoff *h);
enum { HANDOFF_KEY_SIZE = TOKEN_SIZE + 8 + 1 };
void handoff_key(const struct handoff *h, uint8_t out[HANDOFF_KEY_SIZE]);
/* What begins every message about a handoff: token and epoch. */
void handoff_head_put(struct buf *out, const struct handoff *h);
void handoff_encode(const struct handoff *h, struct buf *out);
/* DOM_CORRUPT. */
enum dom_code handoff_decode(struct slice key, struct slice value, struct handoff *out, struct dom_err *err);

/* Reads one side's row. DOM_NOT_FOUND. */
enum dom_code handoff_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                          enum handoff_side side, struct handoff *out, struct dom_err *err);
/* Adds the row, in its state, to the tx. */
enum dom_code handoff_put(struct store_tx *tx, const struct handoff *h, struct dom_err *err);
/* Rows of a token (NULL: of all), in key order. */
typedef bool (*handoff_fn)(void *arg, const struct handoff *h);
enum dom_code handoff_scan(struct store_view *v, const uint8_t *token, handoff_fn fn, void *arg,
                           struct dom_err *err);
/* All rows behind that of `after`, in key order. */
enum dom_code handoff_scan_after(struct store_view *v, const struct handoff *after, handoff_fn fn, void *arg,
                                 struct dom_err *err);

#endif
