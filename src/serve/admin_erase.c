/* Admin: erasing a person for good. */
#include <assert.h>
#include <stdio.h>

#include "base/arena.h"
#include "s3/s3.h"
#include "serve/admin.h"

/* ---- locks ------------------------------------------------------------------------------- */

struct locks {
  struct region *r;
  struct arena *arena;
};

/* A version of which it cannot be told counts as locked. Nobody bypasses governance here: an operator takes
 * the retention off first, which leaves its own trace. */
static bool is_locked(void *arg, struct slice meta) {
  struct locks *l = arg;
  struct s3_meta m;
  arena_reset(l->arena);
  if (s3_meta_decode(meta, l->arena, &m, NULL)) return true;
  return s3_lock_on_delete(&m, clock_wall_ms(l->r->clock)) != S3_LOCK_ALLOWS;
}

/* ---- answers ------------------------------------------------------------------------------- */

static const char *stage_name(enum mover_forget_stage stage) {
  switch (stage) {
  case MOVER_FORGET_ORDERED:
    return "ordered";
  case MOVER_FORGET_KEY_DROPPED:
    return "key-dropped";
  case MOVER_FORGET_ERASED:
    return "erased";
  case MOVER_FORGET_NAMES_PURGED:
    return "names-purged";
  case MOVER_FORGET_NOT_YET:
    break;
  }
  return "not-yet";
}

static json_t *peers_json(struct region *r, const struct mover_forget_status *s) {
  json_t *peers = json_array();
  for (uint32_t i = 0; peers && i < s->peer_count; i++)
    json_array_append_new(peers, json_pack("{s:o,s:s}", "region", admin_region(r, s->peer[i].region), "stage",
                                           stage_name(s->peer[i].stage)));
  return peers;
}

static json_t *status_json(struct region *r, const uint8_t token[TOKEN_SIZE],
                           const struct mover_forget_status *s) {
  json_t *j = json_pack("{s:o,s:o,s:s,s:b,s:I,s:I,s:I,s:o}", "token", admin_hex(token, TOKEN_SIZE), "region",
                        admin_region(r, r->number), "stage", stage_name(s->stage), "registrar_knows",
                        (int)s->registrar_knows, "epoch", (json_int_t)s->epoch, "objects",
                        (json_int_t)s->objects, "bytes", (json_int_t)s->bytes, "elsewhere", peers_json(r, s));
  const struct {
    const char *name;
    uint64_t ms;
  } times[] = {{"ordered_ms", s->started_ms},
               {"key_dropped_ms", s->dropped_ms},
               {"erased_ms", s->erased_ms},
               {"names_purged_ms", s->purged_ms}};
  for (size_t i = 0; j && i < sizeof times / sizeof *times; i++)
    json_object_set_new(j, times[i].name, json_integer((json_int_t)times[i].ms));
  return j;
}

/* The newest ledger entry about the subject, by which a receipt is asked for. */
static void add_receipt(struct region *r, const uint8_t token[TOKEN_SIZE], json_t *j) {
  STORE_VIEW_AUTO *v = NULL;
  uint64_t index = 0;
  bool known = j && !store_view_open(r->store, &v, NULL) && !admin_last_entry(r, v, token, &index);
  if (j) json_object_set_new(j, "last_receipt", known ? json_integer((json_int_t)index) : json_null());
}

/* Not here: which region is to be asked. */
static void answer_elsewhere(struct admin *a, const uint8_t token[TOKEN_SIZE], enum dom_code code,
                             struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who who = {0};
  struct dom_err why = {0};
  enum dom_code found = store_view_open(a->r->store, &v, &why);
  if (!found) found = subject_resolve_token(a->r->subjects, v, token, &who, &why);
  if (!found && who.where == SUBJECT_ELSEWHERE) {
    json_t *name = admin_region(a->r, who.home);
    const char *text = name && json_is_string(name) ? json_string_value(name) : "?";
    code =
        dom_fail(err, DOM_ELSEWHERE, "serve/admin",
                 "the subject's home is region %s: run this there, it erases what other regions still have, "
                 "too",
                 text);
    json_decref(name);
  } else if (!found && who.where == SUBJECT_UNREGISTERED) {
    code = dom_fail(err, DOM_NOT_FOUND, "serve/admin", "the subject is not registered");
  }
  admin_fail(a, code, err);
}

void admin_subject_erase(struct admin *a) {
  uint8_t token[TOKEN_SIZE];
  struct mover_forget_status s = {0};
  struct dom_err err = {0};
  struct region *r = a->r;
  const char *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  bool dry_run = admin_param(a, "dry_run", NULL) != NULL, now = admin_param(a, "now", NULL) != NULL;
  assert(a->word_count >= 2);
  subject_token(r->subjects, slice_str(tenant), slice_str(a->word[1]), token);
  struct locks locks = {.r = r, .arena = arena_new(S3_REQUEST_ARENA_BYTES)};
  struct mover_forget_check check = {.is_locked = is_locked, .arg = &locks};
  enum dom_code code = locks.arena ? mover_forget(r->mover, token, &check, dry_run, &s, &err)
                                   : dom_fail(&err, DOM_NO_MEMORY, "serve/admin", "no memory");
  if (!code && now && !dry_run && s.stage < MOVER_FORGET_NAMES_PURGED) {
    code = mover_purge_names(r->mover, &err);
    if (!code) code = mover_forget(r->mover, token, &check, false, &s, &err);
  }
  arena_free(locks.arena);
  if (code == DOM_ELSEWHERE || code == DOM_NOT_FOUND) {
    answer_elsewhere(a, token, code, &err);
  } else if (code) {
    admin_fail(a, code, &err);
  } else {
    json_t *j = status_json(r, token, &s);
    add_receipt(r, token, j);
    admin_reply_take(a, 200, j);
  }
}
