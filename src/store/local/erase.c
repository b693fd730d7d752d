/* Erasure bookkeeping: what is left of an epoch once its key is gone. */
#include <assert.h>

#include "store/local/item.h"

static const char where[] = "store/erase";
enum { ERASE_ROWS = 256 }; /* rows a job removes: bounds how long the writer is held */

/* What one job removes. Index rows alone: after a crash it is done again. */
struct removal {
  const uint8_t *token;
  uint64_t epoch;
  struct buf keys;     /* bytes16 each */
  struct buf ids;      /* bodies that go */
  struct buf locators; /* of records that no row names then */
  uint32_t count;
  bool failed;
};

static void removal_done(struct removal *r) {
  buf_done(&r->keys);
  buf_done(&r->ids);
  buf_done(&r->locators);
}

static void removal_run(void *arg, struct apply *a, struct index_batch *b) {
  struct removal *r = arg;
  struct reader keys = reader_of(buf_slice(&r->keys));
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  while (keys.left > 0) index_delete(b, get_bytes16le(&keys));
  assert(!keys.bad && r->ids.len % STORE_BODY_ID_SIZE == 0);
  buf_append(&value, r->token, TOKEN_SIZE);
  put_u64le(&value, r->epoch);
  put_u64le(&value, 0); /* its key is gone: nobody can be reading it */
  for (size_t at = 0; at < r->ids.len; at += STORE_BODY_ID_SIZE) {
    buf_reset(&key);
    row_id_key(&key, ROW_BODY, r->ids.data + at);
    if (!key.failed) index_delete(b, buf_slice(&key));
    buf_reset(&key);
    row_id_key(&key, ROW_REMOVAL, r->ids.data + at);
    r->failed = r->failed || key.failed || value.failed;
    if (!r->failed) index_put(b, buf_slice(&key), buf_slice(&value));
  }
  for (size_t at = 0; at < r->locators.len; at += LOG_LOCATOR_SIZE)
    apply_forget(a, log_locator_load(r->locators.data + at));
}

/* ---- the shred record ---- */

static enum dom_code shred_log(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                               struct dom_err *err) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  BUF_AUTO key = BUF_INIT;
  struct vault_key system = vault_system_key();
  struct change c = {.kind = CHANGE_SHRED, .epoch = system.epoch, .subject.epoch = epoch};
  memcpy(c.token, system.token, TOKEN_SIZE);
  memcpy(c.subject.token, token, TOKEN_SIZE);
  enum dom_code code = store_view_open(s, &v, err);
  if (code != DOM_OK) return code;
  row_token_epoch_key(&key, ROW_SHRED, token, epoch);
  code = key.failed ? buf_check(&key, err) : index_has(&v->index, buf_slice(&key), err);
  if (code == DOM_NOT_FOUND) {
    code = tx_new(s, v, &tx, err);
    if (code == DOM_OK) code = tx_add(tx, &c, (struct slice){0}, err);
    /* Whoever stages under this epoch read the subject: it must look again. */
    if (code == DOM_OK) code = tx_write(tx, tx_hash_subject(token), err);
    if (code == DOM_OK) {
      code = store_tx_commit_take(tx, NULL, err);
      tx = NULL;
    }
    store_tx_abort_take(tx);
  }
  store_view_close(v);
  return code;
}

/* ---- rows ---- */

static enum dom_code object_add(struct store_view *v, const struct index_iter *row, struct removal *r,
                                struct dom_err *err) {
  assert(row->valid);
  struct row_object o;
  BUF_AUTO ids = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  if (!row_object_parse(row->value, &o)) return dom_fail(err, DOM_CORRUPT, where, "bad row");
  log_locator_put(&r->locators, o.at);
  if (o.body_count == 0) return DOM_OK;
  buf_append_slice(&key, row->key);
  if (key.failed) return buf_check(&key, err);
  key.data[0] = ROW_BODIES;
  put_bytes16le(&r->keys, buf_slice(&key));
  enum dom_code code = index_get(&v->index, buf_slice(&key), &ids, err);
  if (code == DOM_NOT_FOUND) return dom_fail(err, DOM_CORRUPT, where, "bodies row is missing");
  if (code == DOM_OK) buf_append_slice(&r->ids, buf_slice(&ids));
  return code;
}

static enum dom_code row_add(struct store_view *v, const struct item_name *name, const struct index_iter *row,
                             struct removal *r, struct dom_err *err) {
  struct row_upload upload;
  struct row_part part;
  assert(row->valid);
  put_bytes16le(&r->keys, row->key);
  r->count++;
  switch (name->kind) {
  case STORE_ITEM_OBJECT:
    return object_add(v, row, r, err);
  case STORE_ITEM_UPLOAD:
    if (!row_upload_parse(row->value, &upload)) return dom_fail(err, DOM_CORRUPT, where, "bad row");
    log_locator_put(&r->locators, upload.at);
    return DOM_OK;
  case STORE_ITEM_PART:
    if (!row_part_parse(row->value, &part)) return dom_fail(err, DOM_CORRUPT, where, "bad row");
    log_locator_put(&r->locators, part.at);
    buf_append(&r->ids, part.body.id, STORE_BODY_ID_SIZE);
    return DOM_OK;
  }
  return DOM_OK;
}

static enum dom_code rows_find(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                               struct removal *r, struct dom_err *err) {
  assert(r->count == 0);
  struct store_walk *w = NULL;
  struct item_name name;
  const struct index_iter *row = NULL;
  enum dom_code code = walk_new(v, token, epoch, (struct slice){0}, &w, err);
  if (code != DOM_OK) return code;
  while (r->count < ERASE_ROWS && (code = walk_step(w, &name, &row, err)) == DOM_OK && row) {
    code = row_add(v, &name, row, r, err);
    if (code != DOM_OK) break;
  }
  store_walk_close(w);
  return code;
}

/* Deletes that stand in one table at one place: they carry names too. */
static enum dom_code tombs_find(struct store_view *v, enum row_table table, struct slice place,
                                const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct removal *r,
                                struct dom_err *err) {
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO name = BUF_INIT;
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  put_u8(&stem, ROW_TOMB);
  put_u8(&stem, (uint8_t)table);
  buf_append(&stem, place.data, STORE_BUCKET_ID_SIZE);
  row_name_escape(&stem, slice_cut(place, STORE_BUCKET_ID_SIZE, place.len), false);
  if (stem.failed) return buf_check(&stem, err);
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    struct row_name n;
    struct row_state row;
    struct slice owner;
    if (!row_name_parse(slice_cut(it.key, 1, it.key.len), &name, &n) ||
        !row_state_parse(it.value, &row, &owner) || owner.len != TOKEN_SIZE) {
      return dom_fail(err, DOM_CORRUPT, where, "bad tomb row");
    }
    if (n.epoch != epoch || memcmp(owner.data, token, TOKEN_SIZE) != 0) continue;
    put_bytes16le(&r->keys, it.key);
    if (++r->count >= ERASE_ROWS) return DOM_OK;
  }
  return index_iter_check(&it, err);
}

/* When no item is left: tombs, then, once those are gone, the presence rows. */
static enum dom_code rest_find(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                               struct removal *r, struct dom_err *err) {
  static const enum row_table tables[] = {ROW_OBJECT, ROW_UPLOAD, ROW_PART};
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO stem = BUF_INIT;
  enum dom_code code = index_iter_init(&it, &v->index, err);
  if (code != DOM_OK) return code;
  row_token_epoch_key(&stem, ROW_PRESENCE, token, epoch);
  if (stem.failed) return buf_check(&stem, err);
  for (index_seek(&it, buf_slice(&stem)); it.valid && slice_starts_with(it.key, buf_slice(&stem));
       index_next(&it)) {
    uint32_t before = r->count;
    struct slice place = slice_cut(it.key, stem.len, it.key.len);
    if (place.len < STORE_BUCKET_ID_SIZE) return dom_fail(err, DOM_CORRUPT, where, "bad presence row");
    for (int i = 0; i < 3 && code == DOM_OK && r->count < ERASE_ROWS; i++) {
      code = tombs_find(v, tables[i], place, token, epoch, r, err);
    }
    if (code != DOM_OK || r->count >= ERASE_ROWS) return code;
    if (r->count == before) {
      put_bytes16le(&r->keys, it.key);
      r->count++;
    }
  }
  return index_iter_check(&it, err);
}

/* One bounded round; *out_left is false when there was nothing to remove. */
static enum dom_code round_locked(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                  bool *out_left, struct dom_err *err) {
  assert(out_left != NULL);
  struct store_view *v = NULL;
  struct removal r = {.token = token, .epoch = epoch};
  enum dom_code code = store_view_open(s, &v, err);
  if (code != DOM_OK) return code;
  code = rows_find(v, token, epoch, &r, err);
  if (code == DOM_OK && r.count == 0) code = rest_find(v, token, epoch, &r, err);
  store_view_close(v);
  if (code == DOM_OK && (r.keys.failed || r.ids.failed || r.locators.failed))
    code = dom_fail(err, DOM_NO_MEMORY, where, "rows");
  *out_left = r.count > 0;
  if (code == DOM_OK && r.count > 0) {
    struct commit job = {.job = removal_run, .job_arg = &r};
    code = writer_commit(s->writer, &job);
    if (code != DOM_OK) code = dom_fail(err, code, job.err.where, "%s", job.err.text);
    if (code == DOM_OK && r.failed) code = dom_fail(err, DOM_NO_MEMORY, where, "rows");
  }
  removal_done(&r);
  return code;
}

/* One at a time: a job has no guards, and rows that two of them had found would be counted off twice. What
 * compaction copies it guards with the subject's cell, which the shred record writes. */
static enum dom_code erase_round(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                 bool *out_left, struct dom_err *err) {
  pthread_mutex_lock(&s->erase_lock);
  enum dom_code code = round_locked(s, token, epoch, out_left, err);
  pthread_mutex_unlock(&s->erase_lock);
  return code;
}

/* ---- bodies that were being written under the key ---- */

static enum dom_code intents_end(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                 struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  uint8_t from[1] = {ROW_INTENT};
  enum dom_code code = index_view_init(&v, s->index, true, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(from, 1)); it.valid && it.key.data[0] == ROW_INTENT; index_next(&it)) {
    if (it.key.len != 1 + STORE_BODY_ID_SIZE || it.value.len < TOKEN_SIZE + 8)
      return dom_fail(err, DOM_CORRUPT, where, "bad intent row");
    if (memcmp(it.value.data, token, TOKEN_SIZE) != 0 || load_u64le(it.value.data + TOKEN_SIZE) != epoch)
      continue;
    code = body_unlink(s, it.key.data + 1, err);
    if (code == DOM_OK) code = intent_end(s, it.key.data + 1, err);
    if (code != DOM_OK) return code;
  }
  return index_iter_check(&it, err);
}

/* ---- after a crash ---- */

enum { SHRED_KEY_SIZE = 1 + TOKEN_SIZE + 8 };

/* The shredded epochs that still have rows: the index lost, with what it had not flushed, that they went. */
static enum dom_code leftovers_find(struct store *s, struct buf *out, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  uint8_t from[1] = {ROW_SHRED};
  enum dom_code code = index_view_init(&v, s->index, true, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(from, 1)); it.valid && it.key.data[0] == ROW_SHRED; index_next(&it)) {
    if (it.key.len != SHRED_KEY_SIZE) return dom_fail(err, DOM_CORRUPT, where, "bad shred row");
    buf_reset(&stem);
    put_u8(&stem, ROW_PRESENCE);
    buf_append(&stem, it.key.data + 1, SHRED_KEY_SIZE - 1);
    if (stem.failed) return buf_check(&stem, err);
    code = index_first(&v, buf_slice(&stem), &key, &value, err);
    if (code == DOM_OK) buf_append(out, it.key.data + 1, SHRED_KEY_SIZE - 1);
    if (code != DOM_OK && code != DOM_NOT_FOUND) return code;
  }
  code = index_iter_check(&it, err);
  return code == DOM_OK ? buf_check(out, err) : code;
}

enum dom_code erase_resume(struct store *s, struct dom_err *err) {
  BUF_AUTO found = BUF_INIT;
  enum dom_code code = leftovers_find(s, &found, err);
  assert(found.len % (SHRED_KEY_SIZE - 1) == 0);
  for (size_t at = 0; code == DOM_OK && at < found.len; at += SHRED_KEY_SIZE - 1) {
    uint64_t epoch = load_u64be(found.data + at + TOKEN_SIZE);
    for (bool left = true; code == DOM_OK && left;) code = erase_round(s, found.data + at, epoch, &left, err);
  }
  return code;
}

/* ---- facade ---- */

enum dom_code store_epoch_erase(struct store *s, const struct permit *permit, const uint8_t token[TOKEN_SIZE],
                                uint64_t epoch, struct dom_err *err) {
  struct vault_key key = {.epoch = epoch};
  bool left = true;
  memcpy(key.token, token, TOKEN_SIZE);
  if (!permit_covers(permit, PERMIT_REPAIR, s->o.region, token))
    return dom_fail(err, DOM_REFUSED, where, "no permit");
  enum dom_code code = vault_key_exists(s->vault, &key, NULL);
  if (code == DOM_OK) return dom_fail(err, DOM_INVALID, where, "its key was not dropped");
  if (code != DOM_NOT_FOUND) return dom_fail(err, code, where, "the vault cannot be read");
  /* Again where somebody else erases it too, or wrote the subject's row: the next look tells. */
  for (code = DOM_RETRY; code == DOM_RETRY;) code = shred_log(s, token, epoch, err);
  while (code == DOM_OK && left) code = erase_round(s, token, epoch, &left, err);
  if (code == DOM_OK) code = intents_end(s, token, epoch, err);
  for (bool did = true; code == DOM_OK && did;) code = upkeep_collect(s, &did, err);
  return code;
}

enum dom_code store_epoch_present(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                  bool *out, struct dom_err *err) {
  BUF_AUTO stem = BUF_INIT;
  BUF_AUTO key = BUF_INIT;
  assert(out != NULL);
  row_token_epoch_key(&stem, ROW_PRESENCE, token, epoch);
  if (stem.failed) return buf_check(&stem, err);
  enum dom_code code = index_first(&v->index, buf_slice(&stem), &key, &v->value, err);
  if (code != DOM_OK && code != DOM_NOT_FOUND) return code;
  *out = code == DOM_OK;
  return DOM_OK;
}
