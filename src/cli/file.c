/* Small files in and out. */
#include "cli/file.h"
#include <assert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "serve/serve.h"

static bool write_all(int fd, struct slice bytes) {
  while (bytes.len) {
    ssize_t n = write(fd, bytes.data, bytes.len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = slice_cut(bytes, (size_t)n, bytes.len);
  }
  return true;
}

bool cli_file_write(const char *path, struct slice bytes, bool fresh) {
  assert(path && path[0]);
  if (strcmp(path, "-") == 0) return fwrite(bytes.data, 1, bytes.len, stdout) == bytes.len;
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (fresh ? O_EXCL : O_TRUNC), 0644);
  bool good = fd >= 0 && write_all(fd, bytes) && fsync(fd) == 0;
  int why = errno;
  if (fd >= 0) close(fd);
  if (!good) cli_complain("%s: %s", path, strerror(why));
  return good;
}

bool cli_file_read(const char *path, size_t max, struct buf *out) {
  assert(path && out && max > 0);
  struct dom_err err = {0};
  if (serve_file_read(path, false, max, out, &err) == DOM_OK) return true;
  cli_complain("%s", err.text);
  return false;
}
