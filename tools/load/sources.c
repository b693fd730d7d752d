#include "sources.h"

#include <assert.h>
#include <ftw.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Descriptors that nftw may hold open. */
#define WALK_FDS 16

/* nftw gives its callback no context. */
static struct {
  struct sources *into;
  const char *suffix;
  uint64_t size_bytes_max;
} walk;

static bool ends_with(const char *text, const char *suffix) {
  assert(text != NULL && suffix != NULL);
  size_t len = strlen(text), tail = strlen(suffix);
  return len >= tail && strcmp(text + len - tail, suffix) == 0;
}

static bool append(struct sources *s, const char *path, uint64_t size_bytes) {
  assert(s->count <= s->cap);
  if (s->count == s->cap) {
    size_t cap = s->cap == 0 ? 512 : s->cap * 2;
    struct source *files = dom_realloc(s->files, cap * sizeof *files);
    if (files == NULL) return false;
    s->files = files;
    s->cap = cap;
  }
  char *copy = dom_strdup(path);
  if (copy == NULL) return false;
  s->files[s->count++] = (struct source){.path = copy, .size_bytes = size_bytes};
  return true;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)where;
  assert(walk.into != NULL);
  if (type != FTW_F || !S_ISREG(st->st_mode) || st->st_size <= 0) return 0;
  if ((uint64_t)st->st_size > walk.size_bytes_max || !ends_with(path, walk.suffix)) return 0;
  if (strpbrk(path, "\t\n") != NULL) return 0; /* a plan's columns could not hold it */
  return append(walk.into, path, (uint64_t)st->st_size) ? 0 : -1;
}

static int path_order(const void *a, const void *b) {
  return strcmp(((const struct source *)a)->path, ((const struct source *)b)->path);
}

bool sources_add(struct sources *s, const char *root, const char *suffix, uint64_t size_bytes_max) {
  assert(s != NULL && root != NULL && suffix != NULL);
  struct stat st;
  if (stat(root, &st) != 0) return true;
  size_t before = s->count;
  walk.into = s;
  walk.suffix = suffix;
  walk.size_bytes_max = size_bytes_max;
  bool ok = nftw(root, visit, WALK_FDS, FTW_PHYS) == 0;
  walk.into = NULL;
  if (s->count > before) qsort(s->files + before, s->count - before, sizeof *s->files, path_order);
  return ok;
}

void sources_done(struct sources *s) {
  assert(s != NULL);
  for (size_t i = 0; i < s->count; i++) dom_free(s->files[i].path);
  dom_free(s->files);
  *s = (struct sources){0};
}
