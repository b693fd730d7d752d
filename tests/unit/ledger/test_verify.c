/* The verifier against tampering: every bit of a small ledger and of a receipt, samples of a
 * larger one, and the lies an operator might try. */
#include "support.h"

#include <stdio.h>

struct world {
  struct disk *disk;
  struct ledger *ledger;
  struct memory_folder m;
  struct buf vkey;
};

static struct world *world_new(const uint8_t seed[ED25519_KEY_SIZE], const size_t *batches, size_t count) {
  struct world *w = test_calloc(1, sizeof *w);
  uint64_t size = 0;
  w->disk = disk_sim_new(1);
  OK(ledger_open(w->disk, "ledger", ORIGIN, seed, &w->ledger, NULL));
  for (size_t i = 0; i < count; size += batches[i++]) OK(append_range(w->ledger, size, batches[i], NULL));
  memory_load(&w->m, w->disk, "ledger");
  vkey_of(SEED, &w->vkey);
  return w;
}

static void world_free(struct world *w) {
  memory_done(&w->m);
  buf_done(&w->vkey);
  ledger_close(w->ledger);
  disk_sim_free(w->disk);
  test_free(w);
}

static enum domicile_code check(struct world *w) {
  return memory_verify(&w->m, buf_str(&w->vkey), (struct slice){0});
}

/* 20 entries in three batches: partial tiles of 5, 12 and 20 are all there. */
static const size_t SMALL[] = {5, 7, 8};
/* Crosses a full tile; older partial tiles of the second one are there. */
static const size_t LARGE[] = {200, 70, 5, 25};

static void flip_file(struct world *w, struct memory_file *file, size_t step) {
  for (size_t bit = 0; bit < file->bytes.len * 8; bit += step) {
    file->bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (check(w) <= DOMICILE_UNAUTHENTICATED) fail_msg("bit %zu of %s passed", bit, file->path);
    file->bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

static void test_every_bit(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  assert_int_equal(w->m.count, 8); /* checkpoint, journal, three bundles, three tiles */
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  for (size_t i = 0; i < w->m.count; i++) flip_file(w, &w->m.files[i], 1);
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  world_free(w);
}

static void test_sampled_bits(void **state) {
  (void)state;
  struct world *w = world_new(SEED, LARGE, 4);
  assert_non_null(memory_find(&w->m, "tile/0/000"));
  assert_non_null(memory_find(&w->m, "tile/1/000.p/1"));
  assert_non_null(memory_find(&w->m, "tile/0/001.p/14"));
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  for (size_t i = 0; i < w->m.count; i++) {
    size_t bits = w->m.files[i].bytes.len * 8;
    flip_file(w, &w->m.files[i], bits < 2000 ? 7 : bits / 199 | 1);
  }
  world_free(w);
}

static void test_lengths(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  for (size_t i = 0; i < w->m.count; i++) {
    struct buf *bytes = &w->m.files[i].bytes;
    bytes->len--;
    assert_true(check(w) > DOMICILE_UNAUTHENTICATED);
    bytes->len++;
    if (strcmp(w->m.files[i].path, "journal") == 0) continue; /* a batch may be under way there */
    buf_append_byte(bytes, 0);
    assert_true(check(w) > DOMICILE_UNAUTHENTICATED);
    bytes->len--;
  }
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  world_free(w);
}

static void test_missing_and_extra(void **state) {
  static const char *const needed[] = {"checkpoint",     "tile/0/000",      "tile/entries/000",
                                       "tile/1/000.p/1", "tile/0/001.p/44", "tile/entries/001.p/44"};
  static const char *const extra[] = {"notes.txt",      "tile/0/000.p/x",       "tile/data/000",
                                      "tile/0/002.p/1", "tile/0/001",           "tile/2/000.p/1",
                                      "tile/63/000",    "tile/entries/001.p/45"};
  (void)state;
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    struct world *w = world_new(SEED, LARGE, 4);
    memory_remove(&w->m, needed[i]);
    assert_int_equal(check(w), DOMICILE_MISSING);
    world_free(w);
  }
  for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
    struct world *w = world_new(SEED, LARGE, 4);
    buf_append_byte(&memory_add(&w->m, extra[i])->bytes, 1);
    assert_int_equal(check(w), DOMICILE_EXTRA);
    world_free(w);
  }
}

/* A published copy has no journal and no older partial tiles; that is fine. */
static void test_published_copy(void **state) {
  (void)state;
  struct world *w = world_new(SEED, LARGE, 4);
  memory_remove(&w->m, "journal");
  memory_remove(&w->m, "tile/0/001.p/14");
  memory_remove(&w->m, "tile/entries/001.p/14");
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  world_free(w);
}

static void test_reordered(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  static const char *const bundles[] = {"tile/entries/000.p/5", "tile/entries/000.p/12",
                                        "tile/entries/000.p/20"};
  for (size_t i = 0; i < 3; i++) { /* two entries change places wherever they stand */
    uint8_t swap[98], *data = memory_find(&w->m, bundles[i])->bytes.data;
    memcpy(swap, data, 98);
    memcpy(data, data + 98, 98);
    memcpy(data + 98, swap, 98);
  }
  assert_true(check(w) > DOMICILE_UNAUTHENTICATED);
  memory_remove(&w->m, "journal");
  assert_int_equal(check(w), DOMICILE_BAD_HASH);
  world_free(w);
}

static void test_keys(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3), *forged = world_new(OTHER_SEED, SMALL, 3);
  BUF_AUTO elsewhere = BUF_INIT;
  uint8_t public_key[ED25519_KEY_SIZE];
  assert_int_equal(memory_verify(&w->m, NULL, (struct slice){0}), DOMICILE_UNAUTHENTICATED);
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  /* the same ledger, whole and consistent, signed again by another key */
  assert_int_equal(memory_verify(&forged->m, NULL, (struct slice){0}), DOMICILE_UNAUTHENTICATED);
  assert_int_equal(check(forged), DOMICILE_BAD_SIGNATURE);
  ed25519_public(SEED, public_key);
  ledger_vkey_format("example.org/test/us", public_key, &elsewhere);
  assert_int_equal(memory_verify(&w->m, buf_str(&elsewhere), (struct slice){0}), DOMICILE_BAD_SIGNATURE);
  world_free(forged);
  world_free(w);
}

static void test_since(void **state) {
  static const size_t longer[] = {5, 7, 8, 280, 40};
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3), *grown = world_new(SEED, longer, 5);
  struct world *forged = world_new(OTHER_SEED, SMALL, 3);
  struct slice old = buf_slice(&memory_find(&w->m, "checkpoint")->bytes);
  struct slice new = buf_slice(&memory_find(&grown->m, "checkpoint")->bytes);
  struct slice alien = buf_slice(&memory_find(&forged->m, "checkpoint")->bytes);
  assert_int_equal(memory_verify(&grown->m, buf_str(&w->vkey), old), DOMICILE_VERIFIED);
  assert_int_equal(memory_verify(&grown->m, buf_str(&w->vkey), new), DOMICILE_VERIFIED);
  assert_int_equal(memory_verify(&grown->m, NULL, old), DOMICILE_UNAUTHENTICATED);
  /* truncated, with a checkpoint that was valid once */
  assert_int_equal(check(w), DOMICILE_VERIFIED);
  assert_int_equal(memory_verify(&w->m, buf_str(&w->vkey), new), DOMICILE_REWRITTEN);
  assert_int_equal(memory_verify(&grown->m, buf_str(&w->vkey), alien), DOMICILE_BAD_SIGNATURE);
  world_free(forged);
  world_free(grown);
  world_free(w);
}

/* A fork: the same key signed two histories. Each verifies alone; the kept checkpoint tells. */
static void test_fork(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3), *fork = world_new(SEED, NULL, 0);
  OK(append_range(fork->ledger, 1, 25, NULL)); /* other entries than w's from the first on */
  memory_done(&fork->m);
  memory_load(&fork->m, fork->disk, "ledger");
  assert_int_equal(check(fork), DOMICILE_VERIFIED);
  assert_int_equal(
      memory_verify(&fork->m, buf_str(&w->vkey), buf_slice(&memory_find(&w->m, "checkpoint")->bytes)),
      DOMICILE_REWRITTEN);
  world_free(fork);
  world_free(w);
}

/* A crash left a batch in the journal that was never signed: said, not held against it. */
static void test_unpublished_tail(void **state) {
  static const size_t longer[] = {5, 7, 8, 280};
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3), *grown = world_new(SEED, longer, 4);
  struct buf *text = &memory_find(&grown->m, "checkpoint")->bytes;
  buf_reset(text);
  buf_append_slice(text, buf_slice(&memory_find(&w->m, "checkpoint")->bytes));
  assert_int_equal(check(grown), DOMICILE_VERIFIED);
  memory_find(&grown->m, "journal")->bytes.data[112 * 300 + 20] ^= 1; /* now it knows of no such entries */
  assert_int_equal(check(grown), DOMICILE_EXTRA);
  world_free(grown);
  world_free(w);
}

static enum domicile_code check_receipt(struct world *w, const struct buf *text) {
  struct domicile_verifier *v = domicile_verifier_new();
  assert_int_equal(domicile_verifier_add_key(v, buf_str(&w->vkey)), DOMICILE_VERIFIED);
  struct domicile_result *r = domicile_verify_receipt(v, text->data, text->len);
  enum domicile_code code = domicile_result_code(r);
  assert_true(strlen(domicile_result_text(r)) > 0);
  domicile_result_free(r);
  domicile_verifier_free(v);
  return code;
}

static void make_receipt(struct world *w, uint64_t index, struct buf *out) {
  uint8_t entry[LEDGER_ENTRY_SIZE], opening[LEDGER_OPENING_SIZE];
  BUF_AUTO payload = BUF_INIT;
  make_entry(index, entry, opening, &payload);
  OK(ledger_receipt(w->ledger, index, opening, buf_slice(&payload), out, NULL));
}

static void test_receipt_every_bit(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  BUF_AUTO text = BUF_INIT;
  make_receipt(w, 13, &text);
  assert_int_equal(check_receipt(w, &text), DOMICILE_VERIFIED);
  for (size_t bit = 0; bit < text.len * 8; bit++) {
    text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (check_receipt(w, &text) <= DOMICILE_UNAUTHENTICATED) fail_msg("bit %zu passed", bit);
    text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  size_t len = text.len;
  for (text.len = 0; text.len < len; text.len++)
    assert_true(check_receipt(w, &text) > DOMICILE_UNAUTHENTICATED);
  buf_append_byte(&text, '\n');
  assert_true(check_receipt(w, &text) > DOMICILE_UNAUTHENTICATED);
  world_free(w);
}

/* The opening of one entry in the receipt of another, everything else in order. */
static void test_receipt_other_opening(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  BUF_AUTO text = BUF_INIT, extra = BUF_INIT, forged = BUF_INIT;
  make_receipt(w, 13, &text);
  const char *begin = strstr(buf_str(&text), "extra ") + 6, *end = strchr(begin, '\n');
  OK(base64_decode(slice_of(begin, (size_t)(end - begin)), &extra));
  extra.data[6 + LEDGER_ENTRY_SIZE] ^= 0xFF;
  buf_append(&forged, text.data, (size_t)((const uint8_t *)begin - text.data));
  base64_encode(&forged, buf_slice(&extra));
  buf_append_str(&forged, end);
  assert_int_equal(check_receipt(w, &forged), DOMICILE_BAD_OPENING);
  world_free(w);
}

static void test_receipt_misc(void **state) {
  (void)state;
  struct world *w = world_new(SEED, SMALL, 3);
  BUF_AUTO text = BUF_INIT;
  make_receipt(w, 0, &text);
  struct domicile_verifier *v = domicile_verifier_new();
  struct domicile_result *r = domicile_verify_receipt(v, text.data, text.len);
  assert_int_equal(domicile_result_code(r), DOMICILE_UNAUTHENTICATED);
  assert_non_null(strstr(domicile_result_text(r), "internally consistent, origin not authenticated"));
  domicile_result_free(r);
  assert_int_equal(domicile_verifier_add_key(v, "nonsense"), DOMICILE_MALFORMED);
  assert_int_equal(domicile_verifier_since(v, "nonsense", 8), DOMICILE_MALFORMED);
  struct slice head = buf_slice(&memory_find(&w->m, "checkpoint")->bytes);
  assert_int_equal(domicile_verifier_since(v, head.data, head.len), DOMICILE_VERIFIED);
  r = domicile_verify_receipt(v, text.data, text.len);
  assert_int_equal(domicile_result_code(r), DOMICILE_UNSUPPORTED);
  domicile_result_free(r);
  domicile_verifier_free(v);
  assert_int_equal(domicile_verify_version(), DOMICILE_VERIFY_VERSION);
  assert_string_equal(domicile_code_name(DOMICILE_BAD_HASH), "bad-hash");
  assert_string_equal(domicile_code_name((enum domicile_code)99), "unknown");
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_bit),
                                     cmocka_unit_test(test_sampled_bits),
                                     cmocka_unit_test(test_lengths),
                                     cmocka_unit_test(test_missing_and_extra),
                                     cmocka_unit_test(test_published_copy),
                                     cmocka_unit_test(test_reordered),
                                     cmocka_unit_test(test_keys),
                                     cmocka_unit_test(test_since),
                                     cmocka_unit_test(test_fork),
                                     cmocka_unit_test(test_unpublished_tail),
                                     cmocka_unit_test(test_receipt_every_bit),
                                     cmocka_unit_test(test_receipt_other_opening),
                                     cmocka_unit_test(test_receipt_misc)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
