#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "store/local/fsck.h"
#include "store/local/segment.h"

enum { PATH_BYTES = 64 };

struct segments {
  uint32_t *numbers;
  uint32_t count, cap;
  bool failed;
};

static bool name_seen(void *arg, const char *name, bool is_dir) {
  struct segments *s = arg;
  size_t len = strlen(name);
  uint64_t number = 0;
  if (is_dir || len < 5 || strcmp(name + len - 4, ".seg") != 0) return true;
  if (slice_to_u64(slice_of(name, len - 4), &number) != DOM_OK || number > UINT32_MAX / 2) return true;
  if (s->count == s->cap) {
    uint32_t cap = s->cap * 2 + 64;
    uint32_t *grown = dom_realloc(s->numbers, cap * sizeof *grown);
    s->failed = grown == NULL;
    if (s->failed) return false;
    s->numbers = grown;
    s->cap = cap;
  }
  s->numbers[s->count++] = (uint32_t)number;
  return true;
}

/* ---- records ---- */

struct record_check {
  struct fsck *f;
  struct record_plain plain;
  struct slice payload;
  uint32_t head;
};

static enum dom_code inline_source(void *arg, uint64_t offset, uint8_t *out, size_t len,
                                   struct dom_err *err) {
  const struct record_check *c = arg;
  if (c->head + offset + len > c->payload.len)
    return dom_fail(err, DOM_CORRUPT, "store/fsck: record", "inline body is cut short");
  memcpy(out, c->payload.data + c->head + offset, len);
  return DOM_OK;
}

static enum dom_code inline_check(struct record_check *c, const struct change *change, struct dom_err *err) {
  struct frame_source from = {inline_source, c};
  AUTO_FREE uint8_t *plain = dom_alloc(FRAME_PLAIN);
  enum dom_code code = plain ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "store/fsck: record", "frame");
  for (uint64_t at = 0; code == DOM_OK && at < change->size; at += FRAME_PLAIN) {
    size_t len = change->size - at < FRAME_PLAIN ? (size_t)(change->size - at) : FRAME_PLAIN;
    code = record_body_read(c->f->vault, c->payload, from, at, plain, len, err);
  }
  if (plain) wipe(plain, FRAME_PLAIN);
  return code;
}

static enum dom_code record_check(void *arg, const struct log_record *r, bool commit_ends,
                                  struct dom_err *err) {
  struct record_check *c = arg;
  struct fsck *f = c->f;
  struct change change;
  struct dom_err why = {0};
  (void)commit_ends;
  f->report.records++;
  c->payload = r->payload;
  enum dom_code code = record_peek(r->type, r->payload, &change, &c->head, &why);
  if (code == DOM_OK) code = record_decode(f->vault, r->type, r->payload, &c->plain, &change, &why);
  if (code == DOM_OK && change.inlined) code = inline_check(c, &change, &why);
  if (code == DOM_NO_MEMORY || code == DOM_IO) return dom_fail(err, code, why.where, "%s", why.text);
  if (code == DOM_NOT_FOUND) {
    f->report.dead_records++;
  } else if (code != DOM_OK) {
    f->report.bad_records++;
    fsck_find(f, "segment %u offset %u: record of kind %u: %s", r->at.segment, r->at.offset, r->type,
              why.text);
  }
  return DOM_OK;
}

/* ---- segments ---- */

/* The next good batch at or behind `from`; *out is the segment's end when there is none. */
static enum dom_code good_find(struct disk_file *file, const struct segment_header *h, uint64_t from,
                               struct buf *in, uint64_t *out, struct dom_err *err) {
  bool good = false;
  uint64_t at = from;
  for (; at + DISK_ALIGN <= h->bytes && !good; at += DISK_ALIGN) {
    struct batch_header b;
    enum dom_code code = segment_batch_read(file, h->bytes, h->generation, at, in, &b, &good, err);
    if (code != DOM_OK) return code;
  }
  *out = good ? at - DISK_ALIGN : h->bytes;
  return DOM_OK;
}

static void batch_bad(struct fsck *f, const struct segment_header *h, uint64_t at, const char *what) {
  f->log_ok = false;
  f->report.bad_records++;
  fsck_find(f,
            "segment %u offset %llu: %s before good ones: the region takes no writes: fsck --repair shows "
            "what can be "
            "saved",
            h->number, (unsigned long long)at, what);
}

static enum dom_code batches_check(struct fsck *f, struct disk_file *file, const struct segment_header *h,
                                   struct dom_err *err) {
  BUF_AUTO in = BUF_INIT;
  struct record_check c = {.f = f};
  uint8_t chain[SHA256_SIZE];
  uint64_t at = SEGMENT_HEADER_SIZE;
  enum dom_code code = DOM_OK;
  memcpy(chain, h->chain, sizeof chain);
  while (code == DOM_OK && at < h->bytes) {
    struct batch_header b;
    bool good = false;
    code = segment_batch_read(file, h->bytes, h->generation, at, &in, &b, &good, err);
    if (code == DOM_OK && !good) {
      uint64_t next = 0;
      code = good_find(file, h, at + DISK_ALIGN, &in, &next, err);
      if (code == DOM_OK && next < h->bytes) batch_bad(f, h, at, "bad batch");
      at = next;
      continue;
    }
    if (code != DOM_OK) break;
    if (memcmp(b.chain, chain, sizeof chain) != 0) batch_bad(f, h, at, "batch of another chain");
    struct dom_err why = {0};
    code = segment_batch_each(buf_slice(&in), &b, h->number, at, 0, record_check, &c, &why);
    if (code == DOM_CORRUPT) {
      batch_bad(f, h, at, "bad record in a batch");
      code = DOM_OK;
    } else if (code != DOM_OK) {
      code = dom_fail(err, code, why.where, "%s", why.text);
    }
    batch_follow(buf_slice(&in), &b, chain);
    at += (b.length + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN;
  }
  record_plain_done(&c.plain);
  return code;
}

static enum dom_code segment_check(struct fsck *f, uint32_t number, struct dom_err *err) {
  char path[PATH_BYTES];
  uint8_t block[SEGMENT_HEADER_SIZE];
  struct disk_file *file = NULL;
  struct segment_header h;
  size_t len = 0;
  snprintf(path, sizeof path, "log/%08u.seg", number);
  enum dom_code code = disk_open(f->o.disk, path, DISK_READ, &file, err);
  if (code == DOM_OK) code = disk_read(file, 0, block, sizeof block, &len, err);
  if (code == DOM_OK) {
    f->report.segments++;
    struct dom_err why = {0};
    code = segment_header_decode(slice_of(block, len), &h, &why);
    if (code == DOM_CORRUPT)
      code = DOM_OK; /* a spare; the start tells it from a header that rotted in use */
    else if (code != DOM_OK)
      code = dom_fail(err, code, why.where, "%s", why.text);
    else if (h.generation > 0)
      code = batches_check(f, file, &h, err);
  }
  disk_close(file);
  return code;
}

enum dom_code fsck_log(struct fsck *f, struct dom_err *err) {
  struct segments s = {0};
  enum dom_code code = disk_list(f->o.disk, "log", name_seen, &s, NULL);
  if (code == DOM_NOT_FOUND) code = DOM_OK;
  if (code == DOM_OK && s.failed) code = DOM_NO_MEMORY;
  if (code != DOM_OK) dom_fail(err, code, "store/fsck: log", "the segments cannot be listed");
  for (uint32_t i = 0; i < s.count && code == DOM_OK; i++) {
    fsck_progress(f, "log", i, s.count);
    code = segment_check(f, s.numbers[i], err);
  }
  if (code == DOM_OK) fsck_progress(f, "log", s.count, s.count);
  dom_free(s.numbers);
  return code;
}
