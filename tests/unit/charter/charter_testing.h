/* What the charter tests share: a small charter to start from, and a way to change it. */
#ifndef DOMICILE_TESTS_CHARTER_TESTING_H
#define DOMICILE_TESTS_CHARTER_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "charter/charter.h"

/* Verifier keys of the seeds 0101…, 0202…, 0303…, computed by another program (Python's cryptography). */
#define VKEY_A "a.example+8edbb852+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
#define VKEY_B "b.example+2ff07c16+AYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
#define VKEY_C "c.example+f4f4e3c0+Ae1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR"

static inline struct charter *parse_text(const char *text) {
  struct charter *c = NULL;
  struct dom_err err = {0};
  enum dom_code code = charter_parse(slice_str(text), "test.yaml", &c, &err);
  if (code != DOM_OK) print_error("%s\n", err.text);
  assert_int_equal(code, DOM_OK);
  assert_non_null(c);
  return c;
}

#endif
