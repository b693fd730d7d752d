#include "store/local/index_db.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Short scans and point reads; 10 bits a key keep false positives near 1 %. */
enum { BLOOM_BITS = 10, BLOCK_BYTES = 8192, FILES_MAX = 512, BACKGROUND_JOBS = 2 };
#define MEMTABLE_BLOOM_SHARE 0.02 /* of a memtable: 10 bits for each row of a hundred bytes and more */

/* Takes RocksDB's malloc'ed text. */
enum dom_code index_fail(char *text, enum dom_code code, const char *where, struct dom_err *err) {
  assert(text != NULL);
  /* A file that another names but is not there: a part of the index is lost. */
  bool lost = strstr(text, "No such file or directory") != NULL;
  if (lost || strncmp(text, "Corruption", 10) == 0) code = DOM_CORRUPT;
  code = dom_fail(err, code, where, "%s", text);
  rocksdb_free(text);
  return code;
}

static void options_set(struct index_db *x, bool inline_threads) {
  rocksdb_options_t *o = x->options;
  rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
  assert(o != NULL && table != NULL);
  rocksdb_block_based_options_set_block_cache(table, x->cache);
  rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
  rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
  rocksdb_block_based_options_set_format_version(table, 5);
  rocksdb_options_set_block_based_table_factory(o, table);
  rocksdb_block_based_options_destroy(table);
  rocksdb_options_set_create_if_missing(o, 1);
  rocksdb_options_set_paranoid_checks(o, 1);
  rocksdb_options_set_compression(o, rocksdb_lz4_compression);
  rocksdb_options_set_write_buffer_size(o, INDEX_MEMTABLE_BYTES);
  rocksdb_options_set_max_write_buffer_number(o, 3);
  /* Most reads of a request are for rows that were written long ago, or are not there. */
  rocksdb_options_set_memtable_whole_key_filtering(o, 1);
  rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, MEMTABLE_BLOOM_SHARE);
  rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
  rocksdb_options_set_max_open_files(o, FILES_MAX);
  rocksdb_options_set_max_background_jobs(o, inline_threads ? 1 : BACKGROUND_JOBS);
  rocksdb_options_set_info_log_level(o, 4); /* its text log is nobody's: errors reach us as codes */
  rocksdb_options_set_keep_log_file_num(o, 1);
  rocksdb_options_set_stats_dump_period_sec(o, 0);
  rocksdb_options_set_stats_persist_period_sec(o, 0);
}

/* A call that waits for RocksDB's background work, which under simulation runs inside it. */
struct call {
  struct index_db *x;
  char *text;
};

static void open_call(void *arg) {
  struct call *c = arg;
  assert(c->x->db == NULL);
  c->x->db = rocksdb_open(c->x->options, rocksdb_fs_path(c->x->fs), &c->text);
}

static void close_call(void *arg) {
  struct call *c = arg;
  assert(c->x->db != NULL);
  rocksdb_cancel_all_background_work(c->x->db, 1);
  rocksdb_close(c->x->db);
}

static void flush_call(void *arg) {
  struct call *c = arg;
  rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
  assert(o != NULL);
  rocksdb_flushoptions_set_wait(o, 1);
  rocksdb_flush(c->x->db, o, &c->text);
  rocksdb_flushoptions_destroy(o);
}

enum dom_code index_db_open(const struct index_options *o, struct index_db **out, struct dom_err *err) {
  static const char where[] = "store/index: open";
  struct index_db *x = dom_calloc(1, sizeof *x);
  if (!x) return dom_fail(err, DOM_NO_MEMORY, where, "index");
  struct call call = {.x = x};
  x->refs = 1;
  x->options = rocksdb_options_create();
  x->cache = rocksdb_cache_create_lru(INDEX_CACHE_BYTES);
  x->write_options = rocksdb_writeoptions_create();
  rocksdb_writeoptions_disable_WAL(x->write_options, 1);
  options_set(x, o->inline_threads);
  enum dom_code code =
      rocksdb_fs_attach(x->options, o->disk, o->folder, o->key, o->inline_threads, &x->fs, err);
  if (code == DOM_OK) code = rocksdb_fs_call(x->fs, open_call, &call, err);
  if (call.text) code = index_fail(call.text, DOM_IO, where, err);
  if (code != DOM_OK) {
    index_db_close(x);
    return code;
  }
  *out = x;
  return DOM_OK;
}

void index_db_close(struct index_db *x) {
  if (!x) return;
  struct call call = {.x = x};
  assert(x->refs == 1);
  /* Without memory for the helper thread of a simulation the database stays open: a leak is
   * better than jobs that nobody runs. */
  if (x->db && rocksdb_fs_call(x->fs, close_call, &call, NULL) != DOM_OK) return;
  rocksdb_options_destroy(x->options);
  rocksdb_cache_destroy(x->cache);
  rocksdb_writeoptions_destroy(x->write_options);
  rocksdb_fs_free(x->fs);
  dom_free(x);
}

enum dom_code index_db_flush(struct index_db *x, struct dom_err *err) {
  struct call call = {.x = x};
  assert(x->db != NULL);
  enum dom_code code = rocksdb_fs_call(x->fs, flush_call, &call, err);
  return call.text ? index_fail(call.text, DOM_IO, "store/index: flush", err) : code;
}

enum dom_code index_open(const struct index_options *o, struct index **out, struct dom_err *err) {
  struct index *x = dom_calloc(1, sizeof *x);
  if (!x) return dom_fail(err, DOM_NO_MEMORY, "store/index: open", "index");
  enum dom_code code = row_cache_new(&x->rows, err);
  if (code == DOM_OK) code = index_db_open(o, &x->db, err);
  if (code != DOM_OK) {
    row_cache_free(x->rows);
    dom_free(x);
    return code;
  }
  pthread_mutex_init(&x->lock, NULL);
  index_replace_init(x);
  *out = x;
  return DOM_OK;
}

void index_close(struct index *x) {
  if (!x) return;
  index_replace_done(x);
  index_db_close(x->db);
  row_cache_free(x->rows);
  pthread_mutex_destroy(&x->lock);
  dom_free(x);
}

enum dom_code index_flush(struct index *x, struct dom_err *err) {
  return index_db_flush(x->db, err);
}

/* ---- removing the folder ---- */

struct names {
  struct disk *disk;
  const char *folder;
  struct buf all; /* NUL-terminated names */
};

static bool name_note(void *arg, const char *name, bool is_dir) {
  struct names *n = arg;
  if (!is_dir) buf_append(&n->all, name, strlen(name) + 1);
  return !n->all.failed;
}

/* Unlinks the names noted, or only that one of them. */
static enum dom_code names_unlink(const struct names *n, const char *only, struct dom_err *err) {
  BUF_AUTO path = BUF_INIT;
  enum dom_code code = DOM_OK;
  assert(!n->all.failed);
  for (size_t at = 0; at < n->all.len && code == DOM_OK;) {
    const char *name = (const char *)n->all.data + at;
    at += strlen(name) + 1;
    if (only && strcmp(name, only) != 0) continue;
    buf_reset(&path);
    buf_printf(&path, "%s/%s", n->folder, name);
    if (path.failed) return buf_check(&path, err);
    struct dom_err why = {0};
    code = disk_unlink(n->disk, buf_str(&path), &why);
    if (code == DOM_NOT_FOUND) code = DOM_OK; /* the first round took it */
    if (code != DOM_OK) return dom_fail(err, code, why.where, "%s", why.text);
  }
  return disk_dir_sync(n->disk, n->folder, err);
}

enum dom_code index_destroy(struct disk *disk, const char *folder, struct dom_err *err) {
  struct names n = {.disk = disk, .folder = folder};
  enum dom_code code = disk_list(disk, folder, name_note, &n, NULL);
  if (code == DOM_OK) code = buf_check(&n.all, err);
  /* Without CURRENT what is left after a crash is no database, and a new one begins. */
  if (code == DOM_OK) code = names_unlink(&n, "CURRENT", err);
  if (code == DOM_OK) code = names_unlink(&n, NULL, err);
  buf_done(&n.all);
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

/* ---- writing ---- */

enum dom_code index_batch_init(struct index_batch *b, struct index *x, struct dom_err *err) {
  *b = (struct index_batch){.raw = rocksdb_writebatch_create(), .index = x};
  if (!b->raw) return dom_fail(err, DOM_NO_MEMORY, "store/index: batch", "batch");
  return DOM_OK;
}

void index_batch_done(struct index_batch *b) {
  if (b->raw) rocksdb_writebatch_destroy(b->raw);
  *b = (struct index_batch){0};
}

/* The number that the batch's write will have. */
static uint64_t batch_number(const struct index_batch *b) {
  return atomic_load(&b->index->writes) + 1;
}

void index_put(struct index_batch *b, struct slice key, struct slice value) {
  assert(key.len > 0);
  rocksdb_writebatch_put(b->raw, (const char *)key.data, key.len, (const char *)value.data, value.len);
  if (b->index) row_cache_mark(b->index->rows, key, batch_number(b));
  if (b->mirror) index_mirror_put(b->mirror, key, value);
}

void index_delete(struct index_batch *b, struct slice key) {
  assert(key.len > 0);
  rocksdb_writebatch_delete(b->raw, (const char *)key.data, key.len);
  if (b->index) row_cache_mark(b->index->rows, key, batch_number(b));
  if (b->mirror) index_mirror_delete(b->mirror, key);
}

void index_delete_range(struct index_batch *b, struct slice from, struct slice to) {
  assert(slice_compare(from, to) < 0);
  rocksdb_writebatch_delete_range(b->raw, (const char *)from.data, from.len, (const char *)to.data, to.len);
  if (b->index) row_cache_mark_all(b->index->rows, batch_number(b));
  if (b->mirror) index_mirror_delete_range(b->mirror, from, to);
}

enum dom_code index_write(struct index *x, struct index_batch *b, struct dom_err *err) {
  char *text = NULL;
  assert(b->raw != NULL && b->index == x);
  rocksdb_write(x->db->db, x->db->write_options, b->raw, &text);
  rocksdb_writebatch_clear(b->raw);
  rocksdb_fs_run_background(x->db->fs);
  if (b->mirror) index_mirror_write(x);
  atomic_fetch_add(&x->writes, 1);
  return text ? index_fail(text, DOM_IO, "store/index: write", err) : DOM_OK;
}

/* ---- reading ---- */

/* Views that are opened between two writes see the same, so they share a snapshot: making one takes RocksDB's
 * own mutex, which the writer holds often. It goes with its last view, since an old snapshot keeps rows that
 * were removed. Iterators of it are lent to one view at a time: to make one costs as much as to seek with it.
 */
enum { SPARE_ITERATORS = 8 }; /* more threads than that seldom seek at the same instant */

struct index_shared {
  const rocksdb_snapshot_t *snapshot;
  const struct index_db *db;
  uint64_t writes; /* that were visible for sure when it was made */
  uint32_t refs;
  uint32_t spare_count;
  rocksdb_iterator_t *spare[SPARE_ITERATORS];
};

/* The lock is held. NULL: without memory. */
static struct index_shared *shared_take(struct index *x) {
  struct index_shared *shared = x->shared;
  uint64_t writes = atomic_load(&x->writes); /* before the snapshot: it may hold more, never less */
  if (!shared || shared->db != x->db || shared->writes != writes) {
    shared = dom_calloc(1, sizeof *shared);
    if (!shared) return NULL;
    *shared = (struct index_shared){rocksdb_create_snapshot(x->db->db), x->db, writes, 0};
    x->shared = shared;
  }
  shared->refs++;
  return shared;
}

/* The lock is held. What it returns is nobody's any more. */
static struct index_shared *shared_drop(struct index *x, struct index_shared *shared) {
  assert(shared->refs > 0);
  if (--shared->refs > 0) return NULL;
  if (x->shared == shared) x->shared = NULL;
  return shared;
}

/* With its iterators; nobody else may know it. */
static void shared_free(struct index_shared *shared, rocksdb_t *db) {
  if (!shared) return;
  assert(shared->refs == 0);
  for (uint32_t i = 0; i < shared->spare_count; i++) rocksdb_iter_destroy(shared->spare[i]);
  rocksdb_release_snapshot(db, shared->snapshot);
  dom_free(shared);
}

/* An iterator over what the view sees. Without a snapshot an old one would show the past. */
static rocksdb_iterator_t *iterator_borrow(struct index_view *v) {
  rocksdb_iterator_t *raw = NULL;
  if (v->shared) {
    pthread_mutex_lock(&v->index->lock);
    if (v->shared->spare_count > 0) raw = v->shared->spare[--v->shared->spare_count];
    pthread_mutex_unlock(&v->index->lock);
  }
  return raw ? raw : rocksdb_create_iterator(v->db->db, v->options);
}

static void iterator_return(struct index_view *v, rocksdb_iterator_t *raw) {
  assert(raw != NULL);
  if (v->shared) {
    pthread_mutex_lock(&v->index->lock);
    bool room = v->shared->spare_count < SPARE_ITERATORS;
    if (room) v->shared->spare[v->shared->spare_count++] = raw;
    pthread_mutex_unlock(&v->index->lock);
    if (room) return;
  }
  rocksdb_iter_destroy(raw);
}

enum dom_code index_view_init(struct index_view *v, struct index *x, bool snapshot, struct dom_err *err) {
  *v = (struct index_view){.options = rocksdb_readoptions_create()};
  if (!v->options) return dom_fail(err, DOM_NO_MEMORY, "store/index: view", "options");
  v->index = x;
  pthread_mutex_lock(&x->lock);
  v->db = x->db;
  v->db->refs++;
  if (snapshot) v->shared = shared_take(x);
  pthread_mutex_unlock(&x->lock);
  if (!snapshot) return DOM_OK;
  if (!v->shared) {
    index_view_done(v);
    return dom_fail(err, DOM_NO_MEMORY, "store/index: view", "snapshot");
  }
  rocksdb_readoptions_set_snapshot(v->options, v->shared->snapshot);
  return DOM_OK;
}

void index_view_done(struct index_view *v) {
  struct index_shared *gone = NULL;
  if (v->options) rocksdb_readoptions_destroy(v->options);
  if (v->shared) {
    pthread_mutex_lock(&v->index->lock);
    gone = shared_drop(v->index, v->shared);
    pthread_mutex_unlock(&v->index->lock);
  }
  if (v->db) { /* still held: the snapshot goes before it */
    shared_free(gone, v->db->db);
    pthread_mutex_lock(&v->index->lock);
    assert(v->db->refs > 1);
    v->db->refs--;
    pthread_cond_broadcast(&v->index->released);
    pthread_mutex_unlock(&v->index->lock);
  }
  *v = (struct index_view){0};
}

static enum dom_code row_read(struct index_view *v, struct slice key, struct buf *out, struct dom_err *err) {
  char *text = NULL;
  size_t len = 0;
  rocksdb_pinnableslice_t *found =
      rocksdb_get_pinned(v->db->db, v->options, (const char *)key.data, key.len, &text);
  if (text) return index_fail(text, DOM_IO, "store/index: get", err);
  if (!found) return DOM_NOT_FOUND;
  const char *value = rocksdb_pinnableslice_value(found, &len);
  buf_reset(out);
  if (len) buf_append(out, value, len);
  rocksdb_pinnableslice_destroy(found);
  return buf_check(out, err);
}

/* DOM_OK, DOM_NOT_FOUND, or DOM_RETRY: not known. Only what a snapshot shows can be kept: it has a number. */
static enum dom_code row_recall(struct index_view *v, enum row_cache_kind kind, struct slice asked,
                                struct buf *key, struct buf *value) {
  if (!v->shared) return DOM_RETRY;
  switch (row_cache_get(v->index->rows, kind, asked, v->shared->writes, key, value)) {
  case ROW_CACHE_FOUND:
    return DOM_OK;
  case ROW_CACHE_ABSENT:
    return DOM_NOT_FOUND;
  case ROW_CACHE_UNKNOWN:
    break;
  }
  return DOM_RETRY;
}

static void row_keep(struct index_view *v, enum row_cache_kind kind, struct slice asked, enum dom_code code,
                     struct slice key, struct slice value) {
  if (!v->shared || (code != DOM_OK && code != DOM_NOT_FOUND)) return;
  row_cache_put(v->index->rows, kind, asked, v->shared->writes, code == DOM_OK, key, value);
}

enum dom_code index_get(struct index_view *v, struct slice key, struct buf *out, struct dom_err *err) {
  enum dom_code code = row_recall(v, ROW_CACHE_EXACT, key, NULL, out);
  if (code != DOM_RETRY) return code;
  code = row_read(v, key, out, err);
  row_keep(v, ROW_CACHE_EXACT, key, code, key, buf_slice(out));
  return code;
}

enum dom_code index_has(struct index_view *v, struct slice key, struct dom_err *err) {
  char *text = NULL;
  rocksdb_pinnableslice_t *found =
      rocksdb_get_pinned(v->db->db, v->options, (const char *)key.data, key.len, &text);
  if (text) return index_fail(text, DOM_IO, "store/index: get", err);
  if (!found) return DOM_NOT_FOUND;
  rocksdb_pinnableslice_destroy(found);
  return DOM_OK;
}

static void iter_load(struct index_iter *it) {
  size_t len = 0;
  it->valid = rocksdb_iter_valid(it->raw) != 0;
  if (!it->valid) return;
  const char *p = rocksdb_iter_key(it->raw, &len);
  it->key = slice_of(p, len);
  p = rocksdb_iter_value(it->raw, &len);
  it->value = slice_of(p, len);
}

enum dom_code index_first(struct index_view *v, struct slice prefix, struct buf *key, struct buf *value,
                          struct dom_err *err) {
  struct index_iter it = {.raw = iterator_borrow(v)};
  enum dom_code code;
  index_seek(&it, prefix);
  if (!it.valid) {
    code = index_iter_check(&it, err);
    if (code == DOM_OK) code = DOM_NOT_FOUND;
  } else if (!slice_starts_with(it.key, prefix)) {
    code = DOM_NOT_FOUND;
  } else {
    buf_reset(key);
    buf_reset(value);
    buf_append_slice(key, it.key);
    buf_append_slice(value, it.value);
    code = key->failed ? buf_check(key, err) : buf_check(value, err);
  }
  iterator_return(v, it.raw);
  return code;
}

enum dom_code index_newest(struct index_view *v, struct slice cell, struct buf *key, struct buf *value,
                           struct dom_err *err) {
  enum dom_code code = row_recall(v, ROW_CACHE_NEWEST, cell, key, value);
  if (code != DOM_RETRY) return code;
  code = index_first(v, cell, key, value, err);
  row_keep(v, ROW_CACHE_NEWEST, cell, code, buf_slice(key), buf_slice(value));
  return code;
}

enum dom_code index_last_before(struct index_view *v, struct slice before, struct buf *key,
                                struct dom_err *err) {
  INDEX_ITER_AUTO it = {.raw = rocksdb_create_iterator(v->db->db, v->options)};
  assert(it.raw != NULL);
  rocksdb_iter_seek_for_prev(it.raw, (const char *)before.data, before.len);
  iter_load(&it);
  if (it.valid && slice_equal(it.key, before)) {
    rocksdb_iter_prev(it.raw);
    iter_load(&it);
  }
  enum dom_code code = index_iter_check(&it, err);
  if (code != DOM_OK) return code;
  if (!it.valid) return DOM_NOT_FOUND;
  buf_reset(key);
  buf_append_slice(key, it.key);
  return buf_check(key, err);
}

enum dom_code index_iter_init(struct index_iter *it, struct index_view *v, struct dom_err *err) {
  *it = (struct index_iter){.raw = rocksdb_create_iterator(v->db->db, v->options)};
  if (!it->raw) return dom_fail(err, DOM_NO_MEMORY, "store/index: scan", "iterator");
  return DOM_OK;
}

void index_iter_done(struct index_iter *it) {
  if (it->raw) rocksdb_iter_destroy(it->raw);
  *it = (struct index_iter){0};
}

void index_seek(struct index_iter *it, struct slice key) {
  assert(it->raw != NULL);
  rocksdb_iter_seek(it->raw, (const char *)key.data, key.len);
  iter_load(it);
}

void index_next(struct index_iter *it) {
  assert(it->valid);
  rocksdb_iter_next(it->raw);
  iter_load(it);
}

enum dom_code index_iter_check(const struct index_iter *it, struct dom_err *err) {
  char *text = NULL;
  assert(it->raw != NULL);
  rocksdb_iter_get_error(it->raw, &text);
  return text ? index_fail(text, DOM_IO, "store/index: scan", err) : DOM_OK;
}
