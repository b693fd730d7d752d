/* Bucket, subject, permit: what every operation asks before it touches a byte. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

static enum s3_error bucket_find(struct call *c, struct slice name) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct dom_err err = {0};
    enum dom_code code = store_view_open(c->r->store, &v, &err);
    if (!code) code = subject_bucket_get(c->r->subjects, v, name, &c->bucket, &err);
    if (!code) code = access_take(c, v, &err);
    if (code == DOM_RETRY) continue;
    if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_BUCKET;
    return call_error_of(c, code, &err);
  }
  return S3_ERR_SLOW_DOWN;
}

enum s3_error call_bucket(struct call *c, struct slice name) {
  enum s3_error error = bucket_find(c, name);
  return error ? error : access_bucket(c);
}

enum s3_error call_bucket_of_source(struct call *c) {
  assert(c->q.op == S3_OP_COPY_OBJECT || c->q.op == S3_OP_UPLOAD_PART_COPY);
  enum s3_error error = bucket_find(c, c->q.copy.bucket);
  return error ? error : access_source(c);
}

/* The configuration changed while the body came in: the bucket is looked up, and judged, anew. */
static enum s3_error look_again(struct call *c) {
  uint8_t id[STORE_BUCKET_ID_SIZE];
  char name[SUBJECT_BUCKET_NAME_MAX + 1];
  memcpy(id, c->bucket.id, sizeof id);
  memcpy(name, c->bucket.name, sizeof name);
  enum s3_error error = call_bucket(c, slice_str(name));
  if (!error && memcmp(id, c->bucket.id, sizeof id) != 0) return S3_ERR_NO_SUCH_BUCKET;
  return error;
}

enum s3_error call_config(struct call *c, struct subject_config **out) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct dom_err err = {0};
    enum dom_code code = store_view_open(c->r->store, &v, &err);
    if (!code) code = subject_config_get(c->r->subjects, v, &c->bucket, out, &err);
    if (code != DOM_RETRY) return call_error_of(c, code, &err);
    enum s3_error error = look_again(c);
    if (error) return error;
  }
  return S3_ERR_SLOW_DOWN;
}

enum s3_error call_view_to_write(struct call *c, struct store_view **v) {
  assert(c->in_gate);
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    struct dom_err err = {0};
    struct store_view *view = NULL;
    enum dom_code code = store_view_open(c->r->store, &view, &err);
    if (!code) code = subject_bucket_check(view, &c->bucket, &err);
    enum s3_error ended = code ? S3_OK : token_check_in(c, view);
    if (!code && !ended) {
      *v = view;
      return S3_OK;
    }
    store_view_close(view);
    if (ended) return ended;
    if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_BUCKET;
    if (code != DOM_RETRY) return call_error_of(c, code, &err);
    enum s3_error error = look_again(c);
    if (error) return error;
  }
  return S3_ERR_SLOW_DOWN;
}

enum dom_code call_tx_begin(struct call *c, struct store_view *v, struct store_tx **tx, struct dom_err *err) {
  enum dom_code code = store_tx_begin(c->r->store, v, tx, err);
  assert(!c->auth.is_unverified);
  if (!code && c->auth.has_token) subject_tokens_guard(*tx, c->auth.token.subject);
  return code;
}

enum s3_error call_resolve(struct call *c, const struct subject_bucket *bucket, struct slice key,
                           struct store_view **v, struct subject_who *who) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    struct dom_err err = {0};
    struct store_view *view = NULL;
    enum dom_code code = store_view_open(c->r->store, &view, &err);
    if (!code) code = subject_resolve(c->r->subjects, view, bucket, key, who, &err);
    if (!code && c->auth.is_unverified && who->where != SUBJECT_ELSEWHERE) {
      store_view_close(view);
      return S3_ERR_EXPIRED_TOKEN; /* made by another region, for a home that is not there now */
    }
    enum s3_error ended = code ? S3_OK : token_check_in(c, view);
    if (!code && !ended) {
      *v = view;
      return S3_OK;
    }
    store_view_close(view);
    if (ended) return ended;
    if (code == DOM_INVALID) return S3_ERR_KEY_OUTSIDE_LAYOUT;
    if (code != DOM_RETRY) return call_error_of(c, code, &err);
  }
  return S3_ERR_SLOW_DOWN;
}

enum s3_error call_permit(struct call *c, enum permit_action action, struct slice key, struct slice classes,
                          uint64_t destroys_ms, struct call_permit *out) {
  assert(c->who.where != SUBJECT_UNREGISTERED);
  assert(!c->auth.is_unverified || action == PERMIT_TRANSIT);
  struct subject_intent intent = {.action = action,
                                  .who = &c->who,
                                  .place_region = c->who.home,
                                  .gateway = action == PERMIT_TRANSIT ? c->r->number : c->gateway,
                                  .key = key,
                                  .classes = classes,
                                  .copy_target = action != PERMIT_COPY ? 0
                                                 : c->copy_to          ? c->copy_to
                                                                       : c->r->number,
                                  .destroys_ms = destroys_ms};
  struct charter_refusal refusal = {0};
  enum dom_code code = subject_permit(c->r->subjects, &intent, &out->storage, &out->permit, &refusal);
  if (code == DOM_OK) return S3_OK;
  call_detail_refusal(c, &refusal);
  return code == DOM_REFUSED ? S3_ERR_RESIDENCY_VIOLATION : S3_ERR_INTERNAL_ERROR;
}

bool call_left_meanwhile(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  if (c->who.where != SUBJECT_HERE || c->who.pseudo) return false;
  if (store_view_open(c->r->store, &v, NULL) || store_subject_get(v, c->who.token, &row, NULL)) return false;
  return !store_subject_lives(&row) || row.epoch != c->who.epoch;
}

struct store_place call_place(const struct call *c) {
  struct store_place place = {.epoch = c->who.epoch, .prefix = c->who.prefix};
  memcpy(place.bucket, c->bucket.id, sizeof place.bucket);
  memcpy(place.token, c->who.token, sizeof place.token);
  return place;
}

/* From the head as it counts: of a form it is made from the fields. */
static struct slice head_country(const struct call *c) {
  struct slice country = {0};
  (void)auth_header_find(&c->head, SLICE_LIT("x-amz-meta-domicile-country"), &country);
  return country;
}

/* A new person comes with a country in the head of the first object. */
static enum s3_error register_new(struct call *c, bool *out_done) {
  struct slice country = head_country(c);
  struct slice id, prefix;
  /* A person is registered by whoever's person it is. */
  if (!country.len || c->who.pseudo || !access_is_owner(c) ||
      !subject_layout_match(&c->bucket.layout, c->q.key, &id, &prefix))
    return S3_ERR_SUBJECT_NOT_REGISTERED;
  if (!auth_result_is_proven(&c->auth)) { /* a person is registered for good, and the body has yet to come */
    snprintf(c->detail, sizeof c->detail, "to register a subject it needs x-amz-content-sha256");
    return S3_ERR_INVALID_REQUEST;
  }
  if (country.len != 2) {
    snprintf(c->detail, sizeof c->detail, "x-amz-meta-domicile-country must be an ISO 3166-1 alpha-2 code");
    return S3_ERR_INVALID_ARGUMENT;
  }
  char text[2] = {(char)country.data[0], (char)country.data[1]};
  struct dom_err err = {0};
  enum dom_code code = subject_register(c->r->subjects, slice_str(c->bucket.owner), id, text, &c->who, &err);
  if (code == DOM_EXISTS) return S3_ERR_SUBJECT_COUNTRY_MISMATCH;
  if (code == DOM_DENIED) { /* erased: a phone that knows nothing of it must not bring a person back */
    snprintf(c->detail, sizeof c->detail, "%s", err.text);
    return S3_ERR_SUBJECT_NOT_REGISTERED;
  }
  if (code == DOM_OK) return S3_OK;
  if (code != DOM_ELSEWHERE) return call_error_of(c, code, &err);
  if (c->is_forwarded) return S3_ERR_SERVICE_UNAVAILABLE; /* the two regions' charters differ just now */
  *out_done = true;
  call_leave(c);
  return call_forward(c, NULL);
}

/* A known person's country is set once; another value in a head is refused. */
static enum s3_error check_country(struct call *c) {
  struct slice country = head_country(c);
  if (!country.len || c->who.pseudo || c->who.where != SUBJECT_HERE) return S3_OK;
  return slice_equal(country, slice_of(c->who.country, 2)) ? S3_OK : S3_ERR_SUBJECT_COUNTRY_MISMATCH;
}

static enum s3_error pass_gate(struct call *c) {
  uint8_t token[TOKEN_SIZE];
  if (subject_token_of(c->r->subjects, &c->bucket, c->q.key, token, NULL)) return S3_ERR_KEY_OUTSIDE_LAYOUT;
  atomic_fetch_sub(&c->r->clients, 1); /* a move does not stand back for those whom it holds itself */
  enum subject_gate gate = subject_gate_enter(c->r->subjects, token, SERVE_HOLD_MS);
  atomic_fetch_add(&c->r->clients, 1);
  if (gate == SUBJECT_GATE_TIMEOUT) return S3_ERR_SLOW_DOWN;
  if (gate == SUBJECT_GATE_WAITED) c->met = MET_HELD;
  memcpy(c->who.token, token, TOKEN_SIZE);
  c->in_gate = true;
  return S3_OK;
}

void call_leave(struct call *c) {
  if (!c->in_gate) return;
  subject_gate_leave(c->r->subjects, c->who.token);
  c->in_gate = false;
}

/* After a restart a subject may be FENCED with an open gate, until upkeep has settled it. */
static bool still_fenced(struct call *c, int round) {
  if (c->who.where != SUBJECT_HERE || c->who.state != SUBJECT_FENCED || round >= SERVE_HOLD_MS / 20)
    return false;
  c->met = MET_HELD;
  clock_sleep_ms(c->r->clock, 20);
  return true;
}

static enum s3_error resolve_writer(struct call *c) {
  for (int round = 0;; round++) {
    STORE_VIEW_AUTO *v = NULL;
    uint8_t token[TOKEN_SIZE];
    memcpy(token, c->who.token, TOKEN_SIZE);
    enum s3_error error = call_resolve(c, &c->bucket, c->q.key, &v, &c->who);
    memcpy(c->who.token, token, TOKEN_SIZE); /* call_leave needs it whatever happened */
    if (error || !still_fenced(c, round)) return error;
  }
}

static enum s3_error send_on(struct call *c, bool *out_done) {
  *out_done = true;
  call_leave(c);
  return c->is_forwarded ? call_misdirected(c) : call_forward(c, NULL);
}

enum s3_error call_enter_local(struct call *c) {
  enum s3_error error = pass_gate(c);
  return error ? error : resolve_writer(c);
}

enum s3_error call_enter(struct call *c, bool *out_done) {
  *out_done = false;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (!error) error = call_enter_local(c);
  if (error) return error;
  if (c->who.where == SUBJECT_UNREGISTERED) {
    error = register_new(c, out_done);
    if (error || *out_done) return error;
    error = resolve_writer(c);
    if (error) return error;
  }
  if (c->who.where == SUBJECT_ELSEWHERE) return send_on(c, out_done);
  if (c->met == MET_HOME && c->who.state == SUBJECT_COPYING) c->met = MET_COPYING;
  return check_country(c);
}

enum s3_error call_look(struct call *c, struct store_view **v, bool *out_done) {
  *out_done = false;
  enum s3_error error = call_bucket(c, c->q.bucket);
  if (!error) error = call_resolve(c, &c->bucket, c->q.key, v, &c->who);
  if (error) return error;
  if (c->who.where == SUBJECT_UNREGISTERED) return S3_ERR_NO_SUCH_KEY;
  if (c->who.where == SUBJECT_ELSEWHERE) {
    store_view_close(*v); /* do not pin old files while another region answers */
    *v = NULL;
    return send_on(c, out_done);
  }
  return S3_OK;
}
