#include "wire_testing.h"

#include "wire/nonce.h"

static void nonce_of(uint32_t i, uint8_t out[WIRE_ENVELOPE_NONCE_SIZE]) {
  /* Only four bits of the place differ: entries collide and have to be probed for. */
  memset(out, 0, WIRE_ENVELOPE_NONCE_SIZE);
  out[0] = (uint8_t)(i & 15);
  memcpy(out + 8, &i, sizeof i);
}

static enum dom_code add(struct nonces *n, uint32_t i, uint64_t now_ms) {
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE];
  nonce_of(i, nonce);
  return nonces_add(n, 1, nonce, now_ms);
}

static void test_seen(void **state) {
  (void)state;
  struct nonces *n = nonces_new(1000, 100000, 0);
  for (uint32_t i = 0; i < 5000; i++) assert_int_equal(add(n, i, 1), DOM_OK);
  for (uint32_t i = 0; i < 5000; i++) assert_int_equal(add(n, i, 2), DOM_EXISTS);
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE];
  nonce_of(7, nonce);
  assert_int_equal(nonces_add(n, 2, nonce, 3), DOM_OK); /* another region's */
  nonces_free(n);
}

/* A nonce is known for a window at least, wherever in a window it was added. */
static void test_windows(void **state) {
  (void)state;
  for (uint64_t added = 0; added < 300; added += 7) {
    struct nonces *n = nonces_new(100, 100000, 0);
    assert_int_equal(add(n, 1, added), DOM_OK);
    for (uint64_t at = added; at <= added + 100; at += 10) assert_int_equal(add(n, 1, at), DOM_EXISTS);
    (void)add(n, 2, added + 200);
    (void)add(n, 3, added + 300);
    assert_int_equal(add(n, 1, added + 300), DOM_OK); /* and forgotten in the end */
    nonces_free(n);
  }
}

static void test_full(void **state) {
  (void)state;
  struct nonces *n = nonces_new(100, 50, 0);
  for (uint32_t i = 0; i < 50; i++) assert_int_equal(add(n, i, 1), DOM_OK);
  assert_int_equal(add(n, 50, 1), DOM_BUSY);
  assert_int_equal(add(n, 3, 1), DOM_EXISTS);
  assert_int_equal(add(n, 50, 101), DOM_OK);
  nonces_free(n);
}

static void test_clock(void **state) {
  (void)state;
  struct nonces *n = nonces_new(100, 50, 1000);
  assert_int_equal(nonces_now(n, 1500), 1500);
  assert_int_equal(nonces_now(n, 1400), 1500);
  assert_int_equal(nonces_now(n, 1501), 1501);
  nonces_free(n);
}

static void test_memory(void **state) {
  (void)state;
  int64_t before = dom_alloc_live();
  for (uint64_t i = 0; i < 4; i++) {
    dom_alloc_fail_after(i, 0);
    struct nonces *n = nonces_new(100, 5000, 0);
    if (n != NULL) {
      uint32_t k = 0;
      enum dom_code c = DOM_OK;
      while (k < 600 && c == DOM_OK) c = add(n, k++, 1);
      assert_int_equal(c, i == 3 ? DOM_NO_MEMORY : DOM_OK);
    }
    dom_alloc_fail_after(UINT64_MAX, 0);
    nonces_free(n);
    assert_int_equal(dom_alloc_live(), before);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_seen), cmocka_unit_test(test_windows),
                                     cmocka_unit_test(test_full), cmocka_unit_test(test_clock),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
