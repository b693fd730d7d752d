/* Admin: lists of people for a move, and who could not be moved. */
#include <assert.h>

#include "serve/admin.h"

enum {
  LIST_NAMES_MAX = 4096
}; /* of one request; with ids of 60 bytes it fills ADMIN_BODY_BYTES_MAX by half */

void admin_move_list_open(struct admin *a) {
  struct dom_err err = {0};
  uint64_t id = 0;
  enum dom_code code = mover_list_open(a->r->mover, &id, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 201, json_pack("{s:I}", "list", (json_int_t)id));
}

/* 64 hex digits are a token, all else is an id. False: it can be neither. */
static bool name_token(struct region *r, struct slice tenant, struct slice name, uint8_t out[TOKEN_SIZE]) {
  size_t len = 0;
  if (name.len == 2 * TOKEN_SIZE && !hex_decode(name, out, TOKEN_SIZE, &len) && len == TOKEN_SIZE)
    return true;
  bool is_dots = slice_equal(name, SLICE_LIT(".")) || slice_equal(name, SLICE_LIT(".."));
  if (name.len == 0 || name.len > SUBJECT_ID_MAX || is_dots || memchr(name.data, '/', name.len)) return false;
  subject_token(r->subjects, tenant, name, out);
  return true;
}

struct names {
  uint8_t (*token)[TOKEN_SIZE];
  size_t count;
  json_t *unknown; /* places of those that are not known here */
};

/* Tokens of all names that this region knows. */
static enum dom_code read_names(struct admin *a, struct slice tenant, json_t *list, struct names *out,
                                struct dom_err *err) {
  size_t i;
  json_t *name;
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(a->r->store, &v, err);
  if (code) return code;
  json_array_foreach(list, i, name) {
    uint8_t token[TOKEN_SIZE];
    struct store_subject row;
    struct slice text = slice_of(json_string_value(name), json_string_length(name));
    bool good = text.data && name_token(a->r, tenant, text, token);
    code = good ? store_subject_get(v, token, &row, NULL) : DOM_NOT_FOUND;
    if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, "serve/admin", "a subject cannot be read");
    if (code)
      json_array_append_new(out->unknown, json_integer((json_int_t)i));
    else
      memcpy(out->token[out->count++], token, TOKEN_SIZE);
  }
  return DOM_OK;
}

void admin_move_list_add(struct admin *a) {
  uint64_t id = 0, total = 0;
  const char *tenant = AUTH_ACCOUNT_DEFAULT;
  json_t *list = NULL;
  struct dom_err err = {0};
  if (slice_to_u64(slice_str(a->word[2]), &id)) {
    admin_refuse(a, "a list is named by its number");
    return;
  }
  if (!admin_unpack(a, "{s?s,s:o}", "tenant", &tenant, "names", &list)) return;
  if (!json_is_array(list) || json_array_size(list) > LIST_NAMES_MAX ||
      strlen(tenant) > SUBJECT_ACCOUNT_MAX) {
    admin_refuse(a, "names is an array of at most 4096 ids or tokens");
    return;
  }
  struct names names = {.token = dom_calloc(LIST_NAMES_MAX, TOKEN_SIZE), .unknown = json_array()};
  enum dom_code code = names.token && names.unknown
                           ? read_names(a, slice_str(tenant), list, &names, &err)
                           : dom_fail(&err, DOM_NO_MEMORY, "serve/admin", "no memory");
  if (!code)
    code =
        mover_list_add(a->r->mover, id, (const uint8_t(*)[TOKEN_SIZE])names.token, names.count, &total, &err);
  dom_free(names.token);
  if (!code) {
    admin_reply_take(a, 200, json_pack("{s:I,s:o}", "tokens", (json_int_t)total, "unknown", names.unknown));
    return;
  }
  json_decref(names.unknown);
  admin_fail(a, code, &err);
}

/* ---- who could not be moved ------------------------------------------------------------------ */

struct page {
  json_t *list;
  uint64_t limit;
  uint8_t last[TOKEN_SIZE];
  bool more;
};

static bool add_failure(void *arg, const struct move_failure *f) {
  struct page *p = arg;
  p->more = json_array_size(p->list) == p->limit;
  if (p->more) return false;
  memcpy(p->last, f->token, TOKEN_SIZE);
  json_array_append_new(
      p->list, json_pack("{s:o,s:s,s:s,s:I,s:I,s:I}", "token", admin_hex(f->token, TOKEN_SIZE), "code",
                         dom_code_name(f->code), "reason", f->text, "tries", (json_int_t)f->tries, "last_ms",
                         (json_int_t)f->last_ms, "charter", (json_int_t)f->charter_version));
  return true;
}

void admin_move_failures(struct admin *a) {
  uint64_t id = 0;
  uint8_t after[TOKEN_SIZE];
  struct dom_err err = {0};
  struct page p = {.limit = 0};
  const char *text = admin_param(a, "after", NULL);
  if (!admin_move_id(a, &id) ||
      !admin_param_number(a, "limit", ADMIN_PAGE_DEFAULT, ADMIN_PAGE_MAX, &p.limit) ||
      (text && !admin_token(a, text, after)))
    return;
  p.list = json_array();
  enum dom_code code = p.list
                           ? mover_job_failures(a->r->mover, id, text ? after : NULL, add_failure, &p, &err)
                           : DOM_NO_MEMORY;
  if (code) {
    json_decref(p.list);
    admin_fail(a, code, &err);
    return;
  }
  json_t *next = p.more && json_array_size(p.list) ? admin_hex(p.last, TOKEN_SIZE) : json_null();
  admin_reply_take(a, 200, json_pack("{s:o,s:o}", "failures", p.list, "next", next));
}
