#include "store/local/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "store/local/log_internal.h"

enum { ZERO_CHUNK = 1 << 20 }; /* a spare is filled in writes of this size */

void log_locator_put(struct buf *out, struct log_locator at) {
  assert(out != NULL);
  put_u32le(out, at.segment);
  put_u32le(out, at.generation);
  put_u32le(out, at.offset);
  put_u32le(out, at.length);
}

struct log_locator log_locator_load(const uint8_t in[LOG_LOCATOR_SIZE]) {
  assert(in != NULL);
  return (struct log_locator){load_u32le(in), load_u32le(in + 4), load_u32le(in + 8), load_u32le(in + 12)};
}

void log_path(const struct log *l, uint32_t number, char out[LOG_PATH_MAX]) {
  int n = snprintf(out, LOG_PATH_MAX, "%s/%08u.seg", l->folder, number);
  assert(n > 0 && n < LOG_PATH_MAX);
}

enum dom_code log_table_reach(struct log *l, uint32_t number, struct dom_err *err) {
  assert(number > 0);
  if (number > l->cap) {
    uint32_t cap = number + number / 2 + 16;
    struct log_segment *grown = dom_realloc(l->segments, cap * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, "store/log: table", "%u segments", cap);
    memset(grown + l->cap, 0, (cap - l->cap) * sizeof *grown);
    l->segments = grown;
    l->cap = cap;
  }
  if (number > l->count) l->count = number;
  return DOM_OK;
}

/* ---- open and close ---- */

enum dom_code log_open(const struct log_options *o, uint64_t after_lsn, log_replay_fn fn, void *arg,
                       struct log **out, struct dom_err *err) {
  assert(o->segment_bytes >= LOG_SEGMENT_MIN && o->segment_bytes % DISK_ALIGN == 0);
  assert(o->segment_bytes <= UINT32_MAX);
  struct log *l = dom_calloc(1, sizeof *l);
  if (!l) return dom_fail(err, DOM_NO_MEMORY, "store/log: open", "log");
  l->disk = o->disk;
  l->folder = o->folder;
  l->segment_bytes = o->segment_bytes;
  pthread_mutex_init(&l->lock, NULL);
  enum dom_code code = disk_mkdir(l->disk, l->folder, err);
  if (code == DOM_OK) code = disk_dir_sync(l->disk, ".", err);
  if (code == DOM_OK) code = log_recover(l, after_lsn, fn, arg, err);
  if (code != DOM_OK) {
    log_close(l);
    return code;
  }
  *out = l;
  return DOM_OK;
}

void log_close(struct log *l) {
  if (!l) return;
  for (uint32_t i = 0; i < l->count; i++) {
    assert(l->segments[i].pins == 0);
    disk_close(l->segments[i].reader);
  }
  disk_close(l->writer);
  dom_free(l->segments);
  buf_done(&l->batch);
  free(l->aligned);
  pthread_mutex_destroy(&l->lock);
  dom_free(l);
}

uint64_t log_last_lsn(const struct log *l) {
  assert(l != NULL);
  return l->last_lsn;
}

uint64_t log_append_max(const struct log *l) {
  assert(l->segment_bytes >= LOG_SEGMENT_MIN);
  return l->segment_bytes - SEGMENT_HEADER_SIZE - LOG_BATCH_HEADER;
}

void log_horizon(struct log *l, uint64_t lsn) {
  pthread_mutex_lock(&l->lock);
  assert(lsn <= l->last_lsn);
  if (lsn > l->horizon) l->horizon = lsn;
  pthread_mutex_unlock(&l->lock);
}

/* ---- segments for writing ---- */

/* Writes zeros over the whole file, so that its blocks are allocated and written; past the page
 * cache, where they would cost a quarter of a busy region's processor time. */
static enum dom_code zero_fill(struct disk_file *f, uint64_t bytes, struct dom_err *err) {
  assert(f != NULL);
  void *zeros = aligned_alloc(DISK_ALIGN, ZERO_CHUNK);
  enum dom_code code = DOM_OK;
  if (!zeros) return dom_fail(err, DOM_NO_MEMORY, "store/log: spare", "zeros");
  memset(zeros, 0, ZERO_CHUNK);
  assert(bytes % DISK_ALIGN == 0);
  for (uint64_t at = 0; at < bytes && code == DOM_OK; at += ZERO_CHUNK) {
    size_t len = bytes - at < ZERO_CHUNK ? (size_t)(bytes - at) : ZERO_CHUNK;
    code = disk_write(f, at, zeros, len, err);
  }
  free(zeros);
  return code == DOM_OK ? disk_sync(f, err) : code;
}

/* Makes the file of segment `number`, durable with its name. */
static enum dom_code segment_make(struct log *l, uint32_t number, struct dom_err *err) {
  char path[LOG_PATH_MAX];
  struct disk_file *f = NULL;
  log_path(l, number, path);
  enum dom_code code =
      disk_open(l->disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE | DISK_DIRECT, &f, err);
  if (code != DOM_OK) return code;
  code = disk_allocate(f, l->segment_bytes, err);
  if (code == DOM_OK) code = zero_fill(f, l->segment_bytes, err);
  disk_close(f);
  if (code == DOM_OK) code = disk_dir_sync(l->disk, l->folder, err);
  return code;
}

/* Takes a free segment that is big enough; 0 when there is none. */
static uint32_t segment_free_take(struct log *l) {
  uint32_t found = 0;
  pthread_mutex_lock(&l->lock);
  for (uint32_t i = 0; i < l->count && !found; i++) {
    struct log_segment *s = &l->segments[i];
    if (s->present && s->free && s->pins == 0 && s->header.bytes >= l->segment_bytes) found = i + 1;
  }
  if (found) l->segments[found - 1].free = false;
  pthread_mutex_unlock(&l->lock);
  return found;
}

/* Reserves the lowest number without a file, so that no other thread makes the same one. */
static enum dom_code segment_number_take(struct log *l, uint32_t *out, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&l->lock);
  uint32_t number = 1;
  while (number <= l->count && l->segments[number - 1].present) number++;
  code = log_table_reach(l, number, err);
  if (code == DOM_OK) {
    l->segments[number - 1] = (struct log_segment){.present = true};
    l->segments[number - 1].header.number = number;
    *out = number;
  }
  pthread_mutex_unlock(&l->lock);
  return code;
}

static enum dom_code segment_new(struct log *l, bool free_after, uint32_t *out, struct dom_err *err) {
  uint32_t number = 0;
  enum dom_code code = segment_number_take(l, &number, err);
  if (code != DOM_OK) return code;
  code = segment_make(l, number, err);
  pthread_mutex_lock(&l->lock);
  struct log_segment *s = &l->segments[number - 1];
  if (code == DOM_OK) {
    s->header.bytes = l->segment_bytes;
    s->free = free_after;
  } else {
    s->present = false;
  }
  pthread_mutex_unlock(&l->lock);
  if (code == DOM_OK && out) *out = number;
  return code;
}

/* Free segments that the next append could take. */
static uint32_t segments_free(struct log *l) {
  uint32_t count = 0;
  pthread_mutex_lock(&l->lock);
  for (uint32_t i = 0; i < l->count; i++) {
    const struct log_segment *s = &l->segments[i];
    count += s->present && s->free && s->pins == 0 && s->header.bytes >= l->segment_bytes;
  }
  pthread_mutex_unlock(&l->lock);
  return count;
}

enum dom_code log_prepare(struct log *l, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (uint32_t n = segments_free(l); n < LOG_SPARES && code == DOM_OK; n++)
    code = segment_new(l, true, NULL, err);
  return code;
}

/* Gives a segment its new generation: header durable, then it is the open one. */
static enum dom_code segment_begin(struct log *l, uint32_t number, uint64_t first_lsn, struct dom_err *err) {
  char path[LOG_PATH_MAX];
  BUF_AUTO block = BUF_INIT;
  pthread_mutex_lock(&l->lock);
  struct segment_header h = {.number = number,
                             .generation = l->generation + 1,
                             .bytes = l->segments[number - 1].header.bytes,
                             .first_lsn = first_lsn,
                             .horizon = l->horizon};
  pthread_mutex_unlock(&l->lock);
  memcpy(h.chain, l->chain, SHA256_SIZE);
  segment_header_encode(&h, &block);
  if (block.failed) return buf_check(&block, err);
  assert(l->aligned_cap >= SEGMENT_HEADER_SIZE);
  memcpy(l->aligned, block.data, SEGMENT_HEADER_SIZE);
  log_path(l, number, path);
  struct disk_file *f = NULL;
  enum dom_code code = disk_open(l->disk, path, DISK_READ | DISK_WRITE | DISK_DSYNC | DISK_DIRECT, &f, err);
  if (code != DOM_OK) return code;
  code = disk_write(f, 0, l->aligned, SEGMENT_HEADER_SIZE, err);
  if (code != DOM_OK) {
    disk_close(f);
    return code;
  }
  pthread_mutex_lock(&l->lock);
  if (l->current) l->segments[l->current - 1].open = false;
  struct log_segment *s = &l->segments[number - 1];
  s->header = h;
  s->last_lsn = h.first_lsn - 1;
  s->open = true;
  s->wiped = false;
  l->generation = h.generation;
  pthread_mutex_unlock(&l->lock);
  disk_close(l->writer);
  l->writer = f;
  l->current = number;
  l->end = SEGMENT_HEADER_SIZE;
  l->limit = h.bytes;
  return DOM_OK;
}

/* Goes on to another segment. Finding no room for one harms nothing: *final stays as it is. */
static enum dom_code segment_next(struct log *l, uint64_t first_lsn, bool *final, struct dom_err *err) {
  uint32_t number = segment_free_take(l);
  if (!number) {
    enum dom_code code = segment_new(l, false, &number, err);
    if (code != DOM_OK) {
      *final = code != DOM_NO_SPACE && code != DOM_NO_MEMORY;
      return code;
    }
  }
  *final = true;
  return segment_begin(l, number, first_lsn, err);
}

/* ---- append ---- */

enum dom_code log_aligned_reach(struct log *l, size_t size, struct dom_err *err) {
  size_t rounded = (size + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  if (rounded <= l->aligned_cap) return DOM_OK;
  rounded += rounded / 2;
  rounded = (rounded + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  void *fresh = aligned_alloc(DISK_ALIGN, rounded);
  if (!fresh) return dom_fail(err, DOM_NO_MEMORY, "store/log: append", "%zu bytes", rounded);
  free(l->aligned);
  l->aligned = fresh;
  l->aligned_cap = rounded;
  return DOM_OK;
}

static uint64_t batch_size(const struct log_record *records, size_t count) {
  uint64_t size = LOG_BATCH_HEADER;
  for (size_t i = 0; i < count; i++) size += log_record_size(records[i].payload.len);
  return size;
}

/* Lays the batch out in l->aligned and fills locators; returns its length. */
static uint32_t batch_assemble(struct log *l, struct log_record *records, size_t count) {
  assert(l->current > 0 && l->end % DISK_ALIGN == 0);
  buf_reset(&l->batch);
  size_t at = LOG_BATCH_HEADER;
  for (size_t i = 0; i < count; i++) {
    struct log_record *r = &records[i];
    size_t size = (size_t)log_record_size(r->payload.len);
    buf_reset(&l->batch);
    record_frame_put(&l->batch, r, l->generation);
    assert(!l->batch.failed);
    memcpy(l->aligned + at, l->batch.data, LOG_RECORD_HEADER);
    if (r->payload.len) memcpy(l->aligned + at + LOG_RECORD_HEADER, r->payload.data, r->payload.len);
    size_t used = LOG_RECORD_HEADER + r->payload.len;
    memset(l->aligned + at + used, 0, size - used);
    r->at = (struct log_locator){l->current, l->generation, (uint32_t)(l->end + at), (uint32_t)used};
    at += size;
  }
  return (uint32_t)at;
}

static enum dom_code batch_write(struct log *l, struct log_record *records, size_t count,
                                 struct dom_err *err) {
  assert(l->writer != NULL && count > 0);
  uint32_t length = batch_assemble(l, records, count);
  size_t padded = ((size_t)length + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  memset(l->aligned + length, 0, padded - length);
  struct batch_header h = {.generation = l->generation,
                           .count = (uint32_t)count,
                           .length = length,
                           .first_lsn = records[0].lsn,
                           .last_lsn = records[count - 1].lsn};
  memcpy(h.chain, l->chain, SHA256_SIZE);
  batch_header_finish(l->aligned, &h);
  enum dom_code code = disk_write(l->writer, l->end, l->aligned, padded, err);
  if (code != DOM_OK) return code;
  l->end += padded;
  batch_chain(l->aligned, l->chain);
  pthread_mutex_lock(&l->lock);
  l->last_lsn = h.last_lsn;
  l->segments[l->current - 1].last_lsn = h.last_lsn;
  pthread_mutex_unlock(&l->lock);
  return DOM_OK;
}

enum dom_code log_append(struct log *l, struct log_record *records, size_t count, struct dom_err *err) {
  uint64_t size = batch_size(records, count);
  assert(count > 0 && records[0].lsn > l->last_lsn);
  bool leap = records[0].lsn > l->last_lsn + 1; /* within a segment there are none */
  assert(size <= l->segment_bytes - SEGMENT_HEADER_SIZE);
  if (l->broken) return dom_fail(err, DOM_READ_ONLY, "store/log: append", "a write failed before");
  enum dom_code code = log_aligned_reach(l, (size_t)size, err);
  if (code == DOM_OK && !buf_reserve(&l->batch, LOG_RECORD_HEADER)) code = buf_check(&l->batch, err);
  if (code != DOM_OK) return code; /* nothing was written: not final */
  bool final = true;
  if (!l->current || leap || l->end + size > l->limit) code = segment_next(l, records[0].lsn, &final, err);
  if (code == DOM_OK) code = batch_write(l, records, count, err);
  if (code != DOM_OK && final) l->broken = true;
  return code;
}

bool log_usable(const struct log *l) {
  return !l->broken;
}

/* ---- reading ---- */

/* Finds the segment of a locator, pins it and gives its reader. */
static enum dom_code read_begin(struct log *l, struct log_locator at, struct disk_file **out,
                                struct dom_err *err) {
  assert(out != NULL);
  static const char where[] = "store/log: read";
  char path[LOG_PATH_MAX];
  enum dom_code code = DOM_OK;
  pthread_mutex_lock(&l->lock);
  struct log_segment *s = at.segment > 0 && at.segment <= l->count ? &l->segments[at.segment - 1] : NULL;
  if (!s || !s->present || s->header.generation != at.generation || s->free) {
    code = dom_fail(err, DOM_RETRY, where, "segment %u was reused", at.segment);
  } else if (at.length < LOG_RECORD_HEADER || at.offset + (uint64_t)at.length > s->header.bytes) {
    code = dom_fail(err, DOM_CORRUPT, where, "segment %u: locator outside", at.segment);
  } else if (!s->reader) {
    log_path(l, at.segment, path);
    code = disk_open(l->disk, path, DISK_READ, &s->reader, err);
  }
  if (code == DOM_OK) {
    s->pins++;
    *out = s->reader;
  }
  pthread_mutex_unlock(&l->lock);
  return code;
}

enum dom_code log_read(struct log *l, struct log_locator at, struct buf *out, struct dom_err *err) {
  assert(out != NULL && at.length > 0);
  struct disk_file *f = NULL;
  struct log_record r;
  enum dom_code code = read_begin(l, at, &f, err);
  if (code != DOM_OK) return code;
  uint8_t *to = buf_reserve(out, at.length) ? out->data + out->len : NULL;
  if (to) code = disk_read_full(f, at.offset, to, at.length, err);
  log_unpin(l, at);
  if (!to) return buf_check(out, err);
  if (code != DOM_OK) return code;
  if (!record_frame_check(slice_of(to, at.length), at.generation, &r)) {
    return dom_fail(err, DOM_CORRUPT, "store/log: read", "segment %u offset %u: record does not verify",
                    at.segment, at.offset);
  }
  memmove(to, r.payload.data, r.payload.len); /* over its header */
  out->len += r.payload.len;
  return DOM_OK;
}

enum dom_code log_read_range(struct log *l, struct log_locator at, uint32_t offset, void *out, uint32_t len,
                             struct dom_err *err) {
  struct disk_file *f = NULL;
  assert((uint64_t)LOG_RECORD_HEADER + offset + len <= at.length);
  enum dom_code code = read_begin(l, at, &f, err);
  if (code != DOM_OK) return code;
  code = disk_read_full(f, (uint64_t)at.offset + LOG_RECORD_HEADER + offset, out, len, err);
  log_unpin(l, at);
  return code;
}

bool log_pin(struct log *l, struct log_locator at) {
  struct disk_file *f = NULL;
  return read_begin(l, at, &f, NULL) == DOM_OK;
}

void log_unpin(struct log *l, struct log_locator at) {
  pthread_mutex_lock(&l->lock);
  assert(at.segment > 0 && at.segment <= l->count);
  struct log_segment *s = &l->segments[at.segment - 1];
  assert(s->pins > 0 && s->header.generation == at.generation);
  s->pins--;
  pthread_mutex_unlock(&l->lock);
}

/* ---- for compaction and fsck ---- */

void log_segments(struct log *l, bool (*fn)(void *arg, const struct log_segment_info *s), void *arg) {
  assert(fn != NULL);
  pthread_mutex_lock(&l->lock);
  for (uint32_t i = 0; i < l->count; i++) {
    const struct log_segment *s = &l->segments[i];
    if (!s->present) continue;
    struct log_segment_info info = {.segment = i + 1,
                                    .generation = s->header.generation,
                                    .first_lsn = s->header.first_lsn,
                                    .last_lsn = s->last_lsn,
                                    .bytes = s->header.bytes,
                                    .pins = s->pins,
                                    .open = s->open,
                                    .free = s->free};
    if (!fn(arg, &info)) break;
  }
  pthread_mutex_unlock(&l->lock);
}

/* Under the lock: DOM_BUSY while the segment is read, appended to, or the newest: the newest tells
 * the next start how far the log goes. */
static enum dom_code release_check(const struct log *l, uint32_t segment, struct dom_err *err) {
  const struct log_segment *s = &l->segments[segment - 1];
  bool newest = true;
  for (uint32_t i = 0; i < l->count; i++) {
    const struct log_segment *other = &l->segments[i];
    if (other->present && !other->free && other->header.generation > s->header.generation) newest = false;
  }
  assert(s->present && !s->free);
  if (!s->open && !s->pins && !newest) return DOM_OK;
  return dom_fail(err, DOM_BUSY, "store/log: release", "segment %u: %u pins", segment, s->pins);
}

/* Says on disk that nothing in the segment counts. The horizon must outlive the header that said
 * it, or the hole would look like damage. */
static enum dom_code segment_wipe(struct log *l, const struct segment_header *wiped, struct dom_err *err) {
  char path[LOG_PATH_MAX];
  BUF_AUTO block = BUF_INIT;
  struct disk_file *f = NULL;
  uint8_t *aligned = aligned_alloc(DISK_ALIGN, SEGMENT_HEADER_SIZE);
  segment_header_encode(wiped, &block);
  if (!aligned || block.failed) {
    free(aligned);
    return dom_fail(err, DOM_NO_MEMORY, "store/log: release", "header");
  }
  memcpy(aligned, block.data, SEGMENT_HEADER_SIZE);
  log_path(l, wiped->number, path);
  enum dom_code code = disk_open(l->disk, path, DISK_WRITE | DISK_DSYNC | DISK_DIRECT, &f, err);
  if (code == DOM_OK) code = disk_write(f, 0, aligned, SEGMENT_HEADER_SIZE, err);
  disk_close(f);
  free(aligned);
  return code;
}

enum dom_code log_release(struct log *l, uint32_t segment, uint32_t generation, struct dom_err *err) {
  pthread_mutex_lock(&l->lock);
  assert(segment > 0 && segment <= l->count);
  struct log_segment *s = &l->segments[segment - 1];
  assert(s->header.generation == generation && s->last_lsn <= l->horizon);
  struct segment_header wiped = {.number = segment, .bytes = s->header.bytes, .horizon = l->horizon};
  enum dom_code code = release_check(l, segment, err);
  pthread_mutex_unlock(&l->lock);
  if (code == DOM_OK) code = segment_wipe(l, &wiped, err);
  if (code != DOM_OK) return code;
  pthread_mutex_lock(&l->lock);
  s = &l->segments[segment - 1];         /* the table may have grown */
  code = release_check(l, segment, err); /* a late reader: it is given up at the next try */
  if (code == DOM_OK) s->free = s->wiped = true;
  pthread_mutex_unlock(&l->lock);
  return code;
}

enum dom_code log_segment_scan(struct log *l, uint32_t segment, uint32_t generation, log_replay_fn fn,
                               void *arg, struct dom_err *err) {
  struct log_locator at = {segment, generation, SEGMENT_HEADER_SIZE, LOG_RECORD_HEADER};
  struct disk_file *f = NULL;
  struct segment_scan scan;
  enum dom_code code = read_begin(l, at, &f, err);
  if (code != DOM_OK) return code;
  pthread_mutex_lock(&l->lock);
  struct segment_header h = l->segments[segment - 1].header;
  pthread_mutex_unlock(&l->lock);
  code = segment_scan(f, &h, 0, fn, arg, &scan, err);
  log_unpin(l, at);
  return code;
}
