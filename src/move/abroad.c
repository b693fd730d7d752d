/* The charter's delete_abroad_within_hours: in time when that is in our hands, an alarm when it is not. */
#include <assert.h>

#include "move/move_internal.h"

enum {
  HOUR_MS = 3600 * 1000,
  ROTATE_SHARE = 4,            /* the KEK goes when a quarter of the time is left: room to try again */
  ROTATE_AGAIN_MS = 60 * 1000, /* after a rotation that failed */
};

struct tally {
  const struct charter *c;
  uint64_t now_ms;
  struct mover_erasures *out;
  bool rotate;
};

static void count(void *arg, const struct erasure_wait *w) {
  struct tally *t = arg;
  char country[CHARTER_COUNTRY_SIZE] = {w->country[0], w->country[1], 0};
  uint64_t hours = t->c && !w->person ? charter_delete_abroad_hours(t->c, country) : 0;
  t->out->waiting++;
  t->out->dropped += w->dropped;
  if (w->person && t->now_ms >= w->since_ms + MOVER_PERSON_ERASED_MS) t->rotate = true;
  if (hours == 0) return;
  uint64_t within_ms = hours * HOUR_MS, deadline = w->since_ms + within_ms;
  if (w->dropped && t->now_ms >= deadline - within_ms / ROTATE_SHARE) t->rotate = true;
  if (t->now_ms > deadline) {
    t->out->overdue++;
    if (t->now_ms - deadline > t->out->late_ms) t->out->late_ms = t->now_ms - deadline;
  } else if (t->out->next_deadline_ms == 0 || deadline < t->out->next_deadline_ms) {
    t->out->next_deadline_ms = deadline;
  }
}

static enum dom_code look(struct mover *m, struct mover_erasures *out, bool *out_rotate,
                          struct dom_err *err) {
  struct mover_erasures now = {.erased = out->erased};
  struct charter *c = subject_charter(m->o.subjects);
  struct tally t = {.c = c, .now_ms = clock_wall_ms(m->o.clock), .out = &now};
  enum dom_code code = open_set_waits(m, count, &t, err);
  charter_release(c);
  assert(now.dropped <= now.waiting && now.overdue <= now.waiting);
  if (code) return code;
  *out = now;
  *out_rotate = t.rotate;
  return DOM_OK;
}

static enum dom_code note_overdue(struct mover *m, const struct mover_erasures *e, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < MOVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    struct ledger_payload payload = {
        .type = LEDGER_ERASURE_OVERDUE, .from_region = m->o.region, .objects = e->overdue};
    code = store_view_open(m->o.store, &v, err);
    if (!code) code = store_tx_begin(m->o.store, v, &tx, err);
    if (!code) code = subject_tx_entry(m->o.subjects, tx, &payload, 0, NULL, 0, err);
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
  }
  return code;
}

enum dom_code mover_erasures(struct mover *m, struct mover_erasures *out, struct dom_err *err) {
  bool rotate = false;
  uint64_t now_ms = clock_mono_ns(m->o.clock) / 1000000;
  *out = (struct mover_erasures){0};
  enum dom_code code = look(m, out, &rotate, err);
  if (code || quarantine_holds(m))
    return code; /* its rows may be old: nothing is destroyed or said by them */
  if (rotate && now_ms >= m->rotate_after_ms) {
    code = mover_rotate_kek(m, NULL, NULL, &out->erased, err);
    m->rotate_after_ms = code ? clock_mono_ns(m->o.clock) / 1000000 + ROTATE_AGAIN_MS : 0;
    enum dom_code looked = look(m, out, &rotate, code ? NULL : err);
    if (!code) code = looked;
  }
  if (out->overdue > m->overdue_told) {
    enum dom_code noted = note_overdue(m, out, code ? NULL : err);
    if (!code) code = noted;
    if (!noted) m->overdue_told = out->overdue;
  }
  if (out->overdue == 0) m->overdue_told = 0;
  return code;
}
