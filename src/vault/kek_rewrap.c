/* Giving the KEKs of a folder another wrapping. */
#include <assert.h>

#include "vault/kek_content.h"
#include "vault/kek_folder.h"
#include "vault/vault_state.h"

struct rewrap {
  struct kek_folder from, to;
  uint64_t done;
};

/* The new content stands under the name and reads back before the old file's blocks are overwritten. */
static enum dom_code replace(struct rewrap *r, uint64_t id, const char *path, struct slice made,
                             struct dom_err *err) {
  static const uint8_t zeros[KEK_CONTENT_MAX] = {0};
  struct disk_file *old = NULL;
  struct buf back = BUF_INIT;
  uint8_t key[KEY_SIZE];
  uint64_t size = 0;
  enum dom_code code = disk_open(r->to.disk, path, DISK_READ | DISK_WRITE, &old, err);
  if (code == DOM_OK) code = disk_size(old, &size, err);
  if (code == DOM_OK) code = disk_replace_file(r->to.disk, path, made, err);
  if (code == DOM_OK) code = disk_read_file(r->to.disk, path, KEK_CONTENT_MAX, &back, err);
  if (code == DOM_OK) code = kek_folder_content_open(&r->to, id, buf_slice(&back), key, err);
  if (code == DOM_OK) code = disk_write(old, 0, zeros, size < sizeof zeros ? size : sizeof zeros, err);
  if (code == DOM_OK) code = disk_sync(old, err);
  disk_close(old);
  wipe(key, sizeof key);
  buf_wipe_done(&back);
  return code;
}

static enum dom_code rewrap_one(struct rewrap *r, uint64_t id, struct dom_err *err) {
  char name[KEK_NAME_SIZE], path[KEK_PATH_SIZE];
  struct buf content = BUF_INIT, made = BUF_INIT;
  struct dom_err passed = {0};
  uint8_t key[KEY_SIZE];
  kek_folder_name(id, name);
  kek_folder_path(&r->to, name, path);
  enum dom_code code = disk_read_file(r->to.disk, path, KEK_CONTENT_MAX, &content, err);
  bool already =
      code == DOM_OK && kek_folder_content_open(&r->to, id, buf_slice(&content), key, &passed) == DOM_OK;
  if (code == DOM_OK && !already) {
    code = kek_folder_content_open(&r->from, id, buf_slice(&content), key, err);
    if (code == DOM_OK) code = kek_folder_content_make(&r->to, id, key, &made, err);
    if (code == DOM_OK) code = replace(r, id, path, buf_slice(&made), err);
    if (code == DOM_OK) r->done++;
  }
  wipe(key, sizeof key);
  buf_wipe_done(&content);
  buf_wipe_done(&made);
  return code;
}

struct rewrap_ids {
  uint64_t id[VAULT_KEKS_MAX];
  size_t count;
};

static bool collect(void *arg, uint64_t id) {
  struct rewrap_ids *ids = arg;
  if (ids->count < VAULT_KEKS_MAX) ids->id[ids->count++] = id;
  return ids->count < VAULT_KEKS_MAX;
}

enum dom_code vault_kek_rewrap(struct disk *disk, const char *folder, const char *private_path,
                               struct vault_wrap *from, struct vault_wrap *to, uint64_t *out_done,
                               struct dom_err *err) {
  assert(disk && folder && out_done);
  struct rewrap_ids ids = {0};
  struct vault_kek *listed = NULL;
  /* Opened as wrapped, nothing of it is read; what is listed says which files there are. */
  struct vault_wrap *any = from ? from : to;
  enum dom_code code = vault_kek_wrapped_open(disk, folder, private_path, false, any, &listed, err);
  if (code != DOM_OK) return code;
  struct rewrap r = {.from = *(struct kek_folder *)listed, .to = *(struct kek_folder *)listed};
  r.from.wrap = from;
  r.to.wrap = to;
  code = listed->ops->list(listed, collect, &ids, err);
  for (size_t i = 0; i < ids.count && code == DOM_OK; i++) code = rewrap_one(&r, ids.id[i], err);
  vault_kek_close(listed);
  if (code == DOM_OK) *out_done = r.done;
  return code;
}
