/* The simulated disk of disk.h: its table of operations and its hooks. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/disk_internal.h"
#include "base/disk_sim_internal.h"

/* Until disk_sim_set_free says otherwise: more than any test writes. */
#define SIM_FREE_DEFAULT (UINT64_C(1) << 40)

struct sim_disk {
  struct disk base;
  pthread_mutex_t lock;
  struct inode *root;
  struct name_list names; /* unsynced changes of names */
  uint64_t dice;
  uint64_t generation; /* counts power cuts; open files of an older one are dead */
  uint64_t operations;
  uint64_t cut_in, fail_in; /* operations to go, 0: off */
  uint64_t fail_read_in;    /* reads to go, 0: off */
  enum dom_code fail_code;
  uint64_t used, space; /* bytes */
  int64_t open_files;
  bool off;
  bool ignore_sync;
};

struct sim_file {
  struct disk_file base;
  struct inode *inode;
  unsigned flags;
  uint64_t generation;
};

static const struct disk_ops sim_ops;

static struct sim_disk *enter(struct disk *d) {
  assert(d);
  assert(d->ops == &sim_ops);
  struct sim_disk *s = (struct sim_disk *)d;
  (void)pthread_mutex_lock(&s->lock);
  return s;
}

static void leave(struct sim_disk **s) {
  (void)pthread_mutex_unlock(&(*s)->lock);
}
/* Holds the disk's lock to the end of the scope. */
#define LOCKED(name, disk) __attribute__((cleanup(leave))) struct sim_disk *name = enter(disk)

/* What the hooks say about the operation at hand. */
enum verdict {
  GO,
  FAIL, /* it fails with fail_code */
  CUT,  /* it happens, as far as dice let it, and the power goes before its answer */
  OFF   /* there is no power */
};

static enum verdict count_operation(struct sim_disk *s) {
  if (s->off) return OFF;
  assert(s->operations < UINT64_MAX);
  s->operations++;
  bool cut = s->cut_in > 0 && --s->cut_in == 0;
  bool fail = s->fail_in > 0 && --s->fail_in == 0;
  return cut ? CUT : fail ? FAIL : GO;
}

static void power_cut(struct sim_disk *s);

/* The answer of an operation that was not to succeed; carries out the cut. */
static enum dom_code fail_verdict(struct sim_disk *s, enum verdict verdict, struct dom_err *err) {
  assert(verdict != GO);
  if (verdict == FAIL) {
    errno = s->fail_code == DOM_NO_SPACE ? ENOSPC : EIO;
    return dom_fail(err, s->fail_code, "base/disk_sim", "planned failure at operation %llu",
                    (unsigned long long)s->operations);
  }
  if (verdict == CUT) {
    assert(!s->off);
    power_cut(s);
    s->off = true;
  }
  errno = EIO;
  return dom_fail(err, DOM_IO, "base/disk_sim", "the power is off");
}

static enum dom_code finish(struct sim_disk *s, enum verdict verdict, struct dom_err *err) {
  return verdict == GO ? DOM_OK : fail_verdict(s, verdict, err);
}

static enum dom_code check_power(struct sim_disk *s, struct dom_err *err) {
  return s->off ? fail_verdict(s, OFF, err) : DOM_OK;
}

/* The file behind a handle, or NULL (and *err) when the power went since its opening. */
static struct inode *live_inode(struct sim_disk *s, struct disk_file *base, struct dom_err *err) {
  struct sim_file *f = (struct sim_file *)base;
  assert(f->inode);
  assert(!f->inode->is_dir);
  if (!s->off && f->generation == s->generation) return f->inode;
  errno = EIO;
  (void)dom_fail(err, DOM_IO, "base/disk_sim", "the power went since this file was opened");
  return NULL;
}

static bool has_flag(struct disk_file *base, unsigned flag) {
  return (((struct sim_file *)base)->flags & flag) != 0;
}

/* The folder that holds the last part of path, and that part; NULL when a folder is missing. */
static struct inode *walk(struct sim_disk *s, const char *path, const char **out_name) {
  struct inode *at = s->root;
  assert(at->is_dir);
  for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
    at = folder_find(&at->now_names, path, (size_t)(slash - path));
    if (!at || !at->is_dir) return NULL;
  }
  *out_name = path;
  return at;
}

/* Why walk or find came to nothing. */
static int missing_errno(struct sim_disk *s, const char *path) {
  const struct inode *at = s->root;
  assert(disk_path_valid(path));
  for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
    at = folder_find(&at->now_names, path, (size_t)(slash - path));
    if (!at) return ENOENT;
    if (!at->is_dir) return ENOTDIR;
  }
  return ENOENT;
}

/* What the path names now; NULL for nothing. "" is the root. */
static struct inode *find(struct sim_disk *s, const char *path) {
  assert(disk_path_valid(path));
  if (!path[0]) return s->root;
  const char *name = NULL;
  const struct inode *dir = walk(s, path, &name);
  return dir ? folder_find(&dir->now_names, name, strlen(name)) : NULL;
}

/* Sets one name, or removes it (inode NULL). */
static void change_name(struct sim_disk *s, struct inode *dir, const char *name, struct inode *inode) {
  assert(dir->is_dir);
  const struct name_part part = {dir, (char *)name, inode};
  name_change_make(&s->names, &part, 1, NULL);
}

/* After its name was taken away. */
static void unlinked(struct inode *i) {
  assert(i->linked);
  i->linked = false;
  inode_recharge(i);
}

static void resize(struct inode *i, enum change_kind kind, uint64_t size) {
  assert(!i->is_dir);
  assert(kind != CHANGE_WRITE);
  image_resize(&i->now, size);
  change_queue(&i->pending, kind, size, NULL, 0, false);
  i->differs = true;
  inode_recharge(i);
}

/* Finds or creates the file. The verdict is GO unless an operation was counted and spoiled. */
static int find_or_create(struct sim_disk *s, const char *path, unsigned flags, struct inode **out_inode,
                          enum verdict *out_verdict) {
  const char *name = NULL;
  struct inode *dir = walk(s, path, &name);
  if (!dir) return missing_errno(s, path);
  struct inode *i = folder_find(&dir->now_names, name, strlen(name));
  if (!i && !(flags & DISK_CREATE)) return ENOENT;
  if (i && flags & DISK_EXCLUSIVE) return EEXIST;
  if (i && i->is_dir) return EISDIR;
  bool truncates = i && flags & DISK_TRUNCATE && i->now.size > 0;
  if (!i || truncates) *out_verdict = count_operation(s);
  if (*out_verdict == FAIL) return 0;
  if (truncates) resize(i, CHANGE_RESIZE, 0);
  if (!i) {
    i = inode_new(false, &s->used);
    i->linked = true;
    i->mtime_s = s->operations;
    change_name(s, dir, name, i);
    inode_release(i); /* the folder holds it */
  }
  *out_inode = i;
  return 0;
}

static enum dom_code sim_open(struct disk *d, const char *path, unsigned flags, struct disk_file **out,
                              struct dom_err *err) {
  struct sim_file *f = dom_calloc(1, sizeof *f);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, "base/disk_sim: open", "out of memory");
  LOCKED(s, d);
  enum dom_code code = check_power(s, err);
  enum verdict verdict = GO;
  if (code == DOM_OK) {
    int why = find_or_create(s, path, flags, &f->inode, &verdict);
    code = why ? dom_fail_errno(err, why, "base/disk_sim: open", path) : finish(s, verdict, err);
  }
  if (code != DOM_OK) {
    dom_free(f);
    return code;
  }
  f->base.disk = d;
  f->flags = flags;
  f->generation = s->generation;
  inode_keep(f->inode)->opens++;
  s->open_files++;
  *out = &f->base;
  return DOM_OK;
}

static void sim_close(struct disk_file *base) {
  struct sim_file *f = (struct sim_file *)base;
  LOCKED(s, base->disk);
  struct inode *i = f->inode;
  assert(i->opens > 0);
  assert(s->open_files > 0);
  if (i->locked_by == f) i->locked_by = NULL;
  i->opens--;
  s->open_files--;
  inode_recharge(i);
  inode_release(i);
  dom_free(f);
}

static enum dom_code sim_read(struct disk_file *base, uint64_t offset, void *out, size_t len, size_t *out_len,
                              struct dom_err *err) {
  disk_check_direct(((struct sim_file *)base)->flags, offset, out, len);
  LOCKED(s, base->disk);
  const struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  if (!has_flag(base, DISK_READ))
    return dom_fail_errno(err, EBADF, "base/disk_sim: read", "not opened for it");
  if (s->fail_read_in > 0 && --s->fail_read_in == 0)
    return dom_fail_errno(err, EIO, "base/disk_sim: read", "planned failure");
  *out_len = image_read(&i->now, offset, out, len);
  assert(*out_len <= len);
  return DOM_OK;
}

/* DOM_NO_SPACE when the file cannot grow to `size`. */
static enum dom_code check_space(struct sim_disk *s, const struct inode *i, uint64_t size,
                                 struct dom_err *err) {
  uint64_t more = size > i->now.size ? size - i->now.size : 0;
  if (more == 0 || (s->used <= s->space && more <= s->space - s->used)) return DOM_OK;
  return dom_fail_errno(err, ENOSPC, "base/disk_sim", "no space");
}

/* The write as programs see it, and on its way to be durable. */
static void put(struct sim_disk *s, struct inode *i, uint64_t offset, const uint8_t *data, size_t len,
                bool durable) {
  if (len == 0) return;
  assert(!i->is_dir);
  assert(i->now.size <= INT64_MAX);
  image_write(&i->now, offset, data, len);
  i->mtime_s = s->operations;
  inode_recharge(i);
  if (durable && !change_overlaps(&i->pending, offset, len)) {
    image_write(&i->stable, offset, data, len);
    return;
  }
  change_queue(&i->pending, CHANGE_WRITE, offset, data, len, durable);
  i->differs = true;
}

static enum dom_code sim_write(struct disk_file *base, uint64_t offset, const void *data, size_t len,
                               struct dom_err *err) {
  disk_check_direct(((struct sim_file *)base)->flags, offset, data, len);
  LOCKED(s, base->disk);
  struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  if (!has_flag(base, DISK_WRITE))
    return dom_fail_errno(err, EBADF, "base/disk_sim: write", "not opened for it");
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) {
    /* A failed write leaves some part of itself. */
    size_t part = (size_t)sim_roll(&s->dice, len / SIM_SECTOR + 1) * SIM_SECTOR;
    if (check_space(s, i, offset + part, NULL) == DOM_OK) put(s, i, offset, data, part, false);
    return fail_verdict(s, verdict, err);
  }
  enum dom_code code = check_space(s, i, offset + len, err);
  if (code != DOM_OK) return verdict == GO ? code : fail_verdict(s, verdict, err);
  put(s, i, offset, data, len, verdict == GO && has_flag(base, DISK_DSYNC) && !s->ignore_sync);
  return finish(s, verdict, err);
}

static enum dom_code sim_sync(struct disk_file *base, struct dom_err *err) {
  LOCKED(s, base->disk);
  struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) {
    /* As on Linux: the pages count as clean now, so no later sync writes what was lost. */
    i->lost = i->pending.first != NULL || i->lost;
    change_settle(&i->pending, &i->stable, &s->dice);
  } else if (verdict == GO && !s->ignore_sync) {
    change_apply_all(&i->pending, &i->stable);
    i->differs = i->lost;
  }
  return finish(s, verdict, err);
}

static enum dom_code change_size(struct disk_file *base, enum change_kind kind, uint64_t size,
                                 struct dom_err *err) {
  LOCKED(s, base->disk);
  struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  if (!has_flag(base, DISK_WRITE))
    return dom_fail_errno(err, EBADF, "base/disk_sim: resize", "not opened for it");
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) return fail_verdict(s, verdict, err);
  enum dom_code code = check_space(s, i, size, err);
  if (code != DOM_OK) return verdict == GO ? code : fail_verdict(s, verdict, err);
  if (kind == CHANGE_RESIZE || size > i->now.size) resize(i, kind, size);
  return finish(s, verdict, err);
}

static enum dom_code sim_allocate(struct disk_file *base, uint64_t size, struct dom_err *err) {
  return change_size(base, CHANGE_GROW, size, err);
}

static enum dom_code sim_truncate(struct disk_file *base, uint64_t size, struct dom_err *err) {
  return change_size(base, CHANGE_RESIZE, size, err);
}

static enum dom_code sim_size(struct disk_file *base, uint64_t *out, struct dom_err *err) {
  LOCKED(s, base->disk);
  const struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  *out = i->now.size;
  return DOM_OK;
}

static enum dom_code sim_lock(struct disk_file *base, struct dom_err *err) {
  LOCKED(s, base->disk);
  struct inode *i = live_inode(s, base, err);
  if (!i) return DOM_IO;
  if (i->locked_by && i->locked_by != base)
    return dom_fail_errno(err, EWOULDBLOCK, "base/disk_sim: lock", "flock");
  assert(i->opens > 0);
  i->locked_by = base;
  return DOM_OK;
}

/* What forbids that `from` takes the place of `to` (NULL: nothing there); 0 or an errno. */
static int rename_refusal(const struct inode *from, const struct inode *to) {
  if (!from) return ENOENT;
  if (!to || from == to) return 0;
  if (to->is_dir != from->is_dir) return to->is_dir ? EISDIR : ENOTDIR;
  return to->is_dir && to->now_names.count > 0 ? ENOTEMPTY : 0;
}

static bool is_below(const char *path, const char *folder) {
  assert(folder[0]);
  size_t len = strlen(folder);
  return strncmp(path, folder, len) == 0 && path[len] == '/';
}

static enum dom_code sim_rename(struct disk *d, const char *from, const char *to, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  const char *from_name = NULL, *to_name = NULL;
  struct inode *from_dir = walk(s, from, &from_name), *to_dir = walk(s, to, &to_name);
  struct inode *moved = from_dir ? find(s, from) : NULL, *replaced = to_dir ? find(s, to) : NULL;
  int why = !from_dir ? missing_errno(s, from)
            : !to_dir ? missing_errno(s, to)
                      : rename_refusal(moved, replaced);
  if (!why && is_below(to, from)) why = EINVAL;
  if (why) return dom_fail_errno(err, why, "base/disk_sim: rename", from);
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) return fail_verdict(s, verdict, err);
  if (moved != replaced) {
    const struct name_part parts[2] = {{from_dir, (char *)from_name, NULL}, {to_dir, (char *)to_name, moved}};
    if (replaced) inode_keep(replaced);
    name_change_make(&s->names, parts, 2, replaced && replaced->is_dir ? replaced : NULL);
    if (replaced) {
      unlinked(replaced);
      inode_release(replaced);
    }
  }
  return finish(s, verdict, err);
}

/* unlink and rmdir. */
static enum dom_code remove_name(struct disk *d, const char *path, bool is_dir, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  const char *name = NULL;
  struct inode *dir = walk(s, path, &name), *i = dir ? find(s, path) : NULL;
  int why = 0;
  if (!i) {
    why = missing_errno(s, path);
  } else if (i->is_dir != is_dir) {
    why = is_dir ? ENOTDIR : EISDIR;
  } else if (i->now_names.count > 0) {
    why = ENOTEMPTY;
  }
  if (why) return dom_fail_errno(err, why, is_dir ? "base/disk_sim: rmdir" : "base/disk_sim: unlink", path);
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) return fail_verdict(s, verdict, err);
  const struct name_part part = {dir, (char *)name, NULL};
  assert(i != s->root);
  inode_keep(i);
  name_change_make(&s->names, &part, 1, is_dir ? i : NULL);
  unlinked(i);
  inode_release(i);
  return finish(s, verdict, err);
}

static enum dom_code sim_unlink(struct disk *d, const char *path, struct dom_err *err) {
  return remove_name(d, path, false, err);
}

static enum dom_code sim_rmdir(struct disk *d, const char *path, struct dom_err *err) {
  return remove_name(d, path, true, err);
}

static enum dom_code sim_mkdir(struct disk *d, const char *path, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  const char *name = NULL;
  struct inode *dir = walk(s, path, &name), *there = dir ? find(s, path) : NULL;
  if (there && there->is_dir) return DOM_OK;
  if (!dir || there)
    return dom_fail_errno(err, dir ? EEXIST : missing_errno(s, path), "base/disk_sim: mkdir", path);
  enum verdict verdict = count_operation(s);
  if (verdict == FAIL) return fail_verdict(s, verdict, err);
  struct inode *made = inode_new(true, &s->used);
  made->linked = true;
  change_name(s, dir, name, made);
  inode_release(made); /* the folder holds it */
  return finish(s, verdict, err);
}

/* The folder at path, or NULL with the reason filled in. */
static struct inode *find_folder(struct sim_disk *s, const char *path, struct dom_err *err,
                                 enum dom_code *out_code) {
  struct inode *i = find(s, path);
  if (i && i->is_dir) return i;
  *out_code = dom_fail_errno(err, i ? ENOTDIR : missing_errno(s, path), "base/disk_sim: folder", path);
  return NULL;
}

static enum dom_code sim_dir_sync(struct disk *d, const char *path, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  enum dom_code code = DOM_OK;
  const struct inode *dir = find_folder(s, path, err, &code);
  if (!dir) return code;
  enum verdict verdict = count_operation(s);
  if (verdict == GO && !s->ignore_sync) name_sync(&s->names, dir);
  return finish(s, verdict, err);
}

static enum dom_code collect(struct disk *d, const char *path, struct disk_names *names,
                             struct dom_err *err) {
  LOCKED(s, d);
  enum dom_code code = check_power(s, err);
  if (code != DOM_OK) return code;
  const struct inode *dir = find_folder(s, path, err, &code);
  for (size_t i = 0; dir && i < dir->now_names.count && code == DOM_OK; i++) {
    const struct entry *e = &dir->now_names.all[i];
    if (disk_names_add(names, e->name, e->inode->is_dir) != DOM_OK)
      code = dom_fail(err, DOM_NO_MEMORY, "base/disk_sim: list", "out of memory");
  }
  return code;
}

static enum dom_code sim_list(struct disk *d, const char *path, disk_list_fn fn, void *arg,
                              struct dom_err *err) {
  struct disk_names names = {0};
  enum dom_code code = collect(d, path, &names, err);
  if (code == DOM_OK) disk_names_visit(&names, fn, arg);
  disk_names_done(&names);
  return code;
}

static enum dom_code sim_stat(struct disk *d, const char *path, struct disk_info *out, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  const struct inode *i = find(s, path);
  if (!i) return dom_fail_errno(err, missing_errno(s, path), "base/disk_sim: stat", path);
  *out = (struct disk_info){.size = i->now.size, .mtime_s = i->mtime_s, .is_dir = i->is_dir};
  return DOM_OK;
}

static enum dom_code sim_free_bytes(struct disk *d, uint64_t *out, struct dom_err *err) {
  LOCKED(s, d);
  if (s->off) return fail_verdict(s, OFF, err);
  *out = s->used < s->space ? s->space - s->used : 0;
  return DOM_OK;
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .size = sim_size,
    .lock = sim_lock,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .dir_sync = sim_dir_sync,
    .list = sim_list,
    .stat = sim_stat,
    .free_bytes = sim_free_bytes,
};

/* Makes present what is stable, for the file or, all the way down, the folder. */
static void restore(struct sim_disk *s, struct inode *i) {
  assert(i->refs > 0);
  i->linked = true;
  i->locked_by = NULL;
  if (!i->is_dir) {
    change_settle(&i->pending, &i->stable, &s->dice);
    if (i->differs) image_copy(&i->now, &i->stable);
    i->differs = i->lost = false;
    inode_recharge(i);
    return;
  }
  struct folder before = i->now_names;
  i->now_names = (struct folder){0};
  for (size_t k = 0; k < i->stable_names.count; k++) {
    const struct entry *e = &i->stable_names.all[k];
    folder_set(&i->now_names, e->name, e->inode);
    restore(s, e->inode);
  }
  folder_done(&before);
}

static void power_cut(struct sim_disk *s) {
  s->generation++;
  name_settle(&s->names, &s->dice);
  assert(!s->names.first);
  restore(s, s->root);
}

struct disk *disk_sim_new(uint64_t seed) {
  struct sim_disk *s = dom_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->base.ops = &sim_ops;
  (void)pthread_mutex_init(&s->lock, NULL);
  s->dice = seed;
  s->space = SIM_FREE_DEFAULT;
  s->root = inode_new(true, &s->used);
  s->root->linked = true;
  return &s->base;
}

void disk_sim_free(struct disk *d) {
  if (!d) return;
  struct sim_disk *s = (struct sim_disk *)d;
  assert(d->ops == &sim_ops);
  assert(s->open_files == 0);
  name_drop_all(&s->names);
  inode_release(s->root);
  (void)pthread_mutex_destroy(&s->lock);
  dom_free(s);
}

static struct disk *check_sim(struct disk *d) {
  assert(d);
  assert(d->ops == &sim_ops);
  return d;
}

void disk_sim_power_cut(struct disk *d) {
  LOCKED(s, check_sim(d));
  if (!s->off) power_cut(s);
  s->off = false;
}

void disk_sim_cut_after(struct disk *d, uint64_t operations) {
  LOCKED(s, check_sim(d));
  s->cut_in = operations;
}

void disk_sim_power_on(struct disk *d) {
  LOCKED(s, check_sim(d));
  s->off = false;
}

bool disk_sim_is_off(struct disk *d) {
  LOCKED(s, check_sim(d));
  return s->off;
}

void disk_sim_fail_after(struct disk *d, uint64_t operations, enum dom_code code) {
  assert(operations == 0 || code == DOM_IO || code == DOM_NO_SPACE);
  LOCKED(s, check_sim(d));
  s->fail_in = operations;
  s->fail_code = code;
}

void disk_sim_fail_read_after(struct disk *d, uint64_t reads) {
  LOCKED(s, check_sim(d));
  s->fail_read_in = reads;
}

void disk_sim_set_free(struct disk *d, uint64_t bytes) {
  LOCKED(s, check_sim(d));
  assert(bytes <= INT64_MAX);
  s->space = s->used + bytes;
}

void disk_sim_ignore_sync(struct disk *d, bool ignore) {
  LOCKED(s, check_sim(d));
  s->ignore_sync = ignore;
}

uint64_t disk_sim_operations(struct disk *d) {
  LOCKED(s, check_sim(d));
  return s->operations;
}

int64_t disk_sim_open_files(struct disk *d) {
  LOCKED(s, check_sim(d));
  return s->open_files;
}

enum dom_code disk_sim_flip(struct disk *d, const char *path, uint64_t bit) {
  LOCKED(s, check_sim(d));
  struct inode *i = find(s, path);
  if (!i || i->is_dir) return DOM_NOT_FOUND;
  if (bit / 8 >= i->now.size) return DOM_INVALID;
  image_flip(&i->now, bit);
  if (bit / 8 < i->stable.size) image_flip(&i->stable, bit);
  return DOM_OK;
}
