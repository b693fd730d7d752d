/* Versions, delete markers and null versions move with their subject, while they are written and removed:
 * there, on and back, over a net that loses, doubles and delays. A model holds each of them with its order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/move_internal.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3, NAMES = 4, HELD_MAX = 400, CHANGES = 25, ROUGH_SEEDS = 12 };

struct held {
  char name[8], value[24], meta[24];
  bool in_file;
  struct store_version which;
};

struct world {
  struct test_regions t;
  uint8_t token[TOKEN_SIZE];
  uint64_t rng, next_value, made, gone;
  uint16_t source; /* of the move under way */
  struct held held[HELD_MAX];
  uint32_t count;
};

static uint64_t roll(struct world *w, uint64_t below) {
  w->rng = w->rng * 6364136223846793005u + 1442695040888963407u;
  return (w->rng >> 33) % below;
}

/* ---- the model ---- */

static void drop(struct world *w, uint32_t i) {
  assert_true(i < w->count);
  w->held[i] = w->held[--w->count];
  w->gone++;
}

static void drop_null(struct world *w, const char *name) {
  for (uint32_t i = w->count; i-- > 0;)
    if (w->held[i].which.is_null && strcmp(w->held[i].name, name) == 0) drop(w, i);
}

static int by_name_and_order(const void *pa, const void *pb) {
  const struct held *a = pa, *b = pb;
  int names = strcmp(a->name, b->name);
  if (names) return names;
  if (a->which.order.epoch != b->which.order.epoch)
    return a->which.order.epoch < b->which.order.epoch ? 1 : -1;
  return a->which.order.lsn < b->which.order.lsn ? 1 : -1;
}

static void expected(struct world *w, struct buf *out) {
  qsort(w->held, w->count, sizeof w->held[0], by_name_and_order);
  for (uint32_t i = 0; i < w->count; i++)
    buf_printf(out, "%s %llu.%llu %s %s %s\n", w->held[i].name,
               (unsigned long long)w->held[i].which.order.epoch,
               (unsigned long long)w->held[i].which.order.lsn, w->held[i].which.is_null ? "null" : "id",
               w->held[i].value, w->held[i].meta);
}

static void assert_holds(struct world *w, uint16_t at) {
  BUF_AUTO want = BUF_INIT;
  BUF_AUTO got = BUF_INIT;
  expected(w, &want);
  assert_int_equal(region_versions(&w->t, at, "asha", &got), DOM_OK);
  assert_string_equal(buf_str(&got), buf_str(&want));
}

/* ---- changes ---- */

static void remove_one(struct world *w, uint16_t at) {
  if (w->count == 0) return;
  uint32_t i = (uint32_t)roll(w, w->count);
  struct held h = w->held[i];
  assert_int_equal(region_version(&w->t, at, "asha", h.name, REGION_REMOVE, NULL, &h.which), DOM_OK);
  drop(w, i);
}

/* What may be changed of a version that is there. */
static void amend(struct world *w, uint16_t at, struct held *h) {
  if (strcmp(h->value, "MARKER") == 0) return;
  snprintf(h->meta, sizeof h->meta, "meta %llu", (unsigned long long)++w->next_value);
  assert_int_equal(region_amend(&w->t, at, "asha", h->name, &h->which, slice_str(h->meta)), DOM_OK);
}

static void amend_one(struct world *w, uint16_t at) {
  if (w->count > 0) amend(w, at, &w->held[roll(w, w->count)]);
}

/* One whose body is in a file and has been sent: that it is there already is no reason to leave it as it was.
 */
static void amend_file(struct world *w, uint16_t at) {
  uint32_t i = 0;
  while (i < w->count && !w->held[i].in_file) i++;
  if (i < w->count) amend(w, at, &w->held[i]);
}

static void change_one(struct world *w, uint16_t at) {
  struct held h = {.meta = "meta", .which.is_null = roll(w, 3) == 0};
  enum region_change change = roll(w, 5) == 0 ? REGION_MARK : roll(w, 3) == 0 ? REGION_PUT_FILE : REGION_PUT;
  if (roll(w, 4) == 0) {
    amend_one(w, at);
    return;
  }
  if (roll(w, 4) == 0 || w->count == HELD_MAX) {
    remove_one(w, at);
    return;
  }
  h.in_file = change == REGION_PUT_FILE;
  snprintf(h.name, sizeof h.name, "k%u", (unsigned)roll(w, NAMES));
  snprintf(h.value, sizeof h.value, "value %llu", (unsigned long long)++w->next_value);
  assert_int_equal(region_version(&w->t, at, "asha", h.name, change, h.value, &h.which), DOM_OK);
  if (change == REGION_MARK) snprintf(h.value, sizeof h.value, "MARKER");
  if (change == REGION_MARK) h.meta[0] = 0;
  if (h.which.is_null) drop_null(w, h.name);
  w->held[w->count++] = h;
  w->made++;
}

/* While the subject is copied, up to the last moment before the fence. */
static void meddle(void *arg, const char *step) {
  struct world *w = arg;
  if (!w->source || (strcmp(step, "+copying") != 0 && strcmp(step, "-fenced") != 0)) return;
  for (int i = 0; i < 6; i++) change_one(w, w->source);
  amend_file(w, w->source);
}

/* ---- worlds ---- */

static struct world *world_new(uint64_t seed) {
  struct world *w = dom_calloc(1, sizeof *w);
  struct subject_who who;
  assert_non_null(w);
  w->rng = seed;
  w->t.fault_point = meddle;
  w->t.fault_arg = w;
  regions_open(&w->t, 4, seed, 1);
  regions_bucket(&w->t);
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  memcpy(w->token, who.token, TOKEN_SIZE);
  for (int i = 0; i < CHANGES; i++) change_one(w, CN);
  return w;
}

static void world_free(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

static uint16_t home_of(struct world *w) {
  uint16_t home = 0;
  for (uint16_t i = 1; i <= 4; i++) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_subject row;
    assert_int_equal(store_view_open(w->t.region[i].store, &v, NULL), DOM_OK);
    if (store_subject_get(v, w->token, &row, NULL) || row.state == SUBJECT_MOVED) continue;
    assert_int_equal(home, 0);
    home = i;
  }
  return home;
}

static enum dom_code move(struct world *w, uint16_t from, uint16_t to, struct dom_err *err) {
  w->source = from;
  enum dom_code code = mover_move_subject(w->t.region[from].mover, w->token, to, err);
  w->source = 0;
  return code;
}

static void settle(struct world *w) {
  for (int round = 0; round < 6; round++) {
    clock_sim_advance(w->t.clock, 60000);
    for (uint16_t i = 1; i <= 4; i++) {
      bool did = false;
      mover_upkeep(w->t.region[i].mover, &did, NULL);
      store_upkeep(w->t.region[i].store, &did, NULL);
    }
  }
}

/* ---- tests ---- */

/* There, on, and back to where an earlier stay was: every order stays what it was, and names its version. */
static void test_there_and_back(void **state) {
  static const uint16_t way[] = {CN, SG, US, SG, US};
  (void)state;
  struct world *w = world_new(7);
  for (size_t i = 0; i + 1 < sizeof way / sizeof way[0]; i++) {
    struct dom_err err = {0};
    enum dom_code code = move(w, way[i], way[i + 1], &err);
    if (code) fail_msg("%s: %s", err.where, err.text);
    assert_holds(w, way[i + 1]);
    for (int n = 0; n < CHANGES; n++) change_one(w, way[i + 1]);
    assert_holds(w, way[i + 1]);
  }
  uint32_t eldest = 0; /* what the first home wrote is removed by its order at the last one */
  qsort(w->held, w->count, sizeof w->held[0], by_name_and_order);
  for (uint32_t i = 0; i < w->count; i++)
    if (w->held[i].which.order.epoch < w->held[eldest].which.order.epoch) eldest = i;
  assert_int_equal(w->held[eldest].which.order.epoch, 1);
  assert_int_equal(
      region_version(&w->t, US, "asha", w->held[eldest].name, REGION_REMOVE, NULL, &w->held[eldest].which),
      DOM_OK);
  drop(w, eldest);
  assert_holds(w, US);
  while (w->count > 0) remove_one(w, US); /* nothing that was left out shows up under it */
  assert_holds(w, US);
  world_free(w);
}

static void test_rough_net(void **state) {
  uint64_t moved = 0;
  (void)state;
  for (uint64_t seed = 300; seed < 300 + ROUGH_SEEDS; seed++) {
    struct world *w = world_new(seed);
    net_sim_chances(w->t.net, 15, 60, 60);
    for (int i = 0; i < 6; i++) {
      uint16_t home = home_of(w);
      if (home) moved += move(w, home, home == SG ? US : SG, NULL) == DOM_OK;
      if (!home) settle(w);
    }
    net_sim_chances(w->t.net, 0, 0, 0);
    net_sim_deliver_late(w->t.net);
    settle(w);
    uint16_t home = home_of(w);
    assert_true(home != 0);
    assert_holds(w, home);
    world_free(w);
  }
  assert_true(moved > ROUGH_SEEDS); /* else it was not about moves */
}

/* Items say which version they are, also of one that is gone; what no source would send is refused. */
static void test_items(void **state) {
  struct store_body_ref refs[1];
  (void)state;
  for (unsigned i = 0; i < 8; i++) {
    BUF_AUTO b = BUF_INIT;
    struct store_item got, item = {.kind = STORE_ITEM_OBJECT,
                                   .absent = i & 1,
                                   .prefix = SLICE_LIT("a/"),
                                   .key = SLICE_LIT("a/k"),
                                   .order = {3, 33},
                                   .object = {.is_version = i & 2, .is_marker = (i & 4) && !(i & 1)}};
    item_put(&b, &item);
    struct reader r = reader_of(buf_slice(&b));
    assert_true(item_get(&r, &got, refs, 1) && reader_end(&r));
    assert_true(got.absent == item.absent && got.order.lsn == 33);
    assert_true(got.object.is_version == item.object.is_version);
    assert_true(got.object.is_marker == item.object.is_marker);
    b.data[1] = 8; /* metadata of a part, of what is none */
    r = reader_of(buf_slice(&b));
    assert_false(item_get(&r, &got, refs, 1));
    b.data[1] = 5; /* a marker that is not there */
    r = reader_of(buf_slice(&b));
    assert_false(item_get(&r, &got, refs, 1));
    b.data[0] = STORE_ITEM_UPLOAD;
    b.data[1] = 2;
    r = reader_of(buf_slice(&b));
    assert_false(item_get(&r, &got, refs, 1));
  }
}

/* A part takes along what is kept of it, any length that the store takes. */
static void test_parts(void **state) {
  struct store_body_ref refs[1];
  (void)state;
  for (unsigned len = 0; len <= STORE_PART_META_MAX; len++) {
    BUF_AUTO b = BUF_INIT;
    struct store_item got, item = {.kind = STORE_ITEM_PART,
                                   .prefix = SLICE_LIT("a/"),
                                   .key = SLICE_LIT("a/k"),
                                   .order = {3, 33},
                                   .part = {.number = 7, .meta_len = (uint8_t)len}};
    memset(item.part.meta, 0xAB, len);
    item_put(&b, &item);
    struct reader r = reader_of(buf_slice(&b));
    assert_true(item_get(&r, &got, refs, 1) && reader_end(&r));
    assert_int_equal(got.part.meta_len, len);
    assert_memory_equal(got.part.meta, item.part.meta, len);
    for (size_t cut = 1; cut <= len; cut++) {
      r = reader_of(slice_of(b.data, b.len - cut));
      assert_false(item_get(&r, &got, refs, 1));
    }
    if (len == 0) continue;
    b.data[b.len - len - 1] = STORE_PART_META_MAX + 1;
    r = reader_of(buf_slice(&b));
    assert_false(item_get(&r, &got, refs, 1));
    b.data[1] |= 1; /* of a part that is not there */
    r = reader_of(buf_slice(&b));
    assert_false(item_get(&r, &got, refs, 1));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_there_and_back),
      cmocka_unit_test(test_rough_net),
      cmocka_unit_test(test_items),
      cmocka_unit_test(test_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
