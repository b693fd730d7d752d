/* What the tests of the policy room share. */
#ifndef TESTS_POLICY_TESTING_H
#define TESTS_POLICY_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "policy/policy.h"

#define NOW_MS UINT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

/* JSON with ' for ". */
static inline struct slice json_of(const char *quoted, char *space, size_t cap) {
  size_t len = strlen(quoted);
  assert_true(len < cap);
  for (size_t i = 0; i < len; i++) space[i] = quoted[i] == '\'' ? '"' : quoted[i];
  return slice_of(space, len);
}

/* A policy for bucket "b" that must parse. */
static inline struct policy *policy_of(const char *quoted) {
  static char space[64 * 1024];
  struct dom_err err = {0};
  struct policy *p = NULL;
  enum dom_code code = policy_parse(json_of(quoted, space, sizeof space), SLICE_LIT("b"), &p, &err);
  if (code != DOM_OK) fail_msg("%s: %s", quoted, err.text);
  return p;
}

/* One statement's elements, in a policy of today's version. */
static inline struct policy *policy_with(const char *elements) {
  static char text[16 * 1024];
  snprintf(text, sizeof text, "{'Version':'2012-10-17','Statement':[{%s}]}", elements);
  return policy_of(text);
}

/* A key "k1" of account "guest", reading object "x" of account "owner"'s bucket "b". */
static inline struct policy_request request_of(enum policy_action action, const char *key) {
  return (struct policy_request){.who = POLICY_ACCESS_KEY,
                                 .account = SLICE_LIT("guest"),
                                 .user = SLICE_LIT("k1"),
                                 .action = action,
                                 .key = slice_str(key),
                                 .now_ms = NOW_MS,
                                 .object_is_known = true};
}

static inline struct policy_bucket bucket_of(const struct policy *p) {
  return (struct policy_bucket){.name = SLICE_LIT("b"), .owner = SLICE_LIT("owner"), .policy = p};
}

static inline enum policy_answer answer_of(const struct policy *p, const struct policy_request *q) {
  struct policy_bucket b = bucket_of(p);
  return policy_decide(&b, q).answer;
}

#endif
