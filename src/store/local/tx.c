#include <assert.h>

#include "base/alloc.h"
#include "store/local/engine.h"

/* ---- begin and abort ---- */

enum dom_code tx_new(struct store *s, struct store_view *v, struct store_tx **out, struct dom_err *err) {
  struct store_tx *tx = dom_calloc(1, sizeof *tx);
  if (tx) tx->arena = arena_new(TX_MEMORY_MAX);
  if (!tx || !tx->arena) {
    dom_free(tx);
    return dom_fail(err, DOM_NO_MEMORY, "store/tx: begin", "transaction");
  }
  tx->store = s;
  tx->view = v;
  *out = tx;
  return DOM_OK;
}

enum dom_code store_tx_begin(struct store *s, struct store_view *v, struct store_tx **out,
                             struct dom_err *err) {
  assert(v != NULL && v->store == s);
  return tx_new(s, v, out, err);
}

void store_tx_abort_take(struct store_tx *tx) {
  assert(tx == NULL || tx->count <= tx->cap);
  if (!tx) return;
  for (uint32_t i = 0; i < tx->count; i++) {
    buf_done(&tx->items[i].payload);
    prev_done(&tx->items[i].prev);
  }
  arena_free(tx->arena);
  dom_free(tx->items);
  dom_free(tx->reads);
  dom_free(tx->writes);
  dom_free(tx);
}

/* ---- guards ---- */

static enum dom_code hash_add(uint64_t **list, uint32_t *count, uint32_t *cap, uint64_t hash,
                              struct dom_err *err) {
  if (*count == *cap) {
    uint32_t more = *cap * 2 + 8;
    uint64_t *grown = dom_realloc(*list, more * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, "store/tx: guard", "%u guards", more);
    *list = grown;
    *cap = more;
  }
  (*list)[(*count)++] = hash;
  assert(*count <= *cap);
  return DOM_OK;
}

enum dom_code tx_read(struct store_tx *tx, uint64_t hash, struct dom_err *err) {
  assert(tx != NULL);
  return hash_add(&tx->reads, &tx->read_count, &tx->read_cap, hash, err);
}

enum dom_code tx_write(struct store_tx *tx, uint64_t hash, struct dom_err *err) {
  assert(tx != NULL);
  return hash_add(&tx->writes, &tx->write_count, &tx->write_cap, hash, err);
}

bool tx_changes(const struct store_tx *tx, uint64_t cell_hash) {
  for (uint32_t i = 0; i < tx->write_count; i++) {
    if (tx->writes[i] == cell_hash) return true;
  }
  return false;
}

bool tx_deletes(const struct store_tx *tx, uint64_t cell_hash) {
  if (!tx_changes(tx, cell_hash)) return false;
  for (uint32_t i = 0; i < tx->count; i++) {
    BUF_AUTO cell = BUF_INIT;
    if (tx->items[i].change.kind != CHANGE_DELETE) continue;
    change_cell(&tx->items[i].change, &cell);
    if (!cell.failed && writer_hash(buf_slice(&cell), 0) == cell_hash) return true;
  }
  return false;
}

uint64_t tx_hash_subject(const uint8_t token[TOKEN_SIZE]) {
  uint8_t key[1 + TOKEN_SIZE] = {ROW_SUBJECT};
  memcpy(key + 1, token, TOKEN_SIZE);
  return writer_hash(slice_of(key, sizeof key), 0);
}

uint64_t tx_hash_bucket(const uint8_t bucket[STORE_BUCKET_ID_SIZE]) {
  uint8_t key[2 + STORE_BUCKET_ID_SIZE] = {ROW_STATE, STORE_TABLE_BUCKET_ID};
  memcpy(key + 2, bucket, STORE_BUCKET_ID_SIZE);
  return writer_hash(slice_of(key, sizeof key), 0);
}

/* A guard that cannot be kept must not be lost: the commit then fails. */
static void guard_or_fail(struct store_tx *tx, uint64_t hash) {
  if (tx_read(tx, hash, NULL) != DOM_OK) tx->failed = true;
}

void store_tx_guard_row(struct store_tx *tx, enum store_table table, struct slice key) {
  assert(key.len <= STORE_ROW_KEY_MAX);
  BUF_AUTO cell = BUF_INIT;
  row_state_cell(&cell, table, key);
  if (cell.failed)
    tx->failed = true;
  else
    guard_or_fail(tx, writer_hash(buf_slice(&cell), 0));
}

void store_tx_guard_subject(struct store_tx *tx, const uint8_t token[TOKEN_SIZE]) {
  assert(token != NULL);
  guard_or_fail(tx, tx_hash_subject(token));
}

enum dom_code tx_place_check(struct store_tx *tx, enum permit_action action, const struct permit *permit,
                             const struct store_place *place, struct slice key, struct dom_err *err) {
  static const char where[] = "store/tx: place";
  assert(place_holds(place, key));
  if (!permit_covers(permit, action, tx->store->o.region, place->token)) {
    return dom_fail(err, DOM_REFUSED, where, "no permit for it");
  }
  enum dom_code code = subject_check(tx->view, place->token, place->epoch, true, err);
  if (code == DOM_OK) code = tx_read(tx, tx_hash_subject(place->token), err);
  if (code == DOM_OK) code = tx_read(tx, tx_hash_bucket(place->bucket), err);
  return code;
}

/* ---- adding changes ---- */

enum dom_code tx_item_new(struct store_tx *tx, struct item **out, struct dom_err *err) {
  if (tx->count == tx->cap) {
    uint32_t cap = tx->cap * 2 + 4;
    struct item *grown = tx->count < TX_ITEMS_MAX ? dom_realloc(tx->items, cap * sizeof *grown) : NULL;
    if (!grown) {
      return dom_fail(err, tx->count < TX_ITEMS_MAX ? DOM_NO_MEMORY : DOM_TOO_LARGE, "store/tx: add",
                      "%u changes", cap);
    }
    tx->items = grown;
    tx->cap = cap;
  }
  struct item *it = &tx->items[tx->count++];
  memset(it, 0, sizeof *it);
  *out = it;
  return DOM_OK;
}

/* What apply will need of the change must outlive the caller's memory. */
enum dom_code tx_change_keep(struct store_tx *tx, const struct change *c, struct change *out,
                             struct dom_err *err) {
  struct slice bodies = slice_of(c->bodies, c->body_count * sizeof *c->bodies);
  struct slice kept = arena_copy(tx->arena, bodies);
  *out = *c;
  out->key = arena_copy(tx->arena, c->key);
  out->value = arena_copy(tx->arena, c->kind == CHANGE_ROW ? c->value : (struct slice){0});
  out->bodies = (const struct store_body_ref *)(const void *)kept.data;
  out->classes = out->payload = (struct slice){0};
  out->meta = arena_copy(tx->arena, c->kind == CHANGE_PART ? c->meta : (struct slice){0});
  bool ok = (kept.data || bodies.len == 0) && (out->key.data || c->key.len == 0) &&
            (out->value.data || c->kind != CHANGE_ROW || c->value.len == 0) &&
            (out->meta.data || c->kind != CHANGE_PART || c->meta.len == 0);
  return ok ? DOM_OK : dom_fail(err, DOM_TOO_LARGE, "store/tx: add", "transaction memory is used up");
}

enum dom_code tx_cell_guard(struct store_tx *tx, const struct change *c, struct dom_err *err) {
  BUF_AUTO cell = BUF_INIT;
  if (c->kind == CHANGE_ENTRY) return DOM_OK;
  change_cell(c, &cell);
  if (cell.failed) return buf_check(&cell, err);
  uint64_t hash = writer_hash(buf_slice(&cell), 0);
  if (tx_changes(tx, hash)) return dom_fail(err, DOM_INVALID, "store/tx: add", "the same thing twice");
  enum dom_code code = tx_read(tx, hash, err);
  return code == DOM_OK ? tx_write(tx, hash, err) : code;
}

enum dom_code tx_add(struct store_tx *tx, const struct change *c, struct slice inline_body,
                     struct dom_err *err) {
  struct item *it = NULL;
  enum dom_code code = tx_cell_guard(tx, c, err);
  if (code == DOM_OK) code = tx_item_new(tx, &it, err);
  if (code == DOM_OK) code = tx_change_keep(tx, c, &it->change, err);
  assert(tx->view || c->kind == CHANGE_INTENT || c->kind == CHANGE_INTENT_END); /* those meet nothing */
  if (code == DOM_OK && tx->view) code = prev_read(&tx->view->index, &it->change, &it->prev, err);
  if (code == DOM_OK) code = record_encode(tx->store->vault, c, inline_body, &it->payload, &it->head, err);
  if (code == DOM_OK) it->payload_crc = crc32c(0, it->payload.data, it->payload.len);
  if (code != DOM_OK) tx->failed = true; /* half a transaction must not be committed */
  return code;
}

/* ---- commit ---- */

/* Records of this share of the reserve pass between two looks at the free space: a look at each
 * small put was 3 % of its time. */
enum { SPACE_UNSEEN_SHARE = 128 };

/* Whether the transaction may be committed without a look. A body announces bytes outside the log. */
static bool space_unseen(struct store_tx *tx) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < tx->count; i++) {
    if (tx->items[i].change.kind == CHANGE_INTENT) return false;
    bytes += tx->items[i].payload.len;
  }
  uint64_t most = tx->store->o.reserve_bytes / SPACE_UNSEEN_SHARE;
  return atomic_fetch_add(&tx->store->space_unseen, bytes) + bytes < most;
}

static enum dom_code space_check(struct store_tx *tx, struct dom_err *err) {
  uint64_t free_bytes = 0;
  if (!tx->grows || space_unseen(tx)) return DOM_OK;
  enum dom_code code = disk_free_bytes(tx->store->o.disk, &free_bytes, err);
  uint64_t reserve = tx->store->o.reserve_bytes;
  bool enough = code == DOM_OK && free_bytes >= reserve;
  atomic_store(&tx->store->space_unseen, enough ? 0 : reserve); /* too little: look each time */
  if (code != DOM_OK || enough) return code;
  return dom_fail(err, DOM_NO_SPACE, "store/tx: commit", "%llu MiB free, less than the reserve of %llu MiB",
                  (unsigned long long)(free_bytes >> 20), (unsigned long long)(reserve >> 20));
}

static enum dom_code tx_commit(struct store_tx *tx, uint64_t *out_lsn, struct dom_err *err) {
  if (tx->failed) return dom_fail(err, DOM_INVALID, "store/tx: commit", "a change of it was refused");
  uint64_t lsn = tx->view ? tx->view->lsn : writer_applied(tx->store->writer);
  if (tx->count > 0) {
    enum dom_code code = space_check(tx, err);
    if (code != DOM_OK) return code;
    struct commit c = {.items = tx->items,
                       .count = tx->count,
                       .read_lsn = lsn,
                       .reads = tx->reads,
                       .read_count = tx->read_count,
                       .writes = tx->writes,
                       .write_count = tx->write_count,
                       .lsn_min = tx->lsn_min};
    code = writer_commit(tx->store->writer, &c);
    if (code != DOM_OK) return dom_fail(err, code, c.err.where, "%s", c.err.text);
    lsn = c.lsn;
  }
  if (out_lsn) *out_lsn = lsn;
  return DOM_OK;
}

void store_tx_lsn_min(struct store_tx *tx, uint64_t lsn) {
  assert(tx && lsn < STORE_LSN_MAX);
  tx->lsn_min = lsn;
}

enum dom_code store_tx_commit_take(struct store_tx *tx, uint64_t *out_lsn, struct dom_err *err) {
  assert(tx != NULL);
  enum dom_code code = tx_commit(tx, out_lsn, err);
  store_tx_abort_take(tx);
  return code;
}
