/* The log: golden bytes, replay, torn tails, damage, reuse. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/codec.h"
#include "store/local/log.h"
#include "store/local/segment.h"

enum { SEGMENT = 128 << 10 };

struct seen {
  struct buf text; /* "lsn:first payload byte xlength;" */
  uint64_t last;
};

static enum dom_code seen_add(void *arg, const struct log_record *r, bool ends, struct dom_err *err) {
  struct seen *s = arg;
  (void)err;
  assert_true(r->lsn >= s->last);
  s->last = r->lsn;
  buf_printf(&s->text, "%llu:%c%zu%s", (unsigned long long)r->lsn, r->payload.data[0], r->payload.len,
             ends ? ";" : ",");
  return DOM_OK;
}

static enum dom_code log_try(struct disk *d, uint64_t after, struct seen *s, struct log **out,
                             struct dom_err *err) {
  struct log_options o = {.disk = d, .folder = "log", .segment_bytes = SEGMENT};
  return log_open(&o, after, seen_add, s, out, err);
}

static struct log *log_of(struct disk *d, uint64_t after, struct seen *s) {
  struct log *l = NULL;
  struct dom_err err = {0};
  assert_dom_ok(log_try(d, after, s, &l, &err), err);
  return l;
}

/* One batch: a record of `len` bytes c for each letter, all of one commit. */
static enum dom_code append_at(struct log *l, uint64_t lsn, const char *letters, size_t len,
                               struct log_locator *at) {
  struct log_record r[8] = {0};
  struct buf bytes[8] = {0};
  size_t n = strlen(letters);
  for (size_t i = 0; i < n; i++) {
    assert_true(buf_reserve(&bytes[i], len));
    memset(bytes[i].data, letters[i], len);
    r[i] = (struct log_record){.type = 1, .lsn = lsn, .payload = slice_of(bytes[i].data, len)};
    r[i].payload_crc = crc32c(0, bytes[i].data, len);
  }
  enum dom_code code = log_append(l, r, n, NULL);
  if (at) *at = r[0].at;
  for (size_t i = 0; i < n; i++) buf_done(&bytes[i]);
  return code;
}

static enum dom_code append(struct log *l, const char *letters, size_t len, struct log_locator *at) {
  return append_at(l, log_last_lsn(l) + 1, letters, len, at);
}

static void appends_and_replays(void **state) {
  struct disk *d = disk_sim_new(1);
  struct seen s = {0};
  struct log_locator at;
  struct dom_err err = {0};
  BUF_AUTO got = BUF_INIT;
  (void)state;
  struct log *l = log_of(d, 0, &s);
  assert_int_equal(append(l, "ab", 10, NULL), DOM_OK);
  assert_int_equal(append(l, "c", 5000, &at), DOM_OK);
  assert_dom_ok(log_read(l, at, &got, &err), err);
  assert_int_equal(got.len, 5000);
  assert_int_equal(got.data[4999], 'c');
  log_close(l);
  for (int i = 0; i < 3; i++) { /* every start begins a generation only when it writes */
    buf_reset(&s.text);
    s.last = 0;
    l = log_of(d, 0, &s);
    assert_string_equal(buf_str(&s.text), "1:a10,1:b10;2:c5000;");
    log_close(l);
  }
  buf_reset(&s.text);
  l = log_of(d, 1, &s);
  assert_string_equal(buf_str(&s.text), "2:c5000;");
  assert_int_equal(append(l, "d", 1, NULL), DOM_OK);
  log_close(l);
  buf_reset(&s.text);
  s.last = 0;
  l = log_of(d, 0, &s);
  assert_string_equal(buf_str(&s.text), "1:a10,1:b10;2:c5000;3:d1;");
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

static void fills_segments(void **state) {
  struct disk *d = disk_sim_new(2);
  struct seen s = {0};
  struct log_locator at;
  (void)state;
  struct log *l = log_of(d, 0, &s);
  for (int i = 0; i < 20; i++) assert_int_equal(append(l, "x", 30000, &at), DOM_OK);
  assert_int_equal(at.segment, 7); /* three batches of 8 blocks fit into 31 */
  assert_int_equal(at.generation, 7);
  log_close(l);
  buf_reset(&s.text);
  l = log_of(d, 17, &s);
  assert_string_equal(buf_str(&s.text), "18:x30000;19:x30000;20:x30000;");
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

/* Flips one bit of the batch in which a locator lies. */
static void flip(struct disk *d, struct log_locator at) {
  char path[64];
  snprintf(path, sizeof path, "log/%08u.seg", at.segment);
  assert_int_equal(disk_sim_flip(d, path, (uint64_t)at.offset * 8 + 300), DOM_OK);
}

static void torn_tail_never_was(void **state) {
  struct disk *d = disk_sim_new(3);
  struct seen s = {0};
  struct log_locator at;
  (void)state;
  struct log *l = log_of(d, 0, &s);
  assert_int_equal(append(l, "a", 10, NULL), DOM_OK);
  assert_int_equal(append(l, "b", 10, &at), DOM_OK);
  log_close(l);
  flip(d, at);
  l = log_of(d, 0, &s);
  assert_string_equal(buf_str(&s.text), "1:a10;");
  assert_int_equal(log_last_lsn(l), 1);
  assert_int_equal(append(l, "c", 10, NULL), DOM_OK); /* takes LSN 2, in a fresh generation */
  log_close(l);
  buf_reset(&s.text);
  s.last = 0;
  l = log_of(d, 0, &s);
  assert_string_equal(buf_str(&s.text), "1:a10;2:c10;");
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

/* LSNs are left out, by one and by very many, behind an empty log and a full one: replay goes on at each of
 * them, also after a start; what rots before the gap is damage as ever. */
static void leaps(void **state) {
  struct disk *d = disk_sim_new(8);
  struct seen s = {0};
  struct dom_err err = {0};
  struct log_locator last;
  struct log *l = log_of(d, 0, &s);
  (void)state;
  assert_int_equal(append_at(l, 5, "a", 10, NULL), DOM_OK);
  assert_int_equal(append(l, "b", 10, NULL), DOM_OK);
  assert_int_equal(append_at(l, 8, "c", 10, &last), DOM_OK);
  log_close(l);
  l = log_of(d, 0, &s);
  assert_int_equal(append_at(l, UINT64_C(1) << 60, "d", 10, NULL), DOM_OK);
  assert_int_equal(append(l, "e", 10, NULL), DOM_OK);
  log_close(l);
  const char *const want[] = {"5:a10;6:b10;8:c10;1152921504606846976:d10;1152921504606846977:e10;",
                              "6:b10;8:c10;1152921504606846976:d10;1152921504606846977:e10;",
                              "1152921504606846976:d10;1152921504606846977:e10;"};
  const uint64_t after[] = {0, 5, 8};
  for (int i = 0; i < 3; i++) {
    buf_reset(&s.text);
    s.last = 0;
    l = log_of(d, after[i], &s);
    assert_string_equal(buf_str(&s.text), want[i]);
    assert_int_equal(log_last_lsn(l), (UINT64_C(1) << 60) + 1);
    log_close(l);
    l = NULL;
  }
  flip(d, last);
  s.last = 0;
  assert_int_equal(log_try(d, 0, &s, &l, &err), DOM_CORRUPT);
  assert_non_null(strstr(err.text, "fsck"));
  buf_done(&s.text);
  disk_sim_free(d);
}

static void damage_is_told(void **state) {
  (void)state;
  for (int which = 0; which < 4; which++) {
    struct disk *d = disk_sim_new(4);
    struct seen s = {0};
    struct log_locator at[8];
    struct log *l = log_of(d, 0, &s);
    struct dom_err err = {0};
    for (int i = 0; i < 8; i++) assert_int_equal(append(l, "x", 30000, &at[i]), DOM_OK);
    log_close(l);
    l = NULL;
    if (which == 0) flip(d, at[0]);                              /* within a segment */
    if (which == 1) flip(d, at[2]);                              /* at a segment's end */
    if (which == 2) flip(d, (struct log_locator){.segment = 2}); /* a header */
    if (which == 3) assert_int_equal(disk_unlink(d, "log/00000002.seg", NULL), DOM_OK);
    assert_int_equal(log_try(d, 0, &s, &l, &err), DOM_CORRUPT);
    assert_non_null(strstr(err.text, "fsck"));
    buf_done(&s.text);
    disk_sim_free(d);
  }
}

static void bad_record_is_not_served(void **state) {
  struct disk *d = disk_sim_new(5);
  struct seen s = {0};
  struct log_locator at;
  BUF_AUTO got = BUF_INIT;
  (void)state;
  struct log *l = log_of(d, 0, &s);
  assert_int_equal(append(l, "a", 100, &at), DOM_OK);
  flip(d, at);
  assert_int_equal(log_read(l, at, &got, NULL), DOM_CORRUPT);
  at.generation++;
  assert_int_equal(log_read(l, at, &got, NULL), DOM_RETRY);
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

static void reuse(void **state) {
  struct disk *d = disk_sim_new(6);
  struct seen s = {0};
  struct log_locator at[6], fresh;
  BUF_AUTO got = BUF_INIT;
  (void)state;
  struct log *l = log_of(d, 0, &s);
  for (int i = 0; i < 6; i++) assert_int_equal(append(l, "x", 30000, &at[i]), DOM_OK);
  assert_int_equal(append(l, "y", 30000, NULL), DOM_OK);
  log_horizon(l, 5);
  assert_true(log_pin(l, at[0]));
  assert_int_equal(log_release(l, 1, 1, NULL), DOM_BUSY);
  log_unpin(l, at[0]);
  assert_int_equal(log_release(l, 1, 1, NULL), DOM_OK);
  assert_false(log_pin(l, at[0]));
  assert_int_equal(log_read(l, at[0], &got, NULL), DOM_RETRY);
  for (int i = 0; i < 3; i++) assert_int_equal(append(l, "z", 30000, &fresh), DOM_OK);
  assert_int_equal(fresh.segment, 1);
  assert_int_equal(fresh.generation, 4);
  log_close(l);
  buf_reset(&s.text);
  l = log_of(d, 0, &s); /* a hole below the horizon is right */
  assert_string_equal(buf_str(&s.text), "4:x30000;5:x30000;6:x30000;7:y30000;8:z30000;9:z30000;10:z30000;");
  assert_int_equal(log_last_lsn(l), 10);
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

static void failed_write_is_final(void **state) {
  struct disk *d = disk_sim_new(7);
  struct seen s = {0};
  (void)state;
  struct log *l = log_of(d, 0, &s);
  assert_int_equal(append(l, "a", 10, NULL), DOM_OK);
  disk_sim_fail_after(d, 1, DOM_IO);
  assert_int_equal(append(l, "b", 10, NULL), DOM_IO);
  assert_false(log_usable(l));
  assert_int_equal(append(l, "b", 10, NULL), DOM_READ_ONLY);
  log_close(l);
  buf_done(&s.text);
  disk_sim_free(d);
}

/* Makes spares when told, and says so, without a word that orders memory: what the writer does then is
 * ordered after it by the log's own lock or not at all. */
struct spares {
  struct log *log;
  _Atomic int turn; /* 0 the writer's, 1 the maker's, 2 the writer's again */
};

static void turn_await(struct spares *s, int turn) {
  while (atomic_load_explicit(&s->turn, memory_order_relaxed) != turn) sched_yield();
}

static void *spares_make(void *arg) {
  struct spares *s = arg;
  turn_await(s, 1);
  assert_int_equal(log_prepare(s->log, NULL), DOM_OK);
  atomic_store_explicit(&s->turn, 2, memory_order_relaxed);
  return NULL;
}

/* The table of segments moves in memory when it grows, which the upkeep thread does while the writer appends.
 * ThreadSanitizer sees any look at it without its lock. */
static void table_moves_beside_appends(void **state) {
  enum { PLACES = 17, FULL = 3 * PLACES }; /* of a new table; three batches fill a segment */
  struct disk *d = disk_sim_new(8);
  struct seen seen = {0};
  struct spares s = {.log = log_of(d, 0, &seen)};
  struct log_locator at;
  pthread_t maker;
  (void)state;
  assert_int_equal(pthread_create(&maker, NULL, spares_make, &s), 0);
  for (int i = 0; i < FULL; i++) assert_int_equal(append(s.log, "x", 30000, &at), DOM_OK);
  assert_int_equal(at.segment, PLACES);
  atomic_store_explicit(&s.turn, 1, memory_order_relaxed);
  turn_await(&s, 2);
  assert_int_equal(append(s.log, "y", 30000, &at), DOM_OK);
  assert_int_equal(at.segment, PLACES + 1);
  assert_int_equal(pthread_join(maker, NULL), 0);
  log_close(s.log);
  buf_done(&seen.text);
  disk_sim_free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends_and_replays),
      cmocka_unit_test(fills_segments),
      cmocka_unit_test(torn_tail_never_was),
      cmocka_unit_test(leaps),
      cmocka_unit_test(damage_is_told),
      cmocka_unit_test(bad_record_is_not_served),
      cmocka_unit_test(reuse),
      cmocka_unit_test(failed_write_is_final),
      cmocka_unit_test(table_moves_beside_appends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
