#include "base/disk.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/disk_internal.h"

bool disk_path_valid(const char *path) {
  assert(path);
  if (strlen(path) >= DISK_PATH_MAX) return false;
  if (!path[0]) return true;
  for (const char *part = path;;) {
    size_t len = strcspn(part, "/");
    bool dots = len > 0 && len <= 2 && strspn(part, ".") >= len;
    if (len == 0 || dots) return false;
    if (!part[len]) return true;
    part += len + 1;
  }
}

void disk_check_direct(unsigned flags, uint64_t offset, const void *data, size_t len) {
  if (!(flags & DISK_DIRECT)) return;
  assert(offset % DISK_ALIGN == 0);
  assert(len % DISK_ALIGN == 0);
  assert((uintptr_t)data % DISK_ALIGN == 0);
  (void)offset, (void)data, (void)len;
}

enum dom_code disk_names_add(struct disk_names *names, const char *name, bool is_dir) {
  assert(names);
  assert(name);
  /* Full at each power of two. */
  if ((names->count & (names->count - 1)) == 0) {
    size_t cap = names->count ? names->count * 2 : 1;
    struct disk_name *grown = dom_realloc(names->all, cap * sizeof *grown);
    if (!grown) return DOM_NO_MEMORY;
    names->all = grown;
  }
  char *copy = dom_strdup(name);
  if (!copy) return DOM_NO_MEMORY;
  names->all[names->count++] = (struct disk_name){copy, is_dir};
  return DOM_OK;
}

static int compare_names(const void *a, const void *b) {
  const struct disk_name *left = a, *right = b;
  return strcmp(left->name, right->name);
}

void disk_names_visit(struct disk_names *names, disk_list_fn fn, void *arg) {
  assert(names);
  assert(fn);
  if (names->count > 1) qsort(names->all, names->count, sizeof names->all[0], compare_names);
  for (size_t i = 0; i < names->count; i++) {
    if (!fn(arg, names->all[i].name, names->all[i].is_dir)) return;
  }
}

void disk_names_done(struct disk_names *names) {
  assert(names);
  for (size_t i = 0; i < names->count; i++) dom_free(names->all[i].name);
  dom_free(names->all);
  *names = (struct disk_names){0};
}

enum dom_code disk_open(struct disk *d, const char *path, unsigned flags, struct disk_file **out,
                        struct dom_err *err) {
  assert(d);
  assert(path[0]);
  assert(disk_path_valid(path));
  assert(out);
  assert(flags & (DISK_READ | DISK_WRITE));
  assert(flags & DISK_WRITE || !(flags & (DISK_CREATE | DISK_TRUNCATE | DISK_DSYNC)));
  assert(flags & DISK_CREATE || !(flags & DISK_EXCLUSIVE));
  return d->ops->open(d, path, flags, out, err);
}

void disk_close(struct disk_file *f) {
  if (!f) return;
  assert(f->disk);
  f->disk->ops->close(f);
}

enum dom_code disk_read(struct disk_file *f, uint64_t offset, void *out, size_t len, size_t *out_len,
                        struct dom_err *err) {
  assert(f);
  assert(out || len == 0);
  assert(out_len);
  assert(offset <= INT64_MAX);
  assert(len <= INT64_MAX - offset);
  return f->disk->ops->read(f, offset, out, len, out_len, err);
}

enum dom_code disk_read_full(struct disk_file *f, uint64_t offset, void *out, size_t len,
                             struct dom_err *err) {
  size_t got = 0;
  enum dom_code code = disk_read(f, offset, out, len, &got, err);
  if (code != DOM_OK || got == len) return code;
  assert(got < len);
  return dom_fail(err, DOM_CORRUPT, "base/disk: read", "%zu bytes wanted at %llu, %zu there", len,
                  (unsigned long long)offset, got);
}

enum dom_code disk_write(struct disk_file *f, uint64_t offset, const void *data, size_t len,
                         struct dom_err *err) {
  assert(f);
  assert(data || len == 0);
  assert(offset <= INT64_MAX);
  assert(len <= INT64_MAX - offset);
  return f->disk->ops->write(f, offset, data, len, err);
}

enum dom_code disk_sync(struct disk_file *f, struct dom_err *err) {
  assert(f);
  assert(f->disk);
  return f->disk->ops->sync(f, err);
}

enum dom_code disk_allocate(struct disk_file *f, uint64_t size, struct dom_err *err) {
  assert(f);
  assert(size <= INT64_MAX);
  return f->disk->ops->allocate(f, size, err);
}

enum dom_code disk_truncate(struct disk_file *f, uint64_t size, struct dom_err *err) {
  assert(f);
  assert(size <= INT64_MAX);
  return f->disk->ops->truncate(f, size, err);
}

enum dom_code disk_size(struct disk_file *f, uint64_t *out, struct dom_err *err) {
  assert(f);
  assert(out);
  return f->disk->ops->size(f, out, err);
}

enum dom_code disk_lock(struct disk_file *f, struct dom_err *err) {
  assert(f);
  assert(f->disk);
  return f->disk->ops->lock(f, err);
}

enum dom_code disk_rename(struct disk *d, const char *from, const char *to, struct dom_err *err) {
  assert(d);
  assert(from[0]);
  assert(disk_path_valid(from));
  assert(to[0]);
  assert(disk_path_valid(to));
  return d->ops->rename(d, from, to, err);
}

enum dom_code disk_unlink(struct disk *d, const char *path, struct dom_err *err) {
  assert(d);
  assert(path[0]);
  assert(disk_path_valid(path));
  return d->ops->unlink(d, path, err);
}

enum dom_code disk_mkdir(struct disk *d, const char *path, struct dom_err *err) {
  assert(d);
  assert(path[0]);
  assert(disk_path_valid(path));
  return d->ops->mkdir(d, path, err);
}

enum dom_code disk_rmdir(struct disk *d, const char *path, struct dom_err *err) {
  assert(d);
  assert(path[0]);
  assert(disk_path_valid(path));
  return d->ops->rmdir(d, path, err);
}

/* For folders "." is allowed beside "": both name the root. */
static const char *folder_path(const char *path) {
  assert(path);
  const char *folder = strcmp(path, ".") == 0 ? "" : path;
  assert(disk_path_valid(folder));
  return folder;
}

enum dom_code disk_dir_sync(struct disk *d, const char *path, struct dom_err *err) {
  assert(d);
  return d->ops->dir_sync(d, folder_path(path), err);
}

enum dom_code disk_list(struct disk *d, const char *path, disk_list_fn fn, void *arg, struct dom_err *err) {
  assert(d);
  assert(fn);
  return d->ops->list(d, folder_path(path), fn, arg, err);
}

enum dom_code disk_stat(struct disk *d, const char *path, struct disk_info *out, struct dom_err *err) {
  assert(d);
  assert(out);
  return d->ops->stat(d, folder_path(path), out, err);
}

enum dom_code disk_free_bytes(struct disk *d, uint64_t *out, struct dom_err *err) {
  assert(d);
  assert(out);
  return d->ops->free_bytes(d, out, err);
}

static void close_cleanup(struct disk_file **f) {
  disk_close(*f);
}
#define FILE_AUTO __attribute__((cleanup(close_cleanup))) struct disk_file

enum dom_code disk_read_file(struct disk *d, const char *path, size_t max, struct buf *out,
                             struct dom_err *err) {
  assert(out);
  FILE_AUTO *f = NULL;
  enum dom_code code = disk_open(d, path, DISK_READ, &f, err);
  if (code != DOM_OK) return code;
  uint64_t size = 0;
  code = disk_size(f, &size, err);
  if (code != DOM_OK) return code;
  if (size > max)
    return dom_fail(err, DOM_TOO_LARGE, "base/disk: read file", "%llu bytes, at most %zu expected",
                    (unsigned long long)size, max);
  if (!buf_reserve(out, (size_t)size)) return buf_check(out, err);
  code = disk_read_full(f, 0, out->data + out->len, (size_t)size, err);
  if (code == DOM_OK) out->len += (size_t)size;
  return code;
}

static enum dom_code write_whole(struct disk *d, const char *path, struct slice content,
                                 struct dom_err *err) {
  FILE_AUTO *f = NULL;
  enum dom_code code = disk_open(d, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f, err);
  if (code == DOM_OK) code = disk_write(f, 0, content.data, content.len, err);
  if (code == DOM_OK) code = disk_sync(f, err);
  return code;
}

enum dom_code disk_replace_file(struct disk *d, const char *path, struct slice content, struct dom_err *err) {
  assert(d);
  assert(path);
  assert(content.data || content.len == 0);
  BUF_AUTO temporary = BUF_INIT, folder = BUF_INIT;
  buf_printf(&temporary, "%s.tmp", path);
  const char *last_slash = strrchr(path, '/');
  if (last_slash) buf_append(&folder, path, (size_t)(last_slash - path));
  const char *temporary_path = buf_str(&temporary), *folder_name = buf_str(&folder);
  enum dom_code code = buf_check(&temporary, err);
  if (code == DOM_OK) code = buf_check(&folder, err);
  if (code != DOM_OK) return code;
  code = write_whole(d, temporary_path, content, err);
  if (code == DOM_OK) code = disk_rename(d, temporary_path, path, err);
  /* A left-over is harmless: the next replace truncates it. */
  if (code != DOM_OK) (void)disk_unlink(d, temporary_path, NULL);
  if (code == DOM_OK) code = disk_dir_sync(d, folder_name, err);
  return code;
}
