/* The handoff of one subject, for Spin. Its steps are those of src/move/move_states.def, included below: a step
 * that does not stand there is an assertion here.
 *
 * One process takes one atomic action at a time: what a region commits in one transaction, a message received,
 * a request of the client, or a misfortune. Misfortunes have budgets (README.md), so every run ends, and it may
 * end only where nothing is left to do: Spin reports any other end as an invalid end state. That is liveness
 * (L) without assumptions about fairness: whatever happened, what follows settles the handoff in every order.
 *
 * Messages are a set: one that was sent may be received at any later time, any number of times and in any
 * order, until it is lost. */

#ifndef REGIONS
#define REGIONS 2
#endif
#ifndef HANDOFFS
#define HANDOFFS 2 /* attempts, begun by whoever is home; up to 3 */
#endif
#ifndef OPS
#define OPS 2 /* writes and deletes of one key; operation n leaves the value n */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef LATES
#define LATES 1 /* items that come after newer ones */
#endif
#ifndef CHARTERS
#define CHARTERS 1 /* 2: a second version is loaded, region by region, that forbids region 1 */
#endif
#ifndef RESTORES
#define RESTORES 0 /* 1: a region comes back from a backup */
#endif
#ifndef GOAL
#define GOAL 0 /* something that a run must be able to reach: assumed never to happen, so that Spin shows a run */
#endif
#ifndef BUG
#define BUG 0 /* a planted wrong step, see README.md */
#endif

#define EPOCHS (HANDOFFS + 2) /* 0 is none, 1 the one registered with */

/* States of a side and events: the words of move_states.def. */
#define NONE 0
#define COPYING 1
#define FENCED 2
#define COMMITTED 3
#define ERASING 4
#define DROPPED 5
#define ERASED 6
#define PURGED 7
#define ABORTED 8
#define STAGING 9
#define PREPARED 10
#define ACTIVE 11
#define DISCARDED 12

#define EV_BEGIN 0
#define EV_QUIET 1
#define EV_FAIL 2
#define EV_PREPARED 3
#define EV_CONFIRMED 4
#define EV_DROPPED 5
#define EV_KEK_GONE 6
#define EV_PURGED 7
#define EV_ITEMS 8
#define EV_PREPARE 9
#define EV_COMMIT 10
#define EV_ABORT 11

#define SIDE_SOURCE true
#define SIDE_TARGET false

/* A subject's row in a region. */
#define ROW_NONE 0
#define ROW_HOME 1
#define ROW_COPYING 2
#define ROW_FENCED 3
#define ROW_MOVED 4
#define ROW_QUARANTINE 5 /* restored, and not yet told what it missed */

/* Durable, by region. */
byte row[REGIONS];
byte row_epoch[REGIONS];
byte allotted[REGIONS]; /* highest epoch this region's row knows of */
byte charter[REGIONS];
/* Durable, by the epoch that the handoff brings in. An epoch has one home, so its data is named by it. */
byte from[EPOCHS], to[EPOCHS], epoch_from[EPOCHS];
byte source[EPOCHS], target[EPOCHS];
byte value[EPOCHS]; /* of the key under this epoch: staged until the target is ACTIVE */
bool key[EPOCHS];   /* the data key is in its region's vault: this copy can be read */
byte begun_charter[EPOCHS], prepared_charter[EPOCHS];
/* Volatile. */
bool up[REGIONS];
bool runs[EPOCHS]; /* the source's thread: without it an open handoff can only be given up */
byte sent[EPOCHS]; /* value + 1 that was sent last */
/* Messages. */
bool m_begin[EPOCHS], m_prepared[EPOCHS], m_commit[EPOCHS], m_confirm[EPOCHS], m_abort[EPOCHS];
byte m_item[EPOCHS];    /* bit n: the value n */
byte m_prepare[EPOCHS]; /* the manifest: value + 1; 0: not sent */

byte registrar_home, registrar_epoch;
byte issued, acked; /* the client's operations; acked is also what a read has shown */
bool pending;       /* `issued` was not acknowledged: it is sent again, anywhere */
byte begun = 1;     /* the newest epoch */
byte crashes, losses, lates, restores;
#if RESTORES
byte backup_of = 255, b_row, b_row_epoch, b_allotted;
byte b_source[EPOCHS], b_target[EPOCHS];
bool b_key[EPOCHS];
#endif

byte i, live; /* scratch, 0 between actions */
bool at_rest;

#define PERMITS(version, region) ((version) < 2 || (region) != 1)
#define IS_LIVE(r) (row[r] == ROW_HOME || row[r] == ROW_COPYING || row[r] == ROW_FENCED)
#define IS_OPEN_SOURCE(e) (source[e] == COPYING || source[e] == FENCED)
#define IS_OPEN_TARGET(e) (target[e] == STAGING || target[e] == PREPARED)
#define IS_LEFT(e) (source[e] >= COMMITTED && source[e] <= PURGED)

#define STEP(side, state, event, next, action) \
  :: SIDE_##side == is_source && is_source && source[e] == state && what == EV_##event -> source[e] = next \
  :: SIDE_##side == is_source && !is_source && target[e] == state && what == EV_##event -> target[e] = next

inline step(is_source, e, what) {
  if
#include "move_states.def"
  :: else -> assert(false) /* no legal step */
  fi
}
#undef STEP

/* ---- what must hold after each action ---- */

inline check_region(r) {
  if
  :: IS_LIVE(r) ->
    live++;
    assert(to[row_epoch[r]] == r);
    assert(row_epoch[r] == 1 || target[row_epoch[r]] == ACTIVE); /* I4: nothing staged is served */
    assert(key[row_epoch[r]]);                                   /* I2 */
    assert(value[row_epoch[r]] >= acked && value[row_epoch[r]] <= issued) /* I2, I3 */
  :: else
  fi
}

inline check_handoff(e) {
  if
  :: IS_LEFT(e) && target[e] != ACTIVE && restores == 0 ->
    assert(target[e] == PREPARED && key[e] && value[e] >= acked); /* I2: nobody serves, both have it */
    assert(key[epoch_from[e]])
  :: else
  fi;
  assert(!(source[e] >= DROPPED && source[e] <= PURGED) || !key[epoch_from[e]]); /* I5 */
  assert(target[e] != DISCARDED || !key[e])                                      /* I5 */
}

inline check() {
#if GOAL == 1
  assert(!(row[0] == ROW_HOME && row_epoch[0] > 1)); /* home again */
#elif GOAL == 2
  assert(target[2] != DISCARDED || prepared_charter[2] == 0); /* a prepared copy is given up */
#elif GOAL == 3
  assert(source[2] != PURGED || source[3] != PURGED); /* moved on, nothing left at either former home */
#elif GOAL == 4
  assert(!(source[2] == ABORTED && prepared_charter[2] == 1 && charter[0] == 2)); /* the charter came between */
#elif GOAL == 5
  assert(!(restores == 1 && source[2] == PURGED && b_source[2] == COPYING)); /* a backup is followed up to the end */
#endif
  i = 0;
  live = 0;
  do
  :: i < REGIONS -> check_region(i); i++
  :: else -> break
  od;
  assert(live <= 1); /* I1 */
  i = 2;
  do
  :: i <= begun -> check_handoff(i); i++
  :: else -> break
  od;
  i = 0;
  live = 0
}

/* Nothing is left to do: one home, known to the registrar; no handoff open, no copy left behind. */
#define REGION_SETTLED(r) (up[r] && row[r] != ROW_COPYING && row[r] != ROW_FENCED && row[r] != ROW_QUARANTINE && \
  (row[r] != ROW_HOME || (registrar_home == r && registrar_epoch == row_epoch[r])))
#define HANDOFF_SETTLED(e) (!IS_OPEN_SOURCE(e) && !IS_OPEN_TARGET(e) && (!IS_LEFT(e) || source[e] == PURGED))

/* ---- the source ---- */

#define MAY_BEGIN(r, there) (up[r] && (row[r] == ROW_HOME || (BUG == 11 && row[r] == ROW_COPYING)) && \
  begun < EPOCHS - 1 && PERMITS(charter[r], there))

inline begin(r, there) {
  begun++;
  from[begun] = r;
  to[begun] = there;
  epoch_from[begun] = row_epoch[r];
  begun_charter[begun] = charter[r];
  allotted[r] = begun;
  row[r] = ROW_COPYING;
  runs[begun] = true;
  step(true, begun, EV_BEGIN);
  m_begin[begun] = true
}

#define RUNS(e) (up[from[e]] && runs[e])
/* A row that says so is part of each step's guard. */
#define ROW_IS(e, state) (row[from[e]] == (state) || BUG == 11 || BUG == 12)
#define PRESENT(e) (value[epoch_from[e]] + 1)

#define MAY_SEND(e) (RUNS(e) && IS_OPEN_SOURCE(e) && sent[e] != PRESENT(e) && !(BUG == 9 && source[e] == FENCED))
inline send_item(e) {
  m_item[e] = m_item[e] | (1 << value[epoch_from[e]]);
  sent[e] = PRESENT(e)
}

#define MAY_FENCE(e) (RUNS(e) && source[e] == COPYING && ROW_IS(e, ROW_COPYING) && sent[e] != 0)
inline fence(e) {
  step(true, e, EV_QUIET);
  row[from[e]] = (BUG == 14 -> ROW_COPYING : ROW_FENCED)
}

#define MAY_ASK_PREPARE(e) (RUNS(e) && source[e] == FENCED && m_prepare[e] == 0 && \
  (sent[e] == PRESENT(e) || BUG == 9))
inline ask_prepare(e) {
  m_prepare[e] = sent[e] /* right: the present state, which was sent; wrong: whatever was sent */
}

#define CHARTERS_AGREE(e) (BUG == 6 || (prepared_charter[e] == begun_charter[e] && charter[from[e]] == begun_charter[e]))
#define MAY_COMMIT(e) (RUNS(e) && source[e] == FENCED && (ROW_IS(e, ROW_FENCED) || BUG == 14) && m_prepared[e] && \
  CHARTERS_AGREE(e))
inline commit(e) {
  assert(PERMITS(charter[from[e]], to[e])); /* I6 */
  step(true, e, EV_PREPARED);
  if
  :: BUG == 2 -> row[from[e]] = ROW_HOME /* the old home serves until the new one has confirmed */
  :: else ->
    row[from[e]] = ROW_MOVED;
    row_epoch[from[e]] = e
  fi;
  runs[e] = false;
  m_commit[e] = true
}

#define MAY_GIVE_UP(e) (up[from[e]] && IS_OPEN_SOURCE(e) && row[from[e]] != ROW_QUARANTINE)
inline give_up(e) {
  step(true, e, EV_FAIL);
  row[from[e]] = ROW_HOME;
  runs[e] = false;
  m_abort[e] = true
}

#define MAY_DELIVER(e) (up[from[e]] && source[e] == COMMITTED && !m_commit[e])

#define MAY_CONFIRM_SOURCE(e) (up[from[e]] && source[e] == COMMITTED && (m_confirm[e] || BUG == 7))
inline confirmed(e) {
  step(true, e, EV_CONFIRMED);
  if
  :: BUG == 2 -> row[from[e]] = ROW_MOVED
  :: else
  fi
}

#define MAY_DROP(e) (up[from[e]] && source[e] == ERASING)
inline drop(e) {
  step(true, e, EV_DROPPED);
  key[epoch_from[e]] = false;
  i = 1;
  do
  :: i <= begun && BUG == 8 -> /* by subject, not by epoch */
    key[i] = key[i] && to[i] != from[e];
    i++
  :: else -> break
  od;
  i = 0
}

#define MAY_FORGET(e) (up[from[e]] && (source[e] == DROPPED || source[e] == ERASED))
inline forget(e) {
  if
  :: source[e] == DROPPED -> step(true, e, EV_KEK_GONE)
  :: else -> step(true, e, EV_PURGED)
  fi
}

/* ---- the target ---- */

inline discard(e) {
  step(false, e, EV_ABORT);
  key[e] = false;
  value[e] = 0
}

#define MAY_STAGE(e) (up[to[e]] && m_begin[e] && target[e] == NONE && !IS_LIVE(to[e]) && \
  row[to[e]] != ROW_QUARANTINE && e > row_epoch[to[e]] && e > allotted[to[e]] && PERMITS(charter[to[e]], to[e]))
inline stage(e) {
  i = 2;
  do
  :: i < e -> /* a newer epoch aborts all older */
    if
    :: to[i] == to[e] && IS_OPEN_TARGET(i) -> discard(i)
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0;
  allotted[to[e]] = e;
  step(false, e, EV_BEGIN);
  key[e] = true
}

/* An older item may come after a newer one, but not for ever. */
#define MAY_TAKE(e, n) (up[to[e]] && target[e] == STAGING && (m_item[e] & (1 << n)) && \
  (value[e] < n || (value[e] > n && lates < LATES)))
inline take(e, n) {
  step(false, e, EV_ITEMS);
  lates = lates + (value[e] > n -> 1 : 0);
  value[e] = n
}

#define MAY_PREPARE(e) (up[to[e]] && target[e] == STAGING && m_prepare[e] != 0 && value[e] + 1 == m_prepare[e] && \
  (m_item[e] & (1 << value[e])) && (charter[to[e]] == begun_charter[e] || BUG == 6))
inline prepare(e) {
  step(false, e, EV_PREPARE);
  prepared_charter[e] = charter[to[e]];
  m_prepared[e] = true
}

#define MAY_ACTIVATE(e) (up[to[e]] && target[e] == PREPARED && (m_commit[e] || BUG == 3))
inline activate(e) {
  step(false, e, EV_COMMIT);
  row[to[e]] = ROW_HOME;
  row_epoch[to[e]] = e;
  allotted[to[e]] = e
}

#define MAY_REPORT(e) (up[to[e]] && target[e] == ACTIVE && registrar_epoch < e)
inline report(e) {
  registrar_home = to[e];
  registrar_epoch = e
}

#define MAY_CONFIRM_TARGET(e) (up[to[e]] && target[e] == ACTIVE && m_commit[e] && registrar_epoch >= e && !m_confirm[e])

/* The target asks on a timer; the answer may get lost like any message. */
#define ANSWERS(e) (up[from[e]] && (row[from[e]] != ROW_QUARANTINE || BUG == 13))
#define MAY_ASK(e) (BUG != 1 && up[to[e]] && IS_OPEN_TARGET(e) && ANSWERS(e) && \
  ((IS_LEFT(e) && !m_commit[e]) || ((source[e] == ABORTED || source[e] == NONE || BUG == 5) && !m_abort[e])))
inline ask(e) {
  if
  :: IS_LEFT(e) -> m_commit[e] = true
  :: else -> m_abort[e] = true
  fi
}

#define MAY_DISCARD(e) (up[to[e]] && IS_OPEN_TARGET(e) && (m_abort[e] || (BUG == 4 && target[e] == PREPARED)))

/* ---- the client ---- */

#define TAKES(r) (up[r] && (row[r] == ROW_HOME || row[r] == ROW_COPYING))
inline write(r, is_answered) {
  value[row_epoch[r]] = issued;
  if
  :: is_answered ->
    acked = issued;
    pending = false
  :: else
  fi
}

/* ---- misfortunes ---- */

inline crash(r) {
  crashes++;
  up[r] = false;
  i = 2;
  do
  :: i <= begun ->
    runs[i] = runs[i] && from[i] != r;
    i++
  :: else -> break
  od;
  i = 0
}

#if RESTORES
inline back_up(r) {
  backup_of = r;
  b_row = row[r];
  b_row_epoch = row_epoch[r];
  b_allotted = allotted[r];
  i = 1;
  do
  :: i <= begun ->
    b_source[i] = (from[i] == r -> source[i] : NONE);
    b_target[i] = (to[i] == r -> target[i] : NONE);
    b_key[i] = to[i] == r && key[i];
    i++
  :: else -> break
  od;
  i = 0
}

/* The disk of a region that was left is lost; what a home has lost nobody can give back. */
#define UNTOUCHED(r, e) (to[e] != r || target[e] == b_target[e] || target[e] == DISCARDED)
#define MAY_RESTORE(r) (restores == 0 && backup_of == r && !IS_LIVE(r) && row[r] != ROW_QUARANTINE && \
  UNTOUCHED(r, 2) && UNTOUCHED(r, 3))

inline restore(r) {
  restores++;
  row[r] = (b_row == ROW_HOME || b_row == ROW_COPYING || b_row == ROW_FENCED -> (BUG == 10 -> ROW_HOME : ROW_QUARANTINE) : b_row);
  row_epoch[r] = b_row_epoch;
  allotted[r] = b_allotted;
  acked = 0; /* what was acknowledged since the backup is the backup's loss, not the protocol's */
  i = 1;
  do
  :: i <= begun ->
    if
    :: i > 1 && from[i] == r ->
      source[i] = b_source[i];
      runs[i] = false
    :: else
    fi;
    if
    :: to[i] == r ->
      target[i] = b_target[i];
      key[i] = b_key[i]
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0
}

/* All others tell what they have seen of its ledger: it follows. */
inline catch_up(r) {
  row[r] = ROW_HOME;
  i = 2;
  do
  :: i <= begun ->
    if
    :: from[i] == r && (m_commit[i] || target[i] == ACTIVE) && (source[i] == NONE || IS_OPEN_SOURCE(i)) ->
      source[i] = COMMITTED;
      row[r] = ROW_MOVED;
      row_epoch[r] = i;
      allotted[r] = (allotted[r] < i -> i : allotted[r])
    :: from[i] == r && IS_OPEN_SOURCE(i) && !m_commit[i] && target[i] != ACTIVE ->
      source[i] = ABORTED; /* what the backup had open is over, or it would end a later handoff's MOVED */
      m_abort[i] = true
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0
}
#endif

/* ---- all of it ---- */

#define HANDOFF(e) \
  :: d_step { MAY_SEND(e) -> send_item(e); check() } \
  :: d_step { MAY_FENCE(e) -> fence(e); check() } \
  :: d_step { MAY_ASK_PREPARE(e) -> ask_prepare(e); check() } \
  :: d_step { MAY_COMMIT(e) -> commit(e); check() } \
  :: d_step { MAY_GIVE_UP(e) -> give_up(e); check() } \
  :: d_step { MAY_DELIVER(e) -> m_commit[e] = true; check() } \
  :: d_step { MAY_CONFIRM_SOURCE(e) -> confirmed(e); check() } \
  :: d_step { MAY_DROP(e) -> drop(e); check() } \
  :: d_step { MAY_FORGET(e) -> forget(e); check() } \
  :: d_step { MAY_STAGE(e) -> stage(e); check() } \
  :: d_step { MAY_TAKE(e, 0) -> take(e, 0); check() } \
  :: d_step { MAY_TAKE(e, 1) -> take(e, 1); check() } \
  :: d_step { MAY_TAKE(e, 2) -> take(e, 2); check() } \
  :: d_step { MAY_PREPARE(e) -> prepare(e); check() } \
  :: d_step { MAY_ACTIVATE(e) -> activate(e); check() } \
  :: d_step { MAY_REPORT(e) -> report(e); check() } \
  :: d_step { MAY_CONFIRM_TARGET(e) -> m_confirm[e] = true; check() } \
  :: d_step { MAY_ASK(e) -> ask(e); check() } \
  :: d_step { MAY_DISCARD(e) -> discard(e); check() } \
  :: d_step { BUG == 12 && RUNS(e) && source[e] == FENCED && row[from[e]] == ROW_FENCED -> row[from[e]] = ROW_HOME; check() } \
  :: d_step { losses < LOSSES && m_begin[e] -> losses++; m_begin[e] = false } \
  :: d_step { losses < LOSSES && m_item[e] != 0 -> losses++; m_item[e] = 0 } \
  :: d_step { losses < LOSSES && m_prepare[e] != 0 -> losses++; m_prepare[e] = 255 } \
  :: d_step { losses < LOSSES && m_prepared[e] -> losses++; m_prepared[e] = false } \
  :: d_step { losses < LOSSES && m_commit[e] -> losses++; m_commit[e] = false } \
  :: d_step { losses < LOSSES && m_confirm[e] -> losses++; m_confirm[e] = false } \
  :: d_step { losses < LOSSES && m_abort[e] -> losses++; m_abort[e] = false }

#if RESTORES
#define BACKUP(r) \
  :: d_step { backup_of == 255 && up[r] && row[r] != ROW_NONE -> back_up(r) } \
  :: d_step { MAY_RESTORE(r) -> restore(r); check() } \
  :: d_step { row[r] == ROW_QUARANTINE && ALL_UP -> catch_up(r); check() }
#else
#define BACKUP(r)
#endif

#define REGION(r) \
  :: d_step { pending && TAKES(r) -> write(r, true); check() } \
  :: d_step { pending && TAKES(r) && value[row_epoch[r]] != issued -> write(r, false); check() } \
  :: d_step { up[r] && IS_LIVE(r) && value[row_epoch[r]] > acked -> acked = value[row_epoch[r]]; check() } \
  :: d_step { crashes < CRASHES && up[r] -> crash(r); check() } \
  :: d_step { !up[r] -> up[r] = true } \
  :: d_step { charter[r] < CHARTERS -> charter[r]++; check() } \
  BACKUP(r)

#if REGIONS == 2
#define ALL_UP (up[0] && up[1])
#define REGIONS_SETTLED (REGION_SETTLED(0) && REGION_SETTLED(1) && (row[0] == ROW_HOME) != (row[1] == ROW_HOME))
#define PAIRS MOVE(0, 1) MOVE(1, 0)
#else
#define ALL_UP (up[0] && up[1] && up[2])
#define REGIONS_SETTLED (REGION_SETTLED(0) && REGION_SETTLED(1) && REGION_SETTLED(2) && \
  (row[0] == ROW_HOME -> 1 : 0) + (row[1] == ROW_HOME -> 1 : 0) + (row[2] == ROW_HOME -> 1 : 0) == 1)
#define PAIRS MOVE(0, 1) MOVE(0, 2) MOVE(1, 0) MOVE(1, 2) MOVE(2, 0) MOVE(2, 1)
#endif
#if HANDOFFS == 1
#define HANDOFFS_SETTLED HANDOFF_SETTLED(2)
#elif HANDOFFS == 2
#define HANDOFFS_SETTLED (HANDOFF_SETTLED(2) && HANDOFF_SETTLED(3))
#else
#define HANDOFFS_SETTLED (HANDOFF_SETTLED(2) && HANDOFF_SETTLED(3) && HANDOFF_SETTLED(4))
#endif
#define MOVE(r, there) :: d_step { MAY_BEGIN(r, there) -> begin(r, there); check() }

active proctype world() {
  d_step {
    row[0] = ROW_HOME;
    row_epoch[0] = 1;
    allotted[0] = 1;
    key[1] = true;
    registrar_epoch = 1;
    i = 0;
    do
    :: i < REGIONS ->
      up[i] = true;
      charter[i] = 1;
      i++
    :: else -> break
    od;
    i = 0
  }
  do
  PAIRS
  HANDOFF(2)
#if HANDOFFS > 1
  HANDOFF(3)
#endif
#if HANDOFFS > 2
  HANDOFF(4)
#endif
  REGION(0)
  REGION(1)
#if REGIONS > 2
  REGION(2)
#endif
  :: d_step { !pending && issued < OPS -> issued++; pending = true }
  :: !pending && REGIONS_SETTLED && HANDOFFS_SETTLED -> break
  od;
progress_settled: /* the one place where a run may stay: any other cycle is reported */
  do
  :: at_rest = !at_rest
  od
}
