/* DeleteObjects. Keys of people who all live in one other region: the whole request goes there. Otherwise
 * each key is deleted under its own subject's gate and permit, and keys of others are answered one by one. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* Where the people of a list live, as far as this region knows. */
struct homes {
  const struct s3_delete_list *list;
  struct subject_who first; /* of the first key */
  bool several;             /* more than one person */
};

static bool one_person(struct call *c, const struct s3_delete_list *list) {
  uint8_t first[TOKEN_SIZE], token[TOKEN_SIZE];
  for (size_t i = 0; i < list->count; i++) {
    if (subject_token_of(c->r->subjects, &c->bucket, list->keys[i].key, token, NULL)) return false;
    if (i == 0) memcpy(first, token, TOKEN_SIZE);
    if (memcmp(token, first, TOKEN_SIZE) != 0) return false;
  }
  return true;
}

/* True when all keys are of people of one home elsewhere. *out_refused: the charter's word on names that
 * would pass through here; each of them does, whatever its class and whoever's it is. */
static enum s3_error one_home(struct call *c, struct homes *h, bool *out_same, enum s3_error *out_refused) {
  uint8_t last[TOKEN_SIZE], token[TOKEN_SIZE];
  *out_same = false;
  *out_refused = S3_OK;
  for (size_t i = 0; i < h->list->count; i++) {
    struct slice key = h->list->keys[i].key;
    STORE_VIEW_AUTO *v = NULL;
    struct call_permit permit;
    if (subject_token_of(c->r->subjects, &c->bucket, key, token, NULL)) return S3_OK;
    bool same_person = i > 0 && memcmp(token, last, TOKEN_SIZE) == 0;
    memcpy(last, token, TOKEN_SIZE);
    enum s3_error error = same_person ? S3_OK : call_resolve(c, &c->bucket, key, &v, &c->who);
    if (error) return one_person(c, h->list) ? error : S3_OK; /* else each key has an answer of its own */
    if (c->who.where != SUBJECT_ELSEWHERE) return S3_OK;
    if (i == 0) h->first = c->who;
    if (c->who.home != h->first.home) return S3_OK;
    h->several = h->several || memcmp(token, h->first.token, TOKEN_SIZE) != 0;
    if (!c->is_forwarded && !*out_refused)
      *out_refused = call_permit(c, PERMIT_TRANSIT, key, SLICE_LIT(""), 0, &permit);
  }
  *out_same = h->list->count > 0;
  return S3_OK;
}

/* The home that was known was no longer it, and only the first person's new one was learnt on the way (the
 * client comes again, as no body is sent twice). Asked now for the others, so that they are found together.
 */
static void learn_others(struct call *c, const struct homes *h) {
  uint8_t last[TOKEN_SIZE], token[TOKEN_SIZE];
  memcpy(last, h->first.token, TOKEN_SIZE);
  for (size_t i = 0; i < h->list->count; i++) {
    uint16_t home = h->first.home;
    uint64_t epoch = 0;
    if (subject_token_of(c->r->subjects, &c->bucket, h->list->keys[i].key, token, NULL)) continue;
    if (memcmp(token, last, TOKEN_SIZE) == 0) continue;
    memcpy(last, token, TOKEN_SIZE);
    if (subject_ask_again(c->r->subjects, token, &home, &epoch, NULL) == DOM_UNAVAILABLE) return;
  }
}

static bool has_moved_on(struct call *c, const struct homes *h) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who now;
  if (call_resolve(c, &c->bucket, h->list->keys[0].key, &v, &now)) return false;
  return now.where != SUBJECT_ELSEWHERE || now.home != h->first.home;
}

/* Whether the request as a whole belongs to another region. */
static enum s3_error send_whole(struct call *c, const struct s3_delete_list *list, struct slice raw,
                                bool *out_done) {
  struct homes h = {.list = list};
  enum s3_error refused = S3_OK;
  enum s3_error error = one_home(c, &h, out_done, &refused);
  if (error || !*out_done) return error;
  c->who = h.first;
  c->q.key = list->keys[0].key;
  if (c->is_forwarded) return call_misdirected(c);
  error = refused ? refused : call_forward(c, &raw);
  if (h.several && has_moved_on(c, &h)) learn_others(c, &h);
  if (error != S3_ERR_SUBJECT_ELSEWHERE) return error;
  *out_done = false; /* it came home */
  return S3_OK;
}

/* One key, under its own gate. Deleting what nobody has succeeds, as in S3. */
static enum s3_error delete_one(struct call *c, const struct s3_delete_key *want) {
  struct store_version version;
  enum s3_error error = s3_key_check(want->key);
  if (!error && want->version_id.len && !version_parse(c->bucket.id, want->version_id, &version))
    error = S3_ERR_NO_SUCH_VERSION; /* as S3 says it here, though not of one DELETE */
  if (error) return error;
  c->q.key = want->key;
  c->q.version_id = want->version_id;
  version_untell(c);
  c->key_is_set = true;
  c->access = want->version_id.len ? POLICY_DELETE_OBJECT_VERSION : POLICY_DELETE_OBJECT;
  c->detail[0] = 0;
  error = access_bucket(c);
  if (error) return error;
  error = call_enter_local(c);
  if (!error && c->who.where == SUBJECT_ELSEWHERE) error = S3_ERR_SUBJECT_ELSEWHERE;
  if (!error && c->who.where == SUBJECT_HERE) error = object_delete_here(c);
  call_leave(c);
  return error;
}

enum s3_error object_delete_many(struct call *c) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO xml = BUF_INIT;
  struct s3_delete_list list;
  bool done = false;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (!error) error = intake_all(c, S3_XML_DELETE_BYTES_MAX, &body);
  if (!error) error = s3_delete_parse(buf_slice(&body), wire_exchange_arena(c->x), &list);
  if (!error) error = send_whole(c, &list, buf_slice(&body), &done);
  if (error || done) return error;
  c->q.condition = (struct s3_condition){0}; /* of the request, if any; never of each key */
  s3_result_delete_begin(&xml);
  for (size_t i = 0; i < list.count; i++) {
    error = delete_one(c, &list.keys[i]);
    if (error == S3_ERR_RESIDENCY_VIOLATION) refusal_note(c->r, &c->refusal);
    struct s3_deleted told = {.key = list.keys[i].key,
                              .version_id = list.keys[i].version_id,
                              .is_marker = c->told_marker,
                              .marker_id = slice_str(c->told_version)};
    if (error)
      s3_result_delete_failed(&told, error, c->detail[0] ? c->detail : NULL, &xml);
    else if (!list.quiet)
      s3_result_deleted(&told, &xml);
  }
  s3_result_delete_end(&xml);
  c->detail[0] = 0;
  version_untell(c); /* of the last key */
  return call_reply_xml(c, 200, &xml);
}
