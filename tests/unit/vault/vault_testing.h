/* What the vault's tests share. Include after cmocka.h. */
#ifndef DOMICILE_TESTS_VAULT_TESTING_H
#define DOMICILE_TESTS_VAULT_TESTING_H

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/disk.h"
#include "vault/vault.h"

#define OK(call) assert_int_equal((call), DOM_OK)

enum { TEST_REGION = 4, TEST_SLOT_SIZE = 128, TEST_HEADER_SIZE = 4096 };

/* A vault on one disk, its KEKs on another. */
struct bench {
  struct disk *data, *keys;
  struct vault_kek *kek;
  struct vault *vault;
};

static inline struct vault_options bench_options(const struct bench *b, bool create) {
  return (struct vault_options){
      .disk = b->data, .folder = "vault", .region = TEST_REGION, .kek = b->kek, .create = create};
}

static inline void bench_start(struct bench *b, uint64_t seed) {
  *b = (struct bench){.data = disk_sim_new(seed), .keys = disk_sim_new(seed + 1000)};
  assert_non_null(b->data);
  assert_non_null(b->keys);
  OK(vault_kek_folder_open(b->keys, "", NULL, true, &b->kek, NULL));
  struct vault_options o = bench_options(b, true);
  OK(vault_open(&o, &b->vault, NULL));
}

static inline void bench_shut(struct bench *b) {
  vault_close(b->vault);
  vault_kek_close(b->kek);
  b->vault = NULL;
  b->kek = NULL;
}

/* Opens both again; create is false unless the first creation may have been cut. */
static inline enum dom_code bench_try_open(struct bench *b, bool create, struct dom_err *err) {
  enum dom_code code = vault_kek_folder_open(b->keys, "", NULL, create, &b->kek, err);
  struct vault_options o = bench_options(b, create);
  return code == DOM_OK ? vault_open(&o, &b->vault, err) : code;
}

static inline void bench_reopen(struct bench *b) {
  struct dom_err err = {0};
  bench_shut(b);
  if (bench_try_open(b, false, &err) != DOM_OK) fail_msg("%s", err.text);
}

static inline void bench_end(struct bench *b) {
  bench_shut(b);
  assert_int_equal(disk_sim_open_files(b->data), 0);
  assert_int_equal(disk_sim_open_files(b->keys), 0);
  disk_sim_free(b->data);
  disk_sim_free(b->keys);
}

static inline struct vault_key test_key(uint64_t person, uint64_t epoch) {
  struct vault_key key = {.epoch = epoch};
  uint8_t seed[8];
  store_u64le(seed, person);
  sha256(seed, sizeof seed, key.token);
  return key;
}

static inline struct vault_stats test_stats(struct vault *v) {
  struct vault_stats s;
  vault_stats(v, &s);
  return s;
}

static inline enum dom_code test_derive(struct vault *v, const struct vault_key *key, uint8_t out[KEY_SIZE]) {
  static const uint8_t id[VAULT_ID_SIZE] = {7};
  return vault_key_derive(v, key, "body", id, out, NULL);
}

static inline const char *test_file(int copy) {
  return copy ? "vault/slots-1" : "vault/slots-0";
}

/* Reads a golden vector: hex digits, lines that begin with # left out. `out` has `cap` bytes. */
static inline size_t test_golden(const char *name, uint8_t *out, size_t cap) {
  char path[512], line[256];
  snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  size_t len = 0;
  while (fgets(line, sizeof line, f)) {
    size_t more = 0;
    if (line[0] == '#') continue;
    OK(hex_decode(slice_of(line, strcspn(line, "\n")), out + len, cap - len, &more));
    len += more;
  }
  fclose(f);
  return len;
}

static inline void test_flip(struct bench *b, int copy, uint32_t slot, uint32_t byte) {
  uint64_t at = TEST_HEADER_SIZE + (uint64_t)slot * TEST_SLOT_SIZE + byte;
  OK(disk_sim_flip(b->data, test_file(copy), at * 8 + 3));
}

/* Whether `needle` occurs in either vault file. */
static inline bool test_scan(struct bench *b, struct slice needle) {
  bool found = false;
  for (int copy = 0; copy < 2; copy++) {
    BUF_AUTO content = BUF_INIT;
    OK(disk_read_file(b->data, test_file(copy), 1 << 26, &content, NULL));
    found = found || memmem(content.data, content.len, needle.data, needle.len);
  }
  return found;
}

#endif
