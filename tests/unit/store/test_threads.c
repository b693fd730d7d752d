/* Many committing and reading threads over one store with its own writer and upkeep threads. */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 16, ROUNDS = 60 };

static struct region region;
static atomic_uint failures, retries;

static void check(bool ok) {
  if (!ok) failures++;
}

/* Adds one to a row that all threads share: guards must lose no addition. */
static void counter_add(void) {
  enum dom_code code;
  do {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    BUF_AUTO value = BUF_INIT;
    uint64_t n = 0;
    code = store_view_open(region.store, &v, NULL);
    check(code == DOM_OK);
    if (store_row_get(v, STORE_TABLE_META, SLICE_LIT("counter"), &value, NULL) == DOM_OK)
      memcpy(&n, value.data, sizeof n);
    n++;
    check(store_tx_begin(region.store, v, &tx, NULL) == DOM_OK);
    check(store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("counter"), slice_of(&n, sizeof n), NULL) ==
          DOM_OK);
    code = store_tx_commit_take(tx, NULL, NULL);
    store_view_close(v);
    if (code == DOM_RETRY) retries++;
  } while (code == DOM_RETRY);
  check(code == DOM_OK);
}

static void *worker(void *arg) {
  const unsigned me = *(const unsigned *)arg;
  struct store_place p = place_of(9, 1, 1, "a/");
  struct dom_err err;
  char key[32];
  for (unsigned i = 0; i < ROUNDS; i++) {
    BUF_AUTO got = BUF_INIT;
    snprintf(key, sizeof key, "a/%u/%u", me, i % 7);
    check(put_bytes(&region, &p, slice_str(key), slice_str(key), &err) == DOM_OK);
    check(get_bytes(&region, &p, slice_str(key), &got, &err) == DOM_OK &&
          slice_equal(buf_slice(&got), slice_str(key)));
    check(put_bytes(&region, &p, SLICE_LIT("a/shared"), slice_str(key), &err) == DOM_OK);
    if (i % 5 == 0) check(delete_key(&region, &p, slice_str(key), &err) == DOM_OK);
    if (i % 9 == 0) {
      struct store_stats stats;
      store_stats(region.store, &stats);
      check(stats.writable);
    }
    counter_add();
  }
  return NULL;
}

static void many_threads(void **state) {
  pthread_t threads[THREADS];
  unsigned numbers[THREADS];
  struct dom_err err = {0};
  BUF_AUTO value = BUF_INIT;
  struct store_view *v = NULL;
  uint64_t n = 0;
  (void)state;
  region_init(&region, 41, false);
  subject_home(&region, 1, 1);
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    assert_int_equal(pthread_create(&threads[i], NULL, worker, &numbers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(failures, 0);
  assert_dom_ok(region_reopen(&region, &err), err);
  assert_dom_ok(store_view_open(region.store, &v, &err), err);
  assert_dom_ok(store_row_get(v, STORE_TABLE_META, SLICE_LIT("counter"), &value, &err), err);
  memcpy(&n, value.data, sizeof n);
  assert_int_equal(n, THREADS * ROUNDS);
  store_view_close(v);
  region_done(&region);
}

/* ---- one epoch, erased by several at once: a peer's message and upkeep may both come to it ------------- */

enum { ERASERS = 4, ERASED_OBJECTS = 1500, ERASED_EPOCHS = 6 };

static pthread_barrier_t all_ready;

static void *eraser(void *arg) {
  uint8_t token[TOKEN_SIZE];
  token_of(token, 1);
  pthread_barrier_wait(&all_ready);
  check(store_epoch_erase(region.store, &permit_any, token, *(const uint64_t *)arg, NULL) == DOM_OK);
  return NULL;
}

static uint64_t live_bytes(void) {
  struct store_stats stats;
  store_stats(region.store, &stats);
  return stats.log_live_bytes;
}

/* Each record is counted off once: what is left is what an index made from the log counts. */
static void erased_by_many(void **state) {
  struct dom_err err = {0};
  (void)state;
  region_init(&region, 42, false);
  failures = 0;
  for (uint64_t epoch = 1; epoch <= ERASED_EPOCHS; epoch++) {
    pthread_t threads[ERASERS];
    struct vault_key key = {.epoch = epoch};
    struct store_place p = place_of(9, 1, epoch, "a/");
    char name[32];
    token_of(key.token, 1);
    subject_home(&region, 1, epoch);
    for (int i = 0; i < ERASED_OBJECTS; i++) {
      snprintf(name, sizeof name, "a/%d", i);
      assert_dom_ok(put_bytes(&region, &p, slice_str(name), slice_str(name), &err), err);
    }
    assert_dom_ok(vault_key_drop(store_vault(region.store), &key, 1, NULL, &err), err);
    pthread_barrier_init(&all_ready, NULL, ERASERS);
    for (int i = 0; i < ERASERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, eraser, &epoch), 0);
    for (int i = 0; i < ERASERS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_ready);
  }
  assert_int_equal(failures, 0);
  uint64_t before = live_bytes();
  store_close(region.store);
  region.store = NULL;
  index_wipe(&region);
  assert_dom_ok(region_reopen(&region, &err), err);
  assert_int_equal(before, live_bytes());
  region_done(&region);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads), cmocka_unit_test(erased_by_many)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
