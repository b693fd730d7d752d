/* NAMES_PURGED: the index moves to a new key and a new folder; key and files of the old one go.
 *
 * The file `index.current` names the generation that counts: of the index key's slot in the vault,
 * and of the folder. Whatever else lies there, of either, is left over from a purge that a crash
 * ended before or after that file changed, and goes at the next start.
 * Format: docs/formats/index.md "Generations". */
#include <assert.h>
#include <stdio.h>

#include "store/local/engine.h"

static const char where[] = "store/purge";
static const char pointer_path[] = "index.current";
#define POINTER_MAGIC "DOMIDXP1"
enum {
  POINTER_SIZE = 16,
  PURGE_WAIT_MS = 30000, /* for views of the old index to end; requests are shorter */
  LEFTOVERS_MAX = 16     /* index keys at one time: two, unless purges failed again and again */
};

/* ---- which index counts ---- */

void index_folder_name(uint32_t generation, char out[INDEX_FOLDER_MAX]) {
  assert(generation > 0);
  int n = generation == 1 ? snprintf(out, INDEX_FOLDER_MAX, "index")
                          : snprintf(out, INDEX_FOLDER_MAX, "index.%u", generation);
  assert(n > 0 && n < INDEX_FOLDER_MAX);
}

enum dom_code index_pointer_read(struct disk *disk, uint32_t *out, struct dom_err *err) {
  BUF_AUTO b = BUF_INIT;
  enum dom_code code = disk_read_file(disk, pointer_path, POINTER_SIZE, &b, NULL);
  if (code == DOM_NOT_FOUND) {
    *out = 1;
    return DOM_OK;
  }
  if (code != DOM_OK && code != DOM_TOO_LARGE)
    return dom_fail(err, code, where, "%s cannot be read", pointer_path);
  bool good = code == DOM_OK && b.len == POINTER_SIZE && memcmp(b.data, POINTER_MAGIC, 8) == 0 &&
              load_u32le(b.data + 12) == crc32c(0, b.data, 12) && load_u32le(b.data + 8) > 0;
  if (!good) return dom_fail(err, DOM_CORRUPT, where, "%s is damaged", pointer_path);
  *out = load_u32le(b.data + 8);
  return DOM_OK;
}

enum dom_code index_pointer_write(struct disk *disk, uint32_t generation, struct dom_err *err) {
  BUF_AUTO b = BUF_INIT;
  buf_append(&b, POINTER_MAGIC, 8);
  put_u32le(&b, generation);
  if (!b.failed) put_u32le(&b, crc32c(0, b.data, 12));
  assert(b.failed || b.len == POINTER_SIZE);
  return b.failed ? buf_check(&b, err) : disk_replace_file(disk, pointer_path, buf_slice(&b), err);
}

/* ---- what does not count ---- */

enum dom_code index_folder_remove(struct disk *disk, const char *folder, struct dom_err *err) {
  struct dom_err why = {0};
  enum dom_code code = index_destroy(disk, folder, err);
  if (code != DOM_OK) return code;
  code = disk_rmdir(disk, folder, &why);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  if (code != DOM_OK) return dom_fail(err, code, why.where, "%s", why.text);
  return disk_dir_sync(disk, ".", err);
}

struct leftovers {
  uint32_t keep;
  struct vault_key keys[LEFTOVERS_MAX];
  size_t key_count;
  uint32_t folders[LEFTOVERS_MAX];
  size_t folder_count;
};

static bool leftover_key(void *arg, const struct vault_key *key) {
  struct leftovers *l = arg;
  struct vault_key index = vault_index_slot(l->keep);
  if (memcmp(key->token, index.token, sizeof index.token) != 0 || key->epoch == index.epoch) return true;
  l->keys[l->key_count++] = *key;
  return l->key_count < LEFTOVERS_MAX;
}

static bool leftover_folder(void *arg, const char *name, bool is_dir) {
  struct leftovers *l = arg;
  uint64_t generation = 0;
  if (!is_dir || strncmp(name, "index", 5) != 0) return true;
  if (name[5] == 0)
    generation = 1;
  else if (name[5] != '.' || slice_to_u64(slice_str(name + 6), &generation) != DOM_OK ||
           generation > UINT32_MAX)
    return true;
  if (generation == 0 || generation == l->keep) return true;
  l->folders[l->folder_count++] = (uint32_t)generation;
  return l->folder_count < LEFTOVERS_MAX;
}

enum dom_code index_leftovers_remove(struct disk *disk, struct vault *vault, uint32_t keep,
                                     struct dom_err *err) {
  struct leftovers l = {.keep = keep};
  enum dom_code code = vault_key_each(vault, leftover_key, &l, err);
  if (code == DOM_OK && l.key_count > 0) code = vault_key_drop(vault, l.keys, l.key_count, NULL, err);
  if (code == DOM_OK) code = disk_list(disk, ".", leftover_folder, &l, err);
  for (size_t i = 0; i < l.folder_count && code == DOM_OK; i++) {
    char folder[INDEX_FOLDER_MAX];
    index_folder_name(l.folders[i], folder);
    code = index_folder_remove(disk, folder, err);
  }
  return code;
}

/* ---- the steps, in the writer ----
 *
 * Every row comes along, those of a dropped key too: until they are erased they alone say which body files go
 * and which records nothing needs any more. Whose rows are left then is not called purged. */

struct purge {
  struct store *store;
  bool mirroring, done;
  enum dom_code code;
  struct dom_err err;
};

static void purge_mirror(void *arg, struct apply *a, struct index_batch *b) {
  struct purge *p = arg;
  (void)a;
  index_replace_mirror(p->store->index, b);
  p->mirroring = true;
}

static void purge_copy(void *arg, struct apply *a, struct index_batch *b) {
  struct purge *p = arg;
  (void)a;
  (void)b;
  p->code = index_replace_step(p->store->index, &p->done, &p->err);
}

static void purge_swap(void *arg, struct apply *a, struct index_batch *b) {
  struct purge *p = arg;
  (void)a;
  p->code = index_replace_swap(p->store->index, b, &p->err);
  p->mirroring = p->code != DOM_OK;
}

static void purge_abort(void *arg, struct apply *a, struct index_batch *b) {
  struct purge *p = arg;
  (void)a;
  index_replace_abort(p->store->index, b);
  p->mirroring = false;
}

static enum dom_code purge_run(struct purge *p, void (*job)(void *, struct apply *, struct index_batch *),
                               struct dom_err *err) {
  struct commit c = {.job = job, .job_arg = p, .alone = true};
  enum dom_code code = writer_commit(p->store->writer, &c);
  if (code != DOM_OK) return dom_fail(err, code, c.err.where, "%s", c.err.text);
  return p->code == DOM_OK ? DOM_OK : dom_fail(err, p->code, p->err.where, "%s", p->err.text);
}

/* ---- the whole ---- */

static enum dom_code next_begin(struct store *s, uint32_t generation, struct dom_err *err) {
  char folder[INDEX_FOLDER_MAX];
  uint8_t key[KEY_SIZE];
  struct vault_key slot = vault_index_slot(generation);
  index_folder_name(generation, folder);
  enum dom_code code = index_leftovers_remove(s->o.disk, s->vault, s->index_generation, err);
  if (code == DOM_OK) code = vault_key_create(s->vault, &slot, err);
  if (code == DOM_OK) code = vault_index_key(s->vault, generation, key, err);
  if (code == DOM_OK) code = disk_mkdir(s->o.disk, folder, err);
  if (code == DOM_OK) code = disk_dir_sync(s->o.disk, ".", err);
  if (code == DOM_OK) {
    struct index_options o = {
        .disk = s->o.disk, .folder = folder, .key = key, .inline_threads = s->o.inline_threads};
    code = index_replace_begin(s->index, &o, err);
  }
  wipe(key, sizeof key);
  return code;
}

/* Fills the new index. *out_lsn: up to here it is durable. */
static enum dom_code next_fill(struct purge *p, uint64_t *out_lsn, struct dom_err *err) {
  enum dom_code code = purge_run(p, purge_mirror, err);
  while (code == DOM_OK && !p->done) code = purge_run(p, purge_copy, err);
  if (code != DOM_OK) return code;
  *out_lsn = writer_applied(p->store->writer);
  return index_replace_flush(p->store->index, err);
}

static void next_abort(struct purge *p) {
  struct commit c = {.job = purge_abort, .job_arg = p, .alone = true};
  if (!p->mirroring || writer_commit(p->store->writer, &c) != DOM_OK) {
    /* Not mirrored to, or nothing is written any more: nobody is in the way. */
    if (!p->mirroring) index_replace_abort(p->store->index, NULL);
  }
}

/* Names the new index, durably, and takes it into use. What happens after a failure here is not
 * known before the next start, so the log gives up no segment until then. */
static enum dom_code next_install(struct purge *p, uint32_t generation, uint64_t lsn, struct dom_err *err) {
  struct store *s = p->store;
  s->index_unsure = true;
  enum dom_code code = index_pointer_write(s->o.disk, generation, err);
  if (code == DOM_OK) code = purge_run(p, purge_swap, err);
  if (code != DOM_OK) return code;
  s->index_unsure = false;
  s->index_generation = generation;
  s->flushed_lsn = lsn;
  return DOM_OK;
}

static enum dom_code old_remove(struct store *s, struct dom_err *err) {
  if (!index_replace_finish(s->index, s->o.inline_threads ? 0 : PURGE_WAIT_MS))
    return dom_fail(err, DOM_BUSY, where, "readers still have the old index open");
  return index_leftovers_remove(s->o.disk, s->vault, s->index_generation, err);
}

static enum dom_code purge(struct store *s, struct dom_err *err) {
  struct purge p = {.store = s};
  uint32_t generation = s->index_generation + 1;
  uint64_t lsn = 0;
  if (s->index_unsure)
    return dom_fail(err, DOM_READ_ONLY, where, "an earlier purge failed: restart the region");
  if (!writer_ok(s->writer)) return dom_fail(err, DOM_READ_ONLY, where, "an earlier write failed");
  enum dom_code code = old_remove(s, err); /* of an earlier purge */
  if (code == DOM_OK) code = next_begin(s, generation, err);
  if (code != DOM_OK) return code;
  code = next_fill(&p, &lsn, err);
  if (code != DOM_OK)
    next_abort(&p);
  else
    code = next_install(&p, generation, lsn, err);
  return code == DOM_OK ? old_remove(s, err) : code;
}

enum dom_code store_names_purge(struct store *s, struct dom_err *err) {
  pthread_mutex_lock(&s->upkeep_lock);
  enum dom_code code = purge(s, err);
  pthread_mutex_unlock(&s->upkeep_lock);
  return code;
}
