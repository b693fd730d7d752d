/* What must hold: the invariants of the handoff, after each step, each event, and at rest. */
#include <assert.h>

#include "move/handoff.h"
#include "sim.h"

/* ---- at each step -------------------------------------------------------------------------------------- */

/* I1: at most one region takes writes of a subject; one in quarantine takes none. */
static void judge_homes(struct sim *s, uint32_t subject) {
  uint16_t home = 0;
  for (uint16_t i = 1; i <= s->t.count; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    if (!sim_is_up(s, i) || !mover_is_open(s->t.region[i].mover)) continue;
    if (store_view_open(s->t.region[i].store, &v, NULL)) continue;
    if (store_subject_get(v, s->token[subject], &row, NULL) || row.state == SUBJECT_MOVED) continue;
    if (home) sim_find(s, "I1: regions %u and %u are both home of subject %u", home, i, subject);
    home = i;
  }
}

void sim_judge_step(struct sim *s) {
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) judge_homes(s, i);
}

/* ---- after each event -------------------------------------------------------------------------------------
 */

struct hidden {
  struct sim *s;
  struct store_view *v;
  uint16_t at;
};

static enum store_admit hidden_admit(void *arg, const struct store_subject *subject, struct slice key) {
  struct hidden *h = arg;
  (void)key;
  if (subject->state == SUBJECT_MOVED) sim_find(h->s, "I4: region %u lists what it does not serve", h->at);
  return STORE_SHOW;
}

static void hidden_show(void *arg, const struct store_object *o, struct slice common) {
  struct hidden *h = arg;
  (void)common;
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) {
    struct store_subject row;
    const char *name = h->s->key[i].name; /* the first keys: one of each subject, all in one bucket */
    size_t len = strcspn(name, "/") + 1;
    if (o->key.len < len || memcmp(o->key.data, name, len) != 0) continue;
    bool here = store_subject_get(h->v, h->s->token[i], &row, NULL) == DOM_OK && row.state != SUBJECT_MOVED;
    if (!here) sim_find(h->s, "I4: region %u shows objects of subject %u, who does not live there", h->at, i);
  }
}

/* I4: what is staged, or left behind, is never shown. */
static void judge_hidden(struct sim *s, uint16_t at) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_bucket b;
  bool more = false;
  if (store_view_open(s->t.region[at].store, &v, NULL)) return;
  struct hidden h = {.s = s, .v = v, .at = at};
  struct store_listing l = {
      .max = 1000, .versions = true, .admit = hidden_admit, .show = hidden_show, .arg = &h};
  if (subject_bucket_known(v, SLICE_LIT("phones"), &b, NULL)) return;
  memcpy(l.bucket, b.id, sizeof l.bucket);
  (void)store_list(v, &l, &more, NULL);
}

/* What a charter of the story lets a whole subject's data be stored in: told once more, in other words. */
static bool may_live(uint64_t charter, const char country[2], uint16_t region) {
  if (memcmp(country, "IN", 2) != 0 || charter == 4) return true;
  if (charter == 1) return region != 4;
  return charter == 2 ? region == 2 || region == 3 : region == 4;
}

struct epochs {
  struct sim *s;
  struct store_view *v;
  uint16_t at;
  bool at_rest;
};

static bool key_lives(struct epochs *e, const struct handoff *h, uint64_t epoch) {
  struct vault_key key = {.epoch = epoch};
  memcpy(key.token, h->token, TOKEN_SIZE);
  return vault_key_exists(store_vault(e->s->t.region[e->at].store), &key, NULL) == DOM_OK;
}

static bool rows_left(struct epochs *e, const struct handoff *h, uint64_t epoch) {
  bool present = false;
  return store_epoch_present(e->v, h->token, epoch, &present, NULL) == DOM_OK && present;
}

/* I2: the source's copy goes only when the target serves; a peer that is down cannot be asked, nor one that
 * has lost what it knew. */
static void judge_target(struct epochs *e, const struct handoff *h) {
  STORE_VIEW_AUTO *v = NULL;
  struct handoff there;
  if (!sim_is_up(e->s, h->peer) || h->peer == e->s->restored) return;
  if (store_view_open(e->s->t.region[h->peer].store, &v, NULL)) return;
  enum dom_code code = handoff_get(v, h->token, h->epoch, HANDOFF_TARGET, &there, NULL);
  if (code == DOM_IO || (code == DOM_OK && there.state == HANDOFF_ACTIVE)) return;
  sim_find(e->s, "I2: region %u is %s and region %u does not serve epoch %llu", e->at,
           handoff_state_name(h->state), h->peer, (unsigned long long)h->epoch);
}

static bool judge_handoff(void *arg, const struct handoff *h) {
  struct epochs *e = arg;
  struct sim *s = e->s;
  bool source = h->side == HANDOFF_SOURCE;
  bool committed = source && h->state >= HANDOFF_COMMITTED && h->state <= HANDOFF_PURGED;
  bool dropped = source && h->state >= HANDOFF_DROPPED && h->state <= HANDOFF_PURGED;
  if (dropped || (source && h->state == HANDOFF_ERASING)) judge_target(e, h);
  if (dropped && key_lives(e, h, h->epoch_from))
    sim_find(s, "I5: region %u says %s of epoch %llu and has its key", e->at, handoff_state_name(h->state),
             (unsigned long long)h->epoch_from);
  if (dropped && rows_left(e, h, h->epoch_from))
    sim_find(s, "I5: region %u says %s of epoch %llu and has rows of it", e->at, handoff_state_name(h->state),
             (unsigned long long)h->epoch_from);
  if ((committed || h->state == HANDOFF_ACTIVE) &&
      !may_live(h->charter_version, h->country, source ? h->peer : e->at))
    sim_find(s, "I6: a subject of %.2s went to region %u under charter %llu", h->country,
             source ? h->peer : e->at, (unsigned long long)h->charter_version);
  if (!e->at_rest) return true;
  bool open = h->state == HANDOFF_COPYING || h->state == HANDOFF_FENCED || h->state == HANDOFF_COMMITTED ||
              h->state == HANDOFF_ERASING || h->state == HANDOFF_STAGING || h->state == HANDOFF_PREPARED;
  if (open) sim_find(s, "L: a handoff stays %s at region %u", handoff_state_name(h->state), e->at);
  bool discarded = h->state == HANDOFF_DISCARDED;
  if (discarded && (key_lives(e, h, h->epoch) || rows_left(e, h, h->epoch)))
    sim_find(s, "I5: region %u keeps what it discarded", e->at);
  return true;
}

static void judge_region(struct sim *s, uint16_t at, bool at_rest) {
  STORE_VIEW_AUTO *v = NULL;
  if (!sim_is_up(s, at) || store_view_open(s->t.region[at].store, &v, NULL)) return;
  struct epochs e = {.s = s, .v = v, .at = at, .at_rest = at_rest};
  (void)handoff_scan(v, NULL, judge_handoff, &e, NULL);
}

void sim_judge_event(struct sim *s) {
  sim_judge_step(s);
  for (uint16_t i = 1; i <= s->t.count; i++) judge_region(s, i, false);
  uint16_t one = (uint16_t)(1 + s->next % s->t.count);
  if (sim_is_up(s, one)) judge_hidden(s, one);
}

/* ---- at rest
 * ----------------------------------------------------------------------------------------------- */

struct keys {
  struct sim *s;
  uint16_t at;
};

/* A key of a subject is that of its live epoch at its home: else a readable copy was left somewhere. */
static bool judge_key(void *arg, const struct vault_key *key) {
  struct keys *k = arg;
  struct sim *s = k->s;
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) {
    if (memcmp(key->token, s->token[i], TOKEN_SIZE) != 0) continue;
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    if (store_view_open(s->t.region[k->at].store, &v, NULL)) return true;
    bool home = store_subject_get(v, s->token[i], &row, NULL) == DOM_OK && row.state == SUBJECT_HOME;
    if (!home || row.epoch != key->epoch)
      sim_find(s, "I5: region %u has a key of subject %u, epoch %llu, at rest", k->at, i,
               (unsigned long long)key->epoch);
  }
  return true;
}

/* L: each subject has one home that takes writes, and every gateway finds the way there. */
static void judge_subject(struct sim *s, uint32_t subject) {
  unsigned homes = 0;
  for (uint16_t i = 1; i <= s->t.count; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    if (store_view_open(s->t.region[i].store, &v, NULL)) continue;
    if (store_subject_get(v, s->token[subject], &row, NULL) || row.state == SUBJECT_MOVED) continue;
    homes++;
    if (row.state != SUBJECT_HOME)
      sim_find(s, "L: subject %u stays in state %d at region %u", subject, row.state, i);
  }
  if (homes != 1) sim_find(s, "I1: subject %u has %u homes at rest", subject, homes);
}

/* I2: everything is seen once more, through every gateway that may show it; the histories judge it. */
static void look_at_all(struct sim *s) {
  for (uint32_t k = 0; k < SIM_KEYS && !s->finding[0]; k++) {
    unsigned seen = 0;
    for (uint16_t i = 1; i <= s->t.count; i++) {
      enum dom_code code = sim_look(s, k, i);
      seen += code == DOM_OK;
      if (code && code != DOM_REFUSED)
        sim_find(s, "I2: %s cannot be read through region %u at rest: %s", s->key[k].name, i,
                 dom_code_name(code));
    }
    if (!seen) sim_find(s, "I2: %s cannot be read anywhere at rest", s->key[k].name);
  }
}

void sim_judge_rest(struct sim *s) {
  for (uint16_t i = 1; i <= s->t.count; i++) judge_region(s, i, true);
  for (uint32_t i = 0; i < SIM_SUBJECTS; i++) judge_subject(s, i);
  for (uint16_t i = 1; i <= s->t.count; i++) {
    struct keys k = {.s = s, .at = i};
    (void)vault_key_each(store_vault(s->t.region[i].store), judge_key, &k, NULL);
  }
  look_at_all(s);
}

/* I2 and I3: each key's history can be explained, but of what was lost with a disk. */
void sim_judge_histories(struct sim *s) {
  for (uint32_t k = 0; k < SIM_KEYS && !s->finding[0]; k++) {
    if (s->lost[k]) continue;
    struct history_op ops[HISTORY_OPS_MAX];
    size_t count = 0, stuck = 0;
    for (size_t i = 0; i < s->op_count && count < HISTORY_OPS_MAX; i++)
      if (s->key_of[i] == k && !s->void_op[i]) ops[count++] = s->op[i];
    enum history_verdict verdict = history_check(ops, count, &stuck);
    if (verdict == HISTORY_GOOD) continue;
    sim_find(s, "I3: %s of %s: %s %u (moments %llu to %llu)", s->key[k].name,
             s->key[k].bucket ? "films" : "phones",
             verdict == HISTORY_BAD ? "no order explains what was told of call"
                                    : "the search was given up at call",
             ops[stuck].id, (unsigned long long)ops[stuck].began, (unsigned long long)ops[stuck].ended);
  }
}
