/* The real file system, see disk.h. Everything is opened relative to the root's descriptor,
 * so a moved or replaced root path never mixes two folders. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/disk_internal.h"

/* pread and pwrite move at most 0x7ffff000 bytes a call on Linux (man 2 write). */
enum { TRANSFER_MAX = 1 << 30 };

struct posix_disk {
  struct disk base;
  int root_fd;
};

struct posix_file {
  struct disk_file base;
  int fd;
  unsigned flags; /* enum disk_flags; DISK_DIRECT cleared where the file system refused it */
};

static struct posix_disk *of_disk(struct disk *d) {
  assert(d);
  return (struct posix_disk *)d;
}

static struct posix_file *of_file(struct disk_file *f) {
  assert(f);
  assert(((struct posix_file *)f)->fd >= 0);
  return (struct posix_file *)f;
}

/* The descriptor of a folder or file below the root; "" is the root. */
static int open_at(struct disk *d, const char *path, int flags) {
  assert(disk_path_valid(path));
  int fd;
  do {
    fd = openat(of_disk(d)->root_fd, path[0] ? path : ".", flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

static int open_flags(unsigned flags) {
  assert(flags & (DISK_READ | DISK_WRITE));
  int mode = flags & DISK_WRITE ? (flags & DISK_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (flags & DISK_CREATE) mode |= O_CREAT;
  if (flags & DISK_EXCLUSIVE) mode |= O_EXCL;
  if (flags & DISK_TRUNCATE) mode |= O_TRUNC;
  if (flags & DISK_DSYNC) mode |= O_DSYNC;
  return mode;
}

/* A folder opens for reading, and fails only at the first read: refuse it here. */
static bool is_folder(int fd) {
  assert(fd >= 0);
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* O_DIRECT is asked for after opening: an open that fails with it may have created the file. */
static void ask_direct(struct posix_file *f) {
  assert(f->fd >= 0);
  if (!(f->flags & DISK_DIRECT)) return;
  int mode = fcntl(f->fd, F_GETFL);
  if (mode < 0 || fcntl(f->fd, F_SETFL, mode | O_DIRECT) != 0) f->flags &= ~(unsigned)DISK_DIRECT;
}

/* After EINVAL: some file systems accept the flag and refuse the transfer. Nothing was
 * written then, so asking again without it is no retry of a failed write. */
static bool drop_direct(struct posix_file *f) {
  assert(f->fd >= 0);
  int mode = fcntl(f->fd, F_GETFL);
  if (mode < 0 || !(mode & O_DIRECT)) return false;
  return fcntl(f->fd, F_SETFL, mode & ~O_DIRECT) == 0;
}

static enum dom_code posix_open(struct disk *d, const char *path, unsigned flags, struct disk_file **out,
                                struct dom_err *err) {
  struct posix_file *f = dom_alloc(sizeof *f);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, "base/disk: open", "out of memory");
  f->base.disk = d;
  f->flags = flags;
  f->fd = open_at(d, path, open_flags(flags));
  int why = f->fd < 0 ? errno : 0;
  if (!why && is_folder(f->fd)) {
    why = EISDIR;
    (void)close(f->fd);
  }
  if (why) {
    dom_free(f);
    return dom_fail_errno(err, why, "base/disk: open", path);
  }
  ask_direct(f);
  *out = &f->base;
  return DOM_OK;
}

static void posix_close(struct disk_file *base) {
  struct posix_file *f = of_file(base);
  (void)close(f->fd); /* what had to be durable was synced before */
  f->fd = -1;
  dom_free(f);
}

static enum dom_code posix_read(struct disk_file *base, uint64_t offset, void *out, size_t len,
                                size_t *out_len, struct dom_err *err) {
  struct posix_file *f = of_file(base);
  disk_check_direct(f->flags, offset, out, len);
  size_t done = 0;
  while (done < len) {
    size_t step = len - done < TRANSFER_MAX ? len - done : TRANSFER_MAX;
    ssize_t got = pread(f->fd, (uint8_t *)out + done, step, (off_t)(offset + done));
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR || (errno == EINVAL && drop_direct(f))) continue;
      return dom_fail_errno(err, errno, "base/disk: read", "pread");
    }
    assert((size_t)got <= step);
    done += (size_t)got;
    /* A direct read that ends off the alignment ended at the end of the file. */
    if (f->flags & DISK_DIRECT && done % DISK_ALIGN != 0) break;
  }
  *out_len = done;
  return DOM_OK;
}

static enum dom_code posix_write(struct disk_file *base, uint64_t offset, const void *data, size_t len,
                                 struct dom_err *err) {
  struct posix_file *f = of_file(base);
  disk_check_direct(f->flags, offset, data, len);
  size_t done = 0;
  while (done < len) {
    size_t step = len - done < TRANSFER_MAX ? len - done : TRANSFER_MAX;
    ssize_t put = pwrite(f->fd, (const uint8_t *)data + done, step, (off_t)(offset + done));
    if (put < 0) {
      if (errno == EINTR || (errno == EINVAL && drop_direct(f))) continue;
      return dom_fail_errno(err, errno, "base/disk: write", "pwrite");
    }
    assert((size_t)put <= step);
    done += (size_t)put;
  }
  return DOM_OK;
}

static enum dom_code posix_sync(struct disk_file *base, struct dom_err *err) {
  if (fdatasync(of_file(base)->fd) == 0) return DOM_OK;
  return dom_fail_errno(err, errno, "base/disk: sync", "fdatasync");
}

static enum dom_code posix_truncate(struct disk_file *base, uint64_t size, struct dom_err *err) {
  int failed;
  do {
    failed = ftruncate(of_file(base)->fd, (off_t)size);
  } while (failed && errno == EINTR);
  return failed ? dom_fail_errno(err, errno, "base/disk: truncate", "ftruncate") : DOM_OK;
}

static enum dom_code posix_size(struct disk_file *base, uint64_t *out, struct dom_err *err) {
  struct stat st;
  if (fstat(of_file(base)->fd, &st) != 0) return dom_fail_errno(err, errno, "base/disk: size", "fstat");
  assert(st.st_size >= 0);
  *out = (uint64_t)st.st_size;
  return DOM_OK;
}

static enum dom_code posix_allocate(struct disk_file *base, uint64_t size, struct dom_err *err) {
  if (size == 0) return DOM_OK; /* fallocate refuses it */
  assert(size <= INT64_MAX);
  int failed;
  do {
    failed = fallocate(of_file(base)->fd, 0, 0, (off_t)size);
  } while (failed && errno == EINTR);
  if (!failed) return DOM_OK;
  if (errno != EOPNOTSUPP) return dom_fail_errno(err, errno, "base/disk: allocate", "fallocate");
  /* Without support there is nothing to reserve; only the size is promised then. */
  uint64_t now = 0;
  enum dom_code code = posix_size(base, &now, err);
  if (code == DOM_OK && now < size) code = posix_truncate(base, size, err);
  return code;
}

static enum dom_code posix_lock(struct disk_file *base, struct dom_err *err) {
  int failed;
  do {
    failed = flock(of_file(base)->fd, LOCK_EX | LOCK_NB);
  } while (failed && errno == EINTR);
  return failed ? dom_fail_errno(err, errno, "base/disk: lock", "flock") : DOM_OK;
}

static enum dom_code posix_rename(struct disk *d, const char *from, const char *to, struct dom_err *err) {
  int root = of_disk(d)->root_fd;
  assert(from[0]);
  assert(to[0]);
  if (renameat(root, from, root, to) == 0) return DOM_OK;
  return dom_fail_errno(err, errno, "base/disk: rename", from);
}

static enum dom_code posix_unlink(struct disk *d, const char *path, struct dom_err *err) {
  assert(path[0]);
  if (unlinkat(of_disk(d)->root_fd, path, 0) == 0) return DOM_OK;
  return dom_fail_errno(err, errno, "base/disk: unlink", path);
}

static enum dom_code posix_stat(struct disk *d, const char *path, struct disk_info *out,
                                struct dom_err *err) {
  struct stat st;
  if (fstatat(of_disk(d)->root_fd, path[0] ? path : ".", &st, AT_SYMLINK_NOFOLLOW) != 0)
    return dom_fail_errno(err, errno, "base/disk: stat", path);
  assert(st.st_size >= 0);
  *out = (struct disk_info){.size = (uint64_t)st.st_size,
                            .mtime_s = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0,
                            .is_dir = S_ISDIR(st.st_mode)};
  return DOM_OK;
}

static enum dom_code posix_mkdir(struct disk *d, const char *path, struct dom_err *err) {
  assert(path[0]);
  if (mkdirat(of_disk(d)->root_fd, path, 0700) == 0) return DOM_OK;
  int why = errno;
  struct disk_info info = {0};
  if (why == EEXIST && posix_stat(d, path, &info, NULL) == DOM_OK && info.is_dir) return DOM_OK;
  return dom_fail_errno(err, why, "base/disk: mkdir", path);
}

static enum dom_code posix_rmdir(struct disk *d, const char *path, struct dom_err *err) {
  assert(path[0]);
  if (unlinkat(of_disk(d)->root_fd, path, AT_REMOVEDIR) == 0) return DOM_OK;
  return dom_fail_errno(err, errno, "base/disk: rmdir", path);
}

static enum dom_code posix_dir_sync(struct disk *d, const char *path, struct dom_err *err) {
  int fd = open_at(d, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return dom_fail_errno(err, errno, "base/disk: dir_sync", path);
  int why = fsync(fd) == 0 ? 0 : errno;
  (void)close(fd);
  return why ? dom_fail_errno(err, why, "base/disk: dir_sync", path) : DOM_OK;
}

static bool entry_is_dir(DIR *dir, const struct dirent *entry) {
  assert(entry->d_name[0]);
  if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
  struct stat st; /* some file systems do not tell */
  return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static enum dom_code collect(DIR *dir, struct disk_names *names, struct dom_err *err) {
  assert(names->count == 0);
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (!entry) return errno ? dom_fail_errno(err, errno, "base/disk: list", "readdir") : DOM_OK;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (disk_names_add(names, entry->d_name, entry_is_dir(dir, entry)) != DOM_OK)
      return dom_fail(err, DOM_NO_MEMORY, "base/disk: list", "out of memory");
  }
}

static enum dom_code posix_list(struct disk *d, const char *path, disk_list_fn fn, void *arg,
                                struct dom_err *err) {
  int fd = open_at(d, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return dom_fail_errno(err, errno, "base/disk: list", path);
  DIR *dir = fdopendir(fd);
  if (!dir) {
    int why = errno;
    (void)close(fd);
    return dom_fail_errno(err, why, "base/disk: list", path);
  }
  struct disk_names names = {0};
  enum dom_code code = collect(dir, &names, err);
  (void)closedir(dir);
  if (code == DOM_OK) disk_names_visit(&names, fn, arg);
  disk_names_done(&names);
  return code;
}

static enum dom_code posix_free_bytes(struct disk *d, uint64_t *out, struct dom_err *err) {
  struct statvfs st;
  if (fstatvfs(of_disk(d)->root_fd, &st) != 0)
    return dom_fail_errno(err, errno, "base/disk: free", "fstatvfs");
  *out = (uint64_t)st.f_bavail * st.f_frsize;
  return DOM_OK;
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .size = posix_size,
    .lock = posix_lock,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .dir_sync = posix_dir_sync,
    .list = posix_list,
    .stat = posix_stat,
    .free_bytes = posix_free_bytes,
};

/* Creates the folder with its missing parents; each new name is synced in its parent. */
static int make_root(const char *root) {
  assert(root);
  char path[4096]; /* PATH_MAX */
  size_t len = strlen(root);
  if (len == 0 || len >= sizeof path) return len ? ENAMETOOLONG : ENOENT;
  memcpy(path, root, len + 1);
  int parent = open(path[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (char *part = path; parent >= 0 && part;) {
    char *slash = strchr(part, '/');
    if (slash) *slash = 0;
    if (part[0]) {
      bool made = mkdirat(parent, part, 0700) == 0;
      int failed = !made && errno != EEXIST ? errno : made && fsync(parent) != 0 ? errno : 0;
      int next = failed ? -1 : openat(parent, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      int why = failed ? failed : errno;
      (void)close(parent);
      if (next < 0) return why;
      parent = next;
    }
    part = slash ? slash + 1 : NULL;
  }
  if (parent < 0) return errno;
  (void)close(parent);
  return 0;
}

enum dom_code disk_posix_open(const char *root, struct disk **out, struct dom_err *err) {
  assert(root);
  assert(out);
  int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    int why = make_root(root);
    if (why) return dom_fail_errno(err, why, "base/disk: create root", root);
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (fd < 0) return dom_fail_errno(err, errno, "base/disk: open root", root);
  struct posix_disk *d = dom_alloc(sizeof *d);
  if (!d) {
    (void)close(fd);
    return dom_fail(err, DOM_NO_MEMORY, "base/disk: open root", "out of memory");
  }
  d->base.ops = &posix_ops;
  d->root_fd = fd;
  *out = &d->base;
  return DOM_OK;
}

void disk_posix_close(struct disk *d) {
  if (!d) return;
  assert(d->ops == &posix_ops);
  (void)close(of_disk(d)->root_fd);
  dom_free(of_disk(d));
}
