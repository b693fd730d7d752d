/* The same random calls on the real file system and on the simulated disk: each gives the same
 * code, and after each the two hold the same names and bytes. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/disk.h"

enum { RUNS = 6, STEPS = 400, PATHS = 9, DISKS = 2 };

static const char *const paths[PATHS] = {"a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "d/e/a"};

struct world {
  struct disk *disks[DISKS]; /* the real one first */
  char root[256];
  uint64_t dice;
};

static uint64_t roll(struct world *w, uint64_t bound) {
  w->dice = w->dice * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX generator */
  return (w->dice >> 33) % bound;
}

/* One call, made of numbers, so that it can be made twice. */
struct step {
  unsigned kind;
  const char *path, *other;
  uint64_t place;
  size_t len;
  unsigned flags;
  uint8_t fill;
};

static enum dom_code change_file(struct disk *d, const struct step *s) {
  struct disk_file *f = NULL;
  enum dom_code code = disk_open(d, s->path, DISK_READ | DISK_WRITE | s->flags, &f, NULL);
  if (code != DOM_OK) return code;
  static uint8_t data[30000];
  memset(data, s->fill, s->len);
  if (s->kind == 0) code = disk_write(f, s->place, data, s->len, NULL);
  if (s->kind == 1) code = disk_truncate(f, s->place, NULL);
  if (s->kind == 2) code = disk_allocate(f, s->place, NULL);
  if (s->kind == 3) code = disk_sync(f, NULL);
  disk_close(f);
  return code;
}

static enum dom_code take(struct disk *d, const struct step *s) {
  switch (s->kind) {
  case 4:
    return disk_rename(d, s->path, s->other, NULL);
  case 5:
    return disk_unlink(d, s->path, NULL);
  case 6:
    return disk_mkdir(d, s->path, NULL);
  case 7:
    return disk_rmdir(d, s->path, NULL);
  case 8:
    return disk_dir_sync(d, s->path, NULL);
  case 9:
    return disk_replace_file(d, s->path, slice_of(&s->fill, 1), NULL);
  default:
    return change_file(d, s);
  }
}

struct lister {
  struct disk *disk;
  const char *folder;
  struct buf *out;
};

/* Adds a name, and what it holds, to a picture of the whole disk. */
static bool draw(void *arg, const char *name, bool is_dir) {
  struct lister *l = arg;
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s%s%s", l->folder, l->folder[0] ? "/" : "", name);
  buf_printf(l->out, "[%s]", buf_str(&path));
  struct disk_info info;
  assert_ok(disk_stat(l->disk, buf_str(&path), &info, NULL));
  assert_int_equal(info.is_dir, is_dir);
  if (is_dir) {
    struct lister below = {l->disk, buf_str(&path), l->out};
    assert_ok(disk_list(l->disk, below.folder, draw, &below, NULL));
  } else {
    size_t before = l->out->len;
    assert_ok(disk_read_file(l->disk, buf_str(&path), 1 << 20, l->out, NULL));
    assert_int_equal(l->out->len - before, info.size);
  }
  return true;
}

static void assert_same(struct world *w) {
  BUF_AUTO real = BUF_INIT, simulated = BUF_INIT;
  struct lister a = {w->disks[0], "", &real}, b = {w->disks[1], "", &simulated};
  assert_ok(disk_list(a.disk, "", draw, &a, NULL));
  assert_ok(disk_list(b.disk, "", draw, &b, NULL));
  assert_true(slice_equal(buf_slice(&real), buf_slice(&simulated)));
}

static void run(struct world *w, unsigned *codes_seen) {
  static const unsigned flag_sets[] = {
      0, DISK_CREATE, DISK_CREATE, DISK_CREATE | DISK_EXCLUSIVE, DISK_TRUNCATE, DISK_CREATE | DISK_DSYNC};
  for (unsigned i = 0; i < STEPS; i++) {
    struct step s = {.kind = (unsigned)roll(w, 10),
                     .path = paths[roll(w, PATHS)],
                     .other = paths[roll(w, PATHS)],
                     .place = roll(w, 40000),
                     .len = (size_t)roll(w, 30000),
                     .flags = flag_sets[roll(w, 6)],
                     .fill = (uint8_t)(1 + roll(w, 255))};
    enum dom_code real = take(w->disks[0], &s), simulated = take(w->disks[1], &s);
    if (real != simulated)
      print_error("step %u kind %u %s %s: %s, simulated %s\n", i, s.kind, s.path, s.other,
                  dom_code_name(real), dom_code_name(simulated));
    assert_int_equal(real, simulated);
    *codes_seen |= 1u << real;
    assert_same(w);
  }
}

static bool remove_one(void *arg, const char *name, bool is_dir) {
  struct lister *l = arg;
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s%s%s", l->folder, l->folder[0] ? "/" : "", name);
  if (is_dir) {
    struct lister below = {l->disk, buf_str(&path), NULL};
    assert_ok(disk_list(l->disk, below.folder, remove_one, &below, NULL));
    assert_ok(disk_rmdir(l->disk, below.folder, NULL));
  } else {
    assert_ok(disk_unlink(l->disk, buf_str(&path), NULL));
  }
  return true;
}

static void test_both_disks_agree(void **state) {
  (void)state;
  unsigned codes_seen = 0;
  for (uint64_t seed = 0; seed < RUNS; seed++) {
    struct world w = {.dice = seed};
    const char *folder = getenv("TMPDIR");
    (void)snprintf(w.root, sizeof w.root, "%s/domicile-disk-XXXXXX", folder ? folder : "/tmp");
    assert_non_null(mkdtemp(w.root));
    assert_ok(disk_posix_open(w.root, &w.disks[0], NULL));
    w.disks[1] = disk_sim_new(seed);
    run(&w, &codes_seen);
    struct lister all = {w.disks[0], "", NULL};
    assert_ok(disk_list(w.disks[0], "", remove_one, &all, NULL));
    disk_posix_close(w.disks[0]);
    disk_sim_free(w.disks[1]);
    assert_int_equal(rmdir(w.root), 0);
  }
  /* The calls were not all of one kind. */
  assert_int_equal(codes_seen, 1u << DOM_OK | 1u << DOM_NOT_FOUND | 1u << DOM_EXISTS | 1u << DOM_IO);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_disks_agree)};
  return cmocka_run_group_tests_name("base-disk-random", tests, NULL, NULL);
}
