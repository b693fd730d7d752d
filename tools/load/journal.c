#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

/* A sync after so many records or so long, whichever comes first. */
#define SYNC_RECORDS 512
#define SYNC_NS      UINT64_C(200000000)

bool journal_open(struct journal *j, const char *path) {
  assert(j != NULL && path != NULL);
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    load_complain("%s: %s", path, strerror(errno));
    return false;
  }
  *j = (struct journal){.fd = fd, .synced_ns = clock_mono_ns(clock_posix())};
  int code = pthread_mutex_init(&j->lock, NULL);
  assert(code == 0);
  return true;
}

static void sync_batch(struct journal *j) {
  assert(j->fd >= 0);
  uint64_t now = clock_mono_ns(clock_posix());
  if (j->unsynced < SYNC_RECORDS && now - j->synced_ns < SYNC_NS) return;
  if (fdatasync(j->fd) != 0) j->failed = true;
  j->unsynced = 0;
  j->synced_ns = now;
}

bool journal_write(struct journal *j, const struct record *r) {
  assert(j != NULL && j->fd >= 0);
  BUF_AUTO line = BUF_INIT;
  record_print(r, &line);
  pthread_mutex_lock(&j->lock);
  /* A short write would tear the line, so it counts as a failure, like none at all. */
  bool ok = !line.failed && write(j->fd, line.data, line.len) == (ssize_t)line.len;
  if (!ok) j->failed = true;
  j->unsynced++;
  sync_batch(j);
  pthread_mutex_unlock(&j->lock);
  return ok;
}

bool journal_close(struct journal *j) {
  assert(j != NULL && j->fd >= 0);
  bool ok = !j->failed && fdatasync(j->fd) == 0;
  close(j->fd);
  j->fd = -1;
  pthread_mutex_destroy(&j->lock);
  if (!ok) load_complain("the journal could not be written whole");
  return ok;
}
