/* A folder of KEKs: files kek-<id>, and `current` that names one of them. */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "vault/folder.h"
#include "vault/kek_content.h"
#include "vault/kek_folder.h"
#include "vault/wrap.h"

enum { CURRENT_CONTENT_MAX = 64 /* a name and a line end */ };

static struct kek_folder *folder_of(struct vault_kek *k) {
  return (struct kek_folder *)k;
}

void kek_folder_path(const struct kek_folder *f, const char *name, char out[KEK_PATH_SIZE]) {
  int n = snprintf(out, KEK_PATH_SIZE, "%s%s%s", f->folder, f->folder[0] ? "/" : "", name);
  assert(n > 0 && n < KEK_PATH_SIZE);
  (void)n;
}

void kek_folder_name(uint64_t id, char out[KEK_NAME_SIZE]) {
  char hex[VAULT_KEK_NAME_SIZE];
  vault_kek_name(id, hex);
  snprintf(out, KEK_NAME_SIZE, KEK_NAME_PREFIX "%s", hex);
}

/* The id in kek-<16 hex digits>; false for any other name. */
static bool parse_name(struct slice name, uint64_t *out_id) {
  uint8_t bytes[8];
  size_t len = 0;
  struct slice prefix = SLICE_LIT(KEK_NAME_PREFIX);
  if (name.len != KEK_NAME_SIZE - 1 || !slice_starts_with(name, prefix)) return false;
  if (hex_decode(slice_cut(name, prefix.len, name.len), bytes, sizeof bytes, &len) != DOM_OK) return false;
  *out_id = load_u64be(bytes);
  return len == sizeof bytes;
}

static enum dom_code folder_current(struct vault_kek *k, uint64_t *out_id, struct dom_err *err) {
  assert(out_id);
  char path[KEK_PATH_SIZE];
  kek_folder_path(folder_of(k), "current", path);
  BUF_AUTO content = BUF_INIT;
  enum dom_code code = disk_read_file(folder_of(k)->disk, path, CURRENT_CONTENT_MAX, &content, err);
  if (code != DOM_OK) return code;
  struct slice name = buf_slice(&content);
  while (name.len > 0 && name.data[name.len - 1] == '\n') name.len--;
  if (parse_name(name, out_id)) return DOM_OK;
  return dom_fail(err, DOM_INVALID, "vault/kek: current",
                  "the file `current` of the key folder must hold kek- and 16 hex digits");
}

enum dom_code kek_folder_content_open(const struct kek_folder *f, uint64_t id, struct slice content,
                                      uint8_t out_key[KEY_SIZE], struct dom_err *err) {
  uint8_t key[KEY_SIZE];
  bool wrapped = wrap_content_is(content);
  enum dom_code code = DOM_OK;
  if (wrapped && !f->wrap)
    return dom_fail(
        err, DOM_INVALID, "vault/kek: read",
        "the KEK is wrapped by a key of a PKCS#11 token: say which one (--kek pkcs11:…, or kek in "
        "the config)");
  if (!wrapped && f->wrap)
    return dom_fail(err, DOM_INVALID, "vault/kek: read",
                    "the KEK is not wrapped, though a wrapping key is named: wrap it first (domicile key "
                    "rewrap --to pkcs11:…), or name none");
  code =
      wrapped ? f->wrap->ops->unwrap(f->wrap, id, content, key, err) : kek_content_parse(content, key, err);
  if (code == DOM_OK && vault_kek_id_of(key) != id)
    code = dom_fail(err, DOM_CORRUPT, "vault/kek: read", "a KEK file holds another key than its name says");
  if (code == DOM_OK) memcpy(out_key, key, KEY_SIZE);
  wipe(key, sizeof key);
  return code;
}

enum dom_code kek_folder_content_make(const struct kek_folder *f, uint64_t id, const uint8_t key[KEY_SIZE],
                                      struct buf *out, struct dom_err *err) {
  assert(vault_kek_id_of(key) == id);
  if (f->wrap) return f->wrap->ops->wrap(f->wrap, id, key, out, err);
  hex_encode(out, slice_of(key, KEY_SIZE));
  buf_append_byte(out, '\n');
  return buf_check(out, err);
}

static enum dom_code folder_read(struct vault_kek *k, uint64_t id, uint8_t out_key[KEY_SIZE],
                                 struct dom_err *err) {
  char name[KEK_NAME_SIZE], path[KEK_PATH_SIZE];
  kek_folder_name(id, name);
  kek_folder_path(folder_of(k), name, path);
  struct buf content = BUF_INIT;
  enum dom_code code = disk_read_file(folder_of(k)->disk, path, KEK_CONTENT_MAX, &content, err);
  if (code == DOM_OK) code = kek_folder_content_open(folder_of(k), id, buf_slice(&content), out_key, err);
  buf_wipe_done(&content);
  return code;
}

struct listing {
  bool (*fn)(void *arg, uint64_t id);
  void *arg;
};

static bool list_one(void *arg, const char *name, bool is_dir) {
  const struct listing *l = arg;
  uint64_t id = 0;
  if (is_dir || !parse_name(slice_str(name), &id)) return true;
  return l->fn(l->arg, id);
}

static enum dom_code folder_list(struct vault_kek *k, bool (*fn)(void *arg, uint64_t id), void *arg,
                                 struct dom_err *err) {
  assert(fn);
  struct listing l = {.fn = fn, .arg = arg};
  return disk_list(folder_of(k)->disk, folder_of(k)->folder, list_one, &l, err);
}

/* The key file is durable, folder entry included, before `current` names it. */
static enum dom_code write_key(struct kek_folder *f, uint64_t id, const uint8_t key[KEY_SIZE],
                               struct dom_err *err) {
  struct buf text = BUF_INIT;
  char name[KEK_NAME_SIZE], path[KEK_PATH_SIZE];
  kek_folder_name(id, name);
  kek_folder_path(f, name, path);
  struct disk_file *file = NULL;
  enum dom_code code = kek_folder_content_make(f, id, key, &text, err);
  if (code == DOM_OK) {
    code = disk_open(f->disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file, err);
  }
  if (code == DOM_OK) code = disk_write(file, 0, text.data, text.len, err);
  if (code == DOM_OK) code = disk_sync(file, err);
  disk_close(file);
  if (code == DOM_OK) code = disk_dir_sync(f->disk, f->folder, err);
  kek_folder_path(f, "current", path);
  buf_wipe_done(&text);
  buf_append_str(&text, name);
  buf_append_byte(&text, '\n');
  if (code == DOM_OK) code = buf_check(&text, err);
  if (code == DOM_OK) code = disk_replace_file(f->disk, path, buf_slice(&text), err);
  buf_done(&text);
  return code;
}

static enum dom_code folder_create(struct vault_kek *k, uint64_t *out_id, struct dom_err *err) {
  assert(out_id);
  uint8_t key[KEY_SIZE];
  random_bytes(key, sizeof key);
  uint64_t id = vault_kek_id_of(key);
  enum dom_code code = write_key(folder_of(k), id, key, err);
  wipe(key, sizeof key);
  if (code == DOM_OK) *out_id = id;
  return code;
}

static enum dom_code folder_destroy(struct vault_kek *k, uint64_t id, struct dom_err *err) {
  struct kek_folder *f = folder_of(k);
  char name[KEK_NAME_SIZE], path[KEK_PATH_SIZE];
  kek_folder_name(id, name);
  kek_folder_path(f, name, path);
  uint64_t current = 0;
  enum dom_code code = folder_current(k, &current, err);
  if (code == DOM_OK && current == id) {
    code = dom_fail(err, DOM_BUSY, "vault/kek: destroy", "%s is the current KEK", name);
  }
  if (code != DOM_OK) return code;
  struct disk_file *file = NULL;
  struct dom_err absent = {0};
  code = disk_open(f->disk, path, DISK_READ | DISK_WRITE, &file, &absent);
  if (code == DOM_NOT_FOUND) return disk_dir_sync(f->disk, f->folder, err);
  if (code != DOM_OK) {
    if (err && err->code == DOM_OK) *err = absent;
    return code;
  }
  static const uint8_t zeros[KEK_CONTENT_MAX] = {0};
  uint64_t size = 0;
  code = disk_size(file, &size, err);
  if (size > sizeof zeros) size = sizeof zeros;
  if (code == DOM_OK) code = disk_write(file, 0, zeros, (size_t)size, err);
  if (code == DOM_OK) code = disk_sync(file, err);
  disk_close(file);
  if (code == DOM_OK) code = disk_unlink(f->disk, path, err);
  if (code == DOM_OK) code = disk_dir_sync(f->disk, f->folder, err);
  return code;
}

static void folder_close(struct vault_kek *k) {
  dom_free(k);
}

static const struct vault_kek_ops FOLDER_OPS = {.current = folder_current,
                                                .read = folder_read,
                                                .list = folder_list,
                                                .create = folder_create,
                                                .destroy = folder_destroy,
                                                .close = folder_close};

struct mode_check {
  const char *path;
  enum dom_code code;
  struct dom_err *err;
};

static bool check_one_mode(void *arg, uint64_t id) {
  struct mode_check *c = arg;
  char name[KEK_NAME_SIZE];
  kek_folder_name(id, name);
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s/%s", c->path, name);
  c->code = buf_check(&path, c->err);
  if (c->code == DOM_OK) c->code = kek_path_check(buf_str(&path), c->err);
  return c->code == DOM_OK;
}

/* The folder itself and every key file in it are closed to group and others. */
static enum dom_code check_modes(struct kek_folder *f, const char *path, struct dom_err *err) {
  struct mode_check c = {.path = path, .code = kek_path_check(path, err), .err = err};
  if (c.code != DOM_OK) return c.code;
  enum dom_code code = folder_list(&f->kek, check_one_mode, &c, err);
  return code != DOM_OK ? code : c.code;
}

static enum dom_code open_folder(struct kek_folder *f, const char *private_path, bool create,
                                 struct dom_err *err) {
  enum dom_code code = create ? folder_make(f->disk, f->folder, err) : DOM_OK;
  if (code == DOM_OK && private_path) code = check_modes(f, private_path, err);
  if (code != DOM_OK) return code;
  char path[KEK_PATH_SIZE];
  kek_folder_path(f, "current", path);
  struct disk_info info;
  struct dom_err absent = {0};
  code = disk_stat(f->disk, path, &info, &absent);
  uint64_t id = 0;
  if (code == DOM_NOT_FOUND && create) return folder_create(&f->kek, &id, err);
  if (code != DOM_OK)
    return dom_fail(err, code, "vault/kek: open", "no KEK in the key folder: %s", absent.text);
  uint8_t key[KEY_SIZE];
  code = folder_current(&f->kek, &id, err);
  /* A wrapped one is unwrapped once, when the vault takes it. */
  if (code == DOM_OK && !f->wrap) code = folder_read(&f->kek, id, key, err);
  wipe(key, sizeof key);
  return code;
}

enum dom_code vault_kek_folder_open(struct disk *disk, const char *folder, const char *private_path,
                                    bool create, struct vault_kek **out, struct dom_err *err) {
  return vault_kek_wrapped_open(disk, folder, private_path, create, NULL, out, err);
}

enum dom_code vault_kek_wrapped_open(struct disk *disk, const char *folder, const char *private_path,
                                     bool create, struct vault_wrap *wrap, struct vault_kek **out,
                                     struct dom_err *err) {
  assert(disk && folder && out);
  if (strlen(folder) > FOLDER_PATH_MAX) {
    return dom_fail(err, DOM_TOO_LARGE, "vault/kek: open", "the key folder's name is too long");
  }
  struct kek_folder *f = dom_calloc(1, sizeof *f);
  if (!f) return dom_fail(err, DOM_NO_MEMORY, "vault/kek: open", "no memory");
  f->kek.ops = &FOLDER_OPS;
  f->disk = disk;
  f->wrap = wrap;
  memcpy(f->folder, folder, strlen(folder) + 1);
  enum dom_code code = open_folder(f, private_path, create, err);
  if (code != DOM_OK) {
    dom_free(f);
    return code;
  }
  *out = &f->kek;
  return DOM_OK;
}
