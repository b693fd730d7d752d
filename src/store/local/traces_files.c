/* The raw half of a search for traces: every byte of every file, without asking what it means. */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "store/local/traces.h"

enum { PATH_BYTES = 512, DEPTH_MAX = 8, TOKEN_GUISES_MAX = 3 };
static const char where[] = "store/traces: files";

struct files {
  struct traces *t;
  struct disk *disk;
  struct scan *scan;
  size_t guises;   /* needles that are the token itself */
  uint8_t *window; /* SCAN_WINDOW + SCAN_NEEDLE_MAX bytes */
  const char *path;
  uint64_t done;
  struct dom_err *err;
};

/* A token in the head of a log record stands there in clear as long as the segment does; whether the record
 * can be read, the walk through the log has said. */
static void hit(void *arg, size_t needle, uint64_t offset) {
  const struct files *f = arg;
  bool in_log = strncmp(f->path, "log/", 4) == 0;
  if (needle >= f->guises)
    traces_note(f->t, TRACE_NEEDLE, "%s at %llu (needle %zu)", f->path, (unsigned long long)offset,
                needle - f->guises + 1);
  else
    traces_note(f->t, in_log && needle == 0 && !*f->t->alive ? TRACE_LOG_BYTES : TRACE_BYTES, "%s at %llu",
                f->path, (unsigned long long)offset);
}

static enum dom_code scan_file(struct files *f, struct dom_err *err) {
  struct disk_file *file = NULL;
  size_t len = 0;
  uint64_t size = 0, at = 0;
  enum dom_code code = disk_open(f->disk, f->path, DISK_READ, &file, err);
  if (code == DOM_OK) code = disk_size(file, &size, err);
  while (code == DOM_OK && at < size) {
    code = disk_read(file, at, f->window, SCAN_WINDOW + SCAN_NEEDLE_MAX, &len, err);
    if (code != DOM_OK || len == 0) break;
    size_t starts = len < SCAN_WINDOW ? len : SCAN_WINDOW;
    scan_bytes(f->scan, slice_of(f->window, len), starts, at, hit, f);
    at += starts;
    f->done += starts;
    f->t->report.bytes += starts;
    traces_progress(f->t, "bytes of files", f->done, 0);
  }
  disk_close(file);
  if (code == DOM_OK) f->t->report.files++;
  return code;
}

struct level {
  struct files *f;
  const char *folder;
  unsigned depth;
  enum dom_code code;
};

static enum dom_code scan_folder(struct files *f, const char *folder, unsigned depth);

static bool scan_name(void *arg, const char *name, bool is_dir) {
  struct level *l = arg;
  char path[PATH_BYTES];
  int n = snprintf(path, sizeof path, "%s%s%s", l->folder, l->folder[0] ? "/" : "", name);
  if (n < 0 || (size_t)n >= sizeof path || l->depth == DEPTH_MAX) {
    l->code =
        dom_fail(l->f->err, DOM_TOO_LARGE, where, "a path in the data folder is too deep: %s", l->folder);
  } else if (is_dir) {
    l->code = scan_folder(l->f, path, l->depth + 1);
  } else if (strcmp(path, "admin.sock") != 0) { /* a socket holds nothing */
    l->f->path = path;
    l->code = scan_file(l->f, l->f->err);
  }
  return l->code == DOM_OK;
}

static enum dom_code scan_folder(struct files *f, const char *folder, unsigned depth) {
  struct level l = {.f = f, .folder = folder, .depth = depth};
  enum dom_code code = disk_list(f->disk, folder, scan_name, &l, f->err);
  return code != DOM_OK ? code : l.code;
}

/* The token as it is, then in hex of both cases, unless it has no letters. */
static size_t guises_gather(const uint8_t *token, struct buf *hex, struct slice out[TOKEN_GUISES_MAX]) {
  enum { DIGITS = 2 * TOKEN_SIZE };
  if (!token) return 0;
  hex_encode(hex, slice_of(token, TOKEN_SIZE));
  for (size_t i = 0; i < DIGITS; i++) {
    uint8_t c = hex->failed ? 0 : hex->data[i];
    buf_append_byte(hex, c >= 'a' ? (uint8_t)(c - 'a' + 'A') : c);
  }
  if (hex->failed) return 0;
  out[0] = slice_of(token, TOKEN_SIZE);
  out[1] = slice_of(hex->data, DIGITS);
  out[2] = slice_of(hex->data + DIGITS, DIGITS);
  return slice_equal(out[1], out[2]) ? 2 : 3;
}

enum dom_code traces_scan_files(struct traces *t, struct dom_err *err) {
  BUF_AUTO hex = BUF_INIT;
  const struct store_traces_options *o = t->o;
  AUTO_FREE void *room = dom_calloc(o->needle_count + TOKEN_GUISES_MAX, sizeof(struct slice));
  AUTO_FREE uint8_t *window = dom_alloc(SCAN_WINDOW + SCAN_NEEDLE_MAX);
  struct slice *needles = room;
  struct files f = {.t = t, .disk = o->store.disk, .window = window, .err = err};
  if (needles) f.guises = guises_gather(o->token, &hex, needles);
  for (size_t i = 0; needles && i < o->needle_count; i++) needles[f.guises + i] = o->needles[i];
  f.scan = needles && window && !hex.failed ? scan_new(needles, f.guises + o->needle_count) : NULL;
  if (!f.scan) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  enum dom_code code = scan_folder(&f, "", 0);
  scan_free(f.scan);
  return code;
}
