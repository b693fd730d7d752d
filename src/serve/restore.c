/* Backups of the vault: written to a file elsewhere, and a vault made again from one. */
#include <assert.h>
#include <stdio.h>

#include "base/age.h"
#include "base/codec.h"
#include "serve/daemon.h"

static const char where[] = "serve/backup";
enum { PATH_BYTES = 4096, IDENTITY_FILE_MAX = 4096 };

/* ---- writing ---------------------------------------------------------------------------------- */

/* The disk of a file's folder, and its name there, which is a part of `path`. */
static enum dom_code folder_open(const char *path, struct disk **out, const char **out_name,
                                 struct dom_err *err) {
  char folder[PATH_BYTES];
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  int n = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  if (n < 0 || (size_t)n >= sizeof folder || !*name)
    return dom_fail(err, DOM_INVALID, where, "%s is no name of a file", path);
  enum dom_code code = disk_posix_open(folder[0] ? folder : "/", out, err);
  if (!code) *out_name = name;
  return code;
}

enum dom_code backup_place_open(const struct serve_config *c, const char *to, const char *recipient,
                                struct backup_place *out, struct dom_err *err) {
  assert(to && recipient && out);
  struct backup_place p = {.options = {.clock = clock_posix()}};
  enum dom_code code = age_recipient_parse(slice_str(recipient), p.options.recipient, err);
  if (!code) code = folder_open(to, &p.disk, &p.options.path, err);
  if (code) return code;
  p.options.disk = p.disk;
  serve_deployment_id(c, p.options.deployment);
  *out = p;
  return DOM_OK;
}

void backup_place_close(struct backup_place *p) {
  assert(p);
  disk_posix_close(p->disk);
  *p = (struct backup_place){0};
}

static enum dom_code backup_to(const struct serve_config *c, const struct backup_place *place,
                               uint64_t *out_keys, struct dom_err *err) {
  struct disk *disk = NULL;
  struct kek_source keks = {0};
  struct vault *vault = NULL;
  enum dom_code code = disk_posix_open(c->data, &disk, err);
  if (!code) code = kek_source_open(c, false, &keks, err);
  if (!code) {
    struct vault_options o = {
        .disk = disk, .folder = "vault", .region = (uint16_t)c->region_number, .kek = keks.kek};
    code = vault_open(&o, &vault, err);
  }
  if (!code) code = vault_backup(vault, &place->options, out_keys, err);
  vault_close(vault);
  kek_source_close(&keks);
  disk_posix_close(disk);
  return code;
}

enum dom_code serve_vault_backup(const struct serve_config *c, const char *to, const char *recipient,
                                 uint64_t *out_keys, struct dom_err *err) {
  assert(c->data && to && recipient && out_keys);
  struct backup_place place = {0};
  struct serve_config elsewhere = *c;
  elsewhere.vault_backup_file = to;
  elsewhere.vault_backup_recipient = recipient;
  enum dom_code code = config_check_apart(&elsewhere, err);
  if (!code) code = backup_place_open(c, to, recipient, &place, err);
  if (!code) code = backup_to(c, &place, out_keys, err);
  backup_place_close(&place);
  return code;
}

/* ---- restoring -------------------------------------------------------------------------------- */

struct judgement {
  const struct serve_restore_options *o;
  struct buf destroyed; /* ids of KEKs that the ledger says are destroyed, 8 bytes each */
};

static void show_progress(void *arg, const char *stage, uint64_t done, uint64_t total) {
  const struct judgement *j = arg;
  if (j->o->progress) j->o->progress(j->o->arg, stage, done, total);
}

/* What the ledger says of keys: which KEKs are destroyed, and which keys were dropped. */
static bool entry_told(void *arg, uint64_t lsn, struct slice leaf, struct slice payload,
                       struct vault_key *out_key) {
  struct judgement *j = arg;
  (void)lsn;
  struct ledger_entry entry;
  struct ledger_payload told;
  if (ledger_entry_decode(leaf, &entry, NULL) || ledger_payload_decode(payload, &told, NULL)) return false;
  if (entry.type == LEDGER_KEK_DESTROYED) buf_append(&j->destroyed, told.digest, sizeof(uint64_t));
  if (entry.type != LEDGER_KEY_DROPPED && entry.type != LEDGER_ERASED) return false;
  memcpy(out_key->token, told.token, sizeof out_key->token);
  out_key->epoch = told.from_epoch;
  return true;
}

static enum dom_code judge(void *arg, const struct vault_backup_info *info, struct dom_err *err) {
  const struct judgement *j = arg;
  char name[VAULT_KEK_NAME_SIZE];
  bool destroyed = false;
  if (buf_check(&j->destroyed, err)) return DOM_NO_MEMORY;
  for (size_t at = 0; at < j->destroyed.len; at += sizeof(uint64_t))
    destroyed = destroyed || load_u64be(j->destroyed.data + at) == info->kek_id;
  if (!destroyed || j->o->accept_older) return DOM_OK;
  vault_kek_name(info->kek_id, name);
  return dom_fail(
      err, DOM_REFUSED, where,
      "the backup was made under KEK %s, which a rotation destroyed since: use the backup made at that "
      "rotation. With --accept-older this one is taken; keys dropped since are shredded again",
      name);
}

static enum dom_code identity_read(const char *path, uint8_t out[KEY_SIZE], struct dom_err *err) {
  struct buf text = BUF_INIT;
  enum dom_code code = serve_file_read(path, true, IDENTITY_FILE_MAX, &text, err);
  if (!code) code = age_identity_parse(buf_slice(&text), out, err);
  buf_wipe_done(&text);
  return code;
}

/* A key folder without any KEK was lost too: then a new one wraps what is restored. */
static enum dom_code keks_open(const struct serve_config *c, struct kek_source *out, struct dom_err *err) {
  struct dom_err none = {0};
  enum dom_code code = kek_source_open(c, false, out, &none);
  if (code == DOM_NOT_FOUND) return kek_source_open(c, true, out, err);
  return code ? dom_fail(err, code, where, "%s", none.text) : DOM_OK;
}

enum dom_code serve_vault_restore(const struct serve_config *c, const struct serve_restore_options *o,
                                  struct store_vault_report *out, struct dom_err *err) {
  assert(c->data && o->from && o->identity_file && out);
  struct disk *disk = NULL, *from = NULL;
  struct kek_source keks = {0};
  struct judgement j = {.o = o};
  struct store_vault_options s = {.accept_missing = o->accept_missing,
                                  .entry = entry_told,
                                  .judge = judge,
                                  .progress = show_progress,
                                  .arg = &j};
  enum dom_code code = identity_read(o->identity_file, s.from.identity, err);
  if (!code) code = folder_open(o->from, &from, &s.from.path, err);
  if (!code) code = disk_posix_open(c->data, &disk, err);
  if (!code) code = keks_open(c, &keks, err);
  if (!code) {
    s.from.from = from;
    serve_deployment_id(c, s.from.deployment);
    s.store = (struct store_options){
        .disk = disk, .clock = clock_posix(), .kek = keks.kek, .region = (uint16_t)c->region_number};
    memcpy(s.store.deployment, s.from.deployment, sizeof s.store.deployment);
    code = store_vault_restore(&s, out, err);
  }
  buf_done(&j.destroyed);
  wipe(s.from.identity, sizeof s.from.identity);
  kek_source_close(&keks);
  disk_posix_close(disk);
  disk_posix_close(from);
  return code;
}
