/* Which handoffs and erasures are not at their end: read off the rows once, kept in memory from then on, so
 * that upkeep never looks at the millions that are. And since when what is to be erased waits for it. */
#include <assert.h>

#include "move/move_internal.h"

struct open_node {
  uint8_t key[OPEN_KEY_SIZE];
  bool open; /* upkeep has something to do */
  struct erasure_wait wait;
  struct open_node *next;
};

void open_set_init(struct open_set *s) {
  *s = (struct open_set){.count = 0};
  pthread_mutex_init(&s->lock, NULL);
}

void open_set_done(struct open_set *s) {
  for (int i = 0; i < OPEN_BUCKETS; i++)
    while (s->bucket[i]) {
      struct open_node *n = s->bucket[i];
      s->bucket[i] = n->next;
      dom_free(n);
    }
  pthread_mutex_destroy(&s->lock);
}

static struct open_node **link_of(struct open_set *s, const uint8_t key[OPEN_KEY_SIZE]) {
  struct open_node **link = &s->bucket[((unsigned)key[0] << 8 | key[1]) % OPEN_BUCKETS];
  while (*link && memcmp((*link)->key, key, OPEN_KEY_SIZE) != 0) link = &(*link)->next;
  return link;
}

void open_set_note(struct open_set *s, const uint8_t key[OPEN_KEY_SIZE], bool open,
                   const struct erasure_wait *wait) {
  bool keep = open || wait->since_ms;
  pthread_mutex_lock(&s->lock);
  struct open_node **link = link_of(s, key), *n = *link;
  if (n && !keep) {
    *link = n->next;
    dom_free(n);
    s->count--;
  } else if (!n && keep) {
    n = dom_calloc(1, sizeof *n);
    if (n) {
      memcpy(n->key, key, OPEN_KEY_SIZE);
      *link = n;
      s->count++;
    } else {
      s->loaded = false; /* the rows still tell of it: they are read again */
    }
  }
  if (n && keep) {
    n->open = open;
    n->wait = *wait;
  }
  pthread_mutex_unlock(&s->lock);
}

void open_set_handoff(struct open_set *s, const struct handoff *h, bool open) {
  uint8_t key[OPEN_KEY_SIZE];
  struct erasure_wait wait = {0};
  bool waits = h->side == HANDOFF_SOURCE && h->state >= HANDOFF_COMMITTED && h->state <= HANDOFF_DROPPED;
  if (waits)
    wait = (struct erasure_wait){.since_ms = h->started_ms ? h->started_ms : 1,
                                 .country = {h->country[0], h->country[1]},
                                 .dropped = h->state == HANDOFF_DROPPED};
  handoff_key(h, key);
  open_set_note(s, key, open, &wait);
}

void open_set_forget(struct open_set *s, const struct forget *f) {
  uint8_t key[OPEN_KEY_SIZE];
  struct erasure_wait wait = {0};
  if (f->state == FORGET_DROPPED)
    wait = (struct erasure_wait){.since_ms = f->started_ms,
                                 .country = {f->country[0], f->country[1]},
                                 .dropped = true,
                                 .person = true};
  forget_open_key(f, key);
  open_set_note(s, key, f->state != FORGET_NONE && forget_is_open(f), &wait);
}

/* ---- reading it off the rows ------------------------------------------------------------------- */

static bool load_handoff(void *arg, const struct handoff *h) {
  struct mover *m = arg;
  m->open.looked++;
  open_set_handoff(&m->open, h, handoff_is_open(h));
  return true;
}

static bool load_forget(void *arg, const struct forget *f) {
  struct mover *m = arg;
  m->open.looked++;
  open_set_forget(&m->open, f);
  return true;
}

static enum dom_code load(struct mover *m, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_scan(v, NULL, load_handoff, m, err);
  return code ? code : forget_scan(v, NULL, load_forget, m, err);
}

enum dom_code open_set_load(struct mover *m, struct dom_err *err) {
  struct open_set *s = &m->open;
  pthread_mutex_lock(&s->lock);
  bool loaded = s->loaded;
  s->loaded = true; /* before the rows are read: what no memory keeps out meanwhile turns it back */
  pthread_mutex_unlock(&s->lock);
  enum dom_code code = loaded ? DOM_OK : load(m, err);
  if (!code) return DOM_OK;
  pthread_mutex_lock(&s->lock);
  s->loaded = false;
  pthread_mutex_unlock(&s->lock);
  return code;
}

enum dom_code open_set_take(struct mover *m, uint8_t (**out)[OPEN_KEY_SIZE], size_t *out_count,
                            struct dom_err *err) {
  struct open_set *s = &m->open;
  size_t n = 0, open = 0;
  enum dom_code code = open_set_load(m, err);
  if (code) return code;
  pthread_mutex_lock(&s->lock);
  for (int i = 0; i < OPEN_BUCKETS; i++)
    for (const struct open_node *k = s->bucket[i]; k; k = k->next) open += k->open;
  uint8_t(*keys)[OPEN_KEY_SIZE] = open ? dom_calloc(open, OPEN_KEY_SIZE) : NULL;
  if (open && !keys) code = dom_fail(err, DOM_NO_MEMORY, "move: upkeep", "no memory");
  for (int i = 0; keys && i < OPEN_BUCKETS; i++)
    for (const struct open_node *k = s->bucket[i]; k; k = k->next)
      if (k->open) memcpy(keys[n++], k->key, OPEN_KEY_SIZE);
  assert(!keys || n == open);
  pthread_mutex_unlock(&s->lock);
  *out = keys;
  *out_count = n;
  return code;
}

enum dom_code open_set_waits(struct mover *m, erasure_wait_fn fn, void *arg, struct dom_err *err) {
  enum dom_code code = open_set_load(m, err);
  if (code) return code;
  pthread_mutex_lock(&m->open.lock);
  for (int i = 0; i < OPEN_BUCKETS; i++)
    for (const struct open_node *k = m->open.bucket[i]; k; k = k->next)
      if (k->wait.since_ms) fn(arg, &k->wait);
  pthread_mutex_unlock(&m->open.lock);
  return DOM_OK;
}
