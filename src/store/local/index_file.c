#include "store/local/index_file.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/disk.h"
#include "store/local/index_format.h"

enum { APPEND_CHUNK = 64 * 1024 }; /* encrypted at a time: stays in the cache */

struct index_volume {
  struct disk *disk;
  char folder[INDEX_PATH_MAX];
  uint8_t *key; /* INDEX_KEY_SIZE, secret memory */
};

struct index_writer {
  struct disk_file *file;
  uint8_t key[KEY_SIZE];
  uint8_t salt[INDEX_SALT_SIZE], check[INDEX_CHECK_SIZE];
  uint64_t size;   /* appended, or truncated to */
  uint64_t synced; /* the length in the header */
  bool begun;      /* the header is written */
  bool sealed;     /* truncated: no more appends */
  bool failed;
  uint8_t *chunk; /* APPEND_CHUNK, ciphertext on its way */
};

struct index_reader {
  struct disk_file *file;
  uint8_t key[KEY_SIZE];
  uint64_t size;
};

/* ---- volume ---- */

enum dom_code index_volume_open(struct disk *disk, const char *folder,
                                const uint8_t index_key[INDEX_KEY_SIZE], struct index_volume **out,
                                struct dom_err *err) {
  assert(disk && folder && folder[0] && folder[0] != '/' && index_key && out);
  if (strlen(folder) >= INDEX_PATH_MAX / 2) {
    return dom_fail(err, DOM_TOO_LARGE, "store/index: folder", "the index folder's name is too long");
  }
  struct index_volume *vol = dom_calloc(1, sizeof *vol);
  if (vol) vol->key = secret_alloc(KEY_SIZE);
  if (!vol || !vol->key) {
    dom_free(vol);
    return dom_fail(err, DOM_NO_MEMORY, "store/index: open", "no memory");
  }
  vol->disk = disk;
  memcpy(vol->folder, folder, strlen(folder) + 1);
  memcpy(vol->key, index_key, KEY_SIZE);
  *out = vol;
  return DOM_OK;
}

void index_volume_close(struct index_volume *vol) {
  if (!vol) return;
  secret_free(vol->key, KEY_SIZE);
  dom_free(vol);
}

struct disk *index_volume_disk(const struct index_volume *vol) {
  assert(vol);
  return vol->disk;
}

enum dom_code index_volume_path(const struct index_volume *vol, const char *name, char out[INDEX_PATH_MAX],
                                struct dom_err *err) {
  assert(vol && name && out);
  char path[INDEX_PATH_MAX];
  size_t len = 0;
  for (const char *at = name; *at; at++) {
    if (*at == '/' && (len == 0 || at[1] == '/' || at[1] == 0)) continue;
    if (len + 1 == sizeof path) {
      return dom_fail(err, DOM_TOO_LARGE, "store/index: path", "an index file's name is too long");
    }
    path[len++] = *at;
  }
  path[len] = 0;
  size_t folder_len = strlen(vol->folder);
  bool inside =
      strncmp(path, vol->folder, folder_len) == 0 && (path[folder_len] == 0 || path[folder_len] == '/');
  if (!inside) return dom_fail(err, DOM_INVALID, "store/index: path", "RocksDB asked outside of its folder");
  memcpy(out, path, len + 1);
  return DOM_OK;
}

/* ---- writing ---- */

enum dom_code index_writer_open(struct index_volume *vol, const char *path, struct index_writer **out,
                                struct dom_err *err) {
  assert(vol && path && out);
  struct index_writer *w = dom_calloc(1, sizeof *w);
  if (w) w->chunk = dom_alloc(APPEND_CHUNK);
  if (!w || !w->chunk) {
    dom_free(w);
    return dom_fail(err, DOM_NO_MEMORY, "store/index: create", "no memory");
  }
  random_bytes(w->salt, sizeof w->salt);
  index_format_keys(vol->key, w->salt, w->key, w->check);
  enum dom_code code =
      disk_open(vol->disk, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &w->file, err);
  if (code != DOM_OK) {
    index_writer_free(w);
    return code;
  }
  *out = w;
  return DOM_OK;
}

void index_writer_free(struct index_writer *w) {
  if (!w) return;
  disk_close(w->file);
  dom_free(w->chunk);
  wipe(w->key, sizeof w->key);
  dom_free(w);
}

uint64_t index_writer_size(const struct index_writer *w) {
  assert(w);
  return w->size;
}

static enum dom_code writer_check(const struct index_writer *w, struct dom_err *err) {
  if (!w->failed) return DOM_OK;
  return dom_fail(err, DOM_READ_ONLY, "store/index: write", "an earlier write to this index file failed");
}

/* An empty file has no header: RocksDB makes logs it never writes to. */
static enum dom_code writer_begin(struct index_writer *w, struct dom_err *err) {
  uint8_t header[INDEX_HEADER_SIZE];
  if (w->begun) return DOM_OK;
  index_format_header(w->salt, w->check, header);
  enum dom_code code = disk_write(w->file, 0, header, sizeof header, err);
  w->begun = code == DOM_OK;
  return code;
}

static enum dom_code append_chunk(struct index_writer *w, const uint8_t *data, size_t len,
                                  struct dom_err *err) {
  assert(len <= APPEND_CHUNK);
  enum dom_code code = ctr_xor(w->key, w->size, slice_of(data, len), w->chunk);
  if (code != DOM_OK) return dom_fail(err, code, "store/index: encrypt", "no memory");
  code = disk_write(w->file, INDEX_HEADER_SIZE + w->size, w->chunk, len, err);
  if (code == DOM_OK) w->size += len;
  return code;
}

enum dom_code index_writer_append(struct index_writer *w, const void *data, size_t len, struct dom_err *err) {
  assert(w && (data || len == 0) && !w->sealed);
  enum dom_code code = writer_check(w, err);
  if (code != DOM_OK || len == 0) return code;
  const uint8_t *at = data;
  code = writer_begin(w, err);
  for (size_t left = len; left > 0 && code == DOM_OK;) {
    size_t some = left < APPEND_CHUNK ? left : APPEND_CHUNK;
    code = append_chunk(w, at, some, err);
    at += some;
    left -= some;
  }
  w->failed = code != DOM_OK;
  return code;
}

/* First the content, then the length: whoever reads the length finds the content. */
static enum dom_code sync_length(struct index_writer *w, struct dom_err *err) {
  enum dom_code code = disk_sync(w->file, err);
  if (code != DOM_OK || w->size == w->synced) return code;
  uint8_t sector[INDEX_SECTOR_SIZE];
  index_format_length(w->size, sector);
  code = disk_write(w->file, INDEX_AT_LENGTH, sector, sizeof sector, err);
  if (code == DOM_OK) code = disk_sync(w->file, err);
  if (code == DOM_OK) w->synced = w->size;
  return code;
}

enum dom_code index_writer_sync(struct index_writer *w, struct dom_err *err) {
  assert(w && (w->sealed || w->synced <= w->size));
  enum dom_code code = writer_check(w, err);
  if (code == DOM_OK) code = sync_length(w, err);
  if (code != DOM_OK) w->failed = true;
  return code;
}

enum dom_code index_writer_truncate(struct index_writer *w, uint64_t size, struct dom_err *err) {
  assert(w && size <= w->size);
  enum dom_code code = writer_check(w, err);
  if (code != DOM_OK || size == w->size) return code;
  w->size = size; /* the length says where the file ends; what lies behind stays ciphertext */
  w->sealed = true;
  return DOM_OK;
}

/* ---- reading ---- */

static enum dom_code reader_start(const struct index_volume *vol, struct index_reader *r,
                                  struct dom_err *err) {
  uint8_t header[INDEX_HEADER_SIZE];
  size_t len = 0;
  uint64_t file_size = 0;
  enum dom_code code = disk_read(r->file, 0, header, sizeof header, &len, err);
  if (code != DOM_OK) return code;
  if (len < sizeof header) return DOM_OK; /* never synced: empty */
  code = index_format_open(vol->key, header, r->key, &r->size, err);
  if (code == DOM_OK) code = disk_size(r->file, &file_size, err);
  if (code == DOM_OK && file_size - INDEX_HEADER_SIZE < r->size) {
    return dom_fail(err, DOM_CORRUPT, "store/index: open", "an index file is shorter than its header says");
  }
  return code;
}

enum dom_code index_reader_open(struct index_volume *vol, const char *path, struct index_reader **out,
                                struct dom_err *err) {
  assert(vol && path && out);
  struct index_reader *r = dom_calloc(1, sizeof *r);
  if (!r) return dom_fail(err, DOM_NO_MEMORY, "store/index: open", "no memory");
  enum dom_code code = disk_open(vol->disk, path, DISK_READ, &r->file, err);
  if (code == DOM_OK) code = reader_start(vol, r, err);
  if (code != DOM_OK) {
    index_reader_free(r);
    return code;
  }
  *out = r;
  return DOM_OK;
}

enum dom_code index_reader_read(const struct index_reader *r, uint64_t offset, void *out, size_t len,
                                size_t *out_len, struct dom_err *err) {
  assert(r && (out || len == 0) && out_len);
  if (offset >= r->size || len == 0) {
    *out_len = 0;
    return DOM_OK;
  }
  if (len > r->size - offset) len = (size_t)(r->size - offset);
  enum dom_code code = disk_read_full(r->file, INDEX_HEADER_SIZE + offset, out, len, err);
  if (code != DOM_OK) return code;
  code = ctr_xor(r->key, offset, slice_of(out, len), out);
  if (code != DOM_OK) return dom_fail(err, code, "store/index: decrypt", "no memory");
  *out_len = len;
  return DOM_OK;
}

uint64_t index_reader_size(const struct index_reader *r) {
  assert(r);
  return r->size;
}

void index_reader_free(struct index_reader *r) {
  if (!r) return;
  disk_close(r->file);
  wipe(r->key, sizeof r->key);
  dom_free(r);
}
