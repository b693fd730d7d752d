/* Content of files on the simulated disk, see disk_sim_internal.h. */
#include <assert.h>
#include <stdlib.h>

#include "base/disk_sim_internal.h"

/* Small enough for the many small files of an index, large enough that a 64 MiB segment
 * needs a table of 4,096 pointers only. */
enum { CHUNK = 16 * 1024 };

void *sim_alloc(size_t size) {
  void *p = calloc(1, size ? size : 1);
  if (!p) abort();
  return p;
}

uint64_t sim_roll(uint64_t *state, uint64_t bound) {
  assert(state);
  assert(bound > 0);
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) % bound;
}

static uint8_t *chunk_for_write(struct image *i, size_t index) {
  if (index >= i->chunk_count) {
    size_t count = index + 1 > i->chunk_count * 2 ? index + 1 : i->chunk_count * 2;
    uint8_t **grown = realloc(i->chunks, count * sizeof *grown);
    if (!grown) abort();
    memset(grown + i->chunk_count, 0, (count - i->chunk_count) * sizeof *grown);
    i->chunks = grown;
    i->chunk_count = count;
  }
  if (!i->chunks[index]) i->chunks[index] = sim_alloc(CHUNK);
  return i->chunks[index];
}

/* Bytes from offset to the end of its chunk, at most `left`. */
static size_t step_in_chunk(uint64_t offset, size_t left) {
  assert(left > 0);
  size_t room = CHUNK - (size_t)(offset % CHUNK);
  return room < left ? room : left;
}

void image_write(struct image *i, uint64_t offset, const uint8_t *data, size_t len) {
  assert(i);
  assert(data || len == 0);
  for (size_t done = 0, step; done < len; done += step) {
    uint64_t at = offset + done;
    step = step_in_chunk(at, len - done);
    memcpy(chunk_for_write(i, (size_t)(at / CHUNK)) + at % CHUNK, data + done, step);
  }
  if (len > 0 && offset + len > i->size) i->size = offset + len;
}

size_t image_read(const struct image *i, uint64_t offset, uint8_t *out, size_t len) {
  assert(i);
  assert(out || len == 0);
  if (offset >= i->size) return 0;
  if (len > i->size - offset) len = (size_t)(i->size - offset);
  for (size_t done = 0, step; done < len; done += step) {
    uint64_t at = offset + done;
    step = step_in_chunk(at, len - done);
    size_t index = (size_t)(at / CHUNK);
    const uint8_t *chunk = index < i->chunk_count ? i->chunks[index] : NULL;
    if (chunk) {
      memcpy(out + done, chunk + at % CHUNK, step);
    } else {
      memset(out + done, 0, step);
    }
  }
  return len;
}

void image_resize(struct image *i, uint64_t size) {
  assert(i);
  if (size < i->size) {
    size_t whole = (size_t)(size / CHUNK), rest = (size_t)(size % CHUNK);
    if (rest > 0 && whole < i->chunk_count && i->chunks[whole])
      memset(i->chunks[whole] + rest, 0, CHUNK - rest);
    for (size_t c = whole + (rest > 0); c < i->chunk_count; c++) {
      free(i->chunks[c]);
      i->chunks[c] = NULL;
    }
  }
  i->size = size;
}

void image_copy(struct image *to, const struct image *from) {
  assert(to);
  assert(from);
  assert(to != from);
  image_done(to);
  for (size_t c = 0; c < from->chunk_count; c++) {
    if (from->chunks[c]) memcpy(chunk_for_write(to, c), from->chunks[c], CHUNK);
  }
  to->size = from->size;
}

void image_flip(struct image *i, uint64_t bit) {
  assert(i);
  assert(bit / 8 < i->size);
  uint8_t byte = 0;
  (void)image_read(i, bit / 8, &byte, 1);
  byte ^= (uint8_t)(1u << (bit % 8));
  image_write(i, bit / 8, &byte, 1);
}

void image_done(struct image *i) {
  assert(i);
  for (size_t c = 0; c < i->chunk_count; c++) free(i->chunks[c]);
  free(i->chunks);
  *i = (struct image){0};
}

void change_queue(struct change_list *list, enum change_kind kind, uint64_t offset, const uint8_t *data,
                  size_t len, bool durable) {
  assert(list);
  assert(kind == CHANGE_WRITE || len == 0);
  struct change *c = sim_alloc(sizeof *c + len);
  c->kind = kind;
  c->durable = durable;
  c->offset = offset;
  c->len = len;
  if (len > 0) memcpy(c->data, data, len);
  if (list->last) {
    list->last->next = c;
  } else {
    list->first = c;
  }
  list->last = c;
}

bool change_overlaps(const struct change_list *list, uint64_t offset, size_t len) {
  assert(list);
  for (const struct change *c = list->first; c; c = c->next) {
    if (c->kind == CHANGE_RESIZE) return true; /* an older shrink must not cut a younger write */
    if (c->kind == CHANGE_WRITE && c->offset < offset + len && offset < c->offset + c->len) return true;
  }
  return false;
}

static void apply(const struct change *c, struct image *stable) {
  assert(c->offset <= INT64_MAX);
  if (c->kind == CHANGE_WRITE) {
    image_write(stable, c->offset, c->data, c->len);
  } else if (c->kind == CHANGE_RESIZE || c->offset > stable->size) {
    image_resize(stable, c->offset);
  }
}

/* Unlinks and returns the oldest change; NULL when the list is empty. */
static struct change *pop(struct change_list *list) {
  assert((list->first == NULL) == (list->last == NULL));
  struct change *c = list->first;
  if (!c) return NULL;
  list->first = c->next;
  if (!list->first) list->last = NULL;
  return c;
}

void change_apply_all(struct change_list *list, struct image *stable) {
  assert(stable);
  for (struct change *c = pop(list); c; c = pop(list)) {
    apply(c, stable);
    free(c);
  }
}

void change_drop_all(struct change_list *list) {
  assert(list);
  for (struct change *c = pop(list); c; c = pop(list)) free(c);
}

enum tear { TEAR_KEEP_HEAD, TEAR_KEEP_TAIL, TEAR_EACH, TEAR_WAYS };

/* Keeps some of the sectors that the write covers. */
static void apply_torn(const struct change *c, struct image *stable, uint64_t *dice) {
  assert(c->kind == CHANGE_WRITE);
  assert(c->len > 0);
  uint64_t first = c->offset / SIM_SECTOR, end = c->offset + c->len;
  uint64_t sectors = (end - 1) / SIM_SECTOR - first + 1;
  enum tear way = (enum tear)sim_roll(dice, TEAR_WAYS);
  uint64_t border = sim_roll(dice, sectors + 1);
  for (uint64_t s = 0; s < sectors; s++) {
    bool keep = way == TEAR_EACH ? sim_roll(dice, 2) == 0 : (s < border) == (way == TEAR_KEEP_HEAD);
    uint64_t from = (first + s) * SIM_SECTOR, to = from + SIM_SECTOR;
    if (from < c->offset) from = c->offset;
    if (to > end) to = end;
    if (keep) image_write(stable, from, c->data + (from - c->offset), (size_t)(to - from));
  }
  /* A file system may have made the new size durable and not the bytes: they read as zeros. */
  if (end > stable->size && sim_roll(dice, 2) == 0) image_resize(stable, end);
}

enum fate { FATE_KEPT, FATE_DROPPED, FATE_TORN, FATES };

void change_settle(struct change_list *list, struct image *stable, uint64_t *dice) {
  assert(stable);
  for (struct change *c = pop(list); c; c = pop(list)) {
    enum fate fate = c->durable ? FATE_KEPT : (enum fate)sim_roll(dice, FATES);
    if (fate == FATE_TORN && c->kind == CHANGE_WRITE && c->len > 0) {
      apply_torn(c, stable, dice);
    } else if (fate == FATE_KEPT) {
      apply(c, stable);
    }
    free(c);
  }
}
