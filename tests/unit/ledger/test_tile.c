#include "ledger/tile.h"

#include <stdlib.h>

#include "support.h"

static void test_paths(void **state) {
  static const struct {
    struct tile_id id;
    const char *path;
  } cases[] = {
      {{0, 0, 256}, "tile/0/000"},
      {{0, 1234067, 256}, "tile/0/x001/x234/067"}, /* the example of tlog-tiles */
      {{1, 999, 1}, "tile/1/999.p/1"},
      {{2, 1000, 255}, "tile/2/x001/000.p/255"},
      {{63, 0, 256}, "tile/63/000"},
      {{TILE_ENTRIES, 273, 112}, "tile/entries/273.p/112"},
      {{0, UINT64_MAX, 256}, "tile/0/x018/x446/x744/x073/x709/x551/615"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[TILE_PATH_MAX];
    struct tile_id id;
    tile_path(cases[i].id, path);
    assert_string_equal(path, cases[i].path);
    assert_true(tile_path_parse(slice_str(path), &id));
    assert_int_equal(id.level, cases[i].id.level);
    assert_int_equal(id.n, cases[i].id.n);
    assert_int_equal(id.width, cases[i].id.width);
  }
}

static void test_bad_paths(void **state) {
  static const char *const bad[] = {"",
                                    "tile",
                                    "tile/",
                                    "tile/0",
                                    "tile/0/",
                                    "tile/0/00",
                                    "tile/0/0000",
                                    "tile/00/000",
                                    "tile/64/000",
                                    "tile/-1/000",
                                    "tile/0/x000/001",
                                    "tile/0/001/002",
                                    "tile/0/x001",
                                    "tile/0/000.p",
                                    "tile/0/000.p/",
                                    "tile/0/000.p/0",
                                    "tile/0/000.p/01",
                                    "tile/0/000.p/256",
                                    "tile/0/000.q/1",
                                    "tile/entries/x1/000",
                                    "tile/0/000/",
                                    "/tile/0/000",
                                    "tile/0/000.p/1/",
                                    "tile/0/0 0",
                                    "tile/0/+01",
                                    "tile/0/x018/x446/x744/x073/x709/x551/616",
                                    "tile/0/../000",
                                    "TILE/0/000",
                                    "tile/data/000"};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct tile_id id;
    assert_false(tile_path_parse(slice_str(bad[i]), &id));
  }
}

static void test_widths(void **state) {
  (void)state;
  /* tlog-tiles' example: size 70,000 */
  assert_int_equal(tile_width(0, 272, 70000), 256);
  assert_int_equal(tile_width(0, 273, 70000), 112);
  assert_int_equal(tile_width(0, 274, 70000), 0);
  assert_int_equal(tile_width(1, 0, 70000), 256);
  assert_int_equal(tile_width(1, 1, 70000), 17);
  assert_int_equal(tile_width(2, 0, 70000), 1);
  assert_int_equal(tile_width(3, 0, 70000), 0);
  assert_int_equal(tile_width(1, 0, 256), 1);
  assert_int_equal(tile_width(0, 1, 256), 0);
  assert_int_equal(tile_width(TILE_ENTRIES, 273, 70000), 112);
  assert_int_equal(tile_width(7, 0, UINT64_MAX), 255);
  assert_int_equal(tile_width(8, 0, UINT64_MAX), 0);
  assert_int_equal(tile_width(0, UINT64_MAX, 5), 0);
}

enum { MANY = 66000 /* into level 2 */ };

struct seen {
  struct merkle_hash *leaves;
  uint64_t tiles[TILE_LEVELS];
};

static enum dom_code node(void *arg, unsigned height, uint64_t index, struct merkle_hash *out,
                          struct dom_err *err) {
  struct seen *seen = arg;
  struct merkle_hash left, right;
  if (height == 0) {
    *out = seen->leaves[index];
    return DOM_OK;
  }
  OK(node(arg, height - 1, 2 * index, &left, err));
  OK(node(arg, height - 1, 2 * index + 1, &right, err));
  merkle_node(&left, &right, out);
  return DOM_OK;
}

static enum dom_code full(void *arg, unsigned level, uint64_t n, const struct merkle_hash hashes[TILE_WIDTH],
                          struct dom_err *err) {
  struct seen *seen = arg;
  struct merkle_hash expected;
  assert_int_equal(n, seen->tiles[level]++);
  OK(node(arg, 8 * level, n * 256 + 255, &expected, err));
  assert_true(merkle_equal(&hashes[255], &expected));
  return DOM_OK;
}

static void test_edge(void **state) {
  (void)state;
  struct seen seen = {.leaves = calloc(MANY, sizeof *seen.leaves)};
  struct tile_edge *edge = calloc(1, sizeof *edge);
  assert_non_null(seen.leaves);
  assert_non_null(edge);
  for (uint32_t i = 0; i < MANY; i++) {
    merkle_leaf(slice_of(&i, sizeof i), &seen.leaves[i]);
    OK(tile_edge_push(edge, &seen.leaves[i], full, &seen, NULL));
    if (i > 600 && i != 65534 && i != 65535 && i != 65536 && i != MANY - 1) continue;
    struct merkle_hash root, expected;
    tile_edge_root(edge, &root);
    OK(merkle_root(node, &seen, i + 1, &expected, NULL));
    assert_true(merkle_equal(&root, &expected));
  }
  assert_int_equal(seen.tiles[0], MANY / 256);
  assert_int_equal(seen.tiles[1], 1);
  assert_int_equal(tile_edge_width(edge, 0), MANY % 256);
  assert_int_equal(tile_edge_width(edge, 2), 1);
  free(edge);
  free(seen.leaves);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_bad_paths),
                                     cmocka_unit_test(test_widths), cmocka_unit_test(test_edge)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
