/* scan: searches all files below folders, and the files' names, for needles. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "flags.h"
#include "load.h"
#include "needles.h"
#include "table.h"

/* Bytes read at a time. */
#define PIECE_BYTES ((size_t)1 << 20)
/* Hits that are named; the rest is counted. */
#define NAMED_MAX 100
/* Descriptors that nftw may hold open. */
#define WALK_FDS 16

/* nftw gives its callback no context; a scan is one thread. */
static struct scan {
  struct haystack haystack;
  uint8_t *piece;   /* PIECE_BYTES and the longest needle */
  const char *path; /* of the file being searched */
  uint64_t files, bytes, hits, vanished;
  bool failed;
} scan;

static void on_hit(void *context, const struct needle *needle, uint64_t offset) {
  const char *where = context;
  assert(needle != NULL && where != NULL);
  if (scan.hits++ >= NAMED_MAX) return;
  printf("hit: %s: %s %s %llu\n", needle->label, scan.path, where, (unsigned long long)offset);
}

/* Searches piece after piece; the tail in which a longer needle may have begun is kept for the
 * next. Returns: false when reading failed. */
static bool search_file(int fd) {
  size_t keep = scan.haystack.longest, held = 0;
  uint64_t offset = 0; /* of the piece's first byte */
  assert(fd >= 0 && scan.piece != NULL);
  for (;;) {
    ssize_t got = read(fd, scan.piece + held, PIECE_BYTES);
    if (got < 0) return errno == EINTR && !atomic_load(&load_stop);
    held += (size_t)got;
    scan.bytes += (uint64_t)got;
    bool last = got == 0;
    size_t limit = last ? held : held > keep ? held - keep : 0;
    haystack_search(&scan.haystack, slice_of(scan.piece, held), limit, offset, on_hit, (void *)"offset");
    if (last) return true;
    memmove(scan.piece, scan.piece + limit, held - limit);
    held -= limit;
    offset += limit;
  }
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)st;
  assert(path != NULL && where != NULL);
  if (atomic_load(&load_stop)) return 1;
  scan.path = path;
  struct slice name = slice_str(path + where->base);
  haystack_search(&scan.haystack, name, name.len, 0, on_hit, (void *)"in its name at");
  if (type == FTW_DNR || type == FTW_NS) {
    load_complain("%s: cannot be read", path);
    scan.failed = true;
  }
  if (type != FTW_F || !S_ISREG(st->st_mode)) return 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) { /* a running store removes files as it compacts */
    scan.vanished++;
    return 0;
  }
  scan.files++;
  if (fd < 0 || !search_file(fd)) {
    load_complain("%s: %s", path, strerror(errno));
    scan.failed = true;
  }
  if (fd >= 0) close(fd);
  return 0;
}

static int scan_folders(const struct flag_list *folders) {
  scan.piece = dom_alloc(PIECE_BYTES + scan.haystack.longest + 1);
  if (scan.piece == NULL) return load_complain("out of memory");
  uint64_t start = clock_mono_ns(clock_posix());
  for (size_t i = 0; i < folders->count; i++) {
    int walked = nftw(folders->values[i], visit, WALK_FDS, FTW_PHYS);
    assert(walked <= 1);
    if (walked < 0) return load_complain("%s: %s", folders->values[i], strerror(errno));
    if (walked > 0) return LOAD_INTERRUPTED;
  }
  double seconds = (double)(clock_mono_ns(clock_posix()) - start) / 1e9;
  printf("scanned %llu files, %.1f MB, for %zu needles in %.1f s: hits %llu", (unsigned long long)scan.files,
         (double)scan.bytes / 1e6, scan.haystack.count, seconds, (unsigned long long)scan.hits);
  if (scan.vanished > 0) printf(", %llu files vanished meanwhile", (unsigned long long)scan.vanished);
  printf("\n");
  if (scan.failed) return LOAD_FAILED;
  return scan.hits > 0 ? LOAD_MISMATCH : LOAD_OK;
}

int cmd_scan(int argc, char **argv) {
  struct flag_list files = {0}, folders = {0};
  const struct flag flags[] = {
      {"--needles", "FILE", "lines of LABEL, tab, hex; repeat", FLAG_LIST, true, &files}, {0}};
  const struct flag_set set = {"scan", "Searches all files below folders, and their names, for needles.",
                               "DIR...", flags};
  int code = flags_parse(&set, argc, argv, &folders);
  if (code >= 0) return code;
  if (folders.count == 0) return flags_complain(&set, "no folder to scan");
  struct buf texts[FLAGS_LIST_MAX] = {0};
  code = LOAD_OK;
  for (size_t i = 0; code == LOAD_OK && i < files.count; i++) {
    bool ok =
        table_read(files.values[i], &texts[i]) && haystack_add(&scan.haystack, files.values[i], &texts[i]);
    if (!ok) code = LOAD_FAILED;
  }
  if (code == LOAD_OK && scan.haystack.count == 0) code = load_complain("there are no needles");
  if (code == LOAD_OK && !haystack_build(&scan.haystack)) code = load_complain("out of memory");
  if (code == LOAD_OK) code = scan_folders(&folders);
  haystack_done(&scan.haystack);
  dom_free(scan.piece);
  for (size_t i = 0; i < FLAGS_LIST_MAX; i++) buf_done(&texts[i]);
  return code;
}
