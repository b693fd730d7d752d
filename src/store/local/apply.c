#include "store/local/apply.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/alloc.h"

struct live {
  uint32_t generation;
  uint64_t bytes;
  bool dirty;
};

struct apply {
  struct live *live; /* by segment number - 1 */
  uint32_t live_cap;
  uint8_t (*copying)[TOKEN_SIZE]; /* journaled subjects; few at a time */
  uint64_t *copying_epoch;
  uint32_t copying_count, copying_cap;
  _Atomic uint64_t live_total;
  struct buf key, value; /* scratch, reused */
};

/* One change on its way into the batch. */
struct step {
  struct apply *a;
  struct index_batch *b;
  const struct change *c;
  const struct prev *prev;
  const struct apply_at *at;
  uint64_t first_lsn; /* resolved */
};

/* ---- accounting ---- */

static enum dom_code live_reach(struct apply *a, uint32_t segment, struct dom_err *err) {
  if (segment <= a->live_cap) return DOM_OK;
  uint32_t cap = segment + segment / 2 + 16;
  struct live *grown = dom_realloc(a->live, cap * sizeof *grown);
  if (!grown) return dom_fail(err, DOM_NO_MEMORY, "store/apply: accounting", "%u segments", cap);
  memset(grown + a->live_cap, 0, (cap - a->live_cap) * sizeof *grown);
  a->live = grown;
  a->live_cap = cap;
  return DOM_OK;
}

static enum dom_code live_add(struct apply *a, struct log_locator at, struct dom_err *err) {
  assert(at.segment > 0);
  enum dom_code code = live_reach(a, at.segment, err);
  if (code != DOM_OK) return code;
  struct live *l = &a->live[at.segment - 1];
  if (l->generation != at.generation) {
    a->live_total -= l->bytes;
    *l = (struct live){.generation = at.generation};
  }
  l->bytes += at.length;
  l->dirty = true;
  a->live_total += at.length;
  return DOM_OK;
}

void apply_forget(struct apply *a, struct log_locator at) {
  if (at.segment == 0 || at.segment > a->live_cap) return;
  struct live *l = &a->live[at.segment - 1];
  if (l->generation != at.generation) return;
  assert(l->bytes >= at.length);
  l->bytes -= at.length;
  l->dirty = true;
  a->live_total -= at.length;
}

uint64_t apply_live_bytes(const struct apply *a) {
  return a->live_total;
}

uint64_t apply_segment_live(const struct apply *a, uint32_t segment, uint32_t generation) {
  assert(segment > 0);
  if (segment > a->live_cap || a->live[segment - 1].generation != generation) return 0;
  return a->live[segment - 1].bytes;
}

void apply_finish(struct apply *a, struct index_batch *b, uint64_t lsn) {
  for (uint32_t i = 0; i < a->live_cap; i++) {
    if (!a->live[i].dirty) continue;
    a->live[i].dirty = false;
    buf_reset(&a->key);
    buf_reset(&a->value);
    put_u8(&a->key, ROW_SEGMENT);
    put_u32be(&a->key, i + 1);
    put_u32le(&a->value, a->live[i].generation);
    put_u64le(&a->value, a->live[i].bytes);
    index_put(b, buf_slice(&a->key), buf_slice(&a->value));
  }
  uint8_t key[2] = {ROW_META, ROW_META_APPLIED}, value[8];
  store_u64le(value, lsn);
  index_put(b, slice_of(key, 2), slice_of(value, 8));
}

enum dom_code apply_lsn_read(struct index_view *v, uint64_t *out, struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  uint8_t key[2] = {ROW_META, ROW_META_APPLIED};
  enum dom_code code = index_get(v, slice_of(key, 2), &value, err);
  if (code != DOM_OK) return code;
  if (value.len != 8) return dom_fail(err, DOM_CORRUPT, "store/apply: applied LSN", "%zu bytes", value.len);
  *out = load_u64le(value.data);
  return DOM_OK;
}

/* ---- the set of journaled subjects ---- */

static uint32_t copying_find(const struct apply *a, const uint8_t token[TOKEN_SIZE]) {
  uint32_t i = 0;
  assert(a->copying_count <= a->copying_cap);
  while (i < a->copying_count && memcmp(a->copying[i], token, TOKEN_SIZE) != 0) i++;
  return i;
}

static enum dom_code copying_add(struct apply *a, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                 struct dom_err *err) {
  uint32_t i = copying_find(a, token);
  if (i == a->copying_cap) {
    uint32_t cap = a->copying_cap * 2 + 8;
    void *tokens = dom_realloc(a->copying, cap * sizeof *a->copying);
    if (tokens) a->copying = tokens;
    void *epochs = dom_realloc(a->copying_epoch, cap * sizeof *a->copying_epoch);
    if (epochs) a->copying_epoch = epochs;
    if (!tokens || !epochs) return dom_fail(err, DOM_NO_MEMORY, "store/apply: copying", "%u subjects", cap);
    a->copying_cap = cap;
  }
  memcpy(a->copying[i], token, TOKEN_SIZE);
  a->copying_epoch[i] = epoch;
  if (i == a->copying_count) a->copying_count++;
  return DOM_OK;
}

static void copying_drop(struct apply *a, const uint8_t token[TOKEN_SIZE]) {
  uint32_t i = copying_find(a, token);
  if (i == a->copying_count) return;
  uint32_t last = --a->copying_count;
  memmove(a->copying[i], a->copying[last], TOKEN_SIZE);
  a->copying_epoch[i] = a->copying_epoch[last];
}

/* ---- new, free ---- */

static enum dom_code state_load(struct apply *a, struct index *index, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  enum dom_code code = index_view_init(&v, index, false, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  const uint8_t segments[1] = {ROW_SEGMENT}, copying[1] = {ROW_COPYING};
  for (index_seek(&it, slice_of(segments, 1)); it.valid && it.key.data[0] == ROW_SEGMENT; index_next(&it)) {
    if (it.key.len != 5 || it.value.len != 12)
      return dom_fail(err, DOM_CORRUPT, "store/apply: accounting", "bad row");
    uint32_t segment = load_u32be(it.key.data + 1);
    code = live_reach(a, segment, err);
    if (code != DOM_OK) return code;
    a->live[segment - 1] = (struct live){load_u32le(it.value.data), load_u64le(it.value.data + 4), false};
    a->live_total += a->live[segment - 1].bytes;
  }
  for (index_seek(&it, slice_of(copying, 1)); it.valid && it.key.data[0] == ROW_COPYING; index_next(&it)) {
    if (it.key.len != 1 + TOKEN_SIZE || it.value.len != 8)
      return dom_fail(err, DOM_CORRUPT, "store/apply: copying", "bad row");
    code = copying_add(a, it.key.data + 1, load_u64le(it.value.data), err);
    if (code != DOM_OK) return code;
  }
  return index_iter_check(&it, err);
}

enum dom_code apply_new(struct index *index, struct apply **out, struct dom_err *err) {
  struct apply *a = dom_calloc(1, sizeof *a);
  if (!a) return dom_fail(err, DOM_NO_MEMORY, "store/apply: new", "state");
  enum dom_code code = state_load(a, index, err);
  if (code != DOM_OK) {
    apply_free(a);
    return code;
  }
  *out = a;
  return DOM_OK;
}

void apply_free(struct apply *a) {
  if (!a) return;
  dom_free(a->live);
  dom_free(a->copying);
  dom_free(a->copying_epoch);
  buf_done(&a->key);
  buf_done(&a->value);
  dom_free(a);
}

/* ---- rows ---- */

static struct buf *key_new(struct apply *a) {
  buf_reset(&a->key);
  return &a->key;
}
static struct buf *value_new(struct apply *a) {
  buf_reset(&a->value);
  return &a->value;
}
static void row_put(struct step *s) {
  index_put(s->b, buf_slice(&s->a->key), buf_slice(&s->a->value));
}

static struct store_order order_resolved(const struct step *s) {
  struct store_order o = s->c->order;
  if (o.lsn == 0) o.lsn = s->first_lsn;
  return o;
}

/* Something newer stands in the cell, or a newer delete. */
static bool dominated(const struct step *s) {
  return (s->prev->found && s->prev->first_lsn > s->first_lsn) || s->prev->tomb_lsn > s->first_lsn;
}

/* Bodies that nothing names now: the collector will unlink them. */
static void bodies_lose(struct step *s) {
  const struct buf *lost = &s->prev->lost;
  assert(lost->len % STORE_BODY_ID_SIZE == 0);
  for (size_t at = 0; at < lost->len; at += STORE_BODY_ID_SIZE) {
    row_id_key(key_new(s->a), ROW_BODY, lost->data + at);
    index_delete(s->b, buf_slice(&s->a->key));
    row_id_key(key_new(s->a), ROW_REMOVAL, lost->data + at);
    buf_append(value_new(s->a), s->c->token, TOKEN_SIZE);
    put_u64le(&s->a->value, s->c->epoch);
    put_u64le(&s->a->value, s->at->lsn);
    row_put(s);
  }
}

/* The change's row owns its bodies: no intent and no removal stands against them. */
static void bodies_adopt(struct step *s) {
  const struct change *c = s->c;
  for (uint32_t i = 0; i < c->body_count; i++) {
    struct row_body body = {.epoch = c->epoch, .size = c->bodies[i].size, .owner_lsn = s->first_lsn};
    memcpy(body.token, c->token, TOKEN_SIZE);
    row_id_key(key_new(s->a), ROW_BODY, c->bodies[i].id);
    row_body_put(value_new(s->a), &body);
    row_put(s);
    row_id_key(key_new(s->a), ROW_REMOVAL, c->bodies[i].id);
    index_delete(s->b, buf_slice(&s->a->key));
    row_id_key(key_new(s->a), ROW_INTENT, c->bodies[i].id);
    index_delete(s->b, buf_slice(&s->a->key));
  }
}

static void tomb_put(struct step *s, bool there) {
  struct row_state row = {.at = s->at->at, .first_lsn = s->first_lsn};
  put_u8(key_new(s->a), ROW_TOMB);
  change_cell(s->c, &s->a->key);
  if (there) {
    row_state_put(value_new(s->a), &row);
    buf_append(&s->a->value, s->c->token, TOKEN_SIZE);
    row_put(s);
  } else {
    index_delete(s->b, buf_slice(&s->a->key));
  }
}

static void presence_put(struct step *s) {
  if (s->prev->present) return;
  row_presence_key(key_new(s->a), s->c->token, s->c->epoch, s->c->bucket,
                   slice_cut(s->c->key, 0, s->c->prefix_len));
  value_new(s->a);
  row_put(s);
}

/* While a handoff copies the subject, what changes is noted for it. */
static void journal_put(struct step *s) {
  assert(s->c->kind <= CHANGE_PART);
  const struct change *c = s->c;
  uint32_t i = copying_find(s->a, c->token);
  if (i == s->a->copying_count || s->a->copying_epoch[i] != c->epoch) return;
  struct row_journal j = {.prefix_len = (uint16_t)c->prefix_len, .key = c->key, .part = c->part};
  j.item = c->kind == CHANGE_DELETE ? c->item
           : c->kind == CHANGE_PUT  ? STORE_ITEM_OBJECT
           : c->kind == CHANGE_PART ? STORE_ITEM_PART
                                    : STORE_ITEM_UPLOAD;
  j.versioned = j.item == STORE_ITEM_OBJECT && c->versioned;
  if (j.versioned) j.order = order_resolved(s);
  memcpy(j.bucket, c->bucket, STORE_BUCKET_ID_SIZE);
  memcpy(j.upload, c->upload, STORE_UPLOAD_ID_SIZE);
  row_journal_key(key_new(s->a), c->token, s->at->lsn, s->at->position);
  row_journal_put(value_new(s->a), &j);
  row_put(s);
}

/* What every change that replaces a row does before its own row is written. */
static enum dom_code cell_replace(struct step *s, struct dom_err *err) {
  bool same = s->prev->found && s->prev->first_lsn == s->first_lsn; /* a copy of the same record */
  if (s->prev->found) apply_forget(s->a, s->prev->at);
  if (!same) bodies_lose(s);
  /* The end of an upload stays: it also ends parts that an older segment may still hold. */
  if (s->prev->tomb_lsn && s->c->kind != CHANGE_UPLOAD) tomb_put(s, false);
  return live_add(s->a, s->at->at, err);
}

static void object_row_drop(struct step *s) {
  assert(s->prev->found && s->prev->key.len > 0);
  index_delete(s->b, buf_slice(&s->prev->key));
  buf_append_slice(key_new(s->a), buf_slice(&s->prev->key));
  s->a->key.data[0] = ROW_BODIES;
  struct row_object row;
  bool ok = row_object_parse(buf_slice(&s->prev->value), &row);
  if (!ok || row.body_count) index_delete(s->b, buf_slice(&s->a->key));
}

static enum dom_code object_put(struct step *s, struct dom_err *err) {
  assert(s->c->kind == CHANGE_PUT);
  const struct change *c = s->c;
  enum dom_code code = cell_replace(s, err);
  if (code != DOM_OK) return code;
  if (s->prev->found) object_row_drop(s);
  struct row_object row = {.at = s->at->at,
                           .first_lsn = s->first_lsn,
                           .size = c->size,
                           .mtime_ms = c->mtime_ms,
                           .etag_parts = c->etag_parts,
                           .head = s->at->head,
                           .body_count = c->body_count,
                           .prefix_len = (uint16_t)c->prefix_len,
                           .versioned = c->versioned,
                           .marker = c->marker};
  memcpy(row.token, c->token, TOKEN_SIZE);
  memcpy(row.md5, c->md5, MD5_SIZE);
  row_cell(key_new(s->a), ROW_OBJECT, c->bucket, c->key, c->epoch);
  row_order_put(&s->a->key, order_resolved(s));
  row_object_put(value_new(s->a), &row);
  row_put(s);
  if (c->body_count) {
    s->a->key.data[0] = ROW_BODIES;
    value_new(s->a);
    for (uint32_t i = 0; i < c->body_count; i++)
      buf_append(&s->a->value, c->bodies[i].id, STORE_BODY_ID_SIZE);
    row_put(s);
    bodies_adopt(s);
  }
  presence_put(s);
  return DOM_OK;
}

static enum dom_code upload_put(struct step *s, struct dom_err *err) {
  assert(s->c->kind == CHANGE_UPLOAD);
  const struct change *c = s->c;
  enum dom_code code = cell_replace(s, err);
  if (code != DOM_OK) return code;
  struct row_upload row = {.at = s->at->at,
                           .first_lsn = s->first_lsn,
                           .mtime_ms = c->mtime_ms,
                           .order = order_resolved(s),
                           .prefix_len = (uint16_t)c->prefix_len};
  memcpy(row.token, c->token, TOKEN_SIZE);
  change_cell(c, key_new(s->a));
  row_upload_put(value_new(s->a), &row);
  row_put(s);
  presence_put(s);
  return DOM_OK;
}

static enum dom_code part_put(struct step *s, struct dom_err *err) {
  const struct change *c = s->c;
  assert(c->body_count == 1);
  enum dom_code code = cell_replace(s, err);
  if (code != DOM_OK) return code;
  struct row_part row = {.at = s->at->at,
                         .first_lsn = s->first_lsn,
                         .mtime_ms = c->mtime_ms,
                         .order = order_resolved(s),
                         .body = c->bodies[0]};
  memcpy(row.token, c->token, TOKEN_SIZE);
  memcpy(row.md5, c->md5, MD5_SIZE);
  assert(c->meta.len <= sizeof row.meta);
  if (c->meta.len) memcpy(row.meta, c->meta.data, c->meta.len);
  row.meta_len = (uint8_t)c->meta.len;
  change_cell(c, key_new(s->a));
  row_part_put(value_new(s->a), &row);
  row_put(s);
  bodies_adopt(s);
  presence_put(s);
  return DOM_OK;
}

/* An upload's parts go with it. */
static void parts_drop(struct step *s) {
  assert(s->prev->parts.len == 0 || s->c->item == STORE_ITEM_UPLOAD);
  struct reader r = reader_of(buf_slice(&s->prev->parts));
  while (r.left > 0 && !r.bad) {
    uint8_t raw[LOG_LOCATOR_SIZE];
    struct slice key = get_bytes16le(&r);
    get_copy(&r, raw, sizeof raw);
    assert(!r.bad);
    index_delete(s->b, key);
    apply_forget(s->a, log_locator_load(raw));
  }
}

/* Deletes of erased epochs are found by the presence row, which a rebuilt index may owe to them alone. */
static void item_delete(struct step *s) {
  assert(s->c->kind == CHANGE_DELETE);
  if (s->prev->found) {
    apply_forget(s->a, s->prev->at);
    if (s->c->item == STORE_ITEM_OBJECT) {
      object_row_drop(s);
    } else {
      change_cell(s->c, key_new(s->a));
      index_delete(s->b, buf_slice(&s->a->key));
    }
  }
  parts_drop(s);
  bodies_lose(s);
  tomb_put(s, true);
  presence_put(s);
}

static enum dom_code state_put(struct step *s, struct dom_err *err) {
  struct row_state row = {.at = s->at->at, .first_lsn = s->first_lsn};
  enum dom_code code = cell_replace(s, err);
  if (code != DOM_OK) return code;
  change_cell(s->c, key_new(s->a));
  row_state_put(value_new(s->a), &row);
  if (s->c->kind == CHANGE_SUBJECT) subject_encode(&s->c->subject, &s->a->value);
  if (s->c->kind == CHANGE_ROW) buf_append_slice(&s->a->value, s->c->value);
  row_put(s);
  return DOM_OK;
}

static void state_delete(struct step *s) {
  assert(s->c->kind == CHANGE_ROW_DELETE);
  if (s->prev->found) {
    apply_forget(s->a, s->prev->at);
    change_cell(s->c, key_new(s->a));
    index_delete(s->b, buf_slice(&s->a->key));
  }
  tomb_put(s, true);
}

static enum dom_code subject_put(struct step *s, struct dom_err *err) {
  const struct store_subject *subject = &s->c->subject;
  enum dom_code code = state_put(s, err);
  if (code != DOM_OK) return code;
  bool journaled = subject->state == SUBJECT_COPYING || subject->state == SUBJECT_FENCED;
  row_token_key(key_new(s->a), ROW_COPYING, subject->token);
  if (journaled) {
    put_u64le(value_new(s->a), subject->epoch);
    row_put(s);
    return copying_add(s->a, subject->token, subject->epoch, err);
  }
  if (copying_find(s->a, subject->token) == s->a->copying_count) return DOM_OK;
  index_delete(s->b, buf_slice(&s->a->key));
  copying_drop(s->a, subject->token);
  BUF_AUTO to = BUF_INIT;
  row_token_key(key_new(s->a), ROW_JOURNAL, subject->token);
  buf_append_slice(&to, buf_slice(&s->a->key));
  if (to.failed || !row_successor(&to)) return dom_fail(err, DOM_NO_MEMORY, "store/apply: journal", "range");
  index_delete_range(s->b, buf_slice(&s->a->key), buf_slice(&to));
  return DOM_OK;
}

static enum dom_code entry_put(struct step *s, struct dom_err *err) {
  assert(s->c->kind == CHANGE_ENTRY);
  static const uint8_t none[TOKEN_SIZE];
  const uint8_t *token = s->c->subject.token;
  struct row_state row = {.at = s->at->at, .first_lsn = s->first_lsn};
  if (s->prev->found) apply_forget(s->a, s->prev->at);
  row_entry_key(key_new(s->a), s->first_lsn, s->c->position);
  row_state_put(value_new(s->a), &row);
  buf_append(&s->a->value, token, TOKEN_SIZE);
  row_put(s);
  if (memcmp(token, none, TOKEN_SIZE) != 0) {
    row_entry_of_key(key_new(s->a), token, s->first_lsn, s->c->position);
    value_new(s->a);
    row_put(s);
  }
  return live_add(s->a, s->at->at, err);
}

static void intent_put(struct step *s) {
  assert(s->c->kind == CHANGE_INTENT);
  const struct store_subject *owner = &s->c->subject;
  change_cell(s->c, key_new(s->a));
  buf_append(value_new(s->a), owner->token, TOKEN_SIZE);
  put_u64le(&s->a->value, owner->epoch);
  put_u64le(&s->a->value, s->first_lsn);
  log_locator_put(&s->a->value, s->at->at);
  row_put(s);
}

/* The copy of an upload's end below a later upload of that id: it still ends the older parts. */
static void dominated_delete(struct step *s) {
  if (s->c->kind != CHANGE_DELETE || s->c->item != STORE_ITEM_UPLOAD) return;
  parts_drop(s);
  bodies_lose(s);
  if (s->prev->tomb_lsn <= s->first_lsn) tomb_put(s, true);
}

static enum dom_code step_take(struct step *s, struct dom_err *err) {
  switch (s->c->kind) {
  case CHANGE_PUT:
    return object_put(s, err);
  case CHANGE_UPLOAD:
    return upload_put(s, err);
  case CHANGE_PART:
    return part_put(s, err);
  case CHANGE_DELETE:
    item_delete(s);
    return DOM_OK;
  case CHANGE_SUBJECT:
    return subject_put(s, err);
  case CHANGE_ROW:
  case CHANGE_SHRED:
    return state_put(s, err);
  case CHANGE_ROW_DELETE:
    state_delete(s);
    return DOM_OK;
  case CHANGE_ENTRY:
    return entry_put(s, err);
  case CHANGE_INTENT:
    intent_put(s);
    return DOM_OK;
  case CHANGE_INTENT_END:
    change_cell(s->c, key_new(s->a));
    index_delete(s->b, buf_slice(&s->a->key));
    return DOM_OK;
  }
  return dom_fail(err, DOM_CORRUPT, "store/apply: change", "kind %d", (int)s->c->kind);
}

enum dom_code apply_change(struct apply *a, struct index_batch *b, const struct change *c,
                           const struct prev *prev, const struct apply_at *at, struct dom_err *err) {
  struct step s = {a, b, c, prev, at, c->first_lsn ? c->first_lsn : at->lsn};
  assert(s.first_lsn > 0 && s.first_lsn <= at->lsn);
  if (dominated(&s)) {
    dominated_delete(&s);
    return DOM_OK;
  }
  bool fresh = !prev->found || prev->first_lsn < s.first_lsn;
  enum dom_code code = step_take(&s, err);
  bool item = c->kind <= CHANGE_PART;
  if (code == DOM_OK && item && fresh && s.first_lsn == at->lsn) journal_put(&s);
  if (code == DOM_OK && (a->key.failed || a->value.failed))
    code = dom_fail(err, DOM_NO_MEMORY, "store/apply: row", "row");
  return code;
}

void apply_dead(struct index_batch *b, const struct change *clear) {
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  buf_append(&value, clear->token, TOKEN_SIZE);
  put_u64le(&value, clear->epoch);
  put_u64le(&value, 0); /* nobody can be reading it */
  for (uint32_t i = 0; i < clear->body_count; i++) {
    buf_reset(&key);
    row_id_key(&key, ROW_REMOVAL, clear->bodies[i].id);
    assert(!key.failed && !value.failed);
    index_put(b, buf_slice(&key), buf_slice(&value));
  }
}
