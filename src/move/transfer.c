/* Bodies on their way into the target. A chunk follows the one before it; a repeated one is passed over. */
#include <assert.h>

#include "move/move_internal.h"

enum {
  TRANSFERS_MAX = 1 << 16
}; /* open or sealed and not yet named by an item: six objects of 10,000 parts, whose bodies all come before
      the item that names them; 15 MiB */

/* Known by handoff and body: what an aborted handoff left was sealed under a key that is gone. */
struct transfer {
  uint8_t id[STORE_BODY_ID_SIZE];
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  struct store_body *body; /* NULL once sealed */
  bool sealed;             /* ref is filled but for its hash, until it was read back */
  struct hash *hash;       /* of what was read back so far: */
  uint64_t verified;
  bool ready; /* read back and hashed; waits for the item that names it */
  uint64_t received;
  bool busy;  /* a thread writes a chunk */
  bool unfit; /* dropped while busy: goes when that thread is done */
  struct store_body_ref ref;
  struct transfer *next;
};

/* What is known of the items of one handoff. */
struct known {
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  struct memo *memo;
  uint32_t holders;
  bool gone; /* dropped while held */
  struct known *next;
};

struct transfers {
  pthread_mutex_t lock;
  struct known *known;
  struct transfer *first;
  uint32_t count;
};

struct transfers *transfers_new(void) {
  struct transfers *t = dom_calloc(1, sizeof *t);
  if (t) pthread_mutex_init(&t->lock, NULL);
  return t;
}

static void transfer_free(struct transfer *x) {
  assert(!x->sealed || !x->body);
  store_body_abort_take(x->body);
  hash_free(x->hash);
  dom_free(x);
}

static void known_free(struct known *k) {
  memo_free(k->memo);
  dom_free(k);
}

void transfers_free(struct transfers *t) {
  if (!t) return;
  while (t->first) {
    struct transfer *x = t->first;
    t->first = x->next;
    transfer_free(x);
  }
  while (t->known) {
    struct known *k = t->known;
    assert(k->holders == 0);
    t->known = k->next;
    known_free(k);
  }
  pthread_mutex_destroy(&t->lock);
  dom_free(t);
}

static struct transfer **transfer_link(struct transfers *t, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                       const uint8_t id[STORE_BODY_ID_SIZE]) {
  struct transfer **link = &t->first;
  while (*link && ((*link)->epoch != epoch || memcmp((*link)->id, id, STORE_BODY_ID_SIZE) != 0 ||
                   memcmp((*link)->token, token, TOKEN_SIZE) != 0))
    link = &(*link)->next;
  return link;
}

/* Gives up a transfer that is out of the table, and the body it sealed. */
static void transfer_discard(struct mover *m, struct transfer *x) {
  if (x->sealed) store_body_discard(m->o.store, &x->ref);
  transfer_free(x);
}

/* Bodies that hold a file and a buffer. Who is busy may be sealing just now, and counts. */
static uint32_t unsealed(const struct transfers *t) {
  uint32_t count = 0;
  for (const struct transfer *x = t->first; x; x = x->next) count += x->busy || !x->sealed;
  return count;
}

/* Finds or begins the transfer and marks it busy. */
static enum dom_code claim(struct mover *m, const struct permit *permit, const struct handoff *h,
                           const uint8_t *id, uint64_t offset, struct transfer **out, struct dom_err *err) {
  struct transfers *t = m->transfers;
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&t->lock);
  struct transfer *x = *transfer_link(t, h->token, h->epoch, id);
  if (x && x->busy)
    code = DOM_BUSY;
  else if (!x && offset > 0)
    code = DOM_NOT_FOUND;
  else if (!x && t->count == TRANSFERS_MAX)
    code = DOM_TOO_LARGE;
  else if (!x && unsealed(t) >= MOVE_UNSEALED_MAX)
    code = DOM_BUSY;
  else if (!x) {
    x = dom_calloc(1, sizeof *x);
    if (!x)
      code = DOM_NO_MEMORY;
    else {
      memcpy(x->id, id, sizeof x->id);
      memcpy(x->token, h->token, TOKEN_SIZE);
      x->epoch = h->epoch;
      x->next = t->first;
      t->first = x;
      t->count++;
    }
  }
  if (!code) x->busy = true;
  pthread_mutex_unlock(&t->lock);
  if (code)
    return dom_fail(err, code, "move/transfer: chunk",
                    "the body's transfer is not here or is busy: send it anew");
  if (!x->body && !x->sealed) {
    code = store_body_create(m->o.store, PERMIT_MOVE, permit, h->token, h->epoch, &x->body, err);
    if (!code) store_body_leave_hash(x->body); /* what is read back is hashed, not what came */
  }
  *out = x;
  return code;
}

static void release(struct mover *m, struct transfer *x, bool drop) {
  pthread_mutex_lock(&m->transfers->lock);
  assert(x->busy);
  x->busy = false;
  drop = drop || x->unfit;
  if (drop) {
    struct transfer **link = transfer_link(m->transfers, x->token, x->epoch, x->id);
    assert(*link == x && m->transfers->count > 0);
    *link = x->next;
    m->transfers->count--;
  }
  pthread_mutex_unlock(&m->transfers->lock);
  if (drop) transfer_discard(m, x);
}

static enum dom_code write_chunk(struct transfer *x, uint64_t offset, bool last, struct slice bytes,
                                 struct dom_err *err) {
  assert(x->busy && (x->body != NULL) != x->sealed);
  if (x->sealed) return DOM_OK; /* sealed before: the message came twice */
  if (offset + bytes.len <= x->received && !(last && offset + bytes.len == x->received)) return DOM_OK;
  if (offset != x->received)
    return dom_fail(err, DOM_INVALID, "move/transfer: chunk",
                    "the offset does not follow: send the body anew");
  enum dom_code code = bytes.len ? store_body_append(x->body, bytes, err) : DOM_OK;
  if (code) return code;
  x->received += bytes.len;
  if (!last) return DOM_OK;
  struct store_body *body = x->body;
  x->body = NULL;
  code = store_body_seal_take(body, &x->ref, err);
  x->sealed = code == DOM_OK;
  return code;
}

/* Reads a sealed body back, some of it a message. */
static enum dom_code verify(struct mover *m, const struct permit *permit, struct transfer *x,
                            struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *found = NULL;
  assert(x->busy && x->sealed && !x->ready);
  if (!x->hash) x->hash = hash_new(HASH_SHA256);
  if (!x->hash) return dom_fail(err, DOM_NO_MEMORY, "move/transfer: read back", "no memory");
  uint64_t left = x->ref.size - x->verified, size = left < m->verify_bytes ? left : m->verify_bytes;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = store_body_open(v, PERMIT_MOVE, permit, x->token, x->epoch, &x->ref, &found, err);
  store_view_close(v); /* a body of its own: nothing needs the view's time */
  v = NULL;
  if (!code) store_found_read_once(found);
  if (!code) code = hashes_add(found, x->verified, size, x->hash, err);
  store_found_free(found);
  if (code) return code;
  x->verified += size;
  x->ready = x->verified == x->ref.size;
  if (x->ready) hash_final(x->hash, x->ref.sha256);
  return DOM_OK;
}

enum dom_code transfer_chunk(struct mover *m, const struct permit *permit, const struct handoff *h,
                             struct slice sealed, struct slice bytes, bool *out_more, struct dom_err *err) {
  struct reader r = reader_of(sealed);
  struct slice id = get_slice(&r, STORE_BODY_ID_SIZE);
  uint64_t offset = get_u64be(&r);
  bool last = get_u8(&r) != 0;
  if (!reader_end(&r)) return dom_fail(err, DOM_INVALID, "move/transfer: chunk", "does not decode");
  struct transfer *x = NULL;
  enum dom_code code = claim(m, permit, h, id.data, offset, &x, err);
  if (!code) code = write_chunk(x, offset, last, bytes, err);
  if (!code && x->sealed && !x->ready) code = verify(m, permit, x, err);
  if (!code) *out_more = x->sealed && !x->ready;
  if (x) release(m, x, code != DOM_OK);
  return code;
}

enum dom_code transfer_take(struct mover *m, const struct handoff *h, const uint8_t id[STORE_BODY_ID_SIZE],
                            struct store_body_ref *out) {
  struct transfers *t = m->transfers;
  pthread_mutex_lock(&t->lock);
  struct transfer **link = transfer_link(t, h->token, h->epoch, id), *x = *link;
  bool ready = x && !x->busy && x->ready;
  if (ready) {
    *out = x->ref;
    *link = x->next;
    t->count--;
  }
  pthread_mutex_unlock(&t->lock);
  if (!ready) return DOM_NOT_FOUND;
  transfer_free(x);
  return DOM_OK;
}

static struct known *known_make(const struct handoff *h) {
  struct known *k = dom_calloc(1, sizeof *k);
  if (k) k->memo = memo_new();
  if (!k || !k->memo) {
    dom_free(k);
    return NULL;
  }
  memcpy(k->token, h->token, TOKEN_SIZE);
  k->epoch = h->epoch;
  return k;
}

static bool known_is(const struct known *k, const struct handoff *h) {
  return !k->gone && k->epoch == h->epoch && memcmp(k->token, h->token, TOKEN_SIZE) == 0;
}

struct memo *transfer_memo_hold(struct mover *m, const struct handoff *h) {
  struct transfers *t = m->transfers;
  pthread_mutex_lock(&t->lock);
  struct known *k = t->known;
  while (k && !known_is(k, h)) k = k->next;
  if (!k && (k = known_make(h))) {
    k->next = t->known;
    t->known = k;
  }
  if (k) k->holders++;
  pthread_mutex_unlock(&t->lock);
  return k ? k->memo : NULL;
}

/* Takes out and frees those that are gone and that nobody holds; under the lock. */
static void known_sweep(struct transfers *t) {
  for (struct known **link = &t->known; *link;) {
    struct known *k = *link;
    if (!k->gone || k->holders > 0) {
      link = &k->next;
      continue;
    }
    *link = k->next;
    known_free(k);
  }
}

void transfer_memo_release(struct mover *m, struct memo *memo) {
  struct transfers *t = m->transfers;
  if (!memo) return;
  pthread_mutex_lock(&t->lock);
  struct known *k = t->known;
  while (k && k->memo != memo) k = k->next;
  assert(k && k->holders > 0);
  k->holders--;
  known_sweep(t);
  pthread_mutex_unlock(&t->lock);
}

void transfer_drop(struct mover *m, const struct handoff *h) {
  struct transfers *t = m->transfers;
  struct transfer *gone = NULL;
  pthread_mutex_lock(&t->lock);
  for (struct known *k = t->known; k; k = k->next) k->gone = k->gone || known_is(k, h);
  known_sweep(t);
  for (struct transfer **link = &t->first; *link;) {
    struct transfer *x = *link;
    bool ours = x->epoch == h->epoch && memcmp(x->token, h->token, TOKEN_SIZE) == 0;
    if (ours && x->busy) x->unfit = true;
    if (!ours || x->busy) {
      link = &x->next;
      continue;
    }
    *link = x->next;
    x->next = gone;
    gone = x;
    t->count--;
  }
  pthread_mutex_unlock(&t->lock);
  while (gone) {
    struct transfer *x = gone;
    gone = x->next;
    transfer_discard(m, x);
  }
}

uint32_t transfer_count(struct mover *m) {
  pthread_mutex_lock(&m->transfers->lock);
  uint32_t count = m->transfers->count;
  pthread_mutex_unlock(&m->transfers->lock);
  return count;
}
