/* Admin: people. */
#include <assert.h>
#include <stdio.h>

#include "serve/admin.h"

enum { SUBJECT_REPLY_MAX = 4096, SUBJECT_ASK_MS = 5000 };

static const char *state_name(enum store_subject_state state) {
  static const char *const names[] = {[SUBJECT_HOME] = "home",
                                      [SUBJECT_COPYING] = "copying",
                                      [SUBJECT_FENCED] = "fenced",
                                      [SUBJECT_MOVED] = "moved",
                                      [SUBJECT_ERASED] = "erased"};
  assert(state >= SUBJECT_HOME && state <= SUBJECT_ERASED);
  return names[state];
}

static json_t *row_json(struct region *r, const struct store_subject *row) {
  json_t *j =
      json_pack("{s:o,s:s,s:s%,s:o,s:i,s:I,s:I}", "token", admin_hex(row->token, TOKEN_SIZE), "state",
                state_name(row->state), "country", row->country, row->country[0] ? (size_t)2 : (size_t)0,
                "home", admin_region(r, row->home), "home_number", row->home, "epoch", (json_int_t)row->epoch,
                "since_ms", (json_int_t)row->since_ms);
  if (j && row->handoff_to) json_object_set_new(j, "moving_to", admin_region(r, row->handoff_to));
  return j;
}

/* What this region itself knows of one subject that has a row here. */
static enum dom_code local_json(struct region *r, const uint8_t token[TOKEN_SIZE], json_t **out,
                                struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  uint64_t objects = 0, bytes = 0, receipt = 0;
  enum dom_code code = store_view_open(r->store, &v, err);
  if (!code) code = store_subject_get(v, token, &row, err);
  if (!code && store_subject_lives(&row))
    code = store_subject_usage(v, token, row.epoch, &objects, &bytes, err);
  if (code) return code;
  json_t *j = row_json(r, &row);
  if (!j) return dom_fail(err, DOM_NO_MEMORY, "serve/admin", "no memory");
  json_object_set_new(j, "objects", json_integer((json_int_t)objects));
  json_object_set_new(j, "bytes", json_integer((json_int_t)bytes));
  bool known = admin_last_entry(r, v, token, &receipt) == DOM_OK;
  json_object_set_new(j, "last_receipt", known ? json_integer((json_int_t)receipt) : json_null());
  *out = j;
  return DOM_OK;
}

enum dom_code admin_subject_message(struct region *r, struct slice body, struct buf *reply,
                                    struct dom_err *err) {
  json_t *j = NULL;
  if (body.len != TOKEN_SIZE) return dom_fail(err, DOM_INVALID, "serve/subject", "does not decode");
  enum dom_code code = local_json(r, body.data, &j, err);
  if (code) return code;
  char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
  json_decref(j);
  if (!text) return dom_fail(err, DOM_NO_MEMORY, "serve/subject", "no memory");
  buf_append_str(reply, text);
  free(text);
  return buf_check(reply, err);
}

static enum dom_code ask_region(struct region *r, uint16_t home, const uint8_t token[TOKEN_SIZE],
                                json_t **out, struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  enum dom_code code =
      net_call(r->net, home, "serve/subject", slice_of(token, TOKEN_SIZE), SUBJECT_ASK_MS, &reply, err);
  if (code) return code;
  json_error_t error;
  if (reply.len > SUBJECT_REPLY_MAX ||
      !(*out = json_loadb((const char *)reply.data, reply.len, JSON_REJECT_DUPLICATES, &error)))
    return dom_fail(err, DOM_UNAVAILABLE, "serve/admin", "the home's answer does not decode");
  return DOM_OK;
}

/* Asks the home for its word, and where that is a tombstone the region it names. */
static enum dom_code remote_json(struct region *r, uint16_t home, const uint8_t token[TOKEN_SIZE],
                                 json_t **out, struct dom_err *err) {
  if (!r->net) return dom_fail(err, DOM_UNAVAILABLE, "serve/admin", "this region has no peers");
  for (int hop = 0; hop < SERVE_HOPS_MAX; hop++) {
    json_t *j = NULL;
    enum dom_code code =
        home == r->number ? local_json(r, token, &j, err) : ask_region(r, home, token, &j, err);
    if (code) return code;
    const char *state = json_string_value(json_object_get(j, "state"));
    json_int_t next = json_integer_value(json_object_get(j, "home_number"));
    if (!state || strcmp(state, "moved") != 0 || next < 1 || next > UINT16_MAX) {
      *out = j;
      return DOM_OK;
    }
    json_decref(j);
    home = (uint16_t)next;
  }
  return dom_fail(err, DOM_UNAVAILABLE, "serve/admin",
                  "the subject is moving from region to region: ask again");
}

static enum dom_code locate(struct region *r, const uint8_t token[TOKEN_SIZE], struct subject_who *who,
                            struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    code = store_view_open(r->store, &v, err);
    if (!code) code = subject_resolve_token(r->subjects, v, token, who, err);
  }
  if (!code && who->where == SUBJECT_UNREGISTERED)
    return dom_fail(err, DOM_NOT_FOUND, "serve/admin", "the subject is not registered");
  return code;
}

/* Token, home and what the home says; where the home does not answer, what is known here. */
static void show(struct admin *a, const uint8_t token[TOKEN_SIZE]) {
  struct subject_who who;
  struct dom_err err = {0}, why = {0};
  json_t *j = NULL;
  enum dom_code code = locate(a->r, token, &who, &err);
  if (!code && who.where == SUBJECT_HERE) {
    code = local_json(a->r, token, &j, &err);
  } else if (!code && remote_json(a->r, who.home, token, &j, &why)) {
    j = json_pack("{s:o,s:s%,s:o,s:I,s:s}", "token", admin_hex(token, TOKEN_SIZE), "country", who.country,
                  who.country[0] ? (size_t)2 : (size_t)0, "home", admin_region(a->r, who.home), "epoch",
                  (json_int_t)who.epoch, "home_says", why.text);
  }
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  if (j) json_object_set_new(j, "here", json_boolean(who.where == SUBJECT_HERE));
  admin_reply_take(a, 200, j);
}

static void token_by_id(struct admin *a, uint8_t out[TOKEN_SIZE]) {
  assert(a->word_count >= 2);
  const char *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  subject_token(a->r->subjects, slice_str(tenant), slice_str(a->word[1]), out);
}

void admin_subject_get(struct admin *a) {
  uint8_t token[TOKEN_SIZE];
  token_by_id(a, token);
  show(a, token);
}

void admin_token_get(struct admin *a) {
  uint8_t token[TOKEN_SIZE];
  if (admin_token(a, a->word[1], token)) show(a, token);
}

void admin_subject_put(struct admin *a) {
  const char *country = NULL, *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  char code2[2];
  struct subject_who who;
  struct dom_err err = {0};
  if (!admin_unpack(a, "{s:s}", "country", &country) || !admin_country(a, country, code2)) return;
  if (strlen(tenant) > SUBJECT_ACCOUNT_MAX) {
    admin_refuse(a, "the tenant's name is too long");
    return;
  }
  enum dom_code code =
      subject_register_anywhere(a->r->subjects, slice_str(tenant), slice_str(a->word[1]), code2, &who, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200,
                   json_pack("{s:o,s:s,s:o,s:I}", "token", admin_hex(who.token, TOKEN_SIZE), "country",
                             country, "home", admin_region(a->r, who.home), "epoch", (json_int_t)who.epoch));
}

void admin_subject_country(struct admin *a) {
  const char *country = NULL;
  char code2[2];
  uint8_t token[TOKEN_SIZE];
  struct dom_err err = {0};
  if (!admin_unpack(a, "{s:s}", "country", &country) || !admin_country(a, country, code2)) return;
  token_by_id(a, token);
  enum dom_code code = subject_set_country(a->r->subjects, token, code2, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    show(a, token);
}

/* ---- list --------------------------------------------------------------------------------------- */

struct page {
  struct region *r;
  json_t *rows;
  const char *country; /* NULL: all */
  size_t max;
  uint8_t last[TOKEN_SIZE];
  bool more;
};

static bool add_row(void *arg, const struct store_subject *row) {
  struct page *p = arg;
  if (p->country && memcmp(p->country, row->country, 2) != 0) return true;
  p->more = json_array_size(p->rows) == p->max;
  if (p->more) return false;
  memcpy(p->last, row->token, TOKEN_SIZE);
  return json_array_append_new(p->rows, row_json(p->r, row)) == 0;
}

void admin_subject_list(struct admin *a) {
  uint8_t after[TOKEN_SIZE];
  uint64_t limit = 0;
  char country[2];
  const char *from = admin_param(a, "after", NULL), *of = admin_param(a, "country", NULL);
  if (from && !admin_token(a, from, after)) return;
  if (of && !admin_country(a, of, country)) return;
  if (!admin_param_number(a, "limit", ADMIN_PAGE_DEFAULT, ADMIN_PAGE_MAX, &limit)) return;
  struct page p = {.r = a->r, .rows = json_array(), .country = of ? country : NULL, .max = limit ? limit : 1};
  STORE_VIEW_AUTO *v = NULL;
  struct dom_err err = {0};
  enum dom_code code = p.rows ? store_view_open(a->r->store, &v, &err) : DOM_NO_MEMORY;
  if (!code) code = store_subject_scan(v, from ? after : NULL, add_row, &p, &err);
  if (code) {
    json_decref(p.rows);
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200,
                   json_pack("{s:o,s:o}", "subjects", p.rows, "next",
                             p.more ? admin_hex(p.last, TOKEN_SIZE) : json_null()));
}
