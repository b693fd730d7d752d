#include "vault/folder.h"

#include <assert.h>
#include <string.h>

enum dom_code folder_make(struct disk *disk, const char *folder, struct dom_err *err) {
  assert(disk && folder);
  size_t len = strlen(folder);
  if (len > FOLDER_PATH_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "vault/folder", "the folder's name is too long");
  if (len == 0) return DOM_OK;
  enum dom_code code = disk_mkdir(disk, folder, err);
  if (code != DOM_OK) return code;
  char parent[FOLDER_PATH_MAX + 1];
  memcpy(parent, folder, len + 1);
  char *slash = strrchr(parent, '/');
  *(slash ? slash : parent) = 0;
  return disk_dir_sync(disk, parent, err);
}
