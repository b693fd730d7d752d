/* Body files: bodies/xx/<id in hex>. Format: docs/formats/log.md "Body files". */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "store/local/engine.h"

#define BODY_MAGIC "DOMBODY1"
static const char where[] = "store/body";
enum {
  BODY_VERSION = 1,
  BODY_HEADER = 96,
  BODY_PATH_MAX = 96,
  /* Around the page cache, which costs as much processor time as sealing: one write waits half a millisecond,
   * and another body is sealed meanwhile. */
  BODY_WRITE_BYTES = 1 << 20,
  BODY_OUT_BYTES = BODY_WRITE_BYTES + FRAME_SEALED + DISK_ALIGN, /* what completes a write goes past it */
  BODY_WINDOW_BYTES = 1 << 20 /* read at once around the page cache; as much as is written at once */
};

struct store_body {
  struct store *store;
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  uint8_t id[STORE_BODY_ID_SIZE];
  uint8_t key[KEY_SIZE];
  struct disk_file *file;
  struct hash *sha;               /* NULL: left to the caller */
  uint64_t size, counter, offset; /* plaintext; frames sealed; where the next write goes */
  struct buf frame;               /* plaintext held back: the last frame is sealed differently */
  uint8_t *out_memory, *out;      /* out: DISK_ALIGN within it, BODY_OUT_BYTES */
  size_t out_len;
};

struct body_reader {
  struct store *store;
  struct disk_file *file;
  struct store_body_ref ref;
  struct vault_key owner;
  struct vault_pin pin;
  uint8_t *window_memory, *window; /* DISK_ALIGN within it; NULL: read through the page cache */
  uint64_t window_at;              /* what of the file is in it */
  size_t window_len;
};

/* ---- names and headers ---- */

static void body_path(const uint8_t id[STORE_BODY_ID_SIZE], char out[BODY_PATH_MAX]) {
  int n = snprintf(out, BODY_PATH_MAX, "bodies/%02x/", id[0]);
  assert(n == 10);
  for (int i = 0; i < STORE_BODY_ID_SIZE; i++) snprintf(out + n + 2 * i, 3, "%02x", id[i]);
}

static void body_folder(const uint8_t id[STORE_BODY_ID_SIZE], char out[BODY_PATH_MAX]) {
  int n = snprintf(out, BODY_PATH_MAX, "bodies/%02x", id[0]);
  assert(n == 9);
}

static void header_put(const struct store_body *b, struct buf *out) {
  size_t start = out->len;
  buf_append(out, BODY_MAGIC, 8);
  put_u32le(out, BODY_VERSION);
  put_u32le(out, FRAME_PLAIN);
  buf_append(out, b->id, sizeof b->id);
  buf_append(out, b->token, TOKEN_SIZE);
  put_u64le(out, b->epoch);
  put_u32le(out, 0);
  if (!out->failed) put_u32le(out, crc32c(0, out->data + start, BODY_HEADER - 4));
  assert(out->failed || out->len - start == BODY_HEADER);
}

static void body_aad(const uint8_t id[STORE_BODY_ID_SIZE], uint8_t out[8 + STORE_BODY_ID_SIZE]) {
  memcpy(out, BODY_MAGIC, 8);
  memcpy(out + 8, id, STORE_BODY_ID_SIZE);
}

/* ---- writing ---- */

/* The folder of the body, made; each of the 256 once a process. Its name is synced with the first body in it:
 * one commit of the file system's journal then serves both. */
static enum dom_code folder_ensure(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE],
                                   struct dom_err *err) {
  char path[BODY_PATH_MAX];
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&s->body_lock);
  if (s->body_folders[id[0]] == BODY_FOLDER_UNKNOWN) {
    body_folder(id, path);
    code = disk_mkdir(s->o.disk, path, err);
    if (code == DOM_OK) s->body_folders[id[0]] = BODY_FOLDER_MADE;
  }
  pthread_mutex_unlock(&s->body_lock);
  return code;
}

static enum dom_code folder_name_sync(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE],
                                      struct dom_err *err) {
  pthread_mutex_lock(&s->body_lock);
  enum body_folder state = (enum body_folder)s->body_folders[id[0]];
  pthread_mutex_unlock(&s->body_lock);
  assert(state != BODY_FOLDER_UNKNOWN);
  if (state == BODY_FOLDER_DURABLE) return DOM_OK;
  enum dom_code code = disk_dir_sync(s->o.disk, "bodies", err); /* perhaps beside others that do */
  if (code != DOM_OK) return code;
  pthread_mutex_lock(&s->body_lock);
  s->body_folders[id[0]] = BODY_FOLDER_DURABLE;
  pthread_mutex_unlock(&s->body_lock);
  return DOM_OK;
}

/* Logs that a body is begun (INTENT), or was given up after its file went (INTENT_END). */
static enum dom_code intent_log(struct store *s, enum change_kind kind, const struct store_body *b,
                                const uint8_t id[STORE_BODY_ID_SIZE], struct dom_err *err) {
  struct store_tx *tx = NULL;
  struct vault_key system = vault_system_key();
  struct change c = {.kind = kind, .epoch = system.epoch};
  memcpy(c.token, system.token, TOKEN_SIZE);
  memcpy(c.body_id, id, STORE_BODY_ID_SIZE);
  if (b) {
    memcpy(c.subject.token, b->token, TOKEN_SIZE);
    c.subject.epoch = b->epoch;
  }
  enum dom_code code = tx_new(s, NULL, &tx, err);
  if (code != DOM_OK) return code;
  tx->grows = kind == CHANGE_INTENT;
  code = tx_add(tx, &c, (struct slice){0}, err);
  if (code == DOM_OK) return store_tx_commit_take(tx, NULL, err);
  store_tx_abort_take(tx);
  return code;
}

enum dom_code intent_end(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], struct dom_err *err) {
  return intent_log(s, CHANGE_INTENT_END, NULL, id, err);
}

static void body_free(struct store_body *b) {
  disk_close(b->file);
  hash_free(b->sha);
  wipe(b->key, sizeof b->key);
  buf_wipe_done(&b->frame);
  dom_free(b->out_memory);
  dom_free(b);
}

static uint8_t *aligned(uint8_t *memory) {
  assert(memory != NULL);
  return memory + (DISK_ALIGN - (uintptr_t)memory % DISK_ALIGN) % DISK_ALIGN;
}

/* Memory for what is sealed, the header in it. */
static enum dom_code out_begin(struct store_body *b, struct dom_err *err) {
  BUF_AUTO header = BUF_INIT;
  header_put(b, &header);
  b->out_memory = dom_alloc(BODY_OUT_BYTES + DISK_ALIGN);
  if (!b->out_memory) return dom_fail(err, DOM_NO_MEMORY, where, "body");
  if (!buf_reserve(&b->frame, FRAME_PLAIN)) return buf_check(&b->frame, err);
  if (header.failed) return buf_check(&header, err);
  b->out = aligned(b->out_memory);
  memcpy(b->out, header.data, header.len);
  b->out_len = header.len;
  return DOM_OK;
}

static enum dom_code body_begin(struct store_body *b, struct dom_err *err) {
  char path[BODY_PATH_MAX];
  struct vault_key owner = {.epoch = b->epoch};
  struct store *s = b->store;
  memcpy(owner.token, b->token, TOKEN_SIZE);
  random_bytes(b->id, sizeof b->id);
  enum dom_code code = vault_key_derive(s->vault, &owner, "body", b->id, b->key, err);
  if (code == DOM_OK) code = intent_log(s, CHANGE_INTENT, b, b->id, err);
  if (code == DOM_OK) code = folder_ensure(s, b->id, err);
  if (code != DOM_OK) return code;
  body_path(b->id, path);
  code = out_begin(b, err);
  if (code != DOM_OK) return code;
  return disk_open(s->o.disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE | DISK_DIRECT, &b->file, err);
}

enum dom_code store_body_create(struct store *s, enum permit_action action, const struct permit *permit,
                                const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct store_body **out,
                                struct dom_err *err) {
  assert(action == PERMIT_STORE || action == PERMIT_COPY || action == PERMIT_MOVE);
  if (!permit_covers(permit, action, s->o.region, token))
    return dom_fail(err, DOM_REFUSED, where, "no permit for it");
  struct store_body *b = dom_calloc(1, sizeof *b);
  if (!b) return dom_fail(err, DOM_NO_MEMORY, where, "body");
  b->store = s;
  b->epoch = epoch;
  memcpy(b->token, token, TOKEN_SIZE);
  b->sha = hash_new(HASH_SHA256);
  enum dom_code code = b->sha ? body_begin(b, err) : dom_fail(err, DOM_NO_MEMORY, where, "hash");
  if (code != DOM_OK) {
    store_body_abort_take(b);
    return code;
  }
  *out = b;
  return DOM_OK;
}

void store_body_leave_hash(struct store_body *b) {
  assert(b->size == 0);
  hash_free(b->sha);
  b->sha = NULL;
}

/* Writes `len` bytes, whole blocks, and moves what is behind them to the front. */
static enum dom_code out_write(struct store_body *b, size_t len, struct dom_err *err) {
  assert(b->file != NULL && len % DISK_ALIGN == 0 && b->offset % DISK_ALIGN == 0);
  enum dom_code code = disk_write(b->file, b->offset, b->out, len, err);
  b->offset += len;
  b->out_len = b->out_len > len ? b->out_len - len : 0;
  memmove(b->out, b->out + len, b->out_len);
  return code;
}

/* The last block is written whole, and cut again. */
static enum dom_code out_end(struct store_body *b, struct dom_err *err) {
  uint64_t size = b->offset + b->out_len;
  size_t len = (b->out_len + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  assert(len <= BODY_OUT_BYTES);
  if (len == 0) return DOM_OK;
  memset(b->out + b->out_len, 0, len - b->out_len);
  enum dom_code code = out_write(b, len, err);
  return code == DOM_OK && b->offset > size ? disk_truncate(b->file, size, err) : code;
}

static enum dom_code frame_out(struct store_body *b, struct slice plain, bool last, struct dom_err *err) {
  assert(b->file != NULL);
  uint8_t aad[8 + STORE_BODY_ID_SIZE];
  assert(plain.len > 0 && plain.len <= FRAME_PLAIN);
  assert(b->out_len < BODY_WRITE_BYTES);
  body_aad(b->id, aad);
  enum dom_code code =
      frame_seal(b->key, slice_of(aad, sizeof aad), b->counter++, last, plain, b->out + b->out_len, err);
  if (code != DOM_OK) return code;
  b->out_len += plain.len + GCM_TAG_SIZE;
  return b->out_len >= BODY_WRITE_BYTES ? out_write(b, BODY_WRITE_BYTES, err) : DOM_OK;
}

enum dom_code store_body_append(struct store_body *b, struct slice plain, struct dom_err *err) {
  assert(b != NULL && b->file != NULL);
  enum dom_code code = DOM_OK;
  if (b->sha) hash_update(b->sha, plain.data, plain.len);
  b->size += plain.len;
  while (plain.len > 0 && code == DOM_OK) {
    if (b->frame.len == FRAME_PLAIN) { /* there is more: it was not the last */
      code = frame_out(b, buf_slice(&b->frame), false, err);
      buf_reset(&b->frame);
    } else if (b->frame.len == 0 && plain.len > FRAME_PLAIN) {
      code = frame_out(b, slice_cut(plain, 0, FRAME_PLAIN), false, err);
      plain = slice_cut(plain, FRAME_PLAIN, plain.len);
    } else {
      size_t room = FRAME_PLAIN - b->frame.len, take = plain.len < room ? plain.len : room;
      buf_append(&b->frame, plain.data, take);
      plain = slice_cut(plain, take, plain.len);
    }
  }
  assert(b->frame.len <= FRAME_PLAIN);
  return code;
}

static enum dom_code body_finish(struct store_body *b, struct dom_err *err) {
  assert(b->file != NULL);
  char folder[BODY_PATH_MAX];
  enum dom_code code = DOM_OK;
  if (b->frame.len > 0) code = frame_out(b, buf_slice(&b->frame), true, err);
  if (code == DOM_OK) code = out_end(b, err);
  if (code == DOM_OK) code = disk_sync(b->file, err);
  body_folder(b->id, folder);
  if (code == DOM_OK) code = disk_dir_sync(b->store->o.disk, folder, err);
  if (code == DOM_OK) code = folder_name_sync(b->store, b->id, err);
  return code;
}

enum dom_code store_body_seal_take(struct store_body *b, struct store_body_ref *out, struct dom_err *err) {
  struct store_body_ref ref = {.size = b->size};
  enum dom_code code = body_finish(b, err);
  if (code != DOM_OK) {
    store_body_abort_take(b);
    return code;
  }
  memcpy(ref.id, b->id, sizeof ref.id);
  if (b->sha) hash_final(b->sha, ref.sha256);
  body_free(b);
  *out = ref;
  return DOM_OK;
}

/* A body nobody will name. What fails here is left to the next start: the intent stands. */
static void body_forget(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE]) {
  if (body_unlink(s, id, NULL) == DOM_OK) intent_end(s, id, NULL);
}

void store_body_abort_take(struct store_body *b) {
  if (!b) return;
  disk_close(b->file);
  bool begun = b->file != NULL;
  b->file = NULL;
  if (begun) body_forget(b->store, b->id);
  body_free(b);
}

void store_body_discard(struct store *s, const struct store_body_ref *ref) {
  assert(ref != NULL);
  /* The commit that failed may name it all the same: the next start knows. */
  if (writer_ok(s->writer)) body_forget(s, ref->id);
}

enum dom_code body_unlink(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], struct dom_err *err) {
  assert(id != NULL);
  char path[BODY_PATH_MAX], folder[BODY_PATH_MAX];
  body_path(id, path);
  body_folder(id, folder);
  struct dom_err why = {0};
  enum dom_code code = disk_unlink(s->o.disk, path, &why);
  if (code == DOM_NOT_FOUND) { /* or a crash undid the folder too */
    struct disk_info info;
    return disk_stat(s->o.disk, folder, &info, NULL) == DOM_OK ? disk_dir_sync(s->o.disk, folder, err)
                                                               : DOM_OK;
  }
  if (code != DOM_OK) return dom_fail(err, code, where, "%s", why.text);
  return disk_dir_sync(s->o.disk, folder, err);
}

enum dom_code body_set_aside(struct store *s, const uint8_t id[STORE_BODY_ID_SIZE], const char *to,
                             struct dom_err *err) {
  char path[BODY_PATH_MAX], folder[BODY_PATH_MAX], aside[BODY_PATH_MAX * 2];
  struct dom_err why = {0};
  body_path(id, path);
  body_folder(id, folder);
  int n = snprintf(aside, sizeof aside, "%s/%s", to, path + strlen(folder) + 1);
  assert(n > 0 && (size_t)n < sizeof aside);
  enum dom_code code = disk_rename(s->o.disk, path, aside, &why);
  if (code == DOM_NOT_FOUND) return DOM_OK; /* by a repair that a crash cut short */
  if (code != DOM_OK) return dom_fail(err, code, where, "%s", why.text);
  code = disk_dir_sync(s->o.disk, to, err);
  return code == DOM_OK ? disk_dir_sync(s->o.disk, folder, err) : code;
}

/* ---- reading ---- */

/* Makes the window begin with the block that holds `at`. */
static enum dom_code window_move(struct body_reader *b, uint64_t at, struct dom_err *err) {
  uint64_t from = at - at % DISK_ALIGN;
  size_t got = 0;
  b->window_len = 0;
  enum dom_code code = disk_read(b->file, from, b->window, BODY_WINDOW_BYTES, &got, err);
  if (code != DOM_OK) return code;
  if (got <= at - from)
    return dom_fail(err, DOM_CORRUPT, where, "the file ends before %llu", (unsigned long long)at);
  b->window_at = from;
  b->window_len = got;
  return DOM_OK;
}

static enum dom_code file_read(struct body_reader *b, uint64_t at, uint8_t *out, size_t len,
                               struct dom_err *err) {
  if (!b->window) return disk_read_full(b->file, at, out, len, err);
  while (len > 0) {
    bool within = at >= b->window_at && at - b->window_at < b->window_len;
    enum dom_code code = within ? DOM_OK : window_move(b, at, err);
    if (code != DOM_OK) return code;
    size_t skip = (size_t)(at - b->window_at), take = b->window_len - skip < len ? b->window_len - skip : len;
    assert(take > 0);
    memcpy(out, b->window + skip, take);
    at += take;
    out += take;
    len -= take;
  }
  return DOM_OK;
}

static enum dom_code file_open(struct body_reader *b, const char *path, bool once, struct dom_err *err) {
  if (once) {
    b->window_memory = dom_alloc(BODY_WINDOW_BYTES + DISK_ALIGN);
    if (!b->window_memory) return dom_fail(err, DOM_NO_MEMORY, where, "reader");
    b->window = aligned(b->window_memory);
  }
  return disk_open(b->store->o.disk, path, once ? DISK_READ | DISK_DIRECT : DISK_READ, &b->file, err);
}

enum dom_code body_open(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                        const struct store_body_ref *ref, bool once, struct body_reader **out,
                        struct dom_err *err) {
  char path[BODY_PATH_MAX];
  uint8_t head[BODY_HEADER];
  struct body_reader *b = dom_calloc(1, sizeof *b);
  if (!b) return dom_fail(err, DOM_NO_MEMORY, where, "reader");
  b->store = s;
  b->ref = *ref;
  b->owner.epoch = epoch;
  memcpy(b->owner.token, token, TOKEN_SIZE);
  enum dom_code code = vault_key_pin(s->vault, &b->owner, &b->pin, err);
  if (code != DOM_OK) {
    dom_free(b);
    return code;
  }
  body_path(ref->id, path);
  code = file_open(b, path, once, NULL);
  if (code == DOM_OK) code = file_read(b, 0, head, sizeof head, NULL);
  bool good = code == DOM_OK && memcmp(head, BODY_MAGIC, 8) == 0 && load_u32le(head + 8) == BODY_VERSION &&
              memcmp(head + 16, ref->id, STORE_BODY_ID_SIZE) == 0 &&
              load_u32le(head + BODY_HEADER - 4) == crc32c(0, head, BODY_HEADER - 4);
  if (!good) {
    body_close(b);
    bool unread = code == DOM_IO || code == DOM_NO_MEMORY;
    return dom_fail(err, unread ? code : DOM_CORRUPT, where, "%s: %s", path,
                    unread ? "cannot be read" : "missing or damaged");
  }
  *out = b;
  return DOM_OK;
}

enum dom_code body_check(struct store *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                         const struct store_body_ref *ref, bool *out_there, struct dom_err *err) {
  char path[BODY_PATH_MAX];
  struct disk_info info = {0};
  struct body_reader *b = NULL;
  uint64_t at = 0;
  body_path(ref->id, path);
  enum dom_code code = disk_stat(s->o.disk, path, &info, NULL);
  *out_there = code == DOM_OK;
  if (code != DOM_OK) return dom_fail(err, code, where, "%s: not there", path);
  if (info.size != BODY_HEADER + frames_size(ref->size))
    return dom_fail(err, DOM_CORRUPT, where, "%s: %llu bytes", path, (unsigned long long)info.size);
  code = body_open(s, token, epoch, ref, true, &b, err);
  AUTO_FREE uint8_t *plain = dom_alloc(FRAME_PLAIN);
  if (code == DOM_OK && !plain) code = dom_fail(err, DOM_NO_MEMORY, where, "frame");
  while (code == DOM_OK && at < ref->size) {
    size_t len = ref->size - at < FRAME_PLAIN ? (size_t)(ref->size - at) : FRAME_PLAIN;
    struct dom_err why = {0};
    code = body_read(b, at, plain, len, &why);
    if (code != DOM_OK)
      code = dom_fail(err, code, where, "%s: frame at %llu: %s", path, (unsigned long long)at, why.text);
    at += len;
  }
  body_close(b);
  if (plain) wipe(plain, FRAME_PLAIN);
  return code;
}

void body_close(struct body_reader *b) {
  if (!b) return;
  disk_close(b->file);
  vault_key_unpin(b->store->vault, &b->pin);
  dom_free(b->window_memory); /* sealed bytes only */
  dom_free(b);
}

static enum dom_code body_source(void *arg, uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  assert(len > GCM_TAG_SIZE);
  struct body_reader *b = arg;
  if (vault_key_dropped(&b->pin)) return dom_fail(err, DOM_NOT_FOUND, where, "its key was dropped");
  return file_read(b, BODY_HEADER + offset, out, len, err);
}

enum dom_code body_read(struct body_reader *b, uint64_t offset, uint8_t *out, size_t len,
                        struct dom_err *err) {
  uint8_t key[KEY_SIZE], aad[8 + STORE_BODY_ID_SIZE];
  struct frame_source from = {body_source, b};
  assert(offset + len <= b->ref.size);
  enum dom_code code = vault_key_derive(b->store->vault, &b->owner, "body", b->ref.id, key, err);
  if (code != DOM_OK) return code;
  body_aad(b->ref.id, aad);
  code = frames_read(key, slice_of(aad, sizeof aad), b->ref.size, from, offset, out, len, err);
  wipe(key, sizeof key);
  return code;
}
