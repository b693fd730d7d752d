#include "ledger/writer.h"

#include <assert.h>

#include "base/alloc.h"

/* Where take() is: tiles fill while entries are pushed. */
struct take {
  struct ledger *ledger;
  bool keep;
};

static enum dom_code stage(struct ledger *l, struct tile_id id, const void *bytes, size_t len,
                           struct dom_err *err) {
  assert(len > 0);
  char path[TILE_PATH_MAX];
  tile_path(id, path);
  enum dom_code code = files_group_full(&l->files) ? files_commit(&l->files, err) : DOM_OK;
  return code == DOM_OK ? files_stage(&l->files, path, slice_of(bytes, len), err) : code;
}

/* A tile is full; with level 0 so is its bundle. */
static enum dom_code stage_full(void *arg, unsigned level, uint64_t n,
                                const struct merkle_hash hashes[TILE_WIDTH], struct dom_err *err) {
  const struct take *take = arg;
  struct tile_id id = {.level = level, .n = n, .width = TILE_WIDTH};
  struct tile_id bundle = {.level = TILE_ENTRIES, .n = n, .width = TILE_WIDTH};
  enum dom_code code = DOM_OK;
  assert(hashes);
  if (!take->keep) return DOM_OK;
  if (level == 0) code = stage(take->ledger, bundle, take->ledger->bundle, sizeof take->ledger->bundle, err);
  return code == DOM_OK ? stage(take->ledger, id, hashes, TILE_BYTES, err) : code;
}

enum dom_code writer_take(struct ledger *ledger, const struct journal_slot *slots, size_t count, bool keep,
                          struct dom_err *err) {
  assert(ledger && (slots || count == 0));
  struct take take = {.ledger = ledger, .keep = keep};
  for (size_t i = 0; i < count; i++) {
    uint8_t *unit = ledger->bundle + (ledger->edge.size % TILE_WIDTH) * BUNDLE_UNIT;
    struct merkle_hash leaf;
    unit[0] = 0;
    unit[1] = LEDGER_ENTRY_SIZE;
    memcpy(unit + 2, slots[i].entry, LEDGER_ENTRY_SIZE);
    merkle_leaf(slice_of(slots[i].entry, LEDGER_ENTRY_SIZE), &leaf);
    enum dom_code code = tile_edge_push(&ledger->edge, &leaf, stage_full, &take, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

enum dom_code writer_keep_partials(struct ledger *ledger, uint64_t old_size, struct dom_err *err) {
  assert(ledger && old_size <= ledger->edge.size);
  enum dom_code code = DOM_OK;
  for (unsigned level = 0; code == DOM_OK && level < TILE_LEVELS; level++) {
    uint64_t hashes = tile_hashes(level, ledger->edge.size);
    struct tile_id id = {.level = level, .n = hashes / TILE_WIDTH, .width = (unsigned)(hashes % TILE_WIDTH)};
    struct tile_id bundle = {.level = TILE_ENTRIES, .n = id.n, .width = id.width};
    if (hashes == tile_hashes(level, old_size)) break; /* nor did any level above change */
    if (id.width == 0) continue;
    if (level == 0) code = stage(ledger, bundle, ledger->bundle, id.width * (size_t)BUNDLE_UNIT, err);
    if (code == DOM_OK)
      code = stage(ledger, id, ledger->edge.level[level], id.width * (size_t)MERKLE_HASH, err);
  }
  return code == DOM_OK ? files_commit(&ledger->files, err) : code;
}

/* Removes the partial versions of what has become full since `old_size`. Done before the
 * checkpoint: readers of the old one find the full tile, and a crash here is repeated. */
static enum dom_code prune(struct ledger *l, uint64_t old_size, struct dom_err *err) {
  assert(old_size <= l->edge.size);
  enum dom_code code = DOM_OK;
  for (unsigned level = 0; code == DOM_OK && level < TILE_LEVELS; level++) {
    uint64_t n = tile_hashes(level, old_size) / TILE_WIDTH;
    if (tile_hashes(level, old_size) % TILE_WIDTH == 0) continue;
    if (tile_width(level, n, l->edge.size) != TILE_WIDTH) continue;
    if (level == 0) code = files_prune_partials(&l->files, TILE_ENTRIES, n, err);
    if (code == DOM_OK) code = files_prune_partials(&l->files, level, n, err);
  }
  return code;
}

enum dom_code writer_sign(struct ledger *ledger, uint64_t cursor, struct dom_err *err) {
  assert(ledger && ledger->edge.size <= ledger->journal.slots);
  struct checkpoint head = {.size = ledger->edge.size};
  BUF_AUTO text = BUF_INIT;
  memcpy(head.origin, ledger->origin, sizeof head.origin);
  tile_edge_root(&ledger->edge, &head.root);
  checkpoint_sign(&head, ledger->seed, ledger->public_key, &text);
  enum dom_code code = buf_check(&text, err);
  if (code == DOM_OK) code = files_stage(&ledger->files, "checkpoint", buf_slice(&text), err);
  if (code == DOM_OK) code = files_commit(&ledger->files, err);
  if (code != DOM_OK) return code;
  pthread_mutex_lock(&ledger->lock);
  struct buf old = ledger->checkpoint;
  ledger->checkpoint = text;
  ledger->size = head.size;
  ledger->cursor = cursor;
  pthread_mutex_unlock(&ledger->lock);
  text = old; /* released on the way out */
  return DOM_OK;
}

enum dom_code writer_publish(struct ledger *ledger, const struct journal_slot *slots, size_t count,
                             struct dom_err *err) {
  assert(ledger && slots && count > 0);
  uint64_t old_size = ledger->edge.size;
  enum dom_code code = writer_take(ledger, slots, count, true, err);
  if (code == DOM_OK) code = writer_keep_partials(ledger, old_size, err);
  if (code == DOM_OK) code = prune(ledger, old_size, err);
  if (code == DOM_OK) code = writer_sign(ledger, slots[count - 1].cursor, err);
  return code;
}

/* Everything that can be refused is refused before the first byte is written. */
static enum dom_code check_items(struct ledger *l, const struct ledger_item *items, size_t count,
                                 struct dom_err *err) {
  assert(items && count > 0);
  static const char where[] = "ledger/writer: append";
  struct ledger_entry entry;
  uint64_t taken = ledger_taken(l);
  if (ledger_failed(l))
    return dom_fail(err, DOM_READ_ONLY, where, "an earlier append failed; open the ledger again");
  if (items[0].cursor <= taken)
    return dom_fail(err, DOM_INVALID, where, "cursor %llu is taken up already (at %llu)",
                    (unsigned long long)items[0].cursor, (unsigned long long)taken);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && items[i].cursor < items[i - 1].cursor)
      return dom_fail(err, DOM_INVALID, where, "cursor %llu after %llu", (unsigned long long)items[i].cursor,
                      (unsigned long long)items[i - 1].cursor);
    enum dom_code code = ledger_entry_decode(slice_of(items[i].entry, LEDGER_ENTRY_SIZE), &entry, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

/* Entries that the journal holds from now on. */
static void pending_add(struct ledger *l, const struct ledger_item *items, size_t count) {
  assert(l->pending_count + count <= LEDGER_BATCH_MAX && l->journal.slots >= count);
  pthread_mutex_lock(&l->lock);
  if (l->pending_count == 0) l->pending_first = l->journal.slots - count;
  for (size_t i = 0; i < count; i++) {
    struct journal_slot *slot = &l->pending[l->pending_count++];
    *slot = (struct journal_slot){.cursor = items[i].cursor};
    memcpy(slot->entry, items[i].entry, LEDGER_ENTRY_SIZE);
  }
  pthread_mutex_unlock(&l->lock);
  assert(l->pending_first + l->pending_count == l->journal.slots);
}

enum dom_code ledger_take_up(struct ledger *ledger, const struct ledger_item *items, size_t count,
                             struct dom_err *err) {
  assert(ledger && items && count >= 1 && count <= LEDGER_BATCH_MAX);
  enum dom_code code = check_items(ledger, items, count, err);
  /* A start publishes what it finds beyond the checkpoint as one batch. */
  if (!code && ledger->pending_count + count > LEDGER_BATCH_MAX) code = ledger_publish(ledger, err);
  if (code) return code;
  code = journal_append(&ledger->journal, items, count, err);
  if (!code) {
    pending_add(ledger, items, count);
    return DOM_OK;
  }
  (void)ledger_publish(ledger, NULL); /* what came before is whole: it can still be proven */
  atomic_store(&ledger->failed, true);
  return code;
}

enum dom_code ledger_publish(struct ledger *ledger, struct dom_err *err) {
  assert(ledger);
  if (ledger_failed(ledger))
    return dom_fail(err, DOM_READ_ONLY, "ledger/writer: publish",
                    "an earlier append failed; open the ledger again");
  if (ledger->pending_count == 0) return DOM_OK;
  assert(ledger->pending_first == ledger->edge.size);
  enum dom_code code = writer_publish(ledger, ledger->pending, ledger->pending_count, err);
  if (code) {
    atomic_store(&ledger->failed, true);
    return code;
  }
  pthread_mutex_lock(&ledger->lock);
  ledger->pending_count = 0;
  pthread_mutex_unlock(&ledger->lock);
  return DOM_OK;
}

enum dom_code ledger_append(struct ledger *ledger, const struct ledger_item *items, size_t count,
                            struct dom_err *err) {
  enum dom_code code = ledger_take_up(ledger, items, count, err);
  return code ? code : ledger_publish(ledger, err);
}
