#include "lib/disk_copy.h"

#include <assert.h>
#include <stdio.h>

enum { CHUNK_BYTES = 64 << 10, PATH_BYTES = 256 /* paths of a store are short */ };

struct copying {
  struct disk *from, *to;
  const char *folder;
};

static void good(enum dom_code code) {
  assert(code == DOM_OK);
  (void)code;
}

static void copy_file(struct disk *from, struct disk *to, const char *path) {
  struct disk_file *in = NULL, *out = NULL;
  uint64_t size = 0;
  static uint8_t chunk[CHUNK_BYTES];
  good(disk_open(from, path, DISK_READ, &in, NULL));
  good(disk_open(to, path, DISK_READ | DISK_WRITE | DISK_CREATE, &out, NULL));
  good(disk_size(in, &size, NULL));
  for (uint64_t at = 0; at < size;) {
    size_t got = 0;
    good(disk_read(in, at, chunk, sizeof chunk, &got, NULL));
    assert(got > 0);
    good(disk_write(out, at, chunk, got, NULL));
    at += got;
  }
  good(disk_sync(out, NULL));
  disk_close(in);
  disk_close(out);
}

static void copy_folder(struct disk *from, struct disk *to, const char *folder);

static bool copy_name(void *arg, const char *name, bool is_dir) {
  const struct copying *c = arg;
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s%s%s", c->folder, c->folder[0] ? "/" : "", name);
  if (is_dir) {
    good(disk_mkdir(c->to, path, NULL));
    copy_folder(c->from, c->to, path);
  } else {
    copy_file(c->from, c->to, path);
  }
  return true;
}

static void copy_folder(struct disk *from, struct disk *to, const char *folder) {
  struct copying c = {from, to, folder};
  good(disk_list(from, folder, copy_name, &c, NULL));
  good(disk_dir_sync(to, folder, NULL));
}

void disk_copy(struct disk *from, struct disk *to) {
  copy_folder(from, to, "");
}
