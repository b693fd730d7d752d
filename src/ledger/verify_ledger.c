/* A whole ledger: every hash is computed again from the entries, and every byte of every file
 * is compared with what the entries give. */
#include <assert.h>

#include "base/alloc.h"
#include "ledger/verify_pass.h"

/* Compares a tile file with the hashes that the entries gave. */
static bool check_tile(struct pass *p, struct tile_id id, const struct merkle_hash *hashes) {
  assert(hashes && id.level < TILE_LEVELS);
  char path[TILE_PATH_MAX];
  uint8_t bytes[PASS_FILE_MAX + 1];
  if (!pass_read_tile(p, id, bytes)) return false;
  if (memcmp(bytes, hashes, id.width * (size_t)MERKLE_HASH) == 0) return true;
  tile_path(id, path);
  return result_fail(p->result, DOMICILE_BAD_HASH, "%s does not hold the hashes of its entries", path);
}

static enum dom_code full_tile(void *arg, unsigned level, uint64_t n,
                               const struct merkle_hash hashes[TILE_WIDTH], struct dom_err *err) {
  assert(arg && level < TILE_LEVELS);
  (void)err; /* the result keeps the words */
  return check_tile(arg, (struct tile_id){.level = level, .n = n, .width = TILE_WIDTH}, hashes) ? DOM_OK
                                                                                                : DOM_CORRUPT;
}

/* The edge has reached the size of the kept checkpoint: the roots must be the same. */
static bool check_since(struct pass *p) {
  assert(p->has_since);
  struct merkle_hash root;
  if (p->edge.size != p->since.size) return true;
  tile_edge_root(&p->edge, &root);
  if (merkle_equal(&root, &p->since.root)) return true;
  return result_fail(p->result, DOMICILE_REWRITTEN,
                     "the first %llu entries are not those of the kept checkpoint: the ledger was rewritten",
                     (unsigned long long)p->since.size);
}

/* Takes the entries of the bundle in p->bundle into the tree. */
static bool take_bundle(struct pass *p, const char *path, unsigned width) {
  assert(width >= 1 && width <= TILE_WIDTH);
  for (unsigned i = 0; i < width; i++) {
    const uint8_t *unit = p->bundle + (size_t)i * BUNDLE_UNIT;
    struct slice bytes = slice_of(unit + 2, LEDGER_ENTRY_SIZE);
    struct dom_err err = {.code = DOM_OK};
    struct ledger_entry entry;
    struct merkle_hash leaf;
    if (unit[0] != 0 || unit[1] != LEDGER_ENTRY_SIZE)
      return result_fail(p->result, DOMICILE_MALFORMED, "%s: entry %u is not %d bytes long", path, i,
                         LEDGER_ENTRY_SIZE);
    if (ledger_entry_decode(bytes, &entry, &err) != DOM_OK)
      return result_fail(p->result, DOMICILE_MALFORMED, "%s: entry %u: %s", path, i, err.text);
    p->types[entry.type]++;
    merkle_leaf(bytes, &leaf);
    if (tile_edge_push(&p->edge, &leaf, full_tile, p, NULL) != DOM_OK) return false;
    if (p->has_since && !check_since(p)) return false;
  }
  return true;
}

/* All bundles in order; full tiles are compared as they fill. */
static bool check_bundles(struct pass *p) {
  while (p->edge.size < p->head.size) {
    struct tile_id id = {.level = TILE_ENTRIES, .n = p->edge.size / TILE_WIDTH};
    char path[TILE_PATH_MAX];
    uint64_t first = p->edge.size;
    id.width = tile_width(TILE_ENTRIES, id.n, p->head.size);
    assert(id.width > 0 && first % TILE_WIDTH == 0);
    tile_path(id, path);
    if (!pass_read_tile(p, id, p->bundle)) return false;
    if (p->has_journal && !pass_check_journal(p, first, id.width)) return false;
    if (!take_bundle(p, path, id.width)) return false;
  }
  return true;
}

/* The unfinished tiles, then the root itself. */
static bool check_edge(struct pass *p) {
  struct merkle_hash root;
  assert(p->edge.size == p->head.size);
  for (unsigned level = 0; level < TILE_LEVELS; level++) {
    struct tile_id id = {.level = level, .n = tile_hashes(level, p->head.size) / TILE_WIDTH};
    id.width = tile_edge_width(&p->edge, level);
    if (id.width > 0 && !check_tile(p, id, p->edge.level[level])) return false;
  }
  tile_edge_root(&p->edge, &root);
  if (merkle_equal(&root, &p->head.root)) return true;
  return result_fail(p->result, DOMICILE_BAD_HASH,
                     "the entries do not give the root that the checkpoint signs");
}

static bool load_heads(struct pass *p) {
  assert(!p->has_since);
  uint8_t text[NOTE_BYTES_MAX + 1];
  size_t got = 0;
  int status = p->source->read(p->source->context, "checkpoint", 0, text, sizeof text, &got);
  if (status < 0) return result_fail(p->result, DOMICILE_FAILED, "the checkpoint cannot be read");
  if (status > 0) return result_fail(p->result, DOMICILE_MISSING, "there is no checkpoint");
  if (!verify_head(p->verifier, p->result, slice_of(text, got), "the checkpoint", &p->head)) return false;
  memcpy(p->result->origin, p->head.origin, sizeof p->result->origin);
  p->result->size = p->head.size;
  if (p->verifier->since.len == 0) return true;
  if (!verify_head(p->verifier, p->result, buf_slice(&p->verifier->since), "the kept checkpoint", &p->since))
    return false;
  if (strcmp(p->since.origin, p->head.origin) != 0)
    return result_fail(p->result, DOMICILE_REWRITTEN, "the kept checkpoint is of %s, the ledger of %s",
                       p->since.origin, p->head.origin);
  if (p->since.size > p->head.size)
    return result_fail(p->result, DOMICILE_REWRITTEN,
                       "the kept checkpoint signs %llu entries, the ledger has %llu: it was truncated",
                       (unsigned long long)p->since.size, (unsigned long long)p->head.size);
  p->has_since = true;
  return check_since(p); /* size 0 is reached before the first entry */
}

static void say_facts(struct pass *p) {
  BUF_AUTO root = BUF_INIT;
  assert(p->edge.size == p->head.size);
  hex_encode(&root, slice_of(p->head.root.bytes, MERKLE_HASH));
  if (!root.failed) memcpy(p->result->root, root.data, root.len);
  result_say(p->result, "ledger %s: %llu entries, root %s", p->head.origin, (unsigned long long)p->head.size,
             p->result->root);
  for (unsigned type = 1; type <= LEDGER_TYPE_LAST; type++)
    if (p->types[type] > 0)
      result_say(p->result, "  %llu %s", (unsigned long long)p->types[type],
                 ledger_type_name((enum ledger_type)type));
  if (p->has_since)
    result_say(p->result, "it continues the kept checkpoint of size %llu: nothing before was rewritten",
               (unsigned long long)p->since.size);
  if (p->result->code == DOMICILE_VERIFIED)
    result_say(p->result, "verified: signed by the key given for %s, every entry, tile and file checked",
               p->head.origin);
}

struct domicile_result *domicile_verify_ledger(const struct domicile_verifier *verifier,
                                               const struct domicile_source *source) {
  assert(verifier && source && source->read);
  struct domicile_result *r = result_new();
  AUTO_FREE struct pass *p = dom_calloc(1, sizeof *p);
  if (!r || !p) {
    domicile_result_free(r);
    return NULL;
  }
  p->verifier = verifier;
  p->source = source;
  p->result = r;
  if (load_heads(p) && pass_open_journal(p) && check_bundles(p) && check_edge(p) &&
      pass_check_journal_end(p) && pass_check_listing(p))
    say_facts(p);
  return result_end(r);
}
