/* What the tests of this room share: building heads, and an arena per test. */
#ifndef DOMICILE_TESTS_S3_TESTING_H
#define DOMICILE_TESTS_S3_TESTING_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>

#include "s3/s3.h"

enum { HEAD_LINES_MAX = 40 };

/* A head under construction; strings are borrowed. */
struct draft {
  struct auth_header lines[HEAD_LINES_MAX];
  struct auth_request head;
};

static inline void draft_add(struct draft *d, const char *name, const char *value) {
  assert_true(d->head.header_count < HEAD_LINES_MAX);
  d->lines[d->head.header_count++] = (struct auth_header){slice_str(name), slice_str(value)};
}

static inline void draft_init(struct draft *d, const char *method, const char *path, const char *query) {
  memset(d, 0, sizeof *d);
  d->head.method = slice_str(method);
  d->head.raw_path = slice_str(path);
  d->head.raw_query = slice_str(query);
  d->head.headers = d->lines;
  draft_add(d, "Host", "127.0.0.1:9101");
}

#define assert_slice(s, text)                                                                                \
  do {                                                                                                       \
    struct slice got_ = (s);                                                                                 \
    if (!slice_equal(got_, slice_str(text)))                                                                 \
      fail_msg("got \"%.*s\", wanted \"%s\"", (int)got_.len, (const char *)got_.data, (text));               \
  } while (0)

static const struct slice test_domain_names[] = {
    {(const uint8_t *)"s3.example.org", 14},
    {(const uint8_t *)"localhost", 9},
};
static const struct s3_domains test_domains = {test_domain_names, 2};

static inline int arena_setup(void **state) {
  *state = arena_new(S3_REQUEST_ARENA_BYTES);
  return *state == NULL ? -1 : 0;
}

static inline int arena_teardown(void **state) {
  arena_free(*state);
  return 0;
}

#define arena_test(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

#endif
