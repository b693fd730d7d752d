/* Inodes, folders and their unsynced changes on the simulated disk, see disk_sim_internal.h. */
#include <assert.h>
#include <stdlib.h>

#include "base/disk_sim_internal.h"

struct inode *inode_new(bool is_dir, uint64_t *used) {
  assert(used);
  struct inode *i = sim_alloc(sizeof *i);
  i->refs = 1;
  i->is_dir = is_dir;
  i->used = used;
  return i;
}

struct inode *inode_keep(struct inode *i) {
  assert(i);
  assert(i->refs > 0);
  i->refs++;
  return i;
}

void inode_charge(struct inode *i, uint64_t bytes) {
  assert(*i->used >= i->charged);
  *i->used = *i->used - i->charged + bytes;
  i->charged = bytes;
}

void inode_recharge(struct inode *i) {
  inode_charge(i, i->linked || i->opens > 0 ? i->now.size : 0);
}

void inode_release(struct inode *i) {
  assert(i);
  assert(i->refs > 0);
  if (--i->refs > 0) return;
  assert(i->opens == 0);
  inode_charge(i, 0);
  change_drop_all(&i->pending);
  image_done(&i->now);
  image_done(&i->stable);
  folder_done(&i->now_names);
  folder_done(&i->stable_names);
  free(i);
}

static int compare_name(const char *entry_name, const char *name, size_t len) {
  assert(entry_name[0]);
  int order = strncmp(entry_name, name, len);
  return order != 0 ? order : entry_name[len] != 0;
}

/* Where the name is, or where it would go. */
static size_t place_of(const struct folder *f, const char *name, size_t len) {
  size_t low = 0, high = f->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare_name(f->all[middle].name, name, len) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  assert(low <= f->count);
  return low;
}

static bool is_at(const struct folder *f, size_t place, const char *name, size_t len) {
  return place < f->count && compare_name(f->all[place].name, name, len) == 0;
}

struct inode *folder_find(const struct folder *f, const char *name, size_t len) {
  assert(f);
  assert(name);
  size_t place = place_of(f, name, len);
  return is_at(f, place, name, len) ? f->all[place].inode : NULL;
}

static char *copy_name(const char *name) {
  assert(name[0]);
  size_t size = strlen(name) + 1;
  return memcpy(sim_alloc(size), name, size);
}

static void insert(struct folder *f, size_t place, const char *name, struct inode *inode) {
  assert(place <= f->count);
  if (f->count == f->cap) {
    f->cap = f->cap ? f->cap * 2 : 8;
    f->all = realloc(f->all, f->cap * sizeof f->all[0]);
    if (!f->all) abort();
  }
  memmove(f->all + place + 1, f->all + place, (f->count - place) * sizeof f->all[0]);
  f->all[place] = (struct entry){copy_name(name), inode_keep(inode)};
  f->count++;
}

void folder_set(struct folder *f, const char *name, struct inode *inode) {
  assert(f);
  assert(name);
  assert(name[0]);
  size_t len = strlen(name), place = place_of(f, name, len);
  if (!is_at(f, place, name, len)) {
    if (inode) insert(f, place, name, inode);
    return;
  }
  struct entry *at = &f->all[place];
  struct inode *before = at->inode;
  if (inode) {
    at->inode = inode_keep(inode);
  } else {
    free(at->name);
    memmove(at, at + 1, (f->count - place - 1) * sizeof *at);
    f->count--;
  }
  inode_release(before);
}

void folder_done(struct folder *f) {
  assert(f);
  assert(f->count <= f->cap);
  for (size_t i = 0; i < f->count; i++) {
    free(f->all[i].name);
    inode_release(f->all[i].inode);
  }
  free(f->all);
  *f = (struct folder){0};
}

void name_change_make(struct name_list *list, const struct name_part *parts, unsigned count,
                      struct inode *gone) {
  assert(list);
  assert(count >= 1);
  assert(count <= 2);
  struct name_change *c = sim_alloc(sizeof *c);
  c->count = count;
  c->gone = gone ? inode_keep(gone) : NULL;
  for (unsigned i = 0; i < count; i++) {
    const struct name_part *p = &parts[i];
    c->parts[i] =
        (struct name_part){inode_keep(p->dir), copy_name(p->name), p->inode ? inode_keep(p->inode) : NULL};
  }
  for (unsigned i = 0; i < count; i++)
    folder_set(&parts[i].dir->now_names, c->parts[i].name, c->parts[i].inode);
  struct name_change **end = &list->first;
  while (*end) end = &(*end)->next;
  *end = c;
}

static void change_free(struct name_change *c) {
  assert(c->count >= 1);
  for (unsigned i = 0; i < c->count; i++) {
    inode_release(c->parts[i].dir);
    free(c->parts[i].name);
    if (c->parts[i].inode) inode_release(c->parts[i].inode);
  }
  if (c->gone) inode_release(c->gone);
  free(c);
}

static bool is_in(const struct name_change *c, const struct inode *dir) {
  assert(c->count <= 2);
  return c->parts[0].dir == dir || (c->count == 2 && c->parts[1].dir == dir);
}

/* True when `later` cannot have happened without `earlier`: they touch the same name, or later
 * removes the folder that earlier changed, or moves something into the folder that earlier
 * made. Journals keep such an order, and without it a synced file could be lost by changes
 * that only ever moved it. */
static bool builds_on(const struct name_change *later, const struct name_change *earlier) {
  assert(later != earlier);
  if (later->gone && is_in(earlier, later->gone)) return true;
  if (later->count == 2 && earlier->parts[earlier->count - 1].inode == later->parts[1].dir) return true;
  for (unsigned i = 0; i < later->count; i++) {
    for (unsigned k = 0; k < earlier->count; k++) {
      const struct name_part *a = &later->parts[i], *b = &earlier->parts[k];
      if (a->dir == b->dir && strcmp(a->name, b->name) == 0) return true;
    }
  }
  return false;
}

/* Applies the marked changes to the stable names, in order, and unlinks them from the list. */
static void apply_marked(struct name_list *list) {
  struct name_change **link = &list->first;
  while (*link) {
    struct name_change *c = *link;
    if (!c->marked) {
      link = &c->next;
      continue;
    }
    for (unsigned i = 0; i < c->count; i++)
      folder_set(&c->parts[i].dir->stable_names, c->parts[i].name, c->parts[i].inode);
    *link = c->next;
    change_free(c);
  }
}

/* Marks what `later` builds on; true when it marked any. */
static bool mark_base_of(struct name_list *list, const struct name_change *later) {
  bool any = false;
  for (struct name_change *c = list->first; c != later; c = c->next) {
    if (c->marked || !builds_on(later, c)) continue;
    c->marked = any = true;
  }
  return any;
}

void name_sync(struct name_list *list, const struct inode *dir) {
  assert(list);
  assert(dir);
  assert(dir->is_dir);
  bool left = false;
  for (struct name_change *c = list->first; c; c = c->next) {
    c->marked = is_in(c, dir);
    left = left || !c->marked;
  }
  /* To a fixed point: what a newly marked one builds on is older, so it may have been passed. */
  for (bool more = left; more;) {
    more = false;
    for (const struct name_change *c = list->first; c; c = c->next) {
      if (c->marked && mark_base_of(list, c)) more = true;
    }
  }
  apply_marked(list);
}

void name_settle(struct name_list *list, uint64_t *dice) {
  assert(list);
  assert(dice);
  for (struct name_change *c = list->first; c; c = c->next) {
    c->marked = sim_roll(dice, 2) == 0;
    for (const struct name_change *older = list->first; older != c && c->marked; older = older->next) {
      if (!older->marked && builds_on(c, older)) c->marked = false;
    }
  }
  apply_marked(list);
  name_drop_all(list);
}

void name_drop_all(struct name_list *list) {
  assert(list);
  while (list->first) {
    struct name_change *c = list->first;
    list->first = c->next;
    change_free(c);
  }
}
