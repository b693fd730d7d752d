/* What a side has read of a handoff's items, kept so that nothing is read twice behind the fence. A table
 * with open places; it only grows, and full it forgets nothing and takes nothing. */
#include <assert.h>
#include <string.h>

#include "move/move_internal.h"

enum { MEMO_FIRST = 64 }; /* places; a power of two */

struct memo {
  pthread_mutex_t lock;
  struct memo_line *lines; /* a place without a kind is free */
  uint32_t count, places;
};

struct memo *memo_new(void) {
  struct memo *m = dom_calloc(1, sizeof *m);
  if (m) pthread_mutex_init(&m->lock, NULL);
  return m;
}

void memo_free(struct memo *m) {
  if (!m) return;
  pthread_mutex_destroy(&m->lock);
  dom_free(m->lines);
  dom_free(m);
}

/* The line of the stamp, or the free place for it. */
static struct memo_line *line_at(struct memo_line *lines, uint32_t places, const uint8_t stamp[SHA256_SIZE]) {
  assert(places > 0 && (places & (places - 1)) == 0);
  uint32_t i = load_u32be(stamp) & (places - 1);
  while (lines[i].kind && memcmp(lines[i].stamp, stamp, SHA256_SIZE) != 0) i = (i + 1) & (places - 1);
  return &lines[i];
}

static bool grow(struct memo *m) {
  uint32_t places = m->places ? m->places * 2 : MEMO_FIRST;
  struct memo_line *lines = places <= 2 * MOVE_MEMO_MAX ? dom_calloc(places, sizeof *lines) : NULL;
  if (!lines) return false;
  for (uint32_t i = 0; i < m->places; i++)
    if (m->lines[i].kind) *line_at(lines, places, m->lines[i].stamp) = m->lines[i];
  dom_free(m->lines);
  m->lines = lines;
  m->places = places;
  return true;
}

void memo_put(struct memo *m, const struct memo_line *line) {
  assert(line->kind >= STORE_ITEM_OBJECT && line->kind <= STORE_ITEM_PART);
  pthread_mutex_lock(&m->lock);
  if (m->count < m->places / 2 || grow(m)) {
    struct memo_line *at = line_at(m->lines, m->places, line->stamp);
    if (!at->kind) m->count++;
    *at = *line;
  }
  pthread_mutex_unlock(&m->lock);
}

bool memo_get(struct memo *m, const uint8_t stamp[SHA256_SIZE], struct memo_line *out) {
  struct memo_line found = {0};
  pthread_mutex_lock(&m->lock);
  if (m->places) found = *line_at(m->lines, m->places, stamp);
  pthread_mutex_unlock(&m->lock);
  if (!found.kind) return false;
  *out = found;
  return true;
}
