/* The population: its shape, its determinism, and that a plan reads back as written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "people.h"

/* Collects what a person has. */
struct tally {
  struct buf keys; /* each with a newline */
  size_t count, photos, empty, large;
};

static bool collect(void *context, struct plan_item *item) {
  struct tally *t = context;
  buf_append_slice(&t->keys, item->key);
  buf_append_byte(&t->keys, '\n');
  t->count++;
  t->photos += memmem(item->key.data, item->key.len, "/photos/", 8) != NULL;
  t->empty += item->content.size_bytes == 0;
  t->large += item->content.size_bytes > UINT64_C(64) << 20;
  return true;
}

static struct people_config config_of(struct source *files) {
  struct people_config config = {.seed = 7,
                                 .people = 20,
                                 .objects_each = 8,
                                 .heavy = 2,
                                 .heavy_objects = 500,
                                 .large_bytes = UINT64_C(70) << 20};
  for (int k = 0; k < PEOPLE_KIND_COUNT; k++) {
    config.kinds[k] = (struct sources){.files = files, .count = 2, .cap = 2};
  }
  return config;
}

static void test_shape(void **state) {
  (void)state;
  struct source files[] = {{(char *)"/x/one.png", 10}, {(char *)"/x/two.mo", 20}};
  struct people_config config = config_of(files);
  struct tally first = {0}, heavy = {0}, plain = {0};
  assert_true(people_make(&config, 0, collect, &first));
  assert_true(people_make(&config, 1, collect, &heavy));
  assert_true(people_make(&config, 4, collect, &plain));
  assert_int_equal(first.empty, 1);
  assert_int_equal(first.large, 1);
  assert_non_null(memmem(first.keys.data, first.keys.len, "\xe0\xa4\xa6", 3));
  assert_int_equal(heavy.count, 500);
  assert_int_equal(heavy.photos, 200);
  assert_int_equal(plain.count, 8);
  buf_done(&first.keys);
  buf_done(&heavy.keys);
  buf_done(&plain.keys);
}

static int line_order(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two objects of a person share a key, and all lie under the person. */
static void test_keys_are_distinct(void **state) {
  (void)state;
  struct source files[] = {{(char *)"/x/one.png", 10}, {(char *)"/x/two.mo", 20}};
  struct people_config config = config_of(files);
  struct tally t = {0};
  assert_true(people_make(&config, 1, collect, &t));
  char id[PEOPLE_ID_SIZE];
  people_id(7, 1, id);
  char *lines[600];
  size_t count = 0;
  for (char *at = (char *)t.keys.data; count < t.count; at = strchr(at, '\n') + 1) lines[count++] = at;
  for (size_t i = 0; i < count; i++) *strchr(lines[i], '\n') = '\0';
  qsort(lines, count, sizeof *lines, line_order);
  for (size_t i = 0; i < count; i++) {
    assert_non_null(strstr(lines[i], id));
    if (i > 0) assert_string_not_equal(lines[i], lines[i - 1]);
  }
  buf_done(&t.keys);
}

static void test_determinism(void **state) {
  (void)state;
  struct source files[] = {{(char *)"/x/one.png", 10}, {(char *)"/x/two.mo", 20}};
  struct people_config config = config_of(files);
  struct tally a = {0}, b = {0}, c = {0};
  assert_true(people_make(&config, 3, collect, &a));
  assert_true(people_make(&config, 3, collect, &b));
  config.seed = 8;
  assert_true(people_make(&config, 3, collect, &c));
  assert_true(slice_equal(buf_slice(&a.keys), buf_slice(&b.keys)));
  assert_false(slice_equal(buf_slice(&a.keys), buf_slice(&c.keys)));
  buf_done(&a.keys);
  buf_done(&b.keys);
  buf_done(&c.keys);
}

static void test_countries(void **state) {
  (void)state;
  size_t indians = 0;
  for (size_t i = 0; i < 200; i++) indians += strcmp(people_country(i), "IN") == 0;
  assert_int_equal(indians, 120);
}

static void test_ids(void **state) {
  (void)state;
  char a[PEOPLE_ID_SIZE], b[PEOPLE_ID_SIZE];
  people_id(1, 1, a);
  people_id(1, 2, b);
  assert_int_equal(strlen(a), 22);
  assert_string_not_equal(a, b);
  assert_int_equal(strspn(a + 2, "abcdefghijklmnopqrstuvwxyz234567"), 20);
}

static void test_made_content(void **state) {
  (void)state;
  struct content c = {.seed = 99, .size_bytes = 1000};
  uint8_t whole[1000], part[77];
  assert_true(content_read(&c, 0, whole, sizeof whole));
  for (size_t at = 0; at + sizeof part <= sizeof whole; at += 13) {
    assert_true(content_read(&c, at, part, sizeof part));
    assert_memory_equal(part, whole + at, sizeof part);
  }
}

static void test_plan_round_trip(void **state) {
  (void)state;
  char path[] = "/tmp/domicile-load-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  struct plan_item item = {.subject = "u-1",
                           .country = "IN",
                           .bucket = "phones",
                           .key = SLICE_LIT("u-1/notes/a b%\xf0\x9f\x8e\x86.txt"),
                           .content = {.path = "/usr/share/x y", .size_bytes = 12}};
  item.sha256[0] = 0xab;
  BUF_AUTO text = BUF_INIT;
  buf_append_str(&text, "#bucket\tphones\t{subject}/\n");
  plan_print(&item, &text);
  assert_int_equal(write(fd, text.data, text.len), text.len);
  close(fd);
  struct plan plan;
  assert_true(plan_read(path, &plan));
  unlink(path);
  assert_int_equal(plan.count, 1);
  assert_true(slice_equal(plan.items[0].key, item.key));
  assert_string_equal(plan.items[0].content.path, "/usr/share/x y");
  assert_memory_equal(plan.items[0].sha256, item.sha256, DIGEST_SIZE);
  struct plan_bucket buckets[PLAN_BUCKETS_MAX];
  assert_int_equal(plan_buckets(&text, buckets), 1);
  assert_string_equal(buckets[0].layout, "{subject}/");
  plan_done(&plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shape),
      cmocka_unit_test(test_keys_are_distinct),
      cmocka_unit_test(test_determinism),
      cmocka_unit_test(test_countries),
      cmocka_unit_test(test_ids),
      cmocka_unit_test(test_made_content),
      cmocka_unit_test(test_plan_round_trip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
