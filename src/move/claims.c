/* Who says that a subject is at home there, while the registrar has it elsewhere: two homes, or a word that
 * is still on its way. */
#include <string.h>

#include "move/move_internal.h"

struct claims {
  struct mover *m;
  uint16_t region; /* that claims */
  mover_claim_fn fn;
  void *arg;
  bool stopped;
  enum dom_code code;
  struct dom_err *err;
};

static enum dom_code judge(struct claims *c, const uint8_t token[TOKEN_SIZE], uint64_t epoch) {
  struct subject_record record;
  enum dom_code code = subject_record_find(c->m->o.subjects, token, &record, c->err);
  if (code || c->stopped || (record.home == c->region && record.epoch == epoch)) return code;
  struct mover_claim claim = {
      .region = c->region, .epoch = epoch, .record_home = record.home, .record_epoch = record.epoch};
  memcpy(claim.token, token, TOKEN_SIZE);
  c->stopped = !c->fn(c->arg, &claim);
  return DOM_OK;
}

static bool judge_own(void *arg, const struct store_subject *row) {
  struct claims *c = arg;
  if (store_subject_lives(row)) c->code = judge(c, row->token, row->epoch);
  return c->code == DOM_OK && !c->stopped;
}

static enum dom_code judge_fact(void *arg, const struct fact *f, struct dom_err *err) {
  (void)err;
  return f->kind == FACT_AT_HOME ? judge(arg, f->token, f->epoch) : DOM_OK;
}

static enum dom_code ask_region(struct claims *c) {
  BUF_AUTO cursor = BUF_INIT;
  uint8_t phase = HISTORY_SUBJECTS;
  enum dom_code code = DOM_OK;
  while (!code && phase == HISTORY_SUBJECTS && !c->stopped && !atomic_load(&c->m->stopping))
    code = history_ask(c->m, c->region, &phase, &cursor, judge_fact, c, c->err);
  return code;
}

static enum dom_code ask_own(struct claims *c) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(c->m->o.store, &v, c->err);
  if (!code) code = store_subject_scan(v, NULL, judge_own, c, c->err);
  return code ? code : c->code;
}

enum dom_code mover_claims(struct mover *m, mover_claim_fn fn, void *arg, struct mover_unheard *out,
                           struct dom_err *err) {
  struct claims c = {.m = m, .region = m->o.region, .fn = fn, .arg = arg, .err = err};
  struct mover_unheard unheard = {.count = 0};
  if (!subject_is_registrar(m->o.subjects))
    return dom_fail(err, DOM_INVALID, "move/claims", "this region is not the registrar: ask there");
  if (!mover_is_open(m))
    return dom_fail(err, DOM_UNAVAILABLE, "move/claims", "the registrar does not know what it missed");
  enum dom_code code = ask_own(&c);
  struct charter *charter = subject_charter(m->o.subjects);
  for (unsigned i = 0; !code && charter && i < charter_region_count(charter); i++) {
    c.region = charter_region_at(charter, i)->number;
    if (c.region == m->o.region || c.stopped) continue;
    code = m->o.net ? ask_region(&c) : DOM_UNAVAILABLE;
    if (code != DOM_UNAVAILABLE && code != DOM_TIMEOUT) continue;
    unheard.region[unheard.count++] = c.region;
    code = DOM_OK;
  }
  charter_release(charter);
  if (!code) *out = unheard;
  return code;
}
