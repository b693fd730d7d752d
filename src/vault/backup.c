/* Writing a backup: every data key, sealed to an offline key. */
#include "vault/backup.h"

#include <assert.h>
#include <stdio.h>

#include "base/age.h"
#include "base/codec.h"
#include "vault/vault_state.h"

enum { FORMAT_VERSION = 1, PATH_BYTES = 512, ZEROS_SIZE = 4096 };
static const char where[] = "vault/backup";
static const uint8_t MAGIC[8] = "DOMVBK01";

/* ---- bytes ---- */

void backup_head_encode(const struct vault_backup_info *info, uint8_t out[BACKUP_HEAD_SIZE]) {
  memset(out, 0, BACKUP_HEAD_SIZE);
  memcpy(out, MAGIC, sizeof MAGIC);
  store_u32le(out + 8, FORMAT_VERSION);
  store_u32le(out + 12, info->region);
  memcpy(out + 16, info->deployment, sizeof info->deployment);
  store_u64le(out + 32, info->kek_id);
  store_u64le(out + 40, info->wall_ms);
  store_u64le(out + 48, info->keys);
}

enum dom_code backup_head_decode(const uint8_t in[BACKUP_HEAD_SIZE], struct vault_backup_info *out,
                                 struct dom_err *err) {
  if (memcmp(in, MAGIC, sizeof MAGIC) != 0)
    return dom_fail(err, DOM_INVALID, where, "the sealed file is no backup of a vault");
  if (load_u32le(in + 8) != FORMAT_VERSION)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the backup has format %u; this version knows %d",
                    load_u32le(in + 8), FORMAT_VERSION);
  *out = (struct vault_backup_info){.region = (uint16_t)load_u32le(in + 12),
                                    .kek_id = load_u64le(in + 32),
                                    .wall_ms = load_u64le(in + 40),
                                    .keys = load_u64le(in + 48)};
  memcpy(out->deployment, in + 16, sizeof out->deployment);
  return DOM_OK;
}

void backup_key_encode(const struct vault_key *key, const uint8_t data_key[KEY_SIZE],
                       uint8_t out[BACKUP_KEY_SIZE]) {
  memcpy(out, key->token, VAULT_TOKEN_SIZE);
  store_u64le(out + VAULT_TOKEN_SIZE, key->epoch);
  memcpy(out + VAULT_TOKEN_SIZE + 8, data_key, KEY_SIZE);
}

void backup_key_decode(const uint8_t in[BACKUP_KEY_SIZE], struct vault_key *out_key,
                       uint8_t out_data_key[KEY_SIZE]) {
  memcpy(out_key->token, in, VAULT_TOKEN_SIZE);
  out_key->epoch = load_u64le(in + VAULT_TOKEN_SIZE);
  memcpy(out_data_key, in + VAULT_TOKEN_SIZE + 8, KEY_SIZE);
}

/* ---- the file ---- */

struct out_file {
  struct disk_file *file;
  uint64_t at;
};

static enum dom_code append(void *arg, struct slice bytes, struct dom_err *err) {
  struct out_file *f = arg;
  enum dom_code code = disk_write(f->file, f->at, bytes.data, bytes.len, err);
  if (code == DOM_OK) f->at += bytes.len;
  return code;
}

/* Every slot that holds a key; damaged ones are left out, there is nothing to keep. */
static enum dom_code write_keys(struct vault *v, struct age_writer *w, uint64_t *out_keys,
                                struct dom_err *err) {
  uint64_t keys = 0;
  for (uint32_t at = 0; at < v->files.slots; at++) {
    struct slot s;
    bool second = false;
    uint8_t data_key[KEY_SIZE], line[BACKUP_KEY_SIZE];
    if (vault_slot_damaged(v, at)) continue;
    enum dom_code code = slot_files_read(&v->files, at, &s, &second, err);
    if (code == DOM_OK && s.state != SLOT_KEY) continue;
    if (code == DOM_OK) code = vault_slot_open(v, &s, data_key, err);
    if (code != DOM_OK) return code;
    struct vault_key key = {.epoch = s.epoch};
    memcpy(key.token, s.token, VAULT_TOKEN_SIZE);
    backup_key_encode(&key, data_key, line);
    code = age_write(w, slice_of(line, sizeof line), err);
    wipe(data_key, sizeof data_key);
    wipe(line, sizeof line);
    if (code != DOM_OK) return code;
    keys++;
  }
  *out_keys = keys;
  return DOM_OK;
}

static enum dom_code write_all(struct vault *v, const struct vault_backup_options *o, struct out_file *f,
                               uint64_t *out_keys, struct dom_err *err) {
  uint8_t head[BACKUP_HEAD_SIZE];
  struct age_writer *w = NULL;
  uint64_t keys = 0;
  struct vault_backup_info info = {.region = v->files.region,
                                   .kek_id = v->kek_current,
                                   .wall_ms = o->clock ? clock_wall_ms(o->clock) : 0,
                                   .keys = v->used};
  memcpy(info.deployment, o->deployment, sizeof info.deployment);
  backup_head_encode(&info, head);
  enum dom_code code = age_writer_new(o->recipient, append, f, &w, err);
  if (code == DOM_OK) code = age_write(w, slice_of(head, sizeof head), err);
  if (code == DOM_OK) code = write_keys(v, w, &keys, err);
  if (code == DOM_OK) code = age_write_end(w, err);
  age_writer_free(w);
  if (code == DOM_OK && keys != v->used)
    code = dom_fail(err, DOM_CORRUPT, where, "the vault counts %llu keys and %llu were read",
                    (unsigned long long)v->used, (unsigned long long)keys);
  if (code == DOM_OK) *out_keys = keys;
  return code;
}

/* What stood at the place is overwritten through its open file, once the new backup has the name. */
static enum dom_code overwrite(struct disk_file *old, struct dom_err *err) {
  static const uint8_t zeros[ZEROS_SIZE] = {0};
  uint64_t size = 0;
  enum dom_code code = disk_size(old, &size, err);
  for (uint64_t at = 0; at < size && code == DOM_OK; at += ZEROS_SIZE)
    code = disk_write(old, at, zeros, size - at < ZEROS_SIZE ? (size_t)(size - at) : ZEROS_SIZE, err);
  return code == DOM_OK ? disk_sync(old, err) : code;
}

static enum dom_code put_in_place(const struct vault_backup_options *o, const char *made,
                                  struct dom_err *err) {
  struct disk_file *old = NULL;
  struct dom_err absent = {0};
  char folder[PATH_BYTES];
  snprintf(folder, sizeof folder, "%s", o->path);
  char *slash = strrchr(folder, '/');
  *(slash ? slash : folder) = 0;
  enum dom_code code = disk_open(o->disk, o->path, DISK_READ | DISK_WRITE, &old, &absent);
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "%s", absent.text);
  code = disk_rename(o->disk, made, o->path, err);
  if (code == DOM_OK) code = disk_dir_sync(o->disk, folder, err);
  if (code == DOM_OK && old) code = overwrite(old, err);
  disk_close(old);
  return code;
}

enum dom_code vault_backup_run(struct vault *v, const struct vault_backup_options *o, uint64_t *out_keys,
                               struct dom_err *err) {
  assert(v && o->disk && o->path);
  char made[PATH_BYTES];
  struct out_file f = {0};
  int n = snprintf(made, sizeof made, "%s.new", o->path);
  if (n < 0 || (size_t)n >= sizeof made)
    return dom_fail(err, DOM_TOO_LARGE, where, "the backup's path is too long");
  enum dom_code code =
      disk_open(o->disk, made, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f.file, err);
  if (code == DOM_OK) code = write_all(v, o, &f, out_keys, err);
  if (code == DOM_OK) code = disk_sync(f.file, err);
  disk_close(f.file);
  if (code == DOM_OK) return put_in_place(o, made, err);
  (void)disk_unlink(o->disk, made, NULL); /* half a backup is of no use */
  return code;
}

void vault_run_backup(struct vault *v, struct request *r) {
  assert(r->kind == REQUEST_BACKUP && r->backup);
  r->code = vault_backup_run(v, r->backup, &r->result, &r->err);
}

enum dom_code vault_backup(struct vault *v, const struct vault_backup_options *o, uint64_t *out_keys,
                           struct dom_err *err) {
  assert(v && o);
  struct request r = {.kind = REQUEST_BACKUP, .backup = o};
  enum dom_code code = queue_submit(v, &r, err);
  if (code == DOM_OK && out_keys) *out_keys = r.result;
  return code;
}

void vault_backup_each_rotation(struct vault *v, const struct vault_backup_options *o) {
  assert(v && !v->backup);
  v->backup = o;
}
