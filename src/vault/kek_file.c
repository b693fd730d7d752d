/* A single key file of the real file system, read at once and kept in locked memory. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "vault/kek_content.h"

struct kek_file {
  struct vault_kek kek;
  uint64_t id;
  uint8_t *key; /* KEY_SIZE, secret memory */
};

static enum dom_code check_mode(const struct stat *st, const char *path, struct dom_err *err) {
  if ((st->st_mode & (S_IRWXG | S_IRWXO)) == 0) return DOM_OK;
  return dom_fail(err, DOM_DENIED, "vault/kek: permissions",
                  "%s is open to group or others (mode %04o); chmod %s", path,
                  (unsigned)(st->st_mode & 07777), S_ISDIR(st->st_mode) ? "0700" : "0600");
}

enum dom_code kek_path_check(const char *path, struct dom_err *err) {
  assert(path);
  struct stat st;
  if (stat(path, &st) != 0) return dom_fail_errno(err, errno, "vault/kek: permissions", path);
  return check_mode(&st, path, err);
}

static enum dom_code file_current(struct vault_kek *k, uint64_t *out_id, struct dom_err *err) {
  (void)err;
  *out_id = ((struct kek_file *)k)->id;
  return DOM_OK;
}

static enum dom_code file_read(struct vault_kek *k, uint64_t id, uint8_t out_key[KEY_SIZE],
                               struct dom_err *err) {
  const struct kek_file *f = (struct kek_file *)k;
  if (id != f->id) return dom_fail(err, DOM_NOT_FOUND, "vault/kek: read", "the key file holds another KEK");
  memcpy(out_key, f->key, KEY_SIZE);
  return DOM_OK;
}

static enum dom_code file_list(struct vault_kek *k, bool (*fn)(void *arg, uint64_t id), void *arg,
                               struct dom_err *err) {
  (void)err;
  fn(arg, ((struct kek_file *)k)->id);
  return DOM_OK;
}

static enum dom_code file_create(struct vault_kek *k, uint64_t *out_id, struct dom_err *err) {
  assert(k && out_id);
  return dom_fail(err, DOM_INCOMPATIBLE, "vault/kek: create",
                  "a single key file cannot be rotated; use a folder of keys");
}

static enum dom_code file_destroy(struct vault_kek *k, uint64_t id, struct dom_err *err) {
  assert(id != ((struct kek_file *)k)->id);
  (void)err;
  return DOM_OK; /* it holds no other */
}

static void file_close(struct vault_kek *k) {
  struct kek_file *f = (struct kek_file *)k;
  secret_free(f->key, KEY_SIZE);
  dom_free(f);
}

static const struct vault_kek_ops FILE_OPS = {.current = file_current,
                                              .read = file_read,
                                              .list = file_list,
                                              .create = file_create,
                                              .destroy = file_destroy,
                                              .close = file_close};

/* Mode and content of one open descriptor, so that what was checked is what is read. */
static enum dom_code read_private(const char *path, uint8_t out_key[KEY_SIZE], struct dom_err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return dom_fail_errno(err, errno, "vault/kek: open", path);
  struct stat st;
  uint8_t content[KEK_CONTENT_MAX];
  ssize_t len = -1;
  enum dom_code code =
      fstat(fd, &st) == 0 ? check_mode(&st, path, err) : dom_fail_errno(err, errno, "vault/kek: open", path);
  if (code == DOM_OK) {
    len = read(fd, content, sizeof content);
    code = len < 0 ? dom_fail_errno(err, errno, "vault/kek: read", path)
                   : kek_content_parse(slice_of(content, (size_t)len), out_key, err);
  }
  close(fd);
  wipe(content, sizeof content);
  return code;
}

enum dom_code vault_kek_file_open(const char *path, struct vault_kek **out, struct dom_err *err) {
  assert(path && out);
  struct kek_file *f = dom_calloc(1, sizeof *f);
  if (f) f->key = secret_alloc(KEY_SIZE);
  if (!f || !f->key) {
    dom_free(f);
    return dom_fail(err, DOM_NO_MEMORY, "vault/kek: open", "no memory");
  }
  f->kek.ops = &FILE_OPS;
  enum dom_code code = read_private(path, f->key, err);
  if (code != DOM_OK) {
    file_close(&f->kek);
    return code;
  }
  f->id = vault_kek_id_of(f->key);
  *out = &f->kek;
  return DOM_OK;
}
