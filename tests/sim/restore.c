/* A region whose disk is lost and that comes back from a backup: what may be gone then, and what may not.
 *
 * A backup is of a stopped region. The disk is lost when the other regions have the region's latest mark
 * (what is lost within a second of being told is a known limit), so it finds out, goes into quarantine and
 * learns. */
#include <assert.h>

#include "lib/disk_copy.h"
#include "move/quarantine.h"
#include "sim.h"

enum { TELL_MS = 2000, TELL_TRIES = 3, WORST_EVERY = 2 };

struct kept {
  uint16_t peer;
  bool found;
};

static struct disk *copy_of(struct disk *from, uint64_t seed) {
  struct disk *copy = disk_sim_new(seed);
  disk_copy(from, copy);
  return copy;
}

static bool home_row(struct sim *s, uint16_t at, uint32_t subject, struct store_subject *out) {
  STORE_VIEW_AUTO *v = NULL;
  if (!sim_is_up(s, at) || store_view_open(s->t.region[at].store, &v, NULL)) return false;
  return store_subject_get(v, s->token[subject], out, NULL) == DOM_OK && out->state != SUBJECT_MOVED;
}

/* The epoch under which a subject lives at a region; 0: it does not. */
static uint64_t home_epoch(struct sim *s, uint16_t at, uint32_t subject) {
  struct store_subject row;
  return home_row(s, at, subject, &row) ? row.epoch : 0;
}

void sim_back_up(struct sim *s, uint16_t at) {
  struct sim_backup *b = &s->backup;
  struct test_region *r = &s->t.region[at];
  struct dom_err err = {0};
  if (b->region || s->restored || s->busy[at] || s->in_call || !sim_is_up(s, at)) return;
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) b->epoch[i] = home_epoch(s, at, i);
  sim_disk_mend(s, at); /* nothing fails while a backup is made */
  sim_region_end(s, at, false);
  b->disk = copy_of(r->disk, sim_mix(s->plan->seed, 1));
  b->keys = copy_of(r->keys, sim_mix(s->plan->seed, 2));
  b->region = at;
  b->moment = s->now;
  if (sim_region_begin(s, at, &err)) sim_find(s, "region %u does not start: %s: %s", at, err.where, err.text);
  sim_trace(s, "region %u backed up", at);
}

/* Whether every other region that can be reached has the region's latest mark, and one can be. */
static bool has_told(struct sim *s, uint16_t at) {
  struct mover *m = s->t.region[at].mover;
  struct mover_quarantine_status q;
  if (pthread_mutex_trylock(&m->quarantine.lock)) return false; /* it is telling right now */
  pthread_mutex_unlock(&m->quarantine.lock);
  for (int i = 0; i < TELL_TRIES; i++) {
    clock_sim_advance(s->t.clock, TELL_MS);
    s->busy[at]++;
    (void)mover_watch(m, NULL);
    s->busy[at]--;
    if (!sim_is_up(s, at) || mover_quarantine_status(m, &q, NULL)) return false;
    if (q.told_all) return q.state == MOVER_OPEN;
  }
  return false;
}

static bool is_write(const struct history_op *op) {
  return op->kind != HISTORY_GET && op->kind != HISTORY_LIST;
}

/* Also a call that was on its way to the region when it was backed up. */
static bool written_since(const struct sim *s, uint32_t key, uint64_t moment) {
  for (size_t i = 0; i < s->op_count; i++) {
    const struct history_op *op = &s->op[i];
    bool over = op->ended > 0 && op->ended <= moment;
    if (s->key_of[i] == key && is_write(op) && !over && !s->void_op[i]) return true;
  }
  return false;
}

struct copied {
  uint16_t at;
  bool home;       /* the subject lives there */
  uint64_t fenced; /* … and was about to leave under this epoch; 0 */
  bool found;
};

static bool is_copy(void *arg, const struct handoff *h) {
  struct copied *c = arg;
  bool kept = h->state == HANDOFF_COMMITTED && !c->home;
  bool prepared = h->state == HANDOFF_PREPARED && h->epoch == c->fenced;
  c->found = c->found || (h->peer == c->at && (kept || prepared));
  return !c->found;
}

/* Whether another region has all of a subject that is between two homes: behind the fence nothing was told to
 * any client that is not in there. */
static bool is_copied(struct sim *s, uint16_t at, uint32_t subject) {
  struct store_subject row;
  struct copied c = {.at = at, .home = home_row(s, at, subject, &row)};
  if (c.home && row.state == SUBJECT_FENCED) c.fenced = row.handoff_epoch;
  for (uint16_t i = 1; i <= s->t.count && !c.found; i++) {
    STORE_VIEW_AUTO *v = NULL;
    if (i != at && sim_is_up(s, i) && store_view_open(s->t.region[i].store, &v, NULL) == DOM_OK)
      (void)handoff_scan(v, s->token[subject], is_copy, &c, NULL);
  }
  return c.found;
}

/* Lost may be what was written to people of this region since the backup, and who came since. Who lives
 * elsewhere loses nothing, nor who came and of whom there is a whole copy. */
static void count_losses(struct sim *s, uint16_t at) {
  const struct sim_backup *b = &s->backup;
  for (uint32_t k = 0; k < SIM_KEYS; k++) {
    uint32_t subject = s->key[k].subject;
    bool elsewhere = false;
    for (uint16_t i = 1; i <= s->t.count; i++)
      if (i != at && home_epoch(s, i, subject)) elsewhere = true;
    uint64_t epoch = home_epoch(s, at, subject);
    bool stayed = epoch && epoch == b->epoch[subject];
    if (elsewhere || (!stayed && is_copied(s, at, subject))) continue;
    if (!stayed || written_since(s, k, b->moment)) s->lost[k] = true;
  }
}

void sim_restored_begin(struct sim *s, uint16_t at) {
  struct sim_backup *b = &s->backup;
  struct test_region *r = &s->t.region[at];
  struct dom_err err = {0};
  assert(b->region == at && s->busy[at] == 0);
  sim_region_end(s, at, true);
  disk_sim_free(r->disk);
  disk_sim_free(r->keys);
  r->disk = b->disk;
  r->keys = b->keys;
  r->start_confirmed = true; /* as an operator is told to have it start */
  b->region = 0;
  s->doomed = 0;
  s->restored = at;
  s->count.restored++;
  if (sim_region_begin(s, at, &err)) sim_find(s, "region %u does not start: %s: %s", at, err.where, err.text);
  sim_trace(s, "region %u came back from its backup", at);
}

void sim_restore(struct sim *s, uint16_t at) {
  if (s->backup.region != at || s->doomed || s->busy[at] || s->in_call || !sim_is_up(s, at)) return;
  if (!has_told(s, at) || s->busy[at] || s->doomed || !sim_is_up(s, at)) return;
  count_losses(s, at);
  sim_restored_begin(s, at);
}

/* The worst moments: the target's disk goes once the source has committed, the source's once the target has
 * prepared. */
void sim_restore_at(struct sim *s, const char *step) {
  uint16_t at = s->backup.region;
  bool committed = strcmp(step, "+committed") == 0, prepared = strcmp(step, "+peer-prepared") == 0;
  bool ends = s->next >= s->plan->count; /* nothing may be lost any more */
  if (ends || !at || s->doomed || (!committed && !prepared) || sim_mix(s->plan->seed, s->steps) % WORST_EVERY)
    return;
  if (committed) sim_restore(s, at);
  if (committed || !s->busy[at] || !sim_is_up(s, at) || !has_told(s, at)) return;
  if (s->doomed || s->backup.region != at || !sim_is_up(s, at)) return;
  count_losses(s, at);
  disk_sim_power_cut(s->t.region[at].disk);
  disk_sim_power_cut(s->t.region[at].keys);
  s->doomed = at;
  sim_trace(s, "region %u loses its disk", at);
}

/* Nothing is lost then, and everybody is told the same: whatever is under way must end as if it had failed.
 */
void sim_doubt(struct sim *s, uint16_t at) {
  struct mover *m = s->t.region[at].mover;
  if (pthread_mutex_trylock(&m->quarantine.lock)) return; /* it learns, or tells, right now */
  pthread_mutex_unlock(&m->quarantine.lock);
  s->busy[at]++;
  enum dom_code code = mover_quarantine_enter(m, NULL);
  s->busy[at]--;
  sim_trace(s, "region %u is made to doubt: %s", at, dom_code_name(code));
}

/* The operator accepts what is lost; of whom another region has a copy goes on with that. */
void sim_accept_loss(struct sim *s, uint16_t at) {
  struct mover_quarantine_status q;
  struct dom_err err = {0};
  if (s->restored != at || !sim_is_up(s, at)) return;
  struct mover *m = s->t.region[at].mover;
  if (mover_quarantine_status(m, &q, NULL) || q.state != MOVER_LOSS) return;
  s->busy[at]++;
  enum dom_code code = mover_quarantine_leave(m, false, &err);
  s->busy[at]--;
  sim_trace(s, "losses at %u accepted: %s %s", at, dom_code_name(code), err.text);
}

static bool is_kept(void *arg, const struct handoff *h) {
  struct kept *k = arg;
  k->found = k->found || (h->state == HANDOFF_COMMITTED && h->peer == k->peer);
  return !k->found;
}

bool sim_waits_for_charter(struct sim *s) {
  struct kept k = {.peer = s->restored};
  if (!s->restored) return false;
  for (uint16_t i = 1; i <= s->t.count && !k.found; i++) {
    STORE_VIEW_AUTO *v = NULL;
    if (store_view_open(s->t.region[i].store, &v, NULL) == DOM_OK)
      (void)handoff_scan(v, NULL, is_kept, &k, NULL);
  }
  return k.found || !mover_is_open(s->t.region[s->restored].mover);
}

void sim_backup_free(struct sim *s) {
  if (!s->backup.region) return;
  disk_sim_free(s->backup.disk);
  disk_sim_free(s->backup.keys);
}
