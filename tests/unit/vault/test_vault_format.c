/* The vault's bytes: golden vectors made by another implementation, read and written; every bit
 * of a slot counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault/slot.h"
#include "vault/slot_header.h"
#include "vault/slot_index.h"
#include "vault_testing.h"

/* What the golden slot holds: docs/formats/vault.md, "Example". */
#define GOLDEN_SEQ 0x0102030405U
enum { GOLDEN_EPOCH = 7, HEADER_EDGE = 64 };
#define GOLDEN_KEK_ID 0xddb56d151744e5c5U

static void count_up(uint8_t *out, size_t len, uint8_t first) {
  for (size_t i = 0; i < len; i++) out[i] = (uint8_t)(first + i);
}

static struct slot golden_slot(struct slot_kek *kek) {
  uint8_t key[KEY_SIZE], data_key[KEY_SIZE], nonce[GCM_NONCE_SIZE];
  struct slot s = {.region = TEST_REGION, .seq = GOLDEN_SEQ, .epoch = GOLDEN_EPOCH};
  count_up(key, sizeof key, 0);
  count_up(data_key, sizeof data_key, 0x40);
  count_up(s.token, sizeof s.token, 0x80);
  count_up(nonce, sizeof nonce, 0xc0);
  slot_kek_init(kek, key);
  OK(slot_wrap(&s, kek, nonce, data_key));
  return s;
}

static void test_slot(void **state) {
  (void)state;
  uint8_t golden[SLOT_SIZE], written[SLOT_SIZE], data_key[KEY_SIZE], expected[KEY_SIZE];
  struct slot_kek kek;
  struct slot s = golden_slot(&kek), read;
  assert_true(kek.id == GOLDEN_KEK_ID);
  assert_int_equal(test_golden("slot-key.hex", golden, sizeof golden), SLOT_SIZE);
  slot_encode(&s, written);
  assert_memory_equal(written, golden, SLOT_SIZE);
  OK(slot_decode(golden, &read));
  assert_true(read.seq == GOLDEN_SEQ && read.epoch == GOLDEN_EPOCH && read.region == TEST_REGION);
  OK(slot_unwrap(&read, &kek, data_key));
  count_up(expected, sizeof expected, 0x40);
  assert_memory_equal(data_key, expected, KEY_SIZE);
  s = slot_free(TEST_REGION, GOLDEN_SEQ);
  slot_encode(&s, written);
  assert_int_equal(test_golden("slot-free.hex", golden, sizeof golden), SLOT_SIZE);
  assert_memory_equal(written, golden, SLOT_SIZE);
  OK(slot_decode(golden, &read));
  assert_int_equal(read.state, SLOT_FREE);
}

/* A wrapped key opens only under what it is bound to. */
static void test_binding(void **state) {
  (void)state;
  struct slot_kek kek, other = {0};
  struct slot s = golden_slot(&kek), moved;
  uint8_t out[KEY_SIZE], key[KEY_SIZE] = {9};
  moved = s;
  moved.region++;
  assert_int_equal(slot_unwrap(&moved, &kek, out), DOM_CORRUPT);
  moved = s;
  moved.epoch++;
  assert_int_equal(slot_unwrap(&moved, &kek, out), DOM_CORRUPT);
  moved = s;
  moved.token[31] ^= 1;
  assert_int_equal(slot_unwrap(&moved, &kek, out), DOM_CORRUPT);
  slot_kek_init(&other, key);
  moved = s;
  moved.kek_id = other.id;
  assert_int_equal(slot_unwrap(&moved, &other, out), DOM_CORRUPT);
  other = kek; /* the same key under another id: the id is bound, too */
  other.id++;
  moved.kek_id = other.id;
  assert_int_equal(slot_unwrap(&moved, &other, out), DOM_CORRUPT);
  OK(slot_unwrap(&s, &kek, out));
}

static void test_every_bit(void **state) {
  (void)state;
  uint8_t golden[SLOT_SIZE];
  struct slot s;
  test_golden("slot-key.hex", golden, sizeof golden);
  for (size_t bit = 0; bit < SLOT_SIZE * 8; bit++) {
    golden[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(slot_decode(golden, &s), DOM_CORRUPT);
    golden[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  OK(slot_decode(golden, &s));
  memset(golden, 0, sizeof golden);
  assert_int_equal(slot_decode(golden, &s), DOM_CORRUPT); /* a lost sector is no free slot */
  memset(golden, 0xff, sizeof golden);
  assert_int_equal(slot_decode(golden, &s), DOM_CORRUPT);
}

/* What a newer program may have written, with a CRC that is right. */
static void test_unknown_slot(void **state) {
  (void)state;
  static const size_t places[] = {4, 5, 60, 63};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    uint8_t golden[SLOT_SIZE];
    struct slot s;
    test_golden("slot-key.hex", golden, sizeof golden);
    golden[places[i]] = 0x77;
    store_u32le(golden, crc32c(0, golden + 4, SLOT_SIZE - 4));
    assert_int_equal(slot_decode(golden, &s), DOM_CORRUPT);
  }
}

static void test_header(void **state) {
  (void)state;
  uint8_t edges[2 * HEADER_EDGE], whole[SLOT_HEADER_SIZE] = {0};
  assert_int_equal(test_golden("header.hex", edges, sizeof edges), sizeof edges);
  memcpy(whole, edges, HEADER_EDGE);
  memcpy(whole + SLOT_HEADER_SIZE - HEADER_EDGE, edges + HEADER_EDGE, HEADER_EDGE);
  struct slot_header h = {.region = TEST_REGION, .copy = 1}, read;
  count_up(h.vault_id, sizeof h.vault_id, 0x10);
  BUF_AUTO written = BUF_INIT;
  OK(slot_header_encode(&h, &written));
  assert_int_equal(written.len, sizeof whole);
  assert_memory_equal(written.data, whole, sizeof whole);
  OK(slot_header_decode(whole, &read, NULL));
  assert_memory_equal(read.vault_id, h.vault_id, sizeof h.vault_id);
  assert_true(read.region == h.region && read.copy == 1);
  whole[3000] ^= 1;
  assert_int_equal(slot_header_decode(whole, &read, NULL), DOM_CORRUPT);
  whole[3000] ^= 1;
  struct dom_err err = {0};
  whole[24] = 1; /* an incompatible feature */
  store_u32le(whole + SLOT_HEADER_SIZE - 4, crc32c(0, whole, SLOT_HEADER_SIZE - 4));
  assert_int_equal(slot_header_decode(whole, &read, &err), DOM_INCOMPATIBLE);
  whole[24] = 0;
  whole[16] = 1; /* a compatible one */
  store_u32le(whole + SLOT_HEADER_SIZE - 4, crc32c(0, whole, SLOT_HEADER_SIZE - 4));
  OK(slot_header_decode(whole, &read, NULL));
}

/* A vault made of the golden slot derives the golden key. */
static void test_derived(void **state) {
  (void)state;
  struct bench b = {.data = disk_sim_new(1), .keys = disk_sim_new(2)};
  static const char kek[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
  OK(disk_replace_file(b.keys, "kek-ddb56d151744e5c5", slice_str(kek), NULL));
  OK(disk_replace_file(b.keys, "current", SLICE_LIT("kek-ddb56d151744e5c5\n"), NULL));
  OK(bench_try_open(&b, true, NULL));
  vault_close(b.vault);
  uint8_t golden[SLOT_SIZE], id[VAULT_ID_SIZE], derived[KEY_SIZE], expected[KEY_SIZE];
  test_golden("slot-key.hex", golden, sizeof golden);
  struct disk_file *file = NULL;
  OK(disk_open(b.data, test_file(1), DISK_READ | DISK_WRITE, &file, NULL));
  OK(disk_write(file, TEST_HEADER_SIZE + 3 * TEST_SLOT_SIZE, golden, sizeof golden, NULL));
  disk_close(file);
  struct vault_options o = bench_options(&b, false);
  OK(vault_open(&o, &b.vault, NULL));
  struct vault_key key = {.epoch = GOLDEN_EPOCH};
  count_up(key.token, sizeof key.token, 0x80);
  count_up(id, sizeof id, 0);
  OK(vault_key_derive(b.vault, &key, "body", id, derived, NULL));
  assert_int_equal(test_golden("derived.hex", expected, sizeof expected), KEY_SIZE);
  assert_memory_equal(derived, expected, KEY_SIZE);
  bench_end(&b);
}

/* The index against a plain table, with hashes made to collide. */
static void test_index(void **state) {
  (void)state;
  enum { SLOTS = 4000, HASHES = 50 };
  static bool there[SLOTS];
  struct slot_index ix = {0};
  uint64_t random = 1;
  for (int round = 0; round < 40000; round++) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    uint32_t slot = (uint32_t)(random >> 33) % SLOTS, hash = slot % HASHES * 0x10001U;
    if (there[slot]) {
      assert_true(slot_index_remove(&ix, hash, slot));
    } else {
      assert_false(slot_index_remove(&ix, hash, slot));
      assert_true(slot_index_reserve(&ix, 1));
      slot_index_add(&ix, hash, slot);
    }
    there[slot] = !there[slot];
  }
  for (uint32_t hash = 0; hash < HASHES; hash++) {
    int found = 0, expected = 0;
    uint32_t slot = 0;
    for (size_t cursor = 0; slot_index_next(&ix, hash * 0x10001U, &cursor, &slot); found++) {
      assert_true(there[slot] && slot % HASHES == hash);
    }
    for (slot = hash; slot < SLOTS; slot += HASHES) expected += there[slot];
    assert_int_equal(found, expected);
  }
  slot_index_done(&ix);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slot),         cmocka_unit_test(test_binding), cmocka_unit_test(test_every_bit),
      cmocka_unit_test(test_unknown_slot), cmocka_unit_test(test_header),  cmocka_unit_test(test_derived),
      cmocka_unit_test(test_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
