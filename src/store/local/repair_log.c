/* Repair: where the log is damaged, a copy of the damaged segment, and the bridge over the damage. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/local/repair.h"

static const char where[] = "store/repair: log";
enum { PATH_BYTES = 64, COPY_CHUNK = 1 << 20 };

void repair_holes_done(struct repair_holes *h) {
  dom_free(h->at);
  *h = (struct repair_holes){0};
}

const struct repair_hole *repair_hole_of(const struct repair_holes *h, struct log_locator at) {
  for (uint32_t i = 0; i < h->count; i++) {
    const struct repair_hole *one = &h->at[i];
    bool in = at.segment == one->segment && at.generation == one->generation && at.offset >= one->from &&
              at.offset < one->to;
    if (in) return one;
  }
  return NULL;
}

static enum dom_code hole_add(struct repair_holes *h, const struct repair_hole *one, struct dom_err *err) {
  assert(one->from < one->to && one->first_lsn <= one->last_lsn);
  if (h->count == h->cap) {
    uint32_t cap = h->cap * 2 + 16;
    struct repair_hole *grown = dom_realloc(h->at, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, where, "%u holes", cap);
    h->at = grown;
    h->cap = cap;
  }
  h->at[h->count++] = *one;
  return DOM_OK;
}

/* ---- the segments, in order ---- */

enum { BAD_MAX = 64 }; /* headers: spares that a crash left half made are LOG_SPARES at most */
struct bad_header {
  uint32_t number;
  uint64_t first_lsn; /* of the batch at its front, of whatever generation; 0: none */
};
struct headers {
  struct bad_header bad[BAD_MAX];
  uint32_t bad_count;
  struct segment_header *at;
  uint32_t count, cap;
  uint64_t horizon;
  struct disk *disk;
  enum dom_code code;
  struct dom_err *err;
};

static void path_of(uint32_t number, char out[PATH_BYTES]) {
  snprintf(out, PATH_BYTES, "log/%08u.seg", number);
}

static enum dom_code bad_note(struct headers *h, uint32_t number, struct disk_file *file,
                              struct dom_err *err) {
  BUF_AUTO in = BUF_INIT;
  struct batch_header b = {0};
  uint64_t size = 0;
  bool good = false;
  enum dom_code code = disk_size(file, &size, err);
  if (!code) code = segment_batch_read(file, size, 0, SEGMENT_HEADER_SIZE, &in, &b, &good, err);
  if (code || !good) return code;
  if (h->bad_count == BAD_MAX)
    return dom_fail(err, DOM_CORRUPT, where, "over %u bad headers", (unsigned)BAD_MAX);
  h->bad[h->bad_count++] = (struct bad_header){number, b.first_lsn};
  return DOM_OK;
}

/* As log_recover.c reads it. */
static enum dom_code header_read(struct headers *h, uint32_t number, struct dom_err *err) {
  char path[PATH_BYTES];
  uint8_t block[SEGMENT_HEADER_SIZE];
  struct disk_file *file = NULL;
  struct segment_header one;
  size_t len = 0;
  path_of(number, path);
  enum dom_code code = disk_open(h->disk, path, DISK_READ, &file, err);
  if (!code) code = disk_read(file, 0, block, sizeof block, &len, err);
  enum dom_code decoded = code ? code : segment_header_decode(slice_of(block, len), &one, NULL);
  bool bad = !code && (decoded == DOM_CORRUPT || (!decoded && one.number != number));
  if (bad) code = bad_note(h, number, file, err);
  disk_close(file);
  if (code || bad) return code;
  if (decoded) return dom_fail(err, decoded, where, "segment %u: unknown version", number);
  if (one.horizon > h->horizon) h->horizon = one.horizon;
  if (one.generation == 0) return DOM_OK;
  if (h->count == h->cap) {
    uint32_t cap = h->cap * 2 + 64;
    struct segment_header *grown = dom_realloc(h->at, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, where, "%u segments", cap);
    h->at = grown;
    h->cap = cap;
  }
  h->at[h->count++] = one;
  return DOM_OK;
}

static bool name_seen(void *arg, const char *name, bool is_dir) {
  struct headers *h = arg;
  size_t len = strlen(name);
  uint64_t number = 0;
  if (is_dir || len < 5 || strcmp(name + len - 4, ".seg") != 0) return true;
  if (slice_to_u64(slice_of(name, len - 4), &number) || number == 0 || number > UINT32_MAX / 2) return true;
  h->code = header_read(h, (uint32_t)number, h->err);
  return h->code == DOM_OK;
}

static int by_generation(const void *a, const void *b) {
  const struct segment_header *x = a, *y = b;
  return x->generation < y->generation ? -1 : x->generation > y->generation;
}

/* ---- one segment ---- */

struct walk {
  struct disk_file *file;
  const struct segment_header *h;
  struct buf in;
  uint64_t at;
  uint64_t lsn; /* of the next record */
  uint8_t chain[SHA256_SIZE];
  struct repair_holes *holes;
};

static struct repair_hole hole_at(const struct walk *w, uint64_t to, uint64_t last_lsn,
                                  const uint8_t next[SHA256_SIZE]) {
  struct repair_hole one = {.segment = w->h->number,
                            .generation = w->h->generation,
                            .from = w->at,
                            .to = to,
                            .first_lsn = w->lsn,
                            .last_lsn = last_lsn};
  memcpy(one.before, w->chain, SHA256_SIZE);
  memcpy(one.next, next, SHA256_SIZE);
  return one;
}

/* The next good batch from `*at` on; false when none follows in the segment. */
static enum dom_code good_find(struct walk *w, uint64_t *at, struct batch_header *b, bool *out_good,
                               struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (*out_good = false; !code && *at + DISK_ALIGN <= w->h->bytes; *at += DISK_ALIGN) {
    code = segment_batch_read(w->file, w->h->bytes, w->h->generation, *at, &w->in, b, out_good, err);
    if (*out_good) break;
  }
  return code;
}

static enum dom_code batch_pass(struct walk *w, const struct batch_header *b, struct dom_err *err) {
  uint64_t size = (b->length + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  enum dom_code code = DOM_OK;
  uint8_t next[SHA256_SIZE];
  batch_follow(buf_slice(&w->in), b, next);
  if (batch_is_bridge(buf_slice(&w->in), b)) {
    struct repair_hole one = hole_at(w, w->at + size, b->last_lsn, next);
    one.bridged = true;
    code = hole_add(w->holes, &one, err);
  }
  w->lsn = b->last_lsn + 1;
  w->at += size;
  memcpy(w->chain, next, SHA256_SIZE);
  return code;
}

/* *out_ends: nothing good follows in this segment. */
static enum dom_code walk_step(struct walk *w, bool *out_ends, struct dom_err *err) {
  struct batch_header b = {0};
  bool good = false;
  uint64_t at = w->at;
  enum dom_code code = good_find(w, &at, &b, &good, err);
  *out_ends = !good;
  if (code || !good) return code;
  bool fits = b.first_lsn == w->lsn && memcmp(b.chain, w->chain, SHA256_SIZE) == 0;
  if (at == w->at && fits) return batch_pass(w, &b, err);
  if (at == w->at || b.first_lsn <= w->lsn)
    return dom_fail(
        err, DOM_CORRUPT, where,
        "segment %u offset %llu: a whole batch that does not go on from the one before: this is no "
        "damage of the disk; restore this folder from its backup",
        w->h->number, (unsigned long long)at);
  struct repair_hole one = hole_at(w, at, b.first_lsn - 1, b.chain);
  code = hole_add(w->holes, &one, err);
  w->at = at;
  w->lsn = b.first_lsn;
  memcpy(w->chain, b.chain, SHA256_SIZE);
  return code;
}

/* The end of a segment that is not the last: the next one says what should have stood there. */
static enum dom_code end_check(struct walk *w, const struct segment_header *next, uint64_t horizon,
                               struct dom_err *err) {
  bool joins = next->first_lsn >= w->lsn && memcmp(next->chain, w->chain, SHA256_SIZE) == 0;
  if (joins || (next->first_lsn > w->lsn && next->first_lsn - 1 <= horizon)) return DOM_OK;
  if (next->first_lsn <= w->lsn || w->at + DISK_ALIGN > w->h->bytes)
    return dom_fail(
        err, DOM_CORRUPT, where,
        "segment %u does not go on from segment %u: a segment is missing or has a bad header; restore "
        "this folder from its backup",
        next->number, w->h->number);
  struct repair_hole one = hole_at(w, w->at + DISK_ALIGN, next->first_lsn - 1, next->chain);
  return hole_add(w->holes, &one, err);
}

static enum dom_code segment_walk(struct headers *all, uint32_t i, struct repair_holes *out,
                                  uint64_t *last_lsn, struct dom_err *err) {
  const struct segment_header *h = &all->at[i];
  struct walk w = {.h = h, .at = SEGMENT_HEADER_SIZE, .lsn = h->first_lsn, .holes = out};
  char path[PATH_BYTES];
  bool ends = false;
  memcpy(w.chain, h->chain, SHA256_SIZE);
  path_of(h->number, path);
  enum dom_code code = disk_open(all->disk, path, DISK_READ, &w.file, err);
  while (!code && !ends) code = walk_step(&w, &ends, err);
  if (!code && i + 1 < all->count) code = end_check(&w, h + 1, all->horizon, err);
  *last_lsn = w.lsn - 1;
  disk_close(w.file);
  buf_done(&w.in);
  return code;
}

/* A segment whose header rotted in use holds good records: no bridge may be laid over them. */
static enum dom_code bad_check(const struct headers *h, const struct repair_holes *holes, uint64_t last_lsn,
                               struct dom_err *err) {
  for (uint32_t i = 0; i < h->bad_count; i++) {
    uint64_t lsn = h->bad[i].first_lsn;
    bool used = lsn > last_lsn;
    for (uint32_t k = 0; k < holes->count; k++)
      used = used || (lsn >= holes->at[k].first_lsn && lsn <= holes->at[k].last_lsn && !holes->at[k].bridged);
    if (used)
      return dom_fail(err, DOM_CORRUPT, where,
                      "segment %u: a bad header before good records: restore this folder from its backup",
                      h->bad[i].number);
  }
  return DOM_OK;
}

enum dom_code repair_holes_find(struct disk *disk, struct repair_holes *out, struct dom_err *err) {
  struct headers h = {.disk = disk, .err = err};
  struct repair_holes holes = {0};
  enum dom_code code = disk_list(disk, "log", name_seen, &h, err);
  if (!code) code = h.code;
  if (!code && h.count > 1) qsort(h.at, h.count, sizeof *h.at, by_generation);
  uint64_t last_lsn = 0;
  for (uint32_t i = 0; !code && i < h.count; i++) code = segment_walk(&h, i, &holes, &last_lsn, err);
  if (!code) code = bad_check(&h, &holes, last_lsn, err);
  dom_free(h.at);
  if (code)
    repair_holes_done(&holes);
  else
    *out = holes;
  return code;
}

/* ---- keeping and bridging ---- */

static enum dom_code copy(struct disk *disk, const char *from, const char *to, struct dom_err *err) {
  struct disk_file *in = NULL, *out = NULL;
  AUTO_FREE uint8_t *chunk = dom_alloc(COPY_CHUNK);
  uint64_t size = 0;
  if (!chunk) return dom_fail(err, DOM_NO_MEMORY, where, "copy");
  enum dom_code code = disk_open(disk, from, DISK_READ, &in, err);
  if (!code) code = disk_size(in, &size, err);
  if (!code) code = disk_open(disk, to, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &out, err);
  for (uint64_t at = 0; !code && at < size; at += COPY_CHUNK) {
    size_t len = size - at < COPY_CHUNK ? (size_t)(size - at) : COPY_CHUNK;
    code = disk_read_full(in, at, chunk, len, err);
    if (!code) code = disk_write(out, at, chunk, len, err);
  }
  if (!code) code = disk_sync(out, err);
  disk_close(out);
  disk_close(in);
  return code;
}

enum dom_code repair_segment_keep(struct disk *disk, const struct repair_hole *h, struct dom_err *err) {
  char from[PATH_BYTES], to[PATH_BYTES], part[PATH_BYTES];
  struct disk_info info;
  path_of(h->segment, from);
  snprintf(to, sizeof to, REPAIR_FOLDER "/%08u.%u.seg", h->segment, h->generation);
  snprintf(part, sizeof part, REPAIR_FOLDER "/%08u.%u.part", h->segment, h->generation);
  if (disk_stat(disk, to, &info, NULL) == DOM_OK) return disk_dir_sync(disk, REPAIR_FOLDER, err);
  enum dom_code code = copy(disk, from, part, err);
  if (!code) code = disk_dir_sync(disk, REPAIR_FOLDER, err);
  if (!code) code = disk_rename(disk, part, to, err);
  return code ? code : disk_dir_sync(disk, REPAIR_FOLDER, err);
}

enum dom_code repair_bridge_write(struct disk *disk, const struct repair_hole *h, struct dom_err *err) {
  char path[PATH_BYTES];
  struct disk_file *file = NULL;
  BUF_AUTO bridge = BUF_INIT;
  struct batch_header b = {.generation = h->generation, .first_lsn = h->first_lsn, .last_lsn = h->last_lsn};
  size_t size = (size_t)(h->to - h->from);
  assert(!h->bridged && size <= UINT32_MAX);
  memcpy(b.chain, h->before, SHA256_SIZE);
  batch_bridge_put(&bridge, &b, h->next, (uint32_t)size);
  enum dom_code code = buf_check(&bridge, err);
  void *aligned = code ? NULL : aligned_alloc(DISK_ALIGN, size);
  if (!code && !aligned) code = dom_fail(err, DOM_NO_MEMORY, where, "bridge");
  if (code) return code;
  memcpy(aligned, bridge.data, size);
  path_of(h->segment, path);
  code = disk_open(disk, path, DISK_WRITE | DISK_DSYNC | DISK_DIRECT, &file, err);
  if (!code) code = disk_write(file, h->from, aligned, size, err);
  disk_close(file);
  free(aligned);
  return code;
}
