/* Quarantine of a running region: asked before it serves, watched from then on, told to operators. */
#include <assert.h>
#include <stdio.h>

#include "serve/admin.h"
#include "serve/daemon.h"

static const char *state_name(enum mover_quarantine_state state) {
  static const char *const NAMES[] = {"open", "unconfirmed", "catching-up", "loss"};
  assert((size_t)state < sizeof NAMES / sizeof NAMES[0]);
  return NAMES[state];
}

/* ---- the log ------------------------------------------------------------------------------ */

static void log_state(struct region *r, const struct mover_quarantine_status *s) {
  const struct log_field *fields = LOG_FIELDS(
      {.name = "region", .text = r->name}, {.name = "state", .text = state_name(s->state)},
      {.name = "lsn", .number = (int64_t)s->lsn}, {.name = "seen_lsn", .number = (int64_t)s->seen_lsn},
      {.name = "ledger", .number = (int64_t)s->ledger_size},
      {.name = "seen_ledger", .number = (int64_t)s->seen_ledger_size},
      {.name = "lost_subjects", .number = (int64_t)s->lost});
  if (s->state == MOVER_OPEN)
    log_event(LOG_INFO, "serve", "", "quarantine is over: the region serves", fields);
  else if (s->state == MOVER_LOSS)
    log_event(LOG_ERROR, "serve", "", "subjects are lost: domicile quarantine show", fields);
  else if (s->state == MOVER_QUARANTINE)
    log_event(LOG_ERROR, "serve", "", "QUARANTINE: others have seen more of this region than it knows",
              fields);
  else
    log_event(LOG_WARN, "serve", "", "start is confirmed by no region yet: nobody is served", fields);
}

static void note_state(struct region *r, enum mover_quarantine_state before) {
  struct mover_quarantine_status s;
  struct dom_err err = {0};
  if (mover_quarantine_status(r->mover, &s, &err) != DOM_OK || s.state == before) return;
  log_state(r, &s);
  atomic_store(&r->quarantine_logged, (int)s.state);
}

void quarantine_first(struct region *r) {
  assert(r->mover);
  mover_confirm(r->mover);
  if (!mover_is_open(r->mover)) note_state(r, MOVER_OPEN);
}

void quarantine_step(struct region *r) {
  struct dom_err err = {0};
  enum mover_quarantine_state before = (enum mover_quarantine_state)atomic_load(&r->quarantine_logged);
  enum dom_code code = mover_watch(r->mover, &err);
  if (before != MOVER_OPEN || !mover_is_open(r->mover)) note_state(r, before);
  if (!code) return;
  uint64_t now = clock_mono_ns(r->clock) / 1000000;
  if (now < r->quarantine_quiet_ms) return;
  r->quarantine_quiet_ms = now + DAEMON_LOG_QUIET_MS;
  log_event(LOG_WARN, "serve", "", "what other regions know of this one is not all heard",
            LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
}

/* ---- operators ----------------------------------------------------------------------------- */

enum { SHOWN_MAX = 10000 }; /* lost subjects, or claims, of one answer: some 2 MiB */

struct shown {
  struct admin *a;
  json_t *list;
  uint8_t token[TOKEN_SIZE]; /* of the last one */
  bool copied;               /* it has a copy */
};

static const char *copy_name(enum mover_copy copy) {
  static const char *const NAMES[] = {"none", "kept", "prepared"};
  assert((size_t)copy < sizeof NAMES / sizeof NAMES[0]);
  return NAMES[copy];
}

/* What is told of one subject comes together: of those who have a copy, else once. */
static bool show_lost(void *arg, const struct mover_lost *lost) {
  struct shown *s = arg;
  size_t count = json_array_size(s->list);
  bool same = count > 0 && memcmp(s->token, lost->token, TOKEN_SIZE) == 0;
  if (same && lost->copy == MOVER_COPY_NONE) return true;
  if (same && !s->copied) json_array_remove(s->list, count - 1);
  s->copied = lost->copy != MOVER_COPY_NONE;
  memcpy(s->token, lost->token, TOKEN_SIZE);
  json_t *from = lost->from ? admin_region(s->a->r, lost->from) : json_null();
  json_t *one = json_pack("{s:o,s:I,s:o,s:s}", "token", admin_hex(lost->token, TOKEN_SIZE), "epoch",
                          (json_int_t)lost->epoch, "from", from, "copy", copy_name(lost->copy));
  json_array_append_new(s->list, one);
  return json_array_size(s->list) < SHOWN_MAX;
}

void admin_quarantine_get(struct admin *a) {
  struct mover_quarantine_status s;
  struct dom_err err = {0};
  struct shown shown = {.a = a, .list = json_array()};
  enum dom_code code = mover_quarantine_status(a->r->mover, &s, &err);
  if (!code) code = mover_quarantine_lost(a->r->mover, show_lost, &shown, &err);
  if (code) {
    json_decref(shown.list);
    admin_fail(a, code, &err);
    return;
  }
  json_t *missing = json_array();
  for (size_t i = 0; i < s.missing_count; i++)
    json_array_append_new(missing, admin_region(a->r, s.missing[i]));
  admin_reply_take(a, 200,
                   json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:o,s:o}", "state", state_name(s.state),
                             "since_ms", (json_int_t)s.since_ms, "lsn", (json_int_t)s.lsn, "seen_lsn",
                             (json_int_t)s.seen_lsn, "ledger_size", (json_int_t)s.ledger_size,
                             "seen_ledger_size", (json_int_t)s.seen_ledger_size, "told_all", s.told_all,
                             "lost", (json_int_t)s.lost, "missing", missing, "subjects", shown.list));
}

/* Body: {"accept_loss": true, "unheard": BOOL}. */
void admin_quarantine_leave(struct admin *a) {
  int accept = 0, unheard = 0;
  struct dom_err err = {0};
  if (!admin_unpack(a, "{s:b,s?b}", "accept_loss", &accept, "unheard", &unheard)) return;
  if (!accept) {
    admin_refuse(a, "accept_loss must be true: what has no copy stays lost");
    return;
  }
  enum dom_code code = mover_quarantine_leave(a->r->mover, unheard != 0, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_quarantine_get(a);
}

void admin_quarantine_enter(struct admin *a) {
  struct dom_err err = {0};
  enum dom_code code = mover_quarantine_enter(a->r->mover, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_quarantine_get(a);
}

static bool show_claim(void *arg, const struct mover_claim *claim) {
  struct shown *s = arg;
  json_t *home = claim->record_home ? admin_region(s->a->r, claim->record_home) : json_null();
  json_t *one = json_pack("{s:o,s:o,s:I,s:o,s:I}", "token", admin_hex(claim->token, TOKEN_SIZE), "region",
                          admin_region(s->a->r, claim->region), "epoch", (json_int_t)claim->epoch,
                          "record_home", home, "record_epoch", (json_int_t)claim->record_epoch);
  json_array_append_new(s->list, one);
  return json_array_size(s->list) < SHOWN_MAX;
}

void admin_claims(struct admin *a) {
  struct mover_unheard unheard;
  struct dom_err err = {0};
  struct shown shown = {.a = a, .list = json_array()};
  enum dom_code code = mover_claims(a->r->mover, show_claim, &shown, &unheard, &err);
  if (code) {
    json_decref(shown.list);
    admin_fail(a, code, &err);
    return;
  }
  json_t *missing = json_array();
  for (size_t i = 0; i < unheard.count; i++)
    json_array_append_new(missing, admin_region(a->r, unheard.region[i]));
  admin_reply_take(a, 200, json_pack("{s:o,s:o}", "claims", shown.list, "missing", missing));
}
