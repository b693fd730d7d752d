/* Secrets and other small files that lie outside the data folder. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "charter/charter.h"
#include "serve/serve.h"

enum { SECRET_BYTES = 32, SECRET_FILE_MAX = 4096 };

static void close_fd(const int *fd) {
  if (*fd >= 0) close(*fd);
}
#define FD_AUTO __attribute__((cleanup(close_fd))) int

static enum dom_code check_file(int fd, const char *path, bool secret, size_t max, struct dom_err *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) return dom_fail_errno(err, errno, "serve/file: read", path);
  if (!S_ISREG(st.st_mode)) return dom_fail(err, DOM_INVALID, "serve/file: read", "%s is no file", path);
  if (secret && (st.st_mode & 077))
    return dom_fail(err, DOM_DENIED, "serve/file: read",
                    "%s holds a secret but group or others have access: chmod 600 it", path);
  if ((uint64_t)st.st_size > max)
    return dom_fail(err, DOM_TOO_LARGE, "serve/file: read", "%s is larger than %zu bytes", path, max);
  return DOM_OK;
}

enum dom_code serve_file_read(const char *path, bool secret, size_t max, struct buf *out,
                              struct dom_err *err) {
  assert(path && out && max > 0);
  FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return dom_fail_errno(err, errno, "serve/file: read", path);
  enum dom_code code = check_file(fd, path, secret, max, err);
  if (code) return code;
  uint8_t chunk[4096];
  for (size_t total = 0;;) {
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) code = dom_fail_errno(err, errno, "serve/file: read", path);
    if (got > 0 && (total += (size_t)got) > max)
      code = dom_fail(err, DOM_TOO_LARGE, "serve/file: read", "%s is larger than %zu bytes", path, max);
    if (got <= 0 || code) break;
    buf_append(out, chunk, (size_t)got);
  }
  wipe(chunk, sizeof chunk);
  return code ? code : buf_check(out, err);
}

static struct slice trim(struct slice s) {
  while (s.len && (s.data[s.len - 1] == '\n' || s.data[s.len - 1] == '\r' || s.data[s.len - 1] == ' '))
    s.len--;
  return s;
}

static bool decode_hex(struct slice text, uint8_t out[SECRET_BYTES]) {
  uint8_t key[SECRET_BYTES];
  size_t len = 0;
  bool good = text.len == 2 * SECRET_BYTES && hex_decode(text, key, sizeof key, &len) == DOM_OK &&
              len == SECRET_BYTES;
  if (good) memcpy(out, key, sizeof key);
  wipe(key, sizeof key);
  return good;
}

enum dom_code serve_secret_read(const char *path, uint8_t out[32], struct dom_err *err) {
  struct buf bytes = BUF_INIT;
  enum dom_code code = serve_file_read(path, true, SECRET_FILE_MAX, &bytes, err);
  if (!code) {
    if (bytes.len == SECRET_BYTES)
      memcpy(out, bytes.data, SECRET_BYTES);
    else if (!decode_hex(trim(buf_slice(&bytes)), out))
      code =
          dom_fail(err, DOM_INVALID, "serve/file: key", "%s must hold 32 raw bytes or 64 hex digits", path);
  }
  buf_wipe_done(&bytes);
  return code;
}

static enum dom_code write_new(int fd, const char *path, struct slice text, struct dom_err *err) {
  ssize_t n = write(fd, text.data, text.len);
  if (n < 0) return dom_fail_errno(err, errno, "serve/file: create", path);
  if ((size_t)n != text.len)
    return dom_fail(err, DOM_NO_SPACE, "serve/file: create", "%s: short write", path);
  if (fsync(fd) != 0) return dom_fail_errno(err, errno, "serve/file: create", path);
  return DOM_OK;
}

/* The name of a new file is durable after its folder was synced. */
static enum dom_code sync_parent(const char *path, struct dom_err *err) {
  char parent[4096];
  int n = snprintf(parent, sizeof parent, "%s", path);
  if (n < 0 || (size_t)n >= sizeof parent)
    return dom_fail(err, DOM_TOO_LARGE, "serve/file: create", "path too long");
  char *slash = strrchr(parent, '/');
  if (slash) slash[slash == parent ? 1 : 0] = 0;
  FD_AUTO fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) return dom_fail_errno(err, errno, "serve/file: create", path);
  return DOM_OK;
}

enum dom_code serve_secret_write(const char *path, struct slice text, struct dom_err *err) {
  assert(path && text.len > 0);
  FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return dom_fail_errno(err, errno, "serve/file: create", path);
  enum dom_code code = write_new(fd, path, text, err);
  if (!code) code = sync_parent(path, err);
  if (code) unlink(path);
  return code;
}

enum dom_code serve_secret_create(const char *path, uint8_t out[32], struct dom_err *err) {
  assert(path && out);
  uint8_t key[SECRET_BYTES];
  random_bytes(key, sizeof key);
  struct buf text = BUF_INIT;
  hex_encode(&text, slice_of(key, sizeof key));
  buf_append_byte(&text, '\n');
  enum dom_code code = buf_check(&text, err);
  if (!code) code = serve_secret_write(path, buf_slice(&text), err);
  if (!code) memcpy(out, key, sizeof key);
  wipe(key, sizeof key);
  buf_wipe_done(&text);
  return code;
}

enum dom_code serve_public_read(const char *path, uint8_t out[32], struct dom_err *err) {
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = serve_file_read(path, false, SECRET_FILE_MAX, &bytes, err);
  if (code) return code;
  struct slice text = trim(buf_slice(&bytes));
  if (decode_hex(text, out)) return DOM_OK;
  struct charter_vkey vkey;
  code = charter_vkey_parse(text, &vkey, NULL);
  if (code)
    return dom_fail(err, DOM_INVALID, "serve/file: key", "%s must hold 64 hex digits or a verifier key",
                    path);
  memcpy(out, vkey.public_key, SECRET_BYTES);
  return DOM_OK;
}
