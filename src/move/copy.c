/* What the source sends: a snapshot, then the present state of whatever the journal names. */
#include <assert.h>

#include "move/move_internal.h"

enum dom_code copy_begin(struct copy *c, struct mover *m, const struct handoff *h,
                         const struct permit *permit, struct pace *pace, struct dom_err *err) {
  assert(h->side == HANDOFF_SOURCE && permit);
  assert(h->state == HANDOFF_COPYING || h->state == HANDOFF_COMMITTED); /* which is sent once more */
  *c = (struct copy){.m = m, .h = h, .permit = permit, .pace = pace, .memo = memo_new()};
  if (!c->memo) return dom_fail(err, DOM_NO_MEMORY, "move/copy: begin", "no memory");
  bulk_begin(&c->batch, h);
  return buf_check(&c->batch, err);
}

void copy_done(struct copy *c) {
  buf_wipe_done(&c->batch);
  buf_wipe_done(&c->bodies);
  memo_free(c->memo);
}

static enum dom_code send(struct copy *c, const char *path, struct buf *sealed, struct slice rest,
                          struct buf *reply, struct dom_err *err) {
  bool fenced = c->h->state == HANDOFF_FENCED;
  bulk_seal(sealed);
  enum dom_code code = buf_check(sealed, err);
  if (code) return code;
  if (!pace_wait(c->pace, c->m, sealed->len + rest.len, fenced))
    return dom_fail(err, DOM_CANCELLED, "move/copy: send", "the job or the region is stopping");
  c->bytes += sealed->len + rest.len;
  buf_reset(reply);
  return net_call_bulk(c->m->o.net, c->h->peer, path, buf_slice(sealed), rest, MOVE_MESSAGE_TIMEOUT_MS, reply,
                       err);
}

static enum dom_code flush(struct copy *c, struct dom_err *err) {
  BUF_AUTO reply = BUF_INIT;
  if (c->batch_items == 0) return DOM_OK;
  enum dom_code code = send(c, MOVE_ITEMS_PATH, &c->batch, buf_slice(&c->bodies), &reply, err);
  if (code) return code;
  if (c->pace) atomic_fetch_add(&c->pace->objects, c->batch_items);
  buf_reset(&c->bodies);
  buf_reset(&c->batch);
  bulk_begin(&c->batch, c->h);
  c->batch_items = 0;
  return buf_check(&c->batch, err);
}

/* Reads the next `want` bytes behind what is in *out. */
static enum dom_code read_on(struct store_found *found, uint64_t at, size_t want, struct buf *out,
                             struct dom_err *err) {
  size_t got = 0;
  if (!buf_reserve(out, want + 1)) return buf_check(out, err);
  enum dom_code code = store_found_read(found, at, out->data + out->len, want, &got, err);
  if (code) return code;
  if (got != want)
    return dom_fail(err, DOM_CORRUPT, "move/copy: body", "a body is shorter than its record says");
  out->len += got;
  return DOM_OK;
}

/* One body as chunks, signed: head | transfer id | offset | last; and bytes. `at` is its place within found;
 * `hash` NULL: its hash is known. */
static enum dom_code send_chunks(struct copy *c, struct store_found *found, uint64_t at,
                                 const struct store_body_ref *ref, struct hash *hash, struct dom_err *err) {
  BUF_AUTO head = BUF_INIT;
  BUF_AUTO chunk = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  uint64_t sent = 0;
  bool more = false; /* of reading back, at the target */
  do {
    buf_reset(&head);
    buf_reset(&chunk);
    bulk_begin(&head, c->h);
    buf_append(&head, ref->id, STORE_BODY_ID_SIZE);
    put_u64be(&head, sent);
    size_t want = ref->size - sent < MOVE_BODY_CHUNK ? (size_t)(ref->size - sent) : MOVE_BODY_CHUNK;
    put_u8(&head, sent + want == ref->size);
    enum dom_code code = read_on(found, at + sent, want, &chunk, err);
    if (code) return code;
    if (hash) hash_update(hash, chunk.data, want);
    if ((code = send(c, MOVE_BODY_PATH, &head, buf_slice(&chunk), &reply, err))) return code;
    sent += want;
    more = reply.len == 1 && reply.data[0] == 1;
  } while (sent < ref->size || more);
  return DOM_OK;
}

/* A body that is not hashed yet is while it goes out. */
static enum dom_code send_body(struct copy *c, struct store_found *found, uint64_t at,
                               struct store_body_ref *ref, struct dom_err *err) {
  if (store_sha256_known(ref->sha256)) return send_chunks(c, found, at, ref, NULL, err);
  struct hash *hash = hash_new(HASH_SHA256);
  if (!hash) return dom_fail(err, DOM_NO_MEMORY, "move/copy: body", "no memory");
  enum dom_code code = send_chunks(c, found, at, ref, hash, err);
  if (!code) hash_final(hash, ref->sha256);
  hash_free(hash);
  return code;
}

static enum dom_code send_bodies(struct copy *c, struct store_found *found, struct store_object *o,
                                 struct store_body_ref *refs, struct dom_err *err) {
  uint64_t at = 0;
  for (uint32_t i = 0; i < o->body_count; i++) {
    enum dom_code code = send_body(c, found, at, &refs[i], err);
    if (code) return code;
    at += refs[i].size;
  }
  return hashes_of_bodies(o, err);
}

/* Gathers a body that goes with its item. */
static enum dom_code read_inline(struct copy *c, struct store_found *found, struct store_object *o,
                                 struct dom_err *err) {
  assert(o->size <= STORE_INLINE_MAX);
  size_t begin = c->bodies.len;
  enum dom_code code = read_on(found, 0, (size_t)o->size, &c->bodies, err);
  if (!code && !store_sha256_known(o->sha256)) sha256(c->bodies.data + begin, (size_t)o->size, o->sha256);
  return code;
}

/* Sends the bodies of an item, or gathers the one that goes with it; all hashes of *item are known then,
 * those of its bodies in *out_refs. */
static enum dom_code send_content(struct copy *c, struct store_view *v, struct store_item *item,
                                  struct store_body_ref **out_refs, struct dom_err *err) {
  struct store_found *part = NULL, *found = item->found;
  enum dom_code code = DOM_OK;
  if (item->kind == STORE_ITEM_PART) {
    code = store_item_open(v, PERMIT_MOVE, c->permit, c->h->token, c->h->epoch_from, item, &part, err);
    found = part;
  }
  assert(code || found);
  if (!code) store_found_read_once(found);
  if (!code) code = hashes_own(item, out_refs, err);
  if (!code) {
    if (item->kind == STORE_ITEM_PART)
      code = send_body(c, found, 0, &item->part.body, err);
    else if (item->object.body_count)
      code = send_bodies(c, found, &item->object, *out_refs, err);
    else
      code = read_inline(c, found, &item->object, err);
  }
  store_found_free(part);
  return code;
}

/* Adds one item to the batch, its bodies sent before it. What was sent as it is now is not sent again. */
static enum dom_code add(struct copy *c, struct store_view *v, const struct store_item *item,
                         struct dom_err *err) {
  struct memo_line line;
  struct store_item full = *item;
  struct store_body_ref *refs = NULL;
  enum dom_code code = DOM_OK;
  if (!item->absent && memo_get(c->memo, item->stamp, &line)) return DOM_OK;
  size_t more = item_has_inline(item) ? (size_t)item->object.size : 0;
  if (c->batch.len + c->bodies.len + more > MOVE_MESSAGE_FILL) code = flush(c, err);
  if (!code && !item->absent && item->kind != STORE_ITEM_UPLOAD && !item->object.is_marker)
    code = send_content(c, v, &full, &refs, err);
  if (!code) {
    item_put(&c->batch, &full);
    c->batch_items++;
    c->items++;
    code = buf_check(&c->batch, err);
  }
  if (!code && !item->absent) {
    manifest_line(&full, &line);
    memo_put(c->memo, &line);
  }
  dom_free(refs);
  return code;
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
  uint32_t rows;
  enum dom_code code;
  struct dom_err *err;
};

static bool send_present(void *arg, uint64_t lsn, const struct store_item *present) {
  struct round *r = arg;
  assert(lsn >= r->last); /* a commit may have several */
  r->code = add(r->c, r->v, present, r->err);
  r->last = lsn;
  r->rows++;
  return r->code == DOM_OK;
}

enum dom_code copy_journal(struct copy *c, uint64_t *after, uint32_t *out_sent, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(c->m->o.store, &v, err);
  struct round r = {.c = c, .v = v, .last = *after, .err = err};
  uint64_t items = c->items;
  for (uint32_t before = 1; !code && before > 0;) {
    before = r.rows;
    code = store_journal_scan(v, c->permit, c->h->token, r.last, MOVE_JOURNAL_BATCH, send_present, &r, err);
    if (!code) code = r.code;
    before = r.rows - before;
  }
  if (!code) code = flush(c, err);
  if (code) return code;
  assert(r.last >= *after);
  *after = r.last;
  *out_sent = (uint32_t)(c->items - items);
  return DOM_OK;
}
