/* Repair of a region's log: the plan, and its steps in an order that a crash may cut anywhere.
 *
 * The marker first: from then on only a repair opens the store. Then, for each hole, the copy of its segment
 * and the bridge; then the rows, each in a commit of its own; last the index flushed and the marker gone.
 * Each step looks for what is left to do, so that the next run goes on where this one ended. */
#include <assert.h>
#include <stdio.h>

#include "store/local/repair.h"
#include "store/local/superblock.h"

static const char where[] = "store/repair";

struct repair {
  struct store_options o;
  const struct store_repair *r;
  struct repair_holes holes; /* those with something to do */
  bool pending;
  struct store_repair_report report;
};

static void say(const struct repair *p, const char *text) {
  if (p->r->step) p->r->step(p->r->arg, text);
}

/* ---- the plan ---- */

/* Bridges of a repair that was finished hold nothing that a row names. */
static void holes_open(struct repair *p) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < p->holes.count; i++)
    if (p->pending || !p->holes.at[i].bridged) p->holes.at[kept++] = p->holes.at[i];
  p->holes.count = kept;
  p->report.holes = kept;
  for (uint32_t i = 0; i < kept; i++)
    p->report.changes += p->holes.at[i].last_lsn - p->holes.at[i].first_lsn + 1;
}

static uint64_t last_lost(const struct repair *p) {
  uint64_t last = 0;
  for (uint32_t i = 0; i < p->holes.count; i++)
    if (p->holes.at[i].last_lsn > last) last = p->holes.at[i].last_lsn;
  return last;
}

/* What the index had not taken in when the region stopped stood in the log alone. */
static enum dom_code applied_check(struct repair *p, struct index *x, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  uint64_t applied = 0;
  enum dom_code code = index_view_init(&v, x, false, err);
  if (!code) code = apply_lsn_read(&v, &applied, err);
  if (code == DOM_NOT_FOUND) code = dom_fail(err, DOM_CORRUPT, where, "the index is empty");
  if (code) return code;
  if (applied >= last_lost(p)) return DOM_OK;
  return dom_fail(
      err, DOM_CORRUPT, where,
      "changes up to LSN %llu are damaged, and the index knows those up to %llu only: nothing says what "
      "the rest was; restore this folder from its backup",
      (unsigned long long)last_lost(p), (unsigned long long)applied);
}

static enum dom_code index_tally(struct repair *p, struct vault *vault, struct dom_err *err) {
  char folder[INDEX_FOLDER_MAX];
  uint8_t key[KEY_SIZE];
  uint32_t generation = 0;
  struct index *x = NULL;
  struct repair_tally t = {0};
  enum dom_code code = index_pointer_read(p->o.disk, &generation, err);
  if (!code) code = vault_index_key(vault, generation, key, err);
  if (code) return code;
  index_folder_name(generation, folder);
  struct index_options o = {.disk = p->o.disk, .folder = folder, .key = key, .inline_threads = true};
  struct disk_info info;
  code = disk_stat(p->o.disk, folder, &info, NULL) == DOM_OK
             ? index_open(&o, &x, err)
             : dom_fail(err, DOM_CORRUPT, where, "the index folder is gone");
  wipe(key, sizeof key);
  if (!code) code = applied_check(p, x, err);
  if (!code) code = repair_rows_tally(x, &p->holes, p->r->lost, p->r->arg, &t, err);
  index_close(x);
  p->report.saved = t.saved;
  p->report.objects = t.objects;
  p->report.uploads = t.uploads;
  p->report.entries = t.entries;
  return code;
}

static enum dom_code index_plan(struct repair *p, struct dom_err *err) {
  struct vault_options o = {.disk = p->o.disk, .folder = "vault", .region = p->o.region, .kek = p->o.kek};
  struct vault *vault = NULL;
  struct dom_err why = {0};
  enum dom_code code = vault_open(&o, &vault, err);
  if (code) return code;
  code = index_tally(p, vault, &why);
  vault_close(vault);
  if (!code) return DOM_OK;
  if (code != DOM_CORRUPT || p->holes.count) return dom_fail(err, code, where, "%s", why.text);
  p->report.index_lost = true;
  return DOM_OK;
}

static void plan_say(const struct repair *p) {
  char text[DOM_ERR_TEXT_MAX];
  for (uint32_t i = 0; i < p->holes.count; i++) {
    const struct repair_hole *h = &p->holes.at[i];
    snprintf(text, sizeof text,
             "segment %u, bytes %llu to %llu: LSN %llu to %llu are damaged: keep a copy in " REPAIR_FOLDER
             "/, bridge them",
             h->segment, (unsigned long long)h->from, (unsigned long long)h->to,
             (unsigned long long)h->first_lsn, (unsigned long long)h->last_lsn);
    say(p, text);
  }
  if (p->pending) say(p, "a repair was begun before: go on with it");
  if (p->report.index_lost) say(p, "the index is lost or damaged: make it again from the log");
  if (p->holes.count == 0) return;
  snprintf(
      text, sizeof text,
      "%llu rows are known to the index in full: write them to the log again; %llu object versions, %llu "
      "uploads in progress and %llu texts of ledger entries are lost",
      (unsigned long long)p->report.saved, (unsigned long long)p->report.objects,
      (unsigned long long)p->report.uploads, (unsigned long long)p->report.entries);
  say(p, text);
}

static enum dom_code plan(struct repair *p, struct dom_err *err) {
  struct disk_info info;
  p->pending = disk_stat(p->o.disk, STORE_REPAIR_PENDING, &info, NULL) == DOM_OK;
  enum dom_code code = superblock_open(p->o.disk, p->o.deployment, p->o.region, err);
  if (!code) code = repair_holes_find(p->o.disk, &p->holes, err);
  if (code) return code;
  holes_open(p);
  code = index_plan(p, err);
  if (!code) plan_say(p);
  return code;
}

/* ---- its steps ---- */

static enum dom_code bridge_all(struct repair *p, struct dom_err *err) {
  struct disk *disk = p->o.disk;
  enum dom_code code = disk_mkdir(disk, REPAIR_FOLDER, err);
  if (!code) code = disk_dir_sync(disk, ".", err);
  if (!code) code = disk_replace_file(disk, STORE_REPAIR_PENDING, SLICE_LIT("fsck --repair\n"), err);
  for (uint32_t i = 0; !code && i < p->holes.count; i++) {
    if (p->holes.at[i].bridged) continue;
    code = repair_segment_keep(disk, &p->holes.at[i], err);
    if (!code) code = repair_bridge_write(disk, &p->holes.at[i], err);
  }
  return code;
}

static enum dom_code rows_mend(struct repair *p, struct dom_err *err) {
  struct store_options o = p->o;
  struct store *s = NULL;
  o.inline_threads = true;
  o.create = false;
  o.repairing = true;
  enum dom_code code = store_open(&o, &s, err);
  if (code) return code;
  code = repair_rows_mend(s, &p->holes, err);
  if (!code) code = upkeep_flush(s, err);
  if (!code) code = disk_unlink(p->o.disk, STORE_REPAIR_PENDING, err);
  if (!code) code = disk_dir_sync(p->o.disk, ".", err);
  store_close(s);
  return code;
}

static enum dom_code plan_locked(struct repair *p, struct dom_err *err) {
  struct disk_file *lock = NULL;
  enum dom_code code = superblock_lock(p->o.disk, &lock, err);
  if (!code) code = plan(p, err);
  if (!code && p->r->apply && (p->holes.count || p->pending)) code = bridge_all(p, err);
  disk_close(lock);
  return code;
}

enum dom_code store_repair(const struct store_options *options, const struct store_repair *r,
                           struct store_repair_report *out, struct dom_err *err) {
  struct repair p = {.o = *options, .r = r};
  struct store_fsck_report unused;
  assert(r && out);
  enum dom_code code = plan_locked(&p, err);
  if (!code && r->apply && (p.holes.count || p.pending)) code = rows_mend(&p, err);
  if (!code && r->apply && p.report.index_lost)
    code = store_fsck(options, true, NULL, NULL, NULL, &unused, err);
  repair_holes_done(&p.holes);
  if (!code) *out = p.report;
  return code;
}
