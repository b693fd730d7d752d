/* Erasing a person for good: the durable row of it. No I/O beyond rows. Only the move room includes this. */
#ifndef DOMICILE_MOVE_FORGET_H
#define DOMICILE_MOVE_FORGET_H

#include "store/store.h"
#include "subject/subject.h"

enum forget_state { /* numbers are on disk */
                    FORGET_NONE = 0,
                    FORGET_CHECKING = 1, /* writers are fenced; may it be? A crash gives it up */
                    FORGET_ERASING = 2,  /* ordered: reads and writes ended, forward only from here */
                    FORGET_DROPPED = 3,
                    FORGET_ERASED = 4,
                    FORGET_PURGED = 5
};
const char *forget_state_name(enum forget_state state);

/* How far another region says it is with what it still had of the person. Numbers are on disk and on the
 * wire. */
enum forget_stage {
  FORGET_STAGE_READABLE = 0, /* something there can still be read; also: not heard of yet */
  FORGET_STAGE_DROPPED = 1,
  FORGET_STAGE_ERASED = 2,
  FORGET_STAGE_PURGED = 3 /* also: had nothing */
};

struct forget_peer {
  uint16_t region;
  uint8_t stage;
};

/* One erasure of one person, at the home that has it. Key of the row: token ‖ epoch (big-endian). */
struct forget {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch; /* lived under; its key goes */
  enum forget_state state;
  bool told; /* the registrar has the tombstone */
  char country[2];
  uint64_t allotted; /* the highest epoch ever allotted for the token here */
  uint64_t kek;      /* KEY_DROPPED under this KEK, from DROPPED on */
  uint64_t objects, bytes;
  uint64_t started_ms, dropped_ms, erased_ms, purged_ms; /* wall clock; 0: not yet */
  uint32_t peer_count;
  struct forget_peer peer[CHARTER_REGIONS_MAX];
};
enum { FORGET_KEY_SIZE = TOKEN_SIZE + 8 };
void forget_encode(const struct forget *f, struct buf *out);
/* DOM_CORRUPT. */
enum dom_code forget_decode(struct slice key, struct slice value, struct forget *out, struct dom_err *err);
/* DOM_NOT_FOUND. */
enum dom_code forget_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                         struct forget *out, struct dom_err *err);
/* Adds the row to the tx; one in state NONE is removed. */
enum dom_code forget_put(struct store_tx *tx, const struct forget *f, struct dom_err *err);
/* Rows of a token (NULL: of all), in key order. */
typedef bool (*forget_fn)(void *arg, const struct forget *f);
enum dom_code forget_scan(struct store_view *v, const uint8_t *token, forget_fn fn, void *arg,
                          struct dom_err *err);
/* Whether upkeep has something to do for it. */
bool forget_is_open(const struct forget *f);
/* The row of that region in f->peer, added when it is not there; NULL when there is no room. */
struct forget_peer *forget_peer(struct forget *f, uint16_t region);

#endif
