/* What lifecycle rules end of one key: its versions from the oldest on, then the current one. Each goes on a
 * view of its own, on which it was found due: the commit's guards keep it from going by what is no longer so.
 */
#include <assert.h>

#include "base/arena.h"
#include "s3/s3.h"
#include "serve/lifecycle_inside.h"

/* One thing to be done about a key, and what decided it. */
struct step {
  enum { STEP_NONE, STEP_REMOVE, STEP_MARK } what;
  struct store_version which;
  bool is_marker, is_current;
  uint64_t size, modified_ms, since_ms, newer;
};

/* The key's versions as one view shows them, newest first. */
struct history {
  struct lifecycle *l;
  const struct s3_lifecycle *rules;
  const struct subject_bucket *bucket;
  struct slice key;
  struct store_order after; /* what is not newer was dealt with */
  uint64_t count, next_modified_ms;
  uint64_t null_modified_ms; /* of the null version; CHARTER_DESTROYS_NOTHING without one */
  bool is_fenced;
  struct step step;   /* the oldest that is due */
  struct step marker; /* the current one, where it is a delete marker */
};

static bool is_newer(const struct store_order *a, const struct store_order *b) {
  return a->epoch != b->epoch ? a->epoch > b->epoch : a->lsn > b->lsn;
}

static uint64_t when(const struct history *h, const struct step *s, const struct s3_lifecycle_object *o) {
  return s->is_current ? s3_lifecycle_expires(h->rules, o, h->l->day_ms, NULL)
                       : s3_lifecycle_expires_noncurrent(h->rules, o, s->since_ms, s->newer, h->l->day_ms);
}

static enum store_admit admit(void *arg, const struct store_subject *subject, struct slice key) {
  struct history *h = arg;
  if (!slice_equal(key, h->key)) return STORE_STOP;
  h->is_fenced = subject->state == SUBJECT_FENCED; /* it takes no writes just now */
  return h->is_fenced ? STORE_SKIP : STORE_SHOW;
}

static void show(void *arg, const struct store_object *o, struct slice common_prefix) {
  struct history *h = arg;
  (void)common_prefix;
  assert(o);
  bool current = h->count == 0;
  struct step s = {.what = STEP_REMOVE,
                   .which = {.is_null = !o->is_version, .order = o->order},
                   .is_marker = o->is_marker,
                   .is_current = current,
                   .size = o->size,
                   .modified_ms = o->mtime_ms,
                   .since_ms = h->next_modified_ms,
                   .newer = current ? 0 : h->count - 1};
  if (current && h->bucket->versioning != VERSIONING_NEVER) s.what = STEP_MARK;
  h->count++;
  h->next_modified_ms = o->mtime_ms;
  if (!o->is_version && !o->is_marker) h->null_modified_ms = o->mtime_ms;
  if (!is_newer(&o->order, &h->after)) return;
  if (current && o->is_marker) {
    s.what = STEP_REMOVE;
    h->marker = s;
    return;
  }
  struct s3_lifecycle_object object = {.key = h->key,
                                       .size = o->size,
                                       .modified_ms = o->mtime_ms,
                                       .is_marker = o->is_marker,
                                       .any_tags = true};
  if (when(h, &s, &object) <= clock_wall_ms(h->l->clock)) h->step = s;
}

/* The next thing due, as the view shows it; STEP_NONE: nothing. */
static enum dom_code look(struct history *h, struct store_view *v, struct dom_err *err) {
  bool more = false;
  struct store_listing listing = {
      .prefix = h->key, .max = UINT32_MAX, .versions = true, .admit = admit, .show = show, .arg = h};
  memcpy(listing.bucket, h->bucket->id, sizeof listing.bucket);
  h->count = h->next_modified_ms = 0;
  h->null_modified_ms = CHARTER_DESTROYS_NOTHING;
  h->step = h->marker = (struct step){.what = STEP_NONE};
  enum dom_code code = store_list(v, &listing, &more, err);
  if (code && code != DOM_REFUSED) return code; /* refused: by admit, at the next key */
  bool alone = h->marker.what != STEP_NONE && h->count == 1;
  if (alone && s3_lifecycle_expires_marker(h->rules, h->key, h->marker.modified_ms, h->l->day_ms) <=
                   clock_wall_ms(h->l->clock))
    h->step = h->marker;
  return DOM_OK;
}

/* ---- what a listing does not show -------------------------------------------------------------------- */

static enum dom_code permit_for(struct history *h, const struct subject_who *who, enum permit_action action,
                                uint64_t destroys_ms, struct charter_permit_storage *storage,
                                const struct permit **out) {
  struct subject_intent intent = {.action = action,
                                  .who = who,
                                  .place_region = h->l->region,
                                  .gateway = h->l->region,
                                  .key = h->key,
                                  .destroys_ms = destroys_ms};
  struct charter_refusal refusal = {0};
  return subject_permit(h->l->subjects, &intent, storage, out, &refusal);
}

static struct store_place place_of(const struct history *h, const struct subject_who *who) {
  struct store_place place = {.epoch = who->epoch, .prefix = who->prefix};
  memcpy(place.bucket, h->bucket->id, sizeof place.bucket);
  memcpy(place.token, who->token, sizeof place.token);
  return place;
}

/* Its tags may say that no rule is about it, and a lock that it has to stay. */
static enum dom_code judge_meta(struct history *h, struct slice bytes, struct arena *arena, bool *out_due) {
  struct s3_meta meta;
  const struct step *s = &h->step;
  uint64_t now_ms = clock_wall_ms(h->l->clock);
  enum dom_code code = s3_meta_decode(bytes, arena, &meta, NULL);
  if (code) return code;
  struct s3_lifecycle_object o = {.key = h->key,
                                  .size = s->size,
                                  .modified_ms = s->modified_ms,
                                  .tag = meta.tags,
                                  .tag_count = meta.tag_count};
  *out_due = when(h, s, &o) <= now_ms;
  bool is_locked = s->what == STEP_REMOVE && s3_lock_on_delete(&meta, now_ms) != S3_LOCK_ALLOWS;
  return *out_due && is_locked ? DOM_REFUSED : DOM_OK;
}

/* DOM_REFUSED: it is locked, or may not be read. */
static enum dom_code check_meta(struct history *h, struct store_view *v, const struct subject_who *who,
                                bool *out_due) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct store_found *found = NULL;
  struct store_place place = place_of(h, who);
  const struct step *s = &h->step;
  bool may_be_locked = s->what == STEP_REMOVE && subject_bucket_has(h->bucket, SUBJECT_PART_OBJECT_LOCK);
  *out_due = true;
  if (s->is_marker || (!may_be_locked && !s3_lifecycle_by_tags(h->rules))) return DOM_OK;
  enum dom_code code = permit_for(h, who, PERMIT_READ, 0, &storage, &permit);
  if (!code) code = store_version_get(v, PERMIT_READ, permit, &place, h->key, &s->which, &found, NULL);
  struct arena *arena = code ? NULL : arena_new(S3_REQUEST_ARENA_BYTES);
  if (!code) code = arena ? judge_meta(h, store_found_object(found)->meta, arena, out_due) : DOM_NO_MEMORY;
  arena_free(arena);
  store_found_free(found);
  return code;
}

/* ---- doing it --------------------------------------------------------------------------------------------
 */

/* A delete marker destroys nothing but the null version whose place it takes. */
static uint64_t destroyed_ms(const struct history *h) {
  const struct step *s = &h->step;
  if (s->what == STEP_MARK)
    return h->bucket->versioning == VERSIONING_SUSPENDED ? h->null_modified_ms : CHARTER_DESTROYS_NOTHING;
  return s->is_marker ? CHARTER_DESTROYS_NOTHING : s->modified_ms;
}

static enum dom_code commit(struct history *h, struct store_view *v, const struct subject_who *who,
                            struct dom_err *err) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  STORE_TX_AUTO *tx = NULL;
  bool marker = false, is_version = h->bucket->versioning == VERSIONING_ENABLED;
  struct store_place place = place_of(h, who);
  enum dom_code code = permit_for(h, who, PERMIT_DELETE, destroyed_ms(h), &storage, &permit);
  if (!code) code = store_tx_begin(h->l->store, v, &tx, err);
  if (!code && h->step.what == STEP_MARK)
    code = store_tx_mark(tx, permit, &place, h->key, is_version, clock_wall_ms(h->l->clock), err);
  if (!code && h->step.what == STEP_REMOVE)
    code = store_tx_delete_version(tx, permit, &place, h->key, &h->step.which, &marker, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

/* One step on one view. *out_done: nothing more is due. */
static enum dom_code settle_once(struct history *h, bool *out_done, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who who;
  struct dom_err why = {0};
  bool due = false;
  *out_done = true;
  h->is_fenced = false;
  enum dom_code code = lifecycle_view(h->l, h->bucket, &v, err);
  if (!code) code = look(h, v, err);
  if (code) return code;
  if (h->is_fenced) h->l->kept++;
  if (h->step.what == STEP_NONE) return DOM_OK;
  code = subject_resolve(h->l->subjects, v, h->bucket, h->key, &who, NULL);
  bool here = !code && who.where == SUBJECT_HERE;
  if (!here || subject_gate_enter(h->l->subjects, who.token, 0) == SUBJECT_GATE_TIMEOUT) {
    h->l->kept++;
    return DOM_OK;
  }
  code = check_meta(h, v, &who, &due);
  if (!code && due) code = commit(h, v, &who, &why);
  subject_gate_leave(h->l->subjects, who.token);
  *out_done = false;
  h->after = h->step.which.order;
  if (!code && !due) return DOM_OK;
  return lifecycle_count(h->l, &h->l->expired, code, &why, err);
}

enum dom_code lifecycle_settle(struct lifecycle *l, const struct s3_lifecycle *rules,
                               const struct subject_bucket *b, struct slice key, struct dom_err *err) {
  struct history h = {.l = l, .rules = rules, .bucket = b, .key = key};
  enum dom_code code = DOM_OK;
  bool done = false;
  assert(key.len > 0);
  for (int i = 0; !code && !done && i < LIFECYCLE_VERSIONS_OF_KEY; i++) code = settle_once(&h, &done, err);
  return code;
}
