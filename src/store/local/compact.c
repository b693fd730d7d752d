#include "store/local/compact.h"

#include <assert.h>

#include "base/alloc.h"

static const char where[] = "store/compact";

/* What is remembered of a segment, by number - 1. */
struct note {
  uint32_t generation; /* 0: nothing */
  bool emptied;        /* no row names a record of it */
  bool bad;            /* it cannot be read or given up: left alone till the next start */
  uint64_t last_lsn;   /* emptied: of its records */
  uint64_t upto_lsn;   /* emptied: what index and ledger must have passed */
  /* Looked at, and not worth the copying. */
  uint64_t live, tombs, oldest_lsn;
  uint64_t again_lsn; /* 0, or when to look again: a body was being written, or the store drained */
};

struct compact {
  struct note *notes;
  uint32_t cap;
  uint64_t forced_lsn; /* when the oldest segment was last rewritten for the sake of deletes */
};

/* A segment as the step sees it. */
struct seen {
  struct log_segment_info info;
  uint64_t live;
};

struct survey {
  struct seen *all;
  uint32_t count, cap;
  bool failed;
  uint64_t used;   /* bytes of segments in use */
  bool is_short;   /* the disk has little space left */
  bool is_drained; /* many are leaving the store, and there is room: nothing is copied */
};

void compact_free(struct compact *c) {
  if (!c) return;
  dom_free(c->notes);
  dom_free(c);
}

/* ---- survey ---- */

static bool survey_add(void *arg, const struct log_segment_info *info) {
  struct survey *v = arg;
  if (info->free || info->generation == 0) return true;
  if (v->count == v->cap) {
    uint32_t cap = v->cap * 2 + 16;
    struct seen *grown = dom_realloc(v->all, cap * sizeof *grown);
    v->failed = grown == NULL;
    if (v->failed) return false;
    v->all = grown;
    v->cap = cap;
  }
  v->all[v->count++] = (struct seen){.info = *info};
  v->used += info->bytes;
  return true;
}

static void survey_live(void *arg, struct apply *a, struct index_batch *b) {
  struct survey *v = arg;
  (void)b;
  for (uint32_t i = 0; i < v->count; i++) {
    v->all[i].live = apply_segment_live(a, v->all[i].info.segment, v->all[i].info.generation);
  }
}

/* What rewriting it would give back at most. */
static uint64_t gain_of(const struct seen *seen) {
  return seen->live < seen->info.bytes ? seen->info.bytes - seen->live : 0;
}

/* How dear space is, once for the whole step: a segment is not chosen by one answer and judged by another.
 * While many leave, copying waits as long as less is dead than is free: clients' writes go on, a job may take
 * days or wait for a region that is away, and what is given back only at the last moment comes too late for
 * them. */
static void survey_space(struct store *s, struct survey *v) {
  uint64_t free_bytes = 0, dead = 0;
  if (disk_free_bytes(s->o.disk, &free_bytes, NULL) != DOM_OK) return;
  for (uint32_t i = 0; i < v->count; i++) dead += gain_of(&v->all[i]);
  v->is_short = free_bytes < 2 * s->o.reserve_bytes;
  v->is_drained = s->drains > 0 && dead < free_bytes;
}

static enum dom_code survey_take(struct store *s, struct survey *v, struct dom_err *err) {
  struct commit job = {.job = survey_live, .job_arg = v};
  log_segments(s->log, survey_add, v);
  if (v->failed) return dom_fail(err, DOM_NO_MEMORY, where, "survey");
  enum dom_code code = writer_commit(s->writer, &job);
  if (code != DOM_OK) return dom_fail(err, code, job.err.where, "%s", job.err.text);
  survey_space(s, v);
  return DOM_OK;
}

static enum dom_code note_of(struct compact *c, const struct log_segment_info *info, struct note **out,
                             struct dom_err *err) {
  assert(info->segment > 0 && info->generation > 0);
  if (info->segment > c->cap) {
    uint32_t cap = info->segment + info->segment / 2 + 16;
    struct note *grown = dom_realloc(c->notes, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, where, "%u segments", cap);
    memset(grown + c->cap, 0, (cap - c->cap) * sizeof *grown);
    c->notes = grown;
    c->cap = cap;
  }
  *out = &c->notes[info->segment - 1];
  if ((*out)->generation != info->generation) **out = (struct note){.generation = info->generation};
  return DOM_OK;
}

/* First LSN of the oldest segment in use other than this one. */
static uint64_t oldest_other(const struct survey *v, uint32_t segment) {
  uint64_t oldest = UINT64_MAX;
  for (uint32_t i = 0; i < v->count; i++) {
    const struct log_segment_info *info = &v->all[i].info;
    if (info->segment != segment && info->first_lsn < oldest) oldest = info->first_lsn;
  }
  return oldest;
}

/* ---- giving up emptied segments ---- */

static enum dom_code segment_release(struct store *s, struct note *n, uint32_t segment, bool *did,
                                     struct dom_err *err) {
  struct dom_err why = {0};
  enum dom_code code = log_release(s->log, segment, n->generation, &why);
  if (code == DOM_BUSY) return DOM_OK; /* a reader, or it is the newest: another time */
  if (code != DOM_OK) {
    n->bad = true;
    return dom_fail(err, code, why.where, "%s", why.text);
  }
  *n = (struct note){0};
  *did = true;
  return DOM_OK;
}

/* Gives up what may be given up. The index is flushed when enough wait for that, or `all` do. */
static enum dom_code emptied_release(struct store *s, const struct survey *v, bool all, bool *did,
                                     struct dom_err *err) {
  uint64_t horizon = 0;
  uint64_t least = read_mark_least_view(s); /* later views see nothing that was emptied by now */
  uint32_t waiting = 0;
  for (uint32_t i = 0; i < v->count; i++) {
    struct note *n = NULL;
    enum dom_code code = note_of(s->compact, &v->all[i].info, &n, err);
    if (code != DOM_OK) return code;
    if (n->emptied && !n->bad && n->upto_lsn > s->flushed_lsn) waiting++;
  }
  enum dom_code code = DOM_OK;
  if (waiting >= COMPACT_PENDING || (all && waiting > 0)) code = upkeep_flush(s, err);
  if (code == DOM_OK) code = upkeep_horizon(s, &horizon, err);
  for (uint32_t i = 0; i < v->count && code == DOM_OK; i++) {
    struct note *n = &s->compact->notes[v->all[i].info.segment - 1];
    if (!n->emptied || n->bad || n->upto_lsn > horizon || n->upto_lsn > least) continue;
    assert(n->last_lsn <= n->upto_lsn);
    code = segment_release(s, n, v->all[i].info.segment, did, err);
  }
  return code;
}

/* ---- choosing ---- */

/* Below twice the reserve a small gain is worth its copying too. While many leave none is: what would be
 * copied is about to leave as well, and a segment that nothing lives in needs no copying. */
static uint64_t gain_least(const struct survey *v, uint64_t bytes) {
  if (v->is_short) return bytes / 8;
  return v->is_drained ? bytes : bytes / 2;
}

/* Whether it was looked at and nothing has changed since that would make it worth another look. */
static bool note_stands(const struct store *s, const struct note *n, const struct seen *seen,
                        uint64_t oldest_lsn) {
  if (n->emptied || n->bad) return true;
  if (n->again_lsn) return writer_applied(s->writer) < n->again_lsn;
  if (n->oldest_lsn == 0) return false;
  return n->oldest_lsn == oldest_lsn && seen->live + seen->info.bytes / 4 > n->live;
}

/* The segment with the lowest live share that is worth it; NULL when none is. When deletes kept
 * for the sake of old segments fill much of the log, the oldest segment. */
static enum dom_code victim_find(struct store *s, const struct survey *v, const struct seen **out,
                                 bool *out_forced, struct dom_err *err) {
  const struct seen *best = NULL, *oldest = NULL;
  uint64_t best_gain = 0, tombs = 0;
  for (uint32_t i = 0; i < v->count; i++) {
    const struct seen *seen = &v->all[i];
    struct note *n = NULL;
    enum dom_code code = note_of(s->compact, &seen->info, &n, err);
    if (code != DOM_OK) return code;
    tombs += n->tombs;
    if (seen->info.open || n->emptied || n->bad) continue;
    if (!oldest || seen->info.first_lsn < oldest->info.first_lsn) oldest = seen;
    uint64_t gain = gain_of(seen);
    if (note_stands(s, n, seen, oldest_other(v, seen->info.segment))) continue;
    if (gain <= best_gain || gain < gain_least(v, seen->info.bytes)) continue;
    best = seen;
    best_gain = gain;
  }
  uint64_t lsn = writer_applied(s->writer);
  *out_forced = !best && oldest && tombs > v->used / 4 && lsn >= s->compact->forced_lsn + COMPACT_FORCED_LSNS;
  if (*out_forced) {
    s->compact->forced_lsn = lsn;
    best = oldest;
  }
  *out = best;
  return DOM_OK;
}

/* ---- emptying one segment ---- */

static enum dom_code pass(struct store *s, const struct seen *victim, struct scan *scan,
                          struct dom_err *err) {
  const struct log_segment_info *info = &victim->info;
  scan->needed = scan->tombs = scan->dead = 0;
  scan->tombs_drop = false;
  scan->group = scan->group_items = 0;
  scan->held = scan->retry = false;
  enum dom_code code = log_segment_scan(s->log, info->segment, info->generation, scan_record, scan, err);
  scan_need_end(scan);
  if (code == DOM_OK) code = scan_flush(scan, err);
  return code;
}

/* Live bytes that are left although every record was met belong to records that could not be
 * read: a segment's last batch gone bad looks like its end. */
static enum dom_code emptied_check(struct store *s, const struct seen *victim, const struct scan *scan,
                                   bool *out_empty, struct dom_err *err) {
  struct seen now = {.info = victim->info};
  struct survey one = {.all = &now, .count = 1, .cap = 1};
  struct commit job = {.job = survey_live, .job_arg = &one};
  enum dom_code code = writer_commit(s->writer, &job);
  if (code != DOM_OK) return dom_fail(err, code, job.err.where, "%s", job.err.text);
  *out_empty = now.live <= scan->dead; /* rows of a dropped key, about to be erased */
  if (*out_empty) return DOM_OK;
  return dom_fail(err, DOM_CORRUPT, where,
                  "segment %u: rows name %llu bytes that cannot be read in it; run fsck",
                  victim->info.segment, (unsigned long long)(now.live - scan->dead));
}

/* One round over the segment: all but the ends of uploads, then those. *out_again: some were in use. */
static enum dom_code round_run(struct store *s, const struct seen *victim, struct scan *scan, bool *out_again,
                               struct dom_err *err) {
  scan->ends = false;
  enum dom_code code = pass(s, victim, scan, err);
  *out_again = scan->retry || scan->held;
  if (code != DOM_OK || !scan->ends_found) return code;
  scan->ends = true;
  code = pass(s, victim, scan, err);
  *out_again = *out_again || scan->retry;
  return code;
}

/* Copies until nothing is needed any more. *out_empty stays false when writers were in the way. */
static enum dom_code segment_empty(struct store *s, const struct seen *victim, struct scan *scan,
                                   bool *out_empty, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  bool again = true;
  scan->look = false;
  for (uint32_t i = 0; i < COMPACT_PASSES && code == DOM_OK && again; i++) {
    uint32_t fewer = (uint32_t)COMPACT_TX_ITEMS >> (2 * i);
    scan->tx_items_max = fewer ? fewer : 1;
    code = round_run(s, victim, scan, &again, err);
  }
  return code == DOM_OK && !again ? emptied_check(s, victim, scan, out_empty, err) : code;
}

static enum dom_code victim_work(struct store *s, const struct survey *v, const struct seen *victim,
                                 bool forced, bool *did, struct dom_err *err) {
  struct note *n = &s->compact->notes[victim->info.segment - 1];
  struct scan scan = {.store = s, .look = true, .oldest_lsn = oldest_other(v, victim->info.segment)};
  bool empty = false;
  enum dom_code code = pass(s, victim, &scan, err);
  uint64_t gain = scan.needed < victim->info.bytes ? victim->info.bytes - scan.needed : 0;
  bool worth = code == DOM_OK && !scan.held && (forced || gain >= gain_least(v, victim->info.bytes));
  /* Rows never go back to an older record: what the look found dead stays so. */
  if (worth && scan.needed == 0 && !scan.tombs_drop)
    code = emptied_check(s, victim, &scan, &empty, err);
  else if (worth)
    code = segment_empty(s, victim, &scan, &empty, err);
  if (code != DOM_OK) {
    n->bad = code == DOM_CORRUPT || code == DOM_IO;
  } else if (empty) {
    *n = (struct note){.generation = victim->info.generation,
                       .emptied = true,
                       .last_lsn = victim->info.last_lsn,
                       .upto_lsn = writer_applied(s->writer)};
  } else {
    n->live = victim->live;
    n->tombs = scan.tombs;
    n->oldest_lsn = scan.oldest_lsn;
    n->again_lsn = scan.held || worth || v->is_drained ? writer_applied(s->writer) + COMPACT_VIEW_RECORDS : 0;
  }
  *did = *did || (code == DOM_OK && worth);
  scan_done(&scan);
  return code;
}

enum dom_code compact_step(struct store *s, bool *did, struct dom_err *err) {
  struct survey v = {0};
  const struct seen *victim = NULL;
  bool forced = false;
  if (!s->compact) s->compact = dom_calloc(1, sizeof *s->compact);
  if (!s->compact) return dom_fail(err, DOM_NO_MEMORY, where, "state");
  enum dom_code code = survey_take(s, &v, err);
  if (code == DOM_OK) code = victim_find(s, &v, &victim, &forced, err);
  if (code == DOM_OK && victim) code = victim_work(s, &v, victim, forced, did, err);
  if (code == DOM_OK) code = emptied_release(s, &v, victim == NULL, did, err);
  dom_free(v.all);
  return code;
}
