/* What an export reads, and under which permit: at home only, also while a move is under way, each thing as
 * S3 tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/regions.h"
#include "s3/s3.h"
#include "serve/export_item.h"

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};
enum { CN = 1, SG = 2 };

struct world {
  struct test_regions t;
  struct subject_who who;
  unsigned seen[SUBJECT_ERASED + 1]; /* walks at the source by its state, while messages went */
};

static struct world *open_world(void) {
  struct world *w = dom_calloc(1, sizeof *w);
  assert_non_null(w);
  regions_open(&w->t, 4, 7, 1);
  regions_bucket(&w->t);
  assert_int_equal(subject_register(w->t.region[CN].subjects, TENANT, SLICE_LIT("asha"), "IN", &w->who, NULL),
                   DOM_OK);
  assert_int_equal(region_put(&w->t, CN, "asha", "a", "1"), DOM_OK);
  assert_int_equal(region_put(&w->t, CN, "asha", "b", "22"), DOM_OK);
  return w;
}

static void close_world(struct world *w) {
  regions_close(&w->t);
  dom_free(w);
}

/* Walks with a permit to READ that `who` has at the region; counts what there is. */
static enum dom_code walk(struct world *w, uint16_t number, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                          enum permit_action action, unsigned *out) {
  struct test_region *r = &w->t.region[number];
  struct charter_permit_storage storage;
  const struct permit *permit = NULL;
  const struct store_item *item = NULL;
  struct store_walk *walk = NULL;
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who who = w->who;
  struct charter_refusal refusal;
  struct subject_intent intent = {
      .action = action, .who = &who, .place_region = number, .gateway = number, .all_classes = true};
  who.home = number;
  *out = 0;
  assert_int_equal(store_view_open(r->store, &v, NULL), DOM_OK);
  assert_int_equal(subject_permit(r->subjects, &intent, &storage, &permit, &refusal), DOM_OK);
  enum dom_code code = store_walk_open(v, PERMIT_READ, permit, token, epoch, SLICE_LIT(""), &walk, NULL);
  while (!code && !(code = store_walk_next(walk, &item, NULL))) ++*out;
  store_walk_close(walk);
  return walk && code == DOM_NOT_FOUND ? DOM_OK : code;
}

static void only_at_home_under_its_epoch(void **state) {
  (void)state;
  struct world *w = open_world();
  uint8_t other[TOKEN_SIZE] = {1};
  unsigned count = 0;
  assert_int_equal(walk(w, CN, w->who.token, w->who.epoch, PERMIT_READ, &count), DOM_OK);
  assert_int_equal(count, 2);
  assert_int_equal(walk(w, CN, w->who.token, w->who.epoch + 1, PERMIT_READ, &count), DOM_STALE_EPOCH);
  assert_int_equal(walk(w, CN, other, w->who.epoch, PERMIT_READ, &count), DOM_REFUSED);
  assert_int_equal(walk(w, CN, w->who.token, w->who.epoch, PERMIT_LIST, &count), DOM_REFUSED);
  assert_int_equal(walk(w, SG, w->who.token, w->who.epoch, PERMIT_READ, &count), DOM_NOT_FOUND);
  assert_int_equal(count, 0);
  close_world(w);
}

static struct world *moving;

/* At the source, whenever it sends a message. */
static bool look(void *arg, uint16_t from, uint16_t to, bool answer) {
  struct store_subject row;
  STORE_VIEW_AUTO *v = NULL;
  unsigned count = 0;
  (void)arg, (void)to;
  if (from != CN || answer) return true;
  assert_int_equal(store_view_open(moving->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(store_subject_get(v, moving->who.token, &row, NULL), DOM_OK);
  enum dom_code code = walk(moving, CN, moving->who.token, moving->who.epoch, PERMIT_READ, &count);
  assert_int_equal(code, row.state == SUBJECT_MOVED ? DOM_ELSEWHERE : DOM_OK);
  assert_int_equal(count, row.state == SUBJECT_MOVED ? 0 : 2);
  moving->seen[row.state]++;
  return true;
}

static void also_while_it_moves_until_the_commit(void **state) {
  (void)state;
  struct world *w = moving = open_world();
  unsigned count = 0;
  struct subject_who now;
  w->t.message = look;
  struct dom_err err = {0};
  if (mover_move_subject(w->t.region[CN].mover, w->who.token, SG, &err)) fail_msg("%s", err.text);
  w->t.message = NULL;
  assert_true(w->seen[SUBJECT_COPYING] > 0 && w->seen[SUBJECT_FENCED] > 0);
  assert_int_equal(walk(w, CN, w->who.token, w->who.epoch, PERMIT_READ, &count), DOM_ELSEWHERE);
  assert_int_equal(region_who(&w->t, SG, "asha", &now), DOM_OK);
  assert_int_equal(walk(w, SG, w->who.token, now.epoch, PERMIT_READ, &count), DOM_OK);
  assert_int_equal(count, 2);
  close_world(w);
}

/* ---- items -------------------------------------------------------------------------------- */

/* An item of asha's first bucket, as it is told. */
static json_t *tell(struct world *w, struct store_item *item, enum dom_code expected) {
  STORE_VIEW_AUTO *v = NULL;
  struct subject_bucket k;
  json_t *j = NULL;
  struct dom_err err = {0};
  assert_int_equal(store_view_open(w->t.region[CN].store, &v, NULL), DOM_OK);
  assert_int_equal(subject_bucket_get(w->t.region[CN].subjects, v, SLICE_LIT("phones"), &k, NULL), DOM_OK);
  if (!item->bucket[0]) memcpy(item->bucket, k.id, sizeof k.id);
  item->key = SLICE_LIT("asha/k");
  struct export_teller teller = {.view = v, .arena = arena_new(S3_REQUEST_ARENA_BYTES)};
  assert_int_equal(export_item(&teller, item, &j, &err), expected);
  arena_free(teller.arena);
  return j;
}

static void expect(json_t *told, const char *text) {
  json_t *wanted = json_loads(text, 0, NULL);
  assert_non_null(wanted);
  if (!json_equal(told, wanted)) fail_msg("%s", json_dumps(told, JSON_PRESERVE_ORDER));
  json_decref(wanted);
  json_decref(told);
}

static struct store_item object_item(struct slice meta) {
  struct store_item item = {.kind = STORE_ITEM_OBJECT, .order = {1, 5}};
  item.object = (struct store_object){.order = {1, 5}, .size = 3, .mtime_ms = 1000, .meta = meta};
  item.stamp[0] = 0xab;
  item.object.sha256[31] = 1;
  return item;
}

#define ZEROS62 "00000000000000000000000000000000000000000000000000000000000000"
#define ETAG    "\"etag\":\"00000000000000000000000000000000\""

static void objects_are_told_in_headers_tags_and_grants(void **state) {
  (void)state;
  struct world *w = open_world();
  const struct auth_header user[] = {{SLICE_LIT("odd"), SLICE_LIT("\xff\x01")}};
  const struct s3_tag tags[] = {{SLICE_LIT("a"), SLICE_LIT("1")}};
  struct s3_meta m = {.content_type = SLICE_LIT("text/x"),
                      .user = user,
                      .user_count = 1,
                      .tags = tags,
                      .tag_count = 1,
                      .legal_hold = S3_HOLD_ON,
                      .acl = SLICE_LIT("owner a\n1 everybody\n")};
  BUF_AUTO meta = BUF_INIT;
  assert_int_equal(s3_meta_encode(&m, &meta, NULL), DOM_OK);
  struct store_item item = object_item(buf_slice(&meta));
  expect(tell(w, &item, DOM_OK),
         "{\"kind\":\"object\",\"bucket\":\"phones\",\"key\":\"asha/k\",\"version_id\":\"null\","
         "\"modified_ms\":1000,\"size\":3," ETAG ",\"stamp\":\"ab" ZEROS62 "\",\"sha256\":\"" ZEROS62 "01\","
         "\"headers\":{\"Content-Type\":\"text/x\",\"x-amz-meta-odd\":{\"hex\":\"ff01\"},"
         "\"x-amz-tagging-count\":\"1\",\"x-amz-object-lock-legal-hold\":\"ON\"},\"tags\":{\"a\":\"1\"},"
         "\"acl\":{\"owner\":\"a\",\"grants\":[{\"to\":\"http://acs.amazonaws.com/groups/global/AllUsers\","
         "\"rights\":[\"READ\"]}]}}");
  item.object.meta = SLICE_LIT("none");
  assert_null(tell(w, &item, DOM_INCOMPATIBLE));
  close_world(w);
}

static void sealed_bytes_have_no_stamp_and_no_hash(void **state) {
  (void)state;
  struct world *w = open_world();
  uint8_t sealed[97] = {1};
  struct s3_meta m = {.customer = slice_of(sealed, sizeof sealed)};
  BUF_AUTO meta = BUF_INIT;
  assert_int_equal(s3_meta_encode(&m, &meta, NULL), DOM_OK);
  struct store_item item = object_item(buf_slice(&meta));
  item.object.is_marker = false;
  expect(tell(w, &item, DOM_OK),
         "{\"kind\":\"object\",\"bucket\":\"phones\",\"key\":\"asha/k\",\"version_id\":\"null\","
         "\"modified_ms\":1000,\"size\":3," ETAG
         ",\"headers\":{\"Content-Type\":\"binary/octet-stream\"},\"sealed_by_client\":true}");
  struct store_item part = {.kind = STORE_ITEM_PART,
                            .part = {.number = 7, .mtime_ms = 9, .body = {.size = 4}}};
  struct s3_part_meta salted = {.has_salt = true};
  s3_part_meta_encode(&salted, part.part.meta, &part.part.meta_len);
  expect(tell(w, &part, DOM_OK),
         "{\"kind\":\"part\",\"bucket\":\"phones\",\"key\":\"asha/k\",\"upload_id\":"
         "\"00000000000000000000000000000000\",\"part\":7,\"size\":4,\"modified_ms\":9," ETAG
         ",\"headers\":{},\"sealed_by_client\":true}");
  close_world(w);
}

static void markers_and_unknown_buckets(void **state) {
  (void)state;
  struct world *w = open_world();
  struct store_item item = object_item(SLICE_LIT(""));
  item.object.is_marker = true;
  memset(item.bucket, 0xee, sizeof item.bucket);
  expect(tell(w, &item, DOM_OK),
         "{\"kind\":\"delete-marker\",\"bucket\":{\"id\":\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\"},"
         "\"key\":\"asha/k\",\"version_id\":\"null\",\"modified_ms\":1000}");
  close_world(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(only_at_home_under_its_epoch),
                                     cmocka_unit_test(also_while_it_moves_until_the_commit),
                                     cmocka_unit_test(objects_are_told_in_headers_tags_and_grants),
                                     cmocka_unit_test(sealed_bytes_have_no_stamp_and_no_hash),
                                     cmocka_unit_test(markers_and_unknown_buckets)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
