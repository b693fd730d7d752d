/* What the tests of this room share: AWS's published example credential and a request builder. */
#ifndef DOMICILE_TESTS_AUTH_TESTING_H
#define DOMICILE_TESTS_AUTH_TESTING_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth.h"

#define EXAMPLE_ACCESS "AKIAIOSFODNN7EXAMPLE"
#define EXAMPLE_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EXAMPLE_SCOPE  EXAMPLE_ACCESS "/20130524/us-east-1/s3/aws4_request"
#define EXAMPLE_DATE   "20130524T000000Z"
#define EXAMPLE_NOW_MS UINT64_C(1369353600000) /* that date */
#define EMPTY_SHA256   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AUTHORIZATION(names, signature)                                                                      \
  "AWS4-HMAC-SHA256 Credential=" EXAMPLE_SCOPE ",SignedHeaders=" names ",Signature=" signature

enum { HEADERS_MAX = 16 };

/* A request under construction; strings are borrowed. */
struct draft {
  struct auth_header headers[HEADERS_MAX];
  struct auth_request request;
};

static inline void draft_init(struct draft *d, const char *method, const char *path, const char *query) {
  memset(d, 0, sizeof *d);
  d->request.method = slice_str(method);
  d->request.raw_path = slice_str(path);
  d->request.raw_query = slice_str(query);
  d->request.headers = d->headers;
  d->request.now_ms = EXAMPLE_NOW_MS;
}

static inline void draft_add(struct draft *d, const char *name, const char *value) {
  assert_true(d->request.header_count < HEADERS_MAX);
  d->headers[d->request.header_count++] = (struct auth_header){slice_str(name), slice_str(value)};
}

static inline void draft_set(struct draft *d, const char *name, const char *value) {
  for (size_t i = 0; i < d->request.header_count; i++) {
    if (!slice_equal_nocase(d->headers[i].name, slice_str(name))) continue;
    d->headers[i].value = slice_str(value);
    return;
  }
  draft_add(d, name, value);
}

static inline void draft_drop(struct draft *d, const char *name) {
  for (size_t i = 0; i < d->request.header_count; i++) {
    if (!slice_equal_nocase(d->headers[i].name, slice_str(name))) continue;
    d->headers[i] = d->headers[--d->request.header_count];
    return;
  }
  fail_msg("no header %s to drop", name);
}

/* A key table with the example credential, an operator and one more account. */
static inline struct auth_keys *example_keys(void) {
  const struct auth_key_spec specs[] = {
      {SLICE_LIT(EXAMPLE_ACCESS ":" EXAMPLE_SECRET ":tenant-a"), false},
      {SLICE_LIT("OPERATOR:operator-secret"), true},
      {SLICE_LIT("OTHER:other-secret:tenant-b"), false},
  };
  struct auth_keys *keys = auth_keys_new();
  assert_non_null(keys);
  assert_int_equal(auth_keys_replace(keys, specs, 3, NULL), DOM_OK);
  return keys;
}

/* Everything a verification needs. */
struct bench {
  struct auth_keys *keys;
  struct auth_verifier *verifier;
  struct arena *arena;
};

static inline void bench_init(struct bench *b) {
  b->keys = example_keys();
  b->verifier = auth_verifier_new(&(struct auth_config){.lookup = auth_keys_find, .lookup_context = b->keys});
  b->arena = arena_new(1 << 20);
  assert_non_null(b->verifier);
  assert_non_null(b->arena);
}

static inline void bench_done(struct bench *b) {
  auth_verifier_free(b->verifier);
  auth_keys_free(b->keys);
  arena_free(b->arena);
}

/* One verification in a fresh arena. */
static inline enum auth_error bench_verify(struct bench *b, const struct auth_request *request,
                                           struct auth_result *out) {
  arena_reset(b->arena);
  return auth_verify_head(b->verifier, request, b->arena, out);
}

/* Signs with the example credential as another program would: over exactly the named headers.
 * Computes the canonical request afresh, without the room's own code; the path and query must
 * need no encoding. */
static inline void sign_by_hand(const struct draft *d, const char *names, const char *payload_hash, char *out,
                                size_t size) {
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  uint8_t digest[SHA256_SIZE], key[SHA256_SIZE];
  buf_append_slice(&text, d->request.method);
  buf_append_str(&text, "\n");
  buf_append_slice(&text, d->request.raw_path);
  buf_append_str(&text, "\n");
  buf_append_slice(&text, d->request.raw_query);
  buf_append_str(&text, "\n");
  char list[256];
  snprintf(list, sizeof list, "%s", names);
  for (char *save = NULL, *name = strtok_r(list, ";", &save); name != NULL;
       name = strtok_r(NULL, ";", &save)) {
    struct slice value = {0};
    assert_int_equal(auth_header_find(&d->request, slice_str(name), &value), 1);
    buf_printf(&text, "%s:%.*s\n", name, (int)value.len, (const char *)value.data);
  }
  buf_printf(&text, "\n%s\n%s", names, payload_hash);
  sha256(text.data, text.len, digest);
  hex_encode(&hex, slice_of(digest, sizeof digest));
  buf_reset(&text);
  buf_printf(&text, "AWS4-HMAC-SHA256\n" EXAMPLE_DATE "\n20130524/us-east-1/s3/aws4_request\n%s",
             buf_str(&hex));
  static const char *const steps[] = {"20130524", "us-east-1", "s3", "aws4_request"};
  hmac_sha256(SLICE_LIT("AWS4" EXAMPLE_SECRET), slice_str(steps[0]), key);
  for (size_t i = 1; i < 4; i++) hmac_sha256(slice_of(key, sizeof key), slice_str(steps[i]), key);
  hmac_sha256(slice_of(key, sizeof key), buf_slice(&text), digest);
  buf_reset(&hex);
  hex_encode(&hex, slice_of(digest, sizeof digest));
  snprintf(out, size, "AWS4-HMAC-SHA256 Credential=" EXAMPLE_SCOPE ", SignedHeaders=%s, Signature=%s", names,
           buf_str(&hex));
}

#endif
