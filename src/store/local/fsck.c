#include "store/local/fsck.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/local/superblock.h"

static const char where[] = "store/fsck";

void fsck_find(struct fsck *f, const char *format, ...) {
  char text[DOM_ERR_TEXT_MAX];
  va_list args;
  if (!f->found) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  f->found(f->arg, text);
}

void fsck_progress(struct fsck *f, const char *stage, uint64_t done, uint64_t total) {
  assert(done <= total || total == 0);
  if (f->progress) f->progress(f->arg, stage, done, total);
}

/* ---- superblock and vault ---- */

static enum dom_code superblocks_check(struct fsck *f, struct dom_err *err) {
  uint32_t good = 0;
  enum dom_code code = superblock_check(f->o.disk, &good, err);
  if (code != DOM_OK) return code;
  f->report.superblock_ok = good == 2;
  if (good < 2)
    fsck_find(f, "superblock: %u of 2 copies are good; the next start repairs one from the other", good);
  return DOM_OK;
}

static bool slot_found(void *arg, uint32_t slot) {
  fsck_find(arg, "vault slot %u: damaged in both files; restore the vault, or give the slot up", slot);
  return true;
}

static enum dom_code vault_check(struct fsck *f, struct dom_err *err) {
  struct vault_options o = {.disk = f->o.disk, .folder = "vault", .region = f->o.region, .kek = f->o.kek};
  struct vault_stats stats;
  enum dom_code code = vault_open(&o, &f->vault, err);
  if (code != DOM_OK) return code;
  vault_stats(f->vault, &stats);
  f->report.vault_ok = stats.slots_damaged == 0;
  if (stats.slots_repaired)
    fsck_find(f, "vault: %llu copies of slots were bad or older and are repaired",
              (unsigned long long)stats.slots_repaired);
  vault_damage_each(f->vault, slot_found, f);
  return DOM_OK;
}

/* ---- index files ---- */

/* Reads every row, so that every block's checksum is verified. */
static enum dom_code index_read(struct fsck *f, struct index *x, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  const uint8_t first[1] = {0};
  uint64_t rows = 0;
  enum dom_code code = index_view_init(&v, x, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(first, 1)); it.valid; index_next(&it)) {
    if (++rows % 4096 == 0) fsck_progress(f, "index", rows, 0);
  }
  return index_iter_check(&it, err);
}

static enum dom_code index_check(struct fsck *f, struct dom_err *err) {
  char folder[INDEX_FOLDER_MAX];
  uint8_t key[KEY_SIZE];
  uint32_t generation = 0;
  struct index *x = NULL;
  struct dom_err why = {0};
  enum dom_code code = index_pointer_read(f->o.disk, &generation, &why);
  if (code == DOM_OK) code = vault_index_key(f->vault, generation, key, &why);
  if (code == DOM_OK) {
    index_folder_name(generation, folder);
    struct index_options o = {.disk = f->o.disk, .folder = folder, .key = key, .inline_threads = true};
    code = index_open(&o, &x, &why);
    wipe(key, sizeof key);
  }
  if (code == DOM_OK) code = index_read(f, x, &why);
  index_close(x);
  f->report.index_ok = code == DOM_OK;
  if (code == DOM_OK) return DOM_OK;
  if (code == DOM_NO_MEMORY) return dom_fail(err, code, where, "%s", why.text);
  fsck_find(f, "index: damaged or lost (%s); rebuild it from the log: fsck --rebuild-index", why.text);
  return DOM_OK;
}

static enum dom_code index_remove(struct fsck *f, struct dom_err *err) {
  char folder[INDEX_FOLDER_MAX];
  uint32_t generation = 0;
  enum dom_code code = index_pointer_read(f->o.disk, &generation, NULL);
  if (code == DOM_CORRUPT) return DOM_OK; /* the start makes the newest key's anew */
  if (code != DOM_OK) return dom_fail(err, code, where, "index.current cannot be read");
  index_folder_name(generation, folder);
  return index_folder_remove(f->o.disk, folder, err);
}

/* ---- the parts before and after the region is opened ---- */

static enum dom_code closed_check(struct fsck *f, bool rebuild, struct dom_err *err) {
  struct disk_file *lock = NULL;
  struct disk_info info;
  if (disk_stat(f->o.disk, "superblock.1", &info, NULL) != DOM_OK &&
      disk_stat(f->o.disk, "superblock.2", &info, NULL) != DOM_OK)
    return dom_fail(err, DOM_NOT_FOUND, where, "no data folder here");
  enum dom_code code = superblock_lock(f->o.disk, &lock, err);
  if (code == DOM_OK) code = superblocks_check(f, err);
  if (code == DOM_OK) code = superblock_open(f->o.disk, f->o.deployment, f->o.region, err);
  if (code == DOM_OK) code = vault_check(f, err);
  if (code == DOM_OK) code = fsck_log(f, err);
  if (code == DOM_OK && rebuild && !f->log_ok)
    code = dom_fail(err, DOM_CORRUPT, where,
                    "the log is damaged: an index rebuilt from it would lack what it lost");
  if (code == DOM_OK) code = rebuild ? index_remove(f, err) : index_check(f, err);
  vault_close(f->vault);
  f->vault = NULL;
  disk_close(lock);
  return code;
}

static enum dom_code orphans_remove(struct fsck *f, struct store *s, struct dom_err *err) {
  bool did = true;
  uint64_t count = 0;
  enum dom_code code = orphans_collect(s, &did, &count, err);
  /* No finding: a kill leaves such files now and then, and a rebuilt index forgets those that were to go. */
  if (code == DOM_OK && count > 0) fsck_progress(f, "body files that no row names: removed", count, count);
  while (code == DOM_OK && did) code = upkeep_collect(s, &did, err);
  return code == DOM_OK ? upkeep_flush(s, err) : code;
}

static enum dom_code open_check(struct fsck *f, bool rebuild, struct dom_err *err) {
  struct store *s = NULL;
  struct dom_err why = {0};
  struct store_options o = f->o;
  o.inline_threads = true; /* nothing moves but what is called here */
  o.create = false;
  enum dom_code code = store_open(&o, &s, &why);
  if (code == DOM_CORRUPT) {
    f->log_ok = false;
    fsck_find(f, "%s", why.text);
    return DOM_OK;
  }
  if (code != DOM_OK) return dom_fail(err, code, why.where ? why.where : where, "%s", why.text);
  if (rebuild) {
    f->report.index_ok = true;
    code = orphans_remove(f, s, err);
  }
  if (code == DOM_OK) code = fsck_rows(f, s, err);
  store_close(s);
  return code;
}

enum dom_code store_fsck(const struct store_options *options, bool rebuild_index, store_finding_fn found,
                         store_progress_fn progress, void *arg, struct store_fsck_report *out,
                         struct dom_err *err) {
  struct fsck f = {.o = *options, .found = found, .progress = progress, .arg = arg, .log_ok = true};
  assert(out != NULL);
  enum dom_code code = closed_check(&f, rebuild_index, err);
  if (code == DOM_OK && f.log_ok && (f.report.index_ok || rebuild_index))
    code = open_check(&f, rebuild_index, err);
  if (code == DOM_OK) *out = f.report;
  return code;
}
