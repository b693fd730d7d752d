/* Compaction: the log stays small, nothing needed goes, nothing deleted returns. */
#include "../../lib/alone.h"
#include "harness.h"

enum { SMALL = 64 << 10 };

static void region_small(struct region *r, uint64_t seed, bool inline_threads) {
  struct dom_err err = {0};
  region_init(r, seed, inline_threads);
  r->segment_bytes = SMALL;
  assert_dom_ok(region_reopen(r, &err), err);
}

/* Upkeep until it finds nothing to do. */
static void upkeep_all(struct region *r) {
  struct dom_err err = {0};
  bool did = true;
  for (int i = 0; did; i++) {
    assert_true(i < 10000);
    assert_dom_ok(store_upkeep(r->store, &did, &err), err);
  }
}

static void key_of(uint32_t i, char out[32]) {
  snprintf(out, 32, "p/%u", i);
}

static void put_version(struct region *r, uint32_t key, uint32_t version) {
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  char name[32], body[64];
  key_of(key, name);
  snprintf(body, sizeof body, "content %u of key %u", version, key);
  assert_dom_ok(put_bytes(r, &p, slice_str(name), slice_str(body), &err), err);
}

static void expect_version(struct region *r, uint32_t key, uint32_t version) {
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  char name[32], body[64];
  BUF_AUTO got = BUF_INIT;
  key_of(key, name);
  snprintf(body, sizeof body, "content %u of key %u", version, key);
  assert_dom_ok(get_bytes(r, &p, slice_str(name), &got, &err), err);
  assert_string_equal(buf_str(&got), body);
}

static void expect_absent(struct region *r, uint32_t key) {
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  char name[32];
  BUF_AUTO got = BUF_INIT;
  key_of(key, name);
  assert_int_equal(get_bytes(r, &p, slice_str(name), &got, &err), DOM_NOT_FOUND);
}

/* 50,000 overwrites of 500 keys would be 200 MiB of log; a tenth still turns the segments over. */
static void stays_small(void **state) {
  enum { KEYS = 500, ROUNDS = ROUNDS_ALONE(100), EVERY = 64 };
  struct region r;
  struct dom_err err = {0};
  struct store_stats stats;
  uint64_t most = 0;
  (void)state;
  region_small(&r, 41, true);
  subject_home(&r, 1, 1);
  for (uint32_t i = 0; i < KEYS * ROUNDS; i++) {
    bool did = false;
    put_version(&r, i % KEYS, i / KEYS);
    if (i % 8 == 0) assert_dom_ok(store_upkeep(r.store, &did, &err), err);
    if (i % EVERY != 0) continue;
    store_stats(r.store, &stats);
    if (stats.segments > most) most = stats.segments;
  }
  upkeep_all(&r);
  store_stats(r.store, &stats);
  assert_true(most <= 40);
  assert_true(stats.log_bytes <= 16 * SMALL);
  for (uint32_t k = 0; k < KEYS; k++) expect_version(&r, k, ROUNDS - 1);
  store_close(r.store);
  r.store = NULL;
  index_wipe(&r);
  assert_dom_ok(region_reopen(&r, &err), err);
  for (uint32_t k = 0; k < KEYS; k++) expect_version(&r, k, ROUNDS - 1);
  region_done(&r);
}

/* The same with the store's own threads; the bound holds once they have caught up. */
static void threads_compact(void **state) {
  enum { KEYS = 100, ROUNDS = 50 };
  struct region r;
  struct store_stats stats;
  (void)state;
  region_small(&r, 42, false);
  subject_home(&r, 1, 1);
  for (uint32_t i = 0; i < KEYS * ROUNDS; i++) put_version(&r, i % KEYS, i / KEYS);
  upkeep_all(&r);
  store_stats(r.store, &stats);
  assert_true(stats.log_bytes <= 16 * SMALL);
  for (uint32_t k = 0; k < KEYS; k++) expect_version(&r, k, ROUNDS - 1);
  region_done(&r);
}

/* Deletes outlive what they deleted, and not much longer. */
static void deletes_hold(void **state) {
  enum { KEYS = 300 };
  struct region r;
  struct dom_err err = {0};
  struct store_stats stats;
  struct store_place p = place_of(8, 1, 1, "p/");
  (void)state;
  region_small(&r, 43, true);
  subject_home(&r, 1, 1);
  for (uint32_t k = 0; k < KEYS; k++) put_version(&r, k, 1);
  for (uint32_t k = 0; k < KEYS; k++) {
    char name[32];
    key_of(k, name);
    if (k % 3) assert_dom_ok(delete_key(&r, &p, slice_str(name), &err), err);
    if (k % 50 == 0) upkeep_all(&r);
  }
  for (int round = 0; round < 3; round++) {
    upkeep_all(&r);
    store_close(r.store);
    r.store = NULL;
    index_wipe(&r);
    assert_dom_ok(region_reopen(&r, &err), err);
    for (uint32_t k = 0; k < KEYS; k++) {
      if (k % 3)
        expect_absent(&r, k);
      else
        expect_version(&r, k, 1);
    }
  }
  for (uint32_t k = 0; k < KEYS; k += 3) {
    char name[32];
    key_of(k, name);
    assert_dom_ok(delete_key(&r, &p, slice_str(name), &err), err);
  }
  upkeep_all(&r);
  store_stats(r.store, &stats);
  assert_true(stats.log_bytes <= 4 * SMALL);
  region_done(&r);
}

static bool entry_list(void *arg, const struct store_entry *e) {
  struct buf *out = arg;
  buf_printf(out, "%llu.%u:%.*s/%02x/%.*s ", (unsigned long long)e->lsn, e->position, (int)e->entry.len,
             (const char *)e->entry.data, e->opening[0], (int)e->payload.len, (const char *)e->payload.data);
  return true;
}

static void entry_commit(struct region *r, const char *first, const char *second) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE], opening[16] = {0x5a};
  token_of(token, 1);
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_entry(tx, token, slice_str(first), opening, SLICE_LIT("pay"), &err), err);
  assert_dom_ok(store_tx_entry(tx, NULL, slice_str(second), opening, SLICE_LIT(""), &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
}

/* Entries stay, openings with them; what the ledger has not taken keeps its segment. */
static void entries_survive(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_stats written, before, after;
  BUF_AUTO was = BUF_INIT;
  BUF_AUTO is = BUF_INIT;
  (void)state;
  region_small(&r, 44, true);
  subject_home(&r, 1, 1);
  entry_commit(&r, "one", "two");
  for (uint32_t i = 0; i < 200; i++) put_version(&r, i % 5, i);
  entry_commit(&r, "three", "four");
  store_stats(r.store, &written);
  assert_dom_ok(store_outbox_scan(r.store, 0, entry_list, &was, &err), err);
  upkeep_all(&r);
  store_stats(r.store, &before);
  store_ledger_reached(r.store, before.applied_lsn);
  upkeep_all(&r);
  store_stats(r.store, &after);
  assert_true(before.log_bytes >= 8 * SMALL); /* the outbox held it */
  assert_true(after.log_bytes <= 4 * SMALL);
  assert_false(store_outbox_wait(r.store, written.applied_lsn, 0)); /* copies are not news */
  assert_dom_ok(store_outbox_scan(r.store, 0, entry_list, &is, &err), err);
  assert_string_equal(buf_str(&is), buf_str(&was));
  store_close(r.store);
  r.store = NULL;
  index_wipe(&r);
  assert_dom_ok(region_reopen(&r, &err), err);
  buf_reset(&is);
  assert_dom_ok(store_outbox_scan(r.store, 0, entry_list, &is, &err), err);
  assert_string_equal(buf_str(&is), buf_str(&was));
  region_done(&r);
}

/* An object being read keeps its segment; the next step gives it up. */
static void pins_hold(void **state) {
  enum { BIG = 300 << 10 };
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_found *f = NULL;
  struct store_place p = place_of(8, 1, 1, "p/");
  BUF_AUTO body = BUF_INIT;
  uint8_t part[1000];
  size_t len = 0;
  (void)state;
  region_init(&r, 45, true);
  r.segment_bytes = 1 << 20;
  assert_dom_ok(region_reopen(&r, &err), err);
  subject_home(&r, 1, 1);
  for (uint32_t i = 0; i < BIG; i++) buf_append_byte(&body, (uint8_t)(i * 7 + i / 999));
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("p/big"), buf_slice(&body), &err), err);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  assert_dom_ok(store_object_get(v, PERMIT_READ, &permit_any, &p, SLICE_LIT("p/big"), &f, &err), err);
  store_view_close(v);
  for (uint32_t i = 0; i < 600; i++) put_version(&r, i % 5, i);
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("p/big"), &err), err);
  upkeep_all(&r);
  for (uint64_t at = 0; at < BIG; at += sizeof part) {
    assert_dom_ok(store_found_read(f, at, part, sizeof part, &len, &err), err);
    assert_memory_equal(part, body.data + at, len);
  }
  store_found_free(f);
  upkeep_all(&r);
  for (uint32_t k = 0; k < 5; k++) expect_version(&r, k, 595 + k);
  region_done(&r);
}

/* What a view shows stays readable through it, though it was overwritten and compacted away since. */
static void views_hold(void **state) {
  enum { KEYS = 5, VERSIONS = 600 };
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_stats stats;
  (void)state;
  region_small(&r, 46, true);
  subject_home(&r, 1, 1);
  for (uint32_t k = 0; k < KEYS; k++) put_version(&r, k, 0);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  for (uint32_t i = 1; i < VERSIONS; i++) {
    for (uint32_t k = 0; k < KEYS; k++) put_version(&r, k, i);
    if (i % 50 == 0) upkeep_all(&r);
  }
  for (uint32_t k = 0; k < KEYS; k++) {
    struct store_place p = place_of(8, 1, 1, "p/");
    struct store_found *f = NULL;
    char name[32], want[64], got[64];
    size_t len = 0;
    key_of(k, name);
    snprintf(want, sizeof want, "content 0 of key %u", k);
    assert_dom_ok(store_object_get(v, PERMIT_READ, &permit_any, &p, slice_str(name), &f, &err), err);
    assert_dom_ok(store_found_read(f, 0, got, sizeof got, &len, &err), err);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(got, want, len);
    store_found_free(f);
  }
  store_view_close(v);
  upkeep_all(&r);
  store_stats(r.store, &stats);
  assert_true(stats.log_bytes <= 16 * SMALL); /* and goes once nobody looks */
  region_done(&r);
}

/* While people are taken out of the store what is half dead stays, as long as less is dead than is free.
 * Afterwards it is as ever. */
static void drained(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_stats before, meanwhile, full, after;
  (void)state;
  region_small(&r, 47, true);
  subject_home(&r, 1, 1);
  store_drain_begin(r.store);
  store_drain_begin(r.store);
  store_drain_end(r.store);
  /* one key of ten is written once: a little lives in each segment */
  for (uint32_t i = 0; i < 12000; i++) put_version(&r, i % 10 ? i % 7 : 1000 + i, 3);
  store_stats(r.store, &before);
  upkeep_all(&r);
  store_stats(r.store, &meanwhile);
  assert_true(meanwhile.log_bytes * 10 > before.log_bytes * 9);
  disk_sim_set_free(r.disk, meanwhile.log_bytes / 2); /* far from the reserve, which is a byte here */
  upkeep_all(&r);
  store_stats(r.store, &full);
  assert_true(full.log_bytes * 4 < meanwhile.log_bytes * 3);
  store_drain_end(r.store);
  upkeep_all(&r);
  store_stats(r.store, &after);
  assert_true(after.log_bytes * 4 < full.log_bytes);
  for (uint32_t i = 0; i < 12000; i += 10) expect_version(&r, 1000 + i, 3);
  assert_dom_ok(region_reopen(&r, &err), err);
  for (uint32_t i = 0; i < 12000; i += 10) expect_version(&r, 1000 + i, 3);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stays_small),     cmocka_unit_test(threads_compact), cmocka_unit_test(deletes_hold),
      cmocka_unit_test(entries_survive), cmocka_unit_test(pins_hold),       cmocka_unit_test(views_hold),
      cmocka_unit_test(drained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
