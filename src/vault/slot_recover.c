/* Comparing and repairing the two copies at open. */
#include <assert.h>

#include "base/alloc.h"
#include "vault/slot_files.h"

/* A run of slots as read from both files; absent bytes stay zero, which no good slot is. */
struct window {
  uint32_t from, count;
  uint8_t *bytes[SLOT_COPIES];
};

static uint64_t window_offset(const struct window *w) {
  return SLOT_HEADER_SIZE + (uint64_t)w->from * SLOT_SIZE;
}

static enum dom_code window_read(const struct slot_files *f, struct window *w, struct dom_err *err) {
  assert(w->count <= SLOT_CHUNK);
  for (int i = 0; i < SLOT_COPIES; i++) {
    size_t want = (size_t)w->count * SLOT_SIZE, len = 0;
    memset(w->bytes[i], 0, (size_t)SLOT_CHUNK * SLOT_SIZE);
    enum dom_code code = disk_read(f->file[i], window_offset(w), w->bytes[i], want, &len, err);
    if (code != DOM_OK) return code;
    memset(w->bytes[i] + len, 0, want - len);
  }
  return DOM_OK;
}

static bool window_slot(const struct slot_files *f, const struct window *w, int copy, uint32_t i,
                        struct slot *out) {
  return slot_decode(w->bytes[copy] + (size_t)i * SLOT_SIZE, out) == DOM_OK && out->region == f->region;
}

/* Slots of a file by its size, whole ones only. */
static enum dom_code count_slots(struct disk_file *file, uint32_t *out, struct dom_err *err) {
  uint64_t size = 0;
  enum dom_code code = disk_size(file, &size, err);
  if (code != DOM_OK) return code;
  uint64_t slots = size < SLOT_HEADER_SIZE ? 0 : (size - SLOT_HEADER_SIZE) / SLOT_SIZE;
  if (slots > UINT32_MAX - 1) {
    return dom_fail(err, DOM_CORRUPT, "vault/recover: size", "a vault file is larger than any vault");
  }
  *out = (uint32_t)slots;
  return DOM_OK;
}

static bool window_has_key(const struct slot_files *f, const struct window *w) {
  for (uint32_t i = 0; i < w->count; i++) {
    struct slot s;
    for (int c = 0; c < SLOT_COPIES; c++) {
      if (window_slot(f, w, c, i, &s) && s.state == SLOT_KEY) return true;
    }
  }
  return false;
}

/* A chunk is used only after both files hold it, the first file first. So where the second is
 * shorter, by less than a chunk more than it should, and no key lies there, a growth was
 * interrupted: both are cut back, which also needs no space on a full disk. */
static enum dom_code trim_growth(struct slot_files *f, const uint32_t slots[SLOT_COPIES], struct window *w,
                                 uint32_t *total, struct dom_err *err) {
  uint32_t start = slots[1] - slots[1] % SLOT_CHUNK;
  if (f->rebuilt || slots[1] >= slots[0] || slots[0] - start > SLOT_CHUNK) return DOM_OK;
  w->from = start;
  w->count = slots[0] - start;
  enum dom_code code = window_read(f, w, err);
  if (code != DOM_OK || window_has_key(f, w)) return code;
  for (int i = SLOT_COPIES - 1; i >= 0 && code == DOM_OK; i--) {
    code = disk_truncate(f->file[i], window_offset(w), err);
    if (code == DOM_OK) code = disk_sync(f->file[i], err);
  }
  if (code == DOM_OK) *total = start;
  return code;
}

/* Which copy holds: 0 or 1, -1 for neither. Equal copies count as the first. */
static int choose_copy(const struct slot_files *f, const struct window *w, uint32_t i,
                       struct slot *out_good) {
  struct slot s[SLOT_COPIES];
  bool good0 = window_slot(f, w, 0, i, &s[0]), good1 = window_slot(f, w, 1, i, &s[1]);
  if (!good0 && !good1) return -1;
  int winner = !good0 || (good1 && s[1].seq > s[0].seq) ? 1 : 0;
  *out_good = s[winner];
  return winner;
}

static enum dom_code recover_window(struct slot_files *f, struct window *w, slot_found_fn fn, void *arg,
                                    uint64_t *repaired, struct dom_err *err) {
  enum dom_code code = window_read(f, w, err);
  for (uint32_t i = 0; i < w->count && code == DOM_OK; i++) {
    struct slot good;
    int winner = choose_copy(f, w, i, &good);
    code = fn(arg, w->from + i, winner < 0 ? NULL : &good, err);
    if (code != DOM_OK || winner < 0) continue;
    size_t at = (size_t)i * SLOT_SIZE;
    if (memcmp(w->bytes[0] + at, w->bytes[1] + at, SLOT_SIZE) == 0) continue;
    code = disk_write(f->file[1 - winner], window_offset(w) + at, w->bytes[winner] + at, SLOT_SIZE, err);
    ++*repaired;
  }
  return code;
}

static enum dom_code recover_all(struct slot_files *f, struct window *w, slot_found_fn fn, void *arg,
                                 uint64_t *repaired, struct dom_err *err) {
  uint32_t slots[SLOT_COPIES] = {0};
  enum dom_code code = count_slots(f->file[0], &slots[0], err);
  if (code == DOM_OK) code = count_slots(f->file[1], &slots[1], err);
  uint32_t total = slots[0] > slots[1] ? slots[0] : slots[1];
  if (code == DOM_OK) code = trim_growth(f, slots, w, &total, err);
  for (uint32_t from = 0; from < total && code == DOM_OK; from += w->count) {
    w->from = from;
    w->count = total - from < SLOT_CHUNK ? total - from : SLOT_CHUNK;
    code = recover_window(f, w, fn, arg, repaired, err);
  }
  for (int i = 0; i < SLOT_COPIES && code == DOM_OK && *repaired > 0; i++) code = disk_sync(f->file[i], err);
  if (code == DOM_OK) f->slots = total;
  return code;
}

enum dom_code slot_files_recover(struct slot_files *f, slot_found_fn fn, void *arg, uint64_t *out_repaired,
                                 struct dom_err *err) {
  assert(f->file[0] && f->file[1] && fn);
  struct window w = {0};
  AUTO_FREE void *room = dom_alloc((size_t)SLOT_COPIES * SLOT_CHUNK * SLOT_SIZE);
  if (!room) return dom_fail(err, DOM_NO_MEMORY, "vault/recover: open", "no memory");
  w.bytes[0] = room;
  w.bytes[1] = w.bytes[0] + (size_t)SLOT_CHUNK * SLOT_SIZE;
  uint64_t repaired = 0;
  enum dom_code code = recover_all(f, &w, fn, arg, &repaired, err);
  if (code == DOM_OK) *out_repaired = repaired;
  return code;
}
