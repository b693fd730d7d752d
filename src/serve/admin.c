/* The admin interface: who may, which route, JSON in and out. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "serve/admin.h"

/* ---- answers ----------------------------------------------------------------------------- */

void admin_reply_take(struct admin *a, unsigned status, json_t *value) {
  assert(a->x && status >= 200 && status < 600);
  char *text = value ? json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  json_decref(value);
  if (text)
    dispatch_reply(a->x, status, "application/json", slice_str(text));
  else
    dispatch_reply(a->x, 500, "application/json",
                   SLICE_LIT("{\"error\":{\"code\":\"no-memory\",\"message\":\"no memory\"}}"));
  free(text);
}

static unsigned status_of(enum dom_code code) {
  switch (code) {
  case DOM_NOT_FOUND:
    return 404;
  case DOM_EXISTS:
  case DOM_BUSY:
  case DOM_ELSEWHERE:
  case DOM_INCOMPATIBLE:
    return 409;
  case DOM_INVALID:
    return 400;
  case DOM_TOO_LARGE:
    return 413;
  case DOM_DENIED:
    return 403;
  case DOM_REFUSED:
    return 451;
  case DOM_NO_SPACE:
    return 507;
  case DOM_UNAVAILABLE:
  case DOM_TIMEOUT:
  case DOM_RETRY:
  case DOM_FENCED:
  case DOM_STALE_EPOCH:
  case DOM_READ_ONLY:
    return 503;
  default:
    return 500;
  }
}

static void answer_error(struct admin *a, unsigned status, const char *code, const char *message) {
  admin_reply_take(a, status, json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message));
}

void admin_fail(struct admin *a, enum dom_code code, const struct dom_err *err) {
  assert(code != DOM_OK);
  unsigned status = status_of(code);
  const char *text = err && err->text[0] ? err->text : dom_code_name(code);
  if (status == 500)
    log_event(LOG_ERROR, "serve", "", "admin request failed",
              LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = text}));
  answer_error(a, status, dom_code_name(code), text);
}

void admin_refuse(struct admin *a, const char *why) {
  answer_error(a, 400, dom_code_name(DOM_INVALID), why);
}

/* ---- parameters ----------------------------------------------------------------------------- */

const char *admin_param(struct admin *a, const char *name, const char *otherwise) {
  assert(name && name[0]);
  struct slice value;
  if (auth_query_find(&a->query, slice_str(name), &value) == 0) return otherwise;
  const char *text = arena_str(wire_exchange_arena(a->x), value);
  return text ? text : otherwise;
}

bool admin_param_number(struct admin *a, const char *name, uint64_t otherwise, uint64_t max, uint64_t *out) {
  const char *text = admin_param(a, name, NULL);
  uint64_t value = otherwise;
  char why[96];
  if (text && (slice_to_u64(slice_str(text), &value) || value > max)) {
    snprintf(why, sizeof why, "%s must be a number up to %llu", name, (unsigned long long)max);
    admin_refuse(a, why);
    return false;
  }
  *out = value;
  return true;
}

bool admin_unpack(struct admin *a, const char *format, ...) {
  json_error_t error;
  va_list args;
  if (!a->body) {
    admin_refuse(a, "a JSON body is missing");
    return false;
  }
  va_start(args, format);
  int failed = json_vunpack_ex(a->body, &error, JSON_STRICT, format, args);
  va_end(args);
  if (failed) admin_refuse(a, error.text);
  return !failed;
}

bool admin_token(struct admin *a, const char *text, uint8_t out[TOKEN_SIZE]) {
  assert(text && out);
  size_t len = 0;
  bool good = hex_decode(slice_str(text), out, TOKEN_SIZE, &len) == DOM_OK && len == TOKEN_SIZE;
  if (!good) admin_refuse(a, "a token is 64 hex digits");
  return good;
}

json_t *admin_hex(const void *bytes, size_t len) {
  assert(bytes && len > 0);
  BUF_AUTO text = BUF_INIT;
  hex_encode(&text, slice_of(bytes, len));
  return text.failed ? NULL : json_stringn((const char *)text.data, text.len);
}

json_t *admin_region(struct region *r, uint16_t number) {
  assert(number > 0); /* 0 names nobody */
  struct charter *c = subject_charter(r->subjects);
  const struct charter_region *region = c ? charter_region_by_number(c, number) : NULL;
  json_t *name = region ? json_stringn(region->name, strlen(region->name)) : json_integer(number);
  charter_release(c);
  return name;
}

bool admin_region_number(struct admin *a, const char *name, uint16_t *out) {
  struct charter *c = subject_charter(a->r->subjects);
  const struct charter_region *region = c ? charter_region_by_name(c, slice_str(name)) : NULL;
  if (region) *out = region->number;
  charter_release(c);
  if (!region) admin_refuse(a, "the charter in force has no region of that name");
  return region != NULL;
}

bool admin_country(struct admin *a, const char *text, char out[2]) {
  bool good = strlen(text) == 2 && charter_country_valid(text);
  if (good)
    memcpy(out, text, 2);
  else
    admin_refuse(a, "the country must be an ISO 3166-1 alpha-2 code such as IN");
  return good;
}

/* ---- routes -------------------------------------------------------------------------------- */

struct route {
  const char *method;
  const char *pattern; /* '*' is any one segment */
  void (*run)(struct admin *a);
};
static const struct route ROUTES[] = {{"GET", "status", admin_status},
                                      {"GET", "subjects", admin_subject_list},
                                      {"GET", "subjects/*", admin_subject_get},
                                      {"PUT", "subjects/*", admin_subject_put},
                                      {"PUT", "subjects/*/country", admin_subject_country},
                                      {"POST", "subjects/*/token", admin_subject_token},
                                      {"POST", "subjects/*/revoke-tokens", admin_subject_revoke},
                                      {"POST", "subjects/*/erase", admin_subject_erase},
                                      {"POST", "subjects/*/export", admin_subject_export},
                                      {"POST", "subjects/*/export/bodies", admin_subject_export_bodies},
                                      {"GET", "tokens/*", admin_token_get},
                                      {"GET", "buckets", admin_bucket_list},
                                      {"PUT", "buckets/*", admin_bucket_put},
                                      {"GET", "charter", admin_charter_get},
                                      {"PUT", "charter", admin_charter_put},
                                      {"GET", "moves", admin_move_list},
                                      {"POST", "moves", admin_move_post},
                                      {"POST", "moves/plan", admin_move_plan},
                                      {"POST", "moves/lists", admin_move_list_open},
                                      {"POST", "moves/lists/*", admin_move_list_add},
                                      {"GET", "moves/*", admin_move_get},
                                      {"PUT", "moves/*", admin_move_set},
                                      {"POST", "moves/*/pause", admin_move_pause},
                                      {"POST", "moves/*/resume", admin_move_resume},
                                      {"GET", "moves/*/failures", admin_move_failures},
                                      {"DELETE", "moves/*", admin_move_cancel},
                                      {"POST", "keys/rotate", admin_key_rotate},
                                      {"POST", "keys/backup", admin_key_backup},
                                      {"POST", "names/purge", admin_names_purge},
                                      {"GET", "quarantine", admin_quarantine_get},
                                      {"POST", "quarantine/enter", admin_quarantine_enter},
                                      {"POST", "quarantine/leave", admin_quarantine_leave},
                                      {"GET", "claims", admin_claims},
                                      {"GET", "ledger", admin_ledger},
                                      {"GET", "ledger/entries", admin_ledger_entries},
                                      {"GET", "receipts", admin_receipts}};

static bool matches(const struct admin *a, const char *pattern) {
  struct slice rest = slice_str(pattern);
  for (size_t i = 0; i < a->word_count; i++) {
    size_t end = slice_find(rest, '/');
    struct slice part = slice_cut(rest, 0, end);
    if (part.len == 0) return false;
    if (!slice_equal(part, SLICE_LIT("*")) && !slice_equal(part, slice_str(a->word[i]))) return false;
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  return rest.len == 0;
}

/* *out_known: some other method would do. */
static const struct route *find_route(const struct admin *a, struct slice method, bool *out_known) {
  *out_known = false;
  for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
    if (!matches(a, ROUTES[i].pattern)) continue;
    *out_known = true;
    if (slice_equal(method, slice_str(ROUTES[i].method))) return &ROUTES[i];
  }
  return NULL;
}

static bool split_path(struct admin *a, struct slice path) {
  static const char prefix[] = "/-/admin/";
  if (!slice_starts_with(path, slice_str(prefix))) return false;
  struct slice rest = slice_cut(path, sizeof prefix - 1, path.len);
  while (rest.len) {
    BUF_AUTO word = BUF_INIT;
    size_t end = slice_find(rest, '/');
    if (a->word_count == ADMIN_WORDS_MAX || end == 0) return false;
    if (percent_decode(slice_cut(rest, 0, end), false, &word) || word.failed) return false;
    if (memchr(word.data, 0, word.len)) return false;
    if (!(a->word[a->word_count++] = arena_str(wire_exchange_arena(a->x), buf_slice(&word)))) return false;
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  return a->word_count > 0;
}

/* ---- who --------------------------------------------------------------------------------------- */

enum dom_code admin_record(struct admin *a, const uint8_t *token, const char *words, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  assert(words && words[0]);
  for (int i = 0; code == DOM_RETRY && i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    struct ledger_payload payload = {.type = LEDGER_OPERATOR_ACCESS};
    if (token) memcpy(payload.token, token, TOKEN_SIZE);
    struct slice by = a->access.len ? a->access : SLICE_LIT("the data folder's owner");
    int n =
        snprintf(payload.text, sizeof payload.text, "%s by %.*s", words, (int)by.len, (const char *)by.data);
    assert(n > 0 && (size_t)n < sizeof payload.text);
    payload.text_len = (uint16_t)n;
    code = store_view_open(a->r->store, &v, err);
    if (!code) code = store_tx_begin(a->r->store, v, &tx, err);
    if (!code) code = subject_tx_entry(a->r->subjects, tx, &payload, 0, NULL, 0, err);
    if (code) return code;
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, err);
  }
  return code;
}

/* Operators leave a trace: method, route, access key. Never the path, which may name a person. */
static enum dom_code record_access(struct admin *a, const struct route *route, struct dom_err *err) {
  char words[96];
  snprintf(words, sizeof words, "%s %s", route->method, route->pattern);
  return admin_record(a, NULL, words, err);
}

static void take_head(struct call *c) {
  const struct wire_head *h = wire_exchange_head(c->x);
  for (size_t i = 0; i < h->field_count; i++)
    c->headers[i] = (struct auth_header){.name = h->fields[i].name, .value = h->fields[i].value};
  c->head = (struct auth_request){.method = h->method_text,
                                  .raw_path = h->path,
                                  .raw_query = h->query,
                                  .headers = c->headers,
                                  .header_count = h->field_count,
                                  .now_ms = clock_wall_ms(c->r->clock)};
}

/* Over the network: an operator's signature over the head and the body's hash. */
static enum dom_code check_operator(struct call *c, struct dom_err *err) {
  uint64_t length = 1;
  take_head(c);
  enum auth_error denied = auth_verify_head(c->r->verifier, &c->head, wire_exchange_arena(c->x), &c->auth);
  if (denied) return dom_fail(err, DOM_DENIED, "serve/admin", "%s", auth_error_name(denied));
  if (!c->auth.is_operator)
    return dom_fail(err, DOM_DENIED, "serve/admin", "this needs an operator's credential");
  wire_body_length(c->x, &length);
  if (length && c->auth.payload != AUTH_PAYLOAD_SIGNED)
    return dom_fail(err, DOM_DENIED, "serve/admin", "the body must be signed");
  return DOM_OK;
}

/* ---- one request ----------------------------------------------------------------------------------- */

static enum dom_code parse_body(struct admin *a, struct slice text, struct dom_err *err) {
  json_error_t error;
  if (text.len == 0) return DOM_OK;
  a->body = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
  if (!a->body) return dom_fail(err, DOM_INVALID, "serve/admin", "the body is no JSON: %s", error.text);
  if (!json_is_object(a->body))
    return dom_fail(err, DOM_INVALID, "serve/admin", "the body is no JSON object");
  return DOM_OK;
}

static enum dom_code read_socket_body(struct admin *a, struct dom_err *err) {
  BUF_AUTO text = BUF_INIT;
  enum dom_code code = wire_body_read_all(a->x, ADMIN_BODY_BYTES_MAX, &text, err);
  return code ? code : parse_body(a, buf_slice(&text), err);
}

static enum dom_code read_signed_body(struct admin *a, const struct route *route, struct dom_err *err) {
  struct call c = {.r = a->r, .x = a->x};
  BUF_AUTO text = BUF_INIT;
  uint64_t length = 1;
  enum dom_code code = check_operator(&c, err);
  if (code) return code;
  bool empty = wire_body_length(a->x, &length) && length == 0;
  if (!empty && intake_all(&c, ADMIN_BODY_BYTES_MAX, &text))
    return dom_fail(err, DOM_DENIED, "serve/admin", "the body is not what was signed");
  code = parse_body(a, buf_slice(&text), err);
  a->access = c.auth.access_key;
  return code ? code : record_access(a, route, err);
}

void admin_handle(struct daemon *d, struct wire_exchange *x, bool from_socket) {
  struct admin a = {.d = d, .r = &d->region, .x = x};
  const struct wire_head *h = wire_exchange_head(x);
  struct dom_err err = {0};
  bool known = false;
  const struct route *route = NULL;
  if (split_path(&a, h->path)) route = find_route(&a, h->method_text, &known);
  if (!route) {
    answer_error(&a, known ? 405 : 404, dom_code_name(DOM_NOT_FOUND), "no such route");
    return;
  }
  if (auth_query_parse(h->query, wire_exchange_arena(x), &a.query)) {
    admin_refuse(&a, "the query does not parse");
    return;
  }
  enum dom_code code = from_socket ? read_socket_body(&a, &err) : read_signed_body(&a, route, &err);
  if (code)
    admin_fail(&a, code, &err);
  else
    route->run(&a);
  json_decref(a.body);
}
