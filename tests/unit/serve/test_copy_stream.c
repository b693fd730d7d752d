/* The source of a copy between regions, as bytes: whole in pieces of any size, refused when it is not it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "serve/copy_stream.h"

enum { FIXED = 19, BODY = 300 };

/* A whole stream; its signature is of no one. */
static void sample(struct slice meta, struct slice classes, size_t count, struct buf *out) {
  struct copy_head h = {.count = count, .meta = meta, .classes = classes};
  copy_head_put(&h, out);
  for (size_t i = 0; i < count; i++) buf_append_byte(out, (uint8_t)(i * 7));
  for (int i = 0; i < ED25519_SIG_SIZE; i++) buf_append_byte(out, (uint8_t)(200 + i));
  assert_false(out->failed);
}

struct result {
  enum dom_code code;
  bool whole;
  uint8_t sha[SHA256_SIZE], signature[ED25519_SIG_SIZE];
  struct buf meta, classes, body;
};

static void result_done(struct result *r) {
  buf_done(&r->meta);
  buf_done(&r->classes);
  buf_done(&r->body);
}
#define RESULT_AUTO __attribute__((cleanup(result_done))) struct result

/* Feeds it in pieces of `step` bytes. */
static void drink(struct slice bytes, size_t step, struct result *out) {
  struct copy_stream s;
  *out = (struct result){.code = DOM_OK};
  assert_int_equal(copy_stream_init(&s), DOM_OK);
  while (bytes.len && !out->code) {
    struct slice piece = slice_cut(bytes, 0, step < bytes.len ? step : bytes.len);
    bytes = slice_cut(bytes, piece.len, bytes.len);
    while (piece.len && !out->code) {
      struct slice body;
      size_t before = piece.len;
      bool had_head = s.has_head;
      out->code = copy_stream_feed(&s, &piece, &body, NULL);
      if (out->code) break;
      assert_true(piece.len < before);
      assert_true(had_head || body.len == 0); /* the head can be acted on before the first byte */
      buf_append_slice(&out->body, body);
    }
  }
  if (s.has_head) buf_append_slice(&out->meta, s.head.meta);
  if (s.has_head) buf_append_slice(&out->classes, s.head.classes);
  out->whole = !out->code && copy_stream_end(&s, out->sha);
  memcpy(out->signature, s.signature, sizeof out->signature);
  copy_stream_done(&s);
}

static void whole_in_pieces_of_any_size(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, BODY};
  for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
    BUF_AUTO bytes = BUF_INIT;
    uint8_t sha[SHA256_SIZE];
    sample(SLICE_LIT("meta"), SLICE_LIT("restricted,personal"), counts[n], &bytes);
    sha256(bytes.data, bytes.len - ED25519_SIG_SIZE, sha);
    for (size_t step = 1; step <= bytes.len; step++) {
      RESULT_AUTO r;
      drink(buf_slice(&bytes), step, &r);
      assert_int_equal(r.code, DOM_OK);
      assert_true(r.whole);
      assert_true(slice_equal(buf_slice(&r.meta), SLICE_LIT("meta")));
      assert_true(slice_equal(buf_slice(&r.classes), SLICE_LIT("restricted,personal")));
      size_t from = FIXED + r.meta.len + r.classes.len;
      assert_true(slice_equal(buf_slice(&r.body), slice_of(bytes.data + from, counts[n])));
      assert_memory_equal(r.sha, sha, sizeof sha);
      assert_memory_equal(r.signature, bytes.data + bytes.len - sizeof r.signature, sizeof r.signature);
    }
  }
}

static void cut_anywhere_is_not_whole(void **state) {
  (void)state;
  BUF_AUTO bytes = BUF_INIT;
  sample(SLICE_LIT("meta"), SLICE_LIT(""), BODY, &bytes);
  for (size_t len = 0; len < bytes.len; len++) {
    RESULT_AUTO r;
    drink(slice_of(bytes.data, len), 64, &r);
    assert_int_equal(r.code, DOM_OK);
    assert_false(r.whole);
  }
}

static void longer_than_announced(void **state) {
  (void)state;
  BUF_AUTO bytes = BUF_INIT;
  sample(SLICE_LIT(""), SLICE_LIT(""), BODY, &bytes);
  buf_append_byte(&bytes, 0);
  for (size_t step = 1; step <= bytes.len; step++) {
    RESULT_AUTO r;
    drink(buf_slice(&bytes), step, &r);
    assert_int_equal(r.code, DOM_INVALID);
  }
}

/* Whatever bit changes: refused, or the hash that is signed is another, or only the signature is. */
static void any_flipped_bit_shows(void **state) {
  (void)state;
  BUF_AUTO bytes = BUF_INIT;
  RESULT_AUTO good;
  sample(SLICE_LIT("meta"), SLICE_LIT("restricted"), 40, &bytes);
  drink(buf_slice(&bytes), bytes.len, &good);
  assert_true(good.whole);
  for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
    RESULT_AUTO r;
    bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    drink(buf_slice(&bytes), 16, &r);
    bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    bool same = r.whole && memcmp(r.sha, good.sha, sizeof r.sha) == 0 &&
                memcmp(r.signature, good.signature, sizeof r.signature) == 0;
    assert_false(same);
  }
}

static void limits(void **state) {
  (void)state;
  static uint8_t meta[COPY_STREAM_META_MAX], classes[COPY_STREAM_CLASSES_MAX];
  BUF_AUTO bytes = BUF_INIT;
  RESULT_AUTO r;
  sample(slice_of(meta, sizeof meta), slice_of(classes, sizeof classes), 1, &bytes);
  drink(buf_slice(&bytes), 1000, &r);
  assert_true(r.whole);
  assert_int_equal(r.meta.len, sizeof meta);
  for (int which = 0; which < 2; which++) { /* one more than allowed, in either length: refused at once */
    BUF_AUTO head = BUF_INIT;
    RESULT_AUTO over;
    buf_append(&head, bytes.data, FIXED);
    store_u32be(head.data + 13, which == 0 ? COPY_STREAM_META_MAX + 1 : 0);
    head.data[17] = which == 0 ? 0 : (uint8_t)((COPY_STREAM_CLASSES_MAX + 1) >> 8);
    head.data[18] = which == 0 ? 0 : (uint8_t)(COPY_STREAM_CLASSES_MAX + 1);
    drink(buf_slice(&head), FIXED, &over);
    assert_int_equal(over.code, DOM_INVALID);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_in_pieces_of_any_size),
      cmocka_unit_test(cut_anywhere_is_not_whole),
      cmocka_unit_test(longer_than_announced),
      cmocka_unit_test(any_flipped_bit_shows),
      cmocka_unit_test(limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
