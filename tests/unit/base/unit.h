/* What the tests of base share: cmocka in its order of includes, and short checks. */
#ifndef DOMICILE_TESTS_UNIT_BASE_UNIT_H
#define DOMICILE_TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

#define assert_ok(call) assert_int_equal((call), DOM_OK)

/* The bytes that a hex text stands for; release with buf_done. */
static inline struct buf unhex(const char *hex) {
  struct buf b = BUF_INIT;
  size_t len = strlen(hex) / 2, got = 0;
  assert_true(buf_reserve(&b, len + 1));
  assert_ok(hex_decode(slice_str(hex), b.data, len, &got));
  b.len = got;
  return b;
}

/* Compares bytes with the hex text of what they should be. */
static inline void assert_hex(const uint8_t *data, size_t len, const char *hex) {
  BUF_AUTO wanted = unhex(hex);
  assert_int_equal(len, wanted.len);
  assert_memory_equal(data, wanted.data, len);
}

#endif
