#include "wire_testing.h"

#include "wire/chunk.h"

/* Decodes `in` handing at most `step` bytes to the machine at a time; appends the body. */
static enum chunk_phase decode(struct slice in, size_t step, struct buf *body, size_t *used) {
  struct chunk_state c = {0};
  *used = 0;
  while (*used < in.len && c.phase != CHUNK_END && c.phase != CHUNK_BAD) {
    size_t n = in.len - *used < step ? in.len - *used : step;
    if (c.phase == CHUNK_DATA) {
      if (n > c.left) n = (size_t)c.left;
      buf_append(body, in.data + *used, n);
      chunk_take(&c, n);
    } else {
      n = chunk_feed(&c, slice_of(in.data + *used, n));
    }
    *used += n;
  }
  return c.phase;
}

static const struct {
  enum chunk_phase end;
  const char *text, *body;
} rows[] = {
    {CHUNK_END, "0\r\n\r\n", ""},
    {CHUNK_END, "5\r\nhello\r\n0\r\n\r\n", "hello"},
    {CHUNK_END, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
    {CHUNK_END, "00005\r\nhello\r\n000\r\n\r\n", "hello"},
    {CHUNK_END, "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    {CHUNK_END, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    {CHUNK_END, "5;x=y;z=\"q q\"\r\nhello\r\n0;last\r\n\r\n", "hello"},
    {CHUNK_END, "5\r\nhello\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", "hello"},
    {CHUNK_END, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
    {CHUNK_BAD, "\r\n", ""},
    {CHUNK_BAD, ";x\r\n", ""},
    {CHUNK_BAD, " 5\r\nhello\r\n", ""},
    {CHUNK_BAD, "5 \r\nhello\r\n", ""},
    {CHUNK_BAD, "+5\r\nhello\r\n", ""},
    {CHUNK_BAD, "-5\r\nhello\r\n", ""},
    {CHUNK_BAD, "0x5\r\nhello\r\n", ""},
    {CHUNK_BAD, "5\nhello\r\n", ""},
    {CHUNK_BAD, "5\r\rhello\r\n", ""},
    {CHUNK_BAD, "5;a\nhello\r\n", ""},
    {CHUNK_BAD, "5;\x01\r\nhello\r\n", ""},
    {CHUNK_BAD, "5\r\nhelloX\r\n0\r\n\r\n", "hello"},
    {CHUNK_BAD, "5\r\nhello\n0\r\n\r\n", "hello"},
    {CHUNK_BAD, "5\r\nhello\r0\r\n\r\n", "hello"},
    {CHUNK_BAD, "5\r\nhello\r\n\r\n", "hello"},
    {CHUNK_BAD, "g\r\n", ""},
    {CHUNK_BAD, "1000000000000000\r\n", ""},
    {CHUNK_BAD, "0\r\n folded: x\r\n\r\n", ""},
    {CHUNK_BAD, "0\r\nTrailer: x\n\r\n", ""},
    {CHUNK_BAD, "0\r\n\n", ""},
    /* the next request, when the blank line is missing, is no trailer */
    {CHUNK_BAD, "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
    {CHUNK_BAD, "0\r\nTrailer\r\n\r\n", ""},
    {CHUNK_BAD, "0\r\nTrailer : x\r\n\r\n", ""},
    {CHUNK_BAD, "0\r\n: x\r\n\r\n", ""},
    {CHUNK_DATA, "5\r\nhell", "hell"},
    {CHUNK_SIZE, "5\r\nhello\r\n", "hello"},
};

static void test_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (size_t step = 1; step <= 16; step++) {
      BUF_AUTO body = BUF_INIT;
      size_t used;
      enum chunk_phase end = decode(slice_str(rows[i].text), step, &body, &used);
      if (end != rows[i].end) fail_msg("row %zu step %zu: %d", i, step, (int)end);
      assert_true(slice_equal(buf_slice(&body), slice_str(rows[i].body)));
      if (end == CHUNK_END) assert_int_equal(used, strlen(rows[i].text));
    }
}

static void test_end_leaves_the_rest(void **state) {
  (void)state;
  BUF_AUTO body = BUF_INIT;
  size_t used;
  struct slice in = SLICE_LIT("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
  assert_int_equal(decode(in, in.len, &body, &used), CHUNK_END);
  assert_int_equal(used, 11);
}

static void test_bounds(void **state) {
  (void)state;
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO body = BUF_INIT;
  size_t used;
  buf_append_str(&text, "1;");
  while (text.len < CHUNK_LINE_BYTES_MAX + 2) buf_append_byte(&text, 'x');
  assert_int_equal(decode(buf_slice(&text), 7, &body, &used), CHUNK_BAD);
  buf_reset(&text);
  buf_append_str(&text, "0\r\n");
  while (text.len < CHUNK_TRAILER_BYTES_MAX + 16) buf_append_str(&text, "t: x\r\n");
  assert_int_equal(decode(buf_slice(&text), 100, &body, &used), CHUNK_BAD);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_end_leaves_the_rest),
                                     cmocka_unit_test(test_bounds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
