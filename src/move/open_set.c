/* Which handoffs and erasures are not at their end: read off the rows once, kept in memory from then on, so that
 * upkeep never looks at the millions that are. */
#include <assert.h>

#include "move/move_internal.h"

struct open_node {
  uint8_t key[OPEN_KEY_SIZE];
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

void open_set_note(struct open_set *s, const uint8_t key[OPEN_KEY_SIZE], bool open) {
  pthread_mutex_lock(&s->lock);
  struct open_node **link = link_of(s, key), *n = *link;
  if (n && !open) {
    *link = n->next;
    dom_free(n);
    s->count--;
  } else if (!n && open) {
    n = dom_calloc(1, sizeof *n);
    if (n) {
      memcpy(n->key, key, OPEN_KEY_SIZE);
      *link = n;
      s->count++;
    } else {
      s->loaded = false; /* the rows still tell of it: they are read again */
    }
  }
  pthread_mutex_unlock(&s->lock);
}

/* ---- reading it off the rows ------------------------------------------------------------------- */

static bool load_handoff(void *arg, const struct handoff *h) {
  struct mover *m = arg;
  uint8_t key[OPEN_KEY_SIZE];
  handoff_key(h, key);
  m->open.looked++;
  if (handoff_is_open(h)) open_set_note(&m->open, key, true);
  return true;
}

static bool load_forget(void *arg, const struct forget *f) {
  struct mover *m = arg;
  uint8_t key[OPEN_KEY_SIZE];
  forget_open_key(f, key);
  m->open.looked++;
  if (forget_is_open(f)) open_set_note(&m->open, key, true);
  return true;
}

static enum dom_code load(struct mover *m, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(m->o.store, &v, err);
  if (!code) code = handoff_scan(v, NULL, load_handoff, m, err);
  return code ? code : forget_scan(v, NULL, load_forget, m, err);
}

enum dom_code open_set_take(struct mover *m, uint8_t (**out)[OPEN_KEY_SIZE], size_t *out_count,
                            struct dom_err *err) {
  struct open_set *s = &m->open;
  size_t n = 0;
  pthread_mutex_lock(&s->lock);
  bool loaded = s->loaded;
  s->loaded = true; /* before the rows are read: what no memory keeps out meanwhile turns it back */
  pthread_mutex_unlock(&s->lock);
  enum dom_code code = loaded ? DOM_OK : load(m, err);
  pthread_mutex_lock(&s->lock);
  if (code) s->loaded = false;
  uint8_t(*keys)[OPEN_KEY_SIZE] = code || !s->count ? NULL : dom_calloc(s->count, OPEN_KEY_SIZE);
  if (!code && s->count && !keys) code = dom_fail(err, DOM_NO_MEMORY, "move: upkeep", "no memory");
  for (int i = 0; keys && i < OPEN_BUCKETS; i++)
    for (const struct open_node *k = s->bucket[i]; k; k = k->next) memcpy(keys[n++], k->key, OPEN_KEY_SIZE);
  assert(!keys || n == s->count);
  pthread_mutex_unlock(&s->lock);
  *out = keys;
  *out_count = n;
  return code;
}
