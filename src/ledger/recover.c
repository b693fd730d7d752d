/* Opening a ledger: the journal's entries are the truth, the checkpoint is what was promised,
 * tiles and bundles are written again where they do not give the promised root. */
#include <assert.h>

#include "base/alloc.h"
#include "ledger/writer.h"

enum { REPLAY_CHUNK = 2048 /* entries held in memory while replaying: 0.2 MiB */ };

/* Reads and checks the checkpoint file. *out_found is false when there is none. */
static enum dom_code load_checkpoint(struct ledger *l, struct checkpoint *out, bool *out_found,
                                     struct buf *text, struct dom_err *err) {
  static const char where[] = "ledger/recover: checkpoint";
  assert(out && out_found && text);
  char path[FILES_PATH_MAX];
  struct slice body, signatures;
  struct note_key key;
  files_path(&l->files, "checkpoint", path);
  enum dom_code code = disk_read_file(l->disk, path, NOTE_BYTES_MAX, text, NULL);
  *out_found = code != DOM_NOT_FOUND;
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code == DOM_TOO_LARGE) return dom_fail(err, DOM_CORRUPT, where, "longer than any checkpoint");
  if (code != DOM_OK) return dom_fail(err, code, where, "cannot be read");
  if (checkpoint_parse(buf_slice(text), out, &body, &signatures, err) != DOM_OK) {
    if (err) err->code = DOM_CORRUPT;
    return DOM_CORRUPT;
  }
  memcpy(key.origin, l->origin, sizeof key.origin);
  memcpy(key.public_key, l->public_key, sizeof key.public_key);
  if (strcmp(out->origin, l->origin) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "of another origin than this region's");
  if (!checkpoint_verify(out, body, signatures, &key))
    return dom_fail(err, DOM_CORRUPT, where, "not signed by this region's key, or damaged");
  return DOM_OK;
}

/* Replays [edge.size, to) from the journal in chunks; the last cursor comes out. */
static enum dom_code replay(struct ledger *l, uint64_t to, bool keep, struct dom_err *err) {
  assert(l->edge.size <= to && to <= l->journal.slots);
  AUTO_FREE struct journal_slot *slots = dom_alloc(REPLAY_CHUNK * sizeof *slots);
  if (!slots) return dom_fail(err, DOM_NO_MEMORY, "ledger/recover: replay", "a chunk of entries");
  while (l->edge.size < to) {
    uint64_t left = to - l->edge.size;
    size_t count = left < REPLAY_CHUNK ? (size_t)left : REPLAY_CHUNK;
    enum dom_code code = journal_read(&l->journal, l->edge.size, count, slots, err);
    if (code == DOM_OK) code = writer_take(l, slots, count, keep, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

static bool edge_has_root(const struct ledger *l, const struct checkpoint *head) {
  assert(l->edge.size == head->size);
  struct merkle_hash root;
  tile_edge_root(&l->edge, &root);
  return merkle_equal(&root, &head->root);
}

/* Fills the edge from the tile files alone. DOM_CORRUPT or DOM_NOT_FOUND ask for a rebuild. */
static enum dom_code load_edge(struct ledger *l, const struct checkpoint *head, struct dom_err *err) {
  assert(head->size <= l->journal.slots);
  l->edge.size = head->size;
  for (unsigned level = 0; level < TILE_LEVELS; level++) {
    struct tile_id id = {.level = level, .n = tile_hashes(level, head->size) / TILE_WIDTH};
    id.width = tile_edge_width(&l->edge, level);
    if (id.width == 0) continue;
    BUF_AUTO bytes = BUF_INIT;
    enum dom_code code = reader_tile(l, id, &bytes, NULL);
    if (code == DOM_CORRUPT || code == DOM_NOT_FOUND) return code;
    if (code != DOM_OK) return dom_fail(err, code, "ledger/recover: tiles", "the right edge cannot be read");
    memcpy(l->edge.level[level], bytes.data, bytes.len);
  }
  return edge_has_root(l, head) ? DOM_OK : DOM_CORRUPT;
}

/* Fills the bytes of the unfinished bundle from the journal, and compares them with level 0:
 * entries that no longer hash to what was signed must not be signed again. */
static enum dom_code load_bundle(struct ledger *l, struct dom_err *err) {
  unsigned width = tile_edge_width(&l->edge, 0);
  struct journal_slot slots[TILE_WIDTH];
  assert(width < TILE_WIDTH && l->edge.size >= width);
  enum dom_code code = journal_read(&l->journal, l->edge.size - width, width, slots, err);
  for (unsigned i = 0; code == DOM_OK && i < width; i++) {
    struct merkle_hash leaf;
    uint8_t *unit = l->bundle + (size_t)i * BUNDLE_UNIT;
    merkle_leaf(slice_of(slots[i].entry, LEDGER_ENTRY_SIZE), &leaf);
    if (!merkle_equal(&leaf, &l->edge.level[0][i]))
      return dom_fail(err, DOM_CORRUPT, "ledger/recover: entries", "the journal does not match its tiles");
    unit[0] = 0;
    unit[1] = LEDGER_ENTRY_SIZE;
    memcpy(unit + 2, slots[i].entry, LEDGER_ENTRY_SIZE);
  }
  return code;
}

/* Tiles are missing or wrong: first see that the entries give the signed root, and only then
 * write every file again. */
static enum dom_code rebuild(struct ledger *l, const struct checkpoint *head, struct dom_err *err) {
  assert(head->size <= l->journal.slots);
  l->edge.size = 0;
  enum dom_code code = replay(l, head->size, false, err);
  if (code != DOM_OK) return code;
  if (!edge_has_root(l, head))
    return dom_fail(err, DOM_CORRUPT, "ledger/recover: entries",
                    "the journal's entries do not give the root that was signed for size %llu",
                    (unsigned long long)head->size);
  l->edge.size = 0;
  code = replay(l, head->size, true, err);
  return code == DOM_OK ? writer_keep_partials(l, 0, err) : code;
}

/* Entries that are durable but were not published: a crash came between. */
static enum dom_code publish_tail(struct ledger *l, struct dom_err *err) {
  assert(l->edge.size <= l->journal.slots);
  uint64_t left = l->journal.slots - l->edge.size;
  if (left == 0) return DOM_OK;
  if (left > LEDGER_BATCH_MAX)
    return dom_fail(err, DOM_CORRUPT, "ledger/recover: entries",
                    "the checkpoint is %llu entries behind the journal: an older one was put in its place",
                    (unsigned long long)left);
  AUTO_FREE struct journal_slot *slots = dom_calloc((size_t)left, sizeof *slots);
  if (!slots) return dom_fail(err, DOM_NO_MEMORY, "ledger/recover: entries", "the last batch");
  enum dom_code code = journal_read(&l->journal, l->edge.size, (size_t)left, slots, err);
  return code == DOM_OK ? writer_publish(l, slots, (size_t)left, err) : code;
}

/* The head as found becomes what readers see. */
static enum dom_code show_head(struct ledger *l, const struct checkpoint *head, struct buf *text,
                               struct dom_err *err) {
  assert(head->size <= l->journal.slots);
  struct journal_slot last = {.cursor = 0};
  enum dom_code code = head->size > 0 ? journal_read(&l->journal, head->size - 1, 1, &last, err) : DOM_OK;
  if (code != DOM_OK) return code;
  l->size = head->size;
  l->cursor = last.cursor;
  l->checkpoint = *text;
  *text = BUF_INIT;
  return DOM_OK;
}

enum dom_code recover(struct ledger *ledger, struct dom_err *err) {
  static const char where[] = "ledger/recover: open";
  assert(ledger && ledger->journal.file && ledger->size == 0);
  struct checkpoint head = {.size = 0};
  bool found;
  BUF_AUTO text = BUF_INIT;
  enum dom_code code = load_checkpoint(ledger, &head, &found, &text, err);
  if (code != DOM_OK) return code;
  if (!found && ledger->journal.slots > 0)
    return dom_fail(err, DOM_CORRUPT, where, "the checkpoint is gone but the journal holds entries");
  if (head.size > ledger->journal.slots)
    return dom_fail(err, DOM_CORRUPT, where,
                    "the checkpoint signs %llu entries, the journal holds %llu: an older "
                    "copy of the folder, or lost writes; do not sign, ask the witnesses",
                    (unsigned long long)head.size, (unsigned long long)ledger->journal.slots);
  if (!found) return writer_sign(ledger, 0, err);
  code = journal_cut_torn(&ledger->journal, head.size, err);
  if (code == DOM_OK) code = load_edge(ledger, &head, err);
  if (code == DOM_CORRUPT || code == DOM_NOT_FOUND) code = rebuild(ledger, &head, err);
  if (code == DOM_OK) code = load_bundle(ledger, err);
  if (code == DOM_OK) code = show_head(ledger, &head, &text, err);
  return code == DOM_OK ? publish_tail(ledger, err) : code;
}
