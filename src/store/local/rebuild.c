/* After a rebuild of the index: body files that no row names. Only here is the tree walked. */
#include <assert.h>
#include <stdio.h>

#include "store/local/engine.h"

static const char where[] = "store/rebuild";
enum { ORPHANS_BATCH = 64 }; /* removal rows a job writes */

struct bodies_found {
  struct buf ids;
};

static bool body_seen(void *arg, const char *name, bool is_dir) {
  struct bodies_found *f = arg;
  uint8_t id[STORE_BODY_ID_SIZE];
  size_t len = 0;
  if (is_dir || hex_decode(slice_str(name), id, sizeof id, &len) != DOM_OK || len != sizeof id) return true;
  buf_append(&f->ids, id, sizeof id);
  return !f->ids.failed;
}

/* Whether a row accounts for the body. The view must be younger than the file: its intent is. */
static enum dom_code body_named(struct index_view *v, const uint8_t id[STORE_BODY_ID_SIZE], bool *out,
                                struct dom_err *err) {
  static const enum row_table tables[] = {ROW_BODY, ROW_INTENT, ROW_REMOVAL};
  enum dom_code code = DOM_NOT_FOUND;
  for (size_t i = 0; i < sizeof tables / sizeof *tables && code == DOM_NOT_FOUND; i++) {
    BUF_AUTO key = BUF_INIT;
    row_id_key(&key, tables[i], id);
    code = key.failed ? buf_check(&key, err) : index_has(v, buf_slice(&key), err);
  }
  *out = code == DOM_OK;
  return code == DOM_NOT_FOUND ? DOM_OK : code;
}

enum dom_code orphans_find(struct store *s, struct buf *out, struct dom_err *err) {
  struct bodies_found found = {.ids = BUF_INIT};
  INDEX_VIEW_AUTO v = {0};
  enum dom_code code = DOM_OK;
  for (unsigned folder = 0; folder < 256 && code == DOM_OK; folder++) {
    char path[16];
    snprintf(path, sizeof path, "bodies/%02x", folder);
    code = disk_list(s->o.disk, path, body_seen, &found, NULL);
    if (code == DOM_NOT_FOUND) code = DOM_OK;
  }
  if (code != DOM_OK) code = dom_fail(err, code, where, "the folder of bodies cannot be listed");
  if (code == DOM_OK) code = buf_check(&found.ids, err);
  if (code == DOM_OK) code = index_view_init(&v, s->index, true, err);
  for (size_t at = 0; at < found.ids.len && code == DOM_OK; at += STORE_BODY_ID_SIZE) {
    bool named = false;
    code = body_named(&v, found.ids.data + at, &named, err);
    if (code == DOM_OK && !named) buf_append(out, found.ids.data + at, STORE_BODY_ID_SIZE);
  }
  buf_done(&found.ids);
  return code == DOM_OK ? buf_check(out, err) : code;
}

/* ---- collecting ---- */

struct orphans {
  const uint8_t *ids;
  size_t count;
  bool last; /* the walk is done with them */
};

static void orphans_note(void *arg, struct apply *a, struct index_batch *b) {
  const struct orphans *o = arg;
  uint8_t value[TOKEN_SIZE + 16] = {0}; /* nobody reads it; whose it was is not known */
  uint8_t pending[2] = {ROW_META, ROW_META_ORPHANS};
  (void)a;
  for (size_t i = 0; i < o->count; i++) {
    uint8_t key[1 + STORE_BODY_ID_SIZE] = {ROW_REMOVAL};
    memcpy(key + 1, o->ids + i * STORE_BODY_ID_SIZE, STORE_BODY_ID_SIZE);
    index_put(b, slice_of(key, sizeof key), slice_of(value, sizeof value));
  }
  if (o->last) index_delete(b, slice_of(pending, sizeof pending));
}

enum dom_code orphans_collect(struct store *s, bool *did, uint64_t *out_count, struct dom_err *err) {
  BUF_AUTO ids = BUF_INIT;
  enum dom_code code = orphans_find(s, &ids, err);
  size_t count = ids.len / STORE_BODY_ID_SIZE, at = 0;
  assert(ids.len % STORE_BODY_ID_SIZE == 0);
  while (code == DOM_OK && s->orphans_pending) {
    size_t take = count - at < ORPHANS_BATCH ? count - at : ORPHANS_BATCH;
    struct orphans o = {take ? ids.data + at * STORE_BODY_ID_SIZE : NULL, take, at + take == count};
    struct commit job = {.job = orphans_note, .job_arg = &o};
    code = writer_commit(s->writer, &job);
    if (code != DOM_OK) return dom_fail(err, code, where, "%s", job.err.text);
    at += take;
    if (o.last) s->orphans_pending = false;
  }
  if (code != DOM_OK) return code;
  *did = true;
  if (out_count) *out_count = count;
  return DOM_OK;
}
