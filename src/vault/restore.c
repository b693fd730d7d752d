/* Reading a backup into an empty vault. */
#include <assert.h>

#include "base/age.h"
#include "base/alloc.h"
#include "vault/backup.h"
#include "vault/vault_state.h"

static const char where[] = "vault/restore";

struct in_file {
  struct disk_file *file;
  uint64_t at;
};

static enum dom_code take(void *arg, uint8_t *out, size_t len, size_t *out_len, struct dom_err *err) {
  struct in_file *f = arg;
  enum dom_code code = disk_read(f->file, f->at, out, len, out_len, err);
  if (code == DOM_OK) f->at += *out_len;
  return code;
}

static enum dom_code check_head(struct vault *v, const struct vault_restore_options *o,
                                const struct vault_backup_info *info, struct dom_err *err) {
  if (info->region != v->files.region)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the backup is of region number %u, not %u", info->region,
                    v->files.region);
  if (memcmp(info->deployment, o->deployment, sizeof info->deployment) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the backup is of another deployment");
  return DOM_OK;
}

/* A batch of keys as they come out of the seal, and in their parts. */
struct batch {
  uint8_t bytes[VAULT_CHANGES_MAX * BACKUP_KEY_SIZE];
  struct vault_key keys[VAULT_CHANGES_MAX];
  uint8_t data_keys[VAULT_CHANGES_MAX][KEY_SIZE];
};

static enum dom_code import_keys(struct vault *v, struct age_reader *r, struct batch *b, uint64_t *out_keys,
                                 struct dom_err *err) {
  uint64_t keys = 0;
  size_t len = sizeof b->bytes;
  while (len == sizeof b->bytes) {
    enum dom_code code = age_read(r, b->bytes, sizeof b->bytes, &len, err);
    if (code != DOM_OK) return code;
    size_t count = len / BACKUP_KEY_SIZE;
    if (count * BACKUP_KEY_SIZE != len)
      return dom_fail(err, DOM_CORRUPT, where, "the backup ends within a key");
    for (size_t i = 0; i < count; i++)
      backup_key_decode(b->bytes + i * BACKUP_KEY_SIZE, &b->keys[i], b->data_keys[i]);
    struct request q = {.kind = REQUEST_IMPORT,
                        .keys = b->keys,
                        .data_keys = (const uint8_t(*)[KEY_SIZE])b->data_keys,
                        .key_count = count};
    code = queue_submit(v, &q, err);
    if (code != DOM_OK) return code;
    keys += count;
  }
  *out_keys = keys;
  return DOM_OK;
}

static enum dom_code restore_all(struct vault *v, const struct vault_restore_options *o, struct age_reader *r,
                                 struct vault_backup_info *out, struct dom_err *err) {
  uint8_t head[BACKUP_HEAD_SIZE];
  size_t len = 0;
  uint64_t keys = 0;
  enum dom_code code = age_read(r, head, sizeof head, &len, err);
  if (code == DOM_OK && len != sizeof head)
    code = dom_fail(err, DOM_INVALID, where, "the sealed file is no backup of a vault");
  if (code == DOM_OK) code = backup_head_decode(head, out, err);
  if (code == DOM_OK) code = check_head(v, o, out, err);
  if (code != DOM_OK) return code;
  struct batch *b = dom_calloc(1, sizeof *b);
  if (!b) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  code = import_keys(v, r, b, &keys, err);
  wipe(b, sizeof *b);
  dom_free(b);
  if (code == DOM_OK && keys != out->keys)
    code = dom_fail(err, DOM_CORRUPT, where, "the backup says %llu keys and holds %llu",
                    (unsigned long long)out->keys, (unsigned long long)keys);
  return code;
}

enum dom_code vault_restore(struct vault *v, const struct vault_restore_options *o,
                            struct vault_backup_info *out, struct dom_err *err) {
  assert(v && o && out && v->used == 0);
  struct in_file f = {0};
  struct age_reader *r = NULL;
  struct vault_backup_info info = {0};
  enum dom_code code = disk_open(o->from, o->path, DISK_READ, &f.file, err);
  if (code == DOM_OK) code = age_reader_new(o->identity, take, &f, &r, err);
  if (code == DOM_OK) code = restore_all(v, o, r, &info, err);
  age_reader_free(r);
  disk_close(f.file);
  if (code == DOM_OK) *out = info;
  return code;
}
