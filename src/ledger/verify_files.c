#include <assert.h>

#include "ledger/verify_pass.h"

static size_t unit_of(struct tile_id id) {
  assert(id.width >= 1 && id.width <= TILE_WIDTH);
  return id.level == TILE_ENTRIES ? BUNDLE_UNIT : MERKLE_HASH;
}

/* Reads the file of `id`: 0, 1 when it is not there, -1 on failure. One byte more than the
 * file may have is asked for, to see where it ends. */
static int read_file(struct pass *p, struct tile_id id, uint8_t *out, size_t *out_len) {
  assert(out && out_len);
  char path[TILE_PATH_MAX];
  tile_path(id, path);
  return p->source->read(p->source->context, path, 0, out, id.width * unit_of(id) + 1, out_len);
}

bool pass_read_tile(struct pass *p, struct tile_id id, uint8_t *out) {
  assert(p && out && unit_of(id) <= BUNDLE_UNIT);
  char path[TILE_PATH_MAX];
  struct tile_id used = id;
  size_t got = 0;
  int status = read_file(p, used, out, &got);
  tile_path(id, path);
  if (status == 1 && id.width < TILE_WIDTH) {
    used.width = TILE_WIDTH;
    status = read_file(p, used, out, &got);
  }
  size_t want = used.width * unit_of(used);
  if (status < 0) return result_fail(p->result, DOMICILE_FAILED, "%s cannot be read", path);
  if (status > 0) return result_fail(p->result, DOMICILE_MISSING, "%s is missing", path);
  if (got < want) return result_fail(p->result, DOMICILE_MISSING, "%s is %zu bytes short", path, want - got);
  if (got > want)
    return result_fail(p->result, DOMICILE_EXTRA, "%s is longer than its %zu bytes", path, want);
  return true;
}

/* A tile or bundle kept from an earlier size must be the beginning of today's. */
static bool check_older(struct pass *p, const char *path, struct tile_id id, unsigned now) {
  assert(id.width < now);
  uint8_t older[PASS_FILE_MAX + 1], today[PASS_FILE_MAX + 1];
  size_t len = id.width * unit_of(id), got = 0;
  int status = read_file(p, id, older, &got);
  if (status == 1) return true; /* listed, then removed: the full one took its place */
  if (status != 0) return result_fail(p->result, DOMICILE_FAILED, "%s cannot be read", path);
  if (got != len) return result_fail(p->result, DOMICILE_BAD_HASH, "%s is not %zu bytes long", path, len);
  id.width = now;
  if (!pass_read_tile(p, id, today)) return false;
  if (memcmp(older, today, len) == 0) return true;
  return result_fail(p->result, DOMICILE_BAD_HASH, "%s is not the beginning of today's", path);
}

/* Files of a batch that is durable in the journal but not signed yet. */
static bool is_unpublished(struct pass *p, struct tile_id id) {
  unsigned level = id.level == TILE_ENTRIES ? 0 : id.level;
  uint64_t hashes = id.n * TILE_WIDTH + id.width;
  assert(id.width >= 1);
  if (!p->has_journal || level >= TILE_LEVELS || id.n > UINT64_MAX / TILE_WIDTH - 1) return false;
  if (hashes > UINT64_MAX >> (TILE_HEIGHT * level)) return false;
  return pass_journal_has(p, (hashes << (TILE_HEIGHT * level)) - 1);
}

static void say_once(struct pass *p, bool *said, const char *words) {
  assert(said && words);
  if (!*said) result_say(p->result, "%s", words);
  *said = true;
}

static bool check_listed(struct pass *p, const char *path) {
  assert(p && path);
  struct tile_id id;
  if (strcmp(path, "checkpoint") == 0 || strcmp(path, "journal") == 0) return true;
  if (strncmp(path, "tmp/", 4) == 0) {
    say_once(p, &p->said_scratch, "files in tmp/ are scratch of a batch under way: not part of the ledger");
    return true;
  }
  if (!tile_path_parse(slice_str(path), &id))
    return result_fail(p->result, DOMICILE_EXTRA, "%s does not belong to a ledger", path);
  unsigned now = tile_width(id.level, id.n, p->head.size);
  if (id.width < now) return check_older(p, path, id, now);
  if (id.width == now) return true;
  if (!is_unpublished(p, id))
    return result_fail(p->result, DOMICILE_EXTRA, "%s lies beyond the checkpoint's size", path);
  say_once(p, &p->said_unpublished, "some files are of entries not yet published: not checked");
  return true;
}

static int found_file(void *arg, const char *path) {
  assert(arg && path);
  return check_listed(arg, path) ? 0 : 1;
}

bool pass_check_listing(struct pass *p) {
  assert(p);
  if (!p->source->list) {
    result_say(p->result, "files could not be listed: only those that the checkpoint needs were checked");
    return true;
  }
  int status = p->source->list(p->source->context, found_file, p);
  if (status < 0) return result_fail(p->result, DOMICILE_FAILED, "the ledger's files cannot be listed");
  return status == 0;
}
