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

/* ---- bodies of several, collected by several beside compaction and a new index ------------------------- */

enum { LEAVERS = 4, LEAVER_BODIES = 30, LEAVER_KEYS = 10 };

struct leaver {
  uint8_t fill;
  uint8_t ids[LEAVER_BODIES][STORE_BODY_ID_SIZE];
};
static atomic_uint leavers_left;

static bool body_is_there(const uint8_t id[STORE_BODY_ID_SIZE]) {
  struct disk_info info;
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "bodies/%02x/", id[0]);
  hex_encode(&path, slice_of(id, STORE_BODY_ID_SIZE));
  return disk_stat(region.disk, buf_str(&path), &info, NULL) == DOM_OK;
}

static enum dom_code body_put(const struct store_place *p, const char *key, struct store_body_ref *ref) {
  static const uint8_t bytes[70000];
  struct store_body *b = NULL;
  struct store_object o = {.key = slice_str(key), .size = sizeof bytes, .bodies = ref, .body_count = 1};
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  enum dom_code code =
      store_body_create(region.store, PERMIT_STORE, &permit_any, p->token, p->epoch, &b, NULL);
  if (!code) code = store_body_append(b, slice_of(bytes, sizeof bytes), NULL);
  if (!code) code = store_body_seal_take(b, ref, NULL);
  if (code) return code;
  do {
    check(store_view_open(region.store, &v, NULL) == DOM_OK);
    check(store_tx_begin(region.store, v, &tx, NULL) == DOM_OK);
    check(store_tx_put(tx, &permit_any, p, &o, NULL) == DOM_OK);
    code = store_tx_commit_take(tx, NULL, NULL);
    store_view_close(v);
  } while (code == DOM_RETRY);
  return code;
}

/* Erased means that the files are gone, whoever unlinked them. */
static void *leaver_main(void *arg) {
  struct leaver *l = arg;
  struct store_place p = place_of(9, l->fill, 1, "a/");
  struct vault_key key = {.epoch = 1};
  char name[32];
  token_of(key.token, l->fill);
  store_drain_begin(region.store);
  for (int i = 0; i < LEAVER_BODIES; i++) {
    struct store_body_ref ref = {0};
    snprintf(name, sizeof name, "a/%u/%d", l->fill, i % LEAVER_KEYS);
    check(body_put(&p, name, &ref) == DOM_OK);
    memcpy(l->ids[i], ref.id, sizeof ref.id);
  }
  check(vault_key_drop(store_vault(region.store), &key, 1, NULL, NULL) == DOM_OK);
  check(store_epoch_erase(region.store, &permit_any, key.token, 1, NULL) == DOM_OK);
  for (int i = LEAVER_BODIES - LEAVER_KEYS; i < LEAVER_BODIES; i++) check(!body_is_there(l->ids[i]));
  store_drain_end(region.store);
  atomic_fetch_sub(&leavers_left, 1);
  return NULL;
}

static void collected_by_many(void **state) {
  struct leaver leavers[LEAVERS];
  pthread_t threads[LEAVERS];
  struct dom_err err = {0};
  bool did = true;
  (void)state;
  region_init(&region, 43, false);
  failures = 0;
  for (int i = 0; i < LEAVERS; i++) {
    leavers[i].fill = (uint8_t)(i + 1);
    subject_home(&region, leavers[i].fill, 1);
  }
  atomic_store(&leavers_left, LEAVERS);
  for (int i = 0; i < LEAVERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, leaver_main, &leavers[i]), 0);
  while (atomic_load(&leavers_left) > 0) {
    enum dom_code code = store_names_purge(region.store, &err);
    if (code != DOM_BUSY) assert_dom_ok(code, err);
    assert_dom_ok(store_upkeep(region.store, &did, &err), err);
  }
  for (int i = 0; i < LEAVERS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(failures, 0);
  for (did = true; did;) assert_dom_ok(store_upkeep(region.store, &did, &err), err);
  for (int i = 0; i < LEAVERS; i++)
    for (int k = 0; k < LEAVER_BODIES; k++) assert_false(body_is_there(leavers[i].ids[k]));
  region_done(&region);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads), cmocka_unit_test(erased_by_many),
                                     cmocka_unit_test(collected_by_many)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
