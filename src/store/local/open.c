#include <assert.h>

#include "base/alloc.h"
#include "store/local/engine.h"
#include "store/local/superblock.h"

static const char where[] = "store/open";

/* ---- making a region's folder ---- */

static enum dom_code key_ensure(struct vault *vault, struct vault_key key, struct dom_err *err) {
  enum dom_code code = vault_key_exists(vault, &key, NULL);
  if (code != DOM_NOT_FOUND) return code;
  return vault_key_create(vault, &key, err);
}

/* Vault and its first keys, then the superblock: a folder without one is not a region yet, and
 * making it begins again. */
static enum dom_code region_create(struct store *s, struct dom_err *err) {
  struct vault_options o = {
      .disk = s->o.disk, .folder = "vault", .region = s->o.region, .kek = s->o.kek, .create = true};
  enum dom_code code = vault_open(&o, &s->vault, err);
  if (code == DOM_OK) code = key_ensure(s->vault, vault_system_key(), err);
  if (code == DOM_OK) code = key_ensure(s->vault, vault_index_slot(1), err);
  if (code == DOM_OK) code = disk_mkdir(s->o.disk, "bodies", err);
  if (code == DOM_OK) code = disk_dir_sync(s->o.disk, ".", err);
  if (code == DOM_OK) code = superblock_create(s->o.disk, s->o.deployment, s->o.region, err);
  return code;
}

static enum dom_code region_open(struct store *s, struct dom_err *err) {
  struct dom_err why = {0};
  enum dom_code code = superblock_lock(s->o.disk, &s->lock, err);
  if (code != DOM_OK) return code;
  struct disk_info info;
  if (!s->o.repairing && disk_stat(s->o.disk, STORE_REPAIR_PENDING, &info, NULL) == DOM_OK)
    return dom_fail(err, DOM_CORRUPT, where,
                    "a repair of this folder was begun and not finished: run fsck --repair again");
  code = superblock_open(s->o.disk, s->o.deployment, s->o.region, &why);
  if (code == DOM_NOT_FOUND && s->o.create) return region_create(s, err);
  if (code != DOM_OK) return dom_fail(err, code, where, "%s", why.text);
  struct vault_options o = {.disk = s->o.disk, .folder = "vault", .region = s->o.region, .kek = s->o.kek};
  return vault_open(&o, &s->vault, err);
}

/* ---- index ---- */

static enum dom_code index_start(struct store *s, struct dom_err *err) {
  uint8_t key[KEY_SIZE];
  char folder[INDEX_FOLDER_MAX];
  enum dom_code code = vault_index_key(s->vault, s->index_generation, key, err);
  if (code != DOM_OK) return code;
  index_folder_name(s->index_generation, folder);
  struct index_options o = {
      .disk = s->o.disk, .folder = folder, .key = key, .inline_threads = s->o.inline_threads};
  code = disk_mkdir(s->o.disk, folder, err);
  if (code == DOM_OK) code = disk_dir_sync(s->o.disk, ".", err);
  if (code == DOM_OK) code = index_open(&o, &s->index, err);
  wipe(key, sizeof key);
  return code;
}

/* Finds out which index counts and removes what does not. Without a readable pointer none does:
 * the newest key's index begins anew. */
static enum dom_code index_choose(struct store *s, struct dom_err *err) {
  struct dom_err why = {0};
  char folder[INDEX_FOLDER_MAX];
  enum dom_code code = index_pointer_read(s->o.disk, &s->index_generation, &why);
  if (code == DOM_CORRUPT) {
    code = vault_index_newest(s->vault, &s->index_generation, err);
    if (code != DOM_OK) return code;
    index_folder_name(s->index_generation, folder);
    code = index_destroy(s->o.disk, folder, err);
    if (code == DOM_OK) code = index_pointer_write(s->o.disk, s->index_generation, err);
  } else if (code != DOM_OK) {
    return dom_fail(err, code, why.where, "%s", why.text);
  }
  return code == DOM_OK ? index_leftovers_remove(s->o.disk, s->vault, s->index_generation, err) : code;
}

static enum dom_code index_restart_empty(struct store *s, struct dom_err *err) {
  apply_free(s->apply);
  s->apply = NULL;
  index_close(s->index);
  s->index = NULL;
  char folder[INDEX_FOLDER_MAX];
  index_folder_name(s->index_generation, folder);
  enum dom_code code = index_destroy(s->o.disk, folder, err);
  return code == DOM_OK ? index_start(s, err) : code;
}

/* Reads, or makes, the number that tells this index from one that was rebuilt. */
static enum dom_code birth_load(struct store *s, struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  INDEX_VIEW_AUTO v = {0};
  INDEX_BATCH_AUTO b = {0};
  uint8_t key[2] = {ROW_META, ROW_META_BIRTH}, orphans[2] = {ROW_META, ROW_META_ORPHANS}, fresh[8];
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_get(&v, slice_of(key, 2), &value, err);
  if (code == DOM_OK && value.len == 8) {
    s->index_birth = load_u64le(value.data);
    code = index_has(&v, slice_of(orphans, 2), err);
    s->orphans_pending = code == DOM_OK;
    return code == DOM_NOT_FOUND ? DOM_OK : code;
  }
  if (code != DOM_NOT_FOUND) return code == DOM_OK ? dom_fail(err, DOM_CORRUPT, where, "birth row") : code;
  random_bytes(fresh, sizeof fresh);
  s->index_birth = load_u64le(fresh);
  code = index_batch_init(&b, s->index, err);
  if (code != DOM_OK) return code;
  index_put(&b, slice_of(key, 2), slice_of(fresh, 8));
  index_put(&b, slice_of(orphans, 2), (struct slice){0}); /* a fresh index knows no earlier bodies */
  s->orphans_pending = true;
  code = index_write(s->index, &b, err);
  /* Durable at once: what a crash takes of it later is replayed in full, so it is no rebirth. */
  return code == DOM_OK ? index_flush(s->index, err) : code;
}

/* ---- replay ---- */

struct replay {
  struct store *store;
  struct index_view view;
  struct index_batch batch;
  struct record_plain plain;
  struct prev prev;
  uint32_t position;
  uint64_t records;
};

static enum dom_code replay_record(struct replay *r, const struct log_record *rec, struct dom_err *err) {
  struct change c;
  struct dom_err why = {0};
  uint32_t head = 0;
  struct store *s = r->store;
  enum dom_code code = record_peek(rec->type, rec->payload, &c, &head, err);
  if (code != DOM_OK) return code;
  code = record_decode(s->vault, rec->type, rec->payload, &r->plain, &c, &why);
  if (code == DOM_NOT_FOUND) { /* its key was shredded: dead */
    c.bodies = r->plain.bodies;
    apply_dead(&r->batch, &c);
    return DOM_OK;
  }
  if (code != DOM_OK)
    return dom_fail(err, code, where, "segment %u offset %u: %s", rec->at.segment, rec->at.offset, why.text);
  record_order_resolve(&c, rec->lsn);
  code = prev_read(&r->view, &c, &r->prev, err);
  if (code != DOM_OK) return code;
  struct apply_at at = {.lsn = rec->lsn, .position = r->position, .head = head, .at = rec->at};
  return apply_change(s->apply, &r->batch, &c, &r->prev, &at, err);
}

/* One index batch a commit: prev_read must see the commits before. */
static enum dom_code replay_step(void *arg, const struct log_record *rec, bool commit_ends,
                                 struct dom_err *err) {
  struct replay *r = arg;
  assert(rec->lsn > 0);
  enum dom_code code = replay_record(r, rec, err);
  r->position++;
  r->records++;
  if (code != DOM_OK || !commit_ends) return code;
  r->position = 0;
  apply_finish(r->store->apply, &r->batch, rec->lsn);
  return index_write(r->store->index, &r->batch, err);
}

static enum dom_code log_start(struct store *s, uint64_t applied, struct dom_err *err) {
  struct replay r = {.store = s};
  struct log_options o = {.disk = s->o.disk, .folder = "log", .segment_bytes = s->o.segment_bytes};
  enum dom_code code = index_view_init(&r.view, s->index, false, err);
  if (code == DOM_OK) code = index_batch_init(&r.batch, s->index, err);
  if (code == DOM_OK) code = log_open(&o, applied, replay_step, &r, &s->log, err);
  index_batch_done(&r.batch);
  index_view_done(&r.view);
  record_plain_done(&r.plain);
  prev_done(&r.prev);
  return code;
}

static enum dom_code applied_load(struct store *s, uint64_t *out, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  *out = 0;
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = apply_lsn_read(&v, out, err);
  if (code == DOM_NOT_FOUND) code = DOM_OK;
  if (code == DOM_OK) code = apply_new(s->index, &s->apply, err);
  return code;
}

/* Index and log together: a lost or damaged index, or one ahead of the log, begins anew. */
static enum dom_code views_open(struct store *s, struct dom_err *err) {
  struct dom_err why = {0};
  uint64_t applied = 0;
  enum dom_code code = index_start(s, &why);
  if (code == DOM_OK) code = applied_load(s, &applied, &why);
  if (code == DOM_CORRUPT) {
    applied = 0;
    code = index_restart_empty(s, err);
    if (code == DOM_OK) code = applied_load(s, &applied, err);
  } else if (code != DOM_OK) {
    return dom_fail(err, code, where, "%s", why.text);
  }
  if (code == DOM_OK) code = log_start(s, applied, err);
  if (code == DOM_OK && log_last_lsn(s->log) < applied) {
    log_close(s->log);
    s->log = NULL;
    code = index_restart_empty(s, err);
    if (code == DOM_OK) code = applied_load(s, &applied, err);
    if (code == DOM_OK) code = log_start(s, 0, err);
  }
  s->flushed_lsn = code == DOM_OK ? applied : 0;
  return code;
}

/* ---- facade ---- */

static enum dom_code entries_load(struct store *s, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  uint8_t beyond[1] = {ROW_ENTRY + 1};
  BUF_AUTO key = BUF_INIT;
  enum dom_code code = index_view_init(&v, s->index, false, err);
  if (code == DOM_OK) code = index_last_before(&v, slice_of(beyond, 1), &key, err);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code == DOM_OK && key.len == 13 && key.data[0] == ROW_ENTRY)
    writer_entry_note(s->writer, load_u64be(key.data + 1));
  return code;
}

static enum dom_code store_start(struct store *s, struct dom_err *err) {
  enum dom_code code = region_open(s, err);
  if (code == DOM_OK) code = index_choose(s, err);
  if (code == DOM_OK) code = views_open(s, err);
  if (code == DOM_OK) code = birth_load(s, err);
  if (code != DOM_OK) return code;
  struct writer_options o = {
      .log = s->log, .index = s->index, .apply = s->apply, .inline_threads = s->o.inline_threads};
  s->open_lsn = log_last_lsn(s->log);
  code = writer_open(&o, &s->writer, err);
  if (code == DOM_OK) code = entries_load(s, err);
  if (code == DOM_OK) code = erase_resume(s, err);
  if (code == DOM_OK) code = upkeep_start(s, err);
  return code;
}

/* Waits by it must not grow when somebody sets the wall clock back. */
static void monotonic_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);
  rc |= pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  rc |= pthread_cond_init(cond, &attr);
  assert(rc == 0);
  (void)rc;
  pthread_condattr_destroy(&attr);
}

enum dom_code store_open(const struct store_options *options, struct store **out, struct dom_err *err) {
  assert(options->disk && options->clock && options->kek);
  struct store *s = dom_calloc(1, sizeof *s);
  if (!s) return dom_fail(err, DOM_NO_MEMORY, where, "store");
  s->o = *options;
  if (!s->o.segment_bytes) s->o.segment_bytes = LOG_SEGMENT_DEFAULT;
  if (!s->o.reserve_bytes) s->o.reserve_bytes = STORE_RESERVE_DEFAULT;
  s->space_unseen = s->o.reserve_bytes; /* the first put looks */
  pthread_mutex_init(&s->mark_lock, NULL);
  pthread_mutex_init(&s->body_lock, NULL);
  pthread_mutex_init(&s->erase_lock, NULL);
  pthread_mutex_init(&s->upkeep_lock, NULL);
  pthread_mutex_init(&s->collect_lock, NULL);
  pthread_mutex_init(&s->stop_lock, NULL);
  monotonic_init(&s->stop_asked);
  enum dom_code code = store_start(s, err);
  if (code != DOM_OK) {
    store_close(s);
    return code;
  }
  *out = s;
  return DOM_OK;
}

void store_close(struct store *s) {
  if (!s) return;
  upkeep_stop(s);
  compact_free(s->compact);
  bool flush = s->writer != NULL && writer_ok(s->writer);
  writer_close(s->writer);
  if (flush) index_flush(s->index, NULL); /* where it fails the next start replays more */
  apply_free(s->apply);
  index_close(s->index);
  log_close(s->log);
  vault_close(s->vault);
  disk_close(s->lock);
  assert(s->marks == NULL); /* no view or found object may be left */
  pthread_mutex_destroy(&s->mark_lock);
  pthread_mutex_destroy(&s->body_lock);
  pthread_mutex_destroy(&s->erase_lock);
  pthread_mutex_destroy(&s->upkeep_lock);
  pthread_mutex_destroy(&s->collect_lock);
  pthread_mutex_destroy(&s->stop_lock);
  pthread_cond_destroy(&s->stop_asked);
  dom_free(s);
}

struct vault *store_vault(struct store *s) {
  return s->vault;
}

uint16_t store_region(const struct store *s) {
  return s->o.region;
}

uint64_t store_index_birth(const struct store *s) {
  return s->index_birth;
}

bool store_writable(const struct store *s) {
  return writer_ok(s->writer);
}

static bool segment_count(void *arg, const struct log_segment_info *info) {
  struct store_stats *out = arg;
  out->segments++;
  if (!info->free) out->log_bytes += info->bytes;
  return true;
}

void store_stats(struct store *s, struct store_stats *out) {
  struct writer_stats w;
  struct store_stats stats = {.applied_lsn = writer_applied(s->writer), .writable = writer_ok(s->writer)};
  writer_stats(s->writer, &w);
  stats.batches = w.batches;
  stats.commits = w.commits;
  stats.retries = w.retries;
  stats.log_live_bytes = apply_live_bytes(s->apply);
  log_segments(s->log, segment_count, &stats);
  if (disk_free_bytes(s->o.disk, &stats.free_bytes, NULL) != DOM_OK) stats.free_bytes = 0;
  *out = stats;
}
