#include "ledger/ledger.h"

#include <assert.h>

#include "base/alloc.h"
#include "ledger/writer.h"

static struct ledger *ledger_new(struct disk *disk, const char *origin,
                                 const uint8_t seed[ED25519_KEY_SIZE]) {
  assert(disk && origin && seed);
  struct ledger *l = dom_calloc(1, sizeof *l);
  if (!l) return NULL;
  l->seed = secret_alloc(ED25519_KEY_SIZE);
  l->pending = dom_calloc(LEDGER_BATCH_MAX, sizeof *l->pending);
  if (!l->seed || !l->pending || pthread_mutex_init(&l->lock, NULL) != 0) {
    secret_free(l->seed, ED25519_KEY_SIZE);
    dom_free(l->pending);
    dom_free(l);
    return NULL;
  }
  l->disk = disk;
  memcpy(l->origin, origin, strlen(origin) + 1);
  memcpy(l->seed, seed, ED25519_KEY_SIZE);
  ed25519_public(seed, l->public_key);
  ledger_log_id(origin, l->public_key, l->log_id);
  return l;
}

void ledger_close(struct ledger *ledger) {
  if (!ledger) return;
  assert(ledger->seed);
  journal_done(&ledger->journal);
  buf_done(&ledger->checkpoint);
  secret_free(ledger->seed, ED25519_KEY_SIZE);
  dom_free(ledger->pending);
  pthread_mutex_destroy(&ledger->lock);
  dom_free(ledger);
}

static enum dom_code open_files(struct ledger *l, const char *folder, struct dom_err *err) {
  char path[FILES_PATH_MAX];
  assert(l->disk);
  enum dom_code code = files_init(&l->files, l->disk, folder, err);
  files_path(&l->files, "journal", path);
  if (code == DOM_OK) code = journal_open(l->disk, path, l->log_id, &l->journal, err);
  if (code == DOM_OK) code = disk_dir_sync(l->disk, folder, err);
  return code;
}

enum dom_code ledger_open(struct disk *disk, const char *folder, const char *origin,
                          const uint8_t seed[ED25519_KEY_SIZE], struct ledger **out_ledger,
                          struct dom_err *err) {
  static const char where[] = "ledger/ledger: open";
  assert(disk && folder && origin && seed && out_ledger);
  assert(strlen(folder) > 0 && strlen(folder) <= FILES_FOLDER_MAX);
  if (!note_name_valid(slice_str(origin)))
    return dom_fail(err, DOM_INVALID, where, "the origin must be 1 to %d bytes without blanks and plus",
                    LEDGER_ORIGIN_MAX);
  struct ledger *l = ledger_new(disk, origin, seed);
  if (!l) return dom_fail(err, DOM_NO_MEMORY, where, "a ledger");
  enum dom_code code = open_files(l, folder, err);
  if (code == DOM_OK) code = recover(l, err);
  if (code == DOM_OK)
    *out_ledger = l;
  else
    ledger_close(l);
  return code;
}
