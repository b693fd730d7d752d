/* What the files of a restored region's quarantine share: quarantine.c (finds out, waits, goes on), learn.c
 * (what it missed), lost.c (who is lost with the disk, and how they go on). */
#ifndef DOMICILE_MOVE_QUARANTINE_H
#define DOMICILE_MOVE_QUARANTINE_H

#include "move/move_internal.h"

enum { QUARANTINE_AWAY_MS = 10000 /* a region that did not answer is asked again */ };

static inline uint64_t quarantine_now_ms(const struct mover *m) {
  return clock_mono_ns(m->o.clock) / 1000000;
}

/* A commit that goes on in quarantine. fn says DOM_EXISTS where there is nothing to do; a guard that changed
 * has it called again. Returns: DOM_OK; what fn and the commit return. */
typedef enum dom_code (*quarantine_step_fn)(void *arg, struct mover *m, struct store_view *v,
                                            struct store_tx *tx, struct dom_err *err);
enum dom_code quarantine_change(struct mover *m, quarantine_step_fn fn, void *arg, struct dom_err *err);

/* learn.c: takes in what a region knows of this one, page by page, for two seconds at most; w->history_done
 * tells whether that was all. Returns: as history_ask; what a commit returns. */
enum dom_code learn_from(struct mover *m, struct watched *w, struct dom_err *err);

enum {
  LOST_EPOCHS_MAX =
      1 << 20 /* above the record's, of handoffs that came to nothing: one a minute for two years */
};
/* lost.c: rows of subjects that came since the backup, one for each region that tells and kind of copy. */
enum dom_code lost_put(struct store_tx *tx, const struct mover_lost *lost, struct dom_err *err);
/* What the region `like->from` has said before of that subject and kind of copy. DOM_NOT_FOUND; DOM_CORRUPT
 * the row does not decode. */
enum dom_code lost_get(struct store_view *v, const struct mover_lost *like, struct mover_lost *out,
                       struct dom_err *err);
/* Whoever is known here under `epoch` or a later one is not lost: what was told of earlier ones goes. */
enum dom_code lost_drop(struct store_view *v, struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
                        uint64_t epoch, bool *out_dropped, struct dom_err *err);
enum dom_code lost_count(struct mover *m, uint64_t *out, struct dom_err *err);
/* An operator accepts the loss: what is told of each subject is held against the registrar's record. It goes
 * on by the copy there is; or empty, of which the registrar is told first; or it was not lost. Durable: each
 * one by itself; called again it goes on. Returns: as mover_quarantine_leave. */
enum dom_code lost_accept_all(struct mover *m, struct dom_err *err);
/* learn.c: the subject left for the region that has prepared it, by this region's word of now. Durable: at
 * DOM_OK. What a commit returns. */
enum dom_code learn_given(struct mover *m, const struct mover_lost *lost, struct dom_err *err);

#endif
