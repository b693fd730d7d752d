/* What the tests of serve and cli share: a folder of their own, files in it. */
#ifndef DOMICILE_TESTS_UNIT_SERVE_TESTING_H
#define DOMICILE_TESTS_UNIT_SERVE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

struct scratch {
  char path[200];
};

static inline void scratch_make(struct scratch *s) {
  const char *tmp = getenv("TMPDIR");
  snprintf(s->path, sizeof s->path, "%s/domicile-serve-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(s->path));
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)st;
  (void)kind;
  (void)at;
  return remove(path);
}

static inline void scratch_remove(struct scratch *s) {
  assert_int_equal(nftw(s->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct scratch_path {
  char text[400];
};
static inline struct scratch_path scratch_at(const struct scratch *s, const char *name) {
  struct scratch_path p;
  snprintf(p.text, sizeof p.text, "%s/%s", s->path, name);
  return p;
}

static inline void scratch_write(const struct scratch *s, const char *name, const char *text, mode_t mode) {
  struct scratch_path path = scratch_at(s, name);
  FILE *f = fopen(path.text, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path.text, mode), 0);
}

#endif
