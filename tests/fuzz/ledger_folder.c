/* `domicile verify` over a whole ledger that somebody has tampered with. The input says what to do to
 * the files of a good one, a line each:
 *   x FILE OFFSET VALUE   change one byte      t FILE LENGTH   cut off
 *   a FILE VALUE          add one byte         r FILE          remove
 *   c FILE FILE           copy over            n NAME          a new empty file
 * Unless every file that counts is what it was, the verdict is not "verified". */
#include "fuzz.h"

#include "domicile/verify.h"
#include "ledger/ledger.h"

enum { FILES_MAX = 64, PATH_MAX_BYTES = 128, ENTRIES = 20 };

struct file {
  char path[PATH_MAX_BYTES];
  struct buf bytes;
};
struct folder {
  struct file files[FILES_MAX];
  size_t count;
};

static const uint8_t seed[ED25519_KEY_SIZE] = {1, 2, 3};
#define ORIGIN "example.org/fuzz/in"

/* ---- a good ledger ---- */

static void append(struct ledger *ledger, size_t first, size_t count) {
  struct ledger_item items[ENTRIES];
  for (size_t i = 0; i < count; i++) {
    struct ledger_entry entry = {.type = LEDGER_SUBJECT_HOMED, .region = 4, .epoch = first + i + 1};
    entry.time_ms = LEDGER_TIME_STEP_MS * (first + i);
    entry.commit[0] = (uint8_t)(first + i);
    ledger_entry_encode(&entry, items[i].entry);
    items[i].cursor = first + i + 1;
  }
  assert(ledger_append(ledger, items, count, NULL) == DOM_OK);
}

struct loading {
  struct folder *to;
  struct disk *disk;
  char below[PATH_MAX_BYTES]; /* "" or "tile/" */
};

static void path_join(char out[PATH_MAX_BYTES], const char *a, const char *b, const char *c) {
  BUF_AUTO text = BUF_INIT;
  buf_printf(&text, "%s%s%s", a, b, c);
  assert(!text.failed && text.len < PATH_MAX_BYTES);
  memcpy(out, buf_str(&text), text.len + 1);
}

static bool load(void *arg, const char *name, bool is_dir) {
  struct loading *l = arg;
  char path[PATH_MAX_BYTES];
  path_join(path, "ledger/", l->below, name);
  if (is_dir) {
    struct loading down = {.to = l->to, .disk = l->disk};
    path_join(down.below, l->below, name, "/");
    assert(disk_list(l->disk, path, load, &down, NULL) == DOM_OK);
    return true;
  }
  struct file *file = &l->to->files[l->to->count++];
  assert(l->to->count < FILES_MAX / 2);
  path_join(file->path, l->below, name, "");
  assert(disk_read_file(l->disk, path, 1 << 20, &file->bytes, NULL) == DOM_OK);
  return true;
}

static void make(struct folder *out) {
  struct disk *disk = disk_sim_new(1);
  struct ledger *ledger = NULL;
  struct loading l = {.to = out, .disk = disk};
  assert(disk != NULL && ledger_open(disk, "ledger", ORIGIN, seed, &ledger, NULL) == DOM_OK);
  append(ledger, 0, 5);
  append(ledger, 5, 7);
  append(ledger, 12, 8);
  ledger_close(ledger);
  assert(disk_list(disk, "ledger", load, &l, NULL) == DOM_OK && out->count > 4);
  disk_sim_free(disk);
}

/* ---- the verifier's view ---- */

static int file_read(void *context, const char *path, uint64_t offset, void *out, size_t len,
                     size_t *out_len) {
  struct folder *f = context;
  for (size_t i = 0; i < f->count; i++) {
    const struct buf *b = &f->files[i].bytes;
    if (strcmp(f->files[i].path, path) != 0) continue;
    size_t from = offset < b->len ? (size_t)offset : b->len;
    *out_len = b->len - from < len ? b->len - from : len;
    if (*out_len > 0) memcpy(out, b->data + from, *out_len);
    return 0;
  }
  return 1;
}

static int file_list(void *context, int (*found)(void *arg, const char *path), void *arg) {
  struct folder *f = context;
  for (size_t i = 0; i < f->count; i++) {
    if (found(arg, f->files[i].path) != 0) return 1;
  }
  return 0;
}

static enum domicile_code verify(struct folder *f) {
  struct domicile_source source = {f, file_read, file_list};
  struct domicile_verifier *v = domicile_verifier_new();
  uint8_t key[ED25519_KEY_SIZE];
  BUF_AUTO vkey = BUF_INIT;
  ed25519_public(seed, key);
  ledger_vkey_format(ORIGIN, key, &vkey);
  assert(v != NULL && domicile_verifier_add_key(v, buf_str(&vkey)) == DOMICILE_VERIFIED);
  struct domicile_result *r = domicile_verify_ledger(v, &source);
  assert(r != NULL && strlen(domicile_result_text(r)) > 0);
  enum domicile_code code = domicile_result_code(r);
  domicile_result_free(r);
  domicile_verifier_free(v);
  return code;
}

/* ---- tampering ---- */

static uint64_t number(struct slice *line) {
  uint64_t value = 0;
  struct slice word = fuzz_cut(line, SLICE_LIT(" "));
  return slice_to_u64(word, &value) == DOM_OK ? value : word.len;
}

static void add(struct folder *f, struct slice name) {
  if (f->count == FILES_MAX || name.len == 0 || name.len >= PATH_MAX_BYTES || slice_find(name, 0) < name.len)
    return;
  struct file *file = &f->files[f->count];
  *file = (struct file){.bytes = BUF_INIT};
  memcpy(file->path, name.data, name.len);
  for (size_t i = 0; i < f->count; i++) {
    if (strcmp(f->files[i].path, file->path) == 0) return;
  }
  f->count++;
}

static void copy_over(struct buf *to, const struct buf *from) {
  BUF_AUTO copy = BUF_INIT;
  buf_append_slice(&copy, buf_slice(from));
  buf_reset(to);
  buf_append_slice(to, buf_slice(&copy));
}

static void tamper(struct folder *f, struct slice line) {
  struct slice what = fuzz_cut(&line, SLICE_LIT(" "));
  if (slice_equal(what, SLICE_LIT("n"))) {
    add(f, line);
    return;
  }
  if (what.len != 1 || f->count == 0) return;
  size_t which = (size_t)(number(&line) % f->count);
  struct buf *b = &f->files[which].bytes;
  uint64_t a = number(&line), value = number(&line);
  if (what.data[0] == 'x' && b->len > 0) b->data[a % b->len] ^= (uint8_t)value;
  if (what.data[0] == 't' && b->len > 0) b->len = (size_t)(a % b->len);
  if (what.data[0] == 'a') buf_append_byte(b, (uint8_t)a);
  if (what.data[0] == 'c') copy_over(b, &f->files[a % f->count].bytes);
  if (what.data[0] != 'r') return;
  buf_done(b);
  f->files[which] = f->files[--f->count];
}

static const struct file *find(const struct folder *f, const char *path) {
  for (size_t i = 0; i < f->count; i++) {
    if (strcmp(f->files[i].path, path) == 0) return &f->files[i];
  }
  return NULL;
}

/* A file that may lie in the folder: as it was; scratch; the journal with more behind it, as a batch that was
 * never signed leaves; the beginning of a tile as of an earlier size. */
static bool is_allowed(const struct folder *good, const struct file *file) {
  struct slice path = slice_str(file->path), bytes = buf_slice(&file->bytes);
  struct slice stem = fuzz_cut(&path, SLICE_LIT(".p/"));
  if (slice_starts_with(stem, SLICE_LIT("tmp/"))) return true;
  const struct file *was = find(good, file->path);
  if (was != NULL && slice_equal(buf_slice(&was->bytes), bytes)) return true;
  if (strcmp(file->path, "journal") == 0) return slice_starts_with(bytes, buf_slice(&was->bytes));
  for (size_t i = 0; i < good->count && path.len > 0; i++) {
    if (slice_starts_with(slice_str(good->files[i].path), stem) &&
        slice_starts_with(buf_slice(&good->files[i].bytes), bytes))
      return bytes.len > 0;
  }
  return false;
}

/* The ledger may pass: what it needs is there, and nothing that does not belong to it. */
static bool may_pass(const struct folder *good, const struct folder *bad) {
  static const char *const needed[] = {"checkpoint", "tile/0/000.p/20", "tile/entries/000.p/20"};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    if (find(bad, needed[i]) == NULL) return false;
  }
  for (size_t i = 0; i < bad->count; i++) {
    if (!is_allowed(good, &bad->files[i])) return false;
  }
  return true;
}

static bool is_same(const struct folder *good, const struct folder *bad) {
  for (size_t i = 0; i < good->count; i++) {
    const struct file *file = find(bad, good->files[i].path);
    if (file == NULL || !slice_equal(buf_slice(&file->bytes), buf_slice(&good->files[i].bytes))) return false;
  }
  return good->count == bad->count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct folder good, bad;
  struct slice rest = slice_of(data, size), line;
  if (good.count == 0) make(&good);
  bad.count = good.count;
  for (size_t i = 0; i < good.count; i++) {
    bad.files[i] = (struct file){.bytes = BUF_INIT};
    memcpy(bad.files[i].path, good.files[i].path, PATH_MAX_BYTES);
    buf_append_slice(&bad.files[i].bytes, buf_slice(&good.files[i].bytes));
  }
  for (int i = 0; i < 16 && fuzz_line(&rest, &line); i++) tamper(&bad, line);
  enum domicile_code code = verify(&bad);
  assert(!is_same(&good, &bad) || code == DOMICILE_VERIFIED);
  assert(code > DOMICILE_UNAUTHENTICATED || may_pass(&good, &bad));
  for (size_t i = 0; i < bad.count; i++) buf_done(&bad.files[i].bytes);
  return 0;
}
