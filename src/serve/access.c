/* Who may do what: each request asked once its bucket is known, before its subject is. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "serve/region.h"

/* ---- which action an operation is ------------------------------------------------------------ */

/* How an operation is judged. What is not in the table is the owner's alone: an operation that nobody
 * thought of here is closed, not open. */
enum how { OWNER_ONLY, BY_ACTION, BY_KEY /* each key of the body by itself */, WITHOUT_BUCKET };
static const struct {
  enum how how;
  enum policy_action action, of_version; /* the latter where the head names a version */
} JUDGED[S3_OP_COUNT] = {
    [S3_OP_LIST_BUCKETS] = {WITHOUT_BUCKET, 0, 0},
    [S3_OP_CREATE_BUCKET] = {WITHOUT_BUCKET, 0, 0},
    [S3_OP_DELETE_OBJECTS] = {BY_KEY, POLICY_DELETE_OBJECT, POLICY_DELETE_OBJECT_VERSION},
#define ONE(op, action)            [S3_OP_##op] = {BY_ACTION, POLICY_##action, POLICY_##action}
#define TWO(op, action, versioned) [S3_OP_##op] = {BY_ACTION, POLICY_##action, POLICY_##versioned}
    ONE(HEAD_BUCKET, LIST_BUCKET),
    ONE(DELETE_BUCKET, DELETE_BUCKET),
    ONE(GET_BUCKET_LOCATION, GET_BUCKET_LOCATION),
    ONE(GET_BUCKET_VERSIONING, GET_BUCKET_VERSIONING),
    ONE(GET_BUCKET_ACL, GET_BUCKET_ACL),
    ONE(PUT_BUCKET_ACL, PUT_BUCKET_ACL),
    ONE(GET_BUCKET_POLICY, GET_BUCKET_POLICY),
    ONE(PUT_BUCKET_POLICY, PUT_BUCKET_POLICY),
    ONE(DELETE_BUCKET_POLICY, DELETE_BUCKET_POLICY),
    ONE(GET_BUCKET_POLICY_STATUS, GET_BUCKET_POLICY_STATUS),
    ONE(GET_PUBLIC_ACCESS_BLOCK, GET_BUCKET_PUBLIC_BLOCK),
    ONE(PUT_PUBLIC_ACCESS_BLOCK, PUT_BUCKET_PUBLIC_BLOCK),
    ONE(DELETE_PUBLIC_ACCESS_BLOCK, PUT_BUCKET_PUBLIC_BLOCK),
    ONE(GET_BUCKET_OWNERSHIP, GET_BUCKET_OWNERSHIP),
    ONE(PUT_BUCKET_OWNERSHIP, PUT_BUCKET_OWNERSHIP),
    ONE(DELETE_BUCKET_OWNERSHIP, PUT_BUCKET_OWNERSHIP),
    ONE(PUT_BUCKET_VERSIONING, PUT_BUCKET_VERSIONING),
    ONE(GET_BUCKET_CORS, GET_BUCKET_CORS),
    ONE(PUT_BUCKET_CORS, PUT_BUCKET_CORS),
    ONE(DELETE_BUCKET_CORS, PUT_BUCKET_CORS),
    ONE(GET_BUCKET_LIFECYCLE, GET_LIFECYCLE),
    ONE(PUT_BUCKET_LIFECYCLE, PUT_LIFECYCLE),
    ONE(DELETE_BUCKET_LIFECYCLE, PUT_LIFECYCLE),
    ONE(GET_BUCKET_TAGGING, GET_BUCKET_TAGGING),
    ONE(PUT_BUCKET_TAGGING, PUT_BUCKET_TAGGING),
    ONE(DELETE_BUCKET_TAGGING, PUT_BUCKET_TAGGING),
    ONE(GET_BUCKET_ENCRYPTION, GET_ENCRYPTION),
    ONE(PUT_BUCKET_ENCRYPTION, PUT_ENCRYPTION),
    ONE(DELETE_BUCKET_ENCRYPTION, PUT_ENCRYPTION),
    ONE(GET_OBJECT_LOCK_CONFIG, GET_BUCKET_OBJECT_LOCK),
    ONE(PUT_OBJECT_LOCK_CONFIG, PUT_BUCKET_OBJECT_LOCK),
    ONE(GET_BUCKET_REQUEST_PAYMENT, GET_BUCKET_REQUEST_PAYMENT),
    ONE(GET_BUCKET_LOGGING, GET_BUCKET_LOGGING),
    ONE(GET_BUCKET_NOTIFICATION, GET_BUCKET_NOTIFICATION),
    ONE(GET_BUCKET_ACCELERATE, GET_ACCELERATE),
    ONE(GET_BUCKET_WEBSITE, GET_BUCKET_WEBSITE),
    ONE(GET_BUCKET_REPLICATION, GET_REPLICATION),
    ONE(LIST_OBJECTS, LIST_BUCKET),
    ONE(LIST_OBJECTS_V2, LIST_BUCKET),
    ONE(LIST_OBJECT_VERSIONS, LIST_BUCKET_VERSIONS),
    ONE(LIST_MULTIPART_UPLOADS, LIST_BUCKET_MULTIPART_UPLOADS),
    ONE(PUT_OBJECT, PUT_OBJECT),
    ONE(POST_OBJECT, PUT_OBJECT),
    ONE(COPY_OBJECT, PUT_OBJECT),
    ONE(CREATE_MULTIPART_UPLOAD, PUT_OBJECT),
    ONE(UPLOAD_PART, PUT_OBJECT),
    ONE(UPLOAD_PART_COPY, PUT_OBJECT),
    ONE(COMPLETE_MULTIPART_UPLOAD, PUT_OBJECT),
    ONE(LIST_PARTS, LIST_MULTIPART_UPLOAD_PARTS),
    ONE(ABORT_MULTIPART_UPLOAD, ABORT_MULTIPART_UPLOAD),
    TWO(GET_OBJECT, GET_OBJECT, GET_OBJECT_VERSION),
    TWO(HEAD_OBJECT, GET_OBJECT, GET_OBJECT_VERSION),
    TWO(DELETE_OBJECT, DELETE_OBJECT, DELETE_OBJECT_VERSION),
    TWO(GET_OBJECT_ACL, GET_OBJECT_ACL, GET_OBJECT_VERSION_ACL),
    TWO(GET_OBJECT_ATTRIBUTES, GET_OBJECT_ATTRIBUTES, GET_OBJECT_VERSION_ATTRIBUTES),
    TWO(PUT_OBJECT_ACL, PUT_OBJECT_ACL, PUT_OBJECT_VERSION_ACL),
    ONE(GET_OBJECT_RETENTION, GET_OBJECT_RETENTION),
    ONE(PUT_OBJECT_RETENTION, PUT_OBJECT_RETENTION),
    ONE(GET_OBJECT_LEGAL_HOLD, GET_OBJECT_LEGAL_HOLD),
    ONE(PUT_OBJECT_LEGAL_HOLD, PUT_OBJECT_LEGAL_HOLD),
    TWO(GET_OBJECT_TAGGING, GET_OBJECT_TAGGING, GET_OBJECT_VERSION_TAGGING),
    TWO(PUT_OBJECT_TAGGING, PUT_OBJECT_TAGGING, PUT_OBJECT_VERSION_TAGGING),
    TWO(DELETE_OBJECT_TAGGING, DELETE_OBJECT_TAGGING, DELETE_OBJECT_VERSION_TAGGING),
#undef ONE
#undef TWO
};

/* ---- what the request says --------------------------------------------------------------------- */

/* Headers that are condition keys as they stand. */
static const struct {
  const char *header;
  enum policy_key key;
} HEADERS[] = {
    {"user-agent", POLICY_KEY_USER_AGENT},
    {"referer", POLICY_KEY_REFERER},
    {"if-match", POLICY_KEY_IF_MATCH},
    {"if-none-match", POLICY_KEY_IF_NONE_MATCH},
    {"x-amz-acl", POLICY_KEY_ACL},
    {"x-amz-content-sha256", POLICY_KEY_CONTENT_SHA256},
    {"x-amz-copy-source", POLICY_KEY_COPY_SOURCE},
    {"x-amz-grant-full-control", POLICY_KEY_GRANT_FULL_CONTROL},
    {"x-amz-grant-read", POLICY_KEY_GRANT_READ},
    {"x-amz-grant-read-acp", POLICY_KEY_GRANT_READ_ACP},
    {"x-amz-grant-write", POLICY_KEY_GRANT_WRITE},
    {"x-amz-grant-write-acp", POLICY_KEY_GRANT_WRITE_ACP},
    {"x-amz-metadata-directive", POLICY_KEY_METADATA_DIRECTIVE},
    {"x-amz-object-lock-legal-hold", POLICY_KEY_LOCK_LEGAL_HOLD},
    {"x-amz-object-lock-mode", POLICY_KEY_LOCK_MODE},
    {"x-amz-object-lock-retain-until-date", POLICY_KEY_LOCK_RETAIN_UNTIL},
    {"x-amz-object-ownership", POLICY_KEY_OBJECT_OWNERSHIP},
    {"x-amz-server-side-encryption", POLICY_KEY_ENCRYPTION},
    {"x-amz-server-side-encryption-aws-kms-key-id", POLICY_KEY_ENCRYPTION_KMS_KEY},
    {"x-amz-server-side-encryption-customer-algorithm", POLICY_KEY_ENCRYPTION_CUSTOMER},
    {"x-amz-storage-class", POLICY_KEY_STORAGE_CLASS},
    {"x-amz-website-redirect-location", POLICY_KEY_WEBSITE_REDIRECT},
};
static const struct {
  const char *parameter;
  enum policy_key key;
} PARAMETERS[] = {
    {"prefix", POLICY_KEY_PREFIX},
    {"delimiter", POLICY_KEY_DELIMITER},
    {"max-keys", POLICY_KEY_MAX_KEYS},
    {"versionId", POLICY_KEY_VERSION_ID},
};

/* A value that is there though empty. */
static struct slice present(struct slice value) {
  return value.data ? value : SLICE_LIT("");
}

static void say_head(struct call *c, const struct policy *p, struct policy_request *q) {
  struct slice value;
  struct auth_query query;
  assert(q);
  for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++)
    if (policy_asks(p, HEADERS[i].key) && auth_header_find(&c->head, slice_str(HEADERS[i].header), &value))
      q->value[HEADERS[i].key] = present(value);
  bool any = false;
  for (size_t i = 0; i < sizeof PARAMETERS / sizeof PARAMETERS[0]; i++)
    any = any || policy_asks(p, PARAMETERS[i].key);
  if (!any || auth_query_parse(c->head.raw_query, wire_exchange_arena(c->x), &query))
    return; /* it parsed before */
  for (size_t i = 0; i < sizeof PARAMETERS / sizeof PARAMETERS[0]; i++)
    if (auth_query_find(&query, slice_str(PARAMETERS[i].parameter), &value))
      q->value[PARAMETERS[i].key] = present(value);
}

/* How long ago it was signed, in milliseconds. */
static void say_signature(struct call *c, const struct policy *p, struct policy_request *q) {
  uint64_t date_ms = 0;
  if (c->auth.scheme == AUTH_ANONYMOUS) return;
  assert(c->auth.date[0]);
  q->value[POLICY_KEY_AUTH_TYPE] = c->auth.scheme == AUTH_QUERY  ? SLICE_LIT("REST-QUERY-STRING")
                                   : c->auth.scheme == AUTH_FORM ? SLICE_LIT("POST")
                                                                 : SLICE_LIT("REST-HEADER");
  q->value[POLICY_KEY_SIGNATURE_VERSION] = SLICE_LIT("AWS4-HMAC-SHA256");
  if (!q->value[POLICY_KEY_CONTENT_SHA256].data && c->auth.scheme == AUTH_QUERY)
    q->value[POLICY_KEY_CONTENT_SHA256] = SLICE_LIT("UNSIGNED-PAYLOAD");
  if (!policy_asks(p, POLICY_KEY_SIGNATURE_AGE) || time_parse_amz(slice_str(c->auth.date), &date_ms)) return;
  uint64_t age_ms = c->head.now_ms > date_ms ? c->head.now_ms - date_ms : 0;
  char text[24];
  int n = snprintf(text, sizeof text, "%" PRIu64, age_ms);
  q->value[POLICY_KEY_SIGNATURE_AGE] = arena_copy(wire_exchange_arena(c->x), slice_of(text, (size_t)n));
}

/* Where the client's own connection ends: here, or at the gateway that told so. */
static void say_connection(struct call *c, struct policy_request *q) {
  assert(c->client_tls == 0 || c->client_tls == 12 || c->client_tls == 13);
  q->value[POLICY_KEY_SECURE_TRANSPORT] = c->client_tls ? SLICE_LIT("true") : SLICE_LIT("false");
  if (c->client_tls)
    q->value[POLICY_KEY_TLS_VERSION] = c->client_tls == 13 ? SLICE_LIT("1.3") : SLICE_LIT("1.2");
  q->value[POLICY_KEY_SOURCE_IP] = c->client_address;
}

/* Retention and hold that the request asks for, by its head or in its body. */
static void say_lock(struct call *c, const struct policy *p, struct policy_request *q) {
  const struct s3_meta *asked = &c->q.meta;
  const uint64_t day_ms = 86400000;
  char text[25];
  assert(q);
  if (asked->legal_hold != S3_HOLD_NEVER)
    q->value[POLICY_KEY_LOCK_LEGAL_HOLD] = slice_str(s3_legal_hold_name(asked->legal_hold));
  if (asked->lock_mode == S3_LOCK_NONE) return;
  struct arena *arena = wire_exchange_arena(c->x);
  q->value[POLICY_KEY_LOCK_MODE] = slice_str(s3_lock_mode_name(asked->lock_mode));
  time_rfc3339(asked->retain_until_ms, text);
  q->value[POLICY_KEY_LOCK_RETAIN_UNTIL] = arena_copy(arena, slice_str(text));
  if (!policy_asks(p, POLICY_KEY_LOCK_REMAINING_DAYS)) return;
  uint64_t left_ms = asked->retain_until_ms > c->head.now_ms ? asked->retain_until_ms - c->head.now_ms : 0;
  int n = snprintf(text, sizeof text, "%" PRIu64, (left_ms + day_ms - 1) / day_ms);
  q->value[POLICY_KEY_LOCK_REMAINING_DAYS] = arena_copy(arena, slice_of(text, (size_t)n));
}

static void request_fill(struct call *c, enum policy_action action, struct slice key,
                         struct policy_request *q) {
  assert(q);
  q->who = c->auth.has_token                  ? POLICY_TOKEN
           : c->auth.scheme == AUTH_ANONYMOUS ? POLICY_ANONYMOUS
                                              : POLICY_ACCESS_KEY;
  /* A token names no account; the subject that it reaches is one of the bucket's. */
  q->account = c->auth.has_token ? slice_str(c->bucket.owner) : c->auth.account;
  q->user = c->auth.access_key;
  q->action = action;
  q->key = key;
  q->now_ms = c->head.now_ms;
}

/* ---- judging --------------------------------------------------------------------------------------- */

bool access_is_owner(const struct call *c) {
  return c->auth.scheme != AUTH_ANONYMOUS && !c->auth.has_token &&
         slice_equal(slice_str(c->bucket.owner), c->auth.account);
}

/* For the owner of the bucket, in the operator's log: which sentence said no. Nothing of it is answered. */
static void tell_log(struct call *c, const struct policy_verdict *v, enum policy_action action) {
  char sid[POLICY_SID_BYTES_MAX + 1], id[2 * STORE_BUCKET_ID_SIZE + 1];
  assert(v->sid.len <= POLICY_SID_BYTES_MAX);
  snprintf(sid, sizeof sid, "%.*s", (int)v->sid.len, v->sid.len ? (const char *)v->sid.data : "");
  for (size_t i = 0; i < STORE_BUCKET_ID_SIZE; i++) snprintf(id + 2 * i, 3, "%02x", c->bucket.id[i]);
  const struct log_field *fields =
      LOG_FIELDS({.name = "bucket", .text = id}, {.name = "action", .text = policy_action_name(action)},
                 {.name = "reason", .text = policy_reason_name(v->reason)}, {.name = "sid", .text = sid},
                 {.name = "statement", .number = v->statement});
  log_event(LOG_INFO, "serve", c->id, "denied by a bucket's rules", fields);
}

/* Operations on one object that find it before they do anything: they ask access_object. */
static bool reads_object(enum s3_op op) {
  return s3_op_takes_version(op) && op != S3_OP_DELETE_OBJECT;
}

/* Of those, the ones whose policy depends on what their body says, which only the home reads. */
static bool waits_for_body(enum s3_op op) {
  return op == S3_OP_PUT_OBJECT_TAGGING || op == S3_OP_PUT_OBJECT_RETENTION ||
         op == S3_OP_PUT_OBJECT_LEGAL_HOLD;
}

/* Actions that S3 judges by the object that is there. */
static bool looks_at_object(enum policy_action action) {
  static const enum policy_action actions[] = {POLICY_GET_OBJECT,
                                               POLICY_GET_OBJECT_VERSION,
                                               POLICY_GET_OBJECT_ACL,
                                               POLICY_GET_OBJECT_TAGGING,
                                               POLICY_GET_OBJECT_VERSION_TAGGING,
                                               POLICY_GET_OBJECT_VERSION_ACL,
                                               POLICY_PUT_OBJECT_ACL,
                                               POLICY_PUT_OBJECT_VERSION_ACL,
                                               POLICY_PUT_OBJECT_TAGGING,
                                               POLICY_PUT_OBJECT_VERSION_TAGGING,
                                               POLICY_DELETE_OBJECT_TAGGING,
                                               POLICY_DELETE_OBJECT_VERSION_TAGGING,
                                               POLICY_GET_OBJECT_ATTRIBUTES,
                                               POLICY_GET_OBJECT_VERSION_ATTRIBUTES};
  assert((unsigned)action < POLICY_ACTION_COUNT);
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    if (actions[i] == action) return true;
  return false;
}

static size_t tags_take(const struct s3_meta *meta, struct policy_tag out[S3_OBJECT_TAGS_MAX]) {
  size_t count = meta ? meta->tag_count : 0;
  assert(count <= S3_OBJECT_TAGS_MAX);
  for (size_t i = 0; i < count; i++) out[i] = (struct policy_tag){meta->tags[i].key, meta->tags[i].value};
  return count;
}

/* The object's own grants; NULL: none, or none that can be read, which then let nobody in. */
static const struct policy_acl *acl_take(struct call *c, const struct s3_meta *object) {
  if (!object || !object->acl.len) return NULL;
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  bool reads = acl && policy_acl_parse(object->acl, acl, NULL) == DOM_OK;
  assert(!reads || acl->owner.len > 0);
  return reads ? acl : NULL;
}

/* `object`: what is known of the object, NULL as long as nothing is. */
static struct policy_verdict decide(struct call *c, enum policy_action action, struct slice key,
                                    const struct s3_meta *object) {
  struct policy_request q = {.object_is_known = object || !looks_at_object(action)};
  struct policy_tag asked[S3_OBJECT_TAGS_MAX], there[S3_OBJECT_TAGS_MAX];
  struct policy_bucket b = {.name = slice_str(c->bucket.name),
                            .owner = slice_str(c->bucket.owner),
                            .policy = access_policy(c->rules),
                            .acl = access_acl(c->rules),
                            .ownership = access_ownership(c->rules),
                            .block = access_block(c->rules)};
  request_fill(c, action, key, &q);
  if (b.policy) {
    say_head(c, b.policy, &q);
    say_signature(c, b.policy, &q);
    say_connection(c, &q);
    say_lock(c, b.policy, &q);
  }
  q.request_tags = asked;
  q.request_tag_count = tags_take(&c->q.meta, asked);
  q.object_tags = there;
  q.object_tag_count = tags_take(object, there);
  q.object_acl = acl_take(c, object);
  return policy_decide(&b, &q);
}

static enum policy_answer judge(struct call *c, enum policy_action action, struct slice key,
                                const struct s3_meta *object) {
  struct policy_verdict v = decide(c, action, key, object);
  bool by_rules = v.reason != POLICY_BY_DEFAULT && v.reason != POLICY_BY_OWNER;
  if (v.answer == POLICY_DENY && by_rules) tell_log(c, &v, action);
  assert(v.answer != POLICY_ASK_OBJECT || !object);
  return v.answer;
}

/* Rules that do not decode: the owner may mend them, everything else waits. */
static enum s3_error judge_broken(struct call *c, enum policy_action action) {
  bool mends = action == POLICY_GET_BUCKET_POLICY || action == POLICY_PUT_BUCKET_POLICY ||
               action == POLICY_DELETE_BUCKET_POLICY;
  assert(access_is_broken(c->rules));
  if (!access_is_owner(c)) return S3_ERR_ACCESS_DENIED;
  return mends ? S3_OK : S3_ERR_SERVICE_UNAVAILABLE;
}

/* `may_ask`: whoever wants to do it will look at the object and ask again, here or at its home. */
static enum s3_error ask(struct call *c, enum policy_action action, struct slice key, bool may_ask,
                         bool *out_asks) {
  *out_asks = false;
  if (c->auth.has_token && !token_reaches(c, key)) return S3_ERR_ACCESS_DENIED;
  if (access_is_broken(c->rules)) return judge_broken(c, action);
  if (!c->rules && !c->auth.has_token) return access_is_owner(c) ? S3_OK : S3_ERR_ACCESS_DENIED;
  if (waits_for_body(c->q.op) && action == c->access) {
    *out_asks = true;
    return S3_OK;
  }
  enum policy_answer answer = judge(c, action, key, NULL);
  assert((unsigned)answer <= POLICY_ASK_OBJECT);
  *out_asks = answer == POLICY_ASK_OBJECT && may_ask;
  return answer == POLICY_ALLOW || *out_asks ? S3_OK : S3_ERR_ACCESS_DENIED;
}

enum s3_error access_action(struct call *c, enum policy_action action, struct slice key) {
  assert((unsigned)action < POLICY_ACTION_COUNT);
  return ask(c, action, key, reads_object(c->q.op), &c->asks_object);
}

enum s3_error access_source(struct call *c) {
  assert(c->q.copy.key.len > 0);
  enum policy_action action = c->q.copy.version_id.len ? POLICY_GET_OBJECT_VERSION : POLICY_GET_OBJECT;
  return ask(c, action, c->q.copy.key, true, &c->asks_source);
}

enum s3_error access_source_object(struct call *c, const struct store_object *o) {
  bool of_version = c->q.copy.version_id.len > 0;
  bool takes_tags = c->q.op == S3_OP_COPY_OBJECT && !c->q.replace_tags;
  struct s3_meta meta = {0};
  if ((!c->rules && !c->auth.has_token) || (!c->asks_source && !takes_tags)) return S3_OK;
  enum s3_error error = o->is_marker ? S3_OK : object_meta(c, o, &meta);
  if (error) return error;
  enum policy_action read = of_version ? POLICY_GET_OBJECT_VERSION : POLICY_GET_OBJECT,
                     tags = of_version ? POLICY_GET_OBJECT_VERSION_TAGGING : POLICY_GET_OBJECT_TAGGING;
  bool may = !c->asks_source || judge(c, read, c->q.copy.key, &meta) == POLICY_ALLOW;
  if (may && takes_tags && meta.tag_count) may = judge(c, tags, c->q.copy.key, &meta) == POLICY_ALLOW;
  return may ? S3_OK : S3_ERR_ACCESS_DENIED;
}

enum s3_error access_object(struct call *c, const struct store_object *o) {
  assert(o);
  if (!c->asks_object) return S3_OK;
  struct s3_meta meta = {0};
  struct dom_err err = {0};
  enum dom_code code =
      o->is_marker ? DOM_OK : s3_meta_decode(o->meta, wire_exchange_arena(c->x), &meta, &err);
  if (code) return call_error_of(c, code, &err);
  return judge(c, c->access, c->q.key, &meta) == POLICY_ALLOW ? S3_OK : S3_ERR_ACCESS_DENIED;
}

enum s3_error access_new_tags(struct call *c) {
  static const struct s3_meta none = {0}; /* what is new has no tags yet */
  if (!c->q.meta.tag_count || (!c->rules && !c->auth.has_token)) return S3_OK;
  assert(!access_is_broken(c->rules) || access_is_owner(c));
  bool may = judge(c, POLICY_PUT_OBJECT_TAGGING, c->q.key, &none) == POLICY_ALLOW;
  return may ? S3_OK : S3_ERR_ACCESS_DENIED;
}

/* The same for what the head protects a new version by; where nothing can, it is refused at once. */
static enum s3_error new_lock(struct call *c) {
  const struct s3_meta *asked = &c->q.meta;
  bool retains = asked->lock_mode != S3_LOCK_NONE, holds = asked->legal_hold != S3_HOLD_NEVER;
  enum s3_error error = retains || holds ? lock_check_bucket(c) : S3_OK;
  if (error || (!retains && !holds) || (!c->rules && !c->auth.has_token)) return error;
  if (retains && judge(c, POLICY_PUT_OBJECT_RETENTION, c->q.key, NULL) != POLICY_ALLOW)
    return S3_ERR_ACCESS_DENIED;
  if (holds && judge(c, POLICY_PUT_OBJECT_LEGAL_HOLD, c->q.key, NULL) != POLICY_ALLOW)
    return S3_ERR_ACCESS_DENIED;
  return S3_OK;
}

bool access_may_bypass(struct call *c) {
  if (!c->q.bypass_governance) return false;
  if (!c->rules && !c->auth.has_token) return access_is_owner(c);
  return judge(c, POLICY_BYPASS_GOVERNANCE_RETENTION, c->q.key, NULL) == POLICY_ALLOW;
}

static bool shows_tags(struct call *c, const struct s3_meta *object) {
  enum policy_action action =
      c->q.version_id.len ? POLICY_GET_OBJECT_VERSION_TAGGING : POLICY_GET_OBJECT_TAGGING;
  return decide(c, action, c->q.key, object).answer == POLICY_ALLOW;
}

void access_hide(struct call *c, struct s3_meta *object) {
  if (!c->rules && !c->auth.has_token) return; /* the owner's keys alone got here */
  if (object->tag_count && !shows_tags(c, object)) object->tag_count = 0;
  if (object->lock_mode != S3_LOCK_NONE &&
      decide(c, POLICY_GET_OBJECT_RETENTION, c->q.key, object).answer != POLICY_ALLOW) {
    object->lock_mode = S3_LOCK_NONE;
    object->retain_until_ms = 0;
  }
  if (object->legal_hold != S3_HOLD_NEVER &&
      decide(c, POLICY_GET_OBJECT_LEGAL_HOLD, c->q.key, object).answer != POLICY_ALLOW)
    object->legal_hold = S3_HOLD_NEVER;
}

enum s3_error access_absent(struct call *c) {
  bool reads = reads_object(c->q.op);
  if (!reads || access_is_owner(c) || c->auth.has_token) return S3_ERR_NO_SUCH_KEY;
  enum s3_error error = access_action(c, POLICY_LIST_BUCKET, SLICE_LIT(""));
  assert(!c->asks_object);
  return error ? S3_ERR_ACCESS_DENIED : S3_ERR_NO_SUCH_KEY;
}

/* Whose a new object would be, if objects were their writers'. A token writes for its own account, and what
 * nobody wrote is the bucket's. */
static struct slice writer_of(const struct call *c) {
  bool other = !c->auth.has_token && c->auth.scheme != AUTH_ANONYMOUS;
  assert(!other || c->auth.account.len > 0);
  return other ? c->auth.account : slice_str(c->bucket.owner);
}

/* Operations that make a new object, whose grants stand in the head. */
static bool makes_object(enum s3_op op) {
  return op == S3_OP_PUT_OBJECT || op == S3_OP_POST_OBJECT || op == S3_OP_COPY_OBJECT ||
         op == S3_OP_CREATE_MULTIPART_UPLOAD;
}

enum s3_error access_acl_text(struct call *c, const struct policy_acl *acl, struct slice *out) {
  BUF_AUTO text = BUF_INIT;
  assert(acl && out);
  policy_acl_print(acl, &text);
  *out = text.failed ? (struct slice){0} : arena_copy(wire_exchange_arena(c->x), buf_slice(&text));
  return out->len ? S3_OK : S3_ERR_SLOW_DOWN;
}

/* The ACL that a new object keeps, of what is asked for (NULL: nothing); empty for none. */
static enum s3_error new_acl(struct call *c, const struct policy_acl *asked, struct slice *out) {
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  *out = (struct slice){0};
  if (!acl) return S3_ERR_SLOW_DOWN;
  bool any =
      policy_acl_of_new(asked, writer_of(c), slice_str(c->bucket.owner), access_ownership(c->rules), acl);
  return any ? access_acl_text(c, acl, out) : S3_OK;
}

enum s3_error access_new_acl(struct call *c, struct slice *out) {
  struct policy_acl *asked = arena_alloc(wire_exchange_arena(c->x), sizeof *asked);
  bool has = false;
  assert(makes_object(c->q.op));
  if (access_ownership(c->rules) == POLICY_OWNER_ENFORCED) {
    *out = (struct slice){0};
    return S3_OK;
  }
  if (!asked) return S3_ERR_SLOW_DOWN;
  enum s3_error error = access_head_acl(c, writer_of(c), asked, &has);
  return error ? error : new_acl(c, has ? asked : NULL, out);
}

/* Grants in the head of a new object: to set them is an action of its own, unless they say nothing. It is
 * judged by what the object would be without them: another account that writes it has full control there. */
static enum s3_error judge_head_acl(struct call *c) {
  struct policy_acl *acl = arena_alloc(wire_exchange_arena(c->x), sizeof *acl);
  struct s3_meta without = {0};
  bool has = false;
  if (!acl) return S3_ERR_SLOW_DOWN;
  enum s3_error error = access_head_acl(c, writer_of(c), acl, &has);
  if (!error && has) error = access_acl_may_set(c, acl);
  if (error || !has || policy_acl_is_plain(acl, slice_str(c->bucket.owner))) return error;
  error = new_acl(c, NULL, &without.acl);
  if (error) return error;
  bool may = judge(c, POLICY_PUT_OBJECT_ACL, c->q.key, &without) == POLICY_ALLOW;
  return may ? S3_OK : S3_ERR_ACCESS_DENIED;
}

enum s3_error access_begin(struct call *c) {
  assert((unsigned)c->q.op < S3_OP_COUNT);
  bool versioned = c->q.version_id.len > 0;
  c->access = versioned ? JUDGED[c->q.op].of_version : JUDGED[c->q.op].action;
  if (c->auth.is_unverified) return token_may_relay(c);
  if (c->auth.has_token && JUDGED[c->q.op].how == WITHOUT_BUCKET) return S3_ERR_ACCESS_DENIED;
  if (c->auth.has_token) return token_check(c);
  if (JUDGED[c->q.op].how != WITHOUT_BUCKET) return S3_OK;
  bool another = c->q.expected_owner.len && !slice_equal(c->q.expected_owner, c->auth.account);
  return c->auth.scheme == AUTH_ANONYMOUS || another ? S3_ERR_ACCESS_DENIED : S3_OK;
}

enum s3_error access_bucket(struct call *c) {
  if (c->q.expected_owner.len && !slice_equal(c->q.expected_owner, slice_str(c->bucket.owner)))
    return S3_ERR_ACCESS_DENIED;
  enum s3_error error = S3_OK;
  switch (JUDGED[c->q.op].how) {
  case OWNER_ONLY:
    return access_is_owner(c) ? S3_OK : S3_ERR_ACCESS_DENIED;
  case BY_KEY:
    /* Nobody but the owner can get anything out of it where nothing was ever granted. */
    if (!c->key_is_set)
      return c->rules || c->auth.has_token || access_is_owner(c) ? S3_OK : S3_ERR_ACCESS_DENIED;
    return access_action(c, c->access, c->q.key);
  case BY_ACTION:
    error = access_action(c, c->access, c->q.key);
    if (!error && !waits_for_body(c->q.op)) error = access_new_tags(c);
    if (!error && !waits_for_body(c->q.op)) error = new_lock(c);
    if (error || (!c->q.acl.data && !c->q.has_grants) || !makes_object(c->q.op)) return error;
    return judge_head_acl(c);
  case WITHOUT_BUCKET:
    break;
  }
  assert(false); /* no bucket is looked up for these */
  return S3_ERR_ACCESS_DENIED;
}
