/* Listing against a naive oracle, over random names of few bytes, with delimiters, prefixes,
 * pages, several subjects and epochs that must not show. */
#include "harness.h"

enum { KEYS_MAX = 120, SUBJECTS = 4 };

struct oracle {
  struct buf keys[KEYS_MAX];
  uint32_t count;
};

static uint32_t rng_state;
static uint32_t rng(uint32_t below) {
  rng_state = rng_state * 1664525u + 1013904223u;
  return (rng_state >> 8) % below;
}

static int by_bytes(const void *a, const void *b) {
  return slice_compare(buf_slice(a), buf_slice(b));
}

static void random_name(struct buf *out, const char *prefix) {
  static const uint8_t letters[] = {0x00, 0x01, 0xff, 0xfe, '/', 'a', 'b', '-'};
  uint32_t len = 1 + rng(5);
  buf_append_str(out, prefix);
  for (uint32_t i = 0; i < len; i++) buf_append_byte(out, letters[rng(sizeof letters)]);
}

static void oracle_add(struct oracle *o, struct slice key) {
  for (uint32_t i = 0; i < o->count; i++) {
    if (slice_equal(buf_slice(&o->keys[i]), key)) return;
  }
  assert_true(o->count < KEYS_MAX);
  buf_append_slice(&o->keys[o->count++], key);
}

static void oracle_remove(struct oracle *o, struct slice key) {
  for (uint32_t i = 0; i < o->count; i++) {
    if (!slice_equal(buf_slice(&o->keys[i]), key)) continue;
    buf_done(&o->keys[i]);
    o->keys[i] = o->keys[--o->count];
    o->keys[o->count] = BUF_INIT;
    return;
  }
}

/* What a listing of everything must say: the definition, spelt out. */
static void oracle_list(struct oracle *o, struct slice prefix, struct slice delimiter, struct buf *out) {
  struct slice last = {0};
  qsort(o->keys, o->count, sizeof o->keys[0], by_bytes);
  for (uint32_t i = 0; i < o->count; i++) {
    struct slice key = buf_slice(&o->keys[i]);
    if (!slice_starts_with(key, prefix)) continue;
    const uint8_t *cut =
        delimiter.len && key.len > prefix.len
            ? memmem(key.data + prefix.len, key.len - prefix.len, delimiter.data, delimiter.len)
            : NULL;
    struct slice common =
        cut ? slice_of(key.data, (size_t)(cut - key.data) + delimiter.len) : (struct slice){0};
    if (cut && last.data && slice_equal(common, last)) continue;
    if (cut) buf_append_byte(out, '+');
    buf_append_slice(out, cut ? common : key);
    buf_append_byte(out, '\n');
    last = cut ? common : (struct slice){0};
  }
}

static void check_all(struct region *r, struct oracle *o) {
  static const struct slice prefixes[] = {{NULL, 0},
                                          {(const uint8_t *)"s1/", 3},
                                          {(const uint8_t *)"s2/a", 4},
                                          {(const uint8_t *)"s", 1},
                                          {(const uint8_t *)"s0/\x00", 4},
                                          {(const uint8_t *)"zz", 2}};
  static const struct slice delimiters[] = {{NULL, 0},
                                            {(const uint8_t *)"/", 1},
                                            {(const uint8_t *)"a", 1},
                                            {(const uint8_t *)"\x00", 1},
                                            {(const uint8_t *)"\xff\xfe", 2}};
  static const uint32_t pages[] = {1, 3, 1000};
  for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
    for (size_t d = 0; d < sizeof delimiters / sizeof *delimiters; d++) {
      BUF_AUTO want = BUF_INIT;
      oracle_list(o, prefixes[p], delimiters[d], &want);
      for (size_t n = 0; n < 3; n++) {
        BUF_AUTO got = BUF_INIT;
        list_all(r, 9, prefixes[p], delimiters[d], pages[n], &got);
        assert_int_equal(got.len, want.len);
        if (want.len) assert_memory_equal(got.data, want.data, want.len);
      }
    }
  }
}

static void against_oracle(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 6; seed++) {
    struct region r;
    struct oracle o = {.count = 0};
    struct dom_err err = {0};
    rng_state = seed * 77;
    region_init(&r, seed, true);
    for (uint8_t t = 0; t < SUBJECTS; t++) subject_home(&r, (uint8_t)(t + 1), 1);
    for (int step = 0; step < 100; step++) {
      BUF_AUTO name = BUF_INIT;
      char prefix[8];
      uint8_t t = (uint8_t)rng(SUBJECTS);
      snprintf(prefix, sizeof prefix, "s%u/", t);
      struct store_place p = place_of(9, (uint8_t)(t + 1), 1, prefix);
      random_name(&name, prefix);
      if (rng(4) == 0) {
        assert_dom_ok(delete_key(&r, &p, buf_slice(&name), &err), err);
        oracle_remove(&o, buf_slice(&name));
      } else {
        assert_dom_ok(put_bytes(&r, &p, buf_slice(&name), SLICE_LIT("v"), &err), err);
        oracle_add(&o, buf_slice(&name));
      }
    }
    check_all(&r, &o);
    /* Subject 0 goes to another epoch, subject 1 moves away: nothing of them shows. */
    subject_home(&r, 1, 2);
    struct store_subject moved = {.state = SUBJECT_MOVED, .epoch = 2, .epoch_allotted = 2, .home = 8};
    token_of(moved.token, 2);
    assert_int_equal(subject_state(&r, &moved), DOM_OK);
    for (uint32_t i = 0; i < o.count;) {
      struct slice key = buf_slice(&o.keys[i]);
      if (slice_starts_with(key, SLICE_LIT("s0/")) || slice_starts_with(key, SLICE_LIT("s1/")))
        oracle_remove(&o, key);
      else
        i++;
    }
    check_all(&r, &o);
    store_close(r.store);
    r.store = NULL;
    index_wipe(&r);
    assert_dom_ok(region_reopen(&r, &err), err);
    check_all(&r, &o);
    for (uint32_t i = 0; i < o.count; i++) buf_done(&o.keys[i]);
    region_done(&r);
  }
}

static enum store_admit admit_all_but_b(void *arg, const struct store_subject *subject, struct slice key) {
  const enum store_admit *answer = arg;
  assert_int_equal(subject->epoch, 1);
  return slice_equal(key, SLICE_LIT("b")) ? *answer : STORE_SHOW;
}

static void count_shown(void *arg, const struct store_object *object, struct slice common) {
  (void)common;
  assert_non_null(arg);
  assert_non_null(object);
}

static void admission(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  enum store_admit answer = STORE_STOP;
  bool more = false;
  (void)state;
  region_init(&r, 9, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "");
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("a"), SLICE_LIT(""), &err), err);
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("b"), SLICE_LIT(""), &err), err);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  struct store_listing l = {.max = 1, .admit = admit_all_but_b, .show = count_shown, .arg = &answer};
  memset(l.bucket, 9, sizeof l.bucket);
  assert_int_equal(store_list(v, &l, &more, &err), DOM_REFUSED);
  answer = STORE_SKIP;
  err = (struct dom_err){0};
  assert_dom_ok(store_list(v, &l, &more, &err), err);
  assert_false(more);
  answer = STORE_SHOW;
  assert_dom_ok(store_list(v, &l, &more, &err), err);
  assert_true(more);
  l.max = 0;
  assert_dom_ok(store_list(v, &l, &more, &err), err);
  assert_false(more);
  store_view_close(v);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(against_oracle), cmocka_unit_test(admission)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
