/* A region whose disk is lost and that comes back from a backup: what may be gone then, and what may not.
 *
 * A backup is of a stopped region. The disk is lost when the other regions have the region's latest mark
 * (what is lost within a second of being told is a known limit), so it finds out, goes into quarantine and
 * learns. */
#include <assert.h>

#include "lib/disk_copy.h"
#include "move/quarantine.h"
#include "sim.h"

enum { TELL_MS = 2000, TELL_TRIES = 3 };

static struct disk *copy_of(struct disk *from, uint64_t seed) {
  struct disk *copy = disk_sim_new(seed);
  disk_copy(from, copy);
  return copy;
}

/* The epoch under which a subject lives at a region; 0: it does not. */
static uint64_t home_epoch(struct sim *s, uint16_t at, uint32_t subject) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  if (!sim_is_up(s, at) || store_view_open(s->t.region[at].store, &v, NULL)) return 0;
  if (store_subject_get(v, s->token[subject], &row, NULL) || row.state == SUBJECT_MOVED) return 0;
  return row.epoch;
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

/* Lost may be what was written to people of this region since the backup, and who came since. Who lives
 * elsewhere loses nothing. */
static void count_losses(struct sim *s, uint16_t at) {
  const struct sim_backup *b = &s->backup;
  for (uint32_t k = 0; k < SIM_KEYS; k++) {
    uint32_t subject = s->key[k].subject;
    bool elsewhere = false;
    for (uint16_t i = 1; i <= s->t.count; i++)
      if (i != at && home_epoch(s, i, subject)) elsewhere = true;
    if (elsewhere) continue;
    uint64_t epoch = home_epoch(s, at, subject);
    bool stayed = epoch && epoch == b->epoch[subject];
    if (!stayed || written_since(s, k, b->moment)) s->lost[k] = true;
  }
}

void sim_restore(struct sim *s, uint16_t at) {
  struct sim_backup *b = &s->backup;
  struct test_region *r = &s->t.region[at];
  struct dom_err err = {0};
  if (b->region != at || s->busy[at] || s->in_call || !sim_is_up(s, at) || !has_told(s, at)) return;
  if (s->busy[at] || !sim_is_up(s, at)) return;
  count_losses(s, at);
  sim_region_end(s, at, true);
  disk_sim_free(r->disk);
  disk_sim_free(r->keys);
  r->disk = b->disk;
  r->keys = b->keys;
  r->start_confirmed = true; /* as an operator is told to have it start */
  b->region = 0;
  s->restored = at;
  s->count.restored++;
  if (sim_region_begin(s, at, &err)) sim_find(s, "region %u does not start: %s: %s", at, err.where, err.text);
  sim_trace(s, "region %u came back from its backup", at);
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

/* The operator accepts what is lost, where nobody has a copy. */
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

bool sim_waits_for_copy(struct sim *s) {
  struct mover_lost kept;
  if (!s->restored || !sim_is_up(s, s->restored)) return false;
  struct mover *m = s->t.region[s->restored].mover;
  return !mover_is_open(m) && lost_kept(m, &kept, NULL) == DOM_OK;
}

void sim_backup_free(struct sim *s) {
  if (!s->backup.region) return;
  disk_sim_free(s->backup.disk);
  disk_sim_free(s->backup.keys);
}
