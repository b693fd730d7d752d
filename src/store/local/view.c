#include <assert.h>

#include "base/alloc.h"
#include "store/local/engine.h"

/* ---- marks ---- */

void read_mark_set(struct store *s, struct read_mark *m, uint64_t lsn) {
  assert(m->at == NULL);
  m->lsn = lsn;
  pthread_mutex_lock(&s->mark_lock);
  m->next = s->marks;
  m->at = &s->marks;
  if (m->next) m->next->at = &m->next;
  s->marks = m;
  pthread_mutex_unlock(&s->mark_lock);
}

void read_mark_clear(struct store *s, struct read_mark *m) {
  pthread_mutex_lock(&s->mark_lock);
  if (m->at) { /* neighbours change it too: not to be looked at without the lock */
    assert(*m->at == m);
    *m->at = m->next;
    if (m->next) m->next->at = m->at;
    m->at = NULL;
  }
  pthread_mutex_unlock(&s->mark_lock);
}

static uint64_t least_of(struct store *s, bool views_only) {
  assert(s != NULL);
  uint64_t least = UINT64_MAX;
  pthread_mutex_lock(&s->mark_lock);
  for (const struct read_mark *m = s->marks; m; m = m->next)
    if ((m->is_view || !views_only) && m->lsn < least) least = m->lsn;
  pthread_mutex_unlock(&s->mark_lock);
  return least;
}

uint64_t read_mark_least(struct store *s) {
  return least_of(s, false);
}

uint64_t read_mark_least_view(struct store *s) {
  return least_of(s, true);
}

/* ---- views ---- */

enum dom_code store_view_open(struct store *s, struct store_view **out, struct dom_err *err) {
  assert(s != NULL && out != NULL);
  struct store_view *v = dom_calloc(1, sizeof *v);
  if (!v) return dom_fail(err, DOM_NO_MEMORY, "store/view: open", "view");
  v->store = s;
  v->lsn = writer_applied(s->writer); /* before the snapshot: it may hold more, never less */
  v->mark.is_view = true;
  read_mark_set(s, &v->mark, v->lsn);
  enum dom_code code = index_view_init(&v->index, s->index, true, err);
  if (code != DOM_OK) {
    store_view_close(v);
    return code;
  }
  *out = v;
  return DOM_OK;
}

void store_view_close(struct store_view *v) {
  if (!v) return;
  index_view_done(&v->index);
  read_mark_clear(v->store, &v->mark);
  arena_free(v->arena);
  buf_done(&v->key);
  buf_done(&v->value);
  dom_free(v);
}

uint64_t store_view_lsn(const struct store_view *v) {
  assert(v != NULL && v->store != NULL);
  return v->lsn;
}

enum dom_code view_keep(struct store_view *v, struct slice s, struct slice *out, struct dom_err *err) {
  assert(s.data != NULL || s.len == 0);
  if (!v->arena) v->arena = arena_new(VIEW_MEMORY_MAX);
  struct slice kept = v->arena ? arena_copy(v->arena, s) : (struct slice){0};
  if (s.len > 0 && !kept.data) return dom_fail(err, DOM_NO_MEMORY, "store/view: keep", "%zu bytes", s.len);
  *out = kept;
  return DOM_OK;
}

/* ---- subjects ---- */

static enum dom_code subject_parse(struct slice value, struct store_subject *out, struct dom_err *err) {
  struct row_state row;
  struct slice rest;
  if (row_state_parse(value, &row, &rest)) {
    struct reader r = reader_of(rest);
    if (subject_decode(&r, out) && reader_end(&r)) return DOM_OK;
  }
  return dom_fail(err, DOM_CORRUPT, "store/view: subject", "bad row");
}

enum dom_code store_subject_get(struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                struct store_subject *out, struct dom_err *err) {
  assert(token != NULL && out != NULL);
  static const char where[] = "store/view: subject";
  if (!v->subject_known || memcmp(v->subject.token, token, TOKEN_SIZE) != 0) {
    buf_reset(&v->key);
    row_token_key(&v->key, ROW_SUBJECT, token);
    if (v->key.failed) return buf_check(&v->key, err);
    enum dom_code code = index_get(&v->index, buf_slice(&v->key), &v->value, err);
    if (code == DOM_NOT_FOUND) return dom_fail(err, code, where, "no such subject here");
    if (code == DOM_OK) code = subject_parse(buf_slice(&v->value), &v->subject, err);
    v->subject_known = code == DOM_OK;
    if (code != DOM_OK) return code;
    assert(memcmp(v->subject.token, token, TOKEN_SIZE) == 0);
  }
  *out = v->subject;
  return DOM_OK;
}

enum dom_code store_subject_scan(struct store_view *v, const uint8_t *after, store_subject_fn fn, void *arg,
                                 struct dom_err *err) {
  BUF_AUTO from = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  assert(fn != NULL);
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  put_u8(&from, ROW_SUBJECT);
  if (after) {
    buf_append(&from, after, TOKEN_SIZE);
    put_u8(&from, 0);
  }
  if (from.failed) return buf_check(&from, err);
  for (index_seek(&it, buf_slice(&from)); it.valid && it.key.data[0] == ROW_SUBJECT; index_next(&it)) {
    struct store_subject subject;
    code = subject_parse(it.value, &subject, err);
    if (code != DOM_OK) return code;
    if (!fn(arg, &subject)) return DOM_OK;
  }
  return index_iter_check(&it, err);
}

enum dom_code subject_check(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch, bool write,
                            struct dom_err *err) {
  assert(v != NULL && token != NULL);
  static const char where[] = "store/view: subject state";
  struct store_subject s;
  enum dom_code code = store_subject_get(v, token, &s, err);
  if (code != DOM_OK) return code;
  if (s.state == SUBJECT_MOVED)
    return dom_fail(err, DOM_ELSEWHERE, where, "subject moved to region %u", s.home);
  if (s.state == SUBJECT_ERASED) return dom_fail(err, DOM_NOT_FOUND, where, "the subject was erased");
  if (s.epoch != epoch)
    return dom_fail(err, DOM_STALE_EPOCH, where, "epoch is %llu", (unsigned long long)s.epoch);
  if (write && s.state == SUBJECT_FENCED)
    return dom_fail(err, DOM_FENCED, where, "subject is fenced for a handoff");
  return DOM_OK;
}

/* ---- rows ---- */

enum dom_code store_row_get(struct store_view *v, enum store_table table, struct slice key, struct buf *out,
                            struct dom_err *err) {
  struct row_state row;
  struct slice rest;
  assert(key.len <= STORE_ROW_KEY_MAX);
  buf_reset(&v->key);
  row_state_cell(&v->key, table, key);
  if (v->key.failed) return buf_check(&v->key, err);
  enum dom_code code = index_get(&v->index, buf_slice(&v->key), &v->value, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, "store/view: row", "no such row");
  if (code != DOM_OK) return code;
  if (!row_state_parse(buf_slice(&v->value), &row, &rest))
    return dom_fail(err, DOM_CORRUPT, "store/view: row", "bad row");
  buf_append_slice(out, rest);
  return buf_check(out, err);
}

enum dom_code store_row_scan(struct store_view *v, enum store_table table, struct slice prefix,
                             struct slice after, store_row_fn fn, void *arg, struct dom_err *err) {
  assert(fn != NULL && prefix.len <= STORE_ROW_KEY_MAX);
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO from = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  row_state_cell(&stem, table, prefix);
  row_state_cell(&from, table, after.len ? after : prefix);
  if (after.len) put_u8(&from, 0);
  if (stem.failed || from.failed) return dom_fail(err, DOM_NO_MEMORY, "store/view: rows", "keys");
  struct slice start =
      slice_compare(buf_slice(&from), buf_slice(&stem)) > 0 ? buf_slice(&from) : buf_slice(&stem);
  for (index_seek(&it, start); it.valid && slice_starts_with(it.key, buf_slice(&stem)); index_next(&it)) {
    struct row_state row;
    struct slice value;
    if (!row_state_parse(it.value, &row, &value))
      return dom_fail(err, DOM_CORRUPT, "store/view: rows", "bad row");
    if (!fn(arg, slice_cut(it.key, 2, it.key.len), value)) return DOM_OK;
  }
  return index_iter_check(&it, err);
}
