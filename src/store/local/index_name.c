/* Names of index files: thin calls to base/disk, so that the C++ file needs no base header. */
#include <assert.h>

#include "base/disk.h"
#include "store/local/index_file.h"

enum dom_code index_name_stat(struct index_volume *vol, const char *path, bool *out_is_dir,
                              uint64_t *out_mtime_s, struct dom_err *err) {
  assert(out_is_dir && out_mtime_s);
  struct disk_info info;
  enum dom_code code = disk_stat(index_volume_disk(vol), path, &info, err);
  if (code != DOM_OK) return code;
  *out_is_dir = info.is_dir;
  *out_mtime_s = info.mtime_s;
  return DOM_OK;
}

enum dom_code index_name_list(struct index_volume *vol, const char *path,
                              bool (*fn)(void *arg, const char *name, bool is_dir), void *arg,
                              struct dom_err *err) {
  assert(fn);
  return disk_list(index_volume_disk(vol), path, fn, arg, err);
}

enum dom_code index_name_unlink(struct index_volume *vol, const char *path, struct dom_err *err) {
  return disk_unlink(index_volume_disk(vol), path, err);
}

/* The folder that holds `path`; "" for the root. */
static void parent_of(const char *path, char out[INDEX_PATH_MAX]) {
  assert(strlen(path) < INDEX_PATH_MAX);
  memcpy(out, path, strlen(path) + 1);
  char *slash = strrchr(out, '/');
  *(slash ? slash : out) = 0;
}

enum dom_code index_name_rename(struct index_volume *vol, const char *from, const char *to,
                                struct dom_err *err) {
  char folder[INDEX_PATH_MAX];
  parent_of(to, folder);
  enum dom_code code = disk_dir_sync(index_volume_disk(vol), folder, err);
  return code == DOM_OK ? disk_rename(index_volume_disk(vol), from, to, err) : code;
}

enum dom_code index_dir_make(struct index_volume *vol, const char *path, struct dom_err *err) {
  struct disk_info info;
  struct dom_err absent = {0};
  if (disk_stat(index_volume_disk(vol), path, &info, &absent) == DOM_OK && info.is_dir) return DOM_OK;
  enum dom_code code = disk_mkdir(index_volume_disk(vol), path, err);
  if (code != DOM_OK) return code;
  char parent[INDEX_PATH_MAX];
  parent_of(path, parent);
  return disk_dir_sync(index_volume_disk(vol), parent, err);
}

enum dom_code index_dir_remove(struct index_volume *vol, const char *path, struct dom_err *err) {
  return disk_rmdir(index_volume_disk(vol), path, err);
}

enum dom_code index_dir_sync(struct index_volume *vol, const char *path, struct dom_err *err) {
  return disk_dir_sync(index_volume_disk(vol), path, err);
}

enum dom_code index_lock_take(struct index_volume *vol, const char *path, struct disk_file **out,
                              struct dom_err *err) {
  assert(out);
  struct disk_file *file = NULL;
  enum dom_code code =
      disk_open(index_volume_disk(vol), path, DISK_READ | DISK_WRITE | DISK_CREATE, &file, err);
  if (code == DOM_OK) code = disk_lock(file, err);
  if (code != DOM_OK) {
    disk_close(file);
    return code;
  }
  *out = file;
  return DOM_OK;
}

void index_lock_drop(struct disk_file *lock) {
  disk_close(lock);
}

enum dom_code index_free_bytes(struct index_volume *vol, uint64_t *out, struct dom_err *err) {
  return disk_free_bytes(index_volume_disk(vol), out, err);
}
