/* Scoped tokens: what one reaches, whether it still holds, what a gateway that cannot check one passes on.
 * And "/-/home", where a phone asks for its home. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "serve/admin.h"
#include "serve/daemon.h"

/* ---- scope ----------------------------------------------------------------------------------- */

bool token_reaches(struct call *c, struct slice key) {
  uint8_t token[TOKEN_SIZE];
  struct slice of = key.len ? key : c->q.list.prefix, id, prefix;
  assert(c->auth.has_token);
  if (!subject_layout_match(&c->bucket.layout, of, &id, &prefix)) return false;
  if (subject_token_of(c->r->subjects, &c->bucket, of, token, NULL)) return false;
  return memcmp(token, c->auth.token.subject, sizeof token) == 0;
}

/* ---- at home: does it still hold? ---------------------------------------------------------------- */

enum s3_error token_check_in(struct call *c, struct store_view *v) {
  struct store_subject row;
  struct dom_err err = {0};
  uint64_t generation = 0;
  const struct auth_token *t = &c->auth.token;
  if (!c->auth.has_token || c->auth.is_unverified) return S3_OK;
  enum dom_code code = store_subject_get(v, t->subject, &row, &err);
  if (!code) code = subject_tokens_generation(v, t->subject, &generation, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_EXPIRED_TOKEN;
  if (code) return call_error_of(c, code, &err);
  bool holds = store_subject_lives(&row) && row.epoch == t->epoch && generation == t->generation;
  return holds ? S3_OK : S3_ERR_EXPIRED_TOKEN;
}

enum s3_error token_check(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  struct dom_err err = {0};
  assert(c->auth.has_token && !c->auth.is_unverified);
  enum dom_code code = store_view_open(c->r->store, &v, &err);
  return code ? call_error_of(c, code, &err) : token_check_in(c, v);
}

/* ---- at a gateway: passed on unread ------------------------------------------------------------------ */

enum s3_error token_may_relay(struct call *c) {
  assert(c->auth.is_unverified);
  /* A peer sends on what lives here; a token of another region has ended, then. */
  if (c->is_forwarded) return S3_ERR_EXPIRED_TOKEN;
  switch (c->q.op) {
  case S3_OP_GET_OBJECT:
  case S3_OP_HEAD_OBJECT:
  case S3_OP_GET_OBJECT_ATTRIBUTES:
  case S3_OP_GET_OBJECT_TAGGING:
  case S3_OP_PUT_OBJECT_TAGGING:
  case S3_OP_PUT_OBJECT:
  case S3_OP_POST_OBJECT:
  case S3_OP_DELETE_OBJECT:
  case S3_OP_COPY_OBJECT:
  case S3_OP_CREATE_MULTIPART_UPLOAD:
  case S3_OP_UPLOAD_PART:
  case S3_OP_UPLOAD_PART_COPY:
  case S3_OP_COMPLETE_MULTIPART_UPLOAD:
  case S3_OP_ABORT_MULTIPART_UPLOAD:
  case S3_OP_LIST_PARTS:
  case S3_OP_LIST_OBJECTS:
  case S3_OP_LIST_OBJECTS_V2:
    return S3_OK;
  default: /* whatever says in its body, or nowhere, whose it is */
    snprintf(c->detail, sizeof c->detail, "with this token only at the subject's home");
    return S3_ERR_ACCESS_DENIED;
  }
}

/* ---- minting ---------------------------------------------------------------------------------------------
 */

enum dom_code token_mint(struct region *r, const uint8_t subject[TOKEN_SIZE], uint64_t ttl_s,
                         struct auth_token *out, struct auth_token_credential *out_credential,
                         struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  uint64_t now_ms = clock_wall_ms(r->clock);
  struct auth_token t = {.region = r->number, .issued_ms = now_ms, .expires_ms = now_ms + ttl_s * 1000};
  assert(ttl_s >= AUTH_TOKEN_TTL_S_MIN && ttl_s <= AUTH_TOKEN_TTL_S_MAX);
  enum dom_code code = store_view_open(r->store, &v, err);
  if (!code) code = store_subject_get(v, subject, &row, err);
  if (!code && row.state == SUBJECT_MOVED)
    code = dom_fail(err, DOM_ELSEWHERE, "serve/token", "the subject's home is another region: ask there");
  if (!code && row.state == SUBJECT_ERASED)
    code = dom_fail(err, DOM_NOT_FOUND, "serve/token", "the subject was erased");
  if (!code) code = subject_tokens_generation(v, subject, &t.generation, err);
  if (code) return code;
  memcpy(t.subject, subject, sizeof t.subject);
  t.epoch = row.epoch;
  code = auth_token_mint(r->token_key, &t, out_credential);
  if (!code) *out = t;
  return code;
}

/* ---- admin
 * ------------------------------------------------------------------------------------------------- */

static void subject_of_path(struct admin *a, uint8_t out[TOKEN_SIZE]) {
  const char *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  assert(a->word_count >= 2);
  subject_token(a->r->subjects, slice_str(tenant), slice_str(a->word[1]), out);
}

void admin_subject_token(struct admin *a) {
  json_int_t ttl_s = 0;
  uint8_t subject[TOKEN_SIZE];
  struct auth_token t;
  struct auth_token_credential made;
  struct dom_err err = {0};
  if (!admin_unpack(a, "{s:I}", "ttl_s", &ttl_s)) return;
  if (ttl_s < AUTH_TOKEN_TTL_S_MIN || ttl_s > AUTH_TOKEN_TTL_S_MAX) {
    admin_refuse(a, "a token lives for one minute to seven days");
    return;
  }
  subject_of_path(a, subject);
  enum dom_code code = token_mint(a->r, subject, (uint64_t)ttl_s, &t, &made, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200,
                   json_pack("{s:s,s:s,s:s,s:I,s:o}", "access_key", made.access, "secret_key", made.secret,
                             "session_token", made.text, "expires_ms", (json_int_t)t.expires_ms, "home",
                             admin_region(a->r, a->r->number)));
  wipe(&made, sizeof made);
}

void admin_subject_revoke(struct admin *a) {
  uint8_t subject[TOKEN_SIZE];
  uint64_t generation = 0;
  struct dom_err err = {0};
  subject_of_path(a, subject);
  enum dom_code code = subject_tokens_revoke(a->r->subjects, subject, &generation, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  assert(generation > 0);
  admin_reply_take(
      a, 200,
      json_pack("{s:o,s:I}", "token", admin_hex(subject, TOKEN_SIZE), "generation", (json_int_t)generation));
}

/* ---- /-/home
 * ------------------------------------------------------------------------------------------------- */

static void home_reply_take(struct wire_exchange *x, unsigned status, json_t *j) {
  char *text = j ? json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  assert(status >= 200);
  json_decref(j);
  wire_reply_field_str(x, "Content-Type", "application/json");
  wire_reply_field_str(x, "Cache-Control", "no-store");
  wire_reply(x, text ? status : 500, text ? slice_str(text) : SLICE_LIT("{}"), NULL);
  free(text);
}

static void home_refuse(struct wire_exchange *x, enum s3_error error) {
  assert(error != S3_OK);
  home_reply_take(x, s3_error_status(error), json_pack("{s:s}", "error", s3_error_code(error)));
}

/* `verb`: "home", or "ask": that region made the token, and alone can tell. */
static void home_answer(struct region *r, struct wire_exchange *x, const char *verb, uint16_t number,
                        uint64_t epoch) {
  struct charter *charter = subject_charter(r->subjects);
  const struct charter_region *region = charter ? charter_region_by_number(charter, number) : NULL;
  assert(verb);
  if (region)
    home_reply_take(x, 200,
                    json_pack("{s:s,s:s,s:I}", verb, region->name, "endpoint", region->endpoint, "epoch",
                              (json_int_t)epoch));
  else
    home_refuse(x, S3_ERR_SERVICE_UNAVAILABLE);
  charter_release(charter);
}

/* Whose home is asked for: the token's subject, or the one that a key's owner names in a signed header. */
static bool home_of_whom(struct call *c, uint8_t out[TOKEN_SIZE]) {
  struct slice id = wire_exchange_field(c->x, "x-domicile-subject");
  assert(!c->auth.is_unverified);
  if (c->auth.has_token) {
    memcpy(out, c->auth.token.subject, TOKEN_SIZE);
    return id.len == 0;
  }
  if (!id.len || id.len > SUBJECT_ID_MAX) return false;
  subject_token(c->r->subjects, c->auth.account, id, out);
  return true;
}

void home_page(struct region *r, struct wire_exchange *x) {
  struct call c = {.r = r, .x = x};
  call_head(&c);
  struct subject_who who = {0};
  uint8_t token[TOKEN_SIZE];
  enum dom_code code = DOM_RETRY;
  enum s3_error error = call_verify(&c);
  if (!error && c.auth.scheme == AUTH_ANONYMOUS) error = S3_ERR_ACCESS_DENIED;
  if (!error && c.auth.is_unverified) {
    home_answer(r, x, "ask", c.auth.token.region, 0);
    return;
  }
  if (!error && !auth_result_is_proven(&c.auth)) error = S3_ERR_ACCESS_DENIED;
  if (!error && !home_of_whom(&c, token)) error = S3_ERR_INVALID_REQUEST;
  for (int i = 0; !error && code == DOM_RETRY && i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(r->store, &v, NULL);
    if (!code) code = subject_resolve_token(r->subjects, v, token, &who, NULL);
  }
  if (!error && code) error = S3_ERR_SERVICE_UNAVAILABLE;
  if (!error && who.where == SUBJECT_UNREGISTERED) error = S3_ERR_SUBJECT_NOT_REGISTERED;
  if (error)
    home_refuse(x, error);
  else
    home_answer(r, x, "home", who.where == SUBJECT_HERE ? r->number : who.home, who.epoch);
}
