/* The worker that carries lifecycle rules out. It is a client like any other: it asks for permits, enters
 * gates, and its commits are guarded. */
#include <assert.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "s3/s3.h"
#include "serve/lifecycle_inside.h"

struct due {
  struct slice key;
  uint64_t modified_ms;
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
};

/* One page of one bucket: names in an arena, the rules they are held against. A key's versions may lie on
 * several pages. */
struct page {
  struct lifecycle *l;
  const struct s3_lifecycle *rules;
  struct arena *arena;
  struct due due[LIFECYCLE_PAGE + 1]; /* and one that ended the page before */
  size_t due_count, seen;
  struct buf last; /* key */
  struct store_version last_version;
  uint64_t versions, modified_ms; /* of `last`: how many were seen, and when the latest of these came */
  bool ends_in_marker;            /* all that was seen of `last` is one delete marker */
  uint8_t last_upload[STORE_UPLOAD_ID_SIZE];
  bool failed; /* memory ran out: the rest another time */
};

static bool is_over(const struct lifecycle *l) {
  return l->stopping && atomic_load(l->stopping);
}

static void page_begin(struct page *p) {
  arena_reset(p->arena);
  p->due_count = p->seen = 0;
}

static void page_seen(struct page *p, struct slice key) {
  buf_reset(&p->last);
  buf_append_slice(&p->last, key);
  p->seen++;
  if (p->last.failed) p->failed = true;
}

static void page_add(struct page *p, struct slice key, uint64_t modified_ms, const uint8_t *upload) {
  assert(p->due_count <= LIFECYCLE_PAGE);
  struct due *d = &p->due[p->due_count];
  *d = (struct due){.key = arena_copy(p->arena, key), .modified_ms = modified_ms};
  if (!d->key.data) {
    p->failed = true;
    return;
  }
  if (upload) memcpy(d->upload, upload, sizeof d->upload);
  p->due_count++;
}

/* ---- what is due ----------------------------------------------------------------------------------- */

static enum store_admit admit(void *arg, const struct store_subject *subject, struct slice key) {
  (void)arg, (void)key;
  return subject->state == SUBJECT_FENCED ? STORE_SKIP : STORE_SHOW; /* it takes no writes just now */
}

/* A key once, whatever of it is due. */
static void key_is_due(struct page *p, struct slice key) {
  assert(key.len > 0);
  if (p->due_count == 0 || !slice_equal(p->due[p->due_count - 1].key, key)) page_add(p, key, 0, NULL);
}

/* The key ended: was its delete marker all that there is of it? */
static void key_ends(struct page *p) {
  uint64_t at = UINT64_MAX;
  struct slice key = buf_slice(&p->last);
  if (p->ends_in_marker) at = s3_lifecycle_expires_marker(p->rules, key, p->modified_ms, p->l->day_ms);
  if (p->ends_in_marker && at <= clock_wall_ms(p->l->clock)) key_is_due(p, key);
  p->ends_in_marker = false;
  p->versions = 0;
}

/* Tags are not in a listing: what they would decide is looked at when the key is settled. */
static void show(void *arg, const struct store_object *o, struct slice common_prefix) {
  struct page *p = arg;
  (void)common_prefix;
  assert(o);
  if (p->versions > 0 && !slice_equal(o->key, buf_slice(&p->last))) key_ends(p);
  struct s3_lifecycle_object object = {.key = o->key,
                                       .size = o->size,
                                       .modified_ms = o->mtime_ms,
                                       .is_marker = o->is_marker,
                                       .any_tags = true};
  bool current = p->versions == 0;
  uint64_t at = UINT64_MAX;
  if (!current)
    at = s3_lifecycle_expires_noncurrent(p->rules, &object, p->modified_ms, p->versions - 1, p->l->day_ms);
  else if (!o->is_marker)
    at = s3_lifecycle_expires(p->rules, &object, p->l->day_ms, NULL);
  if (at <= clock_wall_ms(p->l->clock)) key_is_due(p, o->key);
  p->ends_in_marker = current && o->is_marker;
  p->versions++;
  p->modified_ms = o->mtime_ms;
  p->last_version = (struct store_version){.is_null = !o->is_version, .order = o->order};
  page_seen(p, o->key);
}

static bool show_upload(void *arg, const struct store_subject *subject, const struct store_upload *u) {
  struct page *p = arg;
  page_seen(p, u->key);
  memcpy(p->last_upload, u->id, sizeof p->last_upload);
  uint64_t at = s3_lifecycle_aborts(p->rules, u->key, u->mtime_ms, p->l->day_ms);
  if (subject->state != SUBJECT_FENCED && at <= clock_wall_ms(p->l->clock))
    page_add(p, u->key, u->mtime_ms, u->id);
  return p->seen < LIFECYCLE_PAGE;
}

/* ---- what is done about it ------------------------------------------------------------------------------
 */

static enum dom_code permit_to_delete(struct lifecycle *l, const struct subject_who *who, const struct due *d,
                                      struct charter_permit_storage *storage, const struct permit **out) {
  struct subject_intent intent = {.action = PERMIT_DELETE,
                                  .who = who,
                                  .place_region = l->region,
                                  .gateway = l->region,
                                  .key = d->key,
                                  .destroys_ms = d->modified_ms};
  struct charter_refusal refusal = {0};
  return subject_permit(l->subjects, &intent, storage, out, &refusal);
}

static enum dom_code commit(struct lifecycle *l, struct store_view *v, const struct subject_bucket *b,
                            const struct subject_who *who, const struct due *d, struct dom_err *err) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  STORE_TX_AUTO *tx = NULL;
  struct store_place place = {.epoch = who->epoch, .prefix = who->prefix};
  memcpy(place.bucket, b->id, sizeof place.bucket);
  memcpy(place.token, who->token, sizeof place.token);
  enum dom_code code = permit_to_delete(l, who, d, &storage, &permit);
  if (!code) code = store_tx_begin(l->store, v, &tx, err);
  if (!code) code = store_tx_upload_abort(tx, permit, &place, d->key, d->upload, err);
  if (code) return code;
  struct store_tx *taken = tx;
  tx = NULL;
  return store_tx_commit_take(taken, NULL, err);
}

enum dom_code lifecycle_count(struct lifecycle *l, uint64_t *gone, enum dom_code code,
                              const struct dom_err *why, struct dom_err *err) {
  assert(gone);
  switch (code) {
  case DOM_OK:
    (*gone)++;
    return DOM_OK;
  case DOM_REFUSED:
  case DOM_RETRY:
  case DOM_FENCED:
  case DOM_STALE_EPOCH:
  case DOM_ELSEWHERE:
  case DOM_NOT_FOUND:
    l->kept++;
    return DOM_OK;
  default:
    return dom_fail(err, code, "serve/lifecycle: remove", "%s", why->text);
  }
}

static enum dom_code abort_one(struct lifecycle *l, struct store_view *v, const struct subject_bucket *b,
                               const struct due *d, struct dom_err *err) {
  struct subject_who who;
  enum dom_code code = subject_resolve(l->subjects, v, b, d->key, &who, NULL);
  bool here = !code && who.where == SUBJECT_HERE;
  if (!here || subject_gate_enter(l->subjects, who.token, 0) == SUBJECT_GATE_TIMEOUT) {
    l->kept++;
    return DOM_OK;
  }
  struct dom_err why = {0};
  code = commit(l, v, b, &who, d, &why);
  subject_gate_leave(l->subjects, who.token);
  return lifecycle_count(l, &l->aborted, code, &why, err);
}

/* ---- page by page
 * ------------------------------------------------------------------------------------------ */

enum dom_code lifecycle_view(struct lifecycle *l, const struct subject_bucket *b, struct store_view **out,
                             struct dom_err *err) {
  struct store_view *v = NULL;
  if (is_over(l)) return DOM_CANCELLED;
  enum dom_code code = store_view_open(l->store, &v, err);
  if (!code) code = subject_bucket_check(v, b, NULL);
  if (!code) {
    *out = v;
    return DOM_OK;
  }
  store_view_close(v);
  return code;
}

static enum dom_code objects_list(struct page *p, const struct subject_bucket *b, bool *out_more,
                                  struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO after = BUF_INIT;
  struct store_version version = p->last_version; /* both move on while the listing reads */
  buf_append_slice(&after, buf_slice(&p->last));
  struct store_listing listing = {.prefix = s3_lifecycle_prefix(p->rules),
                                  .max = LIFECYCLE_PAGE,
                                  .versions = true,
                                  .after = buf_slice(&after),
                                  .after_version = after.len > 0 ? &version : NULL,
                                  .admit = admit,
                                  .show = show,
                                  .arg = p};
  memcpy(listing.bucket, b->id, sizeof listing.bucket);
  enum dom_code code = buf_check(&after, err);
  if (!code) code = lifecycle_view(p->l, b, &v, err);
  if (!code) code = store_list(v, &listing, out_more, err);
  if (!code && !*out_more) key_ends(p);
  return code;
}

static enum dom_code objects_page(struct page *p, const struct subject_bucket *b, bool *out_more,
                                  struct dom_err *err) {
  page_begin(p);
  enum dom_code code = objects_list(p, b, out_more, err);
  for (size_t i = 0; !code && i < p->due_count; i++)
    code = lifecycle_settle(p->l, p->rules, b, p->due[i].key, err);
  return code;
}

static enum dom_code uploads_page(struct page *p, const struct subject_bucket *b, bool *out_more,
                                  struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  BUF_AUTO after = BUF_INIT;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  bool first = p->last.len == 0;
  buf_append_slice(&after, buf_slice(&p->last));
  memcpy(id, p->last_upload, sizeof id);
  page_begin(p);
  enum dom_code code = buf_check(&after, err);
  if (!code) code = lifecycle_view(p->l, b, &v, err);
  if (!code)
    code = store_upload_scan(v, b->id, s3_lifecycle_prefix(p->rules), buf_slice(&after), first ? NULL : id,
                             show_upload, p, err);
  *out_more = p->seen == LIFECYCLE_PAGE;
  for (size_t i = 0; !code && i < p->due_count; i++)
    code = is_over(p->l) ? DOM_CANCELLED : abort_one(p->l, v, b, &p->due[i], err);
  return code;
}

static enum dom_code pages(struct page *p, const struct subject_bucket *b, bool are_uploads,
                           struct dom_err *err) {
  enum dom_code code = DOM_OK;
  buf_reset(&p->last);
  p->versions = 0;
  p->ends_in_marker = false;
  for (bool more = true; more && !code && !p->failed;) {
    more = false;
    code = are_uploads ? uploads_page(p, b, &more, err) : objects_page(p, b, &more, err);
    if (!code && more && p->due_count) clock_sleep_ms(p->l->clock, LIFECYCLE_PAUSE_MS);
  }
  return code;
}

/* ---- bucket by bucket
 * ---------------------------------------------------------------------------------------- */

static enum dom_code rules_of(struct lifecycle *l, const struct subject_bucket *b, struct arena *arena,
                              struct s3_lifecycle *out, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_config *config = NULL;
  enum dom_code code = store_view_open(l->store, &v, err);
  if (!code) code = subject_config_get(l->subjects, v, b, &config, err);
  if (code) return code;
  struct slice text = subject_config_part(config, SUBJECT_PART_LIFECYCLE);
  bool good = text.data && s3_lifecycle_parse(text, arena, out) == S3_OK;
  subject_config_release(config);
  return good ? DOM_OK : dom_fail(err, DOM_CORRUPT, "serve/lifecycle: rules", "stored rules do not parse");
}

static enum dom_code bucket_pass(struct lifecycle *l, const struct subject_bucket *b, struct page *p,
                                 struct arena *memory, struct dom_err *err) {
  struct s3_lifecycle rules;
  arena_reset(memory);
  p->rules = &rules;
  enum dom_code code = rules_of(l, b, memory, &rules, err);
  if (!code) code = pages(p, b, false, err);
  if (!code) code = pages(p, b, true, err);
  /* Changed or gone: the next pass has the new rules. */
  return code == DOM_RETRY || code == DOM_NOT_FOUND || code == DOM_BUSY ? DOM_OK : code;
}

struct next_bucket {
  struct subject_bucket bucket;
  bool found;
};

static bool take_bucket(void *arg, const struct subject_bucket *b) {
  struct next_bucket *n = arg;
  n->found = b->state == BUCKET_ACTIVE && subject_bucket_has(b, SUBJECT_PART_LIFECYCLE);
  if (n->found) subject_bucket_copy(&n->bucket, b);
  return !n->found;
}

static enum dom_code find_bucket(struct lifecycle *l, struct next_bucket *n, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  char after[SUBJECT_BUCKET_NAME_MAX + 1];
  memcpy(after, n->bucket.name, sizeof after);
  n->found = false;
  enum dom_code code = store_view_open(l->store, &v, err);
  return code ? code : subject_bucket_scan(v, slice_str(after), take_bucket, n, err);
}

enum dom_code lifecycle_pass(struct lifecycle *l, struct dom_err *err) {
  assert(l && l->store && l->subjects && l->day_ms > 0);
  struct page *p = dom_calloc(1, sizeof *p);
  struct arena *memory = arena_new(S3_REQUEST_ARENA_BYTES), *names = arena_new(S3_REQUEST_ARENA_BYTES);
  struct next_bucket n = {.found = true};
  enum dom_code code =
      p && memory && names ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "serve/lifecycle", "no memory");
  if (!code) {
    p->l = l;
    p->arena = names;
  }
  while (!code && n.found) {
    code = find_bucket(l, &n, err);
    if (!code && n.found) code = bucket_pass(l, &n.bucket, p, memory, err);
  }
  if (p) buf_done(&p->last);
  arena_free(memory);
  arena_free(names);
  dom_free(p);
  return code;
}
