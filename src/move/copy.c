/* What the source sends: a snapshot, then the present state of whatever the journal names. */
#include <assert.h>

#include "move/move_internal.h"

enum dom_code copy_begin(struct copy *c, struct mover *m, const struct handoff *h,
                         const struct permit *permit, struct pace *pace, struct dom_err *err) {
  assert(h->side == HANDOFF_SOURCE && h->state == HANDOFF_COPYING && permit);
  *c = (struct copy){.m = m, .h = h, .permit = permit, .pace = pace};
  handoff_head_put(&c->batch, h);
  return buf_check(&c->batch, err);
}

void copy_done(struct copy *c) {
  buf_wipe_done(&c->batch);
}

static enum dom_code send(struct copy *c, const char *path, struct slice body, struct dom_err *err) {
  bool fenced = c->h->state == HANDOFF_FENCED;
  if (!pace_wait(c->pace, c->m, body.len, fenced))
    return dom_fail(err, DOM_CANCELLED, "move/copy: send", "the job or the region is stopping");
  c->bytes += body.len;
  BUF_AUTO reply = BUF_INIT;
  return net_call(c->m->o.net, c->h->peer, path, body, MOVE_MESSAGE_TIMEOUT_MS, &reply, err);
}

static enum dom_code flush(struct copy *c, struct dom_err *err) {
  if (c->batch_items == 0) return DOM_OK;
  enum dom_code code = buf_check(&c->batch, err);
  if (!code) code = send(c, "move/items", buf_slice(&c->batch), err);
  if (code) return code;
  if (c->pace) atomic_fetch_add(&c->pace->objects, c->batch_items);
  buf_reset(&c->batch);
  handoff_head_put(&c->batch, c->h);
  c->batch_items = 0;
  return buf_check(&c->batch, err);
}

/* One body as chunks: head | transfer id | offset | last | bytes. `at` is its place within found. */
static enum dom_code send_body(struct copy *c, struct store_found *found, uint64_t at,
                               const struct store_body_ref *ref, struct dom_err *err) {
  BUF_AUTO chunk = BUF_INIT;
  uint64_t sent = 0;
  do {
    buf_reset(&chunk);
    handoff_head_put(&chunk, c->h);
    buf_append(&chunk, ref->id, STORE_BODY_ID_SIZE);
    put_u64be(&chunk, sent);
    size_t want = ref->size - sent < MOVE_BODY_CHUNK ? (size_t)(ref->size - sent) : MOVE_BODY_CHUNK;
    put_u8(&chunk, sent + want == ref->size);
    if (!buf_reserve(&chunk, want)) return buf_check(&chunk, err);
    size_t got = 0;
    enum dom_code code = store_found_read(found, at + sent, chunk.data + chunk.len, want, &got, err);
    if (code) return code;
    if (got != want)
      return dom_fail(err, DOM_CORRUPT, "move/copy: body", "a body is shorter than its record says");
    chunk.len += got;
    if ((code = send(c, "move/body", buf_slice(&chunk), err))) return code;
    sent += want;
  } while (sent < ref->size);
  return DOM_OK;
}

static enum dom_code send_bodies(struct copy *c, struct store_found *found, const struct store_body_ref *refs,
                                 uint32_t count, struct dom_err *err) {
  uint64_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    enum dom_code code = send_body(c, found, at, &refs[i], err);
    if (code) return code;
    at += refs[i].size;
  }
  return DOM_OK;
}

static enum dom_code read_inline(struct store_found *found, uint64_t size, struct buf *out,
                                 struct dom_err *err) {
  assert(size <= STORE_INLINE_MAX);
  size_t got = 0;
  if (!buf_reserve(out, (size_t)size + 1)) return buf_check(out, err);
  enum dom_code code = store_found_read(found, 0, out->data, (size_t)size, &got, err);
  if (code) return code;
  if (got != size)
    return dom_fail(err, DOM_CORRUPT, "move/copy: inline", "a body is shorter than its record says");
  out->len = got;
  return DOM_OK;
}

/* Adds one item to the batch, its bodies sent before it. */
static enum dom_code add(struct copy *c, struct store_view *v, const struct store_item *item,
                         struct dom_err *err) {
  struct store_found *found = NULL;
  BUF_AUTO inline_body = BUF_INIT;
  enum dom_code code = DOM_OK;
  bool has_body = !item->absent && item->kind != STORE_ITEM_UPLOAD && !item->object.is_marker;
  if (has_body)
    code = store_item_open(v, PERMIT_MOVE, c->permit, c->h->token, c->h->epoch_from, item, &found, err);
  if (!code && has_body) {
    if (item->kind == STORE_ITEM_PART)
      code = send_bodies(c, found, &item->part.body, 1, err);
    else if (item->object.body_count)
      code = send_bodies(c, found, item->object.bodies, item->object.body_count, err);
    else
      code = read_inline(found, item->object.size, &inline_body, err);
  }
  store_found_free(found);
  if (!code && c->batch.len + inline_body.len > MOVE_MESSAGE_FILL) code = flush(c, err);
  if (code) return code;
  item_put(&c->batch, item, buf_slice(&inline_body));
  c->batch_items++;
  wipe(inline_body.data, inline_body.len);
  return buf_check(&c->batch, err);
}

enum dom_code copy_snapshot(struct copy *c, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_walk *w = NULL;
  enum dom_code code = store_view_open(c->m->o.store, &v, err);
  if (!code)
    code = store_walk_open(v, PERMIT_MOVE, c->permit, c->h->token, c->h->epoch_from, SLICE_LIT(""), &w, err);
  while (!code) {
    const struct store_item *item;
    code = store_walk_next(w, &item, err);
    if (!code) code = add(c, v, item, err);
  }
  store_walk_close(w);
  return code == DOM_NOT_FOUND ? flush(c, err) : code;
}

struct round {
  struct copy *c;
  struct store_view *v;
  uint64_t last;
  uint32_t sent;
  enum dom_code code;
  struct dom_err *err;
};

static bool send_present(void *arg, uint64_t lsn, const struct store_item *present) {
  struct round *r = arg;
  assert(lsn >= r->last); /* a commit may have several */
  r->code = add(r->c, r->v, present, r->err);
  r->last = lsn;
  r->sent++;
  return r->code == DOM_OK;
}

enum dom_code copy_journal(struct copy *c, uint64_t *after, uint32_t *out_sent, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(c->m->o.store, &v, err);
  struct round r = {.c = c, .v = v, .last = *after, .err = err};
  for (uint32_t before = 1; !code && before > 0;) {
    before = r.sent;
    code = store_journal_scan(v, c->permit, c->h->token, r.last, MOVE_JOURNAL_BATCH, send_present, &r, err);
    if (!code) code = r.code;
    before = r.sent - before;
  }
  if (!code) code = flush(c, err);
  if (code) return code;
  assert(r.last >= *after);
  *after = r.last;
  *out_sent = r.sent;
  return DOM_OK;
}
