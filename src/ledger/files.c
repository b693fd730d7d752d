#include "ledger/files.h"

#include <assert.h>
#include <stdio.h>

void files_path(const struct files *files, const char *path, char out[FILES_PATH_MAX]) {
  assert(files && path && strlen(path) < TILE_PATH_MAX);
  int len = snprintf(out, FILES_PATH_MAX, "%s/%s", files->folder, path);
  assert(len > 0 && len < FILES_PATH_MAX);
}

/* Cuts `path` to its folder; "" for a name at the disk's root. */
static void parent_of(const char *path, char out[FILES_PATH_MAX]) {
  assert(strlen(path) < FILES_PATH_MAX);
  const char *slash = strrchr(path, '/');
  size_t len = slash ? (size_t)(slash - path) : 0;
  memcpy(out, path, len);
  out[len] = 0;
}

static bool is_known(const struct files *files, const char *path) {
  assert(files && path);
  for (size_t i = 0; i < FILES_KNOWN_MAX; i++)
    if (strcmp(files->known[i], path) == 0) return true;
  return false;
}

/* Makes the folder `path` and those above it, durably; each once per process while known. */
static enum dom_code ensure_folder(struct files *files, const char *path, struct dom_err *err) {
  assert(files && strlen(path) < FILES_PATH_MAX);
  char at[FILES_PATH_MAX], parent[FILES_PATH_MAX];
  for (size_t i = 1; i <= strlen(path); i++) {
    if (path[i] != '/' && path[i] != 0) continue;
    memcpy(at, path, i);
    at[i] = 0;
    if (is_known(files, at)) continue;
    parent_of(at, parent);
    enum dom_code code = disk_mkdir(files->disk, at, err);
    if (code == DOM_OK) code = disk_dir_sync(files->disk, parent, err);
    if (code != DOM_OK) return code;
    memcpy(files->known[files->known_next], at, i + 1);
    files->known_next = (files->known_next + 1) % FILES_KNOWN_MAX;
  }
  return DOM_OK;
}

static bool add_name(void *arg, const char *name, bool is_dir) {
  struct buf *names = arg;
  assert(names && name);
  if (!is_dir) buf_append(names, name, strlen(name) + 1);
  return true;
}

/* Removes the plain files of a folder. Names are collected first: a listing under change is
 * nothing to rely on. */
static enum dom_code empty_folder(struct files *files, const char *path, struct dom_err *err) {
  assert(files && path);
  BUF_AUTO names = BUF_INIT;
  enum dom_code code = disk_list(files->disk, path, add_name, &names, err);
  if (code == DOM_OK) code = buf_check(&names, err);
  for (size_t at = 0; code == DOM_OK && at < names.len;) {
    const char *name = (const char *)names.data + at;
    char full[FILES_PATH_MAX];
    int len = snprintf(full, sizeof full, "%s/%s", path, name);
    if (len < 0 || len >= FILES_PATH_MAX)
      return dom_fail(err, DOM_IO, "ledger/files: clean", "a name is too long");
    code = disk_unlink(files->disk, full, err);
    at += strlen(name) + 1;
  }
  return code;
}

enum dom_code files_init(struct files *files, struct disk *disk, const char *folder, struct dom_err *err) {
  assert(files && disk && folder && strlen(folder) <= FILES_FOLDER_MAX);
  char tmp[FILES_PATH_MAX];
  memset(files, 0, sizeof *files);
  files->disk = disk;
  memcpy(files->folder, folder, strlen(folder) + 1);
  files_path(files, "tmp", tmp);
  enum dom_code code = ensure_folder(files, tmp, err);
  return code == DOM_OK ? empty_folder(files, tmp, err) : code;
}

static void tmp_path(const struct files *files, size_t slot, char out[FILES_PATH_MAX]) {
  assert(slot < FILES_STAGED_MAX);
  char name[32];
  snprintf(name, sizeof name, "tmp/%zu", slot);
  files_path(files, name, out);
}

enum dom_code files_stage(struct files *files, const char *path, struct slice content, struct dom_err *err) {
  assert(files && files->staged_count < FILES_STAGED_MAX && strlen(path) < TILE_PATH_MAX);
  char tmp[FILES_PATH_MAX];
  struct disk_file *file;
  tmp_path(files, files->staged_count, tmp);
  enum dom_code code = disk_open(files->disk, tmp, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file, err);
  if (code != DOM_OK) return code;
  code = disk_write(file, 0, content.data, content.len, err);
  if (code == DOM_OK) code = disk_sync(file, err);
  disk_close(file);
  if (code == DOM_OK) memcpy(files->staged[files->staged_count++], path, strlen(path) + 1);
  return code;
}

bool files_group_full(const struct files *files) {
  assert(files);
  return files->staged_count == FILES_STAGED_MAX;
}

/* Syncs the folder of staged[i] unless an earlier one of the group shares it. */
static enum dom_code sync_folder_once(struct files *files, size_t i, struct dom_err *err) {
  assert(i < files->staged_count);
  char mine[FILES_PATH_MAX], other[FILES_PATH_MAX], full[FILES_PATH_MAX];
  files_path(files, files->staged[i], full);
  parent_of(full, mine);
  for (size_t k = 0; k < i; k++) {
    files_path(files, files->staged[k], full);
    parent_of(full, other);
    if (strcmp(mine, other) == 0) return DOM_OK;
  }
  return disk_dir_sync(files->disk, mine, err);
}

enum dom_code files_commit(struct files *files, struct dom_err *err) {
  assert(files);
  enum dom_code code = DOM_OK;
  char tmp[FILES_PATH_MAX], full[FILES_PATH_MAX], folder[FILES_PATH_MAX];
  for (size_t i = 0; code == DOM_OK && i < files->staged_count; i++) {
    tmp_path(files, i, tmp);
    files_path(files, files->staged[i], full);
    parent_of(full, folder);
    code = ensure_folder(files, folder, err);
    if (code == DOM_OK) code = disk_rename(files->disk, tmp, full, err);
  }
  for (size_t i = 0; code == DOM_OK && i < files->staged_count; i++) code = sync_folder_once(files, i, err);
  files->staged_count = 0;
  return code;
}

enum dom_code files_prune_partials(struct files *files, unsigned level, uint64_t n, struct dom_err *err) {
  assert(files && files->staged_count == 0);
  char path[TILE_PATH_MAX], full[FILES_PATH_MAX];
  struct disk_info info;
  tile_path((struct tile_id){.level = level, .n = n, .width = 1}, path);
  path[strlen(path) - strlen("/1")] = 0; /* the folder of the partial tiles */
  files_path(files, path, full);
  enum dom_code code = disk_stat(files->disk, full, &info, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code == DOM_OK) code = empty_folder(files, full, err);
  if (code == DOM_OK) code = disk_rmdir(files->disk, full, err);
  return code;
}
