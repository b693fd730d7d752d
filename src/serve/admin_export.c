/* Admin: everything of a person, handed out for the right of access. Each request has a view of its own, so
 * that none is held while a client is waited for: a page tells what is there, bodies are asked for by what a
 * page told. Stamps make sure that the bytes are those that were told. */
#include <assert.h>
#include <stdio.h>

#include "base/codec.h"
#include "serve/admin.h"
#include "serve/export_item.h"

enum {
  EXPORT_ITEMS_MAX = 100,          /* of a page: its JSON is read whole */
  EXPORT_META_BYTES_MAX = 4 << 20, /* of a page's metadata; one item may have 1 MiB */
  EXPORT_CURSOR_MAX = 4096,        /* two keys and some numbers */
  EXPORT_STEPS_MAX = 4096,         /* things passed over on the way to a body: a page, and what came since */
  EXPORT_OUT_BYTES = 256 << 10     /* small bodies share a write */
};

struct export {
  struct admin *a;
  struct region *r;
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch; /* under which everything is read; 0: not known yet */
  struct subject_who who;
  uint8_t after[EXPORT_CURSOR_MAX];
  size_t after_len;
};
/* A view with leave to read everything of the person in it. */
struct look {
  struct store_view *view;
  struct charter_permit_storage storage;
  const struct permit *permit;
};
static void look_done(struct look *l) {
  store_view_close(l->view);
  l->view = NULL;
}
#define LOOK_AUTO __attribute__((cleanup(look_done))) struct look

static enum dom_code fail_elsewhere(struct export *e, struct dom_err *err) {
  json_t *name = admin_region(e->r, e->who.home);
  enum dom_code code =
      dom_fail(err, DOM_ELSEWHERE, "serve/admin",
               "the subject's home is region %s: run this there; what a folder has already stays good",
               name && json_is_string(name) ? json_string_value(name) : "?");
  json_decref(name);
  return code;
}

/* Whole or nothing: the charter must allow that every class there is be read here. */
static enum dom_code permit_all(struct export *e, struct look *l, struct dom_err *err) {
  struct subject_intent intent = {.action = PERMIT_READ,
                                  .who = &e->who,
                                  .place_region = e->r->number,
                                  .gateway = e->r->number,
                                  .all_classes = true};
  struct charter_refusal no = {0};
  enum dom_code code = subject_permit(e->r->subjects, &intent, &l->storage, &l->permit, &no);
  if (code == DOM_REFUSED) refusal_note(e->r, &no);
  return code ? dom_fail(err, code, "serve/admin", "charter version %llu, %s: %s",
                         (unsigned long long)no.version, no.clause, no.why)
              : DOM_OK;
}

static enum dom_code look_open(struct export *e, struct look *l, struct dom_err *err) {
  enum dom_code code = DOM_RETRY;
  if (!mover_is_open(e->r->mover))
    return dom_fail(err, DOM_UNAVAILABLE, "serve/admin",
                    "this region is in quarantine: it hands nobody out before it knows what it missed");
  for (int i = 0; code == DOM_RETRY && i < SERVE_RETRIES_MAX; i++) {
    look_done(l);
    code = store_view_open(e->r->store, &l->view, err);
    if (!code) code = subject_resolve_token(e->r->subjects, l->view, e->token, &e->who, err);
  }
  if (code) return code;
  if (e->who.where == SUBJECT_UNREGISTERED)
    return dom_fail(err, DOM_NOT_FOUND, "serve/admin", "the subject is not registered");
  if (e->who.where == SUBJECT_ELSEWHERE) return fail_elsewhere(e, err);
  if (e->epoch && e->epoch != e->who.epoch)
    return dom_fail(err, DOM_BUSY, "serve/admin",
                    "the subject moved away and back meanwhile: run this again");
  e->epoch = e->who.epoch;
  return permit_all(e, l, err);
}

/* What both routes have in their bodies. False: answered. */
static bool begin(struct admin *a, const char *after, json_int_t epoch, struct export *e) {
  const char *tenant = admin_param(a, "tenant", AUTH_ACCOUNT_DEFAULT);
  assert(a->word_count >= 2);
  *e = (struct export){.a = a, .r = a->r, .epoch = epoch > 0 ? (uint64_t)epoch : 0};
  subject_token(a->r->subjects, slice_str(tenant), slice_str(a->word[1]), e->token);
  bool good = !after || !hex_decode(slice_str(after), e->after, sizeof e->after, &e->after_len);
  if (!good || (after && !e->epoch)) admin_refuse(a, "after must be a page's next, with that page's epoch");
  return good && (!after || e->epoch);
}

/* ---- a page ------------------------------------------------------------------------------- */

/* Adds items until the page is full; *out_more: it is, and nothing says that it was the end. */
static enum dom_code walk_page(struct look *l, struct store_walk *w, json_t *items, bool *out_more,
                               struct dom_err *err) {
  struct export_teller t = {.view = l->view, .arena = arena_new(S3_REQUEST_ARENA_BYTES)};
  size_t bytes = 0;
  enum dom_code code = t.arena ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "serve/admin", "no memory");
  *out_more = true;
  while (!code && json_array_size(items) < EXPORT_ITEMS_MAX && bytes < EXPORT_META_BYTES_MAX) {
    const struct store_item *item = NULL;
    json_t *j = NULL;
    code = store_walk_next(w, &item, err);
    *out_more = code != DOM_NOT_FOUND;
    if (code) break;
    bytes += item->object.meta.len + item->upload.meta.len;
    code = export_item(&t, item, &j, err);
    if (!code && json_array_append_new(items, j))
      code = dom_fail(err, DOM_NO_MEMORY, "serve/admin", "no memory");
  }
  arena_free(t.arena);
  return *out_more ? code : DOM_OK;
}

/* Takes `items`. */
static json_t *page_json_take(struct export *e, json_t *items, struct buf *next, uint64_t objects,
                              uint64_t bytes) {
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, buf_slice(next));
  return json_pack("{s:o,s:s%,s:o,s:I,s:I,s:I,s:I,s:o,s:o}", "token", admin_hex(e->token, TOKEN_SIZE),
                   "country", e->who.country, e->who.country[0] ? (size_t)2 : (size_t)0, "home",
                   admin_region(e->r, e->r->number), "epoch", (json_int_t)e->epoch, "time_ms",
                   (json_int_t)clock_wall_ms(e->r->clock), "objects", (json_int_t)objects, "bytes",
                   (json_int_t)bytes, "items", items, "next",
                   next->len ? json_string(buf_str(&hex)) : json_null());
}

/* Fills `items` and *next, empty at the end; counts are of all that the person has in the same view. */
static enum dom_code page(struct export *e, json_t *items, struct buf *next, uint64_t *objects,
                          uint64_t *bytes, struct dom_err *err) {
  LOOK_AUTO l = {0};
  struct store_walk *w = NULL;
  bool more = false;
  enum dom_code code = look_open(e, &l, err);
  if (!code)
    code = store_walk_open(l.view, PERMIT_READ, l.permit, e->token, e->epoch,
                           slice_of(e->after, e->after_len), &w, err);
  if (!code) code = walk_page(&l, w, items, &more, err);
  if (!code && more) store_walk_cursor(w, next);
  store_walk_close(w);
  if (!code) code = store_subject_usage(l.view, e->token, e->epoch, objects, bytes, err);
  return code ? code : buf_check(next, err);
}

/* Each page leaves a trace about this person, whoever asks: where one begins is the client's choice. */
static enum dom_code record(struct export *e, struct dom_err *err) {
  LOOK_AUTO l = {0};
  enum dom_code code = look_open(e, &l, err);
  look_done(&l);
  return code ? code : admin_record(e->a, e->token, "export of a subject", err);
}

void admin_subject_export(struct admin *a) {
  struct export e;
  struct dom_err err = {0};
  const char *after = NULL;
  json_int_t epoch = 0;
  uint64_t objects = 0, bytes = 0;
  BUF_AUTO next = BUF_INIT;
  if (!admin_unpack(a, "{s?s,s?I}", "after", &after, "epoch", &epoch) || !begin(a, after, epoch, &e)) return;
  json_t *items = json_array();
  enum dom_code code = items ? record(&e, &err) : dom_fail(&err, DOM_NO_MEMORY, "serve/admin", "no memory");
  if (!code) code = page(&e, items, &next, &objects, &bytes, &err);
  if (code) {
    json_decref(items);
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200, page_json_take(&e, items, &next, objects, bytes));
}

/* ---- bodies --------------------------------------------------------------------------------- */

/* What is asked for, and the answer on its way. */
struct hand_out {
  struct export e;
  uint8_t stamp[EXPORT_ITEMS_MAX][SHA256_SIZE];
  size_t count; /* stamps not found yet */
  uint8_t *out; /* EXPORT_OUT_BYTES */
  size_t out_len;
};

static bool read_stamps(struct admin *a, const json_t *list, struct hand_out *h) {
  size_t len = 0;
  bool good = json_is_array(list) && json_array_size(list) <= EXPORT_ITEMS_MAX;
  for (size_t i = 0; good && i < json_array_size(list); i++) {
    const char *text = json_string_value(json_array_get(list, i));
    good = text && !hex_decode(slice_str(text), h->stamp[i], SHA256_SIZE, &len) && len == SHA256_SIZE;
    h->count = i + 1;
  }
  if (!good) admin_refuse(a, "stamps must be a list of a page's stamps");
  return good;
}

/* Whether the stamp is asked for; it is crossed off. */
static bool is_wanted(struct hand_out *h, const uint8_t stamp[SHA256_SIZE]) {
  for (size_t i = 0; i < h->count; i++) {
    if (memcmp(h->stamp[i], stamp, SHA256_SIZE) != 0) continue;
    memmove(h->stamp[i], h->stamp[--h->count], SHA256_SIZE);
    return true;
  }
  return false;
}

static enum dom_code flush(struct hand_out *h, struct dom_err *err) {
  enum dom_code code = h->out_len ? wire_reply_write(h->e.a->x, h->out, h->out_len, err) : DOM_OK;
  h->out_len = 0;
  return code;
}

/* What comes before each body, and at the end of all with zeros. */
static enum dom_code send_head(struct hand_out *h, const uint8_t stamp[SHA256_SIZE], uint64_t size,
                               struct dom_err *err) {
  enum dom_code code = h->out_len + SHA256_SIZE + 8 > EXPORT_OUT_BYTES ? flush(h, err) : DOM_OK;
  memcpy(h->out + h->out_len, stamp, SHA256_SIZE);
  store_u64be(h->out + h->out_len + SHA256_SIZE, size);
  h->out_len += SHA256_SIZE + 8;
  return code;
}

static enum dom_code send_body(struct hand_out *h, struct store_found *found, uint64_t size,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (uint64_t at = 0; !code && at < size;) {
    size_t room = EXPORT_OUT_BYTES - h->out_len, got = 0;
    if (room == 0) {
      code = flush(h, err);
      continue;
    }
    code = store_found_read(found, at, h->out + h->out_len, size - at < room ? (size_t)(size - at) : room,
                            &got, err);
    if (!code && got == 0) code = dom_fail(err, DOM_CORRUPT, "serve/admin", "a body is too short");
    h->out_len += got;
    at += got;
  }
  return code;
}

/* On to the next thing that is asked for. DOM_NOT_FOUND: nothing of it is there, as far as a page goes. */
static enum dom_code step(struct hand_out *h, struct store_walk *w, const struct store_item **out,
                          struct dom_err *err) {
  uint8_t stamp[SHA256_SIZE];
  for (int i = 0; i < EXPORT_STEPS_MAX; i++) {
    enum dom_code code = store_walk_step(w, stamp, err);
    if (code) return code;
    if (is_wanted(h, stamp)) return store_walk_item(w, out, err);
  }
  return DOM_NOT_FOUND;
}

/* Pins the next body and goes behind it; the view is closed before a byte is sent. */
static enum dom_code next_body(struct hand_out *h, struct store_found **out, uint8_t stamp[SHA256_SIZE],
                               uint64_t *out_size, struct dom_err *err) {
  LOOK_AUTO l = {0};
  struct export *e = &h->e;
  struct store_walk *w = NULL;
  const struct store_item *item = NULL;
  BUF_AUTO at = BUF_INIT;
  enum dom_code code = look_open(e, &l, err);
  if (!code)
    code = store_walk_open(l.view, PERMIT_READ, l.permit, e->token, e->epoch,
                           slice_of(e->after, e->after_len), &w, err);
  if (!code) code = step(h, w, &item, err);
  if (!code && (item->kind == STORE_ITEM_UPLOAD || item->object.is_marker))
    code = dom_fail(err, DOM_INVALID, "serve/admin", "that has no body");
  if (!code) code = store_item_open(l.view, PERMIT_READ, l.permit, e->token, e->epoch, item, out, err);
  if (!code) {
    *out_size = item->kind == STORE_ITEM_PART ? item->part.body.size : item->object.size;
    memcpy(stamp, item->stamp, SHA256_SIZE);
    store_walk_cursor(w, &at);
    assert(at.failed || at.len <= sizeof e->after);
    memcpy(e->after, at.data, at.len);
    e->after_len = at.len;
    code = buf_check(&at, err);
  }
  store_walk_close(w);
  return code;
}

static enum dom_code send_all(struct hand_out *h, struct dom_err *err) {
  static const uint8_t none[SHA256_SIZE];
  while (h->count > 0) {
    struct store_found *found = NULL;
    uint8_t stamp[SHA256_SIZE];
    uint64_t size = 0;
    enum dom_code code = next_body(h, &found, stamp, &size, err);
    if (code == DOM_NOT_FOUND) break; /* what is missing changed since its page */
    if (!code) code = send_head(h, stamp, size, err);
    if (!code) code = send_body(h, found, size, err);
    store_found_free(found);
    if (code) return code;
  }
  enum dom_code code = send_head(h, none, 0, err);
  return code ? code : flush(h, err);
}

static void answer_bodies(struct admin *a, struct hand_out *h) {
  struct dom_err err = {0};
  {
    LOOK_AUTO l = {0};
    enum dom_code code = look_open(&h->e, &l, &err); /* a refusal is answered before anything begins */
    if (code) {
      admin_fail(a, code, &err);
      return;
    }
  }
  wire_reply_field_str(a->x, "Content-Type", "application/octet-stream");
  wire_reply_begin(a->x, 200, WIRE_LENGTH_UNKNOWN);
  enum dom_code code = send_all(h, &err);
  if (!code) {
    wire_reply_end(a->x, NULL);
  } else if (wire_reply_is_open(a->x)) {
    wire_reply_restart(a->x);
    admin_fail(a, code, &err);
  } else {
    wire_reply_abort(a->x); /* whoever asks again gets the reason */
  }
}

void admin_subject_export_bodies(struct admin *a) {
  AUTO_FREE struct hand_out *h = dom_calloc(1, sizeof *h);
  AUTO_FREE uint8_t *out = dom_alloc(EXPORT_OUT_BYTES);
  const char *after = NULL;
  json_int_t epoch = 0;
  json_t *stamps = NULL;
  if (!h || !out) {
    admin_fail(a, DOM_NO_MEMORY, NULL);
    return;
  }
  if (!admin_unpack(a, "{s?s,s:I,s:o}", "after", &after, "epoch", &epoch, "stamps", &stamps)) return;
  if (!begin(a, after, epoch, &h->e) || !read_stamps(a, stamps, h)) return;
  h->out = out;
  answer_bodies(a, h);
}
