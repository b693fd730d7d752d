/* Age: a file of age 1.1.1 opens, ours are of the same form; what is changed, cut or another's is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/age.h"

#define RECIPIENT "age1970se4hg5kkpwmw2nwjtzpquwlyw0w6zs7d99pruw2r67x60vuys72fgnp"
#define IDENTITY  "AGE-SECRET-KEY-18J5AX4S2JMNH55XZE4T9PM496J6H2GJ3CVHHQT9YMA9J8QJ8XWCQKADMRG"
/* `age -r RECIPIENT` of age 1.1.1 over "sealed by age itself". */
static const char *const GOLDEN =
    "6167652d656e6372797074696f6e2e6f72672f76310a2d3e2058323535313920685157654575724539434b74452b3256"
    "6a496b6d684478382b4f65775847756f36564e6d69457a43396c6b0a31724e425a33746e567052697a6c466d47414474"
    "754e4c78453559586d42412f496c74306a3930436b6b730a2d2d2d20694e6147784250366932346951357a6f706d4254"
    "4967797249454a732f79544c767157777a6c43674c6d510ab8d31ae876bba83cfced55821b71a59ac57c42e81f66ac29"
    "cb62358994df0279f53ac76ee29ad01225944a240a265210a764db3a";

struct pipe {
  struct buf bytes;
  size_t at;
};

static enum dom_code pipe_write(void *arg, struct slice bytes, struct dom_err *err) {
  struct pipe *p = arg;
  buf_append_slice(&p->bytes, bytes);
  return buf_check(&p->bytes, err);
}

static enum dom_code pipe_read(void *arg, uint8_t *out, size_t len, size_t *out_len, struct dom_err *err) {
  struct pipe *p = arg;
  (void)err;
  size_t left = p->bytes.len - p->at;
  *out_len = left < len ? left : len;
  if (*out_len) memcpy(out, p->bytes.data + p->at, *out_len);
  p->at += *out_len;
  return DOM_OK;
}

/* Opens all of it; *out_plain is the caller's. */
static enum dom_code open_all(const uint8_t identity[KEY_SIZE], struct pipe *p, struct buf *out_plain) {
  struct age_reader *r = NULL;
  uint8_t piece[7001];
  size_t len = sizeof piece;
  p->at = 0;
  enum dom_code code = age_reader_new(identity, pipe_read, p, &r, NULL);
  while (code == DOM_OK && len == sizeof piece) {
    code = age_read(r, piece, sizeof piece, &len, NULL);
    if (code == DOM_OK) buf_append(out_plain, piece, len);
  }
  age_reader_free(r);
  return code;
}

static void seal_all(const uint8_t recipient[KEY_SIZE], size_t size, struct pipe *p) {
  struct age_writer *w = NULL;
  assert_int_equal(age_writer_new(recipient, pipe_write, p, &w, NULL), DOM_OK);
  for (size_t at = 0; at < size;) {
    uint8_t piece[5003];
    size_t len = size - at < sizeof piece ? size - at : sizeof piece;
    for (size_t i = 0; i < len; i++) piece[i] = (uint8_t)((at + i) * 31 >> 3);
    assert_int_equal(age_write(w, slice_of(piece, len), NULL), DOM_OK);
    at += len;
  }
  assert_int_equal(age_write_end(w, NULL), DOM_OK);
  age_writer_free(w);
}

static void keys(uint8_t identity[KEY_SIZE], uint8_t recipient[KEY_SIZE]) {
  assert_int_equal(age_identity_parse(SLICE_LIT("# created: today\n" IDENTITY "\n"), identity, NULL), DOM_OK);
  assert_int_equal(age_recipient_parse(SLICE_LIT(" " RECIPIENT "\n"), recipient, NULL), DOM_OK);
}

static void test_keys(void **state) {
  (void)state;
  uint8_t identity[KEY_SIZE], recipient[KEY_SIZE], made[KEY_SIZE];
  BUF_AUTO text = BUF_INIT;
  keys(identity, recipient);
  age_recipient_of(identity, made);
  assert_memory_equal(made, recipient, KEY_SIZE);
  age_recipient_format(recipient, &text);
  assert_string_equal(buf_str(&text), RECIPIENT);
  buf_reset(&text);
  age_identity_format(identity, &text);
  assert_string_equal(buf_str(&text), IDENTITY);
  char bad[] = RECIPIENT;
  for (size_t i = 0; i < sizeof bad - 1; i++) {
    char was = bad[i];
    bad[i] = was == 'q' ? 'p' : 'q';
    assert_int_equal(age_recipient_parse(slice_str(bad), made, NULL), DOM_INVALID);
    bad[i] = was;
  }
  assert_int_equal(age_recipient_parse(SLICE_LIT(IDENTITY), made, NULL), DOM_INVALID);
  assert_int_equal(age_recipient_parse(SLICE_LIT(""), made, NULL), DOM_INVALID);
  assert_int_equal(age_identity_parse(SLICE_LIT("# nothing\n"), made, NULL), DOM_INVALID);
  assert_int_equal(age_identity_parse(SLICE_LIT(IDENTITY "\n" IDENTITY), made, NULL), DOM_INVALID);
}

static void test_golden(void **state) {
  (void)state;
  uint8_t identity[KEY_SIZE], recipient[KEY_SIZE], bytes[1024];
  size_t len = 0;
  struct pipe p = {0};
  BUF_AUTO plain = BUF_INIT;
  keys(identity, recipient);
  assert_int_equal(hex_decode(slice_str(GOLDEN), bytes, sizeof bytes, &len), DOM_OK);
  buf_append(&p.bytes, bytes, len);
  assert_int_equal(open_all(identity, &p, &plain), DOM_OK);
  assert_string_equal(buf_str(&plain), "sealed by age itself");
  for (size_t i = 0; i < len; i++) {
    p.bytes.data[i] ^= 1;
    assert_int_not_equal(open_all(identity, &p, &plain), DOM_OK);
    p.bytes.data[i] ^= 1;
  }
  buf_done(&p.bytes);
}

static void test_sizes(void **state) {
  (void)state;
  uint8_t identity[KEY_SIZE], recipient[KEY_SIZE], other[KEY_SIZE];
  const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 200000};
  keys(identity, recipient);
  age_identity_make(other);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct pipe p = {0};
    BUF_AUTO plain = BUF_INIT;
    seal_all(recipient, sizes[i], &p);
    assert_int_equal(open_all(identity, &p, &plain), DOM_OK);
    assert_int_equal(plain.len, sizes[i]);
    for (size_t at = 0; at < plain.len; at++)
      if (plain.data[at] != (uint8_t)(at * 31 >> 3)) fail_msg("byte %zu differs", at);
    assert_int_equal(open_all(other, &p, &plain), DOM_DENIED);
    size_t whole = p.bytes.len;
    const size_t cuts[] = {1, 16, 17, 65552, 65553};
    for (size_t c = 0; c < 5 && cuts[c] < whole; c++) {
      p.bytes.len = whole - cuts[c];
      assert_int_not_equal(open_all(identity, &p, &plain), DOM_OK);
    }
    p.bytes.len = whole;
    buf_append_byte(&p.bytes, 0);
    assert_int_not_equal(open_all(identity, &p, &plain), DOM_OK);
    buf_done(&p.bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_keys),
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_sizes),
  };
  return cmocka_run_group_tests_name("base: age", tests, NULL, NULL);
}
