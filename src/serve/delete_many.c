/* DeleteObjects. Keys of one subject who lives elsewhere: the whole request goes there. Otherwise each key
 * is deleted under its own subject's gate and permit, and keys of others are answered one by one. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* True when all keys name the same subject; *out_token is theirs. */
static bool one_subject(struct call *c, const struct s3_delete_list *list, uint8_t out_token[TOKEN_SIZE]) {
  for (size_t i = 0; i < list->count; i++) {
    uint8_t token[TOKEN_SIZE];
    if (subject_token_of(c->r->subjects, &c->bucket, list->keys[i].key, token, NULL)) return false;
    if (i == 0) memcpy(out_token, token, TOKEN_SIZE);
    if (memcmp(token, out_token, TOKEN_SIZE) != 0) return false;
  }
  return true;
}

/* Each name goes through this region, whatever its class. */
static enum s3_error may_transit(struct call *c, const struct s3_delete_list *list) {
  enum s3_error error = S3_OK;
  assert(c->who.where == SUBJECT_ELSEWHERE && list->count > 0);
  for (size_t i = 0; !error && i < list->count; i++) {
    struct call_permit permit;
    error = call_permit(c, PERMIT_TRANSIT, list->keys[i].key, SLICE_LIT(""), 0, &permit);
  }
  return error;
}

/* Whether the request as a whole belongs to another region. */
static enum s3_error send_whole(struct call *c, const struct s3_delete_list *list, struct slice raw,
                                bool *out_done) {
  STORE_VIEW_AUTO *v = NULL;
  uint8_t token[TOKEN_SIZE];
  *out_done = false;
  if (!one_subject(c, list, token)) return S3_OK;
  enum s3_error error = call_resolve(c, &c->bucket, list->keys[0].key, &v, &c->who);
  if (error || c->who.where != SUBJECT_ELSEWHERE) return error == S3_ERR_KEY_OUTSIDE_LAYOUT ? S3_OK : error;
  *out_done = true;
  c->q.key = list->keys[0].key;
  if (c->is_forwarded) return call_misdirected(c);
  error = may_transit(c, list);
  if (!error) error = call_forward(c, &raw);
  if (error != S3_ERR_SUBJECT_ELSEWHERE) return error;
  *out_done = false; /* it came home */
  return S3_OK;
}

/* One key, under its own gate. Deleting what nobody has succeeds, as in S3. */
static enum s3_error delete_one(struct call *c, const struct s3_delete_key *want) {
  if (want->version_id.len && !slice_equal(want->version_id, SLICE_LIT("null")))
    return S3_ERR_NO_SUCH_VERSION;
  enum s3_error error = s3_key_check(want->key);
  if (error) return error;
  c->q.key = want->key;
  c->detail[0] = 0;
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
    if (error)
      s3_result_delete_failed(list.keys[i].key, error, c->detail[0] ? c->detail : NULL, &xml);
    else if (!list.quiet)
      s3_result_deleted(list.keys[i].key, &xml);
  }
  s3_result_delete_end(&xml);
  c->detail[0] = 0;
  return call_reply_xml(c, 200, &xml);
}
