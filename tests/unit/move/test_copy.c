/* What a copy needs and costs: hashes that rows lack, and what is read or sent once only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "move/move_internal.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2, US = 3, FILM_BYTES = (2 << 20) + 17, MANY = 5000 };

struct world {
  struct test_regions t;
  uint8_t token[TOKEN_SIZE];
};

static struct world *world_new(uint64_t seed) {
  struct world *w = dom_calloc(1, sizeof *w);
  struct subject_who who;
  assert_non_null(w);
  regions_open(&w->t, 3, seed, 1);
  regions_bucket(&w->t);
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &who, NULL),
                   DOM_OK);
  memcpy(w->token, who.token, TOKEN_SIZE);
  return w;
}

static void world_free(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

/* ---- hashes that rows lack ---------------------------------------------------------------- */

struct counted {
  uint32_t known, unknown;
};

/* How many items of the subject have all their hashes at a region. */
static struct counted count_hashes(struct world *w, uint16_t at) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct store_walk *walk = NULL;
  const struct store_item *item;
  struct store_subject row;
  struct counted n = {0};
  STORE_VIEW_AUTO *v = NULL;
  struct mover *m = w->t.region[at].mover;
  assert_int_equal(mover_permit(m, w->token, "IN", at, at == SG ? US : SG, &storage, &permit, NULL), DOM_OK);
  assert_int_equal(store_view_open(w->t.region[at].store, &v, NULL), DOM_OK);
  assert_int_equal(store_subject_get(v, w->token, &row, NULL), DOM_OK);
  assert_int_equal(store_walk_open(v, PERMIT_MOVE, permit, w->token, row.epoch, SLICE_LIT(""), &walk, NULL),
                   DOM_OK);
  while (store_walk_next(walk, &item, NULL) == DOM_OK) *(hashes_known(item) ? &n.known : &n.unknown) += 1;
  store_walk_close(walk);
  return n;
}

static void put_everything(struct world *w) {
  struct test_regions *t = &w->t;
  struct store_version null_version = {.is_null = true}, version = {0};
  assert_int_equal(region_put(t, CN, "asha", "note", "a note"), DOM_OK);
  assert_int_equal(region_put(t, CN, "asha", "empty", ""), DOM_OK);
  assert_int_equal(region_put_large(t, CN, "asha", "film", FILM_BYTES, 3), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "old", REGION_PUT_FILE, "in a file", &version), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "old", REGION_PUT, "inline", &null_version), DOM_OK);
  assert_int_equal(region_version(t, CN, "asha", "old", REGION_MARK, NULL, &version), DOM_OK);
  assert_int_equal(region_upload(t, CN, "asha", "whole", 4), DOM_OK);
  assert_int_equal(region_part(t, CN, "asha", "whole", 4, 1, "one"), DOM_OK);
  assert_int_equal(region_part(t, CN, "asha", "whole", 4, 2, "two"), DOM_OK);
  assert_int_equal(region_complete(t, CN, "asha", "whole", 4), DOM_OK);
  assert_int_equal(region_upload(t, CN, "asha", "open", 5), DOM_OK);
  assert_int_equal(region_part(t, CN, "asha", "open", 5, 1, "a part"), DOM_OK);
}

static void assert_value(struct world *w, uint16_t at, const char *name, const char *want) {
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(&w->t, at, "asha", name, &out), DOM_OK);
  assert_true(slice_equal(buf_slice(&out), slice_str(want)));
}

static void assert_everything(struct world *w, uint16_t at) {
  BUF_AUTO film = BUF_INIT;
  assert_value(w, at, "note", "a note");
  assert_value(w, at, "empty", "");
  assert_value(w, at, "whole", "onetwo");
  assert_int_equal(region_get(&w->t, at, "asha", "film", &film), DOM_OK);
  assert_int_equal(film.len, FILM_BYTES);
  assert_int_equal(film.data[FILM_BYTES - 1], 3);
}

/* Rows without hashes move, and have them at the new home; those that have them keep them on the way on. */
static void test_unhashed(void **state) {
  (void)state;
  struct world *w = world_new(1);
  w->t.unhashed = true;
  put_everything(w);
  struct counted before = count_hashes(w, CN);
  assert_int_equal(before.unknown, 7);
  assert_int_equal(before.known, 2); /* the delete marker and the upload have nothing to hash */
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_everything(w, SG);
  struct counted after = count_hashes(w, SG);
  assert_int_equal(after.unknown, 0);
  assert_int_equal(after.known, 9);
  assert_int_equal(region_complete(&w->t, SG, "asha", "open", 5), DOM_OK); /* of a part that came along */
  assert_value(w, SG, "open", "a part");
  assert_int_equal(mover_move_subject(w->t.region[SG].mover, w->token, US, NULL), DOM_OK);
  assert_everything(w, US);
  assert_int_equal(count_hashes(w, US).unknown, 0);
  world_free(w);
}

static void manifest_of(struct world *w, struct memo *memo, uint8_t out[SHA256_SIZE]) {
  struct charter_permit_storage storage;
  const struct permit *permit;
  uint64_t objects = 0, bytes = 0;
  struct mover *m = w->t.region[CN].mover;
  assert_int_equal(mover_permit(m, w->token, "IN", CN, SG, &storage, &permit, NULL), DOM_OK);
  struct manifest_of of = {m, PERMIT_MOVE, permit, w->token, 1, memo};
  assert_int_equal(manifest_compute(&of, out, &objects, &bytes, NULL), DOM_OK);
  assert_int_equal(objects, 7);
}

/* A memo is believed for the rows that it knows, and for no others: not for one that was written anew. */
static void test_manifest(void **state) {
  (void)state;
  uint8_t before[SHA256_SIZE], noted[SHA256_SIZE], after[SHA256_SIZE], plain[SHA256_SIZE];
  struct world *w = world_new(2);
  w->t.unhashed = true;
  put_everything(w);
  manifest_of(w, NULL, before);
  struct memo *memo = memo_new();
  assert_non_null(memo);
  for (int i = 0; i < 2; i++) { /* fills it, then uses it */
    manifest_of(w, memo, noted);
    assert_memory_equal(before, noted, SHA256_SIZE);
  }
  assert_int_equal(region_put(&w->t, CN, "asha", "note", "a nota"), DOM_OK);
  manifest_of(w, memo, after);
  assert_memory_not_equal(before, after, SHA256_SIZE);
  manifest_of(w, NULL, plain);
  assert_memory_equal(plain, after, SHA256_SIZE);
  memo_free(memo);
  world_free(w);
}

/* ---- many objects ------------------------------------------------------------------------- */

static uint64_t commits_at(struct world *w, uint16_t at) {
  struct store_stats stats;
  store_stats(w->t.region[at].store, &stats);
  return stats.commits;
}

/* Thousands of objects of one subject are staged by the hundred, each with all its versions, and what was
 * written anew while they went replaces what was there. */
static void overwrite(void *arg, const char *step) {
  struct world *w = arg;
  if (strcmp(step, "+snapshot") != 0) return;
  struct store_version version = {0};
  assert_int_equal(region_put(&w->t, CN, "asha", "o/7", "anew"), DOM_OK);
  assert_int_equal(region_put(&w->t, CN, "asha", "o/7", "and once more"), DOM_OK);
  assert_int_equal(region_delete(&w->t, CN, "asha", "o/8"), DOM_OK);
  assert_int_equal(region_put(&w->t, CN, "asha", "o/8", "came back"), DOM_OK);
  assert_int_equal(region_delete(&w->t, CN, "asha", "o/9"), DOM_OK);
  assert_int_equal(region_version(&w->t, CN, "asha", "o/10", REGION_PUT, "a version", &version), DOM_OK);
  assert_int_equal(region_version(&w->t, CN, "asha", "o/11", REGION_MARK, NULL, &version), DOM_OK);
}

static void test_many(void **state) {
  (void)state;
  struct world *w = world_new(3);
  region_stop(&w->t, CN);
  w->t.fault_point = overwrite;
  w->t.fault_arg = w;
  assert_int_equal(region_start(&w->t, CN, NULL), DOM_OK);
  for (int i = 0; i < MANY; i++) {
    char name[32];
    snprintf(name, sizeof name, "o/%d", i);
    assert_int_equal(region_put(&w->t, CN, "asha", name, name), DOM_OK);
  }
  uint64_t before = commits_at(w, SG);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  assert_true(commits_at(w, SG) - before <=
              MANY / MOVE_STAGE_ITEMS + 24); /* the handoff's own, and a round's */
  for (int i = 0; i < MANY; i += 97) {
    char name[32];
    snprintf(name, sizeof name, "o/%d", i);
    if (i < 7 || i > 11) assert_value(w, SG, name, name);
  }
  BUF_AUTO out = BUF_INIT;
  assert_value(w, SG, "o/7", "and once more");
  assert_value(w, SG, "o/8", "came back");
  assert_int_equal(region_get(&w->t, SG, "asha", "o/9", &out), DOM_NOT_FOUND);
  assert_value(w, SG, "o/10", "a version");
  assert_int_equal(region_get(&w->t, SG, "asha", "o/11", &out), DOM_NOT_FOUND);
  world_free(w);
}

/* Says `count` items to sg, and behind them `bodies`, one byte for each that has one. */
static enum dom_code say_items(struct world *w, const struct handoff *h, const struct store_item *item,
                               int count, const char *bodies) {
  BUF_AUTO message = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  bulk_begin(&message, h);
  for (int i = 0; i < count; i++) item_put(&message, &item[i]);
  bulk_seal(&message);
  buf_append_str(&message, bodies);
  return mover_message(w->t.region[SG].mover, CN, MOVE_ITEMS_PATH, buf_slice(&message), &reply, NULL);
}

/* A handoff of asha that sg has agreed to begin. */
static struct handoff begun(struct world *w) {
  struct handoff h = {.side = HANDOFF_TARGET, .epoch = 7, .peer = CN};
  struct mover *m = w->t.region[SG].mover;
  BUF_AUTO begin = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  memcpy(h.token, w->token, TOKEN_SIZE);
  handoff_head_put(&begin, &h);
  put_u64be(&begin, 1);
  buf_append(&begin, "IN", 2);
  put_u64be(&begin, 1);
  assert_int_equal(mover_message(m, CN, "move/begin", buf_slice(&begin), &reply, NULL), DOM_INCOMPATIBLE);
  put_u32be(&begin, MOVE_PROTOCOL);
  assert_int_equal(mover_message(m, CN, "move/begin", buf_slice(&begin), &reply, NULL), DOM_OK);
  return h;
}

static struct store_item item_a(uint64_t lsn) {
  struct store_item item = {.kind = STORE_ITEM_OBJECT,
                            .prefix = SLICE_LIT("asha/"),
                            .key = SLICE_LIT("asha/k"),
                            .order = {3, lsn},
                            .object = {.size = 1, .order = {3, lsn}}};
  sha256("a", 1, item.object.sha256);
  return item;
}

/* A message with one row twice, and with a null version and another of one order: the first is two commits,
 * the second is refused, in one message as in two. */
static void test_not_together(void **state) {
  (void)state;
  struct world *w = world_new(4);
  struct handoff h = begun(w);
  struct store_item item[3] = {item_a(33), item_a(33), item_a(33)};
  uint64_t before = commits_at(w, SG);
  assert_int_equal(say_items(w, &h, item, 2, "aa"), DOM_OK);
  assert_int_equal(commits_at(w, SG) - before, 2);
  item[2].object.is_version = true;
  assert_int_equal(say_items(w, &h, item, 3, "aaa"), DOM_INVALID);
  item[0] = item_a(44);
  memset(item[0].object.sha256, 0, SHA256_SIZE); /* without a hash */
  assert_int_equal(say_items(w, &h, item, 1, "a"), DOM_INVALID);
  world_free(w);
}

/* Bodies that go with their items are not signed: what was changed on the way is not stored, not even for a
 * moment, and what is there by then stays. */
static void test_changed_inline(void **state) {
  (void)state;
  struct world *w = world_new(4);
  struct handoff h = begun(w);
  struct store_item item[2] = {item_a(33), item_a(44)};
  item[1].key = SLICE_LIT("asha/l");
  assert_int_equal(say_items(w, &h, item, 1, "a"), DOM_OK);
  uint64_t before = commits_at(w, SG);
  assert_int_equal(say_items(w, &h, item, 1, "b"), DOM_UNAVAILABLE); /* also when it comes late */
  assert_int_equal(say_items(w, &h, item, 2, "ab"), DOM_UNAVAILABLE);
  assert_int_equal(say_items(w, &h, item, 2, "a"), DOM_INVALID);
  assert_int_equal(say_items(w, &h, item, 1, "ab"), DOM_INVALID); /* after its commit: the items are good */
  assert_int_equal(commits_at(w, SG) - before, 1);
  assert_int_equal(say_items(w, &h, item, 2, "aa"), DOM_OK);
  struct store_item older = item_a(22); /* honest, and late: passed over, and not what is read back */
  sha256("b", 1, older.object.sha256);
  assert_int_equal(say_items(w, &h, &older, 1, "b"), DOM_CORRUPT);
  BUF_AUTO reply = BUF_INIT;
  for (size_t len = 0; len < 48; len++) { /* parted wrongly */
    uint8_t bytes[48] = {0, 0, 0, 45};
    assert_int_equal(
        mover_message(w->t.region[SG].mover, CN, MOVE_ITEMS_PATH, slice_of(bytes, len), &reply, NULL),
        DOM_INVALID);
  }
  world_free(w);
}

/* What a client cannot have put cannot come by a move either: it would never fit into a message that moves it
 * on. */
static void test_large_upload(void **state) {
  (void)state;
  struct world *w = world_new(4);
  struct handoff h = begun(w);
  BUF_AUTO meta = BUF_INIT;
  buf_append_zero(&meta, STORE_META_MAX + 1);
  struct store_item item = {
      .kind = STORE_ITEM_UPLOAD, .prefix = SLICE_LIT("asha/"), .key = SLICE_LIT("asha/u"), .order = {3, 30}};
  item.upload = (struct store_upload){.key = item.key, .mtime_ms = 1, .id = {7}, .meta = buf_slice(&meta)};
  assert_int_equal(say_items(w, &h, &item, 1, ""), DOM_TOO_LARGE);
  item.upload.meta.len--;
  assert_int_equal(say_items(w, &h, &item, 1, ""), DOM_OK);
  world_free(w);
}

/* A body larger than what one message reads back, and than one message carries. */
static void test_long_body(void **state) {
  (void)state;
  struct world *w = world_new(5);
  const uint64_t size = 2ull * MOVE_BODY_CHUNK + 17;
  w->t.unhashed = true;
  assert_int_equal(region_put_large(&w->t, CN, "asha", "film", size, 3), DOM_OK);
  w->t.region[SG].mover->verify_bytes = size / 3 - 5;
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  BUF_AUTO film = BUF_INIT;
  assert_int_equal(region_get(&w->t, SG, "asha", "film", &film), DOM_OK);
  assert_int_equal(film.len, size);
  assert_int_equal(film.data[size - 1], 3);
  assert_int_equal(transfer_count(w->t.region[SG].mover), 0);
  assert_int_equal(count_hashes(w, SG).unknown, 0);
  world_free(w);
}

/* What comes changed is never believed: the move waits until a body came as it was sent. */
static void test_spoilt_body(void **state) {
  (void)state;
  struct world *w = world_new(6);
  struct dom_err err = {0};
  assert_int_equal(region_put_large(&w->t, CN, "asha", "film", MOVE_BODY_CHUNK + 17, 3), DOM_OK);
  net_sim_spoil(w->t.net, 1000);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, &err), DOM_UNAVAILABLE);
  assert_non_null(strstr(err.text, "came changed"));
  assert_int_equal(transfer_count(w->t.region[SG].mover), 0);
  net_sim_spoil(w->t.net, 0);
  BUF_AUTO film = BUF_INIT;
  assert_int_equal(region_get(&w->t, CN, "asha", "film", &film), DOM_OK);
  assert_int_equal(mover_move_subject(w->t.region[CN].mover, w->token, SG, NULL), DOM_OK);
  buf_reset(&film);
  assert_int_equal(region_get(&w->t, SG, "asha", "film", &film), DOM_OK);
  assert_int_equal(film.len, MOVE_BODY_CHUNK + 17);
  assert_int_equal(film.data[film.len - 1], 3);
  world_free(w);
}

static void test_memo(void **state) {
  (void)state;
  struct memo *memo = memo_new();
  struct memo_line line, got;
  assert_non_null(memo);
  for (uint32_t i = 0; i < 5000; i++) {
    line = (struct memo_line){.kind = STORE_ITEM_OBJECT, .bytes = i};
    store_u32be(line.stamp, i % 7); /* most begin alike */
    store_u32be(line.stamp + 4, i);
    memo_put(memo, &line);
    memo_put(memo, &line);
  }
  for (uint32_t i = 0; i < 5000; i++) {
    uint8_t stamp[SHA256_SIZE] = {0};
    store_u32be(stamp, i % 7);
    store_u32be(stamp + 4, i);
    assert_true(memo_get(memo, stamp, &got));
    assert_int_equal(got.bytes, i);
    stamp[31] = 1;
    assert_false(memo_get(memo, stamp, &got));
  }
  memo_free(memo);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unhashed),       cmocka_unit_test(test_manifest),
      cmocka_unit_test(test_many),           cmocka_unit_test(test_not_together),
      cmocka_unit_test(test_changed_inline), cmocka_unit_test(test_large_upload),
      cmocka_unit_test(test_long_body),      cmocka_unit_test(test_spoilt_body),
      cmocka_unit_test(test_memo),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
