/* Object lock: retention and legal hold of one version, and what they keep from being removed. Everything is
 * judged by this region's clock. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* ---- the bucket ---------------------------------------------------------------------------------- */

static bool has_lock(const struct call *c) {
  return subject_bucket_has(&c->bucket, SUBJECT_PART_OBJECT_LOCK);
}

enum s3_error lock_check_bucket(struct call *c) {
  if (has_lock(c)) return S3_OK;
  snprintf(c->detail, sizeof c->detail, "bucket is missing object lock configuration");
  return S3_ERR_INVALID_REQUEST;
}

/* The bucket's configuration as the view shows it: the one that guards the commit. */
static enum s3_error config_take(struct call *c, struct store_view *v, struct s3_object_lock *out) {
  struct subject_config *config = NULL;
  struct dom_err err = {0};
  enum dom_code code = subject_config_get(c->r->subjects, v, &c->bucket, &config, &err);
  if (code) return call_error_of(c, code, &err);
  struct slice text = subject_config_part(config, SUBJECT_PART_OBJECT_LOCK);
  enum s3_error error = s3_object_lock_parse(text, wire_exchange_arena(c->x), out);
  subject_config_release(config);
  return error ? S3_ERR_INTERNAL_ERROR : S3_OK; /* it was parsed before it was kept */
}

enum s3_error lock_new_bucket(struct call *c, const struct subject_bucket *b) {
  static const struct s3_object_lock enabled = {.has_default = false};
  BUF_AUTO document = BUF_INIT;
  struct dom_err err = {0};
  if (!c->q.object_lock) return S3_OK;
  s3_object_lock_print(&enabled, &document);
  if (document.failed) return S3_ERR_SLOW_DOWN;
  enum dom_code code = subject_configure(
      c->r->subjects, b, &(struct subject_config_change){.versioning = VERSIONING_ENABLED}, &err);
  struct subject_config_change change = {.part = SUBJECT_PART_OBJECT_LOCK, .value = buf_slice(&document)};
  if (!code) code = subject_configure(c->r->subjects, b, &change, &err);
  return call_error_of(c, code, &err);
}

/* ---- new versions ------------------------------------------------------------------------------------- */

enum s3_error lock_new_version(struct call *c, struct store_view *v, struct store_object *o,
                               struct buf *keep) {
  struct s3_object_lock lock;
  struct s3_meta meta;
  struct dom_err err = {0};
  if (!has_lock(c)) return S3_OK;
  enum s3_error error = config_take(c, v, &lock);
  if (error || !lock.has_default) return error;
  error = object_meta(c, o, &meta);
  if (error || meta.lock_mode != S3_LOCK_NONE) return error;
  struct s3_retention retention = s3_lock_default(&lock, clock_wall_ms(c->r->clock));
  meta.lock_mode = retention.mode;
  meta.retain_until_ms = retention.until_ms;
  error = call_error_of(c, s3_meta_encode(&meta, keep, &err), &err);
  if (!error) o->meta = buf_slice(keep);
  return error;
}

/* ---- what is allowed ------------------------------------------------------------------------------------
 */

static enum s3_error verdict(struct call *c, enum s3_lock_allows allows) {
  if (allows == S3_LOCK_ALLOWS || (allows == S3_LOCK_ALLOWS_BYPASS && access_may_bypass(c))) return S3_OK;
  snprintf(c->detail, sizeof c->detail, "the version is protected by object lock");
  return S3_ERR_ACCESS_DENIED;
}

enum s3_error lock_may_delete(struct call *c, const struct store_object *o) {
  struct s3_meta meta;
  if (!o || o->is_marker) return S3_OK;
  enum s3_error error = object_meta(c, o, &meta);
  return error ? error : verdict(c, s3_lock_on_delete(&meta, clock_wall_ms(c->r->clock)));
}

/* ---- GET
 * ----------------------------------------------------------------------------------------------------
 */

static enum s3_error answer(struct call *c, const struct store_object *o) {
  struct s3_meta meta;
  BUF_AUTO xml = BUF_INIT;
  bool retention = c->q.op == S3_OP_GET_OBJECT_RETENTION;
  enum s3_error error = lock_check_bucket(c);
  if (!error) error = object_meta(c, o, &meta);
  if (error) return error;
  if (retention ? meta.lock_mode == S3_LOCK_NONE : meta.legal_hold == S3_HOLD_NEVER)
    return S3_ERR_NO_SUCH_LOCK;
  if (retention)
    s3_retention_print(&(struct s3_retention){meta.lock_mode, meta.retain_until_ms}, &xml);
  else
    s3_legal_hold_print(meta.legal_hold, &xml);
  return call_reply_xml(c, 200, &xml);
}

enum s3_error object_lock_get(struct call *c) {
  return object_tell(c, answer);
}

/* ---- PUT
 * ------------------------------------------------------------------------------------------------------
 */

/* c->q.meta has what the request asks for; a policy is judged by it, too. */
static enum s3_error take_retention(struct call *c, void *arg, struct s3_meta *meta) {
  struct s3_retention asked = {c->q.meta.lock_mode, c->q.meta.retain_until_ms};
  (void)arg;
  enum s3_error error = verdict(c, s3_lock_on_change(meta, &asked, clock_wall_ms(c->r->clock)));
  if (error) return error;
  meta->lock_mode = asked.mode;
  meta->retain_until_ms = asked.until_ms;
  return S3_OK;
}

static enum s3_error take_hold(struct call *c, void *arg, struct s3_meta *meta) {
  (void)arg;
  assert(c->q.meta.legal_hold != S3_HOLD_NEVER);
  meta->legal_hold = c->q.meta.legal_hold;
  return S3_OK;
}

static enum s3_error read_retention(struct call *c, struct slice body) {
  struct s3_retention asked;
  enum s3_error error = s3_retention_parse(body, wire_exchange_arena(c->x), &asked);
  if (error) return error;
  if (asked.mode != S3_LOCK_NONE && asked.until_ms <= clock_wall_ms(c->r->clock)) {
    snprintf(c->detail, sizeof c->detail, "the retain until date must be in the future");
    return S3_ERR_INVALID_ARGUMENT;
  }
  c->q.meta.lock_mode = asked.mode;
  c->q.meta.retain_until_ms = asked.until_ms;
  return S3_OK;
}

enum s3_error object_lock_put(struct call *c) {
  BUF_AUTO xml = BUF_INIT;
  bool done = false, retention = c->q.op == S3_OP_PUT_OBJECT_RETENTION;
  version_untell(c);
  enum s3_error error = call_enter(c, &done);
  if (error == S3_ERR_SUBJECT_NOT_REGISTERED) return S3_ERR_NO_SUCH_KEY;
  if (error || done) return error;
  error = lock_check_bucket(c);
  if (!error) error = intake_all(c, S3_CONFIG_BYTES_MAX, &xml);
  if (!error && retention) error = read_retention(c, buf_slice(&xml));
  if (!error && !retention)
    error = s3_legal_hold_parse(buf_slice(&xml), wire_exchange_arena(c->x), &c->q.meta.legal_hold);
  if (!error) error = object_amend(c, retention ? take_retention : take_hold, NULL);
  if (error) return error;
  call_leave(c);
  return call_reply_empty(c, 200);
}
