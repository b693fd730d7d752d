#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/local/log_internal.h"

struct listing {
  struct log *log;
  enum dom_code code;
  struct dom_err *err;
};

static bool name_seen(void *arg, const char *name, bool is_dir) {
  struct listing *at = arg;
  size_t len = strlen(name);
  uint64_t number = 0;
  if (is_dir || len < 5 || strcmp(name + len - 4, ".seg") != 0) return true;
  if (slice_to_u64(slice_of(name, len - 4), &number) != DOM_OK || number == 0 || number > UINT32_MAX / 2)
    return true;
  at->code = log_table_reach(at->log, (uint32_t)number, at->err);
  if (at->code != DOM_OK) return false;
  at->log->segments[number - 1].present = true;
  return true;
}

/* Reads one header. A bad one makes the segment free: it was being given a new generation when
 * the power went, or its file was being made. end_check tells that from damage later. */
static enum dom_code header_read(struct log *l, uint32_t number, struct dom_err *err) {
  assert(number > 0 && number <= l->count);
  struct log_segment *s = &l->segments[number - 1];
  char path[LOG_PATH_MAX];
  uint8_t block[SEGMENT_HEADER_SIZE];
  uint64_t size = 0;
  log_path(l, number, path);
  enum dom_code code = disk_open(l->disk, path, DISK_READ, &s->reader, err);
  if (code == DOM_OK) code = disk_size(s->reader, &size, err);
  if (code != DOM_OK) return code;
  s->free = true;
  s->header = (struct segment_header){.number = number, .bytes = size / DISK_ALIGN * DISK_ALIGN};
  if (size < SEGMENT_HEADER_SIZE) return DOM_OK;
  code = disk_read_full(s->reader, 0, block, sizeof block, err);
  if (code != DOM_OK) return code;
  struct segment_header h;
  code = segment_header_decode(slice_of(block, sizeof block), &h, code == DOM_OK ? NULL : err);
  if (code == DOM_INCOMPATIBLE)
    return dom_fail(err, code, "store/log: open", "segment %u: unknown version", number);
  if (code != DOM_OK || h.number != number || h.bytes > size) return DOM_OK;
  s->header = h;
  s->wiped = h.generation == 0;
  s->free = s->wiped;
  if (h.generation > l->generation) l->generation = h.generation;
  if (h.horizon > l->horizon) l->horizon = h.horizon;
  return DOM_OK;
}

static enum dom_code headers_read(struct log *l, struct dom_err *err) {
  struct listing at = {.log = l, .err = err};
  enum dom_code code = disk_list(l->disk, l->folder, name_seen, &at, err);
  if (code == DOM_OK) code = at.code;
  /* A name whose sync failed before is seen, but a power cut would take it. */
  if (code == DOM_OK) code = disk_dir_sync(l->disk, l->folder, err);
  for (uint32_t i = 0; i < l->count && code == DOM_OK; i++) {
    if (l->segments[i].present) code = header_read(l, i + 1, err);
  }
  return code;
}

static int by_generation(const void *a, const void *b) {
  const struct log_segment *x = *(struct log_segment *const *)a, *y = *(struct log_segment *const *)b;
  assert(x->header.generation != 0 && y->header.generation != 0);
  return x->header.generation < y->header.generation ? -1 : x->header.generation > y->header.generation;
}

/* Segments with a header, oldest generation first. The caller frees *out. */
static enum dom_code segments_sort(struct log *l, struct log_segment ***out, uint32_t *out_count,
                                   struct dom_err *err) {
  struct log_segment **sorted = dom_calloc(l->count + 1, sizeof(*sorted));
  uint32_t n = 0;
  if (!sorted) return dom_fail(err, DOM_NO_MEMORY, "store/log: open", "%u segments", l->count);
  for (uint32_t i = 0; i < l->count; i++) {
    if (l->segments[i].present && !l->segments[i].free) sorted[n++] = &l->segments[i];
  }
  qsort(sorted, n, sizeof(struct log_segment *), by_generation);
  *out = sorted;
  *out_count = n;
  return DOM_OK;
}

/* Whether segment h may follow a log that ended at last_lsn with this chain. By the chain nothing stood
 * between the two, whether LSNs were left out or not. Else a hole is right only below the horizon: what stood
 * there was durable in index and ledger when it was reused. */
static enum dom_code follows(const struct log *l, const struct segment_header *h, uint64_t last_lsn,
                             const uint8_t chain[SHA256_SIZE], struct dom_err *err) {
  assert(h->first_lsn > 0);
  if (h->first_lsn > last_lsn && memcmp(h->chain, chain, SHA256_SIZE) == 0) return DOM_OK;
  if (h->first_lsn > last_lsn + 1 && h->first_lsn - 1 <= l->horizon) return DOM_OK;
  return dom_fail(
      err, DOM_CORRUPT, "store/log: open",
      "segment %u (generation %u) begins at LSN %llu, but the log before it ends at %llu: records are "
      "missing; run fsck",
      h->number, h->generation, (unsigned long long)h->first_lsn, (unsigned long long)last_lsn);
}

/* No bad-headed segment may hold what comes after the end: then its header rotted in use. All
 * others are made anew before they are used: nobody knows what of them is durable. */
static enum dom_code end_check(struct log *l, struct dom_err *err) {
  for (uint32_t i = 0; i < l->count; i++) {
    struct log_segment *s = &l->segments[i];
    bool beyond = false;
    if (!s->present || s->wiped || s->header.generation != 0) continue;
    enum dom_code code = segment_used_beyond(s->reader, l->last_lsn, &beyond, err);
    if (code != DOM_OK) return code;
    if (beyond) {
      return dom_fail(err, DOM_CORRUPT, "store/log: open",
                      "segment %u: bad header before good records; run fsck", i + 1);
    }
    disk_close(s->reader);
    *s = (struct log_segment){0};
  }
  return DOM_OK;
}

/* Writes the log's last batch again, the same bytes in the same place. Only the last can lack
 * durability: a write that fails is the last of its process. */
static enum dom_code tail_rewrite(struct log *l, const struct log_segment *s, uint64_t from, uint64_t to,
                                  struct dom_err *err) {
  char path[LOG_PATH_MAX];
  struct disk_file *f = NULL;
  size_t len = (size_t)(to - from);
  assert(from % DISK_ALIGN == 0 && len > 0 && len % DISK_ALIGN == 0);
  enum dom_code code = log_aligned_reach(l, len, err);
  if (code == DOM_OK) code = disk_read_full(s->reader, from, l->aligned, len, err);
  if (code != DOM_OK) return code;
  log_path(l, s->header.number, path);
  code = disk_open(l->disk, path, DISK_WRITE | DISK_DSYNC | DISK_DIRECT, &f, err);
  if (code != DOM_OK) return code;
  code = disk_write(f, from, l->aligned, len, err);
  disk_close(f);
  return code;
}

/* Scans segments from the one that holds after_lsn + 1. Earlier ones are durable in the index. */
static enum dom_code replay(struct log *l, struct log_segment **sorted, uint32_t n, uint64_t after_lsn,
                            log_replay_fn fn, void *arg, struct dom_err *err) {
  assert(l->last_lsn == 0);
  uint32_t start = 0;
  struct segment_scan scan = {0};
  const struct log_segment *tail = NULL;
  uint64_t tail_from = 0, tail_to = 0;
  while (start + 1 < n && sorted[start + 1]->header.first_lsn <= after_lsn + 1) start++;
  for (uint32_t i = 0; i < start; i++) sorted[i]->last_lsn = sorted[i + 1]->header.first_lsn - 1;
  for (uint32_t i = start; i < n; i++) {
    struct log_segment *s = sorted[i];
    enum dom_code code =
        i == start && start > 0 ? DOM_OK : follows(l, &s->header, scan.last_lsn, scan.chain, err);
    if (code == DOM_OK) code = segment_scan(s->reader, &s->header, after_lsn, fn, arg, &scan, err);
    if (code != DOM_OK) return code;
    s->last_lsn = scan.last_lsn;
    if (!scan.last) continue;
    tail = s;
    tail_from = scan.last;
    tail_to = scan.end;
  }
  l->last_lsn = scan.last_lsn;
  memcpy(l->chain, scan.chain, SHA256_SIZE);
  return tail ? tail_rewrite(l, tail, tail_from, tail_to, err) : DOM_OK;
}

enum dom_code log_recover(struct log *l, uint64_t after_lsn, log_replay_fn fn, void *arg,
                          struct dom_err *err) {
  AUTO_FREE struct log_segment **sorted = NULL;
  uint32_t n = 0;
  enum dom_code code = headers_read(l, err);
  if (code == DOM_OK) code = segments_sort(l, &sorted, &n, err);
  if (code == DOM_OK) code = replay(l, sorted, n, after_lsn, fn, arg, err);
  if (code == DOM_OK) code = end_check(l, err);
  if (code != DOM_OK) return code;
  /* An empty last segment is begun again rather than left behind: restarts cost no space. */
  if (n > 0 && sorted[n - 1]->last_lsn < sorted[n - 1]->header.first_lsn) sorted[n - 1]->free = true;
  return DOM_OK;
}
