/* Admin: what the ledger says, opened for whoever may read it. */
#include <assert.h>

#include "serve/admin.h"

/* ---- from an entry's place in the log to its place in the ledger, and back ----------------- */

static enum dom_code index_of(struct region *r, uint64_t lsn, uint32_t position, uint64_t *out) {
  uint64_t first = 0, count = 0;
  enum dom_code code = ledger_find_cursor(r->ledger, lsn, &first, &count, NULL);
  if (!code && position >= count) code = DOM_NOT_FOUND;
  if (!code) *out = first + position;
  return code;
}

struct last {
  uint64_t lsn;
  uint32_t position;
  bool found;
};

static bool take_first(void *arg, const struct store_entry *e) {
  struct last *l = arg;
  *l = (struct last){.lsn = e->lsn, .position = e->position, .found = true};
  return false;
}

enum dom_code admin_last_entry(struct region *r, struct store_view *v, const uint8_t token[TOKEN_SIZE],
                               uint64_t *out_index) {
  struct last l = {0};
  enum dom_code code = store_entries_of(v, token, take_first, &l, NULL);
  if (code) return code;
  if (!l.found) return DOM_NOT_FOUND;
  ledger_feed_await(r, l.lsn);
  return index_of(r, l.lsn, l.position, out_index);
}

/* The opening and payload of the entry at an index, out of the region's own store. */
struct opened {
  uint64_t lsn;
  uint32_t position;
  bool found;
  uint8_t opening[LEDGER_OPENING_SIZE];
  struct buf payload;
};

static bool take_at(void *arg, const struct store_entry *e) {
  struct opened *o = arg;
  if (e->lsn != o->lsn) return false; /* the scan begins at it: it was deleted */
  if (e->position != o->position) return true;
  memcpy(o->opening, e->opening, sizeof o->opening);
  buf_append_slice(&o->payload, e->payload);
  o->found = true;
  return false;
}

static enum dom_code open_entry(struct region *r, uint64_t index, struct opened *out, struct dom_err *err) {
  uint64_t first = 0, count = 0;
  enum dom_code code = ledger_entry_at(r->ledger, index, NULL, &out->lsn, err);
  if (!code) code = ledger_find_cursor(r->ledger, out->lsn, &first, &count, err);
  if (code) return code;
  assert(index >= first && index < first + count && out->lsn > 0);
  out->position = (uint32_t)(index - first);
  code = store_outbox_scan(r->store, out->lsn - 1, take_at, out, err);
  if (!code) code = buf_check(&out->payload, err);
  if (!code && !out->found)
    code = dom_fail(err, DOM_NOT_FOUND, "serve/admin", "the opening of this entry was deleted");
  return code;
}

/* ---- routes ------------------------------------------------------------------------------------ */

void admin_ledger(struct admin *a) {
  BUF_AUTO vkey = BUF_INIT;
  BUF_AUTO checkpoint = BUF_INIT;
  uint8_t id[LEDGER_LOG_ID_SIZE];
  ledger_feed_await(a->r, 0);
  ledger_own_vkey(a->r->ledger, &vkey);
  ledger_checkpoint(a->r->ledger, &checkpoint);
  ledger_own_log_id(a->r->ledger, id);
  admin_reply_take(a, 200,
                   json_pack("{s:s,s:s,s:o,s:I,s:I,s:s,s:b}", "origin", ledger_origin(a->r->ledger), "vkey",
                             buf_str(&vkey), "log_id", admin_hex(id, sizeof id), "size",
                             (json_int_t)ledger_size(a->r->ledger), "lsn",
                             (json_int_t)ledger_cursor(a->r->ledger), "checkpoint", buf_str(&checkpoint),
                             "failed", ledger_failed(a->r->ledger)));
}

static json_t *entry_json(struct region *r, uint64_t index, struct dom_err *err) {
  uint8_t bytes[LEDGER_ENTRY_SIZE];
  struct ledger_entry entry;
  struct ledger_payload payload;
  struct opened o = {.payload = BUF_INIT};
  BUF_AUTO words = BUF_INIT;
  enum dom_code code = ledger_entry_at(r->ledger, index, bytes, NULL, err);
  if (!code) code = ledger_entry_decode(slice_of(bytes, sizeof bytes), &entry, err);
  if (code) return NULL;
  bool open = open_entry(r, index, &o, NULL) == DOM_OK &&
              ledger_entry_open(&entry, o.opening, buf_slice(&o.payload), &payload, NULL) == DOM_OK;
  buf_wipe_done(&o.payload);
  ledger_entry_describe(&entry, open ? &payload : NULL, &words);
  json_t *j =
      json_pack("{s:I,s:s,s:I,s:b,s:s}", "index", (json_int_t)index, "type", ledger_type_name(entry.type),
                "time_ms", (json_int_t)entry.time_ms, "opened", open, "words", buf_str(&words));
  static const uint8_t nobody[LEDGER_TOKEN_SIZE];
  if (j && open && memcmp(payload.token, nobody, sizeof nobody) != 0)
    json_object_set_new(j, "token", admin_hex(payload.token, sizeof payload.token));
  if (!j) dom_fail(err, DOM_NO_MEMORY, "serve/admin", "no memory");
  return j;
}

void admin_ledger_entries(struct admin *a) {
  uint64_t from = 0, limit = 0;
  struct dom_err err = {0};
  if (!admin_param_number(a, "limit", ADMIN_PAGE_DEFAULT, ADMIN_PAGE_MAX, &limit)) return;
  ledger_feed_await(a->r, 0);
  uint64_t size = ledger_size(a->r->ledger);
  uint64_t newest = size > limit ? size - limit : 0;
  if (!admin_param_number(a, "from", newest, INT64_MAX, &from)) return;
  json_t *list = json_array();
  for (uint64_t i = from; list && i < size && i - from < limit && !err.code; i++) {
    json_t *one = entry_json(a->r, i, &err);
    if (one) json_array_append_new(list, one);
  }
  if (err.code) {
    json_decref(list);
    admin_fail(a, err.code, &err);
    return;
  }
  admin_reply_take(a, 200, json_pack("{s:o,s:I}", "entries", list, "size", (json_int_t)size));
}

static enum dom_code add_receipt(struct region *r, json_t *list, uint64_t index, struct slice payload,
                                 const uint8_t *opening, struct dom_err *err) {
  BUF_AUTO text = BUF_INIT;
  enum dom_code code = ledger_receipt(r->ledger, index, opening, payload, &text, err);
  if (code) return code;
  json_array_append_new(list, json_pack("{s:I,s:s}", "index", (json_int_t)index, "text", buf_str(&text)));
  return DOM_OK;
}

static enum dom_code receipt_at(struct region *r, uint64_t index, json_t *list, struct dom_err *err) {
  struct opened o = {.payload = BUF_INIT};
  enum dom_code code = open_entry(r, index, &o, err);
  if (!code) code = add_receipt(r, list, index, buf_slice(&o.payload), o.opening, err);
  buf_wipe_done(&o.payload);
  return code;
}

struct gather {
  struct region *r;
  json_t *list;
  size_t max;
  enum dom_code code;
  struct dom_err *err;
};

static bool add_one(void *arg, const struct store_entry *e) {
  struct gather *g = arg;
  uint64_t index = 0;
  if (index_of(g->r, e->lsn, e->position, &index)) return true; /* not taken up yet */
  g->code = add_receipt(g->r, g->list, index, e->payload, e->opening, g->err);
  return !g->code && json_array_size(g->list) < g->max;
}

static enum dom_code receipts_of(struct region *r, const uint8_t token[TOKEN_SIZE], size_t max, json_t *list,
                                 struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct gather g = {.r = r, .list = list, .max = max, .err = err};
  enum dom_code code = store_view_open(r->store, &v, err);
  if (!code) code = store_entries_of(v, token, add_one, &g, err);
  return code ? code : g.code;
}

void admin_receipts(struct admin *a) {
  uint8_t token[TOKEN_SIZE];
  uint64_t index = 0, limit = 0;
  struct dom_err err = {0};
  const char *of = admin_param(a, "token", NULL), *id = admin_param(a, "subject", NULL);
  const char *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  bool by_index = admin_param(a, "index", NULL) != NULL;
  if (!of + !id + !by_index != 2) {
    admin_refuse(a, "ask by token, by subject or by index");
    return;
  }
  if (of && !admin_token(a, of, token)) return;
  if (id) subject_token(a->r->subjects, slice_str(tenant), slice_str(id), token);
  if (!admin_param_number(a, "index", 0, INT64_MAX, &index) ||
      !admin_param_number(a, "limit", ADMIN_PAGE_DEFAULT, ADMIN_PAGE_MAX, &limit))
    return;
  ledger_feed_await(a->r, 0);
  json_t *list = json_array();
  enum dom_code code = !list      ? DOM_NO_MEMORY
                       : by_index ? receipt_at(a->r, index, list, &err)
                                  : receipts_of(a->r, token, limit ? limit : 1, list, &err);
  if (code) {
    json_decref(list);
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200, json_pack("{s:o}", "receipts", list));
}
