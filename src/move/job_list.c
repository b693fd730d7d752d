/* Lists of tokens: in memory while they come in, then chunks beside the job's row. */
#include <assert.h>
#include <stdlib.h>

#include "move/job.h"

enum { LIST_KEY_SIZE = 12, LIST_FIRST_CAPACITY = 4096 };

void list_done(struct job_list *l) {
  dom_free(l->token);
  *l = (struct job_list){0};
}

static int by_token(const void *a, const void *b) {
  return memcmp(a, b, TOKEN_SIZE);
}

void list_seal(struct job_list *l, uint8_t out_digest[SHA256_SIZE]) {
  uint64_t kept = 0;
  if (l->count) qsort(l->token, l->count, TOKEN_SIZE, by_token);
  for (uint64_t i = 0; i < l->count; i++)
    if (i == 0 || memcmp(l->token[i], l->token[kept - 1], TOKEN_SIZE) != 0)
      memmove(l->token[kept++], l->token[i], TOKEN_SIZE);
  l->count = kept;
  sha256(l->token, kept * TOKEN_SIZE, out_digest);
}

static bool list_grow(struct job_list *l, uint64_t want) {
  if (want <= l->capacity) return true;
  uint64_t capacity = l->capacity ? l->capacity : LIST_FIRST_CAPACITY;
  while (capacity < want) capacity *= 2;
  uint8_t(*larger)[TOKEN_SIZE] = dom_calloc(capacity, TOKEN_SIZE);
  if (!larger) return false;
  if (l->count) memcpy(larger, l->token, l->count * TOKEN_SIZE);
  dom_free(l->token);
  l->token = larger;
  l->capacity = capacity;
  return true;
}

/* ---- coming in ------------------------------------------------------------------------------ */

static struct job_list *find(struct mover *m, uint64_t id) {
  for (int i = 0; id && i < LISTS_OPEN_MAX; i++)
    if (m->lists[i].id == id) return &m->lists[i];
  return NULL;
}

static struct job_list *find_free(struct mover *m, uint64_t now_ms) {
  for (int i = 0; i < LISTS_OPEN_MAX; i++) {
    struct job_list *l = &m->lists[i];
    if (l->id && now_ms >= l->touched_ms + LIST_IDLE_MS) list_done(l);
    if (!l->id) return l;
  }
  return NULL;
}

enum dom_code mover_list_open(struct mover *m, uint64_t *out_id, struct dom_err *err) {
  uint64_t now_ms = clock_mono_ns(m->o.clock) / 1000000, id = 0;
  while (id == 0) random_bytes(&id, sizeof id);
  id >>= 1; /* a positive number in JSON */
  pthread_mutex_lock(&m->lists_lock);
  struct job_list *l = find_free(m, now_ms);
  if (l) *l = (struct job_list){.id = id, .touched_ms = now_ms};
  pthread_mutex_unlock(&m->lists_lock);
  if (!l) return dom_fail(err, DOM_BUSY, "move/list: open", "%d lists are coming in already", LISTS_OPEN_MAX);
  *out_id = id;
  return DOM_OK;
}

static enum dom_code add_locked(struct mover *m, struct job_list *l, const uint8_t (*token)[TOKEN_SIZE],
                                size_t count, struct dom_err *err) {
  if (!l)
    return dom_fail(err, DOM_NOT_FOUND, "move/list: add",
                    "no such list is coming in: it has to be sent anew");
  if (count > MOVE_LIST_MAX - l->count)
    return dom_fail(err, DOM_TOO_LARGE, "move/list: add", "a list has at most %d tokens", MOVE_LIST_MAX);
  if (!list_grow(l, l->count + count)) return dom_fail(err, DOM_NO_MEMORY, "move/list: add", "no memory");
  if (count) memcpy(l->token[l->count], token, count * TOKEN_SIZE);
  l->count += count;
  l->touched_ms = clock_mono_ns(m->o.clock) / 1000000;
  return DOM_OK;
}

enum dom_code mover_list_add(struct mover *m, uint64_t id, const uint8_t (*token)[TOKEN_SIZE], size_t count,
                             uint64_t *out_total, struct dom_err *err) {
  pthread_mutex_lock(&m->lists_lock);
  struct job_list *l = find(m, id);
  enum dom_code code = add_locked(m, l, token, count, err);
  if (!code) *out_total = l->count;
  pthread_mutex_unlock(&m->lists_lock);
  return code;
}

enum dom_code list_take(struct mover *m, uint64_t id, struct job_list *out, struct dom_err *err) {
  pthread_mutex_lock(&m->lists_lock);
  struct job_list *l = find(m, id);
  if (l) {
    *out = *l;
    *l = (struct job_list){0};
  }
  pthread_mutex_unlock(&m->lists_lock);
  return l ? DOM_OK
           : dom_fail(err, DOM_NOT_FOUND, "move/list", "no such list came in: it has to be sent anew");
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void list_key(uint64_t job, uint32_t chunk, uint8_t out[LIST_KEY_SIZE]) {
  store_u64be(out, job);
  store_u32be(out + 8, chunk);
}

enum dom_code list_put(struct mover *m, uint64_t job, const struct job_list *l, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (uint64_t at = 0; !code && at < l->count; at += LIST_CHUNK) {
    uint8_t key[LIST_KEY_SIZE];
    uint64_t n = l->count - at < LIST_CHUNK ? l->count - at : LIST_CHUNK;
    struct slice value = slice_of(l->token[at], n * TOKEN_SIZE);
    list_key(job, (uint32_t)(at / LIST_CHUNK), key);
    code = job_row_commit(m, STORE_TABLE_JOB_LIST, slice_of(key, sizeof key), &value, err);
  }
  return code;
}

enum dom_code list_chunk_get(struct store_view *v, uint64_t job, uint32_t chunk, struct buf *out,
                             struct dom_err *err) {
  uint8_t key[LIST_KEY_SIZE];
  list_key(job, chunk, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_JOB_LIST, slice_of(key, sizeof key), out, err);
  if (!code && (out->len == 0 || out->len % TOKEN_SIZE != 0 || out->len > (size_t)LIST_CHUNK * TOKEN_SIZE))
    code = dom_fail(err, DOM_CORRUPT, "move/list: chunk", "a list's row does not decode");
  return code;
}

struct first_chunk {
  uint8_t key[LIST_KEY_SIZE];
  bool has;
};
static bool see_chunk(void *arg, struct slice key, struct slice value) {
  struct first_chunk *f = arg;
  (void)value;
  if (key.len != LIST_KEY_SIZE) return true;
  memcpy(f->key, key.data, LIST_KEY_SIZE);
  f->has = true;
  return false;
}

enum dom_code list_drop(struct mover *m, uint64_t job, struct dom_err *err) {
  uint8_t prefix[8];
  store_u64be(prefix, job);
  for (;;) {
    struct first_chunk f = {0};
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (!code)
      code = store_row_scan(v, STORE_TABLE_JOB_LIST, slice_of(prefix, 8), SLICE_LIT(""), see_chunk, &f, err);
    store_view_close(v);
    v = NULL;
    if (!code && f.has)
      code = job_row_commit(m, STORE_TABLE_JOB_LIST, slice_of(f.key, LIST_KEY_SIZE), NULL, err);
    if (code || !f.has) return code;
  }
}

static bool is_orphan(struct mover *m, uint64_t job) {
  struct move_job_status status;
  struct held_histogram held;
  enum dom_code code = job_get(m, job, &status, &held, NULL);
  return code == DOM_NOT_FOUND || (!code && status.state != JOB_RUNNING && status.state != JOB_PAUSED);
}

enum dom_code list_drop_orphans(struct mover *m, struct dom_err *err) {
  uint8_t after[LIST_KEY_SIZE] = {0};
  for (;;) {
    struct first_chunk f = {0};
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (!code)
      code = store_row_scan(v, STORE_TABLE_JOB_LIST, SLICE_LIT(""), slice_of(after, sizeof after), see_chunk,
                            &f, err);
    store_view_close(v);
    v = NULL;
    if (code || !f.has) return code;
    uint64_t job = load_u64be(f.key);
    if (is_orphan(m, job) && (code = list_drop(m, job, err))) return code;
    list_key(job, UINT32_MAX, after); /* behind the last chunk of this job */
  }
}
