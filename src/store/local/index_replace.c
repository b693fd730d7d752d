#include <assert.h>
#include <errno.h>
#include <time.h>

#include "store/local/index_db.h"

static const char where[] = "store/index: replace";

void index_replace_init(struct index *x) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&x->released, &attr);
  pthread_condattr_destroy(&attr);
  assert(x->next == NULL && x->retired == NULL);
}

static void mirror_done(struct index_mirror *m) {
  if (m->raw) rocksdb_writebatch_destroy(m->raw);
  buf_done(&m->frontier);
  *m = (struct index_mirror){0};
}

void index_replace_done(struct index *x) {
  mirror_done(&x->mirror);
  index_db_close(x->next);
  index_db_close(x->retired);
  x->next = x->retired = NULL;
  pthread_cond_destroy(&x->released);
}

/* ---- mirrored writes ---- */

static bool mirror_takes(const struct index_mirror *m, struct slice key) {
  return m->all || slice_compare(key, buf_slice(&m->frontier)) < 0;
}

void index_mirror_put(struct index_mirror *m, struct slice key, struct slice value) {
  assert(m->raw != NULL);
  if (!mirror_takes(m, key)) return;
  rocksdb_writebatch_put(m->raw, (const char *)key.data, key.len, (const char *)value.data, value.len);
}

void index_mirror_delete(struct index_mirror *m, struct slice key) {
  assert(m->raw != NULL);
  if (mirror_takes(m, key)) rocksdb_writebatch_delete(m->raw, (const char *)key.data, key.len);
}

void index_mirror_delete_range(struct index_mirror *m, struct slice from, struct slice to) {
  assert(m->raw != NULL);
  if (!mirror_takes(m, from)) return;
  if (!mirror_takes(m, to)) to = buf_slice(&m->frontier);
  rocksdb_writebatch_delete_range(m->raw, (const char *)from.data, from.len, (const char *)to.data, to.len);
}

static enum dom_code next_write(struct index *x, rocksdb_writebatch_t *batch, struct dom_err *err) {
  char *text = NULL;
  assert(x->next != NULL);
  rocksdb_write(x->next->db, x->next->write_options, batch, &text);
  rocksdb_writebatch_clear(batch);
  rocksdb_fs_run_background(x->next->fs);
  return text ? index_fail(text, DOM_IO, where, err) : DOM_OK;
}

void index_mirror_write(struct index *x) {
  assert(x->mirror.raw != NULL);
  if (rocksdb_writebatch_count(x->mirror.raw) == 0) return;
  if (next_write(x, x->mirror.raw, NULL) != DOM_OK) x->mirror.failed = true;
}

/* ---- the steps ---- */

enum dom_code index_replace_begin(struct index *x, const struct index_options *o, struct dom_err *err) {
  assert(x->next == NULL && x->retired == NULL && x->mirror.raw == NULL);
  x->mirror.raw = rocksdb_writebatch_create();
  if (!x->mirror.raw) return dom_fail(err, DOM_NO_MEMORY, where, "batch");
  enum dom_code code = index_db_open(o, &x->next, err);
  if (code != DOM_OK) mirror_done(&x->mirror);
  return code;
}

void index_replace_mirror(struct index *x, struct index_batch *b) {
  assert(x->next != NULL && b->mirror == NULL && rocksdb_writebatch_count(b->raw) == 0);
  b->mirror = &x->mirror;
}

/* Moves the frontier just behind a key. */
static enum dom_code frontier_set(struct index_mirror *m, struct slice key, struct dom_err *err) {
  buf_reset(&m->frontier);
  buf_append_slice(&m->frontier, key);
  buf_append_byte(&m->frontier, 0);
  return buf_check(&m->frontier, err);
}

enum dom_code index_replace_step(struct index *x, bool *out_done, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  INDEX_BATCH_AUTO b = {0};
  BUF_AUTO last = BUF_INIT;
  size_t rows = 0, bytes = 0;
  assert(x->next != NULL && !x->mirror.all);
  enum dom_code code = index_view_init(&v, x, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code == DOM_OK) code = index_batch_init(&b, NULL, err);
  if (code != DOM_OK) return code;
  index_seek(&it, buf_slice(&x->mirror.frontier));
  for (; it.valid && rows < INDEX_STEP_ROWS && bytes < INDEX_STEP_BYTES; index_next(&it), rows++) {
    index_put(&b, it.key, it.value);
    bytes += it.key.len + it.value.len;
    buf_reset(&last);
    buf_append_slice(&last, it.key);
  }
  bool done = !it.valid;
  code = index_iter_check(&it, err);
  if (code == DOM_OK) code = buf_check(&last, err);
  if (code == DOM_OK && rows > 0) code = next_write(x, b.raw, err);
  if (code == DOM_OK && x->mirror.failed) code = dom_fail(err, DOM_IO, where, "a mirrored write failed");
  if (code == DOM_OK && rows > 0) code = frontier_set(&x->mirror, buf_slice(&last), err);
  if (code != DOM_OK) return code;
  x->mirror.all = done;
  *out_done = done;
  return DOM_OK;
}

enum dom_code index_replace_flush(struct index *x, struct dom_err *err) {
  assert(x->next != NULL && x->mirror.all);
  return index_db_flush(x->next, err);
}

enum dom_code index_replace_swap(struct index *x, struct index_batch *b, struct dom_err *err) {
  assert(x->next != NULL && x->mirror.all && b->mirror == &x->mirror);
  /* Old rows would be believed of what was marked for the number that this takes. */
  assert(rocksdb_writebatch_count(b->raw) == 0);
  if (x->mirror.failed) return dom_fail(err, DOM_IO, where, "a mirrored write failed");
  pthread_mutex_lock(&x->lock);
  x->retired = x->db;
  x->db = x->next;
  x->next = NULL;
  /* As if all had changed: views of the old index shall not bring back what the new one loses. */
  row_cache_mark_all(x->rows, atomic_load(&x->writes) + 1);
  atomic_fetch_add(&x->writes, 1);
  pthread_mutex_unlock(&x->lock);
  row_cache_wipe(x->rows);
  b->mirror = NULL;
  mirror_done(&x->mirror);
  return DOM_OK;
}

bool index_replace_finish(struct index *x, uint32_t wait_ms) {
  struct timespec until;
  if (!x->retired) return true;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += wait_ms / 1000;
  until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&x->lock);
  while (x->retired->refs > 1 && wait_ms > 0) {
    if (pthread_cond_timedwait(&x->released, &x->lock, &until) == ETIMEDOUT) break;
  }
  bool unused = x->retired->refs == 1;
  pthread_mutex_unlock(&x->lock);
  if (!unused) return false;
  index_db_close(x->retired); /* no view can reach it any more */
  x->retired = NULL;
  return true;
}

void index_replace_abort(struct index *x, struct index_batch *b) {
  if (b) b->mirror = NULL;
  index_db_close(x->next);
  x->next = NULL;
  mirror_done(&x->mirror);
}
