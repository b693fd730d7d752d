/* What any thread may ask of a ledger while its writer goes on: everything is answered from
 * the published head and from files that are in place; but for indices, which hold from when an entry is
 * taken up. */
#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "ledger/receipt.h"
#include "ledger/writer.h"

uint64_t ledger_size(struct ledger *ledger) {
  assert(ledger);
  pthread_mutex_lock(&ledger->lock);
  uint64_t size = ledger->size;
  pthread_mutex_unlock(&ledger->lock);
  return size;
}

uint64_t ledger_cursor(struct ledger *ledger) {
  assert(ledger);
  pthread_mutex_lock(&ledger->lock);
  uint64_t cursor = ledger->cursor;
  pthread_mutex_unlock(&ledger->lock);
  return cursor;
}

uint64_t ledger_taken(struct ledger *ledger) {
  assert(ledger);
  pthread_mutex_lock(&ledger->lock);
  uint64_t cursor =
      ledger->pending_count ? ledger->pending[ledger->pending_count - 1].cursor : ledger->cursor;
  pthread_mutex_unlock(&ledger->lock);
  return cursor;
}

bool ledger_failed(struct ledger *ledger) {
  assert(ledger);
  return atomic_load(&ledger->failed);
}

const char *ledger_origin(const struct ledger *ledger) {
  assert(ledger);
  return ledger->origin;
}

void ledger_own_vkey(const struct ledger *ledger, struct buf *out) {
  assert(ledger && out);
  ledger_vkey_format(ledger->origin, ledger->public_key, out);
}

void ledger_own_log_id(const struct ledger *ledger, uint8_t out_id[LEDGER_LOG_ID_SIZE]) {
  assert(ledger && out_id);
  memcpy(out_id, ledger->log_id, LEDGER_LOG_ID_SIZE);
}

void ledger_checkpoint(struct ledger *ledger, struct buf *out) {
  assert(ledger && out);
  pthread_mutex_lock(&ledger->lock);
  buf_append_slice(out, buf_slice(&ledger->checkpoint));
  pthread_mutex_unlock(&ledger->lock);
}

static enum dom_code read_resource(struct ledger *l, struct tile_id id, size_t max, struct buf *out,
                                   struct dom_err *err) {
  assert(id.width >= 1 && id.width <= TILE_WIDTH);
  char path[TILE_PATH_MAX], full[FILES_PATH_MAX];
  tile_path(id, path);
  files_path(&l->files, path, full);
  return disk_read_file(l->disk, full, max, out, err);
}

/* Reads the file of width `width` that holds the first `want` bytes; cuts it to those. */
static enum dom_code read_cut(struct ledger *l, struct tile_id id, unsigned width, size_t want,
                              struct buf *out, struct dom_err *err) {
  static const char where[] = "ledger/reader: tile";
  size_t have = width * (want / id.width), begin = out->len;
  assert(width >= id.width && have >= want);
  id.width = width;
  enum dom_code code = read_resource(l, id, have, out, NULL);
  bool whole = code == DOM_OK && out->len - begin == have;
  out->len = begin + (whole ? want : 0);
  if (whole || code == DOM_NOT_FOUND) return code;
  if (code == DOM_IO || code == DOM_NO_MEMORY)
    return dom_fail(err, code, where, "a tile or bundle cannot be read");
  return dom_fail(err, DOM_CORRUPT, where, "a tile or bundle is of the wrong length");
}

enum dom_code reader_tile(struct ledger *ledger, struct tile_id id, struct buf *out, struct dom_err *err) {
  assert(ledger && out && id.width >= 1 && id.width <= TILE_WIDTH);
  size_t want = id.width * (size_t)(id.level == TILE_ENTRIES ? BUNDLE_UNIT : MERKLE_HASH);
  /* As asked for; else today's, wider one; else, when it filled up just now, the full one. */
  unsigned widths[3] = {id.width, tile_width(id.level, id.n, ledger_size(ledger)), TILE_WIDTH};
  for (size_t i = 0; i < 3; i++) {
    if (widths[i] < id.width || (i > 0 && widths[i] == widths[i - 1])) continue;
    enum dom_code code = read_cut(ledger, id, widths[i], want, out, err);
    if (code != DOM_NOT_FOUND) return code;
  }
  return dom_fail(err, DOM_NOT_FOUND, "ledger/reader: tile", "a tile or bundle is not there");
}

enum dom_code ledger_entry_at(struct ledger *ledger, uint64_t index, uint8_t out_entry[LEDGER_ENTRY_SIZE],
                              uint64_t *out_cursor, struct dom_err *err) {
  assert(ledger);
  struct journal_slot slot;
  if (index >= ledger_size(ledger))
    return dom_fail(err, DOM_NOT_FOUND, "ledger/reader: entry", "no entry %llu", (unsigned long long)index);
  enum dom_code code = journal_read(&ledger->journal, index, 1, &slot, err);
  if (code != DOM_OK) return code;
  if (out_entry) memcpy(out_entry, slot.entry, LEDGER_ENTRY_SIZE);
  if (out_cursor) *out_cursor = slot.cursor;
  return DOM_OK;
}

/* First index whose cursor is at least `cursor`; `size` when there is none. */
static enum dom_code lower_bound(struct ledger *l, uint64_t size, uint64_t cursor, uint64_t *out,
                                 struct dom_err *err) {
  uint64_t low = 0, high = size, at = 0;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    enum dom_code code = ledger_entry_at(l, middle, NULL, &at, err);
    if (code != DOM_OK) return code;
    if (at < cursor)
      low = middle + 1;
    else
      high = middle;
  }
  assert(low <= size);
  *out = low;
  return DOM_OK;
}

enum dom_code ledger_find_cursor(struct ledger *ledger, uint64_t cursor, uint64_t *out_first,
                                 uint64_t *out_count, struct dom_err *err) {
  assert(ledger && out_first && out_count);
  uint64_t size = ledger_size(ledger), first = size, end = size;
  enum dom_code code = lower_bound(ledger, size, cursor, &first, err);
  if (code == DOM_OK && cursor < UINT64_MAX) code = lower_bound(ledger, size, cursor + 1, &end, err);
  if (code != DOM_OK) return code;
  if (first == end)
    return dom_fail(err, DOM_NOT_FOUND, "ledger/reader: cursor", "no entry came from LSN %llu",
                    (unsigned long long)cursor);
  *out_first = first;
  *out_count = end - first;
  return DOM_OK;
}

/* Among those not yet published. False: none of them came from `cursor`. */
static bool pending_find(struct ledger *l, uint64_t cursor, uint64_t *out_index) {
  bool found = false;
  pthread_mutex_lock(&l->lock);
  size_t low = 0, high = l->pending_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (l->pending[middle].cursor < cursor)
      low = middle + 1;
    else
      high = middle;
  }
  if (low < l->pending_count && l->pending[low].cursor == cursor) {
    found = true;
    *out_index = l->pending_first + low;
  }
  pthread_mutex_unlock(&l->lock);
  return found;
}

enum dom_code ledger_index(struct ledger *ledger, uint64_t cursor, uint64_t *out_index, struct dom_err *err) {
  assert(ledger && out_index);
  uint64_t count = 0;
  if (pending_find(ledger, cursor, out_index)) return DOM_OK;
  if (cursor <= ledger_cursor(ledger)) return ledger_find_cursor(ledger, cursor, out_index, &count, err);
  return dom_fail(err, DOM_NOT_FOUND, "ledger/reader: index", "LSN %llu is not taken up",
                  (unsigned long long)cursor);
}

/* Perfect nodes out of tile files, for one proof. A proof touches at most two tiles of a
 * level: the one on its path and the right edge. */
struct nodes {
  struct ledger *ledger;
  uint64_t size;
  struct {
    struct buf bytes;
    uint64_t n;
  } tiles[TILE_LEVELS][2];
};

static struct nodes *nodes_new(struct ledger *ledger, uint64_t size) {
  assert(ledger);
  struct nodes *nodes = dom_calloc(1, sizeof *nodes);
  if (!nodes) return NULL;
  nodes->ledger = ledger;
  nodes->size = size;
  return nodes;
}

static void nodes_free(struct nodes **p) {
  assert(p);
  for (unsigned level = 0; *p && level < TILE_LEVELS; level++)
    for (unsigned i = 0; i < 2; i++) buf_done(&(*p)->tiles[level][i].bytes);
  dom_free(*p);
}

static enum dom_code node_at(void *arg, unsigned height, uint64_t index, struct merkle_hash *out,
                             struct dom_err *err) {
  struct nodes *nodes = arg;
  unsigned level = height / TILE_HEIGHT, count = 1U << height % TILE_HEIGHT;
  uint64_t first = index * count, n = first / TILE_WIDTH;
  assert(level < TILE_LEVELS && first + count <= tile_hashes(level, nodes->size));
  bool edge = n == tile_hashes(level, nodes->size) / TILE_WIDTH;
  struct buf *bytes = &nodes->tiles[level][edge].bytes;
  if (bytes->len == 0 || nodes->tiles[level][edge].n != n) {
    struct tile_id id = {.level = level, .n = n, .width = tile_width(level, n, nodes->size)};
    buf_reset(bytes);
    enum dom_code code = reader_tile(nodes->ledger, id, bytes, err);
    if (code != DOM_OK) {
      buf_reset(bytes);
      return code == DOM_NOT_FOUND ? DOM_CORRUPT : code;
    }
    nodes->tiles[level][edge].n = n;
  }
  struct merkle_hash hashes[TILE_WIDTH];
  memcpy(hashes, bytes->data + (size_t)(first % TILE_WIDTH) * MERKLE_HASH, (size_t)count * MERKLE_HASH);
  merkle_perfect(hashes, count, out);
  return DOM_OK;
}

static enum dom_code prove_inclusion(struct ledger *l, uint64_t index, uint64_t size,
                                     struct merkle_proof *out, struct dom_err *err) {
  static const char where[] = "ledger/reader: inclusion";
  if (index >= size || size > ledger_size(l))
    return dom_fail(err, DOM_NOT_FOUND, where, "no entry %llu at size %llu", (unsigned long long)index,
                    (unsigned long long)size);
  __attribute__((cleanup(nodes_free))) struct nodes *nodes = nodes_new(l, size);
  if (!nodes) return dom_fail(err, DOM_NO_MEMORY, where, "a tile cache");
  assert(nodes->size == size);
  return merkle_prove_inclusion(node_at, nodes, index, size, out, err);
}

enum dom_code ledger_prove_inclusion(struct ledger *ledger, uint64_t index, uint64_t size,
                                     struct buf *out_hashes, struct dom_err *err) {
  assert(ledger && out_hashes);
  struct merkle_proof proof;
  enum dom_code code = prove_inclusion(ledger, index, size, &proof, err);
  if (code != DOM_OK) return code;
  buf_append(out_hashes, proof.hashes, proof.count * MERKLE_HASH);
  return buf_check(out_hashes, err);
}

enum dom_code ledger_prove_consistency(struct ledger *ledger, uint64_t from, uint64_t to,
                                       struct buf *out_hashes, struct dom_err *err) {
  static const char where[] = "ledger/reader: consistency";
  assert(ledger && out_hashes);
  struct merkle_proof proof;
  if (from > to || to > ledger_size(ledger))
    return dom_fail(err, DOM_NOT_FOUND, where, "no sizes %llu and %llu", (unsigned long long)from,
                    (unsigned long long)to);
  __attribute__((cleanup(nodes_free))) struct nodes *nodes = nodes_new(ledger, to);
  if (!nodes) return dom_fail(err, DOM_NO_MEMORY, where, "a tile cache");
  enum dom_code code = merkle_prove_consistency(node_at, nodes, from, to, &proof, err);
  if (code != DOM_OK) return code;
  buf_append(out_hashes, proof.hashes, proof.count * MERKLE_HASH);
  return buf_check(out_hashes, err);
}

/* The published checkpoint as text and as values. */
static enum dom_code head(struct ledger *l, struct buf *text, struct checkpoint *out, struct dom_err *err) {
  assert(text->len == 0);
  struct slice body, signatures;
  ledger_checkpoint(l, text);
  enum dom_code code = buf_check(text, err);
  return code == DOM_OK ? checkpoint_parse(buf_slice(text), out, &body, &signatures, err) : code;
}

enum dom_code ledger_receipt(struct ledger *ledger, uint64_t index,
                             const uint8_t opening[LEDGER_OPENING_SIZE], struct slice payload,
                             struct buf *out_text, struct dom_err *err) {
  assert(ledger && opening && out_text);
  BUF_AUTO text = BUF_INIT;
  struct checkpoint at;
  struct receipt receipt = {.index = index};
  struct ledger_entry entry;
  struct ledger_payload content;
  struct merkle_hash leaf;
  enum dom_code code = head(ledger, &text, &at, err);
  if (code == DOM_OK) code = prove_inclusion(ledger, index, at.size, &receipt.proof, err);
  if (code == DOM_OK) code = ledger_entry_at(ledger, index, receipt.entry, NULL, err);
  if (code == DOM_OK) code = ledger_entry_decode(slice_of(receipt.entry, LEDGER_ENTRY_SIZE), &entry, err);
  if (code == DOM_OK) code = ledger_entry_open(&entry, opening, payload, &content, err);
  if (code != DOM_OK) return code;
  merkle_leaf(slice_of(receipt.entry, LEDGER_ENTRY_SIZE), &leaf);
  if (!merkle_check_inclusion(&leaf, index, at.size, &receipt.proof, &at.root))
    return dom_fail(err, DOM_CORRUPT, "ledger/reader: receipt", "stored tiles do not give the signed root");
  memcpy(receipt.opening, opening, LEDGER_OPENING_SIZE);
  receipt.payload = payload;
  receipt.checkpoint = buf_slice(&text);
  receipt_encode(&receipt, out_text);
  return buf_check(out_text, err);
}

enum dom_code ledger_resource(struct ledger *ledger, const char *path, struct buf *out, const char **out_type,
                              bool *out_immutable, struct dom_err *err) {
  assert(ledger && path && out && out_type && out_immutable);
  struct tile_id id;
  if (strcmp(path, "checkpoint") == 0) {
    ledger_checkpoint(ledger, out);
    *out_type = "text/plain; charset=utf-8";
    *out_immutable = false;
    return buf_check(out, err);
  }
  if (!tile_path_parse(slice_str(path), &id) || tile_width(id.level, id.n, ledger_size(ledger)) < id.width)
    return dom_fail(err, DOM_NOT_FOUND, "ledger/reader: resource", "no such resource");
  enum dom_code code = reader_tile(ledger, id, out, err);
  if (code != DOM_OK) return code;
  *out_type = "application/octet-stream";
  *out_immutable = true;
  return DOM_OK;
}
