#include "vault/slot_files.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "vault/folder.h"
#include "vault/slot_header.h"

static const char *const FILE_NAMES[SLOT_COPIES] = {"slots-0", "slots-1"};

static enum dom_code join_path(char out[SLOT_PATH_MAX], const char *folder, const char *name,
                               const char *suffix, struct dom_err *err) {
  int n = snprintf(out, SLOT_PATH_MAX, "%s/%s%s", folder, name, suffix);
  if (n > 0 && n < SLOT_PATH_MAX) return DOM_OK;
  return dom_fail(err, DOM_TOO_LARGE, "vault/files: path", "the vault's folder name is too long");
}

static uint64_t slot_offset(uint32_t slot) {
  return SLOT_HEADER_SIZE + (uint64_t)slot * SLOT_SIZE;
}

/* ---- headers ---- */

static enum dom_code header_read(struct disk_file *file, struct slot_header *out, struct dom_err *err) {
  uint8_t bytes[SLOT_HEADER_SIZE];
  size_t len = 0;
  enum dom_code code = disk_read(file, 0, bytes, sizeof bytes, &len, err);
  if (code != DOM_OK) return code;
  return len == sizeof bytes ? slot_header_decode(bytes, out, err) : DOM_CORRUPT;
}

static enum dom_code header_write(struct disk_file *file, const struct slot_header *h, struct dom_err *err) {
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = slot_header_encode(h, &bytes);
  if (code == DOM_OK) code = disk_write(file, 0, bytes.data, bytes.len, err);
  if (code == DOM_OK) code = disk_sync(file, err);
  return code == DOM_NO_MEMORY ? dom_fail(err, code, "vault/files: header", "no memory") : code;
}

/* ---- making an empty vault ---- */

static enum dom_code append_free_slots(struct buf *out, uint16_t region, uint64_t seq, struct dom_err *err) {
  uint8_t image[SLOT_SIZE];
  struct slot s = slot_free(region, seq);
  slot_encode(&s, image);
  for (int i = 0; i < SLOT_CHUNK; i++) buf_append(out, image, SLOT_SIZE);
  return buf_check(out, err);
}

static enum dom_code make_copy(struct disk *disk, const char *path, const struct slot_header *h,
                               struct dom_err *err) {
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = slot_header_encode(h, &bytes);
  if (code == DOM_OK) code = append_free_slots(&bytes, h->region, 0, err);
  if (code != DOM_OK) return dom_fail(err, code, "vault/files: create", "no memory");
  struct disk_file *file = NULL;
  code = disk_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file, err);
  if (code != DOM_OK) return code;
  code = disk_write(file, 0, bytes.data, bytes.len, err);
  if (code == DOM_OK) code = disk_sync(file, err);
  disk_close(file);
  return code;
}

/* Both files are whole and durable under other names before either gets its own, so that an
 * empty vault is there entirely or not at all. */
static enum dom_code make_files(struct disk *disk, const char *folder, uint16_t region, struct dom_err *err) {
  struct slot_header h = {.region = region};
  random_bytes(h.vault_id, sizeof h.vault_id);
  char made[SLOT_COPIES][SLOT_PATH_MAX], named[SLOT_COPIES][SLOT_PATH_MAX];
  enum dom_code code = folder_make(disk, folder, err);
  for (int i = 0; i < SLOT_COPIES && code == DOM_OK; i++) {
    h.copy = (uint8_t)i;
    code = join_path(made[i], folder, FILE_NAMES[i], ".new", err);
    if (code == DOM_OK) code = join_path(named[i], folder, FILE_NAMES[i], "", err);
    if (code == DOM_OK) code = make_copy(disk, made[i], &h, err);
  }
  for (int i = 0; i < SLOT_COPIES && code == DOM_OK; i++) code = disk_rename(disk, made[i], named[i], err);
  if (code == DOM_OK) code = disk_dir_sync(disk, folder, err);
  return code;
}

/* ---- opening ---- */

static enum dom_code open_copy(struct slot_files *f, const char *folder, int copy, unsigned flags,
                               struct dom_err *err) {
  char path[SLOT_PATH_MAX];
  enum dom_code code = join_path(path, folder, FILE_NAMES[copy], "", err);
  if (code == DOM_OK) code = disk_open(f->disk, path, DISK_READ | DISK_WRITE | flags, &f->file[copy], err);
  if (code == DOM_OK) code = disk_lock(f->file[copy], err);
  return code;
}

/* Opens what is there; *out_missing is the bit set of absent copies. */
static enum dom_code open_present(struct slot_files *f, const char *folder, unsigned *out_missing,
                                  struct dom_err *err) {
  unsigned missing = 0;
  for (int i = 0; i < SLOT_COPIES; i++) {
    struct dom_err lost = {0};
    enum dom_code code = open_copy(f, folder, i, 0, &lost);
    if (code == DOM_NOT_FOUND) {
      missing |= 1U << i;
    } else if (code != DOM_OK) {
      if (err && err->code == DOM_OK) *err = lost;
      return code;
    }
  }
  *out_missing = missing;
  return DOM_OK;
}

/* Reads both headers, puts a bad one right from the good one, checks that they belong
 * together and to this region. */
static enum dom_code check_headers(struct slot_files *f, struct dom_err *err) {
  struct slot_header h[SLOT_COPIES] = {0};
  bool good[SLOT_COPIES];
  for (int i = 0; i < SLOT_COPIES; i++) {
    enum dom_code code = header_read(f->file[i], &h[i], err);
    if (code != DOM_OK && code != DOM_CORRUPT) return code;
    good[i] = code == DOM_OK && h[i].copy == i;
  }
  if (!good[0] && !good[1]) {
    return dom_fail(err, DOM_CORRUPT, "vault/files: open", "the headers of both vault files are bad");
  }
  const struct slot_header *use = good[0] ? &h[0] : &h[1];
  if (use->region != f->region) {
    return dom_fail(err, DOM_INCOMPATIBLE, "vault/files: open",
                    "this vault belongs to region number %u, not %u", use->region, f->region);
  }
  if (good[0] && good[1] && memcmp(h[0].vault_id, h[1].vault_id, SLOT_VAULT_ID_SIZE) != 0) {
    return dom_fail(err, DOM_INCOMPATIBLE, "vault/files: open",
                    "the two vault files are of different vaults");
  }
  memcpy(f->vault_id, use->vault_id, SLOT_VAULT_ID_SIZE);
  for (int i = 0; i < SLOT_COPIES; i++) {
    if (good[i]) continue;
    struct slot_header fixed = *use;
    fixed.copy = (uint8_t)i;
    enum dom_code code = header_write(f->file[i], &fixed, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

static enum dom_code open_files(struct slot_files *f, const char *folder, bool create, struct dom_err *err) {
  unsigned missing = 0;
  enum dom_code code = open_present(f, folder, &missing, err);
  if (code != DOM_OK) return code;
  if (missing == 3) {
    if (!create) return dom_fail(err, DOM_NOT_FOUND, "vault/files: open", "no vault in folder %s", folder);
    code = make_files(f->disk, folder, f->region, err);
    if (code == DOM_OK) code = open_present(f, folder, &missing, err);
    if (code != DOM_OK) return code;
    assert(missing == 0);
  }
  for (int i = 0; i < SLOT_COPIES && missing != 0; i++) {
    if (!(missing & 1U << i)) continue;
    f->rebuilt = true;
    code = open_copy(f, folder, i, DISK_CREATE, err);
    if (code == DOM_OK) code = disk_dir_sync(f->disk, folder, err);
    if (code != DOM_OK) return code;
  }
  return check_headers(f, err);
}

enum dom_code slot_files_open(struct disk *disk, const char *folder, uint16_t region, bool create,
                              struct slot_files *out, struct dom_err *err) {
  assert(disk && folder && folder[0] && out);
  struct slot_files f = {.disk = disk, .region = region};
  enum dom_code code = open_files(&f, folder, create, err);
  if (code != DOM_OK) {
    slot_files_close(&f);
    return code;
  }
  *out = f;
  return DOM_OK;
}

void slot_files_close(struct slot_files *f) {
  assert(f);
  for (int i = 0; i < SLOT_COPIES; i++) {
    disk_close(f->file[i]);
    f->file[i] = NULL;
  }
}

/* ---- slots ---- */

enum dom_code slot_files_read_copy(const struct slot_files *f, int copy, uint32_t slot, struct slot *out,
                                   struct dom_err *err) {
  assert(copy >= 0 && copy < SLOT_COPIES);
  uint8_t image[SLOT_SIZE];
  size_t len = 0;
  enum dom_code code = disk_read(f->file[copy], slot_offset(slot), image, SLOT_SIZE, &len, err);
  if (code != DOM_OK) return code;
  struct slot s;
  if (len != SLOT_SIZE || slot_decode(image, &s) != DOM_OK || s.region != f->region) return DOM_CORRUPT;
  *out = s;
  return DOM_OK;
}

enum dom_code slot_files_read(const struct slot_files *f, uint32_t slot, struct slot *out, bool *out_second,
                              struct dom_err *err) {
  assert(out && out_second);
  struct dom_err first = {0};
  enum dom_code code = slot_files_read_copy(f, 0, slot, out, &first);
  bool second = code != DOM_OK;
  if (second) code = slot_files_read_copy(f, 1, slot, out, err);
  if (code == DOM_CORRUPT) {
    return dom_fail(err, DOM_CORRUPT, "vault/files: read", "slot %u is bad in both files", slot);
  }
  if (code == DOM_OK) *out_second = second;
  return code;
}

enum dom_code slot_files_write_copy(const struct slot_files *f, int copy, const struct slot_change *changes,
                                    size_t count, struct dom_err *err) {
  assert(copy >= 0 && copy < SLOT_COPIES);
  for (size_t i = 0; i < count; i++) {
    assert(changes[i].slot < f->slots);
    enum dom_code code =
        disk_write(f->file[copy], slot_offset(changes[i].slot), changes[i].image, SLOT_SIZE, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

enum dom_code slot_files_grow(struct slot_files *f, uint64_t seq, bool *out_clean, struct dom_err *err) {
  assert(out_clean);
  *out_clean = true;
  if (f->slots > UINT32_MAX - 1 - SLOT_CHUNK) {
    return dom_fail(err, DOM_TOO_LARGE, "vault/files: grow", "the vault holds %u slots, its limit", f->slots);
  }
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = append_free_slots(&bytes, f->region, seq, err);
  for (int i = 0; i < SLOT_COPIES && code == DOM_OK; i++) {
    code = disk_write(f->file[i], slot_offset(f->slots), bytes.data, bytes.len, err);
    if (code != DOM_OK) {
      *out_clean = code == DOM_NO_SPACE;
      break;
    }
    code = disk_sync(f->file[i], err);
    *out_clean = code == DOM_OK;
  }
  return code;
}
