/* The folder of an export. */
#include "cli/export_folder.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/codec.h"

static const char where[] = "export folder";
static const char PROGRESS[] = "progress", PARTIAL[] = "manifest.jsonl.partial", WHOLE[] = "manifest.jsonl";

enum {
  MAGIC_SIZE = 8,
  HEAD_SIZE = MAGIC_SIZE + TOKEN_SIZE,
  RECORD_SIZE = 2 * SHA256_SIZE + 8 + 8, /* id, SHA-256, size, number */
  NUMBER_MAX = 99999999,                 /* what the names have room for */
  NUMBERS_A_FOLDER = 10000,              /* so that no folder gets slow */
  TABLE_MIN = 1024,                      /* a power of 2 */
  CHUNK = 256 << 10,                     /* of reading back */
  MANIFEST_BYTES = 64 << 10              /* lines share a write */
};
static const uint8_t MAGIC[MAGIC_SIZE] = {'D', 'O', 'M', 'E', 'X', 'P', 'T', '1'};

/* One body that came whole in this run or an earlier one. */
struct kept {
  uint8_t id[SHA256_SIZE], sha256[SHA256_SIZE];
  uint64_t size;
  uint32_t number; /* 0: the slot is free */
  bool used;       /* it is of this export; its file was looked at, or written, in this run */
};

struct export_folder {
  struct disk *disk;
  struct disk_file *progress, *manifest, *body;
  uint64_t progress_at, manifest_at;
  struct buf lines;
  struct kept *table; /* open addressing by id */
  size_t cap, count;
  uint32_t number_last;
  struct kept now; /* the body that comes */
  uint64_t got;
  struct hash *hash;
};

/* ---- table ------------------------------------------------------------------------------- */

/* The slot of this id, or a free one. */
static struct kept *slot_of(struct kept *table, size_t cap, const uint8_t id[SHA256_SIZE]) {
  size_t at = (size_t)load_u64be(id) & (cap - 1);
  assert(cap > 0 && (cap & (cap - 1)) == 0);
  while (table[at].number && memcmp(table[at].id, id, SHA256_SIZE) != 0) at = (at + 1) & (cap - 1);
  return &table[at];
}

static bool table_grow(struct export_folder *f) {
  size_t cap = f->cap ? 2 * f->cap : TABLE_MIN;
  struct kept *table = dom_calloc(cap, sizeof *table);
  if (!table) return false;
  for (size_t i = 0; i < f->cap; i++)
    if (f->table[i].number) *slot_of(table, cap, f->table[i].id) = f->table[i];
  dom_free(f->table);
  f->table = table;
  f->cap = cap;
  return true;
}

static enum dom_code table_put(struct export_folder *f, const struct kept *k, struct dom_err *err) {
  assert(k->number > 0 && k->number <= NUMBER_MAX);
  if (2 * (f->count + 1) > f->cap && !table_grow(f)) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  struct kept *slot = slot_of(f->table, f->cap, k->id);
  f->count += slot->number == 0;
  *slot = *k;
  if (k->number > f->number_last) f->number_last = k->number;
  return DOM_OK;
}

/* ---- open ---------------------------------------------------------------------------------- */

static bool is_any(void *arg, const char *name, bool is_dir) {
  (void)is_dir;
  *(bool *)arg = *(bool *)arg || strcmp(name, PROGRESS) != 0;
  return true;
}

/* An empty folder becomes an export's. */
static enum dom_code progress_make(struct export_folder *f, const uint8_t token[TOKEN_SIZE],
                                   struct dom_err *err) {
  uint8_t head[HEAD_SIZE];
  memcpy(head, MAGIC, MAGIC_SIZE);
  memcpy(head + MAGIC_SIZE, token, TOKEN_SIZE);
  f->progress_at = HEAD_SIZE;
  enum dom_code code = disk_write(f->progress, 0, head, sizeof head, err);
  if (!code) code = disk_sync(f->progress, err); /* else a power cut leaves a folder that nobody knows */
  return code ? code : disk_dir_sync(f->disk, "", err);
}

/* Nothing is made in a folder that has other things. */
static enum dom_code check_ours(struct disk *disk, struct dom_err *err) {
  struct disk_info info = {0};
  bool any = false;
  enum dom_code code = disk_stat(disk, PROGRESS, &info, NULL);
  if (!code && info.size >= HEAD_SIZE) return DOM_OK;
  if (!code || code == DOM_NOT_FOUND) code = disk_list(disk, "", is_any, &any, err);
  if (code || !any) return code;
  return dom_fail(err, DOM_EXISTS, where, "the folder is not empty, and no export: name another one");
}

/* A torn or unwritten record is no harm: what it would have said is found missing. */
static enum dom_code progress_read(struct export_folder *f, uint64_t size, struct dom_err *err) {
  uint8_t record[RECORD_SIZE];
  enum dom_code code = DOM_OK;
  f->progress_at = HEAD_SIZE;
  while (!code && f->progress_at + RECORD_SIZE <= size) {
    struct kept k = {.used = false};
    code = disk_read_full(f->progress, f->progress_at, record, sizeof record, err);
    if (code) break;
    struct reader r = reader_of(slice_of(record, sizeof record));
    get_copy(&r, k.id, sizeof k.id);
    get_copy(&r, k.sha256, sizeof k.sha256);
    k.size = get_u64be(&r);
    uint64_t number = get_u64be(&r);
    k.number = (uint32_t)number;
    if (number > 0 && number <= NUMBER_MAX) code = table_put(f, &k, err);
    f->progress_at += RECORD_SIZE;
  }
  return code;
}

static enum dom_code progress_open(struct export_folder *f, const uint8_t token[TOKEN_SIZE],
                                   struct dom_err *err) {
  uint8_t head[HEAD_SIZE];
  uint64_t size = 0;
  enum dom_code code = check_ours(f->disk, err);
  if (!code) code = disk_open(f->disk, PROGRESS, DISK_READ | DISK_WRITE | DISK_CREATE, &f->progress, err);
  if (!code && disk_lock(f->progress, NULL))
    code = dom_fail(err, DOM_BUSY, where, "another export writes into this folder");
  if (!code) code = disk_size(f->progress, &size, err);
  if (code) return code;
  if (size < HEAD_SIZE) return progress_make(f, token, err);
  code = disk_read_full(f->progress, 0, head, sizeof head, err);
  if (!code && memcmp(head, MAGIC, MAGIC_SIZE) != 0)
    code =
        dom_fail(err, DOM_CORRUPT, where, "its file \"progress\" is none of an export: name another folder");
  if (!code && memcmp(head + MAGIC_SIZE, token, TOKEN_SIZE) != 0)
    code = dom_fail(err, DOM_EXISTS, where, "the folder holds another person's export: name another one");
  return code ? code : progress_read(f, size, err);
}

enum dom_code export_folder_open(struct disk *disk, const uint8_t token[TOKEN_SIZE],
                                 struct export_folder **out, struct dom_err *err) {
  struct export_folder *f = dom_calloc(1, sizeof *f);
  assert(disk && token && out);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  f->disk = disk;
  f->hash = hash_new(HASH_SHA256);
  enum dom_code code = f->hash && table_grow(f) ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  if (!code) code = progress_open(f, token, err);
  if (!code) code = disk_mkdir(disk, "files", err);
  if (!code) code = disk_open(disk, PARTIAL, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f->manifest, err);
  if (code)
    export_folder_close(f);
  else
    *out = f;
  return code;
}

void export_folder_close(struct export_folder *f) {
  if (!f) return;
  disk_close(f->body);
  disk_close(f->manifest);
  disk_close(f->progress);
  buf_done(&f->lines);
  hash_free(f->hash);
  dom_free(f->table);
  dom_free(f);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void name_of(uint32_t number, char out[EXPORT_NAME_SIZE]) {
  assert(number > 0 && number <= NUMBER_MAX);
  snprintf(out, EXPORT_NAME_SIZE, "files/%04u/%08u", number / NUMBERS_A_FOLDER, number);
}

/* DOM_NOT_FOUND: the file is not what was noted. */
static enum dom_code reread(struct export_folder *f, const struct kept *k, struct dom_err *err) {
  char name[EXPORT_NAME_SIZE];
  uint8_t sha256[SHA256_SIZE];
  struct disk_file *file = NULL;
  size_t got = 1;
  AUTO_FREE uint8_t *chunk = dom_alloc(CHUNK);
  name_of(k->number, name);
  enum dom_code code = chunk ? disk_open(f->disk, name, DISK_READ, &file, err)
                             : dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  hash_restart(f->hash);
  for (uint64_t at = 0; !code && got > 0; at += got) {
    code = disk_read(file, at, chunk, CHUNK, &got, err);
    if (!code) hash_update(f->hash, chunk, got);
  }
  disk_close(file);
  hash_final(f->hash, sha256);
  return !code && memcmp(sha256, k->sha256, SHA256_SIZE) != 0 ? DOM_NOT_FOUND : code;
}

enum dom_code export_folder_find(struct export_folder *f, const uint8_t id[SHA256_SIZE], uint64_t size,
                                 struct export_file *out, struct dom_err *err) {
  struct kept *k = slot_of(f->table, f->cap, id);
  assert(out && !f->body);
  if (!k->number || k->size != size) return DOM_NOT_FOUND;
  enum dom_code code = k->used ? DOM_OK : reread(f, k, err);
  if (code) return code;
  k->used = true;
  name_of(k->number, out->name);
  memcpy(out->sha256, k->sha256, SHA256_SIZE);
  return DOM_OK;
}

enum dom_code export_folder_begin(struct export_folder *f, const uint8_t id[SHA256_SIZE], uint64_t size,
                                  struct dom_err *err) {
  char name[EXPORT_NAME_SIZE], folder[EXPORT_NAME_SIZE];
  struct kept *old = slot_of(f->table, f->cap, id);
  disk_close(f->body);
  f->body = NULL;
  if (f->number_last >= NUMBER_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where, "too many bodies for one folder");
  f->now =
      (struct kept){.size = size, .number = old->number ? old->number : f->number_last + 1, .used = true};
  memcpy(f->now.id, id, SHA256_SIZE);
  f->got = 0;
  hash_restart(f->hash);
  name_of(f->now.number, name);
  snprintf(folder, sizeof folder, "files/%04u", f->now.number / NUMBERS_A_FOLDER);
  enum dom_code code = disk_mkdir(f->disk, folder, err);
  return code ? code : disk_open(f->disk, name, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f->body, err);
}

enum dom_code export_folder_add(struct export_folder *f, struct slice bytes, struct dom_err *err) {
  assert(f->body);
  if (bytes.len > f->now.size - f->got)
    return dom_fail(err, DOM_CORRUPT, where, "a body is longer than announced");
  if (bytes.len == 0) return DOM_OK;
  enum dom_code code = disk_write(f->body, f->got, bytes.data, bytes.len, err);
  hash_update(f->hash, bytes.data, bytes.len);
  f->got += bytes.len;
  return code;
}

enum dom_code export_folder_end(struct export_folder *f, const uint8_t *sha256, struct dom_err *err) {
  BUF_AUTO record = BUF_INIT;
  assert(f->body);
  disk_close(f->body);
  f->body = NULL;
  hash_final(f->hash, f->now.sha256);
  if (f->got != f->now.size || (sha256 && memcmp(sha256, f->now.sha256, SHA256_SIZE) != 0))
    return dom_fail(err, DOM_CORRUPT, where, "a body did not come as its home has it: run this again");
  buf_append(&record, f->now.id, SHA256_SIZE);
  buf_append(&record, f->now.sha256, SHA256_SIZE);
  put_u64be(&record, f->now.size);
  put_u64be(&record, f->now.number);
  enum dom_code code = buf_check(&record, err);
  if (!code) code = disk_write(f->progress, f->progress_at, record.data, record.len, err);
  if (code) return code;
  f->progress_at += RECORD_SIZE;
  return table_put(f, &f->now, err);
}

/* ---- manifest -------------------------------------------------------------------------------- */

static enum dom_code lines_write(struct export_folder *f, struct dom_err *err) {
  enum dom_code code = buf_check(&f->lines, err);
  if (!code && f->lines.len) code = disk_write(f->manifest, f->manifest_at, f->lines.data, f->lines.len, err);
  f->manifest_at += f->lines.len;
  buf_reset(&f->lines);
  return code;
}

enum dom_code export_folder_line(struct export_folder *f, struct slice line, struct dom_err *err) {
  assert(f->manifest && slice_find(line, '\n') == line.len);
  buf_append_slice(&f->lines, line);
  buf_append_byte(&f->lines, '\n');
  return f->lines.len < MANIFEST_BYTES && !f->lines.failed ? DOM_OK : lines_write(f, err);
}

static enum dom_code drop(struct disk *disk, const char *name, struct dom_err *err) {
  struct dom_err why = {0};
  enum dom_code code = disk_unlink(disk, name, &why);
  return code && code != DOM_NOT_FOUND ? dom_fail(err, code, where, "%s", why.text) : DOM_OK;
}

/* Bodies of an earlier run that the person has no more, and one that was cut off. */
static enum dom_code drop_unused(struct export_folder *f, struct dom_err *err) {
  char name[EXPORT_NAME_SIZE];
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < f->cap && !code; i++) {
    if (!f->table[i].number || f->table[i].used) continue;
    name_of(f->table[i].number, name);
    code = drop(f->disk, name, err);
  }
  if (code || f->number_last >= NUMBER_MAX) return code;
  name_of(f->number_last + 1, name);
  return drop(f->disk, name, err);
}

enum dom_code export_folder_finish(struct export_folder *f, struct dom_err *err) {
  assert(f->manifest && !f->body);
  enum dom_code code = lines_write(f, err);
  if (!code) code = disk_sync(f->progress, err);
  if (!code) code = disk_sync(f->manifest, err);
  disk_close(f->manifest);
  f->manifest = NULL;
  if (!code) code = disk_rename(f->disk, PARTIAL, WHOLE, err);
  if (!code) code = disk_dir_sync(f->disk, "", err);
  return code ? code : drop_unused(f, err);
}
