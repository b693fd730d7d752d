/* The search of history.h. */
#include "history.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

enum {
  WORDS = HISTORY_OPS_MAX / 64,
  SEEN_SLOTS = 1 << 16, /* of the memory of states; a power of two */
  NODES_MAX = 1 << 20   /* steps of one search; a real history takes some hundreds */
};

struct search {
  const struct history_op *ops;
  size_t count, answered; /* how many have an answer */
  uint64_t *seen;         /* fingerprints; 0: free */
  size_t used;
  uint64_t nodes;
  size_t furthest, stuck;
  bool given_up;
};

struct point {
  uint64_t done[WORDS];
  size_t done_answered;
  struct history_state state;
};

/* ---- what one operation does to a key ------------------------------------------------------- */

static size_t find_version(const struct history_state *s, uint32_t id) {
  size_t i = 0;
  while (i < s->version_count && s->version[i].id != id) i++;
  return i;
}

static size_t find_upload(const struct history_state *s, uint32_t id) {
  size_t i = 0;
  while (i < s->upload_count && s->upload[i].id != id) i++;
  return i;
}

static void drop_version(struct history_state *s, size_t i) {
  assert(i < s->version_count);
  s->version_count--;
  memmove(&s->version[i], &s->version[i + 1], (s->version_count - i) * sizeof s->version[0]);
}

static void drop_upload(struct history_state *s, size_t i) {
  assert(i < s->upload_count);
  s->upload_count--;
  memmove(&s->upload[i], &s->upload[i + 1], (s->upload_count - i) * sizeof s->upload[0]);
}

static void drop_null(struct history_state *s) {
  for (size_t i = s->version_count; i-- > 0;)
    if (s->version[i].is_null) drop_version(s, i);
}

static bool put(struct history_state *s, const struct history_op *op, bool marker) {
  if (op->is_null) drop_null(s);
  if (s->version_count == HISTORY_VERSIONS_MAX) return false;
  memmove(&s->version[1], &s->version[0], s->version_count * sizeof s->version[0]);
  s->version_count++;
  s->version[0] = (struct history_version){
      .id = op->id, .meta = marker ? 0 : op->id, .is_null = op->is_null, .is_marker = marker};
  return true;
}

static bool condition_met(const struct history_state *s, const struct history_op *op) {
  bool there = s->version_count > 0 && !s->version[0].is_marker;
  if (op->condition == HISTORY_ALWAYS) return true;
  return op->condition == HISTORY_IF_ABSENT ? !there : there && s->version[0].id == op->match;
}

static bool same_version(const struct history_version *held, const struct history_version *seen) {
  if (held->is_null != seen->is_null || held->is_marker != seen->is_marker) return false;
  return held->is_marker && seen->id == 0 ? true : held->id == seen->id && held->meta == seen->meta;
}

static bool same_uploads(const struct history_state *a, const struct history_state *b) {
  if (a->upload_count != b->upload_count) return false;
  for (size_t i = 0; i < a->upload_count; i++) {
    size_t at = find_upload(b, a->upload[i].id);
    if (at == b->upload_count || memcmp(&a->upload[i], &b->upload[at], sizeof a->upload[i]) != 0)
      return false;
  }
  return true;
}

static bool same_state(const struct history_state *held, const struct history_state *seen) {
  if (held->version_count != seen->version_count) return false;
  for (size_t i = 0; i < held->version_count; i++)
    if (!same_version(&held->version[i], &seen->version[i])) return false;
  return same_uploads(held, seen);
}

/* What the answer of a key in state *s would be; *s is changed only where it is OK. */
static enum history_outcome write_step(struct history_state *s, const struct history_op *op) {
  size_t at = find_version(s, op->target), upload = find_upload(s, op->target);
  bool there = at < s->version_count, begun = upload < s->upload_count;
  switch (op->kind) {
  case HISTORY_PUT:
    if (!condition_met(s, op)) return HISTORY_NOT_MET;
    return put(s, op, false) ? HISTORY_OK : HISTORY_UNKNOWN;
  case HISTORY_MARK:
    return put(s, op, true) ? HISTORY_OK : HISTORY_UNKNOWN;
  case HISTORY_REMOVE:
    if (op->is_null) drop_null(s);
    if (!op->is_null && there) drop_version(s, at);
    return HISTORY_OK;
  case HISTORY_AMEND:
    if (!there || s->version[at].is_marker) return HISTORY_NOT_FOUND;
    s->version[at].meta = op->id;
    return HISTORY_OK;
  case HISTORY_BEGIN:
    if (s->upload_count == HISTORY_UPLOADS_MAX) return HISTORY_UNKNOWN;
    s->upload[s->upload_count++] = (struct history_upload){.id = op->id};
    return HISTORY_OK;
  case HISTORY_PART:
    if (!begun) return HISTORY_NOT_FOUND;
    s->upload[upload].part[op->part - 1] = op->id;
    return HISTORY_OK;
  case HISTORY_COMPLETE:
    if (!begun) return HISTORY_NOT_FOUND;
    for (size_t i = 0; i < HISTORY_PARTS_MAX; i++)
      if (op->parts[i] && op->parts[i] != s->upload[upload].part[i]) return HISTORY_NOT_MET;
    if (!condition_met(s, op)) return HISTORY_NOT_MET;
    drop_upload(s, upload);
    return put(s, op, false) ? HISTORY_OK : HISTORY_UNKNOWN;
  case HISTORY_ABORT:
    if (!begun) return HISTORY_NOT_FOUND;
    drop_upload(s, upload);
    return HISTORY_OK;
  default:
    return HISTORY_UNKNOWN;
  }
}

static bool read_agrees(const struct history_state *s, const struct history_op *op) {
  bool there = s->version_count > 0 && !s->version[0].is_marker;
  if (op->kind == HISTORY_LIST) return same_state(s, op->seen);
  if (op->outcome == HISTORY_NOT_FOUND) return !there;
  return there && op->seen->version_count == 1 && same_version(&s->version[0], &op->seen->version[0]);
}

static bool is_read(const struct history_op *op) {
  return op->kind == HISTORY_GET || op->kind == HISTORY_LIST;
}

/* Takes the step if the answer allows it. One without an answer is worth a step only when it does something.
 */
static bool step(struct history_state *s, const struct history_op *op) {
  if (is_read(op)) return op->outcome != HISTORY_UNKNOWN && read_agrees(s, op);
  enum history_outcome would = write_step(s, op);
  return would == (op->outcome == HISTORY_UNKNOWN ? HISTORY_OK : op->outcome);
}

/* ---- the search ---------------------------------------------------------------------------------- */

static bool is_done(const struct point *p, size_t i) {
  return p->done[i / 64] >> (i % 64) & 1;
}

static uint64_t mix(uint64_t h, uint64_t x) {
  h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

static uint64_t fingerprint(const struct point *p) {
  uint64_t h = UINT64_C(0x2545f4914f6cdd1d);
  for (size_t i = 0; i < WORDS; i++) h = mix(h, p->done[i]);
  for (size_t i = 0; i < p->state.version_count; i++)
    h = mix(h, (uint64_t)p->state.version[i].id << 32 | p->state.version[i].meta);
  for (size_t i = 0; i < p->state.upload_count; i++) {
    h = mix(h, p->state.upload[i].id);
    for (size_t k = 0; k < HISTORY_PARTS_MAX; k++) h = mix(h, p->state.upload[i].part[k]);
  }
  return h ? h : 1;
}

/* True the first time. */
static bool remember(struct search *s, const struct point *p) {
  uint64_t f = fingerprint(p);
  size_t i = (size_t)f & (SEEN_SLOTS - 1);
  while (s->seen[i] && s->seen[i] != f) i = (i + 1) & (SEEN_SLOTS - 1);
  if (s->seen[i] == f) return false;
  if (s->used == SEEN_SLOTS / 2) s->given_up = true;
  if (!s->given_up) s->used++;
  if (!s->given_up) s->seen[i] = f;
  return true;
}

/* The first end of an operation that is still to come: nothing that began later may go before it. */
static size_t first_end(const struct search *s, const struct point *p) {
  size_t first = s->count;
  for (size_t i = 0; i < s->count; i++) {
    if (is_done(p, i) || s->ops[i].outcome == HISTORY_UNKNOWN) continue;
    if (first == s->count || s->ops[i].ended < s->ops[first].ended) first = i;
  }
  return first;
}

static bool explore(struct search *s, const struct point *p);

/* Those that may come next, with an answer or without one. */
static bool explore_next(struct search *s, const struct point *p, uint64_t until, bool answered) {
  for (size_t i = 0; i < s->count && !s->given_up; i++) {
    const struct history_op *op = &s->ops[i];
    if ((op->outcome != HISTORY_UNKNOWN) != answered || is_done(p, i) || op->began > until) continue;
    struct point next = *p;
    if (!step(&next.state, op)) continue;
    next.done[i / 64] |= UINT64_C(1) << (i % 64);
    next.done_answered += answered;
    if (explore(s, &next)) return true;
  }
  return false;
}

static bool explore(struct search *s, const struct point *p) {
  if (p->done_answered == s->answered) return true;
  if (!remember(s, p) || s->given_up) return false;
  if (++s->nodes > NODES_MAX) s->given_up = true;
  size_t first = first_end(s, p);
  assert(first < s->count);
  if (p->done_answered >= s->furthest) {
    s->furthest = p->done_answered;
    s->stuck = first;
  }
  uint64_t until = s->ops[first].ended;
  return explore_next(s, p, until, true) || explore_next(s, p, until, false);
}

enum history_verdict history_check(const struct history_op *ops, size_t count, size_t *out_stuck) {
  struct search s = {.ops = ops, .count = count};
  struct point p = {.done = {0}};
  if (count > HISTORY_OPS_MAX) return HISTORY_TOO_LONG;
  for (size_t i = 0; i < count; i++) {
    assert(ops[i].kind != HISTORY_PART || (ops[i].part >= 1 && ops[i].part <= HISTORY_PARTS_MAX));
    s.answered += ops[i].outcome != HISTORY_UNKNOWN;
  }
  s.seen = dom_calloc(SEEN_SLOTS, sizeof *s.seen);
  if (!s.seen) return HISTORY_TOO_LONG;
  bool good = explore(&s, &p);
  dom_free(s.seen);
  if (good) return HISTORY_GOOD;
  if (out_stuck) *out_stuck = s.stuck;
  return s.given_up ? HISTORY_TOO_LONG : HISTORY_BAD;
}
