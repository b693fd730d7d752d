/* Needles in all their guises, the haystack, the histogram, and bench's reading of heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "bench.h"
#include "histogram.h"
#include "needles.h"

struct hits {
  size_t count;
  uint64_t last_offset;
  char last_label[128];
};

static void note(void *context, const struct needle *needle, uint64_t offset) {
  struct hits *h = context;
  h->count++;
  h->last_offset = offset;
  snprintf(h->last_label, sizeof h->last_label, "%s", needle->label);
}

static void search(const struct haystack *h, struct slice data, struct hits *out) {
  *out = (struct hits){0};
  haystack_search(h, data, data.len, 0, note, out);
}

/* A haystack of one text's needles; `text` owns what it borrows. */
static void build(struct haystack *h, struct buf *text) {
  *h = (struct haystack){0};
  assert_true(haystack_add(h, "test", text));
  assert_true(haystack_build(h));
}

static void test_guises(void **state) {
  (void)state;
  static const char name[] = "IMG_2014 \xe0\xa4\xa6\xf0\x9f\x8e\x86.png";
  BUF_AUTO lines = BUF_INIT;
  needles_of_text(&lines, "n", slice_str(name));
  struct haystack h;
  build(&h, &lines);
  assert_int_equal(h.count, 8);
  /* UTF-16 by hand: the letter U+0926, and U+1F386 as D83C DF86. */
  static const char utf16[] = "I\0M\0G\0_\0002\0000\0001\0004\0 \0\x26\x09\x3c\xd8\x86\xdf.\0p\0n\0g\0";
  static const struct {
    const char *guise;
    const char *text;
    size_t len;
  } guises[] = {
      {"n raw", name, sizeof name - 1},
      {"n percent", "IMG_2014%20%E0%A4%A6%F0%9F%8E%86.png", 36},
      {"n hex", "494d475f3230313420e0a4a6f09f8e862e706e67", 40},
      {"n utf16le", utf16, sizeof utf16 - 1},
  };
  for (size_t i = 0; i < sizeof guises / sizeof *guises; i++) {
    BUF_AUTO data = BUF_INIT;
    struct hits hits;
    buf_append_str(&data, "before");
    buf_append(&data, guises[i].text, guises[i].len);
    buf_append_str(&data, "after");
    search(&h, buf_slice(&data), &hits);
    assert_int_equal(hits.count, 1);
    assert_string_equal(hits.last_label, guises[i].guise);
    assert_int_equal(hits.last_offset, 6);
  }
  haystack_done(&h);
}

/* Whatever stands before and after, Base64 of a text that holds the name is found. */
static void test_base64_everywhere(void **state) {
  (void)state;
  BUF_AUTO lines = BUF_INIT;
  needles_of_text(&lines, "n", SLICE_LIT("u-abcdefghij234567"));
  struct haystack h;
  build(&h, &lines);
  for (size_t before = 0; before < 7; before++) {
    for (size_t after = 0; after < 4; after++) {
      BUF_AUTO plain = BUF_INIT;
      BUF_AUTO coded = BUF_INIT;
      struct hits hits;
      for (size_t i = 0; i < before; i++) buf_append_byte(&plain, 0xff);
      buf_append_str(&plain, "u-abcdefghij234567");
      for (size_t i = 0; i < after; i++) buf_append_byte(&plain, 0xff);
      base64_encode(&coded, buf_slice(&plain));
      search(&h, buf_slice(&coded), &hits);
      assert_int_equal(hits.count, 1);
    }
  }
  haystack_done(&h);
}

static void test_short_and_odd_needles(void **state) {
  (void)state;
  BUF_AUTO lines = BUF_INIT;
  needles_of_text(&lines, "n", SLICE_LIT("short"));
  assert_int_equal(lines.len, 0);
  static const char *const bad[] = {"a\t00\n", "a\tzz00000000000000\n", "a\n", "a\t0011223344556677\tx\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    BUF_AUTO text = BUF_INIT;
    struct haystack h = {0};
    buf_append_str(&text, bad[i]);
    assert_false(haystack_add(&h, "test", &text));
    haystack_done(&h);
  }
}

/* Windows of a body are found at any offset; zeros and padding are not made needles. */
static void test_windows(void **state) {
  (void)state;
  struct content content = {.seed = 5, .size_bytes = 100000};
  static uint8_t body[100003];
  assert_true(content_read(&content, 0, body + 3, 100000));
  BUF_AUTO lines = BUF_INIT;
  assert_true(needles_of_content(&lines, "body", &content));
  struct haystack h;
  build(&h, &lines);
  assert_int_equal(h.count, 6);
  struct hits hits;
  search(&h, slice_of(body, sizeof body), &hits);
  assert_int_equal(hits.count, 6);
  assert_int_equal(hits.last_offset, sizeof body - NEEDLE_WINDOW);
  static const uint8_t zeros[NEEDLE_WINDOW];
  assert_false(needles_window_tells(slice_of(zeros, sizeof zeros)));
  assert_true(needles_window_tells(slice_of(body + 3, NEEDLE_WINDOW)));
  uint8_t begins_with_zeros[NEEDLE_WINDOW] = {0};
  memcpy(begins_with_zeros + NEEDLE_BYTES_MIN, body + 3, NEEDLE_WINDOW - NEEDLE_BYTES_MIN);
  assert_false(needles_window_tells(slice_of(begins_with_zeros, sizeof begins_with_zeros)));
  haystack_done(&h);
}

/* Two searches that meet inside a needle find it exactly once. */
static void test_split_search(void **state) {
  (void)state;
  BUF_AUTO text = BUF_INIT;
  buf_append_str(&text,
                 "x\t6e6565646c652d6e6565646c65\nx\t6e6565646c652d6e6f\n"); /* needle-needle, needle-no */
  struct haystack h;
  build(&h, &text);
  assert_int_equal(h.longest, 13);
  static const char data[] = "..needle-needle..needle-no..";
  for (size_t cut = 0; cut < sizeof data - 1; cut++) {
    struct hits hits = {0};
    size_t held = cut + h.longest < sizeof data - 1 ? cut + h.longest : sizeof data - 1;
    haystack_search(&h, slice_of(data, held), cut, 0, note, &hits);
    haystack_search(&h, slice_of(data + cut, sizeof data - 1 - cut), sizeof data - 1 - cut, cut, note, &hits);
    assert_int_equal(hits.count, 2);
  }
  haystack_done(&h);
}

static void test_histogram(void **state) {
  (void)state;
  static struct histogram h;
  assert_int_equal(histogram_quantile(&h, 500), 0);
  for (uint64_t i = 1; i <= 1000; i++) histogram_add(&h, i * 1000);
  uint64_t p50 = histogram_quantile(&h, 500), p99 = histogram_quantile(&h, 990);
  assert_true(p50 >= 500000 && p50 <= 508000);
  assert_true(p99 >= 990000 && p99 <= 1000000);
  assert_int_equal(histogram_quantile(&h, 1000), 1000000);
  histogram_add(&h, UINT64_MAX);
  assert_int_equal(histogram_quantile(&h, 1000), UINT64_MAX);
}

static void test_heads(void **state) {
  (void)state;
  struct bench_head head;
  assert_true(bench_head_parse(
      SLICE_LIT("HTTP/1.1 200 OK\r\ncontent-LENGTH: 42\r\nConnection: Close\r\n\r\n"), &head));
  assert_int_equal(head.status, 200);
  assert_int_equal(head.body_bytes, 42);
  assert_true(head.close);
  assert_true(bench_head_parse(SLICE_LIT("HTTP/1.1 204 No Content\r\n\r\n"), &head));
  assert_false(head.close || head.chunked);
  assert_true(bench_head_parse(SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), &head));
  assert_true(head.chunked);
  static const char *const bad[] = {
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
      "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(bench_head_parse(slice_str(bad[i]), &head));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_guises),
      cmocka_unit_test(test_base64_everywhere),
      cmocka_unit_test(test_short_and_odd_needles),
      cmocka_unit_test(test_windows),
      cmocka_unit_test(test_split_search),
      cmocka_unit_test(test_histogram),
      cmocka_unit_test(test_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
