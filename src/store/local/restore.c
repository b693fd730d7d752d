/* A region's vault made again from a backup, and brought to where the log is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/local/engine.h"
#include "store/local/record.h"
#include "store/local/segment.h"
#include "store/local/superblock.h"
#include "store/store.h"

#define MADE  "vault.restore"
#define PLACE "vault"
enum { PATH_BYTES = 64, DROP_BATCH = 256 };
static const char where[] = "store/restore";

/* Keys gathered from the log, sorted at the end. */
struct keys {
  struct vault_key *at;
  size_t count, cap;
};

struct restore {
  const struct store_vault_options *o;
  struct disk *disk;
  struct vault *vault;
  struct keys dropped, absent;
  struct record_plain plain;
  struct store_vault_report report;
};

static int key_compare(const void *a, const void *b) {
  const struct vault_key *x = a, *y = b;
  int order = memcmp(x->token, y->token, VAULT_TOKEN_SIZE);
  return order != 0 ? order : (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

static void keys_settle(struct keys *k) {
  size_t kept = 0;
  if (k->count > 1) qsort(k->at, k->count, sizeof *k->at, key_compare);
  for (size_t i = 0; i < k->count; i++)
    if (kept == 0 || key_compare(&k->at[kept - 1], &k->at[i]) != 0) k->at[kept++] = k->at[i];
  k->count = kept;
}

/* Records of one key stand together: the last one is looked at, and what is twice goes before growing. */
static enum dom_code keys_add(struct keys *k, const struct vault_key *key, struct dom_err *err) {
  if (k->count > 0 && key_compare(&k->at[k->count - 1], key) == 0) return DOM_OK;
  bool full = k->count == k->cap;
  if (full) keys_settle(k);
  if (full && k->count * 2 >= k->cap) {
    size_t cap = k->cap * 2 + 1024;
    struct vault_key *grown = dom_realloc(k->at, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
    k->at = grown;
    k->cap = cap;
  }
  k->at[k->count++] = *key;
  return DOM_OK;
}

/* ---- the log ------------------------------------------------------------------------------- */

static enum dom_code own_record(struct restore *r, const struct log_record *record, struct dom_err *err) {
  struct change c;
  struct vault_key key = {.epoch = 0};
  if (record->type != CHANGE_SHRED && record->type != CHANGE_ENTRY) return DOM_OK;
  enum dom_code code = record_decode(r->vault, record->type, record->payload, &r->plain, &c, err);
  if (code == DOM_NOT_FOUND)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the backup does not hold the region's own key");
  if (code != DOM_OK) return code;
  if (c.kind == CHANGE_SHRED) {
    memcpy(key.token, c.subject.token, TOKEN_SIZE);
    key.epoch = c.subject.epoch;
    return keys_add(&r->dropped, &key, err);
  }
  if (r->o->entry && r->o->entry(r->o->arg, record->lsn, c.value, c.payload, &key))
    return keys_add(&r->dropped, &key, err);
  return DOM_OK;
}

static enum dom_code record_seen(void *arg, const struct log_record *record, bool commit_ends,
                                 struct dom_err *err) {
  struct restore *r = arg;
  struct change c;
  uint32_t head = 0;
  (void)commit_ends;
  r->report.records++;
  enum dom_code code = record_peek(record->type, record->payload, &c, &head, err);
  if (code != DOM_OK) return code;
  struct vault_key key = {.epoch = c.epoch}, system = vault_system_key();
  memcpy(key.token, c.token, TOKEN_SIZE);
  if (key_compare(&key, &system) == 0) return own_record(r, record, err);
  struct dom_err none = {0};
  code = vault_key_exists(r->vault, &key, &none);
  if (code == DOM_NOT_FOUND) return keys_add(&r->absent, &key, err);
  return code == DOM_OK ? DOM_OK : dom_fail(err, code, where, "%s", none.text);
}

static enum dom_code walk_segment(struct restore *r, const char *name, struct dom_err *err) {
  char path[PATH_BYTES];
  uint8_t block[SEGMENT_HEADER_SIZE];
  struct disk_file *file = NULL;
  struct segment_header h;
  struct segment_scan scan;
  struct dom_err why = {0};
  size_t len = 0;
  snprintf(path, sizeof path, "log/%s", name);
  enum dom_code code = disk_open(r->disk, path, DISK_READ, &file, err);
  if (code == DOM_OK) code = disk_read(file, 0, block, sizeof block, &len, err);
  if (code == DOM_OK) {
    code = segment_header_decode(slice_of(block, len), &h, &why);
    if (code == DOM_CORRUPT) {
      code = DOM_OK; /* a spare, or being begun when the power went: nothing in it counts */
    } else if (code == DOM_OK && h.generation > 0) {
      code = segment_scan(file, &h, 0, record_seen, r, &scan, &why);
    }
    if (code == DOM_CORRUPT)
      code =
          dom_fail(err, code, where,
                   "%s is damaged (%s): what was dropped cannot be told for certain; restore the log first",
                   path, why.text);
    else if (code != DOM_OK)
      code = dom_fail(err, code, where, "%s", why.text);
  }
  disk_close(file);
  return code;
}

struct segments {
  struct restore *r;
  uint64_t done;
  enum dom_code code;
  struct dom_err *err;
};

static bool segment_seen(void *arg, const char *name, bool is_dir) {
  struct segments *s = arg;
  size_t len = strlen(name);
  if (is_dir || len < 5 || len > 32 || strcmp(name + len - 4, ".seg") != 0) return true;
  if (s->r->o->progress) s->r->o->progress(s->r->o->arg, "log segments", ++s->done, 0);
  s->code = walk_segment(s->r, name, s->err);
  return s->code == DOM_OK;
}

static enum dom_code walk_log(struct restore *r, struct dom_err *err) {
  struct segments s = {.r = r, .err = err};
  struct dom_err none = {0};
  enum dom_code code = disk_list(r->disk, "log", segment_seen, &s, &none);
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "%s", none.text);
  keys_settle(&r->dropped);
  keys_settle(&r->absent);
  return s.code;
}

/* ---- bringing it up to date ------------------------------------------------------------------ */

/* What has records and no key, and was not dropped: it came after the backup, and is lost with it. */
static enum dom_code check_missing(struct restore *r, struct dom_err *err) {
  for (size_t i = 0; i < r->absent.count; i++) {
    const struct vault_key *key = &r->absent.at[i];
    bool dropped = r->dropped.count > 0 &&
                   bsearch(key, r->dropped.at, r->dropped.count, sizeof *key, key_compare) != NULL;
    if (!dropped && r->report.missing++ == 0) r->report.missing_first = *key;
  }
  if (r->report.missing == 0 || r->o->accept_missing) return DOM_OK;
  BUF_AUTO token = BUF_INIT;
  hex_encode(&token, slice_of(r->report.missing_first.token, VAULT_TOKEN_SIZE));
  return dom_fail(
      err, DOM_REFUSED, where,
      "the backup lacks the keys of %llu (token, epoch) that the log has data of, the first %s epoch "
      "%llu: find a newer backup, or give their data up",
      (unsigned long long)r->report.missing, buf_str(&token),
      (unsigned long long)r->report.missing_first.epoch);
}

static enum dom_code shred_dropped(struct restore *r, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (size_t at = 0; at < r->dropped.count && code == DOM_OK; at += DROP_BATCH) {
    size_t some = r->dropped.count - at < DROP_BATCH ? r->dropped.count - at : DROP_BATCH, dropped = 0;
    code = vault_key_drop(r->vault, r->dropped.at + at, some, &dropped, err);
    r->report.shredded += dropped;
  }
  return code;
}

/* Without the key of the index that counts, an empty one takes its place: the start fills it from the log. */
static enum dom_code settle_index(struct restore *r, struct dom_err *err) {
  uint32_t generation = 0;
  char folder[INDEX_FOLDER_MAX];
  struct dom_err none = {0};
  enum dom_code code = index_pointer_read(r->disk, &generation, &none);
  if (code == DOM_CORRUPT) return DOM_OK; /* the start begins the newest key's anew */
  if (code != DOM_OK) return dom_fail(err, code, where, "%s", none.text);
  struct vault_key slot = vault_index_slot(generation);
  if (vault_key_exists(r->vault, &slot, NULL) == DOM_OK) return DOM_OK;
  index_folder_name(generation, folder);
  code = vault_key_create(r->vault, &slot, err);
  if (code == DOM_OK) code = index_folder_remove(r->disk, folder, err);
  if (code == DOM_OK) r->report.index_rebuilt = true;
  return code;
}

/* ---- the place ------------------------------------------------------------------------------- */

static enum dom_code folder_clear(struct disk *disk, const char *folder, struct dom_err *err) {
  static const char *const names[] = {"slots-0", "slots-1", "slots-0.new", "slots-1.new"};
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < 4 && code == DOM_OK; i++) {
    char path[PATH_BYTES];
    struct dom_err absent = {0};
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    code = disk_unlink(disk, path, &absent);
    if (code == DOM_NOT_FOUND) code = DOM_OK;
    if (code != DOM_OK) return dom_fail(err, code, where, "%s", absent.text);
  }
  struct disk_info info;
  if (disk_stat(disk, folder, &info, NULL) != DOM_OK) return DOM_OK;
  code = disk_rmdir(disk, folder, err);
  return code == DOM_OK ? disk_dir_sync(disk, "", err) : code;
}

static enum dom_code check_place(struct restore *r, struct dom_err *err) {
  struct disk_info info;
  if (disk_stat(r->disk, PLACE "/slots-0", &info, NULL) == DOM_OK ||
      disk_stat(r->disk, PLACE "/slots-1", &info, NULL) == DOM_OK)
    return dom_fail(
        err, DOM_EXISTS, where,
        "the region has a vault: one file of the two is enough, the start makes the other again. To put "
        "the backup in its place, move DATA/" PLACE " away first");
  enum dom_code code = folder_clear(r->disk, PLACE, err);
  return code == DOM_OK ? folder_clear(r->disk, MADE, err) : code;
}

static enum dom_code fill(struct restore *r, struct dom_err *err) {
  struct vault_options o = {
      .disk = r->disk, .folder = MADE, .region = r->o->store.region, .kek = r->o->store.kek, .create = true};
  enum dom_code code = vault_open(&o, &r->vault, err);
  if (code == DOM_OK) code = vault_restore(r->vault, &r->o->from, &r->report.backup, err);
  if (code == DOM_OK) code = walk_log(r, err);
  if (code == DOM_OK && r->o->judge) code = r->o->judge(r->o->arg, &r->report.backup, err);
  if (code == DOM_OK) code = check_missing(r, err);
  if (code == DOM_OK) code = shred_dropped(r, err);
  if (code == DOM_OK) code = settle_index(r, err);
  vault_close(r->vault);
  return code;
}

static enum dom_code run(struct restore *r, struct dom_err *err) {
  enum dom_code code = superblock_open(r->disk, r->o->store.deployment, r->o->store.region, err);
  if (code == DOM_OK) code = check_place(r, err);
  if (code != DOM_OK) return code;
  code = fill(r, err);
  if (code != DOM_OK) {
    (void)folder_clear(r->disk, MADE, NULL); /* a vault that will not do leaves nothing to be opened */
    return code;
  }
  code = disk_rename(r->disk, MADE, PLACE, err);
  return code == DOM_OK ? disk_dir_sync(r->disk, "", err) : code;
}

enum dom_code store_vault_restore(const struct store_vault_options *options, struct store_vault_report *out,
                                  struct dom_err *err) {
  assert(options && options->store.disk && options->store.kek && out);
  struct restore r = {.o = options, .disk = options->store.disk};
  struct disk_file *lock = NULL;
  struct disk_info info;
  if (disk_stat(r.disk, "superblock.1", &info, NULL) != DOM_OK &&
      disk_stat(r.disk, "superblock.2", &info, NULL) != DOM_OK)
    return dom_fail(err, DOM_NOT_FOUND, where, "no data folder of a region here: restore its log first");
  enum dom_code code = superblock_lock(r.disk, &lock, err);
  if (code == DOM_OK) code = run(&r, err);
  disk_close(lock);
  record_plain_done(&r.plain);
  dom_free(r.dropped.at);
  dom_free(r.absent.at);
  if (code == DOM_OK) *out = r.report;
  return code;
}
