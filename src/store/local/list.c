#include <assert.h>

#include "store/local/engine.h"

/* Subjects met lately by one listing; a listing over people meets each many times in a row. */
enum { SUBJECT_CACHE = 64 };
struct subject_cached {
  bool used, live;
  struct store_subject subject;
};

struct scan {
  struct store_view *view;
  const struct store_listing *listing;
  struct index_iter it;
  struct buf name, target; /* unescaped name of the row; where to seek */
  struct buf last;         /* name of the last live row: those below it are its older versions */
  bool last_known;
  uint32_t older;          /* rows of older versions stepped over in a row */
  struct store_order from; /* of the key `after`: only versions older than this */
  struct subject_cached cache[SUBJECT_CACHE];
  uint32_t shown;
  bool more;
};

/* Older versions of one key stepped over before a seek takes the rest: about what a seek costs. */
enum { OLDER_STEPS = 16 };

/* ---- where to go on ---- */

/* Seeks to the first row whose name is not below `name`; with `past`, behind all that start so. */
static enum dom_code seek_name(struct scan *s, struct slice name, bool past, struct dom_err *err) {
  assert(s->it.raw != NULL);
  buf_reset(&s->target);
  put_u8(&s->target, ROW_OBJECT);
  buf_append(&s->target, s->listing->bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(&s->target, name, false);
  if (s->target.failed) return buf_check(&s->target, err);
  bool there = !past || row_successor(&s->target);
  assert(there); /* a table letter is no 0xff */
  index_seek(&s->it, buf_slice(&s->target));
  return DOM_OK;
}

/* Behind the rows of the name itself, which end in 00 01: its longer names have 00 FF or more. */
static enum dom_code seek_behind(struct scan *s, struct slice name, struct dom_err *err) {
  assert(s->it.raw != NULL);
  buf_reset(&s->target);
  put_u8(&s->target, ROW_OBJECT);
  buf_append(&s->target, s->listing->bucket, STORE_BUCKET_ID_SIZE);
  row_name_escape(&s->target, name, false);
  buf_append(&s->target, "\x00\x02", 2);
  if (s->target.failed) return buf_check(&s->target, err);
  index_seek(&s->it, buf_slice(&s->target));
  return DOM_OK;
}

static enum dom_code seek_start(struct scan *s, struct dom_err *err) {
  const struct store_listing *l = s->listing;
  if (l->after.len == 0 || slice_compare(l->after, l->prefix) < 0) return seek_name(s, l->prefix, false, err);
  return l->after_version ? seek_name(s, l->after, false, err) : seek_behind(s, l->after, err);
}

/* ---- subjects ---- */

static enum dom_code subject_of(struct scan *s, const uint8_t token[TOKEN_SIZE],
                                const struct subject_cached **out, struct dom_err *err) {
  struct subject_cached *c = &s->cache[token[0] % SUBJECT_CACHE];
  if (!c->used || memcmp(c->subject.token, token, TOKEN_SIZE) != 0) {
    struct dom_err why = {0};
    enum dom_code code = store_subject_get(s->view, token, &c->subject, &why);
    if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, why.where, "%s", why.text);
    c->used = true;
    c->live = code == DOM_OK && store_subject_lives(&c->subject);
    memcpy(c->subject.token, token, TOKEN_SIZE);
  }
  *out = c;
  return DOM_OK;
}

/* ---- rows ---- */

static void show_object(struct scan *s, const struct row_name *n, const struct row_object *row, bool latest) {
  assert(s->shown < s->listing->max);
  struct store_object o = {.key = n->name,
                           .order = row_order_load(n->rest),
                           .is_version = row->versioned,
                           .is_marker = row->marker,
                           .is_latest = latest,
                           .size = row->size,
                           .mtime_ms = row->mtime_ms,
                           .etag_parts = row->etag_parts};
  memcpy(o.etag_md5, row->md5, MD5_SIZE);
  s->listing->show(s->listing->arg, &o, (struct slice){0});
  s->shown++;
}

/* Length of the common prefix that the name falls under, or 0. */
static size_t common_len(const struct store_listing *l, struct slice name) {
  if (l->delimiter.len == 0) return 0;
  assert(slice_starts_with(name, l->prefix));
  struct slice rest = slice_cut(name, l->prefix.len, name.len);
  const uint8_t *found = rest.len ? memmem(rest.data, rest.len, l->delimiter.data, l->delimiter.len) : NULL;
  return found ? (size_t)(found - name.data) + l->delimiter.len : 0;
}

/* A live row greater than `after`. Moves the scan on; *done at the end of the page. */
static enum dom_code row_take(struct scan *s, const struct row_name *n, const struct row_object *row,
                              const struct store_subject *subject, bool latest, bool *done,
                              struct dom_err *err) {
  const struct store_listing *l = s->listing;
  struct slice common = slice_cut(n->name, 0, common_len(l, n->name));
  if (common.len && l->after.len && slice_compare(common, l->after) <= 0)
    return seek_name(s, common, true, err);
  enum store_admit admit = l->admit ? l->admit(l->arg, subject, n->name) : STORE_SHOW;
  if (admit == STORE_STOP) return dom_fail(err, DOM_REFUSED, "store/list", "a name may not be shown here");
  if (admit == STORE_SKIP) {
    index_next(&s->it);
    return DOM_OK;
  }
  if (s->shown == l->max) {
    s->more = *done = true;
    return DOM_OK;
  }
  if (common.len == 0) {
    show_object(s, n, row, latest);
    index_next(&s->it);
    return DOM_OK;
  }
  l->show(l->arg, NULL, common);
  s->shown++;
  return seek_name(s, common, true, err);
}

/* Where the versions of the key `after` go on: its marker may be the null version, which has to be found. */
static enum dom_code from_find(struct scan *s, const struct row_name *n, struct dom_err *err) {
  const struct store_version *after = s->listing->after_version;
  struct row_object row;
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  s->from = after->order;
  if (!after->is_null) return DOM_OK;
  struct slice cell = slice_cut(s->it.key, 0, n->name_end + ROW_EPOCH_SIZE);
  enum dom_code code = null_row_find(&s->view->index, cell, &key, &value, &row, err);
  s->from = (struct store_order){UINT64_MAX, UINT64_MAX};
  if (code == DOM_OK) s->from = row_order_load(slice_cut(buf_slice(&key), cell.len, key.len));
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

static enum dom_code older_pass(struct scan *s, struct slice name, struct dom_err *err) {
  assert(!s->listing->versions);
  if (++s->older >= OLDER_STEPS) return seek_behind(s, name, err);
  index_next(&s->it);
  return DOM_OK;
}

/* A row of a live epoch: the first of its name is the current version. */
static enum dom_code version_take(struct scan *s, const struct row_name *n, const struct row_object *row,
                                  const struct store_subject *subject, bool *done, struct dom_err *err) {
  const struct store_listing *l = s->listing;
  bool latest = !s->last_known || !slice_equal(buf_slice(&s->last), n->name);
  bool resumed = l->versions && l->after_version && slice_equal(n->name, l->after);
  if (!latest && !l->versions) return older_pass(s, n->name, err);
  s->older = 0;
  if (latest) {
    buf_reset(&s->last);
    buf_append_slice(&s->last, n->name);
    s->last_known = true;
    enum dom_code code = s->last.failed ? buf_check(&s->last, err) : DOM_OK;
    if (code == DOM_OK && resumed) code = from_find(s, n, err);
    if (code != DOM_OK) return code;
  }
  struct store_order order = row_order_load(n->rest);
  bool before =
      resumed && !(order.epoch < s->from.epoch || (order.epoch == s->from.epoch && order.lsn < s->from.lsn));
  if (before || (row->marker && !l->versions)) {
    index_next(&s->it);
    return DOM_OK;
  }
  return row_take(s, n, row, subject, latest, done, err);
}

static enum dom_code row_step(struct scan *s, bool *done, struct dom_err *err) {
  assert(s->it.valid);
  struct row_name n;
  struct row_object row;
  const struct subject_cached *subject = NULL;
  const struct store_listing *l = s->listing;
  if (!row_name_parse(s->it.key, &s->name, &n) || n.rest.len != ROW_ORDER_SIZE ||
      !row_object_parse(s->it.value, &row)) {
    return dom_fail(err, DOM_CORRUPT, "store/list", "bad row");
  }
  if (memcmp(n.bucket, l->bucket, STORE_BUCKET_ID_SIZE) != 0 || !slice_starts_with(n.name, l->prefix)) {
    *done = true;
    return DOM_OK;
  }
  enum dom_code code = subject_of(s, row.token, &subject, err);
  if (code != DOM_OK) return code;
  if (!subject->live && row.prefix_len > 0) { /* the whole range is a subject's that is not here */
    assert(row.prefix_len <= n.name.len);
    return seek_name(s, slice_cut(n.name, 0, row.prefix_len), true, err);
  }
  if (!subject->live || n.epoch != subject->subject.epoch) {
    index_next(&s->it);
    return DOM_OK;
  }
  return version_take(s, &n, &row, &subject->subject, done, err);
}

enum dom_code store_list(struct store_view *v, const struct store_listing *listing, bool *out_more,
                         struct dom_err *err) {
  struct scan s = {.view = v, .listing = listing};
  bool done = listing->max == 0;
  assert(listing->show != NULL && (listing->versions || !listing->after_version));
  enum dom_code code = index_iter_init(&s.it, &v->index, err);
  if (code == DOM_OK) code = seek_start(&s, err);
  while (code == DOM_OK && !done && s.it.valid && s.it.key.data[0] == ROW_OBJECT)
    code = row_step(&s, &done, err);
  if (code == DOM_OK) code = index_iter_check(&s.it, err);
  index_iter_done(&s.it);
  buf_done(&s.name);
  buf_done(&s.target);
  buf_done(&s.last);
  if (code == DOM_OK) *out_more = s.more;
  return code;
}

/* ---- is a bucket used ---- */

/* Looks through one table of the bucket for a row whose epoch was not shredded. */
static enum dom_code table_used(struct store_view *v, enum row_table table,
                                const uint8_t bucket[STORE_BUCKET_ID_SIZE], bool *out, struct dom_err *err) {
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO name = BUF_INIT;
  BUF_AUTO shred = BUF_INIT;
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  put_u8(&stem, (uint8_t)table);
  buf_append(&stem, bucket, STORE_BUCKET_ID_SIZE);
  if (stem.failed) return buf_check(&stem, err);
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    struct row_name n;
    if (!row_name_parse(it.key, &name, &n) || it.value.len < TOKEN_SIZE) {
      return dom_fail(err, DOM_CORRUPT, "store/list: bucket", "bad row");
    }
    buf_reset(&shred);
    row_token_epoch_key(&shred, ROW_SHRED, it.value.data, n.epoch);
    code = shred.failed ? buf_check(&shred, err) : index_has(&v->index, buf_slice(&shred), err);
    if (code == DOM_NOT_FOUND) {
      *out = true;
      return DOM_OK;
    }
    if (code != DOM_OK) return code;
  }
  return index_iter_check(&it, err);
}

enum dom_code store_bucket_used(struct store_view *v, const uint8_t bucket[STORE_BUCKET_ID_SIZE], bool *out,
                                struct dom_err *err) {
  bool used = false;
  assert(out != NULL);
  enum dom_code code = table_used(v, ROW_OBJECT, bucket, &used, err);
  if (code == DOM_OK && !used) code = table_used(v, ROW_UPLOAD, bucket, &used, err);
  if (code == DOM_OK) *out = used;
  return code;
}
